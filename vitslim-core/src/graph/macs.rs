use burn_capture::CapturedGraph;
use burn_ir::{FloatOperationIr, ModuleOperationIr, OperationIr, TensorIr};

use super::capture::{GraphError, capture, record};
use crate::data::ImageShape;
use crate::models::Architecture;

/// Multiply-adds of `model` for one image: of matrix products, convolutions and attention. As in fvcore, biases, norms,
/// activations, softmax and additions are not counted.
///
/// # Errors
///
/// When the forward pass cannot be recorded, or has an operation whose multiply-adds are not known.
pub fn macs<M: Architecture>(model: &M, image: ImageShape) -> Result<u64, GraphError> {
    macs_of_graph(&capture(model, image, 1)?)
}

/// Multiply-adds of `model` for one image, and its number of classes.
///
/// # Errors
///
/// Those of [`macs`].
pub(crate) fn macs_and_classes<M: Architecture>(
    model: &M,
    image: ImageShape,
) -> Result<(u64, usize), GraphError> {
    let recorded = record(model, image, 1)?;
    Ok((macs_of_graph(&recorded.graph)?, recorded.classes))
}

/// Multiply-adds of a recorded forward pass, for all images of its batch together.
///
/// # Errors
///
/// When it has an operation whose multiply-adds are not known.
pub fn macs_of_graph(captured: &CapturedGraph) -> Result<u64, GraphError> {
    captured.graph.operations.iter().map(macs_of).sum()
}

pub(super) fn macs_of(operation: &OperationIr) -> Result<u64, GraphError> {
    let last = |tensor: &TensorIr| tensor.shape.as_slice().last().copied().unwrap_or(1) as u64;
    Ok(match operation {
        OperationIr::Float(_, FloatOperationIr::Matmul(matmul)) => elements(&matmul.out) * last(&matmul.lhs),
        OperationIr::Module(ModuleOperationIr::Linear(linear)) => elements(&linear.out) * last(&linear.x),
        // `[out, in / groups, ...kernel]` has the weights of each output channel.
        OperationIr::Module(ModuleOperationIr::Conv1d(conv)) => {
            elements(&conv.out) * per_channel(&conv.weight)
        }
        OperationIr::Module(ModuleOperationIr::Conv2d(conv)) => {
            elements(&conv.out) * per_channel(&conv.weight)
        }
        OperationIr::Module(ModuleOperationIr::Attention(attention)) => {
            let queries = attention.query.shape.as_slice();
            let keys = attention.key.shape.as_slice();
            let scores = (queries[0] * queries[1] * queries[2] * keys[2]) as u64;
            scores * (last(&attention.key) + last(&attention.value))
        }
        OperationIr::Module(
            ModuleOperationIr::LayerNorm(_)
            | ModuleOperationIr::BatchNorm(_)
            | ModuleOperationIr::Embedding(_)
            | ModuleOperationIr::AvgPool1d(_)
            | ModuleOperationIr::AvgPool2d(_)
            | ModuleOperationIr::AdaptiveAvgPool1d(_)
            | ModuleOperationIr::AdaptiveAvgPool2d(_)
            | ModuleOperationIr::MaxPool1d(_)
            | ModuleOperationIr::MaxPool2d(_)
            | ModuleOperationIr::Interpolate(_)
            | ModuleOperationIr::Unfold4d(_),
        ) => 0,
        OperationIr::Module(unknown) => return Err(uncounted(unknown)),
        OperationIr::Custom(custom) => return Err(GraphError::Uncounted(custom.id.clone())),
        _ => 0,
    })
}

fn elements(tensor: &TensorIr) -> u64 {
    tensor.shape.as_slice().iter().map(|&size| size as u64).product()
}

fn per_channel(weight: &TensorIr) -> u64 {
    weight.shape.as_slice().iter().skip(1).map(|&size| size as u64).product()
}

fn uncounted(operation: &ModuleOperationIr) -> GraphError {
    let described = format!("{operation:?}");
    let name = described.split(['(', ' ']).next().unwrap_or_default();
    GraphError::Uncounted(name.to_owned())
}

#[cfg(test)]
mod tests {
    use burn::module::Module;
    use burn::tensor::{Device, Tensor};

    use super::*;
    use crate::models::{ConfigError, Logits, VitConfig};
    use crate::nn::*;
    use crate::slim::{Plan, Slimmable, describe};

    /// Every layer whose products are counted, and norms, which are not.
    #[derive(Module, Debug, Slimmable)]
    struct Net {
        #[slim(output = [hidden])]
        expand: Conv2d,
        #[slim(output = [hidden])]
        norm: BatchNorm,
        #[slim(output = [hidden])]
        depthwise: Conv2d,
        #[slim(input = [hidden], gate, output = [groups, 3])]
        before: Conv2d,
        #[slim(output = [groups, 2], gate)]
        grouped: Conv2d,
        #[slim(input = [groups, 2], output = [normed], gate)]
        after: Conv2d,
        #[slim(output = [normed], gate)]
        group_norm: GroupNorm,
        #[slim(input = [normed])]
        along: Conv1d,
        rms_norm: RmsNorm,
        #[slim(output = [heads, head_dim], gate)]
        q: Linear,
        #[slim(output = [heads, head_dim], gate)]
        k: Linear,
        #[slim(output = [heads, head_dim], gate)]
        v: Linear,
        #[slim(layout = [heads, head_dim])]
        heads: HeadLayout,
        #[slim(input = [heads, head_dim])]
        proj: Linear,
    }

    impl Architecture for Net {
        type Config = VitConfig;

        fn presets() -> Vec<(&'static str, VitConfig)> {
            Vec::new()
        }

        fn init(_: &VitConfig, device: &Device) -> Result<Self, ConfigError> {
            let linear = |d_input, d_output| LinearConfig::new(d_input, d_output).init(device);
            Ok(Self {
                expand: Conv2dConfig::new([1, 6], [3, 3]).with_padding([1, 1]).init(device),
                norm: BatchNormConfig::new(6).init(device),
                depthwise: Conv2dConfig::new([6, 6], [3, 3]).with_groups(6).init(device),
                before: Conv2dConfig::new([6, 12], [1, 1]).init(device),
                grouped: Conv2dConfig::new([12, 8], [2, 2]).with_stride([2, 2]).with_groups(4).init(device),
                after: Conv2dConfig::new([8, 6], [1, 1]).init(device),
                group_norm: GroupNormConfig::new(2, 6).init(device),
                along: Conv1dConfig::new(6, 4, 3).with_stride(2).init(device),
                rms_norm: RmsNormConfig::new(4).init(device),
                q: linear(4, 6),
                k: linear(4, 6),
                v: linear(4, 6),
                heads: HeadLayout::new(2, 3),
                proj: linear(6, 5),
            })
        }

        fn forward(&self, images: Tensor<4>) -> Logits {
            let x = self.norm.forward(self.expand.forward(images));
            let x = self.after.forward(self.grouped.forward(self.before.forward(self.depthwise.forward(x))));
            let x = self.along.forward(self.group_norm.forward(x).flatten(2, 3)).swap_dims(1, 2);
            let x = self.rms_norm.forward(x);
            let [q, k, v] = [&self.q, &self.k, &self.v].map(|layer| layer.forward(x.clone()));
            let bias = Tensor::ones([1, 1, 4, 4], &q.device());
            let x = self.proj.forward(self.heads.attend_separate(q, k, v, Some(bias)));
            x.mean_dim(1).squeeze_dim::<2>(1).into()
        }
    }

    /// By arithmetic, of images of 8 x 8: the depthwise convolution leaves 6 x 6, the grouped one 3 x 3, and 9 values in a
    /// row become 4 tokens.
    fn expected(hidden: u64, groups: u64, normed: u64, head_dim: u64) -> u64 {
        let convolutions = 64 * 9 * hidden
            + 36 * 9 * hidden
            + 36 * hidden * 3 * groups
            + 9 * (2 * groups) * (3 * 4)
            + 9 * (2 * groups) * normed
            + 4 * 4 * (3 * normed);
        convolutions + 3 * 4 * 4 * head_dim + 2 * 4 * 4 * head_dim + 4 * head_dim * 5
    }

    #[test]
    fn groups_are_counted_as_what_they_multiply() {
        let image = ImageShape { channels: 1, size: 8 };
        let model = Net::init(&VitConfig::default(), &Device::flex()).unwrap();
        assert_eq!(macs(&model, image).unwrap(), expected(6, 4, 6, 6));

        let mut plan = Plan::whole(&describe(&model).unwrap());
        for (path, keep) in [
            ("hidden", vec![0, 4]),
            ("groups", vec![1, 2, 3]),
            ("normed", vec![0, 1, 5]),
            ("head_dim", vec![0, 3, 4]),
        ] {
            plan.get_mut(path).unwrap().keep = keep;
        }
        assert_eq!(macs(&model.slim(&plan).unwrap(), image).unwrap(), expected(2, 3, 3, 3));
        plan.cuts.iter_mut().for_each(|cut| cut.keep.clear());
        assert_eq!(macs(&model.slim(&plan).unwrap(), image).unwrap(), 0);
    }
}
