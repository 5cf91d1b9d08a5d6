//! Floats of the width that this process computes in.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::Tensor;

/// `model` with floats as this process computes: files have f32, and `vitslim check` computes in f64.
pub(super) fn as_computed<M: Module>(model: M) -> M {
    model.map(&mut AsComputed)
}

struct AsComputed;

impl ModuleMapper for AsComputed {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|value| {
            let float = value.device().settings().float_dtype;
            value.cast(float)
        })
    }
}
