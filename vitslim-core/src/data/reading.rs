//! How files of images are read.

use super::Cache;

/// How files of images are read.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// Where to keep what is known of them.
    pub cache: Cache,
    /// Whether every file is read and decoded at once, whatever was kept.
    pub anew: bool,
    /// Whether to hide how far that is.
    pub quiet: bool,
}
