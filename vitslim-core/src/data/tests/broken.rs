//! Data that is almost right: what is said of it, and that it names the file and the setting.

use super::cifar::{cifar10_file, cifar100_file, pickled};
use super::*;

/// What is done to good files, and what must be said then.
type Case = (&'static str, fn(&Files), &'static str);

fn cut(bytes: Vec<u8>, length: usize) -> Vec<u8> {
    bytes[..length].to_vec()
}

/// `bytes` with other ones from `at` on.
fn with(mut bytes: Vec<u8>, at: usize, others: &[u8]) -> Vec<u8> {
    bytes[at..at + others.len()].copy_from_slice(others);
    bytes
}

fn remove(files: &Files, name: &str) {
    let path = files.path().join(name);
    if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) }.unwrap();
}

const TRAIN_IMAGES: &str = "train-images-idx3-ubyte";
const TRAIN_LABELS: &str = "train-labels-idx1-ubyte";

#[rustfmt::skip]
const IDX: &[Case] = &[
    ("images missing", |f| remove(f, TRAIN_IMAGES), "` has no file `train-images-idx3-ubyte` (nor `train-images-idx3-ubyte.gz`, `train-images.idx3-ubyte`, `train-images.idx3-ubyte.gz`)"),
    ("test labels missing", |f| remove(f, "t10k-labels-idx1-ubyte"), "` has no file `t10k-labels-idx1-ubyte`"),
    ("a folder of that name", |f| { remove(f, TRAIN_IMAGES); f.write("train-images-idx3-ubyte/x", ""); }, "train-images-idx3-ubyte` cannot be read: it is a folder, not a file"),
    ("empty", |f| { f.write(TRAIN_IMAGES, ""); }, "train-images-idx3-ubyte` is empty"),
    ("an empty gzip file", |f| { f.write(TRAIN_IMAGES, gzip(&[])); }, "train-images-idx3-ubyte` is empty"),
    ("a web page", |f| { f.write(TRAIN_IMAGES, "\n<!DOCTYPE html><html>404</html>"); }, "train-images-idx3-ubyte` is a web page, not data: the download went wrong"),
    ("a gzipped web page", |f| { f.write(TRAIN_IMAGES, gzip(b"<html></html>")); }, "is a web page, not data"),
    ("a pointer of LFS", |f| { f.write(TRAIN_IMAGES, "version https://git-lfs.github.com/spec/v1\noid"); }, "is a pointer of git LFS"),
    ("a zip", |f| { f.write(TRAIN_IMAGES, b"PK\x03\x04rest"); }, "is a zip archive: unpack it"),
    ("a cut gzip", |f| { f.write(TRAIN_IMAGES, cut(gzip(&idx_images(40)), 60)); }, "train-images-idx3-ubyte` is a gzip file that ends too early: the download was cut off"),
    ("a gzip without its checksum", |f| { let g = gzip(&idx_images(40)); let n = g.len() - 6; f.write(TRAIN_IMAGES, cut(g, n)); }, "is a gzip file that ends too early"),
    ("a gzip with a wrong checksum", |f| { let g = gzip(&idx_images(40)); let n = g.len() - 8; f.write(TRAIN_IMAGES, with(g, n, &[1, 2, 3, 4])); }, "is a damaged gzip file (corrupt gzip stream does not have a matching checksum)"),
    ("flipped bits in a gzip", |f| { f.write(TRAIN_IMAGES, with(gzip(&idx_images(40)), 20, &[0xff; 20])); }, "is a damaged gzip file"),
    ("something else", |f| { f.write(TRAIN_IMAGES, "P5 28 28 255"); }, "is no IDX file: those begin with two zero bytes"),
    ("two bytes", |f| { f.write(TRAIN_IMAGES, [0, 0]); }, "is no IDX file"),
    ("an unknown type", |f| { f.write(TRAIN_IMAGES, with(idx_images(40), 2, &[7])); }, "is no IDX file: there is no type 0x07"),
    ("16 bits", |f| { f.write(TRAIN_IMAGES, with(idx_images(40), 2, &[0x0b])); }, "train-images-idx3-ubyte` holds 16-bit integers, but only unsigned bytes can be used"),
    ("floats", |f| { f.write(TRAIN_IMAGES, with(idx_images(40), 2, &[0x0d])); }, "holds 32-bit floats"),
    ("half a header", |f| { f.write(TRAIN_IMAGES, cut(idx_images(40), 9)); }, "ends within its header"),
    ("swapped files", |f| { f.write(TRAIN_IMAGES, idx_labels(40)); f.write(TRAIN_LABELS, idx_images(40)); }, "train-images-idx3-ubyte` has 1 dimension, but images have 3: it holds labels, were two files swapped?"),
    ("images as labels", |f| { f.write(TRAIN_LABELS, idx_images(40)); }, "train-labels-idx1-ubyte` has 3 dimensions, but labels have 1: it holds images, were two files swapped?"),
    ("four dimensions", |f| { f.write(TRAIN_IMAGES, with(idx_images(40), 3, &[4])); }, "has 4 dimensions, but images have 3"),
    ("more announced", |f| { f.write(TRAIN_IMAGES, with(idx_images(40), 7, &[41])); }, "train-images-idx3-ubyte` announces 41 x 3 x 3 bytes in its header, but has only 360"),
    ("less announced", |f| { f.write(TRAIN_IMAGES, with(idx_images(40), 7, &[39])); }, "train-images-idx3-ubyte` announces 39 x 3 x 3 bytes in its header, but has more"),
    ("absurd sizes", |f| { f.write(TRAIN_IMAGES, with(idx_images(40), 4, &[0xff; 12])); }, "announces 4294967295 x 4294967295 x 4294967295 bytes, more than there can be: its header is damaged"),
    ("one absurd size", |f| { f.write(TRAIN_IMAGES, with(idx_images(40), 4, &[0xff])); }, "announces 4278190120 x 3 x 3 bytes, more than the 4 GB that are read: is its header damaged?"),
    ("no images", |f| { f.write(TRAIN_IMAGES, cut(idx_images(0), 16)); }, "has no images: its header announces 0 x 3 x 3 bytes"),
    ("oblong", |f| { f.write(TRAIN_IMAGES, with(idx_images(40), 11, &[9, 0, 0, 0, 1])); }, "has images of 9 x 1 pixels, but only square ones can be used"),
    ("labels of the other split", |f| { f.write(TRAIN_LABELS, idx_labels(10)); }, "train-labels-idx1-ubyte` has 10 labels, but `train-images-idx3-ubyte` has 40 images: do both belong to the same split?"),
    ("a label too many", |f| { f.write(TRAIN_LABELS, with(idx_labels(40), 13, &[2])); }, "train-labels-idx1-ubyte` gives image 5 the label 2, but 2 classes go from 0 to 1"),
    ("another size to test", |f| { f.write("t10k-images-idx3-ubyte", with(cut(idx_images(10), 26), 7, &[10, 0, 0, 0, 1, 0, 0, 0, 1])); }, "t10k-images-idx3-ubyte` has images of 1 x 1 pixels, but those of `train-images-idx3-ubyte` are 3 x 3"),
    ("nothing to see", |f| { f.write(TRAIN_IMAGES, with(idx_images(40), 16, &[7; 360])); }, "`path` leads to training images whose pixels are all the same"),
];

#[rustfmt::skip]
const CIFAR100: &[Case] = &[
    ("missing", |f| remove(f, "test.bin"), "` has no file `test.bin`"),
    ("empty", |f| { f.write("train.bin", ""); }, "train.bin` is empty"),
    ("cut", |f| { f.write("train.bin", cut(cifar100_file(), 12000)); }, "train.bin` has 12000 bytes, which is not a whole number of `Cifar100` records (3074 bytes each)"),
    ("CIFAR-10", |f| { f.write("train.bin", cifar10_file()); }, "train.bin` has 12292 bytes, which is not a whole number of `Cifar100` records (3074 bytes each); it may be a file of `Cifar10`"),
    ("a fine label", |f| { f.write("train.bin", with(cifar100_file(), 3075, &[100])); }, "train.bin` gives image 1 the fine label 100, but `Cifar100` has 0 to 99"),
    ("a coarse label", |f| { f.write("train.bin", with(cifar100_file(), 3074, &[20])); }, "train.bin` gives image 1 the coarse label 20, but `Cifar100` has 0 to 19"),
    ("CIFAR-10 in its Python version", |f| { f.write("train.bin", pickled("data_batch_1")); }, "train.bin` is a pickle, but has no list `coarse_labels`; it may be a file of `Cifar10`"),
    ("a cut pickle", |f| { f.write("train.bin", cut(pickled("train"), 9000)); }, "train.bin` is a pickle that ends too early: the download was cut off"),
    ("a pickle without its end", |f| { let p = pickled("train"); let n = p.len() - 1; f.write("train.bin", cut(p, n)); }, "is a pickle that ends too early"),
    ("more behind a pickle", |f| { f.write("train.bin", [pickled("train"), vec![0]].concat()); }, "has more behind the end of its pickle"),
    ("a pickle of today", |f| { f.write("train.bin", b"\x80\x04\x95\x0b\0\0\0\0\0\0\0}\x94."); }, "is a pickle of protocol 4, but CIFAR's have protocol 2: unpack the downloaded archive again, or take the binary version"),
    ("a pickle of a list", |f| { f.write("train.bin", b"\x80\x02]q\x01."); }, "is a pickle, but of no dictionary"),
    ("an empty pickle", |f| { f.write("train.bin", b"\x80\x02}q\x01."); }, "is a pickle, but has no array `data`"),
    ("a foreign call", |f| { f.write("train.bin", b"\x80\x02cos\nsystem\nU\x09touch here\x85R."); }, "train.bin` is a pickle that calls `os.system`, which no file of CIFAR does: nothing of it was executed"),
    ("a foreign name of numpy", |f| { f.write("train.bin", changed(b"_reconstruct", b"_constructed")); }, "is a pickle that calls `numpy.core.multiarray._constructed`"),
    ("an object", |f| { f.write("train.bin", b"\x80\x02(ios\nsystem\n."); }, "is a pickle with the operation 0x69, which CIFAR's do not have"),
    ("a length too large", |f| { f.write("train.bin", changed(b"T\0\x30\0\0", b"T\0\x30\0\x7f")); }, "is a pickle that ends too early"),
    ("a negative length", |f| { f.write("train.bin", changed(b"T\0\x30\0\0", b"T\0\x30\0\xff")); }, "is a damaged pickle"),
    ("more rows", |f| { f.write("train.bin", changed(b"K\x04M\0\x0c", b"K\x05M\0\x0c")); }, "has an array of 5 x 3072 with 12288 bytes"),
    ("other rows", |f| { f.write("train.bin", changed(b"K\x04M\0\x0c", b"K\x08M\0\x06")); }, "has images of 1536 values, but CIFAR's have 3072"),
    ("floats", |f| { f.write("train.bin", changed(b"U\x02u1", b"U\x02f4")); }, "has an array that is not of bytes, row by row"),
    ("a label too few", |f| { f.write("train.bin", changed(b"K\x5aK\x5b", b"K\x5a")); }, "train.bin` has 4 images, but 3 `fine_labels`"),
    ("a fine label of no class", |f| { f.write("train.bin", changed(b"K\x5aK\x5b", b"K\x5aK\x64")); }, "gives image 1 the fine label 100, but `Cifar100` has 0 to 99"),
    ("a label that is no byte", |f| { f.write("train.bin", changed(b"K\x5aK\x5b", b"K\x5aM\0\x10")); }, "gives image 1 the fine label 4096, which is none of `Cifar100`"),
    ("a label that is none", |f| { f.write("train.bin", changed(b"K\x5aK\x5b", b"K\x5aN")); }, "gives image 1 a fine label that is no number"),
    ("lists without end", |f| { f.write("train.bin", [&b"\x80\x02"[..], &vec![b']'; 1 << 18], &vec![b'a'; 1 << 18]].concat()); }, "is a damaged pickle"),
    ("values without end", |f| { f.write("train.bin", [&b"\x80\x02"[..], &vec![b'N'; 1 << 20]].concat()); }, "is a pickle of more than 524288 operations: "),
    ("marks without values", |f| { f.write("train.bin", b"\x80\x02(e"); }, "is a damaged pickle"),
    ("a web page", |f| { f.write("train.bin", "<html>404</html>"); }, "train.bin` is a web page, not data"),
];

/// The pickle of four images, with other bytes where `old` ones are.
fn changed(old: &[u8], new: &[u8]) -> Vec<u8> {
    let pickle = pickled("train");
    let places: Vec<usize> =
        (0..pickle.len() - old.len()).filter(|&at| pickle[at..].starts_with(old)).collect();
    let [place] = places[..] else { panic!("at {places:?}") };
    [&pickle[..place], new, &pickle[place + old.len()..]].concat()
}

#[rustfmt::skip]
const FOLDER: &[Case] = &[
    ("no train", |f| remove(f, "train"), "` has no folder `train`"),
    ("nothing to test", |f| remove(f, "val"), "` has a folder `train`, but neither `val` nor `test`"),
    ("a class missing", |f| remove(f, "val/dog"), "val` has no class `dog`, but `"),
    ("a class too many", |f| { f.png("val/cow/0.png", 8, 8, [0; 3]); }, "train` has no class `cow`, but `"),
    ("an empty class", |f| { f.write("train/cow/README", ""); }, "train/cow` is a class without images"),
    ("no classes", |f| { remove(f, "train/cat"); remove(f, "train/dog"); f.png("train/0.png", 8, 8, [0; 3]); }, "train` has images, but no folders of classes around them"),
    ("nothing at all", |f| { remove(f, "train/cat"); remove(f, "train/dog"); }, "train` has no folders of classes"),
    ("no images", |f| { remove(f, "train/dog"); for i in 0..4 { remove(f, &format!("train/cat/{i}.png")); } }, "train` has no images"),
    ("text", |f| { f.write("train/cat/x.jpg", "no image"); }, "train/cat/x.jpg` is no JPEG, PNG or WebP image"),
    ("a GIF", |f| { f.write("train/cat/x.png", "GIF89a\x08\0\x08\0"); }, "train/cat/x.png` is a GIF image, but only JPEG, PNG and WebP are read: convert it"),
    ("a BMP", |f| { f.write("train/cat/x.jpg", "BM\x08\0\x08\0"); }, "train/cat/x.jpg` is a BMP image, but only JPEG"),
    ("a TIFF", |f| { f.write("train/cat/x.jpg", "II*\0\x08\0"); }, "train/cat/x.jpg` is a TIFF image, but only JPEG"),
    ("a web page", |f| { f.write("train/cat/x.jpg", "<html>404</html>"); }, "train/cat/x.jpg` is a web page, not data"),
    ("a pointer", |f| { f.write("train/cat/x.jpg", "version https://git-lfs.github.com/spec/v1\noid"); }, "train/cat/x.jpg` is a pointer of git LFS"),
    ("an empty image", |f| { f.write("train/cat/x.jpeg", ""); }, "train/cat/x.jpeg` is empty"),
    ("a cut PNG", |f| { let path = f.png("train/cat/x.png", 8, 8, [1; 3]); let png = std::fs::read(path).unwrap(); f.write("train/cat/x.png", &png[..png.len() - 20]); }, "train/cat/x.png` is damaged: "),
    ("a flipped byte", |f| { let path = f.png("train/cat/x.png", 8, 8, [1; 3]); let mut png = std::fs::read(path).unwrap(); png[45] ^= 0xff; f.write("train/cat/x.png", &png); }, "train/cat/x.png` is damaged: "),
    ("a strip", |f| { f.png("val/cat/x.png", 1000, 2, [1; 3]); }, "val/cat/x.png` has 1000 x 2 pixels, too long a strip to be resized"),
];

#[test]
fn each_error_is_named_with_its_file() {
    let cifar = || {
        let files = Files::new();
        files.write("train.bin", cifar100_file());
        files.write("test.bin", cifar100_file());
        files
    };
    let mut unsaid = Vec::new();
    let mut check =
        |cases: &[Case], files: &dyn Fn() -> Files, read: &dyn Fn(&Files) -> Result<Dataset, DataError>| {
            read(&files()).unwrap();
            for (name, spoil, expected) in cases {
                let files = files();
                spoil(&files);
                match read(&files) {
                    Ok(_) => unsaid.push(format!("{name}: accepted")),
                    Err(error) if !error.to_string().contains(expected) => {
                        unsaid.push(format!("{name}: expected `{expected}`, told: {error}"));
                    }
                    Err(error) => assert_eq!(error.place(), ["path"]),
                }
            }
        };
    check(IDX, &Files::idx, &|files| idx(files.path(), 2, &preparation(0.25)));
    check(CIFAR100, &cifar, &|files| cifar100(files.path(), CifarLabels::Fine, &preparation(0.5)));
    check(FOLDER, &Files::folder, &|files| {
        image_folder(&ImageFolder { reading: anew(), ..image_folder_of(files) }, &preparation(0.25))
    });
    assert!(unsaid.is_empty(), "{}", unsaid.join("\n"));
}

/// Other systems have no such names.
#[cfg(target_os = "linux")]
#[test]
fn a_class_whose_name_is_not_unicode() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let files = Files::folder();
    std::fs::create_dir(files.path().join("train").join(OsStr::from_bytes(b"caf\xe9"))).unwrap();
    let error = image_folder(&image_folder_of(&files), &preparation(0.25)).unwrap_err().to_string();
    assert!(error.contains("is a class whose name is not UTF-8: rename the folder"), "{error}");
}

#[test]
fn folders_that_are_none() {
    let told = |path: &str| {
        let error = idx(Path::new(path), 10, &preparation(0.1)).unwrap_err();
        format!("{error} | {}", error.advice().unwrap_or_default())
    };
    assert!(told("").starts_with("`path` is empty"));
    assert!(told("/nowhere").starts_with("`/nowhere` does not exist"));
    assert!(told("~/data").contains("write it out"));
    assert!(told("nowhere").contains("a relative path begins at the current folder, `/"));
    assert!(told("Cargo.toml").starts_with("`Cargo.toml` is a file, where the folder"));
}

fn randaugment(magnitude: f64, layers: u32) -> Augment {
    let policy = AutoAugment::RandAugment { magnitude, magnitude_std: 0.5, layers, prob: 0.5 };
    Augment { auto_augment: Some(policy), ..Augment::NONE }
}

fn cropped(crop: RandomCrop) -> Augment {
    Augment { crop: Some(crop), ..Augment::NONE }
}

#[test]
fn settings_that_do_not_fit() {
    let files = Files::idx();
    let told = |held_out, crop_padding| {
        let augment = Augment { crop_padding, ..Augment::default() };
        let error = idx(files.path(), 2, &Preparation { held_out, augment, seed: 1 }).unwrap_err();
        (error.place(), error.to_string())
    };
    let (place, text) = told(0.01, 0);
    assert!(place == ["held_out"] && text.contains("leaves none of the 40 images"), "{text}");
    let (place, text) = told(0.1, 3);
    assert_eq!(place, ["augment", "crop_padding"]);
    assert_eq!(text, "`augment.crop_padding` is 3, but the images have 3 pixels");

    for (augment, place, told) in [
        (
            Augment { mixup: 0.001, ..Augment::NONE },
            &["augment", "mixup"][..],
            "`augment.mixup` must be 0, or at least 0.01 and at most 100, but is 0.001",
        ),
        (Augment { cutmix: -1.0, ..Augment::NONE }, &["augment", "cutmix"], "but is -1.0"),
        (
            Augment { erasing: 1.5, ..Augment::DEIT },
            &["augment", "erasing"],
            "must be at least 0 and at most 1, but is 1.5",
        ),
        (Augment { color_jitter: f64::NAN, ..Augment::DEIT }, &["augment", "color_jitter"], "but is NaN"),
        (Augment { mixup_prob: 2.0, ..Augment::DEIT }, &["augment", "mixup_prob"], "but is 2.0"),
        (
            Augment { mixup_switch_prob: -0.5, ..Augment::DEIT },
            &["augment", "mixup_switch_prob"],
            "but is -0.5",
        ),
        (
            randaugment(11.0, 2),
            &["augment", "auto_augment", "magnitude"],
            "must be at least 0 and at most 10, but is 11.0",
        ),
        (
            randaugment(9.0, 0),
            &["augment", "auto_augment", "layers"],
            "must be at least 1 and at most 15, but is 0",
        ),
        (
            cropped(RandomCrop::Simple { padding: 3 }),
            &["augment", "crop", "padding"],
            "is 3, but images are cropped to 3 pixels",
        ),
        (
            cropped(RandomCrop::Resized { scale: [0.0, 1.0], ratio: [1.0, 1.0] }),
            &["augment", "crop", "scale"],
            "is [0.0, 1.0]: the first part must be greater than 0",
        ),
        (
            cropped(RandomCrop::Resized { scale: [0.5, 1.0], ratio: [2.0, 1.0] }),
            &["augment", "crop", "ratio"],
            "is [2.0, 1.0]: the first ratio must be at least 0.01",
        ),
    ] {
        let error = idx(files.path(), 2, &Preparation { held_out: 0.1, augment, seed: 1 }).unwrap_err();
        assert_eq!(error.place(), place);
        assert!(error.to_string().contains(told), "{error}");
    }

    let error = idx(files.path(), 257, &preparation(0.25)).unwrap_err();
    assert_eq!(error.place(), ["classes"]);
    assert_eq!(error.to_string(), "`classes` is 257, but a label is a byte: there are at most 256");

    let files = Files::folder();
    let large = ImageFolder { resize: 20_000, ..image_folder_of(&files) };
    let error = image_folder(&large, &preparation(0.25)).unwrap_err();
    assert_eq!(error.place(), ["resize"]);
    assert!(error.to_string().contains("at most 16384 x 16384 pixels"), "{error}");
    let small = ImageFolder { resize: 7, ..image_folder_of(&files) };
    let error = image_folder(&small, &preparation(0.25)).unwrap_err();
    assert_eq!(error.to_string(), "`resize` is 7, less than the 8 pixels that are cropped from it");
}

#[test]
fn a_folder_without_images_is_told_what_was_looked_for() {
    let files = Files::folder();
    for image in 0..4 {
        remove(&files, &format!("train/dog/{image}.png"));
    }
    let error = image_folder(&image_folder_of(&files), &preparation(0.25)).unwrap_err();
    assert!(error.to_string().ends_with("train/dog` is a class without images"), "{error}");
    let looked_for = "looked for files that end with .jpg, .jpeg, .jpe, .jfif, .png, .webp";
    assert_eq!(error.advice(), Some(looked_for));
}

#[test]
fn advice_where_the_data_is_another_one() {
    let files = Files::new();
    files.write("cifar-10-batches-bin/test_batch.bin", cifar10_file());
    let error = cifar100(files.path(), CifarLabels::Fine, &preparation(0.5)).unwrap_err();
    assert_eq!(error.advice(), Some("the folder holds the files of `Cifar10(...)`"));

    let files = Files::folder();
    let inner = ImageFolder { path: files.path().join("train"), ..image_folder_of(&files) };
    let error = image_folder(&inner, &preparation(0.25)).unwrap_err();
    assert!(error.advice().unwrap().starts_with("give the folder above it"), "{error}");

    files.png("test/0.png", 8, 8, [0; 3]);
    let error = image_folder(&image_folder_of(&files), &preparation(0.25)).unwrap_err();
    assert!(error.to_string().contains("test` has images, but no folders"), "{error}");
    assert!(error.advice().unwrap().starts_with("with `held_out: 0.1`, `val` is the test split"));
}
