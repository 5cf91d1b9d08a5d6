//! Matrix products on slices, by the `gemm` crate.

use std::borrow::Cow;

use gemm::Parallelism;

use super::parts::{Unwritten, computed};

/// Side of the squares that a matrix is copied in, so that both source and target stay in the first cache.
const TILE: usize = 32;

/// A matrix in a slice: the value of row `i` and column `j` is at `i * row_stride + j * column_stride`.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a> {
    pub(super) values: &'a [f32],
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) row_stride: usize,
    pub(super) column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// A matrix of rows of `columns` values, one after the other.
    pub(super) fn row_major(values: &'a [f32], columns: usize) -> Self {
        assert!(columns > 0, "a matrix without columns");
        let rows = values.len() / columns;
        Self { values, rows, columns, row_stride: columns, column_stride: 1 }
    }

    /// `columns` columns from `first` on.
    pub(super) fn select_columns(self, first: usize, columns: usize) -> Self {
        Self { values: &self.values[first * self.column_stride..], columns, ..self }
    }

    /// `rows` rows from `first` on.
    pub(super) fn select_rows(self, first: usize, rows: usize) -> Self {
        Self { values: &self.values[first * self.row_stride..], rows, ..self }
    }

    /// The values row by row, copied if they are not stored like that.
    pub(super) fn rows(&self) -> Cow<'a, [f32]> {
        let Self { values, rows, columns, row_stride, column_stride } = *self;
        if column_stride == 1 && row_stride == columns {
            return Cow::Borrowed(&values[..rows * columns]);
        }
        Cow::Owned(computed(rows * columns, TILE * columns, |number, part| {
            let part = part.cleared();
            for first in (0..columns).step_by(TILE) {
                let last = columns.min(first + TILE);
                for (row, part) in part.chunks_exact_mut(columns).enumerate() {
                    let start = (number * TILE + row) * row_stride;
                    for (column, value) in (first..last).zip(&mut part[first..last]) {
                        *value = values[start + column * column_stride];
                    }
                }
            }
            part
        }))
    }

    pub(super) fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }
}

/// Where a product is written: into rows of `row_stride` values, from value `first` on.
pub(super) struct Output<'a> {
    pub(super) values: &'a mut [f32],
    pub(super) row_stride: usize,
    pub(super) first: usize,
}

/// Whether a product replaces what is there or is added to it.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Write {
    Replace,
    Add,
}

/// Writes `a * b` to `output`, with all threads if `parallel`. The result does not depend on their number.
pub(super) fn product(output: Output, a: Matrix, b: Matrix, write: Write, parallel: bool) {
    let Output { values, row_stride, first } = output;
    if a.rows == 0 || b.columns == 0 {
        return;
    }
    assert!(first.checked_add(b.columns).is_some_and(|end| end <= row_stride), "rows of the output overlap");
    let end = last(a.rows, row_stride, first + b.columns, 1);
    assert!(end.is_some_and(|end| end < values.len()), "the output does not fit its slice");
    // SAFETY: by the assertions all places are in the slice.
    #[allow(unsafe_code)]
    unsafe {
        multiply(values.as_mut_ptr().add(first), row_stride, a, b, write, parallel);
    }
}

/// `a * b`, row by row, on one thread.
pub(super) fn written_product<'a>(output: Unwritten<'a>, a: Matrix, b: Matrix) -> &'a mut [f32] {
    assert_eq!(Some(output.len()), a.rows.checked_mul(b.columns), "the output does not fit");
    if a.columns == 0 {
        return output.cleared();
    }
    // SAFETY: there are as many places as the product has values, and all of them are written.
    #[allow(unsafe_code)]
    unsafe {
        output.by_pointer(|first| multiply(first, b.columns, a, b, Write::Replace, false))
    }
}

/// The last index that is read or written, unless it overflows.
fn last(rows: usize, row_stride: usize, columns: usize, column_stride: usize) -> Option<usize> {
    let row = rows.saturating_sub(1).checked_mul(row_stride)?;
    row.checked_add(columns.saturating_sub(1).checked_mul(column_stride)?)
}

/// Writes or adds `a * b` from `first` on, to rows that start `row_stride` values apart.
///
/// # Safety
///
/// The memory of all rows must exist, and rows must not overlap.
#[allow(unsafe_code)]
unsafe fn multiply(first: *mut f32, row_stride: usize, a: Matrix, b: Matrix, write: Write, parallel: bool) {
    assert_eq!(a.columns, b.rows, "the matrices do not fit");
    let fits = |m: &Matrix| {
        let last = last(m.rows, m.row_stride, m.columns, m.column_stride);
        last.is_some_and(|last| last < m.values.len())
    };
    let is_empty = a.rows == 0 || a.columns == 0 || b.columns == 0;
    assert!(is_empty || (fits(&a) && fits(&b)), "a matrix does not fit its slice");
    let parallelism = if parallel { Parallelism::Rayon(0) } else { Parallelism::None };
    let (alpha, beta) = (1.0, 1.0);
    // SAFETY: by the assertions all places that are read are in the slices; of those that are written the caller says so. What
    // is there is read only where it is added to.
    unsafe {
        gemm::gemm(
            a.rows,
            b.columns,
            a.columns,
            first,
            1,
            row_stride as isize,
            write == Write::Add,
            a.values.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.values.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            alpha,
            beta,
            false,
            false,
            false,
            parallelism,
        );
    }
}
