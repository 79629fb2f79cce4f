//! The settings file: `NAME=value` lines in the script's own syntax, or an edited copy of the script itself. Pure.
//!
//! A file that begins with `#!` is a script: what assigns no setting in it is passed over. In any other file it is an
//! error. Nothing is executed. A setting has the value that the shell would give it, or the file is refused with the line:
//! never another value, and never none.

use std::collections::{BTreeMap, BTreeSet};

use super::shell::value::{Variable, evaluate};
use super::shell::{self, Command, Place, Script};
use super::{TABLE, nearest};

/// What a settings file assigns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Assignments {
    /// As the admin named the file.
    pub path: String,
    values: BTreeMap<&'static str, (String, usize)>,
    /// Of a script's variables, those of which the value is sure.
    variables: BTreeMap<String, String>,
    /// The script, where the file is one.
    pub script: Option<Script>,
}

/// Builtins that set variables, beside the assignments that they are given.
const SETTERS: [&str; 17] = [
    "alias",
    "declare",
    "enable",
    "export",
    "getopts",
    "let",
    "local",
    "mapfile",
    "printf",
    "read",
    "readarray",
    "readonly",
    "shopt",
    "trap",
    "typeset",
    "unset",
    "wait",
];

/// Builtins whose words are assignments.
const DECLARATIONS: [&str; 4] = ["declare", "export", "readonly", "typeset"];

/// Variables that the shell itself sets: what a script assigned is not what it reads.
const SHELLS_OWN: [&str; 28] = [
    "BASHPID",
    "COLUMNS",
    "COMP_WORDBREAKS",
    "DIRSTACK",
    "EPOCHREALTIME",
    "EPOCHSECONDS",
    "EUID",
    "FUNCNAME",
    "GROUPS",
    "HISTCMD",
    "HOSTNAME",
    "IFS",
    "LINENO",
    "LINES",
    "MAPFILE",
    "OLDPWD",
    "OPTARG",
    "OPTIND",
    "PIPESTATUS",
    "PPID",
    "PWD",
    "RANDOM",
    "REPLY",
    "SECONDS",
    "SHELLOPTS",
    "SRANDOM",
    "UID",
    "_",
];

impl Assignments {
    /// The value of the setting called `name`, and its line.
    pub fn get(&self, name: &str) -> Option<(&str, usize)> {
        self.values
            .get(name)
            .map(|(text, line)| (text.as_str(), *line))
    }

    /// The value of a variable of the script's own, as far as that can be told.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    /// Reads `text`, of which nothing is taken from an environment.
    pub fn parse(path: &str, text: &str) -> Result<Self, String> {
        Self::parse_in(path, text, &|_| None)
    }

    /// Reads `text` where variables have the values that `environment` gives them. The error says which line can't be
    /// understood and why.
    pub fn parse_in(
        path: &str,
        text: &str,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, String> {
        // Windows' editors may put a byte order mark before everything.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let text = text.replace("\r\n", "\n");
        let text = text.strip_suffix('\r').unwrap_or(&text);
        let is_script = text.starts_with("#!");
        let complain = |line: usize, why: String| format!("{path}, line {line}: {why}");
        if let Some(other) = other_interpreter(text) {
            let why = format!("it is a script for `{other}`, not for a shell");
            return Err(complain(1, why));
        }
        let script = shell::commands(text).map_err(|unclear| {
            let line = text.lines().nth(unclear.line - 1).unwrap_or_default();
            let name = shell::assignment(line.trim()).and_then(|(name, _, _)| known(name));
            let name = name.map_or(String::new(), |name| format!("{name}: "));
            complain(unclear.line, format!("{name}{}", unclear.why))
        })?;
        let mut reader = Reader {
            text,
            is_script,
            environment,
            unsure: BTreeSet::new(),
            assigned: BTreeMap::new(),
            values: BTreeMap::new(),
            fixed: BTreeMap::new(),
            ended: None,
        };
        reader
            .script(&script)
            .map_err(|(line, why)| complain(line, why))?;
        Ok(Self {
            path: path.to_owned(),
            values: reader.values,
            variables: reader
                .assigned
                .into_iter()
                .filter(|(name, _)| !reader.unsure.contains(name))
                .filter_map(|(name, value)| Some((name, value?)))
                .collect(),
            script: is_script.then_some(script),
        })
    }
}

/// A line, and what is wrong with it.
type Complaint = (usize, String);

struct Reader<'a> {
    text: &'a str,
    is_script: bool,
    environment: &'a dyn Fn(&str) -> Option<String>,
    /// Variables whose values only a run could tell.
    unsure: BTreeSet<String>,
    /// Of a script's own variables, too: its settings may be made of them. `None`: with a value that is not understood.
    assigned: BTreeMap<String, Option<String>>,
    values: BTreeMap<&'static str, (String, usize)>,
    /// Readonly variables, and since when.
    fixed: BTreeMap<String, usize>,
    /// The line on which the script ends itself.
    ended: Option<usize>,
}

impl Reader<'_> {
    fn script(&mut self, script: &Script) -> Result<(), Complaint> {
        for touch in &script.touched {
            if let Some(builtin) = touch.name.strip_suffix("()") {
                if SETTERS.contains(&builtin) {
                    let why =
                        format!("`{builtin}` becomes a function: what it assigns can't be told");
                    return Err((touch.line, why));
                }
                continue;
            }
            let is_default = defaulted_alone(script, &touch.name, touch.line);
            if let Some(name) = known(&touch.name).filter(|_| !is_default) {
                return Err((touch.line, self.set_otherwise(name, touch.line)));
            }
            if !is_default {
                self.unsure.insert(touch.name.clone());
            }
        }
        for command in &script.commands {
            self.find_unsure(command)?;
        }
        for command in &script.commands {
            self.command(command)?;
        }
        Ok(())
    }

    /// Finds variables that a command sets, or may set, otherwise than by an assignment by itself.
    fn find_unsure(&mut self, command: &Command) -> Result<(), Complaint> {
        let line = command.line;
        let alone = command.place == Place::Alone && !command.redirected;
        let (assignments, words) = split(command);
        let lonely = alone && words.is_empty();
        for word in assignments {
            let Some((name, operator, _)) = shell::assignment(word) else {
                continue;
            };
            let plain = lonely && !operator.starts_with('[');
            if let Some(known) = known(name).filter(|_| !plain) {
                return Err((line, self.not_alone(known, command)));
            }
            // Before a command, it is that command's alone.
            if !plain && words.is_empty() {
                self.unsure.insert(name.to_owned());
            }
        }
        let Some((program, arguments)) = program(words) else {
            return Ok(());
        };
        match program.as_deref() {
            Some(program @ ("eval" | "source" | ".")) if self.is_script => {
                let shown = self.line(line);
                return Err((
                    line,
                    format!(
                        "`{shown}`: what `{program}` assigns only a run of the script can tell: take it out, and write the settings it makes into this file"
                    ),
                ));
            }
            Some("shopt") if arguments.iter().any(|word| word == "expand_aliases") => {
                return Err((line, "with aliases nothing here means what it says".into()));
            }
            Some(program) if DECLARATIONS.contains(&program) && alone && assignments.is_empty() => {
                return self.find_unsure_declared(program, arguments, line);
            }
            Some("printf") if !arguments.iter().any(|word| word.starts_with("-v")) => {}
            Some("wait") if !arguments.iter().any(|word| word.starts_with("-p")) => {}
            Some("export" | "readonly" | "declare" | "typeset" | "local") | None => {
                for argument in arguments {
                    let name =
                        shell::assignment(argument).map_or(argument.as_str(), |(name, _, _)| name);
                    self.may_set(name, line)?;
                }
            }
            Some(program) if SETTERS.contains(&program) => {
                let mut arguments = arguments.iter();
                while let Some(argument) = arguments.next() {
                    // A prompt is not a name.
                    if program == "read" && argument.starts_with('-') && argument.ends_with('p') {
                        arguments.next();
                        continue;
                    }
                    if program != "trap" && argument.trim_start_matches('"').starts_with('$') {
                        let why = format!(
                            "`{}`: which variable that sets can't be told",
                            self.line(line)
                        );
                        return Err((line, why));
                    }
                    self.may_set(argument, line)?;
                }
            }
            Some(_) => {}
        }
        Ok(())
    }

    fn find_unsure_declared(
        &mut self,
        program: &str,
        arguments: &[String],
        line: usize,
    ) -> Result<(), Complaint> {
        let harmless =
            |word: &String| matches!(word.as_str(), "-x" | "-r" | "-rx" | "-xr" | "-g" | "--");
        let options = arguments
            .iter()
            .take_while(|word| word.starts_with(['-', '+']));
        let plain = options.clone().all(harmless) && !(program == "export" && options.count() > 0);
        for argument in arguments {
            let plain_word =
                argument.starts_with(['-', '+']) || shell::assignment(argument).is_some();
            if !plain_word && argument.contains(['$', '`', '*', '?', '[', '{']) {
                let why = format!(
                    "`{}`: which variable that sets can't be told",
                    self.line(line)
                );
                return Err((line, why));
            }
            let operator = shell::assignment(argument).map(|(_, operator, _)| operator);
            let is_simple = shell::is_name(argument) || operator == Some("=");
            if !plain || !is_simple {
                self.may_set(argument, line)?;
            }
        }
        Ok(())
    }

    /// Every name in `text` but those of which the value is taken.
    fn may_set(&mut self, text: &str, line: usize) -> Result<(), Complaint> {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let mut at = 0;
        while let Some(start) = text[at..].find(is_part).map(|start| at + start) {
            let end = text[start..]
                .find(|c: char| !is_part(c))
                .map_or(text.len(), |end| start + end);
            let name = &text[start..end];
            let read = text[..start].ends_with(['$', '{']);
            if !read && shell::is_name(name) {
                if let Some(name) = known(name) {
                    return Err((line, self.set_otherwise(name, line)));
                }
                self.unsure.insert(name.to_owned());
            }
            at = end;
        }
        Ok(())
    }

    /// Takes what a command assigns.
    fn command(&mut self, command: &Command) -> Result<(), Complaint> {
        let line = command.line;
        let (assignments, words) = split(command);
        let alone = command.place == Place::Alone && !command.redirected;
        if words.is_empty() {
            if !self.is_script && (!alone || assignments.is_empty()) {
                return Err((line, NOT_AN_ASSIGNMENT.into()));
            }
            if alone {
                let words: Vec<&str> = assignments.iter().map(String::as_str).collect();
                self.assign(&words, line, false)?;
            }
            return Ok(());
        }
        let program = program(words);
        let declares = program.as_ref().and_then(|(name, arguments)| {
            let name = name.as_deref().filter(|name| DECLARATIONS.contains(name))?;
            Some((name.to_owned(), *arguments))
        });
        if let Some((builtin, arguments)) = declares.filter(|_| assignments.is_empty()) {
            let read_only = builtin == "readonly"
                || arguments
                    .iter()
                    .any(|word| word.starts_with('-') && word.contains('r'));
            if alone {
                let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
                self.assign(&words, line, true)?;
                let names = words
                    .iter()
                    .map(|word| shell::assignment(word).map_or(*word, |(name, _, _)| name))
                    .filter(|name| read_only && shell::is_name(name));
                self.fixed.extend(names.map(|name| (name.to_owned(), line)));
            }
            if !self.is_script && (!alone || arguments.is_empty()) {
                return Err((line, NOT_AN_ASSIGNMENT.into()));
            }
            return Ok(());
        }
        if let Some(defaults) = defaults(command) {
            for (name, only_unset, word) in defaults {
                self.assign_default(name, only_unset, word, line)?;
            }
            return Ok(());
        }
        self.refuse_almost(command, assignments, words)?;
        if !self.is_script {
            return Err((line, NOT_AN_ASSIGNMENT.into()));
        }
        let ends = program.is_some_and(|(name, arguments)| match name.as_deref() {
            Some("exit" | "return") => true,
            Some("exec") => !arguments.is_empty(),
            _ => false,
        });
        if ends && command.place == Place::Alone {
            self.ended.get_or_insert(line);
        }
        Ok(())
    }

    /// What was meant as an assignment, and is a command to the shell.
    fn refuse_almost(
        &self,
        command: &Command,
        assignments: &[String],
        words: &[String],
    ) -> Result<(), Complaint> {
        let line = command.line;
        let named = words.first().map_or("", String::as_str);
        let about = |name: &str| known(name).is_some() || !self.is_script;
        if shell::is_name(named)
            && about(named)
            && words.get(1).is_some_and(|word| word.starts_with('='))
        {
            return Err((line, blanks(named)));
        }
        let last = assignments.last().and_then(|word| shell::assignment(word));
        if let Some((name, _, value)) = last.filter(|(name, _, _)| about(name)) {
            if value.is_empty() {
                return Err((line, blanks(name)));
            }
            if !self.is_script && known(name).is_none() {
                return Err((line, unknown(name)));
            }
            return Err((line, format!("{name}: a value with blanks needs quotes")));
        }
        Ok(())
    }

    /// Takes the assignments of one command. Those of a builtin are expanded before any of them is made.
    fn assign(&mut self, words: &[&str], line: usize, declared: bool) -> Result<(), Complaint> {
        let is_setting = |word: &&&str| {
            shell::assignment(word).is_some_and(|(name, _, _)| known(name).is_some())
        };
        // Where one can't be made, the shell may make none of them.
        let whole = words.len() > 1 && words.iter().any(|word| is_setting(&word));
        let mut made = Vec::new();
        let names = words
            .iter()
            .filter_map(|word| Some(shell::assignment(word)?.0));
        let names: Vec<&str> = names.collect();
        let broken = names.windows(2).find_map(|pair| match pair {
            [name, next] if known(name).is_some() && known(next).is_none() => Some(*name),
            _ => None,
        });
        if let Some(name) = broken.filter(|_| !declared) {
            return Err((line, format!("{name}: a value with blanks needs quotes")));
        }
        for word in words {
            let Some((name, value)) = self.assigned_by(word, line, declared, whole)? else {
                continue;
            };
            if declared {
                made.push((name, value));
            } else {
                self.take(name, value, line);
            }
        }
        for (name, value) in made {
            self.take(name, value, line);
        }
        Ok(())
    }

    /// The name that `word` assigns to, and the value, if that can be told.
    fn assigned_by<'w>(
        &self,
        word: &'w str,
        line: usize,
        declared: bool,
        whole: bool,
    ) -> Result<Option<(&'w str, Option<String>)>, Complaint> {
        let Some((name, operator, value)) = shell::assignment(word) else {
            return Ok(None);
        };
        let known = known(name);
        if known.is_none() && !self.is_script {
            return Err((line, unknown(name)));
        }
        if let Some(since) = self.fixed.get(name) {
            return Err((line, format!("{name}: it is readonly since line {since}")));
        }
        if let (Some(end), Some(known)) = (self.ended, known) {
            let why = format!("{known}: the script ends on line {end}, before this");
            return Err((line, why));
        }
        let bare = !value.contains("${") && !value.contains(['\'', '"']);
        let evaluated = if declared && bare && value.contains('{') {
            // A shell may make several words of it.
            Err("a value with braces needs quotes".to_owned())
        } else if operator == "=" {
            evaluate(value, &|variable| self.variable(variable, name))
        } else {
            self.appended(name, operator, value)
        };
        match evaluated {
            Err(why) if known.is_some() || whole => Err((line, format!("{name}: {why}"))),
            // Of the script's own, what can't be told matters only where a setting is made of it.
            evaluated => Ok(Some((name, evaluated.ok()))),
        }
    }

    fn take(&mut self, name: &str, value: Option<String>, line: usize) {
        if let (Some(known), Some(value)) = (known(name), &value) {
            // As in a script, the last assignment counts.
            self.values.insert(known, (value.clone(), line));
        }
        self.assigned.insert(name.to_owned(), value);
    }

    fn appended(&self, name: &str, operator: &str, value: &str) -> Result<String, String> {
        let before = self.assigned.get(name).cloned().flatten();
        let before = before.filter(|_| operator == "+=" && !self.unsure.contains(name));
        let before =
            before.ok_or("there is nothing above that this adds to: write the value itself")?;
        let added = evaluate(value, &|variable| self.variable(variable, name))?;
        Ok(before + &added)
    }

    /// `: ${NAME:=word}`.
    fn assign_default(
        &mut self,
        name: &str,
        only_unset: bool,
        word: &str,
        line: usize,
    ) -> Result<(), Complaint> {
        let there = match self.variable(name, name) {
            Variable::Is(text) => only_unset || !text.is_empty(),
            Variable::Unset => false,
            // What may have set it is told where it stands.
            Variable::Unknown => true,
        };
        // Its own value in the environment is not the file's.
        if there && (self.assigned.contains_key(name) || known(name).is_none()) {
            return Ok(());
        }
        self.assign(&[&format!("{name}={word}")], line, false)
    }

    /// What is known of a variable in the value of the one called `own`.
    fn variable(&self, name: &str, own: &str) -> Variable {
        if self.unsure.contains(name) || SHELLS_OWN.contains(&name) || name.starts_with("BASH") {
            return Variable::Unknown;
        }
        match self.assigned.get(name) {
            Some(Some(value)) => Variable::Is(value.clone()),
            Some(None) => Variable::Unknown,
            // The environment's value of a setting counts before this file is asked.
            None if name == own && known(name).is_some() => Variable::Unset,
            None => match (self.environment)(name) {
                Some(_) => Variable::Unknown,
                None => Variable::Unset,
            },
        }
    }

    fn line(&self, line: usize) -> &str {
        self.text.lines().nth(line - 1).unwrap_or_default().trim()
    }

    fn not_alone(&self, name: &str, command: &Command) -> String {
        let shown = self.line(command.line);
        let (assignments, words) = split(command);
        if !words.is_empty() && command.place == Place::Alone {
            let last = assignments.last().and_then(|word| shell::assignment(word));
            if last.is_some_and(|(_, _, value)| value.is_empty()) {
                return blanks(name);
            }
            return format!("{name}: a value with blanks needs quotes");
        }
        let within = match command.place {
            Place::Within(within) => format!("stands in {within}"),
            Place::Alone => "is no plain assignment".to_owned(),
        };
        format!("{name}: `{shown}` {within}, and {ONLY_A_RUN}")
    }

    fn set_otherwise(&self, name: &str, line: usize) -> String {
        let shown = self.line(line);
        format!("{name}: `{shown}` may set it, and {ONLY_A_RUN}")
    }
}

/// Whether `${NAME:=…}` on that line is what the `:` command is given there, by itself: an assignment if it has none.
fn defaulted_alone(script: &Script, name: &str, line: usize) -> bool {
    let is_it = |command: &&Command| {
        command.line == line && command.words.iter().any(|word| word.contains(name))
    };
    let mut commands = script.commands.iter().filter(is_it);
    let first = commands.next();
    commands.next().is_none() && first.is_some_and(|command| defaults(command).is_some())
}

const ONLY_A_RUN: &str =
    "what it is in the end only a run of the script can tell: assign it once, on a line by itself";

const NOT_AN_ASSIGNMENT: &str = "not of the form NAME=value";

fn blanks(name: &str) -> String {
    if known(name).is_some() {
        format!("{name}: no blanks around `=`")
    } else {
        "no blanks around `=`".to_owned()
    }
}

/// What a script that is not for a shell is for.
fn other_interpreter(text: &str) -> Option<&str> {
    let mut words = text.lines().next()?.strip_prefix("#!")?.split_whitespace();
    let mut name = words.next()?.rsplit('/').next()?;
    if name == "env" {
        name = words.find(|word| !word.starts_with('-') && !word.contains('='))?;
        name = name.rsplit('/').next()?;
    }
    (!["sh", "bash", "dash", "ash", "ksh", "zsh"].contains(&name)).then_some(name)
}

/// The assignments that a command begins with, and its other words.
fn split(command: &Command) -> (&[String], &[String]) {
    let assignments = command
        .words
        .iter()
        .take_while(|word| shell::assignment(word).is_some())
        .count();
    command.words.split_at(assignments)
}

/// The program among `words`, `None` where only a run tells it, and what it is given.
fn program(words: &[String]) -> Option<(Option<String>, &[String])> {
    let mut words = words;
    loop {
        let (first, rest) = words.split_first()?;
        let name = evaluate(first, &|_| Variable::Unknown).ok();
        match name.as_deref() {
            Some("builtin" | "command")
                if rest.first().is_some_and(|word| !word.starts_with('-')) =>
            {
                words = rest;
            }
            _ => return Some((name, rest)),
        }
    }
}

/// The names, whether only one that is not set counts, and the words of `: "${A:=1}" "${B=2}"`, if a command is that and
/// by itself.
fn defaults(command: &Command) -> Option<Vec<(&str, bool, &str)>> {
    if command.place != Place::Alone || command.redirected {
        return None;
    }
    let (first, words) = command.words.split_first()?;
    let one = |word: &'_ String| -> Option<(usize, usize, bool)> {
        let quoted = word.starts_with('"');
        let inner = if quoted {
            word.strip_prefix('"')?.strip_suffix('"')?
        } else {
            word.as_str()
        };
        let inner = inner.strip_prefix("${")?.strip_suffix('}')?;
        let end = inner.find(['=', ':'])?;
        let (name, rest) = inner.split_at(end);
        let operator = if rest.starts_with(":=") { 2 } else { 1 };
        let simple = shell::is_name(name)
            && (rest.starts_with('=') || rest.starts_with(":="))
            && !inner[end..].contains(['"', '\'', '\\', '}', '`', ' ']);
        let start = 2 + usize::from(quoted);
        simple.then_some((start + end, start + end + operator, rest.starts_with('=')))
    };
    (first == ":" && !words.is_empty()).then_some(())?;
    words
        .iter()
        .map(|word| {
            let (name_end, value_start, only_unset) = one(word)?;
            let quoted = usize::from(word.starts_with('"'));
            let name = &word[2 + quoted..name_end];
            let value = &word[value_start..word.len() - 1 - quoted];
            Some((name, only_unset, value))
        })
        .collect()
}

fn known(name: &str) -> Option<&'static str> {
    TABLE
        .iter()
        .map(|setting| setting.name)
        .find(|known| *known == name)
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

    #[test]
    fn what_a_script_surely_assigns_is_taken() {
        for (text, name, expected) in [
            ("declare NUM_INSTANCES=5", "NUM_INSTANCES", "5"),
            ("readonly LB_PORT=81", "LB_PORT", "81"),
            ("command export LB_PORT=81", "LB_PORT", "81"),
            (": \"${LB_PORT:=8080}\"", "LB_PORT", "8080"),
            (": ${LB_PORT:=81} ${NUM_INSTANCES:=2}", "NUM_INSTANCES", "2"),
            ("LB_PORT=81\n: ${LB_PORT:=82}", "LB_PORT", "81"),
            ("NUM_INSTANCES=4 LB_PORT=82", "LB_PORT", "82"),
            ("NUM_INSTANCES=4; LB_PORT=82 # x", "LB_PORT", "82"),
            ("LB_PORT=81\nLB_PORT=${LB_PORT:-80}", "LB_PORT", "81"),
            (
                "INSTANCE_ARGS='-m 64m'\nINSTANCE_ARGS+=' -e A=1'",
                "INSTANCE_ARGS",
                "-m 64m -e A=1",
            ),
            (
                "LB_PORT=81\ncat > x <<EOF\nLB_PORT=82\n\"\nEOF",
                "LB_PORT",
                "81",
            ),
            ("LB_PORT=81\necho \"\nLB_PORT=82\n\"", "LB_PORT", "81"),
            (
                "LB_PORT=81\n[[ $1 =~ ^(a|b)$ ]] && echo $((LB_PORT==1))",
                "LB_PORT",
                "81",
            ),
            (
                "trap 'docker rm -f $LB_CTR_NAME' EXIT\nLB_PORT=81",
                "LB_PORT",
                "81",
            ),
            ("LB_PORT=\\\n81", "LB_PORT", "81"),
            ("export LB_PORT=81\nexport LB_PORT", "LB_PORT", "81"),
        ] {
            let text = format!("#!/bin/bash\n{text}\n");
            assert_eq!(value(&text, name), expected, "{text}");
        }
    }

    #[test]
    fn what_only_a_run_of_the_script_could_tell_is_refused_with_its_line() {
        for line in [
            "declare -i NUM_INSTANCES=5",
            "declare -n x=LB_PORT",
            "local LB_PORT=81",
            "if true; then EXTERNAL_NET=public; fi",
            "for i in 1 2; do LB_PORT=$i; done",
            "for LB_PORT in 1 2; do :; done",
            "case $1 in -n) NUM_INSTANCES=$2;; esac",
            "while getopts n: o; do NUM_INSTANCES=$OPTARG; done",
            "[ -n \"$1\" ] && LB_PORT=81",
            "LB_PORT=81 || exit",
            "LB_PORT=81 | cat",
            "LB_PORT=81 &",
            "! LB_PORT=81",
            "f() { LB_PORT=81; }",
            "function f { LB_PORT=81; }",
            "( LB_PORT=81 )",
            "LB_PORT=81 > /dev/null",
            "read LB_PORT",
            "read -p 'Port? ' LB_PORT",
            "printf -v LB_PORT 81",
            "let LB_PORT=81",
            "((LB_PORT++))",
            "echo $((LB_PORT = 81))",
            "echo ${LB_PORT:=81}",
            "unset LB_PORT",
            "mapfile LB_PORT < x",
            "LB_PORT[0]=81",
            "exec {LB_PORT}> x",
            "trap 'LB_PORT=81' DEBUG",
            "$E LB_PORT=81",
        ] {
            let complaint = parse(&format!("#!/bin/bash\n\n{line}\n")).unwrap_err();
            assert!(
                complaint.starts_with("lb.conf, line 3: ")
                    && complaint.contains(&format!("`{line}`"))
                    && complaint.ends_with(": assign it once, on a line by itself"),
                "{line}: {complaint}"
            );
        }
    }

    #[test]
    fn what_a_script_can_not_be_understood_by_is_said_with_its_line() {
        for (text, complaint) in [
            (
                "source lib.sh",
                "line 2: `source lib.sh`: what `source` assigns only a run of the script can tell",
            ),
            (
                "eval LB_PORT=81",
                "line 2: `eval LB_PORT=81`: what `eval` assigns",
            ),
            ("export \"$n=81\"", "which variable that sets can't be told"),
            (
                "LB_PORT=81 httpd",
                "line 2: LB_PORT: a value with blanks needs quotes",
            ),
            (
                "LB_PORT=(81)",
                "line 2: LB_PORT: `(81)` is not expanded here",
            ),
            (
                "LB_PORT=$((8000+80))",
                "`$((8000+80))` is not expanded here",
            ),
            ("NUM_INSTANCES=${1:-3}", "`${1:-3}` is not expanded here"),
            (
                "NUM_INSTANCES+=5",
                "there is nothing above that this adds to",
            ),
            (
                "TLS_CERT=~/x.pem",
                "`~` is not expanded here: write the path itself",
            ),
            (
                "exit\nLB_PORT=81",
                "line 3: LB_PORT: the script ends on line 2",
            ),
            (
                "readonly LB_PORT=81\nLB_PORT=82",
                "line 3: LB_PORT: it is readonly since line 2",
            ),
            (
                "x=8\n((x++))\nLB_PORT=$x",
                "line 4: LB_PORT: `$x` is not expanded here",
            ),
            (
                "x=8\nf() { x=9; }\nLB_PORT=$x",
                "line 4: LB_PORT: `$x` is not expanded here",
            ),
            (
                "RANDOM=8\nLB_PORT=$RANDOM",
                "`$RANDOM` is not expanded here",
            ),
            ("export() { :; }", "`export` becomes a function"),
            ("cat <<EOF", "its here-document has no end `EOF`"),
            ("if true; then", "`fi` is missing at the end"),
            ("echo $(cat", "line 2: a parenthesis is not closed"),
        ] {
            let told = parse(&format!("#!/bin/bash\n{text}\n")).unwrap_err();
            assert!(told.contains(complaint), "{text}: {told}");
        }
        let python = parse("#!/usr/bin/env python3\nLB_PORT = 80\n").unwrap_err();
        assert_eq!(
            python,
            "lb.conf, line 1: it is a script for `python3`, not for a shell"
        );
    }

    #[test]
    fn a_variable_of_the_environment_counts_as_for_the_script() {
        let text = "#!/bin/bash\nREGISTRY=${REGISTRY:-docker.io}\nINSTANCE_IMG=$REGISTRY/web\n";
        assert_eq!(value(text, "INSTANCE_IMG"), "docker.io/web");
        let set = |name: &str| (name == "REGISTRY").then(|| "r.example.com".to_owned());
        let complaint = Assignments::parse_in("lb.sh", text, &set).unwrap_err();
        assert_eq!(
            complaint,
            "lb.sh, line 3: INSTANCE_IMG: `$REGISTRY` is not expanded here: write the value itself"
        );
    }

    #[test]
    fn however_deep_a_script_is_nested_it_is_read_or_refused() {
        for (open, close) in [
            ("(", ")"),
            ("$(", ")"),
            ("{ ", "}"),
            ("\"$(", ")\""),
            ("${x:-", "}"),
            ("if ", ""),
        ] {
            for depth in [3, 30, 3000] {
                let text = format!(
                    "#!/bin/sh\n{}x{}\n",
                    open.repeat(depth),
                    close.repeat(depth)
                );
                let _ = parse(&text);
            }
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
