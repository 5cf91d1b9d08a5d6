//! The reference of the experiment language, made from the doc comments, defaults and ranges of its types.

mod language;
mod read;
mod starter;
mod write;

pub use self::read::{Field, Reference, Section, Variant, config_schema, json_schema};
pub use self::starter::starter;
