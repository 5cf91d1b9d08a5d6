//! Our own rules where the original has quirks, against an independent program: `removed.json`, `removed.safetensors`.

use burn::tensor::Device;
use vitslim_core::models::Architecture;
use vitslim_core::slim::{Ranking, Slimmable, describe, rank};

use super::fixture::{LOGITS, Tensors, assert_close, flat, host, json, masks, model};

#[test]
fn kept_units_and_sliced_logits() {
    let device = Device::flex();
    let (golden, logits) = (json("removed.json"), Tensors::read("removed.safetensors"));
    let io = Tensors::read("io.safetensors");
    let prefix = golden["prefix_tokens"].as_u64().unwrap() as usize;
    let model = model(prefix, &device);
    let dimensions = describe(&model).unwrap();
    let names = ["head_dim", "hidden", "tokens"];
    let masks = masks(&model, "full", &names, prefix);

    let cases = golden["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 5);
    for (index, case) in cases.iter().enumerate() {
        let shares = flat(&case["budget"]);
        let rankings: Vec<_> =
            names.iter().zip(shares).map(|(name, share)| Ranking::named(&dimensions, name, share)).collect();
        let plan = rank(&dimensions, &masks, &rankings).unwrap();
        for (kind, name) in names.iter().enumerate() {
            let cuts = plan.cuts.iter().filter(|cut| cut.dimension.ends_with(name));
            let kept: Vec<f64> = cuts
                .flat_map(|cut| (0..cut.units()).map(|unit| f64::from(u8::from(cut.keep.contains(&unit)))))
                .collect();
            assert_eq!(kept, flat(&case[*name]), "case {index}: {name}");
            assert_eq!(Some(kept.iter().sum::<f64>()), case["kept"][kind].as_f64());
        }

        let images = io.tensor("images", &device);
        let hard = model.slim(&plan).unwrap().forward(images.clone()).class;
        let expected = logits.values(&format!("case{index}.hard.logits"));
        assert_close("hard", &host(hard), &expected, LOGITS);

        let fold = model.fold(&masks).slim(&plan).unwrap().forward(images).class;
        let expected = logits.values(&format!("case{index}.fold.logits"));
        assert_close("fold", &host(fold), &expected, LOGITS);
    }
}
