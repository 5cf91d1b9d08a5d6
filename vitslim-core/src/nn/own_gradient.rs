//! Operations whose gradient is written here in closed form. Burn's would be that of each step of them: of a layer norm about twenty
//! operations, and as many of a softmax. On a GPU each is a kernel, and most of them cannot be fused.

use burn::tensor::{Tensor, activation};

use super::with_gradient::with_gradient;

/// `x`, `[..., kept]`, with mean 0 and variance 1 over its last axis, as if there were `width - kept` more features of value 0; if that
/// is negative, so many fewer.
pub(super) fn standardised<const D: usize>(x: Tensor<D>, width: usize, epsilon: f64) -> Tensor<D> {
    let compute = |x: Tensor<D>| {
        // Each removed feature adds 0 to the mean and mean^2 to the variance.
        let (width, kept) = (width as f64, x.dims()[D - 1] as f64);
        let mean = x.clone().sum_dim(D - 1) / width;
        // Of masked features, a difference would leave nothing of a small variance: what is 0, masked or not, is counted instead of centred.
        let is_other = (width < kept).then(|| x.clone().not_equal_elem(0.0).float().cast(mean.dtype()));
        let centred = x - mean.clone();
        let variance = match is_other {
            Some(is_other) => {
                let zeros = is_other.clone().sum_dim(D - 1).neg() + width;
                ((centred.clone() * is_other).square().sum_dim(D - 1) + mean.square() * zeros) / width
            }
            None => (centred.clone().square().sum_dim(D - 1) + mean.square() * (width - kept)) / width,
        };
        let deviation = (variance + epsilon).sqrt();
        (centred / deviation.clone(), deviation)
    };
    let width = width as f64;
    with_own(x, compute, move |(output, deviation), gradient| {
        let mean = gradient.clone().sum_dim(D - 1) / width;
        let along = (gradient.clone() * output.clone()).sum_dim(D - 1) / width;
        (gradient - mean - output * along) / deviation
    })
}

/// `x`, `[..., kept]`, with a mean square of 1 over its last axis, as if there were `width - kept` more features of value 0, or fewer.
pub(super) fn of_mean_square_1<const D: usize>(x: Tensor<D>, width: usize, epsilon: f64) -> Tensor<D> {
    let width = width as f64;
    let compute = |x: Tensor<D>| {
        let root = (x.clone().square().sum_dim(D - 1) / width + epsilon).sqrt();
        (x / root.clone(), root)
    };
    with_own(x, compute, move |(output, root), gradient| {
        let along = (gradient.clone() * output.clone()).sum_dim(D - 1) / width;
        (gradient - output * along) / root
    })
}

/// The softmax of `x` along its last axis.
pub(super) fn softmax<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let compute = |x: Tensor<D>| (activation::softmax(x, D - 1), ());
    with_own(x, compute, |(output, ()), gradient| {
        let along = (gradient.clone() * output.clone()).sum_dim(D - 1);
        (gradient - along) * output
    })
}

/// The output of `compute`, and as its gradient what `gradient` makes of both of its results and of the gradient of the output. Both
/// compute without autodiff.
fn with_own<const D: usize, K: Send + 'static>(
    x: Tensor<D>,
    compute: impl FnOnce(Tensor<D>) -> (Tensor<D>, K),
    gradient: impl FnOnce((Tensor<D>, K), Tensor<D>) -> Tensor<D> + Send + 'static,
) -> Tensor<D> {
    if !x.is_autodiff() {
        return compute(x).0;
    }
    let computed = compute(x.clone().inner());
    let output = Tensor::from_inner(computed.0.clone());
    with_gradient(output, x.clone().detach().into_dispatch(), x.into_dispatch(), move |of_output| {
        let of_x = gradient(computed, Tensor::from_dispatch(of_output));
        [None, Some(of_x.into_dispatch())]
    })
}

#[cfg(test)]
mod tests {
    use burn::tensor::{DType, Device, Distribution, module};

    use super::*;

    fn random() -> Tensor<3> {
        let values = Tensor::<3>::random([2, 5, 7], Distribution::Normal(0.3, 2.0), &Device::flex());
        Tensor::from_inner(values.cast(DType::F64))
    }

    /// Compares an operation with what burn makes of its steps, in f64: the output, and the gradient of the input.
    fn is_that_of_its_steps(
        operation: impl Fn(Tensor<3>) -> Tensor<3>,
        steps: impl Fn(Tensor<3>) -> Tensor<3>,
    ) {
        let (x, weigh) = (random(), random());
        let of = |operation: &dyn Fn(Tensor<3>) -> Tensor<3>| {
            let x = x.clone().require_grad();
            let output = operation(x.clone());
            let gradients = (output.clone() * weigh.clone()).sum().backward();
            [output.inner(), x.grad(&gradients).unwrap()]
        };
        for (found, expected) in of(&operation).into_iter().zip(of(&steps)) {
            let off = (found - expected).abs().max().into_scalar::<f64>();
            assert!(off < 1e-12, "{off}");
        }
    }

    /// Three features more, of value 0, before `operation`, and none of them after it.
    fn among_ten(operation: impl Fn(Tensor<3>) -> Tensor<3>) -> impl Fn(Tensor<3>) -> Tensor<3> {
        move |x| {
            let zeros = Tensor::zeros([2, 5, 3], (&x.device(), x.dtype()));
            operation(Tensor::cat(vec![x, zeros], 2)).narrow(2, 0, 7)
        }
    }

    #[test]
    fn a_standardised_tensor_has_the_gradient_of_its_steps() {
        let steps = |x: Tensor<3>| {
            let gamma = Tensor::ones([x.dims()[2]], (&x.device(), x.dtype()));
            module::layer_norm(x, gamma, None, 1e-3)
        };
        is_that_of_its_steps(|x| standardised(x, 7, 1e-3), steps);
        is_that_of_its_steps(|x| standardised(x, 10, 1e-3), among_ten(steps));
    }

    #[test]
    fn masked_features_are_not_in_the_statistics() {
        for operation in [standardised::<3>, of_mean_square_1::<3>] {
            for kept in [1, 2, 7] {
                let x: Tensor<3> = random().cast(DType::F32).narrow(2, 0, kept) + 3.0;
                let zeros = Tensor::zeros([2, 5, 192 - kept], (&x.device(), x.dtype()));
                let masked = operation(Tensor::cat(vec![x.clone(), zeros], 2), kept, 1e-6).narrow(2, 0, kept);
                let off = (masked - operation(x, kept, 1e-6)).abs().max().into_scalar::<f32>();
                assert!(off < 1e-4, "{kept}: {off}");
            }
        }
    }

    #[test]
    fn a_tensor_of_mean_square_1_has_the_gradient_of_its_steps() {
        let steps = |x: Tensor<3>| x.clone() / (x.square().mean_dim(2) + 1e-3).sqrt();
        is_that_of_its_steps(|x| of_mean_square_1(x, 7, 1e-3), steps);
        is_that_of_its_steps(|x| of_mean_square_1(x, 10, 1e-3), among_ten(steps));
    }

    #[test]
    fn a_softmax_has_the_gradient_of_its_steps() {
        is_that_of_its_steps(softmax, |x| activation::softmax(x, 2));
    }

    #[test]
    fn what_needs_no_gradient_gets_none() {
        let x = Tensor::<3>::ones([1, 2, 3], &Device::flex());
        assert!(!softmax(x.clone()).is_autodiff());
        assert!(!softmax(Tensor::<3>::from_inner(x)).is_tracked());
    }
}
