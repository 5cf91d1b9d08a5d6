//! How parameters are trained, as `vitslim check` reports it.

use serde::Serialize;

use super::scaled_rate::ScaledRate;
use super::table::short;
use crate::terminal::{counted, three_digits};

/// How parameters are trained.
#[derive(Clone, Debug, Default, Serialize)]
pub struct CheckedParameters {
    /// Those that weight decay applies to; none if no stage has any.
    pub decaying: CheckedTensors,
    /// Those that weight decay spares.
    pub spared: CheckedTensors,
    /// Those that the search leaves as they are, with `freeze: Weights`; none without.
    pub frozen: CheckedTensors,
    /// Those that such a search trains.
    pub trained: CheckedTensors,
    /// The learning rates of the stages with `lr_of_batch`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scaled_rates: Vec<ScaledRate>,
    /// The layers of each stage with `layer_decay`, in the order in which the forward pass uses them.
    pub layers: Vec<CheckedLayer>,
}

/// Parameters that are trained alike.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CheckedTensors {
    /// How many there are.
    pub tensors: usize,
    /// Number of their values.
    pub values: usize,
    /// Their patterns: paths with `*` for every number.
    pub names: Vec<String>,
}

impl CheckedTensors {
    /// What is done to them, which begins with `verb`: nothing if there are none.
    fn told(&self, verb: &str) -> Option<String> {
        let Self { tensors, values, names } = self;
        let tensors = counted(*tensors, "tensor", "tensors");
        let told = format!("{verb} {tensors} of {} values: {}", short(*values as u64), names.join(", "));
        (!names.is_empty()).then_some(told)
    }
}

/// Parameters with one learning rate.
#[derive(Clone, Debug, Serialize)]
pub struct CheckedLayer {
    /// `pretrain`, `search` or `retrain`.
    pub stage: String,
    /// The highest learning rate of the stage.
    pub learning_rate: f64,
    /// Their paths; those of a block by the path of the block.
    pub parameters: Vec<String>,
}

impl CheckedParameters {
    /// A line for each thing that is not as usual.
    pub(super) fn told(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let both = |one: &CheckedTensors, other: &CheckedTensors, verbs: [&str; 2]| {
            let parts = [one.told(verbs[0]), other.told(verbs[1])];
            parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
        };
        if self.decaying.tensors > 0 {
            lines.push(both(&self.decaying, &self.spared, ["weight decay acts on", "it spares"]));
        }
        if self.frozen.tensors > 0 {
            lines.push(both(&self.frozen, &self.trained, ["the search freezes", "it trains"]));
        }
        lines.extend(self.scaled_rates.iter().map(ToString::to_string));
        for CheckedLayer { stage, learning_rate, parameters } in &self.layers {
            lines.push(format!(
                "{stage}: learning rate {:e} for {}",
                three_digits(*learning_rate),
                parameters.join(", ")
            ));
        }
        lines
    }
}
