//! What the three stages of a run have in common: how long, with what optimizer, under what schedule.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::number::{Count, Fraction, NonNegative, Positive, Rate};

/// A stage of training: before the search, or of a sub-network after it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// Passes over the training data; at least 1. Required.
    pub epochs: Count,
    /// Images in a batch; at least 1. Default 64.
    #[serde(default = "batch")]
    pub batch: Count,
    /// The optimizer and its learning rate. Required.
    pub optimizer: Optimizer,
    /// How the learning rate goes over the epochs. Default `Cosine(warmup_epochs: 0, final_lr: 0.0)`.
    #[serde(default)]
    pub schedule: Schedule,
    /// Share of the target that is spread over all classes; at least 0, less than 1. Default 0.
    #[serde(default = "no_smoothing")]
    pub label_smoothing: Fraction,
}

/// An optimizer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub enum Optimizer {
    /// Adam with decoupled weight decay.
    AdamW {
        /// Learning rate at its highest; greater than 0, at most 1. Required.
        lr: Rate,
        /// Decay of the weights, times the learning rate at each step; at least 0. Default 0.05, as in DeiT.
        #[serde(default = "weight_decay")]
        weight_decay: NonNegative,
        /// Decay of the mean of the gradients; at least 0, less than 1. Default 0.9.
        #[serde(default = "beta1")]
        beta1: Fraction,
        /// Decay of the mean of their squares; at least 0, less than 1. Default 0.999.
        #[serde(default = "beta2")]
        beta2: Fraction,
        /// Added to the divisor, so that it is not 0; greater than 0. Default 1e-8.
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
        /// Epochs of the rise, no more than the stage has. Default 0.
        #[serde(default)]
        warmup_epochs: u32,
        /// Learning rate at the end; at least 0, at most that of the optimizer. Default 0.
        #[serde(default = "no_rate")]
        final_lr: NonNegative,
    },
    /// It rises linearly, then stays.
    Constant {
        /// Epochs of the rise, no more than the stage has. Default 0.
        #[serde(default)]
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
