//! A linear layer with its bias.

use rayon::prelude::*;

use super::product::{Matrix, Output, Write, product};

/// Rows of a part that is summed.
const ROWS: usize = 64;

/// `x * weight + bias`; `x` is rows of as many features as `weight` has rows.
pub(super) fn forward(x: &[f32], weight: Matrix, bias: &[f32]) -> Vec<f32> {
    let x = Matrix::row_major(x, weight.rows);
    let mut output = bias.repeat(x.rows);
    let all = Output { values: &mut output, row_stride: weight.columns, first: 0 };
    product(all, x, weight, Write::Add, true);
    output
}

/// Gradient of `x`.
pub(super) fn backward_x(weight: Matrix, gradient: &[f32]) -> Vec<f32> {
    let gradient = Matrix::row_major(gradient, weight.columns);
    let mut of_x = vec![0.0; gradient.rows * weight.rows];
    let all = Output { values: &mut of_x, row_stride: weight.rows, first: 0 };
    product(all, gradient, weight.transposed(), Write::Replace, true);
    of_x
}

/// Gradient of `weight`, `[d_input, d_output]`.
pub(super) fn backward_weight(x: &[f32], d_input: usize, gradient: &[f32], d_output: usize) -> Vec<f32> {
    let (x, gradient) = (Matrix::row_major(x, d_input), Matrix::row_major(gradient, d_output));
    let mut of_weight = vec![0.0; d_input * d_output];
    let all = Output { values: &mut of_weight, row_stride: d_output, first: 0 };
    product(all, x.transposed(), gradient, Write::Replace, true);
    of_weight
}

/// Gradient of `bias`: the sum of all rows.
pub(super) fn backward_bias(gradient: &[f32], d_output: usize) -> Vec<f32> {
    let add = |mut sum: Vec<f32>, row: &[f32]| {
        for (sum, value) in sum.iter_mut().zip(row) {
            *sum += value;
        }
        sum
    };
    let zero = || vec![0.0; d_output];
    let parts = gradient.par_chunks(ROWS * d_output);
    let sums: Vec<Vec<f32>> = parts.map(|rows| rows.chunks_exact(d_output).fold(zero(), add)).collect();
    sums.iter().fold(zero(), |sum, part| add(sum, part))
}
