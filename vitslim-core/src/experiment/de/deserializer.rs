//! The node as serde's `Deserializer`.

use serde::de::{Deserializer, Visitor};

use super::access::{Entries, Items, Variant};
use super::node::{De, Error};
use crate::experiment::error::ExperimentError;
use crate::experiment::nearest::{did_you_mean, list, nearest};
use crate::experiment::number;
use crate::experiment::tree::Value;

/// The name under which `ron::value::RawValue` asks for the text of a node instead of its value.
const RAW: &str = "$ron::private::RawValue";

macro_rules! integers {
    ($($method:ident $visit:ident $type:ty),*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            visitor.$visit(self.integer::<$type>(<$type>::MIN as i128, <$type>::MAX as i128)?)
        }
    )*};
}

impl<'de> Deserializer<'de> for De<'_> {
    type Error = Error;

    integers!(
        deserialize_u8 visit_u8 u8, deserialize_u16 visit_u16 u16, deserialize_u32 visit_u32 u32,
        deserialize_u64 visit_u64 u64, deserialize_i8 visit_i8 i8, deserialize_i16 visit_i16 i16,
        deserialize_i32 visit_i32 i32, deserialize_i64 visit_i64 i64, deserialize_i128 visit_i128 i128
    );

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_f64(number::float(self.number()?).map_err(|message| self.message(message))?)
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_f32(number::single(self.number()?).map_err(|message| self.message(message))?)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.node.value {
            Value::Bool(value) => visitor.visit_bool(value),
            _ => Err(self.mismatch("`true` or `false`")),
        }
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.node.value {
            Value::Char(c) => visitor.visit_char(c),
            _ => Err(self.mismatch("a character")),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_str(self.string()?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.node.value {
            Value::None => visitor.visit_none(),
            Value::Some(inner) => visitor.visit_some(self.with(inner)),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.node.value {
            Value::Unit => visitor.visit_unit(),
            _ => Err(self.mismatch("`()`")),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.check_name(name)?;
        match self.fields(&format!("`{name}`"))? {
            [] => visitor.visit_unit(),
            _ => Err(self.mismatch(&format!("`{name}` without fields"))),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        match &self.node.value {
            _ if name == RAW => visitor.visit_str(&self.node.to_string()),
            Value::Tuple { name: Some(written), items } if written.text == name && items.len() == 1 => {
                visitor.visit_newtype_struct(self.with(&items[0]))
            }
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.node.value {
            Value::List(items) => visitor.visit_seq(Items::new(self, items)),
            _ => Err(self.mismatch("a list `[...]`")),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Error> {
        match &self.node.value {
            Value::List(items) | Value::Tuple { items, .. } if items.len() == len => {
                visitor.visit_seq(Items::new(self, items))
            }
            Value::List(items) | Value::Tuple { items, .. } => {
                Err(self.message(format!("expected {len} values, found {}", items.len())))
            }
            _ => Err(self.mismatch(&format!("{len} values `(...)`"))),
        }
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.check_name(name)?;
        self.deserialize_tuple(len, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.node.value {
            Value::Map(entries) => visitor.visit_map(Entries::new(self, entries.iter())),
            Value::Record { .. } | Value::Unit => {
                let error = self
                    .error(self.node.head(), format!("expected a map, found {}", self.node.describe()))
                    .with_help("a map is written `{ \"key\": value }`, with braces and quoted keys");
                Err(Error::placed(error))
            }
            _ => Err(self.mismatch("a map `{ \"key\": value }`")),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.check_name(name)?;
        let called = if self.subject.is_empty() { name } else { self.subject };
        self.record(called, fields, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let called = if self.subject.is_empty() { name } else { self.subject };
        let one_of = list(variants.iter().copied());
        let variant = match &self.node.value {
            Value::None => "None",
            Value::String(text) => {
                let error = self.error(
                    self.node.head(),
                    format!("expected one of {one_of}, found {}", self.node.describe()),
                );
                let near = nearest(text, variants.iter().copied());
                return Err(Error::placed(match near {
                    Some(near) => error.with_help(format!("it is written without quotes: `{near}`")),
                    None => error,
                }));
            }
            _ => match self.node.name() {
                Some(variant) => variant,
                // A record without a name is the variant with the name of its type, where there is one.
                None if variants.contains(&name)
                    && matches!(self.node.value, Value::Record { .. } | Value::Unit) =>
                {
                    name
                }
                None => return Err(self.mismatch(&format!("one of {one_of}"))),
            },
        };
        if !variants.contains(&variant) {
            let guess = did_you_mean(variant, variants.iter().copied());
            let message = format!("unknown variant `{variant}` of `{called}`{guess}");
            let error =
                ExperimentError::new(self.node.head(), message).with_help(format!("variants: {one_of}"));
            return Err(Error::placed(error));
        }
        visitor.visit_enum(Variant::new(self, variant))
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(self.message("bytes cannot be written in an experiment"))
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.node.value {
            Value::Unit => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(text) => match number::integer(text) {
                Some(value) => match u64::try_from(value) {
                    Ok(value) => visitor.visit_u64(value),
                    Err(_) => self.deserialize_i64(visitor),
                },
                None => self.deserialize_f64(visitor),
            },
            Value::Char(c) => visitor.visit_char(*c),
            Value::String(text) | Value::Name(text) => visitor.visit_str(text),
            Value::List(items) | Value::Tuple { items, .. } => visitor.visit_seq(Items::new(self, items)),
            Value::Map(entries) => visitor.visit_map(Entries::new(self, entries.iter())),
            Value::None => visitor.visit_none(),
            Value::Some(inner) => visitor.visit_some(self.with(inner)),
            Value::Record { fields, .. } => visitor.visit_map(Entries::new(self, fields.iter())),
        }
    }
}
