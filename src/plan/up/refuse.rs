//! What is refused before anything is done, and what would help.

use super::options::Options;
use super::target::Target;
use crate::error::Failure;
use crate::inventory::{Conflict, Inventory};
use crate::message::vch_lb;
use crate::service::names::Number;
use crate::service::{Spec, exclusive};
use crate::settings::{INSTANCE_ARGS, INSTANCE_CTR_PREFIX, LB_ARGS, LB_CTR_NAME};
use crate::text::list;

/// A port or an address that is one container's alone can't be given to another that runs beside it.
pub(super) fn refuse_what_one_can_have(
    spec: &Spec,
    inventory: &Inventory,
    options: Options,
    target: &Target,
) -> Result<(), Failure> {
    if target.make.is_empty() {
        return Ok(());
    }
    for argument in exclusive::among(&spec.instance_args) {
        let wanted = target.servers().len();
        if let Some(why) = argument.refusal(wanted) {
            return Err(Failure::failed(format!("{INSTANCE_ARGS}: {why}")));
        }
        let held = |number: &&Number| {
            exclusive::has(&inventory.instances[number], &argument, spec.instance_port)
        };
        let holders: Vec<String> = target
            .outdated
            .iter()
            .filter(held)
            .map(|number| spec.names().instance(*number))
            .collect();
        let beside = options.batch.min(target.make.len());
        if !options.stop_first && wanted + beside > argument.room && !holders.is_empty() {
            let what = format!(
                "{INSTANCE_ARGS}: `{}` can't be had by a new instance beside {}",
                argument.argument,
                list(&holders)
            );
            return Err(Failure::failed(what).hinted(
                "with --stop-first the old one leaves before its successor comes: a short outage",
            ));
        }
    }
    Ok(())
}

pub(super) fn refuse_what_is_not_ours(spec: &Spec, inventory: &Inventory) -> Result<(), Failure> {
    let mut conflicts = inventory.conflicts.iter();
    if let Some(conflict) = conflicts.find(|conflict| conflict.name == spec.names().lb.as_str()) {
        return Err(not_ours(conflict, spec, inventory));
    }
    match &inventory.bridge {
        Some(bridge) if bridge.driver == "external" => Err(Failure::failed(format!(
            "`{}` is a container network of this VCH, not a network that instances can have for themselves",
            bridge.name
        ))
        .hinted(format!("choose another {INSTANCE_CTR_PREFIX}"))),
        _ => Ok(()),
    }
}

/// Why no instance can be made: its name may be somebody else's, or that of one that was taken off its network.
pub fn in_the_way(spec: &Spec, inventory: &Inventory) -> Option<Failure> {
    let in_the_way = |conflict: &&Conflict| {
        let number = spec.names().number_of(&conflict.name);
        number.is_some_and(|number| number as usize <= spec.count.get())
    };
    let conflict = inventory.conflicts.iter().find(in_the_way)?;
    Some(not_ours(conflict, spec, inventory))
}

fn not_ours(conflict: &Conflict, spec: &Spec, inventory: &Inventory) -> Failure {
    let is_lb = conflict.name == spec.names().lb.as_str();
    let setting = if is_lb {
        LB_CTR_NAME
    } else {
        INSTANCE_CTR_PREFIX
    };
    let what = format!(
        "a container called `{}` is there and does not belong to this service: it was made \
         from `{}`, and it is on {}, not on `{}`",
        conflict.name,
        conflict.image,
        match &conflict.networks[..] {
            [] => "no network".to_owned(),
            networks => list(networks),
        },
        spec.names().network()
    );
    let other = match conflict.other_prefix(spec.names(), spec.external_net().as_str()) {
        // Most likely it serves.
        Some(prefix) => format!(
            "if it is of the service with {INSTANCE_CTR_PREFIX}={prefix}, say so; else choose another {setting}"
        ),
        None => format!("choose another {setting}, or remove that container"),
    };
    let half_off = is_lb && conflict.networks == [spec.external_net().as_str()];
    let taken_off = conflict.networks.is_empty() || half_off;
    // A VCH connects none that has been started.
    let hint = if inventory.bridge.is_some() && taken_off && !inventory.is_vch() {
        let (network, name) = (spec.names().network(), &conflict.name);
        format!(
            "`docker network connect {network} {name}` puts it back, if it was taken off; else {other}"
        )
    } else {
        other
    };
    Failure::failed(what).hinted(hint)
}

/// A load balancer is made from what the admin's own settings say, not from what the endpoint told.
pub(super) fn refuse_told_lb_args(spec: &Spec) -> Result<(), Failure> {
    let refused = spec.tuning.lb_args.local();
    if refused.is_empty() {
        return Ok(());
    }
    let what = format!(
        "the haproxy.cfg in `{}` asks for {} when a load balancer is made, which only your own settings may",
        spec.names().lb,
        list(&refused)
    );
    Err(Failure::failed(what).hinted(vch_lb("up") + format!(" with your {LB_ARGS} makes one")))
}
