//! The experiment language: a RON file that says what is searched, and how.
//!
//! Text becomes a [tree](Node) whose every node knows its place; the files that it starts from and `--set` arguments change the
//! tree; sweeps make [`Trials`] of it; the tree of a trial becomes a typed [`Experiment`]. Whatever is wrong is a [`Fault`] with the
//! file or argument, line and column, and the right name or spelling; what is right is checked all the same, so that all
//! mistakes are told in one go.

mod base;
mod brackets;
mod config;
mod de;
mod document;
mod entry;
mod fault;
mod keys;
mod lex;
mod literal;
mod nearest;
mod number;
mod overrides;
mod parse;
mod schema;
mod source;
mod sweep;
mod tree;
mod trials;

#[cfg(test)]
mod tests;

pub use self::config::merge_config;
pub use self::de::typed;
pub(crate) use self::de::{Reading, read};
pub use self::document::{Document, LoadError};
pub use self::fault::{Fault, Faults};
pub(crate) use self::keys::is_glob;
pub use self::keys::{KeyError, resolve};
pub use self::nearest::{did_you_mean, nearest};
pub use self::overrides::set;
pub use self::schema::{
    Budget, Count, CutRule, Data, Experiment, Finite, Fraction, Freeze, Keyed, LayerDecay, Masks, Model,
    NonNegative, Optimizer, Portion, Positive, ProperFraction, Rate, Raw, RunName, Schedule, Search,
    SearchedDimension, Training,
};
pub(crate) use self::schema::{STAGES, batch_of};
pub use self::source::{Source, Span};
pub(crate) use self::sweep::shortened;
pub use self::tree::{Name, Node, Value, overlay};
pub use self::trials::Trials;
