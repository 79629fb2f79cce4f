//! The service as it is: every drift, in words and in JSON.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::{Value, json};
use tar::EntryType;

use super::sandbox::{FLAVORS, Flavor, Sandbox, script_config};
use super::scene::{CONFIG, on_both, reload_calls};

fn put_config(sandbox: &Sandbox, text: &str) {
    let file = sandbox.write("other.cfg", text);
    sandbox
        .docker(&["cp", file.to_str().unwrap(), &format!("lb:{CONFIG}")])
        .success();
}

/// The drifts that `status` tells, with what mends them.
#[track_caller]
fn drifts(sandbox: &Sandbox, arguments: &[&str]) -> Vec<(String, String)> {
    drifts_with(sandbox, arguments, &[])
}

#[track_caller]
fn drifts_with(
    sandbox: &Sandbox,
    arguments: &[&str],
    environment: &[(&str, &str)],
) -> Vec<(String, String)> {
    let words = [&["status", "--format", "json"], arguments].concat();
    let ran = sandbox.tool_with(&words, |command| command.envs(environment.iter().copied()));
    let json = ran.json();
    let drifts = json["drift"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let drifts: Vec<_> = drifts
        .map(|drift| (text(&drift["what"]), text(&drift["mend"])))
        .collect();
    let code = if drifts.is_empty() { 0 } else { 3 };
    assert_eq!(ran.code, Some(code), "{ran}");
    assert_eq!(
        json["verdict"],
        if drifts.is_empty() {
            "healthy"
        } else {
            "degraded"
        },
        "{ran}"
    );
    drifts
}

#[test]
fn a_complete_service_is_healthy() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        let _lb = sandbox.serve();
        sandbox.script_has_run(2);
        let before = sandbox.state();
        let ran = sandbox.tool(&["status"]).success().stderr("");
        let lines: Vec<&str> = ran.stdout.lines().collect();
        assert_eq!(lines[0], "service web: healthy at 127.50.0.2:80, answers");
        assert_eq!(lines[1], "");
        let words = |line: &str| {
            line.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            words(lines[2]),
            [
                "NAME",
                "STATE",
                "IMAGE",
                "ADDRESS",
                "PUBLISHED",
                "SINCE",
                "IN",
                "LB"
            ]
        );
        assert_eq!(
            words(lines[3])[..4],
            ["lb", "ready", "haproxy:1.7", "127.50.0.2"]
        );
        assert_eq!(words(lines[4])[..3], ["web-1", "ready", "httpd"]);
        assert!(lines[5].ends_with("yes"), "{ran}");
        assert_eq!(lines.len(), 6);
        assert!(sandbox.changing_calls().is_empty());
        sandbox.assert_state(&before, "");
    }
}

#[test]
fn the_keys_of_its_json() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        let _lb = sandbox.serve();
        sandbox.script_has_run(1);
        let json = sandbox
            .tool(&["status", "--format", "json"])
            .success()
            .json();
        let keys = |value: &Value| {
            value
                .as_object()
                .unwrap()
                .keys()
                .cloned()
                .collect::<Vec<_>>()
        };
        let mut found = keys(&json);
        found.sort();
        assert_eq!(
            found,
            [
                "address",
                "answers",
                "containers",
                "drift",
                "http_status",
                "notes",
                "port",
                "schema",
                "verdict",
                "ways_in"
            ]
        );
        assert_eq!(json["schema"], "vch-lb/status/1");
        assert_eq!(
            (&json["verdict"], &json["answers"]),
            (&json!("healthy"), &json!(true))
        );
        assert_eq!(json["address"], "127.50.0.2");
        assert_eq!(json["port"], 80);
        let [lb, web] = &json["containers"].as_array().unwrap()[..] else {
            panic!("{json}")
        };
        let mut found = keys(web);
        found.sort();
        assert_eq!(
            found,
            [
                "address",
                "haproxy",
                "image",
                "in_lb",
                "name",
                "published",
                "started_at",
                "state"
            ]
        );
        assert_eq!((&lb["name"], &lb["in_lb"]), (&json!("lb"), &json!(null)));
        assert_eq!(
            (&web["name"], &web["state"], &web["in_lb"]),
            (&json!("web-1"), &json!("ready"), &json!(true))
        );
        assert!(web["started_at"].as_str().unwrap().ends_with('Z'));
        assert!(web["published"].is_string(), "{web}");
        // A drift's own.
        sandbox.docker(&["stop", "web-1"]).success();
        let json = sandbox.tool(&["status", "--format", "json"]).code(3).json();
        let mut found = keys(&json["drift"][0]);
        found.sort();
        assert_eq!(found, ["lines", "mend", "what"]);
        assert_eq!(json["containers"][1]["started_at"], json!(null));
    }
}

#[test]
fn what_is_not_there_is_not_deployed() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        sandbox
            .tool(&["status"])
            .code(3)
            .stdout(match flavor {
                Flavor::Engine => "service web: not deployed on Docker Engine 20.10.24 on engine\n",
                Flavor::Vch => "service web: not deployed on VCH vch (VIC v1.5.8-21000-fa4e00d)\n",
            })
            .stderr("");
        let json = sandbox
            .tool(&["status", "--format", "json", "-n", "3"])
            .code(3)
            .json();
        assert_eq!(json["verdict"], "not-deployed");
        assert_eq!(json["containers"], json!([]));
        // Somebody else's load balancer is said, and is not the service.
        sandbox
            .docker(&["run", "-d", "--name", "lb", "--net", "routable", "nginx"])
            .success();
        sandbox
            .tool(&["status"])
            .code(3)
            .stdout_has("service web: not deployed on ")
            .stdout_has("a container called `lb` is there and is not this service's\n")
            .stdout_has("to mend it: vch-lb up --lb-ctr-name NAME\n");
    }
}

/// What somebody did by hand, and how it is told.
const DRIFTS: [(&[&str], &str); 9] = [
    (&["stop web-2"], "`web-2` exited with code 0"),
    (&["kill web-2"], "`web-2` exited with code 137 (killed)"),
    (
        &["rm -f web-2"],
        "`lb` sends to `web-2`, which is not there",
    ),
    (
        &[
            "rm -f web-2",
            "create -p 80 --name web-2 --net web-net httpd",
        ],
        "`web-2` was never started",
    ),
    (
        &["run -d -p 80 --name web-3 --net web-net httpd"],
        "`web-3` runs, but `lb` does not send to it",
    ),
    (
        &["stop lb"],
        "the load balancer `lb` exited with code 137 (killed)",
    ),
    (&["rm -f lb"], "there is no load balancer `lb`"),
    (
        &["rm -f lb", "create --name lb --net routable haproxy:1.7"],
        "the load balancer `lb` was never started",
    ),
    (
        &[
            "create --name lb-before --net routable haproxy:1.7",
            "network connect web-net lb-before",
        ],
        "`lb-before` is left over from replacing `lb`",
    ),
];

#[test]
fn that_an_instance_was_started_again_is_no_drift_as_long_as_nothing_tells_of_another_address() {
    // As the script made it: by name, and with a HAProxy that can't be asked.
    let sandbox = Sandbox::new(Flavor::Engine);
    let _lb = sandbox.serve();
    sandbox.script_has_run(2);
    let notes = || {
        let status = sandbox.tool(&["status", "--format", "json"]).success();
        status.json()["notes"].clone()
    };
    assert_eq!(notes(), json!([]));
    sandbox.docker(&["restart", "web-2"]).success();
    let what = "`web-2` was started after `lb` last resolved the name; whether the address is the same cannot be told";
    let mend = "vch-lb up --num-instances 2";
    assert_eq!(notes(), json!([{"what": what, "mend": mend}]));
    sandbox
        .tool(&["status"])
        .success()
        .stdout_has("service web: healthy")
        .stdout_has(&format!("\n\n{what}\n  to be sure: {mend}\n"));
    sandbox.forget_calls();
    sandbox
        .up(&["-n", "2"])
        .success()
        .stderr_has("`web-2`: started after `lb` resolved the name; it looks again, to be sure\n");
    assert_eq!(sandbox.changing_calls(), reload_calls());
    assert_eq!(notes(), json!([]));
    sandbox.up(&["-n", "2"]).success().stderr_has("up to date");
}

#[test]
fn every_drift_is_told_and_mended_by_its_command() {
    for flavor in FLAVORS {
        for (damage, what) in DRIFTS {
            let sandbox = Sandbox::new(flavor);
            let _lb = sandbox.serve();
            let _next = sandbox.listen("127.50.0.3", 80, 200);
            sandbox.script_has_run(2);
            for call in damage {
                sandbox.docker_line(call).success();
            }
            // A VCH sends TERM, whatever the image's stop signal is, and HAProxy 1.7's wrapper heeds that.
            let stopped = flavor == Flavor::Vch && damage == ["stop lb"];
            let what = if stopped {
                "the load balancer `lb` exited with code 0"
            } else {
                what
            };
            let mend = "vch-lb up --num-instances 2";
            assert_eq!(
                drifts(&sandbox, &[]),
                [(what.to_owned(), mend.to_owned())],
                "{flavor:?}"
            );
            let text = sandbox.tool(&["status"]).code(3);
            text.stdout_has("service web: degraded")
                .stdout_has(&format!("\n{what}\n"))
                .stdout_has(&format!("\n  to mend it: {mend}\n"));
            sandbox.forget_calls();
            sandbox.up(&["-n", "2"]).success();
            assert_eq!(drifts(&sandbox, &[]), [], "{what}");
        }
    }
}

#[test]
fn a_number_that_was_given_is_compared() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        let _lb = sandbox.serve();
        sandbox.script_has_run(2);
        let expected = (
            "2 instances, but NUM_INSTANCES is 5".to_owned(),
            "vch-lb scale 5".to_owned(),
        );
        assert_eq!(drifts(&sandbox, &["-n", "5"]), [expected]);
        assert_eq!(drifts(&sandbox, &["-n", "2"]), []);
        sandbox
            .tool_with(&["status"], |command| command.env("NUM_INSTANCES", "x"))
            .code(2);
    }
}

#[test]
fn the_number_and_what_else_is_wrong_are_mended_by_one_command() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        let _lb = sandbox.serve();
        sandbox.script_has_run(2);
        sandbox.docker(&["rm", "-f", "web-2"]).success();
        let told = drifts(&sandbox, &["-n", "4"]);
        let mends: Vec<&str> = told.iter().map(|(_, mend)| mend.as_str()).collect();
        assert_eq!(mends, ["vch-lb up --num-instances 4"; 2], "{told:?}");
        let told = drifts_with(&sandbox, &[], &[("NUM_INSTANCES", "4")]);
        let mends: Vec<&str> = told.iter().map(|(_, mend)| mend.as_str()).collect();
        assert_eq!(mends, ["vch-lb up"; 2], "{told:?}");
    }
}

#[test]
fn a_mend_means_the_service_that_was_asked_about() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        let _first = sandbox.listen("127.50.0.2", 80, 200);
        let _next = sandbox.listen("127.50.0.3", 80, 200);
        sandbox.write(
            "svc.conf",
            "INSTANCE_CTR_PREFIX=shop\nLB_CTR_NAME=shop-lb\nNUM_INSTANCES=2\n",
        );
        let file = ["--settings", "svc.conf"];
        let flags = ["--instance-ctr-prefix", "api", "--lb-ctr-name", "api-lb"];
        sandbox.up(&file).success();
        sandbox.up(&[&flags[..], &["-n", "2"]].concat()).success();
        sandbox.docker(&["rm", "-f", "shop-2", "api-2"]).success();
        let mends = [
            (&file[..], "vch-lb up --settings svc.conf"),
            (
                &flags,
                "vch-lb up --instance-ctr-prefix api --lb-ctr-name api-lb --num-instances 2",
            ),
        ];
        for (asked, mend) in mends {
            let told = drifts(&sandbox, asked);
            assert_eq!(told.len(), 1, "{told:?}");
            assert_eq!(told[0].1, mend);
            let words = shell_words::split(mend).unwrap();
            let words: Vec<&str> = words[1..].iter().map(String::as_str).collect();
            sandbox.quick(words[0], &words[1..]).success();
            assert_eq!(drifts(&sandbox, asked), []);
        }
        let told = drifts(&sandbox, &[&flags[..], &["-n", "4"]].concat());
        let scale = "vch-lb scale --instance-ctr-prefix api --lb-ctr-name api-lb 4";
        assert_eq!(told[0].1, scale);
        // Hints too.
        sandbox.docker(&["rm", "-f", "shop-lb"]).success();
        sandbox
            .quick("scale", &["3", "--settings", "svc.conf"])
            .code(1)
            .stderr_has("hint: `vch-lb up --settings svc.conf` completes it, `vch-lb status --settings svc.conf` shows");
    }
}

#[test]
fn an_unhealthy_instance_is_told() {
    let sandbox = Sandbox::new(Flavor::Engine);
    let _lb = sandbox.serve();
    sandbox.config(json!({"images": {"httpd": {"health": {"healthy_after": 1}}}}));
    sandbox.script_has_run(1);
    assert_eq!(drifts(&sandbox, &[]), []);
    let sandbox = Sandbox::new(Flavor::Engine);
    let _lb = sandbox.serve();
    sandbox.config(json!({"images": {"httpd": {"health": {"unhealthy_after": 1}}}}));
    sandbox.script_has_run(1);
    assert_eq!(
        drifts(&sandbox, &[]),
        [(
            "`web-1` is unhealthy, by its own health check".to_owned(),
            "vch-lb rollout --force".to_owned()
        )]
    );
    sandbox.tool(&["status"]).code(3).stdout_has("unhealthy");
}

#[test]
fn different_images_are_told_and_mended() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        let _lb = sandbox.serve();
        sandbox.script_has_run(1);
        // The same name, another image.
        sandbox.push_image("httpd");
        sandbox.docker(&["pull", "httpd"]).success();
        sandbox.forget_calls();
        sandbox.quick("scale", &["2"]).success();
        assert_eq!(
            drifts(&sandbox, &[]),
            [(
                "the instances were made from different versions of `httpd`".to_owned(),
                "vch-lb rollout".to_owned()
            )]
        );
        sandbox.quick("rollout", &[]).success();
        assert_eq!(drifts(&sandbox, &[]), []);
        // Another name.
        sandbox
            .docker(&[
                "run", "-d", "-p", "80", "--name", "web-1", "--net", "web-net", "httpd:2",
            ])
            .success();
        let told = drifts(&sandbox, &[]);
        assert!(
            told.contains(&(
                "the instances were made from different images: `httpd` and `httpd:2`".to_owned(),
                "vch-lb rollout --instance-img IMAGE".to_owned()
            )),
            "{told:?}"
        );
    }
}

#[test]
fn an_edited_file_is_told_line_by_line() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        let _lb = sandbox.serve();
        sandbox.script_has_run(1);
        put_config(&sandbox, &script_config(1).replace("mode http", "mode tcp"));
        sandbox
            .tool(&["status"])
            .code(3)
            .stdout_has(
                "\nthe haproxy.cfg in `lb` was edited by hand\n  | - \tmode http\n  | + \tmode tcp\n  to mend it: vch-lb up --num-instances 1 --overwrite\n",
            );
        sandbox.forget_calls();
        sandbox
            .up(&["-n", "1"])
            .code(1)
            .stderr_has("was edited by hand");
        assert!(sandbox.changing_calls().is_empty());
        sandbox.up(&["-n", "1", "--overwrite"]).success();
        assert_eq!(drifts(&sandbox, &[]), []);
        assert_eq!(sandbox.loaded_names("lb"), Some(script_config(1)));
    }
}

/// Puts something else in the place of haproxy.cfg.
fn put_entry(sandbox: &Sandbox, kind: EntryType) {
    sandbox
        .docker(&["exec", "lb", "rm", "-f", CONFIG])
        .success();
    let mut builder = tar::Builder::new(Vec::new());
    let mut add = |kind, name: &str, content: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_size(content.len() as u64);
        if kind == EntryType::Symlink {
            header.set_link_name("/etc/precious").unwrap();
        }
        builder.append_data(&mut header, name, content).unwrap();
    };
    let large = vec![
        b'#';
        if kind == EntryType::Regular {
            17 << 20
        } else {
            0
        }
    ];
    add(kind, "haproxy.cfg", &large);
    if kind == EntryType::Directory {
        add(EntryType::Regular, "haproxy.cfg/in", b"x");
    }
    let archive = builder.into_inner().unwrap();
    let folder = CONFIG.rsplit_once('/').unwrap().0;
    sandbox
        .docker_with(&["cp", "-", &format!("lb:{folder}")], |command| {
            command.write_stdin(archive)
        })
        .success();
}

#[test]
fn what_is_no_file_in_the_place_of_haproxy_cfg_is_told_and_replaced() {
    on_both(|flavor| {
        let sandbox = Sandbox::new(flavor);
        let _lb = sandbox.serve();
        // Where the one is that is made in the end.
        let _recreated = sandbox.listen("127.50.0.3", 80, 200);
        sandbox.script_has_run(2);
        let precious = "/etc/precious";
        let file = sandbox.write("precious", "mine");
        let to = format!("lb:{precious}");
        sandbox
            .docker(&["cp", file.to_str().unwrap(), &to])
            .success();
        for (kind, words, flag) in [
            (EntryType::Symlink, "a symbolic link", "--overwrite"),
            (EntryType::Fifo, "a pipe or a device", "--overwrite"),
            (EntryType::Regular, "more than 16 MiB", "--overwrite"),
            (EntryType::Directory, "a directory", "--recreate-lb"),
        ] {
            put_entry(&sandbox, kind);
            let what = format!("`lb` has {words} where its haproxy.cfg belongs");
            let mend = format!("vch-lb up --num-instances 2 {flag}");
            assert_eq!(drifts(&sandbox, &[]), [(what.clone(), mend)]);
            sandbox.forget_calls();
            for command in [&["scale", "3"][..], &["rollout"], &["up", "-n", "2"]] {
                sandbox
                    .quick(command[0], &command[1..])
                    .code(1)
                    .stderr_has(&what)
                    .stderr_has(flag);
            }
            assert_eq!(sandbox.changing_calls(), [""; 0]);
            sandbox.up(&["-n", "2", flag]).success();
            assert_eq!(drifts(&sandbox, &[]), []);
            assert_eq!(sandbox.loaded_names("lb"), Some(script_config(2)));
            if kind == EntryType::Symlink {
                assert_eq!(sandbox.file_in("lb", precious).as_deref(), Some("mine"));
            }
        }
        sandbox.tool(&["down"]).success();
    });
}

#[test]
fn what_lay_in_place_of_haproxy_cfg_is_put_back_where_its_successor_is_refused() {
    on_both(|flavor| {
        let sandbox = Sandbox::new(flavor);
        let _lb = sandbox.serve();
        sandbox.script_has_run(2);
        put_entry(&sandbox, EntryType::Symlink);
        let before = sandbox.state();
        let alert = "[ALERT]    (12) : config : no";
        sandbox.rule(json!({"when": ["exec", "lb", "haproxy"], "exit": 1, "stderr": alert}));
        sandbox
            .up(&["-n", "2", "--overwrite"])
            .code(1)
            .stderr_has("refuses the new haproxy.cfg")
            .stderr_lacks("could not be undone");
        sandbox.assert_state(&before, "a link");
    });
}

#[test]
fn one_line_more_or_in_another_place_is_an_edit_too() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        let _lb = sandbox.serve();
        sandbox.script_has_run(1);
        for edited in [
            script_config(1) + "\tserver server1 web-1:80 maxconn 32\n",
            script_config(1) + "# hello\n",
            script_config(1).replace(
                "\tmode http\n\ttimeout connect 5000ms\n",
                "\ttimeout connect 5000ms\n\tmode http\n",
            ),
            script_config(1).trim_end().to_owned(),
        ] {
            put_config(&sandbox, &edited);
            let told = drifts(&sandbox, &[]);
            assert_eq!(told.len(), 1, "{edited}");
            assert!(told[0].0.contains("was edited by hand"), "{told:?}");
        }
        // What is no file of ours at all.
        put_config(&sandbox, "listen x\n\tbind *:80\n");
        let told = drifts(&sandbox, &[]);
        assert!(
            told.iter()
                .any(|(what, _)| what.contains("was edited by hand")),
            "{told:?}"
        );
        sandbox.forget_calls();
        sandbox.up(&["-n", "1", "--overwrite"]).success();
        assert_eq!(sandbox.loaded_names("lb"), Some(script_config(1)));
    }
}

#[test]
fn a_file_of_a_newer_version_is_refused_in_words() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        let _lb = sandbox.serve();
        sandbox.script_has_run(1);
        put_config(
            &sandbox,
            &format!("# vch-lb 3 LB_MODE=quic\n{}", script_config(1)),
        );
        let what = "the haproxy.cfg in `lb` was written by a newer vch-lb (settings version 3)";
        let told = drifts(&sandbox, &[]);
        assert!(
            told.contains(&(what.to_owned(), "use that version of vch-lb".to_owned())),
            "{told:?}"
        );
        let before = sandbox.state();
        sandbox.forget_calls();
        for arguments in [
            vec!["up", "-n", "2"],
            vec!["up", "-n", "2", "--overwrite"],
            vec!["scale", "2"],
            vec!["rollout", "--force"],
        ] {
            sandbox
                .quick(arguments[0], &arguments[1..])
                .code(1)
                .stdout("")
                .stderr_has(what)
                .stderr_has("use that version of vch-lb");
            assert!(sandbox.changing_calls().is_empty());
            sandbox.assert_state(&before, arguments[0]);
        }
    }
}

#[test]
fn a_container_that_is_starting_is_told() {
    let sandbox = Sandbox::new(Flavor::Vch);
    let _lb = sandbox.serve();
    sandbox.script_has_run(1);
    sandbox.config(json!({"starting_inspects": 9}));
    sandbox.docker(&["restart", "web-1"]).success();
    let ran = sandbox.tool(&["status"]).code(3);
    let ran = ran.stdout_has("`web-1` is still starting\n");
    assert!(
        ran.stdout
            .lines()
            .any(|line| line.starts_with("web-1") && line.contains("starting")),
        "{ran}"
    );
}

#[test]
fn it_says_whether_the_service_answers() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        sandbox.script_has_run(1);
        sandbox
            .tool(&["status"])
            .code(3)
            .stdout_has("service web: degraded at 127.50.0.2:80, does not answer\n")
            .stdout_has("connections to `lb` are refused\n  to mend it: vch-lb logs\n");
        {
            // The service's own failure is an answer, but none that works.
            let _lb = sandbox.listen("127.50.0.2", 80, 500);
            sandbox
                .tool(&["status"])
                .code(3)
                .stdout_has("service web: degraded at 127.50.0.2:80, answers 500\n")
                .stdout_has("the service behind `lb` answers 500\n  to mend it: vch-lb logs\n");
        }
        {
            let page = "HTTP/1.0 503 Service Unavailable\r\nContent-Type: text/html\r\n\r\n<h1>503 Service Unavailable</h1>\nNo server is available to handle this request.\n";
            let _lb = sandbox.answer_with("127.50.0.2", 80, page);
            sandbox
                .tool(&["status"])
                .code(3)
                .stdout_has(", does not answer\n");
        }
        {
            // HAProxy takes its time to find that nobody is there.
            let _lb = sandbox.listen_mute("127.50.0.2", 80);
            let ran = sandbox.tool(&["status"]).success();
            ran.stdout_has("service web: running at 127.50.0.2:80, no answer within 5 s\n");
        }
        {
            // No route from here: nothing is claimed.
            let _lb = sandbox.listen_silent("127.50.0.2", 80);
            let ran = sandbox.tool(&["status"]).success();
            ran.stdout_has("service web: running at 127.50.0.2:80, no answer from here\n");
            let json = sandbox
                .tool(&["status", "--format", "json"])
                .success()
                .json();
            assert_eq!(json["answers"], json!(null));
        }
    }
}

#[test]
fn watching_ends_with_ctrl_c() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        let _lb = sandbox.serve();
        sandbox.script_has_run(1);
        let tool = sandbox.start(&["status", "--watch=100ms"]);
        sandbox.wait_until("three looks", || {
            let calls = sandbox.calls();
            (calls.iter().filter(|call| call.words[0] == "info").count() >= 3).then_some(())
        });
        tool.signal(2);
        // As `timeout` does: to the process, and to its group.
        tool.signal(2);
        let ran = tool.finish().code(130).stderr("");
        assert!(
            ran.stdout.matches("service web: healthy").count() >= 2,
            "{ran}"
        );
    }
}

#[test]
fn watching_goes_on_while_the_endpoint_is_away() {
    let sandbox = Sandbox::new(Flavor::Engine);
    let _lb = sandbox.serve();
    sandbox.script_has_run(1);
    let tool = sandbox.start(&["status", "--watch=100ms"]);
    let looks = |wanted: usize| {
        sandbox.forget_calls();
        sandbox.wait_until("looks", || {
            let calls = sandbox.calls();
            let infos = calls.iter().filter(|call| call.words[0] == "info");
            (infos.filter(|call| call.has_ended()).count() >= wanted).then_some(())
        });
    };
    looks(2);
    let words = "Cannot connect to the Docker daemon at tcp://x. Is the docker daemon running?";
    sandbox.config(json!({"unreachable": words}));
    looks(3);
    sandbox.config(json!({"unreachable": null}));
    let before = sandbox.calls().len();
    sandbox.wait_until("a look that succeeds", || {
        let calls = sandbox.calls();
        let mut later = calls.iter().skip(before);
        later.any(|call| call.words[0] == "inspect").then_some(())
    });
    looks(1);
    tool.signal(2);
    let ran = tool.finish().code(130);
    let told = ran.stderr.matches("looking again every 0.1 s").count();
    assert_eq!(told, 1, "{ran}");
    ran.stderr_has(words);
}

#[test]
fn a_call_that_is_made_again_and_again_is_echoed_whole_once() {
    let sandbox = Sandbox::new(Flavor::Engine);
    let _lb = sandbox.serve();
    sandbox.script_has_run(1);
    let tool = sandbox.start(&["status", "--watch=100ms", "-v"]);
    sandbox.wait_until("three looks", || {
        let calls = sandbox.calls();
        (calls.iter().filter(|call| call.words[0] == "info").count() >= 3).then_some(())
    });
    tool.signal(2);
    let ran = tool.finish().code(130);
    let inspects = ran.stderr.lines().filter(|line| line.contains("inspect"));
    let inspects: Vec<&str> = inspects.filter(|line| line.ends_with("lb web-1")).collect();
    let (whole, short): (Vec<&str>, Vec<&str>) =
        inspects.into_iter().partition(|line| line.len() > 80);
    assert_eq!(whole.len(), 1, "{ran}");
    assert!(!short.is_empty(), "{ran}");
    assert!(short.iter().all(|line| line.contains("..")), "{ran}");
}

#[test]
fn watching_ends_when_nobody_reads_any_more() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        let _lb = sandbox.serve();
        sandbox.script_has_run(1);
        let mut child = sandbox
            .std_command(&["status", "--watch=50ms"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        assert_eq!(
            sandbox.shown(&line),
            "service web: healthy at 127.50.0.2:80, answers\n"
        );
        drop(out);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert!(output.stderr.is_empty(), "{output:?}");
    }
}

#[test]
fn a_status_that_nobody_reads_is_no_failure_of_its_own() {
    let sandbox = Sandbox::new(Flavor::Engine);
    let _lb = sandbox.serve();
    sandbox.script_has_run(1);
    let mut child = sandbox
        .std_command(&["status"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        (output.status.code(), output.stderr.len()),
        (Some(0), 0),
        "{output:?}"
    );
}

#[test]
fn a_load_balancer_that_clients_do_not_reach_is_told() {
    let sandbox = Sandbox::new(Flavor::Engine);
    let _lb = sandbox.serve();
    sandbox.script_has_run(2);
    let elsewhere = (
        "`lb` is on `routable`, not on `bridge` (EXTERNAL_NET)".to_owned(),
        "set EXTERNAL_NET to `routable`, where it is".to_owned(),
    );
    assert_eq!(drifts(&sandbox, &["--external-net", "bridge"]), [elsewhere]);
    let off = "network disconnect routable lb";
    sandbox.docker_line(off).success();
    let mend = "docker network connect routable lb";
    let taken_off = (
        "`lb` is not on `routable`: it was taken off that network".to_owned(),
        mend.to_owned(),
    );
    assert_eq!(drifts(&sandbox, &[]), [taken_off]);
    sandbox
        .docker_line(mend.trim_start_matches("docker "))
        .success();
    assert_eq!(drifts(&sandbox, &[]), []);
}

#[test]
fn up_says_as_status_does_how_a_container_comes_back_that_was_taken_off_the_network() {
    for (name, rest) in [("web-2", "INSTANCE_CTR_PREFIX"), ("lb", "LB_CTR_NAME")] {
        let sandbox = Sandbox::new(Flavor::Engine);
        sandbox.script_has_run(2);
        let off = format!("network disconnect web-net {name}");
        sandbox.docker_line(&off).success();
        let connect = format!("docker network connect web-net {name}");
        sandbox.tool(&["status"]).code(3).stdout_has(&connect);
        sandbox.up(&["-n", "2"]).code(1).stderr_has(&format!(
            "hint: `{connect}` puts it back, if it was taken off; else choose another {rest}"
        ));
    }
}

#[test]
fn up_suggests_no_connecting_where_that_gives_no_address() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        sandbox.script_has_run(2);
        sandbox.docker_line("rm -f lb").success();
        let other = "run -d --name lb --net routable haproxy:1.7";
        sandbox.docker_line(other).success();
        let hint = if sandbox.is_vch() {
            "hint: choose another LB_CTR_NAME, or remove that container\n"
        } else {
            "hint: `docker network connect web-net lb` puts it back"
        };
        sandbox.up(&["-n", "2"]).code(1).stderr_has(hint);
    }
}

#[test]
fn what_is_left_without_a_load_balancer_keeps_its_image_and_number() {
    let sandbox = Sandbox::new(Flavor::Engine);
    let _lb = sandbox.serve();
    sandbox
        .up(&["-n", "2", "--instance-img", "httpd:2"])
        .success();
    let garbage = sandbox.write("garbage.cfg", "garbage\n");
    let target = format!("lb:{CONFIG}");
    let copy = ["cp", garbage.to_str().unwrap(), &target];
    sandbox.docker(&copy).success();
    let up = "vch-lb up --instance-img httpd:2 --num-instances 2";
    let told = drifts(&sandbox, &[]);
    assert_eq!(told[0].1, format!("{up} --overwrite"), "{told:?}");
    sandbox.docker(&["rm", "-f", "lb"]).success();
    sandbox
        .tool(&["status"])
        .code(3)
        .stdout_has("there is no load balancer `lb`\n  | its settings went with it")
        .stdout_has(&format!("  to mend it: {up}\n"));
    let settings = [("NUM_INSTANCES", "2"), ("INSTANCE_IMG", "httpd:2")];
    assert_eq!(drifts_with(&sandbox, &[], &settings)[0].1, "vch-lb up");
}

/// With LB_LOG=stdout each request adds to it, and some of docker's logging drivers keep none.
#[test]
fn a_log_that_is_huge_or_can_not_be_read_is_no_trouble() {
    let sandbox = Sandbox::new(Flavor::Engine);
    let _lb = sandbox.serve();
    sandbox
        .up(&["-n", "1", "--lb-img", "haproxy:2.6"])
        .success();
    sandbox.quick("scale", &["2"]).success();
    let words = "Error response from daemon: configured logging driver does not support reading";
    for log in [
        json!({"when": ["logs", "lb"], "stdout_bytes": 17 << 20}),
        json!({"when": ["logs", "lb"], "exit": 1, "stderr": words}),
    ] {
        sandbox.rule(log);
        assert_eq!(drifts(&sandbox, &[]), []);
    }
}

#[test]
fn the_same_image_by_another_name_is_no_drift() {
    on_both(|flavor| {
        let sandbox = Sandbox::new(flavor);
        let _lb = sandbox.serve();
        sandbox.config(json!({"images": {"httpd:2.4": {"same_as": "httpd"}}}));
        sandbox.up(&["-n", "1"]).success();
        sandbox
            .up(&["-n", "2", "--instance-img", "httpd:2.4"])
            .success();
        assert_eq!(sandbox.container("web-2")["image"], "httpd:2.4");
        assert_eq!(drifts(&sandbox, &[]), []);
        // The name may mean another one by now: those that run are alike all the same.
        sandbox.push_image("httpd:2.4");
        sandbox.docker(&["pull", "httpd:2.4"]).success();
        sandbox.forget_calls();
        assert_eq!(drifts(&sandbox, &[]), []);
        sandbox
            .up(&["-n", "2", "--instance-img", "httpd:2.4"])
            .success()
            .stderr_has("up to date");
        assert_eq!(sandbox.changing_calls(), [""; 0]);
    });
}

#[test]
fn instances_that_up_would_replace_for_their_arguments_or_their_port_are_told() {
    on_both(|flavor| {
        let sandbox = Sandbox::new(flavor);
        let _lb = sandbox.serve();
        sandbox.script_has_run(2);
        sandbox.docker_line("rm -f web-1").success();
        sandbox
            .docker_line(
                "run -d --name web-1 -p 80 --net web-net --label 'vch-lb=1 --memory 512m --' httpd",
            )
            .success();
        sandbox.docker_line("rm -f web-2").success();
        sandbox
            .docker_line("run -d --name web-2 -p 8080 --net web-net httpd")
            .success();
        sandbox.docker_line("kill -s HUP lb").success();
        let up = "vch-lb up --num-instances 2".to_owned();
        let told = drifts(&sandbox, &[]);
        let latest = told.iter().find(|(what, _)| what.starts_with("`web-1`"));
        let (what, mend) = latest.expect("one is unlike the latest");
        assert_eq!(
            what,
            "`web-1`: made with other arguments (INSTANCE_ARGS, INSTANCE_CMD) than the latest instance, `web-2`"
        );
        assert_eq!(*mend, up);
        assert!(told.contains(&("`web-2`: made without `-p 80`, INSTANCE_PORT".into(), up)));
        sandbox.up(&["-n", "2"]).success();
        assert_eq!(drifts(&sandbox, &[]), []);
    });
}

/// It runs, and docker has nothing against it.
#[test]
fn what_haproxy_sends_nothing_to_is_no_part_of_a_healthy_service() {
    let sandbox = Sandbox::new(Flavor::Engine);
    let _lb = sandbox.serve();
    let up = [
        "-n",
        "3",
        "--lb-img",
        "haproxy:2.6",
        "--health-check",
        "http:/health",
    ];
    sandbox.up(&up).success();
    let status = sandbox.tool(&["status"]).success();
    assert_eq!(status.stdout.matches("  up\n").count(), 3, "{status}");
    let calls = |run: &dyn Fn()| {
        sandbox.forget_calls();
        run();
        sandbox.calls().len()
    };
    let before = calls(&|| drop(sandbox.tool(&["status"]).success()));

    sandbox.config(json!({"server_states": {"web-2": "DOWN,L7STS,503", "web-3": "UP 1/3,L4CON,"}}));
    let told =
        "HAProxy sends nothing to `web-2`, which fails HEALTH_CHECK=http:/health (L7STS 503)";
    let after = calls(&|| {
        sandbox
            .tool(&["status"])
            .code(3)
            .stdout_has("service web: degraded")
            .stdout_has("  down: L7STS 503\n")
            .stdout_has("  up 1/3: L4CON\n")
            .stdout_has(&format!("{told}\n  to mend it: vch-lb logs web-2\n"));
    });
    assert_eq!(after, before);
    let json = sandbox.tool(&["status", "--format", "json"]).code(3).json();
    assert_eq!(json["verdict"], "degraded");
    assert_eq!(
        json["containers"][2]["haproxy"],
        json!({"status": "down", "check": "L7STS 503"})
    );
    assert_eq!(json["containers"][0]["haproxy"], json!(null));
    assert_eq!(json["drift"].as_array().unwrap().len(), 1, "{json:#}");
    // Nothing that `up` could do about it.
    sandbox
        .up(&up)
        .success()
        .stderr_has("up to date: 3 instances")
        .stderr_has(&format!("warning: {told}\n"));

    sandbox.config(json!({"server_states": {"web-2": "MAINT,,"}}));
    sandbox.tool(&["status"]).code(3).stdout_has(
        "HAProxy sends nothing to `web-2`: it says `maint`\n  to mend it: docker kill -s HUP lb\n",
    );
    // What is known better is told once.
    sandbox.config(json!({"server_states": {"web-2": "DOWN,L4CON,"}}));
    sandbox.docker(&["stop", "web-2"]).success();
    let told = drifts(&sandbox, &[]);
    assert_eq!(told.len(), 1, "{told:?}");
}
