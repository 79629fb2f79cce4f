//! Keeps the fake honest: what it takes and refuses, the real client takes and refuses. Calls go to an address where no one
//! listens: a real client that understands its arguments gets as far as saying so.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::sandbox::{Flavor, Sandbox};

const NOWHERE: &str = "tcp://127.0.0.1:1";

/// The real client, if this machine has one.
fn real_client() -> Option<PathBuf> {
    let found = which::which("docker").ok();
    if found.is_none() {
        eprintln!("SKIPPED: no docker client in PATH, so nothing was compared with a real one");
    }
    found
}

/// What the real client says to a call that reaches no endpoint.
fn real(docker: &PathBuf, arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(docker)
        .args(arguments)
        .env("DOCKER_HOST", NOWHERE)
        .env("DOCKER_CONFIG", "/nonexistent")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

/// Whether the real client understands a call; why not, if it doesn't.
pub(crate) fn understood(docker: &PathBuf, arguments: &[&str]) -> Result<(), String> {
    let (code, stderr) = real(docker, arguments);
    let reached = stderr.contains("Cannot connect to the Docker daemon")
        || stderr.contains("connection refused");
    if (code == Some(0) || reached) && !stderr.contains("deprecated") {
        Ok(())
    } else {
        Err(stderr)
    }
}

/// Every shape of call that the tool makes, or might.
const GOOD: &[&str] = &[
    "version --format '{{json .}}'",
    "info --format '{{json .}}'",
    "pull httpd",
    "pull -q haproxy:1.7",
    "image inspect --format '{{json .}}' httpd haproxy:1.7",
    "network create web-net",
    "network create --label a=b --internal --subnet 10.9.0.0/24 web-net",
    "network inspect web-net routable",
    "network inspect --format '{{json .}}' web-net",
    "network ls --format '{{json .}}' --filter name=web-net",
    "network connect web-net lb",
    "network rm web-net",
    "run -d -p 80 --name web-1 --net web-net httpd",
    "run -d -p 80 -p 8443:443 --name web-1 --net web-net --env A=b -e C --memory 512m --cpus 1.5 --label x=y -l z \
        --restart always --user 99 --hostname h --entrypoint /bin/x --network-alias svc -w /srv --log-driver json-file \
        --log-opt max-size=1m --read-only --cap-add NET_ADMIN --dns 10.0.0.1 -v data:/data --stop-signal SIGTERM httpd \
        httpd-foreground -D X",
    "create --name lb --net routable haproxy:1.7",
    "create --name lb --net routable -p 80:80 --ip 10.0.0.9 --dns 10.0.0.1 haproxy:1.7",
    "start lb",
    "start web-1 web-2",
    "stop web-1",
    "stop -t 30 web-1 web-2",
    "restart -t 1 lb",
    "rm lb",
    "rm -f -v web-1 web-2",
    "rm -fv web-1",
    "kill -s HUP lb",
    "kill --signal TERM lb",
    "rename web-1 web-1-old",
    "exec lb haproxy -c -V -f /usr/local/etc/haproxy/haproxy.cfg",
    "ps -a --no-trunc --filter 'name=^/?(web-[0-9]+|lb)$' --filter network=web-net --format '{{json .}}'",
    "ps -aq --filter label=a=b --filter status=running",
    "inspect lb web-1",
    "inspect --type container --format '{{json .State}}' lb",
    "inspect -f '{{(index .NetworkSettings.Networks \"routable\").IPAddress}}' lb",
    "logs --tail 20 lb",
    "logs --since 2024-01-02T03:04:05.123456789Z -t lb",
    "logs --since 1700000000.5 -f lb",
    "wait lb",
    "port web-1 80",
    "context ls --format '{{json .}}'",
    "context show",
    "context inspect --format '{{json .}}'",
    "network ls --format '{{.Driver}}/{{.Name}}'",
    "-H tcp://127.0.0.1:1 ps",
    "--host tcp://127.0.0.1:1 ps",
];

/// Calls that no client takes.
const BAD: &[&str] = &[
    "run --bogus httpd",
    "run -d",
    "create -Z httpd",
    "create --detach httpd",
    "pull",
    "pull a b",
    "network create",
    "network create a b",
    "network connect web-net",
    "network rm",
    "network create --bogus a",
    "start",
    "stop -s",
    "stop --bogus lb",
    "rm",
    "kill",
    "rename a",
    "cp a",
    "exec lb",
    "ps extra",
    "ps --tail 3",
    "logs",
    "logs --bogus lb",
    "inspect",
    "inspect --bogus lb",
    "image inspect",
    "wait",
    "info extra",
    "run -d -p abc:80 httpd",
    "run -d HTTPD",
    "run -d --log-driver none --log-opt max-size=1m httpd",
];

fn words(line: &str) -> Vec<String> {
    shell_words::split(line).unwrap()
}

fn borrowed(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

/// Whether the fake found fault with the call itself, before any endpoint came into it.
fn refused_by_fake(sandbox: &Sandbox, arguments: &[&str]) -> Option<String> {
    let ran = sandbox.docker(arguments);
    let usage = [
        "unknown",
        "requires",
        "accepts no",
        "flag needs",
        "invalid",
        "Invalid",
        "not a docker command",
        "must be",
    ];
    usage
        .iter()
        .any(|word| ran.stderr.contains(word))
        .then_some(ran.stderr)
}

#[test]
fn what_the_fake_takes_the_real_client_takes() {
    let docker = real_client();
    for line in GOOD {
        let words = words(line);
        let sandbox = Sandbox::new(Flavor::Engine);
        sandbox.config(serde_json::json!({"unreachable": ""}));
        assert_eq!(refused_by_fake(&sandbox, &borrowed(&words)), None, "{line}");
        if let Some(docker) = &docker {
            assert_eq!(understood(docker, &borrowed(&words)), Ok(()), "{line}");
        }
    }
}

#[test]
fn what_the_fake_refuses_the_real_client_refuses() {
    let docker = real_client();
    for line in BAD {
        let words = words(line);
        let sandbox = Sandbox::new(Flavor::Engine);
        sandbox.config(serde_json::json!({"client": "28.2.2"}));
        let fake = sandbox.docker(&borrowed(&words));
        assert!(
            refused_by_fake(&sandbox, &borrowed(&words)).is_some(),
            "{line}\n{fake}"
        );
        let Some(docker) = &docker else { continue };
        let (code, stderr) = real(docker, &borrowed(&words));
        assert!(
            !stderr.contains("Cannot connect"),
            "{line}: the real client takes it"
        );
        assert_eq!(fake.code, code, "{line}\n{fake}\nthe real client: {stderr}");
    }
}

/// `cp` looks at the paths first, so both ends of a real file are needed.
#[test]
fn cp_is_understood_with_a_file() {
    let Some(docker) = real_client() else { return };
    let sandbox = Sandbox::new(Flavor::Engine);
    let file = sandbox.write("haproxy.cfg", "x");
    let file = file.to_str().unwrap();
    for arguments in [
        ["cp", file, "lb:/usr/local/etc/haproxy/haproxy.cfg"],
        ["cp", "lb:/usr/local/etc/haproxy/haproxy.cfg", "-"],
    ] {
        assert_eq!(understood(&docker, &arguments), Ok(()));
    }
}
