//! The digits that come with vitslim; `data/digits/README.md` says where they are from.

use std::io::Read;

use flate2::read::GzDecoder;

use super::{DataError, Dataset, ImageShape, Part};

const IMAGES: &[u8] = include_bytes!("../../data/digits/digits.csv.gz");
const SPLIT: &str = include_str!("../../data/digits/split.csv");
const SHAPE: ImageShape = ImageShape { channels: 1, size: 8 };

/// 1797 handwritten digits, 8 x 8 pixels: 1097 to train, 200 held out, 500 to test. Pixels are normalised by mean and
/// deviation of the training part.
///
/// # Errors
///
/// When the files that were compiled in are damaged.
pub fn digits() -> Result<Dataset, DataError> {
    let all = read_images()?;
    let mut train = part(&all, "train")?;
    let mut held_out = part(&all, "held_out")?;
    let mut test = part(&all, "test")?;

    let count = train.pixels.len() as f64;
    let mean = train.pixels.iter().map(|&pixel| f64::from(pixel)).sum::<f64>() / count;
    let square = |pixel: &f32| (f64::from(*pixel) - mean).powi(2);
    let deviation = (train.pixels.iter().map(square).sum::<f64>() / count).sqrt();
    for part in [&mut train, &mut held_out, &mut test] {
        part.normalise(mean as f32, deviation as f32);
    }
    Ok(Dataset { shape: SHAPE, classes: 10, train, held_out, test })
}

fn read_images() -> Result<Part, DataError> {
    let fault = |reason: String| DataError { file: "digits.csv.gz".into(), reason };
    let mut text = String::new();
    GzDecoder::new(IMAGES).read_to_string(&mut text).map_err(|error| fault(error.to_string()))?;

    let mut all = Part { shape: SHAPE, pixels: Vec::new(), labels: Vec::new() };
    let mut lines = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
    for line in lines.deserialize::<Vec<u8>>() {
        let line = line.map_err(|error| fault(error.to_string()))?;
        match line.split_last() {
            Some((&label, pixels)) if pixels.len() == SHAPE.values() && label < 10 => {
                all.pixels.extend(pixels.iter().map(|&pixel| f32::from(pixel) / 16.0));
                all.labels.push(label.into());
            }
            _ => return Err(fault(format!("image {} is not 64 pixels and a label", all.len()))),
        }
    }
    Ok(all)
}

/// The part of the images that `name` stands for in the split.
fn part(all: &Part, name: &str) -> Result<Part, DataError> {
    let fault = |reason: &str| DataError { file: "split.csv".into(), reason: reason.into() };
    let line = SPLIT.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(','));
    let indices = line.ok_or_else(|| fault("a part is missing"))?.split(',');

    let values = SHAPE.values();
    let mut part = Part { shape: SHAPE, pixels: Vec::new(), labels: Vec::new() };
    for index in indices {
        let index: usize = index.parse().map_err(|_| fault("an index is not a number"))?;
        let label = all.labels.get(index).ok_or_else(|| fault("an index is too large"))?;
        part.pixels.extend_from_slice(&all.pixels[index * values..(index + 1) * values]);
        part.labels.push(*label);
    }
    Ok(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_parts_with_each_class_in_proportion() {
        let data = digits().unwrap();
        assert_eq!([data.train.len(), data.held_out.len(), data.test.len()], [1097, 200, 500]);
        for part in [&data.train, &data.held_out, &data.test] {
            for class in 0..10 {
                let count = |part: &Part| part.labels.iter().filter(|&&label| label == class).count();
                let all = [&data.train, &data.held_out, &data.test].map(count).iter().sum::<usize>();
                let proportion = all as f64 * part.len() as f64 / 1797.0;
                assert!((count(part) as f64 - proportion).abs() <= 1.5, "class {class}: {proportion}");
            }
        }
    }

    #[test]
    fn no_image_is_in_two_parts() {
        let mut indices: Vec<usize> = SPLIT
            .lines()
            .flat_map(|line| line.split(',').skip(1).map(|index| index.parse().unwrap()))
            .collect();
        indices.sort_unstable();
        assert_eq!(indices, (0..1797).collect::<Vec<_>>());
    }

    #[test]
    fn pixels_are_those_of_the_file_normalised_by_the_training_part() {
        let (all, data) = (read_images().unwrap(), digits().unwrap());
        // The first line of the file.
        let first = [0.0, 5.0, 13.0, 9.0, 1.0, 0.0, 0.0, 0.0];
        assert_eq!(all.pixels[1..9].to_vec(), first.map(|pixel| pixel / 16.0).to_vec());
        let mean = data.train.pixels.iter().sum::<f32>() / data.train.pixels.len() as f32;
        let square = data.train.pixels.iter().map(|pixel| pixel * pixel).sum::<f32>();
        let deviation = (square / data.train.pixels.len() as f32).sqrt();
        assert!(mean.abs() < 1e-4 && (deviation - 1.0).abs() < 1e-4, "{mean} {deviation}");
    }
}
