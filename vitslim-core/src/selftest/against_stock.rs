//! A layer on a device beside stock operations in f64 on the CPU.

use burn::module::Param;
use burn::tensor::{DType, Device, Tensor, TensorCreationOptions};

use super::comparison::Comparison;
use super::failure::Failure;
use super::tolerance::{Products, tolerance};

pub(super) const ATTENTION_SCALE: f64 = 0.3;

pub(super) const ROUNDS: u64 = 40;

/// Largest difference of a value from that in f64, over the largest value.
pub(super) const F32: f64 = 4e-6;

pub(super) type Named = Vec<(&'static str, Vec<f64>)>;

/// The output of an operation, and the gradients of its inputs if that of its output is `weigh`.
macro_rules! output_and_gradients {
    ($weigh:expr, [$($input:ident),+], $output:expr) => {{
        let output = $output;
        let weigh = $weigh.on((&output.device(), output.dtype()));
        let gradients = (output.clone() * weigh).sum().backward();
        let gradient_of = |name: &str| Failure::new(format!("{name} has no gradient"));
        let named: Named = vec![
            ("output", host(output)?),
            $((stringify!($input), host($input.grad(&gradients).ok_or_else(|| gradient_of(stringify!($input)))?)?)),+
        ];
        Ok::<Named, Failure>(named)
    }};
}

pub(super) use output_and_gradients;

/// Compares the results of `compute` on `device` with those of `stock` in f64 on the CPU.
pub(super) fn compare(
    comparison: &mut Comparison,
    (device, products): (&Device, Products),
    case: &str,
    compute: impl FnOnce(&TensorCreationOptions) -> Result<Named, Failure>,
    stock: impl FnOnce(&TensorCreationOptions) -> Result<Named, Failure>,
) -> Result<(), Failure> {
    let found = compute(&(&device.clone().autodiff()).into())?;
    let expected = stock(&(&Device::flex().autodiff(), DType::F64).into())?;
    let tolerance = tolerance(device, F32, products);
    for ((name, found), (_, expected)) in found.iter().zip(&expected) {
        comparison.close_for_its_size(&format!("{name} of {case}"), found, expected, tolerance);
    }
    Ok(())
}

/// A parameter that stays in the graph of `tensor`.
pub(super) fn as_it_is<const D: usize>(tensor: Tensor<D>) -> Param<Tensor<D>> {
    Param::initialized(burn::module::ParamId::new(), tensor)
}
