//! Images that turn out to be damaged when their batch is made.

use std::sync::Arc;

use burn::tensor::Device;

use super::super::batch::Mixed;
use super::*;

const ORDER: Order = Order::Shuffled { seed: 5, stage: Stage::Search };

/// Sixteen images to train, of which those at `damaged` are damaged after the dataset was read.
fn train(damaged: &[usize], skip_at_most: usize) -> (Files, Arc<Split>) {
    augmented(damaged, skip_at_most, Augment { crop_padding: 2, flip: true, ..Augment::default() })
}

fn augmented(damaged: &[usize], skip_at_most: usize, augment: Augment) -> (Files, Arc<Split>) {
    let files = Files::new();
    for (part, images) in [("train", 8), ("val", 2), ("test", 1)] {
        for (class, blue) in [("cat", 0), ("dog", 255)] {
            for image in 0..images {
                files.png(&format!("{part}/{class}/{image}.png"), 8, 8, [10 * image, 5, blue]);
            }
        }
    }
    let folder = ImageFolder { skip_at_most, ..image_folder_of(&files) };
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
fn a_batch_without_any_image_is_an_error_in_training_and_passed_over_elsewhere() {
    let (_files, part) = train(&[0], 3);
    assert!(part.images(&[0], &Device::flex()).unwrap().is_none());
    assert_eq!(part.images(&[0, 1], &Device::flex()).unwrap().unwrap().dims()[0], 1);
    let error = batches(&part, 1, 2).1.unwrap();
    assert!(error.contains("and no other image of its batch can be read"), "{error}");

    let all: Vec<usize> = (0..16).collect();
    for threads in [0, 1, 3] {
        let steps = |damaged: &[usize], batch| -> Vec<_> {
            let (_files, part) = train(damaged, 16);
            let loader = Loader::new(part, batch, Order::AsIs, Device::flex()).with_threads(threads);
            loader.epoch(1).map(|batch| batch.map(|batch| (batch.step, batch.len()))).collect()
        };
        // The last image by itself, and two batches in the middle.
        let read = |damaged: &[usize], batch| steps(damaged, batch).into_iter().map(Result::unwrap).collect();
        let found: Vec<_> = read(&[15], 5);
        assert_eq!(found, [(1, 5), (2, 5), (3, 5)]);
        let found: Vec<_> = read(&[4, 5, 6, 7, 9], 2);
        assert_eq!(found, [(1, 2), (2, 2), (5, 1), (6, 2), (7, 2), (8, 2)]);
        let none = steps(&all, 5);
        let [Err(error)] = &none[..] else { panic!("there are images") };
        assert!(error.to_string().contains("and no other image of its split can be read"), "{error}");
    }
    let (_files, part) = train(&all, 16);
    let error = part.first(3, &Device::flex()).unwrap_err();
    assert!(error.to_string().contains("and no other image of its split can be read"), "{error}");
}

/// Mixed in pairs from both ends of the images that can be read.
#[test]
fn labels_mixed_labels_and_values_agree_beside_damaged_images() {
    let damaged = [2, 3, 11];
    for (recipe, is_cut) in [
        (Augment { repeats: 1, cutmix: 0.0, ..Augment::DEIT }, false),
        (Augment { repeats: 1, mixup: 0.0, ..Augment::DEIT }, true),
        (
            Augment {
                repeats: 1,
                mixup: 0.0,
                crop: Some(RandomCrop::Simple { padding: 2 }),
                ..Augment::DEIT3
            },
            true,
        ),
    ] {
        let unmixed = Augment { mixup: 0.0, cutmix: 0.0, ..recipe };
        let (_files, part) = augmented(&damaged, 3, unmixed);
        let (expected, _) = batches(&part, 5, 0);
        assert!(expected.iter().any(|batch| batch.len() < 5));
        for threads in [0, 1, 2, 5] {
            let (_files, part) = augmented(&damaged, 3, recipe);
            let loader = Loader::new(part, 5, ORDER, Device::flex()).with_threads(threads);
            let mut pairs = 0;
            let found = loader.epoch(1).chain(loader.epoch(2)).map(Result::unwrap);
            for (batch, alone) in found.zip(&expected) {
                let images = images(&batch);
                let Mixed { labels, share } = batch.mixed.unwrap();
                let labels = labels.into_data().convert::<i64>().try_into_vec::<i64>().unwrap();
                assert_eq!(
                    ([images.len(), labels.len()], batch.images.dims()),
                    ([alone.len(); 2], [alone.len(), 3, 8, 8])
                );
                for (place, (values, label)) in images.iter().enumerate() {
                    let (own, other) = (&alone[place], &alone[alone.len() - 1 - place]);
                    assert_eq!((*label, labels[place]), (own.1, other.1));
                    pairs += usize::from(own.1 != other.1);
                    let [values, own, other] = [values, &own.0, &other.0]
                        .map(|bits| bits.iter().map(|bits| f32::from_bits(*bits)).collect::<Vec<_>>());
                    let each = || values.iter().zip(own.iter().zip(&other));
                    match is_cut {
                        true => {
                            assert!(each().all(|(value, (own, other))| value == own || value == other));
                            let taken = each().filter(|(value, (own, _))| value != own).count();
                            assert!(taken as f64 <= (1.0 - share) * values.len() as f64 + 1e-6);
                        }
                        false => {
                            let mixed =
                                |own: f32, other: f32| own * share as f32 + other * (1.0 - share) as f32;
                            assert!(
                                each()
                                    .all(|(value, (own, other))| (value - mixed(*own, *other)).abs() < 1e-5)
                            );
                        }
                    }
                }
            }
            assert!(pairs > 0, "all pairs have one class");
        }
    }
}

#[test]
fn each_folder_counts_what_it_leaves_out_by_itself() {
    let (files, part) = train(&[0, 1], 2);
    for name in ["val/cat/0.png", "test/dog/0.png"] {
        files.write(name, "no image");
    }
    let folder = ImageFolder { skip_at_most: 2, reading: anew(), ..image_folder_of(&files) };
    let data = image_folder(&folder, &preparation(0.25)).unwrap();
    let left_out: Vec<_> = data.notes.iter().filter(|note| note.contains("are left out")).collect();
    assert!(left_out.len() == 3 && left_out[0].contains("left out: 2 ("), "{left_out:?}");
    for (split, images) in [(&data.train, 14), (&data.held_out, 3), (&data.test, 1)] {
        let loader = Loader::new(Arc::new(split.clone()), 20, Order::AsIs, Device::flex());
        assert_eq!(loader.epoch(1).map(|batch| batch.unwrap().len()).sum::<usize>(), images);
    }
    assert_eq!(batches(&part, 4, 0).1, None);
    // The split with the most is named, so that the number is enough for all.
    let few = ImageFolder { skip_at_most: 0, ..folder };
    let error = image_folder(&few, &preparation(0.25)).unwrap_err();
    assert!(error.advice().unwrap().contains("`skip_at_most: 2` (it is 0)"), "{error}");
}

#[test]
fn the_first_images_are_the_first_that_can_be_read() {
    let (_files, part) = train(&[1, 2], 2);
    let (first, labels) = part.first(3, &Device::flex()).unwrap();
    let expected = part.images(&[0, 3, 4], &Device::flex()).unwrap().unwrap();
    assert_eq!((first.into_data(), labels.dims()), (expected.into_data(), [3]));
    let (first, labels) = part.first(20, &Device::flex()).unwrap();
    assert_eq!((first.dims()[0], labels.dims()), (20, [20]));
    let again = part.images(&[0], &Device::flex()).unwrap().unwrap();
    assert_eq!(first.narrow(0, 14, 1).into_data(), again.into_data());
}
