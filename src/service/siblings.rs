//! Instances that no label tells about: the script made them, and an admin may have edited its `docker run`. What they were
//! made with, as the endpoint tells it, and a new one would lack. Pure.
//!
//! Told is what an endpoint shows to have been asked for: not what it fills in itself, nor what the image brings. That is
//! not all that `docker run` can be given. Values of environment variables are never read.

use std::collections::BTreeMap;

use super::arguments::Arguments;
use super::docker_flags::flag;
use super::{LABEL, Spec};
use crate::docker::answer::Mount;
use crate::inventory::{Inventory, MadeWith};
use crate::secrets::{MASK, join, redact, redact_text};
use crate::settings::{self, INSTANCE_ARGS};
use crate::text::list;

/// So many instances are named.
const NAMED: usize = 5;

/// What a VCH gives where nothing is asked for: megabytes, and CPUs.
const MEMORY_OF_A_VCH: u64 = 2048;
const CPUS_OF_A_VCH: &str = "2";

/// An argument of `docker run`: a flag by its long name, and its value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Given {
    flag: &'static str,
    /// Of `--env` the name alone.
    value: Option<String>,
}

/// Instances with the same arguments, which new ones would lack.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Group {
    instances: Vec<String>,
    lacking: Vec<Given>,
}

/// What the instances have that no label tells about, and new ones would lack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lacking(Vec<Group>);

/// `None` where nothing is known that a new instance as `spec` says would lack.
pub fn lacking(spec: &Spec, inventory: &Inventory) -> Option<Lacking> {
    let mut groups: BTreeMap<Vec<Given>, Vec<String>> = BTreeMap::new();
    for instance in inventory.instances.values() {
        let labelled = instance.labels.contains_key(LABEL);
        let Some(made) = instance.made_with.as_ref().filter(|_| !labelled) else {
            continue;
        };
        let image = inventory.environments.get(&instance.image_id);
        let mut lacking = if inventory.is_vch() {
            on_vch(made)
        } else {
            on_engine(made, inventory.endpoint.podman)
        };
        lacking.extend(image.into_iter().flat_map(|image| variables(made, image)));
        lacking.retain(|given| given.can_be_shown() && !says(&spec.instance_args, given));
        if !lacking.is_empty() {
            let alike = groups.entry(lacking).or_default();
            alike.push(instance.name.clone());
        }
    }
    let groups = groups
        .into_iter()
        .map(|(lacking, instances)| Group { instances, lacking });
    let mut groups: Vec<Group> = groups.collect();
    // What most of them have comes first.
    groups.sort_by_key(|group| usize::MAX - group.instances.len());
    (!groups.is_empty()).then_some(Lacking(groups))
}

/// The ID of the image whose environment tells which variables instances were given: that of one that no label tells about.
/// Where images are known by their IDs: on an engine.
pub fn image(inventory: &Inventory) -> Option<&str> {
    let mut instances = inventory.instances.values();
    let told_by_none =
        instances.find(|it| !it.labels.contains_key(LABEL) && it.made_with.is_some());
    let image = told_by_none.filter(|_| !inventory.is_vch())?;
    let is_id =
        !image.image_id.is_empty() && image.image_id.bytes().all(|it| it.is_ascii_hexdigit());
    is_id.then_some(image.image_id.as_str())
}

impl Lacking {
    /// Who has what.
    pub fn told(&self) -> String {
        let groups = self.0.iter().map(|group| {
            let flags: Vec<String> = group.lacking.iter().map(Given::shown).collect();
            let verb = if group.instances.len() == 1 {
                "was"
            } else {
                "were"
            };
            let who = named(&group.instances);
            format!("{who} {verb} made with {}", list(&flags))
        });
        groups.collect::<Vec<_>>().join("; ")
    }

    /// `flags`, which make `up` keep the service of `spec` as it is, with what most of the siblings have besides.
    pub fn flags(&self, spec: &Spec, flags: Vec<String>) -> Vec<String> {
        let option = format!(
            "--{}",
            settings::setting(INSTANCE_ARGS).map_or_else(String::new, settings::Setting::flag)
        );
        let mut words = Vec::new();
        let mut flags = flags.into_iter();
        while let Some(word) = flags.next() {
            if word == option {
                flags.next();
            } else {
                words.push(word);
            }
        }
        let own = redact_text(&shell_words::join(spec.instance_args.words()));
        let theirs = self.0.iter().take(1).flat_map(|group| &group.lacking);
        let theirs: Vec<String> = theirs.flat_map(Given::words).collect();
        let all = [own, join(&redact(&theirs))];
        let all: Vec<String> = all.into_iter().filter(|words| !words.is_empty()).collect();
        words.extend([option, all.join(" ")]);
        words
    }
}

fn named(instances: &[String]) -> String {
    match instances.get(NAMED..) {
        Some(more) if more.len() > 1 => {
            let names: Vec<String> = instances[..NAMED]
                .iter()
                .map(|name| format!("`{name}`"))
                .collect();
            format!("{} and {} more", names.join(", "), more.len())
        }
        _ => list(instances),
    }
}

impl Given {
    fn new(flag: &'static str, value: impl Into<String>) -> Self {
        let value = Some(value.into());
        Self { flag, value }
    }

    fn switch(flag: &'static str) -> Self {
        Self { flag, value: None }
    }

    /// As words for docker. The value of a variable is not known: a command that holds the mask is refused.
    fn words(&self) -> Vec<String> {
        let value = match self.flag {
            "--env" => self.value.as_ref().map(|name| format!("{name}={MASK}")),
            _ => self.value.clone(),
        };
        [self.flag.to_owned()].into_iter().chain(value).collect()
    }

    fn shown(&self) -> String {
        let words = [self.flag.to_owned()].into_iter();
        let words: Vec<String> = words.chain(self.value.clone()).collect();
        join(&redact(&words))
    }

    /// Others on the endpoint can have written it: what looks like another option or breaks the line is left out.
    fn can_be_shown(&self) -> bool {
        self.value.as_deref().is_none_or(|value| {
            let breaks =
                |c: char| c.is_control() || matches!(c, '`' | '\\' | char::REPLACEMENT_CHARACTER);
            !value.is_empty() && !value.starts_with('-') && !value.contains(breaks)
        })
    }
}

/// A VCH takes most flags and heeds few of them.
fn on_vch(made: &MadeWith) -> Vec<Given> {
    let mut given = Vec::new();
    let host = &made.host;
    if !matches!(host.memory, 0 | MEMORY_OF_A_VCH) {
        given.push(Given::new("--memory", format!("{}m", host.memory)));
    }
    if !matches!(host.cpuset_cpus.as_str(), "" | CPUS_OF_A_VCH) {
        given.push(Given::new("--cpuset-cpus", &host.cpuset_cpus));
    }
    given
}

fn on_engine(made: &MadeWith, podman: bool) -> Vec<Given> {
    let host = &made.host;
    let mut given = Vec::new();
    for (flag, bytes) in [
        ("--memory", host.memory),
        ("--memory-reservation", host.memory_reservation),
    ] {
        if bytes > 0 {
            given.push(Given::new(flag, size(bytes)));
        }
    }
    if host.nano_cpus > 0 {
        given.push(Given::new("--cpus", billionths(host.nano_cpus)));
    }
    if host.cpu_shares > 0 {
        given.push(Given::new("--cpu-shares", host.cpu_shares.to_string()));
    }
    if !host.cpuset_cpus.is_empty() {
        given.push(Given::new("--cpuset-cpus", &host.cpuset_cpus));
    }
    if !made.restart.is_empty() {
        given.push(Given::new("--restart", &made.restart));
    }
    let binds = host.binds.iter().filter(|bind| !is_anonymous(bind));
    given.extend(binds.map(|bind| Given::new("--volume", bind)));
    given.extend(host.mounts.iter().filter_map(mount));
    given.extend(host.privileged.then(|| Given::switch("--privileged")));
    given.extend(host.readonly_rootfs.then(|| Given::switch("--read-only")));
    let capability = |name: &String| name.strip_prefix("CAP_").unwrap_or(name).to_owned();
    let added = host.cap_add.iter();
    given.extend(added.map(|name| Given::new("--cap-add", capability(name))));
    // Podman drops some of its own accord.
    let dropped = host.cap_drop.iter().filter(|_| !podman);
    given.extend(dropped.map(|name| Given::new("--cap-drop", capability(name))));
    let hosts = host.extra_hosts.iter();
    given.extend(hosts.map(|host| Given::new("--add-host", host)));
    given
}

/// Variables that the image does not bring.
fn variables<'a>(made: &'a MadeWith, image: &'a [String]) -> impl Iterator<Item = Given> + 'a {
    let is_name = |name: &&String| {
        name.chars()
            .all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
    };
    let own = made.env.iter().filter(|name| !image.contains(name));
    own.filter(is_name).map(|name| Given::new("--env", name))
}

/// A volume that nobody named has 64 digits for a name.
fn is_anonymous(bind: &str) -> bool {
    let name = bind.split(':').next().unwrap_or_default();
    name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// As `--mount` takes it; `None` where it could mean something else by the time it is read as CSV.
fn mount(mount: &Mount) -> Option<Given> {
    let Mount {
        kind,
        source,
        target,
        read_only,
    } = mount;
    let is_plain = |text: &String| !text.contains([',', '"', '=']);
    if target.is_empty() || ![kind, source, target].into_iter().all(is_plain) {
        return None;
    }
    let mut fields = vec![format!("type={kind}")];
    if !source.is_empty() {
        fields.push(format!("source={source}"));
    }
    fields.push(format!("target={target}"));
    fields.extend(read_only.then(|| "readonly".to_owned()));
    Some(Given::new("--mount", fields.join(",")))
}

/// Bytes in the largest unit that fits.
fn size(bytes: u64) -> String {
    let units = [(30, "g"), (20, "m"), (10, "k")];
    let fits = |&(shift, _): &(u32, _)| bytes.trailing_zeros() >= shift;
    units.into_iter().find(fits).map_or_else(
        || format!("{bytes}b"),
        |(shift, unit)| format!("{}{unit}", bytes >> shift),
    )
}

fn billionths(number: u64) -> String {
    const ONE: u64 = 1_000_000_000;
    let text = format!("{}.{:09}", number / ONE, number % ONE);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Whether `args` say it already, or say otherwise.
fn says(args: &Arguments, given: &Given) -> bool {
    let value = given.value.as_deref().unwrap_or_default();
    let key = key(given.flag, value);
    args.pairs().any(|(option, said)| {
        let option = flag(option).map_or(option, |flag| flag.name);
        let said = said.unwrap_or_default();
        match (given.flag, option) {
            ("--env", "--env-file")
            | ("--volume" | "--mount", "--volumes-from")
            | ("--cpus", "--cpu-quota" | "--cpu-period")
            | ("--cap-add", "--privileged") => true,
            ("--volume" | "--mount", "--volume" | "--mount")
            | ("--env", "--env")
            | ("--add-host", "--add-host") => self::key(option, said) == key,
            ("--cap-add" | "--cap-drop", _) if option == given.flag => {
                let said = self::key(option, said);
                said == "ALL" || said == key
            }
            _ => option == given.flag,
        }
    })
}

/// What one container can have once: of a variable its name, of a volume its place in the container.
fn key(flag: &str, value: &str) -> String {
    match flag {
        "--env" => value.split('=').next().unwrap_or_default().to_owned(),
        "--add-host" => value
            .split([':', '='])
            .next()
            .unwrap_or_default()
            .to_owned(),
        "--volume" => {
            let place = value.split(':').nth(1).unwrap_or(value);
            place.trim_end_matches('/').to_owned()
        }
        "--mount" => {
            let mut fields = value.split(',').filter_map(|field| field.split_once('='));
            let place = fields.find(|(key, _)| matches!(*key, "target" | "destination" | "dst"));
            let place = place.map_or(value, |(_, place)| place);
            place.trim_end_matches('/').to_owned()
        }
        "--cap-add" | "--cap-drop" => {
            let name = value.to_ascii_uppercase();
            name.strip_prefix("CAP_").unwrap_or(&name).to_owned()
        }
        _ => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::docker::answer;
    use crate::inventory::tests::engine;
    use crate::inventory::{Container, Kind};
    use crate::service::tests::spec;

    /// An instance as `docker inspect` tells of it, with what it was made with.
    fn instance(number: u32, made: &Value) -> Container {
        let mut told = json!({
            "Name": format!("/web-{number}"),
            "State": {"Status": "running"},
            "Image": "sha256:abc",
            "ConfigImage": "httpd",
            "Networks": {"web-net": {"IPAddress": "172.18.0.2"}},
        });
        for (field, value) in made.as_object().unwrap() {
            told[field] = value.clone();
        }
        Container::new(answer::json(told.to_string().as_bytes()).unwrap())
    }

    fn inventory(kind: Kind, instances: &[Value]) -> Inventory {
        let endpoint = crate::inventory::Endpoint { kind, ..engine() };
        let Spec { service, .. } = spec(&[]);
        let instances = (1..)
            .zip(instances)
            .map(|(number, made)| instance(number, made));
        Inventory::new(&service, endpoint, Vec::new(), instances)
    }

    fn told(args: &str, inventory: &Inventory) -> String {
        let spec = spec(&[("INSTANCE_ARGS", args)]);
        lacking(&spec, inventory).map_or_else(String::new, |lacking| lacking.told())
    }

    #[test]
    fn what_was_asked_for_is_told_and_what_is_filled_in_is_not() {
        let host = |host: Value| json!({"HostConfig": host});
        let cases = [
            (json!({}), ""),
            (
                json!({"HostConfig": null, "RestartPolicy": null, "Env": null}),
                "",
            ),
            (
                json!({"HostConfig": {"Memory": 0, "MemoryReservation": 0, "NanoCpus": 0, "CpuShares": 0, "CpusetCpus": "", "Binds": null,
                    "Mounts": null, "Privileged": false, "ReadonlyRootfs": false, "CapAdd": null, "CapDrop": [], "ExtraHosts": []},
                    "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0}, "Env": ["PATH=/bin"]}),
                "",
            ),
            (
                host(json!({"Memory": "?", "Binds": {}, "Privileged": "yes", "CapAdd": [1]})),
                "",
            ),
            (host(json!({"Memory": 64 << 20})), "`--memory 64m`"),
            (host(json!({"Memory": 3_u64 << 30})), "`--memory 3g`"),
            (host(json!({"Memory": 6_000_001})), "`--memory 6000001b`"),
            (
                host(json!({"MemoryReservation": 512 << 10})),
                "`--memory-reservation 512k`",
            ),
            (host(json!({"NanoCpus": 500_000_000})), "`--cpus 0.5`"),
            (host(json!({"NanoCpus": 2_000_000_000_u64})), "`--cpus 2`"),
            (
                host(json!({"CpuShares": 512, "CpusetCpus": "0-1"})),
                "`--cpu-shares 512` and `--cpuset-cpus 0-1`",
            ),
            (
                json!({"RestartPolicy": {"Name": "always"}}),
                "`--restart always`",
            ),
            (
                json!({"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3}}),
                "`--restart on-failure:3`",
            ),
            (
                host(json!({"Binds": ["data:/data", "/srv:/srv:ro"]})),
                "`--volume data:/data` and `--volume /srv:/srv:ro`",
            ),
            (
                host(json!({"Binds": [format!("{}:/data", "ab".repeat(32))]})),
                "",
            ),
            (
                host(
                    json!({"Mounts": [{"Type": "volume", "Source": "data", "Target": "/data", "ReadOnly": true}]}),
                ),
                "`--mount type=volume,source=data,target=/data,readonly`",
            ),
            (
                host(json!({"Mounts": [{"Type": "volume", "Source": "a,b", "Target": "/data"}]})),
                "",
            ),
            (
                host(
                    json!({"Privileged": true, "ReadonlyRootfs": true, "CapAdd": ["CAP_NET_ADMIN"], "CapDrop": ["ALL"]}),
                ),
                "`--privileged`, `--read-only`, `--cap-add NET_ADMIN` and `--cap-drop ALL`",
            ),
            (
                host(json!({"ExtraHosts": ["db:10.0.0.7"]})),
                "`--add-host db:10.0.0.7`",
            ),
        ];
        for (made, expected) in cases {
            let expected = match expected {
                "" => String::new(),
                flags => format!("`web-1` was made with {flags}"),
            };
            let inventory = inventory(Kind::Engine, std::slice::from_ref(&made));
            assert_eq!(told("", &inventory), expected, "{made}");
        }
    }

    #[test]
    fn what_a_label_or_a_setting_tells_is_not_told() {
        let edited = json!({"HostConfig": {"Memory": 64 << 20, "Binds": ["data:/data"], "CapAdd": ["NET_ADMIN"], "ExtraHosts": ["db:10.0.0.7"],
            "NanoCpus": 500_000_000}});
        let mut labelled = edited.clone();
        labelled["Labels"] = json!({LABEL: "1 --memory 64m --"});
        assert_eq!(told("", &inventory(Kind::Engine, &[labelled])), "");
        let inventory = inventory(Kind::Engine, &[edited]);
        for (args, expected) in [
            (
                "-m 128m -v other:/data/ --cap-add net_admin --add-host db=10.0.0.8 --cpus=1",
                "",
            ),
            (
                "--memory 64m --mount type=volume,src=x,dst=/data --cap-add ALL --add-host db:1.1.1.1 --cpu-quota 1000",
                "",
            ),
            (
                "-m 64m --cpus 1 --volumes-from x --privileged",
                "`--add-host db:10.0.0.7`",
            ),
            (
                "-m 64m --cpus 1 -v data:/srv --privileged",
                "`--volume data:/data` and `--add-host db:10.0.0.7`",
            ),
        ] {
            let expected = match expected {
                "" => String::new(),
                flags => format!("`web-1` was made with {flags}"),
            };
            assert_eq!(told(args, &inventory), expected, "{args}");
        }
    }

    #[test]
    fn of_a_vch_only_what_it_heeds_and_does_not_fill_in() {
        let vch = |memory: u64, cpus: &str| {
            let made = json!({"HostConfig": {"Memory": memory, "CpusetCpus": cpus, "NanoCpus": 500_000_000, "Privileged": true,
                "Binds": ["data:/data"]}, "RestartPolicy": {"Name": "always"}});
            told("", &inventory(Kind::Vch, &[made]))
        };
        assert_eq!(vch(2048, "2"), "");
        assert_eq!(vch(0, ""), "");
        assert_eq!(
            vch(512, "1"),
            "`web-1` was made with `--memory 512m` and `--cpuset-cpus 1`"
        );
    }

    #[test]
    fn podman_drops_capabilities_of_its_own_accord() {
        let made = json!({"HostConfig": {"CapDrop": ["CAP_MKNOD"]}});
        let mut inventory = inventory(Kind::Engine, &[made]);
        inventory.endpoint.podman = true;
        assert_eq!(told("", &inventory), "");
    }

    #[test]
    fn a_variable_is_told_by_its_name_where_the_image_is_known() {
        let made = json!({"Env": ["PATH=/bin", "TOKEN=geheim", "od`d=1", "X"]});
        let mut inventory = inventory(Kind::Engine, &[made]);
        assert_eq!(told("", &inventory), "");
        let environment = vec!["PATH".to_owned()];
        inventory.environments.insert("abc".into(), environment);
        assert_eq!(
            told("", &inventory),
            "`web-1` was made with `--env TOKEN` and `--env X`"
        );
        assert_eq!(told("-e TOKEN=1 -e X=2", &inventory), "");
        assert_eq!(told("--env-file x", &inventory), "");
        let spec = spec(&[("INSTANCE_ARGS", "-e A=secret")]);
        let flags = lacking(&spec, &inventory).unwrap().flags(&spec, Vec::new());
        assert_eq!(
            flags,
            ["--instance-args", "-e A=*** --env TOKEN=*** --env X=***"]
        );
    }

    #[test]
    fn those_that_are_alike_are_told_together_and_most_of_them_decide() {
        let few = json!({"HostConfig": {"Memory": 32 << 20}});
        let many = json!({"HostConfig": {"Memory": 64 << 20}});
        let all: Vec<Value> = [few]
            .into_iter()
            .chain(std::iter::repeat_n(many, 8))
            .chain([json!({})])
            .collect();
        let inventory = inventory(Kind::Engine, &all);
        assert_eq!(
            told("", &inventory),
            "`web-2`, `web-3`, `web-4`, `web-5`, `web-6` and 3 more were made with `--memory 64m`; `web-1` was made with \
             `--memory 32m`"
        );
        let spec = spec(&[]);
        let lacking = lacking(&spec, &inventory).unwrap();
        let given = ["-n", "5", "--instance-args", "--old"].map(str::to_owned);
        assert_eq!(
            lacking.flags(&spec, given.to_vec()),
            ["-n", "5", "--instance-args", "--memory 64m"]
        );
    }

    #[test]
    fn what_others_wrote_smuggles_nothing() {
        let made = json!({"HostConfig": {
            "Binds": ["--privileged", "a`b:/c", "a\nb:/d", "a b:/e; rm -rf /"],
            "CapAdd": ["-v"],
        }});
        let inventory = inventory(Kind::Engine, &[made]);
        assert_eq!(
            told("", &inventory),
            "`web-1` was made with `--volume 'a b:/e; rm -rf /'`"
        );
        let spec = spec(&[]);
        let flags = lacking(&spec, &inventory).unwrap().flags(&spec, Vec::new());
        assert_eq!(flags, ["--instance-args", "--volume 'a b:/e; rm -rf /'"]);
    }
}
