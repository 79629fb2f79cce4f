//! A place to run the real binary in: a folder of its own, the fake docker as the only `docker` in PATH, nothing else in
//! the environment. What the tool did is read back from the fake's record and state.

mod call;
mod listener;
mod ran;
mod running;
mod terminal;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::ErrorKind;
use std::net::{IpAddr, TcpListener};
use std::os::unix::fs::symlink;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{self, Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use vch_lb::history;

pub(crate) use call::Call;
pub(crate) use listener::Listener;
pub(crate) use ran::Ran;
pub(crate) use running::Running;

use super::safe_list;

/// Longer than anything that a test waits for.
const PATIENCE: Duration = Duration::from_mins(1);

/// Addresses on the external network as tests write them. Each sandbox has its own behind that, so that tests can listen side
/// by side; output is shown with these.
const SHOWN: &str = "127.50.0.";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flavor {
    Engine,
    Vch,
}

pub(crate) const FLAVORS: [Flavor; 2] = [Flavor::Engine, Flavor::Vch];

pub(crate) struct Sandbox {
    dir: TempDir,
    flavor: Flavor,
    /// The start of its own addresses, such as `127.73.4.`.
    addresses: String,
    config: Mutex<Value>,
    rules: Mutex<Vec<Value>>,
    unused_rules: AtomicBool,
}

impl Sandbox {
    pub(crate) fn new(flavor: Flavor) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed) + process::id() / 200;
        // More sandboxes than 256 are made in a run, and two that live at one time must not share an address.
        let second = 51 + (process::id() + number / 256) % 200;
        let addresses = format!("127.{second}.{}.", number % 256);
        let sandbox = Self {
            dir: folder(),
            flavor,
            config: Mutex::new(json!({})),
            rules: Mutex::default(),
            unused_rules: AtomicBool::new(false),
            addresses,
        };
        for folder in ["bin", "home", "work", "docker"] {
            fs::create_dir(sandbox.path(folder)).unwrap();
        }
        symlink(
            env!("CARGO_BIN_EXE_fake-docker"),
            sandbox.path("bin/docker"),
        )
        .unwrap();
        let routable = json!({"subnet": format!("{}0/24", sandbox.addresses)});
        sandbox.config(json!({
            "flavor": if flavor == Flavor::Vch { "vch" } else { "engine" },
            "networks": {"routable": routable},
        }));
        sandbox
    }

    /// Another sandbox whose endpoint is as this one's is now, at addresses of its own.
    pub(crate) fn like(&self) -> Self {
        let other = Self::new(self.flavor);
        for part in ["docker", "work", "old_image"] {
            if self.path(part).exists() {
                self.copy_to(&other, Path::new(part));
            }
        }
        other
    }

    fn copy_to(&self, other: &Self, path: &Path) {
        let from = self.dir.path().join(path);
        let to = other.dir.path().join(path);
        if from.is_symlink() {
            symlink(fs::read_link(&from).unwrap(), &to).unwrap();
            return;
        }
        if from.is_dir() {
            fs::create_dir_all(&to).unwrap();
            for entry in fs::read_dir(&from).unwrap() {
                self.copy_to(other, &path.join(entry.unwrap().file_name()));
            }
            return;
        }
        let name = path.file_name().unwrap().to_string_lossy();
        let to = to.with_file_name(name.replace(&self.addresses, &other.addresses));
        let bytes = fs::read(&from).unwrap();
        match String::from_utf8(bytes) {
            Ok(text) => fs::write(to, text.replace(&self.addresses, &other.addresses)).unwrap(),
            Err(error) => fs::write(to, error.into_bytes()).unwrap(),
        }
    }

    pub(crate) fn flavor(&self) -> Flavor {
        self.flavor
    }

    pub(crate) fn is_vch(&self) -> bool {
        self.flavor == Flavor::Vch
    }

    /// A path in the sandbox; the tool's own folder is `work`.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file into the tool's folder.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path("work").join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// Reads a file from the tool's folder.
    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path("work").join(name))
            .unwrap_or_else(|error| panic!("work/{name}: {error}"))
    }

    // Givens.

    /// Changes the endpoint's behaviour: merged into what was set before.
    pub(crate) fn config(&self, more: Value) -> &Self {
        merge(&mut self.config.lock().unwrap(), more);
        fs::write(
            self.path("docker/config.json"),
            self.config.lock().unwrap().to_string(),
        )
        .unwrap();
        self
    }

    /// Lays a fault. One that is never met fails the test.
    pub(crate) fn rule(&self, rule: Value) -> &Self {
        self.rules.lock().unwrap().push(rule);
        let rules = Value::Array(self.rules.lock().unwrap().clone());
        fs::write(self.path("docker/rules.json"), rules.to_string()).unwrap();
        self
    }

    /// Takes all faults away, and their counts.
    pub(crate) fn no_rules(&self) -> &Self {
        self.rules.lock().unwrap().clear();
        let _ = fs::remove_file(self.path("docker/rules.json"));
        let _ = fs::remove_file(self.path("docker/rules_hits.json"));
        self
    }

    /// It is fine if faults are not met.
    pub(crate) fn rules_may_be_unused(&self) -> &Self {
        self.unused_rules.store(true, Ordering::Relaxed);
        self
    }

    /// Lets the calls go on that hang on this file.
    pub(crate) fn release(&self, file: &str) {
        fs::write(self.path("docker").join(file), "").unwrap();
    }

    /// Pushes a new image under the same name: the next pull gets another id.
    pub(crate) fn push_image(&self, name: &str) -> &Self {
        let path = self.path("docker/images_generation.json");
        let mut generations: BTreeMap<String, u64> = fs::read(&path)
            .map(|text| serde_json::from_slice(&text).unwrap())
            .unwrap_or_default();
        *generations.entry(name.to_owned()).or_default() += 1;
        fs::write(path, serde_json::to_vec(&generations).unwrap()).unwrap();
        self
    }

    /// The bash script's own calls, for the default settings with some number of instances; then forgets the calls.
    pub(crate) fn script_has_run(&self, instances: usize) -> &Self {
        for result in self.script(instances) {
            result.success();
        }
        self.forget_calls();
        self
    }

    /// The bash script's own calls, in its order.
    pub(crate) fn script(&self, instances: usize) -> Vec<Ran> {
        let config = self.path("script.cfg");
        fs::write(&config, script_config(instances)).unwrap();
        let config = config.to_str().unwrap();
        let mut all = vec![
            self.docker(&["pull", "httpd"]),
            self.docker(&["pull", "haproxy:1.7"]),
            self.docker(&["network", "create", "web-net"]),
        ];
        for number in 1..=instances {
            let name = format!("web-{number}");
            all.push(self.docker(&[
                "run", "-d", "-p", "80", "--name", &name, "--net", "web-net", "httpd",
            ]));
        }
        all.extend([
            self.docker(&["create", "--name", "lb", "--net", "routable", "haproxy:1.7"]),
            self.docker(&["network", "connect", "web-net", "lb"]),
            self.docker(&["cp", config, "lb:/usr/local/etc/haproxy/haproxy.cfg"]),
            self.docker(&["start", "lb"]),
            self.docker(&["inspect", "-f", ADDRESS, "lb"]),
        ]);
        all
    }

    // Acts.

    /// The tool, ready to run.
    pub(crate) fn command(&self, arguments: &[&str]) -> assert_cmd::Command {
        let mut command = assert_cmd::Command::from_std(self.std_command(arguments));
        command.timeout(PATIENCE);
        command
    }

    /// The same for tests that need the process while it runs.
    pub(crate) fn std_command(&self, arguments: &[&str]) -> process::Command {
        let mut command = self.bare(Path::new(env!("CARGO_BIN_EXE_vch-lb")));
        command.args(arguments);
        command
    }

    fn bare(&self, program: &Path) -> process::Command {
        let mut command = process::Command::new(program);
        command
            .env_clear()
            .env("PATH", self.path("bin"))
            .env("HOME", self.path("home"))
            .env("FAKE_DOCKER_DIR", self.path("docker"))
            .current_dir(self.path("work"));
        // Where coverage is measured, the binaries are told so by this.
        if let Some(file) = std::env::var_os("LLVM_PROFILE_FILE") {
            command.env("LLVM_PROFILE_FILE", file);
        }
        command
    }

    /// Runs the tool to its end.
    pub(crate) fn tool(&self, arguments: &[&str]) -> Ran {
        self.tool_with(arguments, |command| command)
    }

    /// Runs the tool with something more: an environment variable, a stdin.
    pub(crate) fn tool_with(
        &self,
        arguments: &[&str],
        more: impl FnOnce(&mut assert_cmd::Command) -> &mut assert_cmd::Command,
    ) -> Ran {
        let mut command = self.command(arguments);
        let output = more(&mut command).output().unwrap();
        self.ran(format!("vch-lb {}", shell_words::join(arguments)), &output)
    }

    /// Starts the tool, to be met while it runs.
    pub(crate) fn start(&self, arguments: &[&str]) -> Running<'_> {
        let mut command = self.std_command(arguments);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Running {
            sandbox: self,
            what: format!("vch-lb {}", shell_words::join(arguments)),
            child: Some(command.spawn().unwrap()),
        }
    }

    /// Runs the fake docker directly.
    pub(crate) fn docker(&self, arguments: &[&str]) -> Ran {
        self.docker_with(arguments, |command| command)
    }

    /// Runs the fake docker directly, its arguments written as in a shell.
    pub(crate) fn docker_line(&self, line: &str) -> Ran {
        let words = shell_words::split(line).unwrap();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        self.docker(&words)
    }

    /// Runs the fake docker directly, with something more.
    pub(crate) fn docker_with(
        &self,
        arguments: &[&str],
        more: impl FnOnce(&mut assert_cmd::Command) -> &mut assert_cmd::Command,
    ) -> Ran {
        let mut command = self.bare(&self.path("bin/docker"));
        command.args(arguments);
        let mut command = assert_cmd::Command::from_std(command);
        command.timeout(PATIENCE);
        let output = more(&mut command).output().unwrap();
        self.ran(format!("docker {}", shell_words::join(arguments)), &output)
    }

    pub(crate) fn ran(&self, what: String, output: &Output) -> Ran {
        Ran {
            what,
            code: output.status.code(),
            signal: output.status.signal(),
            stdout: self.shown(&String::from_utf8_lossy(&output.stdout)),
            stderr: self.shown(&String::from_utf8_lossy(&output.stderr)),
            bytes: output.stdout.clone(),
        }
    }

    /// Text without what differs from run to run: the sandbox's folder is `$SANDBOX`, its addresses are 127.50.0.x.
    pub(crate) fn shown(&self, text: &str) -> String {
        text.replace(&*self.dir.path().to_string_lossy(), "$SANDBOX")
            .replace(&self.addresses, SHOWN)
    }

    /// This sandbox's address for one written as 127.50.0.x.
    pub(crate) fn address(&self, shown: &str) -> String {
        shown.replace(SHOWN, &self.addresses)
    }

    // The world around: who answers on an address of the external network.

    /// Answers every HTTP request on an address (written as 127.50.0.x) with a status, until dropped.
    pub(crate) fn listen(&self, address: &str, port: u16, status: u16) -> Listener {
        let text =
            format!("HTTP/1.1 {status} Fake\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n");
        self.answer_with(address, port, &text)
    }

    /// Answers every HTTP request on an address with a text, until dropped.
    pub(crate) fn answer_with(&self, address: &str, port: u16, text: &str) -> Listener {
        Listener::answering(self.bound(address, port), text.to_owned())
    }

    /// Lets connections to an address time out, as a firewall that drops packets does, until dropped.
    pub(crate) fn listen_silent(&self, address: &str, port: u16) -> Listener {
        Listener::silent(self.bound(address, port))
    }

    /// Takes connections to an address and says nothing, until dropped.
    pub(crate) fn listen_mute(&self, address: &str, port: u16) -> TcpListener {
        self.bound(address, port)
    }

    fn bound(&self, address: &str, port: u16) -> TcpListener {
        let ip: IpAddr = self.address(address).parse().unwrap();
        let deadline = Instant::now() + PATIENCE;
        loop {
            match TcpListener::bind((ip, port)) {
                Ok(listener) => return listener,
                // A child that another test is starting has every socket until it executes its program, closed ones, too.
                Err(error) if error.kind() == ErrorKind::AddrInUse && Instant::now() < deadline => {
                    thread::sleep(Duration::from_millis(5));
                }
                Err(error) => panic!("listen on {ip}:{port}: {error}"),
            }
        }
    }

    // What came of it.

    /// Every call of docker so far, in order of start.
    pub(crate) fn calls(&self) -> Vec<Call> {
        let text = fs::read_to_string(self.path("docker/calls.jsonl")).unwrap_or_default();
        Call::all(&text)
    }

    /// The calls that change something of the service, each as a shell would show it, in order of start.
    pub(crate) fn changing_calls(&self) -> Vec<String> {
        let calls = self.calls().into_iter();
        calls
            .filter(|call| call.change.is_some() && !call.keeps_history())
            .map(|call| self.shown(&call.line()))
            .collect()
    }

    /// Begins a new record, so that calls are counted from 0 again.
    pub(crate) fn forget_calls(&self) -> &Self {
        self.assert_calls_are_safe();
        for file in ["calls.jsonl", "calls.count", "changes.count"] {
            let _ = fs::remove_file(self.path("docker").join(file));
        }
        self
    }

    /// No call but the tests' own is missing from the list of safe ones.
    #[track_caller]
    fn assert_calls_are_safe(&self) {
        for call in self.calls() {
            if call.parent_pid != i64::from(process::id()) {
                safe_list::verdict(&call.argv).unwrap_or_else(|why| panic!("{why}"));
            }
        }
    }

    /// Waits until a call has started whose words, joined by blanks, begin with this.
    pub(crate) fn wait_for_call(&self, start: &str) -> Call {
        self.wait_until(&format!("a call of docker {start}"), || {
            self.calls()
                .into_iter()
                .find(|call| call.words.join(" ").starts_with(start))
        })
    }

    /// Waits until there is something.
    pub(crate) fn wait_until<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = look() {
                return found;
            }
            assert!(
                Instant::now() < deadline,
                "waited in vain for {what}; calls:\n{}",
                self.calls_text()
            );
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// The record for a failure's message.
    pub(crate) fn calls_text(&self) -> String {
        let lines = self
            .calls()
            .into_iter()
            .map(|call| self.shown(&format!("{call:?}")));
        lines.collect::<Vec<_>>().join("\n")
    }

    /// A container's state as the fake keeps it, if it's there.
    pub(crate) fn find_container(&self, name: &str) -> Option<Value> {
        let text = fs::read(self.path(&format!("docker/containers/{name}.json"))).ok()?;
        Some(serde_json::from_slice(&text).unwrap())
    }

    /// A container's state as the fake keeps it.
    pub(crate) fn container(&self, name: &str) -> Value {
        self.find_container(name)
            .unwrap_or_else(|| panic!("no container {name}, only {:?}", self.containers()))
    }

    /// The containers' names, sorted as text.
    pub(crate) fn containers(&self) -> Vec<String> {
        self.objects("containers")
    }

    /// The names of networks that were created, sorted as text.
    pub(crate) fn networks(&self) -> Vec<String> {
        self.objects("networks")
    }

    fn objects(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path("docker").join(folder))
            .into_iter()
            .flatten()
            .flatten();
        let mut names: Vec<String> = entries
            .filter_map(|entry| {
                Some(
                    entry
                        .file_name()
                        .to_str()?
                        .strip_suffix(".json")?
                        .replace("%2F", "/"),
                )
            })
            .collect();
        names.sort();
        names
    }

    /// The configuration that is in force in a load balancer; none if it doesn't run.
    pub(crate) fn loaded_config(&self, name: &str) -> Option<String> {
        self.container(name)["loaded_config"]
            .as_str()
            .map(str::to_owned)
    }

    /// A file in a container.
    pub(crate) fn file_in(&self, container: &str, path: &str) -> Option<String> {
        let state = self.container(container);
        state["files"].get(path)?;
        let id = &state["id"].as_str().unwrap()[..12];
        let name = path.replace('%', "%25").replace('/', "%2F");
        Some(fs::read_to_string(self.path(&format!("docker/files/{id}/{name}"))).unwrap())
    }

    /// All that a command which fails must leave as it was, to compare before and after: ids, states, addresses, files, the
    /// configuration in force, networks. The history is left out: that it failed is written there. Addresses of what was stopped and started again may differ.
    pub(crate) fn state(&self) -> Value {
        let containers: serde_json::Map<String, Value> = self
            .containers()
            .into_iter()
            .map(|name| {
                let state = self.container(&name);
                let files = state["files"].as_object().unwrap().keys();
                let files = files.filter(|path| !path.ends_with(history::FILE));
                let files: BTreeMap<&String, Option<String>> = files
                    .map(|path| (path, self.file_in(&name, path)))
                    .collect();
                let mut kept = json!({"files": files});
                for key in [
                    "id",
                    "status",
                    "image",
                    "image_id",
                    "labels",
                    "networks",
                    "env",
                    "loaded_config",
                ] {
                    kept[key] = state[key].clone();
                }
                (name, kept)
            })
            .collect();
        json!({"containers": containers, "networks": self.networks()})
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if thread::panicking() {
            return;
        }
        self.assert_calls_are_safe();
        if self.unused_rules.load(Ordering::Relaxed) {
            return;
        }
        let hits = fs::read(self.path("docker/rules_hits.json")).unwrap_or_default();
        let hits: Value = serde_json::from_slice(&hits).unwrap_or_default();
        for (index, rule) in self.rules.lock().unwrap().iter().enumerate() {
            let fired = hits["fired"][index].as_u64().unwrap_or(0);
            assert!(
                fired > 0,
                "a fault was never met: {rule}; calls:\n{}",
                self.calls_text()
            );
        }
    }
}

/// The template by which the script asks for the load balancer's address.
pub(crate) const ADDRESS: &str = "{{(index .NetworkSettings.Networks \"routable\").IPAddress}}";

/// The script's haproxy.cfg for the default settings.
pub(crate) fn script_config(instances: usize) -> String {
    let mut text = "global\n\tmaxconn 256\n\tlog 127.0.0.1:514 local0\ndefaults\n\tmode http\n\ttimeout connect 5000ms\n\
        \ttimeout client 50000ms\n\ttimeout server 5000ms\n\tlog global\nfrontend http-in\n\tbind *:80\n\
        \tdefault_backend servers\nbackend servers\n"
        .to_owned();
    for number in 1..=instances {
        writeln!(text, "\tserver server{number} web-{number}:80 maxconn 32").unwrap();
    }
    text
}

/// A folder in memory where there is one: the fake's state is many small files.
fn folder() -> TempDir {
    let mut builder = tempfile::Builder::new();
    builder.prefix("vch-lb-test");
    builder
        .tempdir_in("/dev/shm")
        .or_else(|_| builder.tempdir())
        .unwrap()
}

fn merge(into: &mut Value, more: Value) {
    match (into, more) {
        (Value::Object(into), Value::Object(more)) => {
            for (key, value) in more {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, more) => *into = more,
    }
}
