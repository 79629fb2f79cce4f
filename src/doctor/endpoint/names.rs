//! The containers' names: free, ours, or taken by something else. Pure.

use crate::doctor::{Check, Wanted};
use crate::inventory::{Conflict, Inventory};
use crate::message::vch_lb;
use crate::service::names::{Count, Names, NetworkName};
use crate::service::running;
use crate::service::tuning::ServerAddress;
use crate::settings::{INSTANCE_CTR_PREFIX, LB_CTR_NAME, SERVER_ADDRESS};
use crate::text::plural;

pub(super) const ABOUT: &str = "names";

/// The containers' names: free, ours, or taken by something else.
pub(super) fn checks(names: &Names, wanted: &Wanted, inventory: &Inventory) -> Vec<Check> {
    let conflicts = inventory.conflicts.iter();
    let external_net = wanted.external_net.as_ref();
    let external_net = external_net.map_or("", NetworkName::as_str);
    let taken = conflicts.map(|conflict| taken(names, external_net, conflict));
    let left_over = inventory.lb_aside.iter().map(|aside| {
        let found = format!(
            "`{}` is left over from replacing `{}`",
            aside.name, names.lb
        );
        Check::warning(ABOUT, found, vch_lb("up") + " brings it to an end")
    });
    let checks: Vec<Check> = taken.chain(left_over).collect();
    if checks.is_empty() {
        return vec![Check::ok(ABOUT, free_or_ours(names, wanted, inventory))];
    }
    checks
}

/// How the load balancer finds instances, where that is left to the endpoint.
pub(super) fn addressing(wanted: &Wanted, inventory: &Inventory) -> Option<Check> {
    let spec = wanted.spec.as_ref().filter(|spec| spec.auto_address)?;
    let how = match running::with_server_address(spec.clone(), inventory, false)
        .tuning
        .server_address
    {
        ServerAddress::Name => "name",
        ServerAddress::Ip => "ip",
    };
    let found = format!("{SERVER_ADDRESS}=auto comes to `{how}` here");
    Some(Check::ok("servers", found))
}

fn taken(names: &Names, external_net: &str, conflict: &Conflict) -> Check {
    let Conflict { name, image, .. } = conflict;
    let network = names.network();
    let found =
        format!("`{name}` is another's: a container of `{image}` that is not on `{network}`");
    let setting = if *name == names.lb.as_str() {
        LB_CTR_NAME
    } else {
        INSTANCE_CTR_PREFIX
    };
    let remedy = match conflict.other_prefix(names, external_net) {
        Some(prefix) => format!(
            "if it is of the service with {INSTANCE_CTR_PREFIX}={prefix}, say so; else choose another {setting}"
        ),
        None => format!("choose another {setting}, or remove it with `docker rm -f {name}`"),
    };
    Check::failure(ABOUT, found, remedy)
}

fn free_or_ours(names: &Names, wanted: &Wanted, inventory: &Inventory) -> String {
    let instances = inventory.instances.len();
    match (&inventory.lb, instances) {
        (None, 0) => {
            let count = wanted.count.map_or(1, Count::get);
            let last = names.instance(u32::try_from(count).unwrap_or(u32::MAX));
            let all = match count {
                1 => format!("`{last}`"),
                2 => format!("`{}` and `{last}`", names.instance(1)),
                _ => format!("`{}` to `{last}`", names.instance(1)),
            };
            format!("`{}` and {all} are free", names.lb)
        }
        (Some(lb), 0) => format!("`{}` is this service's, without an instance", lb.name),
        (Some(lb), _) => format!(
            "`{}` and {} are this service's",
            lb.name,
            plural(instances, "instance")
        ),
        (None, _) => format!(
            "{} of this service, without a load balancer",
            plural(instances, "instance")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{engine, running, seen, vch_with};
    use super::*;
    use crate::inventory::State;
    use crate::inventory::tests::container;

    #[test]
    fn names_are_free_ours_or_taken() {
        assert_eq!(
            seen(engine(), ABOUT),
            ["ok: `lb` and `web-1` to `web-3` are free"]
        );
        let deployed = vch_with("v1.5.8-1-a", &[], vec![running("lb"), running("web-1")]);
        assert_eq!(
            seen(deployed, ABOUT),
            ["ok: `lb` and 1 instance are this service's"]
        );
        let elsewhere = container(
            "web-2",
            State::Running,
            &[("bridge", "172.17.0.2")],
            "postgres",
        );
        let taken = vch_with("v1.5.8-1-a", &[], vec![elsewhere]);
        assert_eq!(
            seen(taken, ABOUT),
            ["failure: `web-2` is another's: a container of `postgres` that is not on `web-net`"]
        );
    }
}
