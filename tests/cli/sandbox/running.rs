//! The tool while it runs: for tests that meet it on the way.

use std::fs;
use std::process::Child;

use super::{Ran, Sandbox};

/// The tool while it runs. Dropped, it is killed.
pub(crate) struct Running<'a> {
    pub(super) sandbox: &'a Sandbox,
    pub(super) what: String,
    pub(super) child: Option<Child>,
}

impl Running<'_> {
    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// Sends a signal to the tool alone.
    pub(crate) fn signal(&self, number: i32) {
        let pid = rustix::process::Pid::from_child(self.child.as_ref().unwrap());
        let signal = rustix::process::Signal::from_named_raw(number).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Sends a signal again and again until the tool ends, as an admin does who has seen what the first one led to.
    pub(crate) fn insist(&mut self, number: i32) {
        let sandbox = self.sandbox;
        sandbox.wait_until("the end", || {
            let ended = self.has_ended();
            if !ended {
                self.signal(number);
            }
            ended.then_some(())
        });
    }

    /// Sends a first signal and waits until the tool has taken it in: its thread for signals waits for the next one.
    pub(crate) fn interrupt(&self, number: i32) {
        let before = self.signals_thread();
        self.signal(number);
        let what = format!("signal {number} being taken in");
        self.sandbox.wait_until(&what, || {
            self.signals_thread()
                .filter(|now| Some(now) > before.as_ref())
        });
    }

    /// How often the tool's thread for signals has gone to sleep, while it sleeps.
    fn signals_thread(&self) -> Option<u64> {
        let threads = fs::read_dir(format!("/proc/{}/task", self.pid())).ok()?;
        threads.flatten().find_map(|thread| {
            let status = fs::read_to_string(thread.path().join("status")).ok()?;
            let field = |name: &str| {
                let line = status.lines().find(|line| line.starts_with(name))?;
                Some(line.split_once(':')?.1.trim().to_owned())
            };
            let sleeps = field("Name")? == "signals" && field("State")?.starts_with('S');
            sleeps.then(|| field("voluntary_ctxt_switches")?.parse().ok())?
        })
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.as_mut().unwrap().try_wait().unwrap().is_some()
    }

    /// Waits for its end.
    pub(crate) fn finish(mut self) -> Ran {
        let child = self.child.take().unwrap();
        let output = child.wait_with_output().unwrap();
        self.sandbox.ran(self.what.clone(), &output)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
