//! What is asked about containers: `ps`, `inspect`, `port`; and how lists and objects are formatted.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::Ctx;
use crate::args::Parsed;
use crate::config::Config;
use crate::containers::{Container, Status};
use crate::create;
use crate::networks::{self, mac};
use crate::pattern::Regex;
use crate::reply::Reply;
use crate::store::{Store, digest};
use crate::template::Template;
use crate::{images, texts, times};

/// The objects that an `inspect` has found, and the names that it hasn't.
pub(crate) struct Inspected {
    format: Option<String>,
    found: Vec<Value>,
    missing: Vec<String>,
}

impl Inspected {
    pub(crate) fn new(format: Option<&str>, config: &Config) -> Self {
        let json = format == Some("json") && config.client_at_least(23);
        let format = if json {
            Some("{{json .}}")
        } else {
            format.filter(|format| !format.is_empty())
        };
        Self {
            format: format.map(str::to_owned),
            found: Vec::new(),
            missing: Vec::new(),
        }
    }

    /// Whether single fields are asked for, not the whole.
    pub(crate) fn asks_for_fields(&self) -> bool {
        self.format
            .as_deref()
            .is_some_and(|format| format != "{{json .}}" && format != "{{json .Config}}")
    }

    pub(crate) fn add(&mut self, value: Value) {
        self.found.push(value);
    }

    pub(crate) fn missing(&mut self, text: String) {
        self.missing.push(text);
    }

    pub(crate) fn reply(self) -> Reply {
        let mut reply = Reply::default();
        match &self.format {
            None => reply.out(&pretty(&self.found)),
            Some(_) if self.found.is_empty() => reply.out(""),
            Some(format) => {
                let template = match Template::new(format) {
                    Ok(template) => template,
                    Err(error) => {
                        return Reply::error(&format!("template parsing error: {error}"), 64);
                    }
                };
                for value in &self.found {
                    match template.apply(value) {
                        Ok(text) => reply.out(&text),
                        Err(error) => {
                            reply.fail(&format!("template parsing error: {error}"));
                            return reply;
                        }
                    }
                }
            }
        }
        for text in &self.missing {
            reply.fail(text);
        }
        reply
    }
}

/// JSON as the client indents it: by four.
fn pretty(values: &[Value]) -> String {
    if values.is_empty() {
        return "[]".into();
    }
    let mut bytes = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
    serde::Serialize::serialize(values, &mut serializer).expect("values are JSON");
    String::from_utf8(bytes).expect("JSON is UTF-8")
}

/// Rows of a list: by `--format`, as ids only, or as a table of some columns.
pub(crate) fn rows(
    list: &[Value],
    call: &Parsed,
    config: &Config,
    id: &str,
    columns: &[&str],
) -> Reply {
    let mut reply = Reply::default();
    if call.on("quiet") {
        for row in list {
            reply.out(row[id].as_str().unwrap_or(""));
        }
        return reply;
    }
    let format = match call.value("format") {
        Some("json") if config.client_at_least(23) => "{{json .}}".to_owned(),
        Some(format) if !format.is_empty() && format != "table" => {
            format.strip_prefix("table ").unwrap_or(format).to_owned()
        }
        _ => {
            reply.out(&columns.join("\t").to_uppercase());
            columns
                .iter()
                .map(|column| format!("{{{{.{column}}}}}"))
                .collect::<Vec<_>>()
                .join("\t")
        }
    };
    let template = match Template::new(&format) {
        Ok(template) => template,
        Err(error) => return Reply::error(&format!("Template parsing error: {error}"), 64),
    };
    for row in list {
        match template.apply(row) {
            Ok(text) => reply.out(&text),
            Err(error) => return Reply::error(&error, 1),
        }
    }
    reply
}

/// `key`, or `key=value`.
pub(crate) fn labels_match(labels: &BTreeMap<String, String>, wanted: &str) -> bool {
    match wanted.split_once('=') {
        Some((key, value)) => labels.get(key).is_some_and(|have| have == value),
        None => labels.contains_key(wanted),
    }
}

/// A container as of now, the look counted where that changes it.
fn looked_at(store: &Store, config: &Config, container: Container) -> Container {
    if !container.counts_looks(config) {
        return container;
    }
    let _lock = store.lock();
    // It may have changed since it was read.
    let Some(mut container) = store.container_named(&container.name) else {
        return container;
    };
    container.look(store, config);
    store.save(&container);
    container
}

// ps

/// What `--filter` asks for: of one key any value will do, of several keys each must.
struct Filters {
    names: Vec<Regex>,
    networks: Vec<String>,
    labels: Vec<String>,
    statuses: Vec<String>,
    ids: Vec<String>,
    ancestors: Vec<String>,
    healths: Vec<String>,
    exits: Vec<String>,
}

impl Filters {
    fn new(call: &Parsed, config: &Config) -> Result<Self, String> {
        let mut filters = Self {
            names: Vec::new(),
            networks: Vec::new(),
            labels: Vec::new(),
            statuses: Vec::new(),
            ids: Vec::new(),
            ancestors: Vec::new(),
            healths: Vec::new(),
            exits: Vec::new(),
        };
        for filter in call.values("filter") {
            let Some((key, value)) = filter.split_once('=') else {
                return Err("bad format of filter (expected name=value)".into());
            };
            let value = value.to_owned();
            match key {
                "name" => filters.names.push(Regex::new(&value)?),
                "network" => filters.networks.push(value),
                "label" => filters.labels.push(value),
                "id" => filters.ids.push(value),
                "exited" => filters.exits.push(value),
                "status" => {
                    let known = [
                        "created",
                        "running",
                        "exited",
                        "paused",
                        "restarting",
                        "removing",
                        "dead",
                    ];
                    if !known.contains(&value.as_str()) {
                        return Err(if config.is_vch() {
                            format!("Unrecognised filter value for status: {value}")
                        } else {
                            format!("Invalid filter 'status={value}'")
                        });
                    }
                    filters.statuses.push(value);
                }
                "ancestor" | "health" | "is-task" | "isolation" if config.is_vch() => {
                    return Err(format!("filter {key} is not currently supported by vic"));
                }
                "ancestor" => filters.ancestors.push(value),
                "health" => filters.healths.push(value),
                _ => return Err(format!("Invalid filter '{key}'")),
            }
        }
        Ok(filters)
    }

    /// By the name alone, so that other containers needn't be read.
    fn name(&self, name: &str, config: &Config) -> bool {
        let any = |regex: &Regex| {
            regex.is_match(name) || (!config.is_vch() && regex.is_match(&format!("/{name}")))
        };
        self.names.is_empty() || self.names.iter().any(any)
    }

    fn matches(&self, container: &Container, config: &Config, networks: &[String]) -> bool {
        let any = |list: &[String], test: &dyn Fn(&String) -> bool| {
            list.is_empty() || list.iter().any(test)
        };
        let health = container.health(config).unwrap_or("none");
        (self.networks.is_empty()
            || networks
                .iter()
                .any(|name| container.networks.contains_key(name)))
            && self
                .labels
                .iter()
                .all(|label| labels_match(&container.labels, label))
            && any(&self.statuses, &|status| {
                container.state_word(config) == status
            })
            && any(&self.ids, &|id| container.id.starts_with(id.as_str()))
            && any(&self.ancestors, &|image| {
                container.image == *image || container.image_id.starts_with(image.as_str())
            })
            && any(&self.healths, &|wanted| health == wanted)
            && any(&self.exits, &|code| {
                container.status == Status::Exited && container.exit_code.to_string() == *code
            })
    }
}

pub(crate) fn ps(ctx: &mut Ctx, call: &Parsed) -> Reply {
    let (store, config) = (&ctx.store, &ctx.config);
    let filters = match Filters::new(call, config) {
        Ok(filters) => filters,
        Err(text) => return Reply::daemon_error(&text),
    };
    // An engine knows networks by name and by id; a VCH by name only.
    let mut networks = filters.networks.clone();
    if !config.is_vch() {
        for wanted in &filters.networks {
            let known = networks::find_any(store, config, wanted)
                .filter(|found| found.name == *wanted || !networks::is_twin(store, config, found));
            networks.extend(known.map(|network| network.name));
        }
    }
    let all = call.on("all") || !filters.statuses.is_empty() || !filters.exits.is_empty();
    let mut found: Vec<Container> = store.containers(|name| filters.name(name, config));
    found.retain(|container| {
        (all || (container.running() && container.state_word(config) != "Starting"))
            && filters.matches(container, config, &networks)
    });
    found.sort_by(|a, b| b.created.cmp(&a.created).then_with(|| b.name.cmp(&a.name)));
    if call.on("latest") {
        found.truncate(1);
    }
    if let Some(last) = call
        .value("last")
        .and_then(|last| last.parse::<usize>().ok())
    {
        found.truncate(last);
    }
    let full = call.on("no-trunc");
    let list: Vec<Value> = found
        .into_iter()
        .map(|container| row(config, &looked_at(store, config, container), full))
        .collect();
    rows(
        &list,
        call,
        config,
        "ID",
        &[
            "ID",
            "Image",
            "Command",
            "CreatedAt",
            "Status",
            "Ports",
            "Names",
        ],
    )
}

fn row(config: &Config, container: &Container, full: bool) -> Value {
    let vch = config.is_vch();
    let labels: Vec<String> = container
        .labels
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let networks: Vec<&str> = container.networks.keys().map(String::as_str).collect();
    let mut command = container.command().join(" ");
    if !full && command.chars().count() > 20 {
        command = command.chars().take(19).chain(['…']).collect();
    }
    json!({
        "Command": format!("\"{command}\""),
        "CreatedAt": times::go_string(container.created),
        "ID": if full { &container.id } else { container.short_id() },
        "Image": container.image,
        "Labels": if vch && !config.at_least("1.5.4") { String::new() } else { labels.join(",") },
        "LocalVolumes": "0",
        "Mounts": "",
        "Names": container.name,
        "Networks": if vch { String::new() } else { networks.join(",") },
        "Ports": ports_text(config, container),
        "RunningFor": format!("{} ago", times::ago(container.created)),
        "Size": "0B",
        "State": container.state_word(config),
        "Status": container.status_text(config),
    })
}

fn ports_text(config: &Config, container: &Container) -> String {
    if !container.running() {
        return String::new();
    }
    let mut entries: Vec<String> = container
        .publish
        .iter()
        .map(|publish| {
            let host = container.host_ip(publish, config);
            format!("{host}:{}->{}", publish.bound.unwrap_or(0), publish.key())
        })
        .collect();
    if config.is_vch() {
        // An open network shows as a port of its own.
        for (network, ports) in &container.reachable_ports {
            if ports.iter().any(|port| port == "*")
                && let Some(endpoint) = container.networks.get(network)
            {
                entries.push(format!("{}:0->0/*", endpoint.address));
            }
        }
    } else {
        let published = |key: &String| {
            container
                .publish
                .iter()
                .any(|publish| publish.key() == *key)
        };
        entries.extend(
            container
                .exposed
                .iter()
                .filter(|key| !published(key))
                .cloned(),
        );
    }
    entries.join(", ")
}

// inspect

pub(crate) fn inspect(ctx: &mut Ctx, call: &Parsed) -> Reply {
    let (store, config) = (&ctx.store, &ctx.config);
    let kind = call.value("type").unwrap_or("");
    if !matches!(kind, "" | "container") {
        return Reply::error(
            &format!("fake docker: inspect --type {kind} is not simulated"),
            99,
        );
    }
    let mut found = Inspected::new(call.value("format"), config);
    for name in &call.operands {
        if let Some(container) = store.container(name) {
            let container = looked_at(store, config, container);
            let mut details = details(store, config, &container);
            if found.asks_for_fields() {
                as_fields(&mut details);
            }
            found.add(details);
        } else if kind == "container" {
            found.missing(if config.is_vch() {
                format!("Error response from daemon: No such container: {name}")
            } else {
                format!("Error: No such container: {name}")
            });
        } else if images::find(store, name).is_some()
            || networks::find_any(store, config, name).is_some()
        {
            return Reply::error(
                "fake docker: inspect of images and networks goes by their own commands",
                99,
            );
        } else {
            let head = if config.client_at_least(28) {
                "error: no such object"
            } else {
                "Error: No such object"
            };
            found.missing(format!("{head}: {name}"));
        }
    }
    found.reply()
}

/// The client's own type: it knows fields that JSON of the whole leaves out, and calls some otherwise than JSON does.
fn as_fields(details: &mut Value) {
    if details["Config"]["ExposedPorts"].is_null() {
        details["Config"]["ExposedPorts"] = Value::Null;
    }
    let host = &mut details["HostConfig"];
    if host["Mounts"].is_null() {
        host["Mounts"] = Value::Null;
    }
    for (json, go) in [("NanoCpus", "NanoCPUs"), ("CpuShares", "CPUShares")] {
        host[go] = host[json].clone();
    }
}

/// What `--mount` said.
fn mount(said: &str) -> Value {
    let mut mount = json!({"Type": "volume"});
    for field in said.split(',') {
        let (key, value) = field.split_once('=').unwrap_or((field, "true"));
        match key {
            "type" => mount["Type"] = value.into(),
            "source" | "src" => mount["Source"] = value.into(),
            "target" | "dst" | "destination" => mount["Target"] = value.into(),
            "readonly" | "ro" => mount["ReadOnly"] = (value == "true").into(),
            _ => {}
        }
    }
    mount
}

fn details(store: &Store, config: &Config, container: &Container) -> Value {
    let vch = config.is_vch();
    let command = container.command();
    let exposed: Map<String, Value> = container
        .exposed
        .iter()
        .map(|key| (key.clone(), json!({})))
        .collect();
    let list = |words: &[String]| {
        if words.is_empty() {
            Value::Null
        } else {
            json!(words)
        }
    };
    let log_driver = container
        .other_flags
        .iter()
        .rev()
        .find(|(flag, _)| flag == "log-driver");
    let log_driver = if vch {
        "json-file"
    } else {
        log_driver.map_or("json-file", |(_, value)| value)
    };
    let (restart, retries) = container
        .restart
        .split_once(':')
        .unwrap_or((&container.restart, "0"));
    let restart = if restart.is_empty() { "no" } else { restart };
    let given = |flag: &str| -> Vec<String> {
        let flags = container
            .other_flags
            .iter()
            .filter(|(name, _)| name == flag);
        flags.map(|(_, value)| value.clone()).collect()
    };
    let number = |flag: &str| -> u64 {
        let last = given(flag).pop();
        last.and_then(|value| create::bytes(&value)).unwrap_or(0)
    };
    let mut details = json!({
        "Id": container.id,
        "Created": times::rfc3339(container.created),
        "Path": command.first(),
        "Args": command.get(1..).unwrap_or_default(),
        "State": state(config, container),
        "Image": if vch { container.image_id.clone() } else { format!("sha256:{}", container.image_id) },
        "Name": format!("/{}", container.name),
        "RestartCount": container.restart_count,
        "Driver": if vch { "vSphere Integrated Containers v1.5.8-21000-9489f63 Backend Engine" } else { "overlay2" },
        "Platform": "linux",
        "Mounts": [],
        "HostConfig": {
            "Binds": list(&container.binds),
            "NetworkMode": network_mode(container),
            "PortBindings": port_bindings(config, container),
            "RestartPolicy": {"Name": restart, "MaximumRetryCount": retries.parse().unwrap_or(0)},
            "AutoRemove": container.auto_remove,
            "Dns": container.dns,
            // A VCH counts in megabytes.
            "Memory": if vch { container.memory >> 20 } else { container.memory },
            "MemoryReservation": number("memory-reservation"),
            "NanoCpus": container.nano_cpus,
            "CpuShares": number("cpu-shares"),
            "CpusetCpus": given("cpuset-cpus").pop().unwrap_or_else(|| if vch { "2" } else { "" }.to_owned()),
            "Privileged": given("privileged") == ["true"],
            "ReadonlyRootfs": given("read-only") == ["true"],
            "CapAdd": list(&given("cap-add")),
            "CapDrop": list(&given("cap-drop")),
            "ExtraHosts": list(&given("add-host")),
            "LogConfig": {"Type": log_driver, "Config": {}},
        },
        "Config": {
            "Hostname": container.hostname,
            "User": container.user,
            "Env": container.env,
            "Cmd": list(&container.cmd),
            "Image": container.image,
            "WorkingDir": container.workdir,
            "Entrypoint": list(&container.entrypoint),
            "Labels": container.labels,
        },
        "NetworkSettings": {
            "IPAddress": if vch { "" } else { container.networks.get("bridge").map_or("", |endpoint| &endpoint.address) },
            "Ports": container.ports(config),
            "Networks": endpoints(store, config, container),
        },
    });
    // A VCH drops what a client says with it.
    let mounts = if vch { Vec::new() } else { given("mount") };
    if !mounts.is_empty() {
        details["HostConfig"]["Mounts"] = mounts.iter().map(|said| mount(said)).collect();
    }
    if !exposed.is_empty() {
        details["Config"]["ExposedPorts"] = Value::Object(exposed);
    }
    if !container.stop_signal.is_empty() {
        details["Config"]["StopSignal"] = container.stop_signal.as_str().into();
    }
    details
}

/// On a VCH this is any one of the networks; here it's the one that an unwary tool would take wrongly.
fn network_mode(container: &Container) -> &str {
    if container.networks.len() > 1 && !container.reachable_ports.is_empty() {
        let others = container
            .networks
            .keys()
            .find(|name| **name != container.network_mode);
        return others.map_or(&container.network_mode, |name| name);
    }
    &container.network_mode
}

fn state(config: &Config, container: &Container) -> Value {
    let vch = config.is_vch();
    let never = if vch { "" } else { times::ZERO };
    let time = |ns: u64| {
        match (ns, vch) {
            (0, _) => never.to_owned(),
            // In whole seconds.
            (_, true) => times::short(ns - ns % times::SECOND),
            (_, false) => times::short(ns),
        }
    };
    let running = container.running();
    let mut state = json!({
        "Status": container.state_word(config),
        "Running": running && container.state_word(config) != "Starting",
        "Paused": false,
        "Restarting": container.status == Status::Restarting,
        "OOMKilled": false,
        "Dead": false,
        "Pid": if running && !vch { 4_000 + container.starts } else { 0 },
        "ExitCode": container.exit_code,
        "Error": container.error,
        "StartedAt": time(container.started),
        "FinishedAt": time(container.finished),
    });
    if let Some(status) = container.health(config) {
        let log = if status == "starting" {
            json!([])
        } else {
            let good = status == "healthy";
            json!([{
                "Start": time(container.started),
                "End": time(container.started),
                "ExitCode": i32::from(!good),
                "Output": if good { "" } else { "curl: (7) Failed to connect to localhost port 80: Connection refused\n" },
            }])
        };
        state["Health"] = json!({"Status": status, "FailingStreak": if status == "unhealthy" { 3 } else { 0 }, "Log": log});
    }
    state
}

/// A VCH lists what is exposed and not published, too, and fills in its own address.
fn port_bindings(config: &Config, container: &Container) -> Value {
    let mut bindings: Map<String, Value> = Map::new();
    if config.is_vch() {
        for key in &container.exposed {
            bindings.insert(key.clone(), Value::Null);
        }
    }
    for publish in &container.publish {
        let host = publish
            .host
            .map(|port| port.to_string())
            .unwrap_or_default();
        let host_ip = if config.is_vch() {
            container.host_ip(publish, config)
        } else {
            publish.host_ip.clone()
        };
        let binding = json!({"HostIp": host_ip, "HostPort": host});
        match bindings
            .get_mut(&publish.key())
            .and_then(Value::as_array_mut)
        {
            Some(list) => list.push(binding),
            None => drop(bindings.insert(publish.key(), json!([binding]))),
        }
    }
    Value::Object(bindings)
}

fn endpoints(store: &Store, config: &Config, container: &Container) -> Value {
    let vch = config.is_vch();
    let mut networks = Map::new();
    for (name, endpoint) in &container.networks {
        let external =
            networks::find(store, config, name).is_some_and(|network| network.external());
        let address = container.shown_address(endpoint, external, config);
        let address = if address.is_empty() && vch && !endpoint.dead {
            endpoint.requested.as_str()
        } else {
            address
        };
        let bound = !address.is_empty();
        let mut aliases = endpoint.aliases.clone();
        if !vch && name != "bridge" {
            aliases.push(container.short_id().to_owned());
        }
        let slot = 1_184 + networks.len() * 32;
        let endpoint_id = match (bound, vch) {
            (false, _) => String::new(),
            (true, true) => slot.to_string(),
            (true, false) => digest(&format!("{} {}", endpoint.network_id, container.id)),
        };
        let entry = json!({
            "IPAMConfig": if endpoint.requested.is_empty() { Value::Null } else { json!({"IPv4Address": endpoint.requested}) },
            "Links": null,
            "Aliases": if aliases.is_empty() { Value::Null } else { json!(aliases) },
            "NetworkID": if vch { "" } else { &endpoint.network_id },
            "EndpointID": endpoint_id,
            "Gateway": if bound { endpoint.gateway.as_str() } else { "" },
            "IPAddress": address,
            "IPPrefixLen": if bound { endpoint.prefix } else { 0 },
            "IPv6Gateway": "",
            "GlobalIPv6Address": "",
            "GlobalIPv6PrefixLen": 0,
            "MacAddress": if bound { mac(address) } else { String::new() },
            "DriverOpts": null,
        });
        networks.insert(name.clone(), entry);
    }
    Value::Object(networks)
}

// port

pub(crate) fn port(ctx: &mut Ctx, call: &Parsed) -> Reply {
    let (store, config) = (&ctx.store, &ctx.config);
    let name = &call.operands[0];
    let Some(container) = store.container(name) else {
        return texts::no_such_container(config, name).reply();
    };
    let wanted = call.operands.get(1).map(|port| {
        if port.contains('/') {
            port.clone()
        } else {
            format!("{port}/tcp")
        }
    });
    let mut reply = Reply::default();
    if container.running() {
        for publish in &container.publish {
            let place = format!(
                "{}:{}",
                container.host_ip(publish, config),
                publish.bound.unwrap_or(0)
            );
            match &wanted {
                None => reply.out(&format!("{} -> {place}", publish.key())),
                Some(key) if *key == publish.key() => reply.out(&place),
                Some(_) => {}
            }
        }
    }
    if let Some(key) = wanted.filter(|_| reply.stdout.is_empty()) {
        return Reply::error(
            &format!("Error: No public port '{key}' published for {name}"),
            1,
        );
    }
    reply
}
