//! Whether the service can be reached from this workstation: as it is, while it is changed, and once its load balancer was
//! started.

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::autopsy;
use crate::checks;
use crate::error::Failure;
use crate::http::{self, Reply, Speaks, Within};
use crate::inventory::{Container, State};
use crate::judge::{self, Quality, Service};
use crate::look;
use crate::perform::Performer;
use crate::spec::names::{ContainerName, Port};
use crate::spec::tuning::Tuning;
use crate::ui;

/// How long one attempt may take: HAProxy tries a server that refuses for three seconds before it says that there is none.
const ATTEMPT: Within = Within {
    connect: Duration::from_secs(2),
    respond: Duration::from_secs(6),
};
/// A load balancer that does not serve for so long may be waiting for the name of an instance that is no more.
const LOOK_AROUND_AFTER: Duration = Duration::from_secs(2);
/// So often a service that answered before is asked until it does not any more.
const STILL_ATTEMPTS: u32 = 2;
const STILL_AGAIN_AFTER: Duration = Duration::from_millis(300);
/// So many attempts without any answer, and there is none to be had from here.
const SILENT_ATTEMPTS: u32 = 2;

/// How long a service that is there may take: a workstation without a route to it waits a second.
const ALREADY_THERE: Within = Within {
    connect: Duration::from_secs(1),
    respond: Duration::from_secs(5),
};

/// What a service that is there replies. Two questions at a time, and the better answer counts: one of them may be handed
/// to an instance that has died.
pub fn ask(address: &str, port: u16, speaks: Speaks) -> Reply {
    let (sender, replies) = std::sync::mpsc::channel();
    for _ in 0..2 {
        let (sender, address) = (sender.clone(), address.to_owned());
        std::thread::spawn(move || {
            // Nobody listens any more where the other question was answered.
            let _ = sender.send(http::ask(&address, port, speaks, ALREADY_THERE));
        });
    }
    drop(sender);
    let mut told = Reply::Silent;
    for reply in replies {
        told = judge::better(told, reply, speaks);
        if judge::quality(told, speaks) == Quality::Works {
            break;
        }
    }
    told
}

/// What that means, for the line that tells where the service is.
pub fn in_words(reply: Reply) -> String {
    match reply.answers() {
        Some(true) => "answers".into(),
        Some(false) => "does not answer".into(),
        None if reply == Reply::Mute => {
            format!("no answer within {} s", ALREADY_THERE.respond.as_secs())
        }
        None => "no answer from here".into(),
    }
}

/// Where the service can be asked: address, port, what it speaks.
type Place<'b> = (&'b str, u16, Speaks);

/// Where the service is before this run, and where it will be after it, by the load balancer that runs.
fn places<'b>(performer: &'b Performer<'_>) -> Option<(Place<'b>, Place<'b>)> {
    let Performer { spec, before, .. } = performer;
    let config = before.written_config()?;
    let lb = before.lb.as_ref().filter(|lb| lb.running())?;
    let address = lb.address_on(spec.external_net.as_str())?;
    let at = |port: Port, tuning: &Tuning| (address, port.get(), tuning.lb_speaks());
    Some((
        at(config.lb_port, &config.tuning),
        at(spec.lb_port, &spec.tuning),
    ))
}

/// What the service replies before anything is changed; `None` where there is no place to ask at.
pub fn before(performer: &Performer<'_>) -> Option<Reply> {
    let ((address, port, speaks), _) = places(performer)?;
    Some(ask(address, port, speaks))
}

/// Fails where the service is worse than before this run: those that would have to answer are `instances` now.
pub fn is_no_worse(performer: &Performer<'_>, instance: Option<&Container>) -> Result<(), Failure> {
    let Some((then, (address, port, speaks))) = places(performer) else {
        return Ok(());
    };
    let elsewhere = then != (address, port, speaks);
    let Some(before) = performer.memo().replied_before else {
        return Ok(());
    };
    let verdict = |now| judge::service(Some(before), now, speaks, elsewhere);
    // Where it was silent before, it need not be asked.
    if judge::quality(before, then.2) == Quality::Untold {
        return Ok(());
    }
    let mut reply = Reply::Silent;
    // HAProxy's own word counts at once; a connection may get lost, and a first request may take long or fail.
    for attempt in 0..STILL_ATTEMPTS {
        if attempt > 0 {
            performer.sleep(STILL_AGAIN_AFTER);
        }
        performer.check_interrupt()?;
        reply = http::ask(address, port, speaks, ATTEMPT);
        if verdict(reply) != Service::Worse {
            return Ok(());
        }
        if reply == Reply::NoServer {
            break;
        }
    }
    let Performer { spec, docker, .. } = performer;
    let lb = &spec.names.lb;
    let what = match reply {
        Reply::NoServer => {
            let port = spec.instance_port;
            format!(
                "`{lb}` answers that none of its instances does on port {port}: before, one did"
            )
        }
        Reply::Status(_) | Reply::NotHttp => {
            let (now, then) = (judge::in_words(reply), judge::in_words(before));
            format!(
                "the service {now} at {address}:{port}; before, it {}",
                past(&then)
            )
        }
        _ => {
            format!("the service does not answer any more at {address}:{port}, as it did before")
        }
    };
    let failure = Failure::failed(what);
    Err(match instance {
        Some(instance) => autopsy::examine(docker, spec, instance, failure),
        None => failure,
    })
}

/// `answers 200` → `answered 200`.
fn past(words: &str) -> String {
    words.replacen("answers", "answered", 1)
}

/// What is said of a service that could answer and does not.
pub fn no_answer(lb: &ContainerName) -> String {
    format!("`{lb}` does not answer, or answers that no instance is there")
}

/// Where the service is, and whether it answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reach {
    pub address: String,
    /// `false`: this workstation may have no route to the external network.
    pub answered: bool,
}

/// Waits until the load balancer runs, has an address on the external network and answers there, and until its instances
/// have passed its checks, if it does any. No answer at all is no failure: many workstations have no route to that network.
pub fn await_service(performer: &Performer<'_>) -> Result<(), Failure> {
    let started = Instant::now();
    let deadline = started + performer.patience.wait;
    let mut pause = Duration::from_millis(20);
    let mut silent = 0;
    loop {
        performer.check_interrupt()?;
        let (standing, lb) = standing(performer)?;
        match standing {
            Standing::Serves(reach) => {
                performer.memo().reach = Some(reach);
                return checks::pass_after_start(performer, lb.as_ref(), started);
            }
            Standing::Silent(address) => {
                silent += 1;
                if silent >= SILENT_ATTEMPTS && started.elapsed() >= Duration::from_secs(1) {
                    performer.memo().reach = Some(Reach {
                        address,
                        answered: false,
                    });
                    // It can't be asked: only its log tells.
                    return checks::pass_after_start(performer, None, started);
                }
            }
            Standing::Died => return Err(died(performer, lb)),
            Standing::NotYet(why) if Instant::now() >= deadline => {
                return Err(too_late(performer, lb, why));
            }
            Standing::NotYet(_) => {
                if started.elapsed() >= LOOK_AROUND_AFTER
                    && let Some(fallen) = fallen(performer, Container::running)
                {
                    return Err(instance_died(performer, &fallen));
                }
            }
        }
        performer.sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(250));
    }
}

/// How the load balancer stands at one moment.
enum Standing {
    Serves(Reach),
    Silent(String),
    Died,
    NotYet(Late),
}

/// What is still missing.
#[derive(Debug, Clone, Copy)]
enum Late {
    Starting,
    NoAddress,
    Refused,
    NoServer,
}

fn standing(performer: &Performer<'_>) -> Result<(Standing, Option<Container>), Failure> {
    let spec = performer.spec;
    let Some(lb) = look::container(&performer.docker, spec.names.lb.as_str())? else {
        return Ok((Standing::Died, None));
    };
    let standing = match (&lb.state, lb.address_on(spec.external_net.as_str())) {
        (State::Created | State::Starting, _) => Standing::NotYet(Late::Starting),
        (State::Running, None) => Standing::NotYet(Late::NoAddress),
        (State::Running, Some(address)) => match http::ask(
            address,
            spec.lb_port.get(),
            spec.tuning.lb_speaks(),
            ATTEMPT,
        ) {
            Reply::Status(_) | Reply::NotHttp | Reply::Mute => Standing::Serves(Reach {
                address: address.to_owned(),
                answered: true,
            }),
            Reply::NoServer => Standing::NotYet(Late::NoServer),
            Reply::Refused | Reply::Closed => Standing::NotYet(Late::Refused),
            Reply::Silent => Standing::Silent(address.to_owned()),
        },
        _ => Standing::Died,
    };
    Ok((standing, Some(lb)))
}

fn died(performer: &Performer<'_>, lb: Option<Container>) -> Failure {
    let name = &performer.spec.names.lb;
    match lb {
        Some(lb) => {
            let what = format!(
                "the load balancer `{name}` {} right after its start",
                autopsy::standing(&lb)
            );
            let failure = autopsy::examine(
                &performer.docker,
                performer.spec,
                &lb,
                Failure::failed(what),
            );
            match fallen(performer, |_| true) {
                Some(fallen) => blame(performer, &fallen, failure),
                None => failure,
            }
        }
        None => Failure::failed(format!(
            "the load balancer `{name}` is gone right after its start"
        )),
    }
}

/// An instance that ended, of those that `counted` before this run or were not there then.
fn fallen(performer: &Performer<'_>, counted: fn(&Container) -> bool) -> Option<Container> {
    let spec = performer.spec;
    let numbers: Vec<_> = (1..).take(spec.count.get()).collect();
    // Only to say more about a failure that is there anyway.
    let found = look::containers(&performer.docker, &spec.names.instances(&numbers)).ok()?;
    found.into_iter().find(|container| {
        let mut before = performer.before.instances.values();
        let was = before.find(|before| before.name == container.name);
        matches!(container.state, State::Exited { .. }) && was.is_none_or(counted)
    })
}

fn instance_died(performer: &Performer<'_>, instance: &Container) -> Failure {
    let what = format!(
        "`{}` {} before the load balancer `{}` served",
        instance.name,
        autopsy::standing(instance),
        performer.spec.names.lb
    );
    autopsy::examine(
        &performer.docker,
        performer.spec,
        instance,
        Failure::failed(what),
    )
}

/// Adds to the failure of the load balancer that of the instance whose name it asked for in vain.
fn blame(performer: &Performer<'_>, instance: &Container, mut failure: Failure) -> Failure {
    let tail = autopsy::log_tail(&performer.docker, &instance.name);
    failure.logs.push(tail);
    failure.hinted(format!(
        "`{}` {}, and the load balancer can't resolve the name of an instance that does not run",
        instance.name,
        autopsy::standing(instance)
    ))
}

fn too_late(performer: &Performer<'_>, lb: Option<Container>, why: Late) -> Failure {
    let spec = performer.spec;
    let lb_name = &spec.names.lb;
    let waited = ui::seconds(performer.patience.wait);
    let what = match why {
        Late::Starting => format!("the load balancer `{lb_name}` does not run after {waited}"),
        Late::NoAddress => {
            format!(
                "the load balancer `{lb_name}` has no address on `{}` after {waited}",
                spec.external_net
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
    };
    let failure = Failure::failed(what)
        .hinted("--wait gives the service more time; --keep leaves it for inspection");
    match (why, lb) {
        (Late::NoServer, _) if spec.tuning.checks() => {
            checks::none_passes(performer).unwrap_or(failure)
        }
        (Late::NoServer, _) => {
            // All instances are alike: the first one speaks for them.
            let first = performer
                .before
                .instances
                .keys()
                .next()
                .copied()
                .unwrap_or(1);
            match look::container(&performer.docker, &spec.names.instance(first)) {
                Ok(Some(instance)) => autopsy::examine(&performer.docker, spec, &instance, failure),
                _ => failure,
            }
        }
        (_, Some(lb)) => autopsy::examine(&performer.docker, spec, &lb, failure),
        (_, None) => failure,
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn one_question_that_a_dead_instance_gets_does_not_hide_the_answer_of_the_other() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            // The first connection is held in silence.
            let _dead = listener.accept().unwrap();
            let (mut alive, _) = listener.accept().unwrap();
            let _ = alive.read(&mut [0; 1024]);
            let _ = alive.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
            std::thread::park();
        });
        assert_eq!(ask("127.0.0.1", port, Speaks::Http).answers(), Some(true));
    }
}
