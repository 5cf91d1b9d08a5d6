//! The tokens that each sub-network keeps, drawn where they are in the image.

use serde::Serialize;

use super::error::PageError;
use super::figure::Download;
use super::files::Subnet;
use super::record::{name, place};
use crate::slim::Cut;

/// The tokens that one sub-network keeps, gate by gate.
#[derive(Serialize)]
pub(super) struct Tokens {
    /// Name of the gates.
    pub(super) name: String,
    pub(super) label: String,
    pub(super) gates: Vec<Gates>,
    pub(super) data: Download,
}

/// Token gates one after the other that keep the same tokens.
#[derive(Serialize)]
pub(super) struct Gates {
    /// Where they are: `blocks.0` or `blocks.0 to blocks.3`.
    pub(super) name: String,
    pub(super) kept: usize,
    pub(super) of: usize,
    /// Tokens in a row of the image, and rows; all in one row where they are no square.
    pub(super) columns: usize,
    pub(super) rows: usize,
    /// What covers the tokens that are gone, as a path of SVG in units of tokens.
    pub(super) gone: String,
}

/// The tokens that `subnets` keep; none if no sub-network cut any.
///
/// # Errors
///
/// When the numbers cannot be written.
pub(super) fn tokens(subnets: &[Subnet]) -> Result<Vec<Tokens>, PageError> {
    let gates = |subnet: &Subnet| -> Vec<Cut> {
        subnet.plan.cuts.iter().filter(|cut| subnet.is_gate(&cut.dimension)).cloned().collect()
    };
    if subnets.iter().flat_map(gates).all(|cut| cut.keep.len() == cut.units()) {
        return Ok(Vec::new());
    }
    subnets.iter().map(|subnet| of_subnet(&subnet.summary.label, &gates(subnet))).collect()
}

fn of_subnet(label: &str, cuts: &[Cut]) -> Result<Tokens, PageError> {
    let alike = cuts.chunk_by(|a, b| (a.units(), &a.keep) == (b.units(), &b.keep));
    let gates = alike.filter_map(|cuts| {
        let (first, last) = (cuts.first()?, cuts.last()?);
        let [begin, end] = [first, last].map(|cut| place(&cut.dimension));
        let units = first.units();
        let [columns, rows] = grid(units);
        Some(Gates {
            name: if cuts.len() == 1 { begin.to_owned() } else { format!("{begin} to {end}") },
            kept: first.keep.len(),
            of: units,
            columns,
            rows,
            gone: gone(units, &first.keep, columns),
        })
    });
    let rows = cuts.iter().map(|cut| {
        let keep: Vec<String> = cut.keep.iter().map(ToString::to_string).collect();
        [cut.dimension.clone(), cut.keep.len().to_string(), cut.units().to_string(), keep.join(" ")]
    });
    let data = Download::csv(&format!("tokens-{label}"), ["gate", "kept", "of", "tokens"], rows)?;
    let name = cuts.first().map_or("", |cut| name(&cut.dimension)).to_owned();
    Ok(Tokens { name, label: label.to_owned(), gates: gates.collect(), data })
}

/// Columns and rows of so many tokens.
fn grid(tokens: usize) -> [usize; 2] {
    let side = tokens.isqrt();
    if side * side == tokens { [side; 2] } else { [tokens, 1] }
}

/// A rectangle over each run of tokens in a row that are not among those to `keep`.
fn gone(tokens: usize, keep: &[usize], columns: usize) -> String {
    let is_kept: Vec<bool> = (0..tokens).map(|token| keep.binary_search(&token).is_ok()).collect();
    let mut path = String::new();
    for (y, row) in is_kept.chunks(columns.max(1)).enumerate() {
        let mut x = 0;
        for run in row.chunk_by(|a, b| a == b) {
            if run.first() == Some(&false) {
                path.push_str(&format!("M{x} {y}h{0}v1h-{0}z", run.len()));
            }
            x += run.len();
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_gone_is_covered_run_by_run() {
        assert_eq!(gone(9, &[0, 4, 5], 3), "M1 0h2v1h-2zM0 1h1v1h-1zM0 2h3v1h-3z");
        assert_eq!(gone(4, &[0, 1, 2, 3], 2), "");
        assert_eq!([grid(196), grid(5)], [[14, 14], [5, 1]]);
    }

    #[test]
    fn gates_that_keep_the_same_are_one() {
        let cut = |path: &str, keep: &[usize]| Cut { dimension: path.into(), of: vec![4], keep: keep.into() };
        let cuts =
            [cut("blocks.0.tokens", &[0, 1]), cut("blocks.1.tokens", &[0, 1]), cut("blocks.2.tokens", &[1])];
        let names: Vec<String> =
            of_subnet("a", &cuts).unwrap().gates.into_iter().map(|gate| gate.name).collect();
        assert_eq!(names, ["blocks.0 to blocks.1", "blocks.2"]);
    }
}
