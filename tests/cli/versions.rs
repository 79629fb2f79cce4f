//! Which HAProxy it is, and what its haproxy.cfg gets for it.

use serde_json::json;

use super::sandbox::{Listener, Sandbox, script_config};
use super::scene::{CONFIG, on_both};

/// Those who answer for the instances and the load balancer.
fn around(sandbox: &Sandbox) -> [Listener; 2] {
    ["127.50.0.2", "127.50.0.3"].map(|address| sandbox.listen(address, 80, 200))
}

/// Calls that look at `what`.
fn looks(sandbox: &Sandbox, what: &str) -> usize {
    let calls = sandbox.calls_text();
    calls.lines().filter(|call| call.contains(what)).count()
}

#[test]
fn the_environment_tells_the_version_where_the_tag_does_not() {
    on_both(|flavor| {
        for (image, env, expected) in [
            (
                "team/lb:1.4",
                &["HAPROXY_VERSION=2.6.12"][..],
                (true, false),
            ),
            ("team/lb", &["HAPROXY_VERSION=3.4.1"], (true, true)),
            ("team/lb:1.4", &["A=b", "HAPROXY_VERSION="], (false, true)),
        ] {
            let sandbox = Sandbox::new(flavor);
            let _around = around(&sandbox);
            sandbox.config(json!({"images": {image: {"haproxy": "2.6", "env": env}}}));
            let arguments = ["-n", "1", "--lb-img", image];
            sandbox.up(&arguments).success();
            let loaded = sandbox.loaded_config("lb").unwrap();
            let found = (
                loaded.contains(" expose-fd listeners\n"),
                loaded.contains("\tbalance roundrobin\n"),
            );
            assert_eq!(found, expected, "{image} {env:?}: {loaded}");
            assert!(
                loaded.contains("\tstats socket /tmp/haproxy.sock "),
                "{loaded}"
            );
            sandbox.forget_calls();
            sandbox.up(&arguments).success().stderr_has("up to date");
            sandbox.tool(&["status"]).success();
            sandbox.quick("scale", &["2"]).success();
            assert!(
                looks(&sandbox, "image inspect") == 0,
                "{}",
                sandbox.calls_text()
            );
        }
    });
}

#[test]
fn the_environment_is_right_where_the_tag_says_something_else() {
    on_both(|flavor| {
        let sandbox = Sandbox::new(flavor);
        let _around = around(&sandbox);
        let preset = json!({"haproxy": "2.6", "env": ["HAPROXY_VERSION=2.6.12"]});
        sandbox.config(json!({"images": {"mirror.example/haproxy:1.7": preset}}));
        let image = "mirror.example/haproxy:1.7";
        let arguments = ["-n", "1", "--lb-img", image, "--server-address", "name"];
        sandbox.up(&arguments).success();
        assert_eq!(sandbox.loaded_config("lb"), Some(script_config(1)));
        sandbox.quick("scale", &["2"]).success();
        let loaded = sandbox.loaded_config("lb").unwrap();
        assert!(loaded.contains(" expose-fd listeners\n"), "{loaded}");
    });
}

#[test]
fn a_dead_name_does_not_keep_the_load_balancer_from_starting_again() {
    on_both(|flavor| {
        let sandbox = Sandbox::new(flavor);
        let _around = around(&sandbox);
        sandbox
            .up(&["-n", "2", "--lb-img", "haproxy:2.6"])
            .success();
        sandbox.docker_line("rm -f web-2").success();
        sandbox.docker_line("restart -t 1 lb").success();
        assert_eq!(sandbox.container("lb")["status"], "running");
        let ran = sandbox.tool(&["status"]).code(3);
        ran.stdout_has("`lb` sends to `web-2`, which is not there");
    });
}

#[test]
fn a_server_that_is_left_out_is_no_success() {
    on_both(|flavor| {
        let sandbox = Sandbox::new(flavor);
        let _around = around(&sandbox);
        let resolves = |yes: bool| {
            sandbox.config(json!({"names_resolve": yes}));
        };
        resolves(false);
        let image = "haproxy:2.6";
        let arguments = ["-n", "1", "--lb-img", image, "--server-address", "name"];
        sandbox
            .up(&arguments)
            .code(1)
            .stderr_has("error: `lb` sends nothing to `web-1`")
            .stderr_has("hint: the load balancer could not resolve `web-1`")
            .stderr_has("undone");
        assert!(sandbox.containers().is_empty());
        resolves(true);
        sandbox.up(&arguments).success();
        let before = sandbox.loaded_config("lb").unwrap();
        resolves(false);
        sandbox
            .quick("scale", &["2"])
            .code(1)
            .stderr_has("error: HAProxy in `lb` would send nothing to `web-")
            .stderr_has("hint: the load balancer could not resolve `web-");
        assert_eq!(
            sandbox.loaded_config("lb").as_deref(),
            Some(before.as_str())
        );
        assert_eq!(sandbox.file_in("lb", CONFIG), Some(before));
        assert_eq!(sandbox.containers(), ["lb", "web-1"]);
    });
}
