//! Our own styles, in texts that hold words of others.
//!
//! A style is a mark in the text until it is printed. Marks hold a number that nobody outside of this process can know, so
//! that whatever else looks like a style came from somebody else, and is cleaned away.

use std::fmt::{self, Write as _};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::OnceLock;

use anstyle::{AnsiColor, Style};

use crate::text::printable_lines;

/// A style: `{paint}` begins it, `{paint:#}` ends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Paint(usize);

/// For what went wrong, what may, and what is fine.
pub(crate) const ERROR: Paint = Paint(0);
pub(crate) const WARNING: Paint = Paint(1);
pub(crate) const FINE: Paint = Paint(2);
pub(crate) const FAINT: Paint = Paint(3);

const STYLES: [Style; 10] = [
    AnsiColor::Red.on_default().bold(),
    AnsiColor::Yellow.on_default().bold(),
    AnsiColor::Green.on_default(),
    Style::new().dimmed(),
    AnsiColor::Cyan.on_default(),
    AnsiColor::Yellow.on_default(),
    AnsiColor::Green.on_default(),
    AnsiColor::Magenta.on_default(),
    AnsiColor::Blue.on_default(),
    AnsiColor::BrightCyan.on_default(),
];

/// The containers' names in merged logs take turns with those from here on.
const FIRST_OF_LOGS: usize = 4;

impl Paint {
    /// For the name of a container in merged logs, by its place.
    pub(super) fn of_log(index: usize) -> Self {
        Self(FIRST_OF_LOGS + index % (STYLES.len() - FIRST_OF_LOGS))
    }

    pub(super) fn style(self) -> Style {
        STYLES[self.0]
    }
}

impl fmt::Display for Paint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = if f.alternate() { 'e' } else { 'b' };
        write!(f, "{}{}{end}", mark(), self.0)
    }
}

/// What a mark begins with; one digit and one letter follow.
fn mark() -> &'static str {
    static MARK: OnceLock<String> = OnceLock::new();
    MARK.get_or_init(|| {
        let random = || RandomState::new().build_hasher().finish();
        format!("\u{1b}{:016x}{:016x}:", random(), random())
    })
}

/// `text` as it is printed: our marks as a terminal's codes, everything else clean.
pub(super) fn painted(text: &str) -> String {
    let mut pieces = text.split(mark());
    let mut painted = printable_lines(pieces.next().unwrap_or_default());
    for piece in pieces {
        let (at, rest) = piece.split_at_checked(2).unwrap_or((piece, ""));
        let style = at
            .chars()
            .next()
            .and_then(|digit| digit.to_digit(10))
            .and_then(|digit| STYLES.get(digit as usize))
            .copied()
            .unwrap_or_default();
        let _ = if at.ends_with('e') {
            write!(painted, "{style:#}")
        } else {
            write!(painted, "{style}")
        };
        painted.push_str(&printable_lines(rest));
    }
    painted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_styles_come_through_and_those_of_others_do_not() {
        let red = AnsiColor::Red.on_default().bold();
        let hostile = format!("{red}lb{red:#}\u{9b}1m\n");
        assert_eq!(
            painted(&format!("{ERROR}error:{ERROR:#} {hostile}")),
            format!("{red}error:{red:#} {}", printable_lines(&hostile))
        );
        for index in 0..12 {
            let paint = Paint::of_log(index);
            let style = paint.style();
            assert_eq!(
                painted(&format!("{paint}x{paint:#}")),
                format!("{style}x{style:#}")
            );
        }
        assert_eq!(painted(&format!("x{}", mark())), "x");
    }
}
