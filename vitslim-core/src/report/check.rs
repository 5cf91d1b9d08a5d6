//! What came of a selftest's checks, a line each and as JSON.

use serde::Serialize;

use crate::terminal::one_line;

/// What came of a check.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CheckReport {
    /// The group it is of.
    pub group: &'static str,
    /// Its name.
    pub name: &'static str,
    /// Whether it holds.
    pub passed: bool,
    /// What was measured, or what is wrong.
    pub told: String,
    /// How long it took.
    pub seconds: f64,
}

/// What came of all checks.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SelftestReport {
    /// Where it was computed.
    pub device: String,
    /// Checks that hold.
    pub passed: usize,
    /// Checks that do not.
    pub failed: usize,
    /// How long it took.
    pub seconds: f64,
    /// The checks.
    pub checks: Vec<CheckReport>,
}

impl CheckReport {
    /// The line of the check.
    pub fn line(&self) -> String {
        let verdict = if self.passed { "pass" } else { "FAIL" };
        let name = format!("{}.{}", self.group, self.name);
        // A message of several lines stays one of one line.
        let told = one_line(&self.told);
        format!("{verdict}  {name:<29} {:>6.2} s  {told}", self.seconds)
    }
}

impl SelftestReport {
    /// What came of `checks` on the device that results call `device`.
    pub fn new(device: String, checks: Vec<CheckReport>) -> Self {
        let passed = checks.iter().filter(|check| check.passed).count();
        let seconds = checks.iter().map(|check| check.seconds).sum();
        Self { device, passed, failed: checks.len() - passed, seconds, checks }
    }

    /// The last line.
    pub fn line(&self) -> String {
        let Self { device, passed, failed, seconds, .. } = self;
        format!("{passed} passed, {failed} failed on {device} in {seconds:.0} s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_is_one_line_and_the_last_one_counts() {
        let check = |passed, told: &str| CheckReport {
            group: "layers",
            name: "gelu",
            passed,
            told: told.to_owned(),
            seconds: 0.126,
        };
        let checks = vec![check(true, "all\n  is well"), check(false, "not\nat all"), check(true, "well")];
        assert_eq!(checks[0].line(), "pass  layers.gelu                     0.13 s  all is well");
        assert_eq!(checks[1].line(), "FAIL  layers.gelu                     0.13 s  not at all");
        let report = SelftestReport::new("cpu".into(), checks);
        assert_eq!(report.line(), "2 passed, 1 failed on cpu in 0 s");
    }
}
