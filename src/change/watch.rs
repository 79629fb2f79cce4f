//! New instances, once they are sent to, for as long as `--settle` says.

use std::time::Instant;

use super::run::Run;
use super::{health_checks, ready, serving};
use crate::error::Failure;
use crate::inventory::Container;
use crate::judge::{self, Life};
use crate::look;
use crate::service::names::Number;

/// Watches `numbers` for the settling time: all of them have to pass HAProxy's checks, if it does any, and to stay up; and
/// the service has to be no worse than before.
pub fn watch(run: &Run<'_>, numbers: &[Number]) -> Result<(), Failure> {
    let started = Instant::now();
    // First: a check that nobody passes is an outage for as long as it is in force.
    health_checks::pass_after_reload(run, numbers)?;
    let settled = run.patience.settle.saturating_sub(started.elapsed());
    run.sleep(settled);
    run.check_interrupt()?;
    let names = run.names().instances(numbers);
    let found = look::containers(&run.docker, &names)?;
    let fallen = |container: &&Container| {
        judge::life(ready::before(run, container), container) == Life::Lost
    };
    match found.iter().find(fallen) {
        Some(container) => Err(ready::never_ready(run, container)),
        None if found.len() < names.len() => Err(Failure::failed(
            "an instance is gone that was ready just before",
        )),
        None => serving::is_no_worse(run, found.first()),
    }
}
