//! vitslim's own rules, where the original has quirks, against an independent program: `removed.json`, `removed.safetensors`.

use burn::tensor::Device;

use super::fixture::{SEARCHED, Tensors, VARIANTS, json, logits_tolerance, masks, model};
use super::golden::Removed;
use crate::models::Architecture;
use crate::selftest::comparison::host;
use crate::selftest::{Checked, Comparison};
use crate::slim::{Cut, Ranking, Slimmable, describe, rank};

/// Kept units and sliced logits.
pub(super) fn own_rules(device: &Device) -> Checked {
    let golden: Removed = json("removed.json")?;
    let (logits, io) = (Tensors::read("removed.safetensors")?, Tensors::read("io.safetensors")?);
    let model = model(golden.prefix_tokens, device)?;
    let dimensions = describe(&model)?;
    let masks = masks(&model, VARIANTS[0], &SEARCHED, golden.prefix_tokens)?;

    let mut comparison = Comparison::default();
    comparison.equal("cases", &golden.cases.len(), &5);
    for (index, case) in golden.cases.iter().enumerate() {
        let shares = SEARCHED.iter().zip(case.budget);
        let rankings: Vec<_> = shares.map(|(name, share)| Ranking::named(&dimensions, name, share)).collect();
        let plan = rank(&dimensions, &masks, &rankings)?;
        for (name, count) in SEARCHED.iter().zip(case.kept) {
            let cuts = plan.cuts.iter().filter(|cut| cut.dimension.ends_with(name));
            let kept: Vec<f64> = cuts.flat_map(kept).collect();
            comparison.holds(kept == case.of(name), format!("case {index} keeps other {name}"));
            comparison.equal(&format!("case {index}: {name}"), &kept.iter().sum::<f64>(), &count);
        }

        let images = io.tensor("images", device)?;
        let hard = model.slim(&plan)?.forward(images.clone()).class;
        let fold = model.fold(&masks).slim(&plan)?.forward(images).class;
        for (cut, found) in [("hard", hard), ("fold", fold)] {
            let name = format!("case{index}.{cut}.logits");
            comparison.close(&name, &host(found)?, &logits.values(&name)?, logits_tolerance(device));
        }
    }
    comparison.finish()
}

/// 0 or 1 for each unit.
fn kept(cut: &Cut) -> impl Iterator<Item = f64> {
    (0..cut.units()).map(|unit| f64::from(u8::from(cut.keep.contains(&unit))))
}
