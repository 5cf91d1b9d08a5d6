//! What a stage may be told beside its epochs and its optimizer.

use std::path::Path;

use safetensors::SafeTensors;
use serde_json::Value;

use super::resume::metrics;
use super::workspace::{TINY, Workspace, json, keeping_all, repeatable, said};

/// Without dropout, so that steps depend on nothing that is drawn.
fn plain() -> String {
    TINY.replace(", drop_path: 0.1", "")
}

fn sets<'a>(sets: &[&'a str]) -> Vec<&'a str> {
    sets.iter().flat_map(|set| ["--set", *set]).collect()
}

fn lines(folder: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join("tiny/seed=3/metrics.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Lines of whole epochs of `stage`.
fn epochs<'a>(lines: &'a [Value], stage: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["stage"] == stage && line["step"].is_null()).collect()
}

/// The tensors of a safetensors file below a run's folder.
pub fn tensors(folder: &Path, file: &str) -> Vec<(String, Vec<f32>)> {
    let bytes = std::fs::read(folder.join("tiny/seed=3").join(file)).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let values = |data: &[u8]| data.chunks(4).map(|v| f32::from_le_bytes([v[0], v[1], v[2], v[3]])).collect();
    let mut tensors: Vec<_> =
        tensors.iter().map(|(name, tensor)| (name.to_owned(), values(tensor.data()))).collect();
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    tensors
}

#[test]
fn a_batch_in_parts_trains_as_the_whole_batch_does() {
    let workspace = Workspace::new();
    let file = workspace.write("tiny.ron", &plain());
    let run = |out: &str, accumulate: usize| {
        let stages =
            ["pretrain", "search", "retrain"].map(|stage| format!("{stage}.accumulate={accumulate}"));
        let stages: Vec<_> = stages.iter().map(String::as_str).collect();
        workspace.run(&file, &[&sets(&stages)[..], &["--out", out]].concat());
        let masks = tensors(&workspace.path(out), "masks.safetensors");
        (lines(&workspace.path(out)), masks)
    };
    let (whole, whole_masks) = run("whole", 1);
    // 1097 images in batches of 128 leave 73, which 3 does not divide.
    let (parts, masks) = run("parts", 3);
    for stage in ["pretrain", "search"] {
        for (a, b) in epochs(&whole, stage).iter().zip(epochs(&parts, stage)) {
            let [a, b] = [*a, b].map(|line| line["train"]["loss"].as_f64().unwrap());
            assert!((a - b).abs() < 1e-4 * a, "{stage}: {a} {b}");
        }
    }
    for ((name, a), (_, b)) in whole_masks.iter().zip(&masks) {
        let furthest = a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(furthest < 1e-3, "{name}: {furthest}");
    }
}

/// Dropout included.
#[test]
fn checkpointing_changes_no_number() {
    let workspace = Workspace::new();
    let file = workspace.write("tiny.ron", TINY);
    let run = |out: &str, more: &[&str]| {
        let summary = workspace.run(&file, &[&sets(more)[..], &["--out", out]].concat());
        let folder = workspace.path(out);
        let subnet = tensors(&folder, "subnets/share-0.1/model.safetensors");
        (repeatable(summary), metrics(&folder.join("tiny/seed=3")), subnet)
    };
    let all = ["pretrain.checkpointing=true", "search.checkpointing=true", "retrain.checkpointing=true"];
    assert!(run("kept", &[]) == run("again", &all));
}

#[test]
fn a_frozen_search_trains_masks_and_norms_and_retraining_trains_all() {
    let workspace = Workspace::new();
    let file = workspace.write("tiny.ron", TINY);
    let run = |out: &str, more: &[&str]| {
        let frozen = ["search.freeze=Weights", "cut=Hard", r#"budgets=[Share({"tokens": 0.5})]"#];
        workspace.run(&file, &[&sets(&frozen)[..], &sets(more), &["--out", out]].concat());
        tensors(&workspace.path(out), "subnets/share-0.5/model.safetensors")
    };
    let short = run("short", &["search.epochs=1", "retrain=None"]);
    let long = run("long", &["search.epochs=2", "retrain=None"]);
    let retrained = run("retrained", &["search.epochs=1"]);
    for (((name, short), (_, long)), (_, retrained)) in short.iter().zip(&long).zip(&retrained) {
        assert_eq!(short != long, name.contains("norm"), "{name}");
        assert_ne!(short, retrained, "{name}");
    }
    let [short, long] = ["short", "long"].map(|out| tensors(&workspace.path(out), "masks.safetensors"));
    assert!(short.iter().zip(&long).all(|(short, long)| short != long));
}

#[test]
fn a_stage_that_gets_no_better_ends_with_its_best_epoch() {
    let workspace = Workspace::new();
    let file = workspace.write("tiny.ron", &plain());
    let rate = ["pretrain.schedule=Constant()", "pretrain.optimizer=AdamW(lr: 1e-12)"];
    let none = ["search.epochs=1", r#"budgets=[Share({"tokens": 0.5})]"#];
    let more = ["pretrain.epochs=9", "pretrain.early_stop=2"];
    let args = [&sets(&rate)[..], &sets(&none), &sets(&more)].concat();
    let output = workspace.vitslim(&[&["run", file.to_str().unwrap()], &args[..]].concat());
    let printed = said(&output);
    assert!(
        output.status.success() && printed.contains("pretrain: the weights of epoch 1 are used"),
        "{printed}"
    );
    let summary = json(&workspace.path("runs/tiny/seed=3/summary.json"));
    let lines = lines(&workspace.path("runs"));
    let top1: Vec<_> =
        epochs(&lines, "pretrain").iter().map(|line| line["held_out"]["top1"].as_f64().unwrap()).collect();
    // Nothing is learnt at such a rate, so that no epoch is better than the first.
    assert_eq!(top1.len(), 3, "{top1:?}");
    assert!(top1.iter().all(|later| *later <= top1[0]), "{top1:?}");
    assert!(workspace.path("runs/tiny/seed=3/checkpoints/pretrain/model-1.ckpt").exists());
    // A complete stage stays complete.
    std::fs::remove_file(workspace.path("runs/tiny/seed=3/summary.json")).unwrap();
    let output = workspace.vitslim(&[&["run", file.to_str().unwrap()], &args[..]].concat());
    let printed = said(&output);
    assert!(printed.contains("pretrain: complete, 3 epochs"), "{printed}");
    let again = json(&workspace.path("runs/tiny/seed=3/summary.json"));
    assert_eq!(again["dense"], summary["dense"]);
}

/// Which of the two is better depends on the rate, and a little on luck: what is held is that the better one goes on.
#[test]
fn the_better_of_weights_and_average_goes_on() {
    let workspace = Workspace::new();
    let file = workspace.write("tiny.ron", &plain());
    let short = ["search.epochs=1", "retrain=None", "pretrain.epochs=3", "pretrain.schedule=Constant()"];
    let mut averaged = Vec::new();
    for (out, ema, lr) in [("slow", "0.999", "2e-3"), ("noisy", "0.9", "1e-2"), ("first", "0.0", "1e-3")] {
        let ema = format!("pretrain.ema={ema}");
        let rate = format!("pretrain.optimizer=AdamW(lr: {lr})");
        let args = [&sets(&short)[..], &sets(&[&ema, &rate]), &["--out", out]].concat();
        let output = workspace.vitslim(&[&["run", file.to_str().unwrap()], &args[..]].concat());
        let printed = said(&output);
        assert!(output.status.success(), "{printed}");
        let lines = lines(&workspace.path(out));
        let last = &epochs(&lines, "pretrain")[2]["held_out"];
        let [weights, average] = ["top1", "top1_ema"].map(|field| last[field].as_f64().unwrap());
        averaged.push(average > weights);
        let told = printed.contains("pretrain: the averaged weights of epoch 3 are used");
        assert_eq!(told, average > weights, "{out}: {average} against {weights}: {printed}");

        // What the run saved, measured anew: on the validation split, and on the split that the summary is of.
        let run = format!("{out}/tiny/seed=3");
        let top1 = |part: &str| {
            let output = workspace.vitslim(&["eval", &run, "--split", part, "--json"]);
            let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
            printed["top1"].as_f64().unwrap()
        };
        assert!((top1("held_out") - weights.max(average)).abs() < 1e-9, "{out}");
        let summary = json(&workspace.path(&run).join("summary.json"));
        assert_eq!(top1("test"), summary["dense"]["top1"].as_f64().unwrap(), "{out}");
    }
    assert!(
        averaged.contains(&true) && averaged.contains(&false),
        "{averaged:?}: one of them was never the better"
    );
}

#[test]
fn lines_between_epochs_tell_how_losses_and_masks_go() {
    let workspace = Workspace::new();
    let file = workspace.write("tiny.ron", TINY);
    workspace.run(&file, &sets(&["log_every=4", r#"budgets=[Share({"tokens": 0.5})]"#]));
    let lines = lines(&workspace.path("runs"));
    // Nine steps an epoch.
    let places: Vec<_> = lines
        .iter()
        .filter(|line| line["stage"] == "search")
        .map(|line| (line["epoch"].as_u64().unwrap(), line["step"].as_u64()))
        .collect();
    let expected = [(1, Some(4)), (1, Some(8)), (1, None), (2, Some(12)), (2, Some(16)), (2, None)];
    assert_eq!(places, expected);
    for line in &lines {
        assert_eq!(line["step"].is_null(), line["held_out"].is_object(), "{line}");
        for field in ["loss", "top1", "learning_rate"] {
            assert!(line["train"][field].is_number(), "{field}: {line}");
        }
        let searched = line["stage"] == "search";
        assert_eq!(searched, line["masks"].is_object() && line["train"]["penalty"].is_number(), "{line}");
        if searched {
            let masks = line["masks"].as_object().unwrap();
            assert_eq!(masks.len(), 6);
            let hidden = &masks["blocks.0.mlp.hidden"];
            let counts = hidden["histogram"]["counts"].as_array().unwrap();
            assert_eq!(counts.len(), 20);
            assert_eq!(counts.iter().map(|count| count.as_u64().unwrap()).sum::<u64>(), 32);
            let [min, mean, max] =
                [&hidden["histogram"]["min"], &hidden["mean"], &hidden["histogram"]["max"]]
                    .map(|v| v.as_f64().unwrap());
            assert!(min < mean && mean < max);
            assert!((0.0..=1.0).contains(&hidden["share_under_0.05"].as_f64().unwrap()));
        }
    }
    // Each stage is a run of TensorBoard's, with what the lines say.
    let events = |stage: &str| {
        let file = format!("runs/tiny/seed=3/tensorboard/{stage}/events.out.tfevents.vitslim");
        String::from_utf8_lossy(&std::fs::read(workspace.path(&file)).unwrap()).into_owned()
    };
    for stage in ["pretrain", "search", "retrain/share-0.5"] {
        let events = events(stage);
        let lines = lines.iter().filter(|line| stage.starts_with(line["stage"].as_str().unwrap()));
        let epochs = lines.filter(|line| line["step"].is_null()).count();
        assert_eq!(events.matches("held_out/top1").count(), epochs, "{stage}");
        assert_eq!(events.contains("masks/blocks.0.mlp.hidden"), stage == "search");
    }
    // The last line of a search is of the masks that are saved.
    let saved = tensors(&workspace.path("runs"), "masks.safetensors");
    let (_, hidden) = saved.iter().find(|(name, _)| name == "blocks.0.mlp.hidden").unwrap();
    let mean = hidden.iter().map(|value| f64::from(*value)).sum::<f64>() / hidden.len() as f64;
    let last = epochs(&lines, "search")[1]["masks"]["blocks.0.mlp.hidden"]["mean"].as_f64().unwrap();
    assert!((mean - last).abs() < 1e-9);
}

#[test]
fn each_optimizer_trains_and_goes_on_with_the_same_numbers() {
    let workspace = Workspace::new();
    let mut ends = Vec::new();
    for optimizer in ["Sgd(", "Sgd(momentum: 0, ", "Lamb("] {
        let text = keeping_all(TINY).replace("AdamW(", optimizer).replace("lr: 2e-3", "lr: 2e-2");
        let file = workspace.write("tiny.ron", &text);
        let out = format!("runs-{}", ends.len());
        let folder = workspace.path(&out).join("tiny/seed=3");
        let run = || (repeatable(workspace.run(&file, &["--out", &out])), metrics(&folder));
        let whole = run();
        let loss = |line: usize| whole.1[line]["train"]["loss"].as_f64().unwrap();
        assert!(loss(1) < loss(0), "{optimizer}: {} after {}", loss(1), loss(0));

        // As if it had stopped in the second epoch of the search.
        std::fs::remove_file(folder.join("summary.json")).unwrap();
        for made in ["checkpoints/retrain", "subnets"] {
            std::fs::remove_dir_all(folder.join(made)).unwrap();
        }
        std::fs::remove_file(folder.join("checkpoints/search/model-2.ckpt")).unwrap();
        assert!(run() == whole, "{optimizer}: resumed");
        ends.push(whole.1);
    }
    assert!(ends[0] != ends[1] && ends[1] != ends[2]);
}
