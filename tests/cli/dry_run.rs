//! What `--dry-run` prints is what would run: a bash script that stands on its own.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::{Value, json};

use super::sandbox::{Flavor, Ran, Sandbox};
use super::scene::{ANSWER, on_both};

/// The calls of docker in a script that change something, as a shell would show them.
fn calls_in(script: &str) -> Vec<String> {
    let mut calls = Vec::new();
    let mut lines = script.lines();
    while let Some(line) = lines.next() {
        if let Some((_, end)) = line.split_once("<<'") {
            let end = end.trim_end_matches('\'');
            assert!(lines.any(|line| line == end), "the file has no end");
        }
        let Ok(words) = shell_words::split(line) else {
            panic!("bash would not understand {line}");
        };
        if words.first().is_some_and(|word| word == "docker") {
            let reads = ["inspect", "exec"].map(|word| words.contains(&word.to_owned()));
            if !reads.contains(&true) {
                calls.push(shell_words::join(words));
            }
        }
    }
    calls
}

fn bash() -> PathBuf {
    PathBuf::from("/bin/bash")
}

/// Runs a script with the fake as its docker.
fn run_script(sandbox: &Sandbox, script: &str, arguments: &[&str]) -> Output {
    let file = sandbox.path("script.sh");
    fs::write(&file, script).unwrap();
    let path = format!("{}:/usr/bin:/bin", sandbox.path("bin").display());
    Command::new(bash())
        .args(arguments)
        .arg(&file)
        .env_clear()
        .env("PATH", path)
        .env("FAKE_DOCKER_DIR", sandbox.path("docker"))
        .current_dir(sandbox.path("work"))
        .output()
        .unwrap()
}

/// What an endpoint holds, without what differs from run to run.
fn essence(sandbox: &Sandbox) -> Value {
    let mut state = sandbox.state();
    for container in state["containers"].as_object_mut().unwrap().values_mut() {
        container.as_object_mut().unwrap().remove("id");
        for network in container["networks"].as_object_mut().unwrap().values_mut() {
            *network = Value::Null;
        }
    }
    state
}

/// The plan's script, then the plan itself: the same calls. Printing changed nothing.
#[track_caller]
fn prints_what_it_does(sandbox: &Sandbox, arguments: &[&str]) -> Ran {
    let before = sandbox.state();
    let (printed, changes) =
        sandbox.changes_of(|| sandbox.up(&[arguments, &["--dry-run"]].concat()));
    let printed = printed.success().stderr("");
    assert!(changes.is_empty(), "{changes:?}");
    sandbox.assert_state(&before, "");
    assert!(printed.stdout.starts_with("#!/usr/bin/env bash\n"));
    assert!(printed.stdout.contains("\nset -euo pipefail\n"));
    let checked = run_script(sandbox, &printed.stdout, &["-n"]);
    assert!(checked.status.success(), "{checked:?}\n{printed}");
    let (ran, changes) = sandbox.changes_of(|| sandbox.up(&[arguments, &["--jobs", "1"]].concat()));
    ran.success();
    assert_eq!(calls_in(&printed.stdout), changes, "\n{printed}");
    printed
}

#[test]
fn the_script_is_what_is_done() {
    on_both(|flavor| {
        let sandbox = Sandbox::new(flavor);
        let _lb = sandbox.serve();
        // Fresh, and then from one state to the next.
        prints_what_it_does(&sandbox, &[]);
        let nothing = prints_what_it_does(&sandbox, &[]);
        assert!(calls_in(&nothing.stdout).is_empty());
        prints_what_it_does(&sandbox, &["-n", "5"]);
        prints_what_it_does(&sandbox, &["-n", "2"]);
        prints_what_it_does(&sandbox, &["-n", "2", "--instance-img", "nginx"]);
        sandbox.docker(&["stop", "lb"]).success();
        let instance = sandbox
            .containers()
            .into_iter()
            .find(|name| name.starts_with("web-"))
            .unwrap();
        sandbox.docker(&["stop", &instance]).success();
        prints_what_it_does(&sandbox, &["-n", "3", "--instance-img", "nginx"]);
    });
}

#[test]
fn the_script_for_a_half_made_service_is_what_is_done() {
    on_both(|flavor| {
        for half in [
            vec!["network create web-net"],
            vec![
                "network create web-net",
                "run -d -p 80 --name web-2 --net web-net httpd",
                "create --name lb --net routable haproxy:1.7",
            ],
        ] {
            let sandbox = Sandbox::new(flavor);
            let _lb = sandbox.serve();
            for line in half {
                sandbox.docker_line(line).success();
            }
            prints_what_it_does(&sandbox, &["-n", "2"]);
        }
    });
}

#[test]
fn bash_gets_to_where_up_gets() {
    on_both(|flavor| {
        for arguments in [
            vec!["--jobs", "1"],
            vec![
                "-n",
                "1",
                "--instance-img",
                "nginx:1.25",
                "--lb-img",
                "haproxy:2.6",
            ],
            vec!["-n", "2", "--server-address", "ip", "--jobs", "1"],
        ] {
            let by_up = Sandbox::new(flavor);
            let _lb = by_up.serve();
            by_up.up(&arguments).success();
            let by_bash = Sandbox::new(flavor);
            let script = by_bash
                .up(&[&arguments[..], &["--dry-run"]].concat())
                .success();
            let output = run_script(&by_bash, &script.stdout, &[]);
            assert!(output.status.success(), "{output:?}");
            let stdout = by_bash.shown(&String::from_utf8_lossy(&output.stdout));
            assert!(stdout.ends_with(ANSWER), "{stdout}");
            assert_eq!(essence(&by_bash), essence(&by_up));
            assert_eq!(by_bash.read("haproxy.cfg"), by_up.read("haproxy.cfg"));
            // And up has nothing to add.
            let (ran, changes) = by_bash.changes_of(|| by_bash.up(&arguments));
            ran.success().stderr_has("up to date");
            assert!(changes.is_empty(), "{changes:?}");
        }
    });
}

#[test]
fn strange_but_valid_values_survive_bash() {
    let digest = format!(
        "reg.example.com:5000/a-b/c__d/e.f:V_1.x-y@sha256:{}",
        "0f".repeat(32)
    );
    for config_out in [
        "my cfg.cfg",
        "it's $HOME `x`.cfg",
        "-x.cfg",
        "a:b.cfg",
        "{a,b}!.cfg",
    ] {
        let sandbox = Sandbox::new(Flavor::Engine);
        let subnet = sandbox.address("127.50.0.0/24");
        sandbox.config(json!({"networks": {"0_ext-1.2": {"subnet": subnet}}}));
        let _lb = sandbox.listen("127.50.0.2", 65535, 200);
        let out = format!("--config-out={config_out}");
        let arguments = [
            "-n",
            "2",
            "--instance-ctr-prefix",
            "9W_e.b-",
            "--lb-ctr-name",
            "L.b_-",
            "--external-net",
            "0_ext-1.2",
            "--instance-img",
            &digest,
            "--lb-port",
            "65535",
            "--instance-port",
            "1",
            &out,
        ];
        let printed = prints_what_it_does(&sandbox, &arguments);
        let written = sandbox.read(config_out);
        let empty = Sandbox::new(Flavor::Engine);
        let subnet = empty.address("127.50.0.0/24");
        empty.config(json!({"networks": {"0_ext-1.2": {"subnet": subnet}}}));
        let output = run_script(&empty, &printed.stdout, &[]);
        assert!(output.status.success(), "{output:?}\n{printed}");
        assert_eq!(empty.read(config_out), written);
        assert_eq!(essence(&empty), essence(&sandbox));
    }
}

#[test]
fn the_scripts_docker_is_the_one_that_was_named() {
    let sandbox = Sandbox::new(Flavor::Vch);
    let docker = sandbox.path("bin/docker");
    let script = sandbox
        .up(&[
            "--dry-run",
            "--docker",
            docker.to_str().unwrap(),
            "--context",
            "my vch",
        ])
        .success();
    assert!(
        script
            .stdout
            .contains("$SANDBOX/bin/docker --context 'my vch' pull httpd\n"),
        "{script}"
    );
}

#[test]
fn the_exit_code_tells_whether_there_is_something_to_do() {
    on_both(|flavor| {
        let sandbox = Sandbox::new(flavor);
        sandbox.up(&["--dry-run"]).code(0);
        sandbox.up(&["--dry-run", "--exit-code"]).code(3);
        sandbox.script_has_run(3);
        sandbox.up(&["--dry-run", "--exit-code"]).code(0);
        sandbox.docker(&["stop", "web-1"]).success();
        sandbox
            .up(&["--dry-run", "--exit-code"])
            .code(3)
            .stdout_has("# `web-1`: to be started again\n");
    });
}

#[test]
fn a_file_that_is_not_for_everybody_stays_so_and_goes_in_as_an_archive() {
    use std::os::unix::fs::PermissionsExt;
    on_both(|flavor| {
        let sandbox = Sandbox::new(flavor);
        let _lb = sandbox.serve();
        sandbox.script_has_run(2);
        let file = sandbox.path("work/haproxy.cfg");
        fs::write(&file, "").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        let printed = sandbox.quick("scale", &["1", "--dry-run"]).success().stdout;
        assert!(
            !printed.contains("chmod") && !printed.contains("docker cp haproxy.cfg"),
            "{printed}"
        );
        let ran = run_script(&sandbox, &printed, &[]);
        assert!(ran.status.success(), "{ran:?}");
        let mode = fs::metadata(&file).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
        assert_eq!(
            sandbox.loaded_names("lb"),
            Some(super::sandbox::script_config(1))
        );
        // What runs is the same.
        let (_, changes) = sandbox.changes_of(|| sandbox.quick("scale", &["2"]).success());
        assert!(
            changes.contains(&"docker cp - lb:/usr/local/etc/haproxy".to_owned()),
            "{changes:?}"
        );
    });
}
