//! What an edited copy of the script says beyond its assignments: the flags of its docker calls, the lines of its
//! haproxy.cfg, the images in its text. vch-lb runs none of that, so each is told with the setting that says it. Pure.

use std::path::Path;

use super::arguments::Arguments;
use crate::docker::words::{hide_password, quote};
use crate::error::printable;
use crate::secrets::{join, redact, redact_text};
use crate::settings::file::Assignments;
use crate::settings::shell::value::{Variable, evaluate};
use crate::settings::shell::{Command, Script, assignment};
use crate::settings::{self, Origin, Settings, TABLE};

mod config;

/// Something that the script was made to do, and that its settings don't say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    pub line: usize,
    /// What was added or changed, as it stands there.
    pub what: String,
    pub says: Says,
}

/// What says the same to vch-lb.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Says {
    Setting {
        name: &'static str,
        value: String,
    },
    /// Which endpoint is meant: the flag.
    Endpoint(String),
    /// A file to be written first: a template, a certificate.
    File(&'static str),
    /// No setting: what to do instead.
    Nothing(String),
}

impl Edit {
    /// Whether the settings in force have an answer to it already.
    fn is_answered(&self, settings: &Settings) -> bool {
        let (Says::Setting { name, .. } | Says::File(name)) = &self.says else {
            return false;
        };
        let in_force = settings.get(name);
        match (&in_force.origin, &self.says) {
            (Origin::Flag | Origin::Environment, _) => true,
            // Of the script's own variables the edit is another answer than the assignment.
            (_, Says::Setting { value, .. }) if in_force.text == *value => true,
            (Origin::File { .. }, _) => !in_force.setting.of_the_script,
            (Origin::Default, _) => false,
        }
    }

    /// The edit, and what to write for it.
    fn told(&self) -> String {
        let what = printable(&self.what);
        match &self.says {
            Says::Setting { name, value } => {
                let shown = redact_text(value);
                let hidden = if shown == *value {
                    ""
                } else {
                    " (*** stands for the value on that line)"
                };
                format!(
                    "line {}: `{what}`: {name}={}{hidden}",
                    self.line,
                    join(&[shown])
                )
            }
            Says::Endpoint(flag) => format!("line {}: `{what}`: {}", self.line, printable(flag)),
            Says::File(name) => format!("line {}: `{what}`: {name}=FILE", self.line),
            Says::Nothing(instead) => format!("line {}: `{what}`: {instead}", self.line),
        }
    }
}

/// What is told of the edits of a settings file that is a script.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Would be lost, although a setting says it.
    pub refusal: Option<String>,
    /// Is lost: no setting says it.
    pub warnings: Vec<String>,
}

/// What vch-lb is told beside its settings.
#[derive(Clone, Copy)]
pub struct Beside<'a> {
    /// Which endpoint flags or the environment name, if they do.
    pub endpoint: Option<Named<'a>>,
    /// Whether a variable is in the environment.
    pub environment: &'a dyn Fn(&str) -> bool,
}

/// An endpoint, as docker is given it.
#[derive(Debug, Clone, Copy)]
pub struct Named<'a> {
    /// The flag that says so: `--host` or `--context`.
    pub flag: &'static str,
    pub value: &'a str,
    /// Who says so.
    pub by: &'static str,
}

/// Compares what the script does with the settings in force, and what is told beside them.
pub fn told(file: &Assignments, settings: &Settings, beside: Beside<'_>) -> Told {
    let Some(script) = &file.script else {
        return Told::default();
    };
    let path = &file.path;
    let reader = Reader {
        file,
        settings,
        beside,
    };
    let (lost, warned): (Vec<Edit>, Vec<Edit>) = edits(&reader, script)
        .into_iter()
        .filter(|edit| !edit.is_answered(settings))
        .partition(|edit| !matches!(edit.says, Says::Nothing(_)));
    let warnings = warned
        .iter()
        .map(|edit| format!("{path}, {}", edit.told()))
        .collect();
    let lines: Vec<String> = lost
        .iter()
        .map(|edit| format!("\n       {}", edit.told()))
        .collect();
    let refusal = (!lines.is_empty()).then(|| {
        format!(
            "`{path}` does what its settings don't say, and vch-lb runs none of it; these lines say the same:{}",
            lines.concat()
        )
    });
    Told { refusal, warnings }
}

/// How the refusal ends.
pub const HINT: &str = "add them to the file, below its other settings, or give them as flags; a line such as INSTANCE_ARGS= says \
                        that it is not wanted";

/// What differs from the script, in the order of its lines.
fn edits(reader: &Reader<'_>, script: &Script) -> Vec<Edit> {
    let mut edits: Vec<Edit> = script
        .commands
        .iter()
        .flat_map(|command| reader.of_docker(command))
        .collect();
    edits.extend(config::edits(reader, script));
    edits.sort_by_key(|edit| edit.line);
    edits.dedup_by(|a, b| a.says == b.says && matches!(a.says, Says::Setting { .. }));
    edits
}

/// Reads words of the script as they are with the settings in force.
struct Reader<'a> {
    file: &'a Assignments,
    settings: &'a Settings,
    beside: Beside<'a>,
}

impl Reader<'_> {
    fn setting(&self, name: &str) -> &str {
        &self.settings.get(name).text
    }

    /// A word's text; what only a run tells is left as it is written.
    fn text(&self, word: &str) -> String {
        let variable = |name: &str| {
            let is_setting = TABLE.iter().any(|setting| setting.name == name);
            let value = if is_setting {
                self.setting(name).to_owned()
            } else {
                let known = self.file.variable(name).map(str::to_owned);
                known.unwrap_or_else(|| format!("${{{name}}}"))
            };
            Variable::Is(value)
        };
        evaluate(word, &variable).unwrap_or_else(|_| word.to_owned())
    }

    /// The texts of `words`, as a shell splits what stands in a variable without quotes.
    fn texts(&self, words: &[String]) -> Vec<String> {
        let texts = words.iter().flat_map(|word| {
            let text = self.text(word);
            if word.starts_with('$') && !text.contains('$') {
                text.split_whitespace().map(str::to_owned).collect()
            } else {
                vec![text]
            }
        });
        texts.collect()
    }

    /// Which endpoint the script means, unless vch-lb is told the same one; another one is meant instead.
    fn endpoint(&self, flag: &str, value: &str) -> Option<Says> {
        let shown = |flag: &str, value: &str| format!("{flag} {}", quote(&[hide_password(value)]));
        let Some(named) = self.beside.endpoint else {
            return Some(Says::Endpoint(shown(flag, value)));
        };
        let bare = |value: &'_ str| value.trim_start_matches("tcp://").to_owned();
        if named.flag == flag && bare(named.value) == bare(value) {
            return None;
        }
        let other = shown(named.flag, named.value);
        Some(Says::Nothing(format!(
            "{} says {other}, and that is what counts",
            named.by
        )))
    }

    fn of_docker(&self, command: &Command) -> Vec<Edit> {
        let line = command.line;
        let mut edits = Vec::new();
        let assignments = command.words.iter().map_while(|word| assignment(word));
        let exported = command
            .words
            .iter()
            .skip_while(|word| matches!(word.as_str(), "export" | "declare" | "-x"))
            .filter_map(|word| assignment(word));
        for (name, _, value) in assignments.chain(exported) {
            let says = match name {
                "DOCKER_HOST" => self.endpoint("--host", &self.text(value)),
                "DOCKER_CONTEXT" => self.endpoint("--context", &self.text(value)),
                _ if DOCKERS_OWN.contains(&name) && !(self.beside.environment)(name) => {
                    Some(Says::Nothing(format!(
                        "vch-lb gives docker its own environment, in which {name} is not set"
                    )))
                }
                _ => None,
            };
            edits.extend(says.map(|says| Edit {
                line,
                what: format!("{name}={}", hide_password(value)),
                says,
            }));
        }
        edits.dedup();
        let words = self.texts(&command.words);
        let Some(start) = words.iter().position(|word| is_docker(word)) else {
            return edits;
        };
        let by_itself = words[..start].iter().all(|word| {
            matches!(
                word.as_str(),
                "sudo" | "env" | "exec" | "command" | "timeout" | "nohup"
            ) || word.starts_with('-')
                || assignment(word).is_some()
                || word.bytes().all(|byte| byte.is_ascii_digit())
        });
        if !by_itself {
            return edits;
        }
        let mut rest = &words[start + 1..];
        while let Some(option) = rest.first().filter(|word| word.starts_with('-')) {
            let takes_next = matches!(
                option.as_str(),
                "-H" | "--host"
                    | "-c"
                    | "--context"
                    | "--config"
                    | "-l"
                    | "--log-level"
                    | "--tlscacert"
                    | "--tlscert"
                    | "--tlskey"
            );
            let length = if takes_next { 2.min(rest.len()) } else { 1 };
            let (name, inline) = option.split_once('=').unwrap_or((option, ""));
            let value = if inline.is_empty() {
                &rest[length - 1]
            } else {
                inline
            };
            let says = match name {
                "-H" | "--host" => self.endpoint("--host", value),
                "-c" | "--context" => self.endpoint("--context", value),
                _ => Some(Says::Nothing(
                    "vch-lb does not give that to docker; docker's own environment variables may say it".to_owned(),
                )),
            };
            edits.extend(says.map(|says| Edit {
                line,
                what: join(&redact(&rest[..length])),
                says,
            }));
            rest = &rest[length..];
        }
        edits.extend(self.of_call(line, rest));
        edits
    }

    fn of_call(&self, line: usize, words: &[String]) -> Vec<Edit> {
        let words = match words.first().map(String::as_str) {
            Some("container" | "image") => &words[1..],
            _ => words,
        };
        let Some((call, rest)) = words.split_first() else {
            return Vec::new();
        };
        let nothing = |what: &str, instead: &str| {
            vec![Edit {
                line,
                what: what.to_owned(),
                says: Says::Nothing(instead.to_owned()),
            }]
        };
        let prefix = self.setting(settings::INSTANCE_CTR_PREFIX);
        let lb = self.setting(settings::LB_CTR_NAME);
        let bridge = format!("{prefix}-net");
        match call.as_str() {
            "run" | "create" => self.of_run(line, call, rest),
            "pull" => match rest.last() {
                Some(image) if is_haproxy(image) => lb_image(line, image).into_iter().collect(),
                _ => Vec::new(),
            },
            "network" => {
                let Some((verb, rest)) = rest.split_first() else {
                    return Vec::new();
                };
                let plain: Vec<&str> = rest.iter().map(String::as_str).collect();
                match (verb.as_str(), &plain[..]) {
                    (
                        "create",
                        [name] | ["-d" | "--driver", "bridge", name] | ["--driver=bridge", name],
                    ) if *name == bridge => Vec::new(),
                    ("create", [.., name]) if *name == bridge => nothing(
                        &quote(words),
                        "no setting says that; vch-lb takes a network of that name as it is, so create it so beforehand",
                    ),
                    ("connect", [net, name]) if *net == bridge && *name == lb => Vec::new(),
                    ("ls" | "list" | "inspect", _) => Vec::new(),
                    _ => nothing(&quote(words), NOT_DONE),
                }
            }
            "cp" => match rest {
                [from, to] if to.ends_with("/haproxy.cfg") && to.contains(':') => {
                    if from.ends_with("haproxy.cfg") || from.contains('$') {
                        Vec::new()
                    } else {
                        vec![Edit {
                            line,
                            what: quote(words),
                            says: Says::File(settings::TEMPLATE),
                        }]
                    }
                }
                [from, _] if is_pem(from) => vec![Edit {
                    line,
                    what: quote(words),
                    says: Says::Setting {
                        name: settings::TLS_CERT,
                        value: from.clone(),
                    },
                }],
                _ => nothing(&quote(words), NOT_DONE),
            },
            "start" if rest == [lb.to_owned()] => Vec::new(),
            "inspect" | "ps" | "ls" | "images" | "logs" | "info" | "version" | "port" | "stats"
            | "top" | "wait" | "events" | "diff" | "history" | "search" => Vec::new(),
            _ => nothing(&quote(&redact(words)), NOT_DONE),
        }
    }

    /// `docker run` and `docker create`.
    fn of_run(&self, line: usize, call: &str, words: &[String]) -> Vec<Edit> {
        let run = Run::read(words);
        let lb = self.setting(settings::LB_CTR_NAME);
        let prefix = self.setting(settings::INSTANCE_CTR_PREFIX);
        let name = run.name.map_or("", String::as_str);
        let is_lb = name == lb || (name.is_empty() && call == "create");
        if !is_lb && !name.is_empty() && !name.starts_with(prefix) {
            return vec![Edit {
                line,
                what: quote(
                    &[&["docker".to_owned(), call.to_owned()], &redact(words)[..]].concat(),
                ),
                says: Says::Nothing("vch-lb makes no container but the service's".into()),
            }];
        }
        let (port, arguments) = if is_lb {
            (settings::LB_PORT, settings::LB_ARGS)
        } else {
            (settings::INSTANCE_PORT, settings::INSTANCE_ARGS)
        };
        let port = self.setting(port);
        let mut edits = Vec::new();
        let edit = |what: &[String], says| Edit {
            line,
            what: join(&redact(what)),
            says,
        };
        let mut kept = Vec::new();
        for option in &run.options {
            if is_lb && option.last() == Some(&format!("{port}:{port}")) {
                let says = Says::Setting {
                    name: settings::PUBLISH_LB,
                    value: "always".into(),
                };
                edits.push(edit(option, says));
                continue;
            }
            let is_scripts = match option[0].as_str() {
                "-d" | "--detach" => true,
                "-p" | "--publish" => option.get(1).is_some_and(|value| value == port),
                _ => false,
            };
            if is_scripts {
                continue;
            }
            // The load balancer's port is published by whoever says so.
            let published = port.parse().ok().filter(|_| !is_lb);
            match Arguments::parse(&shell_words::join(option), published) {
                Ok(_) => kept.extend(option.iter().cloned()),
                Err(why) => edits.push(edit(option, Says::Nothing(why))),
            }
        }
        if !kept.is_empty() {
            let value = join(&kept);
            let says = Says::Setting {
                name: arguments,
                value,
            };
            edits.push(edit(&kept, says));
        }
        let net = if is_lb {
            self.setting(settings::EXTERNAL_NET).to_owned()
        } else {
            format!("{prefix}-net")
        };
        if let Some(other) = run.network.filter(|other| **other != net) {
            let says = if is_lb {
                Says::Setting {
                    name: settings::EXTERNAL_NET,
                    value: other.clone(),
                }
            } else {
                Says::Nothing(format!("instances are on `{net}`"))
            };
            edits.push(edit(&["--net".to_owned(), other.clone()], says));
        }
        if let Some((image, command)) = run.rest.split_first() {
            if is_lb {
                edits.extend(lb_image(line, image));
            } else if *image != self.setting(settings::INSTANCE_IMG) {
                let says = Says::Setting {
                    name: settings::INSTANCE_IMG,
                    value: image.clone(),
                };
                edits.push(edit(std::slice::from_ref(image), says));
            }
            if !command.is_empty() {
                let says = if is_lb {
                    Says::Nothing("no setting gives the load balancer another command".into())
                } else {
                    Says::Setting {
                        name: settings::INSTANCE_CMD,
                        value: join(command),
                    }
                };
                edits.push(edit(command, says));
            }
        }
        edits
    }
}

const NOT_DONE: &str = "vch-lb does not do that";

/// What tells docker its endpoint.
const DOCKERS_OWN: [&str; 5] = [
    "DOCKER_TLS_VERIFY",
    "DOCKER_TLS",
    "DOCKER_CERT_PATH",
    "DOCKER_API_VERSION",
    "DOCKER_CONFIG",
];

fn is_pem(path: &str) -> bool {
    Path::new(path)
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("pem"))
}

fn is_docker(word: &str) -> bool {
    word.rsplit('/').next() == Some("docker")
}

/// Whether an image is one of HAProxy, by its name.
fn is_haproxy(image: &str) -> bool {
    let name = image.rsplit('/').next().unwrap_or(image);
    name.starts_with("haproxy")
}

/// A load balancer's image that is not the script's.
fn lb_image(line: usize, image: &str) -> Option<Edit> {
    let scripts = settings::setting(settings::LB_IMG).map(|setting| setting.default);
    (Some(image) != scripts && !image.contains('$')).then(|| Edit {
        line,
        what: image.to_owned(),
        says: Says::Setting {
            name: settings::LB_IMG,
            value: image.to_owned(),
        },
    })
}

/// The words of `docker run`, sorted.
#[derive(Default)]
struct Run<'a> {
    name: Option<&'a String>,
    network: Option<&'a String>,
    /// Each option with its value.
    options: Vec<Vec<String>>,
    /// The image and its command.
    rest: &'a [String],
}

impl<'a> Run<'a> {
    fn read(words: &'a [String]) -> Self {
        let mut run = Self::default();
        let mut at = 0;
        while let Some(word) = words
            .get(at)
            .filter(|word| word.starts_with('-') && *word != "-")
        {
            if word == "--" {
                at += 1;
                break;
            }
            // `-dit`: switches only.
            let cluster = word.len() > 2
                && !word.starts_with("--")
                && word[1..].chars().all(|c| "ditP".contains(c));
            if cluster {
                let each = word[1..].chars().map(|c| vec![format!("-{c}")]);
                run.options.extend(each);
                at += 1;
                continue;
            }
            let takes_next = Arguments::takes_next(word);
            let value = words.get(at + 1).filter(|_| takes_next);
            match (word.as_str(), value) {
                ("--name", Some(value)) => run.name = Some(value),
                ("--net" | "--network", Some(value)) => run.network = Some(value),
                _ => {
                    let whole = [word].into_iter().chain(value).cloned().collect();
                    run.options.push(whole);
                }
            }
            at += 1 + usize::from(value.is_some());
        }
        run.rest = words.get(at..).unwrap_or_default();
        run
    }
}

#[cfg(test)]
mod tests;
