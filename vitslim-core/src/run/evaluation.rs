//! The accuracy of a network of a run.

use std::path::Path;

use burn::tensor::Device;

use super::belongs;
use super::data_record::{DataRecord, known, recorded};
use super::dataset::{check_files, dataset, dataset_of_split};
use super::error::{OtherDataError, RunError};
use super::networks::restore;
use super::prepared::Prepared;
use super::subnet::Subnet;
use super::target::Target;
use crate::data::{Dataset, Normalisation, SplitKind};
use crate::experiment::{Data, Trial};
use crate::models::Architecture;
use crate::report::{ClassEvaluation, Evaluation};
use crate::terminal::say;
use crate::train::{ClassAccuracy, accuracy};

/// A split of the data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum SplitName {
    /// The test split, which is only reported.
    #[default]
    #[value(name = "test")]
    Test,
    /// The validation split, used for every decision.
    #[value(name = "held_out")]
    HeldOut,
}

impl SplitName {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Test => "test",
            Self::HeldOut => "held_out",
        }
    }

    pub(super) fn kind(self) -> SplitKind {
        match self {
            Self::Test => SplitKind::Test,
            Self::HeldOut => SplitKind::HeldOut,
        }
    }
}

/// How to evaluate a network.
#[derive(Clone, Copy, Debug)]
pub struct EvaluationSetting<'a> {
    /// A folder to read the data from, instead of the experiment's.
    pub data: Option<&'a str>,
    /// The split to evaluate on.
    pub split: SplitName,
    /// The device to compute on.
    pub device: &'a Device,
    /// What results call the device.
    pub device_name: &'a str,
}

/// The accuracy of the network that `target` names on a split of its run's data, or of such data in another folder. `trial` is
/// the trial of its run.
///
/// # Errors
///
/// When the data or the network cannot be read, do not fit each other, or the logits are not finite.
pub fn evaluate<A: Architecture>(
    trial: &Trial,
    target: &Target,
    setting: &EvaluationSetting,
) -> Result<Evaluation, RunError> {
    let (run, kind, is_dense) = (&target.run, setting.split.kind(), target.label.is_none());
    let prepared = match setting.data {
        None => Prepared::<A>::with_data(trial, own_data(trial, run, kind)?, is_dense)?,
        Some(folder) => {
            let known = match known(run)? {
                Some(known) => known,
                None => {
                    let own = dataset(trial).map_err(OtherDataError::Normalisation)?;
                    (own.class_names, recorded(run)?.unwrap_or(own.normalisation))
                }
            };
            let (trial, data) = other_data(trial, known, kind, folder)?;
            Prepared::with_data(&trial, data, is_dense)?
        }
    };
    let restored = restore(&prepared, target, setting.device)?;
    restored.notes.iter().for_each(say);
    let names = (prepared.trial(), target.name());
    let evaluation = accuracies(trial, &prepared.data, &restored.model, names, setting)?;
    Ok(Evaluation { epoch: restored.epoch, ..evaluation })
}

/// The accuracy of `subnet`, whose experiment is that of `trial`, on a split of data like those of its run.
///
/// # Errors
///
/// Those of [`evaluate`].
pub fn evaluate_subnet<A: Architecture>(
    trial: &Trial,
    subnet: &Subnet<A>,
    setting: &EvaluationSetting,
) -> Result<Evaluation, RunError> {
    let kind = setting.split.kind();
    let (classes, normalisation) = (subnet.network.classes.clone(), subnet.network.images.normalisation());
    let data = match (setting.data, trial.experiment.data.path()) {
        (None, Some(_)) => return Err(OtherDataError::Needed(trial.experiment.data.kind()).into()),
        (None, None) => dataset_of_split(trial, kind, &normalisation, &[])?,
        (Some(folder), _) => other_data(trial, (classes, normalisation), kind, folder)?.1,
    };
    accuracies(trial, &data, &subnet.model, (subnet.trial.clone(), &subnet.label), setting)
}

/// The accuracy of `model`, whose trial and which itself have these `names`, on a split of `data`.
fn accuracies<A: Architecture>(
    trial: &Trial,
    data: &Dataset,
    model: &A,
    names: (String, &str),
    setting: &EvaluationSetting,
) -> Result<Evaluation, RunError> {
    data.notes.iter().for_each(say);
    let split = match setting.split {
        SplitName::Test => &data.test,
        SplitName::HeldOut => &data.held_out,
    };
    let found = accuracy(model, split, trial.experiment.precision, setting.device)?;
    let classes = data.class_names.iter().zip(&found.classes);
    let class = |(name, class): (&String, &ClassAccuracy)| ClassEvaluation {
        name: name.clone(),
        images: class.images,
        top1: class.top1,
    };
    Ok(Evaluation {
        name: trial.experiment.name.as_str().to_owned(),
        trial: names.0,
        network: names.1.to_owned(),
        epoch: None,
        device: setting.device_name.to_owned(),
        split: setting.split.name(),
        images: found.images,
        top1: found.top1,
        top5: found.top5,
        classes: classes.map(class).collect(),
    })
}

/// Checks that `data` have the classes, and in the split `kind` the images, that the run in the folder `run` began with.
///
/// # Errors
///
/// When they do not, or what the run began with cannot be read.
pub(crate) fn check_unchanged(run: &Path, data: &Dataset, kind: SplitKind) -> Result<(), RunError> {
    // An earlier version left the normalisation alone.
    let Some(record) = DataRecord::read(run)? else {
        return Ok(belongs::normalisation(run, &data.normalisation).map(drop)?);
    };
    match record.content.data.change(data.content(), &[kind]) {
        Some(change) => Err(RunError::ChangedData { run: run.to_owned(), change }),
        None => Ok(()),
    }
}

/// The data that the run in the folder `run` and of `trial` began with, for an evaluation on `kind`, normalised as in the network's training.
///
/// # Errors
///
/// When they cannot be read, or have changed since.
pub(crate) fn own_data(trial: &Trial, run: &Path, kind: SplitKind) -> Result<Dataset, RunError> {
    let data = match known(run)? {
        Some((classes, normalisation)) => dataset_of_split(trial, kind, &normalisation, &classes)?,
        None => {
            let data = dataset(trial)?;
            let recorded = belongs::normalisation(run, &data.normalisation)?;
            data.normalised_by(recorded)
        }
    };
    check_files(trial, &data)?;
    check_unchanged(run, &data, kind)?;
    Ok(data)
}

/// The data in `folder` for an evaluation on `kind`, with the classes and the normalisation that are `known`, and `trial` with them
/// for its own.
fn other_data(
    trial: &Trial,
    known: (Vec<String>, Normalisation),
    kind: SplitKind,
    folder: &str,
) -> Result<(Trial, Dataset), RunError> {
    let data = &trial.experiment.data;
    if data.path().is_none() {
        return Err(OtherDataError::NoFolder(data.kind()).into());
    }
    let (classes, normalisation) = known;
    let mut document = trial.document.clone();
    document.set_string(&["data", "path"], "--data", folder)?;
    // Otherwise, the labels would be those of other images.
    if let Data::ImageFolder { labels: Some(labels), .. } = data
        && let Some(name) = labels.file_name()
    {
        let labels = Path::new(folder).join(name);
        document.set_string(&["data", "labels"], "--data", &labels.to_string_lossy())?;
    }
    let model = trial.experiment.model.clone();
    let mut trial = Trial { swept: trial.swept.clone(), ..document.trial()? };
    trial.experiment.model = model;
    let other = dataset_of_split(&trial, kind, &normalisation, &classes)?;
    let mut names = classes.iter().zip(&other.class_names).enumerate();
    if let Some((label, (own, other))) = names.find(|(_, (own, other))| own != other) {
        return Err(OtherDataError::Classes { label, own: own.clone(), other: other.clone() }.into());
    }
    if classes.len() != other.classes {
        return Err(OtherDataError::Count { own: classes.len(), other: other.classes }.into());
    }
    Ok((trial, other))
}
