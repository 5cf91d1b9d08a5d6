//! The trials of a sweep, one after another or side by side, each in a process of its own.

mod attached;
mod display;
mod queue;
mod worker;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use burn::train::Interrupter;
use miette::Diagnostic;
use serde_json::Value;
use thiserror::Error;

use self::display::Display;
use self::queue::Queue;
use self::worker::{Outcome, Worker, log};
use super::plan::plan_trials;
use super::run::RunArgs;
use super::{Registry, print};
use crate::experiment::{Document, Trials};
use crate::plan::Planning;
use crate::report::{SweepPlan, SweepReport, TrialReport};
use crate::run::{RunState, SHARED, failure, summary};
use crate::whole_file::{remove, write_whole};

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
    /// A process could not be started or waited for.
    #[error("the trial `{trial}` cannot be run: {source}")]
    Process {
        /// The trial.
        trial: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file could not be written.
    #[error("cannot write `{}`: {source}", .path.display())]
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

/// A trial that is to be run.
struct Trial {
    document: Document,
    name: String,
    folder: PathBuf,
    /// Its file as it is in its folder, every default spelled out.
    resolved: String,
}

impl Trial {
    /// Whether it is complete: this very experiment, not another that happens to have its name.
    fn is_complete(&self) -> bool {
        let there = std::fs::read_to_string(self.folder.join("experiment.ron"));
        there.is_ok_and(|there| there == self.resolved) && summary(&self.folder).is_some()
    }
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
    let sweep = Sweep::new(registry, args, trials, interrupter)?;
    sweep.display.tell(&plan.total());
    sweep.run()?;
    let report = sweep.report(trials);
    sweep.write(&report)?;
    print(args.json, &report, |report| format!("{}\nresults: {}", report.table(), sweep.folder.display()))?;
    sweep.end(&report)
}

struct Sweep<'a> {
    args: &'a RunArgs,
    folder: PathBuf,
    trials: Vec<Trial>,
    worker: Worker,
    display: Display,
    interrupter: &'a Interrupter,
    names: &'a Trials,
}

impl<'a> Sweep<'a> {
    fn new(
        registry: &Registry,
        args: &'a RunArgs,
        trials: &'a Trials,
        interrupter: &'a Interrupter,
    ) -> miette::Result<Self> {
        let folder = args.out.join(trials.name());
        let trial = |document: Document| {
            let name = document.trial().unwrap_or_default().to_owned();
            let resolved = (registry.commands(&document)?.resolved)(&document)?;
            Ok::<_, miette::Report>(Trial { folder: folder.join(&name), document, name, resolved })
        };
        let of_sweep = trials.iter().map(trial).collect::<miette::Result<Vec<_>>>()?;
        if args.fresh {
            let shared = folder.join(SHARED);
            remove(&shared).map_err(|source| SweepError::File { path: shared, source })?;
        }
        // As many as one run has, which `RAYON_NUM_THREADS` may say.
        let threads = (rayon::current_num_threads() / args.jobs).max(1);
        let worker = Worker { arguments: arguments(args), threads };
        let display = Display::new(of_sweep.len(), args.quiet);
        Ok(Self { args, folder, trials: of_sweep, worker, display, interrupter, names: trials })
    }

    /// Runs what is to be run.
    fn run(&self) -> Result<(), SweepError> {
        let complete = |trial: &Trial| !self.args.fresh && trial.is_complete();
        let left: Vec<usize> =
            (0..self.trials.len()).filter(|&index| !complete(&self.trials[index])).collect();
        let before = self.trials.len() - left.len();
        if before > 0 {
            self.display.count(before);
            self.display.tell(&format!("{before} of {} trials are complete", self.trials.len()));
        }
        let queue = Queue::new(left);
        let trouble = Mutex::new(None);
        std::thread::scope(|scope| {
            for _ in 0..self.args.jobs.min(self.trials.len()) {
                scope.spawn(|| {
                    while let Some(index) = queue.next(self.interrupter, |index| {
                        let folder = &self.trials[index].folder;
                        RunState::of(folder) == RunState::Running
                    }) {
                        match self.run_trial(&self.trials[index]) {
                            Ok(Outcome::Busy) => queue.busy(index),
                            Ok(_) => queue.done(),
                            Err(error) => {
                                self.interrupter.stop(None);
                                queue.done();
                                trouble
                                    .lock()
                                    .unwrap_or_else(|poisoned| poisoned.into_inner())
                                    .replace(error);
                            }
                        }
                    }
                });
            }
        });
        self.display.clear();
        let trouble = trouble.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
        trouble.map_or(Ok(()), Err)
    }

    fn run_trial(&self, trial: &Trial) -> Result<Outcome, SweepError> {
        // Another process may have done it meanwhile.
        if !self.args.fresh && trial.is_complete() {
            self.display.count(1);
            return Ok(Outcome::Complete);
        }
        let line = self.display.begin(&trial.name);
        let outcome = self
            .worker
            .run(&trial.document, &trial.folder, self.interrupter, |said| line.show(said))
            .map_err(|source| SweepError::Process { trial: trial.name.clone(), source })?;
        match &outcome {
            Outcome::Complete => self.display.end(line, "complete"),
            Outcome::Stopped => self.display.end(line, "stopped"),
            Outcome::Busy => self.display.end(line, "another process works on it"),
            Outcome::Failed(reason) => {
                let name = &trial.name;
                let log = log(&trial.folder);
                self.display.end(line, "failed");
                self.display.say(&format!("{name} failed: {reason}\n  its log: {}", log.display()));
                if self.args.fail_fast {
                    self.interrupter.stop(None);
                }
            }
        }
        self.write(&self.report(self.names))?;
        Ok(outcome)
    }

    fn report(&self, names: &Trials) -> SweepReport {
        let trials = self.trials.iter().enumerate().map(|(index, trial)| {
            let complete = trial.is_complete();
            let state = match RunState::of(&trial.folder) {
                // It is another experiment that is complete there.
                RunState::Complete if !complete => RunState::Failed,
                state => state,
            };
            let differing = names.differing(index).into_iter();
            TrialReport {
                trial: trial.name.clone(),
                differing: differing.map(|(name, value)| (name.to_owned(), json(&value))).collect(),
                state,
                failure: failure(&trial.folder).filter(|_| state == RunState::Failed),
                summary: summary(&trial.folder).filter(|_| complete),
            }
        });
        SweepReport { name: names.name().to_owned(), trials: trials.collect() }
    }

    fn write(&self, report: &SweepReport) -> Result<(), SweepError> {
        let write = |name: &str, text: std::io::Result<String>| {
            let path = self.folder.join(name);
            text.and_then(|text| write_whole(&path, text.as_bytes()))
                .map_err(|source| SweepError::File { path, source })
        };
        write(
            "sweep.json",
            serde_json::to_string_pretty(report).map(|text| text + "\n").map_err(Into::into),
        )?;
        write("sweep.csv", report.csv().map_err(std::io::Error::other))
    }

    fn end(&self, report: &SweepReport) -> miette::Result<()> {
        let (trials, complete, failed) =
            (report.trials.len(), report.count(RunState::Complete), report.count(RunState::Failed));
        match complete == trials {
            true => Ok(()),
            false if failed > 0 => Err(SweepError::Failed { failed, trials }.into()),
            false => Err(SweepError::Interrupted { complete, trials }.into()),
        }
    }
}

/// A value of the experiment as JSON has it.
fn json(value: &str) -> Value {
    serde_json::from_str(value).unwrap_or_else(|_| match ron::from_str::<String>(value) {
        Ok(text) => Value::String(text),
        Err(_) => Value::String(value.to_owned()),
    })
}

/// What the process of a trial is given beside its trial.
fn arguments(args: &RunArgs) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = vec!["--out".into(), args.out.clone().into_os_string()];
    if let Some(device) = &args.device {
        arguments.extend(["--device".into(), device.to_string().into()]);
    }
    if let Some(threads) = args.loader_threads {
        arguments.extend(["--loader-threads".into(), threads.to_string().into()]);
    }
    if args.fresh {
        arguments.push("--fresh".into());
    }
    arguments
}
