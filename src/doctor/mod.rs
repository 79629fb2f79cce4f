//! What `vch-lb doctor` makes of what it found: facts to checks, each with a verdict and a remedy. Pure.
//!
//! `client` is about the client and its way to the endpoint, `endpoint` about what the endpoint has. What needs neither is here:
//! the settings, and haproxy.cfg on this workstation.

pub mod client;
pub mod endpoint;

use serde::Serialize;

use crate::docker::answer;
use crate::error::{Failure, exit};
use crate::message::{Message, vch_lb};
use crate::service::names::{Count, ImageRef, Names, NetworkName, Port};
use crate::service::{Publish, Spec};

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    Ok,
    /// It may work, or works with a drawback.
    Warning,
    /// A deployment would fail.
    Failure,
}

impl Verdict {
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failure => "failure",
        }
    }
}

/// One thing that was looked at. Sentences are in lower case and without a period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What it is about: several checks may be about the same.
    pub check: &'static str,
    pub verdict: Verdict,
    pub found: String,
    /// The docker call that failed, and docker's own words.
    pub call: Option<String>,
    pub docker: Option<String>,
    /// What to do about it; always there unless all is well.
    pub remedy: Option<Message>,
    /// What is worth knowing all the same.
    pub note: Option<String>,
}

impl Check {
    fn new(check: &'static str, verdict: Verdict, found: impl Into<String>) -> Self {
        Self {
            check,
            verdict,
            found: found.into(),
            call: None,
            docker: None,
            remedy: None,
            note: None,
        }
    }

    fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self::new(check, Verdict::Ok, found)
    }

    fn warning(check: &'static str, found: impl Into<String>, remedy: impl Into<Message>) -> Self {
        Self {
            remedy: Some(remedy.into()),
            ..Self::new(check, Verdict::Warning, found)
        }
    }

    fn failure(check: &'static str, found: impl Into<String>, remedy: impl Into<Message>) -> Self {
        Self {
            remedy: Some(remedy.into()),
            ..Self::new(check, Verdict::Failure, found)
        }
    }

    /// Something that could not be found out, or not be done.
    fn failed(check: &'static str, failure: &Failure, otherwise: impl Into<Message>) -> Self {
        let hint = failure.hints.first().cloned();
        Self {
            call: failure.call.clone(),
            docker: failure.words.clone(),
            remedy: Some(hint.unwrap_or_else(|| otherwise.into())),
            ..Self::new(check, Verdict::Failure, failure.what.clone())
        }
    }

    fn noted(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }
}

/// Everything that was found out.
#[derive(Debug)]
pub struct Facts {
    pub way: client::Way,
    /// The program; an error if there is none.
    pub program: Result<String, Failure>,
    /// What the client says of itself, if it got that far.
    pub client: Option<answer::ClientVersion>,
    /// What answers; `None` where no client could ask.
    pub there: Option<Result<endpoint::There, Failure>>,
    pub wanted: Wanted,
    /// What is wrong with the settings, a line each.
    pub complaints: Vec<String>,
    pub config: LocalConfig,
}

/// The settings that are usable, each by itself.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    pub names: Option<Names>,
    pub external_net: Option<NetworkName>,
    pub image: Option<ImageRef>,
    pub lb_image: Option<ImageRef>,
    pub count: Option<Count>,
    pub lb_port: Option<Port>,
    pub publish: Option<Publish>,
    /// All of it, where every setting is usable.
    pub spec: Option<Spec>,
    /// The words of INSTANCE_ARGS and LB_ARGS.
    pub instance_args: Vec<String>,
    pub lb_args: Vec<String>,
}

/// haproxy.cfg on this workstation.
#[derive(Debug)]
pub struct LocalConfig {
    pub path: String,
    /// How many lines it has; `None` while settings are unusable.
    pub rendered: Option<Result<usize, Failure>>,
    pub writable: Result<(), Failure>,
}

/// All checks, in the order of a deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    pub checks: Vec<Check>,
    /// What could not be looked at because the endpoint can't be used.
    pub skipped: Vec<&'static str>,
}

impl Report {
    pub fn count(&self, verdict: Verdict) -> usize {
        let of_it = |check: &&Check| check.verdict == verdict;
        self.checks.iter().filter(of_it).count()
    }

    pub fn exit_code(&self) -> u8 {
        if !self.skipped.is_empty() {
            exit::UNUSABLE
        } else if self.count(Verdict::Failure) > 0 {
            exit::FAILED
        } else {
            exit::DONE
        }
    }
}

/// Judges what was found.
pub fn diagnose(facts: &Facts) -> Report {
    let there = facts.there.as_ref().and_then(|there| there.as_ref().ok());
    let mut checks = vec![client::client(facts, there)];
    if let Some(found) = &facts.there {
        checks.extend(client::endpoint(&facts.way, found.as_ref().err()));
        checks.extend(client::tls(&facts.way, found.is_ok()));
    }
    let mut skipped = Vec::new();
    match there {
        Some(there) => checks.extend(endpoint::checks(there, &facts.wanted)),
        None => skipped.extend(endpoint::ABOUT),
    }
    checks.extend(settings(&facts.complaints));
    checks.push(local_config(&facts.config));
    Report { checks, skipped }
}

fn settings(complaints: &[String]) -> Vec<Check> {
    const ABOUT: &str = "settings";
    if complaints.is_empty() {
        return vec![Check::ok(ABOUT, "every setting is usable")];
    }
    let failure = |complaint: &String| {
        let remedy = "change it where it comes from; what depends on it was not checked";
        Check::failure(ABOUT, complaint, remedy)
    };
    complaints.iter().map(failure).collect()
}

fn local_config(config: &LocalConfig) -> Check {
    const ABOUT: &str = "haproxy.cfg";
    let path = &config.path;
    let otherwise = "name a file elsewhere with --config-out";
    match (&config.writable, &config.rendered) {
        (Err(failure), _) => Check::failed(ABOUT, failure, otherwise),
        (Ok(()), Some(Err(failure))) => Check::failed(
            ABOUT,
            failure,
            vch_lb("render") + " tries it without the rest",
        ),
        (Ok(()), Some(Ok(lines))) => Check::ok(
            ABOUT,
            format!("renders to {lines} lines, and `{path}` can be written"),
        ),
        (Ok(()), None) => Check::ok(ABOUT, format!("`{path}` can be written"))
            .noted("not rendered while settings are unusable"),
    }
}

/// The numbers at the start of a version: `v1.5.8-21000-abc` → (1, 5, 8), `20.10.24+dfsg1` → (20, 10, 24).
fn numbers(version: &str) -> Option<(u32, u32, u32)> {
    let plain = version.trim().trim_start_matches('v');
    let end = plain.find(|c: char| !c.is_ascii_digit() && c != '.');
    let mut parts = plain[..end.unwrap_or(plain.len())]
        .split('.')
        .map(|part| part.parse().ok());
    let (major, minor) = (parts.next()??, parts.next()??);
    Some((major, minor, parts.next().flatten().unwrap_or(0)))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn numbered(version: &str) -> (u32, u32, u32) {
        numbers(version).unwrap()
    }

    /// A machine on which all is well, as far as the endpoint goes.
    pub(crate) fn facts(there: Option<Result<endpoint::There, Failure>>) -> Facts {
        let spec = crate::service::tests::spec(&[]);
        let whole = Some(spec.clone());
        Facts {
            way: client::tests::way(&[]),
            program: Ok("/usr/bin/docker".into()),
            client: Some(answer::ClientVersion {
                version: "28.2.2".into(),
                api_version: "1.25".into(),
                default_api_version: "1.50".into(),
            }),
            there,
            wanted: Wanted {
                names: Some(spec.service.names),
                external_net: Some(spec.service.external_net),
                image: Some(spec.image),
                lb_image: Some(spec.lb_image),
                count: Some(spec.count),
                lb_port: Some(spec.lb_port),
                publish: Some(spec.publish),
                spec: whole,
                instance_args: Vec::new(),
                lb_args: Vec::new(),
            },
            complaints: Vec::new(),
            config: LocalConfig {
                path: "haproxy.cfg".into(),
                rendered: Some(Ok(17)),
                writable: Ok(()),
            },
        }
    }

    /// The checks about something, as `verdict: found`.
    pub(crate) fn about(checks: &[Check], about: &str) -> Vec<String> {
        checks
            .iter()
            .filter(|check| check.check == about)
            .map(|check| format!("{}: {}", check.verdict.word(), check.found))
            .collect()
    }

    #[test]
    fn versions_are_read_as_far_as_they_are_numbers() {
        assert_eq!(numbered("v1.5.8-21000-fa4e00d"), (1, 5, 8));
        assert_eq!(numbered("20.10.24+dfsg1"), (20, 10, 24));
        assert_eq!(numbered("17.03.1-ce"), (17, 3, 1));
        assert_eq!(numbered("1.25"), (1, 25, 0));
        for odd in ["", "7", "dev", "v", "-1.2", "21000"] {
            assert_eq!(numbers(odd), None, "{odd}");
        }
    }

    #[test]
    fn an_endpoint_that_cannot_be_used_is_4_and_a_failure_1() {
        use crate::error::Kind;
        let dead = Failure::new(Kind::Unusable, "nothing answers").hinted("look");
        let report = diagnose(&facts(Some(Err(dead))));
        assert_eq!(report.exit_code(), exit::UNUSABLE);
        assert_eq!(report.skipped, endpoint::ABOUT);
        let report = diagnose(&Facts {
            program: Err(Failure::new(Kind::Unusable, "no docker client")),
            ..facts(None)
        });
        assert_eq!(report.exit_code(), exit::UNUSABLE);
        assert_eq!(
            about(&report.checks, "client"),
            ["failure: no docker client"]
        );
        assert_eq!(about(&report.checks, "endpoint"), [""; 0]);

        let well = || Some(Ok(endpoint::tests::engine()));
        assert_eq!(
            diagnose(&facts(well())).exit_code(),
            exit::DONE,
            "{:#?}",
            diagnose(&facts(well()))
        );
        let complaints = vec!["LB_PORT is `x` (--lb-port): no".into()];
        let report = diagnose(&Facts {
            complaints,
            ..facts(well())
        });
        assert_eq!(report.exit_code(), exit::FAILED);
        assert_eq!(
            about(&report.checks, "settings"),
            ["failure: LB_PORT is `x` (--lb-port): no"]
        );
    }

    #[test]
    fn whatever_is_not_well_has_a_remedy() {
        let spoiled = [
            endpoint::tests::engine(),
            endpoint::tests::vch("v1.5.3-1-a"),
            endpoint::tests::vch("v1.1.0-1-a"),
        ];
        for there in spoiled {
            for check in diagnose(&facts(Some(Ok(there)))).checks {
                let well = check.verdict == Verdict::Ok;
                assert_eq!(check.remedy.is_none(), well, "{check:?}");
                assert!(!check.found.ends_with('.'), "{check:?}");
            }
        }
    }

    #[test]
    fn a_configuration_that_cannot_be_written_is_a_failure() {
        let config = |writable, rendered| {
            let check = local_config(&LocalConfig {
                path: "x.cfg".into(),
                rendered,
                writable,
            });
            (check.verdict, check.found)
        };
        let refusal = || Failure::usage("`x.cfg` (--config-out) can't be written: no");
        assert_eq!(config(Err(refusal()), None).0, Verdict::Failure);
        let broken = Err(Failure::failed("a template without an end"));
        assert_eq!(config(Ok(()), Some(broken)).0, Verdict::Failure);
        assert_eq!(
            config(Ok(()), None),
            (Verdict::Ok, "`x.cfg` can be written".into())
        );
    }
}
