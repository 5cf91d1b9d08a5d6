//! Wrong token gates.

use vitslim_core::prelude::*;

use super::net::{Part, Planted, TOKENS, WIDTH, checked, checked_part, linear, pooled, rows};

/// The mistakes of this file.
pub const PLANTED: &[Planted] = &[
    (
        "a token gate that removes nothing",
        checked_part::<KeepMissing>,
        &[
            "the token gate `blocks.0.tokens` (and 1 like it) removes no tokens: the forward pass never calls its `keep`",
        ],
    ),
    (
        "a token gate that scales nothing",
        checked_part::<ScaleMissing>,
        &["`blocks.*.tokens` never reaches the loss", "self.tokens.scale"],
    ),
    (
        "a token gate for fewer tokens",
        checked_part::<PrefixForgotten>,
        &["the token gate `blocks.0.tokens` is made for 3 tokens, but 4 arrive at it"],
    ),
    (
        "positions behind a token gate",
        checked_part::<PositionsTooLate>,
        &["tokens`", "axis 1 of `blocks.*.positions` keeps tokens that were cut"],
    ),
    (
        "a token gate that acts twice",
        checked_part::<KeptTwice>,
        &["calls `keep` of the token gate `blocks.0.tokens` (and 1 like it) 2 times"],
    ),
    (
        "positions behind the later of two token gates",
        checked::<LaterIsWrong>,
        &["`late.tokens`", "axis 1 of `late.positions` keeps tokens that were cut"],
    ),
    (
        "token gates in another order",
        checked::<OrderExchanged>,
        &["the token gate `early.tokens` acts before `late.tokens`, which is declared before it"],
    ),
];

/// A gate whose `keep` is not called.
#[derive(Module, Debug, Slimmable)]
pub struct KeepMissing {
    #[slim(tokens)]
    tokens: TokenGate,
    fc: Linear,
}

impl Part for KeepMissing {
    fn new(device: &Device) -> Self {
        Self { tokens: TokenGate::new(TOKENS, 0), fc: linear(WIDTH, WIDTH, device) }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        x.clone() + self.fc.forward(self.tokens.scale(x))
    }
}

/// A gate whose `scale` is not called.
#[derive(Module, Debug, Slimmable)]
pub struct ScaleMissing {
    #[slim(tokens)]
    tokens: TokenGate,
    fc: Linear,
}

impl Part for ScaleMissing {
    fn new(device: &Device) -> Self {
        Self { tokens: TokenGate::new(TOKENS, 0), fc: linear(WIDTH, WIDTH, device) }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let x = self.tokens.keep(x);
        x.clone() + self.fc.forward(x)
    }
}

/// A gate that forgets the token that stands before the others.
#[derive(Module, Debug, Slimmable)]
pub struct PrefixForgotten {
    #[slim(tokens)]
    tokens: TokenGate,
    fc: Linear,
}

impl Part for PrefixForgotten {
    fn new(device: &Device) -> Self {
        Self { tokens: TokenGate::new(TOKENS - 1, 1), fc: linear(WIDTH, WIDTH, device) }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let x = self.tokens.keep(x);
        x.clone() + self.fc.forward(self.tokens.scale(x))
    }
}

/// Positions that are added to tokens some of which are gone.
#[derive(Module, Debug, Slimmable)]
pub struct PositionsTooLate {
    #[slim(tokens)]
    tokens: TokenGate,
    positions: Param<Tensor<3>>,
    fc: Linear,
}

impl Part for PositionsTooLate {
    fn new(device: &Device) -> Self {
        Self {
            tokens: TokenGate::new(TOKENS, 0),
            positions: normal([1, TOKENS, WIDTH], 0.02, device),
            fc: linear(WIDTH, WIDTH, device),
        }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let x = self.tokens.keep(x) + self.positions.val();
        x.clone() + self.fc.forward(self.tokens.scale(x))
    }
}

/// Two stages, of which the one declared first acts last.
#[derive(Module, Debug, Slimmable)]
pub struct OrderExchanged {
    embed: Linear,
    #[slim]
    late: Stage,
    #[slim]
    early: Stage,
    head: Linear,
}

#[derive(Module, Debug, Slimmable)]
pub struct Stage {
    #[slim(tokens)]
    tokens: TokenGate,
    fc: Linear,
}

impl Stage {
    fn new(device: &Device) -> Self {
        Self { tokens: TokenGate::new(TOKENS, 0), fc: linear(WIDTH, WIDTH, device) }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let x = self.tokens.keep(x);
        x.clone() + self.fc.forward(self.tokens.scale(x))
    }
}

impl Architecture for OrderExchanged {
    type Config = ();

    fn presets() -> Vec<(&'static str, ())> {
        Vec::new()
    }

    fn init(_: &(), device: &Device) -> Result<Self, ConfigError> {
        Ok(Self {
            embed: linear(4, WIDTH, device),
            late: Stage::new(device),
            early: Stage::new(device),
            head: linear(WIDTH, 3, device),
        })
    }

    fn forward(&self, images: Tensor<4>) -> Logits {
        let x = self.embed.forward(rows(images));
        let x = self.late.forward(self.early.forward(x));
        self.head.forward(pooled(x)).into()
    }
}

/// A part that calls `keep` twice.
#[derive(Module, Debug, Slimmable)]
pub struct KeptTwice {
    #[slim(tokens)]
    tokens: TokenGate,
    fc: Linear,
}

impl Part for KeptTwice {
    fn new(device: &Device) -> Self {
        Self { tokens: TokenGate::new(TOKENS, 0), fc: linear(WIDTH, WIDTH, device) }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let branch = self.fc.forward(self.tokens.scale(self.tokens.keep(x.clone())));
        self.tokens.keep(x) + branch
    }
}

/// A stage whose tokens are right, before one with positions for tokens that are gone.
#[derive(Module, Debug, Slimmable)]
pub struct LaterIsWrong {
    embed: Linear,
    #[slim]
    early: Stage,
    #[slim]
    late: PositionsTooLate,
    head: Linear,
}

impl Architecture for LaterIsWrong {
    type Config = ();

    fn presets() -> Vec<(&'static str, ())> {
        Vec::new()
    }

    fn init(_: &(), device: &Device) -> Result<Self, ConfigError> {
        Ok(Self {
            embed: linear(4, WIDTH, device),
            early: Stage::new(device),
            late: PositionsTooLate::new(device),
            head: linear(WIDTH, 3, device),
        })
    }

    fn forward(&self, images: Tensor<4>) -> Logits {
        let x = self.late.forward(self.early.forward(self.embed.forward(rows(images))));
        self.head.forward(pooled(x)).into()
    }
}
