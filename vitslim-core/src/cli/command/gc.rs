use std::path::PathBuf;

use clap::Args;
use miette::Diagnostic;
use thiserror::Error;

use crate::cli::print::print;
use crate::report::Spare;
use crate::run::{free, spare};

/// Shows the files that no run needs any more, and removes them with `--yes`: checkpoints of complete stages, except the weights
/// that a stage ended with, and shared stages of complete sweeps that no trial comes from.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  vitslim gc
  vitslim gc runs/quickstart --yes
  vitslim gc --json")]
pub struct GcArgs {
    /// The folder to search for runs.
    #[arg(value_name = "DIR", default_value = "runs")]
    folder: PathBuf,

    /// Removes the files.
    #[arg(long)]
    yes: bool,

    /// Prints JSON instead of a table.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Error, Diagnostic)]
enum GcError {
    #[error("there is no folder `{}`", .0.display())]
    Missing(PathBuf),
    #[error("cannot remove `{}`", .path.display())]
    Kept { path: PathBuf, source: std::io::Error },
}

/// Finds spare files in the folder of `args`.
pub fn gc(args: &GcArgs) -> miette::Result<()> {
    if !args.folder.is_dir() {
        return Err(GcError::Missing(args.folder.clone()).into());
    }
    let found = spare(&args.folder);
    if args.yes {
        free(&found).map_err(|(path, source)| GcError::Kept { path, source })?;
    }
    print(args.json, &Spare { folder: args.folder.clone(), spare: found, freed: args.yes }, Spare::table)
}
