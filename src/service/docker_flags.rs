//! The flags of `docker run` and `docker create`, and what each may do. Data, and nothing else decides by a flag's name.
//!
//! Arguments come from two sides. What the admin's own settings say (INSTANCE_ARGS, LB_ARGS) is passed on, unless it would
//! break the plan. What the endpoint says can have been written by anybody who uses it: the label of an instance, which
//! tells how the next one is to be run, and the settings line of the load balancer's haproxy.cfg. Of that only what is
//! listed here as a matter between endpoint and container is passed on; a flag that is not listed is not. What the endpoint
//! can carry besides:
//! - the command behind `--` in a label stands behind the image, where docker takes every word for the container's;
//! - an image's name is checked like the admin's own (`names::ImageRef`), so that it is no option. Pulling it gives the
//!   endpoint what this workstation's docker has for that registry, as pulling any image does;
//! - networks' and containers' names are checked (`names`, `docker::answer`);
//! - the settings line and a template found in the load balancer only decide what is rendered into a haproxy.cfg. Files are
//!   named by settings alone: there the line says `yes`, and what lies beside it is taken, never a path;
//! - the LB_ARGS of a settings line are compared with the admin's, and a load balancer is only made from the admin's.
//!
//! Facts: `docker run --help` and `docker create --help` of docker 28.2.2, and the flags that the client hides or shows only
//! for some endpoints.

use Class::{Env, LocalTrust, Mount, Plain, Power, Reads, Refused, SecurityOpt, Volume};

/// What a flag is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// A matter between endpoint and container.
    Plain,
    /// The same, but it gives the container more of the endpoint than a container has: passed on, and said if the endpoint
    /// told it.
    Power,
    /// Docker's client reads what it names on this workstation.
    Reads,
    /// `NAME=VALUE`, or `NAME` alone: read from this workstation's environment.
    Env,
    /// A power; `seccomp=FILE` is read on this workstation.
    SecurityOpt,
    /// `HOST:PATH`; a relative HOST is looked up on this workstation.
    Volume,
    /// The same, as `type=bind,source=HOST,…`.
    Mount,
    /// Decides what this workstation trusts.
    LocalTrust,
    /// It would break the plan, for this reason.
    Refused(&'static str),
}

/// A flag of docker's client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flag {
    /// `--env`
    pub name: &'static str,
    /// `-e`
    pub short: Option<&'static str>,
    /// Whether a value follows; without one it is on, and `--flag=false` turns it off.
    pub takes_value: bool,
    pub class: Class,
}

const fn value(name: &'static str, class: Class) -> Flag {
    Flag {
        name,
        short: None,
        takes_value: true,
        class,
    }
}

const fn switch(name: &'static str, class: Class) -> Flag {
    Flag {
        takes_value: false,
        ..value(name, class)
    }
}

impl Flag {
    const fn or(self, short: &'static str) -> Self {
        Self {
            short: Some(short),
            ..self
        }
    }
}

const NAMES: Class = Refused("names are given by vch-lb");
const NETWORKS: Class = Refused("networks are given by vch-lb");
const PORTS: Class = Refused("ports are published by vch-lb");
const BACKGROUND: Class = Refused("containers run in the background already");
const NOBODY: Class = Refused("nobody is attached");
const NO_STDIN: Class = Refused("there is no stdin for it to read");

/// Every flag that is known.
pub const FLAGS: &[Flag] = &[
    value("--add-host", Plain),
    value("--annotation", Plain),
    value("--attach", NOBODY).or("-a"),
    value("--blkio-weight", Plain),
    value("--blkio-weight-device", Plain),
    value("--cap-add", Power),
    value("--cap-drop", Plain),
    value("--cgroup-parent", Plain),
    value("--cgroupns", Power),
    value("--cidfile", Refused("vch-lb keeps no files")),
    value("--cpu-count", Plain),
    value("--cpu-percent", Plain),
    value("--cpu-period", Plain),
    value("--cpu-quota", Plain),
    value("--cpu-rt-period", Plain),
    value("--cpu-rt-runtime", Plain),
    value("--cpu-shares", Plain).or("-c"),
    value("--cpus", Plain),
    value("--cpuset-cpus", Plain),
    value("--cpuset-mems", Plain),
    switch("--detach", BACKGROUND).or("-d"),
    value("--detach-keys", NOBODY),
    value("--device", Power),
    value("--device-cgroup-rule", Power),
    value("--device-read-bps", Plain),
    value("--device-read-iops", Plain),
    value("--device-write-bps", Plain),
    value("--device-write-iops", Plain),
    switch("--disable-content-trust", LocalTrust),
    value("--dns", Plain),
    value("--dns-opt", Plain),
    value("--dns-option", Plain),
    value("--dns-search", Plain),
    value("--domainname", Plain),
    value("--entrypoint", Plain),
    value("--env", Env).or("-e"),
    value("--env-file", Reads),
    value("--expose", Plain),
    value("--gpus", Power),
    value("--group-add", Plain),
    value("--health-cmd", Plain),
    value("--health-interval", Plain),
    value("--health-retries", Plain),
    value("--health-start-interval", Plain),
    value("--health-start-period", Plain),
    value("--health-timeout", Plain),
    switch("--help", Refused("it would start nothing")),
    value("--hostname", Plain).or("-h"),
    switch("--init", Plain),
    switch("--interactive", NO_STDIN).or("-i"),
    value("--io-maxbandwidth", Plain),
    value("--io-maxiops", Plain),
    value("--ip", Plain),
    value("--ip6", Plain),
    value("--ipc", Power),
    value("--isolation", Power),
    value("--kernel-memory", Plain),
    value("--label", Plain).or("-l"),
    value("--label-file", Reads),
    value("--link", Plain),
    value("--link-local-ip", Plain),
    value("--log-driver", Plain),
    value("--log-opt", Plain),
    value("--mac-address", Plain),
    value("--memory", Plain).or("-m"),
    value("--memory-reservation", Plain),
    value("--memory-swap", Plain),
    value("--memory-swappiness", Plain),
    value("--mount", Mount),
    value("--name", NAMES),
    value("--net", NETWORKS),
    value("--net-alias", Plain),
    value("--network", NETWORKS),
    value("--network-alias", Plain),
    switch("--no-healthcheck", Plain),
    switch("--oom-kill-disable", Plain),
    value("--oom-score-adj", Plain),
    value("--pid", Power),
    value("--pids-limit", Plain),
    value("--platform", Plain),
    switch("--privileged", Power),
    value("--publish", Plain).or("-p"),
    switch("--publish-all", PORTS).or("-P"),
    value("--pull", Plain),
    switch("--quiet", Refused("vch-lb reads what docker prints")).or("-q"),
    switch("--read-only", Plain),
    value("--restart", Plain),
    switch(
        "--rm",
        Refused("a container that removes itself can't be resumed or explained"),
    ),
    value("--runtime", Power),
    value("--security-opt", SecurityOpt),
    value("--shm-size", Plain),
    switch("--sig-proxy", NOBODY),
    value("--stop-signal", Plain),
    value("--stop-timeout", Plain),
    value("--storage-opt", Plain),
    value("--sysctl", Plain),
    value("--tmpfs", Plain),
    switch("--tty", Refused("there is no terminal")).or("-t"),
    value("--ulimit", Plain),
    switch("--use-api-socket", Reads),
    value("--user", Plain).or("-u"),
    value("--userns", Power),
    value("--uts", Power),
    value("--volume", Volume).or("-v"),
    value("--volume-driver", Power),
    value("--volumes-from", Power),
    value("--workdir", Plain).or("-w"),
];

/// The flag called `option`, by its long or short name.
pub fn flag(option: &str) -> Option<&'static Flag> {
    FLAGS
        .iter()
        .find(|flag| flag.name == option || flag.short == Some(option))
}

#[cfg(test)]
#[path = "../../tests/docker_help.rs"]
mod docker_help;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flag_of_the_docker_client_is_listed_as_it_is() {
        for (help, flags) in [
            (include_str!("../../tests/fixtures/docker-run-28.txt"), 100),
            (
                include_str!("../../tests/fixtures/docker-create-28.txt"),
                97,
            ),
        ] {
            let there = super::docker_help::flags(help);
            assert_eq!(there.len(), flags, "{there:?}");
            for (short, name, takes_value) in there {
                let known = flag(name).unwrap_or_else(|| panic!("{name} is not listed"));
                assert_eq!(
                    (known.short, known.takes_value),
                    (short, takes_value),
                    "{name}"
                );
            }
        }
    }

    #[test]
    fn flags_are_listed_once() {
        let names = |name: &str| {
            let same = |flag: &&Flag| flag.name == name || flag.short == Some(name);
            FLAGS.iter().filter(same).count()
        };
        for known in FLAGS {
            assert_eq!(names(known.name), 1, "{}", known.name);
            assert!(
                known.short.is_none_or(|short| names(short) == 1),
                "{}",
                known.name
            );
        }
    }
}
