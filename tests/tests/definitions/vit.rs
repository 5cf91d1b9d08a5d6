//! An embedding width that runs through all structs of a model.

use vitslim_core::prelude::*;

/// Borrows `width`, declares `hidden`.
#[derive(Module, Debug, Slimmable)]
#[slim(outer = [width])]
pub struct Mlp {
    #[slim(input = [width], output = [hidden])]
    fc1: Linear,
    #[slim(input = [hidden], gate, output = [width], gate)]
    fc2: Linear,
}

/// Borrows `width` for its norm.
#[derive(Module, Debug, Slimmable)]
#[slim(outer = [width])]
pub struct Block {
    #[slim(tokens)]
    tokens: TokenGate,
    #[slim(output = [width], gate)]
    norm: LayerNorm,
    #[slim]
    mlp: Mlp,
}

/// Declares `width`.
#[derive(Module, Debug, Slimmable)]
pub struct Vit {
    #[slim(output = [width], gate)]
    embed: Linear,
    #[slim(axis(2) = [width], gate)]
    pos_embed: Param<Tensor<3>>,
    #[slim]
    blocks: Vec<Block>,
    #[slim]
    extra: Option<Block>,
    #[slim(output = [width], gate)]
    norm: LayerNorm,
    #[slim(input = [width])]
    head: Linear,
}

/// The width comes out of a nested struct, so that this one sees only a norm write it.
#[derive(Module, Debug, Slimmable)]
pub struct Headed {
    #[slim]
    blocks: Vec<Block>,
    #[slim(output = [width], gate)]
    norm: LayerNorm,
    #[slim(input = [width])]
    head: Linear,
}
