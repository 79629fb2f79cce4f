//! `exec`: the few programs that are found in a container.

use crate::Ctx;
use crate::args::Parsed;
use crate::containers::Container;
use crate::haproxy;
use crate::lifecycle;
use crate::reply::Reply;
use crate::texts;

pub(crate) fn exec(ctx: &mut Ctx, call: &Parsed) -> Reply {
    let (store, config) = (&ctx.store, &ctx.config);
    let name = &call.operands[0];
    let Some(container) = store.container(name) else {
        return texts::no_such_container(config, name).reply();
    };
    if !container.running() {
        return Reply::daemon_error(&match (config.is_vch(), config.at_least("25")) {
            (true, _) => format!("Server error from portlayer: container ({name}) is not running"),
            (false, false) => format!("Container {} is not running", container.id),
            (false, true) => format!("container {} is not running", container.id),
        });
    }
    if !config.exec {
        return Reply::daemon_error(if config.is_vch() {
            "Server error from portlayer: unable to wait for process launch status: context deadline exceeded"
        } else {
            "OCI runtime exec failed: exec failed: permission denied"
        });
    }
    let command: Vec<&str> = call.operands[1..].iter().map(String::as_str).collect();
    // Only what a shell needs no shell for: one simple command.
    let inner = match command.as_slice() {
        ["sh" | "/bin/sh", "-c", script] => shell_words::split(script).ok(),
        _ => None,
    };
    match inner {
        Some(words)
            if !words
                .iter()
                .any(|word| word.contains([';', '|', '>', '<', '&', '$'])) =>
        {
            program(
                ctx,
                &container,
                &words.iter().map(String::as_str).collect::<Vec<_>>(),
            )
        }
        Some(_) => Reply::error("fake docker: this shell script is not simulated", 99),
        None => program(ctx, &container, &command),
    }
}

fn program(ctx: &Ctx, container: &Container, command: &[&str]) -> Reply {
    match command {
        ["kill", "-HUP", "1"] => {
            let _lock = ctx.store.lock();
            let mut container = ctx.store.container(&container.id).unwrap_or_default();
            lifecycle::deliver(&ctx.store, &ctx.config, &mut container, "HUP", 1);
            ctx.store.save(&container);
            Reply::default()
        }
        ["haproxy" | "/usr/local/sbin/haproxy", arguments @ ..]
            if container.haproxy().is_some() =>
        {
            haproxy_run(ctx, container, arguments)
        }
        ["cat", paths @ ..] => {
            let mut reply = Reply::default();
            for path in paths {
                match ctx.store.file(container, path) {
                    Some(bytes) => reply.stdout.extend(bytes),
                    None => reply.fail(&format!("cat: {path}: No such file or directory")),
                }
            }
            reply
        }
        ["true"] => Reply::default(),
        ["false"] => Reply {
            code: 1,
            ..Reply::default()
        },
        ["echo", words @ ..] => Reply::line(&words.join(" ")),
        ["hostname"] => Reply::line(&container.hostname),
        [name, ..] => not_found(ctx, name),
        [] => Reply::error("fake docker: nothing to run", 99),
    }
}

fn not_found(ctx: &Ctx, name: &str) -> Reply {
    if ctx.config.is_vch() {
        return Reply::error(&format!("{name}: no such executable in PATH."), 127);
    }
    // The client shows what the runtime says on stdout.
    let mut reply = Reply::line(&format!(
        "OCI runtime exec failed: exec failed: unable to start container process: exec: \"{name}\": executable file not found in $PATH: unknown"
    ));
    reply.code = if ctx.config.client_at_least(20) {
        127
    } else {
        126
    };
    reply
}

fn haproxy_run(ctx: &Ctx, container: &Container, arguments: &[&str]) -> Reply {
    let version = container.haproxy().unwrap_or_default();
    if matches!(arguments, ["-v" | "-vv"]) {
        return Reply::line(&haproxy::banner(&version));
    }
    let mut paths = Vec::new();
    let mut checks = false;
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match *argument {
            "-c" => checks = true,
            "-f" => paths.extend(rest.next()),
            "-V" | "-q" | "-d" | "-db" => {}
            other => {
                return Reply::error(
                    &format!("fake docker: haproxy {other} is not simulated"),
                    99,
                );
            }
        }
    }
    if !checks || paths.is_empty() {
        return Reply::error("fake docker: only haproxy -c -f PATH is simulated", 99);
    }
    let mut reply = Reply::default();
    for path in paths {
        let (verdict, _) = haproxy::check(&ctx.store, &ctx.config, container, path, 25);
        for line in &verdict.lines {
            reply.err(line);
        }
        if !verdict.good {
            reply.code = 1;
        }
    }
    if reply.code == 0 && !arguments.contains(&"-q") {
        reply.out("Configuration file is valid");
    }
    reply
}
