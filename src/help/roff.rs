//! A text as a manual page of section 7.

use clap_mangen::roff::{Inline, Roff, bold, roman};

use super::markdown::{Block, Span, Table, spans};
use super::plain;

/// How wide a table is that has more than two columns: a terminal's 80, without the page's margins.
const TABLE_COLUMNS: usize = 70;

pub(super) fn render(name: &str, summary: &str, blocks: &[Block]) -> String {
    let page = format!("vch-lb-{name}");
    let source = concat!("vch-lb ", env!("CARGO_PKG_VERSION"));
    let mut roff = Roff::new();
    // Pages are made when the package is: a date would make two builds differ.
    roff.control("TH", [page.as_str(), "7", "\"\"", source]);
    roff.control("SH", ["NAME"]);
    roff.text([roman(format!("{page} - {summary}"))]);
    let mut described = false;
    for block in blocks {
        if !described && !matches!(block, Block::Title(_) | Block::Heading(_)) {
            roff.control("SH", ["DESCRIPTION"]);
        }
        described |= !matches!(block, Block::Title(_));
        add(&mut roff, block);
    }
    roff.control("SH", ["SEE ALSO"]);
    roff.text([bold("vch-lb"), roman("(1)")]);
    roff.render()
}

fn add(roff: &mut Roff, block: &Block) {
    match block {
        // The page has a head of its own.
        Block::Title(_) => {}
        Block::Heading(heading) => {
            let heading = heading.replace(['`', '"', '\\'], "").to_uppercase();
            roff.control("SH", [heading.as_str()]);
        }
        Block::Paragraph(paragraph) => {
            roff.control("PP", []);
            roff.text(inlines(paragraph));
        }
        Block::Item(item) => {
            roff.control("IP", ["\\(bu", "2"]);
            roff.text(inlines(item));
        }
        Block::Code(lines) => as_they_are(roff, lines.iter().map(String::as_str)),
        Block::Table(table) if table.head.len() == 2 => definitions(roff, table),
        Block::Table(table) => {
            let text = plain::aligned(table, 0, TABLE_COLUMNS);
            as_they_are(roff, text.lines());
        }
    }
}

/// A table of two columns: what is explained, and below it how.
fn definitions(roff: &mut Roff, table: &Table) {
    for row in &table.rows {
        if let [name, meaning] = row.as_slice() {
            roff.control("TP", []);
            roff.text(inlines(name));
            roff.text(inlines(meaning));
        }
    }
}

fn as_they_are<'a>(roff: &mut Roff, lines: impl Iterator<Item = &'a str>) {
    roff.control("PP", []);
    roff.control("RS", ["2"]);
    roff.control("nf", []);
    for line in lines {
        roff.text([roman(line)]);
    }
    roff.control("fi", []);
    roff.control("RE", []);
}

fn inlines(text: &str) -> Vec<Inline> {
    let spans = spans(text).into_iter().map(|span| match span {
        Span::Plain(text) => roman(text),
        Span::Strong(text) | Span::Code(text) => bold(text),
    });
    spans.collect()
}

#[cfg(test)]
mod tests {
    use super::super::markdown::parse;
    use super::*;

    #[test]
    fn a_page_has_its_head_its_parts_and_nothing_that_roff_would_take_for_its_own() {
        let text = "# Title\n\n.first `-x \\n`\n\n## A part\n\n- 'item\n\n```sh\n.dot\n'tick -n\n```\n| a | b |\n| --- | --- |\n\
                    | `c` | d |\n";
        let page = render("topic", "What it is", &parse(text));
        let (_, page) = page.split_once(".TH ").unwrap();
        let expected = [
            concat!(
                "vch-lb-topic 7 \"\" \"vch-lb ",
                env!("CARGO_PKG_VERSION"),
                "\""
            ),
            ".SH NAME",
            "vch\\-lb\\-topic \\- What it is",
            ".SH DESCRIPTION",
            ".PP",
            "\\&.first \\fB\\-x \\\\n\\fR",
            ".SH \"A PART\"",
            ".IP \\(bu 2",
            "\\*(Aqitem",
            ".PP",
            ".RS 2",
            ".nf",
            "\\&.dot",
            "\\*(Aqtick \\-n",
            ".fi",
            ".RE",
            ".TP",
            "\\fBc\\fR",
            "d",
            ".SH \"SEE ALSO\"",
            "\\fBvch\\-lb\\fR(1)",
        ];
        assert_eq!(page.lines().collect::<Vec<_>>(), expected);
    }
}
