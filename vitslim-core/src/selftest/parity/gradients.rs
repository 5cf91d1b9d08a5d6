//! Loss, l1 sums, and the gradients of masks and weights.

use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::tensor::{Device, Gradients, Tensor};

use super::fixture::{GRADIENTS, SEARCHED, SUMS, Tensors, VARIANTS, loss_tolerance, masks, model, zeta};
use crate::device::is_cpu;
use crate::models::Architecture;
use crate::selftest::comparison::host;
use crate::selftest::tolerance::{Products, tolerance};
use crate::selftest::{Checked, Comparison, Failure};
use crate::slim::{Granularity, Slimmable};

/// For all three granularities.
pub(super) fn gradients(device: &Device) -> Checked {
    let mut comparison = Comparison::default();
    for variant in VARIANTS {
        compare(variant, &device.clone().autodiff(), &mut comparison)?;
    }
    comparison.finish()
}

fn compare(
    variant: (&str, Granularity),
    device: &Device,
    comparison: &mut Comparison,
) -> Result<(), Failure> {
    let (io, golden) = (Tensors::read("io.safetensors")?, Tensors::read("grads.safetensors")?);
    let model = model(0, device)?.train();
    let (name, _) = variant;
    let prefix = if name == "full" { String::new() } else { format!("{name}.") };
    let expected = |name: &str| golden.values(&format!("{prefix}{name}"));
    let masks = masks(&model, variant, &SEARCHED, 0)?.train();

    let logits = model.gate(&masks).forward(io.tensor("images", device)?).class;
    let cross_entropy = CrossEntropyLossConfig::new().init(device).forward(logits, io.labels(device)?);
    let penalty = masks.penalty().ok_or_else(|| Failure::new("there is no penalty"))?;
    let loss = cross_entropy.clone() + penalty;
    comparison.close("cross entropy", &host(cross_entropy)?, &expected("loss_ce")?, loss_tolerance(device));
    comparison.close("loss", &host(loss.clone())?, &expected("loss")?, loss_tolerance(device));
    for (name, dimension) in [("l1_attn", "head_dim"), ("l1_mlp", "hidden"), ("l1_patch", "tokens")] {
        let mut sum = 0.0;
        for mask in masks.iter().filter(|mask| mask.path.ends_with(dimension)) {
            sum += host(mask.activated().abs())?.iter().sum::<f64>();
        }
        comparison.close(name, &[sum], &expected(name)?, SUMS);
    }

    let gradients = loss.backward();
    comparison.equal("masks", &masks.iter().len(), &(3 * model.blocks.len()));
    for mask in masks.iter() {
        let name = format!("grad.{}", zeta(&mask.path));
        let found = gradient(&mask.values.val(), &gradients, &name)?;
        close(comparison, &name, &host(found)?, &expected(&name)?, device);
    }
    if name == "full" {
        let block = &model.blocks[1];
        for (layer, weight) in [("attn.qkv", &block.attn.qkv.weight), ("mlp.fc2", &block.mlp.fc2.weight)] {
            // PyTorch's weights are `[out, in]`.
            let name = format!("grad.blocks.1.{layer}.weight");
            let found = gradient(&weight.val(), &gradients, &name)?.transpose();
            close(comparison, &name, &host(found)?, &expected(&name)?, device);
        }
        let name = "grad.blocks.1.attn.qkv.bias";
        let bias = block.attn.qkv.bias.as_ref().ok_or_else(|| Failure::new("there is no bias"))?;
        let found = gradient(&bias.val(), &gradients, name)?;
        close(comparison, name, &host(found)?, &expected(name)?, device);
    }
    Ok(())
}

/// Compares a gradient: on a GPU for its size, since an error of TF32 is one of the factors' size, and gradients are small.
fn close(comparison: &mut Comparison, name: &str, found: &[f64], expected: &[f64], device: &Device) {
    let tolerance = tolerance(device, GRADIENTS, Products::Gradients);
    match is_cpu(device) {
        true => comparison.close(name, found, expected, tolerance),
        false => comparison.close_for_its_size(name, found, expected, tolerance),
    }
}

fn gradient<const D: usize>(of: &Tensor<D>, gradients: &Gradients, name: &str) -> Result<Tensor<D>, Failure> {
    of.grad(gradients).ok_or_else(|| Failure::new(format!("{name}: there is no gradient")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::selftest::tolerance::{TF32, on_gpu};

    #[test]
    fn a_gradient_that_is_wrong_by_a_part_of_its_size_is_off_on_a_gpu_too() {
        let golden =
            Tensors::read("grads.safetensors").unwrap().values("uniform.grad.blocks.2.attn.patch_zeta");
        let golden = golden.unwrap();
        assert!(golden.iter().all(|value| value.abs() < 0.03));
        let off_by = |part: f64| golden.iter().map(|value| value * (1.0 + part)).collect::<Vec<_>>();
        let on_gpu = |part: f64| {
            let mut comparison = Comparison::default();
            let allowed = on_gpu(GRADIENTS, Products::Gradients, TF32);
            comparison.close_for_its_size("gradient", &off_by(part), &golden, allowed);
            comparison.finish().is_ok()
        };
        let on_cpu = |part: f64| {
            let mut comparison = Comparison::default();
            close(&mut comparison, "gradient", &off_by(part), &golden, &Device::flex());
            comparison.finish().is_ok()
        };
        assert!(on_gpu(0.005) && !on_gpu(0.02));
        assert!(on_cpu(1e-4) && !on_cpu(0.005));
    }
}
