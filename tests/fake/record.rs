//! `calls.jsonl`: a line when a call starts and one when it ends, with how it was spawned; and the counting of calls.

use std::env;
use std::fs;
use std::process;

use rustix::process::{getpgid, getpgrp, getppid};
use serde_json::{Map, Value, json};

use crate::copy;
use crate::faults::{self, Rule};
use crate::store::Store;
use crate::times;

/// A call that has been noted.
pub(crate) struct Entry {
    /// Which call it is of all, from 0.
    pub(crate) seq: u64,
    /// Which of the changing calls it is, from 0.
    pub(crate) change: Option<u64>,
    /// The fault that was laid for it.
    pub(crate) rule: Option<Rule>,
}

/// Notes the start of a call. Numbers, lines and rules are dealt out under the lock, so their orders agree.
pub(crate) fn begin(
    store: &Store,
    argv: &[String],
    words: &[String],
    changing: bool,
    stdin: &[u8],
) -> Entry {
    let pid_of = |pid: rustix::process::Pid| pid.as_raw_nonzero().get();
    let parent = getppid();
    let environment: Map<String, Value> = env::vars()
        .filter(|(name, _)| name.starts_with("DOCKER_"))
        .map(|(name, value)| (name, Value::String(value)))
        .collect();
    let mut line = json!({
        "event": "start",
        "argv": argv,
        "stdin_null": fs::read_link("/proc/self/fd/0").is_ok_and(|path| path.as_os_str() == "/dev/null"),
        "env": environment,
        "pid": process::id(),
        "pgid": pid_of(getpgrp()),
        "ppid": parent.map(pid_of),
        "ppid_pgid": parent.and_then(|parent| getpgid(Some(parent)).ok()).map(pid_of),
    });
    if !stdin.is_empty() {
        match copy::entries(stdin) {
            Some(entries) => line["stdin_tar"] = entries,
            None => line["stdin"] = String::from_utf8_lossy(stdin).into(),
        }
    }

    let _lock = store.lock();
    let seq = store.next("calls");
    let change = changing.then(|| store.next("changes"));
    line["seq"] = seq.into();
    line["change"] = change.into();
    line["t_ms"] = (times::now() / 1_000_000).into();
    let rule = faults::choose(store, words, seq, change);
    line["rule"] = rule.as_ref().map(|rule| rule.index).into();
    store.append("calls.jsonl", &line.to_string());
    Entry { seq, change, rule }
}

/// Notes the end of a call: its exit code, or the signal that it is about to die of.
pub(crate) fn end(store: &Store, seq: u64, code: Option<i32>, signal: Option<i32>) {
    let t_ms = times::now() / 1_000_000;
    let line = json!({"event": "end", "seq": seq, "code": code, "signal": signal, "t_ms": t_ms});
    store.append("calls.jsonl", &line.to_string());
}
