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

/// That images of `image` pixels split into patches of `patch`, which each of the `stages` but the first merges two by two.
pub(super) fn stages(image: usize, patch: usize, stages: usize) -> Result<(), ConfigError> {
    let most = image.trailing_zeros() as usize + 1;
    if stages > most {
        let message = format!(
            "images of {image} pixels cannot be halved {} times, as often as {stages} stages merge patches: they can have at \
             most {most} stages",
            stages - 1
        );
        return Err(ConfigError::new("depths", message));
    }
    let merged = 1_usize << (stages - 1);
    let fits = |patch: usize| {
        merged.checked_mul(patch).is_some_and(|pixels| pixels > 0 && image.is_multiple_of(pixels))
    };
    if !fits(patch) {
        let message = format!(
            "patches of {patch} do not divide images of {image} pixels so that {stages} stages can merge them two by two; \
             patches that do: {}",
            those_that_work(image, fits)
        );
        return Err(ConfigError::new("patch_size", message));
    }
    Ok(())
}

/// The numbers up to `end`, from 1, that `works` takes, as a sentence lists them; not those that nobody would read to.
pub(super) fn those_that_work(end: usize, works: impl Fn(usize) -> bool) -> String {
    let numbers: Vec<_> =
        (1..=end.min(1 << 16)).filter(|number| works(*number)).map(|number| number.to_string()).collect();
    numbers.join(", ")
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
