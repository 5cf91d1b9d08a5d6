//! A network whose axes are more than integers times one dimension: sums, counts between heads and dims, contracted dimensions,
//! parameters that heads share.

use burn::tensor::activation;
use rand::RngExt;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use vitslim_core::data::ImageShape;
use vitslim_core::graph::macs;
use vitslim_core::prelude::*;
use vitslim_core::slim::{Dimension, NormStatistics, Plan, describe, parameters_per_unit};

/// Tokens of an image, which is as many pixels high; its rows are the tokens.
pub const TOKENS: usize = 3;

/// The sizes of a [`Forms`]: its two widths, heads, dims of queries and keys, dims of values, and queries for each head.
pub type Sizes = [usize; 6];

/// Sums around branches of attention.
#[derive(Module, Debug, Slimmable)]
pub struct Forms {
    #[slim(output = [width], gate)]
    embed: Linear,
    #[slim(input = [width], output = [grown], gate)]
    grow: Linear,
    #[slim(output = [width + grown + 2], gate)]
    norm: LayerNorm,
    #[slim(input = [width + grown + 2], output = [width], gate)]
    mix: Linear,
    #[slim]
    fused: Fused,
    #[slim]
    separate: Separate,
    #[slim]
    turned: Turned,
    #[slim(input = [(2, width) + grown])]
    head: Linear,
}

/// Queries and keys of one size, values of another, head by head in one layer, with a bias of each head.
#[derive(Module, Debug, Slimmable)]
#[slim(outer = [width])]
pub struct Fused {
    #[slim(input = [width], output = [heads, qk + qk + v], gate)]
    qkv: Linear,
    #[slim(axis(0) = [heads])]
    bias: Param<Tensor<3>>,
    #[slim(layout = [heads, qk, v])]
    layout: HeadLayout,
    #[slim(input = [heads, v], output = [width], gate)]
    proj: Linear,
}

/// Queries that share keys and values, with norms that all heads share.
#[derive(Module, Debug, Slimmable)]
#[slim(outer = [width])]
pub struct Separate {
    #[slim(input = [width], output = [(heads, queries, qk) + (heads, qk) + (heads, v)], gate)]
    qkv: Linear,
    #[slim(output = [heads, queries, qk], gate)]
    q_norm: LayerNorm,
    #[slim(output = [heads, qk], gate)]
    k_norm: RmsNorm,
    #[slim(layout = [heads, qk, v])]
    layout: HeadLayout,
    #[slim(input = [heads, queries, v], output = [width], gate)]
    proj: Linear,
    queries: usize,
}

/// Pairs of dims, of which every other is scaled by a parameter of each pair.
#[derive(Module, Debug, Slimmable)]
#[slim(outer = [width])]
pub struct Turned {
    #[slim(input = [width], output = [heads, 3, rot, 2], gate)]
    qkv: Linear,
    #[slim(axis(0) = [heads, rot])]
    scale: Param<Tensor<1>>,
    #[slim(layout = [heads, rot, 2])]
    layout: HeadLayout,
    #[slim(input = [heads, rot, 2], output = [width], gate)]
    proj: Linear,
}

fn linear(inputs: usize, outputs: usize, device: &Device) -> Linear {
    LinearConfig::new(inputs, outputs).init(device)
}

impl Architecture for Forms {
    type Config = Sizes;

    fn presets() -> Vec<(&'static str, Sizes)> {
        Vec::new()
    }

    fn init(&[width, grown, heads, qk, v, queries]: &Sizes, device: &Device) -> Result<Self, ConfigError> {
        Ok(Self {
            embed: linear(TOKENS, width, device),
            grow: linear(width, grown, device),
            norm: LayerNormConfig::new(width + grown + 2).init(device),
            mix: linear(width + grown + 2, width, device),
            fused: Fused {
                qkv: linear(width, heads * (2 * qk + v), device),
                bias: normal([heads, TOKENS, TOKENS], 1.0, device),
                layout: HeadLayout::new(heads, qk).with_values(v),
                proj: linear(heads * v, width, device),
            },
            separate: Separate {
                qkv: linear(width, heads * (queries * qk + qk + v), device),
                q_norm: LayerNormConfig::new(qk).with_heads(heads * queries).init(device),
                k_norm: RmsNormConfig::new(qk).with_heads(heads).init(device),
                layout: HeadLayout::new(heads, qk).with_values(v).with_queries(queries),
                proj: linear(heads * queries * v, width, device),
                queries,
            },
            turned: Turned {
                qkv: linear(width, heads * 6 * qk, device),
                scale: normal([heads * qk], 1.0, device),
                layout: HeadLayout::new(heads, 2 * qk),
                proj: linear(heads * 2 * qk, width, device),
            },
            head: linear(2 * width + grown, 3, device),
        })
    }

    fn forward(&self, images: Tensor<4>) -> Logits {
        let rows = images.squeeze_dim::<3>(1);
        let x = self.embed.forward(rows.clone());
        let grown = self.grow.forward(x.clone());
        let all = Tensor::cat(vec![x.clone(), grown.clone(), rows.narrow(2, 0, 2)], 2);
        let mut x = x + self.mix.forward(activation::relu(self.norm.forward(all)));
        x = x.clone() + self.fused.forward(x);
        x = x.clone() + self.separate.forward(x);
        x = x.clone() + self.turned.forward(x);
        let [batch, _, width] = x.dims();
        let (first, mean) = (x.clone().narrow(1, 0, 1).reshape([batch, width]), x.mean_dim(1).squeeze_dim(1));
        let grown: Tensor<2> = grown.mean_dim(1).squeeze_dim(1);
        self.head.forward(Tensor::cat(vec![first, mean, grown], 1)).into()
    }
}

impl Fused {
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let [q, k, v] = self.layout.split_heads(self.qkv.forward(x));
        let bias = (!self.layout.sizes.is_empty()).then(|| self.bias.val().unsqueeze());
        self.proj.forward(self.layout.attend_separate(q, k, v, bias))
    }
}

impl Separate {
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let [q, k, v] = self.layout.split(self.qkv.forward(x));
        let q = self.q_norm.forward_heads(q, &self.layout);
        let k = self.k_norm.forward_heads(k, &self.layout);
        self.proj.forward(self.layout.attend_separate(q, k, v, None))
    }
}

impl Turned {
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let [q, k, v] = self.layout.split_heads(self.qkv.forward(x));
        let [batch, tokens, features] = k.dims();
        if features == 0 {
            return self.proj.forward(v);
        }
        let pairs = k.reshape([batch, tokens, features / 2, 2]);
        let (even, odd) = (pairs.clone().narrow(3, 0, 1), pairs.narrow(3, 1, 1));
        let scale = self.scale.val().reshape([1, 1, features / 2, 1]);
        let k =
            Tensor::cat(vec![even.clone() + odd.clone(), odd * scale], 3).reshape([batch, tokens, features]);
        self.proj.forward(self.layout.attend_separate(q, k, v, None))
    }
}

/// Of each dimension all units, some, one, none, or those of one group less; the width keeps one.
pub fn draw(dimensions: &[Dimension], rng: &mut ChaCha8Rng) -> Plan {
    let mut plan = Plan::whole(dimensions);
    for cut in &mut plan.cuts {
        let units = cut.units();
        let first: usize = cut.of[0];
        match rng.random_range(0..8) {
            0 => {}
            1 => cut.keep.clear(),
            2 => cut.keep = vec![rng.random_range(0..units)],
            3 => cut.keep = (first..units).collect(),
            _ => cut.keep.retain(|_| rng.random_bool(0.6)),
        }
        if cut.keep.is_empty() && cut.dimension == "width" {
            cut.keep = vec![rng.random_range(0..units)];
        }
    }
    plan.norm = *[NormStatistics::Original, NormStatistics::Sliced].choose(rng).unwrap();
    plan
}

const SIZES: Sizes = [4, 2, 3, 2, 3, 2];

#[test]
fn a_unit_costs_what_goes_when_it_is_cut() {
    let model = Forms::init(&SIZES, &super::device()).unwrap();
    let dimensions = describe(&model).unwrap();
    let costs = parameters_per_unit(&model);
    assert_eq!(costs.len(), dimensions.len());
    // Heads with different dims have norms of their own: there is more than before. And a weight at the width of what `mix` reads and
    // of what it writes counts twice.
    let is_plain = |path: &str| !["separate.qk", "width"].contains(&path);
    for (path, cost) in costs.into_iter().filter(|(path, _)| is_plain(path)) {
        let mut plan = Plan::whole(&dimensions);
        plan.get_mut(&path).unwrap().keep.remove(0);
        let left = model.slim(&plan).unwrap().num_params();
        assert_eq!(model.num_params() - left, cost, "{path}");
    }
}

#[test]
fn multiply_adds_are_those_of_the_heads_that_are_left() {
    let model = Forms::init(&SIZES, &super::device()).unwrap();
    let dimensions = describe(&model).unwrap();
    let image = ImageShape { channels: 1, size: TOKENS };
    let mut plan = Plan::whole(&dimensions);
    let check = |plan: &Plan| {
        let heads = |path: &str| -> Vec<u64> {
            let cut = plan.get(path).unwrap();
            let size = cut.of[0];
            let of_head = |head: usize| cut.keep.iter().filter(|unit| **unit / size == head).count() as u64;
            (0..3).map(of_head).collect()
        };
        let [width, grown] = ["width", "grown"].map(|path| plan.get(path).unwrap().keep.len() as u64);
        let tokens = TOKENS as u64;
        let attention = |queries: u64, qk: Vec<u64>, v: Vec<u64>| -> u64 {
            let head = |(qk, v): (&u64, &u64)| {
                let layers = tokens * width * (queries * qk + qk + v + queries * v);
                // Scores of 0 are computed like those of one dim.
                let scores = if *v > 0 { queries * tokens * tokens * ((*qk).max(1) + v) } else { 0 };
                layers + scores
            };
            qk.iter().zip(&v).map(head).sum()
        };
        let turned: Vec<u64> = heads("turned.rot").iter().map(|pairs| 2 * pairs).collect();
        let expected = tokens * tokens * width
            + tokens * width * (grown + width + grown + 2)
            + attention(1, heads("fused.qk"), heads("fused.v"))
            + attention(2, heads("separate.qk"), heads("separate.v"))
            + attention(1, turned.clone(), turned)
            + 3 * (2 * width + grown);
        assert_eq!(macs(&model.slim(plan).unwrap(), image).unwrap(), expected);
    };
    check(&plan);
    for (path, keep) in [
        ("width", vec![0, 1, 3]),
        ("fused.qk", vec![1, 4, 5]),
        ("fused.v", vec![0, 3, 4, 5]),
        ("separate.qk", vec![2]),
        ("separate.v", vec![0, 1, 2, 7]),
        ("turned.rot", vec![0, 1, 5]),
    ] {
        plan.get_mut(path).unwrap().keep = keep;
    }
    check(&plan);
}
