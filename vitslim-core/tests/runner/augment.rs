//! Runs with the recipes of DeiT: everything that they draw, on real images, and what is said of settings that cannot be.

use std::fs;

use serde_json::Value;

use super::data::{write_idx, write_idx_and_folder};
use super::resume::metrics;
use super::workspace::{TINY, Workspace, keeping_all, repeatable, said};

/// `data`, in small batches: an odd number of images, so that one of each batch is mixed with itself.
fn experiment(data: &str) -> String {
    keeping_all(TINY).replace("Digits", data).replace("batch: 128", "batch: 15").replace(
        "retrain: (epochs: 1,",
        "retrain: (epochs: 1, loss: BinaryCrossEntropy(threshold: 0), label_smoothing: 0,",
    )
}

#[test]
fn recipes_end_with_the_same_numbers_for_any_threads_and_after_an_interruption() {
    let workspace = Workspace::new();
    write_idx_and_folder(&workspace.path(""));
    for (name, data) in [
        ("idx", "Idx(path: \".\", classes: 2, augment: DeiT(color_jitter: 0.3))"),
        ("folder", "ImageFolder(path: \".\", image_size: 8, augment: DeiT3(erasing: 0.5))"),
        ("simple", "ImageFolder(path: \".\", image_size: 8, augment: DeiT3(crop: Simple, mixup: 0))"),
    ] {
        let file = workspace.write("recipe.ron", &experiment(data));
        let run = |out: &str, threads: &str| {
            let summary = workspace.run(&file, &["--out", out, "--loader-threads", threads]);
            (repeatable(summary), metrics(&workspace.path(out).join("tiny/seed=3")))
        };
        let whole = run(name, "0");
        assert!(whole.0["dense"]["top1"].is_number() && whole.0["subnets"][1]["top1_retrained"].is_number());
        assert!(run(&format!("{name}-3"), "3") == whole, "{name}: three threads");

        // As if it had stopped in the second epoch of the search.
        let folder = workspace.path(name).join("tiny/seed=3");
        fs::remove_file(folder.join("summary.json")).unwrap();
        for made in ["checkpoints/retrain", "subnets"] {
            fs::remove_dir_all(folder.join(made)).unwrap();
        }
        fs::remove_file(folder.join("checkpoints/search/model-2.ckpt")).unwrap();
        assert!(run(name, "2") == whole, "{name}: resumed");
    }
}

#[test]
fn a_batch_of_any_size_is_mixed() {
    let workspace = Workspace::new();
    write_idx(&workspace.path(""), "train", 60);
    write_idx(&workspace.path(""), "t10k", 20);
    let data = "Idx(path: \".\", classes: 2, augment: (mixup: 0.8, cutmix: 1.0))";
    let file = workspace.write("odd.ron", &experiment(data));
    for batch in ["1", "31", "32", "54"] {
        let pretrain = format!("pretrain.batch={batch}");
        let summary =
            workspace.run(&file, &["--out", batch, "--set", &pretrain, "--set", "pretrain.accumulate=1"]);
        assert!(summary["dense"]["top1"].is_number(), "{batch}");
    }
}

#[test]
fn settings_that_cannot_be_are_told_where_they_stand() {
    let workspace = Workspace::new();
    write_idx(&workspace.path(""), "train", 40);
    write_idx(&workspace.path(""), "t10k", 20);
    let data = "Idx(path: \".\", classes: 2, augment: DeiT(erasing: 2))";
    workspace.write("wrong.ron", &experiment(data));
    let printed = said(&workspace.vitslim(&["check", "wrong.ron"]));
    assert!(printed.contains("`augment.erasing` must be at least 0 and at most 1, but is 2.0"), "{printed}");
    assert!(printed.contains("wrong.ron:6:"), "{printed}");
    for (set, told) in [
        ("data.augment=DeiT(repeats: 0)", "`augment.repeats` must be at least 1 and at most 100, but is 0.0"),
        ("retrain.augment=DeiT(mixup: 1000)", "`augment.mixup` must be 0, or at least 0.01 and at most 100"),
        ("search.augment=(crop_padding: 8)", "`augment.crop_padding` is 8, but the images have 8 pixels"),
        ("pretrain.augment=(repeats: -1)", "`repeats`: must not be negative, but is `-1`"),
    ] {
        let sets = ["--set", "data.augment=DeiT", "--set", set];
        let printed = said(&workspace.vitslim(&[&["check", "wrong.ron"], &sets[..]].concat()));
        assert!(printed.contains(told), "{set}: {printed}");
    }
}

#[test]
fn a_stage_has_an_augmentation_of_its_own() {
    let workspace = Workspace::new();
    write_idx_and_folder(&workspace.path(""));
    let data = "Idx(path: \".\", classes: 2, augment: DeiT(crop: None))";
    let file = workspace.write("own.ron", &experiment(data));
    let run = |out: &str, sets: &[&str]| {
        workspace.run(&file, &[&["--out", out], sets].concat());
        let lines = metrics(&workspace.path(out).join("tiny/seed=3"));
        let of = |stage: &str| -> Vec<Value> {
            lines.iter().filter(|line| line["stage"] == stage).cloned().collect()
        };
        ["pretrain", "search", "retrain"].map(of)
    };
    let [pretrain, search, retrain] = run("data", &[]);
    let none = run("none", &["--set", "search.augment=()"]);
    assert!(none[0] == pretrain && none[1] != search, "the search alone trains on other images");
    let last = run("last", &["--set", "retrain.augment=DeiT3"]);
    assert!(last[..2] == [pretrain.clone(), search.clone()] && last[2] != retrain);
    let same = run("same", &["--set", "search.augment=DeiT(crop: None)"]);
    assert!(same == [pretrain, search, retrain], "what the data say, written in the stage");

    let identities = |set: &str| -> Vec<Value> {
        let output = workspace.vitslim(&["plan", "own.ron", "--no-times", "--json", "--set", set]);
        let plan: Value = serde_json::from_slice(&output.stdout).unwrap();
        let stages = plan["trials"][0]["stages"].as_array().unwrap();
        stages.iter().map(|stage| stage["identity"].clone()).collect()
    };
    let (as_is, searched, retrained) =
        (identities("seed=3"), identities("search.augment=()"), identities("retrain.augment=()"));
    assert!(as_is[0] == searched[0] && as_is[1] != searched[1] && as_is[2] != searched[2]);
    assert!(as_is[..2] == retrained[..2] && as_is[2] != retrained[2]);
}
