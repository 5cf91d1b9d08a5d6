use burn::tensor::{Int, Tensor};

use super::error::ImportanceError;
use super::magnitude::magnitude;
use super::random::random_masks;
use super::taylor::taylor;
use super::units::{device_of, of_units, summed};
use super::variance::variance;
use crate::data::{Batch, ImageShape};
use crate::experiment::{Experiment, Importance};
use crate::models::Architecture;
use crate::nn::Precision;
use crate::panics::attempt;
use crate::slim::{Dimension, MaskSet, MaskSpec};

/// How the units of a network are scored.
#[derive(Clone, Copy, Debug)]
pub struct Scoring<'a> {
    /// What they are ranked by.
    pub importance: Importance,
    /// The dimensions that are scored, and what a mask of each covers.
    pub searched: &'a [(Dimension, MaskSpec)],
    /// Precision of forward passes.
    pub precision: Precision,
    /// Seed of what is drawn.
    pub seed: u64,
}

impl<'a> Scoring<'a> {
    /// That of the `searched` dimensions in `experiment`.
    pub fn of(experiment: &Experiment, searched: &'a [(Dimension, MaskSpec)]) -> Self {
        let Experiment { importance, precision, seed, .. } = *experiment;
        Self { importance, searched, precision, seed }
    }

    /// Masks to rank the units of `model` by, which is in validation mode: each has the sum of the scores of its units, over all
    /// `batches` where it takes data. `None` if a search trains them.
    ///
    /// # Errors
    ///
    /// Those of `batches`, or when the network cannot be computed, or a dimension cannot be scored.
    pub fn masks<A: Architecture, E: From<ImportanceError>>(
        self,
        model: &A,
        batches: impl Iterator<Item = Result<Batch, E>>,
    ) -> Result<Option<MaskSet>, E> {
        let Self { importance, searched, precision, seed } = self;
        let (device, units) = (device_of(model), of_units(searched));
        let scores = match importance {
            Importance::Masks => return Ok(None),
            Importance::Random => return Ok(Some(random_masks(searched, seed, &device))),
            Importance::Magnitude => magnitude(model, &units)?,
            Importance::Taylor { .. } => taylor(model, &units, batches, precision)?,
            Importance::Variance { .. } => variance(model, &units, batches, precision)?,
        };
        Ok(Some(summed(searched, &scores, &device)))
    }

    /// Checks that the units of `model` can be scored, on a black `image`.
    ///
    /// # Errors
    ///
    /// When they cannot.
    pub fn check<A: Architecture>(self, model: &A, image: ImageShape) -> Result<(), ImportanceError> {
        let model = model.valid();
        let device = device_of(&model);
        let black = Batch {
            images: Tensor::zeros([1, image.channels, image.size, image.size], &device),
            labels: Tensor::<1, Int>::zeros([1], &device),
            mixed: None,
            epoch: 1,
            step: 1,
            seed: self.seed,
        };
        let scored = attempt(|| self.masks(&model, std::iter::once(Ok(black))));
        scored.map_err(ImportanceError::Failed)?.map(drop)
    }
}
