//! Pure builders of docker argument lists, one function per docker subcommand, read top to bottom like the command.
//!
//! Nothing is run here and nothing is read. Everything that is emitted has to work on a VCH (API 1.25): a new flag
//! belongs on the safe list in `tests/cli/safe_list.rs` first.

use std::fmt;
use std::path::Path;

use super::words::quote;
use crate::moment::Moment;
use crate::secrets::{self, redact};
use crate::service::{IMAGE_LABEL, LABEL};

/// The arguments of one docker call, without the program and its global options.
///
/// `Display` quotes them as a shell would and hides the values of environment variables; [`Argv::words`] hides nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Argv(Vec<String>);

impl Argv {
    /// The words as docker gets them.
    pub fn words(&self) -> &[String] {
        &self.0
    }

    /// Quoted for a shell, nothing hidden.
    pub fn script(&self) -> String {
        quote(&self.0)
    }

    /// For a script that is to be run: what is secret is taken from `variables`.
    pub fn script_with(&self, variables: &mut secrets::Variables) -> String {
        variables.script(&self.0)
    }

    fn new<const N: usize>(words: [&str; N]) -> Self {
        Self(words.map(str::to_owned).to_vec())
    }

    fn and<I>(mut self, words: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.0.extend(words.into_iter().map(Into::into));
        self
    }
}

impl fmt::Display for Argv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&quote(&redact(&self.0)))
    }
}

/// What is asked of each container: one JSON object a line, only what is read, so that thousands stay cheap.
///
/// By their Go names: for another, docker's client falls back from its own type to the bare answer, in which empty fields
/// are missing, and fails on them.
pub const CONTAINER_FORMAT: &str = concat!(
    r#"{"Name":{{json .Name}},"State":{{json .State}},"RestartCount":{{json .RestartCount}},"Image":{{json .Image}},"#,
    r#""ConfigImage":{{json .Config.Image}},"Env":{{json .Config.Env}},"Labels":{{json .Config.Labels}},"#,
    r#""ExposedPorts":{{json .Config.ExposedPorts}},"PortBindings":{{json .HostConfig.PortBindings}},"#,
    r#""RestartPolicy":{{json .HostConfig.RestartPolicy}},"HostConfig":{"Memory":{{json .HostConfig.Memory}},"#,
    r#""MemoryReservation":{{json .HostConfig.MemoryReservation}},"NanoCpus":{{json .HostConfig.NanoCPUs}},"#,
    r#""CpuShares":{{json .HostConfig.CPUShares}},"CpusetCpus":{{json .HostConfig.CpusetCpus}},"#,
    r#""Binds":{{json .HostConfig.Binds}},"Mounts":{{json .HostConfig.Mounts}},"#,
    r#""Privileged":{{json .HostConfig.Privileged}},"ReadonlyRootfs":{{json .HostConfig.ReadonlyRootfs}},"#,
    r#""CapAdd":{{json .HostConfig.CapAdd}},"CapDrop":{{json .HostConfig.CapDrop}},"#,
    r#""ExtraHosts":{{json .HostConfig.ExtraHosts}}},"#,
    r#""Ports":{{json .NetworkSettings.Ports}},"Networks":{{json .NetworkSettings.Networks}}}"#
);

/// What is asked of each image, by Go names, too.
pub const IMAGE_FORMAT: &str = r#"{"Id":{{json .ID}}{{with .Config}},"Env":{{json .Env}}{{end}}}"#;

/// What is asked of each network in a list: a network's name holds no slash.
pub const NETWORK_FORMAT: &str = "{{.Driver}}/{{.Name}}";

/// What is asked of each container about its ports: a container's name holds no slash.
pub const PORTS_FORMAT: &str = "{{.Names}}/{{.Ports}}";

/// What is asked of each container in a list: no blank in it, and an ID holds no slash.
pub const LISTED_FORMAT: &str = "{{.ID}}/{{.Names}}";

/// What client and endpoint speak.
pub fn version() -> Argv {
    Argv::new(["version", "--format", "{{json .}}"])
}

/// The client's way to the endpoint; asks no endpoint. Clients before 19.03 don't know it.
pub fn context_inspect() -> Argv {
    Argv::new(["context", "inspect", "--format", "{{json .}}"])
}

/// What the endpoint says of itself.
pub fn info() -> Argv {
    Argv::new(["info", "--format", "{{json .}}"])
}

pub fn network_inspect(networks: &[&str]) -> Argv {
    Argv::new(["network", "inspect"]).and(networks.iter().copied())
}

pub fn network_ls() -> Argv {
    Argv::new(["network", "ls", "--format", "{{.Name}}"])
}

/// All networks with their drivers.
pub fn network_ls_drivers() -> Argv {
    Argv::new(["network", "ls", "--format", NETWORK_FORMAT])
}

/// The IDs, with their names, of all networks whose names contain `name` (as a regular expression on some endpoints).
pub fn network_ls_ids(name: &str) -> Argv {
    Argv::new(["network", "ls", "--no-trunc"])
        .and(["--filter".to_owned(), format!("name={name}")])
        .and(["--format", "{{.ID}}/{{.Name}}"])
}

/// The IDs and names of all containers, in whatever state, that match `name_pattern` (a regular expression without slash:
/// a VCH matches the bare name).
pub fn ps(name_pattern: &str) -> Argv {
    Argv::new(["ps", "-a", "--no-trunc"])
        .and(["--filter".to_owned(), format!("name={name_pattern}")])
        .and(["--format", LISTED_FORMAT])
}

/// The names of all containers, in whatever state, on `network`, by its name or ID.
pub fn ps_on_network(network: &str) -> Argv {
    Argv::new(["ps", "-a", "--no-trunc"])
        .and(["--filter".to_owned(), format!("network={network}")])
        .and(["--format", "{{.Names}}"])
}

/// All running containers with the ports that they publish. Of an engine: a VCH publishes none on a host.
pub fn ps_ports() -> Argv {
    Argv::new(["ps", "--format", PORTS_FORMAT])
}

pub fn inspect(containers: &[String]) -> Argv {
    Argv::new([
        "inspect",
        "--type",
        "container",
        "--format",
        CONTAINER_FORMAT,
    ])
    .and(containers)
}

pub fn image_inspect(images: &[&str]) -> Argv {
    Argv::new(["image", "inspect", "--format", IMAGE_FORMAT]).and(images.iter().copied())
}

/// The names that images of a repository have.
pub fn images(repository: &str) -> Argv {
    Argv::new(["images", "--format", "{{.Repository}}:{{.Tag}}", repository])
}

/// Gives an image another name.
pub fn tag(image: &str, name: &str) -> Argv {
    Argv::new(["tag", image, name])
}

/// Takes names from images; an image goes with its last one.
pub fn rmi(names: &[String]) -> Argv {
    Argv::new(["rmi"]).and(names)
}

pub fn pull(image: &str) -> Argv {
    Argv::new(["pull", image])
}

pub fn network_create(network: &str) -> Argv {
    Argv::new(["network", "create", network])
}

pub fn network_rm(network: &str) -> Argv {
    Argv::new(["network", "rm", network])
}

/// How `docker run` of an instance goes.
#[derive(Debug, Clone)]
pub struct Run<'a> {
    pub name: &'a str,
    pub port: u16,
    pub network: &'a str,
    /// The admin's own arguments.
    pub args: &'a [String],
    /// The value of our label.
    pub label: Option<String>,
    pub image: &'a str,
    /// The name that the admin knows the image by, where `image` is one of the tool's own.
    pub known_as: Option<&'a str>,
    /// In place of the image's own command.
    pub command: &'a [String],
}

pub fn run(run: Run<'_>) -> Argv {
    Argv::new(["run", "-d"])
        .and(["-p".to_owned(), run.port.to_string()])
        .and(["--name", run.name])
        .and(["--net", run.network])
        .and(run.args)
        .and(label(LABEL, run.label))
        .and(label(IMAGE_LABEL, run.known_as.map(str::to_owned)))
        .and([run.image])
        .and(run.command)
}

/// How `docker create` of the load balancer goes.
#[derive(Debug, Clone)]
pub struct Create<'a> {
    pub name: &'a str,
    pub network: &'a str,
    /// Ports to open, each as `-p PORT:PORT`.
    pub publish: &'a [u16],
    /// The admin's own arguments.
    pub args: &'a [String],
    /// The value of our label.
    pub label: Option<String>,
    pub image: &'a str,
}

pub fn create(create: Create<'_>) -> Argv {
    Argv::new(["create"])
        .and(["--name", create.name])
        .and(["--net", create.network])
        .and(
            create
                .publish
                .iter()
                .flat_map(|port| ["-p".to_owned(), format!("{port}:{port}")]),
        )
        .and(create.args)
        .and(label(LABEL, create.label))
        .and([create.image])
}

fn label(name: &str, value: Option<String>) -> impl Iterator<Item = String> {
    let value = value.into_iter();
    value.flat_map(move |value| ["--label".to_owned(), format!("{name}={value}")])
}

pub fn network_connect(network: &str, container: &str) -> Argv {
    Argv::new(["network", "connect", network, container])
}

/// Copies the local file `from` to `path` in `container`.
pub fn cp_in(from: &str, container: &str, path: &str) -> Argv {
    Argv::new(["cp"]).and([local_path(from), format!("{container}:{path}")])
}

/// Unpacks the tar archive on stdin into the directory `path` of `container`.
pub fn cp_stdin(container: &str, path: &str) -> Argv {
    Argv::new(["cp", "-"]).and([format!("{container}:{path}")])
}

/// Writes a tar archive of `path` in `container` to stdout.
pub fn cp_out(container: &str, path: &str) -> Argv {
    Argv::new(["cp"])
        .and([format!("{container}:{path}")])
        .and(["-"])
}

/// A path that docker can't take for an option, for stdin or for `CONTAINER:PATH`.
fn local_path(path: &str) -> String {
    let plain = !path.starts_with('-') && !path.contains(':');
    // An absolute path has a colon of its own on Windows; docker knows it there.
    if plain || path.starts_with(['/', '.']) || Path::new(path).is_absolute() {
        path.to_owned()
    } else {
        format!("./{path}")
    }
}

pub fn start(containers: &[String]) -> Argv {
    Argv::new(["start"]).and(containers)
}

pub fn restart(container: &str) -> Argv {
    Argv::new(["restart", container])
}

/// `grace` is in seconds and at least 1: a VCH takes 0 for 10.
pub fn stop(grace: u64, containers: &[String]) -> Argv {
    Argv::new(["stop"])
        .and(["-t".to_owned(), grace.max(1).to_string()])
        .and(containers)
}

pub fn unpause(container: &str) -> Argv {
    Argv::new(["unpause", container])
}

pub fn rename(from: &str, to: &str) -> Argv {
    Argv::new(["rename", from, to])
}

pub fn kill(signal: &str, container: &str) -> Argv {
    Argv::new(["kill", "-s", signal, container])
}

/// Removes containers with their anonymous volumes, running ones too.
pub fn rm_force(containers: &[String]) -> Argv {
    Argv::new(["rm", "-f", "-v"]).and(containers)
}

pub fn exec(container: &str, command: &[impl AsRef<str>]) -> Argv {
    Argv::new(["exec", container]).and(command.iter().map(AsRef::as_ref))
}

/// The same with its stdin open for as long as the call's is.
pub fn exec_held(container: &str, command: &[&str]) -> Argv {
    Argv::new(["exec", "-i", container]).and(command.iter().copied())
}

/// The same as the container's root, whoever its process runs as.
pub fn exec_as_root(container: &str, command: &[&str]) -> Argv {
    Argv::new(["exec", "-u", "0", container]).and(command.iter().copied())
}

/// Which part of a log.
#[derive(Debug, Clone, Default)]
pub struct Range {
    /// A number of lines, or `all`.
    pub tail: Option<String>,
    /// A time, or a span such as `10m`.
    pub since: Option<String>,
}

impl Range {
    /// The last `lines` lines.
    pub fn last(lines: usize) -> Self {
        Self {
            tail: Some(lines.to_string()),
            since: None,
        }
    }

    /// From `time` on; all of it without one.
    pub fn since(time: Option<Moment>) -> Self {
        Self {
            tail: time.is_none().then(|| "all".to_owned()),
            since: time.map(|time| time.to_string()),
        }
    }
}

/// The log of a container; `timed` with the endpoint's own time before each line.
pub fn logs(container: &str, range: &Range, timed: bool, follow: bool) -> Argv {
    let option = |name: &str, value: &Option<String>| {
        let value = value.clone();
        value.map_or(Vec::new(), |value| vec![name.to_owned(), value])
    };
    Argv::new(["logs"])
        .and(follow.then_some("-f"))
        .and(timed.then_some("-t"))
        .and(option("--tail", &range.tail))
        .and(option("--since", &range.since))
        .and([container])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn builders_read_like_the_command() {
        let run = Run {
            name: "web-1",
            port: 80,
            network: "web-net",
            args: &[],
            label: None,
            image: "httpd",
            known_as: None,
            command: &[],
        };
        let lb = Create {
            name: "lb",
            network: "routable",
            publish: &[],
            args: &[],
            label: None,
            image: "haproxy:1.7",
        };
        let published = Create {
            publish: &[80, 9000],
            ..lb.clone()
        };
        let cfg = "/usr/local/etc/haproxy/haproxy.cfg";
        for (argv, line) in [
            (pull("httpd"), "pull httpd"),
            (network_create("web-net"), "network create web-net"),
            (
                super::run(run),
                "run -d -p 80 --name web-1 --net web-net httpd",
            ),
            (create(lb), "create --name lb --net routable haproxy:1.7"),
            (
                create(published),
                "create --name lb --net routable -p 80:80 -p 9000:9000 haproxy:1.7",
            ),
            (
                network_connect("web-net", "lb"),
                "network connect web-net lb",
            ),
            (
                cp_in("haproxy.cfg", "lb", cfg),
                "cp haproxy.cfg lb:/usr/local/etc/haproxy/haproxy.cfg",
            ),
            (cp_stdin("lb", "/etc"), "cp - lb:/etc"),
            (
                cp_out("lb", cfg),
                "cp lb:/usr/local/etc/haproxy/haproxy.cfg -",
            ),
            (start(&names(&["lb"])), "start lb"),
            (
                stop(0, &names(&["web-1", "web-2"])),
                "stop -t 1 web-1 web-2",
            ),
            (kill("HUP", "lb"), "kill -s HUP lb"),
            (rename("lb", "lb-before"), "rename lb lb-before"),
            (rm_force(&names(&["web-1"])), "rm -f -v web-1"),
            (
                exec("lb", &["haproxy", "-c", "-V", "-f", cfg]),
                "exec lb haproxy -c -V -f /usr/local/etc/haproxy/haproxy.cfg",
            ),
            (
                logs(
                    "lb",
                    &Range {
                        tail: Some("5".into()),
                        since: Some("10m".into()),
                    },
                    true,
                    true,
                ),
                "logs -f -t --tail 5 --since 10m lb",
            ),
            (logs("lb", &Range::default(), false, false), "logs lb"),
            (
                logs("lb", &Range::last(10), false, false),
                "logs --tail 10 lb",
            ),
            (
                logs("lb", &Range::since(None), true, false),
                "logs -t --tail all lb",
            ),
            (
                logs(
                    "lb",
                    &Range::since(Moment::parse("2026-01-02T03:04:05.6Z")),
                    true,
                    false,
                ),
                "logs -t --since 2026-01-02T03:04:05.6Z lb",
            ),
            (network_rm("web-net"), "network rm web-net"),
            (
                ps("^(web-[0-9]+|lb)$"),
                "ps -a --no-trunc --filter 'name=^(web-[0-9]+|lb)$' --format '{{.ID}}/{{.Names}}'",
            ),
        ] {
            assert_eq!(argv.script(), line);
            assert_eq!(argv.to_string(), line);
        }
    }

    #[test]
    fn further_arguments_stand_before_the_image_and_the_command_behind_it() {
        let args = names(&["--env", "A=1 2"]);
        let command = names(&["httpd", "-X"]);
        let argv = run(Run {
            name: "web-1",
            port: 80,
            network: "web-net",
            args: &args,
            label: Some("1 --env 'A=1 2' -- httpd -X".into()),
            image: "httpd",
            known_as: None,
            command: &command,
        });
        assert_eq!(
            argv.to_string(),
            "run -d -p 80 --name web-1 --net web-net --env 'A=***' --label 'vch-lb=***' httpd httpd -X"
        );
        assert!(argv.script().contains("--env 'A=1 2' --label "));
    }

    #[test]
    fn a_local_path_is_never_taken_for_something_else() {
        for (given, passed) in [
            ("haproxy.cfg", "haproxy.cfg"),
            ("-", "./-"),
            ("-x.cfg", "./-x.cfg"),
            ("lb:x.cfg", "./lb:x.cfg"),
            ("/tmp/a:b.cfg", "/tmp/a:b.cfg"),
            ("../a:b.cfg", "../a:b.cfg"),
        ] {
            assert_eq!(local_path(given), passed);
        }
        let windows = r"C:\lb\haproxy.cfg";
        let passed = if cfg!(windows) {
            windows.to_owned()
        } else {
            format!("./{windows}")
        };
        assert_eq!(local_path(windows), passed);
    }
}
