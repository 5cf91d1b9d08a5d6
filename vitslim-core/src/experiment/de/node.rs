//! A node that is read, and what can be wrong with it.

use std::cell::RefCell;
use std::fmt;

use serde::de::{Expected, Unexpected};

use crate::experiment::error::ExperimentError;
use crate::experiment::nearest::{list, nearest};
use crate::experiment::number;
use crate::experiment::overrides;
use crate::experiment::source::Span;
use crate::experiment::tree::{Name, Node, Value};

/// A node to be read, and its name in reports.
#[derive(Clone, Copy)]
pub(super) struct De<'a> {
    pub(super) node: &'a Node,
    /// The field or key whose value it is, or nothing.
    pub(super) subject: &'a str,
    /// Mistakes after which reading went on.
    pub(super) told: &'a RefCell<Vec<ExperimentError>>,
}

impl<'a> De<'a> {
    pub(super) fn with(self, node: &'a Node) -> Self {
        Self { node, ..self }
    }

    pub(super) fn message(self, message: impl fmt::Display) -> Error {
        <Error as serde::de::Error>::custom(message).at(&self.node.span, self.subject)
    }

    pub(super) fn error(self, span: Span, message: String) -> ExperimentError {
        let message = match self.subject {
            "" => message,
            subject => format!("`{subject}`: {message}"),
        };
        ExperimentError::new(span, message)
    }

    pub(super) fn mismatch(self, expected: &str) -> Error {
        let mut error =
            self.error(self.node.head(), format!("expected {expected}, found {}", self.node.describe()));
        error = match &self.node.value {
            Value::Some(_) => error.with_help("this is not optional: write the value without `Some(...)`"),
            Value::None => {
                error.with_help("this is not optional: write a value, or leave the field out for its default")
            }
            Value::String(text) if number::begins(text) && expected.contains("number") => {
                error.with_help(format!("a number is written without quotes: `{text}`"))
            }
            Value::Name(name) if expected == "a string" => {
                error.with_help(overrides::quoting(&self.node.span, name))
            }
            Value::Char(c) if expected == "a string" => {
                error.with_help(format!("a string is written in double quotes: `\"{c}\"`"))
            }
            _ => error,
        };
        Error::placed(error)
    }

    pub(super) fn number(self) -> Result<&'a str, Error> {
        match &self.node.value {
            Value::Number(text) => Ok(text),
            _ => Err(self.mismatch("a number")),
        }
    }

    pub(super) fn integer<T: TryFrom<i128>>(self, least: i128, most: i128) -> Result<T, Error> {
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
        // A field may have narrower bounds of its own, so that only the one that is missed is named.
        T::try_from(value).map_err(|_| match value < least {
            true => self.message(format!("must be at least {least}, but is `{text}`")),
            false => self.message(format!("must be at most {most}, but is `{text}`")),
        })
    }

    pub(super) fn string(self) -> Result<&'a str, Error> {
        match &self.node.value {
            Value::String(text) => Ok(text),
            _ => Err(self.mismatch("a string")),
        }
    }

    /// The fields of a record, which a report calls `expected`.
    pub(super) fn fields(self, expected: &str) -> Result<&'a [(Name, Node)], Error> {
        match &self.node.value {
            Value::Record { fields, .. } => Ok(fields),
            Value::Unit | Value::Name(_) => Ok(&[]),
            Value::Tuple { name: Some(_), items } if items.is_empty() => Ok(&[]),
            Value::Map(_) => {
                let message = format!("expected {expected}, found a map");
                let error = self
                    .error(self.node.head(), message)
                    .with_help("a struct is written `(name: value)`, with parentheses and without quotes; `{ \"key\": value }` is a map");
                Err(Error::placed(error))
            }
            Value::Tuple { items, .. } if !items.is_empty() => {
                let error = self
                    .error(self.node.head(), format!("expected {expected}, found values without names"))
                    .with_help("a struct is written `(name: value)`");
                Err(Error::placed(error))
            }
            _ => Err(self.mismatch(expected)),
        }
    }

    pub(super) fn check_name(self, expected: &str) -> Result<(), Error> {
        match self.node.name() {
            Some(name) if name != expected => {
                let near = nearest(name, [expected]).is_some();
                let error = self.error(self.node.head(), format!("expected `{expected}`, found `{name}`"));
                Err(Error::placed(if near {
                    error.with_help(format!(
                        "did you mean `{expected}`? The name may also be left out: `(...)`"
                    ))
                } else {
                    error.with_help(format!("write `{expected}(...)`, or leave the name out: `(...)`"))
                }))
            }
            _ => Ok(()),
        }
    }
}

/// Why a node is not of the type that was asked for. On its way up it gets the place and the subject that it lacks.
#[derive(Debug)]
pub(super) struct Error(Box<Kind>);

#[derive(Debug)]
enum Kind {
    /// An error with its place.
    Placed(ExperimentError),
    /// A sentence about the value that is being read.
    Message(String),
    /// A struct lacks this field.
    Missing(&'static str),
    /// What is wrong is among the errors that were recorded before.
    Told,
}

impl Error {
    pub(super) fn placed(error: ExperimentError) -> Self {
        Self(Box::new(Kind::Placed(error)))
    }

    /// The error at `span`, unless it has a place already. `subject` is the field or key whose value it is about.
    pub(super) fn at(self, span: &Span, subject: &str) -> Self {
        match *self.0 {
            Kind::Message(message) if subject.is_empty() => {
                Self::placed(ExperimentError::new(span.clone(), message))
            }
            Kind::Message(message) => {
                Self::placed(ExperimentError::new(span.clone(), format!("`{subject}`: {message}")))
            }
            Kind::Missing(field) => Self::placed(
                ExperimentError::new(span.clone(), format!("missing field `{field}`")).of_missing(field),
            ),
            Kind::Placed(_) | Kind::Told => self,
        }
    }

    /// The error of a record that stands at `head`: a missing field is missing there. It is not told if `misspelt` says that a wrong
    /// name was probably meant to be it.
    pub(super) fn in_record(self, head: &Span, record: &str, misspelt: impl Fn(&str) -> bool) -> Self {
        match *self.0 {
            Kind::Missing(field) if misspelt(field) => Self(Box::new(Kind::Told)),
            Kind::Missing(field) => {
                let error =
                    ExperimentError::new(head.clone(), format!("missing field `{field}` in `{record}`"))
                        .with_label(format!("`{field}` is missing here"))
                        .with_help(format!("add `{field}: ...`"))
                        .of_missing(field);
                Self::placed(error)
            }
            _ => self,
        }
    }

    /// The error, if it is not told already.
    pub(super) fn into_placed(self, span: &Span) -> Option<ExperimentError> {
        match *self.at(span, "").0 {
            Kind::Placed(error) => Some(error),
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Kind::Placed(error) => fmt::Display::fmt(error, f),
            Kind::Message(message) => f.write_str(message),
            Kind::Missing(field) => write!(f, "missing field `{field}`"),
            Kind::Told => f.write_str("see the other mistakes"),
        }
    }
}

impl std::error::Error for Error {}

impl serde::de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(Box::new(Kind::Message(message.to_string())))
    }

    fn missing_field(field: &'static str) -> Self {
        Self(Box::new(Kind::Missing(field)))
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::custom(format!("expected {expected}, found {found}"))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::custom(format!("expected {expected}, found {found}"))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::custom(format!("unknown variant `{variant}`; variants: {}", list(expected.iter().copied())))
    }
}
