//! Networks: their addresses, who is on them, and the `network` commands.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::os::unix::fs::FileExt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::Ctx;
use crate::args::Parsed;
use crate::config::{Config, NetworkPreset};
use crate::containers::{Container, Endpoint, Status};
use crate::listing::{Inspected, labels_match, rows};
use crate::pattern::Regex;
use crate::reply::{Refusal, Reply};
use crate::store::{Bound, Store, digest, encode};
use crate::{texts, times};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Network {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) driver: String,
    /// Such as `172.18.0.0/16`; empty for `host` and `none`.
    pub(crate) subnet: String,
    pub(crate) gateway: String,
    pub(crate) ip_range: String,
    pub(crate) internal: bool,
    pub(crate) labels: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) hides_gateway: bool,
    pub(crate) created: u64,
    /// Can't be removed.
    pub(crate) builtin: bool,
    pub(crate) dhcp: bool,
    pub(crate) firewall: String,
}

impl Network {
    pub(crate) fn external(&self) -> bool {
        self.driver == "external" || self.name == "routable"
    }

    fn range(&self) -> Option<(u32, u32)> {
        let (base, prefix) = self.subnet.split_once('/')?;
        let base: Ipv4Addr = base.parse().ok()?;
        Some((u32::from(base), prefix.parse().ok()?))
    }
}

/// The networks that are there from the start.
fn usual(config: &Config) -> Vec<(&'static str, NetworkPreset)> {
    let preset = |driver: &str, subnet: &str| NetworkPreset {
        driver: Some(driver.into()),
        subnet: Some(subnet.into()),
        ..NetworkPreset::default()
    };
    if config.is_vch() {
        vec![
            ("bridge", preset("bridge", "172.16.0.0/16")),
            ("routable", preset("external", "127.50.0.0/16")),
        ]
    } else {
        vec![
            ("bridge", preset("bridge", "172.17.0.0/16")),
            ("host", preset("host", "")),
            ("none", preset("null", "")),
            ("routable", preset("bridge", "127.50.0.0/16")),
        ]
    }
}

fn presets(config: &Config) -> BTreeMap<String, NetworkPreset> {
    let mut all: BTreeMap<String, NetworkPreset> = usual(config)
        .into_iter()
        .map(|(name, preset)| (name.to_owned(), preset))
        .collect();
    for (name, preset) in &config.networks {
        match preset {
            None => drop(all.remove(name)),
            Some(preset) => {
                let mut preset = preset.clone();
                if let Some(known) = all.get(name) {
                    preset.driver = preset.driver.or_else(|| known.driver.clone());
                    preset.subnet = preset.subnet.or_else(|| known.subnet.clone());
                }
                all.insert(name.clone(), preset);
            }
        }
    }
    all
}

fn from_preset(name: &str, preset: &NetworkPreset, config: &Config) -> Network {
    let usual_driver = if config.is_vch() {
        "external"
    } else {
        "bridge"
    };
    let driver = preset.driver.clone().unwrap_or_else(|| usual_driver.into());
    let subnet = preset
        .subnet
        .clone()
        .unwrap_or_else(|| "127.60.0.0/16".into());
    Network {
        hides_gateway: false,
        name: name.to_owned(),
        id: digest(&format!("network {name}")),
        gateway: gateway_of(&subnet),
        builtin: matches!(name, "bridge" | "host" | "none") || driver == "external",
        driver,
        subnet,
        ip_range: preset.ip_range.clone().unwrap_or_default(),
        internal: preset.internal,
        labels: preset.labels.clone(),
        created: 1_700_000_000 * times::SECOND,
        dhcp: preset.dhcp,
        firewall: preset
            .firewall
            .clone()
            .unwrap_or_else(|| "published".into()),
    }
}

fn gateway_of(subnet: &str) -> String {
    let base: Option<Ipv4Addr> = subnet.split('/').next().and_then(|base| base.parse().ok());
    base.map_or(String::new(), |base| {
        Ipv4Addr::from(u32::from(base) + 1).to_string()
    })
}

/// A network by its name.
pub(crate) fn find(store: &Store, config: &Config, name: &str) -> Option<Network> {
    if let Some(network) = store.load(&format!("networks/{}.json", encode(name))) {
        return Some(network);
    }
    if store.exists(&format!("networks/{}.removed", encode(name))) {
        return None;
    }
    presets(config)
        .get(name)
        .map(|preset| from_preset(name, preset, config))
}

/// A network by its name or id. Of several of that name, one.
pub(crate) fn find_any(store: &Store, config: &Config, reference: &str) -> Option<Network> {
    find(store, config, reference).or_else(|| {
        let id = reference.len() >= 12 && reference.bytes().all(|byte| byte.is_ascii_hexdigit());
        let mut all = if id { all(store, config) } else { Vec::new() }.into_iter();
        all.find(|network| network.id.starts_with(reference))
    })
}

/// The mark of a second network of that name, on which nobody is: two `network create` met on the endpoint.
fn twin_name(network: &str) -> String {
    format!("networks/{}.twin", encode(network))
}

fn twin(store: &Store, network: &Network) -> Option<Network> {
    let there = store.exists(&twin_name(&network.name));
    there.then(|| Network {
        hides_gateway: false,
        id: digest(&format!("twin of {}", network.id)),
        ..network.clone()
    })
}

/// Whether it is the second one of its name.
pub(crate) fn is_twin(store: &Store, config: &Config, network: &Network) -> bool {
    find(store, config, &network.name).is_some_and(|first| first.id != network.id)
}

/// The engine's refusal of a call by a name that several networks have.
pub(crate) fn ambiguity(store: &Store, name: &str) -> Option<Refusal> {
    let text = format!("network {name} is ambiguous (2 matches found on name)");
    store
        .exists(&twin_name(name))
        .then_some(Refusal::Daemon(text))
}

pub(crate) fn all(store: &Store, config: &Config) -> Vec<Network> {
    let mut names: Vec<String> = presets(config).into_keys().collect();
    names.extend(store.names("networks", ".json"));
    names.sort();
    names.dedup();
    names
        .iter()
        .filter_map(|name| find(store, config, name))
        .flat_map(|network| [twin(store, &network), Some(network)])
        .flatten()
        .collect()
}

// Addresses. A network's map holds a bit for each; the lock is held.

/// Takes the lowest free address, or the one that's asked for.
fn allocate(store: &Store, network: &Network, requested: &str) -> Result<(String, u32), String> {
    let Some((base, prefix)) = network.range() else {
        return Ok((String::new(), 0));
    };
    let size = 1_u32 << (32 - prefix).min(16);
    let file = store
        .open(&map_name(network))
        .expect("open the map of addresses");
    let mut map = vec![0_u8; usize::try_from(size / 8).expect("small").max(1)];
    let mut filled = 0;
    while let Ok(count @ 1..) =
        file.read_at(&mut map[filled..], u64::try_from(filled).expect("small"))
    {
        filled += count;
    }
    let gateway = network
        .gateway
        .parse::<Ipv4Addr>()
        .map_or(0, u32::from)
        .wrapping_sub(base);
    let usable = |offset: u32| offset != 0 && offset != gateway && offset < size - 1;
    let free =
        |offset: u32| map[usize::try_from(offset / 8).expect("small")] & (1 << (offset % 8)) == 0;
    let offset = if requested.is_empty() {
        (1..size)
            .find(|offset| usable(*offset) && free(*offset))
            .ok_or("full")?
    } else {
        let address: Ipv4Addr = requested.parse().map_err(|_| "invalid")?;
        let offset = u32::from(address).wrapping_sub(base);
        if offset >= size || !usable(offset) {
            return Err("outside".into());
        }
        if !free(offset) {
            return Err("taken".into());
        }
        offset
    };
    flip(&file, offset);
    Ok((Ipv4Addr::from(base + offset).to_string(), prefix))
}

fn flip(file: &std::fs::File, offset: u32) {
    let mut byte = [0_u8];
    let at = u64::from(offset / 8);
    let _ = file.read_at(&mut byte, at);
    byte[0] ^= 1 << (offset % 8);
    file.write_all_at(&byte, at).expect("note an address");
}

fn release(store: &Store, name: &str, address: &str, prefix: u32) {
    let Ok(address) = address.parse::<Ipv4Addr>() else {
        return;
    };
    let mask = u32::MAX.checked_shl(32 - prefix).unwrap_or(0);
    let file = store
        .open(&format!("networks/{}.map", encode(name)))
        .expect("open the map of addresses");
    flip(&file, u32::from(address) & !mask);
}

fn map_name(network: &Network) -> String {
    format!("networks/{}.map", encode(&network.name))
}

/// The hardware address that docker derives from an address.
pub(crate) fn mac(address: &str) -> String {
    let Ok(address) = address.parse::<Ipv4Addr>() else {
        return String::new();
    };
    let [a, b, c, d] = address.octets();
    format!("02:42:{a:02x}:{b:02x}:{c:02x}:{d:02x}")
}

impl Container {
    fn bound_as(&self, name: &str, address: &str) -> Bound {
        Bound {
            name: name.to_owned(),
            address: address.to_owned(),
            id: self.id.clone(),
            alias: name != self.name,
        }
    }

    /// Gives it an address on one of its networks. The lock is held; the caller saves.
    pub(crate) fn bind(
        &mut self,
        store: &Store,
        config: &Config,
        name: &str,
    ) -> Result<(), Refusal> {
        let endpoint = self.networks.get(name).cloned().unwrap_or_default();
        if !endpoint.address.is_empty() || endpoint.dead {
            return Ok(());
        }
        if let Some(refusal) = ambiguity(store, name) {
            return Err(refusal);
        }
        let network = find(store, config, name).filter(|network| network.id == endpoint.network_id);
        let Some(network) = network else {
            let text = if config.is_vch() {
                format!("Server error from portlayer: network {name} not found")
            } else {
                format!("network {} not found", endpoint.network_id)
            };
            return Err(Refusal::Daemon(text));
        };
        let (address, prefix) = allocate(store, &network, &endpoint.requested).map_err(|problem| {
            let asked = &endpoint.requested;
            Refusal::Daemon(match (problem.as_str(), config.is_vch()) {
                ("full", true) => format!("Server error from portlayer: No available IP address in current network {name}"),
                ("full", false) => format!("failed to set up container networking: no available IPv4 addresses on this network's address pools: {name} ({})", network.id),
                ("taken", true) => format!("Server error from portlayer: Cannot reserve IP range {asked} - {asked}.  Already in use"),
                ("taken", false) => "Address already in use".into(),
                (_, true) => format!("Server error from portlayer: {asked}: Not within pool's range"),
                (_, false) => format!("Invalid address {asked}: It does not belong to any of this network's subnets"),
            })
        })?;
        for known in std::iter::once(&self.name).chain(&endpoint.aliases) {
            store.bind(name, &self.bound_as(known, &address));
        }
        let endpoint = self.networks.entry(name.to_owned()).or_default();
        endpoint.address = address;
        endpoint.prefix = prefix;
        endpoint.gateway.clone_from(&network.gateway);
        Ok(())
    }

    pub(crate) fn unbind(&mut self, store: &Store, name: &str) {
        let Some(endpoint) = self.networks.get(name).cloned() else {
            return;
        };
        if endpoint.address.is_empty() && endpoint.network_id.is_empty() {
            return;
        }
        for known in std::iter::once(&self.name).chain(&endpoint.aliases) {
            store.unbind(name, &self.bound_as(known, &endpoint.address));
        }
        release(store, name, &endpoint.address, endpoint.prefix);
        if let Some(endpoint) = self.networks.get_mut(name) {
            endpoint.address.clear();
            endpoint.gateway.clear();
            endpoint.prefix = 0;
        }
    }

    pub(crate) fn unbind_all(&mut self, store: &Store) {
        for name in self.networks.keys().cloned().collect::<Vec<_>>() {
            self.unbind(store, &name);
        }
    }
}

// Commands.

pub(crate) fn create(ctx: &mut Ctx, call: &Parsed) -> Reply {
    let name = &call.operands[0];
    let (store, config) = (&ctx.store, &ctx.config);
    let _lock = store.lock();
    if let Some(known) = find(store, config, name) {
        let text = match (config.is_vch(), config.at_least("1.4.0")) {
            (true, true) => format!("vicnetwork {name} already exists"),
            (true, false) => format!("network {name} already exists"),
            _ if matches!(name.as_str(), "bridge" | "host" | "none") => {
                format!(
                    "operation is not permitted on predefined {} network ",
                    known.name
                )
            }
            _ => format!("network with name {name} already exists"),
        };
        return Reply::daemon_error(&text);
    }
    let driver = call.value("driver").unwrap_or("bridge");
    if driver != "bridge" {
        let text = match (config.is_vch(), driver) {
            (true, "external") => {
                "Server error from portlayer: cannot create external networks".to_owned()
            }
            (true, _) => "Server error from portlayer: scope type not supported".to_owned(),
            _ => format!("plugin \"{driver}\" not found"),
        };
        return Reply::daemon_error(&text);
    }
    let others = all(store, config);
    let own = others
        .iter()
        .filter(|network| !network.builtin && network.name != "routable")
        .count();
    let most = config
        .max_networks
        .unwrap_or(if config.is_vch() { 15 } else { 30 });
    let taken = |subnet: &str| {
        others
            .iter()
            .any(|network| overlap(&network.subnet, subnet))
    };
    let subnet = match call.value("subnet") {
        Some(subnet) => Some(subnet.to_owned()),
        None => (17..32)
            .map(|second| format!("172.{second}.0.0/16"))
            .chain((0..16).map(|part| format!("192.168.{}.0/20", part * 16)))
            .find(|subnet| !taken(subnet)),
    };
    let Some(subnet) = subnet.filter(|_| own < most) else {
        return Reply::daemon_error(if config.is_vch() {
            "Server error from portlayer: no IP addresses available in allocated range 172.16.0.0/12"
        } else {
            "could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network"
        });
    };
    if let Some(other) = others
        .iter()
        .find(|network| overlap(&network.subnet, &subnet))
    {
        return Reply::daemon_error(&if config.is_vch() {
            format!(
                "Server error from portlayer: subnet {subnet} overlaps with scope {} subnet {}",
                other.name, other.subnet
            )
        } else {
            "Pool overlaps with other one on this address space".to_owned()
        });
    }
    // An engine before 28 tells no gateway of a subnet that was given without one.
    let hides_gateway =
        !config.is_vch() && call.value("subnet").is_some() && call.value("gateway").is_none();
    let network = Network {
        hides_gateway,
        name: name.clone(),
        id: digest(&format!("network {name} {}", store.next("created"))),
        driver: "bridge".into(),
        gateway: call
            .value("gateway")
            .map_or_else(|| gateway_of(&subnet), str::to_owned),
        subnet,
        ip_range: String::new(),
        internal: call.on("internal"),
        labels: call.values("label").into_iter().map(pair).collect(),
        created: times::now(),
        builtin: false,
        dhcp: false,
        firewall: String::new(),
    };
    store.remove(&map_name(&network));
    store.store(&format!("networks/{}.json", encode(name)), &network);
    Reply::line(&network.id)
}

/// `key=value`, or a key alone.
pub(crate) fn pair(text: &str) -> (String, String) {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    (key.to_owned(), value.to_owned())
}

fn overlap(one: &str, other: &str) -> bool {
    let range = |subnet: &str| {
        let (base, prefix) = subnet.split_once('/')?;
        let base = u32::from(base.parse::<Ipv4Addr>().ok()?);
        let size = 1_u64 << (32 - prefix.parse::<u32>().ok()?.min(32));
        Some((u64::from(base), u64::from(base) + size))
    };
    match (range(one), range(other)) {
        (Some((a, b)), Some((c, d))) => a < d && c < b,
        _ => false,
    }
}

pub(crate) fn rm(ctx: &mut Ctx, call: &Parsed) -> Reply {
    let (store, config) = (&ctx.store, &ctx.config);
    let mut reply = Reply::default();
    for name in &call.operands {
        let _lock = store.lock();
        let Some(network) = find_any(store, config, name) else {
            if !call.on("force") {
                reply.fail(&texts::no_such_network(config, name).text());
            }
            continue;
        };
        let is_twin = is_twin(store, config, &network);
        let used = store.has_bound(&network.name) || store.exists(&leak_name(&network.name));
        let refusal = if ambiguity(store, name).is_some() {
            Some(format!(
                "network {name} is ambiguous (2 matches found based on name)"
            ))
        } else if network.builtin {
            Some(if config.is_vch() {
                "cannot remove builtin scope".to_owned()
            } else {
                format!("{name} is a pre-defined network and cannot be removed")
            })
        } else if used && !is_twin {
            Some(if config.is_vch() {
                format!("{name} has active endpoints")
            } else {
                format!(
                    "error while removing network: network {} id {} has active endpoints",
                    network.name, network.id
                )
            })
        } else {
            None
        };
        if let Some(text) = refusal {
            reply.fail(&format!("Error response from daemon: {text}"));
            continue;
        }
        let file = format!("networks/{}.json", encode(&network.name));
        let twin = twin(store, &network).filter(|_| !is_twin);
        store.remove(&twin_name(&network.name));
        match twin {
            // The second one is the first one now.
            Some(twin) => store.store(&file, &twin),
            None if is_twin => {}
            None => {
                store.remove(&file);
                store.remove(&map_name(&network));
                store.touch(&format!("networks/{}.removed", encode(&network.name)));
            }
        }
        reply.out(name);
    }
    if reply.code != 0 && config.client_at_least(28) {
        reply.err("exit status 1");
    }
    reply
}

/// The mark of an endpoint that `rm -f` leaked, as VCHs 1.5.2 to 1.5.4 do.
pub(crate) fn leak_name(network: &str) -> String {
    format!("networks/{}.leaked", encode(network))
}

pub(crate) fn connect(ctx: &mut Ctx, call: &Parsed) -> Reply {
    let (store, config) = (&ctx.store, &ctx.config);
    let (name, target) = (&call.operands[0], &call.operands[1]);
    let _lock = store.lock();
    let Some(mut container) = store.container(target) else {
        let text = if config.is_vch() {
            format!("container {target} not found")
        } else {
            format!("No such container: {target}")
        };
        return Reply::daemon_error(&text);
    };
    if let Some(refusal) = ambiguity(store, name) {
        return refusal.reply();
    }
    let Some(network) = find_any(store, config, name) else {
        let text = if config.is_vch() {
            format!("Server error from portlayer: scope {name} not found")
        } else {
            format!("network {name} not found")
        };
        return Reply::daemon_error(&text);
    };
    if container.networks.contains_key(&network.name) {
        return if config.is_vch() {
            Reply::default()
        } else {
            Reply::daemon_error(&format!(
                "endpoint with name {} already exists in network {}",
                container.name, network.name
            ))
        };
    }
    if config.is_vch() && network.external() {
        let others = container
            .networks
            .keys()
            .filter_map(|name| find(store, config, name));
        if others.into_iter().any(|other| other.external()) {
            return Reply::daemon_error(&texts::scope_error(
                "container can only be added to at most one mapped network",
            ));
        }
    }
    let endpoint = Endpoint {
        network_id: network.id.clone(),
        requested: call.value("ip").unwrap_or("").to_owned(),
        aliases: call
            .values("alias")
            .into_iter()
            .map(str::to_owned)
            .collect(),
        // A VCH takes the connection of a container that has been started, and gives it no address, ever.
        dead: config.is_vch() && container.status != Status::Created,
        ..Endpoint::default()
    };
    container.networks.insert(network.name.clone(), endpoint);
    if container.running()
        && let Err(refusal) = container.bind(store, config, &network.name)
    {
        return refusal.reply();
    }
    store.save(&container);
    Reply::default()
}

pub(crate) fn disconnect(ctx: &mut Ctx, call: &Parsed) -> Reply {
    let (store, config) = (&ctx.store, &ctx.config);
    let (name, target) = (&call.operands[0], &call.operands[1]);
    if config.is_vch() {
        return texts::unimplemented("DisconnectContainerFromNetwork").reply();
    }
    let _lock = store.lock();
    let Some(network) = find_any(store, config, name) else {
        return Reply::daemon_error(&format!("network {name} not found"));
    };
    let Some(mut container) = store.container(target) else {
        return texts::no_such_container_daemon(target).reply();
    };
    if !container.networks.contains_key(&network.name) {
        return Reply::daemon_error(&format!(
            "container {} is not connected to network {}",
            container.id, network.name
        ));
    }
    container.unbind(store, &network.name);
    container.networks.remove(&network.name);
    store.save(&container);
    Reply::default()
}

pub(crate) fn inspect(ctx: &mut Ctx, call: &Parsed) -> Reply {
    let (store, config) = (&ctx.store, &ctx.config);
    let mut found = Inspected::new(call.value("format"), config);
    for name in &call.operands {
        match find_any(store, config, name) {
            Some(_) if ambiguity(store, name).is_some() => found.missing(format!(
                "Error response from daemon: 2 matches found based on name: network {name} is ambiguous"
            )),
            Some(network) => found.add(details(store, config, &network)),
            None => found.missing(texts::no_such_network(config, name).text()),
        }
    }
    found.reply()
}

fn details(store: &Store, config: &Config, network: &Network) -> Value {
    let vch = config.is_vch();
    let mut containers = Map::new();
    let is_twin = is_twin(store, config, network);
    let bound = store.bound(&network.name).into_iter();
    for bound in bound.filter(|bound| !bound.alias && !is_twin) {
        let shown = if vch && network.dhcp || bound.address.is_empty() {
            String::new()
        } else {
            format!(
                "{}/{}",
                bound.address,
                network.range().map_or(16, |(_, prefix)| prefix)
            )
        };
        let entry = json!({
            "Name": bound.name,
            "EndpointID": if vch { bound.id.clone() } else { digest(&format!("{} {}", network.id, bound.id)) },
            "MacAddress": if vch { String::new() } else { mac(&bound.address) },
            "IPv4Address": shown,
            "IPv6Address": "",
        });
        containers.insert(bound.id, entry);
    }
    let pool = if network.subnet.is_empty() || vch && network.dhcp {
        json!([])
    } else if !network.ip_range.is_empty() {
        json!([{"Subnet": network.subnet, "Gateway": network.gateway, "IPRange": network.ip_range}])
    } else if network.hides_gateway {
        json!([{"Subnet": network.subnet}])
    } else {
        let preset = config.networks.get(&network.name).and_then(Option::as_ref);
        let shown = preset.and_then(|preset| preset.shown_subnet.as_ref());
        let subnet = shown.unwrap_or(&network.subnet);
        json!([{"Subnet": subnet, "Gateway": network.gateway}])
    };
    json!({
        "Name": network.name,
        "Id": network.id,
        "Created": times::rfc3339(if vch { times::now() } else { network.created }),
        "Scope": if vch { "" } else { "local" },
        "Driver": network.driver,
        "EnableIPv6": false,
        "IPAM": {"Driver": if vch { "" } else { "default" }, "Options": {}, "Config": pool},
        "Internal": network.internal,
        "Attachable": false,
        "Ingress": false,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": false,
        "Containers": containers,
        "Options": {},
        "Labels": network.labels,
    })
}

pub(crate) fn ls(ctx: &mut Ctx, call: &Parsed) -> Reply {
    let (store, config) = (&ctx.store, &ctx.config);
    let mut found = all(store, config);
    for filter in call.values("filter") {
        let (key, value) = filter.split_once('=').unwrap_or((filter, ""));
        match key {
            "name" => match Regex::new(value) {
                Ok(regex) => found.retain(|network| regex.is_match(&network.name)),
                Err(error) => return Reply::daemon_error(&error),
            },
            "driver" => found.retain(|network| network.driver == value),
            "id" => found.retain(|network| network.id.starts_with(value)),
            "label" => found.retain(|network| labels_match(&network.labels, value)),
            "type" => found.retain(|network| network.builtin == (value == "builtin")),
            "scope" => {}
            _ => return Reply::daemon_error(&format!("Invalid filter '{key}'")),
        }
    }
    let full = call.on("no-trunc");
    let list: Vec<Value> = found
        .iter()
        .map(|network| {
            let labels: Vec<String> = network
                .labels
                .iter()
                .map(|(key, value)| format!("{key}={value}"))
                .collect();
            json!({
                "CreatedAt": times::go_string(network.created),
                "Driver": network.driver,
                "ID": if full { &network.id } else { &network.id[..12] },
                "IPv6": "false",
                "Internal": network.internal.to_string(),
                "Labels": labels.join(","),
                "Name": network.name,
                "Scope": if config.is_vch() { "" } else { "local" },
            })
        })
        .collect();
    rows(
        &list,
        call,
        config,
        "ID",
        &["ID", "Name", "Driver", "Scope"],
    )
}
