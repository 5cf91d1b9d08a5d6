//! What a branch adds: `x + branch * scale * keep`, with a factor for each feature, and one for each sample.

use super::parts::{computed, computed_with, part};
use super::vector::{PART, vectorised};

/// The factors of a branch of `rows` rows for each sample, as wide as there are features.
#[derive(Clone, Copy)]
pub(super) struct Factors<'a> {
    pub(super) scale: Option<&'a [f32]>,
    pub(super) keep: Option<&'a [f32]>,
    pub(super) rows: usize,
    pub(super) width: usize,
}

impl Factors<'_> {
    /// Values of a part: whole rows.
    fn part(&self) -> usize {
        (PART / self.width).max(1) * self.width
    }

    fn keep(&self, row: usize) -> f32 {
        self.keep.map_or(1.0, |keep| keep[row / self.rows])
    }
}

pub(super) fn forward(x: &[f32], branch: &[f32], factors: Factors) -> Vec<f32> {
    let (size, width) = (factors.part(), factors.width);
    computed(x.len(), size, |number, output| {
        let (x, branch) = (part(x, size, number), part(branch, size, number));
        vectorised(
            #[inline(always)]
            || {
                output.by_rows(
                    width,
                    #[inline(always)]
                    |row, output| {
                        let keep = factors.keep(number * size / width + row);
                        let values = part(x, width, row).iter().zip(part(branch, width, row));
                        match factors.scale {
                            None => output.each(values.map(|(x, branch)| branch.mul_add(keep, *x))),
                            Some(scale) => output.each(
                                values
                                    .zip(scale)
                                    .map(|((x, branch), scale)| (branch * scale).mul_add(keep, *x)),
                            ),
                        }
                    },
                )
            },
        )
    })
}

/// The gradients of the branch and, if `branch` is given, of the scale.
pub(super) fn backward(
    branch: Option<&[f32]>,
    gradient: &[f32],
    factors: Factors,
) -> (Vec<f32>, Option<Vec<f32>>) {
    let (size, width) = (factors.part(), factors.width);
    let (of_branch, sums) = computed_with(
        gradient.len(),
        size,
        || (),
        |(), number, of_branch| {
            let gradient = part(gradient, size, number);
            let mut sum = branch.map(|_| vec![0.0; width]);
            let of_branch = vectorised(
                #[inline(always)]
                || {
                    of_branch.by_rows(
                        width,
                        #[inline(always)]
                        |row, of_branch| {
                            let keep = factors.keep(number * size / width + row);
                            let gradient = part(gradient, width, row);
                            if let Some((sum, branch)) = sum.as_mut().zip(branch) {
                                let branch = part(part(branch, size, number), width, row);
                                for ((sum, branch), gradient) in sum.iter_mut().zip(branch).zip(gradient) {
                                    *sum += branch * (gradient * keep);
                                }
                            }
                            match factors.scale {
                                None => of_branch.each(gradient.iter().map(|gradient| gradient * keep)),
                                Some(scale) => of_branch.each(
                                    gradient
                                        .iter()
                                        .zip(scale)
                                        .map(|(gradient, scale)| gradient * keep * scale),
                                ),
                            }
                        },
                    )
                },
            );
            (of_branch, sum)
        },
    );
    let of_scale = branch.map(|_| {
        let mut total = vec![0.0; width];
        for part in sums.iter().flatten() {
            total.iter_mut().zip(part).for_each(|(total, value)| *total += value);
        }
        total
    });
    (of_branch, of_scale)
}
