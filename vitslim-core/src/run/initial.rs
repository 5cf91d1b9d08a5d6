//! The network that a run starts from.

use burn::tensor::Device;

use super::prepare::Prepared;
use crate::data::{Moment, Stage};
use crate::models::{Architecture, ConfigError};

/// The dense model before any training, by the seed.
pub(crate) fn initial<A: Architecture>(prepared: &Prepared<A>, device: &Device) -> Result<A, ConfigError> {
    let moment = Moment { seed: prepared.experiment.seed, stage: Stage::Pretrain, epoch: 0, step: 0 };
    device.seed(moment.device_seed());
    A::init(&prepared.config, device)
}
