//! What all test architectures have in common.

use burn::module::ModuleDisplay;
use vitslim_core::check::{ArchitectureCheck, check_architecture, f64_device};
use vitslim_core::data::ImageShape;
use vitslim_core::prelude::*;

/// Width of the network around a part.
pub const WIDTH: usize = 6;

/// Tokens of an image of 4 x 4.
pub const TOKENS: usize = 4;

const IMAGE: ImageShape = ImageShape { channels: 1, size: 4 };

/// The check of an architecture.
pub type Checked = fn() -> ArchitectureCheck;

/// What is wrong, its check, and what the one reason has to say.
pub type Planted = (&'static str, Checked, &'static [&'static str]);

/// A part of a network, to be annotated.
pub trait Part: Slimmable + ModuleDisplay + 'static {
    fn new(device: &Device) -> Self;

    /// `[batch, tokens, WIDTH]` to the same.
    fn forward(&self, x: Tensor<3>) -> Tensor<3>;
}

/// Two parts one after the other.
#[derive(Module, Debug, Slimmable)]
pub struct Net<P: Module> {
    embed: Linear,
    #[slim]
    blocks: Vec<P>,
    head: Linear,
}

impl<P: Part> Architecture for Net<P> {
    type Config = ();

    fn presets() -> Vec<(&'static str, ())> {
        Vec::new()
    }

    fn init(_: &(), device: &Device) -> Result<Self, ConfigError> {
        Ok(Self {
            embed: linear(4, WIDTH, device),
            blocks: (0..2).map(|_| P::new(device)).collect(),
            head: linear(WIDTH, 3, device),
        })
    }

    fn forward(&self, images: Tensor<4>) -> Logits {
        let x = self.embed.forward(rows(images));
        let x = self.blocks.iter().fold(x, |x, block| block.forward(x));
        self.head.forward(pooled(x)).into()
    }
}

pub fn linear(inputs: usize, outputs: usize, device: &Device) -> Linear {
    LinearConfig::new(inputs, outputs).init(device)
}

/// The rows of an image as tokens, `[batch, 4, 4]`.
pub fn rows(images: Tensor<4>) -> Tensor<3> {
    images.squeeze_dim(1)
}

/// The mean of the tokens, `[batch, features]`.
pub fn pooled(x: Tensor<3>) -> Tensor<2> {
    x.mean_dim(1).squeeze_dim(1)
}

pub fn checked<A: Architecture<Config = ()>>() -> ArchitectureCheck {
    let model = A::init(&(), &f64_device().unwrap()).unwrap();
    check_architecture(&model, IMAGE, Some(3))
}

pub fn checked_part<P: Part>() -> ArchitectureCheck {
    checked::<Net<P>>()
}
