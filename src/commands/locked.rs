//! Taking the service's lock for a command that changes something, and waiting for it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use crate::change::lock::{self, Lock};
use crate::docker::spawn::Held;
use crate::docker::{CallError, Docker};
use crate::error::Failure;
use crate::interrupt::Interrupt;
use crate::text::printable;
use crate::ui::Ui;

/// A holder that was just killed is noticed a moment later: for so long it is waited in any case.
const MOMENT: Duration = Duration::from_secs(1);
const AGAIN_AFTER: Duration = Duration::from_millis(500);

/// The lock, if it is held.
#[derive(Debug, Default)]
pub struct Locked(Mutex<Option<Box<Held>>>);

impl Locked {
    pub(super) fn is_held(&self) -> bool {
        self.lock().is_some()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Box<Held>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes the lock.
pub(super) struct Taker<'a> {
    pub(super) locked: &'a Locked,
    pub(super) docker: &'a Docker,
    pub(super) lb: &'a str,
    /// What it is taken for. What else was given with the command may be secret.
    pub(super) command: String,
    pub(super) ui: &'a Ui,
    pub(super) interrupt: &'a Interrupt,
    /// What the last try came to, where it was not taken.
    pub(super) came_to: Mutex<Option<Result<Lock, CallError>>>,
}

impl Taker<'_> {
    pub(super) fn take(&self) {
        let who = lock::who(&user(), &host(), &self.command, SystemTime::now());
        let came_to = match lock::take(self.docker, self.lb, &who) {
            Ok(Lock::Held(held)) => {
                *self.locked.lock() = Some(held);
                None
            }
            other => Some(other),
        };
        *self.came_to() = came_to;
    }

    fn came_to(&self) -> MutexGuard<'_, Option<Result<Lock, CallError>>> {
        self.came_to.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until it is free, for at most `patience`; whether that took waiting. Without a lock it goes on, and says so.
    pub(super) fn await_it(&self, patience: Duration) -> Result<bool, Failure> {
        let Self { lb, ui, .. } = self;
        let deadline = Instant::now() + patience.max(MOMENT);
        let mut waited = false;
        loop {
            let who = match self.came_to().take() {
                Some(Ok(Lock::Busy(who))) => who,
                Some(Ok(Lock::Without(Some(why)))) => {
                    ui.status(&format!(
                        "{lb} can't be locked against other commands: {why}"
                    ));
                    return Ok(waited);
                }
                None | Some(Ok(_)) => return Ok(waited),
                Some(Err(error)) => {
                    return Err(Failure::from_call(format!("`{lb}` was not locked"), &error));
                }
            };
            if Instant::now() >= deadline {
                let what = format!("another command is changing this service: {who}");
                return Err(Failure::failed(what).hinted(
                    "run it again when that one has ended, or let it wait: --lock-wait 5m",
                ));
            }
            if !waited && !patience.is_zero() {
                ui.status(&format!("waiting for another command: {who}"));
            }
            waited = true;
            self.interrupt.sleep(AGAIN_AFTER);
            if let Some(signal) = self.interrupt.signal() {
                return Err(Failure::interrupted(signal));
            }
            self.take();
        }
    }
}

/// `user@host`: who gives the command.
pub(super) fn who() -> String {
    printable(&format!("{}@{}", user(), host()))
}

fn user() -> String {
    let user = ["USER", "LOGNAME", "USERNAME"].map(std::env::var);
    let user = user.into_iter().flatten().find(|user| !user.is_empty());
    user.unwrap_or_else(|| "somebody".to_owned())
}

#[cfg(unix)]
fn host() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

#[cfg(not(unix))]
fn host() -> String {
    std::env::var("COMPUTERNAME").unwrap_or_else(|_| "somewhere".to_owned())
}
