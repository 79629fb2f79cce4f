//! A service that does not work is a failure: what instances and the service answer, and what docker says of containers,
//! before, while and after something is changed.

use serde_json::Value;

use super::sandbox::{Flavor, Listener, Ran, Sandbox};
use super::scene::quickly;

/// The endpoint's host, where instances publish their ports.
const HOST: &str = "127.50.0.200";

/// The script's two instances, each answering with one of these on the port that it publishes; `others` do so on the ports
/// that further instances will get.
fn published(siblings: u16, others: u16) -> (Sandbox, Vec<Listener>) {
    let sandbox = Sandbox::new(Flavor::Engine);
    sandbox.script_has_run(2);
    let port = |name: &str| {
        let port = &sandbox.container(name)["publish"][0]["bound"];
        u16::try_from(port.as_u64().unwrap()).unwrap()
    };
    // The fake gives ports out one after the other.
    let (one, two) = (port("web-1"), port("web-2"));
    let old = [one, two].map(|port| sandbox.listen(HOST, port, siblings));
    let new = [two + 1, two + 2].map(|port| sandbox.listen(HOST, port, others));
    let listeners = old
        .into_iter()
        .chain(new)
        .chain([sandbox.serve()])
        .collect();
    (sandbox, listeners)
}

/// Runs the tool where it reaches published ports.
fn on_host(sandbox: &Sandbox, command: &str, more: &[&str]) -> Ran {
    let endpoint = format!("tcp://{}:2375", sandbox.address(HOST));
    sandbox.tool_with(&quickly(command, more), |command| {
        command.env("DOCKER_HOST", &endpoint)
    })
}

#[track_caller]
fn undone(ran: Ran, sandbox: &Sandbox, before: &Value) {
    ran.code(1)
        .stdout("")
        .stderr_has("what was done has been undone\n");
    sandbox.assert_state(before, "");
}

#[test]
fn instances_that_answer_5xx_where_others_do_not_are_never_sent_to() {
    let image = ["--instance-img", "httpd:2"];
    for (command, more) in [("rollout", &image[..]), ("scale", &["3"])] {
        let (sandbox, _instances) = published(200, 503);
        let before = sandbox.state();
        let ran = on_host(&sandbox, command, more);
        let said = "error: `web-3` answers 503 to GET /, where instances answered below 500 before, also after 2.0 s\n";
        undone(ran.stderr_has(said), &sandbox, &before);
        let calls = sandbox.changing_calls();
        assert!(!calls.iter().any(|call| call.contains("HUP")), "{calls:#?}");
    }
}

#[test]
fn instances_that_are_no_worse_than_others_are_sent_to() {
    for (siblings, others) in [(503, 500), (503, 200), (200, 404)] {
        let (sandbox, _instances) = published(siblings, others);
        let image = ["--instance-img", "httpd:2"];
        on_host(&sandbox, "rollout", &image).success();
        assert_eq!(sandbox.containers(), ["lb", "web-3", "web-4"]);
    }
}

#[test]
fn a_check_that_those_who_serve_fail_is_refused_before_it_is_in_force() {
    let (sandbox, _instances) = published(404, 404);
    let before = sandbox.state();
    for (check, wanted) in [("http:/nope", "2xx or 3xx"), ("http:/nope,200", "200")] {
        let ran = on_host(&sandbox, "up", &["-n", "2", "--health-check", check]);
        ran.code(1).stdout("").stderr_has(&format!(
            "error: `web-1` answers 404 to GET /nope, where HEALTH_CHECK wants {wanted}\n"
        ));
    }
    assert_eq!(sandbox.changing_calls(), Vec::<String>::new());
    sandbox.assert_state(&before, "");
    let exact = ["-n", "2", "--health-check", "http:/nope,404"];
    on_host(&sandbox, "up", &exact).success();
}

#[test]
fn new_instances_have_to_pass_the_check_before_they_are_sent_to() {
    let (sandbox, _instances) = published(200, 404);
    on_host(
        &sandbox,
        "up",
        &["-n", "2", "--health-check", "http:/health"],
    )
    .success();
    let before = sandbox.state();
    let ran = on_host(&sandbox, "scale", &["3"]);
    let said =
        "`web-3` answers 404 to GET /health, where HEALTH_CHECK wants 2xx or 3xx, also after 2.0 s";
    undone(ran.stderr_has(said), &sandbox, &before);
}

#[test]
fn a_service_that_always_answered_5xx_is_no_worse_than_before() {
    let sandbox = Sandbox::new(Flavor::Engine);
    let _lb = sandbox.listen("127.50.0.2", 80, 503);
    sandbox.script_has_run(2);
    let rollout = ["--instance-img", "httpd:2"];
    sandbox.quick("rollout", &rollout).success();
    assert_eq!(sandbox.containers(), ["lb", "web-3", "web-4"]);
}
