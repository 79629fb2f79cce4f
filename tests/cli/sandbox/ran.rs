//! A program that has run, and what is expected of it.

use std::fmt;

use predicates::prelude::*;
use predicates::str::{contains, diff};
use serde_json::Value;

/// What a program did: shown whole when something about it is not as expected.
pub(crate) struct Ran {
    pub(crate) what: String,
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// stdout as it was.
    pub(crate) bytes: Vec<u8>,
}

impl Ran {
    #[track_caller]
    pub(crate) fn success(self) -> Self {
        self.code(0)
    }

    #[track_caller]
    pub(crate) fn code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "\n{self}");
        self
    }

    #[track_caller]
    pub(crate) fn stdout(self, text: &str) -> Self {
        self.meets("stdout", &self.stdout, &diff(text.to_owned()));
        self
    }

    #[track_caller]
    pub(crate) fn stderr(self, text: &str) -> Self {
        self.meets("stderr", &self.stderr, &diff(text.to_owned()));
        self
    }

    #[track_caller]
    pub(crate) fn stdout_has(self, text: &str) -> Self {
        self.meets("stdout", &self.stdout, &contains(text));
        self
    }

    #[track_caller]
    pub(crate) fn stderr_has(self, text: &str) -> Self {
        self.meets("stderr", &self.stderr, &contains(text));
        self
    }

    #[track_caller]
    pub(crate) fn stderr_lacks(self, text: &str) -> Self {
        self.meets("stderr", &self.stderr, &contains(text).not());
        self
    }

    /// Panics with what is wrong with `text`, for instance in which lines it differs, and with the whole story.
    #[track_caller]
    fn meets(&self, stream: &str, text: &str, expected: &impl Predicate<str>) {
        if let Some(case) = expected.find_case(false, text) {
            let mut products = case.products();
            let differs = products.find(|product| product.name() == "diff");
            let differs = differs.map(ToString::to_string).unwrap_or_default();
            panic!("{stream} is not as expected: {expected}\n{differs}\n{self}");
        }
    }

    /// stdout as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}\n{self}"))
    }
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = |text: &str| {
            if text.is_empty() || text.ends_with('\n') {
                ""
            } else {
                "[EOF]\n"
            }
        };
        writeln!(f, "$ {}", self.what)?;
        write!(f, "{}{}", self.stdout, mark(&self.stdout))?;
        if !self.stderr.is_empty() {
            write!(
                f,
                "------- stderr -------\n{}{}",
                self.stderr,
                mark(&self.stderr)
            )?;
        }
        match (self.code, self.signal) {
            (Some(code), _) => writeln!(f, "[exit status: {code}]"),
            (None, signal) => writeln!(f, "[signal: {signal:?}]"),
        }
    }
}

impl fmt::Debug for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
