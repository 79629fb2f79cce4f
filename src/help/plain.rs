//! A text as a terminal shows it: headings at the margin, text below them, what is typed further in.

use std::fmt::Write as _;

use super::markdown::{Block, Span, Table, spans};

/// How far text stands from the margin, and what is shown as it was typed.
const TEXT: usize = 2;
const CODE: usize = 4;

/// What is between two columns of a table.
const GAP: usize = 2;
/// The last column of a table has at least this much room; else its cells go below the others.
const LAST_COLUMN: usize = 36;

pub(super) fn render(blocks: &[Block], columns: usize) -> String {
    let mut text = String::new();
    let mut before: Option<&Block> = None;
    for block in blocks {
        let close = matches!(
            (before, block),
            (None | Some(Block::Heading(_)), _) | (Some(Block::Item(_)), Block::Item(_))
        );
        if !close {
            text.push('\n');
        }
        match block {
            Block::Title(title) | Block::Heading(title) => {
                text.push_str(&inline(title));
                text.push('\n');
            }
            Block::Paragraph(paragraph) => wrap(&mut text, &inline(paragraph), "", TEXT, columns),
            Block::Item(item) => wrap(&mut text, &inline(item), "- ", TEXT, columns),
            Block::Code(lines) => {
                for line in lines {
                    let line = format!("{:CODE$}{line}", "");
                    text.push_str(line.trim_end());
                    text.push('\n');
                }
            }
            Block::Table(table) => text.push_str(&aligned(table, TEXT, columns)),
        }
        before = Some(block);
    }
    text
}

/// A text without marks, but for the backquotes around what is typed.
fn inline(text: &str) -> String {
    let spans = spans(text).into_iter().map(|span| match span {
        Span::Plain(text) | Span::Strong(text) => text,
        Span::Code(code) => format!("`{code}`"),
    });
    spans.collect()
}

/// The words of a text; what stands in backquotes is one, if a line has room for it.
fn words(text: &str, room: usize) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut inside = false;
    for word in text.split_ascii_whitespace() {
        let joined = words
            .last_mut()
            .filter(|last| inside && last.chars().count() + 1 + word.chars().count() <= room / 2);
        match joined {
            Some(last) => {
                last.push(' ');
                last.push_str(word);
            }
            None => words.push(word.to_owned()),
        }
        inside ^= word.matches('`').count() % 2 == 1;
    }
    words
}

/// Adds a text in lines, each at `indent`; the first behind `mark`.
fn wrap(text: &mut String, paragraph: &str, mark: &str, indent: usize, columns: usize) {
    let hanging = indent + mark.chars().count();
    let room = columns.saturating_sub(hanging);
    let mut line = String::new();
    let mut lines = Vec::new();
    for word in words(paragraph, room) {
        let longer = line.chars().count() + 1 + word.chars().count();
        if !line.is_empty() && longer > room {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&word);
    }
    lines.push(line);
    for (number, line) in lines.iter().enumerate() {
        let mark = if number == 0 { mark } else { "" };
        let width = hanging - indent;
        let _ = writeln!(text, "{:indent$}{mark:width$}{line}", "");
    }
}

/// A table as columns; where the last one would be too narrow, below the others.
pub(super) fn aligned(table: &Table, indent: usize, columns: usize) -> String {
    let rows: Vec<Vec<String>> = std::iter::once(&table.head)
        .filter(|head| head.iter().any(|cell| !cell.is_empty()))
        .chain(&table.rows)
        .map(|row| row.iter().map(|cell| inline(cell)).collect())
        .collect();
    let count = table.head.len();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..count).map(width).collect();
    let (last, others) = widths.split_last().unwrap_or((&0, &[]));
    let begin = indent + others.iter().map(|width| width + GAP).sum::<usize>();
    let below = begin + (*last).min(LAST_COLUMN) > columns;
    let mut text = String::new();
    for row in &rows {
        let mut line = " ".repeat(indent);
        for (column, cell) in row.iter().take(others.len()).enumerate() {
            let width = if below { 0 } else { others[column] };
            if table.right.get(column).copied().unwrap_or_default() {
                let _ = write!(line, "{cell:>width$}{:GAP$}", "");
            } else {
                let _ = write!(line, "{cell:width$}{:GAP$}", "");
            }
        }
        let cell = row.last().map(String::as_str).unwrap_or_default();
        if below {
            wrap(&mut text, &line[indent..], "", indent, columns);
            wrap(&mut text, cell, "", indent + 4, columns);
        } else {
            wrap(&mut text, cell, &line[indent..], indent, columns);
        }
    }
    // A cell that is empty leaves nothing behind the others.
    let lines = text.lines().map(|line| format!("{}\n", line.trim_end()));
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::super::markdown::parse;
    use super::*;

    #[test]
    fn text_is_wrapped_below_its_heading_and_what_is_typed_stands_apart() {
        let text = "# Title\n\nOne **two** three `four five` six [seven](#x) eight nine.\n\n## Part\n\n- a b c d e f g h i j \
                    k l m n o\n- p\n\n```console\n$ vch-lb up\n\nanswer\n```\n";
        let expected = concat!(
            "Title\n\n",
            "  One two three `four five` six\n  seven eight nine.\n\n",
            "Part\n",
            "  - a b c d e f g h i j k l m n\n    o\n  - p\n\n",
            "    $ vch-lb up\n\n    answer\n",
        );
        assert_eq!(render(&parse(text), 32), expected);
    }

    #[test]
    fn what_is_typed_is_not_torn_apart_where_a_line_has_room_for_it() {
        let text = render(&parse("Some words, and then `vch-lb up -n 3`."), 30);
        assert_eq!(text, "  Some words, and then\n  `vch-lb up -n 3`.\n");
    }

    #[test]
    fn a_table_is_columns_the_last_of_which_is_wrapped() {
        let text = "| code | default | meaning |\n| --: | --- | --- |\n| 0 | `a` | done, or nothing to do at all, \
                    which is as good |\n| 130 |  | interrupted |\n";
        let expected = concat!(
            "  code  default  meaning\n",
            "     0  `a`      done, or nothing to do at all, which\n",
            "                 is as good\n",
            "   130           interrupted\n"
        );
        assert_eq!(render(&parse(text), 54), expected);
    }

    #[test]
    fn a_table_without_room_for_its_last_column_has_it_below() {
        let text = "| the VCH says | it means |\n| --- | --- |\n| `one long message`, `another` | this and that, and more of it |\n";
        let expected = concat!(
            "  the VCH says\n",
            "      it means\n",
            "  `one long message`,\n  `another`\n",
            "      this and that, and\n      more of it\n"
        );
        assert_eq!(render(&parse(text), 28), expected);
    }
}
