//! A run that is told to leave, or killed outright.

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
