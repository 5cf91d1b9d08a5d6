//! Errors of an export.

use std::path::PathBuf;

use miette::Diagnostic;
use thiserror::Error;

use crate::graph::GraphError;
use crate::slim::PlanError;

/// A network that cannot be exported.
#[derive(Debug, Error, Diagnostic)]
pub enum ExportError {
    /// The forward pass cannot be recorded.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The annotations of the network contradict one another.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// An operation is not known in the format.
    #[error("the forward pass uses `{name}`{}, which vitslim cannot write as {format} yet", in_module(.place))]
    #[diagnostic(help(
        "compose it of other operations in the architecture, or export the weights with `--to safetensors`"
    ))]
    Operation {
        /// The format.
        format: &'static str,
        /// Name of the operation.
        name: String,
        /// Path of its module.
        place: String,
    },
    /// The forward pass computes something else for another number of images.
    #[error("`{name}`{} computes something else for another number of images", in_module(.place))]
    #[diagnostic(help("take the number of images from the input, and only multiply it"))]
    Batch {
        /// Name of the operation.
        name: String,
        /// Path of its module.
        place: String,
    },
    /// The file would be larger than the format allows, even without its weights.
    #[error("the file would have {bytes} bytes without its weights, but at most {most_bytes} are possible")]
    #[diagnostic(help("export a smaller sub-network"))]
    TooLarge {
        /// Size of the file.
        bytes: usize,
        /// Largest size.
        most_bytes: usize,
    },
    /// A module whose output cannot be one of the file.
    #[error("`{path}` cannot be an output: {reason}")]
    #[diagnostic(help("{help}"))]
    Feature {
        /// Path of the module.
        path: String,
        /// Why, as a clause.
        reason: String,
        /// What to name instead.
        help: String,
    },
    /// The format has no outputs.
    #[error("a safetensors file computes nothing, so it has no outputs")]
    #[diagnostic(help("leave out `--features`, or export to ONNX or PyTorch"))]
    Outputs,
    /// The file is no module for Python.
    #[error("Python cannot import `{}`", .0.display())]
    #[diagnostic(help(
        "give a name of letters, digits and `_` that ends in `.py`, such as `--out slim_vit.py`"
    ))]
    NoModule(PathBuf),
    /// The weights cannot be written.
    #[error("the weights cannot be written: {0}")]
    Weights(String),
}

fn in_module(place: &str) -> String {
    if place.is_empty() { String::new() } else { format!(" in `{place}`") }
}
