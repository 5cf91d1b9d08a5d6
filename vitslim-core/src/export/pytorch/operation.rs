//! Operations of a trace as expressions of PyTorch.

use burn::tensor::{DType, IndexingUpdateOp};
use burn_ir::{
    ActivationOperationIr as Activation, BaseOperationIr as Base, BoolOperationIr as Bool,
    FloatOperationIr as Float, IntOperationIr as Int, ModuleOperationIr as Module,
    NumericOperationIr as Numeric, OperationIr, PadModeIr, ScalarIr, TensorIr,
};

use super::writer::{Writer, number, size};
use crate::export::pointwise::{Operand, pointwise};
use crate::export::trace::{Operation, Size};

type Written<'a> = Option<(&'a TensorIr, String)>;

/// What `operation` makes, and the expression for it; `None` if there is none.
pub(super) fn expression<'a>(operation: &'a OperationIr, of: &mut Writer) -> Written<'a> {
    if let Some(pointwise) = pointwise(operation) {
        let mut expression = pointwise.torch.to_owned();
        for operand in pointwise.operands {
            let operand = match operand {
                Operand::Tensor(tensor) => of.tensor(tensor)?,
                Operand::Number(value, _) => number(value),
            };
            expression = expression.replacen("{}", &operand, 1);
        }
        return Some((pointwise.out, expression));
    }
    match operation {
        OperationIr::BaseFloat(base) | OperationIr::BaseInt(base) | OperationIr::BaseBool(base) => {
            self::base(base, of)
        }
        OperationIr::NumericFloat(_, numeric) | OperationIr::NumericInt(_, numeric) => {
            self::numeric(numeric, of)
        }
        OperationIr::Float(_, Float::Matmul(matmul)) | OperationIr::Int(Int::Matmul(matmul)) => {
            Some((&matmul.out, format!("{} @ {}", of.tensor(&matmul.lhs)?, of.tensor(&matmul.rhs)?)))
        }
        OperationIr::Float(_, Float::IntoInt(cast))
        | OperationIr::Int(Int::IntoFloat(cast))
        | OperationIr::Bool(Bool::IntoFloat(cast) | Bool::IntoInt(cast)) => {
            Some((&cast.out, format!("{}.to({})", of.tensor(&cast.input)?, dtype(cast.out.dtype)?)))
        }
        OperationIr::Activation(activation) => self::activation(activation, of),
        OperationIr::Module(module) => self::module(module, of),
        _ => None,
    }
}

fn base<'a>(operation: &'a Base, of: &mut Writer) -> Written<'a> {
    Some(match operation {
        Base::Reshape(op) => (&op.out, format!("{}.reshape({})", of.tensor(&op.input)?, of.sizes(&op.out))),
        Base::SwapDims(op) => {
            (&op.out, format!("{}.transpose({}, {})", of.tensor(&op.input)?, op.dim1, op.dim2))
        }
        Base::Permute(op) => (&op.out, format!("{}.permute({})", of.tensor(&op.input)?, list(&op.axes))),
        Base::Expand(op) => (&op.out, format!("{}.expand({})", of.tensor(&op.input)?, of.sizes(&op.out))),
        Base::Slice(op) => {
            let mut parts = Vec::new();
            let ranges = Operation::parts(&op.ranges, &op.tensor);
            for (part, &size) in ranges.iter().zip(op.tensor.shape.as_slice()) {
                parts.push(match part {
                    None => ":".to_owned(),
                    Some(part) if part.step() == 1 => {
                        let range = part.range(size);
                        format!("{}:{}", range.start, range.end)
                    }
                    Some(_) => return None,
                });
            }
            (&op.out, format!("{}[{}]", of.tensor(&op.tensor)?, parts.join(", ")))
        }
        Base::Select(op) => {
            let tensor = of.tensor(&op.tensor)?;
            match of.list(&op.indices) {
                Some(indices) => (&op.out, format!("{tensor}[{}{indices}]", ":, ".repeat(op.dim))),
                None => (&op.out, format!("{tensor}.index_select({}, {})", op.dim, of.tensor(&op.indices)?)),
            }
        }
        Base::Gather(op) => {
            let (tensor, indices) = (of.tensor(&op.tensor)?, of.tensor(&op.indices)?);
            (&op.out, format!("{tensor}.gather({}, {indices})", op.dim))
        }
        Base::SelectAssign(op) if op.update == IndexingUpdateOp::Add => {
            let (indices, value) = (of.tensor(&op.indices)?, of.tensor(&op.value)?);
            (&op.out, format!("{}.index_add({}, {indices}, {value})", of.tensor(&op.tensor)?, op.dim))
        }
        Base::RepeatDim(op) => {
            let times = match (of.size(&op.tensor, op.dim)?, of.size(&op.out, op.dim)?) {
                (Size::Fixed(before), Size::PerImage(after)) if after.is_multiple_of(before) => {
                    Size::PerImage(after / before)
                }
                (Size::Fixed(_), Size::PerImage(_)) => return None,
                _ => Size::Fixed(op.times),
            };
            let mut all = vec!["1".to_owned(); op.tensor.shape.as_slice().len()];
            all[op.dim] = size(&times);
            (&op.out, format!("{}.repeat({})", of.tensor(&op.tensor)?, all.join(", ")))
        }
        Base::Cat(op) => {
            let parts: Vec<_> = op.tensors.iter().map(|tensor| of.tensor(tensor)).collect::<Option<_>>()?;
            (&op.out, format!("torch.cat(({}), {})", parts.join(", "), op.dim))
        }
        Base::Cast(op) => (&op.out, format!("{}.to({})", of.tensor(&op.input)?, dtype(op.out.dtype)?)),
        Base::Zeros(op) => (&op.out, filled(&op.out, ScalarIr::Int(0), of)?),
        Base::Ones(op) => (&op.out, filled(&op.out, ScalarIr::Int(1), of)?),
        _ => return None,
    })
}

fn numeric<'a>(operation: &'a Numeric, of: &mut Writer) -> Written<'a> {
    let mut reduced = |function: &str, input: &TensorIr, axes: &[usize]| {
        Some(format!("{}.{function}([{}], keepdim=True)", of.tensor(input)?, list(axes)))
    };
    Some(match operation {
        Numeric::MeanDim(op) => (&op.out, reduced("mean", &op.input, &[op.axis])?),
        Numeric::SumDim(op) => (&op.out, reduced("sum", &op.input, &[op.axis])?),
        Numeric::SumDims(op) => (&op.out, reduced("sum", &op.input, &op.axes)?),
        Numeric::MaxDim(op) => (&op.out, reduced("amax", &op.input, &[op.axis])?),
        Numeric::MinDim(op) => (&op.out, reduced("amin", &op.input, &[op.axis])?),
        Numeric::ArgMax(op) => {
            (&op.out, format!("{}.argmax({}, keepdim=True)", of.tensor(&op.input)?, op.axis))
        }
        Numeric::Full(op) => (&op.out, filled(&op.out, op.value, of)?),
        Numeric::Pad(op) => {
            let PadModeIr::Constant(value) = op.mode else { return None };
            let pads: Vec<_> = op.padding.iter().rev().flat_map(|pad| [pad.0, pad.1]).collect();
            let input = of.tensor(&op.input)?;
            (&op.out, format!("F.pad({input}, ({}), value={})", list(&pads), number(value)))
        }
        _ => return None,
    })
}

fn activation<'a>(operation: &'a Activation, of: &mut Writer) -> Written<'a> {
    Some(match operation {
        Activation::Softmax(op) => (&op.out, format!("{}.softmax({})", of.tensor(&op.input)?, op.axis)),
        Activation::LogSoftmax(op) => {
            (&op.out, format!("{}.log_softmax({})", of.tensor(&op.input)?, op.axis))
        }
        Activation::LeakyRelu(op) => {
            (&op.out, format!("F.leaky_relu({}, {})", of.tensor(&op.lhs)?, number(op.rhs)))
        }
        Activation::HardSigmoid(op) => {
            let (alpha, beta) = (number(op.alpha), number(op.beta));
            (&op.out, format!("({} * {alpha} + {beta}).clamp(0, 1)", of.tensor(&op.tensor)?))
        }
        _ => return None,
    })
}

fn module<'a>(operation: &'a Module, of: &mut Writer) -> Written<'a> {
    Some(match operation {
        Module::Linear(op) => {
            let (x, named) = (of.tensor(&op.x)?, of.named(&op.weight));
            let weight = match named {
                Some(named) if named.transposed => named.expression,
                _ => format!("{}.T", of.tensor(&op.weight)?),
            };
            (&op.out, call("F.linear", [Some(x), Some(weight), optional(op.bias.as_ref(), of)?]))
        }
        Module::LayerNorm(op) => {
            let features = op.gamma.shape.as_slice()[0];
            let (x, gamma) = (of.tensor(&op.input)?, of.tensor(&op.gamma)?);
            let beta = optional(op.beta.as_ref(), of)?.unwrap_or_else(|| "None".to_owned());
            let epsilon = number(op.epsilon);
            (&op.out, format!("F.layer_norm({x}, ({features},), {gamma}, {beta}, {epsilon})"))
        }
        Module::BatchNorm(op) => {
            let tensors = [&op.x, &op.mean, &op.variance, &op.gamma, &op.beta];
            let tensors: Vec<_> =
                tensors.into_iter().map(|tensor| of.tensor(tensor)).collect::<Option<_>>()?;
            (&op.out, format!("F.batch_norm({}, eps={})", tensors.join(", "), number(op.epsilon)))
        }
        Module::Conv1d(op) => {
            let options = &op.options;
            let rest = convolution(&options.stride, &options.padding, &options.dilation, options.groups)?;
            let tensors =
                [Some(of.tensor(&op.x)?), Some(of.tensor(&op.weight)?), optional(op.bias.as_ref(), of)?];
            (&op.out, call("F.conv1d", tensors.into_iter().chain([Some(rest)])))
        }
        Module::Conv2d(op) => {
            let options = &op.options;
            let rest = convolution(&options.stride, &options.padding, &options.dilation, options.groups)?;
            let tensors =
                [Some(of.tensor(&op.x)?), Some(of.tensor(&op.weight)?), optional(op.bias.as_ref(), of)?];
            (&op.out, call("F.conv2d", tensors.into_iter().chain([Some(rest)])))
        }
        Module::Attention(op) => {
            let options = &op.options;
            if op.mask.is_some() || options.softcap.is_some() || options.is_causal {
                return None;
            }
            let bias = optional(op.attn_bias.as_ref(), of)?.map(|bias| format!("attn_mask={bias}"));
            let scale = options.scale.map(|scale| format!("scale={}", number(scale)));
            let tensors = [&op.query, &op.key, &op.value].map(|tensor| of.tensor(tensor));
            (&op.out, call("F.scaled_dot_product_attention", tensors.into_iter().chain([bias, scale])))
        }
        Module::Embedding(op) => {
            (&op.out, format!("F.embedding({}, {})", of.tensor(&op.indices)?, of.tensor(&op.weights)?))
        }
        Module::AvgPool2d(op) if !op.ceil_mode => {
            let pooling = [op.kernel_size, op.stride, op.padding].map(|pair| format!("({})", list(&pair)));
            let padded = if op.count_include_pad { "" } else { ", count_include_pad=False" };
            (&op.out, format!("F.avg_pool2d({}, {}{padded})", of.tensor(&op.x)?, pooling.join(", ")))
        }
        Module::MaxPool2d(op) if !op.ceil_mode => {
            let pooling = [op.kernel_size, op.stride, op.padding, op.dilation];
            let pooling = pooling.map(|pair| format!("({})", list(&pair)));
            (&op.out, format!("F.max_pool2d({}, {})", of.tensor(&op.x)?, pooling.join(", ")))
        }
        Module::AdaptiveAvgPool2d(op) => {
            (&op.out, format!("F.adaptive_avg_pool2d({}, ({}))", of.tensor(&op.x)?, list(&op.output_size)))
        }
        _ => return None,
    })
}

/// `function` called with those of `arguments` that there are.
fn call(function: &str, arguments: impl IntoIterator<Item = Option<String>>) -> String {
    let arguments: Vec<_> = arguments.into_iter().flatten().collect();
    format!("{function}({})", arguments.join(", "))
}

/// The expression for `tensor`, if there is one; `None` if it has no expression.
fn optional(tensor: Option<&TensorIr>, of: &mut Writer) -> Option<Option<String>> {
    tensor.map_or(Some(None), |tensor| of.tensor(tensor).map(Some))
}

/// The arguments of a convolution after its tensors.
fn convolution(
    stride: &[usize],
    padding: &[(usize, usize)],
    dilation: &[usize],
    groups: usize,
) -> Option<String> {
    let equal: Vec<_> = padding.iter().filter(|(before, after)| before == after).map(|pad| pad.0).collect();
    (equal.len() == padding.len()).then(|| {
        let [stride, padding, dilation] = [stride, &equal, dilation].map(list);
        format!("stride=({stride},), padding=({padding},), dilation=({dilation},), groups={groups}")
    })
}

/// The expression for `out`, all of whose values are `value`.
fn filled(out: &TensorIr, value: ScalarIr, of: &Writer) -> Option<String> {
    let (sizes, dtype) = (of.sizes(out), dtype(out.dtype)?);
    Some(format!("torch.full(({sizes},), {}, dtype={dtype}, device=images.device)", number(value)))
}

fn dtype(dtype: DType) -> Option<&'static str> {
    Some(match dtype {
        DType::F32 => "torch.float32",
        DType::F64 => "torch.float64",
        DType::I64 => "torch.int64",
        DType::I32 => "torch.int32",
        DType::Bool(_) => "torch.bool",
        _ => return None,
    })
}

fn list(values: &[usize]) -> String {
    let values: Vec<_> = values.iter().map(usize::to_string).collect();
    values.join(", ")
}
