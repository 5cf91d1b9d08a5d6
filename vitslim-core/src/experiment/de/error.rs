//! The error of the deserializer: a fault that may not have its place yet.

use std::fmt;

use serde::de::{Expected, Unexpected};

use super::super::fault::Fault;
use super::super::nearest::list;
use super::super::source::Span;

/// Why a node is not of the type that was asked for. The nodes it passes on its way up give it what it lacks.
#[derive(Debug)]
pub(super) struct Error(Box<Kind>);

#[derive(Debug)]
enum Kind {
    /// A fault with its place.
    Placed(Fault),
    /// A sentence about the value that is being read.
    Message(String),
    /// A struct lacks this field.
    Missing(&'static str),
    /// What is wrong is told by the faults that were recorded before.
    Told,
}

impl Error {
    pub(super) fn placed(fault: Fault) -> Self {
        Self(Box::new(Kind::Placed(fault)))
    }

    /// The error at `span`, unless it has a place already. `subject` is the field or key whose value it is about.
    pub(super) fn at(self, span: &Span, subject: &str) -> Self {
        match *self.0 {
            Kind::Message(message) if subject.is_empty() => Self::placed(Fault::new(span.clone(), message)),
            Kind::Message(message) => {
                Self::placed(Fault::new(span.clone(), format!("`{subject}`: {message}")))
            }
            Kind::Missing(field) => {
                Self::placed(Fault::new(span.clone(), format!("missing field `{field}`")).of_missing(field))
            }
            Kind::Placed(_) | Kind::Told => self,
        }
    }

    /// The error of a record that stands at `head`: a missing field is missing from here. It is left untold if
    /// `misspelt` says that a wrong name was probably meant to be it.
    pub(super) fn in_record(self, head: &Span, record: &str, misspelt: impl Fn(&str) -> bool) -> Self {
        match *self.0 {
            Kind::Missing(field) if misspelt(field) => Self(Box::new(Kind::Told)),
            Kind::Missing(field) => {
                let fault = Fault::new(head.clone(), format!("missing field `{field}` in `{record}`"))
                    .with_label(format!("`{field}` is missing in what begins here"))
                    .with_help(format!("add `{field}: ...`"))
                    .of_missing(field);
                Self::placed(fault)
            }
            _ => self,
        }
    }

    /// The fault, if it is not told already.
    pub(super) fn into_fault(self, span: &Span) -> Option<Fault> {
        match *self.at(span, "").0 {
            Kind::Placed(fault) => Some(fault),
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Kind::Placed(fault) => fmt::Display::fmt(fault, f),
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
        Self::custom(format!("unknown variant `{variant}`, there is {}", list(expected.iter().copied())))
    }
}
