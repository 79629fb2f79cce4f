//! `vch-lb`: N instances of a container image behind `HAProxy`, on whatever endpoint the docker client points at.
//!
//! Look, plan, do: a command reads what is there (`look` into an `inventory`), computes a plan without any I/O (`plan`),
//! and executes it (`execute`, `perform`) or shows it (`script`). Only `docker::spawn` starts processes, only `ui` prints.

pub mod advice;
pub mod again;
pub mod ambiguous;
pub mod ask;
pub mod autopsy;
pub mod calls;
pub mod checks;
pub mod cli;
pub mod commands;
pub mod config_file;
pub mod connections;
pub mod digest;
pub mod docker;
pub mod doctor;
pub mod entrance;
pub mod error;
pub mod execute;
pub mod haproxy;
pub mod help;
pub mod host_ports;
pub mod http;
pub mod interrupt;
pub mod inventory;
pub mod judge;
pub mod look;
pub mod moment;
pub mod perform;
pub mod place;
pub mod plan;
pub mod probe;
pub mod reach;
pub mod ready;
pub mod receipt;
pub mod reload;
pub mod revive;
pub mod script;
pub mod secrets;
pub mod settings;
pub mod signals;
pub mod spec;
pub mod status;
pub mod text;
pub mod ui;

use std::process::ExitCode;

use cli::Cli;
use error::Failure;
use interrupt::Interrupt;
use ui::{Format, Options, Ui};

/// Runs the command line that the process was given, and reports a failure once.
pub fn run() -> ExitCode {
    let words: Vec<_> = std::env::args_os().collect();
    let cli = match Cli::from_words(&words) {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() && cli::asks_for_json(&words) => {
            let options = Options {
                format: Format::Json,
                ..Options::default()
            };
            return failed(&Ui::new(options), &cli::complaint(&error));
        }
        Err(error) => {
            let ui = Ui::default();
            ui.clap(&error);
            return if error.use_stderr() {
                ExitCode::from(error::exit::USAGE)
            } else {
                told(&ui, error::exit::DONE)
            };
        }
    };
    cli.output.color.write_global();
    let ui = Ui::new(cli.output.ui_options());
    let interrupt = Interrupt::default();
    match commands::dispatch(&cli, &ui, &interrupt) {
        // What was changed is changed, whether anybody could be told or not.
        Ok(code) if interrupt.changes() => ExitCode::from(code),
        Ok(code) => told(&ui, code),
        Err(failure) => failed(&ui, &failure),
    }
}

/// The exit code of a command whose answer is all that it does.
fn told(ui: &Ui, code: u8) -> ExitCode {
    match ui.lost() {
        Some(why) => {
            let what = format!("the answer could not be written to stdout: {why}");
            failed(ui, &Failure::failed(what))
        }
        None => ExitCode::from(code),
    }
}

fn failed(ui: &Ui, failure: &Failure) -> ExitCode {
    ui.failure(failure);
    ExitCode::from(failure.kind.exit_code())
}
