//! Ctrl-C and its like: a flag that everything polls, and what a second signal does.
//!
//! The first signal only sets the flag: whoever runs docker calls lets those in flight complete, starts no new one and
//! undoes what was made. The second one leaves at once, after saying what stands.

use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::error::{Kind, Standing};
use crate::ui::Ui;

/// Signals so close together are one: `timeout` sends its own to the process and to its group.
const AT_ONCE: Duration = Duration::from_millis(500);

/// Shared by everyone who has to stop early; cloning is cheap.
#[derive(Debug, Clone, Default)]
pub struct Interrupt {
    signal: Arc<AtomicI32>,
    nobody_reads: Arc<AtomicBool>,
    changing: Arc<AtomicBool>,
    standing: Arc<Mutex<Vec<Standing>>>,
}

impl Interrupt {
    /// The signal that asked for an end, if one did.
    pub fn signal(&self) -> Option<i32> {
        match self.signal.load(Ordering::Relaxed) {
            0 => None,
            signal => Some(signal),
        }
    }

    /// The exit code of a command that is ended by a signal as it is meant to be, if one came.
    pub fn exit_code(&self) -> Option<u8> {
        self.signal()
            .map(|signal| Kind::Interrupted(signal).exit_code())
    }

    pub fn raised(&self) -> bool {
        self.signal().is_some()
    }

    /// From here on something is changed: an end has consequences that are worth words.
    pub fn note_changing(&self) {
        self.changing.store(true, Ordering::Relaxed);
    }

    /// Ends what only reads, as a signal would: whoever read it has gone.
    pub fn stop_reading(&self) {
        self.nobody_reads.store(true, Ordering::Relaxed);
    }

    /// Whether calls that only read are to end.
    pub fn ends_reading(&self) -> bool {
        self.raised() || self.nobody_reads.load(Ordering::Relaxed)
    }

    /// Notes what now stands because of this run, to be said should it have to leave at once.
    pub fn note_standing(&self, standing: Standing) {
        self.lock().push(standing);
    }

    /// What was noted and not forgotten since.
    pub fn standing(&self) -> Vec<Standing> {
        self.lock().clone()
    }

    /// Nothing of what was noted needs to be said any more.
    pub fn forget_standing(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Standing>> {
        self.standing
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Starts listening for SIGINT, SIGTERM and SIGHUP.
    #[cfg(unix)]
    pub fn listen(&self, ui: &Ui) -> std::io::Result<()> {
        use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

        let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP])?;
        let interrupt = self.clone();
        let ui = ui.clone();
        std::thread::Builder::new()
            .name("signals".into())
            .stack_size(64 * 1024)
            .spawn(move || {
                let mut first = None;
                for signal in &mut signals {
                    interrupt.raise(signal, &mut first, &ui);
                }
            })?;
        Ok(())
    }

    /// Starts listening for Ctrl-C. Elsewhere than on Unix a signal can't wake a thread.
    #[cfg(not(unix))]
    pub fn listen(&self, ui: &Ui) -> std::io::Result<()> {
        use signal_hook::consts::SIGINT;

        let pressed = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(SIGINT, Arc::clone(&pressed))?;
        let interrupt = self.clone();
        let ui = ui.clone();
        std::thread::Builder::new()
            .name("signals".into())
            .spawn(move || {
                let mut first = None;
                loop {
                    std::thread::sleep(Duration::from_millis(50));
                    if pressed.swap(false, Ordering::Relaxed) {
                        interrupt.raise(SIGINT, &mut first, &ui);
                    }
                }
            })?;
        Ok(())
    }

    /// Takes in a signal; `first` keeps when the first one came.
    fn raise(&self, signal: i32, first: &mut Option<Instant>, ui: &Ui) {
        let changing = self.changing.load(Ordering::Relaxed);
        let Some(first) = first else {
            *first = Some(Instant::now());
            self.signal.store(signal, Ordering::Relaxed);
            if signal == signal_hook::consts::SIGINT && changing {
                ui.warn("interrupted: letting the running docker calls complete (again to leave at once)");
            }
            return;
        };
        if first.elapsed() < AT_ONCE {
            return;
        }
        // Who only looks leaves nothing behind.
        if changing {
            ui.leaving_at_once(signal, self.standing());
        }
        // The admin asked twice to leave, whatever is still running.
        std::process::exit(crate::error::signal_exit_code(signal));
    }
}

#[cfg(test)]
impl Interrupt {
    /// As after `signal` arrived.
    pub(crate) fn raised_for_test(signal: i32) -> Self {
        let interrupt = Self::default();
        interrupt.signal.store(signal, Ordering::Relaxed);
        interrupt
    }
}
