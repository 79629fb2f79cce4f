//! As much Markdown as the topics use.

/// What stands below each other in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Block {
    /// The title of the whole text.
    Title(String),
    Heading(String),
    Paragraph(String),
    Item(String),
    /// Lines that stay as they are.
    Code(Vec<String>),
    Table(Table),
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Table {
    /// Whether a column's cells end in line, rather than begin so.
    pub(super) right: Vec<bool>,
    pub(super) head: Vec<String>,
    pub(super) rows: Vec<Vec<String>>,
}

/// A piece of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Span {
    Plain(String),
    Strong(String),
    /// What is typed or printed.
    Code(String),
}

pub(super) fn parse(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut lines = text.lines().peekable();
    // Whether what comes next goes on with the last block.
    let mut open = false;
    while let Some(line) = lines.next() {
        if line.is_empty() || line.starts_with("<!--") {
            open = false;
        } else if line.starts_with("```") {
            let code = lines.by_ref().take_while(|line| !line.starts_with("```"));
            blocks.push(Block::Code(code.map(str::to_owned).collect()));
            open = false;
        } else if line.starts_with('|') {
            let mut rows = vec![cells(line)];
            while let Some(row) = lines.next_if(|line| line.starts_with('|')) {
                rows.push(cells(row));
            }
            blocks.push(Block::Table(table(rows)));
            open = false;
        } else if let Some(title) = line.strip_prefix("# ") {
            blocks.push(Block::Title(title.to_owned()));
        } else if line.starts_with("##") {
            let heading = line.trim_start_matches('#').trim_start();
            blocks.push(Block::Heading(heading.to_owned()));
            open = false;
        } else if let Some(item) = line.strip_prefix("- ") {
            blocks.push(Block::Item(item.to_owned()));
            open = true;
        } else {
            match blocks.last_mut() {
                Some(Block::Paragraph(text) | Block::Item(text)) if open => {
                    text.push(' ');
                    text.push_str(line.trim_start());
                }
                _ => blocks.push(Block::Paragraph(line.to_owned())),
            }
            open = true;
        }
    }
    blocks
}

fn cells(row: &str) -> Vec<String> {
    let row = row.trim().trim_matches('|');
    row.split('|').map(|cell| cell.trim().to_owned()).collect()
}

/// A table of its lines, of which the second says how columns are aligned.
fn table(rows: Vec<Vec<String>>) -> Table {
    let mut rows = rows.into_iter();
    let head = rows.next().unwrap_or_default();
    let rule = rows.next().unwrap_or_default();
    Table {
        right: rule.iter().map(|cell| cell.ends_with(':')).collect(),
        head,
        rows: rows.collect(),
    }
}

/// The pieces of a text. Of a link its text is left, and where it leads outside of the program, the address.
pub(super) fn spans(text: &str) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let between = |mark: &str| {
            let (inside, after) = rest.strip_prefix(mark)?.split_once(mark)?;
            (!inside.is_empty()).then_some((inside, after))
        };
        if let Some((code, after)) = between("`") {
            flush(&mut plain, &mut spans);
            spans.push(Span::Code(code.to_owned()));
            rest = after;
        } else if let Some((strong, after)) = between("**") {
            flush(&mut plain, &mut spans);
            spans.push(Span::Strong(strong.to_owned()));
            rest = after;
        } else if let Some((text, target, after)) = link(rest) {
            flush(&mut plain, &mut spans);
            spans.extend(self::spans(text));
            if target.starts_with("https://") {
                plain = format!(" ({target})");
            }
            rest = after;
        } else {
            plain.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    flush(&mut plain, &mut spans);
    spans
}

fn flush(plain: &mut String, spans: &mut Vec<Span>) {
    if !plain.is_empty() {
        spans.push(Span::Plain(std::mem::take(plain)));
    }
}

/// A link at the beginning of `text`: what it says, where it leads, what comes after it.
fn link(text: &str) -> Option<(&str, &str, &str)> {
    let (said, rest) = text.strip_prefix('[')?.split_once("](")?;
    let (target, after) = rest.split_once(')')?;
    (!said.contains(']')).then_some((said, target, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_told_apart() {
        let text = "# Title\n\none\ntwo\n\n## Part\n- a\n  b\n- c\n\nlast\n```console\n$ x\n\n  y\n```\n| h | n |\n\
                    | --- | --: |\n| `a` |  |\n<!-- a note -->\n";
        let own = str::to_owned;
        let table = Table {
            right: vec![false, true],
            head: vec![own("h"), own("n")],
            rows: vec![vec![own("`a`"), String::new()]],
        };
        let expected = [
            Block::Title(own("Title")),
            Block::Paragraph(own("one two")),
            Block::Heading(own("Part")),
            Block::Item(own("a b")),
            Block::Item(own("c")),
            Block::Paragraph(own("last")),
            Block::Code(vec![own("$ x"), String::new(), own("  y")]),
            Block::Table(table),
        ];
        assert_eq!(parse(text), expected);
    }

    #[test]
    fn pieces_are_told_apart_and_links_become_text() {
        let shown = |text: &str| {
            let spans = spans(text).into_iter().map(|span| match span {
                Span::Plain(text) => text,
                Span::Strong(text) => format!("<b>{text}</b>"),
                Span::Code(text) => format!("<c>{text}</c>"),
            });
            spans.collect::<String>()
        };
        for (text, expected) in [
            ("plain *:80 [x] a_b", "plain *:80 [x] a_b"),
            ("**One.** `two **` three", "<b>One.</b> <c>two **</c> three"),
            ("see [`x`](limits.md#y), and", "see <c>x</c>, and"),
            ("[guide](https://a/b)!", "guide (https://a/b)!"),
            ("[list] of [a](b)", "[list] of a"),
            ("one ` alone", "one ` alone"),
        ] {
            assert_eq!(shown(text), expected);
        }
    }
}
