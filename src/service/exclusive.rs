//! What only so many instances can have at a time: a port of the endpoint, an address. Docker refuses the next container
//! that asks for it, so it is told before anything is made. Pure.

use super::arguments::Arguments;
use super::names::Port;
use super::{LABEL, Spec};
use crate::inventory::Container;

/// An argument of instances that is one container's alone, or a few's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exclusive {
    /// As it was given: `-p 9090:9090`.
    pub argument: String,
    /// How many instances can have it side by side, at least 1: a range of ports has room for as many.
    pub room: usize,
    /// What they would share: `the port 9090 of the endpoint`.
    what: String,
    /// What to write instead.
    instead: &'static str,
}

impl Exclusive {
    /// Why `count` instances can't have it; `None` where there is room for them.
    pub fn refusal(&self, count: usize) -> Option<String> {
        let Self {
            argument,
            room,
            what,
            instead,
        } = self;
        (count > *room).then(|| {
            let room = if *room == 1 {
                "one instance".to_owned()
            } else {
                format!("{room} instances")
            };
            format!("`{argument}` gives {what} to {room}, and there are to be {count}: {instead}")
        })
    }
}

/// Those among `arguments`.
pub fn among(arguments: &Arguments) -> Vec<Exclusive> {
    arguments
        .pairs()
        .filter_map(|(option, value)| exclusive(option, value?))
        .collect()
}

/// Whether `instance` was run with `argument`, as its label tells.
pub fn has(instance: &Container, argument: &Exclusive, port: Port) -> bool {
    let label = instance.labels.get(LABEL);
    label
        .and_then(|label| Spec::from_label(label, port).ok())
        .is_some_and(|(told, _)| {
            let mut told = told.pairs();
            told.any(|(option, value)| {
                value.and_then(|value| exclusive(option, value)).as_ref() == Some(argument)
            })
        })
}

fn exclusive(option: &str, value: &str) -> Option<Exclusive> {
    let joined = if option.len() == 2 || !option.starts_with("--") {
        format!("{option} {value}")
    } else {
        format!("{option}={value}")
    };
    let with = |room, what, instead| Exclusive {
        argument: joined.clone(),
        room,
        what,
        instead,
    };
    match option {
        "-p" | "--publish" => {
            let (ports, room) = host_ports(value)?;
            let what = format!("the port {ports} of the endpoint");
            let instead = "with the container's port alone, docker chooses a free one for each; a range \
                           such as 9090-9099:9090 has room for as many";
            Some(with(room, what, instead))
        }
        "--ip" | "--ip6" => Some(with(
            1,
            format!("the address {value}"),
            "leave it out, and each gets one of its own",
        )),
        "--mac-address" => Some(with(
            1,
            format!("the MAC address {value}"),
            "leave it out, and each gets one of its own",
        )),
        _ => None,
    }
}

/// The ports of the endpoint that a `-p` value names, and how many those are: `9090:9090`, `127.0.0.1:9090-9099:80/tcp`,
/// `[::1]:9090:80`, `published=9090,target=80`. `None` where docker chooses.
fn host_ports(value: &str) -> Option<(&str, usize)> {
    let ports = if value.contains('=') {
        value
            .split(',')
            .find_map(|field| field.strip_prefix("published="))?
    } else {
        let (host, _container) = value.rsplit_once(':')?;
        // What stands before is an address.
        host.rsplit_once(':').map_or(host, |(_, ports)| ports)
    };
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
    (first > 0).then(|| (ports, last.saturating_sub(first) + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rooms(given: &str) -> Vec<(String, usize)> {
        let arguments = Arguments::parse(given, Some(80)).unwrap();
        let all = among(&arguments).into_iter();
        all.map(|each| (each.argument, each.room)).collect()
    }

    #[test]
    fn what_one_container_can_have_is_known() {
        for (given, argument, room) in [
            ("-p 9090:9090", "-p 9090:9090", 1),
            ("-p9090:9090", "-p 9090:9090", 1),
            ("--publish 9090:81/udp", "--publish=9090:81/udp", 1),
            ("-p 127.0.0.1:9090:81", "-p 127.0.0.1:9090:81", 1),
            ("-p '[::1]:9090:81'", "-p [::1]:9090:81", 1),
            ("-p 9090-9099:9090", "-p 9090-9099:9090", 10),
            (
                "-p published=9090,target=81",
                "-p published=9090,target=81",
                1,
            ),
            ("--ip 10.0.0.5", "--ip=10.0.0.5", 1),
            ("--ip6=fd00::5", "--ip6=fd00::5", 1),
            (
                "--mac-address 02:00:00:00:00:05",
                "--mac-address=02:00:00:00:00:05",
                1,
            ),
        ] {
            let rooms = rooms(given);
            assert_eq!(rooms, [(argument.to_owned(), room)], "{given}");
        }
        for given in [
            "-p 9090",
            "-p 9090/udp",
            "-p 127.0.0.1::81",
            "-p 0:81",
            "-p target=81",
            "--env A=9090:9090 -m 64m --hostname x",
        ] {
            assert_eq!(rooms(given), [], "{given}");
        }
    }

    #[test]
    fn more_than_there_is_room_for_is_refused_with_what_to_write() {
        let arguments = Arguments::parse("-p 9090-9091:81", None).unwrap();
        let ports = &among(&arguments)[0];
        assert_eq!(ports.refusal(2), None);
        let refusal = ports.refusal(3).unwrap();
        assert!(
            refusal.starts_with(
                "`-p 9090-9091:81` gives the port 9090-9091 of the endpoint to 2 instances, and there are to be 3: "
            ),
            "{refusal}"
        );
    }
}
