//! A shell script as the commands that it consists of. Nothing is executed, and nothing is guessed: what is not understood
//! is an error with its line. Pure.
//!
//! It knows quotes, comments, here-documents, substitutions and the compound commands of bash. Each simple command is
//! told with where it stands, since only one that stands by itself is sure to run, once.

mod lexer;
mod parser;
pub mod value;

pub use parser::commands;

/// A simple command: assignments, a program with its words, or both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Of its first word, from 1.
    pub line: usize,
    pub place: Place,
    /// As they are written, quotes and all.
    pub words: Vec<String>,
    /// Whether anything is redirected.
    pub redirected: bool,
    /// The files that it writes to, as they are written.
    pub writes: Vec<String>,
    /// What its here-documents and here-strings hold.
    pub here: Vec<Here>,
}

/// The text of a here-document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Here {
    /// Of its first line, from 1.
    pub line: usize,
    pub text: String,
    /// The shell expands nothing in it.
    pub literal: bool,
}

/// Where a command stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// By itself: it runs, once, in the script's own shell.
    Alone,
    /// In something that decides whether, how often or where it runs: "a loop".
    Within(&'static str),
}

/// A script, read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Script {
    pub commands: Vec<Command>,
    /// Variables that something other than an assignment sets, and where: `${X:=1}`, `for X in`, `((X++))`.
    pub touched: Vec<Touch>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Touch {
    pub name: String,
    pub line: usize,
}

/// Why a script can't be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unclear {
    pub line: usize,
    pub why: String,
}

/// `A` of `A=1`, `A+=1`, `A[0]=1`, what stands between, and the value; `None` if `word` is no assignment.
pub fn assignment(word: &str) -> Option<(&str, &str, &str)> {
    let end = word
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(word.len());
    let (name, rest) = word.split_at(end);
    if !is_name(name) {
        return None;
    }
    let operator = if rest.starts_with('[') {
        rest.find("]=").map(|end| end + 2)?
    } else if rest.starts_with("+=") {
        2
    } else if rest.starts_with('=') {
        1
    } else {
        return None;
    };
    let (operator, value) = rest.split_at(operator);
    Some((name, operator, value))
}

/// Whether a variable can be called so.
pub fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
