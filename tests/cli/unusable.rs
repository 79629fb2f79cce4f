//! docker, or what is behind it, can't be used: exit code 4, and nothing is changed.

use std::fs;

use serde_json::json;

use super::sandbox::{Flavor, Sandbox};
use super::scene::on_both;

#[test]
fn no_docker_client() {
    let sandbox = Sandbox::new(Flavor::Engine);
    sandbox
        .tool_with(&["up"], |command| command.env("PATH", "/nonexistent"))
        .code(4)
        .stdout("")
        .stderr(
            "error: no docker client: `docker` was not found\n\
             hint: install the docker client, or name it with --docker PATH; `docker` is not on PATH\n",
        );
    sandbox
        .tool(&["up", "--docker", "/nonexistent/docker"])
        .code(4)
        .stderr_has("no docker client: `/nonexistent/docker` was not found")
        .stderr_has("--docker names a file that is not there, or that may not be executed");
    let file = sandbox.write("docker", "not a program");
    sandbox
        .tool(&["up", "--docker", file.to_str().unwrap()])
        .code(4);
    assert!(sandbox.calls().is_empty());
}

#[test]
fn a_client_that_can_not_be_executed() {
    use std::os::unix::fs::PermissionsExt;
    let sandbox = Sandbox::new(Flavor::Engine);
    let file = sandbox.write("docker", "#!/nonexistent/interpreter\n");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    sandbox
        .tool(&["up", "--docker", file.to_str().unwrap()])
        .code(4)
        .stdout("")
        .stderr_has("error: the endpoint did not say what it is\n")
        .stderr_has("docker could not be started");
}

/// What clients say about an endpoint that is not there, and a word of what is said about it.
const UNREACHABLE: [(&str, &str); 6] = [
    (
        "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
        "no engine runs on this machine",
    ),
    (
        "error during connect: Get \"http://vch:2375/v1.24/info\": dial tcp 10.0.0.9:2375: connect: connection refused",
        "check that the endpoint is up",
    ),
    (
        "error during connect: Get \"https://vch:2376/v1.24/info\": x509: certificate signed by unknown authority",
        "ca.pem of DOCKER_CERT_PATH",
    ),
    (
        "Error response from daemon: Client sent an HTTP request to an HTTPS server.",
        "one side speaks TLS and the other does not",
    ),
    (
        "error during connect: Get \"http://nowhere/v1.24/info\": dial tcp: lookup nowhere: no such host",
        "does not resolve",
    ),
    (
        "Got permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock: Get \
         \"http://%2Fvar%2Frun%2Fdocker.sock/v1.24/info\": dial unix /var/run/docker.sock: connect: permission denied",
        "hint: ",
    ),
];

#[test]
fn an_endpoint_that_is_not_there() {
    for (text, hint) in UNREACHABLE {
        let sandbox = Sandbox::new(Flavor::Vch);
        sandbox.config(json!({"unreachable": text}));
        let unreachable = ["Cannot connect", "connection refused", "no such host"];
        let what = if unreachable.iter().any(|words| text.contains(words)) {
            "can't be reached"
        } else {
            "did not say what it is"
        };
        for arguments in [vec!["up"], vec!["up", "--dry-run"], vec![]] {
            sandbox
                .tool(&arguments)
                .code(4)
                .stdout("")
                .stderr_has(&format!("error: the endpoint {what}\n"))
                .stderr_has("  docker info --format '{{json .}}'\n")
                .stderr_has(&format!("  | {text}\n"))
                .stderr_has(hint);
        }
        assert!(sandbox.changing_calls().is_empty());
    }
}

/// The client of 20.10 exits with 0 and puts the errors into its answer.
#[test]
fn an_endpoint_that_is_not_there_by_a_client_that_succeeds() {
    for (text, hint) in UNREACHABLE {
        let sandbox = Sandbox::new(Flavor::Engine);
        let info = json!({"ID": "", "Containers": 0, "ServerErrors": [text], "ClientInfo": {"Debug": false}});
        sandbox.rule(json!({"when": ["info"], "stdout": info.to_string(), "exit": 0}));
        sandbox
            .tool(&["up"])
            .code(4)
            .stdout("")
            .stderr_has(&format!("  | {text}\n"))
            .stderr_has(hint);
        assert!(sandbox.changing_calls().is_empty());
    }
}

/// An answer in which every object is cut in half.
const HALF: &str = "[{\"Name\":\"web-1\",\"Sta";
const HALF_LINE: &str = "{\"Name\":\"/web-1\",\"State\":{\"Sta";

#[test]
fn answers_that_are_none() {
    let answers = [
        (
            "garbage",
            json!({"stdout": "<html>502 Bad Gateway</html>\n", "exit": 0}),
        ),
        ("nothing", json!({"stdout": "", "exit": 0})),
        (
            "invalid UTF-8",
            json!({"raw_stdout_hex": "fffe007b5c78c3280a", "exit": 0}),
        ),
        ("half of it", json!({"stdout": HALF, "exit": 0})),
        ("half of a line", json!({"stdout": HALF_LINE, "exit": 0})),
        (
            "other types",
            json!({"stdout": "{\"ID\":[],\"Name\":{},\"Driver\":7}\n", "exit": 0}),
        ),
        ("far too much", json!({"stdout_bytes": 20 << 20, "exit": 0})),
        ("a signal", json!({"signal": 9})),
    ];
    let sandbox = Sandbox::new(Flavor::Engine);
    sandbox.script_has_run(1);
    let before = sandbox.state();
    for (look, when) in [
        ("info", json!(["info"])),
        ("networks", json!(["network", "inspect"])),
        ("names", json!(["ps"])),
        ("containers", json!(["inspect", "--type"])),
    ] {
        for (answer, rule) in &answers {
            // No name at all is an answer, and half a JSON object can't come where none is asked for.
            if look == "names" && *answer == "nothing" {
                continue;
            }
            sandbox.no_rules().forget_calls();
            let mut rule = rule.clone();
            rule["when"] = when.clone();
            sandbox.rule(rule);
            let ran = sandbox.up(&[]);
            let expected = if *answer == "a signal" && look != "info" {
                1
            } else {
                4
            };
            assert_eq!(ran.code, Some(expected), "{look}, {answer}\n{ran}");
            assert_eq!(ran.stdout, "", "{look}, {answer}\n{ran}");
            assert!(ran.stderr.len() < 4000, "{look}, {answer}\n{ran}");
            assert!(
                sandbox.changing_calls().is_empty(),
                "{look}, {answer}:\n{}",
                sandbox.calls_text()
            );
            sandbox.assert_state(&before, "");
        }
    }
}

#[test]
fn warnings_around_an_answer_do_no_harm() {
    let sandbox = Sandbox::new(Flavor::Engine);
    sandbox.script_has_run(3);
    sandbox.rule(json!({"when": [], "nth": 0, "stderr": "WARNING: No swap limit support"}));
    sandbox.up(&[]).success().stderr_has("up to date");
}

#[test]
fn a_container_id_that_is_none() {
    on_both(|flavor| {
        for (when, what) in [
            (json!(["run", "web-2"]), "`web-2` was not started"),
            (
                json!(["create", "lb"]),
                "the load balancer `lb` was not created",
            ),
        ] {
            for (stdout, said) in [
                ("", "docker succeeded, but printed no container ID\n"),
                (
                    "login: \n",
                    "docker succeeded, but printed no container ID: login:\n",
                ),
            ] {
                let sandbox = Sandbox::new(flavor);
                let rule = json!({"when": when, "before": false, "stdout": stdout});
                sandbox.rule(rule);
                sandbox
                    .up(&[])
                    .code(4)
                    .stdout("")
                    .stderr_has(what)
                    .stderr_has(said)
                    .stderr_has("what was done has been undone");
                assert!(sandbox.containers().is_empty() && sandbox.networks().is_empty());
            }
        }
    });
}

#[test]
fn docker_killed_by_a_signal_while_it_changes_something() {
    on_both(|flavor| {
        let sandbox = Sandbox::new(flavor);
        sandbox.rule(json!({"when": ["run", "web-2"], "before": false, "signal": 9}));
        sandbox
            .up(&[])
            .code(1)
            .stderr_has("`web-2` was not started")
            .stderr_has("docker was killed by signal 9");
        assert!(sandbox.containers().is_empty() && sandbox.networks().is_empty());
    });
}
