//! Into a load balancer that serves, changes go by reload.

use std::collections::BTreeSet;

use super::planner::Planner;
use super::target::sorted;
use crate::haproxy::Config;
use crate::inventory::{Aim, Container, State};
use crate::plan::{Action, StepId};
use crate::service::names::Number;

/// Instances that come into the load balancer.
#[derive(Debug, Clone, Copy)]
struct BroughtIn {
    /// They are ready.
    gate: StepId,
    /// They are sent to, and have passed HAProxy's checks, if it does any.
    proved: StepId,
}

impl Planner<'_> {
    /// Rule 3.
    pub(super) fn by_reload(&mut self) {
        let ready = self.prepare();
        let files = self.files_differ().then(|| self.copy_files(None)).flatten();
        let needs = Self::needs(&[ready.pull, ready.network, files]);
        let mut in_lb = self.in_force();
        // What is only added or started again comes first, in one go.
        let at_once = self.all_at_once();
        let replacing = if at_once {
            self.target.make.len()
        } else {
            self.target.outdated.len().min(self.target.make.len())
        };
        let (added, successors) = {
            let split = self.target.make.len() - replacing;
            let (added, successors) = self.target.make.split_at(split);
            (added.to_vec(), successors.to_vec())
        };
        let batch = if at_once {
            successors.len()
        } else {
            self.options.batch
        };
        let mut last = self.add_instances(&added, &mut in_lb, &needs);
        let mut predecessors = self.target.outdated.clone();
        for batch in successors.chunks(batch.max(1)) {
            let leaves = if at_once { usize::MAX } else { batch.len() };
            let leaving: Vec<Number> = predecessors
                .drain(..leaves.min(predecessors.len()))
                .collect();
            last = Some(self.replace(batch, &leaving, &mut in_lb, &needs, last));
        }
        let mut last = last.map(|brought_in| brought_in.proved);
        let servers = self.target.servers();
        let differs = in_lb != servers.iter().copied().collect();
        // The file does not send to those that leave, but the one in force may: somebody was stopped between copy and reload.
        let may_be_sent_to = !self.target.leaving().is_empty();
        let outdated = files.is_some()
            || self.inventory.aim != Aim::Right
            || self.inventory.not_in_force
            || self.inventory.written_later
            || !self.config_is(&servers);
        if differs || (last.is_none() && (outdated || may_be_sent_to)) {
            let needs = Self::needs(&[last.or(files)]);
            let reload = self.plan.add(Action::Reload(servers.clone()), &needs);
            let watches = successors.is_empty() || self.target.leaving().is_empty();
            last = Some(if watches && self.check_is_new() {
                self.plan.add(Action::Watch(servers.clone()), &[reload])
            } else {
                reload
            });
        }
        if !self.target.leaving().is_empty() {
            if !successors.is_empty() {
                let needs = Self::needs(&[last]);
                last = Some(self.plan.add(Action::Watch(servers), &needs));
            }
            let drained = last.map(|last| self.plan.add(Action::Drain, &[last]));
            last = self.leave(self.target.leaving(), drained);
        }
        if self.inventory.lb_aside.is_some() {
            self.plan.add(Action::RemoveLbAside, &Self::needs(&[last]));
        }
    }

    /// Whether all are replaced by one reload: a configuration names one port for all instances, so that it can't send to
    /// old ones at the old port and to new ones at another.
    fn all_at_once(&self) -> bool {
        let config = self.inventory.written_config();
        let other_port =
            config.is_some_and(|config| config.instance_port != self.spec.instance_port);
        other_port && !self.options.stop_first
    }

    /// Brings in what is new or started again, all at once.
    fn add_instances(
        &mut self,
        added: &[Number],
        in_lb: &mut BTreeSet<Number>,
        needs: &[StepId],
    ) -> Option<BroughtIn> {
        // Nobody has vouched yet for one that starts, or that is not sent to.
        let unproved = |number: &&Number| {
            self.inventory.instances[number].state == State::Starting || !in_lb.contains(number)
        };
        let unproved: Vec<Number> = self.target.keep.iter().filter(unproved).copied().collect();
        let fresh = sorted([&unproved, &self.target.start, &added.to_vec()]);
        if fresh.is_empty() {
            return None;
        }
        let mut up = self.start(needs);
        up.extend(self.run(added, needs));
        let gate = self.plan.add(Action::AwaitReady(fresh.clone()), &up);
        in_lb.extend(&fresh);
        in_lb.extend(&self.target.keep);
        let proved = self.bring_in(&fresh, in_lb, &[gate]);
        Some(BroughtIn { gate, proved })
    }

    /// Reloads, and lets the load balancer check those that are new to it.
    fn bring_in(&mut self, fresh: &[Number], in_lb: &BTreeSet<Number>, needs: &[StepId]) -> StepId {
        let servers = in_lb.iter().copied().collect();
        let reload = self.plan.add(Action::Reload(servers), needs);
        if !self.spec.tuning.checks() {
            return reload;
        }
        let mut watched: BTreeSet<Number> = fresh.iter().copied().collect();
        if self.check_is_new() {
            // Those that leave need not pass what was made for their successors.
            watched.extend(self.target.keep.iter().filter(|kept| in_lb.contains(kept)));
        }
        let watched = watched.into_iter().collect();
        self.plan.add(Action::Watch(watched), &[reload])
    }

    /// Whether the load balancer checks, and did not in the same way before.
    fn check_is_new(&self) -> bool {
        let spec = self.spec;
        let found = self.inventory.config.as_ref();
        let config = self.inventory.written_config();
        let same = config.is_some_and(|config| config.tuning.health == spec.tuning.health)
            && found.and_then(|found| found.template.as_ref()) == spec.template.as_ref();
        spec.tuning.checks() && !same
    }

    /// One batch of a rollout: `fresh` come in, then `leaving` go out of the load balancer.
    fn replace(
        &mut self,
        fresh: &[Number],
        leaving: &[Number],
        in_lb: &mut BTreeSet<Number>,
        needs: &[StepId],
        last: Option<BroughtIn>,
    ) -> BroughtIn {
        let last_proved = last.map(|last| last.proved);
        // Nothing is as sure as those that serve: they go on until their successors have proved themselves.
        let relieves = !self.options.stop_first && !self.all_at_once();
        let leaving = if self.spec.tuning.checks() && relieves {
            &std::mem::replace(&mut self.relieved, leaving.to_vec())
        } else {
            leaving
        };
        // The next ones come while the load balancer takes the last ones in: those have proved that their image starts.
        let mut up_needs: Vec<StepId> = needs.iter().copied().chain(last.map(|l| l.gate)).collect();
        let staying = || {
            in_lb
                .iter()
                .copied()
                .filter(|number| !leaving.contains(number))
        };
        if self.options.stop_first {
            let staying: Vec<Number> = staying().collect();
            up_needs.extend(last_proved);
            // Somebody has to answer: the last one stays in the configuration while it is being replaced.
            if !staying.is_empty() {
                let reload = self.plan.add(Action::Reload(staying), &up_needs);
                up_needs = vec![self.plan.add(Action::Drain, &[reload])];
            }
            up_needs = vec![self.plan.add(Action::Stop(leaving.to_vec()), &up_needs)];
            self.stopped.extend(leaving);
        }
        let up = self.run(fresh, &up_needs);
        let gate = self.plan.add(Action::AwaitReady(fresh.to_vec()), &up);
        *in_lb = staying().chain(fresh.iter().copied()).collect();
        let reload_needs: Vec<StepId> = last_proved.into_iter().chain([gate]).collect();
        let proved = self.bring_in(fresh, in_lb, &reload_needs);
        BroughtIn { gate, proved }
    }

    /// The instances that the running configuration sends to and that run: a name that does not resolve is fatal to a
    /// reload.
    fn in_force(&self) -> BTreeSet<Number> {
        let config = self.inventory.written_config();
        let runs = |number: &Number| {
            let instance = self.inventory.instances.get(number);
            instance.is_some_and(Container::running)
        };
        config
            .map(Config::numbers)
            .unwrap_or_default()
            .into_iter()
            .filter(runs)
            .collect()
    }
}
