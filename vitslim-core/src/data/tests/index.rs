//! Which files are read again, by what the index of their folder knows.

use std::fs::File;
use std::time::{Duration, SystemTime};

use super::super::index::digests;
use super::super::source::ImageDigest;
use super::*;

/// A folder, and where its index is kept.
struct Indexed {
    files: Files,
    cache: TempDir,
}

impl Indexed {
    /// Four files that were last modified long ago.
    fn new() -> Self {
        let indexed = Self { files: Files::new(), cache: tempfile::tempdir().unwrap() };
        for (name, content) in [("a/1", "one"), ("a/2", "two"), ("b/1", "uno"), ("b/2", "dos")] {
            indexed.write(name, content);
        }
        indexed
    }

    fn at(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    /// Writes a file that was last modified an hour ago.
    fn write(&self, name: &str, content: &str) {
        modified(&self.files.write(name, content), 3600);
    }

    fn cache(&self) -> Cache {
        Cache::at(self.cache.path())
    }

    /// The digests of all files, by name, and the names of those that were read.
    fn read(&self) -> (Vec<(String, ImageDigest)>, Vec<String>) {
        read(self.files.path(), self.cache(), false)
    }

    /// The names of the files that are read.
    fn names_read(&self) -> Vec<String> {
        self.read().1
    }
}

fn read(root: &Path, cache: Cache, anew: bool) -> (Vec<(String, ImageDigest)>, Vec<String>) {
    let entries = walkdir::WalkDir::new(root).follow_links(true).sort_by_file_name();
    let paths: Vec<PathBuf> =
        entries.into_iter().map(|entry| entry.unwrap().into_path()).filter(|path| path.is_file()).collect();
    let name = |path: &PathBuf| path.strip_prefix(root).unwrap().display().to_string();
    let found = digests(root, &paths, &Reading { cache, anew, quiet: true });
    assert!(found.refused.is_empty(), "{:?}", found.refused);
    let read = found.read.iter().map(|&file| name(&paths[file])).collect();
    (paths.iter().map(name).zip(found.of).collect(), read)
}

/// Says that the file at `path` was last modified so many seconds ago.
fn modified(path: &Path, seconds: u64) {
    let file = File::options().write(true).open(path).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(seconds)).unwrap();
}

#[test]
fn an_unchanged_folder_is_read_once_and_of_another_what_changed() {
    let indexed = Indexed::new();
    let (known, first) = indexed.read();
    assert_eq!(first, ["a/1", "a/2", "b/1", "b/2"]);
    assert_eq!(indexed.read(), (known.clone(), vec![]));

    modified(&indexed.at("a/1"), 7200);
    assert_eq!(indexed.read(), (known.clone(), vec!["a/1".to_owned()]), "touched");
    indexed.write("a/2", "three");
    let (changed, read) = indexed.read();
    assert_eq!(read, ["a/2"]);
    let differs = |at: usize| changed[at] != known[at];
    assert_eq!([0, 1, 2, 3].map(differs), [false, true, false, false]);
    std::fs::rename(indexed.at("b/1"), indexed.at("b/3")).unwrap();
    assert_eq!(indexed.names_read(), ["b/3"], "renamed");
    std::fs::rename(indexed.at("b"), indexed.at("c")).unwrap();
    assert_eq!(indexed.names_read(), ["c/2", "c/3"], "in another class");
    std::fs::remove_file(indexed.at("a/1")).unwrap();
    assert!(indexed.names_read().is_empty(), "removed");
    indexed.write("a/1", "one");
    assert_eq!(indexed.names_read(), ["a/1"], "back again");
    assert!(indexed.names_read().is_empty());
}

#[test]
fn of_a_file_that_was_modified_a_moment_ago_nothing_is_believed() {
    let indexed = Indexed::new();
    indexed.read();
    indexed.files.write("a/1", "abc");
    let (before, read) = indexed.read();
    assert_eq!(read, ["a/1"]);
    // The clock of the file system may not have moved.
    let time = indexed.at("a/1").metadata().unwrap().modified().unwrap();
    indexed.files.write("a/1", "xyz");
    File::options().write(true).open(indexed.at("a/1")).unwrap().set_modified(time).unwrap();
    let (after, read) = indexed.read();
    assert_eq!(read, ["a/1"]);
    assert_ne!(after[0], before[0]);
}

#[test]
fn a_change_that_keeps_size_and_time_is_seen_by_whoever_reads_all_anew() {
    let indexed = Indexed::new();
    let (known, _) = indexed.read();
    let time = indexed.at("a/1").metadata().unwrap().modified().unwrap();
    indexed.files.write("a/1", "eno");
    File::options().write(true).open(indexed.at("a/1")).unwrap().set_modified(time).unwrap();
    assert_eq!(indexed.read(), (known.clone(), vec![]));
    let (anew, all) = read(indexed.files.path(), indexed.cache(), true);
    assert!(all.len() == 4 && anew[0] != known[0] && anew[1..] == known[1..]);
    assert_eq!(indexed.read(), (anew, vec![]), "the index is that of the last time");
}

/// Files that were unpacked from an archive may all have the same time.
#[cfg(unix)]
#[test]
fn files_of_one_size_and_time_that_exchange_their_names_are_read_again() {
    let indexed = Indexed::new();
    let time = indexed.at("a/1").metadata().unwrap().modified().unwrap();
    File::options().write(true).open(indexed.at("b/1")).unwrap().set_modified(time).unwrap();
    let (known, _) = indexed.read();
    for (from, to) in [("a/1", "x"), ("b/1", "a/1"), ("x", "b/1")] {
        std::fs::rename(indexed.at(from), indexed.at(to)).unwrap();
    }
    let (found, read) = indexed.read();
    assert_eq!(read, ["a/1", "b/1"]);
    assert_eq!([found[0].1, found[2].1], [known[2].1, known[0].1]);
}

#[test]
fn a_damaged_index_is_made_again() {
    let indexed = Indexed::new();
    let (known, _) = indexed.read();
    let entry = std::fs::read_dir(indexed.cache.path()).unwrap().next().unwrap().unwrap();
    let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
    let whole = std::fs::read(&path).unwrap();
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    for damaged in [&flipped[..], &whole[..whole.len() / 2], &whole[..3], &[], &[0xff; 100]] {
        std::fs::write(&path, damaged).unwrap();
        assert_eq!(indexed.names_read().len(), 4, "{} bytes", damaged.len());
        assert_eq!(indexed.read(), (known.clone(), vec![]));
        assert_eq!(std::fs::read(&path).unwrap(), whole);
    }
    // Whole, but not what it should be.
    indexed.cache().write(&name, b"something else".to_vec());
    assert_eq!(indexed.names_read().len(), 4);
}

#[test]
fn without_a_place_for_the_index_all_is_read_each_time() {
    let indexed = Indexed::new();
    let (known, _) = indexed.read();
    let file = indexed.files.write("file", "");
    for cache in [Cache::default(), Cache::at(&file.join("cache"))] {
        for _ in 0..2 {
            let (found, read) = read(&indexed.at("a"), cache.clone(), false);
            assert_eq!(read, ["1", "2"]);
            assert_eq!([found[0].1, found[1].1], [known[0].1, known[1].1]);
        }
    }
}

#[cfg(unix)]
#[test]
fn by_another_name_it_is_the_same_folder_and_a_copy_is_not() {
    let indexed = Indexed::new();
    let (known, _) = indexed.read();
    let link = indexed.cache.path().join("link");
    std::os::unix::fs::symlink(indexed.files.path(), &link).unwrap();
    assert_eq!(read(&link, indexed.cache(), false), (known.clone(), vec![]));
    let copy = Indexed { cache: indexed.cache, ..Indexed::new() };
    let (of_copy, read) = copy.read();
    assert_eq!((of_copy, read.len()), (known, 4));
}

#[test]
fn a_file_that_cannot_be_read_is_named_and_one_that_is_too_long_is_not_read() {
    let indexed = Indexed::new();
    let long = indexed.files.write("a/long", "");
    File::options().write(true).open(&long).unwrap().set_len(10 << 40).unwrap();
    let paths = [indexed.at("a/1"), indexed.at("gone"), long];
    let found =
        digests(indexed.files.path(), &paths, &Reading { cache: indexed.cache(), ..Reading::default() });
    assert_eq!((found.read, found.of[2]), (vec![0], ImageDigest::default()));
    let [(1, reason)] = &found.refused[..] else { panic!("{:?}", found.refused) };
    assert!(reason.starts_with("cannot be read: No such file"), "{reason}");
}

/// What runs of earlier versions recorded in their `data.json` goes on to hold.
#[test]
fn the_content_of_a_folder_is_what_it_was_in_earlier_versions() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/jpeg");
    let files = Files::new();
    for (name, image) in [
        ("train/cat/1.jpg", "cmyk_plain.jpg"),
        ("train/cat/2.jpg", "ycc_half.jpg"),
        ("train/dog/a.jpg", "gray_adobe_0.jpg"),
        ("train/dog/b/c.jpg", "ycc_jfif.jpg"),
        ("val/cat/1.jpg", "rgb_names.jpg"),
        ("val/dog/1.jpg", "ycc_restarts.jpg"),
    ] {
        files.write(name, std::fs::read(folder.join(image)).unwrap());
    }
    let cache = tempfile::tempdir().unwrap();
    // With what was kept, and without.
    for cache in [Cache::default(), Cache::at(cache.path()), Cache::at(cache.path())] {
        let reading = Reading { cache, ..Reading::default() };
        let folder = ImageFolder { reading, ..image_folder_of(&files) };
        let data = image_folder(&folder, &preparation(0.25)).unwrap();
        let content = data.content();
        assert_eq!(content.train.sha256, "fd3ae8640b8bff9f37c785ef6518b6e133ae1008f7df358fc5fe52404be6e282");
        assert_eq!(content.test.sha256, "db5309da82da95ec129dd3cb7de400e4d26d02014eb14d8b940e757db5615271");
        let again = image_folder(&folder, &preparation(0.25)).unwrap();
        assert_eq!((&again.normalisation, again.content()), (&data.normalisation, content));
    }
}

#[test]
fn the_normalisation_is_kept_for_the_same_images_and_counts_what_cannot_be_read_in_them() {
    let files = Files::folder();
    files.write("train/cat/broken.png", "no image");
    let cache = tempfile::tempdir().unwrap();
    let folder = |skip_at_most, anew| ImageFolder {
        skip_at_most,
        reading: Reading { cache: Cache::at(cache.path()), anew, quiet: true },
        held_out: HeldOutFrom::ValOrShare,
        ..image_folder_of(&files)
    };
    for class in ["cat", "dog"] {
        files.png(&format!("test/{class}/0.png"), 8, 8, [1, 2, 3]);
    }
    let all = walkdir::WalkDir::new(files.path()).into_iter().map(|entry| entry.unwrap().into_path());
    all.filter(|path| path.is_file()).for_each(|path| modified(&path, 3600));
    let read = |skip_at_most, anew| image_folder(&folder(skip_at_most, anew), &preparation(0.25));
    let known = read(1, false).unwrap();
    assert_eq!((known.normalisation.images, known.train.len()), (8, 9));

    // It is not decoded again: that would fail.
    let path = files.path().join("train/dog/0.png");
    let (time, length) = path.metadata().and_then(|found| Ok((found.modified()?, found.len()))).unwrap();
    std::fs::write(&path, vec![0; length as usize]).unwrap();
    File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
    assert_eq!(read(1, false).unwrap().normalisation, known.normalisation);
    let told = read(0, false).unwrap_err().to_string();
    assert!(told.ends_with("train/cat/broken.png` is no JPEG, PNG or WebP image"), "{told}");

    let told = read(1, true).unwrap_err().to_string();
    assert!(told.contains("broken.png") && told.contains("train/dog/0.png"), "{told}");
    let anew = read(2, true).unwrap();
    assert_eq!(anew.normalisation.images, 7);
    assert_ne!(anew.content().train, known.content().train);
    // What was found so is known from then on.
    assert_eq!(read(2, false).unwrap().normalisation, anew.normalisation);
}
