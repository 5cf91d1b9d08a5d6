//! Which part of an image is seen.

use rand::{Rng, RngExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::raster::{Raster, Rectangle};

/// How often a rectangle is drawn before the middle is taken.
const ATTEMPTS: usize = 10;

/// Which part of an image is seen, drawn anew in each epoch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub enum RandomCrop {
    /// A rectangle of random area and aspect ratio, resized (bicubic): timm's `RandomResizedCropAndInterpolation`.
    Resized {
        /// Least and largest part of the area; greater than 0 and at most 1.
        #[serde(default = "scale")]
        scale: [f64; 2],
        /// Least and largest width in heights.
        #[serde(default = "ratio")]
        ratio: [f64; 2],
    },
    /// A square of the image, resized by its shorter side (bicubic) and reflected beyond its borders: the simple random crop of
    /// DeiT III.
    Simple {
        /// How far the square may lie beyond the borders; less than its size.
        #[serde(default = "padding")]
        #[schemars(extend("unit" = "pixels"))]
        padding: u32,
    },
}

impl RandomCrop {
    /// [`RandomCrop::Resized`] as DeiT and timm take it.
    pub const RESIZED: Self = Self::Resized { scale: scale(), ratio: ratio() };

    /// A crop of `image`, in `size`.
    pub(super) fn apply(self, image: &Raster, size: usize, draws: &mut impl Rng) -> Raster {
        match self {
            Self::Resized { scale, ratio } => {
                let part = rectangle(image.height, image.width, scale, ratio, draws);
                image.resized(part, size, size, Rectangle::whole(size, size))
            }
            Self::Simple { padding } => {
                let whole = Rectangle::whole(image.height, image.width);
                let shorter = image.height.min(image.width);
                let [height, width] = [image.height, image.width].map(|side| side * size / shorter);
                let image = image.resized(whole, height, width, Rectangle::whole(height, width));
                let padding = i64::from(padding);
                let [top, left] =
                    [height, width].map(|side| draws.random_range(-padding..=(side - size) as i64 + padding));
                image.reflected(top as isize, left as isize, size)
            }
        }
    }
}

/// Draws a rectangle of an image, as `RandomResizedCropAndInterpolation.get_params` of timm does.
pub(super) fn rectangle(
    height: usize,
    width: usize,
    scale: [f64; 2],
    ratio: [f64; 2],
    draws: &mut impl Rng,
) -> Rectangle {
    let area = (height * width) as f64;
    for _ in 0..ATTEMPTS {
        let part = area * draws.random_range(scale[0]..=scale[1]);
        let aspect = draws.random_range(ratio[0].ln()..=ratio[1].ln()).exp();
        let [high, wide] = [part / aspect, part * aspect].map(side);
        // timm takes no care of sides without pixels, which small images lead to.
        if (1..=height).contains(&high) && (1..=width).contains(&wide) {
            let [top, left] = [height - high, width - wide].map(|most| draws.random_range(0..=most));
            return Rectangle { top, left, height: high, width: wide };
        }
    }
    let aspect = width as f64 / height as f64;
    let [high, wide] = match aspect {
        aspect if aspect < ratio[0] => [round(width as f64 / ratio[0]), width],
        aspect if aspect > ratio[1] => [height, round(height as f64 * ratio[1])],
        _ => [height, width],
    };
    let (high, wide) = (high.clamp(1, height), wide.clamp(1, width));
    Rectangle { top: (height - high) / 2, left: (width - wide) / 2, height: high, width: wide }
}

/// The side of a square of `area`, in whole pixels.
pub(super) fn side(area: f64) -> usize {
    round(area.sqrt())
}

/// As Python rounds.
fn round(value: f64) -> usize {
    value.round_ties_even() as usize
}

const fn scale() -> [f64; 2] {
    [0.08, 1.0]
}

const fn ratio() -> [f64; 2] {
    [3.0 / 4.0, 4.0 / 3.0]
}

const fn padding() -> u32 {
    4
}
