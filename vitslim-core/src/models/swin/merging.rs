//! The step from one stage to the next.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::norm::norm;
use crate::nn::{LayerNorm, Linear, LinearConfig};
use crate::slim::Slimmable;

/// Merges patches two by two, which halves the sides of the image, and maps the width of the former stage to that of its own.
#[derive(Module, Debug, Slimmable)]
#[slim(outer = [former, width])]
pub struct PatchMerging {
    /// Norm over the features of four patches of the former stage.
    #[slim(output = [4, former], gate)]
    pub norm: LayerNorm,
    /// Maps them to one patch of this stage.
    #[slim(input = [4, former], output = [width], gate)]
    pub reduction: Linear,
    /// Patches along each side of the image in the former stage.
    pub side: usize,
}

impl PatchMerging {
    /// From width `former` to `width`.
    pub(super) fn new(side: usize, former: usize, width: usize, device: &Device) -> Self {
        Self {
            norm: norm(4 * former, device),
            reduction: LinearConfig::new(4 * former, width).with_bias(false).init(device),
            side,
        }
    }

    /// # Shapes
    ///
    /// - x: `[batch, side * side, former]`
    /// - output: `[batch, side * side / 4, width]`
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let [batch, patches, former] = x.dims();
        // `reshape` gives a size of 0 another meaning.
        if former == 0 {
            return self.reduction.forward(Tensor::zeros([batch, patches / 4, 0], &x.device()));
        }
        let half = self.side / 2;
        // timm's order of the four: the second row of a column comes after the first.
        let x = x.reshape([batch, half, 2, half, 2, former]).permute([0, 1, 3, 4, 2, 5]).reshape([
            batch,
            patches / 4,
            4 * former,
        ]);
        self.reduction.forward(self.norm.forward(x))
    }
}
