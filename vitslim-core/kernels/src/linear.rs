//! A linear layer with a bias.
//!
//! Threads compute products part by part. Each sum adds the same values in the same order for any number of threads.

use super::gelu;
use super::parts::{Unwritten, computed, computed_by_tasks, computed_with, part};
use super::product::{Matrix, Output, Write, product, written_product};
use super::vector::{LANES, vectorised};

/// Most rows of a part of a product: few enough for one thread's cache, enough to be worth packing the other matrix.
const MOST_ROWS: usize = 256;

/// Fewest rows of a part of a product.
const FEWEST_ROWS: usize = 32;

/// Most rows that the product for the gradient of the weight sums at once. `gemm` sums at least as many, so the order of
/// additions is the same however the gradient is cut into blocks.
const MOST_SUMMED: usize = 512;

/// Rows per partial sum for the gradient of the bias.
const SUMMED: usize = 64;

/// Rows of each part of a product of `rows` rows, at most `most`: parts of equal size, in a number that common thread counts divide.
fn rows_of_part(rows: usize, most: usize) -> usize {
    let parts = rows.div_ceil(most).next_multiple_of(4);
    rows.div_ceil(parts).max(FEWEST_ROWS)
}

/// `x * weight + bias`; `x` is rows with as many features as `weight` has rows.
pub(super) fn forward(x: &[f32], weight: Matrix, bias: &[f32]) -> Vec<f32> {
    let (d_input, d_output) = (weight.rows, weight.columns);
    let weight = weight.rows();
    let rows = rows_of_part(x.len() / d_input, MOST_ROWS);
    computed(x.len() / d_input * d_output, rows * d_output, |number, output| {
        let x = Matrix::row_major(part(x, rows * d_input, number), d_input);
        let output = written_product(output, x, Matrix::row_major(&weight, d_output));
        vectorised(
            #[inline(always)]
            || {
                for row in output.chunks_exact_mut(d_output) {
                    add(row, bias);
                }
            },
        );
        output
    })
}

/// `gelu(x * weight + bias)` of the first of two layers, and the second of that. The rows of a part go through both while they are in the
/// cache of a core.
pub(super) fn mlp(x: &[f32], [first, second]: [(Matrix, &[f32]); 2]) -> Vec<f32> {
    /// Values between the layers that stay in the cache, as long as there are so many rows that packing the weights is worth it.
    const MOST_HIDDEN: usize = 128 << 10;
    const WORTH_PACKING: usize = 128;

    let [d_input, hidden, d_output] = [first.0.rows, second.0.rows, second.0.columns];
    let weights = [first.0.rows(), second.0.rows()];
    let all = x.len() / d_input;
    let rows = rows_of_part(all, (MOST_HIDDEN / hidden).clamp(WORTH_PACKING, MOST_ROWS));
    let of_output = rows * d_output;
    let (output, _) = computed_with(all * d_output, of_output, Vec::new, |between, number, output| {
        let x = Matrix::row_major(part(x, rows * d_input, number), d_input);
        between.resize(x.rows * hidden, 0.0);
        let between_layers = Output { values: &mut *between, row_stride: hidden, first: 0 };
        product(between_layers, x, Matrix::row_major(&weights[0], hidden), Write::Replace, false);
        vectorised(
            #[inline(always)]
            || {
                for row in between.chunks_exact_mut(hidden) {
                    add(row, first.1);
                    gelu::in_place(row);
                }
            },
        );
        let between = Matrix::row_major(between, hidden);
        let output = written_product(output, between, Matrix::row_major(&weights[1], d_output));
        vectorised(
            #[inline(always)]
            || {
                for row in output.chunks_exact_mut(d_output) {
                    add(row, second.1);
                }
            },
        );
        (output, ())
    });
    output
}

/// The gradients that were asked for.
pub(super) struct Gradients {
    pub(super) x: Option<Vec<f32>>,
    pub(super) weight: Option<Vec<f32>>,
    pub(super) bias: Option<Vec<f32>>,
}

/// The unit of work of a thread.
enum Task<'a> {
    /// A block of the gradient of the weight, from columns of `x` and `gradient`.
    Block { x: Matrix<'a>, gradient: Matrix<'a> },
    /// Rows of the gradient of the input, and sums over the same rows of the gradient of the output.
    Rows { gradient: Matrix<'a> },
}

/// Gradients from that of the output: of the input if `weight` is given, of the weight if `x` is given, of the bias if
/// `of_bias`.
pub(super) fn backward(
    x: Option<Matrix>,
    weight: Option<Matrix>,
    gradient: Matrix,
    of_bias: bool,
) -> Gradients {
    let d_output = gradient.columns;
    let weight = weight.map(|weight| (weight.transposed().rows(), weight.rows));
    let weight = weight.as_ref().map(|(values, d_input)| Matrix::row_major(values, *d_input));

    let blocks = x.into_iter().flat_map(|x| tasks_of_weight(x, gradient));
    let part = rows_of_part(gradient.rows, MOST_ROWS).next_multiple_of(SUMMED) * d_output;
    let parts = gradient.values.chunks(part).map(|part| Matrix::row_major(part, d_output));
    let tasks: Vec<Task> = blocks.chain(parts.map(|gradient| Task::Rows { gradient })).collect();
    let lengths = tasks.iter().map(|task| match task {
        Task::Block { x, gradient } => [x.columns * gradient.columns, 0, 0],
        Task::Rows { gradient: Matrix { rows, .. } } => {
            let of_x = weight.map_or(0, |weight| rows * weight.columns);
            [0, of_x, if of_bias { rows.div_ceil(SUMMED) * d_output } else { 0 }]
        }
    });
    let lengths: Vec<_> = lengths.collect();
    let [of_weight, of_x, sums] =
        computed_by_tasks(&lengths, |number, [block, of_x, sums]| match tasks[number] {
            Task::Block { x, gradient } => {
                [block_of_weight(block, x, gradient), of_x.cleared(), sums.cleared()]
            }
            Task::Rows { gradient } => {
                let of_x = match weight {
                    Some(weight) => written_product(of_x, gradient, weight),
                    None => of_x.cleared(),
                };
                [block.cleared(), of_x, sums_of_rows(sums, gradient)]
            }
        });
    Gradients {
        x: weight.map(|_| of_x),
        weight: x.map(|x| joined(of_weight, x.columns, d_output)),
        bias: of_bias.then(|| {
            let mut sum = vec![0.0; d_output];
            sums.chunks_exact(d_output).for_each(|part| add(&mut sum, part));
            sum
        }),
    }
}

/// Rows and columns of a block of a matrix with `rows` and `columns`. Larger blocks mean less packing, but fewer threads
/// with work. More columns than twice what `gemm` computes at once (128 with AVX-512) make it pack the other matrix too,
/// whose values are far apart in memory.
fn size_of_block(rows: usize, columns: usize) -> [usize; 2] {
    let [most_rows, most_columns] = if rayon::current_num_threads() > 2 { [96, 192] } else { [192, 256] };
    [length_of_block(rows, most_rows, 1), length_of_block(columns, most_columns, LANES)]
}

/// The length of blocks of about equal length, a multiple of `step`. The last block is never alone with length 1: `gemm`
/// sums a single row or column in another order.
fn length_of_block(size: usize, most: usize, step: usize) -> usize {
    let length = size.div_ceil(size.div_ceil(most)).next_multiple_of(step);
    let lengths = (length..size).step_by(step);
    lengths.into_iter().find(|length| size % length != 1).unwrap_or(size)
}

/// The tasks for the gradient of the weight, row by row of blocks.
fn tasks_of_weight<'a>(x: Matrix<'a>, gradient: Matrix<'a>) -> impl Iterator<Item = Task<'a>> {
    let (d_input, d_output) = (x.columns, gradient.columns);
    let [rows, columns] = size_of_block(d_input, d_output);
    (0..d_input).step_by(rows).flat_map(move |row| {
        let x = x.select_columns(row, rows.min(d_input - row));
        (0..d_output).step_by(columns).map(move |column| {
            let gradient = gradient.select_columns(column, columns.min(d_output - column));
            Task::Block { x, gradient }
        })
    })
}

/// A block of the gradient of the weight.
fn block_of_weight<'a>(block: Unwritten<'a>, x: Matrix, gradient: Matrix) -> &'a mut [f32] {
    let summed = x.rows.div_ceil(x.rows.div_ceil(MOST_SUMMED));
    let rows_from = |first: usize| {
        let rows = summed.min(x.rows - first);
        (x.select_rows(first, rows).transposed(), gradient.select_rows(first, rows))
    };
    let (first_x, first_gradient) = rows_from(0);
    let block = written_product(block, first_x, first_gradient);
    for (x, gradient) in (summed..x.rows).step_by(summed).map(rows_from) {
        let all = Output { values: &mut *block, row_stride: gradient.columns, first: 0 };
        product(all, x, gradient, Write::Add, false);
    }
    block
}

/// The gradient of the weight, `[d_input, d_output]`, from its blocks.
fn joined(blocks: Vec<f32>, d_input: usize, d_output: usize) -> Vec<f32> {
    let [height, width] = size_of_block(d_input, d_output);
    if width == d_output {
        return blocks;
    }
    computed(blocks.len(), height * d_output, |number, output| {
        let output = output.cleared();
        let strip = part(&blocks, height * d_output, number);
        let rows = strip.len() / d_output;
        for (block, first) in strip.chunks(rows * width).zip((0..d_output).step_by(width)) {
            let columns = block.len() / rows;
            for (output, row) in output.chunks_exact_mut(d_output).zip(block.chunks_exact(columns)) {
                output[first..first + columns].copy_from_slice(row);
            }
        }
        output
    })
}

/// The sums over each [`SUMMED`] rows, if there is room for them.
fn sums_of_rows<'a>(sums: Unwritten<'a>, rows: Matrix) -> &'a mut [f32] {
    let sums = sums.cleared();
    vectorised(
        #[inline(always)]
        || {
            let parts = rows.values.chunks(SUMMED * rows.columns);
            for (sum, rows_of_sum) in sums.chunks_exact_mut(rows.columns).zip(parts) {
                for row in rows_of_sum.chunks_exact(rows.columns) {
                    add(sum, row);
                }
            }
        },
    );
    sums
}

/// Adds `values` to `sum`.
#[inline(always)]
fn add(sum: &mut [f32], values: &[f32]) {
    for (sum, value) in sum.iter_mut().zip(values) {
        *sum += value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_cover_a_matrix_and_none_is_a_single_row_or_column() {
        for (most, step) in [(96, 1), (192, 1), (192, LANES), (256, LANES)] {
            for size in 1..20_000 {
                let length = length_of_block(size, most, step);
                assert!(length <= size && (size == 1 || size % length != 1), "{size} by {length}");
                assert!(length <= most + 4 * LANES || size < 2 * most, "{size} by {length}");
            }
        }
        assert_eq!(length_of_block(576, 192, LANES), 192);
        assert_eq!(length_of_block(2113, 192, LANES), 208);
    }
}
