//! The endpoint and the client themselves: `version`, `info`, `context`, and what either says when nothing works.

use std::env;

use serde_json::{Value, json};

use crate::Ctx;
use crate::args::Parsed;
use crate::config::{Config, api_of, parts};
use crate::listing::{Inspected, rows};
use crate::networks;
use crate::reply::Reply;
use crate::store::digest;
use crate::template::Template;
use crate::texts;

/// A struct by `--format`, or in a layout that no one should read by program.
fn formatted(value: &Value, call: &Parsed, config: &Config) -> Reply {
    let format = match call.value("format") {
        None | Some("") => {
            return Reply::line(&serde_json::to_string_pretty(value).expect("a value is JSON"));
        }
        Some("json") if config.client_at_least(23) => "{{json .}}",
        Some(format) => format,
    };
    match Template::new(format) {
        Err(error) => Reply::error(&format!("template parsing error: {error}"), 64),
        Ok(template) => match template.apply(value) {
            Ok(text) => Reply::line(&text),
            Err(error) => Reply::error(&format!("template parsing error: {error}"), 1),
        },
    }
}

/// The API version that client and endpoint speak with each other.
fn negotiated(config: &Config) -> String {
    if let Ok(wanted) = env::var("DOCKER_API_VERSION") {
        return wanted;
    }
    let (client, server) = (api_of(&config.client), config.api_version());
    if parts(client) < parts(server) {
        client
    } else {
        server
    }
    .to_owned()
}

fn context_name(ctx: &Ctx) -> String {
    let set = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    let host = ctx.globals.host.clone().or_else(|| set("DOCKER_HOST"));
    match (&ctx.globals.context, host) {
        (Some(name), _) => name.clone(),
        (None, Some(_)) => "default".into(),
        (None, None) => set("DOCKER_CONTEXT")
            .or_else(|| ctx.config.current_context.clone())
            .unwrap_or_else(|| "default".into()),
    }
}

fn client(ctx: &Ctx) -> Value {
    let config = &ctx.config;
    json!({
        "Version": config.client,
        "ApiVersion": negotiated(config),
        "DefaultAPIVersion": api_of(&config.client),
        "GitCommit": "fa4e00d",
        "GoVersion": "go1.21.6",
        "Os": "linux",
        "Arch": "amd64",
        "BuildTime": "Thu Jan  1 00:00:00 1970",
        "Context": context_name(ctx),
    })
}

pub(crate) fn version(ctx: &mut Ctx, call: &Parsed) -> Reply {
    let config = &ctx.config;
    let vch = config.is_vch();
    let server = json!({
        "Platform": {"Name": if vch { "" } else { "Docker Engine - Community" }},
        "Components": [],
        "Version": config.version(),
        "ApiVersion": config.api_version(),
        "MinAPIVersion": if vch { "1.19" } else { "1.12" },
        "GitCommit": "fa4e00d",
        "GoVersion": "go1.21.6",
        "Os": "linux",
        "Arch": "amd64",
        "KernelVersion": if vch { "-" } else { "6.1.0-fake" },
        "Experimental": vch,
        "BuildTime": "1970-01-01T00:00:00.000000000+00:00",
    });
    formatted(
        &json!({"Client": client(ctx), "Server": server}),
        call,
        config,
    )
}

/// The pairs by which a VCH tells of itself.
fn system_status(config: &Config, engine: &str) -> Vec<(String, String)> {
    let mut pairs: Vec<(String, String)> = [
        ("VolumeStores", ""),
        (engine, "RUNNING"),
        (" VCH CPU limit", "52800 MHz"),
        (" VCH memory limit", "94.6 GiB"),
        (" VCH CPU usage", "230 MHz"),
        (" VCH memory usage", "4.1 GiB"),
        (" VMware Product", "VMware vCenter Server"),
        (" VMware OS", "linux-x64"),
        (" VMware OS version", "6.7.0"),
        (
            " Registry Whitelist Mode",
            "disabled.  All registry access allowed.",
        ),
    ]
    .map(|(key, value): (&str, &str)| (key.to_owned(), value.to_owned()))
    .to_vec();
    for (key, value) in &config.system_status {
        match pairs.iter_mut().find(|(known, _)| known.trim() == key) {
            Some((_, known)) => known.clone_from(value),
            None => pairs.push((format!(" {key}"), value.clone())),
        }
    }
    pairs
}

pub(crate) fn info(ctx: &mut Ctx, call: &Parsed) -> Reply {
    let config = &ctx.config;
    let names: Vec<String> = networks::all(&ctx.store, config)
        .into_iter()
        .map(|network| network.name)
        .collect();
    let containers = ctx.store.names("containers", ".json").len();
    let images = ctx.store.names("images/tags", "").len();
    let value = if config.is_vch() {
        let full = format!("v{}-21000-fa4e00d", config.version());
        let engine = format!("vSphere Integrated Containers {full} Backend Engine");
        json!({
            "ID": "vSphere Integrated Containers",
            "Containers": containers,
            "ContainersRunning": containers,
            "ContainersPaused": 0,
            "ContainersStopped": 0,
            "Images": images,
            "Driver": engine,
            "SystemStatus": system_status(config, &engine),
            "Plugins": {"Volume": [], "Network": names, "Authorization": null, "Log": null},
            "OperatingSystem": "linux-x64",
            "OSType": "linux-x64",
            "Architecture": "x86_64",
            "NCPU": 52_800,
            "MemTotal": 101_594_431_488_u64,
            "KernelVersion": "",
            "DockerRootDir": "",
            "LoggingDriver": "",
            "Name": "vch",
            "ServerVersion": full,
            "ExperimentalBuild": true,
            "Warnings": null,
        })
    } else {
        json!({
            "ID": "FAKE:DOCK:ERAA:BBBB:CCCC:DDDD:EEEE:FFFF:GGGG:HHHH:IIII:JJJJ",
            "Containers": containers,
            "ContainersRunning": containers,
            "ContainersPaused": 0,
            "ContainersStopped": 0,
            "Images": images,
            "Driver": "overlay2",
            "Plugins": {
                "Volume": ["local"],
                "Network": ["bridge", "host", "ipvlan", "macvlan", "null", "overlay"],
                "Authorization": null,
                "Log": if config.podman { ["k8s-file", "journald"] } else { ["json-file", "local"] },
            },
            "OperatingSystem": "Debian GNU/Linux 12 (bookworm)",
            "OSType": "linux",
            "Architecture": "x86_64",
            "NCPU": 4,
            "MemTotal": 8_000_000_000_u64,
            "KernelVersion": "6.1.0-fake",
            "DockerRootDir": "/var/lib/docker",
            "LoggingDriver": "json-file",
            "Name": config.name.as_deref().unwrap_or("engine"),
            "ServerVersion": config.version(),
            "ExperimentalBuild": false,
            "Swarm": {"NodeID": "", "LocalNodeState": "inactive"},
            "SecurityOptions": ["name=seccomp,profile=default"],
            "Warnings": config.warnings,
        })
    };
    formatted(&value, call, config)
}

/// The endpoint doesn't answer: the client says so, in the given words or its own.
pub(crate) fn unreachable(ctx: &Ctx, call: &Parsed, text: &str) -> Reply {
    let host = ctx
        .globals
        .host
        .clone()
        .or_else(|| env::var("DOCKER_HOST").ok().filter(|host| !host.is_empty()));
    let host = host.unwrap_or_else(|| "unix:///var/run/docker.sock".into());
    let usual =
        format!("Cannot connect to the Docker daemon at {host}. Is the docker daemon running?");
    let text = if text.is_empty() { &usual } else { text };
    match call.path.as_str() {
        "version" => {
            let mut reply = formatted(
                &json!({"Client": client(ctx), "Server": null}),
                call,
                &ctx.config,
            );
            reply.fail(text);
            reply
        }
        "run" => {
            let mut reply = call.usage_error(text);
            reply.code = 125;
            reply
        }
        _ => Reply::error(text, 1),
    }
}

pub(crate) fn unimplemented(ctx: &Ctx, call: &Parsed) -> Reply {
    if !ctx.config.is_vch() {
        return Reply::error(
            &format!("fake docker: {} is not simulated on an engine", call.path),
            99,
        );
    }
    let method = match call.path.as_str() {
        "top" => "ContainerTop",
        "pause" => "ContainerPause",
        "unpause" => "ContainerUnpause",
        _ => "ContainerUpdate",
    };
    texts::unimplemented(method).reply()
}

// Contexts: the default one, and every one that the call or the environment names.

fn contexts(ctx: &Ctx) -> Vec<(String, String)> {
    let set = env::var("DOCKER_HOST").ok().filter(|host| !host.is_empty());
    let host = ctx.globals.host.clone().or(set).map_or_else(
        || "unix:///var/run/docker.sock".to_owned(),
        |host| {
            if host.contains("://") {
                host
            } else {
                format!("tcp://{host}")
            }
        },
    );
    let mut all = vec![("default".to_owned(), host)];
    let made = ctx.config.contexts.iter();
    all.extend(made.map(|(name, host)| (name.clone(), host.clone())));
    let current = context_name(ctx);
    if !all.iter().any(|(name, _)| *name == current) {
        all.push((
            current.clone(),
            format!(
                "tcp://{}.example:2376",
                digest(&current).get(..6).unwrap_or("")
            ),
        ));
    }
    all
}

pub(crate) fn context_ls(ctx: &mut Ctx, call: &Parsed) -> Reply {
    let current = context_name(ctx);
    let list: Vec<Value> = contexts(ctx)
        .into_iter()
        .map(|(name, host)| {
            json!({
                "Current": name == current,
                "Description": if name == "default" { "Current DOCKER_HOST based configuration" } else { "" },
                "DockerEndpoint": host,
                "Error": "",
                "Name": name,
            })
        })
        .collect();
    rows(
        &list,
        call,
        &ctx.config,
        "Name",
        &["Name", "Description", "DockerEndpoint"],
    )
}

pub(crate) fn context_show(ctx: &mut Ctx) -> Reply {
    Reply::line(&context_name(ctx))
}

pub(crate) fn context_inspect(ctx: &mut Ctx, call: &Parsed) -> Reply {
    let current = context_name(ctx);
    let wanted = if call.operands.is_empty() {
        vec![current]
    } else {
        call.operands.clone()
    };
    let known = contexts(ctx);
    let mut found = Inspected::new(call.value("format"), &ctx.config);
    for name in &wanted {
        match known.iter().find(|(known, _)| known == name) {
            Some((name, host)) => found.add(json!({
                "Name": name,
                "Metadata": {},
                "Endpoints": {"docker": {"Host": host, "SkipTLSVerify": false}},
                "TLSMaterial": {},
                "Storage": {"MetadataPath": "<IN MEMORY>", "TLSPath": "<IN MEMORY>"},
            })),
            None => found.missing(format!("context \"{name}\" does not exist")),
        }
    }
    found.reply()
}
