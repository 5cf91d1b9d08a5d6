//! What a unit is worth to a network that is trained: scores to rank its units by, where no search trains masks.

mod cholesky;
mod correction;
mod error;
mod gradients;
mod magnitude;
mod random;
mod readers;
mod scoring;
mod taylor;
#[cfg(test)]
mod tests;
mod units;
mod variance;

pub use correction::corrected;
pub use error::ImportanceError;
pub(crate) use random::random_masks;
pub use scoring::Scoring;
