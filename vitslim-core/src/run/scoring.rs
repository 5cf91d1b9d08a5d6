//! What a run computes on a few batches of its images: the scores of units without a search, and the correction of a cut.

use std::path::Path;
use std::sync::Arc;

use super::error::RunError;
use super::folder::MASKS;
use super::prepared::Prepared;
use super::restore::masks;
use super::setting::Setting;
use crate::data::{Augment, Batch, ImageShape, Loader, Order, Stage};
use crate::experiment::Experiment;
use crate::importance::{Correction, ImportanceError, Scoring, Steps, correctable};
use crate::models::Architecture;
use crate::slim::{Dimension, MaskSet, MaskSpec};
use crate::terminal::counted;
use crate::train::EvaluateError;

/// Batches that a cut is corrected on.
const CORRECTED_ON: usize = 8;

/// Layers that are named of those that are not corrected.
const NAMED: usize = 3;

impl<A: Architecture> Prepared<A> {
    /// Masks to rank the units of the network `dense` by; `None` if a search trains them. They are those that the folder `run` has, so
    /// that all networks are cut by the same scores, on whatever device.
    ///
    /// # Errors
    ///
    /// When it is interrupted, an image cannot be read, or the units cannot be scored; or when the file that the folder has is damaged.
    pub(super) fn scores(
        &self,
        dense: &A,
        run: &Path,
        setting: &Setting,
    ) -> Result<Option<MaskSet>, RunError> {
        let file = run.join(MASKS);
        if !self.experiment.importance.needs_search() && file.exists() {
            let like = MaskSet::new(&self.searched, &setting.devices.first.device);
            return Ok(Some(masks(like, &file)?));
        }
        let batches = self.batches(self.experiment.importance.batches(), setting);
        Scoring::of(&self.experiment, &self.searched).masks(dense, batches)
    }

    /// What corrects cuts of `base`; `None` if the experiment asks for no correction.
    ///
    /// # Errors
    ///
    /// When it is interrupted, an image cannot be read, or the network cannot be computed.
    pub(super) fn correction(&self, base: &A, setting: &Setting) -> Result<Option<Correction>, RunError> {
        let correct = || {
            let batches = self.batches(CORRECTED_ON, setting);
            Correction::of(base, &self.searched, batches, Steps::of(&self.experiment))
        };
        self.experiment.correct.then(correct).transpose()
    }

    /// So many batches of the training split, as a search would shuffle it, but not augmented; where it has too few, those of further
    /// epochs.
    fn batches(&self, count: usize, setting: &Setting) -> impl Iterator<Item = Result<Batch, RunError>> {
        let Self { experiment, data, .. } = self;
        let order = Order::Shuffled { seed: experiment.seed, stage: Stage::Search };
        let plain = Arc::new(data.train.clone().augmented(Augment::NONE));
        let device = setting.devices.first.device.clone();
        let loader = Loader::new(plain, experiment.search.batch.get(), order, device);
        let loader = match setting.loader_threads {
            Some(threads) => loader.with_threads(threads),
            None => loader,
        };
        let interrupter = setting.interrupter.clone();
        let batches = (1..).flat_map(move |epoch| loader.epoch(epoch)).take(count);
        batches.map(move |batch| match interrupter.should_stop() {
            true => Err(RunError::Interrupted),
            false => Ok(batch.map_err(EvaluateError::from)?),
        })
    }
}

/// What is told of `correct: true` in `experiment`, which cuts `model` along the `searched` dimensions; `None` if it does not ask for it.
///
/// # Errors
///
/// When the network cannot be computed for such an `image`.
pub(crate) fn correction_note<A: Architecture>(
    experiment: &Experiment,
    model: &A,
    searched: &[(Dimension, MaskSpec)],
    image: ImageShape,
) -> Result<Option<String>, ImportanceError> {
    if !experiment.correct {
        return Ok(None);
    }
    let [linear, others] = correctable(model, searched, image)?;
    let layers = counted(linear.len(), "linear layer makes", "linear layers make");
    let corrected = format!("`correct: true`: {layers} up for what is cut of what they read");
    let (named, more) = others.split_at(others.len().min(NAMED));
    let named: Vec<String> = named.iter().map(|layer| format!("`{layer}`")).collect();
    let more = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
    Ok(Some(match named.is_empty() {
        true => corrected,
        false => format!(
            "{corrected}; {}{more} do not, since they are no linear layers of `vitslim_core::nn`",
            named.join(", ")
        ),
    }))
}
