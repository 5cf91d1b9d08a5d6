//! The format of the JSON files.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// `selection.json`.
#[derive(Deserialize)]
pub(super) struct Selection {
    pub config: Config,
    pub variants: BTreeMap<String, Variant>,
    /// Number of units, budget, and the index from the threshold function of the reference.
    pub index_examples_n_budget_index: Vec<(usize, f64, usize)>,
    pub deit_totals: BTreeMap<String, Total>,
}

#[derive(Deserialize)]
pub(super) struct Config {
    pub img_size: usize,
    pub patch_size: usize,
    pub in_chans: usize,
    pub num_classes: usize,
    pub embed_dim: usize,
    pub depth: usize,
    pub num_heads: usize,
    pub mlp_ratio: f64,
    pub qkv_bias: bool,
}

#[derive(Deserialize)]
pub(super) struct Variant {
    pub cases: Vec<Case>,
}

/// A budget and the result of the reference.
#[derive(Deserialize)]
pub(super) struct Case {
    pub budget: Kinds<f64>,
    pub threshold: Kinds<f64>,
    #[serde(flatten)]
    pub kept: Kinds<Flat>,
    pub params: Counted,
    pub flops: Counted,
    pub params_total_before_compress: usize,
    pub hard_logits: Flat,
}

/// One value for each kind of mask.
#[derive(Deserialize)]
pub(super) struct Kinds<T> {
    attn: T,
    mlp: T,
    patch: T,
}

impl<T> Kinds<T> {
    /// The value for a dimension, by its name in vitslim.
    pub fn of(&self, name: &str) -> &T {
        match name {
            "head_dim" => &self.attn,
            "hidden" => &self.mlp,
            _ => &self.patch,
        }
    }
}

/// A size of the dense network, and of what a search left.
#[derive(Deserialize)]
pub(super) struct Counted {
    pub total: u64,
    pub searched: u64,
}

#[derive(Deserialize)]
pub(super) struct Total {
    pub params_total: u64,
    pub flops_total: u64,
}

/// `removed.json`.
#[derive(Deserialize)]
pub(super) struct Removed {
    pub prefix_tokens: usize,
    pub cases: Vec<RemovedCase>,
}

#[derive(Deserialize)]
pub(super) struct RemovedCase {
    /// Shares of head dims, hidden units and tokens.
    pub budget: [f64; 3],
    /// The numbers of them that are kept.
    pub kept: [f64; 3],
    head_dim: Flat,
    hidden: Flat,
    tokens: Flat,
}

impl RemovedCase {
    /// 0 or 1 for each unit of the dimensions with this name.
    pub fn of(&self, name: &str) -> &[f64] {
        match name {
            "head_dim" => &self.head_dim.0,
            "hidden" => &self.hidden.0,
            _ => &self.tokens.0,
        }
    }
}

/// An array of any depth, flattened.
#[derive(Deserialize)]
#[serde(from = "Value")]
pub(super) struct Flat(pub Vec<f64>);

impl From<Value> for Flat {
    fn from(value: Value) -> Self {
        Self(match value {
            Value::Array(items) => items.into_iter().flat_map(|item| Self::from(item).0).collect(),
            Value::Bool(on) => vec![f64::from(u8::from(on))],
            // Anything else is NaN, which equals nothing.
            other => vec![other.as_f64().unwrap_or(f64::NAN)],
        })
    }
}
