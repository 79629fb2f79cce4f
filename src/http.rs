//! One question to a port: does somebody answer there? For the load balancer and for instances, over HTTP.

use std::io::{self, Read, Write as _};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use ureq::Agent;
use ureq::tls::TlsConfig;

/// What came of asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// An HTTP response with this status.
    Status(u16),
    /// HAProxy's own 503: it is there, but no server of its is.
    NoServer,
    /// A connection, and something on it that is no HTTP.
    NotHttp,
    /// A connection that stays, and on which nothing was said, or no TLS agreed on. HAProxy takes connections before it has
    /// a server for them: who is behind it is not told.
    Open,
    /// A connection on which no response came in time: from HAProxy that may be a slow service, or none at all, since it
    /// tries servers that don't answer for up to 15 s before it says so.
    Mute,
    /// A connection that was closed, or reset, before anything came.
    Closed,
    Refused,
    /// Nothing at all: a firewall, no route, or a host that isn't there.
    Silent,
}

impl Reply {
    /// The status of a response, HAProxy's own too.
    pub fn status(self) -> Option<u16> {
        match self {
            Self::Status(status) => Some(status),
            Self::NoServer => Some(503),
            Self::NotHttp
            | Self::Open
            | Self::Mute
            | Self::Closed
            | Self::Refused
            | Self::Silent => None,
        }
    }

    /// Whether a service that replies so answers; `None` where that can't be told from here.
    pub fn answers(self) -> Option<bool> {
        match self {
            Self::Status(_) | Self::NotHttp => Some(true),
            Self::NoServer | Self::Refused | Self::Closed => Some(false),
            Self::Open | Self::Mute | Self::Silent => None,
        }
    }
}

/// What a port is expected to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaks {
    Http,
    /// HTTP under TLS. Whose the certificate is does not matter here: it is asked by address, and for an answer alone.
    Https,
    /// Something else: whether a connection stays open is all that can be asked.
    Tcp,
}

/// How long a connection has to stay open to count: one that leads nowhere is closed at once.
const STAYS_OPEN: Duration = Duration::from_millis(300);

/// How long to wait for what.
#[derive(Debug, Clone, Copy)]
pub struct Within {
    /// For the connection: a host that answers at all does so far sooner than a service.
    pub connect: Duration,
    pub respond: Duration,
}

impl Within {
    /// As long for the one as for the other.
    pub const fn each(timeout: Duration) -> Self {
        Self {
            connect: timeout,
            respond: timeout,
        }
    }
}

/// Asks for `path` as HAProxy's checks do (`option httpchk GET`), so that nobody gets another answer than it will: HTTP/1.0
/// and no name of a host, unless one is given.
pub fn check(address: &str, port: u16, path: &str, host: Option<&str>, within: Within) -> Reply {
    let mut stream = match opened(address, port, within.connect) {
        Ok(stream) => stream,
        Err(reply) => return reply,
    };
    let request = match host {
        Some(host) => format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"),
        None => format!("GET {path} HTTP/1.0\r\n\r\n"),
    };
    let sent = stream
        .set_read_timeout(Some(within.respond))
        .and_then(|()| stream.write_all(request.as_bytes()));
    if let Err(error) = sent {
        return io_reply(&error);
    }
    // `HTTP/1.1 200` is all that counts.
    let mut head = Vec::new();
    match stream.take(12).read_to_end(&mut head) {
        _ if head.len() == 12 => status(&head).map_or(Reply::NotHttp, Reply::Status),
        Ok(_) if head.is_empty() => Reply::Closed,
        Ok(_) => Reply::NotHttp,
        Err(error) => match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Reply::Mute,
            _ => Reply::Closed,
        },
    }
}

/// The status in `HTTP/1.1 200`.
fn status(head: &[u8]) -> Option<u16> {
    let text = std::str::from_utf8(head).ok()?;
    let (version, status) = text.split_once(' ')?;
    version.strip_prefix("HTTP/")?;
    status.parse().ok()
}

/// Asks whether somebody answers on a port.
pub fn ask(address: &str, port: u16, speaks: Speaks, within: Within) -> Reply {
    match speaks {
        Speaks::Http => get("http", address, port, within),
        Speaks::Https => get("https", address, port, within),
        Speaks::Tcp => connect(address, port, within.connect),
    }
}

fn opened(address: &str, port: u16, timeout: Duration) -> Result<TcpStream, Reply> {
    let mut targets = (address, port).to_socket_addrs();
    let target = targets.as_mut().ok().and_then(Iterator::next);
    let target = target.ok_or(Reply::Silent)?;
    TcpStream::connect_timeout(&target, timeout).map_err(|error| io_reply(&error))
}

fn connect(address: &str, port: u16, timeout: Duration) -> Reply {
    let mut stream = match opened(address, port, timeout) {
        Ok(stream) => stream,
        Err(reply) => return reply,
    };
    if stream.set_read_timeout(Some(STAYS_OPEN)).is_err() {
        return Reply::Open;
    }
    match stream.read(&mut [0; 64]) {
        Ok(0) => Reply::Closed,
        Ok(_) => Reply::NotHttp,
        Err(error) => match error.kind() {
            // Nothing was said, and the connection is still there.
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Reply::Open,
            _ => Reply::Closed,
        },
    }
}

/// HAProxy's own page for a backend without a server; an application's 503 says something else.
const NO_SERVER: &str = "No server is available to handle this request";

/// Asks `scheme://address:port/`.
fn get(scheme: &str, address: &str, port: u16, within: Within) -> Reply {
    let agent = agent(within);
    let host = if address.contains(':') {
        format!("[{address}]")
    } else {
        address.to_owned()
    };
    match agent.get(format!("{scheme}://{host}:{port}/")).call() {
        Ok(mut response) => {
            let status = response.status().as_u16();
            let is_haproxys = status == 503
                && response
                    .body_mut()
                    .with_config()
                    .limit(4096)
                    .read_to_string()
                    .is_ok_and(|body| body.contains(NO_SERVER));
            if is_haproxys {
                Reply::NoServer
            } else {
                Reply::Status(status)
            }
        }
        Err(error) => reply(&error),
    }
}

/// A client that takes any status for an answer, goes nowhere else, and opens a connection for each request.
fn agent(within: Within) -> Agent {
    Agent::config_builder()
        .timeout_connect(Some(within.connect))
        .timeout_recv_response(Some(within.respond))
        .timeout_recv_body(Some(within.respond))
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .max_idle_connections(0)
        .proxy(None)
        .tls_config(TlsConfig::builder().disable_verification(true).build())
        .user_agent(concat!("vch-lb/", env!("CARGO_PKG_VERSION")))
        .build()
        .into()
}

fn reply(error: &ureq::Error) -> Reply {
    match error {
        ureq::Error::Io(error) => io_reply(error),
        ureq::Error::Timeout(ureq::Timeout::RecvResponse | ureq::Timeout::RecvBody) => Reply::Mute,
        ureq::Error::Protocol(_) => Reply::NotHttp,
        ureq::Error::Tls(_) | ureq::Error::Rustls(_) => Reply::Open,
        _ => Reply::Silent,
    }
}

fn io_reply(error: &io::Error) -> Reply {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Reply::Refused,
        // What TLS says that went wrong.
        io::ErrorKind::InvalidData => Reply::Open,
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::UnexpectedEof => Reply::Closed,
        _ => Reply::Silent,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;

    use super::*;

    const PATIENCE: Within = Within::each(Duration::from_millis(500));

    /// Answers one connection with `text` and closes it.
    fn once(text: &'static str) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            if !text.is_empty() {
                let _ = stream.read(&mut [0; 1024]);
                let _ = stream.write_all(text.as_bytes());
            }
        });
        port
    }

    #[test]
    fn every_kind_of_reply_is_told_apart() {
        for (text, reply) in [
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
                Reply::Status(200),
            ),
            (
                "HTTP/1.0 302 Found\r\nLocation: http://elsewhere.invalid/\r\n\r\n",
                Reply::Status(302),
            ),
            (
                "HTTP/1.0 503 Service Unavailable\r\n\r\nbusy",
                Reply::Status(503),
            ),
            (
                "HTTP/1.0 503 Service Unavailable\r\n\r\n<h1>503</h1>\nNo server is available to handle this request.\n",
                Reply::NoServer,
            ),
            ("220 mail ready\r\n", Reply::NotHttp),
            ("", Reply::Closed),
        ] {
            assert_eq!(
                get("http", "127.0.0.1", once(text), PATIENCE),
                reply,
                "{text}"
            );
        }
    }

    #[test]
    fn a_check_is_asked_as_haproxy_asks_and_only_its_status_counts() {
        for (text, reply) in [
            ("HTTP/1.1 200 OK\r\n\r\n", Reply::Status(200)),
            ("HTTP/1.0 404\r\n", Reply::Status(404)),
            (
                "HTTP/1.0 503 Service Unavailable\r\n\r\nNo server is available to handle this request.\n",
                Reply::Status(503),
            ),
            ("HTTP/1.0 2", Reply::NotHttp),
            ("220 mail ready\r\n", Reply::NotHttp),
            ("", Reply::Closed),
        ] {
            let reply_now = check("127.0.0.1", once(text), "/health", None, PATIENCE);
            assert_eq!(reply_now, reply, "{text}");
        }
        for (host, request) in [
            (None, "GET /health?a=b HTTP/1.0\r\n\r\n"),
            (
                Some("shop"),
                "GET /health?a=b HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n",
            ),
        ] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let port = listener.local_addr().unwrap().port();
            let asked = std::thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = [0; 1024];
                let length = stream.read(&mut request).unwrap();
                String::from_utf8_lossy(&request[..length]).into_owned()
            });
            check("127.0.0.1", port, "/health?a=b", host, PATIENCE);
            assert_eq!(asked.join().unwrap(), request);
        }
    }

    #[test]
    fn a_connection_that_stays_is_told_from_one_that_says_something() {
        let ask = |port| ask("127.0.0.1", port, Speaks::Tcp, PATIENCE);
        assert_eq!(ask(once("")), Reply::Closed);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(ask(port), Reply::Open);
        let greeting = std::thread::spawn(move || {
            let (mut early, _) = listener.accept().unwrap();
            assert_eq!(early.read(&mut [0; 8]).unwrap(), 0);
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(b"220 mail ready\r\n").unwrap();
            listener
        });
        assert_eq!(ask(port), Reply::NotHttp);
        let listener = greeting.join().unwrap();
        drop(listener);
        assert_eq!(ask(port), Reply::Refused);
    }

    #[test]
    fn where_no_tls_is_agreed_on_a_connection_is_all_that_is_told() {
        for said in [
            "HTTP/1.1 400 Bad Request\r\n\r\n",
            // A fatal alert: handshake failure.
            "\u{15}\u{3}\u{3}\0\u{2}\u{2}(",
        ] {
            assert_eq!(get("https", "127.0.0.1", once(said), PATIENCE), Reply::Open);
        }
        assert_eq!(get("https", "127.0.0.1", once(""), PATIENCE), Reply::Closed);
    }

    #[test]
    fn a_port_without_a_listener_refuses() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        assert_eq!(get("http", "127.0.0.1", port, PATIENCE), Reply::Refused);
    }

    #[test]
    fn a_listener_that_says_nothing_is_mute_and_does_not_answer() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(get("http", "127.0.0.1", port, PATIENCE), Reply::Mute);
        assert_eq!(Reply::Mute.answers(), None);
    }
}
