//! What doing a step takes: docker, with repeats where its words say that the trouble passes; patience; what is known of the
//! service.
//!
//! Nothing here knows what steps there are: that is in `step`.

use std::collections::BTreeSet;
use std::ops::Deref;
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::guard::Guard;
use super::others::Others;
use super::poll::Poll;
use super::schedule::Done;
use super::workers::Workers;
use crate::docker::argv::Argv;
use crate::docker::cause::Cause;
use crate::docker::{Answer, CallError, Docker};
use crate::entrance::Entrance;
use crate::error::Failure;
use crate::http::Reply;
use crate::interrupt::Interrupt;
use crate::inventory::{Inventory, Restarts};
use crate::plan::{Action, Subject};
use crate::reach::Reach;
use crate::service::Spec;
use crate::service::names::{Names, Number};
use crate::ui::Ui;
use crate::{calls, namesakes, text};

/// How long to pause before a call that met a passing trouble is repeated; after the last one it has failed.
pub(super) const PAUSES: [Duration; 5] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
];

/// How often a copy that arrives truncated is repeated, and after which pause.
pub const COPIES: usize = 3;
pub const AGAIN_AFTER: Duration = Duration::from_millis(500);

/// How patient a run is, from the command line.
#[derive(Debug, Clone)]
pub struct Patience {
    /// How long the service, or an instance, may take to answer.
    pub wait: Duration,
    /// How long an instance has to run to count as ready where nothing else tells.
    pub settle: Duration,
    /// How long old connections may take to end.
    pub drain: Duration,
}

/// What every step takes, those that only take away included.
pub struct Common<'a> {
    pub docker: Docker,
    pub subject: &'a Subject,
    /// Who starts the load balancer again when it ends.
    pub restarts: Restarts,
    /// What was there before this run.
    pub before: &'a Inventory,
    /// What this run knows of the service: what is otherwise is somebody else's.
    pub guard: &'a Guard,
    /// Whether this goes back, so that what others did is left alone.
    pub undoing: bool,
    pub ui: &'a Ui,
    pub interrupt: Interrupt,
    /// Where haproxy.cfg is written on this workstation.
    pub config_path: String,
    /// A removal failed: what is left may still be on the network.
    pub left_over: AtomicBool,
}

/// What the steps take beside that which make a service serve, or go back to how it served.
pub struct Run<'a> {
    pub common: Common<'a>,
    pub spec: &'a Spec,
    pub patience: Patience,
    /// Those that the load balancer sends to in the end.
    pub servers: Vec<Number>,
    /// Instances that this run is going to remove.
    pub leaving: BTreeSet<Number>,
    /// What was replied before anything was changed.
    pub replied: Replied,
    /// HAProxy's processes over the reloads of this run, and of its undoing.
    pub workers: &'a Mutex<Workers>,
    /// Where the service was met last, and what it replied.
    pub reach: Mutex<Option<Reach>>,
    /// Instances that have passed HAProxy's checks.
    pub passed: Mutex<BTreeSet<Number>>,
}

impl<'a> Deref for Run<'a> {
    type Target = Common<'a>;

    fn deref(&self) -> &Common<'a> {
        &self.common
    }
}

/// What was replied before anything was changed; `None` where nobody was asked.
#[derive(Debug, Clone, Copy, Default)]
pub struct Replied {
    /// By the service.
    pub service: Option<Reply>,
    /// By instances on their published ports, at best.
    pub siblings: Option<Reply>,
}

/// What `mutex` holds, also after a step has panicked: that comes out by itself.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Run<'_> {
    /// HAProxy's processes, as far as this run and what it undoes have seen them.
    pub fn workers(&self) -> MutexGuard<'_, Workers> {
        lock(self.workers)
    }
}

impl Common<'_> {
    pub fn names(&self) -> &Names {
        &self.subject.service().names
    }

    /// The entrance to the service that a run works on.
    pub fn entrance(&self) -> Entrance<'_> {
        let external_net = &self.subject.service().external_net;
        Entrance::new(&self.docker, self.before, external_net)
    }

    /// Who else may be at the service.
    pub fn others(&self) -> Others<'_> {
        Others {
            docker: &self.docker,
            names: self.names(),
            guard: self.guard,
            undoing: self.undoing,
            ui: self.ui,
        }
    }

    /// The docker calls of `action` that change something.
    pub(super) fn calls(&self, action: &Action) -> Vec<Argv> {
        calls::changing(action, self.subject, self.restarts, &self.config_path)
    }

    /// The calls of `action`, one after the other.
    pub(super) fn plainly(&self, action: &Action) -> Result<Done, Failure> {
        for argv in self.calls(action) {
            self.change(&argv)
                .map_err(|error| self.not_done(action, &error))?;
        }
        Ok(Done::ByUs)
    }

    /// Like [`Self::plainly`], where a failure of one of these causes means that there is nothing to do.
    pub(super) fn tolerating(
        &self,
        action: &Action,
        fine: fn(Cause) -> bool,
    ) -> Result<Done, Failure> {
        for argv in self.calls(action) {
            match self.change(&argv) {
                Err(error) if !error.cause().is_some_and(fine) => {
                    return Err(self.not_done(action, &error));
                }
                _ => {}
            }
        }
        Ok(Done::ByUs)
    }

    pub(super) fn not_done(&self, action: &Action, error: &CallError) -> Failure {
        Failure::from_call(calls::not_done(action, self.subject), error)
    }

    /// A changing call, repeated where docker's words say that the trouble passes. Only for calls that may be repeated.
    pub(super) fn change(&self, argv: &Argv) -> Result<Answer, CallError> {
        self.repeated(argv, || self.docker.change(argv))
    }

    pub(super) fn repeated(
        &self,
        argv: &Argv,
        call: impl Fn() -> Result<Answer, CallError>,
    ) -> Result<Answer, CallError> {
        let mut pauses = PAUSES.iter();
        let mut settled = false;
        loop {
            match call() {
                Err(error) if self.settles(&error, &mut settled) => {}
                Err(error) if error.cause().is_some_and(Cause::is_transient) => match pauses.next()
                {
                    Some(&pause) if self.pause(argv, &error, pause) => {}
                    _ => return Err(error),
                },
                result => return result,
            }
        }
    }

    /// Whether `error` is that there are several networks called PREFIX-net, about which something was done for the first time.
    pub(super) fn settles(&self, error: &CallError, settled: &mut bool) -> bool {
        if error.cause() != Some(Cause::NetworkAmbiguous) || *settled {
            return false;
        }
        *settled = true;
        namesakes::settle(&self.docker, self.ui, &self.names().network());
        true
    }

    /// Says that `argv` will be repeated and waits; `false` if an interrupt came meanwhile.
    pub(super) fn pause(&self, argv: &Argv, error: &CallError, pause: Duration) -> bool {
        let words = error.words();
        let words = error.portlayer_message().unwrap_or_else(|| gist(&words));
        let seconds = text::seconds(pause);
        self.ui.status(&format!(
            "{}: {words}; again in {seconds}",
            self.docker.shown(argv)
        ));
        self.sleep(pause)
    }

    /// Sleeps, but not through an interrupt: `false` if one came.
    pub fn sleep(&self, duration: Duration) -> bool {
        self.interrupt.sleep(duration)
    }

    /// A wait of `within`, with a look at least every `longest`.
    pub(super) fn poll(&self, within: Duration, longest: Duration) -> Poll<'_> {
        Poll::new(&self.interrupt, within, longest)
    }

    /// The failure of having been interrupted, if that is the case.
    pub fn check_interrupt(&self) -> Result<(), Failure> {
        self.interrupt
            .signal()
            .map_or(Ok(()), |signal| Err(Failure::interrupted(signal)))
    }
}

/// The line that says what the matter is: docker puts pulling before it, and which call failed or how to get help behind.
fn gist(words: &str) -> &str {
    let daemons = words.lines().find(|line| line.contains("from daemon: "));
    daemons
        .or_else(|| words.lines().rfind(|line| !line.is_empty()))
        .unwrap_or_default()
}
