use burn_capture::CapturedGraph;
use burn_ir::{ActivationOperationIr, OperationIr};

/// The activation functions of a recorded forward pass, by name, in the order of their first use. `gelu` is the exact one.
pub fn activations(captured: &CapturedGraph) -> Vec<&'static str> {
    let mut found = Vec::new();
    for name in captured.graph.operations.iter().filter_map(name) {
        if !found.contains(&name) {
            found.push(name);
        }
    }
    found
}

fn name(operation: &OperationIr) -> Option<&'static str> {
    let OperationIr::Activation(activation) = operation else { return None };
    match activation {
        ActivationOperationIr::Gelu(_) => Some("gelu"),
        ActivationOperationIr::Relu(_) => Some("relu"),
        ActivationOperationIr::LeakyRelu(_) => Some("leaky_relu"),
        ActivationOperationIr::PRelu(_) => Some("prelu"),
        ActivationOperationIr::Sigmoid(_) => Some("sigmoid"),
        ActivationOperationIr::HardSigmoid(_) => Some("hard_sigmoid"),
        ActivationOperationIr::LogSigmoid(_) => Some("log_sigmoid"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Tensor};

    use super::*;
    use crate::graph::capture::tensor_id;
    use crate::nn::Gelu;

    /// What is recorded of `compute`, whose result is a tensor.
    fn recorded(compute: impl FnOnce(&Device) -> Tensor<1>) -> CapturedGraph {
        let recorder = Device::capture();
        let graph = recorder.capture_scope(|scope| {
            let output = compute(&recorder);
            scope.complete([], [tensor_id(&output).unwrap()])
        });
        graph.unwrap()
    }

    #[test]
    fn gelu_is_named() {
        let twice = |x: Tensor<1>| Gelu::new().forward(Gelu::new().forward(x));
        let graph = recorded(|device| burn::tensor::activation::relu(twice(Tensor::ones([4], device))));
        assert_eq!(activations(&graph), ["gelu", "relu"]);
    }
}
