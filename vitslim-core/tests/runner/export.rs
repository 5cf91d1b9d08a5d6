//! `vitslim export`: what it writes, and what reads that again.

use std::path::Path;

use super::data::{SHORT, write_idx};
use super::workspace::{TINY, Workspace, said};
use serde_json::Value;

const RUN: &str = "runs/tiny/seed=3";

/// Exports a network, which must end well.
#[track_caller]
fn exported(workspace: &Workspace, network: &str, format: &str, out: &str) -> Vec<u8> {
    let output = workspace.vitslim(&["export", network, "--to", format, "--out", out]);
    assert!(output.status.success(), "{}", said(&output));
    std::fs::read(workspace.path(out)).unwrap()
}

#[track_caller]
fn evaluated(workspace: &Workspace, args: &[&str]) -> Value {
    let output = workspace.vitslim(&[&["eval", "--json"], args].concat());
    assert!(output.status.success(), "{}", said(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[track_caller]
fn assert_refused(workspace: &Workspace, args: &[&str], expected: &[&str]) {
    let output = workspace.vitslim(args);
    let printed = said(&output);
    assert_eq!(output.status.code(), Some(1), "{args:?}: {printed}");
    assert!(!printed.contains("panicked"), "{printed}");
    for expected in expected {
        assert!(printed.contains(expected), "{args:?} does not say `{expected}` but: {printed}");
    }
}

fn rename(workspace: &Workspace, from: &str, to: &str) {
    std::fs::rename(workspace.path(from), workspace.path(to)).unwrap();
}

#[test]
fn a_network_in_a_file_by_itself_is_that_of_the_run() {
    let workspace = Workspace::new();
    let file = workspace.write("tiny.ron", TINY);
    let summary = workspace.run(&file, &[]);
    let [first, second] = ["share-0.5-0.5-0.7", "share-0.1"].map(|label| format!("{RUN}/{label}"));

    exported(&workspace, &first, "safetensors", "first.safetensors");
    let dense = exported(&workspace, RUN, "safetensors", "dense.safetensors");
    let once = exported(&workspace, &second, "safetensors", "second.safetensors");
    assert!(once == exported(&workspace, &second, "safetensors", "new/folder/again.safetensors"));
    assert!(exported(&workspace, &first, "onnx", "first.onnx").len() > 1000);
    let text = String::from_utf8(exported(&workspace, &first, "pytorch", "first_pytorch.py")).unwrap();
    assert!(text.contains("from first_pytorch import load") && text.contains("F.linear("), "{text}");
    assert!(workspace.path("first_pytorch.safetensors").is_file());

    for (network, has_cut_tokens) in [(&first, true), (&second, false)] {
        let output = workspace.vitslim(&[
            "export",
            network,
            "--to",
            "safetensors",
            "--out",
            "a.safetensors",
            "--force",
        ]);
        assert_eq!(said(&output).contains("timm may load this file"), has_cut_tokens, "{}", said(&output));
    }

    let to = |network: &'static str, out: &'static str| ["export", network, "--to", "onnx", "--out", out];
    assert_refused(
        &workspace,
        &to("runs/tiny/seed=3/share-0.2", "a.onnx"),
        &["no sub-network `share-0.2`", "did you mean `share-0.1`", "share-0.5-0.5-0.7"],
    );
    assert_refused(&workspace, &to("runs/tiny", "a.onnx"), &["is not the folder of a run"]);
    assert_refused(&workspace, &to(RUN, "first.onnx"), &["there is a `first.onnx` already", "`--force`"]);
    // Where the weights of a large network lay.
    let beside = workspace.write("first.onnx.data", "weights");
    let forced = workspace.vitslim(&[&to(RUN, "first.onnx")[..], &["--force"]].concat());
    assert!(forced.status.success() && !beside.exists(), "{}", said(&forced));
    // Where there was no network, such a file is of something else.
    let other = workspace.write("new.onnx.data", "notes");
    let forced = workspace.vitslim(&[&to(RUN, "new.onnx")[..], &["--force"]].concat());
    assert!(forced.status.success() && other.exists(), "{}", said(&forced));
    let no_module = ["export", RUN, "--to", "pytorch", "--out", "a-b.py"];
    assert_refused(&workspace, &no_module, &["Python cannot import `a-b.py`", "ends in `.py`"]);
    assert!(!workspace.path("a-b.py").exists() && !workspace.path("a-b.safetensors").exists());

    // The run's folder is not needed any more.
    rename(&workspace, RUN, "gone");
    for (file, top1) in [
        ("dense.safetensors", &summary["dense"]["top1"]),
        ("first.safetensors", &summary["subnets"][0]["top1_retrained"]),
        ("second.safetensors", &summary["subnets"][1]["top1_retrained"]),
        ("first_pytorch.safetensors", &summary["subnets"][0]["top1_retrained"]),
    ] {
        assert_eq!(&evaluated(&workspace, &[file])["top1"], top1, "{file}");
    }
    let found = evaluated(&workspace, &["second.safetensors"]);
    assert_eq!((&found["network"], &found["trial"]), (&"share-0.1".into(), &"seed=3".into()));

    let weights = "gone/subnets/share-0.1/model.safetensors";
    assert_refused(&workspace, &["eval", weights], &["does not say what network its weights are of"]);
    assert_refused(&workspace, &["eval", "first.onnx"], &["`first.onnx` is damaged"]);
    std::fs::write(workspace.path("short.safetensors"), &once[..once.len() / 2]).unwrap();
    assert_refused(&workspace, &["eval", "short.safetensors"], &["`short.safetensors` is damaged"]);

    for label in ["share-0.5-0.5-0.7", "share-0.1"] {
        std::fs::remove_file(workspace.path("gone/subnets").join(label).join("network.json")).unwrap();
    }
    let first = to("gone/share-0.1", "a.onnx");
    assert_refused(&workspace, &first, &["this sub-network is not finished", "the command of the run again"]);
    rename(&workspace, "gone/data.json", "data.json");
    for args in [first, to("gone", "a.onnx")] {
        assert_refused(&workspace, &args, &["an earlier version made the run", "`vitslim run --fresh`"]);
    }
    rename(&workspace, "data.json", "gone/data.json");
    // A run describes its dense network before there is a sub-network.
    rename(&workspace, "gone", RUN);
    std::fs::remove_dir_all(workspace.path(&format!("{RUN}/subnets"))).unwrap();
    assert!(dense == exported(&workspace, RUN, "safetensors", "early.safetensors"));
    std::fs::remove_file(workspace.path(&format!("{RUN}/normalisation.json"))).unwrap();
    assert_refused(
        &workspace,
        &to(RUN, "a.onnx"),
        &["normalisation.json` is missing or damaged", "the command of the run again"],
    );
}

#[test]
fn outputs_of_modules_are_asked_for_by_their_paths() {
    let workspace = Workspace::new();
    let file = workspace.write("tiny.ron", TINY);
    workspace.run(&file, &[&SHORT[..], &["--set", "pretrain.schedule=Constant"]].concat());
    let first = format!("{RUN}/share-0.5-0.5-0.7");
    let to = |format: &'static str, out: &'static str, modules: &'static str| {
        let args = ["export", first.as_str(), "--to", format, "--out", out, "--features", modules];
        args.map(str::to_owned)
    };
    let run = |args: [String; 8]| workspace.vitslim(&args.each_ref().map(String::as_str));
    for args in [to("onnx", "a.onnx", "blocks.0,norm"), to("pytorch", "a.py", "blocks.0,norm")] {
        let output = run(args);
        assert!(output.status.success(), "{}", said(&output));
    }
    let onnx = std::fs::read(workspace.path("a.onnx")).unwrap();
    let has = |text: &str| onnx.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(has("blocks.0/Identity") && has("norm/Identity") && has(r#""grid":[2,2]"#));
    let text = std::fs::read_to_string(workspace.path("a.py")).unwrap();
    assert!(text.contains("logits, features = network(images)"), "{text}");
    assert!(text.contains("\"blocks.0\": x") && text.contains(", features\n"), "{text}");

    // The weights are a network by itself, whatever else their metadata say.
    assert!(evaluated(&workspace, &["a.safetensors"])["top1"].is_number());

    for (args, expected) in [
        (to("onnx", "b.onnx", "block.0"), ["did you mean `blocks.0`?", "outputs can be of"]),
        (to("safetensors", "b.safetensors", "norm"), ["computes nothing", "leave out `--features`"]),
    ] {
        assert_refused(&workspace, &args.each_ref().map(String::as_str), &expected);
    }
}

#[test]
fn a_network_in_a_file_knows_its_classes_and_its_normalisation() {
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
    let bytes = exported(&workspace, &format!("{RUN}/share-0.1"), "safetensors", "small.safetensors");
    let folder = workspace.path("own");
    let folder = folder.parent().and_then(Path::to_str).unwrap();
    assert!(
        !bytes.windows(folder.len()).any(|window| window == folder.as_bytes()),
        "it says where the data lay"
    );

    assert_refused(
        &workspace,
        &["eval", "small.safetensors"],
        &["does not have the data of its network, `Idx`", "--data FOLDER"],
    );
    // Training images that would be normalised by something else altogether.
    let path = workspace.path("other/train-images-idx3-ubyte");
    let mut images = std::fs::read(&path).unwrap();
    images[16..].iter_mut().for_each(|pixel| *pixel = 250 + *pixel % 5);
    std::fs::write(&path, images).unwrap();
    let found = evaluated(&workspace, &["small.safetensors", "--data", "other"]);
    assert_eq!(found["top1"], summary["subnets"][1]["top1_retrained"]);
}
