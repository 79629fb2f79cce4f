//! Where a service is on an engine that has no network which is routed here: a port of its host, found out from docker's own
//! contexts, too.

use std::fs;
use std::process::Command;

use crate::service::Service;
use crate::traffic;

const BY_HOST: [&str; 8] = [
    "up",
    "-n",
    "1",
    "--external-net",
    "bridge",
    "--publish-lb",
    "always",
    "--probe",
];

/// A context that leads to the endpoint, the current one of a configuration of docker's own.
fn by_context(service: &Service, command: &mut Command) {
    command
        .env_remove("DOCKER_HOST")
        .env_remove("DOCKER_TLS_VERIFY")
        .env("DOCKER_CONFIG", service.path("docker"));
}

fn make_context(service: &Service) {
    fs::create_dir(service.path("docker")).unwrap();
    let certs = service.endpoint.certs.display();
    let endpoint = format!(
        "host={},ca={certs}/ca.pem,cert={certs}/cert.pem,key={certs}/key.pem",
        service.endpoint.host
    );
    for words in [
        &["context", "create", "far", "--docker", &endpoint][..],
        &["context", "use", "far"],
    ] {
        let mut docker = service
            .endpoint
            .command("docker".as_ref(), &service.path("."));
        by_context(service, &mut docker);
        let output = docker.args(words).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
}

#[test]
fn a_published_service_is_at_the_host_of_the_endpoint_or_of_the_current_context() {
    let Some(mut service) = Service::new("by-host") else {
        return;
    };
    service.set("LB_PORT", "8099");
    let host = service.endpoint.address().to_owned();
    let answer = format!("\nService is available at\n{host}\non port 8099\n");
    let ran = service.tool(&BY_HOST);
    assert_eq!(ran.succeeded().stdout, answer, "{ran}");
    let serves = |instances: usize| {
        let instances = service.instances(1..=instances);
        let wanted = instances
            .iter()
            .map(|name| format!("{name} httpd:1\n"))
            .collect();
        traffic::reaches(&host, 8099, &wanted);
    };
    serves(1);
    make_context(&service);
    let scale = ["scale", "2", "--external-net", "bridge", "--probe"];
    let ran = service.tool_with(&scale, |command| {
        by_context(&service, command);
        command
    });
    assert!(ran.succeeded().stdout.ends_with(&answer), "{ran}");
    assert!(ran.stdout.contains(" 0 failed"), "{ran}");
    serves(2);
    let status = ["status", "--external-net", "bridge"];
    let ran = service.tool_with(&status, |command| {
        by_context(&service, command);
        command
    });
    let first = format!(
        "service {}: healthy at {host}:8099, answers\n",
        service.prefix
    );
    assert!(ran.succeeded().stdout.starts_with(&first), "{ran}");
}

#[test]
fn two_services_that_want_one_port_of_the_host_are_told_before_anything_is_made() {
    let Some(mut service) = Service::new("one-port") else {
        return;
    };
    service.set("LB_PORT", "8098");
    let other = service.instance(99);
    service.docker(&["pull", "httpd"]);
    service.docker(&["run", "-d", "--name", &other, "-p", "8098:80", "httpd"]);
    let before = service.containers();
    let ran = service.tool(&BY_HOST);
    ran.exited(1).answers_nothing().says(&format!(
        "port 8098 of the endpoint's host (LB_PORT) is taken: `{other}` publishes it"
    ));
    assert_eq!(service.containers(), before);
    assert_eq!(service.networks(), 0);
}
