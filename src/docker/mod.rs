//! The docker client as a value: which program, which global options, how long a call may take.
//!
//! [`Docker::query`] reads, [`Docker::change`] changes; both return docker's answer or a [`CallError`] that tells the
//! whole story. What docker's answers mean lives in `answer`, what its errors mean in `cause`.

pub mod answer;
pub mod archive;
pub mod argv;
pub mod cause;
mod failure;
pub mod host;
pub mod layers;
pub mod spawn;
pub mod words;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use argv::Argv;
use cause::Cause;
use host::{Address, Host};
use spawn::{Command, End, Group, Held, Lost, OnInterrupt, Output, Piece};

use crate::error::Failure;
use crate::interrupt::Interrupt;
use crate::message::Message;
use crate::text;
use crate::ui::Ui;

/// How the client is found and asked, from the command line.
#[derive(Debug, Clone)]
pub struct Client {
    /// `--docker`: a name to look up, or a path.
    pub program: String,
    pub host: Option<String>,
    pub context: Option<String>,
    /// Per call.
    pub timeout: Duration,
}

/// A docker client that was found.
#[derive(Debug, Clone)]
pub struct Docker {
    program: String,
    /// As the admin called it: for scripts and messages.
    shown: String,
    globals: Vec<String>,
    /// The endpoint's address, where flags and environment say it and no context does.
    address: Option<String>,
    /// Where the endpoint publishes ports, once that was asked for.
    host: Arc<OnceLock<Option<Host>>>,
    env: Vec<(String, String)>,
    timeout: Duration,
    /// Whether the client may have to ask for a passphrase on the terminal (ssh).
    may_ask: bool,
    interrupt: Interrupt,
    ui: Ui,
}

/// What a successful call printed.
#[derive(Debug)]
pub struct Answer {
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }
}

/// A call that did not succeed.
#[derive(Debug, Clone)]
pub struct CallError {
    call: String,
    problem: Problem,
    /// What arrived on stdout all the same: `inspect A B` prints those that it found.
    pub stdout: Vec<u8>,
}

#[derive(Debug, Clone)]
enum Problem {
    NotStarted(String),
    Exit {
        code: i32,
        stderr: String,
    },
    Signal {
        signal: i32,
        stderr: String,
    },
    TimedOut {
        after: Duration,
        stderr: String,
        /// Whether the call was one that only reads, which no endpoint takes long for.
        reads: bool,
    },
    Interrupted {
        signal: i32,
    },
    TooMuchOutput,
    /// docker succeeded, but what it printed is not what such a call prints.
    Answer(String),
}

impl CallError {
    /// The call, quoted as a shell would.
    pub fn call(&self) -> &str {
        &self.call
    }

    /// docker's own words, or ours where docker said nothing.
    pub fn words(&self) -> String {
        match &self.problem {
            Problem::NotStarted(why) => format!("docker could not be started: {why}"),
            Problem::Exit { code, stderr } if stderr.trim().is_empty() => {
                format!("docker exited with code {code} and said nothing")
            }
            Problem::Exit { stderr, .. } => stderr.trim_end().to_owned(),
            Problem::Signal { signal, stderr } => {
                with_words(&format!("docker was killed by signal {signal}"), stderr)
            }
            Problem::TimedOut { after, stderr, .. } => {
                let after = humantime::format_duration(*after);
                with_words(
                    &format!("no answer within {after} (--timeout): the call was ended"),
                    stderr,
                )
            }
            Problem::Interrupted { .. } => "interrupted".to_owned(),
            Problem::TooMuchOutput => {
                format!("docker printed more than {} MiB", spawn::STDOUT_LIMIT >> 20)
            }
            Problem::Answer(why) => why.clone(),
        }
    }

    pub fn cause(&self) -> Option<Cause> {
        self.stderr().and_then(cause::classify)
    }

    /// What a VCH's port layer said, where docker's words wrap it up.
    pub fn portlayer_message(&self) -> Option<&str> {
        self.stderr().and_then(cause::portlayer_message)
    }

    fn stderr(&self) -> Option<&str> {
        match &self.problem {
            Problem::Exit { stderr, .. }
            | Problem::TimedOut { stderr, .. }
            | Problem::Signal { stderr, .. } => Some(stderr),
            _ => None,
        }
    }

    pub fn hint(&self) -> Option<Message> {
        match &self.problem {
            Problem::TimedOut { reads: true, .. } => {
                Some("check the endpoint's address, and the route and the firewalls on the way to it; raise --timeout if it is that slow".into())
            }
            Problem::TimedOut { .. } => {
                Some("a VCH may take 3 minutes to start a container; raise --timeout if the endpoint is that slow".into())
            }
            _ => self.cause().map(Cause::hint),
        }
    }

    pub fn endpoint_unusable(&self) -> bool {
        matches!(
            self.problem,
            Problem::NotStarted(_) | Problem::Answer(_) | Problem::TooMuchOutput
        ) || self.cause().is_some_and(Cause::endpoint_unusable)
    }

    /// Whether it was not about what was asked for: no other call would do better.
    pub fn concerns_every_call(&self) -> bool {
        self.interrupted().is_some() || self.endpoint_unusable()
    }

    pub fn interrupted(&self) -> Option<i32> {
        match self.problem {
            Problem::Interrupted { signal } => Some(signal),
            _ => None,
        }
    }

    pub fn timed_out(&self) -> bool {
        matches!(self.problem, Problem::TimedOut { .. })
    }

    /// Whether there was more on stdout than is taken.
    pub fn printed_too_much(&self) -> bool {
        matches!(self.problem, Problem::TooMuchOutput)
    }

    pub fn is_not_found(&self) -> bool {
        self.cause().is_some_and(Cause::is_not_found)
    }

    fn answer(call: String, why: String) -> Self {
        Self {
            call,
            problem: Problem::Answer(why),
            stdout: Vec::new(),
        }
    }
}

fn with_words(said: &str, stderr: &str) -> String {
    match stderr.trim_end() {
        "" => said.to_owned(),
        words => format!("{said}\n{words}"),
    }
}

impl Docker {
    /// Finds the program; nothing is run yet.
    pub fn find(client: &Client, interrupt: &Interrupt, ui: &Ui) -> Result<Self, Failure> {
        let program = which::which(&client.program).map_err(|_| not_found(&client.program))?;
        let mut globals = Vec::new();
        if let Some(host) = &client.host {
            globals.extend(["-H".to_owned(), host.clone()]);
        }
        if let Some(context) = &client.context {
            globals.extend(["--context".to_owned(), context.clone()]);
        }
        let host = client
            .host
            .clone()
            .or_else(|| std::env::var("DOCKER_HOST").ok())
            .filter(|host| !host.is_empty());
        Ok(Self {
            program: program.to_string_lossy().into_owned(),
            shown: client.program.clone(),
            globals,
            // As docker does: DOCKER_HOST wins over DOCKER_CONTEXT and the current context, `--context` over all.
            address: host.clone().filter(|_| client.context.is_none()),
            host: Arc::default(),
            env: Vec::new(),
            timeout: client.timeout,
            may_ask: host.is_some_and(|host| host.starts_with("ssh://")),
            interrupt: interrupt.clone(),
            ui: ui.clone(),
        })
    }

    /// Where the program was found.
    pub fn program(&self) -> &str {
        &self.program
    }

    /// The machine on which the endpoint publishes ports; `None` where that can't be told. It is found out when it is
    /// asked for first, and without asking the endpoint.
    pub fn host(&self) -> Option<&Host> {
        let find = || match host::address(&self.endpoint_address()?)? {
            Address::Host(host) => Some(host),
            Address::Ssh(alias) => self.behind_ssh(&alias),
        };
        self.host.get_or_init(find).as_ref()
    }

    /// The endpoint's address: docker knows its contexts, and which one is current.
    fn endpoint_address(&self) -> Option<String> {
        if self.address.is_some() {
            return self.address.clone();
        }
        match self.query(&argv::context_inspect()) {
            Ok(answer) => {
                let context: answer::DockerContext = answer::json(&answer.stdout).ok()?;
                Some(context.endpoints.docker.host)
            }
            // A client from before there were contexts has its default.
            Err(error) if error.cause() == Some(Cause::UnknownCommand) => {
                Some("unix:///var/run/docker.sock".to_owned())
            }
            Err(_) => None,
        }
    }

    /// Where ssh would go for `alias`, by its configuration. Nothing is connected to.
    fn behind_ssh(&self, alias: &str) -> Option<Host> {
        let program = which::which("ssh").ok()?;
        let args = ["-G", "--", alias].map(str::to_owned).to_vec();
        self.ui.echo(&format!("ssh {}", words::quote(&args)));
        let command = Command {
            program: &program.to_string_lossy(),
            args,
            env: &self.env,
            stdin: None,
            group: Group::Own,
            timeout: self.timeout,
            on_interrupt: OnInterrupt::End,
        };
        match spawn::run(&command, &self.interrupt).ok()? {
            Output {
                stdout,
                end: End::Code(0),
                ..
            } => host::of_ssh(&String::from_utf8_lossy(&stdout)),
            _ => None,
        }
    }

    /// The words before the subcommand, for a shell: `docker -H tcp://vch:2376`.
    pub fn prefix(&self) -> String {
        let mut words = vec![self.shown.clone()];
        words.extend(self.globals.iter().cloned());
        words::quote(&words)
    }

    /// A call as a shell would echo it, secrets hidden.
    pub fn shown(&self, argv: &Argv) -> String {
        let mut words = vec![self.shown.clone()];
        words.extend(self.globals.iter().map(|word| words::hide_password(word)));
        format!("{} {argv}", words::quote(&words))
    }

    /// A call that only reads. It is ended when we are interrupted.
    pub fn query(&self, argv: &Argv) -> Result<Answer, CallError> {
        self.call(argv, None, OnInterrupt::End)
    }

    /// A call that changes something. It completes even when we are interrupted.
    pub fn change(&self, argv: &Argv) -> Result<Answer, CallError> {
        self.call(argv, None, OnInterrupt::Complete)
    }

    /// Like [`Docker::change`]; `on_stdout` sees what the call prints as it comes, on another thread.
    pub fn change_watched(
        &self,
        argv: &Argv,
        on_stdout: impl FnMut(&[u8]) + Send + 'static,
    ) -> Result<Answer, CallError> {
        self.call_watched(argv, None, OnInterrupt::Complete, on_stdout)
    }

    /// Like [`Docker::change`], with `stdin` for the call to read.
    pub fn change_with_stdin(&self, argv: &Argv, stdin: Vec<u8>) -> Result<Answer, CallError> {
        self.call(argv, Some(stdin), OnInterrupt::Complete)
    }

    /// Like [`Docker::query`], for answers of any size: each line of either stream goes to `on_piece`, which says whether to
    /// go on.
    pub fn query_lines(
        &self,
        argv: &Argv,
        on_piece: impl FnMut(Piece) -> bool,
    ) -> Result<(), CallError> {
        self.stream(argv, self.timeout, on_piece)
    }

    /// A call that prints line by line for as long as it takes: each line of either stream goes to `on_line`, which says
    /// whether to go on.
    pub fn follow(
        &self,
        argv: &Argv,
        mut on_line: impl FnMut(String) -> bool,
    ) -> Result<(), CallError> {
        match self.stream(argv, Duration::MAX, |piece| on_line(piece.text)) {
            Err(error) if error.interrupted().is_some() => Ok(()),
            ended => ended,
        }
    }

    fn stream(
        &self,
        argv: &Argv,
        timeout: Duration,
        mut on_piece: impl FnMut(Piece) -> bool,
    ) -> Result<(), CallError> {
        let call = self.shown(argv);
        self.ui.echo(&call);
        let command = Command {
            timeout,
            ..self.command(argv, None, OnInterrupt::End)
        };
        let mut enough = false;
        let until_enough = |piece| {
            enough = !on_piece(piece);
            !enough
        };
        match spawn::stream(&command, &self.interrupt, until_enough) {
            Ok(Output {
                end: End::Code(0), ..
            }) => Ok(()),
            Ok(output) => Err(ended(call, output)),
            Err(Lost::Interrupted) if enough => Ok(()),
            Err(lost) => Err(self.lost(call, lost, OnInterrupt::End)),
        }
    }

    /// A call that goes on until what is returned is dropped, with the first line that it prints within `patience`.
    pub fn hold(&self, argv: &Argv, patience: Duration) -> Result<(Held, String), CallError> {
        let call = self.shown(argv);
        self.ui.echo(&call);
        let timeout = patience.min(self.timeout);
        let command = Command {
            timeout,
            group: Group::Own,
            ..self.command(argv, None, OnInterrupt::End)
        };
        match spawn::hold(&command, &self.interrupt) {
            Ok((held, Some(line))) => Ok((held, line)),
            Ok((held, None)) => match held.end() {
                Some(Output {
                    end: End::Code(0), ..
                }) => Err(CallError::answer(call, "it printed nothing".to_owned())),
                Some(output) => Err(ended(call, output)),
                None => Err(CallError::answer(call, "it does not end".to_owned())),
            },
            Err(lost) => Err(self.lost(call, lost, OnInterrupt::End)),
        }
    }

    /// A failure of ours to make sense of what `argv` printed.
    pub fn bad_answer(&self, argv: &Argv, why: impl Into<String>) -> CallError {
        CallError::answer(self.shown(argv), why.into())
    }

    /// No server behind the client, in the words of its own answer.
    pub fn no_server(&self, argv: &Argv, words: &str) -> CallError {
        let problem = Problem::Exit {
            code: 1,
            stderr: words.to_owned(),
        };
        CallError {
            call: self.shown(argv),
            problem,
            stdout: Vec::new(),
        }
    }

    /// Sleeps between two calls, but not through an interrupt.
    pub fn pause(&self, duration: Duration) {
        self.interrupt.sleep(duration);
    }

    /// The same client, deaf to interrupts: for undoing.
    #[must_use]
    pub fn uninterruptible(&self) -> Self {
        Self {
            interrupt: Interrupt::default(),
            ..self.clone()
        }
    }

    fn call(
        &self,
        argv: &Argv,
        stdin: Option<Vec<u8>>,
        on_interrupt: OnInterrupt,
    ) -> Result<Answer, CallError> {
        self.call_watched(argv, stdin, on_interrupt, |_| {})
    }

    fn call_watched(
        &self,
        argv: &Argv,
        stdin: Option<Vec<u8>>,
        on_interrupt: OnInterrupt,
        on_stdout: impl FnMut(&[u8]) + Send + 'static,
    ) -> Result<Answer, CallError> {
        let call = self.shown(argv);
        self.ui.echo(&call);
        let command = self.command(argv, stdin, on_interrupt);
        match spawn::run_watched(&command, &self.interrupt, on_stdout) {
            Ok(Output {
                stdout,
                stderr,
                end: End::Code(0),
            }) => Ok(Answer {
                stdout,
                stderr: String::from_utf8_lossy(&stderr).into_owned(),
            }),
            Ok(output) => Err(ended(call, output)),
            Err(lost) => Err(self.lost(call, lost, on_interrupt)),
        }
    }

    fn command(
        &self,
        argv: &Argv,
        stdin: Option<Vec<u8>>,
        on_interrupt: OnInterrupt,
    ) -> Command<'_> {
        let asks = self.may_ask && on_interrupt == OnInterrupt::End;
        Command {
            program: &self.program,
            args: self.globals.iter().chain(argv.words()).cloned().collect(),
            env: &self.env,
            stdin,
            group: if asks { Group::Ours } else { Group::Own },
            timeout: self.timeout,
            on_interrupt,
        }
    }

    fn lost(&self, call: String, lost: Lost, on_interrupt: OnInterrupt) -> CallError {
        let problem = match lost {
            Lost::NotStarted(error) => {
                Problem::NotStarted(format!("{}: {}", self.program, text::reason(&error)))
            }
            Lost::NotAwaited(error) => {
                Problem::Answer(format!("docker could not be waited for: {error}"))
            }
            Lost::TimedOut { stderr } => {
                let stderr = String::from_utf8_lossy(&stderr).into_owned();
                Problem::TimedOut {
                    after: self.timeout,
                    stderr,
                    reads: on_interrupt == OnInterrupt::End,
                }
            }
            Lost::Interrupted => Problem::Interrupted {
                signal: self.interrupt.signal().unwrap_or_default(),
            },
            Lost::TooMuchOutput => Problem::TooMuchOutput,
        };
        CallError {
            call,
            problem,
            stdout: Vec::new(),
        }
    }
}

/// A call that ended otherwise than with code 0.
fn ended(call: String, output: Output) -> CallError {
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let problem = match output.end {
        End::Code(code) => Problem::Exit { code, stderr },
        End::Signal(signal) => Problem::Signal { signal, stderr },
    };
    CallError {
        call,
        problem,
        stdout: output.stdout,
    }
}

fn not_found(program: &str) -> Failure {
    let is_path = program.contains(['/', '\\']);
    let failure = Failure::new(
        crate::error::Kind::Unusable,
        format!("no docker client: `{program}` was not found"),
    );
    if is_path {
        failure.hinted("--docker names a file that is not there, or that may not be executed")
    } else {
        failure.hinted(format!(
            "install the docker client, or name it with --docker PATH; `{program}` is not on PATH"
        ))
    }
}
