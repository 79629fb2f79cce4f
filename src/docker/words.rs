//! The words of a call as they are shown: quoted for a shell, and secrets hidden. Pure.

use crate::spec::LABEL;

/// Quotes words for bash, only where they need it.
pub fn quote<S: AsRef<str>>(words: &[S]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| quote_word(word.as_ref())).collect();
    quoted.join(" ")
}

fn quote_word(word: &str) -> String {
    let quoted = shell_words::quote(word);
    // Plain for a POSIX shell, but not for bash: brace expansion and history.
    if quoted == word && word.contains(['{', '}', '!', '^']) {
        format!("'{word}'")
    } else {
        quoted.into_owned()
    }
}

/// How a script of ours begins that runs in a container: a screenful, which says nothing to whoever reads an error.
const SCRIPT: &str = "# shellcheck shell=sh\n";

/// Replaces what follows `NAME=` in `-e`/`--env` by `***`: values are secrets until proven otherwise. Of a script of ours
/// `…` is shown.
pub fn redact(words: &[String]) -> Vec<String> {
    let mut shown = Vec::with_capacity(words.len());
    let mut value_follows = false;
    for word in words {
        // The label repeats the instance's arguments.
        shown.push(if value_follows || is_label(word) {
            hide_value(word)
        } else if let Some(assignment) = word.strip_prefix("--env=") {
            format!("--env={}", hide_value(assignment))
        } else if let Some(assignment) = word.strip_prefix("-e").filter(|rest| rest.contains('=')) {
            format!("-e{}", hide_value(assignment))
        } else if word.starts_with(SCRIPT) {
            "…".to_owned()
        } else {
            hide_password(word)
        });
        value_follows = word == "-e" || word == "--env";
    }
    shown
}

fn is_label(word: &str) -> bool {
    matches!(word.split_once('='), Some((LABEL, _)))
}

fn hide_value(assignment: &str) -> String {
    match assignment.split_once('=') {
        Some((name, _)) => format!("{name}=***"),
        None => assignment.to_owned(),
    }
}

/// Hides the password in `scheme://user:password@host`.
pub fn hide_password(word: &str) -> String {
    let Some((scheme, rest)) = word.split_once("://") else {
        return word.to_owned();
    };
    let authority_end = rest.find('/').unwrap_or(rest.len());
    let Some((credentials, _)) = rest[..authority_end].rsplit_once('@') else {
        return word.to_owned();
    };
    match credentials.split_once(':') {
        Some((user, _)) => format!("{scheme}://{user}:***{}", &rest[credentials.len()..]),
        None => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_environment_variables_are_hidden() {
        for (line, shown) in [
            (
                "run -e A=1 --env 'B=two words' --env=C=3 -eD=4 --env E x",
                "run -e 'A=***' --env 'B=***' '--env=C=***' '-eD=***' --env E x",
            ),
            (
                "run --label 'vch-lb=1 --env A=1 --' --label vch-lb2=x x",
                "run --label 'vch-lb=***' --label 'vch-lb2=x' x",
            ),
        ] {
            let words = shell_words::split(line).unwrap();
            assert_eq!(quote(&redact(&words)), shown);
        }
    }

    #[test]
    fn words_are_quoted_for_bash_where_they_need_it() {
        for (word, quoted) in [
            ("web-1", "web-1"),
            ("two words", "'two words'"),
            ("{a,b}", "'{a,b}'"),
            ("no!", "'no!'"),
            ("it's", r"'it'\''s'"),
            ("", "''"),
        ] {
            assert_eq!(quote(&[word]), quoted);
        }
    }

    #[test]
    fn passwords_in_urls_are_hidden() {
        for (word, shown) in [
            ("ssh://root:secret@vch/x@y", "ssh://root:***@vch/x@y"),
            ("ssh://root@vch", "ssh://root@vch"),
            ("tcp://vch:2376", "tcp://vch:2376"),
            ("plain", "plain"),
        ] {
            assert_eq!(hide_password(word), shown);
        }
    }
}
