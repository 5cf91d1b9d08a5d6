//! Attention with a learned bias for each distance, within a grid of patches and from one to a grid of half the side.

use burn::tensor::activation::hard_swish;
use burn::tensor::{Int, TensorData};
use vitslim_core::prelude::*;

use crate::norm::{normed, normed_linear};

/// Self-attention. Queries and keys have `qk` dims, values `v`.
#[derive(Module, Debug, Slimmable)]
#[slim(outer = [width])]
pub struct Attention {
    #[slim(0(input = [width], output = [heads, qk + qk + v]), 1(output = [heads, qk + qk + v], gate))]
    qkv: (Linear, BatchNorm),
    #[slim(layout = [heads, qk, v])]
    layout: HeadLayout,
    #[slim(axis(0) = [heads], no_decay)]
    biases: Param<Tensor<2>>,
    #[slim(0(input = [heads, v], output = [width]), 1(output = [width], gate, end))]
    proj: (Linear, BatchNorm),
    distances: Tensor<1, Int>,
}

/// Attention of every other patch, in rows and columns, to all of them.
#[derive(Module, Debug, Slimmable)]
#[slim(outer = [former, width])]
pub struct Subsampling {
    #[slim(0(input = [former], output = [heads, qk]), 1(output = [heads, qk], gate))]
    q: (Linear, BatchNorm),
    #[slim(0(input = [former], output = [heads, qk + v]), 1(output = [heads, qk + v], gate))]
    kv: (Linear, BatchNorm),
    #[slim(layout = [heads, qk, v])]
    layout: HeadLayout,
    #[slim(axis(0) = [heads], no_decay)]
    biases: Param<Tensor<2>>,
    #[slim(0(input = [heads, v], output = [width]), 1(output = [width], gate))]
    proj: (Linear, BatchNorm),
    distances: Tensor<1, Int>,
    queries: Tensor<1, Int>,
}

impl Attention {
    /// Attention of width `dim` in a grid of `side`.
    pub fn new(dim: usize, heads: usize, key_dim: usize, side: usize, device: &Device) -> Self {
        let value_dim = 2 * key_dim;
        Self {
            qkv: normed_linear(dim, heads * (2 * key_dim + value_dim), device),
            layout: HeadLayout::new(heads, key_dim).with_values(value_dim),
            biases: zeros([heads, side * side], device),
            proj: normed_linear(heads * value_dim, dim, device),
            distances: distances(side, 1, device),
        }
    }

    /// # Shapes
    ///
    /// - x, output: `[batch, side * side, dim]`
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let patches = x.dims()[1];
        let [q, k, v] = self.layout.split_heads(normed(&self.qkv, x));
        let bias = bias(&self.biases, &self.distances, patches);
        normed(&self.proj, hard_swish(self.layout.attend_separate(q, k, v, bias)))
    }
}

impl Subsampling {
    /// From width `former` in a grid of `side` to width `dim` in a grid of half the side.
    pub fn new([former, dim]: [usize; 2], key_dim: usize, side: usize, device: &Device) -> Self {
        let (heads, value_dim) = (former / key_dim, 4 * key_dim);
        let queries = grid(side, 2).map(|(row, column)| (row * side + column) as i64).collect();
        Self {
            q: normed_linear(former, heads * key_dim, device),
            kv: normed_linear(former, heads * (key_dim + value_dim), device),
            layout: HeadLayout::new(heads, key_dim).with_values(value_dim),
            biases: zeros([heads, side * side], device),
            proj: normed_linear(heads * value_dim, dim, device),
            distances: distances(side, 2, device),
            queries: indices(queries, device),
        }
    }

    /// # Shapes
    ///
    /// - x: `[batch, side * side, former]`
    /// - output: `[batch, side / 2 * side / 2, dim]`, half the side rounded up
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let q = normed(&self.q, x.clone().select(1, self.queries.clone()));
        let [k, v] = self.layout.split_heads_kv(normed(&self.kv, x));
        let bias = bias(&self.biases, &self.distances, q.dims()[1]);
        normed(&self.proj, hard_swish(self.layout.attend_separate(q, k, v, bias)))
    }
}

/// What to add to the scores of `queries` patches, `[1, heads, queries, keys]`; nothing, if no head is left.
fn bias(biases: &Param<Tensor<2>>, distances: &Tensor<1, Int>, queries: usize) -> Option<Tensor<4>> {
    let [heads, _] = biases.dims();
    let keys = distances.dims()[0] / queries;
    let bias = || biases.val().select(1, distances.clone()).reshape([1, heads, queries, keys]);
    (heads > 0).then(bias)
}

/// Row and column of every patch of a grid of `side` whose row and column are multiples of `step`.
fn grid(side: usize, step: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..side).step_by(step).flat_map(move |row| (0..side).step_by(step).map(move |column| (row, column)))
}

/// The bias of each query, of every `step`-th patch in rows and columns, and each key: one for each distance.
fn distances(side: usize, step: usize, device: &Device) -> Tensor<1, Int> {
    let distance = |(row, column): (usize, usize), (key_row, key_column): (usize, usize)| {
        (row.abs_diff(key_row) * side + column.abs_diff(key_column)) as i64
    };
    let of_query = |query| grid(side, 1).map(move |key| distance(query, key));
    indices(grid(side, step).flat_map(of_query).collect(), device)
}

fn indices(values: Vec<i64>, device: &Device) -> Tensor<1, Int> {
    let count = values.len();
    Tensor::from_data(TensorData::new(values, [count]), device)
}

fn zeros(shape: [usize; 2], device: &Device) -> Param<Tensor<2>> {
    Param::from_tensor(Tensor::zeros(shape, device))
}
