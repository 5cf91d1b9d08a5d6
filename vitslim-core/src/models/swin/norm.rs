use burn::tensor::Device;

use crate::nn::{LayerNorm, LayerNormConfig};

/// Swin's norms have PyTorch's own epsilon, not that of a ViT.
pub(super) fn norm(width: usize, device: &Device) -> LayerNorm {
    LayerNormConfig::new(width).with_epsilon(1e-5).init(device)
}
