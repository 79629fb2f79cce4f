//! What can't be wanted is refused before docker is called at all; what can't be done, before anything is changed.

use std::fs;

use serde_json::json;

use super::sandbox::{FLAVORS, Flavor, Sandbox};
use super::scene::{run_call, tool_calls};

/// A refusal of the command line: exit code 2, nothing on stdout, docker never called.
#[track_caller]
fn refused(arguments: &[&str], environment: &[(&str, &str)], stderr: &str) {
    let sandbox = Sandbox::new(Flavor::Engine);
    sandbox
        .tool_with(arguments, |command| {
            command.envs(environment.iter().copied())
        })
        .code(2)
        .stdout("")
        .stderr_has(stderr);
    assert!(sandbox.calls().is_empty());
    assert!(!sandbox.path("work/haproxy.cfg").exists());
}

#[test]
fn a_refusal_names_setting_value_and_source() {
    let count = "the number of instances is a whole number from 1 to 10000\n";
    let port = "a port is a whole number from 1 to 65535\n";
    for (arguments, environment, stderr) in [
        (
            vec!["up", "--lb-port", "80x"],
            vec![],
            format!("error: LB_PORT is `80x` (--lb-port): {port}"),
        ),
        (
            vec!["up"],
            vec![("LB_PORT", "80x")],
            format!("error: LB_PORT is `80x` (environment variable LB_PORT): {port}"),
        ),
        (
            vec!["-n", "10001"],
            vec![],
            format!("error: NUM_INSTANCES is `10001` (--num-instances): {count}"),
        ),
        (
            vec![],
            vec![("NUM_INSTANCES", "-3")],
            format!("error: NUM_INSTANCES is `-3` (environment variable NUM_INSTANCES): {count}"),
        ),
        (
            vec!["--num-instances=-3"],
            vec![],
            format!("error: NUM_INSTANCES is `-3` (--num-instances): {count}"),
        ),
        (
            vec!["-n", "0"],
            vec![],
            "error: NUM_INSTANCES is `0` (--num-instances): a service has at least one instance; `down` takes it down\n"
                .into(),
        ),
        (
            vec!["render", "--instance-port", "65536"],
            vec![],
            format!("error: INSTANCE_PORT is `65536` (--instance-port): {port}"),
        ),
        (
            vec!["--lb-ctr-name", "web-2"],
            vec![],
            "error: LB_CTR_NAME is `web-2` (--lb-ctr-name): with INSTANCE_CTR_PREFIX `web` this is an instance's name\n".into(),
        ),
        (
            vec![],
            vec![("EXTERNAL_NET", "web-net")],
            "error: EXTERNAL_NET is `web-net` (environment variable EXTERNAL_NET): this is the name of the instances' own network\n"
                .into(),
        ),
    ] {
        let sandbox = Sandbox::new(Flavor::Engine);
        sandbox
            .tool_with(&arguments, |command| command.envs(environment))
            .code(2)
            .stdout("")
            .stderr(&stderr);
        assert!(sandbox.calls().is_empty());
    }
}

#[cfg(unix)]
#[test]
fn a_value_that_is_not_utf_8_is_refused_by_name() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let value = OsStr::from_bytes(b"w\xff");
    let sandbox = Sandbox::new(Flavor::Engine);
    sandbox
        .tool_with(&["up"], |command| command.env("INSTANCE_CTR_PREFIX", value))
        .code(2)
        .stdout("")
        .stderr("error: INSTANCE_CTR_PREFIX is `w\u{fffd}` (environment variable INSTANCE_CTR_PREFIX): it is not UTF-8\n");
    sandbox
        .tool_with(&["up"], |command| command.arg("--lb-img").arg(value))
        .code(2)
        .stdout("")
        .stderr_has("LB_IMG is `w\u{fffd}` (--lb-img): it is not UTF-8");
    // What is no setting is nobody's business.
    sandbox
        .tool_with(&["settings"], |command| command.env("OTHER", value))
        .success();
    assert!(sandbox.calls().is_empty());
}

#[test]
fn what_one_container_can_have_is_refused_for_several() {
    refused(
        &["up", "--instance-args=-p 9090:9090"],
        &[],
        "INSTANCE_ARGS is `-p 9090:9090` (--instance-args): `-p 9090:9090` gives the port 9090 of the endpoint to one \
         instance, and there are to be 3",
    );
    // One that runs with it, as its label tells.
    let sandbox = Sandbox::new(Flavor::Engine);
    sandbox.script_has_run(1);
    sandbox.docker(&["rm", "-f", "web-1"]).success();
    let run = "run -d -p 80 --name web-1 --net web-net -p 9090:9090 --label";
    let label = "vch-lb=1 -p 9090:9090 --";
    let run: Vec<&str> = run.split(' ').chain([label, "httpd"]).collect();
    sandbox.docker(&run).success();
    sandbox.tool(&["scale", "2"]).code(1).stderr_has(
        "INSTANCE_ARGS: `-p 9090:9090` gives the port 9090 of the endpoint to one instance",
    );
    sandbox
        .tool(&["rollout", "--force"])
        .code(1)
        .stderr_has("beside `web-1`")
        .stderr_has("--stop-first");
    assert_eq!(sandbox.containers(), ["lb", "web-1"]);
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let sandbox = Sandbox::new(Flavor::Vch);
    sandbox
        .tool_with(&["up", "--lb-port", "0", "--lb-img", "UPPER"], |command| {
            command
                .env("INSTANCE_CTR_PREFIX", "-x")
                .env("INSTANCE_IMG", "a b")
                .env("EXTERNAL_NET", "host")
        })
        .code(2)
        .stderr_has("INSTANCE_CTR_PREFIX is `-x` (environment variable INSTANCE_CTR_PREFIX)")
        .stderr_has("INSTANCE_IMG is `a b` (environment variable INSTANCE_IMG)")
        .stderr_has("LB_PORT is `0` (--lb-port)")
        .stderr_has("LB_IMG is `UPPER` (--lb-img)")
        .stderr_has("EXTERNAL_NET is `host` (environment variable EXTERNAL_NET)");
    assert!(sandbox.calls().is_empty());
}

#[test]
fn nothing_that_could_be_an_option_or_break_a_line_gets_through() {
    let long = "w".repeat(60);
    let almost = "w".repeat(59);
    let settings = [
        "INSTANCE_IMG",
        "NUM_INSTANCES",
        "INSTANCE_PORT",
        "LB_PORT",
        "INSTANCE_CTR_PREFIX",
        "LB_CTR_NAME",
        "EXTERNAL_NET",
        "LB_IMG",
    ];
    let bad = [
        "-x",
        "--privileged",
        "--volume=/:/host",
        "a b",
        " a",
        "a\n\tserver evil 10.0.0.1:80",
        "80\n",
        "a\tb",
        "a\rb",
        "$(reboot)",
        "`reboot`",
        "a;b",
        "a'b",
        "a\"b",
        "a#b",
        "a\\b",
        "\u{1b}[2J",
        "ümlaut",
    ];
    for setting in settings {
        let flag = format!("--{}", setting.to_ascii_lowercase().replace('_', "-"));
        let sandbox = Sandbox::new(Flavor::Engine);
        for value in bad {
            let says = format!("{setting} is `");
            let by_flag = sandbox.tool(&["up", &flag, value]).code(2).stdout("");
            by_flag.stderr_has(&says).stderr_has(&format!("({flag})"));
            let by_environment = sandbox
                .tool_with(&["up"], |command| command.env(setting, value))
                .code(2);
            by_environment
                .stderr_has(&says)
                .stderr_has(&format!("(environment variable {setting})"))
                .stderr_lacks("\u{1b}");
        }
        // An empty flag is no unset variable.
        sandbox.tool(&["up", &flag, ""]).code(2);
        assert!(sandbox.calls().is_empty());
    }
    for (arguments, why) in [
        (vec!["--instance-ctr-prefix", &long], "63 characters"),
        (
            vec!["--instance-ctr-prefix", &almost, "-n", "10000"],
            "but DNS, by which the load balancer finds instances, ends at 63",
        ),
        (vec!["--lb-ctr-name", "l"], "at least two characters"),
    ] {
        refused(&arguments, &[], why);
    }
}

#[test]
fn a_command_line_that_is_not_understood_is_refused() {
    for (arguments, stderr) in [
        (vec!["up", "--bogus"], "unexpected argument '--bogus'"),
        (vec!["frobnicate"], "unrecognized subcommand 'frobnicate'"),
        (vec!["--dry-run", "up"], "vch-lb up --dry-run"),
        (
            vec!["--keep", "render"],
            "--keep belongs behind the subcommand",
        ),
        (vec!["up", "--exit-code"], "--dry-run"),
        (vec!["up", "--jobs", "0"], "--jobs"),
        (vec!["up", "--jobs", "65"], "--jobs"),
        (vec!["up", "--wait", "soon"], "--wait"),
        (vec!["up", "--wait", "-1s"], ""),
        (vec!["up", "--timeout", "25h"], "at most a day"),
        (vec!["up", "--pull", "sometimes"], "--pull"),
        (vec!["up", "--format", "xml"], "--format"),
        (vec!["up", "-H", "--debug"], ""),
        (vec!["up", "--host="], "it is empty or begins with a dash"),
        (
            vec!["up", "--context=-x"],
            "it is empty or begins with a dash",
        ),
        (
            vec!["up", "-H", "a", "--context", "b"],
            "cannot be used with",
        ),
        (vec!["up", "surplus"], "unexpected argument 'surplus'"),
        (vec!["up", "--lb-port"], "a value is required"),
    ] {
        refused(&arguments, &[], stderr);
    }
}

#[test]
fn a_configuration_that_cannot_be_written_is_found_out_first() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        sandbox
            .tool(&["up", "--config-out", "."])
            .code(2)
            .stderr_has("`.` (--config-out) can't be written: it is a directory");
        fs::create_dir(sandbox.path("work/haproxy.cfg")).unwrap();
        sandbox
            .tool(&["up"])
            .code(2)
            .stderr_has("`haproxy.cfg` (--config-out) can't be written: it is a directory");
        sandbox
            .tool(&["up", "--config-out", "no/such/folder.cfg"])
            .code(2)
            .stderr_has("`no/such/folder.cfg` (--config-out) can't be written: ")
            .stderr_has("hint: name a file elsewhere with --config-out");
        sandbox
            .tool(&["up", "--config-out", ""])
            .code(2)
            .stderr_has("--config-out");
        assert!(sandbox.changing_calls().is_empty());
        assert!(sandbox.containers().is_empty());
        // It is not written where nothing has to be copied.
        sandbox.script_has_run(3);
        sandbox.tool(&["up"]).success();
    }
}

#[test]
fn an_external_network_that_is_missing_is_told_with_those_that_are_there() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        sandbox.config(json!({"networks": {"routable": null, "dmz": {}, "lab-2": {}}}));
        let ran = sandbox.up(&[]).code(1).stdout("");
        ran.stderr_has("error: there is no network `routable` (EXTERNAL_NET) on this endpoint\n")
            .stderr_has(match flavor {
                Flavor::Engine => {
                    "hint: `vch-lb up --external-net bridge --publish-lb always` serves on port 80 of the endpoint's host; "
                }
                Flavor::Vch => "hint: set EXTERNAL_NET to a container network of this VCH (`dmz` and `lab-2`): \
                                `vch-lb up --external-net dmz",
            })
            .stderr_has("`dmz`")
            .stderr_has("`lab-2`");
        sandbox.up(&["--dry-run"]).code(1).stdout("");
        assert!(sandbox.changing_calls().is_empty());
    }
}

#[test]
fn names_that_others_have_are_refused() {
    for flavor in FLAVORS {
        for (name, setting) in [("lb", "LB_CTR_NAME"), ("web-2", "INSTANCE_CTR_PREFIX")] {
            let sandbox = Sandbox::new(flavor);
            let run = ["run", "-d", "--name", name, "postgres"];
            sandbox.docker(&["pull", "postgres"]).success();
            sandbox.docker(&run).success();
            let before = sandbox.state();
            sandbox.forget_calls();
            sandbox
                .up(&[])
                .code(1)
                .stdout("")
                .stderr_has(&format!(
                    "error: a container called `{name}` is there and does not belong to this service: it was made from \
                     `postgres`, and it is on `bridge`, not on `web-net`\n"
                ))
                .stderr_has(&format!("hint: choose another {setting}, or remove that container\n"));
            assert!(sandbox.changing_calls().is_empty());
            sandbox.assert_state(&before, "");
        }
    }
}

#[test]
fn a_foreign_container_beyond_the_count_is_nobodys_business() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        let _lb = sandbox.serve();
        for name in ["web-9", "web-01", "my-web-1", "lb2"] {
            let run = ["run", "-d", "--name", name, "postgres"];
            sandbox.docker(&run).success();
        }
        sandbox.forget_calls();
        sandbox.up(&["--jobs", "1"]).success();
        assert_eq!(sandbox.changing_calls(), tool_calls(sandbox.flavor(), 3));
        for name in ["web-9", "web-01", "my-web-1", "lb2"] {
            assert_eq!(sandbox.container(name)["status"], "running");
        }
        // It is in the way only once its number is wanted, and then it is refused.
        let (refused, changes) = sandbox.changes_of(|| sandbox.up(&["-n", "9"]));
        refused.code(1).stderr_has("`web-9`");
        assert!(changes.is_empty());
        let (_, changes) = sandbox.changes_of(|| sandbox.up(&["-n", "4"]).success());
        assert_eq!(changes[0], run_call(4));
    }
}

#[test]
fn a_file_of_somebody_elses_is_not_replaced_unasked() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        let _served = sandbox.serve();
        let foreign = "listen shop\n\tbind 10.0.0.1:443\n";
        fs::write(sandbox.path("work/haproxy.cfg"), foreign).unwrap();
        sandbox
            .up(&[])
            .code(1)
            .stderr_has("error: `haproxy.cfg` is there already, and is no haproxy.cfg of vch-lb's or the script's\n")
            .stderr_has("hint: --config-out PATH writes elsewhere, --overwrite replaces it\n");
        assert_eq!(sandbox.changing_calls(), Vec::<String>::new());
        assert_eq!(sandbox.read("haproxy.cfg"), foreign);
        let replaces = "warning: the script replaces `haproxy.cfg`, which is no haproxy.cfg of vch-lb's or the script's\n";
        sandbox.up(&["--dry-run"]).success().stderr_has(replaces);
        for fine in ["--overwrite", "--config-out=other.cfg"] {
            let ran = sandbox.up(&["--dry-run", fine]);
            ran.success().stderr_lacks("replaces");
        }
        sandbox.up(&["--config-out", "other.cfg"]).success();
        assert_eq!(sandbox.read("haproxy.cfg"), foreign);
        sandbox.up(&["-n", "4", "--overwrite"]).success();
        // From here on it is ours.
        sandbox.up(&["-n", "5"]).success();
    }
}
