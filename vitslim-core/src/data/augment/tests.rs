//! Operations beside Pillow's, and draws beside timm's: `data/augment/README.md` says how they were made.

use std::collections::BTreeMap;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use safetensors::SafeTensors;
use serde_json::Value;

use super::operation::Operation;
use super::raster::Rectangle;
use super::*;
use crate::data::{ImageShape, Moment, Stage};

const OPERATIONS: &[u8] = include_bytes!("../../../data/augment/operations.safetensors");
const DRAWS: &str = include_str!("../../../data/augment/draws.json");

/// What lies outside the images of Pillow.
const FILL: [u8; 3] = [124, 116, 104];

/// The planes of an image, `[channels, height, width]`.
fn planes(image: &Raster) -> Vec<u8> {
    (0..image.channels).flat_map(|channel| image.channel(channel)).collect()
}

/// The planes of a part of an image.
fn cropped(image: &Raster, Rectangle { top, left, height, width }: Rectangle) -> Vec<u8> {
    let planes = planes(image);
    let rows = planes.chunks_exact(image.width).enumerate();
    let within = rows.filter(|(row, _)| (top..top + height).contains(&(row % image.height)));
    within.flat_map(|(_, row)| row[left..left + width].iter().copied()).collect()
}

fn operation(name: &str, arguments: &[f64]) -> Operation {
    use Operation::*;
    match (name, arguments) {
        ("AutoContrast", []) => AutoContrast,
        ("Equalize", []) => Equalize,
        ("Invert", []) => Invert,
        ("Rotate", &[degrees]) => Rotate(degrees),
        ("Posterize", &[bits]) => Posterize(bits as u32),
        ("Solarize", &[threshold]) => Solarize(threshold as u32),
        ("SolarizeAdd", &[more]) => SolarizeAdd(more as u32),
        ("Color", &[factor]) => Color(factor),
        ("Contrast", &[factor]) => Contrast(factor),
        ("Brightness", &[factor]) => Brightness(factor),
        ("Sharpness", &[factor]) => Sharpness(factor),
        ("ShearX", &[factor]) => ShearX(factor),
        ("ShearY", &[factor]) => ShearY(factor),
        ("TranslateX", &[part]) => TranslateX(part),
        ("TranslateY", &[part]) => TranslateY(part),
        ("GaussianBlur", &[radius]) => GaussianBlur(radius),
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_operation_makes_the_pixels_of_pillow() {
    let file = SafeTensors::deserialize(OPERATIONS).unwrap();
    let raster = |name: &str| {
        let tensor = file.tensor(name).unwrap();
        Raster::of_planes(tensor.shape()[1], tensor.shape()[2], tensor.data())
    };
    let mut compared = 0;
    for name in file.names() {
        let words: Vec<&str> = name.split(' ').collect();
        let [image, done, ..] = words[..] else { continue };
        let arguments: Vec<f64> = words[2..].iter().map(|argument| argument.parse().unwrap()).collect();
        let mut image = raster(image);
        if done == "Resize" {
            let numbers: Vec<usize> = arguments.iter().map(|&argument| argument as usize).collect();
            let &[top, left, height, width, after_height, after_width] = numbers.as_slice() else { panic!() };
            let part = Rectangle { top, left, height, width };
            let resized = |seen| image.resized(part, after_height, after_width, seen);
            let whole = resized(Rectangle::whole(after_height, after_width));
            // A part of what comes out is that part of it.
            let seen = Rectangle { top: 1, left: 2, height: after_height - 3, width: after_width - 2 };
            assert_eq!(planes(&resized(seen)), cropped(&whole, seen), "{name}");
            image = whole;
        } else {
            operation(done, &arguments).apply(&mut image, &FILL);
        }
        let (found, expected) = (planes(&image), planes(&raster(name)));
        let differing = found.iter().zip(&expected).filter(|(a, b)| a != b).count();
        assert!(found == expected, "{name}: {differing} of {} pixels", expected.len());
        compared += 1;
    }
    assert!(compared > 130, "{compared}");
}

#[test]
fn what_pillow_refuses_or_has_no_pixels_for_is_harmless() {
    let image = || Raster::of_planes(2, 2, &[1, 90, 200, 255]);
    let done = |operation: Operation| {
        let mut image = image();
        operation.apply(&mut image, &[7]);
        planes(&image)
    };
    assert_eq!(done(Operation::Posterize(0)), [0; 4]);
    assert_eq!(done(Operation::Sharpness(0.1)), planes(&image()));
    assert_eq!(done(Operation::Color(0.0)), planes(&image()));
    for operation in [Operation::AutoContrast, Operation::Equalize, Operation::Rotate(30.0)] {
        let mut point = Raster::of_planes(1, 1, &[9]);
        operation.apply(&mut point, &[7]);
        assert_eq!(planes(&point), [9]);
    }
    let mirrored = Raster::of_planes(1, 3, &[1, 2, 3]).reflected(0, -2, 3);
    assert_eq!((mirrored.height, mirrored.width), (3, 3));
    assert_eq!(planes(&mirrored)[..3], [3, 2, 1]);
    assert_eq!(planes(&image().reflected(1, 1, 2)), [255, 200, 90, 1]);
}

/// Four channels lie side by side, and more in further layers.
#[test]
fn an_image_of_any_number_of_channels_is_changed_channel_by_channel() {
    let size = 13;
    let plane = |channel: usize| (0..size * size).map(move |place| (place * (7 + channel) % 256) as u8);
    let whole = Rectangle::whole(size, size);
    let fill: Vec<u8> = (0..9).map(|channel| 20 * channel).collect();
    for channels in [1, 2, 4, 5, 9] {
        let pixels: Vec<u8> = (0..channels).flat_map(plane).collect();
        let image = Raster::of_planes(size, size, &pixels);
        let mut copied = vec![0; pixels.len()];
        image.copy_to(&mut copied);
        assert_eq!(copied, pixels);
        type Change<'a> = &'a dyn Fn(&mut Raster, &[u8]);
        let changes: [Change; 6] = [
            &|image, _| image.auto_contrast(),
            &|image, fill| image.rotate(20.0, fill),
            &|image, _| image.sharpness(1.7),
            &|image, _| image.gaussian_blur(1.5),
            &|image, _| *image = image.resized(whole, 7, 20, Rectangle::whole(7, 20)),
            &|image, fill| *image = shifted(image.clone(), fill),
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let mut together = image.clone();
            change(&mut together, &fill[..channels]);
            let alone = (0..channels).flat_map(|channel| {
                let mut alone = Raster::of_planes(size, size, &plane(channel).collect::<Vec<_>>());
                change(&mut alone, &fill[channel..=channel]);
                planes(&alone)
            });
            assert!(planes(&together) == alone.collect::<Vec<_>>(), "{channels} channels, change {number}");
        }
    }
}

/// A view that brings in the `mean`.
fn shifted(image: Raster, mean: &[u8]) -> Raster {
    let augment = Augment { crop_padding: 5, fill: Fill::Mean, flip: true, ..Augment::NONE };
    augment.draw(&mut draws()).applied(image, mean)
}

#[test]
fn pixels_of_three_channels_are_put_into_planes() {
    let image = Raster::of_rgb(1, 2, &[1, 2, 3, 4, 5, 6]);
    assert_eq!(planes(&image), [1, 4, 2, 5, 3, 6]);
    let table: [[f32; 256]; 3] =
        [10.0, 20.0, 30.0].map(|more| std::array::from_fn(|value| value as f32 + more));
    let mut values = [0.0; 6];
    image.normalised(&table, &mut values);
    assert_eq!(values, [11.0, 14.0, 22.0, 25.0, 33.0, 36.0]);
}

/// timm's draws.
fn timm() -> Value {
    serde_json::from_str(DRAWS).unwrap()
}

/// Compares the quantiles of `found` with those of timm's draws. Each may lie where timm's lie `within` of all draws earlier or later:
/// 20,000 draws of both scatter by about half a percent.
fn close(what: &str, found: &[f64], expected: &Value, within: f64) {
    let expected: Vec<f64> =
        expected.as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect();
    let mut found = found.to_vec();
    found.sort_by(f64::total_cmp);
    for (index, &quantile) in expected.iter().enumerate() {
        let place = 0.02 + 0.96 * index as f64 / (expected.len() - 1) as f64;
        // Values that are drawn often have many places.
        let below = found.partition_point(|&value| value < quantile - 1e-6) as f64 / found.len() as f64;
        let up_to = found.partition_point(|&value| value <= quantile + 1e-6) as f64 / found.len() as f64;
        assert!(
            below <= place + within && up_to >= place - within,
            "{what}: {quantile} is at {place} of timm's draws, from {below} to {up_to} of ours"
        );
    }
}

fn draws() -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(1)
}

const COUNT: usize = 20_000;

/// Images of RandAugment: each operation comes in one layer of fifteen.
const IMAGES: usize = 10 * COUNT;

#[test]
fn crops_are_drawn_as_in_timm() {
    let mut draws = draws();
    for (name, expected) in timm()["crop"].as_object().unwrap() {
        let [width, height] = ["width", "height"].map(|side| expected[side].as_u64().unwrap() as usize);
        let Some(RandomCrop::Resized { scale, ratio }) = Augment::DEIT.crop else { panic!() };
        let found: Vec<Rectangle> =
            (0..COUNT).map(|_| crop::rectangle(height, width, scale, ratio, &mut draws)).collect();
        let compare = |what: &str, value: fn(&Rectangle) -> (usize, usize), whole: f64| {
            let value = |found| {
                let (value, over) = value(found);
                value as f64 / over as f64 / whole
            };
            let found: Vec<f64> = found.iter().map(value).collect();
            close(&format!("{what} of {name}"), &found, &expected[what], 0.02);
        };
        compare("area", |found| (found.height * found.width, 1), (height * width) as f64);
        compare("aspect", |found| (found.width, found.height), 1.0);
        compare("top", |found| (found.top, 1), height as f64);
        compare("left", |found| (found.left, 1), width as f64);
    }
}

#[test]
fn rand_augment_draws_the_operations_and_arguments_of_timm() {
    let mut draws = draws();
    let mut found: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for operation in (0..IMAGES).flat_map(|_| AutoAugment::RAND.draw(&mut draws)) {
        let written = format!("{operation:?}");
        let (name, argument) = written.split_once('(').unwrap_or((&written, "0)"));
        let argument = argument.trim_end_matches(')').parse().unwrap();
        found.entry(name.to_owned()).or_default().push(argument);
    }
    let expected = timm()["rand_augment"].clone();
    let expected = expected.as_object().unwrap();
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    // Two layers, half of which act.
    let all = found.values().map(Vec::len).sum::<usize>() as f64 / IMAGES as f64;
    assert!((all - 1.0).abs() < 0.01, "{all}");
    for (name, arguments) in &found {
        let expected = &expected[name];
        let frequency = arguments.len() as f64 / IMAGES as f64;
        assert!((frequency - expected["frequency"].as_f64().unwrap()).abs() < 0.003, "{name}: {frequency}");
        if !expected["argument"].is_null() {
            close(name, arguments, &expected["argument"], 0.02);
        }
    }
}

#[test]
fn three_augment_is_drawn_as_in_timm() {
    let mut draws = draws();
    let mut found: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for _ in 0..COUNT {
        let (name, argument) = match AutoAugment::ThreeAugment.draw(&mut draws)[..] {
            [Operation::Solarize(threshold)] => ("Solarize", f64::from(threshold)),
            [Operation::Color(factor)] => ("Color", factor),
            [Operation::GaussianBlur(radius)] => ("GaussianBlur", radius),
            ref other => panic!("{other:?}"),
        };
        found.entry(name).or_default().push(argument);
    }
    for (name, expected) in timm()["three_augment"].as_object().unwrap() {
        let arguments = &found[name.as_str()];
        let frequency = arguments.len() as f64 / COUNT as f64;
        assert!((frequency - expected["frequency"].as_f64().unwrap()).abs() < 0.015, "{name}: {frequency}");
        close(name, arguments, &expected["argument"], 0.025);
    }
}

#[test]
fn jitter_is_drawn_as_in_torchvision() {
    let mut draws = draws();
    let [mut brightness, mut contrast, mut color] = [const { Vec::new() }; 3];
    let mut first = [0; 3];
    for _ in 0..COUNT {
        let operations = policy::jitter(0.3, &mut draws);
        assert_eq!(operations.len(), 3);
        for (place, operation) in operations.into_iter().enumerate() {
            let (number, factors, factor) = match operation {
                Operation::Brightness(factor) => (0, &mut brightness, factor),
                Operation::Contrast(factor) => (1, &mut contrast, factor),
                Operation::Color(factor) => (2, &mut color, factor),
                other => panic!("{other:?}"),
            };
            factors.push(factor);
            first[number] += usize::from(place == 0);
        }
    }
    let expected = &timm()["jitter"];
    for (what, factors) in [("brightness", brightness), ("contrast", contrast), ("color", color)] {
        close(what, &factors, &expected[what], 0.02);
    }
    for (count, expected) in first.into_iter().zip(expected["first"].as_array().unwrap()) {
        assert!((count as f64 / COUNT as f64 - expected.as_f64().unwrap()).abs() < 0.02, "{first:?}");
    }
    assert!(policy::jitter(0.0, &mut draws).is_empty());
}

#[test]
fn erasing_is_drawn_as_in_timm() {
    let mut draws = draws();
    let expected = &timm()["erasing"];
    let size = expected["size"].as_u64().unwrap() as usize;
    let found: Vec<Rectangle> =
        (0..COUNT).filter_map(|_| erasing::rectangle(0.25, size, &mut draws)).collect();
    let frequency = found.len() as f64 / COUNT as f64;
    assert!((frequency - expected["frequency"].as_f64().unwrap()).abs() < 0.015, "{frequency}");
    let compare = |what: &str, value: fn(&Rectangle) -> f64, over: usize| {
        let found: Vec<f64> = found.iter().map(|found| value(found) / over as f64).collect();
        close(what, &found, &expected[what], 0.03);
    };
    compare("area", |found| (found.height * found.width) as f64, size * size);
    compare("aspect", |found| found.height as f64 / found.width as f64, 1);
    compare("top", |found| found.top as f64, size);
    compare("left", |found| found.left as f64, size);

    let shape = ImageShape { channels: 2, size };
    let mut values = vec![100.0; shape.values()];
    while values.iter().all(|&value| value == 100.0) {
        erasing::erase(0.25, &mut values, shape, &mut draws);
    }
    for size in [1, 2, 4] {
        let found: Vec<Rectangle> =
            (0..COUNT).filter_map(|_| erasing::rectangle(1.0, size, &mut draws)).collect();
        assert!(found.iter().all(|found| found.height < size && found.width < size), "all of a side");
    }
    let (one, other) = values.split_at(size * size);
    let erased = |plane: &[f32]| plane.iter().map(|&value| value != 100.0).collect::<Vec<_>>();
    assert_eq!(erased(one), erased(other));
    let noise: Vec<f64> = (0..400)
        .flat_map(|_| {
            let mut values = vec![100.0; shape.values()];
            erasing::erase(1.0, &mut values, shape, &mut draws);
            values.into_iter().filter(|&value| value != 100.0).take(50).map(f64::from).collect::<Vec<_>>()
        })
        .collect();
    close("value", &noise, &expected["value"], 0.02);
}

#[test]
fn mixing_is_drawn_as_in_timm() {
    let mut draws = draws();
    let expected = &timm()["mixing"];
    let size = expected["size"].as_u64().unwrap() as usize;
    let augment = Augment { mixup_prob: 0.9, ..Augment::DEIT };
    let found: Vec<Mixing> = (0..COUNT).filter_map(|_| augment.mixing(size, &mut draws)).collect();
    let part = |count: usize| count as f64 / COUNT as f64;
    assert!((1.0 - part(found.len()) - expected["none"].as_f64().unwrap()).abs() < 0.015);
    let (cut, blended): (Vec<Mixing>, Vec<Mixing>) = found.iter().partition(|mixing| mixing.cut.is_some());
    assert!((part(cut.len()) - expected["cutmix_frequency"].as_f64().unwrap()).abs() < 0.02);
    let shares = |found: &[Mixing]| found.iter().map(|mixing| mixing.share).collect::<Vec<_>>();
    close("mixup", &shares(&blended), &expected["mixup"], 0.025);
    close("cutmix", &shares(&cut), &expected["cutmix"], 0.025);
    let boxes: Vec<Rectangle> = cut.iter().filter_map(|mixing| mixing.cut).collect();
    let of = |value: fn(&Rectangle) -> usize| {
        boxes.iter().map(|found| value(found) as f64 / size as f64).collect::<Vec<_>>()
    };
    close("box_height", &of(|found| found.height), &expected["box_height"], 0.025);
    close("box_top", &of(|found| found.top), &expected["box_top"], 0.025);
}

#[test]
fn each_way_of_mixing_has_its_own_switch() {
    let mut draws = draws();
    let mut drawn =
        |augment: Augment| (0..100).filter_map(|_| augment.mixing(8, &mut draws)).collect::<Vec<_>>();
    assert!(drawn(Augment::NONE).is_empty());
    assert!(drawn(Augment { mixup_prob: 0.0, ..Augment::DEIT }).is_empty());
    for (augment, is_cut) in [
        (Augment { mixup: 0.8, ..Augment::NONE }, false),
        (Augment { cutmix: 1.0, ..Augment::NONE }, true),
        (Augment { mixup_switch_prob: 0.0, ..Augment::DEIT }, false),
        (Augment { mixup_switch_prob: 1.0, ..Augment::DEIT }, true),
    ] {
        let drawn = drawn(augment);
        assert!(drawn.len() == 100 && drawn.iter().all(|mixing| mixing.cut.is_some() == is_cut));
    }
}

/// Images of two channels and 2 x 2 pixels; all values of image `i` are `i`.
fn batch(images: usize) -> Vec<f32> {
    (0..images).flat_map(|image| [image as f32; 8]).collect()
}

#[test]
fn images_are_mixed_with_those_from_the_other_end_and_the_middle_stays() {
    let mixed = |mixing: Mixing, images: usize| {
        let mut batch = batch(images);
        mixing.apply(&mut batch, 8, 2);
        batch
    };
    let blend = Mixing { share: 0.75, cut: None };
    let first = |values: Vec<f32>| values.chunks(8).map(|image| image[0]).collect::<Vec<_>>();
    assert_eq!(first(mixed(blend, 4)), [0.75, 1.25, 1.75, 2.25]);
    assert_eq!(first(mixed(blend, 5)), [1.0, 1.5, 2.0, 2.5, 3.0]);
    assert_eq!(mixed(blend, 1), batch(1));
    let cut = Mixing { share: 0.75, cut: Some(Rectangle { top: 1, left: 0, height: 1, width: 1 }) };
    let expected = [[0., 0., 2., 0.], [1., 1., 1., 1.], [2., 2., 0., 2.]];
    assert_eq!(mixed(cut, 3), expected.map(|plane| [plane; 2]).as_flattened().as_flattened());
    assert_eq!(mixed(cut, 1), batch(1));
}

#[test]
fn what_is_drawn_of_an_image_depends_on_nothing_else() {
    let moment = Moment { seed: 1, stage: Stage::Search, epoch: 2, step: 3 };
    let pixels: Vec<u8> = (0..3 * 12 * 10).map(|place| (place * 7 % 256) as u8).collect();
    let seen = |augment: Augment, moment, image| {
        let source = Raster::of_planes(12, 10, &pixels);
        planes(&augment.changed(source, 8, View::default(), &FILL, moment, image))
    };
    let recipe = seen(Augment::DEIT3, moment, 4);
    assert_eq!(recipe.len(), 3 * 64);
    assert_eq!(seen(Augment::DEIT3, Moment { step: 9, ..moment }, 4), recipe);
    assert_ne!(seen(Augment::DEIT3, moment, 5), recipe);
    assert_ne!(seen(Augment::DEIT3, Moment { epoch: 3, ..moment }, 4), recipe);
    assert_ne!(seen(Augment::DEIT3, Moment { stage: Stage::Retrain, ..moment }, 4), recipe);
    assert_eq!(seen(Augment { erasing: 1.0, mixup: 0.0, ..Augment::DEIT3 }, moment, 4), recipe);
    let simple = Augment { crop: Some(RandomCrop::Simple { padding: 2 }), ..Augment::NONE };
    let mut crops: BTreeMap<_, u32> = BTreeMap::new();
    (0..6000).for_each(|image| *crops.entry(seen(simple, moment, image)).or_default() += 1);
    // Of an image of 9 x 8 there are 6 x 5 places, each as likely as in torchvision's `RandomCrop`.
    assert_eq!(crops.len(), 30);
    assert!(crops.values().all(|count| (140..260).contains(count)), "{:?}", crops.values());
}
