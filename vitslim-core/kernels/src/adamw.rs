//! A step of AdamW, in one pass over the parameters and their moments.

use rayon::prelude::*;

use super::vector::{PART, vectorised};

/// The coefficients of an AdamW step (Loshchilov and Hutter 2019, algorithm 2), in f32 as burn's own.
#[derive(Clone, Copy, Debug)]
pub struct AdamWStep {
    /// Decay of the first moment.
    pub beta_1: f32,
    /// Decay of the second moment.
    pub beta_2: f32,
    /// Number of this step, from 1.
    pub time: i32,
    /// Added to the square root of the second moment.
    pub epsilon: f32,
    /// The learning rate.
    pub lr: f64,
    /// Weight decay times learning rate.
    pub decay: f64,
}

/// Updates parameters and moments by the gradient. Each operation is rounded separately, so that the results are
/// bit-identical to those of burn's AdamW.
pub(super) fn step(
    parameters: &mut [f32],
    gradient: &[f32],
    moment_1: &mut [f32],
    moment_2: &mut [f32],
    step: AdamWStep,
) {
    let AdamWStep { beta_1, beta_2, time, epsilon, lr, decay } = step;
    let (lr, keep) = (lr as f32, (1.0 - decay) as f32);
    let (new_1, new_2) = (1.0 - beta_1, 1.0 - beta_2);
    let (bias_1, bias_2) = (1.0 - beta_1.powi(time), 1.0 - beta_2.powi(time));
    let update = |parameters: &mut [f32], gradient: &[f32], moment_1: &mut [f32], moment_2: &mut [f32]| {
        vectorised(
            #[inline(always)]
            || {
                let moments = moment_1.iter_mut().zip(moment_2);
                for ((parameter, &gradient), (moment_1, moment_2)) in
                    parameters.iter_mut().zip(gradient).zip(moments)
                {
                    *moment_1 = *moment_1 * beta_1 + gradient * new_1;
                    *moment_2 = *moment_2 * beta_2 + gradient * gradient * new_2;
                    let update = (*moment_1 / bias_1) / ((*moment_2 / bias_2).sqrt() + epsilon);
                    *parameter = *parameter * keep - update * lr;
                }
            },
        );
    };
    if parameters.len() <= PART {
        // Handing this to another thread would take longer.
        return update(parameters, gradient, moment_1, moment_2);
    }
    let parts = parameters
        .par_chunks_mut(PART)
        .zip(gradient.par_chunks(PART))
        .zip(moment_1.par_chunks_mut(PART).zip(moment_2.par_chunks_mut(PART)));
    parts.for_each(|((parameters, gradient), (moment_1, moment_2))| {
        update(parameters, gradient, moment_1, moment_2);
    });
}
