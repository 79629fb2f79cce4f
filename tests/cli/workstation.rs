//! What the workstation does meanwhile: its terminal is closed, its disk is full, others write into the same directory.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use serde_json::json;

use super::sandbox::{Flavor, Sandbox, script_config};
use super::scene::{CONFIG, QUICK, on_both};

/// Runs `vch-lb WORDS` on a terminal that is closed once docker was called with `call`; the exit code.
fn on_a_terminal_that_closes(sandbox: &Sandbox, words: &str, call: &str) -> Option<String> {
    // The shell passes on that its terminal was closed, as shells do, and outlives it to tell the code.
    let shell = format!(
        "$tool {words} 2>/dev/tty >stdout & p=$!; trap \"kill -HUP $p\" HUP; wait $p; wait $p; echo $? >code; mv code ended"
    );
    let mut script = sandbox.on_terminal(80, &shell)?;
    let mut script = script.stdout(Stdio::null()).spawn().unwrap();
    sandbox.wait_for_call(call);
    // The terminal goes with the program that made it.
    script.kill().unwrap();
    script.wait().unwrap();
    let ended = sandbox.path("work").join("ended");
    sandbox.wait_until("the end", || ended.exists().then_some(()));
    Some(sandbox.read("ended").trim().to_owned())
}

#[test]
fn a_closed_terminal_undoes_what_was_done() {
    on_both(|flavor| {
        let quick = QUICK.join(" ");
        for (words, call) in [
            ("up", "run -d -p 80 --name web-3"),
            ("scale 4", "run -d -p 80 --name web-4"),
            ("rollout --force", "run -d -p 80 --name web-4"),
        ] {
            let sandbox = Sandbox::new(flavor);
            let _around = sandbox.serve();
            if words != "up" {
                sandbox.script_has_run(3);
            }
            let before = (sandbox.containers(), sandbox.networks());
            // Long enough for the bars to be drawn again and again on a terminal that has gone.
            sandbox.config(json!({"delays_ms": {"run": 700, "rm": 300}}));
            let code = on_a_terminal_that_closes(&sandbox, &format!("{words} {quick}"), call);
            let Some(code) = code else {
                return;
            };
            assert_eq!(code, "129", "{words}\n{}", sandbox.calls_text());
            assert_eq!(
                (sandbox.containers(), sandbox.networks()),
                before,
                "{words}"
            );
        }
    });
}

#[test]
fn an_answer_that_a_full_disk_takes_not_is_a_failure() {
    let sandbox = Sandbox::new(Flavor::Engine);
    sandbox.script_has_run(1);
    for arguments in [
        &["render"][..],
        &["settings"],
        &["settings", "--format", "json"],
        &["up", "-n", "2", "--dry-run"],
        &["up", "-n", "2", "--dry-run", "--exit-code"],
        &["man"],
        &["completions", "bash"],
        &["status"],
        &["logs"],
        &["--help"],
        &["help", "up"],
        &["--version"],
    ] {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut command = sandbox.std_command(arguments);
        let output = command.stdout(full).stdin(Stdio::null()).output().unwrap();
        let ran = sandbox.ran(arguments.join(" "), &output).code(1);
        ran.stderr_has("the answer could not be written to stdout: No space left on device");
        // A reader that has gone is none.
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = sandbox.std_command(arguments);
        let output = command
            .stdout(writer)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let ran = sandbox.ran(arguments.join(" "), &output);
        ran.stderr_lacks("could not be written")
            .stderr_lacks("panicked");
    }
}

#[test]
fn what_was_changed_is_done_whoever_is_told() {
    let sandbox = Sandbox::new(Flavor::Engine);
    let _around = sandbox.serve();
    let full = || OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = sandbox.std_command(&[&["up", "-n", "1"], &QUICK[..]].concat());
    let output = command.stdout(full()).stderr(full()).output().unwrap();
    sandbox.ran("up".to_owned(), &output).code(1);
    sandbox.assert_serves(1);
    let mut command = sandbox.std_command(&[&["scale", "2"], &QUICK[..]].concat());
    let output = command.stdout(full()).output().unwrap();
    sandbox
        .ran("scale".to_owned(), &output)
        .code(1)
        .stderr_has(
            "error: the answer could not be written to stdout: No space left on device\nwhat was asked for has been done, and \
             stands\n",
        );
    sandbox.assert_serves(2);
}

#[test]
fn each_of_two_services_that_are_deployed_from_one_directory_gets_its_own_file() {
    on_both(|flavor| {
        let sandbox = Sandbox::new(flavor);
        let _around = sandbox.serve();
        sandbox.rule(json!({"when": ["cp", "haproxy.cfg"], "hang": "go"}));
        let tool = sandbox.start(&[&["up", "-n", "1"], &QUICK[..]].concat());
        sandbox.wait_for_call("cp haproxy.cfg");
        // The other one writes its file between our writing and docker's reading.
        sandbox.write("haproxy.cfg", &script_config(7));
        sandbox.release("go");
        let ran = tool.finish().success();
        ran.stderr_has("the haproxy.cfg in lb is not the one that was written");
        sandbox.assert_serves(1);
    });
}

#[test]
fn a_file_that_is_not_for_everybody_stays_so_and_is_readable_in_the_load_balancer() {
    on_both(|flavor| {
        let sandbox = Sandbox::new(flavor);
        let _around = sandbox.serve();
        let path = sandbox.write("haproxy.cfg", "");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        sandbox.up(&["-n", "1"]).success();
        sandbox.up(&["-n", "2"]).success();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(sandbox.read("haproxy.cfg"), sandbox.default_config(2));
        assert_eq!(
            sandbox.file_in("lb", CONFIG),
            Some(sandbox.default_config(2))
        );
        let calls = sandbox.calls();
        let of_config = calls.iter().filter(|call| !call.keeps_history());
        let archives = of_config.flat_map(|call| &call.stdin_tar);
        let modes: Vec<_> = archives.map(|file| file["mode"].clone()).collect();
        assert_eq!(modes.len(), 2, "{}", sandbox.calls_text());
        assert!(modes.iter().all(|mode| mode == "0644"), "{modes:?}");
    });
}
