//! What several scenarios share.

use std::thread;

use serde_json::Value;
use vch_lb::service::head::{self, Head};
use vch_lb::service::tuning::{ServerAddress, Tuning};

use super::sandbox::{FLAVORS, Flavor, Listener, Ran, Sandbox};

/// Settings that make a scenario short, for what waits.
pub(crate) const QUICK: [&str; 6] = ["--wait", "2s", "--settle", "100ms", "--drain", "200ms"];

/// What `up` prints for the default settings.
pub(crate) const ANSWER: &str = "\nService is available at\n127.50.0.2\non port 80\n";

pub(crate) const CONFIG: &str = "/usr/local/etc/haproxy/haproxy.cfg";

/// Runs a scenario on both kinds of endpoint, side by side: most of its time it waits.
pub(crate) fn on_both(scenario: impl Fn(Flavor) + Sync) {
    thread::scope(|scope| {
        for flavor in FLAVORS {
            let scenario = &scenario;
            thread::Builder::new()
                .name(format!("{flavor:?}"))
                .spawn_scoped(scope, move || scenario(flavor))
                .unwrap();
        }
    });
}

/// The line at the head of a haproxy.cfg without its checksum, which has to be right.
#[track_caller]
pub(crate) fn settings_line(config: &str) -> String {
    assert_eq!(Head::read(config).unwrap().whole, Some(true), "{config}");
    head::readable(config.lines().next().unwrap_or_default())
}

impl Sandbox {
    /// Somebody answers where the load balancer of the default settings will be.
    pub(crate) fn serve(&self) -> Listener {
        self.listen("127.50.0.2", 80, 200)
    }

    /// `vch-lb up`, impatiently.
    pub(crate) fn up(&self, more: &[&str]) -> Ran {
        self.quick("up", more)
    }

    /// A command that changes something, impatiently.
    pub(crate) fn quick(&self, command: &str, more: &[&str]) -> Ran {
        self.tool(&quickly(command, more))
    }

    /// The calls that change something, of a run that begins with a new record.
    pub(crate) fn changes_of(&self, run: impl FnOnce() -> Ran) -> (Ran, Vec<String>) {
        self.forget_calls();
        let ran = run();
        (ran, self.changing_calls())
    }

    /// The endpoint is what it was.
    #[track_caller]
    pub(crate) fn assert_state(&self, before: &Value, what: &str) {
        let after = self.state();
        if after == *before {
            return;
        }
        let mut differences = Vec::new();
        differ("", before, &after, &mut differences);
        panic!(
            "{what}: before and after differ:\n{}\ncalls:\n{}",
            differences.join("\n"),
            self.calls_text()
        );
    }

    /// The haproxy.cfg of the default service: the script's, but on a VCH, where names rarely resolve, with addresses.
    pub(crate) fn default_config(&self, instances: usize) -> String {
        let script = super::sandbox::script_config(instances);
        if self.flavor() == Flavor::Engine {
            return script;
        }
        self.by_address(&script, "web-net")
    }

    /// Where an instance is sent to by default: its name, on a VCH its address.
    pub(crate) fn sent_to_at(&self, name: &str, network: &str) -> String {
        if self.flavor() == Flavor::Engine {
            return name.to_owned();
        }
        let address = &self.container(name)["networks"][network]["address"];
        address.as_str().unwrap_or_default().to_owned()
    }

    /// The configuration in force, as it would be with names.
    pub(crate) fn loaded_names(&self, lb: &str) -> Option<String> {
        self.loaded_config(lb).map(|config| self.by_name(&config))
    }

    /// A haproxy.cfg of addresses, as it would be with names.
    pub(crate) fn by_name(&self, config: &str) -> String {
        let head = Head::read(config).unwrap();
        if head.tuning.server_address == ServerAddress::Name {
            return config.to_owned();
        }
        let mut text = head::without(config).to_owned();
        for name in self.containers() {
            for endpoint in self.container(&name)["networks"]
                .as_object()
                .unwrap()
                .values()
            {
                let address = endpoint["address"].as_str().unwrap_or_default();
                if !address.is_empty() {
                    text = text.replace(&format!(" {address}:"), &format!(" {name}:"));
                }
            }
        }
        let tuning = head.tuning.with_servers_by(ServerAddress::Name);
        if tuning.assignments().is_empty() && !text.contains("expose-fd") {
            text.replace(SOCKET, "")
        } else {
            head::put(&tuning, None, &looked_up_at_start(&text))
        }
    }

    /// A haproxy.cfg of names, as it is with addresses.
    pub(crate) fn by_address(&self, config: &str, network: &str) -> String {
        let mut text = config.to_owned();
        for name in self.containers() {
            let address = &self.container(&name)["networks"][network]["address"];
            let address = address.as_str().unwrap_or_default();
            text = text.replace(&format!(" {name}:"), &format!(" {address}:"));
        }
        // What is not the script's has a socket.
        let text = text.replacen("local0\n", &format!("local0\n{SOCKET}"), 1);
        head::put(
            &Tuning::default().with_servers_by(ServerAddress::Ip),
            None,
            &text,
        )
    }

    /// Everything of the default service is there, and in force.
    #[track_caller]
    pub(crate) fn assert_serves(&self, instances: usize) {
        let mut names = vec!["lb".to_owned()];
        names.extend((1..=instances).map(|number| format!("web-{number}")));
        names.sort();
        assert_eq!(self.containers(), names, "calls:\n{}", self.calls_text());
        for name in &names {
            assert_eq!(self.container(name)["status"], "running", "{name}");
        }
        assert_eq!(self.networks(), ["web-net"]);
        // What the script made keeps its names on a VCH, too.
        let loaded = self.loaded_config("lb").unwrap_or_default();
        let config = if loaded.starts_with(head::MARK) {
            self.default_config(instances)
        } else {
            super::sandbox::script_config(instances)
        };
        assert_eq!(self.loaded_config("lb").as_deref(), Some(config.as_str()));
        assert_eq!(self.file_in("lb", CONFIG).as_deref(), Some(config.as_str()));
    }
}

/// The runtime socket of a haproxy.cfg that is not the script's, before sockets are handed over.
const SOCKET: &str = "\tstats socket /tmp/haproxy.sock mode 600 level operator\n";

/// Server lines by address have no `init-addr`; by name, those that are not the script's do.
fn looked_up_at_start(config: &str) -> String {
    let lines = config
        .lines()
        .map(|line| match line.split_once(" maxconn ") {
            Some((server, rest)) if server.starts_with("\tserver ") => {
                let (most, checks) = rest
                    .split_once(' ')
                    .map_or((rest, String::new()), |(most, checks)| {
                        (most, format!(" {checks}"))
                    });
                format!("{server} maxconn {most} init-addr libc,none{checks}\n")
            }
            _ => format!("{line}\n"),
        });
    lines.collect()
}

/// The calls of the script that change something, in its order.
pub(crate) fn script_calls(instances: usize) -> Vec<String> {
    let mut calls: Vec<String> = [
        "docker pull httpd",
        "docker pull haproxy:1.7",
        "docker network create web-net",
    ]
    .map(String::from)
    .into();
    calls.extend((1..=instances).map(run_call));
    calls.extend(
        [
            "docker create --name lb --net routable haproxy:1.7",
            "docker network connect web-net lb",
            "docker cp haproxy.cfg lb:/usr/local/etc/haproxy/haproxy.cfg",
            "docker start lb",
        ]
        .map(String::from),
    );
    calls
}

/// The calls that deploy the service with the tool: the script's, but for the port that a VCH has to be told to let through
/// to its container network.
pub(crate) fn tool_calls(flavor: Flavor, instances: usize) -> Vec<String> {
    let create = script_calls(0).swap_remove(3);
    let mut calls = script_calls(instances);
    for call in &mut calls {
        if *call == create {
            *call = create_call(flavor);
        }
    }
    calls
}

/// How the tool creates the load balancer.
pub(crate) fn create_call(flavor: Flavor) -> String {
    let publish = if flavor == Flavor::Vch {
        "-p 80:80 "
    } else {
        ""
    };
    format!("docker create --name lb --net routable {publish}haproxy:1.7")
}

pub(crate) fn run_call(number: usize) -> String {
    format!("docker run -d -p 80 --name web-{number} --net web-net httpd")
}

/// Where two values differ, one line each.
fn differ(path: &str, before: &Value, after: &Value, into: &mut Vec<String>) {
    match (before, after) {
        (Value::Object(old), Value::Object(new)) => {
            for key in old
                .keys()
                .chain(new.keys().filter(|key| !old.contains_key(*key)))
            {
                let side = |map: &serde_json::Map<String, Value>| {
                    map.get(key).cloned().unwrap_or_default()
                };
                differ(&format!("{path}/{key}"), &side(old), &side(new), into);
            }
        }
        _ if before == after => {}
        _ => into.push(format!("{path}: {before} -> {after}")),
    }
}

/// A command's words, with the settings that make it short where it doesn't say otherwise.
pub(crate) fn quickly<'a>(command: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let usual = QUICK.chunks(2).filter(|pair| !more.contains(&pair[0]));
    let usual: Vec<&str> = usual.flatten().copied().collect();
    [&[command], &usual[..], more].concat()
}

/// How a new file reaches the load balancer.
pub(crate) fn reload_calls() -> [String; 2] {
    [
        format!("docker cp haproxy.cfg lb:{CONFIG}"),
        "docker kill -s HUP lb".to_owned(),
    ]
}
