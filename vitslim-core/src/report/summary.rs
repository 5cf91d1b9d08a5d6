//! `summary.json`, which tools read.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A run in numbers. Accuracies are fractions of the test part, MACs are for one image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Name of the experiment.
    pub name: String,
    /// Name of the trial.
    pub trial: String,
    /// Where it was computed.
    pub device: String,
    /// How long the stages took.
    pub seconds: Seconds,
    /// The dense network.
    pub dense: DenseSummary,
    /// The search.
    pub search: SearchSummary,
    /// The sub-networks, in the order of the budgets.
    pub subnets: Vec<SubnetSummary>,
}

/// Seconds that each stage took; `None` for one that was skipped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Seconds {
    /// Of pretraining.
    pub pretrain: Option<f64>,
    /// Of the search.
    pub search: Option<f64>,
    /// Of retraining, all sub-networks together.
    pub retrain: Option<f64>,
}

/// The dense network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DenseSummary {
    /// Parameters.
    pub params: usize,
    /// Multiply-adds.
    pub macs: u64,
    /// Top-1 accuracy.
    pub top1: f64,
}

/// The search.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SearchSummary {
    /// Epochs that it took.
    pub epochs: usize,
    /// Top-1 accuracy of the network under its trained soft masks.
    pub top1_soft: f64,
}

/// A sub-network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SubnetSummary {
    /// Its name, also of its folder.
    pub label: String,
    /// What was asked.
    pub budget: BudgetSummary,
    /// Fraction of the prunable units that is kept, for each searched dimension.
    pub kept: Map<String, Value>,
    /// Parameters.
    pub params: usize,
    /// Multiply-adds.
    pub macs: u64,
    /// Top-1 accuracy right after slicing.
    pub top1_sliced: f64,
    /// Top-1 accuracy after retraining; `None` where that was skipped.
    pub top1_retrained: Option<f64>,
    /// Largest difference between the logits of the hard-masked and the sliced network on the first held-out images,
    /// over the largest logit.
    pub masked_vs_sliced: f64,
    /// Images per second at a batch of 64.
    pub images_per_second: f64,
    /// How many times as fast as the dense network, measured side by side.
    pub speedup: f64,
}

/// A budget.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BudgetSummary {
    /// Share of the units of each key.
    Share(Map<String, Value>),
}
