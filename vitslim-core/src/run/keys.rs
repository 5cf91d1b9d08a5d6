//! Resolves the keys of an experiment in its network: what is searched.

use crate::experiment::{Document, ExperimentError, ExperimentErrors, Importance, Keyed, Trial, resolve};
use crate::slim::{Dimension, Granularity, MaskSpec};

/// The entries of the map `keyed` at `place`, each with the indices of the `dimensions` with units that its key matches. A key that matches
/// none, or one that another key has matched, is added to `found`, as is one of whose dimensions nothing is left.
pub(super) fn matched<'a, T>(
    document: &Document,
    place: &[&str],
    keyed: &'a Keyed<T>,
    dimensions: &[Dimension],
    found: &mut Vec<ExperimentError>,
) -> Vec<(&'a str, &'a T, Vec<usize>)> {
    let paths: Vec<String> = dimensions.iter().map(|dimension| dimension.path.clone()).collect();
    let mut matched = Vec::new();
    for ((key, value), resolved) in keyed.iter().zip(resolve(keyed.keys(), &paths)) {
        match resolved {
            // Of what a run has emptied there is nothing to search.
            Ok(mut indices) => {
                indices.retain(|index| dimensions[*index].units() > 0);
                if indices.is_empty() {
                    let message =
                        format!("nothing is left of \"{key}\" in the network that the run starts from");
                    let help = "leave this key out".to_owned();
                    found.extend(document.error_at_key(&[place, &[key]].concat(), message, Some(help)));
                }
                matched.push((key, value, indices));
            }
            Err(error) => {
                let place = [place, &[key]].concat();
                found.extend(document.error_at_key(&place, error.message, Some(error.help)));
            }
        }
    }
    matched
}

/// The searched dimensions in the order of the traversal, and their paths key by key.
pub(super) fn searched(
    trial: &Trial,
    dimensions: &[Dimension],
    found: &mut Vec<ExperimentError>,
) -> (Vec<(Dimension, MaskSpec)>, Vec<Vec<String>>) {
    let (document, keyed) = (&trial.document, &trial.experiment.search.dimensions);
    let importance = trial.experiment.importance;
    let mut searched: Vec<(usize, MaskSpec)> = Vec::new();
    let mut by_key = Vec::new();
    for (key, how, matched) in matched(document, &["search", "dimensions"], keyed, dimensions, found) {
        let spec = match importance.needs_search() {
            true => MaskSpec {
                granularity: how.granularity,
                activation: how.activation,
                init: how.init.get(),
                weight: how.weight.get(),
            },
            // A score is ranked as it is.
            false => MaskSpec { granularity: how.granularity, ..MaskSpec::default() },
        };
        if let Some(&unfit) = matched.iter().find(|&&index| !spec.granularity.fits(&dimensions[index])) {
            found.extend(unfit_granularity(document, key, spec.granularity, &dimensions[unfit]));
        }
        if importance == Importance::Magnitude && matched.iter().any(|index| dimensions[*index].is_tokens()) {
            let message = format!("\"{key}\" names tokens, which have no weights to rank them by");
            let help = "leave this key out, or write another `importance`: `Taylor`, `Variance`, `Random` or `Masks`";
            found.extend(document.error_at_key(
                &["search", "dimensions", key],
                message,
                Some(help.to_owned()),
            ));
        }
        by_key.push(matched.iter().map(|index| dimensions[*index].path.clone()).collect());
        searched.extend(matched.into_iter().map(|index| (index, spec)));
    }
    // In the order of the traversal, whatever the order of the keys.
    searched.sort_by_key(|(index, _)| *index);
    let searched = searched.into_iter().map(|(index, spec)| (dimensions[index].clone(), spec));
    (searched.collect(), by_key)
}

fn unfit_granularity(
    document: &Document,
    key: &str,
    granularity: Granularity,
    dimension: &Dimension,
) -> ExperimentErrors {
    let path = ["search", "dimensions", key, "granularity"];
    let message = match dimension.groups.len() {
        0 | 1 => {
            format!("`{}` has only one group, so `{granularity:?}` means nothing for it", dimension.path)
        }
        _ => format!("the groups of `{}` have different sizes, so they share no positions", dimension.path),
    };
    document.error(&path, message, Some("write `granularity: Unit`, or leave it out".to_owned()))
}
