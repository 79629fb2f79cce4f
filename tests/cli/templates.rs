//! Templates that lie in a load balancer, and that anybody who can use the endpoint may have written.

use std::time::{Duration, Instant};

use super::sandbox::{Listener, Sandbox};
use super::scene::{CONFIG, on_both};

const OWN: &str = "defaults\n\tmode {{mode}}\n\ttimeout connect 5s\n\ttimeout client 5s\n\ttimeout server 5s\nfrontend \
                   http-in\n\tbind *:{{lb_port}}\n\tdefault_backend servers\nbackend servers\n{{#each servers}}\n\tserver \
                   server{{number}} {{address}}:{{../instance_port}}\n{{/each}}\n";

/// Far more than a look takes, and far less than what these would.
const SOON: Duration = Duration::from_secs(20);

/// Those who answer for the instances and the load balancer.
fn around(sandbox: &Sandbox) -> [Listener; 2] {
    ["127.50.0.2", "127.50.0.3"].map(|address| sandbox.listen(address, 80, 200))
}

#[test]
fn one_that_would_take_stack_memory_or_time_is_told_and_refused() {
    let nested = |open: &str, count: usize, close: &str| {
        format!("{OWN}{}{}", open.repeat(count), close.repeat(count))
    };
    let hostile = [
        (
            format!("{OWN}{{{{#*inline \"x\"}}}}{{{{> x}}}}{{{{/inline}}}}{{{{> x}}}}"),
            "partials and decorators",
        ),
        (
            nested("{{#each servers}}", 40, "{{/each}}"),
            "it repeats too much",
        ),
        (
            nested("{{#if mode}}", 10_000, "{{/if}}"),
            "it has more than 2000 `{{`",
        ),
    ];
    on_both(|flavor| {
        let sandbox = Sandbox::new(flavor);
        let _around = around(&sandbox);
        sandbox.write("own.hbs", OWN);
        let arguments = ["-n", "1", "--template", "own.hbs"];
        sandbox.up(&arguments).success();
        let before = sandbox.loaded_config("lb").unwrap();
        for (template, why) in &hostile {
            let file = sandbox.write("hostile.hbs", template);
            let to = "lb:/usr/local/etc/haproxy/haproxy.cfg.hbs";
            sandbox
                .docker(&["cp", file.to_str().unwrap(), to])
                .success();
            sandbox.forget_calls();
            let started = Instant::now();
            let what =
                "the template that the haproxy.cfg in `lb` was rendered from can't be used: ";
            sandbox
                .tool(&["status"])
                .code(3)
                .stdout_has(&format!("{what}{why}"))
                .stdout_has(" --overwrite");
            for command in [["scale", "2"], ["rollout", "--force"]] {
                sandbox
                    .quick(command[0], &command[1..])
                    .code(1)
                    .stderr_has(&format!("{what}{why}"))
                    .stderr_has("hint: `vch-lb up --overwrite`");
            }
            // Nor is it taken from this workstation.
            sandbox
                .up(&["-n", "1", "--template", "hostile.hbs"])
                .code(2)
                .stderr_has(why);
            assert!(started.elapsed() < SOON, "{:?}", started.elapsed());
            assert!(sandbox.changing_calls().is_empty());
            assert_eq!(
                sandbox.loaded_config("lb").as_deref(),
                Some(before.as_str())
            );
        }
        sandbox
            .up(&[&arguments[..], &["--overwrite"]].concat())
            .success();
        sandbox.tool(&["status"]).success();
        assert_eq!(sandbox.loaded_config("lb"), Some(before));
        sandbox.tool(&["down"]).success();
    });
}

#[test]
fn one_that_was_edited_in_the_load_balancer_is_told_and_left_alone() {
    on_both(|flavor| {
        let sandbox = Sandbox::new(flavor);
        let _around = around(&sandbox);
        sandbox.write("own.hbs", OWN);
        let arguments = ["-n", "1", "--template", "own.hbs"];
        sandbox.up(&arguments).success();
        let before = sandbox.loaded_config("lb");
        let edited = OWN.replace("connect 5s", "connect 6s");
        let put = |text: &str| {
            let file = sandbox.path("content");
            std::fs::write(&file, text).unwrap();
            let to = "lb:/usr/local/etc/haproxy/haproxy.cfg.hbs";
            sandbox
                .docker(&["cp", file.to_str().unwrap(), to])
                .success();
            sandbox.forget_calls();
        };
        put(&edited);
        let what = "the template in `lb` is not the one that its haproxy.cfg was rendered from";
        sandbox
            .tool(&["status"])
            .code(3)
            .stdout_has(what)
            .stdout_has(" --overwrite");
        for command in [
            &["scale", "2"][..],
            &["rollout", "--force"],
            &[&["up"], &arguments[..]].concat(),
        ] {
            sandbox
                .quick(command[0], &command[1..])
                .code(1)
                .stderr_has(what)
                .stderr_has("--overwrite");
        }
        assert!(sandbox.changing_calls().is_empty());
        assert_eq!(sandbox.loaded_config("lb"), before);
        // A run that brings that one was stopped before its reload: the next one goes on.
        sandbox.write("own.hbs", &edited);
        sandbox.up(&arguments).success();
        sandbox.tool(&["status"]).success();
        sandbox.write("own.hbs", OWN);
        put(OWN);
        put(&format!("{edited}\n"));
        sandbox
            .up(&[&arguments[..], &["--overwrite"]].concat())
            .success();
        sandbox.tool(&["status"]).success();
        assert_eq!(sandbox.loaded_config("lb"), before);
        put(&edited);
        sandbox.tool(&["down"]).success();
    });
}

#[test]
fn one_that_is_gone_is_told_and_put_back() {
    on_both(|flavor| {
        let sandbox = Sandbox::new(flavor);
        let _around = around(&sandbox);
        sandbox.write("own.hbs", OWN);
        let arguments = ["-n", "1", "--template", "own.hbs"];
        sandbox.up(&arguments).success();
        let file = sandbox.path("work/haproxy.cfg");
        let rendered = sandbox.read("haproxy.cfg");
        sandbox.tool(&["down"]).success();
        sandbox.script_has_run(1);
        std::fs::write(&file, rendered).unwrap();
        let to = format!("lb:{CONFIG}");
        sandbox
            .docker(&["cp", file.to_str().unwrap(), &to])
            .success();
        sandbox
            .tool(&["status"])
            .code(3)
            .stdout_has("can't be used: it is not there");
        sandbox
            .quick("scale", &["2"])
            .code(1)
            .stderr_has("it is not there");
        sandbox.up(&arguments).success();
        sandbox.tool(&["status"]).success();
    });
}
