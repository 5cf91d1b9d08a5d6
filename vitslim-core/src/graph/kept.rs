//! What operations keep until the backward pass: what burn-autodiff 0.22.1 and the fused operations of the CPU read there. What burn
//! computes in several steps is counted step by step.

use burn_ir::{
    ActivationOperationIr as Activation, BaseOperationIr as Base, FloatOperationIr as Float,
    ModuleOperationIr as Module, NumericOperationIr as Numeric, OperationIr, TensorIr,
};

/// What an operation keeps.
#[derive(Debug, Default)]
pub(super) struct Kept<'a> {
    /// Those of its tensors that it reads again.
    pub tensors: Vec<&'a TensorIr>,
    /// Bytes of each tensor that it computes on the way to its result.
    pub inside: Vec<u64>,
}

impl<'a> Kept<'a> {
    /// What `operation` keeps, one of whose inputs has a gradient; `is_tracked` says which. `fused` is whether the device fuses GELU and
    /// layer norm.
    pub(super) fn by(
        operation: &'a OperationIr,
        fused: bool,
        is_tracked: impl Fn(&TensorIr) -> bool,
    ) -> Self {
        // The gradient of one factor takes the other.
        let factors = |one: &'a TensorIr, other: &'a TensorIr| {
            let of_other = is_tracked(other).then_some(one);
            Self::tensors(of_other.into_iter().chain(is_tracked(one).then_some(other)))
        };
        match operation {
            OperationIr::Float(_, Float::Matmul(of)) => factors(&of.lhs, &of.rhs),
            OperationIr::Module(Module::Linear(of)) => factors(&of.x, &of.weight),
            OperationIr::NumericFloat(_, Numeric::Mul(of)) => factors(&of.lhs, &of.rhs),
            OperationIr::NumericFloat(_, Numeric::Div(of)) => {
                Self::tensors(is_tracked(&of.rhs).then_some(&of.lhs).into_iter().chain([&of.rhs]))
            }
            OperationIr::NumericFloat(_, Numeric::Abs(of)) => Self::tensors([&of.input]),
            OperationIr::NumericFloat(_, Numeric::PowiScalar(of)) => Self::tensors([&of.lhs]),
            OperationIr::NumericFloat(_, Numeric::Powi(_) | Numeric::Prod(_) | Numeric::ProdDim(_)) => {
                Self::tensors(operation.inputs())
            }
            // Which values are in between.
            OperationIr::NumericFloat(_, Numeric::Clamp(of)) => Self::inside([elements(&of.out)]),
            OperationIr::NumericFloat(_, Numeric::ClampMin(of) | Numeric::ClampMax(of)) => {
                Self::inside([elements(&of.out)])
            }
            // Sums, and what moves values.
            OperationIr::NumericFloat(..) => Self::default(),
            OperationIr::Float(
                _,
                Float::Round(_) | Float::Floor(_) | Float::Ceil(_) | Float::Trunc(_) | Float::IntoInt(_),
            ) => Self::default(),
            OperationIr::BaseFloat(base) => match base {
                Base::MaskWhere(of) => Self::tensors([&of.mask]),
                Base::MaskFill(of) => Self::tensors([&of.mask]),
                Base::Gather(of) => Self::tensors([&of.indices]),
                Base::Select(of) => Self::tensors([&of.indices]),
                _ => Self::default(),
            },
            OperationIr::Activation(Activation::Gelu(of)) => Self {
                tensors: vec![&of.input],
                // The scaled input, and its distribution.
                inside: if fused { Vec::new() } else { vec![bytes(&of.out); 2] },
            },
            // The exponents, and what they are the exponents of.
            OperationIr::Activation(Activation::Softmax(of) | Activation::Softmin(of)) => {
                Self::inside([bytes(&of.out); 2])
            }
            OperationIr::Activation(Activation::LogSoftmax(of)) => Self::inside([bytes(&of.out)]),
            OperationIr::Module(Module::LayerNorm(of)) if fused && of.beta.is_some() => {
                Self::tensors([&of.input])
            }
            // The input without its mean, and divided by its deviation.
            OperationIr::Module(Module::LayerNorm(of)) => Self::inside([bytes(&of.out); 2]),
            OperationIr::Module(Module::BatchNorm(of)) => Self::tensors([&of.x]),
            OperationIr::Module(Module::Attention(of)) => {
                // Those of a softmax, and its result.
                let scores = bytes(&of.query) / last(&of.query) * of.key.shape.as_slice()[2] as u64;
                Self { tensors: vec![&of.query, &of.key, &of.value], inside: vec![scores; 3] }
            }
            OperationIr::Float(..)
            | OperationIr::Activation(_)
            | OperationIr::Module(_)
            | OperationIr::Custom(_) => Self::tensors(operation.inputs()),
            _ => Self::default(),
        }
    }

    fn tensors(tensors: impl IntoIterator<Item = &'a TensorIr>) -> Self {
        Self { tensors: tensors.into_iter().collect(), inside: Vec::new() }
    }

    fn inside(inside: impl Into<Vec<u64>>) -> Self {
        Self { tensors: Vec::new(), inside: inside.into() }
    }
}

/// Number of values of `tensor`.
fn elements(tensor: &TensorIr) -> u64 {
    tensor.shape.as_slice().iter().map(|&size| size as u64).product()
}

pub(super) fn bytes(tensor: &TensorIr) -> u64 {
    elements(tensor) * tensor.dtype.size() as u64
}

fn last(tensor: &TensorIr) -> u64 {
    tensor.shape.as_slice().last().map_or(1, |&size| size.max(1) as u64)
}
