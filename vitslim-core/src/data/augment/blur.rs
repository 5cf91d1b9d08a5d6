//! Blurs an image by a Gaussian, which Pillow's `GaussianBlur` makes of three box blurs with fractional edges
//! ([Gwosdek et al. 2011](https://www.mia.uni-saarland.de/Publications/gwosdek-ssvm11.pdf)).

use vitslim_kernels::vectorised;

use super::raster::{Four, Raster};

const PASSES: usize = 3;

impl Raster {
    /// Blurs by a Gaussian of standard deviation `radius`, in pixels.
    pub(super) fn gaussian_blur(&mut self, radius: f64) {
        let Some(window) = Window::of(radius as f32) else { return };
        // Along the rows, which lie as columns then, and along the columns.
        for _ in 0..2 {
            *self = self.transposed();
            let width = self.width;
            for layer in self.layers_mut() {
                (0..PASSES).for_each(|_| window.blur(layer, width));
            }
        }
    }
}

/// A box that counts whole pixels to `radius`, and a part of those just outside. Weights have 24 bits after the point.
struct Window {
    radius: usize,
    inside: u32,
    edge: u32,
}

impl Window {
    /// The box that, applied three times, comes close to a Gaussian; `None` if that is one pixel alone.
    fn of(radius: f32) -> Option<Self> {
        let variance = radius * radius / PASSES as f32;
        // Pillow computes in f64 where C's `sqrt` and `floor` do, and keeps f32.
        let length = f64::from(12.0 * f64::from(variance) as f32 + 1.0).sqrt() as f32;
        let whole = ((f64::from(length) - 1.0) / 2.0).floor() as f32;
        let mut part = (2.0 * whole + 1.0) * (whole * (whole + 1.0) - 3.0 * variance);
        part /= 6.0 * (variance - (whole + 1.0) * (whole + 1.0));
        let size = whole + part;
        if size == 0.0 {
            return None;
        }
        let radius = size as usize;
        let inside = ((1 << 24) as f32 / (size * 2.0 + 1.0)) as u32;
        let edge = ((1 << 24) - (2 * radius as u32 + 1) * inside) / 2;
        Some(Self { radius, inside, edge })
    }

    /// Blurs the columns of a layer, which continue beyond their ends as their first and last pixel.
    fn blur(&self, layer: &mut [Four], width: usize) {
        let Self { radius, inside, edge } = *self;
        let before = layer.to_vec();
        let rows: Vec<&[u8]> = before.chunks_exact(width).map(|row| row.as_flattened()).collect();
        // `radius` rows up from a place, and some further down.
        let row = |place: usize, down: usize| rows[(place + down).saturating_sub(radius).min(rows.len() - 1)];
        let mut sums = vec![0_u32; 4 * width];
        for down in 0..=2 * radius {
            sums.iter_mut().zip(row(0, down)).for_each(|(sum, &value)| *sum += u32::from(value));
        }
        for (y, after) in layer.chunks_exact_mut(width).enumerate() {
            let (first, next) = (row(y, 0), row(y, 2 * radius + 1));
            let outside = rows[y.saturating_sub(radius + 1)];
            let lines = outside.iter().zip(first).zip(next);
            vectorised(
                #[inline(always)]
                || {
                    let after = after.as_flattened_mut().iter_mut().zip(&mut sums);
                    for ((value, sum), ((&outside, &first), &next)) in after.zip(lines) {
                        let [outside, first, next] = [u32::from(outside), u32::from(first), u32::from(next)];
                        *value = ((*sum * inside + (outside + next) * edge + (1 << 23)) >> 24) as u8;
                        *sum = *sum + next - first;
                    }
                },
            );
        }
    }
}
