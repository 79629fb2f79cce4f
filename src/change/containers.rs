//! Containers, networks and images: made and removed, and what it means where docker says no.

use std::sync::atomic::Ordering;

use super::run::{Common, PAUSES, Run};
use super::schedule::Done;
use crate::docker::argv::{self, Argv};
use crate::docker::cause::Cause;
use crate::docker::layers::{Layers, PullLines};
use crate::docker::{Answer, CallError, answer};
use crate::error::{Failure, Standing, Thing};
use crate::inventory::Container;
use crate::plan::Action;
use crate::service::{LABEL, Service};
use crate::text::printable;
use crate::{calls, look};

/// A pull tells on the way how many layers are there.
pub fn pull(run: &Run<'_>, action: &Action) -> Result<Done, Failure> {
    let label = calls::label(action, run.subject);
    for argv in run.calls(action) {
        run.repeated(&argv, || {
            let mut lines = PullLines::default();
            let (ui, label) = (run.ui.clone(), label.clone());
            run.docker.change_watched(&argv, move |chunk| {
                if let Some(Layers { there, of }) = lines.read(chunk) {
                    ui.step_counts(&label, there, of, "layers");
                }
            })
        })
        .map_err(|error| run.not_done(action, &error))?;
    }
    Ok(Done::ByUs)
}

pub fn create_network(run: &Run<'_>, action: &Action) -> Result<Done, Failure> {
    let network = run.names().network();
    for argv in run.calls(action) {
        match run.change(&argv) {
            Ok(_) => {}
            Err(error) if error.cause().is_some_and(Cause::is_already_there) => {
                run.ui.status(&format!(
                    "network {network} was created meanwhile by somebody else"
                ));
                return Ok(Done::ByOthers);
            }
            Err(error) => return Err(run.not_done(action, &error)),
        }
    }
    run.interrupt.note_standing(standing(
        run,
        Thing::Network(network.clone()),
        &argv::network_rm(&network),
    ));
    Ok(Done::ByUs)
}

/// Where somebody else has connected it, that is done; and somebody else is making the same service.
pub fn connect_lb(run: &Run<'_>, action: &Action) -> Result<Done, Failure> {
    for argv in run.calls(action) {
        match run.change(&argv) {
            Err(error) if error.cause().is_some_and(Cause::is_already_there) => {
                run.guard.note_company();
            }
            Err(error) => return Err(run.not_done(action, &error)),
            Ok(_) => {}
        }
    }
    Ok(Done::ByUs)
}

/// `docker run` and `docker create`: repeated only after a look at what the failed call left behind.
pub fn make_container(run: &Run<'_>, action: &Action, name: &str) -> Result<Done, Failure> {
    let Some(argv) = run.calls(action).pop() else {
        return Ok(Done::ByUs);
    };
    run.interrupt.note_standing(standing(
        run,
        Thing::Container(name.to_owned()),
        &argv::rm_force(&[name.to_owned()]),
    ));
    run.guard.makes(name);
    let mut pauses = PAUSES.iter();
    let mut settled = false;
    loop {
        let error = match run.docker.change(&argv) {
            Ok(answer) => {
                let Some(id) = printed_id(&answer) else {
                    let error = run.docker.bad_answer(&argv, no_id(&answer));
                    return Err(run.not_done(action, &error));
                };
                run.guard.made(name, &id);
                return Ok(Done::ByUs);
            }
            Err(error) => error,
        };
        let cause = error.cause();
        if cause.is_some_and(Cause::is_name_conflict) {
            run.guard.forgets(&[name.to_owned()]);
            return made_meanwhile(run, action, name, &error);
        }
        let settles = run.settles(&error, &mut settled);
        let passes = cause.is_some_and(|cause| {
            cause.is_transient() || cause.retry_after_removal() || cause.is_port_conflict()
        });
        if !(passes || settles) || !ready_to_repeat(run, action, name)? {
            return Err(run.not_done(action, &error));
        }
        if settles {
            continue;
        }
        match pauses.next() {
            Some(&pause) if run.pause(&argv, &error, pause) => {}
            _ => return Err(run.not_done(action, &error)),
        }
    }
}

/// Removes what a failed `run` or `create` left behind; `false` where it must not be repeated: the container is
/// there and runs.
fn ready_to_repeat(run: &Run<'_>, action: &Action, name: &str) -> Result<bool, Failure> {
    match look::container(&run.docker, name)? {
        None => Ok(true),
        Some(found) if found.running() => Ok(false),
        Some(_) => {
            let rm = argv::rm_force(&[name.to_owned()]);
            match run.change(&rm) {
                Err(error) if !error.is_not_found() => Err(run.not_done(action, &error)),
                _ => Ok(true),
            }
        }
    }
}

/// The name was free when this run looked: somebody else made the container since.
fn made_meanwhile(
    run: &Run<'_>,
    action: &Action,
    name: &str,
    error: &CallError,
) -> Result<Done, Failure> {
    let alike = look::container(&run.docker, name)?.filter(|found| is_alike(run, found));
    let listed = look::listed(&run.docker, run.names())?;
    let listed = listed.iter().find(|listed| listed.name == name);
    if let Some(listed) = alike.and(listed) {
        run.guard.adopts(name, &listed.id);
        run.ui
            .status(&format!("{name} was made meanwhile by somebody else"));
        Ok(Done::ByOthers)
    } else {
        Err(run.not_done(action, error))
    }
}

/// Whether a container that somebody else made is what this run would have made.
fn is_alike(run: &Run<'_>, found: &Container) -> bool {
    let Service {
        names,
        external_net,
    } = &run.spec.service;
    let there = found.is_on(&names.network()) || found.is_on(external_net.as_str());
    let (image, label) = if found.name == names.lb.as_str() {
        (&run.spec.lb_image, run.spec.lb_label())
    } else {
        (&run.spec.image, run.spec.label())
    };
    there && found.image == image.as_str() && found.labels.get(LABEL) == label.as_ref()
}

pub fn remove_lb(run: &Common<'_>, action: &Action, name: &str) -> Result<Done, Failure> {
    if !run.others().is_untouched(name)? {
        return Ok(Done::ByUs);
    }
    run.guard.forgets(&[name.to_owned()]);
    remove(run, action)
}

/// A removal is done where nothing of it is left, whatever became of the call.
pub fn remove(run: &Common<'_>, action: &Action) -> Result<Done, Failure> {
    let mut failure = None;
    for argv in run.calls(action) {
        // A network is not left by what could not be removed, nor by what is somebody else's, however long we wait.
        let removed = if run.left_over.load(Ordering::Relaxed) || run.guard.met_others() {
            run.docker.change(&argv)
        } else {
            run.change(&argv)
        };
        match removed {
            Err(error) if !error.is_not_found() => {
                failure.get_or_insert_with(|| run.not_done(action, &error));
            }
            _ => {}
        }
    }
    match failure {
        Some(failure) if !is_gone(run, action) => {
            run.left_over.store(true, Ordering::Relaxed);
            Err(failure)
        }
        Some(failure) => {
            run.ui.status(&format!(
                "{failure}, docker says, but nothing of it is left"
            ));
            Ok(Done::ByUs)
        }
        None => Ok(Done::ByUs),
    }
}

/// Whether everything that `action` removes is gone; not, if nobody can tell.
fn is_gone(run: &Common<'_>, action: &Action) -> bool {
    let docker = run.docker.uninterruptible();
    let names = run.names();
    let gone =
        |names: &[String]| look::containers(&docker, names).is_ok_and(|found| found.is_empty());
    match action {
        Action::Remove(numbers) => gone(&names.instances(numbers)),
        Action::RemoveLb => gone(&[names.lb.to_string()]),
        Action::RemoveLbAside => gone(&[names.lb_aside()]),
        Action::RemoveNetwork => {
            let bridge = names.network();
            look::networks_called(
                &docker,
                &[run.subject.service().external_net.as_str(), &bridge],
            )
            .is_ok_and(|found| found.iter().all(|network| network.name != bridge))
        }
        _ => false,
    }
}

fn standing(run: &Run<'_>, what: Thing, remove: &Argv) -> Standing {
    Standing {
        what,
        remove: Some(run.docker.shown(remove)),
    }
}

/// `docker run -d` and `docker create` print the container's ID, 64 hexadecimal digits, on the last line.
fn printed_id(answer: &Answer) -> Option<String> {
    let text = answer.text();
    answer::short_id(text.trim_end().lines().last().unwrap_or_default())
}

fn no_id(answer: &Answer) -> String {
    let said: String = answer.text().trim().chars().take(200).collect();
    let mut why = if said.is_empty() {
        "docker succeeded, but printed no container ID".to_owned()
    } else {
        format!(
            "docker succeeded, but printed no container ID: {}",
            printable(&said)
        )
    };
    if !answer.stderr.trim().is_empty() {
        why = format!("{why}\n{}", answer.stderr.trim());
    }
    why
}
