//! The parameters of a model by path.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::Tensor;

/// A parameter of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parameter {
    /// Path in the model: `blocks.0.mlp.fc1.weight`.
    pub path: String,
    /// The type of the struct that holds it: `Linear`.
    pub holder: String,
    /// Its shape.
    pub shape: Vec<usize>,
}

/// The float parameters of `model`.
pub(super) fn parameters<M: Module>(model: &M) -> Vec<Parameter> {
    let mut list = List::default();
    model.visit(&mut list);
    list.found
}

#[derive(Default)]
struct List {
    path: Vec<(String, String)>,
    found: Vec<Parameter>,
}

impl ModuleVisitor for List {
    fn enter_module(&mut self, name: &str, holder: &str) {
        self.path.push((name.to_owned(), holder.to_owned()));
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let steps: Vec<&str> = self.path.iter().map(|(name, _)| name.as_str()).collect();
        let holder = self.path.last().map_or("", |(_, holder)| holder);
        self.found.push(Parameter {
            path: steps.join("."),
            holder: holder.strip_prefix("Struct:").unwrap_or(holder).to_owned(),
            shape: param.dims().to_vec(),
        });
    }
}

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
