//! What a run leaves.

use std::path::Path;

use safetensors::SafeTensors;
use serde_json::{Value, json};
use vitslim_core::slim::Plan;

use super::workspace::{self, TINY, Workspace, repeatable};

#[test]
fn a_run_leaves_what_the_readme_says_and_its_resolved_file_repeats_it() {
    let workspace = Workspace::new();
    let file = workspace.write("tiny.ron", TINY);
    let summary = workspace.run(&file, &[]);
    let folder = workspace.path("runs/tiny/seed=3");

    assert_eq!(summary["name"], "tiny");
    assert_eq!(summary["trial"], "seed=3");
    for stage in ["pretrain", "search", "retrain"] {
        assert!(summary["seconds"][stage].as_f64().unwrap() > 0.0);
    }
    let dense = &summary["dense"];
    let (dense_params, dense_macs) = (dense["params"].as_u64().unwrap(), dense["macs"].as_u64().unwrap());
    assert!((0.0..=1.0).contains(&dense["top1"].as_f64().unwrap()));
    assert_eq!(summary["search"]["epochs"], 2);

    let subnets = summary["subnets"].as_array().unwrap();
    let labels: Vec<_> = subnets.iter().map(|subnet| subnet["label"].as_str().unwrap()).collect();
    assert_eq!(labels, ["share-0.5-0.5-0.7", "share-0.1"]);
    // 2 blocks of 16 head dims, 32 hidden units and 4 image tokens: b * n, rounded up, are kept.
    assert_eq!(subnets[0]["kept"]["head_dim"].as_f64(), Some(16.0 / 32.0));
    assert_eq!(subnets[0]["kept"]["hidden"].as_f64(), Some(32.0 / 64.0));
    assert_eq!(subnets[0]["kept"]["tokens"].as_f64(), Some(6.0 / 8.0));
    assert_eq!(subnets[1]["kept"]["head_dim"].as_f64(), Some(1.0));
    assert_eq!(subnets[1]["kept"]["hidden"].as_f64(), Some(7.0 / 64.0));
    assert_eq!(subnets[0]["budget"]["share"]["tokens"].as_f64(), Some(0.7));

    for subnet in subnets {
        assert!(subnet["masked_vs_sliced"].as_f64().unwrap() <= 1e-5, "{subnet}");
        assert!(subnet["params"].as_u64().unwrap() < dense_params);
        assert!(subnet["macs"].as_u64().unwrap() < dense_macs);
        assert!(subnet["images_per_second"].as_f64().unwrap() > 0.0);
        let folder = folder.join("subnets").join(subnet["label"].as_str().unwrap());
        let mut result = workspace::json(&folder.join("result.json"));
        assert_eq!(result.as_object_mut().unwrap().remove("device").as_ref(), Some(&summary["device"]));
        assert_eq!(&result, subnet);

        let plan: Plan = ron::from_str(&std::fs::read_to_string(folder.join("plan.ron")).unwrap()).unwrap();
        let kept = |name: &str| -> usize {
            let cuts = plan.cuts.iter().filter(|cut| cut.dimension.ends_with(name));
            cuts.map(|cut| cut.keep.len()).sum()
        };
        assert_eq!(subnet["kept"]["hidden"].as_f64(), Some(kept("hidden") as f64 / 64.0));

        let weights = std::fs::read(folder.join("model.safetensors")).unwrap();
        let weights = SafeTensors::deserialize(&weights).unwrap();
        let numbers = |shape: &[usize]| shape.iter().product::<usize>() as u64;
        let params: u64 = weights.tensors().iter().map(|(_, tensor)| numbers(tensor.shape())).sum();
        assert_eq!(subnet["params"].as_u64(), Some(params));
        // Names and layout of timm: the weight of a linear layer is `[out, in]`.
        let fc1 = weights.tensor("blocks.0.mlp.fc1.weight").unwrap();
        assert_eq!(fc1.shape(), [plan.get("blocks.0.mlp.hidden").unwrap().keep.len(), 16]);
        weights.tensor("blocks.1.norm2.weight").unwrap();
        assert_described(&workspace::json(&folder.join("network.json")), &plan, &weights);
    }

    let masks = std::fs::read(folder.join("masks.safetensors")).unwrap();
    let masks = SafeTensors::deserialize(&masks).unwrap();
    assert_eq!(masks.tensor("blocks.1.mlp.hidden").unwrap().shape(), [32]);
    assert_eq!(masks.tensor("blocks.0.tokens").unwrap().shape(), [4]);
    assert_eq!(masks.len(), 6);

    let metrics = std::fs::read_to_string(folder.join("metrics.jsonl")).unwrap();
    let lines: Vec<serde_json::Value> =
        metrics.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let places: Vec<_> =
        lines.iter().map(|line| (line["stage"].as_str().unwrap(), line["epoch"].as_u64().unwrap())).collect();
    let expected =
        [("pretrain", 1), ("pretrain", 2), ("search", 1), ("search", 2), ("retrain", 1), ("retrain", 1)];
    assert_eq!(places, expected);
    for line in &lines {
        assert!(line["train"]["loss"].as_f64().unwrap() > 0.0, "{line}");
        assert!((0.0..=1.0).contains(&line["held_out"]["top1"].as_f64().unwrap()), "{line}");
        assert_eq!(line["stage"] == "search", line["train"]["penalty"].is_number(), "{line}");
    }
    assert_eq!(lines[5]["subnet"], "share-0.1");

    let resolved = folder.join("experiment.ron");
    let again = workspace.run(&resolved, &["--out", "again"]);
    assert_eq!(repeatable(again), repeatable(summary));
    let [first, second] = ["runs", "again"].map(|out| workspace.path(out).join("tiny/seed=3"));
    let of_subnets = ["plan.ron", "model.safetensors", "network.json"];
    let of_subnets = of_subnets.map(|file| format!("subnets/share-0.5-0.5-0.7/{file}"));
    for file in of_subnets.iter().map(String::as_str).chain(["masks.safetensors", "normalisation.json"]) {
        let read = |folder: &Path| std::fs::read(folder.join(file)).unwrap();
        assert!(read(&first) == read(&second), "{file} is not the same");
    }
}

/// `network.json` has what the plan and the weights say.
fn assert_described(network: &Value, plan: &Plan, weights: &SafeTensors) {
    assert_eq!((network["version"].as_u64(), network["architecture"].as_str()), (Some(1), Some("vit")));
    assert_eq!(network["config"]["depth"], 2);
    assert_eq!(network["classes"], json!(["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]));
    assert_eq!((&network["images"]["size"], &network["images"]["white"]), (&json!(8), &json!(16)));
    assert_eq!(network["images"]["resize"], Value::Null);
    assert_eq!(network["images"]["mean"].as_array().unwrap().len(), 1);
    assert_eq!(network["activations"], json!(["gelu"]));
    assert_eq!(network["units"]["width"], 16);
    assert_eq!(network["constants"]["blocks.1.norm2"], json!({ "width": 16, "epsilon": 1e-6 }));
    for block in 0..2 {
        let path = |name: &str| format!("blocks.{block}.{name}");
        let keep = |name: &str| &plan.get(&path(name)).unwrap().keep;
        assert_eq!(network["units"][path("mlp.hidden")], keep("mlp.hidden").len());
        assert_eq!(network["tokens"][path("tokens")], json!({ "prefix": 1, "keep": keep("tokens") }));
        let heads = &network["heads"][path("attn.head_dim")];
        let sizes = [0..8, 8..16]
            .map(|head| keep("attn.head_dim").iter().filter(|&&unit| head.contains(&unit)).count());
        let sizes: Vec<_> = sizes.into_iter().filter(|&size| size > 0).collect();
        assert_eq!(*heads, json!({ "sizes": sizes, "scale": 8_f64.powf(-0.5) }));
        let qkv = weights.tensor(&path("attn.qkv.weight")).unwrap();
        assert_eq!(qkv.shape(), [3 * sizes.iter().sum::<usize>(), 16]);
    }
}

#[test]
fn another_seed_gives_another_run_and_stages_may_be_left_out() {
    let workspace = Workspace::new();
    let file = workspace.write("tiny.ron", TINY);
    let short = ["--set", "pretrain=None", "--set", "retrain=None", "--set", "search.epochs=1"];
    let hard = ["--set", "cut=Hard"];
    let first = workspace.run(&file, &short);
    assert!(first["seconds"]["pretrain"].is_null() && first["seconds"]["retrain"].is_null());
    assert!(first["subnets"][0]["top1_retrained"].is_null());
    assert!(first["subnets"][0]["top1_sliced"].is_number());

    let seed = [&short[..], &["--set", "seed=4"]].concat();
    let other = workspace.run(&file, &seed);
    assert_eq!(other["trial"], "seed=4");
    let masks =
        |trial| std::fs::read(workspace.path("runs/tiny").join(trial).join("masks.safetensors")).unwrap();
    assert!(masks("seed=4") != masks("seed=3"));

    let hard = workspace.run(&file, &[&short[..], &hard, &["--out", "hard"]].concat());
    assert_eq!(hard["dense"], first["dense"]);
    assert!(hard["subnets"][0]["masked_vs_sliced"].as_f64().unwrap() <= 1e-5);
    let [folded, hard] = ["runs", "hard"].map(|out| {
        let weights = "tiny/seed=3/subnets/share-0.1/model.safetensors";
        std::fs::read(workspace.path(out).join(weights)).unwrap()
    });
    let [folded, hard] = [&folded, &hard].map(|bytes| SafeTensors::deserialize(bytes).unwrap());
    let same = |name: &str| folded.tensor(name).unwrap().data() == hard.tensor(name).unwrap().data();
    // Masks are folded where they gate, and nowhere else.
    assert!(!same("blocks.0.mlp.fc2.weight") && !same("blocks.0.attn.qkv.weight"));
    assert!(same("blocks.0.mlp.fc1.weight") && same("blocks.0.norm1.weight"));
}

#[test]
fn granularity_and_globs_reach_the_plan() {
    let workspace = Workspace::new();
    let file = workspace.write("tiny.ron", TINY);
    let dimensions = r#"search.dimensions={"blocks.0.attn.head_dim": (weight: 1e-3, granularity: Group), "blocks.1.*.head_dim": (weight: 1e-3, granularity: Uniform), "width": (weight: 1e-4)}"#;
    let budgets =
        r#"budgets=[Share({"blocks.0.attn.head_dim": 0.5, "blocks.1.attn.head_dim": 0.5, "width": 0.5})]"#;
    let sets = ["pretrain=None", "retrain=None", "search.epochs=1", dimensions, budgets];
    let args: Vec<_> = sets.iter().flat_map(|set| ["--set", set]).collect();
    let summary = workspace.run(&file, &args);
    assert!(summary["subnets"][0]["masked_vs_sliced"].as_f64().unwrap() <= 1e-4);
    assert_eq!(summary["subnets"][0]["kept"]["width"].as_f64(), Some(0.5));

    let plan = workspace.path("runs/tiny/seed=3/subnets/share-0.5-0.5-0.5/plan.ron");
    let plan: Plan = ron::from_str(&std::fs::read_to_string(plan).unwrap()).unwrap();
    let whole_head = &plan.get("blocks.0.attn.head_dim").unwrap().keep;
    assert!(*whole_head == (0..8).collect::<Vec<_>>() || *whole_head == (8..16).collect::<Vec<_>>());
    let uniform = &plan.get("blocks.1.attn.head_dim").unwrap().keep;
    let (first, second) = uniform.split_at(4);
    assert!(first.iter().map(|unit| unit + 8).eq(second.iter().copied()), "{uniform:?}");
}
