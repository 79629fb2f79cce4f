//! The lines of haproxy.cfg that a script writes, against those of the script as it was.

use super::{Edit, Reader, Says};
use crate::settings::shell::{Command, Script};
use crate::settings::{self, TABLE};

/// What begins a section.
const SECTIONS: [&str; 8] = [
    "global",
    "defaults",
    "frontend",
    "backend",
    "listen",
    "resolvers",
    "peers",
    "userlist",
];

/// A line of the file, and where the script has it.
struct Written {
    line: usize,
    section: String,
    words: Vec<String>,
}

pub(super) fn edits(reader: &Reader<'_>, script: &Script) -> Vec<Edit> {
    let written = written(reader, script);
    let has_sections = ["global", "defaults", "backend"]
        .iter()
        .all(|name| written.iter().any(|line| line.words[0] == *name));
    // Whatever else it writes is not the file, or not the whole of it.
    if !has_sections {
        return Vec::new();
    }
    let check = written.iter().find_map(|line| match words(line)[..] {
        ["option", "httpchk", path] if path.starts_with('/') => Some(format!("http:{path}")),
        ["option", "httpchk", _, path, ..] => Some(format!("http:{path}")),
        _ => None,
    });
    let check = check.unwrap_or_else(|| "tcp".to_owned());
    let mut edits: Vec<Edit> = written
        .iter()
        .flat_map(|line| edits_of(reader, line, &check))
        .collect();
    let first = written.first().map_or(1, |line| line.line);
    for missing in SCRIPTS {
        let is_it =
            |line: &Written| line.section == missing.0 && same_kind(&words(line), missing.1);
        if !written.iter().any(is_it) {
            edits.push(Edit {
                line: first,
                what: format!("without {}", missing.1.join(" ")),
                says: Says::File(settings::TEMPLATE),
            });
        }
    }
    edits
}

/// The script's lines whose lack is an edit.
const SCRIPTS: [(&str, &[&str]); 6] = [
    ("global", &["maxconn"]),
    ("global", &["log"]),
    ("defaults", &["mode"]),
    ("defaults", &["timeout", "connect"]),
    ("defaults", &["timeout", "client"]),
    ("defaults", &["timeout", "server"]),
];

fn same_kind(words: &[&str], kind: &[&str]) -> bool {
    words.starts_with(kind)
}

fn words(line: &Written) -> Vec<&str> {
    line.words.iter().map(String::as_str).collect()
}

/// What a line says that the script's did not.
fn edits_of(reader: &Reader<'_>, line: &Written, check: &str) -> Vec<Edit> {
    let port = reader.setting(settings::LB_PORT);
    let what = line.words.join(" ");
    let edit = |what: &str, says: Says| Edit {
        line: line.line,
        what: what.to_owned(),
        says,
    };
    let set = |name: &'static str, value: &str| {
        let is_default = settings::setting(name).is_some_and(|setting| setting.default == value);
        let says = Says::Setting {
            name,
            value: value.to_owned(),
        };
        if is_default {
            vec![]
        } else {
            vec![edit(&what, says)]
        }
    };
    let template = || vec![edit(&what, Says::File(settings::TEMPLATE))];
    let section = line.section.as_str();
    match (section, &words(line)[..]) {
        (_, ["global" | "defaults"] | ["frontend" | "backend", _])
        | ("frontend", ["default_backend", _])
        | ("global", ["log", "127.0.0.1:514", "local0"])
        | ("defaults", ["log", "global"]) => Vec::new(),
        ("global", ["maxconn", count]) => set(settings::LB_MAXCONN, count),
        ("global", ["log", "stdout", ..]) => set(settings::LB_LOG, "stdout"),
        ("defaults", ["mode", mode]) => set(settings::LB_MODE, mode),
        ("defaults", ["timeout", kind, time]) => {
            let kind = kind
                .strip_prefix("http-keep")
                .map_or(*kind, |_| "keep-alive");
            let name = format!("LB_TIMEOUT_{}", kind.to_uppercase().replace('-', "_"));
            match TABLE.iter().find(|setting| setting.name == name) {
                Some(setting) => set(setting.name, time),
                None => template(),
            }
        }
        ("frontend", ["bind", address]) if *address == format!("*:{port}") => Vec::new(),
        ("frontend", ["bind", address]) if address.starts_with("*:") && !address.contains('$') => {
            set(settings::LB_PORT, &address[2..])
        }
        ("frontend", ["bind", _, "ssl", ..]) => vec![edit(&what, Says::File(settings::TLS_CERT))],
        (
            "defaults" | "backend",
            [
                "balance",
                "source" | "roundrobin" | "leastconn" | "first" | "static-rr",
            ],
        ) => set(settings::LB_BALANCE, &line.words[1]),
        ("defaults" | "backend" | "frontend", ["option", "forwardfor"]) => {
            set(settings::FORWARDED_FOR, "yes")
        }
        ("defaults" | "backend", ["option", "httpchk", ..]) => set(settings::HEALTH_CHECK, check),
        ("backend", ["cookie", ..]) => set(settings::STICKY, "cookie"),
        ("backend", ["server", _, _, options @ ..]) => of_server(options, check)
            .into_iter()
            .map(|(option, says)| edit(&format!("server … {option}"), says))
            .collect(),
        _ => template(),
    }
}

/// What the options of a `server` line say that the script's did not.
fn of_server(options: &[&str], check: &str) -> Vec<(String, Says)> {
    let mut told = Vec::new();
    let mut has_limit = false;
    let mut options = options.iter();
    while let Some(option) = options.next() {
        let setting = |name, value: &str| Says::Setting {
            name,
            value: value.to_owned(),
        };
        match *option {
            "maxconn" => {
                has_limit = true;
                match options.next() {
                    None | Some(&"32") => {}
                    Some(count) => told.push((
                        format!("maxconn {count}"),
                        setting(settings::INSTANCE_MAXCONN, count),
                    )),
                }
            }
            "check" => told.push(("check".to_owned(), setting(settings::HEALTH_CHECK, check))),
            "inter" | "rise" | "fall" => {
                let name = match *option {
                    "inter" => settings::HEALTH_INTERVAL,
                    "rise" => settings::HEALTH_RISE,
                    _ => settings::HEALTH_FALL,
                };
                let value = options.next().unwrap_or(&"");
                told.push((format!("{option} {value}"), setting(name, value)));
            }
            "cookie" => {
                let value = options.next().unwrap_or(&"");
                told.push((
                    format!("cookie {value}"),
                    setting(settings::STICKY, "cookie"),
                ));
            }
            other => told.push((other.to_owned(), Says::File(settings::TEMPLATE))),
        }
    }
    if !has_limit {
        told.push((
            "without maxconn 32".to_owned(),
            Says::File(settings::TEMPLATE),
        ));
    }
    told
}

/// All lines of the file, as far as `echo`, `printf` and here-documents write them.
fn written(reader: &Reader<'_>, script: &Script) -> Vec<Written> {
    let mut lines = Vec::new();
    let mut section = String::new();
    for command in &script.commands {
        for (line, text) in texts(reader, command) {
            let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
            let Some(first) = words.first().filter(|first| !first.starts_with('#')) else {
                continue;
            };
            if SECTIONS.contains(&first.as_str()) {
                section.clone_from(first);
            }
            lines.push(Written {
                line,
                section: section.clone(),
                words,
            });
        }
    }
    lines
}

/// The lines that a command writes into a file that may be haproxy.cfg, each with where the script has it.
fn texts(reader: &Reader<'_>, command: &Command) -> Vec<(usize, String)> {
    let program = command.words.first().map(|word| reader.text(word));
    let is_cfg = |target: &String| {
        let target = reader.text(target);
        target.contains(".cfg") || target.contains("haproxy") || target.contains('$')
    };
    let to_cfg = command.writes.iter().any(is_cfg);
    let starts_section = |text: &str| {
        let first = text.split_whitespace().next().unwrap_or_default();
        SECTIONS.contains(&first)
    };
    let mut lines = Vec::new();
    for here in &command.here {
        if to_cfg || starts_section(&here.text) {
            for (index, line) in here.text.lines().enumerate() {
                let line = if here.literal {
                    line.to_owned()
                } else {
                    reader.text(&format!("\"{}\"", line.replace('"', "\\\"")))
                };
                lines.push((here.line + index, line));
            }
        }
    }
    let escapes = match program.as_deref() {
        Some("printf") => true,
        Some("echo") => command
            .words
            .get(1)
            .is_some_and(|word| word.starts_with('-') && word.contains('e')),
        _ => return lines,
    };
    let mut words: Vec<String> = command.words[1..]
        .iter()
        .map(|word| reader.text(word))
        .collect();
    while words
        .first()
        .is_some_and(|word| matches!(word.as_str(), "-e" | "-n" | "-ne" | "-en" | "-E"))
    {
        words.remove(0);
    }
    let mut text = words.join(" ");
    if program.as_deref() == Some("printf") {
        text = formatted(&words);
    }
    if escapes {
        text = text.replace("\\n", "\n").replace("\\t", "\t");
    }
    if !to_cfg && !starts_section(&text) {
        return lines;
    }
    // Where its words continue over several lines of the script, each line of the text is taken to have one.
    let breaks = command
        .words
        .iter()
        .map(|word| word.matches('\n').count())
        .sum::<usize>();
    let count = text.lines().count();
    for (index, line) in text.lines().enumerate() {
        let at = if breaks + 1 >= count { index } else { 0 };
        lines.push((command.line + at, line.to_owned()));
    }
    lines
}

/// What `printf` makes of its format and further words, as far as `%s` and `%d` go.
fn formatted(words: &[String]) -> String {
    let Some((format, arguments)) = words.split_first() else {
        return String::new();
    };
    let mut arguments = arguments.iter();
    let mut text = String::new();
    let mut rest = format.as_str();
    while let Some((before, after)) = rest.split_once('%') {
        text.push_str(before);
        match after.chars().next() {
            Some('s' | 'd' | 'b') => text.push_str(arguments.next().map_or("", String::as_str)),
            Some('%') => text.push('%'),
            _ => return format.clone(),
        }
        rest = &after[1..];
    }
    text + rest
}
