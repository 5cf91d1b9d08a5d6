//! Runs a sweep, from its plan to its table.

use std::collections::HashSet;

use super::trial::{self, Trial};
use super::work::Sweep;
use crate::cli::device::open_list;
use crate::cli::page::leave_sweep_page;
use crate::cli::print::print;
use crate::cli::registry::Registry;
use crate::cli::run_one::RunArgs;
use crate::experiment::Trials;
use crate::plan::Planning;
use crate::report::SweepPlan;
use crate::train::Interrupter;

/// Runs the trials of a sweep.
///
/// # Errors
///
/// The mistakes of its trials, before any of them starts; at the end, when trials failed or the sweep was stopped.
pub(in crate::cli) fn run_sweep(
    registry: &Registry,
    args: &RunArgs,
    trials: &Trials,
    interrupter: &Interrupter,
) -> miette::Result<()> {
    let plan = SweepPlan {
        name: trials.name().to_owned(),
        device: None,
        trials: registry.plan(trials, &mut Planning::of_runs_in(&args.out, args.quiet))?,
    };
    check_devices(args, trials)?;
    let folder = args.out.join(trials.name());
    let of_sweep: Vec<Trial> = trials
        .iter()
        .zip(&plan.trials)
        .map(|(trial, plan)| Trial::new(&folder, trial.document, plan))
        .collect();
    // From here on a signal waits: half of what `--fresh` discards must not stay.
    interrupter.begin();
    trial::prepare(&folder, &of_sweep, args.fresh)?;

    let sweep = Sweep::new(args, trials, &folder, of_sweep, interrupter);
    sweep.tell(&plan.total());
    sweep.run()?;
    leave_sweep_page(&folder);
    let report = sweep.report();
    print(args.json, &report, |report| {
        format!("{}\n\nresults: {}", report.table().trim_end(), folder.display())
    })?;
    sweep.end(&report)
}

/// Checks that the devices of all trials are available, before any of them starts.
fn check_devices(args: &RunArgs, trials: &Trials) -> miette::Result<()> {
    let mut checked = HashSet::new();
    for trial in trials.iter() {
        let written =
            ["devices", "precision"].map(|field| trial.document.at(&[field]).map(ToString::to_string));
        if checked.insert(written) {
            open_list(args.device.as_ref(), &trial, true)?;
        }
    }
    Ok(())
}
