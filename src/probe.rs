//! `--probe`: a modest stream of requests through the load balancer while it is being changed, and changed back where
//! that fails, and a receipt at the end.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::http::{self, Reply, Speaks, Within};
use crate::judge::{self, Quality};
use crate::place::Place;
use crate::plan::Action;

/// How many requests may be on their way at the same time.
const STREAMS: usize = 4;
/// Between two requests of one stream: together about 50 a second.
const PAUSE: Duration = Duration::from_millis(80);
/// A request without an answer for this long has failed.
const PATIENCE: Within = Within::each(Duration::from_secs(10));

/// What is going on while a request is on its way, from first to last. Where steps go side by side, it is the latest of
/// theirs: nothing that a reload costs is put down to the instances that start beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    Starting,
    Reloading,
    Watching,
    Draining,
    Stopping,
    /// All of the way back, after a failure.
    Undoing,
}

impl Phase {
    const ALL: [Self; 6] = [
        Self::Starting,
        Self::Reloading,
        Self::Watching,
        Self::Draining,
        Self::Stopping,
        Self::Undoing,
    ];

    /// The phase that `action` belongs to.
    pub fn of(action: &Action) -> Self {
        match action {
            Action::Reload(_) | Action::RestoreConfig(_) => Self::Reloading,
            Action::Watch(_) => Self::Watching,
            Action::Drain => Self::Draining,
            Action::Stop(_)
            | Action::Remove(_)
            | Action::StopLb
            | Action::SetLbAside
            | Action::TakeLbBack
            | Action::RemoveLbAside
            | Action::RemoveLb
            | Action::RemoveNetwork => Self::Stopping,
            Action::Pull(_)
            | Action::CreateNetwork
            | Action::Run(_)
            | Action::Start(_)
            | Action::CreateLb { .. }
            | Action::CopyFiles
            | Action::ConnectLb
            | Action::CopyConfig(_)
            | Action::StartLb
            | Action::AwaitService
            | Action::AwaitReady(_) => Self::Starting,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Reloading => "reloading",
            Self::Watching => "watching",
            Self::Draining => "draining",
            Self::Stopping => "stopping",
            Self::Undoing => "undoing",
        }
    }
}

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
    /// What somebody at `place` replies; `None` where that is nothing that a receipt could count.
    pub fn replies(place: &Place, speaks: Speaks) -> Option<Reply> {
        let within = Within::each(Duration::from_secs(2));
        let reply = http::ask(&place.address, place.port, speaks, within);
        answered(reply, speaks).then_some(reply)
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

/// Whether the service works by this reply: an error page, the load balancer's own 503, a reset or a refusal are failures.
fn answered(reply: Reply, speaks: Speaks) -> bool {
    judge::quality(reply, speaks) == Quality::Works
}

/// What came of the requests of one phase, or of all.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tally {
    pub sent: usize,
    pub failed: usize,
    pub median_ms: Option<f64>,
    pub p99_ms: Option<f64>,
}

impl Tally {
    fn new<'a>(samples: impl IntoIterator<Item = &'a Option<Duration>>) -> Self {
        let (mut sent, mut times) = (0, Vec::new());
        for sample in samples {
            sent += 1;
            times.extend(*sample);
        }
        times.sort_unstable();
        let at = |percent: usize| {
            // The nearest rank: the smallest time that this share of the requests does not exceed.
            let rank = (times.len() * percent).div_ceil(100).max(1);
            times.get(rank - 1).map(|time| time.as_secs_f64() * 1000.0)
        };
        Self {
            sent,
            failed: sent - times.len(),
            median_ms: at(50),
            p99_ms: at(99),
        }
    }

    fn line(&self) -> String {
        let mut line = format!("{} sent, {} failed", self.sent, self.failed);
        if let (Some(median), Some(p99)) = (self.median_ms, self.p99_ms) {
            let _ = write!(line, ", median {median:.1} ms, 99% within {p99:.1} ms");
        }
        line
    }
}

/// The receipt of a change.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Receipt {
    pub total: Tally,
    pub phases: Vec<PhaseTally>,
}

/// The requests that were begun in one phase.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PhaseTally {
    pub phase: Phase,
    #[serde(flatten)]
    pub tally: Tally,
}

impl Receipt {
    fn new(samples: &[Vec<Option<Duration>>; Phase::ALL.len()]) -> Self {
        let phases = Phase::ALL
            .iter()
            .zip(samples)
            .filter(|(_, samples)| !samples.is_empty());
        Self {
            total: Tally::new(samples.iter().flatten()),
            phases: phases
                .map(|(&phase, samples)| PhaseTally {
                    phase,
                    tally: Tally::new(samples),
                })
                .collect(),
        }
    }

    /// For people, one line for the whole and one for each phase.
    pub fn text(&self) -> String {
        let mut text = format!("probe: {}\n", self.total.line());
        for PhaseTally { phase, tally } in &self.phases {
            let _ = writeln!(text, "  {:<9} {}", phase.word(), tally.line());
        }
        text
    }
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
    fn a_receipt_counts_failures_and_ranks_times() {
        let ms = |ms| Some(Duration::from_millis(ms));
        let mut samples: [Vec<Option<Duration>>; Phase::ALL.len()] = Default::default();
        samples[Phase::Starting as usize] = vec![ms(1), ms(2), ms(9)];
        samples[Phase::Reloading as usize] = vec![None, ms(4)];
        let receipt = Receipt::new(&samples);
        assert_eq!(
            receipt.text(),
            "probe: 5 sent, 1 failed, median 2.0 ms, 99% within 9.0 ms\n  starting  3 sent, 0 failed, median 2.0 ms, \
             99% within 9.0 ms\n  reloading 2 sent, 1 failed, median 4.0 ms, 99% within 4.0 ms\n"
        );
        assert_eq!(Tally::new(&[None]).line(), "1 sent, 1 failed");
    }

    #[test]
    fn an_error_page_is_no_answer() {
        assert!(answered(Reply::Status(404), Speaks::Http));
        assert!(answered(Reply::NotHttp, Speaks::Tcp));
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
