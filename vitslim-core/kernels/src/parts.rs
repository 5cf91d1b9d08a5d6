//! Values that are computed part by part, each part written once by the thread that computes it.

use std::mem::MaybeUninit;

use rayon::prelude::*;

/// Uninitialised values. Whoever writes all of them gets them as values, which saves the pass over memory that clearing them
/// first takes.
pub(super) struct Unwritten<'a>(&'a mut [MaybeUninit<f32>]);

impl<'a> Unwritten<'a> {
    /// Number of values.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// All values 0.
    pub(super) fn cleared(self) -> &'a mut [f32] {
        self.each(std::iter::repeat(0.0))
    }

    /// The first of `values`, as many as fit.
    #[inline(always)]
    pub(super) fn each(self, values: impl Iterator<Item = f32>) -> &'a mut [f32] {
        let mut written = 0;
        for (place, value) in self.0.iter_mut().zip(values) {
            place.write(value);
            written += 1;
        }
        assert_eq!(written, self.0.len(), "fewer values than places");
        // SAFETY: each was written just now.
        #[allow(unsafe_code)]
        unsafe {
            self.0.assume_init_mut()
        }
    }

    /// Rows of `columns` values. `write` gets the index of a row and writes it.
    #[inline(always)]
    pub(super) fn by_rows(
        self,
        columns: usize,
        mut write: impl for<'r> FnMut(usize, Unwritten<'r>) -> &'r mut [f32],
    ) -> &'a mut [f32] {
        for (number, row) in self.0.chunks_mut(columns.max(1)).enumerate() {
            let place = (row.as_ptr().cast(), row.len());
            let written = write(number, Unwritten(row));
            assert_eq!((written.as_ptr(), written.len()), place, "a row is not written");
        }
        // SAFETY: each row is written, since only what wrote it has it as values.
        #[allow(unsafe_code)]
        unsafe {
            self.0.assume_init_mut()
        }
    }

    /// The values that `write` writes through the pointer to the first.
    ///
    /// # Safety
    ///
    /// `write` must write all places, and nothing else.
    #[allow(unsafe_code)]
    pub(super) unsafe fn by_pointer(self, write: impl FnOnce(*mut f32)) -> &'a mut [f32] {
        write(self.0.as_mut_ptr().cast());
        // SAFETY: the caller says that all are written.
        unsafe { self.0.assume_init_mut() }
    }
}

/// `size` values. `compute` gets the index of each part of `part` values and writes it.
pub(super) fn computed(
    size: usize,
    part: usize,
    compute: impl for<'a> Fn(usize, Unwritten<'a>) -> &'a mut [f32] + Sync,
) -> Vec<f32> {
    computed_with(size, part, || (), |(), number, part| (compute(number, part), ())).0
}

/// Like [`computed`], with scratch space, which keeps what earlier parts left in it, and with another result of `compute`
/// for each part, in the order of the parts.
pub(super) fn computed_with<S, T: Send>(
    size: usize,
    part: usize,
    scratch: impl Fn() -> S + Send + Sync,
    compute: impl for<'a> Fn(&mut S, usize, Unwritten<'a>) -> (&'a mut [f32], T) + Sync,
) -> (Vec<f32>, Vec<T>) {
    let mut values: Vec<f32> = Vec::with_capacity(size);
    let parts = values.spare_capacity_mut()[..size].par_chunks_mut(part.max(1)).enumerate();
    let compute = |scratch: &mut S, (number, part): (usize, &mut [MaybeUninit<f32>])| {
        let place = (part.as_ptr().cast(), part.len());
        let (written, given) = compute(scratch, number, Unwritten(part));
        assert_eq!((written.as_ptr(), written.len()), place, "a part is not written");
        given
    };
    let given = parts.map_init(scratch, compute).collect();
    // SAFETY: the capacity is there, and all of `size` values are in a part, which is written.
    #[allow(unsafe_code)]
    unsafe {
        values.set_len(size);
    }
    (values, given)
}

/// `N` tensors, computed by tasks. Each task writes the next part of every tensor, of the lengths in `tasks`. Threads take
/// tasks in order: put long ones first, so that no thread waits long at the end.
pub(super) fn computed_by_tasks<const N: usize>(
    tasks: &[[usize; N]],
    compute: impl for<'a> Fn(usize, [Unwritten<'a>; N]) -> [&'a mut [f32]; N] + Sync,
) -> [Vec<f32>; N] {
    let sizes: [usize; N] = std::array::from_fn(|tensor| tasks.iter().map(|task| task[tensor]).sum());
    let mut tensors = sizes.map(Vec::<f32>::with_capacity);
    let mut rests = tensors.each_mut().map(|tensor| tensor.spare_capacity_mut());
    let parts = tasks.iter().map(|lengths| {
        std::array::from_fn(|tensor| {
            let (part, rest) = std::mem::take(&mut rests[tensor]).split_at_mut(lengths[tensor]);
            rests[tensor] = rest;
            Unwritten(part)
        })
    });
    let parts: Vec<[Unwritten; N]> = parts.collect();
    parts.into_iter().enumerate().par_bridge().for_each(|(number, parts)| {
        let places = parts.each_ref().map(|part| (part.0.as_ptr().cast(), part.len()));
        let written = compute(number, parts).map(|part| (part.as_ptr(), part.len()));
        assert_eq!(written, places, "a part is not written");
    });
    for (tensor, size) in tensors.iter_mut().zip(sizes) {
        // SAFETY: the capacity is there, and the parts, all of which are written, have `size` values together.
        #[allow(unsafe_code)]
        unsafe {
            tensor.set_len(size);
        }
    }
    tensors
}

/// Part `number` of `values`; the last may be shorter.
pub(super) fn part(values: &[f32], part: usize, number: usize) -> &[f32] {
    let start = number * part;
    &values[start..values.len().min(start + part)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_in_their_order_with_what_was_given_for_them() {
        let (values, given) = computed_with(10, 4, Vec::new, |scratch: &mut Vec<usize>, number, part| {
            scratch.push(number);
            let (len, first) = (part.len(), number as f32 * 10.0);
            (part.each((0..len).map(|index| first + index as f32)), len)
        });
        assert_eq!(values, [0.0, 1.0, 2.0, 3.0, 10.0, 11.0, 12.0, 13.0, 20.0, 21.0]);
        assert_eq!(given, [4, 4, 2]);
        assert_eq!(computed(5, 5, |_, part| part.each(std::iter::repeat(1.0))), [1.0; 5]);
        assert!(computed(0, 4, |_, part| part.cleared()).is_empty());
    }

    #[test]
    fn tensors_are_what_the_tasks_wrote_in_their_order() {
        let tasks = [[2, 0], [0, 3], [1, 2], [0, 0]];
        let [first, second] = computed_by_tasks(&tasks, |number, parts| {
            parts.map(|part| part.each(std::iter::repeat(number as f32)))
        });
        assert_eq!(first, [0.0, 0.0, 2.0]);
        assert_eq!(second, [1.0, 1.0, 1.0, 2.0, 2.0]);
    }

    #[test]
    #[should_panic(expected = "a part is not written")]
    fn a_task_that_writes_another_part_panics() {
        computed_by_tasks(&[[2, 2]], |_, [first, second]| [second.cleared(), first.cleared()]);
    }

    #[test]
    #[should_panic(expected = "fewer values than places")]
    fn too_few_values_panic() {
        computed(5, 5, |_, part| part.each([1.0; 4].into_iter()));
    }

    #[test]
    #[should_panic(expected = "a part is not written")]
    fn other_values_than_those_of_the_part_panic() {
        computed(5, 5, |_, _| Vec::leak(vec![0.0; 5]));
    }

    #[test]
    #[should_panic(expected = "a row is not written")]
    fn other_values_than_those_of_the_row_panic() {
        computed(4, 4, |_, part| part.by_rows(2, |_, _| Vec::leak(vec![0.0; 2])));
    }
}
