//! The process of a sweep's trial, seen from inside. It reads its experiment from standard input, which stays open as long as the
//! sweep runs.

use std::io::{BufRead, BufReader, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use miette::IntoDiagnostic;

use super::protocol::{BUSY, END, TAKEN_OVER, trial_folder};
use crate::cli::interrupt::{CtrlC, INTERRUPTED, stop_on_signals};
use crate::cli::registry::Registry;
use crate::cli::run_one::{RunArgs, run_one};
use crate::experiment::Document;
use crate::panics::panic_message;
use crate::run::{FolderError, RunError, record_failure};
use crate::terminal::one_line;
use crate::train::Interrupter;

/// Runs the trial called `name`. If it fails, the reason is written to its folder.
///
/// # Errors
///
/// Those of [`run_one`].
pub(in crate::cli) fn run_attached(registry: &Registry, args: &RunArgs, name: &str) -> miette::Result<()> {
    let mut input = BufReader::new(std::io::stdin());
    let mut text = Vec::new();
    input.read_until(END, &mut text).into_diagnostic()?;
    text.pop_if(|last| *last == END);
    let trial = Document::parse(name, &String::from_utf8_lossy(&text), &[])?.trial()?.named(name);
    let folder = trial_folder(&args.out, trial.experiment.name.as_str(), name);
    let interrupter = Interrupter::new();
    obey(input, &interrupter).into_diagnostic()?;
    // Ctrl-C in a terminal reaches this process too, but the sweep decides what to do then.
    stop_on_signals(&interrupter, CtrlC::IsLeftToTheSweep).into_diagnostic()?;

    let run = || run_one(registry, args, &trial, interrupter.clone());
    let result = catch_unwind(AssertUnwindSafe(run))
        .unwrap_or_else(|panic| Err(miette::miette!("{}", panic_message(&*panic).unwrap_or("it panicked"))));
    if let Err(report) = &result {
        leave_failure(&folder, report)?;
    }
    result
}

/// Stops after the current batch when a byte arrives, and at once before the trial has begun, and when the sweep is gone: a trial does
/// not outlive its sweep.
///
/// # Errors
///
/// When there is no thread to wait for that.
fn obey(mut input: impl Read + Send + 'static, interrupter: &Interrupter) -> std::io::Result<()> {
    let interrupter = interrupter.clone();
    let wait = move || {
        let mut byte = [0];
        while matches!(input.read(&mut byte), Ok(1)) && interrupter.has_begun() {
            interrupter.stop();
        }
        std::process::exit(INTERRUPTED.into());
    };
    std::thread::Builder::new().spawn(wait).map(drop)
}

fn leave_failure(folder: &Path, report: &miette::Report) -> miette::Result<()> {
    match report.downcast_ref::<RunError>() {
        Some(error) if error.is_interruption() => Ok(()),
        Some(RunError::Folder(FolderError::InUse { .. })) => std::process::exit(BUSY),
        // The folder is the other process's: nothing is left there.
        Some(error) if error.is_taken_over() => std::process::exit(TAKEN_OVER),
        _ => Ok(record_failure(folder, &reason(report), &format!("{report:?}"))?),
    }
}

/// `report` and its causes, in one sentence.
fn reason(report: &miette::Report) -> String {
    let causes = report.chain().map(|cause| one_line(&cause.to_string()));
    causes.fold(String::new(), |text, cause| match text.as_str() {
        "" => cause,
        // Some errors quote their cause.
        told if told.contains(&cause) => text,
        told => format!("{told}: {cause}"),
    })
}
