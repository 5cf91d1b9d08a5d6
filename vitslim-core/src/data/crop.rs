//! Cuts the middle out of an image, in the size of the model's input.

use image::RgbImage;
use image::imageops::{FilterType, resize};

/// Sizes in pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Crop {
    /// Length of the shorter side after resizing; at least `size`.
    pub(super) resize: usize,
    /// Height and width of the centre crop.
    pub(super) size: usize,
}

impl Crop {
    /// Resizes `image` by its shorter side (bicubic) and puts the centre crop into `values`, `[3, size, size]`. An image
    /// whose shorter side already has that length is not resampled.
    pub(super) fn apply(self, image: RgbImage, values: &mut [u8]) {
        let (width, height) = image.dimensions();
        let shorter = width.min(height);
        let scaled = |side: u32| (u64::from(side) * self.resize as u64 / u64::from(shorter)) as u32;
        let image = match shorter as usize == self.resize {
            true => image,
            false => resize(&image, scaled(width), scaled(height), FilterType::CatmullRom),
        };
        let [left, top] = [image.width(), image.height()].map(|side| self.before(side as usize));
        let stride = image.width() as usize;
        let pixels = image.as_raw();
        for (channel, values) in values.chunks_exact_mut(self.size * self.size).enumerate() {
            for (y, row) in values.chunks_exact_mut(self.size).enumerate() {
                for (x, value) in row.iter_mut().enumerate() {
                    *value = pixels[3 * ((top + y) * stride + left + x) + channel];
                }
            }
        }
    }

    /// Pixels of a side before the crop: half of what is over, rounded as torchvision's `CenterCrop` rounds, half to even.
    fn before(self, side: usize) -> usize {
        let over = side - self.size;
        over / 2 + usize::from(over % 4 == 3)
    }
}
