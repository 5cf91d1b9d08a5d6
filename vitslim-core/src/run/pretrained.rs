//! The trained weights that an experiment starts from.

use std::sync::Arc;

use crate::experiment::{Document, ExperimentErrors, Model};
use crate::models::Architecture;
use crate::weights::{Fitted, WeightsError, WeightsFile};

/// The file that `pretrained` names, and what the network may lack of it.
#[derive(Clone, Debug)]
pub struct Pretrained {
    file: Arc<WeightsFile>,
    allow_missing: Vec<String>,
    /// The SHA-256 of its content.
    pub sha256: String,
}

impl Pretrained {
    /// The weights that `model` starts from; `None` if they are random.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or is no file of weights.
    pub(crate) fn open(model: &Model) -> Result<Option<Self>, WeightsError> {
        let Some(path) = &model.pretrained else { return Ok(None) };
        let file = WeightsFile::open(path)?;
        let (sha256, allow_missing) = (file.sha256()?, model.allow_missing.clone());
        Ok(Some(Self { file: Arc::new(file), allow_missing, sha256 }))
    }

    /// The weights, as `network` takes them.
    ///
    /// # Errors
    ///
    /// Those of [`WeightsFile::fit`].
    pub(crate) fn fit<A: Architecture>(&self, network: &A) -> Result<Fitted, WeightsError> {
        self.file.fit(network, &self.allow_missing)
    }

    /// `network` with the weights.
    ///
    /// # Errors
    ///
    /// Those of [`WeightsFile::fit`].
    pub(super) fn load<A: Architecture>(&self, network: A) -> Result<A, WeightsError> {
        self.fit(&network)?.into_network(network)
    }
}

/// `error`, at the place in `document` that names the file.
pub(crate) fn pretrained_error(document: &Document, error: &WeightsError) -> ExperimentErrors {
    document.error(&["model", "pretrained"], error.to_string(), error.help.clone())
}
