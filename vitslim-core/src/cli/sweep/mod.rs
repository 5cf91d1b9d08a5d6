//! The trials of a sweep, one after another or side by side, each in a process of its own.

mod attached;
mod display;
mod queue;
mod trial;
mod work;
mod worker;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use miette::Diagnostic;
use thiserror::Error;

use self::trial::Trial;
use self::work::Sweep;
use super::plan::plan_trials;
use super::run::RunArgs;
use super::{Registry, device_list, print};
use crate::experiment::Trials;
use crate::plan::Planning;
use crate::report::SweepPlan;
use crate::train::Interrupter;

pub(super) use self::attached::run_attached;

/// What ends the experiment that a trial's process is given.
const END: u8 = 0;

/// Exit code of a process whose trial another one works on: that of a failure that is temporary.
const BUSY: i32 = 75;

/// A sweep that did not come to its end.
#[derive(Debug, Error, Diagnostic)]
pub(super) enum SweepError {
    /// Trials failed.
    #[error("{failed} of {trials} trials failed")]
    #[diagnostic(help(
        "what a trial printed is in its folder, in `log.txt`; the same command tries again those that failed, and only those"
    ))]
    Failed {
        /// How many.
        failed: usize,
        /// Of how many.
        trials: usize,
    },
    /// It was stopped by Ctrl-C.
    #[error("stopped: {complete} of {trials} trials are complete; the same command goes on")]
    Interrupted {
        /// How many are complete.
        complete: usize,
        /// Of how many.
        trials: usize,
    },
    /// A file could not be written.
    #[error("cannot write `{}`", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

/// Folder of the trial `trial` of the experiment `name`.
fn trial_folder(out: &Path, name: &str, trial: &str) -> PathBuf {
    out.join(name).join(trial)
}

/// Runs the trials of a sweep.
///
/// # Errors
///
/// The mistakes of its trials, before any of them begins; and at its end, when trials failed or it was stopped.
pub(super) fn run_sweep(
    registry: &Registry,
    args: &RunArgs,
    trials: &Trials,
    interrupter: &Interrupter,
) -> miette::Result<()> {
    let plan = SweepPlan {
        name: trials.name().to_owned(),
        device: None,
        trials: plan_trials(registry, trials, &mut Planning::default())?,
    };
    check_devices(args, trials)?;
    let folder = args.out.join(trials.name());
    let of_sweep: Vec<Trial> = trials
        .iter()
        .zip(&plan.trials)
        .map(|(trial, plan)| Trial::new(&folder, trial.document, plan))
        .collect();
    trial::prepare(&folder, &of_sweep, args.fresh)?;

    let sweep = Sweep::new(args, trials, &folder, of_sweep, interrupter);
    sweep.tell(&plan.total());
    sweep.run()?;
    let report = sweep.report();
    print(args.json, &report, |report| {
        format!("{}\n\nresults: {}", report.table().trim_end(), folder.display())
    })?;
    sweep.end(&report)
}

/// That the devices of all trials can be had, before any of them begins.
fn check_devices(args: &RunArgs, trials: &Trials) -> miette::Result<()> {
    let mut checked = HashSet::new();
    for trial in trials.iter() {
        let written =
            ["devices", "precision"].map(|field| trial.document.at(&[field]).map(ToString::to_string));
        if checked.insert(written) {
            device_list::open(args.device.as_ref(), &trial, true)?;
        }
    }
    Ok(())
}
