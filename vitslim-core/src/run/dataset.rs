//! Reads the data of an experiment.

use crate::data::{
    Augment, DataError, Dataset, FolderHeldOut, ImageFolder, ImageShape, Preparation, cifar10, cifar100,
    digits, idx, image_folder, random,
};
use crate::experiment::{Data, ExperimentErrors, ProperFraction, Trial};

/// Reads the data of `trial`.
///
/// # Errors
///
/// The mistakes in the data, at the value that leads to them.
pub(crate) fn dataset(trial: &Trial) -> Result<Dataset, ExperimentErrors> {
    read(&trial.experiment.data, trial.experiment.seed).map_err(|error| {
        let place = [&["data"], error.place()].concat();
        trial.document.error(&place, error.to_string(), error.help().map(str::to_owned))
    })
}

fn read(data: &Data, seed: u64) -> Result<Dataset, DataError> {
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
        Data::ImageFolder { path, classes, image_size, resize, held_out, augment, skip_at_most } => {
            let folder = ImageFolder {
                path: path.clone(),
                classes: classes.clone(),
                image_size: image_size.get(),
                resize: resize.unwrap_or(*image_size).get(),
                skip_at_most: *skip_at_most as usize,
                held_out: match held_out {
                    Some(_) => FolderHeldOut::Share,
                    None => FolderHeldOut::ValOrShare,
                },
            };
            image_folder(&folder, &preparation(held_out.unwrap_or(Data::default_held_out()), *augment))
        }
        Data::Random { image_size, channels, classes, images } => {
            let shape = ImageShape { channels: channels.get(), size: image_size.get() };
            random(shape, classes.get(), images.get(), seed)
        }
    }
}
