//! Running a plan: as many steps side by side as allowed, none after the first failure, everything awaited.
//!
//! Knows nothing of docker: what a step does is the caller's. What is undone after a failure is decided in `plan::undo`.

use std::collections::BTreeSet;
use std::sync::mpsc;
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
    /// Go on after failures, as far as possible: for undoing.
    pub go_on: bool,
    pub perform: &'a (dyn Fn(&Action) -> Result<Done, Failure> + Sync),
    pub on_done: &'a (dyn Fn(&Action, Duration) + Sync),
}

/// A step's end, as its thread reports it.
struct Report {
    id: StepId,
    result: Result<Done, Failure>,
    took: Duration,
}

impl Execution<'_> {
    /// Runs `plan` to its end or to the first failure; nothing is running any more afterwards.
    pub fn run(&self, plan: &Plan) -> Outcome {
        let mut schedule = Schedule::new(plan);
        let mut outcome = Outcome::default();
        let (sender, reports) = mpsc::channel();
        thread::scope(|scope| {
            let mut running = 0;
            loop {
                while running < self.jobs.max(1) && self.may_start(&outcome) {
                    let Some(id) = schedule.take() else { break };
                    let sender = sender.clone();
                    let action = &plan.steps[id].action;
                    running += 1;
                    scope.spawn(move || {
                        let started = Instant::now();
                        let result = (self.perform)(action);
                        // The receiver lives until all threads have ended.
                        let _ = sender.send(Report {
                            id,
                            result,
                            took: started.elapsed(),
                        });
                    });
                }
                if running == 0 {
                    break;
                }
                let Ok(report) = reports.recv() else { break };
                running -= 1;
                self.note(report, plan, &mut schedule, &mut outcome);
            }
        });
        if outcome.failure.is_none() && !self.go_on {
            outcome.failure = self.interrupt.signal().map(Failure::interrupted);
        }
        outcome
    }

    fn may_start(&self, outcome: &Outcome) -> bool {
        self.go_on || (outcome.failure.is_none() && !self.interrupt.raised())
    }

    fn note(&self, report: Report, plan: &Plan, schedule: &mut Schedule, outcome: &mut Outcome) {
        let action = &plan.steps[report.id].action;
        match report.result {
            Ok(done) => {
                (self.on_done)(action, report.took);
                if done == Done::ByUs {
                    outcome.done.push(action.clone());
                }
                schedule.done(report.id);
            }
            Err(failure) => {
                outcome.uncertain.push(action.clone());
                outcome.failure.get_or_insert(failure);
                if self.go_on {
                    schedule.done(report.id);
                }
            }
        }
    }
}

/// How long `plan` takes with `jobs` side by side when each action takes as long as `length` says: the schedule of
/// [`Execution::run`] in simulated time.
#[cfg(test)]
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
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::spec::tests::spec;

    fn diamond() -> Plan {
        let mut plan = Plan::new(&spec(&[]));
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
        let failed = AtomicUsize::new(0);
        let outcome = run(&diamond(), 2, &|action| match action {
            Action::Run(1) => {
                failed.store(1, Ordering::SeqCst);
                Err(Failure::failed("no"))
            }
            Action::Run(2) => {
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

    #[test]
    fn undoing_goes_on_after_a_failure() {
        let interrupt = Interrupt::default();
        let execution = Execution {
            jobs: 1,
            interrupt: &interrupt,
            go_on: true,
            perform: &|action| match action {
                Action::Run(_) => Err(Failure::failed("no")),
                _ => Ok(Done::ByUs),
            },
            on_done: &|_, _| {},
        };
        let outcome = execution.run(&diamond());
        assert_eq!(outcome.done, [Action::CreateNetwork, Action::StartLb]);
        assert_eq!(outcome.uncertain.len(), 2);
    }

    #[test]
    fn simulated_time_is_the_schedules() {
        let second = |_: &Action| Duration::from_secs(1);
        assert_eq!(simulate(&diamond(), 1, second), Duration::from_secs(4));
        assert_eq!(simulate(&diamond(), 2, second), Duration::from_secs(3));
    }
}
