//! The ports of the endpoint's host that a load balancer is to publish, and who has them already. Pure.
//!
//! An engine finds out only when the container is started, long after everything else was made.

use std::net::IpAddr;

use crate::service::arguments::Arguments;
use crate::service::names::Names;
use crate::service::{Publish, Spec};
use crate::settings::{INSTANCE_ARGS, LB_ARGS, LB_PORT, PUBLISH_LB};

/// A TCP port of the endpoint's host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPort {
    /// `None`: on all of the host's addresses, of both kinds.
    pub ip: Option<IpAddr>,
    pub port: u16,
}

impl HostPort {
    fn new(ip: &str, port: u16) -> Self {
        let ip = ip.trim_matches(['[', ']']).parse().ok();
        Self { ip, port }
    }

    /// Whether one of the two leaves no room for the other.
    fn excludes(&self, other: &Self) -> bool {
        let (Some(one), Some(two)) = (self.ip, other.ip) else {
            return self.port == other.port;
        };
        let meet = one == two
            || (one.is_ipv4() == two.is_ipv4() && (one.is_unspecified() || two.is_unspecified()));
        self.port == other.port && meet
    }
}

/// A port that is to be published, and the setting that says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    pub at: HostPort,
    /// The container's own port.
    pub container: u16,
    pub setting: &'static str,
}

/// What the load balancer of `spec` is to publish on the host of an engine.
pub fn wanted(spec: &Spec) -> Vec<Wanted> {
    let served = [(spec.lb_port, LB_PORT)]
        .into_iter()
        .chain(spec.tuning.further_ports());
    let always = served.filter(|_| spec.publish == Publish::Always);
    let always = always.map(|(port, setting)| {
        let container = port.get();
        let at = HostPort::new("", container);
        Wanted {
            at,
            container,
            setting,
        }
    });
    let by_args = by_arguments(&spec.tuning.lb_args, LB_ARGS);
    always.chain(by_args).collect()
}

fn by_arguments(arguments: &Arguments, setting: &'static str) -> Vec<Wanted> {
    let values = arguments.values_of(&["-p", "--publish"]);
    let at = values.into_iter().filter_map(on_host);
    at.map(|(at, container)| Wanted {
        at,
        container,
        setting,
    })
    .collect()
}

/// Where `-p VALUE` publishes a TCP port; `None` where docker chooses the port, and for ranges, which it may choose from.
fn on_host(value: &str) -> Option<(HostPort, u16)> {
    let (value, protocol) = value.split_once('/').unwrap_or((value, "tcp"));
    let (rest, container) = value.rsplit_once(':')?;
    let container = container.parse().ok()?;
    let (ip, port) = rest.rsplit_once(':').unwrap_or(("", rest));
    let port = port.parse().ok().filter(|port| *port != 0)?;
    (protocol == "tcp").then(|| (HostPort::new(ip, port), container))
}

/// A TCP port of the host that a container publishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    pub at: HostPort,
    pub by: String,
}

/// What `docker ps` with [`crate::docker::argv::PORTS_FORMAT`] prints: `web/0.0.0.0:8080-8081->80-81/tcp, :::443->443/tcp`.
pub fn taken(stdout: &[u8]) -> Vec<Taken> {
    let text = String::from_utf8_lossy(stdout);
    let mut taken = Vec::new();
    for line in text.lines() {
        let Some((by, ports)) = line.split_once('/') else {
            continue;
        };
        for entry in ports.split(", ") {
            taken.extend(published(entry).map(|at| Taken {
                at,
                by: by.to_owned(),
            }));
        }
    }
    taken
}

fn published(entry: &str) -> impl Iterator<Item = HostPort> + use<> {
    let on_host = || {
        let (host, container) = entry.trim().split_once("->")?;
        let (ip, ports) = host.rsplit_once(':')?;
        let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
        let ports = first.parse::<u16>().ok()?..=last.parse::<u16>().ok()?;
        container
            .ends_with("/tcp")
            .then(|| ports.map(|port| HostPort::new(ip, port)).collect())
    };
    let found: Option<Vec<HostPort>> = on_host();
    found.unwrap_or_default().into_iter()
}

/// That a port can't be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    pub what: String,
    pub hint: String,
}

/// Why the load balancer of `spec` could not be started. `taken` is what others on the endpoint publish.
pub fn conflict(spec: &Spec, taken: &[Taken]) -> Option<Conflict> {
    let wanted = wanted(spec);
    twice(&wanted)
        .or_else(|| with_instances(spec, &wanted))
        .or_else(|| with_others(spec.names(), &wanted, taken))
}

/// Two settings that want the same port.
fn twice(wanted: &[Wanted]) -> Option<Conflict> {
    let mut pairs = wanted
        .iter()
        .enumerate()
        .flat_map(|(at, one)| wanted[at + 1..].iter().map(move |two| (one, two)));
    let (one, two) = pairs.find(|(one, two)| one.at.excludes(&two.at))?;
    let port = one.at.port;
    Some(Conflict {
        what: format!(
            "the load balancer would publish port {port} of the endpoint's host twice, by {} and by {}",
            one.setting, two.setting
        ),
        hint: format!("take `-p` out of {LB_ARGS}, or set {PUBLISH_LB} to never"),
    })
}

fn with_instances(spec: &Spec, wanted: &[Wanted]) -> Option<Conflict> {
    let theirs = by_arguments(&spec.instance_args, INSTANCE_ARGS);
    let (lb, _) = wanted
        .iter()
        .flat_map(|lb| theirs.iter().map(move |own| (lb, own)))
        .find(|(lb, own)| lb.at.excludes(&own.at))?;
    Some(Conflict {
        what: format!(
            "the load balancer ({}) and the instances ({INSTANCE_ARGS}) would both publish port {} of the endpoint's host",
            lb.setting, lb.at.port
        ),
        hint: format!("take `-p` out of {INSTANCE_ARGS}: clients come in by the load balancer"),
    })
}

fn with_others(names: &Names, wanted: &[Wanted], taken: &[Taken]) -> Option<Conflict> {
    let others = taken
        .iter()
        .filter(|taken| taken.by != names.lb.as_str() && taken.by != names.lb_aside());
    let (lb, other) = others
        .flat_map(|taken| wanted.iter().map(move |lb| (lb, taken)))
        .find(|(lb, taken)| lb.at.excludes(&taken.at))?;
    let Wanted { at, setting, .. } = lb;
    Some(Conflict {
        what: format!(
            "port {} of the endpoint's host ({setting}) is taken: `{}` publishes it",
            at.port, other.by
        ),
        hint: format!("choose another port by {setting}, or remove `{}`", other.by),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::tests::spec;

    fn at(text: &str) -> HostPort {
        let (ip, port) = text.rsplit_once(':').unwrap();
        HostPort::new(ip, port.parse().unwrap())
    }

    #[test]
    fn what_is_to_be_published_is_read_off_the_settings() {
        let ports = |given: &[(&str, &str)]| -> Vec<(HostPort, &str)> {
            let wanted = wanted(&spec(given)).into_iter();
            wanted.map(|wanted| (wanted.at, wanted.setting)).collect()
        };
        assert_eq!(ports(&[]), []);
        assert_eq!(ports(&[("LB_PORT", "8080"), ("PUBLISH_LB", "never")]), []);
        assert_eq!(
            ports(&[
                ("PUBLISH_LB", "always"),
                ("STATS_PORT", "9000"),
                ("LB_PORT", "8080")
            ]),
            [(at(":8080"), "LB_PORT"), (at(":9000"), "STATS_PORT")]
        );
        assert_eq!(
            ports(&[(
                "LB_ARGS",
                "-p 192.0.2.1:8080:80 -p8443:443/tcp --publish=[::1]:81:80 -p 80 -p 53:53/udp -p 9000-9001:9000-9001 \
                 -p 127.0.0.1::80 --env A=-p"
            )]),
            [
                (at("192.0.2.1:8080"), "LB_ARGS"),
                (at(":8443"), "LB_ARGS"),
                (at("[::1]:81"), "LB_ARGS")
            ]
        );
    }

    #[test]
    fn what_is_taken_is_read_off_dockers_list() {
        let listed = "web-1/0.0.0.0:32768->80/tcp, :::32768->80/tcp\n\
                      lb/192.0.2.1:80->80/tcp, 443/tcp\n\
                      range/0.0.0.0:8000-8001->8000-8001/tcp\n\
                      new/[::]:90->90/tcp\n\
                      dns/0.0.0.0:53->53/udp\n\
                      vch/10.0.0.1:0->0/*\n\
                      none/\nodd";
        let found: Vec<(String, HostPort)> = taken(listed.as_bytes())
            .into_iter()
            .map(|taken| (taken.by, taken.at))
            .collect();
        let expected = [
            ("web-1", "0.0.0.0:32768"),
            ("web-1", "[::]:32768"),
            ("lb", "192.0.2.1:80"),
            ("range", "0.0.0.0:8000"),
            ("range", "0.0.0.0:8001"),
            ("new", "[::]:90"),
        ];
        assert_eq!(found, expected.map(|(by, port)| (by.to_owned(), at(port))));
    }

    #[test]
    fn ports_exclude_each_other_where_addresses_meet() {
        for (one, two, excludes) in [
            (":80", ":80", true),
            (":80", ":81", false),
            (":80", "192.0.2.1:80", true),
            (":80", "[::1]:80", true),
            ("0.0.0.0:80", "192.0.2.1:80", true),
            ("0.0.0.0:80", "[::]:80", false),
            ("192.0.2.1:80", "192.0.2.1:80", true),
            ("192.0.2.1:80", "192.0.2.2:80", false),
            ("127.0.0.1:80", "[::1]:80", false),
        ] {
            assert_eq!(at(one).excludes(&at(two)), excludes, "{one} {two}");
            assert_eq!(at(two).excludes(&at(one)), excludes, "{two} {one}");
        }
    }

    #[test]
    fn whoever_has_the_port_is_named() {
        let always = ("PUBLISH_LB", "always");
        let by_args = |value| ("LB_ARGS", value);
        let listed = b"other-lb/0.0.0.0:80->80/tcp, :::80->80/tcp\nlb/0.0.0.0:81->81/tcp\nlb-old/0.0.0.0:82->82/tcp";
        for (given, found) in [
            (&[][..], None),
            (&[("PUBLISH_LB", "never")], None),
            (&[always], Some("`other-lb` publishes it")),
            (
                &[by_args("-p 192.0.2.1:80:80")],
                Some("(LB_ARGS) is taken: `other-lb`"),
            ),
            (&[always, ("LB_PORT", "81")], None),
            (&[always, ("LB_PORT", "83")], None),
            (
                &[always, by_args("-p 80:8080")],
                Some("twice, by LB_PORT and by LB_ARGS"),
            ),
            (
                &[
                    always,
                    ("LB_PORT", "83"),
                    ("NUM_INSTANCES", "1"),
                    ("INSTANCE_ARGS", "-p 83:9000"),
                ],
                Some("would both publish port 83"),
            ),
        ] {
            let conflict = conflict(&spec(given), &taken(listed));
            let what = conflict.map(|conflict| conflict.what);
            match found {
                None => assert_eq!(what, None, "{given:?}"),
                Some(found) => assert!(
                    what.as_deref().unwrap_or_default().contains(found),
                    "{what:?}"
                ),
            }
        }
    }
}
