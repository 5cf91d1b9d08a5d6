//! Networks that lend a width by another name.

use burn::tensor::activation;
use vitslim_core::prelude::*;

use super::net::{Planted, WIDTH, checked, linear, pooled, rows};

/// The mistakes of this file.
pub const PLANTED: &[Planted] = &[
    (
        "a gate missing where a width is lent",
        checked::<Ungated>,
        &["`stages.1.width`", "write `gate` after the `input` of `head.fc`, where that is `dim`"],
    ),
    (
        "a width borrowed from a stage that has none",
        checked::<Astray>,
        &["`stages.0.widht` is borrowed, and `stages.0` declares only `width`"],
    ),
];

/// Maps the width of the stage before to its own.
#[derive(Module, Debug, Slimmable)]
#[slim(outer = [former], own = [width])]
pub struct Stage {
    #[slim(input = [former], output = [width])]
    widen: Linear,
    #[slim]
    gate: Gate,
}

/// Scales a width, behind a sigmoid.
#[derive(Module, Debug, Slimmable)]
#[slim(outer = [width])]
pub struct Gate {
    #[slim(axis(2) = [width], gate)]
    scale: Param<Tensor<3>>,
}

macro_rules! network {
    ($name:ident, $head:ident: $(#[$stages:meta])* stages) => {
        #[derive(Module, Debug, Slimmable)]
        pub struct $name {
            #[slim(output = [width], gate)]
            embed: Linear,
            $(#[$stages])*
            stages: Vec<Stage>,
            #[slim(dim = stages.last.width)]
            head: $head,
        }

        impl Architecture for $name {
            type Config = ();

            fn presets() -> Vec<(&'static str, ())> {
                Vec::new()
            }

            fn init(_: &(), device: &Device) -> Result<Self, ConfigError> {
                let stage = |former, width| Stage {
                    widen: linear(former, width, device),
                    gate: Gate { scale: Param::from_tensor(Tensor::ones([1, 1, width], device)) },
                };
                Ok(Self {
                    embed: linear(4, WIDTH, device),
                    stages: vec![stage(WIDTH, 8), stage(8, 10)],
                    head: $head { fc: linear(10, 3, device) },
                })
            }

            fn forward(&self, images: Tensor<4>) -> Logits {
                let mut x = self.embed.forward(rows(images));
                for stage in &self.stages {
                    let scale = stage.gate.scale.val();
                    x = activation::sigmoid(stage.widen.forward(x)) * scale;
                }
                self.head.fc.forward(activation::sigmoid(pooled(x))).into()
            }
        }
    };
}

/// Reads the last width, which it calls `dim`.
#[derive(Module, Debug, Slimmable)]
#[slim(outer = [dim])]
pub struct Head {
    #[slim(input = [dim], gate)]
    fc: Linear,
}

/// Reads it without a gate.
#[derive(Module, Debug, Slimmable)]
#[slim(outer = [dim])]
pub struct UngatedHead {
    #[slim(input = [dim])]
    fc: Linear,
}

// All is right.
network!(Sound, Head: #[slim(former = before.width or width)] stages);

// The stages borrow no `fromer`.
network!(Unborrowed, Head: #[slim(fromer = before.width or width)] stages);

// No stage declares this.
network!(Astray, Head: #[slim(former = before.widht or width)] stages);

// What a sigmoid makes of a masked width is not 0.
network!(Ungated, UngatedHead: #[slim(former = before.width or width)] stages);
