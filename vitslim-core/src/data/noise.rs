//! Random pixels and labels, to measure speed or to try an experiment before its data are there.

use std::sync::Arc;

use rand::{Rng, RngExt};
use sha2::{Digest, Sha256};

use super::content::{DataContent, SplitContent};
use super::images::{Images, Pixels};
use super::random::Choice;
use super::split::{Chosen, Split};
use super::{Augment, DataError, Dataset, ImageShape};

/// More bytes or classes than these are taken for a typing error.
const MOST_BYTES: f64 = 4e9;
const MOST_CLASSES: usize = 1_000_000;

/// `images` images with random pixels and random labels of `classes` classes, by `seed`: eight tenths for training, one
/// tenth for validation, one tenth for the test.
///
/// # Errors
///
/// When there are fewer than 10 images or more than a million classes, or all images would take more than 4 GB.
pub fn random(shape: ImageShape, classes: usize, images: usize, seed: u64) -> Result<Dataset, DataError> {
    let tenth = images / 10;
    if tenth == 0 {
        let reason = format!("is {images}, which leaves none to test; at least 10 are needed");
        return Err(DataError::setting(&["images"], reason));
    }
    if classes > MOST_CLASSES {
        let reason = format!("is {classes}; at most {MOST_CLASSES} are allowed");
        return Err(DataError::setting(&["classes"], reason));
    }
    let bytes = images as f64 * shape.channels as f64 * (shape.size as f64).powi(2);
    if bytes > MOST_BYTES {
        let reason = format!("is {images}, which would take {:.1} GB; at most 4 GB are allowed", bytes / 1e9);
        return Err(DataError::setting(&["images"], reason));
    }
    let mut generator = Choice::Noise.generator(seed);
    let mut pixels = vec![0; images * shape.values()];
    generator.fill_bytes(&mut pixels);
    let labels = (0..images).map(|_| generator.random_range(0..classes as u32)).collect();
    let all = Arc::new(Images { shape, white: 255, labels, pixels: Pixels::Memory(pixels) });

    let split = |indices: std::ops::Range<usize>| Chosen { images: all.clone(), indices: indices.collect() };
    let [held_out, test] = [images - 2 * tenth, images - tenth];
    let splits = [split(0..held_out), split(held_out..test), split(test..images)];
    let class_names = (0..classes).map(|class| class.to_string()).collect();
    let data = Dataset::assemble(splits, class_names, Augment::default(), seed)?;
    // The settings say what there is: the pixels need not be hashed.
    let made = format!(
        "{images} random images of {} x {size} x {size}, {classes} classes",
        shape.channels,
        size = shape.size
    );
    let sha256 = format!("{:x}", Sha256::digest(made));
    let content = |split: &Split| SplitContent { images: split.len(), sha256: sha256.clone() };
    let [train, held_out, test] = [&data.train, &data.held_out, &data.test].map(content);
    let content = DataContent { classes: data.class_names.clone(), train, held_out, test };
    // Classes without an image mean nothing here.
    Ok(Dataset { notes: Vec::new(), content: Arc::new(content.into()), ..data })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: ImageShape = ImageShape { channels: 3, size: 8 };

    fn values(data: &Dataset) -> Vec<f32> {
        data.train.values(&[0, 1], None).unwrap().values
    }

    #[test]
    fn splits_pixels_and_labels_are_as_asked_and_by_the_seed() {
        let data = random(SHAPE, 7, 205, 3).unwrap();
        assert_eq!([data.train.len(), data.held_out.len(), data.test.len()], [165, 20, 20]);
        assert_eq!((data.shape, data.classes, data.class_names.len()), (SHAPE, 7, 7));
        let labels: Vec<_> = (0..165).map(|index| data.train.label(index)).collect();
        assert!((0..7).all(|class| labels.contains(&class)) && labels.iter().all(|&label| label < 7));

        assert_eq!(values(&random(SHAPE, 7, 205, 3).unwrap()), values(&data));
        assert_ne!(values(&random(SHAPE, 7, 205, 4).unwrap()), values(&data));
    }

    #[test]
    fn too_few_and_too_many_are_refused() {
        let refused = |shape, images| random(shape, 7, images, 0).unwrap_err().to_string();
        assert!(refused(SHAPE, 9).contains("`images` is 9, which leaves none to test"));
        let error = random(SHAPE, 1_000_001, 20, 0).unwrap_err().to_string();
        assert!(error.contains("`classes` is 1000001; at most 1000000"), "{error}");
        let large = ImageShape { channels: 3, size: 1000 };
        assert!(refused(large, 2000).contains("would take 6.0 GB"));
    }
}
