//! A run that is told to leave, or killed outright.

use std::process::Command;

use crate::service::{Service, end};

/// Words of the lines that a deployment says one after the other, each when a step is done.
const MOMENTS: [&str; 6] = [
    "Docker Engine",
    "pull httpd",
    "create network",
    "run ",
    "connect ",
    "start ",
];

#[test]
fn a_deployment_that_was_killed_is_finished_by_another_run() {
    for (number, moment) in MOMENTS.iter().enumerate() {
        let Some(service) = Service::new(&format!("kill{number}")) else {
            return;
        };
        let mut running = service.start(&["up", "-n", "3"]);
        assert!(running.until(moment));
        let calls = running.calls();
        running.signal("KILL");
        // Every other time, as when the workstation goes down, its docker calls end with it; else they go on by themselves.
        if number % 2 == 1 {
            end(&calls);
        }
        assert_eq!(running.end().code, None);
        let ran = service.tool(&["up", "-n", "3"]);
        service.answers(ran.succeeded());
        service.serves(&service.instances(1..=3), "1");
        service.is_up_to_date(&["up", "-n", "3"]);
    }
}

/// A second network of the service's name, as two `network create` that meet leave it. docker's client asks the engine not
/// to make one; whether it does all the same is a matter of milliseconds.
fn double_network(service: &Service) {
    let certs = &service.endpoint.certs;
    let output = Command::new("curl")
        .args(["-sS", "--fail", "--noproxy", "*", "--max-time", "30"])
        .arg("--cacert")
        .arg(certs.join("ca.pem"))
        .arg("--cert")
        .arg(certs.join("cert.pem"))
        .arg("--key")
        .arg(certs.join("key.pem"))
        .args(["-H", "Content-Type: application/json", "-d"])
        .arg(format!("{{\"Name\":\"{}\"}}", service.network()))
        .arg(format!(
            "https://{}:2376/networks/create",
            service.endpoint.address()
        ))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(service.networks(), 2);
}

#[test]
fn a_second_network_of_the_name_is_removed() {
    let Some(service) = Service::new("twice") else {
        return;
    };
    // In the middle of a deployment, by a call that was still on its way.
    let mut running = service.start(&["up", "-n", "3", "--jobs", "1"]);
    assert!(running.until("create network"));
    double_network(&service);
    let ran = running.end();
    ran.says("removing 1 that nobody is on");
    service.answers(ran.succeeded());
    assert_eq!(service.networks(), 1);
    service.serves(&service.instances(1..=3), "1");
    // An instance that is stopped can't be started on another network than the one that it was on.
    service.docker(&["stop", "-t", "1", &service.instance(1)]);
    double_network(&service);
    service.tool(&["up", "-n", "3"]).succeeded();
    assert_eq!(service.networks(), 1);
    service.serves(&service.instances(1..=3), "1");
    // All instances are stopped: nothing is seen on either network.
    service.docker(&[
        "stop",
        "-t",
        "1",
        &service.instance(1),
        &service.instance(2),
        &service.instance(3),
        &service.lb,
    ]);
    double_network(&service);
    service.tool(&["up", "-n", "3"]).succeeded();
    assert_eq!(service.networks(), 1);
    service.serves(&service.instances(1..=3), "1");
    double_network(&service);
    service.tool(&["down"]).succeeded();
    service.is_gone();
}

#[test]
fn an_interrupted_deployment_leaves_nothing() {
    for (number, moment) in MOMENTS.iter().enumerate() {
        let Some(service) = Service::new(&format!("int{number}")) else {
            return;
        };
        let (signal, code) = if number % 2 == 0 {
            ("INT", 130)
        } else {
            ("TERM", 143)
        };
        let mut running = service.start(&["up", "-n", "3"]);
        assert!(running.until(moment));
        running.signal(signal);
        let ran = running.end();
        if *moment == "start " && ran.code == Some(0) {
            // All that was left to do was to look whether it answers.
            service.serves(&service.instances(1..=3), "1");
            continue;
        }
        ran.exited(code).answers_nothing();
        service.is_gone();
    }
}

#[test]
fn a_change_that_was_killed_is_finished_by_another_run() {
    let Some(service) = Service::new("kill-scale") else {
        return;
    };
    service.tool(&["up", "-n", "2"]).succeeded();
    for (instances, moment) in [
        (4, "run "),
        (5, "wait for "),
        (2, "reload "),
        (4, "reload "),
        (1, "stop "),
    ] {
        let count = instances.to_string();
        let mut running = service.start(&["up", "-n", &count]);
        assert!(running.until(moment), "{moment}");
        running.signal("KILL");
        running.end();
        let ran = service.tool(&["up", "-n", &count]);
        service.answers(ran.succeeded());
        service.serves(&service.instances(1..=instances), "1");
        assert_eq!(service.containers().len(), instances + 1);
    }
}

#[test]
fn an_interrupted_change_leaves_the_service_as_it_was() {
    let Some(service) = Service::new("int-scale") else {
        return;
    };
    service.tool(&["up", "-n", "2"]).succeeded();
    let before = service.containers();
    for moment in ["run ", "wait for "] {
        let mut running = service.start(&["up", "-n", "4"]);
        assert!(running.until(moment));
        running.signal("INT");
        running.end().exited(130).answers_nothing();
        assert_eq!(service.containers(), before);
        service.serves(&service.instances(1..=2), "1");
        service.is_up_to_date(&["up", "-n", "2"]);
    }
}

#[test]
fn an_interrupted_rollout_goes_back_to_those_that_still_run() {
    let Some(mut service) = Service::new("int-dead") else {
        return;
    };
    service.set("LB_IMG", "haproxy:2.6");
    service.tool(&["up", "-n", "3"]).succeeded();
    service.docker(&["kill", &service.instance(1)]);
    let mut running = service.start(&["rollout", "--instance-img", "httpd:2"]);
    assert!(running.until("watch "));
    running.signal("INT");
    let ran = running.end();
    ran.exited(130).answers_nothing();
    ran.says(&format!(
        "`{}` does not run: the load balancer goes back to the others",
        service.instance(1)
    ));
    ran.says("what was done has been undone");
    service.serves(&service.instances(2..=3), "1");
    assert_eq!(service.containers().len(), 4);
    service.tool(&["up", "-n", "3"]).succeeded();
    service.serves(&service.instances(1..=3), "1");
}
