//! A terminal to run the tool on: its only one, made by `script`.

use std::path::Path;
use std::process::{Command, Stdio};

use super::Sandbox;

/// Gives a program a terminal.
const SCRIPT: &str = "/usr/bin/script";

impl Sandbox {
    /// A command that runs `shell`'s words on a terminal of so many columns, with `$tool` for vch-lb; what the terminal receives
    /// comes out of its stdout. `None`, and said, where nothing makes a terminal.
    pub(crate) fn on_terminal(&self, columns: usize, shell: &str) -> Option<Command> {
        if !Path::new(SCRIPT).exists() {
            eprintln!("SKIPPED: there is no {SCRIPT}");
            return None;
        }
        let tool = env!("CARGO_BIN_EXE_vch-lb");
        let shell = format!("stty rows 24 cols {columns}; tool='{tool}'; {shell}");
        let mut command = Command::new(SCRIPT);
        command
            .args(["-qec", &shell, "/dev/null"])
            .env_clear()
            .env(
                "PATH",
                format!("{}:/usr/bin:/bin", self.path("bin").display()),
            )
            .env("HOME", self.path("home"))
            .env("FAKE_DOCKER_DIR", self.path("docker"))
            .env("SHELL", "/bin/sh")
            .env("TERM", "xterm")
            .env("LANG", "C.UTF-8")
            .current_dir(self.path("work"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        Some(command)
    }
}
