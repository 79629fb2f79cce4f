//! `vch-lb scale N`: the running service with another number of instances.

use super::Context;
use super::answer::{carry_out, nothing_to_do};
use super::before;
use super::change::{Change, agreed, show};
use crate::cli::ScaleArgs;
use crate::error::Failure;
use crate::plan::up::{self as planner, Options};
use crate::service::Spec;
use crate::service::names::Count;
use crate::text::plural;

pub(super) fn scale(context: &Context<'_>, args: &ScaleArgs) -> Result<u8, Failure> {
    let count = Count::parse(&args.count)
        .map_err(|why| Failure::usage(format!("N is `{}`: {why}", args.count)))?;
    let docker = context.docker()?;
    context.listen()?;
    let (found, inventory) = context.service_as_found(&docker, &args.change)?;
    let spec = Spec { count, ..found };
    spec.names().fits(count.get()).map_err(Failure::usage)?;
    let options = Options {
        pull: args.pull,
        overwrite: args.change.overwrite,
        ..Options::default()
    };
    let plan = planner::plan(&spec, &inventory, options)?;
    before::warn_of_astray(context, &spec, &inventory);
    if args.change.dry_run.is_some() {
        return show(
            context,
            &docker,
            &args.change,
            &inventory,
            &plan,
            &format!("vch-lb scale {count}"),
        );
    }
    if plan.is_empty() {
        let instances = plural(count.get(), "instance");
        let said = format!("already {instances}: nothing to do");
        return nothing_to_do(context, &docker, &spec, &inventory, &said);
    }
    agreed(context, &args.change, &inventory, &plan)?;
    let change = Change::new(context, &docker, &args.change, &inventory).probing(args.probe);
    carry_out(&change, &spec, &plan)
}
