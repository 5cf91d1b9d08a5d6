//! A linear layer with its bias.
//!
//! A product is computed in parts, a thread each, as the shapes alone say: a sum over rows or columns is the same for any number
//! of threads.

use rayon::prelude::*;

use super::parts::{computed, part};
use super::product::{Matrix, Output, Write, product, written_product};

/// Most rows of a part of a product: few enough for the cache of one thread, enough to be worth packing the other matrix.
const MOST_ROWS: usize = 256;

/// Fewest rows of a part of a product.
const FEWEST_ROWS: usize = 32;

/// Columns of a part of the gradient of the weight: a multiple of 64, which `gemm` computes at once.
const COLUMNS: usize = 128;

/// Rows of a part that is summed or copied.
const ROWS: usize = 64;

/// Rows of the parts of a product of `rows` rows: as many parts of equal size as threads of a machine divide best.
fn rows_of_part(rows: usize) -> usize {
    let parts = rows.div_ceil(MOST_ROWS).next_multiple_of(4);
    rows.div_ceil(parts).max(FEWEST_ROWS)
}

/// `x * weight + bias`; `x` is rows of as many features as `weight` has rows.
pub(super) fn forward(x: &[f32], weight: Matrix, bias: &[f32]) -> Vec<f32> {
    multiplied(x, weight, Some(bias))
}

/// `x * weight`, or `x * weight + bias`.
fn multiplied(x: &[f32], weight: Matrix, bias: Option<&[f32]>) -> Vec<f32> {
    let (d_input, d_output) = (weight.rows, weight.columns);
    let weight = weight.rows();
    let rows = rows_of_part(x.len() / d_input);
    computed(x.len() / d_input * d_output, rows * d_output, |number, output| {
        let x = Matrix::row_major(part(x, rows * d_input, number), d_input);
        let weight = Matrix::row_major(&weight, d_output);
        let Some(bias) = bias else { return written_product(output, x, weight) };
        let values = output.repeated(bias);
        let all = Output { values: &mut *values, row_stride: d_output, first: 0 };
        product(all, x, weight, Write::Add, false);
        values
    })
}

/// Gradients of the inputs that are asked for.
pub(super) struct Gradients {
    pub(super) x: Option<Vec<f32>>,
    pub(super) weight: Option<Vec<f32>>,
    pub(super) bias: Option<Vec<f32>>,
}

/// Gradients from that of the output: of the input if `weight` is given, of the weight if `x` is, of the bias if `of_bias`.
pub(super) fn backward(
    x: Option<Matrix>,
    weight: Option<Matrix>,
    gradient: Matrix,
    of_bias: bool,
) -> Gradients {
    let (x, (weight, bias)) = rayon::join(
        || weight.map(|weight| multiplied(gradient.values, weight.transposed(), None)),
        || {
            rayon::join(
                || x.map(|x| backward_weight(x, gradient)),
                || of_bias.then(|| sum_of_rows(gradient.values, gradient.columns)),
            )
        },
    );
    Gradients { x, weight, bias }
}

/// Gradient of the weight, `[d_input, d_output]`.
fn backward_weight(x: Matrix, gradient: Matrix) -> Vec<f32> {
    let (d_input, d_output) = (x.columns, gradient.columns);
    let firsts: Vec<usize> = (0..d_output).step_by(COLUMNS).collect();
    let columns = |first: usize| COLUMNS.min(d_output - first);
    let blocks: Vec<Vec<f32>> = firsts
        .par_iter()
        .map(|&first| {
            let size = d_input * columns(first);
            let gradient = gradient.select_columns(first, columns(first));
            computed(size, size, |_, block| written_product(block, x.transposed(), gradient))
        })
        .collect();
    computed(d_input * d_output, ROWS * d_output, |number, output| {
        let output = output.cleared();
        for (row, output) in output.chunks_exact_mut(d_output).enumerate() {
            for (&first, block) in firsts.iter().zip(&blocks) {
                let values = part(block, columns(first), number * ROWS + row);
                output[first..first + columns(first)].copy_from_slice(values);
            }
        }
        output
    })
}

/// Sum of rows of `columns` values: the gradient of the bias.
fn sum_of_rows(values: &[f32], columns: usize) -> Vec<f32> {
    let add = |mut sum: Vec<f32>, row: &[f32]| {
        for (sum, value) in sum.iter_mut().zip(row) {
            *sum += value;
        }
        sum
    };
    let zero = || vec![0.0; columns];
    let parts = values.par_chunks(ROWS * columns);
    let sums: Vec<Vec<f32>> = parts.map(|rows| rows.chunks_exact(columns).fold(zero(), add)).collect();
    sums.iter().fold(zero(), |sum, part| add(sum, part))
}
