//! Self-attention on queries, keys and values that lie side by side in each token: `[q | k | v]`, each of all heads one after
//! the other, heads of any sizes.

use rayon::prelude::*;

use super::product::{Matrix, Output, Write, product};
use super::vector::{exp, largest, sum, sum2, vectorised};

/// Queries, keys and values of one head of one image.
struct Head<'a> {
    q: Matrix<'a>,
    k: Matrix<'a>,
    v: Matrix<'a>,
}

/// The heads of one image, `[tokens, 3 * features]`, and where each begins.
fn heads<'a>(qkv: &'a [f32], sizes: &[usize]) -> impl Iterator<Item = (usize, Head<'a>)> {
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

/// The output, `[batch, tokens, features]`, of `qkv`, `[batch, tokens, 3 * features]`.
pub(super) fn forward(qkv: &[f32], tokens: usize, sizes: &[usize], scale: f32) -> Vec<f32> {
    let features: usize = sizes.iter().sum();
    let image = tokens * features;
    let mut output = vec![0.0; qkv.len() / 3];
    let parallel = has_few_images(output.len() / image);
    let images = output.par_chunks_mut(image).zip(qkv.par_chunks(3 * image));
    images.for_each_init(
        || vec![0.0; tokens * tokens],
        |scores, (output, qkv)| {
            for (start, head) in heads(qkv, sizes) {
                attend(&head, scores, tokens, scale, parallel);
                let all = Output { values: &mut *output, row_stride: features, first: start };
                product(all, Matrix::row_major(scores, tokens), head.v, Write::Replace, parallel);
            }
        },
    );
    output
}

/// Gradient of `qkv` from that of the output. The scores are computed again: they take more memory than time.
pub(super) fn backward(
    qkv: &[f32],
    gradient: &[f32],
    tokens: usize,
    sizes: &[usize],
    scale: f32,
) -> Vec<f32> {
    let features: usize = sizes.iter().sum();
    let image = tokens * features;
    let mut of_qkv = vec![0.0; qkv.len()];
    let parallel = has_few_images(gradient.len() / image);
    let images = of_qkv.par_chunks_mut(3 * image).zip(qkv.par_chunks(3 * image));
    images.zip(gradient.par_chunks(image)).for_each_init(
        || (vec![0.0; tokens * tokens], vec![0.0; tokens * tokens]),
        |(scores, of_scores), ((of_qkv, qkv), gradient)| {
            for (start, head) in heads(qkv, sizes) {
                let gradient = Matrix::row_major(gradient, features).select_columns(start, head.q.columns);
                attend(&head, scores, tokens, scale, parallel);
                let all = Output { values: &mut *of_scores, row_stride: tokens, first: 0 };
                product(all, gradient, head.v.transposed(), Write::Replace, parallel);
                vectorised(
                    #[inline(always)]
                    || {
                        let rows = of_scores.chunks_exact_mut(tokens).zip(scores.chunks_exact(tokens));
                        for (gradient, scores) in rows {
                            softmax_backward(gradient, scores, scale);
                        }
                    },
                );
                let (scores, of_scores) =
                    (Matrix::row_major(scores, tokens), Matrix::row_major(of_scores, tokens));
                let mut write = |part: usize, a: Matrix, b: Matrix| {
                    let first = part * features + start;
                    let part = Output { values: &mut *of_qkv, row_stride: 3 * features, first };
                    product(part, a, b, Write::Replace, parallel);
                };
                write(0, of_scores, head.k);
                write(1, of_scores.transposed(), head.q);
                write(2, scores.transposed(), gradient);
            }
        },
    );
    of_qkv
}

/// Whether there are too few images to give each thread one.
fn has_few_images(images: usize) -> bool {
    images < rayon::current_num_threads()
}

/// Softmax of the scaled scores of a head, `[tokens, tokens]`.
fn attend(head: &Head, scores: &mut [f32], tokens: usize, scale: f32, parallel: bool) {
    let all = Output { values: &mut *scores, row_stride: tokens, first: 0 };
    product(all, head.q, head.k.transposed(), Write::Replace, parallel);
    vectorised(
        #[inline(always)]
        || {
            for row in scores.chunks_exact_mut(tokens) {
                softmax(row, scale);
            }
        },
    );
}

/// Replaces a row of scores by the softmax of them, scaled.
#[inline(always)]
fn softmax(row: &mut [f32], scale: f32) {
    let most = largest(row);
    for score in row.iter_mut() {
        *score = exp((*score - most) * scale);
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
