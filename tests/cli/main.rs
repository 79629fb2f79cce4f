//! Scenarios: the real `vch-lb` binary against the fake docker.
