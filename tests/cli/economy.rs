//! How many calls each command makes, and which: as few whether there are three instances or thirty, and nothing asked
//! twice. How long they take side by side is simulated with the plans, in `src/plan`.

use std::time::{SystemTime, UNIX_EPOCH};

use super::sandbox::{Call, Flavor, Sandbox};
use super::scene::{QUICK, on_both};

/// What a call is, without what it is about.
fn kind(words: &[String]) -> String {
    let two = words.len() > 1 && ["network", "image", "context"].contains(&words[0].as_str());
    let reads_file = words[0] == "cp" && words[words.len() - 1] == "-";
    match words {
        _ if reads_file => "read file".to_owned(),
        [first, second, ..] if two => format!("{first} {second}"),
        [first, ..] => first.clone(),
        [] => String::new(),
    }
}

/// The kinds of the calls of a command: first those of the look, which are side by side, sorted; then the others in their
/// order, those that only read between two changes sorted, too. Of polls that follow on each other one is told: how many there
/// are, the clock decides.
fn calls_of(sandbox: &Sandbox, arguments: &[&str]) -> (String, String) {
    sandbox.forget_calls();
    let one_by_one = ["--jobs", "1"];
    let mut words: Vec<&str> = arguments.to_vec();
    if !matches!(arguments[0], "status" | "logs") {
        words.extend(one_by_one);
    }
    if !matches!(arguments[0], "status" | "logs" | "down") {
        words.extend(QUICK);
    }
    sandbox.tool(&words).success();
    let calls: Vec<Call> = sandbox.calls();
    // How many calls the history takes, and that none of the others waits for them, `history.rs` shows.
    let calls: Vec<Call> = calls
        .into_iter()
        .filter(|call| !call.keeps_history())
        .collect();
    let first_change = calls
        .iter()
        .position(|call| call.change.is_some())
        .unwrap_or(calls.len());
    let kinds =
        |calls: &[Call]| -> Vec<String> { calls.iter().map(|call| kind(&call.words)).collect() };
    let mut look = kinds(&calls[..first_change]);
    look.sort();
    let mut rest = Vec::new();
    for group in calls[first_change..].chunk_by(|one, next| {
        // What is known to have changed nothing.
        one.change.is_none() && next.change.is_none()
    }) {
        let mut group = kinds(group);
        group.sort();
        rest.extend(group);
    }
    rest.dedup_by(|later, earlier| {
        later == earlier && matches!(later.as_str(), "inspect" | "logs" | "run")
    });
    (look.join(", "), rest.join(", "))
}

fn second() -> u64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
    since_1970.unwrap().as_secs()
}

/// A reload: copied, read back, checked, HAProxy asked who it is, the log so far, the signal, HAProxy asked again.
/// Before the signal it is looked whether anybody else has changed something.
const RELOAD: &str = "cp, exec, exec, logs, ps, read file, read file, kill, exec";
/// Whether anybody else has changed something.
const OTHERS: &str = "ps, read file";
const LOOK: &str = "exec, info, inspect, network inspect, ps, read file";

#[test]
fn each_command_asks_only_for_what_it_needs_and_only_once() {
    on_both(|flavor| {
        for instances in ["3", "30"] {
            let sandbox = Sandbox::new(flavor);
            let _lb = sandbox.serve();
            sandbox.push_image("httpd:2");
            let up = ["up", "-n", instances, "--lb-img", "haproxy:2.6"];
            let rollout = ["rollout", "--instance-img", "httpd:2", "--batch", "40"];
            // With addresses, these are asked for before each copy, and no log has to tell what was resolved when.
            let (ask, told) = match flavor {
                Flavor::Engine => ("", "logs, "),
                Flavor::Vch => ("inspect, ", ""),
            };
            // By name, the log tells whom HAProxy left out since it could not resolve it.
            let left_out = match flavor {
                Flavor::Engine => ", logs",
                Flavor::Vch => "",
            };
            // The file is read back: another deployment from the same directory may have written it meanwhile. And nobody
            // else has started the load balancer by then.
            let deploy = format!(
                "pull, pull, network create, run, create, network connect, {ask}cp, inspect, read file, start, \
                 inspect{left_out}, ps, read file"
            );
            // In the end it is looked whether all of them run.
            let add = format!("run, inspect, {OTHERS}, {RELOAD}, inspect, {OTHERS}");
            let go = format!("stop, {OTHERS}, rm, inspect, {OTHERS}");
            let leave = format!("{RELOAD}, logs, {OTHERS}, {go}");
            let replace = format!(
                "pull, context inspect, image inspect, run, inspect, {OTHERS}, {RELOAD}, inspect, logs, {OTHERS}, {go}"
            );
            // An engine's load balancer is locked.
            let lock = match flavor {
                Flavor::Engine => "exec, ",
                Flavor::Vch => "",
            };
            let look = format!("{lock}{LOOK}");
            // Before a service that serves is changed, its instances are asked; docker knows on which host, without asking
            // there.
            let look_and_ask = format!("context inspect, {lock}{LOOK}");
            let scale = format!(
                "context inspect, {lock}exec, info, inspect, {ask}{told}network inspect, ps, ps, read file, read file"
            );
            let look_alone = format!("{lock}info, inspect, network inspect, ps, ps, ps");
            for (arguments, look, rest) in [
                (&up[..], "info, network inspect, ps", deploy.as_str()),
                (&up[..], &look, ""),
                (&["status"], LOOK, ""),
                (&["scale", "31"], &look_and_ask, &add),
                // Instances came after the load balancer started: had it read its file since?
                (&["scale", instances], &scale, &leave),
                (&rollout, &look, &replace),
                (
                    &["down"],
                    &look_alone,
                    "kill, inspect, ps, rm, ps, stop, ps, rm, network rm, ps",
                ),
            ] {
                if arguments == ["scale", "31"] {
                    // A VCH knows whole seconds of its containers: the load balancer's start has to lie before this one.
                    let before = second();
                    let later = || (second() > before).then_some(());
                    sandbox.wait_until("the next second", later);
                }
                let called = calls_of(&sandbox, arguments);
                let expected = (look.to_owned(), rest.to_owned());
                assert_eq!(called, expected, "{flavor:?}, {instances}: {arguments:?}");
            }
        }
    });
}

#[test]
fn many_containers_are_asked_for_in_portions_that_a_command_line_can_hold() {
    let sandbox = Sandbox::new(Flavor::Engine);
    sandbox.script_has_run(120);
    sandbox.forget_calls();
    sandbox.tool(&["status"]);
    sandbox.tool(&["down"]).success();
    let longest = sandbox.calls().iter().map(|call| call.line().len()).max();
    assert!(
        longest.is_some_and(|longest| longest < 8_000),
        "{longest:?}"
    );
    let asked = sandbox
        .calls()
        .iter()
        .filter(|call| call.words[0] == "inspect")
        .map(|call| {
            call.words
                .iter()
                .filter(|word| word.starts_with("web-"))
                .count()
        })
        .collect::<Vec<_>>();
    assert_eq!(asked.iter().sum::<usize>(), 240, "{asked:?}");
    assert!(asked.iter().all(|&names| names <= 50), "{asked:?}");
}
