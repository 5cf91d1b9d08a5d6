//! Readers on files made by hand, and loaders on what they read.

mod broken;
mod cifar;
mod classes;
mod content;
mod folder;
mod formats;
mod hostile;
mod idx;
mod index;
mod jpeg;
mod left_out;
mod loader;
mod pixels;
mod shards;

use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use image::RgbImage;
use tempfile::TempDir;

use super::decode::{Unreadable, read_image};
use super::source::Source;
use super::*;

/// A folder to put data in.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// The four files of Fashion-MNIST's names: 40 images to train, 10 to test, of 2 classes and 3 x 3 pixels.
    fn idx() -> Self {
        let files = Self::new();
        for (part, images) in [("train", 40), ("t10k", 10)] {
            files.write(&format!("{part}-images-idx3-ubyte"), idx_images(images));
            files.write(&format!("{part}-labels-idx1-ubyte"), idx_labels(images));
        }
        files
    }

    /// A PNG of one color.
    fn png(&self, name: &str, width: u32, height: u32, color: [u8; 3]) -> PathBuf {
        let mut bytes = std::io::Cursor::new(Vec::new());
        let image = RgbImage::from_pixel(width, height, image::Rgb(color));
        image.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
        self.write(name, bytes.into_inner())
    }

    /// Two classes, four images each to train and two to test.
    fn folder() -> Self {
        let files = Self::new();
        for (part, images) in [("train", 4), ("val", 2)] {
            for (class, blue) in [("cat", 0), ("dog", 255)] {
                for image in 0..images {
                    files.png(&format!("{part}/{class}/{image}.png"), 8, 8, [10 * image, 5, blue]);
                }
            }
        }
        files
    }
}

/// Image `i` has the pixels `i`, `i + 1`, ...
fn idx_images(count: u8) -> Vec<u8> {
    let pixels = (0..count).flat_map(|image| (0..9).map(move |pixel| image + pixel));
    [0, 0, 8, 3, 0, 0, 0, count, 0, 0, 0, 3, 0, 0, 0, 3].into_iter().chain(pixels).collect()
}

/// Image `i` has the label `i % 2`.
fn idx_labels(count: u8) -> Vec<u8> {
    [0, 0, 8, 1, 0, 0, 0, count].into_iter().chain((0..count).map(|image| image % 2)).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn preparation(held_out: f64) -> Preparation {
    Preparation { held_out, augment: Augment::default(), seed: 1 }
}

fn image_folder_of(files: &Files) -> ImageFolder {
    ImageFolder {
        path: files.path().to_owned(),
        classes: None,
        labels: None,
        image_size: 8,
        resize: 8,
        skip_at_most: 0,
        held_out: HeldOutFrom::ValOrShare,
        named: 5,
        reading: Reading::default(),
    }
}

/// Every file is read and decoded at once.
fn anew() -> Reading {
    Reading { anew: true, ..Reading::default() }
}

/// What is wrong with the image at `path`.
fn flaw(path: &Path) -> String {
    match read_image(Source::File(path)).unwrap_err() {
        Unreadable::Flawed(reason) => reason,
        Unreadable::Refused(reason) => panic!("{}: {reason}", path.display()),
    }
}

/// The pixels of image `index` before normalisation, `[channels, height, width]`.
fn pixels(data: &Dataset, part: &Split, index: usize) -> Vec<u8> {
    let values = part.values(&[index], None).unwrap().values;
    let Normalisation { white, mean, std, .. } = &data.normalisation;
    let size = data.shape.size * data.shape.size;
    let pixel = |(place, value): (usize, f32)| {
        ((value * std[place / size] + mean[place / size]) * f32::from(*white)).round() as u8
    };
    values.into_iter().enumerate().map(pixel).collect()
}
