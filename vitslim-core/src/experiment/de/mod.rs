//! The tree to a typed value, through serde. Whatever is wrong is told at its place, with the right name or spelling.

mod access;
mod deserializer;
mod node;
mod read;

pub use self::read::typed;
pub(crate) use self::read::{Reading, read};
