//! Resizes an image by antialiased bicubic interpolation, as Pillow's `resize` does, to the last bit. Crates that resize round
//! otherwise.

use super::raster::Raster;

/// Bits after the point of the weights of 8-bit pixels.
const PRECISION: u32 = 32 - 8 - 2;

/// A half of a pixel value, to round.
const HALF: i32 = 1 << (PRECISION - 1);

/// Pixels that the filter reaches to each side.
const SUPPORT: f64 = 2.0;

/// What one pixel of a resized line is made of.
struct Pixel {
    first: usize,
    weights: Vec<i32>,
}

impl Raster {
    /// The image in `height` and `width`. A side that has that length already is not filtered.
    pub(in crate::data) fn resized(self, height: usize, width: usize) -> Self {
        // The order of Pillow 13, found by comparing. Pillow 12 always begins with the width.
        let fewer_rows = self.height.saturating_sub(height) as isize;
        let fewer_columns = self.width as isize - width as isize;
        match fewer_rows > 0 && fewer_rows > 2 * fewer_columns {
            true => self.with_height(height).with_width(width),
            false => self.with_width(width).with_height(height),
        }
    }

    fn with_width(self, width: usize) -> Self {
        if self.width == width {
            return self;
        }
        let pixels = weights(self.width, width);
        self.by_plane(self.height, width, |plane| {
            let mut resized = Vec::with_capacity(self.height * width);
            for row in plane.chunks_exact(self.width) {
                resized.extend(pixels.iter().map(|pixel| pixel.of(&row[pixel.first..])));
            }
            resized
        })
    }

    fn with_height(self, height: usize) -> Self {
        if self.height == height {
            return self;
        }
        let pixels = weights(self.height, height);
        self.by_plane(height, self.width, |plane| {
            let mut resized = Vec::with_capacity(height * self.width);
            let mut sums = vec![0; self.width];
            for pixel in &pixels {
                sums.fill(HALF);
                let rows = plane.chunks_exact(self.width).skip(pixel.first);
                for (row, weight) in rows.zip(&pixel.weights) {
                    sums.iter_mut().zip(row).for_each(|(sum, &value)| *sum += i32::from(value) * weight);
                }
                resized.extend(sums.iter().copied().map(whole));
            }
            resized
        })
    }
}

impl Pixel {
    /// The pixel, of a line from `first` on.
    fn of(&self, line: &[u8]) -> u8 {
        whole(
            line.iter()
                .zip(&self.weights)
                .fold(HALF, |sum, (&value, weight)| sum + i32::from(value) * weight),
        )
    }
}

/// A sum of weighted pixels and a half, without what is after the point.
fn whole(sum: i32) -> u8 {
    (sum >> PRECISION).clamp(0, 255) as u8
}

/// How each pixel of a line of `after` is made of a line of `before`.
fn weights(before: usize, after: usize) -> Vec<Pixel> {
    let scale = before as f64 / after as f64;
    let stretch = scale.max(1.0);
    let support = SUPPORT * stretch;
    let pixel = |place: usize| {
        let centre = (place as f64 + 0.5) * scale;
        // A cast rounds toward zero and keeps to the range.
        let first = (centre - support + 0.5) as usize;
        let end = ((centre + support + 0.5) as usize).min(before);
        let inverse = 1.0 / stretch;
        let weights: Vec<f64> =
            (0..end - first).map(|x| bicubic(((x + first) as f64 - centre + 0.5) * inverse)).collect();
        let sum: f64 = weights.iter().sum();
        let fixed = |weight: f64| (weight / sum * f64::from(1 << PRECISION)).round() as i32;
        Pixel { first, weights: weights.into_iter().map(fixed).collect() }
    };
    (0..after).map(pixel).collect()
}

/// Keys' cubic with a = -0.5.
fn bicubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    match x.abs() {
        x if x < 1.0 => ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0,
        x if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * A,
        _ => 0.0,
    }
}
