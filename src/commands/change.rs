//! What all commands that change something share: show the plan, or execute it and undo it if it fails.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

use super::Context;
use crate::change::guard::Guard;
use crate::change::probe::{Probe, Since};
use crate::change::run::{self, Patience, Performer, Replied};
use crate::change::schedule::{Done, Execution, Outcome};
use crate::change::workers::Workers;
use crate::change::{config_file, ready, serving, step};
use crate::cli::{ChangeArgs, ProbeArgs};
use crate::docker::{Docker, argv};
use crate::entrance::Entrance;
use crate::error::{Failure, Standing, exit};
use crate::haproxy::{Config, versions};
use crate::interrupt::Interrupt;
use crate::inventory::Inventory;
use crate::judge;
use crate::look::{self, Wanted};
use crate::place::{self, Place, Via};
use crate::plan::{Action, Plan, undo};
use crate::reach::Reach;
use crate::receipt::{Phase, Receipt};
use crate::script::{Style, script};
use crate::settings;
use crate::spec::names::Number;
use crate::spec::{running, siblings};
use crate::text::list;
use crate::{calls, host_ports};

/// So many requests of the probe tell enough, where nothing else was watched meanwhile.
const ENOUGH: usize = 20;
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What an executed plan came to.
#[derive(Debug)]
pub(super) struct Report {
    pub reach: Option<Reach>,
    pub steps: Vec<(String, Duration)>,
    pub took: Duration,
    /// With `--probe`, where the service could be reached from here.
    pub receipt: Option<Receipt>,
}

/// Prints the script of `plan`; the result is the exit code.
pub(super) fn show(
    context: &Context<'_>,
    docker: &Docker,
    args: &ChangeArgs,
    before: &Inventory,
    plan: &Plan,
    title: &str,
) -> Result<u8, Failure> {
    let config = config_file::behind_links(&args.config_out);
    let secret = plan.spec.template.is_some();
    let for_everybody = config_file::is_for_everybody(Path::new(&config), secret);
    let odd = before
        .config
        .as_ref()
        .is_some_and(|found| found.odd.is_some());
    let host = by_host(docker, before, plan);
    let style = Style {
        docker: &docker.prefix(),
        config: &config,
        for_everybody,
        by_archive: odd || !for_everybody,
        host: host.as_ref(),
        cert: &context.settings.get(settings::TLS_CERT).text,
        template: &context.settings.get(settings::TEMPLATE).text,
        secrets: &whence_secrets(context, title),
        title,
        settle: args.settle.as_secs().max(1),
        drain: args.drain.as_secs().max(1),
    };
    let text = script(plan, style)?;
    warn_of_powers(context, plan);
    warn_of_siblings(context, before, plan);
    let config = Path::new(&args.config_out);
    if writes_config(plan) && !args.overwrite && config_file::is_foreign(config) {
        context.ui.warn(&format!(
            "the script replaces `{}`, which is no haproxy.cfg of vch-lb's or the script's",
            config.display()
        ));
    }
    if context.ui.json() {
        let steps: Vec<String> = plan
            .actions()
            .map(|action| calls::label(action, &plan.spec))
            .collect();
        context.ui.answer_json(&serde_json::json!({
            "schema": "vch-lb/plan/1",
            "changes": !plan.is_empty(),
            "reasons": plan.reasons,
            "steps": steps,
            "script": text,
        }));
    } else {
        context.ui.answer_script(&text);
    }
    Ok(if args.exit_code && !plan.is_empty() {
        exit::NOT_AS_DESIRED
    } else {
        exit::DONE
    })
}

/// Where the endpoint's host will publish the service, if it does and that can be told before the load balancer runs.
fn by_host(docker: &Docker, before: &Inventory, plan: &Plan) -> Option<Place> {
    let spec = &plan.spec;
    if before.is_vch() {
        return None;
    }
    let serves = |wanted: &host_ports::Wanted| wanted.container == spec.lb_port.get();
    let asked_for = host_ports::wanted(spec).into_iter().find(serves);
    let makes_one = |action: &Action| matches!(action, Action::CreateLb { .. });
    // One that is there and stopped was made by `-p LB_PORT:LB_PORT`, if by nothing else that is known.
    let stays = before
        .lb
        .as_ref()
        .filter(|_| !plan.actions().any(makes_one));
    let key = format!("{}/tcp", spec.lb_port);
    let (ip, port) = match (asked_for, stays) {
        (_, Some(lb)) if !lb.published.contains(&key) => return None,
        (Some(wanted), _) => (wanted.at.ip.map(|ip| ip.to_string()), wanted.at.port),
        (None, Some(_)) => (None, spec.lb_port.get()),
        (None, None) => return None,
    };
    let address = place::published_on(&ip.unwrap_or_default(), || docker.host().cloned())?;
    let via = Via::Host;
    Some(Place { via, address, port })
}

/// How service and instances reply before anything is changed, for a plan that changes a service that serves: nothing may
/// be worse than that afterwards.
fn replied_before(run: &Performer<'_>, plan: &Plan) -> Replied {
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

/// Instances that `plan` removes.
fn removed(plan: &Plan) -> BTreeSet<Number> {
    let removed = plan.actions().filter_map(|action| match action {
        Action::Remove(numbers) => Some(numbers),
        _ => None,
    });
    removed.flatten().copied().collect()
}

/// Where the values are that a script does not show: `up` has them from the settings, other commands from what runs.
fn whence_secrets(context: &Context<'_>, title: &str) -> String {
    if title != "vch-lb up" {
        return "the running containers (docker inspect)".to_owned();
    }
    let given = settings::WORDS
        .iter()
        .map(|name| context.settings.get(name))
        .filter(|value| value.origin != settings::Origin::Default)
        .map(|value| format!("{} ({})", value.setting.name, value.source()));
    given.collect::<Vec<_>>().join(" and ")
}

/// Those that the load balancer sends to in the end.
fn servers(before: &Inventory, plan: &Plan) -> Vec<Number> {
    let sent_to = plan.actions().filter_map(|action| match action {
        Action::CopyConfig(servers) | Action::Reload(servers) => Some(servers),
        _ => None,
    });
    let as_before = || before.written_config().map(Config::numbers);
    sent_to
        .last()
        .cloned()
        .or_else(as_before)
        .unwrap_or_default()
}

fn writes_config(plan: &Plan) -> bool {
    plan.actions()
        .any(|action| matches!(action, Action::CopyConfig(_) | Action::Reload(_)))
}

/// Says what new instances get beyond what a container has, where the endpoint told it: anybody there can have.
fn warn_of_powers(context: &Context<'_>, plan: &Plan) {
    let spec = &plan.spec;
    let makes_some = plan
        .actions()
        .any(|action| matches!(action, Action::Run(_)));
    let Some(from) = spec.args_from.as_ref().filter(|_| makes_some) else {
        return;
    };
    let own = context.own_instance_args();
    let mut powers = spec.instance_args.powers();
    powers.retain(|power| !own.arguments.holds(power));
    if !powers.is_empty() {
        context.ui.warn(&format!(
            "new instances get {}, as the label of `{from}` says",
            list(&powers)
        ));
    }
}

/// Says what instances that no label tells about have, and new ones beside or instead of them would lack.
fn warn_of_siblings(context: &Context<'_>, before: &Inventory, plan: &Plan) {
    let spec = &plan.spec;
    let makes_some = plan
        .actions()
        .any(|action| matches!(action, Action::Run(_)));
    let Some(lacking) = siblings::lacking(spec, before).filter(|_| makes_some) else {
        return;
    };
    let flags = lacking.flags(spec, running::up_flags(spec, &context.settings));
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let (told, up) = (lacking.told(), context.again.command("up", &flags));
    context.ui.warn(&format!(
        "{told}, and new instances are not: no label and no setting says it; `{up}` replaces all by instances with it"
    ));
}

/// A run that may change something.
pub(super) struct Change<'a> {
    pub context: &'a Context<'a>,
    pub docker: &'a Docker,
    pub args: &'a ChangeArgs,
    pub before: &'a Inventory,
    /// Whether a failure is undone: not for `down`, which a second run finishes.
    pub undoes: bool,
    /// Whether requests are sent through the load balancer meanwhile, and how many may fail in the end.
    pub probes: Option<usize>,
    /// Where haproxy.cfg is written: found out once, so that what is checked is what is written.
    pub config_path: String,
}

impl<'a> Change<'a> {
    /// A change that is undone if it fails.
    pub(super) fn new(
        context: &'a Context<'a>,
        docker: &'a Docker,
        args: &'a ChangeArgs,
        before: &'a Inventory,
    ) -> Self {
        Self {
            context,
            docker,
            args,
            before,
            undoes: true,
            probes: None,
            config_path: config_file::behind_links(&args.config_out),
        }
    }

    /// Sends requests through the load balancer meanwhile, if that was asked for.
    pub(super) fn probing(self, args: ProbeArgs) -> Self {
        Self {
            probes: args.probe.then_some(args.max_failed),
            ..self
        }
    }

    /// Executes `plan`; if it fails, the endpoint is left as it was found, as far as that goes.
    pub(super) fn execute(&self, plan: &Plan) -> Result<Report, Failure> {
        let started = Instant::now();
        if writes_config(plan) {
            // First as the admin named it, for the words; what a link leads to was found out once.
            for path in [&self.args.config_out, &self.config_path] {
                config_file::check(Path::new(path), self.args.overwrite)?;
            }
        }
        self.context.interrupt.note_changing();
        self.warn_of_resets(plan);
        warn_of_powers(self.context, plan);
        warn_of_siblings(self.context, self.before, plan);
        for reason in &plan.reasons {
            self.context.ui.status(reason);
        }
        let guard = Guard::new(&plan.spec.names, self.before, !self.undoes);
        let workers = Mutex::default();
        let mut performer = Performer {
            servers: servers(self.before, plan),
            leaving: removed(plan),
            ..self.performer(
                plan,
                &guard,
                &workers,
                self.docker.clone(),
                self.context.interrupt.clone(),
            )
        };
        performer.replied = replied_before(&performer, plan);
        ready::would_pass(&performer)?;
        let probe = self.probe(plan);
        let steps = Mutex::new(Vec::new());
        let perform = |action: &Action| {
            let during = probe.as_ref().map(|probe| probe.during(action.phase()));
            let done = step::perform(&performer, action)?;
            if let Some(probe) = &probe {
                self.heed(probe, plan, action)?;
            }
            drop(during);
            Ok(done)
        };
        let outcome = self.run(plan, &perform, false, &|action, took| {
            let label = calls::label(action, &plan.spec);
            self.context.ui.step_done(&label, took);
            if let Ok(mut steps) = steps.lock() {
                steps.push((label, took));
            }
        });
        let failure = outcome.failure.clone().or_else(|| {
            let reloads = |action: &Action| matches!(action, Action::Reload(_));
            let serves = plan.actions().any(reloads);
            let (looked, others) = thread::scope(|scope| {
                let others = scope.spawn(|| {
                    if plan.only_pulls() {
                        return Ok(());
                    }
                    performer.others().none_changed()
                });
                let looked = serves.then(|| serving::last_look(&performer));
                (looked, look::join(others))
            });
            let probed = probe
                .as_ref()
                .map(|probe| self.last_heed(probe, &performer));
            let results = [others].into_iter().chain(looked).chain(probed);
            results.into_iter().find_map(Result::err)
        });
        match failure {
            None => {
                let receipt = probe.map(Probe::finish);
                self.context.interrupt.forget_standing();
                let reach = run::lock(&performer.reach).clone();
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
                let failure = self.aftermath(plan, &performer, &outcome, failure);
                drop(undoing);
                let receipt = probe.map(Probe::finish);
                Err(Failure { receipt, ..failure })
            }
        }
    }

    /// HAProxy 1.7 can't hand its listening sockets over.
    fn warn_of_resets(&self, plan: &Plan) {
        let reloads = plan
            .actions()
            .any(|action| matches!(action, Action::Reload(_)));
        let image = &plan.spec.lb_image;
        if reloads
            && plan
                .spec
                .lb_version
                .is_some_and(|version| version < versions::HANDS_OVER)
        {
            self.context.ui.warn(&format!(
                "`{image}` may reset a connection when it reloads under heavy load; LB_IMG=haproxy:1.8 or later keeps all"
            ));
        }
    }

    /// Requests through the load balancer that serves, if there is one and it can be reached.
    fn probe(&self, plan: &Plan) -> Option<Probe> {
        self.probes?;
        let Some(lb) = self.before.lb.as_ref().filter(|lb| lb.running()) else {
            let said = "--probe: nothing served before, so there is nothing to probe";
            self.context.ui.status(said);
            return None;
        };
        let config = self.before.written_config()?;
        let entrance = Entrance::new(self.docker, self.before, &plan.spec.external_net);
        let (port, speaks) = (config.lb_port, config.tuning.lb_speaks());
        let warn = |what: &str| {
            let warning = format!("--probe: {what}, so there is no receipt");
            self.context.ui.warn(&warning);
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
        Some(Probe::start(&place, speaks))
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
    fn last_heed(&self, probe: &Probe, performer: &Performer<'_>) -> Result<(), Failure> {
        let enough = || probe.since_last().is_none_or(|since| since.sent >= ENOUGH);
        let deadline = Instant::now() + performer.patience.settle;
        while !enough() && Instant::now() < deadline && performer.sleep(LOOK_EVERY) {}
        performer.check_interrupt()?;
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

    fn run(
        &self,
        plan: &Plan,
        perform: &(dyn Fn(&Action) -> Result<Done, Failure> + Sync),
        go_on: bool,
        on_done: &(dyn Fn(&Action, Duration) + Sync),
    ) -> Outcome {
        let deaf = Interrupt::default();
        let progress = self.context.ui.progress(plan.steps.len());
        let execution = Execution {
            jobs: usize::from(self.args.jobs),
            interrupt: if go_on { &deaf } else { self.context.interrupt },
            go_on,
            perform: &|action| {
                let _running = progress.running(&calls::label(action, &plan.spec));
                perform(action)
            },
            on_done: &|action, took| {
                progress.step_done();
                on_done(action, took);
            },
        };
        execution.run(plan)
    }

    fn performer<'p>(
        &'p self,
        plan: &'p Plan,
        guard: &'p Guard,
        workers: &'p Mutex<Workers>,
        docker: Docker,
        interrupt: Interrupt,
    ) -> Performer<'p> {
        Performer {
            docker,
            spec: &plan.spec,
            restarts: plan.restarts,
            before: self.before,
            guard,
            undoing: false,
            ui: self.context.ui,
            interrupt,
            patience: Patience {
                wait: self.args.wait,
                settle: self.args.settle,
                drain: self.args.drain,
            },
            config_path: self.config_path.clone(),
            servers: Vec::new(),
            leaving: BTreeSet::new(),
            replied: Replied::default(),
            workers,
            reach: Mutex::default(),
            passed: Mutex::default(),
            left_over: AtomicBool::new(false),
        }
    }

    /// Undoes what was done, unless it is to be kept or there is no way back, and says what still stands.
    fn aftermath(
        &self,
        plan: &Plan,
        performer: &Performer<'_>,
        outcome: &Outcome,
        failure: Failure,
    ) -> Failure {
        let happened = undo::Happened {
            done: &outcome.done,
            uncertain: &outcome.uncertain,
        };
        let mut failure = failure;
        let undo = undo::plan(&plan.spec, self.before, happened);
        if !self.undoes || undo.is_empty() {
            return failure;
        }
        if self.args.keep {
            failure.aftermath = Some("kept for inspection (--keep)".into());
            failure.standing = self.standing(made(outcome), self.now(plan).as_ref());
            return failure;
        }
        let now = self.now(plan);
        if !undo::possible(happened, now.as_ref()) {
            failure.aftermath = Some(
                if performer.guard.met_others() {
                    "not undone: what was removed does not come back"
                } else {
                    "not undone: what was removed does not come back; the new state is in force"
                }
                .into(),
            );
            failure.standing = self.standing(leaving(plan, outcome), now.as_ref());
            return failure;
        }
        let undone = self.go_back(&undo, performer);
        let lb_is_not_back = undone.uncertain.iter().any(Action::has_to_succeed);
        let second = undone.failure;
        failure
            .undoing
            .extend(second.map(|second| second.render().trim_end().to_owned()));
        if !lb_is_not_back {
            failure.standing = self.standing(made(outcome), self.now(plan).as_ref());
        }
        failure.aftermath = Some(
            if lb_is_not_back {
                "what was done could not be undone: the load balancer may send to new instances, so they stay"
            } else if failure.undoing.is_empty() && failure.standing.is_empty() {
                "what was done has been undone"
            } else {
                "what was done could not be undone wholly"
            }
            .into(),
        );
        failure
    }

    /// Executes `undo`, deaf to interrupts.
    fn go_back(&self, undo: &Plan, performer: &Performer<'_>) -> Outcome {
        self.context.ui.status("undoing what was done");
        self.context.interrupt.note_undoing();
        let docker = self.docker.uninterruptible();
        let deaf = Performer {
            undoing: true,
            replied: Replied {
                service: None,
                ..performer.replied
            },
            ..self.performer(
                undo,
                performer.guard,
                performer.workers,
                docker,
                Interrupt::default(),
            )
        };
        deaf.workers().begin_undoing();
        let perform = |action: &Action| step::perform(&deaf, action);
        self.run(undo, &perform, true, &|action, took| {
            let label = calls::label(action, &undo.spec);
            self.context.ui.step_done(&label, took);
        })
    }

    /// The service as it is now, if that can be told.
    fn now(&self, plan: &Plan) -> Option<Inventory> {
        let spec = &plan.spec;
        let wanted = Wanted::service(&spec.names, &spec.external_net);
        look::look(&self.docker.uninterruptible(), wanted).ok()
    }

    /// Of what some actions are about, all that is there, with what removes it.
    fn standing<'o>(
        &self,
        actions: impl Iterator<Item = &'o Action>,
        now: Option<&Inventory>,
    ) -> Vec<Standing> {
        let Some(now) = now else {
            return Vec::new();
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
                what: format!("container `{}`", container.name),
                remove: shown(argv::rm_force(std::slice::from_ref(&container.name))),
            })
            .collect();
        if let Some(bridge) = now.bridge.as_ref().filter(|_| network) {
            standing.push(Standing {
                what: format!("network `{}`", bridge.name),
                remove: shown(argv::network_rm(&bridge.name)),
            });
        }
        standing
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
