//! Where a service is, for its clients and for the tool, and whether what answers there is the service.

use serde_json::{Value, json};

use super::sandbox::{Flavor, Ran, Sandbox};
use super::scene::{ANSWER, quickly};

const ALWAYS: [&str; 4] = ["-n", "1", "--publish-lb", "always"];

/// An engine that is reached at 127.50.0.9, as DOCKER_HOST says.
fn remotely(sandbox: &Sandbox, words: &[&str]) -> Ran {
    let host = format!("tcp://{}:2376", sandbox.address("127.50.0.9"));
    sandbox.tool_with(words, |command| command.env("DOCKER_HOST", host))
}

fn up_remotely(sandbox: &Sandbox, more: &[&str]) -> Ran {
    remotely(sandbox, &quickly("up", more))
}

fn calls(sandbox: &Sandbox, kind: &str) -> usize {
    let calls = sandbox.calls();
    calls.iter().filter(|call| call.words[0] == kind).count()
}

/// A network with the numbers of one that this workstation has: its own loopback addresses.
fn same_numbers(sandbox: &Sandbox) {
    sandbox.config(json!({"networks": {"routable": {"shown_subnet": "127.0.0.0/8"}}}));
}

#[test]
fn a_published_load_balancer_is_where_the_endpoints_host_publishes_it() {
    let sandbox = Sandbox::new(Flavor::Engine);
    let host = sandbox.listen("127.50.0.9", 80, 200);
    let at_host = "\nService is available at\n127.50.0.9\non port 80\n";
    up_remotely(&sandbox, &ALWAYS).success().stdout(at_host);
    up_remotely(&sandbox, &ALWAYS)
        .success()
        .stdout(at_host)
        .stderr_has("up to date");
    remotely(&sandbox, &["status"])
        .success()
        .stdout_has("service web: healthy at 127.50.0.9:80, answers\n");
    let status = remotely(&sandbox, &["status", "--format", "json"]).json();
    assert_eq!(
        (&status["address"], &status["port"]),
        (&json!("127.50.0.9"), &json!(80))
    );
    assert_eq!(
        status["ways_in"],
        json!([
            {"via": "host", "address": "127.50.0.9", "port": 80},
            {"via": "network", "address": "127.50.0.2", "port": 80},
        ])
    );
    let scaled = remotely(&sandbox, &quickly("scale", &["2", "--probe"]))
        .success()
        .stdout_has(at_host);
    assert!(scaled.stdout.contains(", 0 failed"), "{scaled}");
    drop(host);
    remotely(&sandbox, &["status"])
        .code(3)
        .stdout_has("service web: degraded at 127.50.0.9:80, does not answer\n");
}

#[test]
fn a_port_that_lb_args_publish_elsewhere_is_where_the_service_is() {
    let sandbox = Sandbox::new(Flavor::Engine);
    let _host = sandbox.listen("127.50.0.7", 8080, 200);
    let publish = format!("-p {}:8080:80", sandbox.address("127.50.0.7"));
    for never in ["never", "auto"] {
        up_remotely(
            &sandbox,
            &["-n", "1", "--publish-lb", never, "--lb-args", &publish],
        )
        .success()
        .stdout("\nService is available at\n127.50.0.7\non port 8080\n");
    }
}

#[test]
fn docker_tells_the_host_of_a_context_and_nobody_else_is_asked() {
    for (way, flags) in [
        ("current", &[][..]),
        ("flag", &["--context", "far"]),
        ("environment", &[]),
    ] {
        let sandbox = Sandbox::new(Flavor::Engine);
        let far = format!("tcp://{}:2376", sandbox.address("127.50.0.9"));
        let current = (way == "current").then_some("far");
        sandbox.config(json!({"contexts": {"far": far}, "current_context": current}));
        let _lb = sandbox.listen("127.50.0.9", 80, 200);
        let words = quickly("up", &[&ALWAYS[..], flags].concat());
        sandbox
            .tool_with(&words, |command| {
                let context = if way == "environment" { "far" } else { "" };
                command.env("DOCKER_CONTEXT", context)
            })
            .success()
            .stdout("\nService is available at\n127.50.0.9\non port 80\n");
    }
}

/// The port on which an instance is published.
fn published(sandbox: &Sandbox, name: &str) -> u16 {
    let port = &sandbox.container(name)["publish"][0]["bound"];
    u16::try_from(port.as_u64().unwrap()).unwrap()
}

#[test]
fn instances_are_asked_on_the_host_of_the_current_context() {
    let sandbox = Sandbox::new(Flavor::Engine);
    let _lb = sandbox.serve();
    sandbox.script_has_run(1);
    let far = format!("tcp://{}:2376", sandbox.address("127.50.0.9"));
    sandbox.config(json!({"contexts": {"far": far}, "current_context": "far"}));
    // The first one answers there, the second one does not.
    let _first = sandbox.listen("127.50.0.9", published(&sandbox, "web-1"), 200);
    sandbox
        .quick("scale", &["2"])
        .code(1)
        .stderr_has("error: `web-2` does not answer on port 80 after 2.0 s\n");
}

#[test]
fn where_the_host_is_not_known_published_ports_are_not_asked() {
    let sandbox = Sandbox::new(Flavor::Engine);
    let _lb = sandbox.serve();
    sandbox.script_has_run(1);
    sandbox.config(json!({"contexts": {"far": "ssh://far"}, "current_context": "far"}));
    // There is no ssh that could tell where `far` is.
    sandbox.quick("scale", &["2"]).success().stdout(ANSWER);
}

#[test]
fn an_endpoints_address_is_asked_of_docker_only_where_a_published_port_is_asked() {
    let sandbox = Sandbox::new(Flavor::Engine);
    let _lb = sandbox.serve();
    sandbox.up(&[]).success().stdout(ANSWER);
    sandbox.tool(&["status"]).success();
    assert_eq!(calls(&sandbox, "context"), 0);
    assert_eq!(calls(&sandbox, "exec"), 0);
}

#[test]
fn a_stranger_at_the_same_address_is_neither_the_service_nor_its_failure() {
    let sandbox = Sandbox::new(Flavor::Engine);
    same_numbers(&sandbox);
    let stranger = sandbox.serve();
    let doubt = "this workstation has a network of its own with the same addresses";
    // It is the service that answers: its own connections show it.
    up_remotely(&sandbox, &["-n", "1"])
        .success()
        .stderr_lacks("can't be told");
    remotely(&sandbox, &["status"])
        .success()
        .stdout_has("healthy at 127.50.0.2:80, answers\n");
    for sockets in ["elsewhere", "unreadable"] {
        sandbox.config(json!({"sockets": sockets}));
        remotely(&sandbox, &["status"])
            .success()
            .stdout_has("running at 127.50.0.2:80, whether it answers can't be told from here\n")
            .stdout_has("whether the service answers at 127.50.0.2:80 can't be told from here: ")
            .stdout_has(doubt);
        let json = remotely(&sandbox, &["status", "--format", "json"]).json();
        assert_eq!(json["answers"], Value::Null);
        up_remotely(&sandbox, &["-n", "1"])
            .success()
            .stderr_has("whether the service answers at 127.50.0.2:80 can't be told from here: ")
            .stderr_has(doubt);
        let scaled = remotely(&sandbox, &quickly("scale", &["2", "--probe"]))
            .success()
            .stderr_has(doubt)
            .stderr_has("so there is no receipt\n");
        assert!(!scaled.stdout.contains("probe:"), "{scaled}");
        remotely(&sandbox, &quickly("scale", &["1"])).success();
    }
    drop(stranger);
}

#[test]
fn a_first_deployment_is_not_undone_for_what_somebody_else_says() {
    for answer in [Some("HTTP/1.1 500 no\r\nContent-Length: 0\r\n\r\n"), None] {
        let sandbox = Sandbox::new(Flavor::Engine);
        same_numbers(&sandbox);
        sandbox.config(json!({"sockets": "elsewhere"}));
        let _stranger = answer.map(|text| sandbox.answer_with("127.50.0.2", 80, text));
        let said = match answer {
            Some(_) => "this workstation has a network of its own with the same addresses",
            // This machine refuses.
            None => "the load balancer listens there by its own account",
        };
        let ran = up_remotely(&sandbox, &["-n", "1", "--format", "json"])
            .success()
            .stderr_has(said);
        assert_eq!(ran.json()["answered"], false);
        sandbox.assert_serves(1);
    }
}

#[test]
fn a_load_balancer_that_listens_nowhere_does_refuse() {
    let sandbox = Sandbox::new(Flavor::Engine);
    same_numbers(&sandbox);
    up_remotely(&sandbox, &["-n", "1"])
        .code(1)
        .stderr_has("the load balancer `lb` refuses connections on port 80 after 2.0 s");
    assert_eq!(sandbox.containers(), [""; 0]);
}

#[test]
fn a_tunnel_has_to_show_whose_ports_it_leads_to() {
    let sandbox = Sandbox::new(Flavor::Engine);
    let _stranger = sandbox.listen("127.50.0.9", 80, 200);
    sandbox.config(json!({"sockets": "elsewhere"}));
    up_remotely(&sandbox, &ALWAYS)
        .success()
        .stderr_has("the endpoint is behind a tunnel");
}

#[test]
fn the_first_hint_names_the_command_that_works() {
    let sandbox = Sandbox::new(Flavor::Engine);
    sandbox.config(json!({"networks": {"routable": null}}));
    let _host = sandbox.listen("127.50.0.9", 8080, 200);
    let first = up_remotely(&sandbox, &["-n", "1", "--lb-port", "8080"]).code(1);
    let command =
        "vch-lb up --num-instances 1 --lb-port 8080 --external-net bridge --publish-lb always";
    let first = first.stderr_has(&format!(
        "hint: `{command}` serves on port 8080 of the endpoint's host"
    ));
    assert!(sandbox.changing_calls().is_empty(), "{first}");
    let words: Vec<&str> = command.split(' ').skip(2).collect();
    up_remotely(&sandbox, &words)
        .success()
        .stdout("\nService is available at\n127.50.0.9\non port 8080\n");
}

#[test]
fn on_an_engines_own_network_it_is_said_who_gets_to_it() {
    let sandbox = Sandbox::new(Flavor::Engine);
    up_remotely(
        &sandbox,
        &["-n", "1", "--external-net", "bridge", "--wait", "1s"],
    )
    .stderr_has("will be reached on `bridge` from the endpoint's own machine, which this is not")
    .stderr_has("PUBLISH_LB=always opens port 80");
}

#[test]
fn a_port_of_the_host_that_another_has_is_said_before_anything_is_made() {
    let sandbox = Sandbox::new(Flavor::Engine);
    sandbox.docker(&["pull", "httpd"]).success();
    let other = ["run", "-d", "-p", "80:80", "--name", "other", "httpd"];
    sandbox.docker(&other).success();
    let before = sandbox.state();
    let taken = "port 80 of the endpoint's host (LB_PORT) is taken: `other` publishes it";
    up_remotely(&sandbox, &ALWAYS)
        .code(1)
        .stderr_has(taken)
        .stderr_has("hint: choose another port by LB_PORT, or remove `other`\n");
    let words = [&["doctor"], &ALWAYS[..]].concat();
    remotely(&sandbox, &words).code(1).stdout_has(taken);
    // Whatever PUBLISH_LB says: LB_ARGS publish, too.
    for publish in ["never", "auto"] {
        let args = [
            "-n",
            "1",
            "--publish-lb",
            publish,
            "--lb-args",
            "-p 0.0.0.0:80:80",
        ];
        up_remotely(&sandbox, &args)
            .code(1)
            .stderr_has("(LB_ARGS) is taken: `other` publishes it");
    }
    let twice = [&ALWAYS[..], &["--lb-args", "-p 80:8404"]].concat();
    up_remotely(&sandbox, &twice)
        .code(1)
        .stderr_has("would publish port 80 of the endpoint's host twice");
    sandbox.assert_state(&before, "");
}

#[test]
fn podmans_own_network_is_called_what_its_containers_call_it() {
    let sandbox = Sandbox::new(Flavor::Engine);
    sandbox.config(json!({"podman": true}));
    sandbox
        .up(&["-n", "1", "--external-net", "bridge"])
        .code(1)
        .stderr_has(
            "the network `bridge` (EXTERNAL_NET) is called `podman` by the containers on it",
        )
        .stderr_has("hint: `vch-lb up --num-instances 1 --external-net podman`\n");
    assert!(sandbox.changing_calls().is_empty());
}

#[test]
fn the_script_of_a_dry_run_ends_with_the_host_where_that_publishes_the_service() {
    let sandbox = Sandbox::new(Flavor::Engine);
    let dry = up_remotely(&sandbox, &[&ALWAYS[..], &["--dry-run"]].concat()).success();
    let host = sandbox.address("127.50.0.9");
    let host = sandbox.shown(&host);
    let end = format!("echo 'Service is available at'\necho {host}\necho 'on port 80'\n");
    assert!(dry.stdout.ends_with(&end), "{dry}");
    let by_args = ["--lb-args", "-p 192.0.2.7:8080:80", "--dry-run"];
    up_remotely(&sandbox, &by_args)
        .success()
        .stdout_has("\necho 192.0.2.7\necho 'on port 8080'\n");
    up_remotely(&sandbox, &["--dry-run"])
        .success()
        .stdout_has("inspect -f");
}
