//! A service of a test's own on the shared endpoint: names that nobody else has, a folder to run the tool in, and the end of
//! both when the test ends. Tests run side by side.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::fs;
use std::io::{self, BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::endpoint::{Endpoint, endpoint};
use crate::traffic;

/// Longer than anything that a test waits for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

const ADDRESS: &str =
    "{{range $name, $net := .NetworkSettings.Networks}}{{$name}} {{$net.IPAddress}}\n{{end}}";

pub(crate) struct Service {
    dir: TempDir,
    pub endpoint: &'static Endpoint,
    /// INSTANCE_CTR_PREFIX.
    pub prefix: String,
    /// LB_CTR_NAME.
    pub lb: String,
    external: String,
    more: Vec<(String, String)>,
}

impl Service {
    /// A service with names of its own, or `None`, said loudly, where the tests were not asked for.
    pub(crate) fn new(test: &str) -> Option<Self> {
        let Some(endpoint) = endpoint() else {
            // Past the capture of the test runner.
            let _ = writeln!(
                io::stderr(),
                "SKIPPED {test}: it needs the testbed's engine and VCH_LB_ENGINE_TESTS=1 (scripts/test)"
            );
            return None;
        };
        let prefix = format!("t{}-{test}", process::id());
        Some(Self {
            dir: tempfile::Builder::new()
                .prefix("vch-lb-engine")
                .tempdir()
                .unwrap(),
            endpoint,
            lb: format!("{prefix}-lb"),
            prefix,
            external: "routable".into(),
            more: Vec::new(),
        })
    }

    /// Another setting, as an environment variable of every run of the tool from now on.
    pub(crate) fn set(&mut self, name: &str, value: &str) -> &mut Self {
        if name == "EXTERNAL_NET" {
            value.clone_into(&mut self.external);
        }
        self.more.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A path in the service's folder; the tool runs in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A file in the service's folder.
    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub(crate) fn instance(&self, number: usize) -> String {
        format!("{}-{number}", self.prefix)
    }

    pub(crate) fn instances(&self, numbers: impl IntoIterator<Item = usize>) -> Vec<String> {
        numbers
            .into_iter()
            .map(|number| self.instance(number))
            .collect()
    }

    pub(crate) fn network(&self) -> String {
        format!("{}-net", self.prefix)
    }

    // Acts.

    /// The tool, ready to run.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self
            .endpoint
            .command(Path::new(env!("CARGO_BIN_EXE_vch-lb")), self.dir.path());
        command
            .env("INSTANCE_CTR_PREFIX", &self.prefix)
            .env("LB_CTR_NAME", &self.lb)
            .envs(self.more.iter().map(|(name, value)| (name, value)))
            .args(arguments)
            .current_dir(self.dir.path());
        command
    }

    /// Runs the tool to its end.
    pub(crate) fn tool(&self, arguments: &[&str]) -> Ran {
        self.tool_with(arguments, |command| command)
    }

    /// Runs the tool with something more, such as another environment variable.
    pub(crate) fn tool_with(
        &self,
        arguments: &[&str],
        more: impl FnOnce(&mut Command) -> &mut Command,
    ) -> Ran {
        let mut command = self.command(arguments);
        more(&mut command);
        Running::new(command, &shell_words::join(arguments)).end()
    }

    /// Starts the tool, to be met while it runs.
    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        Running::new(self.command(arguments), &shell_words::join(arguments))
    }

    /// Runs docker, which has to succeed; the result is what it printed.
    pub(crate) fn docker(&self, arguments: &[&str]) -> String {
        let output = self.endpoint.docker(arguments);
        assert!(
            output.status.success(),
            "docker {}: {output:?}",
            shell_words::join(arguments)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a script by bash, in the service's folder.
    pub(crate) fn bash(&self, script: &str) {
        fs::write(self.path("script.sh"), script).unwrap();
        let mut bash = self.endpoint.command(Path::new("bash"), self.dir.path());
        let output = bash
            .arg("script.sh")
            .current_dir(self.dir.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{script}\n{output:?}");
    }

    // Looks.

    /// The load balancer's address on the external network, as docker tells it.
    pub(crate) fn address(&self) -> String {
        let text = self.docker(&["inspect", "-f", ADDRESS, &self.lb]);
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{} ", self.external)));
        line.unwrap_or_else(|| panic!("{} is not on {}: {text}", self.lb, self.external))
            .to_owned()
    }

    /// Requests through the load balancer reach exactly these instances, and each of them says the version.
    pub(crate) fn serves(&self, instances: &[String], version: &str) {
        let wanted = instances
            .iter()
            .map(|name| format!("{name} httpd:{version}\n"))
            .collect();
        traffic::reaches(&self.address(), self.port(), &wanted);
    }

    pub(crate) fn port(&self) -> u16 {
        let set = self.more.iter().rev().find(|(name, _)| name == "LB_PORT");
        set.map_or(80, |(_, port)| port.parse().unwrap())
    }

    /// The haproxy.cfg that the script would have written for these instances.
    pub(crate) fn script_config(&self, instances: &[String], instance_port: u16) -> String {
        let mut text = format!(
            "global\n\tmaxconn 256\n\tlog 127.0.0.1:514 local0\ndefaults\n\tmode http\n\ttimeout connect 5000ms\n\
             \ttimeout client 50000ms\n\ttimeout server 5000ms\n\tlog global\nfrontend http-in\n\tbind *:{}\n\
             \tdefault_backend servers\nbackend servers\n",
            self.port()
        );
        for (number, instance) in (1..).zip(instances) {
            let _ = writeln!(
                text,
                "\tserver server{number} {instance}:{instance_port} maxconn 32"
            );
        }
        text
    }

    /// The containers of this service and since when each has been running: equal before and after means untouched.
    pub(crate) fn containers(&self) -> BTreeMap<String, String> {
        let filter = format!("name=^/{}-", self.prefix);
        let names = self.docker(&["ps", "-a", "--filter", &filter, "--format", "{{.Names}}"]);
        let names: Vec<&str> = names.lines().collect();
        if names.is_empty() {
            return BTreeMap::new();
        }
        let format = "{{.Name}} {{.Id}} {{.State.Status}} {{.State.StartedAt}} {{.Config.Image}}";
        let mut call = vec!["inspect", "-f", format];
        call.extend(&names);
        let split = |line: &str| {
            let (name, rest) = line.split_once(' ').unwrap();
            (name.trim_start_matches('/').to_owned(), rest.to_owned())
        };
        self.docker(&call).lines().map(split).collect()
    }

    /// How many networks are called like the service's.
    pub(crate) fn networks(&self) -> usize {
        let filter = format!("name=^{}$", self.network());
        let ids = self.docker(&["network", "ls", "-q", "--filter", &filter]);
        ids.lines().count()
    }

    /// Nothing of the service is on the endpoint.
    pub(crate) fn is_gone(&self) {
        assert_eq!(self.containers(), BTreeMap::new());
        assert_eq!(self.networks(), 0, "{}", self.network());
    }

    /// Running the tool again finds nothing to do and touches nothing.
    pub(crate) fn is_up_to_date(&self, arguments: &[&str]) {
        let before = self.containers();
        let ran = self.tool(arguments);
        ran.succeeded().says("up to date");
        self.answers(&ran);
        assert_eq!(self.containers(), before);
    }

    /// The last lines of stdout are the script's.
    pub(crate) fn answers(&self, ran: &Ran) {
        let answer = format!(
            "\nService is available at\n{}\non port {}\n",
            self.address(),
            self.port()
        );
        assert_eq!(ran.stdout, answer, "{ran}");
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // A test may have been told to leave in the middle of a call: that call may still make a container.
        let filter = format!("name=^/{}-", self.prefix);
        let deadline = Instant::now() + Duration::from_secs(30);
        while Instant::now() < deadline {
            let there = self.endpoint.docker(&["ps", "-aq", "--filter", &filter]);
            let ids = String::from_utf8_lossy(&there.stdout).into_owned();
            let mut remove = vec!["rm", "-f", "-v"];
            remove.extend(ids.split_whitespace());
            if remove.len() > 3 {
                self.endpoint.docker(&remove);
                continue;
            }
            let removed = self.endpoint.docker(&["network", "rm", &self.network()]);
            let said = String::from_utf8_lossy(&removed.stderr).into_owned();
            if removed.status.success()
                || said.contains("No such network")
                || said.contains("not found")
            {
                return;
            }
            thread::sleep(Duration::from_millis(200));
        }
    }
}

/// How a run of the tool ended.
#[derive(Debug)]
pub(crate) struct Ran {
    what: String,
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    pub(crate) fn succeeded(&self) -> &Self {
        self.exited(0)
    }

    pub(crate) fn exited(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "{self}");
        self
    }

    /// stderr holds this.
    pub(crate) fn says(&self, text: &str) -> &Self {
        assert!(
            self.stderr.contains(text),
            "no {text:?} in the stderr of {self}"
        );
        self
    }

    /// There is no answer.
    pub(crate) fn prints(&self, text: &str) -> &Self {
        assert!(self.stdout.contains(text), "no {text:?}\n{self}");
        self
    }

    pub(crate) fn answers_nothing(&self) -> &Self {
        assert_eq!(self.stdout, "", "{self}");
        self
    }
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            what,
            code,
            stdout,
            stderr,
        } = self;
        write!(
            f,
            "vch-lb {what}: exit code {code:?}\n--- stdout\n{stdout}--- stderr\n{stderr}---"
        )
    }
}

/// The tool while it runs. Dropped, it ends.
pub(crate) struct Running {
    what: String,
    child: Child,
    stdout: Arc<Mutex<String>>,
    reader: Option<thread::JoinHandle<()>>,
    lines: Receiver<String>,
    stderr: String,
}

impl Running {
    fn new(mut command: Command, what: &str) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (out, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let stdout = Arc::new(Mutex::new(String::new()));
        let text = Arc::clone(&stdout);
        let reader = thread::spawn(move || {
            let mut out = BufReader::new(out);
            let mut line = Vec::new();
            while out
                .read_until(b'\n', &mut line)
                .is_ok_and(|count| count > 0)
            {
                text.lock()
                    .unwrap()
                    .push_str(&String::from_utf8_lossy(&line));
                line.clear();
            }
        });
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self {
            what: what.to_owned(),
            child,
            stdout,
            reader: Some(reader),
            lines,
            stderr: String::new(),
        }
    }

    /// Reads stderr until a line holds `text`; `false` if the tool ends before.
    pub(crate) fn until(&mut self, text: &str) -> bool {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    let found = line.contains(text);
                    self.stderr.push_str(&line);
                    self.stderr.push('\n');
                    if found {
                        return true;
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return false,
                Err(RecvTimeoutError::Timeout) => {
                    let _ = self.child.kill();
                    panic!("vch-lb {} takes too long:\n{}", self.what, self.stderr);
                }
            }
        }
    }

    /// Whether stdout held this so far.
    pub(crate) fn said(&self, text: &str) -> bool {
        self.stdout.lock().unwrap().contains(text)
    }

    /// Sends a signal, by the name that `kill` knows.
    pub(crate) fn signal(&self, signal: &str) {
        let sent = Command::new("kill")
            .arg(format!("-{signal}"))
            .arg(self.child.id().to_string())
            .status();
        assert!(sent.unwrap().success());
    }

    /// The processes that the tool has running just now, deepest last.
    pub(crate) fn calls(&self) -> Vec<u32> {
        let mut all = vec![self.child.id()];
        let mut next = 0;
        while let Some(parent) = all.get(next).copied() {
            next += 1;
            let Ok(tasks) = fs::read_dir(format!("/proc/{parent}/task")) else {
                continue;
            };
            for task in tasks.flatten() {
                let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
                all.extend(
                    children
                        .split_whitespace()
                        .filter_map(|pid| pid.parse::<u32>().ok()),
                );
            }
        }
        all.split_off(1)
    }

    /// Waits for the tool's end.
    pub(crate) fn end(mut self) -> Ran {
        self.until("\0 no line holds this");
        let status = self.child.wait().unwrap();
        self.reader.take().unwrap().join().unwrap();
        let stdout = self.stdout.lock().unwrap().clone();
        Ran {
            what: self.what.clone(),
            code: status.code(),
            stdout,
            stderr: self.stderr.clone(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Ends processes, those that are still there, outright.
pub(crate) fn end(processes: &[u32]) {
    for process in processes {
        let _ = Command::new("kill")
            .args(["-KILL", &process.to_string()])
            .output();
    }
}

/// Looks again and again until it is so; panics with `what` if it takes too long.
pub(crate) fn wait_until(what: &str, mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < deadline, "never: {what}");
        thread::sleep(Duration::from_millis(50));
    }
}
