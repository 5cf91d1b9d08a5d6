//! Masks that cannot be ranked.

use thiserror::Error;

/// Masks that cannot be ranked.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum RankError {
    /// A dimension without masks.
    #[error("`{0}` was not searched, so nothing says which of its units to keep")]
    NotSearched(String),
    /// A mask that is NaN.
    #[error("mask {index} of `{dimension}` is not a number: training diverged; try a lower learning rate")]
    NotANumber {
        /// Path of the dimension.
        dimension: String,
        /// Index of the mask.
        index: usize,
    },
    /// A gate without any token.
    #[error("no token is left at `{0}`, and there is no prefix token")]
    NoTokens(String),
    /// The values could not be read from the device.
    #[error("the masks of `{dimension}` could not be read from the device: {reason}")]
    Device {
        /// Path of the dimension.
        dimension: String,
        /// What the device said.
        reason: String,
    },
}
