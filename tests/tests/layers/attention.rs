//! Attention with separate queries, keys and values, with a bias of each head, and beside an MLP.

use burn::tensor::{Int, TensorData};
use vitslim_core::prelude::*;
use vitslim_core::slim::{Plan, describe};

use crate::harness::{Masks, Network, check, flat, host, input, network, scaled, tokens};

#[derive(Module, Debug, Slimmable)]
struct Separate {
    #[slim(output = [heads, head_dim], gate)]
    q: Linear,
    #[slim(output = [heads, head_dim], gate)]
    k: Linear,
    #[slim(output = [heads, head_dim], gate)]
    v: Linear,
    #[slim(layout = [heads, head_dim])]
    heads: HeadLayout,
    #[slim(input = [heads, head_dim])]
    proj: Linear,
}

impl Network for Separate {
    fn new(device: &Device) -> Self {
        let linear = |d_input, d_output| LinearConfig::new(d_input, d_output).init(device);
        Self {
            q: linear(4, 12),
            k: linear(4, 12),
            v: linear(4, 12),
            heads: HeadLayout::new(4, 3),
            proj: linear(12, 5),
        }
    }

    fn forward(&self, x: Tensor<4>, masks: &Masks) -> Tensor<2> {
        let x = tokens(x);
        // Fewer queries than keys.
        let q = self.q.forward(x.clone().narrow(1, 0, 6));
        let [q, k, v] = [q, self.k.forward(x.clone()), self.v.forward(x)].map(|x| masks.on("head_dim", x, 2));
        flat(self.proj.forward(self.heads.attend_separate(q, k, v, None)))
    }
}

#[test]
fn separate_queries_keys_and_values() {
    check::<Separate>();
}

/// Relative positions in a table, `[positions, heads]`, which follows the heads that are left.
#[derive(Module, Debug, Slimmable)]
struct Biased {
    #[slim(output = [3, heads, head_dim], gate)]
    qkv: Linear,
    #[slim(axis(1) = [heads])]
    table: Param<Tensor<2>>,
    #[slim]
    temperature: Temperature,
    #[slim(layout = [heads, head_dim])]
    heads: HeadLayout,
    #[slim(input = [heads, head_dim])]
    proj: Linear,
}

/// A number for each head of the enclosing struct and each of two scales.
#[derive(Module, Debug, Slimmable)]
#[slim(outer = [heads])]
struct Temperature {
    #[slim(axis(0) = [2, heads])]
    scale: Param<Tensor<1>>,
}

const TOKENS: usize = 15;

impl Network for Biased {
    fn new(device: &Device) -> Self {
        Self {
            qkv: LinearConfig::new(4, 36).init(device),
            table: Param::from_tensor(Tensor::zeros([2 * TOKENS - 1, 4], device)),
            temperature: Temperature { scale: Param::from_tensor(Tensor::zeros([8], device)) },
            heads: HeadLayout::new(4, 3),
            proj: LinearConfig::new(12, 5).init(device),
        }
    }

    fn forward(&self, x: Tensor<4>, masks: &Masks) -> Tensor<2> {
        let heads = self.heads.sizes.len();
        let qkv = masks.on("head_dim", self.qkv.forward(tokens(x.clone())), 2);
        if heads == 0 {
            return flat(self.proj.forward(self.heads.attend(qkv)));
        }
        let relative = (0..TOKENS).flat_map(|q| (0..TOKENS).map(move |k| (q + TOKENS - 1 - k) as i64));
        let relative = TensorData::new(relative.collect::<Vec<_>>(), [TOKENS * TOKENS]);
        let bias = self.table.val().select(0, Tensor::<1, Int>::from_data(relative, &x.device()));
        let bias = bias.reshape([1, TOKENS, TOKENS, heads]).permute([0, 3, 1, 2]);
        let scale = self.temperature.scale.val().reshape([2, heads, 1, 1]);
        flat(self.proj.forward(self.heads.attend_with_bias(qkv, bias * scale)))
    }
}

#[test]
fn bias_of_each_head() {
    check::<Biased>();
}

#[test]
fn an_axis_of_groups_has_the_order_of_the_heads_that_are_left() {
    let mut rng = rand::SeedableRng::seed_from_u64(3);
    let model: Biased = network(&mut rng);
    let mut plan = Plan::whole(&describe(&model).unwrap());
    // Of head 0 one dim is left, of head 1 none, of head 2 all, of head 3 two.
    plan.get_mut("head_dim").unwrap().keep = vec![1, 6, 7, 8, 9, 11];
    let sliced = model.slim(&plan).unwrap();
    assert_eq!(sliced.heads.sizes, [3, 2, 1]);
    let head = |model: &Biased, head: usize| host(model.table.val().narrow(1, head, 1));
    for (now, before) in [(0, 2), (1, 3), (2, 0)] {
        assert_eq!(head(&sliced, now), head(&model, before));
    }
    let scales = |model: &Biased| host(model.temperature.scale.val());
    let (now, before) = (scales(&sliced), scales(&model));
    assert_eq!(now, [2, 3, 0, 6, 7, 4].map(|index| before[index]));
    let x = input(&mut rng);
    assert_eq!(sliced.forward(x, &Masks::default()).dims(), [2, TOKENS * 5]);
}

/// A block of which attention and MLP read the same norm and are added to what enters, with a prunable width and a
/// learned scale of each branch.
#[derive(Module, Debug, Slimmable)]
struct ParallelBlock {
    #[slim(output = [width], gate)]
    embed: Linear,
    #[slim(output = [width], gate)]
    norm: LayerNorm,
    #[slim]
    attn: Attention,
    #[slim(axis(0) = [width], gate)]
    scale1: Param<Tensor<1>>,
    #[slim]
    mlp: GatedMlp,
    #[slim(axis(0) = [width], gate)]
    scale2: Param<Tensor<1>>,
    #[slim(input = [width])]
    head: Linear,
}

#[derive(Module, Debug, Slimmable)]
#[slim(outer = [width])]
struct Attention {
    #[slim(input = [width], output = [3, heads, head_dim], gate)]
    qkv: Linear,
    #[slim(layout = [heads, head_dim])]
    heads: HeadLayout,
    #[slim(input = [heads, head_dim], output = [width])]
    proj: Linear,
}

/// SwiGLU: two producers and one consumer of `hidden`.
#[derive(Module, Debug, Slimmable)]
#[slim(outer = [width])]
struct GatedMlp {
    #[slim(input = [width], output = [hidden])]
    w1: Linear,
    #[slim(input = [width], output = [hidden])]
    w3: Linear,
    #[slim(input = [hidden], gate, output = [width])]
    w2: Linear,
}

impl Network for ParallelBlock {
    fn new(device: &Device) -> Self {
        let linear = |d_input, d_output| LinearConfig::new(d_input, d_output).init(device);
        let ones = || Param::from_tensor(Tensor::ones([8], device));
        Self {
            embed: linear(4, 8),
            norm: LayerNormConfig::new(8).init(device),
            attn: Attention { qkv: linear(8, 18), heads: HeadLayout::new(2, 3), proj: linear(6, 8) },
            scale1: ones(),
            mlp: GatedMlp { w1: linear(8, 6), w3: linear(8, 6), w2: linear(6, 8) },
            scale2: ones(),
            head: linear(8, 3),
        }
    }

    fn forward(&self, x: Tensor<4>, masks: &Masks) -> Tensor<2> {
        let x = masks.on("width", self.embed.forward(tokens(x)), 2);
        let normed = masks.on("width", self.norm.forward(x.clone()), 2);
        let Attention { qkv, heads, proj } = &self.attn;
        let qkv = masks.on("attn.head_dim", qkv.forward(normed.clone()), 2);
        let attended = scaled(proj.forward(heads.attend(qkv)), &self.scale1);
        let GatedMlp { w1, w3, w2 } = &self.mlp;
        let hidden = burn::tensor::activation::silu(w1.forward(normed.clone())) * w3.forward(normed);
        let mixed = scaled(w2.forward(masks.on("mlp.hidden", hidden, 2)), &self.scale2);
        let branches = masks.on("width", attended, 2) + masks.on("width", mixed, 2);
        flat(self.head.forward(x + branches))
    }
}

#[test]
fn parallel_branches_with_layer_scale_and_swiglu() {
    check::<ParallelBlock>();
}
