//! What is going on, on a terminal: a line for each running step, and below them a bar for the whole.
//!
//! Whoever writes something else takes the bars away meanwhile; nothing of them stays at the end. They are drawn on
//! stderr.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Style};
use console::Term;
use indicatif::{
    MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle, TermLike,
};

use super::Ui;
use super::paint::FAINT;
use crate::text::{printable, seconds};

const BAR: Style = AnsiColor::Cyan.on_default();
const TICK: Duration = Duration::from_millis(100);

/// The bar of a wide terminal; on others it takes what is left beside its numbers.
const BAR_COLUMNS: usize = 40;

/// What the terminal can show.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terminal {
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) colour: bool,
    /// Whether it has more characters than ASCII's.
    pub(super) unicode: bool,
}

impl Terminal {
    /// The terminal on stderr; none where there is no terminal, or one that can't move its cursor.
    pub(super) fn find() -> Option<Self> {
        let dumb = match std::env::var("TERM") {
            Ok(term) => term.is_empty() || term == "dumb",
            Err(_) => cfg!(unix),
        };
        if dumb || !std::io::stderr().is_terminal() {
            return None;
        }
        let (rows, columns) = console::Term::stderr().size();
        let colour =
            anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never;
        Some(Self {
            rows: usize::from(rows),
            columns: usize::from(columns),
            colour,
            unicode: cfg!(windows) || speaks_utf8(|name| std::env::var(name).ok()),
        })
    }

    /// Whether there is room for words beside numbers.
    fn is_wide(self) -> bool {
        self.columns >= 2 * BAR_COLUMNS
    }

    fn style(self, style: Style) -> Style {
        if self.colour { style } else { Style::new() }
    }
}

/// How often a second it is drawn at most.
const DRAWN_HZ: u8 = 20;

/// The terminal on stderr, to draw on.
pub(super) fn stderr() -> ProgressDrawTarget {
    let screen = Screen {
        term: Term::buffered_stderr(),
        gone: AtomicBool::new(false),
        filler: Mutex::default(),
    };
    ProgressDrawTarget::term_like_with_hz(Box::new(screen), DRAWN_HZ)
}

/// A terminal that may be closed at any time: then nothing is drawn any more. The library panics where drawing fails.
///
/// The library ends each line by filling it up with blanks, so that the next one begins below. After the last line the `^C`
/// that a terminal echoes would begin a line of its own, and the first one drawn would stay for ever: so there the cursor
/// goes back to the front instead.
#[derive(Debug)]
struct Screen {
    term: Term,
    gone: AtomicBool,
    /// The blanks that end a line, until it is known that another one follows.
    filler: Mutex<Option<String>>,
}

impl Screen {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the shape that the library asks for"
    )]
    fn draw(&self, how: impl FnOnce(&Term) -> io::Result<()>) -> io::Result<()> {
        let drawn = || {
            if let Some(filler) = self.take_filler() {
                self.term.write_str(&filler)?;
            }
            how(&self.term)
        };
        if !self.gone.load(Ordering::Relaxed) && drawn().is_err() {
            self.gone.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    fn take_filler(&self) -> Option<String> {
        let mut filler = self.filler.lock().unwrap_or_else(PoisonError::into_inner);
        filler.take()
    }
}

impl TermLike for Screen {
    fn width(&self) -> u16 {
        self.term.size().1
    }

    fn height(&self) -> u16 {
        self.term.size().0
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.draw(|term| term.move_cursor_up(n))
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.draw(|term| term.move_cursor_down(n))
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.draw(|term| term.move_cursor_right(n))
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.draw(|term| term.move_cursor_left(n))
    }

    fn write_line(&self, line: &str) -> io::Result<()> {
        self.draw(|term| term.write_line(line))
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        if text.bytes().any(|byte| byte != b' ') {
            return self.draw(|term| term.write_str(text));
        }
        self.draw(|_| Ok(()))?;
        let mut filler = self.filler.lock().unwrap_or_else(PoisonError::into_inner);
        *filler = Some(text.to_owned());
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        self.draw(Term::clear_line)
    }

    fn flush(&self) -> io::Result<()> {
        let ends_drawn_line = self.take_filler().is_some();
        self.draw(|term| {
            if ends_drawn_line {
                term.write_str("\r")?;
            }
            term.flush()
        })
    }
}

/// Whether the locale's characters are UTF-8: the first of these variables that is set decides.
fn speaks_utf8(environment: impl Fn(&str) -> Option<String>) -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .filter_map(environment)
        .find(|locale| !locale.is_empty())
        .unwrap_or_default()
        .to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

/// Lines on the terminal that change in place. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Bars {
    multi: MultiProgress,
    whole: ProgressBar,
    terminal: Terminal,
    steps: Arc<Mutex<Steps>>,
}

/// The running steps, in the order in which they started.
#[derive(Debug, Default)]
struct Steps {
    started: usize,
    running: BTreeMap<usize, Step>,
    /// Says how many there is no room for.
    more: Option<ProgressBar>,
}

#[derive(Debug)]
struct Step {
    label: String,
    /// How far it is, as far as it tells.
    count: Arc<Mutex<String>>,
    since: Instant,
    /// Its line; none where there is no room.
    line: Option<ProgressBar>,
}

impl Bars {
    pub(super) fn new(steps: usize, terminal: Terminal, target: ProgressDrawTarget) -> Self {
        let multi = MultiProgress::with_draw_target(target);
        // A bar is drawn as soon as it is there: it has to be itself by then.
        let whole = ProgressBar::new(u64::try_from(steps).unwrap_or(u64::MAX))
            .with_style(whole_style(terminal));
        let whole = multi.add(whole);
        whole.enable_steady_tick(TICK);
        Self {
            multi,
            whole,
            terminal,
            steps: Arc::default(),
        }
    }

    /// `label` and `time` in one line of the terminal.
    pub(super) fn fit(&self, label: &str, time: &str) -> String {
        shorten(
            label,
            self.terminal
                .columns
                .saturating_sub(time.chars().count() + 1),
        )
    }

    /// Prints something else while the bars are away.
    pub(super) fn suspend<T>(&self, print: impl FnOnce() -> T) -> T {
        self.multi.suspend(print)
    }

    /// Takes everything away for good.
    pub(super) fn clear(&self) {
        let mut steps = self.lock();
        let lines = std::mem::take(&mut steps.running)
            .into_values()
            .filter_map(|step| step.line);
        for line in lines.chain(steps.more.take()) {
            line.finish_and_clear();
        }
        self.whole.finish_and_clear();
        // What can't be written is dropped, as everywhere in this module.
        let _ = self.multi.clear();
        self.multi.set_draw_target(ProgressDrawTarget::hidden());
    }

    fn step_started(&self, label: &str) -> usize {
        let mut steps = self.lock();
        let id = steps.started;
        steps.started += 1;
        let step = Step {
            label: label.to_owned(),
            count: Arc::default(),
            since: Instant::now(),
            line: None,
        };
        steps.running.insert(id, step);
        self.arrange(&mut steps);
        id
    }

    fn step_ended(&self, id: usize) {
        let mut steps = self.lock();
        if let Some(line) = steps.running.remove(&id).and_then(|step| step.line) {
            self.remove(&line);
        }
        self.arrange(&mut steps);
    }

    /// Says how far the running step called `label` is; its line shows that when it is next drawn.
    pub(super) fn step_counts(&self, label: &str, done: usize, of: usize, what: &str) {
        let count = if self.terminal.is_wide() {
            format!("{done} of {of} {what}, ")
        } else {
            format!("{done}/{of}, ")
        };
        let steps = self.lock();
        if let Some(step) = steps.running.values().find(|step| step.label == label) {
            *step.count.lock().unwrap_or_else(PoisonError::into_inner) = count;
        }
    }

    /// Gives lines to the first steps, as far as there is room.
    fn arrange(&self, steps: &mut Steps) {
        // One row for the bar, one for what there is no room for, one to stay clear of the screen's end.
        let room = self.terminal.rows.saturating_sub(3).max(1);
        let mut shown = steps
            .running
            .values()
            .filter(|step| step.line.is_some())
            .count();
        for step in steps.running.values_mut() {
            if shown < room && step.line.is_none() {
                let below = steps.more.as_ref().unwrap_or(&self.whole);
                let line = ProgressBar::no_length()
                    .with_style(step_style(step, self.terminal))
                    .with_elapsed(step.since.elapsed());
                let line = self.multi.insert_before(below, line);
                line.enable_steady_tick(TICK);
                step.line = Some(line);
                shown += 1;
            }
        }
        let hidden = steps.running.len() - shown;
        if hidden == 0 {
            if let Some(more) = steps.more.take() {
                self.remove(&more);
            }
        } else {
            let more = steps.more.get_or_insert_with(|| {
                let more = ProgressBar::no_length().with_style(style("  {msg}"));
                self.multi.insert_before(&self.whole, more)
            });
            more.set_message(format!("and {hidden} more"));
        }
    }

    fn remove(&self, line: &ProgressBar) {
        line.finish_and_clear();
        self.multi.remove(line);
    }

    fn lock(&self) -> MutexGuard<'_, Steps> {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|error| unreachable!("the template {template}: {error}"))
}

fn whole_style(terminal: Terminal) -> ProgressStyle {
    let colour = terminal.style(BAR);
    let template = if terminal.is_wide() {
        format!("{colour}{{bar:{BAR_COLUMNS}}}{colour:#} {{pos}}/{{len}} steps, {{time}}")
    } else {
        format!("{colour}{{wide_bar}}{colour:#} {{pos}}/{{len}}, {{time}}")
    };
    let time = |state: &ProgressState, text: &mut dyn std::fmt::Write| {
        let _ = write!(text, "{}", seconds(state.elapsed()));
    };
    let characters = if terminal.unicode { "━╸ " } else { "=> " };
    style(&template)
        .with_key("time", time)
        .progress_chars(characters)
}

fn step_style(step: &Step, terminal: Terminal) -> ProgressStyle {
    let colour = terminal.style(BAR);
    let faint = terminal.style(FAINT.style());
    let label = printable(&step.label);
    let count = Arc::clone(&step.count);
    let line = move |state: &ProgressState, text: &mut dyn std::fmt::Write| {
        let count = count.lock().unwrap_or_else(PoisonError::into_inner);
        let time = format!("({count}{})", seconds(state.elapsed()));
        let room = terminal.columns.saturating_sub(time.len() + 3);
        let _ = write!(text, "{} {faint}{time}{faint:#}", shorten(&label, room));
    };
    let characters = if terminal.unicode {
        "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ "
    } else {
        "|/-\\ "
    };
    style(&format!("{colour}{{spinner}}{colour:#} {{line}}"))
        .with_key("line", line)
        .tick_chars(characters)
}

/// `label` in at most `columns`, its middle left out if need be: names differ at their ends.
pub(super) fn shorten(label: &str, columns: usize) -> String {
    let count = label.chars().count();
    if count <= columns {
        return label.to_owned();
    }
    let Some(kept) = columns.checked_sub(2) else {
        return label.chars().take(columns).collect();
    };
    let front = kept.div_ceil(2);
    let head = label.chars().take(front);
    let tail = label.chars().skip(count - (kept - front));
    head.chain("..".chars()).chain(tail).collect()
}

/// The progress of one plan; what was drawn is gone when it is dropped.
#[derive(Debug)]
#[must_use]
pub struct Progress {
    ui: Ui,
    bars: Option<Bars>,
}

impl Progress {
    pub(super) fn new(ui: &Ui, bars: Option<Bars>) -> Self {
        let ui = ui.clone();
        Self { ui, bars }
    }

    /// A step starts; it runs until the result is dropped.
    pub fn running(&self, label: &str) -> Running<'_> {
        let id = self.bars.as_ref().map(|bars| bars.step_started(label));
        Running { progress: self, id }
    }

    /// One more of the steps is done.
    pub fn step_done(&self) {
        if let Some(bars) = &self.bars {
            bars.whole.inc(1);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.bars.is_some() {
            self.ui.clear_bars();
        }
    }
}

/// A step that is running.
#[derive(Debug)]
#[must_use]
pub struct Running<'a> {
    progress: &'a Progress,
    id: Option<usize>,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if let (Some(bars), Some(id)) = (&self.progress.bars, self.id) {
            bars.step_ended(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use indicatif::InMemoryTerm;

    use super::*;

    fn screen(rows: u16, columns: u16, steps: usize) -> (InMemoryTerm, Bars) {
        let screen = InMemoryTerm::new(rows, columns);
        let terminal = Terminal {
            rows: usize::from(rows),
            columns: usize::from(columns),
            colour: false,
            unicode: false,
        };
        let target = ProgressDrawTarget::term_like_with_hz(Box::new(screen.clone()), 255);
        (screen, Bars::new(steps, terminal, target))
    }

    /// Draws everything anew, whatever was drawn when; spinners stand still.
    fn drawn(screen: &InMemoryTerm, bars: &Bars) -> Vec<String> {
        bars.suspend(|| ());
        std::thread::sleep(TICK * 3);
        bars.suspend(|| ());
        let text = screen.contents();
        text.lines()
            .map(|line| line.replace(['|', '/', '-', '\\'], "*"))
            .collect()
    }

    #[test]
    fn running_steps_stand_above_the_bar_until_they_end() {
        let (screen, bars) = screen(24, 80, 4);
        let first = bars.step_started("run web-1");
        let _second = bars.step_started("run web-2");
        let lines = drawn(&screen, &bars);
        assert_eq!(lines.len(), 3, "{lines:#?}");
        assert!(lines[0].starts_with("* run web*1 (0."), "{lines:#?}");
        assert!(lines[1].starts_with("* run web*2 (0."), "{lines:#?}");
        assert!(lines[2].contains(" 0*4 steps, 0."), "{lines:#?}");
        bars.step_ended(first);
        bars.whole.inc(1);
        let lines = drawn(&screen, &bars);
        assert_eq!(lines.len(), 2, "{lines:#?}");
        assert!(lines[0].starts_with("* run web*2 (0."), "{lines:#?}");
        assert!(
            lines[1].starts_with("==========> "),
            "a quarter of 40: {lines:#?}"
        );
        bars.clear();
        assert_eq!(screen.contents(), "");
    }

    #[test]
    fn every_line_fits_a_narrow_terminal() {
        let (screen, bars) = screen(24, 30, 12);
        let _step = bars.step_started("pull registry.example.com/team/app:2026-04");
        let lines = drawn(&screen, &bars);
        assert_eq!(lines.len(), 2, "{lines:#?}");
        assert!(
            lines[0].starts_with("* pull regi..p:2026*04 (0."),
            "{lines:#?}"
        );
        assert!(
            lines.iter().all(|line| line.chars().count() <= 30),
            "{lines:#?}"
        );
        bars.clear();
        assert_eq!(screen.contents(), "");
    }

    #[test]
    fn a_step_that_counts_says_how_far_it_is() {
        for (columns, expected) in [
            (80, "* pull registry.example.com/app:1 (3 of 7 layers, 0."),
            (30, "* pull re../app:1 (3/7, 0."),
        ] {
            let (screen, bars) = screen(24, columns, 2);
            let label = "pull registry.example.com/app:1";
            let step = bars.step_started(label);
            let _other = bars.step_started("pull haproxy");
            bars.step_counts(label, 3, 7, "layers");
            bars.step_counts("pull nothing", 1, 1, "layers");
            // A slash is drawn as a star here.
            let expected = expected.replace('/', "*");
            let lines = drawn(&screen, &bars);
            assert!(lines[0].starts_with(&expected), "{lines:#?}");
            assert!(lines[1].starts_with("* pull haproxy (0."), "{lines:#?}");
            let fits = |line: &String| line.chars().count() <= usize::from(columns);
            assert!(lines.iter().all(fits), "{lines:#?}");
            bars.step_ended(step);
            // Its last lines may come when nobody draws it any more.
            bars.step_counts(label, 7, 7, "layers");
            bars.clear();
            assert_eq!(screen.contents(), "");
        }
    }

    #[test]
    fn steps_without_room_are_counted_and_move_up() {
        let (screen, bars) = screen(8, 80, 50);
        let steps: Vec<usize> = (1..=50)
            .map(|number| bars.step_started(&format!("run web-{number}")))
            .collect();
        let lines = drawn(&screen, &bars);
        assert_eq!(lines.len(), 7, "{lines:#?}");
        assert_eq!(lines[5], "  and 45 more");
        for id in &steps[..46] {
            bars.step_ended(*id);
        }
        let lines = drawn(&screen, &bars);
        assert_eq!(lines.len(), 5, "{lines:#?}");
        assert!(lines[0].starts_with("* run web*47 ("), "{lines:#?}");
        bars.clear();
        assert_eq!(screen.contents(), "");
    }

    #[test]
    fn a_label_loses_its_middle() {
        assert_eq!(shorten("run web-1", 9), "run web-1");
        assert_eq!(shorten("run web-12345", 9), "run ..345");
        assert_eq!(shorten("run", 1), "r");
        assert_eq!(shorten("run", 0), "");
    }

    #[test]
    fn the_first_variable_of_the_locale_decides() {
        let locale = |all: &'static str, lang: &'static str| {
            speaks_utf8(|name| match name {
                "LC_ALL" => Some(all.to_owned()),
                "LANG" => Some(lang.to_owned()),
                _ => None,
            })
        };
        assert!(locale("", "de_DE.UTF-8"));
        assert!(locale("C.utf8", "C"));
        assert!(!locale("C", "de_DE.UTF-8"));
        assert!(!speaks_utf8(|_| None));
    }
}
