//! safetensors files: the weights of a network under the names of timm, and in the metadata what else it takes to build it.

use std::collections::HashMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use burn::store::SafetensorsStoreError;
use burn::tensor::Device;
use miette::Diagnostic;
use safetensors::SafeTensors;
use safetensors::tensor::Metadata;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::config::is_of_its_size;
use super::network::Network;
use super::restore::{RestoreError, load_planned};
use super::subnet::Subnet;
use super::weights::{planned_weights, shapes, slim_like};
use crate::input_file;
use crate::models::Architecture;
use crate::panics::attempt;
use crate::slim::Plan;

/// The only entry of the metadata: several would be written in an order that differs each time.
const ENTRY: &str = "vitslim";

/// Most bytes of a file.
const MOST_BYTES: u64 = 64 << 30;

/// Most bytes of a header, as the format defines it.
const MOST_BYTES_OF_HEADER: u64 = 100_000_000;

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
pub(crate) fn described_weights<A: Architecture>(
    model: &A,
    plan: &Plan,
    metadata: &str,
) -> Result<Vec<u8>, SafetensorsStoreError> {
    planned_weights(model, plan, ENTRY, metadata)
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

/// A file of a network that cannot be read.
#[derive(Debug, Error, Diagnostic)]
pub enum SubnetFileError {
    /// The file cannot be read.
    #[error("cannot read `{}`", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The content is wrong.
    #[error("`{}` is damaged: {reason}", .path.display())]
    #[diagnostic(help("export the network again"))]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The metadata do not say what the network is.
    #[error("`{}` does not say what network its weights are of", .0.display())]
    #[diagnostic(help("`vitslim export --to safetensors` writes files that do"))]
    Undescribed(PathBuf),
    /// The weights are not those of the network that the metadata describe.
    #[error("`{}` does not fit the network that it describes: {reason}", .path.display())]
    #[diagnostic(help("export the network again, with this version of vitslim and `--to safetensors`"))]
    Unfit {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        reason: String,
    },
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
        Self::of(path, input_file::read(path, MOST_BYTES).map_err(unread)?)
    }

    /// The file whose content is `bytes`. Errors call it `path`.
    ///
    /// # Errors
    ///
    /// When it is no such file.
    pub(super) fn of(path: &Path, bytes: Vec<u8>) -> Result<Self, SubnetFileError> {
        let damaged = |reason: String| SubnetFileError::Damaged { path: path.to_owned(), reason };
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

    /// What it says of its network, whatever the architecture, and the plan that left it.
    ///
    /// # Errors
    ///
    /// When the metadata are damaged.
    pub(super) fn left(&self) -> Result<(Network<serde_json::Value>, Plan), SubnetFileError> {
        let Description { network, plan, .. } = self.description()?;
        Ok((network, plan))
    }

    /// Its content, and the number of values of all tensors.
    pub(super) fn into_parts(self) -> (Vec<u8>, usize) {
        (self.bytes, self.values)
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
        let shapes = shapes(&self.bytes);
        let sliced = attempt(|| -> Result<A, String> {
            is_of_its_size::<A>(&network.config, self.values)?;
            let dense = A::init(&network.config, device).map_err(|error| error.to_string())?;
            slim_like(&dense.valid(), &plan, |name| shapes.get(name).cloned())
                .map_err(|error| error.to_string())
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

/// Whether the file at `path` says in its header that its weights are of a network of a run.
pub(super) fn is_described(path: &Path) -> bool {
    #[derive(Deserialize)]
    struct Header {
        #[serde(default, rename = "__metadata__")]
        metadata: HashMap<String, String>,
    }
    let header = || -> io::Result<Header> {
        let mut file = input_file::open(path)?;
        let mut length = [0; 8];
        file.read_exact(&mut length)?;
        let mut header = Vec::new();
        file.take(u64::from_le_bytes(length).min(MOST_BYTES_OF_HEADER)).read_to_end(&mut header)?;
        Ok(serde_json::from_slice(&header)?)
    };
    header().is_ok_and(|header| header.metadata.contains_key(ENTRY))
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

    /// The metadata of its file.
    ///
    /// # Errors
    ///
    /// When its configuration cannot be written as JSON.
    pub(crate) fn metadata(&self) -> serde_json::Result<String> {
        serde_json::to_string(&Description {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            label: self.label.clone(),
            trial: self.trial.clone(),
            network: self.network.clone(),
            plan: self.plan.clone(),
            experiment: self.experiment.clone(),
        })
    }
}
