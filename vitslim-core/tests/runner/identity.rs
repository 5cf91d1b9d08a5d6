//! A run knows what it was trained on: it goes on with the same data wherever they lie, and with no other.

use std::fs;
use std::path::Path;

use image::{Rgb, RgbImage};
use serde_json::Value;

use super::data::SHORT;
use super::resume::metrics;
use super::workspace::{TINY, VITSLIM, Workspace, json, repeatable, said};

const RUN: &str = "runs/tiny/seed=3";

const SPLITS: [&str; 3] = ["train", "val", "test"];

/// Writes three classes of plain colours.
fn write_colours(folder: &Path) {
    for (split, images) in SPLITS.into_iter().zip([12, 4, 4]) {
        for (class, name) in ["a", "b", "c"].into_iter().enumerate() {
            let folder = folder.join(split).join(name);
            fs::create_dir_all(&folder).unwrap();
            for image in 0..images {
                let mut colour = [20 + image; 3];
                colour[class] += 200;
                RgbImage::from_pixel(8, 8, Rgb(colour)).save(folder.join(format!("{image}.png"))).unwrap();
            }
        }
    }
}

/// A workspace with colours in `imgs`, and an experiment that reads them there.
pub fn with_colours() -> Workspace {
    let workspace = Workspace::new();
    write_colours(&workspace.path("imgs"));
    let text = TINY.replace("Digits", "ImageFolder(path: \"imgs\", image_size: 8)");
    workspace.write("tiny.ron", &text.replace("batch: 128", "batch: 12"));
    workspace
}

/// The arguments of a short run.
pub fn short<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let batch = ["--set", "pretrain.schedule=Constant", "--set", "pretrain.batch=12"];
    [&["run", "tiny.ron"], &SHORT[..4], &batch, more].concat()
}

#[track_caller]
fn succeeds(workspace: &Workspace, args: &[&str]) -> String {
    let output = workspace.vitslim(args);
    assert!(output.status.success(), "{args:?}: {}", said(&output));
    said(&output)
}

#[track_caller]
fn refused(workspace: &Workspace, args: &[&str], expected: &[&str]) {
    let output = workspace.vitslim(args);
    let printed = said(&output);
    assert_eq!(output.status.code(), Some(1), "{args:?}: {printed}");
    for expected in expected {
        assert!(printed.contains(expected), "{args:?} does not say `{expected}` but: {printed}");
    }
}

#[track_caller]
fn evaluated(workspace: &Workspace, args: &[&str]) -> Value {
    let output = workspace.vitslim(&[&["eval", RUN, "--json"], args].concat());
    assert!(output.status.success(), "{}", said(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn swap(folder: &Path, one: &str, other: &str) {
    fs::rename(folder.join(one), folder.join("aside")).unwrap();
    fs::rename(folder.join(other), folder.join(one)).unwrap();
    fs::rename(folder.join("aside"), folder.join(other)).unwrap();
}

/// Every file below `folder` with its content, but for the lock.
pub fn files(folder: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let entries = walkdir::WalkDir::new(folder).sort_by_file_name().into_iter();
    let paths = entries.map(|entry| entry.unwrap().into_path());
    let files = paths.filter(|path| path.is_file() && path.file_name().is_some_and(|name| name != "lock"));
    files.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

#[test]
fn classes_that_were_renamed_or_exchanged_are_refused_by_name_and_nothing_is_lost() {
    let workspace = with_colours();
    succeeds(&workspace, &short(&[]));
    let own = evaluated(&workspace, &[]);
    let recorded = json(&workspace.path(RUN).join("data.json"));
    assert_eq!(recorded["classes"], serde_json::json!(["a", "b", "c"]));
    assert_eq!(recorded["version"], env!("CARGO_PKG_VERSION"));
    let images = ["train", "held_out", "test"].map(|split| recorded[split]["images"].as_u64().unwrap());
    assert_eq!(images, [36, 12, 12]);
    let checked = workspace.vitslim(&["check", "tiny.ron", "--json"]);
    let checked: Value = serde_json::from_slice(&checked.stdout).unwrap();
    assert_eq!(checked["data"]["class_names"], recorded["classes"]);
    assert_eq!(checked["data"]["sha256"]["train"], recorded["train"]["sha256"]);
    write_colours(&workspace.path("copy"));
    let before = files(&workspace.path(RUN));

    for split in SPLITS {
        let folder = workspace.path("imgs").join(split);
        fs::rename(folder.join("a"), folder.join("z")).unwrap();
    }
    let renamed = ["class 0 was `a`, is now `b`"];
    refused(&workspace, &["eval", RUN], &renamed);
    refused(&workspace, &["bench", RUN, "--rounds", "1"], &renamed);
    let told = [renamed[0], "`--fresh`, which discards 4 epochs, ", "and 2 sub-networks"];
    refused(&workspace, &short(&[]), &told);
    refused(&workspace, &short(&["--set", "seed=Sweep([3, 4])"]), &told);
    assert_eq!(evaluated(&workspace, &["--data", "copy"]), own);
    // The same images under the same names, in another place.
    let moved = ["--set", "data.path=\"copy\""];
    let told = succeeds(&workspace, &[&short(&moved)[..], &["--set", "seed=Sweep([3])"]].concat());
    assert!(told.contains("1 of 1 trials are complete"), "{told}");
    succeeds(&workspace, &short(&moved));
    assert_eq!(evaluated(&workspace, &[]), own);

    for split in SPLITS {
        let folder = workspace.path("imgs").join(split);
        fs::rename(folder.join("z"), folder.join("a")).unwrap();
    }
    succeeds(&workspace, &short(&[]));
    assert_eq!(files(&workspace.path(RUN)), before);
    for split in SPLITS {
        swap(&workspace.path("imgs").join(split), "a", "b");
    }
    fs::remove_file(workspace.path(RUN).join("summary.json")).unwrap();
    let before = files(&workspace.path(RUN));
    let exchanged = ["the images of the training split, or their labels, have changed"];
    refused(&workspace, &short(&[]), &exchanged);
    refused(&workspace, &["eval", RUN], &["the images of the test split, or their labels, have changed"]);
    assert_eq!(files(&workspace.path(RUN)), before);
    succeeds(&workspace, &short(&["--fresh"]));
}

#[test]
fn other_data_need_nothing_of_those_of_the_run() {
    let workspace = with_colours();
    succeeds(&workspace, &short(&["--set", "pretrain.epochs=15"]));
    let own = evaluated(&workspace, &[]);
    assert_eq!(own["top1"], 1.0);
    // Training images after which every image would be red.
    write_colours(&workspace.path("blue"));
    for entry in walkdir::WalkDir::new(workspace.path("blue/train")) {
        let path = entry.unwrap().into_path();
        if path.is_file() {
            let shade = path.file_stem().unwrap().len() as u8;
            RgbImage::from_pixel(8, 8, Rgb([10 + shade, 250 + shade, 250 + shade])).save(path).unwrap();
        }
    }
    assert_eq!(evaluated(&workspace, &["--data", "blue"]), own);
    fs::remove_dir_all(workspace.path("blue/train")).unwrap();
    assert_eq!(evaluated(&workspace, &["--data", "blue"]), own);
    let of_val = evaluated(&workspace, &["--data", "blue", "--split", "held_out"]);
    assert_eq!((&of_val["top1"], &of_val["split"]), (&own["top1"], &"held_out".into()));
    fs::rename(workspace.path("imgs/train"), workspace.path("train")).unwrap();
    assert_eq!(evaluated(&workspace, &[]), own);
    fs::rename(workspace.path("train"), workspace.path("imgs/train")).unwrap();
    fs::rename(workspace.path("imgs"), workspace.path("moved")).unwrap();
    assert_eq!(evaluated(&workspace, &["--data", "moved"]), own);
    refused(&workspace, &["eval", RUN], &["imgs` does not exist"]);
    // A folder that lacks a class of the network's.
    fs::remove_dir_all(workspace.path("moved/test/a")).unwrap();
    let lacking = evaluated(&workspace, &["--data", "moved"]);
    assert_eq!((&lacking["top1"], &lacking["images"]), (&1.0.into(), &8.into()));
    assert_eq!((&lacking["classes"][0]["images"], &lacking["classes"][1]), (&0.into(), &own["classes"][1]));
    write_colours(&workspace.path("moved"));
    fs::remove_file(workspace.path(RUN).join("data.json")).unwrap();
    // As an earlier version would have left it.
    refused(
        &workspace,
        &["eval", RUN, "--data", "moved"],
        &["normalised like the run's own data, which cannot"],
    );
    fs::rename(workspace.path("moved"), workspace.path("imgs")).unwrap();
    assert_eq!(evaluated(&workspace, &[]), own);
    let image = workspace.path("imgs/train/a/0.png");
    let before = fs::read(&image).unwrap();
    RgbImage::from_pixel(8, 8, Rgb([255; 3])).save(&image).unwrap();
    refused(&workspace, &["eval", RUN], &["their normalisation is not that of"]);
    fs::write(&image, before).unwrap();

    // It read colours and crops a little otherwise, and the network takes images as it was trained to.
    let run = workspace.path(RUN);
    let mut recorded = json(&run.join("normalisation.json"));
    recorded["mean"][0] = (recorded["mean"][0].as_f64().unwrap() + 0.005).into();
    fs::write(run.join("normalisation.json"), recorded.to_string()).unwrap();
    assert_eq!(evaluated(&workspace, &["--data", "imgs"]), evaluated(&workspace, &[]));
    for lost in ["summary.json", "subnets/share-0.1/result.json"] {
        fs::remove_file(run.join(lost)).unwrap();
    }
    succeeds(&workspace, &short(&["--set", "pretrain.epochs=15"]));
    let images = json(&run.join("subnets/share-0.1/network.json"))["images"]["mean"][0].as_f64().unwrap();
    assert!((images - recorded["mean"][0].as_f64().unwrap()).abs() < 1e-6);
    evaluated(&workspace, &[]);
}

#[test]
fn data_that_an_earlier_version_did_not_record_are_those_of_their_path() {
    let workspace = with_colours();
    succeeds(&workspace, &short(&[]));
    let run = workspace.path(RUN);
    let experiment = fs::read_to_string(run.join("experiment.ron")).unwrap();
    let relative = experiment.replace(workspace.path("imgs").to_str().unwrap(), "imgs");
    assert_ne!(relative, experiment);
    fs::write(run.join("experiment.ron"), relative).unwrap();
    fs::remove_file(run.join("data.json")).unwrap();
    write_colours(&workspace.path("copy"));
    let elsewhere = ["--set", "data.path=\"copy\""];
    let told = ["holds the results of another experiment", "/imgs\"", "/copy\""];
    refused(&workspace, &short(&elsewhere), &told);
    refused(&workspace, &[&short(&elsewhere)[..], &["--set", "seed=Sweep([3])"]].concat(), &told);
    succeeds(&workspace, &short(&["--set", "seed=Sweep([3])"]));
    let told = succeeds(&workspace, &short(&[]));
    assert!(told.contains("this run is complete"), "{told}");
}

#[test]
fn a_run_reads_its_own_data_from_whichever_folder_a_command_is_given() {
    let workspace = with_colours();
    succeeds(&workspace, &short(&[]));
    let own = evaluated(&workspace, &[]);
    let elsewhere = workspace.path("elsewhere");
    write_colours(&elsewhere.join("imgs"));
    swap(&elsewhere.join("imgs/test"), "a", "b");
    let run = workspace.path(RUN);
    let mut command = workspace.command(VITSLIM, &["eval", run.to_str().unwrap(), "--json"]);
    let output = command.current_dir(&elsewhere).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(serde_json::from_slice::<Value>(&output.stdout).unwrap(), own);
}

#[test]
fn a_changed_test_image_is_measured_again_and_nothing_is_trained_again() {
    let workspace = with_colours();
    succeeds(&workspace, &short(&[]));
    let run = workspace.path(RUN);
    let summary = json(&run.join("summary.json"));
    let before = metrics(&run);
    let image = workspace.path("imgs/test/a/0.png");
    // The same image at another time is the same, and so is the order of the classes that is written out.
    let bytes = fs::read(&image).unwrap();
    fs::write(&image, bytes).unwrap();
    let told = succeeds(&workspace, &short(&["--set", "data.classes=[\"a\", \"b\", \"c\"]"]));
    assert!(told.contains("this run is complete"), "{told}");

    for image in 0..4 {
        RgbImage::from_pixel(8, 8, Rgb([0, 0, 255]))
            .save(workspace.path(&format!("imgs/test/a/{image}.png")))
            .unwrap();
    }
    let told = succeeds(&workspace, &short(&[]));
    assert!(told.contains("the test split has changed since this run began"), "{told}");
    assert_eq!(metrics(&run), before);
    let measured = json(&run.join("summary.json"));
    assert_eq!(measured["seconds"], summary["seconds"], "nothing was trained");
    assert_eq!(evaluated(&workspace, &[])["top1"], measured["dense"]["top1"]);

    // Results that cannot be measured again stay.
    fs::remove_dir_all(run.join("checkpoints/retrain/share-0.1")).unwrap();
    RgbImage::from_pixel(8, 8, Rgb([9; 3])).save(&image).unwrap();
    let left = files(&run);
    refused(&workspace, &short(&[]), &["the test split, which has changed, cannot be measured again"]);
    assert_eq!(files(&run), left);
}

#[test]
fn files_of_a_complete_run_that_are_gone_are_made_again_and_the_others_stay() {
    let workspace = Workspace::new();
    let file = workspace.write("tiny.ron", TINY);
    let summary = workspace.run(&file, &[]);
    let run = workspace.path(RUN);
    let before = metrics(&run);
    let weights = |label: &str| run.join("subnets").join(label).join("model.safetensors");
    let state = || {
        let listed = workspace.vitslim(&["ls", "--json"]);
        let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
        listed["runs"][0]["state"].as_str().unwrap().to_owned()
    };
    assert_eq!(state(), "complete");
    for gone in [
        "subnets/share-0.1/model.safetensors",
        "subnets/share-0.5-0.5-0.7/plan.ron",
        "subnets/share-0.1/network.json",
        "masks.safetensors",
    ] {
        fs::remove_file(run.join(gone)).unwrap();
        assert_eq!(state(), "stopped", "{gone}");
        let told = succeeds(&workspace, &["run", "tiny.ron"]);
        assert!(told.contains(&format!("`{RUN}/{gone}` is missing; it is made again")), "{told}");
        assert!(run.join(gone).exists());
        assert_eq!(state(), "complete");
    }
    assert_eq!(repeatable(json(&run.join("summary.json"))), repeatable(summary.clone()));
    assert_eq!(metrics(&run), before, "something was trained again");

    // Without what it could be made from, what is left stays.
    let aside = workspace.path("aside");
    fs::rename(run.join("checkpoints/search"), &aside).unwrap();
    fs::remove_file(weights("share-0.1")).unwrap();
    let left = files(&run);
    refused(
        &workspace,
        &["run", "tiny.ron"],
        &["model.safetensors`, which is missing, cannot be made again", "`--fresh`"],
    );
    assert_eq!(files(&run), left);
    fs::rename(&aside, run.join("checkpoints/search")).unwrap();
    succeeds(&workspace, &["run", "tiny.ron"]);
    assert!(weights("share-0.1").exists());

    // The dense network would take all others with it.
    fs::remove_dir_all(run.join("checkpoints/pretrain")).unwrap();
    let left = files(&run);
    let told = succeeds(&workspace, &["run", "tiny.ron"]);
    assert!(told.contains("the checkpoint of its dense network is missing or damaged"), "{told}");
    assert_eq!(files(&run), left);
}

#[test]
fn a_resume_takes_the_results_that_are_there() {
    let workspace = Workspace::new();
    let file = workspace.write("tiny.ron", TINY);
    let summary = workspace.run(&file, &[]);
    let run = workspace.path(RUN);
    let result = |label: &str| run.join("subnets").join(label).join("result.json");
    // Times too: what was measured once is not measured again.
    fs::remove_file(run.join("summary.json")).unwrap();
    assert_eq!(workspace.run(&file, &[]), summary);
    fs::remove_file(run.join("summary.json")).unwrap();
    fs::remove_file(result("share-0.1")).unwrap();
    let kept = fs::read(result("share-0.5-0.5-0.7")).unwrap();
    assert_eq!(repeatable(workspace.run(&file, &[])), repeatable(summary));
    assert_eq!(fs::read(result("share-0.5-0.5-0.7")).unwrap(), kept);
}

#[test]
fn speeds_of_one_summary_are_of_one_device() {
    let workspace = Workspace::new();
    let file = workspace.write("tiny.ron", TINY);
    let summary = workspace.run(&file, &[]);
    let run = workspace.path(RUN);
    let result = |label: &str| run.join("subnets").join(label).join("result.json");
    let kept = fs::read(result("share-0.5-0.5-0.7")).unwrap();
    let of_here = json(&result("share-0.1"));
    assert_eq!(of_here["device"], summary["device"]);
    // As another machine left it, and as an earlier version did.
    for device in ["\"device\": \"another\",", ""] {
        let mut elsewhere = of_here.clone();
        elsewhere.as_object_mut().unwrap().remove("device");
        for field in ["images_per_second", "speedup"] {
            elsewhere[field] = 1e9.into();
        }
        let text = elsewhere.to_string().replacen('{', &format!("{{{device}"), 1);
        fs::write(result("share-0.1"), text).unwrap();
        fs::remove_file(run.join("summary.json")).unwrap();
        let again = workspace.run(&file, &[]);
        assert_eq!(repeatable(again.clone()), repeatable(summary.clone()));
        let measured = json(&result("share-0.1"));
        assert_eq!(measured["device"], summary["device"]);
        assert!(measured["speedup"].as_f64().unwrap() < 1e6 && measured["images_per_second"] != 1e9);
        assert_eq!(again["subnets"][1]["speedup"], measured["speedup"]);
        assert_eq!(fs::read(result("share-0.5-0.5-0.7")).unwrap(), kept);
    }
}

#[test]
fn a_retraining_that_has_begun_keeps_its_plan() {
    let workspace = Workspace::new();
    let file = workspace.write("tiny.ron", TINY);
    // An earlier version may have kept other units.
    workspace.run(&file, &["--set", "round_to=16"]);
    let run = workspace.path(RUN);
    let plan = || fs::read(run.join("subnets/share-0.1/plan.ron")).unwrap();
    let before = (plan(), metrics(&run));
    let experiment = fs::read_to_string(run.join("experiment.ron")).unwrap();
    let edited = experiment.replace("round_to: Some(16)", "round_to: None");
    assert_ne!(edited, experiment, "{experiment}");
    fs::write(run.join("experiment.ron"), edited).unwrap();
    for lost in ["summary.json", "subnets/share-0.1/result.json"] {
        fs::remove_file(run.join(lost)).unwrap();
    }
    workspace.run(&file, &[]);
    assert_eq!((plan(), metrics(&run)), before);
}

#[test]
fn a_run_that_was_stopped_goes_on_as_a_trial_of_a_sweep() {
    let workspace = Workspace::new();
    let file = workspace.write("tiny.ron", TINY);
    let summary = workspace.run(&file, &[]);
    let run = workspace.path(RUN);
    // After its first sub-network.
    fs::remove_file(run.join("summary.json")).unwrap();
    fs::remove_file(run.join("subnets/share-0.1/result.json")).unwrap();
    let before = metrics(&run);
    let finished = fs::read(run.join("subnets/share-0.5-0.5-0.7/result.json")).unwrap();
    succeeds(&workspace, &["run", "tiny.ron", "--set", "seed=Sweep([3, 4])"]);
    assert_eq!(repeatable(json(&run.join("summary.json"))), repeatable(summary));
    assert_eq!(metrics(&run), before, "something was trained again");
    assert_eq!(fs::read(run.join("subnets/share-0.5-0.5-0.7/result.json")).unwrap(), finished);
    // Its search serves another trial.
    let more = "budgets=Sweep([[Share({\"head_dim\": 0.5, \"hidden\": 0.5, \"tokens\": 0.7}), Share({\"hidden\": 0.1})], [Share({\"hidden\": 0.9})]])";
    let told = succeeds(&workspace, &["run", "tiny.ron", "--set", more]);
    assert!(told.contains("search: copied from another trial"), "{told}");
}

#[test]
fn what_goes_by_another_name_or_by_none_is_not_shared() {
    let workspace = Workspace::new();
    let file = workspace.write("tiny.ron", TINY);
    let summary = workspace.run(&file, &[]);
    let run = workspace.path(RUN);
    let identity = |stage: &str| run.join("checkpoints").join(stage).join("identity");
    let name = fs::read_to_string(identity("pretrain")).unwrap();
    let search = fs::read_to_string(identity("search")).unwrap();
    assert!(name.starts_with("pretrain-") && identity("retrain/share-0.1").exists(), "{name}");
    let sweep = || {
        for lost in ["summary.json", "subnets/share-0.1/result.json"] {
            fs::remove_file(run.join(lost)).unwrap();
        }
        succeeds(&workspace, &["run", "tiny.ron", "--set", "seed=Sweep([3])"])
    };
    let before = metrics(&run);
    let shared = workspace.path("runs/tiny/.shared");
    // As another device would have named it, and as an earlier version left it.
    fs::write(identity("pretrain"), "pretrain-of-another").unwrap();
    for _ in 0..2 {
        let told = sweep();
        assert!(told.contains("pretrain: its checkpoints are of another device"), "{told}");
        assert!(!shared.exists(), "{name}");
        let _ = fs::remove_file(identity("pretrain"));
    }
    assert!(!identity("pretrain").exists());
    // A stage that goes on under another name has neither.
    fs::write(identity("retrain/share-0.1"), "retrain-of-another").unwrap();
    for part in ["model", "optimizer"] {
        let file = run.join(format!("checkpoints/retrain/share-0.1/{part}-1.ckpt"));
        if file.exists() {
            fs::write(file, "damaged").unwrap();
        }
    }
    sweep();
    assert!(!identity("retrain/share-0.1").exists());
    assert!(!shared.exists());
    assert_eq!(repeatable(json(&run.join("summary.json"))), repeatable(summary));
    assert_eq!(metrics(&run).len(), before.len());
    fs::write(identity("pretrain"), &name).unwrap();
    fs::remove_dir_all(run.join("checkpoints/retrain/share-0.1")).unwrap();
    sweep();
    assert!(shared.join(&name).exists() && shared.join(&search).exists());
}

#[test]
fn fresh_discards_whatever_is_there() {
    let workspace = Workspace::new();
    let file = workspace.write("tiny.ron", TINY);
    workspace.run(&file, &[]);
    let other = ["--set", "search.epochs=1"];
    refused(
        &workspace,
        &[&["run", "tiny.ron"], &other[..]].concat(),
        &["`--fresh`, which discards 6 epochs"],
    );
    let summary = workspace.run(&file, &[&other[..], &["--fresh"]].concat());
    assert_eq!(summary["search"]["epochs"], 1);
    assert_eq!(metrics(&workspace.path(RUN)).iter().filter(|line| line["stage"] == "search").count(), 1);
}

#[test]
fn stages_are_shared_by_what_is_trained_on_and_not_by_what_is_only_reported() {
    let workspace = with_colours();
    let shared = || {
        let entries = fs::read_dir(workspace.path("runs/tiny/.shared")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with("pretrain")).collect::<Vec<_>>()
    };
    let run = |share: &str| {
        let budgets = format!("budgets=Sweep([[Share({{\"hidden\": {share}}})]])");
        succeeds(&workspace, &short(&["--set", &budgets]))
    };
    run("0.5");
    let first = shared();
    let repaint = |split: &str| {
        let image = workspace.path("imgs").join(split).join("a/0.png");
        RgbImage::from_pixel(8, 8, Rgb([9; 3])).save(image).unwrap();
    };
    repaint("test");
    let told = run("0.4");
    assert!(told.contains("pretrain: copied from another trial"), "{told}");
    assert_eq!(shared(), first);
    repaint("train");
    run("0.3");
    assert_eq!(shared().len(), 2);
}

#[test]
fn a_run_that_another_version_began_says_that_it_trains_differently_where_something_is_left_to_train() {
    let workspace = Workspace::new();
    let file = workspace.write("tiny.ron", TINY);
    let run = |arguments: &[&str]| {
        let output = workspace.vitslim(&[&["run", file.to_str().unwrap()], arguments].concat());
        assert!(output.status.success(), "{}", said(&output));
        said(&output).contains("another version of vitslim began this run, and it trained differently")
    };
    let record = workspace.path(RUN).join("data.json");
    let began_with = |training: u64| {
        let mut recorded = json(&record);
        recorded["training"] = training.into();
        fs::write(&record, recorded.to_string()).unwrap();
    };
    assert!(!run(&[]));
    let here = json(&record)["training"].as_u64().unwrap();
    began_with(here - 1);
    assert!(!run(&[]), "a complete run trains nothing");
    fs::remove_file(workspace.path(RUN).join("summary.json")).unwrap();
    assert!(run(&[]));
    let more =
        TINY.replace("Share({ \"hidden\": 0.1 })", "Share({ \"hidden\": 0.1 }), Share({ \"hidden\": 0.2 })");
    workspace.write("tiny.ron", &more);
    assert!(run(&[]), "a further sub-network is trained");
    assert_eq!(json(&record)["training"].as_u64(), Some(here - 1));
    assert!(!run(&["--fresh"]));
    assert_eq!(json(&record)["training"].as_u64(), Some(here));
}
