//! Words for the admin in which commands of this tool are named. Pure.
//!
//! Such a command is a value, not text: what the admin had to give to mean this service is put into it where it is shown,
//! by `suggest`.

use std::fmt;
use std::ops::Add;

use serde::{Serialize, Serializer};

/// A command of this tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    pub subcommand: &'static str,
    /// What it is given beside what says which service is meant.
    pub more: Vec<String>,
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "vch-lb {}", self.subcommand)?;
        self.more.iter().try_for_each(|word| write!(f, " {word}"))
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Command(Command),
}

/// Text with commands in between: `vch_lb("up") + " makes one"`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message(Vec<Part>);

/// The command `subcommand` of this tool, to be shown in back quotes.
pub fn vch_lb(subcommand: &'static str) -> Message {
    vch_lb_with(subcommand, &[])
}

/// The same, given `more`.
pub fn vch_lb_with(subcommand: &'static str, more: &[&str]) -> Message {
    let more = more.iter().map(|&word| word.to_owned()).collect();
    Message(vec![Part::Command(Command { subcommand, more })])
}

impl Message {
    /// The text, with each command as `show` has it.
    pub fn text(&self, show: impl Fn(&Command) -> String) -> String {
        let parts = self.0.iter().map(|part| match part {
            Part::Text(text) => text.clone(),
            Part::Command(command) => format!("`{}`", show(command)),
        });
        parts.collect()
    }
}

/// Without what says which service is meant.
impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(Command::to_string))
    }
}

impl Serialize for Message {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        Self(vec![Part::Text(text)])
    }
}

impl<T: Into<Message>> Add<T> for Message {
    type Output = Self;

    fn add(mut self, more: T) -> Self {
        self.0.extend(more.into().0);
        self
    }
}

impl Add<Message> for &str {
    type Output = Message;

    fn add(self, more: Message) -> Message {
        Message::from(self) + more
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_stand_in_their_text_and_are_shown_as_whoever_shows_them_has_it() {
        let message =
            "look with " + vch_lb("status") + ", or " + vch_lb_with("up", &["--overwrite"]);
        assert_eq!(
            message.to_string(),
            "look with `vch-lb status`, or `vch-lb up --overwrite`"
        );
        assert_eq!(
            message.text(|command| command.subcommand.to_uppercase()),
            "look with `STATUS`, or `UP`"
        );
    }
}
