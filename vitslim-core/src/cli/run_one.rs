//! Runs one trial for the command line.

use std::io::{ErrorKind, Write};
use std::path::PathBuf;

use clap::Args;
use clap::builder::RangedU64ValueParser;
use miette::Diagnostic;
use thiserror::Error;

use super::device::{DEVICE_HELP, DeviceChoice, DeviceList, open_list};
use super::page::leave_run_page;
use super::print::text;
use super::registry::Registry;
use crate::experiment::Trial;
use crate::report::{Summary, table};
use crate::run::Setting;
use crate::train::Interrupter;

/// More trials at once than any machine can use.
const MOST_JOBS: u64 = 256;

/// More threads than any machine can use.
pub(super) const MOST_LOADER_THREADS: u64 = 256;

/// Runs an experiment: pretrains, searches, then cuts, slices and retrains a sub-network for each budget. Does all that for each
/// trial of a sweep.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  vitslim run experiments/quickstart.ron
  vitslim run experiments/quickstart.ron --set seed=7
  vitslim run experiments/quickstart.ron --set 'seed=Seeds(3)' --jobs 2
  vitslim run experiments/quickstart.ron --fresh
  vitslim run experiments/quickstart.ron --quiet --json
  vitslim run experiments/quickstart.ron --device cuda:0,cuda:1
  vitslim run experiments/quickstart.ron --set search.dimensions.hidden.weight=1e-4 --out /tmp/runs
  vitslim run experiments/quickstart.ron --set 'budgets=[Share({\"hidden\": 0.3})]' --device cuda:1")]
pub struct RunArgs {
    /// The experiment, a RON file.
    pub(super) file: PathBuf,

    /// Folder for results: they go to DIR/<name>/<trial>/. Without a sweep, <trial> is seed=<seed>.
    #[arg(long, value_name = "DIR", default_value = "runs")]
    pub(super) out: PathBuf,

    #[arg(long, value_name = "DEVICE[,DEVICE]", help = device_help())]
    pub(super) device: Option<DeviceList>,

    /// Starts again, and discards what an earlier run left in the folder, also of another experiment of this name or of other
    /// data. By default the run resumes where it stopped: to resume a fresh run that stopped, leave this out.
    #[arg(long)]
    pub(super) fresh: bool,

    /// Number of trials of a sweep that run side by side; they divide the cores among them.
    #[arg(long, short, value_name = "N", default_value_t = 1, value_parser = RangedU64ValueParser::<usize>::new().range(1..=MOST_JOBS))]
    pub(super) jobs: usize,

    /// Stops a sweep when a trial fails. By default the other trials go on.
    #[arg(long)]
    pub(super) fail_fast: bool,

    /// Sets a value in the experiment, as if the file said so; repeat it to set more, the last one wins. The value is RON, so
    /// text needs quotes: 'name="mine"'.
    #[arg(long = "set", value_name = "PATH=VALUE")]
    pub(super) sets: Vec<String>,

    /// Threads that prepare batches ahead; with 0, each batch is prepared when it is needed. The results are the same for any
    /// number [default: as many as compute for images in files, else 0].
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(..=MOST_LOADER_THREADS))]
    pub(super) loader_threads: Option<usize>,

    /// Hides progress: shows only warnings, errors and the result.
    #[arg(long, short)]
    pub(super) quiet: bool,

    /// Prints the summary as JSON, as in summary.json or sweep.json, instead of the table.
    #[arg(long)]
    pub(super) json: bool,

    /// The trial of a sweep that this process runs.
    #[arg(long, value_name = "NAME", hide = true)]
    pub(super) trial: Option<String>,
}

/// The `--help` of `--device`.
pub(super) fn device_help() -> String {
    format!(
        "{DEVICE_HELP}. Several, separated by commas, share each training batch [default: the `devices` of the experiment, \
         else {}]",
        DeviceChoice::default()
    )
}

/// Runs one trial.
///
/// # Errors
///
/// When the run fails, or its result cannot be printed.
pub(super) fn run_one(
    registry: &Registry,
    args: &RunArgs,
    trial: &Trial,
    interrupter: Interrupter,
) -> miette::Result<()> {
    let commands = registry.commands(trial)?;
    let (devices, device_name) = open_list(args.device.as_ref(), trial, args.quiet)?;
    let setting = Setting {
        out: &args.out,
        devices: &devices,
        device_name: &device_name,
        afresh: args.fresh,
        interrupter,
        loader_threads: args.loader_threads,
        quiet: args.quiet,
    };
    let (folder, summary) = (commands.run)(trial, &registry.teachers(), &setting)?;
    leave_run_page(&folder);
    let with_folder = |summary: &Summary| format!("{}\nresults: {}", table(summary), folder.path().display());
    let result = text(args.json, &summary, with_folder)?;
    match writeln!(std::io::stdout(), "{result}") {
        // A reader that closed the pipe has seen enough.
        Err(source) if source.kind() != ErrorKind::BrokenPipe => {
            Err(PrintError { summary: folder.path().join("summary.json"), source }.into())
        }
        _ => Ok(()),
    }
}

/// A result that could not be printed.
#[derive(Debug, Error, Diagnostic)]
#[error("the run is complete, but its result cannot be printed")]
#[diagnostic(help("it is in `{}`", .summary.display()))]
struct PrintError {
    summary: PathBuf,
    source: std::io::Error,
}
