//! Parameters that all heads of an attention share: those of the norms of queries and keys.

use burn::module::Param;
use burn::tensor::{Int, Tensor};

/// `param`, `[features]`, of each of `heads` heads.
pub(super) fn of_each(param: Param<Tensor<1>>, heads: usize) -> Param<Tensor<1>> {
    param.map(|value| value.repeat_dim(0, heads))
}

/// The features that all heads keep if of `dims` features of each the features `kept` stay, and the number of these heads; `None`
/// if heads keep different ones.
pub(super) fn kept_by_all(kept: &Tensor<1, Int>, dims: usize) -> Option<(Vec<usize>, usize)> {
    let kept: Vec<usize> = kept.to_data().iter::<i64>().map(|feature| feature as usize).collect();
    let mut heads = kept.chunk_by(|a, b| a / dims == b / dims);
    let inside = |head: &[usize]| head.iter().map(|feature| feature % dims).collect::<Vec<_>>();
    let first = inside(heads.next()?);
    let count = 1 + heads.clone().count();
    heads.all(|head| inside(head) == first).then_some((first, count))
}
