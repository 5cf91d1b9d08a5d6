//! Flat dimensions.

use vitslim_core::prelude::*;

/// The usual MLP.
#[derive(Module, Debug, Slimmable)]
pub struct Mlp {
    #[slim(output = [hidden])]
    fc1: Linear,
    act: Gelu,
    #[slim(input = [hidden], gate)]
    fc2: Linear,
}

/// Two dimensions in one struct, a gate at each end, a trailing comma everywhere, and an attribute for each axis.
#[derive(Module, Debug, Slimmable)]
pub struct Bottleneck {
    #[slim(output = [wide,], gate,)]
    expand: Linear,
    #[slim(output = [narrow])]
    #[slim(input = [wide])]
    squeeze: Linear,
    #[slim(input = [narrow], gate)]
    project: Linear,
}

/// `w3(silu(w1(x)) * w2(x))`: one dimension gates three layers, of which two produce it.
#[derive(Module, Debug, Slimmable)]
pub struct SwiGlu {
    #[slim(output = [hidden], gate)]
    w1: Linear,
    #[slim(output = [hidden], gate)]
    w2: Linear,
    #[slim(input = [hidden], gate)]
    w3: Linear,
}

/// The same with both producers in one layer, and a norm over the product.
#[derive(Module, Debug, Slimmable)]
pub struct PackedSwiGlu {
    #[slim(output = [2, hidden], gate)]
    w12: Linear,
    #[slim(output = [hidden], gate)]
    norm: LayerNorm,
    #[slim(input = [hidden])]
    w3: Linear,
}
