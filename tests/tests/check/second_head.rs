//! A wrong annotation that only a second head shows.

use burn::tensor::activation;
use vitslim_core::prelude::*;

use super::features::HIDDEN;
use super::net::{Planted, WIDTH, checked, linear, pooled, rows};

/// The mistakes of this file.
pub const PLANTED: &[Planted] = &[(
    "a gate before an activation in a second head",
    checked::<SecondHead>,
    &[
        "`hidden`",
        "`fc2.weight` still reads units that `hidden` removed",
        "`gate` after the `input` of `fc2`",
    ],
)];

/// A second head, for distillation, whose hidden units are gated at the wrong side of what it does to them.
#[derive(Module, Debug, Slimmable)]
pub struct SecondHead {
    embed: Linear,
    head: Linear,
    #[slim(output = [hidden], gate)]
    fc1: Linear,
    #[slim(input = [hidden])]
    fc2: Linear,
}

impl Architecture for SecondHead {
    type Config = ();

    fn presets() -> Vec<(&'static str, ())> {
        Vec::new()
    }

    fn init(_: &(), device: &Device) -> Result<Self, ConfigError> {
        Ok(Self {
            embed: linear(4, WIDTH, device),
            head: linear(WIDTH, 3, device),
            fc1: linear(WIDTH, HIDDEN, device),
            fc2: linear(HIDDEN, 3, device),
        })
    }

    fn forward(&self, images: Tensor<4>) -> Logits {
        let x = pooled(self.embed.forward(rows(images)));
        let distillation = self.fc2.forward(activation::sigmoid(self.fc1.forward(x.clone())));
        Logits { class: self.head.forward(x), distillation: Some(distillation) }
    }
}
