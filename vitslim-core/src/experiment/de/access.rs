//! The parts of records, maps, lists and variants, handed to serde one by one.

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeSeed, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess, Visitor,
};

use super::node::{De, Error};
use crate::experiment::error::ExperimentError;
use crate::experiment::nearest::{list, nearest};
use crate::experiment::tree::{Name, Node, Value};

fn read<'de, S: DeserializeSeed<'de>>(seed: S, de: De<'_>) -> Result<S::Value, Error> {
    seed.deserialize(de).map_err(|error| error.at(&de.node.span, de.subject))
}

/// The items of a list or tuple. Reports call them what they call the list.
pub(super) struct Items<'a> {
    de: De<'a>,
    rest: std::slice::Iter<'a, Node>,
}

impl<'a> Items<'a> {
    pub(super) fn new(de: De<'a>, items: &'a [Node]) -> Self {
        Self { de, rest: items.iter() }
    }
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        self.rest.next().map(|item| read(seed, self.de.with(item))).transpose()
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}

/// What stands before the colon of a field or an entry.
pub(super) trait Key {
    /// Reads it, with `de` for the record or map that it is in.
    fn read<'de, S: DeserializeSeed<'de>>(&self, seed: S, de: De<'_>) -> Result<S::Value, Error>;

    /// What reports call the value behind it.
    fn subject(&self) -> Option<&str>;
}

impl Key for Name {
    fn read<'de, S: DeserializeSeed<'de>>(&self, seed: S, _: De<'_>) -> Result<S::Value, Error> {
        let name: StrDeserializer<'_, Error> = self.text.as_str().into_deserializer();
        seed.deserialize(name).map_err(|error| error.at(&self.span, ""))
    }

    fn subject(&self) -> Option<&str> {
        Some(&self.text)
    }
}

impl Key for Node {
    fn read<'de, S: DeserializeSeed<'de>>(&self, seed: S, de: De<'_>) -> Result<S::Value, Error> {
        read(seed, De { node: self, subject: "", told: de.told })
    }

    fn subject(&self) -> Option<&str> {
        match &self.value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }
}

/// The fields of a record, or the entries of a map.
pub(super) struct Entries<'a, K, I> {
    de: De<'a>,
    rest: I,
    value: Option<&'a (K, Node)>,
}

impl<'a, K, I: Iterator<Item = &'a (K, Node)>> Entries<'a, K, I> {
    pub(super) fn new(de: De<'a>, entries: I) -> Self {
        Self { de, rest: entries, value: None }
    }
}

impl<'a, 'de, K: Key, I: Iterator<Item = &'a (K, Node)>> MapAccess<'de> for Entries<'a, K, I> {
    type Error = Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        self.value = self.rest.next();
        self.value.map(|(key, _)| key.read(seed, self.de)).transpose()
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        let Some((key, node)) = self.value.take() else {
            return Err(self.de.message("a value was asked for before its key"));
        };
        read(seed, De { subject: key.subject().unwrap_or(self.de.subject), ..self.de.with(node) })
    }
}

impl<'a> De<'a> {
    /// Reads the fields of a record that reports call `record`.
    pub(super) fn record<'de, V: Visitor<'de>>(
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
            self.told.borrow_mut().push(ExperimentError::new(name.span.clone(), message).with_help(help));
            meant.extend(near);
        }
        let access =
            Entries::new(self, fields.iter().filter(|(name, _)| known.contains(&name.text.as_str())));
        visitor
            .visit_map(access)
            .map_err(|error| error.in_record(&self.node.head(), record, |field| meant.contains(&field)))
    }
}

/// A variant of an enum and what it holds.
pub(super) struct Variant<'a> {
    de: De<'a>,
    name: &'a str,
}

impl<'a> Variant<'a> {
    pub(super) fn new(de: De<'a>, name: &'a str) -> Self {
        Self { de, name }
    }

    fn items(&self) -> &'a [Node] {
        match &self.de.node.value {
            Value::Tuple { items, .. } => items,
            _ => &[],
        }
    }

    fn wrong(&self, parentheses: &str, content: &str) -> Error {
        let name = self.name;
        self.de.message(format!("`{name}` is written `{name}{parentheses}`, {content}"))
    }
}

impl<'a, 'de> EnumAccess<'de> for Variant<'a> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Error> {
        let name: StrDeserializer<'_, Error> = self.name.into_deserializer();
        let value =
            seed.deserialize(name).map_err(|error| error.at(&self.de.node.head(), self.de.subject))?;
        Ok((value, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        match &self.de.node.value {
            Value::Name(_) | Value::None => Ok(()),
            Value::Tuple { items, .. } if items.is_empty() => Ok(()),
            Value::Record { fields, .. } if let [(field, _), ..] = fields.as_slice() => {
                let message = format!("unknown field `{}` in `{}`, which has none", field.text, self.name);
                Err(Error::placed(ExperimentError::new(field.span.clone(), message)))
            }
            _ => Err(self.wrong("", "without values")),
        }
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Error> {
        match self.items() {
            [inner] => read(seed, De { subject: self.name, ..self.de.with(inner) }),
            _ => Err(self.wrong("(...)", "with one value in it")),
        }
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Error> {
        if self.items().len() != len {
            return Err(self.wrong("(...)", &format!("with {len} values in it")));
        }
        visitor.visit_seq(Items::new(self.de, self.items()))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let called = if self.de.node.name().is_some() { self.name } else { self.de.subject };
        self.de.record(called, fields, visitor)
    }
}
