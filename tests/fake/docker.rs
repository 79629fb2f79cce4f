//! The fake docker client that the scenarios run on: it answers like the real client against an engine or a VCH, from
//! state kept as small files in `$FAKE_DOCKER_DIR`. This file holds the way of one call, from argv to exit code.
//! Nothing here is shared with the tool: fake and tool must not agree by construction.
#![allow(
    clippy::exit,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "it is a command line client: it writes and exits as one"
)]

mod args;
mod config;
mod containers;
mod copy;
mod create;
mod execs;
mod faults;
mod haproxy;
mod images;
mod lifecycle;
mod listing;
mod logs;
mod networks;
mod pattern;
mod record;
mod reply;
mod sockets;
mod store;
mod system;
mod template;
mod texts;
mod times;

use std::env;
use std::io::{self, IsTerminal, Read, Write};
use std::process::ExitCode;
use std::thread::sleep;
use std::time::Duration;

use args::{Globals, Parsed};
use config::Config;
use reply::Reply;
use store::Store;

/// What every command works with.
struct Ctx {
    store: Store,
    config: Config,
    globals: Globals,
    stdin: Vec<u8>,
}

fn main() -> ExitCode {
    let argv: Vec<String> = env::args_os()
        .skip(1)
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let Some(dir) = env::var_os("FAKE_DOCKER_DIR") else {
        eprintln!("fake docker: FAKE_DOCKER_DIR is not set");
        return ExitCode::from(99);
    };
    let store = Store::new(dir.into());
    let config = match Config::load(&store) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("fake docker: config.json: {error}");
            return ExitCode::from(99);
        }
    };
    let (globals, words) = args::globals(&argv);
    let parsed = globals.and_then(|globals| Ok((globals, args::parse(&words, &config)?)));

    let mut stdin = Vec::new();
    if parsed.as_ref().is_ok_and(|(_, call)| call.reads_stdin()) && !io::stdin().is_terminal() {
        // A short read shows up as a broken tar, as it would on the endpoint.
        let _ = io::stdin().read_to_end(&mut stdin);
    }
    let changing = parsed.as_ref().is_ok_and(|(_, call)| call.changes());
    let entry = record::begin(&store, &argv, &words, changing, &stdin);

    let mut reply = faults::before(&store, entry.rule.as_ref());
    let own = reply.is_none();
    if own {
        reply = Some(match parsed {
            Err(refusal) => refusal,
            Ok((globals, call)) => {
                let mut ctx = Ctx {
                    store: store.clone(),
                    config,
                    globals,
                    stdin,
                };
                answer(&mut ctx, &call, entry.change)
            }
        });
    }
    let mut reply = reply.unwrap_or_default();
    if own {
        reply = faults::after(&store, entry.rule.as_ref(), reply);
    }
    if let Some(signal) = reply.dies_of {
        record::end(&store, entry.seq, None, Some(signal));
        faults::kill_self(signal);
    }
    // A reader that has gone away is not an error of the call.
    for line in paced(&reply) {
        let _ = io::stdout().write_all(line);
        let _ = io::stdout().flush();
        sleep(Duration::from_millis(reply.line_ms));
    }
    let _ = io::stderr().write_all(&reply.stderr);
    record::end(&store, entry.seq, Some(reply.code), None);
    ExitCode::from(u8::try_from(reply.code).unwrap_or(1))
}

/// What is written to stdout at once.
fn paced(reply: &Reply) -> Vec<&[u8]> {
    if reply.line_ms == 0 {
        vec![&reply.stdout]
    } else {
        let is_end = |byte: &u8| *byte == b'\n';
        reply.stdout.split_inclusive(is_end).collect()
    }
}

/// Waits as long as the configuration says, then runs the command, unless the endpoint can't be reached or refuses.
fn answer(ctx: &mut Ctx, call: &Parsed, change: Option<u64>) -> Reply {
    if let Some(ms) = ctx.config.delays_ms.get(call.delay_key()) {
        sleep(Duration::from_millis(*ms));
    }
    if call.needs_daemon() {
        if let Some(text) = &ctx.config.unreachable {
            let text = text.clone();
            return system::unreachable(ctx, call, &text);
        }
        if let (Some(text), None) = (&ctx.config.api_refusal, env::var_os("DOCKER_API_VERSION")) {
            return Reply::daemon_error(text);
        }
    }
    if let Some(change) = change {
        let every = ctx.config.conflict_every;
        if ctx.config.is_vch()
            && every > 0
            && (change + 1).is_multiple_of(every)
            && call.path != "pull"
        {
            return transient(call, change / every);
        }
    }
    dispatch(ctx, call)
}

/// One of the texts by which a VCH says that two operations met.
fn transient(call: &Parsed, turn: u64) -> Reply {
    let text =
        texts::VCH_CONFLICTS[usize::try_from(turn).unwrap_or(0) % texts::VCH_CONFLICTS.len()];
    match call.path.as_str() {
        "run" => call.run_error(text),
        "kill" => Reply::daemon_error(&format!(
            "Cannot kill container {}: {}",
            call.operands.first().map_or("", String::as_str),
            texts::VCH_GUEST_BUSY
        )),
        "start" => {
            let mut reply = Reply::daemon_error(text);
            reply.err(&format!(
                "Error: failed to start containers: {}",
                call.operands.join(", ")
            ));
            reply
        }
        _ => Reply::daemon_error(text),
    }
}

fn dispatch(ctx: &mut Ctx, call: &Parsed) -> Reply {
    match call.path.as_str() {
        "version" => system::version(ctx, call),
        "info" => system::info(ctx, call),
        "context ls" => system::context_ls(ctx, call),
        "context show" => system::context_show(ctx),
        "context inspect" => system::context_inspect(ctx, call),
        "pull" => images::pull(ctx, call),
        "image inspect" => images::inspect(ctx, call),
        "tag" => images::tag(ctx, call),
        "rmi" => images::rmi(ctx, call),
        "images" => images::list(ctx, call),
        "network create" => networks::create(ctx, call),
        "network inspect" => networks::inspect(ctx, call),
        "network ls" => networks::ls(ctx, call),
        "network connect" => networks::connect(ctx, call),
        "network disconnect" => networks::disconnect(ctx, call),
        "network rm" => networks::rm(ctx, call),
        "run" => create::run(ctx, call),
        "create" => create::create(ctx, call),
        "start" => lifecycle::start(ctx, call),
        "stop" => lifecycle::stop(ctx, call),
        "restart" => lifecycle::restart(ctx, call),
        "kill" => lifecycle::kill(ctx, call),
        "rm" => lifecycle::rm(ctx, call),
        "rename" => lifecycle::rename(ctx, call),
        "wait" => lifecycle::wait(ctx, call),
        "cp" => copy::cp(ctx, call),
        "exec" => execs::exec(ctx, call),
        "ps" => listing::ps(ctx, call),
        "inspect" => listing::inspect(ctx, call),
        "port" => listing::port(ctx, call),
        "logs" => logs::logs(ctx, call),
        "top" | "pause" | "unpause" | "update" => system::unimplemented(ctx, call),
        other => Reply::error(
            &format!("fake docker: {other} is parsed but not simulated"),
            99,
        ),
    }
}
