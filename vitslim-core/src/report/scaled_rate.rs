//! Learning rates that are scaled to the batch of their stage.

use std::fmt;

use serde::Serialize;

use crate::terminal::three_digits;

/// The learning rates of a stage with `lr_of_batch`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ScaledRate {
    /// `pretrain`, `search` or `retrain`.
    pub stage: String,
    /// Images of a step.
    pub batch: usize,
    /// The highest learning rate of the weights, at that batch.
    pub learning_rate: f64,
    /// That of the masks, if they have one of their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub masks: Option<f64>,
}

impl fmt::Display for ScaledRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stage, batch, learning_rate, masks } = self;
        write!(f, "{stage}: learning rate {:e}", three_digits(*learning_rate))?;
        if let Some(masks) = masks {
            write!(f, ", {:e} for the masks", three_digits(*masks))?;
        }
        write!(f, ", at a batch of {batch}")
    }
}
