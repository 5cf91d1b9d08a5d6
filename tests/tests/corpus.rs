//! What fuzzing found worth keeping is read as the fuzz target `experiment` reads it.

#[path = "../fuzz/reading.rs"]
mod reading;

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

#[test]
fn the_corpus_is_read_without_a_panic_and_what_is_printed_reads_back() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/experiment");
    let (mut read, mut failed) = (0, Vec::new());
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let Ok(text) = String::from_utf8(fs::read(&path).unwrap()) else { continue };
        read += 1;
        if catch_unwind(|| reading::read_any(&text)).is_err() {
            failed.push(path);
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
    assert!(read > 200, "only {read} files");
}
