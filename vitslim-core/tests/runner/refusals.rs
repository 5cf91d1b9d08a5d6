//! What is refused before anything runs, and what is said of it.

use super::workspace::{TINY, Workspace, said};

/// Changes of the tiny experiment, and what must be printed.
const BROKEN: [(&str, &str, &[&str]); 23] = [
    ("epochs: 2,", "epoch: 2,", &["unknown field `epoch`", "did you mean `epochs`", "tiny.ron:6:"]),
    (
        "\"hidden\": (weight: 1e-4)",
        "\"hiden\": (weight: 1e-4)",
        &["hiden", "did you mean \"hidden\"", "tiny.ron:14:"],
    ),
    ("\"vit\"", "\"vti\"", &["unknown architecture `vti`", "did you mean `vit`", "tiny.ron:4:"]),
    ("Digits", "Digit", &["unknown variant `Digit`", "did you mean `Digits`"]),
    ("config: (", "preset: \"deit_tinny\", config: (", &["unknown preset `deit_tinny`"]),
    ("heads: 2", "heads: 3", &["3 heads do not divide a width of 16", "tiny.ron:4:"]),
    ("patch_size: 4", "patch_size: 3", &["patches of 3 do not divide images of 8 pixels"]),
    ("patch_size: 4", "patch_size: 4, image_size: 32", &["`image_size` is 32, but the data have 8"]),
    ("patch_size: 4", "patch_size: 4, classes: 7", &["`classes` is 7, but the data have 10"]),
    ("patch_size: 4", "patchsize: 4", &["unknown field `patchsize`", "did you mean `patch_size`"]),
    ("drop_path: 0.1", "drop_path: 1.0", &["`drop_path` must be a probability from 0 to below 1, not 1"]),
    ("dim: 16", "dim: 0", &["`dim` must be at least 1"]),
    ("mlp_ratio: 2", "mlp_ratio: -2", &["has no hidden units"]),
    ("\"hidden\": 0.5", "\"hidden\": 1.5", &["greater than 0 and at most 1", "tiny.ron:19:"]),
    ("\"hidden\": 0.5", "\"width\": 0.5", &["`width` is not searched", "tiny.ron:19:"]),
    ("\"hidden\": 0.5", "\"*.hidden\": 0.5", &["*.hidden"]),
    ("\"hidden\": (weight: 1e-4)", "\"hidden\": (weight: -1e-4)", &["at least 0"]),
    ("\"hidden\": (weight: 1e-4)", "\"hidden\": (weight: 1e-4, granularity: Group)", &["has only one group"]),
    (
        "\"hidden\": (weight: 1e-4)",
        "\"hidden\": (weight: 1), \"blocks.*.mlp.hidden\": (weight: 1)",
        &["blocks.0.mlp.hidden"],
    ),
    ("Cosine(warmup_epochs: 1)", "Cosine(warmup_epochs: 3)", &["warm-up takes 3 epochs"]),
    (
        "seed: 3,",
        "seed: 3, precision: bf16,",
        &["unknown variant `bf16`", "did you mean `Bf16`", "tiny.ron:3:"],
    ),
    (
        "epochs: 2, batch: 128",
        "epochs: 2, batch: 1098",
        &["a batch of 1098 images is larger than the training split, which has 1097", "tiny.ron:6:"],
    ),
    ("lr: 2e-3", "lr: Sweep([])", &["this sweep is empty"]),
];

#[test]
fn broken_experiments_are_refused_with_place_and_right_name() {
    let workspace = Workspace::new();
    let mut unsaid = Vec::new();
    for (right, wrong, expected) in BROKEN {
        assert!(TINY.contains(right), "{right}");
        let file = workspace.write("tiny.ron", &TINY.replacen(right, wrong, 1));
        let output = workspace.vitslim(&["run", file.to_str().unwrap()]);
        let printed = said(&output);
        assert_eq!(output.status.code(), Some(1), "{wrong}: {printed}");
        for expected in expected.iter().filter(|expected| !printed.contains(**expected)) {
            unsaid.push(format!("`{wrong}` does not say `{expected}` but: {printed}"));
        }
        assert!(!printed.contains("panicked"), "{printed}");
        assert!(!workspace.path("runs").exists(), "{wrong}: something was written");
    }
    assert!(unsaid.is_empty(), "{}", unsaid.join("\n\n"));
}

#[test]
fn files_that_are_no_experiments() {
    let workspace = Workspace::new();
    workspace.write("empty.ron", "\n");
    std::fs::write(workspace.path("binary.ron"), [0x7f, b'E', 0xff, 0x00]).unwrap();
    std::fs::create_dir(workspace.path("folder.ron")).unwrap();
    for (file, expected) in [
        ("missing.ron", "does not exist"),
        ("empty.ron", "is empty"),
        ("binary.ron", "is not a text file"),
        ("folder.ron", "is a folder"),
    ] {
        let output = workspace.vitslim(&["run", file]);
        let printed = said(&output);
        assert_eq!(output.status.code(), Some(1));
        assert!(printed.contains(expected) && printed.contains(file), "{file}: {printed}");
    }
}

#[test]
fn folders_that_cannot_be_used() {
    let workspace = Workspace::new();
    let file = workspace.write("tiny.ron", TINY);
    workspace.write("taken", "a file");
    let output = workspace.vitslim(&["run", file.to_str().unwrap(), "--out", "taken"]);
    let printed = said(&output);
    assert_eq!(output.status.code(), Some(1));
    assert!(printed.contains("taken/tiny/seed=3") && printed.contains("cannot"), "{printed}");

    std::fs::create_dir_all(workspace.path("runs/tiny/seed=3")).unwrap();
    workspace.write("runs/tiny/seed=3/experiment.ron", "Experiment(name: \"tiny\")");
    workspace.write("runs/tiny/seed=3/metrics.jsonl", "{}");
    let output = workspace.vitslim(&["run", file.to_str().unwrap()]);
    let printed = said(&output);
    assert_eq!(output.status.code(), Some(1));
    assert!(printed.contains("results of another experiment") && printed.contains("--out"), "{printed}");
}

#[test]
fn overrides_are_refused_at_the_argument() {
    let workspace = Workspace::new();
    let file = workspace.write("tiny.ron", TINY);
    for (set, expected) in [
        ("sead=1", "unknown field `sead`"),
        ("name=mine", "write `--set 'name=\"mine\"'`"),
        ("seed", "="),
        ("seed=-1", "seed"),
        ("search.dimensions.hidden.weight=-1", "at least 0"),
    ] {
        let output = workspace.vitslim(&["run", file.to_str().unwrap(), "--set", set]);
        let printed = said(&output);
        assert_eq!(output.status.code(), Some(1), "{set}");
        assert!(printed.contains(expected) && printed.contains("--set"), "{set}: {printed}");
    }
}
