//! Scenarios: the real `vch-lb` binary against the fake docker.
#![allow(
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "in tests a panic is how to fail, and a skipped test has to say so"
)]

mod ambiguous;
#[cfg(unix)]
mod bash;
#[path = "../blocks.rs"]
mod blocks;
mod chaos;
#[path = "../chaos.rs"]
mod chaos_story;
mod checks;
mod conformance;
mod deploy;
mod doctor;
mod down;
mod dry_run;
mod economy;
mod entrance;
mod fake;
mod gates;
mod haproxy_check;
mod help;
mod history;
mod house;
mod interrupts;
mod json;
mod lock;
mod logs;
mod matrix;
mod neighbours;
mod pairs;
mod picture;
mod preview;
mod progress;
mod readme;
mod refusals;
mod reloads;
mod restart_policies;
mod resume;
mod rollback;
mod rollout;
mod safe_list;
mod sandbox;
mod scale;
mod scene;
mod settings;
mod siblings;
mod status;
mod templates;
mod trouble;
mod trust;
mod unusable;
mod upgrade;
mod versions;
mod workstation;
