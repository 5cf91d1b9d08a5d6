//! Operations that compute value by value.

use burn::tensor::DType;
use burn_ir::{
    ActivationOperationIr as Activation, BaseOperationIr as Base, BinaryOpIr, BoolOperationIr as Bool,
    FloatOperationIr as Float, NumericOperationIr as Numeric, OperationIr, ScalarIr, ScalarOpIr, TensorIr,
    UnaryOpIr,
};

/// What an operation reads.
pub(super) enum Operand<'a> {
    /// A tensor.
    Tensor(&'a TensorIr),
    /// A number of a type.
    Number(ScalarIr, DType),
}

/// An operation that computes each value of its output from one value of each operand, with broadcasting.
pub(super) struct Pointwise<'a> {
    /// What it reads, in the order of the operator of ONNX.
    pub operands: Vec<Operand<'a>>,
    /// What it makes.
    pub out: &'a TensorIr,
    /// Operator of ONNX.
    pub onnx: &'static str,
    /// Expression of PyTorch, with `{}` for each operand.
    pub torch: &'static str,
}

/// `operation`, if it computes value by value and has an operator in ONNX.
pub(super) fn pointwise(operation: &OperationIr) -> Option<Pointwise<'_>> {
    match operation {
        OperationIr::NumericFloat(_, Numeric::Div(of)) => binary(of, "Div", "{} / {}"),
        OperationIr::NumericFloat(_, Numeric::DivScalar(of)) => scalar(of, "Div", "{} / {}"),
        OperationIr::NumericFloat(_, of) | OperationIr::NumericInt(_, of) => numeric(of),
        OperationIr::Float(_, of) => float(of),
        OperationIr::Activation(of) => match of {
            Activation::Gelu(of) => unary(of, "Gelu", "F.gelu({})"),
            Activation::Relu(of) => unary(of, "Relu", "F.relu({})"),
            Activation::Sigmoid(of) => unary(of, "Sigmoid", "{}.sigmoid()"),
            _ => None,
        },
        OperationIr::BaseFloat(of) | OperationIr::BaseInt(of) | OperationIr::BaseBool(of) => base(of),
        OperationIr::Bool(of) => match of {
            Bool::Not(of) => unary(of, "Not", "~{}"),
            Bool::And(of) => binary(of, "And", "{} & {}"),
            Bool::Or(of) => binary(of, "Or", "{} | {}"),
            Bool::Xor(of) => binary(of, "Xor", "{} ^ {}"),
            _ => None,
        },
        _ => None,
    }
}

fn numeric(operation: &Numeric) -> Option<Pointwise<'_>> {
    match operation {
        Numeric::Add(of) => binary(of, "Add", "{} + {}"),
        Numeric::AddScalar(of) => scalar(of, "Add", "{} + {}"),
        Numeric::Sub(of) => binary(of, "Sub", "{} - {}"),
        Numeric::SubScalar(of) => scalar(of, "Sub", "{} - {}"),
        Numeric::Mul(of) => binary(of, "Mul", "{} * {}"),
        Numeric::MulScalar(of) => scalar(of, "Mul", "{} * {}"),
        Numeric::Abs(of) => unary(of, "Abs", "{}.abs()"),
        Numeric::Neg(of) => unary(of, "Neg", "-{}"),
        Numeric::Sign(of) => unary(of, "Sign", "{}.sign()"),
        Numeric::Powi(of) => binary(of, "Pow", "{} ** {}"),
        Numeric::PowiScalar(of) => scalar(of, "Pow", "{} ** {}"),
        Numeric::ClampMin(of) => scalar(of, "Max", "{}.clamp(min={})"),
        Numeric::ClampMax(of) => scalar(of, "Min", "{}.clamp(max={})"),
        Numeric::Clamp(of) => {
            let bound = |bound| Operand::Number(bound, of.tensor.dtype);
            let operands = vec![Operand::Tensor(&of.tensor), bound(of.min), bound(of.max)];
            Some(Pointwise { operands, out: &of.out, onnx: "Clip", torch: "{}.clamp({}, {})" })
        }
        Numeric::Greater(of) => binary(of, "Greater", "{} > {}"),
        Numeric::GreaterElem(of) => scalar(of, "Greater", "{} > {}"),
        Numeric::GreaterEqual(of) => binary(of, "GreaterOrEqual", "{} >= {}"),
        Numeric::GreaterEqualElem(of) => scalar(of, "GreaterOrEqual", "{} >= {}"),
        Numeric::Lower(of) => binary(of, "Less", "{} < {}"),
        Numeric::LowerElem(of) => scalar(of, "Less", "{} < {}"),
        Numeric::LowerEqual(of) => binary(of, "LessOrEqual", "{} <= {}"),
        Numeric::LowerEqualElem(of) => scalar(of, "LessOrEqual", "{} <= {}"),
        _ => None,
    }
}

fn float(operation: &Float) -> Option<Pointwise<'_>> {
    match operation {
        Float::Exp(of) => unary(of, "Exp", "{}.exp()"),
        Float::Log(of) => unary(of, "Log", "{}.log()"),
        Float::Erf(of) => unary(of, "Erf", "{}.erf()"),
        Float::Sqrt(of) => unary(of, "Sqrt", "{}.sqrt()"),
        Float::Recip(of) => unary(of, "Reciprocal", "{}.reciprocal()"),
        Float::Cos(of) => unary(of, "Cos", "{}.cos()"),
        Float::Sin(of) => unary(of, "Sin", "{}.sin()"),
        Float::Tanh(of) => unary(of, "Tanh", "{}.tanh()"),
        Float::Floor(of) => unary(of, "Floor", "{}.floor()"),
        Float::Ceil(of) => unary(of, "Ceil", "{}.ceil()"),
        Float::Powf(of) => binary(of, "Pow", "{} ** {}"),
        Float::PowfScalar(of) => scalar(of, "Pow", "{} ** {}"),
        _ => None,
    }
}

fn base(operation: &Base) -> Option<Pointwise<'_>> {
    match operation {
        Base::Equal(of) => binary(of, "Equal", "{} == {}"),
        Base::EqualElem(of) => scalar(of, "Equal", "{} == {}"),
        Base::MaskWhere(of) => {
            let operands = [&of.mask, &of.value, &of.tensor].map(Operand::Tensor).into();
            Some(Pointwise { operands, out: &of.out, onnx: "Where", torch: "torch.where({}, {}, {})" })
        }
        Base::MaskFill(of) => {
            let value = Operand::Number(of.value, of.tensor.dtype);
            let operands = vec![Operand::Tensor(&of.mask), value, Operand::Tensor(&of.tensor)];
            Some(Pointwise { operands, out: &of.out, onnx: "Where", torch: "torch.where({}, {}, {})" })
        }
        _ => None,
    }
}

fn unary<'a>(of: &'a UnaryOpIr, onnx: &'static str, torch: &'static str) -> Option<Pointwise<'a>> {
    Some(Pointwise { operands: vec![Operand::Tensor(&of.input)], out: &of.out, onnx, torch })
}

fn binary<'a>(of: &'a BinaryOpIr, onnx: &'static str, torch: &'static str) -> Option<Pointwise<'a>> {
    let operands = vec![Operand::Tensor(&of.lhs), Operand::Tensor(&of.rhs)];
    Some(Pointwise { operands, out: &of.out, onnx, torch })
}

fn scalar<'a>(of: &'a ScalarOpIr, onnx: &'static str, torch: &'static str) -> Option<Pointwise<'a>> {
    let operands = vec![Operand::Tensor(&of.lhs), Operand::Number(of.rhs, of.lhs.dtype)];
    Some(Pointwise { operands, out: &of.out, onnx, torch })
}
