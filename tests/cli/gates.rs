//! A service that does not work is a failure: what instances and the service answer, and what docker says of containers,
//! before, while and after something is changed.

use serde_json::{Value, json};

use super::sandbox::{Flavor, Listener, Ran, Sandbox};
use super::scene::{on_both, quickly};

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
fn what_is_waited_for_is_told_once_it_takes_a_while() {
    let (sandbox, _instances) = published(200, 503);
    let ran = on_host(&sandbox, "scale", &["3", "--wait", "4s"]);
    let told =
        "waiting for `web-3`: it answers 503 to GET /, where instances answered below 500 before\n";
    let ran = ran.code(1).stderr_has(told);
    assert_eq!(ran.stderr.matches("waiting for").count(), 1, "{ran}");
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
fn a_400_of_a_check_without_a_host_is_told_the_setting_that_names_one() {
    let (sandbox, _instances) = published(400, 400);
    let check = ["-n", "2", "--health-check", "http:/health"];
    on_host(&sandbox, "up", &check)
        .code(1)
        .stderr_has("`web-1` answers 400 to GET /health")
        .stderr_has("hint: HAProxy's checks have no Host header")
        .stderr_has("HEALTH_HOST names one\n");
    let named = [&check[..], &["--health-host", "shop.example.com"]].concat();
    let ran = on_host(&sandbox, "up", &named).code(1);
    assert!(!ran.stderr.contains("no Host header"), "{ran}");
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

/// A load balancer takes connections though it hands none on.
#[test]
fn an_instance_port_that_the_image_does_not_expose_is_told_where_nothing_was_shown_to_answer() {
    let sandbox = Sandbox::new(Flavor::Engine);
    sandbox.config(json!({"images": {"app": {"exposed": [8080]}}}));
    let _lb = sandbox.listen_silent("127.50.0.2", 80);
    let up = ["-n", "1", "--instance-img", "app", "--lb-mode", "tcp"];
    let told = "warning: INSTANCE_PORT is 80, but the image `app` exposes `8080/tcp`\n";
    sandbox.up(&up).success().stderr_has(told);
    sandbox.quick("down", &[]);
    let right = [&up[..], &["--instance-port", "8080"]].concat();
    sandbox.up(&right).success().stderr_lacks("exposes");
}

/// Two instances of the default service on a VCH, whose names resolve whether they run or not.
#[test]
fn dead_instances_are_no_success_though_nobody_can_be_asked() {
    on_both(|flavor| {
        let sandbox = Sandbox::new(flavor);
        sandbox.config(json!({"images": {"app:dead": {"exits": 3, "logs": ["no database"]}}}));
        let _lb = sandbox.listen_silent("127.50.0.2", 80);
        let before = sandbox.state();
        let ran = sandbox.up(&["-n", "2", "--instance-img", "app:dead"]);
        undone(ran.stderr_has("  | no database\n"), &sandbox, &before);
    });
}

#[test]
fn instances_that_die_while_the_service_is_silent_are_no_success() {
    let sandbox = Sandbox::new(Flavor::Vch);
    sandbox.config(json!({"images": {"app:weak": {"dies_after": 2, "logs": ["out of luck"]}}}));
    let _lb = sandbox.listen_silent("127.50.0.2", 80);
    let before = sandbox.state();
    let ran = sandbox.up(&["-n", "1", "--instance-img", "app:weak", "--settle", "1s"]);
    undone(
        ran.stderr_has("`web-1` did not get ready: it exited with code 1"),
        &sandbox,
        &before,
    );
}

#[test]
fn what_docker_calls_unhealthy_is_no_success_on_a_first_deployment_either() {
    for (course, said) in [
        (
            json!({"unhealthy_after": 1}),
            "`web-1` did not get ready: it is unhealthy, by its own health check\n  | curl: (7) Failed to connect",
        ),
        (
            json!({}),
            "`web-1` is not healthy after 2.0 s, by its own health check",
        ),
    ] {
        let sandbox = Sandbox::new(Flavor::Engine);
        sandbox.config(json!({"images": {"app": {"health": course}}}));
        let _lb = sandbox.serve();
        let before = sandbox.state();
        let ran = sandbox.up(&["-n", "1", "--instance-img", "app"]);
        undone(ran.stderr_has(said), &sandbox, &before);
        // It is waited for.
        sandbox.config(json!({"images": {"app:2": {"health": {"healthy_after": 3}}}}));
        let well = ["-n", "1", "--instance-img", "app:2"];
        sandbox.up(&well).success();
        let looks = sandbox.container("web-1")["looks"].as_u64();
        assert!(looks.is_some_and(|looks| looks > 3), "{looks:?}");
    }
}

#[test]
fn one_that_dies_when_the_load_balancer_has_taken_it_in_is_no_success() {
    // On an engine HAProxy would not even load: the name of one that ended does not resolve.
    let sandbox = Sandbox::new(Flavor::Vch);
    let _lb = sandbox.serve();
    sandbox.script_has_run(1);
    let before = sandbox.state();
    sandbox.rule(json!({"when": ["kill", "HUP", "lb"], "hang": "go"}));
    let tool = sandbox.start(&quickly("scale", &["2"]));
    sandbox.wait_for_call("kill -s HUP lb");
    sandbox.docker(&["kill", "web-2"]).success();
    sandbox.release("go");
    let said = "`web-2` did not get ready: it exited with code 137 (killed)";
    undone(tool.finish().stderr_has(said), &sandbox, &before);
}

#[test]
fn a_first_deployment_that_answers_5xx_is_said_and_what_warms_up_is_waited_for() {
    let sandbox = Sandbox::new(Flavor::Engine);
    let lb = sandbox.listen("127.50.0.2", 80, 503);
    let ran = sandbox.up(&["-n", "1", "--wait", "1s"]);
    ran.success().stderr_has(
        "warning: the service behind `lb` answers 503: `vch-lb status` and `vch-lb logs` say more",
    );
    sandbox
        .tool(&["status"])
        .code(3)
        .stdout_has("degraded at 127.50.0.2:80, answers 503\n");
    sandbox.tool(&["down"]).success();
    let tool = sandbox.start(&["up", "-n", "1", "--wait", "1m"]);
    let served = lb.served();
    sandbox.wait_until("it was asked again", || {
        (lb.served() > served + 2).then_some(())
    });
    drop(lb);
    let _lb = sandbox.serve();
    tool.finish().success().stderr_lacks("warning");
}

#[test]
fn what_was_not_shown_to_answer_is_said() {
    let sandbox = Sandbox::new(Flavor::Engine);
    let _lb = sandbox.listen_silent("127.50.0.2", 80);
    let json = |arguments: &[&str]| {
        let all = [arguments, &["--format", "json"]].concat();
        let json = sandbox.tool(&quickly(all[0], &all[1..])).success().json();
        (json["answered"].clone(), json["http_status"].clone())
    };
    let not_shown = (json!(false), json!(null));
    assert_eq!(json(&["up", "-n", "1"]), not_shown);
    assert_eq!(json(&["up", "-n", "1"]), not_shown);
    assert_eq!(json(&["scale", "2"]), not_shown);
    let ran = sandbox.quick("scale", &["1"]).success();
    ran.stderr_has("1 instance behind `lb`; it was not shown that the service answers");
    let status = sandbox.tool(&["status"]).code(0);
    status.stdout_has("service web: running at 127.50.0.2:80, no answer from here\n");
}

#[test]
fn what_the_probe_sees_fail_in_the_end_fails_the_change() {
    for (allowed, code) in [(None, 1), (Some("1000000"), 0)] {
        let sandbox = Sandbox::new(Flavor::Engine);
        let lb = sandbox.serve();
        sandbox.script_has_run(1);
        sandbox.rule(json!({"when": ["stop", "web-1"], "hang": "go"}));
        let mut arguments = vec!["--instance-img", "httpd:2", "--probe"];
        arguments.extend(allowed.iter().flat_map(|allowed| ["--max-failed", allowed]));
        let tool = sandbox.start(&quickly("rollout", &arguments));
        sandbox.wait_for_call("stop");
        drop(lb);
        let failing = sandbox.listen("127.50.0.2", 80, 500);
        sandbox.wait_until("requests failed", || (failing.served() > 5).then_some(()));
        drop(failing);
        let _lb = sandbox.serve();
        sandbox.release("go");
        let ran = tool.finish().code(code);
        if code == 1 {
            ran.stderr_has("requests of --probe failed since the last reload is in force, and --max-failed is 0\n");
        }
    }
}
