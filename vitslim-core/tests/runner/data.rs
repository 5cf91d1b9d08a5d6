//! Runs on data that is read from files, and what is said of data that cannot be used.

use std::path::Path;
use std::process::Stdio;

use image::{Rgb, RgbImage};
use safetensors::SafeTensors;

use super::resume::{metrics, wait_for_epochs};
use super::workspace::{TINY, VITSLIM, Workspace, json, repeatable, said};

/// An image of a class: a bright bar that lies where the class says.
fn bar(class: u8, image: u8, size: u8) -> RgbImage {
    let lit = |y: u32| y as u8 / (size / 2) == class;
    let shade = |lit: bool| if lit { 200 + image % 50 } else { image % 40 };
    RgbImage::from_fn(size.into(), size.into(), |_, y| Rgb([shade(lit(y)), 30, shade(!lit(y))]))
}

pub fn write_idx(folder: &Path, part: &str, images: u8) {
    let gray = |image: u8| {
        let colored = bar(image % 2, image, 8);
        colored.pixels().map(|pixel| pixel.0[0]).collect::<Vec<_>>()
    };
    let header = [0, 0, 8, 3, 0, 0, 0, images, 0, 0, 0, 8, 0, 0, 0, 8];
    let pixels: Vec<u8> = header.into_iter().chain((0..images).flat_map(gray)).collect();
    let labels: Vec<u8> =
        [0, 0, 8, 1, 0, 0, 0, images].into_iter().chain((0..images).map(|image| image % 2)).collect();
    std::fs::write(folder.join(format!("{part}-images-idx3-ubyte")), pixels).unwrap();
    std::fs::write(folder.join(format!("{part}-labels-idx1-ubyte")), labels).unwrap();
}

pub fn write_folder(folder: &Path, part: &str, images: u8, extension: &str) {
    for (class, name) in [(0, "up"), (1, "down")] {
        let folder = folder.join(part).join(name);
        std::fs::create_dir_all(&folder).unwrap();
        for image in 0..images {
            bar(class, image, 12).save(folder.join(format!("{image}.{extension}"))).unwrap();
        }
    }
}

/// Small data of both kinds.
pub fn write_idx_and_folder(folder: &Path) {
    write_idx(folder, "train", 80);
    write_idx(folder, "t10k", 20);
    write_folder(folder, "train", 20, "png");
    write_folder(folder, "val", 5, "png");
}

pub const SHORT: [&str; 6] =
    ["--set", "pretrain.epochs=1", "--set", "search.epochs=1", "--set", "pretrain.batch=31"];

#[test]
fn idx_files_run_to_the_end() {
    let workspace = Workspace::new();
    write_idx(&workspace.path(""), "train", 80);
    write_idx(&workspace.path(""), "t10k", 20);
    let data = "Idx(path: \".\", classes: 2, augment: (crop_padding: 1, flip: true))";
    let file = workspace.write("idx.ron", &TINY.replace("Digits", data).replace("batch: 128", "batch: 16"));
    let args = [&SHORT[..], &["--set", "pretrain.schedule=Constant"]].concat();
    let summary = workspace.run(&file, &args);
    assert!(summary["dense"]["top1"].is_number() && summary["subnets"][1]["top1_retrained"].is_number());

    let resolved = workspace.path("runs/tiny/seed=3/experiment.ron");
    let text = std::fs::read_to_string(&resolved).unwrap();
    assert!(text.contains("held_out: 0.1") && text.contains("crop_padding: 1"), "{text}");
    let again = workspace.run(&resolved, &["--out", "again"]);
    assert_eq!(again["dense"], summary["dense"]);
}

#[test]
fn a_folder_of_images_runs_to_the_end() {
    let workspace = Workspace::new();
    write_folder(&workspace.path(""), "train", 20, "png");
    write_folder(&workspace.path(""), "val", 5, "JPEG");
    workspace.write("train/README.txt", "not an image");
    let data = "ImageFolder(path: \".\", image_size: 8, augment: (flip: true))";
    let file =
        workspace.write("folder.ron", &TINY.replace("Digits", data).replace("batch: 128", "batch: 16"));
    let args =
        [&SHORT[..], &["--set", "pretrain.schedule=Constant", "--set", "model.config.patch_size=4"]].concat();
    let summary = workspace.run(&file, &args);
    assert!(summary["dense"]["top1"].is_number() && summary["subnets"][1]["top1_retrained"].is_number());

    let all = [&["run", file.to_str().unwrap(), "--out", "again"], &args[..]].concat();
    let output = workspace.vitslim(&all);
    let printed = said(&output);
    assert!(printed.contains("`./train`: left out 1 file that is no image (README.txt)"), "{printed}");
}

/// Packs what [`write_folder`] wrote for a `part` into shards in `to`, with so many samples in each.
pub fn pack(folder: &Path, part: &str, to: &Path, in_a_shard: usize) {
    let mut samples = Vec::new();
    for (label, class) in ["down", "up"].into_iter().enumerate() {
        let images = std::fs::read_dir(folder.join(part).join(class)).unwrap();
        let mut images: Vec<_> = images.map(|image| image.unwrap().path()).collect();
        images.sort();
        samples.extend(images.into_iter().map(|image| (class, label, image)));
    }
    for (number, samples) in samples.chunks(in_a_shard).enumerate() {
        let shard = std::fs::File::create(to.join(format!("{part}-{number:02}.tar"))).unwrap();
        let mut shard = tar::Builder::new(shard);
        for (class, label, image) in samples {
            let key = format!("{class}/{}", image.file_stem().unwrap().to_str().unwrap());
            let bytes = std::fs::read(image).unwrap();
            let parts =
                [(format!("{key}.png"), bytes), (format!("{key}.cls"), label.to_string().into_bytes())];
            for (name, bytes) in parts {
                let mut header = tar::Header::new_gnu();
                header.set_mode(0o644);
                header.set_size(bytes.len() as u64);
                shard.append_data(&mut header, name, bytes.as_slice()).unwrap();
            }
        }
        shard.finish().unwrap();
    }
}

#[test]
fn shards_run_to_the_end_and_are_known_wherever_they_lie_and_however_they_are_packed() {
    let workspace = Workspace::new();
    write_folder(&workspace.path(""), "train", 20, "png");
    write_folder(&workspace.path(""), "val", 5, "png");
    for (folder, in_a_shard) in [("shards", 7), ("again", 100)] {
        std::fs::create_dir(workspace.path(folder)).unwrap();
        for part in ["train", "val"] {
            pack(&workspace.path(""), part, &workspace.path(folder), in_a_shard);
        }
    }
    let data = "Shards(path: \"shards\", train: \"train-{00..05}.tar\", classes: [\"down\", \"up\"], image_size: 8, \
                augment: (flip: true))";
    let file =
        workspace.write("shards.ron", &TINY.replace("Digits", data).replace("batch: 128", "batch: 16"));
    let file = file.to_str().unwrap();
    let args =
        [&SHORT[..], &["--set", "pretrain.schedule=Constant", "--set", "model.config.patch_size=4"]].concat();
    let summary = workspace.run(Path::new(file), &args);
    assert!(summary["dense"]["top1"].is_number() && summary["subnets"][1]["top1_retrained"].is_number());
    let record = json(&workspace.path("runs/tiny/seed=3/data.json"));
    assert_eq!(record["classes"], serde_json::json!(["down", "up"]));

    // Killed in its second epoch, it goes on to the same end, with another number of threads.
    let stopped = ["run", file, "--out", "stopped", "--set", "pretrain.epochs=3"];
    let whole = ["run", file, "--out", "whole", "--set", "pretrain.epochs=3", "--loader-threads", "0"];
    let args_without_epochs = &args[2..];
    assert!(workspace.vitslim(&[&whole[..], args_without_epochs].concat()).status.success());
    let mut child = workspace.command(VITSLIM, &[&stopped[..], args_without_epochs].concat());
    let mut child = child.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for_epochs(&workspace.path("stopped/tiny/seed=3"), 1, &mut child);
    child.kill().unwrap();
    child.wait().unwrap();
    let threads = ["--loader-threads", "3"];
    let gone_on = workspace.vitslim(&[&stopped[..], args_without_epochs, &threads].concat());
    assert!(gone_on.status.success(), "{}", said(&gone_on));
    let [stopped, whole] = ["stopped", "whole"].map(|out| metrics(&workspace.path(out).join("tiny/seed=3")));
    assert_eq!(stopped, whole);

    // The same images in other shards are the same data: the run is complete.
    std::fs::remove_dir_all(workspace.path("shards")).unwrap();
    let moved = ["--set", "data.path=\"again\"", "--set", "data.train=\"train-*.tar\""];
    let output = workspace.vitslim(&[&["run", file], &args[..], &moved].concat());
    let printed = said(&output);
    assert!(output.status.success() && printed.contains("this run is complete"), "{printed}");

    let evaluated = workspace.vitslim(&["eval", "runs/tiny/seed=3", "--data", "again", "--json"]);
    let evaluated: serde_json::Value = serde_json::from_slice(&evaluated.stdout).unwrap();
    assert_eq!((&evaluated["images"], &evaluated["top1"]), (&10.into(), &summary["dense"]["top1"]));

    let checked = workspace.vitslim(&[&["check", file, "--images"], &moved[..]].concat());
    assert!(checked.status.success(), "{}", said(&checked));
    std::fs::write(workspace.path("again/train-00.tar"), "no tar").unwrap();
    let checked = workspace.vitslim(&[&["check", file], &moved[..]].concat());
    assert!(said(&checked).contains("`again/train-00.tar` is no tar file"), "{}", said(&checked));
}

#[test]
fn a_file_of_classes_is_no_part_of_the_identity() {
    let workspace = Workspace::new();
    write_folder(&workspace.path(""), "train", 20, "png");
    write_folder(&workspace.path(""), "val", 5, "png");
    let data = "ImageFolder(path: \".\", image_size: 8, classes: \"classes.txt\")";
    let file =
        workspace.write("folder.ron", &TINY.replace("Digits", data).replace("batch: 128", "batch: 16"));
    let file = file.to_str().unwrap();
    workspace.write("classes.txt", "up\ndown\n");
    let args = [&SHORT[..], &["--set", "pretrain.schedule=Constant"]].concat();
    workspace.run(Path::new(file), &args);
    workspace.write("classes.json", "{\"up\": 0, \"down\": 1}");
    for classes in ["\"classes.json\"", "[\"up\", \"down\"]"] {
        let classes = format!("data.classes={classes}");
        let output = workspace.vitslim(&[&["run", file, "--set", &classes], &args[..]].concat());
        assert!(said(&output).contains("this run is complete"), "{}", said(&output));
    }
    // The experiment that the run wrote down reads back.
    let resolved = workspace.path("runs/tiny/seed=3/experiment.ron");
    let checked = workspace.vitslim(&["check", resolved.to_str().unwrap()]);
    assert!(checked.status.success(), "{}", said(&checked));
    workspace.write("classes.txt", "down\nup\n");
    let output = workspace.vitslim(&[&["run", file], &args[..]].concat());
    let printed = said(&output);
    assert!(!output.status.success() && printed.contains("class 0 was `up`, is now `down`"), "{printed}");

    // To evaluate, the run knows the names itself.
    std::fs::remove_file(workspace.path("classes.txt")).unwrap();
    for args in [&[][..], &["--split", "held_out"], &["--data", "."]] {
        let output = workspace.vitslim(&[&["eval", "runs/tiny/seed=3"], args].concat());
        assert!(output.status.success(), "{args:?}: {}", said(&output));
    }
}

#[test]
fn a_run_that_meets_a_damaged_image_goes_on_if_it_may_leave_it_out() {
    let workspace = Workspace::new();
    write_folder(&workspace.path(""), "train", 20, "png");
    write_folder(&workspace.path(""), "val", 5, "png");
    workspace.write("val/up/3.png", "no image");
    let data = "ImageFolder(path: \".\", image_size: 8)";
    let file =
        workspace.write("folder.ron", &TINY.replace("Digits", data).replace("batch: 128", "batch: 16"));
    let file = file.to_str().unwrap();
    let args =
        [&SHORT[..], &["--set", "pretrain.schedule=Constant", "--set", "model.config.patch_size=4"]].concat();
    let named = "`./val/up/3.png` is no JPEG, PNG or WebP image";

    let checked = workspace.vitslim(&["check", file]);
    assert!(checked.status.success(), "{}", said(&checked));
    let checked = workspace.vitslim(&["check", file, "--images"]);
    assert_eq!(checked.status.code(), Some(1));
    assert!(said(&checked).contains(named), "{}", said(&checked));
    let note = "images that cannot be read and are left out: 1 (`./val/up/3.png`";
    let checked = workspace.vitslim(&["check", file, "--images", "--set", "data.skip_at_most=1"]);
    let printed = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(checked.status.success() && printed.contains(note), "{printed}{}", said(&checked));

    let stopped = workspace.vitslim(&[&["run", file], &args[..]].concat());
    assert_eq!(stopped.status.code(), Some(1));
    for expected in [named, "`skip_at_most: 1` (it is 0)"] {
        assert!(said(&stopped).contains(expected), "{}", said(&stopped));
    }
    let before = metrics(&workspace.path("runs/tiny/seed=3"));
    assert!(!before.is_empty());
    let args = [&args[..], &["--set", "data.skip_at_most=1"]].concat();
    let gone_on = workspace.vitslim(&[&["run", file], &args[..]].concat());
    let printed = said(&gone_on);
    assert!(gone_on.status.success(), "{printed}");
    assert_eq!(printed.matches("val/up/3.png").count(), 1, "{printed}");
    assert!(printed.contains("pretrain: complete, 1 epoch"), "{printed}");
    let after = metrics(&workspace.path("runs/tiny/seed=3"));
    assert_eq!(after[..before.len()], before);

    let whole = workspace.run(Path::new(file), &[&args[..], &["--out", "again"]].concat());
    assert_eq!(metrics(&workspace.path("again/tiny/seed=3")), after);
    let found = repeatable(json(&workspace.path("runs/tiny/seed=3/summary.json")));
    assert_eq!(found, repeatable(whole));
    let evaluated = workspace.vitslim(&["eval", "runs/tiny/seed=3", "--json"]);
    let evaluated: serde_json::Value = serde_json::from_slice(&evaluated.stdout).unwrap();
    assert_eq!(evaluated["images"], 9);
    assert_eq!(evaluated["top1"], found["dense"]["top1"]);
}

#[test]
fn the_last_batch_of_a_split_may_have_no_image_that_can_be_read() {
    let workspace = Workspace::new();
    write_folder(&workspace.path(""), "train", 20, "png");
    write_folder(&workspace.path(""), "val", 65, "png");
    // One more than are evaluated at once.
    std::fs::remove_file(workspace.path("val/up/0.png")).unwrap();
    workspace.write("val/up/9.png", "no image");
    let data = "ImageFolder(path: \".\", image_size: 8, skip_at_most: 5)";
    let file =
        workspace.write("folder.ron", &TINY.replace("Digits", data).replace("batch: 128", "batch: 16"));
    let args = [&SHORT[..], &["--set", "pretrain.schedule=Constant"]].concat();
    let summary = workspace.run(&file, &args);
    let evaluated = workspace.vitslim(&["eval", "runs/tiny/seed=3", "--json"]);
    let evaluated: serde_json::Value = serde_json::from_slice(&evaluated.stdout).unwrap();
    assert_eq!(evaluated["images"], 128);
    assert_eq!(evaluated["top1"], summary["dense"]["top1"]);

    // A sweep over models decodes the images once.
    let depth = ["--set", "model.config.depth=Sweep([1, 2])"];
    let checked = workspace.vitslim(&[&["check", file.to_str().unwrap(), "--images"], &depth[..]].concat());
    let printed = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(checked.status.success() && printed.contains("2 models"), "{printed}{}", said(&checked));
    assert_eq!(printed.matches("images that cannot be read").count(), 1, "{printed}");
}

/// All tensors of a file, by name.
fn tensors(file: &Path) -> Vec<(String, Vec<u8>)> {
    let bytes = std::fs::read(file).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let mut tensors: Vec<_> =
        tensors.tensors().into_iter().map(|(name, tensor)| (name, tensor.data().to_vec())).collect();
    tensors.sort();
    tensors
}

#[test]
fn the_number_of_loader_threads_changes_nothing() {
    let workspace = Workspace::new();
    write_idx_and_folder(&workspace.path(""));
    for (name, data) in [
        ("idx", "Idx(path: \".\", classes: 2, augment: (crop_padding: 1, flip: true))"),
        ("folder", "ImageFolder(path: \".\", image_size: 8, augment: (crop_padding: 2, flip: true))"),
    ] {
        // Several batches an epoch, and more threads than that in the folder's case.
        let text = TINY.replace("Digits", data).replace("batch: 128", "batch: 16");
        let file = workspace.write("threads.ron", &text);
        let end = |threads: &str| {
            let out = format!("{name}-{threads}");
            let summary = workspace.run(&file, &["--loader-threads", threads, "--out", &out]);
            let folder = workspace.path(&out).join("tiny/seed=3");
            let subnets = ["share-0.5-0.5-0.7", "share-0.1"]
                .map(|label| tensors(&folder.join("subnets").join(label).join("model.safetensors")));
            (repeatable(summary), metrics(&folder), subnets, tensors(&folder.join("masks.safetensors")))
        };
        let none = end("0");
        assert!(none.2.iter().all(|tensors| tensors.len() > 10));
        for threads in ["1", "2", "5"] {
            assert!(end(threads) == none, "{name}: {threads} threads give other results than none");
        }
    }
    let output = workspace.vitslim(&["run", "threads.ron", "--loader-threads", "many"]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
}

#[test]
fn data_that_cannot_be_used_is_refused_where_it_is_named() {
    let workspace = Workspace::new();
    std::fs::create_dir(workspace.path("idx")).unwrap();
    write_idx(&workspace.path("idx"), "train", 80);
    write_idx(&workspace.path("idx"), "t10k", 20);
    for (data, expected) in [
        ("Idx(path: \"nowhere\")", ["tiny.ron:5:21", "`nowhere` does not exist"]),
        ("Idx(path: \"idx\", classes: 1)", ["tiny.ron:5:21", "the label 1, but 1 class goes from 0 to 0"]),
        ("Idx(path: \"idx\", held_out: 1e-3)", ["tiny.ron:5:38", "`held_out` is 0.001, which leaves none"]),
        ("Idx(path: \"idx\", augment: (crop_padding: 8))", ["tiny.ron:5:52", "but the images have 8 pixels"]),
        (
            "Idx(path: \"idx\", classes: 2, normalise: ImageNet)",
            ["tiny.ron:5:51", "`normalise` has three channels, but the images have 1 channel"],
        ),
        (
            "Idx(path: \"idx\", classes: 2, normalise: Given(mean: [0.1, 0.2], std: [0.3]))",
            ["tiny.ron:5:63", "`normalise.mean` has 2 numbers, but the images have 1 channel"],
        ),
        (
            "Idx(path: \"idx\", classes: 2, normalise: Given(mean: [0.1], std: []))",
            ["tiny.ron:5:75", "`normalise.std` has 0 numbers, but the images have 1 channel"],
        ),
        ("Cifar100(path: \"idx\")", ["tiny.ron:5:26", "has no file `train.bin`"]),
        ("Random(images: 9)", ["tiny.ron:5:26", "`images` is 9, which leaves none to test"]),
        ("Random(images: 4294967295)", ["tiny.ron:5:26", "would take 646512.8 GB"]),
        ("ImageFolder(path: \"idx\")", ["tiny.ron:5:29", "`idx` has no folder `train`"]),
        (
            "ImageFolder(path: \"idx\", classes: \"no\")",
            ["tiny.ron:5:45", "leads to `no`, which cannot be read"],
        ),
        ("Shards(path: \"idx\")", ["tiny.ron:5:24", "`idx` has no file `train-*.tar`"]),
        (
            "Shards(path: \"idx\", train: \"a-{0..1}.tar\")",
            ["tiny.ron:5:38", "but `idx` has no `a-0.tar`: 2 of 2 missing"],
        ),
    ] {
        let file = workspace.write("tiny.ron", &TINY.replace("Digits", data));
        let output = workspace.vitslim(&["run", file.to_str().unwrap()]);
        let printed = said(&output);
        assert_eq!(output.status.code(), Some(1), "{data}: {printed}");
        for expected in expected {
            assert!(printed.contains(expected), "`{data}` does not say `{expected}` but: {printed}");
        }
        assert!(!workspace.path("runs").exists(), "{data}: something was written");
    }
}
