//! An image while it is resized and augmented.

use vitslim_kernels::vectorised;

/// Four channels of a pixel, which vector instructions take at once.
pub(super) type Four = [u8; FOUR];

const FOUR: usize = 4;

/// Pixels of 8 bits, with 0 as black and 255 as white.
#[derive(Clone, Debug)]
pub(in crate::data) struct Raster {
    pub(super) channels: usize,
    pub(in crate::data) height: usize,
    pub(in crate::data) width: usize,
    /// `[layers, height, width]`. A layer has four channels, the last one what is left of them, and values that mean nothing.
    pub(super) pixels: Vec<Four>,
}

/// A rectangle of pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::data) struct Rectangle {
    pub(in crate::data) top: usize,
    pub(in crate::data) left: usize,
    pub(in crate::data) height: usize,
    pub(in crate::data) width: usize,
}

/// `value` as a pixel value: rounded down and kept to the range, without `as`, which does not compile to vector instructions. It must be
/// a number.
#[inline(always)]
pub(super) fn floor(value: f32) -> u8 {
    /// So large that a sum with it has no fraction, and a small number in its last bits.
    const LARGE: f32 = 8_388_608.0;

    (value.clamp(0.0, 255.0).floor() + LARGE).to_bits() as u8
}

impl Rectangle {
    /// All of an image.
    pub(in crate::data) fn whole(height: usize, width: usize) -> Self {
        Self { top: 0, left: 0, height, width }
    }
}

impl Raster {
    /// The image of `planes`, `[channels, height, width]`.
    pub(in crate::data) fn of_planes(height: usize, width: usize, planes: &[u8]) -> Self {
        let area = height * width;
        let channels = planes.len() / area;
        let mut pixels = vec![[0; FOUR]; channels.div_ceil(FOUR) * area];
        for (channel, plane) in planes.chunks_exact(area).enumerate() {
            let layer = &mut pixels[channel / FOUR * area..][..area];
            layer.iter_mut().zip(plane).for_each(|(pixel, &value)| pixel[channel % FOUR] = value);
        }
        Self { channels, height, width, pixels }
    }

    /// The image of three channels whose `pixels` are `[height, width, 3]`.
    pub(in crate::data) fn of_rgb(height: usize, width: usize, pixels: &[u8]) -> Self {
        let pixels = pixels.as_chunks().0;
        let pixels = vectorised(
            #[inline(always)]
            || pixels.iter().map(|&[red, green, blue]| [red, green, blue, 0]).collect(),
        );
        Self { channels: 3, height, width, pixels }
    }

    /// Puts its pixels into `planes`, `[channels, height, width]`.
    pub(in crate::data) fn copy_to(&self, planes: &mut [u8]) {
        for (channel, plane) in planes.chunks_exact_mut(self.height * self.width).enumerate() {
            plane.iter_mut().zip(self.channel(channel)).for_each(|(value, pixel)| *value = pixel);
        }
    }

    /// Puts its values, normalised by `table`, into `values`, `[channels, height, width]`.
    pub(in crate::data) fn normalised(&self, table: &[[f32; 256]], values: &mut [f32]) {
        let planes = values.chunks_exact_mut(self.height * self.width).zip(table);
        for (channel, (plane, table)) in planes.enumerate() {
            let pixels = self.channel(channel);
            plane.iter_mut().zip(pixels).for_each(|(value, pixel)| *value = table[usize::from(pixel)]);
        }
    }

    /// The pixels of a channel.
    pub(super) fn channel(&self, channel: usize) -> impl Iterator<Item = u8> {
        let area = self.height * self.width;
        let layer = &self.pixels[channel / FOUR * area..][..area];
        layer.iter().map(move |pixel| pixel[channel % FOUR])
    }

    /// Its layers, each `[height, width]`.
    pub(super) fn layers(&self) -> impl Iterator<Item = &[Four]> {
        self.pixels.chunks_exact(self.height * self.width)
    }

    /// Its layers, each `[height, width]`.
    pub(super) fn layers_mut(&mut self) -> impl Iterator<Item = &mut [Four]> {
        self.pixels.chunks_exact_mut(self.height * self.width)
    }

    /// The image of `height` and `width` whose layers are what `change` makes of this one's.
    pub(super) fn by_layer(
        &self,
        height: usize,
        width: usize,
        change: impl Fn(&[Four], &mut [Four]),
    ) -> Self {
        let mut pixels = vec![[0; FOUR]; self.channels.div_ceil(FOUR) * height * width];
        for (before, after) in self.layers().zip(pixels.chunks_exact_mut(height * width)) {
            change(before, after);
        }
        Self { channels: self.channels, height, width, pixels }
    }

    /// Replaces each value by what `change` makes of it.
    pub(super) fn by_value(&mut self, change: impl Fn(u8) -> u8) {
        vectorised(
            // What `change` knows is moved, too, so that the pixels are known not to be a part of it.
            #[inline(always)]
            move || {
                for value in self.pixels.as_flattened_mut() {
                    *value = change(*value);
                }
            },
        );
    }

    /// Replaces each value of a channel by that of the table that `table` makes of how often each value occurs in it.
    pub(super) fn by_histogram(&mut self, table: impl Fn(&[usize; 256]) -> [u8; 256]) {
        for layer in self.layers_mut() {
            let mut counts = [[0; 256]; FOUR];
            for pixel in &*layer {
                counts.iter_mut().zip(pixel).for_each(|(counts, &value)| counts[usize::from(value)] += 1);
            }
            let tables = counts.each_ref().map(&table);
            for pixel in layer {
                pixel.iter_mut().zip(&tables).for_each(|(value, table)| *value = table[usize::from(*value)]);
            }
        }
    }

    /// The image with its rows as columns.
    pub(super) fn transposed(&self) -> Self {
        self.by_layer(self.width, self.height, |before, after| {
            for (x, column) in after.chunks_exact_mut(self.height).enumerate() {
                let row_values = before.chunks_exact(self.width).map(|row| row[x]);
                column.iter_mut().zip(row_values).for_each(|(pixel, value)| *pixel = value);
            }
        })
    }

    /// The square of `size` that begins at `top` and `left`. Beyond a border lies the image again, mirrored at its last pixels.
    pub(super) fn reflected(&self, top: isize, left: isize, size: usize) -> Self {
        let within = |place: isize, side: usize| {
            let (place, last) = (place.unsigned_abs(), side - 1);
            if place > last { last.saturating_sub(place - last) } else { place }
        };
        let places = |first: isize, side| (0..size as isize).map(move |place| within(first + place, side));
        self.by_layer(size, size, |before, after| {
            for (y, after) in places(top, self.height).zip(after.chunks_exact_mut(size)) {
                let row = &before[y * self.width..(y + 1) * self.width];
                after.iter_mut().zip(places(left, self.width)).for_each(|(pixel, x)| *pixel = row[x]);
            }
        })
    }

    /// Its luma, as Pillow's `convert("L")` computes it from three channels; of one channel, the channel.
    pub(super) fn luma(&self) -> Vec<u8> {
        if self.channels != 3 {
            return self.channel(0).collect();
        }
        let luma = |&[red, green, blue, _]: &Four| {
            let [red, green, blue] = [red, green, blue].map(u32::from);
            ((19595 * red + 38470 * green + 7471 * blue + (1 << 15)) >> 16) as u8
        };
        vectorised(
            #[inline(always)]
            || self.pixels.iter().map(luma).collect(),
        )
    }
}
