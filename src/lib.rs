//! `vch-lb`: N instances of a container image behind `HAProxy`, on whatever endpoint the docker client points at.
//!
//! Look, plan, do: a command reads what is there (`look` into an `inventory`), computes a plan without any I/O (`plan`),
//! and executes it (`change`) or shows it (`script`). Only `docker::spawn` starts processes, only `ui` prints.
//! No file imports what, by whatever way, imports it (`tests/cli/house.rs`).
//! Planning, rendering and judging are pure functions, so most of the program is tested without docker.
//!
//! ```text
//! src
//! ├── main.rs         the entry
//! ├── cli             the command line; the comments in `args.rs` are the help
//! ├── commands        one file per subcommand: look, plan, show or execute, report
//! │   └── change.rs   what all commands that change something share
//! ├── settings        the one table of all settings, a row each; where a value came from; the settings file
//! ├── service         the service that is wanted: settings given meaning, and all refusals; what running instances have besides
//! ├── look.rs         the read-only calls, and what they add up to
//! ├── inventory.rs    what is there
//! ├── history.rs      what was done to the service, and what it was; where one goes back to
//! ├── digest.rs       short texts that tell whether something is still the same
//! ├── plan            from one to the other: up, down, undo
//! ├── calls.rs        which docker calls a step consists of
//! ├── preview.rs      a plan for people, for --dry-run=plan and --confirm; its fingerprint
//! ├── script.rs       a plan as a bash script, for --dry-run
//! ├── secrets.rs      what is never shown
//! ├── change          doing what a plan says: all that makes sure that it worked
//! │   ├── transaction.rs  a plan carried out, watched by the probe, and undone where it fails
//! │   ├── step.rs         what each step does
//! │   ├── schedule.rs     steps side by side, none after the first failure
//! │   ├── run.rs          what every step takes: docker with repeats, patience, what was there before
//! │   ├── poll.rs         looking again until something is so, or too late
//! │   ├── containers.rs   containers, networks and images made and removed
//! │   ├── files.rs        haproxy.cfg and what lies beside it, written and copied
//! │   ├── restore.rs      the files from before, put back
//! │   ├── reload.rs       the reload transaction, and draining
//! │   ├── revive.rs       starting a load balancer again that ended in a reload
//! │   ├── signals.rs      signals to the load balancer, where it has a restart policy, too
//! │   ├── workers.rs      HAProxy's processes, over all reloads of a run
//! │   ├── lb_log.rs       what HAProxy says in the load balancer's log
//! │   ├── ready.rs        whether instances are ready to be sent requests
//! │   ├── watch.rs        new instances once they are sent to
//! │   ├── health_checks.rs  whether they pass HAProxy's own checks
//! │   ├── serving.rs      whether the service answers, and no worse than before
//! │   ├── probe.rs        --probe
//! │   ├── record.rs       what became of it, written into the history
//! │   ├── guard.rs        what this run knows of the service: what is otherwise is somebody else's
//! │   ├── others.rs       whether somebody else changes the service at the same time
//! │   ├── lock.rs         one change at a time: a lock in the load balancer
//! │   ├── lock.sh         the script that holds it there
//! │   └── config_file.rs  haproxy.cfg on the workstation
//! ├── moment.rs       points in time, as docker writes them
//! ├── place.rs        where the load balancer is asked, and whose a reply from there is
//! ├── entrance.rs     the same, with docker
//! ├── connections.rs  what connections show of who answers at a place
//! ├── host_ports.rs   ports of the host that the load balancer wants and others have
//! ├── advice.rs       networks and ports of an endpoint that the admin should know of
//! ├── judge.rs        what replies and states mean: does it work, is it worse than before
//! ├── reach.rs        where the service is and what it replied there, in words
//! ├── namesakes.rs    several networks of one name
//! ├── ask.rs          asking HAProxy in the load balancer itself
//! ├── receipt.rs      what its requests came to
//! ├── http.rs         one question to a port
//! ├── autopsy.rs      why a container died
//! ├── haproxy         haproxy.cfg written and read back, also what earlier versions wrote; HAProxy's log and answers
//! ├── docker          the docker client: calls and how they are shown, spawning, answers, what its words mean
//! ├── status          what status makes of the inventory
//! ├── text.rs         how texts are written; those of others are made harmless for a terminal
//! ├── message.rs      texts that suggest commands of its own
//! ├── suggest.rs      how those commands are to be typed, so that they mean the same service
//! ├── doctor          what doctor makes of its facts; in `endpoint`, a file for each check of the endpoint
//! ├── interrupt.rs    Ctrl-C
//! ├── help            the topics of `vch-lb help`, whose texts are in `templates/help`: as text, as manual pages; the pager
//! ├── error.rs        failures and exit codes
//! ├── ui              the only place that prints
//! └── lib.rs          how these hang together
//! ```
//!
//! To add
//!
//! - a setting: a row in `src/settings/table.rs`, which says all but what it means. Its meaning: of the load balancer's,
//!   in `Tuning::read` of `src/service/tuning.rs` and, where it shows in haproxy.cfg, a directive; of others, in
//!   `src/service/mod.rs`, and in `running.rs` how it is read off what runs. Its test, where that meaning is; values of it
//!   in `some_settings` of `tests/cli/haproxy_check.rs` and in `VALUES` of `tests/engine/settings.rs`. The README has its name.
//! - a directive of HAProxy's: a line in `templates/haproxy.cfg.hbs`, on a condition that is false with the script's seven
//!   variables alone; its variable in `Model` of `src/haproxy/mod.rs` and in `templates/help/template.md`; where only some
//!   HAProxys take it, their version in `src/haproxy/versions.rs`. Files that were written before stay recognised by the
//!   checksum at their head.
//! - a command: `Subcommands` in `src/cli/args.rs`, and in `src/cli/mod.rs` which settings it takes; a file in
//!   `src/commands`, a line in `dispatch`; if it answers in JSON, its schema in `templates/help/json.md`.
//! - a docker call: a builder in `src/docker/argv.rs`; who makes it: `src/look.rs` if it reads, `src/calls.rs` if a step
//!   consists of it; the fake in `tests/fake`; its reason in `tests/cli/safe_list.rs`, the list of calls that are safe on
//!   a VCH.
//! - a step: an `Action` in `src/plan/mod.rs`, put into plans by `src/plan/up` or `down.rs`; the compiler names the
//!   places that have to know it.
//! - a message of docker's: a row in the table of `src/docker/cause.rs`, from specific to general, with a hint.
//! - a check of `doctor`: of the endpoint, a file in `src/doctor/endpoint`, named in `ABOUT` and called in `checks` of its
//!   `mod.rs`; of the client and its way there, `src/doctor/client.rs`; what it needs to know is asked in
//!   `src/commands/doctor.rs`. What docker tells beside what is read already: a field in `src/docker/answer.rs`, and in what
//!   the fake answers.
//! - a topic of `help`: a text in `templates/help`, and a line of `TOPICS` in `src/help/mod.rs`.
//!
//! `scripts/test` runs all tests:
//!
//! - at the end of each file in `src`, or in a `tests.rs` below it: pure functions, some with generated inputs.
//! - `tests/cli`: the real binary on the fake docker of `tests/fake`, as an engine and as a VCH, with faults at every
//!   call; the fake itself, held against the real client.
//! - `tests/chaos.rs`: random commands, faults, deaths and edits by hand, and what has to be true after each:
//!   `scripts/chaos`, on the fake or on the testbed under load; one story on the fake is among the tests.
//! - `tests/golden`: rendered configurations, also given to a real `HAProxy` where there is one.
//! - `tests/engine`: the real binary, real docker clients and real requests on the testbed, whose `haproxy:1.7` is 2.6.
//!
//! What the README, the topics and this text say is held against the program by `tests/cli/readme.rs`; their console blocks
//! are executed on the testbed by `tests/engine/readme.rs`, which compares what is printed with what they show.
//! `cargo audit` and `cargo deny` are not part of `scripts/test`: they need an advisory database from the network.
//! `scripts/portable` checks that everything compiles for Windows and macOS; where the toolchain lacks those targets it
//! unpacks Debian's compiler below `target`, and takes some minutes. The scenarios need a Unix; on Windows there is
//! `cargo test --lib`.

pub mod advice;
pub mod ask;
pub mod autopsy;
pub mod calls;
pub mod change;
pub mod cli;
pub mod commands;
pub mod connections;
pub mod digest;
pub mod docker;
pub mod doctor;
pub mod entrance;
pub mod error;
pub mod haproxy;
pub mod help;
pub mod history;
pub mod host_ports;
pub mod http;
pub mod interrupt;
pub mod inventory;
pub mod judge;
pub mod look;
pub mod message;
pub mod moment;
pub mod namesakes;
pub mod place;
pub mod plan;
pub mod preview;
pub mod reach;
pub mod receipt;
pub mod script;
pub mod secrets;
pub mod service;
pub mod settings;
pub mod status;
pub mod suggest;
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
                told(&ui, error::exit::DONE, false)
            };
        }
    };
    cli.output.color.write_global();
    let ui = Ui::new(cli.output.ui_options());
    let interrupt = Interrupt::default();
    match commands::dispatch(&cli, &ui, &interrupt) {
        Ok(code) => told(&ui, code, interrupt.changes()),
        Err(failure) => failed(&ui, &failure),
    }
}

/// The exit code of a command, which has failed where its answer could not be written; what it has changed is changed.
fn told(ui: &Ui, code: u8, changed: bool) -> ExitCode {
    match ui.lost() {
        Some(why) => {
            let what = format!("the answer could not be written to stdout: {why}");
            let mut failure = Failure::failed(what);
            if changed {
                failure.aftermath = Some("what was asked for has been done, and stands".into());
            }
            failed(ui, &failure)
        }
        None => ExitCode::from(code),
    }
}

fn failed(ui: &Ui, failure: &Failure) -> ExitCode {
    ui.failure(failure);
    ExitCode::from(failure.kind.exit_code())
}
