//! Datasets of labelled images, and batches of them.
//!
//! [`digits`], [`idx`], [`cifar10`], [`cifar100`], [`image_folder`] and [`shards()`] read a [`Dataset`], and [`random()`] generates one;
//! a [`Loader`] makes batches of one of its splits. Whatever is wrong with the files is found while reading, before anything is
//! trained; but the images of a folder or of shards are decoded when they are in a batch.

mod augment;
mod batch;
mod cache;
mod check;
mod cifar;
mod classes;
mod content;
mod crop;
mod dataset;
mod decode;
mod digits;
mod epoch;
mod error;
mod file_dataset;
mod files;
mod folder;
mod holdout;
mod idx;
mod image_files;
mod images;
mod index;
mod jpeg;
mod left_out;
mod loader;
mod noise;
mod normalisation;
mod pickle;
mod random;
mod reading;
mod shape;
mod shards;
mod shuffle;
mod source;
mod split;
#[cfg(test)]
mod tests;

pub use augment::{Augment, AutoAugment, Fill, RandomCrop};
pub use batch::{Batch, Mixed, Order, full_batches, images_of_epoch};
pub use cache::Cache;
pub use cifar::{CifarLabels, cifar10, cifar100};
pub use classes::Classes;
pub use content::{DataContent, SplitContent, SplitKind};
pub use dataset::{Dataset, Preparation};
pub use digits::digits;
pub use epoch::Epoch;
pub use error::DataError;
pub use file_dataset::HeldOutFrom;
pub use folder::{ImageFolder, image_folder, image_folder_split};
pub use idx::idx;
pub use loader::Loader;
pub use noise::random;
pub use normalisation::Normalisation;
pub use random::{Moment, Stage};
pub use reading::Reading;
pub use shape::ImageShape;
pub use shards::{Shards, shards, shards_split};
pub use split::Split;
