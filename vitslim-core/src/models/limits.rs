//! Checks that the configurations of several architectures share.

use super::ConfigError;

/// More parameters are taken for a typing error.
const MOST_PARAMETERS: f64 = 1e11;

/// Checks sizes, each with its field: they must be at least 1.
pub(super) fn sizes(sizes: &[(&'static str, usize)]) -> Result<(), ConfigError> {
    match sizes.iter().find(|(_, size)| *size == 0) {
        Some((field, _)) => Err(ConfigError::new(field, format!("`{field}` must be at least 1"))),
        None => Ok(()),
    }
}

/// Checks drop rates, each with its field: they must be probabilities below 1.
pub(super) fn rates(rates: &[(&'static str, f64)]) -> Result<(), ConfigError> {
    match rates.iter().find(|(_, rate)| !(0.0..1.0).contains(rate)) {
        Some((field, rate)) => {
            let message = format!("`{field}` must be a probability from 0 to below 1, not {rate}");
            Err(ConfigError::new(field, message))
        }
        None => Ok(()),
    }
}

/// Checks what parameters start from.
pub(super) fn finite(field: &'static str, value: f64) -> Result<(), ConfigError> {
    match (value as f32).is_finite() {
        true => Ok(()),
        false => Err(ConfigError::new(
            field,
            format!("`{field}` is a number that is finite in 32 bits, not {value:e}"),
        )),
    }
}

/// Checks the `mlp_ratio` of an MLP that has `hidden` units with it.
pub(super) fn mlp_ratio(ratio: f64, hidden: usize) -> Result<(), ConfigError> {
    if ratio.is_finite() && hidden > 0 {
        return Ok(());
    }
    let message = format!("an MLP of {ratio} times the width has no hidden units");
    Err(ConfigError::new("mlp_ratio", message))
}

/// Checks that images of `image` pixels split into patches of `patch` that every stage but the first can merge two by two.
pub(super) fn stages(image: usize, patch: usize, stages: usize) -> Result<(), ConfigError> {
    let most = image.trailing_zeros() as usize + 1;
    if stages > most {
        let message = format!(
            "{stages} stages merge patches {} times, but images of {image} pixels cannot be halved that often: at most {most} \
             stages are possible",
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
            "images of {image} pixels do not split into patches of {patch} that {stages} stages can merge two by two; patch \
             sizes that work: {}",
            those_that_work(image, fits)
        );
        return Err(ConfigError::new("patch_size", message));
    }
    Ok(())
}

/// The numbers from 1 to `end` for which `works` holds, as a list in a sentence, as far as anybody would read.
pub(super) fn those_that_work(end: usize, works: impl Fn(usize) -> bool) -> String {
    let numbers: Vec<_> =
        (1..=end.min(1 << 16)).filter(|number| works(*number)).map(|number| number.to_string()).collect();
    numbers.join(", ")
}

/// A field, and what sets it in a configuration to its value in another, which has usual values.
type Field<C> = (&'static str, fn(&mut C, C));

/// The field that makes a network too large: the first of `fields` with whose usual value it would not be, or else that
/// whose usual value leaves the fewest parameters.
pub(super) fn cause<C: Clone + Default>(
    config: &C,
    parameters: fn(&C) -> f64,
    fields: &[Field<C>],
) -> &'static str {
    let left = |usual: fn(&mut C, C)| {
        let mut config = config.clone();
        usual(&mut config, C::default());
        // Among fields with which it is not too large, the first.
        parameters(&config).max(MOST_PARAMETERS)
    };
    let counts = fields.iter().map(|(field, usual)| (*field, left(*usual)));
    counts.min_by(|(_, one), (_, other)| one.total_cmp(other)).map_or("", |(field, _)| field)
}

/// Checks the number of parameters; `field` is what makes the network so large.
pub(super) fn parameters(field: &'static str, parameters: f64) -> Result<(), ConfigError> {
    if parameters > MOST_PARAMETERS {
        let message = format!(
            "this network would have {parameters:.1e} parameters; at most {MOST_PARAMETERS:.0e} are allowed"
        );
        return Err(ConfigError::new(field, message));
    }
    Ok(())
}
