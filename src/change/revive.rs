//! Starting a load balancer again that ended while it was to reload.
//!
//! HAProxy 2.0.0, and some of 2.4 and 2.5, can't go on with their former configuration after one that they could not bind:
//! they end, and the service with them. Whoever puts the file from before back brings such a one back, too.

use std::time::{Duration, Instant};

use super::run::Run;
use crate::ask;
use crate::docker::argv;
use crate::error::Failure;
use crate::haproxy::channel::Question;
use crate::inventory::{Container, Restarts, State};
use crate::look;
use crate::message::vch_lb;
use crate::moment::Moment;
use crate::text;

/// How long after a refusal it is watched whether HAProxy ends: those that do have done so by then.
pub const ENDS_WITHIN: Duration = Duration::from_secs(1);
/// How long one that was started again may take until it serves.
const SERVES_WITHIN: Duration = Duration::from_secs(10);
/// How long one that its restart policy started again may take until it is restarted: it may have read the file that it
/// could not bind.
const COMES_BACK_WITHIN: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Starts the load balancer again, with the file that lies there, if it has ended since this run began, or does so until
/// `watched`. Returns whether it did; not, where a restart policy was faster: which file it took then nobody knows.
pub fn if_ended(run: &Run<'_>, watched: Option<Instant>) -> Result<bool, Failure> {
    let lb = run.names().lb.as_str();
    let Some(before) = run.before.lb.as_ref().filter(|lb| lb.running()) else {
        return Ok(false);
    };
    let mut ended: Option<(Instant, Option<Moment>)> = None;
    let mut asked_at: Option<Instant> = None;
    loop {
        // One that is gone was taken away by somebody.
        let Some(now) = look::container(&run.docker, lb)? else {
            return Ok(false);
        };
        let started_at = run.workers().revived.or(before.started_at);
        if ended.is_none() && now.running() && now.started_at == started_at {
            if watched.is_none_or(|until| Instant::now() >= until) {
                return Ok(false);
            }
            run.sleep(LOOK_EVERY);
            run.check_interrupt()?;
            continue;
        }
        let &mut (since, at) = ended.get_or_insert_with(|| (Instant::now(), first_end(&now)));
        if serves(run, &now)? {
            tell(run, at.zip(now.started_at));
            run.workers().revived = now.started_at;
            return Ok(asked_at.is_some());
        }
        if since.elapsed() >= SERVES_WITHIN {
            let what = format!("the load balancer `{lb}` has ended and does not come back");
            let failure = Failure::failed(what).hinted(vch_lb("up") + " starts it");
            return Err(crate::autopsy::examine(
                &run.docker,
                run.spec,
                &now,
                failure,
            ));
        }
        let call = match &now.state {
            State::Created | State::Exited { .. } => Some(argv::start(&[lb.to_owned()])),
            // Its engine waits before it starts it again, longer and longer.
            State::Other(state) if state == "restarting" && asked_at.is_none() => {
                Some(argv::restart(lb))
            }
            State::Running
                if run.restarts == Restarts::ByPolicy
                    && asked_at.is_none()
                    && since.elapsed() >= COMES_BACK_WITHIN =>
            {
                Some(argv::restart(lb))
            }
            _ => None,
        };
        if let Some(call) = call
            && asked_at.is_none_or(|at| at.elapsed() >= COMES_BACK_WITHIN)
        {
            asked_at = Some(Instant::now());
            run.change(&call).map_err(|error| {
                Failure::from_call(
                    format!("the load balancer `{lb}` has ended and was not started again"),
                    &error,
                )
            })?;
            continue;
        }
        run.sleep(LOOK_EVERY);
        run.check_interrupt()?;
    }
}

/// When it ended, where nothing has started it since.
fn first_end(now: &Container) -> Option<Moment> {
    now.finished_at.filter(|_| now.stopped())
}

/// Whether it takes connections; where that can't be asked, whether it runs.
fn serves(run: &Run<'_>, now: &Container) -> Result<bool, Failure> {
    if !now.running() {
        return Ok(false);
    }
    let lb = run.names().lb.as_str();
    match ask::haproxy(&run.docker, lb, Question::Who, &[]) {
        Ok(look) => Ok(look.is_none_or(|look| !look.listening().is_empty())),
        Err(error) if error.concerns_every_call() => Err(Failure::from_call(
            format!("HAProxy in `{lb}` could not be asked"),
            &error,
        )),
        Err(_) => Ok(false),
    }
}

fn tell(run: &Run<'_>, from_to: Option<(Moment, Moment)>) {
    let lb = &run.names().lb;
    let down = match from_to {
        Some((from, to)) => format!("it was down for {}", text::seconds(to.since(from))),
        // It ended after that.
        None => match run.workers().last_reload() {
            Some((at, _)) => format!("it was down for at most {}", text::seconds(at.elapsed())),
            None => "it was down meanwhile".to_owned(),
        },
    };
    run.ui.warn(&format!(
        "`{lb}` had ended: it was started again with the haproxy.cfg from before; {down}"
    ));
}
