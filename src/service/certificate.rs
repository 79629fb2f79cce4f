//! The file of TLS_CERT, as far as it can be judged before HAProxy reads it: that it holds what HAProxy wants, in a form
//! that it takes, and from when until when the certificate counts. Pure.

use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Checks that HAProxy finds certificate and key in `pem`. Whether they belong together it tells itself.
pub fn check(pem: &[u8]) -> Result<(), String> {
    let text = String::from_utf8_lossy(pem);
    for (index, line) in text.lines().enumerate() {
        let end = line.find("-----END ");
        if end.is_some_and(|end| line[end..].contains("-----BEGIN ")) {
            return Err(format!(
                "in line {} an END and a BEGIN stand together: put a line break between the files that it was joined from",
                index + 1
            ));
        }
    }
    let encrypted = text.lines().any(|line| {
        line.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY")
            || line.starts_with("Proc-Type: 4,ENCRYPTED")
    });
    if encrypted {
        return Err("its private key is encrypted, and HAProxy has nobody to ask for the passphrase: `openssl pkey -in KEY` \
                    writes it without one"
            .into());
    }
    for part in ["CERTIFICATE-----", "PRIVATE KEY-----"] {
        let begins = text
            .lines()
            .any(|line| line.starts_with("-----BEGIN ") && line.trim_end().ends_with(part));
        if !begins {
            let part = part.trim_end_matches('-').to_lowercase();
            return Err(format!(
                "it holds no {part}: HAProxy wants certificate and key in one PEM file"
            ));
        }
    }
    Ok(())
}

/// Says that the certificate that HAProxy shows its clients, the first one, does not count `now`. `None` where it does,
/// or where that can't be told.
pub fn not_valid(pem: &[u8], now: SystemTime) -> Option<String> {
    let (from, until) = validity(&first_certificate(pem)?)?;
    let shown = |time| humantime::format_rfc3339_seconds(time);
    if now < from {
        Some(format!(
            "the certificate counts from {} on only",
            shown(from)
        ))
    } else if now > until {
        Some(format!("the certificate has expired on {}", shown(until)))
    } else {
        None
    }
}

fn first_certificate(pem: &[u8]) -> Option<Vec<u8>> {
    let text = String::from_utf8_lossy(pem);
    let (_, rest) = text.split_once("-----BEGIN CERTIFICATE-----")?;
    let (inner, _) = rest.split_once("-----END CERTIFICATE-----")?;
    let bare: String = inner.split_whitespace().collect();
    STANDARD.decode(bare).ok()
}

/// From when until when a certificate counts: RFC 5280, section 4.1, as far as the way there.
fn validity(certificate: &[u8]) -> Option<(SystemTime, SystemTime)> {
    const SEQUENCE: u8 = 0x30;
    const VERSION: u8 = 0xa0;
    let (tag, certificate, _) = element(certificate)?;
    let (_, to_be_signed, _) = element(certificate).filter(|_| tag == SEQUENCE)?;
    let (tag, _, rest) = element(to_be_signed)?;
    let serial = if tag == VERSION { rest } else { to_be_signed };
    let (_, _, signature) = element(serial)?;
    let (_, _, issuer) = element(signature)?;
    let (_, _, validity) = element(issuer)?;
    let (tag, validity, _) = element(validity)?;
    let (from, text, rest) = element(validity).filter(|_| tag == SEQUENCE)?;
    let (until, last, _) = element(rest)?;
    Some((time(from, text)?, time(until, last)?))
}

/// The tag of the element at the start of `bytes`, what it holds, and what follows it.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
        if digits.len() > 4 {
            return None;
        }
        let length = digits
            .iter()
            .fold(0, |length, digit| (length << 8) | usize::from(*digit));
        (length, rest)
    };
    let (inner, behind) = rest.split_at_checked(length)?;
    Some((tag, inner, behind))
}

/// `YYMMDDhhmmssZ`, which is of 1950 to 2049, or `YYYYMMDDhhmmssZ`.
fn time(tag: u8, text: &[u8]) -> Option<SystemTime> {
    const UTC_TIME: u8 = 0x17;
    const GENERALIZED_TIME: u8 = 0x18;
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let text = match (tag, text.len()) {
        (UTC_TIME, 12) if text < "5" => format!("20{text}"),
        (UTC_TIME, 12) => format!("19{text}"),
        (GENERALIZED_TIME, 14) => text.to_owned(),
        _ => return None,
    };
    let part = |at: usize| &text[at..at + 2];
    let rfc3339 = format!(
        "{}-{}-{}T{}:{}:{}Z",
        &text[..4],
        part(4),
        part(6),
        part(8),
        part(10),
        part(12)
    );
    humantime::parse_rfc3339(&rfc3339).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = include_str!("../../tests/fixtures/localhost.pem");

    fn at(text: &str) -> SystemTime {
        humantime::parse_rfc3339(text).unwrap()
    }

    #[test]
    fn from_when_until_when_a_certificate_counts_is_read() {
        let (from, until) = validity(&first_certificate(OWN.as_bytes()).unwrap()).unwrap();
        assert_eq!(from, at("2026-11-24T20:43:53Z"));
        assert!(until > at("2050-01-01T00:00:00Z"));
        let told = |time| not_valid(OWN.as_bytes(), at(time));
        assert_eq!(told("2026-11-25T00:00:00Z"), None);
        assert_eq!(
            told("2026-11-24T20:43:52Z").unwrap(),
            "the certificate counts from 2026-11-24T20:43:53Z on only"
        );
        let expired = not_valid(OWN.as_bytes(), until + std::time::Duration::from_secs(1)).unwrap();
        assert!(
            expired.starts_with("the certificate has expired on 2"),
            "{expired}"
        );
        assert_eq!(
            time(0x17, b"490101000000Z"),
            Some(at("2049-01-01T00:00:00Z"))
        );
        assert_eq!(
            time(0x17, b"700101000000Z"),
            Some(at("1970-01-01T00:00:00Z"))
        );
    }

    #[test]
    fn what_can_not_be_read_is_not_judged() {
        let now = at("2026-11-25T00:00:00Z");
        for pem in [
            "",
            "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n",
            "-----BEGIN CERTIFICATE-----",
        ] {
            assert_eq!(not_valid(pem.as_bytes(), now), None);
        }
    }

    #[test]
    fn what_haproxy_would_refuse_is_said_first() {
        let encrypted = OWN.replace("BEGIN PRIVATE KEY", "BEGIN ENCRYPTED PRIVATE KEY");
        let legacy = format!("{OWN}-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n");
        for pem in [encrypted, legacy] {
            assert!(
                check(pem.as_bytes()).unwrap_err().contains("is encrypted"),
                "{pem}"
            );
        }
        let joined = OWN.replace("-----\n-----BEGIN", "----------BEGIN");
        assert_ne!(joined, OWN);
        assert!(
            check(joined.as_bytes())
                .unwrap_err()
                .contains("a BEGIN stand together")
        );
        assert_eq!(check(OWN.as_bytes()), Ok(()));
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let _ = validity(&bytes);
            let _ = check(&bytes);
            let _ = not_valid(&bytes, SystemTime::UNIX_EPOCH);
            let _ = time(0x17, &bytes);
        }
    }
}
