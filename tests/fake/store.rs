//! The state on disk: one small file an object, so that a call costs the same with ten containers and ten thousand.
//!
//! `containers/NAME.json`, `networks/NAME.json` with `networks/NAME.map` (a bit an address), `images/…`,
//! `ids/ID12` (a link to the name), `ports/PORT` (a link to who has it), `endpoints/NETWORK/NAME@ADDRESS@ID` (an empty file each, so that one
//! listing of a folder says who is on a network), `files/ID12/…` (what was copied in).

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, symlink};
use std::path::{Path, PathBuf};
use std::process;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::containers::Container;

#[derive(Debug, Clone)]
pub(crate) struct Store {
    dir: PathBuf,
}

/// Held while state changes; given back when dropped, also by a client that is killed.
#[derive(Debug)]
pub(crate) struct Lock(#[expect(dead_code, reason = "held, not read")] File);

/// One line of a network's list of who is on it.
#[derive(Debug, Clone)]
pub(crate) struct Bound {
    pub(crate) name: String,
    pub(crate) address: String,
    pub(crate) id: String,
    /// The name is an alias of the container, not its own.
    pub(crate) alias: bool,
}

impl Store {
    pub(crate) fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub(crate) fn lock(&self) -> Lock {
        let open = || {
            OpenOptions::new()
                .create(true)
                .append(true)
                .open(self.path("lock"))
        };
        let file = open().or_else(|_| {
            fs::create_dir_all(&self.dir)?;
            open()
        });
        let file = file.expect("open the lock");
        file.lock().expect("take the lock");
        Lock(file)
    }

    pub(crate) fn read(&self, name: &str) -> Option<Vec<u8>> {
        fs::read(self.path(name)).ok()
    }

    pub(crate) fn load<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        let bytes = self.read(name)?;
        Some(serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{name}: {error}")))
    }

    /// Writes the whole file at once: a reader without the lock sees the old or the new one.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        let aside = self.path(&format!("writing.{}", process::id()));
        fs::write(&aside, bytes).expect("write aside");
        if fs::rename(&aside, &path).is_err() {
            make_parent(&path);
            fs::rename(&aside, &path).expect("put in place");
        }
    }

    pub(crate) fn store<T: Serialize>(&self, name: &str, value: &T) {
        self.write(name, &serde_json::to_vec(value).expect("state is JSON"));
    }

    pub(crate) fn touch(&self, name: &str) {
        let path = self.path(name);
        if File::create(&path).is_err() {
            make_parent(&path);
            File::create(&path).expect("create");
        }
    }

    pub(crate) fn remove(&self, name: &str) {
        let _ = fs::remove_file(self.path(name));
    }

    pub(crate) fn exists(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    /// Appends one line in one write, so that lines of calls side by side don't mix.
    pub(crate) fn append(&self, name: &str, line: &str) {
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.path(name));
        let written = file.and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()));
        written.expect("append");
    }

    pub(crate) fn open(&self, name: &str) -> io::Result<File> {
        let path = self.path(name);
        let open = || {
            OpenOptions::new()
                .create(true)
                .truncate(false)
                .read(true)
                .write(true)
                .open(&path)
        };
        open().or_else(|_| {
            make_parent(&path);
            open()
        })
    }

    /// Names in a folder, an extension cut off.
    pub(crate) fn names(&self, folder: &str, extension: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.path(folder)) else {
            return Vec::new();
        };
        entries
            .flatten()
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                Some(decode(name.strip_suffix(extension)?))
            })
            .collect()
    }

    /// The next number of a counter; the lock is held. Written in place, at one width.
    pub(crate) fn next(&self, counter: &str) -> u64 {
        let file = self
            .open(&format!("{counter}.count"))
            .expect("open a counter");
        let mut digits = [b'0'; 20];
        let _ = file.read_at(&mut digits, 0);
        let value = str::from_utf8(&digits)
            .ok()
            .and_then(|digits| digits.parse().ok())
            .unwrap_or(0);
        file.write_all_at(format!("{:020}", value + 1).as_bytes(), 0)
            .expect("count");
        value
    }

    /// A note of one short word under a name: kept as a link, which costs less than a file.
    pub(crate) fn note(&self, name: &str, word: &str) {
        let path = self.path(name);
        let _ = fs::remove_file(&path);
        if symlink(word, &path).is_err() {
            make_parent(&path);
            symlink(word, &path).expect("note");
        }
    }

    pub(crate) fn noted(&self, name: &str) -> Option<String> {
        let word = fs::read_link(self.path(name)).ok()?;
        word.into_os_string().into_string().ok()
    }

    // Containers.

    pub(crate) fn container_named(&self, name: &str) -> Option<Container> {
        self.load(&format!("containers/{}.json", encode(name)))
    }

    /// A container by name, id or the start of an id.
    pub(crate) fn container(&self, reference: &str) -> Option<Container> {
        let reference = reference.strip_prefix('/').unwrap_or(reference);
        if let Some(container) = self.container_named(reference) {
            return Some(container);
        }
        if reference.len() < 4 || !reference.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let short = if reference.len() >= 12 {
            reference[..12].to_owned()
        } else {
            self.names("ids", "")
                .into_iter()
                .find(|id| id.starts_with(reference))?
        };
        let name = self.noted(&format!("ids/{short}"))?;
        self.container_named(&name)
            .filter(|container| container.id.starts_with(reference))
    }

    pub(crate) fn save(&self, container: &Container) {
        self.store(
            &format!("containers/{}.json", encode(&container.name)),
            container,
        );
    }

    /// Keeps a new container, or one that has a new name.
    pub(crate) fn save_named(&self, container: &Container) {
        self.save(container);
        let name = format!("ids/{}", container.short_id());
        self.note(&name, &container.name);
    }

    pub(crate) fn forget_name(&self, name: &str) {
        self.remove(&format!("containers/{}.json", encode(name)));
    }

    pub(crate) fn forget(&self, container: &Container) {
        self.forget_name(&container.name);
        self.remove(&format!("ids/{}", container.short_id()));
        if !container.files.is_empty() {
            let _ = fs::remove_dir_all(self.path(&format!("files/{}", container.short_id())));
        }
    }

    /// All containers whose name will do.
    pub(crate) fn containers(&self, wanted: impl Fn(&str) -> bool) -> Vec<Container> {
        self.names("containers", ".json")
            .iter()
            .filter(|name| wanted(name))
            .filter_map(|name| self.container_named(name))
            .collect()
    }

    // Files in a container.

    pub(crate) fn file(&self, container: &Container, path: &str) -> Option<Vec<u8>> {
        container.files.get(path)?;
        self.read(&format!("files/{}/{}", container.short_id(), encode(path)))
    }

    pub(crate) fn write_file(&self, container: &Container, path: &str, bytes: &[u8]) {
        self.write(
            &format!("files/{}/{}", container.short_id(), encode(path)),
            bytes,
        );
    }

    // Who is on a network.

    fn endpoint(network: &str, bound: &Bound) -> String {
        let mark = if bound.alias { "~" } else { "" };
        format!(
            "endpoints/{}/{mark}{}@{}@{}",
            encode(network),
            bound.name,
            bound.address,
            bound.id
        )
    }

    pub(crate) fn bind(&self, network: &str, bound: &Bound) {
        self.touch(&Self::endpoint(network, bound));
    }

    pub(crate) fn unbind(&self, network: &str, bound: &Bound) {
        self.remove(&Self::endpoint(network, bound));
    }

    pub(crate) fn bound(&self, network: &str) -> Vec<Bound> {
        let names = self.names(&format!("endpoints/{}", encode(network)), "");
        names
            .iter()
            .filter_map(|entry| {
                let mut fields = entry.trim_start_matches('~').split('@').map(str::to_owned);
                Some(Bound {
                    name: fields.next()?,
                    address: fields.next()?,
                    id: fields.next()?,
                    alias: entry.starts_with('~'),
                })
            })
            .collect()
    }

    pub(crate) fn has_bound(&self, network: &str) -> bool {
        fs::read_dir(self.path(&format!("endpoints/{}", encode(network))))
            .is_ok_and(|mut entries| entries.next().is_some())
    }
}

fn make_parent(path: &Path) {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).expect("make a folder");
    }
}

/// A name as a file's name.
pub(crate) fn encode(name: &str) -> String {
    name.replace('%', "%25").replace('/', "%2F")
}

fn decode(name: &str) -> String {
    name.replace("%2F", "/").replace("%25", "%")
}

/// Sixty-four hexadecimal digits that depend on the text alone.
pub(crate) fn digest(text: &str) -> String {
    let mut state = 0xcbf2_9ce4_8422_2325_u64;
    for byte in text.bytes() {
        state = (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    let mut hex = String::new();
    for _ in 0..4 {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = state;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let _ = write!(hex, "{:016x}", word ^ (word >> 31));
    }
    hex
}
