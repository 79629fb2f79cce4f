//! Whether a configuration that HAProxy was asked to load is in force. The one place for this rule. Pure.
//!
//! In force means that a process that was not there before the signal serves, and that none of those from before takes
//! connections any more. A worker takes its place only once everything is bound, and only then are the former ones told to
//! give up the sockets that they listen on (while a new one tries to bind, they pause, but keep them). So these are the
//! facts that are asked for, in the kernel and on the runtime socket (`channel`). Time proves nothing: a refusal shows after
//! 2 to 3 s, and names may take as long as they like to resolve.
//!
//! HAProxy's log is for its words, for early refusals and for signs that it is still at work. Only where nothing can be
//! executed in the load balancer does it have to do, and only where HAProxy states there that it took the configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::channel::{Look, Process, Standing, TICKS};
use super::{Config, log};
use crate::moment::Moment;
use crate::service::names::Number;

/// What there is to judge by.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    /// What was found just before the signal.
    pub before: Option<&'a Look>,
    /// What is found now.
    pub now: Option<&'a Look>,
    /// The pid file of 1.7's wrapper before and now, where nothing else can be asked.
    pub pid_file: (Option<&'a str>, Option<&'a str>),
    /// HAProxy's own lines in its log since the signal, where it was read.
    pub said: &'a [log::Line],
    /// Whether the new configuration names the runtime socket: then its worker has to answer there.
    pub answers: bool,
    /// Whether the load balancer does not run any more.
    pub ended: bool,
}

/// What became of a signal, as far as it shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    InForce(By),
    /// HAProxy goes on with its former configuration, and says why.
    Refused(Vec<String>),
    /// HAProxy ended, and said this: 2.0.0 and some of 2.4 and 2.5 can't go on after a configuration that they refuse.
    Ended(Vec<String>),
    /// HAProxy heard the signal and is not at its end.
    Loading,
    /// Nothing shows that HAProxy heard it: the former worker serves as before.
    Unheard,
    /// It was heard, but nothing can show what became of it.
    Unknown,
}

/// Who says that it is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The processes in the load balancer themselves.
    Look,
    /// The pid file of 1.7's wrapper: written once everything is bound.
    PidFile,
    /// HAProxy's log alone.
    Log,
}

pub fn verdict(evidence: Evidence<'_>) -> Verdict {
    let said = || evidence.said.iter().map(|line| line.text.as_str());
    let alerts: Vec<String> = log::alerts(said()).into_iter().map(str::to_owned).collect();
    let failed = said().any(log::says_failed);
    let begun = said().any(log::begun);
    if evidence.ended {
        return Verdict::Ended(alerts);
    }
    let Some((before, now)) = evidence.before.zip(evidence.now) else {
        let (was, is) = evidence.pid_file;
        return if was.is_some() && is.is_some_and(|is| !is.trim().is_empty()) && was != is {
            Verdict::InForce(By::PidFile)
        } else if failed || (!alerts.is_empty() && !said().any(log::says_in_force)) {
            Verdict::Refused(alerts)
        } else if said().any(log::says_in_force) {
            Verdict::InForce(By::Log)
        } else if begun {
            Verdict::Unknown
        } else {
            Verdict::Unheard
        };
    };
    let new: Vec<&Process> = now
        .processes
        .iter()
        .filter(|process| !before.has(process.id))
        .collect();
    if serves(&evidence, before, now, &new) && !still_listens(before, now) {
        return Verdict::InForce(By::Look);
    }
    // 1.7 has no words for that it failed but an alert, and the process that failed is gone.
    let wrapped = said().any(log::is_wrappers);
    if failed || (wrapped && !alerts.is_empty() && new.is_empty()) {
        Verdict::Refused(alerts)
    } else if begun || !new.is_empty() || loads_itself(before, now) {
        Verdict::Loading
    } else {
        Verdict::Unheard
    }
}

/// Whether one of the `new` processes serves.
fn serves(evidence: &Evidence<'_>, before: &Look, now: &Look, new: &[&Process]) -> bool {
    if evidence.answers && !now.mute {
        let stopping = now.info.as_ref().is_some_and(|info| info.stopping);
        return now.answering().is_some_and(|id| !before.has(id)) && !stopping;
    }
    let mut said = evidence.said.iter().map(|line| line.text.as_str());
    // From 3.1 on a worker is there before it has bound anything.
    let is_on_its_way = said.clone().any(log::initializes) && !said.any(log::says_loaded);
    !is_on_its_way && new.iter().any(|process| process.listens() == Some(true))
}

/// Whether one from before has not given up the sockets that it listened on.
fn still_listens(before: &Look, now: &Look) -> bool {
    before.listening().iter().any(|former| {
        let same = now.processes.iter().find(|process| process.id == former.id);
        same.is_some_and(|same| match (&same.sockets, &former.sockets) {
            (Some(held), Some(listened)) => !held.is_disjoint(listened),
            _ => true,
        })
    })
}

/// Whether one from before is there that holds the sockets that it listened on: it serves.
pub fn goes_on(before: &Look, now: &Look) -> bool {
    before.listening().iter().any(|former| {
        let same = now.processes.iter().find(|process| process.id == former.id);
        let held = same.and_then(|same| same.sockets.as_ref());
        held.zip(former.sockets.as_ref())
            .is_some_and(|(held, listened)| !held.is_disjoint(listened))
    })
}

/// Whether the master itself reads the configuration, as that of 1.8 to 3.0 does: it was executed again, with the worker
/// from before on its command line (`-sf 8`). One that an earlier reload left there tells nothing.
fn loads_itself(before: &Look, now: &Look) -> bool {
    let was_executed_again = |process: &Process| {
        let mut former = before.processes.iter();
        former.any(|former| former.id == process.id && former.command != process.command)
    };
    let mut executed_again = now.processes.iter().filter(|it| was_executed_again(it));
    executed_again.any(|process| relieves(process, &before.listening()))
}

/// Whether a process was told to take the place of one of `workers`: `-sf 8` or `-sf 8 -x sockpair@3`.
fn relieves(process: &Process, workers: &[Process]) -> bool {
    let words = process.command.split(' ');
    let pids = words.skip_while(|word| *word != "-sf").skip(1);
    let mut pids = pids.filter_map(|word| word.parse::<u32>().ok());
    pids.any(|pid| workers.iter().any(|worker| worker.id.pid == pid))
}

/// Whether HAProxy still loads what it was asked to before, by its log and its processes: the log's time just before that
/// began.
pub fn under_way(look: &Look, said: &[log::Line]) -> Option<Moment> {
    let loaded = said.iter().rposition(|line| log::says_in_force(&line.text));
    let said = &said[loaded.map_or(0, |at| at + 1)..];
    let failed = |line: &log::Line| log::says_failed(&line.text);
    // A master that goes on after a failure is executed once more, and says that, too.
    let goes_on = |at: usize| at > 0 && failed(&said[at - 1]);
    let asked: Vec<usize> = (0..said.len())
        .filter(|at| log::hears(&said[*at].text) && !goes_on(*at))
        .collect();
    if asked.len() <= said.iter().filter(|line| failed(line)).count() {
        return None;
    }
    // What 1.8 has loaded it never says, but then the one that was to be relieved listens no more.
    let mut processes = look.processes.iter();
    let relieves = processes.any(|process| relieves(process, &look.listening()));
    let initializes = said.iter().any(|line| log::initializes(&line.text));
    let last = asked.last()?;
    let earlier = last.checked_sub(1).and_then(|at| said.get(at));
    let earlier = earlier.map_or(Moment::EARLIEST, |line| line.time);
    (relieves || initializes).then_some(earlier)
}

/// A log's time may be another machine's than that of the processes.
const CLOCKS_DIFFER_BY: Duration = Duration::from_secs(2);

/// Whether HAProxy was asked to reload, and did so, within the last `elapsed`: one that takes connections is no older, and by
/// the log it was not asked to before that. Times of one clock each, and none of ours.
pub fn reloaded_within(look: &Look, said: &[log::Line], elapsed: Duration) -> bool {
    let listening = look.listening();
    let starts = listening.iter().map(|process| process.id.start);
    let Some((clock, newest)) = look.clock.zip(starts.max()) else {
        return false;
    };
    // Both are cut to whole ticks: it is at most so old.
    let age = clock.up.saturating_sub(newest).saturating_add(1);
    if Duration::from_millis(age.saturating_mul(1_000 / TICKS)) >= elapsed {
        return false;
    }
    let mut said = said.iter().rev();
    let heard = said.find(|line| log::hears(&line.text));
    let asked_before = heard
        .zip(clock.now)
        .is_some_and(|(heard, now)| now.since(heard.time) > elapsed + CLOCKS_DIFFER_BY);
    !asked_before
}

/// A file is put there a moment before it is loaded; the times are whole seconds of two clocks.
const BEFOREHAND: i64 = 2;

/// Whether the files were put there after the worker that answers had been started: it may have loaded others, that no change
/// of its servers shows. One that was put back because HAProxy refused another one is such a file, too.
pub fn written_later(look: &Look) -> bool {
    let worker = look.info.as_ref().and_then(|info| {
        let mut all = look.processes.iter();
        all.find(|process| process.id.pid == info.pid)
    });
    let Some((worker, files)) = worker.zip(look.files) else {
        return false;
    };
    let started = i64::try_from(worker.id.start / TICKS).unwrap_or(i64::MAX);
    files.age + BEFOREHAND < files.uptime.saturating_sub(started)
}

/// What HAProxy makes of each server of ours, by its number: of several proxies that have it the one that is worst off.
pub fn servers(look: &Look) -> BTreeMap<Number, Standing> {
    let mut servers: BTreeMap<Number, Standing> = BTreeMap::new();
    for ((_, server), standing) in &look.rows {
        let digits = server.strip_prefix("server").unwrap_or_default();
        let Ok(number) = digits.parse::<Number>() else {
            continue;
        };
        let is_worse =
            |known: &Standing| !known.is_down() && (standing.is_down() || standing.is_out());
        if !standing.status.is_empty() && servers.get(&number).is_none_or(is_worse) {
            servers.insert(number, standing.clone());
        }
    }
    servers
}

/// Whether the worker that answers is known to run something else than `config`, the file that lies beside it: it has other
/// servers, or another statistics page. That somebody else has changed values only does not show.
pub fn runs_another(config: &Config, look: &Look) -> bool {
    let Some(info) = look.info.as_ref().filter(|_| !look.rows.is_empty()) else {
        return false;
    };
    let servers: BTreeSet<String> = look
        .rows
        .keys()
        .filter(|(_, server)| server != "FRONTEND" && server != "BACKEND")
        .map(|(_, server)| server.clone())
        .collect();
    let in_file: BTreeSet<String> = config
        .numbers()
        .iter()
        .map(|number| format!("server{number}"))
        .collect();
    let has_page = look.rows.keys().any(|(proxy, _)| proxy == "stats");
    let own = config.template.is_some();
    let other_page = !own && has_page != config.tuning.stats_port.is_some();
    // Those of an own template that are called otherwise are its own business.
    let other_servers = if own {
        !in_file.is_subset(&servers)
    } else {
        in_file != servers
    };
    !info.stopping && (other_servers || other_page)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::haproxy::channel;
    use crate::service::tests::spec;

    /// What the script prints of these processes: `PID START SOCKETS`, and of the one that answers.
    fn look(processes: &[&str], answers: Option<u32>) -> Look {
        let mut text = String::new();
        for process in processes {
            let words: Vec<&str> = process.splitn(4, ' ').collect();
            let command = words.get(3).unwrap_or(&"haproxy");
            let [pid, start, sockets] = [words[0], words[1], words[2]];
            let _ = writeln!(text, "process {pid} 1 {start} {sockets} {command}");
        }
        if let Some(pid) = answers {
            let _ = writeln!(
                text,
                "said Version: 2.6.12\nsaid Pid: {pid}\nsaid Stopping: 0"
            );
        }
        channel::answer(&(text + "whole\n")).unwrap()
    }

    fn lines(texts: &[&str]) -> Vec<log::Line> {
        let line = |text: &&str| log::line(&format!("2026-11-27T21:35:12.157518088Z {text}"));
        texts.iter().filter_map(line).collect()
    }

    /// The wrapper of 1.7, its worker 9.
    fn old_1_7() -> Look {
        look(&["1 10 none", "8 20 none", "9 21 none,100"], None)
    }

    /// Master and worker 8 from 1.8 on.
    fn old(answers: bool) -> Look {
        look(&["1 10 none", "8 20 none,100"], answers.then_some(8))
    }

    #[track_caller]
    fn judged(before: &Look, now: &Look, said: &[&str], answers: bool) -> Verdict {
        verdict(Evidence {
            before: Some(before),
            now: Some(now),
            pid_file: (None, None),
            said: &lines(said),
            answers,
            ended: false,
        })
    }

    const EXECUTING: [&str; 2] = [
        "<5>haproxy-systemd-wrapper: re-executing on SIGHUP.",
        "<7>haproxy-systemd-wrapper: executing /usr/local/sbin/haproxy -p /run/haproxy.pid -db -f x -Ds -sf 9",
    ];
    const CANNOT_BIND: &str = "[ALERT] 330/213512 (30) : Starting frontend elsewhere: cannot bind socket [10.99.99.99:81]";
    const IN_FORCE: Verdict = Verdict::InForce(By::Look);

    fn refused(alerts: &[&str]) -> Verdict {
        Verdict::Refused(alerts.iter().map(|&alert| alert.to_owned()).collect())
    }

    #[test]
    fn a_new_worker_that_serves_alone_is_in_force() {
        for now in [
            // The old one is gone, or goes on with its connections.
            look(&["1 10 none", "20 30 none,100"], Some(20)),
            look(&["1 10 none", "8 20 none", "20 30 none,100"], Some(20)),
            // Its process ID was used again.
            look(&["1 10 none", "8 31 none,100"], Some(8)),
        ] {
            assert_eq!(judged(&old(true), &now, &[], true), IN_FORCE, "{now:?}");
            assert_eq!(judged(&old(false), &now, &[], false), IN_FORCE, "{now:?}");
        }
        let now = look(&["1 10 none", "28 30 none", "29 31 none,101"], None);
        assert_eq!(judged(&old_1_7(), &now, &EXECUTING, false), IN_FORCE);
        // 2.4 says so after a refused reload, and loads all the same.
        let now = look(&["1 10 none", "20 30 none,100"], Some(20));
        let alert = "[ALERT]    (1) : Failed to get the sockets from the old process!";
        assert_eq!(judged(&old(true), &now, &[alert], true), IN_FORCE);
    }

    #[test]
    fn as_long_as_the_old_one_takes_connections_it_is_not_in_force() {
        // 2.2: the new one answers, and the old one accepts still.
        let now = look(&["1 10 none", "8 20 none,100", "20 30 none,100"], Some(20));
        let said = ["[NOTICE] 330/210338 (1) : New worker #1 (18) forked"];
        assert_eq!(judged(&old(true), &now, &said, true), Verdict::Loading);
        // What can't be read proves nothing.
        let now = look(&["1 10 none", "8 20 unknown", "20 30 none,100"], Some(20));
        assert_eq!(judged(&old(true), &now, &said, true), Verdict::Loading);
        // A new one that waits for its turn at the socket.
        let now = look(&["1 10 none", "20 30 none,100"], None);
        assert_eq!(judged(&old(true), &now, &[], true), Verdict::Loading);
        // There is nothing in the image to ask it with.
        let mute = Look { mute: true, ..now };
        assert_eq!(judged(&old(true), &mute, &[], true), IN_FORCE);
    }

    #[test]
    fn slow_names_are_waited_for() {
        let before = old(true);
        for (said, now) in [
            (&["[NOTICE]   (1) : Reloading HAProxy"][..], old(true)),
            (
                &[
                    "[NOTICE]   (1) : Reloading HAProxy",
                    "[NOTICE]   (1) : Initializing new worker (17)",
                ],
                look(&["1 10 none", "8 20 none,100", "17 30 none"], Some(8)),
            ),
            (
                &["[WARNING] 330/204235 (1) : Reexecuting Master process"],
                old(true),
            ),
            // The log comes late, but the command line tells.
            (
                &[],
                look(
                    &["1 10 none haproxy -sf 8 -x s -W", "8 20 none,100"],
                    Some(8),
                ),
            ),
        ] {
            assert_eq!(
                judged(&before, &now, said, true),
                Verdict::Loading,
                "{said:?}"
            );
        }
        // One that is there already but tries to bind: the old one pauses, and keeps its socket.
        let now = look(&["1 10 none", "8 20 none,100", "17 30 none,107"], None);
        assert_eq!(judged(&before, &now, &[], false), Verdict::Loading);
        let now = look(
            &["1 10 none", "8 20 none", "9 21 none,100", "28 30 none,102"],
            None,
        );
        assert_eq!(
            judged(&old_1_7(), &now, &EXECUTING, false),
            Verdict::Loading
        );
    }

    #[test]
    fn what_nobody_heard_is_told_from_what_is_under_way() {
        assert_eq!(judged(&old(true), &old(true), &[], true), Verdict::Unheard);
        // From an earlier reload.
        for earlier in ["haproxy -sf 5 -W", "haproxy -sf 8 -x sockpair@3 -W"] {
            let before = look(&[&format!("1 10 none {earlier}"), "8 20 none,100"], Some(8));
            assert_eq!(judged(&before, &before, &[], true), Verdict::Unheard);
        }
        // An alert of the one that serves is not about a reload.
        let alert = "[ALERT]    (8) : sendmsg()/writev() failed in logger #1";
        assert_eq!(
            judged(&old(true), &old(true), &[alert], true),
            Verdict::Unheard
        );
    }

    #[test]
    fn a_reload_came_meanwhile_whose_worker_is_surely_younger_and_that_was_not_asked_for_before() {
        let found = |up: &str, sockets: &str| {
            let processes = format!("process 1 0 10 none x\nprocess 8 1 100000 {sockets} x\n");
            channel::answer(&format!("{processes}{up}whole\n")).unwrap()
        };
        let ms = Duration::from_millis;
        // 2026-11-27T21:35:30Z
        let look = found("up 1005.00 1795815330\n", "none,100");
        assert!(reloaded_within(&look, &[], ms(5_011)));
        assert!(!reloaded_within(&look, &[], ms(5_010)));
        // It was asked 17.8 s ago, and loaded for so long.
        let asked = lines(&["[WARNING] 330/213512 (1) : Reexecuting Master process"]);
        for (elapsed, meanwhile) in [(6_000, false), (15_800, false), (15_900, true)] {
            assert_eq!(reloaded_within(&look, &asked, ms(elapsed)), meanwhile);
        }
        // The time is not told, and one that takes no connections.
        assert!(!reloaded_within(&found("", "none,100"), &[], ms(9_000)));
        assert!(!reloaded_within(
            &found("up  5\n", "none,100"),
            &[],
            ms(9_000)
        ));
        let idle = found("up 1005.00 1795815330\n", "none");
        assert!(!reloaded_within(&idle, &[], ms(9_000)));
        let unclear = found("up 1005.00 \n", "none,100");
        assert!(reloaded_within(&unclear, &asked, ms(6_000)));
    }

    #[test]
    fn what_is_still_loaded_for_somebody_else_is_known() {
        let relieving = look(
            &["1 10 none haproxy -sf 8 -x s -W", "8 20 none,100"],
            Some(8),
        );
        let relieved = look(
            &["1 10 none haproxy -sf 8 -x s -W", "20 30 none,100"],
            Some(20),
        );
        let (executes, forked) = (
            "[WARNING] 330/204235 (1) : Reexecuting Master process",
            "[NOTICE] 330/204230 (1) : New worker #1 (8) forked",
        );
        let waits = "[WARNING] 330/204235 (1) : Reexecuting Master process in waitpid mode";
        let reloads = "[NOTICE]   (1) : Reloading HAProxy";
        let initializes = "[NOTICE]   (1) : Initializing new worker (17)";
        let loaded = "[NOTICE]   (1) : Loading success.";
        for (look, said, loads) in [
            (&relieving, &[forked, executes][..], true),
            (&relieving, &[executes], true),
            (&relieving, &[loaded, reloads], true),
            (
                &old(true),
                &[initializes, loaded, reloads, initializes],
                true,
            ),
            // 1.8, which never says that it is done.
            (&relieved, &[executes], false),
            (&relieving, &[forked], false),
            // Refused: the command line stays.
            (&relieving, &[forked, CANNOT_BIND, waits, executes], false),
            (
                &relieving,
                &[forked, executes, CANNOT_BIND, waits, executes],
                false,
            ),
            (
                &relieving,
                &[forked, executes, CANNOT_BIND, waits, executes, executes],
                true,
            ),
            (
                &relieving,
                &[loaded, reloads, "[WARNING]  (1) : Loading failure!"],
                false,
            ),
            (
                &old(true),
                &[
                    loaded,
                    reloads,
                    initializes,
                    "[WARNING]  (1) : Failed to load worker (17) exited",
                ],
                false,
            ),
            (&old(true), &[loaded, reloads, initializes, loaded], false),
            (&relieving, &[], false),
        ] {
            assert_eq!(under_way(look, &lines(said)).is_some(), loads, "{said:?}");
        }
    }

    #[test]
    fn refusals_of_every_series_are_known() {
        let alert = "[ALERT]    (1) : Binding [x:21] for frontend stats: cannot bind socket (Permission denied) for [0.0.0.0:90]";
        for said in [
            &[
                CANNOT_BIND,
                "[WARNING] 330/213138 (1) : Reexecuting Master process in waitpid mode",
                "[WARNING] 330/213138 (1) : Reexecuting Master process",
            ][..],
            &[
                "[NOTICE]   (1) : Reloading HAProxy",
                "[WARNING]  (7) : Paused frontend http-in.",
                alert,
                "[WARNING]  (1) : Loading failure!",
            ],
            &[
                "[NOTICE]   (1) : Initializing new worker (18)",
                alert,
                "[WARNING]  (1) : Failed to load worker (18) exited with code 1 (Exit)",
            ],
        ] {
            let alerts: Vec<&str> = said
                .iter()
                .copied()
                .filter(|line| line.contains("ALERT"))
                .collect();
            assert_eq!(
                judged(&old(true), &old(true), said, true),
                refused(&alerts),
                "{said:?}"
            );
        }
        let said = [CANNOT_BIND, EXECUTING[0], EXECUTING[1]];
        assert_eq!(
            judged(&old_1_7(), &old_1_7(), &said, false),
            refused(&[CANNOT_BIND])
        );
        // As long as it is there, it may try again.
        let trying = look(
            &["1 10 none", "8 20 none", "9 21 none,100", "30 30 none"],
            None,
        );
        assert_eq!(judged(&old_1_7(), &trying, &said, false), Verdict::Loading);
        // 3.1 and later without the socket: bound in part.
        let now = look(&["1 10 none", "18 30 none,101"], None);
        let said = ["[NOTICE]   (1) : Initializing new worker (18)"];
        assert_eq!(judged(&old(false), &now, &said, false), Verdict::Loading);
        let said = [said[0], "[NOTICE]   (1) : Loading success."];
        assert_eq!(judged(&old(false), &now, &said, false), IN_FORCE);
    }

    #[test]
    fn one_that_ended_did_not_take_it() {
        let before = old(true);
        for now in [None, Some(&before)] {
            for (said, alerts) in [
                (&[CANNOT_BIND][..], vec![CANNOT_BIND.to_owned()]),
                (&[], vec![]),
            ] {
                let evidence = Evidence {
                    before: Some(&before),
                    now,
                    pid_file: (None, None),
                    said: &lines(said),
                    answers: true,
                    ended: true,
                };
                assert_eq!(verdict(evidence), Verdict::Ended(alerts));
            }
        }
    }

    #[test]
    fn one_goes_on_that_is_there_with_its_sockets() {
        let before = old(true);
        for (now, on) in [
            (look(&["1 10 none", "8 20 none,100"], Some(8)), true),
            // Something else has its process ID, its sockets are gone, or can't be read.
            (look(&["1 10 none", "8 31 none,100"], Some(8)), false),
            (look(&["1 10 none", "8 20 none,107"], Some(8)), false),
            (look(&["1 10 none", "8 20 none"], None), false),
            (look(&["1 10 none", "8 20 unknown"], None), false),
            (look(&["1 10 none"], None), false),
        ] {
            assert_eq!(goes_on(&before, &now), on, "{now:?}");
        }
    }

    #[test]
    fn where_nothing_can_be_asked_haproxys_own_statement_has_to_do() {
        let told = |said: &[&str], pid_file| {
            verdict(Evidence {
                before: None,
                now: None,
                pid_file,
                said: &lines(said),
                answers: true,
                ended: false,
            })
        };
        let (none, by_log) = ((None, None), Verdict::InForce(By::Log));
        assert_eq!(told(&["[NOTICE]   (1) : Loading success."], none), by_log);
        assert_eq!(
            told(
                &["[NOTICE] 330/211211 (1) : New worker #1 (15) forked"],
                none
            ),
            by_log
        );
        // A beginning is no success, whichever time passes.
        assert_eq!(
            told(&["[NOTICE]   (1) : Initializing new worker (18)"], none),
            Verdict::Unknown
        );
        assert_eq!(
            told(
                &["[WARNING] 330/204235 (1) : Reexecuting Master process"],
                none
            ),
            Verdict::Unknown
        );
        assert_eq!(told(&EXECUTING, none), Verdict::Unknown);
        assert_eq!(told(&[], none), Verdict::Unheard);
        assert_eq!(told(&[CANNOT_BIND], none), refused(&[CANNOT_BIND]));
        // 1.7's wrapper has a file that tells.
        let by_file = Verdict::InForce(By::PidFile);
        assert_eq!(told(&EXECUTING, (Some("9\n"), Some("29\n"))), by_file);
        assert_eq!(
            told(&EXECUTING, (Some("9\n"), Some("9\n"))),
            Verdict::Unknown
        );
        assert_eq!(told(&EXECUTING, (Some("9\n"), Some(""))), Verdict::Unknown);
    }

    #[test]
    fn a_file_that_is_younger_than_the_worker_may_not_be_the_one_that_it_loaded() {
        // The worker has run for 100 s.
        for (files, later) in [
            ("files 10 1100\n", true),
            ("files 97 1100\n", true),
            ("files 98 1100\n", false),
            ("files 100 1100\n", false),
            ("files 5000 1100\n", false),
            ("files ? 1100\n", false),
            ("", false),
        ] {
            let text = format!(
                "process 8 1 100000 none haproxy\nsaid Version: 2.6.12\nsaid Pid: 8\nsaid Stopping: 0\n{files}whole\n"
            );
            assert_eq!(
                written_later(&channel::answer(&text).unwrap()),
                later,
                "{files}"
            );
        }
    }

    #[test]
    fn a_server_of_several_proxies_is_as_the_worst_of_them() {
        let row = |proxy: &str, server: &str, status: &str| {
            let standing = Standing {
                status: status.into(),
                check: None,
            };
            ((proxy.to_owned(), server.to_owned()), standing)
        };
        let look = Look {
            rows: [
                row("a", "server1", "up"),
                row("a", "server2", "down"),
                row("b", "server1", "down 1/2"),
                row("b", "server2", "up"),
                row("b", "BACKEND", "up"),
                row("b", "other", "down"),
                row("b", "server3", ""),
            ]
            .into(),
            ..Look::default()
        };
        let servers = servers(&look);
        let down: Vec<_> = servers.iter().map(|(n, it)| (*n, it.is_down())).collect();
        assert_eq!(down, [(1, true), (2, true)]);
    }

    #[test]
    fn what_haproxy_runs_is_compared_with_its_file() {
        let runs = |rows: &[(&str, &str)]| Look {
            rows: rows
                .iter()
                .map(|(p, s)| {
                    (
                        ((*p).to_owned(), (*s).to_owned()),
                        channel::Standing::default(),
                    )
                })
                .collect(),
            ..look(&["8 20 none,100"], Some(8))
        };
        let both = [
            ("http-in", "FRONTEND"),
            ("servers", "BACKEND"),
            ("servers", "server1"),
            ("servers", "server2"),
        ];
        let page = [&both[..], &[("stats", "FRONTEND")]].concat();
        let config =
            |given: &[(&str, &str)], numbers: &[u32]| Config::by_name(&spec(given), numbers);
        for (config, rows, another) in [
            (config(&[], &[1, 2]), &both[..], false),
            (config(&[], &[1]), &both, true),
            (config(&[], &[1, 2, 3]), &both, true),
            (config(&[("STATS_PORT", "90")], &[1, 2]), &both, true),
            (config(&[("STATS_PORT", "90")], &[1, 2]), &page, false),
            (config(&[], &[1, 2]), &page, true),
            // Nothing was said.
            (config(&[], &[1]), &[], false),
        ] {
            assert_eq!(
                runs_another(&config, &runs(rows)),
                another,
                "{config:?} {rows:?}"
            );
        }
        let own = Config {
            template: Some("…".into()),
            ..config(&[], &[1])
        };
        assert!(!runs_another(&own, &runs(&page)));
        let own = Config {
            template: Some("…".into()),
            ..config(&[], &[1, 9])
        };
        assert!(runs_another(&own, &runs(&page)));
    }
}
