//! Wrong annotations of the layers that write and read the units of a part.

use burn::tensor::activation;
use vitslim_core::prelude::*;

use super::net::{Part, Planted, WIDTH, checked_part, linear};

/// The mistakes of this file.
pub const PLANTED: &[Planted] = &[
    (
        "a producer missed",
        checked_part::<ProducerMissed>,
        &[
            "`blocks.0.hidden` (and 1 like it)",
            "`blocks.*.fc_gate.weight` and `blocks.*.fc_gate.bias` keep units that `hidden` removed",
            "is `blocks.*.fc_gate` annotated? Write `#[slim(output = [hidden])]`",
        ],
    ),
    (
        "a consumer missed",
        checked_part::<ConsumerMissed>,
        &[
            "`blocks.0.hidden`",
            "`blocks.*.fc3.weight` keeps units",
            "is `blocks.*.fc3` annotated? Write `#[slim(input = [hidden])]`",
        ],
    ),
    (
        "a name reused for another axis",
        checked_part::<NameReused>,
        &["`blocks.0.hidden`", "take `hidden` from the `output` of `blocks.*.skip`"],
    ),
    (
        "a dimension declared that should be borrowed, in two fields",
        checked_part::<NotBorrowed>,
        &[
            "`blocks.0.first.hidden` (and 1 like it): after slicing, layers do not fit each other",
            "the same is wrong with `blocks.0.second.hidden`",
            "`blocks.*.first.excite` declares a `hidden` of its own: with `#[slim(outer = [hidden])]` on its struct it borrows \
             `blocks.*.first.hidden`, and the two agree",
        ],
    ),
    (
        "the wrong consumer",
        checked_part::<WrongConsumer>,
        &[
            "`blocks.0.hidden`",
            "take `hidden` from the `input` of `blocks.*.fc3`",
            "is `blocks.*.fc2` annotated? Write `#[slim(input = [hidden], gate)]`",
        ],
    ),
    (
        "a parameter of which the first are taken",
        checked_part::<FirstTaken>,
        &["`blocks.0.hidden`", "is `blocks.*.slopes` annotated? Write `#[slim(axis(0) = [hidden])]`"],
    ),
    (
        "a norm by hand",
        checked_part::<NormByHand>,
        &["`blocks.0.hidden`", "something between `blocks.*.fc1` and `blocks.*.fc2` counts them"],
    ),
    (
        "a branch that is not used",
        checked_part::<BranchUnused>,
        &["`blocks.*.hidden` never reaches the loss", "gated at `blocks.0.fc2`"],
    ),
    (
        "a branch without gradient",
        checked_part::<BranchDetached>,
        &["`blocks.*.hidden` never reaches the loss", "does nothing detach it"],
    ),
];

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
