//! Networks that are made, or taken apart, in a wrong way.

use burn::tensor::{FloatDType, activation};
use vitslim_core::prelude::*;
use vitslim_core::slim::{DimensionMapper, Factor, Output, Treatment};

use super::axes::NeverEmpty;
use super::features::HIDDEN;
use super::net::{Part, Planted, WIDTH, checked, checked_part, linear, pooled, rows};

/// The mistakes of this file.
pub const PLANTED: &[Planted] = &[
    (
        "a branch that cannot be empty, beside another with hidden units",
        checked::<InTwoFields>,
        &["`first.hidden`", "with all its units cut, the forward pass fails"],
    ),
    (
        "blocks that are clones",
        checked::<Blocks<{ CLONED }>>,
        &[
            "`blocks.0.fc1.weight` and `blocks.1.fc1.weight` (and 3 more such pairs) are one parameter to burn",
            "make each block anew",
            "to tie weights, keep them in one field",
        ],
    ),
    (
        "a tensor of f32",
        checked::<Blocks<{ OF_F32 }>>,
        &["the network makes a tensor of f32 explicitly", "leave the float type out"],
    ),
    ("a branch times 0", checked_part::<ByZero<false>>, &["`blocks.*.hidden` never reaches the loss"]),
    (
        "a field called by another name",
        checked::<ByHand<{ MISNAMED }>>,
        &["calls `embed.weight` by the name `stem.weight`", "the name of the field"],
    ),
    (
        "how to train a field that there is not",
        checked::<ByHand<{ MISTREATED }>>,
        &["says how to train `embde`, and the network has no such field; did you mean `embed`?"],
    ),
    (
        "a scope that is not closed",
        checked::<ByHand<{ UNCLOSED }>>,
        &["the scope of `width` is never closed", "call `close` once for each `lend`"],
    ),
    (
        "a scope that is closed twice",
        checked::<ByHand<{ CLOSED_TWICE }>>,
        &["more scopes are closed, or fields left, than were opened"],
    ),
    (
        "a field that is not left",
        checked::<ByHand<{ NOT_LEFT }>>,
        &["the field `head` is entered and never left"],
    ),
    (
        "a gate missing where the width has another name",
        checked::<ByHand<{ UNGATED }>>,
        &["`width`", "write `gate` after the `input` of `head.fc`, where that is `former`"],
    ),
];

#[derive(Module, Debug, Slimmable)]
pub struct Mlp {
    #[slim(output = [hidden])]
    fc1: Linear,
    #[slim(input = [hidden], gate)]
    fc2: Linear,
}

impl Mlp {
    fn new(device: &Device) -> Self {
        Self { fc1: linear(WIDTH, HIDDEN, device), fc2: linear(HIDDEN, WIDTH, device) }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        x.clone() + self.fc2.forward(activation::gelu(self.fc1.forward(x)))
    }
}

/// The second block is a clone of the first.
pub const CLONED: u8 = 0;
/// One block is called twice, which ties what is meant to be tied.
pub const CALLED_TWICE: u8 = 1;
/// The forward pass makes a tensor of f32.
pub const OF_F32: u8 = 2;

#[derive(Module, Debug, Slimmable)]
pub struct Blocks<const HOW: u8> {
    embed: Linear,
    #[slim]
    blocks: Vec<Mlp>,
    head: Linear,
}

impl<const HOW: u8> Architecture for Blocks<HOW> {
    type Config = ();

    fn presets() -> Vec<(&'static str, ())> {
        Vec::new()
    }

    fn init(_: &(), device: &Device) -> Result<Self, ConfigError> {
        let count = if HOW == CLONED { 2 } else { 1 };
        let blocks = vec![Mlp::new(device); count];
        Ok(Self { embed: linear(4, WIDTH, device), blocks, head: linear(WIDTH, 3, device) })
    }

    fn forward(&self, images: Tensor<4>) -> Logits {
        let mut x = self.embed.forward(rows(images));
        let times = if HOW == CALLED_TWICE { 2 } else { 1 };
        for block in self.blocks.iter().flat_map(|block| vec![block; times]) {
            x = block.forward(x);
        }
        if HOW == OF_F32 {
            x = x * Tensor::<3>::ones([1, 1, WIDTH], &self.head.devices()[0]).cast(FloatDType::F32);
        }
        self.head.forward(pooled(x)).into()
    }
}

/// A branch that is multiplied by 0; with `LEARNT`, by a parameter that starts at 0.
#[derive(Module, Debug, Slimmable)]
pub struct ByZero<const LEARNT: bool> {
    #[slim(output = [hidden])]
    fc1: Linear,
    #[slim(input = [hidden], gate)]
    fc2: Linear,
    scale: Param<Tensor<1>>,
}

impl<const LEARNT: bool> Part for ByZero<LEARNT> {
    fn new(device: &Device) -> Self {
        let Mlp { fc1, fc2 } = Mlp::new(device);
        Self { fc1, fc2, scale: Param::from_tensor(Tensor::zeros([WIDTH], device)) }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let scale = if LEARNT { self.scale.val() } else { self.scale.val() * 0.0 };
        x.clone() + self.fc2.forward(activation::gelu(self.fc1.forward(x))) * scale.unsqueeze()
    }
}

/// A branch that cannot be empty, and another with hidden units, which a budget ranks together although they are no list.
#[derive(Module, Debug, Slimmable)]
pub struct InTwoFields {
    embed: Linear,
    #[slim]
    first: NeverEmpty,
    #[slim]
    second: Mlp,
}

impl Architecture for InTwoFields {
    type Config = ();

    fn presets() -> Vec<(&'static str, ())> {
        Vec::new()
    }

    fn init(_: &(), device: &Device) -> Result<Self, ConfigError> {
        let (first, second) = (NeverEmpty::new(device), Mlp::new(device));
        Ok(Self { embed: linear(4, WIDTH, device), first, second })
    }

    fn forward(&self, images: Tensor<4>) -> Logits {
        let x = self.first.forward(self.embed.forward(rows(images)));
        pooled(self.second.forward(x)).narrow(1, 0, 3).into()
    }
}

/// All is right.
pub const SOUND: u8 = 0;
/// A field has another name.
pub const MISNAMED: u8 = 1;
/// A scope stays open.
pub const UNCLOSED: u8 = 2;
/// A scope is closed twice.
pub const CLOSED_TWICE: u8 = 3;
/// A field is not left.
pub const NOT_LEFT: u8 = 4;
/// The width is gated before a sigmoid, and not behind it, where it has another name.
pub const UNGATED: u8 = 5;

/// A field that there is not is trained in some way.
pub const MISTREATED: u8 = 6;

/// Taken apart by hand, as a network is that lends a dimension by another name.
#[derive(Module, Debug)]
pub struct ByHand<const HOW: u8> {
    embed: Linear,
    head: Head,
    gated: GatedHead,
}

/// Calls the width `former`.
#[derive(Module, Debug, Slimmable)]
#[slim(outer = [former])]
pub struct Head {
    #[slim(input = [former])]
    fc: Linear,
}

/// Calls the width `former`.
#[derive(Module, Debug, Slimmable)]
#[slim(outer = [former])]
pub struct GatedHead {
    #[slim(input = [former], gate)]
    fc: Linear,
}

impl<const HOW: u8> Slimmable for ByHand<HOW> {
    fn map_dimensions<M: DimensionMapper>(self, mapper: &mut M) -> Self {
        let Self { embed, mut head, mut gated } = self;
        mapper.treat(if HOW == MISTREATED { "embde" } else { "embed" }, &[Treatment::NoDecay]);
        mapper.lend(&[("width", "width".to_owned())]);
        let name = if HOW == MISNAMED { "stem" } else { "embed" };
        let embed = mapper.axis::<Output, _>(name, embed, Output, &[Factor::Units("width")], HOW == UNGATED);
        mapper.close();
        mapper.lend(&[("former", "width".to_owned())]);
        if HOW == UNGATED {
            head = head.map_nested("head", mapper);
        } else {
            gated = gated.map_nested("gated", mapper);
        }
        if HOW == NOT_LEFT {
            mapper.enter("head");
        }
        let times = match HOW {
            UNCLOSED => 0,
            CLOSED_TWICE => 2,
            _ => 1,
        };
        (0..times).for_each(|_| mapper.close());
        Self { embed, head, gated }
    }
}

impl<const HOW: u8> Architecture for ByHand<HOW> {
    type Config = ();

    fn presets() -> Vec<(&'static str, ())> {
        Vec::new()
    }

    fn init(_: &(), device: &Device) -> Result<Self, ConfigError> {
        let [head, gated] = [(); 2].map(|()| linear(WIDTH, 3, device));
        Ok(Self { embed: linear(4, WIDTH, device), head: Head { fc: head }, gated: GatedHead { fc: gated } })
    }

    fn forward(&self, images: Tensor<4>) -> Logits {
        let x = activation::sigmoid(pooled(self.embed.forward(rows(images))));
        let head = if HOW == UNGATED { &self.head.fc } else { &self.gated.fc };
        head.forward(x).into()
    }
}
