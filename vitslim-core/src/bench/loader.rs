//! Measures how fast batches are read, augmented and normalised, without a network that takes them.

use std::sync::Arc;
use std::time::Instant;

use burn::tensor::Device;

use super::measure::Limit;
use crate::data::{DataError, Dataset, Loader, Order, Split, Stage};
use crate::experiment::{ExperimentErrors, Trial};
use crate::report::{BenchedLoader, LoaderBenchmark, Spread};
use crate::run::{data_error, dataset};

/// Seconds that a loader is measured in a round.
const SECONDS: f64 = 2.0;

/// How to measure loaders.
#[derive(Clone, Copy, Debug)]
pub struct LoaderSetting {
    /// Images per batch.
    pub batch: usize,
    /// Threads that prepare batches ahead; `None` is the default of [`Loader::new`].
    pub threads: Option<usize>,
    /// How long to measure.
    pub limit: Limit,
}

/// The loaders of a trial.
struct Loaders<'a> {
    trial: &'a Trial,
    data: Dataset,
    training: Loader,
    evaluation: Loader,
}

/// Measures the loaders of all `trials` in rounds: of the training split as the search sees it, and of the test split. Each round
/// takes each loader once, for two seconds, from its first batch on.
///
/// # Errors
///
/// The mistakes in the data.
pub fn loaders(trials: &[Trial], setting: LoaderSetting) -> Result<LoaderBenchmark, ExperimentErrors> {
    let LoaderSetting { batch, limit, .. } = setting;
    let loaders: Vec<Loaders> =
        trials.iter().map(|trial| Loaders::new(trial, setting)).collect::<Result<_, _>>()?;
    let mut speeds = vec![[Vec::new(), Vec::new()]; loaders.len()];
    let (mut rounds, started) = (0, Instant::now());
    while !limit.is_reached(rounds, started.elapsed()) {
        rounds += 1;
        for (Loaders { trial, training, evaluation, .. }, speeds) in loaders.iter().zip(&mut speeds) {
            for (loader, speeds) in [training, evaluation].into_iter().zip(speeds) {
                let speed = images_per_second(loader, rounds).map_err(|error| data_error(trial, &error))?;
                speeds.push(speed);
            }
        }
    }
    let measured = loaders.iter().zip(speeds).map(|(loaders, speeds)| loaders.report(speeds));
    Ok(LoaderBenchmark { batch, rounds, experiments: measured.collect() })
}

impl<'a> Loaders<'a> {
    fn new(trial: &'a Trial, setting: LoaderSetting) -> Result<Self, ExperimentErrors> {
        let data = dataset(trial)?;
        let loader = |split: &Split, order| {
            let loader = Loader::new(Arc::new(split.clone()), setting.batch, order, Device::flex());
            setting.threads.map_or_else(|| loader.clone(), |threads| loader.clone().with_threads(threads))
        };
        let order = Order::Shuffled { seed: trial.experiment.seed, stage: Stage::Search };
        let (training, evaluation) =
            (loader(&seen_by_search(trial, &data), order), loader(&data.test, Order::AsIs));
        Ok(Self { trial, data, training, evaluation })
    }

    fn report(&self, [training, evaluation]: [Vec<f64>; 2]) -> BenchedLoader {
        let experiment = &self.trial.experiment;
        BenchedLoader {
            name: experiment.name.as_str().to_owned(),
            trial: self.trial.swept.clone().unwrap_or_else(|| format!("seed={}", experiment.seed)),
            image_size: self.data.shape.size,
            channels: self.data.shape.channels,
            threads: self.training.threads(),
            training_images_per_second: Spread::of(training.into_iter()),
            evaluation_images_per_second: Spread::of(evaluation.into_iter()),
        }
    }
}

/// The training split of `data` as the search of `trial` sees it.
fn seen_by_search(trial: &Trial, data: &Dataset) -> Split {
    let train = data.train.clone();
    match trial.experiment.search.augment {
        Some(augment) => train.augmented(augment),
        None => train,
    }
}

/// Images per second of `loader` from the epoch `first` on, once there is a first batch. Batches that are prepared ahead are begun
/// before and not finished behind.
fn images_per_second(loader: &Loader, first: usize) -> Result<f64, DataError> {
    let mut batches = (first..).flat_map(|epoch| loader.epoch(epoch));
    batches.next().transpose()?;
    let (started, mut images, mut seconds) = (Instant::now(), 0, 0.0);
    while seconds < SECONDS {
        images += batches.next().transpose()?.map_or(0, |batch| batch.len());
        seconds = started.elapsed().as_secs_f64();
    }
    Ok(images as f64 / seconds)
}
