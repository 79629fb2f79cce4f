//! Points in time by the endpoint's clock, as docker writes them. Pure.
//!
//! Never compared as text: `…:10.5Z` sorts before `…:10Z`. An engine writes as many decimals as it needs, docker's log
//! lines have nine, a VCH knows whole seconds of its containers, and Podman may write another zone than UTC.

use std::borrow::Cow;
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Serialize, Serializer};

const SECOND: u64 = 1_000_000_000;

/// A point in time from 1970 to 2554, to the nanosecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(u64);

impl Moment {
    /// Before all others.
    pub const EARLIEST: Self = Self(0);

    /// From RFC 3339: `2026-01-02T03:04:05.6Z`, `2026-01-02T04:04:05+01:00`. `None` for what is none, and for `0001-…`, by
    /// which docker means never.
    pub fn parse(text: &str) -> Option<Self> {
        let (in_utc, ahead) = if text.ends_with('Z') {
            (Cow::Borrowed(text), 0)
        } else {
            let (local, ahead) = zone(text)?;
            (Cow::Owned(format!("{local}Z")), ahead)
        };
        let at = humantime::parse_rfc3339(&in_utc).ok()?;
        let since_1970 = at.duration_since(UNIX_EPOCH).ok()?;
        let nanos = i128::try_from(since_1970.as_nanos()).ok()? - ahead;
        u64::try_from(nanos).ok().map(Self)
    }

    /// So many seconds after 1970 began.
    pub fn from_seconds(seconds: u64) -> Self {
        Self(seconds.saturating_mul(SECOND))
    }

    /// Whether it may have been told in whole seconds: then it lies somewhere in the second that begins here.
    pub fn is_whole_second(self) -> bool {
        self.0.is_multiple_of(SECOND)
    }

    /// The last moment that it can mean.
    #[must_use]
    pub fn at_the_latest(self) -> Self {
        if self.is_whole_second() {
            Self(self.0.saturating_add(SECOND - 1))
        } else {
            self
        }
    }

    /// How long after `earlier` it is; nothing, if it is before that.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// With nine decimals, as docker writes the times of log lines.
    pub fn with_nanoseconds(self) -> String {
        humantime::format_rfc3339_nanos(self.into()).to_string()
    }
}

/// What stands before the zone, and how many nanoseconds that is ahead of UTC.
fn zone(text: &str) -> Option<(&str, i128)> {
    let (local, offset) = text.split_at_checked(text.len().checked_sub(6)?)?;
    let sign = match offset.as_bytes()[0] {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, minutes) = offset[1..].split_once(':')?;
    let (hours, minutes): (u8, u8) = (hours.parse().ok()?, minutes.parse().ok()?);
    let minutes = i128::from(hours) * 60 + i128::from(minutes);
    Some((local, sign * minutes * 60 * i128::from(SECOND)))
}

impl From<Moment> for SystemTime {
    fn from(moment: Moment) -> Self {
        UNIX_EPOCH + Duration::from_nanos(moment.0)
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// RFC 3339 in UTC with as many decimals as it needs, as `docker inspect` writes it.
impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.with_nanoseconds();
        let text = text.trim_end_matches('Z').trim_end_matches('0');
        write!(f, "{}Z", text.trim_end_matches('.'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Moment {
        Moment::parse(text).unwrap()
    }

    #[test]
    fn later_is_greater_however_it_is_written() {
        let ascending = [
            "2026-01-02T03:04:09.999999999Z",
            "2026-01-02T03:04:10Z",
            "2026-01-02T03:04:10.000000001Z",
            "2026-01-02T03:04:10.5Z",
            "2026-01-02T05:04:10.75+02:00",
            "2026-01-02T03:04:11Z",
            "2026-01-01T22:34:12-04:30",
        ];
        for pair in ascending.windows(2) {
            assert!(at(pair[0]) < at(pair[1]), "{pair:?}");
        }
        assert_eq!(at("2026-01-02T03:04:10Z"), at("2026-01-02T03:04:10.000Z"));
    }

    #[test]
    fn it_is_written_as_docker_writes_it() {
        for (text, shown) in [
            ("2026-01-02T03:04:10.500000000Z", "2026-01-02T03:04:10.5Z"),
            ("2026-01-02T03:04:10Z", "2026-01-02T03:04:10Z"),
            ("2026-01-02T03:04:00Z", "2026-01-02T03:04:00Z"),
            ("2026-01-02T04:04:10.01+01:00", "2026-01-02T03:04:10.01Z"),
        ] {
            assert_eq!(at(text).to_string(), shown);
        }
        let fixed = at("2026-01-02T03:04:10.5Z").with_nanoseconds();
        assert_eq!(fixed, "2026-01-02T03:04:10.500000000Z");
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "Z",
            "never",
            "2026",
            "2026-01-02",
            "2026-01-02T03:04:10",
            "2026-13-02T03:04:10Z",
            "2026-01-02T03:04:10+1:00",
            // docker's never.
            "0001-01-01T00:00:00Z",
        ] {
            assert_eq!(Moment::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_whole_second_may_be_any_moment_in_it() {
        let coarse = at("2026-01-02T03:04:10Z");
        assert!(coarse.at_the_latest() > at("2026-01-02T03:04:10.99Z"));
        assert!(coarse.at_the_latest() < at("2026-01-02T03:04:11Z"));
        let fine = at("2026-01-02T03:04:10.5Z");
        assert_eq!(fine.at_the_latest(), fine);
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_text_never_panics(text: String) {
            if let Some(moment) = Moment::parse(&text) {
                assert_eq!(Moment::parse(&moment.to_string()), Some(moment));
            }
        }

        #[test]
        fn it_is_read_back(nanos: u64) {
            let moment = Moment(nanos);
            assert_eq!(Moment::parse(&moment.to_string()), Some(moment));
            assert_eq!(Moment::parse(&moment.with_nanoseconds()), Some(moment));
        }
    }
}
