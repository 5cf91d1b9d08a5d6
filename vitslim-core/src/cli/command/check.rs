use std::collections::HashSet;
use std::path::PathBuf;

use clap::Args;
use miette::Diagnostic;
use thiserror::Error;

use crate::check::f64_device;
use crate::cli::device::{DeviceList, open_only};
use crate::cli::print::print;
use crate::cli::registry::Registry;
use crate::cli::run_one::device_help;
use crate::experiment::{Document, Trial, Trials};
use crate::plan::Planning;
use crate::report::{ExperimentCheck, PlannedTrial, Reason};
use crate::run::Scrutiny;
use crate::terminal::counted;

/// Checks an experiment before you train it: the file, the data, the annotations of the architecture, and whether the device has the
/// memory.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  vitslim check experiments/quickstart.ron
  vitslim check experiments/quickstart.ron --set seed=7
  vitslim check experiments/quickstart.ron --set 'model.config.depth=Sweep([4, 6])'
  vitslim check mine.ron --images --all
  vitslim check experiments/bench_deit_small.ron --json")]
pub struct CheckArgs {
    /// The experiment, a RON file.
    file: PathBuf,

    #[arg(long, value_name = "DEVICE[,DEVICE]", help = device_help())]
    device: Option<DeviceList>,

    /// Sets a value in the experiment, as in `vitslim run`: --set model.config.dim=96.
    #[arg(long = "set", value_name = "PATH=VALUE")]
    sets: Vec<String>,

    /// Reads and decodes every image of an `ImageFolder` or of `Shards`, and says which are damaged.
    #[arg(long)]
    images: bool,

    /// Names every image that cannot be read and every file that is left out, instead of the first ones.
    #[arg(long)]
    all: bool,

    /// Prints JSON instead of a table.
    #[arg(long)]
    json: bool,
}

/// An experiment that cannot run.
#[derive(Debug, Error, Diagnostic)]
#[error("`{name}` is not fit to be run: {}", counted(.reasons.len(), "reason", "reasons"))]
struct UnfitError {
    name: String,
    #[related]
    reasons: Vec<Reason>,
}

/// Checks the experiment in `args`.
pub fn check(registry: &Registry, args: &CheckArgs) -> miette::Result<()> {
    // Before any tensor is created.
    f64_device()?;
    let trials = registry.trials(&Document::read(&args.file, &args.sets)?)?;
    if trials.is_sweep() {
        return check_sweep(registry, args, &trials);
    }
    let trial = trials.get(0);
    let checked = check_trial(registry, &trial, args, args.images, planning(args, &trial)?)?;
    print(args.json, &checked, ExperimentCheck::table)?;
    end(&checked.name, checked.reasons)
}

/// Checks `trial`, all of whose images are decoded if `images`.
fn check_trial(
    registry: &Registry,
    trial: &Trial,
    args: &CheckArgs,
    images: bool,
    planning: Option<Planning>,
) -> miette::Result<ExperimentCheck> {
    let scrutiny = Scrutiny { all: args.all, images, quiet: false };
    Ok((registry.commands(trial)?.check)(trial, &registry.teachers(), scrutiny, planning))
}

/// What predicts the memory of trials like `trial`, for the device that trains them; `None` if that is not known here.
fn planning(args: &CheckArgs, trial: &Trial) -> miette::Result<Option<Planning>> {
    let device = open_only(args.device.as_ref(), trial)?;
    Ok(device.map(|device| Planning::default().with_memory(&device.device, device.memory)))
}

/// Checks each model of a sweep once, and the rest of the experiment for all trials. The images of the same data are decoded once.
fn check_sweep(registry: &Registry, args: &CheckArgs, trials: &Trials) -> miette::Result<()> {
    let mut planning = planning(args, &trials.get(0))?.unwrap_or_default();
    let planned = registry.plan(trials, &mut planning)?;
    let (mut models, mut decoded) = (HashSet::new(), HashSet::new());
    let mut checked = Vec::new();
    for trial in trials.iter() {
        let written = ["model", "data"].map(|field| trial.document.at(&[field]).map(ToString::to_string));
        if models.insert(written.clone()) {
            let [_, data] = written;
            let images = args.images && decoded.insert(data);
            checked.push(check_trial(registry, &trial, args, images, None)?);
        }
    }
    print(args.json, &checked, |checked| {
        let tables = checked.iter().map(|checked| checked.table());
        let models = counted(checked.len(), "model", "models");
        let count = format!("{}, {models}", counted(trials.len(), "trial", "trials"));
        tables.chain([count]).collect::<Vec<_>>().join("\n\n")
    })?;
    let unfit = PlannedTrial::unfit(&planned);
    end(trials.name(), checked.into_iter().flat_map(|checked| checked.reasons).chain(unfit).collect())
}

fn end(name: &str, reasons: Vec<Reason>) -> miette::Result<()> {
    match reasons.is_empty() {
        true => Ok(()),
        false => Err(UnfitError { name: name.to_owned(), reasons }.into()),
    }
}
