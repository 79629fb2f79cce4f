//! Changing what is there: a plan's steps, side by side, each with all that makes sure that it worked.
//!
//! `step` says what each step does; what it takes is in `run`, below everything else here. Nothing but `transaction`, a plan as
//! a whole, imports `step`.

pub mod config_file;
pub mod containers;
pub mod files;
pub mod guard;
pub mod health_checks;
pub mod lb_log;
pub mod lock;
pub mod others;
pub mod poll;
pub mod probe;
pub mod ready;
pub mod record;
pub mod reload;
pub mod restore;
pub mod revive;
pub mod run;
pub mod schedule;
pub mod serving;
pub mod signals;
pub mod step;
pub mod transaction;
pub mod watch;
pub mod workers;
