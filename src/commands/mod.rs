//! One file per subcommand: look, plan, show or execute, report. No docker argument is spelled here.

mod answer;
mod before;
mod change;
mod doctor;
mod down;
mod help;
mod history;
mod locked;
mod logs;
mod packaging;
mod render;
mod rollback;
mod rollout;
mod scale;
mod settings;
mod status;
mod up;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::SystemTime;

use crate::cli::{ChangeArgs, Cli, Subcommands};
use crate::digest;
use crate::docker::{Client, Docker};
use crate::error::{self, Failure, printable};
use crate::interrupt::{Interrupt, Said};
use crate::inventory::{Inventory, Kind};
use crate::look::{self, Wanted};
use crate::message::{Message, vch_lb};
use crate::namesakes;
use crate::service::arguments::Arguments;
use crate::service::brought::Workstation;
use crate::service::certificate;
use crate::service::edits::{self, Beside, Named};
use crate::service::running::{self, Own};
use crate::service::{self, Service, Spec};
use crate::settings as table;
use crate::settings::Settings;
use crate::settings::file::Assignments;
use crate::suggest::Suggest;
use crate::text;
use crate::ui::Ui;
use locked::{Locked, Taker};

/// What every command works with.
pub struct Context<'a> {
    pub cli: &'a Cli,
    pub ui: &'a Ui,
    pub interrupt: &'a Interrupt,
    pub settings: Settings,
    /// What the settings file says.
    pub file: Assignments,
    /// How commands are put that are suggested.
    pub suggest: Suggest,
    /// The lock of the service that is changed, once it is taken; given back with this.
    pub lock: Locked,
}

impl Context<'_> {
    /// The docker client; nothing is called yet.
    pub fn docker(&self) -> Result<Docker, Failure> {
        let args = &self.cli.docker;
        let client = Client {
            program: args.docker.clone(),
            host: args.host.clone(),
            context: args.context.clone(),
            timeout: args.timeout,
        };
        Docker::find(&client, self.interrupt, self.ui)
    }

    /// The whole spec, with the files that its settings name.
    pub fn spec(&self) -> Result<Spec, Failure> {
        let mut spec = Spec::from_settings(&self.settings)?;
        self.refuse_lost_edits()?;
        if let Some(template) = self.file(table::TEMPLATE)? {
            let text = String::from_utf8(template)
                .map_err(|_| self.complaint(table::TEMPLATE, "it is not UTF-8"))?;
            spec.template = Some(text);
        }
        if let Some(cert) = self.file(table::TLS_CERT)? {
            spec.cert = Some(cert);
        }
        service::files::check(&spec, &self.settings)?;
        if let Some(why) = spec
            .cert
            .as_deref()
            .and_then(|pem| certificate::not_valid(pem, SystemTime::now()))
        {
            self.ui
                .warn(&self.settings.get(table::TLS_CERT).complaint(why));
        }
        spec.looked_up(&self.settings, WORKSTATION)
    }

    /// Refuses a script that does what its settings don't say: it would be lost.
    fn refuse_lost_edits(&self) -> Result<(), Failure> {
        let docker = &self.cli.docker;
        let in_environment =
            |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let (host, endpoint) = (variable("DOCKER_HOST"), variable("DOCKER_CONTEXT"));
        // In the order in which docker heeds them.
        let named = [
            ("--host", docker.host.as_deref(), "the command line"),
            ("--context", docker.context.as_deref(), "the command line"),
            ("--host", host.as_deref(), "the environment"),
            ("--context", endpoint.as_deref(), "the environment"),
        ];
        let mut named = named
            .into_iter()
            .filter_map(|(flag, value, by)| value.map(|value| Named { flag, value, by }));
        let beside = Beside {
            endpoint: named.next(),
            environment: &in_environment,
        };
        let told = edits::told(&self.file, &self.settings, beside);
        for warning in &told.warnings {
            self.ui.warn(warning);
        }
        told.refusal.map_or(Ok(()), |refusal| {
            Err(Failure::usage(refusal).hinted(edits::HINT))
        })
    }

    /// The content of the file that the setting called `name` names.
    fn file(&self, name: &str) -> Result<Option<Vec<u8>>, Failure> {
        let path = &self.settings.get(name).text;
        if path.is_empty() {
            return Ok(None);
        }
        let content =
            std::fs::read(path).map_err(|error| self.complaint(name, &text::reason(&error)))?;
        Ok(Some(content))
    }

    /// The digest of the file that TLS_CERT names; where that can't be read, nothing is asked of it.
    fn cert_digest(&self) -> Option<String> {
        let cert = self.file(table::TLS_CERT).ok()?;
        cert.map(|pem| digest::of(&pem))
    }

    fn complaint(&self, name: &str, why: &str) -> Failure {
        Failure::usage(self.settings.get(name).complaint(why))
    }

    /// Looks, for a command that changes something. Several networks called PREFIX-net become one first.
    pub fn look(
        &self,
        docker: &Docker,
        wanted: Wanted<'_>,
        args: &ChangeArgs,
    ) -> Result<Inventory, Failure> {
        match self.look_alone(docker, wanted, args) {
            Err(failure)
                if failure.kind == error::Kind::NetworkAmbiguous && args.dry_run.is_none() =>
            {
                namesakes::settle(docker, self.ui, &wanted.service.names.network());
                self.look_alone(docker, wanted, args)
            }
            looked => looked,
        }
    }

    /// Looks, and takes the service's lock beside that; looks again where that took waiting.
    fn look_alone(
        &self,
        docker: &Docker,
        wanted: Wanted<'_>,
        args: &ChangeArgs,
    ) -> Result<Inventory, Failure> {
        if args.dry_run.is_some() || self.lock.is_held() {
            return look::look(docker, wanted);
        }
        let lock = Taker {
            locked: &self.lock,
            docker,
            lb: wanted.service.names.lb.as_str(),
            command: self.command(),
            ui: self.ui,
            interrupt: self.interrupt,
            came_to: Mutex::default(),
        };
        let inventory = look::look_beside(docker, wanted, &|endpoint| {
            if endpoint.kind == Kind::Engine {
                lock.take();
            }
        })?;
        if lock.await_it(args.lock_wait)? {
            return look::look(docker, wanted);
        }
        Ok(inventory)
    }

    /// The command in short.
    fn command(&self) -> String {
        match &self.cli.command {
            Some(Subcommands::Scale(args)) => format!("scale {}", args.count),
            Some(Subcommands::Rollout(_)) => "rollout".to_owned(),
            Some(Subcommands::Rollback(args)) => match args.to {
                Some(number) => format!("rollback --to {number}"),
                None => "rollback".to_owned(),
            },
            Some(Subcommands::Down(_)) => "down".to_owned(),
            _ => "up".to_owned(),
        }
    }

    /// The service that is running, and everything that is there of it.
    pub fn service_as_found(
        &self,
        docker: &Docker,
        args: &ChangeArgs,
    ) -> Result<(Spec, Inventory), Failure> {
        let service = Service::from_settings(&self.settings)?;
        let wanted = Wanted {
            other_lb: true,
            ..Wanted::of(&service)
        };
        let inventory = self.look(docker, wanted, args)?;
        self.refuse_other_lb(&service, &inventory)?;
        let own = self.own_instance_args();
        let spec = running::spec(&service, &own, &inventory)?;
        Ok((spec, inventory))
    }

    /// What the admin's own settings give to instances, for commands that else take that off what runs: settings that
    /// can't be used say nothing there.
    pub fn own_instance_args(&self) -> Own {
        let text = |name: &str| &self.settings.get(name).text;
        let arguments = Arguments::parse(text(table::INSTANCE_ARGS), None).unwrap_or_default();
        let prefix = text(table::INSTANCE_CTR_PREFIX);
        let looked_up = arguments.clone().looked_up(prefix, WORKSTATION);
        Own {
            arguments,
            looked_up,
        }
    }

    /// Refuses to touch a service whose load balancer has another name than LB_CTR_NAME says.
    pub fn refuse_other_lb(&self, service: &Service, inventory: &Inventory) -> Result<(), Failure> {
        let other = running::other_lb(service, &self.settings, inventory);
        other.map_or(Ok(()), |other| {
            Err(Failure::failed(other.what).hinted(other.remedy))
        })
    }

    /// Warns, with what says which service is meant put into the commands that `message` names.
    pub fn warn(&self, message: &Message) {
        self.ui.warn(&self.suggest.complete(message));
    }

    /// Listens for signals from here on: before the first call that changes something.
    pub fn listen(&self) -> Result<(), Failure> {
        let (first, second) = (self.ui.clone(), self.ui.clone());
        let way_on = self.suggest.complete(
            &(vch_lb("status")
                + " shows what stands; the same command, run again, goes on from there"),
        );
        let said = Said {
            first: Box::new(move || {
                first.warn("interrupted: letting the running docker calls complete (again to leave at once)");
            }),
            second: Box::new(move |signal, left| second.leaving_at_once(signal, left, &way_on)),
        };
        self.interrupt
            .listen(said)
            .map_err(|error| Failure::failed(format!("no handler for signals: {error}")))
    }
}

/// How arguments read this workstation: as the docker client does, but each file has to be there for every instance.
const WORKSTATION: Workstation<'_> = Workstation {
    file: &|path| {
        if std::fs::metadata(path)?.is_file() {
            std::fs::read(path)
        } else {
            Err(std::io::Error::other(
                "it is no regular file, and each instance needs to read it",
            ))
        }
    },
    variable: &|name| std::env::var_os(name),
};

/// What the settings file assigns, if one was named.
fn settings_file(cli: &Cli) -> Result<Assignments, Failure> {
    let Some(path) = &cli.settings_file.settings else {
        return Ok(Assignments::default());
    };
    let content = std::fs::read(path).map_err(|error| {
        let why = text::reason(&error);
        Failure::usage(format!("`{path}` (--settings) can't be read: {why}"))
    })?;
    let text = String::from_utf8(content).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = good.split(|byte| *byte == b'\n').count();
        Failure::usage(format!("{path}, line {line}: invalid UTF-8"))
    })?;
    let environment =
        |name: &str| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
    Assignments::parse_in(path, &text, &environment).map_err(Failure::usage)
}

/// The environment's values of settings. One that is no UTF-8 is refused: it would count as not set.
fn environment() -> Result<BTreeMap<&'static str, String>, Failure> {
    let mut values = BTreeMap::new();
    for setting in table::TABLE {
        let Some(value) = std::env::var_os(setting.name) else {
            continue;
        };
        let text = value.into_string().map_err(|value| {
            Failure::usage(format!(
                "{} is `{}` (environment variable {}): it is not UTF-8",
                setting.name,
                printable(&value.to_string_lossy()),
                setting.name
            ))
        })?;
        values.insert(setting.name, text);
    }
    Ok(values)
}

/// Runs the command that was asked for; the result is the exit code.
pub fn dispatch(cli: &Cli, ui: &Ui, interrupt: &Interrupt) -> Result<u8, Failure> {
    // Help is there for whoever can't set things right.
    let (file, environment) = if matches!(cli.command, Some(Subcommands::Help(_))) {
        Default::default()
    } else {
        (settings_file(cli)?, environment()?)
    };
    let settings = Settings::resolve(
        |name| cli.settings.get(name),
        |name| environment.get(name).cloned(),
        &file,
    );
    let suggest = Suggest::new(
        &settings,
        cli.settings_file.settings.as_deref(),
        cli.docker.host.as_deref(),
        cli.docker.context.as_deref(),
    );
    let suggest = match cli.command {
        None | Some(Subcommands::Up(_)) => suggest.with_flags_of_up(&settings),
        _ => suggest,
    };
    let context = Context {
        cli,
        ui,
        interrupt,
        settings,
        file,
        suggest,
        lock: Locked::default(),
    };
    let complete = |message: &Message| context.suggest.complete(message);
    run(&context).map_err(|failure| failure.completed(complete))
}

fn run(context: &Context<'_>) -> Result<u8, Failure> {
    let Context { cli, ui, .. } = *context;
    match &cli.command {
        None => up::up(context, &cli.up),
        Some(Subcommands::Up(args)) => up::up(context, args),
        Some(Subcommands::Scale(args)) => scale::scale(context, args),
        Some(Subcommands::Rollout(args)) => rollout::rollout(context, args),
        Some(Subcommands::Rollback(args)) => rollback::rollback(context, args),
        Some(Subcommands::History) => history::show(context),
        Some(Subcommands::Status(args)) => status::show(context, args),
        Some(Subcommands::Logs(args)) => logs::logs(context, args),
        Some(Subcommands::Down(args)) => down::down(context, args),
        Some(Subcommands::Settings) => settings::show(context),
        Some(Subcommands::Render) => render::render(context),
        Some(Subcommands::Doctor(args)) => doctor::examine(context, args),
        Some(Subcommands::Completions(args)) => Ok(packaging::completions(ui, args)),
        Some(Subcommands::Man(args)) => packaging::man(ui, args),
        Some(Subcommands::Help(args)) => Ok(help::explain(ui, args)),
    }
}
