use burn::module::ModuleDisplay;
use burn::tensor::{Device, Tensor};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::slim::Slimmable;

/// What the runner needs of a model. All that an author implements beside `forward` and the derive.
///
/// Fields of the configuration called `image_size`, `channels` and `classes` are filled in from the data.
pub trait Architecture: Slimmable + ModuleDisplay + 'static {
    /// What an experiment writes under `config`.
    type Config: Serialize + DeserializeOwned + JsonSchema + Clone;

    /// Named configurations.
    fn presets() -> Vec<(&'static str, Self::Config)>;

    /// A freshly initialised model.
    ///
    /// # Errors
    ///
    /// When the configuration describes no model; the error names the field, so that the runner can point at it.
    fn init(config: &Self::Config, device: &Device) -> Result<Self, ConfigError>;

    /// # Shapes
    ///
    /// - images: `[batch, channels, height, width]`
    fn forward(&self, images: Tensor<4>) -> Logits;
}

/// What a model says of a batch.
#[derive(Clone, Debug)]
pub struct Logits {
    /// `[batch, classes]`
    pub class: Tensor<2>,
}

impl From<Tensor<2>> for Logits {
    fn from(class: Tensor<2>) -> Self {
        Self { class }
    }
}

/// A configuration that describes no model.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{message}")]
pub struct ConfigError {
    /// The field that is at fault.
    pub field: &'static str,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl ConfigError {
    /// An error of `field`.
    pub fn new(field: &'static str, message: impl Into<String>) -> Self {
        Self { field, message: message.into() }
    }
}
