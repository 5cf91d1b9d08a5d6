//! Operations that move the pixels of an image, as Pillow's `transform` and `rotate` do with bicubic interpolation.

use super::raster::Raster;

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
        let (height, width) = (self.height, self.width);
        let mut after = Vec::with_capacity(self.pixels.len());
        for (plane, &fill) in self.planes().zip(fill) {
            for y in 0..height {
                for x in 0..width {
                    let (x, y) = (x as f64 + 0.5, y as f64 + 0.5);
                    let [a, b, c, d, e, f] = affine;
                    let value = bicubic(plane, height, width, a * x + b * y + c, d * x + e * y + f);
                    after.push(value.unwrap_or(fill));
                }
            }
        }
        self.pixels = after;
    }
}

/// The value of a plane at `(x, y)`; `None` outside of it. Pillow's `bicubic_filter8`, which rounds down.
fn bicubic(plane: &[u8], height: usize, width: usize, x: f64, y: f64) -> Option<u8> {
    if !((0.0..width as f64).contains(&x) && (0.0..height as f64).contains(&y)) {
        return None;
    }
    let (x, y) = (x - 0.5, y - 0.5);
    let (column, row) = (x.floor(), y.floor());
    // From the place before.
    let at = |place: f64, offset: usize, length: usize| {
        (place as isize - 1 + offset as isize).clamp(0, length as isize - 1) as usize
    };
    let columns: [usize; 4] = std::array::from_fn(|offset| at(column, offset, width));
    let rows: [f64; 4] = std::array::from_fn(|offset| {
        let row = at(row, offset, height) * width;
        cubic(columns.map(|column| f64::from(plane[row + column])), x - column)
    });
    Some(cubic(rows, y - row) as u8)
}

/// The cubic through four values, `place` past the second of them.
fn cubic([v1, v2, v3, v4]: [f64; 4], place: f64) -> f64 {
    let (p2, p3, p4) = (v3 - v1, 2.0 * (v1 - v2) + v3 - v4, -v1 + v2 - v3 + v4);
    v2 + place * (p2 + place * (p3 + place * p4))
}
