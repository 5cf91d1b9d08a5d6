//! The page of a sweep, or of several runs side by side.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Map, Value};

use super::error::PageError;
use super::figure::{Download, Figure};
use super::files::{json, results, top1};
use super::network::Network;
use super::render::render;
use super::{front, parallel};
use crate::experiment::Document;
use crate::report::{RunState, Summary, SweepReport, TrialReport, differences_of_known, written};
use crate::run::{EXPERIMENT, REPORT, Target, failure, summary, test_images};

/// File with the trials of a sweep.
const SWEEP: &str = "sweep.json";

/// Most settings that are shown side by side. Runs of two architectures differ in dozens.
const MOST_SWEPT: usize = 8;

/// What to do if it is damaged.
const SWEEP_REMEDY: &str = "delete it: the command of the sweep writes it again";

/// What the template shows.
#[derive(Serialize)]
struct SweepPage {
    title: String,
    name: String,
    /// Whether these are the trials of one sweep.
    is_sweep: bool,
    /// How many trials there are in each state, as a text.
    states: String,
    /// Names of the settings that differ: the first of them, and how many more there are.
    swept: Vec<String>,
    more: usize,
    /// A network each.
    networks: Vec<Network>,
    /// Trials that have no network.
    others: Vec<Other>,
    figures: Vec<Figure>,
    parallel: Option<Figure>,
    data: Download,
}

/// A trial without a network.
#[derive(Serialize)]
struct Other {
    trial: String,
    state: &'static str,
    failure: Option<String>,
}

/// Whether `folder` is that of a sweep.
pub fn is_sweep(folder: &Path) -> bool {
    folder.join(SWEEP).is_file()
}

/// The page of the sweep in `folder`.
///
/// # Errors
///
/// When there is none, or its files cannot be read.
pub fn sweep_page(folder: &Path) -> Result<String, PageError> {
    let SweepReport { name, trials } = read(folder)?;
    let trials = trials.into_iter().map(|trial| Shown::read(folder.join(&trial.trial), trial));
    let link = |trial: &Shown| {
        let name = &trial.report.trial;
        trial.run.join(REPORT).is_file().then(|| format!("{name}/{REPORT}"))
    };
    let page = SweepPage { is_sweep: true, ..page(&name, trials.collect::<Result<_, _>>()?, link)? };
    render("sweep.html", &page)
}

/// One page of the runs in `folders`, each that of a run or of a sweep.
///
/// # Errors
///
/// When a folder is neither, or its files cannot be read.
pub fn runs_page(folders: &[PathBuf]) -> Result<String, PageError> {
    let mut trials = Vec::new();
    for folder in folders {
        match is_sweep(folder) {
            true => {
                for trial in read(folder)?.trials {
                    let run = folder.join(&trial.trial);
                    let trial = TrialReport { trial: run.display().to_string(), ..trial };
                    trials.push(Shown::read(run, trial)?);
                }
            }
            false => {
                let run = Target::find(folder)?.run;
                let trial = TrialReport {
                    trial: run.display().to_string(),
                    differing: Map::new(),
                    state: RunState::Waiting,
                    failure: None,
                    summary: None,
                };
                trials.push(Shown::read(run, trial)?);
            }
        }
    }
    tell_apart(&mut trials)?;
    render("sweep.html", &page(&format!("{} runs", trials.len()), trials, |_| None)?)
}

fn read(folder: &Path) -> Result<SweepReport, PageError> {
    let path = folder.join(SWEEP);
    let missing = || PageError::Read { path: path.clone(), source: std::io::ErrorKind::NotFound.into() };
    json(&path, SWEEP_REMEDY)?.ok_or_else(missing)
}

/// A trial, as its folder says now.
struct Shown {
    run: PathBuf,
    report: TrialReport,
    /// What tells the images of its test split from others.
    test: String,
}

impl Shown {
    /// What has become of `trial` in its folder `run`. If that is not there, it is as it was told.
    fn read(run: PathBuf, trial: TrialReport) -> Result<Self, PageError> {
        let test = test_images(&run)?;
        if !run.is_dir() {
            return Ok(Self { run, report: trial, test });
        }
        let state = RunState::of(&run);
        let summary = summary(&run).map(|summary| with_later(summary, &run)).transpose()?;
        let failure = failure(&run).filter(|_| state == RunState::Failed);
        Ok(Self { report: TrialReport { state, failure, summary, ..trial }, run, test })
    }
}

/// `summary` of the run in the folder `run`, with the sub-networks that were cut later behind those of its budgets.
fn with_later(mut summary: Summary, run: &Path) -> Result<Summary, PageError> {
    let is_known = |label: &str| summary.subnets.iter().any(|subnet| subnet.label == label);
    let later: Vec<_> = results(run)?.into_iter().filter(|subnet| !is_known(&subnet.label)).collect();
    summary.subnets.extend(later);
    Ok(summary)
}

/// Gives each of `trials` its values of what differs between their experiments, as `vitslim compare` does.
fn tell_apart(trials: &mut [Shown]) -> Result<(), PageError> {
    let read = |trial: &Shown| {
        let file = trial.run.join(EXPERIMENT);
        file.is_file().then(|| Document::read(&file, &[])).transpose()
    };
    let experiments: Vec<Option<Document>> = trials.iter().map(read).collect::<Result<_, _>>()?;
    let roots = experiments.iter().map(|experiment| Some(experiment.as_ref()?.root()));
    let found = differences_of_known(&roots.collect::<Vec<_>>());
    for (index, trial) in trials.iter_mut().enumerate() {
        // Text without its quotes, as in a sweep; what is no JSON as it is written.
        let value =
            |text: &String| serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.clone()));
        let values = found.iter().map(|field| {
            (
                field.path.clone(),
                field.values.get(index).cloned().flatten().as_ref().map_or(Value::Null, value),
            )
        });
        trial.report.differing = values.collect();
    }
    Ok(())
}

fn page(
    name: &str,
    trials: Vec<Shown>,
    link: impl Fn(&Shown) -> Option<String>,
) -> Result<SweepPage, PageError> {
    let mut networks = Vec::new();
    let (links, tests): (Vec<_>, Vec<_>) =
        trials.iter().map(|trial| (link(trial), trial.test.clone())).unzip();
    let trials = trials.into_iter().map(|trial| trial.report).collect();
    let report = SweepReport { name: name.to_owned(), trials };
    let mut swept = report.differing();
    let more = swept.len().saturating_sub(MOST_SWEPT);
    swept.truncate(MOST_SWEPT);
    for ((trial, link), test) in report.trials.iter().zip(links).zip(tests) {
        let Some(summary) = &trial.summary else { continue };
        for subnet in &summary.subnets {
            networks.push(Network {
                number: networks.len() + 1,
                trial: trial.trial.clone(),
                link: link.clone(),
                swept: swept.iter().map(|name| shown(trial.differing.get(name))).collect(),
                label: subnet.label.clone(),
                params: subnet.params,
                macs: subnet.macs,
                share: subnet.macs as f64 / summary.dense.macs.max(1) as f64,
                top1_dense: summary.dense.top1,
                top1_sliced: subnet.top1_sliced,
                top1_retrained: subnet.top1_retrained,
                top1: top1(subnet),
                speedup: subnet.speedup,
                test: test.clone(),
                is_best: false,
            });
        }
    }
    let front = front::front(&networks, |network| network.macs as f64);
    for (network, is_best) in networks.iter_mut().zip(front) {
        network.is_best = is_best;
    }
    let others = report.trials.iter().filter(|trial| trial.summary.is_none()).map(|trial| Other {
        trial: trial.trial.clone(),
        state: trial.state.name(),
        failure: trial.failure.clone(),
    });
    let states =
        [RunState::Complete, RunState::Running, RunState::Failed, RunState::Stopped, RunState::Waiting];
    let states = states.into_iter().filter_map(|state| match report.count(state) {
        0 => None,
        count => Some(format!("{count} {}", state.name())),
    });
    Ok(SweepPage {
        title: format!("{} · vitslim", report.name),
        name: report.name.clone(),
        is_sweep: false,
        states: states.collect::<Vec<_>>().join(", "),
        figures: front::figures(&networks)?,
        parallel: parallel::figure(&swept, &networks)?,
        others: others.collect(),
        data: Download::new("sweep.csv".to_owned(), "text/csv", &report.csv()?),
        swept,
        more,
        networks,
    })
}

/// A value of a setting, small numbers as people write them.
fn shown(value: Option<&Value>) -> String {
    match value.and_then(Value::as_f64) {
        Some(number) if number != 0.0 && number.abs() < 1e-3 => format!("{number:e}"),
        _ => written(value),
    }
}
