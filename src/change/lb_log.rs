//! The load balancer's log, as far as HAProxy tells of itself in it.

use super::run::Run;
use crate::docker::CallError;
use crate::docker::argv::{self, Range};
use crate::error::Failure;
use crate::haproxy::log::{self, Line, Own};
use crate::moment::Moment;

/// What HAProxy says of itself in the load balancer's log after `since`.
pub fn read_log(run: &Run<'_>, since: Option<Moment>) -> Result<Vec<Line>, Failure> {
    log_since(run, since).map_err(|error| not_read(run, &error))
}

pub(super) fn log_since(run: &Run<'_>, since: Option<Moment>) -> Result<Vec<Line>, CallError> {
    let since = since.filter(|since| *since > Moment::EARLIEST);
    own_lines(run, &Range::since(since), since).map(Own::in_order)
}

pub(super) fn own_lines(
    run: &Run<'_>,
    range: &Range,
    since: Option<Moment>,
) -> Result<Own, CallError> {
    let mut own = Own::default();
    read_lines(run, range, |line| {
        // A VCH knows full seconds only: it returns a little more than was asked for.
        if since.is_none_or(|since| line.time > since) {
            own.add(line);
        }
        true
    })?;
    Ok(own)
}

/// Reads the load balancer's log for as long as `on_line` says so.
pub(super) fn read_lines(
    run: &Run<'_>,
    range: &Range,
    mut on_line: impl FnMut(Line) -> bool,
) -> Result<(), CallError> {
    let argv = argv::logs(run.names().lb.as_str(), range, true, false);
    let docker = &run.docker;
    docker.query_lines(&argv, |piece| {
        log::line(&piece.text).is_none_or(&mut on_line)
    })
}

pub(super) fn not_read(run: &Run<'_>, error: &CallError) -> Failure {
    let lb = &run.names().lb;
    Failure::from_call(
        format!("the log of the load balancer `{lb}` could not be read"),
        error,
    )
}
