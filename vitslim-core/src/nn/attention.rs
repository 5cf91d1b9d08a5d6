//! Attention over heads of any size.

use burn::tensor::Tensor;

use super::fused::is_as_fused;
use super::heads::{Run, features, joined};
use super::{Precision, TokenSizes, Windows, product};
use crate::slim::HeadLayout;
use vitslim_kernels::{self as kernels, Attention, Heads};

impl HeadLayout {
    /// Multi-head self-attention on queries, keys and values in one tensor. Neighbouring heads of the same size are computed
    /// together.
    ///
    /// # Shapes
    ///
    /// - qkv: `[batch, tokens, 3 * features]`, ordered (q | k | v, head, dim); with several queries, or queries and keys of another
    ///   size, as [`split`](Self::split) takes it
    /// - output: `[batch, tokens, queries * features]`
    pub fn attend(&self, qkv: Tensor<3>) -> Tensor<3> {
        self.attend_sized(qkv, &TokenSizes::default())
    }

    /// Like [`attend`](Self::attend), where a token counts as often as its size says.
    ///
    /// # Shapes
    ///
    /// - qkv, output: as in [`attend`](Self::attend)
    pub fn attend_sized(&self, qkv: Tensor<3>, sizes: &TokenSizes) -> Tensor<3> {
        match self.attend_at_once(&qkv, None, None, sizes) {
            Some(output) => output,
            // Where that is recorded as one, sizes are no scores that are added to others.
            None if is_recorded() => self.attend_side_by_side(qkv, None),
            None => self.attend_side_by_side(qkv, sizes.bias()),
        }
    }

    /// Like [`attend`](Self::attend), with `bias` added to the scaled scores before the softmax.
    ///
    /// # Shapes
    ///
    /// - qkv: as in [`attend`](Self::attend)
    /// - bias: `[n, heads, tokens, tokens]`, as in [`attend_separate`](Self::attend_separate)
    /// - output: `[batch, tokens, queries * features]`
    pub fn attend_with_bias(&self, qkv: Tensor<3>, bias: Tensor<4>) -> Tensor<3> {
        self.check(&bias);
        self.attend_at_once(&qkv, Some(&bias), None, &TokenSizes::default())
            .unwrap_or_else(|| self.attend_side_by_side(qkv, Some(bias)))
    }

    /// Like [`attend_with_bias`](Self::attend_with_bias), where the patches of an image attend to those of their window, with the
    /// [mask](Windows::mask) of shifted windows.
    ///
    /// # Shapes
    ///
    /// - qkv: as in [`attend`](Self::attend), with `tokens` the patches of an image, row by row
    /// - bias: `[1, heads, patches, patches]`, with `patches` those of a window
    /// - output: `[batch, tokens, queries * features]`
    pub fn attend_in_windows(&self, qkv: Tensor<3>, bias: Tensor<4>, windows: &Windows) -> Tensor<3> {
        if self.features() == 0 {
            return self.attend(qkv);
        }
        self.check(&bias);
        if let Some(output) = self.attend_at_once(&qkv, Some(&bias), Some(windows), &TokenSizes::default()) {
            return output;
        }
        let [batch, tokens, width] = qkv.dims();
        if is_recorded() {
            // Recorded as one: nothing moves, and no mask is added to the bias.
            let all = [batch * windows.count(), windows.size.pow(2), width];
            let output = self.attend_side_by_side(qkv.reshape(all), Some(bias));
            let features = output.dims()[2];
            return output.reshape([batch, tokens, features]);
        }
        let bias = match windows.mask() {
            Some(mask) => bias + mask.clone().unsqueeze_dim::<4>(1),
            None => bias,
        };
        windows.join(self.attend_side_by_side(windows.split(qkv), Some(bias)))
    }

    /// Multi-head attention on separate queries, keys and values. `bias` is added to the scaled scores before the softmax:
    /// sequence `b` of the batch gets `bias[b % n]`. With `n = 1` all sequences share one bias, as with relative positions;
    /// with a batch ordered (image, window) and `n` windows per image, each window has its own.
    ///
    /// The heads of `bias` are those of `sizes`, and with several queries for each, all these: annotate the parameter that it is
    /// made from with `axis(N) = [heads]`, or `[heads, 4]` with four queries. If no head is left, the output has no features and
    /// `bias` is ignored. All scores of a head whose queries and keys have no dims are 0: without a bias it averages the values.
    ///
    /// # Shapes
    ///
    /// With `qk` the sum of [`qk_sizes`](Self::qk_sizes):
    ///
    /// - q: `[batch, tokens, queries * qk]`, ordered (head, query, dim)
    /// - k: `[batch, keys, qk]`, ordered (head, dim)
    /// - v: `[batch, keys, features]`, ordered (head, dim)
    /// - bias: `[n, heads * queries, tokens, keys]` or `[n, 1, tokens, keys]`; `n` divides the batch
    /// - output: `[batch, tokens, queries * features]`, ordered as q
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
        let [batch, tokens, _] = q.dims();
        let queries = self.queries;
        if let Some(bias) = &bias {
            self.check(bias);
        }
        if tokens == k.dims()[1] && self.features() > 0 && product::fuses_attention(&v) {
            let parts = [&q, &k, &v].into_iter().filter(|part| part.dims()[2] > 0);
            let qkv = joined(parts.cloned().collect(), &q);
            if let Some(output) = self.attend_at_once(&qkv, bias.as_ref(), None, &TokenSizes::default()) {
                return output;
            }
        }
        let mut attended = Vec::new();
        let (mut head, mut qk_start, mut v_start) = (0, 0, 0);
        for Run { heads, qk, v: dims } in self.runs() {
            if dims > 0 {
                let q = of_heads(features(&q, qk_start * queries, heads * queries * qk), heads, queries);
                let [k, v] = [(&k, qk_start, qk), (&v, v_start, dims)]
                    .map(|(x, start, size)| of_heads(features(x, start, heads * size), heads, 1));
                let bias = bias.clone().map(|bias| bias_of(bias, head, [heads, queries], batch));
                let output = product::attention(q, k, v, bias, self.scale);
                attended.push(side_by_side(output, tokens));
            }
            (head, qk_start, v_start) = (head + heads, qk_start + heads * qk, v_start + heads * dims);
        }
        joined(attended, &q)
    }

    /// # Panics
    ///
    /// When `bias` has a different number of heads.
    #[track_caller]
    fn check(&self, bias: &Tensor<4>) {
        let (heads, of) = (bias.dims()[1], self.sizes.len() * self.queries);
        let axis =
            if self.queries == 1 { "[heads]".to_owned() } else { format!("[heads, {}]", self.queries) };
        assert!(
            heads == 1 || heads == of || self.features() == 0,
            "the bias has {heads} heads, but there are {of}: annotate its parameter with `axis(N) = {axis}`"
        );
    }

    /// The output as one operation, where there is one that takes the `bias`: Burn spreads one of a single query or key over all.
    fn attend_at_once(
        &self,
        qkv: &Tensor<3>,
        bias: Option<&Tensor<4>>,
        windows: Option<&Windows>,
        sizes: &TokenSizes,
    ) -> Option<Tensor<3>> {
        let patches = windows.map_or(qkv.dims()[1], |windows| windows.size.pow(2));
        if bias.is_some_and(|bias| bias.dims()[2..] != [patches; 2]) {
            return None;
        }
        let heads = Heads { qk: self.qk_sizes().to_vec(), v: self.sizes.clone(), queries: self.queries };
        let mask = windows.and_then(Windows::mask);
        let windows =
            windows.map(|&Windows { side, size, shift, .. }| kernels::Windows { side, size, shift });
        let attention = Attention { heads, scale: self.scale, windows };
        product::fused_attention(qkv, bias, mask, sizes.of_each().as_ref(), &attention)
    }

    fn attend_side_by_side(&self, qkv: Tensor<3>, bias: Option<Tensor<4>>) -> Tensor<3> {
        let [q, k, v] = self.split(qkv);
        self.attend_separate(q, k, v, bias)
    }
}

/// Whether what the CPU computes as one operation is recorded as one. In bf16 it is several.
fn is_recorded() -> bool {
    is_as_fused() && Precision::current() == Precision::F32
}

/// The features of `heads` heads of the same size as `[batch, heads, queries * tokens, dims]`. Without dims they get one that is 0, so
/// that all scores are 0.
fn of_heads(x: Tensor<3>, heads: usize, queries: usize) -> Tensor<4> {
    let [batch, tokens, width] = x.dims();
    let dims = width / (heads * queries);
    match (dims, queries) {
        (0, _) => Tensor::zeros([batch, heads, queries * tokens, 1], &x.device()),
        (_, 1) => x.reshape([batch, tokens, heads, dims]).swap_dims(1, 2),
        _ => x.reshape([batch, tokens, heads, queries, dims]).permute([0, 2, 3, 1, 4]).reshape([
            batch,
            heads,
            queries * tokens,
            dims,
        ]),
    }
}

/// `[batch, heads, queries * tokens, dims]` as `[batch, tokens, features]`.
fn side_by_side(x: Tensor<4>, tokens: usize) -> Tensor<3> {
    let [batch, heads, rows, dims] = x.dims();
    match rows / tokens {
        1 => x.swap_dims(1, 2).reshape([batch, tokens, heads * dims]),
        queries => x.reshape([batch, heads, queries, tokens, dims]).permute([0, 3, 1, 2, 4]).reshape([
            batch,
            tokens,
            heads * queries * dims,
        ]),
    }
}

/// The `bias` of `heads` heads of so many `queries` from `head` on, one for each sequence of the batch or one for all.
fn bias_of(bias: Tensor<4>, head: usize, [heads, queries]: [usize; 2], batch: usize) -> Tensor<4> {
    let [n, of_heads, tokens, keys] = bias.dims();
    let bias = match (of_heads, queries) {
        (1, 1) => bias,
        (1, _) => bias.repeat_dim(2, queries),
        (_, 1) => bias.narrow(1, head, heads),
        _ => bias.narrow(1, head * queries, heads * queries).reshape([n, heads, queries * tokens, keys]),
    };
    if n == 1 || n == batch { bias } else { bias.repeat_dim(0, batch / n) }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution, Tolerance, activation};

    use super::*;
    use crate::nn::heads::tests::{grouped, places};

    #[test]
    #[should_panic(expected = "the bias has 2 heads, but there are 4")]
    fn a_bias_of_other_heads_panics() {
        let layout = HeadLayout { sizes: vec![3, 3, 2, 2], scale: 0.7, ..HeadLayout::new(1, 1) };
        layout.attend_with_bias(random([1, 5, 30]), random([1, 2, 5, 5]));
    }

    #[test]
    #[should_panic(expected = "there are 6: annotate its parameter with `axis(N) = [heads, 3]`")]
    fn a_bias_of_other_queries_panics() {
        let layout = HeadLayout::new(2, 1).with_queries(3);
        layout.attend_with_bias(random([1, 5, 10]), random([1, 2, 5, 5]));
    }

    fn random<const D: usize>(shape: [usize; D]) -> Tensor<D> {
        Tensor::random(shape, Distribution::Normal(0.0, 1.0), &Device::flex())
    }

    #[test]
    fn attention_is_that_of_each_head_by_itself() {
        let (batch, queries, keys) = (4, 3, 5);
        let layout = HeadLayout { sizes: vec![3, 0, 2, 2, 1], scale: 0.7, ..HeadLayout::new(1, 1) };
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
    fn each_query_attends_to_the_keys_and_values_of_its_head() {
        let (batch, tokens, keys) = (4, 3, 5);
        let layout = grouped();
        let (q, k, v) = (random([batch, tokens, 10]), random([batch, keys, 5]), random([batch, keys, 9]));
        let k_places = places(layout.qk_sizes().iter().copied());
        let v_places = places(layout.sizes.iter().copied());
        let q_places = places(layout.qk_sizes().iter().flat_map(|&size| [size, size]));
        for shape in [None, Some([1, 10]), Some([2, 10]), Some([4, 1])] {
            let bias = shape.map(|[n, heads]| random([n, heads, tokens, keys]));
            let found = layout.attend_separate(q.clone(), k.clone(), v.clone(), bias.clone());
            let mut expected = Vec::new();
            for sequence in 0..batch {
                let mut queries = Vec::new();
                for query in (0..10).filter(|query| layout.sizes[query / 2] > 0) {
                    let head = query / 2;
                    let of = |x: &Tensor<3>, place: &std::ops::Range<usize>| {
                        x.clone()
                            .narrow(0, sequence, 1)
                            .narrow(2, place.start, place.len())
                            .squeeze_dim::<2>(0)
                    };
                    let mut scores = match layout.qk_sizes()[head] {
                        0 => Tensor::zeros([tokens, keys], &q.device()),
                        _ => {
                            of(&q, &q_places[query]).matmul(of(&k, &k_places[head]).transpose())
                                * layout.scale
                        }
                    };
                    if let Some(bias) = &bias {
                        let [n, of_heads, ..] = bias.dims();
                        let bias = bias.clone().narrow(0, sequence % n, 1).narrow(1, query % of_heads, 1);
                        scores = scores + bias.reshape([tokens, keys]);
                    }
                    queries.push(activation::softmax(scores, 1).matmul(of(&v, &v_places[head])));
                }
                expected.push(Tensor::cat(queries, 1));
            }
            let expected = Tensor::<2>::stack::<3>(expected, 0).into_data();
            found.into_data().assert_approx_eq::<f32>(&expected, Tolerance::absolute(1e-5));
        }
    }

    #[test]
    fn side_by_side_or_separate_is_the_same() {
        let layout = HeadLayout { sizes: vec![3, 3, 2], scale: 0.7, ..HeadLayout::new(1, 1) };
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
    fn a_bias_of_the_keys_alone_is_spread_over_the_queries() {
        let layout = HeadLayout { sizes: vec![3, 2], scale: 0.7, ..HeadLayout::new(1, 1) };
        let (qkv, bias) = (random([2, 4, 15]), random([1, 2, 1, 4]));
        let training = |x: Tensor<3>| Tensor::<3>::from_inner(x);
        let found = layout.attend_with_bias(training(qkv.clone()), Tensor::from_inner(bias.clone()));
        let expected = layout.attend_with_bias(qkv, bias.expand([1, 2, 4, 4])).into_data();
        found.inner().into_data().assert_approx_eq::<f32>(&expected, Tolerance::absolute(1e-5));
    }

    #[test]
    fn without_heads_there_are_no_features() {
        let layout = HeadLayout { sizes: vec![], scale: 0.5, ..HeadLayout::new(1, 1) };
        let empty = || Tensor::<3>::zeros([2, 4, 0], &Device::flex());
        let bias = || Tensor::<4>::zeros([1, 0, 4, 4], &Device::flex());
        assert_eq!(layout.attend(empty()).dims(), [2, 4, 0]);
        assert_eq!(layout.attend_with_bias(empty(), bias()).dims(), [2, 4, 0]);
        assert_eq!(layout.attend_separate(empty(), empty(), empty(), Some(bias())).dims(), [2, 4, 0]);
    }
}
