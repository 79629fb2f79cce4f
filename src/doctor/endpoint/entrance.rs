//! Where clients will come in, and whether the ports for that are free. Pure.

use super::There;
use crate::doctor::{Check, Wanted};
use crate::inventory::Kind;
use crate::place::ways_in;
use crate::service::Spec;
use crate::{advice, host_ports};

pub(super) const ABOUT: &str = "entrance";

pub(super) fn checks(there: &There, wanted: &Wanted) -> Vec<Check> {
    let Some(spec) = &wanted.spec else {
        return Vec::new();
    };
    let mut checks = vec![place(there, spec)];
    let made = there.inventory().is_some_and(|found| found.lb.is_some());
    if there.is_vch() || made {
        return checks;
    }
    match &there.taken {
        Err(failure) => {
            let otherwise = "`docker ps` asks the same";
            checks.push(Check::failed(ABOUT, failure, otherwise));
        }
        Ok(taken) => {
            let conflict = host_ports::conflict(spec, taken);
            let failure = conflict.map(|found| Check::failure(ABOUT, found.what, found.hint));
            checks.extend(failure);
        }
    }
    let warnings = advice::ports(spec, &there.endpoint()).into_iter();
    checks.extend(warnings.map(|told| Check::warning(ABOUT, told.what, told.remedy)));
    checks
}

/// Where the load balancer is, or will be.
fn place(there: &There, spec: &Spec) -> Check {
    let lb = there.inventory().and_then(|found| found.lb.as_ref());
    let external = spec.external_net().as_str();
    if let Some(lb) = lb {
        let kind = there.endpoint().kind;
        let ways = ways_in(lb, external, spec.lb_port, kind, || there.host.clone());
        if let Some(place) = ways.first() {
            return Check::ok(ABOUT, format!("clients come in at {place}"));
        }
    }
    let published = host_ports::wanted(spec).into_iter();
    let mut published = published.filter(|wanted| wanted.container == spec.lb_port.get());
    let found = match (published.next(), there.endpoint().kind) {
        (Some(wanted), Kind::Engine) => format!("clients will come in at {}", at(there, &wanted)),
        _ => format!("clients will come in at the load balancer's own address on `{external}`"),
    };
    Check::ok(ABOUT, found)
}

fn at(there: &There, wanted: &host_ports::Wanted) -> String {
    let port = wanted.at.port;
    let ip = wanted.at.ip.map_or(String::new(), |ip| ip.to_string());
    match crate::place::published_on(&ip, || there.host.clone()) {
        Some(host) if host.contains(':') => format!("[{host}]:{port}"),
        Some(host) => format!("{host}:{port}"),
        None => format!("port {port} of the endpoint's host"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{engine, vch};
    use super::*;
    use crate::docker::host::{Host, Way};
    use crate::doctor::diagnose;
    use crate::doctor::tests::{about, facts};

    fn seen(there: There, given: &[(&str, &str)]) -> Vec<String> {
        let mut facts = facts(Some(Ok(there)));
        facts.wanted.spec = Some(crate::service::tests::spec(given));
        about(&diagnose(&facts).checks, ABOUT)
    }

    fn at_host() -> There {
        There {
            host: Some(Host {
                name: "docker.example.com".into(),
                way: Way::Network,
            }),
            ..engine()
        }
    }

    #[test]
    fn where_clients_will_come_in_is_told() {
        let own = "ok: clients will come in at the load balancer's own address on `routable`";
        let always = ("PUBLISH_LB", "always");
        assert_eq!(seen(at_host(), &[]), [own]);
        assert_eq!(seen(vch("v1.5.8-1-a"), &[always]), [own]);
        assert_eq!(
            seen(at_host(), &[always, ("LB_PORT", "8080")]),
            ["ok: clients will come in at docker.example.com:8080"]
        );
        assert_eq!(
            seen(at_host(), &[("LB_ARGS", "-p 192.0.2.7:8080:80")]),
            ["ok: clients will come in at 192.0.2.7:8080"]
        );
        assert_eq!(
            seen(engine(), &[always]),
            ["ok: clients will come in at port 80 of the endpoint's host"]
        );
    }

    #[test]
    fn a_port_that_is_taken_is_a_failure() {
        let there = There {
            taken: Ok(host_ports::taken(b"other/0.0.0.0:80->80/tcp")),
            ..at_host()
        };
        let checks = seen(there, &[("PUBLISH_LB", "always")]);
        assert_eq!(
            checks[1],
            "failure: port 80 of the endpoint's host (LB_PORT) is taken: `other` publishes it"
        );
    }
}
