//! What docker prints, as types: the few fields that are read, tolerant of absent ones (a VCH, old engines).
//!
//! The only place that knows the shape of docker's JSON. Pure: bytes in, values or a sentence out.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::haproxy::versions;
use crate::text::disarmed;

/// A field that some endpoints leave out and others fill with `null`.
fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Pairs of texts, the other things in the list passed over.
fn pairs<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(String, String)>, D::Error> {
    let value = Option::<Value>::deserialize(deserializer)?.unwrap_or_default();
    let pair = |entry: &Value| {
        let text = |at: usize| entry.get(at)?.as_str().map(|text| text.trim().to_owned());
        Some((text(0)?, text(1)?))
    };
    let entries = value.as_array().into_iter().flatten();
    Ok(entries.filter_map(pair).collect())
}

/// What an environment tells: HAProxy's version, and names. The values are nobody's business.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    pub haproxy_version: Option<versions::Version>,
    pub names: Vec<String>,
}

impl<'de> Deserialize<'de> for Environment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Option::<Value>::deserialize(deserializer)?.unwrap_or_default();
        let mut told = Self::default();
        let entries = value.as_array().into_iter().flatten();
        for entry in entries.filter_map(Value::as_str) {
            let (name, value) = entry.split_once('=').unwrap_or((entry, ""));
            if name == versions::VARIABLE && told.haproxy_version.is_none() {
                told.haproxy_version = versions::parse(value);
            }
            told.names.push(name.to_owned());
        }
        Ok(told)
    }
}

/// Texts, the other things in the list passed over.
fn texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let value = Option::<Value>::deserialize(deserializer)?.unwrap_or_default();
    let entries = value.as_array().into_iter().flatten();
    Ok(entries
        .filter_map(|entry| entry.as_str().map(str::to_owned))
        .collect())
}

/// A text; empty for whatever else stands there.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let value = Option::<Value>::deserialize(deserializer)?.unwrap_or_default();
    Ok(value.as_str().unwrap_or_default().to_owned())
}

/// Whether `true` stands there.
fn truth<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    let value = Option::<Value>::deserialize(deserializer)?.unwrap_or_default();
    Ok(value == Value::Bool(true))
}

/// A number; 0 for whatever else stands there.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let value = Option::<Value>::deserialize(deserializer)?.unwrap_or_default();
    Ok(value.as_u64().unwrap_or_default())
}

/// `docker info`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Info {
    #[serde(rename = "ID", deserialize_with = "or_default")]
    pub id: String,
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    #[serde(deserialize_with = "or_default")]
    pub driver: String,
    #[serde(deserialize_with = "or_default")]
    pub server_version: String,
    #[serde(deserialize_with = "or_default")]
    pub plugins: Plugins,
    /// Of an engine the number of its CPUs, of a VCH its limit in MHz.
    #[serde(rename = "NCPU", deserialize_with = "number")]
    pub ncpu: u64,
    /// Of an engine its memory, of a VCH its limit, in bytes.
    #[serde(deserialize_with = "number")]
    pub mem_total: u64,
    /// `name=rootless` and the like; what a VCH says there means nothing.
    #[serde(deserialize_with = "or_default")]
    pub security_options: Vec<String>,
    /// On a VCH: its limits, what is used of them, its registries; keys without the blanks around them.
    #[serde(deserialize_with = "pairs")]
    pub system_status: Vec<(String, String)>,
    /// Podman's own client tells of other things than docker's.
    #[serde(rename = "host")]
    pub podman_host: Option<serde::de::IgnoredAny>,
    /// What the client of 20.10 prints, with exit code 0, when there is no server.
    #[serde(deserialize_with = "or_default")]
    pub server_errors: Vec<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Plugins {
    /// On a VCH: the names of its networks.
    #[serde(deserialize_with = "or_default")]
    pub network: Vec<String>,
    /// On an engine: in which ways logs can be kept.
    #[serde(deserialize_with = "or_default")]
    pub log: Vec<String>,
}

/// One entry of `docker network inspect`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Network {
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    #[serde(deserialize_with = "or_default")]
    pub id: String,
    #[serde(deserialize_with = "or_default")]
    pub driver: String,
    /// `swarm` of a network that spans machines.
    #[serde(deserialize_with = "or_default")]
    pub scope: String,
    #[serde(deserialize_with = "or_default")]
    pub internal: bool,
    #[serde(deserialize_with = "or_default")]
    pub attachable: bool,
    #[serde(rename = "EnableIPv6", deserialize_with = "or_default")]
    pub ipv6: bool,
    #[serde(rename = "IPAM", deserialize_with = "or_default")]
    pub ipam: Ipam,
    #[serde(deserialize_with = "or_default")]
    pub options: BTreeMap<String, String>,
    #[serde(deserialize_with = "or_default")]
    pub labels: BTreeMap<String, String>,
    /// By ID those that hold an address; of a VCH 1.5.2 or later stopped ones too.
    #[serde(deserialize_with = "or_default")]
    pub containers: BTreeMap<String, serde::de::IgnoredAny>,
}

/// How a network gives addresses out.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Ipam {
    /// Empty for a container network of a VCH that has its addresses from DHCP.
    #[serde(deserialize_with = "or_default")]
    pub config: Vec<Pool>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Pool {
    #[serde(deserialize_with = "or_default")]
    pub subnet: String,
    /// On a VCH `FIRST-LAST`, no CIDR.
    #[serde(rename = "IPRange", deserialize_with = "or_default")]
    pub ip_range: String,
    /// An engine (before 28) tells none for a subnet that was given without.
    #[serde(deserialize_with = "or_default")]
    pub gateway: String,
    #[serde(rename = "AuxiliaryAddresses", deserialize_with = "or_default")]
    pub reserved: BTreeMap<String, String>,
}

impl Network {
    /// Whether `docker network create NAME` and nothing more makes such a one: only what shows that somebody asked for more
    /// tells otherwise.
    pub fn is_plain(&self) -> bool {
        let given = |pool: &Pool| {
            let gateway_is_told = !pool.gateway.is_empty() || pool.subnet.is_empty();
            !gateway_is_told || !pool.ip_range.is_empty() || !pool.reserved.is_empty()
        };
        matches!(self.driver.as_str(), "" | "bridge")
            && !self.internal
            && !self.attachable
            && !self.ipv6
            && self.scope != "swarm"
            && self.options.is_empty()
            && self.labels.is_empty()
            && self.ipam.config.len() <= 1
            && !self.ipam.config.iter().any(given)
    }
}

/// `docker version`. Where no server answers, the client is told all the same.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Version {
    #[serde(deserialize_with = "or_default")]
    pub client: ClientVersion,
    pub server: Option<ServerVersion>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ClientVersion {
    #[serde(deserialize_with = "or_default")]
    pub version: String,
    /// The one that is spoken with this endpoint.
    #[serde(deserialize_with = "or_default")]
    pub api_version: String,
    /// The newest that the client knows.
    #[serde(rename = "DefaultAPIVersion", deserialize_with = "or_default")]
    pub default_api_version: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ServerVersion {
    #[serde(deserialize_with = "or_default")]
    pub version: String,
    #[serde(deserialize_with = "or_default")]
    pub api_version: String,
    /// What the endpoint is made of; a VCH and old engines don't tell.
    #[serde(deserialize_with = "or_default")]
    pub components: Vec<Component>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Component {
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    #[serde(deserialize_with = "or_default")]
    pub version: String,
}

/// `docker context inspect`: the client's way to the endpoint, wherever it comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DockerContext {
    /// `default` for the one of flags and environment.
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    #[serde(deserialize_with = "or_default")]
    pub endpoints: ContextEndpoints,
    /// The names of the files that the client holds, by endpoint.
    #[serde(rename = "TLSMaterial", deserialize_with = "or_default")]
    pub tls_material: BTreeMap<String, Vec<String>>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ContextEndpoints {
    #[serde(deserialize_with = "or_default")]
    pub docker: ContextEndpoint,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ContextEndpoint {
    #[serde(deserialize_with = "or_default")]
    pub host: String,
    #[serde(rename = "SkipTLSVerify", deserialize_with = "or_default")]
    pub skip_tls_verify: bool,
}

/// One line of `docker network ls` with [`super::argv::NETWORK_FORMAT`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedNetwork {
    pub driver: String,
    pub name: String,
}

/// One line of `docker inspect` with [`super::argv::CONTAINER_FORMAT`].
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Container {
    /// With a leading slash.
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    #[serde(deserialize_with = "or_default")]
    pub state: State,
    /// How often its restart policy has started it again.
    #[serde(deserialize_with = "number")]
    pub restart_count: u64,
    /// The image's ID; a VCH leaves out the `sha256:`.
    #[serde(deserialize_with = "or_default")]
    pub image: String,
    /// The image as it was named when the container was made.
    #[serde(deserialize_with = "or_default")]
    pub config_image: String,
    pub env: Environment,
    #[serde(deserialize_with = "or_default")]
    pub labels: BTreeMap<String, String>,
    /// Keys such as `80/tcp`.
    #[serde(deserialize_with = "or_default")]
    pub exposed_ports: BTreeMap<String, serde::de::IgnoredAny>,
    /// What was asked for with `-p`. A VCH lists what the image exposes, too, as `null`.
    #[serde(deserialize_with = "or_default")]
    pub port_bindings: BTreeMap<String, Option<serde::de::IgnoredAny>>,
    #[serde(deserialize_with = "or_default")]
    pub restart_policy: RestartPolicy,
    #[serde(deserialize_with = "or_default")]
    pub host_config: HostConfig,
    /// What is published now: of a running container, on a VCH of others too, with an empty port.
    #[serde(deserialize_with = "or_default")]
    pub ports: BTreeMap<String, Option<Vec<PortBinding>>>,
    #[serde(deserialize_with = "or_default")]
    pub networks: BTreeMap<String, Option<Endpoint>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct State {
    #[serde(deserialize_with = "or_default")]
    pub status: String,
    #[serde(deserialize_with = "or_default")]
    pub running: bool,
    #[serde(rename = "OOMKilled", deserialize_with = "or_default")]
    pub oom_killed: bool,
    #[serde(deserialize_with = "or_default")]
    pub exit_code: i64,
    #[serde(deserialize_with = "or_default")]
    pub error: String,
    /// `0001-…` or, on a VCH, empty if never started.
    #[serde(deserialize_with = "or_default")]
    pub started_at: String,
    #[serde(deserialize_with = "or_default")]
    pub finished_at: String,
    pub health: Option<Health>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Health {
    #[serde(deserialize_with = "or_default")]
    pub status: String,
    /// The last checks, the latest last.
    #[serde(deserialize_with = "or_default")]
    pub log: Vec<HealthCheck>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct HealthCheck {
    #[serde(deserialize_with = "or_default")]
    pub exit_code: i64,
    #[serde(deserialize_with = "or_default")]
    pub output: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RestartPolicy {
    /// `no` or empty, `always`, `unless-stopped`, `on-failure`.
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    /// Of `on-failure`; 0 for no limit.
    #[serde(deserialize_with = "number")]
    pub maximum_retry_count: u64,
}

/// What a container was made with, as far as it is looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct HostConfig {
    /// In bytes; of a VCH in megabytes, its own default, too.
    #[serde(deserialize_with = "number")]
    pub memory: u64,
    #[serde(deserialize_with = "number")]
    pub memory_reservation: u64,
    #[serde(deserialize_with = "number")]
    pub nano_cpus: u64,
    #[serde(deserialize_with = "number")]
    pub cpu_shares: u64,
    /// Of a VCH the number of CPUs, its own default, too.
    #[serde(deserialize_with = "text")]
    pub cpuset_cpus: String,
    /// What was given with `--volume`.
    #[serde(deserialize_with = "texts")]
    pub binds: Vec<String>,
    /// What was given with `--mount`.
    #[serde(deserialize_with = "or_default")]
    pub mounts: Vec<Mount>,
    #[serde(deserialize_with = "truth")]
    pub privileged: bool,
    #[serde(deserialize_with = "truth")]
    pub readonly_rootfs: bool,
    #[serde(deserialize_with = "texts")]
    pub cap_add: Vec<String>,
    #[serde(deserialize_with = "texts")]
    pub cap_drop: Vec<String>,
    #[serde(deserialize_with = "texts")]
    pub extra_hosts: Vec<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Mount {
    #[serde(rename = "Type", deserialize_with = "text")]
    pub kind: String,
    #[serde(deserialize_with = "text")]
    pub source: String,
    #[serde(deserialize_with = "text")]
    pub target: String,
    #[serde(deserialize_with = "truth")]
    pub read_only: bool,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct PortBinding {
    #[serde(deserialize_with = "or_default")]
    pub host_ip: String,
    #[serde(deserialize_with = "or_default")]
    pub host_port: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Endpoint {
    #[serde(rename = "IPAddress", deserialize_with = "or_default")]
    pub ip_address: String,
    #[serde(rename = "GlobalIPv6Address", deserialize_with = "or_default")]
    pub global_ipv6_address: String,
}

/// One line of `docker image inspect` with [`super::argv::IMAGE_FORMAT`].
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Image {
    #[serde(deserialize_with = "or_default")]
    pub id: String,
    /// What it brings; `None` where that is not told.
    pub env: Option<Environment>,
}

/// One JSON value; docker may have printed warnings in front of it.
pub fn json<T: for<'a> Deserialize<'a>>(stdout: &[u8]) -> Result<T, String> {
    let begins = |line: &[u8]| matches!(line.first(), Some(b'{' | b'['));
    let mut start = 0;
    for line in stdout.split_inclusive(|&byte| byte == b'\n') {
        if begins(line) {
            break;
        }
        start += line.len();
    }
    let value = if start < stdout.len() {
        &stdout[start..]
    } else {
        stdout
    };
    read(value).map_err(|error| not_understood(&error, stdout))
}

/// What anybody on the endpoint may have chosen (a network's name, say) breaks no line and steers no terminal, wherever it is
/// said.
fn read<T: for<'a> Deserialize<'a>>(json: &[u8]) -> serde_json::Result<T> {
    match str::from_utf8(json) {
        Ok(json) => serde_json::from_str(&disarmed(json)),
        Err(_) => serde_json::from_slice(json),
    }
}

/// One JSON object a line. Lines that hold no object, docker's warnings, are passed over.
pub fn json_lines<T: for<'a> Deserialize<'a>>(stdout: &[u8]) -> Result<Vec<T>, String> {
    stdout
        .split(|&byte| byte == b'\n')
        .filter(|line| line.trim_ascii_start().starts_with(b"{"))
        .map(|line| read(line).map_err(|error| not_understood(&error, line)))
        .collect()
}

/// The names that `docker ps --format '{{.Names}}'` prints: links (`other/alias`) are not names. Whoever takes anything else
/// for an endpoint without containers deploys over what is there.
pub fn names(stdout: &[u8]) -> Result<Vec<String>, String> {
    let text = String::from_utf8_lossy(stdout);
    let all = text.split(['\n', ',']).map(str::trim);
    let all: Vec<&str> = all.filter(|name| !name.is_empty()).collect();
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | '/');
    // Docker would take one that begins with a dash for an option.
    let is_none = |name: &&&str| name.starts_with('-') || !name.chars().all(fits);
    if let Some(none) = all.iter().find(is_none) {
        let shown: String = none.chars().take(200).collect();
        return Err(format!(
            "docker's answer is not understood (no name): {}",
            crate::error::printable(&shown)
        ));
    }
    let names = all.into_iter().filter(|name| !name.contains('/'));
    Ok(names.map(str::to_owned).collect())
}

/// A container in a list: names are given anew, an ID never is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedContainer {
    /// Its first [`ID_DIGITS`] digits.
    pub id: String,
    pub name: String,
}

/// How many digits of an ID tell a container from all others, as docker itself shows it.
pub const ID_DIGITS: usize = 12;

/// The beginning of a container's ID; `None` where `text` is none.
pub fn short_id(text: &str) -> Option<String> {
    let digits = text.len() >= ID_DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    digits.then(|| text[..ID_DIGITS].to_owned())
}

/// The containers that `docker ps` with [`super::argv::LISTED_FORMAT`] prints, under their own names.
pub fn listed_containers(stdout: &[u8]) -> Result<Vec<ListedContainer>, String> {
    let mut found = Vec::new();
    let text = String::from_utf8_lossy(stdout);
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let listed = line.split_once('/');
        let Some((id, listed)) = listed.and_then(|(id, names)| Some((short_id(id)?, names))) else {
            let shown: String = line.chars().take(200).collect();
            return Err(format!(
                "docker's answer is not understood (no ID and name): {}",
                crate::error::printable(&shown)
            ));
        };
        let own = names(listed.as_bytes())?.into_iter();
        found.extend(own.map(|name| ListedContainer {
            id: id.clone(),
            name,
        }));
    }
    Ok(found)
}

/// The networks that `docker network ls` with [`super::argv::NETWORK_FORMAT`] prints.
pub fn listed_networks(stdout: &[u8]) -> Vec<ListedNetwork> {
    String::from_utf8_lossy(stdout)
        .lines()
        .filter_map(|line| line.trim().rsplit_once('/'))
        .map(|(driver, name)| ListedNetwork {
            driver: driver.to_owned(),
            name: name.to_owned(),
        })
        .collect()
}

fn not_understood(error: &serde_json::Error, bytes: &[u8]) -> String {
    let shown: String = String::from_utf8_lossy(&bytes[..bytes.len().min(200)])
        .trim()
        .chars()
        .collect();
    if shown.is_empty() {
        "docker succeeded and printed nothing, where an answer in JSON was expected".into()
    } else {
        format!(
            "docker's answer is not understood ({error}): {}",
            crate::error::printable(&shown)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_and_null_fields_are_empty() {
        let line = br#"{"Name":"/1","State":{"Status":"created","StartedAt":null},"Networks":{"web-net":null},"Labels":null}"#;
        let container: Container = json(line).unwrap();
        assert_eq!(container.name, "/1");
        assert_eq!(container.state.started_at, "");
        assert!(container.state.health.is_none());
        assert!(container.networks["web-net"].is_none());
    }

    #[test]
    fn warnings_around_an_answer_are_passed_over() {
        let info: Info = json(b"WARNING: [something]\n{\"ID\":\"x\"}\n").unwrap();
        assert_eq!(info.id, "x");
        let containers: Vec<Container> =
            json_lines(b"WARNING\n{\"Name\":\"1\"}\n\n{\"Name\":\"2\"}\n").unwrap();
        assert_eq!(containers.len(), 2);
    }

    #[test]
    fn garbage_is_said_not_trusted() {
        assert!(json::<Info>(b"").unwrap_err().contains("printed nothing"));
        assert!(
            json::<Info>(b"\xff\xfe\x1b[2J")
                .unwrap_err()
                .contains("not understood")
        );
        assert!(
            json::<Info>(b"{\"ID\":")
                .unwrap_err()
                .contains("not understood")
        );
        assert!(json_lines::<Container>(b"{\"Name\":12}").is_err());
    }

    #[test]
    fn names_leave_out_links() {
        let found = names(b"web-1,lb/web-1\nlb\n\n").unwrap();
        assert_eq!(found, ["web-1", "lb"]);
        assert_eq!(names(b""), Ok(Vec::new()));
        for garbage in [
            &b"<html>"[..],
            b"\xff\xfe",
            b"{\"Name",
            b"web-1\ntwo words",
            b"--host",
        ] {
            assert!(names(garbage).is_err());
        }
    }

    #[test]
    fn containers_are_listed_by_id_and_their_own_names() {
        let id = "0123456789ab";
        let listed = format!("{id}cdef/web-1,lb/web-1\n{id}/lb\n\n");
        let found = listed_containers(listed.as_bytes()).unwrap();
        let found: Vec<_> = found.iter().map(|it| (&it.id[..], &it.name[..])).collect();
        assert_eq!(found, [(id, "web-1"), (id, "lb")]);
        assert_eq!(listed_containers(b""), Ok(Vec::new()));
        for garbage in [&b"<html>"[..], b"\xff\xfe", b"web-1", b"0123/web-1"] {
            assert!(listed_containers(garbage).is_err());
        }
        let option = format!("{id}/--host");
        assert!(listed_containers(option.as_bytes()).is_err());
    }

    #[test]
    fn a_vch_tells_its_limits_in_pairs() {
        let info: Info = json(
            br#"{"SystemStatus":[["VolumeStores",""],[" VCH memory limit","94.6 GiB"],["odd"],7],"NCPU":52800,"MemTotal":"?"}"#,
        )
        .unwrap();
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(
            info.system_status,
            [
                pair("VolumeStores", ""),
                pair("VCH memory limit", "94.6 GiB")
            ]
        );
        assert_eq!((info.ncpu, info.mem_total), (52_800, 0));
    }

    #[test]
    fn a_client_is_told_without_a_server() {
        let version: Version = json(
            br#"{"Client":{"Version":"28.2.2","ApiVersion":"1.50","DefaultAPIVersion":"1.50"},"Server":null}"#,
        )
        .unwrap();
        assert_eq!(version.client.version, "28.2.2");
        assert!(version.server.is_none());
    }

    #[test]
    fn a_context_tells_host_and_files() {
        let context: DockerContext = json(
            br#"{"Name":"xy","Metadata":{},"Endpoints":{"docker":{"Host":"tcp://vch:2376","SkipTLSVerify":true}},"TLSMaterial":{"docker":["ca.pem"]}}"#,
        )
        .unwrap();
        assert_eq!(context.endpoints.docker.host, "tcp://vch:2376");
        assert!(context.endpoints.docker.skip_tls_verify);
        assert_eq!(context.tls_material["docker"], ["ca.pem"]);
    }

    #[test]
    fn networks_are_listed_with_their_drivers() {
        let listed = listed_networks(b"bridge/web-net\nstore/plugin:1/routable\n\nodd\n");
        assert_eq!(listed.len(), 2);
        assert_eq!(
            (listed[1].driver.as_str(), listed[1].name.as_str()),
            ("store/plugin:1", "routable")
        );
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let _ = json::<Info>(&bytes);
            let _ = json::<Version>(&bytes);
            let _ = listed_networks(&bytes);
            let _ = json_lines::<Container>(&bytes);
            let _ = names(&bytes);
            let _ = listed_containers(&bytes);
        }
    }
}
