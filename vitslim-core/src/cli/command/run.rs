use miette::IntoDiagnostic;

use crate::cli::interrupt::{CtrlC, stop_on_signals};
use crate::cli::registry::Registry;
use crate::cli::run_one::{RunArgs, run_one};
use crate::cli::sweep::{run_attached, run_sweep};
use crate::experiment::Document;
use crate::train::Interrupter;

/// Runs the experiment in `args`.
pub fn run(registry: &Registry, args: &RunArgs) -> miette::Result<()> {
    if let Some(trial) = &args.trial {
        return run_attached(registry, args, trial);
    }
    let trials = registry.trials(&Document::read(&args.file, &args.sets)?)?;
    let interrupter = Interrupter::new();
    stop_on_signals(&interrupter, CtrlC::Stops).into_diagnostic()?;
    match trials.is_sweep() {
        true => run_sweep(registry, args, &trials, &interrupter),
        false => run_one(registry, args, &trials.get(0), interrupter),
    }
}
