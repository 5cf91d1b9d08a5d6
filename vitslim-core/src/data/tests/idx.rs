use super::*;

#[test]
fn images_labels_and_normalisation_of_known_files() {
    let files = Files::idx();
    let data = idx(files.path(), 2, &preparation(0.25)).unwrap();
    assert_eq!([data.train.len(), data.held_out.len(), data.test.len()], [30, 10, 10]);
    assert_eq!((data.shape, data.classes), (ImageShape { channels: 1, size: 3 }, 2));
    assert_eq!(data.class_names, ["0", "1"]);
    assert!(data.notes.is_empty());
    let first = pixels(&data, &data.test, 0);
    assert_eq!(first, [0, 1, 2, 3, 4, 5, 6, 7, 8]);

    let mut all = Vec::new();
    for part in [&data.train, &data.held_out] {
        for index in 0..part.len() {
            let image = pixels(&data, part, index);
            assert_eq!(usize::from(image[0] % 2), part.label(index));
            all.push(image[0]);
        }
    }
    all.sort_unstable();
    assert_eq!(all, (0..40).collect::<Vec<_>>());
    let held_out: usize = (0..10).map(|index| data.held_out.label(index)).sum();
    assert_eq!(held_out, 5);

    let values = data.train.values(&(0..30).collect::<Vec<_>>(), None).unwrap().values;
    let mean = values.iter().sum::<f32>() / values.len() as f32;
    let square = values.iter().map(|value| value * value).sum::<f32>() / values.len() as f32;
    assert!(mean.abs() < 1e-5 && (square - 1.0).abs() < 1e-4, "{mean} {square}");
    assert_eq!(data.normalisation.images, 30);
}

#[test]
fn content_decides_about_gzip_and_two_spellings_of_the_name() {
    let expected = idx(Files::idx().path(), 2, &preparation(0.25)).unwrap();
    let files = Files::new();
    files.write("train-images-idx3-ubyte.gz", idx_images(40));
    files.write("train-labels-idx1-ubyte", gzip(&idx_labels(40)));
    files.write("t10k-images.idx3-ubyte", idx_images(10));
    files.write("t10k-labels.idx1-ubyte.gz", gzip(&idx_labels(10)));
    let data = idx(files.path(), 2, &preparation(0.25)).unwrap();
    assert_eq!(data.normalisation, expected.normalisation);
    assert_eq!(pixels(&data, &data.train, 7), pixels(&expected, &expected.train, 7));
}

#[test]
fn a_class_without_images_is_noted() {
    let files = Files::idx();
    let notes = |classes| idx(files.path(), classes, &preparation(0.25)).unwrap().notes;
    assert_eq!(notes(3), ["class 2 has no training image"]);
    assert_eq!(notes(10), ["8 of 10 classes have no training image: 2, 3, 4, 5, 6, ..."]);
}

#[test]
fn the_normalisation_can_be_recorded() {
    let normalisation = idx(Files::idx().path(), 2, &preparation(0.25)).unwrap().normalisation;
    let text = serde_json::to_string(&normalisation).unwrap();
    assert!(text.starts_with("{\"white\":255,\"mean\":[0."), "{text}");
    assert_eq!(serde_json::from_str::<Normalisation>(&text).unwrap(), normalisation);
}

#[test]
#[ignore = "needs `apt-get install dataset-fashion-mnist`"]
fn fashion_mnist_has_the_mean_and_std_that_everybody_uses() {
    let started = std::time::Instant::now();
    let data = idx(Path::new("/usr/share/datasets/fashion-mnist"), 10, &preparation(0.1)).unwrap();
    println!("{:?} in {:?}", data.normalisation, started.elapsed());
    assert_eq!([data.train.len(), data.held_out.len(), data.test.len()], [54_000, 6_000, 10_000]);
    assert_eq!(data.shape, ImageShape { channels: 1, size: 28 });
    let Normalisation { mean, std, .. } = &data.normalisation;
    assert!((mean[0] - 0.2860).abs() < 1e-3 && (std[0] - 0.3530).abs() < 1e-3);
    for class in 0..10 {
        let count = |part: &Split| (0..part.len()).filter(|&index| part.label(index) == class).count();
        assert_eq!([&data.train, &data.held_out, &data.test].map(count), [5_400, 600, 1_000]);
    }
}
