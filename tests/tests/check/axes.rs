//! Axes that say other factors than the features have, and what does not work once all units are cut.

use burn::tensor::activation;
use vitslim_core::prelude::*;

use super::features::HIDDEN;
use super::net::{Part, Planted, WIDTH, checked_part, linear};

/// The mistakes of this file.
pub const PLANTED: &[Planted] = &[
    (
        "factors exchanged",
        checked_part::<FactorsExchanged>,
        &["`blocks.0.hidden`", "`output = [2, hidden]` on `blocks.*.fc1`"],
    ),
    (
        "factors of heads exchanged",
        checked_part::<HeadsExchanged>,
        &["`blocks.0.head_dim`", "`output = [heads, head_dim, 3]` on `blocks.*.qkv`"],
    ),
    (
        "a branch that cannot be empty",
        checked_part::<NeverEmpty>,
        &["`blocks.0.hidden`", "with all its units cut, the forward pass fails"],
    ),
    (
        "a factor that does not divide",
        checked_part::<Indivisible>,
        &[
            "the output of `blocks.0.fc1` cannot carry `blocks.0.hidden`: it has 8 features, not a multiple of the 3 per unit",
            "is a count in the axis too many, or the layer made too small?",
        ],
    ),
    (
        "sizes that disagree",
        checked_part::<SizesDisagree>,
        &[
            "the output of `blocks.0.fc2` cannot carry `blocks.0.hidden`: it has 6 units there, but 8 at `blocks.0.fc1`",
            "if not, give one another name",
        ],
    ),
    (
        "a count that an axis leaves out",
        checked_part::<CountForgotten>,
        &[
            "the input of `blocks.0.fc2` cannot carry `blocks.0.hidden`: it has 16 units there, but 8 at `blocks.0.fc1`: if each unit \
             has 2 features there, write that count too, as in `[2, hidden]`",
        ],
    ),
    (
        "queries, keys and values whose number an axis leaves out",
        checked_part::<LayoutDisagrees<false>>,
        &[
            "it has 18 units there, but 6 in its layout: if each unit has 3 features there, write that count too, as in \
             `[3, heads, head_dim]`",
        ],
    ),
    (
        "a layout of other heads",
        checked_part::<LayoutDisagrees<true>>,
        &[
            "it has 18 units there, but 8 in its layout: is its `HeadLayout` made for the heads and dims of this layer?",
        ],
    ),
];

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
