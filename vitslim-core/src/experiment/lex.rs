//! Text to tokens. What is not a token is reported, and lexing goes on behind it.

use std::sync::Arc;

use unicode_ident::{is_xid_continue, is_xid_start};

use super::error::ExperimentError;
use super::nearest::list;
use super::number;
use super::source::{Source, Span};
use crate::terminal::is_unseen;

/// Extensions of RON that may be enabled. They change nothing: an experiment is read as if all were.
const EXTENSIONS: [&str; 4] =
    ["implicit_some", "unwrap_newtypes", "unwrap_variant_newtypes", "explicit_struct_names"];

/// The kind of a token.
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
    /// Not a token, which is already reported.
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

/// Whether a name that is written raw, `r#a.b`, may have `c` in it.
pub(super) fn is_in_raw_name(c: char) -> bool {
    is_xid_continue(c) || matches!(c, '.' | '+' | '-')
}

/// Reads `source` from byte `start` on. The last token is always [`Kind::End`].
pub(super) fn lex(source: &Arc<Source>, start: usize) -> (Vec<Token>, Vec<ExperimentError>) {
    let mut lexer = Lexer { source, at: start, tokens: Vec::new(), errors: Vec::new() };
    lexer.run();
    (lexer.tokens, lexer.errors)
}

/// Reads a text, of which the byte `at` is the next.
struct Lexer<'a> {
    source: &'a Arc<Source>,
    at: usize,
    tokens: Vec<Token>,
    errors: Vec<ExperimentError>,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        self.source.text().get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn skip_while(&mut self, keep: impl Fn(char) -> bool) {
        let rest = self.rest();
        self.at += rest.find(|c| !keep(c)).unwrap_or(rest.len());
    }

    fn error(&mut self, start: usize, end: usize, message: impl Into<String>) -> &mut ExperimentError {
        self.errors.push(ExperimentError::new(Span::new(self.source, start, end), message));
        let last = self.errors.len() - 1;
        &mut self.errors[last]
    }

    fn error_with_help(&mut self, start: usize, end: usize, message: &str, help: &str) -> Kind {
        let error = self.error(start, end, message);
        *error = error.clone().with_help(help);
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
        self.error(start, start + 2, "this comment is never closed, expected `*/`");
    }

    fn token(&mut self, c: char) -> Option<Kind> {
        let start = self.at;
        if number::begins(self.rest()) && !number::names_a_field(self.rest()) {
            return Some(self.number());
        }
        if let Some(kind) = self.prefixed(c) {
            return Some(kind);
        }
        if is_xid_start(c) || c == '_' {
            self.skip_while(is_xid_continue);
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
                self.error(start, start + 1, "a comment starts with `//`, not with `#`");
                return None;
            }
            ';' => {
                self.error(start, self.at, "expected `,`, found `;`");
                Kind::Comma
            }
            '“' | '”' | '„' | '‘' | '’' => {
                self.skip_while(|c| !matches!(c, '“' | '”' | '‘' | '’' | '\n' | ','));
                if self.peek().is_some_and(|c| c != '\n' && c != ',') {
                    self.at += self.peek().map_or(0, char::len_utf8);
                }
                let message = "a string is written in plain double quotes: `\"...\"`";
                self.error(start, self.at, message);
                Kind::Bad
            }
            '*' | '/' | '+' | '-' | '^' | '%' => {
                self.skip_while(|c| matches!(c, '*' | '/' | '^' | '%'));
                let found = &self.source.text()[start..self.at];
                let message =
                    format!("unexpected `{found}`: nothing is computed here, write the value itself");
                self.error(start, self.at, message);
                Kind::Bad
            }
            unseen if is_unseen(unseen) => {
                let point = u32::from(unseen);
                self.error(
                    start,
                    self.at,
                    format!("unexpected character U+{point:04X}, which does not show"),
                );
                return None;
            }
            _ => {
                self.error(start, self.at, format!("unexpected character `{c}`"));
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
            Some((message, help)) => self.error_with_help(start, self.at, &message, help),
        }
    }

    /// `#![enable(...)]`, after its `#`.
    fn attribute(&mut self, start: usize) {
        self.skip_while(|c| c != ']' && c != '\n');
        self.at += usize::from(self.peek() == Some(']'));
        let text = &self.source.text()[start..self.at];
        let compact: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let names = compact.strip_prefix("#![enable(").and_then(|names| names.strip_suffix(")]"));
        let known = names
            .is_some_and(|names| names.split(',').all(|name| name.is_empty() || EXTENSIONS.contains(&name)));
        if !self.tokens.is_empty() {
            self.error(start, self.at, "extensions are enabled at the top of the file");
        } else if !known {
            let help = format!("extensions that may be enabled: {}", list(EXTENSIONS));
            self.error_with_help(start, self.at, "expected `#![enable(...)]` with a known extension", &help);
        }
    }

    /// Raw strings, raw identifiers and bytes, which begin with a letter.
    fn prefixed(&mut self, c: char) -> Option<Kind> {
        let start = self.at;
        let after = self.rest().trim_start_matches(['b', 'r']);
        let letters = self.rest().len() - after.len();
        let hashes = after.len() - after.trim_start_matches('#').len();
        let prefix = self.rest()[..letters].to_owned();
        let opened = after[hashes..].chars().next();
        let raw = matches!(prefix.as_str(), "r" | "br");
        if c != 'b' && c != 'r' {
            None
        } else if prefix == "r" && hashes == 1 && opened.is_some_and(is_xid_continue) {
            self.at += 2;
            self.skip_while(is_in_raw_name);
            Some(Kind::Ident)
        } else if raw && opened == Some('"') {
            self.at += letters + hashes + 1;
            let closing = format!("\"{}", "#".repeat(hashes));
            let Some(length) = self.rest().find(&closing) else {
                self.at = self.source.text().len();
                let message = format!("this raw string is never closed, expected `{closing}`");
                self.error(start, start + letters + hashes + 1, message);
                return Some(Kind::Bad);
            };
            let content = self.rest()[..length].to_owned();
            self.at += length + closing.len();
            Some(self.unless_bytes(prefix == "br", start, Kind::String(content)))
        } else if prefix == "b" && hashes == 0 && matches!(opened, Some('"' | '\'')) {
            self.at += 2;
            let kind = if opened == Some('"') { self.quoted(start) } else { self.character(start) };
            Some(self.unless_bytes(true, start, kind))
        } else {
            None
        }
    }

    fn unless_bytes(&mut self, bytes: bool, start: usize, kind: Kind) -> Kind {
        if !bytes || kind == Kind::Bad {
            return kind;
        }
        self.error(start, self.at, "byte strings are not part of an experiment, write a string: `\"...\"`");
        Kind::Bad
    }

    /// A string, after its opening quote.
    fn quoted(&mut self, start: usize) -> Kind {
        let mut content = String::new();
        let mut good = true;
        loop {
            match self.peek() {
                None | Some('\n') => {
                    let message = "this string is not closed on its line, expected `\"`";
                    let help = "a line break in a string is written `\\n`, or in a raw string: `r\"...\"`";
                    return self.error_with_help(start, self.at, message, help);
                }
                Some('"') => {
                    self.at += 1;
                    return if good { Kind::String(content) } else { Kind::Bad };
                }
                Some('\\') => match self.escape() {
                    Some(c) => content.push(c),
                    None => good = false,
                },
                Some(c) => {
                    content.push(c);
                    self.at += c.len_utf8();
                }
            }
        }
    }

    /// A character, after its opening quote.
    fn character(&mut self, start: usize) -> Kind {
        let c = match self.peek() {
            Some('\\') => self.escape(),
            Some(c) if c != '\n' && c != '\'' => {
                self.at += c.len_utf8();
                Some(c)
            }
            _ => None,
        };
        match c {
            Some(c) if self.peek() == Some('\'') => {
                self.at += 1;
                Kind::Char(c)
            }
            _ => {
                self.skip_while(|c| !matches!(c, '\'' | '\n' | ','));
                if self.peek() == Some('\'') {
                    self.at += 1;
                }
                self.error(start, self.at, "a string is written in double quotes: `\"...\"`");
                Kind::Bad
            }
        }
    }

    /// An escape sequence. `None` if there is no such one, which is reported.
    fn escape(&mut self) -> Option<char> {
        let start = self.at;
        self.at += 1;
        let name = self.peek().filter(|&c| c != '\n')?;
        self.at += name.len_utf8();
        let escaped = match name {
            'n' => Some('\n'),
            'r' => Some('\r'),
            't' => Some('\t'),
            '0' => Some('\0'),
            '\\' | '"' | '\'' => Some(name),
            'x' => self.code_point(2).filter(char::is_ascii),
            'u' if self.peek() == Some('{') => {
                self.at += 1;
                let rest = self.rest();
                let digits = rest.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(rest.len());
                let escaped = self.code_point(digits.min(6));
                let closed = self.peek() == Some('}');
                self.at += usize::from(closed);
                escaped.filter(|_| closed)
            }
            _ => None,
        };
        if escaped.is_none() {
            let text = self.source.text()[start..self.at].to_owned();
            let help = "a backslash is written `\\\\`, or plainly in a raw string: `r\"...\"`";
            self.error_with_help(start, self.at, &format!("unknown escape `{text}`"), help);
        }
        escaped
    }

    fn code_point(&mut self, digits: usize) -> Option<char> {
        let text = self.rest().get(..digits)?;
        // `from_str_radix` accepts a sign.
        let code = u32::from_str_radix(text, 16).ok().filter(|_| !text.starts_with('+'))?;
        self.at += digits;
        char::from_u32(code)
    }
}
