//! The comment line at the head of a haproxy.cfg: whose the file is, whether it is as it was written, and the settings that
//! can't be derived from anything else. Pure.
//!
//! `# vch-lb 2 sum=<digest> NAME=value …`: the digest is that of everything behind it, settings and text. So a file that any
//! vch-lb of this version wrote is known as such, whatever the present one would write. Where it was rendered from a template
//! of the admin's, `template=<digest>` before the settings says from which: the template lies beside the file, where it may be
//! edited, too. Lines of earlier times lack that; nothing is said of the template then. Version 1 had no checksum
//! (`haproxy::former` knows what it wrote); the file of the script has no line at all, and never gets one.

use super::tuning::Tuning;
use crate::digest;

/// The version of the line; it changes when an older vch-lb would misread it.
const VERSION: u32 = 2;
/// The version that had no checksum yet.
const WITHOUT_SUM: u32 = 1;
/// What the line begins with, before its version.
pub const MARK: &str = "# vch-lb ";
/// What comes before the checksum, behind the version.
const SUM: &str = "sum=";

/// What comes before the digest of the template, behind the checksum.
const TEMPLATE: &str = " template=";

/// Why a line at the head of a haproxy.cfg can't be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadLine {
    /// Written by a vch-lb that knows more than this one: what this one does not know, in words.
    Newer(String),
    Broken(String),
}

/// What the head of a haproxy.cfg says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head<'a> {
    /// The line itself; `None`: the file has none.
    pub line: Option<&'a str>,
    /// The settings; the defaults where there is no line.
    pub tuning: Tuning,
    /// Whether the file is as it was written, by its checksum; `None` where there is none.
    pub whole: Option<bool>,
    /// The digest of the template that the file was rendered from, where it says so.
    pub template: Option<&'a str>,
}

/// `text` with the line that carries `tuning` at its head, and a digest of the admin's own template that it was rendered
/// from.
pub fn put(tuning: &Tuning, template: Option<&str>, text: &str) -> String {
    let settings = tuning.assignments();
    let blank = if settings.is_empty() { "" } else { " " };
    let template = template.map_or(String::new(), |own| {
        format!("{TEMPLATE}{}", digest::of(own.as_bytes()))
    });
    let signed = format!("{template}{blank}{settings}\n{text}");
    let sum = digest::of(signed.as_bytes());
    format!("{MARK}{VERSION} {SUM}{sum}{signed}")
}

/// The line as a template may put it at its own head: without the checksum, which can't be known there.
pub fn unsigned(tuning: &Tuning) -> String {
    format!("{MARK}{VERSION} {}", tuning.assignments())
}

/// `text` without the line at its head, if it has one.
pub fn without(text: &str) -> &str {
    if !text.starts_with(MARK) {
        return text;
    }
    text.split_once('\n').map_or("", |(_, rest)| rest)
}

/// A line of a haproxy.cfg without its digests, for people: they differ wherever anything does.
pub fn readable(line: &str) -> String {
    match line.split_once(SUM) {
        Some((version, rest)) if version.starts_with(MARK) => {
            let settings = rest.get(digest::DIGITS..).unwrap_or_default();
            let (_, settings) = split_template(settings);
            format!("{version}{}", settings.trim_start())
        }
        _ => line.to_owned(),
    }
}

/// The digest of the template at the beginning of what is signed, and what is behind it.
fn split_template(signed: &str) -> (Option<&str>, &str) {
    let digest = signed
        .strip_prefix(TEMPLATE)
        .and_then(|rest| rest.split_at_checked(digest::DIGITS))
        .filter(|(digest, rest)| {
            digest.bytes().all(|byte| byte.is_ascii_hexdigit())
                && (rest.is_empty() || rest.starts_with([' ', '\r', '\n']))
        });
    match digest {
        Some((digest, rest)) => (Some(digest), rest),
        None => (None, signed),
    }
}

impl<'a> Head<'a> {
    /// Reads the head of `config`, the text of a haproxy.cfg.
    pub fn read(config: &'a str) -> Result<Self, BadLine> {
        let Some(behind_mark) = config.strip_prefix(MARK) else {
            return Ok(Self {
                line: None,
                tuning: Tuning::default(),
                whole: None,
                template: None,
            });
        };
        let broken = |why: &str| BadLine::Broken(why.to_owned());
        let line = config.lines().next().unwrap_or_default();
        let version = behind_mark.split([' ', '\n', '\r']).next();
        let version = version.unwrap_or_default();
        let behind_version = behind_mark[version.len()..].trim_start_matches(' ');
        let (whole, settings) = match version.parse() {
            Ok(WITHOUT_SUM) => (None, behind_version),
            Ok(VERSION) => {
                let behind_sum = behind_version.strip_prefix(SUM);
                let (sum, signed) = behind_sum
                    .and_then(|rest| rest.split_at_checked(digest::DIGITS))
                    .filter(|(_, signed)| signed.starts_with([' ', '\r', '\n']))
                    .ok_or_else(|| broken("it has no checksum"))?;
                (Some(digest::of(signed.as_bytes()) == sum), signed)
            }
            Ok(newer) if newer > VERSION => {
                return Err(BadLine::Newer(format!("settings version {newer}")));
            }
            _ => return Err(broken("it has no version")),
        };
        let (template, settings) = match whole {
            Some(_) => split_template(settings),
            None => (None, settings),
        };
        let settings = settings.lines().next().unwrap_or_default();
        // Nobody but a vch-lb writes a checksum that is right.
        let bad = |why| match whole {
            Some(true) => BadLine::Newer(why),
            _ => BadLine::Broken(why),
        };
        let tuning = Tuning::from_assignments(settings).map_err(bad)?;
        Ok(Self {
            line: Some(line),
            tuning,
            whole,
            template,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::tests::spec;
    use crate::settings;

    const TEXT: &str = "global\n\tmaxconn 256\n";

    fn whole(config: &str) -> Option<bool> {
        Head::read(config).ok().and_then(|head| head.whole)
    }

    #[test]
    fn a_file_without_a_line_has_the_defaults() {
        let head = Head::read(TEXT).unwrap();
        assert_eq!((head.line, head.whole), (None, None));
        assert_eq!(head.tuning, Tuning::default());
    }

    #[test]
    fn what_was_put_comes_back() {
        let given = spec(&[
            ("HEALTH_CHECK", "http:/health?a=b,200"),
            ("LB_ARGS", "--ip 10.0.0.9 --label 'a=b c'"),
            ("TLS_CERT", "/some/where.pem"),
        ]);
        for tuning in [given.tuning, Tuning::default()] {
            let config = put(&tuning, None, TEXT);
            let head = Head::read(&config).unwrap();
            assert_eq!((head.tuning, head.whole), (tuning, Some(true)), "{config}");
            assert_eq!(without(&config), TEXT);
        }
        assert_eq!(
            put(&spec(&[("LB_MODE", "tcp")]).tuning, None, TEXT),
            format!("# vch-lb 2 sum=27eb181ef7232b09 LB_MODE=tcp\n{TEXT}")
        );
    }

    #[test]
    fn the_template_is_told_by_its_digest() {
        let tuning = spec(&[("LB_MODE", "tcp"), ("TEMPLATE", "own.hbs")]).tuning;
        let own = "listen x\n";
        let config = put(&tuning, Some(own), TEXT);
        let head = Head::read(&config).unwrap();
        assert_eq!(head.template, Some(digest::of(own.as_bytes()).as_str()));
        assert_eq!((&head.tuning, head.whole), (&tuning, Some(true)));
        let line = config.lines().next().unwrap();
        assert_eq!(readable(line), "# vch-lb 2 LB_MODE=tcp TEMPLATE=yes");
        // As it was written until then.
        let config = put(&tuning, None, TEXT);
        let head = Head::read(&config).unwrap();
        assert_eq!((head.template, head.whole), (None, Some(true)));
        for broken in [
            "template=12 ",
            "template=1234567890abcdeg ",
            "template=1234567890abcdefx ",
        ] {
            let line = format!("# vch-lb 2 sum=1234567890abcdef {broken}LB_MODE=tcp");
            assert!(Head::read(&line).is_err(), "{broken}");
        }
    }

    #[test]
    fn whatever_is_edited_is_seen() {
        let config = put(&spec(&[("LB_MODE", "tcp")]).tuning, None, TEXT);
        for edited in [
            config.replace("256", "257"),
            config.replace("LB_MODE=tcp", "LB_MODE=http"),
            config.replace(" LB_MODE=tcp", ""),
            config.trim_end().to_owned(),
            format!("{config}\n"),
            config.replace('\n', "\r\n"),
            config.replacen("sum=", "sum=0", 1),
        ] {
            assert_ne!(whole(&edited), Some(true), "{edited}");
        }
    }

    #[test]
    fn the_line_of_the_first_version_has_no_checksum() {
        for (line, health) in [
            ("# vch-lb 1 HEALTH_CHECK=http:/", "http:/"),
            ("# vch-lb 1", "none"),
        ] {
            let config = format!("{line}\n{TEXT}");
            let head = Head::read(&config).unwrap();
            assert_eq!((head.line, head.whole), (Some(line), None));
            assert_eq!(head.tuning.text(settings::HEALTH_CHECK), health);
        }
    }

    #[test]
    fn a_line_of_a_newer_version_is_not_misread() {
        assert_eq!(
            Head::read("# vch-lb 3 X=y"),
            Err(BadLine::Newer("settings version 3".into()))
        );
        let signed = |settings: &str| {
            let signed = format!(" {settings}\n{TEXT}");
            format!("# vch-lb 2 sum={}{signed}", digest::of(signed.as_bytes()))
        };
        assert!(Head::read(&signed("LB_MODE=tcp")).is_ok());
        // The version is the same, but it has a setting, or a value, that came later.
        for newer in ["FOO=1", "LB_MODE=quic"] {
            let read = Head::read(&signed(newer)).map(drop);
            assert!(matches!(read, Err(BadLine::Newer(_))), "{newer}: {read:?}");
        }
    }

    #[test]
    fn a_broken_line_is_nobodys() {
        for broken in [
            "# vch-lb x",
            "# vch-lb ",
            "# vch-lb 1 FOO=1",
            "# vch-lb 1 LB_MODE=ftp",
            "# vch-lb 1 'x",
            "# vch-lb 0 LB_MODE=tcp",
            "# vch-lb 2",
            "# vch-lb 2 LB_MODE=tcp",
            "# vch-lb 2 sum=12",
            "# vch-lb 2 sum=1234567890abcdef FOO=1",
            "# vch-lb 2 sum=1234567890abcdé",
            "# vch-lb 2 sum=0000000000000000LB_MODE=tcp",
        ] {
            let read = Head::read(broken).map(drop);
            assert!(
                matches!(read, Err(BadLine::Broken(_))),
                "{broken}: {read:?}"
            );
        }
    }

    #[test]
    fn people_are_shown_the_settings_without_the_checksum() {
        for (line, shown) in [
            ("# vch-lb 2 sum=1234567890abcdef A=b", "# vch-lb 2 A=b"),
            ("# vch-lb 2 sum=12", "# vch-lb 2 "),
            ("\tserver sum=1", "\tserver sum=1"),
        ] {
            assert_eq!(readable(line), shown);
        }
    }

    #[test]
    fn every_setting_that_travels_comes_back() {
        let config = put(&Tuning::default(), None, TEXT);
        let tuning = Head::read(&config).unwrap().tuning;
        for setting in settings::travelling() {
            // A file is about one endpoint, where it has been decided.
            let default = match setting.name {
                settings::SERVER_ADDRESS => "name",
                _ => setting.default,
            };
            assert_eq!(tuning.text(setting.name), default);
        }
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_heads_never_panic(text: String) {
            let _ = Head::read(&text);
            let _ = readable(&text);
            for version in [1, 2, 3] {
                let _ = Head::read(&format!("# vch-lb {version} {text}"));
            }
            let _ = Head::read(&format!("# vch-lb 2 sum={text}"));
        }
    }
}
