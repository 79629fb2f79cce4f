//! `vch-lb history`: what was done to the service, and where one can go back to.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::Context;
use crate::change::record;
use crate::digest;
use crate::docker::Docker;
use crate::error::{Failure, exit};
use crate::history::{Changed, Entry, History, State};
use crate::look::{self, Wanted};
use crate::service::names::ImageRef;
use crate::service::{Service, running};
use crate::text::{columns, plural, printable};

pub(super) fn show(context: &Context<'_>) -> Result<u8, Failure> {
    let docker = context.docker()?;
    context.listen()?;
    let service = Service::from_settings(&context.settings)?;
    let wanted = Wanted {
        other_lb: true,
        ..Wanted::of(&service)
    };
    let inventory = look::look(&docker, wanted)?;
    context.refuse_other_lb(&service, &inventory)?;
    let Some(lb) = &inventory.lb else {
        return Err(running::absent(&service.names, &inventory.endpoint));
    };
    let history = record::read(&docker, service.names.lb.as_str())?;
    let now = State::found(&service, &inventory);
    let ids = looked_up(&docker, &history)?;
    let template = inventory.written_config();
    let template = template.and_then(|config| config.template.as_ref());
    let template = template.map(|text| digest::of(text.as_bytes()));
    let runs = now.as_ref().and_then(|now| history.runs(now));
    let reach = |state: &State| {
        let kept = state.reachable(&ids, template.as_deref(), &lb.image);
        kept.err()
    };
    let lines = lines(&history, runs, reach);
    if history.newer {
        context
            .ui
            .warn("a newer vch-lb has written here: what this one does not understand is left out");
    } else if history.unreadable > 0 {
        let lines = plural(history.unreadable, "line");
        context.ui.warn(&format!(
            "{lines} of the history can't be read, and left out here"
        ));
    }
    if runs.is_none() && !history.entries.is_empty() {
        context.ui.status("what runs is none of these");
    }
    if context.ui.json() {
        context.ui.answer_json(&serde_json::json!({
            "schema": "vch-lb/history/1",
            "service": service.names.prefix.to_string(),
            "entries": lines,
        }));
    } else if lines.is_empty() && history.unreadable > 0 {
        context
            .ui
            .status("the history has no entry that can be read");
    } else if lines.is_empty() {
        context.ui.status(
            "no history yet: the first change to a deployed service writes down what it found and what it made",
        );
    } else {
        context.ui.answer(&text(&lines));
    }
    Ok(exit::DONE)
}

/// The IDs of the images that the history tells of, as far as they are there by a name.
pub(super) fn looked_up(
    docker: &Docker,
    history: &History,
) -> Result<BTreeMap<String, String>, Failure> {
    let names: BTreeSet<&str> = history
        .states()
        .flat_map(|(_, state)| state.image_names().chain([state.lb_image.as_str()]))
        .filter(|name| ImageRef::parse(name).is_ok())
        .collect();
    let names: Vec<&str> = names.into_iter().collect();
    look::images_called(docker, &names)
}

/// An entry with what is known of it now.
#[derive(Debug, Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    entry: Shown<'a>,
    /// What the state before it had otherwise.
    changed: Vec<Changed>,
    /// Whether the service is this now.
    runs: bool,
    /// Whether `rollback` gets there.
    reachable: bool,
    /// Why it does not.
    unreachable_because: Option<String>,
}

/// What is shown of an entry. Its label and its settings may hold secrets: what of them changed is told without.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    number: u64,
    at: String,
    who: Option<String>,
    command: String,
    outcome: &'static str,
    why: Option<String>,
    of: Option<u64>,
    image: Option<String>,
    image_id: Option<String>,
    instances: Option<usize>,
    instance_port: Option<u16>,
    arguments: Option<String>,
    lb_image: Option<String>,
    lb_port: Option<u16>,
    settings: Option<BTreeMap<&'static str, String>>,
    receipt: Option<&'a serde_json::Value>,
}

impl<'a> Shown<'a> {
    fn new(entry: &'a Entry) -> Self {
        let state = entry.state.as_ref();
        let clean = |text: &String| printable(text);
        Self {
            number: entry.number,
            at: printable(&entry.at),
            who: entry.who.as_ref().map(clean),
            command: printable(&entry.command),
            outcome: entry.outcome.word(),
            why: entry.why.as_ref().map(clean),
            of: entry.of,
            image: state.map(|state| printable(&state.image)),
            image_id: state.map(|state| printable(&state.image_id)),
            instances: state.map(|state| state.instances),
            instance_port: state.map(|state| state.instance_port),
            arguments: state.map(|state| printable(&state.arguments())),
            lb_image: state.map(|state| printable(&state.lb_image)),
            lb_port: state.map(|state| state.lb_port),
            settings: state.map(|state| {
                let shown = state.settings_shown().into_iter();
                shown.map(|(name, text)| (name, printable(&text))).collect()
            }),
            receipt: entry.receipt.as_ref(),
        }
    }
}

fn lines(
    history: &History,
    runs: Option<u64>,
    why_not: impl Fn(&State) -> Option<String>,
) -> Vec<Line<'_>> {
    let mut before: Option<&State> = None;
    let mut lines = Vec::new();
    for entry in &history.entries {
        let state = entry.state.as_ref();
        let why_not = match state {
            Some(state) => why_not(state),
            None => Some(entry.no_state()),
        };
        let changed = before.zip(state);
        let mut changed = changed.map_or_else(Vec::new, |(before, now)| before.changes(now));
        for change in &mut changed {
            change.from = printable(&change.from);
            change.to = printable(&change.to);
        }
        lines.push(Line {
            entry: Shown::new(entry),
            changed,
            runs: runs == Some(entry.number),
            reachable: why_not.is_none(),
            unreachable_because: why_not.map(|why| printable(&why)),
        });
        before = state.or(before);
    }
    lines
}

/// A table, the oldest first; below it why some can't be reached, and why commands failed.
fn text(lines: &[Line<'_>]) -> String {
    let mut rows = vec![
        [
            " ",
            "N",
            "WHEN",
            "WHO",
            "COMMAND",
            "OUTCOME",
            "IMAGE",
            "INSTANCES",
            "CHANGED",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    let mut notes = Vec::new();
    for Line {
        entry,
        changed,
        runs,
        reachable,
        unreachable_because,
    } in lines
    {
        let failed = entry.image.is_none();
        let mark = match (runs, reachable, failed) {
            (true, ..) => "*",
            (_, true, _) | (.., true) => " ",
            _ => "!",
        };
        let dash = || "-".to_owned();
        let command = match entry.of {
            Some(of) if entry.command == "rollback" => format!("rollback to {of}"),
            _ if entry.command.is_empty() => dash(),
            _ => entry.command.clone(),
        };
        let changed = changed
            .iter()
            .map(|Changed { name, from, to }| format!("{name}: {} → {}", said(from), said(to)));
        rows.push(vec![
            mark.to_owned(),
            entry.number.to_string(),
            entry.at.clone(),
            entry.who.clone().unwrap_or_else(dash),
            command,
            entry.outcome.to_owned(),
            entry.image.clone().unwrap_or_else(dash),
            entry.instances.map_or_else(dash, |count| count.to_string()),
            changed.collect::<Vec<_>>().join(", "),
        ]);
        let number = entry.number;
        if let Some(why) = &entry.why {
            notes.push(format!("{number} {}: {why}", entry.outcome));
        } else if let Some(why) = unreachable_because {
            notes.push(format!("{number} can't be gone back to: {why}"));
        }
    }
    let mut text = columns(&rows);
    if lines.iter().any(|line| line.runs) {
        notes.insert(0, "* runs now".to_owned());
    }
    for note in notes {
        text.push_str(&note);
        text.push('\n');
    }
    text
}

fn said(text: &str) -> &str {
    if text.is_empty() { "nothing" } else { text }
}
