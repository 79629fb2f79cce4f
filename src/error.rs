//! What went wrong, as the admin is told it: one type, one renderer, one table of exit codes.
//!
//! Deciding what a text of docker's means happens in `docker::cause`; nothing here talks to docker.

use std::fmt::Write as _;

use serde::Serialize;

use crate::message::Message;
use crate::receipt::Receipt;
pub use crate::text::printable;

/// Exit codes: a public contract; `vch-lb help exit-codes` and the manual page show [`exit::MEANINGS`].
pub mod exit {
    pub const DONE: u8 = 0;
    pub const FAILED: u8 = 1;
    pub const USAGE: u8 = 2;
    pub const NOT_AS_DESIRED: u8 = 3;
    pub const UNUSABLE: u8 = 4;

    /// What each code means.
    pub const MEANINGS: [(u8, &str); 8] = [
        (DONE, "done, or nothing to do"),
        (
            FAILED,
            "something asked for did not happen; `doctor`: a deployment would fail",
        ),
        (
            USAGE,
            "the command line or a setting is wrong; nothing was tried",
        ),
        (
            NOT_AS_DESIRED,
            "degraded or not deployed (`status`); something to do (`--dry-run --exit-code`)",
        ),
        (UNUSABLE, "docker or the endpoint can't be used"),
        (129, "interrupted by SIGHUP: the terminal was closed"),
        (130, "interrupted by SIGINT: Ctrl-C"),
        (143, "interrupted by SIGTERM"),
    ];

    /// The codes and their meanings, as a table in Markdown.
    pub fn table() -> String {
        let rows = MEANINGS.map(|(code, meaning)| format!("| {code} | {meaning} |\n"));
        format!("| code | meaning |\n| ---: | --- |\n{}", rows.concat())
    }
}

/// 128 + the signal's number, as shells say it.
pub fn signal_exit_code(signal: i32) -> i32 {
    128 + signal
}

/// Which exit code a failure has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    Failed,
    Usage,
    Unusable,
    Interrupted(i32),
    /// Failed, since several networks have the name that was given.
    NetworkAmbiguous,
}

impl Kind {
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Failed | Self::NetworkAmbiguous => exit::FAILED,
            Self::Usage => exit::USAGE,
            Self::Unusable => exit::UNUSABLE,
            Self::Interrupted(signal) => {
                u8::try_from(signal_exit_code(signal)).unwrap_or(exit::FAILED)
            }
        }
    }
}

/// The last log lines of a container, shown where they explain a failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogTail {
    pub container: String,
    pub lines: Vec<String>,
}

/// Something on the endpoint that a run makes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub enum Thing {
    Container(String),
    Network(String),
}

impl From<Thing> for String {
    fn from(thing: Thing) -> Self {
        thing.to_string()
    }
}

impl std::fmt::Display for Thing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Container(name) => write!(f, "container `{name}`"),
            Self::Network(name) => write!(f, "network `{name}`"),
        }
    }
}

/// Something that this run made, or may have made, and that is still there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Standing {
    pub what: Thing,
    /// The command that removes it, for a shell; `None` where it had better stay for now.
    pub remove: Option<String>,
}

impl Standing {
    pub fn text(&self) -> String {
        let Self { what, remove } = self;
        match remove {
            Some(remove) => format!("{what} (to remove it: {remove})"),
            None => what.to_string(),
        }
    }
}

/// A command that did not do what it was asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    pub kind: Kind,
    /// What was asked for and did not happen: a lowercase sentence without a period.
    pub what: String,
    /// The docker call, quoted as a shell would.
    pub call: Option<String>,
    /// Docker's own words, unaltered.
    pub words: Option<String>,
    pub logs: Vec<LogTail>,
    /// Failures while undoing: they never hide the first one.
    pub undoing: Vec<Message>,
    pub standing: Vec<Standing>,
    /// Whether what it was about is as it was before: nothing was done, or all of it was undone.
    pub undone: bool,
    /// Said where something was undone or kept on purpose.
    pub aftermath: Option<Message>,
    /// With `--probe`: what the change, and undoing it, cost its clients.
    pub receipt: Option<Receipt>,
    pub hints: Vec<Message>,
}

impl Failure {
    pub fn new(kind: Kind, what: impl Into<String>) -> Self {
        Self {
            kind,
            what: what.into(),
            call: None,
            words: None,
            logs: Vec::new(),
            undoing: Vec::new(),
            standing: Vec::new(),
            undone: false,
            aftermath: None,
            receipt: None,
            hints: Vec::new(),
        }
    }

    pub fn failed(what: impl Into<String>) -> Self {
        Self::new(Kind::Failed, what)
    }

    pub fn usage(what: impl Into<String>) -> Self {
        Self::new(Kind::Usage, what)
    }

    /// Interrupted by `signal` before anything failed.
    pub fn interrupted(signal: i32) -> Self {
        Self::new(Kind::Interrupted(signal), "interrupted")
    }

    #[must_use]
    pub fn hinted(mut self, hint: impl Into<Message>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// With `hint` in place of those that it has: it says better what to do.
    #[must_use]
    pub fn hinted_better(mut self, hint: impl Into<Message>) -> Self {
        self.hints = vec![hint.into()];
        self
    }

    #[must_use]
    pub fn worded(mut self, words: impl Into<String>) -> Self {
        self.words = Some(words.into());
        self
    }

    /// The same with each command that it names as `complete` has it.
    #[must_use]
    pub fn completed(self, complete: impl Fn(&Message) -> String) -> Self {
        let all = |messages: Vec<Message>| {
            let messages = messages.iter();
            messages.map(|message| complete(message).into()).collect()
        };
        Self {
            undoing: all(self.undoing),
            aftermath: self.aftermath.map(|message| complete(&message).into()),
            hints: all(self.hints),
            ..self
        }
    }

    /// The whole message, without colour.
    pub fn render(&self) -> Message {
        Message::from(format!("error: {}", self.what)) + self.render_rest()
    }

    /// What follows on what was not done.
    pub fn render_rest(&self) -> Message {
        let mut text = String::new();
        if let Some(call) = &self.call {
            let _ = write!(text, "\n  {call}");
        }
        if let Some(words) = &self.words {
            quote_block(&mut text, words.lines());
        }
        for log in &self.logs {
            if log.lines.is_empty() {
                let _ = write!(text, "\n`{}` logged nothing", log.container);
            } else {
                let _ = write!(text, "\nthe last log lines of `{}`:", log.container);
                quote_block(&mut text, log.lines.iter().map(String::as_str));
            }
        }
        let mut message = Message::from(text);
        for failure in &self.undoing {
            message = message + "\nwhile undoing: " + failure.clone();
        }
        if let Some(aftermath) = &self.aftermath {
            message = message + "\n" + aftermath.clone();
        }
        if !self.standing.is_empty() {
            message = message + "\nleft standing:";
            for standing in &self.standing {
                message = message + format!("\n  {}", standing.text());
            }
        }
        if let Some(receipt) = &self.receipt {
            message = message + format!("\n{}", receipt.text().trim_end());
        }
        for hint in &self.hints {
            message = message + "\nhint: " + hint.clone();
        }
        message
    }

    /// The error object that `--format json` writes to stderr.
    pub fn json(&self) -> serde_json::Value {
        let hints: Vec<String> = self.hints.iter().map(Message::to_string).collect();
        serde_json::json!({
            "schema": "vch-lb/error/1",
            "error": self.what,
            "exit_code": self.kind.exit_code(),
            "call": self.call,
            "docker": self.words,
            "logs": self.logs,
            "undoing": self.undoing,
            "aftermath": self.aftermath,
            "standing": self.standing,
            "probe": self.receipt,
            "hint": (!hints.is_empty()).then(|| hints.join("\n")),
        })
    }
}

fn quote_block<'a>(text: &mut String, lines: impl Iterator<Item = &'a str>) {
    for line in lines {
        let _ = write!(text, "\n  | {}", printable(line));
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Failure {}

/// For what goes wrong on this workstation: files, threads, templates.
impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::failed(format!("{error:#}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::vch_lb;
    use crate::receipt::Tally;

    #[test]
    fn a_failure_tells_everything_in_order() {
        let failure = Failure {
            call: Some("docker start lb".into()),
            words: Some("Error response from daemon: no\nexit status 1".into()),
            logs: vec![
                LogTail {
                    container: "lb".into(),
                    lines: vec!["\u{1b}[31m[ALERT]".into()],
                },
                LogTail {
                    container: "web-1".into(),
                    lines: vec![],
                },
            ],
            undoing: vec!["docker rm -f -v lb: timed out".into()],
            standing: vec![
                Standing {
                    what: Thing::Container("lb".into()),
                    remove: Some("docker rm -f -v lb".into()),
                },
                Standing {
                    what: Thing::Container("web-4".into()),
                    remove: None,
                },
            ],
            aftermath: Some("undone: 3 containers".into()),
            receipt: Some(Receipt {
                total: Tally {
                    sent: 2,
                    failed: 2,
                    median_ms: None,
                    p99_ms: None,
                },
                phases: Vec::new(),
            }),
            ..Failure::failed("the load balancer was not started")
                .hinted("look with " + vch_lb("status"))
                .hinted("look again")
        };
        assert_eq!(
            failure.render().to_string(),
            "error: the load balancer was not started\n  docker start lb\n  | Error response from daemon: no\n  \
             | exit status 1\nthe last log lines of `lb`:\n  | \u{fffd}[31m[ALERT]\n`web-1` logged nothing\nwhile undoing: \
             docker rm -f -v lb: timed out\nundone: 3 containers\nleft standing:\n  container `lb` (to remove it: docker \
             rm -f -v lb)\n  container `web-4`\nprobe: 2 sent, 2 failed\nhint: look with `vch-lb status`\nhint: look again"
        );
    }

    #[test]
    fn exit_codes_are_the_documented_ones() {
        let codes = [
            Kind::Failed,
            Kind::Usage,
            Kind::Unusable,
            Kind::Interrupted(2),
            Kind::Interrupted(15),
            Kind::NetworkAmbiguous,
        ];
        assert_eq!(codes.map(Kind::exit_code), [1, 2, 4, 130, 143, 1]);
        assert!(codes.iter().all(|kind| {
            let mut meanings = exit::MEANINGS.iter();
            meanings.any(|(code, _)| *code == kind.exit_code())
        }));
    }
}
