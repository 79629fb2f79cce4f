//! The table of all settings: a row is everything about a setting but its meaning, which `service` gives it.
//!
//! Flags, environment variables, help, completions, the topic `settings`, what travels in a haproxy.cfg and what a template
//! has to use are all read off a row.

use std::fmt::Write as _;

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

/// What the text of a setting is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Plain,
    /// Words for docker, in which secrets may be.
    Words,
    /// The name of a file: what travels of it is that there is one.
    File,
}

/// What a template has to use where the setting is not at its default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variable {
    None,
    Called(&'static str),
    /// Each of its values has a variable of its own.
    LikeItsValue,
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
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
    pub kind: Kind,
    /// One of the seven variables of the script.
    pub of_the_script: bool,
    /// Says which service is meant.
    pub identifies: bool,
    /// Can't be derived from anything else, so that it travels in the load balancer's haproxy.cfg; what holds where one does
    /// not say it.
    pub travels: Option<&'static str>,
    pub variable: Variable,
}

impl Setting {
    /// `INSTANCE_IMG` → `instance-img`.
    pub fn flag(&self) -> String {
        self.name.to_ascii_lowercase().replace('_', "-")
    }

    /// The variable of templates for this setting with the value `text`.
    pub fn variable_for<'a>(&'a self, text: &'a str) -> Option<&'a str> {
        match self.variable {
            Variable::None => None,
            Variable::Called(name) => Some(name),
            Variable::LikeItsValue => Some(text),
        }
    }

    const fn new(group: Group, value: &'static str, default: &'static str) -> Self {
        Self {
            name: "",
            short: None,
            default,
            value,
            help: "",
            choices: &[],
            group,
            kind: Kind::Plain,
            of_the_script: false,
            identifies: false,
            travels: None,
            variable: Variable::None,
        }
    }

    const fn short(self, short: char) -> Self {
        Self {
            short: Some(short),
            ..self
        }
    }

    const fn choices(self, choices: &'static [&'static str]) -> Self {
        Self { choices, ..self }
    }

    const fn kind(self, kind: Kind) -> Self {
        Self { kind, ..self }
    }

    const fn of_the_script(self) -> Self {
        Self {
            of_the_script: true,
            ..self
        }
    }

    const fn identifies(self) -> Self {
        Self {
            identifies: true,
            ..self
        }
    }

    const fn travels(self) -> Self {
        Self {
            travels: Some(self.default),
            ..self
        }
    }

    /// Travels, and holds otherwise than by default where a haproxy.cfg does not say it.
    const fn travels_unless(self, unsaid: &'static str) -> Self {
        Self {
            travels: Some(unsaid),
            ..self
        }
    }

    /// Travels, and a template has to use `variable`.
    const fn in_template(self, variable: Variable) -> Self {
        Self {
            variable,
            ..self.travels()
        }
    }

    /// The same, with one variable for all of its values.
    const fn variable(self, name: &'static str) -> Self {
        self.in_template(Variable::Called(name))
    }
}

/// A setting of the instances.
const fn service(value: &'static str, default: &'static str) -> Setting {
    Setting::new(Group::Service, value, default)
}

/// A setting of the load balancer.
const fn lb(value: &'static str, default: &'static str) -> Setting {
    Setting::new(Group::LoadBalancer, value, default)
}

/// Makes the table, and a constant of each setting's name.
macro_rules! table {
    ($($name:ident: $help:literal, $row:expr;)*) => {
        $(pub const $name: &str = stringify!($name);)*

        /// All settings, in the order in which they are documented.
        pub static TABLE: &[Setting] = &[
            $(Setting { name: $name, help: $help, ..$row },)*
        ];
    };
}

table! {
    INSTANCE_IMG: "Image of the service",
        service("IMAGE", "httpd").of_the_script();
    NUM_INSTANCES: "How many instances, 1 to 10000",
        service("N", "3").short('n').of_the_script();
    INSTANCE_PORT: "Port that the service listens on",
        service("PORT", "80").of_the_script();
    INSTANCE_CTR_PREFIX: "Instances are NAME-1, NAME-2, …; their network is NAME-net",
        service("NAME", "web").of_the_script().identifies();
    INSTANCE_ARGS: "Further arguments for docker run of each instance, split as a shell splits words",
        service("ARGS", "").kind(Kind::Words);
    INSTANCE_CMD: "Command of each instance in place of the image's, split as a shell splits words",
        service("COMMAND", "").kind(Kind::Words);
    LB_PORT: "Port that the load balancer serves on",
        lb("PORT", "80").of_the_script();
    LB_CTR_NAME: "Name of the load balancer's container",
        lb("NAME", "lb").of_the_script().identifies();
    EXTERNAL_NET: "Network of the load balancer's clients",
        lb("NETWORK", "routable").of_the_script().identifies();
    LB_IMG: "Image of the load balancer; 1.8 and later reload without losing a connection",
        lb("IMAGE", "haproxy:1.7");
    LB_ARGS: "Further arguments for docker create of the load balancer",
        lb("ARGS", "").kind(Kind::Words).travels();
    PUBLISH_LB: "Create the load balancer with -p LB_PORT:LB_PORT: auto (on a VCH's container network), always, never",
        lb("WHEN", "auto").choices(&["auto", "always", "never"]);
    SERVER_ADDRESS:
        "How the load balancer finds instances: by name, by ip, or auto (ip on a VCH, where names rarely resolve)",
        // A haproxy.cfg is about one endpoint, where it has been decided.
        lb("HOW", "auto").choices(&["auto", "name", "ip"]).travels_unless("name");
    LB_MODE: "http or tcp",
        lb("MODE", "http").choices(&["http", "tcp"]).variable("mode");
    LB_BALANCE: "roundrobin, static-rr, leastconn, first or source",
        lb("ALGORITHM", "roundrobin")
            .choices(&["roundrobin", "static-rr", "leastconn", "first", "source"])
            .variable("balance");
    LB_MAXCONN: "Connections that the load balancer takes at a time",
        lb("N", "256").variable("lb_maxconn");
    INSTANCE_MAXCONN: "Connections that an instance gets at a time",
        lb("N", "32").variable("instance_maxconn");
    LB_TIMEOUT_CONNECT: "How long a connection to an instance may take",
        lb("TIME", "5000ms").variable("timeout_connect");
    LB_TIMEOUT_CLIENT: "How long a client may be silent",
        lb("TIME", "50000ms").variable("timeout_client");
    LB_TIMEOUT_SERVER: "How long an instance may be silent",
        lb("TIME", "5000ms").variable("timeout_server");
    LB_TIMEOUT_TUNNEL: "How long a connection may be idle that both sides use: websockets, and any TCP in LB_MODE tcp",
        lb("TIME", "").variable("timeout_tunnel");
    LB_TIMEOUT_QUEUE: "How long a request may wait for an instance that has INSTANCE_MAXCONN; LB_TIMEOUT_CONNECT if unset",
        lb("TIME", "").variable("timeout_queue");
    LB_TIMEOUT_HTTP_REQUEST: "How long a client may take to send the head of a request; LB_TIMEOUT_CLIENT if unset",
        lb("TIME", "").variable("timeout_http_request");
    LB_TIMEOUT_KEEP_ALIVE: "How long a client may wait with its next request; LB_TIMEOUT_HTTP_REQUEST if unset",
        lb("TIME", "").variable("timeout_keep_alive");
    HEALTH_CHECK: "none, tcp, http:/path (2xx and 3xx count) or http:/path,STATUS: dead instances are left out",
        lb("CHECK", "none").choices(&["none", "tcp", "http:/"]).variable("check");
    HEALTH_HOST: "Host that HEALTH_CHECK asks for; without one its requests have no Host header",
        lb("HOST", "").variable("check_host");
    HEALTH_INTERVAL: "How often each instance is checked; a check may take as long",
        lb("TIME", "2s").variable("check_interval");
    HEALTH_RISE: "How many checks in a row an instance has to pass to be sent to again",
        lb("N", "2").variable("check_rise");
    HEALTH_FALL: "How many checks in a row an instance has to fail to be left out",
        lb("N", "3").variable("check_fall");
    STICKY: "Send a client to the same instance again: none, cookie or source",
        lb("HOW", "none").choices(&["none", "cookie", "source"]).in_template(Variable::LikeItsValue);
    FORWARDED_FOR: "Tell instances the client's address in X-Forwarded-For, and http or https in X-Forwarded-Proto",
        lb("YES/NO", "no").choices(&["yes", "no"]).variable("forwarded_for");
    LB_LOG: "Access log: syslog (as the script, which nobody reads) or stdout (the container's own log; 1.9 and later)",
        lb("WHERE", "syslog").choices(&["syslog", "stdout"]).variable("log_stdout");
    TLS_CERT: "PEM with certificate and key: the load balancer terminates TLS on LB_PORT",
        lb("FILE", "").kind(Kind::File).variable("tls");
    LB_REDIRECT_PORT: "Port without TLS from which clients are sent to https on LB_PORT; needs TLS_CERT",
        lb("PORT", "").variable("redirect");
    HSTS: "For how many seconds browsers are to insist on https (Strict-Transport-Security); needs TLS_CERT",
        lb("SECONDS", "").variable("hsts");
    STATS_PORT: "Port of HAProxy's statistics page, and from 2.4 on of its Prometheus exporter at /metrics",
        lb("PORT", "").variable("stats_port");
    TEMPLATE: "Handlebars template in place of the built-in haproxy.cfg",
        lb("FILE", "").kind(Kind::File).travels();
}

/// The row of the setting called `name`.
pub fn setting(name: &str) -> Option<&'static Setting> {
    TABLE.iter().find(|setting| setting.name == name)
}

/// What a haproxy.cfg that does not say the setting called `name` has; `None` where it does not travel.
pub fn unsaid(name: &str) -> Option<&'static str> {
    setting(name).and_then(|setting| setting.travels)
}

/// The settings that travel in the load balancer's haproxy.cfg.
pub fn travelling() -> impl Iterator<Item = &'static Setting> {
    TABLE.iter().filter(|setting| setting.travels.is_some())
}

/// The settings that hold words for docker.
pub fn words() -> impl Iterator<Item = &'static Setting> {
    TABLE.iter().filter(|setting| setting.kind == Kind::Words)
}

/// Whether the setting called `name` says which service is meant.
pub fn identifies(name: &str) -> bool {
    setting(name).is_some_and(|setting| setting.identifies)
}

/// The settings for people, as a table in Markdown: name, default, what it is.
pub fn for_people() -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_short_flags_are_unique() {
        for (index, setting) in TABLE.iter().enumerate() {
            for other in &TABLE[index + 1..] {
                assert_ne!(setting.name, other.name);
                assert!(setting.short.is_none() || setting.short != other.short);
            }
        }
    }

    #[test]
    fn the_script_has_seven_and_three_say_which_service_is_meant() {
        let named = |is: fn(&Setting) -> bool| {
            let named = TABLE.iter().filter(|setting| is(setting));
            named.map(|setting| setting.name).collect::<Vec<_>>()
        };
        let script = [
            INSTANCE_IMG,
            NUM_INSTANCES,
            INSTANCE_PORT,
            INSTANCE_CTR_PREFIX,
            LB_PORT,
            LB_CTR_NAME,
            EXTERNAL_NET,
        ];
        assert_eq!(named(|setting| setting.of_the_script), script);
        let identity = [INSTANCE_CTR_PREFIX, LB_CTR_NAME, EXTERNAL_NET];
        assert_eq!(named(|setting| setting.identifies), identity);
    }

    #[test]
    fn of_the_load_balancer_all_travels_but_what_it_shows_itself() {
        // Its ports, networks, name and image can be looked up.
        let shown = [LB_PORT, LB_CTR_NAME, EXTERNAL_NET, LB_IMG, PUBLISH_LB];
        for setting in TABLE {
            let own = setting.group == Group::LoadBalancer && !shown.contains(&setting.name);
            assert_eq!(setting.travels.is_some(), own, "{}", setting.name);
            // These say how the load balancer is made, where servers are, and what renders.
            let beside = [LB_ARGS, SERVER_ADDRESS, TEMPLATE].contains(&setting.name);
            let has_variable = setting.variable != Variable::None;
            assert_eq!(has_variable, own && !beside, "{}", setting.name);
        }
    }
}
