//! Experiments that start from a network that a run left.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Output, Stdio};

use burn::tensor::Device;
use safetensors::SafeTensors;
use serde_json::{Value, json};
use vitslim_core::models::{Architecture, Parameter, Vit, VitConfig};
use vitslim_core::slim::{Plan, Slimmable};

use super::resume::{metrics, wait_for_epochs};
use super::workspace::{TINY, VITSLIM, Workspace, json, repeatable, said};

const FIRST: &str = "runs/tiny/seed=3/share-0.5-0.5-0.7";

const AGAIN: &str = r#"Experiment(
    name: "again",
    seed: 5,
    model: (architecture: "vit", pretrained: "runs/tiny/seed=3/share-0.5-0.5-0.7"),
    data: Random(image_size: 8, channels: 1, classes: 4, images: 300),
    pretrain: (epochs: 2, batch: 32, optimizer: AdamW(lr: 1e-3)),
    search: (
        epochs: 2,
        batch: 32,
        optimizer: AdamW(lr: 1e-3),
        masks: (lr: 5e-2),
        dimensions: {
            "head_dim": (weight: 1e-3),
            "hidden": (weight: 1e-4),
            "tokens": (weight: 1e-4, activation: Tanh, init: 3.0),
        },
    ),
    budgets: [
        Share({ "head_dim": 0.5, "hidden": 0.5, "tokens": 0.5 }),
        Share({ "hidden": 1 }),
    ],
    retrain: (epochs: 1, batch: 32, optimizer: AdamW(lr: 1e-3)),
)
"#;

/// A workspace with the run that others start from.
fn workspace() -> Workspace {
    let workspace = Workspace::new();
    let file = workspace.write("tiny.ron", TINY);
    workspace.run(&file, &["--quiet"]);
    workspace
}

fn plan(folder: &Path) -> Plan {
    ron::from_str(&fs::read_to_string(folder.join("plan.ron")).unwrap()).unwrap()
}

/// The number of parameters that the plan in `folder` leaves of the dense network of its run.
fn cut_once(folder: &Path) -> usize {
    let config: VitConfig =
        serde_json::from_value(json(&folder.join("network.json"))["config"].clone()).unwrap();
    let dense = Vit::init(&config, &Device::flex()).unwrap();
    Parameter::count(&dense.slim(&plan(folder)).unwrap())
}

#[track_caller]
fn evaluated(workspace: &Workspace, network: &str) -> Value {
    let output = workspace.vitslim(&["eval", "--json", network]);
    assert!(output.status.success(), "{}", said(&output));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    found["top1"].clone()
}

#[track_caller]
fn exported(workspace: &Workspace, network: &str, out: &str) {
    let output = workspace.vitslim(&["export", network, "--to", "safetensors", "--out", out]);
    assert!(output.status.success(), "{}", said(&output));
}

/// All that a command printed, without spaces: lines break at hyphens too.
fn printed(output: &Output) -> String {
    bare(&(said(output) + &String::from_utf8_lossy(&output.stdout)))
}

fn bare(text: &str) -> String {
    text.split_whitespace().collect()
}

/// A summary without what differs from run to run, and without where its network was.
fn numbers(summary: Value) -> Value {
    let mut summary = repeatable(summary);
    summary.as_object_mut().unwrap().remove("start").expect("start");
    summary
}

#[test]
fn a_network_is_cut_step_by_step_and_every_plan_is_of_the_first_one() {
    let workspace = workspace();
    let file = workspace.write("again.ron", AGAIN);
    let output = workspace.vitslim(&["run", file.to_str().unwrap()]);
    assert!(output.status.success(), "{}", said(&output));
    for told in [
        "pretrained: `head` is left as initialised: it is [10, 16]",
        "pretrained: shares are of this network, which is called dense here",
        &format!(
            "dense starts as {FIRST}: shares and speed-ups are of that, not of what that was cut out of"
        ),
    ] {
        assert!(printed(&output).contains(&bare(told)), "{told} is not in {}", printed(&output));
    }

    let run = workspace.path("runs/again/seed=5");
    let summary = json(&run.join("summary.json"));
    let (first, half) = (workspace.path("runs/tiny/seed=3/subnets/share-0.5-0.5-0.7"), "share-0.5-0.5-0.5");
    let (before, after) = (plan(&first), plan(&run.join("subnets").join(half)));
    let mut shares = BTreeMap::<&str, [usize; 2]>::new();
    for (cut, first) in after.cuts.iter().zip(&before.cuts) {
        assert_eq!((&cut.dimension, &cut.of), (&first.dimension, &first.of), "of the dense network");
        assert!(cut.keep.iter().all(|unit| first.keep.contains(unit)), "{cut:?} of {first:?}");
        let name = cut.dimension.rsplit('.').next().unwrap();
        let [kept, of] = shares.entry(name).or_default();
        (*kept, *of) = (*kept + cut.keep.len(), *of + first.keep.len());
    }
    for name in ["head_dim", "hidden"] {
        let [kept, of] = shares[name];
        assert_eq!(kept, of.div_ceil(2), "half of what was left of {name}");
        assert_eq!(summary["subnets"][0]["kept"][name], kept as f64 / of as f64);
    }
    // What is kept whole is the network as it was.
    assert_eq!(plan(&run.join("subnets/share-1")), before);
    for (index, label) in [half, "share-1"].into_iter().enumerate() {
        let found = &summary["subnets"][index];
        assert_eq!(found["params"], cut_once(&run.join("subnets").join(label)), "{label}");
        let network = format!("runs/again/seed=5/{label}");
        assert_eq!(evaluated(&workspace, &network), found["top1_retrained"], "{label}");
        exported(&workspace, &network, &format!("{label}.safetensors"));
        assert_eq!(evaluated(&workspace, &format!("{label}.safetensors")), found["top1_retrained"]);
    }
    let dense = &summary["dense"];
    assert_eq!(dense["params"], summary["subnets"][1]["params"]);
    assert_eq!(evaluated(&workspace, "runs/again/seed=5"), dense["top1"]);
    exported(&workspace, "runs/again/seed=5", "dense.safetensors");
    assert_eq!(evaluated(&workspace, "dense.safetensors"), dense["top1"]);

    // A third time, from the file of the second.
    let text = AGAIN.replace("\"again\"", "\"third\"").replace(FIRST, "share-0.5-0.5-0.5.safetensors");
    let third = workspace.write("third.ron", &text);
    workspace.run(&third, &["--quiet", "--set", "pretrain=None", "--set", "retrain=None"]);
    let folder = workspace.path("runs/third/seed=5/subnets").join(half);
    for (cut, second) in plan(&folder).cuts.iter().zip(&after.cuts) {
        assert!(cut.of == second.of && cut.keep.iter().all(|unit| second.keep.contains(unit)), "{cut:?}");
    }
    let summary = json(&workspace.path("runs/third/seed=5/summary.json"));
    assert_eq!(summary["subnets"][0]["params"], cut_once(&folder));
    assert_eq!(evaluated(&workspace, "runs/third/seed=5"), summary["dense"]["top1"]);
}

#[test]
fn the_run_and_its_exported_file_are_the_same_start_and_it_resumes_without_either() {
    let workspace = workspace();
    let file = workspace.write("again.ron", AGAIN);
    let summary = workspace.run(&file, &["--quiet"]);
    assert_eq!(summary["start"], FIRST);
    let run = workspace.path("runs/again/seed=5");
    exported(&workspace, FIRST, "first.safetensors");
    let start = fs::read(run.join("start.safetensors")).unwrap();
    assert!(start == fs::read(workspace.path("first.safetensors")).unwrap(), "the run has a copy");

    let from_file = ["--quiet", "--out", "other", "--set", "model.pretrained=\"first.safetensors\""];
    let other = workspace.run(&file, &from_file);
    assert_eq!(numbers(other), numbers(summary.clone()));
    assert_eq!(json(&workspace.path("other/again/seed=5/data.json")), json(&run.join("data.json")));
    assert_eq!(metrics(&workspace.path("other/again/seed=5")), metrics(&run));

    // Killed in the middle, it goes on when neither is there.
    fs::remove_dir_all(workspace.path("other")).unwrap();
    for epochs in [1, 3, 4] {
        let args = ["run", file.to_str().unwrap(), "--out", "other"];
        let mut command = workspace.command(VITSLIM, &args);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        wait_for_epochs(&workspace.path("other/again/seed=5"), epochs, &mut child);
        child.kill().unwrap();
        child.wait().unwrap();
    }
    fs::rename(workspace.path("runs/tiny"), workspace.path("gone")).unwrap();
    let output = workspace.vitslim(&["run", file.to_str().unwrap(), "--out", "elsewhere"]);
    for told in ["does not exist", "`start.safetensors` in its folder"] {
        assert!(said(&output).contains(told), "{}", said(&output));
    }
    let output = workspace.vitslim(&["run", file.to_str().unwrap(), "--out", "other"]);
    let told = format!("`{FIRST}` is gone: the copy in `other/again/seed=5` is taken");
    assert!(output.status.success() && printed(&output).contains(&bare(&told)), "{}", said(&output));
    let resumed = json(&workspace.path("other/again/seed=5/summary.json"));
    assert_eq!(resumed["start"], FIRST);
    assert_eq!(numbers(resumed), numbers(summary.clone()));
    // So it does when it begins again, and is stopped before there is any result.
    let args = ["run", file.to_str().unwrap(), "--out", "other", "--fresh"];
    let mut command = workspace.command(VITSLIM, &args);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for_epochs(&workspace.path("other/again/seed=5"), 1, &mut child);
    child.kill().unwrap();
    child.wait().unwrap();
    let resumed = workspace.run(&file, &["--quiet", "--out", "other"]);
    assert_eq!(resumed["start"], FIRST);
    assert_eq!(numbers(resumed), numbers(summary.clone()));
    // A copy of something else is none.
    let copy = workspace.path("other/again/seed=5/start.safetensors");
    let kept = fs::read(&copy).unwrap();
    exported(&workspace, "other/again/seed=5/share-1", "share.safetensors");
    fs::copy(workspace.path("share.safetensors"), &copy).unwrap();
    let output = workspace.vitslim(&["run", file.to_str().unwrap(), "--out", "other"]);
    assert!(said(&output).contains("does not exist"), "{}", said(&output));
    fs::write(&copy, kept).unwrap();

    let output = workspace.vitslim(&["bench", "other/again/seed=5", "--batch", "2", "--seconds", "1"]);
    assert!(output.status.success(), "{}", said(&output));
    let half = "other/again/seed=5/share-0.5-0.5-0.5";
    let args = ["export", half, "--to", "onnx", "--features", "blocks.1", "--out", "features.onnx"];
    let output = workspace.vitslim(&args);
    assert!(output.status.success(), "{}", said(&output));
    let plan = plan(&workspace.path("other/again/seed=5/subnets/share-0.5-0.5-0.5"));
    let keep = &plan.get("blocks.1.tokens").unwrap().keep;
    let tokens = format!("\"tokens\":{}", json!({ "prefix": 1, "keep": keep, "grid": [2, 2] }));
    let onnx = String::from_utf8_lossy(&fs::read(workspace.path("features.onnx")).unwrap()).into_owned();
    assert!(onnx.contains(&tokens), "{tokens}");

    for (network, expected) in [
        ("other/again/seed=5", &summary["dense"]["top1"]),
        ("other/again/seed=5/share-1", &summary["subnets"][1]["top1_retrained"]),
    ] {
        assert_eq!(evaluated(&workspace, network), *expected, "{network}");
        exported(&workspace, network, "out.safetensors");
        assert_eq!(evaluated(&workspace, "out.safetensors"), *expected, "{network}");
        fs::remove_file(workspace.path("out.safetensors")).unwrap();
    }
    // Another network in its place is another start.
    fs::rename(workspace.path("gone"), workspace.path("runs/tiny")).unwrap();
    let other = ["--set", "model.pretrained=\"runs/tiny/seed=3/share-0.1\"", "--out", "other"];
    let output = workspace.vitslim(&[&["run", file.to_str().unwrap()], &other[..]].concat());
    assert!(said(&output).contains("is not the one that the run in"), "{}", said(&output));
}

#[test]
fn a_dense_network_of_a_run_is_a_start_too() {
    let workspace = workspace();
    let text = AGAIN
        .replace(FIRST, "runs/tiny/seed=3")
        .replace("Random(image_size: 8, channels: 1, classes: 4, images: 300)", "Digits");
    let file = workspace.write("again.ron", &text);
    let summary = workspace.run(&file, &["--quiet", "--set", "pretrain=None"]);
    assert_eq!(summary["dense"], json(&workspace.path("runs/tiny/seed=3/summary.json"))["dense"]);
    assert_eq!(evaluated(&workspace, "runs/again/seed=5"), summary["dense"]["top1"]);
}

#[test]
fn each_trial_of_a_sweep_goes_on_with_its_own_copy() {
    let workspace = workspace();
    let other = "runs/tiny/seed=3/share-0.1";
    let starts = format!("Sweep([\"{FIRST}\", \"{other}\"])");
    let text = AGAIN.replace(&format!("\"{FIRST}\""), &starts).replace("\"again\"", "\"both\"");
    let file = workspace.write("both.ron", &text);
    let run = |args: &[&str]| {
        let short = ["run", file.to_str().unwrap(), "--set", "pretrain=None", "--set", "retrain=None"];
        let output = workspace.vitslim(&[&short[..], args].concat());
        assert!(output.status.success(), "{}", said(&output));
        for start in [FIRST, other] {
            let told = format!("dense starts as {start}: shares and speed-ups are of that");
            assert!(printed(&output).contains(&bare(&told)), "{}", printed(&output));
        }
        let sweep = json(&workspace.path("runs/both/sweep.json"));
        let trials = sweep["trials"].as_array().unwrap().iter();
        trials.map(|trial| (trial["trial"].clone(), repeatable(trial["summary"].clone()))).collect::<Vec<_>>()
    };
    let expected = run(&[]);
    assert_eq!(expected.len(), 2);
    assert_ne!(expected[0].1["start"], expected[1].1["start"]);
    for (trial, _) in &expected {
        fs::remove_file(workspace.path("runs/both").join(trial.as_str().unwrap()).join("summary.json"))
            .unwrap();
    }
    fs::rename(workspace.path("runs/tiny"), workspace.path("gone")).unwrap();
    assert_eq!(run(&[]), expected);
    assert_eq!(run(&["--fresh"]), expected);
}

/// The file `bytes` with `found` changed in its metadata, where it is first.
fn with_metadata(bytes: &[u8], found: &str, changed: &str) -> Vec<u8> {
    let (_, header) = SafeTensors::read_metadata(bytes).unwrap();
    let mut entries = header.metadata().clone().unwrap();
    let metadata = entries.get_mut("vitslim").unwrap();
    assert!(metadata.contains(found), "{found} is not in {metadata}");
    *metadata = metadata.replacen(found, changed, 1);
    safetensors::serialize(SafeTensors::deserialize(bytes).unwrap().tensors(), Some(entries)).unwrap()
}

#[test]
fn a_file_that_claims_too_much_is_no_start() {
    let workspace = workspace();
    let file = workspace.write("again.ron", AGAIN);
    exported(&workspace, FIRST, "first.safetensors");
    let bytes = fs::read(workspace.path("first.safetensors")).unwrap();
    let too_large = "the dense network of its metadata";
    for (found, changed, told) in [
        (r#""dim":16"#, r#""dim":24000000000"#, too_large),
        (r#""dim":16"#, r#""dim":18446744073709551600"#, too_large),
        (r#""depth":2"#, r#""depth":100000"#, too_large),
        (r#""classes":10"#, r#""classes":300000000"#, too_large),
        (r#""image_size":8"#, r#""image_size":160000"#, too_large),
        (r#""mlp_ratio":2.0"#, r#""mlp_ratio":400000.0"#, too_large),
        (r#""patch_size":4"#, r#""patch_size":0"#, too_large),
        (r#""of":["#, r#""of":[18446744073709551615,18446744073709551615,"#, "where the network has"),
    ] {
        fs::write(workspace.path("hostile.safetensors"), with_metadata(&bytes, found, changed)).unwrap();
        let set = "model.pretrained=\"hostile.safetensors\"";
        let output = workspace.vitslim(&["check", file.to_str().unwrap(), "--set", set]);
        let printed = printed(&output);
        assert_eq!(output.status.code(), Some(1), "{changed}: {printed}");
        assert!(printed.contains(&bare(told)) && !printed.contains("panicked"), "{changed}: {printed}");
    }
}

#[test]
fn what_cannot_be_a_start_is_told_before_anything_is_trained() {
    let workspace = workspace();
    let file = workspace.write("again.ron", AGAIN);
    // One that was stopped in pretraining, and one that has none.
    let tiny = workspace.path("tiny.ron");
    let args = ["run", tiny.to_str().unwrap(), "--set", "name=\"short\"", "--set", "pretrain.epochs=200"];
    let mut command = workspace.command(VITSLIM, &args);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for_epochs(&workspace.path("runs/short/seed=3"), 1, &mut child);
    child.kill().unwrap();
    child.wait().unwrap();
    fs::create_dir_all(workspace.path("runs/bare/seed=1")).unwrap();
    let bare_experiment: Vec<&str> = TINY.lines().filter(|line| !line.contains("pretrain:")).collect();
    workspace.write("runs/bare/seed=1/experiment.ron", &bare_experiment.join("\n"));
    fs::create_dir_all(workspace.path("runs/stopped/seed=1/subnets/a")).unwrap();
    fs::copy(
        workspace.path("runs/tiny/seed=3/experiment.ron"),
        workspace.path("runs/stopped/seed=1/experiment.ron"),
    )
    .unwrap();
    let random = |data: &str| format!("data=Random({data}, classes: 4, images: 300)");
    for (set, expected) in [
        (
            "model.pretrained=\"runs/tiny/seed=3/share-0.6\"".to_owned(),
            "has no sub-network `share-0.6`; did you mean",
        ),
        (
            "model.pretrained=\"runs/tiny\"".to_owned(),
            "is not the folder of a run: there is no `experiment.ron` in it",
        ),
        ("model.pretrained=\"runs/stopped/seed=1/a\"".to_owned(), "this sub-network is not finished"),
        (
            "model.pretrained=\"runs/short/seed=3\"".to_owned(),
            "the dense network of the run in `runs/short/seed=3` is not trained: its pretraining is not complete",
        ),
        (
            "model.pretrained=\"runs/bare/seed=1\"".to_owned(),
            "the dense network of the run in `runs/bare/seed=1` is not trained: its experiment has no pretraining",
        ),
        (
            "model.pretrained=\"runs/tiny/seed=3/subnets/share-0.1/model.safetensors\"".to_owned(),
            "name the sub-network: `runs/tiny/seed=3/share-0.1`",
        ),
        (
            "model.pretrained=\"runs/lost/seed=1/share-0.5\"".to_owned(),
            "`runs/lost/seed=1/share-0.5` does not exist",
        ),
        (
            "model.architecture=\"deit_distilled\"".to_owned(),
            "is a `vit`, but the architecture here is `deit_distilled`",
        ),
        (
            "model.config=(depth: 3)".to_owned(),
            "`depth` is 3, but the network in `runs/tiny/seed=3/share-0.5-0.5-0.7` has 2",
        ),
        // What is as by default is not written.
        (
            "model.config=(global_pool: Avg, fc_norm: false)".to_owned(),
            "`fc_norm` is false, but the network in `runs/tiny/seed=3/share-0.5-0.5-0.7` has its default",
        ),
        (
            "model.preset=\"deit_tiny_patch16_224\"".to_owned(),
            "but the network in `runs/tiny/seed=3/share-0.5-0.5-0.7` has 2",
        ),
        (random("image_size: 16, channels: 1"), ".tokens`, where the network has 16 for these images"),
        (
            random("image_size: 8, channels: 2"),
            "`patch_embed.proj.weight` is [16, 1, 4, 4] in the file and [16, 2, 4, 4] in the network",
        ),
    ] {
        for command in ["check", "run", "plan"] {
            let output = workspace.vitslim(&[command, file.to_str().unwrap(), "--set", &set]);
            let printed = printed(&output);
            assert_eq!(output.status.code(), Some(1), "{command} {set}: {printed}");
            assert!(
                printed.contains(&bare(expected)),
                "{command} {set} does not say `{expected}` but: {printed}"
            );
        }
    }
    assert!(!workspace.path("runs/again").exists(), "nothing is trained");

    // What acts in training alone may be another. Without cut tokens, images may be of another size.
    let other = "model.pretrained=\"runs/tiny/seed=3/share-0.1\"";
    for sets in [
        &["model.config=(drop_path: 0.3)".to_owned()][..],
        &[other.to_owned(), random("image_size: 16, channels: 1")],
    ] {
        let sets = sets.iter().flat_map(|set| ["--set", set.as_str()]);
        let args: Vec<&str> = ["check", file.to_str().unwrap()].into_iter().chain(sets).collect();
        let output = workspace.vitslim(&args);
        assert!(output.status.success(), "{}{}", said(&output), String::from_utf8_lossy(&output.stdout));
    }
    // Images are normalised as they were only if that is said.
    let normalised =
        "its images were normalised by other mean and std than these are: `normalise: Given(mean: [";
    for (data, is_told) in [(random("image_size: 8, channels: 1"), true), ("data=Digits".to_owned(), false)] {
        let args = ["check", file.to_str().unwrap(), "--set", "seed=3", "--set", &data];
        let printed = printed(&workspace.vitslim(&args));
        assert_eq!(printed.contains(&bare(normalised)), is_told, "{printed}");
        assert!(!printed.contains("ImageNet"), "{printed}");
    }
    let output = workspace.vitslim(&["plan", "--no-times", file.to_str().unwrap()]);
    let told = format!("dense starts as {FIRST}: sizes and shares are of that");
    assert!(printed(&output).contains(&bare(&told)), "{}", printed(&output));
}
