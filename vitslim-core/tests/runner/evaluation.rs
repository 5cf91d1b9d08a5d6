//! `vitslim eval`: what is told of the networks of a run, and what cannot be.

use std::path::Path;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

use super::data::{SHORT, write_folder, write_idx};
use super::workspace::{TINY, Workspace, keeping_all, said};

const RUN: &str = "runs/tiny/seed=3";

#[track_caller]
fn evaluated(workspace: &Workspace, network: &str, args: &[&str]) -> Value {
    let output = workspace.vitslim(&[&["eval", network, "--json"], args].concat());
    assert!(output.status.success(), "{}", said(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[track_caller]
fn assert_refused(workspace: &Workspace, args: &[&str], expected: &[&str]) {
    let output = workspace.vitslim(&[&["eval"], args].concat());
    let printed = said(&output);
    assert_eq!(output.status.code(), Some(1), "{args:?}: {printed}");
    assert!(!printed.contains("panicked"), "{printed}");
    for expected in expected {
        assert!(printed.contains(expected), "{args:?} does not say `{expected}` but: {printed}");
    }
}

fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    change(&mut bytes);
    std::fs::write(path, bytes).unwrap();
}

/// The tensors of a safetensors file, which are f32, in f64.
fn in_f64(bytes: &[u8]) -> Vec<u8> {
    let tensors = SafeTensors::deserialize(bytes).unwrap();
    let wide = tensors.iter().map(|(name, tensor)| {
        let values = tensor.data().chunks(4).map(|v| f32::from_le_bytes([v[0], v[1], v[2], v[3]]));
        let values: Vec<u8> = values.flat_map(|value| f64::from(value).to_le_bytes()).collect();
        (name.to_owned(), tensor.shape().to_vec(), values)
    });
    let wide: Vec<_> = wide.collect();
    let views = wide
        .iter()
        .map(|(name, shape, values)| (name, TensorView::new(Dtype::F64, shape.clone(), values).unwrap()));
    safetensors::serialize(views, None).unwrap()
}

#[test]
fn every_network_of_a_run_is_evaluated_as_the_run_did_and_what_is_broken_is_refused() {
    let workspace = Workspace::new();
    let file = workspace.write("tiny.ron", &keeping_all(TINY));
    let summary = workspace.run(&file, &[]);
    let [first, second] = ["share-0.5-0.5-0.7", "share-0.1"];

    let dense = evaluated(&workspace, RUN, &[]);
    assert_eq!(dense["top1"], summary["dense"]["top1"]);
    assert_eq!((dense["network"].as_str(), dense["epoch"].as_u64()), (Some("dense"), Some(2)));
    assert_eq!(dense["images"], 500);
    let classes = dense["classes"].as_array().unwrap();
    let right = |class: &Value| class["images"].as_f64().unwrap() * class["top1"].as_f64().unwrap();
    let right: f64 = classes.iter().map(right).sum();
    assert!((right - dense["top1"].as_f64().unwrap() * 500.0).abs() < 1e-9, "{dense}");
    assert!(dense["top5"].as_f64().unwrap() > dense["top1"].as_f64().unwrap(), "{dense}");
    let validation = evaluated(&workspace, RUN, &["--split", "held_out"]);
    assert_eq!((&validation["images"], &validation["split"]), (&200.into(), &"held_out".into()));
    // The option's first name.
    assert_eq!(evaluated(&workspace, RUN, &["--part", "held_out"]), validation);

    for subnet in summary["subnets"].as_array().unwrap() {
        let label = subnet["label"].as_str().unwrap();
        for path in [format!("{RUN}/{label}"), format!("{RUN}/subnets/{label}/")] {
            let found = evaluated(&workspace, &path, &[]);
            assert_eq!(found["top1"], subnet["top1_retrained"], "{path}");
            assert_eq!(found["network"], label);
        }
    }
    // Weights that other tools saved, in numbers of another width.
    let saved = workspace.path(RUN).join("subnets").join(first).join("model.safetensors");
    let bytes = std::fs::read(&saved).unwrap();
    std::fs::write(&saved, in_f64(&bytes)).unwrap();
    let found = evaluated(&workspace, &format!("{RUN}/{first}"), &[]);
    assert_eq!(found["top1"], summary["subnets"][0]["top1_retrained"]);
    std::fs::write(&saved, bytes).unwrap();

    let output = workspace.vitslim(&["eval", &format!("{RUN}/{first}")]);
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    let top1 = format!("{:.4}", summary["subnets"][0]["top1_retrained"].as_f64().unwrap());
    let all = table.lines().find(|line| line.starts_with("all")).unwrap();
    assert!(all.split_whitespace().nth(2) == Some(&top1), "{table}");
    assert!(table.lines().count() > 11 && table.contains("the test split"), "{table}");

    let near = format!("{RUN}/share-0.2");
    assert_refused(&workspace, &[&near], &["no sub-network `share-0.2`", "did you mean `share-0.1`", first]);
    assert_refused(&workspace, &["runs/tiny/seed=4"], &["there is no folder `runs/tiny/seed=4`"]);
    assert_refused(&workspace, &["runs/tiny"], &["is not the folder of a run", "runs in it: seed=3"]);
    assert_refused(&workspace, &[RUN, "--data", "x"], &["this run's data, `Digits`, do not come from one"]);

    let subnets = workspace.path(RUN).join("subnets");
    let weights = |label: &str| subnets.join(label).join("model.safetensors");
    std::fs::copy(weights(first), subnets.join("kept")).unwrap();
    std::fs::copy(weights(second), weights(first)).unwrap();
    let unfit =
        ["does not fit the experiment", "`blocks.0.attn.proj.weight` is [16, 16] in the file and [16, "];
    let network = format!("{RUN}/{first}");
    assert_refused(&workspace, &[&network], &unfit);
    change(&weights(first), |bytes| bytes.truncate(1000));
    assert_refused(&workspace, &[&network], &["model.safetensors` is damaged"]);
    std::fs::remove_file(weights(first)).unwrap();
    assert_refused(&workspace, &[&network], &["this sub-network is not finished", "it resumes where"]);
    std::fs::copy(subnets.join("kept"), weights(first)).unwrap();

    let plan = subnets.join(first).join("plan.ron");
    let text = std::fs::read_to_string(&plan).unwrap();
    std::fs::write(&plan, text.replacen("blocks.1.mlp.hidden", "blocks.7.mlp.hidden", 1)).unwrap();
    let unknown = "the plan cuts `blocks.7.mlp.hidden`, which this model does not have";
    assert_refused(&workspace, &[&network], &["plan.ron` does not fit", unknown]);
    std::fs::write(&plan, &text[..text.len() / 2]).unwrap();
    assert_refused(&workspace, &[&network], &["plan.ron` is damaged"]);

    let checkpoint =
        |epoch: usize| workspace.path(RUN).join(format!("checkpoints/pretrain/model-{epoch}.ckpt"));
    change(&checkpoint(2), |bytes| bytes[100] ^= 1);
    assert_eq!(evaluated(&workspace, RUN, &[])["epoch"], 1);
    let told = said(&workspace.vitslim(&["eval", RUN]));
    assert!(told.contains("epoch 2 is damaged") && told.contains("after epoch 1 of 2"), "{told}");
    assert!(checkpoint(2).exists(), "a run's folder is only read");
    change(&checkpoint(1), |bytes| bytes.truncate(10));
    assert_refused(&workspace, &[RUN], &["no checkpoint in", "is good", "repairs"]);
    std::fs::remove_dir_all(workspace.path(RUN).join("checkpoints")).unwrap();
    assert_refused(&workspace, &[RUN], &["has not finished an epoch yet"]);
}

#[test]
fn other_data_are_normalised_as_those_of_the_training() {
    let workspace = Workspace::new();
    for folder in ["own", "other"] {
        std::fs::create_dir(workspace.path(folder)).unwrap();
        write_idx(&workspace.path(folder), "train", 80);
        write_idx(&workspace.path(folder), "t10k", 20);
    }
    let data = "Idx(path: \"own\", classes: 2)";
    let file = workspace.write("tiny.ron", &TINY.replace("Digits", data).replace("batch: 128", "batch: 16"));
    let args = [&SHORT[..], &["--set", "pretrain.schedule=Constant"]].concat();
    let summary = workspace.run(&file, &args);

    // Training images that would be normalised by something else altogether.
    change(&workspace.path("other/train-images-idx3-ubyte"), |bytes| {
        bytes[16..].iter_mut().for_each(|pixel| *pixel = 250 + *pixel % 5);
    });
    let own = evaluated(&workspace, RUN, &[]);
    assert_eq!(own["top1"], summary["dense"]["top1"]);
    assert!(own["top5"].is_null());
    let other = evaluated(&workspace, RUN, &["--data", "other"]);
    assert_eq!(other, own);
    // Fewer to train on than a batch of the training had.
    std::fs::create_dir(workspace.path("small")).unwrap();
    write_idx(&workspace.path("small"), "train", 10);
    write_idx(&workspace.path("small"), "t10k", 20);
    assert_eq!(evaluated(&workspace, RUN, &["--data", "small"]), own);

    assert_refused(&workspace, &[RUN, "--data", "nowhere"], &["--data:1:1: `nowhere` does not exist"]);
    std::fs::rename(workspace.path("own"), workspace.path("moved")).unwrap();
    assert_refused(&workspace, &[RUN], &["/own` does not exist"]);
    assert_eq!(evaluated(&workspace, RUN, &["--data", "moved"]), own);
}

#[test]
fn a_label_that_means_another_class_is_refused() {
    let workspace = Workspace::new();
    for folder in ["own", "other"] {
        write_folder(&workspace.path(folder), "train", 20, "png");
        write_folder(&workspace.path(folder), "val", 5, "png");
    }
    let file = workspace.write(
        "tiny.ron",
        &TINY
            .replace("Digits", "ImageFolder(path: \"own\", image_size: 8)")
            .replace("batch: 128", "batch: 16"),
    );
    let args =
        [&SHORT[..], &["--set", "pretrain.schedule=Constant", "--set", "model.config.patch_size=4"]].concat();
    workspace.run(&file, &args);
    let own = evaluated(&workspace, RUN, &[]);
    assert_eq!(own["classes"][1]["name"], "up");
    assert_eq!(evaluated(&workspace, RUN, &["--data", "other"]), own);

    for part in ["train", "val"] {
        let folder = workspace.path("other").join(part);
        std::fs::rename(folder.join("up"), folder.join("left")).unwrap();
    }
    let told = "the label 1 is `up` in the run's data, but `left` in those of `--data`";
    assert_refused(&workspace, &[RUN, "--data", "other"], &[told, "the same names"]);
    for part in ["train", "val"] {
        write_folder(&workspace.path("other"), part, 5, "png");
    }
    for part in ["train", "val"] {
        let folder = workspace.path("other").join(part);
        std::fs::rename(folder.join("left"), folder.join("zero")).unwrap();
    }
    let told = "the run's data have 2 classes, but those of `--data` have 3";
    assert_refused(&workspace, &[RUN, "--data", "other"], &[told, "that it was trained with"]);
}

/// Puts the images of `val` into no folders, and their classes into a file.
fn without_folders(folder: &Path) {
    let mut lines = "image,class\n".to_owned();
    for class in ["down", "up"] {
        for image in 0..5 {
            let name = format!("{class}_{image}");
            std::fs::rename(
                folder.join(format!("val/{class}/{image}.png")),
                folder.join(format!("val/{name}.png")),
            )
            .unwrap();
            lines += &format!("{name},{class}\n");
        }
        std::fs::remove_dir(folder.join("val").join(class)).unwrap();
    }
    std::fs::write(folder.join("labels.csv"), lines).unwrap();
}

#[test]
fn images_in_no_folders_are_evaluated_wherever_they_lie() {
    let workspace = Workspace::new();
    for folder in ["own", "other", "folders", "unlabelled"] {
        write_folder(&workspace.path(folder), "train", 20, "png");
        write_folder(&workspace.path(folder), "val", 5, "png");
    }
    ["own", "other", "unlabelled"].iter().for_each(|folder| without_folders(&workspace.path(folder)));
    let data = "ImageFolder(path: \"own\", labels: \"own/labels.csv\", image_size: 8)";
    let file = workspace.write("tiny.ron", &TINY.replace("Digits", data).replace("batch: 128", "batch: 16"));
    let args = [&SHORT[..], &["--set", "pretrain.schedule=Constant"]].concat();
    let summary = workspace.run(&file, &args);
    let exported = workspace.vitslim(&[
        "export",
        &format!("{RUN}/share-0.1"),
        "--to",
        "safetensors",
        "--out",
        "s.safetensors",
    ]);
    assert!(exported.status.success(), "{}", said(&exported));

    // The run knows the classes.
    for folder in ["own", "other", "folders", "unlabelled"] {
        std::fs::remove_dir_all(workspace.path(folder).join("train")).unwrap();
    }
    let own = evaluated(&workspace, RUN, &[]);
    assert_eq!((&own["images"], &own["top1"]), (&10.into(), &summary["dense"]["top1"]));
    std::fs::remove_file(workspace.path("unlabelled/labels.csv")).unwrap();
    let subnet = evaluated(&workspace, &format!("{RUN}/share-0.1"), &[]);
    for folder in ["other", "folders"] {
        assert_eq!(evaluated(&workspace, RUN, &["--data", folder]), own, "{folder}");
        let alone = evaluated(&workspace, "s.safetensors", &["--data", folder]);
        assert_eq!((&alone["top1"], &alone["classes"]), (&subnet["top1"], &subnet["classes"]), "{folder}");
    }
    for network in [RUN, "s.safetensors"] {
        let told = "leads to `unlabelled/labels.csv`, which cannot be read: No such file";
        assert_refused(&workspace, &[network, "--data", "unlabelled"], &[told]);
    }

    // What the system does not let us read is no change of the data.
    #[cfg(unix)]
    {
        let image = workspace.path("own/val/up_0.png");
        std::fs::remove_file(&image).unwrap();
        std::os::unix::fs::symlink("nowhere", &image).unwrap();
        assert_refused(&workspace, &[RUN], &["own/val/up_0.png` cannot be read: No such file"]);
    }
}

#[test]
fn without_pretraining_the_dense_network_is_as_initialised() {
    let workspace = Workspace::new();
    let file = workspace.write("tiny.ron", TINY);
    let sets = ["--set", "pretrain=None", "--set", "retrain=None", "--set", "search.epochs=1"];
    let summary = workspace.run(&file, &sets);
    let dense = evaluated(&workspace, RUN, &[]);
    assert_eq!(dense["top1"], summary["dense"]["top1"]);
    assert!(dense["epoch"].is_null());
    let subnet = evaluated(&workspace, &format!("{RUN}/share-0.1"), &[]);
    assert_eq!(subnet["top1"], summary["subnets"][1]["top1_sliced"]);
}
