use burn::tensor::Tensor;

use super::LayerNorm;
use super::listening::{Reader, reads};
use crate::slim::TokenGate;

impl TokenGate {
    /// Removes the tokens that were cut here.
    ///
    /// # Shapes
    ///
    /// - x: `[batch, tokens_in, dim]`
    /// - output: `[batch, tokens, dim]`
    pub fn keep(&self, x: Tensor<3>) -> Tensor<3> {
        match &self.kept {
            Some(kept) => x.select(1, kept.clone()),
            None => x,
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
            reads(Reader::Gate(number), || x.clone().flatten(1, 2));
        }
    }
}
