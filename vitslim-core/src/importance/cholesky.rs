//! Systems of linear equations.

/// The `x`, `[n, columns]`, of `a x = b`, for a symmetric positive definite `a`, `[n, n]`, by Cholesky's decomposition. `None` if `a` is
/// not positive definite.
///
/// Ours, since burn has no solver, and a library of linear algebra takes longer to build than these lines to read.
pub(super) fn solve(mut a: Vec<f64>, mut b: Vec<f64>, n: usize) -> Option<Vec<f64>> {
    for row in 0..n {
        for column in 0..=row {
            let (of_row, of_column) = (&a[row * n..][..column], &a[column * n..][..column]);
            let dot: f64 = of_row.iter().zip(of_column).map(|(one, other)| one * other).sum();
            let rest = a[row * n + column] - dot;
            a[row * n + column] = match row == column {
                true if rest > 0.0 => rest.sqrt(),
                true => return None,
                false => rest / a[column * n + column],
            };
        }
    }
    let columns = b.len().checked_div(n)?;
    // Forward through the lower triangle, then back through its transpose.
    for row in 0..n {
        eliminate(&mut b, columns, row, (0..row).map(|other| (other, a[row * n + other])), a[row * n + row]);
    }
    for row in (0..n).rev() {
        eliminate(
            &mut b,
            columns,
            row,
            (row + 1..n).map(|other| (other, a[other * n + row])),
            a[row * n + row],
        );
    }
    Some(b)
}

/// Subtracts the `others`, rows with their factors, from the row `row` of `b`, and divides it by `divisor`.
fn eliminate(
    b: &mut [f64],
    columns: usize,
    row: usize,
    others: impl Iterator<Item = (usize, f64)>,
    divisor: f64,
) {
    let mut here = b[row * columns..][..columns].to_vec();
    for (other, factor) in others {
        let other = &b[other * columns..][..columns];
        here.iter_mut().zip(other).for_each(|(here, other)| *here -= factor * other);
    }
    here.iter_mut().for_each(|here| *here /= divisor);
    b[row * columns..][..columns].copy_from_slice(&here);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_found_solves_the_equations() {
        let a = [4.0, 2.0, 0.5, 2.0, 5.0, 1.0, 0.5, 1.0, 3.0];
        let x = [1.0, -2.0, 0.5, 3.0, -1.5, 0.25];
        let product = |row: usize, column: usize| (0..3).map(|k| a[row * 3 + k] * x[k * 2 + column]).sum();
        let b: Vec<f64> = (0..6).map(|at| product(at / 2, at % 2)).collect();
        let found = solve(a.to_vec(), b, 3).unwrap();
        assert!(found.iter().zip(x).all(|(found, x)| (found - x).abs() < 1e-12), "{found:?}");
        assert_eq!(solve(vec![1.0, 2.0, 2.0, 1.0], vec![1.0, 1.0], 2), None);
    }
}
