//! Taking a service down, and nothing but the service.

use serde_json::json;

use super::sandbox::{Call, FLAVORS, Flavor, Ran, Sandbox};
use super::scene::{ANSWER, tool_calls};

const ALL: [&str; 5] = [
    "docker kill -s TERM lb",
    "docker rm -f -v lb",
    "docker stop -t 10 web-1 web-2",
    "docker rm -f -v web-1 web-2",
    "docker network rm web-net",
];

#[test]
fn everything_goes_the_load_balancer_first_and_the_network_last() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        sandbox.script_has_run(2);
        sandbox.tool(&["down", "--jobs", "1"]).success().stdout("");
        assert_eq!(sandbox.changing_calls(), ALL);
        assert!(sandbox.containers().is_empty() && sandbox.networks().is_empty());
        assert!(!sandbox.path("work/haproxy.cfg").exists());
    }
}

#[test]
fn instances_go_while_the_load_balancer_is_removed() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        sandbox.script_has_run(2);
        sandbox.tool(&["down"]).success().stdout("");
        let calls = sandbox.calls();
        let call = |text: &str| {
            let found = calls.iter().find(|call| call.line() == text);
            found.unwrap_or_else(|| panic!("{text}: {}", sandbox.calls_text()))
        };
        let [end_lb, remove_lb, stop, remove, remove_network] = ALL.map(call);
        for (first, then) in [
            (end_lb, remove_lb),
            (end_lb, stop),
            (stop, remove),
            (remove_lb, remove_network),
            (remove, remove_network),
        ] {
            assert!(first.before(then), "{first:?} comes before {then:?}");
        }
    }
}

#[test]
fn nothing_there_is_no_failure() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        sandbox
            .tool(&["down"])
            .success()
            .stdout("")
            .stderr("nothing to take down: there is no service `web`\n");
        let json = sandbox.tool(&["down", "--format", "json"]).success().json();
        assert_eq!(json["schema"], "vch-lb/down/1");
        assert_eq!(json["changed"], false);
        sandbox.tool(&["down", "--dry-run", "--exit-code"]).code(0);
        assert!(sandbox.changing_calls().is_empty());
    }
}

#[test]
fn the_answer_in_json_says_what_was_removed() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        sandbox.script_has_run(2);
        let json = sandbox.tool(&["down", "--format", "json"]).success().json();
        assert_eq!(
            json,
            json!({
                "schema": "vch-lb/down/1",
                "changed": true,
                "removed": {"containers": ["lb", "web-1", "web-2"], "network": "web-net"},
                "left_alone": [],
            })
        );
    }
}

#[test]
fn a_dry_run_is_the_script_of_it() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        sandbox.script_has_run(2);
        let before = sandbox.state();
        let mut ran = sandbox.tool(&["down", "--dry-run", "--exit-code"]).code(3);
        for call in ALL {
            ran = ran.stdout_has(&format!("{call}\n"));
        }
        assert!(sandbox.changing_calls().is_empty());
        sandbox.assert_state(&before, "");
    }
}

#[test]
fn what_is_half_made_goes_too() {
    for flavor in FLAVORS {
        let all = tool_calls(flavor, 2);
        // From the network on, before each of the calls that make something.
        for (made, call) in all.iter().enumerate().skip(3) {
            let sandbox = Sandbox::new(flavor);
            sandbox.rule(json!({"changing_call": made, "exit": 1, "stderr": "Error response from daemon: no more disk"}));
            sandbox.up(&["-n", "2", "--jobs", "1", "--keep"]).code(1);
            assert_eq!(sandbox.networks(), ["web-net"]);
            sandbox.tool(&["down"]).success();
            assert!(
                sandbox.containers().is_empty(),
                "{}: {}",
                call,
                sandbox.calls_text()
            );
            assert!(sandbox.networks().is_empty(), "{}", call);
        }
    }
}

#[test]
fn stopped_ones_are_not_stopped_again() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        sandbox.script_has_run(3);
        sandbox.docker(&["stop", "lb", "web-1", "web-3"]).success();
        let (ran, changes) = sandbox.changes_of(|| sandbox.tool(&["down", "--jobs", "1"]));
        ran.success();
        assert_eq!(
            changes,
            [
                "docker rm -f -v lb",
                "docker stop -t 10 web-2",
                "docker rm -f -v web-1 web-2 web-3",
                "docker network rm web-net"
            ]
        );
    }
}

#[test]
fn strangers_keep_the_network_that_they_are_on() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        sandbox.script_has_run(1);
        for name in ["db", "cache"] {
            sandbox
                .docker(&["run", "-d", "--name", name, "--net", "web-net", "postgres"])
                .success();
        }
        let db = sandbox.container("db");
        sandbox
            .tool(&["down"])
            .success()
            .stdout("")
            .stderr_has("warning: the network `web-net` is left alone: ")
            .stderr_has("`db`")
            .stderr_has("`cache`")
            .stderr_has(" are still on it\n");
        assert_eq!(sandbox.containers(), ["cache", "db"]);
        assert_eq!(sandbox.networks(), ["web-net"]);
        assert_eq!(sandbox.container("db")["id"], db["id"]);
        assert_eq!(sandbox.container("db")["starts"], 1);
        let status = sandbox
            .tool(&["status"])
            .code(3)
            .stdout_has("service web: not deployed on ")
            .stdout_has("\n\nonly the network `web-net` is there: ")
            .stdout_has("\n  to remove it: `vch-lb down`, once nobody is on it\n");
        assert!(!status.stdout.contains("vch-lb up"), "{status}");
        // Once more: the service is gone, and the network is still theirs.
        sandbox
            .tool(&["down"])
            .success()
            .stderr_has("nothing to take down")
            .stderr_has("are still on it\n");
        sandbox.docker(&["rm", "-f", "db"]).success();
        let json = sandbox.tool(&["down", "--format", "json"]).success().json();
        assert_eq!(json["removed"]["network"], json!(null));
        assert!(
            json["left_alone"][0]
                .as_str()
                .unwrap()
                .contains("`cache` is still on it")
        );
        sandbox.docker(&["rm", "-f", "cache"]).success();
        sandbox.tool(&["down"]).success();
        assert!(sandbox.networks().is_empty());
    }
}

#[test]
fn a_network_that_somebody_else_made_stays_and_that_is_said() {
    for flavor in FLAVORS {
        for (more, stays) in [
            (&[][..], false),
            (&["--label", "owner=db"], true),
            (&["--subnet", "10.9.0.0/24", "--label", "owner=db"], true),
        ] {
            let sandbox = Sandbox::new(flavor);
            let create = [&["network", "create"], more, &["web-net"]].concat();
            sandbox.docker(&create).success();
            let said = "the network `web-net` is left alone: nobody of this service is on it";
            let dry = sandbox.tool(&["down", "--dry-run"]).success();
            assert_eq!(dry.stderr.contains(said), stays, "{dry}");
            assert_eq!(dry.stdout.contains("network rm"), !stays, "{dry}");
            let json = sandbox.tool(&["down", "--format", "json"]).success().json();
            assert_eq!(json["removed"]["network"].is_null(), stays);
            assert_eq!(sandbox.networks().is_empty(), !stays, "{more:?}");
        }
        // What the service is on is its own, whoever made it.
        let sandbox = Sandbox::new(flavor);
        let create = ["network", "create", "--label", "owner=db", "web-net"];
        sandbox.docker(&create).success();
        let run = [
            "run", "-d", "-p", "80", "--name", "web-1", "--net", "web-net",
        ];
        sandbox.docker(&[&run[..], &["httpd"]].concat()).success();
        sandbox.tool(&["down"]).success();
        assert!(sandbox.networks().is_empty());
    }
}

#[test]
fn containers_that_only_have_our_names_are_not_touched() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        for name in ["lb", "web-2", "lb-before"] {
            sandbox
                .docker(&["run", "-d", "--name", name, "--net", "routable", "nginx"])
                .success();
        }
        sandbox.docker(&["network", "create", "web-net"]).success();
        sandbox
            .docker(&[
                "run", "-d", "-p", "80", "--name", "web-1", "--net", "web-net", "httpd",
            ])
            .success();
        let left_alone = |ran: Ran| {
            ran.success()
                .stderr_has(
                    "`lb` is left alone: it is not on `web-net`, so it is not this service's\n",
                )
                .stderr_has("`web-2` is left alone")
        };
        left_alone(sandbox.tool(&["down", "--dry-run"]));
        let (ran, changes) = sandbox.changes_of(|| sandbox.tool(&["down"]));
        left_alone(ran);
        assert_eq!(
            changes,
            [
                "docker stop -t 10 web-1",
                "docker rm -f -v web-1",
                "docker network rm web-net"
            ]
        );
        assert_eq!(sandbox.containers(), ["lb", "lb-before", "web-2"]);
        for name in sandbox.containers() {
            assert_eq!(sandbox.container(&name)["status"], "running");
        }
    }
}

#[test]
fn a_vch_that_never_frees_the_address_of_what_is_removed_while_it_runs() {
    for version in ["1.5.1", "1.5.2", "1.5.3", "1.5.4", "1.5.8"] {
        let sandbox = Sandbox::new(Flavor::Vch);
        sandbox.config(json!({"version": version}));
        let _lb = sandbox.serve();
        let _next = sandbox.listen("127.50.0.3", 80, 200);
        for _ in 0..2 {
            sandbox.up(&["-n", "2"]).success();
            sandbox.forget_calls();
            sandbox.tool(&["down"]).success();
            assert!(sandbox.containers().is_empty() && sandbox.networks().is_empty());
        }
        // The same holds for what scaling and rolling out remove, and for what a failure takes back.
        sandbox.up(&["-n", "3"]).success();
        sandbox.quick("scale", &["1"]).success();
        sandbox.quick("rollout", &["--force"]).success();
        sandbox.config(json!({"images": {"httpd:bad": {"exits": 1}}}));
        sandbox
            .quick("rollout", &["--instance-img", "httpd:bad"])
            .code(1);
        sandbox.tool(&["down"]).success();
        assert!(sandbox.networks().is_empty(), "{version}");
    }
}

#[test]
fn a_network_that_is_let_go_of_late_is_asked_again() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        sandbox.script_has_run(1);
        sandbox.rule(json!({
            "when": ["network", "rm"], "exit": 1,
            "stderr": "Error response from daemon: error while removing network: network web-net id 1a2b3c4d5e6f has active endpoints",
        }));
        sandbox
            .tool(&["down"])
            .success()
            .stderr_has("has active endpoints; again in 0.5 s\n");
        assert!(sandbox.networks().is_empty());
    }
}

#[test]
fn one_of_the_service_that_goes_while_it_is_looked_at_keeps_no_network() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        sandbox.script_has_run(2);
        sandbox.rule(json!({"when": ["inspect", "--type"], "hang": "go"}));
        let down = sandbox.start(&["down"]);
        sandbox.wait_until("who is on the network", || {
            let calls = sandbox.calls();
            let asked = |call: &&Call| call.has_ended() && call.line().contains("network=web-net");
            calls.iter().find(asked).map(|_| ())
        });
        sandbox.docker_line("rm -f web-2").success();
        sandbox.release("go");
        down.finish().success().stderr_lacks("left alone");
        assert!(sandbox.containers().is_empty() && sandbox.networks().is_empty());
    }
}

#[test]
fn what_fails_is_not_undone_but_gone_on_with_by_the_next_run() {
    for flavor in FLAVORS {
        for (number, call) in ALL.iter().enumerate() {
            let sandbox = Sandbox::new(flavor);
            sandbox.script_has_run(2);
            sandbox.rule(json!({"changing_call": number, "exit": 1, "stderr": "Error response from daemon: device in trouble"}));
            sandbox
                .tool(&["down", "--jobs", "1"])
                .code(1)
                .stdout("")
                .stderr_has("device in trouble")
                .stderr_has("running `vch-lb down` again goes on from here");
            assert_eq!(sandbox.changing_calls().len(), number + 1, "{call}");
            sandbox.tool(&["down"]).success();
            assert!(
                sandbox.containers().is_empty() && sandbox.networks().is_empty(),
                "{call}"
            );
        }
    }
}

#[test]
fn what_a_killed_replacement_left_goes_too() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        sandbox.script_has_run(1);
        sandbox.docker(&["stop", "lb"]).success();
        sandbox.docker(&["rename", "lb", "lb-before"]).success();
        sandbox.tool(&["down"]).success();
        assert!(sandbox.containers().is_empty() && sandbox.networks().is_empty());
    }
}

#[test]
fn what_was_taken_down_can_be_deployed_again() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        let _lb = sandbox.serve();
        let _next = sandbox.listen("127.50.0.3", 80, 200);
        sandbox.up(&[]).success().stdout(ANSWER);
        sandbox.tool(&["down"]).success();
        sandbox.up(&[]).success();
        sandbox.assert_serves(3);
    }
}
