//! How texts are written, and texts from elsewhere made harmless to whoever reads them on a terminal. Pure, and uses nothing.
//!
//! What a container, docker, an endpoint or another user of it wrote must neither steer the terminal nor pass for something
//! else there. It is cleaned where it comes in, as far as it comes as JSON (`docker::answer`), and all of it once more where
//! it is printed (`ui`), so that nobody has to think of it in between.

use std::fmt::Write as _;
use std::time::Duration;

/// The first line of a text.
pub fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// What stands in place of a character that steers.
const REPLACEMENT: char = '\u{fffd}';

/// Whether a character steers a terminal, turns the direction of text, or is not seen.
pub fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// One line, or what is to be one: nothing in it breaks it.
pub fn printable(line: &str) -> String {
    let clean = |c: char| {
        if steers(c) && c != '\t' {
            REPLACEMENT
        } else {
            c
        }
    };
    line.chars().map(clean).collect()
}

/// Text of several lines.
pub fn printable_lines(text: &str) -> String {
    let lines: Vec<String> = text.split('\n').map(printable).collect();
    lines.join("\n")
}

/// JSON whose strings hold every character that steers as an escape. JSON escapes those of ASCII itself, and outside its
/// strings it has no others.
pub fn escaped(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for c in json.chars() {
        if steers(c) && (c == '\u{7f}' || !c.is_ascii()) {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        } else {
            escaped.push(c);
        }
    }
    escaped
}

/// JSON whose strings hold no control character, a line's end included, whether it was escaped or not.
pub fn disarmed(json: &str) -> String {
    let special = |c: char| c == '\\' || (c.is_control() && (c == '\u{7f}' || !c.is_ascii()));
    let mut disarmed = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(at) = rest.find(special) {
        let (plain, found) = rest.split_at(at);
        disarmed.push_str(plain);
        let length = match found.as_bytes() {
            [b'\\', b'u', ..] => 6,
            [b'\\', ..] => 1 + found[1..].chars().next().map_or(0, char::len_utf8),
            _ => found.chars().next().map_or(0, char::len_utf8),
        };
        // What is no JSON is not mended here.
        let Some((token, behind)) = found.split_at_checked(length) else {
            break;
        };
        let harmless = match token.strip_prefix('\\') {
            None | Some("n" | "r" | "t" | "b" | "f") => false,
            Some(escape) => escape
                .strip_prefix('u')
                .and_then(|digits| u32::from_str_radix(digits, 16).ok())
                .and_then(char::from_u32)
                .is_none_or(|c| !c.is_control()),
        };
        disarmed.push_str(if harmless { token } else { "\\ufffd" });
        rest = behind;
    }
    disarmed.push_str(rest);
    disarmed
}

/// A duration for people: `0.4 s`, `12 s`, `3 min 5 s`.
pub fn seconds(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 9.95 {
        format!("{seconds:.1} s")
    } else if seconds < 120.0 {
        format!("{seconds:.0} s")
    } else {
        format!(
            "{} min {} s",
            duration.as_secs() / 60,
            duration.as_secs() % 60
        )
    }
}

/// Why a call of the operating system failed, in its words: without the number, and without the name of a temporary file.
pub fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error ") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}

/// A table: columns as wide as their widest cell, two blanks apart.
pub fn columns<R: AsRef<[String]>>(rows: &[R]) -> String {
    let mut widths: Vec<usize> = Vec::new();
    for row in rows {
        for (column, cell) in row.as_ref().iter().enumerate() {
            let width = cell.chars().count();
            match widths.get_mut(column) {
                Some(widest) => *widest = width.max(*widest),
                None => widths.push(width),
            }
        }
    }
    let mut text = String::new();
    for row in rows {
        let cells = row.as_ref().iter().zip(&widths);
        let cells: Vec<String> = cells
            .map(|(cell, &width)| format!("{cell:width$}"))
            .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// `1 instance`, `3 instances`.
pub fn plural(count: usize, noun: &str) -> String {
    if count == 1 {
        format!("1 {noun}")
    } else {
        format!("{count} {noun}s")
    }
}

/// `` `a` ``, `` `a` and `b` ``, `` `a`, `b` and `c` ``.
pub fn list<S: AsRef<str>>(names: &[S]) -> String {
    let quoted: Vec<String> = names
        .iter()
        .map(|name| format!("`{}`", name.as_ref()))
        .collect();
    match quoted.as_slice() {
        [] => "none".into(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// `a`, `a and b`: for progress, where quotes would be noise.
pub fn list_plain(names: &[&str]) -> String {
    names.join(" and ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str = "a\u{1b}[2Jb\rc\nd\u{9b}31me\u{202e}f\u{200b}g\u{7f}h\u{e0041}i\u{2028}j";

    #[test]
    fn what_steers_a_terminal_is_made_visible() {
        let lines = printable_lines(HOSTILE);
        assert_eq!(
            lines,
            "a\u{fffd}[2Jb\u{fffd}c\nd\u{fffd}31me\u{fffd}f\u{fffd}g\u{fffd}h\u{fffd}i\u{fffd}j"
        );
        assert_eq!(printable(HOSTILE).lines().count(), 1);
        let plain = "Grüße: 日本\t✓ — \u{fffd}";
        assert_eq!(printable(plain), plain);
    }

    #[test]
    fn json_keeps_the_text_and_steers_nothing() {
        let json = escaped(&serde_json::json!({ "text": HOSTILE }).to_string());
        assert!(!json.chars().any(steers), "{json}");
        let read: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(read["text"], HOSTILE);
    }

    #[test]
    fn strings_of_json_are_disarmed_and_nothing_else_is() {
        let answer = format!(
            "{{\n\"text\": {},\r\n\t\"é\": \"a\\\\nb\\u003c\\u00e9\u{9b}\"}}\n",
            serde_json::json!(HOSTILE)
        );
        for answer in [answer.clone(), escaped(&answer)] {
            let disarmed = disarmed(&answer);
            let read: serde_json::Value = serde_json::from_str(&disarmed).unwrap();
            let text = read["text"].as_str().unwrap();
            assert!(
                !text.chars().any(char::is_control) && text.contains('\u{202e}'),
                "{disarmed}"
            );
            assert_eq!(read["é"], "a\\nb<é\u{fffd}");
        }
    }

    proptest::proptest! {
        #[test]
        fn every_text_comes_through_json(text: String, raw: String) {
            let json = serde_json::json!({ "text": text }).to_string();
            let read: serde_json::Value = serde_json::from_str(&escaped(&json)).unwrap();
            assert_eq!(&read["text"], &text);
            let read: serde_json::Value = serde_json::from_str(&disarmed(&json)).unwrap();
            let expected: String = text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
            assert_eq!(&read["text"], &expected);
            let _ = disarmed(&raw);
        }
    }

    #[test]
    fn durations_and_lists_read_as_english() {
        let texts = [0.04, 4.0, 12.3, 185.0].map(|s| seconds(Duration::from_secs_f64(s)));
        assert_eq!(texts, ["0.0 s", "4.0 s", "12 s", "3 min 5 s"]);
        assert_eq!(plural(1, "instance"), "1 instance");
        assert_eq!(plural(0, "instance"), "0 instances");
        assert_eq!(list::<&str>(&[]), "none");
        assert_eq!(list(&["a", "b", "c"]), "`a`, `b` and `c`");
    }
}
