//! Residual branches with a scale and stochastic depth.

use burn::tensor::Tensor;

use super::drop_path::{DropPath, by_sample};
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
        let keep = drop_path.keep(&branch);
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

#[cfg(test)]
mod tests {
    use burn::tensor::{DType, Device, Distribution};

    use super::*;

    /// In f32 as one operation, and in f64, for which there is none.
    #[test]
    fn a_branch_is_scaled_and_skipped_sample_by_sample() {
        for dtype in [DType::F32, DType::F64] {
            let device = Device::flex();
            let random = |shape: [usize; 3]| {
                Tensor::<3>::random(shape, Distribution::Normal(0.0, 1.0), (&device, dtype))
            };
            let (x, branch, scale) = (random([64, 3, 5]), random([64, 3, 5]), random([1, 1, 5]));
            for scaled in [false, true] {
                let factors = scaled.then(|| scale.clone().reshape([5]));
                let expected = if scaled { branch.clone() * scale.clone() } else { branch.clone() };
                let add = |x: Tensor<3>, branch: Tensor<3>, factors: Option<Tensor<1>>| {
                    BranchGate::new().add_scaled(x, factors, &DropPath::new(0.5), |_| branch)
                };
                let close = |found: Tensor<3>, expected: Tensor<3>| {
                    (found - expected).abs().max().into_scalar::<f64>() < 1e-5
                };
                assert!(close(add(x.clone(), branch.clone(), factors.clone()), x.clone() + expected.clone()));
                let trained = add(
                    Tensor::from_inner(x.clone()),
                    Tensor::from_inner(branch.clone()),
                    factors.map(Tensor::from_inner),
                );
                let mut skipped = 0;
                for sample in 0..64 {
                    let of = |x: &Tensor<3>| x.clone().narrow(0, sample, 1);
                    let found = of(&trained.clone().inner());
                    let is_skipped = close(found.clone(), of(&x));
                    assert!(is_skipped || close(found, of(&x) + of(&expected) * 2.0), "{dtype:?} {sample}");
                    skipped += usize::from(is_skipped);
                }
                assert!((1..64).contains(&skipped), "{skipped} of 64");
            }
        }
    }
}
