//! Two small matchers: the regular expressions of `ps --filter name=`, and the globs of fault rules.

/// One piece of a regular expression.
#[derive(Debug, Clone)]
enum Piece {
    Start,
    End,
    Any,
    Literal(char),
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
    Group(Vec<Vec<Piece>>),
    Repeat {
        piece: Box<Piece>,
        min: usize,
        max: usize,
    },
}

/// A regular expression of the subset that name filters need: `^ $ . [a-z] (a|b) * + ?` and escapes.
#[derive(Debug)]
pub(crate) struct Regex(Vec<Vec<Piece>>);

impl Regex {
    /// Compiles, or says that the text is no regular expression.
    pub(crate) fn new(text: &str) -> Result<Self, String> {
        let chars: Vec<char> = text.chars().collect();
        let mut at = 0;
        let alternatives = alternatives(&chars, &mut at)?;
        if at < chars.len() {
            return Err(format!("error parsing regexp: unexpected ): `{text}`"));
        }
        Ok(Self(alternatives))
    }

    /// Whether it matches anywhere in the text.
    pub(crate) fn is_match(&self, text: &str) -> bool {
        let chars: Vec<char> = text.chars().collect();
        (0..=chars.len()).any(|start| {
            self.0
                .iter()
                .any(|pieces| run(pieces, &chars, start, &mut |_| true))
        })
    }
}

fn alternatives(chars: &[char], at: &mut usize) -> Result<Vec<Vec<Piece>>, String> {
    let mut all = vec![Vec::new()];
    while *at < chars.len() && chars[*at] != ')' {
        let c = chars[*at];
        *at += 1;
        let piece = match c {
            '|' => {
                all.push(Vec::new());
                continue;
            }
            '^' => Piece::Start,
            '$' => Piece::End,
            '.' => Piece::Any,
            '[' => class(chars, at)?,
            '\\' => escape(chars, at)?,
            '(' => {
                if chars[*at..].starts_with(&['?', ':']) {
                    *at += 2;
                }
                let inner = alternatives(chars, at)?;
                if chars.get(*at) != Some(&')') {
                    return Err("error parsing regexp: missing closing )".into());
                }
                *at += 1;
                Piece::Group(inner)
            }
            '*' | '+' | '?' => {
                return Err(format!(
                    "error parsing regexp: missing argument to repetition operator: `{c}`"
                ));
            }
            other => Piece::Literal(other),
        };
        let (min, max) = match chars.get(*at) {
            Some('*') => (0, usize::MAX),
            Some('+') => (1, usize::MAX),
            Some('?') => (0, 1),
            _ => (1, 1),
        };
        let piece = if (min, max) == (1, 1) {
            piece
        } else {
            *at += 1;
            Piece::Repeat {
                piece: Box::new(piece),
                min,
                max,
            }
        };
        if let Some(last) = all.last_mut() {
            last.push(piece);
        }
    }
    Ok(all)
}

fn escape(chars: &[char], at: &mut usize) -> Result<Piece, String> {
    let c = *chars
        .get(*at)
        .ok_or("error parsing regexp: trailing backslash at end of expression")?;
    *at += 1;
    Ok(match c {
        'd' => Piece::Class {
            negated: false,
            ranges: vec![('0', '9')],
        },
        'w' => Piece::Class {
            negated: false,
            ranges: vec![('0', '9'), ('a', 'z'), ('A', 'Z'), ('_', '_')],
        },
        other => Piece::Literal(other),
    })
}

fn class(chars: &[char], at: &mut usize) -> Result<Piece, String> {
    let negated = chars.get(*at) == Some(&'^');
    if negated {
        *at += 1;
    }
    let mut ranges = Vec::new();
    loop {
        let mut low = *chars
            .get(*at)
            .ok_or("error parsing regexp: missing closing ]")?;
        *at += 1;
        if low == ']' && !ranges.is_empty() {
            return Ok(Piece::Class { negated, ranges });
        }
        if low == '\\' {
            low = *chars
                .get(*at)
                .ok_or("error parsing regexp: missing closing ]")?;
            *at += 1;
            if low == 'd' {
                ranges.push(('0', '9'));
                continue;
            }
        }
        match (chars.get(*at), chars.get(*at + 1)) {
            (Some('-'), Some(high)) if *high != ']' => {
                ranges.push((low, *high));
                *at += 2;
            }
            _ => ranges.push((low, low)),
        }
    }
}

/// Matches the pieces from `at`, then asks `then` whether the rest will do.
fn run(pieces: &[Piece], chars: &[char], at: usize, then: &mut dyn FnMut(usize) -> bool) -> bool {
    let Some((piece, rest)) = pieces.split_first() else {
        return then(at);
    };
    one(piece, chars, at, &mut |next| run(rest, chars, next, then))
}

fn one(piece: &Piece, chars: &[char], at: usize, then: &mut dyn FnMut(usize) -> bool) -> bool {
    match piece {
        Piece::Start => at == 0 && then(at),
        Piece::End => at == chars.len() && then(at),
        Piece::Any => at < chars.len() && then(at + 1),
        Piece::Literal(c) => chars.get(at) == Some(c) && then(at + 1),
        Piece::Class { negated, ranges } => {
            chars
                .get(at)
                .is_some_and(|c| ranges.iter().any(|(low, high)| low <= c && c <= high) != *negated)
                && then(at + 1)
        }
        Piece::Group(alternatives) => alternatives
            .iter()
            .any(|pieces| run(pieces, chars, at, then)),
        Piece::Repeat { piece, min, max } => repeat(piece, *min, *max, chars, at, then),
    }
}

fn repeat(
    piece: &Piece,
    min: usize,
    max: usize,
    chars: &[char],
    at: usize,
    then: &mut dyn FnMut(usize) -> bool,
) -> bool {
    let more = max > 0
        && one(piece, chars, at, &mut |next| {
            next > at && repeat(piece, min.saturating_sub(1), max - 1, chars, next, then)
        });
    more || (min == 0 && then(at))
}

/// Whether the whole text matches a glob in which `*` stands for anything.
pub(crate) fn glob(pattern: &str, text: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(rest) = text.strip_prefix(head) else {
        return false;
    };
    (0..=rest.len())
        .filter(|at| rest.is_char_boundary(*at))
        .any(|at| glob(tail, &rest[at..]))
}

/// Whether the globs match words in this order, other words between them left aside.
pub(crate) fn subsequence(globs: &[String], words: &[String]) -> bool {
    let mut words = words.iter();
    globs
        .iter()
        .all(|pattern| words.any(|word| glob(pattern, word)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        Regex::new(pattern).unwrap().is_match(text)
    }

    #[test]
    fn anchors_and_classes() {
        assert!(matches("^web-[0-9]+$", "web-10"));
        assert!(!matches("^web-[0-9]+$", "web-10a"));
        assert!(!matches("^web-[0-9]+$", "/web-1"));
        assert!(matches("web-1", "my-web-10"));
        assert!(matches(r"^/?(web-\d+|lb)$", "/lb"));
        assert!(matches(r"^a\.b$", "a.b") && !matches(r"^a\.b$", "axb"));
        assert!(matches("^a.*z$", "a-to-z") && matches("x?y", "y"));
        assert!(matches("^(a|b)+c$", "abac") && !matches("^(a|b)+c$", "c"));
        assert!(matches("^[^-]+$", "ab") && !matches("^[^-]+$", "a-b"));
    }

    #[test]
    fn refuses_what_go_refuses() {
        assert!(Regex::new("*a").is_err());
        assert!(Regex::new("(a").is_err());
        assert!(Regex::new("a)").is_err());
    }

    #[test]
    fn globs_in_order() {
        let words: Vec<String> = ["start", "web-2", "web-12"].map(String::from).into();
        let globs = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert!(subsequence(&globs(&["start", "web-*2"]), &words));
        assert!(!subsequence(&globs(&["web-*", "start"]), &words));
        assert!(glob("*", "") && glob("a*b*", "axxb") && !glob("a", "ab"));
    }
}
