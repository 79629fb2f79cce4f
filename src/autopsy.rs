//! Why a container died or never got ready: its last log lines, and what can be said about the cause.

use crate::docker::Docker;
use crate::docker::argv::{self, Range};
use crate::docker::cause::Cause;
use crate::error::{Failure, LogTail};
use crate::haproxy::log;
use crate::inventory::{Container, State};
use crate::message::Message;
use crate::service::Spec;
use crate::text::list;

/// How many log lines explain a failure.
const LINES: usize = 10;

/// The last log lines of `container`.
pub fn log_tail(docker: &Docker, container: &str) -> LogTail {
    // Without a log the failure stands as it is.
    let lines = match docker.query(&argv::logs(container, &Range::last(LINES), false, false)) {
        Ok(answer) => {
            let mut lines: Vec<String> = answer
                .text()
                .lines()
                .chain(answer.stderr.lines())
                .map(str::to_owned)
                .collect();
            lines.split_off(lines.len().saturating_sub(LINES))
        }
        Err(_) => Vec::new(),
    };
    LogTail {
        container: container.to_owned(),
        lines,
    }
}

/// Adds to `failure` what `container` left behind.
pub fn examine(docker: &Docker, spec: &Spec, container: &Container, failure: Failure) -> Failure {
    let tail = log_tail(docker, &container.name);
    let hint =
        cause_of_death(container, &tail).or_else(|| other_port(container, spec).map(Message::from));
    let mut failure = failure;
    failure.logs.push(tail);
    if let Some(hint) = hint {
        failure.hints = vec![hint];
    }
    // What docker's own check said, where that is why.
    failure.words = failure
        .words
        .or_else(|| container.health_said.as_deref().map(str::to_owned));
    failure
}

/// How a container stands, in words: `exited with code 137 (killed: out of memory)`.
pub fn standing(container: &Container) -> String {
    match &container.state {
        State::Created => "was never started".into(),
        State::Starting => "is still starting".into(),
        State::Running => "runs".into(),
        State::Exited { code } => match meaning(*code, container.oom_killed) {
            Some(meaning) => format!("exited with code {code} ({meaning})"),
            None => format!("exited with code {code}"),
        },
        State::Other(state) if state == "restarting" => {
            "ends again and again (`restarting`)".into()
        }
        State::Other(state) => format!("is `{state}`"),
    }
}

/// What shells and Docker mean by an exit code.
fn meaning(code: i64, oom_killed: bool) -> Option<&'static str> {
    match code {
        _ if oom_killed => Some("out of memory"),
        125 => Some("docker itself failed"),
        126 => Some("the command can't be executed"),
        127 => Some("command not found"),
        137 => Some("killed"),
        139 => Some("crashed"),
        143 => Some("terminated"),
        _ => None,
    }
}

/// From 2.4 on the official images run as the user haproxy. Docker Engine lets that bind any port; elsewhere, as on a VCH
/// or with Podman, ports below 1024 are root's.
pub const NOT_ALLOWED_TO_BIND: &str = "HAProxy may not bind its port: images from HAProxy 2.4 on run as the user \
    haproxy, and ports below 1024 are root's there; LB_ARGS='--user root' or an LB_PORT of 1024 or more cures it";

/// Why HAProxy may not have found the instance `name`.
pub fn unresolved(name: &str) -> String {
    format!(
        "the load balancer could not resolve `{name}`: its instance is not running, or the load balancer asks a \
         name server that does not know it; with SERVER_ADDRESS=ip it asks none"
    )
}

fn cause_of_death(container: &Container, tail: &LogTail) -> Option<Message> {
    let alerts = log::alerts(tail.lines.iter().map(String::as_str));
    if let Some(name) = alerts.into_iter().find_map(log::unresolved_name) {
        return Some(unresolved(name).into());
    }
    if log::may_not_bind(tail.lines.iter().map(String::as_str)) {
        return Some(NOT_ALLOWED_TO_BIND.into());
    }
    let State::Exited { code } = container.state else {
        return None;
    };
    let other_platform = |line: &String| line.to_ascii_lowercase().contains("exec format error");
    if tail.lines.iter().any(other_platform) {
        return Some(Cause::WrongPlatform.hint());
    }
    match code {
        _ if container.oom_killed => {
            Some("it ran out of memory: give it more, or fewer instances".into())
        }
        127 => Some("the image's command was not found in it".into()),
        126 => Some("the image's command may not be executed".into()),
        0 => Some("its command ended by itself: an instance has to stay in the foreground".into()),
        _ => None,
    }
}

/// An image that exposes other ports than the one that is sent to.
pub fn other_port(container: &Container, spec: &Spec) -> Option<String> {
    let wanted = format!("{}/tcp", spec.instance_port);
    // A published port counts as exposed too: only what the image adds tells something.
    let exposed: Vec<&str> = container
        .exposed
        .iter()
        .map(String::as_str)
        .filter(|port| *port != wanted)
        .collect();
    if exposed.is_empty() || container.name == spec.names().lb.as_str() {
        return None;
    }
    Some(format!(
        "INSTANCE_PORT is {}, but the image `{}` exposes {}",
        spec.instance_port,
        container.image,
        list(&exposed)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::tests::container;
    use crate::service::tests::spec;

    fn tail(lines: &[&str]) -> LogTail {
        LogTail {
            container: "x".into(),
            lines: lines.iter().map(|&line| line.to_owned()).collect(),
        }
    }

    #[test]
    fn causes_of_death_are_told() {
        let dead = |code| container("web-1", State::Exited { code }, &[("web-net", "")], "httpd");
        assert!(
            cause_of_death(&dead(127), &tail(&[]))
                .unwrap()
                .to_string()
                .contains("not found")
        );
        assert!(
            cause_of_death(&dead(0), &tail(&[]))
                .unwrap()
                .to_string()
                .contains("foreground")
        );
        assert!(
            cause_of_death(
                &Container {
                    oom_killed: true,
                    ..dead(137)
                },
                &tail(&[])
            )
            .unwrap()
            .to_string()
            .contains("memory")
        );
        assert_eq!(cause_of_death(&dead(3), &tail(&["bye"])), None);
        let requested = tail(&["10.0.0.1:9 [x] \"GET /could not resolve address 'x' HTTP/1.1\""]);
        assert_eq!(cause_of_death(&dead(3), &requested), None);
        let unresolved = tail(&["[ALERT] : could not resolve address 'web-3'."]);
        assert!(
            cause_of_death(&dead(1), &unresolved)
                .unwrap()
                .to_string()
                .contains("`web-3`")
        );
        assert_eq!(standing(&dead(137)), "exited with code 137 (killed)");
        assert_eq!(standing(&dead(3)), "exited with code 3");
    }

    #[test]
    fn another_exposed_port_is_told() {
        let mut sick = container("web-1", State::Running, &[("web-net", "")], "httpd:sick");
        sick.exposed = vec!["8080/tcp".into(), "80/tcp".into()];
        assert!(
            other_port(&sick, &spec(&[]))
                .unwrap()
                .contains("`8080/tcp`")
        );
        sick.exposed = vec!["80/tcp".into()];
        assert_eq!(other_port(&sick, &spec(&[])), None);
    }
}
