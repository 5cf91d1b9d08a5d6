//! Images to train on, and how they come in batches.
//!
//! [`digits`], [`idx`], [`cifar10`], [`cifar100`] and [`image_folder`] read a [`Dataset`], [`random()`] makes one up; a [`Loader`]
//! makes batches of one of its parts. All that can be wrong with files is found while reading, before anything is trained.

mod augment;
mod cifar;
mod dataset;
mod digits;
mod epoch;
mod error;
mod files;
mod folder;
mod idx;
mod images;
mod loader;
mod noise;
mod normalisation;
mod part;
mod random;
mod split;
#[cfg(test)]
mod tests;

pub use augment::Augment;
pub use cifar::{CifarLabels, cifar10, cifar100};
pub use dataset::{Dataset, ImageShape, Preparation};
pub use digits::digits;
pub use error::DataError;
pub use folder::{FolderHeldOut, ImageFolder, image_folder};
pub use idx::idx;
pub use loader::{Batch, Loader, Order};
pub use noise::random;
pub use normalisation::Normalisation;
pub use part::Part;
pub use random::{Moment, Stage};
