//! All that is wrong with a tree: serde stops at a mistake, so the value that it is in is left out, and the rest is read again.

use std::borrow::Cow;
use std::cell::RefCell;

use serde::de::DeserializeOwned;

use super::node::De;
use crate::experiment::error::{ExperimentError, ExperimentErrors};
use crate::experiment::source::Span;
use crate::experiment::sweep;
use crate::experiment::tree::{Node, Value};

/// Mistakes that are reported; nobody reads more.
const MOST: usize = 50;

/// Reads a value of type `T` from a tree.
///
/// # Errors
///
/// What does not fit the type, each at its place.
pub fn typed<T: DeserializeOwned>(node: &Node) -> Result<T, ExperimentErrors> {
    let Reading { value, errors } = read(node);
    ExperimentErrors::check(errors)?;
    value.ok_or_else(|| ExperimentError::new(node.span.clone(), "this value cannot be read").into())
}

/// What can be read of a tree.
#[derive(Debug)]
pub(crate) struct Reading<T> {
    /// The value without its mistakes; `None` if something is missing without them.
    pub value: Option<T>,
    /// What is wrong.
    pub errors: Vec<ExperimentError>,
}

/// Reads a value of type `T` from a tree that may have mistakes in it.
pub(crate) fn read<T: DeserializeOwned>(node: &Node) -> Reading<T> {
    let mut rest = Rest { tree: Cow::Borrowed(node), errors: Vec::new(), left_out: Vec::new() };
    while let Some(sweep) = sweep::first(&rest.tree) {
        let message = format!("`{}` stands for several values, and one is needed here", sweep.span.text());
        let place = sweep.head();
        rest.tell(ExperimentError::new(place.clone(), message));
        if !rest.leave_out(&place) {
            return Reading { value: None, errors: rest.errors };
        }
    }
    loop {
        let told = RefCell::new(Vec::new());
        let result = T::deserialize(De { node: &rest.tree, subject: "", told: &told });
        let (value, last) = match result {
            Ok(value) => (Some(value), None),
            Err(error) => (None, error.into_placed(&rest.tree.span)),
        };
        let errors: Vec<ExperimentError> = told.into_inner().into_iter().chain(last).collect();
        let place = errors.last().map(|error| error.span().clone());
        errors.into_iter().for_each(|error| rest.tell(error));
        if value.is_some() || !place.is_some_and(|place| rest.leave_out(&place)) {
            return Reading { value, errors: rest.errors };
        }
    }
}

/// What is left of a tree.
struct Rest<'a> {
    tree: Cow<'a, Node>,
    errors: Vec<ExperimentError>,
    /// What was left out: the place of its record, and its name there.
    left_out: Vec<(Span, String)>,
}

impl Rest<'_> {
    /// Adds `error`, unless it is known, or only says that a field is missing that was left out.
    fn tell(&mut self, error: ExperimentError) {
        let is_consequence =
            |(record, name): &(Span, String)| record == error.span() && error.missing() == Some(name);
        let is_told = self.errors.iter().any(|known| known.is_same(&error));
        if !is_told && !self.left_out.iter().any(is_consequence) {
            self.errors.push(error);
        }
    }

    /// Leaves out the innermost field, entry or item at `place`. `false` if there is none, or enough is found.
    fn leave_out(&mut self, place: &Span) -> bool {
        self.errors.len() < MOST
            && innermost(&self.tree, place)
                .is_some_and(|span| remove(self.tree.to_mut(), &span, &mut self.left_out))
    }
}

/// Removes the field, entry or item at `span` from `node`.
fn remove(node: &mut Node, span: &Span, removed: &mut Vec<(Span, String)>) -> bool {
    let head = node.head();
    match &mut node.value {
        Value::Some(inner) => remove(inner, span, removed),
        Value::Record { fields, .. } => match fields.iter().position(|(_, value)| value.span == *span) {
            Some(index) => {
                let (name, _) = fields.remove(index);
                removed.push((head, name.text));
                true
            }
            None => fields.iter_mut().any(|(_, value)| remove(value, span, removed)),
        },
        Value::Map(entries) => match entries.iter().position(|(_, value)| value.span == *span) {
            Some(index) => {
                entries.remove(index);
                true
            }
            None => entries.iter_mut().any(|(_, value)| remove(value, span, removed)),
        },
        Value::List(items) => match items.iter().position(|item| item.span == *span) {
            Some(index) => {
                items.remove(index);
                true
            }
            None => items.iter_mut().any(|item| remove(item, span, removed)),
        },
        Value::Tuple { items, .. } => items.iter_mut().any(|item| remove(item, span, removed)),
        _ => false,
    }
}

/// The place of the innermost value that can be left out: that of a field, an entry or an item, but not of a variant, which without
/// its value would be another mistake.
fn innermost(node: &Node, place: &Span) -> Option<Span> {
    let holds = |node: &Node| {
        let span = &node.span;
        let here = span.source == place.source && span.start <= place.start && place.end <= span.end;
        innermost(node, place).or_else(|| here.then(|| span.clone()))
    };
    match &node.value {
        Value::Some(inner) => innermost(inner, place),
        Value::Tuple { items, .. } => items.iter().find_map(|item| innermost(item, place)),
        Value::Record { fields, .. } => fields.iter().find_map(|(_, value)| holds(value)),
        Value::List(items) => items.iter().find_map(holds),
        Value::Map(entries) => entries.iter().find_map(|(key, value)| {
            holds(value).or_else(|| (key.span == *place).then(|| value.span.clone()))
        }),
        _ => None,
    }
}
