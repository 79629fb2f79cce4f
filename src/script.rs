//! A plan as the bash script that `--dry-run` prints: it stands on its own, and runs the very calls that would be run.
//! Pure.

use std::fmt::Write as _;

use crate::calls;
use crate::docker::argv::quote;
use crate::haproxy::Config;
use crate::plan::{Action, Plan};
use crate::spec::Spec;
use crate::spec::names::Number;

/// How the script calls docker and where it writes haproxy.cfg.
#[derive(Debug, Clone, Copy)]
pub struct Style<'a> {
    /// The words before docker's subcommand, quoted: `docker -H tcp://vch:2376`.
    pub docker: &'a str,
    /// The local haproxy.cfg.
    pub config: &'a str,
    /// What the script is for: `vch-lb up`.
    pub title: &'a str,
}

/// The script for `plan`.
pub fn script(plan: &Plan, style: Style<'_>) -> anyhow::Result<String> {
    let mut text = String::from("#!/usr/bin/env bash\n");
    let _ = writeln!(text, "# What `{}` would do.", style.title);
    for reason in &plan.reasons {
        let _ = writeln!(text, "# {reason}");
    }
    text.push_str("set -euo pipefail\n\n");
    for action in plan.actions() {
        write_action(&mut text, action, &plan.spec, style)?;
    }
    Ok(text)
}

fn write_action(
    text: &mut String,
    action: &Action,
    spec: &Spec,
    style: Style<'_>,
) -> anyhow::Result<()> {
    if let Action::CopyConfig(servers) | Action::Reload(servers) = action {
        write_config(text, spec, servers, style.config)?;
    }
    let calls = calls::changing(action, spec, style.config);
    if calls.is_empty() && !matches!(action, Action::AwaitService) {
        let _ = writeln!(text, "# {}", calls::label(action, spec));
    }
    for call in calls {
        let _ = writeln!(text, "{} {}", style.docker, call.script());
    }
    if *action == Action::AwaitService {
        write_answer(text, spec, style);
    }
    Ok(())
}

/// haproxy.cfg as a quoted here-document: bash changes nothing in it.
fn write_config(
    text: &mut String,
    spec: &Spec,
    servers: &[Number],
    path: &str,
) -> anyhow::Result<()> {
    let config = Config::by_name(spec, servers).render()?;
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
    let _ = write!(
        text,
        "cat > {path} <<'{end}'\n{config}{end}\nchmod 644 {path}\n"
    );
    Ok(())
}

/// The last lines of the script that this one replaces.
fn write_answer(text: &mut String, spec: &Spec, style: Style<'_>) {
    let network = spec.external_net.as_str();
    let template = format!(
        "{{{{with index .NetworkSettings.Networks \"{network}\"}}}}{{{{.IPAddress}}}}{{{{end}}}}"
    );
    let _ = writeln!(text, "echo");
    let _ = writeln!(text, "echo 'Service is available at'");
    let _ = writeln!(
        text,
        "{} inspect -f {} {}",
        style.docker,
        quote(&[template]),
        spec.names.lb
    );
    let _ = writeln!(
        text,
        "echo {}",
        quote(&[format!("on port {}", spec.lb_port)])
    );
}
