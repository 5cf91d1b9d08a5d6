//! The accuracy of a network of a run.

use std::path::Path;

use burn::tensor::Device;

use super::belongs::check_normalisation;
use super::data_record::DataRecord;
use super::dataset::dataset;
use super::error::{OtherDataError, RunError};
use super::folder::{FolderError, NORMALISATION, RunFolder};
use super::prepare::{Known, Prepared};
use super::restore::restore;
use super::target::Target;
use crate::data::{Dataset, Normalisation, SplitKind};
use crate::experiment::Trial;
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

    fn kind(self) -> SplitKind {
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
    let prepared: Prepared<A> = match setting.data {
        None => prepare_own_data(trial, &target.run, setting.split)?,
        Some(folder) => prepare_other_data(trial, &target.run, folder)?,
    };
    let restored = restore(&prepared, target, setting.device)?;
    for note in prepared.data.notes.iter().chain(&restored.notes) {
        say(note);
    }
    let split = match setting.split {
        SplitName::Test => &prepared.data.test,
        SplitName::HeldOut => &prepared.data.held_out,
    };
    let found = accuracy(&restored.model, split, prepared.experiment.precision, setting.device)?;
    let classes = prepared.data.class_names.iter().zip(&found.classes);
    let class = |(name, class): (&String, &ClassAccuracy)| ClassEvaluation {
        name: name.clone(),
        images: class.images,
        top1: class.top1,
    };
    Ok(Evaluation {
        name: prepared.experiment.name.as_str().to_owned(),
        trial: prepared.trial(),
        network: target.name().to_owned(),
        epoch: restored.epoch,
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
        return Ok(check_normalisation(run, &data.normalisation)?);
    };
    match record.content.change(data.content(), &[kind]) {
        Some(change) => Err(OtherDataError::Changed { run: run.to_owned(), change }.into()),
        None => Ok(()),
    }
}

/// The experiment with its own data, normalised as in the network's training.
fn prepare_own_data<A: Architecture>(
    trial: &Trial,
    run: &Path,
    split: SplitName,
) -> Result<Prepared<A>, RunError> {
    let prepared = Prepared::<A>::new(trial)?;
    check_unchanged(run, &prepared.data, split.kind())?;
    Ok(match normalisation(run)? {
        Some(normalisation) => normalised(prepared, normalisation),
        None => prepared,
    })
}

/// The experiment with the data in `folder`, normalised as in the network's training.
fn prepare_other_data<A: Architecture>(
    trial: &Trial,
    run: &Path,
    folder: &str,
) -> Result<Prepared<A>, RunError> {
    let data = &trial.experiment.data;
    if data.path().is_none() {
        return Err(OtherDataError::NoFolder(data.kind()).into());
    }
    let (classes, normalisation) = match (DataRecord::read(run)?, normalisation(run)?) {
        (Some(record), Some(normalisation)) => (record.content.classes, normalisation),
        // An earlier version did not write down what they are called.
        _ => {
            let own = dataset(trial).map_err(OtherDataError::Normalisation)?;
            (own.class_names, own.normalisation)
        }
    };
    let mut document = trial.document.clone();
    document.set_string(&["data", "path"], "--data", folder)?;
    let trial = Trial { swept: trial.swept.clone(), ..document.trial()? };
    let mut known = Known::default();
    if let Ok(other) = known.data(&trial) {
        let mut names = classes.iter().zip(&other.class_names).enumerate();
        if let Some((label, (own, other))) = names.find(|(_, (own, other))| own != other) {
            return Err(OtherDataError::Classes { label, own: own.clone(), other: other.clone() }.into());
        }
        if classes.len() != other.classes {
            return Err(OtherDataError::Count { own: classes.len(), other: other.classes }.into());
        }
    }
    let (prepared, _) = Prepared::<A>::of_sweep(&trial, &mut known)?;
    Ok(normalised(prepared, normalisation))
}

/// The normalisation that the run in the folder `run` trained with; `None` if it left none that can be read.
fn normalisation(run: &Path) -> Result<Option<Normalisation>, FolderError> {
    let text = RunFolder::read_in(run, NORMALISATION)?;
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
}

/// `prepared` with another normalisation, if it is for as many channels.
fn normalised<A: Architecture>(prepared: Prepared<A>, normalisation: Normalisation) -> Prepared<A> {
    if normalisation.mean.len() != prepared.data.shape.channels
        || normalisation.std.len() != normalisation.mean.len()
    {
        return prepared;
    }
    let data = prepared.data.normalised_by(normalisation);
    Prepared { data, ..prepared }
}
