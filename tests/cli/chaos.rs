//! Chaos on the fake, as an engine and as a VCH: the same seed tells the same story. `scripts/chaos` plays other seeds, and
//! longer.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::chaos_story::{Chaos, Ended, Met, Until, World, asked};
use super::sandbox::{Flavor, Sandbox};
use super::scene::{CONFIG, on_both};

/// What the tests play, of each kind of endpoint.
const SEED: u64 = 1;
const ACTS: usize = 60;

/// About as many calls as a command makes.
const CALLS: u64 = 30;

struct Fake {
    sandbox: Sandbox,
    _clients: Answering,
}

/// Whoever asks at one of the external network's first addresses is answered as the load balancer there would: by the
/// instances of the configuration that it has loaded, in turns, or with 503 for those that don't run.
struct Answering(Arc<AtomicBool>);

impl Answering {
    fn start(sandbox: &Sandbox) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        for last in 2..12 {
            let address = sandbox.address(&format!("127.50.0.{last}"));
            let listener = TcpListener::bind((address.as_str(), 80)).unwrap();
            listener.set_nonblocking(true).unwrap();
            let over = Arc::clone(&over);
            let folder = sandbox.path("docker/containers");
            thread::spawn(move || {
                let mut turn = 0;
                while !over.load(Ordering::Relaxed) {
                    let Ok((mut stream, _)) = listener.accept() else {
                        thread::sleep(Duration::from_millis(5));
                        continue;
                    };
                    let Some(servers) = behind(&address, &folder) else {
                        continue;
                    };
                    turn += 1;
                    let runs = servers.get(turn % servers.len().max(1)) == Some(&true);
                    let status = if runs {
                        "200 OK"
                    } else {
                        "503 Service Unavailable"
                    };
                    let _ = stream.set_nonblocking(false);
                    let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
                    let _ = stream.read(&mut [0; 4096]);
                    let text = format!(
                        "HTTP/1.1 {status}\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n"
                    );
                    let _ = stream.write_all(text.as_bytes());
                }
            });
        }
        Self(over)
    }
}

/// The servers of the load balancer at this address, if there is one that has loaded a configuration: which of them run.
fn behind(address: &str, folder: &Path) -> Option<Vec<bool>> {
    let entries = fs::read_dir(folder).ok()?.flatten();
    let all: Vec<Value> = entries
        .filter_map(|entry| serde_json::from_slice(&fs::read(entry.path()).ok()?).ok())
        .collect();
    let has = |state: &Value, address: &str| {
        let networks = state["networks"].as_object();
        let endpoints = networks.into_iter().flat_map(|networks| networks.values());
        endpoints
            .into_iter()
            .any(|endpoint| endpoint["address"] == address)
    };
    let lb = all.iter().find(|state| has(state, address))?;
    let servers = servers(lb["loaded_config"].as_str()?);
    let runs = |server: &&str| {
        let it = all
            .iter()
            .find(|state| state["name"] == **server || has(state, server));
        it.is_some_and(|state| state["status"] == "running")
    };
    Some(
        servers
            .iter()
            .map(|server| runs(&server.as_str()))
            .collect(),
    )
}

/// The servers of a configuration, each a name or an address.
fn servers(config: &str) -> Vec<String> {
    let lines = config.lines();
    lines
        .filter_map(|line| line.trim_start().strip_prefix("server "))
        .filter_map(|line| line.split([' ', ':']).nth(1))
        .map(str::to_owned)
        .collect()
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Fake {
    fn new(flavor: Flavor) -> Self {
        let sandbox = Sandbox::new(flavor);
        sandbox.rules_may_be_unused();
        sandbox.config(
            json!({"images": {"httpd:broken": {"exits": 3, "logs": ["broken on purpose"]}}}),
        );
        let clients = Answering::start(&sandbox);
        Self {
            sandbox,
            _clients: clients,
        }
    }

    /// Who has this name or address on the service's network, and runs.
    fn at(&self, address: &str) -> Result<String, String> {
        for name in self.sandbox.containers() {
            let state = self.sandbox.container(&name);
            let endpoint = &state["networks"]["web-net"];
            if endpoint.is_object()
                && state["status"] == "running"
                && (name == address || endpoint["address"] == address)
            {
                return Ok(name);
            }
        }
        Err(format!("nobody is at {address}"))
    }
}

impl World for Fake {
    fn prefix(&self) -> String {
        "web".into()
    }

    fn lb(&self) -> String {
        "lb".into()
    }

    fn tool(&mut self, arguments: &[String], met_by: Option<&Met>) -> Ended {
        self.sandbox.no_rules().forget_calls();
        match met_by {
            None => {}
            Some(Met::Signal(signal, percent)) => {
                self.sandbox
                    .rule(json!({"any_call": percent * CALLS / 100, "kill_parent": signal}));
            }
            Some(Met::Call { percent, garbage }) => {
                let mut rule = json!({"any_call": percent * CALLS / 100});
                if *garbage {
                    rule["stdout"] = "{\"garbage\": [\n".into();
                } else {
                    rule["exit"] = 1.into();
                    rule["stderr"] = "Error response from daemon: the dog ate it".into();
                    rule["before"] = (percent % 2 == 0).into();
                }
                self.sandbox.rule(rule);
            }
        }
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let ran = self.sandbox.tool(&words);
        self.sandbox.no_rules();
        Ended {
            code: ran.code,
            said: format!("{ran}"),
        }
    }

    fn both(&mut self, one: &[String], other: &[String]) {
        let words = |arguments: &[String]| arguments.to_vec();
        let (one, other) = (words(one), words(other));
        let one: Vec<&str> = one.iter().map(String::as_str).collect();
        let other: Vec<&str> = other.iter().map(String::as_str).collect();
        let (one, other) = (self.sandbox.start(&one), self.sandbox.start(&other));
        one.finish();
        other.finish();
    }

    fn docker(&self, arguments: &[&str]) -> Option<String> {
        let ran = self.sandbox.docker(arguments);
        (ran.code == Some(0)).then_some(ran.stdout)
    }

    fn edit(&self) -> bool {
        let Some(text) = self
            .sandbox
            .find_container("lb")
            .and_then(|_| self.sandbox.file_in("lb", CONFIG))
        else {
            return false;
        };
        let file = self.sandbox.path("edited.cfg");
        fs::write(&file, format!("{text}# by hand\n")).unwrap();
        self.docker(&["cp", file.to_str().unwrap(), &format!("lb:{CONFIG}")])
            .is_some()
    }

    fn clients_meet(&self) -> Result<BTreeSet<String>, String> {
        let lb = self.sandbox.find_container("lb").ok_or("there is no lb")?;
        if lb["status"] != "running" {
            return Err(format!("lb is {}", lb["status"]));
        }
        let config = lb["loaded_config"]
            .as_str()
            .ok_or("lb has loaded nothing")?;
        servers(config)
            .iter()
            .map(|server| self.at(server))
            .collect()
    }

    fn lost(&mut self) -> Vec<String> {
        Vec::new()
    }

    fn sent(&self) -> usize {
        0
    }

    fn harms(&self) -> &'static [&'static str] {
        &["kill", "stop -t 0", "rm -f", "restart -t 0"]
    }

    fn patience(&self) -> &'static [&'static str] {
        &["--wait", "2s", "--settle", "0s", "--drain", "0s"]
    }
}

#[test]
fn whatever_happens_what_is_said_is_so() {
    on_both(|flavor| {
        let mut fake = Fake::new(flavor);
        let (seed, until) = asked().unwrap_or((SEED, Until::Acts(ACTS)));
        Chaos::new(&mut fake, seed).play(&format!("{flavor:?}"), until);
    });
}
