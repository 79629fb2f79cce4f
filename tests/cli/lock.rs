//! The service's lock: one change at a time, and nobody waits for a holder who is gone.

use serde_json::json;

use super::sandbox::{Call, Flavor, Sandbox};
use super::scene::{on_both, quickly};

fn takes_lock(call: &Call) -> bool {
    call.words.starts_with(&["exec".into(), "-i".into()])
}

/// A service of two, and a call of the next command that hangs.
fn serving(hangs: &[&str]) -> Sandbox {
    let sandbox = Sandbox::new(Flavor::Engine);
    sandbox.script_has_run(2);
    sandbox.forget_calls();
    sandbox.rule(json!({"when": hangs, "hang": "go"}));
    sandbox
}

#[test]
fn whoever_comes_second_is_told_who_is_at_it_since_when_and_with_what() {
    let sandbox = serving(&["run"]);
    let _lb = sandbox.serve();
    let first = sandbox.start(&quickly("scale", &["3"]));
    sandbox.wait_for_call("run");
    for command in [&["scale", "1"][..], &["up"], &["rollout"], &["down"]] {
        let second = sandbox.quick(command[0], &command[1..]).code(1);
        second
            .stderr_has("error: another command is changing this service: ")
            .stderr_has(", vch-lb scale 3, since 20")
            .stderr_has("--lock-wait 5m")
            .stdout("");
    }
    // What only looks is not kept waiting.
    sandbox.tool(&["status"]);
    sandbox
        .quick("scale", &["1", "--dry-run"])
        .success()
        .stderr_lacks("another command");
    sandbox.release("go");
    first.finish().success();
    assert_eq!(sandbox.containers(), ["lb", "web-1", "web-2", "web-3"]);
    sandbox.quick("scale", &["1"]).success();
}

#[test]
fn whoever_waits_sees_what_the_first_one_made() {
    let sandbox = serving(&["run"]);
    let _lb = sandbox.serve();
    let first = sandbox.start(&quickly("scale", &["3"]));
    sandbox.wait_for_call("run");
    let second = sandbox.start(&quickly("scale", &["4", "--lock-wait", "60s"]));
    sandbox.wait_until("the second one's being told", || {
        let calls = sandbox.calls();
        let told = |call: &&Call| takes_lock(call) && call.has_ended();
        calls.iter().find(told).map(|_| ())
    });
    sandbox.release("go");
    first.finish().success();
    let second = second.finish().success();
    second
        .stderr_has("waiting for another command: ")
        .stderr_has("run web-4")
        .stderr_lacks("run web-3");
}

#[test]
fn a_killed_holder_keeps_nobody_waiting() {
    // The tool itself, and its docker client that holds the lock.
    for tool in [true, false] {
        let sandbox = serving(&["pull"]);
        let _lb = sandbox.serve();
        let first = sandbox.start(&quickly("rollout", &["--force"]));
        sandbox.wait_for_call("pull");
        if tool {
            first.signal(9);
        } else {
            let calls = sandbox.calls();
            let holder = calls.iter().find(|call| takes_lock(call)).unwrap();
            let pid = rustix::process::Pid::from_raw(i32::try_from(holder.pid).unwrap());
            rustix::process::kill_process(pid.unwrap(), rustix::process::Signal::KILL).unwrap();
        }
        sandbox.quick("scale", &["3"]).success();
        sandbox.release("go");
        let first = first.finish();
        if !tool {
            first
                .code(1)
                .stderr_has("somebody else changed the service meanwhile: ");
        }
        assert_eq!(sandbox.containers(), ["lb", "web-1", "web-2", "web-3"]);
    }
}

#[test]
fn a_restarted_load_balancer_is_free() {
    let sandbox = serving(&["pull"]);
    let _lb = sandbox.serve();
    let first = sandbox.start(&quickly("rollout", &["--force"]));
    sandbox.wait_for_call("pull");
    sandbox.docker_line("restart lb").success();
    sandbox.quick("scale", &["3"]).success();
    sandbox.release("go");
    first.finish().code(1);
}

#[test]
fn where_it_can_not_be_had_the_command_goes_on_and_says_why() {
    for (config, rule, why) in [
        (json!({"flock": false}), None, "flock is not in its image"),
        (
            json!({}),
            Some("Server error from portlayer: unable to wait for process launch status\n"),
            "Server error from portlayer: unable",
        ),
    ] {
        let sandbox = Sandbox::new(Flavor::Engine);
        sandbox.script_has_run(2);
        let _lb = sandbox.serve();
        sandbox.config(config);
        if let Some(text) = rule {
            sandbox.rule(json!({"when": ["exec", "-i"], "stdout": text, "exit": 0}));
        }
        sandbox
            .quick("scale", &["3"])
            .success()
            .stderr_has(&format!("lb can't be locked against other commands: {why}"));
    }
}

#[test]
fn what_a_holder_wrote_steers_no_terminal() {
    let sandbox = Sandbox::new(Flavor::Engine);
    sandbox.script_has_run(2);
    let busy =
        json!({"when": ["exec", "-i"], "nth": 0, "stdout": "busy a\u{1b}[31m\u{7}b\n", "exit": 0});
    sandbox.rule(busy);
    sandbox
        .quick("scale", &["3"])
        .code(1)
        .stderr_has("another command is changing this service: a")
        .stderr_lacks("\u{1b}")
        .stderr_lacks("\u{7}");
}

#[test]
fn a_first_deployment_what_only_looks_and_a_vch_are_not_locked() {
    on_both(|flavor| {
        let sandbox = Sandbox::new(flavor);
        let _lb = sandbox.serve();
        sandbox.up(&[]).success();
        sandbox.tool(&["status"]).success();
        sandbox.up(&["-n", "4", "--dry-run"]).success();
        assert!(!sandbox.calls().iter().any(takes_lock));
        sandbox.up(&["-n", "4"]).success();
        let locked = sandbox.calls().iter().any(takes_lock);
        assert_eq!(locked, flavor == Flavor::Engine);
    });
}
