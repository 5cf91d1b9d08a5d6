//! Linear layers, each followed by a batch norm instead of a bias.

use vitslim_core::prelude::*;

/// A layer and its norm.
pub fn normed_linear(inputs: usize, outputs: usize, device: &Device) -> (Linear, BatchNorm) {
    let linear = LinearConfig::new(inputs, outputs).with_bias(false).init(device);
    (linear, BatchNormConfig::new(outputs).init(device))
}

/// # Shapes
///
/// - x: `[batch, patches, inputs]`
/// - output: `[batch, patches, outputs]`
pub fn normed((linear, norm): &(Linear, BatchNorm), x: Tensor<3>) -> Tensor<3> {
    norm.forward(linear.forward(x).swap_dims(1, 2)).swap_dims(1, 2)
}
