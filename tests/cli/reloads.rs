//! A reload is done when HAProxy is shown to run the new configuration: not before, and not without.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::sandbox::{FLAVORS, Flavor, Ran, Sandbox, script_config};
use super::scene::{ANSWER, CONFIG, on_both, quickly, reload_calls};

const HUP: &str = "docker kill -s HUP lb";
/// A template whose second port can't be bound: on none of its networks has the load balancer that address.
const ELSEWHERE: &str = "global\n\tstats socket /tmp/haproxy.sock mode 600 level operator\ndefaults\n\tmode http\n\ttimeout \
                         connect 5s\n\ttimeout client 5s\n\ttimeout server 5s\nfrontend http-in\n\tbind *:{{lb_port}}\n\t\
                         default_backend servers\nfrontend elsewhere\n\tbind 10.99.99.99:81\n\tdefault_backend servers\n\
                         backend servers\n{{#each servers}}\n\tserver server{{number}} {{address}}:{{../instance_port}}\n\
                         {{/each}}\n";
const ALERT: &str = "[ALERT]    (12) : config : no, thanks";

fn hups(sandbox: &Sandbox) -> usize {
    let calls = sandbox.changing_calls();
    calls.iter().filter(|call| *call == HUP).count()
}

/// `scale`, with as much patience as `wait` says.
fn scale(sandbox: &Sandbox, to: &str, wait: &str) -> Ran {
    let mut words = quickly("scale", &[to]);
    let at = words.iter().position(|word| *word == "--wait").unwrap();
    words[at + 1] = wait;
    sandbox.tool(&words)
}

/// HAProxy tries for 2 s before it gives up: each series says so in its own words, and the former worker serves on.
#[test]
fn what_haproxy_cannot_bind_is_refused_in_every_series() {
    thread::scope(|scope| {
        for (lb_img, words) in [
            (
                "haproxy:1.7",
                "Starting frontend stats: cannot bind socket [0.0.0.0:90]",
            ),
            (
                "haproxy:1.8",
                "Starting frontend stats: cannot bind socket [0.0.0.0:90]",
            ),
            (
                "haproxy:2.2",
                "Starting frontend stats: cannot bind socket [0.0.0.0:90]",
            ),
            (
                "haproxy:2.6",
                "cannot bind socket (Permission denied) for [0.0.0.0:90]",
            ),
            (
                "haproxy:3.2",
                "cannot bind socket (Permission denied) for [0.0.0.0:90]",
            ),
        ] {
            scope.spawn(move || {
                let sandbox = Sandbox::new(Flavor::Engine);
                let _lb = sandbox.serve();
                sandbox.up(&["-n", "2", "--lb-img", lb_img]).success();
                sandbox.config(json!({"refused_port": 90}));
                let before = sandbox.state();
                sandbox
                    .up(&["-n", "2", "--lb-img", lb_img, "--stats-port", "90"])
                    .code(1)
                    .stdout("")
                    .stderr_has("error: HAProxy in `lb` did not take the new haproxy.cfg\n")
                    .stderr_has(words);
                sandbox.assert_state(&before, lb_img);
                sandbox.tool(&["status"]).success();
            });
        }
    });
}

/// A second HUP would end some.
#[test]
fn after_a_refusal_the_former_worker_is_left_alone() {
    on_both(|flavor| {
        let sandbox = Sandbox::new(flavor);
        let _lb = sandbox.serve();
        let up = ["-n", "2", "--lb-img", "haproxy:2.6"];
        sandbox.up(&up).success();
        sandbox.write("elsewhere.hbs", ELSEWHERE);
        let before = sandbox.state();
        sandbox.forget_calls();
        sandbox
            .up(&[&up[..], &["--template", "elsewhere.hbs"]].concat())
            .code(1)
            .stderr_has("what was done has been undone");
        assert_eq!(hups(&sandbox), 1);
        sandbox.assert_state(&before, "");
        // Nothing is in the way of a reload that is good.
        sandbox.up(&up).success().stderr_has("up to date");
        sandbox.quick("scale", &["1"]).success();
        assert_eq!(sandbox.loaded_config("lb"), sandbox.file_in("lb", CONFIG));
    });
}

/// Those that it sends to were started again in undoing: it has to look where they are.
#[test]
fn after_a_refusal_instances_that_were_started_again_are_looked_up() {
    let sandbox = Sandbox::new(Flavor::Engine);
    let _lb = sandbox.serve();
    let up = ["-n", "2", "--lb-img", "haproxy:2.6"];
    sandbox.up(&up).success();
    sandbox.config(json!({"refused_port": 90}));
    sandbox.forget_calls();
    let replace = ["--instance-img", "httpd:2", "--stop-first", "--batch", "2"];
    sandbox
        .up(&[&up[..], &replace, &["--stats-port", "90"]].concat())
        .code(1)
        .stderr_has("what was done has been undone");
    assert_eq!(hups(&sandbox), 2);
    sandbox.tool(&["status"]).success();
}

/// As 2.0.0 and 2.4.0 do, whoever starts containers again there.
#[test]
fn one_that_ends_after_a_refusal_is_started_again() {
    on_both(|flavor| {
        for policy in ["no", "always", "unless-stopped", "on-failure"] {
            for exec in [true, false] {
                let sandbox = Sandbox::new(flavor);
                let _lb = sandbox.serve();
                let lb_args = format!("--restart {policy}");
                let up = ["--lb-img", "haproxy:2.0", "--lb-args", &lb_args];
                sandbox.up(&up).success();
                sandbox.write("elsewhere.hbs", ELSEWHERE);
                sandbox.config(json!({"ends_after_refusal": true, "exec": exec}));
                let (before, loaded) = (sandbox.state(), sandbox.loaded_config("lb"));
                let more = ["-n", "3", "--template", "elsewhere.hbs"];
                sandbox
                    .up(&[&up[..], &more].concat())
                    .code(1)
                    .stdout("")
                    .stderr_has("error: HAProxy in `lb` did not take the new haproxy.cfg\n")
                    .stderr_has("cannot bind socket [10.99.99.99:81]")
                    .stderr_has("warning: `lb` had ended: it was started again with the haproxy.cfg from before; it was down ")
                    .stderr_has("what was done has been undone");
                if exec {
                    sandbox.assert_state(&before, policy);
                }
                assert_eq!(sandbox.loaded_config("lb"), loaded);
                let lb = sandbox.container("lb");
                assert_eq!(
                    (&lb["status"], &lb["stopped_by_hand"]),
                    (&json!("running"), &json!(false))
                );
                sandbox.config(json!({"exec": true}));
                sandbox.tool(&["status"]).success();
            }
        }
    });
}

/// An earlier reload of the same run was good, so instances from before may be gone from the file that it runs.
#[test]
fn one_that_ends_in_a_later_reload_comes_back_with_the_file_from_before() {
    let sandbox = Sandbox::new(Flavor::Engine);
    let _lb = sandbox.serve();
    let up = ["-n", "2", "--lb-img", "haproxy:2.0"];
    sandbox.up(&up).success();
    let before = sandbox.state();
    sandbox.config(json!({"ends_at_hup": 2}));
    sandbox
        .quick("rollout", &["--force", "--batch", "1"])
        .code(1)
        .stderr_has("error: HAProxy in `lb` ended as it was to reload")
        .stderr_has("`lb` had ended: it was started again")
        .stderr_has("what was done has been undone");
    sandbox.assert_state(&before, "");
    sandbox.tool(&["status"]).success();
}

/// Longer than a HUP that was lost is waited for, which is what makes this take its time.
#[test]
fn names_that_resolve_slowly_are_waited_for() {
    thread::scope(|scope| {
        for lb_img in ["haproxy:1.7", "haproxy:1.8", "haproxy:2.6", "haproxy:3.2"] {
            scope.spawn(move || {
                let sandbox = Sandbox::new(Flavor::Engine);
                let _lb = sandbox.serve();
                sandbox.up(&["-n", "1", "--lb-img", lb_img]).success();
                sandbox.config(json!({"load_ms": 6000}));
                sandbox.forget_calls();
                scale(&sandbox, "2", "30s")
                    .success()
                    .stderr_lacks("asking again");
                assert_eq!(hups(&sandbox), 1, "{lb_img}");
                assert_eq!(sandbox.loaded_config("lb"), sandbox.file_in("lb", CONFIG));
            });
        }
    });
}

/// HAProxy hears no HUP while it loads: the file from before is asked for after that, and the worker that comes first is not
/// the one that runs it.
#[test]
fn a_reload_that_takes_longer_than_wait_is_taken_back_once_it_has_loaded() {
    thread::scope(|scope| {
        for lb_img in ["haproxy:1.7", "haproxy:1.8", "haproxy:2.6", "haproxy:3.2"] {
            scope.spawn(move || {
                let sandbox = Sandbox::new(Flavor::Engine);
                let _lb = sandbox.serve();
                sandbox.up(&["-n", "1", "--lb-img", lb_img]).success();
                let (before, loaded) = (sandbox.state(), sandbox.loaded_config("lb"));
                sandbox.config(json!({"load_ms": 8000}));
                sandbox.forget_calls();
                scale(&sandbox, "2", "2s")
                    .code(1)
                    .stderr_has("is still loading the new haproxy.cfg after 2.0 s")
                    .stderr_has("HAProxy in lb hears nothing while it loads: waiting for it")
                    .stderr_has("what was done has been undone");
                assert_eq!(hups(&sandbox), 2, "{lb_img}");
                assert_eq!(sandbox.loaded_config("lb"), loaded, "{lb_img}");
                sandbox.assert_state(&before, lb_img);
            });
        }
    });
}

/// Whom it may come to send to stays, whoever takes it back: the command itself, or the next one.
#[test]
fn whom_a_reload_sends_to_that_does_not_end_in_time_stays() {
    thread::scope(|scope| {
        for lb_img in ["haproxy:1.8", "haproxy:2.6", "haproxy:3.2"] {
            scope.spawn(move || {
                let sandbox = Sandbox::new(Flavor::Engine);
                let _lb = sandbox.serve();
                let up = ["-n", "1", "--lb-img", lb_img, "--lb-balance", "leastconn"];
                sandbox.up(&up).success();
                let file = sandbox.file_in("lb", CONFIG);
                // As the file that was put back is to HAProxy.
                sandbox.config(json!({"load_ms": 24000, "files": "1 99999999999"}));
                scale(&sandbox, "2", "2s")
                    .code(1)
                    .stderr_has("is still loading the new haproxy.cfg after 2.0 s")
                    .stderr_has(
                        "while undoing: error: HAProxy in `lb` is still loading what it was asked to before, and will run \
                         that once it has",
                    )
                    .stderr_has("the load balancer may send to new instances, so they stay")
                    .stderr_has("left standing:\n  container `web-2`\n");
                assert_eq!(sandbox.file_in("lb", CONFIG), file, "{lb_img}");
                // Nor does another command take the worker that comes for its own.
                sandbox
                    .up(&up)
                    .code(1)
                    .stderr_has("error: HAProxy in `lb` is still loading what it was asked to before");
                assert_eq!(sandbox.containers(), ["lb", "web-1", "web-2"]);
                sandbox.config(json!({"load_ms": 0, "files": "1 99999999999"}));
                sandbox.wait_until("HAProxy to have loaded", || {
                    let told = sandbox.tool(&["status"]).code(3);
                    let not_in_force = told.stdout.contains("is not in force");
                    not_in_force.then_some(())
                });
                sandbox.up(&up).success();
                assert_eq!(sandbox.loaded_config("lb"), file, "{lb_img}");
                assert_eq!(sandbox.containers(), ["lb", "web-1"]);
            });
        }
    });
}

#[test]
fn as_long_as_the_old_worker_takes_connections_nothing_goes_on() {
    on_both(|flavor| {
        let sandbox = Sandbox::new(flavor);
        let _lb = sandbox.serve();
        sandbox
            .up(&["-n", "2", "--lb-img", "haproxy:2.2"])
            .success();
        sandbox.config(json!({"old_listens_ms": 1500}));
        sandbox.forget_calls();
        sandbox.quick("scale", &["1"]).success();
        let calls = sandbox.calls();
        let find = |start: &str| {
            calls
                .iter()
                .find(|call| call.line().starts_with(start))
                .unwrap()
        };
        let waited = find("docker stop").start_ms - find(HUP).end_ms;
        assert!(waited >= 1400, "{waited} ms");
    });
}

#[test]
fn an_exec_that_says_it_succeeded_but_did_not_run_proves_nothing() {
    for (lb_img, idle, told) in [
        ("haproxy:1.7", 1, ""),
        ("haproxy:2.6", 4, ""),
        // Then the pid file of the wrapper tells, and the log of later ones.
        (
            "haproxy:1.7",
            99,
            "haproxy.cfg could not be checked in lb: Server error from portlayer",
        ),
        (
            "haproxy:2.6",
            99,
            "rests on its log alone: nothing can be executed in it",
        ),
    ] {
        let sandbox = Sandbox::new(Flavor::Vch);
        let _lb = sandbox.serve();
        sandbox.up(&["-n", "2", "--lb-img", lb_img]).success();
        sandbox.config(json!({"idle_execs": idle}));
        sandbox.forget_calls();
        sandbox.quick("scale", &["1"]).success().stderr_has(told);
        assert_eq!(hups(&sandbox), 1, "{lb_img}");
        assert_eq!(sandbox.loaded_config("lb"), sandbox.file_in("lb", CONFIG));
    }
}

/// 1.8 says nothing when it has loaded. What may be sent to then stays; that takes as long as a refusal may take to show.
#[test]
fn without_any_proof_no_instance_leaves() {
    on_both(|flavor| {
        let sandbox = Sandbox::new(flavor);
        let _lb = sandbox.serve();
        sandbox
            .up(&["-n", "2", "--lb-img", "haproxy:1.8"])
            .success();
        sandbox.config(json!({"exec": false, "old_worker_ms": 600_000}));
        sandbox
            .quick("scale", &["1"])
            .code(1)
            .stderr_has("`lb` was asked to reload; that it did could not be shown")
            .stderr_has("`docker exec` has to work");
        assert_eq!(sandbox.container("web-2")["status"], "running");
    });
}

/// As after a start: what `haproxy -c` could not be asked, the log tells.
#[test]
fn a_server_that_is_left_out_is_told_where_only_the_log_tells() {
    on_both(|flavor| {
        let sandbox = Sandbox::new(flavor);
        let _lb = sandbox.serve();
        let by_name = [
            "-n",
            "2",
            "--lb-img",
            "haproxy:2.6",
            "--server-address",
            "name",
        ];
        sandbox.up(&by_name).success();
        let before = sandbox.file_in("lb", CONFIG);
        sandbox.config(json!({"exec": false, "names_resolve": false}));
        sandbox.forget_calls();
        sandbox
            .quick("scale", &["3"])
            .code(1)
            .stderr_has("error: HAProxy in `lb` sends nothing to `web-1`\n")
            .stderr_has("could not resolve address 'web-1', disabling server.")
            .stderr_has("what was done has been undone");
        assert_eq!(hups(&sandbox), 2);
        assert_eq!(sandbox.file_in("lb", CONFIG), before);
        assert_eq!(sandbox.containers(), ["lb", "web-1", "web-2"]);
    });
}

/// Its log never tells: the processes do, and so nobody waits for the whole of --drain.
#[test]
fn the_former_processes_of_1_7_are_waited_for_and_no_longer() {
    let sandbox = Sandbox::new(Flavor::Engine);
    let _lb = sandbox.serve();
    sandbox.up(&["-n", "3"]).success();
    let scale = |to: &str, drain: &str| {
        let words = [
            "scale", to, "--wait", "5s", "--settle", "100ms", "--drain", drain,
        ];
        let started = Instant::now();
        let ran = sandbox.tool(&words).success();
        (ran, started.elapsed())
    };
    let (ran, took) = scale("2", "300s");
    ran.stderr_lacks("still has connections");
    assert!(took < Duration::from_secs(60), "{took:?}");
    sandbox.config(json!({"old_worker_ms": 600_000}));
    let (ran, _) = scale("1", "1s");
    ran.stderr_has("after 1.0 s (--drain) former workers of lb still have 1 connection: those to");
}

#[test]
fn an_empty_archive_is_not_a_file_that_is_missing() {
    let sandbox = Sandbox::new(Flavor::Vch);
    sandbox.script_has_run(2);
    sandbox.config(json!({"empty_archives": 2}));
    sandbox.quick("scale", &["3"]).success().stdout(ANSWER);
    sandbox.config(json!({"empty_archives": 99}));
    let before = sandbox.state();
    sandbox
        .quick("scale", &["1"])
        .stdout("")
        .stderr_has("docker succeeded, but the archive is empty");
    sandbox.assert_state(&before, "");
}

#[test]
fn what_failed_before_its_signal_is_undone_without_one() {
    on_both(|flavor| {
        let sandbox = Sandbox::new(flavor);
        sandbox.script_has_run(2);
        sandbox.write("own.hbs", include_str!("../../templates/haproxy.cfg.hbs"));
        for more in [&["-n", "3"][..], &["-n", "2", "--template", "own.hbs"]] {
            let before = sandbox.state();
            sandbox.forget_calls();
            sandbox.rule(json!({"when": ["exec", "lb", "haproxy"], "exit": 1, "stderr": ALERT}));
            sandbox.up(more).code(1).stderr_has(ALERT);
            // An own template leaves nothing behind either.
            sandbox.assert_state(&before, "");
            assert_eq!(hups(&sandbox), 0, "{more:?}");
        }
    });
}

#[test]
fn a_file_that_is_not_in_force_is_told_and_brought_in() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        let _lb = sandbox.serve();
        let up = ["-n", "2", "--lb-img", "haproxy:2.6"];
        sandbox.up(&up).success();
        sandbox.tool(&["status"]).success();
        // Somebody was stopped between copy and reload.
        let whole = sandbox.file_in("lb", CONFIG).unwrap();
        sandbox
            .up(&["-n", "3", "--lb-img", "haproxy:2.6"])
            .success();
        let file = sandbox.write("two.cfg", &whole);
        let to = format!("lb:{CONFIG}");
        sandbox
            .docker(&["cp", file.to_str().unwrap(), &to])
            .success();
        sandbox.docker(&["rm", "-f", "web-3"]).success();
        let told = "the haproxy.cfg in `lb` is not in force";
        sandbox.tool(&["status"]).code(3).stdout_has(told);
        sandbox.forget_calls();
        sandbox.up(&up).success();
        assert_eq!(hups(&sandbox), 1);
        assert_eq!(sandbox.loaded_config("lb"), Some(whole));
        sandbox.tool(&["status"]).success();
    }
}

/// An image without anything to ask the socket with, and an own configuration without one: the kernel tells.
#[test]
fn where_the_socket_cannot_be_asked_the_kernel_tells() {
    let sandbox = Sandbox::new(Flavor::Engine);
    let _lb = sandbox.serve();
    sandbox.config(json!({"socket_client": false}));
    sandbox
        .up(&["-n", "1", "--lb-img", "haproxy:2.6"])
        .success();
    sandbox
        .quick("scale", &["2"])
        .success()
        .stderr_lacks("log alone");
    let other = Sandbox::new(Flavor::Engine);
    other.script_has_run(2);
    other.quick("scale", &["1"]).success().stdout(ANSWER);
    assert_eq!(other.loaded_config("lb"), Some(script_config(1)));
}

#[test]
fn a_file_that_is_younger_than_what_haproxy_runs_is_loaded_to_be_sure() {
    on_both(|flavor| {
        let sandbox = Sandbox::new(flavor);
        let _lb = sandbox.serve();
        let settings = ["--lb-img", "haproxy:2.6", "--lb-balance", "leastconn"];
        sandbox.up(&settings).success();
        sandbox.config(json!({"files": "1 99999999999"}));
        let status = sandbox.tool(&["status"]).success();
        assert!(
            status
                .stdout
                .contains("or its certificate, was put there after HAProxy loaded what it runs"),
            "{status}"
        );
        let (ran, calls) = sandbox.changes_of(|| sandbox.up(&settings));
        ran.success().stderr_has("it loads that, to be sure");
        assert_eq!(calls, reload_calls());
        sandbox.config(json!({"files": "99999999999 99999999999"}));
        sandbox.up(&settings).success().stderr_has("up to date");
    });
}
