//! What a run computes on a few batches of its images: the scores of units without a search, and the correction of a cut.

use std::sync::Arc;

use super::error::RunError;
use super::prepare::Prepared;
use super::setting::Setting;
use crate::data::{Augment, Batch, Loader, Order, Stage};
use crate::importance::{Scoring, corrected};
use crate::models::Architecture;
use crate::slim::{MaskSet, Plan};
use crate::train::EvaluateError;

/// Batches that a cut is corrected on.
const CORRECTED_ON: usize = 8;

impl<A: Architecture> Prepared<A> {
    /// Masks to rank the units of the network `dense` by; `None` if a search trains them.
    ///
    /// # Errors
    ///
    /// When it is interrupted, an image cannot be read, or the units cannot be scored.
    pub(super) fn scores(&self, dense: &A, setting: &Setting) -> Result<Option<MaskSet>, RunError> {
        let batches = self.batches(self.experiment.importance.batches(), setting);
        Scoring::of(&self.experiment, &self.searched).masks(dense, batches)
    }

    /// `base`, which is to be cut by `plan`, after the correction that the experiment may ask for.
    ///
    /// # Errors
    ///
    /// When it is interrupted, an image cannot be read, or the network cannot be computed.
    pub(super) fn corrected(&self, base: A, plan: &Plan, setting: &Setting) -> Result<A, RunError> {
        match self.experiment.correct {
            true => {
                let batches = self.batches(CORRECTED_ON, setting);
                corrected(&base, plan, batches, self.experiment.precision)
            }
            false => Ok(base),
        }
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
