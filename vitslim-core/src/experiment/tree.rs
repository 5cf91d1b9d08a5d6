//! The spanned tree of an experiment: what is written, and where.

use std::fmt;

use unicode_ident::is_xid_start;

use super::number;
use super::source::Span;
use crate::data::Augment;

/// A name as written, for a field, a struct or a variant.
#[derive(Clone, Debug)]
pub struct Name {
    /// The name, without the `r#` of a raw identifier.
    pub text: String,
    /// Its place.
    pub span: Span,
}

/// A value and its place. Two nodes are equal if their values are, wherever they stand.
#[derive(Clone, Debug)]
pub struct Node {
    /// What is written.
    pub value: Value,
    /// Its place.
    pub span: Span,
}

/// A value of the language.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `()`
    Unit,
    /// `true` or `false`
    Bool(bool),
    /// A number as written.
    Number(String),
    /// `'c'`
    Char(char),
    /// `"text"` or `r"text"`
    String(String),
    /// `[a, b]`
    List(Vec<Node>),
    /// `{ "key": value }`, in the order written
    Map(Vec<(Node, Node)>),
    /// `None`
    None,
    /// `Some(value)`
    Some(Box<Node>),
    /// `(field: value)` or `Name(field: value)`, in the order written
    Record {
        /// The name before the parenthesis.
        name: Option<Name>,
        /// The fields.
        fields: Vec<(Name, Node)>,
    },
    /// `(a, b)`, `Name(a, b)` or `Name()`
    Tuple {
        /// The name before the parenthesis.
        name: Option<Name>,
        /// The items.
        items: Vec<Node>,
    },
    /// A bare identifier: a unit variant or a unit struct.
    Name(String),
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl Node {
    /// A node with this value and place.
    pub fn new(value: Value, span: Span) -> Self {
        Self { value, span }
    }

    /// The node at `path`: fields of records, string keys of maps, indices of lists. `Some(...)` is looked through.
    pub fn at(&self, path: &[&str]) -> Option<&Node> {
        path.iter().try_fold(self, |node, step| node.child(step)).map(Node::present)
    }

    /// The value itself, where it is written as `Some(value)`.
    pub fn present(&self) -> &Node {
        match &self.value {
            Value::Some(inner) => inner.present(),
            _ => self,
        }
    }

    /// [`Node::present`], by value.
    fn into_present(self) -> Node {
        match self.value {
            Value::Some(inner) => inner.into_present(),
            value => Node { value, span: self.span },
        }
    }

    /// The child called `step`.
    pub fn child(&self, step: &str) -> Option<&Node> {
        match &self.value {
            Value::Some(inner) => inner.child(step),
            Value::Record { fields, .. } => {
                fields.iter().find(|(name, _)| name.text == step).map(|(_, node)| node)
            }
            Value::Map(entries) => entries.iter().find(|(key, _)| key.is_string(step)).map(|(_, node)| node),
            Value::List(items) | Value::Tuple { items, .. } => items.get(step.parse::<usize>().ok()?),
            _ => None,
        }
    }

    /// The place of the key or field name that leads to the child called `step`; of a list, the item's place.
    pub fn key_span(&self, step: &str) -> Option<&Span> {
        match &self.value {
            Value::Some(inner) => inner.key_span(step),
            Value::Record { fields, .. } => {
                fields.iter().find(|(name, _)| name.text == step).map(|(name, _)| &name.span)
            }
            Value::Map(entries) => {
                entries.iter().find(|(key, _)| key.is_string(step)).map(|(key, _)| &key.span)
            }
            _ => self.child(step).map(|node| &node.span),
        }
    }

    fn is_string(&self, text: &str) -> bool {
        matches!(&self.value, Value::String(string) if string == text)
    }

    /// The name of a struct or variant.
    pub fn name(&self) -> Option<&str> {
        match &self.value {
            Value::Record { name, .. } | Value::Tuple { name, .. } => {
                name.as_ref().map(|name| name.text.as_str())
            }
            Value::Name(name) => Some(name),
            _ => None,
        }
    }

    /// The place to underline for the whole value: its name, or its opening bracket.
    pub fn head(&self) -> Span {
        match &self.value {
            Value::Record { name: Some(name), .. } | Value::Tuple { name: Some(name), .. } => {
                name.span.clone()
            }
            Value::Record { .. } | Value::Tuple { .. } | Value::Map(_) | Value::List(_) => {
                let mut span = self.span.clone();
                span.end = span.end.min(span.start + 1);
                span
            }
            _ => self.span.clone(),
        }
    }

    /// What it is, for a message: ``the number `3` ``.
    pub fn describe(&self) -> String {
        match &self.value {
            Value::Unit => "`()`".to_owned(),
            Value::Bool(value) => format!("`{value}`"),
            Value::Number(text) => format!("the number `{text}`"),
            Value::Char(c) => format!("the character {c:?}"),
            Value::String(text) => format!("the string {text:?}"),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a map".to_owned(),
            Value::None => "`None`".to_owned(),
            Value::Some(_) => "`Some(...)`".to_owned(),
            Value::Record { name: Some(name), .. } | Value::Tuple { name: Some(name), .. } => {
                format!("`{}(...)`", name.text)
            }
            Value::Record { .. } => "a record `(name: value)`".to_owned(),
            Value::Tuple { .. } => "a tuple".to_owned(),
            Value::Name(name) => format!("`{name}`"),
        }
    }

    /// The values in it, keys of maps left out.
    pub(super) fn children(&self) -> Vec<&Node> {
        match &self.value {
            Value::Some(inner) => vec![inner],
            Value::List(items) | Value::Tuple { items, .. } => items.iter().collect(),
            Value::Record { fields, .. } => fields.iter().map(|(_, node)| node).collect(),
            Value::Map(entries) => entries.iter().map(|(_, node)| node).collect(),
            _ => Vec::new(),
        }
    }

    /// How deep brackets are nested in its text.
    pub(super) fn depth(&self) -> usize {
        let keys: &[_] = if let Value::Map(entries) = &self.value { entries } else { &[] };
        let inside = self.children().into_iter().chain(keys.iter().map(|(key, _)| key));
        match &self.value {
            Value::Bool(_) | Value::Number(_) | Value::Char(_) | Value::String(_) => 0,
            Value::None | Value::Name(_) => 0,
            _ => 1 + inside.map(Node::depth).max().unwrap_or(0),
        }
    }

    /// Replaces each node for which `with` has another. The new nodes are not visited.
    pub(super) fn replace(&mut self, with: &mut dyn FnMut(&Node) -> Option<Node>) {
        if let Some(node) = with(self) {
            *self = node;
            return;
        }
        match &mut self.value {
            Value::Some(inner) => inner.replace(with),
            Value::List(items) | Value::Tuple { items, .. } => {
                items.iter_mut().for_each(|node| node.replace(with))
            }
            Value::Record { fields, .. } => fields.iter_mut().for_each(|(_, node)| node.replace(with)),
            Value::Map(entries) => entries.iter_mut().for_each(|(_, node)| node.replace(with)),
            _ => {}
        }
    }
}

/// `over` laid over `base`: records and maps merge by key. Everything else is replaced, also by `None`, and so is a
/// record by one of another name. A name that `base` leaves out is that of `over`, but for a recipe of augmentation.
pub fn overlay(base: Node, over: Node) -> Node {
    let (base, over) = (base.into_present(), over.into_present());
    let value = match (base.value, over.value) {
        (base @ Value::Record { name: None, .. }, Value::Unit) => base,
        // A variant without fields gets some.
        (Value::Name(text), Value::Record { name: None, fields }) => {
            Value::Record { name: Some(Name { text, span: base.span }), fields }
        }
        (Value::Record { name: below, fields: base }, Value::Record { name, fields })
            if name.is_none() || below == name || (below.is_none() && !is_recipe(&name)) =>
        {
            Value::Record { name: name.or(below), fields: merge(base, fields) }
        }
        (Value::Map(base), Value::Map(entries)) => Value::Map(merge(base, entries)),
        (_, over) => over,
    };
    Node::new(value, over.span)
}

/// Whether it names a recipe, which begins with other settings than a record without a name.
fn is_recipe(name: &Option<Name>) -> bool {
    name.as_ref().is_some_and(|name| Augment::RECIPES.contains(&name.text.as_str()))
}

fn merge<K: PartialEq>(mut base: Vec<(K, Node)>, over: Vec<(K, Node)>) -> Vec<(K, Node)> {
    for (key, node) in over {
        match base.iter().position(|(present, _)| *present == key) {
            Some(index) => {
                let (_, below) = base.remove(index);
                base.insert(index, (key, overlay(below, node)));
            }
            None => base.push((key, node)),
        }
    }
    base
}

/// The node as text on one line, which parses to an equal node, except for the spelling of numbers.
impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Value::Unit => f.write_str("()"),
            Value::Bool(value) => write!(f, "{value}"),
            Value::Number(text) => f.write_str(&number::canonical(text)),
            Value::Char(c) => write!(f, "{c:?}"),
            Value::String(text) => write!(f, "{text:?}"),
            Value::None => f.write_str("None"),
            Value::Some(inner) => write!(f, "Some({inner})"),
            Value::Name(name) => f.write_str(&identifier(name)),
            Value::List(items) => {
                f.write_str("[")?;
                separated(f, items, |f, item| write!(f, "{item}"))?;
                f.write_str("]")
            }
            Value::Map(entries) => {
                f.write_str("{")?;
                separated(f, entries, |f, (key, node)| write!(f, "{key}: {node}"))?;
                f.write_str("}")
            }
            Value::Tuple { name, items } => {
                write!(f, "{}(", name.as_ref().map_or_else(String::new, |name| identifier(&name.text)))?;
                separated(f, items, |f, item| write!(f, "{item}"))?;
                f.write_str(")")
            }
            Value::Record { name, fields } => {
                write!(f, "{}(", name.as_ref().map_or_else(String::new, |name| identifier(&name.text)))?;
                separated(f, fields, |f, (name, node)| write!(f, "{}: {node}", identifier(&name.text)))?;
                f.write_str(")")
            }
        }
    }
}

fn separated<T>(
    f: &mut fmt::Formatter<'_>,
    items: &[T],
    mut write: impl FnMut(&mut fmt::Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            f.write_str(", ")?;
        }
        write(f, item)?;
    }
    Ok(())
}

/// The name as text: raw, `r#...`, where it would otherwise not parse as a name.
fn identifier(name: &str) -> String {
    let word = name.starts_with(|c| is_xid_start(c) || c == '_') && !name.contains(['.', '+', '-']);
    let value = number::begins(name) || matches!(name, "true" | "false" | "None" | "Some");
    if word && !value { name.to_owned() } else { format!("r#{name}") }
}
