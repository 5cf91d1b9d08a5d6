//! Changes the parameters of a model.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::Tensor;

/// A change of the float parameters of a model.
pub(super) trait Change {
    /// The new value of the parameter at `path`; `None` leaves it as it is.
    fn change<const D: usize>(&mut self, path: &str, value: &Tensor<D>) -> Option<Tensor<D>>;
}

/// `model` with its parameters changed by `change`.
pub(super) fn changed<M: Module>(model: M, change: &mut impl Change) -> M {
    model.map(&mut Changing { path: Vec::new(), change })
}

struct Changing<'a, C> {
    path: Vec<String>,
    change: &'a mut C,
}

impl<C: Change> ModuleMapper for Changing<'_, C> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let path = self.path.join(".");
        match self.change.change(&path, &param.val()) {
            Some(value) => param.map(|_| value),
            None => param,
        }
    }
}
