//! What burn's metrics measured, gathered until a line of the record takes it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use burn::train::logger::MetricLogger;
use burn::train::metric::store::{EpochSummary, MetricsUpdate, Split};
use burn::train::metric::{MetricDefinition, MetricId, MetricName, NumericEntry};

use super::record::Values;

/// How burn's metrics are called in our files.
pub(super) fn field_of(metric: &str) -> &'static str {
    match metric {
        "Loss" => "loss",
        "Accuracy" => "top1",
        "EMA Accuracy" => "top1_ema",
        "Learning Rate" => LEARNING_RATE,
        "Penalty" => "penalty",
        _ => "other",
    }
}

/// The value of a metric as our files have it: accuracies are fractions.
pub(super) fn value_of(metric: &str, value: f64) -> f64 {
    if metric.ends_with("Accuracy") { value / 100.0 } else { value }
}

/// It has no mean: the last is what counts.
const LEARNING_RATE: &str = "learning_rate";

/// What was measured. Clones share it: burn keeps one in its own thread.
#[derive(Clone, Default)]
pub(super) struct Meter(Arc<Mutex<Measured>>);

#[derive(Default)]
struct Measured {
    names: HashMap<MetricId, MetricName>,
    /// Sum over the images, and their number.
    steps: BTreeMap<&'static str, (f64, usize)>,
    learning_rate: Option<f64>,
    train: Values,
    held_out: Values,
}

impl Meter {
    fn with<T>(&self, read: impl FnOnce(&mut Measured) -> T) -> T {
        read(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Means over the training steps since the last call.
    pub(super) fn take_steps(&self) -> Values {
        self.with(|measured| {
            let means = std::mem::take(&mut measured.steps).into_iter();
            let means = means.map(|(field, (sum, count))| (field, sum / count as f64));
            means.chain(measured.learning_rate.map(|rate| (LEARNING_RATE, rate))).map(written).collect()
        })
    }

    /// Values of the epoch that ended: of training and of the held-out part.
    pub(super) fn take_epoch(&self) -> (Values, Values) {
        self.with(|measured| {
            measured.steps.clear();
            (std::mem::take(&mut measured.train), std::mem::take(&mut measured.held_out))
        })
    }
}

fn written((field, value): (&'static str, f64)) -> (String, Option<f64>) {
    (field.to_owned(), value.is_finite().then_some(value))
}

impl MetricLogger for Meter {
    fn log(&mut self, update: MetricsUpdate, _: usize, split: &Split) {
        self.with(|measured| {
            for update in update.entries_numeric {
                let Some(name) = measured.names.get(&update.entry.metric_id) else { continue };
                let Some(entry) = update.numeric_entry else { continue };
                let (field, value) = (field_of(name), value_of(name, entry.current()));
                match (split, entry) {
                    (Split::Train, NumericEntry::Final(_)) if field == LEARNING_RATE => {
                        measured.train.extend(measured.learning_rate.map(|rate| written((field, rate))));
                    }
                    (Split::Train, NumericEntry::Final(_)) => {
                        measured.train.extend([written((field, value))])
                    }
                    (_, NumericEntry::Final(_)) => measured.held_out.extend([written((field, value))]),
                    (Split::Train, _) if field == LEARNING_RATE => measured.learning_rate = Some(value),
                    (Split::Train, entry) => {
                        let count = match entry {
                            NumericEntry::Aggregated { count, .. } => count,
                            _ => 1,
                        };
                        let (sum, counted) = measured.steps.entry(field).or_default();
                        *sum += value * count as f64;
                        *counted += count;
                    }
                    _ => {}
                }
            }
        });
    }

    /// Nothing is read back through burn.
    fn read_numeric(&mut self, _: &str, _: usize, _: &Split) -> Result<Vec<NumericEntry>, String> {
        Ok(Vec::new())
    }

    fn log_metric_definition(&mut self, definition: MetricDefinition) {
        self.with(|measured| measured.names.insert(definition.metric_id, definition.name));
    }

    fn log_epoch_summary(&mut self, _: EpochSummary) {}
}

#[cfg(test)]
mod tests {
    use burn::train::metric::store::NumericMetricUpdate;
    use burn::train::metric::{
        AccuracyMetric, LearningRateMetric, LossMetric, Metric, MetricEntry, SerializedEntry,
    };

    use super::*;

    fn meter() -> Meter {
        let mut meter = Meter::default();
        meter.log_metric_definition(definition(&LossMetric::new()));
        meter.log_metric_definition(definition(&AccuracyMetric::new()));
        meter.log_metric_definition(definition(&LearningRateMetric::new()));
        meter
    }

    fn definition<M: Metric>(metric: &M) -> MetricDefinition {
        MetricDefinition::new(MetricId::new(metric.name()), metric)
    }

    fn tell(meter: &mut Meter, split: &Split, metric: &str, entry: NumericEntry) {
        let id = MetricId::new(Arc::new(metric.to_owned()));
        let serialized = SerializedEntry::new(String::new(), String::new());
        let update = NumericMetricUpdate {
            entry: MetricEntry::new(id, serialized),
            numeric_entry: Some(entry),
            running_entry: None,
        };
        meter.log(MetricsUpdate { entries: Vec::new(), entries_numeric: vec![update] }, 1, split);
    }

    fn batch(aggregated_value: f64, count: usize) -> NumericEntry {
        NumericEntry::Aggregated { aggregated_value, count }
    }

    fn values(values: &[(&str, f64)]) -> Values {
        values.iter().map(|&(field, value)| (field.to_owned(), Some(value))).collect()
    }

    #[test]
    fn steps_are_weighed_by_their_images_and_the_last_learning_rate_counts() {
        let mut meter = meter();
        for (loss, images, top1, rate) in [(1.0, 3, 100.0, 0.5), (5.0, 1, 0.0, 0.25)] {
            tell(&mut meter, &Split::Train, "Loss", batch(loss, images));
            tell(&mut meter, &Split::Train, "Accuracy", batch(top1, images));
            tell(&mut meter, &Split::Train, "Learning Rate", batch(rate, 1));
        }
        let expected = values(&[("learning_rate", 0.25), ("loss", 2.0), ("top1", 0.75)]);
        assert_eq!(meter.take_steps(), expected);
        assert_eq!(meter.take_steps(), values(&[("learning_rate", 0.25)]));
    }

    #[test]
    fn an_epoch_ends_what_is_gathered_of_its_steps() {
        let mut meter = meter();
        tell(&mut meter, &Split::Train, "Loss", batch(7.0, 2));
        tell(&mut meter, &Split::Train, "Learning Rate", batch(0.5, 1));
        tell(&mut meter, &Split::Train, "Loss", NumericEntry::Final(6.0));
        tell(&mut meter, &Split::Train, "Learning Rate", NumericEntry::Final(0.75));
        tell(&mut meter, &Split::Valid, "Loss", batch(3.0, 2));
        tell(&mut meter, &Split::Valid, "Accuracy", NumericEntry::Final(50.0));
        tell(&mut meter, &Split::Valid, "Loss", NumericEntry::Final(f64::NAN));
        let (train, held_out) = meter.take_epoch();
        assert_eq!(train, values(&[("learning_rate", 0.5), ("loss", 6.0)]));
        assert_eq!(held_out["top1"], Some(0.5));
        assert_eq!(held_out["loss"], None);

        tell(&mut meter, &Split::Train, "Loss", batch(1.0, 2));
        assert_eq!(meter.take_steps()["loss"], Some(1.0));
    }
}
