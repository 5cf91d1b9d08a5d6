//! The network under test: hard-masked against sliced.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use rand_chacha::ChaCha8Rng;

use super::amended::{Amended, Amendment};
use crate::data::ImageShape;
use crate::models::Architecture;
use crate::panics::attempt;
use crate::slim::{Dimension, Plan, Slimmable};
use crate::values::{random, relative_difference};

/// Largest difference of logits, over the largest logit, that counts as equal. In f64, another order of sums makes 1e-13.
pub const TOLERANCE: f64 = 1e-9;

/// A network and its input.
pub(super) struct Subject<A: Module> {
    /// The network, with random parameters.
    pub model: A,
    /// Its dimensions.
    pub dimensions: Vec<Dimension>,
    /// One random image.
    pub image: Tensor<4>,
}

/// The result of comparing a hard-masked with a sliced network.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Outcome {
    /// They agree: the largest difference of the logits, over the largest logit.
    Same(f64),
    /// They differ by this much.
    Differ(f64),
    /// One of them fails, with this message of burn's.
    Fails(String),
}

impl Outcome {
    pub fn is_same(&self) -> bool {
        matches!(self, Self::Same(_))
    }
}

impl<A: Architecture> Subject<A> {
    /// The logits of the dense network.
    pub fn dense(&self) -> Result<Tensor<2>, String> {
        attempt(|| self.model.forward(self.image.clone()).mean())
    }

    /// Compares the network hard-masked and sliced by `plan`, with `amendments` of its annotations.
    pub fn compare(&self, plan: &Plan, amendments: &[Amendment]) -> Outcome {
        match self.difference(plan, amendments) {
            Err(said) => Outcome::Fails(said),
            Ok(difference) if difference <= TOLERANCE => Outcome::Same(difference),
            Ok(difference) => Outcome::Differ(difference),
        }
    }

    fn difference(&self, plan: &Plan, amendments: &[Amendment]) -> Result<f64, String> {
        let amended = Amended::new(self.model.clone(), amendments.to_vec());
        // The sliced network first: it is faster, and fails if layers do not fit.
        let sliced = attempt(|| amended.slim(plan))?.map_err(|error| error.to_string())?;
        let sliced = self.logits(&sliced.model)?;
        let masked = attempt(|| amended.hard_mask(plan))?.map_err(|error| error.to_string())?;
        Ok(relative_difference(&self.logits(&masked.model)?, &sliced))
    }

    /// The logits of `model` for the image.
    pub fn logits(&self, model: &A) -> Result<Vec<f64>, String> {
        attempt(|| model.forward(self.image.clone()).mean().into_data().convert::<f64>())?
            .try_into_vec()
            .map_err(|error| format!("{error:?}"))
    }
}

/// Random images, `[count, channels, height, width]`.
pub(super) fn images(count: usize, shape: ImageShape, rng: &mut ChaCha8Rng, device: &Device) -> Tensor<4> {
    random([count, shape.channels, shape.size, shape.size], rng, device)
}
