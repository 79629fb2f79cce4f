//! Taking a service down: the load balancer first, then the instances, then their network; only what is ours. Pure.

use super::{Action, Plan, StepId, Subject};
use crate::inventory::Inventory;
use crate::service::Service;
use crate::service::names::Number;

/// The plan that leaves nothing of the service. PREFIX-net stays if there are strangers on it, or if it is somebody else's.
pub fn plan(service: &Service, inventory: &Inventory) -> Plan {
    let subject = Subject::Down(service.clone());
    let mut plan = Plan::new(subject, inventory.lb_restarts());
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
    if inventory.bridge.is_some() && inventory.strangers.is_empty() && !is_foreign(inventory) {
        plan.add(Action::RemoveNetwork, &gone);
    }
    plan
}

/// Whether PREFIX-net is not this service's: nobody of it is on it, and somebody made it with more than its name.
pub fn is_foreign(inventory: &Inventory) -> bool {
    let bridge = inventory.bridge.as_ref();
    inventory.containers().next().is_none() && bridge.is_some_and(|bridge| !bridge.is_plain())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::change::schedule::simulate;
    use crate::docker::answer::Network;
    use crate::inventory::tests::{container, engine};
    use crate::inventory::{Container, State};
    use crate::service::tests::spec;

    fn planned(containers: Vec<Container>, strangers: &[String]) -> Plan {
        let spec = spec(&[]);
        let bridge = Network {
            name: "web-net".into(),
            ..Network::default()
        };
        let mut inventory = Inventory::new(&spec.service, engine(), vec![bridge], containers);
        inventory.strangers = strangers.to_vec();
        plan(&spec.service, &inventory)
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

    #[test]
    fn a_network_that_somebody_made_with_more_than_its_name_stays() {
        let made = |more: &str| {
            let plain =
                r#""Name":"web-net","Driver":"bridge","Scope":"local","Labels":{},"Options":{},"#;
            let pool = r#""IPAM":{"Config":[{"Subnet":"172.18.0.0/16","Gateway":"172.18.0.1"}]}"#;
            let more = if more.is_empty() {
                String::new()
            } else {
                format!(",{more}")
            };
            // Of two of the same name the last counts.
            let all: serde_json::Value =
                serde_json::from_str(&format!("{{{plain}{pool}{more}}}")).unwrap();
            serde_json::from_value::<Network>(all).unwrap()
        };
        let spec = spec(&[]);
        let left = |network: &Network, containers: Vec<Container>| {
            let networks = vec![network.clone()];
            let inventory = Inventory::new(&spec.service, engine(), networks, containers);
            let removes = |action: &Action| *action == Action::RemoveNetwork;
            !plan(&spec.service, &inventory).actions().any(removes)
        };
        for (more, stays) in [
            ("", false),
            (r#""IPAM":{"Config":null}"#, false),
            (r#""Labels":{"owner":"db team"}"#, true),
            (
                r#""Options":{"com.docker.network.bridge.name":"br1"}"#,
                true,
            ),
            (r#""Driver":"macvlan""#, true),
            (r#""Internal":true"#, true),
            (r#""Attachable":true"#, true),
            (r#""EnableIPv6":true"#, true),
            (r#""IPAM":{"Config":[{"Subnet":"10.9.0.0/24"}]}"#, true),
            (
                r#""IPAM":{"Config":[{"Subnet":"10.9.0.0/24","Gateway":"10.9.0.1","IPRange":"10.9.0.8/29"}]}"#,
                true,
            ),
        ] {
            let network = made(more);
            assert_eq!(left(&network, vec![]), stays, "{more}");
            // What the service is on is its own.
            assert!(!left(&network, complete()), "{more}");
        }
    }
}
