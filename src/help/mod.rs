//! What `vch-lb help TOPIC` explains, and the manual pages of section 7 with it.
//!
//! A topic is a Markdown text in `templates/help`. Tables that the program knows are not in there: a line
//! `<!-- table: NAME -->` stands for each.

mod markdown;
pub mod pager;
mod plain;
mod roff;

use crate::error::exit;
use crate::settings;

/// Something that is explained beside the commands.
#[derive(Debug)]
pub struct Topic {
    pub name: &'static str,
    /// One line, for lists of topics.
    pub summary: &'static str,
    text: &'static str,
}

macro_rules! topic {
    ($name:literal, $summary:literal) => {
        Topic {
            name: $name,
            summary: $summary,
            text: include_str!(concat!("../../templates/help/", $name, ".md")),
        }
    };
}

/// In the order in which somebody would read them; it is also that in which the tests execute what they show.
pub static TOPICS: &[Topic] = &[
    topic!(
        "settings",
        "All settings; the settings file, arguments for docker, secrets"
    ),
    topic!(
        "haproxy",
        "Health checks, TLS, versions of HAProxy, reloads"
    ),
    topic!("template", "A haproxy.cfg of your own"),
    topic!("engine", "On a Docker Engine, Docker Desktop or Podman"),
    topic!("vch", "On a vSphere Integrated Containers VCH"),
    topic!("rollout", "How a change goes: ready, traffic, going back"),
    topic!("history", "What was done, and going back"),
    topic!("json", "What --format json prints"),
    topic!("exit-codes", "What the exit codes mean"),
    topic!("limits", "What it does not do, and what to know before"),
];

type MakeTable = fn() -> String;

/// The tables that a topic may ask for.
const TABLES: [(&str, MakeTable); 3] = [
    ("settings", settings::for_people),
    ("exit codes", exit::table),
    ("template", built_in_template),
];

fn built_in_template() -> String {
    let template = include_str!("../../templates/haproxy.cfg.hbs");
    format!("```handlebars\n{}\n```\n", template.trim_end())
}

/// The topic called `name`.
pub fn topic(name: &str) -> Option<&'static Topic> {
    TOPICS.iter().find(|topic| topic.name == name)
}

impl Topic {
    /// For people, in lines of at most so many columns; only what is shown as it was typed may be wider.
    pub fn plain(&self, columns: usize) -> String {
        plain::render(&markdown::parse(&self.whole()), columns)
    }

    /// As a manual page.
    pub fn manual_page(&self) -> String {
        roff::render(self.name, self.summary, &markdown::parse(&self.whole()))
    }

    /// The text with its tables.
    fn whole(&self) -> String {
        let tables = TABLES.iter();
        tables.fold(self.text.to_owned(), |text, (name, table)| {
            text.replace(&format!("<!-- table: {name} -->\n"), &table())
        })
    }
}

/// The topics by name, each with its summary, one a line.
pub fn list() -> String {
    let lines = TOPICS
        .iter()
        .map(|topic| format!("  {:<12}{}", topic.name, topic.summary));
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_topic_has_a_title_and_the_tables_that_it_asks_for() {
        for topic in TOPICS {
            assert!(topic.text.starts_with("# "), "{}", topic.name);
            assert!(!topic.whole().contains("<!-- table"), "{}", topic.name);
        }
    }

    #[test]
    fn nothing_that_only_a_renderer_needs_is_shown_and_no_line_is_too_long() {
        for topic in TOPICS {
            for columns in [80, 100] {
                // Three are what stands for a secret.
                let text = topic.plain(columns).replace("`***`", "");
                for wrong in ["```", "](", "**", "<!--", "\n  |"] {
                    assert!(!text.contains(wrong), "{wrong}: {text}");
                }
                // A line of the built-in template can't be broken.
                let lines = text.lines().filter(|line| !line.contains("{{"));
                let longest = lines.map(|line| line.chars().count()).max();
                assert!(longest <= Some(100), "{}: {longest:?}", topic.name);
            }
        }
    }
}
