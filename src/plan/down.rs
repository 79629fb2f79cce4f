//! Taking a service down: the load balancer first, then the instances, then their network; only what is ours. Pure.

use super::{Action, Plan};
use crate::inventory::{Container, Inventory, State};
use crate::spec::Spec;
use crate::spec::names::Number;

/// The plan that leaves nothing of the service. `strangers` are other containers on PREFIX-net: it stays with them.
pub fn plan(spec: &Spec, inventory: &Inventory, strangers: &[String]) -> Plan {
    let mut plan = Plan::new(spec);
    let mut last = Vec::new();
    if let Some(lb) = &inventory.lb {
        if runs(lb) {
            last = vec![plan.add(Action::StopLb, &[])];
        }
        last = vec![plan.add(Action::RemoveLb, &last)];
    }
    if inventory.lb_aside.is_some() {
        last = vec![plan.add(Action::RemoveLbAside, &last)];
    }
    let all: Vec<Number> = inventory.instances.keys().copied().collect();
    let running: Vec<Number> = inventory
        .instances
        .iter()
        .filter(|(_, instance)| runs(instance))
        .map(|(&number, _)| number)
        .collect();
    if !running.is_empty() {
        last = vec![plan.add(Action::Stop(running), &last)];
    }
    if !all.is_empty() {
        last = vec![plan.add(Action::Remove(all), &last)];
    }
    if inventory.bridge.is_some() && strangers.is_empty() {
        plan.add(Action::RemoveNetwork, &last);
    }
    plan
}

fn runs(container: &Container) -> bool {
    !matches!(container.state, State::Created | State::Exited { .. })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docker::answer::Network;
    use crate::inventory::tests::{container, engine};
    use crate::spec::tests::spec;

    fn actions(containers: Vec<Container>, strangers: &[String]) -> Vec<Action> {
        let spec = spec(&[]);
        let bridge = Network {
            name: "web-net".into(),
            ..Network::default()
        };
        let inventory = Inventory::new(
            &spec.names,
            &spec.external_net,
            engine(),
            vec![bridge],
            containers,
        );
        plan(&spec, &inventory, strangers)
            .actions()
            .cloned()
            .collect()
    }

    #[test]
    fn the_load_balancer_goes_first_and_the_network_last() {
        let all = vec![
            container("web-1", State::Running, &[("web-net", "1")], "httpd"),
            container(
                "web-2",
                State::Exited { code: 1 },
                &[("web-net", "")],
                "httpd",
            ),
            container("lb", State::Running, &[("web-net", "1")], "haproxy:1.7"),
        ];
        assert_eq!(
            actions(all, &[]),
            [
                Action::StopLb,
                Action::RemoveLb,
                Action::Stop(vec![1]),
                Action::Remove(vec![1, 2]),
                Action::RemoveNetwork
            ]
        );
    }

    #[test]
    fn a_network_with_strangers_on_it_stays() {
        assert_eq!(actions(vec![], &["db".into()]), []);
        assert_eq!(actions(vec![], &[]), [Action::RemoveNetwork]);
    }
}
