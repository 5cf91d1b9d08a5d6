//! Augmentation of training images, in the order of timm: crop, shift and mirror, operations on colours and places, colour jitter;
//! after normalisation erasing, and mixing of the images of a batch.

mod blur;
mod change;
mod check;
mod colours;
mod crop;
mod erasing;
mod geometry;
mod mixing;
mod operation;
mod policy;
mod raster;
mod resample;
mod settings;
#[cfg(test)]
mod tests;
mod view;
mod written;

pub use crop::RandomCrop;
pub(super) use mixing::Mixing;
pub use policy::AutoAugment;
pub(super) use raster::{Raster, Rectangle};
pub use settings::{Augment, Fill};
pub(super) use view::View;
