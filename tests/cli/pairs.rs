//! Two commands at once: the first hangs at one of its calls, the second runs whole, then the first goes on. Where both exit
//! with 0 the service is as if one had come after the other. Where there is no lock, on a VCH and once `down` has ended the
//! load balancer, a call of the one that was on its way may undo what the other has done: then the one fails, and says that
//! somebody else was at it.
//!
//! Every call of every pair with PAIRS=all (or a part of a case's name); otherwise a sample, and of each pair on a VCH the copy.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::json;

use super::sandbox::{Call, FLAVORS, Flavor, Ran, Sandbox};
use super::scene::{CONFIG, on_both};

const QUICK: [&str; 6] = ["--wait", "2s", "--settle", "0s", "--drain", "0s"];

/// How many sandboxes are in use side by side: a reload is mostly waiting.
const THREADS: usize = 8;

/// Of the cases, every so manieth is tried.
const SAMPLE: usize = 101;

/// How many instances there were, the last time of all before the two.
const PAST: [usize; 3] = [2, 3, 2];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Up,
    UpOther,
    ScaleUp,
    ScaleDown,
    Rollout,
    Down,
    Recreate,
    Rollback,
}

const ACTS: [Act; 8] = [
    Act::Up,
    Act::UpOther,
    Act::ScaleUp,
    Act::ScaleDown,
    Act::Rollout,
    Act::Down,
    Act::Recreate,
    Act::Rollback,
];

/// A service, in short: how many instances of which image; none at all.
type Service = Option<(usize, &'static str)>;

impl Act {
    fn command(self) -> &'static [&'static str] {
        match self {
            Self::Up => &["up", "-n", "3"],
            Self::UpOther => &["up", "-n", "2", "--instance-img", "httpd:2"],
            Self::ScaleUp => &["scale", "4"],
            Self::ScaleDown => &["scale", "1"],
            Self::Rollout => &["rollout", "--force"],
            Self::Down => &["down"],
            Self::Recreate => &["up", "-n", "3", "--recreate-lb"],
            Self::Rollback => &["rollback"],
        }
    }

    /// What becomes of a service; `past` is what it was, the newest last.
    fn of(self, before: Service, past: &[Service]) -> Service {
        match self {
            Self::Up | Self::Recreate => Some((3, "httpd")),
            Self::UpOther => Some((2, "httpd:2")),
            Self::ScaleUp => before.map(|(_, image)| (4, image)),
            Self::ScaleDown => before.map(|(_, image)| (1, image)),
            Self::Rollout => before,
            Self::Down => None,
            Self::Rollback => before.and_then(|_| {
                let mut newest_first = past.iter().rev().copied();
                newest_first.find(|it| *it != before).flatten()
            }),
        }
    }
}

/// What these commands make of the scene, one after the other.
fn after(acts: &[Act]) -> Service {
    let mut past: Vec<Service> = PAST.map(|count| Some((count, "httpd"))).into();
    for act in acts {
        let now = past.last().copied().flatten();
        past.push(act.of(now, &past));
    }
    past.last().copied().flatten()
}

/// Where the first one hangs.
#[derive(Debug, Clone, Copy)]
enum Hangs {
    AtCall(usize),
    AtItsCopy,
}

#[derive(Debug, Clone, Copy)]
struct Case {
    flavor: Flavor,
    first: Act,
    second: Act,
    hangs: Hangs,
}

/// What two commands came to.
#[derive(Debug, Default)]
struct Counts {
    met: AtomicUsize,
    both: AtomicUsize,
    one: AtomicUsize,
    none: AtomicUsize,
    refused: AtomicUsize,
    /// Of what one had done the other one, which failed, has undone something.
    spoiled: AtomicUsize,
}

impl Case {
    fn run(&self, scene: &Sandbox, counts: &Counts) -> Result<(), String> {
        let sandbox = Sandbox::like(scene);
        sandbox.rules_may_be_unused();
        let _lb = sandbox.serve();
        sandbox.rule(match self.hangs {
            Hangs::AtCall(call) => json!({"any_call": call, "hang": "go"}),
            Hangs::AtItsCopy => json!({"when": ["cp", "haproxy.cfg"], "hang": "go"}),
        });
        let Some([first, second]) = at_once(
            &sandbox,
            &words(self.first, &[]),
            &words(self.second, &["--config-out", "elsewhere.cfg"]),
        ) else {
            return Ok(());
        };
        let calls = sandbox.calls();
        let held = calls.iter().position(|call| call.rule.is_some());
        let ended = |call: &Call| {
            call.words
                .starts_with(&["kill", "-s", "TERM"].map(str::to_owned))
        };
        let lb_ended = calls.iter().take(held.unwrap_or_default()).any(ended);
        let locked = self.flavor == Flavor::Engine && !lb_ended;
        let (a, b) = (self.first, self.second);
        let expected = match [&first, &second].map(|ran| ran.code == Some(0)) {
            // Both named the entry that they went to, and found the same: that is in force, too.
            [true, true] if (a, b) == (Act::Rollback, Act::Rollback) => {
                vec![after(&[a, b]), after(&[a])]
            }
            [true, true] => vec![after(&[a, b]), after(&[b, a])],
            [true, false] => vec![after(&[a]), after(&[b, a])],
            [false, true] => vec![after(&[b]), after(&[a, b])],
            [false, false] => vec![],
        };
        let there = found(&sandbox);
        let right = matches!(&there, Ok(there) if expected.contains(there));
        counts
            .count([&first, &second], locked, right)
            .map_err(|why| {
                let calls = sandbox.calls_text();
                format!("{why}: {there:?}, held at {held:?}\n{first}\n{second}\n{calls}")
            })
    }
}

impl Counts {
    /// Counts what two commands came to, after which the service is `right` or not; the error is what is wrong with that.
    fn count(&self, [first, second]: [&Ran; 2], locked: bool, right: bool) -> Result<(), String> {
        let done = [first, second].map(|ran| ran.code == Some(0));
        let count = match done {
            [true, true] => &self.both,
            [false, false] => &self.none,
            _ => &self.one,
        };
        for count in [&self.met, count] {
            count.fetch_add(1, Ordering::Relaxed);
        }
        if second.stderr.contains("is changing") {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        told(first).and_then(|()| told(second))?;
        if right || done == [false, false] {
            return Ok(());
        }
        let loser = if done[0] { second } else { first };
        if locked || done == [true, true] || !loser.stderr.contains("somebody else") {
            return Err("wrong".to_owned());
        }
        self.spoiled.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// Runs the second command whole while the first hangs at a call; `None` where that ended before it came to one.
fn at_once(sandbox: &Sandbox, first: &[&str], second: &[&str]) -> Option<[Ran; 2]> {
    let mut first = sandbox.start(first);
    let struck = sandbox.wait_until("the call that hangs", || {
        if sandbox.calls().iter().any(|call| call.rule.is_some()) {
            return Some(true);
        }
        first.has_ended().then_some(false)
    });
    let second = struck.then(|| sandbox.tool(second));
    sandbox.release("go");
    let first = first.finish();
    Some([first, second?])
}

fn words(act: Act, more: &[&'static str]) -> Vec<&'static str> {
    [act.command(), &QUICK, more].concat()
}

/// Whoever fails has said why.
fn told(ran: &Ran) -> Result<(), String> {
    let fine = match ran.code {
        Some(0) => true,
        Some(1) => ran.stderr.contains("error: ") && !ran.stderr.contains("panicked"),
        _ => false,
    };
    if fine {
        return Ok(());
    }
    Err(format!("an odd end\n{ran}"))
}

/// The service as it is, if it is one that works: all run, and the load balancer runs its file, which sends to all.
fn found(sandbox: &Sandbox) -> Result<Service, String> {
    let names = sandbox.containers();
    if names.is_empty() && sandbox.networks().is_empty() {
        return Ok(None);
    }
    if !names.iter().any(|name| name == "lb") {
        return Err(format!("{names:?} are there without a load balancer"));
    }
    let instances: BTreeSet<String> = names.iter().filter(|name| *name != "lb").cloned().collect();
    let mut images = BTreeSet::new();
    for name in &names {
        let container = sandbox.container(name);
        if container["status"] != "running" {
            return Err(format!("{name} is {}", container["status"]));
        }
        if name != "lb" {
            images.insert(container["image"].as_str().unwrap_or_default().to_owned());
        }
    }
    let loaded = sandbox.loaded_config("lb").unwrap_or_default();
    if sandbox.file_in("lb", CONFIG).as_ref() != Some(&loaded) {
        return Err("the load balancer runs another file than it has".to_owned());
    }
    let by_name = sandbox.by_name(&loaded);
    let servers: BTreeSet<String> = by_name
        .lines()
        .filter_map(|line| line.trim().strip_prefix("server "))
        .filter_map(|line| line.split([' ', ':']).nth(1))
        .map(str::to_owned)
        .collect();
    if servers != instances {
        return Err(format!(
            "it sends to {servers:?}, and {instances:?} are there"
        ));
    }
    let image = match images.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["httpd"] => "httpd",
        ["httpd:2"] => "httpd:2",
        _ => return Err(format!("images {images:?}")),
    };
    Ok(Some((instances.len(), image)))
}

fn scene(flavor: Flavor) -> Sandbox {
    let sandbox = Sandbox::new(flavor);
    sandbox.push_image("httpd:2");
    sandbox.script_has_run(PAST[0]);
    {
        let _lb = sandbox.serve();
        for count in &PAST[1..] {
            let count = count.to_string();
            sandbox
                .tool(&[&["scale", &count][..], &QUICK].concat())
                .success();
        }
    }
    sandbox.forget_calls();
    sandbox
}

/// How many calls a command makes that nobody disturbs.
fn calls_of(act: Act, scene: &Sandbox) -> usize {
    let clean = Sandbox::like(scene);
    let _lb = clean.serve();
    clean.tool(&words(act, &[])).success();
    clean.calls().len()
}

fn cases(scenes: &[(Flavor, Sandbox)]) -> Vec<(&Sandbox, Case)> {
    let mut cases = Vec::new();
    for (flavor, scene) in scenes {
        for first in ACTS {
            let calls = calls_of(first, scene);
            for second in ACTS {
                let case = |hangs| Case {
                    flavor: *flavor,
                    first,
                    second,
                    hangs,
                };
                cases.extend((0..calls).map(|call| (scene, case(Hangs::AtCall(call)))));
            }
        }
    }
    cases
}

/// On a VCH the copy is where nothing but the guard stands between two commands.
fn copies(scenes: &[(Flavor, Sandbox)]) -> Vec<(&Sandbox, Case)> {
    let vch = scenes.iter().find(|(flavor, _)| *flavor == Flavor::Vch);
    let scene = vch.map(|(_, scene)| scene).unwrap();
    let pairs = ACTS
        .into_iter()
        .flat_map(|first| ACTS.map(|second| (first, second)));
    let case = |(first, second)| Case {
        flavor: Flavor::Vch,
        first,
        second,
        hangs: Hangs::AtItsCopy,
    };
    let of_others = |(first, _): &(Act, Act)| *first != Act::Down;
    pairs
        .filter(of_others)
        .map(|pair| (scene, case(pair)))
        .collect()
}

#[test]
fn of_two_commands_at_once_whoever_says_done_is_right() {
    let only = std::env::var("PAIRS").unwrap_or_default();
    let scenes: Vec<(Flavor, Sandbox)> = FLAVORS.map(|flavor| (flavor, scene(flavor))).into();
    let mut cases = cases(&scenes);
    match only.as_str() {
        "" => {
            cases = cases.into_iter().step_by(SAMPLE).collect();
            cases.extend(copies(&scenes));
        }
        "all" => {}
        part => {
            cases.extend(copies(&scenes));
            cases.retain(|(_, case)| format!("{case:?}").contains(part));
        }
    }
    let (next, counts) = (AtomicUsize::new(0), Counts::default());
    let wrong = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some((scene, case)) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(why) = case.run(scene, &counts) {
                        wrong.lock().unwrap().push(format!("==== {case:?}\n{why}"));
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    eprintln!("pairs: {counts:?}, {} wrong", wrong.len());
    assert!(
        wrong.is_empty(),
        "{} pairs went wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// A first deployment takes no lock: there is nothing yet that could hold one.
#[test]
fn of_two_first_deployments_at_once_whoever_says_done_is_right() {
    let all = std::env::var("PAIRS").is_ok_and(|only| only == "all");
    let counts = Counts::default();
    on_both(|flavor| {
        let count = {
            let clean = Sandbox::new(flavor);
            let _lb = clean.serve();
            clean.tool(&words(Act::Up, &[])).success();
            clean.calls().len()
        };
        for call in (0..count).step_by(if all { 1 } else { 3 }) {
            let sandbox = Sandbox::new(flavor);
            sandbox.rules_may_be_unused();
            let _lb = sandbox.serve();
            sandbox.rule(json!({"any_call": call, "hang": "go"}));
            let more = ["up", "-n", "4", "--config-out", "elsewhere.cfg"];
            let more = [&more[..], &QUICK].concat();
            let Some([first, second]) = at_once(&sandbox, &words(Act::Up, &[]), &more) else {
                continue;
            };
            let right: &[usize] = match [&first, &second].map(|ran| ran.code == Some(0)) {
                [true, true] => &[3, 4],
                [true, false] => &[3],
                [false, true] => &[4],
                [false, false] => &[],
            };
            let there = found(&sandbox);
            let fine = matches!(&there, Ok(Some((count, _))) if right.contains(count));
            counts
                .count([&first, &second], false, fine)
                .unwrap_or_else(|why| {
                    let calls = sandbox.calls_text();
                    panic!("{why}: {flavor:?} call {call}: {there:?}\n{first}\n{second}\n{calls}")
                });
        }
    });
    eprintln!("first deployments: {counts:?}");
}
