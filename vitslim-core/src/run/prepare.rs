//! Checks an experiment against its data and its architecture, before anything is trained.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use miette::Diagnostic;
use thiserror::Error;

use super::config::{Facts, config, config_error, facts};
use super::dataset::{Scrutiny, dataset_under};
use super::keys::{PreparedBudget, keys};
use super::pretrained::{Pretrained, pretrained_error};
use super::sources::Sources;
use crate::data::{Batch, DataError, Dataset, Normalisation, full_batches};
use crate::experiment::{Data, Experiment, ExperimentError, ExperimentErrors, Training, Trial};
use crate::models::{Architecture, Parameter, SharedParameterError};
use crate::panics::attempt;
use crate::slim::{Dimension, DimensionError, MaskSpec, describe};

/// An experiment with everything that it names.
#[derive(Clone, Debug)]
pub struct Prepared<A: Architecture> {
    /// The experiment as read.
    pub experiment: Experiment,
    /// Name of the trial in a sweep; `None` without a sweep.
    pub swept: Option<String>,
    /// The architecture's configuration, from preset, data and file.
    pub config: A::Config,
    /// The images.
    pub data: Dataset,
    /// The trained weights to start from; `None` if they are random, or not needed.
    pub pretrained: Option<Pretrained>,
    /// What became of the weights: a line each.
    pub pretrained_notes: Vec<String>,
    /// The dense model's dimensions.
    pub dimensions: Vec<Dimension>,
    /// The searched dimensions, and how their masks are trained.
    pub searched: Vec<(Dimension, MaskSpec)>,
    /// The budgets, in the order written.
    pub budgets: Vec<PreparedBudget>,
}

/// What was read for other trials of a sweep, most of which share data and network.
#[derive(Default)]
pub(crate) struct Known {
    /// Data by how the experiment writes them. If the seed splits them, this is the split of the first trial.
    data: HashMap<String, Result<Dataset, ExperimentErrors>>,
    /// Dimensions by architecture and configuration.
    dimensions: HashMap<String, Vec<Dimension>>,
    /// Weights that were opened, by how the experiment writes them.
    pretrained: HashMap<String, Option<Pretrained>>,
    /// What became of weights, by those, the configuration and the search.
    fitted: HashMap<String, Vec<String>>,
    /// Whether to hide how far reading is.
    quiet: bool,
}

impl Known {
    /// Nothing yet; if `quiet`, it is not told how far reading is.
    pub(crate) fn quiet(quiet: bool) -> Self {
        Self { quiet, ..Self::default() }
    }

    /// The data of `trial`.
    ///
    /// # Errors
    ///
    /// The mistakes in the data.
    pub(crate) fn data(&mut self, trial: &Trial) -> Result<Dataset, ExperimentErrors> {
        let written = format!("{:?}", trial.experiment.data);
        let scrutiny = Scrutiny { quiet: self.quiet, ..Scrutiny::default() };
        self.data.entry(written).or_insert_with(|| dataset_under(trial, scrutiny)).clone()
    }

    /// The dimensions of the network of `trial` with this configuration, and the network itself, unless they were known.
    fn dimensions<A: Architecture>(
        &mut self,
        trial: &Trial,
        config: &A::Config,
    ) -> Result<(Vec<Dimension>, Option<A>), PrepareError> {
        let written = ron::to_string(config).map_err(|error| PrepareError::Config(error.to_string()))?;
        let written = format!("{}{written}", std::any::type_name::<A>());
        if let Some(dimensions) = self.dimensions.get(&written) {
            return Ok((dimensions.clone(), None));
        }
        let model = made::<A>(trial, config)?;
        Parameter::are_apart(&model)?;
        let dimensions = attempt(|| describe(&model)).map_err(PrepareError::Sizes)??;
        self.dimensions.insert(written, dimensions.clone());
        Ok((dimensions, Some(model)))
    }

    /// The weights that `trial` starts from, and what becomes of them in its network, which may have been made already.
    fn pretrained<A: Architecture>(
        &mut self,
        trial: &Trial,
        prepared: &Prepared<A>,
        network: Option<&A>,
    ) -> Result<(Option<Pretrained>, Vec<String>), PrepareError> {
        let misplaced = |error| pretrained_error(&trial.document, &error);
        let model = &trial.experiment.model;
        let written = format!("{:?} {:?}", model.pretrained, model.allow_missing);
        let pretrained = match self.pretrained.get(&written) {
            Some(known) => known.clone(),
            None => Pretrained::open(model).map_err(misplaced)?,
        };
        self.pretrained.insert(written.clone(), pretrained.clone());
        let Some(pretrained) = pretrained else { return Ok((None, Vec::new())) };
        let fits = (&prepared.config, &trial.experiment.pretrain.is_some(), &trial.experiment.search);
        let fits = ron::to_string(&fits).map_err(|error| PrepareError::Config(error.to_string()))?;
        let written = format!("{}{fits}{written}", std::any::type_name::<A>());
        let notes = match self.fitted.get(&written) {
            Some(known) => known.clone(),
            None => {
                let made =
                    network.map_or_else(|| made(trial, &prepared.config), |network| Ok(network.clone()))?;
                pretrained.check(trial, &made, &prepared.searched)?.told()
            }
        };
        self.fitted.insert(written, notes.clone());
        Ok((Some(pretrained), notes))
    }
}

/// The network of `trial` with this configuration, as it is initialised.
fn made<A: Architecture>(trial: &Trial, config: &A::Config) -> Result<A, ExperimentErrors> {
    let unmade =
        |said: String| trial.document.error(&["model"], format!("the network cannot be made ({said})"), None);
    attempt(|| A::init(config, &Device::flex()))
        .map_err(unmade)?
        .map_err(|error| config_error(&trial.document, error))
}

/// An experiment that cannot run.
#[derive(Debug, Error, Diagnostic)]
pub enum PrepareError {
    /// The file has mistakes.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Experiment(#[from] ExperimentErrors),
    /// The annotations of the architecture are wrong.
    #[error("the annotations of the architecture contradict each other, or its layers: {0}")]
    #[diagnostic(help("this is a mistake in the architecture's `#[slim(...)]`, not in the experiment"))]
    Dimensions(#[from] DimensionError),
    /// Parts of the network are clones of each other.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Shared(#[from] SharedParameterError),
    /// A layer panics when it is asked for its sizes.
    #[error("a layer of the architecture panicked when asked for its sizes ({0})")]
    #[diagnostic(help("this is a mistake in the architecture, not in the experiment"))]
    Sizes(String),
    /// The configuration cannot be written as RON.
    #[error("the configuration of the architecture cannot be written as RON: {0}")]
    Config(String),
}

impl<A: Architecture> Prepared<A> {
    /// Checks `trial` against its data and its architecture.
    ///
    /// # Errors
    ///
    /// The mistakes in the file, at their places.
    pub fn new(trial: &Trial) -> Result<Self, PrepareError> {
        Ok(Self::of_sweep(trial, &mut Known::default())?.0)
    }

    /// [`Prepared::new`] for a trial of a sweep. What it reads is `known` to the next one. Hands on the dense network that it built to
    /// check the keys, unless that was known.
    ///
    /// # Errors
    ///
    /// The mistakes in the file, at their places.
    pub(crate) fn of_sweep(trial: &Trial, known: &mut Known) -> Result<(Self, Option<A>), PrepareError> {
        // To read a folder for the first time may take hours: mistakes in the network are reported before.
        if let Data::ImageFolder { image_size, .. } = &trial.experiment.data {
            Network::<A>::find(trial, &[("image_size", image_size.get()), ("channels", 3)], known)?;
        }
        let data = known.data(trial)?;
        let unfit = unfit(trial, &data);
        let network = match Network::<A>::find(trial, &facts(&data), known) {
            Err(PrepareError::Experiment(errors)) => return Err(errors.and(unfit).into()),
            network => ExperimentErrors::check(unfit).map_err(PrepareError::from).and(network)?,
        };
        let (mut prepared, dense) = Self::put_together(trial, data, network)?;
        (prepared.pretrained, prepared.pretrained_notes) =
            known.pretrained(trial, &prepared, dense.as_ref())?;
        Ok((prepared, dense))
    }

    /// `trial` with `data` to evaluate on, which need not be enough to train on.
    ///
    /// # Errors
    ///
    /// The mistakes in the file, at their places.
    pub(crate) fn with_data(trial: &Trial, data: Dataset) -> Result<Self, PrepareError> {
        let network = Network::<A>::find(trial, &facts(&data), &mut Known::default())?;
        Ok(Self::put_together(trial, data, network)?.0)
    }

    fn put_together(
        trial: &Trial,
        data: Dataset,
        network: Option<Network<A>>,
    ) -> Result<(Self, Option<A>), PrepareError> {
        let Network { config, dense, dimensions, searched, budgets } =
            network.ok_or_else(|| trial.document.error(&["model"], "this model cannot be read", None))?;
        let (experiment, swept) = (trial.experiment.clone(), trial.swept.clone());
        let (pretrained, pretrained_notes) = Default::default();
        let prepared = Self {
            experiment,
            swept,
            config,
            data,
            pretrained,
            pretrained_notes,
            dimensions,
            searched,
            budgets,
        };
        Ok((prepared, dense))
    }

    /// The same with images that are normalised by `normalisation`, which must have as many channels.
    pub(super) fn normalised_by(&self, normalisation: Normalisation) -> Self {
        Self { data: self.data.clone().normalised_by(normalisation), ..self.clone() }
    }

    /// Name of the trial, and of its folder.
    pub fn trial(&self) -> String {
        self.swept.clone().unwrap_or_else(|| format!("seed={}", self.experiment.seed))
    }

    /// A key that equal networks on images of the same shape share.
    pub(crate) fn network(&self) -> String {
        let config = ron::to_string(&self.config).unwrap_or_default();
        format!("{} {:?} {config}", self.experiment.model.architecture, self.data.shape)
    }

    /// The first `size` images of the training split that can be read, repeated if there are fewer.
    ///
    /// # Errors
    ///
    /// When too many images cannot be read.
    pub(crate) fn first_batch(&self, size: usize, device: &Device) -> Result<Batch, DataError> {
        let (images, labels) = self.data.train.first(size, device)?;
        Ok(Batch { images, labels, mixed: None, epoch: 1, step: 1, seed: self.experiment.seed })
    }

    /// What the networks are made of beside the settings.
    pub(crate) fn sources(&self) -> Sources {
        let pretrained = self.pretrained.as_ref().map(|pretrained| pretrained.sha256.clone());
        Sources { data: self.data.content().clone(), pretrained }
    }

    /// The experiment as a file that means the same in any folder: with every default spelled out, and the absolute paths of the data and of
    /// the weights.
    ///
    /// # Errors
    ///
    /// When the configuration cannot be written as RON.
    pub fn resolved(&self) -> Result<String, PrepareError> {
        let data = self.experiment.data.clone().map_path(absolute);
        let model = self.experiment.model.clone().map_pretrained(absolute);
        let experiment = Experiment { data, model, ..self.experiment.clone() };
        experiment.resolved(&self.config).map_err(|error| PrepareError::Config(error.to_string()))
    }
}

/// `path` from the root; as it is where the current folder is unknown, or its name cannot be written in a file.
pub(super) fn absolute(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).ok().filter(|absolute| absolute.to_str().is_some());
    absolute.unwrap_or_else(|| path.to_owned())
}

/// The network of a trial, in which its keys were resolved.
struct Network<A: Architecture> {
    config: A::Config,
    dense: Option<A>,
    dimensions: Vec<Dimension>,
    searched: Vec<(Dimension, MaskSpec)>,
    budgets: Vec<PreparedBudget>,
}

impl<A: Architecture> Network<A> {
    /// The network of `trial`, given the `facts` of its data; `None` if they do not determine it.
    fn find(trial: &Trial, facts: &Facts, known: &mut Known) -> Result<Option<Self>, PrepareError> {
        let Some(config) = config::<A>(&trial.document, facts)? else { return Ok(None) };
        let (dimensions, dense) = known.dimensions::<A>(trial, &config)?;
        let mut found = Vec::new();
        let (searched, budgets) = keys(trial, &dimensions, &mut found);
        ExperimentErrors::check(found)?;
        Ok(Some(Self { config, dense, dimensions, searched, budgets }))
    }
}

/// Why nothing can be trained on `data` as `trial` says: they have one class, a batch is larger than the training split, or a
/// warm-up is longer than its stage.
pub(crate) fn unfit(trial: &Trial, data: &Dataset) -> Vec<ExperimentError> {
    let Experiment { pretrain, search, retrain, .. } = &trial.experiment;
    let stages =
        [("pretrain", pretrain.clone()), ("search", Some(search.training())), ("retrain", retrain.clone())];
    let stages = stages.iter().filter_map(|(stage, training)| Some((*stage, training.as_ref()?)));
    let of_stages = stages.flat_map(|(stage, training)| {
        let images = data.train.len();
        batch(trial, stage, training, images).or_else(|| warmup(trial, stage, training, images))
    });
    one_class(trial, data).into_iter().chain(of_stages).flatten().collect()
}

fn one_class(trial: &Trial, data: &Dataset) -> Option<ExperimentErrors> {
    let [only] = &data.class_names[..] else { return None };
    let asked = match &trial.experiment.data {
        Data::ImageFolder { .. } => ": does the folder hold `train/<class>/`?",
        _ => ", so there is nothing to learn",
    };
    let place = match &trial.experiment.data {
        Data::ImageFolder { .. } => ["data", "path"],
        _ => ["data", "classes"],
    };
    Some(trial.document.error(&place, format!("there is only one class, `{only}`{asked}"), None))
}

fn batch(trial: &Trial, stage: &str, training: &Training, images: usize) -> Option<ExperimentErrors> {
    let batch = training.batch.get();
    let message = format!("a batch of {batch} images is larger than the training split, which has {images}");
    let help = format!("write `batch: {images}` or less");
    (batch > images).then(|| trial.document.error(&[stage, "batch"], message, Some(help)))
}

fn warmup(trial: &Trial, stage: &str, training: &Training, images: usize) -> Option<ExperimentErrors> {
    let (epochs, steps) = (training.epochs.get(), full_batches(images, training.batch.get()));
    let (warmup, all) = (training.schedule.warmup(epochs, steps), epochs * steps);
    let message = format!(
        "the warm-up takes {warmup} steps, but `{stage}` has {all} in all: {epochs} epochs of {steps}"
    );
    let help = format!("write `warmup_steps: {all}` or less");
    (warmup > all).then(|| trial.document.error(&[stage, "schedule", "warmup_steps"], message, Some(help)))
}
