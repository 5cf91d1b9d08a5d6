use burn::tensor::Tensor;

use super::listening::{Reader, Use, reads};
use super::{LayerNorm, TokenSizes};
use crate::slim::{TokenGate, index_tensor};

impl TokenGate {
    /// Removes the tokens that were cut here. With `tokens: Merge`, they are merged into others, each as one token:
    /// [`merge`](Self::merge) knows how many are in it already.
    ///
    /// # Shapes
    ///
    /// - x: `[batch, tokens_in, dim]`
    /// - output: `[batch, tokens, dim]`
    pub fn keep(&self, x: Tensor<3>) -> Tensor<3> {
        self.merge(x, &mut TokenSizes::default())
    }

    /// Like [`keep`](Self::keep), where `sizes` go along with the tokens, from [`TokenSizes::default`] at the first gate on.
    ///
    /// With `tokens: Merge`, each token that was cut is averaged into the one that stays and is most similar to it, by the cosine between
    /// them and image by image. Tokens before the prunable ones are left alone. A token counts as often as its size says.
    ///
    /// # Shapes
    ///
    /// - x: `[batch, tokens_in, dim]`
    /// - output: `[batch, tokens, dim]`
    pub fn merge(&self, x: Tensor<3>, sizes: &mut TokenSizes) -> Tensor<3> {
        let Some(kept) = &self.kept else { return x };
        let stays = x.clone().select(1, kept.clone());
        let Some(merged) = &self.merged else {
            sizes.select(kept);
            return stays;
        };
        let goes = x.select(1, merged.clone());
        let (size, size_of_merged) = (sizes.at(kept, &stays), sizes.at(merged, &goes));
        let (x, into) = (self.prunable(&stays), nearest(&goes, &self.prunable(&stays)));
        let [x, goes] = match sizes.are_ones() {
            true => [x, goes],
            false => [x * self.prunable(&size), goes * size_of_merged.clone()],
        };
        let sum = x + into.clone().matmul(goes);
        // By itself, so that no gradient reaches sizes.
        let total = self.prunable(&size) + into.matmul(size_of_merged);
        let mean = sum / total.clone();
        *sizes = TokenSizes::of(self.behind_prefix(size, total));
        self.behind_prefix(stays, mean)
    }

    /// Of the tokens `x` that are left, those behind the prefix.
    fn prunable(&self, x: &Tensor<3>) -> Tensor<3> {
        x.clone().narrow(1, self.prefix, self.tokens - self.prefix)
    }

    /// `x` behind the prefix of the tokens `before`.
    fn behind_prefix(&self, before: Tensor<3>, x: Tensor<3>) -> Tensor<3> {
        match self.prefix {
            0 => x,
            prefix => Tensor::cat(vec![before.narrow(1, 0, prefix), x], 1),
        }
    }

    /// Multiplies each token by its mask during a search; otherwise returns `x` unchanged.
    ///
    /// # Shapes
    ///
    /// - x, output: `[batch, tokens, dim]`
    pub fn scale(&self, x: Tensor<3>) -> Tensor<3> {
        self.tell(&x);
        match &self.factors {
            Some(factors) => x * factors.clone().reshape([1, self.tokens, 1]),
            None => x,
        }
    }

    /// `scale(norm.forward(x))`, which the CPU computes in one pass.
    ///
    /// # Shapes
    ///
    /// - x, output: `[batch, tokens, dim]`
    pub fn scale_norm(&self, norm: &LayerNorm, x: Tensor<3>) -> Tensor<3> {
        match &self.factors {
            Some(factors) => norm.forward_scaled(x, factors),
            None => self.scale(norm.forward(x)),
        }
    }

    /// Tells whoever listens what the branches read, image by image.
    fn tell(&self, x: &Tensor<3>) {
        if let Some(number) = self.number {
            reads(Reader::Gate(number), Use::Other, || x.clone().flatten(1, 2));
        }
    }
}

/// 1 for each of the tokens `goes` at that of the tokens `stays` which is most similar to it, and 0 elsewhere. No gradient flows through
/// the choice.
///
/// # Shapes
///
/// - goes: `[batch, n, dim]`
/// - stays: `[batch, m, dim]`
/// - output: `[batch, m, n]`
fn nearest(goes: &Tensor<3>, stays: &Tensor<3>) -> Tensor<3> {
    let [goes, stays] = [goes, stays].map(|x| x.clone().detach());
    let ([batch, n, _], m) = (goes.dims(), stays.dims()[1]);
    // How long a token is that goes changes nothing in the order of those that stay. One of nothing but zeros is like no other.
    let length = ((stays.clone() * stays.clone()).sum_dim(2) + f32::MIN_POSITIVE).sqrt();
    let most_similar = (stays.matmul(goes.clone().swap_dims(1, 2)) / length).argmax(1);
    let index = index_tensor(&Vec::from_iter(0..m), &goes.device()).reshape([1, m, 1]);
    most_similar.expand([batch, m, n]).equal(index.expand([batch, m, n])).float().cast(goes.dtype())
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Tolerance};

    use super::*;

    fn tokens(values: &[[f32; 2]]) -> Tensor<3> {
        let values: Vec<f32> = values.iter().flatten().copied().collect();
        Tensor::<1>::from_floats(&values[..], &Device::flex()).reshape([1, -1, 2])
    }

    fn gate(arriving: usize, kept: &[usize]) -> TokenGate {
        let index = |index: &[usize]| index_tensor(index, &Device::flex());
        let cut: Vec<usize> = (0..arriving).filter(|token| !kept.contains(token)).collect();
        TokenGate::new(arriving, 1).sliced(index(kept), Some(index(&cut)))
    }

    fn close(found: Tensor<3>, expected: Tensor<3>) {
        found.into_data().assert_approx_eq::<f32>(&expected.into_data(), Tolerance::absolute(1e-6));
    }

    #[test]
    fn cut_tokens_are_averaged_into_the_most_similar_ones_by_their_sizes() {
        // The first is of the prefix, which takes none although it is like all of the others at once.
        let x = tokens(&[[1.0, 1.0], [2.0, 0.0], [0.0, 3.0], [4.0, 0.4], [0.1, 7.0], [0.0, 0.0]]);
        let mut sizes = TokenSizes::default();
        let merged = gate(6, &[0, 1, 2]).merge(x.clone(), &mut sizes);
        // What is nothing but zeros is as similar to each, and goes to the first.
        let expected = tokens(&[[1.0, 1.0], [2.0, 0.4 / 3.0], [0.05, 5.0]]);
        close(merged.clone(), expected.clone());
        let ones = Tensor::<3>::ones([1, 3, 1], &Device::flex());
        close(sizes.mean(ones.clone()), ones.clone().narrow(1, 0, 1));
        assert_eq!(
            sizes.bias().unwrap().exp().into_data().try_into_vec::<f32>().unwrap()[..3],
            [1.0, 3.0, 2.0]
        );
        // With the sizes, merging in two steps is merging in one. Without, each token counts once.
        let last = gate(3, &[0, 2]);
        close(last.merge(merged.clone(), &mut sizes), tokens(&[[1.0, 1.0], [6.1 / 5.0, 10.4 / 5.0]]));
        close(last.keep(merged), tokens(&[[1.0, 1.0], [2.05 / 2.0, (5.0 + 0.4 / 3.0) / 2.0]]));
    }

    #[test]
    fn gradients_reach_all_tokens_that_were_merged() {
        let x = tokens(&[[1.0, 1.0], [2.0, 0.0], [0.0, 3.0], [4.0, 0.4]]).autodiff().require_grad();
        let merged = gate(4, &[0, 1, 2]).merge(x.clone(), &mut TokenSizes::default());
        let gradient = x.grad(&(merged.clone() * merged).sum().backward()).unwrap();
        // Of the square of each value that is left; a half of the mean goes to either.
        close(gradient, tokens(&[[2.0, 2.0], [3.0, 0.2], [0.0, 6.0], [3.0, 0.2]]));
    }
}
