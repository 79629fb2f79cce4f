//! Services that an earlier vch-lb made, met by every command of this one: what it wrote is ours, and at most outdated.

use serde_json::json;
use vch_lb::haproxy::{CERT_NAME, TEMPLATE_NAME};
use vch_lb::service::head;

use super::sandbox::{Listener, Sandbox};
use super::scene::{CONFIG, on_both, reload_calls, settings_line};

const PEM: &str = include_str!("../fixtures/localhost.pem");

/// A template that an admin wrote while the settings line had version 1, and what it rendered.
const OWN: &str = "{{#if settings}}\n{{settings}}\n{{/if}}\ndefaults\n\tmode {{mode}}\n\ttimeout connect 5s\n\ttimeout client \
                   5s\n\ttimeout server 5s\nfrontend http-in\n\tbind *:{{lb_port}}\n\tdefault_backend servers\nbackend \
                   servers\n{{#each servers}}\n\tserver server{{number}} {{address}}:{{../instance_port}}\n{{/each}}\n";
const RENDERED: &str = "# vch-lb 1 TEMPLATE=yes\ndefaults\n\tmode http\n\ttimeout connect 5s\n\ttimeout client 5s\n\ttimeout \
                        server 5s\nfrontend http-in\n\tbind *:80\n\tdefault_backend servers\nbackend servers\n\tserver server1 \
                        web-1:80\n\tserver server2 web-2:80\n";

/// The settings of the golden files that have every one.
const EVERYTHING: &[&str] = &[
    "--lb-img",
    "haproxy:2.6",
    "--forwarded-for",
    "yes",
    "--health-check",
    "http:/health,200",
    "--instance-maxconn",
    "50",
    "--lb-balance",
    "leastconn",
    "--lb-log",
    "stdout",
    "--lb-maxconn",
    "1000",
    "--lb-timeout-client",
    "1m",
    "--lb-timeout-connect",
    "2s",
    "--lb-timeout-server",
    "1m",
    "--stats-port",
    "9000",
    "--sticky",
    "cookie",
    "--tls-cert",
    "cert.pem",
];

/// A service of two instances as an earlier vch-lb made it.
struct Former {
    what: &'static str,
    lb_image: &'static str,
    config: String,
    /// What lies beside it: name and content.
    beside: &'static [(&'static str, &'static str)],
    /// The settings that it was made with.
    settings: &'static [&'static str],
}

fn former() -> Vec<Former> {
    let two = |config: &str| {
        let second = "\tserver server2 web-2:80 maxconn 32\n";
        format!("{config}{second}")
    };
    vec![
        Former {
            what: "sockets handed over, and no line",
            lb_image: "haproxy:2.6",
            config: two(include_str!("../golden/former/1/hand-over.cfg")),
            beside: &[],
            settings: &["--lb-img", "haproxy:2.6"],
        },
        Former {
            what: "a line of version 1",
            lb_image: "haproxy:1.7",
            config: include_str!("../golden/former/1/tcp.cfg").to_owned(),
            beside: &[],
            settings: &[
                "--health-check",
                "tcp",
                "--lb-mode",
                "tcp",
                "--sticky",
                "source",
            ],
        },
        Former {
            what: "every setting",
            lb_image: "haproxy:2.6",
            config: include_str!("../golden/former/1/everything.cfg").to_owned(),
            beside: &[(CERT_NAME, PEM)],
            settings: EVERYTHING,
        },
        Former {
            what: "every setting, with a checksum",
            lb_image: "haproxy:2.6",
            config: include_str!("../golden/former/2/everything.cfg").to_owned(),
            beside: &[(CERT_NAME, PEM)],
            settings: EVERYTHING,
        },
        Former {
            what: "an own template",
            lb_image: "haproxy:1.7",
            config: RENDERED.to_owned(),
            beside: &[(TEMPLATE_NAME, OWN)],
            settings: &["--template", "own.hbs"],
        },
    ]
}

/// Those who answer for the instances and the load balancer.
fn around(sandbox: &Sandbox) -> [Listener; 2] {
    ["127.50.0.2", "127.50.0.3"].map(|address| sandbox.listen(address, 80, 200))
}

/// Makes the service as it was made then.
fn deploy(sandbox: &Sandbox, former: &Former) {
    sandbox.write("cert.pem", PEM);
    sandbox.write("own.hbs", OWN);
    sandbox.docker_line("network create web-net").success();
    for number in [1, 2] {
        let run = format!("run -d -p 80 --name web-{number} --net web-net httpd");
        sandbox.docker_line(&run).success();
    }
    let image = former.lb_image;
    let calls = [
        format!("create --name lb --net routable {image}"),
        "network connect web-net lb".to_owned(),
    ];
    for call in calls {
        sandbox.docker_line(&call).success();
    }
    let main = [("haproxy.cfg", former.config.as_str())];
    for (name, content) in former.beside.iter().copied().chain(main) {
        let file = sandbox.path("content");
        std::fs::write(&file, content).unwrap();
        let to = format!("lb:/usr/local/etc/haproxy/{name}");
        sandbox
            .docker(&["cp", file.to_str().unwrap(), &to])
            .success();
    }
    sandbox.docker_line("start lb").success();
    sandbox.forget_calls();
}

/// Each former service, made once on each kind of endpoint, and met by `scenario` in as many copies as it wants.
fn with_each(scenario: impl Fn(&Former, &dyn Fn() -> Sandbox) + Sync) {
    on_both(|flavor| {
        for former in former() {
            let sandbox = Sandbox::new(flavor);
            deploy(&sandbox, &former);
            scenario(&former, &|| sandbox.like());
        }
    });
}

#[test]
fn status_finds_nothing_wrong_with_it() {
    with_each(|former, copy| {
        let sandbox = copy();
        let _around = around(&sandbox);
        let ran = sandbox.tool(&["status", "-n", "2"]).success();
        assert!(!ran.stdout.contains("edited"), "{}: {ran}", former.what);
        assert!(sandbox.changing_calls().is_empty());
    });
}

#[test]
fn up_brings_its_file_up_to_date_by_a_reload() {
    with_each(|former, copy| {
        let sandbox = copy();
        let _around = around(&sandbox);
        let arguments = [&["-n", "2"], former.settings].concat();
        let outdated = "the haproxy.cfg in `lb` is as another version of vch-lb wrote it: to be brought up to date";
        sandbox
            .up(&[&arguments[..], &["--dry-run"]].concat())
            .success()
            .stdout_has(&format!("# {outdated}\n"));
        let (ran, calls) = sandbox.changes_of(|| sandbox.up(&arguments));
        ran.success().stderr_has(outdated);
        let mut expected = reload_calls();
        if former.settings.contains(&"--template") {
            // What it renders is for its owner alone here, and for everybody in the load balancer.
            expected[0] = "docker cp - lb:/usr/local/etc/haproxy".to_owned();
        }
        assert_eq!(calls, expected, "{}", former.what);
        let loaded = sandbox.loaded_config("lb").unwrap();
        let line = former.config.lines().next().unwrap_or_default();
        let line = head::readable(line);
        let settings = ["# vch-lb 1", "# vch-lb 2"]
            .into_iter()
            .find_map(|mark| line.strip_prefix(mark))
            .unwrap_or_default();
        assert_eq!(
            settings_line(&loaded).trim_end(),
            format!("# vch-lb 2{settings}")
        );
        sandbox.forget_calls();
        sandbox.up(&arguments).success().stderr_has("up to date");
        sandbox.tool(&["status"]).success();
        assert!(sandbox.changing_calls().is_empty());
    });
}

#[test]
fn it_is_scaled_rolled_out_and_taken_down() {
    with_each(|former, copy| {
        let all = [1, 2, 3, 4].map(|number| format!("\tserver server{number} "));
        for (command, servers) in [
            (&["scale", "3"][..], &[0, 1, 2][..]),
            (&["scale", "1"], &[0]),
            (&["rollout", "--force", "--batch", "2"], &[2, 3]),
            (&["down"], &[]),
        ] {
            let sandbox = copy();
            let _around = around(&sandbox);
            let ran = match command {
                ["down"] => sandbox.tool(command),
                _ => sandbox.quick(command[0], &command[1..]),
            };
            ran.success();
            if servers.is_empty() {
                assert!(sandbox.containers().is_empty(), "{}", former.what);
                continue;
            }
            let loaded = sandbox.loaded_config("lb").unwrap();
            for (index, line) in all.iter().enumerate() {
                let expected = servers.contains(&index);
                assert_eq!(loaded.contains(line), expected, "{}: {loaded}", former.what);
            }
            settings_line(&loaded);
            assert_eq!(sandbox.file_in("lb", CONFIG), Some(loaded));
            sandbox.tool(&["status"]).success();
        }
    });
}

#[test]
fn what_fails_leaves_its_file_as_it_was() {
    with_each(|former, copy| {
        let sandbox = copy();
        let _around = around(&sandbox);
        sandbox.rule(json!({"when": ["kill", "-s", "HUP", "lb"], "exit": 1, "stderr": "no"}));
        sandbox.quick("scale", &["1"]).code(1);
        assert_eq!(
            sandbox.file_in("lb", CONFIG).as_deref(),
            Some(former.config.as_str())
        );
    });
}

#[test]
fn a_hand_in_it_is_seen_as_ever() {
    with_each(|former, copy| {
        let sandbox = copy();
        let file = sandbox.path("edited.cfg");
        std::fs::write(&file, former.config.replace("mode ", "mode  ")).unwrap();
        let to = format!("lb:{CONFIG}");
        sandbox
            .docker(&["cp", file.to_str().unwrap(), &to])
            .success();
        sandbox.forget_calls();
        for command in [
            &["scale", "3"][..],
            &["rollout", "--force"],
            &[&["up", "-n", "2"], former.settings].concat(),
        ] {
            sandbox
                .quick(command[0], &command[1..])
                .code(1)
                .stderr_has("edited by hand");
        }
        sandbox
            .tool(&["status"])
            .code(3)
            .stdout_has("edited by hand");
        assert_eq!(sandbox.changing_calls(), Vec::<String>::new());
        let overwritten = [&["-n", "2", "--overwrite"], former.settings].concat();
        sandbox.up(&overwritten).success();
        assert_eq!(
            head::Head::read(&sandbox.loaded_config("lb").unwrap())
                .unwrap()
                .whole,
            Some(true)
        );
    });
}
