//! Attention whose features are not simply queries, keys and values of one size.

use vitslim_core::prelude::*;
use vitslim_core::slim::{Plan, describe};

use crate::harness::{Masks, Network, check, device, flat, input, masks, network, tokens};

fn linear(inputs: usize, outputs: usize, device: &Device) -> Linear {
    LinearConfig::new(inputs, outputs).init(device)
}

/// Queries and keys of 3 dims and values of 5, head by head in one layer, with a bias of each head (LeViT); after it, keys and
/// values for fewer queries.
#[derive(Module, Debug, Slimmable)]
struct Levit {
    #[slim(output = [heads, qk + qk + v], gate)]
    qkv: Linear,
    #[slim(axis(0) = [heads])]
    bias: Param<Tensor<1>>,
    #[slim(layout = [heads, qk, v])]
    heads: HeadLayout,
    #[slim(input = [heads, v])]
    proj: Linear,
    #[slim(output = [heads2, qk2], gate)]
    q: Linear,
    #[slim(output = [heads2, qk2 + v2], gate)]
    kv: Linear,
    #[slim(layout = [heads2, qk2, v2])]
    heads2: HeadLayout,
    #[slim(input = [heads2, v2])]
    proj2: Linear,
}

impl Network for Levit {
    fn new(device: &Device) -> Self {
        Self {
            qkv: linear(4, 3 * 11, device),
            bias: normal([3], 1.0, device),
            heads: HeadLayout::new(3, 3).with_values(5),
            proj: linear(15, 4, device),
            q: linear(4, 4, device),
            kv: linear(4, 10, device),
            heads2: HeadLayout::new(2, 2).with_values(3),
            proj2: linear(6, 2, device),
        }
    }

    fn forward(&self, x: Tensor<4>, masks: &Masks) -> Tensor<2> {
        let x = tokens(x);
        let [q, k, v] = self.heads.split_heads(self.qkv.forward(x.clone()));
        let [q, k, v] = [("qk", q), ("qk", k), ("v", v)].map(|(path, x)| masks.on(path, x, 2));
        let heads = self.heads.sizes.len();
        let bias = (heads > 0).then(|| {
            let near = Tensor::<2>::eye(15, &x.device()).reshape([1, 1, 15, 15]);
            near * self.bias.val().reshape([1, heads, 1, 1])
        });
        let x = x + self.proj.forward(self.heads.attend_separate(q, k, v, bias));
        let q = masks.on("qk2", self.q.forward(x.clone().narrow(1, 0, 6)), 2);
        let [k, v] = self.heads2.split_heads_kv(self.kv.forward(x));
        let [k, v] = [masks.on("qk2", k, 2), masks.on("v2", v, 2)];
        flat(self.proj2.forward(self.heads2.attend_separate(q, k, v, None)))
    }
}

#[test]
fn queries_and_keys_of_one_size_and_values_of_another() {
    check::<Levit>();
}

/// Queries, keys and values side by side, each with its heads, and queries that share a head of keys and values.
#[derive(Module, Debug, Slimmable)]
struct SideBySide {
    #[slim(output = [(heads, 2, qk) + (heads, qk) + (heads, v)], gate)]
    qkv: Linear,
    #[slim(layout = [heads, qk, v])]
    heads: HeadLayout,
    #[slim(input = [heads, 2, v])]
    proj: Linear,
}

impl Network for SideBySide {
    fn new(device: &Device) -> Self {
        Self {
            qkv: linear(4, 3 * (3 * 2 + 4), device),
            heads: HeadLayout::new(3, 2).with_values(4).with_queries(2),
            proj: linear(24, 2, device),
        }
    }

    fn forward(&self, x: Tensor<4>, masks: &Masks) -> Tensor<2> {
        let [q, k, v] = self.heads.split(self.qkv.forward(tokens(x)));
        let [k, v] = [masks.on("qk", k, 2), masks.on("v", v, 2)];
        // The harness does not mask several queries of a head; a product with masked keys needs only the square.
        let k = masks.on("qk", k, 2);
        flat(self.proj.forward(self.heads.attend_separate(q, k, v, None)))
    }
}

#[test]
fn side_by_side_with_several_queries() {
    check::<SideBySide>();
}

/// Queries that share keys and values (Llama), normalised head by head with parameters that heads share, and a bias of each query.
#[derive(Module, Debug, Slimmable)]
struct Grouped {
    #[slim(output = [kv_heads, 2, head_dim], gate)]
    q: Linear,
    #[slim(output = [kv_heads, head_dim], gate)]
    k: Linear,
    #[slim(output = [kv_heads, head_dim], gate)]
    v: Linear,
    #[slim(output = [kv_heads, 2, head_dim], gate)]
    q_norm: LayerNorm,
    #[slim(output = [kv_heads, head_dim], gate)]
    k_norm: RmsNorm,
    #[slim(axis(0) = [kv_heads, 2])]
    bias: Param<Tensor<1>>,
    #[slim(layout = [kv_heads, head_dim])]
    heads: HeadLayout,
    #[slim(input = [kv_heads, 2, head_dim])]
    proj: Linear,
}

impl Network for Grouped {
    fn new(device: &Device) -> Self {
        Self {
            q: linear(4, 18, device),
            k: linear(4, 9, device),
            v: linear(4, 9, device),
            q_norm: LayerNormConfig::new(3).with_heads(6).init(device),
            k_norm: RmsNormConfig::new(3).with_heads(3).init(device),
            bias: normal([6], 1.0, device),
            heads: HeadLayout::new(3, 3).with_queries(2),
            proj: linear(18, 2, device),
        }
    }

    fn forward(&self, x: Tensor<4>, masks: &Masks) -> Tensor<2> {
        let x = tokens(x);
        let heads = self.heads.sizes.len();
        let queries = |q: Tensor<3>| match heads * masks.count() {
            0 => q,
            _ => {
                // Each of the two queries of a head has the masks of that head.
                let q = q.reshape([2, 15, heads, 2, 3]).swap_dims(2, 3).reshape([2, 15, 18]);
                let q = masks.on("head_dim", q, 2);
                q.reshape([2, 15, 2, heads, 3]).swap_dims(2, 3).reshape([2, 15, 18])
            }
        };
        let q = queries(self.q_norm.forward_heads(queries(self.q.forward(x.clone())), &self.heads));
        let k = masks.on("head_dim", self.k.forward(x.clone()), 2);
        let k = masks.on("head_dim", self.k_norm.forward_heads(k, &self.heads), 2);
        let v = masks.on("head_dim", self.v.forward(x.clone()), 2);
        let bias = (heads > 0).then(|| {
            let near = Tensor::<2>::eye(15, &x.device()).reshape([1, 1, 15, 15]);
            near * self.bias.val().reshape([1, 2 * heads, 1, 1])
        });
        flat(self.proj.forward(self.heads.attend_separate(q, k, v, bias)))
    }
}

#[test]
fn grouped_queries_with_norms_that_heads_share() {
    check::<Grouped>();
}

/// Queries, keys and values of a head one after the other (GPT-NeoX), whose dims are turned in pairs by learnt frequencies: a unit is a
/// pair.
#[derive(Module, Debug, Slimmable)]
struct Rotary {
    #[slim(output = [heads, 3, 2, rot], gate)]
    qkv: Linear,
    #[slim(axis(0) = [heads, rot])]
    frequencies: Param<Tensor<1>>,
    #[slim(layout = [heads, 2, rot])]
    heads: HeadLayout,
    #[slim(input = [heads, 2, rot])]
    proj: Linear,
}

impl Network for Rotary {
    fn new(device: &Device) -> Self {
        Self {
            qkv: linear(4, 36, device),
            frequencies: normal([6], 1.0, device),
            heads: HeadLayout::new(3, 4),
            proj: linear(12, 2, device),
        }
    }

    fn forward(&self, x: Tensor<4>, masks: &Masks) -> Tensor<2> {
        let [q, k, v] = self.heads.split_heads(self.qkv.forward(tokens(x)));
        let [q, k, v] = [q, k, v].map(|x| pairs(masks, x));
        let [q, k] = [q, k].map(|x| turned(x, &self.heads, self.frequencies.val()));
        flat(self.proj.forward(self.heads.attend_separate(q, k, v, None)))
    }
}

/// `x`, `[.., (head, 2, rot)]`, with the mask of each pair.
fn pairs(masks: &Masks, x: Tensor<3>) -> Tensor<3> {
    if masks.count() == 0 {
        return x;
    }
    let x = x.reshape([2, 15, 3, 2, 2]).swap_dims(2, 3).reshape([2, 15, 12]);
    masks.on("rot", x, 2).reshape([2, 15, 2, 3, 2]).swap_dims(2, 3).reshape([2, 15, 12])
}

/// `x` with each pair of each head turned by its position times its frequency.
fn turned(x: Tensor<3>, heads: &HeadLayout, frequencies: Tensor<1>) -> Tensor<3> {
    let [batch, tokens, _] = x.dims();
    let (mut parts, mut start) = (Vec::new(), 0);
    for &size in heads.sizes.iter().filter(|size| **size > 0) {
        let half = size / 2;
        let head = x.clone().narrow(2, 2 * start, size).reshape([batch, tokens, 2, half]);
        let [a, b] = [0, 1].map(|part| head.clone().narrow(2, part, 1).squeeze_dim::<3>(2));
        let positions = Tensor::<1, burn::tensor::Int>::arange(0..tokens as i64, &x.device()).float();
        let frequencies = frequencies.clone().narrow(0, start, half);
        let angles = positions.reshape([1, tokens, 1]) * frequencies.reshape([1, 1, half]);
        let (cos, sin) = (angles.clone().cos(), angles.sin());
        parts.push(a.clone() * cos.clone() - b.clone() * sin.clone());
        parts.push(a * sin + b * cos);
        start += half;
    }
    if parts.is_empty() { x } else { Tensor::cat(parts, 2) }
}

#[test]
fn pairs_of_dims_that_are_turned_together() {
    check::<Rotary>();
}

#[test]
fn fixed_frequencies_stay_fixed() {
    let mut rng = rand::SeedableRng::seed_from_u64(5);
    let mut model: Rotary = network(&mut rng);
    model.frequencies = model.frequencies.set_require_grad(false);
    let model = model.train();
    let mut plan = Plan::whole(&describe(&model).unwrap());
    plan.get_mut("rot").unwrap().keep = vec![0, 3, 4];
    let sliced = model.slim(&plan).unwrap();
    assert!(!sliced.frequencies.val().is_require_grad() && sliced.proj.weight.val().is_require_grad());
    let x = Tensor::from_inner(input(&mut rng));
    for network in [model.gate(&masks(&model, &device(), &mut rng).train()), sliced] {
        let gradients = network.forward(x.clone(), &Masks::default()).sum().backward();
        assert!(network.frequencies.val().grad(&gradients).is_none());
    }
}
