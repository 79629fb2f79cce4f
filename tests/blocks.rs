//! The fenced blocks of the README and of the topics of `vch-lb help`, as the tests read them that execute what is in
//! there.

use std::fs;
use std::path::Path;

/// A line, and where it stands: `README.md:12`.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub place: String,
    pub text: String,
}

/// A text whose blocks are executed.
#[derive(Debug)]
pub(crate) struct Document {
    /// From the top of the source.
    pub path: String,
    pub text: String,
}

#[derive(Debug)]
pub(crate) struct Block {
    pub language: String,
    pub lines: Vec<Line>,
}

/// A command as the reader types it, and what is shown below it.
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

/// The text of a topic.
pub(crate) fn topic(name: &str) -> Document {
    let path = format!("templates/help/{name}.md");
    let text = fs::read_to_string(root().join(&path)).unwrap();
    Document { path, text }
}

/// The README and the topics, in the order in which they are read and executed.
pub(crate) fn documents() -> Vec<Document> {
    let readme = Document {
        path: "README.md".into(),
        text: readme(),
    };
    let topics = vch_lb::help::TOPICS.iter();
    std::iter::once(readme)
        .chain(topics.map(|listed| topic(listed.name)))
        .collect()
}

/// All fenced blocks of all documents.
pub(crate) fn all_blocks() -> Vec<Block> {
    documents().iter().flat_map(blocks).collect()
}

/// All fenced blocks of a document, in order.
pub(crate) fn blocks(document: &Document) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (number, text) in (1..).zip(document.text.lines()) {
        match (text.strip_prefix("```"), &mut open) {
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(language), None) => {
                open = Some(Block {
                    language: language.to_owned(),
                    lines: Vec::new(),
                });
            }
            (None, Some(block)) => block.lines.push(Line {
                place: format!("{}:{number}", document.path),
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
                        place: line.place.clone(),
                        text: text.to_owned(),
                    },
                    output: Vec::new(),
                }),
                (None, Some(shown)) => shown.output.push(line.clone()),
                (None, None) => panic!("{}: no command before it", line.place),
            }
        }
        commands
    }
}
