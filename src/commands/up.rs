//! `vch-lb up`: makes the endpoint match the settings.

use serde_json::json;

use super::Context;
use super::change::{Change, Report, describe, require_external, show, why_no_answer};
use crate::cli::UpArgs;
use crate::docker::Docker;
use crate::error::{Failure, exit};
use crate::inventory::Inventory;
use crate::look::{self, Wanted};
use crate::plan::up::{self as planner, Options};
use crate::reach::Reach;
use crate::spec::Spec;
use crate::ui::{plural, seconds};

pub(super) fn up(context: &Context<'_>, args: &UpArgs) -> Result<u8, Failure> {
    let spec = context.spec()?;
    let docker = context.docker()?;
    context.listen()?;
    let options = Options {
        pull: args.pull,
        batch: usize::from(args.strategy.batch),
        stop_first: args.strategy.stop_first,
        overwrite: args.change.overwrite,
        recreate_lb: args.recreate_lb,
        ..Options::default()
    };
    let inventory = inventory(&docker, &spec, args)?;
    require_external(&docker, &spec, &inventory)?;
    let plan = planner::plan(&spec, &inventory, options)?;
    if args.change.dry_run {
        return show(context, &docker, &args.change, &plan, "vch-lb up");
    }
    if plan.is_empty() {
        return up_to_date(context, &spec, &inventory);
    }
    context.ui.status(&describe(&inventory));
    let change = Change {
        probes: args.probe.probe,
        ..Change::new(context, &docker, &args.change, &inventory)
    };
    let report = change.execute(&plan)?;
    answer(context, &spec, &inventory, Some(&report))?;
    Ok(exit::DONE)
}

/// Image IDs are asked for only where a decision depends on them: a look at an endpoint without the service is short.
fn inventory(docker: &Docker, spec: &Spec, args: &UpArgs) -> Result<Inventory, Failure> {
    let mut images = Vec::new();
    if args.pull.is_some_and(|pull| pull != planner::Pull::Always) {
        images.extend([spec.image.as_str(), spec.lb_image.as_str()]);
    }
    let wanted = Wanted {
        names: &spec.names,
        external_net: &spec.external_net,
        images: &images,
        cert: spec.cert.is_some(),
    };
    let mut inventory = look::look(docker, wanted)?;
    let others = inventory
        .instances
        .values()
        .any(|instance| instance.image != spec.image.as_str())
        || inventory
            .lb
            .as_ref()
            .is_some_and(|lb| lb.image != spec.lb_image.as_str());
    // A load balancer that has to be made again: its image may still be there.
    let lacks_lb = inventory.lb.is_none() && !inventory.instances.is_empty();
    if (others || lacks_lb) && images.is_empty() {
        inventory.images =
            look::images_called(docker, &[spec.image.as_str(), spec.lb_image.as_str()])?;
    }
    Ok(inventory)
}

fn up_to_date(context: &Context<'_>, spec: &Spec, inventory: &Inventory) -> Result<u8, Failure> {
    let instances = plural(inventory.instances.len(), "instance");
    context.ui.status(&format!(
        "up to date: {instances} behind `{}`, nothing to do",
        spec.names.lb
    ));
    answer(context, spec, inventory, None)?;
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

/// The last lines of the script that this tool replaces: the answer of every command that leaves a service behind.
pub(super) fn answer(
    context: &Context<'_>,
    spec: &Spec,
    before: &Inventory,
    report: Option<&Report>,
) -> Result<(), Failure> {
    let reach = match report.and_then(|report| report.reach.clone()) {
        Some(reach) => reach,
        None => reach_before(spec, before)?,
    };
    if !reach.answered {
        let warning = why_no_answer(spec, before, &reach.address);
        context.ui.warn(&warning);
    }
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
        return Ok(());
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
    Ok(())
}
