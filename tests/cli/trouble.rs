//! Trouble on the workstation itself: files, streams, surroundings; and trouble that passes, at the endpoint.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::process::Stdio;

use serde_json::json;

use super::sandbox::{FLAVORS, Flavor, Ran, Sandbox, script_config};
use super::scene::{ANSWER, run_call};

// Where haproxy.cfg is written.

/// Nothing was changed, and the message names the file.
#[track_caller]
fn assert_refused(sandbox: &Sandbox, ran: Ran, file: &str) {
    ran.code(2).stdout("").stderr_has(&format!(
        "error: `{file}` (--config-out) can't be written: "
    ));
    assert!(sandbox.changing_calls().is_empty());
}

#[test]
fn a_file_that_can_not_be_written_is_found_before_anything_is_changed() {
    let sandbox = Sandbox::new(Flavor::Engine);
    sandbox.write("file", "");
    fs::create_dir(sandbox.path("work/folder")).unwrap();
    for file in [
        "/proc/haproxy.cfg",
        "file/haproxy.cfg",
        "no/such/folder/haproxy.cfg",
        "folder",
        "/",
        "..",
        "",
    ] {
        let ran = sandbox.up(&["--config-out", file]);
        assert_refused(&sandbox, ran, file);
    }
}

#[test]
fn a_device_is_no_place_for_a_file() {
    // A socket stands for /dev/null and its like: whoever is root could replace those.
    let sandbox = Sandbox::new(Flavor::Engine);
    let _lb = sandbox.serve();
    let socket = sandbox.path("work/socket");
    let _listener = UnixListener::bind(&socket).unwrap();
    symlink("socket", sandbox.path("work/link")).unwrap();
    for file in ["socket", "link"] {
        let ran = sandbox.up(&["--config-out", file]);
        assert_refused(&sandbox, ran, file);
        assert!(!fs::metadata(&socket).unwrap().is_file(), "it was replaced");
    }
}

#[test]
fn a_folder_that_can_not_be_written_to_is_no_matter_for_what_writes_nothing() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        sandbox.script_has_run(2);
        let _lb = sandbox.serve();
        let at = |arguments: &[&str]| {
            sandbox.tool_with(arguments, |command| command.current_dir("/proc"))
        };
        at(&["status"]).success();
        at(&["up", "-n", "2"]).success().stderr_has("up to date");
        let ran = at(&["scale", "3"]);
        assert_refused(&sandbox, ran, "haproxy.cfg");
        at(&["down"]).success();
        assert!(sandbox.containers().is_empty());
    }
}

#[test]
fn haproxy_cfg_may_be_a_link_but_not_a_folder() {
    let sandbox = Sandbox::new(Flavor::Engine);
    fs::create_dir(sandbox.path("work/haproxy.cfg")).unwrap();
    let ran = sandbox.up(&[]);
    assert_refused(&sandbox, ran, "haproxy.cfg");
    for there in [true, false] {
        let sandbox = Sandbox::new(Flavor::Engine);
        let _lb = sandbox.serve();
        fs::create_dir(sandbox.path("work/etc")).unwrap();
        if there {
            sandbox.write("etc/real.cfg", &script_config(1));
        }
        symlink("etc/real.cfg", sandbox.path("work/haproxy.cfg")).unwrap();
        sandbox.up(&[]).success();
        assert_eq!(sandbox.read("etc/real.cfg"), script_config(3), "{there}");
        let link = fs::symlink_metadata(sandbox.path("work/haproxy.cfg")).unwrap();
        assert!(link.file_type().is_symlink(), "{there}");
        sandbox.assert_serves(3);
    }
}

#[test]
fn a_link_that_leads_nowhere_is_found_before() {
    let sandbox = Sandbox::new(Flavor::Engine);
    for target in ["no/such/folder/real.cfg", "haproxy.cfg"] {
        let link = sandbox.path("work/haproxy.cfg");
        let _ = fs::remove_file(&link);
        symlink(target, &link).unwrap();
        let ran = sandbox.up(&[]);
        assert_refused(&sandbox, ran, "haproxy.cfg");
    }
}

// Streams.

/// Runs the tool by a shell that closes, or redirects, streams.
fn in_shell(sandbox: &Sandbox, arguments: &[&str], redirect: &str) -> Ran {
    let tool = sandbox.command(arguments);
    let mut shell = assert_cmd::Command::new("/bin/sh");
    let script = format!("exec \"$0\" \"$@\" {redirect}");
    shell
        .args([OsStr::new("-c"), OsStr::new(&script), tool.get_program()])
        .args(tool.get_args())
        .env_clear()
        .envs(
            tool.get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .current_dir(tool.get_current_dir().unwrap());
    let output = shell.output().unwrap();
    sandbox.ran(
        format!("vch-lb {} {redirect}", arguments.join(" ")),
        &output,
    )
}

const DEPLOY: [&str; 5] = ["up", "-n", "2", "--wait", "2s"];

#[test]
fn closed_streams_do_not_stop_a_deployment() {
    for redirect in [
        ">&-",
        "2>&-",
        ">&- 2>&-",
        "<&-",
        "<&- >&- 2>&-",
        ">/dev/full",
        "2>/dev/full",
    ] {
        let sandbox = Sandbox::new(Flavor::Vch);
        let _lb = sandbox.serve();
        // An answer that can't be written is a failure, whatever was done.
        let code = i32::from(redirect == ">/dev/full");
        let ran = in_shell(&sandbox, &DEPLOY, redirect).code(code);
        if redirect == "2>&-" || redirect == "<&-" {
            assert_eq!(ran.stdout, ANSWER, "{ran}");
        }
        sandbox.assert_serves(2);
        in_shell(&sandbox, &["down"], redirect).code(0);
        assert!(sandbox.containers().is_empty(), "{redirect}");
    }
}

#[test]
fn with_closed_streams_failures_still_have_their_exit_codes() {
    let sandbox = Sandbox::new(Flavor::Engine);
    for (arguments, code) in [
        (&["up", "-n", "0"][..], 2),
        (&["up", "--no-such-flag"], 2),
        (&["status"], 3),
        (&["up", "--docker", "/no/such/docker"], 4),
        (&["--help"], 0),
        (&["--version"], 0),
        (&["render"], 0),
    ] {
        in_shell(&sandbox, arguments, ">&- 2>&-").code(code);
    }
}

#[test]
fn a_reader_who_has_gone_does_not_stop_a_deployment() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        let _lb = sandbox.serve();
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = sandbox.std_command(&DEPLOY);
        let status = command
            .stdin(Stdio::null())
            .stdout(writer.try_clone().unwrap())
            .stderr(writer)
            .status()
            .unwrap();
        assert_eq!(status.code(), Some(0));
        sandbox.assert_serves(2);
    }
}

// Surroundings.

#[test]
fn no_home_no_terminal_no_matter() {
    let sandbox = Sandbox::new(Flavor::Engine);
    let _lb = sandbox.serve();
    let ran = sandbox.tool_with(&DEPLOY, |command| {
        command.env_remove("HOME").env("TERM", "dumb")
    });
    let ran = ran.success().stdout(ANSWER);
    assert!(!ran.stderr.contains('\u{1b}'), "{ran}");
    let ran = sandbox.tool_with(&["status"], |command| {
        command.env_remove("HOME").env_remove("TERM")
    });
    assert!(!ran.success().stdout.contains('\u{1b}'));
}

#[test]
fn a_folder_that_was_removed_is_said() {
    let sandbox = Sandbox::new(Flavor::Engine);
    sandbox.write("docker-is-fine", "");
    let tool = sandbox.command(&["up"]);
    let mut shell = assert_cmd::Command::new("/bin/sh");
    fs::create_dir(sandbox.path("gone")).unwrap();
    let output = shell
        .args(["-c", "/bin/rmdir \"$PWD\" && exec \"$0\" up"])
        .arg(tool.get_program())
        .env_clear()
        .envs(
            tool.get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .current_dir(sandbox.path("gone"))
        .output()
        .unwrap();
    let ran = sandbox.ran("vch-lb up in a removed folder".into(), &output);
    assert!(matches!(ran.code, Some(1 | 2 | 4)), "{ran}");
    ran.stderr_has("error: ");
    assert!(sandbox.changing_calls().is_empty());
}

// What docker prints.

#[test]
fn too_much_output_fills_no_memory_and_is_said() {
    for (when, code) in [
        (json!(["info"]), 4),
        (json!(["ps"]), 4),
        (json!(["pull"]), 1),
    ] {
        let sandbox = Sandbox::new(Flavor::Engine);
        let before = sandbox.state();
        sandbox.rule(json!({"when": when, "stdout_bytes": 100_000_000}));
        let ran = sandbox.up(&["-n", "1", "--jobs", "1"]);
        if ran.code == Some(0) {
            // What a pull prints is not needed.
            assert_eq!(when[0], "pull", "{ran}");
            continue;
        }
        assert!(matches!(ran.code, Some(1 | 4)), "{code}: {ran}");
        ran.stderr_has("docker printed more than 16 MiB");
        sandbox.assert_state(&before, "");
    }
}

#[test]
fn words_that_are_not_utf_8_are_shown_as_far_as_they_go() {
    // `{"\xff` in place of an answer.
    for when in [json!(["info"]), json!(["ps"]), json!(["inspect"])] {
        let sandbox = Sandbox::new(Flavor::Vch);
        sandbox.script_has_run(1);
        let before = sandbox.state();
        sandbox.rule(json!({"when": when, "raw_stdout_hex": "7b22ff0a"}));
        let ran = sandbox.up(&["-n", "2"]);
        assert!(matches!(ran.code, Some(1 | 4)), "{ran}");
        ran.stderr_has("error: ").stderr_lacks("panicked");
        sandbox.assert_state(&before, "");
    }
    let sandbox = Sandbox::new(Flavor::Vch);
    sandbox.rule(json!({"when": ["run"], "raw_stdout_hex": "ff1b5b33316dfe0a"}));
    let ran = sandbox.up(&["-n", "1"]).code(4);
    assert!(!ran.stderr.contains('\u{1b}'), "{ran}");
    assert!(sandbox.containers().is_empty());
}

// Trouble that passes.

const BUSY: &str = "Error response from daemon: Server error from portlayer: invalid state from start guest program";
const IN_USE: &str = "Error response from daemon: Resource in use";
const REGISTRY: &str =
    "Error response from daemon: received unexpected HTTP status: 503 Service Unavailable";
const PORT: &str = "docker: Error response from daemon: driver failed programming external connectivity on endpoint \
    web-1 (0123): Bind for 0.0.0.0:32768 failed: port is already allocated.\n\
    See 'docker run --help'.";

/// So many calls failed and were said to be repeated.
#[track_caller]
fn assert_repeats(ran: &Ran, at_least: usize) {
    let repeats = ran.stderr.matches("; again in ").count();
    assert!(repeats >= at_least, "only {repeats} repeats\n{ran}");
}

#[test]
fn every_tenth_call_meets_a_conflict_and_everything_works() {
    // Every seventh too: so that short commands meet one.
    for every in [10, 7] {
        let sandbox = Sandbox::new(Flavor::Vch);
        sandbox.config(json!({
            "conflict_every": every, "truncate_cp": 1, "starting_inspects": 2,
        }));
        let _lb = sandbox.serve();
        let mut all = vec![sandbox.up(&["-n", "3", "--jobs", "1"]).success()];
        sandbox.assert_serves(3);
        sandbox.push_image("httpd");
        for arguments in [
            &["scale", "5"][..],
            &["scale", "2"],
            &["rollout", "--batch", "2"],
        ] {
            let quick = ["--settle", "100ms", "--drain", "100ms", "--jobs", "1"];
            all.push(sandbox.tool(&[arguments, &quick].concat()).success());
        }
        assert_eq!(sandbox.containers().len(), 3);
        all.push(sandbox.tool(&["down"]).success());
        assert!(sandbox.containers().is_empty() && sandbox.networks().is_empty());
        let said: usize = all
            .iter()
            .map(|ran| ran.stderr.matches("; again in ").count())
            .sum();
        assert!(said >= 2, "{all:?}");
    }
}

#[test]
fn a_rollout_that_fails_goes_back_through_conflicts() {
    let sandbox = Sandbox::new(Flavor::Vch);
    sandbox.script_has_run(2);
    sandbox.config(json!({
        "conflict_every": 4, "truncate_cp": 1,
        "images": {"httpd:bad": {"dies_after": 2}},
    }));
    let before = sandbox.state();
    let ran = sandbox.up(&["-n", "2", "--instance-img", "httpd:bad", "--jobs", "1"]);
    let ran = ran.code(1);
    assert_repeats(&ran, 1);
    sandbox.assert_state(&before, &ran.to_string());
}

#[test]
fn a_half_made_service_is_resumed_through_conflicts() {
    let sandbox = Sandbox::new(Flavor::Vch);
    let _lb = sandbox.serve();
    sandbox.rule(json!({"changing_call": 4, "before": false, "kill_parent": 9}));
    let ran = sandbox.up(&["-n", "3", "--jobs", "1"]);
    assert_eq!(ran.signal, Some(9), "{ran}");
    sandbox.wait_until("the end of all calls", || {
        let calls = sandbox.calls();
        calls
            .iter()
            .all(super::sandbox::Call::has_ended)
            .then_some(())
    });
    sandbox.config(json!({"conflict_every": 3}));
    let ran = sandbox.up(&["-n", "3", "--jobs", "1"]).success();
    assert_repeats(&ran, 1);
    sandbox.assert_serves(3);
}

#[test]
fn a_refused_hup_is_repeated() {
    for words in [BUSY, IN_USE] {
        let sandbox = Sandbox::new(Flavor::Vch);
        sandbox.script_has_run(1);
        let words_of_kill = format!("{words}\n");
        sandbox.rule(json!({"when": ["kill", "HUP"], "exit": 1, "stderr": words_of_kill}));
        let ran = sandbox.up(&["-n", "2"]).success();
        assert_repeats(&ran, 1);
        sandbox.assert_serves(2);
    }
}

#[test]
fn trouble_that_passes_is_waited_out_at_each_call() {
    for (flavor, when, words) in [
        (Flavor::Vch, json!(["network", "connect"]), IN_USE),
        (Flavor::Vch, json!(["start", "lb"]), IN_USE),
        (Flavor::Vch, json!(["cp"]), IN_USE),
        (Flavor::Vch, json!(["create"]), IN_USE),
        (Flavor::Vch, json!(["pull", "httpd"]), REGISTRY),
        (Flavor::Engine, json!(["pull", "haproxy:1.7"]), REGISTRY),
    ] {
        let sandbox = Sandbox::new(flavor);
        let _lb = sandbox.serve();
        sandbox.rule(json!({"when": when, "exit": 1, "stderr": words}));
        let ran = sandbox.up(&["-n", "1", "--jobs", "1"]).success();
        assert_repeats(&ran, 1);
        ran.stderr_has(words.rsplit(": ").next().unwrap_or_default());
        sandbox.assert_serves(1);
    }
}

#[test]
fn what_a_vch_wraps_up_is_said_first_and_docker_s_words_stay() {
    let sandbox = Sandbox::new(Flavor::Vch);
    let wrapped = |reason: &str| {
        format!(
            "Error response from daemon: Server error from portlayer: [PUT /containers/{{handle}}][500] commitDefault  \
             &{{Code:0 Message:{reason}}}"
        )
    };
    let (passing, lasting) = ("ConcurrentAccess: try again", "no room for it");
    for (nth, reason) in [(1, passing), (2, lasting)] {
        let words = wrapped(reason);
        sandbox.rule(json!({"when": ["create", "lb"], "nth": nth, "exit": 1, "stderr": words}));
    }
    let ran = sandbox.up(&["-n", "1", "--jobs", "1"]).code(1);
    ran.stderr_has(&format!("haproxy:1.7: {passing}; again in 0.5 s\n"))
        .stderr_has(&format!(
            "error: the load balancer `lb` was not created: {lasting}\n"
        ))
        .stderr_has(&format!("  | {}\n", wrapped(lasting)));
}

#[test]
fn a_run_is_repeated_only_after_a_look_and_never_leaves_two() {
    for (flavor, words) in [
        (Flavor::Engine, PORT),
        (Flavor::Vch, IN_USE),
        (Flavor::Vch, BUSY),
    ] {
        // The first attempt left nothing, or a container that does not run.
        for left in [false, true] {
            let sandbox = Sandbox::new(flavor);
            let _lb = sandbox.serve();
            let hang = if left { json!("go") } else { json!(null) };
            sandbox.rule(json!({
                "when": ["run", "web-1"], "hang": hang, "exit": 125, "stderr": words,
            }));
            let tool = sandbox.start(&["up", "-n", "1", "--jobs", "1", "--wait", "2s"]);
            if left {
                sandbox.wait_for_call("run -d -p 80 --name web-1");
                sandbox
                    .docker_line("create -p 80 --name web-1 --net web-net httpd")
                    .success();
                sandbox.release("go");
            }
            let ran = tool.finish().success();
            assert_repeats(&ran, 1);
            let said = words.lines().next().unwrap_or_default();
            ran.stderr_has(&format!("{said}; again in 0.5 s\n"));
            assert_looked(&sandbox);
            sandbox.assert_serves(1);
        }
    }
}

/// Between two attempts to run an instance lies a look at it.
#[track_caller]
fn assert_looked(sandbox: &Sandbox) {
    let calls = sandbox.calls();
    let runs: Vec<usize> = (0..calls.len())
        .filter(|&at| calls[at].words[0] == "run")
        .collect();
    assert!(runs.len() >= 2, "{}", sandbox.calls_text());
    for pair in runs.windows(2) {
        let between = &calls[pair[0]..pair[1]];
        let looked = between.iter().any(|call| {
            call.words[0] == "inspect" && call.words.last().is_some_and(|word| word == "web-1")
        });
        assert!(looked, "{}", sandbox.calls_text());
    }
}

#[test]
fn a_run_that_failed_but_runs_is_not_repeated() {
    // The container is there and runs: what docker says of it is not passed over.
    let sandbox = Sandbox::new(Flavor::Vch);
    let before = sandbox.state();
    sandbox.rule(json!({"when": ["run", "web-1"], "before": false, "exit": 125, "stderr": IN_USE}));
    let ran = sandbox.up(&["-n", "1", "--jobs", "1"]).code(1);
    ran.stderr_has(&run_call(1)).stderr_has("Resource in use");
    let runs = sandbox
        .calls()
        .iter()
        .filter(|call| call.words[0] == "run")
        .count();
    assert_eq!(runs, 1, "{}", sandbox.calls_text());
    sandbox.assert_state(&before, "");
}

#[test]
fn trouble_that_does_not_pass_fails_in_the_end() {
    let sandbox = Sandbox::new(Flavor::Vch);
    sandbox.script_has_run(1);
    let before = sandbox.state();
    // The fourth copy is the one that puts the old file back: it is looked after too.
    sandbox.config(json!({"truncate_cp": 4}));
    let ran = sandbox.up(&["-n", "2"]).code(1);
    ran.stderr_has("does not arrive whole");
    sandbox.assert_state(&before, "");
}

#[test]
fn going_back_meets_conflicts_too() {
    // The copy that puts the old file back, and the removal.
    let sandbox = Sandbox::new(Flavor::Vch);
    sandbox.script_has_run(1);
    let before = sandbox.state();
    sandbox.rule(json!({"when": ["exec", "lb", "haproxy"], "exit": 1, "stderr": "[ALERT] no"}));
    for when in [json!(["cp", "-", "lb:*"]), json!(["stop"]), json!(["rm"])] {
        sandbox.rule(json!({"when": when, "exit": 1, "stderr": IN_USE}));
    }
    let ran = sandbox.up(&["-n", "2"]).code(1);
    assert_repeats(&ran, 3);
    ran.stderr_has("what was done has been undone");
    sandbox.assert_state(&before, "");
}

/// Nobody can look what is there: what was made, or may have been, is told all the same.
#[test]
fn what_was_made_is_told_though_the_endpoint_has_gone_away() {
    for json in [false, true] {
        let sandbox = Sandbox::new(Flavor::Engine);
        let _lb = sandbox.serve();
        sandbox.script_has_run(1);
        sandbox.rule(json!({"when": ["run", "web-3"], "hang": "go"}));
        let words = ["scale", "3", "--jobs", "1", "--wait", "2s"];
        let more: &[&str] = if json { &["--format", "json"] } else { &[] };
        let tool = sandbox.start(&[&words[..], more].concat());
        sandbox.wait_for_call("run -d -p 80 --name web-3");
        let gone = "Cannot connect to the Docker daemon at tcp://x. Is the docker daemon running?";
        sandbox.config(json!({"unreachable": gone}));
        sandbox.release("go");
        let mut ran = tool.finish().code(4);
        for name in ["web-2", "web-3"] {
            let command = format!("docker rm -f -v {name}");
            if json {
                ran = ran.stderr_has(&format!("\"remove\": \"{command}\""));
            } else {
                ran = ran.stderr_has(&format!("  container `{name}` (to remove it: {command})\n"));
            }
        }
    }
}
