//! From what is there to the spec: deploys, resumes, repairs, scales and rolls out. Pure.
//!
//! The rules, in the order in which they apply:
//! 1. What is not ours is never touched; what can't be changed in place is refused.
//! 2. An instance is current if it was made from the wanted image and publishes the wanted port. Current ones stay, up
//!    to the wanted number, the lowest first; stopped ones are started. Missing ones get the lowest free numbers.
//! 3. Into a load balancer that serves, changes go by reload: new instances first, ready before they are sent to, the
//!    next batch on its way while the last one comes in; then, out of the configuration and drained, the others leave.
//!    All of the old ones stay until the last new one has proved itself, so that there is always a way back. With
//!    HEALTH_CHECK they are sent to until then, too.
//! 4. A load balancer that does not serve is made or completed, and started last.

mod by_reload;
mod by_start;
mod lb;
mod options;
mod planner;
mod reasons;
mod refuse;
mod target;

use std::collections::BTreeSet;

use self::lb::LbFate;
use self::planner::Planner;
use self::refuse::{refuse_told_lb_args, refuse_what_is_not_ours, refuse_what_one_can_have};
use self::target::Target;
use super::{Plan, Subject};
use crate::error::Failure;
use crate::inventory::Inventory;
use crate::service::Spec;

pub use self::lb::differences;
pub use self::options::{Options, Pull};
pub use self::refuse::in_the_way;
pub use self::target::{Difference, Fresh};

#[cfg(test)]
pub(crate) mod tests;

/// The plan that makes the endpoint match `spec`.
pub fn plan(spec: &Spec, inventory: &Inventory, options: Options) -> Result<Plan, Failure> {
    refuse_what_is_not_ours(spec, inventory)?;
    let fate = LbFate::new(spec, inventory, options)?;
    if fate.makes_one() && spec.args_from.is_some() {
        refuse_told_lb_args(spec)?;
    }
    let target = Target::new(spec, inventory, options)?;
    match in_the_way(spec, inventory) {
        Some(failure) if !target.make.is_empty() => return Err(failure),
        _ => {}
    }
    refuse_what_one_can_have(spec, inventory, options, &target)?;
    let mut spec = spec.clone();
    // The load balancer that is there knows better than its image's tag.
    if let Some(lb) = inventory.lb.as_ref().filter(|_| !fate.makes_one()) {
        spec.lb_version = lb.haproxy;
    }
    let mut planner = Planner {
        spec: &spec,
        plan: Plan::new(Subject::Up(spec.clone().into()), inventory.lb_restarts()),
        inventory,
        options,
        fate,
        target,
        stopped: BTreeSet::new(),
        relieved: Vec::new(),
    };
    planner.refuse_missing_images()?;
    if fate == LbFate::Reload {
        planner.by_reload();
    } else {
        planner.by_start();
    }
    planner.plan.reasons = planner.reasons();
    Ok(planner.plan)
}
