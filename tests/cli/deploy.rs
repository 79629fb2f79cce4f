//! A service that is not there yet, and one that is complete.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use serde_json::json;

use super::sandbox::{Call, Flavor, Sandbox, script_config};
use super::scene::{ANSWER, CONFIG, QUICK, on_both, run_call, settings_line, tool_calls};

const GOLDEN: &str = include_str!("../golden/default.cfg");

#[test]
fn one_by_one_the_calls_are_the_scripts() {
    on_both(|flavor| {
        let sandbox = Sandbox::new(flavor);
        let _lb = sandbox.serve();
        sandbox.up(&["--jobs", "1"]).success().stdout(ANSWER);
        assert_eq!(sandbox.changing_calls(), tool_calls(sandbox.flavor(), 3));
        let calls = sandbox.calls();
        let looks = calls.iter().take_while(|call| call.change.is_none());
        assert!(looks.count() <= 4, "{}", sandbox.calls_text());
        let changes = calls.iter().filter(|call| call.change.is_some());
        let changes: Vec<_> = changes.collect();
        assert!(changes.windows(2).all(|pair| pair[0].before(pair[1])));
        if flavor == Flavor::Engine {
            assert_eq!(sandbox.default_config(3), GOLDEN);
        }
        assert_eq!(sandbox.read("haproxy.cfg"), sandbox.default_config(3));
        sandbox.assert_serves(3);
    });
}

#[test]
fn no_subcommand_is_up() {
    let sandbox = Sandbox::new(Flavor::Vch);
    let _lb = sandbox.serve();
    sandbox.tool(&["--jobs", "1"]).success().stdout(ANSWER);
    assert_eq!(sandbox.changing_calls(), tool_calls(sandbox.flavor(), 3));
}

#[test]
fn side_by_side_the_calls_are_the_same_and_wait_for_each_other() {
    on_both(|flavor| {
        let sandbox = Sandbox::new(flavor);
        // The first instance goes on once the second one is under way.
        sandbox.rule(json!({"when": ["run", "web-1"], "hang": "go"}));
        let _lb = sandbox.serve();
        let tool = sandbox.start(&["up", "-n", "5"]);
        sandbox.wait_for_call("run -d -p 80 --name web-2");
        sandbox.release("go");
        tool.finish().success().stdout(ANSWER);
        let set = |calls: Vec<String>| calls.into_iter().collect::<BTreeSet<_>>();
        assert_eq!(
            sandbox.changing_calls().len(),
            tool_calls(sandbox.flavor(), 5).len()
        );
        assert_eq!(
            set(sandbox.changing_calls()),
            set(tool_calls(sandbox.flavor(), 5))
        );
        let calls = sandbox.calls();
        let call = |start: &str| {
            let found = calls
                .iter()
                .find(|call| call.line().starts_with(start) && call.change.is_some());
            found.unwrap_or_else(|| panic!("{start}"))
        };
        for number in 1..=5 {
            let run = call(&run_call(number));
            assert!(call("docker pull httpd").before(run));
            assert!(call("docker network create").before(run));
            assert!(run.before(call("docker start lb")));
        }
        assert!(call("docker pull haproxy").before(call("docker create")));
        assert!(call("docker create").before(call("docker network connect")));
        assert!(call("docker network create").before(call("docker network connect")));
        assert!(call("docker network connect").before(call("docker cp")));
        assert!(call("docker cp").before(call("docker start lb")));
        let most = calls
            .iter()
            .filter(|call| call.change.is_some())
            .map(|call| {
                // Started before and not ended when this one started.
                let beside = |other: &&Call| {
                    other.change.is_some() && other.seq <= call.seq && other.overlaps(call)
                };
                calls.iter().filter(beside).count()
            })
            .max();
        assert!(most.unwrap() <= 4, "{}", sandbox.calls_text());
        sandbox.assert_serves(5);
    });
}

#[test]
fn the_file_is_readable_by_all_whatever_the_umask() {
    let sandbox = Sandbox::new(Flavor::Engine);
    let _lb = sandbox.serve();
    let output = std::process::Command::new("/bin/sh")
        .args(["-c", "umask 077; exec \"$0\" up --config-out out.cfg"])
        .arg(env!("CARGO_BIN_EXE_vch-lb"))
        .env_clear()
        .env("PATH", sandbox.path("bin"))
        .env("FAKE_DOCKER_DIR", sandbox.path("docker"))
        .current_dir(sandbox.path("work"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let mode = fs::metadata(sandbox.path("work/out.cfg")).unwrap();
    assert_eq!(mode.permissions().mode() & 0o777, 0o644);
    assert_eq!(sandbox.read("out.cfg"), GOLDEN);
    assert_eq!(sandbox.file_in("lb", CONFIG).as_deref(), Some(GOLDEN));
    assert!(
        sandbox
            .changing_calls()
            .contains(&format!("docker cp out.cfg lb:{CONFIG}"))
    );
}

/// The seven variables, none of them at its default.
const OTHERS: [(&str, &str, &str); 7] = [
    (
        "--instance-img",
        "INSTANCE_IMG",
        "registry.example.com:5000/team/app:v2",
    ),
    ("--num-instances", "NUM_INSTANCES", "2"),
    ("--instance-port", "INSTANCE_PORT", "8080"),
    ("--lb-port", "LB_PORT", "8443"),
    ("--instance-ctr-prefix", "INSTANCE_CTR_PREFIX", "my.app_x"),
    ("--lb-ctr-name", "LB_CTR_NAME", "front-1"),
    ("--external-net", "EXTERNAL_NET", "dmz-10.v2"),
];

#[test]
fn the_seven_variables_by_flag_by_environment_and_mixed() {
    for (flavor, by_flag) in [
        (Flavor::Engine, 0b111_1111_u8),
        (Flavor::Vch, 0),
        (Flavor::Engine, 0b101_0101),
        (Flavor::Vch, 0b010_1010),
    ] {
        let sandbox = Sandbox::new(flavor);
        let subnet = sandbox.address("127.50.0.0/24");
        sandbox.config(json!({"networks": {"dmz-10.v2": {"subnet": subnet}, "routable": null}}));
        let _lb = sandbox.listen("127.50.0.2", 8443, 200);
        let mut arguments = vec!["up", "--jobs", "1"];
        arguments.extend(QUICK);
        let mut environment = Vec::new();
        for (index, (flag, name, value)) in OTHERS.iter().enumerate() {
            if by_flag & (1 << index) == 0 {
                environment.push((*name, *value));
            } else {
                arguments.extend([*flag, *value]);
                // The flag wins.
                environment.push((*name, "-not-looked-at"));
            }
        }
        sandbox
            .tool_with(&arguments, |command| command.envs(environment.clone()))
            .success()
            .stdout("\nService is available at\n127.50.0.2\non port 8443\n");
        let image = "registry.example.com:5000/team/app:v2";
        let publish = if sandbox.is_vch() {
            "-p 8443:8443 "
        } else {
            ""
        };
        let run = |number| {
            format!("docker run -d -p 8080 --name my.app_x-{number} --net my.app_x-net {image}")
        };
        assert_eq!(
            sandbox.changing_calls(),
            [
                format!("docker pull {image}"),
                "docker pull haproxy:1.7".into(),
                "docker network create my.app_x-net".into(),
                run(1),
                run(2),
                format!("docker create --name front-1 --net dmz-10.v2 {publish}haproxy:1.7"),
                "docker network connect my.app_x-net front-1".into(),
                format!("docker cp haproxy.cfg front-1:{CONFIG}"),
                "docker start front-1".into(),
            ]
        );
        let expected = script_config(2)
            .replace("*:80", "*:8443")
            .replace("web-", "my.app_x-")
            .replace(":80 ", ":8080 ");
        let expected = if sandbox.is_vch() {
            sandbox.by_address(&expected, "my.app_x-net")
        } else {
            expected
        };
        assert_eq!(sandbox.read("haproxy.cfg"), expected);
        assert_eq!(sandbox.loaded_config("front-1"), Some(expected));
        // And again: nothing to do, found by the same settings.
        let (again, changes) = sandbox
            .changes_of(|| sandbox.tool_with(&arguments, |command| command.envs(environment)));
        again.success().stderr_has("up to date");
        assert!(changes.is_empty(), "{changes:?}");
    }
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    let sandbox = Sandbox::new(Flavor::Engine);
    let _lb = sandbox.serve();
    sandbox
        .tool_with(&["--jobs", "1"], |command| {
            command.env("INSTANCE_IMG", "").env("LB_PORT", "")
        })
        .success();
    assert_eq!(sandbox.changing_calls(), tool_calls(sandbox.flavor(), 3));
}

#[test]
fn a_complete_service_is_left_alone() {
    on_both(|flavor| {
        let sandbox = Sandbox::new(flavor);
        sandbox.script_has_run(3);
        let _lb = sandbox.serve();
        let before = sandbox.state();
        let again = sandbox.up(&[]).success().stdout(ANSWER);
        again.stderr("up to date: 3 instances behind `lb`, nothing to do\n");
        assert!(sandbox.changing_calls().is_empty());
        sandbox.assert_state(&before, "");
        assert!(!sandbox.path("work/haproxy.cfg").exists());
    });
}

#[test]
fn quiet_says_nothing_and_verbose_each_call() {
    let sandbox = Sandbox::new(Flavor::Vch);
    let _lb = sandbox.serve();
    sandbox.up(&["-q"]).success().stdout(ANSWER).stderr("");
    sandbox.up(&["-q"]).success().stdout(ANSWER).stderr("");
    let other = Sandbox::new(Flavor::Engine);
    let _lb = other.serve();
    let verbose = other.up(&["-v"]).success();
    let lines = verbose.stderr.lines();
    let lines: Vec<&str> = lines
        .filter_map(|line| line.strip_prefix("+ docker "))
        .collect();
    let mut echoed: Vec<Vec<String>> = lines
        .iter()
        .map(|line| {
            // The middle of one that is repeated is left out.
            let whole = line.split_once("..").and_then(|(head, tail)| {
                let mut lines = lines.iter();
                lines.find(|it| it.starts_with(head) && it.ends_with(tail))
            });
            shell_words::split(whole.unwrap_or(line)).unwrap()
        })
        .collect();
    let mut called: Vec<Vec<String>> = other.calls().into_iter().map(|call| call.argv).collect();
    echoed.sort();
    called.sort();
    assert_eq!(echoed, called);
}

#[test]
fn json_documents_parse() {
    on_both(|flavor| {
        let sandbox = Sandbox::new(flavor);
        let _lb = sandbox.serve();
        let plan = sandbox
            .up(&["--format", "json", "--dry-run"])
            .success()
            .json();
        assert_eq!(
            (&plan["schema"], &plan["changes"]),
            (&json!("vch-lb/plan/1"), &json!(true))
        );
        assert_eq!(plan["steps"].as_array().unwrap().len(), 11);
        let first = sandbox.up(&["--format", "json"]).success().json();
        assert_eq!(first["schema"], "vch-lb/up/1");
        assert_eq!(first["changed"], true);
        assert_eq!(
            sandbox.shown(first["address"].as_str().unwrap()),
            "127.50.0.2"
        );
        assert_eq!(
            (&first["port"], &first["answered"]),
            (&json!(80), &json!(true))
        );
        assert_eq!(first["steps"].as_array().unwrap().len(), 11);
        let second = sandbox.up(&["--format", "json"]).success().json();
        assert_eq!(second["changed"], false);
        assert_eq!(second["steps"], json!([]));
        let plan = sandbox
            .up(&["--format", "json", "--dry-run", "--exit-code"])
            .success()
            .json();
        assert_eq!(plan["changes"], false);

        let failed = sandbox.up(&["--format", "json", "--external-net", "nope"]);
        let failed = failed.code(1).stdout("");
        let error: serde_json::Value = serde_json::from_str(&failed.stderr).unwrap();
        assert_eq!(
            (&error["schema"], &error["exit_code"]),
            (&json!("vch-lb/error/1"), &json!(1))
        );
    });
}

#[test]
fn render_touches_nothing() {
    let sandbox = Sandbox::new(Flavor::Engine);
    sandbox
        .tool(&["render"])
        .success()
        .stdout(GOLDEN)
        .stderr("");
    let document = sandbox
        .tool(&["render", "--format", "json"])
        .success()
        .json();
    assert_eq!(document["haproxy_cfg"], GOLDEN);
    sandbox
        .tool(&["render", "-n", "1", "--docker", "/nowhere"])
        .success()
        .stdout(&script_config(1));
    sandbox
        .tool(&["render", "--lb-port", "x"])
        .code(2)
        .stdout("");
    assert!(sandbox.calls().is_empty());
    assert!(!sandbox.path("work/haproxy.cfg").exists());
}

// Whether it is reached.

#[test]
fn a_silent_address_is_a_warning() {
    on_both(|flavor| {
        let sandbox = Sandbox::new(flavor);
        let _lb = sandbox.listen_silent("127.50.0.2", 80);
        let ran = sandbox.up(&[]).success().stdout(ANSWER);
        ran.stderr_has("warning: 127.50.0.2:80 does not answer from here");
        sandbox.assert_serves(3);
    });
}

#[test]
fn a_refused_connection_fails_and_is_undone() {
    on_both(|flavor| {
        let sandbox = Sandbox::new(flavor);
        let before = sandbox.state();
        sandbox
            .up(&["--wait", "300ms"])
            .code(1)
            .stdout("")
            .stderr_has(
                "error: the load balancer `lb` refuses connections on port 80 after 0.3 s\n",
            )
            .stderr_has("what was done has been undone\n")
            .stderr_has("--wait gives the service more time");
        sandbox.assert_state(&before, "");
    });
}

#[test]
fn no_instance_behind_the_load_balancer_fails_and_is_undone() {
    let sandbox = Sandbox::new(Flavor::Engine);
    sandbox
        .config(json!({"images": {"httpd": {"exposed": [8080], "logs": ["listening on 8080"]}}}));
    let before = sandbox.state();
    let lb = sandbox.answer_with(
        "127.50.0.2",
        80,
        "HTTP/1.0 503 Service Unavailable\r\nConnection: close\r\n\r\n<html><body><h1>503 Service Unavailable</h1>\n\
         No server is available to handle this request.\n</body></html>\n",
    );
    sandbox
        .up(&["--wait", "300ms"])
        .code(1)
        .stderr_has("answers, but none of its instances does on port 80")
        .stderr_has("  | listening on 8080\n")
        .stderr_has("INSTANCE_PORT is 80, but the image `httpd` exposes `8080/tcp`");
    assert!(lb.served() > 0);
    sandbox.assert_state(&before, "");
}

#[test]
fn a_load_balancer_that_dies_is_shown_with_its_log() {
    on_both(|flavor| {
        let sandbox = Sandbox::new(flavor);
        sandbox.config(json!({"names_resolve": false}));
        let before = sandbox.state();
        sandbox
            .up(&["--server-address", "name"])
            .code(1)
            .stdout("")
            .stderr_has("error: the load balancer `lb` exited with code 1 right after its start\n")
            .stderr_has("the last log lines of `lb`:\n")
            .stderr_has("could not resolve address 'web-1'")
            .stderr_has("hint: the load balancer could not resolve `web-1`")
            .stderr_has("with SERVER_ADDRESS=ip it asks none\n");
        sandbox.assert_state(&before, "");
    });
}

#[test]
fn on_a_vch_no_name_has_to_resolve() {
    let sandbox = Sandbox::new(Flavor::Vch);
    sandbox.config(json!({"names_resolve": false}));
    let _lb = sandbox.serve();
    sandbox
        .up(&[])
        .success()
        .stdout(ANSWER)
        .stderr_has("SERVER_ADDRESS: ip, since a VCH mostly asks EXTERNAL_NET's name server, which knows no instance\n");
    sandbox.assert_serves(3);
    let loaded = sandbox.loaded_config("lb").unwrap();
    assert_eq!(settings_line(&loaded), "# vch-lb 2 SERVER_ADDRESS=ip");
    // From any workstation, and by commands that know no settings.
    for arguments in [&["up"][..], &["scale", "3"]] {
        let (ran, changes) = sandbox.changes_of(|| sandbox.tool(arguments));
        ran.success();
        assert!(changes.is_empty(), "{arguments:?}: {changes:?}");
    }
    sandbox.tool(&["status"]).success();
    sandbox.quick("scale", &["4"]).success();
    sandbox.assert_serves(4);
}

#[test]
fn a_service_of_names_on_a_vch_keeps_them_as_long_as_it_runs() {
    let sandbox = Sandbox::new(Flavor::Vch);
    let _lb = sandbox.serve();
    sandbox.script_has_run(3);
    let (ran, changes) = sandbox.changes_of(|| sandbox.up(&[]));
    ran.success().stderr_has("up to date");
    assert!(changes.is_empty(), "{changes:?}");
    sandbox.tool(&["status"]).success();
    assert_eq!(sandbox.loaded_config("lb").unwrap(), GOLDEN);
    // Its next start finds no name any more.
    sandbox.docker(&["stop", "lb"]).success();
    sandbox.config(json!({"names_resolve": false}));
    sandbox.up(&[]).success();
    sandbox.assert_serves(3);
    sandbox.tool(&["status"]).success();
}

#[test]
fn an_image_that_just_exits_is_no_load_balancer() {
    let sandbox = Sandbox::new(Flavor::Vch);
    sandbox.config(json!({"images": {"haproxy:1.7": {"exits": 3, "logs": ["bye"]}}}));
    sandbox
        .up(&[])
        .code(1)
        .stderr_has("`lb` exited with code 3 right after its start")
        .stderr_has("  | bye\n");
    assert!(sandbox.containers().is_empty() && sandbox.networks().is_empty());
}

#[test]
fn an_address_that_comes_late_is_waited_for() {
    on_both(|flavor| {
        let sandbox = Sandbox::new(flavor);
        sandbox.config(json!({"address_delay_inspects": 3, "starting_inspects": 2}));
        let _lb = sandbox.serve();
        sandbox.up(&["--wait", "30s"]).success().stdout(ANSWER);
    });
}

#[test]
fn an_address_that_never_comes_fails_and_is_undone() {
    on_both(|flavor| {
        let sandbox = Sandbox::new(flavor);
        sandbox.config(json!({"address_delay_inspects": 1000}));
        let before = sandbox.state();
        sandbox
            .up(&["--wait", "300ms"])
            .code(1)
            .stderr_has("has no address on `routable` after 0.3 s");
        sandbox.assert_state(&before, "");
    });
}

#[test]
fn a_run_that_changes_a_setting_of_the_load_balancer_says_which() {
    on_both(|flavor| {
        let sandbox = Sandbox::new(flavor);
        let _lb = sandbox.serve();
        let up = ["-n", "1", "--lb-img", "haproxy:2.6"];
        let logging = [&up[..], &["--lb-log", "stdout"]].concat();
        sandbox.up(&logging).success().stderr_lacks("LB_LOG");
        sandbox.up(&logging).success().stderr_lacks("LB_LOG");
        sandbox
            .up(&up)
            .success()
            .stderr_has("\nLB_LOG: stdout → syslog\n");
    });
}

#[test]
fn a_probe_of_what_was_not_there_is_told_to_be_none() {
    let sandbox = Sandbox::new(Flavor::Engine);
    let _served = sandbox.serve();
    sandbox
        .up(&["--probe"])
        .success()
        .stderr_has("--probe: nothing served before, so there is nothing to probe\n");
}
