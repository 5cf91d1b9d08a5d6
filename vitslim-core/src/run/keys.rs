//! Resolves the keys of an experiment in its network: what is searched, and what each budget ranks.

use crate::experiment::{
    Budget, Document, ExperimentError, ExperimentErrors, Keyed, Portion, Trial, resolve, shortened,
};
use crate::slim::{Dimension, Granularity, MaskSpec, Ranking};

/// Longest label in characters, since a label names a folder; file systems take 255.
const LONGEST_LABEL: usize = 200;

/// A budget, resolved.
#[derive(Clone, Debug)]
pub struct PreparedBudget {
    /// Name of the sub-network, unique in the experiment: `share-0.7-0.5`.
    pub label: String,
    /// Keys and shares as written.
    pub shares: Vec<(String, f64)>,
    /// One ranking per key.
    pub rankings: Vec<Ranking>,
}

/// Which of `dimensions` are searched and how, and what the budgets rank. Keys that do not fit are added to `found`.
pub(crate) fn keys(
    trial: &Trial,
    dimensions: &[Dimension],
    found: &mut Vec<ExperimentError>,
) -> (Vec<(Dimension, MaskSpec)>, Vec<PreparedBudget>) {
    let before = found.len();
    let searched = searched(trial, dimensions, found);
    // With a key that does not fit, what is searched is unknown.
    let known = (found.len() == before).then_some(searched.as_slice());
    let mut budgets: Vec<PreparedBudget> = Vec::new();
    for (index, Budget::Share(shares)) in trial.experiment.budgets.iter().enumerate() {
        let place = ["budgets", &index.to_string(), "0"];
        let rankings = rankings(&trial.document, &place, shares, dimensions, known, found);
        let shares: Vec<_> = shares.iter().map(|(key, share)| (key.to_owned(), share.get())).collect();
        let label = label(shares.iter().map(|(_, share)| *share), |label| {
            budgets.iter().any(|budget| budget.label == label)
        });
        budgets.push(PreparedBudget { label, shares, rankings });
    }
    (searched, budgets)
}

/// The entries of the map `keyed` at `place`, each with the indices of the `dimensions` with units that its key matches. A key that matches
/// none, or one that another key has matched, is added to `found`, as is one of whose dimensions nothing is left.
fn matched<'a, T>(
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

fn searched(
    trial: &Trial,
    dimensions: &[Dimension],
    found: &mut Vec<ExperimentError>,
) -> Vec<(Dimension, MaskSpec)> {
    let (document, keyed) = (&trial.document, &trial.experiment.search.dimensions);
    let mut searched: Vec<(usize, MaskSpec)> = Vec::new();
    for (key, how, matched) in matched(document, &["search", "dimensions"], keyed, dimensions, found) {
        let spec = MaskSpec {
            granularity: how.granularity,
            activation: how.activation,
            init: how.init.get(),
            weight: how.weight.get(),
        };
        if let Some(&unfit) = matched.iter().find(|&&index| !spec.granularity.fits(&dimensions[index])) {
            found.extend(unfit_granularity(document, key, spec.granularity, &dimensions[unfit]));
        }
        searched.extend(matched.into_iter().map(|index| (index, spec)));
    }
    // In the order of the traversal, whatever the order of the keys.
    searched.sort_by_key(|(index, _)| *index);
    searched.into_iter().map(|(index, spec)| (dimensions[index].clone(), spec)).collect()
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

/// The rankings of the budget at `place`. Keys of dimensions that are not `searched`, or that differ in their masks, are added to
/// `found`. `searched` is `None` if mistakes leave it unknown.
fn rankings(
    document: &Document,
    place: &[&str],
    shares: &Keyed<Portion>,
    dimensions: &[Dimension],
    searched: Option<&[(Dimension, MaskSpec)]>,
    found: &mut Vec<ExperimentError>,
) -> Vec<Ranking> {
    let mut rankings = Vec::new();
    let mut tokens_ranked = false;
    for (key, share, matched) in matched(document, place, shares, dimensions, found) {
        let wrong = searched.and_then(|searched| unlike(key, &matched, dimensions, searched));
        let of_tokens = matched.iter().any(|index| dimensions[*index].is_tokens());
        let again = of_tokens && std::mem::replace(&mut tokens_ranked, true);
        let again = again.then(|| {
            let help = "write one key: tokens are ranked over all blocks together, since a cut token is gone from there on";
            (format!("\"{key}\" is a second key for tokens in this budget"), help.to_owned())
        });
        if let Some((message, help)) = wrong.or(again) {
            found.extend(document.error_at_key(&[place, &[key]].concat(), message, Some(help)));
        }
        let dimensions = matched.into_iter().map(|index| dimensions[index].path.clone()).collect();
        rankings.push(Ranking { dimensions, share: share.get() });
    }
    rankings
}

/// Why the dimensions that `key` has `matched` cannot be ranked together, and what to do.
fn unlike(
    key: &str,
    matched: &[usize],
    dimensions: &[Dimension],
    searched: &[(Dimension, MaskSpec)],
) -> Option<(String, String)> {
    let mut specs = Vec::new();
    for index in matched {
        let path = &dimensions[*index].path;
        let Some((_, spec)) = searched.iter().find(|(dimension, _)| dimension.path == *path) else {
            let message = format!("`{path}` is not searched, so it cannot be cut to a share");
            let help = format!("add \"{key}\" under `search.dimensions`, or leave it out here");
            return Some((message, help));
        };
        specs.push((spec.granularity, spec.activation));
    }
    let alike = specs.windows(2).all(|pair| pair[0] == pair[1]);
    (!alike).then(|| {
        let message = format!("\"{key}\" ranks masks of different granularity or activation together");
        let help = "write one key for each kind of mask, as under `search.dimensions`";
        (message, help.to_owned())
    })
}

/// The label of the sub-network with these `shares`, with a number appended if other keys with the same shares have taken it.
pub(super) fn label(shares: impl Iterator<Item = f64>, taken: impl Fn(&str) -> bool) -> String {
    let numbers: Vec<_> = shares.map(|share| share.to_string()).collect();
    let label = shortened(format!("share-{}", numbers.join("-")), LONGEST_LABEL);
    if !taken(&label) {
        return label;
    }
    (2..).map(|number| format!("{label}-{number}")).find(|label| !taken(label)).unwrap_or(label)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::models::{Architecture, Vit, VitConfig};
    use crate::slim::describe;

    #[test]
    fn of_what_is_emptied_nothing_is_searched_and_nothing_cut() {
        let text = r#"Experiment(
            name: "a",
            model: (architecture: "vit"),
            data: Digits,
            search: (epochs: 1, optimizer: AdamW(lr: 1e-3), dimensions: { "hidden": (weight: 0) }),
            budgets: [Share({ "hidden": 0.5 })],
        )"#;
        let trial = Document::parse("a.ron", text, &[]).unwrap().trial().unwrap();
        let config =
            VitConfig { image_size: 8, patch_size: 4, dim: 16, heads: 2, depth: 2, ..VitConfig::default() };
        let mut dimensions = describe(&Vit::init(&config, &Device::flex()).unwrap()).unwrap();
        let mut told = |emptied: &str| {
            for dimension in dimensions.iter_mut().filter(|dimension| dimension.path.ends_with(emptied)) {
                dimension.groups = vec![0];
            }
            let mut found = Vec::new();
            keys(&trial, &dimensions, &mut found);
            found.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(told("blocks.0.mlp.hidden"), [""; 0]);
        let errors = told("hidden");
        let message = "nothing is left of \"hidden\" in the network that the run starts from";
        for place in ["a.ron:5:", "a.ron:6:"] {
            assert!(
                errors.iter().any(|error| error.starts_with(place) && error.contains(message)),
                "{errors:?}"
            );
        }
        assert_eq!(errors.len(), 2, "{errors:?}");
    }

    #[test]
    fn labels_have_the_shares_in_them_and_are_no_longer_than_a_folder_can_be_called() {
        let none = |_: &str| false;
        assert_eq!(label([0.5, 0.7].into_iter(), none), "share-0.5-0.7");
        assert_eq!(label([0.5].into_iter(), |taken| !taken.ends_with("-3")), "share-0.5-3");
        let thirds = |last: f64| label([1.0 / 3.0; 30].into_iter().chain([last]), none);
        assert!(thirds(0.5).len() <= LONGEST_LABEL && thirds(0.5).starts_with("share-0.3333"));
        assert_ne!(thirds(0.5), thirds(0.25));
    }
}
