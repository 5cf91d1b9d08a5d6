//! `summary.json`, a format that tools read.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::terminal::time;

/// The numbers of a run. Accuracies are fractions of the test split; MACs are for one image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Name of the experiment.
    pub name: String,
    /// Name of the trial.
    pub trial: String,
    /// The device.
    pub device: String,
    /// How long the stages took.
    pub seconds: Seconds,
    /// Where the network is that the run starts from, if another run left it. This is then what `dense` means, and shares and speeds are
    /// of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// The dense network.
    pub dense: DenseSummary,
    /// The search; `None` if it was skipped.
    pub search: Option<SearchSummary>,
    /// The sub-networks, in the order of the budgets.
    pub subnets: Vec<SubnetSummary>,
}

/// Seconds that each stage took; `None` if it was skipped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Seconds {
    /// Seconds of pretraining.
    pub pretrain: Option<f64>,
    /// Seconds of the search.
    pub search: Option<f64>,
    /// Seconds of retraining all sub-networks.
    pub retrain: Option<f64>,
}

/// The dense network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DenseSummary {
    /// Number of parameters.
    pub params: usize,
    /// Multiply-adds for one image.
    pub macs: u64,
    /// Top-1 accuracy.
    pub top1: f64,
}

/// The search.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SearchSummary {
    /// Number of epochs.
    pub epochs: usize,
    /// Top-1 accuracy of the network with its trained soft masks.
    pub top1_soft: f64,
}

/// A sub-network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SubnetSummary {
    /// Its name, and the name of its folder.
    pub label: String,
    /// Its budget.
    pub budget: BudgetSummary,
    /// Fraction of the prunable units that is kept, for each searched dimension.
    pub kept: Map<String, Value>,
    /// Number of parameters.
    pub params: usize,
    /// Multiply-adds for one image.
    pub macs: u64,
    /// Top-1 accuracy right after slicing.
    pub top1_sliced: f64,
    /// Top-1 accuracy after retraining; `None` if that was skipped.
    pub top1_retrained: Option<f64>,
    /// Largest difference between the logits of the hard-masked and the sliced network, over the largest logit, on the first
    /// validation images.
    pub masked_vs_sliced: f64,
    /// Images per second at a batch of 64.
    pub images_per_second: f64,
    /// Speed over that of the dense network, measured side by side.
    pub speedup: f64,
    /// How long a forward pass takes, where the budget limits that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<LatencySummary>,
}

/// How long a forward pass of a sub-network takes, in seconds, right after slicing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LatencySummary {
    /// Number of images.
    pub batch: usize,
    /// What its budget asks for.
    pub asked: f64,
    /// The sum of its operations by the table, in proportion to the dense network as that was measured.
    pub predicted: f64,
    /// As it was measured, the median of many.
    pub measured: f64,
    /// The device that it was measured on.
    pub device: String,
}

/// As results tell it: `asked 3 ms at a batch of 1, predicted 2.9 ms, measured 3.02 ms (cpu, 2 threads, f32)`.
impl fmt::Display for LatencySummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [asked, predicted, measured] = [self.asked, self.predicted, self.measured].map(time);
        let Self { batch, device, .. } = self;
        write!(
            f,
            "asked {asked} at a batch of {batch}, predicted {predicted}, measured {measured} ({device})"
        )
    }
}

/// A budget.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BudgetSummary {
    /// Share of the units of each key.
    Share(Map<String, Value>),
    /// The most MACs for one image: a share of the dense network's, or as it is written.
    Macs(Value),
    /// The most parameters, likewise.
    Params(Value),
    /// The longest time of a forward pass on `batch` images, likewise.
    Latency {
        /// A share of the dense network's time, or a time with its unit.
        most: Value,
        /// Number of images.
        batch: usize,
    },
    /// Tokens that go at each gate.
    Tokens {
        /// How many.
        fewer: usize,
    },
    /// Several limits at once.
    All(Vec<BudgetSummary>),
}
