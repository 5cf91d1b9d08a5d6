use burn::config::Config;
use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Device, Int, Tensor, module};

use super::init::{NORMAL, weight_and_bias};
use crate::slim::{Output, SlimLayer, scale_param, select_param};

/// Configuration of an [`Embedding`].
#[derive(Config, Debug)]
pub struct EmbeddingConfig {
    /// Number of vectors.
    pub n_embedding: usize,
    /// Features of a vector.
    pub d_model: usize,
    /// What the vectors are drawn from. By default they are normal with std 0.02, as timm draws tokens, positions and tables of
    /// biases; PyTorch's own embedding has a std of 1.
    #[config(default = "NORMAL")]
    pub initializer: Initializer,
}

impl EmbeddingConfig {
    /// A table with vectors of the initializer.
    pub fn init(&self, device: &Device) -> Embedding {
        let shape = [self.n_embedding, self.d_model];
        let (weight, _) = weight_and_bias(&self.initializer, shape, None, shape, device);
        Embedding { weight }
    }
}

/// A table of vectors. Only its output is prunable: it reads indices, not features.
#[derive(Module, Debug)]
pub struct Embedding {
    /// `[n_embedding, d_model]`
    pub weight: Param<Tensor<2>>,
}

impl Embedding {
    /// The vectors at the given indices.
    ///
    /// # Shapes
    ///
    /// - input: `[batch, tokens]`
    /// - output: `[batch, tokens, d_model]`
    pub fn forward(&self, input: Tensor<2, Int>) -> Tensor<3> {
        let [_, d_model] = self.weight.dims();
        if d_model == 0 {
            let [batch, tokens] = input.dims();
            return Tensor::zeros([batch, tokens, 0], &input.device());
        }
        module::embedding(self.weight.val(), input)
    }
}

macro_rules! slim_embedding {
    ($embedding:ty) => {
        impl SlimLayer<Output> for $embedding {
            fn extent(&self, _: Output) -> usize {
                self.weight.dims()[1]
            }

            fn scale(mut self, _: Output, factors: Tensor<1>) -> Self {
                self.weight = scale_param(self.weight, 1, &factors);
                self
            }

            fn select(mut self, _: Output, kept: Tensor<1, Int>) -> Self {
                self.weight = select_param(self.weight, 1, &kept);
                self
            }
        }
    };
}

slim_embedding!(Embedding);
slim_embedding!(burn::nn::Embedding);
