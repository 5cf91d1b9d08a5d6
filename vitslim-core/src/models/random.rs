use burn::tensor::Device;
use rand_chacha::ChaCha8Rng;

use super::architecture::{Architecture, ConfigError};
use crate::values::randomised;

/// A network whose parameters are all random, biases and norms too, to compare networks with.
///
/// # Errors
///
/// Those of [`Architecture::init`].
pub fn random_model<A: Architecture>(
    config: &A::Config,
    rng: &mut ChaCha8Rng,
    device: &Device,
) -> Result<A, ConfigError> {
    Ok(randomised(A::init(config, device)?, rng))
}
