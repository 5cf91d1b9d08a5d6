//! Whether parameters are finite.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Bool, ExecutionError, Tensor};

/// The path of the first parameter of `module`, in validation mode, that has a value which is not finite. Reads the device once.
///
/// # Errors
///
/// When the device fails.
pub(super) fn not_finite<M: Module>(module: &M) -> Result<Option<String>, ExecutionError> {
    let mut asked = Asked::default();
    module.visit(&mut asked);
    let Asked { parameters, are_finite, .. } = asked;
    if are_finite.is_empty() {
        return Ok(None);
    }
    let answers = Tensor::cat(are_finite, 0).try_into_data()?;
    let found = answers.iter::<bool>().position(|is_finite| !is_finite);
    Ok(found.map(|index| parameters[index].clone()))
}

#[derive(Default)]
struct Asked {
    path: Vec<String>,
    parameters: Vec<String>,
    /// Whether all values of each parameter are finite, `[1]`, still on the device.
    are_finite: Vec<Tensor<1, Bool>>,
}

impl ModuleVisitor for Asked {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val();
        if value.shape().num_elements() > 0 {
            self.parameters.push(self.path.join("."));
            self.are_finite.push(value.is_finite().all());
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::module::ModuleMapper;

    use super::*;
    use crate::train::fixture::vit;

    #[test]
    fn one_value_among_all_is_found_and_its_parameter_named() {
        struct Broken<'a>(&'a str, f32, Vec<String>);
        impl ModuleMapper for Broken<'_> {
            fn enter_module(&mut self, name: &str, _: &str) {
                self.2.push(name.to_owned());
            }
            fn exit_module(&mut self, _: &str, _: &str) {
                self.2.pop();
            }
            fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
                if self.2.join(".") != self.0 {
                    return param;
                }
                param.map(|value| {
                    let shape = value.dims();
                    let last = value.clone().reshape([-1]).dims()[0] - 1;
                    let flat = value.reshape([-1]);
                    let broken = Tensor::from_floats([self.1], &flat.device());
                    flat.slice_assign(last..last + 1, broken).reshape(shape)
                })
            }
        }
        assert_eq!(not_finite(&vit()).unwrap(), None);
        for path in ["model.blocks.1.mlp.fc2.bias", "masks.blocks.0.mlp.hidden"] {
            for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                let broken = vit().map(&mut Broken(path, value, Vec::new()));
                assert_eq!(not_finite(&broken).unwrap().as_deref(), Some(path));
            }
            let largest = vit().map(&mut Broken(path, f32::MAX, Vec::new()));
            assert_eq!(not_finite(&largest).unwrap(), None);
        }
    }
}
