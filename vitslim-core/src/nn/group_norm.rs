use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::{Device, IndexingUpdateOp, Int, Tensor};

use crate::slim::{Output, SlimLayer, index_tensor, scale_param, select_param};

/// Configuration of a [`GroupNorm`].
#[derive(Config, Debug)]
pub struct GroupNormConfig {
    /// Number of groups of channels.
    pub num_groups: usize,
    /// Number of channels.
    pub num_channels: usize,
    /// Added to the variance. 1e-5 as in PyTorch.
    #[config(default = 1e-5)]
    pub epsilon: f64,
}

impl GroupNormConfig {
    /// A norm with gamma 1 and beta 0.
    ///
    /// # Panics
    ///
    /// When the groups do not divide the channels.
    pub fn init(&self, device: &Device) -> GroupNorm {
        let (groups, channels) = (self.num_groups, self.num_channels);
        let divides = groups > 0 && channels.is_multiple_of(groups);
        assert!(divides, "group norm: {groups} groups do not divide {channels} channels");
        GroupNorm {
            gamma: Param::from_tensor(Tensor::ones([channels], device)),
            beta: Some(Param::from_tensor(Tensor::zeros([channels], device))),
            num_groups: groups,
            epsilon: self.epsilon,
            group_width: channels / groups,
            group_of: None,
        }
    }
}

/// Group normalisation (Wu and He 2018): each group of channels of each image is normalised separately.
///
/// It remembers its original groups: removed channels count as zeros in the statistics of their group, as in the hard-masked
/// network. So any channels may be cut, and groups may end up with different sizes. As with a [`LayerNorm`](super::LayerNorm),
/// gate both the norm and the layer before it.
#[derive(Module, Debug)]
pub struct GroupNorm {
    /// Scale, `[channels]`.
    pub gamma: Param<Tensor<1>>,
    /// Shift, `[channels]`.
    pub beta: Option<Param<Tensor<1>>>,
    /// Number of groups before any slicing.
    pub num_groups: usize,
    /// Added to the variance.
    pub epsilon: f64,
    /// Channels of a group before any slicing.
    pub group_width: usize,
    /// After slicing: the group of each channel, `[channels]`.
    group_of: Option<Tensor<1, Int>>,
}

impl GroupNorm {
    /// # Shapes
    ///
    /// - input, output: `[batch, channels, ...]`
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        let shape = input.dims();
        let (batch, channels) = (shape[0], shape[1]);
        if input.shape().num_elements() == 0 {
            return input;
        }
        let positions: usize = shape[2..].iter().product();
        let count = (self.group_width * positions) as f64;
        let x = input.reshape([batch, channels, positions]);
        let of_group = |sums: Tensor<3>| self.of_group(sums.squeeze_dim(2)).unsqueeze_dim::<3>(2);

        let mean = of_group(x.clone().sum_dim(2)) / count;
        let centered = x - mean.clone();
        let squares = of_group(centered.clone().square().sum_dim(2));
        let squares = match &self.group_of {
            None => squares,
            // Each removed value adds 0 to the mean and mean^2 to the variance.
            Some(_) => {
                let left = of_group(Tensor::ones([batch, channels, 1], &mean.device())) * positions as f64;
                squares + mean.square() * (-left + count)
            }
        };
        let variance = squares / count;
        let normalised = centered / (variance + self.epsilon).sqrt();
        let output = normalised * self.gamma.val().reshape([1, channels, 1]);
        let output = match &self.beta {
            Some(beta) => output + beta.val().reshape([1, channels, 1]),
            None => output,
        };
        output.reshape(shape)
    }

    /// The channels that are left of each group.
    fn group_sizes(&self) -> Vec<usize> {
        let Some(group_of) = &self.group_of else { return vec![self.group_width; self.num_groups] };
        let mut left = vec![0; self.num_groups];
        group_of.to_data().iter::<i64>().for_each(|group| left[group as usize] += 1);
        left
    }

    /// The sum over the group of each channel, `[batch, channels]` both.
    fn of_group(&self, values: Tensor<2>) -> Tensor<2> {
        let [batch, channels] = values.dims();
        match &self.group_of {
            None => {
                let groups = [batch, self.num_groups, self.group_width];
                values.reshape(groups).sum_dim(2).expand(groups).reshape([batch, channels])
            }
            Some(group_of) => Tensor::zeros([batch, self.num_groups], &values.device())
                .select_assign(1, group_of.clone(), values, IndexingUpdateOp::Add)
                .select(1, group_of.clone()),
        }
    }
}

impl SlimLayer<Output> for GroupNorm {
    fn extent(&self, _: Output) -> usize {
        self.gamma.dims()[0]
    }

    fn constants(&self) -> Vec<(&'static str, serde_json::Value)> {
        vec![
            ("group_sizes", self.group_sizes().into()),
            ("group_width", self.group_width.into()),
            ("epsilon", self.epsilon.into()),
        ]
    }

    fn scale(mut self, _: Output, factors: Tensor<1>) -> Self {
        self.gamma = scale_param(self.gamma, 0, &factors);
        self.beta = self.beta.map(|beta| scale_param(beta, 0, &factors));
        self
    }

    fn select(mut self, _: Output, kept: Tensor<1, Int>) -> Self {
        let group_of = self.group_of.take().unwrap_or_else(|| {
            let groups = (0..self.num_groups).flat_map(|group| vec![group; self.group_width]);
            index_tensor(&groups.collect::<Vec<_>>(), &kept.device())
        });
        self.group_of = Some(group_of.select(0, kept.clone()));
        self.gamma = select_param(self.gamma, 0, &kept);
        self.beta = self.beta.map(|beta| select_param(beta, 0, &kept));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_channels_that_are_left_of_each_group_are_told() {
        let device = Device::flex();
        let norm = GroupNormConfig::new(2, 6).init(&device);
        let sizes = |norm: &GroupNorm| SlimLayer::<Output>::constants(norm)[0].clone();
        assert_eq!(sizes(&norm), ("group_sizes", vec![3, 3].into()));
        let cut = norm.select(Output, index_tensor(&[1, 4, 5], &device));
        assert_eq!(sizes(&cut), ("group_sizes", vec![1, 2].into()));
        let cut = cut.select(Output, index_tensor(&[1, 2], &device));
        assert_eq!(sizes(&cut), ("group_sizes", vec![0, 2].into()));
    }
}
