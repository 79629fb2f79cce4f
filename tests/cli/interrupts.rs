//! Signals, time-outs, and how docker is spawned.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use super::sandbox::{Flavor, Sandbox};
use super::scene::{on_both, quickly, script_calls};

const SIGHUP: i32 = 1;
const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;

#[test]
fn an_interrupted_deployment_completes_its_call_and_is_undone() {
    on_both(|flavor| {
        for (signal, code) in [(SIGINT, 130), (SIGTERM, 143), (SIGHUP, 129)] {
            for (number, call) in [
                (0, "pull httpd"),
                (4, "run -d -p 80 --name web-2"),
                (6, "create"),
                (9, "start lb"),
            ] {
                let sandbox = Sandbox::new(flavor);
                let before = sandbox.state();
                let rule = json!({"changing_call": number, "hang": "go"});
                sandbox.rule(rule);
                let tool = sandbox.start(&["up", "--jobs", "1"]);
                sandbox.wait_for_call(call);
                tool.interrupt(signal);
                sandbox.release("go");
                let ran = tool.finish().code(code).stdout("");
                ran.stderr_has("error: interrupted\n");
                let calls = sandbox.calls();
                let changes: Vec<_> = calls.iter().filter(|call| call.change.is_some()).collect();
                // The call that ran came to its own end, and only undoing came after it.
                assert_eq!(changes[number].code, Some(0), "{}", sandbox.calls_text());
                for later in &changes[number + 1..] {
                    let undoes = ["stop", "rm", "network"].contains(&later.words[0].as_str());
                    assert!(undoes, "{later:?}");
                    assert_ne!(later.words.get(1).map(String::as_str), Some("create"));
                }
                sandbox.assert_state(&before, "");
            }
        }
    });
}

#[test]
fn what_runs_side_by_side_completes_too() {
    let sandbox = Sandbox::new(Flavor::Vch);
    sandbox.rule(json!({"when": ["run"], "nth": 0, "hang": "go"}));
    let tool = sandbox.start(&["up", "-n", "9"]);
    sandbox.wait_until("some instances being made", || {
        let calls = sandbox.calls();
        let runs = calls.iter().filter(|call| call.words[0] == "run").count();
        (runs >= 3).then_some(())
    });
    tool.interrupt(SIGTERM);
    sandbox.release("go");
    tool.finish().code(143);
    let calls = sandbox.calls();
    let runs: Vec<_> = calls.iter().filter(|call| call.words[0] == "run").collect();
    assert!(runs.len() <= 4, "{}", sandbox.calls_text());
    assert!(runs.iter().all(|call| call.code == Some(0)));
    assert!(sandbox.containers().is_empty() && sandbox.networks().is_empty());
}

#[test]
fn a_look_is_given_up_at_once() {
    for (flavor, when) in [
        (Flavor::Engine, json!(["info"])),
        (Flavor::Vch, json!(["ps"])),
    ] {
        let sandbox = Sandbox::new(flavor);
        sandbox.rule(json!({"when": when, "hang": "never"}));
        let tool = sandbox.start(&["up"]);
        let call = sandbox.wait_for_call(when[0].as_str().unwrap());
        tool.interrupt(SIGINT);
        tool.finish().code(130).stdout("");
        assert_gone(&sandbox, call.pid);
        assert!(sandbox.changing_calls().is_empty());
    }
}

#[test]
fn a_signal_that_comes_twice_at_once_is_one() {
    // `timeout` sends its own to the process, and then to the group that the process is in.
    on_both(|flavor| {
        let sandbox = Sandbox::new(flavor);
        let before = sandbox.state();
        sandbox.rule(json!({"when": ["run", "web-2"], "hang": "go"}));
        let tool = sandbox.start(&["up", "--jobs", "1"]);
        sandbox.wait_for_call("run -d -p 80 --name web-2");
        tool.interrupt(SIGTERM);
        tool.interrupt(SIGTERM);
        sandbox.release("go");
        let ran = tool.finish().code(143).stdout("");
        ran.stderr_lacks("left at once");
        sandbox.assert_state(&before, "signalled twice");
    });
}

#[test]
fn a_second_signal_while_undoing_tells_to_remove_nothing() {
    on_both(|flavor| {
        let sandbox = Sandbox::new(flavor);
        sandbox.rule(json!({"when": ["run", "web-2"], "exit": 125, "stderr": "docker: no"}));
        sandbox.rule(json!({"when": ["rm", "web-1"], "hang": "go"}));
        let mut tool = sandbox.start(&["up", "--jobs", "1"]);
        sandbox.wait_for_call("rm -f -v web-1");
        tool.interrupt(SIGINT);
        tool.insist(SIGINT);
        let ran = tool.finish().code(130).stdout("");
        ran.stderr_has("interrupted again: left at once, not everything was undone\n")
            .stderr_has("  may be left standing: container `web-1`\n")
            .stderr_has("hint: `vch-lb status` shows what stands")
            .stderr_lacks("to remove it");
        sandbox.release("go");
    });
}

#[test]
fn a_second_signal_leaves_at_once_and_says_what_stands() {
    on_both(|flavor| {
        let sandbox = Sandbox::new(flavor);
        sandbox.rule(json!({"when": ["run", "web-2"], "hang": "go"}));
        let mut tool = sandbox.start(&["up", "--jobs", "1"]);
        let hanging = sandbox.wait_for_call("run -d -p 80 --name web-2");
        tool.interrupt(SIGINT);
        tool.insist(SIGINT);
        let ran = tool.finish().code(130).stdout("");
        ran.stderr_has("interrupted: letting the running docker calls complete")
            .stderr_has("interrupted again: left at once, nothing was undone\n")
            .stderr_has("  may be left standing: network `web-net` (to remove it: docker network rm web-net)\n")
            .stderr_has("  may be left standing: container `web-1` (to remove it: docker rm -f -v web-1)\n")
            .stderr_has("  may be left standing: container `web-2` (to remove it: docker rm -f -v web-2)\n");
        // The call itself is not ended: it has its own process group. What it makes is completed by the next run.
        sandbox.release("go");
        sandbox.wait_until("the end of the call", || {
            let calls = sandbox.calls();
            calls
                .into_iter()
                .find(|call| call.seq == hanging.seq && call.has_ended())
        });
        let _lb = sandbox.serve();
        let (ran, changes) = sandbox.changes_of(|| sandbox.up(&["--jobs", "1"]));
        ran.success();
        assert!(changes.len() < script_calls(3).len(), "{changes:?}");
        sandbox.assert_serves(3);
    });
}

#[test]
fn what_the_load_balancer_sends_to_is_not_said_to_be_removed() {
    on_both(|flavor| {
        let sandbox = Sandbox::new(flavor);
        let _lb = sandbox.serve();
        sandbox.script_has_run(2);
        // The old ones are out by then.
        sandbox.rule(json!({"when": ["stop", "web-1"], "hang": "go"}));
        let rollout = quickly("rollout", &["--instance-img", "httpd:2"]);
        let mut tool = sandbox.start(&rollout);
        sandbox.wait_for_call("stop -t 10 web-1");
        tool.interrupt(SIGINT);
        tool.insist(SIGINT);
        let ran = tool.finish().code(130).stdout("");
        ran.stderr_has("interrupted again: left at once, nothing was undone\nhint: `vch-lb status` shows what stands; the same command, run again, goes on from there\n")
            .stderr_lacks("may be left standing");
        sandbox.release("go");
        sandbox.wait_until("the end of all calls", || {
            let calls = sandbox.calls();
            calls
                .iter()
                .all(super::sandbox::Call::has_ended)
                .then_some(())
        });
        sandbox.tool(&rollout).success();
        assert_eq!(sandbox.containers().len(), 3);
        let loaded = sandbox.loaded_config("lb").unwrap();
        assert_eq!(loaded.matches("\tserver ").count(), 2, "{loaded}");
    });
}

#[test]
fn an_interrupted_question_is_no_failure_of_its_own() {
    on_both(|flavor| {
        for question in [
            json!(["cp", "lb:*/haproxy.cfg", "-"]),
            json!(["logs", "lb"]),
        ] {
            let sandbox = Sandbox::new(flavor);
            sandbox.script_has_run(1);
            let before = sandbox.state();
            // Not the look's: a question of the reload's.
            sandbox.rule(json!({"when": question, "nth": 2, "hang": "never"}));
            let tool = sandbox.start(&quickly("rollout", &["--instance-img", "httpd:2"]));
            let hanging = sandbox.wait_until("the question", || {
                let calls = sandbox.calls();
                let mut alike = calls.into_iter().filter(|call| {
                    !call.keeps_history()
                        && call.words[0] == question[0].as_str().unwrap()
                        && call.change.is_none()
                });
                alike.nth(1)
            });
            tool.interrupt(SIGINT);
            let ran = tool.finish().code(130).stdout("");
            ran.stderr_has("error: interrupted\n")
                .stderr_has("what was done has been undone")
                .stderr_lacks("could not be read");
            assert_gone(&sandbox, hanging.pid);
            sandbox.assert_state(&before, "");
        }
    });
}

#[test]
fn a_killed_run_is_completed_by_the_next() {
    on_both(|flavor| {
        for number in 0..script_calls(2).len() {
            let sandbox = Sandbox::new(flavor);
            let _lb = sandbox.serve();
            sandbox.rule(json!({"changing_call": number, "before": false, "kill_parent": 9}));
            let ran = sandbox.up(&["-n", "2", "--jobs", "1"]);
            assert_eq!(ran.signal, Some(9), "{ran}");
            sandbox.wait_until("the end of all calls", || {
                sandbox
                    .calls()
                    .iter()
                    .all(super::sandbox::Call::has_ended)
                    .then_some(())
            });
            sandbox.up(&["-n", "2"]).success();
            sandbox.assert_serves(2);
        }
    });
}

#[test]
fn a_call_that_hangs_is_ended_with_all_that_it_started() {
    on_both(|flavor| {
        let sandbox = Sandbox::new(flavor);
        let before = sandbox.state();
        // A client that is a script, as some are: the fake is its child.
        let wrapper = sandbox.write(
            "wrapper",
            &format!(
                "#!/bin/sh\n'{}' \"$@\"\nexit $?\n",
                sandbox.path("bin/docker").display()
            ),
        );
        fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).unwrap();
        sandbox.rule(json!({"when": ["run", "web-1"], "hang": "never"}));
        sandbox
            .up(&[
                "-n",
                "1",
                "--timeout",
                "2s",
                "--docker",
                wrapper.to_str().unwrap(),
            ])
            .code(1)
            .stdout("")
            .stderr_has("error: `web-1` was not started\n")
            .stderr_has("no answer within 2s (--timeout): the call was ended")
            .stderr_has("hint: a VCH may take 3 minutes to start a container; raise --timeout");
        let calls = sandbox.calls();
        let hanging = calls.iter().find(|call| call.words[0] == "run").unwrap();
        assert_eq!(hanging.code, None);
        assert_gone(&sandbox, hanging.pid);
        assert_gone(&sandbox, hanging.parent_pid);
        sandbox.assert_state(&before, "");
    });
}

#[test]
fn a_look_that_hangs_is_ended() {
    let sandbox = Sandbox::new(Flavor::Engine);
    sandbox.rule(json!({"when": ["info"], "hang": "never"}));
    sandbox
        .up(&["--timeout", "1s"])
        .code(4)
        .stderr_has("error: the endpoint did not say what it is\n")
        .stderr_has("no answer within 1s (--timeout)")
        .stderr_has("hint: check the endpoint's address, and the route and the firewalls");
    let calls = sandbox.calls();
    let hanging = calls.iter().find(|call| call.words[0] == "info").unwrap();
    assert_gone(&sandbox, hanging.pid);
}

/// A process that has ended, whether or not somebody has asked for its exit code.
pub(crate) fn assert_gone(sandbox: &Sandbox, pid: i64) {
    sandbox.wait_until(
        &format!("the end of process {pid}"),
        || match fs::read_to_string(format!("/proc/{pid}/stat")) {
            Ok(stat) => stat
                .rsplit(')')
                .next()?
                .trim_start()
                .starts_with('Z')
                .then_some(()),
            Err(_) => Some(()),
        },
    );
}

#[test]
fn docker_is_spawned_alone_and_without_a_terminal() {
    let variables = [
        ("DOCKER_HOST", "tcp://vch.example.com:2376"),
        ("DOCKER_TLS_VERIFY", "1"),
        ("DOCKER_CERT_PATH", "/certs with blanks"),
        ("DOCKER_CONTEXT", "default"),
        ("DOCKER_API_VERSION", "1.25"),
        ("DOCKER_CONFIG", "/config"),
    ];
    on_both(|flavor| {
        let sandbox = Sandbox::new(flavor);
        let _lb = sandbox.serve();
        sandbox
            .tool_with(&["up"], |command| {
                command.envs(variables).write_stdin("not for docker")
            })
            .success();
        sandbox
            .tool_with(
                &["up", "-n", "4", "--settle", "10ms", "--drain", "10ms"],
                |command| command.envs(variables),
            )
            .success();
        for call in sandbox.calls() {
            // The one that holds the lock reads from the tool, and not what that reads.
            let holds = call.words.starts_with(&["exec".into(), "-i".into()]);
            assert!(call.stdin_null || holds || call.keeps_history(), "{call:?}");
            assert_ne!(call.pgid, call.parent_pgid, "{call:?}");
            assert_eq!(call.pgid, call.pid, "{call:?}");
            for (name, value) in variables {
                assert_eq!(
                    call.env.get(name).map(String::as_str),
                    Some(value),
                    "{call:?}"
                );
            }
        }
    });
}

#[test]
fn nothing_is_set_that_the_admin_did_not_set() {
    let sandbox = Sandbox::new(Flavor::Engine);
    let _lb = sandbox.serve();
    sandbox.up(&[]).success();
    for call in sandbox.calls() {
        assert!(call.env.is_empty(), "{:?}", call.env);
    }
}

#[test]
fn host_and_context_come_first() {
    for (arguments, first) in [
        (["-H", "tcp://vch:2376"], ["-H", "tcp://vch:2376"]),
        (["--host", "ssh://root@vch"], ["-H", "ssh://root@vch"]),
        (["--context", "my vch"], ["--context", "my vch"]),
    ] {
        let sandbox = Sandbox::new(Flavor::Vch);
        let _lb = sandbox.serve();
        sandbox
            .up(&[&["-n", "1"], &arguments[..]].concat())
            .success();
        for call in sandbox.calls() {
            assert_eq!(call.argv[..2], first, "{call:?}");
        }
        assert_eq!(sandbox.loaded_config("lb"), Some(sandbox.default_config(1)));
    }
}

#[test]
fn ssh_may_ask_while_looking_but_changes_stay_apart_from_the_terminal() {
    let sandbox = Sandbox::new(Flavor::Engine);
    let _lb = sandbox.serve();
    sandbox.up(&["-n", "1", "-H", "ssh://root@vch"]).success();
    for call in sandbox.calls() {
        let own = call.pgid != call.parent_pgid;
        assert_eq!(own, call.change.is_some(), "{call:?}");
    }
}
