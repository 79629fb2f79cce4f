//! What a run knows of the service: which containers it found or made, and which haproxy.cfg it read or wrote. What is found
//! to be otherwise later is somebody else's. Pure.
//!
//! Steps go side by side: a look that began before one of them is compared with what was known then and is still known now.
//!
//! # Why of two commands that meet without a lock never both say "done" where one's work is lost
//!
//! Each looks at containers and haproxy.cfg as it begins, compares before its copy, before the signal, before it stops or
//! removes, and at its end, after its last change. Let A and B both be done, and let A's last look come first: it follows all
//! of A's changes, and B's last look follows them, too. So B has found exactly what it knew then: what it found at its
//! beginning, and what it did itself.
//!
//! - A container that A made, removed or replaced after B began is one that B does not know, or misses, unless B removed it
//!   as well, as it had meant to from the beginning: then it is gone, as both want it.
//! - A haproxy.cfg that A copied before B began is one that B has read, and begun with: B came after A. One that it copied
//!   after B's copy B has read at its end.
//! - What is left is one that A copied after B had compared, and B overwrote, unread. All of A's looks at it lie in between,
//!   or A is not done. Its reload does so, too: the worker that B finds before its own signal was started after B had compared
//!   (`reload::none_reloaded`, by the clock of the load balancer's own machine, at no cost). The same holds between a run's
//!   first reload and its second.
//! - At a first deployment there is no reload. Whoever has copied its file into a load balancer that does not run looks whether
//!   it does now (`files::copy_first_config`). If both find it stopped, the one that copied last did so before either start:
//!   the other one finds another's file at its end.
//!
//! The one that fails may have undone what the other one had done before: a call that was on its way can't be called back. It
//! says who else was at it, and leaves alone what the other one may use. Where nothing can be executed in the load balancer
//! the third case does not show.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::docker::answer::ListedContainer;
use crate::error::Failure;
use crate::inventory::Inventory;
use crate::message::vch_lb;
use crate::service::names::Names;

/// How many files are remembered: the one in the load balancer, and the one that may just be on its way there.
const FILES: usize = 2;

#[derive(Debug)]
pub struct Guard {
    lb: String,
    /// The run only removes: what is gone already is fine.
    only_removes: bool,
    known: Mutex<Known>,
}

/// What is known at one moment.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// The containers of the service; without an ID while they are being made or renamed.
    ids: BTreeMap<String, Option<String>>,
    /// The IDs of all that were ever there for this run, those that it removed or that are not the service's included.
    met: BTreeSet<String>,
    /// The files that may be in the load balancer, the newest last; none where none was read or written.
    files: Vec<String>,
    /// Whether something was found that is somebody else's.
    others: bool,
    /// Whether something was done by somebody else just as this run would have done it.
    company: bool,
    /// Whether this run's haproxy.cfg took the place of one that somebody else had put in force meanwhile.
    overwritten: bool,
}

impl Guard {
    /// A run that begins with what stands in `inventory`.
    pub fn new(names: &Names, inventory: &Inventory, only_removes: bool) -> Self {
        let ours = inventory.containers().filter_map(|container| {
            let id = inventory.ids.get(&container.name)?;
            Some((container.name.clone(), Some(id.clone())))
        });
        let config = inventory.config.as_ref();
        let config = config.filter(|found| found.odd.is_none());
        let known = Known {
            ids: ours.collect(),
            met: inventory.ids.values().cloned().collect(),
            files: config.map(|found| found.text.clone()).into_iter().collect(),
            ..Known::default()
        };
        Self {
            lb: names.lb.to_string(),
            only_removes,
            known: Mutex::new(known),
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known now: to be taken before a look.
    pub fn now(&self) -> Known {
        self.known().clone()
    }

    /// `name` is going to be made.
    pub fn makes(&self, name: &str) {
        self.known().ids.insert(name.to_owned(), None);
    }

    /// `name` was made, and docker says as what.
    pub fn made(&self, name: &str, id: &str) {
        let mut known = self.known();
        known.met.insert(id.to_owned());
        known.ids.insert(name.to_owned(), Some(id.to_owned()));
    }

    /// `name` was made by somebody else just as this run would have made it.
    pub fn adopts(&self, name: &str, id: &str) {
        self.made(name, id);
        self.note_company();
    }

    /// Somebody else did what this run would have done.
    pub fn note_company(&self) {
        self.known().company = true;
    }

    /// Whether somebody else is known to make the same service.
    pub fn has_company(&self) -> bool {
        self.known().company
    }

    /// These are going to be removed, or turned out to be somebody else's.
    pub fn forgets(&self, names: &[String]) {
        let mut known = self.known();
        for name in names {
            known.ids.remove(name);
        }
    }

    /// While `rename` gives the container `from` the name `to`, it may be found under either.
    pub fn renaming<T, E>(
        &self,
        from: &str,
        to: &str,
        rename: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let Some(id) = self.known().ids.get(from).cloned() else {
            return rename();
        };
        self.makes(from);
        self.makes(to);
        let renamed = rename();
        let mut known = self.known();
        let (new, old) = if renamed.is_ok() {
            (to, from)
        } else {
            (from, to)
        };
        known.ids.remove(old);
        known.ids.insert(new.to_owned(), id);
        drop(known);
        renamed
    }

    /// `text` is going to be the haproxy.cfg in the load balancer.
    pub fn writes(&self, text: &str) {
        let mut known = self.known();
        known.files.retain(|file| file != text);
        known.files.push(text.to_owned());
        let surplus = known.files.len().saturating_sub(FILES);
        known.files.drain(..surplus);
    }

    /// `text` is the haproxy.cfg in the load balancer: it was read there, and no other one is expected any more.
    pub fn arrived(&self, text: &str) {
        self.known().files = vec![text.to_owned()];
    }

    /// This run's file took the place of one that somebody else had put in force meanwhile: nobody knows whom that one sends
    /// to.
    pub fn note_overwritten(&self) {
        self.known().overwritten = true;
    }

    pub fn has_overwritten(&self) -> bool {
        self.known().overwritten
    }

    /// Whether there is a file to compare with.
    pub fn has_files(&self) -> bool {
        !self.known().files.is_empty()
    }

    /// Whether this run read or wrote a haproxy.cfg of these `bytes`, or, while one is on its way, it is the beginning of one:
    /// copies may be cut.
    pub fn wrote(&self, bytes: &[u8]) -> bool {
        self.known().wrote(bytes)
    }

    /// Whether `name`, as it is `listed` now, is what this run found or made.
    pub fn knows(&self, listed: &[ListedContainer], name: &str) -> bool {
        let known = self.known();
        let Some(id) = known.ids.get(name) else {
            return false;
        };
        let found = listed.iter().find(|it| it.name == name);
        found.is_none_or(|found| id.as_ref().is_none_or(|id| *id == found.id))
    }

    /// Whether something was found that is somebody else's.
    pub fn met_others(&self) -> bool {
        self.known().others
    }

    /// Whether the containers and the file that were found are what this run knew before the look and knows now.
    pub fn check(
        &self,
        before: &Known,
        listed: &[ListedContainer],
        file: Option<&[u8]>,
    ) -> Result<(), Failure> {
        let known = self.known();
        let mut changes = known.changes(before, listed, self.only_removes);
        // One that was being written when the look began may have been another one since.
        if file.is_some_and(|file| !known.wrote(file) && !before.wrote(file)) {
            changes.push(format!("`{}` has another haproxy.cfg", self.lb));
        }
        drop(known);
        if changes.is_empty() {
            return Ok(());
        }
        Err(self.other(&changes.join(", ")))
    }

    /// The failure of a run that met what somebody else did.
    pub fn other(&self, found: &str) -> Failure {
        self.known().others = true;
        let what = format!("somebody else changed the service meanwhile: {found}");
        Failure::failed(what).hinted(vch_lb("status") + " shows what it is now")
    }
}

impl Known {
    fn wrote(&self, bytes: &[u8]) -> bool {
        let on_its_way = self.files.len() > 1;
        let cut = |file: &String| {
            on_its_way && !bytes.ends_with(b"\n") && file.as_bytes().starts_with(bytes)
        };
        let same = |file: &String| String::from_utf8_lossy(bytes) == **file;
        self.files.is_empty() || self.files.iter().any(|file| same(file) || cut(file))
    }

    /// In which way the containers in a list, begun at `before`, are not the ones that are known; for people.
    fn changes(
        &self,
        before: &Self,
        listed: &[ListedContainer],
        only_removes: bool,
    ) -> Vec<String> {
        let by_name = listed.iter().map(|it| (it.name.as_str(), it.id.as_str()));
        let by_name: HashMap<&str, &str> = by_name.collect();
        let lasting = before.ids.iter().filter_map(|(name, id)| {
            let id = id.as_deref()?;
            let same = self.ids.get(name)?.as_deref() == Some(id);
            same.then_some((name, id))
        });
        let mut changes = Vec::new();
        for (name, id) in lasting {
            match by_name.get(name.as_str()) {
                Some(found) if *found != id => {
                    changes.push(format!("`{name}` is not the same any more"));
                }
                None if !only_removes => changes.push(format!("`{name}` is gone")),
                _ => {}
            }
        }
        let news = listed.iter().filter(|it| {
            let expected = before.ids.contains_key(&it.name) || self.ids.contains_key(&it.name);
            !expected && !self.met.contains(&it.id)
        });
        changes.extend(news.map(|it| format!("`{}` is new", it.name)));
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::haproxy::read::Found;
    use crate::inventory::State;
    use crate::inventory::tests::{container, engine};
    use crate::service::tests::spec;

    const FILE: &str = "one\n";

    fn listed(pairs: &[(&str, &str)]) -> Vec<ListedContainer> {
        let one = |&(name, id): &(&str, &str)| ListedContainer {
            id: id.to_owned(),
            name: name.to_owned(),
        };
        pairs.iter().map(one).collect()
    }

    /// A run that begins with web-1, web-2, and web-9, which is not the service's.
    fn guard(only_removes: bool) -> Guard {
        let spec = spec(&[]);
        let on = |name: &str, network: &str| {
            container(name, State::Running, &[(network, "172.18.0.2")], "httpd")
        };
        let found = [
            on("web-1", "web-net"),
            on("web-2", "web-net"),
            on("web-9", "other"),
        ];
        let mut inventory = Inventory::new(&spec.service, engine(), Vec::new(), found);
        let ids = [("web-1", "a1"), ("web-2", "a2"), ("web-9", "a9")];
        inventory.ids = ids.map(|(name, id)| (name.into(), id.into())).into();
        inventory.config = Some(Found::new(FILE.to_owned(), None, None));
        Guard::new(spec.names(), &inventory, only_removes)
    }

    const THERE: [(&str, &str); 3] = [("web-1", "a1"), ("web-2", "a2"), ("web-9", "a9")];

    /// What is said of a look that began now.
    fn said(guard: &Guard, there: &[(&str, &str)], file: &str) -> String {
        let checked = guard.check(&guard.now(), &listed(there), Some(file.as_bytes()));
        let said = checked.err().map(|failure| failure.what);
        let said = said.unwrap_or_default();
        said.rsplit(": ").next().unwrap_or_default().to_owned()
    }

    #[test]
    fn what_is_not_as_it_was_found_is_told() {
        for (there, file, alone, removing) in [
            (&THERE[..], FILE, "", ""),
            (&THERE[1..], FILE, "`web-1` is gone", ""),
            (
                &[("web-1", "b1"), ("web-2", "a2")],
                FILE,
                "`web-1` is not the same any more",
                "`web-1` is not the same any more",
            ),
            (
                &[("web-1", "a1"), ("web-2", "a2"), ("web-3", "b3")],
                FILE,
                "`web-3` is new",
                "`web-3` is new",
            ),
            (
                &THERE[..],
                "o",
                "`lb` has another haproxy.cfg",
                "`lb` has another haproxy.cfg",
            ),
            (
                &THERE[..],
                "two\n",
                "`lb` has another haproxy.cfg",
                "`lb` has another haproxy.cfg",
            ),
        ] {
            assert_eq!(said(&guard(false), there, file), alone);
            assert_eq!(said(&guard(true), there, file), removing);
        }
    }

    #[test]
    fn what_the_run_does_itself_is_no_news() {
        let guard = guard(false);
        guard.makes("web-3");
        assert_eq!(said(&guard, &THERE, FILE), "");
        let mut there = [&THERE[..], &[("web-3", "b3")]].concat();
        assert_eq!(said(&guard, &there, FILE), "");
        guard.made("web-3", "b3");
        there[3] = ("web-3", "c3");
        let other = "`web-3` is not the same any more";
        assert_eq!(said(&guard, &there, FILE), other);
        there[3] = ("web-3", "b3");
        guard.writes("two\n");
        for file in [FILE, "two\n", "tw"] {
            assert_eq!(said(&guard, &there, file), "", "{file}");
        }
        guard.writes("three\n");
        assert_ne!(said(&guard, &there, FILE), "");
        // Once it has arrived no other one is expected.
        guard.arrived("two\n");
        for file in [FILE, "three\n", "tw"] {
            assert_ne!(said(&guard, &there, file), "", "{file}");
        }
        assert_eq!(said(&guard, &there, "two\n"), "");
        guard.forgets(&["web-1".to_owned()]);
        assert_eq!(said(&guard, &there, "two\n"), "");
        assert_eq!(said(&guard, &there[1..], "two\n"), "");
        there.push(("web-4", "b4"));
        assert_eq!(said(&guard, &there[1..], "two\n"), "`web-4` is new");
    }

    #[test]
    fn a_look_is_compared_with_what_was_known_all_the_while() {
        let guard = guard(false);
        let before = guard.now();
        guard.forgets(&["web-1".to_owned()]);
        guard.made("web-3", "b3");
        guard.writes("two\n");
        for there in [&THERE[..], &THERE[1..], &[("web-2", "a2"), ("web-3", "b3")]] {
            for file in [FILE, "two\n"] {
                let checked = guard.check(&before, &listed(there), Some(file.as_bytes()));
                assert!(checked.is_ok(), "{there:?} {checked:?}");
            }
        }
    }

    #[test]
    fn a_container_is_known_under_either_name_while_it_is_renamed() {
        let guard = guard(false);
        let renamed: Result<(), ()> = guard.renaming("web-1", "web-8", || {
            for name in ["web-1", "web-8"] {
                let there = [(name, "a1"), ("web-2", "a2")];
                assert_eq!(said(&guard, &there, FILE), "");
            }
            Ok(())
        });
        assert!(renamed.is_ok());
        let there = [("web-8", "a1"), ("web-2", "a2")];
        assert_eq!(said(&guard, &there, FILE), "");
        let failed: Result<(), ()> = guard.renaming("web-8", "web-1", || Err(()));
        assert!(failed.is_err());
        assert_eq!(said(&guard, &there, FILE), "");
        assert_eq!(said(&guard, &there[1..], FILE), "`web-8` is gone");
        assert!(guard.met_others());
    }

    #[test]
    fn what_may_be_undone_is_what_is_known() {
        let guard = guard(false);
        let there = listed(&[("web-1", "b1"), ("web-2", "a2"), ("web-3", "b3")]);
        let known = |name| guard.knows(&there, name);
        assert_eq!(["web-1", "web-2", "web-3"].map(known), [false, true, false]);
        guard.makes("web-3");
        assert!(guard.knows(&there, "web-3"));
        assert!(guard.knows(&[], "web-3"));
    }
}
