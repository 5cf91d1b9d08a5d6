//! Where the images come from.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::data::{Augment, CifarLabels, Classes};

use super::number::{Count, Fraction, Portion, ProperFraction};

/// Where the images come from. Relative paths start at the current folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub enum Data {
    /// The handwritten digits that come with vitslim: 1797 images of 8 x 8, 10 classes.
    Digits,
    /// MNIST, Fashion-MNIST and others in their format: four files with the names of MNIST's, gzipped or not.
    Idx {
        /// The folder that holds `train-images-idx3-ubyte` and the others.
        path: PathBuf,
        /// Number of classes, at most 256. Labels count from 0.
        #[serde(default = "ten")]
        classes: Count,
        /// Fraction of the training images that is held out as a validation split, the same of each class, drawn by the seed.
        #[serde(default = "tenth")]
        held_out: ProperFraction,
        /// Augmentation of the training images.
        #[serde(default)]
        augment: Augment,
        /// How pixels are normalised.
        #[serde(default, skip_serializing_if = "Normalise::is_split")]
        #[schemars(extend("default" = Normalise::default()))]
        normalise: Normalise,
    },
    /// CIFAR-10 in its binary version or its Python version, whose pickles are read and not executed.
    Cifar10 {
        /// The folder that holds `data_batch_1.bin`, or `data_batch_1`, and the others, or the one around it.
        path: PathBuf,
        /// Fraction of the training images that is held out, as for `Idx`.
        #[serde(default = "tenth")]
        held_out: ProperFraction,
        /// Augmentation of the training images.
        #[serde(default)]
        augment: Augment,
        /// How pixels are normalised.
        #[serde(default, skip_serializing_if = "Normalise::is_split")]
        #[schemars(extend("default" = Normalise::default()))]
        normalise: Normalise,
    },
    /// CIFAR-100 in its binary version or its Python version, whose pickles are read and not executed.
    Cifar100 {
        /// The folder that holds `train.bin` and `test.bin`, or `train` and `test`, or the one around it.
        path: PathBuf,
        /// `Fine` (100 classes) or `Coarse` (20).
        #[serde(default)]
        labels: CifarLabels,
        /// Fraction of the training images that is held out, as for `Idx`.
        #[serde(default = "tenth")]
        held_out: ProperFraction,
        /// Augmentation of the training images.
        #[serde(default)]
        augment: Augment,
        /// How pixels are normalised.
        #[serde(default, skip_serializing_if = "Normalise::is_split")]
        #[schemars(extend("default" = Normalise::default()))]
        normalise: Normalise,
    },
    /// JPEG, PNG and WebP images, one folder a class, as ImageNet is laid out.
    ImageFolder {
        /// The folder that holds `train/<class>/`, and `val/<class>/` or `test/<class>/`.
        path: PathBuf,
        /// Names of the classes in the order of their labels, or a file that lists them, as ImageNet's `imagenet_class_index.json`: all
        /// folders of `train`. Validation and test split may then lack some of them. Left out, the classes are the folders, sorted by
        /// name, and all splits have the same; a number of classes says how many folders there must be.
        #[serde(default)]
        classes: Option<Classes>,
        /// A file that says the class of each image of `val` or `test`, if that has no folders of classes: one line per image, with
        /// its name and its class, as in `LOC_val_solution.csv` of ImageNet.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        labels: Option<PathBuf>,
        /// Height and width of what the network sees, the middle of an image; at most 16384.
        #[serde(default = "image_size")]
        #[schemars(extend("unit" = "pixels"))]
        image_size: Count,
        /// Length to which the shorter side is resized before the middle is cut out: from `image_size` to 16384; 256 is usual for
        /// 224. Left out, it is `image_size`.
        #[serde(default)]
        #[schemars(extend("unit" = "pixels"))]
        resize: Option<Count>,
        /// Fraction of the training images that is held out, as for `Idx`; then `val`, or else `test`, is the test split. Left out,
        /// `val` is the validation split where there are both `val` and `test`, and 0.1 of the training images where there are not.
        #[serde(default)]
        held_out: Option<ProperFraction>,
        /// Augmentation of the training images.
        #[serde(default)]
        augment: Augment,
        /// How pixels are normalised.
        #[serde(default, skip_serializing_if = "Normalise::is_split")]
        #[schemars(extend("default" = Normalise::default()))]
        normalise: Normalise,
        /// How many images may be left out of each folder, `train`, `val` and `test`, because they are damaged. A run that met one too
        /// many goes on with a larger number.
        #[serde(default)]
        #[schemars(extend("unit" = "images"))]
        skip_at_most: u32,
    },
    /// The shards of a WebDataset: `.tar` files with JPEG, PNG and WebP images, each beside its label. They are not unpacked.
    Shards {
        /// The folder that holds the shards.
        path: PathBuf,
        /// What the shards of the training split are called: `imagenet-train-{0000..1023}.tar`, or with `*` for any characters. Left out,
        /// it is `train-*.tar`.
        #[serde(default)]
        train: Option<String>,
        /// The same of `val`. Left out, it is `val-*.tar`, if there are any.
        #[serde(default)]
        val: Option<String>,
        /// The same of `test`. Left out, it is `test-*.tar`, if there are any.
        #[serde(default)]
        test: Option<String>,
        /// Number of classes, their names in the order of their labels, or a file that lists those. Left out, the labels of the training
        /// split count them.
        #[serde(default)]
        classes: Option<Classes>,
        /// Height and width of what the network sees, as for `ImageFolder`.
        #[serde(default = "image_size")]
        #[schemars(extend("unit" = "pixels"))]
        image_size: Count,
        /// Length to which the shorter side is resized, as for `ImageFolder`.
        #[serde(default)]
        #[schemars(extend("unit" = "pixels"))]
        resize: Option<Count>,
        /// Fraction of the training images that is held out, as for `ImageFolder`.
        #[serde(default)]
        held_out: Option<ProperFraction>,
        /// Augmentation of the training images.
        #[serde(default)]
        augment: Augment,
        /// How pixels are normalised.
        #[serde(default, skip_serializing_if = "Normalise::is_split")]
        #[schemars(extend("default" = Normalise::default()))]
        normalise: Normalise,
        /// How many images of each split may be left out because they are damaged, as for `ImageFolder`.
        #[serde(default)]
        #[schemars(extend("unit" = "images"))]
        skip_at_most: u32,
    },
    /// Random pixels and labels, drawn by the seed, to measure speed or to try an experiment before its data are there.
    Random {
        /// Height and width of an image.
        #[serde(default = "image_size")]
        #[schemars(extend("unit" = "pixels"))]
        image_size: Count,
        /// Channels of an image.
        #[serde(default = "three")]
        channels: Count,
        /// Number of classes, at most a million.
        #[serde(default = "thousand")]
        classes: Count,
        /// Number of images: at least 10, and no more than 4 GB at a byte a value. Eight tenths are for training, one tenth is for
        /// validation, one tenth is the test split.
        #[serde(default = "images")]
        #[schemars(extend("unit" = "images"))]
        images: Count,
    },
}

/// How the pixels of all splits are normalised: `(pixel - mean) / std`, channel by channel, with pixels from 0 to 1.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub enum Normalise {
    /// By mean and std of the training split.
    #[default]
    Split,
    /// By those of ImageNet's colours, as most published weights: mean 0.485, 0.456, 0.406; std 0.229, 0.224, 0.225.
    ImageNet,
    /// By 0.5 and 0.5, to values from -1 to 1, as the weights of timm's `augreg` ViTs.
    Half,
    /// By these.
    Given {
        /// Mean of each channel: at least 0 and less than 1.
        mean: Vec<Fraction>,
        /// Standard deviation of each channel: greater than 0 and at most 1.
        std: Vec<Portion>,
    },
}

impl Normalise {
    fn is_split(&self) -> bool {
        *self == Self::Split
    }
}

impl Data {
    /// Fraction of the training images that is held out unless the file says otherwise.
    pub fn default_held_out() -> ProperFraction {
        tenth()
    }

    /// Name of this kind of data, as it is written.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Digits => "Digits",
            Self::Idx { .. } => "Idx",
            Self::Cifar10 { .. } => "Cifar10",
            Self::Cifar100 { .. } => "Cifar100",
            Self::ImageFolder { .. } => "ImageFolder",
            Self::Shards { .. } => "Shards",
            Self::Random { .. } => "Random",
        }
    }

    /// How training images are augmented; `None` if those of this kind of data are not.
    pub fn augment(&self) -> Option<Augment> {
        match self {
            Self::Digits | Self::Random { .. } => None,
            Self::Idx { augment, .. }
            | Self::Cifar10 { augment, .. }
            | Self::Cifar100 { augment, .. }
            | Self::ImageFolder { augment, .. }
            | Self::Shards { augment, .. } => Some(*augment),
        }
    }

    /// The same data, augmented as `other` says if they are augmented.
    #[must_use]
    pub(crate) fn augmented(mut self, other: Augment) -> Self {
        match &mut self {
            Self::Digits | Self::Random { .. } => {}
            Self::Idx { augment, .. }
            | Self::Cifar10 { augment, .. }
            | Self::Cifar100 { augment, .. }
            | Self::ImageFolder { augment, .. }
            | Self::Shards { augment, .. } => *augment = other,
        }
        self
    }

    /// How pixels are normalised; `None` if this kind of data leaves no choice.
    pub fn normalise(&self) -> Option<&Normalise> {
        match self {
            Self::Digits | Self::Random { .. } => None,
            Self::Idx { normalise, .. }
            | Self::Cifar10 { normalise, .. }
            | Self::Cifar100 { normalise, .. }
            | Self::ImageFolder { normalise, .. }
            | Self::Shards { normalise, .. } => Some(normalise),
        }
    }

    /// The same data, at the paths that `to` makes of theirs.
    #[must_use]
    pub fn map_path(mut self, to: impl Fn(&Path) -> PathBuf) -> Self {
        match &mut self {
            Self::Digits | Self::Random { .. } => {}
            Self::Idx { path, .. } | Self::Cifar10 { path, .. } | Self::Cifar100 { path, .. } => {
                *path = to(path)
            }
            Self::ImageFolder { path, classes, labels, .. } => {
                *path = to(path);
                labels.iter_mut().for_each(|labels| *labels = to(labels));
                if let Some(Classes::File(file)) = classes {
                    *file = to(file);
                }
            }
            Self::Shards { path, classes, .. } => {
                *path = to(path);
                if let Some(Classes::File(file)) = classes {
                    *file = to(file);
                }
            }
        }
        self
    }

    /// The same data, with the `known` names of the classes, if there are any, for the file that lists them.
    #[must_use]
    pub(crate) fn with_classes_of_file(mut self, known: &[String]) -> Self {
        if let Self::ImageFolder { classes: Some(classes @ Classes::File(_)), .. }
        | Self::Shards { classes: Some(classes @ Classes::File(_)), .. } = &mut self
            && !known.is_empty()
        {
            *classes = Classes::Named(known.to_vec());
        }
        self
    }

    /// What is set beside the content of the data, which knows the order of the classes itself, lies anywhere, and gives the same numbers
    /// however many more images could be left out.
    #[must_use]
    pub(crate) fn beside_content(mut self) -> Self {
        match &mut self {
            Self::ImageFolder { classes, labels, skip_at_most, .. } => {
                (*classes, *labels, *skip_at_most) = (None, None, 0);
            }
            Self::Shards { train, val, test, classes, skip_at_most, .. } => {
                (*train, *val, *test, *classes, *skip_at_most) = (None, None, None, None, 0);
            }
            _ => {}
        }
        self.map_path(|_| PathBuf::new())
    }

    /// The folder they are in, if they are in one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Digits | Self::Random { .. } => None,
            Self::Idx { path, .. }
            | Self::Cifar10 { path, .. }
            | Self::Cifar100 { path, .. }
            | Self::ImageFolder { path, .. }
            | Self::Shards { path, .. } => Some(path),
        }
    }
}

const fn ten() -> Count {
    Count::known(10)
}

const fn tenth() -> ProperFraction {
    ProperFraction::known(0.1)
}

const fn image_size() -> Count {
    Count::known(224)
}

const fn three() -> Count {
    Count::known(3)
}

const fn thousand() -> Count {
    Count::known(1000)
}

const fn images() -> Count {
    Count::known(256)
}
