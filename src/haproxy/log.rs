//! What HAProxy says in its log and in `haproxy -c`: small functions on lines, each quoting what it looks for. Pure.
//!
//! The texts of 1.7 to 3.2 differ; those that count are the same in all: a fatal problem is an `[ALERT]`.
//!
//! With LB_LOG=stdout the access log stands between HAProxy's own lines, on a VCH even in the same stream. Clients choose
//! most of what such a line holds, but not how it begins: with their address. So it is the beginning of a line, or of
//! what it says behind its level, that is looked at; servers have a word in the rest of HAProxy's own lines, too.

use std::collections::{BTreeMap, VecDeque};

use crate::moment::Moment;

/// A log line and the endpoint's own time in front of it, as `docker logs -t` prints them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Line {
    pub time: Moment,
    pub text: String,
}

/// A line as `docker logs -t` prints it; docker's own words have no time.
pub fn line(line: &str) -> Option<Line> {
    let (time, text) = line.split_once(' ')?;
    Some(Line {
        time: Moment::parse(time)?,
        text: text.to_owned(),
    })
}

/// How many of HAProxy's own lines are kept of a log: far more than tell of a few reloads.
const KEPT: usize = 5000;

/// What is kept of a log while it is read: with LB_LOG=stdout nearly all of it is about requests.
#[derive(Debug, Default)]
pub struct Own {
    lines: VecDeque<Line>,
    /// The latest time of all lines.
    last: Option<Moment>,
    /// How many lines there were.
    read: usize,
}

impl Own {
    pub fn add(&mut self, line: Line) {
        self.read += 1;
        self.last = self.last.max(Some(line.time));
        if !is_own(&line.text) {
            return;
        }
        if self.lines.len() == KEPT {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    pub fn last(&self) -> Option<Moment> {
        self.last
    }

    pub fn read(&self) -> usize {
        self.read
    }

    /// HAProxy's own lines, the last of them if there are very many, in the order of their times.
    pub fn in_order(self) -> Vec<Line> {
        let mut lines = Vec::from(self.lines);
        lines.sort_by_key(|line| line.time);
        lines
    }
}

fn is_own(line: &str) -> bool {
    LEVELS.iter().any(|level| line.starts_with(level))
        || begun(line)
        || checked(line).is_some()
        || without_a_server(line).is_some()
}

/// Whether this HAProxy is one that tells of its reloads, as all but 1.8 do in one way or another.
pub fn tells_of_reloads(lines: &[Line]) -> bool {
    lines.iter().any(|line| reload_seen(&line.text))
}

/// A sign that a reload was begun: a new worker, or 1.7's
/// `<7>haproxy-systemd-wrapper: executing /usr/…/haproxy … -sf 8`.
pub fn reload_seen(line: &str) -> bool {
    says_loaded(line)
        || new_worker(line).is_some()
        || without_priority(line).starts_with("haproxy-systemd-wrapper: executing")
}

/// A line behind the `<7>` that systemd reads as its priority.
fn without_priority(line: &str) -> &str {
    let rest = line.strip_prefix('<').and_then(|rest| rest.split_once('>'));
    match rest {
        Some((priority, rest)) if priority.parse::<u8>().is_ok() => rest,
        _ => line,
    }
}

/// `[ALERT] 327/101010 (1) : Fatal errors found in configuration`: from 1.5 to 3.2. That no server is left is one too, but
/// says nothing against a configuration.
pub fn alerts<'a>(lines: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    lines
        .into_iter()
        .filter(|line| line.starts_with("[ALERT]") && without_a_server(line).is_none())
        .collect()
}

/// What HAProxy's checks of its servers came to, by the log. A check that passes from the start is not told; 1.7 and 1.8
/// tell nothing at all.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Checks<'a> {
    /// Those that are down: the line that says why, by `BACKEND/SERVER`.
    down: BTreeMap<&'a str, &'a str>,
    /// The backends that have no server left, and the lines that say so.
    empty: BTreeMap<&'a str, &'a str>,
}

impl<'a> Checks<'a> {
    /// From the lines since HAProxy took its configuration, in their order.
    pub fn new(lines: impl IntoIterator<Item = &'a str>) -> Self {
        let mut checks = Self::default();
        for line in lines {
            if let Some((server, up)) = checked(line) {
                if up {
                    checks.down.remove(server);
                    checks.empty.remove(backend(server));
                } else {
                    checks.down.insert(server, line);
                }
            } else if let Some(backend) = without_a_server(line) {
                checks.empty.insert(backend, line);
            }
        }
        checks
    }

    /// The numbers of the servers that are down, and the line that says why: `server3` has the number 3.
    pub fn down(&self) -> impl Iterator<Item = (u32, &'a str)> {
        let known = self.down.iter();
        known.filter_map(|(server, line)| Some((number(server)?, *line)))
    }

    /// The line that says that a backend whose servers were checked has none left.
    pub fn nobody_left(&self) -> Option<&'a str> {
        let mut backends = self.down.keys().map(|server| backend(server));
        backends.find_map(|backend| self.empty.get(backend).copied())
    }
}

fn backend(server: &str) -> &str {
    server
        .split_once('/')
        .map_or(server, |(backend, _)| backend)
}

fn number(server: &str) -> Option<u32> {
    let digits = server.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    server[digits..].parse().ok()
}

const LEVELS: [&str; 3] = ["[NOTICE]", "[WARNING]", "[ALERT]"];

/// What a line says behind `[WARNING]  (8) : ` (2.4 and later) or `[WARNING] 123/101010 (8) : `; `None` for others.
fn reported(line: &str) -> Option<&str> {
    LEVELS.iter().find(|level| line.starts_with(**level))?;
    Some(line.split_once(") : ")?.1)
}

/// The same of a line about servers: a log on stdout (LB_LOG) has those without a level, too.
fn said(line: &str) -> &str {
    reported(line).unwrap_or(line)
}

/// The server, and whether it is up, in `Server servers/server3 is DOWN, reason: Layer7 wrong status, code: 404, …` and
/// `Server servers/server3 is UP, reason: …`: the same from 1.5 to 3.2.
fn checked(line: &str) -> Option<(&str, bool)> {
    let said = said(line);
    let said = said.strip_prefix("Backup ").unwrap_or(said);
    let (server, state) = said.strip_prefix("Server ")?.split_once(" is ")?;
    let word = state.split([',', '.', ' ']).next()?;
    let known = server.contains('/') && !server.contains(' ');
    match word {
        "UP" if known => Some((server, true)),
        "DOWN" if known => Some((server, false)),
        _ => None,
    }
}

/// The backend in `[ALERT] 123/101010 (8) : backend 'servers' has no server available!`, or without its quotes, as a log
/// on stdout has it.
fn without_a_server(line: &str) -> Option<&str> {
    let (kind, name) = said(line)
        .trim_end()
        .strip_suffix(" has no server available!")?
        .split_once(' ')?;
    let known = matches!(kind, "backend" | "proxy") && !name.contains(' ');
    known.then(|| name.trim_matches('\''))
}

/// `Loading success.`: from 2.5 on, once the new worker serves.
pub fn says_loaded(line: &str) -> bool {
    reported(line).is_some_and(|said| said.starts_with("Loading success."))
}

/// Whether HAProxy states that it took a new configuration, as 2.0 and later do: `Loading success.`, or
/// `New worker #1 (12) forked`, which up to 3.0 comes once everything is bound. What 3.1 and later say as they begin
/// (`Initializing new worker`) and what 1.7 and 1.8 say states nothing of the kind.
pub fn says_in_force(line: &str) -> bool {
    says_loaded(line) || forked(line)
}

fn forked(line: &str) -> bool {
    reported(line).is_some_and(|said| said.starts_with("New worker ") && said.contains(" forked"))
}

/// `Initializing new worker (12)`: 3.1 and later say so before they load anything.
pub fn initializes(line: &str) -> bool {
    reported(line).is_some_and(|said| said.starts_with("Initializing new worker "))
}

/// A line of the wrapper that 1.7's images have in place of a master.
pub fn is_wrappers(line: &str) -> bool {
    without_priority(line).starts_with("haproxy-systemd-wrapper: ")
}

/// Whether HAProxy heard a HUP: what it says at once, or anything that comes after that.
pub fn begun(line: &str) -> bool {
    hears(line) || reload_seen(line) || says_failed(line)
}

/// What HAProxy says as soon as it hears a HUP: `re-executing on SIGHUP.` (1.7), `Reexecuting Master process` (1.8 to 2.4),
/// `Reloading HAProxy`.
pub fn hears(line: &str) -> bool {
    let wrapper = is_wrappers(line) && line.contains("re-executing");
    let said = reported(line).is_some_and(|said| {
        said.starts_with("Reexecuting Master process") || said.starts_with("Reloading HAProxy")
    });
    (wrapper || said) && !says_failed(line)
}

/// Whether HAProxy gave up a new configuration and goes on with the old one: `… in waitpid mode` (1.8 to 2.4),
/// `Loading failure!` (2.5 to 3.0), `Failed to load worker (18) exited …` (3.1 and later). 1.7 has `[ALERT]`s only.
pub fn says_failed(line: &str) -> bool {
    reported(line).is_some_and(|said| {
        said.starts_with("Loading failure!")
            || said.starts_with("Failed to load worker")
            || (said.starts_with("Reexecuting Master process") && said.contains("waitpid mode"))
    })
}

/// The process ID in `New worker (12) forked` (2.5 and later), `New worker #1 (12) forked` (2.0 to 2.4) or
/// `Initializing new worker (12)` (3.2).
pub fn new_worker(line: &str) -> Option<u32> {
    let said = reported(line)?;
    (forked(line) || initializes(line)).then(|| first_in_parentheses(said))?
}

/// The process ID in `Former worker (12) exited with code 0` (2.5 and later), `Former worker #1 (12) exited …` (2.0 to
/// 2.4) or `Former worker 12 left with exit code 0` (1.8).
pub fn former_worker_gone(line: &str) -> Option<u32> {
    let rest = reported(line)?.strip_prefix("Former worker ")?;
    if !(rest.contains("exited with code") || rest.contains("left with exit code")) {
        return None;
    }
    first_in_parentheses(rest).or_else(|| rest.split_ascii_whitespace().next()?.parse().ok())
}

fn first_in_parentheses(text: &str) -> Option<u32> {
    let (_, rest) = text.split_once('(')?;
    rest.split_once(')')?.0.parse().ok()
}

/// Whether `haproxy -c -V` says that a configuration is good: the same words from 1.7 to 3.4, from 2.9 on with `-V` only.
pub fn says_valid(text: &str) -> bool {
    text.lines()
        .any(|line| line.trim_end() == "Configuration file is valid")
}

/// Whether HAProxy says that it may not bind a port: `cannot bind socket (Permission denied)` in an alert.
pub fn may_not_bind<'a>(lines: impl IntoIterator<Item = &'a str>) -> bool {
    let mut alerts = alerts(lines).into_iter();
    alerts.any(|line| line.contains("cannot bind socket (Permission denied)"))
}

/// A server whose name could not be resolved, as HAProxy refuses to start with it:
/// `could not resolve address 'web-3'.`
pub fn unresolved_name(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("could not resolve address '")?;
    Some(rest.split_once('\'')?.0)
}

/// The first server that HAProxy left out because its name could not be resolved (`init-addr … none`), from 1.7 to 3.4:
/// `[WARNING] … : 'server servers/server1' : could not resolve address 'web-1', disabling server.`
pub fn left_out(text: &str) -> Option<&str> {
    let mut lines = text.lines().filter(|line| !line.starts_with("[ALERT]"));
    lines.find_map(|line| {
        let name = unresolved_name(line)?;
        let (_, after) = line.split_once(&format!("'{name}'"))?;
        after.starts_with(", disabling server").then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_all_versions_are_understood() {
        for (line, worker) in [
            ("[NOTICE]   (1) : New worker (8) forked", Some(8)),
            (
                "[NOTICE] 327/101010 (1) : New worker #1 (12) forked",
                Some(12),
            ),
            ("[NOTICE]   (1) : Initializing new worker (31)", Some(31)),
            ("[NOTICE]   (1) : Loading success.", None),
            ("new worker", None),
        ] {
            assert_eq!(new_worker(line), worker, "{line}");
        }
        for (line, worker) in [
            (
                "[WARNING] 327/101010 (1) : Former worker 7 left with exit code 0",
                Some(7),
            ),
            (
                "[WARNING] 327/101010 (1) : Former worker #1 (7) exited with code 0 (Exit)",
                Some(7),
            ),
            (
                "[NOTICE]   (1) : Former worker (7) exited with code 0 (Exit)",
                Some(7),
            ),
            (
                "[WARNING]  (1) : Current worker (7) exited with code 143 (Terminated)",
                None,
            ),
            ("Former worker", None),
        ] {
            assert_eq!(former_worker_gone(line), worker, "{line}");
        }
        assert!(says_loaded("[NOTICE]   (1) : Loading success."));
        assert_eq!(alerts(["a", "[ALERT]    (1) : config : x", "b"]).len(), 1);
    }

    #[test]
    fn lines_of_both_streams_come_in_the_order_of_time() {
        let [a, b, forked] =
            ["a", "b", "New worker (8) forked"].map(|said| format!("[NOTICE]   (1) : {said}"));
        let out = format!("2026-01-02T03:04:05.000000002Z {b}\nno time here\n");
        let err = format!(
            "2026-01-02T03:04:05.000000001Z {a}\n2026-01-02T03:04:05.000000003Z {forked}\n"
        );
        let mut log = Own::default();
        for line in out.lines().chain(err.lines()).filter_map(line) {
            log.add(line);
        }
        assert_eq!(log.read(), 3);
        let lines = log.in_order();
        assert_eq!(
            lines
                .iter()
                .map(|line| line.text.as_str())
                .collect::<Vec<_>>(),
            [a, b, forked]
        );
        assert!(tells_of_reloads(&lines));
        assert!(!tells_of_reloads(&lines[..2]));
        assert!(reload_seen(
            "<7>haproxy-systemd-wrapper: executing /usr/local/sbin/haproxy -p /run/haproxy.pid -sf 8"
        ));
    }

    /// Lines of HAProxy 2.6 with LB_LOG=stdout about requests and connections for which a client chose `text`, and about a
    /// check for whose answer a server did.
    fn said_by_others(text: &str) -> Vec<String> {
        let mut lines: Vec<String> = ["10.0.0.1:40112", "2001:db8::1:40112", "::ffff:10.0.0.1:9", "unix:1"]
            .iter()
            .flat_map(|client| {
                [
                    format!(
                        "{client} [02/Jan/2026:03:04:05.678] http-in servers/server1 0/0/0/1/1 200 120 - - ---- \
                         1/1/0/0/0 0/0 \"GET /{text} HTTP/1.1\""
                    ),
                    // A long one is cut off.
                    format!(
                        "{client} [02/Jan/2026:03:04:05.678] http-in servers/server1 0/0/0/1/1 200 120 - - ---- \
                         1/1/0/0/0 0/0 \"GET /{text}"
                    ),
                    format!("{client} [02/Jan/2026:03:04:05.678] http-in/1: {text}"),
                ]
            })
            .collect();
        lines.push(format!(
            "[WARNING]  (8) : Health check for server servers/server1 failed, reason: Layer7 wrong status, code: 500, \
             info: \"{text}\", check duration: 1ms."
        ));
        lines
    }

    #[test]
    fn nothing_that_clients_or_servers_say_is_taken_for_haproxys_own() {
        for text in [
            "[ALERT]",
            "[ALERT]    (1) : config : Fatal errors found in configuration.",
            "Loading success.",
            "[NOTICE]   (1) : Loading success.",
            "[NOTICE]   (1) : New worker (8) forked",
            "New worker #1 (8) forked",
            "Initializing new worker (8)",
            "[WARNING]  (1) : Former worker (8) exited with code 0 (Exit)",
            "Former worker 8 left with exit code 0",
            "<7>haproxy-systemd-wrapper: executing /usr/local/sbin/haproxy -sf 8",
            ") : Server servers/server4 is DOWN, reason: x",
            "backend 'servers' has no server available!",
        ] {
            for line in said_by_others(text) {
                let line = line.as_str();
                assert!(!reload_seen(line) && !says_loaded(line), "{line}");
                assert_eq!(alerts([line]), [""; 0]);
                assert_eq!(
                    (new_worker(line), former_worker_gone(line)),
                    (None, None),
                    "{line}"
                );
                assert_eq!(
                    (checked(line), without_a_server(line)),
                    (None, None),
                    "{line}"
                );
            }
        }
    }

    #[test]
    fn of_a_log_haproxys_own_lines_are_kept_and_only_so_many() {
        let own = [
            "[NOTICE]   (1) : New worker (8) forked",
            "[ALERT]    (1) : config : x",
            "<7>haproxy-systemd-wrapper: executing /usr/local/sbin/haproxy -sf 8",
            "Server servers/server3 is DOWN.",
            "backend servers has no server available!",
        ];
        let mut log = Own::default();
        let mut add = |time: usize, text: &str| {
            let time = format!("2026-01-02T03:04:05.{time:09}Z");
            log.add(line(&format!("{time} {text}")).unwrap());
        };
        for time in 0..KEPT {
            add(time, "[NOTICE]   (1) : haproxy version is 2.6.12");
        }
        // HAProxy's stderr may come before its stdout.
        for (place, text) in own.iter().enumerate().rev() {
            add(10_000 + place, text);
        }
        for line in said_by_others("[ALERT]") {
            add(20_000, &line);
        }
        assert_eq!(log.last(), Moment::parse("2026-01-02T03:04:05.00002Z"));
        assert!(log.read() > KEPT);
        let lines = log.in_order();
        assert_eq!(lines.len(), KEPT);
        let last: Vec<&str> = lines[KEPT - own.len()..]
            .iter()
            .map(|line| line.text.as_str())
            .collect();
        // The check's own line is HAProxy's, too.
        assert_eq!(last[..4], own[1..]);
        assert!(last[4].starts_with("[WARNING]  (8) : Health check"));
    }

    #[test]
    fn a_server_that_is_left_out_is_found() {
        for (line, name) in [
            (
                "[WARNING]  (17284) : config : [/x/haproxy.cfg:14] : 'server servers/server1' : could not resolve address \
                 'web-1', disabling server.",
                Some("web-1"),
            ),
            (
                "[WARNING] 327/101010 (1) : parsing [/x/haproxy.cfg:14] : 'server server1' : could not resolve address \
                 'web-1', disabling server.",
                Some("web-1"),
            ),
            (
                "[ALERT]    (1) : [/x/haproxy.cfg:14] : 'server servers/server1' : could not resolve address 'web-1'.",
                None,
            ),
            ("Configuration file is valid", None),
        ] {
            assert_eq!(left_out(&format!("x\n{line}\ny")), name, "{line}");
        }
    }

    #[test]
    fn the_name_that_did_not_resolve_is_found() {
        let line = "[ALERT] (8) : parsing [/usr/local/etc/haproxy/haproxy.cfg:15] : 'server server3' : could not \
                    resolve address 'web-3'.";
        assert_eq!(unresolved_name(line), Some("web-3"));
        assert_eq!(unresolved_name("fine"), None);
    }

    #[test]
    fn a_server_is_down_until_it_is_up_again() {
        let down = "[WARNING]  (8) : Server servers/server3 is DOWN, reason: Layer7 wrong status, code: 404, info: \
                    \"Not Found\", check duration: 1ms. 1 active and 0 backup servers left.";
        let old = "[WARNING] 123/101010 (8) : Server servers/server12 is DOWN, reason: Layer4 timeout, check duration: \
                   2001ms.";
        let up = "[WARNING]  (8) : Server servers/server3 is UP, reason: Layer7 check passed, code: 200.";
        let raw = "Server servers/server3 is DOWN.";
        let backup = "[WARNING]  (8) : Backup Server servers/server3 is DOWN, reason: x";
        let nobody = "[ALERT]    (8) : backend 'servers' has no server available!";
        let raw_nobody = "backend servers has no server available!";
        let elsewhere = "[ALERT]    (8) : backend 'other' has no server available!";
        let request = "10.0.0.1:9 [x] http-in servers/server1 \"GET /) : Server servers/server4 is DOWN, HTTP/1.1\"";
        for (lines, numbers, left) in [
            (&[down, old][..], &[12, 3][..], None),
            (&[raw], &[3], None),
            (&[backup], &[3], None),
            (&[down, up, old], &[12], None),
            (&[down, nobody], &[3], Some(nobody)),
            (&[down, nobody, down, raw_nobody], &[3], Some(raw_nobody)),
            (&[down, nobody, up, old], &[12], None),
            (&[down, elsewhere], &[3], None),
            (&[nobody, request], &[], None),
            (
                &["[WARNING]  (8) : Server servers/server3 is going DOWN for maintenance."],
                &[],
                None,
            ),
            (
                &["[WARNING]  (1) : Former worker (8) exited with code 0 (Exit)"],
                &[],
                None,
            ),
        ] {
            let checks = Checks::new(lines.iter().copied());
            let found: Vec<u32> = checks.down().map(|(number, _)| number).collect();
            assert_eq!(found, numbers, "{lines:?}");
            assert_eq!(checks.nobody_left(), left, "{lines:?}");
        }
        assert_eq!(Checks::new([old]).down().next(), Some((12, old)));
    }

    #[test]
    fn that_no_server_is_left_is_no_alert_about_a_configuration() {
        let left = "[ALERT] 123/101010 (8) : backend 'servers' has no server available!";
        let fatal = "[ALERT]    (1) : config : Fatal errors found in configuration.";
        assert_eq!(alerts([left, fatal]), [fatal]);
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_lines_never_panic(line: String) {
            let _ = (new_worker(&line), former_worker_gone(&line), unresolved_name(&line));
            let checks = Checks::new([line.as_str()]);
            let _ = (checks.down().count(), checks.nobody_left());
        }
    }
}
