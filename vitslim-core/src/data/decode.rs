//! Reads an image file.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read, Seek, Take};

use image::metadata::Orientation;
use image::{
    DynamicImage, ImageBuffer, ImageDecoder, ImageError, ImageFormat, ImageReader, Pixel, Rgb, RgbImage,
    guess_format,
};

use super::files::foreign;
use super::jpeg::{Jpeg, frame};
use super::source::Source;
use crate::panics::attempt;

/// How many times as long as the other a side may be: resizing a longer strip would fill the memory.
const MOST_ELONGATED: u32 = 100;

/// Most bytes of an image, as a file and decoded: a damaged header can announce any number.
pub(super) const MOST_BYTES: u64 = 1 << 29;

/// The pixels of an image, and what was ignored.
#[derive(Debug)]
pub(super) struct Decoded {
    pub(super) image: RgbImage,
    /// Whether its EXIF asks to rotate or mirror it.
    pub(super) is_rotated: bool,
    /// Whether it has an alpha channel or a transparent colour.
    pub(super) is_transparent: bool,
}

/// Why an image cannot be read: a sentence without its subject.
#[derive(Debug)]
pub(super) enum Unreadable {
    /// Its file is no whole image, whenever it is read.
    Flawed(String),
    /// The system does not let us read its file, this time.
    Refused(String),
}

impl Unreadable {
    fn refused(error: std::io::Error) -> Self {
        Self::Refused(format!("cannot be read: {error}"))
    }
}

impl From<String> for Unreadable {
    fn from(reason: String) -> Self {
        Self::Flawed(reason)
    }
}

/// Reads the image at `source`. The format is that of the content, whatever the name. Its length and what its header announces are judged
/// before more of it is read.
///
/// # Errors
///
/// What is wrong with the file.
pub(super) fn read_image(source: Source) -> Result<Decoded, Unreadable> {
    let (mut file, length) = source.open().map_err(Unreadable::refused)?;
    if length > MOST_BYTES {
        return Err(too_long());
    }
    // JPEG decoders have been known to panic on damaged files.
    attempt(|| decode(&mut file, length)).unwrap_or_else(|said| Err(format!("is damaged: {said}").into()))
}

fn too_long() -> Unreadable {
    format!("cannot be read: it has more than the {} MiB that are read", MOST_BYTES >> 20).into()
}

/// Decodes `file`, which has `length` bytes.
fn decode(file: &mut BufReader<Take<File>>, length: u64) -> Result<Decoded, Unreadable> {
    let start = file.fill_buf().map_err(Unreadable::refused)?;
    if start.is_empty() {
        return Err("is empty".to_owned().into());
    }
    match guess_format(start) {
        Ok(ImageFormat::Jpeg) => decode_jpeg(file, length),
        Ok(ImageFormat::WebP) if announced(start).is_none_or(|announced| announced > length) => {
            Err("is a WebP image that ends too early".to_owned().into())
        }
        Ok(format @ (ImageFormat::Png | ImageFormat::WebP)) => decode_format(file, format),
        other => Err(no_image(start, other.ok()).into()),
    }
}

/// The length of the WebP file that begins with `start`, as its RIFF header announces it. What is missing at the end, the decoder may
/// make up.
fn announced(start: &[u8]) -> Option<u64> {
    let length = start.get(4..)?.first_chunk()?;
    Some(u64::from(u32::from_le_bytes(*length)) + 8)
}

fn decode_jpeg(file: &mut BufReader<Take<File>>, length: u64) -> Result<Decoded, Unreadable> {
    // Where there is none, what follows says what is wrong.
    if let Some([width, height]) = frame(file).filter(|sides| !sides.contains(&0)) {
        check_jpeg_size(width.into(), height.into())?;
    }
    let mut bytes = Vec::with_capacity(length as usize);
    file.rewind().map_err(Unreadable::refused)?;
    // Some files have more than they say.
    let length = file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(Unreadable::refused)?;
    if length as u64 > MOST_BYTES {
        return Err(too_long());
    }
    let jpeg = Jpeg::open(&mut bytes)?;
    let (width, height) = jpeg.dimensions();
    check_jpeg_size(width, height)?;
    Ok(Decoded { is_rotated: jpeg.is_rotated(), is_transparent: false, image: jpeg.pixels()? })
}

fn check_jpeg_size(width: u32, height: u32) -> Result<(), String> {
    check_size(width, height, 3 * u64::from(width) * u64::from(height))
}

fn decode_format(file: &mut BufReader<Take<File>>, format: ImageFormat) -> Result<Decoded, Unreadable> {
    let mut decoder = ImageReader::with_format(file, format).into_decoder().map_err(undecodable)?;
    let (width, height) = decoder.dimensions();
    check_size(width, height, decoder.total_bytes())?;
    // EXIF that cannot be read is ignored.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let is_transparent = decoder.color_type().has_alpha();
    let image = rgb(DynamicImage::from_decoder(decoder).map_err(undecodable)?);
    Ok(Decoded { image, is_rotated: orientation != Orientation::NoTransforms, is_transparent })
}

fn undecodable(error: ImageError) -> Unreadable {
    // Decoders call it so, too, when a file ends too early or is not what they expect.
    const OF_CONTENT: [ErrorKind; 4] =
        [ErrorKind::UnexpectedEof, ErrorKind::InvalidData, ErrorKind::InvalidInput, ErrorKind::Other];

    match error {
        ImageError::IoError(error) if !OF_CONTENT.contains(&error.kind()) => Unreadable::refused(error),
        error => Unreadable::Flawed(format!("is damaged: {error}")),
    }
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
