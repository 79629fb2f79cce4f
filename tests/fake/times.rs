//! Points in time as docker writes and reads them. State holds nanoseconds since 1970; text is RFC 3339 in UTC.

use std::time::{SystemTime, UNIX_EPOCH};

pub(crate) const SECOND: u64 = 1_000_000_000;
pub(crate) const ZERO: &str = "0001-01-01T00:00:00Z";

/// The fields of a point in time.
pub(crate) struct Civil {
    pub(crate) year: i64,
    pub(crate) month: u64,
    pub(crate) day: u64,
    pub(crate) hour: u64,
    pub(crate) minute: u64,
    pub(crate) second: u64,
    pub(crate) nanos: u64,
    pub(crate) day_of_year: i64,
}

pub(crate) fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| u64::try_from(elapsed.as_nanos()).unwrap_or(0))
}

/// Days since 1970 of a date in the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year - era * 400;
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

pub(crate) fn civil(ns: u64) -> Civil {
    let seconds = ns / SECOND;
    let day_number = i64::try_from(seconds / 86_400).unwrap_or(0);
    let shifted = day_number + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted - era * 146_097;
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let unsigned = |n: i64| u64::try_from(n).unwrap_or(0);
    Civil {
        year,
        month: unsigned(month),
        day: unsigned(day),
        hour: seconds / 3600 % 24,
        minute: seconds / 60 % 60,
        second: seconds % 60,
        nanos: ns % SECOND,
        day_of_year: day_number - days(year, 1, 1),
    }
}

pub(crate) fn rfc3339(ns: u64) -> String {
    let Civil {
        year,
        month,
        day,
        hour,
        minute,
        second,
        nanos,
        ..
    } = civil(ns);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{nanos:09}Z")
}

/// As an engine writes it outside of logs: with as many decimals as it needs.
pub(crate) fn short(ns: u64) -> String {
    let text = rfc3339(ns);
    let text = text.trim_end_matches('Z').trim_end_matches('0');
    format!("{}Z", text.trim_end_matches('.'))
}

/// Go's `time.Time.String()`, which `docker ps` shows as `CreatedAt`.
pub(crate) fn go_string(ns: u64) -> String {
    let Civil {
        year,
        month,
        day,
        hour,
        minute,
        second,
        ..
    } = civil(ns);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} +0000 UTC")
}

/// A date and time in RFC 3339, or seconds since 1970 with a fraction, or a duration back from now (`90s`, `5m`, `1h`).
pub(crate) fn parse(text: &str) -> Option<u64> {
    if let Some(ns) = decimal_seconds(text) {
        return Some(ns);
    }
    if let Some((number, unit)) = text
        .char_indices()
        .next_back()
        .map(|(at, unit)| (&text[..at], unit))
    {
        let scale = match unit {
            's' => Some(1),
            'm' => Some(60),
            'h' => Some(3600),
            _ => None,
        };
        if let (Some(scale), Some(ns)) = (scale, decimal_seconds(number)) {
            return Some(now().saturating_sub(ns * scale));
        }
    }
    let (date, rest) = text.split_once('T')?;
    let mut fields = date.split('-').map(str::parse::<i64>);
    let (year, month, day) = (
        fields.next()?.ok()?,
        fields.next()?.ok()?,
        fields.next()?.ok()?,
    );
    let zone_at = rest.find(['Z', '+', '-']).unwrap_or(rest.len());
    let (clock, zone) = rest.split_at(zone_at);
    let mut fields = clock.splitn(3, ':');
    let hour: i64 = fields.next()?.parse().ok()?;
    let minute: i64 = fields.next()?.parse().ok()?;
    let second = decimal_seconds(fields.next().unwrap_or("0"))?;
    let offset = match zone.chars().next() {
        Some(sign @ ('+' | '-')) => {
            let (hours, minutes) = zone[1..].split_once(':')?;
            let minutes = hours.parse::<i64>().ok()? * 60 + minutes.parse::<i64>().ok()?;
            if sign == '+' { minutes } else { -minutes }
        }
        _ => 0,
    };
    let seconds = days(year, month, day) * 86_400 + hour * 3600 + (minute - offset) * 60;
    Some(u64::try_from(seconds).ok()? * SECOND + second)
}

fn decimal_seconds(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) || fraction.len() > 9 {
        return None;
    }
    let nanos: u64 = format!("{fraction:0<9}").parse().ok()?;
    whole
        .parse::<u64>()
        .ok()?
        .checked_mul(SECOND)?
        .checked_add(nanos)
}

/// How long ago, in docker's words.
pub(crate) fn ago(ns: u64) -> String {
    let seconds = now().saturating_sub(ns) / SECOND;
    match seconds {
        0 => "Less than a second".into(),
        1 => "1 second".into(),
        2..60 => format!("{seconds} seconds"),
        60..120 => "About a minute".into(),
        120..3600 => format!("{} minutes", seconds / 60),
        3600..7200 => "About an hour".into(),
        7200..172_800 => format!("{} hours", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_and_reads_the_same_instant() {
        for ns in [
            0,
            951_782_400 * SECOND,
            1_700_000_000_123_456_789,
            1_735_689_599_999_999_999,
        ] {
            assert_eq!(parse(&rfc3339(ns)), Some(ns), "{}", rfc3339(ns));
        }
        assert_eq!(
            rfc3339(1_700_000_000_123_456_789),
            "2023-11-14T22:13:20.123456789Z"
        );
    }

    #[test]
    fn reads_zones_and_seconds() {
        assert_eq!(
            parse("2023-11-14T23:13:20+01:00"),
            Some(1_700_000_000 * SECOND)
        );
        assert_eq!(
            parse("1700000000.5"),
            Some(1_700_000_000 * SECOND + SECOND / 2)
        );
        assert_eq!(parse("yesterday"), None);
        assert!(parse("10m").is_some_and(|ns| now() - ns >= 600 * SECOND));
    }
}
