//! Layer normalisation over rows of features, some of which may be sliced away.
//!
//! Of `width` features, `kept` are left; the others count as 0. If there are fewer than `kept`, the rest is masked, so that all
//! of them are 0 in `x`. With `mean = sum(x) / width`,
//! `variance = (sum((x - mean)^2) + (width - kept) * mean^2) / width` and `r = 1 / sqrt(variance + epsilon)`, the output is
//! `gamma * (x - mean) * r + beta`. The gradient is that of an ordinary layer normalisation, with means over `width`.
//!
//! Rows are tokens, image by image. If tokens have factors, the output of each is multiplied by its factor in the same pass.

use super::parts::{Unwritten, computed, computed_with, part};
use super::vector::{sum, sum2, vectorised};

/// Rows of a part. It must not depend on the number of threads, since sums over the rows are added up part by part.
const ROWS: usize = 64;

/// The parameters of the norm.
#[derive(Clone, Copy)]
pub(super) struct Norm<'a> {
    pub(super) gamma: &'a [f32],
    pub(super) beta: &'a [f32],
    /// The factor of each token of an image.
    pub(super) factors: Option<&'a [f32]>,
    pub(super) epsilon: f32,
    pub(super) width: usize,
}

impl Norm<'_> {
    /// The factor of row `row`.
    #[inline(always)]
    fn factor(&self, row: usize) -> f32 {
        self.factors.map_or(1.0, |factors| factors[row % factors.len()])
    }

    /// Mean and reciprocal std of a row.
    #[inline(always)]
    fn moments(&self, x: &[f32]) -> (f32, f32) {
        let width = self.width as f32;
        let mean = sum(x, |x| x) / width;
        let removed = width - x.len() as f32;
        let variance = match removed < 0.0 {
            // A difference would leave nothing of a small variance: what is 0, masked or not, is counted instead of centred.
            true => {
                let others = sum(x, |x| if x == 0.0 { 0.0 } else { 1.0 });
                let centred = sum(x, |x| if x == 0.0 { 0.0 } else { (x - mean) * (x - mean) });
                (centred + (width - others) * mean * mean) / width
            }
            false => (sum(x, |x| (x - mean) * (x - mean)) + removed * mean * mean) / width,
        };
        (mean, 1.0 / (variance + self.epsilon).sqrt())
    }
}

/// The output; `x` is rows with as many features as `gamma` and `beta`.
pub(super) fn forward(x: &[f32], norm: Norm) -> Vec<f32> {
    let kept = norm.gamma.len();
    computed(x.len(), ROWS * kept, |number, output| {
        let x = part(x, ROWS * kept, number);
        vectorised(
            #[inline(always)]
            || {
                output.by_rows(
                    kept,
                    #[inline(always)]
                    |row, output| {
                        let x = part(x, kept, row);
                        let (mean, r) = norm.moments(x);
                        let factor = norm.factor(number * ROWS + row);
                        let values = x.iter().zip(norm.gamma).zip(norm.beta);
                        output.each(values.map(
                            #[inline(always)]
                            |((&x, &gamma), &beta)| ((x - mean) * r).mul_add(gamma, beta) * factor,
                        ))
                    },
                )
            },
        )
    })
}

/// Gradients of the inputs.
pub(super) struct Gradients {
    pub(super) x: Vec<f32>,
    pub(super) gamma: Vec<f32>,
    pub(super) beta: Vec<f32>,
    pub(super) factors: Option<Vec<f32>>,
}

/// Gradients that a part of the rows adds to, other than that of `x`.
struct Sums {
    gamma: Vec<f32>,
    beta: Vec<f32>,
    /// The gradient of the factor of each row.
    factors: Vec<f32>,
}

/// Gradients from that of the output.
pub(super) fn backward(x: &[f32], norm: Norm, gradient: &[f32]) -> Gradients {
    let kept = norm.gamma.len();
    let size = ROWS * kept;
    let scratch = || vec![0.0; kept];
    let (of_x, sums) = computed_with(x.len(), size, scratch, |normalised, number, of_x| {
        let rows =
            Rows { x: part(x, size, number), gradient: part(gradient, size, number), first: number * ROWS };
        let mut sums = Sums { gamma: vec![0.0; kept], beta: vec![0.0; kept], factors: Vec::new() };
        let of_x = vectorised(
            #[inline(always)]
            || {
                of_x.by_rows(
                    kept,
                    #[inline(always)]
                    |row, of_x| backward_row(of_x, norm, &rows, row, normalised, &mut sums),
                )
            },
        );
        (of_x, sums)
    });
    let mut gradients = Gradients {
        x: of_x,
        gamma: vec![0.0; kept],
        beta: vec![0.0; kept],
        factors: norm.factors.map(|factors| vec![0.0; factors.len()]),
    };
    for part in &sums {
        add(&mut gradients.gamma, &part.gamma);
        add(&mut gradients.beta, &part.beta);
    }
    if let Some(of_factors) = &mut gradients.factors {
        let rows: Vec<f32> = sums.into_iter().flat_map(|part| part.factors).collect();
        rows.chunks_exact(of_factors.len()).for_each(|image| add(of_factors, image));
    }
    gradients
}

fn add(sum: &mut [f32], values: &[f32]) {
    for (sum, value) in sum.iter_mut().zip(values) {
        *sum += value;
    }
}

/// A part of the rows.
struct Rows<'a> {
    x: &'a [f32],
    gradient: &'a [f32],
    /// Index of its first row.
    first: usize,
}

/// The gradient of a row. Gradients of the parameters are added to `sums`. `normalised` is scratch space for a row.
#[inline(always)]
fn backward_row<'a>(
    of_x: Unwritten<'a>,
    norm: Norm,
    rows: &Rows,
    row: usize,
    normalised: &mut [f32],
    sums: &mut Sums,
) -> &'a mut [f32] {
    let kept = norm.gamma.len();
    let (x, gradient) = (part(rows.x, kept, row), part(rows.gradient, kept, row));
    let (mean, r) = norm.moments(x);
    let factor = norm.factor(rows.first + row);
    for (normalised, &x) in normalised.iter_mut().zip(x) {
        *normalised = (x - mean) * r;
    }
    let of_parameters = sums.gamma.iter_mut().zip(sums.beta.iter_mut());
    for ((of_gamma, of_beta), (&normalised, &gradient)) in of_parameters.zip(normalised.iter().zip(gradient))
    {
        *of_gamma += normalised * (gradient * factor);
        *of_beta += gradient * factor;
    }
    let of_x = of_x.each(gradient.iter().zip(norm.gamma).map(
        #[inline(always)]
        |(&gradient, &gamma)| gradient * gamma,
    ));
    let through_mean = sum(of_x, |value| value);
    let through_variance = sum2(of_x, normalised, |a, b| a * b);
    if norm.factors.is_some() {
        sums.factors.push(through_variance + sum2(gradient, norm.beta, |a, b| a * b));
    }
    let (mean, variance) = (through_mean / norm.width as f32, through_variance / norm.width as f32);
    let scale = r * factor;
    for (of_x, &normalised) in of_x.iter_mut().zip(&*normalised) {
        *of_x = scale * (*of_x - mean - normalised * variance);
    }
    of_x
}
