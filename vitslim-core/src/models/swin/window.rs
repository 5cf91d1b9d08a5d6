//! Attention in windows of patches.

use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::nn::{Dropout, HeadLayout, Linear, LinearConfig, Windows, normal, positions};
use crate::slim::Slimmable;

/// The entry in the table of relative positions for each query and key of a window, `[patches * patches]`.
fn relative_positions(size: usize, device: &Device) -> Tensor<1, Int> {
    let apart = |query: usize, key: usize| query + size - 1 - key;
    let entries: Vec<i64> = positions(size)
        .flat_map(|(query_row, query_column)| {
            positions(size).map(move |(key_row, key_column)| {
                let (rows, columns) = (apart(query_row, key_row), apart(query_column, key_column));
                (rows * (2 * size - 1) + columns) as i64
            })
        })
        .collect();
    let count = entries.len();
    Tensor::from_data(TensorData::new(entries, [count]), device)
}

/// Multi-head self-attention in windows, with a learned bias for each relative position.
#[derive(Module, Debug, Slimmable)]
#[slim(outer = [width])]
pub struct WindowAttention {
    /// Queries, keys and values.
    #[slim(input = [width], output = [3, heads, head_dim], gate)]
    pub qkv: Linear,
    /// How features split into heads.
    #[slim(layout = [heads, head_dim])]
    pub heads: HeadLayout,
    /// Added to the score of two patches, by the rows and columns between them: `[(2 * size - 1)^2, heads]`. As in timm it
    /// does not decay. A search with `freeze: Weights` leaves it, although in windows of one patch it has one axis.
    #[slim(axis(1) = [heads], no_decay, freeze)]
    pub relative_position_bias_table: Param<Tensor<2>>,
    /// Mixes the heads.
    #[slim(input = [heads, head_dim], output = [width], gate, end)]
    pub proj: Linear,
    /// Dropout after mixing.
    pub proj_drop: Dropout,
    /// Index into the table for each query and key, `[patches * patches]`.
    relative_position_index: Tensor<1, Int>,
}

impl WindowAttention {
    /// Attention of width `dim` in windows of `size`.
    pub(super) fn new(
        dim: usize,
        heads: usize,
        size: usize,
        qkv_bias: bool,
        dropout: f64,
        device: &Device,
    ) -> Self {
        Self {
            qkv: LinearConfig::new(dim, 3 * dim).with_bias(qkv_bias).init(device),
            heads: HeadLayout::new(heads, dim / heads),
            relative_position_bias_table: normal([(2 * size - 1).pow(2), heads], 0.02, device),
            proj: LinearConfig::new(dim, dim).init(device),
            proj_drop: Dropout::new(dropout),
            relative_position_index: relative_positions(size, device),
        }
    }

    /// # Shapes
    ///
    /// - x, output: `[batch, side * side, dim]`
    pub fn forward(&self, x: Tensor<3>, windows: &Windows) -> Tensor<3> {
        let qkv = self.qkv.forward(x);
        let x = match self.heads.features() {
            0 => self.heads.attend(qkv),
            _ => self.heads.attend_in_windows(qkv, self.bias(windows.size.pow(2)), windows),
        };
        self.proj_drop.forward(self.proj.forward(x))
    }

    /// What to add to the scores, `[1, heads, patches, patches]`.
    fn bias(&self, patches: usize) -> Tensor<4> {
        let table = self.relative_position_bias_table.val();
        let heads = table.dims()[1];
        table
            .select(0, self.relative_position_index.clone())
            .transpose()
            .reshape([1, heads, patches, patches])
    }
}
