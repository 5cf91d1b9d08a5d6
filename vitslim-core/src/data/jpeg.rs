//! Reads a JPEG with the colours that libjpeg sees in it, and refuses one that is not whole.
//!
//! A scan that ends too early is found by its codes. In a progressive JPEG, scans that refine have bits without codes too: if some of
//! those are missing, what the scan adds to the precision of the last coefficients is made up.

use std::io::{BufRead, Seek};

use image::RgbImage;
use image::metadata::Orientation;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

const RESTARTS: std::ops::RangeInclusive<u8> = 0xd0..=0xd7;
const END: u8 = 0xd9;

/// Put behind a scan, ends it with a mistake if it is shorter than it should be: no code consists of ones. Without it, the decoder
/// makes up what is missing. It reads at most 7 bytes more than it decodes.
const STOP: [u8; 16] = [0xff, 0, 0xff, 0, 0xff, 0, 0xff, 0, 0xff, 0, 0xff, 0, 0xff, 0, 0xff, 0];

/// Put before the first scan of a progressive JPEG, refines one channel by nothing: the decoder takes bits behind the end for zeroes.
/// It looks for what comes behind a first scan before it has decoded it, which therefore can have no [`STOP`]. Channel and table
/// are to be filled in.
const FIRST: [u8; 12] = [0xff, 0xda, 0, 8, 1, 0, 0, 0, 0, 0x10, 0, 0];

/// Colour transforms of Adobe.
const NONE: u8 = 0;
const YCC: u8 = 1;
const YCCK: u8 = 2;

/// Width and height that the frame header of the JPEG `file` announces, which is read no further; `None` if there is none before the scan.
pub(super) fn frame(file: &mut (impl BufRead + Seek)) -> Option<[u16; 2]> {
    loop {
        file.skip_until(0xff).ok()?;
        let mut kind = [0xff];
        while kind == [0xff] {
            file.read_exact(&mut kind).ok()?;
        }
        match kind[0] {
            // They stand alone.
            0 | 1 | 0xd0..=0xd8 => continue,
            END | 0xda => return None,
            _ => {}
        }
        let mut head = [0; 2];
        file.read_exact(&mut head).ok()?;
        if matches!(kind[0], 0xc0..=0xcf) && !matches!(kind[0], 0xc4 | 0xc8 | 0xcc) {
            let mut frame = [0; 5];
            file.read_exact(&mut frame).ok()?;
            let [_, height @ .., w0, w1] = frame;
            return Some([u16::from_be_bytes([w0, w1]), u16::from_be_bytes(height)]);
        }
        file.seek_relative(i64::from(u16::from_be_bytes(head)).saturating_sub(2).max(0)).ok()?;
    }
}

/// A JPEG whose segments are read, and whose pixels are not.
pub(super) struct Jpeg<'a>(JpegDecoder<ZCursor<&'a [u8]>>);

impl<'a> Jpeg<'a> {
    /// Reads the segments of `bytes`, and writes into them what the decoder is to take for the colours and for mistakes.
    ///
    /// # Errors
    ///
    /// What is wrong with the file, a sentence without its subject.
    pub(super) fn open(bytes: &'a mut Vec<u8>) -> Result<Self, String> {
        let segments = Segments::read(bytes)?;
        let transform = segments.transform()?;
        segments.transforms.iter().for_each(|&place| bytes[place] = transform);
        *bytes = with_inserted(bytes, &segments.inserted);
        let options = DecoderOptions::default().set_max_width(usize::MAX).set_max_height(usize::MAX);
        let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes.as_slice()), options);
        decoder.decode_headers().map_err(damaged)?;
        // Strict from here on, so that nothing is made up: bytes between the segments before do no harm.
        decoder.set_options(options.set_strict_mode(true).jpeg_set_out_colorspace(ColorSpace::RGB));
        Ok(Self(decoder))
    }

    /// Width and height in pixels.
    pub(super) fn dimensions(&self) -> (u32, u32) {
        let (width, height) = self.0.dimensions().unwrap_or_default();
        (width as u32, height as u32)
    }

    /// Whether its EXIF asks to rotate or mirror it. EXIF that cannot be read is ignored.
    pub(super) fn is_rotated(&self) -> bool {
        let orientation = self.0.exif().and_then(|exif| Orientation::from_exif_chunk(exif));
        orientation.is_some_and(|orientation| orientation != Orientation::NoTransforms)
    }

    /// Decodes the pixels.
    ///
    /// # Errors
    ///
    /// Those of [`Jpeg::open`].
    pub(super) fn pixels(mut self) -> Result<RgbImage, String> {
        let (width, height) = self.dimensions();
        let mut pixels = vec![0; 3 * width as usize * height as usize];
        self.0.decode_into(&mut pixels).map_err(damaged)?;
        RgbImage::from_raw(width, height, pixels).ok_or_else(|| "is too large".to_owned())
    }
}

/// `jpeg` with bytes before some of its own.
fn with_inserted(jpeg: &[u8], inserted: &[(usize, Vec<u8>)]) -> Vec<u8> {
    let mut whole = Vec::with_capacity(jpeg.len() + STOP.len() * inserted.len());
    let mut start = 0;
    for (place, bytes) in inserted {
        whole.extend_from_slice(&jpeg[start..*place]);
        whole.extend(bytes);
        start = *place;
    }
    whole.extend_from_slice(&jpeg[start..]);
    whole
}

fn damaged(error: DecodeErrors) -> String {
    format!("is damaged: {error:?}")
}

fn cut_off() -> String {
    "is a JPEG that ends too early".to_owned()
}

/// What the segments of a JPEG say.
#[derive(Default)]
struct Segments {
    /// Whether there is a JFIF segment.
    jfif: bool,
    /// Places of the colour transform in the segments of Adobe. The last one counts.
    transforms: Vec<usize>,
    /// The last colour transform.
    transform: Option<u8>,
    /// Names of the channels.
    channels: Vec<u8>,
    is_progressive: bool,
    has_restarts: bool,
    /// The coefficients of each channel that are not complete yet, if it is progressive.
    missing: Vec<u64>,
    /// What is to be inserted before which byte: [`FIRST`], and a [`STOP`] at the end of each scan.
    inserted: Vec<(usize, Vec<u8>)>,
}

impl Segments {
    /// Follows the segments of `jpeg` to its end marker. Thumbnails inside a segment have end markers of their own.
    fn read(jpeg: &[u8]) -> Result<Self, String> {
        let mut segments = Self::default();
        let (mut at, mut has_scans) = (2, false);
        loop {
            let (kind, start) = marker(jpeg, at, has_scans)?;
            if kind == END {
                return match segments.missing.iter().all(|missing| *missing == 0) {
                    true => Ok(segments),
                    false => {
                        Err("is a JPEG whose scans leave out a part of it, which is not read".to_owned())
                    }
                };
            }
            // What belongs behind the last scan: text and data of programs.
            if has_scans && !segments.is_progressive && !matches!(kind, 0xe0..=0xef | 0xfe) {
                return Err(format!("is damaged: its scan is interrupted by the marker 0xff{kind:02x}"));
            }
            let length = jpeg.get(start..start + 2).ok_or_else(cut_off)?;
            let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
            at = start + length.max(2);
            let content = jpeg.get(start + 2..at).ok_or_else(cut_off)?;
            segments.add(kind, start + 2, content)?;
            if kind == 0xda {
                if let ([_, channel, table, ..], true, false) = (content, segments.is_progressive, has_scans)
                {
                    let mut first = FIRST;
                    first[5..7].copy_from_slice(&[*channel, *table]);
                    segments.inserted.push((start - 2, first.into()));
                }
                has_scans = true;
                at = end_of_scan(jpeg, at, segments.has_restarts)?;
                segments.inserted.push((at, STOP.into()));
            }
        }
    }

    /// Adds a segment whose `content` begins at the byte `start`.
    fn add(&mut self, kind: u8, start: usize, content: &[u8]) -> Result<(), String> {
        match kind {
            0xc0..=0xc2 => {
                if let Some(bits) = content.first().filter(|bits| **bits != 8) {
                    return Err(format!("is a JPEG of {bits} bits a channel: only 8 can be read"));
                }
                self.is_progressive = kind == 0xc2;
                self.channels = content.iter().skip(6).step_by(3).copied().collect();
                self.missing = vec![if self.is_progressive { u64::MAX } else { 0 }; self.channels.len()];
            }
            0xc3 | 0xc5..=0xc7 | 0xcb | 0xcd..=0xcf => {
                return Err("is a lossless or hierarchical JPEG, which cannot be read".to_owned());
            }
            0xc9 | 0xca => return Err("is a JPEG with arithmetic coding, which cannot be read".to_owned()),
            0xda if self.is_progressive => self.complete(content),
            // The decoder takes the end of the first scan for the end of the image, or makes up what another lacks.
            0xda if content.first().is_some_and(|count| usize::from(*count) != self.channels.len()) => {
                return Err(
                    "is a JPEG with a scan for each channel, which cannot be read: save it anew".to_owned()
                );
            }
            0xdd => self.has_restarts = content.iter().any(|byte| *byte != 0),
            // As long as libjpeg takes them seriously.
            0xe0 => self.jfif |= content.starts_with(b"JFIF\0") && content.len() >= 14,
            0xee if content.starts_with(b"Adobe") && content.len() >= 12 => {
                self.transforms.push(start + 11);
                self.transform = Some(content[11]);
            }
            _ => {}
        }
        Ok(())
    }

    /// Notes which coefficients the progressive scan with this header completes.
    fn complete(&mut self, header: &[u8]) {
        let (Some((_, rest)), [.., first, last, precision]) = (header.split_first(), header) else { return };
        // The lower half is the bits that are left to later scans.
        if precision & 15 == 0 && first <= last && *last < 64 {
            let coefficients = u64::MAX >> (63 - last) & u64::MAX << first;
            let channels = rest.chunks_exact(2).map(|channel| channel[0]);
            for channel in channels.take(header[0].into()) {
                let known = self.channels.iter().zip(&mut self.missing).filter(|(name, _)| **name == channel);
                known.for_each(|(_, missing)| *missing &= !coefficients);
            }
        }
    }

    /// The colour transform by the rules of libjpeg, in which JFIF wins over Adobe.
    fn transform(&self) -> Result<u8, String> {
        let transform = match (self.channels.len(), self.transform) {
            (3, Some(NONE)) if !self.jfif => NONE,
            // With one channel it means nothing.
            (1 | 3, _) => YCC,
            (4, Some(NONE) | None) => NONE,
            (4, _) => YCCK,
            (channels, _) => {
                return Err(format!("is a JPEG of {channels} channels: only 1, 3 or 4 can be read"));
            }
        };
        // The decoder goes by the names, libjpeg by the segments.
        if self.channels == *b"RGB" && transform == YCC && (self.jfif || self.transform.is_some()) {
            return Err(
                "is a JPEG whose header contradicts itself about its colours: save it anew".to_owned()
            );
        }
        Ok(transform)
    }
}

/// The next marker at or behind the byte `at`, and the place behind it. Nothing may lie before it if `close`.
fn marker(jpeg: &[u8], mut at: usize, close: bool) -> Result<(u8, usize), String> {
    loop {
        let rest = jpeg.get(at..).unwrap_or_default();
        let before = rest.iter().position(|byte| *byte == 0xff).ok_or_else(cut_off)?;
        let fill = rest[before..].iter().position(|byte| *byte != 0xff).ok_or_else(cut_off)?;
        let (kind, end) = (rest[before + fill], at + before + fill + 1);
        match kind {
            _ if close && (before > 0 || kind == 0) => {
                return Err("is damaged: there are bytes between its segments that belong to none".to_owned());
            }
            0 => at = end,
            _ => return Ok((kind, end)),
        }
    }
}

/// The end of the entropy-coded data at `start`, in which 0xff is followed by 0 or by the next restart marker.
fn end_of_scan(jpeg: &[u8], start: usize, has_restarts: bool) -> Result<usize, String> {
    let (mut at, mut restart) = (start, *RESTARTS.start());
    loop {
        let rest = jpeg.get(at..).unwrap_or_default();
        let before = rest.iter().position(|byte| *byte == 0xff).ok_or_else(cut_off)?;
        match rest.get(before + 1) {
            Some(0) => at += before + 2,
            _ => {
                let (kind, end) = marker(jpeg, at + before, true)?;
                if !RESTARTS.contains(&kind) {
                    return Ok(at + before);
                }
                if kind != restart || !has_restarts {
                    return Err("is damaged: its scan restarts where it must not".to_owned());
                }
                restart = RESTARTS.start() + (restart + 1) % 8;
                at = end;
            }
        }
    }
}
