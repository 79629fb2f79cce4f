//! Two networks called PREFIX-net: what an engine makes of two `network create` that meet, such as a killed run's and the
//! next one's. A VCH has one network to a name.

use serde_json::json;

use super::sandbox::{Flavor, Sandbox};
use super::scene::ANSWER;

const TWIN: &str = "networks/web-net.twin";
const SETTLING: &str = "there are 2 networks called `web-net`: removing 1 that nobody is on";

/// Both networks are there from now on.
fn double(sandbox: &Sandbox) {
    sandbox.release(TWIN);
    let listed = ["network", "ls", "--format", "{{.Name}}"];
    let listed = sandbox.docker(&listed).success().stdout;
    assert_eq!(listed.matches("web-net").count(), 2, "{listed}");
}

/// One network of the name is left, at most.
#[track_caller]
fn assert_settled(sandbox: &Sandbox) {
    assert!(
        !sandbox.path("docker").join(TWIN).exists(),
        "{}",
        sandbox.calls_text()
    );
}

#[test]
fn one_that_appears_during_a_deployment_is_removed() {
    for moment in [
        &["network", "create"][..],
        &["network", "connect"],
        &["run", "web-1"],
        &["cp"],
    ] {
        for jobs in ["1", "4"] {
            let sandbox = Sandbox::new(Flavor::Engine);
            let _lb = sandbox.serve();
            sandbox.rule(json!({ "when": moment, "before": false, "touch": TWIN }));
            let ran = sandbox.up(&["-n", "2", "--jobs", jobs]);
            ran.success().stdout(ANSWER).stderr_has(SETTLING);
            assert_settled(&sandbox);
            sandbox.assert_serves(2);
        }
    }
}

#[test]
fn one_that_appears_is_no_obstacle_to_undoing() {
    let sandbox = Sandbox::new(Flavor::Engine);
    sandbox
        .rule(json!({ "when": ["run", "web-2"], "before": false, "touch": TWIN }))
        .rule(json!({ "when": ["run", "web-3"], "stderr": "docker: no", "exit": 125 }));
    let ran = sandbox.up(&["-n", "3", "--jobs", "1"]);
    ran.code(1)
        .stderr_has("`web-3` was not started")
        .stderr_has("what was done has been undone");
    assert_settled(&sandbox);
    assert!(sandbox.containers().is_empty());
    assert!(sandbox.networks().is_empty());
}

#[test]
fn every_command_that_changes_something_removes_it_first() {
    for (command, instances) in [
        (&["up", "-n", "2"][..], 2),
        (&["scale", "3"], 3),
        (&["scale", "1"], 1),
        (&["rollout"], 2),
    ] {
        let sandbox = Sandbox::new(Flavor::Engine);
        sandbox.script_has_run(2);
        let _lb = sandbox.serve();
        double(&sandbox);
        let ran = sandbox.quick(command[0], &command[1..]);
        ran.success().stdout(ANSWER).stderr_has(SETTLING);
        assert_settled(&sandbox);
        sandbox.assert_serves(instances);
    }
}

#[test]
fn down_leaves_neither() {
    for service in [true, false] {
        let sandbox = Sandbox::new(Flavor::Engine);
        if service {
            sandbox.script_has_run(2);
        } else {
            sandbox.docker(&["network", "create", "web-net"]).success();
        }
        double(&sandbox);
        sandbox.quick("down", &[]).success().stderr_has(SETTLING);
        assert_settled(&sandbox);
        assert!(sandbox.containers().is_empty());
        assert!(sandbox.networks().is_empty());
    }
}

#[test]
fn what_only_looks_changes_nothing_and_says_what_does() {
    let sandbox = Sandbox::new(Flavor::Engine);
    sandbox.script_has_run(2);
    double(&sandbox);
    for command in [
        &["status"][..],
        &["up", "--dry-run"],
        &["down", "--dry-run"],
    ] {
        let ran = sandbox.tool(command);
        ran.code(1)
            .stderr_has("network web-net is ambiguous")
            .stderr_has("of an INSTANCE_CTR_PREFIX-net `vch-lb up` and `vch-lb down` do that");
        assert!(sandbox.changing_calls().is_empty());
    }
}

#[test]
fn networks_that_are_not_the_services_own_are_left_alone() {
    let sandbox = Sandbox::new(Flavor::Engine);
    sandbox.docker(&["network", "create", "web-net"]).success();
    sandbox.release("networks/routable.twin");
    sandbox.forget_calls();
    let ran = sandbox.up(&[]);
    ran.code(1)
        .stderr_has("network routable is ambiguous")
        .stderr_lacks("removing");
    assert!(sandbox.changing_calls().is_empty());
}
