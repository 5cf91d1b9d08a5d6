//! A dataset, made from the images that a reader found.

use std::sync::{Arc, OnceLock};

use rand::seq::index::sample;

use super::augment::Augment;
use super::content::{DataContent, SplitContent};
use super::error::DataError;
use super::holdout::hold_out;
use super::image_files::PIXELS;
use super::images::Images;
use super::normalisation::Normalisation;
use super::random::Choice;
use super::shape::ImageShape;
use super::split::{Chosen, Split};

/// Images of a folder that the normalisation is computed from. Using all would mean to decode all of them once just for that.
const SAMPLED_IMAGES: usize = 2000;

/// Labelled images in three splits. The validation split is used for every decision, the test split only for reporting.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// What an image is.
    pub shape: ImageShape,
    /// Number of classes.
    pub classes: usize,
    /// Names of the classes, in the order of their labels.
    pub class_names: Vec<String>,
    /// The normalisation of all splits: computed from the training split, unless the experiment gives it.
    pub normalisation: Normalisation,
    /// The training split.
    pub train: Split,
    /// The validation split: `held_out` in files.
    pub held_out: Split,
    /// The test split.
    pub test: Split,
    /// What a user should know about the data, one line each: what was skipped, which class has no image.
    pub notes: Vec<String>,
    /// What it contains, once that was asked for.
    pub(super) content: Arc<OnceLock<DataContent>>,
}

/// How images that a reader found become a dataset.
#[derive(Clone, Copy, Debug)]
pub struct Preparation {
    /// Share of the training images to hold out.
    pub held_out: f64,
    /// Augmentation of training images.
    pub augment: Augment,
    /// Seed of the experiment, which decides which images are held out, and which images of a folder the normalisation is
    /// computed from.
    pub seed: u64,
}

impl Dataset {
    /// Holds out a share of `train`.
    pub(super) fn hold_out(
        train: Images,
        test: Images,
        class_names: Vec<String>,
        preparation: &Preparation,
    ) -> Result<Self, DataError> {
        let (kept, held_out) = hold_out(&train.labels, preparation.held_out, preparation.seed)?;
        let train = Arc::new(train);
        let held_out = Chosen { images: train.clone(), indices: held_out };
        let train = Chosen { images: train, indices: kept };
        Self::assemble(
            [train, held_out, Chosen::all(test)],
            class_names,
            preparation.augment,
            preparation.seed,
        )
    }

    /// The same images with another `normalisation`, which must have as many channels.
    #[must_use]
    pub fn normalised_by(self, normalisation: Normalisation) -> Self {
        let table = normalisation.table();
        let [train, held_out, test] =
            [self.train, self.held_out, self.test].map(|split| split.with_table(&table));
        Self { normalisation, train, held_out, test, ..self }
    }

    /// Checks that the system lets us read the files of its images: those that it does not would be another content.
    ///
    /// # Errors
    ///
    /// When it does not.
    pub fn check_files(&self) -> Result<(), DataError> {
        [&self.train, &self.held_out, &self.test].into_iter().try_for_each(Split::check_files)
    }

    /// The version of what is made of image files: their pixels. `None` if images have no file each, whose pixels are their content.
    pub(crate) fn pixels(&self) -> Option<u32> {
        self.train.reads_files().then_some(PIXELS)
    }

    /// What it contains. The images are hashed when this is first asked for; what is kept of image files is taken from there.
    pub fn content(&self) -> &DataContent {
        self.content.get_or_init(|| {
            let Self { train, held_out, test, class_names, .. } = self;
            let train_sha256 = train.sha256(class_names);
            let content = |split: &Split| SplitContent {
                images: split.len(),
                sha256: match split.is_drawn_like(train) {
                    true => train_sha256.clone(),
                    false => split.sha256(class_names),
                },
            };
            let [train, held_out, test] = [train, held_out, test].map(content);
            DataContent { classes: class_names.clone(), train, held_out, test }
        })
    }

    /// A dataset whose splits are all the same `images`, with a `normalisation` that is known.
    pub(super) fn of_split(images: Images, class_names: Vec<String>, normalisation: Normalisation) -> Self {
        let shape = images.shape;
        let split = Split::new(Chosen::all(images), &normalisation.table(), Augment::default());
        Self {
            shape,
            classes: class_names.len(),
            class_names,
            normalisation,
            train: split.clone(),
            held_out: split.clone(),
            test: split,
            notes: Vec::new(),
            content: Arc::default(),
        }
    }

    /// A dataset of the training, validation and test `splits`, with the normalisation of the first.
    pub(super) fn assemble(
        splits: [Chosen; 3],
        class_names: Vec<String>,
        augment: Augment,
        seed: u64,
    ) -> Result<Self, DataError> {
        let train = &splits[0];
        let shape = train.images.shape;
        augment.check(shape)?;
        let normalisation = normalisation(train, seed)?;
        let notes = missing_classes(train, &class_names).into_iter().collect();
        let table = normalisation.table();
        let [train, held_out, test] = splits;
        Ok(Self {
            shape,
            classes: class_names.len(),
            class_names,
            normalisation,
            train: Split::new(train, &table, augment),
            held_out: Split::new(held_out, &table, Augment::default()),
            test: Split::new(test, &table, Augment::default()),
            notes,
            content: Arc::default(),
        })
    }
}

fn normalisation(train: &Chosen, seed: u64) -> Result<Normalisation, DataError> {
    let Chosen { images, indices } = train;
    let sampled = match images.are_files() && indices.len() > SAMPLED_IMAGES {
        true => sample(&mut Choice::Sample.generator(seed), indices.len(), SAMPLED_IMAGES).into_vec(),
        false => (0..indices.len()).collect(),
    };
    let sampled: Vec<usize> = sampled.into_iter().map(|place| indices[place]).collect();
    let histogram = images.histogram(&sampled)?;
    if histogram.images() == 0 {
        return Err(DataError::setting(&["path"], "leads to training images of which none can be read"));
    }
    histogram.normalisation(images.white).ok_or_else(|| {
        DataError::setting(
            &["path"],
            "leads to training images whose pixels are all the same: there is nothing to learn",
        )
    })
}

/// A note on classes without a training image.
fn missing_classes(train: &Chosen, class_names: &[String]) -> Option<String> {
    let mut present = vec![false; class_names.len()];
    for &index in &train.indices {
        present[train.images.labels[index] as usize] = true;
    }
    let missing: Vec<&str> = class_names
        .iter()
        .zip(present)
        .filter(|(_, present)| !present)
        .map(|(name, _)| name.as_str())
        .collect();
    match missing.as_slice() {
        [] => None,
        [one] => Some(format!("class {one} has no training image")),
        more => Some(format!(
            "{} of {} classes have no training image: {}{}",
            more.len(),
            class_names.len(),
            more[..more.len().min(5)].join(", "),
            if more.len() > 5 { ", ..." } else { "" }
        )),
    }
}
