//! What answers: a VCH, an engine, or something else; and what certain versions of a VCH can't do. Pure.

use super::There;
use crate::doctor::Check;
use crate::inventory::{Endpoint, Kind};
use crate::message::{Message, vch_lb};

pub(super) const ABOUT: &str = "kind";

pub(super) fn checks(there: &There) -> Vec<Check> {
    let Endpoint {
        kind,
        name,
        version,
        ..
    } = there.endpoint();
    let called = |between: &str| match name.as_str() {
        "" => String::new(),
        name => format!("{between} `{name}`"),
    };
    if kind == Kind::Engine {
        return vec![engine(there, &version, &called(" on"))];
    }
    let vch = format!("VCH{}", called(""));
    let stopped = there.info.system_status.iter().find(|(key, value)| {
        key.ends_with("Backend Engine") && !value.is_empty() && value != "RUNNING"
    });
    if let Some((_, state)) = stopped {
        let found = format!("{vch}, whose own engine is {state}");
        return vec![Check::failure(ABOUT, found, "ask its admin to restart it")];
    }
    let Some(version) = there.version() else {
        let found = format!("{vch} on VIC `{version}`, whatever version that is");
        return vec![Check::ok(ABOUT, found)];
    };
    let (major, minor, patch) = version;
    let mut checks = vec![Check::ok(
        ABOUT,
        format!("{vch} on VIC {major}.{minor}.{patch}"),
    )];
    for pitfall in pitfalls() {
        if (pitfall.from..pitfall.before).contains(&version) {
            let found = format!("VIC {major}.{minor}.{patch} {}", pitfall.what);
            let check = if pitfall.fatal {
                Check::failure
            } else {
                Check::warning
            };
            checks.push(check(ABOUT, found.as_str(), pitfall.remedy));
        }
    }
    checks
}

fn engine(there: &There, version: &str, on: &str) -> Check {
    let parts = there
        .server
        .as_ref()
        .map(|server| server.components.as_slice())
        .unwrap_or_default();
    match parts.first() {
        Some(first) if !parts.iter().any(|part| part.name == "Engine") => Check::warning(
            ABOUT,
            format!(
                "{} {}{on}, which is neither a Docker Engine nor a VCH",
                first.name, first.version
            ),
            "go on if you like: what speaks Docker's API may serve as well, but other words of its errors are not known",
        ),
        _ => Check::ok(ABOUT, format!("Docker Engine {version}{on}")),
    }
}

/// Something about certain versions of VIC.
struct Pitfall {
    from: (u32, u32, u32),
    before: (u32, u32, u32),
    fatal: bool,
    what: &'static str,
    remedy: Message,
}

fn pitfall(
    from: (u32, u32, u32),
    before: (u32, u32, u32),
    what: &'static str,
    remedy: impl Into<Message>,
) -> Pitfall {
    Pitfall {
        from,
        before,
        fatal: false,
        what,
        remedy: remedy.into(),
    }
}

const UPGRADE: &str = "ask its admin to upgrade it to 1.5.5 or later";

#[rustfmt::skip]
fn pitfalls() -> [Pitfall; 6] { [
    Pitfall {
        fatal: true,
        ..pitfall((0, 0, 0), (1, 2, 0), "has no `docker cp` and no `docker exec`: haproxy.cfg can't get into the load balancer", UPGRADE)
    },
    pitfall((1, 2, 0), (1, 3, 0), "leaves the anonymous volumes of removed containers behind", UPGRADE),
    pitfall((1, 2, 0), (1, 4, 0), "has a security flaw in `docker cp`, which 1.4.0 mended", UPGRADE),
    pitfall((1, 2, 0), (1, 5, 2), "may give a container another address when it is started again", "run " + vch_lb("up") + " after containers were restarted, so that the load balancer finds them again; 1.5.2 keeps addresses"),
    pitfall((1, 2, 0), (1, 5, 3), "may forget labels when it is restarted, and with them an instance's further arguments", "run " + vch_lb("up") + " with the same INSTANCE_ARGS after a restart of the VCH, or have it upgraded to 1.5.5 or later"),
    pitfall((1, 5, 2), (1, 5, 5), "never frees the address of a container that `docker rm -f` removed while it ran, so that its network can't be removed", "stop containers before you remove them by hand; a network with `active endpoints` and no container needs a restart of the VCH, or have it upgraded to 1.5.5 or later"),
] }

#[cfg(test)]
mod tests {
    use super::super::tests::{engine, seen, vch, vch_with};
    use super::*;
    use crate::docker::answer::{Component, ServerVersion};

    #[test]
    fn what_answers_is_named() {
        assert_eq!(
            seen(engine(), ABOUT),
            ["ok: Docker Engine 20.10.24 on `engine`"]
        );
        let mut podman = engine();
        podman.server = Some(ServerVersion {
            components: vec![Component {
                name: "Podman Engine".into(),
                version: "4.9.3".into(),
            }],
            ..ServerVersion::default()
        });
        assert_eq!(
            seen(podman, ABOUT),
            [
                "warning: Podman Engine 4.9.3 on `engine`, which is neither a Docker Engine nor a VCH"
            ]
        );
        let stopped = [(
            "vSphere Integrated Containers v1.5.8 Backend Engine",
            "STOPPED",
        )];
        assert_eq!(
            seen(vch_with("v1.5.8-1-a", &stopped, vec![]), ABOUT),
            ["failure: VCH `vch`, whose own engine is STOPPED"]
        );
    }

    #[test]
    fn versions_of_vic_have_their_pitfalls() {
        let verdicts = |version: &str| -> Vec<String> {
            let checks = checks(&vch(version));
            checks
                .iter()
                .map(|check| check.verdict.word().to_owned())
                .collect()
        };
        assert_eq!(verdicts("v1.5.8-21000-a"), ["ok"]);
        assert_eq!(verdicts("v1.5.5"), ["ok"]);
        assert_eq!(verdicts("v1.5.4-1-a"), ["ok", "warning"]);
        assert_eq!(verdicts("v1.5.2-1-a"), ["ok", "warning", "warning"]);
        assert_eq!(verdicts("v1.4.3-1-a"), ["ok", "warning", "warning"]);
        assert_eq!(
            verdicts("v1.2.1-1-a"),
            ["ok", "warning", "warning", "warning", "warning"]
        );
        assert_eq!(verdicts("v1.1.1-1-a"), ["ok", "failure"]);
        // A build number alone says nothing; then the endpoint's version does.
        assert_eq!(checks(&vch("21000"))[0].found, "VCH `vch` on VIC 1.5.8");
    }
}
