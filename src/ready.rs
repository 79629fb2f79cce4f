//! Whether instances are ready to be sent requests: one poller with a deadline.
//!
//! Ready means: docker's own health check says so, where the image has one; else an answer on the published port, where
//! this workstation reaches published ports; else running for a settling time.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use crate::autopsy;
use crate::checks;
use crate::error::Failure;
use crate::haproxy::Config;
use crate::http::{self, Reply, Speaks, Within};
use crate::inventory::{Container, Health, State};
use crate::look;
use crate::perform::Performer;
use crate::reach;
use crate::spec::names::{Number, Port};
use crate::ui;

/// How long one question to a published port may take.
const ATTEMPT: Within = Within::each(Duration::from_secs(1));

/// Waits until all of `numbers` are ready; fails as soon as one of them can't get so any more, or after `--wait`.
pub fn await_ready(performer: &Performer<'_>, numbers: &[Number]) -> Result<(), Failure> {
    let deadline = Instant::now() + performer.patience.wait;
    let mut gate = Gate::new(performer);
    let mut waiting: Vec<String> = performer.spec.names.instances(numbers);
    let mut pause = Duration::from_millis(50);
    loop {
        performer.check_interrupt()?;
        let found = look::containers(&performer.docker, &waiting)?;
        if found.len() < waiting.len() {
            return Err(gone(&waiting, &found));
        }
        let mut late = None;
        waiting.clear();
        for container in found {
            match gate.verdict(&container) {
                Verdict::Ready => {}
                Verdict::Never => return Err(never_ready(performer, &container)),
                Verdict::NotYet => {
                    waiting.push(container.name.clone());
                    late.get_or_insert(container);
                }
            }
        }
        let Some(late) = late else { return Ok(()) };
        if Instant::now() >= deadline {
            return Err(too_late(performer, &late));
        }
        performer.sleep(pause);
        pause = (pause * 2).min(Duration::from_secs(1));
    }
}

fn gone(waiting: &[String], found: &[Container]) -> Failure {
    let there: HashSet<&str> = found
        .iter()
        .map(|container| container.name.as_str())
        .collect();
    let gone: Vec<&String> = waiting
        .iter()
        .filter(|name| !there.contains(name.as_str()))
        .collect();
    Failure::failed(format!("gone before it got ready: {}", ui::list(&gone)))
}

/// Watches `numbers` for the settling time: all of them have to stay up, and to pass HAProxy's checks, if it does any; and
/// a service that answered before this run has to answer still.
pub fn watch(performer: &Performer<'_>, numbers: &[Number]) -> Result<(), Failure> {
    performer.sleep(performer.patience.settle);
    performer.check_interrupt()?;
    let names = performer.spec.names.instances(numbers);
    let fallen =
        |container: &Container| !container.running() || container.health == Health::Unhealthy;
    let found = look::containers(&performer.docker, &names)?;
    match found.iter().find(|container| fallen(container)) {
        Some(container) => Err(never_ready(performer, container)),
        None if found.len() < names.len() => Err(Failure::failed(
            "an instance is gone that was ready just before",
        )),
        None => {
            checks::pass_after_reload(performer, numbers)?;
            reach::still_answers(performer, found.first())
        }
    }
}

enum Verdict {
    Ready,
    NotYet,
    Never,
}

/// What is remembered between two looks.
struct Gate<'a, 'b> {
    performer: &'a Performer<'b>,
    seen_running: HashMap<String, Instant>,
    /// Whether an answer on a published port can be expected from here; `None`: not known yet.
    ports_answer: Option<bool>,
}

impl<'a, 'b> Gate<'a, 'b> {
    fn new(performer: &'a Performer<'b>) -> Self {
        Self {
            performer,
            seen_running: HashMap::new(),
            ports_answer: None,
        }
    }

    fn verdict(&mut self, container: &Container) -> Verdict {
        match (&container.state, container.health) {
            (State::Exited { .. } | State::Other(_), _) | (State::Running, Health::Unhealthy) => {
                Verdict::Never
            }
            (State::Created | State::Starting, _) | (State::Running, Health::Starting) => {
                Verdict::NotYet
            }
            (State::Running, Health::Healthy) => Verdict::Ready,
            (State::Running, Health::None) => self.without_health_check(container),
        }
    }

    fn without_health_check(&mut self, container: &Container) -> Verdict {
        let since = *self
            .seen_running
            .entry(container.name.clone())
            .or_insert_with(Instant::now);
        if self.expects_answers() {
            return if self.answers(container) {
                Verdict::Ready
            } else {
                Verdict::NotYet
            };
        }
        if since.elapsed() >= self.performer.patience.settle {
            Verdict::Ready
        } else {
            Verdict::NotYet
        }
    }

    /// Published ports count only if one of an instance that serves already answers: through a tunnel, say, none does.
    /// Such an instance is asked at the port that it has, which need not be that of its successors.
    fn expects_answers(&mut self) -> bool {
        if let Some(known) = self.ports_answer {
            return known;
        }
        let Performer { before, spec, .. } = self.performer;
        let config = before.written_config();
        let speaks = config.map_or(&spec.tuning, |config| &config.tuning);
        let speaks = speaks.instances_speak();
        let instances = before.instances.values();
        let known = instances
            .filter(|instance| instance.running())
            .filter_map(|instance| self.published(own_port(instance, config)?))
            .take(2)
            .any(|at| answers(at, speaks));
        self.ports_answer = Some(known);
        known
    }

    fn answers(&self, container: &Container) -> bool {
        let spec = self.performer.spec;
        let at = container.published_at(&tcp(spec.instance_port));
        at.and_then(|at| self.published(at))
            .is_some_and(|at| answers(at, spec.tuning.instances_speak()))
    }

    /// Where this workstation would find a published port.
    fn published(&self, (host, port): (&str, u16)) -> Option<(String, u16)> {
        let anywhere = matches!(host, "" | "0.0.0.0" | "::");
        let host = if anywhere {
            self.performer.published_on.clone()?
        } else {
            host.to_owned()
        };
        Some((host, port))
    }
}

fn answers((host, port): (String, u16), speaks: Speaks) -> bool {
    // One that takes its time is there.
    matches!(
        http::ask(&host, port, speaks, ATTEMPT),
        Reply::Status(_) | Reply::NotHttp | Reply::Mute
    )
}

/// Where an instance from before publishes the port that requests were sent to by `config`, else its first one.
fn own_port<'c>(instance: &'c Container, config: Option<&Config>) -> Option<(&'c str, u16)> {
    let sent_to = config.and_then(|config| instance.published_at(&tcp(config.instance_port)));
    sent_to.or_else(|| {
        let mut tcp = instance
            .ports
            .iter()
            .filter(|(port, _)| port.ends_with("/tcp"));
        tcp.find_map(|(port, _)| instance.published_at(port))
    })
}

fn tcp(port: Port) -> String {
    format!("{port}/tcp")
}

fn never_ready(performer: &Performer<'_>, container: &Container) -> Failure {
    let unhealthy = container.running() && container.health == Health::Unhealthy;
    let how = if unhealthy {
        "is unhealthy, by its own health check".into()
    } else {
        autopsy::standing(container)
    };
    let what = format!("`{}` did not get ready: it {how}", container.name);
    autopsy::examine(
        &performer.docker,
        performer.spec,
        container,
        Failure::failed(what),
    )
}

fn too_late(performer: &Performer<'_>, container: &Container) -> Failure {
    let waited = ui::seconds(performer.patience.wait);
    let what = match (&container.state, container.health) {
        (State::Running, Health::Starting) => {
            format!(
                "`{}` is not healthy after {waited}, by its own health check",
                container.name
            )
        }
        (State::Running, _) => {
            format!(
                "`{}` does not answer on port {} after {waited}",
                container.name, performer.spec.instance_port
            )
        }
        _ => format!("`{}` does not run after {waited}", container.name),
    };
    let failure = Failure::failed(what).hinted("--wait gives instances more time");
    autopsy::examine(&performer.docker, performer.spec, container, failure)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::tests::container;
    use crate::spec::tests::spec;

    #[test]
    fn an_instance_from_before_is_asked_at_a_port_of_its_own() {
        let config = Config::by_name(&spec(&[]), &[1]);
        let at = |ports: &[(&str, u16)], config| {
            let mut instance = container("web-1", State::Running, &[], "httpd");
            instance.ports = ports
                .iter()
                .map(|&(port, host)| (port.to_owned(), vec![("0.0.0.0".to_owned(), host)]))
                .collect();
            own_port(&instance, config).map(|(_, port)| port)
        };
        let several = [("53/udp", 1), ("9000/tcp", 2), ("80/tcp", 3)];
        assert_eq!(at(&several, Some(&config)), Some(3));
        assert_eq!(at(&several, None), Some(2));
        assert_eq!(at(&several[..2], Some(&config)), Some(2));
        assert_eq!(at(&several[..1], Some(&config)), None);
    }
}
