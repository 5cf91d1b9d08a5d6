//! A network that is put to the proof: hard-masked against sliced.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use rand_chacha::ChaCha8Rng;

use super::amended::{Amended, Amendment};
use crate::data::ImageShape;
use crate::models::Architecture;
use crate::panics::attempt;
use crate::slim::{Dimension, Plan, Slimmable};
use crate::values::{random, relative_difference};

/// By how much logits may differ, over the largest of them. In f64, sums in another order differ by 1e-13.
pub const TOLERANCE: f64 = 1e-9;

/// A network and the input that it is asked with.
pub(super) struct Subject<A: Module> {
    /// The network, every parameter random.
    pub model: A,
    /// Its dimensions.
    pub dimensions: Vec<Dimension>,
    /// One random image.
    pub image: Tensor<4>,
}

/// What came of comparing a hard-masked with a sliced network.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Outcome {
    /// They are the same function: the difference of the logits, over the largest of them.
    Same(f64),
    /// They are not.
    Differ(f64),
    /// One of them cannot be computed, as burn says.
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

    /// Compares what `plan` masks with what it slices, of the network with `amendments`.
    pub fn compare(&self, plan: &Plan, amendments: &[Amendment]) -> Outcome {
        match self.difference(plan, amendments) {
            Err(said) => Outcome::Fails(said),
            Ok(difference) if difference <= TOLERANCE => Outcome::Same(difference),
            Ok(difference) => Outcome::Differ(difference),
        }
    }

    fn difference(&self, plan: &Plan, amendments: &[Amendment]) -> Result<f64, String> {
        let amended = Amended::new(self.model.clone(), amendments.to_vec());
        // What does not fit, fails in the sliced network, which is the faster one too.
        let sliced = attempt(|| amended.slim(plan))?.map_err(|error| error.to_string())?;
        let sliced = self.logits(&sliced.model)?;
        let masked = attempt(|| amended.hard_mask(plan))?.map_err(|error| error.to_string())?;
        Ok(relative_difference(&self.logits(&masked.model)?, &sliced))
    }

    /// The logits that `model` has for the image.
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
