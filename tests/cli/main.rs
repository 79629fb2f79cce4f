//! Scenarios: the real `vch-lb` binary against the fake docker.

mod conformance;
mod fake;
mod sandbox;
