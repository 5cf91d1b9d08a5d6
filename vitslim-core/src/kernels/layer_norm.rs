//! Layer normalisation over rows of features, some of which may have been sliced away.
//!
//! Of `width` features `kept` are there; the others are 0. With `mean = sum(x) / width`, `variance = (sum((x - mean)^2) + (width -
//! kept) * mean^2) / width` and `r = 1 / sqrt(variance + epsilon)` the output is `gamma * (x - mean) * r + beta`. The variance does
//! not change with the mean, so that the gradient is the one of any layer normalisation, with means over `width`.

use rayon::prelude::*;

use super::parts::{computed, part};
use super::vector::{sum, sum2, vectorised};

/// Rows of a part. Sums over the rows are added up part by part, so that the number must not depend on the number of threads.
const ROWS: usize = 64;

/// `x` is rows of as many features as `gamma` and `beta` have.
pub(super) fn forward(x: &[f32], gamma: &[f32], beta: &[f32], epsilon: f32, width: usize) -> Vec<f32> {
    let kept = gamma.len();
    computed(x.len(), ROWS * kept, |number, output| {
        let x = part(x, ROWS * kept, number);
        vectorised(
            #[inline(always)]
            || {
                for (output, x) in output.chunks_exact_mut(kept).zip(x.chunks_exact(kept)) {
                    let (mean, r) = moments(x, epsilon, width);
                    for (((output, &x), &gamma), &beta) in output.iter_mut().zip(x).zip(gamma).zip(beta) {
                        *output = ((x - mean) * r).mul_add(gamma, beta);
                    }
                }
            },
        );
    })
}

/// Gradients of the inputs.
pub(super) struct Gradients {
    pub(super) x: Vec<f32>,
    pub(super) gamma: Vec<f32>,
    pub(super) beta: Vec<f32>,
}

/// Gradients from that of the output.
pub(super) fn backward(x: &[f32], gamma: &[f32], gradient: &[f32], epsilon: f32, width: usize) -> Gradients {
    let kept = gamma.len();
    let mut of_x = vec![0.0; x.len()];
    let parts = of_x.par_chunks_mut(ROWS * kept);
    let parts = parts.zip(x.par_chunks(ROWS * kept)).zip(gradient.par_chunks(ROWS * kept));
    let sums: Vec<[Vec<f32>; 2]> = parts
        .map(|((of_x, x), gradient)| {
            let mut sums = [vec![0.0; kept], vec![0.0; kept]];
            vectorised(
                #[inline(always)]
                || backward_rows(of_x, x, gamma, gradient, epsilon, width, &mut sums),
            );
            sums
        })
        .collect();
    let add = |mut total: [Vec<f32>; 2], part: [Vec<f32>; 2]| {
        for (total, part) in total.iter_mut().flatten().zip(part.iter().flatten()) {
            *total += part;
        }
        total
    };
    let [gamma, beta] = sums.into_iter().fold([vec![0.0; kept], vec![0.0; kept]], add);
    Gradients { x: of_x, gamma, beta }
}

/// Gradients of rows; those of gamma and beta are added to `sums`.
#[inline(always)]
fn backward_rows(
    of_x: &mut [f32],
    x: &[f32],
    gamma: &[f32],
    gradient: &[f32],
    epsilon: f32,
    width: usize,
    [of_gamma, of_beta]: &mut [Vec<f32>; 2],
) {
    let kept = gamma.len();
    let mut normalised = vec![0.0; kept];
    let rows = of_x.chunks_exact_mut(kept).zip(x.chunks_exact(kept)).zip(gradient.chunks_exact(kept));
    for ((of_x, x), gradient) in rows {
        let (mean, r) = moments(x, epsilon, width);
        for (normalised, &x) in normalised.iter_mut().zip(x) {
            *normalised = (x - mean) * r;
        }
        for ((of_gamma, of_beta), (&normalised, &gradient)) in
            of_gamma.iter_mut().zip(of_beta.iter_mut()).zip(normalised.iter().zip(gradient))
        {
            *of_gamma += normalised * gradient;
            *of_beta += gradient;
        }
        for ((of_x, &gradient), &gamma) in of_x.iter_mut().zip(gradient).zip(gamma) {
            *of_x = gradient * gamma;
        }
        let through_mean = sum(of_x, |value| value) / width as f32;
        let through_variance = sum2(of_x, &normalised, |a, b| a * b) / width as f32;
        for (of_x, &normalised) in of_x.iter_mut().zip(&normalised) {
            *of_x = r * (*of_x - through_mean - normalised * through_variance);
        }
    }
}

/// Mean and reciprocal deviation of a row.
#[inline(always)]
fn moments(x: &[f32], epsilon: f32, width: usize) -> (f32, f32) {
    let mean = sum(x, |x| x) / width as f32;
    let removed = (width - x.len()) as f32 * mean * mean;
    let variance = (sum(x, |x| (x - mean) * (x - mean)) + removed) / width as f32;
    (mean, 1.0 / (variance + epsilon).sqrt())
}
