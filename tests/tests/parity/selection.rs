//! The reference's selection, its hard logits and parameter counts, for the three granularities. Its rules live here and
//! not in the library, which has its own (`our_rules`).

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use serde_json::Value;
use vitslim_core::models::{Architecture, Vit};
use vitslim_core::slim::{Activation, MaskSet, MaskSpec, Plan, Slimmable, describe, kept_count};

use super::fixture::{LOGITS, Tensors, VARIANTS, assert_close, flat, host, json, masks, model};

/// Keeps every value of at least `ascending_sorted(values)[int((1 - budget) * n)]`.
fn reference_rule(values: &[Vec<f64>], budget: f64) -> (f64, Vec<Vec<bool>>) {
    let mut sorted: Vec<f64> = values.concat();
    sorted.sort_by(f64::total_cmp);
    let threshold = sorted[((1.0 - budget) * sorted.len() as f64) as usize];
    let kept = values.iter().map(|values| values.iter().map(|v| *v >= threshold).collect());
    (threshold, kept.collect())
}

/// A token that a later block keeps, all earlier blocks keep.
fn keep_what_later_blocks_keep(kept: &mut [Vec<bool>]) {
    for block in (0..kept.len() - 1).rev() {
        for token in 0..kept[block].len() {
            kept[block][token] |= kept[block + 1][token];
        }
    }
}

fn activated(masks: &MaskSet, name: &str) -> Vec<Vec<f64>> {
    let of_kind = masks.iter().filter(|mask| mask.path.ends_with(name));
    of_kind.map(|mask| host(mask.activated())).collect()
}

/// Masks of 0 and 1.
fn hard(model: &Vit, soft: &MaskSet, kept: &[(&str, &[Vec<bool>])]) -> MaskSet {
    let device = model.devices()[0].clone();
    let searched: Vec<_> = describe(model)
        .unwrap()
        .into_iter()
        .map(|dimension| {
            let spec = soft.get(&dimension.path).map(|mask| mask.spec).unwrap_or_default();
            (dimension, MaskSpec { activation: Activation::Identity, ..spec })
        })
        .filter(|(dimension, _)| soft.get(&dimension.path).is_some())
        .collect();
    let mut next: Vec<_> = kept.iter().map(|(name, kept)| (*name, kept.iter())).collect();
    MaskSet::new(&searched, &device).map_values(|path, _| {
        let (_, blocks) = next.iter_mut().find(|(name, _)| path.ends_with(name)).unwrap();
        let values: Vec<f32> = blocks.next().unwrap().iter().map(|&k| f32::from(u8::from(k))).collect();
        let count = values.len();
        Tensor::from_data(TensorData::new(values, [count]), &device)
    })
}

fn assert_same(what: &str, found: &[Vec<bool>], expected: &Value) {
    let found: Vec<f64> = found.concat().into_iter().map(|k| f64::from(u8::from(k))).collect();
    assert_eq!(found, flat(expected), "{what}");
}

#[test]
fn masks_thresholds_hard_logits_and_parameters() {
    let device = Device::flex();
    let (golden, io) = (json("selection.json"), Tensors::read("io.safetensors"));
    let model = model(0, &device);
    let dimensions = describe(&model).unwrap();
    for (variant, _) in VARIANTS {
        let soft = masks(&model, variant, &["head_dim", "hidden", "tokens"], 0);
        let cases = golden["variants"][variant]["cases"].as_array().unwrap();
        assert!(!cases.is_empty());
        for case in cases {
            let mut kept = Vec::new();
            for (name, theirs, tolerance) in
                [("head_dim", "attn", 0.0), ("hidden", "mlp", 0.0), ("tokens", "patch", 2e-7)]
            {
                let budget = case["budget"][theirs].as_f64().unwrap();
                let (threshold, mut keep) = reference_rule(&activated(&soft, name), budget);
                if name == "tokens" {
                    keep_what_later_blocks_keep(&mut keep);
                }
                let expected = case["threshold"][theirs].as_f64().unwrap();
                let expected = f64::from(expected as f32);
                assert_close("threshold", &[threshold], &[expected], tolerance);
                assert_same(theirs, &keep, &case[theirs]);
                kept.push((name, keep));
            }

            let borrowed: Vec<_> = kept.iter().map(|(name, keep)| (*name, keep.as_slice())).collect();
            let hard = hard(&model, &soft, &borrowed);
            let logits = model.gate(&hard).forward(io.tensor("images", &device)).class;
            assert_close("hard logits", &host(logits), &flat(&case["hard_logits"]), LOGITS);

            let mut plan = Plan::whole(&dimensions);
            for mask in hard.iter().filter(|mask| !mask.path.ends_with("tokens")) {
                let units = host(mask.unit_factors()).into_iter().enumerate();
                let cut = plan.get_mut(&mask.path).unwrap();
                cut.keep = units.filter(|(_, on)| *on == 1.0).map(|(unit, _)| unit).collect();
            }
            let sliced = model.slim(&plan).unwrap();
            let parameters = &case["params"];
            assert_eq!(Some(model.num_params() as u64), parameters["total"].as_u64());
            assert_eq!(Some(sliced.num_params() as u64), parameters["searched"].as_u64());
        }
    }
}

#[test]
fn masks_add_the_parameters_that_the_reference_counts() {
    let golden = json("selection.json");
    let model = model(0, &Device::flex());
    let masks = masks(&model, "full", &["head_dim", "hidden", "tokens"], 0);
    let case = &golden["variants"]["full"]["cases"][0];
    let with_masks = (model.num_params() + masks.num_params()) as u64;
    assert_eq!(Some(with_masks), case["params_total_before_compress"].as_u64());
}

#[test]
fn kept_counts_are_those_of_the_threshold_function() {
    let golden = json("selection.json");
    let examples = golden["index_examples_n_budget_index"].as_array().unwrap();
    assert!(examples.len() >= 100);
    for example in examples {
        let (n, budget) = (example[0].as_u64().unwrap() as usize, example[1].as_f64().unwrap());
        let index = example[2].as_u64().unwrap() as usize;
        assert_eq!(kept_count(n, budget), n - index, "{n} units at {budget}");
    }
}

#[test]
fn presets_have_the_parameters_of_the_reference() {
    let golden = json("selection.json");
    let totals = golden["deit_totals"].as_object().unwrap();
    assert!(!totals.is_empty());
    for (name, total) in totals {
        let presets = Vit::presets();
        let (_, config) = presets.iter().find(|(preset, _)| preset == name).expect(name);
        let model = Vit::init(config, &Device::flex()).unwrap();
        assert_eq!(Some(model.num_params() as u64), total["params_total"].as_u64(), "{name}");
    }
}
