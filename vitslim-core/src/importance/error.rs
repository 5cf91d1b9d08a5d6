use miette::Diagnostic;
use thiserror::Error;

use crate::train::EvaluateError;

/// Units that cannot be scored, or a cut that cannot be corrected.
#[derive(Debug, Error, Diagnostic)]
pub enum ImportanceError {
    /// No layer tells what it reads of a dimension.
    #[error("`Variance` cannot rank the units of `{0}`: no layer tells what it reads of them")]
    #[diagnostic(help(
        "those of `vitslim_core::nn` do, where the dimension is their `input`, and so does a `TokenGate` in `scale` and `scale_norm`; \
         `importance: Taylor` ranks any dimension"
    ))]
    Unread(String),
    /// A layer panics.
    #[error("the network fails where its units are scored ({0})")]
    #[diagnostic(help("this is a mistake in the architecture, not in the experiment"))]
    Failed(String),
    /// The device ran out of memory.
    #[error("{work}: the device ran out of memory, with {images} images at once")]
    #[diagnostic(help(
        "compute each batch in more parts with `--set search.accumulate=2` or more, or make it smaller, for example with `--set \
         search.batch=64`; a run that has saved epochs cannot resume with any of it: give another folder with `--out`"
    ))]
    OutOfMemory {
        /// What was computed.
        work: &'static str,
        /// Images in a part of a batch.
        images: usize,
    },
    /// The network cannot be computed.
    #[error("{work}: {source}")]
    Evaluate {
        /// What was computed.
        work: &'static str,
        /// Why it cannot.
        source: EvaluateError,
    },
}

impl ImportanceError {
    /// The error of a network that cannot be computed to score its units.
    pub(super) fn scoring(error: EvaluateError) -> Self {
        Self::of("the units cannot be scored", error)
    }

    /// The error of a network that cannot be computed to correct a cut.
    pub(super) fn correcting(error: EvaluateError) -> Self {
        Self::of("the cut cannot be corrected", error)
    }

    fn of(work: &'static str, error: EvaluateError) -> Self {
        match error {
            EvaluateError::OutOfMemory(images) => Self::OutOfMemory { work, images },
            source => Self::Evaluate { work, source },
        }
    }
}
