//! Runs the trials of a sweep.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use super::display::Display;
use super::error::SweepError;
use super::queue::Queue;
use super::trial::Trial;
use super::worker::{Outcome, Worker, log};
use crate::cli::run_one::RunArgs;
use crate::experiment::{Keep, Trials};
use crate::report::{RunState, SweepReport, TrialReport};
use crate::run::{failure, free_unneeded, summary};
use crate::train::Interrupter;
use crate::whole_file::write_whole;

/// A sweep in progress.
pub(super) struct Sweep<'a> {
    args: &'a RunArgs,
    written: &'a Trials,
    folder: &'a Path,
    trials: Vec<Trial>,
    display: Display,
    interrupter: &'a Interrupter,
    /// Why trials failed, by their number. It includes failures that could not be written to a trial's folder.
    failures: Mutex<HashMap<usize, String>>,
    /// Number of trials that another process has taken over.
    taken_over: AtomicUsize,
}

impl<'a> Sweep<'a> {
    pub(super) fn new(
        args: &'a RunArgs,
        written: &'a Trials,
        folder: &'a Path,
        trials: Vec<Trial>,
        interrupter: &'a Interrupter,
    ) -> Self {
        let display = Display::new(trials.len(), args.quiet);
        let (failures, taken_over) = Default::default();
        Self { args, written, folder, trials, display, interrupter, failures, taken_over }
    }

    /// Prints a message, unless the sweep is quiet.
    pub(super) fn tell(&self, line: &str) {
        self.display.tell(line);
    }

    /// Runs all trials that are not complete.
    ///
    /// # Errors
    ///
    /// When its tables cannot be written.
    pub(super) fn run(&self) -> Result<(), SweepError> {
        let left: Vec<usize> =
            (0..self.trials.len()).filter(|&index| !self.trials[index].is_complete()).collect();
        let before = self.trials.len() - left.len();
        if before > 0 {
            self.display.count(before);
            self.tell(&format!("{before} of {} trials are complete", self.trials.len()));
        }
        self.write()?;
        let at_once = self.args.jobs.min(left.len()).max(1);
        let budgets = || self.written.iter().flat_map(|trial| trial.experiment.budgets);
        if at_once > 1 && budgets().any(|budget| budget.limits_latency()) {
            self.tell("note: trials slow each other down, so their latencies are measured wrong: leave `--jobs` out");
        }
        // As many as a run of its own has, which `RAYON_NUM_THREADS` can set.
        let threads = (rayon::current_num_threads() / at_once).max(1);
        let worker = Worker { arguments: arguments(self.args), threads };
        let queue = Queue::new(left);
        std::thread::scope(|scope| {
            for _ in 1..at_once {
                // Without a thread for it, one trial fewer runs at once.
                let _ = std::thread::Builder::new().spawn_scoped(scope, || self.work(&worker, &queue));
            }
            self.work(&worker, &queue);
        });
        self.display.clear();
        if self.trials.iter().all(Trial::is_complete)
            && !self.written.iter().any(|trial| trial.experiment.keep == Keep::All)
        {
            free_unneeded(self.folder);
        }
        self.write()
    }

    fn work(&self, worker: &Worker, queue: &Queue) {
        let is_busy = |index: usize| RunState::of(&self.trials[index].folder) == RunState::Running;
        while let Some(index) = queue.next(self.interrupter, is_busy) {
            match self.run_trial(worker, index) {
                Outcome::Busy => queue.busy(index),
                _ => queue.done(),
            }
            // The tables are written again at the end, which reports it if they cannot be written.
            let _ = self.write();
        }
    }

    fn run_trial(&self, worker: &Worker, index: usize) -> Outcome {
        let trial = &self.trials[index];
        // Another process may have completed it meanwhile.
        if trial.is_complete() {
            self.display.count(1);
            return Outcome::Complete;
        }
        let line = self.display.begin(&trial.name);
        let outcome = worker.run(trial, self.interrupter, |said| line.show(said)).unwrap_or_else(|error| {
            Outcome::Failed(format!("it cannot run in `{}`: {error}", trial.folder.display()))
        });
        match &outcome {
            Outcome::Complete => self.display.end(line, "complete", true),
            Outcome::Stopped => self.display.end(line, "stopped", false),
            Outcome::TakenOver => {
                self.display.end(line, "another process has taken it over", false);
                self.taken_over.fetch_add(1, Ordering::Relaxed);
            }
            Outcome::Busy => self.display.end(line, "another process is working on it", false),
            Outcome::Failed(reason) => {
                self.display.end(line, "failed", true);
                let log = log(&trial.folder);
                self.display.say(&format!("{} failed: {reason}\n  its log: {}", trial.name, log.display()));
                self.failures().insert(index, reason.clone());
                if self.args.fail_fast {
                    self.interrupter.stop();
                }
            }
        }
        outcome
    }

    fn failures(&self) -> MutexGuard<'_, HashMap<usize, String>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The progress of all trials.
    pub(super) fn report(&self) -> SweepReport {
        let trials = self.trials.iter().enumerate().map(|(index, trial)| {
            let here = self.failures().get(&index).cloned();
            let state = match trial.is_complete() {
                true => RunState::Complete,
                false if here.is_some() => RunState::Failed,
                false => RunState::of(&trial.folder),
            };
            let differing = self.written.differing(index).into_iter();
            TrialReport {
                trial: trial.name.clone(),
                differing: differing.map(|(name, value)| (name.to_owned(), json(&value))).collect(),
                state,
                failure: here.or_else(|| failure(&trial.folder)).filter(|_| state == RunState::Failed),
                summary: match state {
                    RunState::Complete => trial.summary().cloned().or_else(|| summary(&trial.folder)),
                    _ => None,
                },
            }
        });
        SweepReport { name: self.written.name().to_owned(), trials: trials.collect() }
    }

    fn write(&self) -> Result<(), SweepError> {
        let report = self.report();
        let write = |name: &str, text: std::io::Result<String>| {
            let path: PathBuf = self.folder.join(name);
            text.and_then(|text| write_whole(&path, text.as_bytes()))
                .map_err(|source| SweepError::File { path, source })
        };
        let json = serde_json::to_string_pretty(&report).map(|text| text + "\n");
        write("sweep.json", json.map_err(Into::into))?;
        write("sweep.csv", report.csv().map_err(std::io::Error::other))
    }

    /// The result of the sweep that `report` describes.
    ///
    /// # Errors
    ///
    /// When trials are not complete, because they failed or the sweep was stopped.
    pub(super) fn end(&self, report: &SweepReport) -> miette::Result<()> {
        let (trials, complete) = (report.trials.len(), report.count(RunState::Complete));
        let failed = report.count(RunState::Failed).max(self.failures().len());
        let taken_over = self.taken_over.load(Ordering::Relaxed);
        if complete == trials {
            Ok(())
        } else if failed > 0 {
            Err(SweepError::Failed { failed, trials }.into())
        } else if taken_over > 0 && !self.interrupter.should_stop() {
            Err(SweepError::TakenOver { taken_over, trials }.into())
        } else {
            Err(SweepError::Interrupted { complete, trials }.into())
        }
    }
}

/// A value of the experiment as JSON.
fn json(value: &str) -> Value {
    serde_json::from_str(value).unwrap_or_else(|_| match ron::from_str::<String>(value) {
        Ok(text) => Value::String(text),
        Err(_) => Value::String(value.to_owned()),
    })
}

/// The arguments of a trial's process beside its trial. Each is one argument, whatever its first character.
fn arguments(args: &RunArgs) -> Vec<OsString> {
    let mut out = OsString::from("--out=");
    out.push(&args.out);
    let mut arguments = vec![out];
    arguments.extend(args.device.as_ref().map(|device| format!("--device={device}").into()));
    arguments.extend(args.loader_threads.map(|threads| format!("--loader-threads={threads}").into()));
    arguments
}
