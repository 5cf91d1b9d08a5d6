//! Tokens to a tree.
//!
//! A file is put together from its `base`, the `--set` arguments and its sweeps before any type is asked, and a mistake that
//! shows only then is told where it was written: so every node keeps its place. The `ron` crate cannot do that: `ron::Value` has no
//! places and drops names (`Macs(0.5)` becomes a list), and reading stops at the first mistake. What either of the two reads, the
//! other reads too, to an equal value, except for the differences that `tests/fuzz/differences.rs` lists with their reasons.
//!
//! A mistake that leaves no doubt about what follows is told, and parsing goes on. At any other the parser gives up (`None`), so that
//! nobody has to tell mistakes from their consequences.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use super::brackets;
use super::error::{ExperimentError, ExperimentErrors};
use super::lex::{self, Kind, Token};
use super::source::{Source, Span};
use super::tree::{Name, Node, Value};

const IN_PARENTHESES: &str = "`,` or `)`";

/// The value that `source` holds from byte `start` on, or `None` if there is nothing but space and comments.
///
/// # Errors
///
/// The mistakes in the text.
pub fn parse(source: &Arc<Source>, start: usize) -> Result<Option<Node>, ExperimentErrors> {
    let (mut tokens, mut errors) = lex::lex(source, start);
    let pairs = brackets::pair(source, &tokens);
    if let Some(mistake) = &pairs.mistake {
        // What stands before the missing bracket is still checked.
        let end = tokens[mistake.from].start;
        tokens.truncate(mistake.from);
        errors.retain(|error| error.span().start < end);
        tokens.push(Token { kind: Kind::End, start: end, end, leads: false, indent: 0 });
    }
    let mut parser = Parser {
        source,
        closes: pairs.closes,
        cut: pairs.mistake.is_some(),
        at: 0,
        quotes_told: false,
        tokens,
        errors,
    };
    let node = parser.document();
    let mut errors = parser.errors;
    if let Some(mistake) = pairs.mistake
        && !errors.iter().any(|error| mistake.doubtful || explains(error, &mistake.error))
    {
        errors.push(mistake.error);
    }
    ExperimentErrors::check(errors)?;
    Ok(node)
}

/// Whether `error` is probably the cause of a bracket that does not match: it is on that line, or at its opener.
fn explains(error: &ExperimentError, bracket: &ExperimentError) -> bool {
    let line = |error: &ExperimentError| error.span().place().0;
    line(error) == line(bracket) || bracket.other_place() == Some(error.span())
}

/// Reads the tokens, of which `at` is the next.
struct Parser<'a> {
    source: &'a Arc<Source>,
    tokens: Vec<Token>,
    closes: Vec<usize>,
    /// Whether the tokens end at a missing bracket, and not at the end of the text.
    cut: bool,
    at: usize,
    /// Whether quotes around a field name are already reported: once is enough.
    quotes_told: bool,
    errors: Vec<ExperimentError>,
}

impl Parser<'_> {
    fn kind(&self) -> &Kind {
        &self.tokens[self.at].kind
    }

    fn next_kind(&self) -> &Kind {
        &self.tokens[(self.at + 1).min(self.tokens.len() - 1)].kind
    }

    fn span(&self, token: usize) -> Span {
        Span::new(self.source, self.tokens[token].start, self.tokens[token].end)
    }

    fn close_of(&self, open: usize) -> usize {
        self.closes[open].min(self.tokens.len() - 1)
    }

    fn starts_value(&self) -> bool {
        matches!(
            self.kind(),
            Kind::Open(_) | Kind::Ident | Kind::Number | Kind::String(_) | Kind::Char(_) | Kind::Bad
        )
    }

    fn found(&self) -> String {
        match self.kind() {
            Kind::End if self.source.is_argument() => "the end of the argument".to_owned(),
            Kind::End => "the end of the file".to_owned(),
            Kind::String(_) => self.span(self.at).text().to_owned(),
            _ => format!("`{}`", self.span(self.at).text()),
        }
    }

    fn error(&mut self, message: impl Into<String>) {
        if !self.is_known_bad() {
            self.errors.push(ExperimentError::new(self.span(self.at), message));
        }
    }

    fn error_with_help(&mut self, message: impl Into<String>, help: &str) {
        if !self.is_known_bad() {
            self.errors.push(ExperimentError::new(self.span(self.at), message).with_help(help));
        }
    }

    /// Whether a mistake here is already reported, or beyond a missing bracket, where nothing is certain.
    fn is_known_bad(&self) -> bool {
        *self.kind() == Kind::Bad || self.cut && *self.kind() == Kind::End
    }

    fn document(&mut self) -> Option<Node> {
        if *self.kind() == Kind::End {
            return None;
        }
        let node = self.value()?;
        if *self.kind() != Kind::End && self.errors.is_empty() {
            let what = if self.source.is_argument() { "argument" } else { "file" };
            let found = self.found();
            self.error(format!("expected the end of the {what}, found {found}"));
        }
        Some(node)
    }

    fn value(&mut self) -> Option<Node> {
        let start = self.at;
        let value = match self.kind().clone() {
            Kind::Open('[') => Value::List(self.items("`,` or `]`", Self::value)?),
            Kind::Open('{') => Value::Map(self.entries()?),
            Kind::Open(_) => self.parentheses(None)?,
            Kind::Ident => self.word()?,
            Kind::Number => self.single(Value::Number(self.span(start).text().to_owned())),
            Kind::String(text) => self.single(Value::String(text)),
            Kind::Char(c) => self.single(Value::Char(c)),
            Kind::Bad => self.single(Value::Unit),
            _ => {
                let found = self.found();
                self.error(format!("expected a value, found {found}"));
                return None;
            }
        };
        let end = self.tokens[self.at.saturating_sub(1).max(start)].end;
        Some(Node::new(value, Span::new(self.source, self.tokens[start].start, end)))
    }

    fn single(&mut self, value: Value) -> Value {
        self.at += 1;
        value
    }

    fn name(&mut self) -> Name {
        let span = self.span(self.at);
        self.at += 1;
        let text = span.text().strip_prefix("r#").unwrap_or(span.text()).to_owned();
        Name { text, span }
    }

    fn word(&mut self) -> Option<Value> {
        let name = self.name();
        Some(match name.span.text() {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            "None" => Value::None,
            "Some" => return self.some(),
            _ => match self.kind() {
                Kind::Open('(') => self.parentheses(Some(name))?,
                Kind::Open('{') => {
                    self.error(format!("expected `(`, found `{{`: a struct is written `{}(...)`", name.text));
                    self.parentheses(Some(name))?
                }
                _ => Value::Name(name.text),
            },
        })
    }

    fn some(&mut self) -> Option<Value> {
        let open = self.at;
        let mut items = match self.kind() {
            Kind::Open('(') => self.items("`)`", Self::value)?,
            _ => Vec::new(),
        };
        match (items.pop(), items.is_empty()) {
            (Some(inner), true) => Some(Value::Some(Box::new(inner))),
            _ => {
                self.at = open;
                self.error(
                    "expected `(` and one value: an optional value is written `Some(value)`, or just `value`",
                );
                None
            }
        }
    }

    /// The content of parentheses: fields if there is a colon in it, else items.
    fn parentheses(&mut self, name: Option<Name>) -> Option<Value> {
        let close = self.close_of(self.at);
        let mut inside = self.at + 1;
        let mut record = false;
        while inside < close {
            record |= matches!(self.tokens[inside].kind, Kind::Colon | Kind::Equals);
            inside = match self.tokens[inside].kind {
                Kind::Open(_) => self.close_of(inside).max(inside + 1),
                _ => inside + 1,
            };
        }
        if record {
            let fields = self.items(IN_PARENTHESES, Self::field)?;
            self.refuse_duplicates(fields.iter().map(|(name, _)| (&name.text, &name.span)), "field");
            return Some(Value::Record { name, fields });
        }
        let items = self.items(IN_PARENTHESES, Self::value)?;
        Some(match (name, items.is_empty()) {
            (None, true) => Value::Unit,
            (name, _) => Value::Tuple { name, items },
        })
    }

    /// The items in the brackets that open here, separated by commas.
    fn items<T>(&mut self, expected: &str, mut item: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let close = self.close_of(self.at);
        let mut items = Vec::new();
        self.at += 1;
        while self.at < close {
            let start = self.at;
            items.push(item(self)?);
            if *self.kind() == Kind::Bad {
                self.skip_to_comma(close);
            }
            if self.at >= close {
                break;
            }
            let found = self.found();
            match self.kind() {
                Kind::Comma => self.at += 1,
                _ if self.starts_value() => {
                    let lone = self.at == start + 1 && self.tokens[start].kind == Kind::Ident;
                    let field = lone && expected == IN_PARENTHESES && *self.kind() != Kind::Ident;
                    let wanted = if field { "`:` or `,`" } else { "`,`" };
                    self.error(format!("expected {wanted} before {found}"));
                }
                _ => {
                    self.error(format!("expected {expected}, found {found}"));
                    return None;
                }
            }
        }
        // The end stands for a missing bracket. It stays, for the brackets around this one.
        if *self.kind() != Kind::End {
            self.at = close + 1;
        }
        Some(items)
    }

    fn skip_to_comma(&mut self, close: usize) {
        while self.at < close && *self.kind() != Kind::Comma {
            self.at = match self.kind() {
                Kind::Open(_) => (self.close_of(self.at) + 1).min(close),
                _ => self.at + 1,
            };
        }
    }

    fn field(&mut self) -> Option<(Name, Node)> {
        let name = match self.kind().clone() {
            Kind::Ident => self.name(),
            Kind::String(text) if matches!(self.next_kind(), Kind::Colon | Kind::Equals) => {
                if !std::mem::replace(&mut self.quotes_told, true) {
                    self.error_with_help(
                        format!("a field is written without quotes: `{text}: value`"),
                        "a map, whose keys have quotes, is written in braces: `{ \"key\": value }`",
                    );
                }
                Name { text, span: self.name().span }
            }
            _ => {
                let found = self.found();
                self.error(format!("expected a field `name: value`, found {found}"));
                return None;
            }
        };
        self.colon(&name.text)?;
        let value = self.value_of(&name.text)?;
        Some((name, value))
    }

    fn entries(&mut self) -> Option<Vec<(Node, Node)>> {
        let entries = self.items("`,` or `}`", |parser| {
            let key = parser.value()?;
            let text = key.span.text().to_owned();
            parser.colon(&text)?;
            let value = parser.value_of(&text)?;
            Some((key, value))
        })?;
        let keys: Vec<(String, Span)> =
            entries.iter().map(|(key, _)| (key.to_string(), key.span.clone())).collect();
        self.refuse_duplicates(keys.iter().map(|(text, span)| (text, span)), "key");
        Some(entries)
    }

    fn colon(&mut self, name: &str) -> Option<()> {
        let found = self.found();
        match self.kind() {
            Kind::Colon => self.at += 1,
            Kind::Equals => {
                self.error(format!("expected `:` after `{name}`, found `=`"));
                self.at += 1;
            }
            Kind::Comma | Kind::Close(_) => {
                self.error(format!("expected `:` and a value after `{name}`, found {found}"));
            }
            _ if self.starts_value() && !matches!(self.next_kind(), Kind::Colon | Kind::Equals) => {
                self.error(format!("expected `:` after `{name}`, found {found}"));
            }
            _ => {
                self.error(format!("expected `:` and a value after `{name}`, found {found}"));
                return None;
            }
        }
        Some(())
    }

    fn value_of(&mut self, name: &str) -> Option<Node> {
        let found = self.found();
        match self.kind() {
            Kind::Comma | Kind::Close(_) => {
                if !matches!(self.tokens[self.at - 1].kind, Kind::Ident | Kind::String(_)) {
                    self.error(format!("expected a value for `{name}`, found {found}"));
                }
                let place = Span::new(self.source, self.tokens[self.at].start, self.tokens[self.at].start);
                Some(Node::new(Value::Unit, place))
            }
            Kind::Ident | Kind::String(_) if matches!(self.next_kind(), Kind::Colon) => {
                let bracket = if *self.kind() == Kind::Ident { '(' } else { '{' };
                self.error(format!("expected a value for `{name}`, found the field {found}: is a `{bracket}` missing before it?"));
                None
            }
            _ => self.value(),
        }
    }

    fn refuse_duplicates<'n>(&mut self, names: impl Iterator<Item = (&'n String, &'n Span)>, what: &str) {
        let mut seen: HashMap<&String, &Span> = HashMap::new();
        for (name, span) in names {
            match seen.entry(name) {
                Entry::Occupied(earlier) => {
                    let earlier = *earlier.get();
                    let quoted = if what == "key" { name.clone() } else { format!("`{name}`") };
                    let line = earlier.place().0;
                    self.errors.push(
                        ExperimentError::new(
                            span.clone(),
                            format!("the {what} {quoted} is written twice, first in line {line}"),
                        )
                        .with_label("again here")
                        .with_also(earlier.clone(), "first here"),
                    );
                }
                Entry::Vacant(free) => {
                    free.insert(span);
                }
            }
        }
    }
}
