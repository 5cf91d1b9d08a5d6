//! The stages in order: pretrain, search, and for each budget cut, slice, retrain, measure.

use std::path::Path;

use super::begin::begin;
use super::belongs::is_same;
use super::dry_run::dry_run;
use super::error::RunError;
use super::folder::{EXPERIMENT, MASKS, RunFolder, START, SUMMARY};
use super::networks::started;
use super::prepared::Prepared;
use super::setting::Setting;
use super::stages::Run;
use super::state::summary;
use super::weights::parameters;
use crate::data::{Dataset, Stage};
use crate::models::Architecture;
use crate::report::{Seconds, Summary};
use crate::terminal::say;
use crate::train::is_whole;

/// Runs a prepared experiment, and leaves its results in its folder. Resumes where an earlier run of it stopped. The caller may have
/// built the dense network already, for the dry run.
///
/// # Errors
///
/// When a stage fails or is interrupted, or a file cannot be written.
pub fn execute<A: Architecture>(
    prepared: &Prepared<A>,
    dense: Option<A>,
    setting: &Setting,
) -> Result<(RunFolder, Summary), RunError> {
    let prepared =
        &prepared.clone().timed_on(&setting.devices.first.device, setting.device_name, setting.quiet);
    let experiment = &prepared.experiment;
    let trial = prepared.trial();
    let resolved = prepared.resolved()?;
    if setting.afresh || !is_complete(&setting.out.join(experiment.name.as_str()).join(&trial), &resolved) {
        for note in dry_run(prepared, dense)?.iter().filter(|_| !setting.quiet) {
            say(format_args!("note: {note}"));
        }
    }
    let folder = RunFolder::open(setting.out, experiment.name.as_str(), &trial)?;
    setting.interrupter.begin();
    // The trials of a sweep share their searches instead.
    let may_extend = prepared.swept.is_none();
    let Dataset { normalisation, .. } = &prepared.data;
    let normalisation =
        begin(&folder, &resolved, &prepared.sources(), normalisation, setting.afresh, may_extend)?;
    let prepared = &prepared.normalised_by(normalisation);
    let start = prepared.pretrained.as_ref().and_then(|pretrained| pretrained.left());
    folder.keep(START, start.map(|start| &start.file[..]))?;
    for (name, file) in prepared.teacher_files() {
        folder.keep(&name, file)?;
    }
    if let Some(summary) = summary(folder.path()) {
        if !setting.quiet {
            say("this run is complete; `--fresh` starts it again");
        }
        let pretrain = experiment.pretrain.as_ref();
        if pretrain.is_some_and(|training| !is_whole(folder.path(), Stage::Pretrain, None, training)) {
            say("the checkpoint of its dense network is missing or damaged; only `--fresh` trains it again");
        }
        return Ok((folder, summary));
    }
    let (network, masks) = started(prepared, &setting.devices.first.device)?;
    let cutting = prepared.cutting();
    let run = Run::new(prepared, &cutting, &folder, &network, setting)?;

    let mut seconds = Seconds::default();
    let dense = run.pretrain(network, &mut seconds)?;
    let dense_summary = run.dense_summary(&dense)?;
    let (searched, search) = run.search(dense.clone(), masks, &mut seconds)?;
    let masks = parameters(&searched.masks).map_err(|error| RunError::format("the masks", error))?;
    folder.write(MASKS, &masks)?;

    run.check_interrupt()?;
    let subnets = run.subnets(&dense, &searched, &mut seconds)?;
    let summary = Summary {
        name: experiment.name.as_str().to_owned(),
        trial,
        device: setting.device_name.to_owned(),
        seconds,
        start: prepared.start_path().map(|path| path.display().to_string()),
        dense: dense_summary,
        search,
        subnets,
    };
    run.save_json(&summary, SUMMARY)?;
    Ok((folder, summary))
}

/// Whether the run in `folder` is one of `experiment` that is complete, and so was tried when it began.
fn is_complete(folder: &Path, experiment: &str) -> bool {
    let there = std::fs::read_to_string(folder.join(EXPERIMENT));
    summary(folder).is_some() && there.is_ok_and(|there| is_same(folder, &there, experiment))
}
