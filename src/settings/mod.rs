//! The settings: one table of all of them, and where each value came from.
//!
//! Everything about a setting (its flag, its environment name, its default, its help) stands in [`TABLE`] once. Values
//! are plain text here; `spec` gives them meaning and refuses what makes none.

pub mod file;
pub mod shell;

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use crate::secrets::redact_text;

/// The setting's group in `--help`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    Service,
    LoadBalancer,
}

impl Group {
    pub fn heading(self) -> &'static str {
        match self {
            Self::Service => "Service",
            Self::LoadBalancer => "Load balancer",
        }
    }
}

/// One line of the table.
#[derive(Debug)]
pub struct Setting {
    /// The script's variable; the environment variable of the same name; the flag in kebab case.
    pub name: &'static str,
    pub short: Option<char>,
    pub default: &'static str,
    /// What stands for the value in `--help`.
    pub value: &'static str,
    pub help: &'static str,
    /// Its values, or how they begin, where they are words to choose from: for completions.
    pub choices: &'static [&'static str],
    pub group: Group,
}

impl Setting {
    /// `INSTANCE_IMG` → `instance-img`.
    pub fn flag(&self) -> String {
        self.name.to_ascii_lowercase().replace('_', "-")
    }
}

pub const INSTANCE_IMG: &str = "INSTANCE_IMG";
pub const NUM_INSTANCES: &str = "NUM_INSTANCES";
pub const INSTANCE_PORT: &str = "INSTANCE_PORT";
pub const INSTANCE_CTR_PREFIX: &str = "INSTANCE_CTR_PREFIX";
pub const INSTANCE_ARGS: &str = "INSTANCE_ARGS";
pub const INSTANCE_CMD: &str = "INSTANCE_CMD";
pub const LB_PORT: &str = "LB_PORT";
pub const LB_CTR_NAME: &str = "LB_CTR_NAME";
pub const EXTERNAL_NET: &str = "EXTERNAL_NET";
pub const LB_IMG: &str = "LB_IMG";
pub const LB_ARGS: &str = "LB_ARGS";
pub const PUBLISH_LB: &str = "PUBLISH_LB";
pub const SERVER_ADDRESS: &str = "SERVER_ADDRESS";
pub const LB_MODE: &str = "LB_MODE";
pub const LB_BALANCE: &str = "LB_BALANCE";
pub const LB_MAXCONN: &str = "LB_MAXCONN";
pub const INSTANCE_MAXCONN: &str = "INSTANCE_MAXCONN";
pub const LB_TIMEOUT_CONNECT: &str = "LB_TIMEOUT_CONNECT";
pub const LB_TIMEOUT_CLIENT: &str = "LB_TIMEOUT_CLIENT";
pub const LB_TIMEOUT_SERVER: &str = "LB_TIMEOUT_SERVER";
pub const HEALTH_CHECK: &str = "HEALTH_CHECK";
pub const STICKY: &str = "STICKY";
pub const FORWARDED_FOR: &str = "FORWARDED_FOR";
pub const LB_LOG: &str = "LB_LOG";
pub const TLS_CERT: &str = "TLS_CERT";
pub const STATS_PORT: &str = "STATS_PORT";
pub const TEMPLATE: &str = "TEMPLATE";

/// The seven variables of the script.
pub const SCRIPT: [&str; 7] = [
    INSTANCE_IMG,
    NUM_INSTANCES,
    INSTANCE_PORT,
    LB_PORT,
    INSTANCE_CTR_PREFIX,
    LB_CTR_NAME,
    EXTERNAL_NET,
];

/// The settings that say which service is meant.
pub const IDENTITY: [&str; 3] = [INSTANCE_CTR_PREFIX, LB_CTR_NAME, EXTERNAL_NET];

/// The settings of the load balancer that can't be derived from anything else: they travel in its haproxy.cfg.
pub const TRAVELLING: [&str; 16] = [
    LB_ARGS,
    SERVER_ADDRESS,
    LB_MODE,
    LB_BALANCE,
    LB_MAXCONN,
    INSTANCE_MAXCONN,
    LB_TIMEOUT_CONNECT,
    LB_TIMEOUT_CLIENT,
    LB_TIMEOUT_SERVER,
    HEALTH_CHECK,
    STICKY,
    FORWARDED_FOR,
    LB_LOG,
    TLS_CERT,
    STATS_PORT,
    TEMPLATE,
];

/// The settings that hold words for docker, in which secrets may be.
pub const WORDS: [&str; 3] = [INSTANCE_ARGS, INSTANCE_CMD, LB_ARGS];

/// The settings that name a file: what travels of them is that there is one.
pub const FILES: [&str; 2] = [TLS_CERT, TEMPLATE];

/// All settings, in the order in which they are documented.
pub static TABLE: &[Setting] = &[
    Setting {
        name: INSTANCE_IMG,
        short: None,
        default: "httpd",
        value: "IMAGE",
        help: "Image of the service",
        choices: &[],
        group: Group::Service,
    },
    Setting {
        name: NUM_INSTANCES,
        short: Some('n'),
        default: "3",
        value: "N",
        help: "How many instances, 1 to 10000",
        choices: &[],
        group: Group::Service,
    },
    Setting {
        name: INSTANCE_PORT,
        short: None,
        default: "80",
        value: "PORT",
        help: "Port that the service listens on",
        choices: &[],
        group: Group::Service,
    },
    Setting {
        name: INSTANCE_CTR_PREFIX,
        short: None,
        default: "web",
        value: "NAME",
        help: "Instances are NAME-1, NAME-2, …; their network is NAME-net",
        choices: &[],
        group: Group::Service,
    },
    Setting {
        name: INSTANCE_ARGS,
        short: None,
        default: "",
        value: "ARGS",
        help: "Further arguments for docker run of each instance, split as a shell splits words",
        choices: &[],
        group: Group::Service,
    },
    Setting {
        name: INSTANCE_CMD,
        short: None,
        default: "",
        value: "COMMAND",
        help: "Command of each instance in place of the image's, split as a shell splits words",
        choices: &[],
        group: Group::Service,
    },
    Setting {
        name: LB_PORT,
        short: None,
        default: "80",
        value: "PORT",
        help: "Port that the load balancer serves on",
        choices: &[],
        group: Group::LoadBalancer,
    },
    Setting {
        name: LB_CTR_NAME,
        short: None,
        default: "lb",
        value: "NAME",
        help: "Name of the load balancer's container",
        choices: &[],
        group: Group::LoadBalancer,
    },
    Setting {
        name: EXTERNAL_NET,
        short: None,
        default: "routable",
        value: "NETWORK",
        help: "Network of the load balancer's clients",
        choices: &[],
        group: Group::LoadBalancer,
    },
    Setting {
        name: LB_IMG,
        short: None,
        default: "haproxy:1.7",
        value: "IMAGE",
        help: "Image of the load balancer; 1.8 and later reload without losing a connection",
        choices: &[],
        group: Group::LoadBalancer,
    },
    Setting {
        name: LB_ARGS,
        short: None,
        default: "",
        value: "ARGS",
        help: "Further arguments for docker create of the load balancer",
        choices: &[],
        group: Group::LoadBalancer,
    },
    Setting {
        name: PUBLISH_LB,
        short: None,
        default: "auto",
        value: "WHEN",
        help: "Create the load balancer with -p LB_PORT:LB_PORT: auto (on a VCH's container network), always, never",
        choices: &["auto", "always", "never"],
        group: Group::LoadBalancer,
    },
    Setting {
        name: SERVER_ADDRESS,
        short: None,
        default: "auto",
        value: "HOW",
        help: "How the load balancer finds instances: by name, by ip, or auto (ip on a VCH, where names rarely resolve)",
        choices: &["auto", "name", "ip"],
        group: Group::LoadBalancer,
    },
    Setting {
        name: LB_MODE,
        short: None,
        default: "http",
        value: "MODE",
        help: "http or tcp",
        choices: &["http", "tcp"],
        group: Group::LoadBalancer,
    },
    Setting {
        name: LB_BALANCE,
        short: None,
        default: "roundrobin",
        value: "ALGORITHM",
        help: "roundrobin, static-rr, leastconn, first or source",
        choices: &["roundrobin", "static-rr", "leastconn", "first", "source"],
        group: Group::LoadBalancer,
    },
    Setting {
        name: LB_MAXCONN,
        short: None,
        default: "256",
        value: "N",
        help: "Connections that the load balancer takes at a time",
        choices: &[],
        group: Group::LoadBalancer,
    },
    Setting {
        name: INSTANCE_MAXCONN,
        short: None,
        default: "32",
        value: "N",
        help: "Connections that an instance gets at a time",
        choices: &[],
        group: Group::LoadBalancer,
    },
    Setting {
        name: LB_TIMEOUT_CONNECT,
        short: None,
        default: "5000ms",
        value: "TIME",
        help: "How long a connection to an instance may take",
        choices: &[],
        group: Group::LoadBalancer,
    },
    Setting {
        name: LB_TIMEOUT_CLIENT,
        short: None,
        default: "50000ms",
        value: "TIME",
        help: "How long a client may be silent",
        choices: &[],
        group: Group::LoadBalancer,
    },
    Setting {
        name: LB_TIMEOUT_SERVER,
        short: None,
        default: "5000ms",
        value: "TIME",
        help: "How long an instance may be silent",
        choices: &[],
        group: Group::LoadBalancer,
    },
    Setting {
        name: HEALTH_CHECK,
        short: None,
        default: "none",
        value: "CHECK",
        help: "none, tcp, http:/path (2xx and 3xx count) or http:/path,STATUS: dead instances are left out",
        choices: &["none", "tcp", "http:/"],
        group: Group::LoadBalancer,
    },
    Setting {
        name: STICKY,
        short: None,
        default: "none",
        value: "HOW",
        help: "Send a client to the same instance again: none, cookie or source",
        choices: &["none", "cookie", "source"],
        group: Group::LoadBalancer,
    },
    Setting {
        name: FORWARDED_FOR,
        short: None,
        default: "no",
        value: "YES/NO",
        help: "Tell instances the client's address in X-Forwarded-For",
        choices: &["yes", "no"],
        group: Group::LoadBalancer,
    },
    Setting {
        name: LB_LOG,
        short: None,
        default: "syslog",
        value: "WHERE",
        help: "Access log: syslog (as the script, which nobody reads) or stdout (the container's own log; 1.9 and later)",
        choices: &["syslog", "stdout"],
        group: Group::LoadBalancer,
    },
    Setting {
        name: TLS_CERT,
        short: None,
        default: "",
        value: "FILE",
        help: "PEM with certificate and key: the load balancer terminates TLS on LB_PORT",
        choices: &[],
        group: Group::LoadBalancer,
    },
    Setting {
        name: STATS_PORT,
        short: None,
        default: "",
        value: "PORT",
        help: "Port of HAProxy's statistics page, and from 2.4 on of its Prometheus exporter at /metrics",
        choices: &[],
        group: Group::LoadBalancer,
    },
    Setting {
        name: TEMPLATE,
        short: None,
        default: "",
        value: "FILE",
        help: "Handlebars template in place of the built-in haproxy.cfg",
        choices: &[],
        group: Group::LoadBalancer,
    },
];

/// The settings for people, as a table in Markdown: name, default, what it is.
pub fn table() -> String {
    let mut text = String::from("| name | default | meaning |\n| --- | --- | --- |\n");
    for setting in TABLE {
        let default = if setting.default.is_empty() {
            "unset"
        } else {
            setting.default
        };
        let _ = writeln!(text, "| {} | {default} | {} |", setting.name, setting.help);
    }
    text
}

/// Which of `known` somebody may have meant by `name`, if it is near enough.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let near = known.map(|known| (edits(name, known), known)).min();
    let near = near.filter(|(edits, known)| *edits <= known.len() / 3);
    near.map(|(_, known)| known)
}

/// How many letters have to be changed, added or left out to make `b` of `a`.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let change = corner + usize::from(from != *to);
            corner = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(corner + 1);
        }
    }
    row[b.len()]
}

/// The line of the table for the setting called `name`.
pub fn setting(name: &str) -> Option<&'static Setting> {
    TABLE.iter().find(|setting| setting.name == name)
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    Flag,
    Environment,
    /// A line of the settings file.
    File {
        path: String,
        line: usize,
    },
    Default,
}

/// A setting's value, as text, with what is needed to complain about it.
#[derive(Debug, Clone)]
pub struct Value {
    pub setting: &'static Setting,
    pub text: String,
    pub origin: Origin,
}

impl Value {
    /// `LB_PORT` is `80x` (--lb-port)
    pub fn complaint(&self, why: impl fmt::Display) -> String {
        format!(
            "{} is `{}` ({}): {why}",
            self.setting.name,
            crate::error::printable(&self.shown()),
            self.source()
        )
    }

    /// The text as it is shown: what is secret in words for docker is not.
    pub fn shown(&self) -> Cow<'_, str> {
        if WORDS.contains(&self.setting.name) {
            Cow::Owned(redact_text(&self.text))
        } else {
            Cow::Borrowed(&self.text)
        }
    }

    /// Where the value came from, for people.
    pub fn source(&self) -> String {
        match &self.origin {
            Origin::File { path, line } => format!("{path}, line {line}"),
            Origin::Flag => format!("--{}", self.setting.flag()),
            Origin::Environment => format!("environment variable {}", self.setting.name),
            Origin::Default => "the default".to_owned(),
        }
    }
}

/// Every setting's value.
#[derive(Debug, Clone)]
pub struct Settings(Vec<Value>);

impl Settings {
    /// Flag over environment over settings file over default. An empty environment variable counts as not set, as it
    /// does for docker.
    pub fn resolve(
        flag: impl Fn(&str) -> Option<String>,
        environment: impl Fn(&str) -> Option<String>,
        file: &file::Assignments,
    ) -> Self {
        let value = |setting: &'static Setting| {
            let set_in_environment = || environment(setting.name).filter(|text| !text.is_empty());
            let (text, origin) = if let Some(text) = flag(setting.name) {
                (text, Origin::Flag)
            } else if let Some(text) = set_in_environment() {
                (text, Origin::Environment)
            } else if let Some((text, line)) = file.get(setting.name) {
                let path = file.path.clone();
                (text.to_owned(), Origin::File { path, line })
            } else {
                (setting.default.to_owned(), Origin::Default)
            };
            Value {
                setting,
                text,
                origin,
            }
        };
        Self(TABLE.iter().map(value).collect())
    }

    /// The defaults alone.
    pub fn defaults() -> Self {
        Self::resolve(|_| None, |_| None, &file::Assignments::default())
    }

    pub fn iter(&self) -> impl Iterator<Item = &Value> {
        self.0.iter()
    }

    /// The value of the setting called `name`, one of this module's constants.
    pub fn get(&self, name: &str) -> &Value {
        self.0
            .iter()
            .find(|value| value.setting.name == name)
            .unwrap_or_else(|| unreachable!("{name} is not in the table of settings"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_wins_over_the_environment_and_that_over_the_default() {
        let flag = |name: &str| (name == LB_PORT).then(|| "81".to_owned());
        let environment = |name: &str| match name {
            LB_PORT | INSTANCE_PORT => Some("82".to_owned()),
            LB_CTR_NAME => Some(String::new()),
            _ => None,
        };
        let settings = Settings::resolve(flag, environment, &file::Assignments::default());
        let shown = |name| {
            (
                settings.get(name).text.as_str(),
                settings.get(name).source(),
            )
        };
        assert_eq!(shown(LB_PORT), ("81", "--lb-port".into()));
        assert_eq!(
            shown(INSTANCE_PORT),
            ("82", "environment variable INSTANCE_PORT".into())
        );
        assert_eq!(shown(LB_CTR_NAME), ("lb", "the default".into()));
    }

    #[test]
    fn the_seven_variables_have_the_defaults_of_the_script() {
        let settings = Settings::defaults();
        let script = [
            (INSTANCE_IMG, "httpd"),
            (NUM_INSTANCES, "3"),
            (INSTANCE_PORT, "80"),
            (LB_PORT, "80"),
            (INSTANCE_CTR_PREFIX, "web"),
            (LB_CTR_NAME, "lb"),
            (EXTERNAL_NET, "routable"),
        ];
        for (name, default) in script {
            assert_eq!(settings.get(name).text, default);
        }
    }

    #[test]
    fn names_and_short_flags_are_unique() {
        for (index, setting) in TABLE.iter().enumerate() {
            for other in &TABLE[index + 1..] {
                assert_ne!(setting.name, other.name);
                assert!(setting.short.is_none() || setting.short != other.short);
            }
        }
    }
}
