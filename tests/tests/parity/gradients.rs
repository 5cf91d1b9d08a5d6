//! Loss, l1 sums, and the gradients of masks and weights.

use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::tensor::Device;
use vitslim_core::models::Architecture;
use vitslim_core::slim::Slimmable;

use super::fixture::{GRADIENTS, SUMS, Tensors, VARIANTS, assert_close, host, masks, model, zeta};

#[test]
fn loss_and_gradients_of_the_three_granularities() {
    let device = Device::flex().autodiff();
    let (io, golden) = (Tensors::read("io.safetensors"), Tensors::read("grads.safetensors"));
    let model = model(0, &device).train();
    for (variant, _) in VARIANTS {
        let prefix = if variant == "full" { String::new() } else { format!("{variant}.") };
        let expected = |name: &str| golden.values(&format!("{prefix}{name}"));
        let masks = masks(&model, variant, &["head_dim", "hidden", "tokens"], 0).train();

        let logits = model.gate(&masks).forward(io.tensor("images", &device)).class;
        let cross_entropy = CrossEntropyLossConfig::new().init(&device).forward(logits, io.labels(&device));
        let loss = cross_entropy.clone() + masks.penalty().unwrap();
        assert_close("cross entropy", &host(cross_entropy), &expected("loss_ce"), GRADIENTS);
        assert_close("loss", &host(loss.clone()), &expected("loss"), GRADIENTS);
        for (name, dimension) in [("l1_attn", "head_dim"), ("l1_mlp", "hidden"), ("l1_patch", "tokens")] {
            let of_kind = masks.iter().filter(|mask| mask.path.ends_with(dimension));
            let sum: f64 = of_kind.flat_map(|mask| host(mask.activated().abs())).sum();
            assert_close(name, &[sum], &expected(name), SUMS);
        }

        let gradients = loss.backward();
        let mut compared = 0;
        for mask in masks.iter() {
            let gradient = mask.values.val().grad(&gradients).expect(&mask.path);
            let name = format!("grad.{}", zeta(&mask.path));
            assert_close(&name, &host(gradient), &expected(&name), GRADIENTS);
            compared += 1;
        }
        assert_eq!(compared, 3 * model.blocks.len());

        if variant == "full" {
            let block = &model.blocks[1];
            let weights = [
                ("attn.qkv", block.attn.qkv.weight.val().grad(&gradients)),
                ("mlp.fc2", block.mlp.fc2.weight.val().grad(&gradients)),
            ];
            for (layer, gradient) in weights {
                // PyTorch's weights are `[out, in]`.
                let gradient = gradient.expect(layer).transpose();
                let name = format!("grad.blocks.1.{layer}.weight");
                assert_close(&name, &host(gradient), &expected(&name), GRADIENTS);
            }
            let bias = block.attn.qkv.bias.as_ref().unwrap().val().grad(&gradients).unwrap();
            let name = "grad.blocks.1.attn.qkv.bias";
            assert_close(name, &host(bias), &expected(name), GRADIENTS);
        }
    }
}
