//! HAProxy's own checks of the instances (HEALTH_CHECK): those that fail them never take the place of those that serve.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::{Value, json};

use super::sandbox::{Flavor, Listener, Ran, Sandbox};
use super::scene::{CONFIG, on_both};

/// Longer than any scenario.
const FOREVER: u64 = 3_600_000;
const LB: [&str; 2] = ["--lb-img", "haproxy:2.6"];
/// What HAProxy says where it has no server left.
const NO_SERVER: &str = "HTTP/1.0 503 Service Unavailable\r\n\r\n<h1>503</h1>\nNo server is available to handle this \
                         request.\n";

fn failing(image: &str, milliseconds: u64) -> Value {
    json!({"images": {image: {"fails_checks_ms": milliseconds}}})
}

/// From now on `httpd` is an image that fails.
fn sicken(sandbox: &Sandbox) {
    sandbox
        .config(failing("httpd", FOREVER))
        .push_image("httpd");
    sandbox.docker(&["pull", "httpd"]).success();
}

/// Two instances behind a load balancer that checks them.
fn checked(flavor: Flavor) -> (Sandbox, Listener) {
    let sandbox = Sandbox::new(flavor);
    let lb = sandbox.serve();
    let check = ["-n", "2", "--health-check", "http:/health"];
    sandbox.up(&[&LB[..], &check].concat()).success();
    (sandbox, lb)
}

fn down(name: &str) -> String {
    format!("Server servers/{name} is DOWN, reason: Layer7 wrong status, code: 404")
}

/// The run failed and left everything in the load balancer and around it as it was.
#[track_caller]
fn undone(ran: Ran, sandbox: &Sandbox, before: &Value) {
    ran.code(1).stderr_has("what was done has been undone");
    let after = sandbox.state();
    for part in ["containers", "networks"] {
        let names = |state: &Value| -> Vec<String> {
            let found = state[part].as_object();
            found.map_or(Vec::new(), |found| found.keys().cloned().collect())
        };
        assert_eq!(names(&after), names(before));
    }
    if sandbox.find_container("lb").is_some() {
        assert_eq!(sandbox.loaded_config("lb"), sandbox.file_in("lb", CONFIG));
    }
    let stopped = |call: &String| {
        ["docker stop web-1", "docker rm -v web-1"]
            .iter()
            .any(|old| call.starts_with(old))
    };
    let changes = sandbox.changing_calls();
    assert!(!changes.iter().any(stopped), "{changes:?}");
}

#[test]
fn a_deployment_whose_instances_fail_the_check_fails() {
    on_both(|flavor| {
        let sandbox = Sandbox::new(flavor);
        let _lb = sandbox.serve();
        sandbox.config(failing("httpd", FOREVER));
        let before = sandbox.state();
        let check = ["-n", "2", "--health-check", "http:/nope,200"];
        let ran = sandbox.up(&[&LB[..], &check].concat());
        undone(
            ran.stderr_has(
                "`web-1` and `web-2` fail the check of `lb`, HEALTH_CHECK=http:/nope,200",
            )
            .stderr_has(&down("server1"))
            .stderr_has("backend 'servers' has no server available!"),
            &sandbox,
            &before,
        );
    });
}

#[test]
fn instances_that_need_time_to_warm_up_get_it() {
    on_both(|flavor| {
        let sandbox = Sandbox::new(flavor);
        let _lb = sandbox.serve();
        sandbox.config(failing("httpd", 6_500));
        let check = ["-n", "2", "--health-check", "http:/", "--wait", "30s"];
        sandbox.up(&[&LB[..], &check].concat()).success();
        sandbox.config(failing("httpd:2", 6_500));
        let arguments = ["--instance-img", "httpd:2", "--wait", "30s", "--batch", "2"];
        sandbox.quick("rollout", &arguments).success();
        assert_eq!(sandbox.containers(), ["lb", "web-3", "web-4"]);
    });
}

#[test]
fn a_rollout_to_an_image_that_fails_the_check_removes_no_old_instance() {
    on_both(|flavor| {
        for batch in ["1", "2"] {
            let (sandbox, _lb) = checked(flavor);
            sandbox.config(failing("httpd:2", FOREVER));
            let before = sandbox.state();
            let config = sandbox.loaded_config("lb");
            sandbox.forget_calls();
            let arguments = ["--instance-img", "httpd:2", "--batch", batch];
            let ran = sandbox.quick("rollout", &arguments);
            let whole = ran
                .stderr_has("the check of `lb`, HEALTH_CHECK=http:/health")
                .stderr_has(&down("server3"))
                // The old ones were sent to all the time.
                .stderr_lacks("no server available");
            undone(whole, &sandbox, &before);
            assert_eq!(sandbox.loaded_config("lb"), config);
        }
    });
}

#[test]
fn another_instance_that_fails_the_check_does_not_stay() {
    on_both(|flavor| {
        let (sandbox, _lb) = checked(flavor);
        sicken(&sandbox);
        let before = sandbox.state();
        sandbox.forget_calls();
        let ran = sandbox.quick("scale", &["3"]);
        undone(
            ran.stderr_has("`web-3` fails the check of `lb`, HEALTH_CHECK=http:/health"),
            &sandbox,
            &before,
        );
    });
}

/// HAProxy 1.7 may reset a connection when it reloads, and a network may lose one.
#[test]
fn one_lost_connection_is_no_service_without_instances() {
    let (sandbox, lb) = checked(Flavor::Engine);
    drop(lb);
    let listener = sandbox.listen_mute("127.50.0.2", 80);
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let serving = scope.spawn(|| {
            let mut lost = 0;
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                if over.load(Ordering::Relaxed) {
                    break;
                }
                let loaded = sandbox.loaded_config("lb").unwrap_or_default();
                if lost == 0 && loaded.contains("server3") {
                    lost += 1;
                    continue;
                }
                let _ = stream.read(&mut [0; 1024]);
                let _ = stream.write_all(b"HTTP/1.1 200 Fake\r\nConnection: close\r\n\r\nok\n");
            }
            lost
        });
        let ran = sandbox.quick("scale", &["3"]);
        over.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(listener.local_addr().unwrap());
        ran.success();
        assert_eq!(serving.join().unwrap(), 1);
    });
}

#[test]
fn a_check_that_all_instances_fail_is_taken_back_at_once() {
    on_both(|flavor| {
        let sandbox = Sandbox::new(flavor);
        let _lb = sandbox.serve();
        sandbox.config(failing("httpd", FOREVER));
        sandbox.up(&[&LB[..], &["-n", "2"]].concat()).success();
        let (before, config) = (sandbox.state(), sandbox.loaded_config("lb"));
        sandbox.forget_calls();
        // With patience it would be an outage for all of that time.
        let check = ["-n", "2", "--health-check", "http:/nope", "--wait", "10m"];
        let ran = sandbox.up(&[&LB[..], &check].concat());
        undone(ran.stderr_has("no server available"), &sandbox, &before);
        assert_eq!(sandbox.loaded_config("lb"), config);
    });
}

#[test]
fn a_sick_instance_does_not_keep_a_service_from_being_mended() {
    let (sandbox, _lb) = checked(Flavor::Engine);
    sicken(&sandbox);
    // It came while nobody checked, and nobody is to blame for it now.
    sandbox.docker(&["stop", "lb"]).success();
    sandbox.docker(&["rm", "-f", "-v", "web-2"]).success();
    sandbox
        .docker_line("run -d -p 80 --name web-2 --net web-net httpd")
        .success();
    let check = ["-n", "2", "--health-check", "http:/health"];
    sandbox.up(&[&LB[..], &check].concat()).success();
    sandbox.wait_until("HAProxy says so", || {
        let log = sandbox.docker(&["logs", "lb"]).stderr;
        log.contains(&down("server2")).then_some(())
    });
}

#[test]
fn what_an_old_haproxy_does_not_log_the_service_answers() {
    let sandbox = Sandbox::new(Flavor::Engine);
    let lb = sandbox.serve();
    let check = ["-n", "2", "--health-check", "http:/health"];
    sandbox.up(&check).success();
    drop(lb);
    let _lb = sandbox.answer_with("127.50.0.2", 80, NO_SERVER);
    let before = sandbox.state();
    sandbox.forget_calls();
    let ran = sandbox.quick("rollout", &["--instance-img", "httpd:2"]);
    undone(
        ran.stderr_has(
            "`lb` answers that no instance passes its check, HEALTH_CHECK=http:/health, on port 80",
        ),
        &sandbox,
        &before,
    );
}

#[test]
fn a_service_with_nothing_to_do_that_does_not_answer_is_warned_of() {
    let sandbox = Sandbox::new(Flavor::Engine);
    let lb = sandbox.serve();
    sandbox.up(&["-n", "2"]).success();
    let again = |sandbox: &Sandbox| {
        sandbox.forget_calls();
        let ran = sandbox.up(&["-n", "2"]).success().stderr_has("up to date");
        assert_eq!(sandbox.changing_calls(), Vec::<String>::new());
        ran
    };
    again(&sandbox).stderr_lacks("warning");
    drop(lb);
    let lb = sandbox.answer_with("127.50.0.2", 80, NO_SERVER);
    again(&sandbox).stderr_has(
        "warning: `lb` answers that no instance is there: `vch-lb status` and `vch-lb logs` say more",
    );
    let json = sandbox
        .up(&["-n", "2", "--format", "json"])
        .success()
        .json();
    assert_eq!(
        (&json["changed"], &json["answered"]),
        (&json!(false), &json!(false))
    );
    drop(lb);
    let _lb = sandbox.listen_silent("127.50.0.2", 80);
    again(&sandbox).stderr_lacks("warning");
}

#[test]
fn checks_are_logged_as_by_each_version() {
    for (version, told) in [("1.7", false), ("1.8", false), ("2.6", true), ("3.2", true)] {
        let sandbox = Sandbox::new(Flavor::Vch);
        sandbox.config(failing("httpd", FOREVER));
        sandbox.script_has_run(1);
        sandbox.docker(&["rm", "-f", "lb"]).success();
        let config = super::sandbox::script_config(1).replace("maxconn 32", "maxconn 32 check");
        let path = sandbox.write("checks.cfg", &config).display().to_string();
        sandbox
            .docker_line(&format!(
                "create --name lb --net routable haproxy:{version}"
            ))
            .success();
        sandbox.docker_line("network connect web-net lb").success();
        sandbox
            .docker(&["cp", &path, &format!("lb:{CONFIG}")])
            .success();
        sandbox.docker_line("start lb").success();
        let log = || sandbox.docker_line("logs lb").stdout;
        if told {
            sandbox.wait_until("the check has failed", || {
                log().contains(&down("server1")).then_some(())
            });
        } else {
            assert!(!log().contains("DOWN"));
        }
    }
}
