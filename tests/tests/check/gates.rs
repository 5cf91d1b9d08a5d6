//! Gates that are missing, or stand where they do not silence a unit.

use burn::tensor::activation;
use vitslim_core::prelude::*;

use super::features::HIDDEN;
use super::net::{Part, Planted, WIDTH, checked_part, linear};

/// The mistakes of this file.
pub const PLANTED: &[Planted] = &[
    (
        "a gate behind a norm",
        checked_part::<GateBehindNorm>,
        &[
            "`blocks.0.hidden`",
            "`blocks.*.fc1.weight` still acts for units that `hidden` removed",
            "`gate` after the `output` of `blocks.*.fc1`",
        ],
    ),
    (
        "a gate before a norm only",
        checked_part::<GateBeforeNorm>,
        &[
            "`blocks.0.hidden`",
            "`blocks.*.norm.beta` still adds to units that `hidden` removed",
            "`gate` after the `output` of `blocks.*.norm`",
        ],
    ),
    (
        "a gate before a sigmoid",
        checked_part::<GateBeforeSigmoid>,
        &[
            "`blocks.0.hidden`",
            "`blocks.*.fc2.weight` still reads units that `hidden` removed",
            "`gate` after the `input` of `blocks.*.fc2`",
        ],
    ),
    (
        "two gates missing behind squeeze-and-excitation",
        checked_part::<TwoGatesMissing>,
        &[
            "`blocks.0.hidden`",
            "write `gate` after the `input` of `blocks.*.reduce`, where that is `hidden`; and write `gate` after the `input` of \
             `blocks.*.fc2`, where that is `hidden`: with that, the two agree",
        ],
    ),
    (
        "a gate on the wrong part of a tuple",
        checked_part::<GateOnTheWrongPart>,
        &["`blocks.0.hidden`", "write `gate` after the `output` of `blocks.*.write.1`"],
    ),
    (
        "a name shared, and one gate",
        checked_part::<SharedWithoutGate>,
        &[
            "`blocks.0.hidden`",
            "`blocks.*.fc4.weight` still reads units",
            "`gate` after the `input` of `blocks.*.fc4`",
        ],
    ),
    (
        "queries gated, values not",
        checked_part::<OnlyQueriesGated>,
        &[
            "`blocks.0.head_dim`",
            "`blocks.*.v.bias` still adds to units that `head_dim` removed",
            "`gate` after the `output` of `blocks.*.v`",
        ],
    ),
];

/// A mask behind a norm, whose mean and variance the masked units are still part of.
#[derive(Module, Debug, Slimmable)]
pub struct GateBehindNorm {
    #[slim(output = [hidden])]
    fc1: Linear,
    #[slim(output = [hidden], gate)]
    norm: LayerNorm,
    #[slim(input = [hidden])]
    fc2: Linear,
}

impl Part for GateBehindNorm {
    fn new(device: &Device) -> Self {
        Self {
            fc1: linear(WIDTH, HIDDEN, device),
            norm: LayerNormConfig::new(HIDDEN).init(device),
            fc2: linear(HIDDEN, WIDTH, device),
        }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        x.clone() + self.fc2.forward(self.norm.forward(self.fc1.forward(x)))
    }
}

/// A mask before a norm only, whose shift then adds to what is masked.
#[derive(Module, Debug, Slimmable)]
pub struct GateBeforeNorm {
    #[slim(output = [hidden], gate)]
    fc1: Linear,
    #[slim(output = [hidden])]
    norm: LayerNorm,
    #[slim(input = [hidden])]
    fc2: Linear,
}

impl Part for GateBeforeNorm {
    fn new(device: &Device) -> Self {
        let GateBehindNorm { fc1, norm, fc2 } = GateBehindNorm::new(device);
        Self { fc1, norm, fc2 }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        x.clone() + self.fc2.forward(self.norm.forward(self.fc1.forward(x)))
    }
}

/// A mask before an activation that is not 0 at 0.
#[derive(Module, Debug, Slimmable)]
pub struct GateBeforeSigmoid {
    #[slim(output = [hidden], gate)]
    fc1: Linear,
    #[slim(input = [hidden])]
    fc2: Linear,
}

impl Part for GateBeforeSigmoid {
    fn new(device: &Device) -> Self {
        Self { fc1: linear(WIDTH, HIDDEN, device), fc2: linear(HIDDEN, WIDTH, device) }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        x.clone() + self.fc2.forward(activation::sigmoid(self.fc1.forward(x)))
    }
}

/// Two MLPs that share the name of their hidden units; one has no gate.
#[derive(Module, Debug, Slimmable)]
pub struct SharedWithoutGate {
    #[slim(output = [hidden])]
    fc1: Linear,
    #[slim(input = [hidden], gate)]
    fc2: Linear,
    #[slim(output = [hidden])]
    fc3: Linear,
    #[slim(input = [hidden])]
    fc4: Linear,
}

impl Part for SharedWithoutGate {
    fn new(device: &Device) -> Self {
        let [fc1, fc3] = [(); 2].map(|()| linear(WIDTH, HIDDEN, device));
        let [fc2, fc4] = [(); 2].map(|()| linear(HIDDEN, WIDTH, device));
        Self { fc1, fc2, fc3, fc4 }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let x = x.clone() + self.fc2.forward(activation::gelu(self.fc1.forward(x)));
        x.clone() + self.fc4.forward(activation::gelu(self.fc3.forward(x)))
    }
}

/// Separate queries, keys and values, of which only the queries are gated: the values still act.
#[derive(Module, Debug, Slimmable)]
pub struct OnlyQueriesGated {
    #[slim(output = [heads, head_dim], gate)]
    q: Linear,
    #[slim(output = [heads, head_dim])]
    k: Linear,
    #[slim(output = [heads, head_dim])]
    v: Linear,
    #[slim(layout = [heads, head_dim])]
    heads: HeadLayout,
    #[slim(input = [heads, head_dim])]
    proj: Linear,
}

impl Part for OnlyQueriesGated {
    fn new(device: &Device) -> Self {
        let [q, k, v, proj] = [(); 4].map(|()| linear(WIDTH, WIDTH, device));
        Self { q, k, v, proj, heads: HeadLayout::new(2, WIDTH / 2) }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let parts = [&self.q, &self.k, &self.v].map(|layer| layer.forward(x.clone()));
        x + self.proj.forward(self.heads.attend(Tensor::cat(parts.to_vec(), 2)))
    }
}

/// Squeeze-and-excitation behind a sigmoid: two layers read what is not 0 for masked units.
#[derive(Module, Debug, Slimmable)]
pub struct TwoGatesMissing {
    #[slim(output = [hidden], gate)]
    fc1: Linear,
    #[slim(input = [hidden], output = [squeezed])]
    reduce: Linear,
    #[slim(input = [squeezed], gate, output = [hidden])]
    expand: Linear,
    #[slim(input = [hidden])]
    fc2: Linear,
}

impl Part for TwoGatesMissing {
    fn new(device: &Device) -> Self {
        Self {
            fc1: linear(WIDTH, HIDDEN, device),
            reduce: linear(HIDDEN, 4, device),
            expand: linear(4, HIDDEN, device),
            fc2: linear(HIDDEN, WIDTH, device),
        }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let hidden = activation::sigmoid(self.fc1.forward(x.clone()));
        let squeezed = activation::gelu(self.reduce.forward(hidden.clone().mean_dim(1)));
        x + self.fc2.forward(hidden * activation::sigmoid(self.expand.forward(squeezed)))
    }
}

/// A norm inside of a tuple, whose gate stands on the layer before it.
#[derive(Module, Debug, Slimmable)]
pub struct GateOnTheWrongPart {
    #[slim(0(output = [hidden], gate), 1(output = [hidden]))]
    write: (Linear, BatchNorm),
    #[slim(input = [hidden])]
    fc2: Linear,
}

impl Part for GateOnTheWrongPart {
    fn new(device: &Device) -> Self {
        let write = (linear(WIDTH, HIDDEN, device), BatchNormConfig::new(HIDDEN).init(device));
        Self { write, fc2: linear(HIDDEN, WIDTH, device) }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let hidden = self.write.0.forward(x.clone()).swap_dims(1, 2);
        let hidden = activation::relu(self.write.1.forward(hidden)).swap_dims(1, 2);
        x + self.fc2.forward(hidden)
    }
}
