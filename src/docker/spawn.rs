//! The only place that starts a process (and the only one that names duct).
//!
//! Every call gets no terminal on stdin, bounded memory for what it prints, a deadline, and, unless it may have to ask
//! on the terminal, a process group of its own: Ctrl-C on the terminal then reaches us and not docker, and a call that
//! hangs is ended together with its plugins and ssh.

use std::io::{self, BufRead, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::interrupt::Interrupt;

/// What a call may print on stdout; docker's answers are asked for in portions far below.
pub const STDOUT_LIMIT: usize = 16 << 20;
/// What is kept of stderr: its end.
const STDERR_KEPT: usize = 64 << 10;
/// The longest piece of a line that is handed over at once.
const LINE_LIMIT: u64 = 64 << 10;
/// How often a waiting call looks at the interrupt flag; the end of the child itself wakes it at once.
const POLL: Duration = Duration::from_millis(100);
/// How often, and at what distance, a child whose stdout has ended is looked at before it counts as going on without one.
const REAPING_LOOKS: u32 = 20;
const REAPING_PAUSE: Duration = Duration::from_micros(100);
/// How long our own thread for signals may take to hear of one.
const TAKEN_IN_WITHIN: Duration = Duration::from_millis(100);
/// How long to wait for the rest of the output after the child ended: a grandchild (ssh's master connection, say) may
/// keep the pipe open for hours.
const LINGER: Duration = Duration::from_secs(1);

/// One process to run.
#[derive(Debug)]
pub struct Command<'a> {
    pub program: &'a str,
    pub args: Vec<String>,
    pub env: &'a [(String, String)],
    /// What it reads on stdin; nothing at all if `None`.
    pub stdin: Option<Vec<u8>>,
    pub group: Group,
    pub timeout: Duration,
    pub on_interrupt: OnInterrupt,
}

/// Whose process group the child joins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// A group of its own, away from the terminal's signals.
    Own,
    /// Ours: where ssh may have to ask for a passphrase on the terminal.
    Ours,
}

/// What a signal to us does to a running child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnInterrupt {
    /// It changes something: it completes.
    Complete,
    /// It only reads: it is ended.
    End,
}

/// How a process ended and what it printed.
#[derive(Debug)]
pub struct Output {
    pub stdout: Vec<u8>,
    /// The last 64 KiB.
    pub stderr: Vec<u8>,
    pub end: End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Code(i32),
    Signal(i32),
}

/// Why there is no [`Output`].
#[derive(Debug)]
pub enum Lost {
    NotStarted(io::Error),
    TimedOut { stderr: Vec<u8> },
    Interrupted,
    TooMuchOutput,
    NotAwaited(io::Error),
}

/// Runs `command` to its end.
pub fn run(command: &Command<'_>, interrupt: &Interrupt) -> Result<Output, Lost> {
    run_watched(command, interrupt, |_| {})
}

/// Like [`run`]; `on_stdout` sees what comes on stdout as it comes, on another thread. It must not wait for anything.
pub fn run_watched(
    command: &Command<'_>,
    interrupt: &Interrupt,
    on_stdout: impl FnMut(&[u8]) + Send + 'static,
) -> Result<Output, Lost> {
    let child = Child::start(command, on_stdout)?;
    child.wait(interrupt)
}

/// A line; of one that is longer than [`LINE_LIMIT`], a part.
#[derive(Debug, PartialEq, Eq)]
pub struct Piece {
    pub text: String,
    pub stream: Stream,
    /// `false` for all parts of a line but the first.
    pub begins: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    Stdout,
    Stderr,
}

/// Runs `command` and hands over the lines of both streams as they come, however many. Ends it when `on_piece` says so,
/// at an interrupt, or when its time is over.
pub fn stream(
    command: &Command<'_>,
    interrupt: &Interrupt,
    mut on_piece: impl FnMut(Piece) -> bool,
) -> Result<Output, Lost> {
    let (sender, pieces) = mpsc::sync_channel::<Piece>(1024);
    let (stdout, stdout_writer) = io::pipe().map_err(Lost::NotStarted)?;
    let (stderr, stderr_writer) = io::pipe().map_err(Lost::NotStarted)?;
    let expression = expression(command, Stdin::of(command), stdout_writer, stderr_writer);
    let handle = expression.start().map_err(Lost::NotStarted)?;
    drop(expression);
    read_pieces(stdout, Stream::Stdout, sender.clone()).map_err(Lost::NotStarted)?;
    read_pieces(stderr, Stream::Stderr, sender).map_err(Lost::NotStarted)?;
    let deadline = Instant::now().checked_add(command.timeout);
    let mut said = Vec::new();
    let mut ended = None;
    while !interrupt.ends_reading() {
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            end(&handle, command.group);
            // What came were lines of an answer, and explain nothing.
            return Err(Lost::TimedOut { stderr: Vec::new() });
        }
        let awaited = match pieces.recv_timeout(POLL) {
            Ok(piece) => {
                // What it said last explains a failure.
                said.clear();
                said.extend_from_slice(piece.text.as_bytes());
                if on_piece(piece) {
                    continue;
                }
                break;
            }
            // Without its streams it may still go on.
            Err(mpsc::RecvTimeoutError::Disconnected) => handle.wait_timeout(POLL),
            Err(mpsc::RecvTimeoutError::Timeout) => lingered(&handle, &mut ended),
        };
        if let Some(output) = awaited.map_err(Lost::NotAwaited)? {
            return Ok(Output {
                stdout: Vec::new(),
                stderr: said,
                end: end_of(output.status),
            });
        }
    }
    end(&handle, command.group);
    Err(Lost::Interrupted)
}

/// How a child ended whose streams are still open a while after that.
fn lingered<'a>(
    handle: &'a duct::Handle,
    ended: &mut Option<Instant>,
) -> io::Result<Option<&'a std::process::Output>> {
    let output = handle.try_wait()?;
    Ok(output.filter(|_| ended.get_or_insert_with(Instant::now).elapsed() >= LINGER))
}

fn read_pieces(
    reader: io::PipeReader,
    stream: Stream,
    sender: mpsc::SyncSender<Piece>,
) -> io::Result<()> {
    std::thread::Builder::new()
        .stack_size(128 * 1024)
        .spawn(move || {
            let mut reader = io::BufReader::new(reader);
            let mut bytes = Vec::new();
            let mut begins = true;
            loop {
                bytes.clear();
                // A line without an end must not fill the memory.
                match (&mut reader).take(LINE_LIMIT).read_until(b'\n', &mut bytes) {
                    Ok(0) | Err(_) => return,
                    Ok(_) => {}
                }
                let text = String::from_utf8_lossy(&bytes)
                    .trim_end_matches(['\n', '\r'])
                    .to_owned();
                let piece = Piece {
                    text,
                    stream,
                    begins,
                };
                begins = bytes.ends_with(b"\n");
                let only_the_end = !piece.begins && piece.text.is_empty();
                if !only_the_end && sender.send(piece).is_err() {
                    return;
                }
            }
        })?;
    Ok(())
}

/// Lets a pager show `text` until it ends: on our terminal, in our group. What it makes of the text is its own affair; an
/// error is that it could not be started.
pub fn page(
    program: &str,
    args: &[String],
    env: Option<(&str, &str)>,
    text: String,
) -> io::Result<()> {
    // Ctrl-C is the pager's: without us it would be left alone with the terminal.
    signal_hook::flag::register(signal_hook::consts::SIGINT, Arc::default())?;
    let mut expression = duct::cmd(program, args)
        .stdin_bytes(text.into_bytes())
        .unchecked();
    if let Some((name, value)) = env {
        expression = expression.env(name, value);
    }
    let handle = expression.start()?;
    // It was started: nothing is to be shown again, however it ended.
    let _ = handle.wait();
    Ok(())
}

/// A child that goes on for as long as this is not dropped: then its stdin ends, and it is waited for a moment.
#[derive(Debug)]
pub struct Held {
    handle: duct::Handle,
    stdin: Option<io::PipeWriter>,
    stderr: String,
}

impl Held {
    /// How a child ended that ends by itself; `None` where it goes on.
    pub fn end(self) -> Option<Output> {
        let output = self.handle.wait_timeout(LINGER).ok()??;
        Some(Output {
            stdout: Vec::new(),
            stderr: self.stderr.clone().into_bytes(),
            end: end_of(output.status),
        })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        drop(self.stdin.take());
        if !matches!(self.handle.wait_timeout(LINGER), Ok(Some(_))) {
            end(&self.handle, Group::Own);
        }
    }
}

/// Starts `command` with a stdin that stays open, and waits for the first line on its stdout; none where it ends before.
pub fn hold(command: &Command<'_>, interrupt: &Interrupt) -> Result<(Held, Option<String>), Lost> {
    let (sender, pieces) = mpsc::sync_channel::<Piece>(1024);
    let (stdin_reader, stdin) = io::pipe().map_err(Lost::NotStarted)?;
    let (stdout, stdout_writer) = io::pipe().map_err(Lost::NotStarted)?;
    let (stderr, stderr_writer) = io::pipe().map_err(Lost::NotStarted)?;
    let stdin_reader = Stdin::Pipe(stdin_reader);
    let expression = expression(command, stdin_reader, stdout_writer, stderr_writer);
    let handle = expression.start().map_err(Lost::NotStarted)?;
    drop(expression);
    let mut held = Held {
        handle,
        stdin: Some(stdin),
        stderr: String::new(),
    };
    read_pieces(stdout, Stream::Stdout, sender.clone()).map_err(Lost::NotStarted)?;
    read_pieces(stderr, Stream::Stderr, sender).map_err(Lost::NotStarted)?;
    let deadline = Instant::now().checked_add(command.timeout);
    while !interrupt.ends_reading() {
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            end(&held.handle, command.group);
            let stderr = held.stderr.clone().into_bytes();
            return Err(Lost::TimedOut { stderr });
        }
        match pieces.recv_timeout(POLL) {
            Ok(piece) if piece.stream == Stream::Stdout => return Ok((held, Some(piece.text))),
            Ok(piece) if held.stderr.len() < STDERR_KEPT => {
                held.stderr.push_str(&piece.text);
                held.stderr.push('\n');
            }
            Ok(_) | Err(mpsc::RecvTimeoutError::Timeout) => {}
            Err(mpsc::RecvTimeoutError::Disconnected) => return Ok((held, None)),
        }
    }
    end(&held.handle, command.group);
    Err(Lost::Interrupted)
}

struct Child {
    handle: duct::Handle,
    stdout: Captured,
    stderr: Captured,
    group: Group,
    on_interrupt: OnInterrupt,
    timeout: Duration,
}

impl Child {
    fn start(
        command: &Command<'_>,
        on_stdout: impl FnMut(&[u8]) + Send + 'static,
    ) -> Result<Self, Lost> {
        let (stdout, stdout_writer) =
            Captured::new(Keep::Start(STDOUT_LIMIT), on_stdout).map_err(Lost::NotStarted)?;
        let (stderr, stderr_writer) =
            Captured::new(Keep::End(STDERR_KEPT), |_| {}).map_err(Lost::NotStarted)?;
        let expression = expression(command, Stdin::of(command), stdout_writer, stderr_writer);
        let handle = expression.start().map_err(Lost::NotStarted)?;
        // The expression holds the pipes' writing ends: while it lives, the readers never see the end.
        drop(expression);
        Ok(Self {
            handle,
            stdout,
            stderr,
            group: command.group,
            on_interrupt: command.on_interrupt,
            timeout: command.timeout,
        })
    }

    fn wait(self, interrupt: &Interrupt) -> Result<Output, Lost> {
        let deadline = Instant::now().checked_add(self.timeout);
        loop {
            let left = deadline.map_or(POLL, |deadline| {
                deadline.saturating_duration_since(Instant::now())
            });
            match self.ended(left.min(POLL)) {
                // A terminal's Ctrl-C reaches one in our group, too, and may end it before we do.
                Ok(Some(end)) if end != End::Code(0) && self.interrupted(interrupt) => {
                    return Err(Lost::Interrupted);
                }
                Ok(Some(End::Signal(signal))) if came_to_us_too(signal, interrupt) => {
                    return Err(Lost::Interrupted);
                }
                Ok(Some(end)) => return self.collect(end),
                Ok(None) => {}
                Err(error) => return Err(Lost::NotAwaited(error)),
            }
            if left.is_zero() {
                end(&self.handle, self.group);
                return Err(Lost::TimedOut {
                    stderr: self.stderr.take(),
                });
            }
            if self.stdout.overflowed() {
                end(&self.handle, self.group);
                return Err(Lost::TooMuchOutput);
            }
            if self.interrupted(interrupt) {
                end(&self.handle, self.group);
                return Err(Lost::Interrupted);
            }
        }
    }

    fn interrupted(&self, interrupt: &Interrupt) -> bool {
        self.on_interrupt == OnInterrupt::End && interrupt.ends_reading()
    }

    /// How the child ended, if it does so within `patience`.
    ///
    /// Its stdout ends when it does, which wakes us at less cost than SIGCHLD; a moment later it can be reaped.
    fn ended(&self, patience: Duration) -> io::Result<Option<End>> {
        self.stdout.await_end(patience);
        for _ in 0..REAPING_LOOKS {
            if let Some(output) = self.handle.try_wait()? {
                return Ok(Some(end_of(output.status)));
            }
            if !self.stdout.at_end() {
                return Ok(None);
            }
            std::thread::sleep(REAPING_PAUSE);
        }
        // It closed its stdout and goes on.
        let output = self.handle.wait_timeout(patience)?;
        Ok(output.map(|output| end_of(output.status)))
    }

    fn collect(self, end: End) -> Result<Output, Lost> {
        let stdout = self.stdout.finish();
        let stderr = self.stderr.finish();
        if self.stdout.overflowed() {
            return Err(Lost::TooMuchOutput);
        }
        Ok(Output {
            stdout,
            stderr,
            end,
        })
    }
}

/// Whether a `signal` that ended a child came from the terminal, to us, too: one that is just being started is in our group for
/// a moment.
fn came_to_us_too(signal: i32, interrupt: &Interrupt) -> bool {
    interrupt.sleep(TAKEN_IN_WITHIN);
    interrupt.signal() == Some(signal)
}

/// What a child reads.
enum Stdin {
    Bytes(Vec<u8>),
    Pipe(io::PipeReader),
    Nothing,
}

impl Stdin {
    fn of(command: &Command<'_>) -> Self {
        command.stdin.clone().map_or(Self::Nothing, Self::Bytes)
    }
}

/// The process with everything that is decided about it, but for when it starts.
fn expression(
    command: &Command<'_>,
    stdin: Stdin,
    stdout: io::PipeWriter,
    stderr: io::PipeWriter,
) -> duct::Expression {
    let mut expression = duct::cmd(command.program, &command.args)
        .stdout_file(stdout)
        .stderr_file(stderr)
        .unchecked();
    expression = match stdin {
        Stdin::Bytes(bytes) => expression.stdin_bytes(bytes),
        Stdin::Pipe(reader) => expression.stdin_file(reader),
        Stdin::Nothing => expression.stdin_null(),
    };
    for (name, value) in command.env {
        expression = expression.env(name, value);
    }
    match command.group {
        Group::Own => in_own_group(&expression),
        Group::Ours => expression,
    }
}

/// Ends the child with all that it started, and reaps it.
fn end(handle: &duct::Handle, group: Group) {
    if group == Group::Own {
        end_group(handle);
    }
    // Nothing more can be done about a child that can't be killed: its time is over either way.
    let _ = handle.kill();
    let _ = handle.wait_timeout(LINGER);
}

#[cfg(unix)]
fn in_own_group(expression: &duct::Expression) -> duct::Expression {
    use std::os::unix::process::CommandExt;
    expression.before_spawn(|command| {
        command.process_group(0);
        Ok(())
    })
}

#[cfg(windows)]
fn in_own_group(expression: &duct::Expression) -> duct::Expression {
    use std::os::windows::process::CommandExt;
    /// From the Windows API: the child does not get our Ctrl-C.
    const CREATE_NEW_PROCESS_GROUP: u32 = 0x0000_0200;
    expression.before_spawn(|command| {
        command.creation_flags(CREATE_NEW_PROCESS_GROUP);
        Ok(())
    })
}

#[cfg(unix)]
fn end_group(handle: &duct::Handle) {
    use rustix::process::{Pid, Signal, kill_process_group};
    for pid in handle.pids() {
        if let Some(group) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
            // Fails where the group is gone already, which is what is wanted.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

#[cfg(not(unix))]
fn end_group(_handle: &duct::Handle) {}

#[cfg(unix)]
fn end_of(status: std::process::ExitStatus) -> End {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => End::Code(code),
        (None, Some(signal)) => End::Signal(signal),
        (None, None) => End::Code(-1),
    }
}

#[cfg(not(unix))]
fn end_of(status: std::process::ExitStatus) -> End {
    End::Code(status.code().unwrap_or(-1))
}

/// Which part of a stream is kept.
#[derive(Debug, Clone, Copy)]
enum Keep {
    Start(usize),
    End(usize),
}

/// A stream that is read on a thread of its own, into bounded memory.
struct Captured {
    buffer: Arc<Mutex<Buffer>>,
    done: Receiver<()>,
    at_end: AtomicBool,
}

#[derive(Default)]
struct Buffer {
    bytes: Vec<u8>,
    overflowed: bool,
}

impl Captured {
    fn new(
        keep: Keep,
        on_chunk: impl FnMut(&[u8]) + Send + 'static,
    ) -> io::Result<(Self, io::PipeWriter)> {
        let (reader, writer) = io::pipe()?;
        let buffer = Arc::new(Mutex::new(Buffer::default()));
        let (done_sender, done) = mpsc::sync_channel(1);
        let target = Arc::clone(&buffer);
        std::thread::Builder::new()
            .stack_size(128 * 1024)
            .spawn(move || {
                read_all(reader, &target, keep, on_chunk);
                // Nobody waits any more where the call was given up.
                let _ = done_sender.send(());
            })?;
        Ok((
            Self {
                buffer,
                done,
                at_end: AtomicBool::new(false),
            },
            writer,
        ))
    }

    fn lock(&self) -> MutexGuard<'_, Buffer> {
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn overflowed(&self) -> bool {
        self.lock().overflowed
    }

    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.lock().bytes)
    }

    /// Waits for its end, for at most `patience`.
    fn await_end(&self, patience: Duration) {
        // An empty channel whose sender is gone is one whose end was seen already.
        if self.done.recv_timeout(patience) != Err(mpsc::RecvTimeoutError::Timeout) {
            self.at_end.store(true, Ordering::Relaxed);
        }
    }

    fn at_end(&self) -> bool {
        self.at_end.load(Ordering::Relaxed)
    }

    /// All of it, once the child ended.
    fn finish(&self) -> Vec<u8> {
        // On a time-out a grandchild still holds the pipe; what the child itself wrote has arrived.
        self.await_end(LINGER);
        self.take()
    }
}

fn read_all(
    mut reader: impl Read,
    target: &Mutex<Buffer>,
    keep: Keep,
    mut on_chunk: impl FnMut(&[u8]),
) {
    let mut chunk = [0; 16 << 10];
    loop {
        match reader.read(&mut chunk) {
            Ok(0) => return,
            Ok(count) => {
                let chunk = &chunk[..count];
                target
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .add(chunk, keep);
                on_chunk(chunk);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

impl Buffer {
    fn add(&mut self, chunk: &[u8], keep: Keep) {
        match keep {
            Keep::Start(limit) => {
                let room = limit - self.bytes.len();
                self.overflowed |= chunk.len() > room;
                self.bytes
                    .extend_from_slice(&chunk[..chunk.len().min(room)]);
            }
            Keep::End(limit) => {
                self.bytes.extend_from_slice(chunk);
                // Cut only now and then: moving the bytes for every chunk would cost more than it saves.
                if self.bytes.len() > 2 * limit {
                    self.bytes.drain(..self.bytes.len() - limit);
                }
            }
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn sh(script: &str) -> Command<'_> {
        Command {
            program: "/bin/sh",
            args: vec!["-c".into(), script.into()],
            env: &[],
            stdin: None,
            group: Group::Own,
            timeout: Duration::from_secs(20),
            on_interrupt: OnInterrupt::Complete,
        }
    }

    #[test]
    fn both_streams_and_the_exit_code_come_back() {
        let output = run(
            &sh("printf out; printf err >&2; exit 3"),
            &Interrupt::default(),
        )
        .unwrap();
        assert_eq!(
            (output.stdout.as_slice(), output.stderr.as_slice()),
            (&b"out"[..], &b"err"[..])
        );
        assert_eq!(output.end, End::Code(3));
    }

    #[test]
    fn what_comes_on_stdout_is_seen_while_the_call_runs() {
        let folder = tempfile::tempdir().unwrap();
        let seen = folder.path().join("seen");
        let script = format!(
            "echo first; until [ -e '{}' ]; do sleep 0.01; done; echo second",
            seen.display()
        );
        let on_stdout = move |chunk: &[u8]| {
            if chunk.starts_with(b"first\n") {
                std::fs::write(&seen, "").unwrap();
            }
        };
        let output = run_watched(&sh(&script), &Interrupt::default(), on_stdout).unwrap();
        assert_eq!(output.stdout, b"first\nsecond\n");
    }

    #[test]
    fn a_signal_is_told_from_an_exit_code() {
        let output = run(&sh("kill -9 $$"), &Interrupt::default()).unwrap();
        assert_eq!(output.end, End::Signal(9));
    }

    #[test]
    fn a_child_that_the_terminals_signal_met_before_it_had_a_group_was_interrupted() {
        // SIGTERM in place of SIGINT: where tests run in the background of a shell, all that they start ignores that.
        let interrupt = Interrupt::raised_for_test(15);
        let ended = run(&sh("kill -15 $$"), &interrupt);
        assert!(matches!(ended, Err(Lost::Interrupted)), "{ended:?}");
        // Another signal is the child's own affair.
        let output = run(&sh("kill -9 $$"), &interrupt).unwrap();
        assert_eq!(output.end, End::Signal(9));
    }

    #[test]
    fn stdin_is_what_was_given_or_empty() {
        let with = Command {
            stdin: Some(b"hello".to_vec()),
            ..sh("cat")
        };
        assert_eq!(run(&with, &Interrupt::default()).unwrap().stdout, b"hello");
        assert_eq!(run(&sh("cat"), &Interrupt::default()).unwrap().stdout, b"");
    }

    #[test]
    fn a_program_that_is_not_there_is_said() {
        let command = Command {
            program: "/nowhere/docker",
            ..sh("")
        };
        assert!(matches!(
            run(&command, &Interrupt::default()),
            Err(Lost::NotStarted(_))
        ));
    }

    #[test]
    fn a_call_that_hangs_is_ended_with_its_grandchildren() {
        let started = Instant::now();
        let command = Command {
            timeout: Duration::from_millis(200),
            ..sh("echo soon >&2; sleep 60 & sleep 60")
        };
        let Err(Lost::TimedOut { stderr }) = run(&command, &Interrupt::default()) else {
            panic!("expected a time-out");
        };
        assert_eq!(stderr, b"soon\n");
        assert!(started.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn a_child_that_is_held_ends_when_it_is_let_go() {
        let command = sh("echo $$; exec cat >/dev/null");
        let (held, line) = hold(&command, &Interrupt::default()).unwrap();
        let process = format!("/proc/{}", line.unwrap());
        assert!(!cfg!(target_os = "linux") || std::path::Path::new(&process).exists());
        drop(held);
        assert!(!std::path::Path::new(&process).exists());
    }

    #[test]
    fn a_child_that_does_not_hold_is_told_with_its_words() {
        let (held, line) = hold(&sh("echo no >&2; exit 3"), &Interrupt::default()).unwrap();
        assert_eq!(line, None);
        let output = held.end().unwrap();
        assert_eq!(
            (output.end, &output.stderr[..]),
            (End::Code(3), &b"no\n"[..])
        );
    }

    #[test]
    fn a_grandchild_that_keeps_the_pipe_open_delays_nothing_for_long() {
        let started = Instant::now();
        let output = run(&sh("sleep 30 & echo done"), &Interrupt::default()).unwrap();
        assert_eq!(output.stdout, b"done\n");
        assert!(started.elapsed() < Duration::from_secs(15));
    }

    #[test]
    fn a_child_without_stdout_is_awaited() {
        let output = run(
            &sh("exec >&-; sleep 0.3; echo late >&2; exit 4"),
            &Interrupt::default(),
        )
        .unwrap();
        assert_eq!(
            (output.stderr.as_slice(), output.end),
            (&b"late\n"[..], End::Code(4))
        );
    }

    #[test]
    fn memory_stays_bounded_whatever_is_printed() {
        assert!(matches!(
            run(&sh("yes"), &Interrupt::default()),
            Err(Lost::TooMuchOutput)
        ));
        let output = run(
            &sh("head -c 1000000 /dev/zero >&2; printf END >&2"),
            &Interrupt::default(),
        )
        .unwrap();
        assert!(output.stderr.len() <= 2 * STDERR_KEPT);
        assert!(output.stderr.ends_with(b"END"));
    }

    fn streamed(
        script: &str,
        timeout: Duration,
        on_piece: impl FnMut(Piece) -> bool,
    ) -> Result<Output, Lost> {
        let command = Command {
            timeout,
            ..sh(script)
        };
        stream(&command, &Interrupt::default(), on_piece)
    }

    /// All that a stream hands over.
    fn pieces(script: &str, timeout: Duration) -> (Vec<Piece>, Result<Output, Lost>) {
        let mut pieces = Vec::new();
        let ended = streamed(script, timeout, |piece| {
            pieces.push(piece);
            true
        });
        (pieces, ended)
    }

    #[test]
    fn a_stream_hands_over_more_than_is_kept_of_a_call() {
        let script =
            "head -c 20000000 /dev/zero | tr '\\0' x; echo; echo end; head -c 500000 /dev/zero >&2";
        let (pieces, ended) = pieces(script, Duration::from_secs(20));
        assert_eq!(ended.unwrap().end, End::Code(0));
        let of = |stream| pieces.iter().filter(move |piece| piece.stream == stream);
        let bytes = |stream| of(stream).map(|piece| piece.text.len()).sum::<usize>();
        assert_eq!(
            (bytes(Stream::Stdout), bytes(Stream::Stderr)),
            (20_000_003, 500_000)
        );
        let begin: Vec<usize> = of(Stream::Stdout)
            .filter(|piece| piece.begins)
            .map(|piece| piece.text.len())
            .collect();
        assert_eq!(begin, [64 << 10, 3]);
    }

    #[test]
    fn the_end_of_a_line_that_fills_its_pieces_is_none_of_its_own() {
        let (pieces, _) = pieces(
            "head -c 65536 /dev/zero; echo; echo; echo next",
            Duration::from_secs(20),
        );
        let texts: Vec<usize> = pieces.iter().map(|piece| piece.text.len()).collect();
        assert_eq!(texts, [65536, 0, 4]);
    }

    #[test]
    fn a_stream_that_hangs_is_ended_and_one_whose_pipes_stay_open_is_not_awaited() {
        let (seen, ended) = pieces("echo soon; sleep 60", Duration::from_secs(1));
        assert!(matches!(ended, Err(Lost::TimedOut { .. })));
        assert_eq!(seen[0].text, "soon");
        let (seen, ended) = pieces("sleep 30 & echo done; exit 3", Duration::from_secs(20));
        assert_eq!(ended.unwrap().end, End::Code(3));
        assert_eq!(seen[0].text, "done");
    }

    #[test]
    fn lines_are_read_however_many_there_are() {
        let (mut lines, timeout) = (0, Duration::from_secs(60));
        let script = format!("yes {} | head -n 20000; exit 3", "x".repeat(1000));
        let count = |_| {
            lines += 1;
            true
        };
        let output = streamed(&script, timeout, count).unwrap();
        assert_eq!((lines, output.end), (20_000, End::Code(3)));
        let ended = streamed("yes", timeout, |_| false);
        assert!(matches!(ended, Err(Lost::Interrupted)));
    }

    #[test]
    fn lines_without_end_are_read_for_as_long_as_was_said() {
        for script in ["yes", "sleep 60", "exec >&- 2>&-; sleep 60"] {
            let started = Instant::now();
            let ended = streamed(script, Duration::from_millis(300), |_| true);
            assert!(matches!(ended, Err(Lost::TimedOut { .. })), "{script}");
            assert!(started.elapsed() < Duration::from_secs(10), "{script}");
        }
    }

    #[test]
    fn a_grandchild_does_not_hold_up_reading_lines() {
        let output = streamed("sleep 60 & echo done", Duration::from_secs(20), |_| true).unwrap();
        assert_eq!(output.end, End::Code(0));
    }

    #[test]
    fn a_query_ends_at_an_interrupt_and_a_change_completes() {
        let interrupt = Interrupt::raised_for_test(2);
        let query = Command {
            on_interrupt: OnInterrupt::End,
            ..sh("sleep 60")
        };
        assert!(matches!(run(&query, &interrupt), Err(Lost::Interrupted)));
        let change = sh("sleep 0.3; echo done");
        assert_eq!(run(&change, &interrupt).unwrap().stdout, b"done\n");
    }
}
