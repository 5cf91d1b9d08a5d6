//! Annotations of sums, of counts between heads and dims, of contracted dimensions and of parameters that heads share. A macro makes each
//! network twice: once right, once with a mistake.

use burn::tensor::activation;
use vitslim_core::prelude::*;

use super::net::{Part, Planted, TOKENS, WIDTH, checked_part, linear};

/// The mistakes of this file.
pub const PLANTED: &[Planted] = &[
    (
        "side by side in another order",
        checked_part::<ConcatenatedInOtherOrder>,
        &["`blocks.0.", "write `input = [a + 2 + b]` on `blocks.*.back`"],
    ),
    (
        "a feature short",
        checked_part::<ConcatenatedShort>,
        &[
            "the input of `blocks.0.back` cannot carry `blocks.0.a + blocks.0.b`: it has 10 features, but its axis has 9, with 4 \
             units of `blocks.0.a` and 4 of `blocks.0.b`",
        ],
    ),
    (
        "a reader of what lies side by side missed",
        checked_part::<ConcatenationMissed>,
        &["`blocks.0.a` (and 1 like it)", "Write `#[slim(input = [5 + a])]` on it"],
    ),
    (
        "head by head, annotated as side by side",
        checked_part::<HeadsSideBySide>,
        &["write `output = [heads, qk + qk + v]` on `blocks.*.qkv`"],
    ),
    (
        "a count between heads and dims, annotated before them",
        checked_part::<CountBefore>,
        &["write `output = [heads, 3, head_dim]` on `blocks.*.qkv`"],
    ),
    (
        "queries of all heads first",
        checked_part::<QueriesBefore>,
        &["write `output = [heads, 2, head_dim]` on `blocks.*.q`"],
    ),
    (
        "a norm that heads share without a gate",
        checked_part::<NormUngated>,
        &["`blocks.*.q_norm.beta` still adds", "write `gate` after the `output` of `blocks.*.q_norm`"],
    ),
    (
        "queries gated before a position is added",
        checked_part::<QueriesGated>,
        &[
            "`blocks.*.positions` still acts",
            "write `gate` after the `axis(2)` of `blocks.*.positions`",
            "write `gate` after the `output` of `blocks.*.k`",
        ],
    ),
    (
        "pairs, annotated as halves",
        checked_part::<Halves>,
        &["rot` (and 1 like it)", "write `output = [3, heads, rot, 2]` on `blocks.*.qkv`"],
    ),
];

const HEADS: usize = 2;

macro_rules! side_by_side {
    ($name:ident: $(#[$input:meta])*) => {
        /// Two widths side by side, and two features that stay.
        #[derive(Module, Debug, Slimmable)]
        pub struct $name {
            #[slim(output = [a], gate)]
            left: Linear,
            #[slim(output = [b], gate)]
            right: Linear,
            $(#[$input])*
            back: Linear,
        }

        impl Part for $name {
            fn new(device: &Device) -> Self {
                let [left, right] = [(); 2].map(|()| linear(WIDTH, 4, device));
                Self { left, right, back: linear(10, WIDTH, device) }
            }

            fn forward(&self, x: Tensor<3>) -> Tensor<3> {
                let [a, b] =
                    [&self.left, &self.right].map(|layer| activation::gelu(layer.forward(x.clone())));
                let stay = x.clone().narrow(2, 0, 2);
                x + self.back.forward(Tensor::cat(vec![a, stay, b], 2))
            }
        }
    };
}

side_by_side!(Concatenated: #[slim(input = [a + 2 + b])]);
side_by_side!(ConcatenatedInOtherOrder: #[slim(input = [b + 2 + a])]);
side_by_side!(ConcatenatedShort: #[slim(input = [a + 1 + b])]);

/// One of two layers that read the width is not annotated: it reads features that stay too.
#[derive(Module, Debug, Slimmable)]
pub struct ConcatenationMissed {
    #[slim(output = [a], gate)]
    left: Linear,
    #[slim(input = [a])]
    one: Linear,
    back: Linear,
}

impl Part for ConcatenationMissed {
    fn new(device: &Device) -> Self {
        Self { left: linear(WIDTH, 4, device), one: linear(4, WIDTH, device), back: linear(9, WIDTH, device) }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let a = self.left.forward(x.clone());
        let beside = Tensor::cat(vec![x.clone().narrow(2, 0, 5), a.clone()], 2);
        x + self.one.forward(activation::gelu(a)) + self.back.forward(beside)
    }
}

macro_rules! levit {
    ($name:ident: $output:tt) => {
        /// Queries and keys of 2 dims and values of 3, head by head in one layer.
        #[derive(Module, Debug, Slimmable)]
        pub struct $name {
            #[slim(output = $output, gate)]
            qkv: Linear,
            #[slim(layout = [heads, qk, v])]
            heads: HeadLayout,
            #[slim(input = [heads, v])]
            proj: Linear,
        }

        impl Part for $name {
            fn new(device: &Device) -> Self {
                Self {
                    qkv: linear(WIDTH, HEADS * 7, device),
                    heads: HeadLayout::new(HEADS, 2).with_values(3),
                    proj: linear(HEADS * 3, WIDTH, device),
                }
            }

            fn forward(&self, x: Tensor<3>) -> Tensor<3> {
                let [q, k, v] = self.heads.split_heads(self.qkv.forward(x.clone()));
                x + self.proj.forward(self.heads.attend_separate(q, k, v, None))
            }
        }
    };
}

levit!(HeadByHead: [heads, qk + qk + v]);
levit!(HeadsSideBySide: [(heads, qk) + (heads, qk) + (heads, v)]);

macro_rules! neox {
    ($name:ident: $output:tt) => {
        /// Queries, keys and values of a head one after the other.
        #[derive(Module, Debug, Slimmable)]
        pub struct $name {
            #[slim(output = $output, gate)]
            qkv: Linear,
            #[slim(layout = [heads, head_dim])]
            heads: HeadLayout,
            #[slim(input = [heads, head_dim])]
            proj: Linear,
        }

        impl Part for $name {
            fn new(device: &Device) -> Self {
                Self {
                    qkv: linear(WIDTH, 3 * WIDTH, device),
                    heads: HeadLayout::new(HEADS, WIDTH / HEADS),
                    proj: linear(WIDTH, WIDTH, device),
                }
            }

            fn forward(&self, x: Tensor<3>) -> Tensor<3> {
                let [q, k, v] = self.heads.split_heads(self.qkv.forward(x.clone()));
                x + self.proj.forward(self.heads.attend_separate(q, k, v, None))
            }
        }
    };
}

neox!(CountBetween: [heads, 3, head_dim]);
neox!(CountBefore: [3, heads, head_dim]);

macro_rules! grouped {
    ($name:ident: $queries:tt, $(#[$k:meta])* k, $(#[$norm:meta])* norm) => {
        /// Queries that share keys and values, with a norm that all of them share.
        #[derive(Module, Debug, Slimmable)]
        pub struct $name {
            #[slim(output = $queries, gate)]
            q: Linear,
            $(#[$k])*
            k: Linear,
            #[slim(output = [heads, head_dim], gate)]
            v: Linear,
            $(#[$norm])*
            q_norm: LayerNorm,
            #[slim(layout = [heads, head_dim])]
            heads: HeadLayout,
            #[slim(input = [heads, 2, head_dim])]
            proj: Linear,
        }

        impl Part for $name {
            fn new(device: &Device) -> Self {
                let [k, v] = [(); 2].map(|()| linear(WIDTH, HEADS * 3, device));
                Self {
                    q: linear(WIDTH, 2 * HEADS * 3, device),
                    k,
                    v,
                    q_norm: LayerNormConfig::new(3).with_heads(2 * HEADS).init(device),
                    heads: HeadLayout::new(HEADS, 3).with_queries(2),
                    proj: linear(2 * HEADS * 3, WIDTH, device),
                }
            }

            fn forward(&self, x: Tensor<3>) -> Tensor<3> {
                let [q, k, v] = [&self.q, &self.k, &self.v].map(|layer| layer.forward(x.clone()));
                let q = self.q_norm.forward_heads(q, &self.heads);
                x + self.proj.forward(self.heads.attend_separate(q, k, v, None))
            }
        }
    };
}

grouped!(
    Grouped: [heads, 2, head_dim],
    #[slim(output = [heads, head_dim], gate)] k,
    #[slim(output = [heads, 2, head_dim], gate)] norm
);
grouped!(
    QueriesBefore: [2, heads, head_dim],
    #[slim(output = [heads, head_dim], gate)] k,
    #[slim(output = [heads, 2, head_dim], gate)] norm
);
// With masked keys, this would be right.
grouped!(
    NormUngated: [heads, 2, head_dim],
    #[slim(output = [heads, head_dim])] k,
    #[slim(output = [heads, 2, head_dim])] norm
);

macro_rules! contracted {
    ($name:ident: $(#[$q:meta])* q, $(#[$k:meta])* k) => {
        /// Scores by hand, of queries that a position is added to.
        #[derive(Module, Debug, Slimmable)]
        #[slim(contracted = [qk])]
        pub struct $name {
            $(#[$q])*
            q: Linear,
            $(#[$k])*
            k: Linear,
            #[slim(axis(2) = [qk])]
            positions: Param<Tensor<3>>,
        }

        impl Part for $name {
            fn new(device: &Device) -> Self {
                let [q, k] = [(); 2].map(|()| linear(WIDTH, 4, device));
                Self { q, k, positions: normal([1, TOKENS, 4], 0.02, device) }
            }

            fn forward(&self, x: Tensor<3>) -> Tensor<3> {
                let q = self.q.forward(x.clone()) + self.positions.val();
                let scores = match q.dims()[2] {
                    0 => Tensor::zeros([x.dims()[0], TOKENS, TOKENS], &x.device()),
                    _ => q.matmul(self.k.forward(x.clone()).swap_dims(1, 2)),
                };
                x.clone() + activation::softmax(scores, 2).matmul(x)
            }
        }
    };
}

contracted!(KeysGated: #[slim(output = [qk])] q, #[slim(output = [qk], gate)] k);
contracted!(QueriesGated: #[slim(output = [qk], gate)] q, #[slim(output = [qk])] k);

macro_rules! rotary {
    ($name:ident: $frequencies:tt, $layout:tt, $qkv:tt, $features:tt) => {
        /// Pairs of dims that are scaled by a parameter of each.
        #[derive(Module, Debug, Slimmable)]
        pub struct $name {
            #[slim(output = $qkv, gate)]
            qkv: Linear,
            #[slim(axis(0) = $frequencies)]
            frequencies: Param<Tensor<1>>,
            #[slim(layout = $layout)]
            heads: HeadLayout,
            #[slim(input = $features)]
            proj: Linear,
        }

        impl Part for $name {
            fn new(device: &Device) -> Self {
                Self {
                    qkv: linear(WIDTH, 3 * HEADS * 4, device),
                    frequencies: normal([HEADS * 2], 1.0, device),
                    heads: HeadLayout::new(HEADS, 4),
                    proj: linear(HEADS * 4, WIDTH, device),
                }
            }

            fn forward(&self, x: Tensor<3>) -> Tensor<3> {
                let [q, k, v] = self.heads.split(self.qkv.forward(x.clone()));
                let [batch, tokens, features] = k.dims();
                if features == 0 {
                    return x + self.proj.forward(v);
                }
                let pairs = k.reshape([batch, tokens, features / 2, 2]);
                let pairs = pairs.clone() + pairs.flip([3]) * self.frequencies.val().reshape([1, 1, -1, 1]);
                let k = pairs.reshape([batch, tokens, features]);
                x + self.proj.forward(self.heads.attend_separate(q, k, v, None))
            }
        }
    };
}

rotary!(Pairs: [heads, rot], [heads, rot, 2], [3, heads, rot, 2], [heads, rot, 2]);
rotary!(Halves: [heads, rot], [heads, rot, 2], [3, heads, 2, rot], [heads, rot, 2]);
