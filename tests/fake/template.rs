//! The part of Go's templates that `--format` needs: fields, `json`, `index`, `range`, `if`, `with`, `eq`, `len`, `println`,
//! pipes, variables. Values are JSON; a field that isn't there is an error, as docker's `missingkey=error` has it.

use serde_json::Value;

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Field(Vec<String>),
    Variable(String, Vec<String>),
    Word(String),
    Text(String),
    Number(i64),
    Open,
    Close(Vec<String>),
    Pipe,
    Assign,
    Comma,
}

#[derive(Debug)]
enum Node {
    Text(String),
    Print {
        source: String,
        tokens: Vec<Token>,
    },
    Range {
        variables: Vec<String>,
        source: String,
        tokens: Vec<Token>,
        body: Vec<Node>,
        otherwise: Vec<Node>,
    },
    If {
        with: bool,
        source: String,
        tokens: Vec<Token>,
        body: Vec<Node>,
        otherwise: Vec<Node>,
    },
    Set {
        variable: String,
        source: String,
        tokens: Vec<Token>,
    },
}

/// A template, ready to be applied.
#[derive(Debug)]
pub(crate) struct Template(Vec<Node>);

impl Template {
    pub(crate) fn new(text: &str) -> Result<Self, String> {
        let text = text.replace("\\t", "\t").replace("\\n", "\n");
        let mut parts = pieces(&text)?.into_iter();
        let (nodes, end) = block(&mut parts)?;
        match end {
            None => Ok(Self(nodes)),
            Some(word) => Err(format!("template: :1: unexpected {{{{{word}}}}}")),
        }
    }

    pub(crate) fn apply(&self, value: &Value) -> Result<String, String> {
        let mut out = String::new();
        let mut scope = vec![("$".to_owned(), value.clone())];
        write(&self.0, value, &mut scope, &mut out)?;
        Ok(out)
    }
}

enum Piece {
    Text(String),
    Action(String),
}

fn pieces(text: &str) -> Result<Vec<Piece>, String> {
    let mut all = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let (action, after) = after
            .split_once("}}")
            .ok_or("template: :1: unclosed action")?;
        let (before, action) = match action.strip_prefix("- ") {
            Some(action) => (before.trim_end(), action),
            None => (before, action),
        };
        all.push(Piece::Text(before.to_owned()));
        rest = after;
        let action = match action.strip_suffix(" -") {
            Some(action) => {
                rest = rest.trim_start();
                action
            }
            None => action,
        };
        all.push(Piece::Action(action.trim().to_owned()));
    }
    all.push(Piece::Text(rest.to_owned()));
    Ok(all)
}

/// Nodes up to an `end` or `else`, which is returned too.
fn block(parts: &mut impl Iterator<Item = Piece>) -> Result<(Vec<Node>, Option<String>), String> {
    let mut nodes = Vec::new();
    while let Some(part) = parts.next() {
        let action = match part {
            Piece::Text(text) => {
                if !text.is_empty() {
                    nodes.push(Node::Text(text));
                }
                continue;
            }
            Piece::Action(action) => action,
        };
        let (word, rest) = action.split_once(' ').unwrap_or((action.as_str(), ""));
        match word {
            "end" | "else" => return Ok((nodes, Some(action))),
            "if" | "with" | "range" => nodes.push(branch(word, rest, parts)?),
            _ => {
                let tokens = tokens(&action)?;
                let (variables, tokens) = assignment(tokens);
                match variables.into_iter().next() {
                    Some(variable) => nodes.push(Node::Set {
                        variable,
                        source: action,
                        tokens,
                    }),
                    None => nodes.push(Node::Print {
                        source: action,
                        tokens,
                    }),
                }
            }
        }
    }
    Ok((nodes, None))
}

fn branch(word: &str, rest: &str, parts: &mut impl Iterator<Item = Piece>) -> Result<Node, String> {
    let source = rest.to_owned();
    let (variables, tokens) = assignment(tokens(rest)?);
    let (body, end) = block(parts)?;
    let otherwise = match end.as_deref() {
        Some("end") => Vec::new(),
        Some("else") => match block(parts)? {
            (nodes, Some(end)) if end == "end" => nodes,
            _ => return Err("template: :1: unexpected EOF".into()),
        },
        Some(chained) => {
            let (word, rest) = chained
                .strip_prefix("else ")
                .and_then(|chained| chained.split_once(' '))
                .ok_or("template: :1: bad else")?;
            vec![branch(word, rest, parts)?]
        }
        None => return Err("template: :1: unexpected EOF".into()),
    };
    Ok(if word == "range" {
        Node::Range {
            variables,
            source,
            tokens,
            body,
            otherwise,
        }
    } else {
        Node::If {
            with: word == "with",
            source,
            tokens,
            body,
            otherwise,
        }
    })
}

/// Takes `$a, $b :=` off the front.
fn assignment(tokens: Vec<Token>) -> (Vec<String>, Vec<Token>) {
    let Some(at) = tokens.iter().position(|token| *token == Token::Assign) else {
        return (Vec::new(), tokens);
    };
    let variables = tokens[..at].iter().filter_map(|token| match token {
        Token::Variable(name, _) => Some(name.clone()),
        _ => None,
    });
    (variables.collect(), tokens[at + 1..].to_vec())
}

fn path(text: &str) -> Vec<String> {
    text.split('.')
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut all = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let word_end = rest
            .find(|c: char| c.is_whitespace() || "()|,".contains(c))
            .unwrap_or(rest.len());
        let (token, used) = match first {
            '(' => (Token::Open, 1),
            ')' => {
                let end = rest[1..]
                    .find(|c: char| c.is_whitespace() || "()|,".contains(c))
                    .map_or(rest.len(), |at| at + 1);
                (Token::Close(path(&rest[1..end])), end)
            }
            '|' => (Token::Pipe, 1),
            ',' => (Token::Comma, 1),
            ':' | '=' => (Token::Assign, rest.find('=').map_or(1, |at| at + 1)),
            '"' => {
                let mut end = 1;
                let bytes = rest.as_bytes();
                while end < bytes.len() && bytes[end] != b'"' {
                    end += if bytes[end] == b'\\' { 2 } else { 1 };
                }
                if end >= bytes.len() {
                    return Err("template: :1: unterminated quoted string".into());
                }
                let unquoted =
                    serde_json::from_str(&rest[..=end].replace('\t', "\\t").replace('\n', "\\n"));
                (
                    Token::Text(unquoted.map_err(|error| format!("template: :1: {error}"))?),
                    end + 1,
                )
            }
            '`' => {
                let end = rest[1..]
                    .find('`')
                    .ok_or("template: :1: unterminated raw quoted string")?;
                (Token::Text(rest[1..=end].to_owned()), end + 2)
            }
            '.' => (Token::Field(path(&rest[..word_end])), word_end),
            '$' => {
                let word = &rest[..word_end];
                let (name, fields) = word.split_once('.').unwrap_or((word, ""));
                (Token::Variable(name.to_owned(), path(fields)), word_end)
            }
            c if c.is_ascii_digit() || (c == '-' && word_end > 1) => {
                let number = rest[..word_end].parse();
                (
                    Token::Number(
                        number.map_err(|_| {
                            format!("template: :1: bad number {}", &rest[..word_end])
                        })?,
                    ),
                    word_end,
                )
            }
            c if c.is_alphabetic() => (Token::Word(rest[..word_end].to_owned()), word_end),
            other => return Err(format!("template: :1: unexpected {other:?} in operand")),
        };
        all.push(token);
        rest = rest[used..].trim_start();
    }
    Ok(all)
}

type Scope = Vec<(String, Value)>;

fn write(nodes: &[Node], dot: &Value, scope: &mut Scope, out: &mut String) -> Result<(), String> {
    for node in nodes {
        match node {
            Node::Text(text) => out.push_str(text),
            Node::Print { source, tokens } => {
                out.push_str(&print(&value(source, tokens, dot, scope)?));
            }
            Node::Set {
                variable,
                source,
                tokens,
            } => {
                let value = value(source, tokens, dot, scope)?;
                scope.push((variable.clone(), value));
            }
            Node::If {
                with,
                source,
                tokens,
                body,
                otherwise,
            } => {
                let depth = scope.len();
                let found = value(source, tokens, dot, scope)?;
                if truth(&found) {
                    write(body, if *with { &found } else { dot }, scope, out)?;
                } else {
                    write(otherwise, dot, scope, out)?;
                }
                scope.truncate(depth);
            }
            Node::Range {
                variables,
                source,
                tokens,
                body,
                otherwise,
            } => {
                let found = value(source, tokens, dot, scope)?;
                let items: Vec<(Value, &Value)> = match &found {
                    Value::Array(list) => list
                        .iter()
                        .enumerate()
                        .map(|(at, item)| (at.into(), item))
                        .collect(),
                    Value::Object(map) => map
                        .iter()
                        .map(|(key, item)| (key.as_str().into(), item))
                        .collect(),
                    _ => Vec::new(),
                };
                if items.is_empty() {
                    write(otherwise, dot, scope, out)?;
                }
                for (key, item) in items {
                    let depth = scope.len();
                    match variables.as_slice() {
                        [one] => scope.push((one.clone(), item.clone())),
                        [first, second, ..] => {
                            scope.push((first.clone(), key));
                            scope.push((second.clone(), item.clone()));
                        }
                        [] => {}
                    }
                    write(body, item, scope, out)?;
                    scope.truncate(depth);
                }
            }
        }
    }
    Ok(())
}

/// Evaluates a pipeline.
fn value(source: &str, tokens: &[Token], dot: &Value, scope: &Scope) -> Result<Value, String> {
    let mut at = 0;
    let found = pipeline(source, tokens, &mut at, dot, scope)?;
    if at < tokens.len() {
        return Err(format!("template: :1: unexpected operand in {source}"));
    }
    Ok(found)
}

fn pipeline(
    source: &str,
    tokens: &[Token],
    at: &mut usize,
    dot: &Value,
    scope: &Scope,
) -> Result<Value, String> {
    let mut piped: Option<Value> = None;
    loop {
        let mut function = None;
        if let Some(Token::Word(word)) = tokens.get(*at)
            && !matches!(word.as_str(), "true" | "false" | "nil")
        {
            function = Some(word.clone());
            *at += 1;
        }
        let mut arguments = Vec::new();
        while let Some(token) = tokens.get(*at) {
            if matches!(token, Token::Pipe | Token::Close(_)) {
                break;
            }
            *at += 1;
            arguments.push(match token {
                Token::Field(fields) => walk(dot, fields, source)?,
                Token::Variable(name, fields) => {
                    let known = scope.iter().rev().find(|(known, _)| known == name);
                    let (_, value) = known
                        .ok_or_else(|| format!("template: :1: undefined variable \"{name}\""))?;
                    walk(value, fields, source)?
                }
                Token::Text(text) => text.as_str().into(),
                Token::Number(number) => (*number).into(),
                Token::Word(word) => match word.as_str() {
                    "true" => true.into(),
                    "false" => false.into(),
                    _ => Value::Null,
                },
                Token::Open => {
                    let inner = pipeline(source, tokens, at, dot, scope)?;
                    let Some(Token::Close(fields)) = tokens.get(*at) else {
                        return Err("template: :1: unclosed left paren".into());
                    };
                    *at += 1;
                    walk(&inner, fields, source)?
                }
                other => return Err(format!("template: :1: unexpected {other:?} in operand")),
            });
        }
        arguments.extend(piped.take());
        let result = match function {
            Some(name) => call(&name, &arguments)?,
            None => match <[Value; 1]>::try_from(arguments) {
                Ok([only]) => only,
                Err(_) => {
                    return Err(format!(
                        "template: :1: can't give argument to non-function in {source}"
                    ));
                }
            },
        };
        if tokens.get(*at) != Some(&Token::Pipe) {
            return Ok(result);
        }
        *at += 1;
        piped = Some(result);
    }
}

/// Fields that may be absent without being an error: pointers in docker's own types.
const POINTERS: [&str; 3] = ["Health", "Healthcheck", "SystemStatus"];

fn walk(value: &Value, fields: &[String], source: &str) -> Result<Value, String> {
    let mut value = value;
    for field in fields {
        let executing = format!("template: :1:2: executing \"\" at <{source}>");
        value = match value {
            Value::Object(map) => {
                let exact = map.get(field);
                let similar = || {
                    map.iter()
                        .find(|(key, _)| key.eq_ignore_ascii_case(field))
                        .map(|(_, value)| value)
                };
                match exact.or_else(similar) {
                    Some(found) => found,
                    None if POINTERS.contains(&field.as_str()) => &Value::Null,
                    None => {
                        return Err(format!("{executing}: map has no entry for key \"{field}\""));
                    }
                }
            }
            Value::Null => {
                return Err(format!(
                    "{executing}: nil pointer evaluating *types.Value.{field}"
                ));
            }
            _ => {
                return Err(format!(
                    "{executing}: can't evaluate field {field} in type interface {{}}"
                ));
            }
        };
    }
    Ok(value.clone())
}

fn call(name: &str, arguments: &[Value]) -> Result<Value, String> {
    let first = arguments.first().unwrap_or(&Value::Null);
    Ok(match name {
        "json" => serde_json::to_string(first)
            .expect("a value is JSON")
            .into(),
        "index" => arguments[1..]
            .iter()
            .fold(first.clone(), |value, key| match (&value, key) {
                (Value::Object(map), Value::String(key)) => {
                    map.get(key).cloned().unwrap_or(Value::Null)
                }
                (Value::Array(list), Value::Number(at)) => {
                    let at = at.as_u64().and_then(|at| usize::try_from(at).ok());
                    at.and_then(|at| list.get(at))
                        .cloned()
                        .unwrap_or(Value::Null)
                }
                _ => Value::Null,
            }),
        "len" => match first {
            Value::Array(list) => list.len().into(),
            Value::Object(map) => map.len().into(),
            Value::String(text) => text.len().into(),
            _ => return Err("template: :1: error calling len: len of nil pointer".into()),
        },
        "eq" => arguments[1..].contains(first).into(),
        "ne" => (!arguments[1..].contains(first)).into(),
        "not" => (!truth(first)).into(),
        "and" => arguments
            .iter()
            .find(|value| !truth(value))
            .or(arguments.last())
            .cloned()
            .unwrap_or_default(),
        "or" => arguments
            .iter()
            .find(|value| truth(value))
            .or(arguments.last())
            .cloned()
            .unwrap_or_default(),
        "print" | "println" => {
            let words: Vec<String> = arguments.iter().map(print).collect();
            let (glue, end) = if name == "println" {
                (" ", "\n")
            } else {
                ("", "")
            };
            format!("{}{end}", words.join(glue)).into()
        }
        "join" => {
            let glue = arguments.get(1).and_then(Value::as_str).unwrap_or("");
            let words: Vec<String> = first
                .as_array()
                .map(|list| list.iter().map(print).collect())
                .unwrap_or_default();
            words.join(glue).into()
        }
        "lower" => print(first).to_lowercase().into(),
        "upper" => print(first).to_uppercase().into(),
        _ => return Err(format!("template: :1: function \"{name}\" not defined")),
    })
}

fn truth(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(yes) => *yes,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
    }
}

/// A value in the way of Go's `%v`.
fn print(value: &Value) -> String {
    match value {
        Value::Null => "<no value>".into(),
        Value::Bool(yes) => yes.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        Value::Array(list) => format!("[{}]", list.iter().map(print).collect::<Vec<_>>().join(" ")),
        Value::Object(map) => {
            let entries: Vec<String> = map
                .iter()
                .map(|(key, value)| format!("{key}:{}", print(value)))
                .collect();
            format!("map[{}]", entries.join(" "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn render(template: &str, value: &Value) -> Result<String, String> {
        Template::new(template)?.apply(value)
    }

    #[test]
    fn fields_text_and_json() {
        let value = json!({"A": {"B": [1, "x"]}, "Name": "/lb", "Ok": true});
        assert_eq!(
            render("{{.Name}}\\t{{json .A.B}} {{.A}} {{.Ok}}", &value).unwrap(),
            "/lb\t[1,\"x\"] map[B:[1 x]] true"
        );
        assert_eq!(render("{{json .}}", &json!({"a": 1})).unwrap(), "{\"a\":1}");
        assert!(
            render("{{.Missing}}", &value)
                .unwrap_err()
                .contains("map has no entry for key \"Missing\"")
        );
        assert!(render("{{.Name", &value).is_err());
    }

    #[test]
    fn the_address_on_a_network() {
        let value = json!({"NetworkSettings": {"Networks": {"a": {"IPAddress": "10.0.0.2"}, "b": {"IPAddress": "10.1.0.2"}}}});
        assert_eq!(
            render(
                "{{(index .NetworkSettings.Networks \"b\").IPAddress}}",
                &value
            )
            .unwrap(),
            "10.1.0.2"
        );
        assert!(
            render(
                "{{(index .NetworkSettings.Networks \"c\").IPAddress}}",
                &value
            )
            .unwrap_err()
            .contains("nil pointer")
        );
        let range = "{{range $name, $net := .NetworkSettings.Networks}}{{if eq $name \"b\"}}{{$net.IPAddress}}{{end}}{{end}}";
        assert_eq!(render(range, &value).unwrap(), "10.1.0.2");
        assert_eq!(
            render(
                "{{range .NetworkSettings.Networks}}{{.IPAddress}};{{end}}",
                &value
            )
            .unwrap(),
            "10.0.0.2;10.1.0.2;"
        );
        assert_eq!(
            render(
                "{{with index .NetworkSettings.Networks \"a\"}}{{.IPAddress}}{{end}}",
                &value
            )
            .unwrap(),
            "10.0.0.2"
        );
    }

    #[test]
    fn conditions_and_pipes() {
        let value = json!({"State": {"Status": "running"}, "List": []});
        assert_eq!(
            render("{{if .State.Health}}h{{else}}none{{end}}", &value).unwrap(),
            "none"
        );
        assert_eq!(
            render("{{if .List}}a{{else if .State}}b{{end}}", &value).unwrap(),
            "b"
        );
        assert_eq!(
            render("{{.State | json}}{{println}}", &value).unwrap(),
            "{\"Status\":\"running\"}\n"
        );
        assert!(
            render("{{.State.Health.Status}}", &value)
                .unwrap_err()
                .contains("nil pointer")
        );
    }
}
