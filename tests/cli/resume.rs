//! A service that is half there: `up` completes it with as little as possible.

use serde_json::json;

use super::sandbox::{Flavor, Sandbox, script_config};
use super::scene::{ANSWER, CONFIG, create_call, on_both, run_call, script_calls, tool_calls};

/// The script's own calls that change something, as words.
fn script_words(sandbox: &Sandbox, instances: usize) -> Vec<Vec<String>> {
    let config = sandbox.path("script.cfg");
    std::fs::write(&config, script_config(instances)).unwrap();
    let lines = script_calls(instances).into_iter();
    lines
        .map(|line| {
            let mut words: Vec<String> = shell_words::split(&line).unwrap()[1..].to_vec();
            if words[0] == "cp" {
                config.to_str().unwrap().clone_into(&mut words[1]);
            }
            words
        })
        .collect()
}

fn run(sandbox: &Sandbox, words: &[String]) {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    sandbox.docker(&words).success();
}

/// What the script had not come to, in its order. Images are pulled for a new service; later on only if they are missing.
fn missing(flavor: Flavor, prefix: usize, instances: usize) -> Vec<String> {
    let all = tool_calls(flavor, instances);
    let some_instances = prefix > 3;
    let lb_is_there = prefix > 3 + instances;
    let mut calls = Vec::new();
    if !some_instances {
        calls.push(all[0].clone());
    }
    if !some_instances && !lb_is_there {
        calls.push(all[1].clone());
    }
    calls.extend(all[prefix.max(2)..].iter().cloned());
    with_addresses(flavor, calls)
}

/// On a VCH a load balancer that does not run gets a file with addresses before it is started.
fn with_addresses(flavor: Flavor, mut calls: Vec<String>) -> Vec<String> {
    let copy = format!("docker cp haproxy.cfg lb:{CONFIG}");
    if flavor == Flavor::Vch && calls == ["docker start lb"] {
        calls.insert(0, copy);
    }
    calls
}

#[test]
fn every_prefix_of_the_script_is_completed() {
    on_both(|flavor| {
        for prefix in 0..=script_calls(2).len() {
            let sandbox = Sandbox::new(flavor);
            let _lb = sandbox.serve();
            for words in &script_words(&sandbox, 2)[..prefix] {
                run(&sandbox, words);
            }
            let (ran, changes) = sandbox.changes_of(|| sandbox.up(&["-n", "2", "--jobs", "1"]));
            ran.success().stdout(ANSWER);
            let expected = if prefix == script_calls(2).len() {
                Vec::new()
            } else {
                missing(flavor, prefix, 2)
            };
            assert_eq!(changes, expected, "after {prefix} calls of the script");
            sandbox.assert_serves(2);
            let (again, changes) = sandbox.changes_of(|| sandbox.up(&["-n", "2"]));
            again.success().stdout(ANSWER).stderr_has("up to date");
            assert!(changes.is_empty(), "{changes:?}");
        }
    });
}

#[test]
fn instances_that_are_missing_or_stopped_come_back() {
    on_both(|flavor| {
        for (what, damage, expected) in [
            (
                "stopped",
                vec!["stop web-2"],
                vec!["docker start web-2".to_owned()],
            ),
            (
                "killed",
                vec!["kill web-1"],
                vec!["docker start web-1".to_owned()],
            ),
            ("removed", vec!["rm -f web-2"], vec![run_call(2)]),
            (
                "only created",
                vec![
                    "rm -f web-3",
                    "create -p 80 --name web-3 --net web-net httpd",
                ],
                vec!["docker start web-3".to_owned()],
            ),
            (
                "some of each",
                vec!["stop web-1", "rm -f web-3"],
                vec!["docker start web-1".to_owned(), run_call(3)],
            ),
        ] {
            let sandbox = Sandbox::new(flavor);
            sandbox.script_has_run(3);
            for line in damage {
                let words = shell_words::split(line).unwrap();
                run(&sandbox, &words);
            }
            let (ran, changes) = sandbox.changes_of(|| sandbox.up(&["--jobs", "1"]));
            ran.success().stdout(ANSWER);
            assert_eq!(changes[..expected.len()], expected, "{what}");
            // Its address may be another one: HAProxy 1.7 resolves names when it loads.
            for change in &changes[expected.len()..] {
                assert!(
                    change.starts_with("docker cp haproxy.cfg lb:")
                        || change == "docker kill -s HUP lb",
                    "{what}: {change}"
                );
            }
            sandbox.assert_serves(3);
            let (again, changes) = sandbox.changes_of(|| sandbox.up(&[]));
            again.success().stderr_has("up to date");
            assert!(changes.is_empty(), "{changes:?}");
        }
    });
}

#[test]
fn a_load_balancer_that_does_not_serve_is_completed() {
    let copy = format!("docker cp haproxy.cfg lb:{CONFIG}");
    let start = "docker start lb".to_owned();
    let connect = "docker network connect web-net lb".to_owned();
    let old = script_config(1);
    on_both(|flavor| {
        let create = create_call(flavor);
        for (what, damage, config, expected) in [
            ("stopped", vec!["stop lb"], None, vec![start.clone()]),
            ("killed", vec!["kill lb"], None, vec![start.clone()]),
            (
                "with an old file",
                vec!["stop lb"],
                Some(&old),
                vec![copy.clone(), start.clone()],
            ),
            (
                "removed",
                vec!["rm -f lb"],
                None,
                vec![create.clone(), connect.clone(), copy.clone(), start.clone()],
            ),
            (
                "never connected",
                vec!["rm -f lb", "create --name lb --net routable haproxy:1.7"],
                None,
                vec![connect.clone(), copy.clone(), start.clone()],
            ),
            (
                "without its file",
                vec![
                    "rm -f lb",
                    "create --name lb --net routable haproxy:1.7",
                    "network connect web-net lb",
                ],
                None,
                vec![copy.clone(), start.clone()],
            ),
        ] {
            let sandbox = Sandbox::new(flavor);
            sandbox.script_has_run(2);
            let _lb = sandbox.serve();
            // A removed one may get another address on the external network.
            let _other = sandbox.listen("127.50.0.3", 80, 200);
            for line in damage {
                run(&sandbox, &shell_words::split(line).unwrap());
            }
            if let Some(text) = config {
                let file = sandbox.write("old.cfg", text);
                let target = format!("lb:{CONFIG}");
                sandbox
                    .docker(&["cp", file.to_str().unwrap(), &target])
                    .success();
            }
            let (ran, changes) = sandbox.changes_of(|| sandbox.up(&["-n", "2", "--jobs", "1"]));
            ran.success();
            let expected = with_addresses(flavor, expected);
            assert_eq!(changes, expected, "{what}");
            sandbox.assert_serves(2);
        }
    });
}

#[test]
fn another_port_is_a_reload_and_for_instances_a_rollout() {
    on_both(|flavor| {
        let sandbox = Sandbox::new(flavor);
        sandbox.script_has_run(2);
        let _lb = sandbox.listen("127.50.0.2", 8080, 200);
        // The load balancer's port: the file and a reload.
        let (ran, changes) =
            sandbox.changes_of(|| sandbox.up(&["-n", "2", "--lb-port", "8080", "--jobs", "1"]));
        ran.success()
            .stdout("\nService is available at\n127.50.0.2\non port 8080\n");
        assert_eq!(
            changes,
            [
                format!("docker cp haproxy.cfg lb:{CONFIG}"),
                "docker kill -s HUP lb".into()
            ]
        );
        let config = script_config(2).replace("*:80", "*:8080");
        assert_eq!(sandbox.loaded_config("lb"), Some(config.clone()));

        // The instances' port: others take their place, and every server line has the port of its instance.
        let arguments = [
            "-n",
            "2",
            "--lb-port",
            "8080",
            "--instance-port",
            "8000",
            "--jobs",
            "1",
        ];
        let (ran, changes) = sandbox.changes_of(|| sandbox.up(&arguments));
        ran.success();
        assert!(
            changes
                .iter()
                .any(|call| call.starts_with("docker run -d -p 8000 --name web-3")),
            "{changes:?}"
        );
        let loaded = sandbox.loaded_config("lb").unwrap();
        assert_eq!(loaded.matches(":8000 ").count(), 2, "{loaded}");
        assert_eq!(sandbox.containers().len(), 3);
        let (_, changes) = sandbox.changes_of(|| sandbox.up(&arguments).success());
        assert!(changes.is_empty(), "{changes:?}");
    });
}

#[test]
fn another_number_of_instances_is_one_reload() {
    on_both(|flavor| {
        let sandbox = Sandbox::new(flavor);
        sandbox.script_has_run(2);
        let copy = format!("docker cp haproxy.cfg lb:{CONFIG}");
        let reload = "docker kill -s HUP lb".to_owned();
        let (ran, changes) = sandbox.changes_of(|| sandbox.up(&["-n", "4", "--jobs", "1"]));
        ran.success().stdout(ANSWER);
        assert_eq!(
            changes,
            [run_call(3), run_call(4), copy.clone(), reload.clone()]
        );
        sandbox.assert_serves(4);
        let (ran, changes) = sandbox.changes_of(|| sandbox.up(&["-n", "1", "--jobs", "1"]));
        ran.success()
            .stderr_has("`web-2`, `web-3` and `web-4`: to leave (1 instance asked for)\n");
        assert_eq!(
            changes,
            [
                copy,
                reload,
                "docker stop -t 10 web-2 web-3 web-4".into(),
                "docker rm -f -v web-2 web-3 web-4".into()
            ]
        );
        sandbox.assert_serves(1);
    });
}

#[test]
fn a_changed_image_is_rolled_out_start_first() {
    on_both(|flavor| {
        let sandbox = Sandbox::new(flavor);
        sandbox.script_has_run(2);
        let arguments = ["-n", "2", "--instance-img", "httpd:2", "--jobs", "1"];
        let (ran, changes) = sandbox.changes_of(|| sandbox.up(&arguments));
        ran.success().stdout(ANSWER);
        let copy = format!("docker cp haproxy.cfg lb:{CONFIG}");
        let run = |number| format!("docker run -d -p 80 --name web-{number} --net web-net httpd:2");
        assert_eq!(
            changes,
            [
                "docker pull httpd:2".into(),
                run(3),
                copy.clone(),
                "docker kill -s HUP lb".into(),
                run(4),
                copy,
                "docker kill -s HUP lb".into(),
                "docker stop -t 10 web-1 web-2".into(),
                "docker rm -f -v web-1 web-2".into()
            ]
        );
        assert_eq!(sandbox.containers(), ["lb", "web-3", "web-4"]);
        let (_, changes) = sandbox.changes_of(|| sandbox.up(&arguments).success());
        assert!(changes.is_empty(), "{changes:?}");
    });
}

#[test]
fn a_vch_that_is_busy_gets_the_call_again() {
    let sandbox = Sandbox::new(Flavor::Vch);
    sandbox.config(json!({"conflict_every": 6}));
    let _lb = sandbox.serve();
    sandbox
        .up(&["--jobs", "1"])
        .success()
        .stderr_has("; again in 0.5 s");
    sandbox.assert_serves(3);
}
