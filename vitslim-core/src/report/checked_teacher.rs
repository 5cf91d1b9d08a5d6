//! What `vitslim check` says of teachers.

use serde::Serialize;

use super::table::{SHOWN, short};
use crate::terminal::counted;

/// What teaches a stage.
#[derive(Clone, Debug, Serialize)]
pub struct CheckedTeacher {
    /// `pretrain`, `search` or `retrain`.
    pub stage: &'static str,
    /// What is learnt from it, as it is written: `Soft(temperature: 3, share: 0.5), features: 0.5`.
    pub kind: String,
    /// The network, if it is not the dense one of the run.
    pub network: Option<CheckedTeacherNetwork>,
}

/// A network of another run or program that teaches.
#[derive(Clone, Debug, Serialize)]
pub struct CheckedTeacherNetwork {
    /// Name of its architecture.
    pub architecture: String,
    /// Number of parameters.
    pub params: usize,
    /// Multiply-adds for one image.
    pub macs: u64,
    /// SHA-256 of its weights, as in a run's `data.json`.
    pub sha256: String,
    /// Fraction of validation images that it classifies right; `None` if that takes too long here.
    pub top1: Option<f64>,
    /// Number of these images.
    pub images: Option<usize>,
    /// What became of its weights, and what else a user should know.
    pub notes: Vec<String>,
}

impl CheckedTeacher {
    /// A line on it, and its notes.
    pub(super) fn told(&self) -> Vec<String> {
        let Self { stage, kind, network } = self;
        let Some(network) = network else {
            return vec![format!("teacher of {stage}: the dense network of this run, {kind}")];
        };
        let CheckedTeacherNetwork { architecture, params, macs, sha256, top1, images, notes } = network;
        let sha256 = &sha256[..SHOWN.min(sha256.len())];
        let top1 = top1.zip(*images).map_or_else(String::new, |(top1, images)| {
            format!(", top-1 {top1:.4} on {}", counted(images, "validation image", "validation images"))
        });
        let (params, macs) = (short(*params as u64), short(*macs));
        let mut lines = vec![format!(
            "teacher of {stage}: {architecture}, {params} parameters, {macs} MACs{top1}, {kind}; sha256: {sha256}"
        )];
        lines.extend(notes.iter().map(|note| format!("teacher of {stage}: {note}")));
        lines
    }
}
