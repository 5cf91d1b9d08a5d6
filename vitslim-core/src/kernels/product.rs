//! Matrix products of parts of slices, by the `gemm` crate.

use gemm::Parallelism;

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
    /// Rows of `columns` values, one after the other.
    pub(super) fn rows(values: &'a [f32], columns: usize) -> Self {
        let rows = values.len() / columns.max(1);
        Self { values, rows, columns, row_stride: columns, column_stride: 1 }
    }

    /// `columns` columns from `first` on.
    pub(super) fn columns(self, first: usize, columns: usize) -> Self {
        Self { values: &self.values[first * self.column_stride..], columns, ..self }
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

/// Where a product goes: rows of `row_stride` values each, of which `columns` from `first` on are written.
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

/// Writes `a * b` to `output`, with all threads if `parallel`. What is computed does not depend on their number.
pub(super) fn product(output: Output, a: Matrix, b: Matrix, write: Write, parallel: bool) {
    assert_eq!(a.columns, b.rows, "the matrices do not fit");
    if a.rows == 0 || b.columns == 0 {
        return;
    }
    let Output { values, row_stride, first } = output;
    let reach = |m: &Matrix| (m.rows.max(1) - 1) * m.row_stride + (m.columns.max(1) - 1) * m.column_stride;
    assert!(a.columns == 0 || (reach(&a) < a.values.len() && reach(&b) < b.values.len()));
    assert!(first + b.columns <= row_stride && (a.rows - 1) * row_stride + first + b.columns <= values.len());
    let parallelism = if parallel { Parallelism::Rayon(0) } else { Parallelism::None };
    let (alpha, beta) = (1.0, 1.0);
    // SAFETY: the assertions above: all places that the strides lead to are in the slices, and rows of the output do not
    // overlap.
    #[allow(unsafe_code)]
    unsafe {
        gemm::gemm(
            a.rows,
            b.columns,
            a.columns,
            values.as_mut_ptr().add(first),
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
