//! From what a run made back to what was there before. Pure.
//!
//! Worked out from the actions themselves, not kept beside each: several reloads are undone by one.

use std::collections::BTreeSet;

use super::{Action, Back, Plan, StepId, Subject};
use crate::inventory::Inventory;
use crate::service::Spec;
use crate::service::names::Number;

/// What has happened so far.
#[derive(Debug, Clone, Copy)]
pub struct Happened<'a> {
    /// Actions that this run did, in the order in which they were done.
    pub done: &'a [Action],
    /// Actions that failed and may have taken effect all the same.
    pub uncertain: &'a [Action],
    /// Whether HAProxy may come to run what a reload that failed asked for.
    pub may_come_late: bool,
}

/// Whether there is a way back: what was removed does not come back. `now` tells how far a removal that failed has come;
/// without it none has come anywhere.
///
/// Of load balancers only the one that this run has made another for was needed: what an earlier run left aside, or
/// what never served (`RemoveLb`), is nothing to go back to.
pub fn possible(happened: Happened<'_>, now: Option<&Inventory>) -> bool {
    let removed = happened.done.iter().enumerate().any(|(at, action)| {
        let made_another = || {
            let before = &happened.done[..at];
            before
                .iter()
                .any(|done| matches!(done, Action::CreateLb { .. }))
        };
        match action {
            Action::Remove(_) | Action::RemoveNetwork => true,
            Action::RemoveLbAside => made_another(),
            _ => false,
        }
    });
    let lacks = |numbers: &[Number]| {
        now.is_some_and(|now| {
            numbers
                .iter()
                .any(|number| !now.instances.contains_key(number))
        })
    };
    let partly = happened
        .uncertain
        .iter()
        .any(|action| matches!(action, Action::Remove(numbers) if lacks(numbers)));
    !removed && !partly
}

/// The plan that undoes what `happened`, from the inventory of before.
pub fn plan(spec: &Spec, before: &Inventory, happened: Happened<'_>) -> Plan {
    let mut traces = Traces::default();
    for action in happened.done.iter().chain(happened.uncertain) {
        traces.add(action, before);
    }
    let reload = |action: &Action| matches!(action, Action::Reload(_));
    traces.elsewhere = happened.may_come_late || happened.done.iter().any(reload);
    traces.undo(spec, before)
}

/// What a run left behind.
#[derive(Debug, Default)]
struct Traces {
    network: bool,
    lb: bool,
    lb_started: bool,
    lb_stopped: bool,
    aside: bool,
    copied: bool,
    reloaded: bool,
    /// One of the reloads succeeded, or may still do.
    elsewhere: bool,
    made: BTreeSet<Number>,
    started: BTreeSet<Number>,
    stopped: BTreeSet<Number>,
}

impl Traces {
    fn add(&mut self, action: &Action, before: &Inventory) {
        match action {
            Action::CreateNetwork => self.network = true,
            Action::StopLb => self.lb_stopped = true,
            Action::SetLbAside => self.aside = true,
            Action::CreateLb { .. } => self.lb = true,
            Action::StartLb => self.lb_started = true,
            Action::CopyConfig(_) | Action::CopyFiles => self.copied = true,
            Action::Reload(_) => self.reloaded = true,
            Action::Run(number) => {
                self.made.insert(*number);
            }
            Action::Start(number) => {
                self.started.insert(*number);
            }
            Action::Stop(numbers) => {
                let ran = |number: &&Number| {
                    let found = before.instances.get(number);
                    found.is_some_and(|found| !found.stopped())
                };
                self.stopped.extend(numbers.iter().filter(ran));
            }
            Action::Pull(_)
            | Action::ConnectLb
            | Action::AwaitService
            | Action::AwaitReady(_)
            | Action::Watch(_)
            | Action::Drain
            | Action::Remove(_)
            | Action::TakeLbBack
            | Action::RemoveLbAside
            | Action::RemoveLb
            | Action::RemoveNetwork
            | Action::RestoreConfig(_) => {}
        }
    }

    /// Old instances first come back, then the load balancer goes back to them, then the new ones go.
    fn undo(self, spec: &Spec, before: &Inventory) -> Plan {
        let mut plan = Plan::new(Subject::Up(spec.clone().into()), before.lb_restarts());
        let mut last: Vec<StepId> = self
            .stopped
            .iter()
            .map(|&number| plan.add(Action::Start(number), &[]))
            .collect();
        if !self.stopped.is_empty() {
            let ready = plan.add(
                Action::AwaitReady(self.stopped.iter().copied().collect()),
                &last,
            );
            last = vec![ready];
        }
        if self.reloaded {
            let back = if self.elsewhere {
                Back::Elsewhere
            } else {
                Back::Asked
            };
            last = vec![plan.add(Action::RestoreConfig(back), &last)];
            if !self.made.is_empty() || !self.started.is_empty() {
                last = vec![plan.add(Action::Drain, &last)];
            }
        }
        if self.lb {
            last = vec![plan.add(Action::RemoveLb, &last)];
        }
        if self.aside {
            last = vec![plan.add(Action::TakeLbBack, &last)];
        }
        if self.lb_stopped {
            last = vec![plan.add(Action::StartLb, &last)];
        }
        if !self.lb {
            if self.lb_started {
                last = vec![plan.add(Action::StopLb, &last)];
            }
            if self.copied && !self.reloaded && before.config.is_some() {
                last = vec![plan.add(Action::RestoreConfig(Back::Stopped), &last)];
            }
        }
        if !self.started.is_empty() {
            last = vec![plan.add(Action::Stop(self.started.into_iter().collect()), &last)];
        }
        if !self.made.is_empty() {
            let made: Vec<Number> = self.made.into_iter().collect();
            // VIC 1.5.2 to 1.5.4 never frees the address of a running container that is removed by force.
            if before.is_vch() {
                last = vec![plan.add(Action::Stop(made.clone()), &last)];
            }
            last = vec![plan.add(Action::Remove(made), &last)];
        }
        if self.network {
            plan.add(Action::RemoveNetwork, &last);
        }
        plan
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::State;
    use crate::inventory::tests::{container, engine};
    use crate::service::tests::spec;

    fn before(numbers: &[Number]) -> Inventory {
        let spec = spec(&[]);
        let containers = numbers.iter().map(|n| {
            container(
                &format!("web-{n}"),
                State::Running,
                &[("web-net", "172.18.0.2")],
                "httpd",
            )
        });
        let mut inventory = Inventory::new(&spec.service, engine(), Vec::new(), containers);
        inventory.config = Some(crate::haproxy::read::Found::new(
            String::new(),
            None,
            Some((1, 7)),
        ));
        inventory
    }

    fn undone(numbers: &[Number], done: &[Action], uncertain: &[Action]) -> Vec<Action> {
        let plan = plan(
            &spec(&[]),
            &before(numbers),
            Happened {
                done,
                uncertain,
                may_come_late: false,
            },
        );
        plan.actions().cloned().collect()
    }

    #[test]
    fn a_deployment_is_undone_in_reverse() {
        let done = [
            Action::Pull(spec(&[]).image),
            Action::CreateNetwork,
            Action::Run(1),
            Action::Run(2),
            Action::CreateLb { publish: vec![] },
            Action::CopyConfig(vec![1, 2]),
        ];
        assert_eq!(
            undone(&[], &done, &[Action::StartLb]),
            [
                Action::RemoveLb,
                Action::Remove(vec![1, 2]),
                Action::RemoveNetwork
            ]
        );
    }

    #[test]
    fn what_a_failed_call_may_have_made_is_undone_too() {
        assert_eq!(
            undone(&[], &[], &[Action::Run(1)]),
            [Action::Remove(vec![1])]
        );
        assert_eq!(undone(&[], &[], &[Action::Pull(spec(&[]).image)]), []);
    }

    #[test]
    fn several_reloads_are_undone_by_one_before_the_new_instances_go() {
        let done = [
            Action::Run(2),
            Action::Reload(vec![1, 2]),
            Action::Run(3),
            Action::Reload(vec![2, 3]),
        ];
        assert_eq!(
            undone(&[1], &done, &[Action::AwaitReady(vec![4])]),
            [
                Action::RestoreConfig(Back::Elsewhere),
                Action::Drain,
                Action::Remove(vec![2, 3])
            ]
        );
    }

    #[test]
    fn old_instances_come_back_before_the_load_balancer_goes_back_to_them() {
        let done = [Action::Reload(vec![1]), Action::Drain];
        assert_eq!(
            undone(&[1, 2], &done, &[Action::Stop(vec![2])]),
            [
                Action::Start(2),
                Action::AwaitReady(vec![2]),
                Action::RestoreConfig(Back::Elsewhere)
            ]
        );
    }

    #[test]
    fn a_load_balancer_that_was_set_aside_comes_back() {
        let done = [
            Action::StopLb,
            Action::SetLbAside,
            Action::CreateLb { publish: vec![] },
        ];
        assert_eq!(
            undone(&[1], &done, &[Action::StartLb]),
            [Action::RemoveLb, Action::TakeLbBack, Action::StartLb]
        );
    }

    #[test]
    fn what_was_removed_does_not_come_back() {
        let create = Action::CreateLb { publish: vec![] };
        for (done, there_is_a_way) in [
            (vec![Action::Remove(vec![3])], false),
            (vec![create.clone(), Action::RemoveLbAside], false),
            // Left over from an earlier run.
            (vec![Action::RemoveLbAside, create.clone()], true),
            (vec![Action::RemoveLbAside, Action::Stop(vec![1])], true),
            // It never served.
            (vec![Action::RemoveLb, create], true),
        ] {
            let happened = Happened {
                done: &done,
                uncertain: &[],
                may_come_late: false,
            };
            assert_eq!(possible(happened, None), there_is_a_way, "{done:?}");
        }
    }

    #[test]
    fn a_removal_that_failed_has_a_way_back_as_long_as_nothing_is_gone() {
        let uncertain = [Action::Remove(vec![2, 3])];
        let happened = Happened {
            done: &[],
            uncertain: &uncertain,
            may_come_late: false,
        };
        assert!(possible(happened, Some(&before(&[1, 2, 3]))));
        assert!(!possible(happened, Some(&before(&[1, 3]))));
        assert!(possible(happened, None));
    }
}
