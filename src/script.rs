//! A plan as the bash script that `--dry-run` prints: it stands on its own, and runs the very calls that would be run.
//! Pure.

use std::fmt::Write as _;
use std::time::Duration;

use crate::calls;
use crate::digest;
use crate::docker::argv::Argv;
use crate::docker::words::quote;
use crate::haproxy::{self, Config};
use crate::place::Place;
use crate::plan::{Action, Back, Plan};
use crate::secrets::Variables;
use crate::service::Spec;
use crate::service::names::Number;
use crate::service::tuning::ServerAddress;

/// How the script calls docker and where it writes haproxy.cfg.
#[derive(Debug, Clone, Copy)]
pub struct Style<'a> {
    /// The words before docker's subcommand, quoted: `docker -H tcp://vch:2376`.
    pub docker: &'a str,
    /// The local haproxy.cfg.
    pub config: &'a str,
    /// Whether everybody may read it, now or once it is written.
    pub for_everybody: bool,
    /// Whether it goes into the load balancer as an archive: it is not for everybody, or there is no file to copy it over.
    pub by_archive: bool,
    /// Where the endpoint's host publishes the service, if it does.
    pub host: Option<&'a Place>,
    /// The local certificate.
    pub cert: &'a str,
    /// The local template.
    pub template: &'a str,
    /// Where the values are that it does not show.
    pub secrets: &'a str,
    /// What the script is for: `vch-lb up`.
    pub title: &'a str,
    /// Seconds that stand for watching and for waiting until something is ready.
    pub settle: u64,
    /// Seconds that stand for draining.
    pub drain: u64,
}

/// The script for `plan`.
pub fn script(plan: &Plan, style: Style<'_>) -> anyhow::Result<String> {
    let mut text = String::from("#!/usr/bin/env bash\n");
    let _ = writeln!(text, "# What `{}` would do.", style.title);
    for reason in &plan.reasons {
        let _ = writeln!(text, "# {reason}");
    }
    text.push_str("set -euo pipefail\n\n");
    if plan.is_empty() {
        text.push_str("# Nothing to do: up to date.\n");
    }
    let mut secrets = Variables::default();
    let mut body = String::new();
    for action in plan.actions() {
        write_action(&mut body, action, plan, style, &mut secrets)?;
    }
    Ok(text + &secrets.preamble(style.secrets) + &body)
}

fn write_action(
    text: &mut String,
    action: &Action,
    plan: &Plan,
    style: Style<'_>,
    secrets: &mut Variables,
) -> anyhow::Result<()> {
    let (subject, lb) = (&plan.subject, plan.names().lb.as_str());
    if let Action::CopyConfig(servers) | Action::Reload(servers) = action
        && let Some(spec) = plan.spec()
    {
        write_config(text, spec, servers, style, secrets)?;
    }
    let calls = calls::changing(action, subject, plan.restarts, style.config);
    if calls.is_empty() && !matches!(action, Action::AwaitService) {
        let _ = writeln!(
            text,
            "sleep {}  # {}",
            pause(action, plan, style),
            calls::label(action, subject)
        );
    }
    if *action == Action::CopyFiles
        && let Some(spec) = plan.spec()
    {
        write_file_copies(text, spec, &calls, style);
        return Ok(());
    }
    for call in calls {
        if style.by_archive && call == calls::copy(lb, style.config) {
            let call = calls::restore(lb);
            write_archive(text, haproxy::CONFIG_NAME, style.config, &call, style);
        } else {
            let _ = writeln!(text, "{} {}", style.docker, call.script_with(secrets));
        }
    }
    if matches!(
        action,
        Action::Reload(_) | Action::RestoreConfig(Back::Asked | Back::Elsewhere)
    ) {
        let _ = writeln!(
            text,
            "sleep 1  # HAProxy drops a HUP that arrives while it reloads"
        );
    }
    if *action == Action::AwaitService
        && let Some(spec) = plan.spec()
    {
        write_answer(text, spec, style);
    }
    Ok(())
}

/// How long the script sleeps where the tool would look: a script can only allow for time.
fn pause(action: &Action, plan: &Plan, style: Style<'_>) -> u64 {
    match (action, plan.spec()) {
        (Action::Drain, _) => style.drain,
        (Action::Watch(_), Some(spec)) => {
            let watch = spec.tuning.watch(Duration::from_secs(style.settle));
            // A second that has begun counts whole.
            watch.as_secs() + u64::from(watch.subsec_nanos() > 0)
        }
        _ => style.settle,
    }
}

/// Files go in through tar, which gives them the name and the mode that they need there.
fn write_file_copies(text: &mut String, spec: &Spec, calls: &[Argv], style: Style<'_>) {
    let paths = calls::files(spec).into_iter().map(|(name, _)| {
        let path = if name == haproxy::CERT_NAME {
            style.cert
        } else {
            style.template
        };
        (name, path)
    });
    for ((name, path), call) in paths.zip(calls) {
        write_archive(text, name, path, call, style);
    }
}

fn write_archive(text: &mut String, name: &str, path: &str, call: &Argv, style: Style<'_>) {
    let rename = quote(&[format!("--transform=s|.*|{name}|")]);
    let path = quote(&[path]);
    let _ = writeln!(
        text,
        "tar --create --mode=644 {rename} --file=- -- {path} | {} {}",
        style.docker,
        call.script()
    );
}

/// haproxy.cfg as a quoted here-document: bash changes nothing in it.
fn write_config(
    text: &mut String,
    spec: &Spec,
    servers: &[Number],
    style: Style<'_>,
    secrets: &mut Variables,
) -> anyhow::Result<()> {
    let Style {
        config: path,
        docker,
        ..
    } = style;
    let by_ip = spec.tuning.server_address == ServerAddress::Ip;
    let config = Config::by_address(spec, servers, |_, name| {
        if by_ip {
            format!("@{name}@")
        } else {
            name.to_owned()
        }
    });
    let config = config.render()?;
    // The line at its head repeats what the load balancer was made with.
    let (config, marks) = secrets.marked(&config, spec.tuning.lb_args.words());
    let mut end = String::from("HAPROXY_CFG");
    while config.lines().any(|line| line == end) {
        end.push('_');
    }
    // `chmod` would take it for an option.
    let path = if path.starts_with('-') {
        quote(&[format!("./{path}")])
    } else {
        quote(&[path])
    };
    if !style.for_everybody {
        let _ = writeln!(text, "[ -e {path} ] || install -m 600 /dev/null {path}");
    }
    let _ = write!(text, "cat > {path} <<'{end}'\n{config}{end}\n");
    if by_ip || !marks.is_empty() {
        let _ = writeln!(text, "config=$(<{path})");
        if by_ip {
            write_addresses(text, spec, servers, docker);
        }
        for (mark, variable) in marks {
            let _ = writeln!(text, "config=${{config//{mark}/\"${variable}\"}}");
        }
        // The checksum at the head is that of what follows it.
        let _ = writeln!(
            text,
            "rest=${{config#*sum={digits}}}",
            digits = "?".repeat(digest::DIGITS)
        );
        let _ = writeln!(text, "sum=$(printf '%s\\n' \"$rest\" | sha256sum)");
        let _ = writeln!(
            text,
            "printf '%s\\n' \"${{config%%sum=*}}sum=${{sum:0:{}}}$rest\" > {path}",
            digest::DIGITS
        );
    }
    if style.for_everybody {
        let _ = writeln!(text, "chmod 644 {path}");
    }
    Ok(())
}

/// Addresses are known only when the instances run: the script asks for them.
fn write_addresses(text: &mut String, spec: &Spec, servers: &[Number], docker: &str) {
    let template = address_on(&spec.names().network());
    for name in spec.names().instances(servers) {
        let _ = writeln!(
            text,
            "config=${{config//@{name}@/$({docker} inspect -f {template} {name})}}"
        );
    }
}

/// A Go template for a container's address on `network`, quoted.
fn address_on(network: &str) -> String {
    let with = format!(
        "{{{{with index .NetworkSettings.Networks \"{network}\"}}}}{{{{.IPAddress}}}}{{{{end}}}}"
    );
    quote(&[with])
}

/// The last lines of the script that this one replaces.
fn write_answer(text: &mut String, spec: &Spec, style: Style<'_>) {
    let _ = writeln!(text, "echo");
    let _ = writeln!(text, "echo 'Service is available at'");
    let port = if let Some(Place { address, port, .. }) = style.host {
        let _ = writeln!(text, "echo {}", quote(&[address]));
        *port
    } else {
        let template = address_on(spec.external_net().as_str());
        let lb = &spec.names().lb;
        let _ = writeln!(text, "{} inspect -f {template} {lb}", style.docker);
        spec.lb_port.get()
    };
    let _ = writeln!(text, "echo {}", quote(&[format!("on port {port}")]));
}
