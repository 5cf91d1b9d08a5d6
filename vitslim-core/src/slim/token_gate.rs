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
    /// After slicing here or at a gate before: the numbers of the prunable tokens that are left, among those of the dense network.
    pub(crate) left: Option<Vec<usize>>,
    /// Where someone listens to what is read here: the number that it goes by.
    pub(crate) number: Option<usize>,
}

impl TokenGate {
    /// A gate for `tokens` tokens, of which the first `prefix` are not prunable.
    pub fn new(tokens: usize, prefix: usize) -> Self {
        Self { tokens, prefix, factors: None, kept: None, left: None, number: None }
    }

    /// Whether tokens were cut here.
    pub fn is_sliced(&self) -> bool {
        self.kept.is_some()
    }

    /// The numbers of its prunable tokens among those of the dense network.
    pub(crate) fn numbers(&self) -> Vec<usize> {
        self.left.clone().unwrap_or_else(|| (0..self.tokens.saturating_sub(self.prefix)).collect())
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

    /// The gate that keeps the arriving tokens `kept` (prefix included).
    pub(crate) fn sliced(mut self, kept: Tensor<1, Int>) -> Self {
        self.tokens = kept.dims()[0];
        self.kept = Some(kept);
        self
    }
}
