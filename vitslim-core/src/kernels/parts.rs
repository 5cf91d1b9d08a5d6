//! Values that are computed part by part.

use std::mem::MaybeUninit;

use rayon::prelude::*;

/// `size` values, of which `compute` writes each part of `part` values, given its number. They are 0 before, set by the
/// thread that computes them: one thread that clears all of them first would be what the others wait for.
pub(super) fn computed(size: usize, part: usize, compute: impl Fn(usize, &mut [f32]) + Sync) -> Vec<f32> {
    let mut values: Vec<f32> = Vec::with_capacity(size);
    let parts = values.spare_capacity_mut()[..size].par_chunks_mut(part.max(1)).enumerate();
    parts.for_each(|(number, part)| compute(number, cleared(part)));
    // SAFETY: the capacity is there, and all of `size` values are in a part, which `cleared` has initialised.
    #[allow(unsafe_code)]
    unsafe {
        values.set_len(size);
    }
    values
}

fn cleared(part: &mut [MaybeUninit<f32>]) -> &mut [f32] {
    for value in part.iter_mut() {
        value.write(0.0);
    }
    // SAFETY: each value was written just now.
    #[allow(unsafe_code)]
    unsafe {
        part.assume_init_mut()
    }
}

/// Part `number` of `values`; the last may be shorter.
pub(super) fn part(values: &[f32], part: usize, number: usize) -> &[f32] {
    let start = number * part;
    &values[start..values.len().min(start + part)]
}
