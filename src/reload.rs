//! How a change reaches a running load balancer: a transaction, one at a time, at least a second after the one before.
//!
//! Copied, read back, checked by HAProxy itself in the load balancer, signalled, verified in its log; undone where one of
//! these fails, so that no file that would not survive a restart is left behind.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::calls;
use crate::docker::CallError;
use crate::docker::argv::{self, Range};
use crate::docker::cause::Cause;
use crate::error::Failure;
use crate::haproxy::{
    self,
    log::{self, Line, Own},
};
use crate::look;
use crate::moment::Moment;
use crate::perform::{AGAIN_AFTER, COPIES, Performer};
use crate::signals;
use crate::ui;

/// HAProxy 1.8 and later drop a HUP that arrives while they are still reloading.
const APART: Duration = Duration::from_secs(1);
/// How long a HAProxy that tells of its reloads gets to do so: it reads its file and resolves names.
const TOLD_WITHIN: Duration = Duration::from_secs(5);
/// After this long without an alert, one that does not tell has reloaded: 1.7 and 1.8 take a few milliseconds.
const UNTOLD_AFTER: Duration = Duration::from_millis(1500);
/// How many log lines are read before a reload. The sign of life of the worker that serves is among them, unless requests
/// (LB_LOG=stdout) have pushed it out.
const TAIL: usize = 500;

/// What is known of HAProxy's worker processes.
#[derive(Debug, Default)]
pub struct Workers {
    last_hup: Option<Instant>,
    /// The log's last time before that.
    last_mark: Option<Moment>,
    /// The log's last time before this run's first HUP.
    mark: Option<Moment>,
    /// Whether this HAProxy tells of its reloads.
    tells: bool,
    /// Whether it tells when a former worker is gone: 1.7 never does.
    tells_of_ends: bool,
    current: Option<u32>,
    former: BTreeSet<u32>,
    /// Former workers whose process IDs are not known.
    nameless: usize,
}

/// Makes the load balancer run `text`, which lies in the local haproxy.cfg.
pub fn reload(performer: &Performer<'_>, text: &str, checked: bool) -> Result<(), Failure> {
    let before = performer
        .before
        .config
        .as_ref()
        .map(|found| found.text.as_str());
    let outcome = copy_and_verify(performer, text)
        .and_then(|()| if checked { check(performer) } else { Ok(()) })
        .and_then(|()| signal(performer));
    match (outcome, before) {
        (Err(failure), Some(before)) => Err(put_back(performer, before, failure)),
        (outcome, _) => outcome,
    }
}

/// Puts `text`, the configuration from before, back in force.
pub fn back_to(performer: &Performer<'_>, text: &str) -> Result<(), Failure> {
    performer.put_config(text)?;
    signal(performer)
}

/// After a failed reload the old worker still serves; only the file has to be what it was.
fn put_back(performer: &Performer<'_>, before: &str, failure: Failure) -> Failure {
    match performer.put_config(before) {
        Ok(()) => failure,
        Err(second) => Failure {
            undoing: vec![second.render().trim_end().to_owned()],
            ..failure
        },
    }
}

/// A copy into a running container may arrive truncated on a VCH, with exit code 0.
fn copy_and_verify(performer: &Performer<'_>, text: &str) -> Result<(), Failure> {
    let spec = performer.spec;
    let lb = spec.names.lb.as_str();
    for _ in 0..COPIES {
        let copy = calls::copy(spec, &performer.config_path);
        performer.change(&copy).map_err(|error| {
            Failure::from_call(
                format!("haproxy.cfg was not copied into the load balancer `{lb}`"),
                &error,
            )
        })?;
        if look::file_in(&performer.docker, lb, haproxy::CONFIG_NAME)?.as_deref()
            == Some(text.as_bytes())
        {
            return Ok(());
        }
        performer.ui.status(&format!(
            "haproxy.cfg did not arrive whole in {lb}: copying it again"
        ));
        performer.sleep(AGAIN_AFTER);
    }
    Err(Failure::failed(format!(
        "haproxy.cfg does not arrive whole in the load balancer `{lb}`"
    )))
}

/// HAProxy's own verdict, in the load balancer, names resolved. Where nothing can be executed there, the file that was
/// read back has to do.
fn check(performer: &Performer<'_>) -> Result<(), Failure> {
    let lb = performer.spec.names.lb.as_str();
    match performer.change(&calls::check(lb)) {
        Ok(_) => Ok(()),
        Err(error) => {
            let said = format!(
                "{}\n{}",
                String::from_utf8_lossy(&error.stdout),
                error.words()
            );
            if !said.contains("[ALERT]") {
                return if error.timed_out() || error.cause().is_some_and(Cause::is_not_found) {
                    Err(Failure::from_call(
                        format!("haproxy.cfg was not checked in `{lb}`"),
                        &error,
                    ))
                } else {
                    Ok(())
                };
            }
            let mut failure = Failure::from_call(
                format!("HAProxy in `{lb}` refuses the new haproxy.cfg"),
                &error,
            )
            .worded(said.trim());
            failure.hint = log::unresolved_name(&said)
                .map(|name| {
                    format!(
                        "the load balancer could not resolve `{name}`: is that instance running?"
                    )
                })
                .or(failure.hint);
            Err(failure)
        }
    }
}

/// What a HUP came to.
enum Verdict {
    InForce,
    Lost,
    Refused(Vec<String>),
}

/// Sends HUP and verifies that it took effect; once more if it got lost.
fn signal(performer: &Performer<'_>) -> Result<(), Failure> {
    let lb = performer.spec.names.lb.as_str();
    for _ in 0..2 {
        keep_apart(performer);
        let since = mark(performer)?;
        signals::hup(performer).map_err(|error| {
            Failure::from_call(format!("the load balancer `{lb}` was not reloaded"), &error)
        })?;
        {
            let workers = &mut performer.memo().workers;
            workers.last_hup = Some(Instant::now());
            workers.last_mark = since;
        }
        match verdict(performer, since)? {
            Verdict::InForce => return Ok(()),
            Verdict::Refused(alerts) => {
                let failure = Failure::failed(format!(
                    "HAProxy in `{lb}` did not take the new haproxy.cfg"
                ));
                return Err(failure.worded(alerts.join("\n")));
            }
            Verdict::Lost => performer
                .ui
                .status(&format!("{lb} did not react to the reload: asking again")),
        }
    }
    Err(Failure::failed(format!(
        "the load balancer `{lb}` does not react to being asked to reload"
    )))
}

fn keep_apart(performer: &Performer<'_>) {
    let last = performer.memo().workers.last_hup;
    if let Some(wait) = last.and_then(|last| APART.checked_sub(last.elapsed())) {
        std::thread::sleep(wait);
    }
}

/// The log's last time so far, in the endpoint's own clock; what comes later is the reload's.
fn mark(performer: &Performer<'_>) -> Result<Option<Moment>, Failure> {
    let log = own_lines(performer, &Range::last(TAIL), None)
        .map_err(|error| not_read(performer, &error))?;
    let (last, full) = (log.last(), log.read() >= TAIL);
    if performer.memo().workers.mark.is_none() {
        let lines = log.in_order();
        let current = newest_worker(&lines);
        let first = match current {
            None if full => first_signs(performer)?,
            _ => Vec::new(),
        };
        let mut memo = performer.memo();
        let workers = &mut memo.workers;
        workers.mark = Some(last.unwrap_or(Moment::EARLIEST));
        workers.tells = log::tells_of_reloads(&lines) || log::tells_of_reloads(&first);
        workers.tells_of_ends = current.or_else(|| newest_worker(&first)).is_some();
        workers.current = current;
    }
    Ok(last)
}

fn newest_worker(lines: &[Line]) -> Option<u32> {
    let mut lines = lines.iter().rev();
    lines.find_map(|line| log::new_worker(&line.text))
}

/// HAProxy's own lines from the beginning of the log to the first worker's: what this HAProxy tells of. None where that
/// can't be read.
fn first_signs(performer: &Performer<'_>) -> Result<Vec<Line>, Failure> {
    let mut own = Own::default();
    let read = read_lines(performer, &Range::since(None), |line| {
        let go_on = log::new_worker(&line.text).is_none();
        own.add(line);
        go_on
    });
    match read {
        Err(error) if error.concerns_every_call() => Err(not_read(performer, &error)),
        _ => Ok(own.in_order()),
    }
}

fn verdict(performer: &Performer<'_>, since: Option<Moment>) -> Result<Verdict, Failure> {
    let started = Instant::now();
    let tells = performer.memo().workers.tells;
    let mut pause = Duration::from_millis(30);
    loop {
        let lines = read_log(performer, since)?;
        let alerts = log::alerts(lines.iter().map(|line| line.text.as_str()));
        if !alerts.is_empty() {
            return Ok(Verdict::Refused(
                alerts.into_iter().map(str::to_owned).collect(),
            ));
        }
        if lines.iter().any(|line| log::reload_seen(&line.text)) && settled(&lines, started) {
            performer.memo().workers.succeed(newest_worker(&lines));
            return Ok(Verdict::InForce);
        }
        let waited = started.elapsed();
        if tells && waited >= TOLD_WITHIN {
            return Ok(Verdict::Lost);
        }
        if !tells && waited >= UNTOLD_AFTER {
            performer.memo().workers.succeed(None);
            return Ok(Verdict::InForce);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(500));
    }
}

/// `Loading success.` is proof. Versions that only tell of a new process get a moment to complain.
fn settled(lines: &[Line], started: Instant) -> bool {
    lines.iter().any(|line| log::says_loaded(&line.text))
        || started.elapsed() >= Duration::from_millis(500)
}

impl Workers {
    /// When the configuration in force was asked for, and the log's last time before that; `None` without a reload.
    pub fn last_reload(&self) -> Option<(Instant, Option<Moment>)> {
        self.last_hup.map(|at| (at, self.last_mark))
    }

    /// The worker that served until now is a former one.
    fn succeed(&mut self, worker: Option<u32>) {
        match self.current {
            Some(former) => {
                self.former.insert(former);
            }
            None => self.nameless += 1,
        }
        self.current = worker;
    }

    /// Whether all former workers are gone, by the log since this run's first HUP; `None` where it does not tell.
    fn gone(&self, lines: &[Line]) -> Option<bool> {
        if self.former.is_empty() && self.nameless == 0 {
            return Some(true);
        }
        let gone: BTreeSet<u32> = lines
            .iter()
            .filter_map(|line| log::former_worker_gone(&line.text))
            .collect();
        let nameless_gone = gone.difference(&self.former).count();
        if gone.is_empty() && !self.tells_of_ends {
            return None;
        }
        Some(self.former.is_subset(&gone) && nameless_gone >= self.nameless)
    }
}

/// Waits until the workers from before this run's reloads are gone: they keep their open connections, and their old list
/// of servers.
pub fn drain(performer: &Performer<'_>) -> Result<(), Failure> {
    let started = Instant::now();
    let lb = &performer.spec.names.lb;
    let mark = performer.memo().workers.mark;
    let mut pause = Duration::from_millis(50);
    loop {
        performer.check_interrupt()?;
        let gone = match log_since(performer, mark) {
            Ok(lines) => performer.memo().workers.gone(&lines),
            Err(error) if error.concerns_every_call() => return Err(not_read(performer, &error)),
            // Then it is as with a HAProxy that does not tell.
            Err(_) => None,
        };
        if gone == Some(true) {
            return Ok(());
        }
        if started.elapsed() >= performer.patience.drain {
            let waited = ui::seconds(performer.patience.drain);
            if gone == Some(false) {
                performer.ui.warn(&format!(
                    "after {waited} {lb} still has connections to instances that leave (--drain)"
                ));
            }
            return Ok(());
        }
        performer.sleep(pause.min(performer.patience.drain));
        pause = (pause * 2).min(Duration::from_millis(500));
    }
}

/// What HAProxy says of itself in the load balancer's log after `since`.
pub fn read_log(performer: &Performer<'_>, since: Option<Moment>) -> Result<Vec<Line>, Failure> {
    log_since(performer, since).map_err(|error| not_read(performer, &error))
}

fn log_since(performer: &Performer<'_>, since: Option<Moment>) -> Result<Vec<Line>, CallError> {
    let since = since.filter(|since| *since > Moment::EARLIEST);
    own_lines(performer, &Range::since(since), since).map(Own::in_order)
}

fn own_lines(
    performer: &Performer<'_>,
    range: &Range,
    since: Option<Moment>,
) -> Result<Own, CallError> {
    let mut own = Own::default();
    read_lines(performer, range, |line| {
        // A VCH knows full seconds only: it returns a little more than was asked for.
        if since.is_none_or(|since| line.time > since) {
            own.add(line);
        }
        true
    })?;
    Ok(own)
}

/// Reads the load balancer's log for as long as `on_line` says so.
fn read_lines(
    performer: &Performer<'_>,
    range: &Range,
    mut on_line: impl FnMut(Line) -> bool,
) -> Result<(), CallError> {
    let argv = argv::logs(performer.spec.names.lb.as_str(), range, true, false);
    let docker = &performer.docker;
    docker.query_lines(&argv, |piece| {
        log::line(&piece.text).is_none_or(&mut on_line)
    })
}

fn not_read(performer: &Performer<'_>, error: &CallError) -> Failure {
    let lb = &performer.spec.names.lb;
    Failure::from_call(
        format!("the log of the load balancer `{lb}` could not be read"),
        error,
    )
}
