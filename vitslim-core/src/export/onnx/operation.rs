//! Operations of a trace as nodes of ONNX.

use burn::tensor::{IndexingUpdateOp, Slice};
use burn_ir::{
    ActivationOperationIr as Activation, AttentionOpIr, BaseOperationIr as Base, BoolOperationIr as Bool,
    FloatOperationIr as Float, IntOperationIr as Int, ModuleOperationIr as Module,
    NumericOperationIr as Numeric, OperationIr, PadModeIr, ScalarIr, SliceOpIr, TensorIr,
};

use super::proto::{AttributeProto as Attribute, TensorProto};
use super::writer::{Writer, bytes, data_type};
use crate::export::pointwise::{Operand, pointwise};
use crate::export::trace::{Operation, Size};

/// Writes the nodes of `operation`; `None` if it has none in ONNX.
pub(super) fn write(operation: &OperationIr, to: &mut Writer) -> Option<()> {
    if let Some(of) = pointwise(operation) {
        let operands = of.operands.iter().map(|operand| match operand {
            Operand::Tensor(tensor) => to.tensor(tensor),
            Operand::Number(value, dtype) => to.number(*value, *dtype),
        });
        let operands = operands.collect::<Option<Vec<_>>>()?;
        let out = to.node(of.onnx, operands, Vec::new());
        to.bind(of.out, out);
        return Some(());
    }
    let (out, name) = match operation {
        OperationIr::BaseFloat(of) | OperationIr::BaseInt(of) | OperationIr::BaseBool(of) => base(of, to)?,
        OperationIr::NumericFloat(_, of) | OperationIr::NumericInt(_, of) => numeric(of, to)?,
        OperationIr::Float(_, Float::Matmul(of)) | OperationIr::Int(Int::Matmul(of)) => {
            let factors = vec![to.tensor(&of.lhs)?, to.tensor(&of.rhs)?];
            (&of.out, to.node("MatMul", factors, Vec::new()))
        }
        OperationIr::Float(_, Float::IntoInt(of))
        | OperationIr::Int(Int::IntoFloat(of))
        | OperationIr::Bool(Bool::IntoFloat(of) | Bool::IntoInt(of)) => {
            (&of.out, cast(&of.input, &of.out, to)?)
        }
        OperationIr::Activation(of) => activation(of, to)?,
        OperationIr::Module(of) => module(of, to)?,
        _ => return None,
    };
    to.bind(out, name);
    Some(())
}

type Written<'a> = Option<(&'a TensorIr, String)>;

fn base<'a>(operation: &'a Base, to: &mut Writer) -> Written<'a> {
    Some(match operation {
        Base::Reshape(of) => (&of.out, reshape(&of.input, &of.out, to)?),
        Base::SwapDims(of) => {
            let mut axes: Vec<usize> = (0..of.input.shape.as_slice().len()).collect();
            axes.swap(of.dim1, of.dim2);
            (&of.out, transpose(&of.input, &of.out, &axes, to)?)
        }
        Base::Permute(of) => (&of.out, transpose(&of.input, &of.out, &of.axes, to)?),
        Base::Expand(of) => {
            let inputs = vec![to.tensor(&of.input)?, to.shape(&to.sizes(&of.out))];
            (&of.out, to.node("Expand", inputs, Vec::new()))
        }
        Base::Slice(of) => (&of.out, slice(of, to)?),
        Base::Select(of) => {
            let inputs = vec![to.tensor(&of.tensor)?, to.tensor(&of.indices)?];
            (&of.out, to.node("Gather", inputs, vec![axis(of.dim)]))
        }
        Base::Gather(of) => {
            let inputs = vec![to.tensor(&of.tensor)?, to.tensor(&of.indices)?];
            (&of.out, to.node("GatherElements", inputs, vec![axis(of.dim)]))
        }
        Base::SelectAssign(of) if of.update == IndexingUpdateOp::Add => {
            (&of.out, added_at(&of.tensor, of.dim, &of.indices, &of.value, to)?)
        }
        Base::RepeatDim(of) => {
            let sizes = to.sizes(&of.tensor).into_iter().zip(to.sizes(&of.out)).enumerate();
            let times: Vec<Size> = sizes
                .map(|(dim, sizes)| match sizes {
                    (Size::Fixed(before), Size::PerImage(after)) if dim == of.dim => {
                        after.is_multiple_of(before).then(|| Size::PerImage(after / before))
                    }
                    _ if dim == of.dim => Some(Size::Fixed(of.times)),
                    _ => Some(Size::Fixed(1)),
                })
                .collect::<Option<_>>()?;
            let inputs = vec![to.tensor(&of.tensor)?, to.shape(&times)];
            (&of.out, to.node("Tile", inputs, Vec::new()))
        }
        Base::Cat(of) => {
            let parts = of.tensors.iter().map(|tensor| to.tensor(tensor)).collect::<Option<_>>()?;
            (&of.out, to.node("Concat", parts, vec![axis(of.dim)]))
        }
        Base::Cast(of) => (&of.out, cast(&of.input, &of.out, to)?),
        Base::Zeros(of) => (&of.out, filled(&of.out, ScalarIr::Int(0), to)?),
        Base::Ones(of) => (&of.out, filled(&of.out, ScalarIr::Int(1), to)?),
        _ => return None,
    })
}

fn numeric<'a>(operation: &'a Numeric, to: &mut Writer) -> Written<'a> {
    let mut reduced = |operator: &str, input: &TensorIr, axes: &[usize]| {
        let axes: Vec<i64> = axes.iter().map(|&axis| axis as i64).collect();
        let inputs = vec![to.tensor(input)?, to.integers(&axes)];
        Some(to.node(operator, inputs, Vec::new()))
    };
    Some(match operation {
        Numeric::MeanDim(of) => (&of.out, reduced("ReduceMean", &of.input, &[of.axis])?),
        Numeric::SumDim(of) => (&of.out, reduced("ReduceSum", &of.input, &[of.axis])?),
        Numeric::SumDims(of) => (&of.out, reduced("ReduceSum", &of.input, &of.axes)?),
        Numeric::ProdDim(of) => (&of.out, reduced("ReduceProd", &of.input, &[of.axis])?),
        Numeric::MaxDim(of) => (&of.out, reduced("ReduceMax", &of.input, &[of.axis])?),
        Numeric::MinDim(of) => (&of.out, reduced("ReduceMin", &of.input, &[of.axis])?),
        Numeric::ArgMax(of) => {
            let input = to.tensor(&of.input)?;
            let index = to.node("ArgMax", vec![input], vec![axis(of.axis)]);
            let data_type = Attribute::int("to", data_type(of.out.dtype)?.into());
            (&of.out, to.node("Cast", vec![index], vec![data_type]))
        }
        Numeric::Full(of) => (&of.out, filled(&of.out, of.value, to)?),
        Numeric::Pad(of) => {
            let PadModeIr::Constant(value) = of.mode else { return None };
            let before = of.padding.iter().map(|(before, _)| *before as i64);
            let pads: Vec<i64> = before.chain(of.padding.iter().map(|(_, after)| *after as i64)).collect();
            let inputs = vec![to.tensor(&of.input)?, to.integers(&pads), to.number(value, of.input.dtype)?];
            (&of.out, to.node("Pad", inputs, Vec::new()))
        }
        _ => return None,
    })
}

fn activation<'a>(operation: &'a Activation, to: &mut Writer) -> Written<'a> {
    Some(match operation {
        Activation::Softmax(of) => {
            let input = to.tensor(&of.input)?;
            (&of.out, to.node("Softmax", vec![input], vec![axis(of.axis)]))
        }
        Activation::LogSoftmax(of) => {
            let input = to.tensor(&of.input)?;
            (&of.out, to.node("LogSoftmax", vec![input], vec![axis(of.axis)]))
        }
        Activation::LeakyRelu(of) => {
            let input = to.tensor(&of.lhs)?;
            (&of.out, to.node("LeakyRelu", vec![input], vec![Attribute::float("alpha", of.rhs.elem())]))
        }
        Activation::HardSigmoid(of) => {
            let line =
                vec![Attribute::float("alpha", of.alpha.elem()), Attribute::float("beta", of.beta.elem())];
            let input = to.tensor(&of.tensor)?;
            (&of.out, to.node("HardSigmoid", vec![input], line))
        }
        _ => return None,
    })
}

fn module<'a>(operation: &'a Module, to: &mut Writer) -> Written<'a> {
    Some(match operation {
        Module::Linear(of) => {
            let factors = vec![to.tensor(&of.x)?, to.tensor(&of.weight)?];
            let mut name = to.node("MatMul", factors, Vec::new());
            if let Some(bias) = &of.bias {
                name = to.tensor(bias).map(|bias| to.node("Add", vec![name, bias], Vec::new()))?;
            }
            (&of.out, name)
        }
        Module::LayerNorm(of) => {
            let tensors = [Some(&of.input), Some(&of.gamma), of.beta.as_ref()];
            let inputs =
                tensors.into_iter().flatten().map(|tensor| to.tensor(tensor)).collect::<Option<_>>()?;
            let epsilon = vec![Attribute::float("epsilon", of.epsilon.elem())];
            (&of.out, to.node("LayerNormalization", inputs, epsilon))
        }
        Module::BatchNorm(of) => {
            let tensors = [&of.x, &of.gamma, &of.beta, &of.mean, &of.variance];
            let inputs = tensors.into_iter().map(|tensor| to.tensor(tensor)).collect::<Option<_>>()?;
            let epsilon = vec![Attribute::float("epsilon", of.epsilon.elem())];
            (&of.out, to.node("BatchNormalization", inputs, epsilon))
        }
        Module::Conv1d(of) => {
            let options = &of.options;
            let attributes =
                convolution(&options.stride, &options.padding, &options.dilation, options.groups);
            (&of.out, convolved([Some(&of.x), Some(&of.weight), of.bias.as_ref()], attributes, to)?)
        }
        Module::Conv2d(of) => {
            let options = &of.options;
            let attributes =
                convolution(&options.stride, &options.padding, &options.dilation, options.groups);
            (&of.out, convolved([Some(&of.x), Some(&of.weight), of.bias.as_ref()], attributes, to)?)
        }
        Module::Attention(of) => (&of.out, attention(of, to)?),
        Module::Embedding(of) => {
            let inputs = vec![to.tensor(&of.weights)?, to.tensor(&of.indices)?];
            (&of.out, to.node("Gather", inputs, Vec::new()))
        }
        Module::AvgPool2d(of) if !of.ceil_mode => {
            let mut attributes = pooling(of.kernel_size, of.stride, of.padding);
            attributes.push(Attribute::int("count_include_pad", i64::from(of.count_include_pad)));
            let input = to.tensor(&of.x)?;
            (&of.out, to.node("AveragePool", vec![input], attributes))
        }
        Module::MaxPool2d(of) if !of.ceil_mode => {
            let mut attributes = pooling(of.kernel_size, of.stride, of.padding);
            attributes.push(Attribute::ints("dilations", of.dilation));
            let input = to.tensor(&of.x)?;
            (&of.out, to.node("MaxPool", vec![input], attributes))
        }
        Module::AdaptiveAvgPool2d(of) if of.output_size == [1, 1] => {
            let input = to.tensor(&of.x)?;
            (&of.out, to.node("GlobalAveragePool", vec![input], Vec::new()))
        }
        _ => return None,
    })
}

/// `softmax(scale * query * key^T + bias) * value`, in the form of PyTorch's exporter.
fn attention(of: &AttentionOpIr, to: &mut Writer) -> Option<String> {
    let (options, dims) = (&of.options, of.query.shape.as_slice());
    if of.mask.is_some() || options.softcap.is_some() || options.is_causal {
        return None;
    }
    let usual = ScalarIr::Float((dims[3] as f64).powf(-0.5));
    let scale = to.number(options.scale.unwrap_or(usual), of.query.dtype)?;
    let query = to.tensor(&of.query)?;
    let query = to.node("Mul", vec![query, scale], Vec::new());
    let key = to.tensor(&of.key)?;
    let key = to.node("Transpose", vec![key], vec![permutation(&[0, 1, 3, 2])]);
    let mut scores = to.node("MatMul", vec![query, key], Vec::new());
    if let Some(bias) = &of.attn_bias {
        scores = to.tensor(bias).map(|bias| to.node("Add", vec![scores, bias], Vec::new()))?;
    }
    let weights = to.node("Softmax", vec![scores], vec![Attribute::int("axis", -1)]);
    let value = to.tensor(&of.value)?;
    Some(to.node("MatMul", vec![weights, value], Vec::new()))
}

fn reshape(input: &TensorIr, out: &TensorIr, to: &mut Writer) -> Option<String> {
    let sizes = to.sizes(out);
    let per_image = sizes.iter().filter(|size| matches!(size, Size::PerImage(_))).count();
    // ONNX infers one size, and takes 0 for the size of the input.
    let plain = per_image == 1 && !sizes.contains(&Size::Fixed(0));
    let size = |size: &Size| match size {
        Size::Fixed(size) => *size as i64,
        Size::PerImage(_) => -1,
    };
    let shape = match plain {
        true => to.integers(&sizes.iter().map(size).collect::<Vec<_>>()),
        false => to.shape(&sizes),
    };
    let zeros = if plain { Vec::new() } else { vec![Attribute::int("allowzero", 1)] };
    let inputs = vec![to.tensor(input)?, shape];
    Some(to.node("Reshape", inputs, zeros))
}

fn transpose(input: &TensorIr, out: &TensorIr, axes: &[usize], to: &mut Writer) -> Option<String> {
    let sizes = to.sizes(input);
    // Runtimes copy in a transposition, but not in a reshape.
    if axes.iter().filter(|&&axis| sizes[axis] != Size::Fixed(1)).is_sorted() {
        return reshape(input, out, to);
    }
    let input = to.tensor(input)?;
    Some(to.node("Transpose", vec![input], vec![permutation(axes)]))
}

fn slice(of: &SliceOpIr, to: &mut Writer) -> Option<String> {
    let input = to.tensor(&of.tensor)?;
    let parts = Operation::parts(&of.ranges, &of.tensor).into_iter().enumerate();
    let parts: Vec<_> = parts.filter_map(|(axis, part)| Some((axis, part?))).collect();
    if parts.is_empty() {
        return Some(input);
    }
    if parts.iter().any(|(_, part)| part.step() != 1) {
        return None;
    }
    let range = |&(axis, part): &(usize, Slice)| part.range(of.tensor.shape.as_slice()[axis]);
    let starts: Vec<i64> = parts.iter().map(|part| range(part).start as i64).collect();
    let ends: Vec<i64> = parts.iter().map(|part| range(part).end as i64).collect();
    let axes: Vec<i64> = parts.iter().map(|(axis, _)| *axis as i64).collect();
    let [starts, ends, axes] = [starts, ends, axes].map(|list| to.integers(&list));
    Some(to.node("Slice", vec![input, starts, ends, axes], Vec::new()))
}

/// `tensor` with `value` added at `indices` along the axis `along`. ONNX wants an index for each value.
fn added_at(
    tensor: &TensorIr,
    along: usize,
    indices: &TensorIr,
    value: &TensorIr,
    to: &mut Writer,
) -> Option<String> {
    let mut shape = vec![1; value.shape.as_slice().len()];
    shape[along] = -1;
    let inputs = vec![to.tensor(indices)?, to.integers(&shape)];
    let inputs = vec![to.node("Reshape", inputs, Vec::new()), to.shape(&to.sizes(value))];
    let inputs = vec![to.tensor(tensor)?, to.node("Expand", inputs, Vec::new()), to.tensor(value)?];
    Some(to.node("ScatterElements", inputs, vec![axis(along), Attribute::text("reduction", "add")]))
}

fn cast(input: &TensorIr, out: &TensorIr, to: &mut Writer) -> Option<String> {
    let data_type = data_type(out.dtype)?;
    let input = to.tensor(input)?;
    Some(to.node("Cast", vec![input], vec![Attribute::int("to", data_type.into())]))
}

/// `out`, all of whose values are `value`.
fn filled(out: &TensorIr, value: ScalarIr, to: &mut Writer) -> Option<String> {
    let raw_data = Some(bytes(value, out.dtype)?);
    let value =
        TensorProto { dims: vec![1], data_type: data_type(out.dtype), raw_data, ..TensorProto::default() };
    let shape = to.shape(&to.sizes(out));
    Some(to.node("ConstantOfShape", vec![shape], vec![Attribute::tensor("value", value)]))
}

fn convolved(tensors: [Option<&TensorIr>; 3], attributes: Vec<Attribute>, to: &mut Writer) -> Option<String> {
    let inputs = tensors.into_iter().flatten().map(|tensor| to.tensor(tensor)).collect::<Option<_>>()?;
    Some(to.node("Conv", inputs, attributes))
}

fn convolution(
    stride: &[usize],
    padding: &[(usize, usize)],
    dilation: &[usize],
    groups: usize,
) -> Vec<Attribute> {
    let pads = padding.iter().map(|pad| pad.0).chain(padding.iter().map(|pad| pad.1));
    vec![
        Attribute::ints("strides", stride.iter().copied()),
        Attribute::ints("pads", pads),
        Attribute::ints("dilations", dilation.iter().copied()),
        Attribute::int("group", groups as i64),
    ]
}

fn pooling(kernel: [usize; 2], stride: [usize; 2], padding: [usize; 2]) -> Vec<Attribute> {
    vec![
        Attribute::ints("kernel_shape", kernel),
        Attribute::ints("strides", stride),
        Attribute::ints("pads", [padding, padding].concat()),
    ]
}

fn permutation(axes: &[usize]) -> Attribute {
    Attribute::ints("perm", axes.iter().copied())
}

fn axis(axis: usize) -> Attribute {
    Attribute::int("axis", axis as i64)
}
