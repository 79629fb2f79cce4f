//! `config.json`: how the endpoint behaves in this test. Read once a call; every field has a default.

use std::collections::BTreeMap;
use std::env;

use serde::{Deserialize, Serialize};

use crate::store::Store;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Flavor {
    #[default]
    Engine,
    Vch,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum UnknownImages {
    #[default]
    Pullable,
    Refuse,
}

/// What a container's table of sockets shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Sockets {
    /// Whoever answers at its addresses is the container.
    #[default]
    Own,
    /// Whoever answers, or refuses, is somebody else: the load balancer listens, and nobody is connected with it.
    Elsewhere,
    Unreadable,
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) flavor: Flavor,
    /// The endpoint's own version: `20.10.24` for an engine, `1.5.8` for a VCH, unless given.
    pub(crate) version: Option<String>,
    /// The client's version: from 23 on texts differ, from 28 on usage errors do.
    pub(crate) client: String,
    /// Milliseconds by command: pull, run, create, start, stop, rm, kill, cp, exec, connect, network; `read` for the rest.
    /// `pull_line`: after each line that a pull prints.
    pub(crate) delays_ms: BTreeMap<String, u64>,
    /// A VCH answers every so manieth changing call with a conflict, and does nothing.
    pub(crate) conflict_every: u64,
    /// How many copies into a running container leave half of the file.
    pub(crate) truncate_cp: u64,
    /// How many looks a VCH says `Starting` after a start.
    pub(crate) starting_inspects: u64,
    /// How many looks pass until a container's address on the external network is known.
    pub(crate) address_delay_inspects: u64,
    pub(crate) unknown_images: UnknownImages,
    /// Images that differ from the usual, by name, or by name and generation (`app:1@2`).
    pub(crate) images: BTreeMap<String, Preset>,
    /// Networks that are there from the start; `null` takes one of the usual away.
    pub(crate) networks: BTreeMap<String, Option<NetworkPreset>>,
    /// How many HUPs the load balancer loses before it hears one.
    pub(crate) lose_hup: u64,
    /// Whether a HUP within a second of the one before is lost.
    pub(crate) drop_fast_hup: bool,
    /// How long the load balancer's old worker lives on after a reload.
    pub(crate) old_worker_ms: u64,
    /// How many connections it has meanwhile.
    pub(crate) old_connections: u64,
    /// How long that one goes on taking connections.
    pub(crate) old_listens_ms: u64,
    /// How long the load balancer takes to load a configuration, as where names resolve slowly.
    pub(crate) load_ms: u64,
    /// How long it tries to bind before it gives up.
    pub(crate) bind_ms: u64,
    /// A port that it may not bind.
    pub(crate) refused_port: Option<u16>,
    /// Whether it ends where it could not bind in a reload, as 2.0.0 and 2.4.0 do.
    pub(crate) ends_after_refusal: bool,
    /// How long ago its files were put there, and how long the machine has been up, in seconds; not told, as where there is no
    /// `stat`, by default.
    pub(crate) files: Option<String>,
    /// At which HUP it ends, from 1, without a word.
    pub(crate) ends_at_hup: Option<usize>,
    /// What HAProxy says of servers at these instances, as columns: `DOWN,L7STS,503`.
    pub(crate) server_states: BTreeMap<String, String>,
    /// How many execs say that they succeeded, but did not run.
    pub(crate) idle_execs: u64,
    /// How many copies out of a container come as an archive that holds nothing.
    pub(crate) empty_archives: u64,
    /// What containers have to ask a socket with; none: `socat`, `perl` and `nc` are missing.
    pub(crate) socket_client: bool,
    /// Whether containers have `flock`.
    pub(crate) flock: bool,
    /// Whether container names resolve; if not, every named server is unknown to HAProxy.
    pub(crate) names_resolve: bool,
    /// The endpoint can't be reached: the client's words for it.
    pub(crate) unreachable: Option<String>,
    /// The endpoint refuses every call that comes without `DOCKER_API_VERSION`, in these words.
    pub(crate) api_refusal: Option<String>,
    /// How many networks of one's own there may be.
    pub(crate) max_networks: Option<usize>,
    /// Whether `exec` works.
    pub(crate) exec: bool,
    /// How long `wait` waits on a VCH.
    pub(crate) wait_cap_ms: u64,
    /// `info`'s warnings.
    pub(crate) warnings: Vec<String>,
    /// What a VCH's `info` says of itself, in place of the usual or beside it.
    pub(crate) system_status: BTreeMap<String, String>,
    /// Podman behind docker's API.
    pub(crate) podman: bool,
    /// The endpoint's name for itself.
    pub(crate) name: Option<String>,
    pub(crate) sockets: Sockets,
    /// The client's contexts, by name: where their endpoints are.
    pub(crate) contexts: BTreeMap<String, String>,
    /// The one that `docker context use` chose.
    pub(crate) current_context: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            flavor: Flavor::Engine,
            version: None,
            client: "20.10.24".into(),
            delays_ms: BTreeMap::new(),
            conflict_every: 0,
            truncate_cp: 0,
            starting_inspects: 0,
            address_delay_inspects: 0,
            unknown_images: UnknownImages::Pullable,
            images: BTreeMap::new(),
            networks: BTreeMap::new(),
            lose_hup: 0,
            drop_fast_hup: false,
            old_worker_ms: 0,
            old_connections: 1,
            old_listens_ms: 0,
            load_ms: 0,
            bind_ms: 2300,
            refused_port: None,
            ends_after_refusal: false,
            files: None,
            ends_at_hup: None,
            server_states: BTreeMap::new(),
            idle_execs: 0,
            empty_archives: 0,
            socket_client: true,
            flock: true,
            names_resolve: true,
            unreachable: None,
            api_refusal: None,
            max_networks: None,
            exec: true,
            wait_cap_ms: 180_000,
            warnings: Vec::new(),
            system_status: BTreeMap::new(),
            podman: false,
            name: None,
            sockets: Sockets::Own,
            contexts: BTreeMap::new(),
            current_context: None,
        }
    }
}

/// How an image differs from one that just runs.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Preset {
    /// The registry doesn't give it, in these words (`true` words are made up).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) refuse: Option<String>,
    /// The one that a digest or another tag names too: makes the ids equal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) same_as: Option<String>,
    /// How many layers it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) layers: Option<usize>,
    /// Exposed ports, such as 8080 or "53/udp".
    pub(crate) exposed: Vec<serde_json::Value>,
    pub(crate) env: Vec<String>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) cmd: Option<Vec<String>>,
    pub(crate) entrypoint: Option<Vec<String>>,
    pub(crate) user: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stop_signal: Option<String>,
    /// Has a health check.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) health: Option<Health>,
    /// Exits as soon as it's started, with this code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) exits: Option<i32>,
    /// Exits after so many looks (`inspect` or `ps`), with code 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) dies_after: Option<u64>,
    /// Lines it logs when it starts; behind `!` on stderr.
    pub(crate) logs: Vec<String>,
    /// What it really listens on, where that isn't what it exposes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) listens: Option<u16>,
    /// `start` fails, in these words of the endpoint; the container stays created.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) start_error: Option<String>,
    /// Is an HAProxy of this version, whatever it's called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) haproxy: Option<String>,
    /// Fails the checks of a load balancer for so many milliseconds after its start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fails_checks_ms: Option<u64>,
    /// Ignores its stop signal: `stop` burns the grace period and kills.
    pub(crate) ignores_term: bool,
}

/// A health check's course, in looks since the start; neither given is a check that never ends.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Health {
    pub(crate) healthy_after: Option<u64>,
    pub(crate) unhealthy_after: Option<u64>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct NetworkPreset {
    pub(crate) driver: Option<String>,
    pub(crate) subnet: Option<String>,
    /// The addresses that a VCH's container network gives out, such as `10.0.0.9-10.0.0.20`, where they aren't all.
    pub(crate) ip_range: Option<String>,
    /// What `network inspect` says in place of its subnet.
    pub(crate) shown_subnet: Option<String>,
    pub(crate) internal: bool,
    /// A VCH's container network whose addresses come from DHCP: none of them is shown by `network inspect`.
    pub(crate) dhcp: bool,
    /// A VCH's container network firewall: published (as usual), open, peers, outbound, closed.
    pub(crate) firewall: Option<String>,
    pub(crate) labels: BTreeMap<String, String>,
}

impl Config {
    pub(crate) fn load(store: &Store) -> Result<Self, String> {
        let mut config: Self = match store.read("config.json") {
            Some(text) => serde_json::from_slice(&text).map_err(|error| error.to_string())?,
            None => Self::default(),
        };
        match env::var("FAKE_DOCKER_FLAVOR").as_deref() {
            Err(_) | Ok("") => {}
            Ok("engine") => config.flavor = Flavor::Engine,
            Ok("vch") => config.flavor = Flavor::Vch,
            Ok(other) => return Err(format!("FAKE_DOCKER_FLAVOR: {other}")),
        }
        Ok(config)
    }

    pub(crate) fn is_vch(&self) -> bool {
        self.flavor == Flavor::Vch
    }

    pub(crate) fn version(&self) -> &str {
        let usual = if self.is_vch() { "1.5.8" } else { "20.10.24" };
        self.version.as_deref().unwrap_or(usual)
    }

    /// Whether the endpoint is of this version or a later one.
    pub(crate) fn at_least(&self, version: &str) -> bool {
        parts(self.version()) >= parts(version)
    }

    pub(crate) fn client_at_least(&self, major: u64) -> bool {
        parts(&self.client)
            .first()
            .is_some_and(|have| *have >= major)
    }

    pub(crate) fn api_version(&self) -> &'static str {
        if self.is_vch() {
            "1.25"
        } else {
            api_of(self.version())
        }
    }

    /// On a VCH from 1.5.2 on a stopped container keeps its address, and its place in the network.
    pub(crate) fn stopped_keep_addresses(&self) -> bool {
        self.is_vch() && self.at_least("1.5.2")
    }
}

/// The API version of an engine or a client.
pub(crate) fn api_of(version: &str) -> &'static str {
    match parts(version).first() {
        Some(0..=17) => "1.25",
        Some(18..=19) => "1.40",
        Some(20..=22) => "1.41",
        Some(23) => "1.42",
        Some(24) => "1.43",
        Some(25..=27) => "1.47",
        Some(28) => "1.50",
        _ => "1.52",
    }
}

/// A version's numbers, to compare.
pub(crate) fn parts(version: &str) -> Vec<u64> {
    version
        .split(['.', '-'])
        .map_while(|part| part.parse().ok())
        .collect()
}
