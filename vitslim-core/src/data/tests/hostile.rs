//! Files that never end, wait, or unpack to more than there is memory.

use std::fs::File;

use super::*;

const TRAIN_IMAGES: &str = "train-images-idx3-ubyte";

/// A file of so many bytes that takes no place on the disk.
fn sparse(files: &Files, name: &str, bytes: u64) {
    let path = files.write(name, "");
    File::options().write(true).open(path).unwrap().set_len(bytes).unwrap();
}

/// The header of images of 28 x 28, so many of them.
fn header(count: u32) -> Vec<u8> {
    [&[0, 0, 8, 3][..], &count.to_be_bytes(), &[0, 0, 0, 28, 0, 0, 0, 28]].concat()
}

fn told_of_idx(spoil: impl Fn(&Files)) -> String {
    let files = Files::idx();
    spoil(&files);
    idx(files.path(), 2, &preparation(0.25)).unwrap_err().to_string()
}

#[test]
fn sizes_are_bounded_whether_they_are_announced_or_not() {
    let hundred_gigabytes = header(128_000_000);
    let told =
        "announces 128000000 x 28 x 28 bytes, more than the 4 GB that are read: is its header damaged?";
    for file in [gzip(&hundred_gigabytes), hundred_gigabytes] {
        let said = told_of_idx(|files| drop(files.write(TRAIN_IMAGES, &file)));
        assert!(said.contains(told), "{said}");
    }
    // It is not unpacked further than the header says.
    let bomb = gzip(&[header(40), vec![0; 64 << 20]].concat());
    assert!(bomb.len() < 1 << 20);
    let said = told_of_idx(|files| drop(files.write(TRAIN_IMAGES, &bomb)));
    assert!(said.contains("announces 40 x 28 x 28 bytes in its header, but has more"), "{said}");

    let files = Files::new();
    sparse(&files, "train.bin", 10 << 30);
    let said = cifar100(files.path(), CifarLabels::Fine, &preparation(0.5)).unwrap_err().to_string();
    assert!(said.contains("train.bin` has more than the 256 MiB that are read"), "{said}");

    let files = Files::folder();
    sparse(&files, "train/cat/x.jpeg", 10 << 30);
    let folder = ImageFolder { reading: anew(), ..image_folder_of(&files) };
    let said = image_folder(&folder, &preparation(0.25)).unwrap_err().to_string();
    assert!(
        said.contains("train/cat/x.jpeg` cannot be read: it has more than the 512 MiB that are read"),
        "{said}"
    );
}

#[cfg(target_os = "linux")]
fn device(files: &Files, name: &str) {
    std::os::unix::fs::symlink("/dev/zero", files.path().join(name)).unwrap();
}

#[cfg(target_os = "linux")]
fn pipe(files: &Files, name: &str) {
    let path = files.path().join(name);
    assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[cfg(target_os = "linux")]
#[test]
fn devices_and_pipes_are_not_opened() {
    for (kind, make) in [("device", device as fn(&Files, &str)), ("pipe", pipe)] {
        let said = told_of_idx(|files| {
            std::fs::remove_file(files.path().join(TRAIN_IMAGES)).unwrap();
            make(files, TRAIN_IMAGES);
        });
        let told = format!("{TRAIN_IMAGES}` cannot be read: it is a {kind}, not a file");
        assert!(said.contains(&told), "{said}");
    }
    let files = Files::folder();
    pipe(&files, "train/cat/pipe.jpg");
    device(&files, "train/cat/zero.png");
    let data = image_folder(&image_folder_of(&files), &preparation(0.25)).unwrap();
    let told = "left out 2 files that are no images (cat/pipe.jpg, cat/zero.png)";
    assert!(data.notes[0].ends_with(told), "{:?}", data.notes);
}
