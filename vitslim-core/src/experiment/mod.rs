//! The experiment language: a RON file that says what is searched, and how.
//!
//! Text becomes a [tree](Node) whose nodes know their places. The files that it starts from and the `--set` arguments change the tree,
//! which is a [`Document`] then; its sweeps make [`Trials`] of it, each with its typed [`Experiment`], which is read once and handed
//! on. Whatever is wrong is an [`ExperimentError`] at its place, with the right name or spelling, and all that is wrong with a file is told at
//! once. What is wrong with its data or its network shows later.

mod base;
mod brackets;
mod de;
mod document;
mod error;
mod keys;
mod left_out;
mod lex;
mod nearest;
mod number;
mod overrides;
mod parse;
mod rules;
mod schema;
mod source;
mod sweep;
mod text;
mod tree;
mod trials;

#[cfg(test)]
mod tests;

pub use self::de::typed;
pub(crate) use self::de::{Reading, read};
pub use self::document::{Document, LoadError};
pub use self::error::{ExperimentError, ExperimentErrors};
pub use self::keys::{KeyError, resolve, within};
pub(crate) use self::left_out::with_left_out;
pub use self::nearest::{did_you_mean, nearest};
pub use self::parse::parse;
pub use self::schema::{
    Amount, AtLeast, Budget, Count, CutRule, Data, Distillation, Experiment, Finite, Fraction, Freeze,
    Importance, Keep, Keyed, LayerDecay, Loss, Masks, Model, NonNegative, Normalise, Optimizer, Portion,
    Positive, ProperFraction, Rate, Raw, RoundTo, RunName, Schedule, Search, SearchedDimension, Teacher,
    Training,
};
pub use self::source::{Source, Span};
pub(crate) use self::sweep::shortened;
pub use self::text::TextError;
pub use self::tree::{Name, Node, Value, overlay};
pub use self::trials::{Trial, Trials};
