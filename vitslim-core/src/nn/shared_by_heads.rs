//! Parameters that all heads of an attention share: those of the norms of queries and keys.

use burn::module::Param;
use burn::tensor::{Int, Tensor};

use crate::slim::index_tensor;

/// `param`, `[features]`, of each of `heads` heads.
pub(super) fn of_each(param: Param<Tensor<1>>, heads: usize) -> Param<Tensor<1>> {
    param.map(|value| value.repeat_dim(0, heads))
}

/// The number of heads that are left, and the features that each of them keeps, if of `heads` heads of `dims` features the features
/// `kept` stay. `None` if heads keep different ones, or there was only one.
pub(super) fn kept_by_all(
    kept: &Tensor<1, Int>,
    dims: usize,
    heads: usize,
) -> Option<(usize, Tensor<1, Int>)> {
    if heads == 1 {
        return None;
    }
    let device = kept.device();
    let kept: Vec<usize> = kept.to_data().iter::<i64>().map(|feature| feature as usize).collect();
    let mut heads = kept.chunk_by(|a, b| a / dims == b / dims);
    let inside = |head: &[usize]| head.iter().map(|feature| feature % dims).collect::<Vec<_>>();
    let first = inside(heads.next()?);
    let count = 1 + heads.clone().count();
    heads.all(|head| inside(head) == first).then(|| (count, index_tensor(&first, &device)))
}
