//! The history file in the load balancer: read, and written once a change is over, whatever became of it.
//!
//! It is written by a copy of its own, when the change is over: only then is it known what became of it. A change that was
//! killed has no entry of its own; the next one finds what it left, and writes that down.

use std::time::SystemTime;

use super::run::COPIES;
use crate::docker::{CallError, Docker, archive, argv};
use crate::error::Failure;
use crate::haproxy;
use crate::history::{self, Event, History, Outcome, State};
use crate::inventory::Inventory;
use crate::look;
use crate::plan::{Action, Plan};
use crate::receipt::Receipt;
use crate::service::Spec;
use crate::service::names::Names;
use crate::text::{plural, printable};
use crate::ui::Ui;

/// Why what was found is no state to go back to.
const NOT_WHOLE: &str =
    "instances were missing or not all alike, or haproxy.cfg was edited by hand";
/// So much is kept of why a command failed.
const WHY: usize = 500;

/// The history of the service whose load balancer is called `lb`. Without a file it is empty.
pub fn read(docker: &Docker, lb: &str) -> Result<History, Failure> {
    let file = look::plain_file_in(docker, lb, history::FILE)?;
    Ok(file.map_or_else(History::default, |bytes| History::read(&bytes)))
}

/// Takes the names of the tool's own from the images of a service that is gone; an image goes with its last name.
pub fn forget_images(docker: &Docker, ui: &Ui, names: &Names) {
    let repository = history::repository(names.prefix.as_str());
    let ours = |line: &&str| is_tag_of(&repository, line);
    let argv = argv::images(&repository);
    let left = docker.query(&argv).and_then(|answer| {
        let text = answer.text();
        let kept: Vec<String> = text.lines().filter(ours).map(str::to_owned).collect();
        if kept.is_empty() {
            return Ok(());
        }
        docker.change(&argv::rmi(&kept)).map(drop)
    });
    if let Err(error) = left {
        ui.status(&format!(
            "images may be left under names that begin with {repository}: {}",
            printable(error.words().lines().next().unwrap_or_default())
        ));
    }
}

/// Whether `name` is one by which the tool keeps an image of the service with this repository.
fn is_tag_of(repository: &str, name: &str) -> bool {
    let tag = name.strip_prefix(repository);
    tag.is_some_and(|tag| tag.starts_with(':'))
}

/// Who does what, for an entry.
#[derive(Debug, Clone)]
pub struct Command {
    /// `user@host`.
    pub who: String,
    /// `scale 4`: what else was given may be secret.
    pub words: String,
    /// The entry that is gone back to.
    pub of: Option<u64>,
}

/// Writes down what becomes of a change.
pub struct Record<'a> {
    pub docker: &'a Docker,
    pub ui: &'a Ui,
    pub before: &'a Inventory,
    pub plan: &'a Plan,
    /// What the plan makes of the service.
    pub spec: &'a Spec,
    pub command: Command,
}

impl Record<'_> {
    /// Whether there is something to write in: a first deployment makes the calls of the script alone, and what only pulls
    /// leaves the service as it is.
    pub fn is_kept(&self) -> bool {
        self.before.has_served() && !self.plan.is_empty() && !self.plan.only_pulls()
    }

    /// Whether the file has to be read before the change: the load balancer that it lies in is replaced.
    pub fn reads_first(&self) -> bool {
        let replaces = |action: &Action| {
            matches!(
                action,
                Action::SetLbAside | Action::RemoveLb | Action::CreateLb { .. }
            )
        };
        self.plan.actions().any(replaces)
    }

    fn repository(&self) -> String {
        history::repository(self.names().prefix.as_str())
    }

    fn names(&self) -> &Names {
        self.spec.names()
    }

    pub fn read(&self) -> Result<History, Failure> {
        read(self.docker, self.names().lb.as_str())
    }

    /// Adds what became of the change to the history, and writes it. That it can't be written is no failure of the change.
    /// Where it was not read before it is read now: where there is no lock, somebody else may have written meanwhile.
    pub fn write(
        &self,
        history: Option<Result<History, Failure>>,
        result: Result<Option<&Receipt>, &Failure>,
    ) {
        let lb = self.names().lb.as_str();
        // After an interrupt, too, is it to be known what became of the change.
        let docker = &self.docker.uninterruptible();
        let earlier = match history.unwrap_or_else(|| read(docker, lb)) {
            Ok(history) if history.newer => {
                self.ui.status(&format!(
                    "the history in {lb} is a newer vch-lb's: this change is not written down"
                ));
                return;
            }
            Ok(history) => history,
            Err(failure) => return self.not_written(&failure),
        };
        if earlier.unreadable > 0 {
            let lines = plural(earlier.unreadable, "line");
            self.ui.warn(&format!(
                "{lines} of the history could not be read, and what stood there is lost"
            ));
        }
        let mut history = earlier.clone();
        let spec = self.spec;
        let found = State::found(&spec.service, self.before);
        let known = |found: &State| history.latest().is_some_and(|latest| latest.is_as(found));
        if !found.as_ref().is_some_and(known) {
            history.add(Event {
                at: now(),
                who: None,
                command: String::new(),
                outcome: Outcome::Found,
                why: found.is_none().then(|| NOT_WHOLE.to_owned()),
                of: None,
                state: found,
                receipt: None,
            });
        }
        history.add(self.event(docker, result));
        self.keep_images(docker, &mut history);
        let mut gone = history.to_drop(&earlier);
        history.forget(&gone);
        // Whoever writes into the file is not to have other images removed.
        gone.retain(|name| is_tag_of(&self.repository(), name));
        if let Err(error) = self.put(docker, &history) {
            return self.not_written(&Failure::from_call("it was not copied", &error));
        }
        if !gone.is_empty() {
            // Somebody else may have removed them already, or run containers by them: they are no use to anybody here.
            let _ = docker.change(&argv::rmi(&gone));
        }
    }

    fn not_written(&self, why: &Failure) {
        let words = why.words.as_deref().unwrap_or_default();
        let words = words.lines().next().unwrap_or_default();
        let blank = if words.is_empty() { "" } else { ": " };
        self.ui.warn(&format!(
            "the history in {} lacks this change: {}{blank}{}",
            self.names().lb,
            printable(&why.what),
            printable(words)
        ));
    }

    fn event(&self, docker: &Docker, result: Result<Option<&Receipt>, &Failure>) -> Event {
        let (outcome, why, receipt) = match result {
            Ok(receipt) => (Outcome::Done, None, receipt),
            Err(failure) => {
                let outcome = if failure.undone {
                    Outcome::Undone
                } else {
                    Outcome::Failed
                };
                let why: String = failure.what.chars().take(WHY).collect();
                (outcome, Some(why), failure.receipt.as_ref())
            }
        };
        let spec = self.spec;
        let state = (outcome == Outcome::Done)
            .then(|| self.image_id(docker))
            .flatten()
            .map(|id| State::of(spec, &id));
        Event {
            at: now(),
            who: Some(self.command.who.clone()),
            command: self.command.words.clone(),
            outcome,
            why,
            of: self.command.of,
            state,
            receipt: receipt.and_then(|receipt| serde_json::to_value(receipt).ok()),
        }
    }

    /// The ID of the image that instances have now.
    fn image_id(&self, docker: &Docker) -> Option<String> {
        let spec = self.spec;
        if let Some(made) = self.plan.made().next() {
            let name = spec.names().instance(made);
            return Some(look::container(docker, &name).ok()??.image_id);
        }
        let instances = self.before.instances.values();
        let of_image = instances.filter(|instance| instance.image == spec.image.as_str());
        let latest = of_image.max_by_key(|instance| instance.started_at)?;
        Some(latest.image_id.clone())
    }

    /// Gives images a name of the tool's own, so that they are still there when theirs means another one.
    fn keep_images(&self, docker: &Docker, history: &mut History) {
        let repository = self.repository();
        for id in history.to_keep() {
            let Some(number) = history
                .states()
                .find(|(_, state)| state.image_id == id)
                .map(|(number, _)| number)
            else {
                continue;
            };
            let name = format!("{repository}:{number}");
            let image = if self.before.is_vch() {
                id.clone()
            } else {
                format!("sha256:{id}")
            };
            match docker.change(&argv::tag(&image, &name)) {
                Ok(_) => history.keep(&id, &name),
                Err(error) => self.ui.status(&format!(
                    "the image {} is not kept for `vch-lb rollback`: {}",
                    history::short(&id),
                    printable(error.words().lines().next().unwrap_or_default())
                )),
            }
        }
    }

    /// A copy into a running container may arrive cut short on a VCH: it is read back.
    fn put(&self, docker: &Docker, history: &History) -> Result<(), CallError> {
        let lb = self.names().lb.as_str();
        let argv = argv::cp_stdin(lb, haproxy::CONFIG_DIR);
        let text = history.text();
        let archive = archive::pack_secret(history::FILE, text.as_bytes())
            .map_err(|why| docker.bad_answer(&argv, why))?;
        for _ in 0..COPIES {
            docker.change_with_stdin(&argv, archive.clone())?;
            match look::file_in(docker, lb, history::FILE) {
                Ok(there) if there.as_deref() != Some(text.as_bytes()) => {}
                // Where it can't be read back, docker's word has to do.
                _ => return Ok(()),
            }
        }
        let what = format!("{} does not arrive whole in `{lb}`", history::FILE);
        Err(docker.bad_answer(&argv, what))
    }
}

fn now() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}
