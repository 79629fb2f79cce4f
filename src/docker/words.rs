//! The words of a call as they are shown: quoted for a shell, and passwords of addresses hidden. Pure.

/// Quotes words for bash, only where they need it.
pub fn quote<S: AsRef<str>>(words: &[S]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| quote_word(word.as_ref())).collect();
    quoted.join(" ")
}

/// Quotes one word for bash.
pub fn quote_word(word: &str) -> String {
    let quoted = shell_words::quote(word);
    // Plain for a POSIX shell, but not for bash: brace expansion and history.
    if quoted == word && word.contains(['{', '}', '!', '^']) {
        format!("'{word}'")
    } else {
        quoted.into_owned()
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
