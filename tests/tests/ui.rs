//! The words in which `#[derive(Slimmable)]` refuses what it cannot accept, and underlines it: one file a case in `ui/fail/`.
//! What it accepts is in `definitions/`.
//!
//! After a change of words, `TRYBUILD=overwrite cargo test -p vitslim-tests --test ui` writes the `.stderr` files anew;
//! read their diff. Those that speak of an error's number (`error[E0277]`) hold words of rustc's own, and may change
//! with the toolchain.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, thread};

/// trybuild's flags for a case. It has one less for Burn's crates, so that cargo would check these twice; but what the environment says
/// goes for both.
const FLAGS: [&str; 6] = ["--cfg", "trybuild", "--verbose", "-A", "dead_code", "--diagnostic-width=140"];

// No case that must compile: all would be built instead of checked, and Burn's crates with them.
#[test]
fn ui() {
    const ENVIRONMENT: &str = "CARGO_ENCODED_RUSTFLAGS";
    if env::var_os(ENVIRONMENT).is_some() {
        return trybuild::TestCases::new().compile_fail("ui/fail/*.rs");
    }
    let this = env::current_exe().expect("the path of the test");
    let thread = thread::current();
    let name = thread.name().expect("the name of the test");
    let mut again = Command::new(this);
    let status = again.args(["--exact", name, "--nocapture"]).env(ENVIRONMENT, FLAGS.join("\u{1f}")).status();
    assert!(status.expect("the test again").success());
}

fn files(extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir("ui/fail").expect("a folder of cases");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut files: Vec<_> = paths.filter(|path| path.extension().is_some_and(|e| e == extension)).collect();
    files.sort();
    files
}

#[test]
fn every_case_has_its_words() {
    let cases: Vec<_> = files("rs").iter().map(|path| path.with_extension("stderr")).collect();
    assert_eq!(cases, files("stderr"));
    assert!(cases.len() >= 40);
}

/// A path of this machine, or a line of our own library, would hold here only and today only.
#[test]
fn the_words_name_no_place_but_the_case() {
    for path in files("stderr") {
        let case = path.with_extension("rs").display().to_string();
        for line in fs::read_to_string(&path).expect("the words").lines() {
            let Some((_, place)) = line.split_once("--> ") else {
                assert!(!line.contains("$CARGO") && !line.contains(".rs:"), "{}: {line}", path.display());
                continue;
            };
            let in_case = place.strip_prefix(&case).is_some_and(|rest| rest.starts_with(':'));
            let in_vitslim = place
                .strip_prefix("$WORKSPACE/")
                .is_some_and(|file| Path::new(file).is_relative() && file.ends_with(".rs"));
            assert!(in_case || in_vitslim, "{}: {line}", path.display());
        }
    }
}
