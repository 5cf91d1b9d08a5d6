//! Unusual architectures whose annotations are right.

use burn::tensor::activation;
use vitslim_core::prelude::*;

use super::features::HIDDEN;
use super::net::{Part, TOKENS, WIDTH, linear};

/// A dimension of three carriers, gated once.
#[derive(Module, Debug, Slimmable)]
pub struct Gated {
    #[slim(output = [hidden])]
    fc1: Linear,
    #[slim(output = [hidden])]
    fc_gate: Linear,
    #[slim(input = [hidden], gate)]
    fc2: Linear,
}

impl Part for Gated {
    fn new(device: &Device) -> Self {
        let [fc1, fc_gate] = [(); 2].map(|()| linear(WIDTH, HIDDEN, device));
        Self { fc1, fc_gate, fc2: linear(HIDDEN, WIDTH, device) }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let gate = activation::sigmoid(self.fc_gate.forward(x.clone()));
        x.clone() + self.fc2.forward(self.fc1.forward(x) * gate)
    }
}

/// Two branches side by side, one of them inside of a norm, and a norm over the hidden units.
#[derive(Module, Debug, Slimmable)]
pub struct Parallel {
    norm: LayerNorm,
    #[slim(output = [wide], gate)]
    fc1: Linear,
    #[slim(output = [wide], gate)]
    inner: LayerNorm,
    #[slim(input = [wide])]
    fc2: Linear,
    #[slim(output = [narrow], gate)]
    fc3: Linear,
    #[slim(input = [narrow])]
    fc4: Linear,
}

impl Part for Parallel {
    fn new(device: &Device) -> Self {
        Self {
            norm: LayerNormConfig::new(WIDTH).init(device),
            fc1: linear(WIDTH, HIDDEN, device),
            inner: LayerNormConfig::new(HIDDEN).init(device),
            fc2: linear(HIDDEN, WIDTH, device),
            fc3: linear(WIDTH, 3, device),
            fc4: linear(3, WIDTH, device),
        }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let read = self.norm.forward(x.clone());
        let wide = self.inner.forward(self.fc1.forward(read.clone()));
        let narrow = activation::gelu(self.fc3.forward(read));
        x + self.fc2.forward(wide) + self.fc4.forward(narrow)
    }
}

/// Values and gates side by side in one layer.
#[derive(Module, Debug, Slimmable)]
pub struct SideBySide {
    #[slim(output = [2, hidden])]
    fc1: Linear,
    #[slim(input = [hidden], gate)]
    fc2: Linear,
}

impl Part for SideBySide {
    fn new(device: &Device) -> Self {
        Self { fc1: linear(WIDTH, 2 * HIDDEN, device), fc2: linear(HIDDEN, WIDTH, device) }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let both = self.fc1.forward(x.clone());
        let hidden = both.dims()[2] / 2;
        if hidden == 0 {
            return x + self.fc2.forward(both);
        }
        let (values, gates) = (both.clone().narrow(2, 0, hidden), both.narrow(2, hidden, hidden));
        x + self.fc2.forward(values * activation::sigmoid(gates))
    }
}

/// Tokens that are gated once for two branches, with a dropout that training draws anew each time, and a width that nobody declares.
#[derive(Module, Debug, Slimmable)]
#[slim(outer = [width])]
pub struct Tokens {
    #[slim(tokens)]
    tokens: TokenGate,
    #[slim(input = [width], output = [3, heads, head_dim], gate)]
    qkv: Linear,
    #[slim(layout = [heads, head_dim])]
    heads: HeadLayout,
    #[slim(input = [heads, head_dim])]
    proj: Linear,
    drop_path: DropPath,
}

impl Part for Tokens {
    fn new(device: &Device) -> Self {
        Self {
            tokens: TokenGate::new(TOKENS, 1),
            qkv: linear(WIDTH, 3 * WIDTH, device),
            heads: HeadLayout::new(2, WIDTH / 2),
            proj: linear(WIDTH, WIDTH, device),
            drop_path: DropPath::new(0.5),
        }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let x = self.tokens.keep(x);
        let read = self.tokens.scale(x.clone());
        let attended = self.proj.forward(self.heads.attend(self.qkv.forward(read)));
        x + self.drop_path.forward(attended)
    }
}

/// Norms that are not the layer norm: of a batch, by running statistics, and of groups, of which some features go.
#[derive(Module, Debug, Slimmable)]
pub struct OtherNorms {
    #[slim(output = [batched])]
    fc1: Linear,
    #[slim(output = [batched], gate)]
    batch_norm: BatchNorm,
    #[slim(input = [batched], output = [grouped], gate)]
    fc2: Linear,
    #[slim(output = [grouped], gate)]
    group_norm: GroupNorm,
    #[slim(input = [grouped])]
    fc3: Linear,
}

impl Part for OtherNorms {
    fn new(device: &Device) -> Self {
        Self {
            fc1: linear(WIDTH, HIDDEN, device),
            batch_norm: BatchNormConfig::new(HIDDEN).init(device),
            fc2: linear(HIDDEN, 6, device),
            group_norm: GroupNormConfig::new(2, 6).init(device),
            fc3: linear(6, WIDTH, device),
        }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let hidden = self.fc1.forward(x.clone()).swap_dims(1, 2);
        let hidden = self.fc2.forward(self.batch_norm.forward(hidden).swap_dims(1, 2)).swap_dims(1, 2);
        x + self.fc3.forward(self.group_norm.forward(hidden).swap_dims(1, 2))
    }
}
