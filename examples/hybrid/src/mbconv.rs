//! The blocks of the convolutional stages.

use burn::tensor::activation::{sigmoid, silu};
use vitslim_core::prelude::*;

/// MBConv (Sandler et al. 2018) as in CoAtNet: a norm, a convolution to hidden channels, a depthwise convolution, squeeze-and-excitation,
/// and a convolution back, added to what enters.
#[derive(Module, Debug, Slimmable)]
#[slim(outer = [former, width])]
pub struct MbConv {
    #[slim(output = [former], gate)]
    norm: BatchNorm,
    #[slim(0(input = [former], output = [hidden]), 1(output = [hidden]))]
    expand: (Conv2d, BatchNorm),
    #[slim(0(output = [hidden]), 1(output = [hidden], gate))]
    depthwise: (Conv2d, BatchNorm),
    #[slim]
    excite: SqueezeExcite,
    #[slim(input = [hidden], output = [width], gate, end)]
    project: Conv2d,
    /// Halves the grid and changes the width, where the block does.
    #[slim(input = [former], output = [width], gate)]
    shortcut: Option<Conv2d>,
    #[slim(branch = [norm, expand, depthwise, excite, project])]
    block_branch: BranchGate,
}

impl MbConv {
    /// A block with four times as many hidden channels as it writes.
    pub fn new(former: usize, width: usize, stride: usize, device: &Device) -> Self {
        let hidden = 4 * width;
        let pointwise = |channels| Conv2dConfig::new(channels, [1, 1]).with_bias(false);
        let depthwise = Conv2dConfig::new([hidden; 2], [3, 3]).with_stride([stride; 2]).with_padding([1, 1]);
        let depthwise = depthwise.with_groups(hidden).with_bias(false);
        let norm = |channels| BatchNormConfig::new(channels).init(device);
        let changes = former != width || stride > 1;
        Self {
            norm: norm(former),
            expand: (pointwise([former, hidden]).init(device), norm(hidden)),
            depthwise: (depthwise.init(device), norm(hidden)),
            excite: SqueezeExcite::new(hidden, width, device),
            project: pointwise([hidden, width]).init(device),
            shortcut: changes.then(|| pointwise([former, width]).with_stride([stride; 2]).init(device)),
            block_branch: BranchGate::new(),
        }
    }

    /// # Shapes
    ///
    /// - x: `[batch, former, height, width]`
    /// - output: `[batch, width, height / stride, width / stride]`
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let shortcut = match &self.shortcut {
            Some(shortcut) => shortcut.forward(x.clone()),
            None => x.clone(),
        };
        self.block_branch.add(shortcut, |_| {
            let branch = self.norm.forward(x);
            let branch = silu(self.expand.1.forward(self.expand.0.forward(branch)));
            let branch = silu(self.depthwise.1.forward(self.depthwise.0.forward(branch)));
            self.project.forward(self.excite.forward(branch))
        })
    }
}

/// Squeeze-and-excitation (Hu et al. 2018): scales each channel by what all channels say on average.
#[derive(Module, Debug, Slimmable)]
#[slim(outer = [hidden])]
pub struct SqueezeExcite {
    #[slim(input = [hidden], output = [squeezed])]
    reduce: Linear,
    #[slim(input = [squeezed], gate, output = [hidden])]
    expand: Linear,
}

impl SqueezeExcite {
    fn new(hidden: usize, squeezed: usize, device: &Device) -> Self {
        Self {
            reduce: LinearConfig::new(hidden, squeezed).init(device),
            expand: LinearConfig::new(squeezed, hidden).init(device),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [batch, hidden, _, _] = x.dims();
        let mean = x.clone().mean_dims(&[2, 3]).reshape([batch, hidden]);
        let scale = sigmoid(self.expand.forward(silu(self.reduce.forward(mean))));
        x * scale.reshape([batch, hidden, 1, 1])
    }
}
