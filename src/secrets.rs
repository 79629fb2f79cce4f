//! What is never shown: the one rule for what a secret is among the words of a docker call, and the two ways around it,
//! `***` where words are only shown, and a variable in a script that has to run. Pure.
//!
//! The value of an environment variable is a secret until proven otherwise; of anything else that has a name, if the name
//! says so. What a command line holds without any name can't be told from the rest.

use std::fmt::Write as _;

use crate::docker::words::{hide_password, quote_word};

/// The label that repeats an instance's arguments.
const LABEL: &str = "vch-lb=";
/// What is shown in place of a secret.
pub const MASK: &str = "***";
/// Names with one of these in them, without dashes and the like, name a secret.
const NAMES: [&str; 9] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "privatekey",
    "credential",
];
/// How the script's variables begin. Names of their own, so that nobody who names a value, in a label for one, names a
/// variable that the admin has for something else.
const OWN: &str = "VALUE_OF_";

/// How a script of ours begins that runs in a container: a screenful, which says nothing to whoever reads an error.
const SCRIPT: &str = "# shellcheck shell=sh\n";

/// A secret in a word: what it is called, and where in the word its value begins.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Secret {
    name: String,
    start: usize,
}

/// `words` with `***` in place of what is secret, and `…` in place of a script of ours.
pub fn redact(words: &[String]) -> Vec<String> {
    let mut previous = "";
    let mut shown = Vec::with_capacity(words.len());
    for word in words {
        shown.push(match secret(word, previous) {
            _ if word.starts_with(LABEL) => format!("{LABEL}{MASK}"),
            _ if word.starts_with(SCRIPT) => "…".to_owned(),
            Some(secret) => format!("{}{MASK}", &word[..secret.start]),
            None => hide_password(word),
        });
        previous = word;
    }
    shown
}

/// `text`, words for a shell, with `***` in place of what is secret. Unaltered where nothing is.
pub fn redact_text(text: &str) -> String {
    let Ok(words) = shell_words::split(text) else {
        // Where its words end, nobody knows.
        let before = text.split_once('=').map(|(before, _)| before);
        return before.map_or_else(|| text.to_owned(), |before| format!("{before}={MASK}"));
    };
    let shown = redact(&words);
    if shown == words {
        text.to_owned()
    } else {
        join(&shown)
    }
}

/// Words as a shell takes them, quoted only where they need it: neither the mask nor a `=` does.
pub fn join(words: &[String]) -> String {
    let quoted: Vec<String> = words
        .iter()
        .map(|word| {
            let plain = word.replace(MASK, "_").replace('=', "_");
            if shell_words::quote(&plain) == plain {
                word.clone()
            } else {
                shell_words::quote(word).into_owned()
            }
        })
        .collect();
    quoted.join(" ")
}

/// Whether a secret among `words` is the mask itself: a command that was shown, given as it was shown.
pub fn is_masked(words: &[String]) -> bool {
    let mut previous = "";
    words.iter().any(|word| {
        let secret = secret(word, std::mem::replace(&mut previous, word));
        secret.is_some_and(|secret| &word[secret.start..] == MASK)
    })
}

fn secret(word: &str, previous: &str) -> Option<Secret> {
    let at = |name: &str, start: usize| Secret {
        name: name.to_owned(),
        start,
    };
    let variable = |start: usize| {
        let (name, _) = word[start..].split_once('=')?;
        Some(at(name, start + name.len() + 1))
    };
    if matches!(previous, "-e" | "--env") {
        return variable(0);
    }
    if word.starts_with("--env=") {
        return variable("--env=".len());
    }
    // `-eA=1`, and not `-env=…` of another program.
    if word.starts_with("-e") && !word.starts_with("-e=") && word.contains('=') {
        return variable(2);
    }
    // `--password secret`; what looks like a file or a switch is none.
    if previous.starts_with('-')
        && !previous.contains('=')
        && names_a_secret(previous)
        && !word.starts_with('-')
    {
        return Some(at(previous.trim_start_matches('-'), 0));
    }
    word.match_indices('=').find_map(|(end, _)| {
        let name = word[..end]
            .rsplit(|c: char| !c.is_ascii_alphanumeric() && !"-_.".contains(c))
            .next()
            .unwrap_or_default();
        names_a_secret(name).then(|| at(name.trim_start_matches('-'), end + 1))
    })
}

fn names_a_secret(name: &str) -> bool {
    let bare: String = name
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    NAMES.iter().any(|part| bare.contains(part))
}

/// The variables that stand for secrets in a script.
#[derive(Debug, Default)]
pub struct Variables {
    /// Name and value of each.
    known: Vec<(String, String)>,
    /// Those that are also needed as they stand between single quotes.
    quoted: Vec<String>,
}

impl Variables {
    /// `words` for bash, each secret as the variable that has it.
    pub fn script(&mut self, words: &[String]) -> String {
        let mut previous = "";
        let mut script = Vec::with_capacity(words.len());
        for word in words {
            let text = if let Some(arguments) = word.strip_prefix(LABEL) {
                self.label(arguments)
            } else if let Some(secret) = secret(word, previous) {
                let (before, value) = word.split_at(secret.start);
                let variable = self.variable(&secret.name, value);
                format!("{}\"${variable}\"", quoted(before))
            } else {
                quote_word(word)
            };
            script.push(text);
            previous = word;
        }
        script.join(" ")
    }

    /// The label's words are quoted in themselves.
    fn label(&mut self, arguments: &str) -> String {
        // From version 2 on digests stand between the version and the words.
        let words = if arguments.starts_with("2 ") { 2 } else { 1 };
        let words = arguments.match_indices(' ').nth(words - 1);
        let (head, words) = arguments.split_at(words.map_or(0, |(blank, _)| blank + 1));
        let Ok(words) = shell_words::split(words) else {
            return quote_word(&format!("{LABEL}{arguments}"));
        };
        // Text and variables in turn.
        let mut script = String::new();
        let mut text = format!("{LABEL}{head}");
        let mut previous = "";
        for (index, word) in words.iter().enumerate() {
            if index > 0 {
                text.push(' ');
            }
            if let Some(secret) = secret(word, previous) {
                let (before, value) = word.split_at(secret.start);
                let mut variable = self.variable(&secret.name, value);
                let needs_quotes = shell_words::quote(word) != word.as_str();
                if needs_quotes {
                    if value.contains('\'') {
                        variable = self.between_quotes(&variable);
                    }
                    let _ = write!(text, "'{}", before.replace('\'', "'\\''"));
                } else {
                    text.push_str(before);
                }
                let _ = write!(script, "{}\"${variable}\"", quoted(&text));
                text.clear();
                if needs_quotes {
                    text.push('\'');
                }
            } else {
                text.push_str(&shell_words::quote(word));
            }
            previous = word;
        }
        if !text.is_empty() {
            script.push_str(&quoted(&text));
        }
        script
    }

    fn variable(&mut self, name: &str, value: &str) -> String {
        let clean = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
        let mut variable = format!("{OWN}{}", name.chars().map(clean).collect::<String>());
        let plain = variable.clone();
        let mut number = 1;
        loop {
            match self.known.iter().find(|(known, _)| *known == variable) {
                Some((_, known)) if known == value => return variable,
                None => break,
                Some(_) => {
                    number += 1;
                    variable = format!("{plain}_{number}");
                }
            }
        }
        self.known.push((variable.clone(), value.to_owned()));
        variable
    }

    fn between_quotes(&mut self, variable: &str) -> String {
        if !self.quoted.iter().any(|known| known == variable) {
            self.quoted.push(variable.to_owned());
        }
        format!("{variable}_quoted")
    }

    /// The lines that have to come first in the script; none where it has no secrets. `whence` says where they are.
    pub fn preamble(&self, whence: &str) -> String {
        let mut text = String::new();
        if !self.known.is_empty() {
            let _ = writeln!(
                text,
                "# Values that may be secret are not shown. The environment has to have them; here they come from {whence}."
            );
        }
        for (variable, _) in &self.known {
            let _ = writeln!(text, ": \"${{{variable}?has to be in the environment}}\"");
        }
        for variable in &self.quoted {
            let _ = writeln!(text, "{variable}_quoted=${{{variable}//\\'/\\'\\\\\\'\\'}}");
        }
        if !text.is_empty() {
            text.push('\n');
        }
        text
    }

    /// `text` with a mark in place of each secret, and the marks with their variables: for a file that the script fills in.
    pub fn marked(&mut self, text: &str, words: &[String]) -> (String, Vec<(String, String)>) {
        let mut marked = text.to_owned();
        let mut marks = Vec::new();
        let mut previous = "";
        for word in words {
            if let Some(secret) = secret(word, previous) {
                let (before, value) = word.split_at(secret.start);
                let whole = format!("{before}{value}");
                if !value.is_empty() && marked.contains(&whole) {
                    let variable = self.variable(&secret.name, value);
                    let mark = format!("@{variable}@");
                    marked = marked.replace(&whole, &format!("{before}{mark}"));
                    marks.push((mark, variable));
                }
            }
            previous = word;
        }
        (marked, marks)
    }
}

fn quoted(text: &str) -> String {
    if text.is_empty() {
        String::new()
    } else {
        quote_word(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(line: &str) -> Vec<String> {
        shell_words::split(line).unwrap()
    }

    #[test]
    fn what_is_secret_is_hidden_and_nothing_else() {
        for (line, shown) in [
            (
                "run -e A=1 --env 'B=two words' --env=C=3 -eD=4 --env E x",
                "run -e 'A=***' --env 'B=***' '--env=C=***' '-eD=***' --env E x",
            ),
            (
                "run --label 'vch-lb=1 --env A=1 --' --label vch-lb2=x x",
                "run --label 'vch-lb=***' --label 'vch-lb2=x' x",
            ),
            (
                "--log-opt splunk-token=abc --log-opt max-size=10m -l db.password=x",
                "--log-opt 'splunk-token=***' --log-opt 'max-size=10m' -l 'db.password=***'",
            ),
            (
                "server --db-password=x --db-password x --port 80 --api_key=y 'url=http://x/?token=z'",
                "server '--db-password=***' --db-password '***' --port 80 '--api_key=y' 'url=http://x/?token=***'",
            ),
            (
                "--env-file secret.env -v a:/b -p 80",
                "--env-file secret.env -v a:/b -p 80",
            ),
        ] {
            let shown = shown.replace("'--api_key=y'", "'--api_key=***'");
            assert_eq!(crate::docker::words::quote(&redact(&split(line))), shown);
        }
        assert_eq!(redact_text("-m 64m  --read-only"), "-m 64m  --read-only");
        assert_eq!(redact_text("-m 64m  -e A=1"), "-m 64m -e A=***");
        assert_eq!(redact_text("-e 'A=1 2"), "-e 'A=***");
    }

    #[test]
    fn what_was_shown_is_known_again() {
        for (line, masked) in [
            ("-e A=***", true),
            ("-m 64m --env=A=*** -u 0", true),
            ("-e A=**", false),
            ("-l x=***", false),
        ] {
            assert_eq!(is_masked(&split(line)), masked, "{line}");
        }
    }

    #[test]
    fn a_script_takes_what_is_secret_from_the_environment() {
        let words = split(
            "run -e A=1 --env 'B=it'\\''s 2' --env=PATH=/x -e A=2 --label 'vch-lb=1 -e A=1 --env '\\''B=it'\\''\\'\\'''\\''s 2'\\'' -- x' y",
        );
        let mut variables = Variables::default();
        let script = variables.script(&words);
        assert!(!script.contains("it") && !script.contains("/x"), "{script}");
        assert!(
            script.starts_with(
                "run -e 'A='\"$VALUE_OF_A\" --env 'B='\"$VALUE_OF_B\" '--env=PATH='\"$VALUE_OF_PATH\" -e 'A='\"$VALUE_OF_A_2\""
            ),
            "{script}"
        );
        let preamble = variables.preamble("INSTANCE_ARGS");
        assert_eq!(preamble.matches(": \"${").count(), 4, "{preamble}");
        assert_eq!(Variables::default().preamble("x"), "");
    }

    #[cfg(unix)]
    #[test]
    fn what_bash_makes_of_the_script_is_what_was_asked_for() {
        let label = |words: &str| format!("vch-lb=1 {words}");
        for value in [
            "x",
            "a b",
            "it's",
            "'",
            "a\"b$c`d\\",
            "!{x,y}~*",
            "ü",
            "a\nb",
        ] {
            let variable = format!("A={value}");
            let quoted = shell_words::quote(&variable).into_owned();
            let words = vec![
                "-e".to_owned(),
                variable.clone(),
                format!("--env={variable}"),
                "--label".to_owned(),
                label(&format!("-m 64m -e {quoted} -- x")),
                format!("vch-lb=2 a1,b2 --env B --env {quoted} -- 'x y'"),
            ];
            let mut variables = Variables::default();
            let script = variables.script(&words);
            let script = format!("{}printf '%s\\0' {script}", variables.preamble("x"));
            let output = std::process::Command::new("bash")
                .args(["--norc", "-c", &script])
                .env("VALUE_OF_A", value)
                .output()
                .unwrap();
            let said = String::from_utf8(output.stdout).unwrap();
            let said: Vec<&str> = said.split_terminator('\0').collect();
            assert_eq!(said, words, "{script}");
            assert!(value.len() < 2 || !script.contains(value), "{script}");
        }
    }
}
