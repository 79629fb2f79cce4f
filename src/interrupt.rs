//! Ctrl-C and its like: a flag that everything polls, and what a second signal does.
//!
//! The first signal only sets the flag: whoever runs docker calls lets those in flight complete, starts no new one and
//! undoes what was made. The second one leaves at once, after saying what stands.

use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::error::{Kind, Standing, Thing};

/// Signals so close together are one: `timeout` sends its own to the process and to its group.
const AT_ONCE: Duration = Duration::from_millis(500);

/// A sleep ends so soon after an interrupt.
const HEARS_WITHIN: Duration = Duration::from_millis(50);

/// Shared by everyone who has to stop early; cloning is cheap.
#[derive(Debug, Clone, Default)]
pub struct Interrupt {
    signal: Arc<AtomicI32>,
    nobody_reads: Arc<AtomicBool>,
    changing: Arc<AtomicBool>,
    left: Arc<Mutex<Left>>,
}

/// What an end at once would leave behind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Left {
    /// What this run made and nobody needs.
    pub standing: Vec<Standing>,
    /// What the load balancer sends to of what this run made, or that itself: to remove it would be an outage.
    serving: Vec<Standing>,
    pub serves: bool,
    /// Some of it may be gone by now, or what is called so may be what was there before.
    pub undoing: bool,
}

/// What is said of signals that come while something is changed.
pub struct Said {
    /// Of Ctrl-C, when it comes first.
    pub first: Box<dyn Fn() + Send>,
    /// Of the signal that ends the command at once, with what that leaves behind.
    pub second: Box<dyn Fn(i32, Left) + Send>,
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

    /// Sleeps, but not through an interrupt: `false` if one came.
    pub fn sleep(&self, duration: Duration) -> bool {
        let deadline = Instant::now() + duration;
        loop {
            if self.raised() {
                return false;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            std::thread::sleep(left.min(HEARS_WITHIN));
        }
    }

    /// From here on something is changed: an end has consequences that are worth words.
    pub fn note_changing(&self) {
        self.changing.store(true, Ordering::Relaxed);
    }

    /// Whether something was, or may have been, changed.
    pub fn changes(&self) -> bool {
        self.changing.load(Ordering::Relaxed)
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
        self.lock().standing.push(standing);
    }

    /// Notes that the containers called `names` serve from here on.
    pub fn note_serving(&self, names: &[String]) {
        let mut left = self.lock();
        left.serves = true;
        let standing = std::mem::take(&mut left.standing);
        let serves = |standing: &Standing| match &standing.what {
            Thing::Container(name) => names.contains(name),
            Thing::Network(_) => false,
        };
        let (serving, standing) = standing.into_iter().partition(serves);
        left.standing = standing;
        left.serving.extend::<Vec<_>>(serving);
    }

    /// Notes that all that was noted serves from here on.
    pub fn note_all_serving(&self) {
        let mut left = self.lock();
        left.serves = true;
        let standing = std::mem::take(&mut left.standing);
        left.serving.extend(standing);
    }

    /// Notes that what was done is being undone from here on: what may stand still had better be looked at before anybody
    /// removes it.
    pub fn note_undoing(&self) {
        let mut left = self.lock();
        let Left {
            standing, serving, ..
        } = std::mem::take(&mut *left);
        let standing = standing.into_iter().chain(serving);
        left.standing = standing
            .map(|standing| Standing {
                remove: None,
                ..standing
            })
            .collect();
        left.undoing = true;
    }

    /// What was noted and not forgotten since.
    pub fn left(&self) -> Left {
        self.lock().clone()
    }

    /// Nothing of what was noted needs to be said any more.
    pub fn forget_standing(&self) {
        *self.lock() = Left::default();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Left> {
        self.left
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Starts listening for SIGINT, SIGTERM and SIGHUP.
    #[cfg(unix)]
    pub fn listen(&self, said: Said) -> std::io::Result<()> {
        use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

        let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP])?;
        let interrupt = self.clone();
        std::thread::Builder::new()
            .name("signals".into())
            .stack_size(64 * 1024)
            .spawn(move || {
                let mut first = None;
                for signal in &mut signals {
                    interrupt.raise(signal, &mut first, &said);
                }
            })?;
        Ok(())
    }

    /// Starts listening for Ctrl-C. Elsewhere than on Unix a signal can't wake a thread.
    #[cfg(not(unix))]
    pub fn listen(&self, said: Said) -> std::io::Result<()> {
        use signal_hook::consts::SIGINT;

        let pressed = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(SIGINT, Arc::clone(&pressed))?;
        let interrupt = self.clone();
        std::thread::Builder::new()
            .name("signals".into())
            .spawn(move || {
                let mut first = None;
                loop {
                    std::thread::sleep(HEARS_WITHIN);
                    if pressed.swap(false, Ordering::Relaxed) {
                        interrupt.raise(SIGINT, &mut first, &said);
                    }
                }
            })?;
        Ok(())
    }

    /// Takes in a signal; `first` keeps when the first one came.
    fn raise(&self, signal: i32, first: &mut Option<Instant>, said: &Said) {
        let changing = self.changing.load(Ordering::Relaxed);
        let Some(first) = first else {
            *first = Some(Instant::now());
            self.signal.store(signal, Ordering::Relaxed);
            if signal == signal_hook::consts::SIGINT && changing {
                (said.first)();
            }
            return;
        };
        if first.elapsed() < AT_ONCE {
            return;
        }
        // Who only looks leaves nothing behind.
        if changing {
            (said.second)(signal, self.left());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_serves_is_not_to_be_removed() {
        let interrupt = Interrupt::default();
        let container = |name: &str| Thing::Container(name.to_owned());
        for name in ["web-3", "web-4"] {
            interrupt.note_standing(Standing {
                what: container(name),
                remove: None,
            });
        }
        interrupt.note_serving(&["web-1".into(), "web-3".into()]);
        let left = interrupt.left();
        assert!(left.serves);
        let left: Vec<Thing> = left.standing.into_iter().map(|left| left.what).collect();
        assert_eq!(left, [container("web-4")]);
        interrupt.note_undoing();
        let left = interrupt.left();
        assert!(left.undoing && left.standing.iter().all(|left| left.remove.is_none()));
        let left: Vec<Thing> = left.standing.into_iter().map(|left| left.what).collect();
        assert_eq!(left, [container("web-4"), container("web-3")]);
        interrupt.forget_standing();
        assert_eq!(interrupt.left(), Left::default());
    }
}
