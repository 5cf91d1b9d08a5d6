//! Opens what a run starts from, and networks of a run without the data that they were trained on.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use miette::Diagnostic;
use thiserror::Error;

use super::config::config;
use super::data_record::{DataRecord, known};
use super::dataset::dataset;
use super::floats::as_computed;
use super::folder::{FolderError, NETWORK, NORMALISATION, PLAN, RESULT, START, SUBNETS};
use super::initial::initial_of;
use super::network::Network;
use super::pretrained::Pretrained;
use super::restore::{RestoreError, dense, plan, read, subnet};
use super::sources::Sources;
use super::subnet::Subnet;
use super::subnet_file::{SubnetFile, SubnetFileError, described_weights, is_described};
use super::target::{Target, TargetError};
use crate::data::{ImageShape, Stage};
use crate::experiment::{Data, Document, Experiment, ExperimentErrors, LoadError, Model, Trial, typed};
use crate::models::Architecture;
use crate::slim::{Plan, describe, heads_by_size};
use crate::train::is_whole;
use crate::weights::{WeightsError, WeightsFile};

/// Ends of the names of files of weights.
const WEIGHTS_FILES: [&str; 5] = ["safetensors", "pth", "pt", "bin", "json"];

/// A network that cannot be opened.
#[derive(Debug, Error, Diagnostic)]
pub enum OpenError {
    /// A file of weights cannot be used.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Weights(#[from] WeightsError),
    /// A path that names no network of a run.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Target(#[from] TargetError),
    /// The experiment of a run cannot be read.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Load(#[from] LoadError),
    /// The experiment of a run has mistakes.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Experiment(#[from] ExperimentErrors),
    /// A network of a run cannot be restored.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Restore(#[from] RestoreError),
    /// A file in the folder of a run cannot be read.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Folder(#[from] FolderError),
    /// The file of a network of a run cannot be read.
    #[error(transparent)]
    #[diagnostic(transparent)]
    File(#[from] SubnetFileError),
    /// The network is of another architecture.
    #[error("the network in `{}` is a `{there}`, but the architecture here is `{here}`", .path.display())]
    #[diagnostic(help("write `architecture: \"{there}\"`"))]
    Architecture {
        /// Where the network is.
        path: PathBuf,
        /// Its architecture.
        there: String,
        /// That of the experiment.
        here: String,
    },
    /// A dense network that is not trained, or not to the end.
    #[error("the dense network of the run in `{}` is not trained: {reason}", .run.display())]
    #[diagnostic(help("{help}"))]
    Untrained {
        /// Folder of its run.
        run: PathBuf,
        /// What is missing, as a clause.
        reason: &'static str,
        /// What to do.
        help: &'static str,
    },
    /// A file of weights of a sub-network, which does not say what was cut.
    #[error("`{}` has the weights of a sub-network, but not what was cut", .path.display())]
    #[diagnostic(help("name the sub-network: `{}`", .network.display()))]
    Bare {
        /// The file.
        path: PathBuf,
        /// The sub-network.
        network: PathBuf,
    },
}

impl Pretrained {
    /// What `model`, of the architecture `A`, starts from: a file of weights, or a network that a run left, in its folder or in a file
    /// by itself. `None` if its weights are random.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or is something else.
    pub(crate) fn open<A: Architecture>(model: &Model) -> Result<Option<Self>, OpenError> {
        let Some(path) = &model.pretrained else { return Ok(None) };
        let (file, notes) = match Target::find(path) {
            _ if path.is_file() && is_described(path) => (SubnetFile::read(path)?, Vec::new()),
            _ if path.is_file() => return Ok(Some(of_weights(path, model)?)),
            Err(TargetError::Missing(_)) => return Ok(Some(of_weights(path, model)?)),
            found => file_of::<A>(&found?, path, &model.architecture)?,
        };
        Ok(Some(of_file(path, file, model, notes)?))
    }

    /// The copy `name`, in the folder `run` of a run, of the network of another that `model` says, if that is not where it says any more.
    /// `None` if the run has no copy, or it is of something else than what the run has `recorded`.
    ///
    /// # Errors
    ///
    /// When the copy cannot be read, or is something else.
    pub(crate) fn copy_in(
        run: &Path,
        name: &str,
        model: &Model,
        recorded: impl Fn(&Sources) -> Option<String>,
    ) -> Result<Option<Self>, OpenError> {
        let (Some(path), copy) = (&model.pretrained, run.join(name)) else { return Ok(None) };
        if path.is_file() || Target::find(path).is_ok() || !copy.is_file() {
            return Ok(None);
        }
        let note = format!("`{}` is gone: the copy in `{}` is taken", path.display(), run.display());
        let pretrained = of_file(path, SubnetFile::read(&copy)?, model, vec![note])?;
        // What discards results removes the record, too.
        let record = DataRecord::read(run)?;
        let fits = record.is_none_or(|record| recorded(&record.content).as_ref() == Some(&pretrained.sha256));
        Ok(fits.then_some(pretrained))
    }

    /// What the networks of the run of `experiment` are made of: nothing that `pretrained` names is needed where checkpoints of
    /// pretraining have the weights, but for the copy of a network that another run left.
    ///
    /// # Errors
    ///
    /// Those of [`Pretrained::open`].
    pub(crate) fn open_of_run<A: Architecture>(experiment: &Experiment) -> Result<Option<Self>, OpenError> {
        let model = &experiment.model;
        let is_copy = model.pretrained.as_ref().is_some_and(|path| path.ends_with(START));
        match experiment.pretrain.is_none() || is_copy {
            true => Self::open::<A>(model),
            false => Ok(None),
        }
    }

    /// The architecture of the network that a run left at `path`, in its folder or in a file by itself; `None` of a file of weights alone.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or is something else.
    pub(super) fn architecture_of(path: &Path) -> Result<Option<String>, OpenError> {
        match Target::find(path) {
            _ if path.is_file() && is_described(path) => {
                Ok(Some(SubnetFile::read(path)?.left()?.0.architecture))
            }
            Err(error) if path.is_file() || matches!(error, TargetError::Missing(_)) => {
                if let Some(network) = subnet_around(path) {
                    return Err(OpenError::Bare { path: path.to_owned(), network });
                }
                WeightsFile::open(path)?;
                Ok(None)
            }
            found => {
                let trial = Document::read(&found?.experiment(), &[])?.trial()?;
                Ok(Some(trial.experiment.model.architecture))
            }
        }
    }
}

/// The network in `file`, which errors call `path`, with `notes` for the user.
fn of_file(
    path: &Path,
    file: SubnetFile,
    model: &Model,
    notes: Vec<String>,
) -> Result<Pretrained, OpenError> {
    let (network, plan) = file.left()?;
    same_architecture(path, &network.architecture, &model.architecture)?;
    let content = file.into_parts();
    Ok(Pretrained::of_network(path, (network, plan), content, &model.allow_missing, notes)?)
}

fn of_weights(path: &Path, model: &Model) -> Result<Pretrained, OpenError> {
    if let Some(network) = subnet_around(path) {
        return Err(OpenError::Bare { path: path.to_owned(), network });
    }
    let extension = path.extension().and_then(|extension| extension.to_str());
    let is_of_run = !extension.is_some_and(|extension| WEIGHTS_FILES.contains(&extension));
    let file = WeightsFile::open(path).map_err(|error| match is_of_run && !path.exists() {
        true => {
            let help = "a relative path starts at the current folder. Is the run gone? A run that began from it has a copy, \
                        `start.safetensors` in its folder, and goes on with that: here, name it";
            WeightsError { help: Some(help.to_owned()), ..error }
        }
        false => error,
    })?;
    Ok(Pretrained::of_weights(file, &model.allow_missing)?)
}

/// The sub-network of a run in whose folder the file at `path` lies.
fn subnet_around(path: &Path) -> Option<PathBuf> {
    let folder = path.parent().filter(|folder| folder.join(PLAN).is_file())?;
    let Target { run, label } = Target::find(folder).ok()?;
    Some(run.join(label?))
}

fn same_architecture(path: &Path, there: &str, here: &str) -> Result<(), OpenError> {
    match there == here {
        true => Ok(()),
        false => Err(OpenError::Architecture {
            path: path.to_owned(),
            there: there.to_owned(),
            here: here.to_owned(),
        }),
    }
}

/// The network that `target` names, as a file by itself, which errors call `path`, and notes for the user.
fn file_of<A: Architecture>(
    target: &Target,
    path: &Path,
    here: &str,
) -> Result<(SubnetFile, Vec<String>), OpenError> {
    let trial = target.own(Document::read(&target.experiment(), &[])?.trial()?);
    same_architecture(path, &trial.experiment.model.architecture, here)?;
    if target.label.is_none() {
        is_trained(&trial.experiment, &target.run)?;
    }
    let (subnet, notes) = Subnet::<A>::open(&trial, target, &Device::flex())?;
    let unwritten = |error: String| OpenError::Restore(RestoreError::Unwritten(error));
    let metadata = subnet.metadata().map_err(|error| unwritten(error.to_string()))?;
    let bytes = described_weights(&subnet.model, &subnet.plan, &metadata);
    Ok((SubnetFile::of(path, bytes.map_err(|error| unwritten(error.to_string()))?)?, notes))
}

/// Checks that the dense network of the run of `experiment` in the folder `run` has all of its training.
fn is_trained(experiment: &Experiment, run: &Path) -> Result<(), OpenError> {
    let (reason, help) = match &experiment.pretrain {
        None if experiment.model.pretrained.is_some() => return Ok(()),
        None => (
            "its experiment has no pretraining",
            "name a sub-network, or leave `pretrained` out: the weights are random either way",
        ),
        Some(training) if is_whole(run, Stage::Pretrain, None, training) => return Ok(()),
        Some(_) => (
            "its pretraining is not complete, or what that left is missing or damaged",
            "give the command of that run again, or name a sub-network",
        ),
    };
    Err(OpenError::Untrained { run: run.to_owned(), reason, help })
}

impl<A: Architecture> Subnet<A> {
    /// The network that `target` names, on `device`, and notes for the user. `trial` is the trial of its run.
    ///
    /// # Errors
    ///
    /// When a file is missing, damaged, or does not fit the experiment.
    pub fn open(trial: &Trial, target: &Target, device: &Device) -> Result<(Self, Vec<String>), OpenError> {
        let described: Network<A::Config> = described::<A>(trial, target)?;
        let initial = initial_of::<A>(&trial.experiment, &described.config, device)
            .map_err(RestoreError::Config)?
            .valid();
        let (model, plan, network, notes) = match &target.label {
            Some(label) => {
                let folder = target.run.join(SUBNETS).join(label);
                (subnet(&initial, &folder)?, plan(&folder.join(PLAN))?, described, Vec::new())
            }
            None => {
                let dimensions = describe(&initial).map_err(|error| RestoreError::Plan(error.into()))?;
                let pretrained = Pretrained::open_of_run::<A>(&trial.experiment)?;
                let (initial, start) = match &pretrained {
                    Some(pretrained) => pretrained.cut(initial)?,
                    None => (initial, None),
                };
                let restored = dense(&trial.experiment, &target.run, initial, pretrained.as_ref())?;
                let plan = start.unwrap_or_else(|| Plan::whole(&dimensions));
                // As every network that a plan left.
                let model = heads_by_size(&restored.model);
                let recorded = as_computed(model.clone());
                let network = described.cut(&plan, &recorded).map_err(RestoreError::Graph)?;
                (model, plan, network, restored.notes)
            }
        };
        let named = |path: &Path| PathBuf::from(path.file_name().unwrap_or_default());
        let whole = trial.experiment.clone().map_teachers(named);
        let Experiment { data, model: started, .. } = whole.clone();
        let (data, started) = (data.map_path(named), started.map_pretrained(named));
        let experiment = Experiment { data, model: started, ..whole }
            .resolved(&network.config)
            .map_err(|error| RestoreError::Unwritten(error.to_string()))?;
        let (label, trial) = (target.name().to_owned(), target.trial());
        Ok((Self { model, plan, network, label, trial, experiment }, notes))
    }
}

/// What the run of `trial` says of the network that `target` names; of the dense one, what it says of any network.
fn described<A: Architecture>(trial: &Trial, target: &Target) -> Result<Network<A::Config>, OpenError> {
    let subnets = target.run.join(SUBNETS);
    let labels = target.label.as_ref().map_or_else(|| target.labels(), |label| vec![label.clone()]);
    let of_any = |name| labels.iter().map(|label| subnets.join(label).join(name)).find(|path| path.is_file());
    let Some(path) = of_any(NETWORK) else {
        return match &target.label {
            Some(_) if of_any(RESULT).is_some() && DataRecord::is_of_earlier(&target.run) => {
                Err(RestoreError::Earlier(target.run.clone()).into())
            }
            Some(label) => Err(RestoreError::Unfinished(subnets.join(label).join(NETWORK)).into()),
            None => described_when_begun::<A>(trial, &target.run),
        };
    };
    let described = serde_json::from_slice(&read(&path)?);
    Ok(described.map_err(|error| RestoreError::Damaged { path, reason: error.to_string() })?)
}

/// What can be said of the networks of `trial` by what its run in the folder `run` wrote when it began.
fn described_when_begun<A: Architecture>(trial: &Trial, run: &Path) -> Result<Network<A::Config>, OpenError> {
    let undescribed = || match DataRecord::is_of_earlier(run) {
        true => RestoreError::Earlier(run.to_owned()),
        false => RestoreError::Undescribed(run.join(NORMALISATION)),
    };
    let (classes, normalisation) = known(run)?.ok_or_else(undescribed)?;
    let shape = ImageShape { channels: normalisation.mean.len(), size: image_size(trial)? };
    let facts = [("image_size", shape.size), ("channels", shape.channels), ("classes", classes.len())];
    let pretrained = Pretrained::open_of_run::<A>(&trial.experiment)?;
    let left = pretrained.as_ref().and_then(|pretrained| pretrained.left());
    let config = config::<A>(&trial.document, &facts, left)?.ok_or_else(undescribed)?;
    Ok(Network::uncut(&trial.experiment, config, classes, shape, &normalisation))
}

/// Height and width of the images of `trial`. The data are read only if neither they nor the network say that in the file.
fn image_size(trial: &Trial) -> Result<usize, OpenError> {
    if let Data::ImageFolder { image_size, .. }
    | Data::Shards { image_size, .. }
    | Data::Random { image_size, .. } = &trial.experiment.data
    {
        return Ok(image_size.get());
    }
    let written = trial.document.at(&["model", "config", "image_size"]);
    match written.and_then(|node| typed(node).ok()) {
        Some(size) => Ok(size),
        None => Ok(dataset(trial)?.shape.size),
    }
}
