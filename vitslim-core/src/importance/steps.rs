//! How a batch is computed.

use crate::experiment::Experiment;
use crate::nn::Precision;

/// How a batch is computed.
#[derive(Clone, Copy, Debug)]
pub struct Steps {
    /// In how many parts, one after the other.
    pub parts: usize,
    /// Whether the backward pass computes the activations of blocks again.
    pub checkpointed: bool,
    /// Precision of forward passes.
    pub precision: Precision,
}

impl Steps {
    /// As the search of `experiment` computes its batches.
    pub fn of(experiment: &Experiment) -> Self {
        let Experiment { search, precision, .. } = experiment;
        Self { parts: search.accumulate.get(), checkpointed: search.checkpointing, precision: *precision }
    }
}
