//! The values that one sweep stands for.

use super::draw;
use super::numbers::{MOST_VALUES, ends, number, number_of, positive_ends, six_digits, too_many, whole};
use crate::experiment::error::ExperimentError;
use crate::experiment::source::Span;
use crate::experiment::tree::{Name, Node, Value};

/// The words that stand for several values.
pub(super) const WORDS: [&str; 7] =
    ["Sweep", "Range", "LogRange", "Seeds", "RandomOf", "RandomRange", "RandomLogRange"];

/// A sweep as written.
#[derive(Clone, Debug)]
pub(super) struct Written {
    /// The name by which it goes in step with others.
    pub(super) name: Option<Name>,
    /// What it stands for, at least one.
    pub(super) values: Vec<Node>,
    /// Whether they are drawn at random.
    pub(super) is_drawn: bool,
}

/// What `node` at `path`, which begins with one of the [`WORDS`], stands for.
pub(super) fn read(node: &Node, path: &[String]) -> Result<Written, ExperimentError> {
    let word = node.name().unwrap_or_default();
    let Value::Tuple { items, .. } = &node.value else {
        return Err(wrong(node, word));
    };
    let (name, items) = match items.as_slice() {
        [first, rest @ ..] if matches!(first.value, Value::String(_)) => (Some(step_name(first)?), rest),
        items => (None, items),
    };
    let values = match (word, items) {
        ("Sweep", [list]) => listed(node, list)?.to_vec(),
        ("Range", [from, to, steps]) => range(&node.span, from, to, steps)?,
        ("LogRange", [from, to, steps]) => log_range(&node.span, from, to, steps)?,
        ("Seeds", [count]) => {
            (0..number_of(count, 1)?).map(|seed| number(seed.to_string(), &node.span)).collect()
        }
        ("RandomOf", [list, count]) => draw::of(path, listed(node, list)?, count)?,
        ("RandomRange", [from, to, count]) => draw::range((node, path), from, to, count)?,
        ("RandomLogRange", [from, to, count]) => draw::log_range((node, path), from, to, count)?,
        _ => return Err(wrong(node, word)),
    };
    Ok(Written { name, values, is_drawn: ["RandomOf", "RandomRange", "RandomLogRange"].contains(&word) })
}

fn wrong(node: &Node, word: &str) -> ExperimentError {
    let (form, meaning) = match word {
        "Sweep" => ("Sweep([a, b])", "one trial per value"),
        "Range" => ("Range(from, to, steps)", "evenly spaced values"),
        "LogRange" => ("LogRange(from, to, steps)", "values at equal ratios"),
        "RandomOf" => ("RandomOf([a, b], n)", "n values, each one of these at random"),
        "RandomRange" => ("RandomRange(from, to, n)", "n random values"),
        "RandomLogRange" => {
            ("RandomLogRange(from, to, n)", "n random values, whose logarithms are all equally likely")
        }
        _ => ("Seeds(n)", "the seeds from 0 to n - 1"),
    };
    let error =
        ExperimentError::new(node.head(), format!("a sweep is written `{form}`, which stands for {meaning}"));
    let named = form.replacen('(', "(\"name\", ", 1);
    error.with_help(format!("`{named}` goes in step with the others of that name"))
}

fn step_name(node: &Node) -> Result<Name, ExperimentError> {
    let Value::String(text) = &node.value else {
        return Err(ExperimentError::new(node.span.clone(), "the name of a sweep is a string"));
    };
    match text.trim().is_empty() {
        true => Err(ExperimentError::new(node.span.clone(), "the name of a sweep is empty")),
        false => Ok(Name { text: text.clone(), span: node.span.clone() }),
    }
}

fn listed<'a>(node: &Node, list: &'a Node) -> Result<&'a [Node], ExperimentError> {
    match &list.value {
        Value::List(values) if values.is_empty() => {
            Err(ExperimentError::new(list.span.clone(), "this sweep is empty: it needs at least one value"))
        }
        Value::List(values) if values.len() > MOST_VALUES => Err(too_many(list, values.len())),
        Value::List(values) => Ok(values),
        _ => Err(wrong(node, node.name().unwrap_or_default())),
    }
}

fn range(span: &Span, from: &Node, to: &Node, steps: &Node) -> Result<Vec<Node>, ExperimentError> {
    let (first, last) = ends(from, to)?;
    let steps = number_of(steps, 2)?;
    Ok(spread(span, [from, to], steps, |step| first + (last - first) * step))
}

fn log_range(span: &Span, from: &Node, to: &Node, steps: &Node) -> Result<Vec<Node>, ExperimentError> {
    let (first, last) = positive_ends("LogRange", from, to)?;
    let steps = number_of(steps, 2)?;
    let (low, high) = (first.ln(), last.ln());
    Ok(spread(span, [from, to], steps, |step| (low + (high - low) * step).exp()))
}

/// `steps` values: the two ends as they are written, and what is `between` them, from 0 for the first to 1 for the last. They are
/// whole numbers where all of them can be.
fn spread(span: &Span, ends: [&Node; 2], steps: usize, between: impl Fn(f64) -> f64) -> Vec<Node> {
    let values: Vec<Node> = (0..steps)
        .map(|step| match step {
            0 => Node::new(ends[0].value.clone(), span.clone()),
            step if step + 1 == steps => Node::new(ends[1].value.clone(), span.clone()),
            step => number(six_digits(between(step as f64 / (steps - 1) as f64)), span),
        })
        .collect();
    let are_whole = ends.into_iter().all(|end| whole(end).is_some());
    let wholes = are_whole.then(|| values.iter().map(as_whole).collect::<Option<_>>());
    wholes.flatten().unwrap_or(values)
}

fn as_whole(node: &Node) -> Option<Node> {
    let Value::Number(text) = &node.value else { return None };
    let value: f64 = text.parse().ok()?;
    (value.fract() == 0.0 && value.abs() < 1e15).then(|| number(format!("{value:.0}"), &node.span))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::parse::parse;
    use crate::experiment::source::Source;

    fn values(text: &str) -> Result<String, String> {
        let node = parse(&Source::new("s", text), 0).unwrap().unwrap();
        let values = read(&node, &["a".to_owned()]).map_err(|error| error.to_string())?.values;
        Ok(values.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn ranges_have_their_ends_as_written_and_even_steps() {
        assert_eq!(values("Range(10, 50, 5)").unwrap(), "10 20 30 40 50");
        assert_eq!(values("Range(0, 1, 3)").unwrap(), "0 0.5 1");
        assert_eq!(values("Range(0.5, 0.1, 3)").unwrap(), "0.5 0.3 0.1");
        assert_eq!(values("LogRange(1e-5, 1e-3, 3)").unwrap(), "1e-5 0.0001 0.001");
        assert_eq!(
            values("LogRange(\"w\", 1e-5, 1e-3, 5)").unwrap(),
            "1e-5 3.16228e-5 0.0001 0.000316228 0.001"
        );
        assert_eq!(values("LogRange(1, 1000, 4)").unwrap(), "1 10 100 1000");
        assert_eq!(values("LogRange(16, 256, 5)").unwrap(), "16 32 64 128 256");
        assert_eq!(values("Seeds(3)").unwrap(), "0 1 2");
    }

    #[test]
    fn random_values_are_between_their_ends_and_more_of_them_begin_with_the_same() {
        let drawn = |text: &str| -> Vec<f64> {
            values(text).unwrap().split(' ').map(|value| value.parse().unwrap()).collect()
        };
        let weights = drawn("RandomLogRange(1e-5, 1e-1, 2000)");
        assert!(weights.iter().all(|weight| (1e-5..=1e-1).contains(weight)));
        let below = |most: f64| weights.iter().filter(|weight| **weight < most).count();
        for (most, expected) in [(1e-4, 500), (1e-3, 1000), (1e-2, 1500)] {
            assert!(below(most).abs_diff(expected) < 80, "{} below {most}", below(most));
        }
        assert_eq!(drawn("RandomLogRange(1e-5, 1e-1, 20)"), weights[..20]);
        assert_eq!(drawn("RandomLogRange(\"a\", 1e-5, 1e-1, 20)"), weights[..20]);

        let mut counts = [0; 4];
        for depth in drawn("RandomRange(-1, 2, 2000)") {
            counts[(depth + 1.0) as usize] += 1;
        }
        assert!(counts.iter().all(|&count| 500_usize.abs_diff(count) < 80), "{counts:?}");
        assert!(!values("RandomRange(-1, 2, 2000)").unwrap().contains("-0"));
        let rates = drawn("RandomRange(0.3, 0.1, 2000)");
        assert!(rates.iter().all(|rate| (0.1..=0.3).contains(rate)));
        assert!((rates.iter().sum::<f64>() / 2000.0 - 0.2).abs() < 0.005);

        let chosen = values("RandomOf([None, 2, \"x\"], 3000)").unwrap();
        for value in ["None", "2", "\"x\""] {
            let count = chosen.split(' ').filter(|chosen| *chosen == value).count();
            assert!(count.abs_diff(1000) < 120, "{value}: {count}");
        }
    }

    #[test]
    fn what_stands_for_nothing_is_refused_at_its_place() {
        for (text, told) in [
            ("Sweep([])", "s:1:7: this sweep is empty"),
            ("Sweep(1)", "s:1:1: a sweep is written `Sweep([a, b])`"),
            ("Sweep", "s:1:1: a sweep is written"),
            ("Sweep(\"\", [1])", "s:1:7: the name of a sweep is empty"),
            ("Range(1, 2)", "s:1:1: a sweep is written `Range(from, to, steps)`"),
            ("Range(1, 2, 1)", "s:1:13: the number of values must be a whole number of at least 2"),
            ("Range(1, 1, 3)", "s:1:10: this range ends where it begins"),
            ("Range(a, 2, 3)", "s:1:7: the end of a range is a number, not `a`"),
            ("LogRange(0, 1, 3)", "s:1:10: the ends of `LogRange` are greater than 0"),
            ("Range(1, inf, 3)", "s:1:10: an end of a range must be a finite number"),
            ("RandomLogRange(1, 0, 3)", "s:1:19: the ends of `RandomLogRange` are greater than 0"),
            ("RandomRange(1, 1, 3)", "s:1:16: this range ends where it begins"),
            ("RandomRange(1, 2, 0)", "s:1:19: the number of values must be a whole number of at least 1"),
            ("RandomOf([], 3)", "s:1:10: this sweep is empty"),
            ("RandomOf([1, 2])", "s:1:1: a sweep is written `RandomOf([a, b], n)`"),
            ("Seeds(0)", "s:1:7: the number of values must be a whole number of at least 1"),
            ("Seeds(1000000000)", "s:1:7: a sweep has at most 10000 values"),
        ] {
            let error = values(text).unwrap_err();
            assert!(error.starts_with(told), "{text}: {error}");
        }
    }
}
