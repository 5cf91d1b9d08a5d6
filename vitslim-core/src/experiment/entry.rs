//! Names and their values: the fields of a record, the entries of a map.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::fault::Fault;
use super::lex::Kind;
use super::parse::Parser;
use super::source::Span;
use super::tree::{Name, Node, Value};

impl Parser<'_> {
    pub(super) fn field(&mut self) -> Option<(Name, Node)> {
        let name = match self.kind().clone() {
            Kind::Ident => self.name(),
            Kind::String(text) if matches!(self.next_kind(), Kind::Colon | Kind::Equals) => {
                if !std::mem::replace(&mut self.quotes_told, true) {
                    self.fault_with_help(
                        format!("a field is written without quotes: `{text}: value`"),
                        "a map, whose keys have quotes, is written in braces: `{ \"key\": value }`",
                    );
                }
                Name { text, span: self.name().span }
            }
            _ => {
                let found = self.found();
                self.fault(format!("expected a field `name: value`, found {found}"));
                return None;
            }
        };
        self.colon(&name.text)?;
        let value = self.value_of(&name.text)?;
        Some((name, value))
    }

    pub(super) fn entries(&mut self) -> Option<Vec<(Node, Node)>> {
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
                self.fault(format!("expected `:` after `{name}`, found `=`"));
                self.at += 1;
            }
            Kind::Comma | Kind::Close(_) => {
                self.fault(format!("expected `:` and a value after `{name}`, found {found}"));
            }
            _ if self.starts_value() && !matches!(self.next_kind(), Kind::Colon | Kind::Equals) => {
                self.fault(format!("expected `:` after `{name}`, found {found}"));
            }
            _ => {
                self.fault(format!("expected `:` and a value after `{name}`, found {found}"));
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
                    self.fault(format!("expected a value for `{name}`, found {found}"));
                }
                let place = Span::new(self.source, self.tokens[self.at].start, self.tokens[self.at].start);
                Some(Node::new(Value::Unit, place))
            }
            Kind::Ident | Kind::String(_) if matches!(self.next_kind(), Kind::Colon) => {
                let bracket = if *self.kind() == Kind::Ident { '(' } else { '{' };
                self.fault(format!("expected a value for `{name}`, found the field {found}: is a `{bracket}` missing before it?"));
                None
            }
            _ => self.value(),
        }
    }

    pub(super) fn refuse_duplicates<'n>(
        &mut self,
        names: impl Iterator<Item = (&'n String, &'n Span)>,
        what: &str,
    ) {
        let mut seen: HashMap<&String, &Span> = HashMap::new();
        for (name, span) in names {
            match seen.entry(name) {
                Entry::Occupied(earlier) => {
                    let earlier = *earlier.get();
                    let quoted = if what == "key" { name.clone() } else { format!("`{name}`") };
                    let line = earlier.place().0;
                    self.faults.push(
                        Fault::new(
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
