//! What the units of a network are ranked by, where no search trains masks.

use std::collections::BTreeSet;
use std::fs;

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
    let (fits, printed) = check(&TINY.replace("seed: 3,", "seed: 3, importance: Taylor,"));
    assert!(fits, "{printed}");
}

#[test]
fn a_corrected_cut_shares_what_comes_before_it_and_leaves_other_weights() {
    let workspace = Workspace::new();
    let text = ranked_by("Taylor").replace("seed: 3,", "seed: 3,\n    correct: Sweep([false, true]),");
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
    let summary = json(&workspace.path("runs/tiny/correct=true,seed=3/summary.json"));
    let subnets = summary["subnets"].as_array().unwrap();
    assert!(subnets.iter().all(|subnet| subnet["masked_vs_sliced"].as_f64().unwrap() < 1e-5), "{summary}");
}
