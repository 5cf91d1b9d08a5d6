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
        let before = self.clone();
        for ((before, after), fill) in before.layers().zip(self.layers_mut()).zip(fill.chunks(4)) {
            let mut outside = [0.0; 4];
            outside.iter_mut().zip(fill).for_each(|(value, &fill)| *value = f64::from(fill));
            let mut values = vec![[0.0; 4]; width];
            vectorised(
                #[inline(always)]
                || {
                    for (y, row) in after.chunks_exact_mut(width).enumerate() {
                        for (x, value) in values.iter_mut().enumerate() {
                            let (x, y) = (x as f64 + 0.5, y as f64 + 0.5);
                            let (x, y) = (a * x + b * y + c, d * x + e * y + f);
                            let is_inside =
                                (0.0..width as f64).contains(&x) && (0.0..height as f64).contains(&y);
                            *value = if is_inside { bicubic(before, height, width, x, y) } else { outside };
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

/// The values of a layer at `(x, y)`, as Pillow's `bicubic_filter8` interpolates them.
#[inline(always)]
fn bicubic(layer: &[Four], height: usize, width: usize, x: f64, y: f64) -> [f64; 4] {
    let (x, y) = (x - 0.5, y - 0.5);
    let (column, row) = (x.floor(), y.floor());
    let (right, down) = (x - column, y - row);
    let (columns, rows) = (four(column, width), four(row, height));
    if down == 0.0 {
        return of_row(&layer[rows[1] * width..(rows[1] + 1) * width], columns, right);
    }
    let mut values = [[0.0; 4]; 4];
    for (value, row) in values.iter_mut().zip(rows) {
        *value = of_row(&layer[row * width..(row + 1) * width], columns, right);
    }
    cubic(values, down)
}

/// The values of a `row` at a place between its `columns`.
#[inline(always)]
fn of_row(row: &[Four], [c1, c2, c3, c4]: [usize; 4], right: f64) -> [f64; 4] {
    // The cubic would add nothing.
    match right == 0.0 {
        true => values(row[c2]),
        false => cubic([values(row[c1]), values(row[c2]), values(row[c3]), values(row[c4])], right),
    }
}

#[inline(always)]
fn values([v1, v2, v3, v4]: Four) -> [f64; 4] {
    [f64::from(v1), f64::from(v2), f64::from(v3), f64::from(v4)]
}

/// The four places from the one before `place` on, within a side.
#[inline(always)]
fn four(place: f64, side: usize) -> [usize; 4] {
    let (place, last) = (place as i32, side as i32 - 1);
    [place - 1, place, place + 1, place + 2].map(|place| place.clamp(0, last) as usize)
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
