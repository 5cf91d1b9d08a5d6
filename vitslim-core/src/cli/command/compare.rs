use std::path::PathBuf;

use clap::Args;

use crate::cli::print::print;
use crate::report::Comparison;
use crate::run;

/// Compares runs: what differs in their experiments, data, versions and devices, and what came out.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  vitslim compare runs/quickstart/seed=42 runs/mine/seed=42
  vitslim compare runs/sweep
  vitslim compare runs/quickstart/seed=42/share-0.5-0.5-0.7 runs/mine/seed=42 --json")]
pub struct CompareArgs {
    /// The folder of a run, a sub-network of a run, or a folder with all runs below it, such as that of a sweep.
    #[arg(value_name = "RUN[/SUBNET]|FOLDER", required = true)]
    paths: Vec<PathBuf>,

    /// Prints JSON instead of tables.
    #[arg(long)]
    json: bool,
}

/// Compares the runs in `args`.
pub fn compare(args: &CompareArgs) -> miette::Result<()> {
    print(args.json, &run::compare(&args.paths)?, Comparison::table)
}
