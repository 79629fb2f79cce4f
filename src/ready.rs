//! Whether instances are ready to be sent requests: one poller with a deadline.
//!
//! Ready means: docker's own health check says so, where the image has one; else an answer on the published port, where
//! this workstation reaches published ports; else running for a settling time.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use crate::autopsy;
use crate::checks;
use crate::error::Failure;
use crate::http::{self, Reply, Within};
use crate::inventory::{Container, Health, State};
use crate::look;
use crate::perform::Performer;
use crate::spec::names::Number;
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

/// Watches `numbers` for the settling time: all of them have to stay up, and to pass HAProxy's checks, if it does any.
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
        None => checks::pass_after_reload(performer, numbers),
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
    fn expects_answers(&mut self) -> bool {
        if let Some(known) = self.ports_answer {
            return known;
        }
        let before = self.performer.before.instances.values();
        let serving = before
            .filter(|instance| instance.running() && self.published(instance).is_some())
            .take(2);
        let known = serving.into_iter().any(|instance| self.answers(instance));
        self.ports_answer = Some(known);
        known
    }

    fn answers(&self, container: &Container) -> bool {
        let speaks = self.performer.spec.tuning.instances_speak();
        self.published(container).is_some_and(|(host, port)| {
            matches!(
                http::ask(&host, port, speaks, ATTEMPT),
                Reply::Status(_) | Reply::NotHttp | Reply::Mute
            )
        })
    }

    /// Where this workstation would find the published port of `container`.
    fn published(&self, container: &Container) -> Option<(String, u16)> {
        let port = format!("{}/tcp", self.performer.spec.instance_port);
        let (host, port) = container.published_at(&port)?;
        let anywhere = matches!(host, "" | "0.0.0.0" | "::");
        let host = if anywhere {
            self.performer.published_on.clone()?
        } else {
            host.to_owned()
        };
        Some((host, port))
    }
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
