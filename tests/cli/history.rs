//! What was done to a service, and going back.

use serde_json::{Value, json};
use vch_lb::history::FILE;

use super::sandbox::{Call, FLAVORS, Sandbox};
use super::scene::{ANSWER, on_both};

const PATH: &str = "/usr/local/etc/haproxy/vch-lb.history";

/// The entries of the history, in JSON.
fn entries(sandbox: &Sandbox) -> Vec<Value> {
    let ran = sandbox.tool(&["history", "--format", "json"]).success();
    let answer = ran.json();
    assert_eq!(answer["schema"], "vch-lb/history/1");
    answer["entries"].as_array().unwrap().clone()
}

/// Of each entry these fields, as a shell would show them.
fn told(sandbox: &Sandbox, fields: &[&str]) -> Vec<String> {
    let of = |entry: &Value| {
        let texts = fields.iter().map(|field| match &entry[*field] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        });
        texts.collect::<Vec<_>>().join(" ")
    };
    entries(sandbox).iter().map(of).collect()
}

/// The images that instances run, by ID.
fn images(sandbox: &Sandbox) -> Vec<Value> {
    let names = sandbox.containers().into_iter().filter(|name| name != "lb");
    let mut ids: Vec<Value> = names
        .map(|name| sandbox.container(&name)["image_id"].clone())
        .collect();
    ids.dedup();
    ids
}

fn tags(sandbox: &Sandbox) -> Vec<String> {
    let ran = sandbox.docker_line("images --format '{{.Repository}}:{{.Tag}}'");
    ran.success().stdout.lines().map(str::to_owned).collect()
}

#[test]
fn a_first_deployment_writes_no_history_and_the_first_change_tells_what_it_found() {
    on_both(|flavor| {
        let sandbox = Sandbox::new(flavor);
        let _lb = sandbox.serve();
        sandbox.up(&["-n", "2"]).success();
        assert_eq!(sandbox.file_in("lb", PATH), None);
        let calls = sandbox.calls();
        assert!(
            calls.iter().all(|call| !call.keeps_history()),
            "{}",
            sandbox.calls_text()
        );
        sandbox
            .tool(&["history"])
            .success()
            .stdout("")
            .stderr_has("no history yet");
        assert!(entries(&sandbox).is_empty());
        sandbox.quick("scale", &["4"]).success().stdout(ANSWER);
        assert_eq!(
            told(
                &sandbox,
                &[
                    "number",
                    "command",
                    "outcome",
                    "image",
                    "instances",
                    "runs",
                    "reachable"
                ]
            ),
            [
                "1  found httpd 2 false true",
                "2 scale 4 done httpd 4 true true"
            ]
        );
        let changed = json!([{"name": "NUM_INSTANCES", "from": "2", "to": "4"}]);
        let all = entries(&sandbox);
        assert_eq!(
            (&all[0]["changed"], &all[1]["changed"]),
            (&json!([]), &changed)
        );
        assert_eq!(all[0]["who"], Value::Null);
        let who = all[1]["who"].as_str().unwrap();
        assert!(
            who.contains('@') && all[1]["at"].as_str().unwrap().ends_with('Z'),
            "{who}"
        );
        let text = sandbox.tool(&["history"]).success().stdout;
        assert!(
            text.contains("NUM_INSTANCES: 2 → 4") && text.contains("* runs now"),
            "{text}"
        );
        // HAProxy has no business with it.
        let written = sandbox
            .calls()
            .into_iter()
            .filter(|call| !call.stdin_tar.is_empty());
        let mut written = written.filter(Call::keeps_history);
        let written = written.next_back().unwrap();
        assert_eq!(
            (&written.stdin_tar[0]["path"], &written.stdin_tar[0]["mode"]),
            (&json!(FILE), &json!("0600"))
        );
    });
}

#[test]
fn a_rollback_goes_back_and_a_second_one_forward_again() {
    on_both(|flavor| {
        let sandbox = Sandbox::new(flavor);
        sandbox.script_has_run(2);
        let _lb = sandbox.serve();
        sandbox
            .quick("rollback", &[])
            .code(1)
            .stderr_has("there is nothing to go back to");
        sandbox.quick("scale", &["3"]).success();
        sandbox
            .quick("rollback", &[])
            .success()
            .stdout(ANSWER)
            .stderr_has("going back to entry 1: 2 instances of `httpd`");
        sandbox.assert_serves(2);
        sandbox.quick("rollback", &[]).success().stdout(ANSWER);
        sandbox.assert_serves(3);
        assert_eq!(
            told(
                &sandbox,
                &["number", "command", "of", "outcome", "instances", "runs"]
            ),
            [
                "1  null found 2 false",
                "2 scale 3 null done 3 false",
                "3 rollback 1 done 2 false",
                "4 rollback 2 done 3 true",
            ]
        );
        sandbox.quick("rollback", &["--to", "3"]).success();
        sandbox.assert_serves(2);
        sandbox
            .quick("rollback", &["--to", "1"])
            .success()
            .stderr_has("already as in entry 1: nothing to do");
        sandbox
            .quick("rollback", &["--to", "9"])
            .code(1)
            .stderr_has("the history has no entry 9");
    });
}

#[test]
fn a_tag_that_was_pushed_again_is_no_obstacle() {
    on_both(|flavor| {
        let sandbox = Sandbox::new(flavor);
        sandbox.script_has_run(2);
        let _lb = sandbox.serve();
        let old = images(&sandbox);
        sandbox.push_image("httpd");
        sandbox.quick("rollout", &[]).success();
        let new = images(&sandbox);
        assert_ne!(old, new);
        assert_eq!(
            tags(&sandbox)
                .iter()
                .filter(|tag| tag.starts_with("vch-lb/"))
                .collect::<Vec<_>>(),
            ["vch-lb/web:1", "vch-lb/web:2"]
        );
        sandbox.forget_calls();
        sandbox.quick("rollback", &[]).success().stdout(ANSWER);
        assert_eq!(images(&sandbox), old);
        let calls = sandbox.changing_calls();
        assert!(
            calls
                .iter()
                .any(|call| call.ends_with("--label 'vch-lb.image=httpd' vch-lb/web:1")),
            "{calls:?}"
        );
        assert!(
            calls.iter().all(|call| !call.starts_with("docker pull")),
            "{calls:?}"
        );
        // It is shown by the name that the admin knows, and the settings that deployed it find it as it is.
        let status = sandbox.tool(&["status"]).stdout;
        assert!(
            status.contains("httpd") && !status.contains("vch-lb/web"),
            "{status}"
        );
        sandbox.up(&["-n", "2"]).success().stderr_has("up to date");
        // More of them are made from the same image, though the name means another one.
        sandbox.quick("scale", &["4"]).success();
        assert_eq!(images(&sandbox), old);
        sandbox.up(&["-n", "5"]).success();
        assert_eq!(images(&sandbox), old);
        // Until the name is asked for.
        sandbox.quick("rollout", &[]).success();
        assert_eq!(images(&sandbox), new);
        // Nobody else's names go with the service.
        sandbox.docker_line("tag httpd vch-lb/web-2:1").success();
        sandbox.docker_line("tag httpd shop:1").success();
        sandbox.quick("down", &[]).success();
        let left = tags(&sandbox);
        assert!(
            left.contains(&"shop:1".to_owned()) && left.contains(&"vch-lb/web-2:1".to_owned()),
            "{left:?}"
        );
        assert!(
            left.iter().all(|tag| !tag.starts_with("vch-lb/web:")),
            "{left:?}"
        );
    });
}

#[test]
fn what_failed_is_told_and_is_no_state_to_go_back_to() {
    on_both(|flavor| {
        let sandbox = Sandbox::new(flavor);
        sandbox.script_has_run(2);
        let _lb = sandbox.serve();
        sandbox.quick("scale", &["3"]).success();
        sandbox.config(json!({"images": {"httpd:sick": {"exits": 3}}}));
        sandbox
            .quick("rollout", &["--instance-img", "httpd:sick"])
            .code(1)
            .stderr_has("what was done has been undone");
        let all = entries(&sandbox);
        assert_eq!(all.len(), 3);
        assert_eq!(
            (&all[2]["outcome"], &all[2]["image"]),
            (&json!("undone"), &Value::Null)
        );
        assert!(
            all[2]["why"].as_str().unwrap().contains("web-"),
            "{}",
            all[2]
        );
        assert_eq!(all[1]["runs"], true);
        sandbox
            .quick("rollback", &["--to", "3"])
            .code(1)
            .stderr_has("entry 3 is no state to go back to: that command failed (");
        sandbox.quick("rollback", &[]).success();
        sandbox.assert_serves(2);
    });
}

#[test]
fn what_cannot_be_reached_is_refused_with_those_that_can_before_anything_is_changed() {
    on_both(|flavor| {
        let sandbox = Sandbox::new(flavor);
        sandbox.script_has_run(2);
        let _lb = sandbox.serve();
        sandbox
            .quick("rollout", &["--instance-img", "httpd:2"])
            .success();
        sandbox.quick("scale", &["3"]).success();
        for name in ["vch-lb/web:1", "httpd"] {
            sandbox.docker_line(&format!("rmi {name}")).success();
        }
        let (before, file) = (sandbox.state(), sandbox.file_in("lb", PATH));
        sandbox.forget_calls();
        sandbox
            .quick("rollback", &["--to", "1"])
            .code(1)
            .stderr_has("entry 1 can't be gone back to: there is no image `httpd` any more")
            .stderr_has("--to reaches 2");
        assert!(sandbox.changing_calls().is_empty());
        assert_eq!(
            (sandbox.state(), sandbox.file_in("lb", PATH)),
            (before, file)
        );
        let all = entries(&sandbox);
        assert_eq!(
            (&all[0]["reachable"], &all[1]["reachable"]),
            (&json!(false), &json!(true))
        );
        sandbox
            .tool(&["history"])
            .success()
            .stdout_has("1 can't be gone back to: there is no image `httpd` any more");
    });
}

#[test]
fn settings_and_arguments_come_back_and_secrets_are_not_shown() {
    on_both(|flavor| {
        let sandbox = Sandbox::new(flavor);
        let _lb = sandbox.serve();
        let first = [
            "-n",
            "2",
            "--instance-args",
            "--env TOKEN=s3cret",
            "--lb-balance",
            "leastconn",
        ];
        sandbox.up(&first).success();
        let config = sandbox.loaded_config("lb");
        sandbox
            .up(&["-n", "2", "--instance-args", "--env TOKEN=t0psecret"])
            .success();
        let shown = sandbox.tool(&["history"]).success();
        assert!(
            !shown.stdout.contains("s3cret") && !shown.stdout.contains("t0psecret"),
            "{shown}"
        );
        shown
            .stdout_has("LB_BALANCE: leastconn → roundrobin")
            .stdout_has("TOKEN=*** (another value)");
        let json = sandbox.tool(&["history", "--format", "json"]).success();
        assert!(!json.stdout.contains("s3cret"), "{json}");
        sandbox.quick("rollback", &[]).success();
        let label = sandbox.container("web-1")["labels"]["vch-lb"].clone();
        assert!(label.as_str().unwrap().contains("s3cret"), "{label}");
        let now = sandbox.loaded_config("lb");
        let balance =
            |config: Option<String>| config.unwrap_or_default().contains("balance leastconn");
        assert!(balance(config) && balance(now));
    });
}

#[test]
fn a_history_of_a_newer_one_is_read_and_left_alone() {
    let sandbox = Sandbox::new(FLAVORS[0]);
    sandbox.script_has_run(2);
    let _lb = sandbox.serve();
    sandbox.quick("scale", &["3"]).success();
    let file = sandbox.file_in("lb", PATH).unwrap();
    let newer = format!("{file}{{\"v\":2,\"number\":3,\"mood\":\"good\"}}\n");
    let local = sandbox.write("newer", &newer);
    sandbox
        .docker(&["cp", local.to_str().unwrap(), &format!("lb:{PATH}")])
        .success();
    sandbox
        .quick("scale", &["4"])
        .success()
        .stderr_has("the history in lb is a newer vch-lb's");
    assert_eq!(sandbox.file_in("lb", PATH), Some(newer));
    sandbox
        .tool(&["history"])
        .success()
        .stderr_has("a newer vch-lb has written here");
    assert_eq!(entries(&sandbox).len(), 2);
    // What somebody else wrote there steers no terminal, and is no docker option.
    let evil = file.replacen("scale 3", "\\u001b[31mscale", 1).replacen(
        "\"image\":\"httpd\"",
        "\"image\":\"--privileged\"",
        1,
    );
    let local = sandbox.write("evil", &evil);
    sandbox
        .docker(&["cp", local.to_str().unwrap(), &format!("lb:{PATH}")])
        .success();
    let shown = sandbox.tool(&["history"]).success();
    assert!(!shown.stdout.contains('\u{1b}'), "{shown}");
    sandbox.quick("rollback", &["--to", "1"]).code(1);
}

#[test]
fn a_copy_that_is_cut_short_is_copied_again_and_one_that_fails_is_no_failure_of_the_change() {
    let sandbox = Sandbox::new(FLAVORS[0]);
    sandbox.script_has_run(2);
    let _lb = sandbox.serve();
    sandbox.rule(json!({"when": ["cp", "-", "lb:/usr/local/etc/haproxy"], "exit": 1, "stderr": "Error response from daemon: the dog ate it"}));
    sandbox
        .quick("scale", &["3"])
        .success()
        .stdout(ANSWER)
        .stderr_has("warning: the history in lb lacks this change: ");
    sandbox.no_rules();
    sandbox.quick("scale", &["4"]).success();
    assert_eq!(
        told(&sandbox, &["number", "outcome", "instances"]),
        ["1 found 3", "2 done 4"]
    );
    // A line that was cut is left out, and the next change goes on.
    let file = sandbox.file_in("lb", PATH).unwrap();
    let local = sandbox.write("cut", &file[..file.len() - 9]);
    sandbox
        .docker(&["cp", local.to_str().unwrap(), &format!("lb:{PATH}")])
        .success();
    sandbox
        .tool(&["history"])
        .success()
        .stderr_has("1 line of the history can't be read, and left out here");
    sandbox.quick("scale", &["2"]).success();
    assert_eq!(
        told(&sandbox, &["number", "outcome", "instances"]),
        ["1 found 3", "3 found 4", "4 done 2"]
    );
}

#[test]
fn another_load_balancer_takes_the_history_along() {
    on_both(|flavor| {
        let sandbox = Sandbox::new(flavor);
        sandbox.script_has_run(2);
        let _lb = sandbox.serve();
        sandbox.quick("scale", &["3"]).success();
        sandbox
            .up(&["-n", "3", "--recreate-lb", "--lb-img", "haproxy:2.6"])
            .success();
        assert_eq!(
            told(&sandbox, &["number", "command", "outcome"]),
            ["1  found", "2 scale 3 done", "3 up done"]
        );
        sandbox
            .quick("rollback", &[])
            .code(1)
            .stderr_has("entry 2 had another load balancer: LB_IMG is `haproxy:1.7`")
            .stderr_has("`vch-lb rollback --to 2 --recreate-lb` replaces it");
        sandbox.quick("rollback", &["--recreate-lb"]).success();
        assert_eq!(sandbox.container("lb")["image"], "haproxy:1.7");
        assert_eq!(entries(&sandbox).len(), 4);
    });
}

#[test]
fn what_a_killed_command_left_is_found_by_the_next() {
    let sandbox = Sandbox::new(FLAVORS[0]);
    sandbox.script_has_run(2);
    let _lb = sandbox.serve();
    sandbox.quick("scale", &["3"]).success();
    sandbox.rule(json!({"when": ["kill", "-s", "HUP"], "before": false, "kill_parent": 9}));
    assert_eq!(sandbox.quick("scale", &["4"]).signal, Some(9));
    sandbox.no_rules();
    sandbox.quick("scale", &["5"]).success();
    assert_eq!(
        told(&sandbox, &["number", "outcome", "instances"]),
        ["1 found 2", "2 done 3", "3 found 4", "4 done 5"]
    );
}

#[test]
fn what_is_half_one_thing_and_half_another_is_no_state() {
    on_both(|flavor| {
        let sandbox = Sandbox::new(flavor);
        sandbox.script_has_run(2);
        let _lb = sandbox.serve();
        sandbox.quick("scale", &["3"]).success();
        sandbox.docker_line("rm -f web-3").success();
        sandbox
            .tool(&["history"])
            .success()
            .stderr_has("what runs is none of these");
        // Back is what it was before somebody took one away.
        sandbox
            .quick("rollback", &[])
            .success()
            .stderr_has("going back to entry 2: 3 instances");
        sandbox.assert_serves(3);
        sandbox
            .tool(&["history"])
            .success()
            .stdout_has("3 found: instances were missing or not all alike");
        assert_eq!(
            told(&sandbox, &["number", "outcome", "instances", "runs"]),
            [
                "1 found 2 false",
                "2 done 3 false",
                "3 found null false",
                "4 done 3 true"
            ]
        );
        sandbox
            .quick("rollback", &["--to", "3"])
            .code(1)
            .stderr_has("entry 3 is no state to go back to: what there was is not known (instances were missing");
    });
}

#[test]
fn after_a_rollout_that_was_killed_back_is_what_was_before_it() {
    on_both(|flavor| {
        let sandbox = Sandbox::new(flavor);
        sandbox.script_has_run(2);
        let _lb = sandbox.serve();
        sandbox.quick("scale", &["3"]).success();
        let old = images(&sandbox);
        sandbox.rule(json!({"when": ["kill", "-s", "HUP"], "before": false, "kill_parent": 9}));
        let ran = sandbox.quick("rollout", &["--instance-img", "httpd:2"]);
        assert_eq!(ran.signal, Some(9), "{ran}");
        sandbox.no_rules();
        assert_ne!(images(&sandbox), old);
        sandbox
            .tool(&["history"])
            .success()
            .stderr_has("what runs is none of these");
        sandbox
            .quick("rollback", &[])
            .success()
            .stderr_has("going back to entry 2: 3 instances of `httpd`");
        sandbox.assert_serves(3);
        assert_eq!(images(&sandbox), old);
    });
}

#[test]
fn a_dry_run_of_a_rollback_shows_what_it_would_do() {
    let sandbox = Sandbox::new(FLAVORS[0]);
    sandbox.script_has_run(2);
    let _lb = sandbox.serve();
    sandbox.quick("scale", &["3"]).success();
    sandbox.forget_calls();
    sandbox
        .tool(&["rollback", "--dry-run"])
        .success()
        .stdout_has("What `vch-lb rollback --to 1` would do");
    sandbox
        .tool(&["rollback", "--dry-run=plan"])
        .success()
        .stdout_has("NUM_INSTANCES: 3 → 2");
    assert!(sandbox.calls().iter().all(|call| call.change.is_none()));
}
