//! What is known of HAProxy's worker processes over the reloads of a run, and of its undoing.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::haproxy::channel::{Id, Look, Process};
use crate::haproxy::log::{self, Line};
use crate::moment::Moment;

/// What is known of HAProxy's worker processes.
#[derive(Debug, Default)]
pub struct Workers {
    pub(super) last_hup: Option<Instant>,
    /// When it was looked last, before a copy, whether anybody else has changed something.
    pub(super) looked: Option<Instant>,
    /// The log's last time before that.
    pub(super) last_mark: Option<Moment>,
    /// The log's last time before this run's first HUP.
    pub(super) mark: Option<Moment>,
    /// Whether its log tells when a former worker is gone: that of 1.7 never does.
    pub(super) tells_of_ends: bool,
    former: BTreeSet<Id>,
    /// Those of them that other commands left: the log may have told of their end before it is read.
    left: bool,
    /// Former workers whose process IDs are not known.
    nameless: usize,
    /// Whether HAProxy may run another configuration than the one from before this run.
    pub(super) elsewhere: bool,
    /// Whether one that it sends to has been started since it last resolved names.
    pub(super) moved: bool,
    /// When a refusal showed last.
    pub(super) refused: Option<Instant>,
    /// When the load balancer was started again that had ended, by the endpoint's clock.
    pub(super) revived: Option<Moment>,
    /// A signal of which HAProxy still loads.
    pub(super) unfinished: Option<Before>,
    /// How long HAProxy took to load, where it took longer than it was waited for.
    pub(super) loads_for: Option<Duration>,
    /// What came of a signal could not be shown.
    pub(super) unproved: bool,
}

/// What was there before a signal.
#[derive(Debug)]
pub(super) struct Before {
    /// The log's last time.
    pub(super) mark: Option<Moment>,
    pub(super) look: Option<Look>,
    /// The pid file, where nothing can be asked.
    pub(super) pid_file: Option<String>,
    /// Whether the new configuration names the runtime socket.
    pub(super) answers: bool,
}

impl Workers {
    /// When the configuration in force was asked for, and the log's last time before that; `None` without a reload.
    pub fn last_reload(&self) -> Option<(Instant, Option<Moment>)> {
        self.last_hup.map(|at| (at, self.last_mark))
    }

    /// It is looked whether anybody else has changed something, before a copy.
    pub fn note_look(&mut self) {
        self.looked = Some(Instant::now());
    }

    /// Whether HAProxy may run another configuration than the one from before this run.
    pub fn may_run_another(&self) -> bool {
        self.elsewhere
    }

    /// Whether HAProxy may run, or come to run, what it was asked to last: it still loads it, or nothing tells.
    pub fn may_come_to_it(&self) -> bool {
        self.elsewhere && (self.unfinished.is_some() || self.unproved)
    }

    /// An instance was started: its address may be another one than before.
    pub fn note_moved(&mut self) {
        self.moved = true;
    }

    /// From here on only what undoing does counts: what it starts again the load balancer sent to before.
    pub fn begin_undoing(&mut self) {
        self.moved = false;
    }

    /// HAProxy was started, with the file from before.
    pub(super) fn started(&mut self) {
        (self.elsewhere, self.moved, self.refused) = (false, false, None);
        (self.unfinished, self.unproved) = (None, false);
    }

    /// Former workers that were there before this run's first reload go on, too.
    pub(super) fn note_left(&mut self, left: &[Process]) {
        self.left |= !left.is_empty();
        self.former.extend(left.iter().map(|process| process.id));
    }

    /// Whether other commands left some.
    pub(super) fn were_left(&self) -> bool {
        self.left
    }

    /// How many clients former workers have.
    pub(super) fn clients(&self, now: &Look) -> u64 {
        let there = self.former.iter().filter(|id| now.has(**id));
        there.filter_map(|id| now.open.get(&id.pid)).sum()
    }

    /// Those that served until now are former ones.
    pub(super) fn succeed(&mut self, former: &[Process]) {
        (self.moved, self.refused, self.unproved) = (false, None, false);
        if former.is_empty() {
            self.nameless += 1;
        }
        self.former.extend(former.iter().map(|process| process.id));
    }

    /// Whether all former workers are gone, by the log since this run's first HUP; `None` where it does not tell.
    pub(super) fn gone(&self, lines: &[Line]) -> Option<bool> {
        if self.former.is_empty() && self.nameless == 0 {
            return Some(true);
        }
        let gone: BTreeSet<u32> = lines
            .iter()
            .filter_map(|line| log::former_worker_gone(&line.text))
            .collect();
        let former: BTreeSet<u32> = self.former.iter().map(|id| id.pid).collect();
        let nameless_gone = gone.difference(&former).count();
        if gone.is_empty() && !self.tells_of_ends {
            return None;
        }
        Some(former.is_subset(&gone) && nameless_gone >= self.nameless)
    }

    /// Whether all former workers are gone, by the processes that are there; `None` where some are not known.
    pub(super) fn gone_by(&self, now: &Look) -> Option<bool> {
        (self.nameless == 0).then(|| !self.former.iter().any(|id| now.has(*id)))
    }
}
