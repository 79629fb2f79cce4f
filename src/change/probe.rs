//! `--probe`: a modest stream of requests through the load balancer while it is being changed, and changed back where
//! that fails, and a receipt at the end.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::run::lock;
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
/// How long the last ones at a place may take that the service leaves.
const LAST_ONES: Duration = Duration::from_secs(2);

/// What came of the requests that were begun once the last configuration of a change was in force: what clients will get
/// from now on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Since {
    pub sent: usize,
    pub failed: usize,
}

/// Where clients come in, and what is spoken there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct At {
    pub place: Place,
    pub speaks: Speaks,
}

/// Requests on their way.
pub struct Probe {
    shared: Arc<Shared>,
    streams: Vec<JoinHandle<()>>,
}

struct Shared {
    /// Where it is asked; `None` while that changes.
    at: Mutex<Option<At>>,
    /// How many requests are on their way.
    under_way: AtomicUsize,
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

    /// Begins to send requests to `at`.
    pub fn start(at: At) -> Self {
        let shared = Arc::new(Shared::new(Some(at)));
        let stream = |_| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.ask_until_stopped())
        };
        let streams = (0..STREAMS).map(stream).collect();
        Self { shared, streams }
    }

    /// `change` brings the service to `at`: where that is another place, nobody is asked meanwhile, for the former one ends by
    /// intent, and the new one may not be there yet; then those there are asked, if it succeeds.
    pub fn moving<T, E>(
        &self,
        at: Option<At>,
        change: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let former = lock(&self.shared.at).clone();
        let Some(at) = at.filter(|at| former.as_ref() != Some(at)) else {
            return change();
        };
        *lock(&self.shared.at) = None;
        let started = Instant::now();
        while self.shared.under_way.load(Ordering::SeqCst) > 0 && started.elapsed() < LAST_ONES {
            thread::sleep(Duration::from_millis(5));
        }
        let changed = change();
        *lock(&self.shared.at) = if changed.is_ok() { Some(at) } else { former };
        changed
    }

    /// From now on `at` is asked.
    pub fn moved(&self, at: At) {
        *lock(&self.shared.at) = Some(at);
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
        let samples = lock(&self.shared.samples);
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
    fn new(at: Option<At>) -> Self {
        Self {
            at: Mutex::new(at),
            under_way: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
            phase: AtomicUsize::new(0),
            going_on: Mutex::default(),
            last: AtomicBool::new(false),
            since: Mutex::default(),
            samples: Mutex::default(),
        }
    }

    fn change(&self, change: impl FnOnce(&mut [usize; Phase::ALL.len()])) {
        let mut going_on = lock(&self.going_on);
        change(&mut going_on);
        // Between two steps it is still the last one's.
        if let Some(latest) = going_on.iter().rposition(|&steps| steps > 0) {
            self.phase.store(latest, Ordering::Relaxed);
        }
    }

    fn since(&self) -> MutexGuard<'_, Since> {
        lock(&self.since)
    }

    fn ask_until_stopped(&self) {
        while !self.stop.load(Ordering::Relaxed) {
            self.under_way.fetch_add(1, Ordering::SeqCst);
            let at = lock(&self.at).clone();
            let took = at.map_or(Duration::ZERO, |at| self.ask(&at));
            self.under_way.fetch_sub(1, Ordering::SeqCst);
            thread::sleep(PAUSE.saturating_sub(took));
        }
    }

    /// One request, and how long it took.
    fn ask(&self, At { place, speaks }: &At) -> Duration {
        let phase = self.phase.load(Ordering::Relaxed);
        let last = self.last.load(Ordering::Relaxed);
        let started = Instant::now();
        let reply = http::ask(&place.address, place.port, *speaks, PATIENCE);
        let took = started.elapsed();
        let sample = answered(reply, *speaks).then_some(took);
        if last {
            let mut since = self.since();
            since.sent += 1;
            since.failed += usize::from(sample.is_none());
        }
        self.samples.lock().unwrap_or_else(PoisonError::into_inner)[phase].push(sample);
        took
    }
}

/// Whether nothing failed by this reply: an error page, the load balancer's own 503, a reset or a refusal are failures. Of
/// what is no HTTP, a connection that stays is all that a client without words of its own can get.
fn answered(reply: Reply, speaks: Speaks) -> bool {
    judge::quality(reply, speaks) >= Quality::Open
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use super::*;
    use crate::place::Via;

    #[test]
    fn of_steps_side_by_side_the_latest_phase_counts() {
        let shared = Arc::new(Shared::new(None));
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

    /// Somebody who answers 200, until it is closed.
    struct Answering {
        at: At,
        answered: Arc<AtomicUsize>,
        closed: Arc<AtomicBool>,
        thread: JoinHandle<()>,
    }

    impl Answering {
        fn open() -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            listener.set_nonblocking(true).unwrap();
            let port = listener.local_addr().unwrap().port();
            let (answered, closed) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
            let thread = thread::spawn({
                let (answered, closed) = (Arc::clone(&answered), Arc::clone(&closed));
                move || {
                    while !closed.load(Ordering::SeqCst) {
                        let Ok((mut stream, _)) = listener.accept() else {
                            thread::sleep(Duration::from_millis(1));
                            continue;
                        };
                        stream.set_nonblocking(false).unwrap();
                        let _ = stream.read(&mut [0; 1024]);
                        let reply =
                            b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
                        let _ = stream.write_all(reply);
                        answered.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
            let place = Place {
                via: Via::Network,
                address: "127.0.0.1".into(),
                port,
            };
            let speaks = Speaks::Http;
            Self {
                at: At { place, speaks },
                answered,
                closed,
                thread,
            }
        }

        fn serves(&self, more: usize) {
            let wanted = self.answered.load(Ordering::SeqCst) + more;
            let deadline = Instant::now() + Duration::from_secs(20);
            while self.answered.load(Ordering::SeqCst) < wanted {
                assert!(Instant::now() < deadline);
                thread::sleep(Duration::from_millis(5));
            }
        }

        fn close(self) {
            self.closed.store(true, Ordering::SeqCst);
            self.thread.join().unwrap();
        }
    }

    #[test]
    fn it_goes_along_where_the_service_moves_and_stays_where_that_fails() {
        let (former, next) = (Answering::open(), Answering::open());
        let probe = Probe::start(former.at.clone());
        former.serves(5);
        let failed: Result<(), ()> = probe.moving(Some(next.at.clone()), || Err(()));
        assert!(failed.is_err());
        former.serves(5);
        assert_eq!(next.answered.load(Ordering::SeqCst), 0);
        let to = next.at.clone();
        let moved: Result<(), ()> = probe.moving(Some(to), || {
            former.close();
            Ok(())
        });
        assert!(moved.is_ok());
        next.serves(5);
        let receipt = probe.finish();
        assert!(receipt.total.sent >= 15, "{receipt:?}");
        assert_eq!(receipt.total.failed, 0, "{receipt:?}");
        next.close();
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
