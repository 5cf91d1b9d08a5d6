//! The accuracy of a network of a run.

use burn::tensor::Device;

use super::dataset::dataset;
use super::error::{OtherDataError, RunError};
use super::prepare::{Known, Prepared};
use super::restore::restore;
use super::target::Target;
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
    let prepared = match setting.data {
        None => Prepared::<A>::new(trial)?,
        Some(folder) => prepare_other_data(trial, folder)?,
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

/// The experiment with the data in `folder`, normalised as in the network's training.
fn prepare_other_data<A: Architecture>(trial: &Trial, folder: &str) -> Result<Prepared<A>, RunError> {
    let data = &trial.experiment.data;
    if data.path().is_none() {
        return Err(OtherDataError::NoFolder(data.kind()).into());
    }
    let own = dataset(trial).map_err(OtherDataError::Normalisation)?;
    let mut document = trial.document.clone();
    document.set_string(&["data", "path"], "--data", folder)?;
    let trial = Trial { swept: trial.swept.clone(), ..document.trial()? };
    let mut known = Known::default();
    if let Ok(other) = known.data(&trial) {
        let mut names = own.class_names.iter().zip(&other.class_names).enumerate();
        if let Some((label, (own, other))) = names.find(|(_, (own, other))| own != other) {
            return Err(OtherDataError::Classes { label, own: own.clone(), other: other.clone() }.into());
        }
        if own.classes != other.classes {
            return Err(OtherDataError::Count { own: own.classes, other: other.classes }.into());
        }
    }
    let (prepared, _) = Prepared::<A>::of_sweep(&trial, &mut known)?;
    let data = prepared.data.normalised_by(own.normalisation);
    Ok(Prepared { data, ..prepared })
}
