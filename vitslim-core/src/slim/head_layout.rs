use std::cmp::Reverse;

use burn::module::Module;

/// How the features of an attention layer split into heads. Heads can have different sizes: after slicing, each has the dims
/// that its masks left it, and an empty head is gone. [`attend`](Self::attend) computes the attention.
///
/// `#[slim(layout = [heads, head_dim])]` says that queries, keys and values have the same dims. In attention whose queries and
/// keys have other dims than its values, as LeViT's, each has a dimension of its own, `#[slim(layout = [heads, qk, v])]`. A dim of
/// queries and keys is *contracted*: nothing reads it but the scores.
#[derive(Module, Debug)]
pub struct HeadLayout {
    /// Dims of each head, in the order of the features: of its values, and of its queries and keys if `qk` says nothing else.
    pub sizes: Vec<usize>,
    /// What the scores are multiplied by: `head_dim^-0.5` of the *original* size of queries and keys, even after slicing, so that
    /// the sliced attention equals the masked one.
    pub scale: f64,
    /// Dims of the queries and keys of each head, if they are a dimension of their own.
    pub qk: Option<Vec<usize>>,
    /// How many queries there are for each head of keys and values: 1, or more in grouped-query attention.
    pub queries: usize,
}

impl HeadLayout {
    /// `heads` heads of `head_dim` dims each.
    pub fn new(heads: usize, head_dim: usize) -> Self {
        let scale = (head_dim as f64).powf(-0.5);
        Self { sizes: vec![head_dim; heads], scale, qk: None, queries: 1 }
    }

    /// The layout with `dims` dims for the values of each head. Those of [`new`](Self::new) are then of queries and keys only.
    pub fn with_values(self, dims: usize) -> Self {
        Self { sizes: vec![dims; self.sizes.len()], qk: Some(self.sizes), ..self }
    }

    /// The layout with `queries` queries for each head of keys and values, which share it (Ainslie et al. 2023).
    ///
    /// # Panics
    ///
    /// When there are none.
    pub fn with_queries(self, queries: usize) -> Self {
        assert!(queries > 0, "heads of keys and values without queries");
        Self { queries, ..self }
    }

    /// Number of features of all heads: of the values, and of the queries and keys if they have no other size.
    pub fn features(&self) -> usize {
        self.sizes.iter().sum()
    }

    /// Dims of the queries and keys of each head.
    pub fn qk_sizes(&self) -> &[usize] {
        self.qk.as_ref().unwrap_or(&self.sizes)
    }

    /// The units of each head, for each of the dimensions that are `laid_out`: of two, the first is that of queries and keys.
    pub(super) fn units(&self, laid_out: &[LaidOut]) -> Vec<Vec<usize>> {
        let sizes: &[&[usize]] = match laid_out.len() {
            2 => &[self.qk_sizes(), &self.sizes],
            _ => &[&self.sizes],
        };
        // Queries and keys may be of fewer or more heads, until `contradicts` says so.
        let units = |(sizes, laid_out): (&&[usize], &LaidOut)| {
            let of_head = |head| sizes.get(head).map_or(0, |size| size / laid_out.features_per_unit.max(1));
            (0..self.sizes.len()).map(of_head).collect()
        };
        sizes.iter().zip(laid_out).map(units).collect()
    }

    /// The layout with so many units of each head, for each of the dimensions that are `laid_out`.
    pub(super) fn with_units(mut self, laid_out: &[LaidOut], units: &[Vec<usize>]) -> Self {
        let mut sizes = units.iter().zip(laid_out).map(|(units, laid_out)| -> Vec<usize> {
            units.iter().map(|units| units * laid_out.features_per_unit).collect()
        });
        if laid_out.len() == 2 {
            self.qk = sizes.next();
        }
        self.sizes = sizes.next().unwrap_or_default();
        self
    }

    /// Why the layout does not have the dimensions that are `laid_out`, if it does not.
    pub(super) fn contradicts(&self, laid_out: &[LaidOut]) -> Option<String> {
        if laid_out.len() == 1 && self.qk.is_some() {
            return Some("its queries and keys have other dims than its values: name both, as in `layout = [heads, qk, v]`".into());
        }
        if self.queries == 0 {
            return Some("it has `queries: 0`: write 1, or how many share a head of keys and values".into());
        }
        let (qk, v) = (self.qk_sizes().len(), self.sizes.len());
        if qk != v {
            return Some(format!("it has {qk} heads of queries and keys, but {v} of values"));
        }
        let units = self.units(laid_out);
        let whole = self.clone().with_units(laid_out, &units);
        let wrong = |sizes: &[usize], whole: &[usize]| {
            sizes.iter().zip(whole).find(|(a, b)| a != b).map(|(size, _)| *size)
        };
        let wrong = wrong(&self.sizes, &whole.sizes).or_else(|| wrong(self.qk_sizes(), whole.qk_sizes()))?;
        Some(format!("it has heads of {wrong} dims, which the counts of its layout do not divide"))
    }
}

/// A dimension of a [`HeadLayout`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaidOut {
    /// Path of the dimension: `blocks.3.attn.head_dim`.
    pub dimension: String,
    /// Dims of a head that belong to one unit.
    pub features_per_unit: usize,
}

/// Heads in the order in which a sub-network computes them, given the units of each for each dimension: the largest first, so that
/// heads of one size are neighbours and computed together.
pub(super) fn by_size(units: &[Vec<usize>]) -> Vec<usize> {
    let mut heads: Vec<usize> = (0..units.first().map_or(0, Vec::len)).collect();
    heads.sort_by_key(|&head| Reverse(units.iter().rev().map(|units| units[head]).collect::<Vec<_>>()));
    heads
}

/// The heads `order` without those that have no units.
pub(super) fn without_empty(mut order: Vec<usize>, units: &[Vec<usize>]) -> Vec<usize> {
    order.retain(|&head| units.iter().any(|units| units[head] > 0));
    order
}
