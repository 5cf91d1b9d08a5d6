//! The exact GELU: `x * Phi(x)` with `Phi` the normal distribution function.

use super::parts::{computed, part};
use super::vector::{PART, exp, vectorised};

/// GELU of each value.
pub(super) fn forward(x: &[f32]) -> Vec<f32> {
    computed(x.len(), PART, |number, output| {
        let x = part(x, PART, number);
        vectorised(
            #[inline(always)]
            || {
                output.each(x.iter().map(
                    #[inline(always)]
                    |&x| x * normal(x).0,
                ))
            },
        )
    })
}

/// Replaces each value by its GELU.
#[inline(always)]
pub(super) fn in_place(x: &mut [f32]) {
    for x in x {
        *x *= normal(*x).0;
    }
}

/// Gradients of the values: `gradient * (Phi(x) + x * phi(x))`.
pub(super) fn backward(x: &[f32], gradient: &[f32]) -> Vec<f32> {
    /// `1 / sqrt(2 pi)`
    const DENSITY: f32 = 0.398_942_3;

    computed(x.len(), PART, |number, output| {
        let (x, gradient) = (part(x, PART, number), part(gradient, PART, number));
        vectorised(
            #[inline(always)]
            || {
                output.each(x.iter().zip(gradient).map(
                    #[inline(always)]
                    |(&x, &gradient)| {
                        let (distribution, exponential) = normal(x);
                        gradient * (distribution + x * exponential * DENSITY)
                    },
                ))
            },
        )
    })
}

/// `Phi(x)` and `e^(-x^2 / 2)`. The error function is Abramowitz and Stegun 7.1.26, accurate to 1.5e-7.
#[inline(always)]
fn normal(x: f32) -> (f32, f32) {
    let exponential = exp(-0.5 * x * x);
    let t = 1.0 / 0.327_591_1_f32.mul_add(x.abs() * std::f32::consts::FRAC_1_SQRT_2, 1.0);
    let p = 1.061_405_4_f32
        .mul_add(t, -1.453_152)
        .mul_add(t, 1.421_413_7)
        .mul_add(t, -0.284_496_74)
        .mul_add(t, 0.254_829_6)
        * t;
    let erf = 1.0 - p * exponential;
    (0.5 * (1.0 + erf.copysign(x)), exponential)
}
