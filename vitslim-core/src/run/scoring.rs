//! The units of a run without a search, scored.

use std::sync::Arc;

use super::error::RunError;
use super::prepare::Prepared;
use super::setting::Setting;
use crate::data::{Augment, Loader, Order, Stage};
use crate::importance::Scoring;
use crate::models::Architecture;
use crate::slim::MaskSet;
use crate::train::EvaluateError;

impl<A: Architecture> Prepared<A> {
    /// Masks to rank the units of the network `dense` by; `None` if a search trains them. Batches are those of the training split as a
    /// search would shuffle it, but not augmented; where it has too few, those of further epochs.
    ///
    /// # Errors
    ///
    /// When it is interrupted, an image cannot be read, or the units cannot be scored.
    pub(super) fn scores(&self, dense: &A, setting: &Setting) -> Result<Option<MaskSet>, RunError> {
        let Self { experiment, searched, data, .. } = self;
        let order = Order::Shuffled { seed: experiment.seed, stage: Stage::Search };
        let plain = Arc::new(data.train.clone().augmented(Augment::NONE));
        let device = setting.devices.first.device.clone();
        let loader = Loader::new(plain, experiment.search.batch.get(), order, device);
        let loader = match setting.loader_threads {
            Some(threads) => loader.with_threads(threads),
            None => loader,
        };
        let batches = (1..).flat_map(|epoch| loader.epoch(epoch)).take(experiment.importance.batches());
        let batches = batches.map(|batch| match setting.interrupter.should_stop() {
            true => Err(RunError::Interrupted),
            false => Ok(batch.map_err(EvaluateError::from)?),
        });
        Scoring::of(experiment, searched).masks(dense, batches)
    }
}
