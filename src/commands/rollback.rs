//! `vch-lb rollback`: back to what the service was, by the way of `up`.

use super::Context;
use super::answer::{carry_out, nothing_to_do};
use super::before;
use super::change::{Change, agreed, show};
use super::history::looked_up;
use crate::change::record;
use crate::cli::RollbackArgs;
use crate::digest;
use crate::error::Failure;
use crate::history::{History, State};
use crate::inventory::Inventory;
use crate::message::{Message, vch_lb, vch_lb_with};
use crate::plan::up::{self as planner, Options, Pull};

use crate::service::{Spec, running};
use crate::text::printable;

pub(super) fn rollback(context: &Context<'_>, args: &RollbackArgs) -> Result<u8, Failure> {
    let docker = context.docker()?;
    context.listen()?;
    let (found, mut inventory) = context.service_as_found(&docker, &args.change)?;
    let history = record::read(&docker, found.names().lb.as_str())?;
    let now = State::found(&found.service, &inventory);
    let (number, state) = target(&history, now.as_ref(), args.to)?;
    let ids = looked_up(&docker, &history)?;
    let template = found.template.as_ref();
    let template = template.map(|text| digest::of(text.as_bytes()));
    let reach = |state: &State| {
        let kept = state.reachable(&ids, template.as_deref(), found.lb_image.as_str());
        kept.map(|kept| kept.map(str::to_owned))
    };
    let kept = reach(state).map_err(|why| {
        let others = history
            .states()
            .filter(|(_, other)| now.as_ref().is_none_or(|now| !other.is_as(now)))
            .filter(|(_, other)| reach(other).is_ok())
            .map(|(number, _)| number);
        unreachable(number, &why, others)
    })?;
    let from = format!("entry {number} of the history");
    let formerly = state.formerly(kept.as_deref(), &from);
    let spec = running::as_formerly(&found, &formerly, &context.own_instance_args())?;
    spec.names()
        .fits(spec.count.get())
        .map_err(Failure::failed)?;
    // What its name meant then, whatever it means by now.
    inventory
        .images
        .insert(spec.image.to_string(), state.image_id.clone());
    if let Some(id) = ids.get(spec.lb_image.as_str()) {
        inventory
            .images
            .insert(spec.lb_image.to_string(), id.clone());
    }
    if !args.recreate_lb {
        refuse_other_lb(number, &spec, &inventory)?;
    }
    let options = Options {
        pull: Some(Pull::Never),
        by_image_id: true,
        batch: usize::from(args.strategy.batch),
        stop_first: args.strategy.stop_first,
        overwrite: args.change.overwrite,
        recreate_lb: args.recreate_lb,
        ..Options::default()
    };
    let plan = planner::plan(&spec, &inventory, options)?;
    before::check_ports(context, &docker, &inventory, &plan)?;
    before::warn_of_astray(context, &spec, &inventory);
    if args.change.dry_run.is_some() {
        let title = format!("vch-lb rollback --to {number}");
        return show(context, &docker, &args.change, &inventory, &plan, &title);
    }
    if plan.is_empty() {
        let said = format!("already as in entry {number}: nothing to do");
        return nothing_to_do(context, &docker, &spec, &inventory, &said);
    }
    agreed(context, &args.change, &inventory, &plan)?;
    context.ui.status(&format!(
        "going back to entry {number}: {}",
        state.in_short()
    ));
    let change = Change {
        of: Some(number),
        ..Change::new(context, &docker, &args.change, &inventory)
    };
    carry_out(&change.probing(args.probe), &spec, &plan)
}

/// Another load balancer takes an outage, which has to be asked for.
fn refuse_other_lb(number: u64, spec: &Spec, inventory: &Inventory) -> Result<(), Failure> {
    let lb = inventory.lb.as_ref();
    let differences = lb.map(|lb| planner::differences(lb, spec, inventory));
    let differences = differences.unwrap_or_default();
    if differences.is_empty() {
        return Ok(());
    }
    let what = format!(
        "entry {number} had another load balancer: {}",
        differences.join("; ")
    );
    let number = number.to_string();
    let again = vch_lb_with("rollback", &["--to", &number, "--recreate-lb"]);
    Err(Failure::failed(what).hinted(again + " replaces it: a short outage"))
}

/// The entry that is gone back to.
fn target<'h>(
    history: &'h History,
    now: Option<&State>,
    to: Option<u64>,
) -> Result<(u64, &'h State), Failure> {
    let Some(number) = to else {
        let newest = match now {
            Some(now) => history.before(now),
            None => history.states().next(),
        };
        return newest.ok_or_else(|| {
            Failure::failed("there is nothing to go back to: the history tells of no other state").hinted(
                "each change writes down what it found and what it made; a first deployment does not",
            )
        });
    };
    if let Some(state) = history.state(number) {
        return Ok((number, state));
    }
    let entry = history.entries.iter().find(|entry| entry.number == number);
    let what = match entry {
        Some(entry) => format!(
            "entry {number} is no state to go back to: {}",
            printable(&entry.no_state())
        ),
        None => format!("the history has no entry {number}"),
    };
    Err(Failure::failed(what).hinted(vch_lb("history") + " shows what there is"))
}

fn unreachable(number: u64, why: &str, others: impl Iterator<Item = u64>) -> Failure {
    let others: Vec<String> = others.map(|number| number.to_string()).collect();
    let hint: Message = if others.is_empty() {
        "no other entry can be reached: "
            + vch_lb_with("rollout", &["--instance-img", "IMAGE"])
            + " fetches an image"
    } else {
        format!("--to reaches {}", others.join(", ")).into()
    };
    let why = printable(why);
    Failure::failed(format!("entry {number} can't be gone back to: {why}")).hinted(hint)
}
