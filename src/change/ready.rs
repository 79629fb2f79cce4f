//! Whether instances are ready to be sent requests: one poller with a deadline.
//!
//! Ready means: docker's own health check says so, where the image has one; and the published port answers what HEALTH_CHECK
//! calls right, or as well as an instance that serves, where this workstation reaches published ports; where neither
//! tells, running for a settling time.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use super::run::Run;
use crate::autopsy;
use crate::connections;
use crate::error::Failure;
use crate::haproxy::Config;
use crate::http::{self, Reply, Within};
use crate::inventory::{Container, Health, State};
use crate::judge::{self, Demand, Life};
use crate::look;
use crate::moment::Moment;
use crate::place::{self, Place, Shown, Via};
use crate::service::names::{Number, Port};
use crate::service::tuning::HealthCheck;
use crate::text;

/// How long one question to a published port may take.
const ATTEMPT: Within = Within {
    connect: Duration::from_secs(1),
    respond: Duration::from_secs(3),
};
/// How often it is looked whether instances are ready.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often those that serve are asked for what a new HEALTH_CHECK wants.
const ASK_EVERY: Duration = Duration::from_millis(200);
/// How many of the instances that serve are asked what can be expected of new ones.
const SIBLINGS: usize = 2;
/// What is waited for for so long is told.
const TOLD_AFTER: Duration = Duration::from_secs(3);

/// Waits until all of `numbers` are ready; fails as soon as one of them can't get so any more, or after `--wait`.
pub fn await_ready(run: &Run<'_>, numbers: &[Number]) -> Result<(), Failure> {
    let mut poll = run.poll(run.patience.wait, LOOK_EVERY);
    let mut gate = Gate::new(run);
    let mut told = Told::new(run);
    let mut waiting: Vec<String> = run.names().instances(numbers);
    run.check_interrupt()?;
    loop {
        let over = poll.is_over();
        let found = look::containers(&run.docker, &waiting)?;
        if found.len() < waiting.len() {
            return Err(gone(&waiting, &found));
        }
        let mut late = None;
        waiting.clear();
        for container in found {
            match gate.verdict(&container) {
                Verdict::Ready => {}
                Verdict::Never => return Err(never_ready(run, &container)),
                Verdict::NotYet => {
                    waiting.push(container.name.clone());
                    late.get_or_insert(container);
                }
            }
        }
        let Some(late) = late else { return Ok(()) };
        if over {
            let reply = gate.wrong.get(&late.name).copied();
            return Err(too_late(run, &late, reply));
        }
        told.waits_for(&late.name, || {
            why_not_yet(run, &late, gate.wrong.get(&late.name).copied())
        });
        poll.pause()?;
    }
}

/// What is waited for, told once it takes a while.
pub(super) struct Told<'a, 'b> {
    run: &'a Run<'b>,
    started: Instant,
    last: String,
}

impl<'a, 'b> Told<'a, 'b> {
    pub(super) fn new(run: &'a Run<'b>) -> Self {
        Self {
            run,
            started: Instant::now(),
            last: String::new(),
        }
    }

    /// `why` in words that go on behind `it`: told where they are others than before.
    pub(super) fn waits_for(&mut self, name: &str, why: impl FnOnce() -> String) {
        if self.started.elapsed() < TOLD_AFTER {
            return;
        }
        let said = format!("waiting for `{name}`: it {}", why());
        if said != self.last {
            self.run.ui.status(&said);
            self.last = said;
        }
    }
}

/// Why an instance is not ready, which goes on behind `it`; `reply`: what it answered last, if that was not right.
pub(super) fn why_not_yet(run: &Run<'_>, container: &Container, reply: Option<Reply>) -> String {
    match (&container.state, container.health, reply) {
        (State::Running, Health::Starting, _) => {
            let said = container.health_said.as_deref();
            let said = said.map_or(String::new(), |said| {
                format!(" ({})", text::first_line(said))
            });
            format!("is not healthy yet, by its own health check{said}")
        }
        (State::Running, _, Some(reply)) if judge::is_there(reply) => wrong(run, reply),
        (State::Running, _, Some(_)) => {
            format!("does not answer on port {}", run.spec.instance_port)
        }
        _ => autopsy::standing(container),
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
    Failure::failed(format!("gone before it got ready: {}", text::list(&gone)))
}

/// Before anything is changed: asks those that are sent to, and stay, what a check that is new to them asks, before HAProxy
/// does: where it calls none of them right, nobody is left to serve. Those that can't be asked from here are HAProxy's to
/// check.
pub fn would_pass(run: &Run<'_>) -> Result<(), Failure> {
    let (spec, before) = (run.spec, run.before);
    let Some(config) = before.written_config() else {
        return Ok(());
    };
    let is_new = config.tuning.health != spec.tuning.health;
    if !is_new || !matches!(spec.tuning.health, HealthCheck::Http { .. }) {
        return Ok(());
    }
    let gate = Gate::new(run);
    let leaving = &run.leaving;
    let sent_to = config.numbers().into_iter();
    let asked: Vec<&Container> = sent_to
        .filter(|number| !leaving.contains(number))
        .filter_map(|number| before.instances.get(&number))
        .filter(|instance| instance.running())
        .collect();
    let mut poll = run.poll(run.patience.settle, ASK_EVERY);
    run.check_interrupt()?;
    loop {
        let over = poll.is_over();
        let failing = asked
            .iter()
            .find_map(|instance| match gate.answer(instance) {
                Answer::Wrong(reply) => Some((instance, reply)),
                Answer::Right | Answer::NotAsked => None,
            });
        let Some((instance, reply)) = failing else {
            return Ok(());
        };
        if over {
            let what = format!("`{}` {}", instance.name, wrong(run, reply));
            let known = hint_for_check(run, Some(reply));
            return Err(Failure::failed(what)
                .hinted(known.unwrap_or(
                    "HAProxy would send nothing to an instance that fails HEALTH_CHECK",
                )));
        }
        poll.pause()?;
    }
}

/// The best reply of those instances that serve before this run, at the port that requests were sent to; `None` where none
/// can be asked.
pub fn siblings(run: &Run<'_>) -> Option<Reply> {
    let (spec, before) = (run.spec, run.before);
    let config = before.written_config();
    let tuning = config.map_or(&spec.tuning, |config| &config.tuning);
    let speaks = tuning.instances_speak();
    let instances = before.instances.values();
    instances
        .filter(|instance| instance.running())
        .filter_map(|instance| {
            let (inside, at) = own_port(instance, config)?;
            Some((instance, inside, published(run, at)?))
        })
        .take(SIBLINGS)
        .filter(|(instance, inside, at)| is_its_own(run, instance, inside, at))
        .map(|(_, _, at)| http::ask(&at.address, at.port, speaks, ATTEMPT))
        .reduce(|one, other| judge::better(one, other, speaks))
}

/// The instances of a service while it is brought up, or at the end of a change: all of them have to run.
pub struct Crew<'a, 'b> {
    gate: Gate<'a, 'b>,
}

/// How all of them stand at one moment.
pub enum Crewed {
    /// All run, and are well as far as docker's own health check tells.
    Up {
        /// All of them have been seen to run for the settling time.
        settled: bool,
    },
    /// This one may still come up.
    Coming(Box<Container>),
}

impl<'a, 'b> Crew<'a, 'b> {
    pub fn new(run: &'a Run<'b>) -> Self {
        let gate = Gate::new(run);
        Self { gate }
    }

    /// Judges `found`, all that the load balancer sends to. Fails where one of them is lost.
    pub fn look(&mut self, found: &[Container]) -> Result<Crewed, Failure> {
        let run = self.gate.run;
        let names = run.names().instances(&run.servers);
        if found.len() < names.len() {
            return Err(gone(&names, found));
        }
        let mut coming = None;
        let mut all_settled = true;
        for container in found {
            let settled = self.gate.settled(container);
            all_settled &= settled;
            let up = match judge::life(before(run, container), container) {
                Life::Lost => return Err(never_ready(run, container)),
                Life::Coming => false,
                Life::Up { .. } => true,
                Life::Restarted => settled,
            };
            if !up {
                coming.get_or_insert_with(|| Box::new(container.clone()));
            }
        }
        Ok(coming.map_or(
            Crewed::Up {
                settled: all_settled,
            },
            Crewed::Coming,
        ))
    }
}

enum Verdict {
    Ready,
    NotYet,
    Never,
}

/// What came of asking an instance on its published port.
enum Answer {
    Right,
    Wrong(Reply),
    /// It can't be asked from here, or nothing can be expected of it.
    NotAsked,
}

/// What is remembered between two looks.
struct Gate<'a, 'b> {
    run: &'a Run<'b>,
    /// Since when each is seen to run, by its name and its start.
    seen_running: HashMap<(String, Option<Moment>), Instant>,
    /// The last answers that were not right.
    wrong: HashMap<String, Reply>,
}

impl<'a, 'b> Gate<'a, 'b> {
    fn new(run: &'a Run<'b>) -> Self {
        Self {
            run,
            seen_running: HashMap::new(),
            wrong: HashMap::new(),
        }
    }

    fn verdict(&mut self, container: &Container) -> Verdict {
        let life = judge::life(before(self.run, container), container);
        let (healthy, settles) = match life {
            Life::Lost => return Verdict::Never,
            Life::Coming => return Verdict::NotYet,
            Life::Up { healthy } => (healthy, false),
            Life::Restarted => (false, true),
        };
        let settled = self.settled(container);
        let ready = match self.answer(container) {
            Answer::Right => settled || !settles,
            Answer::NotAsked => settled || healthy,
            Answer::Wrong(reply) => {
                self.wrong.insert(container.name.clone(), reply);
                false
            }
        };
        if ready {
            Verdict::Ready
        } else {
            Verdict::NotYet
        }
    }

    /// Whether it has been seen to run for the settling time since its last start.
    fn settled(&mut self, container: &Container) -> bool {
        if !container.running() {
            return false;
        }
        let run = (container.name.clone(), container.started_at);
        let since = *self.seen_running.entry(run).or_insert_with(Instant::now);
        since.elapsed() >= self.run.patience.settle
    }

    /// Published ports count only if one of an instance that serves already answers: through a tunnel, say, none does.
    fn answer(&self, container: &Container) -> Answer {
        let Run { spec, .. } = self.run;
        let speaks = spec.tuning.instances_speak();
        let siblings = self.run.replied.siblings;
        let Some(demand) = judge::demand(&spec.tuning.health, siblings, speaks) else {
            return Answer::NotAsked;
        };
        let reply = container
            .published_at(&tcp(spec.instance_port))
            .and_then(|at| published(self.run, at))
            .map_or(Reply::Silent, |at| match demand {
                Demand::Check { path, host, .. } => {
                    http::check(&at.address, at.port, path, host, ATTEMPT)
                }
                Demand::Works | Demand::Anything => {
                    http::ask(&at.address, at.port, speaks, ATTEMPT)
                }
            });
        if demand.met_by(reply, speaks) {
            Answer::Right
        } else {
            Answer::Wrong(reply)
        }
    }
}

/// The container of that name before this run.
pub(super) fn before<'b>(run: &Run<'b>, container: &Container) -> Option<&'b Container> {
    let mut before = run.before.instances.values();
    before.find(|before| before.name == container.name)
}

/// Where this workstation would find a published port.
fn published(run: &Run<'_>, (ip, port): (&str, u16)) -> Option<Place> {
    let address = place::published_on(ip, || run.docker.host().cloned())?;
    let via = Via::Host;
    Some(Place { via, address, port })
}

/// Whether it is `instance` that answers at `at`, for its port `inside` (`80/tcp`).
fn is_its_own(run: &Run<'_>, instance: &Container, inside: &str, at: &Place) -> bool {
    let number = inside.split('/').next().unwrap_or(inside);
    run.entrance().doubt(at).is_none()
        || number.parse().is_ok_and(|port| {
            let shown = connections::shown(&run.docker, &instance.name, port, at);
            shown == Shown::Connection
        })
}

/// What helps, where a check of HAProxy's would be answered so.
fn hint_for_check(run: &Run<'_>, reply: Option<Reply>) -> Option<&'static str> {
    let status = reply.and_then(Reply::status)?;
    judge::hint_for_check(&run.spec.tuning.health, status)
}

/// What is wrong with an instance's answer.
fn wrong(run: &Run<'_>, reply: Reply) -> String {
    let health = &run.spec.tuning.health;
    let answers = judge::in_words(reply);
    match health {
        HealthCheck::Http { path, status, .. } => {
            let right = status.map_or("2xx or 3xx".to_owned(), |status| status.to_string());
            format!("{answers} to GET {path}, where HEALTH_CHECK wants {right}")
        }
        _ => format!("{answers} to GET /, where instances answered below 500 before"),
    }
}

/// The port of an instance from before that requests were sent to by `config`, else its first one that is published, as
/// `80/tcp`, and where that is published.
fn own_port<'c>(
    instance: &'c Container,
    config: Option<&Config>,
) -> Option<(&'c str, (&'c str, u16))> {
    let sent_to = config.map(|config| tcp(config.instance_port));
    let mut ports = instance
        .ports
        .iter()
        .filter(|(port, _)| port.ends_with("/tcp"))
        .filter_map(|(port, _)| Some((port.as_str(), instance.published_at(port)?)));
    let first = ports.clone().next();
    ports
        .find(|(port, _)| Some(*port) == sent_to.as_deref())
        .or(first)
}

fn tcp(port: Port) -> String {
    format!("{port}/tcp")
}

pub(super) fn never_ready(run: &Run<'_>, container: &Container) -> Failure {
    let unhealthy = container.running() && container.health == Health::Unhealthy;
    let how = if unhealthy {
        "is unhealthy, by its own health check".into()
    } else {
        autopsy::standing(container)
    };
    let what = format!("`{}` did not get ready: it {how}", container.name);
    autopsy::examine(&run.docker, run.spec, container, Failure::failed(what))
}

/// The failure of an instance that is not ready after `--wait`; `reply`: what it answered last, if that was not right.
pub fn too_late(run: &Run<'_>, container: &Container, reply: Option<Reply>) -> Failure {
    let waited = text::seconds(run.patience.wait);
    let what = match (&container.state, container.health) {
        (State::Running, Health::Starting) => {
            format!(
                "`{}` is not healthy after {waited}, by its own health check",
                container.name
            )
        }
        (State::Running, _) if container.restarts > 0 && reply.is_none() => {
            let times = text::plural(
                usize::try_from(container.restarts).unwrap_or(usize::MAX),
                "time",
            );
            format!(
                "`{}` ended and was started again {times} within {waited}",
                container.name
            )
        }
        (State::Running, _) if reply.is_some_and(judge::is_there) => {
            let wrong = wrong(run, reply.unwrap_or(Reply::Silent));
            format!("`{}` {wrong}, also after {waited}", container.name)
        }
        (State::Running, _) => {
            format!(
                "`{}` does not answer on port {} after {waited}",
                container.name, run.spec.instance_port
            )
        }
        _ => format!("`{}` does not run after {waited}", container.name),
    };
    let failure = Failure::failed(what).hinted("--wait gives instances more time");
    autopsy::examine(&run.docker, run.spec, container, failure)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::tests::container;
    use crate::service::tests::spec;

    #[test]
    fn an_instance_from_before_is_asked_at_a_port_of_its_own() {
        let config = Config::by_name(&spec(&[]), &[1]);
        let at = |ports: &[(&str, u16)], config| {
            let mut instance = container("web-1", State::Running, &[], "httpd");
            instance.ports = ports
                .iter()
                .map(|&(port, host)| (port.to_owned(), vec![("0.0.0.0".to_owned(), host)]))
                .collect();
            own_port(&instance, config).map(|(_, (_, port))| port)
        };
        let several = [("53/udp", 1), ("9000/tcp", 2), ("80/tcp", 3)];
        assert_eq!(at(&several, Some(&config)), Some(3));
        assert_eq!(at(&several, None), Some(2));
        assert_eq!(at(&several[..2], Some(&config)), Some(2));
        assert_eq!(at(&several[..1], Some(&config)), None);
    }
}
