//! A container as it is kept, and what time and looks do to it. Commands change it elsewhere.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::config::{Config, Preset};
use crate::haproxy;
use crate::store::Store;
use crate::times;

/// Where a VCH publishes ports: the address of its own.
const VCH_ADDRESS: &str = "127.0.0.1";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    #[default]
    Created,
    Running,
    Restarting,
    Exited,
}

/// A container's place on a network.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Endpoint {
    pub(crate) network_id: String,
    /// The address asked for with `--ip`.
    pub(crate) requested: String,
    /// The address, empty where there is none now.
    pub(crate) address: String,
    pub(crate) prefix: u32,
    pub(crate) gateway: String,
    pub(crate) aliases: Vec<String>,
    /// On a VCH: connected after the container had been started, so it never gets an address.
    pub(crate) dead: bool,
}

/// A published port: what was asked for, and the host port that it has now.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Publish {
    pub(crate) host_ip: String,
    pub(crate) host: Option<u16>,
    pub(crate) container: u16,
    pub(crate) protocol: String,
    pub(crate) bound: Option<u16>,
}

impl Publish {
    pub(crate) fn key(&self) -> String {
        format!("{}/{}", self.container, self.protocol)
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct LogLine {
    pub(crate) ns: u64,
    pub(crate) stderr: bool,
    pub(crate) text: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct FileMeta {
    /// Where it leads, if it is a symbolic link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) link: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) pipe: bool,
    pub(crate) mode: u32,
    pub(crate) uid: u64,
    pub(crate) size: usize,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Container {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) created: u64,
    /// The image as it was named.
    pub(crate) image: String,
    pub(crate) image_id: String,
    pub(crate) preset: Preset,
    pub(crate) entrypoint: Vec<String>,
    pub(crate) cmd: Vec<String>,
    pub(crate) env: Vec<String>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) exposed: Vec<String>,
    pub(crate) publish: Vec<Publish>,
    pub(crate) hostname: String,
    pub(crate) user: String,
    pub(crate) workdir: String,
    pub(crate) stop_signal: String,
    pub(crate) restart: String,
    pub(crate) memory: u64,
    pub(crate) nano_cpus: u64,
    pub(crate) dns: Vec<String>,
    pub(crate) binds: Vec<String>,
    pub(crate) auto_remove: bool,
    /// Flags of `run` and `create` that are taken but have no effect here.
    pub(crate) other_flags: Vec<(String, String)>,
    /// The network that it was created on.
    pub(crate) network_mode: String,
    pub(crate) networks: BTreeMap<String, Endpoint>,

    pub(crate) status: Status,
    pub(crate) exit_code: i32,
    pub(crate) error: String,
    pub(crate) started: u64,
    pub(crate) finished: u64,
    pub(crate) starts: u64,
    pub(crate) restart_count: u64,
    /// `stop`, or `kill` with whatever signal: an engine's restart does not bring `unless-stopped` back.
    pub(crate) stopped_by_hand: bool,
    /// Times it was looked at since its start.
    pub(crate) looks: u64,
    /// Its stop signal was ignored: the grace period was burnt, then it was killed.
    pub(crate) killed_after_grace: bool,
    pub(crate) logs: Vec<LogLine>,
    pub(crate) files: BTreeMap<String, FileMeta>,
    /// Copies that left half of a file, of those that the configuration asks for.
    pub(crate) truncated_copies: u64,
    /// Where a VCH's firewall lets connections in, by network; `*` is every port.
    pub(crate) reachable_ports: BTreeMap<String, Vec<String>>,
    /// The load balancer's configuration that is in force, which may differ from the file's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) loaded_config: Option<String>,
    /// How often a configuration came into force.
    pub(crate) loads: u64,
    pub(crate) loaded_at: u64,
    pub(crate) last_hup: u64,
    pub(crate) lost_hups: u64,
    /// Every signal that reached it, in order.
    pub(crate) signals: Vec<String>,
    /// The process id of the load balancer's worker.
    pub(crate) worker: u64,
    /// When that was started, in clock ticks.
    pub(crate) worker_start: u64,
    /// What goes on in the load balancer since its last HUP.
    pub(crate) reload: haproxy::Reload,
}

impl Container {
    pub(crate) fn short_id(&self) -> &str {
        &self.id[..12]
    }

    pub(crate) fn running(&self) -> bool {
        matches!(self.status, Status::Running | Status::Restarting)
    }

    /// What runs in it: the entrypoint and its arguments.
    pub(crate) fn command(&self) -> Vec<String> {
        self.entrypoint.iter().chain(&self.cmd).cloned().collect()
    }

    pub(crate) fn haproxy(&self) -> Option<String> {
        if let Some(version) = &self.preset.haproxy {
            return Some(version.clone());
        }
        let version = self
            .env
            .iter()
            .find_map(|pair| pair.strip_prefix("HAPROXY_VERSION="));
        version.map(str::to_owned)
    }

    pub(crate) fn log(&mut self, text: &str) {
        self.log_at(times::now(), text);
    }

    /// A line on stderr at a time that may still lie ahead: it is shown when its time has come.
    pub(crate) fn log_at(&mut self, ns: u64, text: &str) {
        self.logs.push(LogLine {
            ns,
            stderr: true,
            text: text.to_owned(),
        });
    }

    /// Whether looks change it, so that a look has to be counted.
    pub(crate) fn counts_looks(&self, config: &Config) -> bool {
        self.running()
            && (self.preset.health.is_some()
                || self.preset.dies_after.is_some()
                || self.looks < config.starting_inspects
                || self.looks < config.address_delay_inspects)
    }

    /// Counts a look, and lets happen what was to happen at it. The lock is held.
    pub(crate) fn look(&mut self, store: &Store, config: &Config) {
        self.looks += 1;
        if self
            .preset
            .dies_after
            .is_some_and(|after| self.looks > after)
        {
            self.exit(store, config, 1);
        }
    }

    /// Ends its process. Addresses go back, unless the endpoint keeps them. The lock is held; the caller saves.
    pub(crate) fn exit(&mut self, store: &Store, config: &Config, code: i32) {
        self.status = Status::Exited;
        self.exit_code = code;
        self.finished = times::now();
        self.loaded_config = None;
        self.release_ports(store);
        if !config.stopped_keep_addresses() {
            self.unbind_all(store);
        }
    }

    pub(crate) fn health(&self, config: &Config) -> Option<&'static str> {
        if config.is_vch() {
            return None;
        }
        let health = self.preset.health.as_ref()?;
        let reached = |after: Option<u64>| after.is_some_and(|after| self.looks > after);
        Some(
            if self.status != Status::Running || reached(health.unhealthy_after) {
                "unhealthy"
            } else if reached(health.healthy_after) {
                "healthy"
            } else {
                "starting"
            },
        )
    }

    /// The state in the endpoint's words.
    pub(crate) fn state_word(&self, config: &Config) -> &'static str {
        match self.status {
            Status::Running if config.is_vch() && self.looks < config.starting_inspects => {
                "Starting"
            }
            Status::Created => "created",
            Status::Running => "running",
            Status::Restarting => "restarting",
            Status::Exited => "exited",
        }
    }

    /// The address on a network, as far as the endpoint tells it by now.
    pub(crate) fn shown_address<'a>(
        &self,
        endpoint: &'a Endpoint,
        external: bool,
        config: &Config,
    ) -> &'a str {
        if external && self.looks < config.address_delay_inspects {
            return "";
        }
        &endpoint.address
    }

    /// `docker ps`'s words for the state.
    pub(crate) fn status_text(&self, config: &Config) -> String {
        match self.status {
            Status::Created => "Created".into(),
            Status::Exited => format!(
                "Exited ({}) {} ago",
                self.exit_code,
                times::ago(self.finished)
            ),
            Status::Restarting => format!(
                "Restarting ({}) {} ago",
                self.exit_code,
                times::ago(self.finished)
            ),
            Status::Running if self.state_word(config) == "Starting" => "Starting".into(),
            Status::Running => {
                let health = match self.health(config) {
                    None => String::new(),
                    Some("starting") => " (health: starting)".into(),
                    Some(word) => format!(" ({word})"),
                };
                format!("Up {}{health}", times::ago(self.started))
            }
        }
    }

    /// The ports that are published now, as `inspect` has them.
    pub(crate) fn ports(&self, config: &Config) -> Value {
        let mut ports = Map::new();
        // A VCH tells them of created and stopped ones, too, with an empty port.
        if !self.running() && !config.is_vch() {
            return Value::Object(ports);
        }
        for key in &self.exposed {
            ports.insert(key.clone(), Value::Null);
        }
        for publish in &self.publish {
            let binding = json!({
                "HostIp": self.host_ip(publish, config),
                "HostPort": publish.bound.map(|port| port.to_string()).unwrap_or_default(),
            });
            match ports.get_mut(&publish.key()).and_then(Value::as_array_mut) {
                Some(list) => list.push(binding),
                None => drop(ports.insert(publish.key(), json!([binding]))),
            }
        }
        Value::Object(ports)
    }

    /// Where a published port is: on a VCH's container network it is the container's own address.
    pub(crate) fn host_ip(&self, publish: &Publish, config: &Config) -> String {
        if config.is_vch()
            && let Some(endpoint) = self.networks.get(&self.network_mode)
            && self.reachable_ports.contains_key(&self.network_mode)
        {
            return endpoint.address.clone();
        }
        if config.is_vch() {
            VCH_ADDRESS.into()
        } else if publish.host_ip.is_empty() {
            "0.0.0.0".into()
        } else {
            publish.host_ip.clone()
        }
    }

    /// Whether the process ends when it gets its stop signal.
    pub(crate) fn heeds(&self, signal: &str) -> bool {
        if self.preset.ignores_term {
            return false;
        }
        match self.haproxy() {
            Some(version) => !(signal == "USR1" && haproxy::wrapped(&version)),
            None => true,
        }
    }
}

/// A file that someone else must be able to read: whether the mode lets them.
pub(crate) fn readable_by_others(meta: &FileMeta) -> bool {
    meta.mode & 0o004 != 0
}
