//! What the endpoint is and has: its kind and version, the two networks, the names, room, and the images.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use super::{Check, Wanted, numbers};
use crate::docker::answer::{Info, ListedNetwork, Network, ServerVersion};
use crate::error::Failure;
use crate::inventory::{Container, Endpoint, Inventory, Kind};
use crate::spec::Publish;
use crate::spec::names::{Count, ImageRef, Names, NetworkName};
use crate::ui::{list, plural};

/// What can be checked only where an endpoint answers.
pub const ABOUT: [&str; 7] = [KIND, EXTERNAL, NETWORK, NAMES, ROOM, IMAGES, RELOADS];

const KIND: &str = "kind";
const EXTERNAL: &str = "external-network";
const NETWORK: &str = "bridge-network";
const NAMES: &str = "names";
const ROOM: &str = "room";
const IMAGES: &str = "images";
const RELOADS: &str = "reloads";

/// How many networks of their own the users of a VCH have room for, unless its admin gave them more.
const VCH_NETWORKS: usize = 15;
/// What a container VM gets unless `--memory` says otherwise.
const VM_MEMORY: f64 = 2.0 * 1_073_741_824.0;

/// What an endpoint that answers was found to have.
#[derive(Debug)]
pub struct There {
    pub info: Info,
    pub server: Option<ServerVersion>,
    /// All networks; an error where they could not be listed.
    pub networks: Result<Vec<ListedNetwork>, Failure>,
    /// EXTERNAL_NET; `None` where it does not exist or its name is unusable.
    pub external: Result<Option<Network>, Failure>,
    /// The service; `None` while its names are unusable.
    pub inventory: Option<Result<Inventory, Failure>>,
    /// Containers on the bridge network that are not this service's.
    pub strangers: Vec<String>,
    /// IDs of those images that are there, by the name that was asked for.
    pub images: Result<BTreeMap<String, String>, Failure>,
}

impl There {
    pub fn is_vch(&self) -> bool {
        self.endpoint().kind == Kind::Vch
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::new(self.info.clone())
    }

    fn inventory(&self) -> Option<&Inventory> {
        self.inventory
            .as_ref()
            .and_then(|found| found.as_ref().ok())
    }

    /// The endpoint's own version, as far as it is numbers.
    fn version(&self) -> Option<(u32, u32, u32)> {
        numbers(&self.info.server_version).or_else(|| numbers(&self.server.as_ref()?.version))
    }

    /// What a VCH says under a key.
    fn status(&self, key: &str) -> Option<&str> {
        let mut pairs = self.info.system_status.iter();
        pairs
            .find(|(known, _)| known == key)
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }
}

pub(super) fn checks(there: &There, wanted: &Wanted) -> Vec<Check> {
    let mut checks = kind(there);
    checks.extend(external(there, wanted));
    match (&there.inventory, &wanted.names) {
        (Some(Err(failure)), _) => {
            let otherwise = "`vch-lb status` asks the same questions";
            checks.push(Check::failed(NAMES, failure, otherwise));
        }
        (Some(Ok(inventory)), Some(names)) => {
            checks.extend(network(there, names, inventory));
            checks.extend(self::names(names, wanted, inventory));
        }
        _ => {}
    }
    checks.extend(room(there, wanted));
    checks.extend(images(there, wanted));
    checks.extend(
        wanted
            .lb_image
            .as_ref()
            .map(|image| reloads(there, wanted, image)),
    );
    checks
}

/// Something about certain versions of VIC.
struct Pitfall {
    from: (u32, u32, u32),
    before: (u32, u32, u32),
    fatal: bool,
    what: &'static str,
    remedy: &'static str,
}

const fn pitfall(
    from: (u32, u32, u32),
    before: (u32, u32, u32),
    what: &'static str,
    remedy: &'static str,
) -> Pitfall {
    Pitfall {
        from,
        before,
        fatal: false,
        what,
        remedy,
    }
}

const UPGRADE: &str = "ask its admin to upgrade it to 1.5.5 or later";

#[rustfmt::skip]
static PITFALLS: &[Pitfall] = &[
    Pitfall {
        fatal: true,
        ..pitfall((0, 0, 0), (1, 2, 0), "has no `docker cp` and no `docker exec`: haproxy.cfg can't get into the load balancer", UPGRADE)
    },
    pitfall((1, 2, 0), (1, 3, 0), "leaves the anonymous volumes of removed containers behind", UPGRADE),
    pitfall((1, 2, 0), (1, 4, 0), "has a security flaw in `docker cp`, which 1.4.0 mended", UPGRADE),
    pitfall((1, 2, 0), (1, 5, 2), "may give a container another address when it is started again", "run `vch-lb up` after containers were restarted, so that the load balancer finds them again; 1.5.2 keeps addresses"),
    pitfall((1, 2, 0), (1, 5, 3), "may forget labels when it is restarted, and with them an instance's further arguments", "run `vch-lb up` with the same INSTANCE_ARGS after a restart of the VCH, or have it upgraded to 1.5.5 or later"),
    pitfall((1, 5, 2), (1, 5, 5), "never frees the address of a container that `docker rm -f` removed while it ran, so that its network can't be removed", "stop containers before you remove them by hand; a network with `active endpoints` and no container needs a restart of the VCH, or have it upgraded to 1.5.5 or later"),
];

/// What answers: a VCH, an engine, or something else.
fn kind(there: &There) -> Vec<Check> {
    let Endpoint {
        kind,
        name,
        version,
        ..
    } = there.endpoint();
    let called = |between: &str| match name.as_str() {
        "" => String::new(),
        name => format!("{between} `{name}`"),
    };
    if kind == Kind::Engine {
        return vec![engine(there, &version, &called(" on"))];
    }
    let vch = format!("VCH{}", called(""));
    let stopped = there.info.system_status.iter().find(|(key, value)| {
        key.ends_with("Backend Engine") && !value.is_empty() && value != "RUNNING"
    });
    if let Some((_, state)) = stopped {
        let found = format!("{vch}, whose own engine is {state}");
        return vec![Check::failure(KIND, found, "ask its admin to restart it")];
    }
    let Some(version) = there.version() else {
        let found = format!("{vch} on VIC `{version}`, whatever version that is");
        return vec![Check::ok(KIND, found)];
    };
    let (major, minor, patch) = version;
    let mut checks = vec![Check::ok(
        KIND,
        format!("{vch} on VIC {major}.{minor}.{patch}"),
    )];
    for pitfall in PITFALLS {
        if (pitfall.from..pitfall.before).contains(&version) {
            let found = format!("VIC {major}.{minor}.{patch} {}", pitfall.what);
            let check = if pitfall.fatal {
                Check::failure
            } else {
                Check::warning
            };
            checks.push(check(KIND, found.as_str(), pitfall.remedy));
        }
    }
    checks
}

fn engine(there: &There, version: &str, on: &str) -> Check {
    let parts = there
        .server
        .as_ref()
        .map(|server| server.components.as_slice())
        .unwrap_or_default();
    match parts.first() {
        Some(first) if !parts.iter().any(|part| part.name == "Engine") => Check::warning(
            KIND,
            format!(
                "{} {}{on}, which is neither a Docker Engine nor a VCH",
                first.name, first.version
            ),
            "go on if you like: what speaks Docker's API may serve as well, but other words of its errors are not known",
        ),
        _ => Check::ok(KIND, format!("Docker Engine {version}{on}")),
    }
}

/// EXTERNAL_NET: there, and of a kind that clients can reach.
fn external(there: &There, wanted: &Wanted) -> Vec<Check> {
    let Some(name) = &wanted.external_net else {
        return Vec::new();
    };
    let network = match &there.external {
        Err(failure) => {
            let otherwise = "`docker network inspect` asks the same";
            return vec![Check::failed(EXTERNAL, failure, otherwise)];
        }
        Ok(None) => return vec![no_external(there, name)],
        Ok(Some(network)) => network,
    };
    let driver = network.driver.as_str();
    if there.is_vch() {
        if driver != "external" {
            let found =
                format!("`{name}` is a {driver} network of the VCH, not a container network");
            return vec![Check::failure(EXTERNAL, found, choose(there))];
        }
        return container_network(there, name, network, wanted.publish);
    }
    if network.scope == "swarm" && !network.attachable {
        let found = format!("`{name}` is a swarm network that takes no containers of their own");
        let remedy = "make it with `--attachable`, or set EXTERNAL_NET to another network";
        return vec![Check::failure(EXTERNAL, found, remedy)];
    }
    if network.internal {
        let found = format!("`{name}` is internal: only containers on it reach the load balancer");
        let remedy = "set EXTERNAL_NET to a network that was made without `--internal`";
        return vec![Check::warning(EXTERNAL, found, remedy)];
    }
    let check = Check::ok(
        EXTERNAL,
        format!("`{name}`, with the driver `{driver}`{}", subnets(network)),
    );
    if driver == "bridge" && wanted.publish != Some(Publish::Always) {
        return vec![check.noted(
            "addresses of a bridge network are reached from the engine's own machine; for others, PUBLISH_LB=always opens LB_PORT on it",
        )];
    }
    vec![check]
}

fn subnets(network: &Network) -> String {
    let subnets: Vec<&str> = network
        .ipam
        .config
        .iter()
        .map(|pool| pool.subnet.as_str())
        .filter(|subnet| !subnet.is_empty())
        .collect();
    match subnets.as_slice() {
        [] => String::new(),
        some => format!(" and the subnet {}", some.join(", ")),
    }
}

/// The networks that EXTERNAL_NET could name.
fn candidates(there: &There) -> Vec<&str> {
    let networks = there
        .networks
        .as_ref()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let suits = |network: &&ListedNetwork| {
        if there.is_vch() {
            network.driver == "external"
        } else {
            !matches!(network.driver.as_str(), "host" | "null")
        }
    };
    networks
        .iter()
        .filter(suits)
        .map(|network| network.name.as_str())
        .collect()
}

fn choose(there: &There) -> String {
    let found = candidates(there);
    match (there.is_vch(), found.is_empty()) {
        (true, true) => "ask the VCH's admin for a container network (`vic-machine configure --container-network`)".to_owned(),
        (true, false) => format!("set EXTERNAL_NET to a container network of this VCH: {}", list(&found)),
        (false, true) => "make one with `docker network create`, and set EXTERNAL_NET to it".to_owned(),
        (false, false) => format!("set EXTERNAL_NET to one that is there, {}, or make it with `docker network create`", list(&found)),
    }
}

fn no_external(there: &There, name: &NetworkName) -> Check {
    let found = if there.is_vch() {
        format!("the VCH has no container network `{name}`")
    } else {
        format!("there is no network `{name}`")
    };
    Check::failure(EXTERNAL, found, choose(there))
}

/// A container network of a VCH: where its addresses come from, whether one is left, and who gets in.
fn container_network(
    there: &There,
    name: &NetworkName,
    network: &Network,
    publish: Option<Publish>,
) -> Vec<Check> {
    let pools = network.ipam.config.iter();
    let ranges: Vec<&str> = pools
        .map(|pool| match pool.ip_range.as_str() {
            "" => pool.subnet.as_str(),
            range => range,
        })
        .filter(|range| !range.is_empty())
        .collect();
    let size: Option<usize> = ranges.iter().map(|range| size(range)).sum();
    let used = network.containers.len();
    let addresses = match (ranges.is_empty(), size) {
        (true, _) => "by DHCP".to_owned(),
        (false, None) => ranges.join(", "),
        (false, Some(size)) => format!("{}, {used} of {size} in use", ranges.join(", ")),
    };
    let found = format!("container network `{name}`, addresses {addresses}");
    let has_lb = there
        .inventory()
        .is_some_and(|inventory| inventory.lb.is_some());
    if !ranges.is_empty() && size.is_some_and(|size| used >= size) && !has_lb {
        let remedy = "remove containers on it that are not needed, stopped ones too, or choose another EXTERNAL_NET";
        return vec![Check::failure(EXTERNAL, found, remedy)];
    }
    let check = Check::ok(EXTERNAL, found);
    if publish != Some(Publish::Never) {
        return vec![check.noted(
            "how the VCH's firewall treats it can't be read: the usual `published` lets in what PUBLISH_LB opens, `closed` and `outbound` nobody",
        )];
    }
    let found = "PUBLISH_LB is `never`: unless its firewall is `open`, which can't be read, nobody reaches LB_PORT";
    let remedy = "set PUBLISH_LB to auto, unless the VCH's admin says that the network is open";
    vec![check, Check::warning(EXTERNAL, found, remedy)]
}

/// How many addresses `FIRST-LAST` holds.
fn size(range: &str) -> Option<usize> {
    let (first, last) = range.split_once('-')?;
    let number = |text: &str| text.trim().parse::<Ipv4Addr>().ok().map(u32::from);
    let span = number(last)?.checked_sub(number(first)?)?;
    usize::try_from(span).ok()?.checked_add(1)
}

/// PREFIX-net: free, ours or another's; and room for one more on a VCH.
fn network(there: &There, names: &Names, inventory: &Inventory) -> Vec<Check> {
    let name = names.network();
    let Some(bridge) = &inventory.bridge else {
        let mut checks = vec![Check::ok(NETWORK, format!("`{name}` is free"))];
        checks.extend(network_room(there));
        return checks;
    };
    if bridge.driver != "bridge" {
        let found = format!(
            "`{name}` is there with the driver `{}`, which is no bridge network's",
            bridge.driver
        );
        return vec![Check::failure(
            NETWORK,
            found,
            "choose another INSTANCE_CTR_PREFIX",
        )];
    }
    if !there.strangers.is_empty() {
        let found = format!(
            "`{name}` is there, with {} on it, not this service's",
            list(&there.strangers)
        );
        let remedy = "choose another INSTANCE_CTR_PREFIX, or move them: they share the network with the instances, and `vch-lb down` leaves it";
        return vec![Check::warning(NETWORK, found, remedy)];
    }
    let service = inventory.lb.is_some() || !inventory.instances.is_empty();
    let found = if service {
        format!("`{name}` is this service's")
    } else {
        format!("`{name}` is there, empty, and will be used")
    };
    vec![Check::ok(NETWORK, found)]
}

fn network_room(there: &There) -> Option<Check> {
    let networks = there.networks.as_ref().ok().filter(|_| there.is_vch())?;
    let own = networks
        .iter()
        .filter(|network| network.driver == "bridge" && network.name != "bridge")
        .count();
    let remedy = "remove networks that are not needed (`docker network ls`), or ask the VCH's admin for more (`--bridge-network-range`)";
    let there_are = format!(
        "{} there already",
        if own == 1 {
            "1 bridge network is".to_owned()
        } else {
            format!("{own} bridge networks are")
        }
    );
    if own >= VCH_NETWORKS {
        let found = format!(
            "{there_are}: a VCH has room for {VCH_NETWORKS}, unless its admin gave it more"
        );
        Some(Check::warning(NETWORK, found, remedy))
    } else if own + 2 >= VCH_NETWORKS {
        let found = format!(
            "{there_are}, and a VCH has room for {VCH_NETWORKS}, unless its admin gave it more"
        );
        Some(Check::warning(NETWORK, found, remedy))
    } else {
        None
    }
}

/// The containers' names: free, ours, or taken by something else.
fn names(names: &Names, wanted: &Wanted, inventory: &Inventory) -> Vec<Check> {
    let mut checks: Vec<Check> = inventory
        .conflicts
        .iter()
        .map(|conflict| {
            let found = format!(
                "`{}` is another's: a container of `{}` that is not on `{}`",
                conflict.name,
                conflict.image,
                names.network()
            );
            let setting = if conflict.name == names.lb.as_str() {
                "LB_CTR_NAME"
            } else {
                "INSTANCE_CTR_PREFIX"
            };
            let remedy = format!(
                "choose another {setting}, or remove it with `docker rm -f {}`",
                conflict.name
            );
            Check::failure(NAMES, found, remedy)
        })
        .collect();
    if let Some(aside) = &inventory.lb_aside {
        let found = format!(
            "`{}` is left over from replacing `{}`",
            aside.name, names.lb
        );
        checks.push(Check::warning(
            NAMES,
            found,
            "`vch-lb up` brings it to an end",
        ));
    }
    if !checks.is_empty() {
        return checks;
    }
    let instances = inventory.instances.len();
    let found = match (&inventory.lb, instances) {
        (None, 0) => {
            let count = wanted.count.map_or(1, Count::get);
            let last = names.instance(u32::try_from(count).unwrap_or(u32::MAX));
            let all = match count {
                1 => format!("`{last}`"),
                2 => format!("`{}` and `{last}`", names.instance(1)),
                _ => format!("`{}` to `{last}`", names.instance(1)),
            };
            format!("`{}` and {all} are free", names.lb)
        }
        (Some(lb), 0) => format!("`{}` is this service's, without an instance", lb.name),
        (Some(lb), _) => format!(
            "`{}` and {} are this service's",
            lb.name,
            plural(instances, "instance")
        ),
        (None, _) => format!(
            "{} of this service, without a load balancer",
            plural(instances, "instance")
        ),
    };
    vec![Check::ok(NAMES, found)]
}

/// Memory and the like, where the endpoint tells.
fn room(there: &There, wanted: &Wanted) -> Vec<Check> {
    if !there.is_vch() {
        let memory = there.info.mem_total;
        if memory == 0 {
            return Vec::new();
        }
        #[expect(clippy::cast_precision_loss, reason = "for people")]
        let memory = gib(memory as f64);
        let cpus = usize::try_from(there.info.ncpu).unwrap_or_default();
        let found = format!(
            "{} and {memory} of memory in all; an engine does not tell what is free",
            plural(cpus, "CPU")
        );
        return vec![Check::ok(ROOM, found)];
    }
    let mut checks = Vec::new();
    let told = |what: &str| {
        let limit = there.status(&format!("VCH {what} limit"))?;
        let used = there.status(&format!("VCH {what} usage"));
        Some((limit, used))
    };
    let quotas: Vec<String> = [("CPU", "CPU"), ("memory", "memory"), ("storage", "storage")]
        .into_iter()
        .filter_map(|(key, word)| {
            let (limit, used) = told(key)?;
            Some(match used {
                Some(used) => format!("{word} {used} of {limit}"),
                None => format!("{word} {limit}"),
            })
        })
        .collect();
    if quotas.is_empty() {
        return vec![Check::ok(ROOM, "the VCH does not tell its limits")];
    }
    checks.extend(memory(there, wanted, told("memory")));
    if let Some((limit, Some(used))) = told("storage")
        && let (Some(limit), Some(used)) = (bytes(limit), bytes(used))
        && limit > 0.0
        && used >= 0.9 * limit
    {
        let found = format!("{} of {} of storage are used", gib(used), gib(limit));
        let remedy = "remove images and containers that are not needed, or ask the VCH's admin for a higher quota";
        checks.push(Check::warning(ROOM, found, remedy));
    }
    if checks.is_empty() {
        checks.push(Check::ok(ROOM, format!("in use: {}", quotas.join(", "))));
    }
    checks
}

/// Whether what is still missing fits into a VCH's memory.
fn memory(there: &There, wanted: &Wanted, told: Option<(&str, Option<&str>)>) -> Option<Check> {
    let (limit, used) = told?;
    let limit = bytes(limit).filter(|limit| *limit > 0.0)?;
    let used = used.and_then(bytes).unwrap_or(0.0);
    let (running, lb) = there.inventory().map_or((0, false), |inventory| {
        let instances = inventory.instances.values();
        let running = instances.filter(|instance| instance.running()).count();
        (
            running,
            inventory.lb.as_ref().is_some_and(Container::running),
        )
    });
    let missing = wanted.count?.get().saturating_sub(running);
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let instances = missing as f64 * vm_memory(&wanted.instance_args);
    let needed = instances + if lb { 0.0 } else { vm_memory(&wanted.lb_args) };
    let left = (limit - used).max(0.0);
    (needed > left).then(|| {
        let found = format!(
            "{} to come take {}, but of {} only {} is left",
            plural(missing + usize::from(!lb), "container"),
            gib(needed),
            gib(limit),
            gib(left),
        );
        let remedy = "lower NUM_INSTANCES, give each less than the usual 2g with `--memory` in INSTANCE_ARGS (512m at least), or ask the VCH's admin for a higher limit";
        Check::warning(ROOM, found, remedy)
    })
}

/// What a container VM gets: `--memory`, but 512 MiB at least.
fn vm_memory(args: &[String]) -> f64 {
    let mut given = None;
    for (at, word) in args.iter().enumerate() {
        let inline = word
            .strip_prefix("--memory=")
            .or_else(|| word.strip_prefix("-m").filter(|rest| !rest.is_empty()))
            .map(|rest| rest.trim_start_matches('='));
        let next = matches!(word.as_str(), "--memory" | "-m").then(|| args.get(at + 1));
        given = inline.or(next.flatten().map(String::as_str)).or(given);
    }
    given
        .and_then(bytes)
        .map_or(VM_MEMORY, |given| given.max(VM_MEMORY / 4.0))
}

/// `94.6 GiB`, `512m` → bytes; all units are taken for powers of 1024, as docker takes them.
fn bytes(text: &str) -> Option<f64> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.');
    let (number, unit) = text.split_at(end.unwrap_or(text.len()));
    let unit = unit.trim().to_ascii_lowercase();
    let power = match unit.trim_end_matches('b').trim_end_matches('i') {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        _ => return None,
    };
    Some(number.parse::<f64>().ok()? * 1024_f64.powi(power))
}

fn gib(bytes: f64) -> String {
    let gib = bytes / 1_073_741_824.0;
    if gib < 10.0 && gib.fract() != 0.0 {
        format!("{gib:.1} GiB")
    } else {
        format!("{gib:.0} GiB")
    }
}

/// The two images: there, or to be had.
fn images(there: &There, wanted: &Wanted) -> Vec<Check> {
    let found = match &there.images {
        Ok(found) => found,
        Err(failure) => {
            let otherwise = "`docker image inspect` asks the same";
            return vec![Check::failed(IMAGES, failure, otherwise)];
        }
    };
    let both = [
        (wanted.image.as_ref(), "INSTANCE_IMG"),
        (wanted.lb_image.as_ref(), "LB_IMG"),
    ];
    // A service that is there already pulls only what is missing.
    let pulls_always = there.inventory().is_none_or(Inventory::is_empty);
    both.into_iter()
        .filter_map(|(image, setting)| Some((image?, setting)))
        .map(|(image, setting)| {
            let present = found.contains_key(image.as_str());
            image_check(there, image, setting, present, pulls_always)
        })
        .collect()
}

fn image_check(
    there: &There,
    image: &ImageRef,
    setting: &str,
    present: bool,
    pulls_always: bool,
) -> Check {
    let shown = format!("`{image}` ({setting})");
    let state = if present {
        "is on the endpoint"
    } else {
        "will be pulled"
    };
    let plain = Check::ok(IMAGES, format!("{shown} {state}"));
    if !there.is_vch() || (present && !pulls_always) {
        return plain;
    }
    let registry = registry(image.as_str());
    let refused =
        whitelist(there).filter(|allowed| !allowed.iter().any(|entry| lets_in(entry, registry)));
    if let Some(allowed) = refused {
        let host = if registry.is_empty() {
            "docker.io"
        } else {
            registry
        };
        let found = format!(
            "{shown} comes from {host}, which is not on the VCH's whitelist: {}",
            list(&allowed)
        );
        let remedy = "use an image from a registry on it, or ask the VCH's admin for `vic-machine configure --whitelist-registry`";
        return either(present, found, remedy);
    }
    if registry.is_empty() {
        let found = if present {
            format!(
                "{shown} is on the VCH, but can't be pulled anew: Docker Hub no longer serves what a VCH reads (schema 1 manifests)"
            )
        } else {
            format!(
                "{shown} is not on the VCH, and Docker Hub no longer serves what a VCH reads (schema 1 manifests)"
            )
        };
        let remedy = format!(
            "push the image to a registry that still does, such as a Harbor that converts, and name it in {setting}"
        );
        return either(present, found, &remedy).into_warning();
    }
    plain
}

/// An image that is there saves the day, if it is not pulled.
fn either(present: bool, found: String, remedy: &str) -> Check {
    if present {
        Check::warning(
            IMAGES,
            found,
            format!("deploy with --pull missing; or {remedy}"),
        )
    } else {
        Check::failure(IMAGES, found, remedy)
    }
}

impl Check {
    fn into_warning(self) -> Self {
        Self {
            verdict: super::Verdict::Warning,
            ..self
        }
    }
}

/// The registry of an image's name; empty for Docker Hub.
fn registry(image: &str) -> &str {
    match image.split_once('/') {
        Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => match first {
            "docker.io" | "index.docker.io" | "registry-1.docker.io" => "",
            _ => first,
        },
        _ => "",
    }
}

/// The registries that a VCH in whitelist mode pulls from.
fn whitelist(there: &There) -> Option<Vec<&str>> {
    let mode = there.status("Registry Whitelist Mode")?;
    let listed = there.status("Whitelisted Registries").unwrap_or_default();
    mode.starts_with("enabled").then(|| {
        listed
            .split([',', ' ', '[', ']'])
            .filter(|entry| !entry.is_empty())
            .collect()
    })
}

/// Whether an entry of a whitelist, a host, a wildcard domain or a range, may mean a registry.
fn lets_in(entry: &str, registry: &str) -> bool {
    let entry = entry.split_once("://").map_or(entry, |(_, rest)| rest);
    let host = |text: &str| {
        text.split(':')
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase()
    };
    let wanted = if registry.is_empty() {
        "docker.io".to_owned()
    } else {
        host(registry)
    };
    if let Some(domain) = entry.strip_prefix('*') {
        return wanted.ends_with(&host(domain));
    }
    // What is in a range of addresses can't be told without resolving names.
    entry.contains('/')
        || host(entry) == wanted
        || (registry.is_empty() && host(entry).ends_with(".docker.io"))
}

/// How well the load balancer's image reloads.
fn reloads(there: &There, wanted: &Wanted, image: &ImageRef) -> Check {
    let Some(version) = image.version_in_tag() else {
        return Check::ok(RELOADS, format!("the tag of `{image}` does not tell HAProxy's version")).noted(
            "a tag that begins with it lets 1.8 to 2.5 hand their connections over at a reload; later ones do so by themselves",
        );
    };
    let (major, minor) = version;
    if version < (1, 6) {
        let found = format!(
            "HAProxy {major}.{minor} can't be reloaded: `vch-lb scale` and `vch-lb rollout` will fail"
        );
        return Check::warning(RELOADS, found, "set LB_IMG to haproxy:1.8 or later");
    }
    if version < (1, 8) {
        let found = format!(
            "HAProxy {major}.{minor} resets about 0.3 connections at each reload under heavy load"
        );
        let remedy = "set LB_IMG to haproxy:1.8 or later, which lose none";
        return Check::warning(RELOADS, found, remedy);
    }
    let check = Check::ok(
        RELOADS,
        format!("HAProxy {major}.{minor} reloads without losing a connection"),
    );
    let low = wanted.lb_port.is_some_and(|port| port.get() < 1024);
    if there.is_vch() && low && version >= (2, 4) {
        return check.noted(
            "from 2.4 on its image does not run as root; should it be refused a port below 1024 on a VCH, take a higher LB_PORT or an older image",
        );
    }
    check
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::tests::{about, facts};
    use super::super::{Verdict, diagnose};
    use super::*;
    use crate::docker::answer::{Component, Ipam, Plugins, Pool};
    use crate::inventory::tests::container;
    use crate::inventory::{self, State};
    use crate::spec::tests::spec;

    fn listed(driver: &str, name: &str) -> ListedNetwork {
        ListedNetwork {
            driver: driver.into(),
            name: name.into(),
        }
    }

    fn external_net(driver: &str, subnet: &str, range: &str) -> Network {
        let pool = Pool {
            subnet: subnet.into(),
            ip_range: range.into(),
        };
        Network {
            name: "routable".into(),
            driver: driver.into(),
            ipam: Ipam {
                config: if subnet.is_empty() {
                    vec![]
                } else {
                    vec![pool]
                },
            },
            ..Network::default()
        }
    }

    fn with_containers(
        info: Info,
        server: ServerVersion,
        external: Network,
        containers: Vec<inventory::Container>,
    ) -> There {
        let spec = spec(&[]);
        let mut networks = vec![external.clone()];
        let bridge = Network {
            name: "web-net".into(),
            driver: "bridge".into(),
            ..Network::default()
        };
        let any = !containers.is_empty();
        networks.extend(any.then_some(bridge));
        let inventory = Inventory::new(
            &spec.names,
            &spec.external_net,
            Endpoint::new(info.clone()),
            networks,
            containers,
        );
        There {
            info,
            server: Some(server),
            networks: Ok(vec![
                listed("bridge", "bridge"),
                listed(&external.driver, "routable"),
            ]),
            external: Ok(Some(external)),
            inventory: Some(Ok(inventory)),
            strangers: Vec::new(),
            images: Ok(BTreeMap::new()),
        }
    }

    pub(crate) fn engine() -> There {
        let info = Info {
            name: "engine".into(),
            driver: "overlay2".into(),
            server_version: "20.10.24".into(),
            ncpu: 4,
            mem_total: 8 << 30,
            ..Info::default()
        };
        let server = ServerVersion {
            version: "20.10.24".into(),
            api_version: "1.41".into(),
            components: vec![Component {
                name: "Engine".into(),
                version: "20.10.24".into(),
            }],
        };
        with_containers(
            info,
            server,
            external_net("bridge", "10.1.0.0/16", ""),
            vec![],
        )
    }

    pub(crate) fn vch(version: &str) -> There {
        vch_with(version, &[], vec![])
    }

    fn vch_with(
        version: &str,
        status: &[(&str, &str)],
        containers: Vec<inventory::Container>,
    ) -> There {
        let status = status
            .iter()
            .map(|&(key, value)| (key.to_owned(), value.to_owned()));
        let info = Info {
            id: "vSphere Integrated Containers".into(),
            name: "vch".into(),
            driver: "vSphere Integrated Containers v1.5.8-1-a Backend Engine".into(),
            server_version: version.into(),
            plugins: Plugins {
                network: vec!["bridge".into(), "routable".into()],
            },
            system_status: status.collect(),
            ..Info::default()
        };
        let server = ServerVersion {
            version: "1.5.8".into(),
            api_version: "1.25".into(),
            components: vec![],
        };
        let external = external_net("external", "192.168.4.0/24", "192.168.4.140-192.168.4.199");
        with_containers(info, server, external, containers)
    }

    fn seen(there: There, subject: &str) -> Vec<String> {
        about(&diagnose(&facts(Some(Ok(there)))).checks, subject)
    }

    fn running(name: &str) -> inventory::Container {
        let networks = [("web-net", "172.18.0.2"), ("routable", "10.0.0.2")];
        container(name, State::Running, &networks, "httpd")
    }

    #[test]
    fn what_answers_is_named() {
        assert_eq!(
            seen(engine(), KIND),
            ["ok: Docker Engine 20.10.24 on `engine`"]
        );
        let mut podman = engine();
        podman.server = Some(ServerVersion {
            components: vec![Component {
                name: "Podman Engine".into(),
                version: "4.9.3".into(),
            }],
            ..ServerVersion::default()
        });
        assert_eq!(
            seen(podman, KIND),
            [
                "warning: Podman Engine 4.9.3 on `engine`, which is neither a Docker Engine nor a VCH"
            ]
        );
        let stopped = [(
            "vSphere Integrated Containers v1.5.8 Backend Engine",
            "STOPPED",
        )];
        assert_eq!(
            seen(vch_with("v1.5.8-1-a", &stopped, vec![]), KIND),
            ["failure: VCH `vch`, whose own engine is STOPPED"]
        );
    }

    #[test]
    fn versions_of_vic_have_their_pitfalls() {
        let verdicts = |version: &str| -> Vec<String> {
            let checks = kind(&vch(version));
            checks
                .iter()
                .map(|check| check.verdict.word().to_owned())
                .collect()
        };
        assert_eq!(verdicts("v1.5.8-21000-a"), ["ok"]);
        assert_eq!(verdicts("v1.5.5"), ["ok"]);
        assert_eq!(verdicts("v1.5.4-1-a"), ["ok", "warning"]);
        assert_eq!(verdicts("v1.5.2-1-a"), ["ok", "warning", "warning"]);
        assert_eq!(verdicts("v1.4.3-1-a"), ["ok", "warning", "warning"]);
        assert_eq!(
            verdicts("v1.2.1-1-a"),
            ["ok", "warning", "warning", "warning", "warning"]
        );
        assert_eq!(verdicts("v1.1.1-1-a"), ["ok", "failure"]);
        // A build number alone says nothing; then the endpoint's version does.
        assert_eq!(kind(&vch("21000"))[0].found, "VCH `vch` on VIC 1.5.8");
    }

    #[test]
    fn an_external_network_has_to_be_a_container_network_on_a_vch() {
        let with = |external: Option<Network>| There {
            external: Ok(external),
            ..vch("v1.5.8-1-a")
        };
        assert_eq!(
            seen(vch("v1.5.8-1-a"), EXTERNAL),
            [
                "ok: container network `routable`, addresses 192.168.4.140-192.168.4.199, 0 of 60 in use"
            ]
        );
        assert_eq!(
            seen(with(Some(external_net("external", "", ""))), EXTERNAL),
            ["ok: container network `routable`, addresses by DHCP"]
        );
        assert_eq!(
            seen(
                with(Some(external_net("bridge", "172.16.0.0/16", ""))),
                EXTERNAL
            ),
            ["failure: `routable` is a bridge network of the VCH, not a container network"]
        );
        let name = spec(&[]).external_net;
        let check = no_external(&with(None), &name);
        assert_eq!(check.verdict, Verdict::Failure);
        assert_eq!(
            check.remedy.as_deref(),
            Some("set EXTERNAL_NET to a container network of this VCH: `routable`")
        );
        let full = Network {
            containers: [("a", "b")]
                .map(|(id, _)| (id.to_owned(), serde::de::IgnoredAny))
                .into(),
            ..external_net("external", "10.0.0.0/24", "10.0.0.9-10.0.0.9")
        };
        assert_eq!(
            seen(with(Some(full)), EXTERNAL),
            ["failure: container network `routable`, addresses 10.0.0.9-10.0.0.9, 1 of 1 in use"]
        );
    }

    #[test]
    fn an_external_network_of_an_engine_has_to_take_containers() {
        let with = |external: Network| There {
            external: Ok(Some(external)),
            ..engine()
        };
        assert_eq!(
            seen(engine(), EXTERNAL),
            ["ok: `routable`, with the driver `bridge` and the subnet 10.1.0.0/16"]
        );
        let swarm = Network {
            scope: "swarm".into(),
            ..external_net("overlay", "", "")
        };
        assert!(seen(with(swarm), EXTERNAL)[0].starts_with("failure"));
        let internal = Network {
            internal: true,
            ..external_net("bridge", "", "")
        };
        assert!(seen(with(internal), EXTERNAL)[0].starts_with("warning"));
        let none = There {
            external: Ok(None),
            ..engine()
        };
        assert_eq!(
            no_external(&none, &spec(&[]).external_net)
                .remedy
                .as_deref(),
            Some(
                "set EXTERNAL_NET to one that is there, `bridge` and `routable`, or make it with `docker network create`"
            )
        );
    }

    #[test]
    fn names_are_free_ours_or_taken() {
        assert_eq!(seen(engine(), NETWORK), ["ok: `web-net` is free"]);
        assert_eq!(
            seen(engine(), NAMES),
            ["ok: `lb` and `web-1` to `web-3` are free"]
        );
        let deployed = vch_with("v1.5.8-1-a", &[], vec![running("lb"), running("web-1")]);
        assert_eq!(
            seen(deployed, NAMES),
            ["ok: `lb` and 1 instance are this service's"]
        );
        let elsewhere = container(
            "web-2",
            State::Running,
            &[("bridge", "172.17.0.2")],
            "postgres",
        );
        let taken = vch_with("v1.5.8-1-a", &[], vec![elsewhere]);
        assert_eq!(
            seen(taken, NAMES),
            ["failure: `web-2` is another's: a container of `postgres` that is not on `web-net`"]
        );
        let mut shared = vch_with("v1.5.8-1-a", &[], vec![running("web-1")]);
        shared.strangers = vec!["db".into()];
        assert_eq!(
            seen(shared, NETWORK),
            ["warning: `web-net` is there, with `db` on it, not this service's"]
        );
    }

    #[test]
    fn a_vch_has_room_for_so_many_networks() {
        let with = |count: usize| {
            let mut there = vch("v1.5.8-1-a");
            let own = (0..count).map(|number| listed("bridge", &format!("n{number}")));
            if let Ok(networks) = &mut there.networks {
                networks.extend(own);
            }
            seen(there, NETWORK).len()
        };
        assert_eq!([0, 12, 13, 15].map(with), [1, 1, 2, 2]);
    }

    #[test]
    fn memory_is_counted_for_what_is_still_missing() {
        let with = |used: &str, containers| {
            let status = [
                ("VCH memory limit", "16.0 GiB"),
                ("VCH memory usage", used),
                ("VCH storage usage", "1 GiB"),
            ];
            seen(vch_with("v1.5.8-1-a", &status, containers), ROOM)
        };
        assert_eq!(
            with("8 GiB", vec![]),
            ["ok: in use: memory 8 GiB of 16.0 GiB"]
        );
        assert_eq!(
            with("12 GiB", vec![]),
            ["warning: 4 containers to come take 8 GiB, but of 16 GiB only 4 GiB is left"]
        );
        let there = vec![running("lb"), running("web-1"), running("web-2")];
        assert!(with("12 GiB", there)[0].starts_with("ok"));
        let quota = [
            ("VCH storage limit", "10 GiB"),
            ("VCH storage usage", "9.5GiB"),
        ];
        assert_eq!(
            seen(vch_with("v1.5.8-1-a", &quota, vec![]), ROOM),
            ["warning: 9.5 GiB of 10 GiB of storage are used"]
        );
        assert_eq!(
            seen(vch("v1.5.8-1-a"), ROOM),
            ["ok: the VCH does not tell its limits"]
        );
    }

    #[test]
    fn sizes_and_ranges_are_read() {
        for (text, gib) in [("94.6 GiB", 94.6), ("512MiB", 0.5), ("1 TiB", 1024.0)] {
            let found = bytes(text).unwrap() / 1_073_741_824.0;
            assert!((found - gib).abs() < 0.001, "{text}: {found}");
        }
        assert_eq!(bytes("2 KB"), Some(2048.0));
        for odd in ["", "lots", "7 parsecs", ". GiB"] {
            assert_eq!(bytes(odd), None, "{odd}");
        }
        assert_eq!(size("10.0.0.1-10.0.0.10"), Some(10));
        for odd in ["10.0.0.0/24", "10.0.0.9-10.0.0.1", "a-b", ""] {
            assert_eq!(size(odd), None, "{odd}");
        }
    }

    #[test]
    fn memory_that_is_asked_for_counts() {
        let gib = |text: &str| {
            let words: Vec<String> = text.split(' ').map(str::to_owned).collect();
            vm_memory(&words) / 1_073_741_824.0
        };
        for (args, expected) in [
            ("", 2.0),
            ("--env A=1", 2.0),
            ("--memory 1g", 1.0),
            ("--memory=4GB", 4.0),
            ("-m 1g", 1.0),
            ("-m3g", 3.0),
            ("-m 64m", 0.5),
            ("--memory", 2.0),
        ] {
            assert!(
                (gib(args) - expected).abs() < 0.001,
                "{args}: {}",
                gib(args)
            );
        }
    }

    #[test]
    fn a_port_that_is_not_published_is_not_reached_on_a_vch() {
        let mut facts = facts(Some(Ok(vch("v1.5.8-1-a"))));
        facts.wanted.publish = Some(Publish::Never);
        let checks = about(&diagnose(&facts).checks, EXTERNAL);
        assert_eq!(checks.len(), 2);
        assert!(checks[1].starts_with("warning: PUBLISH_LB is `never`"));
    }

    fn image_checks(there: &There, image: &str) -> String {
        let wanted = Wanted {
            image: Some(ImageRef::parse(image).unwrap()),
            ..Wanted::default()
        };
        let check = images(there, &wanted).remove(0);
        format!("{}: {}", check.verdict.word(), check.found)
    }

    #[test]
    fn images_are_there_or_to_be_had() {
        assert_eq!(
            image_checks(&engine(), "httpd"),
            "ok: `httpd` (INSTANCE_IMG) will be pulled"
        );
        let mut vch = vch("v1.5.8-1-a");
        assert!(
            image_checks(&vch, "httpd")
                .starts_with("warning: `httpd` (INSTANCE_IMG) is not on the VCH, and")
        );
        assert!(image_checks(&vch, "docker.io/x/y:1").starts_with("warning"));
        assert!(image_checks(&vch, "harbor.example.com/x/y").starts_with("ok"));
        vch.images = Ok([("httpd".to_owned(), "id".to_owned())].into());
        assert!(
            image_checks(&vch, "httpd")
                .starts_with("warning: `httpd` (INSTANCE_IMG) is on the VCH, but")
        );
        let mut deployed = vch_with("v1.5.8-1-a", &[], vec![running("lb")]);
        deployed.images = vch.images.clone();
        assert!(image_checks(&deployed, "httpd").starts_with("ok"));
    }

    #[test]
    fn a_whitelist_lets_some_registries_in() {
        let status = [
            ("Registry Whitelist Mode", "enabled"),
            (
                "Whitelisted Registries",
                "[harbor.example.com:443 *.corp.example]",
            ),
        ];
        let there = vch_with("v1.5.8-1-a", &status, vec![]);
        assert!(image_checks(&there, "harbor.example.com/x").starts_with("ok"));
        assert!(image_checks(&there, "a.corp.example/x").starts_with("ok"));
        assert_eq!(
            image_checks(&there, "httpd"),
            "failure: `httpd` (INSTANCE_IMG) comes from docker.io, which is not on the VCH's whitelist: `harbor.example.com:443` and `*.corp.example`"
        );
        let open = [(
            "Registry Whitelist Mode",
            "disabled.  All registry access allowed.",
        )];
        assert!(whitelist(&vch_with("v1.5.8-1-a", &open, vec![])).is_none());
    }

    #[test]
    fn old_haproxys_reload_badly() {
        for (image, verdict) in [
            ("haproxy:1.5", Verdict::Warning),
            ("haproxy:1.7", Verdict::Warning),
            ("haproxy:1.8", Verdict::Ok),
            ("haproxy:2.6-alpine", Verdict::Ok),
            ("haproxy", Verdict::Ok),
        ] {
            let image = ImageRef::parse(image).unwrap();
            let check = reloads(&vch("v1.5.8-1-a"), &Wanted::default(), &image);
            assert_eq!(check.verdict, verdict, "{image}");
        }
    }

    #[test]
    fn unusable_settings_leave_the_rest_checked() {
        let mut facts = facts(Some(Ok(engine())));
        facts.wanted.names = None;
        facts.wanted.image = None;
        if let Some(Ok(there)) = &mut facts.there {
            there.inventory = None;
        }
        let checks = diagnose(&facts).checks;
        assert_eq!(about(&checks, NAMES), [""; 0]);
        assert_eq!(about(&checks, EXTERNAL).len(), 1);
        assert_eq!(
            about(&checks, IMAGES),
            ["ok: `haproxy:1.7` (LB_IMG) will be pulled"]
        );
    }
}
