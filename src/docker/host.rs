//! Which machine the docker client talks to, as far as flags and environment tell.

/// The host on which the endpoint publishes ports: the one that docker is told to talk to. A context says
/// nothing of it.
pub fn published_on(host_flag: Option<&str>, context_flag: Option<&str>) -> Option<String> {
    if context_flag.is_some() {
        return None;
    }
    let host = host_flag
        .map(str::to_owned)
        .or_else(|| std::env::var("DOCKER_HOST").ok());
    match host.filter(|host| !host.is_empty()) {
        Some(host) => host_of(&host),
        None if std::env::var_os("DOCKER_CONTEXT").is_some() => None,
        None => Some("127.0.0.1".to_owned()),
    }
}

/// The host in `tcp://host:2376`, `ssh://user@host`, `host:2376`; this one for a socket.
fn host_of(endpoint: &str) -> Option<String> {
    let rest = match endpoint.split_once("://") {
        Some(("unix" | "npipe" | "fd", _)) => return Some("127.0.0.1".to_owned()),
        Some((_, rest)) => rest,
        None => endpoint,
    };
    let authority = rest.split('/').next().unwrap_or(rest);
    let host_port = authority.rsplit('@').next().unwrap_or(authority);
    let host = match host_port.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or(v6),
        None => host_port.split(':').next().unwrap_or(host_port),
    };
    (!host.is_empty()).then(|| host.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_found_in_every_form_of_docker_host() {
        for (endpoint, host) in [
            ("tcp://vch.example.com:2376", Some("vch.example.com")),
            ("vch.example.com:2376", Some("vch.example.com")),
            ("tcp://[fd00::1]:2376/", Some("fd00::1")),
            ("ssh://root@host:22", Some("host")),
            ("unix:///var/run/docker.sock", Some("127.0.0.1")),
            ("npipe:////./pipe/docker_engine", Some("127.0.0.1")),
            ("tcp://", None),
        ] {
            assert_eq!(host_of(endpoint).as_deref(), host, "{endpoint}");
        }
    }
}
