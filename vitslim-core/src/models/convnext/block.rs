//! The blocks of a stage.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

use super::config::ConvNextConfig;
use crate::models::{Mlp, MlpConfig};
use crate::nn::{BranchGate, Conv2d, Conv2dConfig, DropPath, LayerNorm, LayerNormConfig, NORMAL};
use crate::slim::Slimmable;

/// A depthwise convolution, a norm and an MLP, scaled and added to what enters.
#[derive(Module, Debug, Slimmable)]
#[slim(outer = [width])]
pub struct ConvNextBlock {
    /// The depthwise convolution. It is gated because its bias would otherwise contribute to the mean of the norm.
    #[slim(output = [width], gate)]
    pub conv_dw: Conv2d,
    /// Norm before the MLP.
    #[slim(output = [width], gate)]
    pub norm: LayerNorm,
    /// The MLP.
    #[slim]
    pub mlp: Mlp,
    /// Scale of the branch, `[dim]`. It is not gated, since the MLP before it is. A search with
    /// `freeze: Weights` leaves it, although it has one axis.
    #[slim(axis(0) = [width], freeze)]
    pub gamma: Param<Tensor<1>>,
    /// Stochastic depth.
    pub drop_path: DropPath,
    /// Where all that is added.
    #[slim(branch = [conv_dw, norm, mlp, gamma])]
    pub block_branch: BranchGate,
}

impl ConvNextBlock {
    /// A block of a stage, after `blocks_before` blocks of all stages.
    pub(super) fn new(config: &ConvNextConfig, stage: usize, blocks_before: usize, device: &Device) -> Self {
        let dim = config.dims[stage];
        let conv_dw = Conv2dConfig::new([dim; 2], [config.kernel_size; 2])
            .with_padding([config.kernel_size / 2; 2])
            .with_groups(dim)
            .with_initializer(NORMAL);
        Self {
            conv_dw: conv_dw.init(device),
            norm: LayerNormConfig::new(dim).init(device),
            mlp: MlpConfig::new(dim, config.hidden_at(stage)).init(device),
            gamma: Param::from_tensor(Tensor::full([dim], config.layer_scale, device)),
            drop_path: DropPath::new(config.drop_path_at(blocks_before)),
            block_branch: BranchGate::new(),
        }
    }

    /// # Shapes
    ///
    /// - x, output: `[batch, height, width, dim]`
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        // A budget over the widths of all stages may empty one of them, and Burn does not reshape tensors of size 0.
        if x.dims()[3] == 0 {
            return x;
        }
        self.block_branch.add_scaled(x, Some(self.gamma.val()), &self.drop_path, |x| {
            let x = self.conv_dw.forward_channels_last(x.permute([0, 3, 1, 2]));
            self.mlp.forward(self.norm.forward(x))
        })
    }
}
