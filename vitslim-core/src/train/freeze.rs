//! A model of which only the norms are trained.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::Tensor;

/// `model` without gradients for its weights; those of its norms stay, which are the layers with `Norm` in their name.
pub(super) fn freeze_weights<M: Module>(model: M) -> M {
    model.map(&mut Freeze::default())
}

#[derive(Default)]
struct Freeze {
    /// Types of the layers around, outermost first.
    types: Vec<String>,
}

impl ModuleMapper for Freeze {
    fn enter_module(&mut self, _: &str, container_type: &str) {
        self.types.push(container_type.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.types.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let of_norm = self.types.last().is_some_and(|layer| layer.contains("Norm"));
        if of_norm { param } else { param.set_require_grad(false) }
    }
}
