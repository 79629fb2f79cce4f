//! The real `vch-lb` binary with real docker clients against a real engine: the testbed's.
//!
//! `scripts/test` runs these. By hand: `scripts/testbed up`, `eval "$(scripts/testbed env)"`, and
//! `VCH_LB_ENGINE_TESTS=1 cargo test --test engine -- --test-threads=2`. Without that variable every test is skipped, so
//! that a plain `cargo test` leaves the endpoint alone that DOCKER_HOST happens to name.
//!
//! What is called haproxy:1.7 there, as LB_IMG is by default, is the HAProxy of this machine's package: 2.6 on Debian 12.
#![allow(clippy::unwrap_used, reason = "in tests a panic is how to fail")]

#[path = "../blocks.rs"]
mod blocks;
mod chaos;
#[path = "../chaos.rs"]
mod chaos_story;
mod clients;
mod commands;
mod deploy;
#[path = "../docker_help.rs"]
mod docker_help;
mod endpoint;
mod entrance;
mod gates;
mod history;
mod interrupted;
mod production;
mod readme;
mod refusals;
mod reruns;
mod restarts;
mod scaling;
mod series;
mod service;
mod settings;
mod slow_names;
mod traffic;
mod unreachable;
