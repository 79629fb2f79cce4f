//! What an endpoint that answers is and has. Pure.
//!
//! Each file below is one check, and is called as the check is.

mod bridge_network;
mod entrance;
mod external_network;
mod images;
mod kind;
mod names;
mod reloads;
mod room;

use std::collections::BTreeMap;

use super::{Check, Wanted, numbers};
use crate::docker::answer::{Info, ListedNetwork, Network, ServerVersion};
use crate::docker::host::Host;
use crate::error::Failure;
use crate::host_ports::Taken;
use crate::inventory::{Endpoint, Inventory, Kind};
use crate::message::vch_lb;

/// What can be checked only where an endpoint answers.
pub const ABOUT: &[&str] = &[
    kind::ABOUT,
    external_network::ABOUT,
    entrance::ABOUT,
    bridge_network::ABOUT,
    names::ABOUT,
    room::ABOUT,
    images::ABOUT,
    reloads::ABOUT,
];

/// What an endpoint that answers was found to have.
#[derive(Debug)]
pub struct There {
    pub info: Info,
    pub server: Option<ServerVersion>,
    /// All networks; an error where they could not be listed.
    pub networks: Result<Vec<ListedNetwork>, Failure>,
    /// EXTERNAL_NET; `None` where it does not exist or its name is unusable.
    pub external: Result<Option<Network>, Failure>,
    /// Where the endpoint publishes ports; `None` where docker does not tell.
    pub host: Option<Host>,
    /// Which ports of it containers publish; empty where the load balancer will publish none.
    pub taken: Result<Vec<Taken>, Failure>,
    /// The service; `None` while its names are unusable.
    pub inventory: Option<Result<Inventory, Failure>>,
    /// IDs of those images that are there, by the name that was asked for.
    pub images: Result<BTreeMap<String, String>, Failure>,
}

impl There {
    pub fn is_vch(&self) -> bool {
        self.endpoint().kind == Kind::Vch
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::new(self.info.clone())
    }

    fn inventory(&self) -> Option<&Inventory> {
        self.inventory
            .as_ref()
            .and_then(|found| found.as_ref().ok())
    }

    /// The endpoint's own version, as far as it is numbers.
    fn version(&self) -> Option<(u32, u32, u32)> {
        numbers(&self.info.server_version).or_else(|| numbers(&self.server.as_ref()?.version))
    }

    /// What a VCH says under a key.
    fn status(&self, key: &str) -> Option<&str> {
        let mut pairs = self.info.system_status.iter();
        pairs
            .find(|(known, _)| known == key)
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }
}

/// All checks, in the order of a deployment.
pub(super) fn checks(there: &There, wanted: &Wanted) -> Vec<Check> {
    let mut checks = kind::checks(there);
    checks.extend(external_network::checks(there, wanted));
    checks.extend(entrance::checks(there, wanted));
    match (&there.inventory, &wanted.names) {
        (Some(Err(failure)), _) => {
            let otherwise = vch_lb("status") + " asks the same questions";
            checks.push(Check::failed(names::ABOUT, failure, otherwise));
        }
        (Some(Ok(inventory)), Some(names)) => {
            checks.extend(bridge_network::checks(there, names, inventory));
            checks.extend(names::checks(names, wanted, inventory));
            checks.extend(names::addressing(wanted, inventory));
        }
        _ => {}
    }
    checks.extend(room::checks(there, wanted));
    checks.extend(images::checks(there, wanted));
    checks.extend(
        wanted
            .lb_image
            .as_ref()
            .map(|image| reloads::check(there, wanted, image)),
    );
    checks
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::docker::answer::{Component, Ipam, Plugins, Pool};
    use crate::doctor::diagnose;
    use crate::doctor::tests::{about, facts};
    use crate::inventory::tests::container;
    use crate::inventory::{self, State};
    use crate::service::tests::spec;

    pub(super) fn listed(driver: &str, name: &str) -> ListedNetwork {
        ListedNetwork {
            driver: driver.into(),
            name: name.into(),
        }
    }

    pub(super) fn external_net(driver: &str, subnet: &str, range: &str) -> Network {
        let pool = Pool {
            subnet: subnet.into(),
            ip_range: range.into(),
            ..Pool::default()
        };
        Network {
            name: "routable".into(),
            driver: driver.into(),
            ipam: Ipam {
                config: if subnet.is_empty() {
                    vec![]
                } else {
                    vec![pool]
                },
            },
            ..Network::default()
        }
    }

    fn with_containers(
        info: Info,
        server: ServerVersion,
        external: Network,
        containers: Vec<inventory::Container>,
    ) -> There {
        let spec = spec(&[]);
        let mut networks = vec![external.clone()];
        let bridge = Network {
            name: "web-net".into(),
            driver: "bridge".into(),
            ..Network::default()
        };
        let any = !containers.is_empty();
        networks.extend(any.then_some(bridge));
        let inventory = Inventory::new(
            &spec.service,
            Endpoint::new(info.clone()),
            networks,
            containers,
        );
        There {
            info,
            server: Some(server),
            networks: Ok(vec![
                listed("bridge", "bridge"),
                listed(&external.driver, "routable"),
            ]),
            external: Ok(Some(external)),
            host: None,
            taken: Ok(Vec::new()),
            inventory: Some(Ok(inventory)),
            images: Ok(BTreeMap::new()),
        }
    }

    pub(crate) fn engine() -> There {
        let info = Info {
            name: "engine".into(),
            driver: "overlay2".into(),
            server_version: "20.10.24".into(),
            ncpu: 4,
            mem_total: 8 << 30,
            ..Info::default()
        };
        let server = ServerVersion {
            version: "20.10.24".into(),
            api_version: "1.41".into(),
            components: vec![Component {
                name: "Engine".into(),
                version: "20.10.24".into(),
            }],
        };
        with_containers(
            info,
            server,
            external_net("bridge", "10.1.0.0/16", ""),
            vec![],
        )
    }

    pub(crate) fn vch(version: &str) -> There {
        vch_with(version, &[], vec![])
    }

    pub(super) fn vch_with(
        version: &str,
        status: &[(&str, &str)],
        containers: Vec<inventory::Container>,
    ) -> There {
        let status = status
            .iter()
            .map(|&(key, value)| (key.to_owned(), value.to_owned()));
        let info = Info {
            id: "vSphere Integrated Containers".into(),
            name: "vch".into(),
            driver: "vSphere Integrated Containers v1.5.8-1-a Backend Engine".into(),
            server_version: version.into(),
            plugins: Plugins {
                network: vec!["bridge".into(), "routable".into()],
                log: Vec::new(),
            },
            system_status: status.collect(),
            ..Info::default()
        };
        let server = ServerVersion {
            version: "1.5.8".into(),
            api_version: "1.25".into(),
            components: vec![],
        };
        let external = external_net("external", "192.168.4.0/24", "192.168.4.140-192.168.4.199");
        with_containers(info, server, external, containers)
    }

    pub(super) fn seen(there: There, subject: &str) -> Vec<String> {
        about(&diagnose(&facts(Some(Ok(there)))).checks, subject)
    }

    pub(super) fn running(name: &str) -> inventory::Container {
        let networks = [("web-net", "172.18.0.2"), ("routable", "10.0.0.2")];
        container(name, State::Running, &networks, "httpd")
    }

    #[test]
    fn unusable_settings_leave_the_rest_checked() {
        let mut facts = facts(Some(Ok(engine())));
        facts.wanted.names = None;
        facts.wanted.image = None;
        if let Some(Ok(there)) = &mut facts.there {
            there.inventory = None;
        }
        let checks = diagnose(&facts).checks;
        assert_eq!(about(&checks, names::ABOUT), [""; 0]);
        assert_eq!(about(&checks, external_network::ABOUT).len(), 1);
        assert_eq!(
            about(&checks, images::ABOUT),
            ["ok: `haproxy:1.7` (LB_IMG) will be pulled"]
        );
    }
}
