//! Where the images come from, and what is done with them.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::data::{Augment, CifarLabels};

use super::number::{Count, ProperFraction};

/// Where the images come from. A relative path begins at the current folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub enum Data {
    /// The handwritten digits that come with vitslim: 1797 images of 8 x 8, 10 classes.
    Digits,
    /// MNIST, Fashion-MNIST and their like: four files named as those of MNIST, gzipped or not.
    Idx {
        /// The folder that holds `train-images-idx3-ubyte` and the others.
        path: PathBuf,
        /// Number of classes, at most 256; labels are less than it.
        #[serde(default = "ten")]
        classes: Count,
        /// Share of the training images that is held out, each class in proportion, by the seed.
        #[serde(default = "tenth")]
        held_out: ProperFraction,
        /// What is done to training images.
        #[serde(default)]
        augment: Augment,
    },
    /// CIFAR-10 in its binary version.
    Cifar10 {
        /// The folder that holds `data_batch_1.bin` and the others, or the one around it.
        path: PathBuf,
        /// As for `Idx`.
        #[serde(default = "tenth")]
        held_out: ProperFraction,
        /// What is done to training images.
        #[serde(default)]
        augment: Augment,
    },
    /// CIFAR-100 in its binary version.
    Cifar100 {
        /// The folder that holds `train.bin` and `test.bin`, or the one around it.
        path: PathBuf,
        /// `Fine` (100 classes) or `Coarse` (20).
        #[serde(default)]
        labels: CifarLabels,
        /// As for `Idx`.
        #[serde(default = "tenth")]
        held_out: ProperFraction,
        /// What is done to training images.
        #[serde(default)]
        augment: Augment,
    },
    /// JPEG, PNG and WebP images in a folder for each class, as ImageNet has them.
    ImageFolder {
        /// The folder that holds `train/<class>/`, and `val/<class>/` or `test/<class>/`.
        path: PathBuf,
        /// Height and width in pixels of what the model sees: the middle of an image; at most 16384.
        #[serde(default = "image_size")]
        #[schemars(extend("unit" = "pixels"))]
        image_size: Count,
        /// Pixels to which the shorter side is resized before the middle is cut out; at least `image_size`, which it is
        /// if left out, and at most 16384. 256 is usual for 224.
        #[serde(default)]
        #[schemars(extend("unit" = "pixels"))]
        resize: Option<Count>,
        /// Share of the training images that is held out, as for `Idx`; `val` or else `test` is to test. Left out, it is
        /// 0.1; but if there are both `val` and `test`, then `val` is held out.
        #[serde(default)]
        held_out: Option<ProperFraction>,
        /// What is done to training images.
        #[serde(default)]
        augment: Augment,
        /// How many images may be unreadable and are left out.
        #[serde(default)]
        #[schemars(extend("unit" = "images"))]
        skip_at_most: u32,
    },
    /// Random pixels and labels by the seed: to measure speed, or to try an experiment before the data are there.
    Random {
        /// Height and width in pixels.
        #[serde(default = "image_size")]
        #[schemars(extend("unit" = "pixels"))]
        image_size: Count,
        /// Channels of an image.
        #[serde(default = "three")]
        channels: Count,
        /// Number of classes, at most a million.
        #[serde(default = "thousand")]
        classes: Count,
        /// Number of images, at least 10: eight tenths to train, a tenth held out, a tenth to test; at most 4 GB, a
        /// byte a value.
        #[serde(default = "images")]
        #[schemars(extend("unit" = "images"))]
        images: Count,
    },
}

impl Data {
    /// Share of the training images that is held out where nothing else is said.
    pub fn default_share() -> ProperFraction {
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
            Self::Random { .. } => "Random",
        }
    }

    /// Whether each image is a file of its own, which takes long to decode.
    pub(crate) fn is_decoded(&self) -> bool {
        matches!(self, Self::ImageFolder { .. })
    }

    /// The folder they are in, if they are in one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Digits | Self::Random { .. } => None,
            Self::Idx { path, .. }
            | Self::Cifar10 { path, .. }
            | Self::Cifar100 { path, .. }
            | Self::ImageFolder { path, .. } => Some(path),
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
