//! `vch-lb scale N`: the running service with another number of instances.

use super::Context;
use super::change::{Change, service_as_found, show};
use super::up::answer;
use crate::cli::ScaleArgs;
use crate::error::{Failure, exit};
use crate::plan::up::{self as planner, Options};
use crate::spec::Spec;
use crate::spec::names::Count;
use crate::ui::plural;

pub(super) fn scale(context: &Context<'_>, args: &ScaleArgs) -> Result<u8, Failure> {
    let count = Count::parse(&args.count)
        .map_err(|why| Failure::usage(format!("N is `{}`: {why}", args.count)))?;
    let docker = context.docker()?;
    context.listen()?;
    let (found, inventory) = service_as_found(context, &docker)?;
    let spec = Spec { count, ..found };
    spec.names.fits(count.get()).map_err(Failure::usage)?;
    let options = Options {
        pull: args.pull,
        overwrite: args.change.overwrite,
        ..Options::default()
    };
    let plan = planner::plan(&spec, &inventory, options)?;
    if args.change.dry_run {
        return show(
            context,
            &docker,
            &args.change,
            &plan,
            &format!("vch-lb scale {count}"),
        );
    }
    if plan.is_empty() {
        let instances = plural(count.get(), "instance");
        context
            .ui
            .status(&format!("already {instances}: nothing to do"));
        answer(context, &spec, &inventory, None)?;
        return Ok(exit::DONE);
    }
    let change = Change {
        probes: args.probe.probe,
        ..Change::new(context, &docker, &args.change, &inventory)
    };
    let report = change.execute(&plan)?;
    answer(context, &spec, &inventory, Some(&report))?;
    Ok(exit::DONE)
}
