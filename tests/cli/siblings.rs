//! Instances of an edited script, whose arguments no label tells: a command that makes new ones says what those would lack.

use super::sandbox::{Flavor, Ran, Sandbox};
use super::scene::on_both;

const EDITS: &str =
    "-m 64m --cpus 0.5 -e TOKEN=geheim --restart always -v data:/data --cap-add NET_ADMIN";

/// What the script made, its `docker run` edited.
fn edited(flavor: Flavor, edits: &str) -> Sandbox {
    let sandbox = Sandbox::new(flavor);
    sandbox.script_has_run(2);
    for name in ["web-1", "web-2"] {
        sandbox.docker(&["rm", "-f", name]).success();
        let run = format!("run -d -p 80 --name {name} --net web-net {edits} httpd");
        sandbox.docker_line(&run).success();
    }
    sandbox.docker(&["kill", "-s", "HUP", "lb"]).success();
    sandbox.forget_calls();
    sandbox
}

#[track_caller]
fn warns(ran: Ran, told: &str) -> Ran {
    let ran = ran.stderr_has(&format!("warning: {told}"));
    assert_eq!(ran.stderr.matches("made with").count(), 1, "{}", ran.stderr);
    assert!(!ran.stderr.contains("geheim"), "{}", ran.stderr);
    ran
}

#[test]
fn what_new_instances_would_lack_is_said_by_whatever_makes_some() {
    let told = "`web-1` and `web-2` were made with `--memory 64m`, `--cpus 0.5`, `--restart always`, `--volume data:/data` \
                and `--cap-add NET_ADMIN`, and new instances are not: no label and no setting says it; `vch-lb up ";
    let args = "--memory 64m --cpus 0.5 --restart always --volume data:/data --cap-add NET_ADMIN";
    for command in [&["scale", "4"][..], &["up", "-n", "4"]] {
        for dry_run in [&["--dry-run"][..], &[]] {
            let sandbox = edited(Flavor::Engine, EDITS);
            let words = [&command[1..], dry_run].concat();
            let ran = sandbox.quick(command[0], &words).success();
            warns(ran, told).stderr_has(&format!(
                "--num-instances 4 --instance-args '{args}'` replaces all by instances with it\n"
            ));
        }
    }
    // Nothing is made.
    let sandbox = edited(Flavor::Engine, EDITS);
    for (command, words) in [("scale", "2"), ("scale", "1"), ("up", "--num-instances=1")] {
        let ran = sandbox.quick(command, &[words]).success();
        assert!(!ran.stderr.contains("made with"), "{}", ran.stderr);
    }
}

#[test]
fn what_is_suggested_gives_it_to_all_and_is_told_no_more() {
    let sandbox = edited(Flavor::Engine, "-m 512m --restart always -v data:/data");
    let _service = sandbox.listen("127.50.0.2", 80, 200);
    let status = sandbox.tool(&["status"]).success();
    status
        .stdout_has("which no label tells: new instances would not be\n  to replace all by instances with it: vch-lb up ")
        .stdout_has("healthy");
    let args = "--memory 512m --restart always --volume data:/data";
    let up = ["-n", "2", "--instance-args", args];
    let ran = sandbox.quick("up", &up).success();
    assert!(!ran.stderr.contains("made with"), "{}", ran.stderr);
    let status = sandbox.tool(&["status"]).success();
    assert!(!status.stdout.contains("made with"), "{}", status.stdout);
    let ran = sandbox.quick("scale", &["4"]).success();
    assert!(!ran.stderr.contains("made with"), "{}", ran.stderr);
}

#[test]
fn a_rollout_tells_variables_too_by_name() {
    for words in [&["--instance-img", "httpd:2"][..], &["--force"]] {
        let sandbox = edited(Flavor::Engine, "-e TOKEN=geheim -e X=1");
        let ran = sandbox.quick("rollout", words).success();
        let told = "`web-1` and `web-2` were made with `--env TOKEN` and `--env X`, and new instances are not";
        warns(ran, told).stderr_has("--instance-args '--env TOKEN=*** --env X=***'`");
    }
}

#[test]
fn of_a_vch_what_it_heeds() {
    let sandbox = edited(
        Flavor::Vch,
        "-m 1g --cpuset-cpus 1 --cpus 0.5 -e A=1 --restart always --privileged",
    );
    for (command, words, told) in [
        ("scale", "3", "`--memory 1024m` and `--cpuset-cpus 1`"),
        // The image is the instances' own.
        (
            "rollout",
            "--force",
            "`--memory 1024m`, `--cpuset-cpus 1` and `--env A`",
        ),
    ] {
        let ran = sandbox.quick(command, &[words]).success();
        ran.stderr_has(&format!("were made with {told}, and new instances are not"));
    }
}

#[test]
fn nothing_is_said_of_the_scripts_own() {
    on_both(|flavor| {
        let sandbox = Sandbox::new(flavor);
        sandbox.script_has_run(2);
        for (command, words) in [
            ("scale", "3"),
            ("rollout", "--force"),
            ("up", "--num-instances=4"),
        ] {
            let ran = sandbox.quick(command, &[words]).success();
            let said = format!("{}{}", ran.stdout, ran.stderr);
            assert!(!said.contains("made with"), "{said}");
        }
        let status = sandbox.tool(&["status"]);
        assert!(!status.stdout.contains("made with"), "{}", status.stdout);
    });
}
