//! Operations that change the colours of an image and leave everything in its place, as Pillow's `ImageOps`, `ImageEnhance` and
//! `ImageFilter` do, to the last bit.

use super::raster::Raster;

impl Raster {
    /// Stretches each channel to the whole range.
    pub(super) fn auto_contrast(&mut self) {
        self.look_up(|plane| {
            let (low, high) =
                plane.iter().fold((255, 0), |(low, high), &pixel| (pixel.min(low), pixel.max(high)));
            if high <= low {
                return std::array::from_fn(|pixel| pixel as u8);
            }
            let scale = 255.0 / f64::from(high - low);
            let offset = -f64::from(low) * scale;
            // A cast rounds toward zero and keeps to the range.
            std::array::from_fn(|pixel| (pixel as f64 * scale + offset) as u8)
        });
    }

    /// Spreads the pixel values of each channel evenly over the range.
    pub(super) fn equalize(&mut self) {
        self.look_up(|plane| {
            let mut counts = [0; 256];
            plane.iter().for_each(|&pixel| counts[usize::from(pixel)] += 1);
            let last = counts.iter().rev().find(|&&count| count > 0).copied().unwrap_or(0);
            let step = (plane.len() - last) / 255;
            if step == 0 {
                return std::array::from_fn(|pixel| pixel as u8);
            }
            let mut sum = step / 2;
            counts.map(|count| {
                let level = (sum / step).min(255) as u8;
                sum += count;
                level
            })
        });
    }

    /// Replaces each pixel value by what `change` makes of it.
    pub(super) fn by_value(&mut self, change: impl Fn(u8) -> u8) {
        let table = std::array::from_fn(|pixel| change(pixel as u8));
        self.look_up(|_| table);
    }

    /// Moves from the gray image, at 0, through this one, at 1, to stronger colours. An image of one channel stays as it is.
    pub(super) fn color(&mut self, factor: f64) {
        let luma = self.luma();
        self.blend(factor, |plane| plane.copy_from_slice(&luma));
    }

    /// Moves from the mean gray, at 0, through this image, at 1, to more contrast.
    pub(super) fn contrast(&mut self, factor: f64) {
        let luma = self.luma();
        let sum: u64 = luma.iter().map(|&pixel| u64::from(pixel)).sum();
        let mean = (sum as f64 / luma.len() as f64 + 0.5) as u8;
        self.blend(factor, |plane| plane.fill(mean));
    }

    /// Moves from black, at 0, through this image, at 1, to brighter ones.
    pub(super) fn brightness(&mut self, factor: f64) {
        self.blend(factor, |plane| plane.fill(0));
    }

    /// Moves from the smoothed image, at 0, through this one, at 1, to a sharper one.
    pub(super) fn sharpness(&mut self, factor: f64) {
        let (height, width) = (self.height, self.width);
        self.blend(factor, |plane| smooth(plane, height, width));
    }

    /// Blends what `degenerate` makes of each plane with the plane, as Pillow's `ImagingBlend` does.
    fn blend(&mut self, factor: f64, degenerate: impl Fn(&mut [u8])) {
        let factor = factor as f32;
        if factor == 1.0 {
            return;
        }
        let mut from = vec![0; self.height * self.width];
        for plane in self.pixels.chunks_exact_mut(self.height * self.width) {
            from.copy_from_slice(plane);
            degenerate(&mut from);
            for (pixel, &from) in plane.iter_mut().zip(&from) {
                let from = i32::from(from);
                // A cast rounds toward zero and keeps to the range.
                *pixel = (from as f32 + factor * (i32::from(*pixel) - from) as f32) as u8;
            }
        }
    }
}

/// Pillow's filter `SMOOTH`: each pixel counts five times, its eight neighbours once. What has not eight neighbours stays.
fn smooth(plane: &mut [u8], height: usize, width: usize) {
    let before = plane.to_vec();
    for y in 1..height.saturating_sub(1) {
        for x in 1..width.saturating_sub(1) {
            let row = |y: usize| &before[y * width + x - 1..y * width + x + 2];
            let neighbourhood = [row(y - 1), row(y), row(y + 1)];
            let sum: u32 =
                neighbourhood.iter().flat_map(|row| row.iter()).map(|&pixel| u32::from(pixel)).sum();
            let weighted = sum + 4 * u32::from(before[y * width + x]);
            // To the nearest: thirteen divides into no halves.
            plane[y * width + x] = ((2 * weighted + 13) / 26) as u8;
        }
    }
}
