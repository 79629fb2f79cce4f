//! What connections show of who answers at a place: those in a container's own table, and those that nobody should take.
//!
//! The table is the kernel's, `/proc/net/tcp` of the container's network namespace, read through `docker exec`. It works in
//! every image with a `cat`, and through a translation of the destination's address alone. A proxy on the way, or a
//! translation of the source, hides the connection: that it is missing proves nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::time::{Duration, Instant};

use crate::docker::{Docker, argv};
use crate::place::{Place, Shown, Workstation};

/// How many connections are held: two of them are not another client's by chance, where only their ports are recognised.
const HELD: usize = 2;
const CONNECT: Duration = Duration::from_secs(2);

/// A proxy on the way takes a connection within so long, at least.
const INTERCEPTED_WITHIN: Duration = Duration::from_millis(100);

/// One line of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    local_port: u16,
    remote: SocketAddr,
    state: u8,
}

/// As the kernel numbers them (`include/net/tcp_states.h`).
const ESTABLISHED: u8 = 1;
const CLOSE_WAIT: u8 = 8;
const LISTEN: u8 = 10;

/// Connects to `place` and looks for that in the table of `container`, which serves on `port`.
pub fn shown(docker: &Docker, container: &str, port: u16, place: &Place) -> Shown {
    let held: Vec<TcpStream> = (0..HELD).map_while(|_| connect(place)).collect();
    let from: Vec<SocketAddr> = held
        .iter()
        .filter_map(|stream| stream.local_addr().ok())
        .collect();
    let table = argv::exec(container, &["cat", "/proc/net/tcp", "/proc/net/tcp6"]);
    let text = match docker.query(&table) {
        Ok(answer) => answer.stdout,
        // Where there is no IPv6 there is no second file.
        Err(error) => error.stdout,
    };
    drop(held);
    let text = String::from_utf8_lossy(&text);
    judge(entries(&text).as_deref(), port, &from)
}

/// Whether something answers at `nobody`, too, an address beside `place` that is nobody's: a proxy on the way that takes
/// every connection.
///
/// Such a proxy is nearer than whoever it answers for, and takes the one connection as soon as the other. So it is waited no
/// longer than a few times of what the connection to `place` takes: where there is none, nothing comes back at all.
pub fn intercepted(place: &Place, nobody: IpAddr) -> bool {
    let begun = Instant::now();
    if connect(place).is_none() {
        return false;
    }
    let patience = (begun.elapsed() * 4).max(INTERCEPTED_WITHIN);
    TcpStream::connect_timeout(&SocketAddr::new(nobody, place.port), patience).is_ok()
}

fn connect(place: &Place) -> Option<TcpStream> {
    let mut targets = (place.address.as_str(), place.port)
        .to_socket_addrs()
        .ok()?;
    TcpStream::connect_timeout(&targets.next()?, CONNECT).ok()
}

fn judge(table: Option<&[Entry]>, port: u16, from: &[SocketAddr]) -> Shown {
    let Some(table) = table else {
        return Shown::Nothing;
    };
    let here = || table.iter().filter(|entry| entry.local_port == port);
    let mut open = here().filter(|entry| matches!(entry.state, ESTABLISHED | CLOSE_WAIT));
    let is_there = open.clone().any(|entry| from.contains(&entry.remote));
    let mut ports = from.iter().map(SocketAddr::port);
    let all_ports = from.len() >= HELD
        && ports.all(|port| open.clone().any(|entry| entry.remote.port() == port));
    if is_there || (all_ports && open.next().is_some()) {
        Shown::Connection
    } else if here().any(|entry| entry.state == LISTEN) {
        Shown::Listener
    } else {
        Shown::NoListener
    }
}

/// The lines of `/proc/net/tcp` and `/proc/net/tcp6`: `sl local_address rem_address st …`, in hexadecimal. `None` where
/// there is not even their head.
fn entries(text: &str) -> Option<Vec<Entry>> {
    let entry = |line: &str| {
        let mut words = line.split_whitespace();
        words.next()?.strip_suffix(':')?;
        let (_, local_port) = socket(words.next()?)?;
        let (ip, port) = socket(words.next()?)?;
        let state = u8::from_str_radix(words.next()?, 16).ok()?;
        Some(Entry {
            local_port,
            remote: SocketAddr::new(ip, port),
            state,
        })
    };
    text.contains("local_address")
        .then(|| text.lines().filter_map(entry).collect())
}

/// `0100007F:0050`: words of four bytes in the order of the machine, which is little-endian wherever containers are run;
/// the port is a plain number. An IPv4 address in an IPv6 one is that IPv4 address.
fn socket(text: &str) -> Option<(IpAddr, u16)> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| {
        let digits = address.get(at * 8..at * 8 + 8)?;
        u32::from_str_radix(digits, 16).ok().map(u32::swap_bytes)
    };
    let ip = match address.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?)),
        32 => {
            let mut bytes = [0; 16];
            for at in 0..4 {
                bytes[at * 4..at * 4 + 4].copy_from_slice(&word(at)?.to_be_bytes());
            }
            Ipv6Addr::from(bytes).to_canonical()
        }
        _ => return None,
    };
    Some((ip, port))
}

/// This workstation, as it would ask at `place`. Nothing is sent.
pub fn workstation(place: &Place) -> Workstation {
    Workstation {
        name: own_name(),
        source: source(place),
    }
}

fn source(place: &Place) -> Option<IpAddr> {
    let mut targets = (place.address.as_str(), place.port)
        .to_socket_addrs()
        .ok()?;
    let target = targets.next()?;
    let any: IpAddr = if target.is_ipv6() {
        Ipv6Addr::UNSPECIFIED.into()
    } else {
        Ipv4Addr::UNSPECIFIED.into()
    };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(target).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// This machine's name. Engines run by themselves on Linux alone; elsewhere they are in a virtual machine, which has a name of its own.
pub fn own_name() -> Option<String> {
    if !cfg!(target_os = "linux") {
        return None;
    }
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    Some(name.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    const TABLE: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n\
         \x20  0: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1\n\
         \x20  1: 020011AC:0050 010011AC:C350 01 00000000:00000000 00:00000000 00000000     0        0 2 1\n\
         \x20  2: 020011AC:0050 010011AC:C351 08 00000000:00000000 00:00000000 00000000     0        0 2 1\n\
         \x20  3: 020011AC:0050 010011AC:C352 06 00000000:00000000 00:00000000 00000000     0        0 2 1\n\
         \x20  4: 020011AC:9000 010012AC:0050 01 00000000:00000000 00:00000000 00000000     0        0 2 1\n\
         \x20 sl  local_address                         remote_address                        st\n\
         \x20  0: 0000000000000000FFFF0000020011AC:0050 0000000000000000FFFF0000010011AC:C360 01 00000000:00000000\n\
         \x20  1: 0000000000000000FFFF0000020011AC:0051 000080FE000000000000000001000000:C361 01 00000000:00000000\n";

    fn at(sockets: &[&str]) -> Vec<SocketAddr> {
        sockets
            .iter()
            .map(|socket| socket.parse().unwrap())
            .collect()
    }

    #[test]
    fn the_kernels_table_is_read() {
        let entries = entries(TABLE).unwrap();
        assert_eq!(entries.len(), 7);
        let remotes: Vec<String> = entries
            .iter()
            .map(|entry| entry.remote.to_string())
            .collect();
        assert_eq!(remotes[1], "172.17.0.1:50000");
        assert_eq!(remotes[5], "172.17.0.1:50016");
        assert_eq!(remotes[6], "[fe80::1]:50017");
        for odd in [
            "",
            "cat: /proc/net/tcp: No such file",
            "0: zz:1 2:3 4",
            "0: 1:2 3:4 é",
            "sl x y z",
        ] {
            assert_eq!(super::entries(odd), None, "{odd}");
            let table = format!("  sl  local_address\n{odd}");
            assert_eq!(super::entries(&table), Some(Vec::new()), "{odd}");
        }
    }

    #[test]
    fn a_connection_is_recognised_by_its_address_or_two_of_them_by_their_ports() {
        let entries = entries(TABLE).unwrap();
        for (port, from, expected) in [
            (80, &["172.17.0.1:50000"][..], Shown::Connection),
            (80, &["172.17.0.1:50016"], Shown::Connection),
            // Behind a translation of the source's address.
            (80, &["10.0.0.9:50000", "10.0.0.9:50001"], Shown::Connection),
            (80, &["10.0.0.9:50000"], Shown::Listener),
            (80, &["10.0.0.9:50000", "10.0.0.9:50009"], Shown::Listener),
            // Over by now, or to another port.
            (80, &["172.17.0.1:50002"], Shown::Listener),
            (81, &["172.17.0.1:50000"], Shown::NoListener),
            (80, &[], Shown::Listener),
        ] {
            assert_eq!(
                judge(Some(&entries), port, &at(from)),
                expected,
                "{port} {from:?}"
            );
        }
        let from = at(&["172.17.0.1:50000"]);
        assert_eq!(judge(Some(&[]), 80, &from), Shown::NoListener);
        assert_eq!(judge(None, 80, &from), Shown::Nothing);
    }

    proptest::proptest! {
        #[test]
        fn whatever_a_container_prints_is_no_table_or_a_table(text: String, bytes: Vec<u8>) {
            entries(&text);
            entries(&String::from_utf8_lossy(&bytes));
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_connection_of_this_machine_is_in_its_own_table() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let held = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let from = held.local_addr().unwrap();
        assert_eq!(
            judge(entries(&table).as_deref(), port, &[from]),
            Shown::Connection
        );
        drop((held, listener));
    }

    #[test]
    fn who_answers_for_nobody_too_is_on_the_way() {
        let listener = TcpListener::bind("127.0.0.21:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let place = Place {
            via: crate::place::Via::Network,
            address: "127.0.0.21".into(),
            port,
        };
        let nobody = IpAddr::from([127, 0, 0, 22]);
        assert!(!intercepted(&place, nobody));
        let proxy = TcpListener::bind((nobody, port)).unwrap();
        assert!(intercepted(&place, nobody));
        drop((listener, proxy));
    }

    #[test]
    fn the_source_of_a_question_is_known_without_asking() {
        let place = Place {
            via: crate::place::Via::Network,
            address: "127.0.0.9".into(),
            port: 9,
        };
        assert!(workstation(&place).source.unwrap().is_loopback());
    }
}
