//! The settings: the table of all of them, and where each value came from. Values are plain text here; `service` gives them
//! meaning and refuses what makes none.

pub mod file;
pub mod shell;
mod table;

use std::borrow::Cow;
use std::fmt;

use crate::secrets::redact_text;

pub use table::*;

/// Which of `known` somebody may have meant by `name`, if it is near enough.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let near = known.map(|known| (edits(name, known), known)).min();
    let near = near.filter(|(edits, known)| *edits <= known.len() / 3);
    near.map(|(_, known)| known)
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

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    Flag,
    Environment,
    /// A line of the settings file.
    File {
        path: String,
        line: usize,
    },
    Default,
}

/// A setting's value, as text, with what is needed to complain about it.
#[derive(Debug, Clone)]
pub struct Value {
    pub setting: &'static Setting,
    pub text: String,
    pub origin: Origin,
}

impl Value {
    /// `LB_PORT` is `80x` (--lb-port)
    pub fn complaint(&self, why: impl fmt::Display) -> String {
        format!(
            "{} is `{}` ({}): {why}",
            self.setting.name,
            crate::error::printable(&self.shown()),
            self.source()
        )
    }

    /// The text as it is shown: what is secret in words for docker is not.
    pub fn shown(&self) -> Cow<'_, str> {
        if self.setting.kind == Kind::Words {
            Cow::Owned(redact_text(&self.text))
        } else {
            Cow::Borrowed(&self.text)
        }
    }

    /// Whether it is another than the default.
    pub fn is_set(&self) -> bool {
        self.text != self.setting.default
    }

    /// Where the value came from, for people.
    pub fn source(&self) -> String {
        match &self.origin {
            Origin::File { path, line } => format!("{path}, line {line}"),
            Origin::Flag => format!("--{}", self.setting.flag()),
            Origin::Environment => format!("environment variable {}", self.setting.name),
            Origin::Default => "the default".to_owned(),
        }
    }
}

/// Every setting's value.
#[derive(Debug, Clone)]
pub struct Settings(Vec<Value>);

impl Settings {
    /// Flag over environment over settings file over default. An empty environment variable counts as not set, as it
    /// does for docker.
    pub fn resolve(
        flag: impl Fn(&str) -> Option<String>,
        environment: impl Fn(&str) -> Option<String>,
        file: &file::Assignments,
    ) -> Self {
        let value = |setting: &'static Setting| {
            let set_in_environment = || environment(setting.name).filter(|text| !text.is_empty());
            let (text, origin) = if let Some(text) = flag(setting.name) {
                (text, Origin::Flag)
            } else if let Some(text) = set_in_environment() {
                (text, Origin::Environment)
            } else if let Some((text, line)) = file.get(setting.name) {
                let path = file.path.clone();
                (text.to_owned(), Origin::File { path, line })
            } else {
                (setting.default.to_owned(), Origin::Default)
            };
            Value {
                setting,
                text,
                origin,
            }
        };
        Self(TABLE.iter().map(value).collect())
    }

    /// The defaults alone.
    pub fn defaults() -> Self {
        Self::resolve(|_| None, |_| None, &file::Assignments::default())
    }

    pub fn iter(&self) -> impl Iterator<Item = &Value> {
        self.0.iter()
    }

    /// The value of the setting called `name`, one of this module's constants.
    pub fn get(&self, name: &str) -> &Value {
        self.0
            .iter()
            .find(|value| value.setting.name == name)
            .unwrap_or_else(|| unreachable!("{name} is not in the table of settings"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_wins_over_the_environment_and_that_over_the_default() {
        let flag = |name: &str| (name == LB_PORT).then(|| "81".to_owned());
        let environment = |name: &str| match name {
            LB_PORT | INSTANCE_PORT => Some("82".to_owned()),
            LB_CTR_NAME => Some(String::new()),
            _ => None,
        };
        let settings = Settings::resolve(flag, environment, &file::Assignments::default());
        let shown = |name| {
            (
                settings.get(name).text.as_str(),
                settings.get(name).source(),
            )
        };
        assert_eq!(shown(LB_PORT), ("81", "--lb-port".into()));
        assert_eq!(
            shown(INSTANCE_PORT),
            ("82", "environment variable INSTANCE_PORT".into())
        );
        assert_eq!(shown(LB_CTR_NAME), ("lb", "the default".into()));
    }

    #[test]
    fn the_seven_variables_have_the_defaults_of_the_script() {
        let settings = Settings::defaults();
        let script = [
            (INSTANCE_IMG, "httpd"),
            (NUM_INSTANCES, "3"),
            (INSTANCE_PORT, "80"),
            (LB_PORT, "80"),
            (INSTANCE_CTR_PREFIX, "web"),
            (LB_CTR_NAME, "lb"),
            (EXTERNAL_NET, "routable"),
        ];
        for (name, default) in script {
            assert_eq!(settings.get(name).text, default);
        }
    }
}
