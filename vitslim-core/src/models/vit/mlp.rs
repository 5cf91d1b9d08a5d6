//! The MLP of a block.

use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::activation::silu;
use burn::tensor::{Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::nn::{Dropout, Gelu, Linear, LinearConfig, fused_mlp, normal};
use crate::slim::Slimmable;

/// The kinds of an MLP, by timm's names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum MlpLayer {
    /// Two linear layers with a GELU between.
    #[default]
    Mlp,
    /// SwiGLU (Shazeer 2020), as in DINOv2: the first layer has two outputs for each hidden unit, and the SiLU of one multiplies the
    /// other. timm's `mlp_ratio` counts both.
    SwiGLUPacked,
}

impl MlpLayer {
    /// Outputs of the first layer for each hidden unit.
    pub(super) fn branches(self) -> usize {
        match self {
            Self::Mlp => 1,
            Self::SwiGLUPacked => 2,
        }
    }
}

/// Configuration of an [`Mlp`].
#[derive(Config, Debug)]
pub struct MlpConfig {
    /// Number of features.
    pub dim: usize,
    /// Number of hidden units.
    pub hidden: usize,
    /// Its kind.
    #[config(default = "MlpLayer::Mlp")]
    pub layer: MlpLayer,
    /// Whether both layers have a bias.
    #[config(default = true)]
    pub bias: bool,
    /// Probability of dropping a feature after each layer.
    #[config(default = 0.0)]
    pub dropout: f64,
}

impl MlpConfig {
    /// An MLP with random weights.
    pub fn init(&self, device: &Device) -> Mlp {
        let linear = |inputs, outputs| LinearConfig::new(inputs, outputs).with_bias(self.bias).init(device);
        Mlp {
            branches: self.layer.branches(),
            fc1: match self.layer {
                MlpLayer::Mlp => linear(self.dim, self.hidden),
                MlpLayer::SwiGLUPacked => self.packed(device),
            },
            act: Gelu::new(),
            fc2: linear(self.hidden, self.dim),
            drop: Dropout::new(self.dropout),
        }
    }

    /// The first layer of a SwiGLU. As in timm, the values that the gate multiplies begin at 1.
    fn packed(&self, device: &Device) -> Linear {
        let half = |std| normal([self.dim, self.hidden], std, device).val();
        let weight = Param::from_tensor(Tensor::cat(vec![half(0.02), half(1e-6)], 1));
        let (zeros, ones) = (Tensor::zeros([self.hidden], device), Tensor::ones([self.hidden], device));
        let bias = self.bias.then(|| Param::from_tensor(Tensor::cat(vec![zeros, ones], 0)));
        Linear { weight, bias }
    }
}

/// Two linear layers with an activation between.
#[derive(Module, Debug, Slimmable)]
#[slim(outer = [width])]
pub struct Mlp {
    /// Outputs of `fc1` for each hidden unit: 2 if there is a gate, which is the first.
    pub branches: usize,
    /// To the hidden units.
    #[slim(input = [width], output = [branches, hidden])]
    pub fc1: Linear,
    /// The activation without a gate.
    pub act: Gelu,
    /// Back from the hidden units.
    #[slim(input = [hidden], gate, output = [width], gate, end)]
    pub fc2: Linear,
    /// Dropout after each layer.
    pub drop: Dropout,
}

impl Mlp {
    /// # Shapes
    ///
    /// - x, output: `[..., dim]`
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        if let Some(output) = self.at_once(&x) {
            return output;
        }
        let x = self.drop.forward(self.activate(self.fc1.forward(x)));
        self.drop.forward(self.fc2.forward(x))
    }

    /// The output as one operation, where there is one.
    fn at_once<const D: usize>(&self, x: &Tensor<D>) -> Option<Tensor<D>> {
        let is_plain = self.branches == 1 && self.fc2.weight.dims().iter().all(|size| *size > 0);
        is_plain.then(|| fused_mlp(x, [&self.fc1, &self.fc2])).flatten()
    }

    fn activate<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let hidden = x.dims()[D - 1] / self.branches;
        // Burn does not narrow to a length of 0.
        if self.branches == 1 || hidden == 0 {
            return self.act.forward(x);
        }
        let branch = |index| x.clone().narrow(D - 1, index * hidden, hidden);
        silu(branch(0)) * branch(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// timm's `GluMlp.init_weights`.
    #[test]
    fn a_gate_multiplies_what_begins_at_1() {
        let config = MlpConfig::new(8, 500).with_layer(MlpLayer::SwiGLUPacked);
        let fc1 = config.init(&Device::flex()).fc1;
        let bias = fc1.bias.unwrap().val();
        let std = |half: usize| {
            let weights = fc1.weight.val().narrow(1, 500 * half, 500);
            weights.square().mean().sqrt().into_scalar::<f32>()
        };
        assert!((std(0) - 0.02).abs() < 1e-3 && (std(1) - 1e-6).abs() < 5e-8, "{} {}", std(0), std(1));
        let sum = |half: usize| bias.clone().narrow(0, 500 * half, 500).sum().into_scalar::<f32>();
        assert_eq!([sum(0), sum(1)], [0.0, 500.0]);
        assert!(config.with_bias(false).init(&Device::flex()).fc1.bias.is_none());
    }
}
