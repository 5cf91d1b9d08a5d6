use std::io::{ErrorKind, Write};

use clap::Args;
use miette::{Diagnostic, IntoDiagnostic};
use thiserror::Error;

use crate::cli::device::{DeviceArgs, DeviceChoice};
use crate::cli::print::print;
use crate::nn::Precision;
use crate::report::SelftestReport;
use crate::selftest::{Group, selftest as check};

/// Checks that a device computes what it should: numbers of the original code, slicing, layers and their gradients, a whole run.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  vitslim selftest
  vitslim selftest --device cuda
  vitslim selftest --device cuda --only layers --only slicing")]
pub struct SelftestArgs {
    /// Checks only this group; repeat it for more.
    #[arg(long, value_name = "GROUP", value_enum)]
    only: Vec<Group>,

    #[command(flatten)]
    device: DeviceArgs,

    /// Prints JSON at the end instead of a line per check.
    #[arg(long)]
    json: bool,
}

/// Checks that failed.
#[derive(Debug, Error, Diagnostic)]
#[error("{failed} of {of} checks failed on {device}")]
#[diagnostic(help(
    "do not trust results of this device until you know why; `vitslim selftest --only {group} --device {choice}` \
     repeats the first that failed"
))]
struct SelftestError {
    failed: usize,
    of: usize,
    device: String,
    group: &'static str,
    choice: DeviceChoice,
}

/// Runs the checks in `args`.
pub fn selftest(args: &SelftestArgs) -> miette::Result<()> {
    let device = args.device.open(false)?;
    // In their order, each once.
    let chosen = |group: &Group| args.only.is_empty() || args.only.contains(group);
    let groups: Vec<_> = Group::all().iter().copied().filter(chosen).collect();
    let mut printed = Ok(());
    let checks = check(&device.device, &groups, |check| {
        if !args.json && printed.is_ok() {
            printed = writeln!(std::io::stdout(), "{}", check.line());
        }
    });
    match printed {
        // A reader that closed the pipe has seen enough.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => return Err(error).into_diagnostic(),
        _ => {}
    }
    let report = SelftestReport::new(device.describe_with(Precision::F32), checks);
    print(args.json, &report, SelftestReport::line)?;
    match report.checks.iter().find(|check| !check.passed) {
        None => Ok(()),
        Some(first) => Err(SelftestError {
            failed: report.failed,
            of: report.checks.len(),
            device: report.device.clone(),
            group: first.group,
            choice: args.device.choice(),
        }
        .into()),
    }
}
