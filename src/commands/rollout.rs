//! `vch-lb rollout`: replaces every instance, start-first in batches, and goes back on failure.

use super::Context;
use super::answer::{carry_out, nothing_to_do};
use super::before;
use super::change::{Change, agreed, show};
use crate::cli::RolloutArgs;
use crate::docker::Docker;
use crate::error::Failure;
use crate::inventory::Inventory;
use crate::look;
use crate::plan::up::{self as planner, Options, Pull};
use crate::plan::{Action, Plan, Subject};
use crate::service::Spec;
use crate::service::names::ImageRef;
use crate::service::siblings;
use crate::settings::{self, Origin};

pub(super) fn rollout(context: &Context<'_>, args: &RolloutArgs) -> Result<u8, Failure> {
    let given = given_image(context)?;
    let docker = context.docker()?;
    context.listen()?;
    let (found, mut inventory) = context.service_as_found(&docker, &args.change)?;
    let spec = Spec {
        image: given.unwrap_or_else(|| found.image.clone()),
        // What the name means now is what is asked for.
        kept: None,
        ..found
    };
    let options = Options {
        pull: Some(Pull::Never),
        overwrite: args.change.overwrite,
        replace_all: args.force,
        by_image_id: true,
        batch: usize::from(args.strategy.batch),
        stop_first: args.strategy.stop_first,
        ..Options::default()
    };
    // One that is pulled in any case is looked up afterwards.
    if args.pull.is_some_and(|pull| pull != Pull::Always) {
        inventory = looked_up(&docker, &spec, inventory)?;
    }
    let pull = pull(&spec, &inventory, args.pull)?;
    before::warn_of_astray(context, &spec, &inventory);
    // What the image will be once it is pulled is not known: as if it were another one.
    let as_if = || {
        let options = Options {
            replace_all: args.force || !pull.is_empty(),
            ..options
        };
        let plan = planner::plan(&spec, &present(&spec, &inventory), options)?;
        Ok::<_, Failure>(with_pull(&pull, plan))
    };
    if args.change.dry_run.is_some() {
        let plan = as_if()?;
        return show(
            context,
            &docker,
            &args.change,
            &inventory,
            &plan,
            "vch-lb rollout",
        );
    }
    // What is refused is refused before anything is pulled.
    planner::plan(&spec, &present(&spec, &inventory), options)?;
    if args.change.agrees_first() {
        agreed(context, &args.change, &inventory, &as_if()?)?;
    }
    let change = Change::new(context, &docker, &args.change, &inventory);
    if !pull.is_empty() {
        change.execute(&pull)?;
        inventory = looked_up(&docker, &spec, inventory.clone())?;
    }
    let plan = planner::plan(&spec, &inventory, options)?;
    if plan.is_empty() {
        let image = &spec.image;
        let said = format!("already on this image: every instance runs what `{image}` is now");
        return nothing_to_do(context, &docker, &spec, &inventory, &said);
    }
    let change = Change::new(context, &docker, &args.change, &inventory).probing(args.probe);
    carry_out(&change, &spec, &plan)
}

/// INSTANCE_IMG if it was given; else the image that is running is meant, to be fetched anew.
fn given_image(context: &Context<'_>) -> Result<Option<ImageRef>, Failure> {
    let value = context.settings.get(settings::INSTANCE_IMG);
    match value.origin {
        Origin::Default => Ok(None),
        _ => ImageRef::parse(&value.text)
            .map(Some)
            .map_err(|why| Failure::usage(value.complaint(why))),
    }
}

/// What comes before everything else: which image the name means is known only afterwards.
fn pull(spec: &Spec, inventory: &Inventory, when: Option<Pull>) -> Result<Plan, Failure> {
    let missing = !inventory.images.contains_key(spec.image.as_str());
    let subject = Subject::Up(spec.clone().into());
    let mut plan = Plan::new(subject, inventory.lb_restarts());
    match when.unwrap_or(Pull::Always) {
        Pull::Never if missing => {
            let what = format!("the endpoint does not have the image `{}`", spec.image);
            return Err(
                Failure::failed(what).hinted("--pull never was given; --pull missing fetches it")
            );
        }
        Pull::Missing if !missing => {}
        Pull::Never => {}
        Pull::Always | Pull::Missing => {
            plan.add(Action::Pull(spec.image.clone()), &[]);
        }
    }
    Ok(plan)
}

/// The inventory with the image's ID now, and with what the one of the instances brings that no label tells about.
fn looked_up(docker: &Docker, spec: &Spec, before: Inventory) -> Result<Inventory, Failure> {
    let image = spec.image.as_str();
    let found = look::image_beside(docker, image, siblings::image(&before))?;
    Ok(Inventory {
        images: found
            .id
            .map(|id| (image.to_owned(), id))
            .into_iter()
            .collect(),
        environments: found.environments,
        ..before
    })
}

/// The inventory as if the image were there, for a plan that is only shown.
fn present(spec: &Spec, inventory: &Inventory) -> Inventory {
    let mut inventory = inventory.clone();
    inventory.images.entry(spec.image.to_string()).or_default();
    inventory
}

fn with_pull(pull: &Plan, plan: Plan) -> Plan {
    let offset = pull.steps.len();
    let mut steps = pull.steps.clone();
    steps.extend(plan.steps.into_iter().map(|mut step| {
        step.needs.iter_mut().for_each(|need| *need += offset);
        step
    }));
    Plan { steps, ..plan }
}
