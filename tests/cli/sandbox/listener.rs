//! The world around the endpoint: who answers on an address of the external network.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

/// How a TLS connection begins, and how it is declined (RFC 5246, 6.2.1 and 7.2).
const CLIENT_HELLO: u8 = 22;
const HANDSHAKE_FAILURE: &[u8] = &[21, 3, 3, 0, 2, 2, 40];

/// Someone who answers, or stays silent, on an address; gone when dropped.
pub(crate) struct Listener {
    local: SocketAddr,
    stop: Arc<AtomicBool>,
    served: Arc<AtomicU32>,
    thread: Option<thread::JoinHandle<()>>,
    #[expect(dead_code, reason = "held, not read")]
    silent: Option<TcpListener>,
}

impl Listener {
    /// Answers every HTTP request with a text.
    pub(super) fn answering(listener: TcpListener, text: String) -> Self {
        let local = listener.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let served = Arc::new(AtomicU32::new(0));
        let (stopped, count) = (Arc::clone(&stop), Arc::clone(&served));
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                if let Ok(stream) = stream {
                    count.fetch_add(1, Ordering::Relaxed);
                    answer(stream, &text);
                }
            }
        });
        Self {
            local,
            stop,
            served,
            thread: Some(thread),
            silent: None,
        }
    }

    /// Accepts nobody. Once the queue is full the kernel drops every further SYN.
    pub(super) fn silent(listener: TcpListener) -> Self {
        let local = listener.local_addr().unwrap();
        while TcpStream::connect_timeout(&local, Duration::from_millis(100)).is_ok() {}
        Self {
            local,
            stop: Arc::default(),
            served: Arc::default(),
            thread: None,
            silent: Some(listener),
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.local.port()
    }

    /// How many connections were answered.
    pub(crate) fn served(&self) -> u32 {
        self.served.load(Ordering::Relaxed)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // The accept that is under way is ended by a last connection.
            let _ = TcpStream::connect_timeout(&self.local, Duration::from_secs(1));
            let _ = thread.join();
        }
    }
}

fn answer(mut stream: TcpStream, text: &str) {
    let _ = stream.set_read_timeout(Some(Duration::from_secs(60)));
    let mut request = Vec::new();
    let mut buffer = [0; 1024];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut buffer) {
            Ok(count @ 1..) => request.extend_from_slice(&buffer[..count]),
            // A process that was stopped and goes on: a socket with a time limit is not asked again by the kernel (signal(7)).
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            _ => return,
        }
        // Nobody here speaks TLS: "no agreement", and that is all.
        if request[0] == CLIENT_HELLO {
            let _ = stream.write_all(HANDSHAKE_FAILURE);
            return;
        }
    }
    let _ = stream.write_all(text.as_bytes());
}
