//! What is to be known of an endpoint before a load balancer is made there: where clients will get to it, and what will
//! keep them, or it, away. Pure.

use crate::docker::answer::Network;
use crate::inventory::{Endpoint, Kind};
use crate::message::{Message, vch_lb_with};
use crate::service::names::{ImageRef, NetworkName, Port};
use crate::service::{Publish, Spec};
use crate::settings::{EXTERNAL_NET, LB_ARGS, LB_PORT, PUBLISH_LB};
use crate::text::list;

/// Below this one a port is the administrator's on most machines.
const PRIVILEGED: u16 = 1024;
/// From this version on the official image runs as the user haproxy.
const NOT_ROOT: (u32, u32) = (2, 4);

/// The flags with which `up` works on an engine that has nothing but its own network.
pub fn by_host(endpoint: &Endpoint) -> [&'static str; 4] {
    let network = endpoint.own_network();
    ["--external-net", network, "--publish-lb", "always"]
}

/// What to do where there is no EXTERNAL_NET. `there` are the networks that it could name.
pub fn no_external(endpoint: &Endpoint, there: &[&str], port: Option<Port>) -> Message {
    let at = port.map_or("LB_PORT".to_owned(), |port| format!("port {port}"));
    let own = endpoint.own_network();
    // Podman tells of it by another name than it uses.
    let there = there.iter().copied();
    let others: Vec<&str> = there
        .filter(|name| ![own, "bridge"].contains(name))
        .collect();
    match endpoint.kind {
        Kind::Vch if others.is_empty() => {
            "ask the VCH's admin for a container network (`vic-machine configure --container-network`)".into()
        }
        Kind::Vch => {
            let others_listed = list(&others);
            let what = format!("set {EXTERNAL_NET} to a container network of this VCH ({others_listed}): ");
            Message::from(what) + vch_lb_with("up", &["--external-net", others[0]])
        }
        Kind::Engine => {
            let other = match &others[..] {
                [] => String::new(),
                others => format!(" one that is there, {}, or", list(others)),
            };
            vch_lb_with("up", &by_host(endpoint))
                + format!(
                    " serves on {at} of the endpoint's host; for a network of your own set {EXTERNAL_NET} \
                     to{other} one that you make with `docker network create`"
                )
        }
    }
}

/// Why the network that was found is not what EXTERNAL_NET names: docker finds a network by its ID too, and Podman its own
/// by the name that docker has for it. Containers are on it by its name.
pub fn other_name(endpoint: &Endpoint, external: &Network, wanted: &NetworkName) -> Option<String> {
    let podmans = endpoint.podman && wanted.as_str() == "bridge";
    let name = if podmans {
        endpoint.own_network()
    } else {
        external.name.as_str()
    };
    (name != wanted.as_str()).then(|| name.to_owned())
}

/// What may go wrong, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    pub what: String,
    pub remedy: String,
}

/// What may keep HAProxy from its port, or clients from HAProxy.
pub fn ports(spec: &Spec, endpoint: &Endpoint) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let low = spec.lb_port.get() < PRIVILEGED;
    let port = spec.lb_port;
    let args = spec.tuning.lb_args.words();
    let given = |option: &str| args.iter().any(|word| word.contains(option));
    let root = given("--user") || given("-u") || given("ip_unprivileged_port_start");
    if low && endpoint.podman && runs_as_haproxy(&spec.lb_image) && !root {
        warnings.push(Warning {
            what: format!(
                "HAProxy 2.4 and later run as the user haproxy, who may not serve on port {port} under Podman"
            ),
            remedy: format!(
                "set {LB_PORT} to {PRIVILEGED} or above, or {LB_ARGS} to `--user root`"
            ),
        });
    }
    if low && endpoint.rootless && spec.publish == Publish::Always {
        warnings.push(Warning {
            what: format!(
                "an engine without root may not publish port {port}, unless its admin allowed that \
                 (net.ipv4.ip_unprivileged_port_start)"
            ),
            remedy: format!("set {LB_PORT} to {PRIVILEGED} or above"),
        });
    }
    warnings
}

/// As far as the image's name tells.
fn runs_as_haproxy(image: &ImageRef) -> bool {
    match image.version_in_tag() {
        Some(version) => version >= NOT_ROOT,
        None => image.is_called("haproxy"),
    }
}

/// Who gets to a load balancer on a bridge network of an engine that publishes nothing; `here`: whether this workstation
/// is that engine's machine.
pub fn unpublished(
    endpoint: &Endpoint,
    external: &Network,
    port: Port,
    here: bool,
) -> Option<String> {
    if endpoint.kind != Kind::Engine || external.name != endpoint.own_network() {
        return None;
    }
    let name = &external.name;
    let machine = if here {
        "this machine itself"
    } else {
        "the endpoint's own machine, which this is not"
    };
    Some(format!(
        "the load balancer will be reached on `{name}` from {machine}: {PUBLISH_LB}=always opens port {port} of the host to \
         everybody"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::tests::engine;
    use crate::service::tests::spec;

    fn podman() -> Endpoint {
        Endpoint {
            podman: true,
            ..engine()
        }
    }

    fn vch() -> Endpoint {
        Endpoint {
            kind: Kind::Vch,
            ..engine()
        }
    }

    #[test]
    fn a_newcomer_is_told_what_works_on_this_endpoint() {
        let told = |endpoint: &Endpoint, there: &[&str]| {
            no_external(endpoint, there, Some(spec(&[]).lb_port)).to_string()
        };
        assert_eq!(
            told(&engine(), &["bridge"]),
            "`vch-lb up --external-net bridge --publish-lb always` serves on port 80 of the endpoint's host; for a network of \
             your own set EXTERNAL_NET to one that you make with `docker network create`"
        );
        assert_eq!(
            told(&podman(), &["bridge", "dmz"]),
            "`vch-lb up --external-net podman --publish-lb always` serves on port 80 of the endpoint's host; for a network of \
             your own set EXTERNAL_NET to one that is there, `dmz`, or one that you make with `docker network create`"
        );
        assert_eq!(
            told(&vch(), &["public", "dmz"]),
            "set EXTERNAL_NET to a container network of this VCH (`public` and `dmz`): `vch-lb up --external-net public`"
        );
        assert!(told(&vch(), &["bridge"]).contains("vic-machine configure"));
    }

    #[test]
    fn a_network_has_to_be_called_what_containers_will_say() {
        let net = |name: &str| NetworkName::parse(name).unwrap();
        let found = |name: &str| Network {
            name: name.into(),
            ..Network::default()
        };
        let other = |endpoint: &Endpoint, found_as: &str, wanted: &str| {
            other_name(endpoint, &found(found_as), &net(wanted))
        };
        assert_eq!(other(&engine(), "bridge", "bridge"), None);
        assert_eq!(other(&engine(), "dmz", "3f2a").as_deref(), Some("dmz"));
        assert_eq!(
            other(&podman(), "bridge", "bridge").as_deref(),
            Some("podman")
        );
        assert_eq!(other(&podman(), "podman", "podman"), None);
    }

    #[test]
    fn ports_that_only_root_may_have_are_told_where_nobody_is_root() {
        let rootless = Endpoint {
            rootless: true,
            ..engine()
        };
        let always = ("PUBLISH_LB", "always");
        for (endpoint, given, expected) in [
            (engine(), &[("LB_IMG", "haproxy:2.6"), always][..], ""),
            (
                podman(),
                &[("LB_IMG", "haproxy:2.6")],
                "may not serve on port 80 under Podman",
            ),
            (
                podman(),
                &[("LB_IMG", "docker.io/library/haproxy:lts")],
                "may not serve on port 80",
            ),
            (podman(), &[("LB_IMG", "haproxy:2.2")], ""),
            (podman(), &[("LB_IMG", "team/lb")], ""),
            (
                podman(),
                &[("LB_IMG", "haproxy:2.6"), ("LB_PORT", "8080")],
                "",
            ),
            (
                podman(),
                &[("LB_IMG", "haproxy:2.6"), ("LB_ARGS", "--user root")],
                "",
            ),
            (rootless.clone(), &[], ""),
            (rootless.clone(), &[always], "may not publish port 80"),
            (rootless, &[always, ("LB_PORT", "1024")], ""),
        ] {
            let told: String = ports(&spec(given), &endpoint)
                .into_iter()
                .map(|warning| warning.what)
                .collect();
            let fits = told.contains(expected) && told.is_empty() == expected.is_empty();
            assert!(fits, "{given:?}: {told}");
        }
    }

    #[test]
    fn who_reaches_the_engines_own_network_is_told() {
        let net = |name: &str| Network {
            name: name.into(),
            driver: "bridge".into(),
            ..Network::default()
        };
        let port = spec(&[]).lb_port;
        let told = |endpoint: &Endpoint, name: &str, here| {
            unpublished(endpoint, &net(name), port, here).unwrap_or_default()
        };
        assert!(told(&engine(), "bridge", true).contains("from this machine itself: "));
        assert!(told(&engine(), "bridge", false).contains("own machine, which this is not"));
        assert!(told(&podman(), "podman", false).contains("`podman`"));
        assert_eq!(told(&engine(), "routable", false), "");
        assert_eq!(told(&vch(), "bridge", false), "");
    }
}
