//! Text to tokens. What is no token gets a fault of its own and the text after it is read on.

use std::sync::Arc;

use super::fault::Fault;
use super::nearest::list;
use super::number;
use super::source::{Source, Span};

/// Extensions of RON that may be enabled. All of them are on in this language: it asks the types.
const EXTENSIONS: [&str; 4] =
    ["implicit_some", "unwrap_newtypes", "unwrap_variant_newtypes", "explicit_struct_names"];

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Open(char),
    Close(char),
    Colon,
    Comma,
    Equals,
    Ident,
    Number,
    String(String),
    Char(char),
    /// Text that is no token; its fault is told already.
    Bad,
    End,
}

/// A token and its place.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) start: usize,
    pub(super) end: usize,
    /// Whether it is the first of its line.
    pub(super) leads: bool,
    /// Characters before the first token of its line.
    pub(super) indent: usize,
}

/// Reads `source` from byte `start` on. The last token is always [`Kind::End`].
pub(super) fn lex(source: &Arc<Source>, start: usize) -> (Vec<Token>, Vec<Fault>) {
    let mut lexer = Lexer { source, at: start, tokens: Vec::new(), faults: Vec::new() };
    lexer.run();
    (lexer.tokens, lexer.faults)
}

/// The reader of a text, at one of its bytes.
pub(super) struct Lexer<'a> {
    pub(super) source: &'a Arc<Source>,
    pub(super) at: usize,
    tokens: Vec<Token>,
    faults: Vec<Fault>,
}

impl Lexer<'_> {
    pub(super) fn rest(&self) -> &str {
        self.source.text().get(self.at..).unwrap_or_default()
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn skip_while(&mut self, keep: impl Fn(char) -> bool) {
        let rest = self.rest();
        self.at += rest.find(|c| !keep(c)).unwrap_or(rest.len());
    }

    pub(super) fn fault(&mut self, start: usize, end: usize, message: impl Into<String>) -> &mut Fault {
        self.faults.push(Fault::new(Span::new(self.source, start, end), message));
        let last = self.faults.len() - 1;
        &mut self.faults[last]
    }

    pub(super) fn fault_with_help(&mut self, start: usize, end: usize, message: &str, help: &str) -> Kind {
        let fault = self.fault(start, end, message);
        *fault = fault.clone().with_help(help);
        Kind::Bad
    }

    fn run(&mut self) {
        loop {
            self.skip_space();
            let start = self.at;
            let Some(c) = self.peek() else {
                self.push(Kind::End, start);
                return;
            };
            if let Some(kind) = self.token(c) {
                self.push(kind, start);
            }
        }
    }

    fn push(&mut self, kind: Kind, start: usize) {
        let last = self.tokens.last();
        let space = &self.source.text()[last.map_or(0, |last| last.end)..start];
        let newline = space.rfind('\n');
        let leads = last.is_none() || newline.is_some();
        let indent = match last {
            Some(last) if !leads => last.indent,
            _ => space[newline.map_or(0, |newline| newline + 1)..].chars().count(),
        };
        self.tokens.push(Token { kind, start, end: self.at, leads, indent });
    }

    fn skip_space(&mut self) {
        loop {
            self.skip_while(|c| c.is_whitespace() || matches!(c, '\u{feff}' | '\u{200e}' | '\u{200f}'));
            if self.rest().starts_with("//") {
                self.skip_while(|c| c != '\n');
            } else if self.rest().starts_with("/*") {
                self.skip_block_comment();
            } else {
                return;
            }
        }
    }

    fn skip_block_comment(&mut self) {
        let start = self.at;
        let mut depth = 0;
        while let Some(c) = self.peek() {
            if self.rest().starts_with("/*") {
                depth += 1;
                self.at += 2;
            } else if self.rest().starts_with("*/") {
                depth -= 1;
                self.at += 2;
                if depth == 0 {
                    return;
                }
            } else {
                self.at += c.len_utf8();
            }
        }
        self.fault(start, start + 2, "this comment is never closed, expected `*/`");
    }

    fn token(&mut self, c: char) -> Option<Kind> {
        let start = self.at;
        if number::begins(self.rest()) {
            return Some(self.number());
        }
        if let Some(kind) = self.prefixed(c) {
            return Some(kind);
        }
        if c.is_alphabetic() || c == '_' {
            self.skip_while(|c| c.is_alphanumeric() || c == '_');
            return Some(Kind::Ident);
        }
        self.at += c.len_utf8();
        let kind = match c {
            '(' | '[' | '{' => Kind::Open(c),
            ')' | ']' | '}' => Kind::Close(c),
            ':' => Kind::Colon,
            ',' => Kind::Comma,
            '=' => Kind::Equals,
            '"' => self.quoted(start),
            '\'' => self.character(start),
            '#' if self.peek() == Some('!') => {
                self.attribute(start);
                return None;
            }
            '#' => {
                self.skip_while(|c| c != '\n');
                self.fault(start, start + 1, "a comment starts with `//`, not with `#`");
                return None;
            }
            ';' => {
                self.fault(start, self.at, "expected `,`, found `;`");
                Kind::Comma
            }
            '“' | '”' | '„' | '‘' | '’' => {
                self.skip_while(|c| !matches!(c, '“' | '”' | '‘' | '’' | '\n' | ','));
                if self.peek().is_some_and(|c| c != '\n' && c != ',') {
                    self.at += self.peek().map_or(0, char::len_utf8);
                }
                let message = "a string is written in plain double quotes: `\"...\"`";
                self.fault(start, self.at, message);
                Kind::Bad
            }
            '*' | '/' | '+' | '-' | '^' | '%' => {
                self.skip_while(|c| matches!(c, '*' | '/' | '^' | '%'));
                let found = &self.source.text()[start..self.at];
                let message =
                    format!("unexpected `{found}`: nothing is computed here, write the value itself");
                self.fault(start, self.at, message);
                Kind::Bad
            }
            _ => {
                self.fault(start, self.at, format!("unexpected character `{c}`"));
                Kind::Bad
            }
        };
        Some(kind)
    }

    fn number(&mut self) -> Kind {
        let start = self.at;
        let length = number::length(self.rest());
        self.at += length;
        let text = &self.source.text()[start..self.at];
        match number::mistake(text) {
            None => Kind::Number,
            Some((message, help)) => self.fault_with_help(start, self.at, &message, help),
        }
    }

    /// `#![enable(...)]`, whose `#` is read.
    fn attribute(&mut self, start: usize) {
        self.skip_while(|c| c != ']' && c != '\n');
        self.at += usize::from(self.peek() == Some(']'));
        let text = &self.source.text()[start..self.at];
        let compact: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let names = compact.strip_prefix("#![enable(").and_then(|names| names.strip_suffix(")]"));
        let known = names
            .is_some_and(|names| names.split(',').all(|name| name.is_empty() || EXTENSIONS.contains(&name)));
        if !self.tokens.is_empty() {
            self.fault(start, self.at, "extensions are enabled at the top of the file");
        } else if !known {
            let help = format!("extensions that may be enabled: {}", list(EXTENSIONS));
            self.fault_with_help(start, self.at, "expected `#![enable(...)]` with a known extension", &help);
        }
    }
}
