//! Asking HAProxy in the load balancer: the question, and what its answer says. Pure.
//!
//! One `docker exec` runs a fixed script (`ask.sh`) there. It tells of HAProxy's processes what the kernel knows of them, and
//! passes on what the one says that answers on the runtime socket, through socat, perl or nc, whichever the image has. A VCH
//! may answer an exec that it never ran with exit code 0 and words of its own: only an answer with the script's last line counts.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::digest;
use crate::moment::Moment;

/// The runtime socket that our haproxy.cfg names.
pub const SOCKET: &str = "/tmp/haproxy.sock";

const SCRIPT: &str = include_str!("ask.sh");

/// How long the script waits for former workers to give up their sockets, in tenths of a second.
const TRIES: u32 = 20;

/// Clock ticks in a second, on every platform that containers run on.
pub const TICKS: u64 = 100;

/// One of HAProxy's processes. Process IDs are used again: together with its start it is this one and no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Id {
    pub pid: u32,
    /// In clock ticks since the machine's start, as in `/proc/PID/stat`.
    pub start: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    pub id: Id,
    /// Its parent's process ID.
    pub parent: u32,
    /// The inodes of the sockets that it listens on, or that were asked about. `None`: they could not be read.
    pub sockets: Option<BTreeSet<u64>>,
    /// Its command line.
    pub command: String,
}

/// What a worker says of itself (`show info`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    pub pid: u32,
    pub version: String,
    /// It takes no connections any more.
    pub stopping: bool,
}

/// A proxy, and a server of it, or `FRONTEND` or `BACKEND` for itself.
pub type Row = (String, String);

/// What HAProxy makes of a server, by its checks and what it was told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// Its own word, in lowercase: `up`, `down`, `up 1/3` (about to go down), `down 1/2`, `no check`, `maint (resolution)`, …
    pub status: String,
    /// What its last check came to: `L7STS 503`, `L4CON`; `None` where there was none.
    pub check: Option<String>,
}

impl Standing {
    /// Whether its check failed too often, so that nothing is sent to it.
    pub fn is_down(&self) -> bool {
        self.status.starts_with("down")
    }

    /// Whether it was taken out otherwise: by an admin, or since its name does not resolve.
    pub fn is_out(&self) -> bool {
        self.status.starts_with("maint")
    }

    /// Whether no check is made.
    pub fn is_unchecked(&self) -> bool {
        self.status == "no check"
    }
}

/// What was found in the load balancer at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Look {
    pub processes: Vec<Process>,
    /// The worker that answered on the runtime socket.
    pub info: Option<Info>,
    /// What that one runs, where it was asked (`show stat`).
    pub rows: BTreeMap<Row, Standing>,
    /// Whether the image has nothing to ask the runtime socket with.
    pub mute: bool,
    pub clock: Option<Clock>,
    /// How old its files are.
    pub files: Option<Files>,
    /// The digest of the certificate and key that lie beside haproxy.cfg.
    pub cert: Option<String>,
    /// How many clients each process has, by its ID, where that was asked.
    pub open: BTreeMap<u32, u64>,
}

/// What the load balancer's machine has for the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    /// How long it has been up, in clock ticks.
    pub up: u64,
    /// By its calendar, in whole seconds.
    pub now: Option<Moment>,
}

/// When haproxy.cfg, or the certificate beside it, was put there last: by the change time of the file, which nobody sets, and
/// not by the time that it carries. In whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Files {
    pub age: i64,
    /// How long the machine has been up.
    pub uptime: i64,
}

/// What the worker is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// Who it is.
    Who,
    /// That, and which proxies and servers it runs.
    What,
    /// Who it is, and how many clients each process has.
    Open,
}

/// The command that asks. With `former`, it waits a little for these to give up the sockets that they listened on.
pub fn command(question: Question, former: &[Process]) -> Vec<String> {
    let (question, counts) = match question {
        Question::Who => ("show info", "-"),
        Question::What => ("show info;show stat", "-"),
        Question::Open => ("show info", "open"),
    };
    let keys = former.iter().flat_map(|process| {
        let Id { pid, start } = process.id;
        let sockets = process.sockets.iter().flatten();
        sockets.map(move |socket| format!("{pid}/{start}/{socket}"))
    });
    let words = ["sh", "-c", SCRIPT, "vch-lb"].map(str::to_owned);
    words
        .into_iter()
        .chain([TRIES.to_string(), question.to_owned(), counts.to_owned()])
        .chain(keys)
        .collect()
}

/// Reads what the script printed; `None` where it did not run to its end.
pub fn answer(stdout: &str) -> Option<Look> {
    let (_, last) = stdout.trim_end().rsplit_once('\n')?;
    if last != "whole" {
        return None;
    }
    let mut look = Look::default();
    let mut said = Vec::new();
    for line in stdout.lines() {
        if let Some(words) = line.strip_prefix("process ") {
            look.processes.push(process(words)?);
        } else if let Some(words) = line.strip_prefix("up ") {
            let (up, now) = words.split_once(' ').unwrap_or((words, ""));
            look.clock = ticks(up).map(|up| Clock {
                up,
                now: now.parse().ok().map(Moment::from_seconds),
            });
        } else if let Some(words) = line.strip_prefix("files ") {
            let (age, uptime) = words.split_once(' ')?;
            look.files = age
                .parse()
                .ok()
                .zip(uptime.parse().ok())
                .map(|(age, uptime)| Files { age, uptime });
        } else if let Some(sum) = line.strip_prefix("cert ") {
            look.cert = sum.get(..digest::DIGITS).map(str::to_owned);
        } else if let Some((pid, count)) = line
            .strip_prefix("open ")
            .and_then(|words| words.split_once(' '))
        {
            look.open.insert(pid.parse().ok()?, count.parse().ok()?);
        } else if let Some(words) = line.strip_prefix("said ") {
            said.push(words);
        }
    }
    look.mute = said == ["no-client"];
    let (info, rows) = said.split_at(said.iter().position(is_head).unwrap_or(said.len()));
    look.info = read_info(info);
    look.rows = read_rows(rows);
    Some(look)
}

/// `12345.67` in ticks.
fn ticks(seconds: &str) -> Option<u64> {
    let (whole, hundredths) = seconds.split_once('.')?;
    let whole: u64 = whole.parse().ok()?;
    let hundredths: u64 = hundredths.parse().ok().filter(|it| *it < TICKS)?;
    whole.checked_mul(TICKS)?.checked_add(hundredths)
}

/// `PID PARENT START none,SOCKET,… COMMAND`.
fn process(words: &str) -> Option<Process> {
    let mut words = words.splitn(5, ' ');
    let pid = words.next()?.parse().ok()?;
    let parent = words.next()?.parse().ok()?;
    let start = words.next()?.parse().ok()?;
    let mut inodes = words.next()?.split(',');
    let known = inodes.next()? == "none";
    let sockets: Option<BTreeSet<u64>> = inodes.map(|inode| inode.parse().ok()).collect();
    Some(Process {
        id: Id { pid, start },
        parent,
        sockets: sockets.filter(|_| known),
        command: words.next().unwrap_or_default().trim().to_owned(),
    })
}

/// `Name: value` lines, which more and more versions have more of.
fn read_info(lines: &[&str]) -> Option<Info> {
    let value = |name: &str| {
        let mut pairs = lines.iter().filter_map(|line| line.split_once(": "));
        pairs.find(|(known, _)| *known == name).map(|pair| pair.1)
    };
    Some(Info {
        pid: value("Pid")?.trim().parse().ok()?,
        version: value("Version")?.trim().to_owned(),
        stopping: value("Stopping").is_some_and(|stopping| stopping.trim() != "0"),
    })
}

/// Whether a haproxy.cfg names [`SOCKET`].
pub fn is_named_in(config: &str) -> bool {
    config.lines().any(|line| {
        let mut words = line.split_ascii_whitespace();
        let stats = words.next() == Some("stats") && words.next() == Some("socket");
        stats && words.next() == Some(SOCKET)
    })
}

/// The first line of `show stat`.
fn is_head(line: &&str) -> bool {
    line.starts_with("# pxname,svname,")
}

/// `show stat`: its first line names the columns, of which each version has more.
fn read_rows(lines: &[&str]) -> BTreeMap<Row, Standing> {
    let Some((head, rows)) = lines.split_first() else {
        return BTreeMap::new();
    };
    let head = columns(head.trim_start_matches("# "));
    let place = |name: &str| head.iter().position(|known| known == name);
    let (status, check, code) = (place("status"), place("check_status"), place("check_code"));
    let row = |line: &&str| {
        let columns = columns(line);
        let word = |at: Option<usize>| at.and_then(|at| columns.get(at)).and_then(|it| word(it));
        let row = (columns.first()?.clone(), columns.get(1)?.clone());
        let check = word(check).map(|check| match word(code) {
            Some(code) => format!("{check} {code}"),
            None => check,
        });
        let status = word(status).unwrap_or_default().to_lowercase();
        Some((row, Standing { status, check }))
    };
    rows.iter().filter_map(row).collect()
}

/// The columns of a line; what holds a comma or a quote is quoted.
fn columns(line: &str) -> Vec<String> {
    let mut columns = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => columns.push(String::new()),
            c => columns.last_mut().into_iter().for_each(|it| it.push(c)),
        }
    }
    columns
}

/// A word of HAProxy's about a server: `* ` before it says that a check is on its way.
fn word(column: &str) -> Option<String> {
    let word = column.trim_start_matches("* ").trim();
    let known = !word.is_empty() && word.len() <= 40;
    (known && word.chars().all(|c| c.is_ascii_graphic() || c == ' ')).then(|| word.to_owned())
}

impl Process {
    /// Whether it listens on, or holds, any of the sockets that were asked about; `None` where that could not be read.
    pub fn listens(&self) -> Option<bool> {
        self.sockets.as_ref().map(|sockets| !sockets.is_empty())
    }
}

impl Look {
    /// The processes that take connections.
    pub fn listening(&self) -> Vec<Process> {
        let processes = self.processes.iter();
        let listening = processes.filter(|process| process.listens() == Some(true));
        listening.cloned().collect()
    }

    /// The workers of former configurations: they take no connections any more, and go on with those that they have. So does
    /// one that still loads: it is to be asked before a signal.
    pub fn former(&self) -> Vec<Process> {
        let is_parent = |pid: u32| self.processes.iter().any(|process| process.parent == pid);
        let has_parent = |parent: u32| {
            self.processes
                .iter()
                .any(|process| process.id.pid == parent)
        };
        let former = self.processes.iter().filter(|process| {
            process.listens() == Some(false)
                && !is_parent(process.id.pid)
                && has_parent(process.parent)
        });
        former.cloned().collect()
    }

    pub fn has(&self, id: Id) -> bool {
        self.processes.iter().any(|process| process.id == id)
    }

    /// The process that answered.
    pub fn answering(&self) -> Option<Id> {
        let pid = self.info.as_ref()?.pid;
        let mut ids = self.processes.iter().map(|process| process.id);
        ids.find(|id| id.pid == pid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of HAProxy 2.6, shortened.
    const ANSWER: &str = "\
process 1 0 104446 none haproxy -W -db -f /usr/local/etc/haproxy/haproxy.cfg \n\
process 8 1 104493 none,99610,99610 haproxy -W -db -f /usr/local/etc/haproxy/haproxy.cfg \n\
process 9 1 104494 unknown haproxy \n\
up 1060.05 1767225600\n\
said Name: HAProxy\nsaid Version: 2.6.12-1+deb12u4\nsaid Pid: 8\nsaid Stopping: 0\nsaid \n\
said # pxname,svname,qcur,last_chk,status,check_code,check_status,\nsaid http-in,FRONTEND,,,OPEN,,,\n\
said servers,server1,0,\"a, b\",DOWN,503,* L7STS,\nsaid servers,server2,0,,no check,,,\n\
said servers,server3,0,,UP 1/3,,L4CON,\nsaid servers,BACKEND,0,,UP,,,\nsaid \nwhole\n";

    #[test]
    fn what_haproxy_and_the_kernel_say_is_read() {
        let look = answer(ANSWER).unwrap();
        let [master, worker, hidden] = &look.processes[..] else {
            panic!("{look:?}")
        };
        assert_eq!((master.id.pid, master.listens()), (1, Some(false)));
        assert_eq!(
            worker.id,
            Id {
                pid: 8,
                start: 104_493
            }
        );
        assert_eq!(worker.sockets, Some(BTreeSet::from([99_610])));
        assert_eq!(hidden.listens(), None);
        assert_eq!(look.listening(), std::slice::from_ref(worker));
        assert_eq!(look.answering(), Some(worker.id));
        let clock = look.clock.unwrap();
        assert_eq!(clock.up, 106_005);
        assert_eq!(clock.now, Moment::parse("2026-01-01T00:00:00Z"));
        let info = look.info.unwrap();
        assert_eq!(
            (info.version.as_str(), info.stopping),
            ("2.6.12-1+deb12u4", false)
        );
        let rows: Vec<String> = look
            .rows
            .iter()
            .map(|((proxy, server), it)| format!("{proxy}/{server} {}, {:?}", it.status, it.check))
            .collect();
        assert_eq!(
            rows,
            [
                "http-in/FRONTEND open, None",
                "servers/BACKEND up, None",
                "servers/server1 down, Some(\"L7STS 503\")",
                "servers/server2 no check, None",
                "servers/server3 up 1/3, Some(\"L4CON\")",
            ]
        );
    }

    #[test]
    fn a_certificate_is_known_by_its_digest() {
        let cert = |line: &str| answer(&format!("{line}\nwhole\n")).unwrap().cert;
        let sum = "cert ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(cert(sum), Some(digest::of(b"abc")));
        assert_eq!(cert("cert ba78"), None);
        assert_eq!(cert("process 1 0 2 none x"), None);
    }

    #[test]
    fn only_a_whole_answer_is_one() {
        for bad in [
            "",
            "whole",
            "Server error from portlayer: unable to wait for process launch status\n",
            &ANSWER[..ANSWER.len() - 6],
            "process x 0 1 none y\nwhole\n",
        ] {
            assert_eq!(answer(bad), None, "{bad}");
        }
        let mute = answer("process 1 0 2 none x\nsaid no-client\nwhole\n").unwrap();
        assert!(mute.mute && mute.info.is_none());
    }

    #[test]
    fn the_question_is_words_of_ours_and_numbers() {
        let former = answer(ANSWER).unwrap().listening();
        let words = command(Question::Who, &former);
        assert_eq!(
            words[3..],
            ["vch-lb", "20", "show info", "-", "8/104493/99610"]
        );
        let open = command(Question::Open, &[]);
        assert_eq!(open[3..], ["vch-lb", "20", "show info", "open"]);
    }

    #[test]
    fn former_workers_are_told_from_masters_and_from_a_check() {
        let former = |text: &str| {
            let look = answer(&format!("{text}whole\n")).unwrap();
            let pids = look.former().iter().map(|it| it.id.pid).collect::<Vec<_>>();
            (pids, look.open)
        };
        // Of 2.6, while `haproxy -c` is run beside it.
        let modern = "process 1 0 5 none haproxy -W\nprocess 8 1 6 none haproxy -W\nopen 8 2\n\
             process 9 1 7 none,4 haproxy -W\nprocess 10 1 7 unknown haproxy -W\nprocess 20 0 9 none haproxy -c\n";
        assert_eq!(former(modern), (vec![8], BTreeMap::from([(8, 2)])));
        // Of 1.7: a wrapper, and a parent for each worker.
        let wrapped = "process 1 0 5 none haproxy-systemd-wrapper\nprocess 7 1 5 none haproxy -Ds\n\
             process 8 7 5 none haproxy -Ds\nprocess 9 1 8 none haproxy -Ds\nprocess 10 9 8 none,4 haproxy -Ds\n";
        assert_eq!(former(wrapped), (vec![8], BTreeMap::new()));
        let gone = "process 1 0 5 none haproxy -W\nprocess 9 1 7 none,4 haproxy -W\n";
        assert_eq!(former(gone).0, Vec::<u32>::new());
    }

    #[test]
    fn the_socket_is_known_by_its_path() {
        assert!(is_named_in(
            "global\n\tstats socket /tmp/haproxy.sock mode 600\n"
        ));
        assert!(!is_named_in(
            "global\n\t# stats socket /tmp/haproxy.sock\n\tstats socket /run/a.sock\n"
        ));
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_answers_never_panic(text: String) {
            let _ = answer(&format!("process {text}\nsaid {text}\nwhole\n"));
        }
    }
}
