use burn::module::Module;
use burn::tensor::{Int, Tensor};

/// Where tokens are pruned. A block calls [`keep`](Self::keep) on its input and [`scale`](Self::scale) on what its branches
/// read; the residual stream itself is never scaled.
///
/// The first `prefix` tokens (class, distillation) have no mask: they are not prunable and do not count in any share.
#[derive(Module, Debug)]
pub struct TokenGate {
    /// Number of tokens after this gate, prefix included.
    pub tokens: usize,
    /// Number of leading tokens that are never pruned.
    pub prefix: usize,
    /// During a search: the factor of each token, `[tokens]`.
    pub(crate) factors: Option<Tensor<1>>,
    /// After slicing: the indices of the arriving tokens that are kept, `[tokens]`.
    pub(crate) kept: Option<Tensor<1, Int>>,
    /// After slicing by [`CutTokens::Merge`](super::CutTokens::Merge): the indices of the arriving tokens that are merged into those,
    /// `[n]`.
    pub(crate) merged: Option<Tensor<1, Int>>,
    /// Number of prunable tokens in the dense network.
    of: usize,
    /// After slicing here or at a gate before: the numbers of the prunable tokens that are left, among those of the dense network.
    pub(crate) left: Option<Vec<usize>>,
    /// Where someone listens to what is read here: the number that it goes by.
    pub(crate) number: Option<usize>,
}

impl TokenGate {
    /// A gate for `tokens` tokens, of which the first `prefix` are not prunable.
    pub fn new(tokens: usize, prefix: usize) -> Self {
        let of = tokens.saturating_sub(prefix);
        Self { tokens, prefix, factors: None, kept: None, merged: None, of, left: None, number: None }
    }

    /// Whether tokens were cut here.
    pub fn is_sliced(&self) -> bool {
        self.kept.is_some()
    }

    /// The numbers of its prunable tokens among those of the dense network.
    pub(crate) fn numbers(&self) -> Vec<usize> {
        self.left.clone().unwrap_or_else(|| self.of_dense())
    }

    /// The numbers of the prunable tokens of the dense network.
    pub(crate) fn of_dense(&self) -> Vec<usize> {
        (0..self.of).collect()
    }

    /// The gate with `masks` (`[tokens - prefix]`) on its prunable tokens.
    pub(crate) fn gated(mut self, masks: Tensor<1>) -> Self {
        let factors = match self.prefix {
            0 => masks,
            prefix => Tensor::cat(vec![Tensor::ones([prefix], &masks.device()), masks], 0),
        };
        self.factors = Some(factors);
        self
    }

    /// The gate that keeps the arriving tokens `kept` (prefix included), and merges `merged` into those that are not of the prefix.
    pub(crate) fn sliced(mut self, kept: Tensor<1, Int>, merged: Option<Tensor<1, Int>>) -> Self {
        self.tokens = kept.dims()[0];
        self.kept = Some(kept);
        self.merged = merged;
        self
    }
}
