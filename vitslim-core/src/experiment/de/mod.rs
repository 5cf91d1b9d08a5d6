//! The tree to a typed value, through serde. Whatever is wrong is told at its place, with the right name or spelling.

mod access;
mod deserializer;
mod error;
mod mistakes;

use std::borrow::Cow;
use std::cell::RefCell;

use serde::de::{DeserializeOwned, Visitor};

use self::access::Fields;
use self::error::Error;
use self::mistakes::Mistakes;
use super::fault::{Fault, Faults};
use super::nearest::{list, nearest};
use super::number;
use super::overrides;
use super::source::Span;
use super::sweep;
use super::tree::{Name, Node, Value};

/// The name under which `ron::value::RawValue` asks for the text of a node instead of its value.
const RAW: &str = "$ron::private::RawValue";

/// Reads a value of type `T` from a tree.
///
/// # Errors
///
/// What does not fit the type, each at its place.
pub fn typed<T: DeserializeOwned>(node: &Node) -> Result<T, Faults> {
    let Reading { value, faults } = read(node);
    Faults::check(faults)?;
    value.ok_or_else(|| Fault::new(node.span.clone(), "this value cannot be read").into())
}

/// What can be read of a tree.
#[derive(Debug)]
pub(crate) struct Reading<T> {
    /// The value without its mistakes; `None` where something is missing then.
    pub value: Option<T>,
    /// What is wrong.
    pub faults: Vec<Fault>,
}

/// Reads a value of type `T` from a tree that may have mistakes in it.
pub(crate) fn read<T: DeserializeOwned>(node: &Node) -> Reading<T> {
    let mut mistakes = Mistakes::default();
    let mut rest = Cow::Borrowed(node);
    while let Some(sweep) = sweeps(&rest) {
        let place = mistakes.add(Vec::new(), Some(sweep));
        if !place.is_some_and(|place| mistakes.leave_out(rest.to_mut(), &place)) {
            return Reading { value: None, faults: mistakes.and(Vec::new()) };
        }
    }
    loop {
        let told = RefCell::new(Vec::new());
        let result = T::deserialize(De { node: &rest, subject: "", told: &told });
        let told = told.into_inner();
        let error = match result {
            Ok(value) => return Reading { value: Some(value), faults: mistakes.and(told) },
            Err(error) => error,
        };
        // serde stops at what cannot be read. Without that, it goes on to the next.
        let place = mistakes.add(told, error.into_fault(&rest.span));
        if !place.is_some_and(|place| mistakes.leave_out(rest.to_mut(), &place)) {
            return Reading { value: None, faults: mistakes.and(Vec::new()) };
        }
    }
}

fn sweeps(node: &Node) -> Option<Fault> {
    let found = sweep::first(node)?;
    let message = format!("`{}` stands for several values, and one is needed here", found.span.text());
    Some(Fault::new(found.head(), message))
}

/// A node to be read, and what reports call it.
#[derive(Clone, Copy)]
struct De<'a> {
    node: &'a Node,
    /// The field or key whose value it is, or nothing.
    subject: &'a str,
    /// Faults after which reading went on.
    told: &'a RefCell<Vec<Fault>>,
}

impl<'a> De<'a> {
    fn with(self, node: &'a Node) -> Self {
        Self { node, ..self }
    }

    fn message(self, message: impl std::fmt::Display) -> Error {
        <Error as serde::de::Error>::custom(message).at(&self.node.span, self.subject)
    }

    fn fault(self, span: Span, message: String) -> Fault {
        let message = match self.subject {
            "" => message,
            subject => format!("`{subject}`: {message}"),
        };
        Fault::new(span, message)
    }

    fn mismatch(self, expected: &str) -> Error {
        let mut fault =
            self.fault(self.node.head(), format!("expected {expected}, found {}", self.node.describe()));
        fault = match &self.node.value {
            Value::Some(_) => fault.with_help("this is not optional: write the value without `Some(...)`"),
            Value::None => {
                fault.with_help("this is not optional: write a value, or leave the field out for its default")
            }
            Value::String(text) if number::begins(text) && expected.contains("number") => {
                fault.with_help(format!("a number is written without quotes: `{text}`"))
            }
            Value::Name(name) if expected == "a string" => {
                fault.with_help(overrides::quoting(&self.node.span, name))
            }
            Value::Char(c) if expected == "a string" => {
                fault.with_help(format!("a string is written in double quotes: `\"{c}\"`"))
            }
            _ => fault,
        };
        Error::placed(fault)
    }

    fn number(self) -> Result<&'a str, Error> {
        match &self.node.value {
            Value::Number(text) => Ok(text),
            _ => Err(self.mismatch("a number")),
        }
    }

    fn integer<T: TryFrom<i128>>(self, least: i128, most: i128) -> Result<T, Error> {
        let Value::Number(text) = &self.node.value else {
            return Err(self.mismatch("a whole number"));
        };
        let Some(value) = number::integer(text) else {
            let whole = number::float(text).ok().filter(|value| value.fract() == 0.0 && value.abs() < 1e15);
            return Err(match whole {
                Some(value) => {
                    self.message(format!("must be a whole number, but is `{text}`: write {value}"))
                }
                None => self.message(format!("must be a whole number, but is `{text}`")),
            });
        };
        if value < 0 && least == 0 {
            return Err(self.message(format!("must not be negative, but is `{text}`")));
        }
        T::try_from(value)
            .map_err(|_| self.message(format!("must be from {least} to {most}, but is `{text}`")))
    }

    fn string(self) -> Result<&'a str, Error> {
        match &self.node.value {
            Value::String(text) => Ok(text),
            _ => Err(self.mismatch("a string")),
        }
    }

    /// The fields of a record. `expected` is what a report calls it.
    fn fields(self, expected: &str) -> Result<&'a [(Name, Node)], Error> {
        match &self.node.value {
            Value::Record { fields, .. } => Ok(fields),
            Value::Unit | Value::Name(_) => Ok(&[]),
            Value::Tuple { name: Some(_), items } if items.is_empty() => Ok(&[]),
            Value::Map(_) => {
                let message = format!("expected {expected}, found a map");
                let fault = self
                    .fault(self.node.head(), message)
                    .with_help("a struct is written `(name: value)`, with parentheses and without quotes; `{ \"key\": value }` is a map");
                Err(Error::placed(fault))
            }
            Value::Tuple { items, .. } if !items.is_empty() => {
                let fault = self
                    .fault(self.node.head(), format!("expected {expected}, found values without names"))
                    .with_help("a struct is written `(name: value)`");
                Err(Error::placed(fault))
            }
            _ => Err(self.mismatch(expected)),
        }
    }

    /// Reads the fields of a record that reports call `record`.
    fn record<'de, V: Visitor<'de>>(
        self,
        record: &'a str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let fields = self.fields("a struct `(name: value)`")?;
        let mut meant = Vec::new();
        for (name, _) in fields.iter().filter(|(name, _)| !known.contains(&name.text.as_str())) {
            let near = nearest(&name.text, known.iter().copied());
            let guess = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            let message = format!("unknown field `{}` in `{record}`{guess}", name.text);
            let help = format!("`{record}` has {}", list(known.iter().copied()));
            self.told.borrow_mut().push(Fault::new(name.span.clone(), message).with_help(help));
            meant.extend(near);
        }
        let access = Fields::new(self, fields.iter().filter(|(name, _)| known.contains(&name.text.as_str())));
        visitor
            .visit_map(access)
            .map_err(|error| error.in_record(&self.node.head(), record, |field| meant.contains(&field)))
    }

    fn check_name(self, expected: &str) -> Result<(), Error> {
        match self.node.name() {
            Some(name) if name != expected => {
                let near = nearest(name, [expected]).is_some();
                let fault = self.fault(self.node.head(), format!("expected `{expected}`, found `{name}`"));
                Err(Error::placed(if near {
                    fault.with_help(format!(
                        "did you mean `{expected}`? The name may also be left out: `(...)`"
                    ))
                } else {
                    fault.with_help(format!("write `{expected}(...)`, or leave the name out: `(...)`"))
                }))
            }
            _ => Ok(()),
        }
    }
}
