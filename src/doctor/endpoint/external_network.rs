//! EXTERNAL_NET: there, and of a kind that clients can reach. Pure.

use std::net::Ipv4Addr;

use super::There;
use crate::advice;
use crate::docker::answer::{ListedNetwork, Network};
use crate::doctor::{Check, Wanted};
use crate::message::Message;
use crate::service::Publish;
use crate::service::names::{NetworkName, Port};

pub(super) const ABOUT: &str = "external-network";

pub(super) fn checks(there: &There, wanted: &Wanted) -> Vec<Check> {
    let Some(name) = &wanted.external_net else {
        return Vec::new();
    };
    match &there.external {
        Err(failure) => {
            let otherwise = "`docker network inspect` asks the same";
            vec![Check::failed(ABOUT, failure, otherwise)]
        }
        Ok(None) => vec![no_external(there, name, wanted.lb_port)],
        Ok(Some(network)) if there.is_vch() => of_vch(there, name, network, wanted),
        Ok(Some(network)) => vec![of_engine(name, network, wanted.publish)],
    }
}

fn of_engine(name: &NetworkName, network: &Network, publish: Option<Publish>) -> Check {
    let driver = network.driver.as_str();
    if network.scope == "swarm" && !network.attachable {
        let found = format!("`{name}` is a swarm network that takes no containers of their own");
        let remedy = "make it with `--attachable`, or set EXTERNAL_NET to another network";
        return Check::failure(ABOUT, found, remedy);
    }
    if network.internal {
        let found = format!("`{name}` is internal: only containers on it reach the load balancer");
        let remedy = "set EXTERNAL_NET to a network that was made without `--internal`";
        return Check::warning(ABOUT, found, remedy);
    }
    let check = Check::ok(
        ABOUT,
        format!("`{name}`, with the driver `{driver}`{}", subnets(network)),
    );
    if driver == "bridge" && publish != Some(Publish::Always) {
        return check.noted(
            "addresses of a bridge network are reached from the engine's own machine; for others, PUBLISH_LB=always opens LB_PORT on it",
        );
    }
    check
}

fn no_external(there: &There, name: &NetworkName, port: Option<Port>) -> Check {
    let found = if there.is_vch() {
        format!("the VCH has no container network `{name}`")
    } else {
        format!("there is no network `{name}`")
    };
    Check::failure(ABOUT, found, choose(there, port))
}

fn choose(there: &There, port: Option<Port>) -> Message {
    let endpoint = there.endpoint();
    advice::no_external(&endpoint, &candidates(there), port)
}

/// The networks that EXTERNAL_NET could name.
fn candidates(there: &There) -> Vec<&str> {
    let networks = there
        .networks
        .as_ref()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let suits = |network: &&ListedNetwork| {
        if there.is_vch() {
            network.driver == "external"
        } else {
            !matches!(network.driver.as_str(), "host" | "null")
        }
    };
    networks
        .iter()
        .filter(suits)
        .map(|network| network.name.as_str())
        .collect()
}

fn subnets(network: &Network) -> String {
    let subnets: Vec<&str> = network
        .ipam
        .config
        .iter()
        .map(|pool| pool.subnet.as_str())
        .filter(|subnet| !subnet.is_empty())
        .collect();
    match subnets.as_slice() {
        [] => String::new(),
        some => format!(" and the subnet {}", some.join(", ")),
    }
}

/// On a VCH it has to be a container network: where its addresses come from, whether one is left, and who gets in.
fn of_vch(there: &There, name: &NetworkName, network: &Network, wanted: &Wanted) -> Vec<Check> {
    let driver = network.driver.as_str();
    if driver != "external" {
        let found = format!("`{name}` is a {driver} network of the VCH, not a container network");
        return vec![Check::failure(ABOUT, found, choose(there, wanted.lb_port))];
    }
    let addresses = Addresses::of(network);
    let found = format!("container network `{name}`, addresses {}", addresses.told());
    let has_lb = there
        .inventory()
        .is_some_and(|inventory| inventory.lb.is_some());
    if addresses.exhausted() && !has_lb {
        let remedy = "remove containers on it that are not needed, stopped ones too, or choose another EXTERNAL_NET";
        return vec![Check::failure(ABOUT, found, remedy)];
    }
    let check = Check::ok(ABOUT, found);
    if wanted.publish != Some(Publish::Never) {
        return vec![check.noted(
            "how the VCH's firewall treats it can't be read: the usual `published` lets in what PUBLISH_LB opens, `closed` and `outbound` nobody",
        )];
    }
    let found = "PUBLISH_LB is `never`: unless its firewall is `open`, which can't be read, nobody reaches LB_PORT";
    let remedy = "set PUBLISH_LB to auto, unless the VCH's admin says that the network is open";
    vec![check, Check::warning(ABOUT, found, remedy)]
}

/// The addresses of a container network.
struct Addresses<'a> {
    /// None where they come by DHCP.
    ranges: Vec<&'a str>,
    /// `None` where a range is not one that can be counted.
    size: Option<usize>,
    used: usize,
}

impl<'a> Addresses<'a> {
    fn of(network: &'a Network) -> Self {
        let pools = network.ipam.config.iter();
        let ranges: Vec<&str> = pools
            .map(|pool| match pool.ip_range.as_str() {
                "" => pool.subnet.as_str(),
                range => range,
            })
            .filter(|range| !range.is_empty())
            .collect();
        Self {
            // Of a whole subnet some are not given out.
            size: network
                .ipam
                .config
                .iter()
                .map(|pool| size(&pool.ip_range))
                .sum(),
            ranges,
            used: network.containers.len(),
        }
    }

    fn exhausted(&self) -> bool {
        !self.ranges.is_empty() && self.size.is_some_and(|size| self.used >= size)
    }

    fn told(&self) -> String {
        let ranges = self.ranges.join(", ");
        match self.size {
            _ if self.ranges.is_empty() => "by DHCP".to_owned(),
            None => ranges,
            Some(size) => format!("{ranges}, {} of {size} in use", self.used),
        }
    }
}

/// How many addresses `FIRST-LAST` holds; a VCH writes `FIRST/BITS` where that is the same.
fn size(range: &str) -> Option<usize> {
    let number = |text: &str| text.trim().parse::<Ipv4Addr>().ok().map(u32::from);
    if let Some((first, bits)) = range.split_once('/') {
        let bits = bits.parse().ok().filter(|bits| *bits <= 32)?;
        return number(first).and(1_usize.checked_shl(32_u32.checked_sub(bits)?));
    }
    let (first, last) = range.split_once('-')?;
    let span = number(last)?.checked_sub(number(first)?)?;
    usize::try_from(span).ok()?.checked_add(1)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{engine, external_net, seen, vch};
    use super::*;
    use crate::doctor::tests::{about, facts};
    use crate::doctor::{Verdict, diagnose};
    use crate::service::tests::spec;

    #[test]
    fn an_external_network_has_to_be_a_container_network_on_a_vch() {
        let with = |external: Option<Network>| There {
            external: Ok(external),
            ..vch("v1.5.8-1-a")
        };
        assert_eq!(
            seen(vch("v1.5.8-1-a"), ABOUT),
            [
                "ok: container network `routable`, addresses 192.168.4.140-192.168.4.199, 0 of 60 in use"
            ]
        );
        assert_eq!(
            seen(
                with(Some(external_net(
                    "external",
                    "192.168.66.0/24",
                    "192.168.66.10/31"
                ))),
                ABOUT
            ),
            ["ok: container network `routable`, addresses 192.168.66.10/31, 0 of 2 in use"]
        );
        assert_eq!(
            seen(
                with(Some(external_net("external", "192.168.66.0/24", ""))),
                ABOUT
            ),
            ["ok: container network `routable`, addresses 192.168.66.0/24"]
        );
        assert_eq!(
            seen(with(Some(external_net("external", "", ""))), ABOUT),
            ["ok: container network `routable`, addresses by DHCP"]
        );
        assert_eq!(
            seen(
                with(Some(external_net("bridge", "172.16.0.0/16", ""))),
                ABOUT
            ),
            ["failure: `routable` is a bridge network of the VCH, not a container network"]
        );
        let name = spec(&[]).service.external_net;
        let check = no_external(&with(None), &name, None);
        assert_eq!(check.verdict, Verdict::Failure);
        assert_eq!(
            check.remedy.map(|remedy| remedy.to_string()).as_deref(),
            Some(
                "set EXTERNAL_NET to a container network of this VCH (`routable`): `vch-lb up --external-net routable`"
            )
        );
        let full = Network {
            containers: [("a", "b")]
                .map(|(id, _)| (id.to_owned(), serde::de::IgnoredAny))
                .into(),
            ..external_net("external", "10.0.0.0/24", "10.0.0.9-10.0.0.9")
        };
        assert_eq!(
            seen(with(Some(full)), ABOUT),
            ["failure: container network `routable`, addresses 10.0.0.9-10.0.0.9, 1 of 1 in use"]
        );
    }

    #[test]
    fn an_external_network_of_an_engine_has_to_take_containers() {
        let with = |external: Network| There {
            external: Ok(Some(external)),
            ..engine()
        };
        assert_eq!(
            seen(engine(), ABOUT),
            ["ok: `routable`, with the driver `bridge` and the subnet 10.1.0.0/16"]
        );
        let swarm = Network {
            scope: "swarm".into(),
            ..external_net("overlay", "", "")
        };
        assert!(seen(with(swarm), ABOUT)[0].starts_with("failure"));
        let internal = Network {
            internal: true,
            ..external_net("bridge", "", "")
        };
        assert!(seen(with(internal), ABOUT)[0].starts_with("warning"));
        let none = There {
            external: Ok(None),
            ..engine()
        };
        assert_eq!(
            no_external(&none, spec(&[]).external_net(), Some(spec(&[]).lb_port))
                .remedy
                .map(|remedy| remedy.to_string())
                .as_deref(),
            Some(
                "`vch-lb up --external-net bridge --publish-lb always` serves on port 80 of the endpoint's host; for a network \
                 of your own set EXTERNAL_NET to one that is there, `routable`, or one that you make with `docker network \
                 create`"
            )
        );
    }

    #[test]
    fn a_port_that_is_not_published_is_not_reached_on_a_vch() {
        let mut facts = facts(Some(Ok(vch("v1.5.8-1-a"))));
        facts.wanted.publish = Some(Publish::Never);
        let checks = about(&diagnose(&facts).checks, ABOUT);
        assert_eq!(checks.len(), 2);
        assert!(checks[1].starts_with("warning: PUBLISH_LB is `never`"));
    }

    #[test]
    fn ranges_are_counted() {
        for (range, addresses) in [
            ("10.0.0.1-10.0.0.10", 10),
            ("192.168.66.10/31", 2),
            ("10.0.0.9/32", 1),
        ] {
            assert_eq!(size(range), Some(addresses), "{range}");
        }
        for odd in [
            "10.0.0.0/33",
            "10.0.0.0/-1",
            "a/31",
            "10.0.0.9-10.0.0.1",
            "a-b",
            "",
        ] {
            assert_eq!(size(odd), None, "{odd}");
        }
    }
}
