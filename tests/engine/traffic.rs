//! Real requests through the load balancer.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// A server that HAProxy can't connect to costs it three more attempts, a second each.
const ANSWERED_WITHIN: Duration = Duration::from_secs(20);

/// `GET /` on a connection of its own: status and body.
pub(crate) fn get(address: &str, port: u16) -> io::Result<(u16, String)> {
    let address: SocketAddr = format!("{address}:{port}")
        .parse()
        .map_err(io::Error::other)?;
    let mut stream = TcpStream::connect_timeout(&address, ANSWERED_WITHIN)?;
    stream.set_read_timeout(Some(ANSWERED_WITHIN))?;
    write!(
        stream,
        "GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )?;
    let mut response = String::new();
    stream.read_to_string(&mut response)?;
    let wrong = || io::Error::other(format!("no HTTP response: {response:?}"));
    let (head, body) = response.split_once("\r\n\r\n").ok_or_else(wrong)?;
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .ok_or_else(wrong)?;
    Ok((status, body.to_owned()))
}

/// Requests get each of the `wanted` bodies, and in the end nothing else.
pub(crate) fn reaches(address: &str, port: u16, wanted: &BTreeSet<String>) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        // HAProxy takes its servers in turns.
        let answers: Vec<_> = (0..wanted.len() * 2).map(|_| get(address, port)).collect();
        let bodies: Option<BTreeSet<String>> = answers
            .iter()
            .map(|answer| {
                answer
                    .as_ref()
                    .ok()
                    .filter(|(status, _)| *status == 200)
                    .map(|(_, body)| body.clone())
            })
            .collect();
        if bodies.as_ref() == Some(wanted) {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "wanted {wanted:?} from {address}:{port}, got {answers:?}"
        );
        thread::sleep(Duration::from_millis(100));
    }
}

/// Requests without a pause, until it is asked for the receipt.
pub(crate) struct Stream {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Receipt>>,
}

/// What became of a stream's requests.
#[derive(Debug, Default)]
pub(crate) struct Receipt {
    /// How often each body came.
    pub bodies: BTreeMap<String, usize>,
    pub failures: Vec<String>,
}

impl Stream {
    pub(crate) fn start(address: &str, port: u16) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let threads = (0..3)
            .map(|_| {
                let (address, stop) = (address.to_owned(), Arc::clone(&stop));
                thread::spawn(move || {
                    let mut receipt = Receipt::default();
                    while !stop.load(Ordering::Relaxed) {
                        receipt.note(get(&address, port));
                        thread::sleep(Duration::from_millis(5));
                    }
                    receipt
                })
            })
            .collect();
        Self { stop, threads }
    }

    pub(crate) fn receipt(mut self) -> Receipt {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Receipt::default();
        for thread in self.threads.drain(..) {
            let receipt = thread.join().unwrap();
            all.failures.extend(receipt.failures);
            for (body, count) in receipt.bodies {
                *all.bodies.entry(body).or_default() += count;
            }
        }
        all
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Receipt {
    fn note(&mut self, answer: io::Result<(u16, String)>) {
        match answer {
            Ok((200, body)) => *self.bodies.entry(body).or_default() += 1,
            Ok((status, body)) => self.failures.push(format!("{status}: {body}")),
            Err(error) => self.failures.push(error.to_string()),
        }
    }

    /// Every request was answered, by instances that say these versions, and each of `instances` had some.
    pub(crate) fn lost_nothing(&self, instances: &[String]) {
        assert!(
            self.failures.is_empty(),
            "{} of the requests failed: {self:?}",
            self.failures.len()
        );
        for instance in instances {
            let served = self
                .bodies
                .keys()
                .any(|body| body.starts_with(&format!("{instance} ")));
            assert!(served, "{instance} served nothing: {self:?}");
        }
    }
}
