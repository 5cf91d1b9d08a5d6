//! The search, and what is cut out of its result.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::keyed::Keyed;
use super::number::{Count, Finite, Fraction, LayerDecay, NonNegative, Positive, Rate};
use super::training::{Loss, Optimizer, Schedule, Training, stage};
use crate::data::Augment;
use crate::slim::{Activation, Granularity};

stage! {
    /// The stage that trains masks with the weights. It has all fields of a [`Training`].
    pub struct Search {
        /// What the search does not train. Left out, everything is trained.
        #[serde(default)]
        pub freeze: Option<Freeze>,
        /// How the masks are trained.
        #[serde(default)]
        pub masks: Masks,
        /// What is searched: at least one dimension. A key is the last name of a dimension (`hidden` is every `*.hidden`) or a glob
        /// over its path (`blocks.*.attn.head_dim`); the masks of one key are ranked together.
        pub dimensions: Keyed<SearchedDimension>,
    }
}

impl Search {
    /// What it has in common with the other stages.
    pub fn training(&self) -> Training {
        Training {
            epochs: self.epochs,
            batch: self.batch,
            accumulate: self.accumulate,
            checkpointing: self.checkpointing,
            augment: self.augment,
            optimizer: self.optimizer.clone(),
            lr_of_batch: self.lr_of_batch,
            schedule: self.schedule.clone(),
            layer_decay: self.layer_decay,
            clip: self.clip,
            loss: self.loss,
            label_smoothing: self.label_smoothing,
            teacher: self.teacher.clone(),
            ema: self.ema,
            early_stop: self.early_stop,
        }
    }
}

/// What a search leaves as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Freeze {
    /// Everything but masks and norms. In an architecture of your own, other layers whose parameters have one axis are trained too,
    /// unless it annotates them with `freeze`.
    Weights,
}

/// How the masks are trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Masks {
    /// Highest learning rate of the masks, on the schedule of the stage. Left out, that of the optimizer.
    #[serde(default)]
    pub lr: Option<Rate>,
    /// Weight decay of the masks, as the optimizer applies it.
    #[serde(default = "none")]
    pub weight_decay: NonNegative,
}

impl Default for Masks {
    fn default() -> Self {
        Self { lr: None, weight_decay: none() }
    }
}

/// How the dimensions of one key are searched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SearchedDimension {
    /// Weight of the l1 penalty on the masks.
    pub weight: NonNegative,
    /// What one mask covers: a unit, a whole head, or the same unit of all heads.
    #[serde(default)]
    pub granularity: Granularity,
    /// The function from a mask's value to the factor that it gates with.
    #[serde(default)]
    pub activation: Activation,
    /// Value of each mask before the search.
    #[serde(default = "one")]
    pub init: Finite,
}

const fn none() -> NonNegative {
    NonNegative::known(0.0)
}

const fn one() -> Finite {
    Finite::known(1.0)
}

/// What becomes of the trained value of a mask that is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum CutRule {
    /// It is folded into the weights.
    #[default]
    Fold,
    /// It counts as 1.
    Hard,
}
