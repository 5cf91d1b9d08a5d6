use burn::tensor::Device;
use burn::tensor::ops::ConvOptions;
use burn_ir::{ActivationOperationIr, FloatOperationIr, ModuleOperationIr, OperationIr, TensorIr};
use serde::{Deserialize, Serialize};

use super::capture::GraphError;
use super::counts::recorded_after;
use crate::data::ImageShape;
use crate::models::Architecture;

/// An operation that takes time, with all that its time depends on.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Operation {
    /// Features, `[leading, tokens, d_input]`, times a weight, `[d_input, d_output]`.
    Linear { x: [usize; 3], d_output: usize, bias: bool },
    /// A product of activations, `[leading, n, m]` and `[leading, m, k]`. A factor that all share has 1 leading.
    Matmul { left: [usize; 3], right: [usize; 3] },
    /// A convolution of `[batch, channels, ...size]` with `[channels_out, channels / groups, ...kernel]`, along one or two axes.
    Conv { x: Vec<usize>, weight: Vec<usize>, bias: bool, options: ConvWindow },
    /// Attention of queries, `[batch, heads, tokens, dims]`, to `keys` keys and values. `bias`, of this shape, is added to the scores.
    Attention { q: [usize; 4], keys: usize, dims_of_values: usize, bias: Option<[usize; 4]> },
    /// Layer normalisation of `[leading, tokens, dim]`.
    LayerNorm { x: [usize; 3], shift: bool },
    /// GELU of so many values.
    Gelu { values: usize },
    /// Anything else that is computed value by value, from or to so many.
    Elements { values: usize },
}

/// How the window of a convolution moves, along each axis.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct ConvWindow {
    pub stride: Vec<usize>,
    pub padding: Vec<(usize, usize)>,
    pub dilation: Vec<usize>,
    pub groups: usize,
}

/// The operations that take time in a forward pass on `batch` images of what `change` makes of `model`. What only moves values is left
/// out: where layers are fused, it does not happen.
///
/// # Errors
///
/// Those of `change`, or when the forward pass cannot be recorded.
pub(crate) fn operations_after<M: Architecture, E: From<GraphError>>(
    model: &M,
    image: ImageShape,
    batch: usize,
    change: impl FnOnce(M, &Device) -> Result<M, E>,
) -> Result<Vec<Operation>, E> {
    let recorded = recorded_after(model, image, batch, change)?;
    Ok(recorded.forward().iter().filter_map(Operation::of).collect())
}

impl Operation {
    /// What `recorded` is; `None` if it takes no time that is worth measuring.
    fn of(recorded: &OperationIr) -> Option<Self> {
        if recorded.outputs().any(|output| elements(output) == 0) {
            return None;
        }
        Some(match recorded {
            OperationIr::Float(_, FloatOperationIr::Matmul(of)) => {
                let leading = folded(&of.out)[0];
                let factor = |of: &TensorIr| match folded(of) {
                    [1, rows, columns] => [1, rows, columns],
                    [_, rows, columns] => [leading, rows, columns],
                };
                Self::Matmul { left: factor(&of.lhs), right: factor(&of.rhs) }
            }
            OperationIr::Module(of) => match of {
                ModuleOperationIr::Linear(of) => Self::Linear {
                    x: folded(&of.x),
                    d_output: *shape(&of.out).last()?,
                    bias: of.bias.is_some(),
                },
                ModuleOperationIr::Conv1d(of) => {
                    Self::conv::<1>([&of.x, &of.weight], of.bias.is_some(), of.options.clone().into())
                }
                ModuleOperationIr::Conv2d(of) => {
                    Self::conv::<2>([&of.x, &of.weight], of.bias.is_some(), of.options.clone().into())
                }
                ModuleOperationIr::Attention(of) => Self::Attention {
                    q: shape(&of.query).try_into().ok()?,
                    keys: *shape(&of.key).get(2)?,
                    dims_of_values: *shape(&of.value).last()?,
                    bias: of.attn_bias.as_ref().and_then(|bias| shape(bias).try_into().ok()),
                },
                ModuleOperationIr::LayerNorm(of) => {
                    Self::LayerNorm { x: folded(&of.input), shift: of.beta.is_some() }
                }
                _ => Self::by_elements(recorded),
            },
            OperationIr::Activation(ActivationOperationIr::Gelu(of)) => {
                Self::Gelu { values: elements(&of.out) }
            }
            OperationIr::NumericFloat(..)
            | OperationIr::Float(..)
            | OperationIr::Activation(_)
            | OperationIr::Custom(_) => Self::by_elements(recorded),
            _ => return None,
        })
    }

    /// Its multiply-adds; 0 where it only computes value by value.
    pub fn macs(&self) -> u64 {
        let product = |sizes: &[usize]| sizes.iter().map(|size| *size as u64).product::<u64>();
        match self {
            Self::Linear { x, d_output, .. } => product(x) * *d_output as u64,
            Self::Matmul { left, right } => product(left) * right[2] as u64,
            Self::Conv { x, weight, options, .. } => {
                let axes = options.stride.iter().zip(&options.padding).zip(&options.dilation);
                let sizes = axes.zip(x[2..].iter().zip(&weight[2..]));
                let outputs = sizes.map(|(((stride, padding), dilation), (size, kernel))| {
                    (size + padding.0 + padding.1 - dilation * (kernel - 1) - 1) / stride + 1
                });
                x[0] as u64 * product(weight) * outputs.map(|size| size as u64).product::<u64>()
            }
            Self::Attention { q: q @ [batch, heads, tokens, _], keys, dims_of_values, .. } => {
                product(q) * *keys as u64 + product(&[*batch, *heads, *tokens, *keys, *dims_of_values])
            }
            Self::LayerNorm { .. } | Self::Gelu { .. } | Self::Elements { .. } => 0,
        }
    }

    /// What it is, and what it is computed on.
    pub fn described(&self) -> (&'static str, String) {
        let sizes = |sizes: &[usize]| sizes.iter().map(usize::to_string).collect::<Vec<_>>().join(" x ");
        match self {
            Self::Linear { x, d_output, .. } => ("linear", format!("{}, to {d_output}", sizes(x))),
            Self::Matmul { left, right } => {
                ("matrix product", format!("{}, by {}", sizes(left), sizes(right)))
            }
            Self::Conv { x, weight, options, .. } => {
                let each = &[weight[2..].to_vec(), options.stride.clone()];
                let [kernel, stride] = each.each_ref().map(|of| sizes(of));
                let kind = if options.groups > 1 { "convolution of groups" } else { "convolution" };
                (kind, format!("{}, to {} by {kernel} / {stride}", sizes(x), weight[0]))
            }
            Self::Attention { q, keys, dims_of_values, bias } => {
                let separate = (q[2], q[3]) != (*keys, *dims_of_values);
                let of_keys =
                    if separate { format!(", to {keys} x {dims_of_values}") } else { String::new() };
                let kind = if bias.is_some() { "attention with a bias" } else { "attention" };
                (kind, format!("{}{of_keys}", sizes(q)))
            }
            Self::LayerNorm { x, .. } => ("layer norm", sizes(x)),
            Self::Gelu { values } => ("GELU", values.to_string()),
            Self::Elements { values } => ("value by value", values.to_string()),
        }
    }

    fn conv<const AXES: usize>([x, weight]: [&TensorIr; 2], bias: bool, options: ConvOptions<AXES>) -> Self {
        let ConvOptions { stride, padding, dilation, groups } = options;
        let options = ConvWindow {
            stride: stride.to_vec(),
            padding: padding.to_vec(),
            dilation: dilation.to_vec(),
            groups,
        };
        Self::Conv { x: shape(x).to_vec(), weight: shape(weight).to_vec(), bias, options }
    }

    fn by_elements(recorded: &OperationIr) -> Self {
        let values = recorded.inputs().chain(recorded.outputs()).map(elements).max();
        Self::Elements { values: values.unwrap_or_default() }
    }
}

fn shape(tensor: &TensorIr) -> &[usize] {
    tensor.shape.as_slice()
}

fn elements(tensor: &TensorIr) -> usize {
    shape(tensor).iter().product()
}

/// The shape of `tensor` with all leading axes in one.
fn folded(tensor: &TensorIr) -> [usize; 3] {
    match shape(tensor) {
        [leading @ .., tokens, dim] => [leading.iter().product(), *tokens, *dim],
        [dim] => [1, 1, *dim],
        [] => [1, 1, 1],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::{ConvNext, Swin, Vit, VitConfig};
    use crate::nn::as_fused;
    use crate::slim::{CutTokens, MaskSet, MaskSpec, Plan, Slimmable, describe};

    /// What a forward pass on two images is made of, each once, with `kept` units of each dimension.
    fn operations<A: Architecture>(config: &str, kept: usize) -> Vec<Operation> {
        let model = A::init(&ron::from_str(config).unwrap(), &Device::flex()).unwrap();
        let dimensions = describe(&model).unwrap();
        let mut plan = Plan::whole(&dimensions);
        plan.cuts.iter_mut().filter(|cut| cut.dimension != "width").for_each(|cut| cut.keep.truncate(kept));
        let searched: Vec<_> =
            dimensions.into_iter().map(|dimension| (dimension, MaskSpec::default())).collect();
        let recorded = |model: &A, change: &dyn Fn(A, &Device) -> A| {
            let image = ImageShape { channels: 1, size: 16 };
            operations_after(model, image, 2, |model, device| Ok::<_, GraphError>(change(model, device)))
        };
        let found = recorded(&model, &|model, device| {
            model.fold(&MaskSet::new(&searched, device)).slim(&plan).unwrap()
        });
        let mut found = found.unwrap();
        let cut = model.fold(&MaskSet::new(&searched, &Device::flex())).slim(&plan).unwrap();
        assert_eq!(
            found,
            recorded(&cut, &|model, _| model).unwrap(),
            "cutting is no part of the forward pass"
        );
        found.sort();
        found.dedup();
        found
    }

    #[test]
    fn attention_by_sizes_is_told_as_the_cpu_computes_it() {
        let config =
            VitConfig { image_size: 16, patch_size: 4, dim: 8, depth: 1, heads: 2, ..VitConfig::default() };
        let model = Vit::init(&config, &Device::flex()).unwrap();
        let mut plan = Plan { tokens: CutTokens::Merge, ..Plan::whole(&describe(&model).unwrap()) };
        plan.get_mut("blocks.0.tokens").unwrap().keep.truncate(5);
        let model = model.slim(&plan).unwrap();
        let biases = || -> Vec<bool> {
            let image = ImageShape { channels: 3, size: 16 };
            let recorded = operations_after(&model, image, 2, |model, _| Ok::<_, GraphError>(model)).unwrap();
            let bias = |operation: &Operation| match operation {
                Operation::Attention { bias, .. } => Some(bias.is_some()),
                _ => None,
            };
            recorded.iter().filter_map(bias).collect()
        };
        assert_eq!(biases(), [true]);
        assert_eq!(as_fused(biases), [false]);
    }

    #[test]
    fn attention_in_shifted_windows_is_told_as_the_cpu_computes_it() {
        let config = "(image_size: 16, patch_size: 2, channels: 1, classes: 3, dim: 8, depths: [2, 1], heads: [2, 2], window: 4)";
        let biases = || -> Vec<[usize; 4]> {
            let bias = |operation: Operation| match operation {
                Operation::Attention { bias, .. } => bias,
                _ => None,
            };
            operations::<Swin>(config, 100).into_iter().filter_map(bias).collect()
        };
        // The shifted windows of the two images have a mask each, which the operation of the CPU takes by itself.
        let one = [1, 2, 16, 16];
        assert_eq!(biases(), [one, one, [8, 2, 16, 16]]);
        let fused = as_fused(biases);
        assert!(!fused.is_empty() && fused.iter().all(|bias| *bias == one), "{fused:?}");
    }

    #[test]
    fn operations_have_the_shapes_that_they_are_computed_with() {
        let vit = operations::<Vit>(
            "(image_size: 16, patch_size: 4, channels: 1, classes: 3, dim: 8, depth: 1, heads: 2)",
            3,
        );
        let linear =
            |tokens, d_input, d_output| Operation::Linear { x: [2, tokens, d_input], d_output, bias: true };
        for expected in [
            // Three tokens and the class token, a head with three dims, three hidden units.
            linear(4, 8, 9),
            linear(4, 3, 8),
            linear(4, 8, 3),
            Operation::Attention { q: [2, 1, 4, 3], keys: 4, dims_of_values: 3, bias: None },
            Operation::LayerNorm { x: [2, 4, 8], shift: true },
            Operation::Gelu { values: 2 * 4 * 3 },
            Operation::Elements { values: 2 * 4 * 8 },
        ] {
            assert!(vit.contains(&expected), "no {expected:?} in {vit:#?}");
        }
        let swin = operations::<Swin>(
            "(image_size: 16, patch_size: 2, channels: 1, classes: 3, dim: 8, depths: [2, 2], \
             heads: [2, 2], window: 4)",
            100,
        );
        let windows = Operation::Attention {
            q: [8, 2, 16, 4],
            keys: 16,
            dims_of_values: 4,
            bias: Some([1, 2, 16, 16]),
        };
        assert!(swin.contains(&windows), "{swin:#?}");
        let convnext = operations::<ConvNext>(
            "(image_size: 16, patch_size: 2, channels: 1, classes: 3, dims: [6, 8], depths: [1, 2])",
            100,
        );
        let of_each_channel = |operation: &Operation| match operation {
            Operation::Conv { x, options, .. } => x[1] == 6 && options.groups == 6,
            _ => false,
        };
        assert!(convnext.iter().any(of_each_channel), "{convnext:#?}");
    }
}
