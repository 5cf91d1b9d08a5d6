//! Residual branches with a scale and stochastic depth.

use burn::tensor::Tensor;

use super::DropPath;
use crate::slim::BranchGate;
use vitslim_kernels as kernels;

impl BranchGate {
    /// Like [`add`](Self::add), with the branch multiplied by `scale`, a factor for each feature (LayerScale, Touvron et al. 2021), if there
    /// is one, and skipped as `drop_path` says.
    ///
    /// # Shapes
    ///
    /// - x, output: `[batch, ..., dim]`
    /// - scale: `[dim]`
    pub fn add_scaled<const D: usize>(
        &self,
        x: Tensor<D>,
        scale: Option<Tensor<1>>,
        drop_path: &DropPath,
        branch: impl FnOnce(Tensor<D>) -> Tensor<D>,
    ) -> Tensor<D> {
        if self.is_cut() {
            return x;
        }
        let branch = branch(x.clone());
        let keep = drop_path.keep(branch.dims()[0], &branch.device());
        kernels::residual(&x, &branch, scale.as_ref(), keep.as_ref()).unwrap_or_else(|| {
            let branch = match scale {
                Some(scale) => branch * scale.unsqueeze(),
                None => branch,
            };
            x + match keep {
                Some(keep) => branch * by_sample(keep),
                None => branch,
            }
        })
    }
}

/// `[batch]` as `[batch, 1, ...]`.
pub(super) fn by_sample<const D: usize>(factors: Tensor<1>) -> Tensor<D> {
    let mut shape = [1; D];
    [shape[0]] = factors.dims();
    factors.reshape(shape)
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution, Tolerance};

    use super::*;

    /// On the CPU as one operation, and by tensors of f64, for which there is none.
    #[test]
    fn a_branch_is_scaled_and_skipped_sample_by_sample() {
        let device = Device::flex();
        let random = |shape: [usize; 3]| Tensor::<3>::random(shape, Distribution::Normal(0.0, 1.0), &device);
        let (x, branch) = (random([4, 3, 5]), random([4, 3, 5]));
        let scale = Tensor::<1>::random([5], Distribution::Normal(0.0, 1.0), &device);
        let drop_path = DropPath::new(0.5);
        for scale in [None, Some(scale)] {
            let training = |x: &Tensor<3>| Tensor::<3>::from_inner(x.clone());
            let found = BranchGate::new().add_scaled(
                training(&x),
                scale.clone().map(Tensor::from_inner),
                &drop_path,
                |_| training(&branch),
            );
            let scaled = match scale {
                Some(scale) => branch.clone() * scale.unsqueeze(),
                None => branch.clone(),
            };
            for sample in 0..4 {
                let of = |x: &Tensor<3>| x.clone().narrow(0, sample, 1);
                let found = of(&found.clone().inner()).into_data();
                let kept = (of(&x) + of(&scaled) * 2.0).into_data();
                let is_skipped = found == of(&x).into_data();
                if !is_skipped {
                    found.assert_approx_eq::<f32>(&kept, Tolerance::absolute(1e-6));
                }
            }
            let evaluated = BranchGate::new().add_scaled(x.clone(), None, &drop_path, |_| branch.clone());
            evaluated.into_data().assert_approx_eq::<f32>(
                &(x.clone() + branch.clone()).into_data(),
                Tolerance::absolute(1e-6),
            );
        }
    }
}
