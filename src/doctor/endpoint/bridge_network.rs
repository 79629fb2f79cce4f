//! PREFIX-net: free, ours or another's; and whether a VCH has room for one more. Pure.

use super::There;
use crate::doctor::Check;
use crate::inventory::Inventory;
use crate::message::vch_lb;
use crate::service::names::Names;
use crate::text::list;

/// How many networks of their own the users of a VCH have room for, unless its admin gave them more.
const VCH_NETWORKS: usize = 15;

pub(super) const ABOUT: &str = "bridge-network";

pub(super) fn checks(there: &There, names: &Names, inventory: &Inventory) -> Vec<Check> {
    let name = names.network();
    let Some(bridge) = &inventory.bridge else {
        let mut checks = vec![Check::ok(ABOUT, format!("`{name}` is free"))];
        checks.extend(room(there));
        return checks;
    };
    if bridge.driver != "bridge" {
        let found = format!(
            "`{name}` is there with the driver `{}`, which is no bridge network's",
            bridge.driver
        );
        return vec![Check::failure(
            ABOUT,
            found,
            "choose another INSTANCE_CTR_PREFIX",
        )];
    }
    if !inventory.strangers.is_empty() {
        let found = format!(
            "`{name}` is there, with {} on it, not this service's",
            list(&inventory.strangers)
        );
        let remedy = "choose another INSTANCE_CTR_PREFIX, or move them: they share the network with the instances, and "
            + vch_lb("down")
            + " leaves it";
        return vec![Check::warning(ABOUT, found, remedy)];
    }
    let service = inventory.lb.is_some() || !inventory.instances.is_empty();
    let found = if service {
        format!("`{name}` is this service's")
    } else {
        format!("`{name}` is there, empty, and will be used")
    };
    vec![Check::ok(ABOUT, found)]
}

fn room(there: &There) -> Option<Check> {
    let networks = there.networks.as_ref().ok().filter(|_| there.is_vch())?;
    let own = networks
        .iter()
        .filter(|network| network.driver == "bridge" && network.name != "bridge")
        .count();
    let remedy = "remove networks that are not needed (`docker network ls`), or ask the VCH's admin for more (`--bridge-network-range`)";
    let there_are = format!(
        "{} there already",
        if own == 1 {
            "1 bridge network is".to_owned()
        } else {
            format!("{own} bridge networks are")
        }
    );
    if own >= VCH_NETWORKS {
        let found = format!(
            "{there_are}: a VCH has room for {VCH_NETWORKS}, unless its admin gave it more"
        );
        Some(Check::warning(ABOUT, found, remedy))
    } else if own + 2 >= VCH_NETWORKS {
        let found = format!(
            "{there_are}, and a VCH has room for {VCH_NETWORKS}, unless its admin gave it more"
        );
        Some(Check::warning(ABOUT, found, remedy))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{engine, listed, running, seen, vch, vch_with};
    use super::*;

    #[test]
    fn the_network_is_free_ours_or_shared() {
        assert_eq!(seen(engine(), ABOUT), ["ok: `web-net` is free"]);
        let deployed = || vch_with("v1.5.8-1-a", &[], vec![running("web-1")]);
        assert_eq!(seen(deployed(), ABOUT), ["ok: `web-net` is this service's"]);
        let mut shared = deployed();
        if let Some(Ok(inventory)) = &mut shared.inventory {
            inventory.strangers = vec!["db".into()];
        }
        assert_eq!(
            seen(shared, ABOUT),
            ["warning: `web-net` is there, with `db` on it, not this service's"]
        );
    }

    #[test]
    fn a_vch_has_room_for_so_many_networks() {
        let with = |count: usize| {
            let mut there = vch("v1.5.8-1-a");
            let own = (0..count).map(|number| listed("bridge", &format!("n{number}")));
            if let Ok(networks) = &mut there.networks {
                networks.extend(own);
            }
            seen(there, ABOUT).len()
        };
        assert_eq!([0, 12, 13, 15].map(with), [1, 1, 2, 2]);
    }
}
