//! safetensors files: the weights of a network under the names of timm, and in the metadata what else it takes to build it.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use safetensors::SafeTensors;
use safetensors::tensor::Metadata;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::error::{ExportError, SubnetFileError};
use crate::experiment::{Document, ExperimentErrors};
use crate::input_file;
use crate::models::Architecture;
use crate::panics::attempt;
use crate::run::{Network, RestoreError, Subnet, base_of, load_planned, planned_weights};
use crate::slim::Plan;

/// The only entry of the metadata: several would be written in an order that differs each time.
const ENTRY: &str = "vitslim";

/// Most bytes of a file.
const MOST_BYTES: u64 = 64 << 30;

/// Most bytes of a header, as the format defines it.
const MOST_BYTES_OF_HEADER: u64 = 100_000_000;

/// Most values of a dense network for each that is left of it.
const MOST_CUT: f64 = 1000.0;

/// Values of a dense network that are never too many.
const NEVER_TOO_MANY: f64 = 1e6;

/// The metadata, without the weights. `C` is the configuration of the architecture.
#[derive(Serialize, Deserialize)]
struct Description<C> {
    /// Version of vitslim.
    version: String,
    label: String,
    trial: String,
    network: Network<C>,
    plan: Plan,
    experiment: String,
}

/// The file of the sub-network `model`, which `plan` left, with `metadata`.
pub(super) fn file<A: Architecture>(model: &A, plan: &Plan, metadata: &str) -> Result<Vec<u8>, ExportError> {
    planned_weights(model, plan, ENTRY, metadata).map_err(|error| ExportError::Weights(error.to_string()))
}

/// The metadata of `subnet`.
pub(super) fn metadata<A: Architecture>(subnet: &Subnet<A>) -> Result<String, ExportError> {
    let description = Description {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        label: subnet.label.clone(),
        trial: subnet.trial.clone(),
        network: subnet.network.clone(),
        plan: subnet.plan.clone(),
        experiment: subnet.experiment.clone(),
    };
    serde_json::to_string(&description).map_err(|error| ExportError::Weights(error.to_string()))
}

/// A safetensors file of a network of a run.
#[derive(Debug)]
pub struct SubnetFile {
    path: PathBuf,
    bytes: Vec<u8>,
    /// Number of values of all tensors.
    values: usize,
    metadata: String,
}

impl SubnetFile {
    /// Reads the file at `path`.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or is no such file.
    pub fn read(path: &Path) -> Result<Self, SubnetFileError> {
        let unread = |source| SubnetFileError::Read { path: path.to_owned(), source };
        let damaged = |reason: String| SubnetFileError::Damaged { path: path.to_owned(), reason };
        if !has_what_it_claims(path).map_err(unread)? {
            return Err(damaged("it is no safetensors file, or broken off".to_owned()));
        }
        let bytes = input_file::read(path, MOST_BYTES).map_err(unread)?;
        let tensors = SafeTensors::read_metadata(&bytes).map_err(|error| damaged(error.to_string()))?;
        let entries = tensors.1.metadata().as_ref();
        let metadata = entries.and_then(|entries| entries.get(ENTRY)).cloned();
        let metadata = metadata.ok_or_else(|| SubnetFileError::Undescribed(path.to_owned()))?;
        let values = tensors.1.tensors().values().map(|tensor| tensor.shape.iter().product::<usize>()).sum();
        Ok(Self { path: path.to_owned(), bytes, values, metadata })
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The experiment of its run.
    ///
    /// # Errors
    ///
    /// When the metadata are damaged.
    pub fn experiment(&self) -> Result<String, SubnetFileError> {
        Ok(self.description::<serde_json::Value>()?.experiment)
    }

    /// The network in it, on `device`.
    ///
    /// # Errors
    ///
    /// When the file is damaged, or the network is not of the architecture `A`.
    pub fn load<A: Architecture>(self, device: &Device) -> Result<Subnet<A>, SubnetFileError> {
        let Description { label, trial, network, plan, experiment, .. } = self.description::<A::Config>()?;
        let path = &self.path;
        let unfit = |reason: String| SubnetFileError::Unfit { path: path.clone(), reason };
        let damaged = |error: ExperimentErrors| SubnetFileError::Damaged {
            path: path.clone(),
            reason: error.to_string(),
        };
        let parsed = Document::parse("experiment", &experiment, &[])
            .and_then(|document| document.trial())
            .map_err(damaged)?;
        let sliced = attempt(|| -> Result<A, String> {
            let most = (self.values as f64 * MOST_CUT).max(NEVER_TOO_MANY);
            if let Some(claimed) = A::values(&network.config).filter(|claimed| *claimed > most) {
                return Err(format!(
                    "it has {} values, and the dense network of its metadata {claimed:.1e}",
                    self.values
                ));
            }
            let dense = A::init(&network.config, device).map_err(|error| error.to_string())?;
            let base = base_of(&parsed, dense.valid()).map_err(|error| error.to_string())?;
            base.slim(&plan).map_err(|error| error.to_string())
        });
        let sliced = sliced.flatten().map_err(unfit)?;
        let model = load_planned(&sliced, &plan, self.bytes, path).map_err(|error| match error {
            RestoreError::Unfit { reason, .. } => unfit(reason),
            RestoreError::Damaged { path, reason } => SubnetFileError::Damaged { path, reason },
            other => unfit(other.to_string()),
        })?;
        Ok(Subnet { model, plan, network, label, trial, experiment })
    }

    fn description<C: DeserializeOwned>(&self) -> Result<Description<C>, SubnetFileError> {
        serde_json::from_str(&self.metadata)
            .map_err(|error| SubnetFileError::Damaged { path: self.path.clone(), reason: error.to_string() })
    }
}

/// Whether the file at `path` has the header whose length it begins with, and the tensors that the header claims, and nothing else.
/// What is something else may be large, and is not read.
fn has_what_it_claims(path: &Path) -> io::Result<bool> {
    let mut file = input_file::open(path)?;
    let length = file.metadata()?.len();
    let mut start = Vec::new();
    file.by_ref().take(8).read_to_end(&mut start)?;
    let Some(claimed) = start.first_chunk().map(|bytes| u64::from_le_bytes(*bytes)) else { return Ok(false) };
    if claimed > MOST_BYTES_OF_HEADER.min(length.saturating_sub(8)) {
        return Ok(false);
    }
    let mut header = Vec::new();
    file.take(claimed).read_to_end(&mut header)?;
    let header = serde_json::from_slice::<Metadata>(&header);
    Ok(header.is_ok_and(|header| header.data_len() as u64 == length - 8 - claimed))
}

impl<A: Architecture> Subnet<A> {
    /// The network in the safetensors file at `path`, which `vitslim export` wrote, on `device`.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, is damaged, or its network is not of the architecture `A`.
    pub fn load(path: &Path, device: &Device) -> Result<Self, SubnetFileError> {
        SubnetFile::read(path)?.load(device)
    }
}
