//! Resizes an image by antialiased bicubic interpolation, as Pillow's `resize` does, to the last bit. Crates that resize round
//! otherwise.

use std::ops::Range;

use vitslim_kernels::vectorised;

use super::raster::{Four, Raster, Rectangle};

/// Bits after the point of the weights of 8-bit pixels.
const PRECISION: u32 = 32 - 8 - 2;

/// A half of a pixel value, to round.
const HALF: i32 = 1 << (PRECISION - 1);

/// Pixels that the filter reaches to each side.
const SUPPORT: f64 = 2.0;

/// Pixels of a line that are weighted at once.
const PIXELS: usize = 4;

/// Values of a line that are weighted at once, where lines lie one below the other.
const LANES: usize = 32;

impl Raster {
    /// What is `seen` of the image that its `part` becomes in `height` and `width`.
    pub(in crate::data) fn resized(
        &self,
        part: Rectangle,
        height: usize,
        width: usize,
        seen: Rectangle,
    ) -> Self {
        let rows = Line::new(part.top..part.top + part.height, height, seen.top..seen.top + seen.height);
        let columns = Line::new(part.left..part.left + part.width, width, seen.left..seen.left + seen.width);
        // The order of Pillow 13, found by comparing. Pillow 12 always begins with the width.
        let fewer_rows = part.height.saturating_sub(height) as isize;
        let fewer_columns = part.width as isize - width as isize;
        if fewer_rows > 0 && fewer_rows > 2 * fewer_columns {
            let needed = columns.needed();
            self.with_rows(&rows, needed.clone()).with_columns(&columns.moved(needed.start), 0..seen.height)
        } else {
            let needed = rows.needed();
            self.with_columns(&columns, needed.clone()).with_rows(&rows.moved(needed.start), 0..seen.width)
        }
    }

    /// The pixels of `columns` in each of the `rows`.
    fn with_columns(&self, columns: &Line, rows: Range<usize>) -> Self {
        let width = columns.first.len();
        self.by_layer(rows.len(), width, |before, after| {
            let before = before.chunks_exact(self.width).skip(rows.start);
            let mut sums = vec![[0; 4]; width];
            vectorised(
                #[inline(always)]
                || {
                    for (before, after) in before.zip(after.chunks_exact_mut(width)) {
                        columns.weigh(before, &mut sums);
                        for (value, &sum) in after.as_flattened_mut().iter_mut().zip(sums.as_flattened()) {
                            *value = whole(sum);
                        }
                    }
                },
            );
        })
    }

    /// The pixels of `rows` in each of the `columns`.
    fn with_rows(&self, rows: &Line, columns: Range<usize>) -> Self {
        let width = columns.len();
        self.by_layer(rows.first.len(), width, |before, after| {
            let of_pixel = rows.first.iter().zip(rows.weights.chunks_exact(rows.taps));
            for ((&first, weights), after) in of_pixel.zip(after.chunks_exact_mut(width)) {
                let weighted = weights.iter().enumerate().filter(|(_, weight)| weight[0] != 0);
                let lines: Vec<(&[u8], i32)> = weighted
                    .map(|(tap, &[weight, ..])| {
                        let start = (first + tap) * self.width + columns.start;
                        (before[start..start + width].as_flattened(), weight)
                    })
                    .collect();
                vectorised(
                    #[inline(always)]
                    || weighted_sum(&lines, after.as_flattened_mut()),
                );
            }
        })
    }
}

/// How the pixels of a line are made of those of another.
struct Line {
    /// The first pixel that each is made of.
    first: Vec<usize>,
    /// Number of pixels that each is made of. Those beyond the reach of the filter have a weight of 0.
    taps: usize,
    /// `[pixels, taps, 4]`: the same for each channel, as vector instructions take them.
    weights: Vec<[i32; 4]>,
}

impl Line {
    /// The pixels `seen` of what `part` of a line becomes in `length`.
    fn new(part: Range<usize>, length: usize, seen: Range<usize>) -> Self {
        let before = part.len();
        if before == length {
            let first = seen.clone().map(|place| part.start + place).collect();
            return Self { first, taps: 1, weights: vec![[1 << PRECISION; 4]; seen.len()] };
        }
        let scale = before as f64 / length as f64;
        let stretch = scale.max(1.0);
        let support = SUPPORT * stretch;
        let centre = |place: usize| (place as f64 + 0.5) * scale;
        let reached = |place: usize| {
            let centre = centre(place);
            // A cast rounds toward zero and keeps to the range.
            (centre - support + 0.5) as usize..((centre + support + 0.5) as usize).min(before)
        };
        let most = seen.clone().map(|place| reached(place).len()).max().unwrap_or(0);
        let taps = most.next_multiple_of(PIXELS).min(before);
        let (mut first, mut weights) = (Vec::with_capacity(seen.len()), vec![[0; 4]; seen.len() * taps]);
        for (place, fixed) in seen.zip(weights.chunks_exact_mut(taps)) {
            let (centre, reached) = (centre(place), reached(place));
            let inverse = 1.0 / stretch;
            let weight = |x: usize| bicubic((x as f64 - centre + 0.5) * inverse);
            let sum: f64 = reached.clone().map(weight).sum();
            let start = reached.start.min(before - taps);
            for x in reached {
                fixed[x - start] = [(weight(x) / sum * f64::from(1 << PRECISION)).round() as i32; 4];
            }
            first.push(part.start + start);
        }
        Self { first, taps, weights }
    }

    /// The pixels of the other line that it is made of.
    fn needed(&self) -> Range<usize> {
        let [start, end] = [self.first.first(), self.first.last()].map(|first| first.copied().unwrap_or(0));
        start..end + self.taps
    }

    /// The same of a line that begins at the pixel `start` of the other.
    fn moved(mut self, start: usize) -> Self {
        self.first.iter_mut().for_each(|first| *first -= start);
        self
    }

    /// The pixels of the line `before`, weighted and added up for each of this line, into `after`.
    #[inline(always)]
    fn weigh(&self, before: &[Four], after: &mut [[i32; 4]]) {
        let of_pixel = self.first.iter().zip(self.weights.chunks_exact(self.taps));
        for ((&first, weights), after) in of_pixel.zip(after) {
            let (pixels, rest) = before[first..first + self.taps].as_chunks::<PIXELS>();
            let (weights, last_weights) = weights.as_chunks::<PIXELS>();
            let mut sums = [[0; 4]; PIXELS];
            for (pixels, weights) in pixels.iter().zip(weights) {
                for pixel in 0..PIXELS {
                    weigh(&pixels[pixel], &weights[pixel], &mut sums[pixel]);
                }
            }
            for (pixel, weights) in rest.iter().zip(last_weights) {
                weigh(pixel, weights, &mut sums[0]);
            }
            let mut sum = [HALF; 4];
            for pixel in sums {
                for channel in 0..4 {
                    sum[channel] += pixel[channel];
                }
            }
            *after = sum;
        }
    }
}

/// Adds a weighted pixel to `sum`.
#[inline(always)]
fn weigh(pixel: &Four, weights: &[i32; 4], sum: &mut [i32; 4]) {
    for channel in 0..4 {
        sum[channel] += i32::from(pixel[channel]) * weights[channel];
    }
}

/// The sum of weighted lines, value by value.
#[inline(always)]
fn weighted_sum(lines: &[(&[u8], i32)], after: &mut [u8]) {
    let mut start = 0;
    let (whole_blocks, rest) = after.as_chunks_mut::<LANES>();
    for block in whole_blocks {
        let mut sums = [HALF; LANES];
        for &(line, weight) in lines {
            let line = &line[start..start + LANES];
            for lane in 0..LANES {
                sums[lane] += i32::from(line[lane]) * weight;
            }
        }
        for lane in 0..LANES {
            block[lane] = whole(sums[lane]);
        }
        start += LANES;
    }
    for (place, value) in rest.iter_mut().enumerate() {
        let sum =
            lines.iter().fold(HALF, |sum, (line, weight)| sum + i32::from(line[start + place]) * weight);
        *value = whole(sum);
    }
}

/// A sum of weighted pixels and a half, without what is after the point.
#[inline(always)]
fn whole(sum: i32) -> u8 {
    (sum >> PRECISION).clamp(0, 255) as u8
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
