//! Wrong annotations of a width that runs through the whole network.

use burn::tensor::activation;
use vitslim_core::prelude::*;

use super::net::{Planted, TOKENS, WIDTH, checked, linear, pooled, rows};

/// The mistakes of this file.
pub const PLANTED: &[Planted] = &[
    (
        "positions missed",
        checked::<PositionsMissed>,
        &[
            "`width`",
            "`positions` keeps units that `width` removed",
            "is `positions` annotated? Write `#[slim(axis(2) = [width], gate)]`",
        ],
    ),
    (
        "positions without gate",
        checked::<PositionsUngated>,
        &[
            "`width`",
            "`positions` still acts for units that `width` removed",
            "`gate` after the `axis(2)` of `positions`",
        ],
    ),
    (
        "a norm without gate",
        checked::<NormUngated>,
        &[
            "`width`",
            "`norm.beta` still adds to units that `width` removed",
            "`gate` after the `output` of `norm`",
        ],
    ),
    (
        "a norm missed",
        checked::<NormMissed>,
        &[
            "`width`",
            "`norm.gamma` and `norm.beta` keep units that `width` removed",
            "is `norm` annotated? Write `#[slim(output = [width], gate)]`",
        ],
    ),
];

macro_rules! network {
    ($name:ident: $(#[$positions:meta])* positions, $(#[$norm:meta])* norm, $(#[$head:meta])* head) => {
        #[derive(Module, Debug, Slimmable)]
        pub struct $name {
            #[slim(output = [width], gate)]
            embed: Linear,
            $(#[$positions])*
            positions: Param<Tensor<3>>,
            #[slim]
            mlps: Vec<Mlp>,
            $(#[$norm])*
            norm: LayerNorm,
            $(#[$head])*
            head: Linear,
        }

        impl Architecture for $name {
            type Config = ();

            fn presets() -> Vec<(&'static str, ())> {
                Vec::new()
            }

            fn init(_: &(), device: &Device) -> Result<Self, ConfigError> {
                Ok(Self {
                    embed: linear(4, WIDTH, device),
                    positions: normal([1, TOKENS, WIDTH], 0.02, device),
                    mlps: (0..2).map(|_| Mlp::new(device)).collect(),
                    norm: LayerNormConfig::new(WIDTH).init(device),
                    head: linear(WIDTH, 3, device),
                })
            }

            fn forward(&self, images: Tensor<4>) -> Logits {
                let x = self.embed.forward(rows(images)) + self.positions.val();
                let x = self.mlps.iter().fold(x, |x, mlp| x.clone() + mlp.forward(x));
                self.head.forward(pooled(self.norm.forward(x))).into()
            }
        }
    };
}

#[derive(Module, Debug, Slimmable)]
#[slim(outer = [width])]
pub struct Mlp {
    #[slim(input = [width], output = [hidden])]
    fc1: Linear,
    #[slim(input = [hidden], gate, output = [width], gate)]
    fc2: Linear,
}

impl Mlp {
    fn new(device: &Device) -> Self {
        Self { fc1: linear(WIDTH, 8, device), fc2: linear(8, WIDTH, device) }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        self.fc2.forward(activation::gelu(self.fc1.forward(x)))
    }
}

// All is right.
network!(Sound: #[slim(axis(2) = [width], gate)] positions, #[slim(output = [width], gate)] norm, #[slim(input = [width])] head);

// The positions are forgotten.
network!(PositionsMissed: positions, #[slim(output = [width], gate)] norm, #[slim(input = [width])] head);

// The positions are not gated, and fill the units that are masked elsewhere.
network!(PositionsUngated: #[slim(axis(2) = [width])] positions, #[slim(output = [width], gate)] norm, #[slim(input = [width])] head);

// The norm is not gated: its shift reaches the classifier.
network!(NormUngated: #[slim(axis(2) = [width], gate)] positions, #[slim(output = [width])] norm, #[slim(input = [width])] head);

// The norm is forgotten.
network!(NormMissed: #[slim(axis(2) = [width], gate)] positions, norm, #[slim(input = [width])] head);
