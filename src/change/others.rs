//! Whether somebody else changes the service at the same time: fetches what `guard` compares, before anything is removed
//! or put in force, and at the end.

use std::thread;

use super::guard::Guard;
use crate::docker::Docker;
use crate::docker::answer::ListedContainer;
use crate::error::Failure;
use crate::haproxy;
use crate::inventory::Container;
use crate::look;
use crate::service::names::{Names, Number};
use crate::text::list_plain;
use crate::ui::Ui;

/// Where to look, and what this run knows.
#[derive(Clone, Copy)]
pub struct Others<'a> {
    pub docker: &'a Docker,
    pub names: &'a Names,
    pub guard: &'a Guard,
    /// Whether this goes back, so that what others did is left alone.
    pub undoing: bool,
    pub ui: &'a Ui,
}

impl Others<'_> {
    /// Nobody else has changed the service since this run looked. Undoing does not ask: it goes back as far as it may.
    pub fn none_changed(&self) -> Result<(), Failure> {
        if self.undoing {
            return Ok(());
        }
        let before = self.guard.now();
        let (listed, file) = thread::scope(|scope| {
            let file = self.guard.has_files().then(|| scope.spawn(|| self.file()));
            let listed = look::listed(self.docker, self.names);
            (listed, file.map_or(Ok(None), look::join))
        });
        self.guard.check(&before, &listed?, file?.as_deref())
    }

    /// `failure`, with what somebody else did meanwhile, where that shows: it may well be why.
    pub fn blamed(&self, failure: Failure) -> Failure {
        match self.none_changed() {
            Err(other) if self.guard.met_others() => Failure {
                what: format!("{}; {}", other.what, failure.what),
                hints: other.hints,
                ..failure
            },
            _ => failure,
        }
    }

    /// Nobody else has changed the service that this run is making, nor started its load balancer with another file than
    /// `text`; whether it runs by that one. As long as it does not run the file there tells nothing: whoever makes another
    /// service from the same directory writes the same file here.
    pub fn none_started(&self, text: &str) -> Result<bool, Failure> {
        if self.undoing {
            return Ok(false);
        }
        let before = self.guard.now();
        let listed = look::listed(self.docker, self.names)?;
        self.guard.check(&before, &listed, None)?;
        self.lb_not_started(text)
    }

    /// The same of the load balancer alone.
    pub fn lb_not_started(&self, text: &str) -> Result<bool, Failure> {
        if self.undoing {
            return Ok(false);
        }
        let lb = look::container(self.docker, self.names.lb.as_str())?;
        let Some(lb) = lb.filter(Container::running) else {
            return Ok(false);
        };
        if self.file()?.as_deref() == Some(text.as_bytes()) {
            return Ok(true);
        }
        let found = format!("`{}` runs already, by another haproxy.cfg", lb.name);
        Err(self.guard.other(&found))
    }

    /// Nobody else has started the load balancer called `lb` that this run has just copied its haproxy.cfg into: it runs
    /// another one then.
    pub fn not_running(&self, lb: &str) -> Result<(), Failure> {
        let found = look::container(self.docker, lb)?;
        if self.undoing || !found.is_some_and(|lb| lb.running()) {
            return Ok(());
        }
        Err(self.guard.other(&format!("`{lb}` was started")))
    }

    /// Those of `numbers` that may be stopped or removed: all of them, or none where somebody else changed the service. In
    /// undoing those that are this run's and that nobody else's haproxy.cfg sends to.
    pub fn untouched(&self, numbers: &[Number]) -> Result<Vec<Number>, Failure> {
        if !self.undoing {
            return self.none_changed().map(|()| numbers.to_vec());
        }
        let names = self.names;
        let listed = look::listed(self.docker, names)?;
        let sent_to = self.sent_to_by_others(numbers)?;
        let untold = self.guard.has_overwritten();
        let (ours, others): (Vec<Number>, Vec<Number>) = numbers.iter().partition(|number| {
            let known = self.guard.knows(&listed, &names.instance(**number));
            known && !untold && !sent_to.contains(number)
        });
        if !others.is_empty() {
            let others = names.instances(&others);
            let others: Vec<&str> = others.iter().map(String::as_str).collect();
            self.ui.status(&format!(
                "left alone, since somebody else made it or sends to it: {}",
                list_plain(&others)
            ));
        }
        Ok(ours)
    }

    /// Whether the container called `name` may be stopped or removed; like [`untouched`].
    pub fn is_untouched(&self, name: &str) -> Result<bool, Failure> {
        if !self.undoing {
            return self.none_changed().map(|()| true);
        }
        let listed = look::listed(self.docker, self.names)?;
        if !self.guard.knows(&listed, name) {
            self.ui
                .status(&format!("{name} is left alone: somebody else made it"));
            return Ok(false);
        }
        // Once it is gone nothing tells any more to whom it sent.
        let theirs = name == self.names.lb.as_str() && self.is_run_by_others()?;
        if theirs {
            self.ui.status(&format!(
                "{name} is left alone: it runs by a haproxy.cfg of somebody else's"
            ));
        }
        Ok(!theirs)
    }

    /// Whether the load balancer that this run made runs by somebody else's haproxy.cfg: without one of its own it can't have
    /// started it.
    fn is_run_by_others(&self) -> Result<bool, Failure> {
        if self.guard.has_files() {
            return Ok(self.other_file().is_some());
        }
        let lb = look::container(self.docker, self.names.lb.as_str())?;
        Ok(lb.is_some_and(|lb| lb.running()))
    }

    /// The haproxy.cfg in the load balancer, if this run neither read nor wrote it. Where it can't be read, nothing says so.
    pub fn other_file(&self) -> Option<String> {
        let found = self.file().ok().flatten()?;
        let other = !self.guard.has_files() || !self.guard.wrote(&found);
        other.then(|| String::from_utf8_lossy(&found).into_owned())
    }

    /// Whether all of `names` are there still.
    pub fn all_there(&self, names: &[String]) -> bool {
        let there = |listed: Vec<ListedContainer>| {
            let mut names = names.iter();
            names.all(|name| listed.iter().any(|it| it.name == *name))
        };
        look::listed(self.docker, self.names).is_ok_and(there)
    }

    /// Those of `numbers` that somebody else's haproxy.cfg sends to, by name or by address.
    fn sent_to_by_others(&self, numbers: &[Number]) -> Result<Vec<Number>, Failure> {
        let Some(file) = self.other_file() else {
            return Ok(Vec::new());
        };
        let names = self.names;
        let bridge = names.network();
        let found = look::containers(self.docker, &names.instances(numbers))?;
        let sent_to = |number: &Number| {
            let name = names.instance(*number);
            let instance = found.iter().find(|it| it.name == name);
            let address = instance.and_then(|it| it.address_on(&bridge));
            haproxy::sends_to(&file, &name)
                || address.is_some_and(|it| haproxy::sends_to(&file, it))
        };
        Ok(numbers.iter().copied().filter(sent_to).collect())
    }

    fn file(&self) -> Result<Option<Vec<u8>>, Failure> {
        let lb = self.names.lb.as_str();
        look::file_in(self.docker, lb, haproxy::CONFIG_NAME)
    }
}
