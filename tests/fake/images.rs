//! Images: what a registry gives, and the commands `pull`, `image inspect`, `tag`, `rmi` and `images`.
//!
//! `images/tags/REF` holds an id, `images/ids/HEX.json` an image. A tag that is pulled again after its number in
//! `images_generation.json` went up gets a new id, as after a push.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::Ctx;
use crate::args::Parsed;
use crate::config::{Config, Preset, UnknownImages, parts};
use crate::listing::Inspected;
use crate::reply::{Refusal, Reply};
use crate::store::{Store, digest, encode};
use crate::times;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Image {
    /// Sixty-four digits, without `sha256:`.
    pub(crate) id: String,
    /// What it was pulled as.
    pub(crate) reference: String,
    pub(crate) generation: u64,
    pub(crate) preset: Preset,
    pub(crate) env: Vec<String>,
    pub(crate) exposed: Vec<String>,
    pub(crate) cmd: Vec<String>,
    pub(crate) entrypoint: Vec<String>,
    pub(crate) user: String,
    pub(crate) stop_signal: String,
}

/// An image's name with its tag: `httpd` is `httpd:latest`.
fn full(name: &str) -> String {
    let name = name
        .strip_prefix("docker.io/library/")
        .or_else(|| name.strip_prefix("library/"))
        .unwrap_or(name);
    let last = name.rsplit('/').next().unwrap_or(name);
    if last.contains([':', '@']) {
        name.to_owned()
    } else {
        format!("{name}:latest")
    }
}

fn split(full: &str) -> (&str, &str) {
    if let Some((repository, digest)) = full.split_once('@') {
        return (repository, digest);
    }
    full.rsplit_once(':').unwrap_or((full, "latest"))
}

/// An image that the endpoint has, by name or id.
pub(crate) fn find(store: &Store, name: &str) -> Option<Image> {
    let tag = store.read(&format!("images/tags/{}", encode(&full(name))));
    let id = if let Some(id) = tag {
        String::from_utf8(id).ok()?
    } else {
        let id = name.strip_prefix("sha256:").unwrap_or(name);
        if id.len() < 12 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        if id.len() == 64 {
            id.to_owned()
        } else {
            store
                .names("images/ids", ".json")
                .into_iter()
                .find(|known| known.starts_with(id))?
        }
    };
    store.load(&format!("images/ids/{id}.json"))
}

/// The preset for a name at a generation: `name@generation`, then the name, each with its tag or without.
fn preset(config: &Config, name: &str, generation: u64) -> Preset {
    let full = full(name);
    let bare = full.strip_suffix(":latest").unwrap_or(&full);
    let named = [full.as_str(), bare, name];
    let at_generation = named
        .iter()
        .find_map(|name| config.images.get(&format!("{name}@{generation}")));
    let found = at_generation.or_else(|| named.iter().find_map(|name| config.images.get(*name)));
    found.cloned().unwrap_or_default()
}

fn known(config: &Config, name: &str) -> bool {
    let full = full(name);
    let bare = full.strip_suffix(":latest").unwrap_or(&full);
    config.images.keys().any(|key| {
        key == &full
            || key == bare
            || key.starts_with(&format!("{full}@"))
            || key.starts_with(&format!("{bare}@"))
    })
}

/// What the registry gives for a name now.
fn from_registry(store: &Store, config: &Config, name: &str) -> Image {
    let full = full(name);
    let bare = full.strip_suffix(":latest").unwrap_or(&full).to_owned();
    let generations: BTreeMap<String, u64> =
        store.load("images_generation.json").unwrap_or_default();
    let generation = generations
        .get(&full)
        .or_else(|| generations.get(&bare))
        .copied()
        .unwrap_or(0);
    let preset = preset(config, name, generation);
    let id = match &preset.same_as {
        Some(other) => digest(&format!("image {} 0", self::full(other))),
        None => digest(&format!("image {full} {generation}")),
    };
    let (repository, tag) = split(&full);
    let is_haproxy = preset.haproxy.is_some() || repository.rsplit('/').next() == Some("haproxy");
    let mut image = Image {
        id,
        reference: full.clone(),
        generation,
        env: vec!["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into()],
        exposed: preset.exposed.iter().map(port_key).collect(),
        cmd: preset.cmd.clone().unwrap_or_default(),
        entrypoint: preset.entrypoint.clone().unwrap_or_default(),
        user: preset.user.clone(),
        stop_signal: preset.stop_signal.clone().unwrap_or_default(),
        preset,
    };
    if is_haproxy {
        as_haproxy(&mut image, tag);
    } else if image.preset.cmd.is_none() {
        let service = repository.rsplit('/').next().unwrap_or(repository);
        image.cmd = vec![format!("{service}-foreground")];
        if matches!(service, "httpd" | "nginx") && image.exposed.is_empty() {
            image.exposed = vec!["80/tcp".into()];
        }
    }
    image.env.extend(image.preset.env.iter().cloned());
    image
}

fn port_key(port: &Value) -> String {
    match port {
        Value::String(text) if text.contains('/') => text.clone(),
        Value::String(text) => format!("{text}/tcp"),
        other => format!("{other}/tcp"),
    }
}

/// The official image of an HAProxy, by its tag.
fn as_haproxy(image: &mut Image, tag: &str) {
    let version = image
        .preset
        .haproxy
        .clone()
        .unwrap_or_else(|| haproxy_version(tag));
    let numbers = parts(&version);
    let told = |entry: &String| entry.starts_with("HAPROXY_VERSION=");
    if !image.preset.env.iter().any(told) {
        image.env.push(format!("HAPROXY_VERSION={version}"));
    }
    let old = numbers < vec![1, 8];
    if image.preset.entrypoint.is_none() {
        image.entrypoint = vec![
            if old {
                "/docker-entrypoint.sh"
            } else {
                "docker-entrypoint.sh"
            }
            .into(),
        ];
    }
    if image.preset.cmd.is_none() {
        image.cmd = ["haproxy", "-f", "/usr/local/etc/haproxy/haproxy.cfg"]
            .map(String::from)
            .into();
    }
    if image.stop_signal.is_empty() {
        image.stop_signal = "SIGUSR1".into();
    }
    if image.user.is_empty() && numbers >= vec![2, 4] {
        image.user = "haproxy".into();
    }
}

fn haproxy_version(tag: &str) -> String {
    let number = tag.split('-').next().unwrap_or(tag);
    match number {
        "1.5" => "1.5.19",
        "1.6" => "1.6.16",
        "1.7" => "1.7.14",
        "1.8" => "1.8.31",
        "2.0" => "2.0.35",
        "2.4" => "2.4.29",
        "2.6" => "2.6.12",
        "2.8" => "2.8.15",
        "3.0" | "lts" => "3.0.10",
        _ if number.starts_with(|c: char| c.is_ascii_digit()) => {
            return if parts(number).len() < 3 {
                format!("{number}.0")
            } else {
                number.to_owned()
            };
        }
        _ => "3.2.0",
    }
    .to_owned()
}

/// Brings an image onto the endpoint. The bool says whether it is new there.
pub(crate) fn fetch(store: &Store, config: &Config, name: &str) -> Result<(Image, bool), Refusal> {
    let full = full(name);
    let image = from_registry(store, config, name);
    if let Some(text) = &image.preset.refuse {
        return Err(if text.is_empty() {
            refused(config, &full)
        } else {
            words(config, text)
        });
    }
    if config.unknown_images == UnknownImages::Refuse && !known(config, name) {
        return Err(refused(config, &full));
    }
    let tag = format!("images/tags/{}", encode(&full));
    let _lock = store.lock();
    let new = store.read(&tag).is_none_or(|id| id != image.id.as_bytes());
    if new {
        store.store(&format!("images/ids/{}.json", image.id), &image);
        store.write(&tag, image.id.as_bytes());
    }
    Ok((image, new))
}

/// A pull's errors on a VCH come through its stream, so without the client's head.
fn words(config: &Config, text: &str) -> Refusal {
    if config.is_vch() {
        Refusal::Client(text.to_owned())
    } else {
        Refusal::Daemon(text.to_owned())
    }
}

fn refused(config: &Config, full: &str) -> Refusal {
    let (repository, tag) = split(full);
    let official = ["httpd", "nginx", "haproxy", "alpine"].contains(&repository);
    match (config.is_vch(), official) {
        (true, true) => words(
            config,
            &format!("Tag {tag} not found in repository library/{repository}"),
        ),
        (true, false) => words(
            config,
            &format!(
                "pull access denied for {repository}, repository does not exist or may require 'docker login'"
            ),
        ),
        (false, true) => words(
            config,
            &format!("manifest for {full} not found: manifest unknown: manifest unknown"),
        ),
        (false, false) => words(
            config,
            &format!(
                "pull access denied for {repository}, repository does not exist or may require 'docker login': denied: requested access to the resource is denied"
            ),
        ),
    }
}

/// The client's own check of a name.
pub(crate) fn check_reference(name: &str) -> Result<(), String> {
    let (named, digest) = match name.split_once('@') {
        Some((named, digest)) => (named, Some(digest)),
        None => (name, None),
    };
    // With a digest a tag is taken too, and not looked at.
    let (repository, tag) = match named.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, tag),
        _ => (named, "latest"),
    };
    let tag = digest.unwrap_or(tag);
    let path = repository
        .split_once('/')
        .map_or(repository, |(host, path)| {
            if host.contains(['.', ':']) || host == "localhost" {
                path
            } else {
                repository
            }
        });
    if path.chars().any(|c| c.is_ascii_uppercase())
        && path
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._-/".contains(c))
    {
        return Err("invalid reference format: repository name must be lowercase".into());
    }
    let wrong = |text: &str, more: &str| {
        text.is_empty()
            || !text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || more.contains(c))
    };
    let ends_badly = |part: &str| {
        part.is_empty() || part.starts_with(['.', '-', '_']) || part.ends_with(['.', '-', '_'])
    };
    if wrong(path, "._-/") || path.split('/').any(ends_badly) || wrong(tag, "._-:") {
        return Err("invalid reference format".into());
    }
    Ok(())
}

pub(crate) fn pull(ctx: &mut Ctx, call: &Parsed) -> Reply {
    let name = &call.operands[0];
    if let Err(text) = check_reference(name) {
        return Reply::error(&text, 1);
    }
    match fetch(&ctx.store, &ctx.config, name) {
        Err(refusal) => {
            let mut reply = refusal.reply();
            if !call.on("quiet") && !name.contains([':', '@']) {
                reply.out("Using default tag: latest");
            }
            reply
        }
        Ok((image, new)) => {
            let long = long_name(&image.reference);
            if call.on("quiet") {
                Reply::line(&long)
            } else {
                let line_ms = ctx.config.delays_ms.get("pull_line");
                Reply {
                    line_ms: line_ms.copied().unwrap_or(0),
                    ..Reply::line(&progress(name, &image, new, &long))
                }
            }
        }
    }
}

fn long_name(full: &str) -> String {
    let first = full.split('/').next().unwrap_or(full);
    if !full.contains('/') {
        format!("docker.io/library/{full}")
    } else if first.contains(['.', ':']) || first == "localhost" {
        full.to_owned()
    } else {
        format!("docker.io/{full}")
    }
}

fn progress(name: &str, image: &Image, new: bool, long: &str) -> String {
    let (repository, tag) = split(&image.reference);
    let mut lines = Vec::new();
    if !name.contains([':', '@']) {
        lines.push("Using default tag: latest".to_owned());
    }
    let shown = if repository.contains('/') {
        repository.to_owned()
    } else {
        format!("library/{repository}")
    };
    lines.push(format!("{tag}: Pulling from {shown}"));
    if new {
        let count = image.preset.layers.unwrap_or(2);
        let layers: Vec<String> = (0..count)
            .map(|number| digest(&format!("layer {number} of {}", image.id))[..12].to_owned())
            .collect();
        for said in [
            "Pulling fs layer",
            "Verifying Checksum",
            "Download complete",
            "Pull complete",
        ] {
            lines.extend(layers.iter().map(|layer| format!("{layer}: {said}")));
        }
    }
    lines.push(format!("Digest: sha256:{}", manifest(image)));
    let status = if new {
        "Downloaded newer image"
    } else {
        "Image is up to date"
    };
    lines.push(format!("Status: {status} for {}", image.reference));
    lines.push(long.to_owned());
    lines.join("\n")
}

fn manifest(image: &Image) -> String {
    digest(&format!("manifest {}", image.id))
}

/// The image that `run` and `create` need, pulled where it is missing; the text is what the client shows of that.
pub(crate) fn needed(ctx: &Ctx, name: &str) -> Result<(Image, String), (String, Refusal)> {
    if let Some(image) = find(&ctx.store, name) {
        return Ok((image, String::new()));
    }
    let mut shown = format!("Unable to find image '{}' locally", full(name));
    match fetch(&ctx.store, &ctx.config, name) {
        Ok((image, new)) => {
            let long = long_name(&image.reference);
            let lines = progress(&full(name), &image, new, &long);
            let lines = lines.rsplit_once('\n').map_or("", |(lines, _)| lines);
            shown = format!("{shown}\n{lines}");
            Ok((image, shown))
        }
        Err(refusal) => Err((shown, refusal)),
    }
}

pub(crate) fn inspect(ctx: &mut Ctx, call: &Parsed) -> Reply {
    let (store, config) = (&ctx.store, &ctx.config);
    let mut found = Inspected::new(call.value("format"), config);
    for name in &call.operands {
        match find(store, name) {
            Some(image) => {
                let mut details = details(store, config, &image);
                if found.asks_for_fields() {
                    // As the client's own type calls it.
                    details["ID"] = details["Id"].clone();
                }
                found.add(details);
            }
            None => found.missing(missing(config, name)),
        }
    }
    found.reply()
}

pub(crate) fn tag(ctx: &mut Ctx, call: &Parsed) -> Reply {
    let store = &ctx.store;
    let (source, name) = (&call.operands[0], &call.operands[1]);
    if let Err(text) = check_reference(name) {
        return Reply::error(
            &format!("Error parsing reference: \"{name}\" is not a valid repository/tag: {text}"),
            1,
        );
    }
    let _lock = store.lock();
    match find(store, source) {
        Some(image) => {
            let tag = format!("images/tags/{}", encode(&full(name)));
            store.write(&tag, image.id.as_bytes());
            Reply::default()
        }
        None => Reply::error(&no_such(source), 1),
    }
}

/// How an endpoint says that it has no such image.
fn no_such(name: &str) -> String {
    let name = if name.starts_with("sha256:") {
        name.to_owned()
    } else {
        full(name)
    };
    format!("Error response from daemon: No such image: {name}")
}

/// Takes a name from an image, and the image itself with its last one, unless a container needs it.
pub(crate) fn rmi(ctx: &mut Ctx, call: &Parsed) -> Reply {
    let store = &ctx.store;
    let mut reply = Reply::default();
    for name in &call.operands {
        let _lock = store.lock();
        let tag = format!("images/tags/{}", encode(&full(name)));
        let (Some(image), Some(_)) = (find(store, name), store.read(&tag)) else {
            reply.fail(&no_such(name));
            continue;
        };
        let others = tags(store)
            .into_iter()
            .filter(|(other, id)| *other != full(name) && *id == image.id);
        let last = others.count() == 0;
        let users = store.containers(|_| true);
        let user = users
            .iter()
            .find(|container| container.image_id == image.id)
            .filter(|_| last && !call.on("force"));
        if let Some(user) = user {
            reply.fail(&format!(
                "Error response from daemon: conflict: unable to remove repository reference \"{name}\" (must force) - \
                 container {} is using its referenced image {}",
                &user.id[..12],
                &image.id[..12]
            ));
            continue;
        }
        store.remove(&tag);
        reply.out(&format!("Untagged: {}", full(name)));
        if last {
            store.remove(&format!("images/ids/{}.json", image.id));
            reply.out(&format!("Deleted: sha256:{}", image.id));
        }
    }
    reply
}

/// All names and the IDs that they stand for.
fn tags(store: &Store) -> Vec<(String, String)> {
    let names = store.names("images/tags", "").into_iter();
    let mut tags: Vec<(String, String)> = names
        .filter_map(|name| {
            let id = store.read(&format!("images/tags/{}", encode(&name)))?;
            Some((name, String::from_utf8(id).ok()?))
        })
        .collect();
    tags.sort();
    tags
}

/// `images --format {{.Repository}}:{{.Tag}} REPOSITORY`, the one form in use.
pub(crate) fn list(ctx: &mut Ctx, call: &Parsed) -> Reply {
    if call.value("format") != Some("{{.Repository}}:{{.Tag}}") {
        return Reply::error("fake docker: this format of images is not simulated", 99);
    }
    let mut reply = Reply::default();
    for (name, _) in tags(&ctx.store) {
        let wanted = call.operands.first();
        if wanted.is_none_or(|wanted| split(&name).0 == wanted) {
            reply.out(&name);
        }
    }
    reply
}

pub(crate) fn missing(config: &Config, name: &str) -> String {
    if config.client_at_least(23) || config.is_vch() {
        format!("Error response from daemon: No such image: {}", full(name))
    } else {
        format!("Error: No such image: {name}")
    }
}

fn details(store: &Store, config: &Config, image: &Image) -> Value {
    let tag = format!("images/tags/{}", encode(&image.reference));
    let tagged = store.read(&tag).is_some_and(|id| id == image.id.as_bytes());
    let (repository, _) = split(&image.reference);
    let exposed: Map<String, Value> = image
        .exposed
        .iter()
        .map(|key| (key.clone(), json!({})))
        .collect();
    let mut details = json!({
        "Id": format!("sha256:{}", image.id),
        "RepoTags": if tagged { vec![image.reference.clone()] } else { Vec::new() },
        "RepoDigests": if config.is_vch() { Vec::new() } else { vec![format!("{repository}@sha256:{}", manifest(image))] },
        "Created": times::rfc3339((1_700_000_000 + image.generation * 86_400) * times::SECOND),
        "Architecture": "amd64",
        "Os": "linux",
        "Size": 145_000_000_u64,
        "Config": {
            "Hostname": "",
            "User": image.user,
            "Env": image.env,
            "Cmd": image.cmd,
            "Entrypoint": if image.entrypoint.is_empty() { Value::Null } else { json!(image.entrypoint) },
            "WorkingDir": "",
            "Volumes": null,
            "Labels": if image.preset.labels.is_empty() { Value::Null } else { json!(image.preset.labels) },
        },
    });
    let inner = &mut details["Config"];
    if !exposed.is_empty() {
        inner["ExposedPorts"] = Value::Object(exposed);
    }
    if !image.stop_signal.is_empty() {
        inner["StopSignal"] = image.stop_signal.as_str().into();
    }
    if image.preset.health.is_some() {
        inner["Healthcheck"] = json!({"Test": ["CMD-SHELL", "curl -f http://localhost/ || exit 1"], "Interval": 1_000_000_000});
    }
    details
}
