#![allow(dead_code)]

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use vitslim_core::prelude::*;

#[derive(Module, Debug, Slimmable)]
#[slim(outer = [width])]
pub struct Mlp {
    #[slim(input = [width], output = [hidden])]
    fc1: Linear,
    #[slim(input = [hidden], gate, output = [width], gate)]
    fc2: Linear,
}

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

fn main() {}
