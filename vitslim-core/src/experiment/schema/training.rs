//! What the three stages of a run have in common: how long, with what optimizer, under what schedule.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::number::{Count, Fraction, LayerDecay, NonNegative, Positive, Rate};

/// The settings of a stage: those that every stage has, and its own. `deny_unknown_fields` goes with no flattened struct, so
/// that the fields in common are put into each.
macro_rules! stage {
    ($(#[$doc:meta])* pub struct $name:ident { $($own:tt)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            /// Passes over the training data.
            #[schemars(extend("unit" = "epochs"))]
            pub epochs: Count,
            /// Images in a batch.
            #[serde(default = "super::training::batch")]
            #[schemars(extend("unit" = "images"))]
            pub batch: Count,
            /// Parts of a batch that are computed one after the other, to need less memory; at most `batch`. The
            /// gradients are those of the whole batch, but for what dropout and stochastic depth draw.
            #[serde(default = "super::training::one_part")]
            #[schemars(extend("unit" = "parts"))]
            pub accumulate: Count,
            /// The optimizer of the weights, and its learning rate.
            pub optimizer: Optimizer,
            /// How the learning rate goes over the epochs.
            #[serde(default)]
            pub schedule: Schedule,
            /// Learning rate of each layer over that of the next one: the last layer has that of the optimizer, the one before
            /// it this part of it, and so on down to the patch embedding. Left out, the same for all.
            #[serde(default)]
            pub layer_decay: Option<LayerDecay>,
            /// Largest norm of all gradients together; larger ones are scaled down to it. Left out, they are taken as they are.
            #[serde(default)]
            pub clip: Option<Positive>,
            /// Share of the target that is spread over all classes.
            #[serde(default = "super::training::no_smoothing")]
            pub label_smoothing: Fraction,
            /// Decay of a running average of the weights, which is evaluated beside them. At the end of the stage the better of
            /// the two by held-out top-1 goes on. Left out, there is no average.
            #[serde(default)]
            pub ema: Option<Fraction>,
            /// Epochs without a better held-out top-1 after which the stage ends. The weights of its best epoch go on. Left
            /// out, all epochs are trained, and the last goes on.
            #[serde(default)]
            #[schemars(extend("unit" = "epochs"))]
            pub early_stop: Option<Count>,
            $($own)*
        }
    };
}
pub(super) use stage;

stage! {
    /// A stage of training: before the search, or of a sub-network after it.
    pub struct Training {}
}

/// An optimizer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub enum Optimizer {
    /// Adam with decoupled weight decay.
    AdamW {
        /// Learning rate at its highest.
        lr: Rate,
        /// Decay of the weights, times the learning rate at each step. The default is that of DeiT.
        #[serde(default = "weight_decay")]
        weight_decay: NonNegative,
        /// Decay of the mean of the gradients.
        #[serde(default = "beta1")]
        beta1: Fraction,
        /// Decay of the mean of their squares.
        #[serde(default = "beta2")]
        beta2: Fraction,
        /// Added to the divisor, so that it is not 0.
        #[serde(default = "epsilon")]
        epsilon: Positive,
    },
}

impl Optimizer {
    /// The learning rate at its highest.
    pub fn lr(&self) -> Rate {
        match self {
            Self::AdamW { lr, .. } => *lr,
        }
    }
}

/// How the learning rate goes over the epochs of a stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub enum Schedule {
    /// It rises linearly, then falls as half a cosine.
    Cosine {
        /// Epochs of the rise, no more than the stage has.
        #[serde(default)]
        #[schemars(extend("unit" = "epochs"))]
        warmup_epochs: u32,
        /// Learning rate at the end; at most that of the optimizer.
        #[serde(default = "no_rate")]
        final_lr: NonNegative,
    },
    /// It rises linearly, then stays.
    Constant {
        /// Epochs of the rise, no more than the stage has.
        #[serde(default)]
        #[schemars(extend("unit" = "epochs"))]
        warmup_epochs: u32,
    },
}

impl Schedule {
    /// Epochs in which the learning rate rises.
    pub fn warmup_epochs(&self) -> usize {
        match self {
            Self::Cosine { warmup_epochs, .. } | Self::Constant { warmup_epochs } => *warmup_epochs as usize,
        }
    }
}

impl Default for Schedule {
    fn default() -> Self {
        Self::Cosine { warmup_epochs: 0, final_lr: no_rate() }
    }
}

pub(super) const fn batch() -> Count {
    Count::known(64)
}

pub(super) const fn one_part() -> Count {
    Count::known(1)
}

pub(super) const fn no_smoothing() -> Fraction {
    Fraction::known(0.0)
}

const fn weight_decay() -> NonNegative {
    NonNegative::known(0.05)
}

const fn beta1() -> Fraction {
    Fraction::known(0.9)
}

const fn beta2() -> Fraction {
    Fraction::known(0.999)
}

const fn epsilon() -> Positive {
    Positive::known(1e-8)
}

const fn no_rate() -> NonNegative {
    NonNegative::known(0.0)
}
