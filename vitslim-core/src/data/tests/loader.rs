use std::collections::BTreeSet;
use std::sync::Arc;

use burn::tensor::{Device, Int, Tensor};

use super::*;

const ORDER: Order = Order::Shuffled { seed: 5, stage: Stage::Search };
const AUGMENT: Augment = Augment { crop_padding: 1, fill: Fill::Mean, flip: true, ..Augment::NONE };

/// Values, labels and seed of every batch of `epochs` epochs.
type Batches = Vec<(Vec<f32>, Vec<i64>, u64)>;

fn batches(loader: &Loader, epochs: std::ops::RangeInclusive<usize>) -> Batches {
    let read = |batch: Result<Batch, DataError>| {
        let Batch { images, labels, seed, .. } = batch.unwrap();
        let labels = labels.into_data().convert::<i64>().try_to_vec::<i64>().unwrap();
        (images.into_data().try_to_vec::<f32>().unwrap(), labels, seed)
    };
    epochs.flat_map(|epoch| loader.epoch(epoch)).map(read).collect()
}

fn idx_part() -> Arc<Split> {
    let preparation = Preparation { augment: AUGMENT, ..preparation(0.1) };
    Arc::new(idx(Files::idx().path(), 2, &preparation).unwrap().train)
}

#[test]
fn the_same_batches_for_any_number_of_threads() {
    let files = Files::folder();
    let preparation = Preparation { augment: AUGMENT, ..preparation(0.25) };
    let folder = Arc::new(image_folder(&image_folder_of(&files), &preparation).unwrap().train);
    for (part, batch) in [(idx_part(), 5), (folder, 4)] {
        let of = |threads| {
            let loader = Loader::new(part.clone(), batch, ORDER, Device::flex());
            batches(&loader.with_threads(threads), 1..=2)
        };
        let expected = of(0);
        for threads in [1, 2, 5] {
            assert!(of(threads) == expected, "{threads} threads");
        }
        assert_eq!(batches(&Loader::new(part.clone(), batch, ORDER, Device::flex()), 1..=2), expected);
        let (first, second) = expected.split_at(expected.len() / 2);
        assert_ne!(first, second);
    }
}

#[test]
fn an_epoch_is_drawn_again_from_its_number() {
    let loader = || Loader::new(idx_part(), 5, ORDER, Device::flex());
    let three = batches(&loader(), 1..=3);
    assert_eq!(batches(&loader(), 3..=3), three[14..]);
    let first = loader().epoch(2).next().unwrap().unwrap();
    assert_eq!((first.epoch, first.step, first.seed), (2, 1, three[7].2));
}

#[test]
fn batches_of_any_size_have_every_image_at_most_once_and_to_validate_every_one() {
    let part = Arc::new(idx(Files::idx().path(), 2, &preparation(0.1)).unwrap().train);
    for (order, batch, expected) in [
        (Order::AsIs, 1, vec![1; 36]),
        (Order::AsIs, 31, vec![31, 5]),
        (Order::AsIs, 36, vec![36]),
        (Order::AsIs, 1000, vec![36]),
        (ORDER, 1, vec![1; 36]),
        (ORDER, 18, vec![18; 2]),
        (ORDER, 31, vec![31]),
        (ORDER, 36, vec![36]),
        (ORDER, 1000, vec![36]),
    ] {
        for threads in [0, 3] {
            let loader = Loader::new(part.clone(), batch, order, Device::flex()).with_threads(threads);
            assert_eq!(loader.len(), expected.len());
            let found = batches(&loader, 1..=1);
            let sizes: Vec<usize> = found.iter().map(|(_, labels, _)| labels.len()).collect();
            assert_eq!(sizes, expected);
            let images: usize = sizes.iter().sum();
            let values: Vec<u32> =
                found.iter().flat_map(|(values, ..)| values).map(|value| value.to_bits()).collect();
            assert_eq!(values.len(), images * 9);
            assert_eq!(values.chunks(9).collect::<BTreeSet<_>>().len(), images);
            let ones: i64 = found.iter().flat_map(|(_, labels, _)| labels).sum();
            assert!(ones == 18 || images < 36, "{ones} of the second class");
        }
    }
}

#[test]
fn only_shuffled_batches_are_augmented() {
    let part = idx_part();
    let values = |order| batches(&Loader::new(part.clone(), 36, order, Device::flex()), 1..=1).remove(0).0;
    assert_eq!(values(Order::AsIs), part.values(&(0..36).collect::<Vec<_>>(), None).unwrap().values);
    let augmented = values(ORDER);
    // A crop that lies a pixel off brings in a row or column of the mean.
    assert!(augmented.iter().filter(|value| **value == 0.0).count() > 50);
}

/// Mixing and everything else, on a batch of any size.
#[test]
fn the_recipes_give_the_same_batches_for_any_threads_size_and_start() {
    let files = Files::folder();
    for augment in [Augment::DEIT, Augment::DEIT3] {
        let preparation = Preparation { augment, ..preparation(0.25) };
        let folder = Arc::new(image_folder(&image_folder_of(&files), &preparation).unwrap().train);
        let idx = Arc::new(idx(Files::idx().path(), 2, &preparation).unwrap().train);
        for (part, batch) in [(folder.clone(), 1), (folder, 3), (idx.clone(), 30), (idx, 7)] {
            let loader = Loader::new(part.clone(), batch, ORDER, Device::flex());
            let expected = batches(&loader.clone().with_threads(0), 1..=3);
            assert!(expected == batches(&loader.clone().with_threads(3), 1..=3));
            assert_eq!(batches(&loader, 3..=3), expected[expected.len() / 3 * 2..]);
            for batch in loader.epoch(1).map(Result::unwrap) {
                let Mixed { labels, share } = batch.mixed.clone().unwrap();
                assert!((0.0..=1.0).contains(&share));
                let read =
                    |labels: Tensor<1, Int>| labels.into_data().convert::<i64>().try_to_vec::<i64>().unwrap();
                let mut reversed = read(batch.labels.clone());
                reversed.reverse();
                assert_eq!(read(labels), reversed);
                let parts = batch.parts(2).flat_map(|part| read(part.mixed.unwrap().labels));
                assert_eq!(parts.collect::<Vec<_>>(), reversed);
            }
        }
    }
}

/// timm insists on an even batch.
#[test]
fn batches_that_are_odd_or_leave_images_over_are_mixed() {
    let images: u32 = 1437;
    let files = Files::idx();
    let size = images.to_be_bytes();
    let pixels = (0..images).flat_map(|image| (0..9).map(move |pixel| (image * 7 + pixel * 31) as u8));
    let header = [[0, 0, 8, 3], size, [0, 0, 0, 3], [0, 0, 0, 3]].concat();
    files.write("train-images-idx3-ubyte", header.into_iter().chain(pixels).collect::<Vec<u8>>());
    let labels = (0..images).map(|image| (image % 2) as u8);
    files.write(
        "train-labels-idx1-ubyte",
        [[0, 0, 8, 1], size].concat().into_iter().chain(labels).collect::<Vec<u8>>(),
    );
    let part = |augment| {
        let preparation = Preparation { augment, ..preparation(0.01) };
        Arc::new(idx(files.path(), 2, &preparation).unwrap().train)
    };
    let mixed = part(Augment { mixup: 0.8, cutmix: 1.0, ..Augment::NONE });
    let plain = part(Augment::NONE);
    assert_eq!(plain.len(), 1423);
    for (batch, steps) in [(32, 44), (31, 45), (1, 1423), (1423, 1), (5000, 1)] {
        let read =
            |part: &Arc<Split>| batches(&Loader::new(part.clone(), batch, ORDER, Device::flex()), 1..=1);
        let (mixed, plain) = (read(&mixed), read(&plain));
        assert_eq!((mixed.len(), plain.len()), (steps, steps));
        for ((mixed, mixed_labels, _), (plain, labels, _)) in mixed.iter().zip(&plain) {
            assert_eq!(mixed_labels, labels);
            let images = labels.len();
            let differ: Vec<bool> = mixed.chunks(9).zip(plain.chunks(9)).map(|(a, b)| a != b).collect();
            assert!(images.is_multiple_of(2) || !differ[images / 2], "the middle image stays");
            let sum = |values: &[f32]| values.iter().map(|value| f64::from(*value)).sum::<f64>();
            assert!((sum(mixed) - sum(plain)).abs() < 1e-2, "images are mixed in pairs");
        }
    }
}

/// The place of an image in the batches decides nothing about what is done to it.
#[test]
fn an_image_is_changed_alike_in_a_batch_of_any_size() {
    let augment = Augment { mixup: 0.0, cutmix: 0.0, flip: false, erasing: 0.5, ..Augment::DEIT };
    let part =
        Arc::new(idx(Files::idx().path(), 2, &Preparation { augment, ..preparation(0.1) }).unwrap().train);
    let values = |batch| {
        let batches = batches(&Loader::new(part.clone(), batch, ORDER, Device::flex()), 1..=1);
        batches.into_iter().flat_map(|(values, ..)| values).collect::<Vec<_>>()
    };
    assert!(values(36) == values(1));
}

/// What each image of an epoch looks like, and its label.
fn seen(part: &Split, augment: Augment, epoch: usize) -> Vec<(Vec<u32>, i64)> {
    let loader = Loader::new(Arc::new(part.clone().augmented(augment)), 1, ORDER, Device::flex());
    let images = batches(&loader, epoch..=epoch).into_iter();
    let bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect();
    images.map(|(values, labels, _)| (bits(values), labels[0])).collect()
}

#[test]
fn an_epoch_repeats_a_part_of_the_images_each_time_in_another_way() {
    let part = Arc::unwrap_or_clone(idx_part());
    let augment = Augment { repeats: 3, mixup: 0.0, cutmix: 0.0, flip: false, ..Augment::DEIT };
    let once = seen(&part, Augment { repeats: 1, ..augment }, 1);
    let repeated = seen(&part, augment, 1);
    assert_eq!((repeated.len(), once.len()), (36, 36), "epochs stay as long as they are");
    for (copies, first) in repeated.chunks(3).zip(&once) {
        assert_eq!(&copies[0], first, "the first copy is what is seen without others");
        assert!(copies.iter().all(|(_, label)| *label == first.1));
    }
    let views = |seen: &[(Vec<u32>, i64)]| seen.iter().cloned().collect::<BTreeSet<_>>().len();
    assert!(views(&repeated) > 30, "copies are changed in {} ways", views(&repeated));
    // Without augmentation, copies are what they are copies of.
    assert_eq!(views(&seen(&part, Augment { repeats: 3, ..Augment::NONE }, 1)), 12);
    assert_eq!(views(&seen(&part, Augment { repeats: 5, ..Augment::NONE }, 1)), 8, "36 are 7 times 5 and 1");
    assert_eq!(views(&seen(&part, Augment { repeats: 100, ..Augment::NONE }, 1)), 1);
    assert_ne!(seen(&part, augment, 2), repeated, "the next epoch has others");
}

#[test]
fn an_iterator_that_is_dropped_early_ends_its_threads() {
    let part = idx_part();
    let loader = Loader::new(part.clone(), 1, ORDER, Device::flex()).with_threads(3);
    for taken in [0, 1, 4] {
        let mut epoch = loader.epoch(1);
        for _ in 0..taken {
            epoch.next().unwrap().unwrap();
        }
        drop(epoch);
    }
    // Every thread held a clone of the part.
    drop(loader);
    assert_eq!(Arc::strong_count(&part), 1);
}

#[test]
fn an_image_that_vanishes_is_told_once_and_ends_the_epoch() {
    let files = Files::folder();
    let part = Arc::new(image_folder(&image_folder_of(&files), &preparation(0.25)).unwrap().train);
    std::fs::remove_dir_all(files.path().join("train/dog")).unwrap();
    for threads in [0, 1, 2] {
        let loader = Loader::new(part.clone(), 2, Order::AsIs, Device::flex()).with_threads(threads);
        let mut epoch = loader.epoch(1);
        let told = epoch.by_ref().find_map(Result::err).unwrap().to_string();
        assert!(told.contains("train/dog/") && told.contains("cannot be read"), "{told}");
        assert!(epoch.next().is_none());
    }
}

#[test]
fn parts_are_the_batch_in_its_order_and_draw_for_themselves() {
    let loader = Loader::new(idx_part(), 5, ORDER, Device::flex());
    let batch = loader.epoch(1).next().unwrap().unwrap();
    let whole: Vec<f32> = batch.images.clone().into_data().try_to_vec().unwrap();
    for (parts, sizes) in [(1, vec![5]), (2, vec![3, 2]), (4, vec![2, 2, 1]), (9, vec![1; 5])] {
        let parts: Vec<_> = batch.clone().parts(parts).collect();
        assert_eq!(parts.iter().map(Batch::len).collect::<Vec<_>>(), sizes);
        let mut seeds: Vec<_> = parts.iter().map(|part| part.seed).collect();
        assert_eq!(seeds[0], batch.seed);
        seeds.sort_unstable();
        seeds.dedup();
        assert_eq!(seeds.len(), sizes.len(), "two parts draw alike");
        let images = parts.into_iter().flat_map(|part| part.images.into_data().try_to_vec::<f32>().unwrap());
        assert!(images.collect::<Vec<_>>() == whole);
    }
}
