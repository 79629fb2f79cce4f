//! More and fewer instances of a service that runs.

use serde_json::json;

use super::sandbox::{Call, FLAVORS, Flavor, Sandbox, script_config};
use super::scene::{ANSWER, CONFIG, on_both, quickly, reload_calls, run_call};

/// The script's configuration, sending to these instances.
fn config(numbers: &[usize]) -> String {
    let servers = numbers
        .iter()
        .map(|number| format!("\tserver server{number} web-{number}:80 maxconn 32\n"));
    script_config(0) + &servers.collect::<String>()
}

fn leaving_calls(names: &str) -> [String; 2] {
    [
        format!("docker stop -t 10 {names}"),
        format!("docker rm -f -v {names}"),
    ]
}

#[test]
fn what_the_script_made_is_scaled_up_by_one_reload() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        sandbox.script_has_run(2);
        let ran = sandbox.quick("scale", &["4", "--jobs", "1"]);
        ran.success().stdout(ANSWER);
        let expected = [&[run_call(3), run_call(4)], &reload_calls()[..]].concat();
        assert_eq!(sandbox.changing_calls(), expected);
        sandbox.assert_serves(4);
        assert_eq!(sandbox.read("haproxy.cfg"), script_config(4));
        // The new ones run, were looked at, and HAProxy has checked the file before it is told.
        let calls = sandbox.calls();
        let at = |start: &str| {
            let found = calls
                .iter()
                .rposition(|call| call.line().starts_with(start));
            found.unwrap_or_else(|| panic!("no {start}; {}", sandbox.calls_text()))
        };
        let copy = at("docker cp haproxy.cfg lb:");
        let looked = calls[..copy]
            .iter()
            .rposition(|call| call.line().starts_with("docker inspect --type container"));
        assert!(looked.is_some_and(|looked| at("docker run") < looked));
        let check = at("docker exec lb haproxy -c -V -f");
        assert!(copy < check && check < at("docker kill -s HUP lb"));
    }
}

#[test]
fn a_load_balancer_that_lost_its_address_does_not_make_a_failure_of_what_was_done() {
    on_both(|flavor| {
        let sandbox = Sandbox::new(flavor);
        sandbox.script_has_run(1);
        sandbox.config(json!({"address_delay_inspects": 1000}));
        let ran = sandbox.quick("scale", &["2"]).success().stdout("");
        ran.stderr_has("done in ").stderr_has(
            "warning: the load balancer `lb` runs, but has no address on `routable`: `vch-lb status` and",
        );
        sandbox.assert_serves(2);
        // One that comes back meanwhile is told, and asked.
        sandbox.rule(json!({"when": ["run", "web-3"], "hang": "go"}));
        let tool = sandbox.start(&quickly("scale", &["3"]));
        sandbox.wait_for_call("run -d -p 80 --name web-3");
        sandbox.config(json!({"address_delay_inspects": 0}));
        sandbox.release("go");
        let ran = tool.finish().success().stdout(ANSWER);
        ran.stderr_has("warning: connections to `lb` are refused");
    });
}

#[test]
fn side_by_side_all_are_there_before_the_reload() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        sandbox.script_has_run(1);
        sandbox.rule(json!({"when": ["run", "web-2"], "delay_ms": 150}));
        sandbox.quick("scale", &["6"]).success();
        let calls = sandbox.calls();
        let copy = calls
            .iter()
            .find(|call| call.line().starts_with("docker cp haproxy.cfg"))
            .unwrap();
        let runs: Vec<_> = calls.iter().filter(|call| call.words[0] == "run").collect();
        assert_eq!(runs.len(), 5);
        assert!(runs.iter().all(|run| run.before(copy)));
        assert!(runs.iter().any(|run| runs[0].overlaps(run)));
        sandbox.assert_serves(6);
    }
}

#[test]
fn the_highest_leave_once_nobody_sends_to_them() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        sandbox.script_has_run(4);
        let kept: Vec<_> = ["web-1", "web-2", "lb"]
            .map(|name| sandbox.container(name)["id"].clone())
            .into();
        sandbox
            .quick("scale", &["2", "--jobs", "1"])
            .success()
            .stdout(ANSWER)
            .stderr_has("`web-3` and `web-4`: to leave (2 instances asked for)\n");
        let expected = [reload_calls(), leaving_calls("web-3 web-4")].concat();
        assert_eq!(sandbox.changing_calls(), expected);
        sandbox.assert_serves(2);
        let ids: Vec<_> = ["web-1", "web-2", "lb"]
            .map(|name| sandbox.container(name)["id"].clone())
            .into();
        assert_eq!(ids, kept);
        // Between the reload and the stop the log is asked whether the old worker is gone.
        let calls = sandbox.calls();
        let hup = calls
            .iter()
            .position(|call| call.line() == "docker kill -s HUP lb")
            .unwrap();
        let stop = calls
            .iter()
            .position(|call| call.words[0] == "stop")
            .unwrap();
        assert!(calls[hup..stop].iter().any(|call| call.words[0] == "logs"));
    }
}

#[test]
fn an_old_worker_is_waited_for_before_its_instances_stop() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        let _lb = sandbox.serve();
        sandbox
            .up(&["-n", "3", "--lb-img", "haproxy:2.6"])
            .success();
        sandbox.config(json!({"old_worker_ms": 1200}));
        sandbox.forget_calls();
        sandbox.quick("scale", &["2", "--drain", "20s"]).success();
        let calls = sandbox.calls();
        let find = |start: &str| {
            calls
                .iter()
                .find(|call| call.line().starts_with(start))
                .unwrap()
        };
        let waited = find("docker stop").start_ms - find("docker kill -s HUP").end_ms;
        assert!((1100..10_000).contains(&waited), "{waited} ms");
        // No longer than --drain, and then it is said.
        sandbox.config(json!({"old_worker_ms": 60_000}));
        sandbox
            .quick("scale", &["1", "--drain", "300ms"])
            .success()
            .stderr_has("after 0.3 s (--drain) former workers of lb still have 1 connection: those to instances that leave are cut");
    }
}

/// A worker from before the last command but one sends to instances that leave now.
#[test]
fn workers_that_other_commands_left_are_waited_for_too() {
    for image in ["haproxy:1.7", "haproxy:2.6", "haproxy:3.2"] {
        on_both(|flavor| {
            let sandbox = Sandbox::new(flavor);
            let _lb = sandbox.serve();
            sandbox.up(&["-n", "2", "--lb-img", image]).success();
            sandbox.config(json!({"old_worker_ms": 4000}));
            sandbox.quick("scale", &["3"]).success();
            let calls = sandbox.calls();
            let hup = |call: &&Call| call.line().contains("kill -s HUP");
            let left = calls.iter().rfind(hup).unwrap().end_ms;
            sandbox.config(json!({"old_worker_ms": 0}));
            let ran = sandbox.quick("scale", &["1", "--drain", "30s"]).success();
            ran.stderr_lacks("are cut").stderr_lacks("still has");
            let calls = sandbox.calls();
            let stop = |call: &&Call| call.line().starts_with("docker stop");
            let waited = calls.iter().find(stop).unwrap().start_ms - left;
            assert!((3900..25_000).contains(&waited), "{image}: {waited} ms");
        });
    }
}

#[test]
fn gaps_in_the_numbering_are_filled_first() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        sandbox.script_has_run(5);
        // By a rollout, say, 2 and 4 are free.
        let file = sandbox.write("gaps.cfg", &config(&[1, 3, 5]));
        sandbox
            .docker(&["cp", file.to_str().unwrap(), &format!("lb:{CONFIG}")])
            .success();
        sandbox.docker(&["kill", "-s", "HUP", "lb"]).success();
        sandbox.docker(&["rm", "-f", "web-2", "web-4"]).success();
        sandbox.forget_calls();
        let (ran, changes) = sandbox.changes_of(|| sandbox.quick("scale", &["4", "--jobs", "1"]));
        ran.success();
        assert_eq!(changes, [&[run_call(2)], &reload_calls()[..]].concat());
        assert_eq!(sandbox.loaded_config("lb"), Some(config(&[1, 2, 3, 5])));
        let (ran, changes) = sandbox.changes_of(|| sandbox.quick("scale", &["6", "--jobs", "1"]));
        ran.success();
        assert_eq!(
            changes,
            [&[run_call(4), run_call(6)], &reload_calls()[..]].concat()
        );
        let (ran, changes) = sandbox.changes_of(|| sandbox.quick("scale", &["3", "--jobs", "1"]));
        ran.success();
        assert_eq!(
            changes,
            [reload_calls(), leaving_calls("web-4 web-5 web-6")].concat()
        );
        sandbox.assert_serves(3);
    }
}

#[test]
fn already_so_many_is_nothing_to_do() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        sandbox.script_has_run(3);
        let before = sandbox.state();
        sandbox
            .quick("scale", &["3"])
            .success()
            .stdout(ANSWER)
            .stderr_has("already 3 instances: nothing to do\n");
        assert!(sandbox.changing_calls().is_empty());
        sandbox.assert_state(&before, "");
        assert!(!sandbox.path("work/haproxy.cfg").exists());
        let json = sandbox
            .quick("scale", &["3", "--format", "json"])
            .success()
            .json();
        assert_eq!(json["changed"], false);
        sandbox
            .quick("scale", &["3", "--dry-run", "--exit-code"])
            .code(0);
        sandbox
            .quick("scale", &["2", "--dry-run", "--exit-code"])
            .code(3)
            .stdout_has("docker stop -t 10 web-3\n");
        sandbox.assert_state(&before, "--dry-run");
    }
}

#[test]
fn without_a_service_the_way_to_one_is_told() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        sandbox
            .quick("scale", &["4"])
            .code(1)
            .stdout("")
            .stderr_has(
                "error: there is no service with instances `web-N` behind `lb` on this endpoint, ",
            )
            .stderr_has("`vch-lb up` deploys it");
        for damage in [&["stop", "lb"][..], &["rm", "-f", "lb"]] {
            let sandbox = Sandbox::new(flavor);
            sandbox.script_has_run(2);
            sandbox.docker(damage).success();
            let before = sandbox.state();
            sandbox.forget_calls();
            sandbox
                .quick("scale", &["4"])
                .code(1)
                .stdout("")
                .stderr_has("error: the service behind `lb` is not complete\n")
                .stderr_has("`vch-lb up` completes it, `vch-lb status` shows what is missing");
            assert!(sandbox.changing_calls().is_empty());
            sandbox.assert_state(&before, damage[0]);
        }
    }
}

#[test]
fn what_cannot_be_meant_is_a_usage_error() {
    let sandbox = Sandbox::new(Flavor::Vch);
    for (arguments, stderr) in [
        (vec!["scale", "0"], "`down` takes it down"),
        (
            vec!["scale", "x"],
            "N is `x`: the number of instances is a whole number from 1 to 10000",
        ),
        (vec!["scale", "-1"], "N is `-1`"),
        (vec!["scale", "10001"], "N is `10001`"),
        (vec!["scale"], "<N>"),
        (
            vec!["scale", "3", "--instance-img", "y"],
            "`vch-lb scale` takes INSTANCE_IMG from what is running: --instance-img can't be given",
        ),
        (vec!["scale", "3", "-n", "4"], "NUM_INSTANCES"),
        (vec!["scale", "3", "--health-check", "tcp"], "HEALTH_CHECK"),
    ] {
        sandbox
            .tool(&arguments)
            .code(2)
            .stdout("")
            .stderr_has(stderr);
    }
    assert!(sandbox.calls().is_empty());
}

#[test]
fn what_stands_in_the_environment_is_for_up_and_not_for_scale() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        sandbox.script_has_run(1);
        sandbox
            .tool_with(&["scale", "2", "--settle", "10ms"], |command| {
                command
                    .env("INSTANCE_IMG", "other:1")
                    .env("NUM_INSTANCES", "9")
                    .env("LB_PORT", "8080")
            })
            .success()
            .stdout(ANSWER);
        sandbox.assert_serves(2);
        assert_eq!(sandbox.container("web-2")["image"], "httpd");
    }
}

#[test]
fn an_instance_that_does_not_come_up_is_taken_back() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        sandbox.script_has_run(2);
        let before = sandbox.state();
        sandbox.rule(json!({"when": ["run", "web-4"], "exit": 125, "stderr": "docker: Error response from daemon: no more disk"}));
        sandbox
            .quick("scale", &["4"])
            .code(1)
            .stdout("")
            .stderr_has("`web-4` was not")
            .stderr_has("no more disk");
        sandbox.assert_state(&before, "");
        for name in ["web-1", "web-2", "lb"] {
            assert_eq!(sandbox.container(name)["starts"], 1, "{name}");
        }
    }
}

#[test]
fn stopped_instances_come_back_before_new_ones_are_made() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        sandbox.script_has_run(3);
        sandbox.docker(&["stop", "web-2"]).success();
        let (ran, changes) = sandbox.changes_of(|| sandbox.quick("scale", &["4", "--jobs", "1"]));
        ran.success();
        let start = "docker start web-2".to_owned();
        assert_eq!(
            changes,
            [&[start, run_call(4)], &reload_calls()[..]].concat()
        );
        sandbox.assert_serves(4);
    }
}

#[test]
fn a_file_that_was_edited_by_hand_is_not_overwritten_unasked() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        sandbox.script_has_run(2);
        let edited = script_config(2).replace("maxconn 256", "maxconn 4096");
        let file = sandbox.write("edited.cfg", &edited);
        sandbox
            .docker(&["cp", file.to_str().unwrap(), &format!("lb:{CONFIG}")])
            .success();
        sandbox.docker(&["kill", "-s", "HUP", "lb"]).success();
        let before = sandbox.state();
        sandbox.forget_calls();
        for command in [
            vec!["scale", "3"],
            vec!["up", "-n", "3"],
            vec!["rollout", "--force", "--pull", "never"],
        ] {
            sandbox
                .quick(command[0], &command[1..])
                .code(1)
                .stdout("")
                .stderr_has("error: the haproxy.cfg in `lb` was edited by hand")
                .stderr_has("--overwrite replaces it");
            assert!(sandbox.changing_calls().is_empty());
            sandbox.assert_state(&before, command[0]);
        }
        sandbox.quick("scale", &["3", "--overwrite"]).success();
        sandbox.assert_serves(3);
    }
}

#[test]
fn a_stopped_load_balancers_edited_file_is_left_alone_too() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        let _lb = sandbox.serve();
        sandbox.script_has_run(2);
        let edited = script_config(2).replace("maxconn 256", "maxconn 4096");
        let file = sandbox.write("edited.cfg", &edited);
        let target = format!("lb:{CONFIG}");
        let copy = ["cp", file.to_str().unwrap(), &target];
        sandbox.docker(&copy).success();
        sandbox.docker(&["stop", "lb"]).success();
        let before = sandbox.state();
        let edit = "the haproxy.cfg in `lb` was edited by hand";
        sandbox
            .tool(&["status"])
            .code(3)
            .stdout_has(edit)
            .stdout_has("the load balancer `lb` exited")
            .stdout_has("to mend them: vch-lb up --num-instances 2 --overwrite\n");
        sandbox.up(&["-n", "2"]).code(1).stderr_has(edit);
        sandbox.assert_state(&before, "up");
        sandbox.up(&["-n", "2", "--overwrite"]).success();
        sandbox.assert_serves(2);
    }
}

#[test]
fn draining_whose_log_can_not_be_read_takes_its_time_and_nothing_is_undone() {
    on_both(|flavor| {
        let sandbox = Sandbox::new(flavor);
        let _lb = sandbox.serve();
        sandbox
            .up(&["-n", "2", "--lb-img", "haproxy:2.6"])
            .success();
        let words =
            "Error response from daemon: configured logging driver does not support reading";
        sandbox.rule(json!({"when": ["logs", "--since", "lb"], "exit": 1, "stderr": words}));
        sandbox.quick("scale", &["1"]).success();
        assert_eq!(sandbox.containers(), ["lb", "web-1"]);
    });
}

#[test]
fn an_instance_that_was_taken_off_its_network_counts_for_nothing_and_not_silently() {
    let sandbox = Sandbox::new(Flavor::Engine);
    let _lb = sandbox.serve();
    sandbox.script_has_run(3);
    sandbox
        .docker_line("network disconnect web-net web-3")
        .success();
    let warning = "warning: `web-3` is not on `web-net`: it counts for nothing, nothing is sent to it, and it is left alone";
    sandbox
        .quick("scale", &["2", "--dry-run"])
        .success()
        .stderr_has(warning);
    sandbox.quick("scale", &["2"]).success().stderr_has(warning);
    assert_eq!(sandbox.loaded_config("lb"), Some(config(&[1, 2])));
    sandbox
        .quick("scale", &["2"])
        .success()
        .stderr_has(warning)
        .stderr_has("already 2 instances");
    sandbox
        .quick("rollout", &["--force"])
        .success()
        .stderr_has(warning);
    sandbox.up(&["-n", "2"]).success().stderr_has(warning);
    sandbox
        .quick("scale", &["3"])
        .code(1)
        .stderr_has("a container called `web-3` is there");
}
