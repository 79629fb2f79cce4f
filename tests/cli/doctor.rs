//! `vch-lb doctor`: what it finds on both endpoints, and that it changes nothing.

use serde_json::{Value, json};

use super::sandbox::{FLAVORS, Flavor, Sandbox};

/// The checks about something, as `verdict: found`.
fn about(report: &Value, subject: &str) -> Vec<String> {
    let checks = report["checks"].as_array().unwrap().iter();
    checks
        .filter(|check| check["check"] == subject)
        .map(|check| {
            let text = |key: &str| check[key].as_str().unwrap().to_owned();
            format!("{}: {}", text("verdict"), text("found"))
        })
        .collect()
}

/// `vch-lb doctor --format json`, which exits with `code`.
fn report(sandbox: &Sandbox, code: i32, more: &[&str]) -> Value {
    let arguments = [&["doctor", "--format", "json"], more].concat();
    sandbox.tool(&arguments).code(code).stderr("").json()
}

#[test]
fn an_engine_is_told_in_a_line_a_check() {
    let sandbox = Sandbox::new(Flavor::Engine);
    sandbox.tool(&["doctor"]).success().stderr("").stdout(
        "\
ok       client: `$SANDBOX/bin/docker` is version 20.10.24 and speaks API 1.41
ok       endpoint: `unix:///var/run/docker.sock` (docker's default, since nothing else is set)
ok       kind: Docker Engine 20.10.24 on `engine`
ok       external network: `routable`, with the driver `bridge` and the subnet 127.50.0.0/24
           note: addresses of a bridge network are reached from the engine's own machine; for others, PUBLISH_LB=always opens LB_PORT on it
ok       entrance: clients will come in at the load balancer's own address on `routable`
ok       bridge network: `web-net` is free
ok       names: `lb` and `web-1` to `web-3` are free
ok       servers: SERVER_ADDRESS=auto comes to `name` here
ok       room: 4 CPUs and 7.5 GiB of memory in all; an engine does not tell what is free
ok       images: `httpd` (INSTANCE_IMG) will be pulled
ok       images: `haproxy:1.7` (LB_IMG) will be pulled
warning  reloads: HAProxy 1.7 resets about 0.3 connections at each reload under heavy load
           set LB_IMG to haproxy:1.8 or later, which lose none
ok       settings: every setting is usable
ok       haproxy.cfg: renders to 16 lines, and `haproxy.cfg` can be written

1 warning
",
    );
}

#[test]
fn a_vch_is_told_in_a_line_a_check() {
    let sandbox = Sandbox::new(Flavor::Vch);
    let arguments = ["doctor", "-H", "tcp://vch:2376"];
    let verified = |command: &mut assert_cmd::Command| {
        command.env("DOCKER_TLS_VERIFY", "1");
        command.env("DOCKER_CERT_PATH", sandbox.path("certs"));
    };
    std::fs::create_dir(sandbox.path("certs")).unwrap();
    for file in ["ca.pem", "cert.pem", "key.pem"] {
        std::fs::write(sandbox.path("certs").join(file), "").unwrap();
    }
    let ran = sandbox.tool_with(&arguments, |command| {
        verified(command);
        command
    });
    ran.success().stderr("").stdout(
        "\
ok       client: `$SANDBOX/bin/docker` is version 20.10.24 and speaks API 1.25
ok       endpoint: `tcp://vch:2376` (--host)
ok       TLS: used, and the endpoint's certificate is verified
ok       kind: VCH `vch` on VIC 1.5.8
ok       external network: container network `routable`, addresses 127.50.0.0/24
           note: how the VCH's firewall treats it can't be read: the usual `published` lets in what PUBLISH_LB opens, `closed` and `outbound` nobody
ok       entrance: clients will come in at the load balancer's own address on `routable`
ok       bridge network: `web-net` is free
ok       names: `lb` and `web-1` to `web-3` are free
ok       servers: SERVER_ADDRESS=auto comes to `ip` here
ok       room: in use: CPU 230 MHz of 52800 MHz, memory 4.1 GiB of 94.6 GiB
warning  images: `httpd` (INSTANCE_IMG) is not on the VCH, and Docker Hub no longer serves what a VCH reads (schema 1 manifests)
           push the image to a registry that still does, such as a Harbor that converts, and name it in INSTANCE_IMG
warning  images: `haproxy:1.7` (LB_IMG) is not on the VCH, and Docker Hub no longer serves what a VCH reads (schema 1 manifests)
           push the image to a registry that still does, such as a Harbor that converts, and name it in LB_IMG
warning  reloads: HAProxy 1.7 resets about 0.3 connections at each reload under heavy load
           set LB_IMG to haproxy:1.8 or later, which lose none
ok       settings: every setting is usable
ok       haproxy.cfg: renders to 16 lines, and `haproxy.cfg` can be written

3 warnings
",
    );
}

#[test]
fn nothing_is_changed_and_only_safe_calls_are_made() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        sandbox.script_has_run(2);
        let before = sandbox.state();
        let report = report(&sandbox, 0, &["--config-out", "out.cfg"]);
        assert_eq!(report["schema"], "vch-lb/doctor/1");
        assert_eq!(report["exit_code"], 0);
        assert_eq!(report["skipped"], json!([]));
        assert_eq!(
            about(&report, "names"),
            ["ok: `lb` and 2 instances are this service's"]
        );
        assert_eq!(
            about(&report, "bridge-network"),
            ["ok: `web-net` is this service's"]
        );
        assert_eq!(
            about(&report, "images"),
            [
                "ok: `httpd` (INSTANCE_IMG) is on the endpoint",
                "ok: `haproxy:1.7` (LB_IMG) is on the endpoint"
            ]
        );
        assert_eq!(sandbox.changing_calls(), [""; 0]);
        assert_eq!(sandbox.state(), before);
        assert!(!sandbox.path("work/out.cfg").exists());
        assert!(
            sandbox.calls().iter().all(|call| call.code == Some(0)),
            "{}",
            sandbox.calls_text()
        );
    }
}

#[test]
fn without_an_endpoint_it_says_docker_s_words_and_what_was_not_looked_at() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        sandbox.config(json!({"unreachable": ""}));
        let ran = sandbox.tool_with(&["doctor"], |command| {
            command.env("DOCKER_HOST", "tcp://vch:2375")
        });
        ran.code(4).stderr("").stdout(
            "\
ok       client: `$SANDBOX/bin/docker` is version 20.10.24
failure  endpoint: `tcp://vch:2375` (DOCKER_HOST): the endpoint can't be used
           docker version --format '{{json .}}'
           | Cannot connect to the Docker daemon at tcp://vch:2375. Is the docker daemon running?
           nothing answers there: check that the endpoint is up, that DOCKER_HOST has its address and port (a VCH: 2376, or 2375 without TLS), and the firewalls between; where HTTPS_PROXY is set, NO_PROXY has to name the endpoint
ok       TLS: not switched on
ok       settings: every setting is usable
ok       haproxy.cfg: renders to 16 lines, and `haproxy.cfg` can be written
skipped  kind, external network, entrance, bridge network, names, room, images, reloads: they need an endpoint that answers

1 failure
",
        );
        // Nothing that would fail alike is asked again.
        assert_eq!(sandbox.calls().len(), 2, "{}", sandbox.calls_text());
    }
}

#[test]
fn a_client_that_is_not_there_is_a_failure_too() {
    let sandbox = Sandbox::new(Flavor::Engine);
    let report = report(&sandbox, 4, &["--docker", "nowhere/docker"]);
    assert_eq!(
        about(&report, "client"),
        ["failure: no docker client: `nowhere/docker` was not found"]
    );
    assert_eq!(about(&report, "settings").len(), 1);
    assert_eq!(report["exit_code"], 4);
    assert_eq!(sandbox.calls().len(), 0);
}

#[test]
fn a_client_without_contexts_will_do() {
    let sandbox = Sandbox::new(Flavor::Vch);
    sandbox.rule(json!({"when": ["context"], "exit": 1, "stderr": "docker: 'context' is not a docker command.\nSee 'docker --help'"}));
    sandbox.config(json!({"client": "17.03.1-ce"}));
    let ran = sandbox.tool_with(&["doctor", "--format", "json"], |command| {
        command.env("DOCKER_HOST", "vch:2375")
    });
    let report = ran.success().json();
    assert_eq!(about(&report, "endpoint"), ["ok: `vch:2375` (DOCKER_HOST)"]);
}

#[test]
fn a_client_that_no_longer_speaks_to_a_vch_is_told_the_cure() {
    let sandbox = Sandbox::new(Flavor::Vch);
    sandbox.config(json!({"client": "29.0.1"}));
    let found = report(&sandbox, 0, &[]);
    let client = &found["checks"][0];
    assert_eq!(client["verdict"], "warning");
    assert_eq!(
        client["remedy"],
        "set DOCKER_API_VERSION=1.25, or use a docker client from 17.10 to 28"
    );
    let cured = sandbox.tool_with(&["doctor", "--format", "json"], |command| {
        command.env("DOCKER_API_VERSION", "1.25")
    });
    assert_eq!(cured.success().json()["checks"][0]["verdict"], "ok");
}

#[test]
fn an_external_network_that_is_not_there_is_a_failure() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        let found = report(&sandbox, 1, &["--external-net", "public"]);
        let (expected, remedy) = if sandbox.is_vch() {
            (
                "failure: the VCH has no container network `public`",
                "set EXTERNAL_NET to a container network of this VCH (`routable`): `vch-lb up --external-net routable`",
            )
        } else {
            (
                "failure: there is no network `public`",
                "`vch-lb up --external-net bridge --publish-lb always` serves on port 80 of the endpoint's host; for a network \
                 of your own set EXTERNAL_NET to one that is there, `routable`, or one that you make with `docker network \
                 create`",
            )
        };
        assert_eq!(about(&found, "external-network"), [expected]);
        let checks = found["checks"].as_array().unwrap();
        assert!(checks.iter().any(|check| check["remedy"] == remedy));
        // The rest is looked at all the same.
        assert_eq!(about(&found, "names").len(), 1);
    }
    let sandbox = Sandbox::new(Flavor::Vch);
    let found = report(&sandbox, 1, &["--external-net", "bridge"]);
    assert_eq!(
        about(&found, "external-network"),
        ["failure: `bridge` is a bridge network of the VCH, not a container network"]
    );
}

#[test]
fn names_that_others_have_are_failures() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        sandbox
            .docker(&["run", "-d", "--name", "lb", "postgres"])
            .success();
        sandbox.docker(&["network", "create", "web-net"]).success();
        sandbox
            .docker(&["run", "-d", "--name", "db", "--net", "web-net", "postgres"])
            .success();
        let found = report(&sandbox, 1, &[]);
        assert_eq!(
            about(&found, "names"),
            ["failure: `lb` is another's: a container of `postgres` that is not on `web-net`"]
        );
        assert_eq!(
            about(&found, "bridge-network"),
            ["warning: `web-net` is there, with `db` on it, not this service's"]
        );
    }
}

#[test]
fn a_vch_tells_pools_and_limits() {
    let sandbox = Sandbox::new(Flavor::Vch);
    sandbox.config(json!({
        "version": "1.5.3",
        "networks": {"routable": {"ip_range": "127.50.0.10-127.50.0.19"}},
        "system_status": {
            "VCH memory limit": "8 GiB",
            "VCH storage limit": "100 GiB",
            "VCH storage usage": "99 GiB",
            "Registry Whitelist Mode": "enabled",
            "Whitelisted Registries": "harbor.example.com",
        },
    }));
    let found = report(
        &sandbox,
        1,
        &["--lb-img", "harbor.example.com/library/haproxy:2.6"],
    );
    assert_eq!(
        about(&found, "external-network"),
        ["ok: container network `routable`, addresses 127.50.0.10-127.50.0.19, 0 of 10 in use"]
    );
    assert_eq!(about(&found, "kind").len(), 2);
    assert_eq!(
        about(&found, "room"),
        [
            "warning: 4 containers to come take 8 GiB, but of 8 GiB only 3.9 GiB is left",
            "warning: 99 GiB of 100 GiB of storage are used"
        ]
    );
    assert_eq!(
        about(&found, "images"),
        [
            "failure: `httpd` (INSTANCE_IMG) comes from docker.io, which is not on the VCH's whitelist: `harbor.example.com`",
            "ok: `harbor.example.com/library/haproxy:2.6` (LB_IMG) will be pulled"
        ]
    );
    assert_eq!(
        about(&found, "reloads"),
        ["ok: HAProxy 2.6 reloads without losing a connection"]
    );
}

#[test]
fn settings_and_files_that_will_not_do_are_failures_beside_the_rest() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        let found = report(
            &sandbox,
            1,
            &[
                "--lb-port",
                "80x",
                "--lb-ctr-name",
                "-",
                "--config-out",
                "no/such/x.cfg",
            ],
        );
        assert_eq!(about(&found, "settings").len(), 2);
        assert_eq!(
            about(&found, "settings")[1],
            "failure: LB_PORT is `80x` (--lb-port): a port is a whole number from 1 to 65535"
        );
        assert!(about(&found, "haproxy.cfg")[0].starts_with("failure: `no/such/x.cfg`"));
        assert_eq!(about(&found, "names"), [""; 0]);
        assert!(about(&found, "external-network")[0].starts_with("ok"));
        assert_eq!(about(&found, "images").len(), 2);
    }
}

#[test]
fn a_set_of_tls_variables_that_does_not_fit_is_told() {
    let sandbox = Sandbox::new(Flavor::Vch);
    let ran = sandbox.tool_with(&["doctor", "--format", "json"], |command| {
        command
            .env("DOCKER_HOST", "tcp://vch:2375")
            .env("DOCKER_TLS_VERIFY", "0")
    });
    let found = ran.code(1).json();
    assert_eq!(
        about(&found, "tls"),
        [
            "warning: DOCKER_TLS_VERIFY is `0`, which counts as set: docker verifies",
            "failure: `$SANDBOX/home/.docker/ca.pem`, `$SANDBOX/home/.docker/cert.pem` and `$SANDBOX/home/.docker/key.pem` are not there (docker's own folder, since DOCKER_CERT_PATH is not set): docker does nothing without ca.pem",
            "warning: switched on, but port 2375 is the one without it"
        ]
    );
}

#[test]
fn the_endpoint_is_asked_once_what_it_is() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        report(&sandbox, 0, &[]);
        let calls = sandbox.calls();
        let asked = calls.iter().filter(|call| call.words[0] == "info").count();
        assert_eq!(asked, 1, "{}", sandbox.calls_text());
    }
}
