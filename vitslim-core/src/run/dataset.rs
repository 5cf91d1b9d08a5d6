//! Reads the data of an experiment.

use std::path::{Path, PathBuf};

use crate::data::{
    Augment, Cache, DataError, Dataset, FolderHeldOut, ImageFolder, ImageShape, Normalisation, Preparation,
    Reading, SplitKind, cifar10, cifar100, digits, idx, image_folder, image_folder_split, random,
};
use crate::experiment::{Count, Data, ExperimentErrors, ProperFraction, Trial};

/// Files of a kind that errors and notes name.
const NAMED: usize = 5;

/// How closely data are looked at, and how loudly.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scrutiny {
    /// Whether errors and notes name every file, not only the first ones.
    pub all: bool,
    /// Whether every image of a folder is read and decoded.
    pub images: bool,
    /// Whether to hide how far that is.
    pub quiet: bool,
}

/// Reads the data of `trial`.
///
/// # Errors
///
/// The mistakes in the data, at the value that leads to them.
pub(crate) fn dataset(trial: &Trial) -> Result<Dataset, ExperimentErrors> {
    dataset_under(trial, Scrutiny::default())
}

/// [`dataset`], looked at as closely as `scrutiny` says.
///
/// # Errors
///
/// Those of [`dataset`].
pub(crate) fn dataset_under(trial: &Trial, scrutiny: Scrutiny) -> Result<Dataset, ExperimentErrors> {
    read(&trial.experiment.data, trial.experiment.seed, scrutiny).map_err(|error| mistake(trial, &error))
}

/// Reads data of `trial` to evaluate on the split `kind`, normalised by `normalisation`. No other split is read where the split lies
/// in a folder of its own, which then may lack some of the classes that are `known` already.
///
/// # Errors
///
/// The mistakes in the data, at the value that leads to them.
pub(crate) fn dataset_of_split(
    trial: &Trial,
    kind: SplitKind,
    normalisation: &Normalisation,
    known: &[String],
) -> Result<Dataset, ExperimentErrors> {
    if let Data::ImageFolder {
        path,
        classes,
        labels,
        image_size,
        resize,
        held_out,
        augment: _,
        skip_at_most,
    } = &trial.experiment.data
    {
        let sizes = [*image_size, resize.unwrap_or(*image_size)];
        let folder = folder(path, classes, labels, sizes, *held_out, *skip_at_most, Scrutiny::default());
        let split = image_folder_split(&folder, kind, normalisation, known);
        if let Some(data) = split.map_err(|error| mistake(trial, &error))? {
            return Ok(data);
        }
    }
    let data = dataset(trial)?;
    let Normalisation { mean, std, .. } = normalisation;
    let fits = [mean, std].iter().all(|channels| channels.len() == data.shape.channels);
    Ok(if fits { data.normalised_by(normalisation.clone()) } else { data })
}

/// The mistake that `error` tells of.
fn mistake(trial: &Trial, error: &DataError) -> ExperimentErrors {
    let place = [&["data"], error.place()].concat();
    trial.document.error(&place, error.to_string(), error.advice().map(str::to_owned))
}

fn folder(
    path: &Path,
    classes: &Option<Vec<String>>,
    labels: &Option<PathBuf>,
    [image_size, resize]: [Count; 2],
    held_out: Option<ProperFraction>,
    skip_at_most: u32,
    scrutiny: Scrutiny,
) -> ImageFolder {
    ImageFolder {
        path: path.to_owned(),
        classes: classes.clone(),
        labels: labels.clone(),
        image_size: image_size.get(),
        resize: resize.get(),
        skip_at_most: skip_at_most as usize,
        held_out: match held_out {
            Some(_) => FolderHeldOut::Share,
            None => FolderHeldOut::ValOrShare,
        },
        named: if scrutiny.all { usize::MAX } else { NAMED },
        reading: Reading { cache: Cache::of_user(), anew: scrutiny.images, quiet: scrutiny.quiet },
    }
}

fn read(data: &Data, seed: u64, scrutiny: Scrutiny) -> Result<Dataset, DataError> {
    let preparation =
        |held_out: ProperFraction, augment: Augment| Preparation { held_out: held_out.get(), augment, seed };
    match data {
        Data::Digits => digits(),
        Data::Idx { path, classes, held_out, augment } => {
            idx(path, classes.get(), &preparation(*held_out, *augment))
        }
        Data::Cifar10 { path, held_out, augment } => cifar10(path, &preparation(*held_out, *augment)),
        Data::Cifar100 { path, labels, held_out, augment } => {
            cifar100(path, *labels, &preparation(*held_out, *augment))
        }
        Data::ImageFolder { path, classes, labels, image_size, resize, held_out, augment, skip_at_most } => {
            let sizes = [*image_size, resize.unwrap_or(*image_size)];
            let folder = folder(path, classes, labels, sizes, *held_out, *skip_at_most, scrutiny);
            image_folder(&folder, &preparation(held_out.unwrap_or(Data::default_held_out()), *augment))
        }
        Data::Random { image_size, channels, classes, images } => {
            let shape = ImageShape { channels: channels.get(), size: image_size.get() };
            random(shape, classes.get(), images.get(), seed)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::Document;

    #[test]
    fn a_split_to_evaluate_on_is_normalised_as_it_is_told() {
        let text = "Experiment(name: \"a\", model: (architecture: \"vit\"), data: Digits, search: (epochs: 1, \
                    optimizer: AdamW(lr: 1e-3), dimensions: { \"hidden\": (weight: 0) }), budgets: [Share({ \"hidden\": 0.5 })])";
        let trial = Document::parse("a.ron", text, &[]).unwrap().trial().unwrap();
        let read = |channels: usize| {
            let (mean, std) = (vec![0.25; channels], vec![2.0; channels]);
            let told = Normalisation { white: 16, mean, std, images: 1 };
            (dataset_of_split(&trial, SplitKind::Test, &told, &[]).unwrap(), told)
        };
        let (data, told) = read(1);
        assert_eq!((&data.normalisation, data.test.len()), (&told, 500));
        let (data, told) = read(3);
        assert_ne!(data.normalisation, told, "the images have one channel");
    }
}
