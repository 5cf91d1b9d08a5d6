use burn::module::Module;
use burn::tensor::Tensor;

use super::product;

/// How the features of an attention layer split into heads, and attention over them. Heads need not be of one size:
/// after slicing each keeps the dims that its masks left it, and an empty head is gone.
#[derive(Module, Debug)]
pub struct HeadLayout {
    /// Dims of each head, in the order of the features.
    pub sizes: Vec<usize>,
    /// What the scores are multiplied by: `head_dim^-0.5` of the *original* head size, also after slicing, so that the
    /// sliced attention equals the masked one.
    pub scale: f64,
}

impl HeadLayout {
    /// `heads` heads of `head_dim` dims each.
    pub fn new(heads: usize, head_dim: usize) -> Self {
        Self { sizes: vec![head_dim; heads], scale: (head_dim as f64).powf(-0.5) }
    }

    /// Number of features: the dims of all heads.
    pub fn features(&self) -> usize {
        self.sizes.iter().sum()
    }

    /// Multi-head self-attention on queries, keys and values that lie side by side. Neighbouring heads of one size are
    /// computed together.
    ///
    /// # Shapes
    ///
    /// - qkv: `[batch, tokens, 3 * features]`, ordered (q | k | v, head, dim)
    /// - output: `[batch, tokens, features]`
    pub fn attend(&self, qkv: Tensor<3>) -> Tensor<3> {
        let features = self.features();
        let [batch, tokens, _] = qkv.dims();
        if features == 0 {
            return Tensor::zeros([batch, tokens, 0], &qkv.device());
        }
        if let Some(output) = product::fused_attention(&qkv, &self.sizes, self.scale) {
            return output;
        }
        let mut attended = Vec::new();
        let mut start = 0;
        for heads in self.sizes.chunk_by(|a, b| a == b).filter(|heads| heads[0] > 0) {
            let (count, size) = (heads.len(), heads[0]);
            let part = |index: usize| {
                qkv.clone()
                    .narrow(2, index * features + start, count * size)
                    .reshape([batch, tokens, count, size])
                    .swap_dims(1, 2)
            };
            let output = product::attention(part(0), part(1), part(2), self.scale);
            attended.push(output.swap_dims(1, 2).reshape([batch, tokens, count * size]));
            start += count * size;
        }
        match attended.len() {
            1 => attended.remove(0),
            _ => Tensor::cat(attended, 2),
        }
    }
}
