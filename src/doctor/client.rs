//! The client and its way to the endpoint: which one it is, who chose it, and TLS.

use super::endpoint::There;
use super::{Check, Facts, Verdict, numbers};
use crate::docker::answer::{ClientVersion, DockerContext};
use crate::docker::words::hide_password;
use crate::error::Failure;
use crate::text::list;

/// A client of this version or a later one negotiates the API by itself…
const NEGOTIATES: (u32, u32, u32) = (17, 10, 0);
/// …but from this one on not down to what a VCH speaks.
const NO_LONGER: (u32, u32, u32) = (29, 0, 0);
/// The oldest API that such a client speaks without being told.
const OLDEST: (u32, u32, u32) = (1, 40, 0);

/// What decides where calls go. Of environment variables, empty ones count as not set, as they do for docker.
#[derive(Debug, Clone, Default)]
pub struct Way {
    pub host_flag: Option<String>,
    pub context_flag: Option<String>,
    pub docker_host: Option<String>,
    pub docker_context: Option<String>,
    pub api_version: Option<String>,
    /// DOCKER_TLS: TLS without verifying.
    pub tls: Option<String>,
    pub tls_verify: Option<String>,
    pub cert_path: Option<String>,
    /// The files in DOCKER_CERT_PATH or the folder that stands in for it.
    pub files: Vec<TlsFile>,
    /// What the client itself says, if it can.
    pub context: Option<DockerContext>,
}

/// One of the three files that TLS is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFile {
    pub name: &'static str,
    /// With its folder.
    pub path: String,
    pub state: FileState,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileState {
    There,
    Missing,
    Unreadable(String),
}

/// What decides, by docker's own precedence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chosen<'a> {
    HostFlag(&'a str),
    ContextFlag(&'a str),
    Host(&'a str),
    Context(&'a str),
    /// The one that `docker context use` wrote into docker's configuration.
    Current(&'a str),
    Default,
}

impl Way {
    fn chosen(&self) -> Chosen<'_> {
        let current = self.context.as_ref().map(|context| context.name.as_str());
        if let Some(context) = &self.context_flag {
            Chosen::ContextFlag(context)
        } else if let Some(host) = &self.host_flag {
            Chosen::HostFlag(host)
        } else if let Some(host) = &self.docker_host {
            Chosen::Host(host)
        } else if let Some(context) = &self.docker_context {
            Chosen::Context(context)
        } else {
            match current {
                Some(name) if !name.is_empty() && name != "default" => Chosen::Current(name),
                _ => Chosen::Default,
            }
        }
    }

    /// The address, as the client resolves it or as far as it is known without.
    fn host(&self) -> Option<String> {
        let told = self
            .context
            .as_ref()
            .map(|context| &context.endpoints.docker.host);
        let given = match self.chosen() {
            Chosen::HostFlag(host) | Chosen::Host(host) => Some(host),
            _ => None,
        };
        let host = told.filter(|host| !host.is_empty()).map(String::as_str);
        host.or(given).map(hide_password)
    }

    /// The address and who chose it.
    fn place(&self) -> String {
        let by = match self.chosen() {
            Chosen::HostFlag(_) => "--host".to_owned(),
            Chosen::ContextFlag(name) => format!("the context `{name}`, by --context"),
            Chosen::Host(_) => "DOCKER_HOST".to_owned(),
            Chosen::Context(name) => format!("the context `{name}`, by DOCKER_CONTEXT"),
            Chosen::Current(name) => {
                format!("the context `{name}`, the current one of docker's configuration")
            }
            Chosen::Default => "docker's default, since nothing else is set".to_owned(),
        };
        match self.host() {
            Some(host) => format!("`{host}` ({by})"),
            None => by,
        }
    }

    /// A context other than the default carries its own certificates; the environment's don't count then.
    fn stored_context(&self) -> Option<&str> {
        match self.chosen() {
            Chosen::ContextFlag(name) | Chosen::Context(name) | Chosen::Current(name) => {
                Some(name).filter(|name| *name != "default")
            }
            _ => None,
        }
    }
}

/// The client: where it is, its version, and whether it speaks the endpoint's API.
pub(super) fn client(facts: &Facts, there: Option<&There>) -> Check {
    const ABOUT: &str = "client";
    let program = match &facts.program {
        Ok(program) => program,
        Err(failure) => {
            return Check::failed(ABOUT, failure, "install the docker client");
        }
    };
    let Some(client) = &facts.client else {
        return Check::ok(ABOUT, format!("`{program}`"))
            .noted("it did not get as far as telling its version");
    };
    let found = format!("`{program}` is version {}", client.version);
    if let Some(wanted) = &facts.way.api_version {
        if numbers(wanted).is_none() {
            let found = format!("DOCKER_API_VERSION is `{wanted}`, which is no version of an API");
            return Check::failure(ABOUT, found, "set it to one such as 1.25, or unset it");
        }
        return Check::ok(
            ABOUT,
            format!("{found} and speaks API {wanted}, by DOCKER_API_VERSION"),
        );
    }
    let Some(version) = numbers(&client.version) else {
        return Check::ok(ABOUT, found);
    };
    if (2..17).contains(&version.0) {
        let found = format!("{found}, which is none of Docker's own client: podman's, perhaps");
        let remedy = "install Docker's client, or name it with --docker PATH; others may answer in other words";
        return Check::warning(ABOUT, found, remedy);
    }
    api(ABOUT, &found, version, client, there)
}

/// Whether client and endpoint agree on an API by themselves.
fn api(
    about: &'static str,
    found: &str,
    version: (u32, u32, u32),
    client: &ClientVersion,
    there: Option<&There>,
) -> Check {
    let server = there
        .and_then(|there| there.server.as_ref())
        .map(|server| server.api_version.as_str())
        .filter(|api| !api.is_empty());
    let vch = there.is_some_and(There::is_vch);
    let spoken = server.or(vch.then_some("1.25"));
    let what = if vch { "a VCH" } else { "the endpoint" };
    if version >= NO_LONGER {
        let Some(spoken) = spoken else {
            let remedy = "if the endpoint is a VCH, set DOCKER_API_VERSION=1.25";
            let found = format!("{found}, which no longer speaks a VCH's API 1.25 by itself");
            return Check::warning(about, found, remedy);
        };
        if numbers(spoken).is_some_and(|spoken| spoken < OLDEST) {
            let found = format!("{found}, which no longer speaks {what}'s API {spoken} by itself");
            let remedy =
                format!("set DOCKER_API_VERSION={spoken}, or use a docker client from 17.10 to 28");
            return Check::warning(about, found, remedy);
        }
    }
    let newest = numbers(&client.default_api_version);
    if let Some(spoken) = spoken
        && version < NEGOTIATES
        && newest > numbers(spoken)
    {
        let found = format!(
            "{found}, which does not come down to {what}'s API {spoken} from its own {} by itself",
            client.default_api_version
        );
        let remedy =
            format!("set DOCKER_API_VERSION={spoken}, or use a docker client from 17.10 to 28");
        return Check::warning(about, found, remedy);
    }
    match spoken {
        Some(_) if !client.api_version.is_empty() => Check::ok(
            about,
            format!("{found} and speaks API {}", client.api_version),
        ),
        _ => Check::ok(about, found),
    }
}

/// Where calls go, who chose that, and whether anybody is there.
pub(super) fn endpoint(way: &Way, failure: Option<&Failure>) -> Vec<Check> {
    const ABOUT: &str = "endpoint";
    let place = way.place();
    let mut checks = vec![match failure {
        None => Check::ok(ABOUT, place),
        Some(failure) => {
            let otherwise = "make `docker version` work first: it fails alike";
            let failed = Check::failed(ABOUT, failure, otherwise);
            Check {
                found: format!("{place}: {}", failed.found),
                ..failed
            }
        }
    }];
    if let (Chosen::Host(_), Some(context)) = (way.chosen(), &way.docker_context) {
        let found =
            format!("DOCKER_CONTEXT is `{context}`, but docker passes it over for DOCKER_HOST");
        checks.push(Check::warning(ABOUT, found, "unset one of the two"));
    }
    checks
}

/// TLS: switched on where the port asks for it, with files that are there.
pub(super) fn tls(way: &Way, answers: bool) -> Vec<Check> {
    const ABOUT: &str = "tls";
    let host = way.host().unwrap_or_default();
    let tcp = host.starts_with("tcp://") || (!host.is_empty() && !host.contains("://"));
    if let Some(name) = way.stored_context() {
        let (context, at) = (way.context.as_ref(), host.as_str());
        let context = context.filter(|_| tcp);
        return context.map_or_else(Vec::new, |context| stored(way, name, context, at, answers));
    }
    let on = way.tls.is_some() || way.tls_verify.is_some();
    let mut checks = Vec::new();
    if let Some(value) = &way.tls_verify
        && matches!(
            value.to_ascii_lowercase().as_str(),
            "0" | "false" | "no" | "off"
        )
    {
        let found = format!("DOCKER_TLS_VERIFY is `{value}`, which counts as set: docker verifies");
        let remedy =
            "unset DOCKER_TLS_VERIFY; for TLS without verifying set DOCKER_TLS=1 in its place";
        checks.push(Check::warning(ABOUT, found, remedy));
    }
    if on && !tcp && !host.is_empty() {
        let found = format!("switched on, but `{host}` is no TCP address");
        let remedy =
            "unset DOCKER_TLS_VERIFY and DOCKER_TLS, or set DOCKER_HOST to tcp://HOST:2376";
        checks.push(Check::warning(ABOUT, found, remedy));
    }
    if on {
        checks.extend(files(ABOUT, way));
    } else if let (Some(folder), true) = (&way.cert_path, tcp) {
        let found = format!("DOCKER_CERT_PATH is `{folder}`, but TLS is not switched on");
        let remedy = "set DOCKER_TLS_VERIFY=1 with it, or unset it";
        checks.push(Check::warning(ABOUT, found, remedy));
    }
    checks.extend(port(ABOUT, &host, on, answers).filter(|_| tcp));
    if checks.is_empty() && tcp {
        let used = used(answers);
        let found = match (on, way.tls_verify.is_some()) {
            (false, _) => not_used(answers),
            (true, true) if answers => {
                "used, and the endpoint's certificate is verified".to_owned()
            }
            (true, true) => format!("{used}, verifying the endpoint's certificate"),
            (true, false) => format!("{used}, without verifying the endpoint's certificate"),
        };
        checks.push(Check::ok(ABOUT, found));
    }
    checks
}

/// How TLS is used. Where no endpoint answered, it is only known what would be.
fn used(answers: bool) -> &'static str {
    if answers { "used" } else { "switched on" }
}

fn not_used(answers: bool) -> String {
    if answers {
        "not used: the connection is open to all who can reach it".to_owned()
    } else {
        "not switched on".to_owned()
    }
}

/// The habit of ports: 2375 is plain, 2376 is TLS.
fn port(about: &'static str, host: &str, on: bool, answers: bool) -> Option<Check> {
    let authority = host.split_once("://").map_or(host, |(_, rest)| rest);
    let port = authority
        .split('/')
        .next()
        .and_then(|authority| authority.rsplit_once(':'))
        .map(|(_, port)| port)?;
    match (port, on) {
        ("2375", true) => Some(Check::warning(
            about,
            "switched on, but port 2375 is the one without it",
            "use port 2376, or unset DOCKER_TLS_VERIFY and DOCKER_TLS",
        )),
        ("2376", false) => Some(Check::warning(
            about,
            if answers {
                "not used, though port 2376 is the one with it: all who can reach it may use the endpoint"
            } else {
                "not switched on, but port 2376 is the one with it"
            },
            "set DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH, or DOCKER_TLS=1 for a VCH made with --no-tlsverify",
        )),
        _ => None,
    }
}

/// The files of DOCKER_CERT_PATH, as docker takes them: without the CA it does nothing at all, without certificate and
/// key it goes without.
fn files(about: &'static str, way: &Way) -> Vec<Check> {
    let from = if way.cert_path.is_some() {
        "DOCKER_CERT_PATH"
    } else {
        "docker's own folder, since DOCKER_CERT_PATH is not set"
    };
    let remedy = "point DOCKER_CERT_PATH at the directory with ca.pem, cert.pem and key.pem; for a VCH, the ones that vic-machine wrote";
    let mut checks = Vec::new();
    for file in &way.files {
        if let FileState::Unreadable(why) = &file.state {
            let found = format!("`{}` can't be read: {why}", file.path);
            checks.push(Check::failure(about, found, remedy));
        }
    }
    let missing: Vec<&TlsFile> = way
        .files
        .iter()
        .filter(|file| file.state == FileState::Missing)
        .collect();
    let paths: Vec<&str> = missing.iter().map(|file| file.path.as_str()).collect();
    let verdict = if missing.iter().any(|file| file.name == "ca.pem") {
        Verdict::Failure
    } else {
        Verdict::Warning
    };
    let are = if paths.len() == 1 { "is" } else { "are" };
    let without = match verdict {
        Verdict::Failure => "docker does nothing without ca.pem",
        _ => "the client shows no certificate of its own",
    };
    if !paths.is_empty() {
        checks.push(Check {
            verdict,
            ..Check::failure(
                about,
                format!("{} {are} not there ({from}): {without}", list(&paths)),
                remedy,
            )
        });
    }
    checks
}

/// TLS by a context of docker's own store.
fn stored(way: &Way, name: &str, context: &DockerContext, host: &str, answers: bool) -> Vec<Check> {
    let about = "tls";
    let skips = context.endpoints.docker.skip_tls_verify;
    let held = context.tls_material.get("docker");
    let held = held.map(Vec::as_slice).unwrap_or_default();
    let on = skips || !held.is_empty();
    if let Some(check) = port(about, host, on, false) {
        let remedy = format!(
            "correct the context: `docker context update {name} --docker host=tcp://HOST:2376,ca=…,cert=…,key=…`"
        );
        return vec![Check {
            remedy: Some(remedy.into()),
            ..check
        }];
    }
    let used = used(answers);
    let found = match (on, skips) {
        (false, _) => not_used(answers),
        (true, true) => format!("{used}, without verifying the endpoint's certificate"),
        (true, false) => format!("{used}, with {} of the context `{name}`", list(held)),
    };
    let check = Check::ok(about, found);
    if way.tls_verify.is_some() || way.cert_path.is_some() {
        let note = "DOCKER_TLS_VERIFY and DOCKER_CERT_PATH don't count for a context";
        return vec![check.noted(note)];
    }
    vec![check]
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::endpoint;
    use super::super::tests::{about, facts};
    use super::*;
    use crate::docker::answer::{ContextEndpoint, ContextEndpoints};

    /// A way by flags (`--host`, `--context`) and environment variables; all three files are there.
    pub(crate) fn way(given: &[(&str, &str)]) -> Way {
        let get = |name: &str| {
            let found = given.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let files = ["ca.pem", "cert.pem", "key.pem"].map(|name| TlsFile {
            name,
            path: format!("/certs/{name}"),
            state: FileState::There,
        });
        Way {
            host_flag: get("--host"),
            context_flag: get("--context"),
            docker_host: get("DOCKER_HOST"),
            docker_context: get("DOCKER_CONTEXT"),
            api_version: get("DOCKER_API_VERSION"),
            tls: get("DOCKER_TLS"),
            tls_verify: get("DOCKER_TLS_VERIFY"),
            cert_path: get("DOCKER_CERT_PATH"),
            files: files.to_vec(),
            context: None,
        }
    }

    fn context(name: &str, host: &str, held: &[&str]) -> DockerContext {
        let held: Vec<String> = held.iter().map(|&file| file.to_owned()).collect();
        DockerContext {
            name: name.into(),
            endpoints: ContextEndpoints {
                docker: ContextEndpoint {
                    host: host.into(),
                    skip_tls_verify: false,
                },
            },
            tls_material: [("docker".to_owned(), held)].into(),
        }
    }

    fn with(files: &[(usize, FileState)], mut way: Way) -> Way {
        for (at, state) in files {
            way.files[*at].state = state.clone();
        }
        way
    }

    #[test]
    fn who_chose_the_endpoint_is_said() {
        let vch = ("DOCKER_HOST", "tcp://vch:2376");
        let xy = ("DOCKER_CONTEXT", "xy");
        for (given, place) in [
            (vec![], "docker's default, since nothing else is set"),
            (vec![vch], "`tcp://vch:2376` (DOCKER_HOST)"),
            (vec![xy], "the context `xy`, by DOCKER_CONTEXT"),
            (vec![vch, xy], "`tcp://vch:2376` (DOCKER_HOST)"),
            (vec![vch, ("--host", "other:1")], "`other:1` (--host)"),
            (
                vec![vch, ("--context", "z")],
                "the context `z`, by --context",
            ),
            (
                vec![("--host", "ssh://me:secret@vch")],
                "`ssh://me:***@vch` (--host)",
            ),
        ] {
            assert_eq!(way(&given).place(), place);
        }
        let current = Way {
            context: Some(context("xy", "tcp://vch:2376", &[])),
            ..way(&[])
        };
        assert_eq!(
            current.place(),
            "`tcp://vch:2376` (the context `xy`, the current one of docker's configuration)"
        );
        let default = Way {
            context: Some(context("default", "unix:///var/run/docker.sock", &[])),
            ..way(&[])
        };
        assert_eq!(
            default.place(),
            "`unix:///var/run/docker.sock` (docker's default, since nothing else is set)"
        );
        let both = endpoint(&way(&[vch, xy]), None);
        assert_eq!(
            about(&both, "endpoint")[1],
            "warning: DOCKER_CONTEXT is `xy`, but docker passes it over for DOCKER_HOST"
        );
    }

    #[test]
    fn a_failure_keeps_docker_s_words_and_the_hint() {
        let failure = Failure::failed("the endpoint did not say what it is")
            .worded("Cannot connect")
            .hinted("look");
        let checks = endpoint(&way(&[("DOCKER_HOST", "tcp://vch:2376")]), Some(&failure));
        assert_eq!(checks[0].verdict, Verdict::Failure);
        assert_eq!(checks[0].docker.as_deref(), Some("Cannot connect"));
        assert_eq!(checks[0].remedy, Some("look".into()));
    }

    #[test]
    fn clients_are_told_by_what_they_speak() {
        for (version, newest, set, expected) in [
            ("28.2.2", "1.50", None, "ok"),
            ("17.10.0-ce", "1.33", None, "ok"),
            ("17.03.1-ce", "1.27", None, "warning"),
            ("17.03.1-ce", "1.27", Some("1.25"), "ok"),
            ("1.13.1", "1.25", None, "ok"),
            ("29.0.1", "1.52", None, "warning"),
            ("29.0.1", "1.52", Some("1.25"), "ok"),
            ("29.0.1", "1.52", Some("x"), "failure"),
            ("4.9.3", "", None, "warning"),
            ("dev", "", None, "ok"),
        ] {
            let mut facts = facts(None);
            facts.way.api_version = set.map(str::to_owned);
            facts.client = Some(ClientVersion {
                version: version.into(),
                api_version: "1.25".into(),
                default_api_version: newest.into(),
            });
            let check = client(&facts, Some(&endpoint::tests::vch("v1.5.8-1-a")));
            assert_eq!(
                check.verdict.word(),
                expected,
                "{version} {set:?} {check:?}"
            );
        }
        let engine = endpoint::tests::engine();
        let mut facts = facts(None);
        facts.client = Some(ClientVersion {
            version: "29.1.0".into(),
            api_version: "1.41".into(),
            default_api_version: "1.52".into(),
        });
        assert_eq!(client(&facts, Some(&engine)).verdict, Verdict::Ok);
        assert_eq!(client(&facts, None).verdict, Verdict::Warning);
        facts.client = None;
        assert_eq!(client(&facts, None).found, "`/usr/bin/docker`");
    }

    #[test]
    fn tls_is_checked_against_the_port_and_the_files() {
        use FileState::Missing;
        let plain = ("DOCKER_HOST", "tcp://vch:2375");
        let secure = ("DOCKER_HOST", "tcp://vch:2376");
        let verify = ("DOCKER_TLS_VERIFY", "1");
        let certs = ("DOCKER_CERT_PATH", "/certs");
        for (way, expected) in [
            (way(&[]), vec![]),
            (way(&[plain]), vec!["ok: not switched on"]),
            (
                way(&[secure, verify, certs]),
                vec!["ok: switched on, verifying the endpoint's certificate"],
            ),
            (
                way(&[secure, ("DOCKER_TLS", "1"), certs]),
                vec!["ok: switched on, without verifying the endpoint's certificate"],
            ),
            (
                way(&[plain, verify, certs]),
                vec!["warning: switched on, but port 2375 is the one without it"],
            ),
            (
                way(&[secure]),
                vec!["warning: not switched on, but port 2376 is the one with it"],
            ),
            (
                way(&[("DOCKER_HOST", "vch:2376")]),
                vec!["warning: not switched on, but port 2376 is the one with it"],
            ),
            (
                way(&[secure, ("DOCKER_TLS_VERIFY", "0"), certs]),
                vec!["warning: DOCKER_TLS_VERIFY is `0`, which counts as set: docker verifies"],
            ),
            (
                way(&[("DOCKER_HOST", "unix:///var/run/docker.sock"), verify]),
                vec!["warning: switched on, but `unix:///var/run/docker.sock` is no TCP address"],
            ),
            (
                with(&[(0, Missing)], way(&[secure, verify, certs])),
                vec![
                    "failure: `/certs/ca.pem` is not there (DOCKER_CERT_PATH): docker does nothing without ca.pem",
                ],
            ),
            (
                with(&[(1, Missing), (2, Missing)], way(&[secure, verify, certs])),
                vec![
                    "warning: `/certs/cert.pem` and `/certs/key.pem` are not there (DOCKER_CERT_PATH): the client shows no certificate of its own",
                ],
            ),
            (
                with(
                    &[(2, FileState::Unreadable("denied".into()))],
                    way(&[secure, verify]),
                ),
                vec!["failure: `/certs/key.pem` can't be read: denied"],
            ),
            (
                way(&[("DOCKER_HOST", "tcp://vch:9999"), certs]),
                vec!["warning: DOCKER_CERT_PATH is `/certs`, but TLS is not switched on"],
            ),
        ] {
            assert_eq!(about(&tls(&way, false), "tls"), expected);
        }
        for (way, expected) in [
            (
                way(&[plain]),
                "ok: not used: the connection is open to all who can reach it",
            ),
            (
                way(&[secure, verify, certs]),
                "ok: used, and the endpoint's certificate is verified",
            ),
            (
                way(&[secure, ("DOCKER_TLS", "1"), certs]),
                "ok: used, without verifying the endpoint's certificate",
            ),
        ] {
            assert_eq!(about(&tls(&way, true), "tls"), [expected]);
        }
    }

    #[test]
    fn a_stored_context_has_its_own_certificates() {
        let with = |context: DockerContext, given: &[(&str, &str)]| Way {
            context: Some(context),
            ..way(given)
        };
        let held = context("xy", "tcp://vch:2376", &["ca.pem"]);
        let ignored = tls(
            &with(held, &[("DOCKER_TLS_VERIFY", "0"), ("--context", "xy")]),
            true,
        );
        assert_eq!(
            about(&ignored, "tls"),
            ["ok: used, with `ca.pem` of the context `xy`"]
        );
        assert!(ignored[0].note.is_some());
        let none = context("xy", "tcp://vch:2376", &[]);
        assert_eq!(tls(&with(none, &[]), true)[0].verdict, Verdict::Warning);
    }
}
