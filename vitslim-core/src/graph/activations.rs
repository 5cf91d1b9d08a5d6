use burn_capture::CapturedGraph;
use burn_ir::{
    ActivationOperationIr, BaseOperationIr, BinaryOpIr, FloatOperationIr, NumericOperationIr, OperationIr,
    ScalarIr, TensorIr,
};

/// What stands for an operation without a name.
const OTHER: &str = "other";

/// The activation functions of a recorded forward pass, by name, in the order of their first use.
///
/// `gelu` is the exact one, `silu` is `x * sigmoid(x)`, and `hard_swish` is `x * hard_sigmoid(x)`. `tanh`, `exp`, `log`, `erf`, `sin` and `cos` are told
/// wherever they are computed. `other` stands for operations that have no name here, and are neither sums and products, nor part of
/// a norm, nor the softmax of an attention.
pub fn activations(captured: &CapturedGraph) -> Vec<&'static str> {
    let operations = &captured.graph.operations;
    let mut found = Vec::new();
    for name in operations.iter().filter_map(|operation| name(operation, operations)) {
        if !found.contains(&name) {
            found.push(name);
        }
    }
    found
}

fn name(operation: &OperationIr, all: &[OperationIr]) -> Option<&'static str> {
    match operation {
        OperationIr::Activation(activation) => of_activation(activation, all),
        OperationIr::Float(_, operation) => of_float(operation),
        OperationIr::NumericFloat(_, operation) => (!is_arithmetic(operation)).then_some(OTHER),
        OperationIr::BaseFloat(BaseOperationIr::MaskWhere(_) | BaseOperationIr::MaskFill(_))
        | OperationIr::Custom(_) => Some(OTHER),
        _ => None,
    }
}

fn of_activation(activation: &ActivationOperationIr, all: &[OperationIr]) -> Option<&'static str> {
    Some(match activation {
        ActivationOperationIr::Gelu(_) => "gelu",
        ActivationOperationIr::Relu(_) => "relu",
        ActivationOperationIr::LeakyRelu(_) => "leaky_relu",
        ActivationOperationIr::PRelu(_) => "prelu",
        ActivationOperationIr::Sigmoid(of) if multiplies(&of.input, &of.out, all) => "silu",
        ActivationOperationIr::Sigmoid(_) => "sigmoid",
        ActivationOperationIr::HardSigmoid(of) if multiplies(&of.tensor, &of.out, all) => "hard_swish",
        ActivationOperationIr::HardSigmoid(_) => "hard_sigmoid",
        ActivationOperationIr::LogSigmoid(_) => "log_sigmoid",
        ActivationOperationIr::Softmax(_) => return None,
        _ => OTHER,
    })
}

/// Whether the product of `input` and `output` is all that is made of `output`.
fn multiplies(input: &TensorIr, output: &TensorIr, all: &[OperationIr]) -> bool {
    let mut readers = all.iter().filter(|operation| {
        !matches!(operation, OperationIr::Drop(_)) && operation.inputs().any(|read| read.id == output.id)
    });
    let is_product = |operation: &OperationIr| match operation {
        OperationIr::NumericFloat(_, NumericOperationIr::Mul(BinaryOpIr { lhs, rhs, .. })) => {
            [lhs.id, rhs.id].contains(&input.id)
        }
        _ => false,
    };
    readers.next().is_some_and(is_product) && readers.all(is_product)
}

fn of_float(operation: &FloatOperationIr) -> Option<&'static str> {
    match operation {
        FloatOperationIr::Matmul(_) | FloatOperationIr::Sqrt(_) | FloatOperationIr::Recip(_) => None,
        FloatOperationIr::PowfScalar(of) if is_two(&of.rhs) => None,
        FloatOperationIr::Exp(_) => Some("exp"),
        FloatOperationIr::Log(_) => Some("log"),
        FloatOperationIr::Erf(_) => Some("erf"),
        FloatOperationIr::Tanh(_) => Some("tanh"),
        FloatOperationIr::Sin(_) => Some("sin"),
        FloatOperationIr::Cos(_) => Some("cos"),
        _ => Some(OTHER),
    }
}

/// Whether it is linear, or a product, or a comparison, by which alone nothing changes.
fn is_arithmetic(operation: &NumericOperationIr) -> bool {
    use NumericOperationIr as Numeric;
    match operation {
        Numeric::PowiScalar(of) => is_two(&of.rhs),
        Numeric::Add(_)
        | Numeric::AddScalar(_)
        | Numeric::Sub(_)
        | Numeric::SubScalar(_)
        | Numeric::Mul(_)
        | Numeric::MulScalar(_)
        | Numeric::Div(_)
        | Numeric::DivScalar(_)
        | Numeric::Neg(_)
        | Numeric::Full(_)
        | Numeric::Pad(_)
        | Numeric::Sum(_)
        | Numeric::SumDim(_)
        | Numeric::SumDims(_)
        | Numeric::Mean(_)
        | Numeric::MeanDim(_)
        | Numeric::CumSum(_)
        | Numeric::Greater(_)
        | Numeric::GreaterElem(_)
        | Numeric::GreaterEqual(_)
        | Numeric::GreaterEqualElem(_)
        | Numeric::Lower(_)
        | Numeric::LowerElem(_)
        | Numeric::LowerEqual(_)
        | Numeric::LowerEqualElem(_)
        | Numeric::ArgMax(_) => true,
        _ => false,
    }
}

fn is_two(exponent: &ScalarIr) -> bool {
    match exponent {
        ScalarIr::Float(value) => *value == 2.0,
        ScalarIr::Int(value) => *value == 2,
        ScalarIr::UInt(value) => *value == 2,
        ScalarIr::Bool(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::activation::{
        gelu_approximate, hard_swish, relu, sigmoid, silu, softmax, softplus, tanh,
    };
    use burn::tensor::{Device, Tensor};

    use super::*;
    use crate::data::ImageShape;
    use crate::graph::capture::{capture, tensor_id};
    use crate::models::{Architecture, ConvNext, ConvNextConfig, Swin, SwinConfig, Vit, VitConfig};
    use crate::nn::Gelu;
    use crate::slim::{CutTokens, Plan, describe};

    /// What is recorded of `compute`, whose result is a tensor.
    fn recorded(compute: impl FnOnce(&Device) -> Tensor<2>) -> CapturedGraph {
        let recorder = Device::capture();
        let graph = recorder.capture_scope(|scope| {
            let output = compute(&recorder);
            scope.complete([], [tensor_id(&output).unwrap()])
        });
        graph.unwrap()
    }

    #[test]
    fn activations_are_named_and_what_has_no_name_is_told() {
        type Compute = fn(Tensor<2>) -> Tensor<2>;
        let cases: [(Compute, &[&str]); 13] = [
            (|x| relu(Gelu::new().forward(Gelu::new().forward(x))), &["gelu", "relu"]),
            (|x| silu(x.clone() + 1) * x, &["silu"]),
            (|x| sigmoid(x.clone()) * x, &["silu"]),
            (sigmoid, &["sigmoid"]),
            (|x| (x.clone() + 1) * sigmoid(x), &["sigmoid"]),
            (hard_swish, &["hard_swish"]),
            (tanh, &["tanh"]),
            (gelu_approximate, &["other", "tanh"]),
            (|x| softplus(x, 1.0), &["other", "exp"]),
            (|x| x.clamp(0, 6), &["other"]),
            (|x| x.log(), &["log"]),
            (|x| softmax(x.clone().matmul(x.transpose()), 1), &[]),
            (|x| (x.clone().square().mean_dim(1) + 1e-6).sqrt().recip() * x.powf_scalar(2.0), &[]),
        ];
        for (compute, expected) in cases {
            let graph = recorded(|device| compute(Tensor::ones([4, 4], device)));
            assert_eq!(activations(&graph), expected);
        }
    }

    #[test]
    fn norms_and_attention_are_no_activations() {
        fn of<A: Architecture>(config: &A::Config, tokens: CutTokens) -> Vec<&'static str> {
            let model = A::init(config, &Device::flex()).unwrap();
            let mut plan = Plan { tokens, ..Plan::whole(&describe(&model).unwrap()) };
            // So that norms are of a part of their width.
            for cut in plan.cuts.iter_mut().filter(|cut| cut.keep.len() > 1) {
                cut.keep.pop();
            }
            let image = ImageShape { channels: 3, size: 32 };
            activations(&capture(&model.slim(&plan).unwrap(), image, 1).unwrap())
        }
        let vit =
            VitConfig { image_size: 32, patch_size: 8, dim: 16, heads: 2, depth: 2, ..VitConfig::default() };
        assert_eq!(of::<Vit>(&vit, CutTokens::Drop), ["gelu"]);
        // Of the sizes of tokens.
        assert_eq!(of::<Vit>(&vit, CutTokens::Merge), ["log", "gelu"]);
        let swin = SwinConfig {
            image_size: 32,
            dim: 8,
            depths: vec![2, 2],
            heads: vec![2, 4],
            window: 4,
            ..SwinConfig::default()
        };
        assert_eq!(of::<Swin>(&swin, CutTokens::Drop), ["gelu"]);
        let convnext = ConvNextConfig {
            image_size: 32,
            dims: vec![8, 4],
            depths: vec![2, 1],
            ..ConvNextConfig::default()
        };
        assert_eq!(of::<ConvNext>(&convnext, CutTokens::Drop), ["gelu"]);
    }
}
