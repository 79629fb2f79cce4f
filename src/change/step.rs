//! What each step of a plan does.

use super::run::{Common, Run};
use super::schedule::Done;
use super::{containers, files, ready, reload, restore, serving, signals, watch};
use crate::docker::cause::Cause;
use crate::error::Failure;
use crate::inventory::Container;
use crate::plan::Action;

pub fn perform(run: &Run<'_>, action: &Action) -> Result<Done, Failure> {
    match action {
        Action::CreateNetwork => containers::create_network(run, action),
        Action::Run(number) => {
            containers::make_container(run, action, &run.names().instance(*number))
        }
        Action::CreateLb { .. } => containers::make_container(run, action, run.names().lb.as_str()),
        Action::ConnectLb => containers::connect_lb(run, action),
        Action::CopyConfig(servers) => {
            let text = files::write_config(run, servers, files::version_of_new_lb(run)?)?;
            let runs = if run.guard.has_company() {
                run.others().none_started(&text)?
            } else if run.before.is_vch() {
                // There docker does not tell whoever connects it that somebody else has done so.
                run.others().lb_not_started(&text)?
            } else {
                false
            };
            files::copy_first_config(run, action, &text, runs)
        }
        Action::CopyFiles => {
            if run.before.lb.as_ref().is_some_and(Container::running) {
                run.others().none_changed()?;
            }
            files::copy_files(run, action)
        }
        Action::AwaitService => serving::await_service(run).map(|()| Done::ByUs),
        Action::AwaitReady(numbers) => ready::await_ready(run, numbers).map(|()| Done::ByUs),
        Action::Watch(numbers) => watch::watch(run, numbers).map(|()| Done::ByUs),
        Action::Reload(servers) => {
            run.workers().note_look();
            run.others().none_changed()?;
            let text = files::write_config(run, servers, run.spec.lb_version)?;
            // From the copy on the load balancer does not even start again without them.
            run.interrupt.note_serving(&run.names().instances(servers));
            reload::reload(run, &text, servers).map(|()| Done::ByUs)
        }
        Action::RestoreConfig(back) => restore::restore_config(run, *back),
        Action::Drain => reload::drain(run).map(|()| Done::ByUs),
        Action::StopLb
        | Action::Stop(_)
        | Action::Remove(_)
        | Action::RemoveLb
        | Action::RemoveLbAside
        | Action::RemoveNetwork => take_away(run, action),
        Action::Pull(_) => containers::pull(run, action),
        Action::StartLb => {
            // One that takes the place of another serves in its stead.
            if run.before.lb.is_some() || run.before.lb_aside.is_some() {
                run.interrupt.note_all_serving();
            }
            run.plainly(action)
        }
        // Where it was not set aside after all, it is in its place.
        Action::TakeLbBack => {
            let names = run.names();
            run.guard
                .renaming(&names.lb_aside(), names.lb.as_str(), || {
                    run.tolerating(action, |cause| {
                        cause.is_not_found() || cause.is_name_conflict()
                    })
                })
        }
        Action::SetLbAside => {
            let names = run.names();
            let (lb, aside) = (names.lb.as_str(), names.lb_aside());
            run.guard.renaming(lb, &aside, || run.plainly(action))
        }
        Action::Start(_) => {
            run.workers().note_moved();
            run.plainly(action)
        }
    }
}

/// Ends or removes something: all that a plan of `down` consists of.
pub fn take_away(run: &Common<'_>, action: &Action) -> Result<Done, Failure> {
    let names = run.names();
    match action {
        Action::StopLb if run.others().is_untouched(names.lb.as_str())? => {
            signals::stop(run, action)
        }
        Action::StopLb => Ok(Done::ByUs),
        Action::Stop(numbers) => match run.others().untouched(numbers)? {
            ours if ours.is_empty() => Ok(Done::ByUs),
            ours => run.tolerating(&Action::Stop(ours), Cause::is_not_found),
        },
        Action::Remove(numbers) => match run.others().untouched(numbers)? {
            ours if ours.is_empty() => Ok(Done::ByUs),
            ours => {
                run.guard.forgets(&names.instances(&ours));
                containers::remove(run, &Action::Remove(ours))
            }
        },
        Action::RemoveLb => containers::remove_lb(run, action, names.lb.as_str()),
        Action::RemoveLbAside => containers::remove_lb(run, action, &names.lb_aside()),
        Action::RemoveNetwork => containers::remove(run, action),
        _ => unreachable!("{action:?} takes nothing away"),
    }
}
