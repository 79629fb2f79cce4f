//! Arguments as the real client takes them: global flags, then a command, then its flags and operands. Exactly the flags
//! that are listed here are known; every other is refused in the client's words.

use crate::config::Config;
use crate::reply::Reply;

/// Flags before the command.
#[derive(Debug, Default, Clone)]
pub(crate) struct Globals {
    pub(crate) host: Option<String>,
    pub(crate) context: Option<String>,
}

/// A call, taken apart.
#[derive(Debug)]
pub(crate) struct Parsed {
    /// The command, such as `run` or `network create`.
    pub(crate) path: String,
    /// Flags by their long names, in order.
    flags: Vec<(String, String)>,
    pub(crate) operands: Vec<String>,
    new_wording: bool,
}

/// What a command accepts. `bools` and `values` are lists of `long/short` and of `long,alias`.
struct Syntax {
    path: &'static str,
    usage: &'static str,
    bools: &'static str,
    values: &'static str,
    min: usize,
    max: usize,
}

const MANY: usize = usize::MAX;

const CREATE_BOOLS: &str = "interactive/i tty/t rm init privileged read-only publish-all/P no-healthcheck \
    oom-kill-disable disable-content-trust";
const CREATE_VALUES: &str = "publish/p name network,net label/l label-file env/e env-file memory/m memory-reservation \
    memory-swap memory-swappiness cpus cpu-shares/c cpu-period cpu-quota cpuset-cpus cpuset-mems ip ip6 dns dns-search \
    dns-option,dns-opt volume/v volumes-from volume-driver mount restart stop-signal stop-timeout user/u hostname/h \
    domainname entrypoint network-alias,net-alias workdir/w log-driver log-opt cap-add cap-drop security-opt tmpfs \
    ulimit shm-size sysctl add-host device expose link link-local-ip mac-address pid ipc uts userns cgroup-parent \
    cgroupns group-add health-cmd health-interval health-retries health-start-period health-timeout isolation \
    oom-score-adj pids-limit platform pull runtime storage-opt gpus attach/a cidfile blkio-weight";

const SYNTAX: &[Syntax] = &[
    syntax("version", "[OPTIONS]", "", "format/f", 0, 0),
    syntax("info", "[OPTIONS]", "", "format/f", 0, 0),
    syntax(
        "pull",
        "[OPTIONS] NAME[:TAG|@DIGEST]",
        "quiet/q all-tags/a disable-content-trust",
        "platform",
        1,
        1,
    ),
    syntax(
        "image inspect",
        "[OPTIONS] IMAGE [IMAGE...]",
        "",
        "format/f",
        1,
        MANY,
    ),
    syntax("tag", "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]", "", "", 2, 2),
    syntax(
        "rmi",
        "[OPTIONS] IMAGE [IMAGE...]",
        "force/f no-prune",
        "",
        1,
        MANY,
    ),
    syntax(
        "images",
        "[OPTIONS] [REPOSITORY[:TAG]]",
        "all/a digests no-trunc quiet/q",
        "filter/f format",
        0,
        1,
    ),
    syntax(
        "network create",
        "[OPTIONS] NETWORK",
        "internal attachable ingress ipv6 config-only",
        "label driver/d subnet gateway ip-range opt/o aux-address ipam-driver ipam-opt config-from scope",
        1,
        1,
    ),
    syntax(
        "network inspect",
        "[OPTIONS] NETWORK [NETWORK...]",
        "verbose/v",
        "format/f",
        1,
        MANY,
    ),
    syntax(
        "network ls",
        "[OPTIONS]",
        "quiet/q no-trunc",
        "filter/f format",
        0,
        0,
    ),
    syntax(
        "network connect",
        "[OPTIONS] NETWORK CONTAINER",
        "",
        "ip ip6 alias link link-local-ip driver-opt",
        2,
        2,
    ),
    syntax(
        "network disconnect",
        "[OPTIONS] NETWORK CONTAINER",
        "force/f",
        "",
        2,
        2,
    ),
    syntax("network rm", "NETWORK [NETWORK...]", "force/f", "", 1, MANY),
    syntax(
        "run",
        "[OPTIONS] IMAGE [COMMAND] [ARG...]",
        CREATE_BOOLS,
        CREATE_VALUES,
        1,
        MANY,
    ),
    syntax(
        "create",
        "[OPTIONS] IMAGE [COMMAND] [ARG...]",
        CREATE_BOOLS,
        CREATE_VALUES,
        1,
        MANY,
    ),
    syntax(
        "start",
        "[OPTIONS] CONTAINER [CONTAINER...]",
        "attach/a interactive/i",
        "detach-keys",
        1,
        MANY,
    ),
    syntax(
        "stop",
        "[OPTIONS] CONTAINER [CONTAINER...]",
        "",
        "time/t",
        1,
        MANY,
    ),
    syntax(
        "restart",
        "[OPTIONS] CONTAINER [CONTAINER...]",
        "",
        "time/t",
        1,
        MANY,
    ),
    syntax(
        "rm",
        "[OPTIONS] CONTAINER [CONTAINER...]",
        "force/f volumes/v link/l",
        "",
        1,
        MANY,
    ),
    syntax(
        "kill",
        "[OPTIONS] CONTAINER [CONTAINER...]",
        "",
        "signal/s",
        1,
        MANY,
    ),
    syntax("rename", "CONTAINER NEW_NAME", "", "", 2, 2),
    syntax("wait", "CONTAINER [CONTAINER...]", "", "", 1, MANY),
    syntax("port", "CONTAINER [PRIVATE_PORT[/PROTO]]", "", "", 1, 2),
    syntax(
        "cp",
        "[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n\tdocker cp [OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH",
        "archive/a follow-link/L",
        "",
        2,
        2,
    ),
    syntax(
        "exec",
        "[OPTIONS] CONTAINER COMMAND [ARG...]",
        "detach/d interactive/i tty/t privileged",
        "env/e env-file user/u workdir/w detach-keys",
        2,
        MANY,
    ),
    syntax(
        "ps",
        "[OPTIONS]",
        "all/a no-trunc quiet/q size/s latest/l",
        "filter/f format last/n",
        0,
        0,
    ),
    syntax(
        "inspect",
        "[OPTIONS] NAME|ID [NAME|ID...]",
        "size/s",
        "format/f type",
        1,
        MANY,
    ),
    syntax(
        "logs",
        "[OPTIONS] CONTAINER",
        "follow/f timestamps/t details",
        "tail/n since until",
        1,
        1,
    ),
    syntax("context ls", "[OPTIONS]", "quiet/q", "format", 0, 0),
    syntax("context show", "", "", "", 0, 0),
    syntax(
        "context inspect",
        "[OPTIONS] [CONTEXT] [CONTEXT...]",
        "",
        "format/f",
        0,
        MANY,
    ),
    syntax("top", "CONTAINER [ps OPTIONS]", "", "", 1, MANY),
    syntax("pause", "CONTAINER [CONTAINER...]", "", "", 1, MANY),
    syntax("unpause", "CONTAINER [CONTAINER...]", "", "", 1, MANY),
    syntax(
        "update",
        "[OPTIONS] CONTAINER [CONTAINER...]",
        "",
        "memory/m cpus restart",
        1,
        MANY,
    ),
];

const fn syntax(
    path: &'static str,
    usage: &'static str,
    bools: &'static str,
    values: &'static str,
    min: usize,
    max: usize,
) -> Syntax {
    Syntax {
        path,
        usage,
        bools,
        values,
        min,
        max,
    }
}

/// Takes the global flags off; the words that are left begin with the command.
pub(crate) fn globals(argv: &[String]) -> (Result<Globals, Reply>, Vec<String>) {
    let mut globals = Globals::default();
    let mut words = argv.iter();
    while let Some(word) = words
        .clone()
        .next()
        .filter(|word| word.starts_with('-') && word.len() > 1)
    {
        words.next();
        let (name, inline) = match word.split_once('=') {
            Some((name, value)) if name.starts_with("--") => (name, Some(value.to_owned())),
            _ if word.starts_with("-H") && word.len() > 2 => {
                ("-H", Some(word[2..].trim_start_matches('=').to_owned()))
            }
            _ => (word.as_str(), None),
        };
        let slot = match name {
            "-H" | "--host" => &mut globals.host,
            "-c" | "--context" => &mut globals.context,
            "--tls" | "--tlsverify" | "-D" | "--debug" => continue,
            _ => {
                let text = format!("unknown flag: {name}\nSee 'docker --help'.");
                return (Err(Reply::error(&text, 125)), argv.to_vec());
            }
        };
        *slot = match inline.or_else(|| words.next().cloned()) {
            Some(value) => Some(value),
            None => {
                return (
                    Err(Reply::error(
                        &format!("flag needs an argument: {name}"),
                        125,
                    )),
                    Vec::new(),
                );
            }
        };
    }
    let words: Vec<String> = words.cloned().collect();
    if globals.host.is_some() && globals.context.is_some() {
        let text = "conflicting options: either specify --host or --context, not both";
        return (Err(Reply::error(text, 1)), words);
    }
    (Ok(globals), words)
}

/// Takes a command and its arguments apart.
pub(crate) fn parse(words: &[String], config: &Config) -> Result<Parsed, Reply> {
    let new_wording = config.client_at_least(28);
    let (path, rest) = command(words);
    let Some(syntax) = SYNTAX.iter().find(|syntax| syntax.path == path) else {
        return Err(unknown_command(words, new_wording));
    };
    let mut parsed = Parsed {
        path,
        flags: Vec::new(),
        operands: Vec::new(),
        new_wording,
    };
    if let Err(problem) = parsed.take(syntax, rest, config) {
        return Err(syntax.refuse(&problem, new_wording));
    }
    let count = parsed.operands.len();
    if count < syntax.min || count > syntax.max {
        return Err(syntax.wrong_count(new_wording));
    }
    if parsed.path == "logs" && config.is_vch() && parsed.has("until") {
        let text =
            "\"--until\" requires API version 1.35, but the Docker daemon API version is 1.25";
        return Err(Reply::error(text, 1));
    }
    for (flag, api) in [
        ("health-start-period", "1.29"),
        ("platform", "1.32"),
        ("gpus", "1.40"),
        ("mount", "1.30"),
    ] {
        if config.is_vch() && parsed.has(flag) {
            let text = format!(
                "\"--{flag}\" requires API version {api}, but the Docker daemon API version is 1.25"
            );
            return Err(Reply::error(
                &text,
                if parsed.path == "run" { 125 } else { 1 },
            ));
        }
    }
    Ok(parsed)
}

/// The command's full name, without the `container` that most may be written with.
fn command(words: &[String]) -> (String, &[String]) {
    match words {
        [head, rest @ ..] if head == "container" && !rest.is_empty() => {
            let verb = if rest[0] == "ls" || rest[0] == "list" {
                "ps"
            } else {
                rest[0].as_str()
            };
            (verb.to_owned(), &rest[1..])
        }
        [head, verb, rest @ ..]
            if matches!(head.as_str(), "network" | "image" | "context" | "system") =>
        {
            match (head.as_str(), verb.as_str()) {
                ("image", "pull") => ("pull".to_owned(), rest),
                ("system", "info") => ("info".to_owned(), rest),
                ("network" | "context", "list") => (format!("{head} ls"), rest),
                ("network", "remove") => ("network rm".to_owned(), rest),
                _ => (format!("{head} {verb}"), rest),
            }
        }
        [head, rest @ ..] => (head.clone(), rest),
        [] => (String::new(), words),
    }
}

fn unknown_command(words: &[String], new_wording: bool) -> Reply {
    let name = words.first().map_or("", String::as_str);
    if new_wording {
        return Reply::error(
            &format!(
                "docker: unknown command: docker {name}\n\nRun 'docker --help' for more information"
            ),
            1,
        );
    }
    Reply::error(
        &format!("docker: '{name}' is not a docker command.\nSee 'docker --help'"),
        1,
    )
}

/// The long name of a flag in a list of `long,alias/short`, found by either.
fn find(list: &'static str, name: &str, short: bool) -> Option<&'static str> {
    list.split_whitespace().find_map(|entry| {
        let (names, letter) = entry.split_once('/').unwrap_or((entry, ""));
        let long = names.split(',').next()?;
        let found = if short {
            letter == name
        } else {
            names.split(',').any(|known| known == name)
        };
        found.then_some(long)
    })
}

impl Syntax {
    fn bool_flag(&self, name: &str, short: bool, config: &Config) -> Option<&'static str> {
        let known = find(self.bools, name, short);
        let newer = match self.path {
            "run" => "detach/d sig-proxy",
            "create" | "cp" if config.client_at_least(23) => "quiet/q",
            _ => "",
        };
        known.or_else(|| find(newer, name, short))
    }

    fn value_flag(&self, name: &str, short: bool, config: &Config) -> Option<&'static str> {
        let known = find(self.values, name, short);
        let newer = match self.path {
            "run" => "detach-keys",
            "stop" | "restart" if config.client_at_least(28) => "timeout signal/s",
            "stop" | "restart" if config.client_at_least(23) => "signal/s",
            _ => "",
        };
        known.or_else(|| find(newer, name, short))
    }

    fn full_usage(&self) -> String {
        format!("Usage:  docker {} {}", self.path, self.usage)
            .trim_end()
            .to_owned()
    }

    fn refuse(&self, problem: &str, new_wording: bool) -> Reply {
        let path = self.path;
        let text = if new_wording {
            format!(
                "{problem}\n\n{}\n\nRun 'docker {path} --help' for more information",
                self.full_usage()
            )
        } else {
            format!("{problem}\nSee 'docker {path} --help'.")
        };
        Reply::error(&text, 125)
    }

    fn wrong_count(&self, new_wording: bool) -> Reply {
        let path = self.path;
        let plural = |count: usize| if count == 1 { "argument" } else { "arguments" };
        let wanted = match (self.min, self.max) {
            (0, 0) => "accepts no arguments".to_owned(),
            (min, MANY) => format!("requires at least {min} {}", plural(min)),
            (min, max) if min == max => {
                let exactly = if new_wording { "" } else { "exactly " };
                format!("requires {exactly}{min} {}", plural(min))
            }
            (min, max) => format!("requires at least {min} and at most {max} arguments"),
        };
        let text = if new_wording {
            format!(
                "docker: 'docker {path}' {wanted}\n\n{}\n\nRun 'docker {path} --help' for more information",
                self.full_usage()
            )
        } else {
            format!(
                "\"docker {path}\" {wanted}.\nSee 'docker {path} --help'.\n\n{}",
                self.full_usage()
            )
        };
        Reply::error(&text, 1)
    }
}

impl Parsed {
    /// Sorts words into flags and operands; the error is what the client says about the first wrong one.
    fn take(&mut self, syntax: &Syntax, words: &[String], config: &Config) -> Result<(), String> {
        // After the image or the container, words belong to the command that runs there.
        let stops_at_operand = matches!(syntax.path, "run" | "create" | "exec" | "top");
        let mut words = words.iter();
        while let Some(word) = words.next() {
            if word == "--" {
                self.operands.extend(words.by_ref().cloned());
            } else if let Some(long) = word.strip_prefix("--") {
                let (name, inline) = match long.split_once('=') {
                    Some((name, value)) => (name, Some(value)),
                    None => (long, None),
                };
                if let Some(flag) = syntax.bool_flag(name, false, config) {
                    self.set_bool(flag, inline)?;
                } else if let Some(flag) = syntax.value_flag(name, false, config) {
                    let value = inline.map(str::to_owned).or_else(|| words.next().cloned());
                    let value = value.ok_or_else(|| format!("flag needs an argument: --{name}"))?;
                    self.flags.push((flag.into(), value));
                } else {
                    return Err(format!("unknown flag: --{name}"));
                }
            } else if word.len() > 1 && word.starts_with('-') {
                self.take_short(syntax, word, &mut words, config)?;
            } else {
                self.operands.push(word.clone());
                if stops_at_operand {
                    self.operands.extend(words.by_ref().cloned());
                }
            }
        }
        Ok(())
    }

    fn take_short<'a>(
        &mut self,
        syntax: &Syntax,
        word: &str,
        words: &mut impl Iterator<Item = &'a String>,
        config: &Config,
    ) -> Result<(), String> {
        let mut rest = &word[1..];
        while let Some(letter) = rest.chars().next() {
            let name = letter.to_string();
            rest = &rest[letter.len_utf8()..];
            if let Some(flag) = syntax.bool_flag(&name, true, config) {
                self.flags.push((flag.into(), "true".into()));
            } else if let Some(flag) = syntax.value_flag(&name, true, config) {
                let value = if rest.is_empty() {
                    words
                        .next()
                        .cloned()
                        .ok_or_else(|| format!("flag needs an argument: '{letter}' in {word}"))?
                } else {
                    rest.strip_prefix('=').unwrap_or(rest).to_owned()
                };
                self.flags.push((flag.into(), value));
                return Ok(());
            } else {
                return Err(format!("unknown shorthand flag: '{letter}' in {word}"));
            }
        }
        Ok(())
    }

    fn set_bool(&mut self, flag: &str, inline: Option<&str>) -> Result<(), String> {
        match inline.unwrap_or("true") {
            value @ ("true" | "1" | "false" | "0") => {
                let value = if value == "1" { "true" } else { value };
                self.flags.push((flag.into(), value.into()));
                Ok(())
            }
            other => Err(format!(
                "invalid argument \"{other}\" for \"--{flag}\" flag"
            )),
        }
    }

    pub(crate) fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|(name, _)| name == flag)
    }

    /// Whether a yes-or-no flag is on.
    pub(crate) fn on(&self, flag: &str) -> bool {
        self.value(flag) == Some("true")
    }

    /// A flag's value; the last one counts.
    pub(crate) fn value(&self, flag: &str) -> Option<&str> {
        self.flags
            .iter()
            .rev()
            .find(|(name, _)| name == flag)
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn values(&self, flag: &str) -> Vec<&str> {
        let of_flag = self.flags.iter().filter(|(name, _)| name == flag);
        of_flag.map(|(_, value)| value.as_str()).collect()
    }

    pub(crate) fn flags(&self) -> &[(String, String)] {
        &self.flags
    }

    /// Whether the call changes something on the endpoint.
    pub(crate) fn changes(&self) -> bool {
        match self.path.as_str() {
            "pull" | "tag" | "rmi" | "run" | "create" | "start" | "stop" | "restart" | "kill"
            | "rm" | "rename" | "update" | "pause" | "unpause" | "network create"
            | "network connect" | "network disconnect" | "network rm" => true,
            "cp" => self.operands[1].contains(':'),
            "exec" => self
                .operands
                .iter()
                .any(|word| word.contains("kill ") || word == "rm"),
            _ => false,
        }
    }

    /// Whether its stdin is part of what it does.
    pub(crate) fn reads_stdin(&self) -> bool {
        match self.path.as_str() {
            "cp" => self.operands[0] == "-",
            _ => false,
        }
    }

    pub(crate) fn needs_daemon(&self) -> bool {
        !self.path.starts_with("context")
    }

    /// Which of the configured delays holds for it.
    pub(crate) fn delay_key(&self) -> &str {
        match self.path.as_str() {
            "network connect" | "network disconnect" => "connect",
            "network create" | "network rm" => "network",
            "cp" if !self.changes() => "read",
            path if self.changes() || path == "exec" => path,
            _ => "read",
        }
    }

    /// How `docker run` says that the endpoint refused.
    pub(crate) fn run_error(&self, text: &str) -> Reply {
        self.run_exit(text, 125)
    }

    pub(crate) fn run_exit(&self, text: &str, code: i32) -> Reply {
        let tail = if self.new_wording {
            "\nRun 'docker run --help' for more information"
        } else {
            "See 'docker run --help'."
        };
        Reply::error(
            &format!("docker: Error response from daemon: {text}\n{tail}"),
            code,
        )
    }

    /// How `docker run` and `docker create` say that the client itself refused.
    pub(crate) fn usage_error(&self, text: &str) -> Reply {
        let path = &self.path;
        let tail = if self.new_wording {
            format!("\nRun 'docker {path} --help' for more information")
        } else {
            format!("See 'docker {path} --help'.")
        };
        Reply::error(&format!("docker: {text}\n{tail}"), 125)
    }
}
