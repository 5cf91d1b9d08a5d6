//! A network of a sweep.

use serde::Serialize;

/// A network of a trial.
#[derive(Serialize)]
pub(super) struct Network {
    /// From 1, in the order of the table.
    pub(super) number: usize,
    pub(super) trial: String,
    /// The page of the trial, seen from this one.
    pub(super) link: Option<String>,
    /// The values of what was swept.
    pub(super) swept: Vec<String>,
    pub(super) label: String,
    pub(super) params: usize,
    pub(super) macs: u64,
    pub(super) share: f64,
    pub(super) top1_dense: f64,
    pub(super) top1_sliced: f64,
    pub(super) top1_retrained: Option<f64>,
    /// After retraining, if it was retrained.
    pub(super) top1: f64,
    pub(super) speedup: f64,
    /// What tells the images that it was measured on from others.
    #[serde(skip)]
    pub(super) test: String,
    /// Whether it is on the Pareto front of top-1 over MACs.
    pub(super) is_best: bool,
}
