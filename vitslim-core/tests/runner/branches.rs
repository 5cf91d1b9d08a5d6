//! Residual branches that are searched and cut.

use safetensors::SafeTensors;
use serde_json::{Value, json};

use super::workspace::{TINY, Workspace, repeatable, said};

/// The tiny experiment, which also searches branches, with these budgets.
fn with(budgets: &str) -> String {
    let start = TINY.find("        Share({ \"head_dim\"").unwrap();
    let end = TINY.find("    ],\n    retrain").unwrap();
    let text = format!("{}        {budgets},\n{}", &TINY[..start], &TINY[end..]);
    text.replace(
        "            \"hidden\":",
        "            \"attn_branch\": (weight: 1e-3),\n            \"mlp_branch\": (weight: 1e-3),\n            \"hidden\":",
    )
}

/// What is left of a network: the paths of its plan, each with how many units are kept and how many there were.
fn plan(workspace: &Workspace, label: &str) -> Vec<(String, usize, usize)> {
    let path = workspace.path("runs/tiny/seed=3/subnets").join(label).join("plan.ron");
    let plan: vitslim_core::slim::Plan = ron::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    plan.cuts.iter().map(|cut| (cut.dimension.clone(), cut.keep.len(), cut.units())).collect()
}

#[test]
fn a_branch_goes_with_all_that_it_has() {
    let workspace = Workspace::new();
    let text = with(
        "Share({ \"attn_branch\": 0.5, \"mlp_branch\": 0.5, \"head_dim\": 0.25, \"hidden\": 0.75 }), Macs(0.4)",
    );
    let file = workspace.write("tiny.ron", &text);

    let check = workspace.vitslim(&["check", "tiny.ron"]);
    let told = String::from_utf8_lossy(&check.stdout).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(check.status.success(), "{told} {}", said(&check));
    assert!(told.contains("blocks.*.mlp_branch ends at blocks.*.mlp.fc2"), "{told}");

    let summary = workspace.run(&file, &[]);
    let label = "share-0.5-0.5-0.25-0.75";
    let subnet = &summary["subnets"][0];
    assert_eq!(subnet["label"], label);
    assert!(subnet["masked_vs_sliced"].as_f64().unwrap() < 1e-5, "{subnet}");
    // Of 64 hidden units, 48 were asked for, and one branch has 32.
    let expected =
        json!({ "attn_branch": 0.5, "mlp_branch": 0.5, "tokens": 1.0, "head_dim": 0.25, "hidden": 0.5 });
    assert_eq!(subnet["kept"], expected);

    let plan = plan(&workspace, label);
    let kept = |path: &str| plan.iter().find(|(of, ..)| of == path).map(|(_, kept, _)| *kept).unwrap();
    let gone = |branch: &str| -> usize {
        let gone: Vec<usize> =
            (0..2).filter(|block| kept(&format!("blocks.{block}.{branch}")) == 0).collect();
        assert_eq!(gone.len(), 1, "{branch}");
        gone[0]
    };
    let (attention, mlp) = (gone("attn_branch"), gone("mlp_branch"));
    assert_eq!(kept(&format!("blocks.{attention}.attn.head_dim")), 0);
    assert_eq!(
        [kept(&format!("blocks.{mlp}.mlp.hidden")), kept(&format!("blocks.{}.mlp.hidden", 1 - mlp))],
        [0, 32]
    );

    let bytes =
        std::fs::read(workspace.path("runs/tiny/seed=3/subnets").join(label).join("model.safetensors"))
            .unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    for (name, tensor) in tensors.iter() {
        let in_branch = |block: usize, parts: [&str; 2]| {
            parts.iter().any(|part| name.starts_with(&format!("blocks.{block}.{part}.")))
        };
        let is_gone = in_branch(attention, ["norm1", "attn"]) || in_branch(mlp, ["norm2", "mlp"]);
        assert_eq!(tensor.data().is_empty(), is_gone, "{name}");
    }
    let sizes: u64 = tensors.iter().map(|(_, tensor)| tensor.data().len() as u64 / 4).sum();
    assert_eq!(subnet["params"], sizes);

    let limited = &summary["subnets"][1];
    let macs = |of: &Value| of["macs"].as_f64().unwrap();
    assert!(macs(limited) <= 0.4 * macs(&summary["dense"]), "{limited}");

    // Read back, and out.
    let evaluated = workspace.vitslim(&["eval", &format!("runs/tiny/seed=3/{label}"), "--json"]);
    assert!(evaluated.status.success(), "{}", said(&evaluated));
    let evaluated: Value = serde_json::from_slice(&evaluated.stdout).unwrap();
    assert_eq!(evaluated["top1"], subnet["top1_retrained"], "{evaluated}");
    for (format, out) in [("onnx", "a.onnx"), ("pytorch", "a.py"), ("safetensors", "b.safetensors")] {
        let network = format!("runs/tiny/seed=3/{label}");
        let exported = workspace.vitslim(&["export", &network, "--to", format, "--out", out]);
        assert!(exported.status.success(), "{format}: {}", said(&exported));
    }
    assert_eq!(repeatable(workspace.run(&file, &[])), repeatable(summary));
}

#[test]
fn what_is_spared_and_rounded_stays_where_its_branch_does() {
    let workspace = Workspace::new();
    let text = with("Share({ \"mlp_branch\": 0.5, \"hidden\": 0.5 }), Macs(0.4)").replace(
        "    retrain: (",
        "    keep_at_least: { \"hidden\": Layer(16) },\n    round_to: 8,\n    retrain: (",
    );
    let file = workspace.write("tiny.ron", &text);
    workspace.run(&file, &["--set", "pretrain=None", "--set", "retrain=None"]);
    let plan = plan(&workspace, "share-0.5-0.5");
    let kept = |path: &str| plan.iter().find(|(of, ..)| of == path).map(|(_, kept, _)| *kept).unwrap();
    let mut blocks: Vec<[usize; 2]> = (0..2)
        .map(|block| {
            [kept(&format!("blocks.{block}.mlp_branch")), kept(&format!("blocks.{block}.mlp.hidden"))]
        })
        .collect();
    blocks.sort_unstable();
    assert_eq!(blocks, [[0, 0], [1, 32]]);
}

#[test]
fn what_is_left_of_a_network_without_branches_is_searched_further() {
    let workspace = Workspace::new();
    let file = workspace.write("tiny.ron", &with("Share({ \"mlp_branch\": 0.5 })"));
    workspace.run(&file, &[]);
    let further = with("Share({ \"attn_branch\": 0.5, \"hidden\": 0.5 })")
        .replace("drop_path: 0.1)", "drop_path: 0.1), pretrained: \"runs/tiny/seed=3/share-0.5\"");
    let further = workspace.write("further.ron", &further.replace("name: \"tiny\"", "name: \"further\""));
    let summary = workspace.run(&further, &[]);
    let kept = &summary["subnets"][0]["kept"];
    assert_eq!((&kept["attn_branch"], &kept["hidden"]), (&json!(0.5), &json!(0.5)), "{kept}");
}
