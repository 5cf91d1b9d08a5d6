//! Operations that change the colours of an image and leave everything in its place, as Pillow's `ImageOps`, `ImageEnhance` and
//! `ImageFilter` do, to the last bit.

use vitslim_kernels::vectorised;

use super::raster::{Four, Raster, floor};

impl Raster {
    /// Stretches each channel to the whole range.
    pub(super) fn auto_contrast(&mut self) {
        self.by_histogram(|counts| {
            let occurs = |count: &usize| *count > 0;
            let low = counts.iter().position(occurs).unwrap_or(0);
            let high = counts.iter().rposition(occurs).unwrap_or(0);
            if high <= low {
                return std::array::from_fn(|value| value as u8);
            }
            let scale = 255.0 / (high - low) as f64;
            let offset = -(low as f64) * scale;
            // A cast rounds toward zero and keeps to the range.
            std::array::from_fn(|value| (value as f64 * scale + offset) as u8)
        });
    }

    /// Spreads the values of each channel evenly over the range.
    pub(super) fn equalize(&mut self) {
        self.by_histogram(|counts| {
            let last = counts.iter().rev().find(|&&count| count > 0).copied().unwrap_or(0);
            let step = (counts.iter().sum::<usize>() - last) / 255;
            if step == 0 {
                return std::array::from_fn(|value| value as u8);
            }
            let mut sum = step / 2;
            counts.map(|count| {
                let level = (sum / step).min(255) as u8;
                sum += count;
                level
            })
        });
    }

    /// Moves from the gray image, at 0, through this one, at 1, to stronger colours. An image of one channel stays as it is.
    pub(super) fn color(&mut self, factor: f64) {
        let gray: Vec<Four> = self.luma().into_iter().map(|luma| [luma; 4]).collect();
        self.blend(factor, |from| from.copy_from_slice(&gray));
    }

    /// Moves from the mean gray, at 0, through this image, at 1, to more contrast.
    pub(super) fn contrast(&mut self, factor: f64) {
        let luma = self.luma();
        let sum: u64 = luma.iter().map(|&luma| u64::from(luma)).sum();
        let mean = (sum as f64 / luma.len() as f64 + 0.5) as u8;
        self.blend(factor, |from| from.fill([mean; 4]));
    }

    /// Moves from black, at 0, through this image, at 1, to brighter ones.
    pub(super) fn brightness(&mut self, factor: f64) {
        self.blend(factor, |from| from.fill([0; 4]));
    }

    /// Moves from the smoothed image, at 0, through this one, at 1, to a sharper one.
    pub(super) fn sharpness(&mut self, factor: f64) {
        let width = self.width;
        self.blend(factor, |from| smooth(from, width));
    }

    /// Blends what `degenerate` makes of each layer with the layer, as Pillow's `ImagingBlend` does.
    fn blend(&mut self, factor: f64, degenerate: impl Fn(&mut [Four])) {
        let factor = factor as f32;
        if factor == 1.0 {
            return;
        }
        for layer in self.layers_mut() {
            let mut from = layer.to_vec();
            degenerate(&mut from);
            vectorised(
                #[inline(always)]
                move || {
                    for (value, &from) in layer.as_flattened_mut().iter_mut().zip(from.as_flattened()) {
                        let from = i32::from(from);
                        *value = floor(from as f32 + factor * (i32::from(*value) - from) as f32);
                    }
                },
            );
        }
    }
}

/// Pillow's filter `SMOOTH`: each pixel counts five times, its eight neighbours once. What has not eight neighbours stays.
fn smooth(layer: &mut [Four], width: usize) {
    let before = layer.to_vec();
    let rows: Vec<&[u8]> = before.chunks_exact(width).map(|row| row.as_flattened()).collect();
    let inside = layer.chunks_exact_mut(width).skip(1).zip(rows.array_windows());
    // Of three rows.
    let mut sums = vec![0_u16; 4 * width];
    for (after, &[above, row, below]) in inside {
        vectorised(
            #[inline(always)]
            || {
                for (((sum, &above), &own), &below) in sums.iter_mut().zip(above).zip(row).zip(below) {
                    *sum = u16::from(above) + u16::from(own) + u16::from(below);
                }
                let three = sums.iter().zip(sums.iter().skip(4)).zip(sums.iter().skip(8));
                let after = after.as_flattened_mut().iter_mut().zip(row).skip(4);
                for ((value, &own), ((&left, &middle), &right)) in after.zip(three) {
                    let weighted = left + middle + right + 4 * u16::from(own);
                    // To the nearest: thirteen divides into no halves.
                    *value = ((2 * weighted + 13) / 26) as u8;
                }
            },
        );
    }
}
