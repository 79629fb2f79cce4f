//! The answer of every command that leaves a service behind: where it is, and how the change went.

use serde_json::json;

use super::Context;
use super::change::{Change, Report};
use crate::error::{Failure, exit};
use crate::inventory::{Container, Inventory};
use crate::judge::{self, Quality};
use crate::look;
use crate::plan::Plan;
use crate::reach::{self, Reach};
use crate::spec::{Publish, Spec};
use crate::ui::{plural, seconds};

/// What is said where nothing proved that the service works.
const NOT_SHOWN: &str = "it was not shown that the service answers";

/// Executes `plan` and answers; the result is the exit code.
pub(super) fn carry_out(change: &Change<'_>, plan: &Plan) -> Result<u8, Failure> {
    let report = change.execute(plan)?;
    // What was asked for is done by now: whatever can't be told is no failure of it.
    let reach = reach_after(change, &plan.spec, &report);
    say(change.context, &plan.spec, reach.as_ref(), Some(&report));
    Ok(exit::DONE)
}

/// Says that everything is as wanted, and answers; warns where the service itself does not.
pub(super) fn nothing_to_do(
    context: &Context<'_>,
    spec: &Spec,
    inventory: &Inventory,
    said: &str,
) -> Result<u8, Failure> {
    context.ui.status(said);
    let address = address(spec, inventory.lb.as_ref());
    let address = address.ok_or_else(|| Failure::failed(no_address(spec)))?;
    say(context, spec, Some(&ask(context, spec, address)), None);
    Ok(exit::DONE)
}

/// The load balancer's address on EXTERNAL_NET.
fn address(spec: &Spec, lb: Option<&Container>) -> Option<String> {
    lb?.address_on(spec.external_net.as_str())
        .map(str::to_owned)
}

fn no_address(spec: &Spec) -> String {
    format!(
        "the load balancer `{}` runs, but has no address on `{}`",
        spec.names.lb, spec.external_net
    )
}

/// Asks the service, and warns where it does not work. Not being reachable from here is no sign of anything.
fn ask(context: &Context<'_>, spec: &Spec, address: String) -> Reach {
    let (port, speaks) = (spec.lb_port.get(), spec.tuning.lb_speaks());
    let reply = reach::ask(&address, port, speaks);
    match judge::quality(reply, speaks) {
        Quality::Works => {}
        Quality::Untold => context.ui.status(NOT_SHOWN),
        Quality::Fails | Quality::Nobody => warn(context, &reach::fails(&spec.names.lb, reply)),
    }
    Reach { address, reply }
}

fn warn(context: &Context<'_>, what: &str) {
    let warning = format!("{what}: `vch-lb status` and `vch-lb logs` say more");
    context.ui.warn(&context.again.complete(&warning));
}

/// Where the service is after an executed plan; warns where it does not answer, or is nowhere.
fn reach_after(change: &Change<'_>, spec: &Spec, report: &Report) -> Option<Reach> {
    let Change {
        context, before, ..
    } = change;
    if let Some(reach) = report.reach.clone() {
        match judge::quality(reach.reply, spec.tuning.lb_speaks()) {
            Quality::Works => {}
            Quality::Untold => {
                let warning = why_no_answer(spec, before, &reach.address);
                context.ui.warn(&context.again.complete(&warning));
            }
            Quality::Fails | Quality::Nobody => {
                warn(context, &reach::fails(&spec.names.lb, reach.reply));
            }
        }
        return Some(reach);
    }
    let docker = change.docker.uninterruptible();
    let now = look::container(&docker, spec.names.lb.as_str());
    let found = address(spec, now.ok().flatten().as_ref());
    if found.is_none() {
        warn(context, &no_address(spec));
    }
    Some(ask(context, spec, found?))
}

/// The last lines of the script that this tool replaces: the answer of every command that leaves a service behind.
fn say(context: &Context<'_>, spec: &Spec, reach: Option<&Reach>, report: Option<&Report>) {
    if context.ui.json() {
        let steps: Vec<_> = report
            .iter()
            .flat_map(|report| &report.steps)
            .map(|(label, took)| json!({ "step": label, "seconds": took.as_secs_f64() }))
            .collect();
        context.ui.answer_json(&json!({
            "schema": "vch-lb/up/1",
            "changed": report.is_some(),
            "address": reach.map(|reach| &reach.address),
            "port": spec.lb_port.get(),
            "answered": reach.is_some_and(Reach::answered),
            "http_status": reach.and_then(|reach| reach.reply.status()),
            "seconds": report.map(|report| report.took.as_secs_f64()),
            "steps": steps,
            "probe": report.and_then(|report| report.receipt.as_ref()),
        }));
        return;
    }
    if let Some(report) = report {
        let instances = plural(spec.count.get(), "instance");
        let took = seconds(report.took);
        let shown = match reach {
            Some(reach) if !reach.answered() => format!("; {NOT_SHOWN}"),
            _ => String::new(),
        };
        context.ui.status(&format!(
            "done in {took}: {instances} behind `{}`{shown}",
            spec.names.lb
        ));
    }
    if let Some(receipt) = report.and_then(|report| report.receipt.as_ref()) {
        context.ui.answer(&receipt.text());
    }
    if let Some(Reach { address, .. }) = reach {
        let port = spec.lb_port;
        context.ui.answer(&format!(
            "\nService is available at\n{address}\non port {port}\n"
        ));
    }
}

/// Why a load balancer that runs may not answer, as far as that can be told from here.
fn why_no_answer(spec: &Spec, inventory: &Inventory, address: &str) -> String {
    let port = spec.lb_port;
    let net = &spec.external_net;
    let unpublished = inventory.is_vch()
        && match &inventory.lb {
            Some(lb) => !lb.published.contains(&format!("{port}/tcp")),
            None => spec.publish == Publish::Never,
        };
    if unpublished {
        return format!(
            "{address}:{port} does not answer from here: a VCH's container network drops every port that was not \
             published, and `{}` publishes none; `vch-lb up --recreate-lb` with PUBLISH_LB=auto opens it",
            spec.names.lb
        );
    }
    if inventory.is_vch() {
        return format!(
            "{address}:{port} does not answer from here: there may be no route from this workstation to `{net}`, or its \
             firewall lets nobody in (the VCH's administrator decides that with --container-network-firewall)"
        );
    }
    format!(
        "{address}:{port} does not answer from here: there may be no route from this workstation to `{net}`"
    )
}
