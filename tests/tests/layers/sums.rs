//! Layers whose features are several dimensions side by side.

use burn::tensor::activation;
use vitslim_core::prelude::*;

use crate::harness::{Masks, Network, check, flat, tokens};

fn linear(inputs: usize, outputs: usize, device: &Device) -> Linear {
    LinearConfig::new(inputs, outputs).init(device)
}

/// Two widths side by side, four features that stay, and one of the widths again, behind a norm over all of them.
#[derive(Module, Debug, Slimmable)]
struct SideBySide {
    #[slim(output = [a], gate)]
    left: Linear,
    #[slim(output = [b], gate)]
    right: Linear,
    #[slim(output = [a + b + 4], gate)]
    norm: LayerNorm,
    #[slim(input = [a + b + 4 + (2, a)])]
    head: Linear,
}

impl Network for SideBySide {
    fn new(device: &Device) -> Self {
        Self {
            left: linear(4, 5, device),
            right: linear(4, 3, device),
            norm: LayerNormConfig::new(12).init(device),
            head: linear(22, 2, device),
        }
    }

    fn forward(&self, x: Tensor<4>, masks: &Masks) -> Tensor<2> {
        let x = tokens(x);
        let a = masks.on("a", self.left.forward(x.clone()), 2);
        let b = masks.on("b", self.right.forward(x.clone()), 2);
        let all = Tensor::cat(vec![a.clone(), b.clone(), x], 2);
        let read = self.norm.forward(all);
        // Masks of activations behind the norm: of each part its own.
        let parts = [(a.dims()[2], "a"), (b.dims()[2], "b"), (4, "")];
        let mut start = 0;
        let read = parts.map(|(width, path)| {
            start += width;
            match width {
                0 => Tensor::zeros([2, 15, 0], &read.device()),
                _ => masks.on(path, read.clone().narrow(2, start - width, width), 2),
            }
        });
        let [first, second, third] = read;
        let squares = a.clone() * a.clone();
        flat(self.head.forward(Tensor::cat(vec![first, second, third, a, squares], 2)))
    }
}

#[test]
fn widths_side_by_side() {
    check::<SideBySide>();
}

/// One layer writes what two others read, before anything tells how wide each is.
#[derive(Module, Debug, Slimmable)]
struct Fused {
    #[slim(output = [(2, a) + b], gate)]
    both: Linear,
    #[slim(input = [a])]
    one: Linear,
    #[slim(input = [b])]
    other: Linear,
}

impl Network for Fused {
    fn new(device: &Device) -> Self {
        Self { both: linear(4, 9, device), one: linear(3, 2, device), other: linear(3, 2, device) }
    }

    fn forward(&self, x: Tensor<4>, masks: &Masks) -> Tensor<2> {
        let both = self.both.forward(tokens(x));
        let (a, b) = (self.one.weight.dims()[0], self.other.weight.dims()[0]);
        let mut start = 0;
        let [gates, values, other] = [a, a, b].map(|width| {
            start += width;
            match width {
                0 => Tensor::zeros([2, 15, 0], &both.device()),
                _ => both.clone().narrow(2, start - width, width),
            }
        });
        let [gates, values] = [gates, values].map(|x| masks.on("a", x, 2));
        let one = self.one.forward(activation::gelu(gates) * values);
        flat(one + self.other.forward(masks.on("b", other, 2)))
    }
}

#[test]
fn one_layer_writes_what_several_read() {
    check::<Fused>();
}

/// Dense growth: each layer reads what all before it wrote. The first width is borrowed by another name, and one is inside a field.
#[derive(Module, Debug, Slimmable)]
struct Dense {
    #[slim(output = [stem], gate)]
    embed: Linear,
    #[slim(before = stem)]
    grow1: Grow,
    #[slim(input = [stem + grow1.growth], output = [growth2], gate)]
    grow2: Linear,
    #[slim(input = [stem + grow1.growth + growth2])]
    head: Linear,
}

#[derive(Module, Debug, Slimmable)]
#[slim(outer = [before], own = [growth])]
struct Grow {
    #[slim(input = [before], output = [growth], gate)]
    fc: Linear,
    #[slim]
    none: Option<Unused>,
}

#[derive(Module, Debug, Slimmable)]
#[slim(none)]
struct Unused {
    size: usize,
}

impl Network for Dense {
    fn new(device: &Device) -> Self {
        Self {
            embed: linear(4, 5, device),
            grow1: Grow { fc: linear(5, 3, device), none: None },
            grow2: linear(8, 3, device),
            head: linear(11, 2, device),
        }
    }

    fn forward(&self, x: Tensor<4>, masks: &Masks) -> Tensor<2> {
        let stem = masks.on("stem", self.embed.forward(tokens(x)), 2);
        let first = masks.on("grow1.growth", self.grow1.fc.forward(stem.clone()), 2);
        let read = Tensor::cat(vec![stem.clone(), first.clone()], 2);
        let second = masks.on("growth2", self.grow2.forward(read), 2);
        flat(self.head.forward(Tensor::cat(vec![stem, first, second], 2)))
    }
}

#[test]
fn dense_growth() {
    check::<Dense>();
}

/// A product of two layers that only scores read, without heads.
#[derive(Module, Debug, Slimmable)]
#[slim(contracted = [qk])]
struct Contracted {
    #[slim(output = [qk], gate)]
    q: Linear,
    #[slim(output = [qk])]
    k: Linear,
    head: Linear,
}

impl Network for Contracted {
    fn new(device: &Device) -> Self {
        Self { q: linear(4, 5, device), k: linear(4, 5, device), head: linear(4, 2, device) }
    }

    fn forward(&self, x: Tensor<4>, masks: &Masks) -> Tensor<2> {
        let x = tokens(x);
        let (q, k) = (self.q.forward(x.clone()), self.k.forward(x.clone()));
        let scores = match q.dims()[2] {
            0 => Tensor::zeros([2, 15, 15], &x.device()),
            _ => masks.on("qk", q, 2).matmul(k.swap_dims(1, 2)),
        };
        flat(self.head.forward(activation::softmax(scores, 2).matmul(x)))
    }
}

#[test]
fn contracted_by_hand() {
    check::<Contracted>();
}
