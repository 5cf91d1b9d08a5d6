use burn::tensor::{Int, Tensor};

/// How many tokens of the dense network each of those that are left stands for: one each, until a [`TokenGate`](crate::slim::TokenGate)
/// [merges](crate::slim::TokenGate::merge) some. Attention and means over tokens that count a token as often (Bolya et al. 2023) compute
/// what they would with the tokens themselves, if those that were merged were the same.
#[derive(Clone, Debug, Default)]
pub struct TokenSizes(Option<Tensor<3>>);

impl TokenSizes {
    /// The logarithm of the size of each key, which attention to separate [keys and values](crate::slim::HeadLayout::attend_separate) adds
    /// to its scores; `None` as long as all sizes are 1.
    ///
    /// # Shapes
    ///
    /// - output: `[batch, 1, tokens, tokens]`
    pub fn bias(&self) -> Option<Tensor<4>> {
        self.0.as_ref().map(|sizes| {
            let [batch, tokens, _] = sizes.dims();
            sizes.clone().log().reshape([batch, 1, 1, tokens]).expand([batch, 1, tokens, tokens])
        })
    }

    /// Whether each token still stands for itself alone.
    pub(super) fn are_ones(&self) -> bool {
        self.0.is_none()
    }

    /// The sizes, `[batch, tokens]`; `None` as long as all are 1.
    pub(super) fn of_each(&self) -> Option<Tensor<2>> {
        self.0.clone().map(|sizes| sizes.squeeze_dim(2))
    }

    /// The mean of the tokens `x`, the last ones of those that have these sizes.
    ///
    /// # Shapes
    ///
    /// - x: `[batch, n, dim]`
    /// - output: `[batch, 1, dim]`
    pub fn mean(&self, x: Tensor<3>) -> Tensor<3> {
        match &self.0 {
            None => x.mean_dim(1),
            Some(sizes) => {
                let [tokens, n] = [sizes.dims()[1], x.dims()[1]];
                let sizes = sizes.clone().narrow(1, tokens - n, n);
                (x * sizes.clone()).sum_dim(1) / sizes.sum_dim(1)
            }
        }
    }

    /// These sizes, `[batch, tokens, 1]`: at least 1, and without a gradient.
    pub(crate) fn of(sizes: Tensor<3>) -> Self {
        Self(Some(sizes))
    }

    /// The sizes at `index` of the tokens `x`, `[batch, n, 1]`.
    pub(super) fn at(&self, index: &Tensor<1, Int>, x: &Tensor<3>) -> Tensor<3> {
        match &self.0 {
            None => Tensor::ones([x.dims()[0], index.dims()[0], 1], (&x.device(), x.dtype())),
            Some(sizes) => sizes.clone().select(1, index.clone()),
        }
    }

    /// From here on those at `index`.
    pub(super) fn select(&mut self, index: &Tensor<1, Int>) {
        self.0 = self.0.take().map(|sizes| sizes.select(1, index.clone()));
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{DType, Device, Distribution, Tolerance};

    use super::*;
    use crate::slim::HeadLayout;

    #[test]
    fn a_token_of_some_size_counts_as_often_as_it_stands_for() {
        let device = Device::flex();
        let qkv = Tensor::<3>::random([2, 4, 24], Distribution::Normal(0.0, 1.0), &device);
        let often = [1, 3, 2, 1];
        let repeated = |x: &Tensor<3>| {
            let tokens = (0..4).flat_map(|token| vec![x.clone().narrow(1, token, 1); often[token]]);
            Tensor::cat(tokens.collect(), 1)
        };
        let sizes = Tensor::<1>::from_floats(often.map(|size| size as f32), &device).reshape([1, 4, 1]);
        let sizes = TokenSizes::of(sizes.repeat_dim(0, 2));
        let heads = HeadLayout::new(2, 4);
        let found = heads.attend_sized(qkv.clone(), &sizes);
        let close = |found: Tensor<3>, expected: Tensor<3>| {
            found.into_data().assert_approx_eq::<f32>(&expected.into_data(), Tolerance::absolute(1e-5));
        };
        close(repeated(&found), heads.attend(repeated(&qkv)));
        // By a bias, and in f64, for which there is no operation that counts them.
        close(heads.attend_with_bias(qkv.clone(), sizes.bias().unwrap()), found.clone());
        let [qkv_64, sizes_64] = [qkv.clone(), sizes.0.clone().unwrap()].map(|x| x.cast(DType::F64));
        let found_64 = heads.attend_sized(qkv_64, &TokenSizes::of(sizes_64));
        close(found_64.cast(DType::F32), found);
        close(sizes.mean(qkv.clone()), repeated(&qkv).mean_dim(1));
        // The last three of the tokens, behind one that is not pooled.
        close(sizes.mean(qkv.clone().narrow(1, 1, 3)), repeated(&qkv).narrow(1, 1, 6).mean_dim(1));
    }
}
