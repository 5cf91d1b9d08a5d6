//! Further sub-networks out of a search that is finished.

use std::path::Path;

use super::error::RunError;
use super::finished::Finished;
use super::labels::Labels;
use super::pipeline::Run;
use super::prepare::Prepared;
use super::setting::Setting;
use super::state::{has_subnet, summary};
use super::subnet_result::SubnetResult;
use super::teacher::Teachers;
use crate::data::Stage;
use crate::experiment::{Experiment, Trial};
use crate::models::Architecture;
use crate::report::{Seconds, Summary};
use crate::terminal::say;
use crate::train::recorded_seconds;

/// Cuts a sub-network for each budget of `trial` out of the search of the run in the folder `run`, and retrains it if asked to. `trial` is
/// that of the run, but for its budgets. What is there already stays. Answers with the results of these networks alone.
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
    let teachers = retrain.then_some(teachers);
    let Finished { folder, mut prepared, initial, dense, searched, epochs } =
        Finished::<A>::open(trial, run, teachers, setting)?;
    setting.interrupter.begin();
    let mut labels = Labels::of_run(run)?;
    for budget in &mut prepared.budgets {
        budget.label = labels.of(&budget.written);
    }
    prepared.budgets.iter().try_for_each(|budget| prepared.cutting().check(&dense, budget))?;
    for label in prepared.budgets.iter().map(|budget| &budget.label).filter(|_| !setting.quiet) {
        let is_done = |result: SubnetResult| !retrain || result.summary.top1_retrained.is_some();
        if has_subnet(run, label) && SubnetResult::read(run, label)?.is_some_and(is_done) {
            say(format_args!("`{label}` is there already"));
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
    let cutting = Run::new(&as_cut, &folder, &initial, setting)?;
    let mut subnets = cutting.subnets(&dense, &searched, &mut seconds)?;
    if retrain {
        subnets =
            Run::new(&prepared, &folder, &initial, setting)?.subnets(&dense, &searched, &mut seconds)?;
    }
    let (start, dense, search) = match summary(run) {
        Some(summary) => (summary.start, summary.dense, summary.search),
        None => {
            let search = epochs.map(|epochs| cutting.search_summary(&searched, epochs)).transpose()?;
            let start = prepared.start_path().map(|path| path.display().to_string());
            (start, cutting.dense_summary(&dense)?, search)
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
