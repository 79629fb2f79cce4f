//! `vch-lb doctor`: looks at everything that a deployment depends on, and changes nothing.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::Context;
use crate::change::config_file;
use crate::cli::DoctorArgs;
use crate::docker::answer::{self, json};
use crate::docker::argv;
use crate::docker::{CallError, Docker};
use crate::doctor::client::{FileState, TlsFile, Way};
use crate::doctor::endpoint::There;
use crate::doctor::{Check, Facts, LocalConfig, Report, Verdict, Wanted, diagnose};
use crate::error::{Failure, Kind, printable};
use crate::haproxy::Config;
use crate::host_ports::{self, Taken};
use crate::inventory::Endpoint;
use crate::look;
use crate::service::names::{ContainerName, Count, ImageRef, Names, NetworkName, Port, Prefix};
use crate::service::{Service, Spec, arguments};
use crate::settings::{self, Settings};
use crate::text::{self, plural};
use crate::ui::{self, Paint};

pub(super) fn examine(context: &Context<'_>, args: &DoctorArgs) -> Result<u8, Failure> {
    context.listen()?;
    let mut report = diagnose(&facts(context, args)?);
    for check in &mut report.checks {
        let remedy = check.remedy.take();
        check.remedy = remedy.map(|remedy| context.suggest.complete(&remedy).into());
    }
    if context.ui.json() {
        context.ui.answer_json(&serde_json::json!({
            "schema": "vch-lb/doctor/1",
            "exit_code": report.exit_code(),
            "checks": report.checks,
            "skipped": report.skipped,
        }));
    } else {
        context.ui.answer(&text(&report));
    }
    Ok(report.exit_code())
}

/// Finds out everything. Only an interrupt is an error: what can't be found out is a fact, too.
fn facts(context: &Context<'_>, args: &DoctorArgs) -> Result<Facts, Failure> {
    let settings = &context.settings;
    let spec = context.spec();
    let wanted = wanted(settings, spec.as_ref().ok());
    let mut way = way(context);
    let docker = context.docker();
    let (client, there) = match &docker {
        Err(_) => (None, None),
        Ok(docker) => {
            // Without an answer, from a client that is too old, flags and environment have to do.
            way.context = docker
                .query(&argv::context_inspect())
                .ok()
                .and_then(|answer| json(&answer.stdout).ok());
            let (client, there) = reach(docker, settings, &wanted);
            (client, Some(there))
        }
    };
    if let Some(Err(failure)) = &there
        && let Kind::Interrupted(_) = failure.kind
    {
        return Err(failure.clone());
    }
    if let Some(signal) = context.interrupt.signal() {
        return Err(Failure::interrupted(signal));
    }
    let rendered = spec.as_ref().ok().map(|spec| {
        let numbers: Vec<_> = (1..).take(spec.count.get()).collect();
        let text = Config::by_name(spec, &numbers).render();
        text.map(|text| text.lines().count()).map_err(Failure::from)
    });
    Ok(Facts {
        way,
        program: docker.map(|docker| docker.program().to_owned()),
        client,
        there,
        wanted,
        complaints: complaints(spec.err().as_ref()),
        config: LocalConfig {
            path: args.config_out.clone(),
            rendered,
            writable: config_file::check(Path::new(&args.config_out), false),
        },
    })
}

/// Asks client and endpoint who they are, and goes on if there is an endpoint.
fn reach(
    docker: &Docker,
    settings: &Settings,
    wanted: &Wanted,
) -> (Option<answer::ClientVersion>, Result<There, Failure>) {
    let argv = argv::version();
    let answer = docker.query(&argv);
    let stdout = match &answer {
        Ok(answer) => &answer.stdout,
        Err(error) => &error.stdout,
    };
    let version: Option<answer::Version> = json(stdout).ok();
    let client = version.as_ref().map(|version| version.client.clone());
    let client = client.filter(|client| !client.version.is_empty());
    if let Err(error) = &answer
        && ends_it(error)
    {
        let failure = Failure::from_call("the endpoint can't be used", error);
        return (client, Err(failure));
    }
    let server = version.and_then(|version| version.server);
    let there = look::info(docker).map(|info| there(docker, settings, wanted, info, server));
    (client, there)
}

/// Whether another call would fail as this one did.
fn ends_it(error: &CallError) -> bool {
    error.concerns_every_call() || error.timed_out()
}

/// Looks at what concerns the service, as far as its settings are usable.
fn there(
    docker: &Docker,
    settings: &Settings,
    wanted: &Wanted,
    info: answer::Info,
    server: Option<answer::ServerVersion>,
) -> There {
    let inventory = Service::from_settings(settings).ok().map(|service| {
        let wanted = look::Wanted {
            strangers: true,
            ..look::Wanted::of(&service)
        };
        look::look_with(docker, wanted, || Ok(Endpoint::new(info.clone())), &|_| {})
    });
    let external = match (&inventory, &wanted.external_net) {
        (Some(Ok(inventory)), _) => Ok(inventory.external.clone()),
        (_, Some(name)) => {
            look::networks_called(docker, &[name.as_str()]).map(|mut found| found.pop())
        }
        (_, None) => Ok(None),
    };
    let images: BTreeSet<&str> = [&wanted.image, &wanted.lb_image]
        .into_iter()
        .flatten()
        .map(ImageRef::as_str)
        .collect();
    let images: Vec<&str> = images.into_iter().collect();
    There {
        info,
        server,
        networks: look::listed_networks(docker),
        host: docker.host().cloned(),
        taken: taken(docker, wanted),
        external,
        inventory,
        images: look::images_called(docker, &images),
    }
}

/// The ports that others have, where the load balancer will want any.
fn taken(docker: &Docker, wanted: &Wanted) -> Result<Vec<Taken>, Failure> {
    let spec = wanted.spec.as_ref();
    if spec.is_some_and(|spec| !host_ports::wanted(spec).is_empty()) {
        look::published_ports(docker)
    } else {
        Ok(Vec::new())
    }
}

/// Each setting that is usable by itself.
fn wanted(settings: &Settings, spec: Option<&Spec>) -> Wanted {
    fn usable<T>(
        settings: &Settings,
        name: &str,
        parse: fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        parse(&settings.get(name).text).ok()
    }
    let prefix = usable(settings, settings::INSTANCE_CTR_PREFIX, Prefix::parse);
    let lb = usable(settings, settings::LB_CTR_NAME, ContainerName::parse);
    Wanted {
        names: prefix.zip(lb).map(|(prefix, lb)| Names { prefix, lb }),
        external_net: usable(settings, settings::EXTERNAL_NET, NetworkName::parse),
        image: usable(settings, settings::INSTANCE_IMG, ImageRef::parse),
        lb_image: usable(settings, settings::LB_IMG, ImageRef::parse),
        count: usable(settings, settings::NUM_INSTANCES, Count::parse),
        lb_port: usable(settings, settings::LB_PORT, Port::parse),
        publish: spec.map(|spec| spec.publish),
        spec: spec.cloned(),
        instance_args: usable(settings, settings::INSTANCE_ARGS, arguments::split)
            .unwrap_or_default(),
        lb_args: usable(settings, settings::LB_ARGS, arguments::split).unwrap_or_default(),
    }
}

fn complaints(refusal: Option<&Failure>) -> Vec<String> {
    // Complaints stand below each other, indented.
    let all = refusal.map(|failure| failure.what.split("\n       "));
    all.into_iter().flatten().map(str::to_owned).collect()
}

/// What flags and environment say of the way to the endpoint.
fn way(context: &Context<'_>) -> Way {
    let args = &context.cli.docker;
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let cert_path = set("DOCKER_CERT_PATH");
    let folder = cert_path
        .clone()
        .or_else(|| set("DOCKER_CONFIG"))
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".docker")))
        .unwrap_or_default();
    Way {
        host_flag: args.host.clone(),
        context_flag: args.context.clone(),
        docker_host: set("DOCKER_HOST"),
        docker_context: set("DOCKER_CONTEXT"),
        api_version: set("DOCKER_API_VERSION"),
        tls: set("DOCKER_TLS"),
        tls_verify: set("DOCKER_TLS_VERIFY"),
        cert_path,
        files: ["ca.pem", "cert.pem", "key.pem"]
            .map(|name| tls_file(&folder, name))
            .to_vec(),
        context: None,
    }
}

fn tls_file(folder: &Path, name: &'static str) -> TlsFile {
    let path = folder.join(name);
    let state = match std::fs::read(&path) {
        Ok(_) => FileState::There,
        Err(error) if error.kind() == ErrorKind::NotFound => FileState::Missing,
        Err(error) => FileState::Unreadable(text::reason(&error)),
    };
    TlsFile {
        name,
        path: path.display().to_string(),
        state,
    }
}

const COLUMN: usize = "failure".len();

fn text(report: &Report) -> String {
    let mut text = String::new();
    for check in &report.checks {
        line(&mut text, check);
    }
    if !report.skipped.is_empty() {
        let _ = writeln!(
            text,
            "{:COLUMN$}  {}: they need an endpoint that answers",
            "skipped",
            report
                .skipped
                .iter()
                .map(|about| label(about))
                .collect::<Vec<_>>()
                .join(", ")
        );
    }
    let found = [Verdict::Failure, Verdict::Warning]
        .map(|verdict| (report.count(verdict), verdict.word()))
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| plural(count, word))
        .collect::<Vec<_>>();
    let end = match found.as_slice() {
        [] => "all is well".to_owned(),
        some => some.join(", "),
    };
    let _ = writeln!(text, "\n{end}");
    text
}

/// One line, and below it, indented, what is to be done.
fn line(text: &mut String, check: &Check) {
    let style = style(check.verdict);
    let word = check.verdict.word();
    let mut found = check.found.lines().map(printable);
    let _ = writeln!(
        text,
        "{style}{word:COLUMN$}{style:#}  {}: {}",
        label(check.check),
        found.next().unwrap_or_default()
    );
    let faint = ui::FAINT;
    let mut below = |shown: &str| {
        let _ = writeln!(text, "{:COLUMN$}    {shown}", "");
    };
    for more in found {
        below(&more);
    }
    if let Some(call) = &check.call {
        below(&printable(call));
    }
    for words in check.docker.iter().flat_map(|words| words.lines()) {
        below(&format!("| {}", printable(words)));
    }
    if let Some(remedy) = &check.remedy {
        below(&printable(&remedy.to_string()));
    }
    if let Some(note) = &check.note {
        below(&format!("{faint}note: {}{faint:#}", printable(note)));
    }
}

fn label(about: &str) -> String {
    match about {
        "tls" => "TLS".to_owned(),
        other => other.replace('-', " "),
    }
}

fn style(verdict: Verdict) -> Paint {
    match verdict {
        Verdict::Ok => ui::FINE,
        Verdict::Warning => ui::WARNING,
        Verdict::Failure => ui::ERROR,
    }
}
