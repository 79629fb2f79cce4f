//! The logs of all containers as one.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::json;

use super::interrupts::assert_gone;
use super::sandbox::{FLAVORS, Flavor, Sandbox};
use super::scene::on_both;

/// A service whose instances say something on both streams when they start.
fn talking(flavor: Flavor) -> Sandbox {
    let sandbox = Sandbox::new(flavor);
    sandbox.config(json!({"images": {"httpd": {"logs": ["listening", "!not configured"]}}}));
    sandbox.script_has_run(2);
    sandbox
}

#[test]
fn all_logs_in_the_order_of_time_behind_their_names() {
    for flavor in FLAVORS {
        let sandbox = talking(flavor);
        let ran = sandbox.tool(&["logs"]).success();
        let lines: Vec<&str> = ran.stdout.lines().collect();
        assert_eq!(
            lines[..4],
            [
                "web-1 | listening",
                "web-1 | not configured",
                "web-2 | listening",
                "web-2 | not configured"
            ],
            "{ran}"
        );
        assert!(
            lines[4].starts_with("lb    | <7>haproxy-systemd-wrapper: executing"),
            "{ran}"
        );
        assert_eq!(ran.stderr, "");
        // Later lines of the first come last.
        sandbox.docker(&["restart", "web-1"]).success();
        let ran = sandbox.tool(&["logs"]).success();
        assert!(
            ran.stdout
                .ends_with("web-1 | listening\nweb-1 | not configured\n"),
            "{ran}"
        );
        assert!(
            sandbox.changing_calls().is_empty()
                || sandbox.changing_calls() == ["docker restart web-1"]
        );
    }
}

#[test]
fn where_one_keeps_no_log_the_rest_is_shown() {
    let sandbox = Sandbox::new(Flavor::Engine);
    sandbox.config(json!({"images": {"httpd": {"logs": ["listening"]}}}));
    sandbox.script_has_run(1);
    sandbox
        .docker(&[
            "run",
            "-d",
            "-p",
            "80",
            "--log-driver",
            "none",
            "--name",
            "web-2",
            "--net",
            "web-net",
            "httpd",
        ])
        .success();
    let ran = sandbox.tool(&["logs", "web-1", "web-2"]).success();
    assert_eq!(ran.stdout, "web-1 | listening\n");
    ran.stderr_has("the endpoint keeps no log of `web-2` that it could show");
    sandbox
        .tool(&["logs", "web-2"])
        .code(1)
        .stdout("")
        .stderr_has("the log of `web-2` could not be read")
        .stderr_has("hint: its logging driver keeps nothing");
}

#[test]
fn with_the_endpoints_times() {
    for flavor in FLAVORS {
        let sandbox = talking(flavor);
        let ran = sandbox.tool(&["logs", "-t"]).success();
        let times: Vec<&str> = ran
            .stdout
            .lines()
            .map(|line| line.split_once(" | ").unwrap().1.split_once(' ').unwrap().0)
            .collect();
        assert!(
            times
                .iter()
                .all(|time| time.starts_with("20") && time.ends_with('Z')),
            "{ran}"
        );
        assert!(times.is_sorted(), "{ran}");
    }
}

#[test]
fn the_last_lines_of_each() {
    for flavor in FLAVORS {
        let sandbox = talking(flavor);
        let ran = sandbox
            .tool(&["logs", "--tail", "1", "web-1", "web-2"])
            .success();
        // On an engine a tail is of both streams, too.
        assert_eq!(
            ran.stdout,
            "web-1 | not configured\nweb-2 | not configured\n"
        );
        let ran = sandbox.tool(&["logs", "--tail", "all", "web-2"]).success();
        assert_eq!(ran.stdout, "web-2 | listening\nweb-2 | not configured\n");
        for wrong in ["-1", "many", ""] {
            sandbox
                .tool(&["logs", &format!("--tail={wrong}")])
                .code(2)
                .stdout("");
        }
    }
}

#[test]
fn no_line_of_a_long_log_is_lost() {
    on_both(|flavor| {
        let sandbox = Sandbox::new(flavor);
        let said: Vec<String> = (0..3000).map(|n| format!("!{n:0100}")).collect();
        sandbox.config(json!({"images": {"httpd": {"logs": said}}}));
        sandbox.script_has_run(1);
        let ran = sandbox.tool(&["logs", "--tail", "all", "web-1"]).success();
        let expected: Vec<String> = (0..3000).map(|n| format!("web-1 | {n:0100}")).collect();
        let lines: Vec<&str> = ran.stdout.lines().collect();
        assert!(lines == expected, "{} lines", lines.len());
        assert_eq!(ran.stderr, "");
    });
}

#[test]
fn since_a_time_or_a_span() {
    for flavor in FLAVORS {
        let sandbox = talking(flavor);
        // Seconds are all that a VCH knows.
        sleep(Duration::from_millis(1100));
        sandbox.docker(&["restart", "web-2"]).success();
        let started = sandbox.container("web-2")["started"].as_u64().unwrap();
        let started = UNIX_EPOCH + Duration::from_nanos(started);
        let time = humantime::format_rfc3339_seconds(started).to_string();
        let ran = sandbox
            .tool(&["logs", "--since", &time, "web-1", "web-2"])
            .success();
        assert_eq!(
            ran.stdout, "web-2 | listening\nweb-2 | not configured\n",
            "{time}"
        );
        let ran = sandbox.tool(&["logs", "--since", "10m"]).success();
        assert_eq!(ran.stdout.matches("listening").count(), 3);
        sandbox.tool(&["logs", "--since", "--follow"]).code(2);
    }
}

#[test]
fn only_those_that_are_named() {
    for flavor in FLAVORS {
        let sandbox = talking(flavor);
        let ran = sandbox.tool(&["logs", "lb"]).success();
        assert!(
            ran.stdout.lines().all(|line| line.starts_with("lb | ")),
            "{ran}"
        );
        sandbox
            .tool(&["logs", "web-1", "web-7"])
            .code(1)
            .stdout("")
            .stderr_has("error: `web-7` is no container of this service\n")
            .stderr_has("there are `lb`, `web-1` and `web-2`");
        let sandbox = Sandbox::new(flavor);
        sandbox
            .tool(&["logs"])
            .code(1)
            .stdout("")
            .stderr_has("there is no service with instances `web-N` behind `lb` on this endpoint")
            .stderr_has("hint: `vch-lb up` deploys it");
    }
}

#[test]
fn one_that_ended_still_has_its_log_and_nothing_in_it_reaches_the_terminal() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        sandbox.config(
            json!({"images": {"httpd": {"logs": ["a\u{1b}[2Jb", "tab\there"], "exits": 1}}}),
        );
        sandbox.rules_may_be_unused();
        let _ = sandbox.up(&["-n", "1", "--keep"]);
        let ran = sandbox.tool(&["logs", "web-1"]).success();
        assert!(!ran.stdout.contains('\u{1b}'), "{ran}");
        assert!(ran.stdout.contains('b'), "{ran}");
    }
}

/// The tool with its stdout in hand.
fn following(
    sandbox: &Sandbox,
    arguments: &[&str],
) -> (Child, BufReader<std::process::ChildStdout>) {
    let mut child = sandbox
        .std_command(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    (child, out)
}

/// What the tool, which has ended, said on stderr.
fn complaints(child: &mut Child) -> String {
    let mut stderr = child.stderr.take().unwrap();
    let mut text = String::new();
    stderr.read_to_string(&mut text).unwrap();
    text
}

/// Nothing that was called for following runs any more.
fn assert_no_follower(sandbox: &Sandbox) {
    let calls = sandbox.calls();
    let followers: Vec<_> = calls
        .iter()
        .filter(|call| call.words.contains(&"-f".to_owned()))
        .collect();
    assert!(!followers.is_empty());
    for call in followers {
        assert_gone(sandbox, call.pid);
    }
}

#[test]
fn lines_come_as_they_are_said_until_ctrl_c() {
    for flavor in FLAVORS {
        let sandbox = talking(flavor);
        let (mut child, mut out) = following(&sandbox, &["logs", "-f"]);
        let mut seen = Vec::new();
        while seen.len() < 5 {
            let mut line = String::new();
            assert!(out.read_line(&mut line).unwrap() > 0, "{seen:?}");
            seen.push(line);
        }
        sandbox.docker(&["kill", "-s", "HUP", "lb"]).success();
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        assert!(
            line.starts_with("lb    | <5>haproxy-systemd-wrapper: re-executing on SIGHUP."),
            "{line}"
        );
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
        let status = child.wait().unwrap();
        let errors = complaints(&mut child);
        assert_eq!((status.code(), errors.as_str()), (Some(130), ""));
        assert_no_follower(&sandbox);
    }
}

#[test]
fn following_ends_when_nobody_reads_any_more() {
    for flavor in FLAVORS {
        let sandbox = talking(flavor);
        let (mut child, mut out) = following(&sandbox, &["logs", "-f", "--tail", "1"]);
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        drop(out);
        let status = sandbox.wait_until("the end", || {
            sandbox.docker(&["kill", "-s", "HUP", "lb"]).success();
            child.try_wait().unwrap()
        });
        let errors = complaints(&mut child);
        assert_eq!(status.code(), Some(0), "{errors}");
        assert_eq!(errors, "");
        assert_no_follower(&sandbox);
    }
}

#[test]
fn following_ends_with_the_last_container() {
    for flavor in FLAVORS {
        let sandbox = talking(flavor);
        let tool = sandbox.start(&["logs", "-f", "web-1"]);
        sandbox.wait_for_call("logs -f");
        sandbox.docker(&["stop", "web-1"]).success();
        tool.finish().success().stdout_has("web-1 | listening\n");
    }
}
