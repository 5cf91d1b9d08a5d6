//! How often a network of a run is right.

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

/// Which part of the data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum PartName {
    /// The part that is only reported.
    #[default]
    #[value(name = "test")]
    Test,
    /// The part that decides.
    #[value(name = "held_out")]
    HeldOut,
}

impl PartName {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Test => "test",
            Self::HeldOut => "held_out",
        }
    }
}

/// How a network is evaluated.
#[derive(Clone, Copy, Debug)]
pub struct EvaluationSetting<'a> {
    /// The folder that the data are read from, in place of that of the experiment.
    pub data: Option<&'a str>,
    /// Which part of the data.
    pub part: PartName,
    /// Where to compute.
    pub device: &'a Device,
    /// How results name the device.
    pub device_name: &'a str,
}

/// How often the network that `target` names is right on a part of its run's data, or on such data in another folder. `trial` is
/// that of its run.
///
/// # Errors
///
/// When the data or the network cannot be read, do not fit each other, or the network answers with values that are not finite.
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
    let part = match setting.part {
        PartName::Test => &prepared.data.test,
        PartName::HeldOut => &prepared.data.held_out,
    };
    let found = accuracy(&restored.model, part, prepared.experiment.precision, setting.device)?;
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
        part: setting.part.name(),
        images: found.images,
        top1: found.top1,
        top5: found.top5,
        classes: classes.map(class).collect(),
    })
}

/// The experiment with the data in `folder`, whose pixels the network sees normalised as in its training.
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
