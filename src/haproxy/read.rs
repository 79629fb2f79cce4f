//! The text of a haproxy.cfg, read back from a load balancer: ours, the script's, or edited by hand. Pure.

use super::{Config, Server};
use crate::spec::names::Port;

/// What a load balancer's file was found to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub text: String,
    /// `None`: not a file that this tool or the script wrote.
    pub config: Option<Config>,
}

impl Found {
    pub fn new(text: String) -> Self {
        let config = parse(&text);
        Self { text, config }
    }

    /// Whether the file differs from what its own values render to: somebody else's hand was in it.
    pub fn edited(&self) -> bool {
        match self.config.as_ref().map(Config::render) {
            Some(Ok(rendered)) => rendered != self.text,
            Some(Err(_)) | None => true,
        }
    }
}

/// The values of a file of ours; `None` where one is missing or more than one is given.
fn parse(text: &str) -> Option<Config> {
    let mut lb_port = None;
    let mut servers = Vec::new();
    let mut instance_port = None;
    let mut hand_over = false;
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        match words.next() {
            Some("bind") => {
                let port = words.next()?.strip_prefix("*:")?;
                lb_port.get_or_insert(Port::parse(port).ok()?);
            }
            Some("stats") => hand_over |= line.ends_with("expose-fd listeners"),
            Some("server") => {
                let number = words.next()?.strip_prefix("server")?.parse().ok()?;
                let (address, port) = words.next()?.rsplit_once(':')?;
                instance_port.get_or_insert(Port::parse(port).ok()?);
                servers.push(Server {
                    number,
                    address: address.to_owned(),
                });
            }
            _ => {}
        }
    }
    Some(Config {
        lb_port: lb_port?,
        instance_port: instance_port?,
        hand_over,
        servers,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_rendered_is_read_back() {
        for text in [
            include_str!("../../tests/golden/default.cfg"),
            include_str!("../../tests/golden/ports.cfg"),
            include_str!("../../tests/golden/hand-over.cfg"),
        ] {
            let found = Found::new(text.to_owned());
            assert_eq!(found.config.as_ref().unwrap().render().unwrap(), text);
            assert!(!found.edited());
        }
    }

    #[test]
    fn the_numbers_of_instances_are_read_back() {
        let found = Found::new(include_str!("../../tests/golden/ports.cfg").into());
        assert_eq!(found.config.unwrap().numbers(), [1, 7]);
    }

    #[test]
    fn a_hand_in_the_file_is_seen() {
        let text = include_str!("../../tests/golden/default.cfg");
        for edited in [
            text.replace("mode http", "mode tcp"),
            format!("{text}listen stats\n\tbind *:9000\n"),
            text.replace("web-2:80 maxconn 32", "web-2:81 maxconn 32"),
            text.trim_end().to_owned(),
            String::new(),
            "defaults".to_owned(),
        ] {
            assert!(Found::new(edited.clone()).edited(), "{edited}");
        }
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_text_never_panics(text: String) {
            let _ = Found::new(text).edited();
        }

        #[test]
        fn arbitrary_lines_of_known_words_never_panic(
            lines in proptest::collection::vec("(bind|server|stats|server server1)? ?[*:a-z0-9 \t-]{0,12}", 0..8)
        ) {
            let _ = Found::new(lines.join("\n")).edited();
        }
    }
}
