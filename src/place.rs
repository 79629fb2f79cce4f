//! Where a load balancer is asked, and what comes from there proves. Pure.
//!
//! An address says little about who answers at it: a workstation may have a network of its own with the numbers of the
//! endpoint's, the near end of a tunnel is not the far one, and some networks have a proxy on the way that answers for
//! every address. The rule, in one place ([`meaning`]):
//! 1. Where nothing speaks against it, what comes from a place comes from the load balancer.
//! 2. Where something does ([`Doubt`]), an answer counts only if the load balancer's own table of connections shows the
//!    connection on which it came. Address translation hides it there: that it is missing proves nothing.
//! 3. A refusal by a load balancer that listens, by its own table, is not its refusal.
//! 4. What does not count is neither an answer nor a failure, and is said in words.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::Serialize;

use crate::docker::answer::Network;
use crate::docker::host::{Host, Way};
use crate::http::Reply;
use crate::inventory::{Container, Endpoint, Kind};
use crate::service::names::Port;

/// A place at which clients get to a load balancer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    pub via: Via,
    /// A name or an address; an IPv6 address has no brackets.
    pub address: String,
    pub port: u16,
}

/// By what clients come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Via {
    /// A port that the endpoint's host publishes.
    Host,
    /// The load balancer's own address on EXTERNAL_NET.
    Network,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, port, .. } = self;
        if address.contains(':') {
            write!(f, "[{address}]:{port}")
        } else {
            write!(f, "{address}:{port}")
        }
    }
}

/// The ways in to `lb`, which serves on `port`; first the one that is for its clients. A VCH publishes nothing on a host:
/// what is published on a container network is open at the container's own address.
pub fn ways_in(
    lb: &Container,
    external_net: &str,
    port: Port,
    kind: Kind,
    host: impl FnOnce() -> Option<Host>,
) -> Vec<Place> {
    let published = match kind {
        Kind::Engine => lb.published_at(&format!("{port}/tcp")),
        Kind::Vch => None,
    };
    let by_host = published.and_then(|(ip, port)| {
        let address = published_on(ip, host)?;
        let via = Via::Host;
        Some(Place { via, address, port })
    });
    let by_network = lb.address_on(external_net).map(|address| Place {
        via: Via::Network,
        address: address.to_owned(),
        port: port.get(),
    });
    by_host.into_iter().chain(by_network).collect()
}

/// Where this workstation finds a port that is published at `ip` of the endpoint's host; `None` where it can't be told, or
/// where only that host itself gets to it.
pub fn published_on(ip: &str, host: impl FnOnce() -> Option<Host>) -> Option<String> {
    let parsed = ip.parse::<IpAddr>().ok();
    match parsed {
        Some(ip) if !ip.is_unspecified() && !ip.is_loopback() => Some(ip.to_string()),
        Some(ip) if ip.is_loopback() => {
            let here = host().is_some_and(|host| host.way != Way::Network);
            here.then(|| ip.to_string())
        }
        _ => host().map(|host| host.name),
    }
}

/// Why what answers at a place may be somebody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// This workstation has a network of its own with the same numbers.
    SameNumbers,
    /// The endpoint is asked at this machine's own address, and says that it is another machine.
    Tunnel,
    /// An address that is nobody's answers, too.
    Intercepted,
}

/// What is known of this workstation.
#[derive(Debug, Clone, Default)]
pub struct Workstation {
    pub name: Option<String>,
    /// The address from which it would ask at the place.
    pub source: Option<IpAddr>,
}

/// Whether what answers at `place` may be somebody else. `network` is EXTERNAL_NET; `intercepted` tells whether somebody
/// answers for an address that is nobody's, and is asked only where the way leads through other networks.
pub fn doubt(
    place: &Place,
    endpoint: &Endpoint,
    host: impl FnOnce() -> Option<Host>,
    network: Option<&Network>,
    workstation: &Workstation,
    intercepted: impl FnOnce(IpAddr) -> bool,
) -> Option<Doubt> {
    let on_the_way = || {
        let nobody = nobodys(place, network)?;
        intercepted(nobody).then_some(Doubt::Intercepted)
    };
    let here = |host: Option<&Host>| is_this_machine(endpoint, host, &workstation.name);
    match place.via {
        // A loopback address leads to a socket's engine or its virtual machine, or else into a tunnel.
        Via::Host => {
            let host = host();
            match host.as_ref().map(|host| host.way) {
                Some(Way::Loopback) if !here(host.as_ref()) => Some(Doubt::Tunnel),
                Some(Way::Network) => on_the_way(),
                _ => None,
            }
        }
        Via::Network => {
            let source = workstation.source?;
            let pools = network.map(|network| network.ipam.config.as_slice());
            let mut pools = pools.unwrap_or_default().iter();
            if !pools.any(|pool| within(&pool.subnet, source)) {
                return on_the_way();
            }
            // An address on another network than a bridge is the same for everybody who can get there.
            let bridge = network.is_some_and(|network| network.driver == "bridge");
            // Asked for only where it decides: it may take a call.
            let inside = || !endpoint.rootless && here(host().as_ref());
            (bridge && !inside()).then_some(Doubt::SameNumbers)
        }
    }
}

/// An address that lies where `place` does and is nobody's, most likely: the last one of its network, which means all of
/// them there. `None` on this machine, and where only a name is known.
fn nobodys(place: &Place, network: Option<&Network>) -> Option<IpAddr> {
    let address = place.address.parse::<IpAddr>().ok()?;
    if address.is_loopback() {
        return None;
    }
    let pools = network.map(|network| network.ipam.config.as_slice());
    let mut pools = pools.unwrap_or_default().iter();
    let pool = pools.find(|pool| within(&pool.subnet, address));
    let bits = pool.and_then(|pool| pool.subnet.split_once('/')?.1.trim().parse::<u32>().ok());
    match address {
        IpAddr::V4(address) => {
            // Of a host the network is not known; no other length is as common.
            let bits = bits.unwrap_or(24);
            let last = u32::from(address) | u32::MAX.checked_shr(bits).unwrap_or(0);
            (bits < 31 && last != u32::from(address)).then(|| Ipv4Addr::from(last).into())
        }
        IpAddr::V6(address) => {
            let last = u128::from(address) | u128::from(u64::MAX);
            (last != u128::from(address)).then(|| Ipv6Addr::from(last).into())
        }
    }
}

/// Whether the endpoint is the machine called `own_name`, which asks.
pub fn is_this_machine(
    endpoint: &Endpoint,
    host: Option<&Host>,
    own_name: &Option<String>,
) -> bool {
    let near = host.is_some_and(|host| host.way != Way::Network);
    near && own_name.as_deref() == Some(endpoint.name.as_str())
}

/// Whether `address` is one of those that `subnet` (`10.0.0.0/8`) holds.
fn within(subnet: &str, address: IpAddr) -> bool {
    let Some((first, bits)) = subnet.split_once('/') else {
        return false;
    };
    let (Ok(first), Ok(bits)) = (first.trim().parse::<IpAddr>(), bits.trim().parse::<u32>()) else {
        return false;
    };
    match (first, address) {
        (IpAddr::V4(first), IpAddr::V4(address)) if bits <= 32 => {
            let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
            u32::from(first) & mask == u32::from(address) & mask
        }
        (IpAddr::V6(first), IpAddr::V6(address)) if bits <= 128 => {
            let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
            u128::from(first) & mask == u128::from(address) & mask
        }
        _ => false,
    }
}

/// What the load balancer's own table of connections says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// It was not asked, or did not answer.
    Nothing,
    /// The connection that was made to the place is there.
    Connection,
    /// That connection is not there, but something listens on the port.
    Listener,
    /// Nothing listens on the port.
    NoListener,
}

/// What a reply means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// It is the load balancer's reply.
    Its,
    /// Nobody knows whose reply that is.
    Unknown(Why),
}

/// Why a reply is nobody's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    Doubt(Doubt),
    /// The load balancer listens, and somebody refuses.
    Listens,
}

impl Why {
    /// What follows `lb at 172.17.0.2:80`: no sentence of its own.
    pub fn words(self) -> &'static str {
        match self {
            Self::Doubt(Doubt::SameNumbers) => {
                "this workstation has a network of its own with the same addresses, so what is there may be somebody else"
            }
            Self::Doubt(Doubt::Tunnel) => {
                "the endpoint is behind a tunnel, so what is there on this machine may be somebody else"
            }
            Self::Doubt(Doubt::Intercepted) => {
                "an address there that is nobody's answers, too: something on the way does, and what it says proves nothing"
            }
            Self::Listens => {
                "the load balancer listens there by its own account, and the refusal is somebody else's, on the way or on \
                 this machine"
            }
        }
    }
}

/// Whether the load balancer has to be asked for its table before `reply` means anything.
pub fn has_to_be_shown(reply: Reply, doubt: Option<Doubt>) -> bool {
    match reply {
        Reply::Silent => false,
        Reply::Refused => true,
        _ => doubt.is_some(),
    }
}

/// What `reply` means that came from a place.
pub fn meaning(reply: Reply, doubt: Option<Doubt>, shown: Shown) -> Meaning {
    match (reply, doubt, shown) {
        (Reply::Refused, _, Shown::Listener | Shown::Connection) => Meaning::Unknown(Why::Listens),
        (Reply::Refused, _, Shown::NoListener) | (Reply::Silent, _, _) | (_, None, _) => {
            Meaning::Its
        }
        (_, Some(_), Shown::Connection) => Meaning::Its,
        (_, Some(doubt), _) => Meaning::Unknown(Why::Doubt(doubt)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docker::answer::{Ipam, Pool};
    use crate::inventory::State;
    use crate::inventory::tests::{container, engine};

    fn host(name: &str, way: Way) -> Host {
        let name = name.to_owned();
        Host { name, way }
    }

    fn lb(address: &str, published: &[(&str, u16)]) -> Container {
        let mut lb = container(
            "lb",
            State::Running,
            &[("routable", address)],
            "haproxy:1.7",
        );
        let hosts = published.iter().map(|&(ip, port)| (ip.to_owned(), port));
        lb.ports = vec![("80/tcp".to_owned(), hosts.collect())];
        lb
    }

    #[test]
    fn clients_come_in_by_the_host_where_the_port_is_published_on_an_engine() {
        let remote = || Some(host("docker.example.com", Way::Network));
        let socket = || Some(host("127.0.0.1", Way::Socket));
        let unknown = || None;
        let anywhere: &[_] = &[("0.0.0.0", 8080), ("::", 8080)];
        for (published, kind, host, ways) in [
            (
                &[][..],
                Kind::Engine,
                remote as fn() -> Option<Host>,
                &["10.0.0.2:80"][..],
            ),
            (
                anywhere,
                Kind::Engine,
                remote,
                &["docker.example.com:8080", "10.0.0.2:80"],
            ),
            (
                anywhere,
                Kind::Engine,
                socket,
                &["127.0.0.1:8080", "10.0.0.2:80"],
            ),
            (anywhere, Kind::Engine, unknown, &["10.0.0.2:80"]),
            (
                &[("", 80)],
                Kind::Engine,
                remote,
                &["docker.example.com:80", "10.0.0.2:80"],
            ),
            (
                &[("192.0.2.7", 80)],
                Kind::Engine,
                unknown,
                &["192.0.2.7:80", "10.0.0.2:80"],
            ),
            (&[("127.0.0.1", 80)], Kind::Engine, remote, &["10.0.0.2:80"]),
            (
                &[("127.0.0.1", 80)],
                Kind::Engine,
                socket,
                &["127.0.0.1:80", "10.0.0.2:80"],
            ),
            (anywhere, Kind::Vch, remote, &["10.0.0.2:80"]),
        ] {
            let port = Port::parse("80").unwrap();
            let found = ways_in(&lb("10.0.0.2", published), "routable", port, kind, host);
            let found: Vec<String> = found.iter().map(Place::to_string).collect();
            assert_eq!(found, ways, "{published:?} {kind:?}");
        }
        let port = Port::parse("80").unwrap();
        assert_eq!(
            ways_in(&lb("", &[]), "routable", port, Kind::Engine, || None),
            []
        );
    }

    #[test]
    fn an_ipv6_address_is_told_in_brackets() {
        let place = |address: &str| Place {
            via: Via::Network,
            address: address.to_owned(),
            port: 80,
        };
        assert_eq!(place("fd00::2").to_string(), "[fd00::2]:80");
        assert_eq!(place("vch.example.com").to_string(), "vch.example.com:80");
    }

    /// A line: by what clients come in, how docker gets to the endpoint, what the endpoint is, its network's driver, and from
    /// which address this workstation asks.
    fn doubted(line: &str) -> Option<Doubt> {
        doubted_where(line, false)
    }

    /// The same where something on the way answers for every address, or not.
    fn doubted_where(line: &str, intercepted: bool) -> Option<Doubt> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [via, way, endpoint_is, driver, source] = words[..] else {
            panic!("{line}");
        };
        let place = Place {
            via: match via {
                "host" => Via::Host,
                _ => Via::Network,
            },
            address: "172.17.0.2".into(),
            port: 80,
        };
        let way = match way {
            "socket" => Some(Way::Socket),
            "loopback" => Some(Way::Loopback),
            "remote" => Some(Way::Network),
            _ => None,
        };
        let name = endpoint_is.trim_end_matches("-rootless");
        let endpoint = Endpoint {
            name: name.into(),
            rootless: name != endpoint_is,
            ..engine()
        };
        let pool = Pool {
            subnet: "172.17.0.0/16".into(),
            ..Pool::default()
        };
        let network = Network {
            driver: driver.into(),
            ipam: Ipam { config: vec![pool] },
            ..Network::default()
        };
        let workstation = Workstation {
            name: Some("here".into()),
            source: Some(source.parse().unwrap()),
        };
        let host = || way.map(|way| host("x", way));
        doubt(
            &place,
            &endpoint,
            host,
            Some(&network),
            &workstation,
            |nobody| intercepted && nobody == IpAddr::from([172, 17, 255, 255]),
        )
    }

    #[test]
    fn what_answers_is_in_doubt_where_this_workstation_has_the_same_numbers_or_a_tunnel() {
        for line in [
            // A remote engine's bridge, and a docker0 here.
            "network remote other bridge 172.17.0.1",
            "network unknown other bridge 172.17.0.1",
            "network remote here bridge 172.17.0.1",
            // An engine in a virtual machine or without root beside this machine's own.
            "network socket desktop bridge 172.17.0.1",
            "network socket here-rootless bridge 172.17.0.1",
        ] {
            assert_eq!(doubted(line), Some(Doubt::SameNumbers), "{line}");
        }
        let tunnel = "host loopback other bridge 127.0.0.1";
        assert_eq!(doubted(tunnel), Some(Doubt::Tunnel));
        for line in [
            // Routed there.
            "network remote other bridge 10.9.0.1",
            // The engine of this machine.
            "network socket here bridge 172.17.0.1",
            "network loopback here bridge 172.17.0.1",
            // On the same wire.
            "network remote other macvlan 172.17.0.1",
            "network remote vch external 172.17.0.1",
            "host remote other bridge 172.17.0.1",
            "host socket desktop bridge 127.0.0.1",
            "host loopback here bridge 127.0.0.1",
        ] {
            assert_eq!(doubted(line), None, "{line}");
        }
    }

    #[test]
    fn what_answers_for_every_address_proves_nothing_where_the_way_leads_through_it() {
        for (line, doubt) in [
            (
                "network remote other bridge 10.9.0.1",
                Some(Doubt::Intercepted),
            ),
            (
                "network socket desktop bridge 10.9.0.1",
                Some(Doubt::Intercepted),
            ),
            (
                "network remote vch external 10.9.0.1",
                Some(Doubt::Intercepted),
            ),
            // On the same wire, or on this machine.
            ("network remote other macvlan 172.17.0.1", None),
            ("network socket here bridge 172.17.0.1", None),
            (
                "network remote other bridge 172.17.0.1",
                Some(Doubt::SameNumbers),
            ),
            ("host loopback here bridge 127.0.0.1", None),
            ("host socket desktop bridge 127.0.0.1", None),
        ] {
            assert_eq!(doubted_where(line, true), doubt, "{line}");
        }
    }

    #[test]
    fn the_last_address_of_a_network_is_nobodys() {
        for (address, subnet, nobody) in [
            ("10.0.1.2", "10.0.1.0/24", Some("10.0.1.255")),
            ("10.0.1.2", "10.0.0.0/16", Some("10.0.255.255")),
            ("192.168.66.10", "192.168.66.10/31", None),
            ("192.168.66.10", "192.168.66.8/30", Some("192.168.66.11")),
            // A host's network is not known.
            ("192.0.2.7", "10.0.0.0/16", Some("192.0.2.255")),
            ("192.0.2.255", "10.0.0.0/16", None),
            ("127.0.0.1", "10.0.0.0/16", None),
            ("vch.example.com", "10.0.0.0/16", None),
            (
                "fd00:1::2",
                "fd00:1::/64",
                Some("fd00:1::ffff:ffff:ffff:ffff"),
            ),
        ] {
            let pool = Pool {
                subnet: subnet.into(),
                ..Pool::default()
            };
            let network = Network {
                ipam: Ipam { config: vec![pool] },
                ..Network::default()
            };
            let place = Place {
                via: Via::Network,
                address: address.into(),
                port: 80,
            };
            let expected = nobody.map(|nobody| nobody.parse().unwrap());
            assert_eq!(
                nobodys(&place, Some(&network)),
                expected,
                "{address} {subnet}"
            );
        }
    }

    #[test]
    fn subnets_hold_addresses_of_their_own_kind() {
        for (subnet, address, holds) in [
            ("172.17.0.0/16", "172.17.255.1", true),
            ("172.17.0.0/16", "172.18.0.1", false),
            ("10.0.0.2/32", "10.0.0.2", true),
            ("0.0.0.0/0", "192.0.2.1", true),
            ("fd00:1::/64", "fd00:1::9", true),
            ("fd00:1::/64", "fd00:2::9", false),
            ("::/0", "fd00::9", true),
            ("fd00:1::/64", "10.0.0.1", false),
            ("10.0.0.0", "10.0.0.0", false),
            ("10.0.0.0/33", "10.0.0.0", false),
            ("", "10.0.0.0", false),
        ] {
            assert_eq!(
                within(subnet, address.parse().unwrap()),
                holds,
                "{subnet} {address}"
            );
        }
    }

    #[test]
    fn a_reply_is_the_load_balancers_only_where_nothing_speaks_against_it() {
        use Reply::{Closed, Mute, NoServer, NotHttp, Refused, Silent, Status};
        let doubts = [Doubt::SameNumbers, Doubt::Tunnel, Doubt::Intercepted];
        let shown = [
            Shown::Nothing,
            Shown::Connection,
            Shown::Listener,
            Shown::NoListener,
        ];
        for reply in [Status(200), Status(500), NoServer, NotHttp, Mute, Closed] {
            assert!(!has_to_be_shown(reply, None));
            for shown in shown {
                assert_eq!(meaning(reply, None, shown), Meaning::Its);
            }
            for doubt in doubts {
                assert!(has_to_be_shown(reply, Some(doubt)));
                for shown in shown {
                    let its = meaning(reply, Some(doubt), shown) == Meaning::Its;
                    assert_eq!(its, shown == Shown::Connection, "{reply:?} {shown:?}");
                }
            }
        }
        for doubt in [None, Some(Doubt::SameNumbers), Some(Doubt::Tunnel)] {
            assert!(has_to_be_shown(Refused, doubt));
            assert!(!has_to_be_shown(Silent, doubt));
            let unless = |shown| meaning(Refused, doubt, shown);
            assert_eq!(unless(Shown::NoListener), Meaning::Its);
            assert_eq!(unless(Shown::Listener), Meaning::Unknown(Why::Listens));
            let untold = doubt.map_or(Meaning::Its, |doubt| Meaning::Unknown(Why::Doubt(doubt)));
            assert_eq!(unless(Shown::Nothing), untold);
            assert_eq!(meaning(Silent, doubt, Shown::Nothing), Meaning::Its);
        }
    }
}
