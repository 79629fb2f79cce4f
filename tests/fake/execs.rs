//! `exec`: the few programs that are found in a container.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use crate::Ctx;
use crate::args::Parsed;
use crate::config::parts;
use crate::containers::{Container, Status};
use crate::haproxy;
use crate::lifecycle;
use crate::reply::Reply;
use crate::sockets;
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
    if container.status == Status::Restarting {
        return Reply::daemon_error(&format!(
            "Container {} is restarting, wait until the container is running",
            container.id
        ));
    }
    if !config.exec {
        return Reply::daemon_error(if config.is_vch() {
            "Server error from portlayer: unable to wait for process launch status: context deadline exceeded"
        } else {
            "OCI runtime exec failed: exec failed: permission denied"
        });
    }
    if config.idle_execs > 0 {
        let _lock = store.lock();
        if store.next("idle_execs") < config.idle_execs {
            return Reply::line(
                "Server error from portlayer: unable to wait for process launch status",
            );
        }
    }
    let command: Vec<&str> = call.operands[1..].iter().map(String::as_str).collect();
    if let [
        "sh",
        "-c",
        script,
        "vch-lb",
        tries,
        question,
        counts,
        keys @ ..,
    ] = command.as_slice()
        && script.contains("/proc/net/tcp")
        && container.haproxy().is_some()
    {
        let tries = tries.parse().unwrap_or(0);
        return ask(ctx, name, (question, *counts == "open"), tries, keys);
    }
    if let ["sh", "-c", script, "vch-lb", who] = command.as_slice()
        && script.contains("/tmp/vch-lb.lock")
    {
        return lock(ctx, &container, who, call.on("interactive"));
    }
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
        ["cat", "/proc/net/tcp", "/proc/net/tcp6"] => sockets::table(ctx, container),
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
        ["rm", "-f", path] => {
            let _lock = ctx.store.lock();
            if let Some(mut container) = ctx.store.container(&container.id) {
                container.files.remove(*path);
                ctx.store.save(&container);
            }
            Reply::default()
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

/// `src/haproxy/ask.sh`: waits until none of the processes in `keys` has its socket any more, then tells of all.
fn ask(
    ctx: &Ctx,
    name: &str,
    (question, counts): (&str, bool),
    tries: u64,
    keys: &[&str],
) -> Reply {
    let (store, config) = (&ctx.store, &ctx.config);
    let deadline = Instant::now() + Duration::from_millis(100 * tries);
    loop {
        let lock = store.lock();
        let Some(mut container) = store.container(name) else {
            return texts::no_such_container(config, name).reply();
        };
        haproxy::settle(store, config, &mut container);
        store.save(&container);
        drop(lock);
        let processes = haproxy::processes(&container);
        let held = keys.iter().any(|key| {
            let mut parts = key.split('/');
            let (pid, start) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
            let socket = format!(",{}", parts.next().unwrap_or(""));
            processes.iter().any(|line| {
                let words: Vec<&str> = line.split(' ').collect();
                words[1] == pid && words[3] == start && words[4].contains(&socket)
            })
        });
        if held && Instant::now() < deadline {
            sleep(Duration::from_millis(20));
            continue;
        }
        let mut reply = Reply::default();
        for line in &processes {
            reply.out(line);
        }
        reply.out(&format!("up {}", haproxy::up()));
        if counts {
            for (pid, count) in haproxy::clients(config, &container) {
                reply.out(&format!("open {pid} {count}"));
            }
        }
        if let Some(files) = &config.files {
            reply.out(&format!("files {files}"));
        }
        if let Some(pem) = store.file(&container, haproxy::CERT) {
            reply.out(&format!("cert {}", vch_lb::digest::of(&pem)));
        }
        if let Some(mut lines) = haproxy::info(&container) {
            if question.contains("show stat") {
                lines.extend(haproxy::rows(config, &container));
            }
            if config.socket_client {
                for line in &lines {
                    reply.out(&format!("said {line}"));
                }
            } else {
                reply.out("said no-client");
            }
        }
        reply.out("whole");
        return reply;
    }
}

/// `src/change/lock.sh`: a file of the container, locked until stdin ends, or the container does. The system gives the lock up with
/// this process, however that ends.
fn lock(ctx: &Ctx, container: &Container, who: &str, interactive: bool) -> Reply {
    if !ctx.config.flock {
        return Reply::line("without flock is not in its image");
    }
    let name = format!("locks/{}", container.short_id());
    let holder = format!("{name}.holder");
    let file = ctx.store.open(&name).expect("open a lock");
    if file.try_lock().is_err() {
        let who = ctx.store.read(&holder).unwrap_or_default();
        return Reply::line(&format!("busy {}", String::from_utf8_lossy(&who)));
    }
    ctx.store.write(&holder, who.as_bytes());
    let _ = writeln!(io::stdout(), "held");
    let over = Arc::new(AtomicBool::new(!interactive));
    let told = Arc::clone(&over);
    if interactive {
        thread::spawn(move || {
            let _ = io::copy(&mut io::stdin(), &mut io::sink());
            told.store(true, Ordering::Relaxed);
        });
    }
    while !over.load(Ordering::Relaxed) {
        let now = ctx.store.container(&container.id);
        let goes_on = |now: &Container| now.running() && now.started == container.started;
        if !now.as_ref().is_some_and(goes_on) {
            return Reply {
                code: 137,
                ..Reply::default()
            };
        }
        sleep(Duration::from_millis(10));
    }
    Reply::default()
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
    // From 2.9 on it says so only when it is to say much.
    let tells = arguments.contains(&"-V") || parts(&version) < vec![2, 9];
    if reply.code == 0 && !arguments.contains(&"-q") && tells {
        reply.out("Configuration file is valid");
    }
    reply
}
