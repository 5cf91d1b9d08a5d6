//! What the units of a network are ranked by, where no search trains masks.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::resume::metrics;
use super::workspace::{TINY, Workspace, json, repeatable, said};

/// The tiny experiment whose tokens are whole, with what it ranks by.
fn ranked_by(importance: &str) -> String {
    let tokens = "\n            \"tokens\": (weight: 1e-4, activation: Tanh, init: 3.0),";
    assert!(TINY.contains(tokens) && TINY.contains(", \"tokens\": 0.7"));
    let text = TINY.replace(tokens, "").replace(", \"tokens\": 0.7", "");
    text.replace("seed: 3,", &format!("seed: 3,\n    importance: {importance},"))
}

#[test]
fn one_table_has_all_of_them_and_they_share_the_dense_network() {
    let workspace = Workspace::new();
    let all = ["Masks", "Magnitude", "Taylor", "Variance", "Random"];
    let file = workspace.write("tiny.ron", &ranked_by(&format!("Sweep([{}])", all.join(", "))));
    let plan = workspace.vitslim(&["plan", "tiny.ron", "--no-times"]);
    let planned = String::from_utf8_lossy(&plan.stdout).into_owned();
    assert!(planned.contains("5 trials: 1 pretraining, 1 search, 10 retrainings; "), "{planned}");
    assert!(planned.contains("`importance: Taylor` needs no search: it is skipped"), "{planned}");

    let output = workspace.vitslim(&["run", file.to_str().unwrap()]);
    assert!(output.status.success(), "{}", said(&output));
    let sweep = json(&workspace.path("runs/tiny/sweep.json"));
    let trials = sweep["trials"].as_array().unwrap();
    let folder = |importance: &str| workspace.path(&format!("runs/tiny/importance={importance},seed=3"));
    let mut plans = BTreeSet::new();
    for (trial, importance) in trials.iter().zip(all) {
        let summary = &trial["summary"];
        assert_eq!(summary["dense"], trials[0]["summary"]["dense"]);
        let searched = importance == "Masks";
        assert_eq!([&summary["search"], &summary["seconds"]["search"]].map(Value::is_null), [!searched; 2]);
        let of_search = metrics(&folder(importance)).iter().filter(|line| line["stage"] == "search").count();
        assert_eq!(of_search > 0, searched, "{importance}");
        let subnet = &summary["subnets"][1];
        assert_eq!(subnet["kept"]["hidden"], trials[0]["summary"]["subnets"][1]["kept"]["hidden"]);
        plans.insert(fs::read_to_string(folder(importance).join("subnets/share-0.1/plan.ron")).unwrap());
    }
    assert_eq!(plans.len(), all.len(), "each keeps other units");
    let csv = fs::read_to_string(workspace.path("runs/tiny/sweep.csv")).unwrap();
    assert_eq!(csv.lines().count(), 1 + 2 * all.len(), "{csv}");

    // Cut off after its scores, a run ends with the same files, whatever it has left.
    let trial = folder("Taylor");
    let files = ["masks.safetensors", "subnets/share-0.1/model.safetensors"];
    let content = || files.map(|name| fs::read(trial.join(name)).unwrap());
    let (before, summary) = (content(), repeatable(json(&trial.join("summary.json"))));
    for lost in ["summary.json", "masks.safetensors", "subnets/share-0.1/result.json"] {
        fs::remove_file(trial.join(lost)).unwrap();
    }
    let again = workspace.vitslim(&["run", file.to_str().unwrap()]);
    assert!(again.status.success(), "{}", said(&again));
    assert!(content() == before, "other bytes");
    assert_eq!(repeatable(json(&trial.join("summary.json"))), summary);

    // What is cut out of it later is cut by the scores that it has, wherever they were computed.
    fs::copy(folder("Random").join("masks.safetensors"), trial.join("masks.safetensors")).unwrap();
    let plans = ["Random", "Taylor"].map(|importance| {
        let run = folder(importance);
        let budget = "Share({\"hidden\": 0.3})";
        let output = workspace.vitslim(&["slim", run.to_str().unwrap(), "--budget", budget]);
        assert!(output.status.success(), "{}", said(&output));
        fs::read_to_string(run.join("subnets/share-0.3/plan.ron")).unwrap()
    });
    assert_eq!(plans[0], plans[1]);
}

#[test]
fn check_says_that_the_search_is_skipped_and_what_cannot_be_ranked() {
    let workspace = Workspace::new();
    let check = |text: &str| {
        let file = workspace.write("tiny.ron", text);
        let output = workspace.vitslim(&["check", file.to_str().unwrap()]);
        let printed =
            String::from_utf8_lossy(&output.stdout).split_whitespace().collect::<Vec<_>>().join(" ");
        (output.status.success(), printed + &said(&output))
    };
    let (fits, printed) = check(&ranked_by("Variance(batches: 2)"));
    assert!(fits, "{printed}");
    assert!(
        printed.contains("note: `importance: Variance` ranks the units of the dense network"),
        "{printed}"
    );
    assert!(printed.contains("pretrain, retrain: weight decay acts"), "{printed}");
    let (fits, printed) = check(&TINY.replace("seed: 3,", "seed: 3, importance: Magnitude,"));
    assert!(
        !fits && printed.contains("\"tokens\" names tokens, which have no weights to rank them by"),
        "{printed}"
    );
    let taylor = TINY.replace("seed: 3,", "seed: 3, importance: Taylor, correct: true,");
    let (fits, printed) = check(&taylor);
    let told = "note: `correct: true`: 4 linear layers make up for what is cut of what they read";
    assert!(fits && printed.contains(told), "{printed}");

    // What is as it was drawn is not worth ranking.
    let start = taylor.find("    pretrain:").unwrap();
    let end = start + taylor[start..].find('\n').unwrap();
    let untrained = format!("{}{}", &taylor[..start], &taylor[end..]);
    let (fits, printed) = check(&untrained);
    assert!(!fits && printed.contains("not trained, so `Taylor` has nothing to rank"), "{printed}");
    let (fits, printed) = check(&untrained.replace("Taylor", "Random"));
    assert!(fits, "{printed}");
}

#[test]
fn a_corrected_cut_shares_what_comes_before_it_and_leaves_other_weights() {
    let workspace = Workspace::new();
    let text = ranked_by("Random").replace("seed: 3,", "seed: 3,\n    correct: Sweep([false, true]),");
    let file = workspace.write("tiny.ron", &text);
    let output = workspace.vitslim(&["run", file.to_str().unwrap()]);
    assert!(output.status.success(), "{}", said(&output));
    let read = |correct: bool, name: &str| {
        fs::read(workspace.path(&format!("runs/tiny/correct={correct},seed=3/{name}"))).unwrap()
    };
    for (name, same) in [
        ("masks.safetensors", true),
        ("subnets/share-0.1/plan.ron", true),
        ("subnets/share-0.1/model.safetensors", false),
    ] {
        assert_eq!(read(false, name) == read(true, name), same, "{name}");
    }
    let top1 = |correct: bool| {
        let summary = json(&workspace.path(&format!("runs/tiny/correct={correct},seed=3/summary.json")));
        summary["subnets"][0]["top1_sliced"].as_f64().unwrap()
    };
    assert!(top1(true) > top1(false), "{} and {}", top1(true), top1(false));
    let summary = json(&workspace.path("runs/tiny/correct=true,seed=3/summary.json"));
    let subnets = summary["subnets"].as_array().unwrap();
    assert!(subnets.iter().all(|subnet| subnet["masked_vs_sliced"].as_f64().unwrap() < 1e-5), "{summary}");

    // So does a cut of what is cut already.
    let model = "model: (architecture: \"vit\", pretrained: \"runs/tiny/correct=true,seed=3/share-0.5-0.5\"),\n    data";
    let (start, end) = (text.find("    model:").unwrap(), text.find("    data").unwrap() + "    data".len());
    let again = format!("{}    {model}{}", &text[..start], &text[end..]);
    let again = again.replace("\"tiny\"", "\"again\"").replace("Sweep([false, true])", "true");
    let again = again.replace("Random", "Variance(batches: 1)").replace("    pretrain:", "    // pretrain:");
    let summary = workspace.run(&workspace.write("again.ron", &again), &[]);
    let subnets = summary["subnets"].as_array().unwrap();
    assert!(subnets.iter().all(|subnet| subnet["masked_vs_sliced"].as_f64().unwrap() < 1e-5), "{summary}");
}

/// A run that ends with its cuts.
const AS_CUT: [&str; 2] = ["--set", "retrain=None"];

/// Removes what the run in the folder `run` cut by its scores, which it then does again.
fn forget_cuts(run: &Path) {
    fs::remove_file(run.join("summary.json")).unwrap();
    fs::remove_dir_all(run.join("subnets")).unwrap();
}

#[test]
fn scores_are_the_same_for_any_number_of_loader_threads() {
    let workspace = Workspace::new();
    for name in ["Taylor", "Variance"] {
        // More batches than an epoch has.
        let file = workspace.write("tiny.ron", &ranked_by(&format!("{name}(batches: 10)")));
        let run = workspace.path(name).join("tiny/seed=3");
        let masks = run.join("masks.safetensors");
        let scores = |threads: &str| {
            workspace.run(&file, &[&AS_CUT[..], &["--out", name, "--loader-threads", threads]].concat());
            let scores = fs::read(&masks).unwrap();
            forget_cuts(&run);
            fs::remove_file(&masks).unwrap();
            scores
        };
        let none = scores("0");
        for threads in ["1", "2", "5"] {
            assert!(scores(threads) == none, "{name}: {threads} threads give other scores than none");
        }
    }
}

#[test]
fn scores_stay_as_long_as_the_dense_network_that_they_are_of() {
    let workspace = Workspace::new();
    let file = workspace.write("tiny.ron", &ranked_by("Taylor(batches: 1)"));
    let scores = |out: &str, more: &[&str]| {
        workspace.run(&file, &[&AS_CUT[..], &["--out", out], more].concat());
        fs::read(workspace.path(out).join("tiny/seed=3/masks.safetensors")).unwrap()
    };
    let own = scores("runs", &[]);
    let others = scores("others", &["--set", "importance=Random"]);
    assert!(own != others);
    let run = workspace.path("runs/tiny/seed=3");
    let leave_others = || {
        forget_cuts(&run);
        fs::write(run.join("masks.safetensors"), &others).unwrap();
    };
    leave_others();
    assert!(scores("runs", &[]) == others, "there was no reason to compute them");

    leave_others();
    fs::remove_dir_all(run.join("checkpoints/pretrain")).unwrap();
    assert!(scores("runs", &[]) == own, "pretraining trained again");
    leave_others();
    assert!(scores("runs", &["--fresh"]) == own, "the run began anew");
    leave_others();
    let changed = scores("runs", &["--fresh", "--set", "pretrain.batch=64"]);
    assert!(changed != own && changed != others, "the dense network is another");
}
