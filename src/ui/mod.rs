//! The only place that prints. stdout is the answer and nothing else; progress, warnings and errors go to stderr.
//!
//! A closed stdout or stderr is no reason to stop half-way through a deployment: what can't be written is dropped. Of an
//! answer that was lost otherwise than because its reader went away, `Ui::lost` tells at the end.
//!
//! Everything that is printed passes `paint::painted`, which lets our own styles through and cleans all else; the exceptions
//! say `verbatim`.

mod paint;
mod progress;

use std::collections::HashSet;
use std::fmt::Write as _;
use std::io::{ErrorKind, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use crate::error::{Failure, Kind};
use crate::interrupt::Left;
use crate::message::Message;
use crate::text::{self, reason, seconds};

use paint::painted;
pub(crate) use paint::{ERROR, FAINT, FINE, Paint, WARNING};
pub use progress::Progress;
use progress::{Bars, Terminal};

/// How soon it is noticed that an answer is not waited for any more.
const HEARS_WITHIN: Duration = Duration::from_millis(50);

/// What is shown of a call that was shown whole before.
const REPEATED_COLUMNS: usize = 78;

/// One line of a container's log.
#[derive(Debug, Clone, Copy)]
pub struct LogLine<'a> {
    pub name: &'a str,
    /// The container's place among those shown: decides its colour.
    pub index: usize,
    /// Of the column with the names.
    pub width: usize,
    pub text: &'a str,
}

/// How answers and errors are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Format {
    #[default]
    Text,
    Json,
}

/// What the admin wants to see, decided once.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    pub format: Format,
    /// No progress; warnings and errors stay.
    pub quiet: bool,
    /// Each docker call as a shell would echo it.
    pub verbose: bool,
}

/// Cheap to clone; lines of several threads never mix.
#[derive(Debug, Clone, Default)]
pub struct Ui {
    options: Options,
    /// Held while something is written; holds what is drawn meanwhile.
    screen: Arc<Mutex<Option<Bars>>>,
    closed: Arc<AtomicBool>,
    /// Why some of the answer could not be written.
    lost: Arc<Mutex<Option<String>>>,
    /// The calls that were echoed.
    echoed: Arc<Mutex<HashSet<String>>>,
}

impl Ui {
    pub fn new(options: Options) -> Self {
        Self {
            options,
            screen: Arc::default(),
            closed: Arc::default(),
            lost: Arc::default(),
            echoed: Arc::default(),
        }
    }

    pub fn json(&self) -> bool {
        self.options.format == Format::Json
    }

    /// The command's answer.
    pub fn answer(&self, text: &str) {
        self.stdout(&painted(text));
    }

    /// An answer that was made on this workstation alone, and is a file to be used: as it is.
    pub fn answer_verbatim(&self, text: &str) {
        self.stdout(text);
    }

    /// An answer that is to be run, and may hold what was found on the endpoint: as it is, but for people.
    pub fn answer_script(&self, text: &str) {
        if std::io::stdout().is_terminal() {
            self.answer(text);
        } else {
            self.answer_verbatim(text);
        }
    }

    /// The command's answer, in place of the one before: on a terminal from its top, else below it.
    pub fn refresh(&self, text: &str) {
        if std::io::stdout().is_terminal() {
            self.stdout("\u{1b}[H\u{1b}[2J");
        }
        self.answer(text);
    }

    fn stdout(&self, text: &str) {
        let written = self.write(|| {
            let mut stdout = anstream::stdout().lock();
            stdout.write_all(text.as_bytes())?;
            stdout.flush()
        });
        if let Err(error) = written {
            self.closed.store(true, Ordering::Relaxed);
            if error.kind() != ErrorKind::BrokenPipe {
                let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
                lost.get_or_insert_with(|| reason(&error));
            }
        }
    }

    /// Why some of the answer could not be written, unless its reader went away.
    pub fn lost(&self) -> Option<String> {
        let lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        lost.clone()
    }

    /// A line of a container's log; `false` if nobody reads any more.
    pub fn log_line(&self, line: &LogLine<'_>) -> bool {
        let style = Paint::of_log(line.index);
        let LogLine {
            name, width, text, ..
        } = line;
        if self.json() {
            let line =
                serde_json::json!({ "schema": "vch-lb/log/1", "container": name, "line": text });
            self.answer_verbatim(&format!("{}\n", text::escaped(&line.to_string())));
            return !self.stdout_is_closed();
        }
        self.answer(&format!("{style}{name:width$}{style:#} | {text}\n"));
        !self.stdout_is_closed()
    }

    /// Whether a write to stdout failed: the reader went away.
    pub fn stdout_is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// The command's answer as one JSON document.
    pub fn answer_json(&self, value: &serde_json::Value) {
        self.answer_verbatim(&format!("{}\n", text::escaped(&format!("{value:#}"))));
    }

    /// A line about what is going on.
    pub fn status(&self, text: &str) {
        if !self.options.quiet {
            self.stderr(text);
        }
    }

    /// What was asked for and is no answer: shown with --quiet, too.
    pub fn tell(&self, text: &str) {
        self.stderr(text);
    }

    /// Shows the progress of `steps` steps until the result is dropped: on a terminal, and where nothing else says
    /// what is going on.
    pub fn progress(&self, steps: usize) -> Progress {
        let wanted = !self.options.quiet && !self.options.verbose;
        let bars = Terminal::find()
            .filter(|_| wanted)
            .map(|terminal| Bars::new(steps, terminal, progress::stderr()));
        self.lock().clone_from(&bars);
        Progress::new(self, bars)
    }

    /// How far a running step is, where that is drawn: `3 of 7 layers`.
    pub fn step_counts(&self, label: &str, done: usize, of: usize, what: &str) {
        if let Some(bars) = &*self.lock() {
            bars.step_counts(label, done, of, what);
        }
    }

    /// A step that came to its end.
    pub fn step_done(&self, label: &str, took: Duration) {
        let time = format!("({})", seconds(took));
        let label = match &*self.lock() {
            Some(bars) => bars.fit(label, &time),
            None => label.to_owned(),
        };
        self.status(&format!("{label} {FAINT}{time}{FAINT:#}"));
    }

    /// Each docker call, with `-v`. Polls repeat a long one again and again: whole the first time, then shortened.
    pub fn echo(&self, call: &str) {
        if !self.options.verbose {
            return;
        }
        let mut echoed = self.echoed.lock().unwrap_or_else(PoisonError::into_inner);
        let call = if echoed.insert(call.to_owned()) {
            call.to_owned()
        } else {
            progress::shorten(call, REPEATED_COLUMNS)
        };
        drop(echoed);
        self.stderr(&format!("{FAINT}+ {call}{FAINT:#}"));
    }

    /// Asks, and waits for a line; `None` where there is no terminal to answer at, its end, or once `is_over` says so.
    pub fn ask(&self, question: &str, is_over: impl Fn() -> bool) -> Option<String> {
        if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
            return None;
        }
        let asked = painted(question);
        let _ = self.write(|| {
            let mut stderr = anstream::stderr().lock();
            write!(stderr, "{asked}")?;
            stderr.flush()
        });
        let (sender, lines) = mpsc::channel();
        // A read can't be ended: one that is left alone ends with the process.
        std::thread::spawn(move || {
            let mut line = String::new();
            if std::io::stdin()
                .read_line(&mut line)
                .is_ok_and(|read| read > 0)
            {
                let _ = sender.send(line);
            }
        });
        loop {
            match lines.recv_timeout(HEARS_WITHIN) {
                Ok(line) => return Some(line),
                Err(mpsc::RecvTimeoutError::Timeout) if !is_over() => {}
                Err(_) => {
                    // The cursor stands behind the question.
                    self.stderr("");
                    return None;
                }
            }
        }
    }

    pub fn warn(&self, text: &str) {
        self.stderr(&format!("{WARNING}warning:{WARNING:#} {text}"));
    }

    pub fn failure(&self, failure: &Failure) {
        if self.json() {
            self.stderr(&text::escaped(&format!("{:#}", failure.json())));
            return;
        }
        let rest = failure.render_rest();
        self.stderr(&format!("{ERROR}error:{ERROR:#} {}{rest}", failure.what));
    }

    /// The last words before leaving while calls are still running; `way_on` tells how it goes on from what stands.
    pub fn leaving_at_once(&self, signal: i32, left: Left, way_on: &str) {
        self.clear_bars();
        let hint = (left.serves || left.undoing).then_some(way_on);
        let what = if left.undoing {
            "interrupted again: left at once, not everything was undone"
        } else {
            "interrupted again: left at once, nothing was undone"
        };
        if self.json() {
            let mut failure = Failure::new(Kind::Interrupted(signal), what);
            failure.standing = left.standing;
            failure.hints = hint.map(Message::from).into_iter().collect();
            self.failure(&failure);
            return;
        }
        let mut text = what.to_owned();
        for standing in left.standing {
            let _ = write!(text, "\n  may be left standing: {}", standing.text());
        }
        if let Some(hint) = hint {
            let _ = write!(text, "\nhint: {hint}");
        }
        self.stderr(&text);
    }

    /// What clap has to say: help and versions on stdout, complaints, which quote the command line, on stderr.
    pub fn clap(&self, said: &clap::Error) {
        let words = said.render().to_string();
        if said.use_stderr() && words.chars().any(|c| text::steers(c) && c != '\n') {
            self.stderr(words.trim_end());
            return;
        }
        // Its own styles are clap's.
        if let Err(error) = said.print().and_then(|()| std::io::stdout().flush())
            && error.kind() != ErrorKind::BrokenPipe
        {
            let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
            lost.get_or_insert_with(|| reason(&error));
        }
    }

    fn stderr(&self, text: &str) {
        let text = painted(text);
        let _ = self.write(|| writeln!(anstream::stderr().lock(), "{text}"));
    }

    /// Writes while nothing is drawn.
    fn write<T>(&self, print: impl FnOnce() -> T) -> T {
        match &*self.lock() {
            Some(bars) => bars.suspend(print),
            None => print(),
        }
    }

    fn clear_bars(&self) {
        if let Some(bars) = self.lock().take() {
            bars.clear();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Bars>> {
        self.screen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
