//! All that is wrong with a tree: after each mistake, what it is in is left out, and the rest is read once more.

use crate::experiment::fault::Fault;
use crate::experiment::source::Span;
use crate::experiment::tree::{Node, Value};

/// Mistakes that are told; nobody reads more.
const MOST: usize = 50;

/// The mistakes that were found.
#[derive(Default)]
pub(super) struct Mistakes {
    found: Vec<Fault>,
    /// What was left out: the place of its record, and its name there.
    left_out: Vec<(Span, String)>,
}

impl Mistakes {
    /// Adds what was found in one reading: faults after which it went on, and the one at which it stopped. The place of the latter,
    /// or else of the last of the former.
    pub(super) fn add(&mut self, told: Vec<Fault>, last: Option<Fault>) -> Option<Span> {
        let place = last.as_ref().or(told.last()).map(|fault| fault.span().clone());
        let found: Vec<Fault> = told.into_iter().chain(last).filter(|fault| !self.is_known(fault)).collect();
        self.found.extend(found);
        place.filter(|_| self.found.len() < MOST)
    }

    /// Whether `fault` was told before, or is only that something is missing that was left out.
    fn is_known(&self, fault: &Fault) -> bool {
        let left_out =
            |(record, name): &(Span, String)| record == fault.span() && fault.missing() == Some(name);
        self.left_out.iter().any(left_out) || self.found.iter().any(|known| known.is_same(fault))
    }

    /// All that was found, also in `told`.
    pub(super) fn and(mut self, told: Vec<Fault>) -> Vec<Fault> {
        self.add(told, None);
        self.found
    }

    /// Leaves the innermost field, entry or item at `place` out of `root`; `false` if there is none.
    pub(super) fn leave_out(&mut self, root: &mut Node, place: &Span) -> bool {
        innermost(root, place).is_some_and(|span| self.remove(root, &span))
    }

    fn remove(&mut self, node: &mut Node, span: &Span) -> bool {
        let head = node.head();
        match &mut node.value {
            Value::Some(inner) => self.remove(inner, span),
            Value::Record { fields, .. } => match fields.iter().position(|(_, value)| value.span == *span) {
                Some(index) => {
                    let (name, _) = fields.remove(index);
                    self.left_out.push((head, name.text));
                    true
                }
                None => fields.iter_mut().any(|(_, value)| self.remove(value, span)),
            },
            Value::Map(entries) => match entries.iter().position(|(_, value)| value.span == *span) {
                Some(index) => {
                    entries.remove(index);
                    true
                }
                None => entries.iter_mut().any(|(_, value)| self.remove(value, span)),
            },
            Value::List(items) => match items.iter().position(|item| item.span == *span) {
                Some(index) => {
                    items.remove(index);
                    true
                }
                None => items.iter_mut().any(|item| self.remove(item, span)),
            },
            Value::Tuple { items, .. } => items.iter_mut().any(|item| self.remove(item, span)),
            _ => false,
        }
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
