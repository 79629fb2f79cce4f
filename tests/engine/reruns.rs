//! `up` on an endpoint where something is: what the script left, what somebody broke.

use std::fs;

use crate::service::{Service, wait_until};

/// The bash script's own calls, in its order; the last one is the start of the load balancer.
fn script(service: &Service, instances: usize) -> Vec<Vec<String>> {
    let numbers = service.instances(1..=instances);
    fs::write(
        service.path("script.cfg"),
        service.script_config(&numbers, 80),
    )
    .unwrap();
    let (net, lb) = (service.network(), &service.lb);
    let mut calls = vec![
        "pull httpd".to_owned(),
        "pull haproxy:1.7".into(),
        format!("network create {net}"),
    ];
    calls.extend(
        numbers
            .iter()
            .map(|name| format!("run -d -p 80 --name {name} --net {net} httpd")),
    );
    calls.extend([
        format!("create --name {lb} --net routable haproxy:1.7"),
        format!("network connect {net} {lb}"),
        format!(
            "cp {} {lb}:/usr/local/etc/haproxy/haproxy.cfg",
            service.path("script.cfg").display()
        ),
        format!("start {lb}"),
    ]);
    calls
        .iter()
        .map(|call| call.split(' ').map(str::to_owned).collect())
        .collect()
}

fn run(service: &Service, calls: &[Vec<String>]) {
    for call in calls {
        service.docker(&call.iter().map(String::as_str).collect::<Vec<_>>());
    }
}

#[test]
fn a_service_that_the_script_made_is_up_to_date() {
    let Some(service) = Service::new("script") else {
        return;
    };
    run(&service, &script(&service, 3));
    service.is_up_to_date(&[]);
    service.serves(&service.instances(1..=3), "1");
    let ran = service.tool(&["up", "-n", "2"]);
    service.answers(ran.succeeded());
    service.serves(&service.instances(1..=2), "1");
}

#[test]
fn a_script_that_was_ended_anywhere_is_finished() {
    // After the network, in the midst of the instances, before the connection, before the copy, before the start.
    for done in [3, 4, 6, 7, 8] {
        let Some(service) = Service::new(&format!("half{done}")) else {
            return;
        };
        run(&service, &script(&service, 2)[..done]);
        let before = service.containers();
        let ran = service.tool(&["up", "-n", "2"]);
        service.answers(ran.succeeded());
        service.serves(&service.instances(1..=2), "1");
        let after = service.containers();
        for (name, was) in before.iter().filter(|(name, _)| **name != service.lb) {
            assert_eq!(after.get(name), Some(was), "after {done} calls");
        }
        service.is_up_to_date(&["up", "-n", "2"]);
    }
}

#[test]
fn whatever_somebody_breaks_is_mended() {
    let Some(service) = Service::new("mend") else {
        return;
    };
    let lb = service.lb.as_str();
    let (one, two) = (service.instance(1), service.instance(2));
    let all = service.instances(1..=3);
    service.tool(&["up"]).succeeded();
    let breakages: [(&str, &[&[&str]]); 6] = [
        ("an instance is removed", &[&["rm", "-f", &one]]),
        ("an instance is stopped", &[&["stop", &two]]),
        ("the load balancer is stopped", &[&["kill", lb]]),
        ("the load balancer is removed", &[&["rm", "-f", lb]]),
        (
            "everything is stopped",
            &[&["kill", &one], &["kill", &two], &["kill", lb]],
        ),
        (
            "everything but an instance is removed",
            &[&["rm", "-f", lb, &one, &two]],
        ),
    ];
    for (what, calls) in breakages {
        for call in calls {
            service.docker(call);
        }
        if calls.iter().any(|call| call[0] == "kill") {
            wait_until(what, || {
                service
                    .containers()
                    .values()
                    .any(|state| state.contains("exited"))
            });
        }
        let ran = service.tool(&["up"]);
        service.answers(ran.succeeded());
        service.serves(&all, "1");
        service.is_up_to_date(&["up"]);
    }
}

/// Takes the configuration out of the load balancer.
fn remove_config(service: &Service) {
    let path = "/usr/local/etc/haproxy/haproxy.cfg";
    service.docker(&["exec", &service.lb, "rm", path]);
}

#[test]
fn a_configuration_that_is_gone_from_a_stopped_load_balancer_comes_back() {
    let Some(service) = Service::new("config") else {
        return;
    };
    service.tool(&["up", "-n", "2"]).succeeded();
    remove_config(&service);
    service.docker(&["kill", &service.lb]);
    let ran = service.tool(&["up", "-n", "2"]);
    service.answers(ran.succeeded());
    service.serves(&service.instances(1..=2), "1");
    service.is_up_to_date(&["up", "-n", "2"]);
    // The one on this workstation is a by-product: nothing depends on it.
    fs::remove_file(service.path("haproxy.cfg")).unwrap();
    service.is_up_to_date(&["up", "-n", "2"]);
}

#[test]
fn a_configuration_that_is_gone_from_a_running_load_balancer_comes_back() {
    let Some(service) = Service::new("running-config") else {
        return;
    };
    service.tool(&["up", "-n", "2"]).succeeded();
    remove_config(&service);
    let ran = service.tool(&["up", "-n", "3"]);
    service.answers(ran.succeeded());
    service.serves(&service.instances(1..=3), "1");
    service.is_up_to_date(&["up", "-n", "3"]);
}

#[test]
fn instances_that_came_back_with_each_others_addresses_are_told_apart_again() {
    let Some(service) = Service::new("swap") else {
        return;
    };
    service.tool(&["up", "-n", "2"]).succeeded();
    let (one, two) = (service.instance(1), service.instance(2));
    service.docker(&["stop", "-t", "1", &one, &two]);
    // Addresses are given out in the order of the starts.
    service.docker(&["start", &two]);
    let other = service.docker(&[
        "run",
        "-d",
        "--net",
        &service.network(),
        "--name",
        &format!("{one}-other"),
        "httpd:2",
    ]);
    service.docker(&["start", &one]);
    let ran = service.tool(&["up", "-n", "2"]);
    service.answers(ran.succeeded());
    service.docker(&["rm", "-f", other.trim()]);
    service.serves(&[one, two], "1");
    service.is_up_to_date(&["up", "-n", "2"]);
}
