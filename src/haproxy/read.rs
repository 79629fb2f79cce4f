//! The text of a haproxy.cfg, read back from a load balancer: ours, the script's, or edited by hand. Pure.

use super::{Config, Server};
use crate::spec::names::{ImageRef, Port};
use crate::spec::tuning::{self, BadLine, Tuning};

/// What a load balancer's file was found to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub text: String,
    /// `None`: not a file that this tool or the script wrote.
    pub config: Option<Config>,
    /// The version of its settings, where a newer vch-lb wrote it.
    pub newer: Option<u32>,
    /// The admin's own template, where one lies beside it.
    pub template: Option<String>,
    /// The certificate and key that lie beside it, where they were asked for.
    pub cert: Option<Vec<u8>>,
}

impl Found {
    /// `template` is the text that was found beside the file; `image` what the load balancer was made from.
    pub fn new(text: String, template: Option<String>, image: &str) -> Self {
        let tuning = Tuning::from_head(&text);
        let newer = match &tuning {
            Err(BadLine::Newer(version)) => Some(*version),
            _ => None,
        };
        let version = ImageRef::parse(image)
            .ok()
            .and_then(|image| image.version_in_tag());
        let config = tuning.ok().and_then(|tuning| {
            let template = template.clone().filter(|_| tuning.template);
            parse(&text).map(|read| Config {
                lb_port: read.lb_port,
                instance_port: read.instance_port,
                version,
                tuning,
                template,
                servers: read.servers,
            })
        });
        Self {
            text,
            config,
            newer,
            template,
            cert: None,
        }
    }

    /// What its own values render to, where it is readable at all.
    pub fn rendered(&self) -> Option<String> {
        self.config.as_ref().and_then(|config| config.render().ok())
    }

    /// Whether the file differs from what its own values render to: somebody else's hand was in it.
    pub fn edited(&self) -> bool {
        self.rendered().is_none_or(|rendered| rendered != self.text)
    }

    /// The lines in which the file differs from what its own values render to: `-` rendered, `+` found.
    pub fn differences(&self) -> Vec<String> {
        let rendered = self.rendered().unwrap_or_default();
        let (expected, found): (Vec<&str>, Vec<&str>) =
            (rendered.lines().collect(), self.text.lines().collect());
        let missing = expected
            .iter()
            .filter(|line| !found.contains(line))
            .map(|line| format!("- {line}"));
        let added = found
            .iter()
            .filter(|line| !expected.contains(line))
            .map(|line| format!("+ {line}"));
        missing.chain(added).collect()
    }
}

/// Whether a text is a haproxy.cfg of this tool's, whatever its version, or of the script's, even edited by hand.
pub fn is_ours(text: &str) -> bool {
    text.starts_with(tuning::MARK) || parse(text).is_some()
}

/// The values that stand in the lines themselves.
struct Read {
    lb_port: Port,
    instance_port: Port,
    servers: Vec<Server>,
}

/// `None` where a value is missing. The first `bind` is LB_PORT's; the servers are those called `serverN`.
fn parse(text: &str) -> Option<Read> {
    let mut lb_port = None;
    let mut servers = Vec::new();
    let mut instance_port = None;
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        match words.next() {
            Some("bind") if lb_port.is_none() => {
                let port = words.next()?.strip_prefix("*:")?;
                lb_port = Some(Port::parse(port).ok()?);
            }
            Some("server") => {
                let number = words.next()?.strip_prefix("server")?.parse().ok()?;
                let (address, port) = words.next()?.rsplit_once(':')?;
                instance_port.get_or_insert(Port::parse(port).ok()?);
                let name = String::new();
                servers.push(Server {
                    number,
                    name,
                    address: address.to_owned(),
                });
            }
            _ => {}
        }
    }
    // As they would be rendered: a line too many, or in another place, is found out.
    servers.sort_by_key(|server| server.number);
    servers.dedup_by_key(|server| server.number);
    Some(Read {
        lb_port: lb_port?,
        instance_port: instance_port?,
        servers,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Found {
        let modern = text.contains("expose-fd") || text.contains("prometheus");
        Found::new(
            text.to_owned(),
            None,
            if modern { "haproxy:2.6" } else { "haproxy:1.7" },
        )
    }

    #[test]
    fn a_file_of_a_newer_vch_lb_is_not_misread() {
        let found = read("# vch-lb 7 SOMETHING=new\nglobal\n");
        assert_eq!((found.newer, found.config), (Some(7), None));
    }

    #[test]
    fn what_neither_tool_nor_script_wrote_is_not_ours() {
        let script = include_str!("../../tests/golden/default.cfg");
        for ours in [
            script.to_owned(),
            script.replace("mode http", "mode tcp"),
            format!("{script}listen stats\n\tbind *:9000\n"),
            "# vch-lb 7 SOMETHING=new\nglobal\n".to_owned(),
        ] {
            assert!(is_ours(&ours), "{ours}");
        }
        for foreign in [
            "my notes\n",
            "frontend shop\n\tbind *:443\nbackend shop\n\tserver app1 10.0.0.1:80\n",
            "global\n\tmaxconn 5\n",
        ] {
            assert!(!is_ours(foreign), "{foreign}");
        }
    }

    #[test]
    fn differences_are_told_line_by_line() {
        let text = include_str!("../../tests/golden/default.cfg").replace("mode http", "mode tcp");
        assert_eq!(read(&text).differences(), ["- \tmode http", "+ \tmode tcp"]);
    }

    #[test]
    fn what_was_rendered_is_read_back() {
        for text in [
            include_str!("../../tests/golden/default.cfg"),
            include_str!("../../tests/golden/ports.cfg"),
            include_str!("../../tests/golden/hand-over.cfg"),
            include_str!("../../tests/golden/everything.cfg"),
            include_str!("../../tests/golden/tcp.cfg"),
        ] {
            let found = read(text);
            assert_eq!(found.config.as_ref().unwrap().render().unwrap(), text);
            assert!(!found.edited());
        }
    }

    #[test]
    fn the_numbers_of_instances_are_read_back() {
        let found = read(include_str!("../../tests/golden/ports.cfg"));
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
            assert!(read(&edited).edited(), "{edited}");
        }
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_text_never_panics(text: String) {
            let _ = read(&text).differences();
        }

        #[test]
        fn arbitrary_lines_of_known_words_never_panic(
            lines in proptest::collection::vec("(bind|server|stats|server server1)? ?[*:a-z0-9 \t-]{0,12}", 0..8)
        ) {
            let _ = read(&lines.join("\n")).edited();
        }
    }
}
