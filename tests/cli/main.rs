//! Scenarios: the real `vch-lb` binary against the fake docker.
#![allow(
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "in tests a panic is how to fail, and a skipped test has to say so"
)]

mod conformance;
mod fake;
mod progress;
mod sandbox;
