//! Attention over heads of any size.

use burn::tensor::Tensor;

use super::product;
use crate::slim::HeadLayout;

impl HeadLayout {
    /// Multi-head self-attention on queries, keys and values in one tensor. Neighbouring heads of the same size are computed
    /// together.
    ///
    /// # Shapes
    ///
    /// - qkv: `[batch, tokens, 3 * features]`, ordered (q | k | v, head, dim)
    /// - output: `[batch, tokens, features]`
    pub fn attend(&self, qkv: Tensor<3>) -> Tensor<3> {
        let fused = (self.features() > 0).then(|| product::fused_attention(&qkv, &self.sizes, self.scale));
        match fused.flatten() {
            Some(output) => output,
            None => self.attend_side_by_side(qkv, None),
        }
    }

    /// Like [`attend`](Self::attend), with `bias` added to the scaled scores before the softmax.
    ///
    /// # Shapes
    ///
    /// - qkv: `[batch, tokens, 3 * features]`, ordered (q | k | v, head, dim)
    /// - bias: `[n, heads, tokens, tokens]`, as in [`attend_separate`](Self::attend_separate)
    /// - output: `[batch, tokens, features]`
    pub fn attend_with_bias(&self, qkv: Tensor<3>, bias: Tensor<4>) -> Tensor<3> {
        self.attend_side_by_side(qkv, Some(bias))
    }

    /// Multi-head attention on separate queries, keys and values. `bias` is added to the scaled scores before the softmax:
    /// sequence `b` of the batch gets `bias[b % n]`. With `n = 1` all sequences share one bias, as with relative positions;
    /// with a batch ordered (image, window) and `n` windows per image, each window has its own.
    ///
    /// The heads of `bias` are those of `sizes`; annotate the parameter that it is made from with `axis(N) = [heads]`. If no
    /// head is left, the output has no features and `bias` is ignored.
    ///
    /// # Shapes
    ///
    /// - q: `[batch, queries, features]`, ordered (head, dim)
    /// - k, v: `[batch, keys, features]`
    /// - bias: `[n, heads, queries, keys]` or `[n, 1, queries, keys]`; `n` divides the batch
    /// - output: `[batch, queries, features]`
    ///
    /// # Panics
    ///
    /// When the bias has a different number of heads.
    pub fn attend_separate(
        &self,
        q: Tensor<3>,
        k: Tensor<3>,
        v: Tensor<3>,
        bias: Option<Tensor<4>>,
    ) -> Tensor<3> {
        let features = self.features();
        if features == 0 {
            return q;
        }
        let qkv = [q, k, v];
        self.by_size(bias, |part, start, width| match width == features {
            true => qkv[part].clone(),
            false => qkv[part].clone().narrow(2, start, width),
        })
    }

    fn attend_side_by_side(&self, qkv: Tensor<3>, bias: Option<Tensor<4>>) -> Tensor<3> {
        let features = self.features();
        if features == 0 {
            return qkv;
        }
        self.by_size(bias, |part, start, width| qkv.clone().narrow(2, part * features + start, width))
    }

    /// The attention of each run of heads of the same size, concatenated. `part(0, start, width)` is `width` features of the
    /// queries from `start` on, `part(1, ..)` of the keys, `part(2, ..)` of the values.
    fn by_size(&self, bias: Option<Tensor<4>>, part: impl Fn(usize, usize, usize) -> Tensor<3>) -> Tensor<3> {
        if let Some(bias) = &bias {
            let (heads, of) = (bias.dims()[1], self.sizes.len());
            assert!(
                heads == 1 || heads == of,
                "the bias has {heads} heads, but there are {of}: annotate its parameter with `axis(N) = [heads]`"
            );
        }
        let mut attended = Vec::new();
        let (mut head, mut start) = (0, 0);
        for heads in self.sizes.chunk_by(|a, b| a == b) {
            let (count, size) = (heads.len(), heads[0]);
            let width = count * size;
            if size > 0 {
                let split = |index: usize| {
                    let part = part(index, start, width);
                    let [batch, tokens, _] = part.dims();
                    part.reshape([batch, tokens, count, size]).swap_dims(1, 2)
                };
                let (q, k, v) = (split(0), split(1), split(2));
                let [batch, _, queries, _] = q.dims();
                let bias = bias.clone().map(|bias| bias_of(bias, head, count, batch));
                let output = product::attention(q, k, v, bias, self.scale);
                attended.push(output.swap_dims(1, 2).reshape([batch, queries, width]));
            }
            (head, start) = (head + count, start + width);
        }
        match attended.len() {
            1 => attended.remove(0),
            _ => Tensor::cat(attended, 2),
        }
    }
}

/// The `bias` of `count` heads from `head` on, one for each sequence of the batch or one for all.
fn bias_of(bias: Tensor<4>, head: usize, count: usize, batch: usize) -> Tensor<4> {
    let [n, heads, ..] = bias.dims();
    let bias = if heads == 1 { bias } else { bias.narrow(1, head, count) };
    if n == 1 || n == batch { bias } else { bias.repeat_dim(0, batch / n) }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution, Tolerance, activation};

    use super::*;

    #[test]
    #[should_panic(expected = "the bias has 2 heads, but there are 4")]
    fn a_bias_of_other_heads_panics() {
        let layout = HeadLayout { sizes: vec![3, 3, 2, 2], scale: 0.7 };
        layout.attend_with_bias(random([1, 5, 30]), random([1, 2, 5, 5]));
    }

    fn random<const D: usize>(shape: [usize; D]) -> Tensor<D> {
        Tensor::random(shape, Distribution::Normal(0.0, 1.0), &Device::flex())
    }

    #[test]
    fn attention_is_that_of_each_head_by_itself() {
        let (batch, queries, keys) = (4, 3, 5);
        let layout = HeadLayout { sizes: vec![3, 0, 2, 2, 1], scale: 0.7 };
        let features = layout.features();
        let q = random([batch, queries, features]);
        let (k, v) = (random([batch, keys, features]), random([batch, keys, features]));
        for shape in [None, Some([1, 5]), Some([2, 5]), Some([4, 5]), Some([2, 1])] {
            let bias = shape.map(|[n, heads]| random([n, heads, queries, keys]));
            let found = layout.attend_separate(q.clone(), k.clone(), v.clone(), bias.clone());
            let mut expected = Vec::new();
            for sequence in 0..batch {
                let (mut start, mut heads) = (0, Vec::new());
                for (head, &size) in layout.sizes.iter().enumerate().filter(|(_, size)| **size > 0) {
                    let of_head = |x: &Tensor<3>| {
                        x.clone().narrow(0, sequence, 1).narrow(2, start, size).squeeze_dim::<2>(0)
                    };
                    let mut scores = of_head(&q).matmul(of_head(&k).transpose()) * layout.scale;
                    if let Some(bias) = &bias {
                        let [n, of_heads, ..] = bias.dims();
                        let bias = bias.clone().narrow(0, sequence % n, 1).narrow(1, head % of_heads, 1);
                        scores = scores + bias.reshape([queries, keys]);
                    }
                    heads.push(activation::softmax(scores, 1).matmul(of_head(&v)));
                    start += size;
                }
                expected.push(Tensor::cat(heads, 1));
            }
            let expected = Tensor::<2>::stack::<3>(expected, 0).into_data();
            found.into_data().assert_approx_eq::<f32>(&expected, Tolerance::absolute(1e-5));
        }
    }

    #[test]
    fn side_by_side_or_separate_is_the_same() {
        let layout = HeadLayout { sizes: vec![3, 3, 2], scale: 0.7 };
        let parts = [0; 3].map(|_| random([2, 4, 8]));
        let qkv = Tensor::cat(parts.to_vec(), 2);
        let bias = random([1, 3, 4, 4]);
        let [q, k, v] = parts;
        let separate = |bias| layout.attend_separate(q.clone(), k.clone(), v.clone(), bias).into_data();
        let tolerance = Tolerance::absolute(1e-5);
        layout.attend(qkv.clone()).into_data().assert_approx_eq::<f32>(&separate(None), tolerance);
        let with_bias = layout.attend_with_bias(qkv, bias.clone()).into_data();
        with_bias.assert_approx_eq::<f32>(&separate(Some(bias)), tolerance);
    }

    #[test]
    fn without_heads_there_are_no_features() {
        let layout = HeadLayout { sizes: vec![], scale: 0.5 };
        let empty = || Tensor::<3>::zeros([2, 4, 0], &Device::flex());
        let bias = || Tensor::<4>::zeros([1, 0, 4, 4], &Device::flex());
        assert_eq!(layout.attend(empty()).dims(), [2, 4, 0]);
        assert_eq!(layout.attend_with_bias(empty(), bias()).dims(), [2, 4, 0]);
        assert_eq!(layout.attend_separate(empty(), empty(), empty(), Some(bias())).dims(), [2, 4, 0]);
    }
}
