//! `--set path=value`: a value of the file written on the command line.

use std::sync::Arc;

use super::base::BASE;
use super::brackets::DEEPEST;
use super::error::{ExperimentError, ExperimentErrors};
use super::lex::is_in_raw_name;
use super::number;
use super::parse::parse;
use super::source::{Source, Span};
use super::sweep;
use super::tree::{Name, Node, Value};

const EXAMPLE: &str = "write a path, `=` and a value, for example `--set search.epochs=10`";

/// An argument `path=value`.
pub(super) struct Override {
    source: Arc<Source>,
    /// What stands before the `=`.
    path: String,
    steps: Vec<Name>,
    value: Node,
}

impl Override {
    /// Reads `argument`.
    ///
    /// # Errors
    ///
    /// When it has no path or value, or the value is not RON.
    pub(super) fn read(argument: &str) -> Result<Self, ExperimentErrors> {
        let source = Source::argument(argument);
        let whole = || Span::new(&source, 0, argument.len());
        let Some((path, value)) = argument.split_once('=') else {
            let error =
                ExperimentError::new(whole(), format!("`{argument}` sets nothing: there is no `=` in it"));
            return Err(error.with_help(EXAMPLE).into());
        };
        if path.trim().is_empty() {
            let error = ExperimentError::new(whole(), "there is no path before the `=`");
            return Err(error.with_help(EXAMPLE).into());
        }
        let steps = steps(&source, path)?;
        let start = path.len() + 1;
        let value = match parse(&source, start) {
            Ok(Some(node)) => node,
            Ok(None) => {
                let span = Span::new(&source, path.len(), start);
                let error = ExperimentError::new(span, format!("there is no value after `{path}=`"));
                return Err(error.with_help(EXAMPLE).into());
            }
            Err(errors) if looks_like_text(value) && !is_wrong_number(&errors, start, value) => {
                let span = Span::new(&source, start, argument.len());
                let error = ExperimentError::new(
                    span.clone(),
                    format!("`{value}` is not a value: a string needs quotes"),
                );
                let told = errors.first().message();
                return Err(error.with_label(told).with_help(quoting(&span, value)).into());
            }
            Err(errors) => return Err(errors),
        };
        if let [step] = steps.as_slice()
            && step.text == BASE
        {
            let message = "`base` can only be written in a file";
            return Err(ExperimentError::new(step.span.clone(), message).into());
        }
        Ok(Self { path: path.to_owned(), source, steps, value })
    }

    /// Puts the value into `root`.
    ///
    /// # Errors
    ///
    /// When the path leads through what has no fields, deeper than a file may nest, or to a sweep of the file.
    pub(super) fn apply(self, root: &mut Node) -> Result<(), ExperimentErrors> {
        let Self { source, path, steps, value } = self;
        // A long path could nest deeper than brackets may; so could many arguments.
        let too_deep = || {
            let span = Span::new(&source, 0, path.len());
            ExperimentErrors::from(ExperimentError::new(
                span,
                format!("with this, brackets are nested more than {DEEPEST} deep"),
            ))
        };
        if steps.len() > DEEPEST {
            return Err(too_deep());
        }
        refuse_fixing(root, &steps, &path, &value)?;
        set(root, &steps, value)?;
        if root.depth() > DEEPEST { Err(too_deep()) } else { Ok(()) }
    }
}

/// Refuses to put one value in place of a sweep of the file, which was probably forgotten. The sweep of an earlier argument may be
/// replaced: the last argument wins.
fn refuse_fixing(root: &Node, steps: &[Name], path: &str, value: &Node) -> Result<(), ExperimentErrors> {
    let path_steps: Vec<&str> = steps.iter().map(|step| step.text.as_str()).collect();
    let Some(there) = root.at(&path_steps).filter(|_| !sweep::is_sweep(value)) else { return Ok(()) };
    let here = sweep::places(value);
    let fixed = sweep::places(there)
        .into_iter()
        .find(|(path, swept)| !swept.source.is_argument() && !here.iter().any(|(swept, _)| swept == path));
    let (Some((below, swept)), Some(last)) = (fixed, steps.last()) else { return Ok(()) };
    let what = [&[path.trim().to_owned()][..], &below].concat().join(".");
    let message = format!("`{what}` is swept at {swept}, and this would replace the sweep by one value");
    let value = if below.is_empty() { value.to_string() } else { "...".to_owned() };
    let argument = format!("{what}=Sweep([{value}])").replace('\'', "'\\''");
    let error = ExperimentError::new(last.span.clone(), message);
    Err(error.with_help(format!("to override a swept value, pass a sweep: `--set '{argument}'`")).into())
}

/// Whether a value that does not parse was probably meant as a string: it begins with a word, or as no value does.
fn looks_like_text(value: &str) -> bool {
    let value = value.trim_start();
    let after_word = value.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_');
    let variant = after_word.len() < value.len() && after_word.starts_with('(');
    let begins = |opening: &[&str]| opening.iter().any(|opening| value.starts_with(opening));
    !variant && !begins(&["(", "[", "{", "\"", "'", "r\"", "r#"])
}

fn is_wrong_number(errors: &ExperimentErrors, start: usize, value: &str) -> bool {
    let first = errors.first().span();
    number::begins(value) && first.start == start && first.end == first.source.text().trim_end().len()
}

/// How to write `text`, which stands at `span` without quotes, as a string.
pub(super) fn quoting(span: &Span, text: &str) -> String {
    let quoted = format!("{text:?}");
    match span.source.text().split_once('=') {
        Some((path, _)) if span.source.is_argument() => {
            let argument = format!("{path}={quoted}").replace('\'', "'\\''");
            format!("write `--set '{argument}'`")
        }
        _ => format!("a string is written in quotes: `{quoted}`"),
    }
}

/// The steps of a path: words, `"quoted keys"` and `["keys"]` or `[0]` in brackets, with dots between.
fn steps(source: &Arc<Source>, path: &str) -> Result<Vec<Name>, ExperimentErrors> {
    let mut steps = Vec::new();
    let mut at = path.len() - path.trim_start().len();
    let end = path.trim_end().len();
    let mut first = true;
    while at < end {
        let rest = &path[at..end];
        let wrong = |message: &str| {
            let error = ExperimentError::new(Span::new(source, at, end), message);
            error.with_help("a path is written `search.dimensions.\"blocks.*.mlp.hidden\".weight`")
        };
        let bracketed = rest.starts_with('[');
        let rest = if bracketed {
            &rest[1..]
        } else if first {
            rest
        } else {
            rest.strip_prefix('.').ok_or_else(|| wrong("expected `.` between the steps of the path"))?
        };
        let start = end - rest.len();
        let (text, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').ok_or_else(|| wrong("this quote is never closed"))?,
            None => rest.split_at(rest.find(['.', '[', ']', '"']).unwrap_or(rest.len())),
        };
        if text.trim().is_empty() {
            return Err(wrong("a step of the path is empty").into());
        }
        let step_end = end - after.len();
        steps.push(Name { text: text.to_owned(), span: Span::new(source, start, step_end) });
        at = match after.strip_prefix(']') {
            Some(after) if bracketed => end - after.len(),
            _ if bracketed => return Err(wrong("this `[` is never closed, expected `]`").into()),
            _ => step_end,
        };
        first = false;
    }
    Ok(steps)
}

/// Puts `value` at `path`. Records that are missing on the way are created.
///
/// # Errors
///
/// When the path leads through what has no fields, or past the end of a list.
pub(super) fn set(root: &mut Node, path: &[Name], value: Node) -> Result<(), ExperimentErrors> {
    let Some((step, rest)) = path.split_first() else {
        *root = value;
        return Ok(());
    };
    if let Some(name) = without_fields(root) {
        root.value = Value::Record { name, fields: Vec::new() };
    }
    match &mut root.value {
        Value::Some(inner) => set(inner, path, value),
        Value::Record { .. } if !can_name(&step.text) => {
            let message = format!("no field can be called `{}`", step.text);
            Err(ExperimentError::new(step.span.clone(), message)
                .with_help(
                    "a name has letters, digits, `_`, `.`, `-` and `+`, the first a letter, a digit or `_`",
                )
                .into())
        }
        Value::Record { fields, .. } => {
            let index = position(fields, |name| name.text == step.text).unwrap_or_else(|| {
                fields.push((step.clone(), empty(step)));
                fields.len() - 1
            });
            set(&mut fields[index].1, rest, value)
        }
        Value::Map(entries) => {
            let index =
                position(entries, |key| matches!(&key.value, Value::String(text) if *text == step.text))
                    .unwrap_or_else(|| {
                        let key = Node::new(Value::String(step.text.clone()), step.span.clone());
                        entries.push((key, empty(step)));
                        entries.len() - 1
                    });
            set(&mut entries[index].1, rest, value)
        }
        Value::List(items) => {
            let count = items.len();
            let item = step.text.parse::<usize>().ok().and_then(|index| items.get_mut(index));
            match item {
                Some(item) => set(item, rest, value),
                None => Err(ExperimentError::new(
                    step.span.clone(),
                    format!("`{}` is no item of this list: it has {count}, counted from 0", step.text),
                )
                .into()),
            }
        }
        _ => {
            let message =
                format!("there is no `{}` to be set: what it would be in is {}", step.text, root.describe());
            Err(ExperimentError::new(step.span.clone(), message)
                .with_help(format!("that stands at {}; set it as a whole", root.span))
                .into())
        }
    }
}

fn position<K>(entries: &[(K, Node)], matches: impl Fn(&K) -> bool) -> Option<usize> {
    entries.iter().position(|(key, _)| matches(key))
}

/// Whether a field can be called `text`, as a raw identifier if need be.
fn can_name(text: &str) -> bool {
    !text.starts_with(['.', '-', '+']) && text.chars().all(is_in_raw_name)
}

fn empty(step: &Name) -> Node {
    Node::new(Value::Unit, step.span.clone())
}

/// The name of a value that has no fields and could have some: `()`, `Cosine`, `Cosine()`.
fn without_fields(node: &Node) -> Option<Option<Name>> {
    match &node.value {
        Value::Unit => Some(None),
        Value::Name(name) => Some(Some(Name { text: name.clone(), span: node.span.clone() })),
        Value::Tuple { name, items } if items.is_empty() => Some(name.clone()),
        _ => None,
    }
}
