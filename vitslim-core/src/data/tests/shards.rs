//! Shards of a WebDataset, beside folders of the same images, and shards that are almost right.

use std::fs::File;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use burn::tensor::Device;
use tar::{Builder, EntryType, Header};

use super::super::shuffle::shuffle_by_blocks;
use super::*;

type Members = Vec<(String, Vec<u8>)>;

fn header(bytes: usize) -> Header {
    let mut header = Header::new_gnu();
    header.set_mode(0o644);
    header.set_size(bytes as u64);
    header
}

fn tar(members: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (name, bytes) in members {
        builder.append_data(&mut header(bytes.len()), name, bytes.as_slice()).unwrap();
    }
    builder.into_inner().unwrap()
}

/// Each image of a part of `files`, in the order of an `ImageFolder`, and its label: a key with what is in `files` at it.
fn samples(files: &Files, part: &str) -> Vec<[(String, Vec<u8>); 2]> {
    let mut samples = Vec::new();
    for (label, class) in ["cat", "dog"].into_iter().enumerate() {
        let folder = files.path().join(part).join(class);
        let mut images: Vec<_> =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        images.sort();
        for image in images {
            let key = format!("{class}/{}", image.file_stem().unwrap().to_str().unwrap());
            let bytes = std::fs::read(image).unwrap();
            samples.push([
                (format!("{key}.png"), bytes),
                (format!("{key}.cls"), label.to_string().into_bytes()),
            ]);
        }
    }
    samples
}

/// The images of `files` in shards of so many samples.
fn packed(files: &Files, in_a_shard: usize) -> Files {
    let shards = Files::new();
    for part in ["train", "val"] {
        for (number, samples) in samples(files, part).chunks(in_a_shard).enumerate() {
            shards.write(&format!("{part}-{number:04}.tar"), tar(&samples.concat()));
        }
    }
    shards
}

fn shards_of(files: &Files) -> Shards {
    Shards {
        path: files.path().to_owned(),
        train: None,
        val: None,
        test: None,
        classes: None,
        image_size: 8,
        resize: 8,
        skip_at_most: 0,
        held_out: HeldOutFrom::ValOrShare,
        named: 5,
        reading: Reading::default(),
    }
}

fn cat_and_dog() -> Option<Classes> {
    Some(Classes::Named(["cat", "dog"].map(str::to_owned).to_vec()))
}

fn read(files: &Files) -> Result<Dataset, DataError> {
    shards(&Shards { classes: cat_and_dog(), ..shards_of(files) }, &preparation(0.25))
}

/// A folder whose images differ from one another.
fn folder() -> Files {
    let files = Files::folder();
    let image = |seed: u8| {
        let pixel = |x: u32, y: u32| image::Rgb([seed, (x * 30) as u8, (y * 20) as u8 ^ seed]);
        RgbImage::from_fn(12 + u32::from(seed), 9, pixel)
    };
    for (seed, name) in ["train/cat/0.png", "train/dog/3.png", "val/cat/1.png"].into_iter().enumerate() {
        image(seed as u8).save(files.path().join(name)).unwrap();
    }
    files
}

#[test]
fn the_same_images_in_shards_of_any_size_have_the_pixels_and_the_content_of_the_folder() {
    let files = folder();
    let expected = image_folder(&image_folder_of(&files), &preparation(0.25)).unwrap();
    for in_a_shard in [1, 3, 100] {
        let packed = packed(&files, in_a_shard);
        let data = read(&packed).unwrap();
        assert_eq!((data.content(), &data.normalisation), (expected.content(), &expected.normalisation));
        assert_eq!(data.pixels(), expected.pixels());
        for (found, expected_split) in [
            (&data.train, &expected.train),
            (&data.held_out, &expected.held_out),
            (&data.test, &expected.test),
        ] {
            assert_eq!(found.len(), expected_split.len());
            for image in 0..found.len() {
                assert_eq!(found.label(image), expected_split.label(image));
                assert_eq!(pixels(&data, found, image), pixels(&expected, expected_split, image));
            }
        }
        assert!(data.notes.is_empty(), "{:?}", data.notes);
    }
    // Another order is another content.
    let reversed = packed(&files, 1);
    std::fs::rename(reversed.path().join("train-0000.tar"), reversed.path().join("train-0100.tar")).unwrap();
    assert_ne!(read(&reversed).unwrap().content().train, expected.content().train);
}

#[test]
fn batches_are_the_same_for_any_shards_threads_and_start() {
    let files = folder();
    let batches = |in_a_shard, threads, epochs: std::ops::RangeInclusive<usize>| {
        let packed = packed(&files, in_a_shard);
        let part = Arc::new(read(&packed).unwrap().train);
        let order = Order::Shuffled { seed: 5, stage: Stage::Search };
        let loader = Loader::new(part, 2, order, Device::flex()).with_threads(threads);
        let values =
            |batch: Result<Batch, DataError>| batch.unwrap().images.into_data().try_to_vec::<f32>().unwrap();
        epochs.flat_map(|epoch| loader.epoch(epoch)).map(values).collect::<Vec<_>>()
    };
    let expected = batches(100, 0, 1..=2);
    assert_eq!(expected.len(), 6);
    for (in_a_shard, threads) in [(100, 1), (3, 0), (1, 5)] {
        assert!(
            batches(in_a_shard, threads, 1..=2) == expected,
            "{in_a_shard} in a shard, {threads} threads"
        );
    }
    assert!(batches(3, 2, 2..=2) == expected[3..]);
    assert_ne!(expected[..3], expected[3..]);
}

#[test]
fn patterns_name_the_shards_and_val_is_held_out_where_there_is_test_too() {
    let files = packed(&folder(), 3);
    let lens = |shards_of: Shards| {
        let data = shards(&shards_of, &preparation(0.25))?;
        Ok::<_, DataError>([data.train.len(), data.held_out.len(), data.test.len()])
    };
    let written = |train: &str, val: Option<&str>, test: Option<&str>| {
        let [val, test] = [val, test].map(|pattern| pattern.map(str::to_owned));
        Shards { train: Some(train.to_owned()), val, test, ..shards_of(&files) }
    };
    assert_eq!(lens(shards_of(&files)).unwrap(), [6, 2, 4]);
    let all = "train-{0000..0002}.tar";
    assert_eq!(lens(written(all, None, None)).unwrap(), [6, 2, 4]);
    let three = || written("train-{0000,0002}.tar", Some("train-0001.tar"), Some("val-*.tar"));
    assert_eq!(lens(three()).unwrap(), [5, 3, 4]);
    let drawn = |shards| Shards { held_out: HeldOutFrom::Share, ..shards };
    assert_eq!(lens(drawn(Shards { val: None, test: None, ..three() })).unwrap(), [4, 1, 4]);
    assert_eq!(lens(drawn(Shards { test: None, ..three() })).unwrap(), [4, 1, 3]);
    // What is there besides is ignored, and told.
    let test_alone = drawn(written("train-{0000,0002}.tar", None, Some("train-0001.tar")));
    let notes = shards(&test_alone, &preparation(0.25)).unwrap().notes;
    assert!(notes.iter().any(|note| note.starts_with("`val` is ignored: with `held_out`, ")), "{notes:?}");
    let error = lens(drawn(three())).unwrap_err();
    assert_eq!(error.place(), ["val"]);
    assert!(error.to_string().starts_with("`val` is written, and so are `test` and `held_out`, "), "{error}");
    assert_eq!(
        error.advice(),
        Some("leave out `held_out`, and `val` is the validation split; or leave out `val`")
    );
    for (shards, place, told) in [
        (written("train-{0000..0003}.tar", None, None), "train", "has no `train-0003.tar`: 1 of 4 missing"),
        (written("x-*.tar", None, None), "train", "`train` is `x-*.tar`, but no file of `"),
        (written("train-{.tar", None, None), "train", "which has a `{` without `}`"),
        (written("train-[.tar", None, None), "train", "which cannot be understood: "),
        (written("{train,x}-*.tar", None, None), "train", "has no `x-*.tar`: 1 of 2 missing"),
        (written("{y,x}-*.tar", None, None), "train", "has no `y-*.tar`: 2 of 2 missing"),
        (written("x/*.tar", None, None), "train", "/x` cannot be read: "),
        (written("/x/train-*.tar", None, None), "train", "which leads out of `path`: patterns are within it"),
        (written(all, Some("../val-{0000..0001}.tar"), None), "val", "which leads out of `path`"),
        (written("{train-0000.tar,/x.tar}", None, None), "train", "which leads out of `path`"),
        (written(all, Some("no.tar"), None), "val", "`val` is `no.tar`, but `"),
        (written("*.tar", None, None), "path", "val-0000.tar` is named twice: no image may be in two splits"),
        (Shards { path: files.path().join("gone"), ..shards_of(&files) }, "path", "gone` does not exist"),
    ] {
        let error = lens(shards).unwrap_err();
        assert_eq!(error.place(), [place], "{error}");
        assert!(error.to_string().contains(told), "{error}");
    }
    let empty = Files::new();
    let error = lens(shards_of(&empty)).unwrap_err();
    assert!(error.to_string().ends_with("` has no file `train-*.tar`"), "{error}");
    assert!(error.advice().unwrap().contains("`train: \"imagenet-train-{0000..0063}.tar\"`"));
    std::fs::copy(files.path().join("train-0000.tar"), empty.path().join("train-0.tar")).unwrap();
    let error = lens(shards_of(&empty)).unwrap_err().to_string();
    assert!(error.ends_with("` has no file `val-*.tar` or `test-*.tar`"), "{error}");
}

#[test]
fn labels_may_be_described_in_json_and_count_the_classes() {
    let files = Files::new();
    let png = |shade: u8| std::fs::read(Files::new().png("x.png", 8, 8, [shade, 2, 3])).unwrap();
    let sample = |key: &str, shade: u8, extension: &str, label: &str| {
        [(format!("{key}.png"), png(shade)), (format!("{key}.{extension}"), label.as_bytes().to_vec())]
    };
    let train = [
        sample("a", 1, "json", "{\"label\": 2, \"text\": \"a cat\"}"),
        sample("b", 2, "json", "{\"cls\": 0}"),
        sample("c", 3, "cls", " 0\n"),
        sample("d", 4, "CLS", "2"),
    ];
    let mut members: Members = train.concat();
    // A label of its own counts more; what is beside an image is ignored.
    members
        .extend([("d.json".to_owned(), b"{\"label\": 1}".to_vec()), ("d.txt".to_owned(), b"words".to_vec())]);
    members.extend(["README", "._d.png", "__meta__.txt"].map(|name| (name.to_owned(), b"x".to_vec())));
    files.write("train-0.tar", tar(&members));
    files.write("val-0.tar", tar(&sample("e", 5, "cls", "1")));
    let data = shards(&shards_of(&files), &preparation(0.25)).unwrap();
    assert_eq!(data.class_names, ["0", "1", "2"]);
    let labels: Vec<_> = [&data.train, &data.held_out]
        .into_iter()
        .flat_map(|split| (0..split.len()).map(|image| split.label(image)))
        .collect();
    assert_eq!(labels.iter().sum::<usize>(), 4, "{labels:?}");
    let left_out = "train-*.tar`: left out 3 files that are of no sample (README, ._d.png, __meta__.txt)";
    assert!(data.notes.iter().any(|note| note.contains(left_out)), "{:?}", data.notes);
    assert!(data.notes.iter().any(|note| note.contains("class 1 has no training image")), "{:?}", data.notes);

    files.write("val-0.tar", tar(&sample("e", 5, "cls", "3")));
    let error = shards(&shards_of(&files), &preparation(0.25)).unwrap_err();
    let told = "val-0.tar/e.png` has the label 3, but 3 classes go from 0 to 2";
    assert!(error.to_string().ends_with(told), "{error}");
    let four = Shards { classes: Some(Classes::Count(4)), ..shards_of(&files) };
    assert_eq!(shards(&four, &preparation(0.25)).unwrap().classes, 4);
    files.write("train-0.tar", tar(&sample("e", 5, "cls", "4000000000")));
    let error = shards(&shards_of(&files), &preparation(0.25)).unwrap_err().to_string();
    assert!(
        error.ends_with("e.png` has the label 4000000000, but there are at most 1000000 classes"),
        "{error}"
    );
}

#[test]
fn long_names_are_read_whole() {
    let files = packed(&folder(), 100);
    let [(_, image), (_, label)] = samples(&folder(), "train").swap_remove(0);
    let long = "long/".repeat(60);
    let of_gnu = [(format!("{long}a.png"), image.clone()), (format!("{long}a.cls"), label.clone())];
    files.write("train-0001.tar", tar(&of_gnu));
    let mut of_posix = Builder::new(Vec::new());
    for (name, bytes) in [(format!("{long}b.png"), &image), (format!("{long}b.cls"), &label)] {
        of_posix.append_pax_extensions([("path", name.as_bytes())]).unwrap();
        of_posix.append_data(&mut header(bytes.len()), "short", bytes.as_slice()).unwrap();
    }
    files.write("train-0002.tar", of_posix.into_inner().unwrap());
    let data = read(&files).unwrap();
    assert_eq!(data.train.len() + data.held_out.len(), 10);
}

/// What is done to the shard of a training split, and what must be said then.
type Case = (&'static str, fn(Members) -> Vec<u8>, &'static str);

fn cut(members: &Members, length: usize) -> Vec<u8> {
    let whole = tar(members);
    whole[..length.min(whole.len())].to_vec()
}

fn with(mut members: Members, place: usize, name: &str, bytes: &[u8]) -> Vec<u8> {
    members.insert(place, (name.to_owned(), bytes.to_vec()));
    tar(&members)
}

fn without(mut members: Members, place: usize) -> Vec<u8> {
    members.remove(place);
    tar(&members)
}

/// The shard with another member before it, whose header `change` has changed.
fn before(members: &Members, bytes: &[u8], change: impl Fn(&mut Header)) -> Vec<u8> {
    let mut header = header(bytes.len());
    header.set_path("first.png").unwrap();
    change(&mut header);
    header.set_cksum();
    let mut builder = Builder::new(Vec::new());
    builder.append(&header, bytes).unwrap();
    let mut whole = builder.into_inner().unwrap();
    whole.truncate(whole.len() - 1024);
    whole.extend(tar(members));
    whole
}

/// A shard with zeros behind it, to a whole number of records.
fn padded(mut shard: Vec<u8>, record: usize) -> Vec<u8> {
    shard.resize(shard.len().next_multiple_of(record), 0);
    shard
}

#[rustfmt::skip]
const SHARDS: &[Case] = &[
    ("empty", |_| Vec::new(), "train-0000.tar` is empty"),
    ("a web page", |_| b"<!DOCTYPE html><html>404</html>".to_vec(), "train-0000.tar` is a web page, not data"),
    ("a pointer", |_| b"version https://git-lfs.github.com/spec/v1\noid".to_vec(), "is a pointer of git LFS"),
    ("compressed", |m| gzip(&tar(&m)), "train-0000.tar` is compressed: unpack it to a `.tar`"),
    ("text", |_| b"no tar".to_vec(), "train-0000.tar` is no tar file: "),
    ("much text", |_| b"no tar ".repeat(1000), "train-0000.tar` is no tar file: "),
    ("zeros", |_| vec![0; 10_240], "train-0000.tar` has no samples"),
    ("nothing of use", |_| tar(&[("README".to_owned(), b"x".to_vec())]), "has no samples"),
    ("cut in an image", |m| cut(&m, 530), "has 530 bytes and ends within `cat/0.png`, whose "),
    ("cut in a header", |m| cut(&m, 1100), "is damaged behind `cat/0.png`: "),
    ("cut between samples", |m| { let whole = tar(&m); whole[..whole.len() - 1024].to_vec() }, "train-0000.tar` has no end: the download was cut off"),
    ("a flipped bit", |m| { let mut whole = tar(&m); whole[1024 + 3] ^= 1; whole }, "is damaged behind `cat/0.png`: archive header checksum mismatch"),
    ("no label", |m| without(m, 1), "train-0000.tar` has no label of `cat/0.png`: neither `cat/0.cls` nor a `label` in `cat/0.json` says its class"),
    ("no image", |m| without(m, 0), "has a label of the sample `cat/0`, but no JPEG, PNG or WebP image; it has `cat/0.cls`"),
    ("a GIF", |mut m| { m[0].0 = "cat/0.gif".to_owned(); tar(&m) }, "but no JPEG, PNG or WebP image; it has `cat/0.gif`, `cat/0.cls`"),
    ("a name as label", |mut m| { m[1].1 = b"cat".to_vec(); tar(&m) }, "has no label in `cat/0.cls`, but `cat`: a number from 0 on is needed"),
    ("a negative label", |mut m| { m[1].1 = b"-1".to_vec(); tar(&m) }, "has no label in `cat/0.cls`, but `-1`"),
    ("an empty label", |mut m| { m[1].1.clear(); tar(&m) }, "has no label in `cat/0.cls`, but ``"),
    ("a label of no class", |mut m| { m[1].1 = b"2".to_vec(); tar(&m) }, "train-0000.tar/cat/0.png` has the label 2, but 2 classes go from 0 to 1"),
    ("two images", |m| with(m, 1, "cat/0.jpg", b"x"), "has two images of the sample `cat/0`: `cat/0.png` and `cat/0.jpg`"),
    ("two labels", |m| with(m, 1, "cat/0.cls", b"0"), "has `cat/0.cls` twice"),
    ("text as label", |mut m| { m[1] = ("cat/0.json".to_owned(), b"{\"label\": \"cat\"}".to_vec()); tar(&m) }, "has no label in `cat/0.json`, but `\"cat\"`: a number from 0 on is needed"),
    ("a link", |m| before(&m, b"", |header| { header.set_entry_type(EntryType::Symlink); header.set_link_name("cat/0.png").unwrap(); }), "has the link `first.png`: pack the shard again with `--dereference --hard-dereference`"),
    ("a hard link", |m| before(&m, b"", |header| { header.set_entry_type(EntryType::Link); header.set_link_name("cat/0.png").unwrap(); }), "has the link `first.png`: "),
    ("two shards by cat", |m| [tar(&m[..4]), tar(&m[4..])].concat(), "has more behind its end, which is at byte 4096"),
    ("two padded shards by cat", |m| [padded(tar(&m[..4]), 10_240), tar(&m[4..])].concat(), "has more behind its end"),
    ("a tail of zeros", |m| padded(tar(&m[..4]), 20_480), "has 16384 bytes behind its last file, more than the 10752 that `tar` ends with"),
    ("a sample apart", |m| { let n = m.len(); with(m, n, "cat/0.json", b"{}") }, "has files of the sample `cat/0` in two places, `cat/0.json` in the second"),
    ("sparse by GNU", |m| before(&m, b"", |header| { header.set_entry_type(EntryType::GNUSparse); header.as_gnu_mut().unwrap().set_real_size(0); }), "has the sparse file `first.png`: pack the shard again without `--sparse`"),
    ("sparse by POSIX", |_| { let mut b = Builder::new(Vec::new()); b.append_pax_extensions([("GNU.sparse.major", &b"1"[..])]).unwrap(); b.append_data(&mut header(1), "x.png", &b"x"[..]).unwrap(); b.into_inner().unwrap() }, "has the sparse file `x.png`"),
    ("a name without end", |m| before(&m, &vec![b'a'; 2 << 20], |header| header.set_entry_type(EntryType::GNULongName)), "is no tar file: it announces a name of more than 1 MiB"),
    ("an extension without end", |m| before(&m, &vec![b'a'; 2 << 20], |header| header.set_entry_type(EntryType::XHeader)), "it announces a name of more than 1 MiB"),
];

#[test]
fn each_damaged_shard_is_named_with_what_is_wrong() {
    let folder = Files::folder();
    let members = samples(&folder, "train").concat();
    let mut unsaid = Vec::new();
    for (name, spoil, expected) in SHARDS {
        let files = packed(&folder, 100);
        files.write("train-0000.tar", spoil(members.clone()));
        match read(&files) {
            Ok(_) => unsaid.push(format!("{name}: accepted")),
            Err(error) if !error.to_string().contains(expected) => {
                unsaid.push(format!("{name}: expected `{expected}`, told: {error}"));
            }
            Err(error) => {
                assert_eq!(error.place(), ["path"]);
                let is_apart = ["no label", "no image", "a GIF", "a sample apart"].contains(name);
                let help = error.advice().unwrap_or_default();
                assert_eq!(
                    help.contains("| tar -cf train-0000.tar -T -` packs them so"),
                    is_apart,
                    "{name}: {help}"
                );
            }
        }
    }
    assert!(unsaid.is_empty(), "{}", unsaid.join("\n"));
}

#[cfg(unix)]
#[test]
fn a_long_image_is_not_read_and_one_too_long_for_its_shard_is_told() {
    let files = packed(&Files::folder(), 100);
    let mut long = header(0);
    long.set_path("long.png").unwrap();
    long.set_size(10 << 30);
    long.set_cksum();
    let path = files.write("train-0001.tar", long.as_bytes());
    let told = read(&files).unwrap_err().to_string();
    assert!(
        told.contains("has 512 bytes and ends within `long.png`, whose 10737418240 begin at 512"),
        "{told}"
    );
    // Sparse: it takes no place.
    let label = tar(&[("long.cls".to_owned(), b"0".to_vec())]);
    let file = File::options().write(true).open(path).unwrap();
    let end = 512 + (10 << 30);
    file.set_len(end + label.len() as u64).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &label, end).unwrap();
    let left_out = Shards { skip_at_most: 1, classes: cat_and_dog(), ..shards_of(&files) };
    let data = shards(&left_out, &preparation(0.25)).unwrap();
    assert_eq!(data.train.len() + data.held_out.len(), 9);
    let anew = Shards { classes: cat_and_dog(), reading: anew(), ..shards_of(&files) };
    let told = shards(&anew, &preparation(0.25)).unwrap_err().to_string();
    assert!(
        told.ends_with("train-0001.tar/long.png` cannot be read: it has more than the 512 MiB that are read"),
        "{told}"
    );
}

#[test]
fn damaged_images_are_left_out_up_to_the_limit() {
    let files = Files::folder();
    files.write("train/cat/1.png", "no image");
    let files = packed(&files, 3);
    let shards_of = |skip_at_most, reading| Shards { skip_at_most, reading, ..shards_of(&files) };
    let told = shards(&shards_of(0, anew()), &preparation(0.25)).unwrap_err();
    let expected = "train-0000.tar/cat/1.png` is no JPEG, PNG or WebP image";
    assert!(told.to_string().ends_with(expected), "{told}");
    assert!(told.advice().unwrap().contains("`skip_at_most: 1` (it is 0)"));
    let data = shards(&shards_of(1, anew()), &preparation(0.25)).unwrap();
    assert!(data.notes[0].contains("images that cannot be read and are left out: 1 ("), "{:?}", data.notes);
    let data = shards(&shards_of(1, Reading::default()), &preparation(0.25)).unwrap();
    let lens = [&data.train, &data.held_out].map(|split| {
        let loader = Loader::new(Arc::new(split.clone()), 20, Order::AsIs, Device::flex());
        loader.epoch(1).map(|batch| batch.unwrap().len()).sum::<usize>()
    });
    assert_eq!((lens.iter().sum::<usize>(), data.train.len() + data.held_out.len()), (7, 8));
}

#[test]
fn damaged_images_of_the_same_name_from_the_root_on_are_counted_in_each_shard() {
    let files = packed(&Files::folder(), 100);
    for shard in 1..=3 {
        let mut builder = Builder::new(Vec::new());
        for (name, bytes) in [("/x/0.png", b"no image".as_slice()), ("/x/0.cls", b"0")] {
            let mut header = header(bytes.len());
            header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
            header.set_cksum();
            builder.append(&header, bytes).unwrap();
        }
        files.write(&format!("train-{shard:04}.tar"), padded(builder.into_inner().unwrap(), 10_240));
    }
    let read = |skip_at_most| {
        let anew = Shards { skip_at_most, reading: anew(), ..shards_of(&files) };
        shards(&anew, &preparation(0.25))
    };
    let told = read(2).unwrap_err();
    assert!(told.advice().unwrap().contains("`skip_at_most: 3` (it is 2)"), "{told:?}");
    assert!(told.to_string().contains("train-0001.tar/x/0.png"), "{told}");
    read(3).unwrap();
}

/// More samples than a window, sorted by class: 82 of 100 images each.
#[test]
fn shards_are_shuffled_by_blocks_and_it_is_told_if_they_are_sorted() {
    let files = packed(&folder(), 100);
    let images: Vec<Vec<u8>> =
        (0..8).map(|shade| std::fs::read(Files::new().png("x.png", 1, 1, [shade; 3])).unwrap()).collect();
    let member = |image: usize| {
        let label = (image / 100).to_string().into_bytes();
        [(format!("{image}.png"), images[image % 8].clone()), (format!("{image}.cls"), label)]
    };
    files.write("train-0000.tar", tar(&(0..8200).flat_map(member).collect::<Vec<_>>()));
    let data =
        |patterns: Shards| shards(&Shards { image_size: 1, resize: 1, ..patterns }, &preparation(0.001));
    let data = data(shards_of(&files)).unwrap();
    let told = "train-*.tar`: samples lie sorted by their class";
    assert!(data.notes.iter().any(|note| note.contains(told)), "{:?}", data.notes);

    let part = Arc::new(data.train);
    let (seed, stage) = (5, Stage::Search);
    let loader = Loader::new(part.clone(), 64, Order::Shuffled { seed, stage }, Device::flex());
    let seen: Vec<i64> = loader
        .epoch(2)
        .take(2)
        .flat_map(|batch| batch.unwrap().labels.into_data().convert::<i64>().try_to_vec::<i64>().unwrap())
        .collect();
    let mut expected: Vec<usize> = (0..part.len()).collect();
    shuffle_by_blocks(&mut expected, &mut Moment { seed, stage, epoch: 2, step: 0 }.generator());
    let expected: Vec<i64> = expected.iter().take(128).map(|image| part.label(*image) as i64).collect();
    assert_eq!(seen, expected);
}

#[test]
fn an_unchanged_shard_is_not_read_again() {
    let files = packed(&folder(), 3);
    let cache = tempfile::tempdir().unwrap();
    let path = files.path().join("train-0001.tar");
    let set_time = |time| File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
    for entry in std::fs::read_dir(files.path()).unwrap() {
        let file = File::options().write(true).open(entry.unwrap().path()).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(3600)).unwrap();
    }
    let read = |anew| {
        let reading = Reading { cache: Cache::at(cache.path()), anew, quiet: true };
        shards(&Shards { reading, ..shards_of(&files) }, &preparation(0.25))
    };
    let known = read(false).unwrap();
    assert_eq!(read(false).unwrap().content(), known.content());
    let (whole, time) = (std::fs::read(&path).unwrap(), path.metadata().unwrap().modified().unwrap());
    // Nobody looks at what has the same size and time.
    std::fs::write(&path, vec![7; whole.len()]).unwrap();
    set_time(time);
    assert_eq!(read(false).unwrap().content(), known.content());
    assert!(read(true).unwrap_err().to_string().contains("train-0001.tar` is no tar file"));
    set_time(time + Duration::from_secs(1));
    assert!(read(false).unwrap_err().to_string().contains("train-0001.tar` is no tar file"));
    std::fs::write(&path, &whole).unwrap();
    assert_eq!(read(false).unwrap().content(), known.content());
    // One that has become shorter since the start of a run.
    let data = read(false).unwrap();
    std::fs::write(&path, &whole[..600]).unwrap();
    let told = (0..data.train.len()).find_map(|image| data.train.images(&[image], &Device::flex()).err());
    let told = told.unwrap().to_string();
    assert!(
        told.contains("train-0001.tar/") && told.ends_with("cannot be read: the shard has become shorter"),
        "{told}"
    );
    // A damaged index is made again.
    std::fs::write(&path, &whole).unwrap();
    for entry in std::fs::read_dir(cache.path()).unwrap() {
        std::fs::write(entry.unwrap().path(), "x").unwrap();
    }
    assert_eq!(read(false).unwrap().content(), known.content());
}

#[test]
fn one_split_is_evaluated_without_the_others() {
    let files = packed(&folder(), 3);
    let whole = read(&files).unwrap();
    for shard in ["train-0000.tar", "train-0001.tar", "train-0002.tar"] {
        std::fs::remove_file(files.path().join(shard)).unwrap();
    }
    let split = |classes, kind, known: &[String]| {
        shards_split(&Shards { classes, ..shards_of(&files) }, kind, &whole.normalisation, known)
    };
    let known = ["cat", "dog"].map(str::to_owned);
    let data = split(None, SplitKind::Test, &known).unwrap().unwrap();
    assert_eq!((data.test.len(), &data.class_names[..]), (4, &known[..]));
    assert_eq!(pixels(&data, &data.test, 1), pixels(&whole, &whole.test, 1));
    assert_eq!(data.content().test, whole.content().test);
    assert!(
        split(None, SplitKind::HeldOut, &known).unwrap().is_none(),
        "it is drawn from the training images"
    );
    assert!(split(None, SplitKind::Test, &[]).unwrap().is_none());
    let none = split(Some(Classes::Named(Vec::new())), SplitKind::Test, &known).err().unwrap();
    assert_eq!((none.place(), none.to_string().as_str()), (&["classes"][..], "`classes` names no class"));
    let error = split(Some(Classes::Count(1)), SplitKind::Test, &known).err().unwrap().to_string();
    assert!(error.contains("has the label 1, but 1 class goes from 0 to 0"), "{error}");
}
