//! Values that are drawn at random, for a search that is no grid.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

use super::numbers::{ends, number, number_of, positive_ends, six_digits, whole};
use crate::experiment::error::ExperimentError;
use crate::experiment::tree::Node;

/// `count` numbers between `from` and `to`, all equally likely; whole ones if both ends are.
pub(super) fn range(
    place: (&Node, &[String]),
    from: &Node,
    to: &Node,
    count: &Node,
) -> Result<Vec<Node>, ExperimentError> {
    let (first, last) = ends(from, to)?;
    drawn(place, [from, to], count, |share| match are_whole([from, to]) {
        true => first.min(last) + (share * ((last - first).abs() + 1.0)).floor(),
        false => first + (last - first) * share,
    })
}

/// `count` numbers between `from` and `to` whose logarithms are all equally likely; whole ones if both ends are.
pub(super) fn log_range(
    place: (&Node, &[String]),
    from: &Node,
    to: &Node,
    count: &Node,
) -> Result<Vec<Node>, ExperimentError> {
    let (first, last) = positive_ends("RandomLogRange", from, to)?;
    drawn(place, [from, to], count, |share| (first.ln() + (last / first).ln() * share).exp())
}

/// `count` times one of `values`, all equally likely.
pub(super) fn of(path: &[String], values: &[Node], count: &Node) -> Result<Vec<Node>, ExperimentError> {
    let shares = shares(path, number_of(count, 1)?);
    Ok(shares.map(|share| values[(share * values.len() as f64) as usize].clone()).collect())
}

/// So many numbers from 0 to 1, without 1, for the sweep at `path`: others for each place, and the first ones the same for any `count`,
/// so that more of them add trials to those that were run.
fn shares(path: &[String], count: usize) -> impl Iterator<Item = f64> {
    let mut rng = ChaCha8Rng::from_seed(Sha256::digest(path.join("\n")).into());
    (0..count).map(move |_| rng.random::<f64>())
}

/// The numbers that `value` makes of shares, for the sweep `node` at `path`.
fn drawn(
    (node, path): (&Node, &[String]),
    ends: [&Node; 2],
    count: &Node,
    value: impl Fn(f64) -> f64,
) -> Result<Vec<Node>, ExperimentError> {
    let text = |value: f64| match are_whole(ends) {
        // Not the -0 of a number that is rounded up to it.
        true => format!("{:.0}", value.round() + 0.0),
        false => six_digits(value),
    };
    let shares = shares(path, number_of(count, 1)?);
    Ok(shares.map(|share| number(text(value(share)), &node.span)).collect())
}

fn are_whole(ends: [&Node; 2]) -> bool {
    ends.into_iter().all(|end| whole(end).is_some())
}
