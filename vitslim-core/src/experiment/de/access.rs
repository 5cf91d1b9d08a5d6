//! The parts of records, maps, lists and variants, handed to serde one by one.

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeSeed, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess, Visitor,
};

use super::super::fault::Fault;
use super::super::tree::{Name, Node, Value};
use super::De;
use super::error::Error;

fn read<'de, S: DeserializeSeed<'de>>(seed: S, de: De<'_>) -> Result<S::Value, Error> {
    seed.deserialize(de).map_err(|error| error.at(&de.node.span, de.subject))
}

/// The items of a list or tuple. They are called what their list is called.
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

/// The fields of a record.
pub(super) struct Fields<'a, I> {
    de: De<'a>,
    rest: I,
    value: Option<&'a (Name, Node)>,
}

impl<'a, I: Iterator<Item = &'a (Name, Node)>> Fields<'a, I> {
    pub(super) fn new(de: De<'a>, fields: I) -> Self {
        Self { de, rest: fields, value: None }
    }
}

impl<'a, 'de, I: Iterator<Item = &'a (Name, Node)>> MapAccess<'de> for Fields<'a, I> {
    type Error = Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        self.value = self.rest.next();
        let Some((name, _)) = self.value else {
            return Ok(None);
        };
        let key: StrDeserializer<'_, Error> = name.text.as_str().into_deserializer();
        seed.deserialize(key).map(Some).map_err(|error| error.at(&name.span, ""))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        let Some((name, node)) = self.value.take() else {
            return Err(self.de.message("a value was asked for before its name"));
        };
        let de = De { subject: &name.text, ..self.de.with(node) };
        read(seed, de)
    }
}

/// The entries of a map.
pub(super) struct Entries<'a> {
    de: De<'a>,
    rest: std::slice::Iter<'a, (Node, Node)>,
    value: Option<&'a (Node, Node)>,
}

impl<'a> Entries<'a> {
    pub(super) fn new(de: De<'a>, entries: &'a [(Node, Node)]) -> Self {
        Self { de, rest: entries.iter(), value: None }
    }
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        self.value = self.rest.next();
        self.value
            .map(|(key, _)| {
                let de = De { subject: "", ..self.de.with(key) };
                read(seed, de)
            })
            .transpose()
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        let Some((key, node)) = self.value.take() else {
            return Err(self.de.message("a value was asked for before its key"));
        };
        let subject = match &key.value {
            Value::String(text) => text,
            _ => self.de.subject,
        };
        let de = De { subject, ..self.de.with(node) };
        read(seed, de)
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
                Err(Error::placed(Fault::new(field.span.clone(), message)))
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
        self.de.record(self.name, fields, visitor)
    }
}
