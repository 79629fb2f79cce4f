//! What an engine does by itself where containers have a `--restart` policy, and what the tool does about it.

use serde_json::json;

use super::sandbox::{Flavor, Sandbox};
use super::scene::{CONFIG, on_both};

const HUP_FROM_INSIDE: &str = "docker exec lb sh -c 'kill -HUP 1'";

/// A service whose load balancer has a policy.
fn with_policy(flavor: Flavor, policy: &str) -> (Sandbox, super::sandbox::Listener) {
    let sandbox = Sandbox::new(flavor);
    let around = sandbox.serve();
    let args = format!("--restart {policy}");
    sandbox
        .up(&["-n", "2", "--publish-lb", "always", "--lb-args", &args])
        .success();
    sandbox.forget_calls();
    (sandbox, around)
}

#[test]
fn a_reload_does_not_mark_the_load_balancer_as_stopped_by_hand() {
    let (sandbox, _around) = with_policy(Flavor::Engine, "unless-stopped");
    let reload = [
        "docker run -d -p 80 --name web-3 --net web-net httpd".to_owned(),
        format!("docker cp haproxy.cfg lb:{CONFIG}"),
        HUP_FROM_INSIDE.to_owned(),
    ];
    let shown = sandbox.quick("scale", &["3", "--dry-run"]).success();
    let shown = shown.stdout_has(&format!("\n{HUP_FROM_INSIDE}\n"));
    assert!(!shown.stdout.contains("docker kill"), "{shown}");
    let (ran, calls) = sandbox.changes_of(|| sandbox.quick("scale", &["3"]));
    ran.success();
    assert_eq!(calls, reload);
    let lb = sandbox.container("lb");
    assert_eq!(lb["stopped_by_hand"], false);
    assert_eq!(lb["signals"], json!(["HUP"]));
    assert!(sandbox.loaded_config("lb").unwrap().contains("web-3:80"));
}

#[test]
fn a_vch_and_a_load_balancer_without_a_policy_get_their_signal_from_outside() {
    for (flavor, policy) in [(Flavor::Vch, "unless-stopped"), (Flavor::Engine, "no")] {
        let (sandbox, _around) = with_policy(flavor, policy);
        let (ran, calls) = sandbox.changes_of(|| sandbox.quick("scale", &["3"]));
        ran.success();
        assert_eq!(calls.last().unwrap(), "docker kill -s HUP lb", "{calls:?}");
    }
}

#[test]
fn where_nothing_can_be_executed_the_mark_is_told() {
    let (sandbox, _around) = with_policy(Flavor::Engine, "unless-stopped");
    sandbox.config(json!({"exec": false}));
    sandbox
        .quick("scale", &["3"])
        .success()
        .stderr_has("nothing can be executed in `lb`, so it is reloaded by `docker kill -s HUP lb`")
        .stderr_has("only after the next `docker restart lb`");
    assert_eq!(sandbox.container("lb")["stopped_by_hand"], true);
    assert!(sandbox.loaded_config("lb").unwrap().contains("web-3:80"));
}

#[test]
fn a_load_balancer_that_the_engine_starts_again_is_replaced() {
    for policy in ["always", "unless-stopped", "on-failure"] {
        let (sandbox, _around) = with_policy(Flavor::Engine, policy);
        let args = format!("--restart {policy}");
        let replace = ["-n", "2", "--publish-lb", "always", "--lb-args", &args];
        let replace = [&replace[..], &["--recreate-lb", "--lb-img", "haproxy:2.6"]].concat();
        let before = sandbox.state();
        // What fails is undone: the old one serves as before, and would be started again as before.
        sandbox.rule(json!({"when": ["create"], "exit": 1, "stderr": "no such thing"}));
        sandbox
            .up(&replace)
            .code(1)
            .stderr_has("what was done has been undone");
        sandbox.assert_state(&before, policy);
        let lb = sandbox.container("lb");
        assert_eq!(
            (&lb["restart"], &lb["stopped_by_hand"]),
            (&json!(policy), &json!(false))
        );
        sandbox.no_rules();
        let (ran, calls) = sandbox.changes_of(|| sandbox.up(&replace));
        ran.success();
        assert!(
            calls.contains(&"docker stop -t 1 lb".to_owned()),
            "{calls:?}"
        );
        assert_eq!(sandbox.containers(), ["lb", "web-1", "web-2"]);
        assert_eq!(sandbox.container("lb")["restart"], policy);
    }
}

#[test]
fn a_load_balancer_that_keeps_ending_is_replaced_too() {
    let sandbox = Sandbox::new(Flavor::Engine);
    let _around = sandbox.serve();
    sandbox.config(json!({"images": {"haproxy:2.4": {"exits": 1}}}));
    sandbox.script_has_run(2);
    sandbox.docker_line("rm -f lb").success();
    sandbox
        .docker_line("create --name lb --net routable -p 80:80 --restart always haproxy:2.4")
        .success();
    sandbox.docker_line("network connect web-net lb").success();
    sandbox.docker_line("start lb").success();
    assert_eq!(sandbox.container("lb")["status"], "restarting");
    sandbox
        .up(&["-n", "2", "--publish-lb", "always", "--recreate-lb"])
        .success();
    assert_eq!(sandbox.container("lb")["status"], "running");
    assert_eq!(sandbox.containers(), ["lb", "web-1", "web-2"]);
}

#[test]
fn a_service_that_the_engine_starts_again_goes_down() {
    on_both(|flavor| {
        let (sandbox, _around) = with_policy(flavor, "always");
        let (ran, calls) = sandbox.changes_of(|| sandbox.tool(&["down"]));
        ran.success();
        let stop = if flavor == Flavor::Vch {
            "docker kill -s TERM lb"
        } else {
            "docker stop -t 1 lb"
        };
        assert_eq!(calls[0], stop);
        assert!(sandbox.containers().is_empty());
    });
}
