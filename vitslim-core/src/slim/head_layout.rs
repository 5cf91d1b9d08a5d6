use std::cmp::Reverse;

use burn::module::Module;

/// How the features of an attention layer split into heads. Heads can have different sizes: after slicing, each has the dims
/// that its masks left it, and an empty head is gone. [`attend`](Self::attend) computes the attention.
#[derive(Module, Debug)]
pub struct HeadLayout {
    /// Dims of each head, in the order of the features.
    pub sizes: Vec<usize>,
    /// What the scores are multiplied by: `head_dim^-0.5` of the *original* head size, even after slicing, so that the sliced
    /// attention equals the masked one.
    pub scale: f64,
}

impl HeadLayout {
    /// `heads` heads of `head_dim` dims each.
    pub fn new(heads: usize, head_dim: usize) -> Self {
        Self { sizes: vec![head_dim; heads], scale: (head_dim as f64).powf(-0.5) }
    }

    /// Number of features: the dims of all heads.
    pub fn features(&self) -> usize {
        self.sizes.iter().sum()
    }
}

/// The heads of `sizes` in the order in which a sub-network computes them: the largest first, so that heads of one size are
/// neighbours and computed together.
pub(super) fn by_size(sizes: &[usize]) -> Vec<usize> {
    let mut heads: Vec<usize> = (0..sizes.len()).collect();
    heads.sort_by_key(|&head| Reverse(sizes[head]));
    heads
}
