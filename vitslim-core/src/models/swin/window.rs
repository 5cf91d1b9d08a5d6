//! Windows of patches, and attention within them.

use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::nn::{Dropout, HeadLayout, Linear, LinearConfig, normal};
use crate::slim::Slimmable;

/// Added to the scores of patches that are neighbours only because the shift wraps around, as in the original.
const APART: f32 = -100.0;

/// How the patches of an image split into square windows.
#[derive(Module, Debug)]
pub struct Windows {
    /// Patches along each side of the image.
    pub side: usize,
    /// Patches along each side of a window.
    pub size: usize,
    /// Patches by which the windows are shifted down and to the right, wrapping around at the edges of the image.
    pub shift: usize,
    /// Separates patches that are neighbours only because of the wrap, `[windows, patches, patches]`.
    mask: Option<Tensor<3>>,
}

impl Windows {
    /// Windows of `size` of an image of `side`, which is a multiple of it or smaller, in which case the image is one window.
    /// With several windows, `shifted` shifts them by half their size.
    pub fn new(side: usize, size: usize, shifted: bool, device: &Device) -> Self {
        let size = size.min(side);
        let shift = if shifted && size < side { size / 2 } else { 0 };
        let mask = (shift > 0).then(|| mask(side, size, shift, device));
        Self { side, size, shift, mask }
    }

    /// What to add to the scores, `[windows, patches, patches]`, if anything.
    pub fn mask(&self) -> Option<Tensor<3>> {
        self.mask.clone()
    }

    /// # Shapes
    ///
    /// - x: `[batch, side * side, dim]`
    /// - output: `[batch * windows, size * size, dim]`
    pub fn split(&self, x: Tensor<3>) -> Tensor<3> {
        let [batch, _, dim] = x.dims();
        let (along, size) = (self.side / self.size, self.size);
        self.rolled(x, -(self.shift as isize))
            .reshape([batch, along, size, along, size, dim])
            .swap_dims(2, 3)
            .reshape([batch * along * along, size * size, dim])
    }

    /// The inverse of [`split`](Self::split).
    ///
    /// # Shapes
    ///
    /// - windows: `[batch * windows, size * size, dim]`
    /// - output: `[batch, side * side, dim]`
    pub fn join(&self, windows: Tensor<3>) -> Tensor<3> {
        let [count, _, dim] = windows.dims();
        let (along, size) = (self.side / self.size, self.size);
        let batch = count / (along * along);
        let x = windows.reshape([batch, along, along, size, size, dim]).swap_dims(2, 3).reshape([
            batch,
            self.side * self.side,
            dim,
        ]);
        self.rolled(x, self.shift as isize)
    }

    /// `x`, `[batch, side * side, dim]`, with its patches moved down and to the right by `shift`.
    fn rolled(&self, x: Tensor<3>, shift: isize) -> Tensor<3> {
        if shift == 0 {
            return x;
        }
        let [batch, patches, dim] = x.dims();
        let image = x.reshape([batch, self.side, self.side, dim]);
        image.roll(&[shift, shift], &[1, 2]).reshape([batch, patches, dim])
    }
}

/// Row and column of each patch of a square of `side`.
fn positions(side: usize) -> impl Iterator<Item = (usize, usize)> + Clone {
    (0..side * side).map(move |patch| (patch / side, patch % side))
}

fn mask(side: usize, size: usize, shift: usize, device: &Device) -> Tensor<3> {
    // In the shifted image, what lies beyond `side - shift` wrapped around.
    let came_around = |place: usize| place >= side - shift;
    let along = side / size;
    let mut values = Vec::with_capacity(along * along * size.pow(4));
    for (window_row, window_column) in positions(along) {
        let pieces = positions(size).map(|(row, column)| {
            (came_around(window_row * size + row), came_around(window_column * size + column))
        });
        for query in pieces.clone() {
            values.extend(pieces.clone().map(|key| if key == query { 0.0 } else { APART }));
        }
    }
    Tensor::from_data(TensorData::new(values, [along * along, size * size, size * size]), device)
}

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
    /// - x, output: `[batch * windows, patches, dim]`
    /// - mask: `[windows, patches, patches]`
    pub fn forward(&self, x: Tensor<3>, mask: Option<Tensor<3>>) -> Tensor<3> {
        let patches = x.dims()[1];
        let qkv = self.qkv.forward(x);
        let x = match self.heads.features() {
            0 => self.heads.attend(qkv),
            _ => self.heads.attend_with_bias(qkv, self.bias(patches, mask)),
        };
        self.proj_drop.forward(self.proj.forward(x))
    }

    /// What to add to the scores: `[windows, heads, patches, patches]`, or `[1, ...]` without a mask.
    fn bias(&self, patches: usize, mask: Option<Tensor<3>>) -> Tensor<4> {
        let table = self.relative_position_bias_table.val();
        let heads = table.dims()[1];
        let bias = table
            .select(0, self.relative_position_index.clone())
            .transpose()
            .reshape([1, heads, patches, patches]);
        match mask {
            Some(mask) => bias + mask.unsqueeze_dim::<4>(1),
            None => bias,
        }
    }
}
