//! Blurs an image by a Gaussian, which Pillow's `GaussianBlur` makes of three box blurs with fractional edges
//! ([Gwosdek et al. 2011](https://www.mia.uni-saarland.de/Publications/gwosdek-ssvm11.pdf)).

use super::raster::{Four, Raster};

const PASSES: usize = 3;

impl Raster {
    /// Blurs by a Gaussian of standard deviation `radius`, in pixels.
    pub(super) fn gaussian_blur(&mut self, radius: f64) {
        let Some(window) = Window::of(radius as f32) else { return };
        let width = self.width;
        for layer in self.layers_mut() {
            for row in layer.chunks_exact_mut(width) {
                (0..PASSES).for_each(|_| window.blur(row));
            }
            for x in 0..width {
                let mut column: Vec<Four> = layer.iter().skip(x).step_by(width).copied().collect();
                (0..PASSES).for_each(|_| window.blur(&mut column));
                let places = layer.iter_mut().skip(x).step_by(width);
                places.zip(column).for_each(|(pixel, blurred)| *pixel = blurred);
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

    /// Blurs a line, which continues beyond its ends as its first and last pixel.
    fn blur(&self, line: &mut [Four]) {
        let Self { radius, inside, edge } = *self;
        let before = line.to_vec();
        let at = |place: usize, offset: isize| {
            let place = place as isize + offset;
            before[place.clamp(0, before.len() as isize - 1) as usize].map(u32::from)
        };
        let reach = radius as isize;
        let mut sum = [0; 4];
        for offset in -reach..=reach {
            let pixel = at(0, offset);
            sum = std::array::from_fn(|channel| sum[channel] + pixel[channel]);
        }
        for (place, pixel) in line.iter_mut().enumerate() {
            let (first, last) = (at(place, -reach), at(place, reach + 1));
            let outside = at(place, -reach - 1);
            *pixel = std::array::from_fn(|channel| {
                let outside = outside[channel] + last[channel];
                ((sum[channel] * inside + outside * edge + (1 << 23)) >> 24) as u8
            });
            sum = std::array::from_fn(|channel| sum[channel] + last[channel] - first[channel]);
        }
    }
}
