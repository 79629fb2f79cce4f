//! The settings file: `NAME=value` lines in the script's own syntax, or an edited copy of the script itself. Pure.
//!
//! A file that begins with `#!` is a script: its lines that assign no known name are passed over. In any other file they
//! are errors. Nothing is executed and nothing expanded.

use std::collections::BTreeMap;

use super::TABLE;

/// What a settings file assigns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Assignments {
    /// As the admin named the file.
    pub path: String,
    values: BTreeMap<&'static str, (String, usize)>,
}

impl Assignments {
    /// The value of the setting called `name`, and its line.
    pub fn get(&self, name: &str) -> Option<(&str, usize)> {
        self.values
            .get(name)
            .map(|(text, line)| (text.as_str(), *line))
    }

    /// Reads `text`. The error says which line can't be understood and why.
    pub fn parse(path: &str, text: &str) -> Result<Self, String> {
        // Windows' editors may put a byte order mark before everything.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let is_script = text.starts_with("#!");
        let mut values = BTreeMap::new();
        for (index, line) in text.lines().enumerate() {
            let number = index + 1;
            let complain = |why: String| format!("{path}, line {number}: {why}");
            match assignment(line.trim()) {
                Line::Nothing => {}
                Line::Assignment { name, value } => match known(name) {
                    Some(known) => {
                        let value = evaluate(known, value)
                            .map_err(|why| complain(format!("{name}: {why}")))?;
                        // As in a script, the last assignment counts.
                        values.insert(known, (value, number));
                    }
                    None if is_script => {}
                    None => return Err(complain(unknown(name))),
                },
                Line::Other if is_script => {}
                Line::Other => return Err(complain("not of the form NAME=value".into())),
            }
        }
        Ok(Self {
            path: path.to_owned(),
            values,
        })
    }
}

enum Line<'a> {
    /// Blank, or a comment.
    Nothing,
    Assignment {
        name: &'a str,
        value: &'a str,
    },
    Other,
}

fn assignment(line: &str) -> Line<'_> {
    if line.is_empty() || line.starts_with('#') {
        return Line::Nothing;
    }
    let line = ["export ", "readonly ", "declare "]
        .iter()
        .find_map(|word| line.strip_prefix(word))
        .unwrap_or(line);
    match line.trim_start().split_once('=') {
        Some((name, value)) if is_name(name) => Line::Assignment { name, value },
        _ => Line::Other,
    }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn known(name: &str) -> Option<&'static str> {
    TABLE
        .iter()
        .map(|setting| setting.name)
        .find(|known| *known == name)
}

/// The value that the shell would assign, without running anything.
fn evaluate(name: &str, value: &str) -> Result<String, String> {
    let value = default_of(name, value).unwrap_or(value);
    if let Some(expansion) = expansion(value) {
        return Err(format!(
            "`{expansion}` is not expanded here: write the value itself"
        ));
    }
    let words = shell_words::split(value).map_err(|_| "a quote is not closed".to_owned())?;
    match words.as_slice() {
        [] => Ok(String::new()),
        [word] => Ok(word.clone()),
        [word, next, ..] if next.starts_with(['#', ';']) => Ok(word.clone()),
        _ => Err("a value with blanks needs quotes".into()),
    }
}

/// `${NAME:-default}` and `${NAME-default}` of the variable itself: scripts take their defaults so.
fn default_of<'a>(name: &str, value: &'a str) -> Option<&'a str> {
    let inner = value
        .trim_matches('"')
        .strip_prefix("${")?
        .strip_suffix('}')?;
    let rest = inner.strip_prefix(name)?;
    rest.strip_prefix(":-").or_else(|| rest.strip_prefix('-'))
}

/// The first expansion that a shell would make: only single quotes keep it from doing so.
fn expansion(value: &str) -> Option<&str> {
    let mut quoted = false;
    let mut escaped = false;
    for (index, c) in value.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if !quoted => escaped = true,
            '\'' => quoted = !quoted,
            '$' | '`' if !quoted => return Some(value[index..].trim()),
            _ => {}
        }
    }
    None
}

fn unknown(name: &str) -> String {
    let near = TABLE
        .iter()
        .map(|setting| (edits(name, setting.name), setting.name))
        .min()
        .filter(|(edits, known)| *edits <= known.len() / 3);
    match near {
        Some((_, known)) => format!("there is no setting `{name}`; did you mean `{known}`?"),
        None => format!("there is no setting `{name}`"),
    }
}

/// How many letters have to be changed, added or left out to make `b` of `a`.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let change = corner + usize::from(from != *to);
            corner = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(corner + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Assignments, String> {
        Assignments::parse("lb.conf", text)
    }

    fn value(text: &str, name: &str) -> String {
        parse(text).unwrap().get(name).unwrap().0.to_owned()
    }

    #[test]
    fn values_are_what_the_shell_would_assign() {
        for (line, expected) in [
            ("INSTANCE_IMG=nginx", "nginx"),
            ("  INSTANCE_IMG=nginx   # the web server", "nginx"),
            ("export INSTANCE_IMG='nginx'", "nginx"),
            ("INSTANCE_IMG=\"nginx\"\r", "nginx"),
            ("INSTANCE_IMG=\"${INSTANCE_IMG:-nginx}\"", "nginx"),
            ("INSTANCE_IMG=${INSTANCE_IMG-nginx}", "nginx"),
            ("INSTANCE_IMG=", ""),
            ("INSTANCE_IMG=a\nINSTANCE_IMG=b", "b"),
        ] {
            assert_eq!(value(line, "INSTANCE_IMG"), expected, "{line}");
        }
        assert_eq!(
            value("INSTANCE_ARGS='--env A=$B'", "INSTANCE_ARGS"),
            "--env A=$B"
        );
    }

    #[test]
    fn the_edited_script_itself_is_accepted() {
        let script = "#!/bin/bash\nset -x\nINSTANCE_IMG=nginx\nOTHER=$(date)\nfor i in 1 2; do\n  docker run x=y\ndone\n";
        let read = parse(script).unwrap();
        assert_eq!(read.get("INSTANCE_IMG"), Some(("nginx", 3)));
        assert_eq!(read.values.len(), 1);
    }

    #[test]
    fn a_file_from_windows_reads_as_any_other() {
        for text in [
            "# a service\nINSTANCE_IMG=nginx\nINSTANCE_ARGS='--env A=b'\nLB_PORT=81 # why\n",
            "#!/bin/bash\n\nINSTANCE_IMG=\"nginx\"\nINSTANCE_ARGS='--env A=b'\nLB_PORT=81\ndocker ps\n",
        ] {
            let windows = format!("\u{feff}{}", text.replace('\n', "\r\n"));
            assert_eq!(parse(&windows).unwrap(), parse(text).unwrap(), "{text}");
        }
        let complaint = parse("LB_PORT=81\r\ndocker ps\r\n").unwrap_err();
        assert_eq!(complaint, "lb.conf, line 2: not of the form NAME=value");
    }

    #[test]
    fn what_is_not_understood_is_said_with_its_line() {
        for (text, complaint) in [
            (
                "# x\nINSTANCE_IMGS=x",
                "lb.conf, line 2: there is no setting `INSTANCE_IMGS`; did you mean `INSTANCE_IMG`?",
            ),
            (
                "WHATEVER_ELSE=x",
                "lb.conf, line 1: there is no setting `WHATEVER_ELSE`",
            ),
            ("docker ps", "lb.conf, line 1: not of the form NAME=value"),
            (
                "LB_PORT=80 90",
                "lb.conf, line 1: LB_PORT: a value with blanks needs quotes",
            ),
            (
                "LB_PORT='80",
                "lb.conf, line 1: LB_PORT: a quote is not closed",
            ),
            (
                "INSTANCE_IMG=$REGISTRY/x",
                "lb.conf, line 1: INSTANCE_IMG: `$REGISTRY/x` is not expanded here: write the value itself",
            ),
            (
                "#!/bin/sh\nLB_PORT=`port`",
                "lb.conf, line 2: LB_PORT: ``port`` is not expanded here: write the value itself",
            ),
        ] {
            assert_eq!(parse(text).unwrap_err(), complaint);
        }
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_text_never_panics(text: String) {
            let _ = parse(&text);
            let _ = parse(&format!("#!\n{text}"));
            let _ = parse(&format!("LB_PORT={text}"));
        }
    }
}
