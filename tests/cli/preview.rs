//! A plan to read: `--dry-run=plan`, its fingerprint for `--if`, and `--confirm`.

use std::io::{Read as _, Write as _};
use std::process::Stdio;

use serde_json::json;

use super::sandbox::{Flavor, Sandbox};
use super::scene::{QUICK, on_both};

#[track_caller]
fn fingerprint(sandbox: &Sandbox, words: &[&str]) -> String {
    let dry = [words, &["--dry-run=plan"]].concat();
    let ran = sandbox.tool(&dry).success();
    assert_eq!(
        sandbox.changing_calls(),
        [""; 0],
        "{}",
        sandbox.calls_text()
    );
    let line = ran.stdout.lines().last().unwrap_or_default();
    let found = line.strip_prefix("fingerprint: ");
    found.unwrap_or_else(|| panic!("{ran}")).to_owned()
}

#[test]
fn a_plan_says_what_changes_and_what_that_costs() {
    on_both(|flavor| {
        let sandbox = Sandbox::new(flavor);
        sandbox.script_has_run(2);
        let ran = sandbox
            .tool(&["up", "-n", "3", "--lb-maxconn", "1000", "--dry-run=plan"])
            .success();
        ran.stdout_has("  NUM_INSTANCES: 2 → 3  (--num-instances)\n")
            .stdout_has("  LB_MAXCONN: 256 → 1000  (--lb-maxconn)\n")
            .stdout_has("  -\tmaxconn 256\n  +\tmaxconn 1000\n")
            .stdout_has("    + web-3 (httpd)\n    ~ lb (reload 1 time)\n")
            .stdout_has("plan: 1 to add, 1 to change\n");
        let ran = sandbox.tool(&["down", "--dry-run=plan"]).success();
        let ran = ran.stdout_has("    - web-1\n    - web-2\n    - lb\n    - network web-net\n");
        ran.stdout_has("outage: the service ends\nplan: 4 to remove\n");
        let code = ["down", "--dry-run=plan", "--exit-code"];
        sandbox.tool(&code).code(3);
        assert_eq!(sandbox.changing_calls(), [""; 0]);
        // Without a value it stays the script.
        let script = sandbox.tool(&["down", "--dry-run"]).success();
        script.stdout_has("#!/usr/bin/env bash\n");
    });
}

#[test]
fn what_was_seen_is_done_and_nothing_else() {
    on_both(|flavor| {
        let scene = Sandbox::new(flavor);
        scene.script_has_run(2);
        for words in [
            &["scale", "3"][..],
            &["rollout", "--force"],
            &["up", "-n", "1"],
            &["down"],
        ] {
            let sandbox = scene.like();
            let _lb = sandbox.serve();
            sandbox.forget_calls();
            let seen = fingerprint(&sandbox, words);
            assert_eq!(seen, fingerprint(&sandbox, words), "{words:?}");
            let quick = |more: &[&str]| {
                let rest = [&words[1..], more].concat();
                sandbox.quick(words[0], &rest)
            };
            // Somebody changes what it rests on.
            sandbox.docker(&["stop", "web-2"]).success();
            sandbox.forget_calls();
            let ran = quick(&["--if", &seen]).code(1).stdout("");
            ran.stderr_has(&format!("is not what --if {seen} stands for"))
                .stderr_has("hint: the same command with --dry-run=plan");
            assert_eq!(sandbox.changing_calls(), [""; 0]);
            let seen = fingerprint(&sandbox, words);
            quick(&["--if", &seen]).success();
            assert_ne!(sandbox.changing_calls(), [""; 0]);
            if words[0] != "rollout" {
                // Nothing is left to do, so nothing is done that nobody has seen.
                quick(&["--if", &seen]).success();
            }
        }
    });
}

#[test]
fn json_has_the_plan_and_its_fingerprint_whatever_the_form() {
    let sandbox = Sandbox::new(Flavor::Engine);
    sandbox.script_has_run(2);
    let of = |form: &str| {
        let words = ["scale", "3", form, "--format", "json"];
        sandbox.tool(&words).success().json()
    };
    let plan = of("--dry-run");
    assert_eq!(plan["schema"], json!("vch-lb/plan/1"));
    assert_eq!(plan, of("--dry-run=plan"));
    let sign = json!({"sign": "add", "what": "web-3", "how": "httpd"});
    assert_eq!(plan["plan"]["changes"][0], sign);
    assert!(plan["plan"]["fingerprint"].is_string());
}

#[test]
fn a_question_without_anybody_to_answer_changes_nothing() {
    let sandbox = Sandbox::new(Flavor::Engine);
    sandbox.script_has_run(2);
    let ran = sandbox.quick("scale", &["3", "--confirm"]).code(1);
    ran.stderr_has("    + web-3 (httpd)\n")
        .stderr_has(
            "error: --confirm asks, and there is no terminal to answer at: nothing was changed",
        )
        .stderr_has("hint: --if FINGERPRINT");
    assert_eq!(sandbox.changing_calls(), [""; 0]);
    // What is asked about is shown, however little else is to be.
    let quiet = sandbox
        .quick("scale", &["3", "--confirm", "--quiet"])
        .code(1);
    quiet.stderr_has("    + web-3 (httpd)\n");
}

/// Runs `vch-lb scale 3 --confirm` on a terminal at which `answer` is typed; what it showed, and its exit code.
fn answered(sandbox: &Sandbox, answer: &str) -> Option<(String, i32)> {
    let command = format!("\"$tool\" scale 3 --confirm {}", QUICK.join(" "));
    let mut script = sandbox.on_terminal(80, &command)?;
    let mut script = script.stdin(Stdio::piped()).spawn().unwrap();
    let (mut stdin, mut stdout) = (script.stdin.take().unwrap(), script.stdout.take().unwrap());
    let mut shown = Vec::new();
    let mut piece = [0; 1024];
    while !String::from_utf8_lossy(&shown).contains("[y/N] ") {
        match stdout.read(&mut piece).unwrap() {
            0 => break,
            read => shown.extend_from_slice(&piece[..read]),
        }
    }
    stdin.write_all(answer.as_bytes()).unwrap();
    stdout.read_to_end(&mut shown).unwrap();
    let code = script.wait().unwrap().code().unwrap();
    let shown = String::from_utf8_lossy(&shown).into_owned();
    Some((shown, code))
}

#[test]
fn it_is_done_once_it_is_confirmed() {
    for (answer, code, there) in [
        ("y\n", 0, 4),
        ("n\n", 1, 3),
        ("\n", 1, 3),
        ("yes please\n", 1, 3),
        ("\u{3}", 130, 3),
    ] {
        let sandbox = Sandbox::new(Flavor::Engine);
        sandbox.script_has_run(2);
        let _lb = sandbox.serve();
        let Some((shown, found)) = answered(&sandbox, answer) else {
            return;
        };
        assert_eq!(found, code, "{answer:?}: {shown}");
        assert!(shown.contains("Do it? [y/N] "), "{shown}");
        assert!(shown.contains("web-3 (httpd)"), "{shown}");
        assert_eq!(sandbox.containers().len(), there, "{answer:?}: {shown}");
        assert_eq!(shown.contains("nothing was changed"), code == 1, "{shown}");
    }
}

#[test]
fn a_plan_shows_no_secret() {
    let sandbox = Sandbox::new(Flavor::Engine);
    let words = [
        "up",
        "--instance-args",
        "--env PASSWORD=s3cret",
        "--lb-args",
        "--env TOKEN=s3cret",
    ];
    for form in [
        &["--dry-run=plan"][..],
        &["--dry-run=plan", "--format", "json"],
    ] {
        let ran = sandbox.tool(&[&words[..], form].concat()).success();
        assert!(!ran.stdout.contains("s3cret"), "{ran}");
    }
}
