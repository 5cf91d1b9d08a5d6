//! How far a device may be off, by the precision that it may compute in.

use burn::tensor::Device;

use crate::device::{has_tf32, is_cpu};

/// Error of a product of matrices in TF32, over its largest value: each factor keeps ten bits of fraction.
pub(super) const TF32: f64 = 5e-4;

/// All else on a GPU: it adds in another order, and has its own exponential function.
pub(super) const GPU: f64 = 2e-5;

/// The products of matrices that follow one another. Their errors add up, if only in part.
#[derive(Clone, Copy, Debug)]
pub(super) enum Products {
    /// No matrices.
    None,
    /// Two matrices.
    One,
    /// The scores and the values of an attention, and the gradients of both. In an emulation, TF32 makes 1.5e-3.
    Attention,
    /// The layers of a small network. In an emulation of that of the golden numbers, TF32 makes 1.9e-3 in logits of up to 2.3.
    Network,
    /// The gradients of such a network, over the largest value of each. In bf16, whose factors keep three bits less, the one that is
    /// furthest off is off by 4.2e-2, and the middle one by 9e-3.
    Gradients,
    /// Hundreds of steps of training such a network. In an emulation of `data/trajectory`, TF32 makes 4.4e-3 in losses, over their size,
    /// and 1.5e-3 in weights.
    Training,
}

/// What `device` may be off where it may be off by `on_cpu` on the CPU, which computes f32.
pub(super) fn tolerance(device: &Device, on_cpu: f64, products: Products) -> f64 {
    if is_cpu(device) { on_cpu } else { on_gpu(on_cpu, products, if has_tf32(device) { TF32 } else { GPU }) }
}

/// [`tolerance`] on a GPU whose products are off by `product`.
pub(super) fn on_gpu(on_cpu: f64, products: Products, product: f64) -> f64 {
    let products = match products {
        Products::None => GPU,
        Products::One => product,
        Products::Attention => 4.0 * product,
        Products::Network => 8.0 * product,
        Products::Gradients => 16.0 * product,
        Products::Training => 32.0 * product,
    };
    on_cpu.max(products)
}
