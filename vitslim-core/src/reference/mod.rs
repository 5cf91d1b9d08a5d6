//! The reference of the experiment language, made from the doc comments, defaults and ranges of its types.

mod language;
mod read;
mod starter;
mod write;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::Value;

pub use self::read::Reference;
pub use self::starter::starter;

use crate::experiment::Experiment;

/// One struct, or one enum with its variants.
#[derive(Clone, Debug, PartialEq)]
pub struct Section {
    /// `Experiment`, `Optimizer`, or the configuration of an architecture.
    pub title: String,
    /// What it is.
    pub meaning: String,
    /// Fields of a struct.
    pub fields: Vec<Field>,
    /// Variants of an enum.
    pub variants: Vec<Variant>,
}

/// A field and what may be written there.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// What kind of value it takes: `whole number`, or the title of a section.
    pub kind: String,
    /// What it is counted in.
    pub unit: Option<String>,
    /// What it is if it is left out; `None` if it must be written.
    pub default: Option<String>,
    /// What the code has there, also where the data override it.
    pub(super) coded: Option<String>,
    /// What it may be.
    pub range: Option<String>,
    /// What it is for.
    pub meaning: String,
}

/// A variant of an enum.
#[derive(Clone, Debug, PartialEq)]
pub struct Variant {
    /// As it is written: `Digits`, `Idx(...)`.
    pub form: String,
    /// What it stands for.
    pub meaning: String,
    /// Fields that it has.
    pub fields: Vec<Field>,
}

/// The JSON Schema of an experiment, for editors.
pub fn json_schema() -> Schema {
    let mut schema = SchemaGenerator::default().into_root_schema_for::<Experiment>();
    let base = serde_json::json!({
        "description": language::BASE,
        "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }],
    });
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.insert("base".to_owned(), base);
    }
    schema
}

/// The JSON Schema of an architecture's configuration.
pub fn config_schema<C: JsonSchema>() -> Schema {
    SchemaGenerator::default().into_root_schema_for::<C>()
}
