use std::path::PathBuf;

use clap::Args;
use miette::Diagnostic;
use thiserror::Error;

use crate::cli::print::print;
use crate::report::Listing;
use crate::run::runs;

/// Lists the runs in a folder and the state of each: complete, running, failed, stopped or waiting.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  vitslim ls
  vitslim ls runs/quickstart
  vitslim ls --json")]
pub struct LsArgs {
    /// The folder to search for runs.
    #[arg(value_name = "DIR", default_value = "runs")]
    folder: PathBuf,

    /// Prints JSON instead of a table.
    #[arg(long)]
    json: bool,
}

/// A folder without runs.
#[derive(Debug, Error, Diagnostic)]
enum NoRuns {
    #[error("there is no folder `{}`", .0.display())]
    Missing(PathBuf),
    #[error("there is no run below `{}`", .0.display())]
    #[diagnostic(help("`vitslim run` writes its runs to `runs`, or to the folder that `--out` names"))]
    Empty(PathBuf),
}

/// Lists the runs in the folder of `args`.
pub fn ls(args: &LsArgs) -> miette::Result<()> {
    if !args.folder.is_dir() {
        return Err(NoRuns::Missing(args.folder.clone()).into());
    }
    let listing = Listing { folder: args.folder.clone(), runs: runs(&args.folder) };
    if listing.runs.is_empty() && !args.json {
        return Err(NoRuns::Empty(args.folder.clone()).into());
    }
    print(args.json, &listing, Listing::table)
}
