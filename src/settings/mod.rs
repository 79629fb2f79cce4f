//! The settings: one table of all of them, and where each value came from.
//!
//! Everything about a setting (its flag, its environment name, its default, its help) stands in [`TABLE`] once. Values
//! are plain text here; `spec` gives them meaning and refuses what makes none.

use std::fmt;

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
pub const LB_PORT: &str = "LB_PORT";
pub const INSTANCE_CTR_PREFIX: &str = "INSTANCE_CTR_PREFIX";
pub const LB_CTR_NAME: &str = "LB_CTR_NAME";
pub const EXTERNAL_NET: &str = "EXTERNAL_NET";
pub const LB_IMG: &str = "LB_IMG";

/// The settings that say which service is meant.
pub const IDENTITY: [&str; 3] = [INSTANCE_CTR_PREFIX, LB_CTR_NAME, EXTERNAL_NET];

/// All settings, in the order in which they are documented.
pub static TABLE: &[Setting] = &[
    Setting {
        name: INSTANCE_IMG,
        short: None,
        default: "httpd",
        value: "IMAGE",
        help: "Image of the service",
        group: Group::Service,
    },
    Setting {
        name: NUM_INSTANCES,
        short: Some('n'),
        default: "3",
        value: "N",
        help: "How many instances, 1 to 10000",
        group: Group::Service,
    },
    Setting {
        name: INSTANCE_PORT,
        short: None,
        default: "80",
        value: "PORT",
        help: "Port that the service listens on",
        group: Group::Service,
    },
    Setting {
        name: INSTANCE_CTR_PREFIX,
        short: None,
        default: "web",
        value: "NAME",
        help: "Instances are called NAME-1, NAME-2, …; their network NAME-net",
        group: Group::Service,
    },
    Setting {
        name: LB_PORT,
        short: None,
        default: "80",
        value: "PORT",
        help: "Port that the load balancer serves on",
        group: Group::LoadBalancer,
    },
    Setting {
        name: LB_CTR_NAME,
        short: None,
        default: "lb",
        value: "NAME",
        help: "Name of the load balancer's container",
        group: Group::LoadBalancer,
    },
    Setting {
        name: EXTERNAL_NET,
        short: None,
        default: "routable",
        value: "NETWORK",
        help: "Network that clients reach the load balancer on",
        group: Group::LoadBalancer,
    },
    Setting {
        name: LB_IMG,
        short: None,
        default: "haproxy:1.7",
        value: "IMAGE",
        help: "Image of the load balancer; 1.8 and later reload without losing a connection",
        group: Group::LoadBalancer,
    },
];

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    Flag,
    Environment,
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
            crate::error::printable(&self.text),
            self.source()
        )
    }

    /// Where the value came from, for people.
    pub fn source(&self) -> String {
        match self.origin {
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
    /// Flag over environment over default. An empty environment variable counts as not set, as it does for docker.
    pub fn resolve(
        flag: impl Fn(&str) -> Option<String>,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Self {
        let value = |setting: &'static Setting| {
            let (text, origin) = if let Some(text) = flag(setting.name) {
                (text, Origin::Flag)
            } else if let Some(text) = environment(setting.name).filter(|text| !text.is_empty()) {
                (text, Origin::Environment)
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
        let settings = Settings::resolve(flag, environment);
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
        let settings = Settings::resolve(|_| None, |_| None);
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
