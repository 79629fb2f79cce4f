//! A change as a whole: a plan is carried out, watched by the probe where that is asked for, and undone where it fails; a
//! failure tells what stands.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

use super::guard::Guard;
use super::probe::{At, Probe, Since};
use super::run::{self, Common, Patience, Replied, Run};
use super::schedule::{Done, Execution, Outcome};
use super::workers::Workers;
use super::{ready, serving, step};
use crate::calls;
use crate::docker::{Docker, argv};
use crate::error::{Failure, Kind, Standing, Thing};
use crate::haproxy::Config;
use crate::http::Speaks;
use crate::interrupt::Interrupt;
use crate::inventory::Inventory;
use crate::judge;
use crate::look::{self, Wanted};
use crate::message::vch_lb;
use crate::plan::{Action, Plan, Subject, undo};
use crate::reach::Reach;
use crate::receipt::{Phase, Receipt};
use crate::service::Spec;
use crate::service::names::{Number, Port};
use crate::ui::Ui;

/// So many requests of the probe tell enough, where nothing else was watched meanwhile.
const ENOUGH: usize = 20;
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What an executed plan came to.
#[derive(Debug)]
pub struct Report {
    pub reach: Option<Reach>,
    pub steps: Vec<(String, Duration)>,
    pub took: Duration,
    /// With `--probe`, where the service could be reached from here.
    pub receipt: Option<Receipt>,
}

/// How a plan is carried out, and on what.
pub struct Transaction<'a> {
    pub ui: &'a Ui,
    pub interrupt: &'a Interrupt,
    pub docker: &'a Docker,
    pub before: &'a Inventory,
    /// How many docker calls go side by side.
    pub jobs: usize,
    pub patience: Patience,
    /// Where haproxy.cfg is written on this workstation.
    pub config_path: String,
    /// Whether what a failure leaves is kept for inspection.
    pub keeps: bool,
    /// Whether requests are sent through the load balancer meanwhile, and how many may fail in the end.
    pub probes: Option<usize>,
}

impl Transaction<'_> {
    /// Executes `plan`.
    pub fn execute(&self, plan: &Plan) -> Result<Report, Failure> {
        match &plan.subject {
            Subject::Up(spec) => self.up(plan, spec),
            Subject::Down(_) => self.down(plan),
        }
    }

    /// Executes a plan that only takes away. It is not undone: a second run finishes it.
    fn down(&self, plan: &Plan) -> Result<Report, Failure> {
        let started = Instant::now();
        let guard = Guard::new(plan.names(), self.before, true);
        let run = self.common(plan, &guard, self.docker.clone(), self.interrupt.clone());
        let steps = Mutex::new(Vec::new());
        let perform = |action: &Action| step::take_away(&run, action);
        let outcome = self.carry_out(plan, &perform, false, Some(&steps));
        let failure = outcome
            .failure
            .or_else(|| run.others().none_changed().err());
        if let Some(failure) = failure {
            return Err(blamed(&run, failure));
        }
        self.interrupt.forget_standing();
        Ok(Report {
            reach: None,
            steps: steps.into_inner().unwrap_or_default(),
            took: started.elapsed(),
            receipt: None,
        })
    }

    /// Executes a plan that makes something; if it fails, the endpoint is left as it was found, as far as that goes.
    fn up(&self, plan: &Plan, spec: &Spec) -> Result<Report, Failure> {
        let started = Instant::now();
        let guard = Guard::new(plan.names(), self.before, false);
        let workers = Mutex::default();
        let as_before = || self.before.written_config().map(Config::numbers);
        let servers = plan.servers().map(<[Number]>::to_vec).or_else(as_before);
        let mut run = Run {
            servers: servers.unwrap_or_default(),
            leaving: plan.removed().collect(),
            ..self.prepared(
                self.common(plan, &guard, self.docker.clone(), self.interrupt.clone()),
                spec,
                &workers,
            )
        };
        run.replied = replied_before(&run, plan);
        ready::would_pass(&run)?;
        let probe = self.probe(&run);
        let steps = Mutex::new(Vec::new());
        let perform = |action: &Action| {
            let during = probe.as_ref().map(|probe| probe.during(action.phase()));
            let done = match &probe {
                Some(probe) => self.performed(probe, &run, action)?,
                None => step::perform(&run, action)?,
            };
            if let Some(probe) = &probe {
                self.heed(probe, plan, action)?;
            }
            drop(during);
            Ok(done)
        };
        let outcome = self.carry_out(plan, &perform, false, Some(&steps));
        let failure = outcome.failure.clone().or_else(|| {
            let serves = plan.reloads() > 0;
            let (looked, others) = thread::scope(|scope| {
                let others = scope.spawn(|| {
                    if plan.only_pulls() {
                        return Ok(());
                    }
                    run.others().none_changed()
                });
                let looked = serves.then(|| serving::last_look(&run));
                (looked, look::join(others))
            });
            let probed = probe.as_ref().map(|probe| self.last_heed(probe, &run));
            let results = [others].into_iter().chain(looked).chain(probed);
            results.into_iter().find_map(Result::err)
        });
        match failure {
            None => {
                let receipt = probe.map(Probe::finish);
                self.interrupt.forget_standing();
                let reach = run::lock(&run.reach).clone();
                let steps = steps.into_inner().unwrap_or_default();
                Ok(Report {
                    reach,
                    steps,
                    took: started.elapsed(),
                    receipt,
                })
            }
            Some(failure) => {
                let undoing = probe.as_ref().map(|probe| probe.during(Phase::Undoing));
                let failure = self.aftermath(plan, &run, &outcome, failure, probe.as_ref());
                drop(undoing);
                let receipt = probe.map(Probe::finish);
                Err(Failure { receipt, ..failure })
            }
        }
    }

    /// Requests through the load balancer that serves, if there is one and it can be reached.
    fn probe(&self, run: &Run<'_>) -> Option<Probe> {
        self.probes?;
        let Some(lb) = self.before.lb.as_ref().filter(|lb| lb.running()) else {
            let said = "--probe: nothing served before, so there is nothing to probe";
            self.ui.status(said);
            return None;
        };
        let config = self.before.written_config()?;
        let entrance = run.entrance();
        let (port, speaks) = (config.lb_port, config.tuning.lb_speaks());
        let warn = |what: &str| {
            let warning = format!("--probe: {what}, so there is no receipt");
            self.ui.warn(&warning);
        };
        let Some(place) = entrance.place(lb, port) else {
            warn("the service has no address to ask at");
            return None;
        };
        let reply = match Probe::replies(&place, speaks) {
            Ok(reply) => reply,
            Err(reply) => {
                warn(&format!("the service {}", judge::in_words(reply)));
                return None;
            }
        };
        if let Some(why) = entrance.heard(&lb.name, port, &place, reply).why() {
            let why = why.words();
            warn(&format!(
                "whether it is the service that answers at {place} can't be told ({why})"
            ));
            return None;
        }
        Some(Probe::start(At { place, speaks }))
    }

    /// Does `action`; where that brings the service to another port, or clients to another way in, the probe goes along.
    fn performed(&self, probe: &Probe, run: &Run<'_>, action: &Action) -> Result<Done, Failure> {
        let before = self.before.written_config();
        let lb = self.before.lb.as_ref();
        let at = |port: Port, speaks: Speaks| {
            let place = run.entrance().place(lb?, port)?;
            Some(At { place, speaks })
        };
        let perform = || step::perform(run, action);
        let former = || before.and_then(|it| at(it.lb_port, it.tuning.lb_speaks()));
        match action {
            Action::Reload(_) => {
                let speaks = run.spec.tuning.lb_speaks();
                probe.moving(at(run.spec.lb_port, speaks), perform)
            }
            Action::RestoreConfig(_) => probe.moving(former(), perform),
            // Until then nobody is there, and who asks is not answered: that counts.
            Action::AwaitService => {
                let done = perform()?;
                let reached = run::lock(&run.reach).clone();
                if let Some(place) = reached.as_ref().and_then(Reach::place) {
                    probe.moved(At {
                        place: place.clone(),
                        speaks: run.spec.tuning.lb_speaks(),
                    });
                }
                Ok(done)
            }
            Action::TakeLbBack => {
                let done = perform()?;
                if let Some(at) = former() {
                    probe.moved(at);
                }
                Ok(done)
            }
            _ => perform(),
        }
    }

    /// After `action`: once the last reload is in force, no more requests of the probe may fail than is allowed. Looked at
    /// before anything leaves, so that there is a way back.
    fn heed(&self, probe: &Probe, plan: &Plan, action: &Action) -> Result<(), Failure> {
        let reloads = plan
            .actions()
            .filter(|action| matches!(action, Action::Reload(_)));
        match action {
            Action::Reload(_) if reloads.last() == Some(action) => {
                probe.note_last();
                Ok(())
            }
            Action::Watch(_) | Action::Drain => self.allowed(probe),
            _ => Ok(()),
        }
    }

    /// At the end: where nothing was watched after the last reload, the probe has to see something first.
    fn last_heed(&self, probe: &Probe, run: &Run<'_>) -> Result<(), Failure> {
        let enough = || probe.since_last().is_none_or(|since| since.sent >= ENOUGH);
        let deadline = Instant::now() + run.patience.settle;
        while !enough() && Instant::now() < deadline && run.sleep(LOOK_EVERY) {}
        run.check_interrupt()?;
        self.allowed(probe)
    }

    fn allowed(&self, probe: &Probe) -> Result<(), Failure> {
        let (Some(max), Some(Since { sent, failed })) = (self.probes, probe.since_last()) else {
            return Ok(());
        };
        if failed <= max {
            return Ok(());
        }
        let what = format!(
            "{failed} of {sent} requests of --probe failed since the last reload is in force, and --max-failed is {max}"
        );
        Err(Failure::failed(what))
    }

    fn carry_out(
        &self,
        plan: &Plan,
        perform: &(dyn Fn(&Action) -> Result<Done, Failure> + Sync),
        go_on: bool,
        steps: Option<&Mutex<Vec<(String, Duration)>>>,
    ) -> Outcome {
        let deaf = Interrupt::default();
        let progress = self.ui.progress(plan.steps.len());
        let execution = Execution {
            jobs: self.jobs,
            interrupt: if go_on { &deaf } else { self.interrupt },
            go_on,
            perform: &|action| {
                let _running = progress.running(&calls::label(action, &plan.subject));
                perform(action)
            },
            on_done: &|action, took| {
                progress.step_done();
                let label = calls::label(action, &plan.subject);
                self.ui.step_done(&label, took);
                if let Some(steps) = steps {
                    run::lock(steps).push((label, took));
                }
            },
        };
        execution.run(plan)
    }

    fn common<'p>(
        &'p self,
        plan: &'p Plan,
        guard: &'p Guard,
        docker: Docker,
        interrupt: Interrupt,
    ) -> Common<'p> {
        Common {
            docker,
            subject: &plan.subject,
            restarts: plan.restarts,
            before: self.before,
            guard,
            undoing: false,
            ui: self.ui,
            interrupt,
            config_path: self.config_path.clone(),
            left_over: AtomicBool::new(false),
        }
    }

    fn prepared<'p>(
        &'p self,
        common: Common<'p>,
        spec: &'p Spec,
        workers: &'p Mutex<Workers>,
    ) -> Run<'p> {
        Run {
            common,
            spec,
            patience: self.patience.clone(),
            servers: Vec::new(),
            leaving: BTreeSet::new(),
            replied: Replied::default(),
            workers,
            reach: Mutex::default(),
            passed: Mutex::default(),
        }
    }

    /// Undoes what was done, unless it is to be kept or there is no way back, and says what still stands.
    fn aftermath(
        &self,
        plan: &Plan,
        run: &Run<'_>,
        outcome: &Outcome,
        failure: Failure,
        probe: Option<&Probe>,
    ) -> Failure {
        let happened = undo::Happened {
            done: &outcome.done,
            uncertain: &outcome.uncertain,
            may_come_late: run.workers().may_come_to_it(),
        };
        let mut failure = blamed(run, failure);
        let undo = undo::plan(run.spec, self.before, happened);
        failure.undone = undo.is_empty();
        if undo.is_empty() {
            return failure;
        }
        if self.keeps {
            failure.aftermath = Some("kept for inspection (--keep)".into());
            failure.standing = self.standing(plan, made(outcome), self.now(plan).as_ref());
            return failure;
        }
        let now = self.now(plan);
        if !undo::possible(happened, now.as_ref()) {
            failure.aftermath = Some(
                if run.guard.met_others() {
                    "not undone: what was removed does not come back"
                } else {
                    "not undone: what was removed does not come back; the new state is in force"
                }
                .into(),
            );
            failure.standing = self.standing(plan, leaving(plan, outcome), now.as_ref());
            return failure;
        }
        let undone = self.go_back(&undo, run, probe);
        let lb_is_not_back = undone.uncertain.iter().any(Action::has_to_succeed);
        let second = undone.failure;
        failure.undoing.extend(second.map(|second| second.render()));
        failure.standing = self.standing(plan, made(outcome), self.now(plan).as_ref());
        if lb_is_not_back || run.guard.has_overwritten() {
            for standing in &mut failure.standing {
                standing.remove = None;
            }
        }
        failure.undone = failure.undoing.is_empty() && failure.standing.is_empty();
        failure.aftermath = Some(if lb_is_not_back {
            "what was done could not be undone: the load balancer may send to new instances, so they stay until "
                + vch_lb("status")
                + " tells that it does not"
        } else if failure.undone {
            "what was done has been undone".into()
        } else {
            "what was done could not be undone wholly".into()
        });
        failure
    }

    /// Executes `undo`, deaf to interrupts.
    fn go_back(&self, undo: &Plan, run: &Run<'_>, probe: Option<&Probe>) -> Outcome {
        self.ui.status("undoing what was done");
        self.interrupt.note_undoing();
        let docker = self.docker.uninterruptible();
        let common = Common {
            undoing: true,
            ..self.common(undo, run.guard, docker, Interrupt::default())
        };
        let deaf = Run {
            replied: Replied {
                service: None,
                ..run.replied
            },
            ..self.prepared(common, run.spec, run.workers)
        };
        deaf.workers().begin_undoing();
        let perform = |action: &Action| match probe {
            Some(probe) => self.performed(probe, &deaf, action),
            None => step::perform(&deaf, action),
        };
        self.carry_out(undo, &perform, true, None)
    }

    /// The service as it is now, if that can be told.
    fn now(&self, plan: &Plan) -> Option<Inventory> {
        let wanted = Wanted::of(plan.subject.service());
        look::look(&self.docker.uninterruptible(), wanted).ok()
    }

    /// The same where nobody can look: what was, or may have been, made.
    fn not_seen<'o>(
        &self,
        plan: &Plan,
        actions: impl Iterator<Item = &'o Action>,
    ) -> Vec<Standing> {
        let names = plan.names();
        let container = |name: String| Standing {
            remove: Some(
                self.docker
                    .shown(&argv::rm_force(std::slice::from_ref(&name))),
            ),
            what: Thing::Container(name),
        };
        let made = |action: &Action| match action {
            Action::Run(number) => vec![container(names.instance(*number))],
            Action::CreateLb { .. } if !self.before.has_served() => {
                vec![container(names.lb.to_string())]
            }
            Action::CreateNetwork => {
                let network = names.network();
                vec![Standing {
                    remove: Some(self.docker.shown(&argv::network_rm(&network))),
                    what: Thing::Network(network),
                }]
            }
            _ => Vec::new(),
        };
        actions.flat_map(made).collect()
    }

    /// Of what some actions are about, all that is there, with what removes it.
    fn standing<'o>(
        &self,
        plan: &Plan,
        actions: impl Iterator<Item = &'o Action>,
        now: Option<&Inventory>,
    ) -> Vec<Standing> {
        let Some(now) = now else {
            return self.not_seen(plan, actions);
        };
        let mut containers = Vec::new();
        let mut network = false;
        for action in actions {
            match action {
                Action::Run(number) => containers.extend(now.instances.get(number)),
                Action::Remove(numbers) => {
                    containers.extend(numbers.iter().filter_map(|n| now.instances.get(n)));
                }
                // The one from before, back at its place, is nothing to remove.
                Action::CreateLb { .. } if !self.before.has_served() || now.lb_aside.is_some() => {
                    containers.extend(&now.lb);
                }
                Action::RemoveLbAside => containers.extend(&now.lb_aside),
                Action::CreateNetwork => network = true,
                _ => {}
            }
        }
        let shown = |call: argv::Argv| self.docker.shown(&call);
        let mut standing: Vec<Standing> = containers
            .into_iter()
            .map(|container| Standing {
                what: Thing::Container(container.name.clone()),
                remove: Some(shown(argv::rm_force(std::slice::from_ref(&container.name)))),
            })
            .collect();
        if let Some(bridge) = now.bridge.as_ref().filter(|_| network) {
            standing.push(Standing {
                what: Thing::Network(bridge.name.clone()),
                remove: Some(shown(argv::network_rm(&bridge.name))),
            });
        }
        standing
    }
}

/// `failure`, with what somebody else did meanwhile, unless that is said or it is of another kind.
fn blamed(run: &Common<'_>, failure: Failure) -> Failure {
    let untold = matches!(failure.kind, Kind::Failed | Kind::NetworkAmbiguous);
    if untold && !run.guard.met_others() {
        run.others().blamed(failure)
    } else {
        failure
    }
}

/// The actions by which a run made, or may have made, something.
fn made(outcome: &Outcome) -> impl Iterator<Item = &Action> {
    let makes = |action: &&Action| {
        matches!(
            action,
            Action::Run(_) | Action::CreateLb { .. } | Action::CreateNetwork
        )
    };
    outcome.done.iter().chain(&outcome.uncertain).filter(makes)
}

/// The removals that were planned and not done.
fn leaving<'o>(plan: &'o Plan, outcome: &'o Outcome) -> impl Iterator<Item = &'o Action> {
    plan.actions().filter(|action| {
        matches!(action, Action::Remove(_) | Action::RemoveLbAside)
            && !outcome.done.contains(action)
    })
}

/// How service and instances reply before anything is changed, for a plan that changes a service that serves: nothing may
/// be worse than that afterwards.
fn replied_before(run: &Run<'_>, plan: &Plan) -> Replied {
    let replaces = |action: &Action| matches!(action, Action::Reload(_) | Action::SetLbAside);
    if !plan.actions().any(replaces) {
        return Replied::default();
    }
    // Side by side: where one can't be reached, the other most often can't either.
    thread::scope(|scope| {
        let service = scope.spawn(|| serving::before(run));
        let siblings = ready::siblings(run);
        let service = service.join().ok().flatten();
        Replied { service, siblings }
    })
}
