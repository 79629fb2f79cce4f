//! `vch-lb logs`: the logs of all containers merged, each line behind its container's name.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc;
use std::thread;

use super::Context;
use crate::cli::LogsArgs;
use crate::docker::cause::Cause;
use crate::docker::spawn::Piece;
use crate::docker::{CallError, Docker, argv};
use crate::error::{Failure, exit, printable};
use crate::haproxy::log::{self, Line};
use crate::inventory::Inventory;
use crate::look::{self, Detail, Wanted};
use crate::moment::Moment;
use crate::service::{Service, running};
use crate::text::list;
use crate::ui::LogLine;

/// How much is kept to be brought into the order of time.
const KEPT: usize = 64 << 20;

pub(super) fn logs(context: &Context<'_>, args: &LogsArgs) -> Result<u8, Failure> {
    let docker = context.docker()?;
    context.listen()?;
    let service = Service::from_settings(&context.settings)?;
    let wanted = Wanted {
        detail: Detail::Containers,
        ..Wanted::of(&service)
    };
    let inventory = look::look(&docker, wanted)?;
    let names = chosen(&inventory, &args.names)?;
    if names.is_empty() {
        return Err(running::absent(&service.names, &inventory.endpoint));
    }
    if args.follow {
        follow(context, &docker, args, &names)?;
        // Ctrl-C is how following ends: it needs no words.
        return Ok(context.interrupt.exit_code().unwrap_or(exit::DONE));
    }
    merged(context, &docker, args, &names)?;
    Ok(exit::DONE)
}

/// The containers whose logs are wanted: those that were named, or all.
fn chosen(inventory: &Inventory, named: &[String]) -> Result<Vec<String>, Failure> {
    let all: Vec<String> = inventory
        .lb
        .iter()
        .chain(inventory.instances.values())
        .map(|container| container.name.clone())
        .collect();
    match named.iter().find(|name| !all.contains(name)) {
        Some(stranger) => Err(Failure::failed(format!(
            "`{stranger}` is no container of this service"
        ))
        .hinted(format!("there are {}", list(&all)))),
        None if named.is_empty() => Ok(all),
        None => Ok(named.to_vec()),
    }
}

/// What is there, in the order of the endpoint's clock.
fn merged(
    context: &Context<'_>,
    docker: &Docker,
    args: &LogsArgs,
    names: &[String],
) -> Result<(), Failure> {
    let mut merged = Merged::new(KEPT);
    let mut without = 0;
    for (index, name) in names.iter().enumerate() {
        let argv = argv::logs(name, &args.range(), true, false);
        let mut timed = Timed::default();
        let read = docker.query_lines(&argv, |piece| {
            if let Some(line) = timed.line(piece) {
                merged.add(index, line);
            }
            true
        });
        match read {
            Ok(()) => {}
            // The others have theirs.
            Err(error) if keeps_none(&error) && without + 1 < names.len() => {
                without += 1;
                context.ui.warn(&no_log(name));
            }
            Err(error) => {
                let what = format!("the log of `{name}` could not be read");
                return Err(Failure::from_call(what, &error));
            }
        }
    }
    if let Some(time) = &merged.cut {
        context.ui.warn(&format!(
            "only the last {} MiB are shown, what was logged after {time}; --since and --tail ask for less",
            KEPT >> 20
        ));
    }
    let width = width(names);
    for ((time, _), (index, text)) in merged.lines {
        let text = if args.timestamps {
            format!("{} {text}", time.with_nanoseconds())
        } else {
            text
        };
        if !context.ui.log_line(&LogLine {
            name: &names[index],
            index,
            width,
            text: &printable(&text),
        }) {
            break;
        }
    }
    Ok(())
}

/// Whether the endpoint keeps no log of a container.
fn keeps_none(error: &CallError) -> bool {
    error.cause() == Some(Cause::NoLog)
}

fn no_log(name: &str) -> String {
    format!(
        "the endpoint keeps no log of `{name}` that it could show: its logging driver is another one"
    )
}

/// One container's lines with their times, as they come.
#[derive(Default)]
struct Timed {
    /// Of the line that is being read, by stream.
    times: [Option<Moment>; 2],
}

impl Timed {
    /// Each part of a long line is a line of its own here, at that line's time.
    fn line(&mut self, piece: Piece) -> Option<Line> {
        let time = &mut self.times[piece.stream as usize];
        if piece.begins {
            let line = log::line(&piece.text);
            *time = line.as_ref().map(|line| line.time);
            return line;
        }
        let (time, text) = ((*time)?, piece.text);
        Some(Line { time, text })
    }
}

/// The lines of several containers in the order of their times: the last of them, if they are too many.
struct Merged {
    /// By time, and by when they came: the container's place, and the text.
    lines: BTreeMap<(Moment, usize), (usize, String)>,
    came: usize,
    bytes: usize,
    limit: usize,
    /// Nothing that was logged until then is here.
    cut: Option<Moment>,
}

impl Merged {
    fn new(limit: usize) -> Self {
        Self {
            lines: BTreeMap::new(),
            came: 0,
            bytes: 0,
            limit,
            cut: None,
        }
    }

    fn add(&mut self, index: usize, Line { time, text }: Line) {
        if self.is_cut(time) {
            return;
        }
        self.bytes += size(&text);
        self.came += 1;
        self.lines.insert((time, self.came), (index, text));
        while let Some(first) = self.lines.first_entry() {
            let of_this_time = self.cut == Some(first.key().0);
            if self.bytes <= self.limit && !of_this_time {
                break;
            }
            let ((time, _), (_, text)) = first.remove_entry();
            self.bytes -= size(&text);
            self.cut = Some(time);
        }
    }

    fn is_cut(&self, time: Moment) -> bool {
        self.cut.is_some_and(|cut| time <= cut)
    }
}

/// What a line takes, that it has a place of its own included.
fn size(text: &str) -> usize {
    text.len() + size_of::<((Moment, usize), (usize, String))>()
}

/// Lines as they come, until the containers end, the reader goes away, or Ctrl-C.
fn follow(
    context: &Context<'_>,
    docker: &Docker,
    args: &LogsArgs,
    names: &[String],
) -> Result<(), Failure> {
    let width = width(names);
    let (sender, lines) = mpsc::channel::<(usize, String)>();
    let without = AtomicUsize::new(0);
    thread::scope(|scope| {
        let mut followers = Vec::new();
        for (index, name) in names.iter().enumerate() {
            let argv = argv::logs(name, &args.range(), args.timestamps, true);
            let sender = sender.clone();
            let (ui, without) = (context.ui, &without);
            followers.push(scope.spawn(move || {
                // Once nobody reads any more, the call is ended.
                let followed = docker.follow(&argv, |line| sender.send((index, line)).is_ok());
                match followed {
                    Err(error)
                        if keeps_none(&error)
                            && without.fetch_add(1, Relaxed) + 1 < names.len() =>
                    {
                        ui.warn(&no_log(name));
                        None
                    }
                    Err(error) => Some(error),
                    Ok(()) => None,
                }
            }));
        }
        drop(sender);
        for (index, text) in &lines {
            let line = LogLine {
                name: &names[index],
                index,
                width,
                text: &printable(&text),
            };
            if !context.ui.log_line(&line) {
                break;
            }
        }
        // Followers find the channel closed at their next line, or at once where the interrupt tells them.
        drop(lines);
        context.interrupt.stop_reading();
        for (follower, name) in followers.into_iter().zip(names) {
            if let Ok(Some(error)) = follower.join() {
                return Err(Failure::from_call(
                    format!("the log of `{name}` could not be followed"),
                    &error,
                ));
            }
        }
        Ok(())
    })
}

fn width(names: &[String]) -> usize {
    names.iter().map(String::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docker::spawn::Stream::{self, Stderr, Stdout};

    /// `T3` is the third second of some minute.
    fn at(time: &str) -> Moment {
        let second = time.trim_start_matches('T');
        Moment::parse(&format!("2026-01-02T03:04:0{second}Z")).unwrap()
    }

    fn line(time: &str, text: &str) -> Line {
        Line {
            time: at(time),
            text: text.to_owned(),
        }
    }

    #[test]
    fn of_too_many_lines_the_last_are_kept_whosever_they_are() {
        let room_for = |lines| lines * size("a");
        for (lines, limit, kept, cut) in [
            (&["T2", "T1", "T3"][..], 3, &["T1", "T2", "T3"][..], None),
            (&["T1", "T2", "T3"], 2, &["T2", "T3"], Some("T1")),
            // What comes late and is as old as what was left out is left out, too.
            (
                &["T2", "T3", "T4", "T1", "T2"],
                2,
                &["T3", "T4"],
                Some("T2"),
            ),
            (&["T1", "T1", "T2"], 2, &["T2"], Some("T1")),
        ] {
            let mut merged = Merged::new(room_for(limit));
            for time in lines {
                merged.add(0, line(time, "a"));
            }
            let times: Vec<Moment> = merged.lines.keys().map(|(time, _)| *time).collect();
            let kept: Vec<Moment> = kept.iter().map(|time| at(time)).collect();
            assert_eq!((times, merged.cut), (kept, cut.map(at)), "{lines:?}");
        }
    }

    #[test]
    fn the_parts_of_a_long_line_have_its_time() {
        const T1: &str = "2026-01-02T03:04:01Z";
        const T2: &str = "2026-01-02T03:04:02Z";
        let mut timed = Timed::default();
        let mut told = |stream: Stream, begins, text: &str| {
            let text = text.to_owned();
            timed.line(Piece {
                text,
                stream,
                begins,
            })
        };
        let begin = told(Stdout, true, &format!("{T1} begin"));
        assert_eq!(begin, Some(line("T1", "begin")));
        let other = told(Stderr, true, &format!("{T2} other"));
        assert_eq!(other, Some(line("T2", "other")));
        assert_eq!(told(Stdout, false, "T9 on"), Some(line("T1", "T9 on")));
        assert_eq!(told(Stdout, true, "Error of docker's"), None);
        assert_eq!(told(Stdout, false, "that is long"), None);
    }
}
