//! A call of docker that the tool made, as the fake recorded it.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;
use vch_lb::history;
use vch_lb::service::KEPT_IMAGES;

/// One call of docker, from the fake's record.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) seq: u64,
    /// All arguments.
    pub(crate) argv: Vec<String>,
    /// The arguments from the command on.
    pub(crate) words: Vec<String>,
    /// Which of the changing calls it is, from 0; none if it only reads.
    pub(crate) change: Option<u64>,
    /// The fault that struck it, as an index into the rules.
    pub(crate) rule: Option<u64>,
    /// None if it has not ended, or was ended by a signal.
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
    /// `DOCKER_*` in its environment.
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) stdin_null: bool,
    /// The files of a tar on stdin: `path`, `mode`, `uid`, `text`.
    pub(crate) stdin_tar: Vec<Value>,
    pub(crate) pid: i64,
    pub(crate) pgid: i64,
    pub(crate) parent_pgid: i64,
    pub(crate) parent_pid: i64,
    pub(crate) start_ms: u64,
    pub(crate) end_ms: u64,
    started: usize,
    ended: Option<usize>,
}

impl Call {
    /// The calls of a record, in order of start.
    pub(super) fn all(record: &str) -> Vec<Self> {
        let mut calls: Vec<Self> = Vec::new();
        for (at, line) in record.lines().enumerate() {
            // A line that is being written is not there yet.
            let Ok(line) = serde_json::from_str::<Value>(line) else {
                continue;
            };
            if line["event"] == "start" {
                calls.push(Self::new(&line, at));
            } else if let Some(call) = calls.iter_mut().rev().find(|call| line["seq"] == call.seq) {
                call.end(&line, at);
            }
        }
        calls
    }

    fn end(&mut self, line: &Value, at: usize) {
        let number = |key: &str| line[key].as_i64().and_then(|n| i32::try_from(n).ok());
        self.ended = Some(at);
        self.code = number("code");
        self.signal = number("signal");
        self.end_ms = line["t_ms"].as_u64().unwrap_or(0);
    }

    fn new(line: &Value, at: usize) -> Self {
        let argv: Vec<String> = serde_json::from_value(line["argv"].clone()).unwrap();
        Self {
            seq: line["seq"].as_u64().unwrap(),
            words: without_globals(&argv).to_vec(),
            argv,
            change: line["change"].as_u64(),
            rule: line["rule"].as_u64(),
            code: None,
            signal: None,
            env: serde_json::from_value(line["env"].clone()).unwrap(),
            stdin_null: line["stdin_null"] == true,
            stdin_tar: line["stdin_tar"].as_array().cloned().unwrap_or_default(),
            pid: line["pid"].as_i64().unwrap(),
            pgid: line["pgid"].as_i64().unwrap(),
            parent_pgid: line["ppid_pgid"].as_i64().unwrap_or(0),
            parent_pid: line["ppid"].as_i64().unwrap_or(0),
            start_ms: line["t_ms"].as_u64().unwrap(),
            end_ms: 0,
            started: at,
            ended: None,
        }
    }

    /// As a shell would show it.
    pub(crate) fn line(&self) -> String {
        format!("docker {}", shell_words::join(&self.argv))
    }

    /// Whether it keeps the service's history: it changes nothing of what serves.
    pub(crate) fn keeps_history(&self) -> bool {
        let file = self.stdin_tar.first().map(|file| &file["path"]);
        file.is_some_and(|path| path == history::FILE)
            || self
                .words
                .iter()
                .any(|word| word.starts_with(KEPT_IMAGES) || word.ends_with(history::FILE))
                && ["tag", "rmi", "images", "cp"].contains(&self.words[0].as_str())
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended.is_some()
    }

    /// Whether it had ended before the other started.
    pub(crate) fn before(&self, other: &Self) -> bool {
        self.ended.is_some_and(|ended| ended < other.started)
    }

    /// Whether the two ran side by side.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        !self.before(other) && !other.before(self)
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = match (self.code, self.signal) {
            (Some(code), _) => code.to_string(),
            (None, Some(signal)) => format!("signal {signal}"),
            (None, None) => "not ended".to_owned(),
        };
        write!(f, "{} -> {end}", self.line())
    }
}

/// Words from the command on.
fn without_globals(argv: &[String]) -> &[String] {
    let mut rest = argv;
    while let [first, after @ ..] = rest {
        rest = match first.as_str() {
            "-H" | "--host" | "-c" | "--context" if !after.is_empty() => &after[1..],
            word if word.starts_with('-') => after,
            _ => break,
        };
    }
    rest
}
