//! How a service stands: a row for each container, and every drift in words with the command that mends it. Pure.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::again::Again;
use crate::haproxy::Config;
use crate::haproxy::read::Found;
use crate::inventory::{Container, Health, Inventory, State};
use crate::spec::names::{Names, NetworkName, Number};
use crate::spec::running::OtherLb;
use crate::ui::{list, plural};

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Drift {
    pub what: String,
    /// Line by line, where there is more to say.
    pub lines: Vec<String>,
    /// The command that mends it.
    pub mend: String,
}

/// One container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    pub name: String,
    /// `ready`, `starting`, `unhealthy`, `created`, `exited (3)`, or the endpoint's own word.
    pub state: String,
    pub image: String,
    /// On the external network for the load balancer, on PREFIX-net for an instance.
    pub address: Option<String>,
    /// `HOST:PORT` where the endpoint publishes its port.
    pub published: Option<String>,
    /// When it was started, in RFC 3339, by the endpoint's clock.
    pub started_at: Option<String>,
    /// Whether the load balancer sends to it; `null` for the load balancer itself.
    pub in_lb: Option<bool>,
}

/// How the whole stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Complete, and everything runs.
    Healthy,
    /// Something is there, and something is missing or wrong.
    Degraded,
    NotDeployed,
}

/// A service as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    pub verdict: Verdict,
    pub address: Option<String>,
    pub port: Option<u16>,
    pub containers: Vec<Row>,
    pub drift: Vec<Drift>,
}

/// How commands that mend something are put.
pub struct Mends<'a> {
    pub again: &'a Again,
    /// The flags with which `up` makes of the service what it is, or what the settings say.
    pub up: Vec<String>,
    /// A load balancer of another name: nothing else can be told before it is known which one is meant.
    pub other_lb: Option<OtherLb>,
}

impl Mends<'_> {
    fn up(&self) -> String {
        self.up_with(&[])
    }

    fn up_with(&self, more: &[&str]) -> String {
        let flags = self.up.iter().map(String::as_str);
        let words: Vec<&str> = flags.chain(more.iter().copied()).collect();
        self.again.command("up", &words)
    }
}

/// Reads `inventory`. `wanted` is the number of instances that the settings ask for, if they were given one.
pub fn status(
    names: &Names,
    external_net: &NetworkName,
    wanted: Option<usize>,
    mends: &Mends<'_>,
    inventory: &Inventory,
) -> Status {
    let config = inventory
        .config
        .as_ref()
        .and_then(|found| found.config.as_ref());
    let mut drift = Vec::new();
    let mut reader = Reader {
        names,
        inventory,
        config,
        mends,
        drift: &mut drift,
    };
    if let Some(OtherLb { what, remedy }) = &mends.other_lb {
        reader.note(what.clone(), remedy.clone());
    } else {
        if !inventory.is_empty() {
            reader.lb();
            reader.instances(wanted);
        }
        reader.conflicts();
    }
    let verdict = match (inventory.is_empty(), drift.is_empty()) {
        (true, _) => Verdict::NotDeployed,
        (false, true) => Verdict::Healthy,
        (false, false) => Verdict::Degraded,
    };
    let lb = inventory.lb.as_ref();
    Status {
        verdict,
        address: lb
            .and_then(|lb| lb.address_on(external_net.as_str()))
            .map(str::to_owned),
        port: config.map(|config| config.lb_port.get()),
        containers: rows(names, external_net, inventory, config),
        drift,
    }
}

struct Reader<'a> {
    names: &'a Names,
    inventory: &'a Inventory,
    config: Option<&'a Config>,
    mends: &'a Mends<'a>,
    drift: &'a mut Vec<Drift>,
}

impl Reader<'_> {
    fn note(&mut self, what: String, mend: String) {
        self.drift.push(Drift {
            what,
            lines: Vec::new(),
            mend,
        });
    }

    fn note_up(&mut self, what: String) {
        self.note(what, self.mends.up());
    }

    fn lb(&mut self) {
        let name = self.names.lb.clone();
        let Some(lb) = &self.inventory.lb else {
            self.note_up(format!("there is no load balancer `{name}`"));
            return;
        };
        if !lb.running() {
            let how = crate::autopsy::standing(lb);
            self.note_up(format!("the load balancer `{name}` {how}"));
            return;
        }
        match &self.inventory.config {
            None => self.note_up(format!("`{name}` has no haproxy.cfg")),
            Some(found) => self.config(found),
        }
        if self.inventory.stale {
            self.note_up(format!("an instance was started after `{name}` last resolved its name: requests may go astray"));
        }
        if let Some(aside) = &self.inventory.lb_aside {
            self.note_up(format!(
                "`{}` is left over from replacing `{name}`",
                aside.name
            ));
        }
    }

    fn config(&mut self, found: &Found) {
        let name = self.names.lb.clone();
        if let Some(version) = found.newer {
            let what = format!(
                "the haproxy.cfg in `{name}` was written by a newer vch-lb (settings version {version})"
            );
            self.note(what, "use that version of vch-lb".to_owned());
        } else if found.edited() {
            let what = format!("the haproxy.cfg in `{name}` was edited by hand");
            self.note(what, self.mends.up_with(&["--overwrite"]));
            if let Some(drift) = self.drift.last_mut() {
                drift.lines = found.differences();
            }
        }
    }

    fn instances(&mut self, wanted: Option<usize>) {
        let sent_to = self.config.map(Config::numbers).unwrap_or_default();
        let lb = &self.names.lb;
        for number in &sent_to {
            if !self.inventory.instances.contains_key(number) {
                let instance = self.names.instance(*number);
                let what = format!("`{lb}` sends to `{instance}`, which is not there");
                self.note_up(what);
            }
        }
        for (number, instance) in &self.inventory.instances {
            self.instance(instance, sent_to.contains(number));
        }
        self.images();
        let there = if self.config.is_some() {
            sent_to.len()
        } else {
            self.inventory.instances.len()
        };
        if let Some(wanted) = wanted.filter(|wanted| *wanted != there) {
            let instances = plural(there, "instance");
            let what = format!("{instances}, but NUM_INSTANCES is {wanted}");
            self.note(what, self.right_number(wanted));
        }
    }

    /// Where `up` is run for something else in any case, it brings the number along.
    fn right_number(&self, wanted: usize) -> String {
        let up = self.mends.up();
        let other = self.drift.iter().find(|drift| drift.mend.starts_with(&up));
        match other {
            Some(drift) => drift.mend.clone(),
            None => self.mends.again.command("scale", &[&wanted.to_string()]),
        }
    }

    fn instance(&mut self, instance: &Container, sent: bool) {
        let Container { name, health, .. } = instance;
        match (&instance.state, sent) {
            (State::Running, true) if *health == Health::Unhealthy => {
                let what = format!("`{name}` is unhealthy, by its own health check");
                self.note(what, self.mends.again.command("rollout", &["--force"]));
            }
            (State::Running, false) if self.config.is_some() => {
                let lb = &self.names.lb;
                let what = format!("`{name}` runs, but `{lb}` does not send to it");
                self.note_up(what);
            }
            (State::Running, _) => {}
            _ => {
                let how = crate::autopsy::standing(instance);
                self.note_up(format!("`{name}` {how}"));
            }
        }
    }

    fn images(&mut self) {
        let instances = self.inventory.instances.values();
        let images: BTreeSet<&str> = instances.clone().map(|each| each.image.as_str()).collect();
        let ids: BTreeSet<&str> = instances.map(|each| each.image_id.as_str()).collect();
        let images: Vec<&str> = images.into_iter().collect();
        if let [image] = images[..] {
            if ids.len() > 1 {
                let what = format!("the instances were made from different versions of `{image}`");
                self.note(what, self.mends.again.command("rollout", &[]));
            }
        } else if !images.is_empty() {
            let what = format!(
                "the instances were made from different images: {}",
                list(&images)
            );
            let mend = ["--instance-img", "IMAGE"];
            self.note(what, self.mends.again.command("rollout", &mend));
        }
    }

    fn conflicts(&mut self) {
        for conflict in &self.inventory.conflicts {
            // Other containers called PREFIX-N are no harm to a service that is there.
            if conflict.name == self.names.lb.as_str() {
                let what = format!(
                    "a container called `{}` is there and is not this service's",
                    conflict.name
                );
                let mend = ["--lb-ctr-name", "NAME"];
                self.note(what, self.mends.again.command("up", &mend));
            }
        }
    }
}

fn rows(
    names: &Names,
    external_net: &NetworkName,
    inventory: &Inventory,
    config: Option<&Config>,
) -> Vec<Row> {
    let bridge = names.network();
    let sent_to = config.map(Config::numbers).unwrap_or_default();
    let lb = inventory
        .lb
        .iter()
        .map(|lb| row(lb, external_net.as_str(), None));
    let sends = |number: &Number| Some(sent_to.contains(number));
    let instances = inventory
        .instances
        .iter()
        .map(|(number, instance)| row(instance, &bridge, sends(number)));
    lb.chain(instances).collect()
}

fn row(container: &Container, network: &str, in_lb: Option<bool>) -> Row {
    let started = !container.started_at.is_empty() && !container.started_at.starts_with("0001-");
    Row {
        name: container.name.clone(),
        state: word(container),
        image: container.image.clone(),
        address: container.address_on(network).map(str::to_owned),
        published: published(container),
        started_at: (started && container.running()).then(|| container.started_at.clone()),
        in_lb,
    }
}

fn word(container: &Container) -> String {
    match (&container.state, container.health) {
        (State::Running, Health::Healthy | Health::None) => "ready".into(),
        (State::Starting, _) | (State::Running, Health::Starting) => "starting".into(),
        (State::Running, Health::Unhealthy) => "unhealthy".into(),
        (State::Created, _) => "created".into(),
        (State::Exited { code }, _) => format!("exited ({code})"),
        (State::Other(state), _) => state.to_lowercase(),
    }
}

fn published(container: &Container) -> Option<String> {
    let (host, port) = container.ports.iter().flat_map(|(_, at)| at).next()?;
    let anywhere = matches!(host.as_str(), "" | "0.0.0.0" | "::");
    Some(if anywhere {
        port.to_string()
    } else {
        format!("{host}:{port}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docker::answer::Network;
    use crate::inventory::tests::{container, engine};
    use crate::spec::Spec;
    use crate::spec::tests::spec;

    fn inventory(states: &[State], numbers: &[Number]) -> Inventory {
        let spec = spec(&[]);
        let instances = states.iter().enumerate().map(|(index, state)| {
            container(
                &format!("web-{}", index + 1),
                state.clone(),
                &[("web-net", "172.18.0.2")],
                "httpd",
            )
        });
        let lb = container(
            "lb",
            State::Running,
            &[("routable", "10.0.0.2"), ("web-net", "172.18.0.9")],
            "haproxy:1.7",
        );
        let bridge = Network {
            name: "web-net".into(),
            ..Network::default()
        };
        let mut inventory = Inventory::new(
            &spec.names,
            &spec.external_net,
            engine(),
            vec![bridge],
            instances.chain([lb]),
        );
        inventory.config = Some(Found::new(
            Config::by_name(&spec, numbers).render().unwrap(),
            None,
            "haproxy:1.7",
        ));
        inventory
    }

    fn read(inventory: &Inventory, wanted: Option<usize>) -> Status {
        let Spec {
            names,
            external_net,
            ..
        } = spec(&[]);
        let mends = Mends {
            again: &Again::default(),
            up: Vec::new(),
            other_lb: None,
        };
        status(&names, &external_net, wanted, &mends, inventory)
    }

    fn drift(inventory: &Inventory, wanted: Option<usize>) -> Vec<String> {
        read(inventory, wanted)
            .drift
            .into_iter()
            .map(|drift| drift.what)
            .collect()
    }

    #[test]
    fn a_complete_service_is_healthy() {
        let status = read(
            &inventory(&[State::Running, State::Running], &[1, 2]),
            Some(2),
        );
        assert_eq!(status.verdict, Verdict::Healthy);
        assert_eq!(
            (status.address.as_deref(), status.port),
            (Some("10.0.0.2"), Some(80))
        );
        assert_eq!(status.containers.len(), 3);
        assert_eq!(status.containers[1].in_lb, Some(true));
    }

    #[test]
    fn every_drift_is_told() {
        let exited = State::Exited { code: 3 };
        for (inventory, wanted, told) in [
            (
                inventory(&[State::Running, exited], &[1, 2]),
                None,
                "`web-2` exited with code 3",
            ),
            (
                inventory(&[State::Running], &[1, 2]),
                None,
                "`lb` sends to `web-2`, which is not there",
            ),
            (
                inventory(&[State::Running, State::Running], &[1]),
                None,
                "`web-2` runs, but `lb` does not send to it",
            ),
            (
                inventory(&[State::Running], &[1]),
                Some(3),
                "1 instance, but NUM_INSTANCES is 3",
            ),
            (
                Inventory {
                    lb: None,
                    config: None,
                    ..inventory(&[State::Running], &[1])
                },
                None,
                "there is no load balancer `lb`",
            ),
            (
                Inventory {
                    config: None,
                    ..inventory(&[State::Running], &[1])
                },
                None,
                "`lb` has no haproxy.cfg",
            ),
            (
                Inventory {
                    stale: true,
                    ..inventory(&[State::Running], &[1])
                },
                None,
                "an instance was started after `lb` last resolved its name: requests may go astray",
            ),
        ] {
            assert_eq!(drift(&inventory, wanted), [told]);
            assert_eq!(read(&inventory, wanted).verdict, Verdict::Degraded);
        }
    }

    #[test]
    fn different_images_are_told() {
        let mut mixed = inventory(&[State::Running, State::Running], &[1, 2]);
        mixed.instances.get_mut(&2).unwrap().image_id = "another".into();
        assert_eq!(
            drift(&mixed, None),
            ["the instances were made from different versions of `httpd`"]
        );
        mixed.instances.get_mut(&2).unwrap().image = "httpd:2".into();
        assert_eq!(
            drift(&mixed, None),
            ["the instances were made from different images: `httpd` and `httpd:2`"]
        );
    }

    #[test]
    fn nothing_is_not_deployed() {
        let Spec {
            names,
            external_net,
            ..
        } = spec(&[]);
        let nothing = Inventory::new(&names, &external_net, engine(), Vec::new(), Vec::new());
        let status = read(&nothing, Some(3));
        assert_eq!(
            (status.verdict, status.drift.len()),
            (Verdict::NotDeployed, 0)
        );
    }
}
