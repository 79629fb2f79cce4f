//! Names, images, ports and counts that are known to be well-formed: the grammar of each stands here once.
//!
//! A value of one of these types can neither be taken for an option by docker nor break out of a line of haproxy.cfg.

use std::fmt;

use crate::haproxy::versions::{self, Version};

/// The longest label that DNS knows: the load balancer finds instances by name.
const DNS_LABEL: usize = 63;

macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $check:path) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub struct $name(String);

        impl $name {
            /// The error is why `text` is none, a fragment without a period.
            pub fn parse(text: &str) -> Result<Self, String> {
                $check(text).map(|()| Self(text.to_owned()))
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text!(
    /// A container's name, by Docker's grammar.
    ContainerName,
    check_container
);
text!(
    /// A network's name, by Docker's grammar.
    NetworkName,
    check_network
);
text!(
    /// What instances' names begin with: PREFIX-1 and PREFIX-net are valid too, and short enough for DNS.
    Prefix,
    check_prefix
);
text!(
    /// An image reference: `[REGISTRY[:PORT]/]NAME[:TAG][@DIGEST]`, or an image's ID.
    ImageRef,
    check_image
);

/// Docker: a letter or digit, then letters, digits, `_`, `.` and `-`.
fn check_name(text: &str, what: &str) -> Result<(), String> {
    let mut chars = text.chars();
    match chars.next() {
        None => return Err(format!("{what} can't be empty")),
        Some(first) if !first.is_ascii_alphanumeric() => {
            return Err(format!("{what} begins with a letter or a digit"));
        }
        Some(_) => {}
    }
    match chars.find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))) {
        Some(_) => Err(format!(
            "{what} holds letters, digits, `_`, `.` and `-` only"
        )),
        None => Ok(()),
    }
}

fn check_container(text: &str) -> Result<(), String> {
    check_name(text, "a container's name")?;
    if text.len() < 2 {
        return Err("docker wants at least two characters in a container's name".into());
    }
    Ok(())
}

fn check_network(text: &str) -> Result<(), String> {
    check_name(text, "a network's name")?;
    match text {
        "host" | "none" => {
            Err("a load balancer on it could not be connected to the instances' network".into())
        }
        _ => Ok(()),
    }
}

fn check_prefix(text: &str) -> Result<(), String> {
    check_name(text, "a prefix of containers' names")?;
    // The longest instance's name is checked with the count; `-net` must fit in any case.
    if text.len() + "-net".len() > DNS_LABEL {
        return Err(format!(
            "with `-net` behind it, it must not be longer than {DNS_LABEL} characters"
        ));
    }
    Ok(())
}

/// The grammar of `distribution/reference`, without its corner cases.
fn check_image(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("an image's name can't be empty".into());
    }
    if text.starts_with('-') {
        return Err(
            "an image's name can't begin with a dash: docker would take it for an option".into(),
        );
    }
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err("an image's name holds no blanks".into());
    }
    if text.len() > 512 {
        return Err("an image's name is not longer than 512 characters".into());
    }
    let (named, digest) = match text.split_once('@') {
        Some((named, digest)) => (named, Some(digest)),
        None => (text, None),
    };
    if digest.is_some_and(|digest| !is_digest(digest)) {
        return Err(
            "what follows `@` is a digest such as `sha256:` and 64 hexadecimal digits".into(),
        );
    }
    let (path, tag) = split_tag(named);
    if tag.is_some_and(|tag| !is_tag(tag)) {
        return Err(
            "a tag holds letters, digits, `_`, `.` and `-`, and begins with none of the last two"
                .into(),
        );
    }
    let repository = match path.split_once('/') {
        Some((registry, rest)) if is_registry(registry) => rest,
        _ => path,
    };
    if repository.chars().any(|c| c.is_ascii_uppercase()) {
        return Err("docker wants an image's name in lower case".into());
    }
    if repository.split('/').all(is_component) {
        Ok(())
    } else {
        Err("not an image's name: [REGISTRY[:PORT]/]NAME[:TAG][@DIGEST]".into())
    }
}

/// A colon behind the last slash separates the tag; others belong to the registry's port.
pub(super) fn split_tag(named: &str) -> (&str, Option<&str>) {
    match named.rsplit_once(':') {
        Some((path, tag)) if !tag.contains('/') => (path, Some(tag)),
        _ => (named, None),
    }
}

/// Docker's rule: a first component with a dot, a colon or capitals, or `localhost`, is a registry.
fn is_registry(component: &str) -> bool {
    let looks_like = component.contains(['.', ':', '[']) || component == "localhost";
    looks_like
        && component
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']'))
}

fn is_component(component: &str) -> bool {
    let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    component.starts_with(edge)
        && component.ends_with(edge)
        && component
            .chars()
            .all(|c| edge(c) || matches!(c, '_' | '.' | '-'))
}

fn is_tag(tag: &str) -> bool {
    tag.len() <= 128
        && tag.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && tag
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
}

fn is_digest(digest: &str) -> bool {
    digest.split_once(':').is_some_and(|(algorithm, hex)| {
        !algorithm.is_empty()
            && algorithm
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '.' | '_' | '-'))
            && hex.len() >= 32
            && hex.chars().all(|c| c.is_ascii_hexdigit())
    })
}

impl ImageRef {
    /// HAProxy's version as the tag of an official image tells it, from whatever registry: `haproxy:2.6-alpine` → (2, 6).
    /// `None` where it doesn't: the tag of another image is no version of HAProxy's.
    pub fn version_in_tag(&self) -> Option<Version> {
        let named = self
            .0
            .split_once('@')
            .map_or(self.0.as_str(), |(named, _)| named);
        let (path, tag) = split_tag(named);
        let official = path.rsplit('/').next() == Some("haproxy");
        versions::parse(tag.filter(|_| official)?)
    }

    /// Whether this is the last part of its path, whatever registry and tag it has.
    pub fn is_called(&self, name: &str) -> bool {
        let named = self.0.split('@').next().unwrap_or_default();
        split_tag(named).0.rsplit('/').next() == Some(name)
    }
}

/// A TCP port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Port(u16);

impl Port {
    pub fn parse(text: &str) -> Result<Self, String> {
        match whole_number(text) {
            Some(port @ 1..=65_535) => Ok(Self(u16::try_from(port).unwrap_or_default())),
            _ => Err("a port is a whole number from 1 to 65535".into()),
        }
    }

    pub fn get(self) -> u16 {
        self.0
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How many instances a service has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Count(u32);

impl Count {
    pub const MAX: u32 = 10_000;

    pub fn parse(text: &str) -> Result<Self, String> {
        match whole_number(text) {
            Some(count @ 1..=10_000) => Ok(Self(count)),
            Some(0) => Err("a service has at least one instance; `down` takes it down".into()),
            _ => Err(format!(
                "the number of instances is a whole number from 1 to {}",
                Self::MAX
            )),
        }
    }

    pub fn get(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Digits only: `+5`, ` 5` and `5.0` are none.
fn whole_number(text: &str) -> Option<u32> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse().ok()
    } else {
        None
    }
}

/// An instance's number, from 1 on: the N of PREFIX-N.
pub type Number = u32;

/// What identifies a service on an endpoint, and all the names that follow from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    pub prefix: Prefix,
    pub lb: ContainerName,
}

impl Names {
    /// PREFIX-N.
    pub fn instance(&self, number: Number) -> String {
        format!("{}-{number}", self.prefix)
    }

    pub fn instances(&self, numbers: &[Number]) -> Vec<String> {
        numbers
            .iter()
            .map(|&number| self.instance(number))
            .collect()
    }

    /// PREFIX-net.
    pub fn network(&self) -> String {
        format!("{}-net", self.prefix)
    }

    /// What the load balancer is called while another one takes its place.
    pub fn lb_aside(&self) -> String {
        format!("{}-before", self.lb)
    }

    /// The number of the instance called `name`, if it can be one of ours: `web-01` and `web-0` are not.
    pub fn number_of(&self, name: &str) -> Option<Number> {
        let digits = name.strip_prefix(self.prefix.as_str())?.strip_prefix('-')?;
        let number = whole_number(digits).filter(|&number| number > 0)?;
        (number.to_string() == digits).then_some(number)
    }

    /// Whether `name` is one that a container of this service can have.
    pub fn may_be_ours(&self, name: &str) -> bool {
        name == self.lb.as_str() || name == self.lb_aside() || self.number_of(name).is_some()
    }

    /// A regular expression for `docker ps --filter name=`: it matches every name of ours, and few others.
    pub fn pattern(&self) -> String {
        let escaped = |name: &str| name.replace('.', r"\.");
        let lb = escaped(self.lb.as_str());
        format!(
            "^({}-[0-9]+|{lb}|{lb}-before)$",
            escaped(self.prefix.as_str())
        )
    }

    /// Whether the name of the highest of `count` instances still fits into DNS.
    pub fn fits(&self, highest: usize) -> Result<(), String> {
        let name = format!("{}-{highest}", self.prefix);
        if name.len() > DNS_LABEL {
            return Err(format!(
                "`{name}` would have {} characters, but DNS, by which the load balancer finds instances, ends at {DNS_LABEL}",
                name.len()
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_dockers_grammar() {
        for name in ["lb", "a1", "Web_1.x-y", "9a"] {
            assert!(ContainerName::parse(name).is_ok(), "{name}");
        }
        for name in [
            "", "a", "-lb", ".lb", "_lb", "l b", "l\nb", "lb:x", "lb/x", "ü1", "--rm",
        ] {
            assert!(ContainerName::parse(name).is_err(), "{name}");
        }
        assert!(Prefix::parse("w").is_ok());
        assert!(Prefix::parse(&"w".repeat(59)).is_ok());
        assert!(Prefix::parse(&"w".repeat(60)).is_err());
        for name in ["host", "none", "-x", ""] {
            assert!(NetworkName::parse(name).is_err(), "{name}");
        }
        assert!(NetworkName::parse("routable-dmz.v2").is_ok());
    }

    #[test]
    fn images_follow_the_reference_grammar() {
        let digest = format!("httpd@sha256:{}", "0a".repeat(32));
        let id = format!("sha256:{}", "0a".repeat(32));
        for image in [
            "httpd",
            "httpd:2.4",
            "library/httpd",
            "registry.example.com:5000/team/app_x:v1.2-rc.1",
            "localhost/app",
            "localhost:5000/app:Tag",
            "[::1]:5000/app",
            "Registry.Example.com/app",
            digest.as_str(),
            id.as_str(),
            "0123456789ab",
        ] {
            assert_eq!(
                ImageRef::parse(image).map(|i| i.to_string()),
                Ok(image.to_owned()),
                "{image}"
            );
        }
        for image in [
            "",
            "-d",
            "--privileged",
            "a b",
            "a\tb",
            "a\nb",
            "HTTPD",
            "httpd:",
            "httpd:-x",
            "httpd:a b",
            "a//b",
            "/a",
            "a/",
            "a@sha256:12",
            "a;b",
            "$(x)",
            "a:b:c",
        ] {
            assert!(ImageRef::parse(image).is_err(), "{image}");
        }
    }

    #[test]
    fn the_version_of_haproxy_is_read_from_the_tag() {
        for (image, version) in [
            ("haproxy:1.7", Some((1, 7))),
            ("haproxy:1.7.14-alpine", Some((1, 7))),
            ("reg.example:5000/x/haproxy:2.10", Some((2, 10))),
            (
                "haproxy:2.6@sha256:00000000000000000000000000000000",
                Some((2, 6)),
            ),
            ("haproxy:lts", None),
            ("haproxy", None),
            ("reg.example:5000/haproxy", None),
            ("haproxy:2", None),
            ("library/haproxy:2.8", Some((2, 8))),
            ("docker.io/library/haproxy:2.8", Some((2, 8))),
            ("mirror.example/hub/library/haproxy:3.0.11", Some((3, 0))),
            ("team/lb:1.4", None),
            ("haproxytech/haproxy-debian:2.6", None),
            ("reg.example/haproxy/lb:2.6", None),
            ("haproxy-2.6", None),
        ] {
            assert_eq!(
                ImageRef::parse(image).unwrap().version_in_tag(),
                version,
                "{image}"
            );
        }
    }

    #[test]
    fn numbers_are_plain_digits_in_range() {
        for text in ["1", "80", "65535"] {
            assert_eq!(Port::parse(text).unwrap().to_string(), text);
        }
        for text in [
            "",
            "0",
            "65536",
            "-1",
            "+80",
            " 80",
            "80 ",
            "8e1",
            "0x50",
            "99999999999",
            "٣",
        ] {
            assert!(Port::parse(text).is_err(), "{text}");
        }
        assert!(Count::parse("1").is_ok() && Count::parse("10000").is_ok());
        for text in ["0", "10001", "-3", "three", "3.0", ""] {
            assert!(Count::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn only_canonical_names_are_instances() {
        let names = Names {
            prefix: Prefix::parse("web").unwrap(),
            lb: ContainerName::parse("lb").unwrap(),
        };
        for (name, number) in [
            ("web-1", Some(1)),
            ("web-10", Some(10)),
            ("web-0", None),
            ("web-01", None),
            ("web-", None),
            ("web-net", None),
            ("web-2-1", None),
            ("webs-1", None),
            ("web-99999999999", None),
        ] {
            assert_eq!(names.number_of(name), number, "{name}");
        }
        let dotted = Names {
            prefix: Prefix::parse("a.b").unwrap(),
            ..names
        };
        assert_eq!(dotted.pattern(), r"^(a\.b-[0-9]+|lb|lb-before)$");
    }

    proptest::proptest! {
        #[test]
        fn nothing_that_is_accepted_is_an_option_or_breaks_a_line(text: String) {
            let accepted = [
                ContainerName::parse(&text).is_ok(),
                NetworkName::parse(&text).is_ok(),
                Prefix::parse(&text).is_ok(),
                ImageRef::parse(&text).is_ok(),
            ];
            if accepted.contains(&true) {
                assert!(!text.starts_with('-'));
                assert!(text.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '#' | '"' | '\'' | '\\' | '$')));
            }
        }
    }
}
