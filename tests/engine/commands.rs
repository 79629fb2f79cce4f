//! The other commands on a service that runs: `scale`, `rollout`, `status`, `logs`, `down`.

use crate::service::{Service, end, wait_until};
use crate::traffic::{Stream, get};

#[test]
fn scale_and_rollout_lose_no_request() {
    let Some(service) = Service::new("life") else {
        return;
    };
    service.tool(&["up", "-n", "2"]).succeeded();
    let requests = Stream::start(&service.address(), service.port());
    let ran = service.tool(&["scale", "4"]);
    service.answers(ran.succeeded());
    service.serves(&service.instances(1..=4), "1");
    service
        .tool(&["scale", "4"])
        .succeeded()
        .says("nothing to do");

    let ran = service.tool(&[
        "rollout",
        "--instance-img",
        "httpd:2",
        "--batch",
        "2",
        "--probe",
    ]);
    ran.succeeded();
    assert!(ran.stdout.contains(" 0 failed"), "{ran}");
    service.serves(&service.instances(5..=8), "2");

    service.tool(&["scale", "1"]).succeeded();
    service.serves(&service.instances(5..=5), "2");
    requests.receipt().lost_nothing(&service.instances(1..=8));
}

#[test]
fn instances_that_cannot_overlap_are_replaced_one_after_the_other() {
    let Some(service) = Service::new("alone") else {
        return;
    };
    service.tool(&["up", "-n", "2"]).succeeded();
    let requests = Stream::start(&service.address(), service.port());
    let ran = service.tool(&["rollout", "--instance-img", "httpd:2", "--stop-first"]);
    service.answers(ran.succeeded());
    let fresh: Vec<String> = service.containers().into_keys().collect();
    let fresh: Vec<String> = fresh
        .into_iter()
        .filter(|name| *name != service.lb)
        .collect();
    assert_eq!(fresh.len(), 2, "{fresh:?}");
    service.serves(&fresh, "2");
    requests.receipt().lost_nothing(&fresh);
}

#[test]
fn a_rollout_of_an_image_that_does_not_work_goes_back() {
    let Some(service) = Service::new("rollback") else {
        return;
    };
    service.tool(&["up", "-n", "2"]).succeeded();
    let before = service.containers();
    let requests = Stream::start(&service.address(), service.port());
    for image in ["httpd:broken", "httpd:unhealthy", "httpd:absent"] {
        let ran = service.tool(&["rollout", "--instance-img", image]);
        ran.exited(1).answers_nothing();
        assert_eq!(service.containers(), before, "{image}");
    }
    requests.receipt().lost_nothing(&service.instances(1..=2));
    service.serves(&service.instances(1..=2), "1");
}

#[test]
fn an_image_with_a_health_check_is_rolled_out_when_it_is_healthy() {
    let Some(service) = Service::new("health") else {
        return;
    };
    service.tool(&["up", "-n", "2"]).succeeded();
    let ran = service.tool(&["rollout", "--instance-img", "httpd:health"]);
    service.answers(ran.succeeded());
    service.serves(&service.instances(3..=4), "health");
    service
        .tool(&["rollout", "--instance-img", "httpd:health", "--force"])
        .succeeded();
    service.serves(&service.instances(1..=2), "health");
}

#[test]
fn status_tells_what_is_there_and_what_is_missing() {
    let Some(service) = Service::new("status") else {
        return;
    };
    let ran = service.tool(&["status"]);
    ran.exited(3);
    assert!(ran.stdout.contains("not deployed"), "{ran}");

    service.tool(&["up", "-n", "2"]).succeeded();
    let ran = service.tool(&["status"]);
    ran.succeeded();
    let head = format!(
        "service {}: healthy at {}:80, answers\n",
        service.prefix,
        service.address()
    );
    assert!(ran.stdout.starts_with(&head), "{ran}");
    for name in service.containers().keys() {
        assert!(ran.stdout.contains(name), "{ran}");
    }

    service.docker(&["kill", &service.instance(2)]);
    let ran = service.tool(&["status"]);
    ran.exited(3);
    assert!(ran.stdout.contains("degraded"), "{ran}");
    let drift = format!(
        "`{}` exited with code 137 (killed)\n  to mend it: vch-lb up --num-instances 2\n",
        service.instance(2)
    );
    assert!(ran.stdout.contains(&drift), "{ran}");
    service.tool(&["up", "-n", "2"]).succeeded();
    service.tool(&["status"]).succeeded();
}

#[test]
fn logs_tell_which_container_said_what() {
    let Some(service) = Service::new("logs") else {
        return;
    };
    service
        .tool(&["logs"])
        .exited(1)
        .says("there is no service");
    service.tool(&["up", "-n", "2"]).succeeded();
    for _ in 0..4 {
        get(&service.address(), 80).unwrap();
    }
    let ran = service.tool(&["logs"]);
    ran.succeeded();
    for name in service.instances(1..=2) {
        let served = |line: &str| line.starts_with(&name) && line.contains("GET / HTTP/1.1");
        assert!(ran.stdout.lines().any(served), "nothing of {name} in {ran}");
    }
    assert!(ran.stdout.contains(&service.lb), "{ran}");
    let one = service.instance(1);
    let ran = service.tool(&["logs", "--tail", "1", &one]);
    ran.succeeded();
    assert!(!ran.stdout.contains(&service.instance(2)), "{ran}");
    service
        .tool(&["logs", "another"])
        .exited(1)
        .says("`another` is no container of this service");
}

#[test]
fn logs_that_are_followed_go_on_with_what_comes() {
    let Some(service) = Service::new("follow") else {
        return;
    };
    service.tool(&["up", "-n", "1"]).succeeded();
    let following = service.start(&["logs", "-f", "--tail", "0", &service.instance(1)]);
    let mut asked = 0;
    // It may take a moment until docker follows.
    wait_until("a request is in the log", || {
        asked += 1;
        get(&service.address(), 80).unwrap();
        following.said("GET / HTTP/1.1")
    });
    assert!(asked < 200);
    following.signal("INT");
    let ran = following.end();
    assert!(matches!(ran.code, Some(0 | 130)), "{ran}");
}

#[test]
fn down_removes_all_that_is_the_services_and_nothing_else() {
    let Some(service) = Service::new("down") else {
        return;
    };
    service
        .tool(&["down"])
        .succeeded()
        .says("nothing to take down");
    service.tool(&["up"]).succeeded();
    let stranger = format!("{}-other", service.prefix);
    service.docker(&["create", "--name", &stranger, "httpd"]);
    let script = service.tool(&["down", "--dry-run"]);
    script.succeeded();
    assert!(
        script
            .stdout
            .contains(&format!("docker network rm {}", service.network())),
        "{script}"
    );
    service.tool(&["down"]).succeeded();
    let left: Vec<String> = service.containers().into_keys().collect();
    assert_eq!(left, std::slice::from_ref(&stranger));
    assert_eq!(service.networks(), 0);
    service.docker(&["rm", &stranger]);

    // Others may be on the network: it stays then.
    service.tool(&["up", "-n", "1"]).succeeded();
    service.docker(&[
        "create",
        "--name",
        &stranger,
        "--net",
        &service.network(),
        "httpd",
    ]);
    let ran = service.tool(&["down"]);
    ran.succeeded().says("is left alone");
    assert_eq!(service.networks(), 1);
    service.docker(&["rm", &stranger]);
    service.tool(&["down"]).succeeded();
    service.is_gone();
}

#[test]
fn the_script_of_a_dry_run_takes_the_service_down_by_itself() {
    let Some(service) = Service::new("dry-down") else {
        return;
    };
    service.tool(&["up", "-n", "2"]).succeeded();
    let script = service.tool(&["down", "--dry-run"]);
    script.succeeded();
    service.bash(&script.stdout);
    service.is_gone();
}

#[test]
fn a_deployment_that_was_killed_is_taken_down() {
    let Some(service) = Service::new("kill-down") else {
        return;
    };
    let mut running = service.start(&["up"]);
    assert!(running.until("create network"));
    let calls = running.calls();
    running.signal("KILL");
    running.end();
    end(&calls);
    // The endpoint may still be at work on what those calls had asked for.
    wait_until("nothing is left", || {
        service.tool(&["down"]).succeeded();
        service.containers().is_empty() && service.networks() == 0
    });
}
