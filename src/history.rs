//! What was done to a service, and what it was afterwards: the history file beside the load balancer's haproxy.cfg. Pure.
//!
//! One JSON object a line, an entry each, the oldest first. A line that can't be read (a copy into a VCH may be cut short) is
//! left out; one of a newer vch-lb is left alone, and with it the file: it is read as far as it goes, and not written.
//! Anybody who may copy into the load balancer may write here, so nothing of it is taken without a look.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::haproxy::read::Found;
use crate::inventory::{Container, Inventory};
use crate::secrets::redact_text;
use crate::service::names::{Count, ImageRef, Number};
use crate::service::running::Formerly;
use crate::service::tuning::Tuning;
use crate::service::{KEPT_IMAGES, LABEL, Service, Spec, running};
use crate::settings::{INSTANCE_ARGS, INSTANCE_IMG, INSTANCE_PORT, LB_IMG, LB_PORT, NUM_INSTANCES};
use crate::text::{plural, printable};
use crate::{digest, service, settings};

/// The file's name, in the folder of haproxy.cfg.
pub const FILE: &str = "vch-lb.history";
/// The version of an entry; it changes when an older vch-lb would misread it.
const VERSION: u32 = 1;
/// So many entries are kept.
pub const ENTRIES: usize = 20;
/// No entry has a higher number: there will never be so many.
const LAST: u64 = 1_000_000;
/// So many images are kept under names of the tool's own.
pub const IMAGES: usize = 5;

/// What became of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Nobody wrote how it came about: so it was found by the next command.
    Found,
    Done,
    /// It failed, and the service is as it was before.
    Undone,
    /// It failed, and was not, or not wholly, undone.
    Failed,
}

impl Outcome {
    pub fn word(self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::Done => "done",
            Self::Undone => "undone",
            Self::Failed => "failed",
        }
    }
}

/// What a service was, as far as that can be brought back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    pub image: String,
    /// Without `sha256:`.
    pub image_id: String,
    /// The name of the tool's own that keeps the image, should `image` come to mean another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<String>,
    pub instances: usize,
    pub instance_port: u16,
    pub lb_port: u16,
    pub lb_image: String,
    /// The instances' label, which tells their arguments and command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The settings that travel, as in the line at the head of haproxy.cfg.
    #[serde(default)]
    pub settings: String,
    /// The digest of the admin's own template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
}

/// One command, or what was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    v: u32,
    pub number: u64,
    /// RFC 3339, by the clock of the workstation.
    pub at: String,
    /// `user@host`; nobody, of what was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub who: Option<String>,
    pub command: String,
    pub outcome: Outcome,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The entry that a rollback went back to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<u64>,
    /// What there was afterwards; `None` of what failed, which is no state to go back to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
    /// The receipt of `--probe`, as in the answer of the command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<serde_json::Value>,
}

/// What is to be written of a command.
#[derive(Debug, Clone)]
pub struct Event {
    pub at: String,
    pub who: Option<String>,
    pub command: String,
    pub outcome: Outcome,
    pub why: Option<String>,
    pub of: Option<u64>,
    pub state: Option<State>,
    pub receipt: Option<serde_json::Value>,
}

impl Entry {
    /// Why it has no state to go back to, where it has none.
    pub fn no_state(&self) -> String {
        let what = match self.outcome {
            Outcome::Found | Outcome::Done => "what there was is not known",
            Outcome::Undone | Outcome::Failed => "that command failed",
        };
        match &self.why {
            Some(why) => format!("{what} ({why})"),
            None => what.to_owned(),
        }
    }

    /// Whether it can be one that was written here: what of it goes into a docker call is what it should be.
    fn is_sound(&self) -> bool {
        let hex = |id: &str| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        let kept = |name: &String| name.starts_with(KEPT_IMAGES) && ImageRef::parse(name).is_ok();
        let port = |port: u16| port > 0;
        let sound = |state: &State| {
            hex(&state.image_id)
                && state.kept.as_ref().is_none_or(kept)
                && ImageRef::parse(&state.image).is_ok()
                && ImageRef::parse(&state.lb_image).is_ok()
                && Count::parse(&state.instances.to_string()).is_ok()
                && port(state.instance_port)
                && port(state.lb_port)
        };
        self.number <= LAST && self.state.as_ref().is_none_or(sound)
    }
}

/// All entries, the oldest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    pub entries: Vec<Entry>,
    /// Whether a newer vch-lb has written here.
    pub newer: bool,
    /// How many lines could not be read.
    pub unreadable: usize,
}

impl State {
    /// What `spec` says, in instances of the image with this ID.
    pub fn of(spec: &Spec, image_id: &str) -> Self {
        Self {
            image: spec.image.to_string(),
            image_id: image_id.to_owned(),
            kept: None,
            instances: spec.count.get(),
            instance_port: spec.instance_port.get(),
            lb_port: spec.lb_port.get(),
            lb_image: spec.lb_image.to_string(),
            label: spec.label(),
            settings: spec.tuning.assignments(),
            template: spec
                .template
                .as_ref()
                .map(|text| digest::of(text.as_bytes())),
        }
    }

    /// What is there, if that can be told: of a service that is half one thing and half another it can't.
    pub fn found(service: &Service, inventory: &Inventory) -> Option<Self> {
        let spec = running::without_args(service, inventory).ok()?;
        let servers = inventory.written_config()?.numbers();
        let by_hand = |found: &Found| found.edited() || found.other_template;
        if !is_whole(inventory, &servers) || inventory.config.as_ref().is_some_and(by_hand) {
            return None;
        }
        let latest = of_image(inventory, spec.image.as_str())?;
        Some(Self {
            label: latest.labels.get(LABEL).cloned(),
            ..Self::of(&spec, &latest.image_id)
        })
    }

    /// What it is, for people.
    pub fn in_short(&self) -> String {
        printable(&format!(
            "{} of `{}`",
            plural(self.instances, "instance"),
            self.image
        ))
    }

    /// The names by which its image may still be there, as the admin's first.
    pub fn image_names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.image.as_str()).chain(self.kept.as_deref())
    }

    /// It as what a service is to be again; `from` says where that stands.
    pub fn formerly<'a>(&'a self, kept: Option<&'a str>, from: &'a str) -> Formerly<'a> {
        Formerly {
            image: &self.image,
            kept,
            instances: self.instances,
            instance_port: self.instance_port,
            lb_port: self.lb_port,
            lb_image: &self.lb_image,
            label: self.label.as_deref(),
            settings: &self.settings,
            has_template: self.template.is_some(),
            from,
        }
    }

    /// By which name its image is still there: `Ok(None)` by its own. `ids` are those of the images that were looked for,
    /// `template` is the digest of the one that lies in the load balancer, which was made from `lb_image`. The error says why nobody gets back there.
    pub fn reachable(
        &self,
        ids: &BTreeMap<String, String>,
        template: Option<&str>,
        lb_image: &str,
    ) -> Result<Option<&str>, String> {
        if let Err(why) = Tuning::from_assignments(&self.settings) {
            return Err(format!("its settings can't be used: {why}"));
        }
        if self.template.is_some() && self.template.as_deref() != template {
            return Err("its template is no longer in the load balancer".into());
        }
        if self.lb_image != lb_image && !ids.contains_key(&self.lb_image) {
            return Err(format!(
                "there is no image `{}` any more, which the load balancer had",
                self.lb_image
            ));
        }
        let there = |name: &str| ids.get(name).is_some_and(|id| *id == self.image_id);
        if there(&self.image) {
            return Ok(None);
        }
        match self.kept.as_deref().filter(|name| there(name)) {
            Some(kept) => Ok(Some(kept)),
            None if ids.contains_key(&self.image) => Err(format!(
                "`{}` means another image by now, and the one of then is no longer kept",
                self.image
            )),
            None => Err(format!("there is no image `{}` any more", self.image)),
        }
    }

    /// Whether it is the same service, whatever keeps its image.
    pub fn is_as(&self, other: &Self) -> bool {
        let bare = |state: &Self| Self {
            kept: None,
            ..state.clone()
        };
        bare(self) == bare(other)
    }

    /// What becomes of each setting from here to `next`: its name, its text here and there; what is secret is hidden.
    pub fn changes(&self, next: &Self) -> Vec<Changed> {
        let own = |state: &Self| {
            [
                (INSTANCE_IMG, state.shown_image(next, self)),
                (NUM_INSTANCES, state.instances.to_string()),
                (INSTANCE_PORT, state.instance_port.to_string()),
                (LB_PORT, state.lb_port.to_string()),
                (LB_IMG, state.lb_image.clone()),
                (INSTANCE_ARGS, state.arguments()),
            ]
        };
        let mut changed: Vec<Changed> = own(self)
            .into_iter()
            .zip(own(next))
            .filter(|((_, from), (_, to))| from != to)
            .map(|((name, from), (_, to))| Changed { name, from, to })
            .collect();
        if let (Ok(from), Ok(to)) = (
            Tuning::from_assignments(&self.settings),
            Tuning::from_assignments(&next.settings),
        ) {
            changed.extend(from.changes(&to).map(|(name, from, to)| {
                let (from, mut to) = (hidden(name, from), hidden(name, to));
                if from == to {
                    to.push_str(" (another value)");
                }
                Changed { name, from, to }
            }));
        }
        // What is hidden may be all that differs.
        if self.label != next.label && self.arguments() == next.arguments() {
            let shown = self.arguments();
            changed.push(Changed {
                name: INSTANCE_ARGS,
                to: format!("{shown} (another value)"),
                from: shown,
            });
        }
        if self.template != next.template {
            let said = |template: &Option<String>| template.clone().unwrap_or_default();
            changed.push(Changed {
                name: settings::TEMPLATE,
                from: said(&self.template),
                to: said(&next.template),
            });
        }
        changed
    }

    /// Its settings that are not the defaults, in the order of the table; what is secret is hidden.
    pub fn settings_shown(&self) -> Vec<(&'static str, String)> {
        let Ok(tuning) = Tuning::from_assignments(&self.settings) else {
            return Vec::new();
        };
        let of = Tuning::default();
        let others = of.changes(&tuning);
        others
            .map(|(name, _, to)| (name, hidden(name, to)))
            .collect()
    }

    /// The image's name; with its ID where both states have that name, and mean two images.
    fn shown_image(&self, one: &Self, other: &Self) -> String {
        if one.image == other.image && one.image_id != other.image_id {
            format!("{} ({})", self.image, short(&self.image_id))
        } else {
            self.image.clone()
        }
    }

    /// What the label says, arguments and command, without secrets.
    pub fn arguments(&self) -> String {
        let words = self.label.as_deref().unwrap_or_default();
        let words = service::words_of_label(words);
        redact_text(words.strip_suffix("--").unwrap_or(words).trim_end())
    }
}

/// An image's ID as docker shows it in lists.
pub fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

fn hidden(name: &str, text: &str) -> String {
    let is_words = settings::words().any(|setting| setting.name == name);
    if is_words {
        redact_text(text)
    } else {
        text.to_owned()
    }
}

/// Whether the load balancer sends to all instances that there are, and these are alike.
fn is_whole(inventory: &Inventory, servers: &[Number]) -> bool {
    let mut instances = inventory.instances.values();
    let Some(first) = instances.next() else {
        return false;
    };
    let alike = |other: &Container| {
        other.image_id == first.image_id && other.labels.get(LABEL) == first.labels.get(LABEL)
    };
    let sent_to: BTreeSet<Number> = servers.iter().copied().collect();
    inventory.instances.keys().eq(&sent_to) && instances.all(alike)
}

/// The latest instance of an image that the load balancer sends to.
fn of_image<'a>(inventory: &'a Inventory, image: &str) -> Option<&'a Container> {
    let numbers = inventory.written_config()?.numbers();
    let instances = numbers
        .iter()
        .filter_map(|number| inventory.instances.get(number));
    instances
        .filter(|instance| instance.image == image)
        .max_by_key(|instance| instance.started_at)
}

/// A setting that another state has otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Changed {
    pub name: &'static str,
    pub from: String,
    pub to: String,
}

impl History {
    /// Reads what the file holds.
    pub fn read(bytes: &[u8]) -> Self {
        let mut history = Self::default();
        let text = String::from_utf8_lossy(bytes);
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let version = serde_json::from_str::<serde_json::Value>(line)
                .ok()
                .and_then(|line| line["v"].as_u64());
            history.newer |= version.is_some_and(|version| version > u64::from(VERSION));
            match serde_json::from_str::<Entry>(line) {
                Ok(entry) if entry.is_sound() => history.entries.push(entry),
                _ => history.unreadable += 1,
            }
        }
        // A copy that was cut short and written on may have a number twice: what was written later counts.
        let mut seen = BTreeSet::new();
        history.entries.reverse();
        history.entries.retain(|entry| seen.insert(entry.number));
        history.entries.reverse();
        history.entries.sort_by_key(|entry| entry.number);
        history
    }

    /// As the file holds it.
    pub fn text(&self) -> String {
        let lines = self.entries.iter().map(|entry| {
            let line = serde_json::to_string(entry);
            line.map_or_else(|_| String::new(), |line| line + "\n")
        });
        lines.collect()
    }

    /// Adds what happened; the oldest entries go where there are too many. The result is its number.
    pub fn add(&mut self, event: Event) -> u64 {
        // A line that can't be read had a number, too: nobody is to mean another entry by it.
        let lost = u64::try_from(self.unreadable).unwrap_or_default();
        self.unreadable = 0;
        let number = self.entries.last().map_or(0, |entry| entry.number) + lost + 1;
        let mut state = event.state;
        if let Some(state) = state.as_mut().filter(|state| state.kept.is_none()) {
            state.kept = self.kept(&state.image_id).map(str::to_owned);
        }
        self.entries.push(Entry {
            v: VERSION,
            number,
            at: event.at,
            who: event.who,
            command: event.command,
            outcome: event.outcome,
            why: event.why,
            of: event.of,
            state,
            receipt: event.receipt,
        });
        let surplus = self.entries.len().saturating_sub(ENTRIES);
        self.entries.drain(..surplus);
        number
    }

    /// The states that there were, with their numbers, the newest first.
    pub fn states(&self) -> impl Iterator<Item = (u64, &State)> {
        let newest_first = self.entries.iter().rev();
        newest_first.filter_map(|entry| Some((entry.number, entry.state.as_ref()?)))
    }

    /// The newest state.
    pub fn latest(&self) -> Option<&State> {
        self.states().next().map(|(_, state)| state)
    }

    /// The entry whose state is `now`: the newest of that kind.
    pub fn runs(&self, now: &State) -> Option<u64> {
        let mut states = self.states();
        states
            .find(|(_, state)| state.is_as(now))
            .map(|(number, _)| number)
    }

    /// To which entry one goes back from `now`: the newest that was another service.
    pub fn before(&self, now: &State) -> Option<(u64, &State)> {
        self.states().find(|(_, state)| !state.is_as(now))
    }

    /// The state of an entry by its number.
    pub fn state(&self, number: u64) -> Option<&State> {
        self.entries
            .iter()
            .find(|entry| entry.number == number)?
            .state
            .as_ref()
    }

    /// The images that are not kept under a name yet and should be, by ID: those of the newest states.
    pub fn to_keep(&self) -> Vec<String> {
        let mut ids: Vec<String> = Vec::new();
        for (_, state) in self.states() {
            if !ids.contains(&state.image_id) {
                ids.push(state.image_id.clone());
            }
        }
        ids.truncate(IMAGES);
        ids.retain(|id| !id.is_empty() && self.kept(id).is_none());
        ids
    }

    /// The name that keeps the image with this ID.
    fn kept(&self, image_id: &str) -> Option<&str> {
        let mut same = self
            .states()
            .filter(|(_, state)| state.image_id == image_id);
        same.find_map(|(_, state)| state.kept.as_deref())
    }

    /// Notes by which name an image is kept.
    pub fn keep(&mut self, image_id: &str, name: &str) {
        let states = self
            .entries
            .iter_mut()
            .filter_map(|entry| entry.state.as_mut());
        for state in states.filter(|state| state.image_id == image_id) {
            state.kept = Some(name.to_owned());
        }
    }

    /// The names that keep images which nobody goes back to any more: beyond the newest [`IMAGES`], and those of entries that
    /// `earlier` had and this has not.
    pub fn to_drop(&self, earlier: &Self) -> Vec<String> {
        let mut kept: Vec<&str> = Vec::new();
        for name in self.states().filter_map(|(_, state)| state.kept.as_deref()) {
            if !kept.contains(&name) {
                kept.push(name);
            }
        }
        kept.truncate(IMAGES);
        let all = self.states().chain(earlier.states());
        let names: BTreeSet<&str> = all.filter_map(|(_, state)| state.kept.as_deref()).collect();
        let gone = names.into_iter().filter(|name| !kept.contains(name));
        gone.map(str::to_owned).collect()
    }

    /// Forgets that these names keep anything.
    pub fn forget(&mut self, names: &[String]) {
        let states = self
            .entries
            .iter_mut()
            .filter_map(|entry| entry.state.as_mut());
        for state in states {
            if state.kept.as_ref().is_some_and(|name| names.contains(name)) {
                state.kept = None;
            }
        }
    }
}

/// The repository whose tags keep the images of the service with this prefix. docker takes lower case alone, and no two
/// separators in a row, so that other prefixes are told by their digest.
pub fn repository(prefix: &str) -> String {
    let plain = prefix.split(['-', '_', '.']).all(|part| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9'))
    });
    // One that looks like the digest of another.
    let looks_alike = prefix.starts_with("prefix-");
    if plain && !looks_alike {
        format!("{KEPT_IMAGES}{prefix}")
    } else {
        format!("{KEPT_IMAGES}prefix-{}", digest::of(prefix.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::service::tests;

    const LB: &str = "haproxy:2.6";

    fn state(image: &str, id: &str, instances: usize) -> State {
        State {
            image: image.into(),
            image_id: id.into(),
            kept: None,
            instances,
            instance_port: 80,
            lb_port: 80,
            lb_image: LB.into(),
            label: None,
            settings: String::new(),
            template: None,
        }
    }

    fn event(outcome: Outcome, state: Option<State>) -> Event {
        Event {
            at: "2026-01-02T03:04:05Z".into(),
            who: Some("anna@ws1".into()),
            command: "up".into(),
            outcome,
            why: None,
            of: None,
            state,
            receipt: None,
        }
    }

    fn history(states: &[State]) -> History {
        let mut history = History::default();
        for state in states {
            history.add(event(Outcome::Done, Some(state.clone())));
        }
        history
    }

    #[test]
    fn what_is_written_is_read_again() {
        let mut written = history(&[state("shop:1", "aa", 3), state("shop:2", "bb", 3)]);
        written.add(Event {
            why: Some("no\nanswer".into()),
            receipt: Some(serde_json::json!({"total": {"sent": 3}})),
            ..event(Outcome::Undone, None)
        });
        assert_eq!(written.text().lines().count(), 3);
        assert_eq!(History::read(written.text().as_bytes()), written);
    }

    #[test]
    fn a_copy_that_was_cut_short_loses_its_last_line_alone() {
        let text = history(&[state("shop:1", "aa", 3), state("shop:2", "bb", 3)]).text();
        for end in 0..text.len() {
            let read = History::read(&text.as_bytes()[..end]);
            let whole = text[..end].matches("}\n").count();
            assert!(read.entries.len() >= whole && !read.newer, "{end}");
            assert!(read.entries.len() + read.unreadable <= 2, "{end}");
        }
    }

    #[test]
    fn what_a_newer_one_wrote_is_seen_and_the_rest_is_read() {
        let text = history(&[state("shop:1", "aa", 3)]).text();
        let newer = r#"{"v":2,"number":2,"what":"nobody knows"}"#;
        let read = History::read(format!("{text}{newer}\nrubbish\n").as_bytes());
        assert!(read.newer);
        assert_eq!((read.entries.len(), read.unreadable), (1, 2));
        // Fields that are not known say nothing.
        let more = text.replacen("{\"v\":1,", "{\"v\":1,\"mood\":\"good\",", 1);
        assert_eq!(History::read(more.as_bytes()).entries.len(), 1);
    }

    #[test]
    fn what_nobody_wrote_here_gets_into_no_docker_call() {
        let good = history(&[state("shop:1", "aa", 3)]).text();
        for (from, to) in [
            ("\"image_id\":\"aa\"", "\"image_id\":\"--force\""),
            (
                "\"image_id\":\"aa\"",
                "\"image_id\":\"aa\",\"kept\":\"--force\"",
            ),
            (
                "\"image_id\":\"aa\"",
                "\"image_id\":\"aa\",\"kept\":\"httpd\"",
            ),
            ("\"number\":1", "\"number\":18446744073709551615"),
            ("\"instances\":3", "\"instances\":-3"),
            ("\"instances\":3", "\"instances\":99999999"),
            ("\"image\":\"shop:1\"", "\"image\":\"--help\""),
            ("\"lb_image\":\"haproxy:2.6\"", "\"lb_image\":\"-v\""),
            ("\"lb_port\":80", "\"lb_port\":0"),
        ] {
            let bad = good.replacen(from, to, 1);
            assert_ne!(bad, good);
            let read = History::read(bad.as_bytes());
            assert_eq!((read.entries.len(), read.unreadable), (0, 1), "{bad}");
        }
    }

    #[test]
    fn there_are_twenty_entries_at_most_and_numbers_go_on() {
        let mut history = History::default();
        for count in 1..=30 {
            assert_eq!(
                history.add(event(Outcome::Done, Some(state("shop:1", "aa", count)))),
                count as u64
            );
        }
        assert_eq!(history.entries.len(), ENTRIES);
        assert_eq!(history.entries[0].number, 11);
        assert_eq!(history.add(event(Outcome::Done, None)), 31);
    }

    #[test]
    fn back_is_the_newest_state_that_was_another_and_back_again_goes_forward() {
        let (one, two, three) = (
            state("shop:1", "aa", 3),
            state("shop:2", "bb", 3),
            state("shop:2", "bb", 5),
        );
        let mut history = history(&[one.clone(), two.clone(), three.clone()]);
        history.add(event(Outcome::Undone, None));
        assert_eq!(history.runs(&three), Some(3));
        assert_eq!(history.before(&three), Some((2, &two)));
        history.add(event(Outcome::Done, Some(two.clone())));
        assert_eq!(history.before(&two), Some((3, &three)));
        assert_eq!(history.runs(&two), Some(5));
        assert_eq!(history.runs(&state("shop:3", "cc", 1)), None);
        assert_eq!(history.state(4), None);
    }

    #[test]
    fn a_moved_tag_is_another_state_whatever_keeps_the_image() {
        let one = state("shop:1", "aa", 3);
        let kept = State {
            kept: Some("vch-lb/web:1".into()),
            ..one.clone()
        };
        assert!(one.is_as(&kept));
        let moved = state("shop:1", "bb", 3);
        assert!(!one.is_as(&moved));
        assert_eq!(
            one.changes(&moved),
            [Changed {
                name: INSTANCE_IMG,
                from: "shop:1 (aa)".into(),
                to: "shop:1 (bb)".into()
            }]
        );
    }

    #[test]
    fn a_secret_that_changed_is_a_change() {
        let with = |label: &str, settings: &str| State {
            label: Some(label.to_owned()),
            settings: settings.to_owned(),
            ..state("shop:1", "aa", 3)
        };
        let one = with("1 --env TOKEN=one --", "LB_ARGS='--env X=one'");
        let two = with("1 --env TOKEN=two --", "LB_ARGS='--env X=two'");
        let told: Vec<String> = one
            .changes(&two)
            .into_iter()
            .map(|change| change.to)
            .collect();
        assert_eq!(
            told,
            [
                "--env X=*** (another value)",
                "--env TOKEN=*** (another value)"
            ]
        );
    }

    #[test]
    fn what_changed_is_told_without_secrets() {
        let one = state("shop:1", "aa", 3);
        let two = State {
            instances: 5,
            label: Some("1 --env TOKEN=s3cret --".into()),
            settings: "LB_BALANCE=leastconn LB_ARGS='--env X=s3cret'".into(),
            ..state("shop:2", "bb", 3)
        };
        let told: Vec<String> = one
            .changes(&two)
            .iter()
            .map(|Changed { name, from, to }| format!("{name}: {from} → {to}"))
            .collect();
        assert_eq!(
            told,
            [
                "INSTANCE_IMG: shop:1 → shop:2",
                "NUM_INSTANCES: 3 → 5",
                "INSTANCE_ARGS:  → --env TOKEN=***",
                "LB_ARGS:  → --env X=***",
                "LB_BALANCE: roundrobin → leastconn",
            ]
        );
        assert!(!format!("{told:?}").contains("s3cret"));
    }

    #[test]
    fn the_five_newest_images_are_kept_and_others_are_dropped() {
        let mut history = History::default();
        for number in 1..=7_u64 {
            let earlier = history.clone();
            history.add(event(
                Outcome::Done,
                Some(state("shop:1", &format!("id{number}"), 3)),
            ));
            assert_eq!(history.to_keep(), [format!("id{number}")]);
            history.keep(&format!("id{number}"), &format!("vch-lb/web:{number}"));
            assert!(history.to_keep().is_empty());
            let gone = history.to_drop(&earlier);
            let expected: Vec<String> = (number > 5)
                .then(|| format!("vch-lb/web:{}", number.saturating_sub(5)))
                .into_iter()
                .collect();
            assert_eq!(gone, expected);
            history.forget(&gone);
        }
        // What drops out of the twenty entries takes its name along.
        let earlier = history.clone();
        for count in 1..=20 {
            history.add(event(Outcome::Done, Some(state("shop:1", "id7", count))));
        }
        history.keep("id7", "vch-lb/web:7");
        assert_eq!(
            history.to_drop(&earlier),
            [
                "vch-lb/web:3",
                "vch-lb/web:4",
                "vch-lb/web:5",
                "vch-lb/web:6"
            ]
        );
    }

    #[test]
    fn a_state_is_reached_by_its_images_name_or_by_the_one_that_keeps_it() {
        let one = State {
            kept: Some("vch-lb/web:1".into()),
            ..state("shop:1", "aa", 3)
        };
        let ids = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter();
            pairs
                .map(|(name, id)| ((*name).to_owned(), (*id).to_owned()))
                .collect()
        };
        assert_eq!(one.reachable(&ids(&[("shop:1", "aa")]), None, LB), Ok(None));
        assert_eq!(
            one.reachable(&ids(&[("shop:1", "bb"), ("vch-lb/web:1", "aa")]), None, LB),
            Ok(Some("vch-lb/web:1"))
        );
        for (there, why) in [
            (
                ids(&[("shop:1", "bb"), ("vch-lb/web:1", "cc")]),
                "means another image",
            ),
            (ids(&[]), "there is no image `shop:1` any more"),
        ] {
            let said = one.reachable(&there, None, LB).unwrap_err();
            assert!(said.contains(why), "{said}");
        }
        let templated = State {
            template: Some("0123".into()),
            ..state("shop:1", "aa", 3)
        };
        let there = ids(&[("shop:1", "aa")]);
        assert!(templated.reachable(&there, None, LB).is_err());
        assert_eq!(templated.reachable(&there, Some("0123"), LB), Ok(None));
        let unknown = State {
            settings: "NO_SUCH=1".into(),
            ..state("shop:1", "aa", 3)
        };
        assert!(unknown.reachable(&there, None, LB).is_err());
        let said = one.reachable(&there, None, "haproxy:3").unwrap_err();
        assert!(said.contains("which the load balancer had"), "{said}");
        let both = ids(&[("shop:1", "aa"), (LB, "dd")]);
        assert_eq!(one.reachable(&both, None, "haproxy:3"), Ok(None));
    }

    /// A state out of few: two images under one name, another name, several numbers, two arguments, two settings.
    fn any_state() -> impl Strategy<Value = State> {
        let images = prop::sample::select(vec![("shop", "aa"), ("shop", "bb"), ("shop:2", "cc")]);
        let labels = prop::sample::select(vec![
            None,
            Some("1 --env 'A=1' --"),
            Some("1 -- sh -c 'x y'"),
        ]);
        let settings = prop::sample::select(vec!["", "LB_BALANCE=leastconn"]);
        (images, 1..4_usize, labels, settings).prop_map(|((image, id), count, label, settings)| {
            State {
                label: label.map(str::to_owned),
                settings: settings.to_owned(),
                ..state(image, id, count)
            }
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever changes were made: a rollback makes of the service what it was before the last one that changed it, by
        /// the very spec that `up` is given, and a second one what it was after that.
        #[test]
        fn a_rollback_goes_to_the_former_state_and_a_second_to_the_latter(states in prop::collection::vec(any_state(), 2..30)) {
            let mut history = History::default();
            for state in &states {
                if history.latest().is_none_or(|latest| !latest.is_as(state)) {
                    history.add(event(Outcome::Done, Some(state.clone())));
                    // What failed leaves the service as it was.
                    history.add(event(Outcome::Undone, None));
                }
            }
            let latter = states.last().unwrap().clone();
            let Some(former) = states.iter().rev().find(|state| !state.is_as(&latter)).cloned() else {
                prop_assert_eq!(history.before(&latter), None);
                return Ok(());
            };
            let found = tests::spec(&[]);
            let mut now = latter.clone();
            for expected in [&former, &latter, &former] {
                let (_, state) = history.before(&now).unwrap();
                let spec = as_formerly(&found, state);
                let reached = State::of(&spec, &state.image_id);
                prop_assert!(reached.is_as(expected), "{:?} is not {:?}", reached, expected);
                history.add(event(Outcome::Done, Some(reached.clone())));
                now = reached;
            }
            prop_assert_eq!(History::read(history.text().as_bytes()), history);
        }
    }

    fn as_formerly(found: &Spec, state: &State) -> Spec {
        let own = running::Own {
            arguments: crate::service::arguments::Arguments::default(),
            looked_up: Ok(crate::service::arguments::Arguments::default()),
        };
        running::as_formerly(found, &state.formerly(None, "entry 1"), &own).unwrap()
    }

    #[test]
    fn a_repository_is_one_that_docker_takes_and_nobody_elses() {
        assert_eq!(repository("web"), "vch-lb/web");
        assert_eq!(repository("shop-api.v2"), "vch-lb/shop-api.v2");
        for odd in ["Web", "web-", "a--b", "a_.b", "prefix-x"] {
            let name = repository(odd);
            assert!(name.starts_with("vch-lb/prefix-"), "{name}");
        }
        assert_ne!(repository("Web"), repository("WEB"));
    }
}
