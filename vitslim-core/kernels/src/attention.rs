//! Self-attention on tokens of the form `[q | k | v]`, where each of the three has the features of all heads in order. Heads
//! may have any size.

use super::parts::{computed_with, part};
use super::product::{Matrix, Output, Write, product};
use super::vector::{LANES, exp, largest, sum, sum2, vectorised};

/// Queries, keys and values of one head of one image.
struct Head<'a> {
    q: Matrix<'a>,
    k: Matrix<'a>,
    v: Matrix<'a>,
}

/// The heads of one image, `[tokens, 3 * features]`, each with the index of its first feature.
fn split<'a>(qkv: &'a [f32], sizes: &[usize]) -> impl Iterator<Item = (usize, Head<'a>)> {
    let features: usize = sizes.iter().sum();
    let qkv = Matrix::row_major(qkv, 3 * features);
    let starts = sizes.iter().scan(0, |next, size| Some(std::mem::replace(next, *next + size)));
    let heads = starts.zip(sizes.to_vec()).filter(|(_, size)| *size > 0);
    let heads: Vec<_> = heads.collect();
    heads.into_iter().map(move |(start, size)| {
        let part = |index: usize| qkv.select_columns(index * features + start, size);
        (start, Head { q: part(0), k: part(1), v: part(2) })
    })
}

/// Scores of a head, `[tokens, tokens]`. Rows are padded to whole vectors, so that no values are left for slower instructions.
struct Scores {
    values: Vec<f32>,
    tokens: usize,
    row_stride: usize,
}

impl Scores {
    fn new(tokens: usize) -> Self {
        let row_stride = tokens.next_multiple_of(LANES);
        Self { values: vec![0.0; tokens * row_stride], tokens, row_stride }
    }

    /// Replaces the scores by `a * b`, and the padding by `filling`.
    fn multiply(&mut self, a: Matrix, b: Matrix, filling: f32, parallel: bool) {
        let all = Output { values: &mut self.values, row_stride: self.row_stride, first: 0 };
        product(all, a, b, Write::Replace, parallel);
        for row in self.values.chunks_exact_mut(self.row_stride) {
            row[self.tokens..].fill(filling);
        }
    }

    fn rows(&mut self) -> impl Iterator<Item = &mut [f32]> {
        self.values.chunks_exact_mut(self.row_stride)
    }

    fn matrix(&self) -> Matrix<'_> {
        Matrix::row_major(&self.values, self.row_stride).select_columns(0, self.tokens)
    }
}

/// The output, `[batch, tokens, features]`, of `qkv`, `[batch, tokens, 3 * features]`, whose keys count as often as their `sizes`,
/// `[batch, tokens]`, say.
pub(super) fn forward(
    qkv: &[f32],
    sizes: Option<&[f32]>,
    tokens: usize,
    heads: &[usize],
    scale: f32,
) -> Vec<f32> {
    let features: usize = heads.iter().sum();
    let image = tokens * features;
    let parallel = has_few_images(qkv.len() / (3 * image));
    let scratch = || Scores::new(tokens);
    let (output, _) = computed_with(qkv.len() / 3, image, scratch, |scores, number, output| {
        let output = output.cleared();
        let sizes = sizes.map(|sizes| part(sizes, tokens, number));
        for (start, head) in split(part(qkv, 3 * image, number), heads) {
            attend(&head, sizes, scores, scale, parallel);
            let all = Output { values: &mut *output, row_stride: features, first: start };
            product(all, scores.matrix(), head.v, Write::Replace, parallel);
        }
        (output, ())
    });
    output
}

/// Gradient of `qkv` from that of the output. The scores are computed again, since keeping them costs more memory than this
/// costs time.
pub(super) fn backward(
    qkv: &[f32],
    sizes: Option<&[f32]>,
    gradient: &[f32],
    tokens: usize,
    heads: &[usize],
    scale: f32,
) -> Vec<f32> {
    let features: usize = heads.iter().sum();
    let image = tokens * features;
    let parallel = has_few_images(gradient.len() / image);
    let scratch = || [Scores::new(tokens), Scores::new(tokens)];
    let (of_qkv, _) = computed_with(qkv.len(), 3 * image, scratch, |[scores, of_scores], number, of_qkv| {
        let of_qkv = of_qkv.cleared();
        let gradient = Matrix::row_major(part(gradient, image, number), features);
        let sizes = sizes.map(|sizes| part(sizes, tokens, number));
        for (start, head) in split(part(qkv, 3 * image, number), heads) {
            let gradient = gradient.select_columns(start, head.q.columns);
            attend(&head, sizes, scores, scale, parallel);
            of_scores.multiply(gradient, head.v.transposed(), 0.0, parallel);
            vectorised(
                #[inline(always)]
                || {
                    for (gradient, scores) in of_scores.rows().zip(scores.rows()) {
                        softmax_backward(gradient, scores, scale);
                    }
                },
            );
            let (scores, of_scores) = (scores.matrix(), of_scores.matrix());
            let mut write = |part: usize, a: Matrix, b: Matrix| {
                let first = part * features + start;
                let part = Output { values: &mut *of_qkv, row_stride: 3 * features, first };
                product(part, a, b, Write::Replace, parallel);
            };
            write(0, of_scores, head.k);
            write(1, of_scores.transposed(), head.q);
            write(2, scores.transposed(), gradient);
        }
        (of_qkv, ())
    });
    of_qkv
}

/// Whether there are too few images to give each thread one.
fn has_few_images(images: usize) -> bool {
    images < rayon::current_num_threads()
}

/// Softmax of the scaled scores of a head, whose keys count as often as their `sizes` say.
fn attend(head: &Head, sizes: Option<&[f32]>, scores: &mut Scores, scale: f32, parallel: bool) {
    scores.multiply(head.q, head.k.transposed(), f32::NEG_INFINITY, parallel);
    vectorised(
        #[inline(always)]
        || {
            for row in scores.rows() {
                softmax(row, sizes, scale);
            }
        },
    );
}

/// Replaces a row of scores by the softmax of them, scaled, each as often as its size says.
#[inline(always)]
fn softmax(row: &mut [f32], sizes: Option<&[f32]>, scale: f32) {
    let most = largest(row);
    for score in row.iter_mut() {
        *score = exp((*score - most) * scale);
    }
    for (score, size) in row.iter_mut().zip(sizes.unwrap_or_default()) {
        *score *= size;
    }
    let factor = 1.0 / sum(row, |value| value);
    for score in row.iter_mut() {
        *score *= factor;
    }
}

/// Replaces the gradient of a row after the softmax by that of the scores before scaling.
#[inline(always)]
fn softmax_backward(gradient: &mut [f32], softmax: &[f32], scale: f32) {
    let mean = sum2(gradient, softmax, |a, b| a * b);
    for (gradient, &softmax) in gradient.iter_mut().zip(softmax) {
        *gradient = softmax * (*gradient - mean) * scale;
    }
}
