//! `--probe`: a modest stream of requests through the load balancer while it is being changed, and changed back where
//! that fails, and a receipt at the end.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::http::{self, Reply, Speaks, Within};
use crate::judge::{self, Quality};
use crate::place::Place;
use crate::receipt::{Phase, Receipt};

/// How many requests may be on their way at the same time.
const STREAMS: usize = 4;
/// Between two requests of one stream: together about 50 a second.
const PAUSE: Duration = Duration::from_millis(80);
/// A request without an answer for this long has failed.
const PATIENCE: Within = Within::each(Duration::from_secs(10));

/// What came of the requests that were begun once the last configuration of a change was in force: what clients will get
/// from now on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Since {
    pub sent: usize,
    pub failed: usize,
}

/// Requests on their way.
pub struct Probe {
    shared: Arc<Shared>,
    streams: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    phase: AtomicUsize,
    /// By phase: how many steps are going on.
    going_on: Mutex<[usize; Phase::ALL.len()]>,
    /// Whether the last configuration of the change is in force.
    last: AtomicBool,
    /// The requests that were begun since then.
    since: Mutex<Since>,
    /// By phase: how long each request took, or `None` if it failed.
    samples: Mutex<[Vec<Option<Duration>>; Phase::ALL.len()]>,
}

impl Probe {
    /// What somebody at `place` replies; an error where that is nothing that a receipt could count as a success.
    pub fn replies(place: &Place, speaks: Speaks) -> Result<Reply, Reply> {
        let within = Within::each(Duration::from_secs(2));
        let reply = http::ask(&place.address, place.port, speaks, within);
        if answered(reply, speaks) {
            Ok(reply)
        } else {
            Err(reply)
        }
    }

    /// Begins to send requests to `place`.
    pub fn start(place: &Place, speaks: Speaks) -> Self {
        let shared = Arc::new(Shared::default());
        let stream = |_| {
            let shared = Arc::clone(&shared);
            let place = place.clone();
            thread::spawn(move || shared.ask_until_stopped(&place, speaks))
        };
        let streams = (0..STREAMS).map(stream).collect();
        Self { shared, streams }
    }

    /// A step of `phase` is going on until the answer is dropped.
    pub fn during(&self, phase: Phase) -> During<'_> {
        self.shared.change(|going_on| going_on[phase as usize] += 1);
        During {
            shared: &self.shared,
            phase,
        }
    }

    /// The last configuration of the change is in force: what fails from now on is its doing.
    pub fn note_last(&self) {
        *self.shared.since() = Since::default();
        self.shared.last.store(true, Ordering::Relaxed);
    }

    /// What came of the requests since then; `None` before that.
    pub fn since_last(&self) -> Option<Since> {
        let last = self.shared.last.load(Ordering::Relaxed);
        last.then(|| *self.shared.since())
    }

    /// Ends, and tells what came of it.
    pub fn finish(self) -> Receipt {
        self.shared.stop.store(true, Ordering::Relaxed);
        for stream in self.streams {
            // A stream that panicked has no more samples to give.
            let _ = stream.join();
        }
        let samples = self
            .shared
            .samples
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        Receipt::new(&samples)
    }
}

/// A step that is going on.
pub struct During<'p> {
    shared: &'p Shared,
    phase: Phase,
}

impl Drop for During<'_> {
    fn drop(&mut self) {
        self.shared
            .change(|going_on| going_on[self.phase as usize] -= 1);
    }
}

impl Shared {
    fn change(&self, change: impl FnOnce(&mut [usize; Phase::ALL.len()])) {
        let mut going_on = self.going_on.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut going_on);
        // Between two steps it is still the last one's.
        if let Some(latest) = going_on.iter().rposition(|&steps| steps > 0) {
            self.phase.store(latest, Ordering::Relaxed);
        }
    }

    fn since(&self) -> MutexGuard<'_, Since> {
        self.since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask_until_stopped(&self, place: &Place, speaks: Speaks) {
        while !self.stop.load(Ordering::Relaxed) {
            let phase = self.phase.load(Ordering::Relaxed);
            let last = self.last.load(Ordering::Relaxed);
            let started = Instant::now();
            let reply = http::ask(&place.address, place.port, speaks, PATIENCE);
            let took = started.elapsed();
            let sample = answered(reply, speaks).then_some(took);
            if last {
                let mut since = self.since();
                since.sent += 1;
                since.failed += usize::from(sample.is_none());
            }
            self.samples.lock().unwrap_or_else(PoisonError::into_inner)[phase].push(sample);
            thread::sleep(PAUSE.saturating_sub(took));
        }
    }
}

/// Whether nothing failed by this reply: an error page, the load balancer's own 503, a reset or a refusal are failures. Of
/// what is no HTTP, a connection that stays is all that a client without words of its own can get.
fn answered(reply: Reply, speaks: Speaks) -> bool {
    judge::quality(reply, speaks) >= Quality::Open
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_steps_side_by_side_the_latest_phase_counts() {
        let shared = Arc::new(Shared::default());
        let probe = Probe {
            shared: Arc::clone(&shared),
            streams: Vec::new(),
        };
        let now = || Phase::ALL[shared.phase.load(Ordering::Relaxed)];
        let starting = probe.during(Phase::Starting);
        let reloading = probe.during(Phase::Reloading);
        let another = probe.during(Phase::Starting);
        assert_eq!(now(), Phase::Reloading);
        drop(reloading);
        assert_eq!(now(), Phase::Starting);
        drop((starting, another));
        assert_eq!(now(), Phase::Starting);
        drop(probe.during(Phase::Draining));
        assert_eq!(now(), Phase::Draining);
        let undoing = probe.during(Phase::Undoing);
        drop(probe.during(Phase::Stopping));
        assert_eq!(now(), Phase::Undoing);
        drop(undoing);
    }

    #[test]
    fn an_error_page_is_no_answer() {
        assert!(answered(Reply::Status(404), Speaks::Http));
        assert!(answered(Reply::NotHttp, Speaks::Tcp));
        assert!(answered(Reply::Open, Speaks::Tcp));
        assert!(!answered(Reply::Status(503), Speaks::Https));
        assert!(!answered(Reply::NotHttp, Speaks::Http));
        for reply in [
            Reply::Status(502),
            Reply::NoServer,
            Reply::Refused,
            Reply::Closed,
            Reply::Silent,
        ] {
            assert!(!answered(reply, Speaks::Http));
        }
    }
}
