use std::path::PathBuf;

use clap::Args;
use miette::Diagnostic;
use thiserror::Error;

use super::{Registry, print};
use crate::check::f64_device;
use crate::experiment::Document;
use crate::report::{ExperimentCheck, Reason};

/// Checks an experiment before a night is spent on it: the file, the data, and the annotations of the architecture.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  vitslim check experiments/quickstart.ron
  vitslim check experiments/quickstart.ron --set seed=7
  vitslim check experiments/bench_deit_small.ron --json")]
pub struct CheckArgs {
    /// The experiment, a RON file.
    file: PathBuf,

    /// Sets one value of the experiment, as `vitslim run` does: --set model.config.dim=96.
    #[arg(long = "set", value_name = "PATH=VALUE")]
    sets: Vec<String>,

    /// Prints JSON instead of a table.
    #[arg(long)]
    json: bool,
}

/// An experiment that is not fit to be run.
#[derive(Debug, Error, Diagnostic)]
#[error("`{name}` is not fit to be run: {}", count(.reasons.len()))]
struct Unfit {
    name: String,
    #[related]
    reasons: Vec<Reason>,
}

fn count(reasons: usize) -> String {
    match reasons {
        1 => "one reason".to_owned(),
        more => format!("{more} reasons"),
    }
}

/// Checks the experiment that `args` name.
pub fn check(registry: &Registry, args: &CheckArgs) -> miette::Result<()> {
    // Before any tensor is made.
    f64_device()?;
    let document = Document::read(&args.file, &args.sets)?;
    let checked = (registry.commands(&document)?.check)(&document)?;
    print(args.json, &checked, ExperimentCheck::table)?;
    match checked.reasons.is_empty() {
        true => Ok(()),
        false => Err(Unfit { name: checked.name, reasons: checked.reasons }.into()),
    }
}
