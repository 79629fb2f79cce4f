//! Times as they are written in settings and flags: one notation for all of them, which is HAProxy's, too. Pure.

/// What is said about a text that is no time.
const NO_TIME: &str = "a time is a whole number and one of the units ms, s, m, h, such as 30s";

/// The milliseconds of `250ms`, `30s`, `5m`, `1h`. A number alone is none: to HAProxy it would be in milliseconds, to
/// people it is in seconds.
pub fn milliseconds(text: &str) -> Result<u64, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let unit = match &text[digits..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(NO_TIME.into()),
    };
    let number: Option<u32> = text[..digits].parse().ok().filter(|_| digits <= 10);
    let number = number.ok_or(NO_TIME)?;
    Ok(u64::from(number) * unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_number_and_a_unit() {
        for (text, expected) in [
            ("0s", 0),
            ("250ms", 250),
            ("30s", 30_000),
            ("5m", 300_000),
            ("1h", 3_600_000),
        ] {
            assert_eq!(milliseconds(text), Ok(expected), "{text}");
        }
        for text in [
            "",
            "5",
            "s",
            "-1s",
            "1 s",
            "1d",
            "1.5s",
            "2m 30s",
            "abc",
            "99999999999s",
            "1µs",
        ] {
            assert_eq!(milliseconds(text), Err(NO_TIME.to_owned()), "{text}");
        }
    }
}
