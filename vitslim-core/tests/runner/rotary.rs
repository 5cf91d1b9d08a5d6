//! Networks whose queries and keys are turned by their places, and cut apart from values.

use serde_json::{Value, json};

use super::workspace::{TINY, Workspace, json as read, said};

#[test]
fn a_rotary_network_is_searched_cut_and_read_back() {
    let workspace = Workspace::new();
    let text = TINY
        .replace("heads: 2,", "heads: 2, qk_norm: true, rope: (temperature: 10), pos_embed: false,")
        .replace("\"head_dim\": (weight: 1e-3)", "\"qk_pair\": (weight: 1e-3), \"v_dim\": (weight: 1e-3)")
        .replace("\"head_dim\": 0.5", "\"qk_pair\": 0.5, \"v_dim\": 0.75");
    let file = workspace.write("tiny.ron", &text);
    let check = workspace.vitslim(&["check", "tiny.ron"]);
    assert!(check.status.success(), "{}", said(&check));
    let summary = workspace.run(&file, &[]);
    let subnet = &summary["subnets"][0];
    let kept = &subnet["kept"];
    assert_eq!((&kept["qk_pair"], &kept["v_dim"]), (&json!(0.5), &json!(0.75)), "{subnet}");
    assert!(subnet["masked_vs_sliced"].as_f64().unwrap() < 1e-5, "{subnet}");

    let folder = workspace.path("runs/tiny/seed=3/subnets").join(subnet["label"].as_str().unwrap());
    let network = read(&folder.join("network.json"));
    let pairs =
        |block: usize| network["units"][format!("blocks.{block}.attn.qk_pair")].as_u64().unwrap() as usize;
    for block in 0..2 {
        let rope = &network["constants"][format!("blocks.{block}.attn.rope")];
        assert_eq!(rope["frequencies"].as_array().unwrap().len(), 2 * pairs(block), "{network}");
        assert_eq!((&rope["side"], &rope["halves"]), (&json!(2), &json!(true)));
    }
    let label = format!("runs/tiny/seed=3/{}", subnet["label"].as_str().unwrap());
    let evaluated = workspace.vitslim(&["eval", &label, "--json"]);
    assert!(evaluated.status.success(), "{}", said(&evaluated));
    let evaluated: Value = serde_json::from_slice(&evaluated.stdout).unwrap();
    assert_eq!(evaluated["top1"], subnet["top1_retrained"], "{evaluated}");

    let stages = ["pretrain", "search", "retrain"].map(|stage| format!("{stage}.checkpointing=true"));
    let sets = stages.iter().flat_map(|set| ["--set", set.as_str()]);
    let again = workspace.run(&file, &sets.chain(["--out", "again"]).collect::<Vec<_>>());
    let top1 = |summary: &Value| summary["dense"]["top1"].as_f64().unwrap();
    // Attention is computed by other operations where nothing is kept of it.
    assert!((top1(&again) - top1(&summary)).abs() < 0.02, "{again}");
}
