use super::*;

/// Image `i` is `i` in red, `100 + i` in green, `200 + i` in blue, but for its first pixel, which is 7, 8, 9.
fn record(labels: &[u8], image: u8) -> Vec<u8> {
    let mut record = labels.to_vec();
    for (channel, first) in [(0, 7), (1, 8), (2, 9)] {
        record.push(first);
        record.extend([100 * channel + image; 1023]);
    }
    record
}

/// Four images whose coarse labels are 0 to 3, their fine ones 90 to 93.
pub(super) fn cifar100_file() -> Vec<u8> {
    (0..4).flat_map(|image| record(&[image, 90 + image], image)).collect()
}

pub(super) fn cifar10_file() -> Vec<u8> {
    (0..4).flat_map(|image| record(&[9 - image], image)).collect()
}

#[test]
fn the_first_pixel_is_exact_and_fine_labels_are_the_default() {
    let files = Files::new();
    files.write("train.bin", cifar100_file());
    files.write("test.bin", cifar100_file());
    let fine = cifar100(files.path(), CifarLabels::default(), &preparation(0.5)).unwrap();
    let coarse = cifar100(files.path(), CifarLabels::Coarse, &preparation(0.5)).unwrap();
    assert_eq!([fine.train.len(), fine.held_out.len(), fine.test.len()], [2, 2, 4]);
    assert_eq!([fine.classes, coarse.classes], [100, 20]);
    for image in 0..4 {
        assert_eq!([fine.test.label(image), coarse.test.label(image)], [90 + image, image]);
        let pixels = pixels(&fine, &fine.test, image);
        assert_eq!([pixels[0], pixels[1024], pixels[2048]], [7, 8, 9]);
        let image = image as u8;
        assert_eq!(
            [pixels[1], pixels[1023], pixels[1025], pixels[3071]],
            [image, image, 100 + image, 200 + image]
        );
    }
}

/// A pickle of the images of [`cifar10_file`] or of [`cifar100_file`].
pub(super) fn pickled(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("data/cifar").join(name)).unwrap()
}

#[test]
fn the_python_version_is_the_same_data() {
    let both = |folder: &str, file: &str, bytes: Vec<u8>| {
        let files = Files::new();
        for part in ["train", "test"] {
            files.write(&format!("{folder}/{part}{file}"), &bytes);
        }
        files
    };
    let binary = both("cifar-100-binary", ".bin", cifar100_file());
    let python = both("cifar-100-python", "", pickled("train"));
    // The content decides, not the name, and a file may be compressed.
    let named_otherwise = both(".", ".bin", gzip(&pickled("train")));
    for labels in [CifarLabels::Fine, CifarLabels::Coarse] {
        let read = |files: &Files| cifar100(files.path(), labels, &preparation(0.5)).unwrap();
        let expected = read(&binary);
        for files in [&python, &named_otherwise] {
            let data = read(files);
            assert_eq!((data.content(), &data.normalisation), (expected.content(), &expected.normalisation));
            for image in 0..4 {
                assert_eq!(data.test.label(image), expected.test.label(image));
                assert_eq!(pixels(&data, &data.test, image), pixels(&expected, &expected.test, image));
            }
        }
    }

    let [binary, python] =
        [("bin", ".bin", cifar10_file()), ("py", "", pickled("data_batch_1"))].map(|(folder, end, bytes)| {
            let files = Files::new();
            for name in
                ["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"]
            {
                files.write(&format!("cifar-10-batches-{folder}/{name}{end}"), &bytes);
            }
            cifar10(files.path(), &preparation(0.25)).unwrap()
        });
    assert_eq!((python.content(), &python.normalisation), (binary.content(), &binary.normalisation));
    assert_eq!(python.test.label(0), 9);
}

#[test]
fn the_files_or_the_folder_around_them() {
    let files = Files::new();
    for batch in 1..=5 {
        files.write(&format!("cifar-10-batches-bin/data_batch_{batch}.bin"), cifar10_file());
    }
    files.write("cifar-10-batches-bin/test_batch.bin", cifar10_file());
    let around = cifar10(files.path(), &preparation(0.25)).unwrap();
    let within = cifar10(&files.path().join("cifar-10-batches-bin"), &preparation(0.25)).unwrap();
    assert_eq!([around.train.len(), around.held_out.len(), around.test.len()], [15, 5, 4]);
    assert_eq!(around.normalisation, within.normalisation);
    assert_eq!([around.test.label(0), around.test.label(3)], [9, 6]);
}

#[test]
fn a_label_and_a_pixel_that_could_begin_a_web_page_do_not() {
    let files = Files::new();
    let mut first = record(&[10, 60], 0);
    first[2] = b'<';
    files.write("train.bin", [first, cifar100_file()].concat());
    files.write("test.bin", cifar100_file());
    let data = cifar100(files.path(), CifarLabels::Fine, &preparation(0.5)).unwrap();
    assert_eq!(data.train.len() + data.held_out.len(), 5);
}
