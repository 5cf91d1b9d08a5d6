use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;

use super::comparison::host;
use super::failure::Failure;

/// Path and values of every parameter of `model`.
///
/// # Errors
///
/// When the device fails.
pub(super) fn parameter_values<M: Module>(model: &M) -> Result<Vec<(String, Vec<f64>)>, Failure> {
    let mut values = ParameterValues { path: Vec::new(), found: Ok(Vec::new()) };
    model.visit(&mut values);
    values.found
}

struct ParameterValues {
    path: Vec<String>,
    found: Result<Vec<(String, Vec<f64>)>, Failure>,
}

impl ModuleVisitor for ParameterValues {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        match (&mut self.found, host(param.val())) {
            (Ok(found), Ok(values)) => found.push((self.path.join("."), values)),
            (Ok(_), Err(failure)) => self.found = Err(failure),
            (Err(_), _) => {}
        }
    }
}
