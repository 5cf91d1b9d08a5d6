//! Reads an image file.

use std::io::Cursor;
use std::path::Path;

use image::metadata::Orientation;
use image::{
    DynamicImage, ImageBuffer, ImageDecoder, ImageError, ImageFormat, ImageReader, Pixel, Rgb, RgbImage,
};

use crate::panics::attempt;

/// How many times as long as the other a side may be: resizing a longer strip would fill the memory.
const MOST_ELONGATED: u32 = 100;

/// Most bytes of a decoded image: a damaged header can announce any number.
const MOST_BYTES: u64 = 1 << 29;

/// The pixels of an image, and what was ignored.
#[derive(Debug)]
pub(super) struct Decoded {
    pub(super) image: RgbImage,
    /// Whether its EXIF asks to rotate or mirror it.
    pub(super) is_rotated: bool,
    /// Whether it has an alpha channel or a transparent colour.
    pub(super) is_transparent: bool,
}

/// Reads the image at `path`. The format is that of the content, whatever the name.
///
/// # Errors
///
/// What is wrong with the file, a sentence without its subject.
pub(super) fn read_image(path: &Path) -> Result<Decoded, String> {
    let bytes = std::fs::read(path).map_err(|error| format!("cannot be read: {error}"))?;
    if bytes.is_empty() {
        return Err("is empty".to_owned());
    }
    // JPEG decoders have been known to panic on damaged files.
    attempt(|| decode(&bytes)).unwrap_or_else(|said| Err(format!("is damaged: {said}")))
}

fn decode(bytes: &[u8]) -> Result<Decoded, String> {
    let damaged = |error: ImageError| format!("is damaged: {error}");
    let reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|error| format!("cannot be read: {error}"))?;
    match reader.format() {
        Some(ImageFormat::Png | ImageFormat::WebP) => {}
        // The decoder would make up the missing part.
        Some(ImageFormat::Jpeg) if is_cut_off(bytes) => {
            return Err("is a JPEG that ends too early".to_owned());
        }
        Some(ImageFormat::Jpeg) => {}
        _ => return Err("is no JPEG, PNG or WebP image".to_owned()),
    }
    let mut decoder = reader.into_decoder().map_err(damaged)?;
    let (width, height) = decoder.dimensions();
    if width.max(height) > width.min(height).saturating_mul(MOST_ELONGATED) {
        return Err(format!("has {width} x {height} pixels, too long a strip to be resized"));
    }
    if decoder.total_bytes() > MOST_BYTES {
        return Err(format!(
            "has {width} x {height} pixels, more than the {} MiB that are read",
            MOST_BYTES >> 20
        ));
    }
    // EXIF that cannot be read is ignored.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let is_transparent = decoder.color_type().has_alpha();
    let image = rgb(DynamicImage::from_decoder(decoder).map_err(damaged)?);
    Ok(Decoded { image, is_rotated: orientation != Orientation::NoTransforms, is_transparent })
}

/// Three channels of 8 bits: gray is repeated, alpha is dropped, and of 16 bits the upper 8 are used.
fn rgb(image: DynamicImage) -> RgbImage {
    match image {
        DynamicImage::ImageLuma16(image) => upper_bits(&image),
        DynamicImage::ImageLumaA16(image) => upper_bits(&image),
        DynamicImage::ImageRgb16(image) => upper_bits(&image),
        DynamicImage::ImageRgba16(image) => upper_bits(&image),
        other => other.into_rgb8(),
    }
}

fn upper_bits<P: Pixel<Subpixel = u16>>(image: &ImageBuffer<P, Vec<u16>>) -> RgbImage {
    let upper = |x, y| Rgb(image.get_pixel(x, y).to_rgb().0.map(|value| (value >> 8) as u8));
    RgbImage::from_fn(image.width(), image.height(), upper)
}

/// Whether a JPEG lacks its end marker. Segments are followed one by one, since thumbnails inside them have end markers of
/// their own.
fn is_cut_off(jpeg: &[u8]) -> bool {
    const END: u8 = 0xd9;
    let mut rest = jpeg.get(2..).unwrap_or_default();
    loop {
        // Skips the entropy-coded data between segments, where 0xff is followed by 0 or a restart marker.
        let marker =
            rest.windows(2).position(|pair| pair[0] == 0xff && !matches!(pair[1], 0 | 0xd0..=0xd7 | 0xff));
        let Some(at) = marker else { return true };
        let kind = rest[at + 1];
        rest = &rest[at + 2..];
        match (kind, rest) {
            (END, _) => return false,
            (_, &[high, low, ..]) => {
                let length = usize::from(u16::from_be_bytes([high, low]));
                rest = rest.get(length..).unwrap_or_default();
            }
            _ => return true,
        }
    }
}
