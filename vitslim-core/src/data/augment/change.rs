//! What augmentation does to one image.

use super::erasing;
use super::policy::jitter;
use super::raster::Raster;
use super::settings::Augment;
use super::view::View;
use crate::data::ImageShape;
use crate::data::random::{Draws, Moment};

impl Augment {
    /// Whether an image is changed by more than a shift and a mirror.
    pub(in crate::data) fn changes_images(&self) -> bool {
        self.crop.is_some() || self.auto_augment.is_some() || self.color_jitter > 0.0 || self.erasing > 0.0
    }

    /// The image of `size` that training sees of `source`, which is the whole image if there is a random crop. `view` is its shift and
    /// mirror, `mean` the mean pixel of each channel, and `image` its place among the images.
    pub(in crate::data) fn changed(
        &self,
        source: Raster,
        size: usize,
        view: View,
        mean: &[u8],
        moment: Moment,
        image: usize,
    ) -> Raster {
        let seen = match self.crop {
            Some(crop) => crop.apply(&source, size, &mut moment.image(image, Draws::Crop)),
            None => source,
        };
        let mut changed = view.applied(seen, mean);
        let mut draws = moment.image(image, Draws::Operations);
        let operations = self.auto_augment.map(|policy| policy.draw(&mut draws)).into_iter().flatten();
        for operation in operations.chain(jitter(self.color_jitter, &mut draws)) {
            operation.apply(&mut changed, mean);
        }
        changed
    }

    /// Erases a part of normalised `values`, `[channels, size, size]`, of the image that lies at `image` among the images.
    pub(in crate::data) fn erase(&self, values: &mut [f32], shape: ImageShape, moment: Moment, image: usize) {
        erasing::erase(self.erasing, values, shape, &mut moment.image(image, Draws::Erasing));
    }
}
