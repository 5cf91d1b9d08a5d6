//! An image while it is augmented.

/// Pixels of 8 bits, `[channels, height, width]`, with 0 as black and 255 as white.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::data) struct Raster {
    pub(in crate::data) height: usize,
    pub(in crate::data) width: usize,
    pub(in crate::data) pixels: Vec<u8>,
}

/// A rectangle of pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::data) struct Rectangle {
    pub(in crate::data) top: usize,
    pub(in crate::data) left: usize,
    pub(in crate::data) height: usize,
    pub(in crate::data) width: usize,
}

impl Raster {
    pub(in crate::data) fn new(height: usize, width: usize, pixels: Vec<u8>) -> Self {
        Self { height, width, pixels }
    }

    /// The planes of its channels, each `[height, width]`.
    pub(super) fn planes(&self) -> impl Iterator<Item = &[u8]> {
        self.pixels.chunks_exact(self.height * self.width)
    }

    /// The image whose planes are what `change` makes of this one's; they have `height` and `width`.
    pub(super) fn by_plane(&self, height: usize, width: usize, change: impl Fn(&[u8]) -> Vec<u8>) -> Self {
        let mut pixels = Vec::with_capacity(self.pixels.len() / (self.height * self.width) * height * width);
        self.planes().for_each(|plane| pixels.append(&mut change(plane)));
        Self { height, width, pixels }
    }

    /// Replaces each pixel value of a plane by that of the table that `table` makes from the plane.
    pub(super) fn look_up(&mut self, table: impl Fn(&[u8]) -> [u8; 256]) {
        for plane in self.pixels.chunks_exact_mut(self.height * self.width) {
            let table = table(plane);
            plane.iter_mut().for_each(|pixel| *pixel = table[usize::from(*pixel)]);
        }
    }

    /// What lies within `rectangle`.
    pub(in crate::data) fn cropped(&self, rectangle: Rectangle) -> Self {
        let Rectangle { top, left, height, width } = rectangle;
        let rows = |plane: &[u8]| {
            let rows = plane.chunks_exact(self.width).skip(top).take(height);
            rows.flat_map(|row| row[left..left + width].iter().copied()).collect()
        };
        self.by_plane(height, width, rows)
    }

    /// The square of `size` that begins at `top` and `left`. Beyond a border lies the image again, mirrored at its last pixels.
    pub(super) fn reflected(&self, top: isize, left: isize, size: usize) -> Self {
        let within = |place: isize, side: usize| {
            let (place, last) = (place.unsigned_abs(), side - 1);
            if place > last { last.saturating_sub(place - last) } else { place }
        };
        let places = |first: isize, side| (0..size as isize).map(move |place| within(first + place, side));
        self.by_plane(size, size, |plane| {
            let row = |y| places(left, self.width).map(move |x| plane[y * self.width + x]);
            places(top, self.height).flat_map(row).collect()
        })
    }

    /// The plane of its luma, as Pillow's `convert("L")` computes it from three channels; of one channel, the channel.
    pub(super) fn luma(&self) -> Vec<u8> {
        let planes: Vec<&[u8]> = self.planes().collect();
        match planes.as_slice() {
            [red, green, blue] => {
                let part = |weight: u32, pixel: u8| weight * u32::from(pixel);
                let pixels = red.iter().zip(*green).zip(*blue);
                let luma = |((&r, &g), &b)| part(19595, r) + part(38470, g) + part(7471, b) + (1 << 15);
                pixels.map(|pixel| (luma(pixel) >> 16) as u8).collect()
            }
            _ => planes.first().map(|plane| plane.to_vec()).unwrap_or_default(),
        }
    }
}
