//! What a call answers: its two streams and its exit code. Commands build one; only `main` prints it.

/// The answer of one call.
#[derive(Debug, Default)]
pub(crate) struct Reply {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    pub(crate) code: i32,
    /// The signal that the client ends itself with in place of exiting.
    pub(crate) dies_of: Option<i32>,
    /// How many milliseconds pass after each line on stdout.
    pub(crate) line_ms: u64,
}

impl Reply {
    /// An answer of one line on stdout.
    pub(crate) fn line(text: &str) -> Self {
        let mut reply = Self::default();
        reply.out(text);
        reply
    }

    pub(crate) fn error(text: &str, code: i32) -> Self {
        let mut reply = Self::default();
        reply.err(text);
        reply.code = code;
        reply
    }

    /// The endpoint's own words, as the client passes them on.
    pub(crate) fn daemon_error(text: &str) -> Self {
        Self::error(&format!("Error response from daemon: {text}"), 1)
    }

    pub(crate) fn out(&mut self, text: &str) {
        self.stdout.extend_from_slice(text.as_bytes());
        self.stdout.push(b'\n');
    }

    pub(crate) fn err(&mut self, text: &str) {
        self.stderr.extend_from_slice(text.as_bytes());
        self.stderr.push(b'\n');
    }

    /// Notes a failure for one of several operands: the line on stderr, and exit code 1 in the end.
    pub(crate) fn fail(&mut self, text: &str) {
        self.err(text);
        self.code = 1;
    }
}

/// Why an operation on the endpoint did not happen: in the endpoint's words, or in the client's.
#[derive(Debug)]
pub(crate) enum Refusal {
    Daemon(String),
    Client(String),
}

impl Refusal {
    pub(crate) fn daemon(text: impl Into<String>) -> Self {
        Self::Daemon(text.into())
    }

    /// The line as the client prints it.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Daemon(text) => format!("Error response from daemon: {text}"),
            Self::Client(text) => text.clone(),
        }
    }

    pub(crate) fn reply(&self) -> Reply {
        Reply::error(&self.text(), 1)
    }
}
