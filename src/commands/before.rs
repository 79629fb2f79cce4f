//! What is looked at before anything is made: the external network, the host's ports that the load balancer takes, and
//! instances that were taken off their network.

use super::Context;
use crate::docker::Docker;
use crate::error::Failure;
use crate::inventory::{Inventory, Kind};
use crate::message::{Message, vch_lb, vch_lb_with};
use crate::place;
use crate::plan::{Action, Plan};
use crate::service::Spec;
use crate::settings::EXTERNAL_NET;
use crate::{advice, connections, host_ports, look};

/// Fails where EXTERNAL_NET is not there, and says which command works.
pub(super) fn require_external(
    docker: &Docker,
    spec: &Spec,
    inventory: &Inventory,
) -> Result<(), Failure> {
    let endpoint = &inventory.endpoint;
    let wanted = spec.external_net();
    if let Some(external) = &inventory.external {
        let Some(name) = advice::other_name(endpoint, external, wanted) else {
            return Ok(());
        };
        let what = format!(
            "the network `{wanted}` ({EXTERNAL_NET}) is called `{name}` by the containers on it"
        );
        return Err(Failure::failed(what).hinted(vch_lb_with("up", &["--external-net", &name])));
    }
    let there = match endpoint.kind {
        Kind::Vch => endpoint.networks.clone(),
        Kind::Engine => look::network_names(docker),
    };
    let there: Vec<&str> = there.iter().map(String::as_str).collect();
    let what = format!("there is no network `{wanted}` ({EXTERNAL_NET}) on this endpoint");
    let hint = advice::no_external(endpoint, &there, Some(spec.lb_port));
    Err(Failure::failed(what).hinted(hint))
}

/// Warns of instances that were taken off their network: they don't count, and are left alone.
pub(super) fn warn_of_astray(context: &Context<'_>, spec: &Spec, inventory: &Inventory) {
    let bridge = spec.names().network();
    for (conflict, _) in inventory.astray(spec.names()) {
        let what = format!(
            "`{}` is not on `{bridge}`: it counts for nothing, nothing is sent to it, and it is left alone; ",
            conflict.name
        );
        context.warn(&(Message::from(what) + vch_lb("status") + " says how it comes back"));
    }
}

/// Fails where a load balancer that is to be made could not get its ports, and warns of what else will be in its way.
pub(super) fn check_ports(
    context: &Context<'_>,
    docker: &Docker,
    inventory: &Inventory,
    plan: &Plan,
) -> Result<(), Failure> {
    let endpoint = &inventory.endpoint;
    let mut made = plan.actions().filter_map(|action| match action {
        Action::CreateLb { publish } => Some(publish),
        _ => None,
    });
    let publish = made.next().filter(|_| endpoint.kind == Kind::Engine);
    let (Some(spec), Some(publish)) = (plan.spec(), publish) else {
        return Ok(());
    };
    let wanted = host_ports::wanted(spec);
    if !wanted.is_empty() {
        let taken = look::published_ports(docker)?;
        if let Some(conflict) = host_ports::conflict(spec, &taken) {
            return Err(Failure::failed(conflict.what).hinted(conflict.hint));
        }
    }
    for advice::Warning { what, remedy } in advice::ports(spec, endpoint) {
        context.ui.warn(&format!("{what}: {remedy}"));
    }
    let serves = |wanted: &host_ports::Wanted| wanted.container == spec.lb_port.get();
    if publish.is_empty()
        && !wanted.iter().any(serves)
        && let Some(external) = &inventory.external
        && external.name == endpoint.own_network()
    {
        let here = place::is_this_machine(endpoint, docker.host(), &connections::own_name());
        if let Some(told) = advice::unpublished(endpoint, external, spec.lb_port, here) {
            context.ui.warn(&told);
        }
    }
    Ok(())
}
