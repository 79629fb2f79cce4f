//! Words and operators as commands, with where each stands.

use super::lexer::{Commands, Lexer, Measured, Token, arithmetic, set_by_arithmetic};
use super::{Command, Place, Script, Unclear, is_name};

/// Reads a whole script.
pub fn commands(text: &str) -> Result<Script, Unclear> {
    let mut parser = Parser::new(text, 1, 0, Place::Alone);
    parser.list(&[])?;
    match parser.take()? {
        Token::End => Ok(parser.finish()),
        Token::Operator(operator) => Err(parser.misplaced(operator)),
        Token::Word(word) => Err(parser.misplaced(&word)),
    }
}

/// Reads the text between backticks.
fn substituted(text: &str, line: usize, depth: usize) -> Result<Script, Unclear> {
    let mut parser = Parser::new(text, line, depth, Place::Within("a substitution"));
    parser.lexer.deeper()?;
    parser.list(&[])?;
    match parser.take()? {
        Token::End => Ok(parser.finish()),
        _ => Err(parser.lexer.unclear("it is not understood")),
    }
}

/// Reads the commands behind `$(` up to their parenthesis: them, and how many bytes and lines they take.
fn substitution(text: &str, line: usize, depth: usize) -> Measured {
    let mut parser = Parser::new(text, line, depth, Place::Within("a substitution"));
    parser.lexer.deeper()?;
    parser.list(&[])?;
    match parser.take()? {
        Token::Operator(")") => {
            let length = text.len() - parser.lexer.rest().len();
            let lines = parser.lexer.line - line;
            Ok((parser.finish(), length, lines))
        }
        _ => Err(Unclear {
            line,
            why: "a parenthesis is not closed".into(),
        }),
    }
}

const SUBSTITUTIONS: Commands = Commands {
    between_backticks: substituted,
    up_to_parenthesis: substitution,
};

struct Parser<'a> {
    lexer: Lexer<'a>,
    /// Read ahead.
    next: Option<Token>,
    commands: Vec<Command>,
    /// For each command, which here-documents are its.
    heres: Vec<Vec<usize>>,
    place: Place,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str, line: usize, depth: usize, place: Place) -> Self {
        Self {
            lexer: Lexer::new(text, line, depth, SUBSTITUTIONS),
            next: None,
            commands: Vec::new(),
            heres: Vec::new(),
            place,
        }
    }

    fn finish(mut self) -> Script {
        let heres = std::mem::take(&mut self.heres);
        for (command, places) in self.commands.iter_mut().zip(heres) {
            let texts = places.iter().map(|place| self.lexer.heres[*place].clone());
            command.here.extend(texts);
        }
        let mut script = Script {
            commands: self.commands,
            touched: self.lexer.found.touched,
        };
        script.commands.append(&mut self.lexer.found.commands);
        script.commands.sort_by_key(|command| command.line);
        script
    }

    fn peek(&mut self) -> Result<&Token, Unclear> {
        if self.next.is_none() {
            self.next = Some(self.lexer.next()?);
        }
        Ok(self.next.get_or_insert(Token::End))
    }

    fn take(&mut self) -> Result<Token, Unclear> {
        match self.next.take() {
            Some(token) => Ok(token),
            None => self.lexer.next(),
        }
    }

    fn misplaced(&self, word: &str) -> Unclear {
        self.lexer
            .unclear(format!("`{word}` is not expected there"))
    }

    fn skip_newlines(&mut self) -> Result<(), Unclear> {
        while *self.peek()? == Token::Operator("\n") {
            self.take()?;
        }
        Ok(())
    }

    /// Whether the next word is one of `words`, unquoted.
    fn at_word(&mut self, words: &[&str]) -> Result<bool, Unclear> {
        Ok(matches!(self.peek()?, Token::Word(word) if words.contains(&word.as_str())))
    }

    fn expect(&mut self, expected: &str) -> Result<(), Unclear> {
        self.skip_newlines()?;
        match self.take()? {
            Token::Word(word) if word == expected => Ok(()),
            Token::Operator(operator) if operator == expected => Ok(()),
            Token::Word(word) => Err(self.misplaced(&word)),
            Token::Operator(operator) => Err(self.misplaced(operator.trim())),
            Token::End => Err(self
                .lexer
                .unclear(format!("`{expected}` is missing at the end"))),
        }
    }

    /// Commands up to one of the words `ends`, a closing operator or the end.
    fn list(&mut self, ends: &[&str]) -> Result<(), Unclear> {
        loop {
            match self.peek()? {
                Token::Operator("\n" | ";") => {
                    self.take()?;
                }
                Token::End | Token::Operator(")" | ";;" | ";&" | ";;&") => return Ok(()),
                Token::Word(word) if ends.contains(&word.as_str()) => return Ok(()),
                _ => self.and_or()?,
            }
        }
    }

    /// Pipelines that depend on each other, or run beside the script.
    fn and_or(&mut self) -> Result<(), Unclear> {
        let start = self.commands.len();
        self.pipeline()?;
        loop {
            let within = match self.peek()? {
                Token::Operator("&&" | "||") => "a list with && or ||",
                Token::Operator("&") => "the background",
                _ => return Ok(()),
            };
            self.mark(start, within);
            let more = self.take()? != Token::Operator("&");
            if !more {
                return Ok(());
            }
            self.skip_newlines()?;
            self.pipeline()?;
            self.mark(start, within);
        }
    }

    fn pipeline(&mut self) -> Result<(), Unclear> {
        let start = self.commands.len();
        let mut within = None;
        while self.at_word(&["!", "time"])? {
            self.take()?;
            within = Some("a command with `!` or `time`");
        }
        self.command()?;
        while matches!(self.peek()?, Token::Operator("|" | "|&")) {
            self.take()?;
            self.skip_newlines()?;
            self.command()?;
            within = Some("a pipe");
        }
        if let Some(within) = within {
            self.mark(start, within);
        }
        Ok(())
    }

    /// That the commands from `start` on are not by themselves after all.
    fn mark(&mut self, start: usize, within: &'static str) {
        for command in &mut self.commands[start..] {
            if command.place == Place::Alone {
                command.place = Place::Within(within);
            }
        }
    }

    fn command(&mut self) -> Result<(), Unclear> {
        self.lexer.deeper()?;
        self.one_command()?;
        self.lexer.depth -= 1;
        Ok(())
    }

    fn one_command(&mut self) -> Result<(), Unclear> {
        match self.peek()?.clone() {
            Token::Operator("(") => {
                self.take()?;
                // `((` of an expression: the lexer stands behind its first parenthesis.
                let rest = self.lexer.rest();
                if rest.starts_with('(')
                    && let Some(length) = arithmetic(&rest[1..])
                {
                    self.pass(1);
                    self.lexer.arithmetic(length);
                    return self.redirections("an expression");
                }
                let start = self.commands.len();
                self.within("a subshell", |parser| parser.list(&[]))?;
                self.expect(")")?;
                self.group_redirections(start)
            }
            Token::Word(word) => match word.as_str() {
                "{" => {
                    self.take()?;
                    let start = self.commands.len();
                    self.within("a group", |parser| parser.list(&["}"]))?;
                    self.expect("}")?;
                    self.group_redirections(start)
                }
                "if" => self.condition(),
                "while" | "until" => {
                    self.take()?;
                    let start = self.commands.len();
                    self.within("a loop", |parser| parser.list(&["do"]))?;
                    self.body(start)
                }
                "for" | "select" => self.loop_over(),
                "case" => self.case(),
                "function" => {
                    self.take()?;
                    self.take()?;
                    if *self.peek()? == Token::Operator("(") {
                        self.take()?;
                        self.expect(")")?;
                    }
                    self.function_body()
                }
                "[[" => {
                    self.take()?;
                    self.test()
                }
                "coproc" => Err(self.misplaced("coproc")),
                "then" | "elif" | "else" | "fi" | "do" | "done" | "esac" | "}" | "]]" | "in" => {
                    Err(self.misplaced(&word))
                }
                _ => self.simple(),
            },
            Token::Operator(
                "<" | ">" | ">>" | "<<" | "<<-" | "<<<" | "<>" | ">|" | "<&" | ">&" | "&>" | "&>>",
            ) => self.simple(),
            Token::Operator(operator) => Err(self.misplaced(operator)),
            Token::End => Err(self.lexer.unclear("a command is missing at the end")),
        }
    }

    fn pass(&mut self, bytes: usize) {
        self.lexer.pass(bytes);
    }

    fn within(
        &mut self,
        place: &'static str,
        read: impl FnOnce(&mut Self) -> Result<(), Unclear>,
    ) -> Result<(), Unclear> {
        let outside = self.place;
        if outside == Place::Alone {
            self.place = Place::Within(place);
        }
        let result = read(self);
        self.place = outside;
        result
    }

    fn condition(&mut self) -> Result<(), Unclear> {
        self.take()?;
        let start = self.commands.len();
        self.within("a condition", |parser| {
            parser.list(&["then"])?;
            parser.expect("then")?;
            loop {
                parser.list(&["elif", "else", "fi"])?;
                if parser.at_word(&["elif"])? {
                    parser.take()?;
                    parser.list(&["then"])?;
                    parser.expect("then")?;
                } else if parser.at_word(&["else"])? {
                    parser.take()?;
                } else {
                    return parser.expect("fi");
                }
            }
        })?;
        self.group_redirections(start)
    }

    fn body(&mut self, start: usize) -> Result<(), Unclear> {
        self.expect("do")?;
        self.within("a loop", |parser| parser.list(&["done"]))?;
        self.expect("done")?;
        self.group_redirections(start)
    }

    fn loop_over(&mut self) -> Result<(), Unclear> {
        self.take()?;
        let start = self.commands.len();
        self.lexer.skip_blanks();
        let rest = self.lexer.rest();
        if rest.starts_with("((")
            && let Some(length) = arithmetic(&rest[2..])
        {
            self.pass(2);
            self.lexer.arithmetic(length);
        } else if let Token::Word(name) = self.take()? {
            self.lexer.touch(&name);
            self.skip_newlines()?;
            if self.at_word(&["in"])? {
                self.take()?;
                while let Token::Word(_) = self.peek()? {
                    self.take()?;
                }
            }
        }
        if *self.peek()? == Token::Operator(";") {
            self.take()?;
        }
        self.skip_newlines()?;
        if self.at_word(&["{"])? {
            return self.one_command();
        }
        self.body(start)
    }

    fn case(&mut self) -> Result<(), Unclear> {
        self.take()?;
        let start = self.commands.len();
        self.take()?;
        self.expect("in")?;
        loop {
            self.skip_newlines()?;
            if self.at_word(&["esac"])? {
                self.take()?;
                return self.group_redirections(start);
            }
            if *self.peek()? == Token::Operator("(") {
                self.take()?;
            }
            loop {
                match self.take()? {
                    Token::Operator(")") => break,
                    Token::Word(_) | Token::Operator("|") => {}
                    Token::Operator(operator) => return Err(self.misplaced(operator.trim())),
                    Token::End => return Err(self.lexer.unclear("`esac` is missing at the end")),
                }
            }
            self.within("a case", |parser| parser.list(&["esac"]))?;
            if matches!(self.peek()?, Token::Operator(";;" | ";&" | ";;&")) {
                self.take()?;
            }
        }
    }

    fn function_body(&mut self) -> Result<(), Unclear> {
        self.skip_newlines()?;
        // A function may run anywhere, or never.
        self.within("a function", Self::one_command)
    }

    /// Behind `[[`.
    fn test(&mut self) -> Result<(), Unclear> {
        loop {
            match self.take()? {
                Token::Word(word) if word == "]]" => return self.redirections("a test"),
                Token::End => return Err(self.lexer.unclear("`]]` is missing at the end")),
                _ => {}
            }
        }
    }

    /// What a compound command is redirected to is what its commands write to.
    fn group_redirections(&mut self, start: usize) -> Result<(), Unclear> {
        let before = self.commands.len();
        self.redirections("a group")?;
        if self.commands.len() > before {
            let outer = self.commands.remove(before);
            self.heres.remove(before);
            for command in &mut self.commands[start..] {
                if command.writes.is_empty() {
                    command.writes.clone_from(&outer.writes);
                }
            }
        }
        Ok(())
    }

    /// Redirections alone, as a command without words.
    fn redirections(&mut self, within: &'static str) -> Result<(), Unclear> {
        let line = self.lexer.line;
        let mut command = Command {
            line,
            place: Place::Within(within),
            words: Vec::new(),
            redirected: false,
            writes: Vec::new(),
            here: Vec::new(),
        };
        let mut heres = Vec::new();
        loop {
            // `2>` comes as a word of its own.
            let number = match self.peek()? {
                Token::Word(word) => {
                    let numbers = word.bytes().all(|byte| byte.is_ascii_digit());
                    numbers && self.lexer.rest().starts_with(['<', '>'])
                }
                _ => false,
            };
            if number {
                self.take()?;
            }
            if !self.redirection(&mut command, &mut heres)? {
                break;
            }
        }
        if command.redirected {
            self.commands.push(command);
            self.heres.push(heres);
        }
        Ok(())
    }

    /// Takes a redirection, if one is next.
    fn redirection(
        &mut self,
        command: &mut Command,
        heres: &mut Vec<usize>,
    ) -> Result<bool, Unclear> {
        let Token::Operator(operator) = *self.peek()? else {
            return Ok(false);
        };
        if !operator.contains(['<', '>']) {
            return Ok(false);
        }
        self.take()?;
        command.redirected = true;
        let Token::Word(target) = self.take()? else {
            return Err(self.lexer.unclear(format!("`{operator}` leads nowhere")));
        };
        match operator {
            "<<" | "<<-" => heres.push(self.lexer.expect_here(&target, operator == "<<-")),
            _ if operator.contains('>') => command.writes.push(target),
            _ => {}
        }
        Ok(true)
    }

    fn simple(&mut self) -> Result<(), Unclear> {
        let mut command = Command {
            line: self.lexer.line,
            place: self.place,
            words: Vec::new(),
            redirected: false,
            writes: Vec::new(),
            here: Vec::new(),
        };
        let mut heres = Vec::new();
        if let Some(Token::Word(word)) = &self.next {
            command.line -= word.matches('\n').count();
        }
        loop {
            if self.redirection(&mut command, &mut heres)? {
                continue;
            }
            match self.peek()? {
                Token::Word(_) => {
                    let Token::Word(word) = self.take()? else {
                        break;
                    };
                    // The number or the variable of a redirection.
                    if self.next.is_none() && self.lexer.rest().starts_with(['<', '>']) {
                        let variable = word
                            .strip_prefix('{')
                            .and_then(|word| word.strip_suffix('}'))
                            .filter(|name| is_name(name));
                        if let Some(name) = variable {
                            self.lexer.touch(name);
                            continue;
                        }
                        if word.bytes().all(|byte| byte.is_ascii_digit()) {
                            continue;
                        }
                    }
                    command.words.push(word);
                }
                Token::Operator("(") if command.words.len() == 1 => {
                    self.take()?;
                    self.expect(")")?;
                    self.lexer.found.touched.extend(function_named(&command));
                    return self.function_body();
                }
                Token::Operator("(") => return Err(self.misplaced("(")),
                _ => break,
            }
        }
        self.note_let(&command);
        self.commands.push(command);
        self.heres.push(heres);
        Ok(())
    }

    /// `let` sets variables as `((…))` does.
    fn note_let(&mut self, command: &Command) {
        if command.words.first().is_some_and(|word| word == "let") {
            for word in &command.words[1..] {
                let bare: String = word.chars().filter(|c| !matches!(c, '\'' | '"')).collect();
                for name in set_by_arithmetic(&bare) {
                    self.lexer.found.touched.push(super::Touch {
                        name: name.to_owned(),
                        line: command.line,
                    });
                }
            }
        }
    }
}

/// A function that takes the place of a command whose words are read here makes them mean something else.
fn function_named(command: &Command) -> Option<super::Touch> {
    let name = command.words.first()?;
    Some(super::Touch {
        name: format!("{name}()"),
        line: command.line,
    })
}
