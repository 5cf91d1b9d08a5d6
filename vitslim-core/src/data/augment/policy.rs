//! Which operations are done to an image, and how strongly.

use rand::{Rng, RngExt};
use rand_distr::StandardNormal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::operation::Operation;

/// Magnitude of the strongest operation.
pub(super) const STRONGEST: f64 = 10.0;

/// Standard deviations of a blur, in pixels.
const BLUR: [f64; 2] = [0.1, 2.0];

/// Operations that are drawn for each image.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub enum AutoAugment {
    /// RandAugment, whose operations become stronger with their magnitude: the default is timm's `rand-m9-mstd0.5-inc1`. What an
    /// operation brings in from outside an image has the mean colour.
    RandAugment {
        /// How strong operations are.
        #[serde(default = "nine")]
        #[schemars(range(min = 0, max = 10))]
        magnitude: f64,
        /// Standard deviation of the magnitude, which is drawn for each operation and kept between 0 and 10.
        #[serde(default = "half")]
        #[schemars(range(min = 0, max = 10))]
        magnitude_std: f64,
        /// Number of operations, drawn out of fifteen; the same may be drawn again.
        #[serde(default = "two")]
        #[schemars(range(min = 1, max = 15))]
        layers: u32,
        /// Probability that an operation that was drawn is done.
        #[serde(default = "half")]
        #[schemars(range(min = 0, max = 1))]
        prob: f64,
    },
    /// Three-augment of DeiT III: gray, solarised or blurred, each as likely.
    ThreeAugment,
}

impl AutoAugment {
    /// timm's `rand-m9-mstd0.5-inc1`.
    pub const RAND: Self =
        Self::RandAugment { magnitude: nine(), magnitude_std: half(), layers: two(), prob: half() };

    /// Draws the operations of an image, in their order.
    pub(super) fn draw(self, draws: &mut impl Rng) -> Vec<Operation> {
        match self {
            Self::RandAugment { magnitude, magnitude_std, layers, prob } => {
                let layer = |_| {
                    let number = draws.random_range(0..INCREASING.len());
                    let is_done = draws.random::<f64>() <= prob;
                    let normal: f64 = draws.sample(StandardNormal);
                    let level = (magnitude + magnitude_std * normal).clamp(0.0, STRONGEST) / STRONGEST;
                    let sign = if draws.random() { 1.0 } else { -1.0 };
                    is_done.then(|| INCREASING[number](level, sign))
                };
                (0..layers).filter_map(layer).collect()
            }
            Self::ThreeAugment => {
                let radius = draws.random_range(BLUR[0]..=BLUR[1]);
                let three =
                    [Operation::Solarize(128), Operation::Color(0.0), Operation::GaussianBlur(radius)];
                vec![three[draws.random_range(0..three.len())]]
            }
        }
    }
}

/// The operations of timm's RandAugment with `inc1`, from a level between 0 and 1 and a sign.
const INCREASING: [fn(f64, f64) -> Operation; 15] = [
    |_, _| Operation::AutoContrast,
    |_, _| Operation::Equalize,
    |_, _| Operation::Invert,
    |level, sign| Operation::Rotate(sign * level * 30.0),
    |level, _| Operation::Posterize(4 - (level * 4.0) as u32),
    |level, _| Operation::Solarize(256 - (level * 256.0) as u32),
    |level, _| Operation::SolarizeAdd((level * 110.0) as u32),
    |level, sign| Operation::Color(enhanced(level, sign)),
    |level, sign| Operation::Contrast(enhanced(level, sign)),
    |level, sign| Operation::Brightness(enhanced(level, sign)),
    |level, sign| Operation::Sharpness(enhanced(level, sign)),
    |level, sign| Operation::ShearX(sign * level * 0.3),
    |level, sign| Operation::ShearY(sign * level * 0.3),
    |level, sign| Operation::TranslateX(sign * level * 0.45),
    |level, sign| Operation::TranslateY(sign * level * 0.45),
];

fn enhanced(level: f64, sign: f64) -> f64 {
    (1.0 + sign * level * 0.9).max(0.1)
}

/// The operations of torchvision's `ColorJitter` without hue, in random order, with factors that are at most `amount` from 1.
pub(super) fn jitter(amount: f64, draws: &mut impl Rng) -> Vec<Operation> {
    if amount == 0.0 {
        return Vec::new();
    }
    let mut factor = || draws.random_range((1.0 - amount).max(0.0)..=1.0 + amount);
    let mut left =
        vec![Operation::Brightness(factor()), Operation::Contrast(factor()), Operation::Color(factor())];
    let mut order = || left.swap_remove(draws.random_range(0..left.len()));
    (0..3).map(|_| order()).collect()
}

const fn nine() -> f64 {
    9.0
}

const fn half() -> f64 {
    0.5
}

const fn two() -> u32 {
    2
}
