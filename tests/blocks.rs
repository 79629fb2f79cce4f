//! The fenced blocks of the README, as the tests read them that execute what is in there.

use std::fs;
use std::path::Path;

/// A line of the README, with its number.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub number: usize,
    pub text: String,
}

#[derive(Debug)]
pub(crate) struct Block {
    pub language: String,
    pub lines: Vec<Line>,
}

/// A command as the reader types it, and what the README shows below it.
#[derive(Debug)]
pub(crate) struct Shown {
    pub command: Line,
    pub output: Vec<Line>,
}

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn readme() -> String {
    fs::read_to_string(root().join("README.md")).unwrap()
}

/// All fenced blocks, in order.
pub(crate) fn blocks(readme: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (number, text) in (1..).zip(readme.lines()) {
        match (text.strip_prefix("```"), &mut open) {
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(language), None) => {
                open = Some(Block {
                    language: language.to_owned(),
                    lines: Vec::new(),
                });
            }
            (None, Some(block)) => block.lines.push(Line {
                number,
                text: text.to_owned(),
            }),
            (None, None) => {}
        }
    }
    blocks
}

impl Block {
    pub(crate) fn text(&self) -> String {
        let lines: Vec<&str> = self.lines.iter().map(|line| line.text.as_str()).collect();
        lines.join("\n") + "\n"
    }

    /// The name of the file that this is: its first line is a comment that says so.
    pub(crate) fn file_name(&self) -> Option<&str> {
        let name = self.lines.first()?.text.strip_prefix("# ")?;
        (self.language == "sh" && !name.contains(' ')).then_some(name)
    }

    /// What is typed: the lines behind a `$ ` of a `console` block, all lines of an `sh` block.
    pub(crate) fn commands(&self) -> Vec<Shown> {
        let mut commands: Vec<Shown> = Vec::new();
        for line in &self.lines {
            let typed = match self.language.as_str() {
                "console" => line.text.strip_prefix("$ "),
                "sh" if self.file_name().is_none() => Some(line.text.as_str()),
                _ => return Vec::new(),
            };
            match (typed, commands.last_mut()) {
                (Some(text), _) => commands.push(Shown {
                    command: Line {
                        number: line.number,
                        text: text.to_owned(),
                    },
                    output: Vec::new(),
                }),
                (None, Some(shown)) => shown.output.push(line.clone()),
                (None, None) => panic!("README.md:{}: no command before it", line.number),
            }
        }
        commands
    }
}
