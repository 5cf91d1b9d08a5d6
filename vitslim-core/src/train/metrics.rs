//! The record of a run: `metrics.jsonl`, an object an epoch.

use std::collections::{BTreeMap, HashMap};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};

use burn::tensor::{Tensor, TensorReadError};
use burn::train::logger::MetricLogger;
use burn::train::metric::state::{FormatOptions, NumericMetricState};
use burn::train::metric::store::{EpochSummary, MetricsUpdate, Split};
use burn::train::metric::{
    Metric, MetricAttributes, MetricDefinition, MetricId, MetricMetadata, MetricName, Numeric,
    NumericAttributes, NumericEntry, SerializedEntry,
};
use serde::Serialize;

use crate::data::Stage;

/// What [`PenaltyMetric`] reads: the penalty of a step, `[1]`.
pub struct PenaltyInput(pub Tensor<1>);

/// The sparsity penalty.
#[derive(Clone)]
pub struct PenaltyMetric {
    state: NumericMetricState,
}

impl PenaltyMetric {
    /// The metric.
    pub fn new() -> Self {
        Self { state: NumericMetricState::new() }
    }
}

impl Default for PenaltyMetric {
    fn default() -> Self {
        Self::new()
    }
}

impl Metric for PenaltyMetric {
    type Input = PenaltyInput;

    fn name(&self) -> MetricName {
        Arc::new("Penalty".into())
    }

    fn attributes(&self) -> MetricAttributes {
        NumericAttributes { unit: None, higher_is_better: false }.into()
    }

    fn update(
        &mut self,
        input: &PenaltyInput,
        _: &MetricMetadata,
    ) -> Result<SerializedEntry, TensorReadError> {
        self.state.update(input.0.clone().try_into_scalar::<f64>()?, 1);
        Ok(self.state.compute_update(FormatOptions::new(self.name())))
    }

    fn compute(&mut self) -> Result<SerializedEntry, TensorReadError> {
        Ok(self.state.compute_final(FormatOptions::new(self.name())))
    }

    fn clear(&mut self) {
        self.state.reset();
    }
}

impl Numeric for PenaltyMetric {
    fn value(&self) -> Option<NumericEntry> {
        Some(self.state.current_value())
    }

    fn running_value(&self) -> Option<NumericEntry> {
        Some(self.state.running_value())
    }

    fn final_value(&self) -> NumericEntry {
        self.state.final_value()
    }
}

/// How burn's metrics are called in our files.
pub(super) fn field_of(metric: &str) -> &'static str {
    match metric {
        "Accuracy" => "top1",
        "Learning Rate" => "learning_rate",
        "Penalty" => "penalty",
        _ => "loss",
    }
}

/// The value of a metric as our files have it: accuracies are fractions.
pub(super) fn value_of(metric: &str, value: f64) -> f64 {
    if metric == "Accuracy" { value / 100.0 } else { value }
}

/// One line of `metrics.jsonl`.
#[derive(Serialize)]
struct Epoch<'a> {
    stage: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    subnet: Option<&'a str>,
    epoch: usize,
    train: &'a BTreeMap<&'static str, f64>,
    held_out: &'a BTreeMap<&'static str, f64>,
}

/// Writes `metrics.jsonl`.
pub struct MetricsFile {
    file: File,
    stage: Stage,
    subnet: Option<String>,
    names: HashMap<MetricId, MetricName>,
    train: BTreeMap<&'static str, f64>,
    held_out: BTreeMap<&'static str, f64>,
    failure: WriteFailure,
}

/// The first line that could not be written, if any. The logger belongs to burn's thread, so that its owner reads it here.
pub type WriteFailure = Arc<Mutex<Option<std::io::Error>>>;

impl MetricsFile {
    /// Appends the epochs of a stage to the file at `path`.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened.
    pub fn append(
        path: &Path,
        stage: Stage,
        subnet: Option<&str>,
        failure: WriteFailure,
    ) -> std::io::Result<Self> {
        Ok(Self {
            file: OpenOptions::new().create(true).append(true).open(path)?,
            stage,
            subnet: subnet.map(str::to_owned),
            names: HashMap::new(),
            train: BTreeMap::new(),
            held_out: BTreeMap::new(),
            failure,
        })
    }
}

impl MetricLogger for MetricsFile {
    fn log(&mut self, update: MetricsUpdate, _: usize, split: &Split) {
        let values = match split {
            Split::Train => &mut self.train,
            _ => &mut self.held_out,
        };
        for update in update.entries_numeric {
            let Some(name) = self.names.get(&update.entry.metric_id) else { continue };
            if let Some(NumericEntry::Final(value)) = update.numeric_entry {
                values.insert(field_of(name), value_of(name, value));
            }
        }
    }

    fn read_numeric(&mut self, name: &str, _: usize, _: &Split) -> Result<Vec<NumericEntry>, String> {
        Err(format!("`{name}` is only written"))
    }

    fn log_metric_definition(&mut self, definition: MetricDefinition) {
        self.names.insert(definition.metric_id, definition.name);
    }

    fn log_epoch_summary(&mut self, summary: EpochSummary) {
        if summary.split != Split::Valid {
            return;
        }
        let epoch = Epoch {
            stage: self.stage.name(),
            subnet: self.subnet.as_deref(),
            epoch: summary.epoch_number,
            train: &self.train,
            held_out: &self.held_out,
        };
        let line = serde_json::to_string(&epoch).map_err(std::io::Error::from);
        let written = line.and_then(|line| self.file.write_all(format!("{line}\n").as_bytes()));
        if let Err(error) = written
            && let Ok(mut failure) = self.failure.lock()
        {
            failure.get_or_insert(error);
        }
        self.train.clear();
        self.held_out.clear();
    }
}
