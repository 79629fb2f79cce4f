//! `vch-lb up`: makes the endpoint match the settings.

use super::Context;
use super::answer::{carry_out, nothing_to_do};
use super::before;
use super::change::{Change, agreed, show};
use crate::cli::UpArgs;
use crate::docker::Docker;
use crate::error::Failure;
use crate::inventory::Inventory;
use crate::look::{self, Detail, Wanted};
use crate::plan::up::{self as planner, Options};
use crate::service::{Spec, running};
use crate::text::plural;

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
    let inventory = inventory(context, &docker, &spec, args)?;
    context.refuse_other_lb(&spec.service, &inventory)?;
    before::require_external(&docker, &spec, &inventory)?;
    let spec = running::with_server_address(spec, &inventory, args.recreate_lb);
    // After a rollback the name may mean another image: what runs stays what it is.
    let kept = match args.pull {
        Some(planner::Pull::Always) => None,
        _ => running::kept(spec.image.as_str(), &inventory),
    };
    let spec = Spec { kept, ..spec };
    let plan = planner::plan(&spec, &inventory, options)?;
    before::check_ports(context, &docker, &inventory, &plan)?;
    before::warn_of_astray(context, &spec, &inventory);
    if args.change.dry_run.is_some() {
        return show(
            context,
            &docker,
            &args.change,
            &inventory,
            &plan,
            "vch-lb up",
        );
    }
    if plan.is_empty() {
        let instances = plural(inventory.instances.len(), "instance");
        let said = format!(
            "up to date: {instances} behind `{}`, nothing to do",
            spec.names().lb
        );
        return nothing_to_do(context, &docker, &spec, &inventory, &said);
    }
    agreed(context, &args.change, &inventory, &plan)?;
    context.ui.status(&inventory.endpoint.to_string());
    let change = Change::new(context, &docker, &args.change, &inventory).probing(args.probe);
    carry_out(&change, &spec, &plan)
}

/// Image IDs are asked for only where a decision depends on them: a look at an endpoint without the service is short.
fn inventory(
    context: &Context<'_>,
    docker: &Docker,
    spec: &Spec,
    args: &UpArgs,
) -> Result<Inventory, Failure> {
    let mut images = Vec::new();
    if args.pull.is_some_and(|pull| pull != planner::Pull::Always) {
        images.extend([spec.image.as_str(), spec.lb_image.as_str()]);
    }
    let detail = if spec.cert.is_some() {
        Detail::ConfigAndCert
    } else {
        Detail::Config
    };
    let wanted = Wanted {
        images: &images,
        detail,
        other_lb: true,
        ..Wanted::of(&spec.service)
    };
    let mut inventory = context.look(docker, wanted, &args.change)?;
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
