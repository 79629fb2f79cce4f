//! Every setting reaches its place, and travels with the service.

use std::fs;

use serde_json::json;
use vch_lb::service::head;

use super::sandbox::{FLAVORS, Flavor, Listener, Sandbox, script_config};
use super::scene::{ANSWER, CONFIG, on_both, reload_calls, settings_line};

const PEM: &str = include_str!("../fixtures/localhost.pem");
const EVERYTHING: &str = include_str!("../golden/everything.cfg");

/// Settings of instances and load balancer, none of them at its default.
const MANY: &[(&str, &str)] = &[
    ("LB_IMG", "haproxy:2.6"),
    ("LB_BALANCE", "leastconn"),
    ("LB_MAXCONN", "1000"),
    ("INSTANCE_MAXCONN", "50"),
    ("LB_TIMEOUT_CONNECT", "2s"),
    ("LB_TIMEOUT_CLIENT", "1m"),
    ("LB_TIMEOUT_SERVER", "1m"),
    ("HEALTH_CHECK", "http:/health,200"),
    ("STICKY", "cookie"),
    ("FORWARDED_FOR", "yes"),
    ("LB_LOG", "stdout"),
    ("TLS_CERT", "cert.pem"),
    ("STATS_PORT", "9000"),
    ("INSTANCE_ARGS", "--env 'GREETING=hello world' --memory 64m"),
    ("INSTANCE_CMD", "httpd -X 'a b'"),
];

/// Settings as a settings file.
fn file(settings: &[(&str, &str)]) -> String {
    let lines = settings
        .iter()
        .map(|(name, value)| format!("{name}={}\n", shell_words::quote(value)));
    lines.collect()
}

fn around(sandbox: &Sandbox) -> Vec<Listener> {
    ["127.50.0.2", "127.50.0.3"]
        .map(|address| sandbox.listen(address, 80, 200))
        .into()
}

/// The folder of an admin who has nothing but the tool.
fn another_workstation(sandbox: &Sandbox) {
    for entry in fs::read_dir(sandbox.path("work")).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
}

const RUN_REST: &str = "--env 'GREETING=hello world' --memory 64m \
    --label 'vch-lb=1 --env '\\''GREETING=hello world'\\'' --memory 64m -- httpd -X '\\''a b'\\''' httpd httpd -X 'a b'";

fn run_call(number: usize) -> String {
    format!("docker run -d -p 80 --name web-{number} --net web-net {RUN_REST}")
}

/// As docker's words are, however they are quoted.
fn words(call: &str) -> Vec<String> {
    shell_words::split(call).unwrap()
}

#[track_caller]
fn assert_call(calls: &[String], call: &str) {
    assert!(
        calls.iter().any(|made| words(made) == words(call)),
        "{call}\n{calls:#?}"
    );
}

#[test]
fn everything_at_once_reaches_its_place() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        let _around = around(&sandbox);
        sandbox.write("cert.pem", PEM);
        sandbox.write("all.conf", &file(MANY));
        let arguments = [
            "--settings",
            "all.conf",
            "-n",
            "2",
            "--lb-args",
            "--hostname front",
            "--jobs",
            "1",
        ];
        sandbox.up(&arguments).success().stdout(ANSWER);
        let calls = sandbox.changing_calls();
        assert_call(&calls, &run_call(1));
        let publish = if flavor == Flavor::Vch {
            "-p 80:80 -p 9000:9000 "
        } else {
            ""
        };
        assert_call(
            &calls,
            &format!(
                "docker create --name lb --net routable {publish}--hostname front haproxy:2.6"
            ),
        );
        let loaded = sandbox.loaded_names("lb").unwrap();
        assert_eq!(
            settings_line(&loaded),
            settings_line(EVERYTHING).replacen(
                "INSTANCE_MAXCONN=50",
                "INSTANCE_MAXCONN=50 LB_ARGS='--hostname front'",
                1,
            )
        );
        assert_eq!(head::without(&loaded), head::without(EVERYTHING));
        assert_eq!(
            sandbox
                .file_in("lb", "/usr/local/etc/haproxy/tls.pem")
                .as_deref(),
            Some(PEM)
        );
        let web = sandbox.container("web-1");
        assert!(
            web["labels"]["vch-lb"]
                .as_str()
                .unwrap()
                .starts_with("1 --env "),
            "{web}"
        );
        assert_eq!(sandbox.container("lb")["starts"], 1);
        // The same again is nothing to do.
        sandbox.forget_calls();
        sandbox.up(&arguments).success().stderr_has("up to date");
        assert!(sandbox.changing_calls().is_empty());
        sandbox.tool(&["status"]).success();
    }
}

#[test]
fn another_workstation_needs_the_seven_variables_alone() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        let _around = around(&sandbox);
        sandbox.write("cert.pem", PEM);
        sandbox.write("all.conf", &file(MANY));
        sandbox.up(&["--settings", "all.conf", "-n", "2"]).success();
        another_workstation(&sandbox);
        sandbox.forget_calls();

        sandbox.quick("scale", &["3", "--jobs", "1"]).success();
        let calls = sandbox.changing_calls();
        assert_eq!(calls.len(), 3, "{calls:#?}");
        assert_call(&calls, &run_call(3));
        let third =
            "\tserver server3 web-3:80 maxconn 50 init-addr libc,none check cookie server3\n";
        let second =
            "\tserver server2 web-2:80 maxconn 50 init-addr libc,none check cookie server2\n";
        let expected = EVERYTHING.replace(second, &format!("{second}{third}"));
        let loaded = sandbox.loaded_names("lb").unwrap();
        assert_eq!(settings_line(&loaded), settings_line(EVERYTHING));
        assert_eq!(head::without(&loaded), head::without(&expected));
        assert_eq!(sandbox.by_name(&sandbox.read("haproxy.cfg")), loaded);

        another_workstation(&sandbox);
        sandbox.forget_calls();
        sandbox
            .quick(
                "rollout",
                &["--instance-img", "httpd:2", "--batch", "3", "--jobs", "1"],
            )
            .success();
        assert_call(
            &sandbox.changing_calls(),
            &run_call(4).replace(" httpd httpd", " httpd:2 httpd"),
        );
        let loaded = sandbox.loaded_names("lb").unwrap();
        assert_eq!(settings_line(&loaded), settings_line(EVERYTHING));
        assert!(
            loaded.contains(
                "server server6 web-6:80 maxconn 50 init-addr libc,none check cookie server6\n"
            ),
            "{loaded}"
        );
        assert_eq!(
            sandbox
                .file_in("lb", "/usr/local/etc/haproxy/tls.pem")
                .as_deref(),
            Some(PEM)
        );
        sandbox.tool(&["status"]).success();
    }
}

#[test]
fn the_load_balancers_settings_change_by_a_reload() {
    let reload = reload_calls();
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        let _around = around(&sandbox);
        sandbox.script_has_run(1);
        let mut given: Vec<&str> = vec!["-n", "1", "--jobs", "1"];
        for (setting, line) in [
            (
                ["--health-check", "tcp"],
                "\tserver server1 web-1:80 maxconn 32 init-addr libc,none check\n",
            ),
            (["--lb-balance", "leastconn"], "\tbalance leastconn\n"),
            (["--lb-timeout-server", "30s"], "\ttimeout server 30s\n"),
            (["--lb-maxconn", "9999"], "\tmaxconn 9999\n"),
            (
                ["--instance-maxconn", "7"],
                "maxconn 7 init-addr libc,none check\n",
            ),
            (["--forwarded-for", "yes"], "\toption forwardfor\n"),
            (
                ["--sticky", "cookie"],
                "\tcookie VCHLB insert indirect nocache httponly\n",
            ),
        ] {
            given.extend(setting);
            sandbox.forget_calls();
            sandbox.up(&given).success().stdout(ANSWER);
            assert_eq!(sandbox.changing_calls(), reload, "{setting:?}");
            let loaded = sandbox.loaded_config("lb").unwrap();
            assert!(loaded.contains(line), "{loaded}");
            let name = setting[0][2..].to_uppercase().replace('-', "_");
            let travels = loaded.lines().next().unwrap().to_owned();
            assert!(
                travels.contains(&format!("{name}={}", setting[1])),
                "{travels}"
            );
        }
        // And back to what the script writes.
        sandbox.forget_calls();
        sandbox.up(&["-n", "1"]).success();
        assert_eq!(sandbox.changing_calls(), reload);
        assert_eq!(sandbox.loaded_config("lb"), Some(script_config(1)));
        for name in ["web-1", "lb"] {
            assert_eq!(sandbox.container(name)["starts"], 1);
        }
    }
}

#[test]
fn a_new_certificate_lands_beside_the_file_and_is_loaded() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        let _around = around(&sandbox);
        sandbox.write("cert.pem", PEM);
        sandbox.up(&["-n", "1", "--tls-cert", "cert.pem"]).success();
        let renewed = format!("{PEM}# renewed\n");
        let path = sandbox.write("renewed.pem", &renewed);
        let path = path.to_str().unwrap();
        sandbox.forget_calls();
        let loads = sandbox.container("lb")["loads"].as_u64().unwrap();
        sandbox
            .up(&["-n", "1", "--tls-cert", path, "--jobs", "1"])
            .success();
        let calls = sandbox.changing_calls();
        assert_eq!(
            calls,
            [
                &["docker cp - lb:/usr/local/etc/haproxy".to_owned()],
                &reload_calls()[..]
            ]
            .concat()
        );
        assert_eq!(
            sandbox.file_in("lb", "/usr/local/etc/haproxy/tls.pem"),
            Some(renewed.clone())
        );
        assert_eq!(
            sandbox.container("lb")["loads"].as_u64().unwrap(),
            loads + 1
        );
        sandbox.forget_calls();
        sandbox
            .up(&["-n", "1", "--tls-cert", path])
            .success()
            .stderr_has("up to date");
        assert!(sandbox.changing_calls().is_empty());
        // A failure puts the old one back.
        let before = sandbox.state();
        sandbox.write("cert.pem", PEM);
        sandbox.rule(json!({"when": ["exec", "lb", "haproxy"], "exit": 1, "stderr": "[ALERT]    (12) : config : no key"}));
        sandbox
            .up(&["-n", "1", "--tls-cert", "cert.pem"])
            .code(1)
            .stderr_has("config : no key");
        sandbox.assert_state(&before, "");
    }
}

/// As a copy that broke off leaves it. HAProxy goes on with what it loaded, until it is started again.
#[test]
fn a_certificate_that_is_not_the_one_of_tls_cert_is_told() {
    on_both(|flavor| {
        let sandbox = Sandbox::new(flavor);
        let _around = around(&sandbox);
        let path = sandbox.write("cert.pem", PEM);
        let up = [
            "-n",
            "1",
            "--lb-img",
            "haproxy:2.6",
            "--tls-cert",
            "cert.pem",
        ];
        sandbox.up(&up).success();
        let told = "certificate and key in `lb` are not those of TLS_CERT\n";
        let tells = |named: &str| {
            let status = sandbox.tool_with(&["status"], |command| command.env("TLS_CERT", named));
            status.stdout.contains(told)
        };
        let path = path.to_str().unwrap();
        assert!(!tells(path));
        let half = sandbox.write("tls.pem", &PEM[..PEM.len() / 2]);
        let to = "lb:/usr/local/etc/haproxy/tls.pem";
        let half = half.to_str().unwrap();
        sandbox.docker(&["cp", half, to]).success();
        assert!(tells(path));
        // Of what nobody names here nothing is asked.
        assert!(!tells("") && !tells("nowhere.pem"));
        sandbox.up(&up).success().stderr_lacks("up to date");
        assert!(!tells(path));
    });
}

/// Another template, and what it renders: that is for its owner alone here, and for everybody in the load balancer.
fn own_template_calls() -> Vec<String> {
    let copy = "docker cp - lb:/usr/local/etc/haproxy".to_owned();
    let [_, signal] = reload_calls();
    vec![copy.clone(), copy, signal]
}

const TEMPLATE: &str = "global\n\tmaxconn {{lb_maxconn}}\n\t# ours\ndefaults\n\tmode {{mode}}\n\ttimeout connect 5s\n\
    \ttimeout client 5s\n\ttimeout server 5s\nfrontend http-in\n\tbind *:{{lb_port}}\n\tdefault_backend servers\n\
    backend servers\n{{#each servers}}\n\tserver server{{number}} {{address}}:{{../instance_port}}\n{{/each}}\n";

#[test]
fn an_own_template_travels_beside_what_it_renders() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        let _around = around(&sandbox);
        sandbox.write("own.hbs", TEMPLATE);
        sandbox.up(&["-n", "1", "--template", "own.hbs"]).success();
        assert_eq!(
            sandbox
                .file_in("lb", "/usr/local/etc/haproxy/haproxy.cfg.hbs")
                .as_deref(),
            Some(TEMPLATE)
        );
        let loaded = sandbox.loaded_names("lb").unwrap();
        assert_eq!(settings_line(&loaded), "# vch-lb 2 TEMPLATE=yes");
        let text = head::without(&loaded);
        assert!(
            text.starts_with("global\n\tmaxconn 256\n\t# ours\n"),
            "{loaded}"
        );
        sandbox.tool(&["status"]).success();
        // From elsewhere.
        another_workstation(&sandbox);
        sandbox.quick("scale", &["2"]).success();
        let loaded = sandbox.loaded_names("lb").unwrap();
        assert!(
            loaded.contains("\t# ours\n") && loaded.contains("\tserver server2 web-2:80\n"),
            "{loaded}"
        );
        sandbox
            .quick("rollout", &["--force", "--batch", "2"])
            .success();
        let loaded = sandbox.loaded_names("lb").unwrap();
        assert!(
            loaded.contains("\t# ours\n") && loaded.contains("\tserver server4 web-4:80\n"),
            "{loaded}"
        );
        // Another template: its file, and a reload.
        sandbox.write("own.hbs", &TEMPLATE.replace("# ours", "# ours again"));
        sandbox.forget_calls();
        sandbox
            .up(&["-n", "2", "--template", "own.hbs", "--jobs", "1"])
            .success();
        assert_eq!(sandbox.changing_calls(), own_template_calls());
        assert!(
            sandbox
                .loaded_config("lb")
                .unwrap()
                .contains("# ours again")
        );
        sandbox.tool(&["status"]).success();
    }
}

#[test]
fn files_that_cannot_be_used_are_refused_before_anything_is_tried() {
    let sandbox = Sandbox::new(Flavor::Vch);
    sandbox.write(
        "half.pem",
        "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n",
    );
    sandbox.write("broken.hbs", "global\n{{#if}}\n");
    sandbox.write("deaf.hbs", &TEMPLATE.replace("{{lb_port}}", "80"));
    for (arguments, words) in [
        (
            ["--tls-cert", "no.pem"],
            "TLS_CERT is `no.pem` (--tls-cert): ",
        ),
        (["--tls-cert", "half.pem"], "it holds no private key"),
        (
            ["--template", "no.hbs"],
            "TEMPLATE is `no.hbs` (--template): ",
        ),
        (["--template", "broken.hbs"], "TEMPLATE is `broken.hbs`"),
        (
            ["--settings", "no.conf"],
            "`no.conf` (--settings) can't be read",
        ),
    ] {
        sandbox.up(&arguments).code(2).stdout("").stderr_has(words);
    }
    sandbox
        .up(&["--template", "deaf.hbs", "--lb-port", "81"])
        .code(2)
        .stderr_has("TEMPLATE");
    assert!(sandbox.calls().is_empty());
}

#[test]
fn other_arguments_or_another_command_are_rolled_out() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        let _around = around(&sandbox);
        sandbox.script_has_run(1);
        for (arguments, number, rest) in [
            (
                vec!["--instance-args", "--env A=1"],
                2,
                "--env A=1 --label \"vch-lb=1 --env 'A=1' --\" httpd",
            ),
            (
                vec!["--instance-args", "--env A=2"],
                1,
                "--env A=2 --label \"vch-lb=1 --env 'A=2' --\" httpd",
            ),
            (
                vec!["--instance-cmd", "httpd -X"],
                2,
                "--label 'vch-lb=1 -- httpd -X' httpd httpd -X",
            ),
            (vec![], 1, "httpd"),
        ] {
            sandbox.forget_calls();
            sandbox
                .up(&[&["-n", "1", "--jobs", "1"], &arguments[..]].concat())
                .success();
            let calls = sandbox.changing_calls();
            assert_call(
                &calls,
                &format!("docker run -d -p 80 --name web-{number} --net web-net {rest}"),
            );
            assert_eq!(
                sandbox.containers(),
                ["lb".to_owned(), format!("web-{number}")]
            );
            assert_eq!(calls.iter().filter(|call| call.contains("HUP")).count(), 1);
        }
        assert_eq!(sandbox.container("lb")["starts"], 1);
        assert_eq!(sandbox.loaded_config("lb"), Some(script_config(1)));
    }
}

#[test]
fn arguments_of_the_load_balancer_cannot_change_in_place() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        let _around = around(&sandbox);
        sandbox.script_has_run(1);
        let before = sandbox.state();
        let arguments = ["-n", "1", "--lb-args", "--hostname front"];
        sandbox
            .up(&arguments)
            .code(1)
            .stderr_has("LB_ARGS is `--hostname front`, but `lb` was created with ``")
            .stderr_has("--recreate-lb");
        sandbox.assert_state(&before, "");
        sandbox
            .up(&[&arguments[..], &["--recreate-lb"]].concat())
            .success();
        let loaded = sandbox.loaded_names("lb").unwrap();
        assert_eq!(
            settings_line(&loaded),
            "# vch-lb 2 LB_ARGS='--hostname front'"
        );
        sandbox.forget_calls();
        sandbox.up(&arguments).success().stderr_has("up to date");
        assert!(sandbox.changing_calls().is_empty());
    }
}

#[test]
fn a_settings_file_and_an_edited_copy_of_the_script() {
    let script = "#!/bin/bash\n# The service\nINSTANCE_IMG=httpd:2.4 # pinned\nNUM_INSTANCES=\"2\"\nexport LB_PORT='8080'\nset -e\n\
        for i in $(seq 1 $NUM_INSTANCES); do\n  docker run -d --name $INSTANCE_CTR_PREFIX-$i $INSTANCE_IMG\ndone\nOTHER=$(date)\n";
    for (name, text) in [
        (
            "service.conf",
            "# The service\n\nINSTANCE_IMG=httpd:2.4 # pinned\nNUM_INSTANCES=\"2\"\nLB_PORT='8080'\n",
        ),
        ("script.sh", script),
    ] {
        for flavor in FLAVORS {
            let sandbox = Sandbox::new(flavor);
            let _lb = sandbox.listen("127.50.0.2", 8080, 200);
            sandbox.write(name, text);
            sandbox
                .up(&["--settings", name])
                .success()
                .stdout("\nService is available at\n127.50.0.2\non port 8080\n");
            assert_eq!(sandbox.containers(), ["lb", "web-1", "web-2"]);
            assert_eq!(sandbox.container("web-1")["image"], "httpd:2.4");
            // Flag over environment over file.
            let shown = sandbox.tool_with(
                &[
                    "settings",
                    "--format",
                    "json",
                    "--settings",
                    name,
                    "--lb-port",
                    "1",
                ],
                |command| command.env("LB_PORT", "2").env("NUM_INSTANCES", "9"),
            );
            let shown = shown.success().json();
            let of = |name: &str| shown["settings"][name].clone();
            assert_eq!(of("LB_PORT"), json!({"value": "1", "source": "--lb-port"}));
            assert_eq!(of("NUM_INSTANCES")["value"], "9");
            assert_eq!(of("INSTANCE_IMG")["source"], format!("{name}, line 3"));
            assert_eq!(
                of("EXTERNAL_NET"),
                json!({"value": "routable", "source": "the default"})
            );
        }
    }
    let sandbox = Sandbox::new(Flavor::Engine);
    for (text, words) in [
        ("LB_PORT=1\nLB_PROT=80\n", "bad.conf, line 2: "),
        (
            "docker pull httpd\n",
            "bad.conf, line 1: not of the form NAME=value",
        ),
        (
            "LB_PORT=$PORT\n",
            "bad.conf, line 1: LB_PORT: `$PORT` is not expanded here",
        ),
        (
            "INSTANCE_ARGS=--env A=1\n",
            "a value with blanks needs quotes",
        ),
        ("LB_PORT='80\n", "a quote is not closed"),
        ("LB_PORT=80x\n", "LB_PORT is `80x` (bad.conf, line 1)"),
    ] {
        sandbox.write("bad.conf", text);
        sandbox
            .up(&["--settings", "bad.conf"])
            .code(2)
            .stdout("")
            .stderr_has(words);
    }
    assert!(sandbox.calls().is_empty());
}

#[test]
fn settings_that_contradict_each_other_are_named_both() {
    let sandbox = Sandbox::new(Flavor::Vch);
    for (arguments, names) in [
        (
            vec!["--lb-mode", "tcp", "--sticky", "cookie"],
            ["STICKY", "LB_MODE"],
        ),
        (
            vec!["--lb-mode", "tcp", "--forwarded-for", "yes"],
            ["FORWARDED_FOR", "LB_MODE"],
        ),
        (
            vec!["--sticky", "source", "--lb-balance", "first"],
            ["STICKY", "LB_BALANCE"],
        ),
        (
            vec!["--stats-port", "8080", "--lb-port", "8080"],
            ["STATS_PORT", "LB_PORT"],
        ),
        (vec!["--lb-log", "stdout"], ["LB_LOG", "LB_IMG"]),
        (
            vec!["--lb-ctr-name", "web-1"],
            ["LB_CTR_NAME", "INSTANCE_CTR_PREFIX"],
        ),
        (
            vec!["--external-net", "web-net"],
            ["EXTERNAL_NET", "instances' own network"],
        ),
        (
            vec!["--instance-args", "-p 80"],
            ["INSTANCE_ARGS", "publishes that port itself"],
        ),
        (
            vec!["--instance-args", "--name x"],
            ["INSTANCE_ARGS", "names are given by vch-lb"],
        ),
        (
            vec!["--lb-args", "--net x"],
            ["LB_ARGS", "networks are given by vch-lb"],
        ),
        (
            vec!["--health-check", "http"],
            ["HEALTH_CHECK", "http:/path"],
        ),
        (vec!["--health-check", "http:/a b"], ["HEALTH_CHECK", "URL"]),
        (
            vec!["--lb-timeout-client", "1 day"],
            ["LB_TIMEOUT_CLIENT", "30s"],
        ),
        (vec!["--publish-lb", "maybe"], ["PUBLISH_LB", "always"]),
        (vec!["--server-address", "dns"], ["SERVER_ADDRESS", "ip"]),
    ] {
        let mut ran = sandbox.up(&arguments).code(2).stdout("");
        for name in names {
            ran = ran.stderr_has(name);
        }
    }
    assert!(sandbox.calls().is_empty());
}

#[test]
fn servers_by_address_and_after_a_restart() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        let _around = around(&sandbox);
        // Newer VCHs keep the address of what is stopped.
        if flavor == Flavor::Vch {
            sandbox.config(json!({"version": "1.5.1"}));
        }
        let arguments = ["-n", "2", "--server-address", "ip", "--jobs", "1"];
        sandbox.up(&arguments).success();
        let address = |name: &str| {
            let found = sandbox.container(name)["networks"]["web-net"]["address"].clone();
            found.as_str().unwrap().to_owned()
        };
        let addresses = || [address("web-1"), address("web-2")];
        let sends = |addresses: &[String; 2]| {
            let loaded = sandbox.loaded_config("lb").unwrap();
            assert_eq!(settings_line(&loaded), "# vch-lb 2 SERVER_ADDRESS=ip");
            for (number, address) in (1..).zip(addresses) {
                let line = format!("\tserver server{number} {address}:80 maxconn 32\n");
                assert!(loaded.contains(&line), "{line}{loaded}");
            }
        };
        let before = addresses();
        sends(&before);
        sandbox.tool(&["status"]).success();
        sandbox.forget_calls();
        sandbox.up(&arguments).success().stderr_has("up to date");
        assert!(sandbox.changing_calls().is_empty());
        // They come back in another order, and each takes the other's address.
        sandbox.docker(&["stop", "web-1", "web-2"]).success();
        sandbox.docker(&["start", "web-2"]).success();
        sandbox.docker(&["start", "web-1"]).success();
        let after = addresses();
        assert_ne!(after, before);
        sandbox
            .tool(&["status"])
            .code(3)
            .stdout_has("`web-1` and `web-2` are not where `lb` sends to any more\n");
        sandbox.forget_calls();
        sandbox.up(&arguments).success();
        assert_eq!(sandbox.changing_calls(), reload_calls());
        sends(&after);
        sandbox.tool(&["status"]).success();
        // And a load balancer that was stopped meanwhile.
        sandbox.docker(&["stop", "lb", "web-1", "web-2"]).success();
        sandbox.docker(&["start", "web-1"]).success();
        sandbox.docker(&["start", "web-2"]).success();
        sandbox.up(&arguments).success();
        sends(&addresses());
        // From elsewhere.
        sandbox.quick("scale", &["3"]).success();
        let loaded = sandbox.loaded_config("lb").unwrap();
        assert!(
            loaded.contains(&format!(
                "\tserver server3 {}:80 maxconn 32\n",
                address("web-3")
            )),
            "{loaded}"
        );
    }
}

#[test]
fn the_load_balancers_port_is_published_where_it_has_to_be() {
    for flavor in FLAVORS {
        for (publish, vch, engine) in [
            ("auto", true, false),
            ("always", true, true),
            ("never", false, false),
        ] {
            let sandbox = Sandbox::new(flavor);
            let _around = around(&sandbox);
            // On an engine clients come in by the host.
            let _host = sandbox.listen("127.50.0.9", 80, 200);
            let endpoint = format!("tcp://{}:2376", sandbox.address("127.50.0.9"));
            let words = super::scene::quickly("up", &["-n", "1", "--publish-lb", publish]);
            let up = || sandbox.tool_with(&words, |command| command.env("DOCKER_HOST", &endpoint));
            let at_host = flavor == Flavor::Engine && engine;
            up().success().stdout(&if at_host {
                ANSWER.replace("127.50.0.2", "127.50.0.9")
            } else {
                ANSWER.to_owned()
            });
            let expected = if flavor == Flavor::Vch { vch } else { engine };
            let create = sandbox
                .changing_calls()
                .into_iter()
                .find(|call| call.starts_with("docker create"))
                .unwrap();
            assert_eq!(
                create.contains(" -p 80:80 "),
                expected,
                "{flavor:?} {publish}: {create}"
            );
            // How it was published doesn't travel: the script's file stays the script's.
            assert_eq!(sandbox.loaded_names("lb"), Some(script_config(1)));
            sandbox.forget_calls();
            up().success().stderr_has("up to date");
            assert!(sandbox.changing_calls().is_empty());
        }
    }
}

#[test]
fn a_port_that_was_not_published_is_the_reason_given() {
    let sandbox = Sandbox::new(Flavor::Vch);
    let _silent = sandbox.listen_silent("127.50.0.2", 80);
    sandbox
        .up(&["-n", "1", "--publish-lb", "never", "--wait", "1s"])
        .success()
        .stdout(ANSWER)
        .stderr_has("a VCH's container network drops every port that was not published")
        .stderr_has("PUBLISH_LB");
    // A load balancer that has its port only if it is asked for.
    sandbox
        .up(&["-n", "1", "--publish-lb", "always"])
        .code(1)
        .stderr_has("`lb` was created without publishing port 80")
        .stderr_has("--recreate-lb");
}

#[test]
fn secrets_are_not_shown() {
    let secret = "hunter2";
    let arguments = [
        "-n",
        "1",
        "--instance-args",
        "--env PASSWORD=hunter2 -e TOKEN=hunter2 --env=KEY=hunter2",
    ];
    for flavor in FLAVORS {
        for more in [&["-v"][..], &[], &["--format", "json"], &["-v", "--keep"]] {
            let sandbox = Sandbox::new(flavor);
            // Words that safe_list does not know are docker's own.
            let arguments = [
                "-n",
                "1",
                "--instance-args",
                "--env PASSWORD=hunter2 --env TOKEN=hunter2",
            ];
            sandbox.rule(json!({"when": ["run", "web-1"], "exit": 125, "stderr": "docker: Error response from daemon: no more disk"}));
            let ran = sandbox.up(&[&arguments[..], more].concat()).code(1);
            assert!(!format!("{ran}").contains(&format!("={secret}\n")));
            assert!(
                !ran.stderr.contains(secret) && !ran.stdout.contains(secret),
                "{ran}"
            );
            assert!(
                format!("{}{}", ran.stderr, ran.stdout).contains("no more disk"),
                "{ran}"
            );
            if more.contains(&"-v") {
                assert!(ran.stderr.contains("PASSWORD=***"), "{ran}");
            }
            // But docker got them.
            let calls = sandbox.changing_calls();
            assert!(
                calls.iter().any(|call| call.contains("PASSWORD=hunter2")),
                "{calls:?}"
            );
        }
        let sandbox = Sandbox::new(flavor);
        let _around = around(&sandbox);
        let ran = sandbox
            .up(&[&arguments[..], &["--dry-run"]].concat())
            .success();
        // The script has to run: it says where the values are, and takes them from the environment.
        assert!(
            ran.stdout.contains("'PASSWORD='\"$VALUE_OF_PASSWORD\"")
                && ran.stdout.contains("--env=KEY='\"$VALUE_OF_KEY\""),
            "{ran}"
        );
        assert!(
            ran.stdout
                .contains("they come from INSTANCE_ARGS (--instance-args)."),
            "{ran}"
        );
        for format in ["text", "json"] {
            let shown = sandbox
                .tool(&[&["settings", "--format", format], &arguments[..]].concat())
                .success();
            assert!(
                !shown.stdout.contains(secret) && shown.stdout.contains("***"),
                "{shown}"
            );
        }
        assert!(
            !ran.stderr.contains(secret) && !ran.stdout.contains(secret),
            "{ran}"
        );
        // Later commands read the label and don't show it either.
        let arguments = ["-n", "1", "--instance-args", "--env PASSWORD=hunter2"];
        let ran = sandbox.up(&[&arguments[..], &["-v"]].concat()).success();
        assert!(
            !ran.stderr.contains(secret) && !ran.stdout.contains(secret),
            "{ran}"
        );
        for command in [
            vec!["scale", "2", "-v"],
            vec!["rollout", "--force", "-v", "--batch", "2"],
            vec!["status", "-v"],
            vec!["down", "-v"],
        ] {
            let ran = if command[0] == "status" {
                sandbox.tool(&command)
            } else {
                sandbox.quick(command[0], &command[1..])
            };
            let ran = ran.success();
            assert!(
                !ran.stderr.contains(secret) && !ran.stdout.contains(secret),
                "{ran}"
            );
        }
    }
}

#[test]
fn a_broken_settings_line_is_an_edit() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        let _around = around(&sandbox);
        sandbox.up(&["-n", "1", "--health-check", "tcp"]).success();
        let loaded = sandbox.loaded_config("lb").unwrap();
        for broken in [
            "# vch-lb 1 HEALTH_CHECK=",
            "# vch-lb 1 NOTHING=x",
            "# vch-lb x",
            "# vch-lb 1 HEALTH_CHECK='tcp",
            "# vch-lb 2 HEALTH_CHECK=tcp",
            "# vch-lb 2 sum=0123456789abcdef HEALTH_CHECK=tcp",
        ] {
            let text = format!("{broken}\n{}", head::without(&loaded));
            let file = sandbox.write("broken.cfg", &text);
            sandbox
                .docker(&["cp", file.to_str().unwrap(), &format!("lb:{CONFIG}")])
                .success();
            sandbox.forget_calls();
            sandbox
                .up(&["-n", "2", "--health-check", "tcp"])
                .code(1)
                .stderr_has("edited by hand");
            sandbox
                .quick("scale", &["2"])
                .code(1)
                .stderr_has("the haproxy.cfg in `lb`");
            assert!(sandbox.changing_calls().is_empty());
            sandbox
                .tool(&["status"])
                .code(3)
                .stdout_has("edited by hand");
        }
        sandbox
            .up(&["-n", "1", "--health-check", "tcp", "--overwrite"])
            .success();
        assert_eq!(sandbox.loaded_config("lb"), Some(loaded));
    }
}
