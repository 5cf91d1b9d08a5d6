//! What holds for the configuration of every architecture.

use super::ConfigError;

/// Where a size is taken for a slip of the keyboard and not for a network.
const MOST_PARAMETERS: f64 = 1e11;

/// Fields whose sizes must be at least 1.
pub(super) fn sizes(sizes: &[(&'static str, usize)]) -> Result<(), ConfigError> {
    match sizes.iter().find(|(_, size)| *size == 0) {
        Some((field, _)) => Err(ConfigError::new(field, format!("`{field}` must be at least 1"))),
        None => Ok(()),
    }
}

/// Fields whose values are probabilities of dropping something.
pub(super) fn rates(rates: &[(&'static str, f64)]) -> Result<(), ConfigError> {
    match rates.iter().find(|(_, rate)| !(0.0..1.0).contains(rate)) {
        Some((field, rate)) => {
            let message = format!("`{field}` is a probability from 0 to below 1, not {rate}");
            Err(ConfigError::new(field, message))
        }
        None => Ok(()),
    }
}

/// That an MLP, which has `hidden` units as `ratio` times the width, has any.
pub(super) fn mlp_ratio(ratio: f64, hidden: usize) -> Result<(), ConfigError> {
    if ratio.is_finite() && hidden > 0 {
        return Ok(());
    }
    let message = format!("an MLP of {ratio} times the width has no hidden units");
    Err(ConfigError::new("mlp_ratio", message))
}

/// How many parameters the network may have; `field` is what makes it so large.
pub(super) fn parameters(field: &'static str, parameters: f64) -> Result<(), ConfigError> {
    if parameters > MOST_PARAMETERS {
        let message =
            format!("this network would have {parameters:.1e} parameters; {MOST_PARAMETERS:.0e} are allowed");
        return Err(ConfigError::new(field, message));
    }
    Ok(())
}
