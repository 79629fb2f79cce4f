//! The fault matrix: whichever docker call of a command goes wrong, and however it does, the endpoint is afterwards what it
//! was before, or what was asked for; never something between. A command that was killed is completed by running it again.
//!
//! Calls are counted over all that a clean run makes, those that only read included. Each of them fails, and is the moment
//! of the tool's death; those that change something also after they have acted. What costs time, or hardly differs from call
//! to call, is tried at every third call: a call that hangs, an answer that makes no sense, the two signals.

use std::any::Any;
use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::{Value, json};

use super::sandbox::{Call, FLAVORS, Flavor, Ran, Sandbox};
use super::scene::CONFIG;

/// What docker says about a call that fails for no reason that is known.
const WORDS: &str = "Error response from daemon: the dog ate it";

/// Commands are short of patience, so that none of them waits for anything that the fake has at once.
const QUICK: [&str; 6] = ["--wait", "2s", "--settle", "0s", "--drain", "0s"];

/// How many sandboxes are in use side by side: a reload is mostly waiting.
const THREADS: usize = 12;

/// Of what is only sampled, every so manieth call.
const SAMPLE: usize = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Deploy,
    ScaleUp,
    ScaleDown,
    Rollout,
    Rollback,
    Down,
}

const ACTS: [Act; 6] = [
    Act::Deploy,
    Act::ScaleUp,
    Act::ScaleDown,
    Act::Rollout,
    Act::Rollback,
    Act::Down,
];

impl Act {
    fn command(self) -> &'static [&'static str] {
        match self {
            Self::Deploy => &["up", "-n", "2"],
            Self::ScaleUp => &["scale", "3"],
            Self::ScaleDown => &["scale", "1"],
            Self::Rollout => &["rollout"],
            // To where is said: a second one would go forward again.
            Self::Rollback => &["rollback", "--to", "1"],
            Self::Down => &["down"],
        }
    }

    /// Whether the instances that there are before make way for others.
    fn replaces(self) -> bool {
        matches!(self, Self::Rollout | Self::Rollback)
    }

    /// How many instances there are before.
    fn before(self) -> usize {
        match self {
            Self::Deploy => 0,
            Self::ScaleUp | Self::Rollout | Self::Rollback | Self::Down => 2,
            Self::ScaleDown => 3,
        }
    }

    /// How many instances there are once it is done.
    fn after(self) -> usize {
        match self {
            Self::Deploy | Self::Rollout | Self::Rollback => 2,
            Self::ScaleUp => 3,
            Self::ScaleDown => 1,
            Self::Down => 0,
        }
    }

    /// The endpoint as the command finds it.
    fn scene(self, flavor: Flavor) -> Sandbox {
        let sandbox = Sandbox::new(flavor);
        if self.before() > 0 {
            sandbox.script_has_run(self.before());
        }
        if self.replaces() {
            sandbox.push_image("httpd");
        }
        if self == Self::Rollback {
            let _lb = sandbox.serve();
            sandbox.tool(&[&["rollout"][..], &QUICK].concat()).success();
        }
        sandbox.forget_calls();
        sandbox
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    FailsBefore,
    FailsAfter,
    KilledBefore,
    KilledAfter,
    Hangs,
    Garbage,
    Interrupted,
    Terminated,
}

const FAULTS: [Fault; 8] = [
    Fault::FailsBefore,
    Fault::FailsAfter,
    Fault::KilledBefore,
    Fault::KilledAfter,
    Fault::Hangs,
    Fault::Garbage,
    Fault::Interrupted,
    Fault::Terminated,
];

impl Fault {
    fn rule(self, call: usize) -> Value {
        let mut rule = match self {
            Self::FailsBefore => json!({"exit": 1, "stderr": WORDS}),
            Self::FailsAfter => json!({"before": false, "exit": 1, "stderr": WORDS}),
            Self::KilledBefore => json!({"kill_parent": 9}),
            Self::KilledAfter => json!({"before": false, "kill_parent": 9}),
            Self::Hangs => json!({"hang": "never"}),
            Self::Garbage => json!({"stdout": "{\"garbage\": [\n"}),
            Self::Interrupted => json!({"kill_parent": 2}),
            Self::Terminated => json!({"kill_parent": 15}),
        };
        rule["any_call"] = call.into();
        rule
    }

    /// The exit codes of a command that did not do what it was asked for.
    fn codes(self) -> &'static [i32] {
        match self {
            Self::Interrupted => &[130],
            Self::Terminated => &[143],
            _ => &[1, 4],
        }
    }

    fn kills(self) -> bool {
        matches!(self, Self::KilledBefore | Self::KilledAfter)
    }

    fn signals(self) -> bool {
        matches!(self, Self::Interrupted | Self::Terminated)
    }

    /// Whether this is one of the calls that are tried.
    fn strikes(self, call: usize, scene: &Scene) -> bool {
        match self {
            Self::FailsBefore | Self::KilledBefore => true,
            Self::FailsAfter | Self::KilledAfter => scene.changes_about(call),
            // Each flavour has its own sample.
            _ => call % SAMPLE == usize::from(scene.flavor == Flavor::Vch),
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Case {
    act: Act,
    fault: Fault,
    call: usize,
    jobs: &'static str,
}

impl Case {
    fn arguments(&self, more: &[&'static str]) -> Vec<&'static str> {
        [self.act.command(), &QUICK, &["--jobs", self.jobs], more].concat()
    }

    /// What came of it, if anybody met the fault.
    fn run(&self, scene: &Sandbox) -> Option<()> {
        let sandbox = Sandbox::like(scene);
        sandbox.rules_may_be_unused();
        let _lb = sandbox.serve();
        let before = sandbox.state();
        sandbox.rule(self.fault.rule(self.call));
        let more: &[&str] = if self.fault == Fault::Hangs {
            &["--timeout", "700ms"]
        } else {
            &[]
        };
        let ran = sandbox.tool(&self.arguments(more));
        await_all_calls(&sandbox);
        let calls = sandbox.calls();
        let struck = calls.iter().find(|call| call.rule.is_some())?;
        assert_ne!(ran.code, Some(101), "{ran}");
        assert!(!ran.stderr.contains("panicked"), "{ran}");
        match ran.code {
            None => {
                assert!(self.fault.kills() && ran.signal == Some(9), "{ran}");
                sandbox.no_rules();
                let again = sandbox.tool(&self.arguments(&[]));
                assert_eq!(again.code, Some(0), "{ran}{again}");
                self.assert_complete(&sandbox, &again);
            }
            Some(0) => self.assert_complete(&sandbox, &ran),
            Some(code) => {
                assert!(self.fault.codes().contains(&code), "{ran}");
                self.assert_told(&ran, struck);
                self.assert_undone_or_in_force(&sandbox, &before, &ran);
            }
        }
        Some(())
    }

    /// The message names the call that failed, and what docker said.
    fn assert_told(&self, ran: &Ran, struck: &Call) {
        assert!(ran.stderr.contains("error: "), "{ran}");
        if self.fault.signals() {
            return;
        }
        // Of the script that asks HAProxy no error shows more than that it is one.
        let shown = |word: &String| {
            if word.starts_with("# shellcheck shell=sh\n") {
                "…".to_owned()
            } else {
                word.clone()
            }
        };
        let call: Vec<String> = struck.argv.iter().map(shown).collect();
        // Shells may quote the same words differently.
        let named = ran.stderr.lines().any(|line| {
            let words = shell_words::split(line.trim()).unwrap_or_default();
            words.first().is_some_and(|word| word == "docker") && words[1..] == call
        });
        assert!(named, "the call is not named: {struck:?}\n{ran}");
        let words = match self.fault {
            Fault::FailsBefore | Fault::FailsAfter => WORDS,
            Fault::Hangs => "no answer within 700ms (--timeout)",
            _ => "",
        };
        assert!(ran.stderr.contains(words), "{ran}");
    }

    fn assert_undone_or_in_force(&self, sandbox: &Sandbox, before: &Value, ran: &Ran) {
        if self.act == Act::Down {
            sandbox.no_rules();
            let again = sandbox.tool(&self.arguments(&[]));
            assert_eq!(again.code, Some(0), "{ran}{again}");
            self.assert_complete(sandbox, &again);
        } else if ran.stderr.contains("the new state is in force") {
            self.assert_complete(sandbox, ran);
        } else {
            // What was stopped and started again may have another address.
            assert_eq!(
                without_addresses(before.clone()),
                without_addresses(sandbox.state()),
                "{ran}{}",
                sandbox.calls_text()
            );
            assert!(!ran.stderr.contains("left standing"), "{ran}");
        }
    }

    /// What was asked for is there: so many instances, all running, and the load balancer sends to exactly them.
    fn assert_complete(&self, sandbox: &Sandbox, ran: &Ran) {
        let names = sandbox.containers();
        let calls = || sandbox.calls_text();
        if self.act == Act::Down {
            assert!(names.is_empty(), "{names:?}\n{ran}\n{}", calls());
            assert!(sandbox.networks().is_empty(), "{ran}\n{}", calls());
            return;
        }
        for name in &names {
            let container = sandbox.container(name);
            assert_eq!(container["status"], "running", "{name}\n{ran}\n{}", calls());
        }
        let instances: BTreeSet<&str> = names
            .iter()
            .map(String::as_str)
            .filter(|name| *name != "lb")
            .collect();
        assert_eq!(
            instances.len(),
            self.act.after(),
            "{names:?}\n{ran}\n{}",
            calls()
        );
        assert_eq!(names.len(), instances.len() + 1, "{names:?}\n{ran}");
        assert_eq!(sandbox.networks(), ["web-net"], "{ran}");
        let config = sandbox.loaded_config("lb").unwrap_or_default();
        assert_eq!(
            sandbox.file_in("lb", CONFIG).as_ref(),
            Some(&config),
            "{ran}"
        );
        let config = sandbox.by_name(&config);
        let servers: BTreeSet<&str> = config
            .lines()
            .filter_map(|line| {
                line.trim()
                    .strip_prefix("server ")?
                    .split([' ', ':'])
                    .nth(1)
            })
            .collect();
        assert_eq!(servers, instances, "{ran}\n{}", calls());
        if self.act.replaces() {
            let old = old_image(sandbox);
            for name in &instances {
                assert_ne!(sandbox.container(name)["image_id"], old, "{name}\n{ran}");
            }
        }
    }
}

/// The image that instances had before a rollout.
fn old_image(sandbox: &Sandbox) -> Value {
    let text = fs::read(sandbox.path("old_image")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

fn without_addresses(mut state: Value) -> Value {
    let containers = state["containers"].as_object_mut().unwrap();
    for container in containers.values_mut() {
        for network in container["networks"].as_object_mut().unwrap().values_mut() {
            network["address"] = Value::Null;
        }
    }
    state
}

/// No docker process is left behind: what has not ended by itself was ended.
fn await_all_calls(sandbox: &Sandbox) {
    let gone = |pid: i64| match fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => stat
            .rsplit(')')
            .next()
            .is_some_and(|rest| rest.trim_start().starts_with('Z')),
        Err(_) => true,
    };
    sandbox.wait_until("the end of all calls", || {
        sandbox
            .calls()
            .iter()
            .all(|call| call.has_ended() || gone(call.pid))
            .then_some(())
    });
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string))
        .unwrap_or_default()
}

/// The endpoint before a command, and how many calls the command makes of it.
struct Scene {
    act: Act,
    flavor: Flavor,
    sandbox: Sandbox,
    /// Which of the calls of a clean run change something.
    changes: Vec<bool>,
}

impl Scene {
    /// Whether a call changes something, or may do so in another run: how often is looked in between varies by one or two.
    fn changes_about(&self, call: usize) -> bool {
        let around = call.saturating_sub(2)..(call + 3).min(self.changes.len());
        self.changes[around].contains(&true)
    }
}

fn scene(act: Act, flavor: Flavor) -> Scene {
    let sandbox = act.scene(flavor);
    if act.replaces() {
        let first = sandbox.containers().into_iter().find(|name| name != "lb");
        let image = sandbox.container(&first.unwrap())["image_id"].to_string();
        fs::write(sandbox.path("old_image"), image).unwrap();
    }
    let clean = Sandbox::like(&sandbox);
    let _lb = clean.serve();
    let case = Case {
        act,
        fault: Fault::Garbage,
        call: 0,
        jobs: "1",
    };
    let ran = clean.tool(&case.arguments(&[])).success();
    case.assert_complete(&clean, &ran);
    Scene {
        act,
        flavor,
        changes: clean
            .calls()
            .iter()
            .map(|call| call.change.is_some())
            .collect(),
        sandbox,
    }
}

fn cases(scenes: &[Scene]) -> Vec<(&Scene, Case)> {
    let mut cases = Vec::new();
    for scene in scenes {
        for fault in FAULTS {
            for call in 0..scene.changes.len() {
                if fault.strikes(call, scene) {
                    // Side by side, now and then.
                    let jobs = if call % 7 == 3 { "4" } else { "1" };
                    let act = scene.act;
                    let case = Case {
                        act,
                        fault,
                        call,
                        jobs,
                    };
                    cases.push((scene, case));
                }
            }
        }
    }
    cases
}

#[test]
fn whatever_goes_wrong_nothing_is_left_half_way() {
    let scenes: Vec<Scene> = ACTS
        .into_iter()
        .flat_map(|act| FLAVORS.map(|flavor| scene(act, flavor)))
        .collect();
    let cases = cases(&scenes);
    let only = std::env::var("MATRIX").unwrap_or_default();
    let next = AtomicUsize::new(0);
    let met = AtomicUsize::new(0);
    let wrong = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some((scene, case)) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let name = format!("{:?} {case:?}", scene.flavor);
                    if !name.contains(&only) {
                        continue;
                    }
                    match catch_unwind(AssertUnwindSafe(|| case.run(&scene.sandbox))) {
                        Ok(Some(())) => {
                            met.fetch_add(1, Ordering::Relaxed);
                        }
                        Ok(None) => {}
                        Err(panic) => wrong
                            .lock()
                            .unwrap()
                            .push(format!("==== {name}\n{}", text_of(&*panic))),
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    eprintln!("matrix: {} cases", met.load(Ordering::Relaxed));
    assert!(
        wrong.is_empty(),
        "{} cases went wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
