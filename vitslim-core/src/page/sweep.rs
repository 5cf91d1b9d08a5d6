//! The page of a sweep, or of several runs side by side.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;

use super::error::PageError;
use super::figure::{Download, Figure};
use super::files::{json, top1};
use super::network::Network;
use super::render::render;
use super::{front, parallel};
use crate::report::{RunState, SweepReport, TrialReport, written};
use crate::run::{REPORT, Target, failure, summary};

/// File with the trials of a sweep.
const SWEEP: &str = "sweep.json";

/// What the template shows.
#[derive(Serialize)]
struct SweepPage {
    title: String,
    name: String,
    /// Whether these are the trials of one sweep.
    is_sweep: bool,
    /// How many trials there are in each state, as a text.
    states: String,
    /// Names of the settings that differ.
    swept: Vec<String>,
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
    let report = read(folder)?;
    let link = |trial: &TrialReport| {
        let is_there = folder.join(&trial.trial).join(REPORT).is_file();
        is_there.then(|| format!("{}/{REPORT}", trial.trial))
    };
    let page = SweepPage { is_sweep: true, ..page(&report, link)? };
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
        let named = |name: String, trial: TrialReport| TrialReport { trial: name, ..trial };
        match is_sweep(folder) {
            true => {
                let of_sweep = read(folder)?.trials.into_iter();
                trials.extend(
                    of_sweep.map(|trial| named(folder.join(&trial.trial).display().to_string(), trial)),
                );
            }
            false => {
                let run = Target::find(folder)?.run;
                let state = RunState::of(&run);
                trials.push(TrialReport {
                    trial: run.display().to_string(),
                    differing: serde_json::Map::new(),
                    state,
                    failure: failure(&run).filter(|_| state == RunState::Failed),
                    summary: summary(&run),
                });
            }
        }
    }
    let report = SweepReport { name: format!("{} runs", trials.len()), trials };
    render("sweep.html", &page(&report, |_| None)?)
}

fn read(folder: &Path) -> Result<SweepReport, PageError> {
    let path = folder.join(SWEEP);
    let missing = || PageError::Read { path: path.clone(), source: std::io::ErrorKind::NotFound.into() };
    json(&path)?.ok_or_else(missing)
}

fn page(report: &SweepReport, link: impl Fn(&TrialReport) -> Option<String>) -> Result<SweepPage, PageError> {
    let swept = report.differing();
    let mut networks = Vec::new();
    for trial in &report.trials {
        let Some(summary) = &trial.summary else { continue };
        for subnet in &summary.subnets {
            networks.push(Network {
                number: networks.len() + 1,
                trial: trial.trial.clone(),
                link: link(trial),
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
                is_best: false,
            });
        }
    }
    let costs: Vec<(f64, f64)> = networks.iter().map(|network| (network.macs as f64, network.top1)).collect();
    for (network, is_best) in networks.iter_mut().zip(front::front(&costs)) {
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
