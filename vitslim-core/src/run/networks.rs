//! The networks of a prepared experiment: that which its run starts from, and those that the run left.

use burn::tensor::Device;

use super::error::RunError;
use super::folder::SUBNETS;
use super::initial::initial_of;
use super::prepared::Prepared;
use super::restore::{RestoreError, Restored, dense, subnet};
use super::target::Target;
use crate::models::{Architecture, ConfigError};
use crate::slim::MaskSet;

/// The network that the run of `prepared` starts from, before any training and before trained weights are loaded. It is dense, unless
/// it is what another run left.
pub(crate) fn initial<A: Architecture>(prepared: &Prepared<A>, device: &Device) -> Result<A, ConfigError> {
    let dense = initial_of(&prepared.experiment, &prepared.config, device)?;
    match prepared.pretrained.as_ref().filter(|_| prepared.start.is_some()) {
        None => Ok(dense),
        Some(pretrained) => {
            let cut = pretrained.cut(dense).map_err(|error| ConfigError::new("", error.to_string()))?;
            Ok(cut.0)
        }
    }
}

/// The [`initial`] network with the trained weights that the run of `prepared` starts from, if it does, and the masks that its search
/// begins with.
///
/// # Errors
///
/// When the network cannot be made, or the weights do not fit it.
pub(super) fn started<A: Architecture>(
    prepared: &Prepared<A>,
    device: &Device,
) -> Result<(A, MaskSet), RunError> {
    let network = initial(prepared, device).map_err(RunError::Config)?;
    Ok(match &prepared.pretrained {
        None => (network, MaskSet::new(&prepared.searched, device)),
        Some(pretrained) => pretrained.load(network, &prepared.experiment, &prepared.searched, device)?,
    })
}

/// The network that `target` names, on `device`. `prepared` is the experiment of its run.
///
/// # Errors
///
/// When a file is missing, damaged, or does not fit the experiment.
pub fn restore<A: Architecture>(
    prepared: &Prepared<A>,
    target: &Target,
    device: &Device,
) -> Result<Restored<A>, RestoreError> {
    let Prepared { experiment, config, pretrained, .. } = prepared;
    match &target.label {
        None => {
            let initial = initial(prepared, device).map_err(RestoreError::Config)?.valid();
            dense(experiment, &target.run, initial, pretrained.as_ref())
        }
        Some(label) => {
            let dense = initial_of::<A>(experiment, config, device).map_err(RestoreError::Config)?.valid();
            let model = subnet(&dense, &target.run.join(SUBNETS).join(label))?;
            Ok(Restored { model, epoch: None, notes: Vec::new() })
        }
    }
}
