//! Wrong annotations of the units of a part.

use burn::tensor::{Int, activation};
use vitslim_core::prelude::*;
use vitslim_core::slim::{Input, Output, SlimLayer, scale_param, select_param};

use super::net::{Part, WIDTH, linear};

pub const HIDDEN: usize = 8;

/// Of two layers that write the hidden units, one is not annotated.
#[derive(Module, Debug, Slimmable)]
pub struct ProducerMissed {
    #[slim(output = [hidden])]
    fc1: Linear,
    fc_gate: Linear,
    #[slim(input = [hidden], gate)]
    fc2: Linear,
}

impl Part for ProducerMissed {
    fn new(device: &Device) -> Self {
        let [fc1, fc_gate] = [(); 2].map(|()| linear(WIDTH, HIDDEN, device));
        Self { fc1, fc_gate, fc2: linear(HIDDEN, WIDTH, device) }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let gate = activation::sigmoid(self.fc_gate.forward(x.clone()));
        x.clone() + self.fc2.forward(self.fc1.forward(x) * gate)
    }
}

/// Of two layers that read the hidden units, one is not annotated.
#[derive(Module, Debug, Slimmable)]
pub struct ConsumerMissed {
    #[slim(output = [hidden], gate)]
    fc1: Linear,
    #[slim(input = [hidden])]
    fc2: Linear,
    fc3: Linear,
}

impl Part for ConsumerMissed {
    fn new(device: &Device) -> Self {
        let [fc2, fc3] = [(); 2].map(|()| linear(HIDDEN, WIDTH, device));
        Self { fc1: linear(WIDTH, HIDDEN, device), fc2, fc3 }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let hidden = activation::gelu(self.fc1.forward(x.clone()));
        x + self.fc2.forward(hidden.clone()) * activation::sigmoid(self.fc3.forward(hidden))
    }
}

/// What is wrong with [`OwnLinear`]: its mask leaves the bias out.
pub const UNSCALED: u8 = 0;
/// Cutting leaves the bias as it is.
pub const UNCUT: u8 = 1;
/// Cutting is along the other axis.
pub const OTHER_AXIS: u8 = 2;
/// Cutting makes what stays larger, as dropout does.
pub const RESCALED: u8 = 3;

/// A linear layer of an author's own, with a mistake in one of its two methods.
#[derive(Module, Debug)]
pub struct OwnLinear<const FLAW: u8> {
    weight: Param<Tensor<2>>,
    bias: Param<Tensor<1>>,
}

impl<const FLAW: u8> OwnLinear<FLAW> {
    fn new(inputs: usize, outputs: usize, device: &Device) -> Self {
        Self { weight: normal([inputs, outputs], 0.02, device), bias: normal([outputs], 0.02, device) }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        x.matmul(self.weight.val().unsqueeze()) + self.bias.val().unsqueeze()
    }
}

impl<const FLAW: u8> SlimLayer<Output> for OwnLinear<FLAW> {
    fn extent(&self, _: Output) -> usize {
        self.weight.dims()[1]
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

/// Values and gates lie one after the other, and are annotated as if they were interleaved.
#[derive(Module, Debug, Slimmable)]
pub struct FactorsExchanged {
    #[slim(output = [hidden, 2])]
    fc1: Linear,
    #[slim(input = [hidden], gate)]
    fc2: Linear,
}

impl Part for FactorsExchanged {
    fn new(device: &Device) -> Self {
        Self { fc1: linear(WIDTH, 2 * HIDDEN, device), fc2: linear(HIDDEN, WIDTH, device) }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let both = self.fc1.forward(x.clone());
        let hidden = both.dims()[2] / 2;
        let (values, gates) = (both.clone().narrow(2, 0, hidden), both.narrow(2, hidden, hidden));
        x + self.fc2.forward(values * activation::sigmoid(gates))
    }
}

/// What is right until a search cuts all units of a block.
#[derive(Module, Debug, Slimmable)]
pub struct NeverEmpty {
    #[slim(output = [2, hidden])]
    fc1: Linear,
    #[slim(input = [hidden], gate)]
    fc2: Linear,
}

impl Part for NeverEmpty {
    fn new(device: &Device) -> Self {
        let FactorsExchanged { fc1, fc2 } = FactorsExchanged::new(device);
        Self { fc1, fc2 }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let both = self.fc1.forward(x.clone());
        let hidden = both.dims()[2] / 2;
        let (values, gates) = (both.clone().narrow(2, 0, hidden), both.narrow(2, hidden, hidden));
        x + self.fc2.forward(values * activation::sigmoid(gates))
    }
}

/// Attention whose queries, keys and values alternate from dim to dim, annotated as if they lay one after the other.
#[derive(Module, Debug, Slimmable)]
pub struct HeadsExchanged {
    #[slim(output = [3, heads, head_dim], gate)]
    qkv: Linear,
    #[slim(layout = [heads, head_dim])]
    heads: HeadLayout,
    #[slim(input = [heads, head_dim])]
    proj: Linear,
}

impl Part for HeadsExchanged {
    fn new(device: &Device) -> Self {
        Self {
            qkv: linear(WIDTH, 3 * WIDTH, device),
            heads: HeadLayout::new(2, WIDTH / 2),
            proj: linear(WIDTH, WIDTH, device),
        }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let qkv = self.qkv.forward(x.clone());
        let [batch, tokens, features] = qkv.dims();
        let qkv =
            qkv.reshape([batch, tokens, features / 3, 3]).swap_dims(2, 3).reshape([batch, tokens, features]);
        x + self.proj.forward(self.heads.attend(qkv))
    }
}

/// A layer that keeps the width is annotated as the hidden units, of which there are as many.
#[derive(Module, Debug, Slimmable)]
pub struct NameReused {
    #[slim(output = [hidden])]
    fc1: Linear,
    #[slim(input = [hidden], gate)]
    fc2: Linear,
    #[slim(output = [hidden])]
    skip: Linear,
}

impl Part for NameReused {
    fn new(device: &Device) -> Self {
        let [fc1, fc2, skip] = [(); 3].map(|()| linear(WIDTH, WIDTH, device));
        Self { fc1, fc2, skip }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        self.skip.forward(x.clone()) + self.fc2.forward(activation::gelu(self.fc1.forward(x)))
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

/// The reader is annotated on the wrong layer.
#[derive(Module, Debug, Slimmable)]
pub struct WrongConsumer {
    #[slim(output = [hidden])]
    fc1: Linear,
    fc2: Linear,
    #[slim(input = [hidden], gate)]
    fc3: Linear,
}

impl Part for WrongConsumer {
    fn new(device: &Device) -> Self {
        let [fc1, fc2, fc3] = [(); 3].map(|()| linear(WIDTH, WIDTH, device));
        Self { fc1, fc2, fc3 }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let x = x.clone() + self.fc2.forward(activation::gelu(self.fc1.forward(x)));
        self.fc3.forward(x)
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

/// A parameter for each hidden unit that is not annotated; the forward pass takes as many as it needs, from the first.
#[derive(Module, Debug, Slimmable)]
pub struct FirstTaken {
    #[slim(output = [hidden])]
    fc1: Linear,
    slopes: Param<Tensor<1>>,
    #[slim(input = [hidden], gate)]
    fc2: Linear,
}

impl Part for FirstTaken {
    fn new(device: &Device) -> Self {
        Self {
            fc1: linear(WIDTH, HIDDEN, device),
            slopes: normal([HIDDEN], 0.02, device),
            fc2: linear(HIDDEN, WIDTH, device),
        }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let hidden = self.fc1.forward(x.clone());
        let count = hidden.dims()[2];
        let slopes = self.slopes.val().narrow(0, 0, count);
        x + self.fc2.forward(hidden * slopes.unsqueeze())
    }
}

/// A norm by hand, over as many units as are left.
#[derive(Module, Debug, Slimmable)]
pub struct NormByHand {
    #[slim(output = [hidden], gate)]
    fc1: Linear,
    #[slim(input = [hidden])]
    fc2: Linear,
}

impl Part for NormByHand {
    fn new(device: &Device) -> Self {
        Self { fc1: linear(WIDTH, HIDDEN, device), fc2: linear(HIDDEN, WIDTH, device) }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let hidden = self.fc1.forward(x.clone());
        let size = (hidden.clone().square().mean_dim(2) + 1e-6).sqrt();
        x + self.fc2.forward(hidden / size)
    }
}

/// A branch that the forward pass never takes.
#[derive(Module, Debug, Slimmable)]
pub struct BranchUnused {
    #[slim(output = [hidden])]
    fc1: Linear,
    #[slim(input = [hidden], gate)]
    fc2: Linear,
    other: Linear,
}

impl Part for BranchUnused {
    fn new(device: &Device) -> Self {
        Self {
            fc1: linear(WIDTH, HIDDEN, device),
            fc2: linear(HIDDEN, WIDTH, device),
            other: linear(WIDTH, WIDTH, device),
        }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        self.other.forward(x)
    }
}

/// A branch that the gradient does not enter.
#[derive(Module, Debug, Slimmable)]
pub struct BranchDetached {
    #[slim(output = [hidden])]
    fc1: Linear,
    #[slim(input = [hidden], gate)]
    fc2: Linear,
}

impl Part for BranchDetached {
    fn new(device: &Device) -> Self {
        Self { fc1: linear(WIDTH, HIDDEN, device), fc2: linear(HIDDEN, WIDTH, device) }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        x.clone() + self.fc2.forward(activation::gelu(self.fc1.forward(x))).detach()
    }
}

/// A factor that the number of features is no multiple of.
#[derive(Module, Debug, Slimmable)]
pub struct Indivisible {
    #[slim(output = [3, hidden])]
    fc1: Linear,
    #[slim(input = [hidden], gate)]
    fc2: Linear,
}

impl Part for Indivisible {
    fn new(device: &Device) -> Self {
        Self { fc1: linear(WIDTH, HIDDEN, device), fc2: linear(HIDDEN, WIDTH, device) }
    }

    fn forward(&self, _: Tensor<3>) -> Tensor<3> {
        panic!("sizes are looked at before any forward pass")
    }
}

/// One name for two axes of different sizes.
#[derive(Module, Debug, Slimmable)]
pub struct SizesDisagree {
    #[slim(output = [hidden])]
    fc1: Linear,
    #[slim(input = [hidden], gate, output = [hidden])]
    fc2: Linear,
}

impl Part for SizesDisagree {
    fn new(device: &Device) -> Self {
        Self { fc1: linear(WIDTH, HIDDEN, device), fc2: linear(HIDDEN, WIDTH, device) }
    }

    fn forward(&self, _: Tensor<3>) -> Tensor<3> {
        panic!("sizes are looked at before any forward pass")
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

/// Two features of a hidden unit, of which the axis does not speak.
#[derive(Module, Debug, Slimmable)]
pub struct CountForgotten {
    #[slim(output = [hidden])]
    fc1: Linear,
    #[slim(input = [hidden], gate)]
    fc2: Linear,
}

impl Part for CountForgotten {
    fn new(device: &Device) -> Self {
        Self { fc1: linear(WIDTH, HIDDEN, device), fc2: linear(2 * HIDDEN, WIDTH, device) }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let hidden = self.fc1.forward(x.clone());
        let both = Tensor::cat(vec![activation::gelu(hidden.clone()), activation::relu(hidden)], 2);
        x + self.fc2.forward(both)
    }
}

/// Queries, keys and values, whose number the axis leaves out; with `OTHER`, a layout of other heads.
#[derive(Module, Debug, Slimmable)]
pub struct LayoutDisagrees<const OTHER: bool> {
    #[slim(output = [heads, head_dim], gate)]
    qkv: Linear,
    #[slim(layout = [heads, head_dim])]
    heads: HeadLayout,
    #[slim(input = [heads, head_dim])]
    proj: Linear,
}

impl<const OTHER: bool> Part for LayoutDisagrees<OTHER> {
    fn new(device: &Device) -> Self {
        let heads = HeadLayout::new(2, if OTHER { 4 } else { 3 });
        Self { qkv: linear(WIDTH, 3 * WIDTH, device), heads, proj: linear(WIDTH, WIDTH, device) }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        x.clone() + self.proj.forward(self.heads.attend(self.qkv.forward(x)))
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

/// Two MLPs, which scale their hidden units by a struct that declares what it should borrow.
#[derive(Module, Debug, Slimmable)]
pub struct NotBorrowed {
    #[slim]
    first: Scaled,
    #[slim]
    second: Scaled,
}

#[derive(Module, Debug, Slimmable)]
pub struct Scaled {
    #[slim(output = [hidden])]
    fc1: Linear,
    #[slim]
    excite: Excite,
    #[slim(input = [hidden], gate)]
    fc2: Linear,
}

#[derive(Module, Debug, Slimmable)]
pub struct Excite {
    #[slim(input = [hidden], gate, output = [squeezed])]
    reduce: Linear,
    #[slim(input = [squeezed], gate, output = [hidden])]
    expand: Linear,
}

impl Scaled {
    fn new(device: &Device) -> Self {
        let excite = Excite { reduce: linear(HIDDEN, 4, device), expand: linear(4, HIDDEN, device) };
        Self { fc1: linear(WIDTH, HIDDEN, device), excite, fc2: linear(HIDDEN, WIDTH, device) }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let hidden = activation::gelu(self.fc1.forward(x.clone()));
        let squeezed = activation::gelu(self.excite.reduce.forward(hidden.clone()));
        x + self.fc2.forward(hidden * activation::sigmoid(self.excite.expand.forward(squeezed)))
    }
}

impl Part for NotBorrowed {
    fn new(device: &Device) -> Self {
        Self { first: Scaled::new(device), second: Scaled::new(device) }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        self.second.forward(self.first.forward(x))
    }
}
