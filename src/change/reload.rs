//! How a change reaches a running load balancer: a transaction, one at a time, at least a second after the one before.
//!
//! Copied, read back, checked by HAProxy itself in the load balancer, signalled, verified in its log; undone where one of
//! these fails, so that no file that would not survive a restart is left behind.

use std::thread;
use std::time::{Duration, Instant};

use super::run::{AGAIN_AFTER, COPIES, Run};
use super::workers::Before;
use super::{files, lb_log, revive, signals};
use crate::ask;
use crate::autopsy;
use crate::calls;
use crate::docker::CallError;
use crate::docker::argv::Range;
use crate::docker::cause::Cause;
use crate::error::{Failure, printable};
use crate::haproxy;
use crate::haproxy::channel::{self, Look, Process, Question};
use crate::haproxy::log::{self, Line, Own};
use crate::haproxy::read::Found;
use crate::haproxy::reloaded::{self, By, Evidence, Verdict};
use crate::look;
use crate::message::vch_lb;
use crate::moment::Moment;
use crate::service::names::Number;
use crate::text;

/// HAProxy 1.8 and later drop a HUP that arrives while they are still reloading.
const APART: Duration = Duration::from_secs(1);
/// How long a HUP may take to show in any way before it counts as lost, or, where nothing shows more, before nothing more is
/// waited for: refusals show after 2 to 3 s.
const HEARD_WITHIN: Duration = Duration::from_secs(5);
/// How many log lines are read before a reload. The sign of life of the worker that serves is among them, unless requests
/// (LB_LOG=stdout) have pushed it out.
const TAIL: usize = 500;
/// How often it is looked what came of a signal, and whether former workers are gone.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often HAProxy is asked to reload that does not react.
const ATTEMPTS: u32 = 2;

/// Makes the load balancer run `text`, which lies in the local haproxy.cfg.
pub fn reload(run: &Run<'_>, text: &str, servers: &[Number]) -> Result<(), Failure> {
    let before = run.before.config.as_ref();
    let outcome = copy_and_verify(run, text)
        .and_then(|()| check(run))
        .and_then(|checked| {
            signal(run, text, leaves_some(run, servers))?;
            match checked {
                Checked::Good => Ok(()),
                Checked::Not => sends_to_all(run),
            }
        });
    match (outcome, before) {
        (Err(failure), Some(before)) => Err(put_back(run, before, failure)),
        (outcome, _) => outcome,
    }
}

/// Puts `text`, the configuration from before, back: in force, if HAProxy may run another one. Where it is shown to run that
/// one still, it is not asked to reload: some can't after a refusal.
pub fn back_to(run: &Run<'_>, text: &str) -> Result<(), Failure> {
    files::put_config(run, text)?;
    if start_again(run)? {
        return Ok(());
    }
    let found = run.before.config.as_ref();
    let is_another = found.is_some_and(|found| found.text != text);
    let needed = {
        let workers = run.workers();
        workers.last_hup.is_some() && (workers.elsewhere || workers.moved || is_another)
    };
    if needed {
        // What this run made is taken away next.
        signal(run, text, true)?;
    }
    Ok(())
}

/// Starts the load balancer again if it has ended, or does so soon after a refusal. It then runs the file that lies there.
/// Where others are at the service, it may be they who ended it.
fn start_again(run: &Run<'_>) -> Result<bool, Failure> {
    if run.guard.met_others() {
        return Ok(false);
    }
    let refused = run.workers().refused;
    let started = revive::if_ended(run, refused.map(|at| at + revive::ENDS_WITHIN))?;
    if started {
        run.workers().started();
    }
    Ok(started)
}

/// Whether an instance that may have been sent to is not among `servers`.
fn leaves_some(run: &Run<'_>, servers: &[Number]) -> bool {
    let mut there = run.before.instances.keys();
    there.any(|number| !servers.contains(number))
}

/// After a failed reload the old worker still serves, or HAProxy has ended: then it is started again at once. The file has to
/// be what it was.
fn put_back(run: &Run<'_>, before: &Found, failure: Failure) -> Failure {
    match files::put_back(run, before) {
        Ok(()) => {
            if let Err(second) = start_again(run) {
                // Undoing, which comes next, has another try, with instances that may have been stopped back.
                run.ui.status(&second.render().to_string());
            }
            failure
        }
        Err(second) => Failure {
            undoing: vec![second.render()],
            ..failure
        },
    }
}

/// A copy into a running container may arrive truncated on a VCH, with exit code 0.
fn copy_and_verify(run: &Run<'_>, text: &str) -> Result<(), Failure> {
    let spec = run.spec;
    let lb = spec.names().lb.as_str();
    for _ in 0..COPIES {
        files::copy_config(run, text).map_err(|error| {
            Failure::from_call(
                format!("haproxy.cfg was not copied into the load balancer `{lb}`"),
                &error,
            )
        })?;
        if look::file_in(&run.docker, lb, haproxy::CONFIG_NAME)?.as_deref() == Some(text.as_bytes())
        {
            run.guard.arrived(text);
            return Ok(());
        }
        run.ui.status(&format!(
            "haproxy.cfg did not arrive whole in {lb}: copying it again"
        ));
        run.sleep(AGAIN_AFTER);
        run.others().none_changed()?;
        // Whoever changes another service from the same directory writes the same file.
        files::write_text(run, text)?;
    }
    Err(Failure::failed(format!(
        "haproxy.cfg does not arrive whole in the load balancer `{lb}`"
    )))
}

/// What HAProxy's own check of a file came to that it does not refuse.
enum Checked {
    Good,
    /// It could not be asked.
    Not,
}

/// HAProxy's own verdict, in the load balancer, names resolved. Where nothing can be executed there, the file that was
/// read back has to do: whether it is in force is shown later.
fn check(run: &Run<'_>) -> Result<Checked, Failure> {
    let lb = run.names().lb.as_str();
    let mut said = String::new();
    for _ in 0..COPIES {
        match run.change(&calls::check(lb)) {
            Ok(answer) => {
                said = format!("{}\n{}", answer.text(), answer.stderr);
                // Exit code 0 may be a VCH's that never ran it.
                if log::says_valid(&said) {
                    return every_name_resolves(lb, &said).map(|()| Checked::Good);
                }
                run.sleep(AGAIN_AFTER);
            }
            Err(error) => return refused_or_unchecked(run, &error),
        }
    }
    let words = said.trim();
    run.ui.status(&format!(
        "haproxy.cfg could not be checked in {lb}: {}",
        if words.is_empty() {
            "HAProxy said nothing".to_owned()
        } else {
            printable(words)
        }
    ));
    Ok(Checked::Not)
}

fn refused_or_unchecked(run: &Run<'_>, error: &CallError) -> Result<Checked, Failure> {
    let lb = run.names().lb.as_str();
    let said = format!(
        "{}\n{}",
        String::from_utf8_lossy(&error.stdout),
        error.words()
    );
    if !said.contains("[ALERT]") {
        return if error.timed_out() || error.cause().is_some_and(Cause::is_not_found) {
            Err(Failure::from_call(
                format!("haproxy.cfg was not checked in `{lb}`"),
                error,
            ))
        } else {
            Ok(Checked::Not)
        };
    }
    let failure = Failure::from_call(
        format!("HAProxy in `{lb}` refuses the new haproxy.cfg"),
        error,
    )
    .worded(said.trim());
    Err(match log::unresolved_name(&said) {
        Some(name) => failure.hinted_better(unresolved(name)),
        None => failure,
    })
}

fn unresolved(name: &str) -> String {
    format!(
        "the load balancer could not resolve `{name}`: is that instance running? With SERVER_ADDRESS=ip no name is asked for"
    )
}

/// HAProxy starts without a server whose name does not resolve: that must not pass for a server that is sent to.
fn every_name_resolves(lb: &str, said: &str) -> Result<(), Failure> {
    let Some(name) = log::left_out(said) else {
        return Ok(());
    };
    let what = format!("HAProxy in `{lb}` would send nothing to `{name}`");
    let failure = Failure::failed(what).worded(said.trim());
    Err(failure.hinted(unresolved(name)))
}

/// The same where HAProxy could not be asked before: then its log alone tells whom it left out.
fn sends_to_all(run: &Run<'_>) -> Result<(), Failure> {
    let lb = run.names().lb.as_str();
    let mark = run.workers().last_mark;
    let lines = match lb_log::log_since(run, mark) {
        Ok(lines) => lines,
        Err(error) if error.concerns_every_call() => {
            return Err(lb_log::not_read(run, &error));
        }
        Err(_) => return Ok(()),
    };
    let mut left_out = lines.iter().filter_map(|line| {
        let name = log::left_out(&line.text)?;
        Some((name, line.text.as_str()))
    });
    let Some((name, words)) = left_out.next() else {
        return Ok(());
    };
    let failure = Failure::failed(format!("HAProxy in `{lb}` sends nothing to `{name}`"));
    Err(failure.worded(words).hinted(autopsy::unresolved(name)))
}

/// Sends HUP and waits until it shows that the new configuration is in force; once more if HAProxy did not hear it.
/// `leaving`: instances may be taken away for not being in that configuration.
fn signal(run: &Run<'_>, text: &str, leaving: bool) -> Result<(), Failure> {
    let lb = run.names().lb.as_str();
    let unfinished = run.workers().unfinished.take();
    if let Some(before) = unfinished {
        has_loaded(Watch {
            run,
            before,
            under_way: None,
            said: Vec::new(),
        })?;
    }
    let (mut attempts, mut waited) = (0, false);
    while attempts < ATTEMPTS {
        keep_apart(run)?;
        let asked = Instant::now();
        let (watch, others) = thread::scope(|scope| {
            let others = scope.spawn(|| run.others().none_changed());
            (Watch::begin(run, text), look::join(others))
        });
        // Only before this run's own signal, and before it waits for one of others.
        let reloaded = match &watch {
            Ok(watch) if !run.undoing && attempts == 0 && !waited => {
                none_reloaded(run, watch, asked)
            }
            _ => Ok(()),
        };
        others?;
        let watch = watch?;
        reloaded?;
        if let Some(mark) = watch.under_way.filter(|_| !waited) {
            waited = true;
            has_loaded(watch.of_earlier(mark))?;
            continue;
        }
        attempts += 1;
        let was_elsewhere = run.workers().elsewhere;
        {
            // Before the call: one that fails may have sent it all the same.
            let mut workers = run.workers();
            workers.last_hup = Some(Instant::now());
            workers.last_mark = watch.before.mark;
            workers.elsewhere = true;
        }
        signals::hup(run).map_err(|error| {
            Failure::from_call(format!("the load balancer `{lb}` was not reloaded"), &error)
        })?;
        run.workers().last_hup = Some(Instant::now());
        match watch.outcome()? {
            Verdict::InForce(by) => {
                watch.note_success(by);
                return Ok(());
            }
            Verdict::Refused(alerts) => {
                let goes_on = watch.goes_on()?;
                let mut workers = run.workers();
                workers.elsewhere = was_elsewhere || !goes_on;
                workers.refused = Some(Instant::now());
                return Err(not_taken(run).worded(alerts.join("\n")));
            }
            Verdict::Ended(alerts) if alerts.is_empty() => return Err(ended(run)),
            Verdict::Ended(alerts) => return Err(not_taken(run).worded(alerts.join("\n"))),
            Verdict::Loading => {
                run.workers().unfinished = Some(watch.before);
                return Err(still_loading(run));
            }
            Verdict::Unknown => {
                run.workers().unproved = true;
                return unproved(run, leaving);
            }
            Verdict::Unheard => run
                .ui
                .status(&format!("{lb} did not react to the reload: asking again")),
        }
    }
    Err(Failure::failed(format!(
        "the load balancer `{lb}` does not react to being asked to reload"
    )))
}

/// Nobody else's reload came between the look before this run's copy and now, `asked`: what that one had copied has been
/// overwritten, unread. The new worker is all that tells of it.
fn none_reloaded(run: &Run<'_>, watch: &Watch<'_>, asked: Instant) -> Result<(), Failure> {
    let looked = run.workers().looked;
    let within = looked.map(|looked| asked.saturating_duration_since(looked));
    let found = watch.before.look.as_ref().zip(within);
    let meanwhile =
        |(look, within): (&Look, Duration)| reloaded::reloaded_within(look, &watch.said, within);
    if !found.is_some_and(meanwhile) {
        return Ok(());
    }
    run.guard.note_overwritten();
    let lb = &run.names().lb;
    let found = format!("HAProxy in `{lb}` was reloaded, or started again");
    Err(run.guard.other(&found))
}

/// HAProxy hears no signal while it loads: another one would be lost, and what it is loading would come into force after all.
fn has_loaded(watch: Watch<'_>) -> Result<(), Failure> {
    let run = watch.run;
    let lb = run.names().lb.as_str();
    run.ui.status(&format!(
        "HAProxy in {lb} hears nothing while it loads: waiting for it"
    ));
    match watch.outcome()? {
        Verdict::Loading => {}
        Verdict::InForce(by) => {
            let asked = run.workers().last_hup;
            run.workers().loads_for = asked.map(|at| at.elapsed());
            watch.note_success(by);
            return Ok(());
        }
        _ => return Ok(()),
    }
    run.workers().unfinished = Some(watch.before);
    let what = format!(
        "HAProxy in `{lb}` is still loading what it was asked to before, and will run that once it has"
    );
    Err(Failure::failed(what)
        .hinted("once it has loaded, " + vch_lb("status") + " tells how it stands"))
}

fn not_taken(run: &Run<'_>) -> Failure {
    let lb = &run.names().lb;
    Failure::failed(format!(
        "HAProxy in `{lb}` did not take the new haproxy.cfg"
    ))
}

/// It said nothing of why.
fn ended(run: &Run<'_>) -> Failure {
    let (spec, docker) = (run.spec, &run.docker);
    let lb = spec.names().lb.as_str();
    let failure = Failure::failed(format!("HAProxy in `{lb}` ended as it was to reload"));
    match look::container(docker, lb) {
        Ok(Some(lb)) => autopsy::examine(docker, spec, &lb, failure),
        _ => failure,
    }
}

fn still_loading(run: &Run<'_>) -> Failure {
    let lb = &run.names().lb;
    let waited = text::seconds(run.patience.wait);
    Failure::failed(format!(
        "HAProxy in `{lb}` is still loading the new haproxy.cfg after {waited}"
    ))
    .hinted("names that resolve slowly make it take long: --wait gives it more time")
}

/// No proof is to be had: nothing can be executed in the load balancer, and its log does not tell. Where all that served
/// before still do, that is said; where instances are to leave, they stay: HAProxy may send to them.
fn unproved(run: &Run<'_>, leaving: bool) -> Result<(), Failure> {
    let lb = &run.names().lb;
    let what = format!(
        "`{lb}` was asked to reload; that it did could not be shown: nothing can be executed in it, and its log does not tell"
    );
    if leaving {
        return Err(Failure::failed(what)
            .hinted("`docker exec` has to work, or LB_IMG has to be HAProxy 2.0 or later, which tells in its log"));
    }
    run.ui.warn(&what);
    Ok(())
}

fn keep_apart(run: &Run<'_>) -> Result<(), Failure> {
    let last = run.workers().last_hup;
    if let Some(wait) = last.and_then(|last| APART.checked_sub(last.elapsed())) {
        run.sleep(wait);
    }
    run.check_interrupt()
}

/// Watches one signal: what was there before it, and what comes of it.
struct Watch<'a> {
    run: &'a Run<'a>,
    before: Before,
    /// What HAProxy loads already since this time, as an earlier command asked it to that gave up or was killed.
    under_way: Option<Moment>,
    /// HAProxy's last words before the signal.
    said: Vec<Line>,
}

impl<'a> Watch<'a> {
    fn begin(run: &'a Run<'a>, text: &str) -> Result<Self, Failure> {
        let look = ask(run, &[])?;
        if let Some(look) = look.as_ref().filter(|_| run.workers().mark.is_none()) {
            run.workers().note_left(&look.former());
        }
        let pid_file = match look {
            Some(_) => None,
            None => pid_file(run),
        };
        let lines = last_lines(run)?;
        let look_now = look.as_ref();
        let under_way = look_now.and_then(|look| reloaded::under_way(look, &lines.own));
        let before = Before {
            mark: lines.last,
            look,
            pid_file,
            answers: channel::is_named_in(text),
        };
        Ok(Self {
            run,
            before,
            under_way,
            said: lines.own,
        })
    }

    /// Of what HAProxy loads already, since `mark`: what that names nobody here knows.
    fn of_earlier(self, mark: Moment) -> Self {
        let before = Before {
            mark: Some(mark),
            answers: false,
            ..self.before
        };
        Self { before, ..self }
    }

    /// What became of the signal. As long as HAProxy is at work it gets the time that `--wait` gives.
    fn outcome(&self) -> Result<Verdict, Failure> {
        let started = Instant::now();
        let mut poll = self.run.poll(self.patience(), LOOK_EVERY);
        loop {
            let verdict = self.look()?;
            let patience = match &verdict {
                Verdict::InForce(_) | Verdict::Refused(_) | Verdict::Ended(_) => {
                    return Ok(verdict);
                }
                Verdict::Unheard | Verdict::Unknown => HEARD_WITHIN,
                Verdict::Loading => self.patience(),
            };
            if started.elapsed() >= patience {
                return Ok(verdict);
            }
            poll.pause()?;
        }
    }

    /// How long it may load: where it is known to take longer than --wait, it gets that, too, and half as much again.
    fn patience(&self) -> Duration {
        let wait = self.run.patience.wait.max(HEARD_WITHIN);
        let took = self.run.workers().loads_for;
        took.map_or(wait, |took| wait.max(took + took / 2))
    }

    fn look(&self) -> Result<Verdict, Failure> {
        let Self { run, .. } = *self;
        let former = self.before.look.as_ref().map(Look::listening);
        let (now, ended) = match &former {
            Some(former) => match asked(run, former)? {
                Asked::Told(now) => (now, false),
                Asked::Ended => (None, true),
            },
            None => (None, false),
        };
        let pid_file = self.before.pid_file.as_ref().and_then(|_| pid_file(run));
        let mut evidence = Evidence {
            before: self.before.look.as_ref(),
            now: now.as_ref(),
            pid_file: (self.before.pid_file.as_deref(), pid_file.as_deref()),
            said: &[],
            answers: self.before.answers,
            ended,
        };
        // Only a worker's own answer needs no words beside it.
        let first = reloaded::verdict(evidence);
        if self.before.answers && matches!(first, Verdict::InForce(_)) {
            return Ok(first);
        }
        let said = lb_log::read_log(run, self.before.mark)?;
        evidence.said = &said;
        Ok(reloaded::verdict(evidence))
    }

    /// Whether one that served before the signal is shown to do so still. Where nothing can be asked, HAProxy's word that it
    /// goes on has to do.
    fn goes_on(&self) -> Result<bool, Failure> {
        let Some(before) = &self.before.look else {
            return Ok(true);
        };
        Ok(match asked(self.run, &[])? {
            Asked::Told(now) => now.is_some_and(|now| reloaded::goes_on(before, &now)),
            Asked::Ended => false,
        })
    }

    fn note_success(&self, by: By) {
        let Self { run, .. } = *self;
        let lb = &run.names().lb;
        if by == By::Log {
            run.ui.status(&format!(
                "that {lb} took its haproxy.cfg rests on its log alone: nothing can be executed in it"
            ));
        }
        let former = self.before.look.as_ref().map(Look::listening);
        run.workers().succeed(&former.unwrap_or_default());
    }
}

/// What HAProxy's processes in the load balancer are; `None` where that can't be asked.
fn ask(run: &Run<'_>, former: &[Process]) -> Result<Option<Look>, Failure> {
    let lb = run.names().lb.as_str();
    ask::haproxy(&run.docker, lb, Question::Who, former).map_err(|error| not_asked(run, &error))
}

/// What came of asking a HAProxy that may have ended.
enum Asked {
    /// `None`: it can't be asked.
    Told(Option<Look>),
    Ended,
}

fn asked(run: &Run<'_>, former: &[Process]) -> Result<Asked, Failure> {
    let lb = run.names().lb.as_str();
    match ask::haproxy(&run.docker, lb, Question::Who, former) {
        Ok(look) => Ok(Asked::Told(look)),
        Err(error) if error.cause().is_some_and(Cause::is_not_running) => Ok(Asked::Ended),
        Err(error) => Err(not_asked(run, &error)),
    }
}

fn not_asked(run: &Run<'_>, error: &CallError) -> Failure {
    let lb = &run.names().lb;
    Failure::from_call(format!("HAProxy in `{lb}` could not be asked"), error)
}

/// The pid file of 1.7's wrapper.
fn pid_file(run: &Run<'_>) -> Option<String> {
    let lb = run.names().lb.as_str();
    let found = look::file_at(&run.docker, lb, haproxy::PID_FILE).ok()??;
    String::from_utf8(found).ok()
}

/// The last lines of the log before a signal.
struct Lines {
    /// The log's last time so far, in the endpoint's own clock; what comes later is the reload's.
    last: Option<Moment>,
    /// Those that are HAProxy's own.
    own: Vec<Line>,
}

fn last_lines(run: &Run<'_>) -> Result<Lines, Failure> {
    let log = lb_log::own_lines(run, &Range::last(TAIL), None)
        .map_err(|error| lb_log::not_read(run, &error))?;
    let (last, full) = (log.last(), log.read() >= TAIL);
    let own = log.in_order();
    if run.workers().mark.is_none() {
        let current = newest_worker(&own);
        let first = match current {
            None if full => first_signs(run)?,
            _ => Vec::new(),
        };
        let mut workers = run.workers();
        workers.mark = Some(last.unwrap_or(Moment::EARLIEST));
        workers.tells_of_ends = current.or_else(|| newest_worker(&first)).is_some();
    }
    Ok(Lines { last, own })
}

fn newest_worker(lines: &[Line]) -> Option<u32> {
    let mut lines = lines.iter().rev();
    lines.find_map(|line| log::new_worker(&line.text))
}

/// HAProxy's own lines from the beginning of the log to the first worker's: what this HAProxy tells of. None where that
/// can't be read.
fn first_signs(run: &Run<'_>) -> Result<Vec<Line>, Failure> {
    let mut own = Own::default();
    let read = lb_log::read_lines(run, &Range::since(None), |line| {
        let go_on = log::new_worker(&line.text).is_none();
        own.add(line);
        go_on
    });
    match read {
        Err(error) if error.concerns_every_call() => Err(lb_log::not_read(run, &error)),
        _ => Ok(own.in_order()),
    }
}

/// Waits until the workers from before this run's reloads are gone, those that earlier commands left included: they keep their
/// open connections, and their old list of servers.
pub fn drain(run: &Run<'_>) -> Result<(), Failure> {
    let mark = run.workers().mark;
    let mut poll = run.poll(run.patience.drain, LOOK_EVERY);
    run.check_interrupt()?;
    loop {
        let over = poll.is_over();
        let gone = match lb_log::log_since(run, mark) {
            Ok(lines) => run.workers().gone(&lines),
            Err(error) if error.concerns_every_call() => {
                return Err(lb_log::not_read(run, &error));
            }
            // Then it is as with a HAProxy that does not tell.
            Err(_) => None,
        };
        // Of those that other commands left the log may have told before this run read it.
        let gone = match gone {
            Some(false) if run.workers().were_left() => gone_by_processes(run)?.or(gone),
            None => gone_by_processes(run)?,
            told => told,
        };
        if gone == Some(true) {
            return Ok(());
        }
        if over {
            if gone == Some(false) {
                warn_of_clients(run);
            }
            return Ok(());
        }
        poll.pause()?;
    }
}

/// Says how many connections are cut, at most: whom former workers send to nobody tells.
fn warn_of_clients(run: &Run<'_>) {
    let lb = run.names().lb.as_str();
    let waited = text::seconds(run.patience.drain);
    let look = ask::haproxy(&run.docker, lb, Question::Open, &[]);
    let clients = look.ok().flatten().filter(|look| !look.open.is_empty());
    let clients = clients.map(|look| run.workers().clients(&look));
    run.ui.warn(&match clients {
        Some(0) | None => {
            format!("after {waited} {lb} still has connections to instances that leave (--drain)")
        }
        Some(count) => format!(
            "after {waited} (--drain) former workers of {lb} still have {}: those to instances that leave are cut",
            text::plural(usize::try_from(count).unwrap_or(usize::MAX), "connection")
        ),
    });
}

/// Where the log does not tell, as that of 1.7, the processes do.
fn gone_by_processes(run: &Run<'_>) -> Result<Option<bool>, Failure> {
    Ok(match asked(run, &[])? {
        Asked::Told(now) => now.and_then(|now| run.workers().gone_by(&now)),
        Asked::Ended => Some(true),
    })
}
