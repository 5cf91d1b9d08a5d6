//! Files that start from others.

use std::path::Path;

use super::*;

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn read(folder: &Path, name: &str, sets: &[&str]) -> Result<Experiment, ExperimentErrors> {
    let sets: Vec<String> = sets.iter().map(|&set| set.to_owned()).collect();
    match Document::read(&folder.join(name), &sets) {
        Ok(document) => document.experiment(),
        Err(LoadError::Experiment(errors)) => Err(errors),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn a_file_says_what_is_other_than_in_the_one_it_starts_from() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "common.ron", QUICKSTART);
    let longer = r#"(base: "../common.ron", name: "longer", search: (epochs: 99, dimensions: { "hidden": (weight: 1) }))"#;
    write(folder.path(), "sub/longer.ron", longer);
    write(
        folder.path(),
        "sub/last.ron",
        r#"(base: "longer.ron", retrain: None, seed: 7, budgets: [Share({ "hidden": 0.5 })])"#,
    );
    let last = read(folder.path(), "sub/last.ron", &["seed=8"]).unwrap();
    let common = experiment(QUICKSTART, &[]).unwrap();
    assert_eq!((last.name.as_str(), last.seed, last.search.epochs.get()), ("longer", 8, 99));
    // `None` removes what lies below, a list takes its place, and a map keeps its other keys.
    assert_eq!((last.retrain, last.budgets.len()), (None, 1));
    assert_eq!(last.search.dimensions.get("head_dim"), common.search.dimensions.get("head_dim"));
    assert_eq!(last.search.dimensions.get("hidden").unwrap().weight.get(), 1.0);
    assert_eq!(last.search.dimensions.get("hidden").unwrap().granularity, Granularity::Uniform);
    assert_eq!(last.pretrain, common.pretrain);
}

#[test]
fn of_several_files_the_later_overrides_the_earlier() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "a.ron", QUICKSTART);
    write(folder.path(), "b.ron", "(seed: 1, log_every: 7)");
    write(folder.path(), "c.ron", "(seed: 2)");
    write(folder.path(), "x.ron", r#"(base: ["a.ron", "b.ron", "c.ron"], name: "x")"#);
    let read = read(folder.path(), "x.ron", &[]).unwrap();
    assert_eq!((read.name.as_str(), read.seed, read.log_every.get()), ("x", 2, 7));
}

#[test]
fn a_mistake_is_told_where_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    write(folder.path(), "good.ron", QUICKSTART);
    write(folder.path(), "bad.ron", &QUICKSTART.replace("epochs: 10", "epochs: 0"));
    write(folder.path(), "broken.ron", "(seed = 1)");
    write(folder.path(), "empty.ron", " ");
    write(folder.path(), "list.ron", "[1]");
    write(folder.path(), "self.ron", "(base: \"./self.ron\")");
    write(folder.path(), "ring1.ron", "(base: \"ring2.ron\")");
    write(folder.path(), "ring2.ron", "(base: \"ring1.ron\")");
    for (text, file, told) in [
        ("(base: \"bad.ron\")", "bad.ron", "9:17: `epochs`: must be at least 1, but is 0"),
        ("(base: \"good.ron\", sed: 1)", "x.ron", "1:20: unknown field `sed` in `Experiment`"),
        ("(base: \"good.ron\", search: (epochs: 0))", "x.ron", "1:37: `epochs`: must be at least 1"),
        ("(base: \"broken.ron\")", "broken.ron", "1:7: expected `:` after `seed`, found `=`"),
        ("(base: \"empty.ron\")", "x.ron", "1:8: `"),
        ("(base: \"list.ron\")", "list.ron", "1:1: expected `Experiment(...)`, found a list"),
        ("(base: \"none.ron\")", "x.ron", "1:8: `"),
        ("(base: \".\")", "x.ron", "1:8: `"),
        ("(base: \"\")", "x.ron", "1:8: the path of a file to start from is empty"),
        ("(base: 3)", "x.ron", "1:8: expected the path of a file to start from, found the number `3`"),
        ("(base: Sweep([\"a\", \"b\"]))", "x.ron", "1:8: `base` cannot be swept"),
        ("(base: [\"good.ron\", 3])", "x.ron", "1:21: expected the path of a file to start from"),
        ("(base: \"self.ron\")", "self.ron", "1:8: `"),
        ("(base: \"ring1.ron\")", "ring2.ron", "1:8: `"),
        ("(base: \"x.ron\")", "x.ron", "1:8: `"),
    ] {
        write(folder.path(), "x.ron", text);
        let errors = read(folder.path(), "x.ron", &[]).unwrap_err();
        let first = errors.first().to_string().replace("/./", "/");
        assert!(first.starts_with(&format!("{}:{told}", at(file))), "{text}: {first}");
    }
    write(folder.path(), "x.ron", "(base: [\"none.ron\", \"nix.ron\", 3, \"broken.ron\"])");
    assert_eq!(read(folder.path(), "x.ron", &[]).unwrap_err().iter().count(), 4);
    write(folder.path(), "x.ron", "(base: \"bad.ron\", seed: -1)");
    assert_eq!(read(folder.path(), "x.ron", &[]).unwrap_err().iter().count(), 2);
    write(folder.path(), "x.ron", "(base: \"ring1.ron\")");
    let ring = read(folder.path(), "x.ron", &[]).unwrap_err().to_string();
    assert!(ring.contains("starts from itself, through this"), "{ring}");
}

#[test]
fn what_is_swept_below_may_be_fixed_above() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "sweep.ron", &QUICKSTART.replace("seed: 42", "seed: Seeds(5)"));
    write(folder.path(), "x.ron", "(base: \"sweep.ron\", seed: 3)");
    assert_eq!(read(folder.path(), "x.ron", &[]).unwrap().seed, 3);
}

#[test]
fn a_file_that_others_start_from_is_read_once() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "0.ron", QUICKSTART);
    for level in 1..40 {
        let below = level - 1;
        write(folder.path(), &format!("{level}.ron"), &format!(r#"(base: ["{below}.ron", "{below}.ron"])"#));
    }
    assert_eq!(read(folder.path(), "39.ron", &[]).unwrap(), experiment(QUICKSTART, &[]).unwrap());
    write(folder.path(), "0.ron", "(seed = 1)");
    assert_eq!(read(folder.path(), "39.ron", &[]).unwrap_err().iter().count(), 1);
}

#[cfg(target_os = "linux")]
#[test]
fn the_folder_of_a_file_may_be_called_anything() {
    use std::os::unix::ffi::OsStrExt;

    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join(std::ffi::OsStr::from_bytes(b"\xff"));
    write(&inside, "common.ron", QUICKSTART);
    write(&inside, "x.ron", r#"(base: "common.ron", seed: 5)"#);
    assert_eq!(read(&inside, "x.ron", &[]).unwrap().seed, 5);
}

/// Nobody waits for a file that never ends, and nobody reads one that is no experiment to its end.
#[cfg(target_os = "linux")]
#[test]
fn what_is_no_file_of_an_experiment_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe.ron");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    std::fs::File::create(folder.path().join("sparse.ron")).unwrap().set_len(10 << 30).unwrap();
    std::fs::write(folder.path().join("latin1.ron"), b"(name: \"\xe9\")").unwrap();
    for (base, told, help) in [
        ("/dev/zero", "`/dev/zero` cannot be read: it is a device, not a file", None),
        ("pipe.ron", "pipe.ron` cannot be read: it is a pipe, not a file", None),
        ("sparse.ron", "sparse.ron` cannot be read: it has more than the 16 MiB that are read", None),
        (
            "latin1.ron",
            "latin1.ron` is not in UTF-8 but probably in LATIN1, as its byte 8 shows",
            Some("convert it: `iconv -f LATIN1 -t UTF-8 old.ron > new.ron`"),
        ),
        ("none.ron", "none.ron` does not exist", Some("a path is relative to the file that it stands in")),
    ] {
        write(folder.path(), "x.ron", &format!("(base: {base:?})"));
        let errors = read(folder.path(), "x.ron", &[]).unwrap_err();
        assert!(errors.iter().count() == 1 && errors.first().to_string().ends_with(told), "{errors}");
        assert_eq!(errors.first().advice(), help);
        let path = folder.path().join(base);
        let whole = Document::read(&path, &[]).unwrap_err().to_string();
        assert!(whole.ends_with(told), "{whole}");
    }
}
