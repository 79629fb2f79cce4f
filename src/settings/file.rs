//! The settings file: `NAME=value` lines in the script's own syntax, or an edited copy of the script itself. Pure.
//!
//! A file that begins with `#!` is a script: its lines that assign no known name are passed over. In any other file they
//! are errors. Nothing is executed; of a shell's expansions, only `$NAME` and `${NAME}` of what is assigned further up are
//! made.

use std::collections::BTreeMap;

use super::{TABLE, nearest};

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
        // Of a script's own variables, too: its settings may be made of them.
        let mut assigned: BTreeMap<&str, String> = BTreeMap::new();
        for (index, line) in text.lines().enumerate() {
            let number = index + 1;
            let complain = |why: String| format!("{path}, line {number}: {why}");
            match assignment(line.trim()) {
                Line::Nothing => {}
                Line::Assignment { name, value } => {
                    match (known(name), evaluate(name, value, &assigned)) {
                        (Some(known), value) => {
                            let value = value.map_err(|why| complain(format!("{name}: {why}")))?;
                            assigned.insert(name, value.clone());
                            // As in a script, the last assignment counts.
                            values.insert(known, (value, number));
                        }
                        (None, Ok(value)) if is_script => {
                            assigned.insert(name, value);
                        }
                        // What it holds from here on, nobody knows.
                        (None, Err(_)) if is_script => {
                            assigned.remove(name);
                        }
                        (None, _) => return Err(complain(unknown(name))),
                    }
                }
                Line::Blank { name } if known(name).is_some() => {
                    return Err(complain(format!("{name}: no blanks around `=`")));
                }
                Line::Blank { .. } | Line::Other if is_script => {}
                Line::Blank { .. } => return Err(complain("no blanks around `=`".into())),
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
    /// As an assignment, but with blanks around the `=`.
    Blank {
        name: &'a str,
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
        Some((name, value)) if is_name(name) && !is_apart(value) => {
            Line::Assignment { name, value }
        }
        Some((name, _)) if is_name(name.trim_end()) => Line::Blank {
            name: name.trim_end(),
        },
        _ => Line::Other,
    }
}

/// Whether a value stands apart from its `=`. Blanks before a comment are none.
fn is_apart(value: &str) -> bool {
    let bare = value.trim_start();
    bare.len() < value.len() && !bare.is_empty() && !bare.starts_with('#')
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
fn evaluate(name: &str, value: &str, assigned: &BTreeMap<&str, String>) -> Result<String, String> {
    let value = default_of(name, value).unwrap_or(value);
    let value = expand(value, assigned)?;
    let words = shell_words::split(&value).map_err(|_| "a quote is not closed".to_owned())?;
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

/// `value` with the variables that are `assigned` in place of their names; any other expansion is refused. Only single
/// quotes and a backslash keep a shell from expanding, and so does a comment.
fn expand(value: &str, assigned: &BTreeMap<&str, String>) -> Result<String, String> {
    let mut expanded = String::new();
    let (mut single, mut double, mut escaped) = (false, false, false);
    let mut rest = value;
    while let Some(c) = rest.chars().next() {
        if !single && !escaped && (c == '$' || c == '`') {
            let (length, variable) = reference(rest);
            let Some(text) = variable.and_then(|name| assigned.get(name)) else {
                let shown = rest[..length].trim_end();
                return Err(format!(
                    "`{shown}` is not expanded here: write the value itself"
                ));
            };
            expanded.push_str(&protected(text, double));
            rest = &rest[length..];
            continue;
        }
        match c {
            _ if escaped => escaped = false,
            '\\' if !single => escaped = true,
            '\'' if !double => single = !single,
            '"' if !single => double = !double,
            '#' if !single
                && !double
                && (expanded.is_empty() || expanded.ends_with([' ', '\t'])) =>
            {
                return Ok(expanded);
            }
            _ => {}
        }
        expanded.push(c);
        rest = &rest[c.len_utf8()..];
    }
    Ok(expanded)
}

/// How long the expansion at the start of `text` is, and which variable it names if it is `$NAME` or `${NAME}`.
fn reference(text: &str) -> (usize, Option<&str>) {
    if let Some(inner) = text.strip_prefix("${")
        && let Some(end) = inner.find('}')
    {
        return (end + 3, Some(&inner[..end]).filter(|name| is_name(name)));
    }
    let bare = text.strip_prefix('$').unwrap_or_default();
    let end = bare
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(bare.len());
    if is_name(&bare[..end]) {
        return (end + 1, Some(&bare[..end]));
    }
    (text.find('"').unwrap_or(text.len()), None)
}

/// A variable's text, quoted so that it stays one word.
fn protected(text: &str, double: bool) -> String {
    if !double {
        return shell_words::quote(text).into_owned();
    }
    let mut quoted = String::new();
    for c in text.chars() {
        if matches!(c, '"' | '\\' | '$' | '`') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted
}

fn unknown(name: &str) -> String {
    match nearest(name, TABLE.iter().map(|setting| setting.name)) {
        Some(known) => format!("there is no setting `{name}`; did you mean `{known}`?"),
        None => format!("there is no setting `{name}`"),
    }
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
    fn what_is_assigned_further_up_is_expanded() {
        for (line, expected) in [
            ("LB_CTR_NAME=${INSTANCE_CTR_PREFIX}-lb", "it's-lb"),
            ("LB_CTR_NAME=\"$INSTANCE_CTR_PREFIX-lb\" # why", "it's-lb"),
            (
                "LB_CTR_NAME=\"${LB_CTR_NAME:-${INSTANCE_CTR_PREFIX}-lb}\"",
                "it's-lb",
            ),
            ("LB_CTR_NAME=\"'$INSTANCE_CTR_PREFIX'\"", "'it's'"),
            ("LB_CTR_NAME='$INSTANCE_CTR_PREFIX'", "$INSTANCE_CTR_PREFIX"),
            ("LB_CTR_NAME=lb # of $HOST", "lb"),
        ] {
            let text = format!("INSTANCE_CTR_PREFIX=\"it's\"\n{line}\n");
            assert_eq!(value(&text, "LB_CTR_NAME"), expected, "{line}");
        }
        let script = "#!/bin/bash\nREGISTRY=registry.example.com\nINSTANCE_IMG=$REGISTRY/web:2\n";
        assert_eq!(value(script, "INSTANCE_IMG"), "registry.example.com/web:2");
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
                "lb.conf, line 1: INSTANCE_IMG: `$REGISTRY` is not expanded here: write the value itself",
            ),
            (
                "LB_CTR_NAME=\"$FOO-lb\"",
                "lb.conf, line 1: LB_CTR_NAME: `$FOO` is not expanded here: write the value itself",
            ),
            (
                "LB_CTR_NAME=\"$(hostname)\"",
                "lb.conf, line 1: LB_CTR_NAME: `$(hostname)` is not expanded here: write the value itself",
            ),
            (
                "LB_PORT=80\nLB_CTR_NAME=${LB_PORT%0}",
                "lb.conf, line 2: LB_CTR_NAME: `${LB_PORT%0}` is not expanded here: write the value itself",
            ),
            (
                "#!/bin/sh\nFOO=a\nFOO=$(b)\nLB_CTR_NAME=$FOO",
                "lb.conf, line 4: LB_CTR_NAME: `$FOO` is not expanded here: write the value itself",
            ),
            (
                "INSTANCE_IMG = httpd:2",
                "lb.conf, line 1: INSTANCE_IMG: no blanks around `=`",
            ),
            (
                "#!/bin/sh\nINSTANCE_IMG= httpd:2",
                "lb.conf, line 2: INSTANCE_IMG: no blanks around `=`",
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
