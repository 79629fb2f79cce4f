//! Running a plan: as many steps side by side as allowed, none after the first failure, everything awaited.
//!
//! Knows nothing of docker: what a step does is the caller's. What is undone after a failure is decided in `plan::undo`.

use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::Failure;
use crate::interrupt::Interrupt;
use crate::plan::{Action, Plan, StepId};

/// Which steps can go now. Among those that can, the first in the plan goes first.
#[derive(Debug)]
pub struct Schedule {
    /// How many needs of each step are still open.
    open: Vec<usize>,
    dependents: Vec<Vec<StepId>>,
    ready: BTreeSet<StepId>,
}

impl Schedule {
    pub fn new(plan: &Plan) -> Self {
        let open: Vec<usize> = plan.steps.iter().map(|step| step.needs.len()).collect();
        let mut dependents = vec![Vec::new(); plan.steps.len()];
        for (id, step) in plan.steps.iter().enumerate() {
            for &need in &step.needs {
                dependents[need].push(id);
            }
        }
        let ready = open
            .iter()
            .enumerate()
            .filter(|(_, open)| **open == 0)
            .map(|(id, _)| id)
            .collect();
        Self {
            open,
            dependents,
            ready,
        }
    }

    /// Takes the next step that can go.
    pub fn take(&mut self) -> Option<StepId> {
        self.ready.pop_first()
    }

    /// A step came to its end: those that waited for it may go.
    pub fn done(&mut self, id: StepId) {
        for &dependent in &self.dependents[id] {
            self.open[dependent] -= 1;
            if self.open[dependent] == 0 {
                self.ready.insert(dependent);
            }
        }
    }
}

/// What a step that did not fail has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// What the action says: it is this run's to undo.
    ByUs,
    /// Nothing: somebody else had done it meanwhile.
    ByOthers,
}

/// What came of a plan.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What this run did, in the order in which it was done.
    pub done: Vec<Action>,
    /// What failed, and may have taken effect all the same.
    pub uncertain: Vec<Action>,
    /// The first failure.
    pub failure: Option<Failure>,
}

/// How a plan is run.
pub struct Execution<'a> {
    /// How many steps at most go side by side.
    pub jobs: usize,
    pub interrupt: &'a Interrupt,
    /// Go on after failures, as far as possible and wise: for undoing.
    pub go_on: bool,
    pub perform: &'a (dyn Fn(&Action) -> Result<Done, Failure> + Sync),
    pub on_done: &'a (dyn Fn(&Action, Duration) + Sync),
}

/// What the threads of an execution share.
struct Shared<'p> {
    progress: Mutex<Progress<'p>>,
    /// A step ended: others may be able to go, or all is over.
    changed: Condvar,
}

struct Progress<'p> {
    plan: &'p Plan,
    schedule: Schedule,
    running: usize,
    outcome: Outcome,
}

impl Execution<'_> {
    /// Runs `plan` to its end or to the first failure; nothing is running any more afterwards.
    pub fn run(&self, plan: &Plan) -> Outcome {
        let shared = Shared {
            progress: Mutex::new(Progress {
                plan,
                schedule: Schedule::new(plan),
                running: 0,
                outcome: Outcome::default(),
            }),
            changed: Condvar::new(),
        };
        let others = self.jobs.min(plan.steps.len()).saturating_sub(1);
        thread::scope(|scope| {
            for _ in 0..others {
                scope.spawn(|| self.work(&shared));
            }
            self.work(&shared);
        });
        let mut outcome = std::mem::take(&mut shared.lock().outcome);
        if outcome.failure.is_none() && !self.go_on {
            outcome.failure = self.interrupt.signal().map(Failure::interrupted);
        }
        outcome
    }

    /// Does steps for as long as there are any: one behind the other on the same thread, so that nobody has to be woken
    /// up between them.
    fn work(&self, shared: &Shared<'_>) {
        while let Some((id, action)) = self.next(shared) {
            let running = Running(shared);
            let started = Instant::now();
            let result = (self.perform)(action);
            self.note(&mut shared.lock(), id, result, started.elapsed());
            drop(running);
        }
    }

    /// Waits for a step that can go, and takes it; `None` when nothing will go any more.
    fn next<'p>(&self, shared: &Shared<'p>) -> Option<(StepId, &'p Action)> {
        let mut progress = shared.lock();
        loop {
            if !self.may_start(&progress.outcome) {
                return None;
            }
            if let Some(id) = progress.schedule.take() {
                progress.running += 1;
                return Some((id, &progress.plan.steps[id].action));
            }
            if progress.running == 0 {
                return None;
            }
            progress = shared
                .changed
                .wait(progress)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn may_start(&self, outcome: &Outcome) -> bool {
        self.go_on || (outcome.failure.is_none() && !self.interrupt.raised())
    }

    fn note(
        &self,
        progress: &mut Progress<'_>,
        id: StepId,
        result: Result<Done, Failure>,
        took: Duration,
    ) {
        let action = &progress.plan.steps[id].action;
        match result {
            Ok(done) => {
                (self.on_done)(action, took);
                if done == Done::ByUs {
                    progress.outcome.done.push(action.clone());
                }
                progress.schedule.done(id);
            }
            Err(failure) => {
                progress.outcome.uncertain.push(action.clone());
                progress.outcome.failure.get_or_insert(failure);
                if self.go_on && !action.has_to_succeed() {
                    progress.schedule.done(id);
                }
            }
        }
    }
}

impl<'p> Shared<'p> {
    fn lock(&self) -> MutexGuard<'_, Progress<'p>> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A step that runs. When it is dropped, be it by a panic, the others look again.
struct Running<'s, 'p>(&'s Shared<'p>);

impl Drop for Running<'_, '_> {
    fn drop(&mut self) {
        self.0.lock().running -= 1;
        self.0.changed.notify_all();
    }
}

/// How long `plan` takes with `jobs` side by side when each action takes as long as `length` says: the schedule of
/// [`Execution::run`] in simulated time.
pub(crate) fn simulate(plan: &Plan, jobs: usize, length: impl Fn(&Action) -> Duration) -> Duration {
    let mut schedule = Schedule::new(plan);
    let mut running: BTreeSet<(Duration, StepId)> = BTreeSet::new();
    let mut now = Duration::ZERO;
    loop {
        while running.len() < jobs.max(1) {
            let Some(id) = schedule.take() else { break };
            running.insert((now + length(&plan.steps[id].action), id));
        }
        let Some((end, id)) = running.pop_first() else {
            return now;
        };
        now = end;
        schedule.done(id);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::inventory::Restarts;
    use crate::plan::{Back, Subject};
    use crate::service::tests::spec;

    fn diamond() -> Plan {
        let mut plan = Plan::new(Subject::Up(spec(&[]).into()), Restarts::Never);
        let network = plan.add(Action::CreateNetwork, &[]);
        let left = plan.add(Action::Run(1), &[network]);
        let right = plan.add(Action::Run(2), &[network]);
        plan.add(Action::StartLb, &[left, right]);
        plan
    }

    fn run(
        plan: &Plan,
        jobs: usize,
        perform: &(dyn Fn(&Action) -> Result<Done, Failure> + Sync),
    ) -> Outcome {
        let interrupt = Interrupt::default();
        Execution {
            jobs,
            interrupt: &interrupt,
            go_on: false,
            perform,
            on_done: &|_, _| {},
        }
        .run(plan)
    }

    #[test]
    fn one_by_one_the_order_is_the_plans() {
        let seen = Mutex::new(Vec::new());
        let outcome = run(&diamond(), 1, &|action| {
            seen.lock().unwrap().push(action.clone());
            Ok(Done::ByUs)
        });
        let order: Vec<Action> = diamond().actions().cloned().collect();
        assert_eq!(*seen.lock().unwrap(), order);
        assert_eq!(outcome.done, order);
        assert!(outcome.failure.is_none());
    }

    #[test]
    fn independent_steps_go_side_by_side_up_to_the_limit() {
        let barrier = std::sync::Barrier::new(2);
        let running = AtomicUsize::new(0);
        let most = AtomicUsize::new(0);
        let outcome = run(&diamond(), 2, &|action| {
            most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            if matches!(action, Action::Run(_)) {
                // Passes only if both are here at the same time.
                barrier.wait();
            }
            running.fetch_sub(1, Ordering::SeqCst);
            Ok(Done::ByUs)
        });
        assert_eq!(outcome.done.len(), 4);
        assert_eq!(most.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn after_a_failure_nothing_starts_and_what_runs_is_awaited() {
        let both = std::sync::Barrier::new(2);
        let failed = AtomicUsize::new(0);
        let outcome = run(&diamond(), 2, &|action| match action {
            Action::Run(1) => {
                both.wait();
                failed.store(1, Ordering::SeqCst);
                Err(Failure::failed("no"))
            }
            Action::Run(2) => {
                both.wait();
                while failed.load(Ordering::SeqCst) == 0 {
                    thread::yield_now();
                }
                Ok(Done::ByUs)
            }
            Action::StartLb => unreachable!("it needs what failed"),
            _ => Ok(Done::ByUs),
        });
        assert_eq!(outcome.done, [Action::CreateNetwork, Action::Run(2)]);
        assert_eq!(outcome.uncertain, [Action::Run(1)]);
        assert_eq!(outcome.failure.unwrap().what, "no");
    }

    #[test]
    #[should_panic(expected = "panicked")]
    fn a_panic_in_a_step_comes_out_and_leaves_nobody_waiting() {
        run(&diamond(), 3, &|action| match action {
            Action::CreateNetwork => panic!("this step panicked"),
            _ => Ok(Done::ByUs),
        });
    }

    #[test]
    fn an_interrupt_starts_nothing_more() {
        let interrupt = Interrupt::raised_for_test(15);
        let execution = Execution {
            jobs: 2,
            interrupt: &interrupt,
            go_on: false,
            perform: &|_| unreachable!("nothing starts"),
            on_done: &|_, _| {},
        };
        let outcome = execution.run(&diamond());
        assert_eq!(outcome.failure.unwrap().kind.exit_code(), 143);
    }

    fn undo(plan: &Plan, perform: &(dyn Fn(&Action) -> Result<Done, Failure> + Sync)) -> Outcome {
        let interrupt = Interrupt::default();
        Execution {
            jobs: 1,
            interrupt: &interrupt,
            go_on: true,
            perform,
            on_done: &|_, _| {},
        }
        .run(plan)
    }

    #[test]
    fn undoing_goes_on_after_a_failure() {
        let outcome = undo(&diamond(), &|action| match action {
            Action::Run(_) => Err(Failure::failed("no")),
            _ => Ok(Done::ByUs),
        });
        assert_eq!(outcome.done, [Action::CreateNetwork, Action::StartLb]);
        assert_eq!(outcome.uncertain.len(), 2);
    }

    #[test]
    fn undoing_takes_nothing_away_that_the_load_balancer_may_send_to() {
        let mut plan = Plan::new(Subject::Up(spec(&[]).into()), Restarts::Never);
        let restore = plan.add(Action::RestoreConfig(Back::Elsewhere), &[]);
        plan.add(Action::Remove(vec![2]), &[restore]);
        plan.add(Action::TakeLbBack, &[]);
        let outcome = undo(&plan, &|action| match action {
            Action::RestoreConfig(_) => Err(Failure::failed("no")),
            _ => Ok(Done::ByUs),
        });
        assert_eq!(outcome.done, [Action::TakeLbBack]);
    }

    #[test]
    fn simulated_time_is_the_schedules() {
        let second = |_: &Action| Duration::from_secs(1);
        assert_eq!(simulate(&diamond(), 1, second), Duration::from_secs(4));
        assert_eq!(simulate(&diamond(), 2, second), Duration::from_secs(3));
    }
}
