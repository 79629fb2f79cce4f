//! `logs`: a container's lines, from a time on, to a time, the last of them, or as they come.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::thread::sleep;
use std::time::Duration;

use crate::Ctx;
use crate::args::Parsed;
use crate::config::Config;
use crate::containers::LogLine;
use crate::reply::Reply;
use crate::{texts, times};

pub(crate) fn logs(ctx: &mut Ctx, call: &Parsed) -> Reply {
    let (store, config) = (&ctx.store, &ctx.config);
    let name = &call.operands[0];
    let Some(container) = store.container(name) else {
        return texts::no_such_container(config, name).reply();
    };
    let driver = container
        .other_flags
        .iter()
        .rev()
        .find(|(flag, _)| flag == "log-driver");
    if !config.is_vch() && driver.is_some_and(|(_, driver)| driver == "none") {
        return Reply::error(
            "Error response from daemon: configured logging driver does not support reading",
            1,
        );
    }
    let mut bounds = [0, u64::MAX];
    for (flag, bound) in ["since", "until"].into_iter().zip(&mut bounds) {
        if let Some(text) = call.value(flag) {
            let Some(ns) = times::parse(text) else {
                return Reply::error(
                    &format!(
                        "invalid value for \"{flag}\": failed to parse value as time or duration: \"{text}\""
                    ),
                    1,
                );
            };
            // A VCH knows seconds only.
            *bound = if config.is_vch() {
                ns / times::SECOND * times::SECOND
            } else {
                ns
            };
        }
    }
    let [since, until] = bounds;
    let tail = call
        .value("tail")
        .and_then(|tail| tail.parse::<usize>().ok());
    let stamps = call.on("timestamps");

    let now = times::now();
    // By place, not by time: a line may be kept a little after the time that it bears.
    let mut seen: BTreeSet<usize> = (0..container.logs.len())
        .filter(|&at| container.logs[at].ns <= now)
        .collect();
    let mut lines = due(&container.logs, since, until.min(now));
    if let Some(tail) = tail {
        lines = lines.split_off(lines.len().saturating_sub(tail));
    }
    let mut reply = Reply::default();
    show(&lines, stamps, config, &mut reply);
    if !call.on("follow") {
        return reply;
    }
    // Followed: what comes is written at once, so not by way of the reply.
    loop {
        let _ = io::stdout().write_all(&reply.stdout);
        let _ = io::stderr().write_all(&reply.stderr);
        if io::stdout().flush().is_err() {
            return Reply::default();
        }
        reply = Reply::default();
        let Some(container) = store.container(&container.id) else {
            return reply;
        };
        let now = times::now();
        let new: Vec<&LogLine> = container
            .logs
            .iter()
            .enumerate()
            .filter(|(at, line)| line.ns <= until.min(now) && seen.insert(*at))
            .map(|(_, line)| line)
            .collect();
        show(&new, stamps, config, &mut reply);
        if !container.running() || now > until {
            return reply;
        }
        sleep(Duration::from_millis(15));
    }
}

/// The lines of a stretch of time, in its order.
fn due(lines: &[LogLine], since: u64, until: u64) -> Vec<&LogLine> {
    let mut due: Vec<&LogLine> = lines
        .iter()
        .filter(|line| since <= line.ns && line.ns <= until)
        .collect();
    due.sort_by_key(|line| line.ns);
    due
}

fn show(lines: &[&LogLine], stamps: bool, config: &Config, reply: &mut Reply) {
    for line in lines {
        let text = if stamps {
            format!("{} {}", times::rfc3339(line.ns), line.text)
        } else {
            line.text.clone()
        };
        // A VCH has one stream.
        if line.stderr && !config.is_vch() {
            reply.err(&text);
        } else {
            reply.out(&text);
        }
    }
}
