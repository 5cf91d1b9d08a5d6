use burn::module::ModuleDisplay;
use burn::tensor::{Device, Tensor};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::slim::Slimmable;

/// What the runner needs of a model: all that an author implements beside the derive.
///
/// Fields of the configuration called `image_size`, `channels` and `classes` are filled in from the data.
pub trait Architecture: Slimmable + ModuleDisplay + 'static {
    /// The configuration: what an experiment writes under `config`.
    type Config: Serialize + DeserializeOwned + JsonSchema + Clone;

    /// Configurations that an experiment can refer to by name.
    fn presets() -> Vec<(&'static str, Self::Config)>;

    /// About how many values a network of this configuration has to hold, before it is made; `None` if that is not known. By it
    /// [`Subnet::load`](crate::run::Subnet::load) refuses a file that claims far more than it has.
    fn values(_config: &Self::Config) -> Option<f64> {
        None
    }

    /// A freshly initialised model.
    ///
    /// # Errors
    ///
    /// When the configuration is not possible. The error names the field, and the runner points at its line in the file.
    fn init(config: &Self::Config, device: &Device) -> Result<Self, ConfigError>;

    /// # Shapes
    ///
    /// - images: `[batch, channels, height, width]`
    fn forward(&self, images: Tensor<4>) -> Logits;

    /// The logits of [`forward`](Self::forward), and of the same pass the patches that they are of, which `features` of a teacher compares.
    /// By default there are none: the architecture does not offer them.
    ///
    /// # Shapes
    ///
    /// - images: `[batch, channels, height, width]`
    fn features(&self, images: Tensor<4>) -> Features {
        self.forward(images).into()
    }
}

/// The output of a model for a batch.
#[derive(Clone, Debug)]
pub struct Logits {
    /// `[batch, classes]`
    pub class: Tensor<2>,
    /// The logits of a second head on a distillation token, `[batch, classes]`, if the model has one. It learns from the teacher of a
    /// stage, and the first from the labels; without a teacher, training minimises the mean of both losses to the labels.
    pub distillation: Option<Tensor<2>>,
}

impl Logits {
    /// The prediction, `[batch, classes]`: the mean of the heads (DeiT, Touvron et al. 2020, section 4).
    pub fn mean(self) -> Tensor<2> {
        match self.distillation {
            Some(distillation) => (self.class + distillation) / 2.0,
            None => self.class,
        }
    }
}

impl From<Tensor<2>> for Logits {
    fn from(class: Tensor<2>) -> Self {
        Self { class, distillation: None }
    }
}

/// What a model computes of a batch: the logits, and what they are of.
#[derive(Clone, Debug)]
pub struct Features {
    /// The logits, as of [`Architecture::forward`].
    pub logits: Logits,
    /// The patches; `None` if none is left, or the architecture does not offer them.
    pub patches: Option<Patches>,
}

impl From<Logits> for Features {
    fn from(logits: Logits) -> Self {
        Self { logits, patches: None }
    }
}

/// The patches that a model classifies, as they leave its last norm.
#[derive(Clone, Debug)]
pub struct Patches {
    /// Those that are left, in order, without class tokens and the like: `[batch, patches, dim]`.
    pub values: Tensor<3>,
    /// Path of the layer that reads them, pooled or not. Where `dim` is prunable, it is the dimension along the input of that layer.
    pub reader: &'static str,
}

/// A configuration that is not possible.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{message}")]
pub struct ConfigError {
    /// The field with the mistake.
    pub field: &'static str,
    /// What is wrong, and what to write instead.
    pub message: String,
}

impl ConfigError {
    /// A mistake in `field`.
    pub fn new(field: &'static str, message: impl Into<String>) -> Self {
        Self { field, message: message.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prediction_is_the_mean_of_the_heads() {
        let device = Device::flex();
        let head = |values: [f32; 2]| Tensor::<2>::from_data([values], &device);
        let values = |logits: Logits| logits.mean().into_data().try_into_vec::<f32>().unwrap();
        assert_eq!(values(head([1.0, 2.0]).into()), [1.0, 2.0]);
        let both = Logits { class: head([1.0, 2.0]), distillation: Some(head([3.0, -4.0])) };
        assert_eq!(values(both), [2.0, -1.0]);
    }
}
