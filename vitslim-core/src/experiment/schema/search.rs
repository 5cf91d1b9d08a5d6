//! The search: a stage that trains masks beside the weights.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::slim::{Activation, Granularity};

use super::keyed::Keyed;
use super::number::{Count, Finite, Fraction, LayerDecay, NonNegative, Positive, Rate};
use super::training::{Optimizer, Schedule, Training, stage};

stage! {
    /// The stage in which masks are trained, with all that a [`Training`] has.
    pub struct Search {
        /// What is not trained. Left out, everything is.
        #[serde(default)]
        pub freeze: Option<Freeze>,
        /// How the masks are trained.
        #[serde(default)]
        pub masks: Masks,
        /// What is searched, at least one: a dimension's last name (`hidden` is every `*.hidden`) or a glob over its path
        /// (`blocks.*.attn.head_dim`). One key is one ranking.
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
            optimizer: self.optimizer.clone(),
            schedule: self.schedule.clone(),
            layer_decay: self.layer_decay,
            clip: self.clip,
            label_smoothing: self.label_smoothing,
            ema: self.ema,
            early_stop: self.early_stop,
        }
    }
}

/// What a search leaves as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Freeze {
    /// All weights but those of norms (layers with `Norm` in their name): masks and norms are trained.
    Weights,
}

/// How the masks are trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Masks {
    /// Learning rate of the masks. Left out, that of the optimizer.
    #[serde(default)]
    pub lr: Option<Rate>,
    /// Weight decay of the masks.
    #[serde(default = "none")]
    pub weight_decay: NonNegative,
}

impl Default for Masks {
    fn default() -> Self {
        Self { lr: None, weight_decay: none() }
    }
}

/// How one key of the search is masked and made sparse.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SearchedDimension {
    /// Weight of the l1 penalty on its masks.
    pub weight: NonNegative,
    /// What one mask stands for.
    #[serde(default)]
    pub granularity: Granularity,
    /// What turns a mask into the factor that gates.
    #[serde(default)]
    pub activation: Activation,
    /// Value of each mask at the start.
    #[serde(default = "one")]
    pub init: Finite,
}

const fn none() -> NonNegative {
    NonNegative::known(0.0)
}

const fn one() -> Finite {
    Finite::known(1.0)
}
