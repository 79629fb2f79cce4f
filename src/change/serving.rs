//! Whether the service can be reached from this workstation: as it is, while it is changed, and once its load balancer was
//! started.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use super::ready::{self, Crew, Crewed, Told};
use super::run::{Run, lock};
use super::{health_checks, lb_log};
use crate::autopsy;
use crate::entrance::{self, Heard};
use crate::error::Failure;
use crate::haproxy::{Config, log};
use crate::http::{self, Reply, Speaks, Within};
use crate::inventory::{Container, State};
use crate::judge::{self, Quality, Service};
use crate::look;
use crate::place::{Meaning, Place};
use crate::reach::Reach;
use crate::service::names::Port;
use crate::service::tuning::{HealthCheck, ServerAddress, Tuning};
use crate::text;

/// How long one attempt may take: HAProxy tries a server that refuses for three seconds before it says that there is none.
const ATTEMPT: Within = Within {
    connect: Duration::from_secs(2),
    respond: Duration::from_secs(6),
};
/// The same for a load balancer that was just started: one that can't connect to its instances takes 20 s to say so.
const STARTED: Within = Within {
    connect: Duration::from_secs(2),
    respond: Duration::from_secs(25),
};
/// A load balancer that refuses for so long may be another's address here.
const LOOK_AROUND_AFTER: Duration = Duration::from_secs(2);
/// How often it is looked whether all containers run, meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// So many attempts without any answer, and there is none to be had from here.
const SILENT_ATTEMPTS: u32 = 2;

fn ask_once(place: &Place, speaks: Speaks, within: Within) -> Reply {
    http::ask(&place.address, place.port, speaks, within)
}

/// The ways in to the service, of which there is one, and what it speaks there.
type Asked = (Vec<Place>, Speaks);

/// Where the service is before this run, and where it will be after it, by the load balancer that runs.
fn places(run: &Run<'_>) -> Option<(Asked, Asked)> {
    let (spec, before) = (run.spec, run.before);
    let config = before.written_config()?;
    let lb = before.lb.as_ref().filter(|lb| lb.running())?;
    let at = |port: Port, tuning: &Tuning| {
        let ways_in = run.entrance().ways_in(lb, port);
        (!ways_in.is_empty()).then(|| (ways_in, tuning.lb_speaks()))
    };
    let then = at(config.lb_port, &config.tuning)?;
    Some((then, at(spec.lb_port, &spec.tuning)?))
}

/// What the service replies before anything is changed; `None` where there is no place to ask at, or nobody knows who
/// replies there.
pub fn before(run: &Run<'_>) -> Option<Reply> {
    let ((ways_in, speaks), _) = places(run)?;
    let port = run.before.written_config()?.lb_port;
    let lb = run.names().lb.as_str();
    let heard = run.entrance().ask(lb, port, ways_in.first()?, speaks);
    (heard.meaning == Meaning::Its).then_some(heard.reply)
}

/// Asks the service, and fails where it is worse than before this run: those that would have to answer are `instances` now.
pub fn is_no_worse(run: &Run<'_>, instance: Option<&Container>) -> Result<(), Failure> {
    let Some((then, (ways_in, speaks))) = places(run) else {
        return Ok(());
    };
    let place = &ways_in[0];
    let elsewhere = (&then.0[0], then.1) != (place, speaks);
    let Some(before) = run.replied.service else {
        return Ok(());
    };
    let verdict = |now| judge::service(Some(before), now, speaks, elsewhere);
    let note = |reply| {
        *lock(&run.reach) = Some(Reach {
            ways_in: ways_in.clone(),
            reply,
            why: None,
        });
    };
    // Where it was silent before, it need not be asked.
    if judge::quality(before, then.1) == Quality::Untold && !elsewhere {
        note(before);
        return Ok(());
    }
    let mut reply = Reply::Silent;
    // HAProxy's own word counts at once; a connection may get lost, and a first request may take long or fail.
    for attempt in 0..entrance::ATTEMPTS {
        if attempt > 0 {
            run.sleep(entrance::AGAIN_AFTER);
        }
        run.check_interrupt()?;
        reply = ask_once(place, speaks, ATTEMPT);
        if verdict(reply) != Service::Worse {
            note(reply);
            return Ok(());
        }
        if reply == Reply::NoServer {
            break;
        }
    }
    let (spec, docker) = (run.spec, &run.docker);
    let lb = &spec.names().lb;
    let what = match reply {
        Reply::NoServer => {
            let port = spec.instance_port;
            format!(
                "`{lb}` answers that none of its instances does on port {port}: before, one did"
            )
        }
        Reply::Status(_) | Reply::NotHttp => {
            let (now, then) = (judge::in_words(reply), judge::in_words_then(before));
            format!("the service {now} at {place}; before, it {then}")
        }
        _ => {
            format!("the service does not answer any more at {place}, as it did before")
        }
    };
    let failure = Failure::failed(what);
    Err(match instance {
        Some(instance) => autopsy::examine(docker, spec, instance, failure),
        None => failure,
    })
}

/// At the end of a change of a load balancer that serves: all that it sends to runs and is well, by docker's own health check
/// too, and the service is no worse than before.
pub fn last_look(run: &Run<'_>) -> Result<(), Failure> {
    let mut poll = run.poll(run.patience.wait, LOOK_EVERY);
    let mut crew = Crew::new(run);
    run.check_interrupt()?;
    loop {
        let over = poll.is_over();
        let (lb, instances) = both(run)?;
        if !lb.is_some_and(|lb| lb.running()) {
            let lb = &run.names().lb;
            let what = format!("the load balancer `{lb}` does not run any more");
            return Err(Failure::failed(what));
        }
        match crew.look(&instances)? {
            Crewed::Up { .. } => return is_no_worse(run, instances.first()),
            Crewed::Coming(instance) if over => {
                return Err(ready::too_late(run, &instance, None));
            }
            Crewed::Coming(_) => {}
        }
        poll.pause()?;
    }
}

/// Waits until the load balancer runs, has an address on the external network and answers there, its instances run, and
/// have passed its checks, if it does any. No answer at all is no failure where all of them run: many workstations have no
/// route to that network.
pub fn await_service(run: &Run<'_>) -> Result<(), Failure> {
    let mut waiting = Waiting::new(run);
    let (reach, lb, instances) = loop {
        run.check_interrupt()?;
        let (lb, instances) = both(run)?;
        if let Some(reach) = waiting.look(lb.as_ref(), &instances)? {
            break (reach, lb, instances);
        }
    };
    let answered = reach.answered();
    // A load balancer takes connections, and hands none on to where nobody listens.
    let first = instances.first().filter(|_| !answered);
    if let Some(other) = first.and_then(|first| autopsy::other_port(first, run.spec)) {
        run.ui.warn(&other);
    }
    *lock(&run.reach) = Some(reach);
    sends_to_all(run, lb.as_ref())?;
    // Where it can't be asked, only its log tells.
    let lb = lb.as_ref().filter(|_| answered);
    health_checks::pass_after_start(run, lb, waiting.started)
}

/// The load balancer and the instances that it sends to, as they are now.
fn both(run: &Run<'_>) -> Result<(Option<Container>, Vec<Container>), Failure> {
    let names = run.names();
    let servers = &run.servers;
    let mut all = vec![names.lb.to_string()];
    all.extend(names.instances(servers));
    let found = look::containers(&run.docker, &all)?;
    let (lb, instances) = found
        .into_iter()
        .partition::<Vec<_>, _>(|container| container.name == names.lb.as_str());
    Ok((lb.into_iter().next(), instances))
}

/// HAProxy starts without a server whose name does not resolve, and says so in its log alone.
fn sends_to_all(run: &Run<'_>, lb: Option<&Container>) -> Result<(), Failure> {
    let by_name = run.spec.tuning.server_address == ServerAddress::Name;
    let config = Config::new(run.spec, Vec::new());
    let Some(lb) = lb.filter(|_| by_name && !config.is_the_scripts()) else {
        return Ok(());
    };
    // One that was stopped has told of former starts, too.
    let before = run.before.lb.as_ref();
    let lines = lb_log::read_log(run, before.and_then(|lb| lb.finished_at))?;
    match lines.iter().find_map(|line| log::left_out(&line.text)) {
        None => Ok(()),
        Some(name) => {
            let what = format!("`{}` sends nothing to `{name}`", lb.name);
            let failure = autopsy::examine(&run.docker, run.spec, lb, Failure::failed(what));
            Err(failure.hinted_better(autopsy::unresolved(name)))
        }
    }
}

/// What is still missing.
#[derive(Debug, Clone, Copy)]
enum Late {
    Starting,
    NoAddress,
    Refused,
    NoServer,
    /// It answers with this status.
    Fails(Reply),
    Mute,
}

impl Late {
    /// What goes on behind `it`, where it replied this last.
    fn in_words(self, reply: Reply) -> String {
        match self {
            Self::Starting => "does not run yet".into(),
            Self::NoAddress => "has no address yet".into(),
            Self::Refused | Self::NoServer | Self::Fails(_) | Self::Mute => judge::in_words(reply),
        }
    }
}

/// A load balancer that was started and does not serve yet.
struct Waiting<'a, 'b> {
    run: &'a Run<'b>,
    crew: Crew<'a, 'b>,
    started: Instant,
    deadline: Instant,
    pause: Duration,
    /// The question that is on its way, and the last reply to one.
    asked: Option<mpsc::Receiver<Reply>>,
    reply: Option<Reply>,
    silent: u32,
    /// When a refusal is looked into next: one that starts refuses at first.
    refused: Instant,
    told: Told<'a, 'b>,
}

impl<'a, 'b> Waiting<'a, 'b> {
    fn new(run: &'a Run<'b>) -> Self {
        let started = Instant::now();
        Self {
            run,
            crew: Crew::new(run),
            started,
            deadline: started + run.patience.wait,
            pause: Duration::from_millis(20),
            asked: None,
            reply: None,
            silent: 0,
            refused: started + LOOK_AROUND_AFTER,
            told: Told::new(run),
        }
    }

    /// Judges one moment, and waits for a reply or for a while. `None`: it has to be looked again.
    fn look(
        &mut self,
        lb: Option<&Container>,
        instances: &[Container],
    ) -> Result<Option<Reach>, Failure> {
        let Self { run, .. } = *self;
        let running = lb.filter(|lb| lb.running());
        if lb.is_none_or(|lb| {
            running.is_none() && !matches!(lb.state, State::Created | State::Starting)
        }) {
            return Err(died(run, lb.cloned()));
        }
        let crew = self.crew.look(instances)?;
        let late = Instant::now() >= self.deadline;
        let ways_in = running.map(|lb| run.entrance().ways_in(lb, run.spec.lb_port));
        let why = match ways_in {
            None => Late::Starting,
            Some(ways_in) => match ways_in.first().cloned() {
                None => Late::NoAddress,
                Some(place) => {
                    let heard = self.hear(&place, late);
                    match self.judge(&place, heard, &crew, late) {
                        Ok(()) => return Ok(Some(Reach::new(ways_in, Some(heard)))),
                        Err(why) => why,
                    }
                }
            },
        };
        if late {
            return Err(match crew {
                Crewed::Coming(instance) => ready::too_late(run, &instance, None),
                Crewed::Up { .. } => too_late(run, lb.cloned(), why),
            });
        }
        match &crew {
            Crewed::Coming(instance) => {
                let why = || ready::why_not_yet(run, instance, None);
                self.told.waits_for(&instance.name, why);
            }
            Crewed::Up { .. } => {
                let reply = self.reply.unwrap_or(Reply::Mute);
                let lb = run.names().lb.as_str();
                self.told.waits_for(lb, || why.in_words(reply));
            }
        }
        if self.asked.is_none() {
            run.sleep(self.pause);
        }
        self.pause = (self.pause * 2).min(LOOK_EVERY);
        Ok(None)
    }

    /// The last reply at `place`, and whose it is.
    fn hear(&mut self, place: &Place, late: bool) -> Heard {
        let reply = self.ask(place, late);
        let soon = reply == Reply::Refused && Instant::now() < self.refused && !late;
        if soon {
            let meaning = Meaning::Its;
            return Heard { reply, meaning };
        }
        self.refused = Instant::now() + LOOK_AROUND_AFTER;
        let Run { spec, .. } = self.run;
        let entrance = self.run.entrance();
        entrance.heard(spec.names().lb.as_str(), spec.lb_port, place, reply)
    }

    /// The last reply of the service, which is asked again as soon as it has replied.
    fn ask(&mut self, place: &Place, late: bool) -> Reply {
        let speaks = self.run.spec.tuning.lb_speaks();
        let replies = self.asked.take().unwrap_or_else(|| {
            let (sender, replies) = mpsc::channel();
            let place = place.clone();
            thread::spawn(move || {
                // Nobody listens any more where it took too long.
                let _ = sender.send(ask_once(&place, speaks, STARTED));
            });
            replies
        });
        match replies.recv_timeout(self.pause) {
            Ok(reply) => {
                self.silent += u32::from(reply == Reply::Silent);
                self.reply = Some(reply);
                reply
            }
            // The next reply is not waited for any more: the last one stands.
            Err(_) if late => self.reply.unwrap_or(Reply::Mute),
            Err(_) => {
                self.asked = Some(replies);
                self.reply.unwrap_or(Reply::Mute)
            }
        }
    }

    /// Whether what was heard will do, or what is missing.
    fn judge(&self, place: &Place, heard: Heard, crew: &Crewed, late: bool) -> Result<(), Late> {
        let reply = heard.counted();
        let Run { spec, .. } = self.run;
        let speaks = spec.tuning.lb_speaks();
        let before = self.run.replied.service;
        let worked = before.is_some_and(|before| judge::quality(before, speaks) >= Quality::Open);
        let places = places(self.run);
        let worked_here =
            worked && places.is_some_and(|((then, _), _)| then[0].address == place.address);
        let (up, settled) = match *crew {
            Crewed::Up { settled } => (true, settled),
            Crewed::Coming(_) => (false, false),
        };
        let (enough, why) = match (judge::quality(reply, speaks), reply) {
            // More is not told where nobody speaks first.
            (Quality::Works | Quality::Open, _) => (true, Late::Starting),
            // HEALTH_CHECK says what is right, or it was no better before; else it may have to warm up.
            (Quality::Fails, _) => {
                let measured = matches!(spec.tuning.health, HealthCheck::Http { .. });
                let enough = before.map_or(measured || late, |_| !worked);
                (enough, Late::Fails(reply))
            }
            (_, Reply::NoServer) => (false, Late::NoServer),
            (Quality::Nobody, _) => (false, Late::Refused),
            (_, Reply::Silent) => {
                // Words that may be another's won't get clearer.
                let asked = self.silent >= SILENT_ATTEMPTS || heard.why().is_some();
                let long = self.started.elapsed() >= Duration::from_secs(1);
                let enough = late || (asked && long && settled);
                (enough && !worked_here, Late::Mute)
            }
            // Those that hang: HAProxy takes up to 20 s to say that it can't reach an instance.
            (Quality::Untold, _) => (late && !worked_here, Late::Mute),
        };
        if enough && up { Ok(()) } else { Err(why) }
    }
}

fn died(run: &Run<'_>, lb: Option<Container>) -> Failure {
    let name = &run.names().lb;
    match lb {
        Some(lb) => {
            let what = format!(
                "the load balancer `{name}` {} right after its start",
                autopsy::standing(&lb)
            );
            let failure = autopsy::examine(&run.docker, run.spec, &lb, Failure::failed(what));
            match fallen(run) {
                Some(fallen) => blame(run, &fallen, failure),
                None => failure,
            }
        }
        None => Failure::failed(format!(
            "the load balancer `{name}` is gone right after its start"
        )),
    }
}

/// An instance that ended.
fn fallen(run: &Run<'_>) -> Option<Container> {
    // Only to say more about a failure that is there anyway.
    let (_, instances) = both(run).ok()?;
    let ended = |container: &Container| matches!(container.state, State::Exited { .. });
    instances.into_iter().find(ended)
}

/// Adds to the failure of the load balancer that of the instance whose name it asked for in vain.
fn blame(run: &Run<'_>, instance: &Container, mut failure: Failure) -> Failure {
    let tail = autopsy::log_tail(&run.docker, &instance.name);
    failure.logs.push(tail);
    failure.hinted_better(format!(
        "`{}` {}, and the load balancer can't resolve the name of an instance that does not run",
        instance.name,
        autopsy::standing(instance)
    ))
}

fn too_late(run: &Run<'_>, lb: Option<Container>, why: Late) -> Failure {
    let spec = run.spec;
    let lb_name = &spec.names().lb;
    let waited = text::seconds(run.patience.wait);
    let what = match why {
        Late::Starting => format!("the load balancer `{lb_name}` does not run after {waited}"),
        Late::NoAddress => {
            format!(
                "the load balancer `{lb_name}` has no address on `{}` after {waited}",
                spec.external_net()
            )
        }
        Late::Refused => format!(
            "the load balancer `{lb_name}` refuses connections on port {} after {waited}",
            spec.lb_port
        ),
        Late::NoServer => format!(
            "the load balancer `{lb_name}` answers, but none of its instances does on port {} after {waited}",
            spec.instance_port
        ),
        Late::Fails(reply) => format!(
            "the service behind `{lb_name}` {} after {waited}; before, it worked",
            judge::in_words(reply)
        ),
        Late::Mute => format!(
            "the load balancer `{lb_name}` gives no answer on port {} after {waited}, where the service did before",
            spec.lb_port
        ),
    };
    let failure = Failure::failed(what)
        .hinted("--wait gives the service more time; --keep leaves it for inspection");
    match (why, lb) {
        (Late::NoServer, _) if spec.tuning.checks() => {
            health_checks::none_passes(run).unwrap_or(failure)
        }
        (Late::NoServer, _) => {
            // All instances are alike: the first one speaks for them.
            let first = run.before.instances.keys().next().copied().unwrap_or(1);
            match look::container(&run.docker, &spec.names().instance(first)) {
                Ok(Some(instance)) => autopsy::examine(&run.docker, spec, &instance, failure),
                _ => failure,
            }
        }
        (_, Some(lb)) => autopsy::examine(&run.docker, spec, &lb, failure),
        (_, None) => failure,
    }
}
