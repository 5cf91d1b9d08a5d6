//! Cuts the middle out of an image, in the size of the model's input.

use super::augment::{Raster, Rectangle};

/// Sizes in pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Crop {
    /// Length of the shorter side after resizing; at least `size`.
    pub(super) resize: usize,
    /// Height and width of the centre crop.
    pub(super) size: usize,
}

impl Crop {
    /// Resizes `image` by its shorter side (bicubic, with the pixels of Pillow) and puts the centre crop into `values`,
    /// `[channels, size, size]`. An image whose shorter side already has that length is not resampled.
    pub(super) fn apply(self, image: &Raster, values: &mut [u8]) {
        let (height, width) = (image.height, image.width);
        let whole = Rectangle::whole(height, width);
        let shorter = height.min(width);
        let [height, width] = [height, width].map(|side| side * self.resize / shorter);
        let [top, left] = [height, width].map(|side| self.before(side));
        let middle = Rectangle { top, left, height: self.size, width: self.size };
        image.resized(whole, height, width, middle).copy_to(values);
    }

    /// Pixels of a side before the crop: half of what is over, rounded as torchvision's `CenterCrop` rounds, half to even.
    fn before(self, side: usize) -> usize {
        let over = side - self.size;
        over / 2 + usize::from(over % 4 == 3)
    }
}
