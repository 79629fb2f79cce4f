//! A service that does not work is a failure, as an engine and HAProxy tell it.

use std::thread;
use std::time::{Duration, Instant};

use crate::service::{PATIENCE, Service};
use crate::traffic::Stream;

#[test]
fn a_version_that_answers_5xx_to_everything_takes_nobodys_place() {
    let Some(service) = Service::new("gate-5xx") else {
        return;
    };
    service.tool(&["up", "-n", "2"]).succeeded();
    let before = service.containers();
    let requests = Stream::start(&service.address(), service.port());
    let rollout = ["rollout", "--instance-img", "httpd:failing", "--wait", "3s"];
    let ran = service.tool(&rollout);
    ran.exited(1)
        .answers_nothing()
        .says("answers 503 to GET /, where instances answered below 500 before");
    assert_eq!(service.containers(), before);
    requests.receipt().lost_nothing(&service.instances(1..=2));
}

#[test]
fn a_first_deployment_that_answers_5xx_is_told_and_fails_its_check() {
    let Some(service) = Service::new("gate-first") else {
        return;
    };
    let up = [
        "up",
        "-n",
        "1",
        "--instance-img",
        "httpd:failing",
        "--wait",
        "3s",
    ];
    let checked = [&up[..], &["--health-check", "http:/"]].concat();
    let ran = service.tool(&checked);
    ran.exited(1).answers_nothing().says("HEALTH_CHECK=http:/");
    assert!(service.containers().is_empty());
    service.tool(&up).succeeded().says("answers 503");
    service.tool(&["status"]).exited(3);
}

#[test]
fn a_service_under_tls_is_asked_for_an_answer_and_not_for_a_connection() {
    let Some(mut service) = Service::new("gate-tls") else {
        return;
    };
    let certificate = include_str!("../fixtures/localhost.pem");
    std::fs::write(service.path("shop.pem"), certificate).unwrap();
    service.set("LB_IMG", "haproxy:2.6");
    service.set("TLS_CERT", "shop.pem");
    let failing = [
        "up",
        "-n",
        "1",
        "--instance-img",
        "httpd:failing",
        "--wait",
        "3s",
    ];
    service.tool(&failing).succeeded().says("answers 503");
    service.tool(&["status"]).exited(3).prints("answers 503");
    service.tool(&["up", "-n", "1"]).succeeded();
    service
        .tool(&["status"])
        .succeeded()
        .prints(": healthy at ");
}

#[test]
fn a_connection_that_only_stays_open_shows_no_service() {
    let Some(mut service) = Service::new("gate-tcp") else {
        return;
    };
    service.set("LB_MODE", "tcp");
    service
        .tool(&["up", "-n", "1", "--instance-img", "httpd:sick"])
        .succeeded()
        .says(
            "it was not shown that the service answers: a load balancer takes connections before",
        );
    service
        .tool(&["status"])
        .succeeded()
        .prints(": running at ")
        .prints("takes connections");
}

#[test]
fn a_first_deployment_of_what_docker_calls_unhealthy_is_undone() {
    let Some(service) = Service::new("gate-sick") else {
        return;
    };
    let ran = service.tool(&["up", "-n", "2", "--instance-img", "httpd:unhealthy"]);
    ran.exited(1)
        .answers_nothing()
        .says("is unhealthy, by its own health check")
        .says("what was done has been undone");
    assert!(service.containers().is_empty());
    let ran = service.tool(&["up", "-n", "2", "--instance-img", "httpd:health"]);
    service.answers(ran.succeeded());
}

#[test]
fn instances_that_end_again_and_again_are_no_service() {
    let Some(service) = Service::new("gate-loop") else {
        return;
    };
    let always = "--instance-args=--restart always";
    let ran = service.tool(&["up", "-n", "1", "--instance-img", "httpd:broken", always]);
    ran.exited(1).answers_nothing();
    assert!(service.containers().is_empty());
    service.tool(&["up", "-n", "1", always]).succeeded();
    let before = service.containers();
    let ran = service.tool(&["rollout", "--instance-img", "httpd:broken", "--wait", "5s"]);
    ran.exited(1).answers_nothing();
    assert_eq!(service.containers(), before);
}

#[test]
fn a_check_that_nobody_passes_never_comes_into_force() {
    let Some(service) = Service::new("gate-check") else {
        return;
    };
    service.tool(&["up", "-n", "2"]).succeeded();
    let before = service.containers();
    let requests = Stream::start(&service.address(), service.port());
    let ran = service.tool(&["up", "-n", "2", "--health-check", "http:/nope"]);
    ran.exited(1)
        .answers_nothing()
        .says("answers 404 to GET /nope, where HEALTH_CHECK wants 2xx or 3xx");
    assert_eq!(service.containers(), before);
    requests.receipt().lost_nothing(&service.instances(1..=2));
    service
        .tool(&["up", "-n", "2", "--health-check", "http:/"])
        .succeeded();
}

/// Whom HAProxy's check finds failing is told, though docker and most clients have nothing against it.
#[test]
fn a_server_that_haproxy_calls_down_is_told() {
    let Some(mut service) = Service::new("gate-down") else {
        return;
    };
    service
        .set("LB_IMG", "haproxy:2.6")
        .set("HEALTH_CHECK", "http:/");
    let up = ["up", "-n", "2", "--wait", "10s"];
    service.tool(&up).succeeded();
    let status = service.tool(&["status"]);
    status.succeeded();
    assert_eq!(status.stdout.matches("  up\n").count(), 2, "{status}");
    // Another one in its place, which answers 503.
    let (web, network) = (service.instance(2), service.network());
    service.docker(&["rm", "-f", &web]);
    let words = ["run", "-d", "--name", &web, "--net", &network];
    service.docker(&[&words[..], &["-e", "STATUS=503", "httpd"]].concat());
    service.docker(&["kill", "-s", "HUP", &service.lb]);
    let told =
        format!("HAProxy sends nothing to `{web}`, which fails HEALTH_CHECK=http:/ (L7STS 503)");
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        let status = service.tool(&["status"]);
        if status.stdout.contains(&told) || Instant::now() > deadline {
            break status;
        }
        thread::sleep(Duration::from_millis(300));
    };
    status.exited(3);
    assert!(status.stdout.contains(&told), "{status}");
    assert!(status.stdout.contains("  down: L7STS 503\n"), "{status}");
}

/// As a copy that broke off leaves it: HAProxy serves on, and would not start again.
#[test]
fn a_certificate_that_broke_off_in_the_load_balancer_is_told() {
    let Some(mut service) = Service::new("gate-cert") else {
        return;
    };
    let certificate = include_str!("../fixtures/localhost.pem");
    std::fs::write(service.path("shop.pem"), certificate).unwrap();
    let half = &certificate[..certificate.len() / 2];
    std::fs::write(service.path("tls.pem"), half).unwrap();
    service.set("LB_IMG", "haproxy:2.6");
    service.set("TLS_CERT", "shop.pem");
    service.tool(&["up", "-n", "1"]).succeeded();
    service.tool(&["status"]).succeeded();
    let to = format!("{}:/usr/local/etc/haproxy/tls.pem", service.lb);
    let half = service.path("tls.pem");
    service.docker(&["cp", half.to_str().unwrap(), &to]);
    let told = format!(
        "certificate and key in `{}` are not those of TLS_CERT\n",
        service.lb
    );
    let status = service.tool(&["status"]);
    status.exited(3);
    assert!(status.stdout.contains(&told), "{status}");
    service.tool(&["up", "-n", "1"]).succeeded();
    service.tool(&["status"]).succeeded();
}
