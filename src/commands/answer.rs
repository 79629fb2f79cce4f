//! The answer of every command that leaves a service behind: where it is, and how the change went.

use serde_json::json;

use super::Context;
use super::change::{Change, Report};
use crate::error::{Failure, exit};
use crate::inventory::Inventory;
use crate::plan::Plan;
use crate::reach::{self, Reach};
use crate::spec::{Publish, Spec};
use crate::ui::{plural, seconds};

/// Executes `plan` and answers; the result is the exit code.
pub(super) fn carry_out(change: &Change<'_>, plan: &Plan) -> Result<u8, Failure> {
    let report = change.execute(plan)?;
    answer(change.context, &plan.spec, change.before, &report)?;
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
    let mut reach = reach_before(spec, inventory)?;
    let (port, speaks) = (spec.lb_port.get(), spec.tuning.lb_speaks());
    // Not being reachable from here is no sign of anything.
    reach.answered = reach::ask(&reach.address, port, speaks).answers() != Some(false);
    if !reach.answered {
        let lb = &spec.names.lb;
        let warning = format!(
            "{}: `vch-lb status` and `vch-lb logs` say more",
            reach::no_answer(lb)
        );
        context.ui.warn(&context.again.complete(&warning));
    }
    say(context, spec, &reach, None);
    Ok(exit::DONE)
}

/// The address as it was when this run looked: what changed since did not touch it.
fn reach_before(spec: &Spec, inventory: &Inventory) -> Result<Reach, Failure> {
    let lb = inventory.lb.as_ref();
    match lb.and_then(|lb| lb.address_on(spec.external_net.as_str())) {
        Some(address) => Ok(Reach {
            address: address.to_owned(),
            answered: true,
        }),
        None => Err(Failure::failed(format!(
            "the load balancer `{}` runs, but has no address on `{}`",
            spec.names.lb, spec.external_net
        ))),
    }
}

/// Answers for an executed plan.
fn answer(
    context: &Context<'_>,
    spec: &Spec,
    before: &Inventory,
    report: &Report,
) -> Result<(), Failure> {
    let reach = match report.reach.clone() {
        Some(reach) => reach,
        None => reach_before(spec, before)?,
    };
    if !reach.answered {
        let warning = why_no_answer(spec, before, &reach.address);
        context.ui.warn(&context.again.complete(&warning));
    }
    say(context, spec, &reach, Some(report));
    Ok(())
}

/// The last lines of the script that this tool replaces: the answer of every command that leaves a service behind.
fn say(context: &Context<'_>, spec: &Spec, reach: &Reach, report: Option<&Report>) {
    if context.ui.json() {
        let steps: Vec<_> = report
            .iter()
            .flat_map(|report| &report.steps)
            .map(|(label, took)| json!({ "step": label, "seconds": took.as_secs_f64() }))
            .collect();
        context.ui.answer_json(&json!({
            "schema": "vch-lb/up/1",
            "changed": report.is_some(),
            "address": reach.address,
            "port": spec.lb_port.get(),
            "answered": reach.answered,
            "seconds": report.map(|report| report.took.as_secs_f64()),
            "steps": steps,
            "probe": report.and_then(|report| report.receipt.as_ref()),
        }));
        return;
    }
    if let Some(report) = report {
        let instances = plural(spec.count.get(), "instance");
        let took = seconds(report.took);
        context.ui.status(&format!(
            "done in {took}: {instances} behind `{}`",
            spec.names.lb
        ));
    }
    if let Some(receipt) = report.and_then(|report| report.receipt.as_ref()) {
        context.ui.answer(&receipt.text());
    }
    let (address, port) = (&reach.address, spec.lb_port);
    context.ui.answer(&format!(
        "\nService is available at\n{address}\non port {port}\n"
    ));
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
