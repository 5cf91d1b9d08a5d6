//! Images that turn out to be damaged when their batch is made.

use std::sync::Arc;

use burn::tensor::Device;

use super::*;

const ORDER: Order = Order::Shuffled { seed: 5, stage: Stage::Search };

/// Sixteen images to train, of which those at `damaged` are damaged after the dataset was read.
fn train(damaged: &[usize], skip_at_most: usize) -> (Files, Arc<Split>) {
    let files = Files::new();
    for (part, images) in [("train", 8), ("val", 2), ("test", 1)] {
        for (class, blue) in [("cat", 0), ("dog", 255)] {
            for image in 0..images {
                files.png(&format!("{part}/{class}/{image}.png"), 8, 8, [10 * image, 5, blue]);
            }
        }
    }
    let folder = ImageFolder { skip_at_most, ..image_folder_of(&files) };
    let augment = Augment { crop_padding: 2, flip: true, ..Augment::default() };
    let split = image_folder(&folder, &Preparation { augment, ..preparation(0.25) }).unwrap().train;
    for image in damaged {
        files.write(&format!("train/{}/{}.png", ["cat", "dog"][image / 8], image % 8), "no image");
    }
    (files, Arc::new(split))
}

/// The images of a batch: the values and the label of each.
type Images = Vec<(Vec<u32>, i64)>;

fn images(batch: &Batch) -> Images {
    let values = batch.images.clone().into_data().try_to_vec::<f32>().unwrap();
    let labels = batch.labels.clone().into_data().convert::<i64>().try_to_vec::<i64>().unwrap();
    assert_eq!(labels.len(), batch.len());
    let values = values.chunks(3 * 64).map(|image| image.iter().map(|value| value.to_bits()).collect());
    values.zip(labels).collect()
}

/// The batches of two epochs up to the first error, and that.
fn batches(part: &Arc<Split>, size: usize, threads: usize) -> (Vec<Images>, Option<String>) {
    let loader = Loader::new(part.clone(), size, ORDER, Device::flex()).with_threads(threads);
    let mut read = Vec::new();
    for batch in loader.epoch(1).chain(loader.epoch(2)) {
        match batch {
            Ok(batch) => read.push(images(&batch)),
            Err(error) => {
                let told = format!("{error} ({})", error.advice().unwrap());
                // Each time, the files are in another folder.
                return (read, Some(told.split('`').step_by(2).collect()));
            }
        }
    }
    (read, None)
}

#[test]
fn a_batch_lacks_what_is_damaged_and_nothing_else_changes_for_any_number_of_threads() {
    let (_files, whole) = train(&[], 0);
    let (expected, _) = batches(&whole, 4, 0);
    for threads in [0, 1, 2, 5] {
        let (_files, part) = train(&[3, 12], 2);
        let (found, error) = batches(&part, 4, threads);
        assert_eq!((found.len(), error), (8, None), "{threads} threads");
        let lengths: Vec<usize> = found.iter().map(Vec::len).collect();
        assert_eq!(lengths.iter().sum::<usize>(), 2 * 14, "{lengths:?}");
        // The others are there in their order, augmented as they were.
        for (found, expected) in found.iter().zip(&expected) {
            let mut expected = expected.iter();
            assert!(found.iter().all(|image| expected.any(|other| other == image)));
        }
    }
}

#[test]
fn one_too_many_ends_the_epoch_at_the_same_batch_for_any_number_of_threads() {
    let end = |threads| {
        let (_files, part) = train(&[0, 3, 6, 9, 12], 3);
        batches(&part, 2, threads)
    };
    let (found, error) = end(0);
    assert!(found.len() > 1 && found.len() < 8, "{} batches", found.len());
    let told = error.clone().unwrap();
    assert!(told.contains("is no JPEG, PNG or WebP image; 3 more images cannot be read either: "), "{told}");
    for threads in [1, 2, 5] {
        assert!(end(threads) == (found.clone(), error.clone()), "{threads} threads");
    }
    // Those that were met before are not counted again.
    let (_files, part) = train(&[0, 3, 6, 9, 12], 5);
    assert_eq!(batches(&part, 4, 2).1, None);
    assert_eq!(batches(&part, 4, 2).1, None);
}

#[test]
fn a_batch_without_any_image_is_an_error() {
    let (_files, part) = train(&[0], 3);
    let error = part.images(&[0], &Device::flex()).unwrap_err();
    assert!(error.to_string().contains("and no other image of its batch can be read"), "{error}");
    assert_eq!(part.images(&[0, 1], &Device::flex()).unwrap().dims()[0], 1);
    let error = batches(&part, 1, 2).1.unwrap();
    assert!(error.contains("and no other image of its batch can be read"), "{error}");
}

#[test]
fn the_first_images_are_the_first_that_can_be_read() {
    let (_files, part) = train(&[1, 2], 2);
    let (first, labels) = part.first(3, &Device::flex()).unwrap();
    let expected = part.images(&[0, 3, 4], &Device::flex()).unwrap();
    assert_eq!((first.into_data(), labels.dims()), (expected.into_data(), [3]));
    let (first, labels) = part.first(20, &Device::flex()).unwrap();
    assert_eq!((first.dims()[0], labels.dims()), (20, [20]));
    let again = part.images(&[0], &Device::flex()).unwrap();
    assert_eq!(first.narrow(0, 14, 1).into_data(), again.into_data());
}
