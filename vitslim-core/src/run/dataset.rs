//! Reads the data of an experiment.

use std::path::{Path, PathBuf};

use crate::data::{
    Augment, Cache, Classes, DataError, Dataset, HeldOutFrom, ImageFolder, ImageShape, Normalisation,
    Preparation, Reading, Shards, SplitKind, cifar10, cifar100, digits, idx, image_folder,
    image_folder_split, random, shards, shards_split,
};
use crate::experiment::{Count, Data, ExperimentErrors, Normalise, ProperFraction, Trial};
use crate::terminal::counted;

/// Files of a kind that errors and notes name.
const NAMED: usize = 5;

/// Mean and std of ImageNet's red, green and blue, as torchvision and timm have them.
const IMAGENET: ([f32; 3], [f32; 3]) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);

/// How closely data are looked at, and how loudly.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scrutiny {
    /// Whether errors and notes name every file, not only the first ones.
    pub all: bool,
    /// Whether every image that lies in a file is read and decoded.
    pub images: bool,
    /// Whether to hide how far that is.
    pub quiet: bool,
}

impl Scrutiny {
    /// Most files of a kind that errors and notes name.
    fn named(self) -> usize {
        if self.all { usize::MAX } else { NAMED }
    }

    fn reading(self) -> Reading {
        Reading { cache: Cache::of_user(), anew: self.images, quiet: self.quiet }
    }
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
    read_normalised(trial, &trial.experiment.data, scrutiny)
}

/// `data`, those of `trial` or almost so.
fn read_normalised(trial: &Trial, data: &Data, scrutiny: Scrutiny) -> Result<Dataset, ExperimentErrors> {
    let read = read(data, trial.experiment.seed, scrutiny);
    let normalised = read.and_then(|read| match data.normalise() {
        Some(normalise) => normalised(read, normalise),
        None => Ok(read),
    });
    normalised.map_err(|error| data_error(trial, &error))
}

/// `data`, normalised as `normalise` says.
fn normalised(data: Dataset, normalise: &Normalise) -> Result<Dataset, DataError> {
    let normalisation = normalisation(normalise, data.shape.channels, data.normalisation.white)?;
    Ok(match normalisation {
        Some(normalisation) => data.normalised_by(normalisation),
        None => data,
    })
}

/// How `normalise` normalises images with so many `channels`, in which the pixel `white` is 1; `None` if their training split says it.
pub(super) fn normalisation(
    normalise: &Normalise,
    channels: usize,
    white: u8,
) -> Result<Option<Normalisation>, DataError> {
    let has = format!("the images have {}", counted(channels, "channel", "channels"));
    let (mean, std) = match normalise {
        Normalise::Split => return Ok(None),
        Normalise::ImageNet => (IMAGENET.0.to_vec(), IMAGENET.1.to_vec()),
        Normalise::Half => (vec![0.5; channels], vec![0.5; channels]),
        Normalise::Given { mean, std } => {
            let mean: Vec<f32> = mean.iter().map(|mean| mean.get() as f32).collect();
            let std: Vec<f32> = std.iter().map(|std| std.get() as f32).collect();
            let settings: [(&'static [&'static str], _); 2] =
                [(&["normalise", "mean"], mean.len()), (&["normalise", "std"], std.len())];
            if let Some((setting, count)) = settings.into_iter().find(|(_, count)| *count != channels) {
                let reason = format!("has {}, but {has}", counted(count, "number", "numbers"));
                return Err(DataError::Setting { setting, reason, help: None });
            }
            (mean, std)
        }
    };
    if mean.len() != channels {
        return Err(DataError::Setting {
            setting: &["normalise"],
            reason: format!("has three channels, but {has}"),
            help: Some("ImageNet in gray is about `Given(mean: [0.449], std: [0.226])`".to_owned()),
        });
    }
    Ok(Some(Normalisation { white, mean, std, images: 0 }))
}

/// Reads data of `trial` to evaluate on the split `kind`, normalised by `normalisation`. No other split is read where the split lies
/// in a folder of its own, which then may lack some of the classes that are `known` already. A file with those need not be there.
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
    let scrutiny = Scrutiny::default();
    let data = &trial.experiment.data.clone().with_classes_of_file(known);
    let split = match data {
        Data::ImageFolder { path, classes, labels, image_size, resize, held_out, skip_at_most, .. } => {
            let sizes = sizes(*image_size, *resize);
            let folder = folder(path, classes, labels, sizes, *held_out, *skip_at_most, scrutiny);
            image_folder_split(&folder, kind, normalisation, known)
        }
        Data::Shards {
            path, train, val, test, classes, image_size, resize, held_out, skip_at_most, ..
        } => {
            let (patterns, sizes) = ([train, val, test], sizes(*image_size, *resize));
            let found = in_shards(path, patterns, classes, sizes, *held_out, *skip_at_most, scrutiny);
            shards_split(&found, kind, normalisation, known)
        }
        _ => Ok(None),
    };
    if let Some(split) = split.map_err(|error| data_error(trial, &error))? {
        return Ok(split);
    }
    let data = read_normalised(trial, data, scrutiny)?;
    let Normalisation { mean, std, .. } = normalisation;
    let fits = [mean, std].iter().all(|channels| channels.len() == data.shape.channels);
    Ok(if fits { data.normalised_by(normalisation.clone()) } else { data })
}

/// Checks that the system lets us read the files of `data`, those of `trial`, before their content is asked for.
///
/// # Errors
///
/// When it does not, at the path.
pub(crate) fn check_files(trial: &Trial, data: &Dataset) -> Result<(), ExperimentErrors> {
    data.check_files().map_err(|error| data_error(trial, &error))
}

/// The mistake that `error` tells of.
pub(crate) fn data_error(trial: &Trial, error: &DataError) -> ExperimentErrors {
    let place = [&["data"], error.place()].concat();
    trial.document.error(&place, error.to_string(), error.advice().map(str::to_owned))
}

fn folder(
    path: &Path,
    classes: &Option<Classes>,
    labels: &Option<PathBuf>,
    [image_size, resize]: [usize; 2],
    held_out: Option<ProperFraction>,
    skip_at_most: u32,
    scrutiny: Scrutiny,
) -> ImageFolder {
    ImageFolder {
        path: path.to_owned(),
        classes: classes.clone(),
        labels: labels.clone(),
        image_size,
        resize,
        skip_at_most: skip_at_most as usize,
        held_out: held_out_from(held_out),
        named: scrutiny.named(),
        reading: scrutiny.reading(),
    }
}

fn in_shards(
    path: &Path,
    [train, val, test]: [&Option<String>; 3],
    classes: &Option<Classes>,
    [image_size, resize]: [usize; 2],
    held_out: Option<ProperFraction>,
    skip_at_most: u32,
    scrutiny: Scrutiny,
) -> Shards {
    Shards {
        path: path.to_owned(),
        train: train.clone(),
        val: val.clone(),
        test: test.clone(),
        classes: classes.clone(),
        image_size,
        resize,
        skip_at_most: skip_at_most as usize,
        held_out: held_out_from(held_out),
        named: scrutiny.named(),
        reading: scrutiny.reading(),
    }
}

/// Height and width of an image, and the length that its shorter side is resized to.
fn sizes(image_size: Count, resize: Option<Count>) -> [usize; 2] {
    [image_size, resize.unwrap_or(image_size)].map(Count::get)
}

fn held_out_from(held_out: Option<ProperFraction>) -> HeldOutFrom {
    match held_out {
        Some(_) => HeldOutFrom::Share,
        None => HeldOutFrom::ValOrShare,
    }
}

fn read(data: &Data, seed: u64, scrutiny: Scrutiny) -> Result<Dataset, DataError> {
    let preparation =
        |held_out: ProperFraction, augment: Augment| Preparation { held_out: held_out.get(), augment, seed };
    match data {
        Data::Digits => digits(),
        Data::Idx { path, classes, held_out, augment, .. } => {
            idx(path, classes.get(), &preparation(*held_out, *augment))
        }
        Data::Cifar10 { path, held_out, augment, .. } => cifar10(path, &preparation(*held_out, *augment)),
        Data::Cifar100 { path, labels, held_out, augment, .. } => {
            cifar100(path, *labels, &preparation(*held_out, *augment))
        }
        Data::ImageFolder {
            path,
            classes,
            labels,
            image_size,
            resize,
            held_out,
            augment,
            skip_at_most,
            ..
        } => {
            let sizes = sizes(*image_size, *resize);
            let folder = folder(path, classes, labels, sizes, *held_out, *skip_at_most, scrutiny);
            image_folder(&folder, &preparation(held_out.unwrap_or(Data::default_held_out()), *augment))
        }
        Data::Shards {
            path,
            train,
            val,
            test,
            classes,
            image_size,
            resize,
            held_out,
            augment,
            skip_at_most,
            ..
        } => {
            let (patterns, sizes) = ([train, val, test], sizes(*image_size, *resize));
            let found = in_shards(path, patterns, classes, sizes, *held_out, *skip_at_most, scrutiny);
            shards(&found, &preparation(held_out.unwrap_or(Data::default_held_out()), *augment))
        }
        Data::Random { image_size, channels, classes, images } => {
            let shape = ImageShape { channels: channels.get(), size: image_size.get() };
            random(shape, classes.get(), images.get(), seed)
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use miette::Diagnostic;

    use super::*;
    use crate::experiment::Document;

    #[test]
    fn pixels_are_normalised_as_asked() {
        let first = |data: &Dataset| -> Vec<f32> {
            data.test.images(&[0], &Device::flex()).unwrap().unwrap().into_data().try_into_vec().unwrap()
        };
        let gray = digits().unwrap();
        let (mean, std) = (gray.normalisation.mean[0], gray.normalisation.std[0]);
        let pixels: Vec<f32> = first(&gray).iter().map(|value| value * std + mean).collect();
        assert!(pixels.contains(&0.0) && pixels.iter().any(|pixel| (pixel - 1.0).abs() < 1e-6), "{pixels:?}");
        let check = |normalise: &Normalise, expected: fn(f32) -> f32| {
            let found = first(&normalised(gray.clone(), normalise).unwrap());
            assert!(found.iter().zip(&pixels).all(|(found, pixel)| (found - expected(*pixel)).abs() < 1e-5));
        };
        assert_eq!(first(&normalised(gray.clone(), &Normalise::Split).unwrap()), first(&gray));
        check(&Normalise::Half, |pixel| pixel * 2.0 - 1.0);
        let given = "Given(mean: [0.25], std: [0.125])";
        check(&ron::from_str(given).unwrap(), |pixel| pixel * 8.0 - 2.0);
        let error = normalised(gray.clone(), &Normalise::ImageNet).unwrap_err();
        assert!(error.help().unwrap().to_string().contains("Given(mean: [0.449], std: [0.226])"), "{error}");

        let coloured = random(ImageShape { channels: 3, size: 4 }, 2, 10, 1).unwrap();
        let pixels = first(&normalised(coloured.clone(), &Normalise::Half).unwrap());
        let found = first(&normalised(coloured, &Normalise::ImageNet).unwrap());
        for (place, (found, value)) in found.iter().zip(pixels).enumerate() {
            let [mean, std] =
                [[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]].map(|channels| channels[place / 16]);
            assert!((found - ((value + 1.0) / 2.0 - mean) / std).abs() < 1e-5);
        }
    }

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
