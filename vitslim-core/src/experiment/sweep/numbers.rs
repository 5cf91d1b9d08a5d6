//! The numbers in a sweep, and those that it stands for.

use crate::experiment::error::ExperimentError;
use crate::experiment::number;
use crate::experiment::source::Span;
use crate::experiment::tree::{Node, Value};

/// More values than any sweep needs.
pub(super) const MOST_VALUES: usize = 10_000;

pub(super) fn too_many(node: &Node, values: impl std::fmt::Display) -> ExperimentError {
    ExperimentError::new(node.span.clone(), format!("a sweep has at most {MOST_VALUES} values, not {values}"))
}

/// The number of values that `node` asks for.
pub(super) fn number_of(node: &Node, least: usize) -> Result<usize, ExperimentError> {
    let count = match &node.value {
        Value::Number(text) => number::integer(text).and_then(|count| usize::try_from(count).ok()),
        _ => None,
    };
    match count {
        Some(count) if count > MOST_VALUES => Err(too_many(node, count)),
        Some(count) if count >= least => Ok(count),
        _ => {
            let found = node.describe();
            let message =
                format!("the number of values must be a whole number of at least {least}, not {found}");
            Err(ExperimentError::new(node.span.clone(), message))
        }
    }
}

/// An end of a range.
fn end(node: &Node) -> Result<f64, ExperimentError> {
    let Value::Number(text) = &node.value else {
        let found = node.describe();
        return Err(ExperimentError::new(
            node.span.clone(),
            format!("the end of a range is a number, not {found}"),
        ));
    };
    number::float(text)
        .map_err(|wrong| ExperimentError::new(node.span.clone(), format!("an end of a range {wrong}")))
}

pub(super) fn ends(from: &Node, to: &Node) -> Result<(f64, f64), ExperimentError> {
    let (first, last) = (end(from)?, end(to)?);
    if first == last {
        let message = "this range ends where it begins: all its values would be the same";
        return Err(ExperimentError::new(to.span.clone(), message));
    }
    Ok((first, last))
}

/// The [`ends`] of the `word`, which takes their logarithms.
pub(super) fn positive_ends(word: &str, from: &Node, to: &Node) -> Result<(f64, f64), ExperimentError> {
    let (first, last) = ends(from, to)?;
    for (node, value) in [(from, first), (to, last)] {
        if value <= 0.0 {
            let found = node.describe();
            let message = format!("the ends of `{word}` are greater than 0, not {found}");
            let help = format!("`{}` may start or end at 0", word.replace("Log", ""));
            return Err(ExperimentError::new(node.span.clone(), message).with_help(help));
        }
    }
    Ok((first, last))
}

/// The whole number that is written here, if it is one.
pub(super) fn whole(node: &Node) -> Option<i128> {
    let Value::Number(text) = &node.value else { return None };
    number::integer(text)
}

/// The number with six significant digits: `0.0001`, and not the 0.00009999999 that is computed.
pub(super) fn six_digits(value: f64) -> String {
    let rounded: f64 = format!("{value:.5e}").parse().unwrap_or(value);
    format!("{rounded:?}")
}

pub(super) fn number(text: String, span: &Span) -> Node {
    Node::new(Value::Number(text), span.clone())
}
