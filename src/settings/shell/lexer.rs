//! The characters of a script as words and operators.

use super::{Here, Script, Touch, Unclear, is_name};

/// Deeper than any script: text from anywhere must not exhaust the stack.
const DEEPEST: usize = 40;

const OPERATORS: [&str; 24] = [
    ";;&", "<<<", "<<-", "&>>", "&&", "||", ";;", ";&", "|&", "<<", ">>", "<>", ">|", "<&", ">&",
    "&>", "\n", ";", "&", "|", "<", ">", "(", ")",
];

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    Word(String),
    Operator(&'static str),
    End,
}

/// A here-document whose text follows on the next line.
struct Pending {
    delimiter: String,
    literal: bool,
    indented: bool,
    place: usize,
}

/// Who reads the commands of a substitution within a word: the parser, which itself is built on this.
#[derive(Debug, Clone, Copy)]
pub(super) struct Commands {
    /// All of a text: it stood between backticks.
    pub between_backticks: fn(&str, usize, usize) -> Result<Script, Unclear>,
    /// What stands behind `$(`.
    pub up_to_parenthesis: fn(&str, usize, usize) -> Measured,
}

/// The commands of a substitution, and how many bytes and lines they take.
pub(super) type Measured = Result<(Script, usize, usize), Unclear>;

pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
    commands: Commands,
    pub line: usize,
    pub depth: usize,
    pending: Vec<Pending>,
    /// In the order in which they were begun.
    pub heres: Vec<Here>,
    /// What was found inside words.
    pub found: Script,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str, line: usize, depth: usize, commands: Commands) -> Self {
        Self {
            text,
            commands,
            at: 0,
            line,
            depth,
            pending: Vec::new(),
            heres: Vec::new(),
            found: Script::default(),
        }
    }

    pub(super) fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn first(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn unclear(&self, why: impl Into<String>) -> Unclear {
        Unclear {
            line: self.line,
            why: why.into(),
        }
    }

    fn advance(&mut self, bytes: usize) -> &'a str {
        let passed = &self.rest()[..bytes];
        self.at += bytes;
        self.line += passed.matches('\n').count();
        passed
    }

    /// Passes `bytes` bytes of ASCII.
    pub(super) fn pass(&mut self, bytes: usize) {
        self.advance(bytes);
    }

    fn advance_char(&mut self) -> &'a str {
        let length = self.first().map_or(0, char::len_utf8);
        self.advance(length)
    }

    pub(super) fn deeper(&mut self) -> Result<(), Unclear> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(self.unclear("it is nested too deeply"));
        }
        Ok(())
    }

    /// Passes blanks, continued lines and a comment.
    pub(super) fn skip_blanks(&mut self) {
        loop {
            let rest = self.rest();
            if rest.starts_with([' ', '\t']) {
                self.advance(1);
            } else if rest.starts_with("\\\n") {
                self.advance(2);
            } else if rest.starts_with('#') {
                let end = rest.find('\n').unwrap_or(rest.len());
                self.advance(end);
            } else {
                return;
            }
        }
    }

    pub(super) fn next(&mut self) -> Result<Token, Unclear> {
        self.skip_blanks();
        let rest = self.rest();
        if rest.is_empty() {
            self.read_heres()?;
            return Ok(Token::End);
        }
        let is_substitution = rest.starts_with("<(") || rest.starts_with(">(");
        let operator = OPERATORS
            .iter()
            .find(|operator| rest.starts_with(**operator));
        match operator {
            Some(operator) if !is_substitution => {
                self.advance(operator.len());
                if *operator == "\n" {
                    self.read_heres()?;
                }
                Ok(Token::Operator(operator))
            }
            _ => Ok(Token::Word(self.word()?)),
        }
    }

    /// The delimiter of a here-document was read; its text comes behind this line. Says which one it is.
    pub(super) fn expect_here(&mut self, delimiter: &str, indented: bool) -> usize {
        let bare: String = delimiter
            .chars()
            .filter(|c| !matches!(c, '\'' | '"' | '\\'))
            .collect();
        self.heres.push(Here {
            line: 0,
            text: String::new(),
            literal: bare != delimiter,
        });
        let place = self.heres.len() - 1;
        self.pending.push(Pending {
            literal: bare != delimiter,
            delimiter: bare,
            indented,
            place,
        });
        place
    }

    fn read_heres(&mut self) -> Result<(), Unclear> {
        for pending in std::mem::take(&mut self.pending) {
            let started = self.line;
            let mut text = String::new();
            loop {
                if self.rest().is_empty() {
                    let why = format!("its here-document has no end `{}`", pending.delimiter);
                    return Err(self.unclear(why));
                }
                let end = self
                    .rest()
                    .find('\n')
                    .map_or(self.rest().len(), |end| end + 1);
                let whole = self.advance(end);
                let line = if pending.indented {
                    whole.trim_start_matches('\t')
                } else {
                    whole
                };
                if line.trim_end_matches('\n') == pending.delimiter {
                    break;
                }
                text.push_str(line);
            }
            if !pending.literal {
                self.scan_expansions(&text, started)?;
            }
            let here = &mut self.heres[pending.place];
            (here.line, here.text) = (started, text);
        }
        Ok(())
    }

    /// Looks for what sets variables in text that is expanded as inside double quotes.
    fn scan_expansions(&mut self, text: &str, line: usize) -> Result<(), Unclear> {
        let mut inner = Lexer::new(text, line, self.depth, self.commands);
        inner.deeper()?;
        while !inner.rest().is_empty() {
            inner.quoted_piece()?;
        }
        self.found.commands.append(&mut inner.found.commands);
        self.found.touched.append(&mut inner.found.touched);
        Ok(())
    }

    /// One character or one expansion, as inside double quotes.
    fn quoted_piece(&mut self) -> Result<(), Unclear> {
        match self.first() {
            Some('\\') => {
                self.advance(1);
                self.advance_char();
            }
            Some('$') => self.dollar()?,
            Some('`') => self.backticks()?,
            _ => {
                self.advance_char();
            }
        }
        Ok(())
    }

    /// A word, as it is written.
    pub(super) fn word(&mut self) -> Result<String, Unclear> {
        let start = self.at;
        loop {
            match self.first() {
                None | Some(' ' | '\t' | '\n' | ';' | '&' | '|' | ')') => break,
                Some('(') => {
                    let so_far = &self.text[start..self.at];
                    let is_array =
                        super::assignment(so_far).is_some_and(|(_, _, value)| value.is_empty());
                    let is_pattern = so_far.ends_with(['?', '*', '+', '@', '!']);
                    if !is_array && !is_pattern {
                        break;
                    }
                    self.advance(1);
                    self.inside_parentheses()?;
                }
                Some('<' | '>') => {
                    if !self.rest()[1..].starts_with('(') {
                        break;
                    }
                    self.advance(2);
                    self.substitution()?;
                }
                Some('\\') => {
                    self.advance(1);
                    self.advance_char();
                }
                Some('\'') => self.single_quotes()?,
                Some('"') => self.double_quotes()?,
                Some('$') => self.dollar()?,
                Some('`') => self.backticks()?,
                Some(_) => {
                    self.advance_char();
                }
            }
        }
        if self.at == start {
            return Err(self.unclear("it is not understood"));
        }
        Ok(self.text[start..self.at].to_owned())
    }

    /// The words of an array or of a pattern, and the parenthesis behind them.
    fn inside_parentheses(&mut self) -> Result<(), Unclear> {
        self.deeper()?;
        loop {
            self.skip_blanks();
            match self.first() {
                None => return Err(self.unclear("a parenthesis is not closed")),
                Some(')') => {
                    self.advance(1);
                    self.depth -= 1;
                    return Ok(());
                }
                Some('(') => {
                    self.advance(1);
                    self.inside_parentheses()?;
                }
                Some('\n' | ';' | '&' | '|' | '<' | '>') => {
                    self.advance(1);
                }
                Some(_) => {
                    self.word()?;
                }
            }
        }
    }

    fn single_quotes(&mut self) -> Result<(), Unclear> {
        let end = self.rest()[1..].find('\'');
        let end = end.ok_or_else(|| self.unclear("a quote is not closed"))?;
        self.advance(end + 2);
        Ok(())
    }

    fn double_quotes(&mut self) -> Result<(), Unclear> {
        let unclosed = self.unclear("a quote is not closed");
        self.advance(1);
        loop {
            match self.first() {
                None => return Err(unclosed),
                Some('"') => {
                    self.advance(1);
                    return Ok(());
                }
                Some(_) => self.quoted_piece()?,
            }
        }
    }

    fn backticks(&mut self) -> Result<(), Unclear> {
        let unclosed = self.unclear("a backtick is not closed");
        let line = self.line;
        self.advance(1);
        let mut inner = String::new();
        loop {
            match self.first() {
                None => return Err(unclosed),
                Some('`') => {
                    self.advance(1);
                    break;
                }
                Some('\\') => {
                    self.advance(1);
                    let escaped = self.advance_char();
                    if !matches!(escaped, "`" | "$" | "\\") {
                        inner.push('\\');
                    }
                    inner.push_str(escaped);
                }
                Some(_) => inner.push_str(self.advance_char()),
            }
        }
        let script = (self.commands.between_backticks)(&inner, line, self.depth + 1)?;
        self.add(script);
        Ok(())
    }

    fn add(&mut self, mut script: Script) {
        self.found.commands.append(&mut script.commands);
        self.found.touched.append(&mut script.touched);
    }

    /// A `$` and what belongs to it.
    fn dollar(&mut self) -> Result<(), Unclear> {
        let rest = self.rest();
        if rest.starts_with("$((")
            && let Some(length) = arithmetic(&rest[3..])
        {
            self.advance(3);
            self.arithmetic(length);
            return Ok(());
        }
        if rest.starts_with("$(") {
            self.advance(2);
            return self.substitution();
        }
        if rest.starts_with("${") {
            self.advance(2);
            return self.braces();
        }
        if rest.starts_with("$'") {
            return self.ansi_quotes();
        }
        self.advance(1);
        Ok(())
    }

    fn ansi_quotes(&mut self) -> Result<(), Unclear> {
        let unclosed = self.unclear("a quote is not closed");
        self.advance(2);
        loop {
            match self.first() {
                None => return Err(unclosed),
                Some('\\') => {
                    self.advance(1);
                    self.advance_char();
                }
                Some('\'') => {
                    self.advance(1);
                    return Ok(());
                }
                Some(_) => {
                    self.advance_char();
                }
            }
        }
    }

    /// Notes what an arithmetic expression of `length` bytes sets, and passes it with its `))`.
    pub(super) fn arithmetic(&mut self, length: usize) {
        let expression = &self.rest()[..length];
        for name in set_by_arithmetic(expression) {
            self.touch(name);
        }
        self.advance(length + 2);
    }

    pub(super) fn touch(&mut self, name: &str) {
        self.found.touched.push(Touch {
            name: name.to_owned(),
            line: self.line,
        });
    }

    /// The commands of a substitution up to their parenthesis.
    fn substitution(&mut self) -> Result<(), Unclear> {
        let (script, length, lines) =
            (self.commands.up_to_parenthesis)(self.rest(), self.line, self.depth + 1)?;
        self.add(script);
        self.at += length;
        self.line += lines;
        Ok(())
    }

    /// `${…}` behind its brace.
    fn braces(&mut self) -> Result<(), Unclear> {
        self.deeper()?;
        let unclosed = self.unclear("a brace is not closed");
        let inner = self.rest().trim_start_matches(['!', '#']);
        if inner.starts_with([' ', '\t', '\n', '|']) {
            return Err(self.unclear("it is not understood"));
        }
        let end = inner
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(inner.len());
        let (name, operator) = inner.split_at(end);
        if is_name(name) && (operator.starts_with('=') || operator.starts_with(":=")) {
            self.touch(name);
        }
        if operator.starts_with('[') || operator.starts_with(':') {
            // A subscript or an offset is arithmetic.
            let upto = operator.find('}').unwrap_or(operator.len());
            for name in set_by_arithmetic(&operator[..upto]) {
                self.touch(name);
            }
        }
        loop {
            match self.first() {
                None => return Err(unclosed),
                Some('}') => {
                    self.advance(1);
                    self.depth -= 1;
                    return Ok(());
                }
                Some('\'') => self.single_quotes()?,
                Some('"') => self.double_quotes()?,
                Some(_) => self.quoted_piece()?,
            }
        }
    }
}

/// How long the arithmetic expression at the start of `text` is, if `))` ends it.
pub(super) fn arithmetic(text: &str) -> Option<usize> {
    let mut open = 0_usize;
    for (index, c) in text.char_indices() {
        match c {
            '(' => open += 1,
            ')' if open > 0 => open -= 1,
            ')' => return text[index..].starts_with("))").then_some(index),
            _ => {}
        }
    }
    None
}

/// The variables that an arithmetic expression sets.
pub(super) fn set_by_arithmetic(expression: &str) -> Vec<&str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut names = Vec::new();
    let mut at = 0;
    while let Some(start) = expression[at..].find(is_part).map(|start| at + start) {
        let end = expression[start..]
            .find(|c: char| !is_part(c))
            .map_or(expression.len(), |end| start + end);
        let before = expression[..start].trim_end_matches(['$', '{', '"', ' ', '\t', '\n']);
        let after = expression[end..].trim_start_matches(['}', '"', ' ', '\t', '\n', '\\']);
        let sets = before.ends_with("++")
            || before.ends_with("--")
            || after.starts_with("++")
            || after.starts_with("--")
            || after.starts_with('[')
            || (after.starts_with('=') && !after.starts_with("=="))
            || ["+=", "-=", "*=", "/=", "%=", "<<=", ">>=", "&=", "^=", "|="]
                .iter()
                .any(|operator| after.starts_with(operator));
        let name = &expression[start..end];
        if sets && is_name(name) {
            names.push(name);
        }
        at = end;
    }
    names
}
