//! Self-attention, of the kind that a configuration asks for.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::config::VitConfig;
use super::rope::{Pairing, Rope, Turns};
use crate::nn::{
    Dropout, HeadLayout, LayerNorm, LayerNormConfig, Linear, LinearConfig, TokenGate, TokenSizes,
};
use crate::slim::{DimensionMapper, Factor, Input, Output, Slimmable};

/// Multi-head self-attention. Its queries, keys and values are cut together, `head_dim`; or, in a layout with dims of their own for queries
/// and keys, these by `qk_dim` and values by `v_dim`; or by `qk_pair` where pairs of them are turned. A derive knows one of these, so that
/// they are told by hand.
#[derive(Module, Debug)]
pub struct Attention {
    /// Queries, keys and values.
    pub qkv: Linear,
    /// Norm of the queries of each head.
    pub q_norm: Option<LayerNorm>,
    /// Norm of the keys of each head.
    pub k_norm: Option<LayerNorm>,
    /// Turns queries and keys by their places.
    pub rope: Option<Rope>,
    /// How features split into heads.
    pub heads: HeadLayout,
    /// Mixes the heads.
    pub proj: Linear,
    /// Dropout after mixing.
    pub proj_drop: Dropout,
}

impl Attention {
    pub(super) fn new(config: &VitConfig, device: &Device) -> Self {
        let (dim, heads, qk, v) = (config.dim, config.heads, config.qk_dim(), config.v_dim());
        let norm = || LayerNormConfig::new(qk).with_heads(heads).init(device);
        let is_split = config.rope.is_some() || config.qk_dim.is_some() || config.v_dim.is_some();
        let layout = HeadLayout::new(heads, qk);
        Self {
            qkv: LinearConfig::new(dim, heads * (2 * qk + v)).with_bias(config.qkv_bias).init(device),
            q_norm: config.qk_norm.then(norm),
            k_norm: config.qk_norm.then(norm),
            rope: config
                .rope
                .map(|rope| Rope::new(rope, [heads, qk, config.image_size / config.patch_size], device)),
            heads: if is_split { layout.with_values(v) } else { layout },
            proj: LinearConfig::new(heads * v, dim).with_bias(config.proj_bias).init(device),
            proj_drop: Dropout::new(config.dropout),
        }
    }

    /// `tokens` is the gate before it, and `sizes` are those of the tokens.
    ///
    /// # Shapes
    ///
    /// - x, output: `[batch, tokens, dim]`
    pub fn forward(&self, x: Tensor<3>, tokens: &TokenGate, sizes: &TokenSizes) -> Tensor<3> {
        let qkv = self.qkv.forward(x);
        let attended = match (&self.q_norm, &self.k_norm, &self.rope) {
            (None, None, None) => self.heads.attend_sized(qkv, sizes),
            _ => {
                let [q, k, v] = self.heads.split(qkv);
                let turns = self.rope.as_ref().map(|rope| rope.turns(tokens));
                let [q, k] =
                    [(q, &self.q_norm), (k, &self.k_norm)].map(|(x, norm)| self.placed(x, norm, &turns));
                self.heads.attend_separate(q, k, v, sizes.bias())
            }
        };
        self.proj_drop.forward(self.proj.forward(attended))
    }

    /// Queries or keys, `[batch, tokens, features]`, normalised and turned.
    fn placed(&self, x: Tensor<3>, norm: &Option<LayerNorm>, turns: &Option<Turns>) -> Tensor<3> {
        let x = match norm {
            Some(norm) => norm.forward_heads(x, &self.heads),
            None => x,
        };
        match turns {
            Some(turns) => turns.of(x, &self.heads),
            None => x,
        }
    }
}

// As the derive has it: errors of other types do not list this one.
#[diagnostic::do_not_recommend]
impl Slimmable for Attention {
    fn map_dimensions<M: DimensionMapper>(mut self, mapper: &mut M) -> Self {
        use Factor::{Count, Groups, Sum, Units};
        const HEADS: &str = "heads";
        // The dimension of queries and keys with the dims of a unit, a head's factors of it, and the dimension of values.
        let is_split = self.heads.qk.is_some();
        let ((qk, dims), unit, v): (_, &[Factor], _) = match self.rope.as_ref().map(|rope| rope.pairing) {
            None if !is_split => (("head_dim", 1), &[Units("head_dim")], "head_dim"),
            None => (("qk_dim", 1), &[Units("qk_dim")], "v_dim"),
            Some(Pairing::Halves) => (("qk_pair", 2), &[Count(2), Units("qk_pair")], "v_dim"),
            Some(Pairing::Neighbours) => (("qk_pair", 2), &[Units("qk_pair"), Count(2)], "v_dim"),
        };
        let of_heads = |factors: &[Factor<'static>]| [&[Groups(HEADS)], factors].concat();
        let (queries, values) = (of_heads(unit), of_heads(&[Units(v)]));
        let both = [&[Count(2)][..], &queries].concat();
        let side_by_side: [&[Factor]; 2] = [&both, &values];
        let (all, laid_out) = match is_split {
            true => (vec![Sum(&side_by_side)], vec![(qk, dims), (v, 1)]),
            false => (vec![Count(3), Groups(HEADS), Units(v)], vec![(v, 1)]),
        };
        let names: Vec<&str> = laid_out.iter().map(|(name, _)| *name).collect();
        mapper.open::<Self>(&names);
        self.heads = mapper.layout(HEADS, &laid_out, self.heads);
        self.qkv = mapper.axis("qkv", self.qkv, Input, &[Units("width")], false);
        self.qkv = mapper.axis("qkv", self.qkv, Output, &all, true);
        self.q_norm = self.q_norm.map(|norm| mapper.axis("q_norm", norm, Output, &queries, true));
        self.k_norm = self.k_norm.map(|norm| mapper.axis("k_norm", norm, Output, &queries, true));
        self.rope = self.rope.map(|rope| mapper.axis("rope", rope, Output, &of_heads(&[Units(qk)]), false));
        self.proj = mapper.axis("proj", self.proj, Input, &values, false);
        self.proj = mapper.axis("proj", self.proj, Output, &[Units("width")], true);
        self.proj = mapper.end("proj", self.proj, Output);
        mapper.close();
        self
    }
}
