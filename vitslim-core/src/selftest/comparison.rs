use std::fmt::Debug;

use burn::tensor::Tensor;

use super::check::Checked;
use super::failure::Failure;
use crate::values::furthest;

/// The comparisons of a check. All are made, and the one that is furthest off, for its tolerance, is reported.
#[derive(Debug, Default)]
pub struct Comparison {
    made: usize,
    failed: usize,
    furthest: Option<Difference>,
    unequal: Option<String>,
}

#[derive(Debug)]
struct Difference {
    what: String,
    difference: f64,
    tolerance: f64,
}

impl Difference {
    /// The difference over the tolerance.
    fn ratio(&self) -> f64 {
        if self.difference.is_nan() { f64::INFINITY } else { self.difference / self.tolerance }
    }
}

impl Comparison {
    /// `difference` must be at most `tolerance`, which is above 0.
    pub fn within(&mut self, what: impl Into<String>, difference: f64, tolerance: f64) {
        let found = Difference { what: what.into(), difference, tolerance };
        self.made += 1;
        self.failed += usize::from(found.ratio() > 1.0);
        if self.furthest.as_ref().is_none_or(|known| found.ratio() > known.ratio()) {
            self.furthest = Some(found);
        }
    }

    /// Each value of `found` must be within `tolerance` of that of `expected`.
    pub fn close(&mut self, what: &str, found: &[f64], expected: &[f64], tolerance: f64) {
        if found.len() != expected.len() || found.is_empty() {
            let sizes = format!("{what}: {} values instead of {}", found.len(), expected.len());
            return self.unequal(sizes);
        }
        self.within(what, furthest(found, expected), tolerance);
    }

    /// Each value of `found` must be within `tolerance`, times the largest of `expected`, of that of `expected`.
    pub fn close_for_its_size(&mut self, what: &str, found: &[f64], expected: &[f64], tolerance: f64) {
        let size = expected.iter().fold(1e-3, |most: f64, value| most.max(value.abs()));
        let relative = |values: &[f64]| values.iter().map(|value| value / size).collect::<Vec<_>>();
        self.close(what, &relative(found), &relative(expected), tolerance);
    }

    /// `found` must equal `expected`.
    pub fn equal<T: PartialEq + Debug>(&mut self, what: &str, found: &T, expected: &T) {
        if found == expected {
            self.made += 1;
        } else {
            self.unequal(format!("{what}: {found:?} instead of {expected:?}"));
        }
    }

    /// `claim` must hold; `told` says what was found.
    pub fn holds(&mut self, claim: bool, told: impl Into<String>) {
        if claim {
            self.made += 1;
        } else {
            self.unequal(told.into());
        }
    }

    fn unequal(&mut self, told: String) {
        self.made += 1;
        self.failed += 1;
        self.unequal.get_or_insert(told);
    }

    /// The comparison that is furthest off.
    ///
    /// # Errors
    ///
    /// When a comparison failed, or none was made.
    pub fn finish(self) -> Checked {
        let Self { made, failed, furthest, unequal } = self;
        if made == 0 {
            return Err(Failure::new("nothing was compared"));
        }
        let off = furthest.as_ref().is_some_and(|furthest| furthest.ratio() > 1.0);
        let furthest = furthest.map(|Difference { what, difference, tolerance }| {
            format!("{what} by {difference:.1e}, allowed {tolerance:.0e}")
        });
        if failed > 0 {
            // Differences within their tolerance do not matter beside unequal values.
            let furthest = furthest.filter(|_| off);
            let told: Vec<_> = unequal.into_iter().chain(furthest).collect();
            return Err(Failure::new(format!("{failed} of {made} are off: {}", told.join("; "))));
        }
        Ok(match furthest {
            Some(furthest) => format!("furthest of {made}: {furthest}"),
            None => format!("{made} equal"),
        })
    }
}

/// The values of `tensor`, read from its device.
pub(super) fn host<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f64>, Failure> {
    Ok(tensor.into_data().convert::<f64>().try_into_vec()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_furthest_for_its_tolerance_is_told() {
        let mut comparison = Comparison::default();
        comparison.close("near", &[1.0, 2.5], &[1.0, 2.0], 1.0);
        comparison.close("nearer", &[1.0, 3.0], &[1.0, 2.0], 4.0);
        comparison.equal("same", &1, &1);
        assert_eq!(comparison.finish().unwrap(), "furthest of 3: near by 5.0e-1, allowed 1e0");
    }

    #[test]
    fn what_is_off_is_a_failure() {
        let compared = |compare: fn(&mut Comparison)| {
            let mut comparison = Comparison::default();
            compare(&mut comparison);
            comparison.equal("same", &1, &1);
            comparison.finish().map_err(|failure| failure.to_string())
        };
        let off = |told: &str| Err(format!("1 of 2 are off: {told}"));
        for (compare, expected) in [
            (
                (|c| c.close("a", &[1.0, 2.0], &[1.0, 2.2], 0.1)) as fn(&mut Comparison),
                "a by 2.0e-1, allowed 1e-1",
            ),
            (|c| c.close("a", &[f64::NAN, 1.0], &[1.0, 1.0], 0.1), "a by NaN, allowed 1e-1"),
            (|c| c.close("a", &[], &[], 0.1), "a: 0 values instead of 0"),
            (|c| c.close("a", &[1.0], &[1.0, 1.0], 0.1), "a: 1 values instead of 2"),
            (|c| c.close_for_its_size("a", &[100.0, 1.0], &[100.0, 3.0], 0.01), "a by 2.0e-2, allowed 1e-2"),
            (|c| c.equal("a", &1, &2), "a: 1 instead of 2"),
            (|c| c.holds(false, "no"), "no"),
        ] {
            assert_eq!(compared(compare), off(expected));
        }
        let both = |c: &mut Comparison| {
            c.within("near", 0.1, 1.0);
            c.equal("b", &1, &2);
            c.within("far", 3.0, 1.0);
        };
        let mut comparison = Comparison::default();
        both(&mut comparison);
        let told = comparison.finish().unwrap_err().to_string();
        assert_eq!(told, "2 of 3 are off: b: 1 instead of 2; far by 3.0e0, allowed 1e0");
        assert!(Comparison::default().finish().is_err());
    }
}
