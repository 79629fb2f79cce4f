//! What all commands that change something share: show the plan, or execute it and undo it if it fails.

use std::path::Path;

use super::{Context, locked};
use crate::change::config_file;
use crate::change::record::{Command, Record};
use crate::change::run::Patience;
use crate::change::transaction::{Report, Transaction};
use crate::cli::{ChangeArgs, DryRun, ProbeArgs, Subcommands};
use crate::docker::Docker;
use crate::error::{Failure, exit};
use crate::inventory::Inventory;
use crate::place::{self, Place, Via};
use crate::plan::{Action, Plan};
use crate::preview::{Preview, preview};
use crate::script::{Style, script};
use crate::service::{running, siblings};
use crate::settings;
use crate::text::{list, printable};
use crate::{calls, host_ports};

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
    let template = plan.spec().and_then(|spec| spec.template.as_ref());
    let for_everybody = config_file::is_for_everybody(Path::new(&config), template.is_some());
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
    let is_script = args.dry_run != Some(DryRun::Plan);
    let shows = |this_form: bool| this_form || context.ui.json();
    let text = shows(is_script).then(|| script(plan, style)).transpose()?;
    let preview = shows(!is_script)
        .then(|| seen(context, args, before, plan))
        .transpose()?;
    warn_of_powers(context, plan);
    warn_of_siblings(context, before, plan);
    let config = Path::new(&args.config_out);
    if is_script && plan.servers().is_some() && !args.overwrite && config_file::is_foreign(config) {
        context.ui.warn(&format!(
            "the script replaces `{}`, which is no haproxy.cfg of vch-lb's or the script's",
            config.display()
        ));
    }
    if context.ui.json() {
        let steps: Vec<String> = plan
            .actions()
            .map(|action| calls::label(action, &plan.subject))
            .collect();
        context.ui.answer_json(&serde_json::json!({
            "schema": "vch-lb/plan/1",
            "changes": !plan.is_empty(),
            "reasons": plan.reasons,
            "steps": steps,
            "script": text,
            "plan": preview,
        }));
    } else if let Some(preview) = preview {
        context.ui.answer(&preview.text());
    } else if let Some(text) = text {
        context.ui.answer_script(&text);
    }
    Ok(if args.exit_code && !plan.is_empty() {
        exit::NOT_AS_DESIRED
    } else {
        exit::DONE
    })
}

/// The preview of `plan`, where settings come from as they were given.
fn seen(
    context: &Context<'_>,
    args: &ChangeArgs,
    before: &Inventory,
    plan: &Plan,
) -> Result<Preview, Failure> {
    // What is gone back to no setting says.
    let goes_back = matches!(context.cli.command, Some(Subcommands::Rollback(_)));
    let source = |name: &str| {
        if goes_back {
            return None;
        }
        let value = context.settings.get(name);
        (value.origin != settings::Origin::Default).then(|| value.source())
    };
    let jobs = usize::from(args.jobs);
    Ok(preview(plan, before, &patience(args), jobs, source)?)
}

fn patience(args: &ChangeArgs) -> Patience {
    Patience {
        wait: args.wait,
        settle: args.settle,
        drain: args.drain,
    }
}

/// Fails unless `plan` is what the admin has seen and agrees to, where that was asked for.
pub(super) fn agreed(
    context: &Context<'_>,
    args: &ChangeArgs,
    before: &Inventory,
    plan: &Plan,
) -> Result<(), Failure> {
    if !args.agrees_first() || plan.is_empty() {
        return Ok(());
    }
    let preview = seen(context, args, before, plan)?;
    let found = &preview.fingerprint;
    if let Some(wanted) = args.only_if.as_ref().filter(|wanted| *wanted != found) {
        let what = format!(
            "what is there, or what is to be done, is not what --if {} stands for: the fingerprint is {found}",
            printable(wanted)
        );
        return Err(Failure::failed(what).hinted(
            "the same command with --dry-run=plan in place of --if shows what it would do now",
        ));
    }
    if !args.confirm {
        return Ok(());
    }
    context.ui.tell(preview.text().trim_end());
    let interrupt = context.interrupt;
    match context.ui.ask("Do it? [y/N] ", || interrupt.raised()) {
        Some(answer) if matches!(answer.trim(), "y" | "Y" | "yes") => Ok(()),
        Some(_) => Err(Failure::failed("not confirmed: nothing was changed")),
        None => Err(match interrupt.signal() {
            Some(signal) => Failure::interrupted(signal),
            None => Failure::failed(
                "--confirm asks, and there is no terminal to answer at: nothing was changed",
            )
            .hinted(
                "--if FINGERPRINT, with the fingerprint that --dry-run=plan shows, needs no answer",
            ),
        }),
    }
}

/// Where the endpoint's host will publish the service, if it does and that can be told before the load balancer runs.
fn by_host(docker: &Docker, before: &Inventory, plan: &Plan) -> Option<Place> {
    let spec = plan.spec().filter(|_| !before.is_vch())?;
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

/// Where the values are that a script does not show: `up` has them from the settings, other commands from what runs.
fn whence_secrets(context: &Context<'_>, title: &str) -> String {
    if title != "vch-lb up" {
        return "the running containers (docker inspect)".to_owned();
    }
    let given = settings::words()
        .map(|setting| context.settings.get(setting.name))
        .filter(|value| value.origin != settings::Origin::Default)
        .map(|value| format!("{} ({})", value.setting.name, value.source()));
    given.collect::<Vec<_>>().join(" and ")
}

/// Says what new instances get beyond what a container has, where the endpoint told it: anybody there can have.
fn warn_of_powers(context: &Context<'_>, plan: &Plan) {
    let Some(spec) = plan.spec().filter(|_| plan.made().next().is_some()) else {
        return;
    };
    let Some(from) = &spec.args_from else {
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
    let Some(spec) = plan.spec().filter(|_| plan.made().next().is_some()) else {
        return;
    };
    let Some(lacking) = siblings::lacking(spec, before) else {
        return;
    };
    let flags = lacking.flags(spec, running::up_flags(spec, &context.settings));
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let (told, up) = (lacking.told(), context.suggest.command("up", &flags));
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
    /// Whether requests are sent through the load balancer meanwhile, and how many may fail in the end.
    pub probes: Option<usize>,
    /// Where haproxy.cfg is written: found out once, so that what is checked is what is written.
    pub config_path: String,
    /// The entry of the history that is gone back to.
    pub of: Option<u64>,
}

impl<'a> Change<'a> {
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
            probes: None,
            config_path: config_file::behind_links(&args.config_out),
            of: None,
        }
    }

    /// Sends requests through the load balancer meanwhile, if that was asked for.
    pub(super) fn probing(self, args: ProbeArgs) -> Self {
        Self {
            probes: args.probe.then_some(args.max_failed),
            ..self
        }
    }

    /// Executes `plan`; if it fails, the endpoint is left as it was found, as far as that goes. Not so after a `down`, which
    /// a second run finishes.
    pub(super) fn execute(&self, plan: &Plan) -> Result<Report, Failure> {
        if plan.servers().is_some() {
            // First as the admin named it, for the words; what a link leads to was found out once.
            for path in [&self.args.config_out, &self.config_path] {
                config_file::check(Path::new(path), self.args.overwrite)?;
            }
        }
        self.context.interrupt.note_changing();
        if let Some(spec) = plan.spec().filter(|_| plan.may_reset()) {
            self.context.ui.warn(&format!(
                "`{}` may reset a connection when it reloads under heavy load; LB_IMG=haproxy:1.8 or later keeps all",
                spec.lb_image
            ));
        }
        warn_of_powers(self.context, plan);
        warn_of_siblings(self.context, self.before, plan);
        for reason in &plan.reasons {
            self.context.ui.status(reason);
        }
        let transaction = Transaction {
            ui: self.context.ui,
            interrupt: self.context.interrupt,
            docker: self.docker,
            before: self.before,
            jobs: usize::from(self.args.jobs),
            patience: patience(self.args),
            config_path: self.config_path.clone(),
            keeps: self.args.keep,
            probes: self.probes,
        };
        self.recorded(plan, || transaction.execute(plan))
    }

    /// Carries out what `execute` does, and writes down in the service's history what became of it.
    fn recorded(
        &self,
        plan: &Plan,
        execute: impl FnOnce() -> Result<Report, Failure>,
    ) -> Result<Report, Failure> {
        // Of what `down` leaves there is no history.
        let record = plan.spec().map(|spec| Record {
            docker: self.docker,
            ui: self.context.ui,
            before: self.before,
            plan,
            spec,
            command: Command {
                who: locked::who(),
                words: self.context.command(),
                of: self.of,
            },
        });
        let Some(record) = record.filter(Record::is_kept) else {
            return execute();
        };
        let history = record.reads_first().then(|| record.read());
        let result = execute();
        record.write(
            history,
            result.as_ref().map(|report| report.receipt.as_ref()),
        );
        result
    }
}
