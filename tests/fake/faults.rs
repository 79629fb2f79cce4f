//! `rules.json`: what goes wrong, at which call. A list, in order; a call gets the first rule that is due.
//!
//! A rule counts the calls that it matches and is due at the `nth` of them (0: at every one). `matched` and `fired` counts
//! lie in `rules_hits.json`, so that a test can tell a rule that was never used.

use std::thread::sleep;
use std::time::Duration;

use rustix::process::{Signal, getpid, getppid, kill_process};
use serde::{Deserialize, Serialize};

use crate::pattern::subsequence;
use crate::reply::Reply;
use crate::store::Store;

#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Rule {
    #[serde(skip)]
    pub(crate) index: usize,
    /// Globs that the call's words must match in this order; empty matches every call.
    when: Vec<String>,
    /// Only the so manieth of the calls that change something, from 0.
    changing_call: Option<u64>,
    /// Only the so manieth of all calls, from 0.
    any_call: Option<u64>,
    /// At the so manieth match, from 1; 0 at every one.
    nth: u64,
    /// Whether it strikes before the command acts, or after it has.
    before: bool,
    delay_ms: u64,
    /// Waits until this file is in the state's folder.
    hang: Option<String>,
    /// Makes this file in the state's folder.
    touch: Option<String>,
    /// A signal for the process that called.
    kill_parent: Option<i32>,
    stdout: Option<String>,
    stdout_bytes: usize,
    raw_stdout_hex: Option<String>,
    stderr: Option<String>,
    /// Exits with this code in place of acting (before), or of its own code (after).
    exit: Option<i32>,
    /// Dies of this signal.
    signal: Option<i32>,
}

impl Default for Rule {
    fn default() -> Self {
        Self {
            index: 0,
            when: Vec::new(),
            changing_call: None,
            any_call: None,
            nth: 1,
            before: true,
            delay_ms: 0,
            hang: None,
            touch: None,
            kill_parent: None,
            stdout: None,
            stdout_bytes: 0,
            raw_stdout_hex: None,
            stderr: None,
            exit: None,
            signal: None,
        }
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Hits {
    matched: Vec<u64>,
    fired: Vec<u64>,
}

/// The rule that is due at this call; the lock is held.
pub(crate) fn choose(
    store: &Store,
    words: &[String],
    call: u64,
    change: Option<u64>,
) -> Option<Rule> {
    let mut rules: Vec<Rule> = store.load("rules.json")?;
    let mut hits: Hits = store.load("rules_hits.json").unwrap_or_default();
    hits.matched.resize(rules.len().max(hits.matched.len()), 0);
    hits.fired.resize(rules.len().max(hits.fired.len()), 0);
    let mut due = None;
    for (index, rule) in rules.iter_mut().enumerate() {
        rule.index = index;
        let matches = subsequence(&rule.when, words)
            && rule.any_call.is_none_or(|wanted| wanted == call)
            && rule
                .changing_call
                .is_none_or(|wanted| change == Some(wanted));
        if !matches {
            continue;
        }
        hits.matched[index] += 1;
        if due.is_none() && (rule.nth == 0 || rule.nth == hits.matched[index]) {
            hits.fired[index] += 1;
            due = Some(rule.clone());
        }
    }
    store.store("rules_hits.json", &hits);
    due
}

/// Strikes before the command acts. A reply means that it doesn't act at all.
pub(crate) fn before(store: &Store, rule: Option<&Rule>) -> Option<Reply> {
    let rule = rule.filter(|rule| rule.before)?;
    rule.hold(store);
    if rule.exit.is_none() && rule.signal.is_none() {
        return None;
    }
    Some(rule.speak(Reply::default()))
}

/// Strikes after the command has acted, or adds what a rule without an end has to say.
pub(crate) fn after(store: &Store, rule: Option<&Rule>, reply: Reply) -> Reply {
    let Some(rule) = rule else {
        return reply;
    };
    if !rule.before {
        rule.hold(store);
    }
    rule.speak(reply)
}

impl Rule {
    fn hold(&self, store: &Store) {
        sleep(Duration::from_millis(self.delay_ms));
        if let Some(file) = &self.hang {
            // Once the sandbox is gone nobody will come to release it.
            while !store.exists(file) && store.exists("rules.json") {
                sleep(Duration::from_millis(5));
            }
        }
        if let Some(file) = &self.touch {
            store.touch(file);
        }
        if let (Some(number), Some(parent)) = (self.kill_parent, getppid())
            && let Some(signal) = Signal::from_named_raw(number)
        {
            let _ = kill_process(parent, signal);
        }
    }

    /// The command's reply, with what the rule changes in it.
    fn speak(&self, mut reply: Reply) -> Reply {
        if self.exit.is_some() {
            reply.stdout.clear();
            reply.stderr.clear();
        }
        if let Some(text) = &self.stdout {
            reply.stdout = text.clone().into_bytes();
        }
        if let Some(hex) = &self.raw_stdout_hex {
            let digit =
                |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal digits");
            reply.stdout = (0..hex.len() / 2).map(|at| digit(at * 2)).collect();
        }
        if self.stdout_bytes > 0 {
            reply.stdout = b"garbage\n"
                .iter()
                .copied()
                .cycle()
                .take(self.stdout_bytes)
                .collect();
        }
        if let Some(text) = &self.stderr {
            reply.err(text.strip_suffix('\n').unwrap_or(text));
        }
        if let Some(code) = self.exit {
            reply.code = code;
        }
        reply.dies_of = self.signal;
        reply
    }
}

/// Ends this process by a signal.
pub(crate) fn kill_self(number: i32) {
    if let Some(signal) = Signal::from_named_raw(number) {
        let _ = kill_process(getpid(), signal);
        sleep(Duration::from_secs(1));
    }
}
