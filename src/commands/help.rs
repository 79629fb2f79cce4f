//! `vch-lb help`: what commands take, and what there is to know beside them.

use std::io::IsTerminal as _;

use crate::cli::{self, HelpArgs};
use crate::docker::spawn;
use crate::error::exit;
use crate::help;
use crate::help::pager::{self, Pager};
use crate::ui::Ui;

/// The width of a text, as clap's: narrower where the terminal is.
const COLUMNS: usize = 100;
/// What a text needs at least to be one.
const FEWEST_COLUMNS: usize = 40;

/// Explains a command or a topic; of a name that is both, the command in short and then the topic.
pub(super) fn explain(ui: &Ui, args: &HelpArgs) -> u8 {
    let screen = screen();
    let columns = screen.map_or(COLUMNS, |(_, columns)| {
        columns.clamp(FEWEST_COLUMNS, COLUMNS)
    });
    let name = args.name.as_deref();
    let topic = name.and_then(help::topic);
    let command = cli::help_of(name, topic.is_some());
    let topic = topic.map(|topic| topic.plain(columns));
    let parts: Vec<String> = command.into_iter().chain(topic).collect();
    let parts: Vec<&str> = parts.iter().map(|part| part.trim_end()).collect();
    show(ui, &parts.join("\n\n"), screen.map(|(rows, _)| rows));
    exit::DONE
}

/// Rows and columns of the terminal on stdout, if there is one that can move its cursor.
fn screen() -> Option<(usize, usize)> {
    let dumb = std::env::var("TERM").is_ok_and(|term| term.is_empty() || term == "dumb");
    if dumb || !std::io::stdout().is_terminal() {
        return None;
    }
    let (rows, columns) = console::Term::stdout().size_checked()?;
    Some((usize::from(rows), usize::from(columns)))
}

/// Shows a text, through a pager where it is longer than the screen.
fn show(ui: &Ui, text: &str, rows: Option<usize>) {
    let text = format!("{text}\n");
    let pager = rows
        .filter(|rows| pager::is_wanted(&text, *rows))
        .and_then(|_| Pager::from_environment(|name| std::env::var(name).ok()));
    let paged = pager.is_some_and(|pager| {
        let plain = anstream::adapter::strip_str(&text).to_string();
        spawn::page(&pager.program, &pager.args, pager.env, plain).is_ok()
    });
    if !paged {
        ui.answer_verbatim(&text);
    }
}
