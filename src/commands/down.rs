//! `vch-lb down`: removes the load balancer, the instances and their network; only what is ours.

use serde_json::json;

use super::Context;
use super::change::{Change, agreed, show};
use crate::change::record;
use crate::cli::DownArgs;
use crate::error::{Failure, exit};
use crate::inventory::Inventory;
use crate::look::{Detail, Wanted};
use crate::message::vch_lb;
use crate::plan::Action;
use crate::plan::down as planner;
use crate::service::Service;
use crate::service::names::Names;
use crate::text::list;

pub(super) fn down(context: &Context<'_>, args: &DownArgs) -> Result<u8, Failure> {
    let service = Service::from_settings(&context.settings)?;
    let docker = context.docker()?;
    context.listen()?;
    let wanted = Wanted {
        detail: Detail::Containers,
        strangers: true,
        other_lb: true,
        ..Wanted::of(&service)
    };
    let inventory = context.look(&docker, wanted, &args.change)?;
    context.refuse_other_lb(&service, &inventory)?;
    let plan = planner::plan(&service, &inventory);
    let left_alone = left_alone(&service.names, &inventory);
    if args.change.dry_run.is_some() {
        let code = show(
            context,
            &docker,
            &args.change,
            &inventory,
            &plan,
            "vch-lb down",
        );
        warn_of(&left_alone, context);
        return code;
    }
    agreed(context, &args.change, &inventory, &plan)?;
    let change = Change::new(context, &docker, &args.change, &inventory);
    if plan.is_empty() {
        context.ui.status(&format!(
            "nothing to take down: there is no service `{}`",
            service.names.prefix
        ));
    } else {
        change.execute(&plan).map_err(resumable)?;
        record::forget_images(&docker, context.ui, &service.names);
    }
    warn_of(&left_alone, context);
    if context.ui.json() {
        let containers: Vec<_> = inventory.containers().map(|ours| &ours.name).collect();
        let bridge = inventory.bridge.as_ref();
        let removes = |action: &Action| *action == Action::RemoveNetwork;
        let network = bridge.filter(|_| plan.actions().any(removes));
        context.ui.answer_json(&json!({
            "schema": "vch-lb/down/1",
            "changed": !plan.is_empty(),
            "removed": { "containers": containers, "network": network.map(|net| &net.name) },
            "left_alone": left_alone,
        }));
    }
    Ok(exit::DONE)
}

fn warn_of(left_alone: &[String], context: &Context<'_>) {
    for left in left_alone {
        context.ui.warn(left);
    }
}

/// The failure, with a way on.
fn resumable(failure: Failure) -> Failure {
    if failure.hints.is_empty() {
        failure.hinted("running " + vch_lb("down") + " again goes on from here")
    } else {
        failure
    }
}

/// What is left alone, and why.
fn left_alone(names: &Names, inventory: &Inventory) -> Vec<String> {
    let network = names.network();
    let mut left: Vec<String> = inventory
        .conflicts
        .iter()
        .map(|conflict| {
            format!(
                "`{}` is left alone: it is not on `{network}`, so it is not this service's",
                conflict.name
            )
        })
        .collect();
    if !inventory.strangers.is_empty() {
        left.push(format!(
            "the network `{network}` is left alone: {} still on it",
            are(&inventory.strangers)
        ));
    } else if planner::is_foreign(inventory) {
        left.push(format!(
            "the network `{network}` is left alone: nobody of this service is on it, and it was made with more than its \
             name (a subnet, labels or options), so somebody else made it"
        ));
    }
    left
}

fn are(names: &[String]) -> String {
    let verb = if names.len() == 1 { "is" } else { "are" };
    format!("{} {verb}", list(names))
}
