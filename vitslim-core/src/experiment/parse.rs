//! Tokens to a tree. A mistake that leaves no doubt about what follows is told and read over; at any other, the parser
//! gives up (`None`), so that nobody has to sort out the mistakes from their consequences.

use std::sync::Arc;

use super::brackets;
use super::fault::{Fault, Faults};
use super::lex::{self, Kind, Token};
use super::source::{Source, Span};
use super::tree::{Name, Node, Value};

const IN_PARENTHESES: &str = "`,` or `)`";

/// The value that `source` holds from byte `start` on, or `None` if there is nothing but space and comments.
///
/// # Errors
///
/// The mistakes in the text.
pub(super) fn parse(source: &Arc<Source>, start: usize) -> Result<Option<Node>, Faults> {
    let (mut tokens, mut faults) = lex::lex(source, start);
    let pairs = brackets::pair(source, &tokens);
    if let Some(mistake) = &pairs.mistake {
        // What stands before the missing bracket is still checked.
        let end = tokens[mistake.from].start;
        tokens.truncate(mistake.from);
        faults.retain(|fault| fault.span().start < end);
        tokens.push(Token { kind: Kind::End, start: end, end, leads: false, indent: 0 });
    }
    let mut parser = Parser {
        source,
        closes: pairs.closes,
        cut: pairs.mistake.is_some(),
        at: 0,
        quotes_told: false,
        tokens,
        faults,
    };
    let node = parser.document();
    let mut faults = parser.faults;
    if let Some(mistake) = pairs.mistake
        && !faults.iter().any(|fault| mistake.doubtful || explains(fault, &mistake.fault))
    {
        faults.push(mistake.fault);
    }
    Faults::check(faults)?;
    Ok(node)
}

/// Whether `fault` is probably the cause of a bracket that does not match: it is on that line, or at its opener.
fn explains(fault: &Fault, bracket: &Fault) -> bool {
    let line = |fault: &Fault| fault.span().place().0;
    line(fault) == line(bracket) || bracket.other_place() == Some(fault.span())
}

/// The reader of the tokens, at one of them.
pub(super) struct Parser<'a> {
    pub(super) source: &'a Arc<Source>,
    pub(super) tokens: Vec<Token>,
    closes: Vec<usize>,
    /// Whether the tokens end at a missing bracket and not where the text does.
    cut: bool,
    pub(super) at: usize,
    /// Whether quotes around the name of a field are told: one is enough.
    pub(super) quotes_told: bool,
    pub(super) faults: Vec<Fault>,
}

impl Parser<'_> {
    pub(super) fn kind(&self) -> &Kind {
        &self.tokens[self.at].kind
    }

    pub(super) fn next_kind(&self) -> &Kind {
        &self.tokens[(self.at + 1).min(self.tokens.len() - 1)].kind
    }

    pub(super) fn span(&self, token: usize) -> Span {
        Span::new(self.source, self.tokens[token].start, self.tokens[token].end)
    }

    fn close_of(&self, open: usize) -> usize {
        self.closes[open].min(self.tokens.len() - 1)
    }

    pub(super) fn starts_value(&self) -> bool {
        matches!(
            self.kind(),
            Kind::Open(_) | Kind::Ident | Kind::Number | Kind::String(_) | Kind::Char(_) | Kind::Bad
        )
    }

    pub(super) fn found(&self) -> String {
        match self.kind() {
            Kind::End if self.source.is_argument() => "the end of the argument".to_owned(),
            Kind::End => "the end of the file".to_owned(),
            Kind::String(_) => self.span(self.at).text().to_owned(),
            _ => format!("`{}`", self.span(self.at).text()),
        }
    }

    pub(super) fn fault(&mut self, message: impl Into<String>) {
        if !self.is_known_bad() {
            self.faults.push(Fault::new(self.span(self.at), message));
        }
    }

    pub(super) fn fault_with_help(&mut self, message: impl Into<String>, help: &str) {
        if !self.is_known_bad() {
            self.faults.push(Fault::new(self.span(self.at), message).with_help(help));
        }
    }

    /// What is no token is told already, and behind a missing bracket nothing is known.
    fn is_known_bad(&self) -> bool {
        *self.kind() == Kind::Bad || self.cut && *self.kind() == Kind::End
    }

    fn document(&mut self) -> Option<Node> {
        if *self.kind() == Kind::End {
            return None;
        }
        let node = self.value()?;
        if *self.kind() != Kind::End && self.faults.is_empty() {
            let what = if self.source.is_argument() { "argument" } else { "file" };
            let found = self.found();
            self.fault(format!("expected the end of the {what}, found {found}"));
        }
        Some(node)
    }

    pub(super) fn value(&mut self) -> Option<Node> {
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
                self.fault(format!("expected a value, found {found}"));
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

    pub(super) fn name(&mut self) -> Name {
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
                    self.fault(format!("expected `(`, found `{{`: a struct is written `{}(...)`", name.text));
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
                self.fault(
                    "expected `(` and one value: an optional value is written `Some(value)`, or just `value`",
                );
                None
            }
        }
    }

    /// What stands in parentheses: fields if there is a colon among it, else items.
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
    pub(super) fn items<T>(
        &mut self,
        expected: &str,
        mut item: impl FnMut(&mut Self) -> Option<T>,
    ) -> Option<Vec<T>> {
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
                    self.fault(format!("expected {wanted} before {found}"));
                }
                _ => {
                    self.fault(format!("expected {expected}, found {found}"));
                    return None;
                }
            }
        }
        // The end stands in for a bracket that is missing; it stays, for the brackets around this one.
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
}
