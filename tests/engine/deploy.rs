//! Fresh deployments.

use crate::service::Service;

#[test]
fn a_fresh_service_answers_through_its_load_balancer_and_a_rerun_touches_nothing() {
    let Some(service) = Service::new("fresh") else {
        return;
    };
    let ran = service.tool(&[]);
    ran.succeeded();
    service.answers(&ran);
    let instances = service.instances(1..=3);
    service.serves(&instances, "1");
    let config = service.script_config(&instances, 80);
    assert_eq!(service.read("haproxy.cfg"), config);
    let in_lb = service.docker(&[
        "exec",
        &service.lb,
        "cat",
        "/usr/local/etc/haproxy/haproxy.cfg",
    ]);
    assert_eq!(in_lb, config);
    service.is_up_to_date(&[]);
    service.is_up_to_date(&["up", "--jobs", "1"]);
    assert_eq!(service.read("haproxy.cfg"), config);
}

#[test]
fn one_call_at_a_time_makes_the_same_service_in_the_scripts_order() {
    let Some(service) = Service::new("order") else {
        return;
    };
    let ran = service.tool(&["up", "--jobs", "1", "-n", "2", "-v"]);
    service.answers(ran.succeeded());
    service.serves(&service.instances(1..=2), "1");
    let Service { prefix, lb, .. } = &service;
    let calls = [
        "docker pull httpd".to_owned(),
        "docker pull haproxy:1.7".into(),
        format!("docker network create {prefix}-net"),
        format!("docker run -d -p 80 --name {prefix}-1 --net {prefix}-net httpd"),
        format!("docker run -d -p 80 --name {prefix}-2 --net {prefix}-net httpd"),
        format!("docker create --name {lb} --net routable haproxy:1.7"),
        format!("docker network connect {prefix}-net {lb}"),
        format!("docker cp haproxy.cfg {lb}:/usr/local/etc/haproxy/haproxy.cfg"),
        format!("docker start {lb}"),
    ];
    let reads = [
        "docker info",
        "docker ps",
        "docker inspect",
        "docker network inspect",
    ];
    let said = ran
        .stderr
        .lines()
        .filter_map(|line| line.strip_prefix("+ "));
    let changing: Vec<&str> = said
        .filter(|call| !reads.iter().any(|read| call.starts_with(read)))
        // What was copied is read back.
        .filter(|call| !(call.starts_with("docker cp ") && call.ends_with(" -")))
        .collect();
    assert_eq!(changing, calls, "{ran}");
    service.is_up_to_date(&["up", "-n", "2"]);
}

#[test]
fn another_external_network_and_another_port_of_the_load_balancer() {
    let Some(mut service) = Service::new("dmz") else {
        return;
    };
    service
        .set("EXTERNAL_NET", "routable-dmz.v2")
        .set("LB_PORT", "8080")
        .set("INSTANCE_IMG", "httpd:2");
    let ran = service.tool(&["up"]);
    service.answers(ran.succeeded());
    let instances = service.instances(1..=3);
    service.serves(&instances, "2");
    assert_eq!(
        service.read("haproxy.cfg"),
        service.script_config(&instances, 80)
    );
    service.is_up_to_date(&["up"]);
}

#[test]
fn another_port_of_the_instances() {
    let Some(mut service) = Service::new("port") else {
        return;
    };
    service
        .set("INSTANCE_IMG", "httpd:sick")
        .set("INSTANCE_PORT", "8080")
        .set("NUM_INSTANCES", "2");
    let ran = service.tool(&["up"]);
    service.answers(ran.succeeded());
    let instances = service.instances(1..=2);
    service.serves(&instances, "sick");
    assert_eq!(
        service.read("haproxy.cfg"),
        service.script_config(&instances, 8080)
    );
    service.is_up_to_date(&["up"]);
}

#[test]
fn an_image_that_listens_late_and_a_load_balancer_that_is_not_root() {
    let Some(mut service) = Service::new("late") else {
        return;
    };
    service
        .set("INSTANCE_IMG", "httpd:late")
        .set("LB_IMG", "haproxy:2.6")
        .set("NUM_INSTANCES", "2");
    let ran = service.tool(&["up"]);
    service.answers(ran.succeeded());
    // It was said that the service is there, so the first request has to be answered.
    let (status, body) = crate::traffic::get(&service.address(), 80).unwrap();
    assert_eq!(status, 200, "{body}");
    service.serves(&service.instances(1..=2), "late");
    service.is_up_to_date(&["up"]);
}

#[test]
fn the_script_of_a_dry_run_deploys_the_service_by_itself() {
    let Some(service) = Service::new("dry") else {
        return;
    };
    let ran = service.tool(&["up", "--dry-run", "-n", "2", "--exit-code"]);
    ran.exited(3);
    service.is_gone();
    assert!(!service.path("haproxy.cfg").exists());
    service.bash(&ran.stdout);
    service.serves(&service.instances(1..=2), "1");
    service.is_up_to_date(&["up", "-n", "2"]);
    service
        .tool(&["up", "--dry-run", "-n", "2", "--exit-code"])
        .succeeded();
}

#[test]
fn two_services_on_one_endpoint_leave_each_other_alone() {
    let Some(one) = Service::new("twin-a") else {
        return;
    };
    let Some(other) = Service::new("twin-b") else {
        return;
    };
    let (first, second) = (
        one.start(&["up", "-n", "2"]),
        other.start(&["up", "-n", "2"]),
    );
    first.end().succeeded();
    second.end().succeeded();
    one.serves(&one.instances(1..=2), "1");
    other.serves(&other.instances(1..=2), "1");
    let before = other.containers();
    one.tool(&["up", "-n", "1"]).succeeded();
    assert_eq!(other.containers(), before);
    other.is_up_to_date(&["up", "-n", "2"]);
}
