//! The digits that come with vitslim. `data/digits/README.md` says where they are from.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use flate2::read::GzDecoder;

use super::images::{Images, Pixels};
use super::split::Chosen;
use super::{Augment, DataError, Dataset, ImageShape};

const IMAGES: &[u8] = include_bytes!("../../data/digits/digits.csv.gz");
const SPLIT: &str = include_str!("../../data/digits/split.csv");
const SHAPE: ImageShape = ImageShape { channels: 1, size: 8 };

/// 1797 handwritten digits of 8 x 8 pixels: 1097 for training, 200 for validation, 500 for the test. The splits are fixed.
///
/// # Errors
///
/// When the files in the binary are damaged.
pub fn digits() -> Result<Dataset, DataError> {
    let images = Arc::new(read_images()?);
    let splits = ["train", "held_out", "test"].map(|name| indices(name, images.labels.len()));
    let [train, held_out, test] = splits;
    let splits = [train?, held_out?, test?].map(|indices| Chosen { images: images.clone(), indices });
    let class_names = (0..10).map(|class| class.to_string()).collect();
    Dataset::assemble(splits, class_names, Augment::default(), 0)
}

fn read_images() -> Result<Images, DataError> {
    let damaged = |reason: String| DataError::file(Path::new("digits.csv.gz"), reason);
    let mut text = String::new();
    GzDecoder::new(IMAGES)
        .read_to_string(&mut text)
        .map_err(|error| damaged(format!("is damaged: {error}")))?;

    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    let mut lines = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
    for line in lines.deserialize::<Vec<u8>>() {
        let line = line.map_err(|error| damaged(format!("is damaged: {error}")))?;
        match line.split_last() {
            Some((&label, image)) if image.len() == SHAPE.values() && label < 10 => {
                pixels.extend_from_slice(image);
                labels.push(label.into());
            }
            _ => {
                return Err(damaged(format!(
                    "is damaged: image {} is not 64 pixels and a label",
                    labels.len()
                )));
            }
        }
    }
    Ok(Images { shape: SHAPE, white: 16, labels, pixels: Pixels::Memory(pixels) })
}

/// The indices of the images of split `name`, out of `count`.
fn indices(name: &str, count: usize) -> Result<Vec<usize>, DataError> {
    let damaged = |reason: &str| DataError::file(Path::new("split.csv"), format!("is damaged: {reason}"));
    let line = SPLIT.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(','));
    let indices = line.ok_or_else(|| damaged("a split is missing"))?.split(',');
    let index = |text: &str| text.parse().ok().filter(|&index: &usize| index < count);
    indices.map(|text| index(text).ok_or_else(|| damaged("an index is not that of an image"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Split;

    #[test]
    fn three_splits_with_each_class_in_proportion() {
        let data = digits().unwrap();
        assert_eq!([data.train.len(), data.held_out.len(), data.test.len()], [1097, 200, 500]);
        for split in [&data.train, &data.held_out, &data.test] {
            for class in 0..10 {
                let count =
                    |split: &Split| (0..split.len()).filter(|&index| split.label(index) == class).count();
                let all = [&data.train, &data.held_out, &data.test].map(count).iter().sum::<usize>();
                let proportion = all as f64 * split.len() as f64 / 1797.0;
                assert!((count(split) as f64 - proportion).abs() <= 1.5, "class {class}: {proportion}");
            }
        }
    }

    #[test]
    fn no_image_is_in_two_splits() {
        let mut indices: Vec<usize> = SPLIT
            .lines()
            .flat_map(|line| line.split(',').skip(1).map(|index| index.parse().unwrap()))
            .collect();
        indices.sort_unstable();
        assert_eq!(indices, (0..1797).collect::<Vec<_>>());
    }

    #[test]
    fn pixels_are_those_of_the_file_normalised_by_the_training_split() {
        let (all, data) = (read_images().unwrap(), digits().unwrap());
        // The first line of the file.
        let Pixels::Memory(pixels) = &all.pixels else { panic!("{all:?}") };
        assert_eq!(pixels[1..9], [0, 5, 13, 9, 1, 0, 0, 0]);
        let values = data.train.values(&(0..1097).collect::<Vec<_>>(), None).unwrap().values;
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        let square = values.iter().map(|pixel| pixel * pixel).sum::<f32>();
        let std = (square / values.len() as f32).sqrt();
        assert!(mean.abs() < 1e-4 && (std - 1.0).abs() < 1e-4, "{mean} {std}");
    }
}
