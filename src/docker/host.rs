//! On which machine the endpoint publishes ports, as docker and ssh tell it. Pure; `Docker::host` asks them.

use std::net::IpAddr;

/// The machine on which the endpoint publishes ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Its name or address, as this workstation finds it. An IPv6 address has no brackets.
    pub name: String,
    pub way: Way,
}

/// How docker gets there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// By a socket of this machine: the engine is here, or in a virtual machine that publishes its ports here.
    Socket,
    Network,
    /// By the network, but to this very machine: the other end of a tunnel is somewhere else.
    Loopback,
}

/// What an endpoint's address says by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    Host(Host),
    /// What ssh knows it by: a name in its configuration, perhaps.
    Ssh(String),
}

/// This machine, as it is asked: a service on it may have no IPv6, which `localhost` may mean first.
const HERE: &str = "127.0.0.1";

/// What `tcp://host:2376`, `ssh://user@host`, `host:2376` or a socket's path says; `None` where that is no machine.
pub fn address(endpoint: &str) -> Option<Address> {
    let (scheme, rest) = endpoint.split_once("://").unwrap_or(("tcp", endpoint));
    let socket = || {
        Some(Address::Host(Host {
            name: HERE.to_owned(),
            way: Way::Socket,
        }))
    };
    match scheme {
        "unix" | "fd" => socket(),
        // `npipe:////./pipe/NAME` is here, another machine's pipe has that machine's name in place of the point.
        "npipe" => match rest.trim_start_matches('/').split('/').next() {
            Some("." | "") | None => socket(),
            Some(machine) => host(machine),
        },
        "ssh" => {
            let alias = host_in(rest);
            is_ssh_alias(alias).then(|| Address::Ssh(alias.to_owned()))
        }
        _ => match host_in(rest) {
            "" if rest.starts_with(':') => host(HERE),
            name => host(name),
        },
    }
}

/// The machine that ssh, asked with `-G`, says that it would connect to.
pub fn of_ssh(options: &str) -> Option<Host> {
    let lines = options.lines();
    let mut named = lines.filter_map(|line| line.strip_prefix("hostname "));
    match host(named.next()?.trim())? {
        Address::Host(host) => Some(host),
        Address::Ssh(_) => None,
    }
}

fn host(name: &str) -> Option<Address> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%');
    if name.is_empty() || name.starts_with('-') || !name.chars().all(fits) {
        return None;
    }
    let ip = name.parse::<IpAddr>();
    let loopback = name == "localhost" || ip.is_ok_and(|ip| ip.is_loopback());
    Some(Address::Host(Host {
        name: name.to_owned(),
        way: if loopback {
            Way::Loopback
        } else {
            Way::Network
        },
    }))
}

/// The host in `user@host:port/path`.
fn host_in(rest: &str) -> &str {
    let authority = rest.split('/').next().unwrap_or(rest);
    let host_port = authority.rsplit('@').next().unwrap_or(authority);
    match host_port.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or(v6),
        None => host_port.split(':').next().unwrap_or(host_port),
    }
}

/// ssh must not take it for an option.
fn is_ssh_alias(alias: &str) -> bool {
    !alias.is_empty()
        && !alias.starts_with('-')
        && alias.chars().all(|c| c.is_ascii_graphic() && c != '\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(endpoint: &str) -> Option<(String, Way)> {
        match address(endpoint)? {
            Address::Host(host) => Some((host.name, host.way)),
            Address::Ssh(alias) => Some((format!("ssh {alias}"), Way::Network)),
        }
    }

    #[test]
    fn the_machine_is_found_in_every_form_of_an_endpoints_address() {
        for (endpoint, name, way) in [
            (
                "tcp://vch.example.com:2376",
                "vch.example.com",
                Way::Network,
            ),
            ("vch.example.com:2376", "vch.example.com", Way::Network),
            ("tcp://[fd00::1]:2376/", "fd00::1", Way::Network),
            ("https://10.0.0.1", "10.0.0.1", Way::Network),
            ("tcp://user:secret@10.0.0.1:1", "10.0.0.1", Way::Network),
            ("ssh://root@host:22", "ssh host", Way::Network),
            ("ssh://my_alias", "ssh my_alias", Way::Network),
            ("ssh://root@[fd00::1]:22/x", "ssh fd00::1", Way::Network),
            ("unix:///var/run/docker.sock", "127.0.0.1", Way::Socket),
            ("npipe:////./pipe/docker_engine", "127.0.0.1", Way::Socket),
            ("npipe:////winbox/pipe/docker", "winbox", Way::Network),
            ("tcp://:2375", "127.0.0.1", Way::Loopback),
            ("tcp://localhost:2375", "localhost", Way::Loopback),
            ("tcp://127.3.0.1:2375", "127.3.0.1", Way::Loopback),
            ("tcp://[::1]:2375", "::1", Way::Loopback),
        ] {
            let expected = Some((name.to_owned(), way));
            assert_eq!(told(endpoint), expected, "{endpoint}");
        }
        for none in [
            "",
            "tcp://",
            "tcp://a b:1",
            "tcp://\x1b[2J:1",
            "ssh://",
            "ssh://u@",
        ] {
            assert_eq!(told(none), None, "{none:?}");
        }
    }

    #[test]
    fn ssh_gets_no_option_in_place_of_a_name() {
        for smuggled in [
            "ssh://-oProxyCommand=true",
            "ssh://root@-oProxyCommand=true:22",
            "ssh://[-oProxyCommand=true]",
            "ssh://a b",
            "ssh://a\nb",
        ] {
            assert_eq!(address(smuggled), None, "{smuggled:?}");
        }
    }

    #[test]
    fn ssh_tells_the_machine_behind_a_name() {
        let machine = |options: &str| of_ssh(options).map(|host| (host.name, host.way));
        for (options, name, way) in [
            (
                "host web\nuser root\nhostname 10.1.2.3\nport 22\n",
                "10.1.2.3",
                Way::Network,
            ),
            ("hostname fd00::1\n", "fd00::1", Way::Network),
            (
                "hostname localhost\nport 2222\n",
                "localhost",
                Way::Loopback,
            ),
        ] {
            assert_eq!(machine(options), Some((name.to_owned(), way)));
        }
        for none in ["", "port 22\n", "hostname \n", "hostname a;b\n"] {
            assert_eq!(machine(none), None, "{none:?}");
        }
    }
}
