//! The operations of RandAugment, three-augment and colour jitter.

use super::raster::Raster;

/// An operation on an image with its argument. On an image of one channel they do what Pillow does on one of mode `L`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Operation {
    AutoContrast,
    Equalize,
    Invert,
    /// Degrees, counter-clockwise.
    Rotate(f64),
    /// Bits that are kept, less than 8. With 0 the image is black.
    Posterize(u32),
    /// The lowest pixel value that is inverted; 256 inverts none.
    Solarize(u32),
    /// What is added to dark pixels.
    SolarizeAdd(u32),
    /// 0 is gray, 1 changes nothing.
    Color(f64),
    /// 0 is the mean gray, 1 changes nothing.
    Contrast(f64),
    /// 0 is black, 1 changes nothing.
    Brightness(f64),
    /// 0 is smoothed, 1 changes nothing.
    Sharpness(f64),
    /// By which part of a pixel each row is shifted further.
    ShearX(f64),
    /// By which part of a pixel each column is shifted further.
    ShearY(f64),
    /// Part of the width.
    TranslateX(f64),
    /// Part of the height.
    TranslateY(f64),
    /// Standard deviation in pixels.
    GaussianBlur(f64),
}

impl Operation {
    /// Does it to `image`. What comes from outside the image has the colour `fill`, one value for each channel.
    pub(super) fn apply(self, image: &mut Raster, fill: &[u8]) {
        match self {
            Self::AutoContrast => image.auto_contrast(),
            Self::Equalize => image.equalize(),
            Self::Invert => image.by_value(|value| 255 - value),
            Self::Rotate(degrees) => image.rotate(degrees, fill),
            Self::Posterize(bits) => {
                let kept = !(255 >> bits);
                image.by_value(move |value| value & kept);
            }
            Self::Solarize(threshold) => {
                image.by_value(move |value| if u32::from(value) < threshold { value } else { 255 - value });
            }
            Self::SolarizeAdd(more) => {
                let more = more as u8;
                image.by_value(move |value| if value < 128 { value.saturating_add(more) } else { value });
            }
            Self::Color(factor) => image.color(factor),
            Self::Contrast(factor) => image.contrast(factor),
            Self::Brightness(factor) => image.brightness(factor),
            Self::Sharpness(factor) => image.sharpness(factor),
            Self::ShearX(factor) => image.shear_x(factor, fill),
            Self::ShearY(factor) => image.shear_y(factor, fill),
            Self::TranslateX(part) => image.translate_x(part, fill),
            Self::TranslateY(part) => image.translate_y(part, fill),
            Self::GaussianBlur(radius) => image.gaussian_blur(radius),
        }
    }
}
