//! Operations that move the pixels of an image, as Pillow's `transform` and `rotate` do with bicubic interpolation.

use vitslim_kernels::vectorised;

use super::raster::{Four, Raster, floor};

/// Where a pixel at `(x, y)` comes from: `(a x + b y + c, d x + e y + f)`.
type Affine = [f64; 6];

impl Raster {
    /// Turns the image about its centre, counter-clockwise.
    pub(super) fn rotate(&mut self, degrees: f64, fill: &[u8]) {
        if degrees == 0.0 {
            return;
        }
        let (sin, cos) = (-degrees.to_radians()).sin_cos();
        let (x, y) = (self.width as f64 / 2.0, self.height as f64 / 2.0);
        self.transform([cos, sin, x - cos * x - sin * y, -sin, cos, y + sin * x - cos * y], fill);
    }

    /// Shifts each row by `factor` times its place.
    pub(super) fn shear_x(&mut self, factor: f64, fill: &[u8]) {
        self.transform([1.0, factor, 0.0, 0.0, 1.0, 0.0], fill);
    }

    /// Shifts each column by `factor` times its place.
    pub(super) fn shear_y(&mut self, factor: f64, fill: &[u8]) {
        self.transform([1.0, 0.0, 0.0, factor, 1.0, 0.0], fill);
    }

    /// Shifts the image to the left by a `part` of its width.
    pub(super) fn translate_x(&mut self, part: f64, fill: &[u8]) {
        self.transform([1.0, 0.0, part * self.width as f64, 0.0, 1.0, 0.0], fill);
    }

    /// Shifts the image up by a `part` of its height.
    pub(super) fn translate_y(&mut self, part: f64, fill: &[u8]) {
        self.transform([1.0, 0.0, 0.0, 0.0, 1.0, part * self.height as f64], fill);
    }

    /// Replaces each pixel by what lies where `affine` leads: in `fill`, one value for each channel, outside the image.
    fn transform(&mut self, affine: Affine, fill: &[u8]) {
        let [a, b, c, d, e, f] = affine;
        let (height, width) = (self.height, self.width);
        for (layer, fill) in self.layers_mut().zip(fill.chunks(4)) {
            let mut outside = [0.0; 4];
            outside.iter_mut().zip(fill).for_each(|(value, &fill)| *value = f64::from(fill));
            let wide = widened(layer, width);
            let mut values = vec![[0.0; 4]; width];
            vectorised(
                #[inline(always)]
                || {
                    for (y, row) in layer.chunks_exact_mut(width).enumerate() {
                        for (x, value) in values.iter_mut().enumerate() {
                            let (x, y) = (x as f64 + 0.5, y as f64 + 0.5);
                            let (x, y) = (a * x + b * y + c, d * x + e * y + f);
                            let is_inside = x >= 0.0 && x < width as f64 && y >= 0.0 && y < height as f64;
                            *value = if is_inside { bicubic(&wide, width, x, y) } else { outside };
                        }
                        for (value, exact) in row.as_flattened_mut().iter_mut().zip(values.as_flattened()) {
                            *value = floor(exact.floor() as f32);
                        }
                    }
                },
            );
        }
    }
}

/// Pixels by which a layer is widened.
const BORDER: usize = 2;

/// A layer with two more pixels on each side, like those at its border.
fn widened(layer: &[Four], width: usize) -> Vec<Four> {
    let height = layer.len() / width;
    let row = |y: usize| &layer[y.saturating_sub(BORDER).min(height - 1) * width..][..width];
    let mut wide = Vec::with_capacity((height + 2 * BORDER) * (width + 2 * BORDER));
    for row in (0..height + 2 * BORDER).map(row) {
        wide.extend([row[0]; BORDER]);
        wide.extend_from_slice(row);
        wide.extend([row[width - 1]; BORDER]);
    }
    wide
}

/// The values at `(x, y)` of a layer that was widened, as Pillow's `bicubic_filter8` interpolates them.
#[inline(always)]
fn bicubic(wide: &[Four], width: usize, x: f64, y: f64) -> [f64; 4] {
    let (x, y) = (x - 0.5, y - 0.5);
    let (column, row) = (x.floor(), y.floor());
    let (right, down) = (x - column, y - row);
    // Of the sixteen pixels around it, the first is one up and one to the left.
    let wide_width = width + 2 * BORDER;
    let start = (row + 1.0) as u32 as usize * wide_width + (column + 1.0) as u32 as usize;
    let r1 = of_row(wide, start + wide_width, right);
    // Where it lies on a row, the cubic would add nothing.
    if down == 0.0 {
        return r1;
    }
    let r0 = of_row(wide, start, right);
    let r2 = of_row(wide, start + 2 * wide_width, right);
    let r3 = of_row(wide, start + 3 * wide_width, right);
    cubic([r0, r1, r2, r3], down)
}

/// The values between the second and the third of four pixels of a row.
#[inline(always)]
fn of_row(wide: &[Four], start: usize, right: f64) -> [f64; 4] {
    let four = &wide[start..start + 4];
    match right == 0.0 {
        true => values(four[1]),
        false => cubic([values(four[0]), values(four[1]), values(four[2]), values(four[3])], right),
    }
}

#[inline(always)]
fn values([v1, v2, v3, v4]: Four) -> [f64; 4] {
    [f64::from(v1), f64::from(v2), f64::from(v3), f64::from(v4)]
}

/// The cubics through four values of each channel, `place` past the second of them.
#[inline(always)]
fn cubic([v1, v2, v3, v4]: [[f64; 4]; 4], place: f64) -> [f64; 4] {
    let mut values = [0.0; 4];
    for channel in 0..4 {
        let (v1, v2, v3, v4) = (v1[channel], v2[channel], v3[channel], v4[channel]);
        let (p2, p3, p4) = (v3 - v1, 2.0 * (v1 - v2) + v3 - v4, -v1 + v2 - v3 + v4);
        values[channel] = v2 + place * (p2 + place * (p3 + place * p4));
    }
    values
}
