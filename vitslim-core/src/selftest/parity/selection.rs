//! The selection, hard logits, parameter counts and flops of the reference, for the three granularities. The rules of the reference
//! are implemented here; `own_rules` checks vitslim's own.

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};

use super::fixture::{SEARCHED, Tensors, VARIANTS, config, json, logits_tolerance, masks, model};
use super::golden::Selection;
use crate::graph::vit_slim;
use crate::models::{Architecture, Vit};
use crate::selftest::comparison::host;
use crate::selftest::{Checked, Comparison, Failure};
use crate::slim::{Activation, MaskSet, MaskSpec, Plan, Slimmable, describe, kept_count};

/// Whether each unit of each block is kept.
type Kept = Vec<Vec<bool>>;

/// How many of `count` values the reference cuts. f64 makes it one fewer where `1 - budget` falls short: of 10 at 0.9, none.
fn reference_index(count: usize, budget: f64) -> usize {
    ((1.0 - budget) * count as f64) as usize
}

/// Keeps every value of at least `ascending_sorted(values)[reference_index]`.
fn reference_rule(values: &[Vec<f64>], budget: f64) -> Result<(f64, Kept), Failure> {
    let mut sorted: Vec<f64> = values.concat();
    sorted.sort_by(f64::total_cmp);
    let threshold = *sorted
        .get(reference_index(sorted.len(), budget))
        .ok_or_else(|| Failure::new(format!("a budget of {budget}")))?;
    let kept = values.iter().map(|values| values.iter().map(|v| *v >= threshold).collect());
    Ok((threshold, kept.collect()))
}

/// A token that a later block keeps is kept by all earlier blocks.
fn keep_what_later_blocks_keep(kept: &mut Kept) {
    for block in (1..kept.len()).rev() {
        let (earlier, later) = kept.split_at_mut(block);
        for (earlier, later) in earlier[block - 1].iter_mut().zip(&later[0]) {
            *earlier |= later;
        }
    }
}

fn activated(masks: &MaskSet, name: &str) -> Result<Vec<Vec<f64>>, Failure> {
    let of_kind = masks.iter().filter(|mask| mask.path.ends_with(name));
    of_kind.map(|mask| host(mask.activated())).collect()
}

/// Masks of 0 and 1.
fn hard(model: &Vit, soft: &MaskSet, kept: &[(&str, Kept)], device: &Device) -> Result<MaskSet, Failure> {
    let dimensions = describe(model)?.into_iter();
    let searched: Vec<_> = dimensions
        .filter_map(|dimension| {
            let spec = soft.get(&dimension.path)?.spec;
            Some((dimension, MaskSpec { activation: Activation::Identity, ..spec }))
        })
        .collect();
    let mut next: Vec<_> = kept.iter().map(|(name, kept)| (*name, kept.iter())).collect();
    Ok(MaskSet::new(&searched, device).map_values(|path, old| {
        let blocks = next.iter_mut().find(|(name, _)| path.ends_with(name));
        match blocks.and_then(|(_, blocks)| blocks.next()) {
            Some(kept) => {
                let values: Vec<f32> = kept.iter().map(|&kept| f32::from(u8::from(kept))).collect();
                Tensor::from_data(TensorData::new(values, [kept.len()]), device)
            }
            None => old,
        }
    }))
}

/// Masks, thresholds, hard logits, parameters and flops.
pub(super) fn selection(device: &Device) -> Checked {
    let (golden, io) = (json::<Selection>("selection.json")?, Tensors::read("io.safetensors")?);
    // With and without a mask on the class token.
    let (model, whole) = (model(0, device)?, model(1, device)?);
    let (dimensions, config) = (describe(&model)?, config()?);
    let mut comparison = Comparison::default();
    for variant in VARIANTS {
        let soft = masks(&model, variant, &SEARCHED, 0)?;
        let cases = golden.variants.get(variant.0).map(|variant| variant.cases.as_slice());
        let cases = cases.unwrap_or_default();
        comparison.holds(!cases.is_empty(), format!("{} has no cases", variant.0));
        for (index, case) in cases.iter().enumerate() {
            let what = |what: &str| format!("{what} of {} {index}", variant.0);
            let mut kept = Vec::new();
            for name in SEARCHED {
                let (threshold, mut keep) = reference_rule(&activated(&soft, name)?, *case.budget.of(name))?;
                let expected = f64::from(*case.threshold.of(name) as f32);
                let name_of = what(&format!("{name} threshold"));
                if name == "tokens" {
                    keep_what_later_blocks_keep(&mut keep);
                    comparison.within(name_of, (threshold - expected).abs(), 2e-7);
                } else {
                    comparison.equal(&name_of, &threshold, &expected);
                }
                let found: Vec<f64> = keep.concat().into_iter().map(|k| f64::from(u8::from(k))).collect();
                comparison.holds(found == case.kept.of(name).0, what(&format!("other {name}")));
                kept.push((name, keep));
            }

            let hard = hard(&model, &soft, &kept, device)?;
            let logits = model.gate(&hard).forward(io.tensor("images", device)?).class;
            comparison.close(
                &what("hard logits"),
                &host(logits)?,
                &case.hard_logits.0,
                logits_tolerance(device),
            );

            let mut plan = Plan::whole(&dimensions);
            for mask in hard.iter() {
                let units = host(mask.unit_factors())?.into_iter().enumerate();
                if let Some(cut) = plan.get_mut(&mask.path) {
                    cut.keep = units.filter(|(_, on)| *on == 1.0).map(|(unit, _)| unit).collect();
                }
            }
            let sliced = model.slim(&plan)?;
            comparison.equal(&what("parameters"), &(model.num_params() as u64), &case.params.total);
            let counts = vit_slim("vit", &sliced, &config)?;
            comparison.equal(&what("sliced parameters"), &counts.params, &case.params.searched);
            comparison.equal(&what("flops"), &vit_slim("vit", &whole, &config)?.flops, &case.flops.total);
            comparison.equal(&what("sliced flops"), &counts.flops, &case.flops.searched);
        }
    }
    comparison.finish()
}

/// The counts of the threshold function of the reference, and that ours are those without the error of f64.
pub(super) fn kept_counts(_: &Device) -> Checked {
    let golden: Selection = json("selection.json")?;
    let mut comparison = Comparison::default();
    comparison.equal("examples", &golden.index_examples_n_budget_index.len(), &100);
    for (n, budget, index) in golden.index_examples_n_budget_index {
        let case = format!("{n} units at {budget}");
        comparison.equal(&case, &reference_index(n, budget), &index);
        let (ours, theirs) = (kept_count(n, budget), n - index);
        comparison
            .holds(ours == theirs || ours + 1 == theirs, format!("{case}: {ours} and {theirs} are kept"));
    }
    comparison.finish()
}

/// The parameters and flops of the presets, and the parameters of the model with its masks, as the reference counts them.
pub(super) fn parameters(device: &Device) -> Checked {
    let golden: Selection = json("selection.json")?;
    let mut comparison = Comparison::default();
    for (name, total) in &golden.deit_totals {
        let presets = Vit::presets();
        let preset = presets.iter().find(|(preset, _)| preset == name);
        let (_, config) = preset.ok_or_else(|| Failure::new(format!("there is no preset `{name}`")))?;
        let counts = vit_slim("vit", &Vit::init(config, device)?, config)?;
        comparison.equal(name, &counts.params, &total.params_total);
        comparison.equal(&format!("flops of {name}"), &counts.flops, &total.flops_total);
    }
    let model = model(0, device)?;
    for variant in VARIANTS {
        let found = model.num_params() + masks(&model, variant, &SEARCHED, 0)?.num_params();
        let cases = golden.variants.get(variant.0).map(|variant| variant.cases.as_slice());
        for case in cases.unwrap_or_default() {
            comparison.equal(variant.0, &found, &case.params_total_before_compress);
        }
    }
    comparison.holds(!golden.deit_totals.is_empty(), "no totals");
    comparison.finish()
}
