use burn::module::Module;
use burn::tensor::Tensor;

/// Where a residual branch is added. A block computes the branch in [`add`](Self::add) or [`add_scaled`](Self::add_scaled), and nowhere else;
/// once the branch is cut, these return what it is added to, and the fields of the branch have no parameters.
///
/// `#[slim(branch = [norm1, attn])]` on it names the fields that only this branch uses, and makes the branch a dimension of one unit, which is
/// called like the field of the gate. The mask multiplies the layers at its end, those with `#[slim(end)]`.
#[derive(Module, Debug, Default)]
pub struct BranchGate {
    /// Whether the branch was cut.
    pub(super) is_cut: bool,
}

impl BranchGate {
    /// The gate of a branch that is there.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the branch was cut, and its fields have no parameters.
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// `x` and what `branch` makes of it. Where the shortcut is a projection, `x` is that, and `branch` takes what it needs from around it.
    ///
    /// # Shapes
    ///
    /// - x, output: any, the same
    pub fn add<const D: usize>(
        &self,
        x: Tensor<D>,
        branch: impl FnOnce(Tensor<D>) -> Tensor<D>,
    ) -> Tensor<D> {
        match self.is_cut {
            true => x,
            false => x.clone() + branch(x),
        }
    }
}
