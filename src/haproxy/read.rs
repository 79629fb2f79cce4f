//! The text of a haproxy.cfg, read back from a load balancer: ours, the script's, or edited by hand. Pure.

use super::versions::Version;
use super::{Config, Server, former};
use crate::digest;
use crate::error::printable;
use crate::service::head::{self, BadLine, Head};
use crate::service::names::Port;

/// What lies where a file belongs, and is none that can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Odd {
    Directory,
    /// What docker told of it, so that it can be put back: nothing but a link or a pipe.
    Link(Vec<u8>),
    Special(Vec<u8>),
    TooLarge,
}

impl Odd {
    /// That it is there, in words that follow on a container's name.
    pub fn words(&self, name: &str) -> String {
        let what = match self {
            Self::Directory => "a directory",
            Self::Link(_) => "a symbolic link",
            Self::Special(_) => "a pipe or a device",
            Self::TooLarge => "more than 16 MiB",
        };
        format!("has {what} where its {name} belongs")
    }

    /// Docker never puts a file in the place of a directory.
    pub fn can_be_replaced(&self) -> bool {
        *self != Self::Directory
    }

    /// The archive that puts it back.
    pub fn archive(&self) -> Option<&[u8]> {
        match self {
            Self::Link(archive) | Self::Special(archive) => Some(archive),
            Self::Directory | Self::TooLarge => None,
        }
    }
}

/// What a load balancer's file was found to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub text: String,
    /// `None`: not a file that this tool or the script wrote.
    pub config: Option<Config>,
    /// What this vch-lb does not know of it, in words, where a newer one wrote it.
    pub newer: Option<String>,
    /// The admin's own template, where one lies beside it.
    pub template: Option<String>,
    /// The certificate and key that lie beside it, where they were asked for.
    pub cert: Option<Vec<u8>>,
    /// Why the template beside it can't render it again, in words, where it was rendered from one.
    pub broken: Option<String>,
    /// What lies there in place of a file.
    pub odd: Option<Odd>,
    /// Whether the template beside it is known to be another one than it was rendered from.
    pub other_template: bool,
    /// Whether somebody else's hand was in it.
    edited: bool,
}

impl Found {
    /// `template` is the text that was found beside the file; `version` that of the HAProxy whose it is.
    pub fn new(text: String, template: Option<String>, version: Option<Version>) -> Self {
        let head = Head::read(&text);
        let newer = match &head {
            Err(BadLine::Newer(what)) => Some(printable(what)),
            _ => None,
        };
        let read = head.ok().and_then(|head| {
            let template = template.clone().filter(|_| head.tuning.template);
            let other_template = head.whole == Some(true)
                && head
                    .template
                    .zip(template.as_ref())
                    .is_some_and(|(told, there)| digest::of(there.as_bytes()) != told);
            let read = parse(&text)?;
            let config = Config {
                lb_port: read.lb_port,
                instance_port: read.instance_port,
                version,
                tuning: head.tuning,
                template,
                servers: read.servers,
            };
            let whole = head
                .whole
                .unwrap_or_else(|| former::texts(&config, head.line).any(|former| former == text));
            Some((config, (whole, other_template)))
        });
        let (config, whole) = read.unzip();
        let (whole, other_template) = whole.unwrap_or_default();
        Self {
            broken: config.as_ref().and_then(broken),
            other_template,
            edited: !whole,
            text,
            config,
            newer,
            template,
            cert: None,
            odd: None,
        }
    }

    /// No file at all.
    pub fn odd(odd: Odd) -> Self {
        Self {
            odd: Some(odd),
            ..Self::new(String::new(), None, None)
        }
    }

    /// Whether it is not what a vch-lb, this one or an earlier one, or the script wrote: somebody else's hand was in it.
    pub fn edited(&self) -> bool {
        self.edited
    }

    /// Whether another version of vch-lb wrote it, and this one would write something else for the same service.
    pub fn outdated(&self) -> bool {
        let rendered = self.config.as_ref().map(Config::render);
        !self.edited
            && !self.other_template
            && self.broken.is_none()
            && rendered.is_some_and(|rendered| rendered.is_ok_and(|text| text != self.text))
    }

    /// The lines in which the file differs from what its own values render to: `-` rendered, `+` found. Of what several
    /// versions would have written, the nearest counts.
    pub fn differences(&self) -> Vec<String> {
        let Some(config) = &self.config else {
            return differences("", &self.text);
        };
        let line = self.text.lines().next();
        let line = line.filter(|line| line.starts_with(head::MARK));
        let present = config.render().ok();
        let all = present.into_iter().chain(former::texts(config, line));
        all.map(|rendered| differences(&rendered, &self.text))
            .min_by_key(Vec::len)
            .unwrap_or_default()
    }
}

/// Why `config`, as it was read, can't be rendered again.
fn broken(config: &Config) -> Option<String> {
    match (&config.template, config.tuning.template) {
        (None, true) => Some("it is not there".into()),
        (Some(_), _) => config.render().err().map(|why| printable(&why.to_string())),
        (None, false) => None,
    }
}

/// The lines in which `found` differs from `expected`, which it lacks and which it has more.
fn differences(expected: &str, found: &str) -> Vec<String> {
    let lines = |text: &str| text.lines().map(head::readable).collect::<Vec<String>>();
    let (expected, found) = (lines(expected), lines(found));
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

/// Whether a text is a haproxy.cfg of this tool's, whatever its version, or of the script's, even edited by hand.
pub fn is_ours(text: &str) -> bool {
    text.starts_with(head::MARK) || parse(text).is_some()
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
            Some(if modern { (2, 6) } else { (1, 7) }),
        )
    }

    #[test]
    fn a_file_of_a_newer_vch_lb_is_not_misread() {
        let found = read("# vch-lb 7 SOMETHING=new\nglobal\n");
        assert_eq!(found.newer.as_deref(), Some("settings version 7"));
        assert_eq!(found.config, None);
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

    /// The files that vch-lb wrote while the settings line had version 1, with the versions of HAProxy.
    const FORMER: [(&str, (u32, u32)); 5] = [
        (include_str!("../../tests/golden/default.cfg"), (1, 7)),
        (include_str!("../../tests/golden/ports.cfg"), (1, 7)),
        (
            include_str!("../../tests/golden/former/1/hand-over.cfg"),
            (2, 6),
        ),
        (
            include_str!("../../tests/golden/former/1/everything.cfg"),
            (2, 6),
        ),
        (include_str!("../../tests/golden/former/1/tcp.cfg"), (1, 7)),
    ];

    #[test]
    fn what_an_earlier_vch_lb_wrote_is_ours() {
        for (text, version) in FORMER {
            let found = Found::new(text.to_owned(), None, Some(version));
            assert!(!found.edited(), "{text}");
            assert_eq!(found.differences(), Vec::<String>::new(), "{text}");
            // And what this one makes of it is, too.
            let now = found.config.as_ref().unwrap().render().unwrap();
            assert_eq!(found.outdated(), now != text);
            let now = Found::new(now, None, Some(version));
            assert!(!now.edited() && !now.outdated(), "{text}");
            assert_eq!(now.config, found.config);
        }
    }

    #[test]
    fn what_an_earlier_vch_lb_wrote_is_ours_whatever_the_version() {
        for (text, _) in FORMER {
            for version in [None, Some((1, 4)), Some((1, 8)), Some((3, 3))] {
                let found = Found::new(text.to_owned(), None, version);
                assert!(!found.edited(), "{version:?}: {text}");
            }
        }
    }

    #[test]
    fn a_hand_in_what_an_earlier_vch_lb_wrote_is_seen() {
        for (text, version) in FORMER {
            let read = |text: String| Found::new(text, None, Some(version));
            for (from, to) in [
                ("maxconn", "maxcon"),
                ("timeout connect", "timeout  connect"),
                ("\n", "\r\n"),
            ] {
                let found = read(text.replace(from, to));
                assert!(found.edited() && !found.outdated(), "{}", found.text);
            }
            assert!(read(format!("# notes\n{text}")).edited());
            assert!(read(format!("{text}\n")).edited());
        }
    }

    #[test]
    fn what_an_earlier_vch_lb_rendered_from_an_own_template_is_ours() {
        let body = "listen x\n\tbind *:{{lb_port}}\n{{#if hand_over}}\n\t# hands over\n{{/if}}\n{{#each servers}}\n\tserver \
                    server{{number}} {{address}}:{{../instance_port}}\n{{/each}}\n";
        let rendered = "listen x\n\tbind *:80\n\t# hands over\n\tserver server1 web-1:80\n";
        for template in [
            body.to_owned(),
            format!("{{{{#if settings}}}}\n{{{{settings}}}}\n{{{{/if}}}}\n{body}"),
        ] {
            for line in [
                "# vch-lb 1 TEMPLATE=yes",
                "# vch-lb 1 LB_MODE=tcp TEMPLATE=yes",
            ] {
                let text = format!("{line}\n{rendered}");
                let read = |template| Found::new(text.clone(), template, Some((2, 6)));
                assert!(!read(Some(template.clone())).edited());
                // With another one beside it, or none, nobody can tell.
                assert!(read(Some(template.replace("\tbind", "bind"))).edited());
                assert!(read(None).broken.is_some());
            }
        }
    }

    #[test]
    fn a_file_of_another_version_is_known_by_its_checksum() {
        let own = Config::by_name(&crate::service::tests::spec(&[("LB_MODE", "tcp")]), &[1, 2]);
        let text = own.render().unwrap();
        let body = head::without(&text).replace("timeout", "# A directive of tomorrow\n\ttimeout");
        let of_tomorrow = head::put(&own.tuning, None, &body);
        let found = read(&of_tomorrow);
        assert!(!found.edited() && found.outdated());
        assert_eq!(found.config.unwrap().tuning, own.tuning);
        let edited = read(&of_tomorrow.replace("mode tcp", "mode http"));
        assert!(edited.edited() && !edited.outdated());
    }

    #[test]
    fn a_checksum_is_not_told_as_a_difference() {
        let text = include_str!("../../tests/golden/tcp.cfg").replace("mode tcp", "mode http");
        assert_eq!(read(&text).differences(), ["- \tmode tcp", "+ \tmode http"]);
    }

    #[test]
    fn nothing_goes_without_the_template_that_renders_it() {
        let mut own = crate::service::tests::spec(&[("TEMPLATE", "own.hbs")]);
        own.template = Some("listen x\n\tbind *:80\n\tserver server1 web-1:80\n".into());
        let text = Config::by_name(&own, &[1]).render().unwrap();
        assert!(!Found::new(text.clone(), own.template, Some((1, 7))).edited());
        let found = Found::new(text, None, Some((1, 7)));
        assert_eq!(found.broken.as_deref(), Some("it is not there"));
        assert!(!found.outdated());
    }

    #[test]
    fn another_template_than_the_file_was_rendered_from_is_seen() {
        let mut own = crate::service::tests::spec(&[("TEMPLATE", "own.hbs")]);
        let template = "listen x\n\tbind *:80\n\tserver server1 web-1:80\n";
        own.template = Some(template.into());
        let text = Config::by_name(&own, &[1]).render().unwrap();
        let read = |text: &str, template: &str| {
            Found::new(text.to_owned(), Some(template.to_owned()), Some((1, 7)))
        };
        let found = read(&text, template);
        assert!(!found.other_template && !found.outdated());
        let found = read(&text, &template.replace("listen x", "listen y"));
        assert!(found.other_template && !found.edited() && !found.outdated());
        // Nothing is said where the file says nothing, or is not what was written.
        let untold = head::put(&own.tuning, None, head::without(&text));
        for text in [untold, text.replace("listen x", "listen z")] {
            assert!(!read(&text, "listen y\n").other_template, "{text}");
        }
    }

    #[test]
    fn a_template_that_is_beyond_the_limits_is_told() {
        let mut own = crate::service::tests::spec(&[("TEMPLATE", "own.hbs")]);
        own.template = Some("listen x\n\tbind *:80\n\tserver server1 web-1:80\n".into());
        let text = Config::by_name(&own, &[1]).render().unwrap();
        for (template, why) in [
            (
                "{{#*inline \"x\"}}{{> x}}{{/inline}}{{> x}}".to_owned(),
                "partials",
            ),
            ("{{#each servers}}".repeat(40), "line 1"),
            ("{{#if check}}".repeat(20_000), "more than 2000"),
            ("{{nothing}}".into(), "there is no variable `nothing`"),
        ] {
            for text in [text.clone(), text.replace("2 sum=", "1 sum=")] {
                let found = Found::new(text, Some(template.clone()), Some((1, 7)));
                if found.config.is_some() {
                    let broken = found.broken.unwrap();
                    assert!(broken.contains(why), "{broken}");
                }
            }
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
