//! Tensors whose features are those of heads of any size.

use burn::tensor::Tensor;

use crate::slim::HeadLayout;

impl HeadLayout {
    /// Queries, keys and values of one tensor, as [`attend_separate`](Self::attend_separate) takes them.
    ///
    /// # Shapes
    ///
    /// With `qk` the sum of [`qk_sizes`](Self::qk_sizes):
    ///
    /// - qkv: `[batch, tokens, queries * qk + qk + features]`, ordered (q | k | v, head, dim), the queries (head, query, dim)
    /// - output: `[batch, tokens, queries * qk]`, `[batch, tokens, qk]` and `[batch, tokens, features]`, ordered alike
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
    /// - qkv: `[batch, tokens, queries * qk + qk + features]`, ordered (head, q | k | v, dim), the queries (head, query, dim)
    /// - output: as of [`split`](Self::split)
    pub fn split_heads(&self, qkv: Tensor<3>) -> [Tensor<3>; 3] {
        self.parts_of_heads(&qkv, |qk, v| [self.queries * qk, qk, v])
    }

    /// Keys and values of a tensor that has them head by head: the output of a layer annotated `[heads, qk + v]`.
    ///
    /// # Shapes
    ///
    /// - kv: `[batch, tokens, qk + features]`, ordered (head, k | v, dim)
    /// - output: `[batch, tokens, qk]` and `[batch, tokens, features]`, ordered (head, dim)
    pub fn split_heads_kv(&self, kv: Tensor<3>) -> [Tensor<3>; 2] {
        self.parts_of_heads(&kv, |qk, v| [qk, v])
    }

    /// Queries or keys, with `map` applied to heads of the same size together: `[batch, tokens, heads, dims]` to the same.
    pub(crate) fn map_heads(&self, x: Tensor<3>, map: impl Fn(Tensor<4>) -> Tensor<4>) -> Tensor<3> {
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
    pub(super) fn runs(&self) -> Vec<Run> {
        let sizes: Vec<(usize, usize)> =
            self.qk_sizes().iter().copied().zip(self.sizes.iter().copied()).collect();
        let runs = sizes.chunk_by(|a, b| a == b);
        runs.map(|run| Run { heads: run.len(), qk: run[0].0, v: run[0].1 }).collect()
    }
}

/// Heads of the same size.
pub(super) struct Run {
    pub(super) heads: usize,
    /// Dims of queries and keys.
    pub(super) qk: usize,
    /// Dims of values.
    pub(super) v: usize,
}

/// `width` features of `x` from `start` on. Burn does not narrow to nothing.
pub(super) fn features(x: &Tensor<3>, start: usize, width: usize) -> Tensor<3> {
    let [batch, tokens, all] = x.dims();
    match width {
        0 => Tensor::zeros([batch, tokens, 0], &x.device()),
        _ if width == all => x.clone(),
        _ => x.clone().narrow(2, start, width),
    }
}

/// The features `parts` side by side; none, if there are no parts, for the tokens of `x`.
pub(super) fn joined(mut parts: Vec<Tensor<3>>, x: &Tensor<3>) -> Tensor<3> {
    match parts.len() {
        0 => features(x, 0, 0),
        1 => parts.remove(0),
        _ => Tensor::cat(parts, 2),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use burn::tensor::{Device, Distribution};

    use super::*;

    /// Heads of queries and keys of other sizes than their values, two queries each; without values, and without queries and keys.
    pub(in crate::nn) fn grouped() -> HeadLayout {
        let qk = Some(vec![2, 1, 1, 1, 0]);
        HeadLayout { sizes: vec![3, 0, 2, 2, 2], qk, scale: 0.7, queries: 2 }
    }

    /// The features of each head, in order, if a head has so many.
    pub(in crate::nn) fn places(sizes: impl Iterator<Item = usize>) -> Vec<std::ops::Range<usize>> {
        let mut end = 0;
        let place = |size| {
            end += size;
            end - size..end
        };
        sizes.map(place).collect()
    }

    #[test]
    fn parts_are_split_side_by_side_and_head_by_head() {
        let layout = grouped();
        let [q, k, v] = [10, 5, 9].map(|features| {
            Tensor::<3>::random([2, 4, features], Distribution::Normal(0.0, 1.0), &Device::flex())
        });
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
}
