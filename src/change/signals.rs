//! Signals to the load balancer's process: the one that reloads it, and the one that ends it.
//!
//! Which calls that takes is said in `calls`: with a `--restart` policy they are others.

use std::time::Duration;

use super::run::{Common, Run};
use super::schedule::Done;
use crate::calls;
use crate::docker::CallError;
use crate::docker::argv;
use crate::docker::cause::Cause;
use crate::error::Failure;
use crate::inventory::Restarts;
use crate::look;
use crate::plan::Action;

/// How often it is looked whether HAProxy has ended.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Asks HAProxy to read its file again. That it was asked says nothing about what comes of it.
pub fn hup(run: &Run<'_>) -> Result<(), CallError> {
    let lb = run.names().lb.as_str();
    let asked = run.change(&calls::reload(lb, run.restarts));
    let Err(error) = asked else {
        return Ok(());
    };
    let nobody_there = |cause: Cause| cause.is_not_found() || cause.is_not_running();
    let hopeless =
        error.timed_out() || error.concerns_every_call() || error.cause().is_some_and(nobody_there);
    if run.restarts == Restarts::Never || hopeless {
        return Err(error);
    }
    let kill = calls::reload(lb, Restarts::Never);
    run.ui.warn(&format!(
        "nothing can be executed in `{lb}`, so it is reloaded by `{}`: docker takes it for stopped by hand from then on, \
         and `--restart unless-stopped` brings it back only after the next `{}`",
        run.docker.shown(&kill),
        run.docker.shown(&argv::restart(lb)),
    ));
    run.change(&kill).map(|_| ())
}

/// Ends HAProxy. Returns once it has ended, or after the grace period: removing it by force is next.
pub fn stop(run: &Common<'_>, action: &Action) -> Result<Done, Failure> {
    run.tolerating(action, |cause| {
        cause.is_not_found() || cause.is_not_running()
    })?;
    let mut poll = run.poll(Duration::from_secs(calls::GRACE), LOOK_EVERY);
    while !poll.is_over() {
        match look::container(&run.docker, run.names().lb.as_str())? {
            Some(lb) if lb.running() => poll.pause()?,
            _ => break,
        }
    }
    Ok(Done::ByUs)
}
