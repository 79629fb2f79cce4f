//! All or nothing: whatever fails, the endpoint is afterwards what it was before, and the message says why.

use std::thread;

use serde_json::json;

use super::sandbox::{FLAVORS, Flavor, Sandbox};
use super::scene::{CONFIG, on_both, quickly, run_call, tool_calls};

/// What docker says about a call that fails for no reason that is known.
const WORDS: &str = "Error response from daemon: the dog ate it";

#[test]
fn each_call_of_a_deployment_fails() {
    on_both(|flavor| {
        let calls = tool_calls(flavor, 2);
        for acts in [false, true] {
            for (number, call) in calls.iter().enumerate() {
                let sandbox = Sandbox::new(flavor);
                // Somebody else's things stay untouched.
                sandbox
                    .docker(&["network", "create", "other-net"])
                    .success();
                let other = [
                    "run",
                    "-d",
                    "--name",
                    "web-7",
                    "--net",
                    "other-net",
                    "redis",
                ];
                sandbox.docker(&other).success();
                let before = sandbox.state();
                sandbox.forget_calls();
                sandbox.rule(json!({
                    "changing_call": number,
                    "before": !acts,
                    "exit": if call.starts_with("docker run") { 125 } else { 1 },
                    "stderr": WORDS,
                }));
                let ran = sandbox.up(&["-n", "2", "--jobs", "1"]).code(1).stdout("");
                ran.stderr_has("error: ")
                    .stderr_has(&format!("\n  {call}\n"))
                    .stderr_has(&format!("\n  | {WORDS}\n"))
                    .stderr_lacks("left standing");
                sandbox.assert_state(&before, call);
            }
        }
    });
}

#[test]
fn side_by_side_too_everything_is_undone() {
    on_both(|flavor| {
        for (when, acts) in [
            (json!(["run", "web-3"]), true),
            (json!(["run", "web-2"]), false),
            (json!(["create", "lb"]), true),
            (json!(["start", "lb"]), true),
        ] {
            let sandbox = Sandbox::new(flavor);
            let before = sandbox.state();
            sandbox.rule(json!({"when": when, "before": !acts, "exit": 1, "stderr": WORDS}));
            sandbox
                .up(&["-n", "6"])
                .code(1)
                .stderr_has("what was done has been undone\n");
            sandbox.assert_state(&before, "");
        }
    });
}

/// Reloads are kept a second apart, so the cases run side by side.
#[test]
fn each_call_of_a_change_to_a_running_service_fails() {
    let copy = format!("docker cp haproxy.cfg lb:{CONFIG}");
    let scaled = [
        run_call(3),
        run_call(4),
        copy.clone(),
        "docker kill -s HUP lb".to_owned(),
    ];
    thread::scope(|scope| {
        for flavor in FLAVORS {
            for acts in [false, true] {
                for (number, call) in scaled.iter().enumerate() {
                    scope.spawn(move || {
                        let sandbox = Sandbox::new(flavor);
                        sandbox.script_has_run(2);
                        let before = sandbox.state();
                        sandbox.rule(json!({
                            "changing_call": number, "before": !acts, "exit": 1, "stderr": WORDS,
                        }));
                        sandbox
                            .up(&["-n", "4", "--jobs", "1"])
                            .code(1)
                            .stdout("")
                            .stderr_has(&format!("\n  {call}\n"))
                            .stderr_has(WORDS)
                            .stderr_lacks("left standing");
                        sandbox.assert_state(&before, call);
                    });
                }
            }
        }
    });
}

#[test]
fn a_probe_goes_on_until_all_is_undone_and_tells_of_it_behind_the_error() {
    on_both(|flavor| {
        let sandbox = Sandbox::new(flavor);
        let lb = sandbox.serve();
        sandbox.script_has_run(2);
        sandbox.rule(json!({"when": ["run", "web-4"], "exit": 125, "stderr": WORDS}));
        sandbox.rule(json!({"when": ["rm", "web-3"], "hang": "go"}));
        let tool = sandbox.start(&quickly("scale", &["4", "--probe", "--jobs", "1"]));
        sandbox.wait_for_call("rm -f -v web-3");
        // More than may be on their way since before.
        let enough = lb.served() + 10;
        sandbox.wait_until("requests", || (lb.served() >= enough).then_some(()));
        sandbox.release("go");
        let ran = tool.finish().code(1).stdout("");
        let behind = "what was done has been undone\nprobe: ";
        let (_, receipt) = ran
            .stderr
            .split_once(behind)
            .unwrap_or_else(|| panic!("{ran}"));
        let undoing = receipt
            .lines()
            .find(|line| line.starts_with("  undoing   "));
        assert!(
            undoing.is_some_and(|line| line.contains(" sent, 0 failed, ")),
            "{ran}"
        );
    });
}

#[test]
fn an_instance_that_dies_at_once_never_gets_into_the_load_balancer() {
    thread::scope(|scope| {
        for flavor in FLAVORS {
            for arguments in [
                vec!["-n", "2", "--instance-img", "httpd:bad"],
                vec!["-n", "3", "--instance-img", "httpd:bad"],
            ] {
                scope.spawn(move || {
                    let sandbox = Sandbox::new(flavor);
                    sandbox.script_has_run(2);
                    let dying = json!({"exits": 3, "logs": ["no configuration, bye"]});
                    sandbox.config(json!({"images": {"httpd:bad": dying}}));
                    let before = sandbox.state();
                    let ran = sandbox.up(&arguments).code(1).stdout("");
                    ran.stderr_has("`web-3` did not get ready: it exited with code 3")
                        .stderr_has("  | no configuration, bye\n");
                    sandbox.assert_state(&before, "");
                    assert!(
                        !sandbox
                            .changing_calls()
                            .iter()
                            .any(|call| call.contains("HUP"))
                    );
                });
            }
        }
    });
}

#[test]
fn what_was_started_is_stopped_again() {
    on_both(|flavor| {
        let sandbox = Sandbox::new(flavor);
        sandbox.script_has_run(3);
        sandbox.docker(&["stop", "web-2"]).success();
        sandbox.docker(&["stop", "lb"]).success();
        let before = sandbox.state();
        sandbox.forget_calls();
        sandbox.rule(json!({"when": ["start", "lb"], "before": false, "exit": 1, "stderr": WORDS}));
        sandbox.up(&["--jobs", "1"]).code(1).stderr_has(WORDS);
        let after = sandbox.state();
        for name in ["lb", "web-1", "web-2", "web-3"] {
            let pick = |state: &serde_json::Value| {
                let container = &state["containers"][name];
                (container["id"].clone(), container["status"].clone())
            };
            assert_eq!(pick(&after), pick(&before), "{name}");
        }
    });
}

#[test]
fn what_is_to_be_kept_is_kept_and_listed() {
    on_both(|flavor| {
        let sandbox = Sandbox::new(flavor);
        sandbox.rule(json!({"when": ["start", "lb"], "exit": 1, "stderr": WORDS}));
        let ran = sandbox.up(&["-n", "2", "--keep", "-H", "tcp://vch:2376"]);
        let ran = ran
            .code(1)
            .stdout("")
            .stderr_has("kept for inspection (--keep)\nleft standing:\n");
        assert_eq!(sandbox.containers(), ["lb", "web-1", "web-2"]);
        assert_eq!(sandbox.networks(), ["web-net"]);
        // The commands that are listed, in their order, leave nothing.
        let removals: Vec<&str> = ran
            .stderr
            .lines()
            .filter_map(|line| {
                line.split_once("(to remove it: docker ")?
                    .1
                    .strip_suffix(')')
            })
            .collect();
        assert_eq!(removals.len(), 4, "{ran}");
        for line in removals {
            sandbox.docker_line(line).success();
        }
        assert!(sandbox.containers().is_empty() && sandbox.networks().is_empty());
    });
}

#[test]
fn what_is_kept_is_completed_by_the_next_run() {
    let sandbox = Sandbox::new(Flavor::Vch);
    let _lb = sandbox.serve();
    sandbox.rule(json!({"when": ["start", "lb"], "exit": 1, "stderr": WORDS}));
    sandbox.up(&["--keep"]).code(1);
    let (ran, changes) = sandbox.changes_of(|| sandbox.up(&[]));
    ran.success();
    assert_eq!(changes, ["docker start lb"]);
}

#[test]
fn a_failure_while_undoing_is_told_and_hides_nothing() {
    on_both(|flavor| {
        let sandbox = Sandbox::new(flavor);
        sandbox.rule(json!({"when": ["start", "lb"], "exit": 1, "stderr": WORDS}));
        let rm = json!({"when": ["rm", "web-1"], "exit": 1, "stderr": "Error response from daemon: device in trouble"});
        sandbox.rule(rm);
        let network = json!({"when": ["network", "rm"], "exit": 1, "stderr": "Error response from daemon: neither"});
        sandbox.rule(network);
        sandbox
            .up(&["-n", "1", "--jobs", "1"])
            .code(1)
            .stderr_has("error: the load balancer `lb` was not started\n")
            .stderr_has(WORDS)
            .stderr_has("while undoing: error: `web-1` was not removed")
            .stderr_has("device in trouble")
            .stderr_has("what was done could not be undone wholly\nleft standing:\n")
            .stderr_has("container `web-1` (to remove it: docker rm -f -v web-1)\n")
            .stderr_has("network `web-net` (to remove it: docker network rm web-net)\n");
        // The next run goes on from there.
        sandbox.no_rules();
        let _lb = sandbox.serve();
        sandbox.up(&["-n", "1"]).success();
        sandbox.assert_serves(1);
    });
}

#[test]
fn a_removal_that_came_half_way_is_not_undone_and_told() {
    thread::scope(|scope| {
        for flavor in FLAVORS {
            scope.spawn(move || {
                let sandbox = Sandbox::new(flavor);
                sandbox.script_has_run(3);
                sandbox.rule(json!({
                    "when": ["rm", "web-2"], "hang": "go", "exit": 1, "stderr": WORDS,
                }));
                let tool = sandbox.start(&["scale", "1", "--settle", "0s", "--drain", "0s"]);
                sandbox.wait_for_call("rm -f -v web-2 web-3");
                sandbox.docker(&["rm", "-f", "web-2"]).success();
                sandbox.release("go");
                let ran = tool.finish().code(1).stdout("");
                ran.stderr_has("error: 2 instances were not removed\n")
                    .stderr_has(WORDS)
                    .stderr_has("not undone: what was removed does not come back; the new state is in force\n")
                    .stderr_has(
                        "left standing:\n  container `web-3` (to remove it: docker rm -f -v web-3)\n",
                    );
                assert_eq!(sandbox.containers(), ["lb", "web-1", "web-3"]);
                sandbox.no_rules();
                // Nothing but the rest is left to do for the next run.
                sandbox.tool(&["scale", "1"]).success();
                sandbox.assert_serves(1);
            });
        }
    });
}

#[test]
fn a_removal_that_happened_all_the_same_is_done() {
    thread::scope(|scope| {
        for flavor in FLAVORS {
            scope.spawn(move || {
                let sandbox = Sandbox::new(flavor);
                sandbox.script_has_run(3);
                let rule = json!({"when": ["rm"], "before": false, "exit": 1, "stderr": WORDS});
                sandbox.rule(rule);
                let quick = ["scale", "1", "--settle", "0s", "--drain", "0s"];
                sandbox.tool(&quick).success().stderr_has(
                    "2 instances were not removed, docker says, but nothing of it is left\n",
                );
                sandbox.assert_serves(1);
            });
        }
    });
}

#[test]
fn somebody_else_who_is_faster_is_left_alone() {
    // Between the look and the call somebody makes the network: it is not ours to remove.
    on_both(|flavor| {
        let sandbox = Sandbox::new(flavor);
        sandbox.rule(json!({"when": ["pull", "httpd"], "hang": "go"}));
        sandbox.rule(json!({"when": ["start", "lb"], "exit": 1, "stderr": WORDS}));
        let tool = sandbox.start(&["up", "--jobs", "1"]);
        sandbox.wait_for_call("pull httpd");
        sandbox.docker(&["network", "create", "web-net"]).success();
        sandbox.release("go");
        tool.finish()
            .code(1)
            .stderr_has("network web-net was created meanwhile by somebody else");
        assert!(sandbox.containers().is_empty());
        assert_eq!(sandbox.networks(), ["web-net"]);
    });
}

#[test]
fn a_network_that_is_still_in_use_is_tried_once() {
    on_both(|flavor| {
        let sandbox = Sandbox::new(flavor);
        sandbox.rule(json!({"when": ["start", "lb"], "exit": 1, "stderr": WORDS}));
        sandbox.rule(json!({"when": ["rm", "web-1"], "exit": 1, "stderr": WORDS}));
        // Of the way back only this removal fails, and with it the network's.
        let ran = sandbox.up(&["-n", "1"]).code(1);
        ran.stderr_has("container `web-1` (to remove it: docker rm -f -v web-1)\n")
            .stderr_has("network `web-net` (to remove it: docker network rm web-net)\n");
        let calls = sandbox.changing_calls();
        let tries = calls
            .iter()
            .filter(|call| *call == "docker network rm web-net");
        assert_eq!(tries.count(), 1, "{calls:#?}");
    });
}
