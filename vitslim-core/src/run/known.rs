//! What was read for other trials of a sweep.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use burn::tensor::Device;

use super::config::config_error;
use super::dataset::{Scrutiny, dataset_under};
use super::features::PatchAxes;
use super::folder::START;
use super::prepare_error::PrepareError;
use super::prepared::Prepared;
use super::pretrained::{Pretrained, pretrained_error};
use super::sources::Sources;
use super::teacher::OpenedTeacher;
use crate::data::Dataset;
use crate::experiment::{Experiment, ExperimentErrors, Trial};
use crate::models::{Architecture, Parameter};
use crate::panics::attempt;
use crate::slim::{Dimension, Plan, describe};

/// The dimensions of the network that a run starts from, and what it keeps of the dense one if another run left it.
type Begun = (Vec<Dimension>, Option<Plan>);

/// What was read for other trials of a sweep, most of which share data and network.
#[derive(Default)]
pub(crate) struct Known {
    /// Data by how the experiment writes them. If the seed splits them, this is the split of the first trial.
    data: HashMap<String, Result<Dataset, ExperimentErrors>>,
    /// Dimensions by architecture, configuration and the network that is started from, and what that keeps of the dense one.
    dimensions: HashMap<String, Begun>,
    /// What was opened to start from, by how the experiment writes it.
    pretrained: HashMap<String, Result<Option<Pretrained>, ExperimentErrors>>,
    /// Teachers, by how the experiment writes them and its data.
    pub(super) teachers: HashMap<String, Option<OpenedTeacher>>,
    /// The dimensions along the features of networks, or why there are none, by [`Prepared::network`].
    pub(super) patch_axes: HashMap<String, Result<PatchAxes, String>>,
    /// What became of weights, by those, the configuration and the search.
    fitted: HashMap<String, Vec<String>>,
    /// Whether to hide how far reading is.
    quiet: bool,
    /// Where the folders of runs are, which may have copies of what they started from.
    out: Option<PathBuf>,
    /// The folder of the only run.
    run: Option<PathBuf>,
}

impl Known {
    /// Nothing yet, of trials whose folders are in `out`; if `quiet`, it is not told how far reading is.
    pub(crate) fn of_runs_in(out: &Path, quiet: bool) -> Self {
        Self { out: Some(out.to_owned()), quiet, ..Self::default() }
    }

    /// Nothing yet, of the one run in the folder `run`.
    pub(crate) fn of_run(run: &Path, quiet: bool) -> Self {
        Self { run: Some(run.to_owned()), quiet, ..Self::default() }
    }

    /// The folder of the run of `trial`, if it is known where that is.
    pub(super) fn folder(&self, trial: &Trial) -> Option<PathBuf> {
        let below = |out: &PathBuf| out.join(trial.experiment.name.as_str()).join(folder_of(trial));
        self.run.clone().or_else(|| self.out.as_ref().map(below))
    }

    /// Takes `data` for those of `trial`, so that they are not read again.
    pub(crate) fn know_data(&mut self, trial: &Trial, data: Dataset) {
        self.data.insert(data_written(trial), Ok(data));
    }

    /// The data of `trial`.
    ///
    /// # Errors
    ///
    /// The mistakes in the data.
    pub(crate) fn data(&mut self, trial: &Trial) -> Result<Dataset, ExperimentErrors> {
        let scrutiny = Scrutiny { quiet: self.quiet, ..Scrutiny::default() };
        self.data.entry(data_written(trial)).or_insert_with(|| dataset_under(trial, scrutiny)).clone()
    }

    /// The dimensions of the network of `trial` with this configuration, what it keeps of the dense one if a run left it, and the
    /// network itself, unless they were known.
    pub(super) fn dimensions<A: Architecture>(
        &mut self,
        trial: &Trial,
        config: &A::Config,
        pretrained: Option<&Pretrained>,
    ) -> Result<(Begun, Option<A>), PrepareError> {
        let written = ron::to_string(config).map_err(|error| PrepareError::Config(error.to_string()))?;
        let left = pretrained.filter(|pretrained| pretrained.left().is_some());
        let sha256 = left.map_or("", |pretrained| &pretrained.sha256);
        let written = format!("{}{written}{sha256}", std::any::type_name::<A>());
        if let Some(begun) = self.dimensions.get(&written) {
            return Ok((begun.clone(), None));
        }
        let dense = made::<A>(trial, config)?;
        Parameter::are_apart(&dense)?;
        let described = |model: &A| attempt(|| describe(model)).map_err(PrepareError::Sizes);
        let mut dimensions = described(&dense)??;
        let (mut model, mut start) = (dense, None);
        if let Some(pretrained) = left {
            let cut = pretrained.cut(model).map_err(|error| pretrained_error(&trial.document, &error));
            (model, start) = cut?;
            dimensions = described(&model)??;
        }
        let begun = (dimensions, start);
        self.dimensions.insert(written, begun.clone());
        Ok((begun, Some(model)))
    }

    /// What `trial` starts from; `None` if its weights are random.
    pub(super) fn pretrained<A: Architecture>(
        &mut self,
        trial: &Trial,
    ) -> Result<Option<Pretrained>, ExperimentErrors> {
        let Trial { document, experiment, .. } = trial;
        let model = &experiment.model;
        let open = || Pretrained::open::<A>(model).map_err(|error| pretrained_error(document, &error));
        let found = self.pretrained.entry(written(trial)).or_insert_with(open).clone();
        // Each trial has a copy of its own.
        let Some(run) = self.folder(trial).filter(|_| found.is_err()) else { return found };
        let recorded = |sources: &Sources| sources.pretrained.clone();
        let copy = Pretrained::copy_in(&run, START, model, recorded)
            .map_err(|error| pretrained_error(document, &error))?;
        copy.map_or(found, |copy| Ok(Some(copy)))
    }

    /// What becomes of the weights in the network of `prepared`, which may have been made already.
    pub(super) fn fitted<A: Architecture>(
        &mut self,
        trial: &Trial,
        prepared: &Prepared<A>,
        network: Option<&A>,
    ) -> Result<Vec<String>, PrepareError> {
        let Some(pretrained) = &prepared.pretrained else { return Ok(Vec::new()) };
        let Experiment { pretrain, search, importance, .. } = &trial.experiment;
        let fits = (&prepared.config, pretrain.is_some(), search, importance);
        let fits = ron::to_string(&fits).map_err(|error| PrepareError::Config(error.to_string()))?;
        let written = format!("{}{fits}{}", std::any::type_name::<A>(), written(trial));
        let mut notes = match self.fitted.get(&written) {
            Some(known) => known.clone(),
            None => {
                let cut =
                    |dense| pretrained.cut(dense).map_err(|error| pretrained_error(&trial.document, &error));
                let made = match network {
                    Some(network) => network.clone(),
                    None => cut(made(trial, &prepared.config)?)?.0,
                };
                pretrained.check(trial, &made, &prepared.searched)?.told()
            }
        };
        self.fitted.insert(written, notes.clone());
        notes.extend(pretrained.notes(&prepared.data.class_names));
        Ok(notes)
    }
}

/// How `trial` writes its data.
fn data_written(trial: &Trial) -> String {
    format!("{:?}", trial.experiment.data)
}

/// Name of the folder of the run of `trial`.
fn folder_of(trial: &Trial) -> String {
    trial.swept.clone().unwrap_or_else(|| format!("seed={}", trial.experiment.seed))
}

/// How `trial` writes what it starts from.
fn written(trial: &Trial) -> String {
    let model = &trial.experiment.model;
    format!("{} {:?} {:?}", model.architecture, model.pretrained, model.allow_missing)
}

/// The network of `trial` with this configuration, as it is initialised.
fn made<A: Architecture>(trial: &Trial, config: &A::Config) -> Result<A, ExperimentErrors> {
    let unmade =
        |said: String| trial.document.error(&["model"], format!("the network cannot be made ({said})"), None);
    attempt(|| A::init(config, &Device::flex()))
        .map_err(unmade)?
        .map_err(|error| config_error(&trial.document, error))
}
