//! Several services on one endpoint, and several admins of one service.

use serde_json::{Value, json};

use super::sandbox::{FLAVORS, Flavor, Listener, Sandbox};
use super::scene::{ANSWER, quickly};

/// Everybody who may serve.
fn around(sandbox: &Sandbox) -> Vec<Listener> {
    [
        "127.50.0.2",
        "127.50.0.3",
        "127.50.0.4",
        "127.50.0.130",
        "127.50.0.131",
    ]
    .map(|address| sandbox.listen(address, 80, 200))
    .into()
}

/// The second service's own settings: a prefix that looks like an instance of the first.
const SECOND: [&str; 4] = ["--instance-ctr-prefix", "web-2", "--lb-ctr-name", "lb2"];

fn second<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&SECOND[..], more].concat()
}

/// What belongs to a service, of the whole.
fn part(sandbox: &Sandbox, ours: fn(&str) -> bool) -> Value {
    let mut state = sandbox.state();
    let containers = state["containers"].as_object_mut().unwrap();
    containers.retain(|name, _| ours(name));
    let starts: Vec<Value> = containers
        .keys()
        .map(|name| sandbox.container(name)["starts"].clone())
        .collect();
    json!({"containers": containers, "starts": starts})
}

fn first_s(name: &str) -> bool {
    !second_s(name)
}

fn second_s(name: &str) -> bool {
    name == "lb2" || name.starts_with("web-2-")
}

#[test]
fn what_is_done_to_one_leaves_the_other_exactly_as_it_was() {
    for flavor in FLAVORS {
        for shared in [true, false] {
            let sandbox = Sandbox::new(flavor);
            let (low, high) = (
                sandbox.address("127.50.0.0/25"),
                sandbox.address("127.50.0.128/25"),
            );
            sandbox.config(
                json!({"networks": {"routable": {"subnet": low}, "dmz": {"subnet": high}}}),
            );
            let _around = around(&sandbox);
            let net = if shared { "routable" } else { "dmz" };
            sandbox.up(&["-n", "2"]).success().stdout(ANSWER);
            let first = part(&sandbox, first_s);
            let at = |more: &[&'static str]| second(&[&["--external-net", net], more].concat());
            let commands: [(&str, Vec<&str>); 5] = [
                ("up", at(&["-n", "2"])),
                ("scale", at(&["3"])),
                (
                    "rollout",
                    at(&["--instance-img", "httpd:2", "--batch", "9"]),
                ),
                ("scale", at(&["1"])),
                ("status", at(&[])),
            ];
            for (command, arguments) in &commands[..4] {
                sandbox.quick(command, arguments).success();
                assert_eq!(part(&sandbox, first_s), first, "{command}");
            }
            let (command, arguments) = &commands[4];
            let ran = sandbox
                .tool(&[&[*command], &arguments[..]].concat())
                .success();
            ran.stdout_has("service web-2: healthy at ");
            assert_eq!(sandbox.networks(), ["web-2-net", "web-net"]);

            let other = part(&sandbox, second_s);
            sandbox.quick("scale", &["4"]).success();
            assert_eq!(part(&sandbox, second_s), other, "scale");
            sandbox
                .quick("rollout", &["--force", "--batch", "9"])
                .success();
            assert_eq!(part(&sandbox, second_s), other, "rollout");
            let ran = sandbox.tool(&["status"]).success();
            assert!(
                !ran.stdout.contains("web-2-") && !ran.stdout.contains("lb2"),
                "{ran}"
            );
            let ran = sandbox.tool(&["logs"]).success();
            assert!(
                !ran.stdout.contains("web-2-") && !ran.stdout.contains("lb2"),
                "{ran}"
            );
            sandbox.tool(&["down"]).success().stderr_lacks("left alone");
            assert_eq!(part(&sandbox, second_s), other, "down");
            assert_eq!(sandbox.networks(), ["web-2-net"]);
            sandbox.tool(&[&["down"], &at(&[])[..]].concat()).success();
            assert!(sandbox.containers().is_empty() && sandbox.networks().is_empty());
        }
    }
}

#[test]
fn a_failure_of_one_leaves_the_other_as_it_was() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        let _around = around(&sandbox);
        sandbox.up(&["-n", "2"]).success();
        let before = sandbox.state();
        sandbox.config(json!({"images": {"httpd:bad": {"exits": 1}}}));
        sandbox.rule(json!({"when": ["start", "lb2"], "exit": 1, "stderr": "Error response from daemon: no"}));
        sandbox.up(&second(&["-n", "3"])).code(1);
        sandbox.assert_state(&before, "");
    }
}

#[test]
fn a_load_balancers_name_is_one_services_alone() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        sandbox.script_has_run(2);
        let before = sandbox.state();
        sandbox
            .up(&["--instance-ctr-prefix", "api"])
            .code(1)
            .stdout("")
            .stderr_has("error: a container called `lb` is there and does not belong to this service: it was made from `haproxy:1.7`")
            .stderr_has("not on `api-net`")
            .stderr_has("hint: if it is of the service with INSTANCE_CTR_PREFIX=web, say so; else choose another LB_CTR_NAME\n");
        assert!(sandbox.changing_calls().is_empty());
        sandbox.assert_state(&before, "");
        for command in [vec!["scale", "2"], vec!["rollout"], vec!["logs"]] {
            sandbox
                .tool(&[&command[..], &["--instance-ctr-prefix", "api"]].concat())
                .code(1)
                .stdout("");
        }
        let ran = sandbox
            .tool(&["down", "--instance-ctr-prefix", "api"])
            .success();
        ran.stderr_has("`lb` is left alone");
        assert!(sandbox.changing_calls().is_empty());
        sandbox.assert_state(&before, "");
    }
}

#[test]
fn a_service_behind_a_load_balancer_of_another_name_is_not_touched() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        let _around = around(&sandbox);
        let api = ["--instance-ctr-prefix", "api"];
        let named = [&api[..], &["--lb-ctr-name", "api-lb"]].concat();
        sandbox.up(&[&named[..], &["-n", "2"]].concat()).success();
        // Whether or not there is a load balancer of the default name, which is another service's.
        for other in [false, true] {
            if other {
                sandbox.up(&["-n", "1"]).success();
            }
            let before = sandbox.state();
            let what = "`api-lb` is on `api-net` and on `routable`, as this service's load balancer would be, but \
                        LB_CTR_NAME is `lb`";
            let remedy = "set LB_CTR_NAME=api-lb (`lb` came from the default); if `api-lb` is something else, take it \
                          off `api-net` first";
            sandbox.forget_calls();
            for command in [
                vec!["up"],
                vec!["scale", "3"],
                vec!["rollout"],
                vec!["down"],
            ] {
                sandbox
                    .quick(command[0], &[&command[1..], &api].concat())
                    .code(1)
                    .stdout("")
                    .stderr_has(&format!("error: {what}\nhint: {remedy}\n"));
            }
            let ran = sandbox.tool(&[&["status"], &api[..]].concat()).code(3);
            let ran = ran.stdout_has(&format!("\n{what}\n  to mend it: {remedy}\n"));
            assert_eq!(ran.stdout.matches("to mend it").count(), 1, "{ran}");
            assert!(sandbox.changing_calls().is_empty());
            sandbox.assert_state(&before, "");
            let flag = [&api[..], &["--lb-ctr-name", "gone"]].concat();
            sandbox
                .quick("down", &flag)
                .code(1)
                .stderr_has("(`gone` came from --lb-ctr-name)");
        }
        // One that is really gone keeps nobody from taking down the rest, and strangers are no load balancers.
        sandbox
            .docker(&["run", "-d", "--name", "db", "--net", "api-net", "httpd"])
            .success();
        sandbox.docker(&["rm", "-f", "api-lb"]).success();
        sandbox.quick("down", &named).success();
        assert_eq!(sandbox.containers(), ["db", "lb", "web-1"]);
    }
}

#[test]
fn two_admins_deploy_the_same_service_at_the_same_time() {
    for flavor in FLAVORS {
        for jobs in ["1", "4"] {
            let sandbox = Sandbox::new(flavor);
            let _around = around(&sandbox);
            sandbox.config(json!({"delays_ms": {
                "pull": 30, "network": 40, "run": 60, "create": 60, "connect": 30, "cp": 30, "start": 50,
            }}));
            let arguments = quickly("up", &["-n", "3", "--jobs", jobs]);
            let (one, other) = (sandbox.start(&arguments), sandbox.start(&arguments));
            let (one, other) = (one.finish(), other.finish());
            for ran in [&one, &other] {
                match ran.code {
                    Some(0) => assert_eq!(ran.stdout, ANSWER, "{ran}"),
                    Some(1) => assert!(
                        ran.stdout.is_empty() && ran.stderr.contains("error: "),
                        "{ran}"
                    ),
                    _ => panic!("{ran}"),
                }
            }
            if one.code == Some(0) && other.code == Some(0) {
                sandbox.assert_serves(3);
            }
            assert!(
                one.code == Some(0) || other.code == Some(0),
                "{one}{other}{}",
                sandbox.calls_text()
            );
            // Whatever came of it, the next run completes it.
            sandbox.up(&["-n", "3"]).success();
            sandbox.assert_serves(3);
        }
    }
}

#[test]
fn one_comes_while_the_other_is_at_it() {
    for flavor in FLAVORS {
        for hanging in ["run -d -p 80 --name web-2", "create --name lb", "start lb"] {
            let sandbox = Sandbox::new(flavor);
            let _around = around(&sandbox);
            let words: Vec<String> = hanging.split(' ').map(str::to_owned).collect();
            sandbox.rule(json!({"when": words, "hang": "go"}));
            let slow = sandbox.start(&quickly("up", &["-n", "2", "--jobs", "1"]));
            sandbox.wait_for_call(hanging);
            // The second one takes over what is there and completes it.
            sandbox
                .up(&["-n", "2", "--jobs", "1"])
                .success()
                .stdout(ANSWER);
            sandbox.release("go");
            let ran = slow.finish();
            assert_eq!(
                ran.code,
                Some(0),
                "{hanging}: {ran}{}",
                sandbox.calls_text()
            );
            sandbox.assert_serves(2);
        }
    }
}

#[test]
fn two_services_are_deployed_at_the_same_time() {
    for flavor in [Flavor::Vch, Flavor::Engine] {
        let sandbox = Sandbox::new(flavor);
        let _around = around(&sandbox);
        let (first, other) = (
            quickly("up", &["-n", "2"]),
            [&["--config-out", "second.cfg"], &second(&["-n", "2"])[..]].concat(),
        );
        let other = quickly("up", &other);
        let (one, other) = (sandbox.start(&first), sandbox.start(&other));
        one.finish().success();
        other.finish().success();
        assert_eq!(
            sandbox.containers(),
            ["lb", "lb2", "web-1", "web-2", "web-2-1", "web-2-2"]
        );
        let loaded = sandbox.loaded_config("lb2").unwrap();
        for name in ["web-2-1", "web-2-2"] {
            let server = format!(" {}:80 ", sandbox.sent_to_at(name, "web-2-net"));
            assert!(loaded.contains(&server), "{server}{loaded}");
        }
        assert_eq!(sandbox.loaded_config("lb"), Some(sandbox.default_config(2)));
    }
}
