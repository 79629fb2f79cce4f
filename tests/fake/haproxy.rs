//! The load balancer's process: which configuration it would take, what it has loaded, and what it logs on the way.
//!
//! It reads a configuration as far as a test needs: sections, known keywords, backends that exist, certificates that lie in
//! the container, server names that resolve. What versions log follows HAProxy 1.7, 1.8, 2.x and 3.x.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::config::{Config, parts};
use crate::containers::{Container, readable_by_others};
use crate::lifecycle;
use crate::networks;
use crate::store::Store;
use crate::times::{self, SECOND};

pub(crate) const PATH: &str = "/usr/local/etc/haproxy/haproxy.cfg";
pub(crate) const CERT: &str = "/usr/local/etc/haproxy/tls.pem";

const SECTIONS: &str = "global defaults frontend backend listen userlist resolvers peers mailers program cache http-errors ring \
    log-forward fcgi-app crt-store traces";

/// Keywords of `global`, with the version that brought them where that matters.
const GLOBAL: &str = "maxconn log log-tag log-send-hostname daemon user group uid gid chroot nbproc nbthread=1.8 cpu-map pidfile stats \
    ulimit-n node description tune.bufsize tune.maxrewrite tune.ssl.default-dh-param tune.ssl.cachesize ssl-default-bind-ciphers \
    ssl-default-bind-options ssl-default-server-options ssl-default-bind-ciphersuites=1.9 ssl-default-server-ciphers ca-base crt-base \
    hard-stop-after=1.8 spread-checks maxconnrate maxsessrate maxpipes quiet debug noepoll nokqueue nopoll nosplice master-worker=1.8 \
    mworker-max-reloads=1.9 lua-load setenv presetenv resetenv unsetenv external-check server-state-base server-state-file \
    close-spread-time=2.5 expose-experimental-directives=2.4 h1-case-adjust=2.1 insecure-fork-wanted=2.2 set-var=2.4 default-path=2.4 \
    numa-cpu-mapping=2.4 busy-polling=1.9 ssl-server-verify tune.maxaccept";

/// Keywords of the other sections.
const PROXY: &str = "mode timeout log option bind default_backend use_backend balance server server-template=1.8 default-server cookie \
    maxconn acl http-request http-response http-after-response=2.2 tcp-request tcp-response http-check tcp-check=1.5 errorfile \
    errorloc errorloc302 errorloc303 stick-table stick stats monitor-uri monitor fullconn retries retry-on=2.0 description id \
    disabled enabled backlog capture compression declare email-alert filter force-persist grace hash-type hash-balance-factor \
    http-reuse http-send-name-header ignore-persist load-server-state-from-file log-format log-format-sd log-tag max-keep-alive-queue \
    persist rate-limit redirect reqadd reqrep rspadd source transparent unique-id-format unique-id-header use-server nameserver \
    resolution_pool_size resolve_retries hold accepted_payload_size parse-resolv-conf=1.9 peer user group command no bind-process \
    dispatch external-check errorfiles=2.2 http-error=2.2 load total-max-size max-age table ring format size clitcpka-cnt";

/// What HAProxy makes of a configuration.
pub(crate) struct Verdict {
    /// Lines on stderr.
    pub(crate) lines: Vec<String>,
    pub(crate) good: bool,
}

/// Whether pid 1 is the wrapper that came before master-worker mode.
pub(crate) fn wrapped(version: &str) -> bool {
    parts(version) < vec![1, 8]
}

fn since(version: &str, wanted: &str) -> bool {
    parts(version) >= parts(wanted)
}

/// A line in the version's own layout.
fn line(version: &str, level: &str, pid: u64, text: &str) -> String {
    if since(version, "2.4") {
        format!("{:<11}({pid}) : {text}", format!("[{level}]"))
    } else {
        let now = times::civil(times::now());
        format!(
            "[{level}] {:03}/{:02}{:02}{:02} ({pid}) : {text}",
            now.day_of_year, now.hour, now.minute, now.second
        )
    }
}

fn alert(version: &str, pid: u64, text: &str) -> String {
    let head = if since(version, "2.5") {
        "config : "
    } else {
        ""
    };
    line(version, "ALERT", pid, &format!("{head}{text}"))
}

/// Names that resolve in a container, with their addresses.
fn resolvable(store: &Store, config: &Config, container: &Container) -> HashMap<String, String> {
    let mut names = HashMap::new();
    if !config.names_resolve {
        return names;
    }
    for (network, endpoint) in &container.networks {
        // Docker's default bridge has no name service; an address is what puts the container on a network.
        let served = network != "bridge" || config.is_vch();
        if !served
            || endpoint.address.is_empty()
            || networks::find(store, config, network).is_none()
        {
            continue;
        }
        for bound in store.bound(network) {
            if config.is_vch() {
                names.insert(bound.id[..12].to_owned(), bound.address.clone());
            }
            names.insert(bound.name, bound.address);
        }
    }
    names
}

/// Checks the configuration that lies at a path in the container, in the container.
pub(crate) fn check(
    store: &Store,
    config: &Config,
    container: &Container,
    path: &str,
    pid: u64,
) -> (Verdict, Option<String>) {
    let version = container.haproxy().unwrap_or_default();
    let say = |text: &str| alert(&version, pid, text);
    let Some(bytes) = store.file(container, path) else {
        let lines = vec![say(&format!(
            "Could not open configuration file {path} : No such file or directory"
        ))];
        return (Verdict { lines, good: false }, None);
    };
    let root = matches!(container.user.as_str(), "" | "root" | "0" | "0:0");
    if !root
        && container
            .files
            .get(path)
            .is_some_and(|meta| !readable_by_others(meta))
    {
        let lines = vec![say(&format!(
            "Could not open configuration file {path} : Permission denied"
        ))];
        return (Verdict { lines, good: false }, None);
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let mut reader = Reader {
        version: &version,
        path,
        pid,
        container,
        lines: Vec::new(),
        unresolved: Vec::new(),
        warnings: Vec::new(),
        resolved: None,
    };
    reader.read(&text, &|| resolvable(store, config, container));
    let Reader {
        mut lines,
        unresolved,
        warnings,
        ..
    } = reader;
    if !lines.is_empty() {
        lines.push(say(&format!(
            "Error(s) found in configuration file : {path}"
        )));
        lines.push(say("Fatal errors found in configuration."));
    } else if !unresolved.is_empty() {
        lines = unresolved;
        lines.push(say("Failed to initialize server(s) addr."));
    }
    let good = lines.is_empty();
    if good {
        lines = warnings;
    }
    (Verdict { lines, good }, Some(text))
}

struct Reader<'a> {
    version: &'a str,
    path: &'a str,
    pid: u64,
    container: &'a Container,
    lines: Vec<String>,
    unresolved: Vec<String>,
    /// What is no reason to refuse the file.
    warnings: Vec<String>,
    resolved: Option<HashMap<String, String>>,
}

impl Reader<'_> {
    fn wrong(&mut self, number: usize, text: &str) {
        let text = format!("parsing [{}:{number}] : {text}", self.path);
        self.lines.push(alert(self.version, self.pid, &text));
    }

    fn read(&mut self, text: &str, names: &dyn Fn() -> HashMap<String, String>) {
        let mut section = String::new();
        let mut proxy = String::new();
        let mut backends = BTreeSet::new();
        let mut frontends: Vec<(String, String, usize)> = Vec::new();
        let mut binds = 0;
        for (at, raw) in text.lines().enumerate() {
            let number = at + 1;
            let words = words(raw);
            let Some(first) = words.first() else { continue };
            if SECTIONS.split_whitespace().any(|known| known == first) {
                section.clone_from(first);
                proxy = words.get(1).cloned().unwrap_or_default();
                if matches!(first.as_str(), "frontend" | "backend" | "listen") && proxy.is_empty() {
                    self.wrong(number, &format!("'{first}' expects an <id> argument"));
                }
                if matches!(first.as_str(), "backend" | "listen") && !backends.insert(proxy.clone())
                {
                    self.wrong(
                        number,
                        &format!(
                            "Proxy '{proxy}', another server named '{proxy}' was already defined"
                        ),
                    );
                }
                continue;
            }
            if section.is_empty() {
                self.wrong(
                    number,
                    &format!("unknown keyword '{first}' out of section."),
                );
                continue;
            }
            let list = if section == "global" { GLOBAL } else { PROXY };
            if !self.knows(list, &words) {
                self.wrong(
                    number,
                    &format!("unknown keyword '{first}' in '{section}' section"),
                );
                continue;
            }
            match first.as_str() {
                "default_backend" | "use_backend" => {
                    frontends.push((
                        proxy.clone(),
                        words.get(1).cloned().unwrap_or_default(),
                        number,
                    ));
                }
                "bind" => {
                    binds += 1;
                    self.bind(number, &words);
                }
                "server" => self.server(number, &proxy, &words, names),
                _ => {}
            }
        }
        if since(self.version, "2.3") && !text.is_empty() && !text.ends_with('\n') {
            let last = text.lines().count();
            let width = text.lines().last().map_or(0, str::len) + 1;
            self.wrong(
                last,
                &format!(
                    "Missing LF on last line, file might have been truncated at position {width}."
                ),
            );
        }
        if text.trim().is_empty() || (binds == 0 && backends.is_empty()) {
            let text = if wrapped(self.version) {
                "No enabled listener found (check for 'bind' directives) ! Exiting."
            } else {
                "No enabled listener found (check for 'bind' directives) in configuration file. Exiting."
            };
            self.lines.push(line(
                self.version,
                "ALERT",
                self.pid,
                &format!("[haproxy.main()] {text}"),
            ));
        }
        for (proxy, backend, _) in frontends {
            if !backends.contains(&backend) && !backend.contains('%') {
                let text = format!(
                    "Proxy '{proxy}': unable to find required default_backend: '{backend}'."
                );
                self.lines.push(alert(self.version, self.pid, &text));
            }
        }
    }

    fn knows(&self, list: &str, words: &[String]) -> bool {
        let first = &words[0];
        let known = list.split_whitespace().any(|entry| {
            let (keyword, version) = entry.split_once('=').unwrap_or((entry, "0"));
            keyword == first && since(self.version, version)
        });
        let has = |word: &str| words.iter().any(|known| known == word);
        let too_new = (has("expose-fd") && !since(self.version, "1.8"))
            || (has("prometheus-exporter") && !since(self.version, "2.0"))
            || (has("init-addr") && !since(self.version, "1.7"))
            || (first == "http-check" && has("send") && !since(self.version, "2.2"));
        let tuning = list == GLOBAL && first.starts_with("tune.");
        (known || tuning) && !too_new
    }

    fn bind(&mut self, number: usize, words: &[String]) {
        if !words
            .get(1)
            .is_some_and(|address| address.contains(':') || address.starts_with('/'))
        {
            let address = words.get(1).map_or("", String::as_str);
            self.wrong(
                number,
                &format!("'bind' : invalid address: '{address}' : missing port number."),
            );
        }
        let Some(at) = words.iter().position(|word| word == "crt") else {
            return;
        };
        let path = words.get(at + 1).map_or("", String::as_str);
        if !self.container.files.contains_key(path) {
            self.wrong(
                number,
                &format!(
                    "'bind {}' : unable to load SSL private key from PEM file '{path}'.",
                    words[1]
                ),
            );
        }
    }

    fn server(
        &mut self,
        number: usize,
        proxy: &str,
        words: &[String],
        names: &dyn Fn() -> HashMap<String, String>,
    ) {
        let (Some(name), Some(address)) = (words.get(1), words.get(2)) else {
            self.wrong(
                number,
                "'server' expects <name> and <addr>[:<port>] as arguments.",
            );
            return;
        };
        let host = address
            .rsplit_once(':')
            .map_or(address.as_str(), |(host, _)| host);
        if host.parse::<std::net::IpAddr>().is_ok() || host.starts_with('/') {
            return;
        }
        let lenient = words
            .iter()
            .position(|word| word == "init-addr")
            .is_some_and(|at| {
                words
                    .get(at + 1)
                    .is_some_and(|methods| methods.contains("none"))
            });
        let resolved = self.resolved.get_or_insert_with(names);
        if resolved.contains_key(host) {
            return;
        }
        if lenient {
            let server = if since(self.version, "1.9") {
                format!("{proxy}/{name}")
            } else {
                name.clone()
            };
            let text = format!(
                "parsing [{}:{number}] : 'server {server}' : could not resolve address '{host}', disabling server.",
                self.path
            );
            let text = line(self.version, "WARNING", self.pid, &text);
            self.warnings.push(text);
            return;
        }
        let text = if wrapped(self.version) || !since(self.version, "1.9") {
            format!(
                "parsing [{}:{number}] : 'server {name}' : could not resolve address '{host}'.",
                self.path
            )
        } else {
            format!(
                "[{}:{number}] : 'server {proxy}/{name}' : could not resolve address '{host}'.",
                self.path
            )
        };
        self.unresolved.push(alert(self.version, self.pid, &text));
    }
}

/// A line's words, without its comment.
fn words(line: &str) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            ('\\', None | Some('"')) => word.get_or_insert_default().extend(chars.next()),
            (c, Some(open)) if c == open => quote = None,
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            ('#', None) => break,
            (c, None) if c.is_whitespace() => all.extend(word.take()),
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    all.extend(word);
    all
}

/// The configuration's path, from the command that runs in the container.
fn path_of(container: &Container) -> String {
    let command = container.command();
    let flag = command.iter().position(|word| word == "-f");
    flag.and_then(|at| command.get(at + 1))
        .map_or_else(|| PATH.to_owned(), Clone::clone)
}

fn wrapper_line(path: &str, old: &str) -> String {
    format!("<7>haproxy-systemd-wrapper: executing /usr/local/sbin/haproxy -p /run/haproxy.pid -db -f {path} -Ds {old}").trim_end().to_owned()
}

/// The process starts: takes the configuration that lies there, or exits. The lock is held; the caller saves.
pub(crate) fn start(store: &Store, config: &Config, container: &mut Container) {
    let version = container.haproxy().unwrap_or_default();
    let path = path_of(container);
    if wrapped(&version) {
        container.log(&wrapper_line(&path, ""));
    }
    let pid = if wrapped(&version) { 7 } else { 1 };
    let (mut verdict, text) = check(store, config, container, &path, pid);
    if let Some(refused) = cannot_bind(config, container, text.as_deref(), pid) {
        verdict = refused;
    }
    for text in &verdict.lines {
        container.log(text);
    }
    container.reload = Reload::default();
    if verdict.good {
        container.worker = 8;
        container.worker_start = ticks(times::now());
        loaded(container, text, times::now());
        if since(&version, "3.1") {
            let text = format!("Initializing new worker ({})", container.worker);
            container.log(&line(&version, "NOTICE", 1, &text));
        }
        announce(container, &version, times::now());
        check_servers(store, container, &version);
        return;
    }
    if wrapped(&version) {
        container.log("<5>haproxy-systemd-wrapper: exit, haproxy RC=1");
    }
    container.exit(store, config, 1);
}

fn loaded(container: &mut Container, text: Option<String>, at: u64) {
    container.loaded_config = text;
    container.loads += 1;
    container.loaded_at = at;
}

fn announce(container: &mut Container, version: &str, at: u64) {
    let worker = container.worker;
    let mut notice = |text: String| container.log_at(at, &line(version, "NOTICE", 1, &text));
    if since(version, "3.1") {
        // That there is one was said when it began.
    } else if since(version, "2.5") {
        notice(format!("New worker ({worker}) forked"));
    } else if since(version, "2.0") {
        notice(format!("New worker #1 ({worker}) forked"));
    }
    if since(version, "2.5") {
        notice("Loading success.".to_owned());
    }
}

fn ticks(ns: u64) -> u64 {
    ns / (SECOND / 100)
}

/// How long the machine has been up, as in `/proc/uptime`, and its clock.
pub(crate) fn up() -> String {
    let now = times::now();
    let ticks = ticks(now);
    format!("{}.{:02} {}", ticks / 100, ticks % 100, now / SECOND)
}

/// What HAProxy says where it can't bind all that the configuration names, after trying for some two seconds. `-c` does not
/// find that out.
fn cannot_bind(
    config: &Config,
    container: &Container,
    text: Option<&str>,
    pid: u64,
) -> Option<Verdict> {
    let version = container.haproxy().unwrap_or_default();
    let mut section = String::new();
    for (at, raw) in text?.lines().enumerate() {
        let words = words(raw);
        match words.first().map(String::as_str) {
            Some("frontend" | "listen") => section = words.get(1).cloned().unwrap_or_default(),
            Some("bind") => {
                let (host, port) = words.get(1)?.rsplit_once(':')?;
                let own = container
                    .networks
                    .values()
                    .any(|endpoint| endpoint.address == host);
                let why = if config
                    .refused_port
                    .is_some_and(|refused| port == refused.to_string())
                {
                    "Permission denied"
                } else if !matches!(host, "" | "*" | "0.0.0.0" | "127.0.0.1") && !own {
                    "Cannot assign requested address"
                } else {
                    continue;
                };
                let host = if host == "*" { "0.0.0.0" } else { host };
                let number = at + 1;
                let text = if since(&version, "2.5") {
                    format!(
                        "Binding [{PATH}:{number}] for frontend {section}: cannot bind socket ({why}) for [{host}:{port}]"
                    )
                } else if since(&version, "2.4") {
                    format!(
                        "Starting frontend {section}: cannot bind socket ({why}) [{host}:{port}]"
                    )
                } else {
                    format!("Starting frontend {section}: cannot bind socket [{host}:{port}]")
                };
                let mut lines = vec![line(&version, "ALERT", pid, &text)];
                if since(&version, "2.4") {
                    let text =
                        "[haproxy.main()] Some protocols failed to start their listeners! Exiting.";
                    lines.push(line(&version, "ALERT", pid, text));
                }
                return Some(Verdict { lines, good: false });
            }
            _ => {}
        }
    }
    None
}

/// What goes on in the load balancer after a HUP.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Reload {
    /// The worker that loads, until when, and whether it then serves.
    pub(crate) loading: Option<Loading>,
    /// Those that served before.
    pub(crate) former: Vec<Former>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Loading {
    pub(crate) worker: u64,
    pub(crate) start: u64,
    pub(crate) until: u64,
    pub(crate) good: bool,
    pub(crate) text: Option<String>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Former {
    pub(crate) pid: u64,
    pub(crate) start: u64,
    /// Until when it takes connections.
    pub(crate) listens_until: u64,
    pub(crate) gone_at: u64,
}

/// Lets happen what was to happen by now. The lock is held; the caller saves.
pub(crate) fn settle(store: &Store, config: &Config, container: &mut Container) {
    let now = times::now();
    container
        .reload
        .former
        .retain(|former| former.gone_at > now);
    let over = |loading: &mut Loading| loading.until <= now;
    let Some(loading) = container.reload.loading.take_if(over) else {
        return;
    };
    if !loading.good {
        return;
    }
    let version = container.haproxy().unwrap_or_default();
    let old = Former {
        pid: container.worker,
        start: container.worker_start,
        listens_until: loading.until + config.old_listens_ms * 1_000_000,
        gone_at: loading.until + config.old_worker_ms.max(config.old_listens_ms) * 1_000_000,
    };
    if old.gone_at > now {
        container.reload.former.push(old);
    }
    container.worker = loading.worker;
    container.worker_start = loading.start;
    loaded(container, loading.text, loading.until);
    // The old worker checks no more.
    container
        .logs
        .retain(|line| line.ns <= now || !line.text.contains(") : Server "));
    check_servers(store, container, &version);
}

/// HAProxy's processes as `src/haproxy/ask.sh` tells of them: of the sockets, those that a worker listens on are called
/// by its process ID.
pub(crate) fn processes(container: &Container) -> Vec<String> {
    let version = container.haproxy().unwrap_or_default();
    let now = times::now();
    let path = path_of(container);
    let say = |pid: u64, parent: u64, start: u64, listens: bool, command: &str| {
        let sockets = if listens {
            format!("none,{},{}", 1000 + pid, 1000 + pid)
        } else {
            "none".to_owned()
        };
        format!("process {pid} {parent} {start} {sockets} {command} ")
    };
    let begun = ticks(container.started);
    let worker = container.worker;
    let loading = container.reload.loading.as_ref();
    let mut all = Vec::new();
    let command = if wrapped(&version) {
        all.push(say(
            1,
            0,
            begun,
            false,
            &format!("haproxy-systemd-wrapper -p /run/haproxy.pid -f {path}"),
        ));
        all.push(say(
            worker - 1,
            1,
            container.worker_start,
            false,
            "haproxy -Ds",
        ));
        "haproxy -Ds".to_owned()
    } else {
        let itself = loading.is_some() && !since(&version, "3.1");
        let relieves = if itself {
            format!("-sf {worker} ")
        } else {
            String::new()
        };
        all.push(say(
            1,
            0,
            begun,
            false,
            &format!("haproxy {relieves}-W -db -f {path}"),
        ));
        format!("haproxy -W -db -f {path}")
    };
    // In 1.7 each worker has a parent of its own, which waits for it.
    let parent_of = |worker: u64| if wrapped(&version) { worker - 1 } else { 1 };
    all.push(say(
        worker,
        parent_of(worker),
        container.worker_start,
        true,
        &command,
    ));
    for former in &container.reload.former {
        if wrapped(&version) {
            all.push(say(former.pid - 1, 1, former.start, false, &command));
        }
        all.push(say(
            former.pid,
            parent_of(former.pid),
            former.start,
            former.listens_until > now,
            &command,
        ));
    }
    if let Some(loading) = loading
        && (wrapped(&version) || since(&version, "3.1"))
    {
        all.push(say(loading.worker, 1, loading.start, false, &command));
    }
    all
}

/// How many clients each worker has: the one that serves none, since nobody is there.
pub(crate) fn clients(config: &Config, container: &Container) -> Vec<(u64, u64)> {
    let former = container.reload.former.iter();
    let former = former.map(|former| (former.pid, config.old_connections));
    [(container.worker, 0)].into_iter().chain(former).collect()
}

/// What the worker answers to `show stat`, shortened.
pub(crate) fn rows(config: &Config, container: &Container) -> Vec<String> {
    let text = container.loaded_config.as_deref().unwrap_or_default();
    let mut rows =
        vec!["# pxname,svname,qcur,qmax,scur,status,check_status,check_code,".to_owned()];
    let mut proxy = String::new();
    for words in text.lines().map(words) {
        match words.first().map(String::as_str) {
            Some(kind @ ("frontend" | "backend" | "listen")) => {
                proxy = words.get(1).cloned().unwrap_or_default();
                let (svname, status) = if kind == "backend" {
                    ("BACKEND", "UP")
                } else {
                    ("FRONTEND", "OPEN")
                };
                rows.push(format!("{proxy},{svname},0,0,0,{status},,,"));
            }
            Some("server") => {
                let host = words[2].split(':').next().unwrap_or_default();
                let state = match config.server_states.get(host) {
                    Some(state) => state.clone(),
                    None if is_checked(&words) => "UP,L7OK,200".to_owned(),
                    None => "no check,,".to_owned(),
                };
                rows.push(format!("{proxy},{},0,0,0,{state},", words[1]));
            }
            _ => {}
        }
    }
    rows
}

/// What the worker answers on the runtime socket; `None` where its configuration has none.
pub(crate) fn info(container: &Container) -> Option<Vec<String>> {
    let text = container.loaded_config.as_deref().unwrap_or_default();
    let has = text.lines().map(words).any(|words| {
        matches!(words.as_slice(), [stats, socket, path, ..]
            if stats == "stats" && socket == "socket" && path == "/tmp/haproxy.sock")
    });
    has.then(|| {
        let version = container.haproxy().unwrap_or_default();
        vec![
            "Name: HAProxy".to_owned(),
            format!("Version: {version}-fake"),
            format!("Pid: {}", container.worker),
            "Stopping: 0".to_owned(),
            String::new(),
        ]
    })
}

/// The course of the checks, as far as it is logged: servers are up until a first check fails. Up to 1.8 the worker has
/// closed its log by then.
fn check_servers(store: &Store, container: &mut Container, version: &str) {
    if !since(version, "1.9") {
        return;
    }
    let text = container.loaded_config.clone().unwrap_or_default();
    let servers: Vec<Vec<String>> = text
        .lines()
        .map(words)
        .filter(|words| is_checked(words))
        .collect();
    let mut left = servers.len();
    let now = times::now();
    let (pid, each) = (container.worker, 2 * SECOND / left.max(1) as u64);
    for (place, words) in (0..).zip(&servers) {
        let (name, host) = (&words[1], words[2].split(':').next().unwrap_or_default());
        let down = now + place * each + 1_000_000;
        let at_address = |instance: &Container| {
            let mut endpoints = instance.networks.values();
            endpoints.any(|endpoint| endpoint.address == host)
        };
        let instance = store.container(host).or_else(|| {
            let all = store.containers(|_| true);
            all.into_iter().find(at_address)
        });
        let passes_at = instance.and_then(|instance| {
            let ms = instance.preset.fails_checks_ms?;
            Some(
                instance
                    .started
                    .saturating_add(ms.saturating_mul(1_000_000)),
            )
        });
        let Some(up) = passes_at.filter(|at| *at > down) else {
            continue;
        };
        left -= 1;
        let text = format!(
            "Server servers/{name} is DOWN, reason: Layer7 wrong status, code: 404, info: \"Not Found\", check duration: \
             1ms. {left} active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue."
        );
        container.log_at(down, &line(version, "WARNING", pid, &text));
        if left == 0 {
            let text = "backend 'servers' has no server available!";
            container.log_at(down, &line(version, "ALERT", pid, text));
        }
        let text = format!(
            "Server servers/{name} is UP, reason: Layer7 check passed, code: 200, check duration: 1ms."
        );
        container.log_at(up, &line(version, "WARNING", pid, &text));
    }
}

fn is_checked(words: &[String]) -> bool {
    words.first().is_some_and(|word| word == "server") && words.iter().any(|word| word == "check")
}

/// A HUP reaches the process: reads the configuration again, or loses the signal. The lock is held; the caller saves.
pub(crate) fn hup(store: &Store, config: &Config, container: &mut Container) {
    settle(store, config, container);
    let hups = container.signals.iter().filter(|signal| *signal == "HUP");
    if config.ends_at_hup == Some(hups.count()) {
        lifecycle::end(store, config, container, 1);
        return;
    }
    let now = times::now();
    let fast = config.drop_fast_hup && now.saturating_sub(container.last_hup) < SECOND;
    container.last_hup = now;
    if fast || container.reload.loading.is_some() || container.lost_hups < config.lose_hup {
        container.lost_hups += 1;
        return;
    }
    let version = container.haproxy().unwrap_or_default();
    let path = path_of(container);
    let (old, worker) = (container.worker, container.worker + 2);
    if wrapped(&version) {
        container.log("<5>haproxy-systemd-wrapper: re-executing on SIGHUP.");
        container.log(&wrapper_line(&path, &format!("-sf {old}")));
    } else if since(&version, "2.5") {
        container.log(&line(&version, "NOTICE", 1, "Reloading HAProxy"));
    } else {
        container.log(&line(&version, "WARNING", 1, "Reexecuting Master process"));
    }
    if since(&version, "3.1") {
        let text = format!("Initializing new worker ({worker})");
        container.log(&line(&version, "NOTICE", 1, &text));
    }
    let pid = if wrapped(&version) || since(&version, "3.1") {
        worker
    } else {
        1
    };
    // What it says of having loaded comes behind what it said before.
    let mut until = times::now() + config.load_ms * 1_000_000;
    let (mut verdict, text) = check(store, config, container, &path, pid);
    if verdict.good
        && let Some(refused) = cannot_bind(config, container, text.as_deref(), pid)
    {
        verdict = refused;
        if config.ends_after_refusal {
            // At once, not after it has tried for a while.
            for text in &verdict.lines {
                container.log(text);
            }
            say_failed(container, &version, worker, now);
            lifecycle::end(store, config, container, 1);
            return;
        }
        until += config.bind_ms * 1_000_000;
    }
    for text in &verdict.lines {
        container.log_at(until, text);
    }
    container.reload.loading = Some(Loading {
        worker,
        start: ticks(now),
        until,
        good: verdict.good,
        text,
    });
    if verdict.good {
        container.worker = worker;
        announce(container, &version, until);
        container.worker = old;
        let gone = until + config.old_worker_ms.max(config.old_listens_ms) * 1_000_000;
        say_gone(container, &version, old, gone.max(times::now()) + 1);
    } else {
        say_failed(container, &version, worker, until);
    }
    settle(store, config, container);
}

fn say_failed(container: &mut Container, version: &str, worker: u64, at: u64) {
    let text = if wrapped(version) {
        return;
    } else if since(version, "3.1") {
        format!("Failed to load worker ({worker}) exited with code 1 (Exit)")
    } else if since(version, "2.5") {
        "Loading failure!".to_owned()
    } else {
        "Reexecuting Master process in waitpid mode".to_owned()
    };
    container.log_at(at, &line(version, "WARNING", 1, &text));
}

/// Where HAProxy says that a former worker is gone.
fn say_gone(container: &mut Container, version: &str, old: u64, at: u64) {
    let texts = if wrapped(version) {
        return;
    } else if since(version, "2.5") {
        vec![
            line(
                version,
                "NOTICE",
                1,
                &format!("haproxy version is {version}-fake"),
            ),
            line(
                version,
                "WARNING",
                1,
                &format!("Former worker ({old}) exited with code 0 (Exit)"),
            ),
        ]
    } else if since(version, "2.0") {
        vec![line(
            version,
            "WARNING",
            1,
            &format!("Former worker #1 ({old}) exited with code 0 (Exit)"),
        )]
    } else {
        vec![line(
            version,
            "WARNING",
            1,
            &format!("Former worker {old} left with exit code 0"),
        )]
    };
    for text in texts {
        container.log_at(at, &text);
    }
}

/// `haproxy -v`.
pub(crate) fn banner(version: &str) -> String {
    let mut text = String::new();
    let name = if since(version, "2.2") {
        "HAProxy"
    } else {
        "HA-Proxy"
    };
    let _ = write!(text, "{name} version {version}");
    text.push_str(if since(version, "2.0") {
        "-fake 2023/02/14 - https://haproxy.org/"
    } else {
        " 2021/10/04"
    });
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_lines_as_haproxy_does() {
        assert_eq!(words("\tserver a \"b c\" # d"), ["server", "a", "b c"]);
        assert_eq!(
            words("acl x hdr(a) -m 'it''s' b\\ c"),
            ["acl", "x", "hdr(a)", "-m", "its", "b c"]
        );
        assert!(words("# only").is_empty());
    }

    #[test]
    fn lays_lines_out_by_version() {
        assert_eq!(line("2.6.12", "ALERT", 1, "x"), "[ALERT]    (1) : x");
        assert_eq!(line("2.6.12", "WARNING", 1, "x"), "[WARNING]  (1) : x");
        assert!(line("1.7.14", "ALERT", 7, "x").ends_with(" (7) : x"));
    }
}
