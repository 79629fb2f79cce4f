//! `create` and `run`: flags become a container, as the client and the endpoint check them.

use std::fs;

use crate::Ctx;
use crate::args::Parsed;
use crate::config::Config;
use crate::containers::{Container, Endpoint, Publish};
use crate::images::{self, Image};
use crate::lifecycle;
use crate::networks::{self, Network, pair};
use crate::reply::{Refusal, Reply};
use crate::store::{Store, digest};
use crate::texts;
use crate::times;

/// Flags that become a field of the container; the others are only noted.
const MODELLED: &str = "publish name network label env env-file memory cpus ip dns volume restart stop-signal user \
    hostname entrypoint network-alias workdir expose rm detach";

pub(crate) fn create(ctx: &mut Ctx, call: &Parsed) -> Reply {
    match make(ctx, call) {
        Ok((container, shown)) => {
            let mut reply = Reply::line(&container.id);
            if !shown.is_empty() {
                reply.err(&shown);
            }
            reply
        }
        Err(Failure::Usage(text)) => call.usage_error(&text),
        Err(Failure::Refused { shown, refusal }) => {
            let mut reply = Reply::default();
            if !shown.is_empty() {
                reply.err(&shown);
            }
            reply.fail(&refusal.text());
            reply
        }
    }
}

pub(crate) fn run(ctx: &mut Ctx, call: &Parsed) -> Reply {
    let (container, shown) = match make(ctx, call) {
        Ok(made) => made,
        Err(Failure::Usage(text)) => return call.usage_error(&text),
        Err(Failure::Refused { shown, refusal }) => {
            let mut reply = match refusal {
                Refusal::Daemon(text) => call.run_error(&text),
                Refusal::Client(text) => call.usage_error(&text),
            };
            if !shown.is_empty() {
                reply.stderr.splice(0..0, format!("{shown}\n").into_bytes());
            }
            return reply;
        }
    };
    let mut reply = Reply::default();
    if !shown.is_empty() {
        reply.err(&shown);
    }
    if let Err(refusal) = lifecycle::start_one(ctx, &container.name) {
        let text = match &refusal {
            Refusal::Daemon(text) | Refusal::Client(text) => text,
        };
        let code =
            if text.contains("executable file not found") || text.contains("no such executable") {
                127
            } else {
                125
            };
        // The container stays, created; the client has printed its id by then.
        let mut failed = call.run_exit(text, code);
        if call.on("detach") {
            failed.out(&container.id);
        }
        failed.stderr.splice(0..0, reply.stderr);
        return failed;
    }
    if call.on("detach") {
        reply.out(&container.id);
        return reply;
    }
    lifecycle::attached(ctx, &container.name, reply)
}

enum Failure {
    /// The client refuses; nothing was sent.
    Usage(String),
    Refused {
        shown: String,
        refusal: Refusal,
    },
}

fn daemon(text: impl Into<String>) -> Failure {
    Failure::Refused {
        shown: String::new(),
        refusal: Refusal::daemon(text),
    }
}

fn make(ctx: &mut Ctx, call: &Parsed) -> Result<(Container, String), Failure> {
    let name = &call.operands[0];
    let mut container = from_flags(call).map_err(Failure::Usage)?;
    images::check_reference(name).map_err(Failure::Usage)?;
    container.image.clone_from(name);

    let (image, shown) = match images::needed(ctx, name) {
        Ok(found) => found,
        Err((shown, refusal)) => return Err(Failure::Refused { shown, refusal }),
    };
    from_image(&mut container, &image, call);
    let (store, config) = (&ctx.store, &ctx.config);
    if config.is_vch() {
        vch_checks(&mut container, call, config)?;
    }
    if container.command().is_empty() {
        return Err(daemon(if config.is_vch() {
            "No command specified"
        } else {
            "No command specified."
        }));
    }

    let _lock = store.lock();
    let number = store.next("created");
    container.id = digest(&format!("container {number}"));
    match call.value("name") {
        None => container.name = format!("quirky_fake{number}"),
        Some(name) => {
            let wrong = |c: char| !c.is_ascii_alphanumeric() && !"_.-".contains(c);
            // A VCH looks at names only when it renames.
            let odd = name.len() < 2 || name.starts_with(['_', '.', '-']) || name.contains(wrong);
            if odd && !config.is_vch() {
                return Err(daemon(format!(
                    "Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
                )));
            }
            name.clone_into(&mut container.name);
        }
    }
    if let Some(other) = store.container_named(&container.name) {
        return Err(daemon(texts::name_conflict(
            config,
            &container.name,
            &other.id,
        )));
    }
    join(store, config, &mut container, call)?;
    if container.hostname.is_empty() {
        container.id[..12].clone_into(&mut container.hostname);
    }
    container.created = times::now();
    store.save_named(&container);
    Ok((container, shown))
}

/// What the client makes of the flags by itself.
fn from_flags(call: &Parsed) -> Result<Container, String> {
    let text = |flag: &str| call.value(flag).unwrap_or("").to_owned();
    let list =
        |flag: &str| -> Vec<String> { call.values(flag).into_iter().map(str::to_owned).collect() };
    let mut container = Container {
        labels: call.values("label").into_iter().map(pair).collect(),
        hostname: text("hostname"),
        user: text("user"),
        workdir: text("workdir"),
        stop_signal: text("stop-signal"),
        restart: text("restart"),
        dns: list("dns"),
        binds: list("volume"),
        auto_remove: call.on("rm"),
        ..Container::default()
    };
    for file in call.values("env-file") {
        let lines = fs::read_to_string(file)
            .map_err(|_| format!("open {file}: no such file or directory."))?;
        let assignments = lines
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        container.env.extend(assignments.map(str::to_owned));
    }
    for pair in call.values("env") {
        // A name alone takes the client's own value.
        let value = if pair.contains('=') {
            None
        } else {
            std::env::var(pair).ok()
        };
        container
            .env
            .push(value.map_or_else(|| pair.to_owned(), |value| format!("{pair}={value}")));
    }
    for port in call.values("publish") {
        container.publish.extend(published(port)?);
    }
    for port in call.values("expose") {
        container.exposed.push(if port.contains('/') {
            port.to_owned()
        } else {
            format!("{port}/tcp")
        });
    }
    if let Some(memory) = call.value("memory") {
        let wrong = || {
            format!(
                "invalid argument \"{memory}\" for \"-m, --memory\" flag: invalid size: '{memory}'"
            )
        };
        container.memory = bytes(memory).ok_or_else(wrong)?;
    }
    if let Some(cpus) = call.value("cpus") {
        let wrong = || {
            format!(
                "invalid argument \"{cpus}\" for \"--cpus\" flag: failed to parse {cpus} as a rational number"
            )
        };
        let thousandths = thousandths(cpus).ok_or_else(wrong)?;
        container.nano_cpus = thousandths * 1_000_000;
    }
    if container.auto_remove && !matches!(container.restart.as_str(), "" | "no") {
        return Err("conflicting options: --restart and --rm".into());
    }
    if call.value("log-driver") == Some("none") && call.has("log-opt") {
        return Err("invalid logging opts for driver none".into());
    }
    let is_modelled = |flag: &str| MODELLED.split_whitespace().any(|known| known == flag);
    container.other_flags = call
        .flags()
        .iter()
        .filter(|(flag, _)| !is_modelled(flag))
        .cloned()
        .collect();
    Ok(container)
}

/// `[[ADDRESS:]HOST:]CONTAINER[/PROTOCOL]`, each port one or a range.
fn published(text: &str) -> Result<Vec<Publish>, String> {
    let (spec, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let mut fields = spec.rsplitn(3, ':');
    let inner = fields.next().unwrap_or("");
    let host = fields.next().unwrap_or("");
    let host_ip = fields.next().unwrap_or("");
    if inner.is_empty() {
        return Err(format!("No port specified: {text}<empty>."));
    }
    let range = |text: &str| -> Option<(u16, u16)> {
        let (low, high) = text.split_once('-').unwrap_or((text, text));
        let (low, high) = (low.parse().ok()?, high.parse().ok()?);
        (low <= high && low > 0).then_some((low, high))
    };
    let (low, high) = range(inner).ok_or_else(|| format!("Invalid containerPort: {inner}."))?;
    let host_range = if host.is_empty() {
        None
    } else {
        Some(range(host).ok_or_else(|| format!("Invalid hostPort: {host}."))?)
    };
    if let Some((first, last)) = host_range
        && last - first != high - low
        && high != low
    {
        return Err(format!(
            "Invalid ranges specified for container and host Ports: {inner} and {host}."
        ));
    }
    Ok((low..=high)
        .map(|port| Publish {
            host_ip: host_ip.to_owned(),
            host: host_range.map(|(first, _)| first + (port - low)),
            container: port,
            protocol: protocol.to_owned(),
            bound: None,
        })
        .collect())
}

pub(crate) fn bytes(text: &str) -> Option<u64> {
    let lower = text.to_ascii_lowercase();
    let lower = lower
        .strip_suffix("ib")
        .or_else(|| lower.strip_suffix('b'))
        .unwrap_or(&lower);
    let (number, unit) = lower.split_at(
        lower
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(lower.len()),
    );
    let shift = match unit {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        _ => return None,
    };
    Some((thousandths(number)? << shift) / 1000)
}

fn thousandths(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let fraction: u64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    Some(whole.parse::<u64>().ok()? * 1000 + fraction)
}

/// What the image gives where the flags say nothing.
fn from_image(container: &mut Container, image: &Image, call: &Parsed) {
    let own: Vec<String> = image
        .env
        .iter()
        .filter(|pair| {
            let name = pair.split('=').next().unwrap_or("");
            !container
                .env
                .iter()
                .any(|own| own.split('=').next() == Some(name))
        })
        .cloned()
        .collect();
    container.env.extend(own);
    let arguments = &call.operands[1..];
    container.cmd = if arguments.is_empty() {
        image.cmd.clone()
    } else {
        arguments.to_vec()
    };
    match call.value("entrypoint") {
        Some(entrypoint) => {
            container.entrypoint = if entrypoint.is_empty() {
                Vec::new()
            } else {
                vec![entrypoint.to_owned()]
            };
            container.cmd = arguments.to_vec();
        }
        None => container.entrypoint.clone_from(&image.entrypoint),
    }
    for port in &image.exposed {
        if !container.exposed.contains(port) {
            container.exposed.push(port.clone());
        }
    }
    for publish in &container.publish {
        if !container.exposed.contains(&publish.key()) {
            container.exposed.push(publish.key());
        }
    }
    for (key, value) in &image.preset.labels {
        container
            .labels
            .entry(key.clone())
            .or_insert_with(|| value.clone());
    }
    if container.user.is_empty() {
        container.user.clone_from(&image.user);
    }
    if container.stop_signal.is_empty() {
        container.stop_signal.clone_from(&image.stop_signal);
    }
    container.image_id.clone_from(&image.id);
    container.preset = image.preset.clone();
}

/// What a VCH takes, refuses and silently changes.
fn vch_checks(container: &mut Container, call: &Parsed, config: &Config) -> Result<(), Failure> {
    if call.values("network").len() > 1 {
        let word = if config.at_least("1.4.0") {
            "vicnetwork"
        } else {
            "network"
        };
        return Err(daemon(format!(
            "NetworkMode error: Container can be connected to one {word} endpoint only"
        )));
    }
    if container.binds.iter().any(|bind| bind.starts_with('/')) {
        return Err(daemon(
            "Bad request error from portlayer: mounting directories as a data volume is not supported.",
        ));
    }
    if !container.binds.is_empty() {
        return Err(daemon("No volume store named (default) exists."));
    }
    if call
        .value("cpuset-cpus")
        .is_some_and(|cpus| cpus.contains('-'))
    {
        let cpus = call.value("cpuset-cpus").unwrap_or("");
        return Err(daemon(format!(
            "Error parsing CPU count: strconv.ParseInt: parsing \"{cpus}\": invalid syntax"
        )));
    }
    if container
        .publish
        .iter()
        .any(|publish| !matches!(publish.host_ip.as_str(), "" | "0.0.0.0"))
    {
        return Err(daemon(
            "Server error from portlayer: host IP for port bindings is only supported for 0.0.0.0 and the public interface IP address",
        ));
    }
    let ranges = |text: &&str| text.split('/').next().unwrap_or("").contains('-');
    if call.values("publish").iter().any(ranges) {
        return Err(daemon(
            "Server error from portlayer: host port ranges are not supported for port bindings",
        ));
    }
    let step = 128 << 20;
    let memory = if container.memory == 0 {
        2048 << 20
    } else {
        container.memory
    };
    container.memory = memory.max(512 << 20).div_ceil(step) * step;
    Ok(())
}

/// Puts the container on the network that it is created on.
fn join(
    store: &Store,
    config: &Config,
    container: &mut Container,
    call: &Parsed,
) -> Result<(), Failure> {
    let wanted = call.values("network");
    if wanted.len() > 1 {
        return Err(daemon(format!(
            "Container cannot be connected to network endpoints: {}",
            wanted.join(", ")
        )));
    }
    let name = wanted.first().copied().unwrap_or("bridge");
    let name = if name == "default" { "bridge" } else { name };
    container.network_mode = if wanted.is_empty() && !config.is_vch() {
        "default".into()
    } else {
        name.to_owned()
    };
    if let Some(refusal) = networks::ambiguity(store, name) {
        return Err(Failure::Refused {
            shown: String::new(),
            refusal,
        });
    }
    let Some(network) = networks::find_any(store, config, name) else {
        return Err(daemon(if config.is_vch() {
            // Never a 404, whatever there is not.
            texts::scope_error(&format!("scope {name} not found"))
        } else {
            format!("network {name} not found")
        }));
    };
    let aliases: Vec<String> = call
        .values("network-alias")
        .into_iter()
        .map(str::to_owned)
        .collect();
    let requested = call.value("ip").unwrap_or("").to_owned();
    if !config.is_vch() && network.name == "bridge" {
        if !requested.is_empty() {
            return Err(daemon(
                "user specified IP address is supported on user defined networks only",
            ));
        }
        if !aliases.is_empty() {
            return Err(daemon(
                "network-scoped alias is supported only for containers in user defined networks",
            ));
        }
    }
    if config.is_vch() {
        if network.dhcp && !requested.is_empty() {
            return Err(daemon(texts::scope_error(&format!(
                "Cannot set static IP ({requested}) when default gateway is not set for network {name}"
            ))));
        }
        firewall(container, &network, call)?;
    }
    if container.network_mode == "default" {
        // `inspect` says so, but the network is called bridge.
    } else {
        container.network_mode.clone_from(&network.name);
    }
    container.networks.insert(
        network.name.clone(),
        Endpoint {
            network_id: network.id.clone(),
            requested,
            aliases,
            ..Endpoint::default()
        },
    );
    Ok(())
}

/// What a VCH's container network lets in: decided at creation, by the network's trust level and `-p`.
fn firewall(container: &mut Container, network: &Network, call: &Parsed) -> Result<(), Failure> {
    if !network.external() {
        if call.values("publish").iter().any(|port| {
            port.split(':')
                .nth_back(1)
                .is_some_and(|host| host.contains('-'))
        }) {
            return Err(daemon(
                "host port ranges are not supported for port bindings",
            ));
        }
        return Ok(());
    }
    let name = &network.name;
    let refuse = |message: String| Err(daemon(texts::scope_error(&message)));
    let ports: Vec<String> = match network.firewall.as_str() {
        "closed" | "outbound" if !container.publish.is_empty() => {
            return refuse(format!(
                "ports cannot be published via container network {name} (firewall configured as either \"closed\" or \"outbound\")"
            ));
        }
        "closed" | "outbound" => Vec::new(),
        "peers"
            if container
                .publish
                .iter()
                .any(|publish| publish.host.is_none()) =>
        {
            return refuse(format!(
                "ports published via container network {name} must specify a mapping (firewall configured for \"peers\" - no need for publishing unless redirecting)"
            ));
        }
        "open" | "peers" => vec!["*".into()],
        _ => {
            let mut ports = Vec::new();
            for publish in &container.publish {
                ports.extend(
                    publish
                        .host
                        .map(|host| format!("{host}/{}", publish.protocol)),
                );
                ports.push(publish.key());
            }
            ports.dedup();
            ports
        }
    };
    container.reachable_ports.insert(name.clone(), ports);
    Ok(())
}
