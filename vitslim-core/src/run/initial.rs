//! The network that a run starts from.

use burn::tensor::Device;

use super::prepare::Prepared;
use crate::data::{Moment, Stage};
use crate::experiment::Experiment;
use crate::models::{Architecture, ConfigError};

/// The dense model before any training, by the seed.
pub(crate) fn initial<A: Architecture>(prepared: &Prepared<A>, device: &Device) -> Result<A, ConfigError> {
    initial_of(&prepared.experiment, &prepared.config, device)
}

/// The dense model of `experiment` before any training, whose configuration is `config`.
pub(super) fn initial_of<A: Architecture>(
    experiment: &Experiment,
    config: &A::Config,
    device: &Device,
) -> Result<A, ConfigError> {
    let moment = Moment { seed: experiment.seed, stage: Stage::Pretrain, epoch: 0, step: 0 };
    device.seed(moment.device_seed());
    A::init(config, device)
}
