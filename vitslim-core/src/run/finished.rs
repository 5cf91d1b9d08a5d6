//! A search that is finished, as the folder of its run has it: further networks are cut out of it, and nothing is trained for it.

use std::path::{Path, PathBuf};

use super::belongs::{self, compare};
use super::error::RunError;
use super::evaluation::check_unchanged;
use super::folder::RunFolder;
use super::known::Known;
use super::networks::started;
use super::prepared::Prepared;
use super::restore::RestoreError;
use super::setting::Setting;
use crate::data::{SplitKind, Stage};
use crate::experiment::{Experiment, Training, Trial};
use crate::models::Architecture;
use crate::slim::Slim;
use crate::terminal::say;
use crate::train::{self, load_result};

/// A run whose search is finished, locked as long as this lives.
pub(super) struct Finished<A: Architecture> {
    pub(super) folder: RunFolder,
    /// Its experiment, on its data.
    pub(super) prepared: Prepared<A>,
    /// The network that it started from.
    pub(super) initial: A,
    /// The dense network after pretraining, in validation mode.
    pub(super) dense: A,
    /// The dense network after the search, with its masks; as it is, with the scores of its units, where nothing needs a search.
    pub(super) searched: Slim<A>,
    /// Epochs that the search took; `None` if it was skipped.
    pub(super) epochs: Option<usize>,
}

/// The first stage up to the search of `experiment` that the folder `run` does not have whole, the file that tells, and what is wrong with
/// that.
pub(super) fn flaw(run: &Path, experiment: &Experiment) -> Option<(Stage, PathBuf, &'static str)> {
    let stages =
        [(Stage::Pretrain, experiment.pretrain.clone()), (Stage::Search, experiment.search_training())];
    stages.into_iter().find_map(|(stage, training)| {
        let (file, flaw) = train::flaw(run, stage, &training?)?;
        Some((stage, file, flaw))
    })
}

impl<A: Architecture> Finished<A> {
    /// Opens the run of `trial` in the folder `run` as `setting` says, to evaluate its networks on the split `evaluated`.
    ///
    /// # Errors
    ///
    /// When another process is working in the folder, a stage up to the search is not there as a whole, or the data are not those that the
    /// run began with.
    pub(super) fn open(
        trial: &Trial,
        run: &Path,
        evaluated: SplitKind,
        setting: &Setting,
    ) -> Result<Self, RunError> {
        let folder = RunFolder::locked(run.to_owned())?;
        if let Some((stage, file, flaw)) = flaw(run, &trial.experiment) {
            return Err(RunError::Unsearched { run: run.to_owned(), stage: stage.name(), file, flaw });
        }
        let mut known = Known::of_run(run, setting.quiet);
        let (prepared, _) = Prepared::<A>::of_sweep(trial, &mut known)?;
        prepared.data.notes.iter().for_each(say);
        for kind in [SplitKind::Train, SplitKind::HeldOut, evaluated] {
            check_unchanged(run, &prepared.data, kind).map_err(|error| match error {
                RunError::ChangedData { run, change } if kind == SplitKind::Test => {
                    RunError::ChangedTest { run, change }
                }
                error => error,
            })?;
        }
        compare(run, &prepared.sources())?;
        let normalisation = belongs::normalisation(run, &prepared.data.normalisation)?;
        let prepared = Prepared { swept: None, ..prepared.normalised_by(normalisation) };

        let (initial, masks) = started(&prepared, &setting.devices.first.device)?;
        let Experiment { pretrain, .. } = &prepared.experiment;
        let load = |slim: Slim<A>, stage, training: &Training| {
            load_result(slim, stage, training, run).map_err(RestoreError::from)
        };
        let dense = match pretrain {
            None => initial.clone().valid(),
            Some(training) => load(Slim::dense(initial.clone()), Stage::Pretrain, training)?.0.model,
        };
        let (searched, epochs) = match prepared.experiment.search_training() {
            Some(training) => {
                let slim = Slim { model: dense.clone(), masks };
                let (searched, epochs) = load(slim, Stage::Search, &training)?;
                (searched, Some(epochs))
            }
            None => {
                let masks = prepared.scores(&dense, run, setting)?.unwrap_or(masks);
                (Slim { model: dense.clone(), masks }, None)
            }
        };
        Ok(Self { folder, prepared, initial, dense, searched, epochs })
    }
}
