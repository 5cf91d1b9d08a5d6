use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use burn::tensor::Device;
use clap::ValueEnum;

use super::check::Check;
use super::failure::Failure;
use super::{layers, macs, parity, pipeline, slicing};
use crate::panics::panic_message;
use crate::report::CheckReport;

/// A group of checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Group {
    /// Numbers from the original PyTorch code, and from timm.
    Parity,
    /// Training follows that of PyTorch and timm, step by step.
    Training,
    /// Hard-masked networks equal sliced ones.
    Slicing,
    /// Layers and their gradients equal stock operations on the CPU.
    Layers,
    /// Multiply-adds of the recorded forward pass.
    Macs,
    /// A whole run learns, and resumes where it was stopped.
    Pipeline,
}

impl Group {
    /// All groups, in the order in which they run.
    pub fn all() -> &'static [Self] {
        Self::value_variants()
    }

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Parity => "parity",
            Self::Training => "training",
            Self::Slicing => "slicing",
            Self::Layers => "layers",
            Self::Macs => "macs",
            Self::Pipeline => "pipeline",
        }
    }

    /// Its checks.
    pub fn checks(self) -> &'static [Check] {
        match self {
            Self::Parity => parity::CHECKS,
            Self::Training => parity::TRAINING_CHECKS,
            Self::Slicing => slicing::CHECKS,
            Self::Layers => layers::CHECKS,
            Self::Macs => macs::CHECKS,
            Self::Pipeline => pipeline::CHECKS,
        }
    }
}

/// Runs every check of `groups` on `device`, and calls `told` with each result. A check that panics has failed; the others
/// still run.
pub fn selftest(device: &Device, groups: &[Group], mut told: impl FnMut(&CheckReport)) -> Vec<CheckReport> {
    let checks = groups.iter().flat_map(|group| group.checks().iter().map(|check| (group.name(), check)));
    let report = |(group, check): (&'static str, &Check)| {
        let report = report(group, check, device);
        told(&report);
        report
    };
    checks.map(report).collect()
}

fn report(group: &'static str, check: &Check, device: &Device) -> CheckReport {
    let started = Instant::now();
    // Burn panics if a device fails.
    let checked = catch_unwind(AssertUnwindSafe(|| (check.run)(device)));
    let checked = checked.unwrap_or_else(|panic| {
        let said = panic_message(&*panic).unwrap_or("it does not say why");
        Err(Failure::new(format!("panicked: {said}")))
    });
    let (passed, told) = match checked {
        Ok(measured) => (true, measured),
        Err(failure) => (false, failure.to_string()),
    };
    CheckReport { group, name: check.name, passed, told, seconds: started.elapsed().as_secs_f64() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::is_cpu;

    #[test]
    fn what_panics_has_failed_with_its_message() {
        let panics = [
            Check { name: "text", run: |_| panic!("out of order") },
            Check { name: "formatted", run: |device| panic!("{} out of order", u8::from(is_cpu(device))) },
        ];
        let told = panics.map(|check| report("group", &check, &Device::flex()));
        assert_eq!(told.each_ref().map(|told| told.passed), [false, false]);
        assert_eq!(told.map(|told| told.told), ["panicked: out of order", "panicked: 1 out of order"]);
    }

    #[test]
    fn every_group_has_checks_of_different_names() {
        for group in Group::all() {
            let mut names: Vec<_> = group.checks().iter().map(|check| check.name).collect();
            assert!(!names.is_empty(), "{group:?}");
            names.sort_unstable();
            assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
        }
    }
}
