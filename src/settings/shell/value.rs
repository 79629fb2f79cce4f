//! What a word of a script stands for, as far as that can be told without running anything.

/// What is known of a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Variable {
    Is(String),
    Unset,
    /// Something may have set it.
    Unknown,
}

/// The text of `word` as an assignment takes it: quotes removed, variables and `${NAME:-default}` in place. Whatever else a
/// shell would expand is refused.
pub fn evaluate(word: &str, variable: &dyn Fn(&str) -> Variable) -> Result<String, String> {
    let mut reader = Reader {
        rest: word,
        variable,
        depth: 0,
    };
    reader.text(Inside::Nothing)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inside {
    Nothing,
    /// Of `"…"`.
    Quotes,
    /// Of `${…}`, up to its brace.
    Braces,
    /// Of `"${…}"`.
    QuotedBraces,
}

struct Reader<'a> {
    rest: &'a str,
    variable: &'a dyn Fn(&str) -> Variable,
    depth: usize,
}

impl Reader<'_> {
    fn text(&mut self, inside: Inside) -> Result<String, String> {
        self.depth += 1;
        if self.depth > 40 {
            return Err("it is nested too deeply".into());
        }
        let quoted = matches!(inside, Inside::Quotes | Inside::QuotedBraces);
        let mut text = String::new();
        let mut after_colon = true;
        while let Some(c) = self.rest.chars().next() {
            let starts = std::mem::replace(&mut after_colon, c == ':' && !quoted);
            match c {
                '"' if inside == Inside::Quotes => break,
                '}' if matches!(inside, Inside::Braces | Inside::QuotedBraces) => break,
                '\'' | '"' | '\\' if inside == Inside::QuotedBraces => {
                    return Err(self.unexpanded());
                }
                '\'' if !quoted => {
                    let (inner, rest) = self.rest[1..]
                        .split_once('\'')
                        .ok_or("a quote is not closed")?;
                    text.push_str(inner);
                    self.rest = rest;
                    continue;
                }
                '"' => {
                    self.rest = &self.rest[1..];
                    text.push_str(&self.text(Inside::Quotes)?);
                    self.rest = self.rest.strip_prefix('"').ok_or("a quote is not closed")?;
                    continue;
                }
                '\\' => {
                    let escaped = self.rest[1..].chars().next();
                    let special = !quoted || matches!(escaped, Some('$' | '`' | '"' | '\\' | '\n'));
                    if !special || escaped.is_none() {
                        text.push('\\');
                    }
                    if let Some(escaped) = escaped.filter(|_| special) {
                        if escaped != '\n' {
                            text.push(escaped);
                        }
                        self.rest = &self.rest[1 + escaped.len_utf8()..];
                        continue;
                    }
                }
                '$' | '`' => {
                    text.push_str(&self.expansion(quoted)?);
                    continue;
                }
                '~' if starts && !quoted => {
                    return Err("`~` is not expanded here: write the path itself".into());
                }
                '<' | '>' | '(' if !quoted => return Err(self.unexpanded()),
                _ => text.push(c),
            }
            self.rest = &self.rest[c.len_utf8()..];
        }
        self.depth -= 1;
        Ok(text)
    }

    /// What a `$` or a backtick stands for.
    fn expansion(&mut self, quoted: bool) -> Result<String, String> {
        let before = self.rest;
        let unexpanded = self.unexpanded();
        let braced = before.strip_prefix("${");
        let inner = braced.or(before.strip_prefix('$')).unwrap_or_default();
        let end = inner
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(inner.len());
        let (name, behind) = inner.split_at(end);
        if !super::is_name(name) {
            return Err(unexpanded);
        }
        let value = (self.variable)(name);
        if braced.is_none() {
            self.rest = behind;
            return match value {
                Variable::Is(text) => Ok(text),
                _ => Err(unexpanded),
            };
        }
        if let Some(rest) = behind.strip_prefix('}') {
            self.rest = rest;
            return match value {
                Variable::Is(text) => Ok(text),
                _ => Err(unexpanded),
            };
        }
        let empty_counts = behind.starts_with(":-");
        let default = behind
            .strip_prefix(":-")
            .or_else(|| behind.strip_prefix('-'))
            .ok_or_else(|| unexpanded.clone())?;
        self.rest = default;
        let default = self.text(if quoted {
            Inside::QuotedBraces
        } else {
            Inside::Braces
        });
        let closed = self
            .rest
            .strip_prefix('}')
            .ok_or_else(|| unexpanded.clone())?;
        self.rest = closed;
        match value {
            Variable::Unknown => Err(unexpanded),
            Variable::Is(text) if !(text.is_empty() && empty_counts) => Ok(text),
            _ => default,
        }
    }

    /// That the expansion that is next is not made.
    fn unexpanded(&self) -> String {
        let mut open = 0_usize;
        let end = self.rest.char_indices().find(|(index, c)| match c {
            '{' | '(' => {
                open += 1;
                false
            }
            '}' | ')' => {
                open = open.saturating_sub(1);
                open == 0
            }
            '`' if *index > 0 => true,
            '$' => false,
            c if open == 0 && *index > 0 && !self.rest.starts_with('`') => {
                !c.is_ascii_alphanumeric() && *c != '_'
            }
            _ => false,
        });
        let end = end.map_or(self.rest.len(), |(index, c)| {
            if matches!(c, '}' | ')' | '`') {
                index + c.len_utf8()
            } else {
                index
            }
        });
        let shown = self.rest[..end].trim_end();
        format!("`{shown}` is not expanded here: write the value itself")
    }
}
