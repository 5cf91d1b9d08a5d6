//! The typed experiment: what may be written in a file, with units, ranges and defaults.

mod budget;
mod data;
mod experiment;
mod importance;
mod keyed;
mod model;
mod number;
mod search;
mod teacher;
mod training;

pub use self::budget::{Amount, AtLeast, Budget, RoundTo};
pub use self::data::{Data, Normalise};
pub use self::experiment::{Experiment, Keep, RunName};
pub use self::importance::Importance;
pub use self::keyed::Keyed;
pub use self::model::{Model, Raw};
pub use self::number::{
    Count, Finite, Fraction, LayerDecay, NonNegative, Portion, Positive, ProperFraction, Rate,
};
pub use self::search::{CutRule, Freeze, Masks, Search, SearchedDimension};
pub use self::teacher::{Distillation, Teacher};
pub use self::training::{Loss, Optimizer, Schedule, Training};
pub(super) use self::training::{default_batch, scaled};
