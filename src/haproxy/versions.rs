//! HAProxy's versions, and since when it can what this tool makes use of: every limit of versions stands here. Pure.
//!
//! Where a version is not known, only what every HAProxy from 1.7 on understands is written.

/// Major and minor: (2, 6).
pub type Version = (u32, u32);

/// What official images, and those made from them, say in their environment: `HAPROXY_VERSION=2.6.12`.
pub const VARIABLE: &str = "HAPROXY_VERSION";

/// Since when the official image reloads when it is sent HUP.
pub const RELOADS: Version = (1, 6);
/// Since when a server line can say what becomes of a name that does not resolve: `init-addr`.
pub const STARTS_WITHOUT_A_NAME: Version = (1, 7);
/// Since when HAProxy hands listening sockets over when told so, and loses no connection at a reload.
pub const HANDS_OVER: Version = (1, 8);
/// Since when it can log to stdout.
pub const LOGS_TO_STDOUT: Version = (1, 9);
/// Since when a `bind` says by `ssl-min-ver` which TLS is the oldest.
pub const NAMES_OLDEST_TLS: Version = (1, 8);
/// Since when TLS 1.2 is the oldest by default.
pub const WANTS_TLS_1_2: Version = (2, 2);
/// Since when headers can be set in all responses, HAProxy's own too.
pub const SETS_HEADERS_AFTERWARDS: Version = (2, 2);
/// Since when HTTP/2 survives reloads, and websockets go over it.
pub const OFFERS_HTTP_2: Version = (2, 4);
/// Since when a check's headers are told by lines of their own. The way before that is gone in 2.7.
pub const CHECKS_WITH_HEADERS: Version = (2, 2);
/// Since when every official image has the Prometheus exporter.
pub const HAS_EXPORTER: Version = (2, 4);
/// Since when the official image does not run as root.
pub const RUNS_UNPRIVILEGED: Version = (2, 4);
/// Since when `random` is the way to balance where no `balance` line is given; `roundrobin` before.
pub const BALANCES_BY_RANDOM: Version = (3, 3);

/// The version at the beginning of `text`: `2.6.12`, `3.4-dev5`.
pub fn parse(text: &str) -> Option<Version> {
    let (major, rest) = text.split_once('.')?;
    let minor: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_begins_with_two_numbers() {
        for (text, version) in [
            ("1.7.14", Some((1, 7))),
            ("2.10", Some((2, 10))),
            ("3.4-dev5", Some((3, 4))),
            ("2", None),
            ("", None),
            ("lts", None),
            ("v2.6", None),
            ("99999999999.1", None),
        ] {
            assert_eq!(parse(text), version, "{text}");
        }
    }
}
