//! Runs with the recipes of DeiT: everything that they draw, on real images, and what is said of settings that cannot be.

use std::fs;

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
}
