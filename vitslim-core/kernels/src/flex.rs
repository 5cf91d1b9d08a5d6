//! The operations on burn-flex, whose tensors are turned into slices and back.

use burn::backend::{Flex, TensorMetadata};
use burn::tensor::{Bytes, DType, Shape};
use burn_flex::{FlexTensor, Layout};

use super::attention::{self, Bias, Inputs};
use super::depthwise::{self, Sight};
use super::layer_norm::Norm;
use super::product::Matrix;
use super::residual::Factors;
use super::{
    AdamWStep, Attention, Backwards, DepthwiseShapes, Kernels, Optional, Undifferentiated, adamw, gelu,
    layer_norm, linear, residual,
};

/// A tensor of `values`.
fn tensor(values: Vec<f32>, shape: Shape) -> FlexTensor {
    FlexTensor::new(Bytes::from_elems(values), Layout::contiguous(shape), DType::F32)
}

/// The values of a contiguous tensor.
fn values(tensor: &FlexTensor) -> &[f32] {
    let (start, size) = (tensor.layout().start_offset(), tensor.layout().num_elements());
    &tensor.storage::<f32>()[start..start + size]
}

/// The last axis of a tensor.
fn last(tensor: &FlexTensor) -> usize {
    tensor.shape().last().copied().unwrap_or(1)
}

/// `shape` with another last axis.
fn with_last(mut shape: Shape, size: usize) -> Shape {
    let axis = shape.num_dims() - 1;
    shape[axis] = size;
    shape
}

/// Runs `compute` on `tensor` as a matrix, without copying it if its strides are not negative.
fn as_matrix<T>(tensor: &FlexTensor, compute: impl FnOnce(Matrix) -> T) -> T {
    let (rows, columns) = (tensor.shape()[0], tensor.shape()[1]);
    let strides = tensor.layout().strides();
    match (usize::try_from(strides[0]), usize::try_from(strides[1])) {
        (Ok(row_stride), Ok(column_stride)) => {
            let values = &tensor.storage::<f32>()[tensor.layout().start_offset()..];
            compute(Matrix { values, rows, columns, row_stride, column_stride })
        }
        _ => compute(Matrix::row_major(values(&tensor.to_contiguous()), columns)),
    }
}

fn norm<'a>(
    gamma: &'a FlexTensor,
    beta: &'a FlexTensor,
    factors: Option<&'a FlexTensor>,
    epsilon: f64,
    width: usize,
) -> Norm<'a> {
    let (gamma, beta, factors) = (values(gamma), values(beta), factors.map(values));
    Norm { gamma, beta, factors, epsilon: epsilon as f32, width }
}

/// The values of a contiguous tensor, to be overwritten. A tensor with other owners is copied first.
fn values_mut(tensor: &mut FlexTensor) -> &mut [f32] {
    let (start, size) = (tensor.layout().start_offset(), tensor.layout().num_elements());
    &mut tensor.storage_mut::<f32>()[start..start + size]
}

impl Undifferentiated for Flex {
    fn fused_mlp(
        x: FlexTensor,
        weight_1: FlexTensor,
        bias_1: FlexTensor,
        weight_2: FlexTensor,
        bias_2: FlexTensor,
    ) -> FlexTensor {
        let [x, bias_1, bias_2] = [x, bias_1, bias_2].map(|tensor| tensor.to_contiguous());
        let output = as_matrix(&weight_1, |weight_1| {
            as_matrix(&weight_2, |weight_2| {
                linear::mlp(values(&x), [(weight_1, values(&bias_1)), (weight_2, values(&bias_2))])
            })
        });
        tensor(output, with_last(x.shape(), last(&bias_2)))
    }

    fn fused_adamw(
        parameters: FlexTensor,
        gradient: FlexTensor,
        moment_1: FlexTensor,
        moment_2: FlexTensor,
        step: AdamWStep,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let gradient = gradient.to_contiguous();
        // Drops each original, so that what is overwritten has no other owner.
        let [mut parameters, mut moment_1, mut moment_2] =
            [parameters, moment_1, moment_2].map(|tensor| tensor.to_contiguous());
        adamw::step(
            values_mut(&mut parameters),
            values(&gradient),
            values_mut(&mut moment_1),
            values_mut(&mut moment_2),
            step,
        );
        (parameters, moment_1, moment_2)
    }
}

impl Kernels for Flex {
    fn fused_gelu(x: FlexTensor) -> FlexTensor {
        let x = x.to_contiguous();
        tensor(gelu::forward(values(&x)), x.shape())
    }

    fn fused_linear(x: FlexTensor, weight: FlexTensor, bias: FlexTensor) -> FlexTensor {
        let (x, bias) = (x.to_contiguous(), bias.to_contiguous());
        let output = as_matrix(&weight, |weight| linear::forward(values(&x), weight, values(&bias)));
        tensor(output, with_last(x.shape(), last(&bias)))
    }

    fn fused_layer_norm(
        x: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        epsilon: f64,
        width: usize,
    ) -> FlexTensor {
        let [x, gamma, beta] = [x, gamma, beta].map(|tensor| tensor.to_contiguous());
        let norm = norm(&gamma, &beta, None, epsilon, width);
        tensor(layer_norm::forward(values(&x), norm), x.shape())
    }

    fn fused_gated_layer_norm(
        x: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        factors: FlexTensor,
        epsilon: f64,
        width: usize,
    ) -> FlexTensor {
        let [x, gamma, beta, factors] = [x, gamma, beta, factors].map(|tensor| tensor.to_contiguous());
        let norm = norm(&gamma, &beta, Some(&factors), epsilon, width);
        tensor(layer_norm::forward(values(&x), norm), x.shape())
    }

    fn fused_attention(
        qkv: FlexTensor,
        bias: Optional<Self>,
        mask: Optional<Self>,
        sizes: Optional<Self>,
        attention: Attention,
    ) -> FlexTensor {
        let (qkv, others) = (qkv.to_contiguous(), [bias, mask, sizes].map(contiguous));
        let output = attention::forward(inputs(&qkv, &others), &attention);
        tensor(output, with_last(qkv.shape(), attention.heads.output()))
    }

    fn fused_depthwise(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        stride: [usize; 2],
        padding: [usize; 2],
    ) -> FlexTensor {
        let [x, weight, bias] = [x, weight, bias].map(|tensor| tensor.to_contiguous());
        let (input, kernel) = (rows_and_columns(&x, 1), rows_and_columns(&weight, 2));
        let sight = sight(DepthwiseShapes { input, kernel, stride, padding });
        let [rows, columns] = sight.output;
        let shape = Shape::from([x.shape()[0], rows, columns, last(&x)]);
        tensor(depthwise::forward(values(&x), values(&weight), values(&bias), sight), shape)
    }

    fn fused_residual(
        x: FlexTensor,
        branch: FlexTensor,
        scale: Optional<Self>,
        keep: Optional<Self>,
    ) -> FlexTensor {
        let [x, branch] = [x, branch].map(|tensor| tensor.to_contiguous());
        let factors = [scale, keep].map(contiguous);
        let output = residual::forward(values(&x), values(&branch), factors_of(&branch, &factors));
        tensor(output, x.shape())
    }
}

fn factors_of<'a>(branch: &FlexTensor, [scale, keep]: &'a [Option<FlexTensor>; 2]) -> Factors<'a> {
    let [scale, keep] = [scale, keep].map(|tensor| tensor.as_ref().map(values));
    let (batch, width) = (branch.shape()[0], last(branch));
    Factors { scale, keep, rows: branch.layout().num_elements() / (batch * width), width }
}

fn contiguous(tensor: Optional<Flex>) -> Option<FlexTensor> {
    tensor.given().map(|tensor| tensor.to_contiguous())
}

fn inputs<'a>(qkv: &'a FlexTensor, [bias, mask, sizes]: &'a [Option<FlexTensor>; 3]) -> Inputs<'a> {
    let bias = bias.as_ref().map(|bias| Bias { values: values(bias), heads: bias.shape()[1] });
    let [mask, sizes] = [mask, sizes].map(|tensor| tensor.as_ref().map(values));
    Inputs { qkv: values(qkv), tokens: qkv.shape()[1], bias, mask, sizes }
}

fn rows_and_columns(tensor: &FlexTensor, axis: usize) -> [usize; 2] {
    [tensor.shape()[axis], tensor.shape()[axis + 1]]
}

fn sight(DepthwiseShapes { input, kernel, stride, padding }: DepthwiseShapes) -> Sight {
    let output = [0, 1].map(|axis| (input[axis] + 2 * padding[axis] - kernel[axis]) / stride[axis] + 1);
    Sight { input, output, kernel, stride, before: padding.map(|zeros| zeros as isize), spread: [1, 1] }
}

impl Backwards for Flex {
    fn fused_gelu_backward(x: FlexTensor, gradient: FlexTensor) -> FlexTensor {
        let [x, gradient] = [x, gradient].map(|tensor| tensor.to_contiguous());
        tensor(gelu::backward(values(&x), values(&gradient)), x.shape())
    }

    fn fused_linear_backward(
        x: Option<FlexTensor>,
        weight: Option<FlexTensor>,
        gradient: FlexTensor,
        of_bias: bool,
    ) -> [Option<FlexTensor>; 3] {
        let gradient = gradient.to_contiguous();
        let x = x.map(|x| x.to_contiguous());
        let d_input = x.as_ref().map(last);
        let d_output = last(&gradient);
        let compute = |weight: Option<Matrix>| {
            let x = x.as_ref().map(|x| Matrix::row_major(values(x), last(x)));
            linear::backward(x, weight, Matrix::row_major(values(&gradient), d_output), of_bias)
        };
        let of = match &weight {
            Some(weight) => as_matrix(weight, |weight| compute(Some(weight))),
            None => compute(None),
        };
        let shape_of_x = |weight: &FlexTensor| with_last(gradient.shape(), weight.shape()[0]);
        [
            of.x.zip(weight.as_ref()).map(|(of_x, weight)| tensor(of_x, shape_of_x(weight))),
            of.weight
                .zip(d_input)
                .map(|(of_weight, d_input)| tensor(of_weight, Shape::from([d_input, d_output]))),
            of.bias.map(|of_bias| tensor(of_bias, Shape::from([d_output]))),
        ]
    }

    fn fused_layer_norm_backward(
        x: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        factors: Option<FlexTensor>,
        gradient: FlexTensor,
        epsilon: f64,
        width: usize,
    ) -> [Option<FlexTensor>; 4] {
        let [x, gamma, beta, gradient] = [x, gamma, beta, gradient].map(|tensor| tensor.to_contiguous());
        let factors = factors.map(|factors| factors.to_contiguous());
        let norm = norm(&gamma, &beta, factors.as_ref(), epsilon, width);
        let of = layer_norm::backward(values(&x), norm, values(&gradient));
        let of_factors = of.factors.map(|of_factors| {
            let tokens = of_factors.len();
            tensor(of_factors, Shape::from([tokens]))
        });
        let [of_gamma, of_beta] = [of.gamma, of.beta].map(|values| Some(tensor(values, gamma.shape())));
        [Some(tensor(of.x, x.shape())), of_gamma, of_beta, of_factors]
    }

    fn fused_attention_backward(
        qkv: FlexTensor,
        others: [Optional<Self>; 3],
        gradient: FlexTensor,
        attention: Attention,
        of_bias: bool,
    ) -> [Option<FlexTensor>; 2] {
        let [qkv, gradient] = [qkv, gradient].map(|tensor| tensor.to_contiguous());
        let others = others.map(contiguous);
        let (of_qkv, of_bias) =
            attention::backward(inputs(&qkv, &others), values(&gradient), &attention, of_bias);
        let [bias, ..] = others;
        let of_bias = of_bias.zip(bias).map(|(of_bias, bias)| tensor(of_bias, bias.shape()));
        [Some(tensor(of_qkv, qkv.shape())), of_bias]
    }

    fn fused_depthwise_backward(
        x: Option<FlexTensor>,
        weight: Option<FlexTensor>,
        gradient: FlexTensor,
        shapes: DepthwiseShapes,
    ) -> [Option<FlexTensor>; 3] {
        let gradient = gradient.to_contiguous();
        let (sight, images, channels) = (sight(shapes), gradient.shape()[0], last(&gradient));
        let of_x = weight.map(|weight| {
            let weight = weight.to_contiguous();
            let of_x = depthwise::of_input(values(&gradient), values(&weight), sight);
            tensor(of_x, Shape::from([images, sight.input[0], sight.input[1], channels]))
        });
        let of_parameters = x.map(|x| {
            let x = x.to_contiguous();
            let [of_weight, of_bias] =
                depthwise::of_parameters(values(&x), values(&gradient), channels, sight);
            let [rows, columns] = sight.kernel;
            let of_weight = tensor(of_weight, Shape::from([channels, 1, rows, columns]));
            (of_weight, tensor(of_bias, Shape::from([channels])))
        });
        let (of_weight, of_bias) = of_parameters.unzip();
        [of_x, of_weight, of_bias]
    }

    fn fused_residual_backward(
        branch: Option<FlexTensor>,
        factors: [Optional<Self>; 2],
        gradient: FlexTensor,
    ) -> [Option<FlexTensor>; 2] {
        let gradient = gradient.to_contiguous();
        let (branch, factors) = (branch.map(|branch| branch.to_contiguous()), factors.map(contiguous));
        if let [None, None] = factors {
            return [Some(gradient), None];
        }
        let (of_branch, of_scale) = residual::backward(
            branch.as_ref().map(values),
            values(&gradient),
            factors_of(&gradient, &factors),
        );
        let of_scale = of_scale.map(|of_scale| tensor(of_scale, Shape::from([last(&gradient)])));
        [Some(tensor(of_branch, gradient.shape())), of_scale]
    }
}
