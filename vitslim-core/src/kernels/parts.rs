//! Values that are computed part by part.

use std::mem::MaybeUninit;

use rayon::prelude::*;

/// `size` values, of which `compute` writes each part of `part` values, given its number. They are 0 before, set by the
/// thread that computes them: one thread that clears all of them first would be what the others wait for.
pub(super) fn computed(size: usize, part: usize, compute: impl Fn(usize, &mut [f32]) + Sync) -> Vec<f32> {
    computed_with(size, part, compute).0
}

/// As [`computed`], with what `compute` gives for each part, in their order.
pub(super) fn computed_with<T: Send>(
    size: usize,
    part: usize,
    compute: impl Fn(usize, &mut [f32]) -> T + Sync,
) -> (Vec<f32>, Vec<T>) {
    computed_from(size, part, || (), |(), number, part| compute(number, part))
}

/// As [`computed_with`], with scratch space that `compute` finds as the part before left it.
pub(super) fn computed_from<S, T: Send>(
    size: usize,
    part: usize,
    scratch: impl Fn() -> S + Send + Sync,
    compute: impl Fn(&mut S, usize, &mut [f32]) -> T + Sync,
) -> (Vec<f32>, Vec<T>) {
    let mut values: Vec<f32> = Vec::with_capacity(size);
    let parts = values.spare_capacity_mut()[..size].par_chunks_mut(part.max(1)).enumerate();
    let compute = |scratch: &mut S, (number, part)| compute(scratch, number, cleared(part));
    let given = parts.map_init(scratch, compute).collect();
    // SAFETY: the capacity is there, and all of `size` values are in a part, which `cleared` has initialised.
    #[allow(unsafe_code)]
    unsafe {
        values.set_len(size);
    }
    (values, given)
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
