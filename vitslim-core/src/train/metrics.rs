//! What burn measures of a step beside loss, accuracy and learning rate.

use std::sync::Arc;

use burn::tensor::{Tensor, TensorReadError};
use burn::train::metric::state::{FormatOptions, NumericMetricState};
use burn::train::metric::{
    AccuracyInput, AccuracyMetric, Metric, MetricAttributes, MetricMetadata, MetricName, Numeric,
    NumericAttributes, NumericEntry, SerializedEntry,
};

/// What [`PenaltyMetric`] reads: the penalty of a step, `[1]`.
pub(super) struct PenaltyInput(pub(super) Tensor<1>);

/// The sparsity penalty.
#[derive(Clone)]
pub(super) struct PenaltyMetric {
    state: NumericMetricState,
}

impl PenaltyMetric {
    /// The metric.
    pub(super) fn new() -> Self {
        Self { state: NumericMetricState::new() }
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

/// What [`EmaAccuracyMetric`] reads: logits of the averaged weights, and labels.
pub(super) struct EmaInput(pub(super) AccuracyInput);

/// The accuracy of the averaged weights.
#[derive(Clone)]
pub(super) struct EmaAccuracyMetric(AccuracyMetric);

impl EmaAccuracyMetric {
    /// The metric.
    pub(super) fn new() -> Self {
        Self(AccuracyMetric::new())
    }
}

impl Metric for EmaAccuracyMetric {
    type Input = EmaInput;

    fn name(&self) -> MetricName {
        Arc::new("EMA Accuracy".into())
    }

    fn attributes(&self) -> MetricAttributes {
        self.0.attributes()
    }

    fn update(
        &mut self,
        input: &EmaInput,
        metadata: &MetricMetadata,
    ) -> Result<SerializedEntry, TensorReadError> {
        self.0.update(&input.0, metadata)
    }

    fn compute(&mut self) -> Result<SerializedEntry, TensorReadError> {
        self.0.compute()
    }

    fn clear(&mut self) {
        self.0.clear();
    }
}

impl Numeric for EmaAccuracyMetric {
    fn value(&self) -> Option<NumericEntry> {
        self.0.value()
    }

    fn running_value(&self) -> Option<NumericEntry> {
        self.0.running_value()
    }

    fn final_value(&self) -> NumericEntry {
        self.0.final_value()
    }
}
