//! Two commands at once: the first hangs at one of its calls, the second runs whole, then the first goes on. Whoever exits
//! with 0 is right: the service is as if one command had come after the other. Where there is no lock, on a VCH and once `down`
//! has ended the load balancer, one of the two may meet a call of the other that is on its way: then the other one fails. Only a file that the second brought
//! in within the very copy of the first is overwritten without anybody's noticing.
//!
//! Every call of every pair with PAIRS=all (or a part of a case's name); a sample otherwise.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::json;

use super::sandbox::{Call, FLAVORS, Flavor, Ran, Sandbox};
use super::scene::CONFIG;

const QUICK: [&str; 6] = ["--wait", "2s", "--settle", "0s", "--drain", "0s"];

/// How many sandboxes are in use side by side: a reload is mostly waiting.
const THREADS: usize = 8;

/// Of the cases, every so manieth is tried.
const SAMPLE: usize = 37;

/// How many instances there are before.
const BEFORE: usize = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Up,
    UpOther,
    ScaleUp,
    ScaleDown,
    Rollout,
    Down,
}

const ACTS: [Act; 6] = [
    Act::Up,
    Act::UpOther,
    Act::ScaleUp,
    Act::ScaleDown,
    Act::Rollout,
    Act::Down,
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
        }
    }

    /// What becomes of a service.
    fn of(self, before: Service) -> Service {
        match self {
            Self::Up => Some((3, "httpd")),
            Self::UpOther => Some((2, "httpd:2")),
            Self::ScaleUp => before.map(|(_, image)| (4, image)),
            Self::ScaleDown => before.map(|(_, image)| (1, image)),
            Self::Rollout => before,
            Self::Down => None,
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Case {
    flavor: Flavor,
    first: Act,
    second: Act,
    call: usize,
}

/// What two commands came to.
#[derive(Debug, Default)]
struct Counts {
    met: AtomicUsize,
    both: AtomicUsize,
    one: AtomicUsize,
    none: AtomicUsize,
    refused: AtomicUsize,
}

impl Case {
    fn run(&self, scene: &Sandbox, counts: &Counts) -> Result<(), String> {
        let sandbox = Sandbox::like(scene);
        sandbox.rules_may_be_unused();
        let _lb = sandbox.serve();
        sandbox.rule(json!({"any_call": self.call, "hang": "go"}));
        let first = sandbox.start(&words(self.first, &[]));
        let mut running = Some(first);
        let struck = sandbox.wait_until("the call that hangs", || {
            if sandbox.calls().iter().any(|call| call.rule.is_some()) {
                return Some(true);
            }
            let first = running.as_mut()?;
            first.has_ended().then_some(false)
        });
        let ended =
            |words: &[String]| words.starts_with(&["kill", "-s", "TERM"].map(str::to_owned));
        let calls = sandbox.calls();
        let lb_ended = calls.iter().any(|it| it.has_ended() && ended(&it.words));
        let locked = self.flavor == Flavor::Engine && !lb_ended;
        let second =
            struck.then(|| sandbox.tool(&words(self.second, &["--config-out", "elsewhere.cfg"])));
        sandbox.release("go");
        let first = running.take().unwrap().finish();
        let Some(second) = second else {
            return Ok(());
        };
        counts.met.fetch_add(1, Ordering::Relaxed);
        let codes = [&first, &second].map(|ran| ran.code == Some(0));
        let count = match codes {
            [true, true] => &counts.both,
            [false, false] => &counts.none,
            _ => &counts.one,
        };
        count.fetch_add(1, Ordering::Relaxed);
        if second.stderr.contains("is changing") {
            counts.refused.fetch_add(1, Ordering::Relaxed);
        }
        let copies = |it: &Call| it.rule.is_some() && it.change.is_some() && it.words[0] == "cp";
        let overwrites = calls.iter().any(copies);
        if !locked && (overwrites || codes != [true, true]) {
            return told(&first).and_then(|()| told(&second));
        }
        self.judge(&sandbox, codes)
            .map_err(|why| format!("{why}\n{first}\n{second}\n{}", sandbox.calls_text()))?;
        told(&first).and_then(|()| told(&second))
    }

    fn judge(&self, sandbox: &Sandbox, [first, second]: [bool; 2]) -> Result<(), String> {
        let before: Service = Some((BEFORE, "httpd"));
        let (a, b) = (self.first, self.second);
        let expected = match (first, second) {
            (true, true) => [b.of(a.of(before)), a.of(b.of(before))],
            (true, false) => [a.of(before), a.of(b.of(before))],
            (false, true) => [b.of(before), b.of(a.of(before))],
            (false, false) => return Ok(()),
        };
        let found = found(sandbox)?;
        if expected.contains(&found) {
            return Ok(());
        }
        Err(format!("{found:?}, expected one of {expected:?}"))
    }
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
    sandbox.script_has_run(BEFORE);
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
                cases.extend((0..calls).map(|call| {
                    let case = Case {
                        flavor: *flavor,
                        first,
                        second,
                        call,
                    };
                    (scene, case)
                }));
            }
        }
    }
    cases
}

#[test]
fn of_two_commands_at_once_whoever_says_done_is_right() {
    let only = std::env::var("PAIRS").unwrap_or_default();
    let scenes: Vec<(Flavor, Sandbox)> = FLAVORS.map(|flavor| (flavor, scene(flavor))).into();
    let mut cases = cases(&scenes);
    match only.as_str() {
        "" => cases = cases.into_iter().step_by(SAMPLE).collect(),
        "all" => {}
        part => cases.retain(|(_, case)| format!("{case:?}").contains(part)),
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

/// A first deployment takes no lock: there is nothing yet that could hold one. Here, too, nobody notices what is overwritten
/// within a copy. A VCH does not even tell that the load balancer is connected already.
#[test]
fn of_two_first_deployments_at_once_whoever_says_done_is_right() {
    let flavor = Flavor::Engine;
    let count = {
        let clean = Sandbox::new(flavor);
        let _lb = clean.serve();
        clean.tool(&words(Act::Up, &[])).success();
        clean.calls().len()
    };
    for call in (0..count).step_by(3) {
        let sandbox = Sandbox::new(flavor);
        sandbox.rules_may_be_unused();
        let _lb = sandbox.serve();
        sandbox.rule(json!({"any_call": call, "hang": "go"}));
        let first = sandbox.start(&words(Act::Up, &[]));
        sandbox.wait_until("the call that hangs", || {
            let calls = sandbox.calls();
            calls.iter().any(|call| call.rule.is_some()).then_some(())
        });
        let more = ["up", "-n", "4", "--config-out", "elsewhere.cfg"];
        let second = sandbox.tool(&[&more[..], &QUICK].concat());
        sandbox.release("go");
        let first = first.finish();
        told(&first).and_then(|()| told(&second)).unwrap();
        let calls = sandbox.calls();
        let copies = |it: &Call| it.rule.is_some() && it.change.is_some() && it.words[0] == "cp";
        if calls.iter().any(copies) {
            continue;
        }
        let codes = [&first, &second].map(|ran| ran.code == Some(0));
        let right: &[usize] = match codes {
            [true, true] => &[3, 4],
            [true, false] => &[3],
            [false, true] => &[4],
            [false, false] => continue,
        };
        let there = found(&sandbox);
        let fine = matches!(&there, Ok(Some((count, _))) if right.contains(count));
        let calls = sandbox.calls_text();
        assert!(
            fine,
            "{flavor:?} call {call}: {there:?}\n{first}\n{second}\n{calls}"
        );
    }
}
