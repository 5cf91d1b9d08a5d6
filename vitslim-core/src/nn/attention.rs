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
        let is_fused = self.features() > 0 && self.qk.is_none() && self.queries == 1;
        let fused = is_fused.then(|| product::fused_attention(&qkv, &self.sizes, self.scale));
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
    /// The heads of `bias` are those of `sizes`, and with several queries for each, all these: annotate the parameter that it is
    /// made from with `axis(N) = [heads]`, or `[heads, 4]` with four queries. If no head is left, the output has no features and
    /// `bias` is ignored. All scores of a head whose queries and keys have no dims are 0: without a bias it averages the values.
    ///
    /// # Shapes
    ///
    /// - q: `[batch, tokens, features]`, ordered (head, dim), or (head, query, dim) with several queries for each head
    /// - k: `[batch, keys, features]`, with the dims of `qk_sizes`, as q
    /// - v: `[batch, keys, features]`, with the dims of `sizes`
    /// - bias: `[n, heads, tokens, keys]` or `[n, 1, tokens, keys]`; `n` divides the batch
    /// - output: `[batch, tokens, features]`, with the dims of `sizes`, ordered as q
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
        if let Some(bias) = bias.as_ref().filter(|_| self.features() > 0) {
            let (heads, of) = (bias.dims()[1], self.sizes.len() * queries);
            assert!(
                heads == 1 || heads == of,
                "the bias has {heads} heads, but there are {of}: annotate its parameter with `axis(N) = [heads]`"
            );
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

    /// Queries, keys and values of one tensor, as [`attend_separate`](Self::attend_separate) takes them.
    ///
    /// # Shapes
    ///
    /// - qkv: `[batch, tokens, 3 * features]`, ordered (q | k | v, head, dim)
    /// - output: `[batch, tokens, features]` each, ordered (head, dim)
    pub fn split(&self, qkv: Tensor<3>) -> [Tensor<3>; 3] {
        let qk: usize = self.qk_sizes().iter().sum();
        let mut start = 0;
        [qk * self.queries, qk, self.features()].map(|width| {
            start += width;
            features(&qkv, start - width, width)
        })
    }

    /// Likewise, of a tensor that has them head by head: the output of a layer annotated `[heads, qk + qk + v]` or
    /// `[heads, 3, head_dim]`.
    ///
    /// # Shapes
    ///
    /// - qkv: `[batch, tokens, 3 * features]`, ordered (head, q | k | v, dim)
    /// - output: `[batch, tokens, features]` each, ordered (head, dim)
    pub fn split_heads(&self, qkv: Tensor<3>) -> [Tensor<3>; 3] {
        self.parts_of_heads(&qkv, |qk, v| [self.queries * qk, qk, v])
    }

    /// Keys and values of a tensor that has them head by head: the output of a layer annotated `[heads, qk + v]`.
    ///
    /// # Shapes
    ///
    /// - kv: `[batch, tokens, 2 * features]`, ordered (head, k | v, dim)
    /// - output: `[batch, tokens, features]` each, ordered (head, dim)
    pub fn split_heads_kv(&self, kv: Tensor<3>) -> [Tensor<3>; 2] {
        self.parts_of_heads(&kv, |qk, v| [qk, v])
    }

    /// Queries or keys, with `map` applied to heads of the same size together: `[batch, tokens, heads, dims]` to the same.
    pub(super) fn map_heads(&self, x: Tensor<3>, map: impl Fn(Tensor<4>) -> Tensor<4>) -> Tensor<3> {
        let [batch, tokens, width] = x.dims();
        let all: usize = self.qk_sizes().iter().sum();
        if all == 0 || width == 0 {
            return x;
        }
        let queries = width / all;
        let (mut mapped, mut start) = (Vec::new(), 0);
        for heads in self.qk_sizes().chunk_by(|a, b| a == b) {
            let (count, dims) = (heads.len() * queries, heads[0]);
            if dims > 0 {
                let run = features(&x, start, count * dims).reshape([batch, tokens, count, dims]);
                mapped.push(map(run).reshape([batch, tokens, count * dims]));
            }
            start += count * dims;
        }
        joined(mapped, &x)
    }

    fn attend_side_by_side(&self, qkv: Tensor<3>, bias: Option<Tensor<4>>) -> Tensor<3> {
        let [q, k, v] = self.split(qkv);
        self.attend_separate(q, k, v, bias)
    }

    fn parts_of_heads<const N: usize>(
        &self,
        x: &Tensor<3>,
        widths: impl Fn(usize, usize) -> [usize; N],
    ) -> [Tensor<3>; N] {
        let [batch, tokens, _] = x.dims();
        let mut parts = [(); N].map(|()| Vec::new());
        let mut start = 0;
        for Run { heads, qk, v } in self.runs() {
            let widths = widths(qk, v);
            let each: usize = widths.iter().sum();
            let mut inside = 0;
            for (part, width) in parts.iter_mut().zip(widths) {
                if width > 0 {
                    let run = features(x, start, heads * each).reshape([batch, tokens, heads, each]);
                    part.push(run.narrow(3, inside, width).reshape([batch, tokens, heads * width]));
                }
                inside += width;
            }
            start += heads * each;
        }
        parts.map(|part| joined(part, x))
    }

    /// Neighbouring heads of the same size.
    fn runs(&self) -> Vec<Run> {
        let sizes: Vec<(usize, usize)> =
            self.qk_sizes().iter().copied().zip(self.sizes.iter().copied()).collect();
        let runs = sizes.chunk_by(|a, b| a == b);
        runs.map(|run| Run { heads: run.len(), qk: run[0].0, v: run[0].1 }).collect()
    }
}

/// Heads of the same size.
struct Run {
    heads: usize,
    /// Dims of queries and keys.
    qk: usize,
    /// Dims of values.
    v: usize,
}

/// `width` features of `x` from `start` on. Burn does not narrow to nothing.
fn features(x: &Tensor<3>, start: usize, width: usize) -> Tensor<3> {
    let [batch, tokens, all] = x.dims();
    match width {
        0 => Tensor::zeros([batch, tokens, 0], &x.device()),
        _ if width == all => x.clone(),
        _ => x.clone().narrow(2, start, width),
    }
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

/// The features `parts` side by side; none, if there are no parts, for the tokens of `x`.
fn joined(mut parts: Vec<Tensor<3>>, x: &Tensor<3>) -> Tensor<3> {
    match parts.len() {
        0 => features(x, 0, 0),
        1 => parts.remove(0),
        _ => Tensor::cat(parts, 2),
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

    #[test]
    #[should_panic(expected = "the bias has 2 heads, but there are 4")]
    fn a_bias_of_other_heads_panics() {
        let layout = HeadLayout { sizes: vec![3, 3, 2, 2], scale: 0.7, ..HeadLayout::new(1, 1) };
        layout.attend_with_bias(random([1, 5, 30]), random([1, 2, 5, 5]));
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

    /// Heads of queries and keys of other sizes than their values, two queries each; without values, and without queries and keys.
    fn grouped() -> HeadLayout {
        let qk = Some(vec![2, 1, 1, 1, 0]);
        HeadLayout { sizes: vec![3, 0, 2, 2, 2], qk, scale: 0.7, queries: 2 }
    }

    /// The features of each head, in order, if a head has so many.
    fn places(sizes: impl Iterator<Item = usize>) -> Vec<std::ops::Range<usize>> {
        let mut end = 0;
        let place = |size| {
            end += size;
            end - size..end
        };
        sizes.map(place).collect()
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
    fn parts_are_split_side_by_side_and_head_by_head() {
        let layout = grouped();
        let [q, k, v] = [10, 5, 9].map(|features| random([2, 4, features]));
        let same = |found: &[Tensor<3>], expected: &[&Tensor<3>]| {
            for (found, expected) in found.iter().zip(expected) {
                found.to_data().assert_eq(&expected.to_data(), true);
            }
        };
        let side_by_side = Tensor::cat(vec![q.clone(), k.clone(), v.clone()], 2);
        same(&layout.split(side_by_side), &[&q, &k, &v]);
        let sizes = || layout.qk_sizes().iter().copied().zip(layout.sizes.iter().copied());
        let head_by_head = |parts: [Option<&Tensor<3>>; 3]| {
            let places = [
                places(sizes().map(|(qk, _)| 2 * qk)),
                places(sizes().map(|(qk, _)| qk)),
                places(sizes().map(|(_, v)| v)),
            ];
            let of_head = |head: usize| {
                let parts = parts
                    .iter()
                    .zip(&places)
                    .filter_map(|(part, places)| Some((*part.as_ref()?, &places[head])));
                let parts = parts.filter(|(_, place)| !place.is_empty());
                parts.map(|(x, place)| x.clone().narrow(2, place.start, place.len())).collect::<Vec<_>>()
            };
            Tensor::cat((0..5).flat_map(of_head).collect(), 2)
        };
        same(&layout.split_heads(head_by_head([Some(&q), Some(&k), Some(&v)])), &[&q, &k, &v]);
        same(&layout.split_heads_kv(head_by_head([None, Some(&k), Some(&v)])), &[&k, &v]);
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
    fn without_heads_there_are_no_features() {
        let layout = HeadLayout { sizes: vec![], scale: 0.5, ..HeadLayout::new(1, 1) };
        let empty = || Tensor::<3>::zeros([2, 4, 0], &Device::flex());
        let bias = || Tensor::<4>::zeros([1, 0, 4, 4], &Device::flex());
        assert_eq!(layout.attend(empty()).dims(), [2, 4, 0]);
        assert_eq!(layout.attend_with_bias(empty(), bias()).dims(), [2, 4, 0]);
        assert_eq!(layout.attend_separate(empty(), empty(), empty(), Some(bias())).dims(), [2, 4, 0]);
    }
}
