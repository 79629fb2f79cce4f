//! `cp`, both ways, and the tars that go with it.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::Ctx;
use crate::args::Parsed;
use crate::config::Config;
use crate::containers::{Container, FileMeta};
use crate::haproxy;
use crate::reply::Reply;
use crate::texts;

/// Folders that every image has.
const FOLDERS: &str = "/ /etc /home /opt /root /run /srv /tmp /usr /usr/bin /usr/local /usr/local/bin /usr/local/etc /usr/sbin /var \
    /var/lib /var/log /var/run";

struct Entry {
    path: String,
    mode: u32,
    uid: u64,
    bytes: Vec<u8>,
    folder: bool,
    link: Option<String>,
    pipe: bool,
}

fn untar(tar: &[u8]) -> Option<Vec<Entry>> {
    let mut all = Vec::new();
    for entry in tar::Archive::new(tar).entries().ok()? {
        let mut entry = entry.ok()?;
        let path = entry.path().ok()?.to_string_lossy().into_owned();
        let kind = entry.header().entry_type();
        let link = entry.link_name().ok()?;
        let link = link.map(|link| link.to_string_lossy().into_owned());
        let mode = entry.header().mode().ok()?;
        let uid = entry.header().uid().ok()?;
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).ok()?;
        all.push(Entry {
            path,
            mode,
            uid,
            bytes,
            folder: kind.is_dir(),
            link: link.filter(|_| kind.is_symlink()),
            pipe: kind.is_fifo(),
        });
    }
    Some(all)
}

/// A tar's entries for the record; none if it isn't a tar.
pub(crate) fn entries(bytes: &[u8]) -> Option<Value> {
    let entries = untar(bytes).filter(|entries| !entries.is_empty())?;
    let list = entries.iter().map(|entry| {
        json!({
            "path": entry.path,
            "mode": format!("{:04o}", entry.mode & 0o7777),
            "uid": entry.uid,
            "text": String::from_utf8_lossy(&entry.bytes),
        })
    });
    Some(list.collect())
}

/// `CONTAINER:PATH`, told from a local path as the client tells them.
fn in_container(operand: &str) -> Option<(&str, &str)> {
    if operand.starts_with(['/', '.']) {
        return None;
    }
    operand
        .split_once(':')
        .filter(|(container, _)| !container.is_empty())
}

/// A path from the root, without the last slash.
fn normal(path: &str) -> String {
    let parts: Vec<&str> = path
        .split('/')
        .filter(|part| !matches!(*part, "" | "."))
        .collect();
    format!("/{}", parts.join("/"))
}

fn is_folder(container: &Container, path: &str) -> bool {
    let known = FOLDERS.split_whitespace().any(|known| known == path);
    let of_haproxy = container.haproxy().is_some()
        && matches!(
            path,
            "/usr/local/etc/haproxy" | "/usr/local/etc/haproxy/errors" | "/var/lib/haproxy"
        );
    let below = format!("{}/", path.trim_end_matches('/'));
    known || of_haproxy || container.files.keys().any(|file| file.starts_with(&below))
}

pub(crate) fn cp(ctx: &mut Ctx, call: &Parsed) -> Reply {
    let (from, to) = (&call.operands[0], &call.operands[1]);
    match (in_container(from), in_container(to)) {
        (None, Some((container, path))) => copy_in(ctx, from, container, path),
        (Some((container, path)), None) => copy_out(ctx, container, path, to),
        (Some(_), Some(_)) => Reply::error("copying between containers is not supported", 1),
        (None, None) => Reply::error("must specify at least one container source", 1),
    }
}

/// A path in a container that isn't there, in the words of client and endpoint.
fn absent(config: &Config, name: &str, path: &str) -> Reply {
    if config.is_vch() {
        Reply::daemon_error(&format!("No such file or directory for container: {name}"))
    } else if config.client_at_least(23) {
        Reply::daemon_error(&format!(
            "Could not find the file {path} in container {name}"
        ))
    } else {
        Reply::error(&format!("Error: No such container:path: {name}:{path}"), 1)
    }
}

fn no_container(config: &Config, name: &str, path: &str) -> Reply {
    if config.client_at_least(23) || config.is_vch() {
        texts::no_such_container_daemon(name).reply()
    } else {
        Reply::error(&format!("Error: No such container:path: {name}:{path}"), 1)
    }
}

/// Where the client copies a file to: it follows a link.
fn behind_link(container: &Container, path: String) -> String {
    let Some(FileMeta { link: Some(to), .. }) = container.files.get(&path) else {
        return path;
    };
    if to.starts_with('/') {
        return normal(to);
    }
    let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
    normal(&format!("{parent}/{to}"))
}

/// A file of this workstation, as the one entry of an archive.
fn local_file(file: &str) -> Result<Vec<Entry>, Reply> {
    let metadata = match fs::symlink_metadata(file) {
        Err(_) => {
            let why = format!("lstat {file}: no such file or directory");
            return Err(Reply::error(&why, 1));
        }
        // An engine gets the link, not what it leads to.
        Ok(metadata) if metadata.is_dir() || metadata.is_symlink() => {
            let why = format!("fake docker: {file}: copying folders and links is not simulated");
            return Err(Reply::error(&why, 99));
        }
        Ok(metadata) => metadata,
    };
    let bytes =
        fs::read(file).map_err(|error| Reply::error(&format!("open {file}: {error}"), 1))?;
    Ok(vec![Entry {
        path: normal(file).rsplit('/').next().unwrap_or("").to_owned(),
        mode: metadata.permissions().mode() & 0o7777,
        uid: 0,
        bytes,
        folder: false,
        link: None,
        pipe: false,
    }])
}

fn copy_in(ctx: &mut Ctx, from: &str, name: &str, path: &str) -> Reply {
    let (store, config) = (&ctx.store, &ctx.config);
    let mut path_wanted = normal(path);
    let local = if from == "-" { None } else { Some(from) };
    let entries = match local {
        None => untar(&ctx.stdin),
        Some(file) => match local_file(file) {
            Ok(entries) => Some(entries),
            Err(reply) => return reply,
        },
    };

    let _lock = store.lock();
    let Some(mut container) = store.container(name) else {
        return no_container(config, name, path);
    };
    let Some(entries) = entries else {
        return Reply::daemon_error("unexpected EOF");
    };
    if local.is_some() {
        path_wanted = behind_link(&container, path_wanted);
    }
    let into_folder = is_folder(&container, &path_wanted);
    if local.is_none() && !into_folder {
        return if container.files.contains_key(&path_wanted) {
            Reply::error(
                &format!("destination \"{name}:{path}\" must be a directory"),
                1,
            )
        } else {
            absent(config, name, path)
        };
    }
    if local.is_some() && !into_folder {
        if path.ends_with('/') {
            return Reply::error("no such directory", 1);
        }
        let parent =
            path_wanted.rsplit_once('/').map_or(
                "/",
                |(parent, _)| if parent.is_empty() { "/" } else { parent },
            );
        if !is_folder(&container, parent) {
            return absent(config, name, parent);
        }
    }
    let truncate = container.running() && container.truncated_copies < config.truncate_cp;
    if truncate {
        container.truncated_copies += 1;
    }
    for entry in entries.iter().filter(|entry| !entry.folder) {
        let target = if into_folder {
            normal(&format!("{path_wanted}/{}", entry.path))
        } else {
            path_wanted.clone()
        };
        let bytes = if truncate {
            &entry.bytes[..entry.bytes.len() / 2]
        } else {
            &entry.bytes[..]
        };
        if is_folder(&container, &target) {
            return Reply::daemon_error(&format!(
                "Error processing tar file(exit status 1): cannot overwrite directory \"{target}\" with non-directory \"{path_wanted}\""
            ));
        }
        store.write_file(&container, &target, bytes);
        let meta = FileMeta {
            link: entry.link.clone(),
            pipe: entry.pipe,
            mode: entry.mode & 0o7777,
            uid: entry.uid,
            size: bytes.len(),
        };
        container.files.insert(target, meta);
    }
    store.save(&container);
    Reply::default()
}

/// The pid file that the wrapper of HAProxy 1.7 has it write.
fn pid_file(ctx: &Ctx, name: &str) -> Reply {
    let (store, config) = (&ctx.store, &ctx.config);
    let _lock = store.lock();
    let Some(mut container) = store.container(name) else {
        return no_container(config, name, "/run/haproxy.pid");
    };
    haproxy::settle(store, config, &mut container);
    store.save(&container);
    let text = format!("{}\n", container.worker);
    let mut header = tar::Header::new_gnu();
    header.set_size(text.len() as u64);
    header.set_mode(0o644);
    let mut builder = tar::Builder::new(Vec::new());
    let packed = builder
        .append_data(&mut header, "haproxy.pid", text.as_bytes())
        .and_then(|()| builder.into_inner());
    Reply {
        stdout: packed.expect("a tar in memory"),
        ..Reply::default()
    }
}

fn copy_out(ctx: &mut Ctx, name: &str, path: &str, to: &str) -> Reply {
    let (store, config) = (&ctx.store, &ctx.config);
    let wanted = normal(path);
    let Some(container) = store.container(name) else {
        return no_container(config, name, path);
    };
    if config.empty_archives > 0 && to == "-" && container.running() {
        let _lock = store.lock();
        if store.next("empty_archives") < config.empty_archives {
            return Reply::default();
        }
    }
    if wanted == "/run/haproxy.pid" && container.running() {
        let wrapped = container
            .haproxy()
            .is_some_and(|version| haproxy::wrapped(&version));
        if wrapped && to == "-" {
            return pid_file(ctx, name);
        }
    }
    let files: Vec<(&String, &FileMeta)> = if container.files.contains_key(&wanted) {
        container
            .files
            .iter()
            .filter(|(file, _)| **file == wanted)
            .collect()
    } else if is_folder(&container, &wanted) {
        let below = format!("{}/", wanted.trim_end_matches('/'));
        container
            .files
            .iter()
            .filter(|(file, _)| file.starts_with(&below))
            .collect()
    } else {
        return absent(config, name, path);
    };
    if to != "-" {
        let [(file, meta)] = files.as_slice() else {
            return Reply::error("fake docker: copying folders is not simulated", 99);
        };
        let target = if fs::metadata(to).is_ok_and(|metadata| metadata.is_dir()) {
            format!("{to}/{}", wanted.rsplit('/').next().unwrap_or(""))
        } else {
            to.to_owned()
        };
        let written = fs::write(&target, store.file(&container, file).unwrap_or_default());
        let written = written
            .and_then(|()| fs::set_permissions(&target, fs::Permissions::from_mode(meta.mode)));
        return written.map_or_else(
            |error| Reply::error(&format!("open {target}: {error}"), 1),
            |()| Reply::default(),
        );
    }
    Reply {
        stdout: packed(ctx, &container, &wanted, &files),
        ..Reply::default()
    }
}

/// The archive of `wanted`, behind which these files are.
fn packed(
    ctx: &Ctx,
    container: &Container,
    wanted: &str,
    files: &[(&String, &FileMeta)],
) -> Vec<u8> {
    let parent = wanted.rsplit_once('/').map_or("", |(parent, _)| parent);
    let mut builder = tar::Builder::new(Vec::new());
    let mut folders = BTreeSet::new();
    if !container.files.contains_key(wanted) {
        folders.insert(wanted.to_owned());
    }
    let mut header = |path: &str, kind: tar::EntryType, meta: &FileMeta, bytes: &[u8]| {
        let relative = path
            .strip_prefix(parent)
            .unwrap_or(path)
            .trim_start_matches('/');
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        if let Some(to) = &meta.link {
            header.set_link_name(to).expect("a short path");
        }
        header.set_size(bytes.len() as u64);
        header.set_mode(meta.mode);
        header.set_uid(meta.uid);
        header.set_gid(0);
        header.set_mtime(1_700_000_000);
        let name = if kind.is_dir() {
            format!("{relative}/")
        } else {
            relative.to_owned()
        };
        builder
            .append_data(&mut header, name, bytes)
            .expect("a tar in memory");
    };
    for folder in &folders {
        let meta = FileMeta {
            link: None,
            pipe: false,
            mode: 0o755,
            uid: 0,
            size: 0,
        };
        header(folder, tar::EntryType::Directory, &meta, &[]);
    }
    for (file, meta) in files {
        let (kind, bytes) = match meta {
            FileMeta { link: Some(_), .. } => (tar::EntryType::Symlink, Vec::new()),
            FileMeta { pipe: true, .. } => (tar::EntryType::Fifo, Vec::new()),
            _ => (
                tar::EntryType::Regular,
                ctx.store.file(container, file).unwrap_or_default(),
            ),
        };
        header(file, kind, meta, &bytes);
    }
    builder.into_inner().expect("a tar in memory")
}
