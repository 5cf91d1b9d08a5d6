//! Further sub-networks out of a search that is finished.

use std::path::Path;

use super::belongs::compare;
use super::budget::PreparedBudget;
use super::error::RunError;
use super::finished::Finished;
use super::folder::FolderError;
use super::labels::Labels;
use super::prepared::Prepared;
use super::setting::Setting;
use super::stages::Run;
use super::state::{has_subnet, summary, written};
use super::subnet_result::SubnetResult;
use super::teacher::Teachers;
use crate::data::{SplitKind, Stage};
use crate::experiment::{Experiment, Trial};
use crate::models::Architecture;
use crate::report::{Seconds, SubnetSummary, Summary};
use crate::terminal::say;
use crate::train::{is_whole, recorded_seconds};

/// Cuts a sub-network for each budget of `trial` out of the search of the run in the folder `run`, and retrains it if asked to. `trial` is
/// that of the run, but for its budgets. What is there already stays, and what was retrained is made again from its checkpoint where a file
/// is gone. Answers with the results of these networks alone.
///
/// # Errors
///
/// When the search is not finished or not there any more, the data or a teacher are not those of the run, a budget cannot be met, or
/// retraining fails or is interrupted.
pub fn cut_further<A: Architecture>(
    trial: &Trial,
    run: &Path,
    teachers: &Teachers,
    retrain: bool,
    setting: &Setting,
) -> Result<Summary, RunError> {
    if retrain && trial.experiment.retrain.is_none() {
        let message = "this run retrains nothing, so there are no settings to retrain with";
        return Err(trial
            .document
            .error(&["retrain"], message, Some("leave out `--retrain`".to_owned()))
            .into());
    }
    let Finished { folder, mut prepared, initial, dense, searched, epochs } =
        Finished::<A>::open(trial, run, SplitKind::Test, setting)?;
    setting.interrupter.begin();
    prepared = prepared.timed_on(&setting.devices.first.device, setting.device_name, setting.quiet);
    let mut labels = Labels::of_run(run)?;
    for budget in &mut prepared.budgets {
        budget.label = labels.of(&budget.written);
    }
    let found = prepared.budgets.iter().map(|budget| state(run, &trial.experiment, &budget.label));
    let found: Vec<Found> = found.collect::<Result<_, _>>()?;
    if retrain || found.contains(&Found::Restorable) {
        prepared = prepared.with_teacher(trial, teachers, Stage::Retrain, Some(run))?;
        compare(run, &prepared.sources())?;
    }
    let cutting = prepared.cutting();
    prepared.budgets.iter().try_for_each(|budget| cutting.check(&dense, budget))?;
    for (PreparedBudget { label, .. }, found) in prepared.budgets.iter().zip(&found) {
        match found {
            Found::Lost if !retrain => {
                return Err(RunError::Unretrained { run: run.to_owned(), label: label.clone() });
            }
            _ if setting.quiet => {}
            Found::Retrained => say(format_args!("`{label}` is there already")),
            Found::AsCut if !retrain => say(format_args!("`{label}` is there already")),
            Found::Restorable => {
                say(format_args!("`{label}` was retrained; it is made again from its checkpoint"));
            }
            _ => {}
        }
    }

    let experiment = prepared.experiment.clone();
    let as_cut =
        Prepared { experiment: Experiment { retrain: None, ..experiment.clone() }, ..prepared.clone() };
    let seconds = |stage| recorded_seconds(run, stage, None);
    let mut seconds = Seconds {
        pretrain: experiment.pretrain.is_some().then(|| seconds(Stage::Pretrain)).transpose()?,
        search: epochs.is_some().then(|| seconds(Stage::Search)).transpose()?,
        retrain: None,
    };
    // First all are cut and saved: what cannot be cut is told before anything is retrained, and what a retraining that is interrupted was
    // of stays known.
    let as_cut = Run::new(&as_cut, &cutting, &folder, &initial, setting)?;
    let retrained = Run::new(&prepared, &cutting, &folder, &initial, setting)?;
    let mut subnets = Vec::new();
    for (budget, found) in prepared.budgets.iter().zip(&found) {
        let run = if *found == Found::Restorable { &retrained } else { &as_cut };
        subnets.push(run.network_of(budget, &dense, &searched, &mut seconds)?);
    }
    if retrain {
        seconds.retrain = None;
        subnets = retrained.subnets(&dense, &searched, &mut seconds)?;
    }
    let (start, dense, search) = match summary(run) {
        Some(summary) => (summary.start, summary.dense, summary.search),
        None => {
            let search = epochs.map(|epochs| as_cut.search_summary(&searched, epochs)).transpose()?;
            let start = prepared.start_path().map(|path| path.display().to_string());
            (start, as_cut.dense_summary(&dense)?, search)
        }
    };
    Ok(Summary {
        name: experiment.name.as_str().to_owned(),
        trial: trial.swept.clone().unwrap_or_else(|| prepared.trial()),
        device: setting.device_name.to_owned(),
        seconds,
        start,
        dense,
        search,
        subnets,
    })
}

/// What a run has of a sub-network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    /// All of it, retrained.
    Retrained,
    /// All of it, as it was cut.
    AsCut,
    /// Not all of it, but the checkpoint that it was retrained to.
    Restorable,
    /// Neither, although it was retrained.
    Lost,
    /// Nothing that took time to make.
    Nothing,
}

/// What the run of `experiment` in the folder `run` has of its sub-network `label`.
fn state(run: &Path, experiment: &Experiment, label: &str) -> Result<Found, FolderError> {
    let result = SubnetResult::read(run, label)?.map(|result| result.summary);
    let is_retrained = |subnet: &SubnetSummary| subnet.top1_retrained.is_some();
    let is_whole = |training| is_whole(run, Stage::Retrain, Some(label), training);
    let mut of_run = written(run).into_iter().flat_map(|summary| summary.subnets);
    Ok(match &result {
        Some(result) if has_subnet(run, label) && is_retrained(result) => Found::Retrained,
        Some(_) if has_subnet(run, label) => Found::AsCut,
        _ if experiment.retrain.as_ref().is_some_and(is_whole) => Found::Restorable,
        Some(result) if is_retrained(result) => Found::Lost,
        _ if of_run.any(|subnet| subnet.label == label && is_retrained(&subnet)) => Found::Lost,
        _ => Found::Nothing,
    })
}
