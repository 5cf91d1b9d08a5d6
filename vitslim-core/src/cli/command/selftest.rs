use std::io::{ErrorKind, Write};

use clap::Args;
use miette::{Diagnostic, IntoDiagnostic};
use thiserror::Error;

use crate::cli::device::{DeviceArgs, DeviceChoice};
use crate::cli::print::print;
use crate::nn::Precision;
use crate::report::SelftestReport;
use crate::selftest::{Group, selftest as check};

/// Checks on a device what vitslim claims: numbers of the original code, slicing, layers and their gradients, a whole run.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  vitslim selftest
  vitslim selftest --device cuda
  vitslim selftest --device cuda --only layers --only slicing")]
pub struct SelftestArgs {
    /// Checks this group only; may be given again.
    #[arg(long, value_name = "GROUP", value_enum)]
    only: Vec<Group>,

    #[command(flatten)]
    device: DeviceArgs,

    /// Prints JSON, when all is checked, instead of a line for each check.
    #[arg(long)]
    json: bool,
}

/// Something does not hold.
#[derive(Debug, Error, Diagnostic)]
#[error("{failed} of {of} checks failed on {device}")]
#[diagnostic(help(
    "results of this device are not to be trusted before that is understood; `vitslim selftest --only {group} --device {choice}` \
     repeats the first that failed"
))]
struct Failed {
    failed: usize,
    of: usize,
    device: String,
    group: &'static str,
    choice: DeviceChoice,
}

/// Checks what `args` name.
pub fn selftest(args: &SelftestArgs) -> miette::Result<()> {
    let device = args.device.open(false)?;
    // In their order, and each once.
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
        Some(first) => Err(Failed {
            failed: report.failed,
            of: report.checks.len(),
            device: report.device.clone(),
            group: first.group,
            choice: args.device.choice(),
        }
        .into()),
    }
}
