//! What the derive asks of the types of a struct and its fields, for the words in which the compiler tells that one is
//! not fit. Each of these traits holds of whatever fits, so that nobody implements one, and the compiler lists no others
//! that do.

use burn::module::Module;

use super::layer::{Side, SlimLayer};

/// Of the struct: to be a Burn module.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a Burn module",
    label = "`#[derive(Slimmable)]` goes with `#[derive(Module)]`",
    note = "write `#[derive(Module, Debug, Slimmable)]`, with `use burn::module::Module`"
)]
pub trait IsModule: Module {}

#[diagnostic::do_not_recommend]
impl<T: Module> IsModule for T {}

/// Of a field with an axis: to be a layer with that side.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no such axis to gate or slice",
    label = "the layer has no such axis",
    note = "a linear layer or convolution has `input` and `output`, a norm or embedding `output` only, a `Param<Tensor<D>>` `axis(0)` to `axis(D - 1)`",
    note = "of Burn's own norms take those of `vitslim_core::nn` instead, which keep their original width when they are sliced",
    note = "implement `vitslim_core::slim::SlimLayer` for a layer of your own"
)]
pub trait HasAxis<S: Side>: SlimLayer<S> {}

#[diagnostic::do_not_recommend]
impl<S: Side, L: SlimLayer<S>> HasAxis<S> for L {}

/// Of a field with an annotation for one type only: to be of that type.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a `{T}`",
    label = "the annotation of this field is for one of type `{T}`"
)]
pub trait Is<T>: Sized {
    /// The field with `map` applied to its value.
    fn apply(self, map: impl FnOnce(T) -> T) -> Self;
}

#[diagnostic::do_not_recommend]
impl<T> Is<T> for T {
    fn apply(self, map: impl FnOnce(T) -> T) -> Self {
        map(self)
    }
}
