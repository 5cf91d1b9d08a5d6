//! Reads an image file.

use std::io::Cursor;
use std::path::Path;

use image::metadata::Orientation;
use image::{
    DynamicImage, ImageBuffer, ImageDecoder, ImageError, ImageFormat, ImageReader, Pixel, Rgb, RgbImage,
    guess_format,
};

use super::files::foreign;
use super::jpeg::Jpeg;
use crate::input_file;
use crate::panics::attempt;

/// How many times as long as the other a side may be: resizing a longer strip would fill the memory.
const MOST_ELONGATED: u32 = 100;

/// Most bytes of an image, as a file and decoded: a damaged header can announce any number.
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
    decode(read_file(path)?)
}

/// The bytes of the image file at `path`.
///
/// # Errors
///
/// Why it cannot be read, a sentence without its subject.
pub(super) fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    input_file::read(path, MOST_BYTES).map_err(|error| format!("cannot be read: {error}"))
}

/// The image in the file with the content `bytes`.
///
/// # Errors
///
/// What is wrong with the file, a sentence without its subject.
pub(super) fn decode(mut bytes: Vec<u8>) -> Result<Decoded, String> {
    if bytes.is_empty() {
        return Err("is empty".to_owned());
    }
    // JPEG decoders have been known to panic on damaged files.
    attempt(|| decode_format(&mut bytes)).unwrap_or_else(|said| Err(format!("is damaged: {said}")))
}

fn decode_format(bytes: &mut Vec<u8>) -> Result<Decoded, String> {
    let damaged = |error: ImageError| format!("is damaged: {error}");
    let format = match guess_format(bytes) {
        Ok(ImageFormat::Jpeg) => {
            let jpeg = Jpeg::open(bytes)?;
            let (width, height) = jpeg.dimensions();
            check_size(width, height, 3 * u64::from(width) * u64::from(height))?;
            return Ok(Decoded {
                is_rotated: jpeg.is_rotated(),
                is_transparent: false,
                image: jpeg.pixels()?,
            });
        }
        Ok(format @ (ImageFormat::Png | ImageFormat::WebP)) => format,
        other => return Err(no_image(bytes, other.ok())),
    };
    let reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut decoder = reader.into_decoder().map_err(damaged)?;
    let (width, height) = decoder.dimensions();
    check_size(width, height, decoder.total_bytes())?;
    // EXIF that cannot be read is ignored.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let is_transparent = decoder.color_type().has_alpha();
    let image = rgb(DynamicImage::from_decoder(decoder).map_err(damaged)?);
    Ok(Decoded { image, is_rotated: orientation != Orientation::NoTransforms, is_transparent })
}

/// What a file is that is no image of a format that is read.
fn no_image(bytes: &[u8], format: Option<ImageFormat>) -> String {
    match (foreign(bytes), format) {
        (Some(what), _) => what.to_owned(),
        (None, Some(format)) => {
            let format = format!("{format:?}").to_uppercase();
            format!("is a {format} image, but only JPEG, PNG and WebP are read: convert it")
        }
        (None, None) => "is no JPEG, PNG or WebP image".to_owned(),
    }
}

fn check_size(width: u32, height: u32, bytes: u64) -> Result<(), String> {
    if width.max(height) > width.min(height).saturating_mul(MOST_ELONGATED) {
        return Err(format!("has {width} x {height} pixels, too long a strip to be resized"));
    }
    if bytes > MOST_BYTES {
        let most = MOST_BYTES >> 20;
        return Err(format!("has {width} x {height} pixels, more than the {most} MiB that are read"));
    }
    Ok(())
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
