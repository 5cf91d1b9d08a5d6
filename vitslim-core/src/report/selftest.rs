//! The results of a selftest, one line per check and as JSON.

use serde::Serialize;

use crate::terminal::one_line;

/// The result of a check.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CheckReport {
    /// Its group.
    pub group: &'static str,
    /// Its name.
    pub name: &'static str,
    /// Whether it passed.
    pub passed: bool,
    /// What was measured, or what is wrong.
    pub told: String,
    /// How long it took.
    pub seconds: f64,
}

/// The results of all checks.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SelftestReport {
    /// The device.
    pub device: String,
    /// Number of checks that passed.
    pub passed: usize,
    /// Number of checks that failed.
    pub failed: usize,
    /// How long all took together.
    pub seconds: f64,
    /// The checks.
    pub checks: Vec<CheckReport>,
}

impl CheckReport {
    /// The check on one line.
    pub fn line(&self) -> String {
        let verdict = if self.passed { "pass" } else { "FAIL" };
        let name = format!("{}.{}", self.group, self.name);
        // A message may have several lines.
        let told = one_line(&self.told);
        format!("{verdict}  {name:<29} {:>6.2} s  {told}", self.seconds)
    }
}

impl SelftestReport {
    /// The results of `checks` on `device`.
    pub fn new(device: String, checks: Vec<CheckReport>) -> Self {
        let passed = checks.iter().filter(|check| check.passed).count();
        let seconds = checks.iter().map(|check| check.seconds).sum();
        Self { device, passed, failed: checks.len() - passed, seconds, checks }
    }

    /// The summary on one line.
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
