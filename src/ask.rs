//! Asking HAProxy in the load balancer itself, by one `docker exec`: what is asked and answered is `haproxy::channel`'s.

use std::time::Duration;

use crate::docker::argv;
use crate::docker::cause::Cause;
use crate::docker::{CallError, Docker};
use crate::haproxy::channel::{self, Look, Process, Question};

/// How often an exec is repeated that docker says succeeded, though the script did not run to its end.
const ATTEMPTS: u32 = 3;
const AGAIN_AFTER: Duration = Duration::from_millis(500);

/// What HAProxy's processes in `lb` are; it waits a little for `former` to give up their sockets. `None` where nothing can be
/// executed there, or nothing that answers. The error is one that concerns every call, or that `lb` does not run.
pub fn haproxy(
    docker: &Docker,
    lb: &str,
    question: Question,
    former: &[Process],
) -> Result<Option<Look>, CallError> {
    let argv = argv::exec(lb, &channel::command(question, former));
    for attempt in 0..ATTEMPTS {
        match docker.query(&argv) {
            Ok(answer) => {
                if let Some(look) = channel::answer(&answer.text()) {
                    return Ok(Some(look));
                }
            }
            Err(error) if error.concerns_every_call() || error.timed_out() => return Err(error),
            Err(error)
                if error
                    .cause()
                    .is_some_and(|cause| cause.is_not_running() || cause.is_not_found()) =>
            {
                return Err(error);
            }
            // A VCH has moments in which it can't.
            Err(error) if error.cause().is_some_and(Cause::is_transient) => {}
            Err(_) => return Ok(None),
        }
        if attempt + 1 < ATTEMPTS {
            docker.pause(AGAIN_AFTER);
        }
    }
    Ok(None)
}
