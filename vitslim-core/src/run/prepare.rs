//! Checks an experiment against its data and its architecture, before anything is trained.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use miette::Diagnostic;
use thiserror::Error;

use super::budget::PreparedBudget;
use super::config::{Facts, config, config_error, facts};
use super::dataset::{Scrutiny, dataset_under};
use super::features::PatchAxes;
use super::folder::START;
use super::pretrained::{Pretrained, pretrained_error};
use super::selection::{Keys, Selection, keys};
use super::sources::Sources;
use super::teacher::OpenedTeacher;
use super::timing::Timing;
use crate::data::{Batch, DataError, Dataset, Normalisation, full_batches};
use crate::experiment::{Data, Experiment, ExperimentError, ExperimentErrors, Training, Trial};
use crate::models::{Architecture, Parameter, SharedParameterError};
use crate::panics::attempt;
use crate::slim::{Dimension, DimensionError, MaskSpec, Plan, describe};

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
    /// What the network that it starts from keeps of the dense one, if another run left it.
    pub start: Option<Plan>,
    /// The networks that teach, by their stages, but for the dense one.
    pub teachers: BTreeMap<&'static str, OpenedTeacher>,
    /// The dimensions along the features of the dense network, if they are taught.
    pub(super) patch_axes: Option<PatchAxes>,
    /// The dimensions of the network that it starts from.
    pub dimensions: Vec<Dimension>,
    /// The searched dimensions, and how their masks are trained.
    pub searched: Vec<(Dimension, MaskSpec)>,
    /// The budgets, in the order written.
    pub budgets: Vec<PreparedBudget>,
    /// What makes plans of masks, beside the budgets.
    pub(crate) selection: Selection,
    /// Where latencies are measured; `None` where that is not known.
    pub(super) timing: Option<Timing>,
}

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

    /// The dimensions of the network of `trial` with this configuration, what it keeps of the dense one if a run left it, and the
    /// network itself, unless they were known.
    fn dimensions<A: Architecture>(
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
    fn pretrained<A: Architecture>(&mut self, trial: &Trial) -> Result<Option<Pretrained>, ExperimentErrors> {
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
    fn fitted<A: Architecture>(
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
        let pretrained = known.pretrained::<A>(trial);
        let find = |facts: &Facts, known: &mut Known| {
            Network::<A>::find(trial, facts, pretrained.clone()?.as_ref(), known)
        };
        // To read images in files for the first time may take hours: mistakes in the network are reported before.
        if let Data::ImageFolder { image_size, .. } | Data::Shards { image_size, .. } = &trial.experiment.data
        {
            find(&[("image_size", image_size.get()), ("channels", 3)], known)?;
        }
        let data = known.data(trial)?;
        let unfit = unfit(trial, &data);
        let network = match find(&facts(&data), known) {
            Err(PrepareError::Experiment(errors)) => return Err(errors.and(unfit).into()),
            network => ExperimentErrors::check(unfit).map_err(PrepareError::from).and(network)?,
        };
        let (mut prepared, dense) = Self::put_together(trial, data, pretrained?, network)?;
        prepared.pretrained_notes = known.fitted(trial, &prepared, dense.as_ref())?;
        Ok((prepared, dense))
    }

    /// `trial` with `data` to evaluate the dense network of its run on, or a sub-network, which need not be enough to train on.
    ///
    /// # Errors
    ///
    /// The mistakes in the file, at their places.
    pub(crate) fn with_data(trial: &Trial, data: Dataset, is_dense: bool) -> Result<Self, PrepareError> {
        let pretrained = match is_dense {
            true => Pretrained::open_of_run::<A>(&trial.experiment)
                .map_err(|error| pretrained_error(&trial.document, &error))?,
            false => None,
        };
        let network = Network::<A>::find(trial, &facts(&data), pretrained.as_ref(), &mut Known::default())?;
        Ok(Self::put_together(trial, data, pretrained, network)?.0)
    }

    fn put_together(
        trial: &Trial,
        data: Dataset,
        pretrained: Option<Pretrained>,
        network: Option<Network<A>>,
    ) -> Result<(Self, Option<A>), PrepareError> {
        let Network { config, dense, start, dimensions, keys } =
            network.ok_or_else(|| trial.document.error(&["model"], "this model cannot be read", None))?;
        let Keys { searched, budgets, selection } = keys;
        let (experiment, swept) = (trial.experiment.clone(), trial.swept.clone());
        let prepared = Self {
            experiment,
            swept,
            config,
            data,
            pretrained,
            pretrained_notes: Vec::new(),
            start,
            teachers: BTreeMap::new(),
            patch_axes: None,
            dimensions,
            searched,
            budgets,
            selection,
            timing: None,
        };
        Ok((prepared, dense))
    }

    /// The same with images that are normalised by `normalisation`, which must have as many channels.
    pub(super) fn normalised_by(&self, normalisation: Normalisation) -> Self {
        Self { data: self.data.clone().normalised_by(normalisation), ..self.clone() }
    }

    /// The same with latencies as they are measured on `device`, which results call `name`.
    #[must_use]
    pub(crate) fn timed_on(self, device: &Device, name: &str) -> Self {
        let timing = Some(Timing::on(device, name, self.experiment.precision));
        Self { timing, ..self }
    }

    /// Name of the trial, and of its folder.
    pub fn trial(&self) -> String {
        self.swept.clone().unwrap_or_else(|| format!("seed={}", self.experiment.seed))
    }

    /// A key that equal networks on images of the same shape share.
    pub(crate) fn network(&self) -> String {
        let config = ron::to_string(&self.config).unwrap_or_default();
        let left = self.pretrained.as_ref().filter(|_| self.start.is_some());
        let left = left.map_or("", |pretrained| &pretrained.sha256);
        format!("{} {:?} {config}{left}", self.experiment.model.architecture, self.data.shape)
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

    /// Where the network is that the run starts from, if another run left it.
    pub(crate) fn start_path(&self) -> Option<&Path> {
        Some(&self.pretrained.as_ref()?.left()?.path)
    }

    /// What the networks are made of beside the settings.
    pub(crate) fn sources(&self) -> Sources {
        let pretrained = self.pretrained.as_ref().map(|pretrained| pretrained.sha256.clone());
        let sha256 = |(stage, teacher): (&&str, &OpenedTeacher)| {
            ((*stage).to_owned(), teacher.pretrained.sha256.clone())
        };
        let teachers = self.teachers.iter().map(sha256).collect();
        Sources { data: self.data.content().clone(), pretrained, teachers }
    }

    /// The experiment as a file that means the same in any folder: with every default spelled out, and the absolute paths of the data, of
    /// the weights and of those of teachers.
    ///
    /// # Errors
    ///
    /// When the configuration cannot be written as RON.
    pub fn resolved(&self) -> Result<String, PrepareError> {
        let data = self.experiment.data.clone().map_path(absolute);
        let model = self.experiment.model.clone().map_pretrained(absolute);
        let experiment = Experiment { data, model, ..self.experiment.clone().map_teachers(absolute) };
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
    start: Option<Plan>,
    dimensions: Vec<Dimension>,
    keys: Keys,
}

impl<A: Architecture> Network<A> {
    /// The network of `trial`, given what it starts from and the `facts` of its data; `None` if they do not determine it.
    fn find(
        trial: &Trial,
        facts: &Facts,
        pretrained: Option<&Pretrained>,
        known: &mut Known,
    ) -> Result<Option<Self>, PrepareError> {
        let left = pretrained.and_then(Pretrained::left);
        let Some(config) = config::<A>(&trial.document, facts, left)? else { return Ok(None) };
        let ((dimensions, start), dense) = known.dimensions::<A>(trial, &config, pretrained)?;
        let mut found = Vec::new();
        let keys = keys(trial, &dimensions, &mut found);
        ExperimentErrors::check(found)?;
        Ok(Some(Self { config, dense, start, dimensions, keys }))
    }
}

/// Why nothing can be trained on `data` as `trial` says: they have one class, a batch is larger than the training split, a warm-up is
/// longer than its stage or has a first rate and no steps, or images cannot be augmented as a stage says.
pub(crate) fn unfit(trial: &Trial, data: &Dataset) -> Vec<ExperimentError> {
    let Experiment { pretrain, retrain, .. } = &trial.experiment;
    let search = trial.experiment.search_training();
    let stages = [("pretrain", pretrain.clone()), ("search", search), ("retrain", retrain.clone())];
    let stages = stages.iter().filter_map(|(stage, training)| Some((*stage, training.as_ref()?)));
    let of_stages = stages.flat_map(|(stage, training)| {
        let images = data.train.len();
        let of_steps = batch(trial, stage, training, images)
            .or_else(|| warmup(trial, stage, training, images))
            .or_else(|| warmup_lr(trial, stage, training, images));
        let of_images = augment(trial, stage, training, data).or_else(|| repeats(trial, stage, training));
        of_steps.into_iter().chain(of_images)
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

fn warmup_lr(trial: &Trial, stage: &str, training: &Training, images: usize) -> Option<ExperimentErrors> {
    training.schedule.warmup_lr()?;
    let (epochs, steps) = (training.epochs.get(), full_batches(images, training.batch.get()));
    let message = format!(
        "the warm-up has a first learning rate, but rounds to 0 steps: `{stage}` has {epochs} epochs of {steps}"
    );
    let help = "write `warmup_steps: 1` or more, or remove `warmup_lr`".to_owned();
    let place = [stage, "schedule", "warmup_lr"];
    (training.schedule.warmup(epochs, steps) == 0).then(|| trial.document.error(&place, message, Some(help)))
}

/// With one image in a batch, one that is damaged would end the run, however many may be left out.
fn repeats(trial: &Trial, stage: &str, training: &Training) -> Option<ExperimentErrors> {
    let repeats = training.augment.or_else(|| trial.experiment.data.augment())?.repeats;
    let batch = training.batch.get();
    let place = if training.augment.is_some() { stage } else { "data" };
    let message = format!(
        "a batch of {batch} in `{stage}` would be copies of one image: `{place}.augment` has `repeats: {repeats}`"
    );
    let help = format!("write `batch: {}` or more, or fewer `repeats`", repeats + 1);
    (repeats > 1 && repeats as usize >= batch)
        .then(|| trial.document.error(&[stage, "batch"], message, Some(help)))
}

fn augment(trial: &Trial, stage: &str, training: &Training, data: &Dataset) -> Option<ExperimentErrors> {
    let error = training.augment?.check(data.shape).err()?;
    let place = [&[stage], error.place()].concat();
    Some(trial.document.error(&place, error.to_string(), error.advice().map(str::to_owned)))
}
