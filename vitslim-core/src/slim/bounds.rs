//! What the derive requires of a struct and of the types of its fields, with the compiler's error if one does not qualify.
//!
//! Each trait has a blanket implementation: nobody implements it, and the error does not list every type that does.

use burn::module::Module;

use super::layer::{Side, SlimLayer};

/// The struct must be a Burn module.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a Burn module",
    label = "`#[derive(Slimmable)]` goes with `#[derive(Module)]`",
    note = "write `#[derive(Module, Debug, Slimmable)]`, with `use burn::module::Module`"
)]
pub trait IsModule: Module {}

#[diagnostic::do_not_recommend]
impl<T: Module> IsModule for T {}

/// A field with an axis must be a layer with that side.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no such axis to gate or slice",
    label = "the layer has no such axis",
    note = "a linear layer or convolution has `input` and `output`, a norm or embedding `output` only, a `Param<Tensor<D>>` `axis(0)` to `axis(D - 1)`",
    note = "instead of Burn's own norms, use those of `vitslim_core::nn`, which remember their original width when they are sliced",
    note = "implement `vitslim_core::slim::SlimLayer` for a layer of your own"
)]
pub trait HasAxis<S: Side>: SlimLayer<S> {}

#[diagnostic::do_not_recommend]
impl<S: Side, L: SlimLayer<S>> HasAxis<S> for L {}

/// A field whose annotation is for one type only must be of that type.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a `{T}`",
    label = "the annotation of this field is for one of type `{T}`"
)]
pub trait Is<T>: Sized {
    /// `map` applied to the field.
    fn apply(self, map: impl FnOnce(T) -> T) -> Self;
}

#[diagnostic::do_not_recommend]
impl<T> Is<T> for T {
    fn apply(self, map: impl FnOnce(T) -> T) -> Self {
        map(self)
    }
}
