//! The dense network before any training.

use burn::tensor::Device;

use crate::data::{Moment, Stage};
use crate::experiment::Experiment;
use crate::models::{Architecture, ConfigError};

/// The dense network of `experiment` before any training, by the seed, whose configuration is `config`.
pub(super) fn initial_of<A: Architecture>(
    experiment: &Experiment,
    config: &A::Config,
    device: &Device,
) -> Result<A, ConfigError> {
    let moment = Moment { seed: experiment.seed, stage: Stage::Pretrain, epoch: 0, step: 0 };
    device.seed(moment.device_seed());
    A::init(config, device)
}
