//! Every instance replaced while the load balancer serves, and the way back from every failure.

use std::thread;

use serde_json::{Value, json};

use super::sandbox::{FLAVORS, Flavor, Sandbox, script_config};
use super::scene::{ANSWER, CONFIG, on_both, reload_calls};

fn run_call(number: usize, image: &str) -> String {
    format!("docker run -d -p 80 --name web-{number} --net web-net {image}")
}

/// Calls one behind the other, from single ones and groups.
fn flat(parts: &[&[String]]) -> Vec<String> {
    parts.concat()
}

fn one(call: &str) -> [String; 1] {
    [call.to_owned()]
}

/// The old ones: never stopped, never started again.
fn untouched(sandbox: &Sandbox, ids: &Value) {
    for (name, id) in ids.as_object().unwrap() {
        let now = sandbox.container(name);
        assert_eq!(now["id"], *id, "{name}");
        assert_eq!(now["starts"], 1, "{name}");
        assert_eq!(now["status"], "running", "{name}");
    }
}

fn ids(sandbox: &Sandbox) -> Value {
    let names = sandbox.containers().into_iter();
    names
        .map(|name| {
            let id = sandbox.container(&name)["id"].clone();
            (name, id)
        })
        .collect::<serde_json::Map<_, _>>()
        .into()
}

#[test]
fn another_image_by_flag_start_first() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        sandbox.script_has_run(2);
        let arguments = ["--instance-img", "httpd:2", "--jobs", "1"];
        sandbox
            .quick("rollout", &arguments)
            .success()
            .stdout(ANSWER);
        let reload = reload_calls();
        let expected = flat(&[
            &one("docker pull httpd:2"),
            &[run_call(3, "httpd:2")],
            &reload,
            &[run_call(4, "httpd:2")],
            &reload,
            &one("docker stop -t 10 web-1 web-2"),
            &one("docker rm -f -v web-1 web-2"),
        ]);
        assert_eq!(sandbox.changing_calls(), expected);
        assert_eq!(sandbox.containers(), ["lb", "web-3", "web-4"]);
        let loaded = sandbox.loaded_config("lb").unwrap();
        assert!(loaded.ends_with(
            "server server3 web-3:80 maxconn 32\n\tserver server4 web-4:80 maxconn 32\n"
        ));
        assert_eq!(sandbox.container("lb")["starts"], 1);
    }
}

#[test]
fn another_image_by_environment_takes_the_free_numbers() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        sandbox.script_has_run(1);
        for (image, free) in [("httpd:2", 2), ("httpd:3", 1)] {
            sandbox.forget_calls();
            sandbox
                .tool_with(
                    &["rollout", "--settle", "50ms", "--drain", "100ms"],
                    |command| command.env("INSTANCE_IMG", image),
                )
                .success()
                .stdout(ANSWER);
            assert!(sandbox.changing_calls().contains(&run_call(free, image)));
            assert_eq!(
                sandbox.containers(),
                ["lb".to_owned(), format!("web-{free}")]
            );
        }
        sandbox.forget_calls();
        // What runs now is what the next `scale` uses.
        sandbox.quick("scale", &["2"]).success();
        assert_eq!(sandbox.container("web-2")["image"], "httpd:3");
    }
}

#[test]
fn batches_are_sent_to_one_after_the_other_and_leave_at_the_end() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        sandbox.script_has_run(3);
        let arguments = ["--instance-img", "httpd:2", "--batch", "2", "--jobs", "1"];
        sandbox.quick("rollout", &arguments).success();
        let reload = reload_calls();
        let expected = flat(&[
            &one("docker pull httpd:2"),
            &[run_call(4, "httpd:2"), run_call(5, "httpd:2")],
            &reload,
            &[run_call(6, "httpd:2")],
            &reload,
            &one("docker stop -t 10 web-1 web-2 web-3"),
            &one("docker rm -f -v web-1 web-2 web-3"),
        ]);
        assert_eq!(sandbox.changing_calls(), expected);
        // A second one in a single batch, larger than the service.
        sandbox.forget_calls();
        let arguments = ["--instance-img", "httpd:3", "--batch", "9", "--jobs", "1"];
        sandbox.quick("rollout", &arguments).success();
        let hups = sandbox
            .changing_calls()
            .into_iter()
            .filter(|call| call.contains("HUP"));
        assert_eq!(hups.count(), 1);
        assert_eq!(sandbox.loaded_config("lb"), Some(script_config(3)));
    }
}

#[test]
fn stop_first_takes_them_out_before_their_successors_come() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        sandbox.script_has_run(2);
        let arguments = ["--instance-img", "httpd:2", "--stop-first", "--jobs", "1"];
        sandbox.quick("rollout", &arguments).success();
        let calls = sandbox.changing_calls();
        let reload = reload_calls();
        let expected = flat(&[
            &one("docker pull httpd:2"),
            &reload,
            &one("docker stop -t 10 web-1"),
            &[run_call(3, "httpd:2")],
            &reload,
            &reload,
            &one("docker stop -t 10 web-2"),
            &[run_call(4, "httpd:2")],
            &reload,
        ]);
        assert_eq!(calls[..expected.len()], expected, "{calls:#?}");
        assert_eq!(calls.last().unwrap(), "docker rm -f -v web-1 web-2");
        assert_eq!(sandbox.containers(), ["lb", "web-3", "web-4"]);
        assert_eq!(sandbox.container("lb")["starts"], 1);
    }
}

#[test]
fn stop_first_that_fails_starts_the_old_ones_again() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        sandbox.script_has_run(2);
        sandbox.config(json!({"images": {"httpd:bad": {"exits": 3}}}));
        let before = sandbox.state();
        let arguments = ["--instance-img", "httpd:bad", "--stop-first"];
        sandbox
            .quick("rollout", &arguments)
            .code(1)
            .stderr_has("what was done has been undone");
        assert_eq!(sandbox.loaded_config("lb"), Some(script_config(2)));
        for name in ["web-1", "web-2", "lb"] {
            let pick = |state: &Value| {
                let found = &state["containers"][name];
                (
                    found["id"].clone(),
                    found["status"].clone(),
                    found["files"].clone(),
                )
            };
            assert_eq!(pick(&sandbox.state()), pick(&before), "{name}");
        }
        assert_eq!(sandbox.containers().len(), 3);
    }
}

/// A failure: the endpoint's settings for it, further arguments, words on stderr.
type Trouble = (
    &'static str,
    Value,
    &'static [&'static str],
    &'static [&'static str],
);

fn troubles() -> Vec<Trouble> {
    let image = |preset: Value| json!({"images": {"app:bad": preset}});
    vec![
        (
            "exits at once",
            image(json!({"exits": 3, "logs": ["no configuration, bye"]})),
            &[],
            &[
                "`web-3` did not get ready: it exited with code 3",
                "  | no configuration, bye\n",
            ],
        ),
        (
            "never healthy",
            image(json!({"health": {}, "logs": ["still warming up"]})),
            &["--wait", "400ms"],
            &[
                "`web-3` is not healthy after 0.4 s, by its own health check",
                "  | still warming up\n",
                "--wait",
            ],
        ),
        (
            "unhealthy",
            image(json!({"health": {"unhealthy_after": 1}})),
            &[],
            &["`web-3` did not get ready: it is unhealthy, by its own health check"],
        ),
        (
            "does not start",
            image(json!({"start_error": "OCI runtime create failed: exec: \"app\": not found"})),
            &[],
            &["`web-3` was not", "exec: \"app\": not found"],
        ),
        (
            "is not in the registry",
            image(json!({"refuse": "manifest unknown: manifest unknown"})),
            &[],
            &["manifest unknown"],
        ),
        (
            "names that do not resolve",
            json!({"names_resolve": false}),
            &[],
            &[
                "error: HAProxy in `lb` refuses the new haproxy.cfg\n",
                "[ALERT]",
                "could not resolve address",
                "the load balancer could not resolve `web-",
            ],
        ),
        (
            "names that do not resolve, and nothing can be executed",
            json!({"names_resolve": false, "exec": false}),
            &[],
            &[
                "error: HAProxy in `lb` did not take the new haproxy.cfg\n",
                "[ALERT]",
                "could not resolve address",
            ],
        ),
        (
            "copies that never arrive whole",
            json!({"truncate_cp": 3}),
            &[],
            &["error: haproxy.cfg does not arrive whole in the load balancer `lb`\n"],
        ),
    ]
}

#[test]
fn what_fails_is_undone_and_the_old_ones_never_stop() {
    thread::scope(|scope| {
        for flavor in FLAVORS {
            for (what, config, arguments, words) in troubles() {
                // A VCH runs no health checks: there such an image is ready once it has run for a while.
                if flavor == Flavor::Vch && what.contains("healthy") {
                    continue;
                }
                scope.spawn(move || {
                    let sandbox = Sandbox::new(flavor);
                    sandbox.script_has_run(2);
                    sandbox.config(config);
                    let (before, ids) = (sandbox.state(), ids(&sandbox));
                    let arguments = [&["--instance-img", "app:bad"], arguments].concat();
                    let mut ran = sandbox.quick("rollout", &arguments).code(1).stdout("");
                    for words in words {
                        ran = ran.stderr_has(words);
                    }
                    ran.stderr_lacks("left standing");
                    sandbox.assert_state(&before, what);
                    untouched(&sandbox, &ids);
                });
            }
        }
    });
}

#[test]
fn a_later_batch_that_fails_takes_the_earlier_ones_back_too() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        sandbox.script_has_run(2);
        sandbox.rule(json!({"when": ["run", "web-4"], "exit": 125, "stderr": "docker: Error response from daemon: no more disk"}));
        let (before, ids) = (sandbox.state(), ids(&sandbox));
        sandbox
            .quick("rollout", &["--instance-img", "httpd:2"])
            .code(1)
            .stdout("")
            .stderr_has("no more disk")
            .stderr_has("what was done has been undone\n");
        sandbox.assert_state(&before, "");
        untouched(&sandbox, &ids);
        // web-3 was sent to: it leaves in the proper order.
        let calls = sandbox.changing_calls();
        let at = |words: &str| calls.iter().rposition(|call| call.contains(words)).unwrap();
        assert!(at("cp - lb:") < at("kill -s HUP lb"), "{calls:#?}");
        assert!(at("kill -s HUP lb") < at("rm -f -v web-3"), "{calls:#?}");
    }
}

#[test]
fn one_that_dies_after_it_was_ready_is_found_out_before_the_old_ones_go() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        sandbox.script_has_run(1);
        sandbox.config(json!({"images": {"httpd:2": {"logs": ["out of memory"]}}}));
        let (before, ids) = (sandbox.state(), ids(&sandbox));
        // It goes while the reload is under way.
        sandbox.rule(json!({"when": ["kill", "HUP", "lb"], "hang": "go"}));
        let tool = sandbox.start(&super::scene::quickly(
            "rollout",
            &["--instance-img", "httpd:2"],
        ));
        sandbox.wait_for_call("kill -s HUP lb");
        sandbox.docker(&["kill", "web-2"]).success();
        sandbox.release("go");
        tool.finish()
            .code(1)
            .stderr_has("web-2")
            .stderr_has("what was done has been undone\n");
        sandbox.assert_state(&before, "");
        untouched(&sandbox, &ids);
    }
}

#[test]
fn those_that_do_not_answer_where_their_predecessors_do_never_take_their_place() {
    let sandbox = Sandbox::new(Flavor::Engine);
    let _lb = sandbox.serve();
    sandbox.script_has_run(2);
    sandbox.config(json!({"images": {"httpd": {"exposed": [80]}}}));
    let published = |name: &str| {
        let port = &sandbox.container(name)["publish"][0]["bound"];
        u16::try_from(port.as_u64().unwrap()).unwrap()
    };
    // The predecessors answer on port 80, which is published; nobody does on port 8000.
    let _instances =
        ["web-1", "web-2"].map(|name| sandbox.listen("127.50.0.200", published(name), 200));
    let (before, ids) = (sandbox.state(), ids(&sandbox));
    let endpoint = format!("tcp://{}:2375", sandbox.address("127.50.0.200"));
    let arguments = super::scene::quickly("up", &["-n", "2", "--instance-port", "8000"]);
    sandbox
        .tool_with(&arguments, |command| command.env("DOCKER_HOST", &endpoint))
        .code(1)
        .stdout("")
        .stderr_has("error: `web-3` does not answer on port 8000 after 2.0 s\n")
        .stderr_has("hint: INSTANCE_PORT is 8000, but the image `httpd` exposes `80/tcp`\n")
        .stderr_has("what was done has been undone\n");
    sandbox.assert_state(&before, "");
    untouched(&sandbox, &ids);
}

#[test]
fn a_service_that_answers_no_more_goes_back_to_the_old_ones() {
    // What HAProxy says where it has no server left, and what a service says that is gone.
    let page =
        "HTTP/1.0 503 Service Unavailable\r\n\r\nNo server is available to handle this request.\n";
    let silent = "the service does not answer any more at 127.50.0.2:80, as it did before";
    on_both(|flavor| {
        for (page, said) in [
            (
                Some(page),
                "`lb` answers that none of its instances does on port 80",
            ),
            (
                Some("HTTP/1.0 500 Internal Server Error\r\n\r\n"),
                "the service answers 500 at 127.50.0.2:80; before, it answered 200",
            ),
            (None, silent),
        ] {
            let sandbox = Sandbox::new(flavor);
            let lb = sandbox.serve();
            sandbox.script_has_run(2);
            let (before, ids) = (sandbox.state(), ids(&sandbox));
            sandbox.rule(json!({"when": ["kill", "HUP", "lb"], "nth": 2, "hang": "go"}));
            let arguments = super::scene::quickly("rollout", &["--instance-img", "httpd:2"]);
            let tool = sandbox.start(&arguments);
            sandbox.wait_until("the last reload", || {
                let calls = sandbox.calls();
                let hups = calls.iter().filter(|call| call.words[0] == "kill");
                (hups.count() == 2).then_some(())
            });
            drop(lb);
            let _lb = page.map(|page| sandbox.answer_with("127.50.0.2", 80, page));
            sandbox.release("go");
            tool.finish()
                .code(1)
                .stdout("")
                .stderr_has(said)
                .stderr_has("what was done has been undone\n");
            sandbox.assert_state(&before, said);
            untouched(&sandbox, &ids);
        }
    });
}

#[test]
fn a_lost_hup_is_sent_again() {
    thread::scope(|scope| {
        for flavor in FLAVORS {
            for lb_img in ["haproxy:1.7", "haproxy:2.6"] {
                scope.spawn(move || {
                    let sandbox = Sandbox::new(flavor);
                    let _lb = sandbox.serve();
                    sandbox.up(&["-n", "1", "--lb-img", lb_img]).success();
                    sandbox.config(json!({"lose_hup": 1}));
                    sandbox.forget_calls();
                    sandbox
                        .quick("rollout", &["--instance-img", "httpd:2"])
                        .success()
                        .stderr_has("lb did not react to the reload: asking again\n");
                    let loaded = sandbox.loaded_names("lb").unwrap();
                    assert!(
                        loaded.contains("web-2:80") && !loaded.contains("web-1:80"),
                        "{loaded}"
                    );
                    let changes = sandbox.changing_calls();
                    let hups = changes.iter().filter(|call| call.contains("HUP"));
                    assert_eq!(hups.count(), 2);
                });
            }
        }
    });
}

/// With LB_LOG=stdout HAProxy's own lines are soon far above the end of its log.
#[test]
fn a_lost_hup_is_noticed_however_many_requests_were_logged_since_the_start() {
    let sandbox = Sandbox::new(Flavor::Vch);
    let _lb = sandbox.serve();
    sandbox
        .up(&["-n", "1", "--lb-img", "haproxy:2.6", "--lb-log", "stdout"])
        .success();
    let log = sandbox.docker(&["logs", "-t", "--tail", "1", "lb"]).stdout;
    let time = log.split(' ').next().unwrap();
    let request = "10.0.0.1:9 [x] http-in servers/server1 \"GET /[ALERT] HTTP/1.1\"";
    let requests = format!("{time} {request}\n").repeat(500);
    sandbox.rule(json!({"when": ["logs", "--tail", "500", "lb"], "nth": 0, "stdout": requests}));
    sandbox.config(json!({"lose_hup": 1}));
    sandbox
        .quick("rollout", &["--instance-img", "httpd:2"])
        .success()
        .stderr_has("lb did not react to the reload: asking again\n");
    let loaded = sandbox.loaded_names("lb").unwrap();
    assert!(loaded.contains("web-2:80"), "{loaded}");
}

#[test]
fn a_load_balancer_that_never_hears_is_told_and_everything_is_as_before() {
    thread::scope(|scope| {
        for flavor in FLAVORS {
            scope.spawn(move || {
                let sandbox = Sandbox::new(flavor);
                sandbox.script_has_run(1);
                sandbox.config(json!({"lose_hup": 99}));
                let (before, ids) = (sandbox.state(), ids(&sandbox));
                sandbox
                    .quick("rollout", &["--instance-img", "httpd:2"])
                    .code(1)
                    .stdout("")
                    .stderr_has("the load balancer `lb` does not react to being asked to reload")
                    .stderr_lacks("left standing");
                sandbox.assert_state(&before, "");
                untouched(&sandbox, &ids);
            });
        }
    });
}

#[test]
fn where_nothing_can_be_executed_the_file_is_read_back() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        sandbox.script_has_run(1);
        sandbox.config(json!({"exec": false, "truncate_cp": 1}));
        sandbox
            .quick("rollout", &["--instance-img", "httpd:2"])
            .success()
            .stdout(ANSWER)
            .stderr_has("haproxy.cfg did not arrive whole in lb: copying it again\n");
        let disk = sandbox.file_in("lb", CONFIG);
        assert_eq!(disk, sandbox.loaded_config("lb"));
        assert!(disk.unwrap().contains("web-2:80"));
    }
}

#[test]
fn reloads_keep_a_second_apart() {
    for flavor in FLAVORS {
        for lb_img in ["haproxy:1.8", "haproxy:2.6"] {
            let sandbox = Sandbox::new(flavor);
            let _lb = sandbox.serve();
            sandbox.config(json!({"drop_fast_hup": true}));
            sandbox.up(&["-n", "2", "--lb-img", lb_img]).success();
            sandbox.forget_calls();
            sandbox
                .quick("rollout", &["--instance-img", "httpd:2"])
                .success()
                .stderr_lacks("may reset a connection");
            let calls = sandbox.calls();
            let hups: Vec<_> = calls
                .iter()
                .filter(|call| call.line().contains("HUP"))
                .collect();
            assert_eq!(hups.len(), 2);
            assert!(hups[1].start_ms - hups[0].end_ms >= 990);
            let loaded = sandbox.loaded_names("lb").unwrap();
            assert!(
                loaded.contains("web-4:80") && !loaded.contains("web-2:80"),
                "{loaded}"
            );
        }
    }
}

#[test]
fn the_scripts_haproxy_is_warned_of() {
    let sandbox = Sandbox::new(Flavor::Vch);
    sandbox.script_has_run(1);
    sandbox
        .quick("rollout", &["--instance-img", "httpd:2"])
        .success()
        .stderr_has("LB_IMG=haproxy:1.8 or later keeps all");
}

#[test]
fn the_same_image_is_nothing_to_do_by_its_id() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        sandbox.script_has_run(2);
        let before = sandbox.state();
        for (arguments, changes) in [
            (vec![], vec!["docker pull httpd"]),
            (vec!["--pull", "always"], vec!["docker pull httpd"]),
            (vec!["--pull", "missing"], vec![]),
            (vec!["--pull", "never"], vec![]),
            (vec!["--instance-img", "httpd"], vec!["docker pull httpd"]),
        ] {
            sandbox.forget_calls();
            sandbox
                .quick("rollout", &arguments)
                .success()
                .stdout(ANSWER)
                .stderr_has("already on this image: every instance runs what `httpd` is now\n");
            assert_eq!(sandbox.changing_calls(), changes, "{arguments:?}");
            sandbox.assert_state(&before, "");
        }
        // Another name for the very same image.
        sandbox.config(json!({"images": {"httpd:2.4": {"same_as": "httpd"}}}));
        sandbox
            .quick("rollout", &["--instance-img", "httpd:2.4"])
            .success()
            .stderr_has("already on this image");
        sandbox.assert_state(&before, "");
        // --force replaces all the same.
        sandbox
            .quick("rollout", &["--force"])
            .success()
            .stdout(ANSWER);
        assert_eq!(sandbox.containers(), ["lb", "web-3", "web-4"]);
    }
}

#[test]
fn a_new_image_under_the_same_name_is_rolled_out_if_it_is_fetched() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        sandbox.script_has_run(1);
        sandbox.push_image("httpd");
        for when in ["missing", "never"] {
            sandbox
                .quick("rollout", &["--pull", when])
                .success()
                .stderr_has("already on this image");
        }
        let old = sandbox.container("web-1")["image_id"].clone();
        sandbox.quick("rollout", &[]).success().stdout(ANSWER);
        assert_eq!(sandbox.containers(), ["lb", "web-2"]);
        assert_ne!(sandbox.container("web-2")["image_id"], old);
        sandbox.forget_calls();
        sandbox
            .quick("rollout", &["--instance-img", "httpd:9", "--pull", "never"])
            .code(1)
            .stderr_has("the endpoint does not have the image `httpd:9`")
            .stderr_has("--pull missing fetches it");
        assert!(sandbox.changing_calls().is_empty());
        sandbox
            .quick(
                "rollout",
                &["--instance-img", "httpd:9", "--pull", "missing"],
            )
            .success();
        assert_eq!(sandbox.containers(), ["lb", "web-1"]);
    }
}

#[test]
fn without_a_service_or_with_settings_for_up_it_is_refused() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        sandbox
            .quick("rollout", &[])
            .code(1)
            .stderr_has("there is no service with instances `web-N` behind `lb`");
        sandbox
            .quick("rollout", &["--lb-img", "haproxy:2.6"])
            .code(2)
            .stderr_has("`vch-lb up` changes it");
        sandbox
            .quick("rollout", &["-n", "4"])
            .code(2)
            .stderr_has("NUM_INSTANCES");
        sandbox.quick("rollout", &["--batch", "0"]).code(2);
        sandbox
            .tool_with(&["rollout"], |command| command.env("INSTANCE_IMG", "UPPER"))
            .code(2)
            .stderr_has("INSTANCE_IMG is `UPPER` (environment variable INSTANCE_IMG)");
        assert!(sandbox.changing_calls().is_empty());
    }
}

/// Where the next load balancer may be.
fn around(sandbox: &Sandbox) -> Vec<super::sandbox::Listener> {
    ["127.50.0.2", "127.50.0.3", "127.50.0.130", "127.50.0.131"]
        .map(|address| sandbox.listen(address, 80, 200))
        .into()
}

/// A second external network, and the usual one smaller.
fn two_networks(sandbox: &Sandbox) {
    let (low, high) = (
        sandbox.address("127.50.0.0/25"),
        sandbox.address("127.50.0.128/25"),
    );
    sandbox.config(json!({"networks": {"routable": {"subnet": low}, "dmz": {"subnet": high}}}));
}

#[test]
fn another_load_balancer_is_refused_unless_it_is_asked_for() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        two_networks(&sandbox);
        sandbox.script_has_run(2);
        let before = sandbox.state();
        let arguments = [
            "-n",
            "2",
            "--lb-img",
            "haproxy:2.6",
            "--external-net",
            "dmz",
        ];
        sandbox
            .up(&arguments)
            .code(1)
            .stdout("")
            .stderr_has("LB_IMG is `haproxy:2.6`, but `lb` was made from `haproxy:1.7`")
            .stderr_has("EXTERNAL_NET is `dmz`, but `lb` is on `routable`")
            .stderr_has("--recreate-lb");
        assert!(sandbox.changing_calls().is_empty());
        sandbox.assert_state(&before, "");
    }
}

#[test]
fn a_load_balancer_is_replaced_when_asked_for() {
    for flavor in FLAVORS {
        for (arguments, network) in [
            (["--lb-img", "haproxy:2.6"], "routable"),
            (["--external-net", "dmz"], "dmz"),
        ] {
            let sandbox = Sandbox::new(flavor);
            two_networks(&sandbox);
            let _around = around(&sandbox);
            sandbox.script_has_run(2);
            let old = sandbox.container("lb")["id"].clone();
            let all = [&["-n", "2", "--recreate-lb", "--jobs", "1"], &arguments[..]].concat();
            sandbox
                .up(&all)
                .success()
                .stderr_has("`lb`: to be replaced, a short outage\n");
            let new = sandbox.container("lb");
            assert_ne!(new["id"], old);
            assert!(new["networks"].get(network).is_some(), "{new}");
            assert_eq!(sandbox.containers(), ["lb", "web-1", "web-2"]);
            assert_eq!(sandbox.container("web-1")["starts"], 1);
            assert!(sandbox.loaded_names("lb").unwrap().contains("web-2:80"));
            let calls = sandbox.changing_calls();
            let at = |words: &str| calls.iter().position(|call| call.contains(words)).unwrap();
            assert!(at("docker kill -s TERM lb") < at("docker rename lb "));
            assert!(at("docker rename lb ") < at("docker create"));
            assert!(at("docker start lb") < at("docker rm -f -v lb"));
            // The same again is nothing to do.
            sandbox.forget_calls();
            sandbox.up(&all).success().stderr_has("up to date");
            assert!(sandbox.changing_calls().is_empty());
        }
    }
}

#[test]
fn a_replacement_that_fails_puts_the_old_load_balancer_back() {
    for flavor in FLAVORS {
        for (what, rule) in [
            (
                "pull",
                json!({"when": ["pull", "haproxy:2.6"], "exit": 1, "stderr": "no such thing"}),
            ),
            (
                "kill",
                json!({"when": ["kill", "TERM"], "exit": 1, "stderr": "no such thing"}),
            ),
            (
                "rename",
                json!({"when": ["rename"], "exit": 1, "stderr": "no such thing"}),
            ),
            (
                "create",
                json!({"when": ["create", "--name"], "exit": 1, "stderr": "no such thing"}),
            ),
            (
                "connect",
                json!({"when": ["connect"], "exit": 1, "stderr": "no such thing"}),
            ),
            (
                "cp",
                json!({"when": ["cp", "haproxy.cfg"], "exit": 1, "stderr": "no such thing"}),
            ),
            (
                "start",
                json!({"when": ["start", "lb"], "exit": 1, "stderr": "no such thing"}),
            ),
        ] {
            let sandbox = Sandbox::new(flavor);
            let _around = around(&sandbox);
            sandbox.script_has_run(2);
            sandbox.rule(rule);
            let old = sandbox.container("lb");
            sandbox
                .up(&["-n", "3", "--recreate-lb", "--lb-img", "haproxy:2.6"])
                .code(1)
                .stdout("")
                .stderr_has("no such thing")
                .stderr_lacks("left standing");
            assert_eq!(sandbox.containers(), ["lb", "web-1", "web-2"], "{what}");
            let now = sandbox.container("lb");
            assert_eq!(
                (&now["id"], &now["status"]),
                (&old["id"], &old["status"]),
                "{what}"
            );
            assert_eq!(
                sandbox.loaded_config("lb"),
                Some(script_config(2)),
                "{what}"
            );
            for name in ["web-1", "web-2"] {
                assert_eq!(sandbox.container(name)["starts"], 1, "{what}");
            }
        }
    }
}

#[test]
fn the_load_balancer_goes_back_to_those_that_still_run() {
    on_both(|flavor| {
        let sandbox = Sandbox::new(flavor);
        let _lb = sandbox.serve();
        sandbox.script_has_run(3);
        sandbox.docker(&["kill", "web-2"]).success();
        let fault = json!({"when": ["stop"], "nth": 0, "exit": 1, "stderr": "no such luck"});
        sandbox.rule(fault);
        // On a VCH the new ones can't be stopped either, and are removed all the same.
        sandbox
            .quick("rollout", &["--instance-img", "httpd:2"])
            .code(1)
            .stderr_has("no such luck")
            .stderr_has("`web-2` does not run: the load balancer goes back to the others\n");
        let config = script_config(3).replace("\tserver server2 web-2:80 maxconn 32\n", "");
        assert_eq!(sandbox.loaded_config("lb"), Some(config));
        assert_eq!(sandbox.containers(), ["lb", "web-1", "web-2", "web-3"]);
        // How many there are to be is not forgotten.
        assert_eq!(sandbox.file_in("lb", CONFIG), Some(script_config(3)));
        sandbox
            .tool(&["status"])
            .code(3)
            .stdout_has("to mend it: vch-lb up\n");
    });
}

#[test]
fn nobody_leaves_whom_the_load_balancer_still_sends_to() {
    on_both(|flavor| {
        let sandbox = Sandbox::new(flavor);
        let _lb = sandbox.serve();
        sandbox.script_has_run(2);
        for when in [["stop", "web-1"], ["-", "lb:*"]] {
            sandbox.rule(json!({"when": when, "nth": 0, "exit": 1, "stderr": "no such luck"}));
        }
        sandbox
            .quick("rollout", &["--instance-img", "httpd:2"])
            .code(1)
            .stderr_has("while undoing: error: the haproxy.cfg from before is not back in `lb`")
            .stderr_has("the load balancer may send to new instances, so they stay until `vch-lb status` tells")
            .stderr_has("left standing:\n  container `web-3`\n  container `web-4`\n")
            .stderr_lacks("to remove it");
        let serving = sandbox.loaded_config("lb").unwrap();
        assert!(serving.contains("web-3:80") && serving.contains("web-4:80"));
        for name in ["web-1", "web-2", "web-3", "web-4"] {
            assert_eq!(sandbox.container(name)["status"], "running", "{name}");
        }
        sandbox.no_rules();
        let up = ["-n", "2", "--instance-img", "httpd:2"];
        sandbox.up(&up).success().stdout(ANSWER);
        assert_eq!(sandbox.containers().len(), 3);
    });
}

/// What a replacement of the load balancer leaves that is killed after its `docker rename`.
fn set_aside(sandbox: &Sandbox) {
    sandbox.docker(&["stop", "lb"]).success();
    sandbox.docker(&["rename", "lb", "lb-before"]).success();
}

fn create_lb(sandbox: &Sandbox, image: &str) {
    let publish = ["-p", "80:80"];
    let publish = if sandbox.is_vch() { &publish[..] } else { &[] };
    let create = [
        &["create", "--name", "lb", "--net", "routable"],
        publish,
        &[image],
    ];
    sandbox.docker(&create.concat()).success();
    sandbox
        .docker(&["network", "connect", "web-net", "lb"])
        .success();
}

#[test]
fn a_replacement_that_was_given_up_halfway_is_no_obstacle_to_another() {
    on_both(|flavor| {
        for image in ["haproxy:2.6", "haproxy:1.7"] {
            let sandbox = Sandbox::new(flavor);
            let _around = around(&sandbox);
            sandbox.script_has_run(2);
            set_aside(&sandbox);
            create_lb(&sandbox, "haproxy:2.6");
            // The settings of before, or those of the replacement.
            sandbox.up(&["-n", "2", "--lb-img", image]).success();
            assert_eq!(sandbox.containers(), ["lb", "web-1", "web-2"]);
            let lb = sandbox.container("lb");
            assert_eq!(
                (&lb["image"], &lb["status"]),
                (&json!(image), &json!("running"))
            );
        }
    });
}

#[test]
fn a_load_balancer_that_was_left_over_makes_room_for_the_next_one() {
    on_both(|flavor| {
        let sandbox = Sandbox::new(flavor);
        let _around = around(&sandbox);
        sandbox.script_has_run(2);
        set_aside(&sandbox);
        sandbox.up(&["-n", "2", "--keep"]).success();
        create_left_over(&sandbox);
        let fault = json!({"when": ["start", "lb"], "exit": 1, "stderr": "no such luck"});
        sandbox.rule(fault);
        let replace = ["-n", "2", "--recreate-lb", "--lb-img", "haproxy:2.6"];
        let old = sandbox.container("lb")["id"].clone();
        sandbox
            .up(&replace)
            .code(1)
            .stderr_has("no such luck")
            .stderr_has("what was done has been undone\n");
        assert_eq!(sandbox.container("lb")["id"], old);
        assert_eq!(sandbox.container("lb")["status"], "running");
        sandbox.no_rules();
        create_left_over(&sandbox);
        sandbox.up(&replace).success();
        assert_eq!(sandbox.containers(), ["lb", "web-1", "web-2"]);
    });
}

fn create_left_over(sandbox: &Sandbox) {
    let create = "create --name lb-before --net web-net haproxy:1.7";
    sandbox.docker_line(create).success();
}

#[test]
fn a_load_balancer_that_was_left_over_goes_last() {
    on_both(|flavor| {
        let sandbox = Sandbox::new(flavor);
        let _lb = sandbox.serve();
        sandbox.script_has_run(2);
        create_left_over(&sandbox);
        let ids = ids(&sandbox);
        sandbox.rule(json!({"when": ["stop", "web-1"], "exit": 1, "stderr": "no such luck"}));
        sandbox
            .quick("rollout", &["--instance-img", "httpd:2"])
            .code(1)
            .stderr_has("what was done has been undone\n");
        for name in ["lb", "web-1", "web-2"] {
            assert_eq!(sandbox.container(name)["id"], ids[name], "{name}");
        }
        sandbox.no_rules();
        let up = ["--instance-img", "httpd:2"];
        sandbox.quick("rollout", &up).success();
        assert_eq!(sandbox.containers(), ["lb", "web-3", "web-4"]);
    });
}
