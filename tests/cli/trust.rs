//! What others on the endpoint write: it makes docker read nothing on this workstation. And what the admin's own arguments
//! bring in belongs to what is compared.

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
