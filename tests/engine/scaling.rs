//! Changes to a service under requests: none of them is lost.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use crate::service::Service;
use crate::traffic::Stream;

fn changes_lose_nothing(service: &Service) {
    service.tool(&["up", "-n", "3"]).succeeded();
    service.serves(&service.instances(1..=3), "1");
    let requests = Stream::start(&service.address(), service.port());
    let ran = service.tool(&["up", "-n", "5"]);
    service.answers(ran.succeeded());
    service.serves(&service.instances(1..=5), "1");
    service.tool(&["up", "-n", "2"]).succeeded();
    service.serves(&service.instances(1..=2), "1");
    requests.receipt().lost_nothing(&service.instances(1..=5));
    assert_eq!(service.containers().len(), 3);
    service.is_up_to_date(&["up", "-n", "2"]);
}

/// Clients come in elsewhere from then on, and the probe goes along.
#[test]
fn another_port_is_no_failure_of_the_probe() {
    let Some(mut service) = Service::new("probe-port") else {
        return;
    };
    service.set("LB_IMG", "haproxy:2.6");
    service.tool(&["up", "-n", "2"]).succeeded();
    let ran = service.tool(&["up", "-n", "2", "--lb-port", "8080", "--probe"]);
    ran.succeeded();
    assert!(ran.stdout.contains(" sent, 0 failed, "), "{ran}");
    let failing = [
        "up",
        "-n",
        "2",
        "--lb-port",
        "81",
        "--probe",
        "--health-check",
        "tcp",
        "--instance-port",
        "99",
        "--wait",
        "3s",
    ];
    let ran = service.tool(&failing);
    ran.exited(1);
    // What a load balancer's replacement costs its clients still counts.
    let again = [
        "up",
        "-n",
        "2",
        "--lb-port",
        "82",
        "--probe",
        "--recreate-lb",
        "--publish-lb",
        "always",
    ];
    let ran = service.tool(&again);
    ran.succeeded();
    let receipt = ran.stdout.lines().next().unwrap_or_default().to_owned();
    assert!(receipt.starts_with("probe: "), "{ran}");
    service.tool(&["status"]).succeeded();
}

/// The worker from before the last command but one sends to instances that leave now.
#[test]
fn a_client_from_before_the_last_command_is_waited_for_and_counted() {
    let Some(service) = Service::new("left") else {
        return;
    };
    service.tool(&["up", "-n", "2"]).succeeded();
    let mut client = TcpStream::connect((service.address(), service.port())).unwrap();
    client.write_all(b"GET / HTTP/1.0\r\n").unwrap();
    service.tool(&["scale", "3"]).succeeded();
    let ran = service.tool(&["scale", "1", "--drain", "2s"]);
    ran.succeeded()
        .says("after 2.0 s (--drain) former workers of ")
        .says(" still have 1 connection: those to instances that leave are cut");
    client.write_all(b"\r\n").unwrap();
    client.read_to_end(&mut Vec::new()).unwrap();
    let ran = service.tool(&["scale", "2"]);
    ran.succeeded();
    let ran = service.tool(&["scale", "1", "--drain", "60s"]);
    ran.succeeded();
    assert!(!ran.stderr.contains("--drain"), "{ran}");
}

#[test]
fn scaling_up_and_down_loses_no_request() {
    let Some(service) = Service::new("scale") else {
        return;
    };
    changes_lose_nothing(&service);
}

#[test]
fn another_image_replaces_every_instance_and_loses_no_request() {
    let Some(service) = Service::new("image") else {
        return;
    };
    service.tool(&["up", "-n", "2"]).succeeded();
    let requests = Stream::start(&service.address(), service.port());
    let ran = service.tool(&["up", "-n", "2", "--instance-img", "httpd:2"]);
    service.answers(ran.succeeded());
    let instances = service.instances(3..=4);
    service.serves(&instances, "2");
    requests.receipt().lost_nothing(&service.instances(1..=4));
    assert_eq!(service.containers().len(), 3);
    service.is_up_to_date(&["up", "-n", "2", "--instance-img", "httpd:2"]);
}

#[test]
fn an_image_that_does_not_work_leaves_the_running_service_as_it_was() {
    let Some(service) = Service::new("back") else {
        return;
    };
    service.tool(&["up", "-n", "2"]).succeeded();
    service.serves(&service.instances(1..=2), "1");
    let before = service.containers();
    let requests = Stream::start(&service.address(), service.port());
    let broken = service.tool(&["up", "-n", "2", "--instance-img", "httpd:broken"]);
    broken
        .exited(1)
        .says("exited with code 3")
        .says("this image fails on purpose")
        .says("what was done has been undone");
    let unhealthy = service.tool(&["up", "-n", "2", "--instance-img", "httpd:unhealthy"]);
    unhealthy
        .exited(1)
        .says("is unhealthy, by its own health check")
        .says("what was done has been undone");
    let sick = service.tool(&[
        "up",
        "-n",
        "3",
        "--instance-img",
        "httpd:sick",
        "--wait",
        "4s",
    ]);
    sick.exited(1)
        .says("does not answer on port 80")
        .says("exposes `8080/tcp`");
    let elsewhere = service.tool(&["up", "-n", "2", "--instance-port", "8000", "--wait", "4s"]);
    elsewhere
        .exited(1)
        .says("does not answer on port 8000")
        .says("exposes `80/tcp`");
    assert_eq!(service.containers(), before);
    requests.receipt().lost_nothing(&service.instances(1..=2));
    service.is_up_to_date(&["up", "-n", "2"]);
}

#[test]
fn what_an_edited_script_gave_its_instances_is_told_before_new_ones_lack_it() {
    let Some(service) = Service::new("siblings") else {
        return;
    };
    service.tool(&["up", "-n", "1"]).succeeded();
    // The engine's own defaults are no edits, whoever asks.
    for client in service.endpoint.clients() {
        let client = client.to_str().unwrap();
        for number in ["2", "1"] {
            let ran = service.tool(&["scale", number, "--docker", client]);
            assert!(!ran.succeeded().stderr.contains("made with"), "{client}");
        }
    }
    let (name, network) = (service.instance(1), service.network());
    service.docker(&["rm", "-f", &name]);
    let run = "run -d -p 80 -m 64m --cpus 0.5 --cpu-shares 512 -e TOKEN=geheim --restart always --mount \
               type=tmpfs,target=/scratch -v siblings-data:/data --cap-add net_admin --read-only=false --add-host db:10.0.0.7";
    let run = run.split_whitespace();
    let named = ["--name", &name, "--net", &network, "httpd"];
    service.docker(&run.chain(named).collect::<Vec<_>>());
    service.docker(&["kill", "-s", "HUP", &service.lb]);
    let told = format!(
        "`{name}` was made with `--memory 64m`, `--cpus 0.5`, `--cpu-shares 512`, `--restart always`, \
         `--volume siblings-data:/data`, `--mount type=tmpfs,target=/scratch`, `--cap-add NET_ADMIN` and `--add-host db:10.0.0.7`"
    );
    for client in service.endpoint.clients() {
        let client = client.to_str().unwrap();
        let ran = service.tool(&["scale", "2", "--dry-run", "--docker", client]);
        ran.succeeded().says(&format!("{told}, and new instances"));
    }
    let ran = service.tool(&["rollout", "--pull", "never", "--force", "--dry-run"]);
    let variable = told.replace(
        " and `--add-host db:10.0.0.7`",
        ", `--add-host db:10.0.0.7` and `--env TOKEN`",
    );
    ran.succeeded().says(&variable);
    service.tool(&["down"]).succeeded();
    service.docker(&["volume", "rm", "siblings-data"]);
}
