//! Taking a service down: the load balancer first, then the instances, then their network; only what is ours. Pure.

use super::{Action, Plan, StepId};
use crate::inventory::Inventory;
use crate::spec::Spec;
use crate::spec::names::Number;

/// The plan that leaves nothing of the service. PREFIX-net stays if there are strangers on it.
pub fn plan(spec: &Spec, inventory: &Inventory) -> Plan {
    let mut plan = Plan::new(spec, inventory.lb_restarts());
    // Nobody is sent to once the load balancer has ended; that it is still being removed concerns no instance.
    let ended: Vec<StepId> = inventory
        .lb
        .iter()
        .filter(|lb| !lb.stopped())
        .map(|_| plan.add(Action::StopLb, &[]))
        .collect();
    let mut gone = Vec::new();
    if inventory.lb.is_some() {
        gone.push(plan.add(Action::RemoveLb, &ended));
    }
    if inventory.lb_aside.is_some() {
        gone.push(plan.add(Action::RemoveLbAside, &ended));
    }
    let all: Vec<Number> = inventory.instances.keys().copied().collect();
    let running: Vec<Number> = inventory
        .instances
        .iter()
        .filter(|(_, instance)| !instance.stopped())
        .map(|(&number, _)| number)
        .collect();
    let mut stopped = ended;
    if !running.is_empty() {
        stopped = vec![plan.add(Action::Stop(running), &stopped)];
    }
    if !all.is_empty() {
        gone.push(plan.add(Action::Remove(all), &stopped));
    }
    if inventory.bridge.is_some() && inventory.strangers.is_empty() {
        plan.add(Action::RemoveNetwork, &gone);
    }
    plan
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::docker::answer::Network;
    use crate::execute::simulate;
    use crate::inventory::tests::{container, engine};
    use crate::inventory::{Container, State};
    use crate::spec::tests::spec;

    fn planned(containers: Vec<Container>, strangers: &[String]) -> Plan {
        let spec = spec(&[]);
        let bridge = Network {
            name: "web-net".into(),
            ..Network::default()
        };
        let mut inventory = Inventory::new(
            &spec.names,
            &spec.external_net,
            engine(),
            vec![bridge],
            containers,
        );
        inventory.strangers = strangers.to_vec();
        plan(&spec, &inventory)
    }

    fn actions(containers: Vec<Container>, strangers: &[String]) -> Vec<Action> {
        planned(containers, strangers).actions().cloned().collect()
    }

    fn complete() -> Vec<Container> {
        vec![
            container("web-1", State::Running, &[("web-net", "1")], "httpd"),
            container(
                "web-2",
                State::Exited { code: 1 },
                &[("web-net", "")],
                "httpd",
            ),
            container("lb", State::Running, &[("web-net", "1")], "haproxy:1.7"),
        ]
    }

    #[test]
    fn the_load_balancer_goes_first_and_the_network_last() {
        assert_eq!(
            actions(complete(), &[]),
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
    fn instances_stop_while_the_load_balancer_is_removed() {
        let second = |_: &Action| Duration::from_secs(1);
        let plan = planned(complete(), &[]);
        assert_eq!(simulate(&plan, 1, second), Duration::from_secs(5));
        // Stop lb, stop instances, remove instances, remove the network.
        assert_eq!(simulate(&plan, 2, second), Duration::from_secs(4));
    }

    #[test]
    fn a_network_with_strangers_on_it_stays() {
        assert_eq!(actions(vec![], &["db".into()]), []);
        assert_eq!(actions(vec![], &[]), [Action::RemoveNetwork]);
    }
}
