//! What a run was trained on, as its folder records it.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::folder::{DATA, FolderError, NORMALISATION, RunFolder};
use super::identity::TRAINING;
use super::sources::Sources;
use crate::data::Normalisation;

/// What to do where the record is damaged.
pub(crate) const DATA_REMEDY: &str = "delete it: the data are then compared by their normalisation, and the weights that the run began from are not";

/// What a run was trained on, wherever that lies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct DataRecord {
    /// Version of vitslim that began the run; `None` if it was one that left no record.
    pub(super) version: Option<String>,
    /// How that version trains, as [`TRAINING`] counts; `None` if it did not say.
    #[serde(default)]
    pub(super) training: Option<u32>,
    #[serde(flatten)]
    pub(super) content: Sources,
}

impl DataRecord {
    /// The record of a run on `content` that begins now.
    pub(super) fn new(content: &Sources) -> Self {
        let version = Some(env!("CARGO_PKG_VERSION").to_owned());
        Self { version, training: Some(TRAINING), content: content.clone() }
    }

    /// Whether this version trains as the one that began the run in the folder `run`.
    ///
    /// # Errors
    ///
    /// When the record cannot be read.
    pub(super) fn trains_alike(run: &Path) -> Result<bool, FolderError> {
        Ok(Self::read(run)?.is_some_and(|record| record.training == Some(TRAINING)))
    }

    /// The record in the folder `run`; `None` if an earlier version trained it, which wrote none.
    ///
    /// # Errors
    ///
    /// When the file is there, but cannot be read or understood.
    pub(super) fn read(run: &Path) -> Result<Option<Self>, FolderError> {
        let Some(text) = RunFolder::read_in(run, DATA)? else { return Ok(None) };
        let damaged = |error: serde_json::Error| FolderError::Damaged {
            path: run.join(DATA),
            reason: error.to_string(),
            remedy: DATA_REMEDY,
        };
        serde_json::from_str(&text).map(Some).map_err(damaged)
    }

    /// Whether an earlier version, which left no record, began the run in the folder `run`.
    pub(super) fn is_of_earlier(run: &Path) -> bool {
        Self::read(run).is_ok_and(|record| record.is_none_or(|record| record.version.is_none()))
    }

    /// The content of its file.
    ///
    /// # Errors
    ///
    /// When it cannot be written as JSON.
    pub(super) fn text(&self) -> Result<String, serde_json::Error> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }
}

/// What tells the test images of the run in the folder `run` from those of others: their fingerprint. Where none is recorded, they count
/// as those of no other run.
///
/// # Errors
///
/// When the record cannot be read.
pub(crate) fn test_images(run: &Path) -> Result<String, FolderError> {
    let record = DataRecord::read(run)?;
    Ok(record.map_or_else(|| run.display().to_string(), |record| record.content.data.test.sha256))
}

/// The classes that the run in the folder `run` knows, and the normalisation that it trained with; `None` if an earlier version left
/// no names of classes, or the normalisation cannot be read.
///
/// # Errors
///
/// When a file is there, but cannot be read, or the record cannot be understood.
pub(super) fn known(run: &Path) -> Result<Option<(Vec<String>, Normalisation)>, FolderError> {
    let Some(record) = DataRecord::read(run)? else { return Ok(None) };
    Ok(recorded(run)?.map(|normalisation| (record.content.data.classes, normalisation)))
}

/// The normalisation that the run in the folder `run` trained with, if it can be read.
///
/// # Errors
///
/// When the file is there, but cannot be read.
pub(super) fn recorded(run: &Path) -> Result<Option<Normalisation>, FolderError> {
    let text = RunFolder::read_in(run, NORMALISATION)?;
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
}
