use std::path::PathBuf;

use clap::Args;
use miette::Diagnostic;
use thiserror::Error;

use crate::cli::device::DeviceArgs;
use crate::cli::print::print;
use crate::cli::registry::Registry;
use crate::experiment::{Budget, Document, Trial, Trials};
use crate::plan::Planning;
use crate::report::SweepPlan;

/// Shows what `vitslim run` will do: the trials of a sweep, the sizes of their networks, steps and time. Trains nothing and
/// writes nothing.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  vitslim plan experiments/quickstart.ron
  vitslim plan experiments/quickstart.ron --set 'seed=Seeds(5)'
  vitslim plan experiments/quickstart.ron --set 'search.dimensions.hidden.weight=LogRange(1e-5, 1e-3, 5)' --resolved 3")]
pub struct PlanArgs {
    /// The experiment, a RON file.
    file: PathBuf,

    /// Prints the file of trial N, counted from 1, with every default spelled out, instead of the table.
    #[arg(long, value_name = "N", conflicts_with = "json")]
    resolved: Option<usize>,

    /// Skips the measurement of a step and the estimates of time. What a budget limits by its latency is measured all the same.
    #[arg(long)]
    no_times: bool,

    #[command(flatten)]
    device: DeviceArgs,

    /// Sets a value in the experiment, as in `vitslim run`; repeat it to set more, the last one wins: --set 'seed=Seeds(3)'.
    #[arg(long = "set", value_name = "PATH=VALUE")]
    sets: Vec<String>,

    /// Prints JSON instead of a table.
    #[arg(long)]
    json: bool,
}

/// A trial number that does not exist.
#[derive(Debug, Error, Diagnostic)]
#[error("there is no trial {number}: `{}` has {count}, counted from 1", .file.display())]
struct NoTrialError {
    number: usize,
    file: PathBuf,
    count: usize,
}

/// Plans the experiment in `args`.
pub fn plan(registry: &Registry, args: &PlanArgs) -> miette::Result<()> {
    let trials = registry.trials(&Document::read(&args.file, &args.sets)?)?;
    if let Some(number) = args.resolved {
        return resolved(registry, args, &trials, number);
    }
    let mut plan = SweepPlan { name: trials.name().to_owned(), ..SweepPlan::default() };
    let device = args.device.open(false)?;
    let mut planning = Planning::default();
    let limits_latency = |trial: Trial| trial.experiment.budgets.iter().any(Budget::limits_latency);
    if !args.no_times || trials.iter().any(limits_latency) {
        let name = device.describe_with(device.precision(&trials.get(0))?);
        plan.device = (!args.no_times).then(|| name.clone());
        planning = Planning::measuring_on(device.device.clone(), name, !args.no_times);
    }
    planning = planning.with_memory(&device.device, device.memory);
    plan.trials = registry.plan(&trials, &mut planning)?;
    print(args.json, &plan, SweepPlan::table)
}

fn resolved(registry: &Registry, args: &PlanArgs, trials: &Trials, number: usize) -> miette::Result<()> {
    if number == 0 || number > trials.len() {
        return Err(NoTrialError { number, file: args.file.clone(), count: trials.len() }.into());
    }
    let trial = trials.get(number - 1);
    let text = (registry.commands(&trial)?.resolved)(&trial)?;
    print(false, &(), |()| text.clone())
}
