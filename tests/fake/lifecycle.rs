//! What happens to containers that are there: `start`, `stop`, `restart`, `kill`, `rm`, `rename`, `wait`.

use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::Ctx;
use crate::args::Parsed;
use crate::config::Config;
use crate::containers::{Container, Status};
use crate::haproxy;
use crate::networks::leak_name;
use crate::reply::{Refusal, Reply};
use crate::store::Store;
use crate::{texts, times};

const SIGNALS: [(&str, i32); 12] = [
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ABRT", 6),
    ("KILL", 9),
    ("USR1", 10),
    ("USR2", 12),
    ("ALRM", 14),
    ("TERM", 15),
    ("CONT", 18),
    ("STOP", 19),
    ("WINCH", 28),
];

/// A signal's name without `SIG`, and its number, from any way to write it.
fn signal(text: &str) -> Option<(&'static str, i32)> {
    let upper = text.to_ascii_uppercase();
    let bare = upper.strip_prefix("SIG").unwrap_or(&upper);
    SIGNALS
        .into_iter()
        .find(|(name, number)| *name == bare || number.to_string() == bare)
}

// Host ports: `ports/PORT` says who has it. The lock is held.

impl Container {
    fn take_ports(&mut self, store: &Store, config: &Config) -> Result<(), Refusal> {
        // On a VCH's container network ports are the container's own.
        let own = config.is_vch() && self.reachable_ports.contains_key(&self.network_mode);
        for at in 0..self.publish.len() {
            let publish = &self.publish[at];
            let port = match (own, publish.host) {
                (true, host) => host.unwrap_or(publish.container),
                (false, Some(host)) => host,
                (false, None) => random_port(store),
            };
            let file = format!("ports/{port}.{}", publish.protocol);
            if !own && store.noted(&file).is_some() {
                let host_ip = if publish.host_ip.is_empty() {
                    "0.0.0.0"
                } else {
                    &publish.host_ip
                };
                let text = if config.is_vch() {
                    format!(
                        "Server error from portlayer: error mapping ports: port {port} is not available"
                    )
                } else {
                    format!(
                        "driver failed programming external connectivity on endpoint {} ({}): Bind for {host_ip}:{port} failed: port is already allocated",
                        self.name, self.id
                    )
                };
                self.release_ports(store);
                return Err(Refusal::Daemon(text));
            }
            if !own {
                store.note(&file, &self.id);
            }
            self.publish[at].bound = Some(port);
        }
        Ok(())
    }

    pub(crate) fn release_ports(&mut self, store: &Store) {
        for publish in &mut self.publish {
            if let Some(port) = publish.bound.take() {
                let file = format!("ports/{port}.{}", publish.protocol);
                if store.noted(&file).as_ref() == Some(&self.id) {
                    store.remove(&file);
                }
            }
        }
    }
}

fn random_port(store: &Store) -> u16 {
    loop {
        let port = 32_768 + u16::try_from(store.next("port") % 28_000).expect("a port");
        if store.noted(&format!("ports/{port}.tcp")).is_none() {
            return port;
        }
    }
}

// start

/// Starts one container. Refused: it stays as it was.
pub(crate) fn start_one(ctx: &Ctx, name: &str) -> Result<(), Refusal> {
    let (store, config) = (&ctx.store, &ctx.config);
    let _lock = store.lock();
    let mut container = known(store, name)?;
    if container.running() {
        return Ok(());
    }
    // Of the starts that somebody asked for none counts.
    container.restart_count = 0;
    if let Err(refusal) = bring_up(store, config, &mut container) {
        container.release_ports(store);
        if !config.stopped_keep_addresses() || container.status == Status::Created {
            container.unbind_all(store);
        }
        container.error = match &refusal {
            Refusal::Daemon(text) | Refusal::Client(text) => text.clone(),
        };
        container.exit_code = if config.is_vch() { 0 } else { 128 };
        store.save(&container);
        return Err(refusal);
    }
    if container.auto_remove && container.status == Status::Exited {
        container.unbind_all(store);
        store.forget(&container);
    } else {
        store.save(&container);
    }
    Ok(())
}

fn bring_up(store: &Store, config: &Config, container: &mut Container) -> Result<(), Refusal> {
    for name in container.networks.keys().cloned().collect::<Vec<_>>() {
        container.bind(store, config, &name)?;
    }
    if config.is_vch() && container.networks.values().any(|endpoint| endpoint.dead) {
        return Err(Refusal::daemon(
            "Server error from portlayer: unable to wait for process launch status: context deadline exceeded",
        ));
    }
    container.take_ports(store, config)?;
    if let Some(text) = &container.preset.start_error {
        return Err(Refusal::Daemon(text.clone()));
    }
    container.status = Status::Running;
    container.error.clear();
    container.exit_code = 0;
    container.started = times::now();
    container.starts += 1;
    container.looks = 0;
    container.killed_after_grace = false;
    container.stopped_by_hand = false;
    for line in container.preset.logs.clone() {
        match line.strip_prefix('!') {
            Some(line) => container.log(line),
            None => container.logs.push(crate::containers::LogLine {
                ns: times::now(),
                stderr: false,
                text: line,
            }),
        }
    }
    if container.haproxy().is_some() {
        haproxy::start(store, config, container);
    }
    if let Some(code) = container.preset.exits {
        end(store, config, container, code);
    }
    Ok(())
}

/// Its process ends by itself; where a policy would start it again, the engine is about to, and never does. The lock is held;
/// the caller saves.
pub(crate) fn end(store: &Store, config: &Config, container: &mut Container, code: i32) {
    if container.comes_back(code) && !config.is_vch() {
        container.status = Status::Restarting;
        container.exit_code = code;
        container.finished = times::now();
        container.restart_count += 1;
    } else {
        container.exit(store, config, code);
    }
}

pub(crate) fn start(ctx: &mut Ctx, call: &Parsed) -> Reply {
    let mut reply = Reply::default();
    let mut failed = Vec::new();
    for name in &call.operands {
        match start_one(ctx, name) {
            Ok(()) => reply.out(name),
            Err(refusal) => {
                reply.fail(&refusal.text());
                failed.push(name.as_str());
            }
        }
    }
    if !failed.is_empty() {
        reply.err(&format!(
            "Error: failed to start containers: {}",
            failed.join(", ")
        ));
    }
    reply
}

/// What `run` without `-d` shows: the logs so far, and the exit code once it ends.
pub(crate) fn attached(ctx: &Ctx, name: &str, mut reply: Reply) -> Reply {
    loop {
        let Some(container) = ctx.store.container_named(name) else {
            return reply;
        };
        if !container.running() {
            for line in &container.logs {
                if line.stderr {
                    reply.err(&line.text);
                } else {
                    reply.out(&line.text);
                }
            }
            reply.code = container.exit_code;
            return reply;
        }
        sleep(Duration::from_millis(20));
    }
}

// stop, restart

/// Stops a container by its stop signal. The lock is held; the caller saves.
fn halt(store: &Store, config: &Config, container: &mut Container) {
    // A VCH knows no image's stop signal.
    let word = if container.stop_signal.is_empty() || config.is_vch() {
        "TERM"
    } else {
        &container.stop_signal
    };
    let (name, _) = signal(word).unwrap_or(("TERM", 15));
    container.signals.push(name.to_owned());
    container.stopped_by_hand = true;
    let code = if container.heeds(name) {
        0
    } else {
        container.killed_after_grace = true;
        container.signals.push("KILL".into());
        137
    };
    container.exit(store, config, code);
}

pub(crate) fn stop(ctx: &mut Ctx, call: &Parsed) -> Reply {
    let (store, config) = (&ctx.store, &ctx.config);
    each(call, |name| {
        let _lock = store.lock();
        let mut container = known(store, name)?;
        if container.running() {
            halt(store, config, &mut container);
            finish(store, &mut container);
        }
        Ok(())
    })
}

/// Keeps what has ended, unless it was to be removed then.
fn finish(store: &Store, container: &mut Container) {
    if container.auto_remove && !container.running() {
        container.unbind_all(store);
        store.forget(container);
    } else {
        store.save(container);
    }
}

pub(crate) fn restart(ctx: &mut Ctx, call: &Parsed) -> Reply {
    let (store, config) = (&ctx.store, &ctx.config);
    each(call, |name| {
        {
            let _lock = store.lock();
            let mut container = known(store, name)?;
            if container.running() {
                halt(store, config, &mut container);
                store.save(&container);
            }
        }
        start_one(ctx, name).map_err(|refusal| match refusal {
            Refusal::Daemon(text) if !config.is_vch() => {
                Refusal::Daemon(format!("Cannot restart container {name}: {text}"))
            }
            other => other,
        })
    })
}

/// The container of that name; the lock is held.
fn known(store: &Store, name: &str) -> Result<Container, Refusal> {
    let found = store.container(name);
    found.ok_or_else(|| texts::no_such_container_daemon(name))
}

/// Does something to every operand: its name on stdout, or why not on stderr.
fn each(call: &Parsed, mut act: impl FnMut(&str) -> Result<(), Refusal>) -> Reply {
    let mut reply = Reply::default();
    for name in &call.operands {
        match act(name) {
            Ok(()) => reply.out(name),
            Err(refusal) => reply.fail(&refusal.text()),
        }
    }
    reply
}

// kill

pub(crate) fn kill(ctx: &mut Ctx, call: &Parsed) -> Reply {
    let (store, config) = (&ctx.store, &ctx.config);
    let word = call.value("signal").unwrap_or("KILL");
    each(call, |name| {
        let head = if config.is_vch() {
            format!("Cannot kill container {name}")
        } else {
            format!("Cannot kill container: {name}")
        };
        let Some((signal, number)) = signal(word) else {
            return Err(Refusal::Daemon(if config.is_vch() {
                format!("{head}: Invalid signal: {word}")
            } else {
                format!("Invalid signal: {word}")
            }));
        };
        let _lock = store.lock();
        let Some(mut container) = store.container(name) else {
            return Err(Refusal::Daemon(format!(
                "{head}: No such container: {name}"
            )));
        };
        if !container.running() {
            let id = &container.id;
            return Err(Refusal::Daemon(
                match (config.is_vch(), config.at_least("25")) {
                    (true, _) => format!("{head}: {id} is not running"),
                    (false, false) => format!("{head}: Container {id} is not running"),
                    (false, true) => {
                        format!("cannot kill container: {name}: container {id} is not running")
                    }
                },
            ));
        }
        container.stopped_by_hand = true;
        deliver(store, config, &mut container, signal, number);
        if signal == "HUP" {
            finish(store, &mut container);
            return Ok(());
        }
        let meant = signal == "KILL"
            || container.stop_signal.is_empty()
            || self::signal(&container.stop_signal) == Some((signal, number));
        // An engine takes the end by another signal than its own for an accident.
        let comes_back = !meant && container.comes_back(container.exit_code);
        if !config.is_vch() && !container.running() && comes_back {
            container.restart_count += 1;
            bring_up(store, config, &mut container)?;
        }
        finish(store, &mut container);
        Ok(())
    })
}

impl Container {
    /// Whether its policy brings it back after an end with this code.
    fn comes_back(&self, code: i32) -> bool {
        match self.restart.split(':').next() {
            Some("always") => true,
            Some("unless-stopped") => !self.stopped_by_hand,
            Some("on-failure") => code != 0,
            _ => false,
        }
    }
}

/// A signal arrives in the container, from wherever. The lock is held; the caller saves.
pub(crate) fn deliver(
    store: &Store,
    config: &Config,
    container: &mut Container,
    signal: &str,
    number: i32,
) {
    container.signals.push(signal.to_owned());
    match (signal, container.haproxy().is_some()) {
        ("HUP" | "USR2", true) => haproxy::hup(store, config, container),
        ("KILL", _) => container.exit(store, config, 137),
        ("TERM" | "INT" | "QUIT" | "USR1", _) if container.heeds(signal) => {
            let code = if container.haproxy().is_some() && signal == "USR1" {
                0
            } else {
                128 + number
            };
            container.exit(store, config, code);
        }
        _ => {}
    }
}

// rm, rename

pub(crate) fn rm(ctx: &mut Ctx, call: &Parsed) -> Reply {
    let (store, config) = (&ctx.store, &ctx.config);
    let force = call.on("force");
    let mut reply = Reply::default();
    for name in &call.operands {
        let _lock = store.lock();
        let Some(mut container) = store.container(name) else {
            let text = texts::no_such_container(config, name).text();
            // With -f a container that isn't there is no failure, but said.
            if force {
                reply.err(&text);
            } else {
                reply.fail(&text);
            }
            continue;
        };
        if container.running() {
            if !force {
                reply.fail(&format!(
                    "Error response from daemon: {}",
                    still_runs(config, &container)
                ));
                continue;
            }
            container.release_ports(store);
            // VCHs 1.5.2 to 1.5.4 lose such endpoints: their networks can't be removed any more.
            if config.is_vch() && config.at_least("1.5.2") && !config.at_least("1.5.5") {
                for network in container.networks.keys() {
                    store.touch(&leak_name(network));
                }
            }
        }
        container.unbind_all(store);
        store.forget(&container);
        reply.out(name);
    }
    reply
}

fn still_runs(config: &Config, container: &Container) -> String {
    match (config.is_vch(), config.at_least("25")) {
        (true, _) if container.state_word(config) == "Starting" => "The container is starting.  To remove use -f".into(),
        (true, _) => "You cannot remove a running container. Stop the container before attempting removal or use -f".into(),
        (false, false) => format!(
            "You cannot remove a running container {}. Stop the container before attempting removal or force remove",
            container.id
        ),
        (false, true) => format!(
            "cannot remove container \"/{}\": container is running: stop the container before removing or force remove",
            container.name
        ),
    }
}

pub(crate) fn rename(ctx: &mut Ctx, call: &Parsed) -> Reply {
    let (store, config) = (&ctx.store, &ctx.config);
    let (old, new) = (&call.operands[0], &call.operands[1]);
    let failed = |mut reply: Reply| {
        reply.err(&format!("Error: failed to rename container named {old}"));
        reply
    };
    let _lock = store.lock();
    let Some(mut container) = store.container(old) else {
        return failed(texts::no_such_container_daemon(old).reply());
    };
    if container.name == *new {
        return failed(Reply::daemon_error(
            "Renaming a container with the same name as its current name",
        ));
    }
    if let Some(other) = store.container_named(new) {
        let text = texts::name_conflict(config, new, &other.id);
        let head = if config.is_vch() {
            ""
        } else {
            "Error when allocating new name: "
        };
        return failed(Reply::daemon_error(&format!("{head}{text}")));
    }
    store.forget_name(&container.name);
    container.rename(store, new);
    store.save_named(&container);
    Reply::default()
}

impl Container {
    /// Takes a new name, also where it is known on its networks.
    fn rename(&mut self, store: &Store, new: &str) {
        for (network, endpoint) in &self.networks {
            if !endpoint.address.is_empty() {
                let mut bound = crate::store::Bound {
                    name: self.name.clone(),
                    address: endpoint.address.clone(),
                    id: self.id.clone(),
                    alias: false,
                };
                store.unbind(network, &bound);
                new.clone_into(&mut bound.name);
                store.bind(network, &bound);
            }
        }
        new.clone_into(&mut self.name);
    }
}

pub(crate) fn wait(ctx: &mut Ctx, call: &Parsed) -> Reply {
    let (store, config) = (&ctx.store, &ctx.config);
    let begun = Instant::now();
    let mut reply = Reply::default();
    for name in &call.operands {
        let mut last = 0;
        loop {
            let Some(container) = store.container(name) else {
                if begun.elapsed() < Duration::from_millis(20) && last == 0 {
                    reply.fail(&texts::no_such_container_daemon(name).text());
                } else {
                    reply.out(&last.to_string());
                }
                break;
            };
            if !container.running() {
                reply.out(&container.exit_code.to_string());
                break;
            }
            last = container.exit_code;
            if config.is_vch() && begun.elapsed() > Duration::from_millis(config.wait_cap_ms) {
                reply.fail(&format!(
                    "Error response from daemon: Server error from portlayer: ContainerWaitHandler({}) Error: context deadline exceeded",
                    container.id
                ));
                break;
            }
            sleep(Duration::from_millis(20));
        }
    }
    reply
}
