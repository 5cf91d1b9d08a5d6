//! Why a page could not be made.

use std::path::PathBuf;

use miette::Diagnostic;
use thiserror::Error;

use crate::experiment::{ExperimentErrors, LoadError};
use crate::run::{FolderError, TargetError};

/// Why a page could not be made.
#[derive(Debug, Error, Diagnostic)]
pub enum PageError {
    /// A file in the folder of the run cannot be read.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Folder(#[from] FolderError),
    /// There is no run.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Target(#[from] TargetError),
    /// The experiment of the run cannot be read.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Load(#[from] LoadError),
    /// The experiment of the run cannot be understood.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Experiment(#[from] ExperimentErrors),
    /// A file of the run cannot be read.
    #[error("cannot read `{}`", .path.display())]
    #[diagnostic(help("make it readable, and give the same command again"))]
    Read {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// A file of the run cannot be understood.
    #[error("`{}` is damaged: {reason}", .path.display())]
    #[diagnostic(help("{remedy}"))]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
        /// What to do.
        remedy: &'static str,
    },
    /// Numbers cannot be written as a table.
    #[error(transparent)]
    Csv(#[from] csv::Error),
    /// A template of the page is wrong.
    #[error("the page cannot be written")]
    Template(#[from] minijinja::Error),
}
