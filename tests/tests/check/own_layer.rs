//! A layer of an author's own, whose two methods are wrong.

use burn::tensor::{Int, activation};
use vitslim_core::prelude::*;
use vitslim_core::slim::{Input, Output, SlimLayer, scale_param, select_param};

use super::features::HIDDEN;
use super::net::{Part, Planted, WIDTH, checked_part, linear};

/// The mistakes of this file.
pub const PLANTED: &[Planted] = &[
    (
        "a bias that the mask leaves out",
        checked_part::<OwnLayer<{ UNSCALED }>>,
        &[
            "`blocks.0.hidden`",
            "`blocks.*.fc1.bias` still adds to units that `hidden` removed",
            "does `SlimLayer::scale` of this layer multiply it?",
        ],
    ),
    (
        "a bias that slicing leaves out",
        checked_part::<OwnLayer<{ UNCUT }>>,
        &[
            "`blocks.0.hidden`",
            "`blocks.*.fc1.bias` keeps units",
            "let `SlimLayer::select` of `blocks.*.fc1` cut `blocks.*.fc1.bias` too",
        ],
    ),
    (
        "a layer that is cut along another axis",
        checked_part::<OwnLayer<{ OTHER_AXIS }>>,
        &["the output of `blocks.0.fc1` cannot be cut by one unit", "does `SlimLayer::select` of this layer"],
    ),
    (
        "a layer whose values change when it is cut",
        checked_part::<OwnLayer<{ RESCALED }>>,
        &["`blocks.0.hidden`", "`blocks.*.fc1.weight`", "does `SlimLayer::scale` of this layer multiply it?"],
    ),
    (
        "statistics that count what is masked",
        checked_part::<OwnLayer<{ STATISTICS }>>,
        &["`blocks.0.hidden`", "the statistics of norms sliced"],
    ),
];

/// What is wrong with [`OwnLinear`]: its mask leaves the bias out.
pub const UNSCALED: u8 = 0;
/// Cutting leaves the bias as it is.
pub const UNCUT: u8 = 1;
/// Cutting is along the other axis.
pub const OTHER_AXIS: u8 = 2;
/// Cutting makes what stays larger, as dropout does.
pub const RESCALED: u8 = 3;
/// Its statistics are over what is left, and also count what is masked.
pub const STATISTICS: u8 = 4;

/// A linear layer of an author's own, with a mistake in one of its two methods.
#[derive(Module, Debug)]
pub struct OwnLinear<const FLAW: u8> {
    weight: Param<Tensor<2>>,
    bias: Param<Tensor<1>>,
    over: usize,
}

impl<const FLAW: u8> OwnLinear<FLAW> {
    fn new(inputs: usize, outputs: usize, device: &Device) -> Self {
        Self {
            weight: normal([inputs, outputs], 0.02, device),
            bias: normal([outputs], 0.02, device),
            over: 0,
        }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let ([batch, tokens, _], [_, outputs]) = (x.dims(), self.weight.dims());
        if outputs == 0 {
            return Tensor::zeros([batch, tokens, 0], &x.device());
        }
        let x = x.matmul(self.weight.val().unsqueeze()) + self.bias.val().unsqueeze();
        match self.over {
            0 => x,
            over => x * (outputs as f64 / over as f64),
        }
    }
}

impl<const FLAW: u8> SlimLayer<Output> for OwnLinear<FLAW> {
    fn extent(&self, _: Output) -> usize {
        self.weight.dims()[1]
    }

    fn with_statistics_over(self, _: Output, features: usize) -> Self {
        Self { over: if FLAW == STATISTICS { features } else { 0 }, ..self }
    }

    fn scale(mut self, _: Output, factors: Tensor<1>) -> Self {
        self.weight = scale_param(self.weight, 1, &factors);
        if FLAW != UNSCALED {
            self.bias = scale_param(self.bias, 0, &factors);
        }
        self
    }

    fn select(mut self, _: Output, kept: Tensor<1, Int>) -> Self {
        let (before, after) = (self.weight.dims()[1], kept.dims()[0]);
        self.weight = select_param(self.weight, if FLAW == OTHER_AXIS { 0 } else { 1 }, &kept);
        if FLAW == RESCALED {
            self.weight = self.weight.map(|weight| weight * (before as f64 / after as f64));
        }
        if FLAW != UNCUT {
            self.bias = select_param(self.bias, 0, &kept);
        }
        self
    }
}

impl<const FLAW: u8> SlimLayer<Input> for OwnLinear<FLAW> {
    fn extent(&self, _: Input) -> usize {
        self.weight.dims()[0]
    }

    fn scale(mut self, _: Input, factors: Tensor<1>) -> Self {
        self.weight = scale_param(self.weight, 0, &factors);
        self
    }

    fn select(mut self, _: Input, kept: Tensor<1, Int>) -> Self {
        self.weight = select_param(self.weight, 0, &kept);
        self
    }
}

/// `fc1` is of an author's own.
#[derive(Module, Debug, Slimmable)]
pub struct OwnLayer<const FLAW: u8> {
    #[slim(output = [hidden], gate)]
    fc1: OwnLinear<FLAW>,
    #[slim(input = [hidden])]
    fc2: Linear,
}

impl<const FLAW: u8> Part for OwnLayer<FLAW> {
    fn new(device: &Device) -> Self {
        Self { fc1: OwnLinear::new(WIDTH, HIDDEN, device), fc2: linear(HIDDEN, WIDTH, device) }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        x.clone() + self.fc2.forward(activation::gelu(self.fc1.forward(x)))
    }
}
