//! The keys of an experiment, found in its network: what is searched, and what each budget ranks.

use crate::experiment::{
    Budget, Document, Fault, Faults, KeyError, Keyed, Node, Portion, Reading, SearchedDimension, Value,
    is_glob, resolve, shortened,
};
use crate::slim::{Dimension, Granularity, MaskSpec, Ranking};

/// Characters of a label, of which a folder is called; file systems take 255.
const LONGEST_LABEL: usize = 200;

/// The dimensions of a network, as far as they are known.
#[derive(Clone, Copy)]
pub(crate) struct Network<'a> {
    /// Its dimensions, or those of another network of its architecture.
    pub dimensions: &'a [Dimension],
    /// Whether they are its own, for sure.
    pub sure: bool,
}

impl Network<'_> {
    fn paths(self) -> Vec<String> {
        self.dimensions.iter().map(|dimension| dimension.path.clone()).collect()
    }

    /// Whether what is said of a key is true: last names are those of the architecture, paths those of one network.
    fn knows(self, error: &KeyError) -> bool {
        match error {
            KeyError::Glob { .. } => true,
            KeyError::Unmatched { key, .. } => self.sure || !is_glob(key),
            KeyError::Overlap { .. } => self.sure,
        }
    }
}

/// A budget, resolved.
#[derive(Clone, Debug)]
pub struct PreparedBudget {
    /// Name of the sub-network, unique in the experiment: `share-0.7-0.5`.
    pub label: String,
    /// Keys and shares as written.
    pub shares: Vec<(String, f64)>,
    /// One ranking a key.
    pub rankings: Vec<Ranking>,
}

/// The dimensions that each key of the map at `place` matches. Keys that are wrong are added to `found`, also those whose values are
/// wrong as well.
fn matched(
    document: &Document,
    place: &[&str],
    network: Network<'_>,
    found: &mut Vec<Fault>,
) -> Vec<(String, Vec<usize>)> {
    let Some(Node { value: Value::Map(entries), .. }) = document.at(place) else { return Vec::new() };
    let keys = entries.iter().filter_map(|(key, _)| match &key.value {
        Value::String(key) => Some(key.as_str()),
        _ => None,
    });
    let keys: Vec<&str> = keys.collect();
    let mut matched = Vec::new();
    for (key, resolved) in keys.iter().zip(resolve(keys.iter().copied(), &network.paths())) {
        match resolved {
            Ok(dimensions) => matched.push(((*key).to_owned(), dimensions)),
            Err(error) if network.knows(&error) => found.extend(document.key_fault(place, &error)),
            Err(_) => {}
        }
    }
    matched
}

/// What of the dimensions of `network` is searched, and what the budgets rank.
pub(crate) fn keys(
    document: &Document,
    network: Network<'_>,
    found: &mut Vec<Fault>,
) -> (Vec<(Dimension, MaskSpec)>, Vec<PreparedBudget>) {
    let before = found.len();
    let Some(Reading { value: Some(keys), faults }) = document.reading(&["search", "dimensions"]) else {
        return (Vec::new(), budgets(document, network, None, found));
    };
    let searched = searched(document, &keys, network, found);
    let whole = network.sure || !keys.keys().any(is_glob);
    let known = whole && faults.is_empty() && found.len() == before;
    let budgets = budgets(document, network, known.then_some(&searched[..]), found);
    (searched, budgets)
}

/// Which dimensions of `network` the experiment searches, and how. Keys that name none, or one in a way that it has not, are added to
/// `found`.
fn searched(
    document: &Document,
    keys: &Keyed<SearchedDimension>,
    network: Network<'_>,
    found: &mut Vec<Fault>,
) -> Vec<(Dimension, MaskSpec)> {
    let dimensions = network.dimensions;
    let mut searched: Vec<(usize, MaskSpec)> = Vec::new();
    for (key, matched) in matched(document, &["search", "dimensions"], network, found) {
        let Some(how) = keys.get(&key) else { continue };
        let spec = MaskSpec {
            granularity: how.granularity,
            activation: how.activation,
            init: how.init.get(),
            weight: how.weight.get(),
        };
        let unfit = matched.iter().find(|&&index| !spec.granularity.fits(&dimensions[index]));
        if let Some(&unfit) = unfit.filter(|_| network.sure) {
            found.extend(unfit_granularity(document, &key, spec.granularity, &dimensions[unfit]));
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
) -> Faults {
    let path = ["search", "dimensions", key, "granularity"];
    let message = match dimension.groups.len() {
        0 | 1 => {
            format!("`{}` has one group only, so that `{granularity:?}` means nothing for it", dimension.path)
        }
        _ => format!("the groups of `{}` have different sizes and share no positions", dimension.path),
    };
    document.fault(&path, message, Some("write `granularity: Unit`, or leave it out".to_owned()))
}

/// The budgets, resolved. Keys that name no searched dimension, or unlike ones, are added to `found`. What is `searched` is `None`
/// where mistakes leave it open.
fn budgets(
    document: &Document,
    network: Network<'_>,
    searched: Option<&[(Dimension, MaskSpec)]>,
    found: &mut Vec<Fault>,
) -> Vec<PreparedBudget> {
    let mut prepared: Vec<PreparedBudget> = Vec::new();
    let items = match document.at(&["budgets"]) {
        Some(Node { value: Value::List(items), .. }) => items.len(),
        _ => 0,
    };
    for index in (0..items).map(|index| index.to_string()) {
        let budget = document.reading::<Budget>(&["budgets", &index]).and_then(|budget| budget.value);
        let Some(Budget::Share(shares)) = budget else { continue };
        let rankings = rankings(document, &index, &shares, network, searched, found);
        let shares: Vec<_> = shares.iter().map(|(key, share)| (key.to_owned(), share.get())).collect();
        let label = label(shares.iter().map(|(_, share)| *share), |label| {
            prepared.iter().any(|budget| budget.label == label)
        });
        prepared.push(PreparedBudget { label, shares, rankings });
    }
    prepared
}

fn rankings(
    document: &Document,
    budget: &str,
    shares: &Keyed<Portion>,
    network: Network<'_>,
    searched: Option<&[(Dimension, MaskSpec)]>,
    found: &mut Vec<Fault>,
) -> Vec<Ranking> {
    let dimensions = network.dimensions;
    let place = ["budgets", budget, "0"];
    let mut rankings = Vec::new();
    let mut tokens_ranked = false;
    for (key, matched) in matched(document, &place, network, found) {
        let Some(share) = shares.get(&key) else { continue };
        let key = key.as_str();
        let searched = searched.filter(|_| network.sure || !is_glob(key));
        let wrong = searched.and_then(|searched| unlike(key, &matched, dimensions, searched));
        let of_tokens = matched.iter().any(|index| dimensions[*index].is_tokens());
        let again = of_tokens && std::mem::replace(&mut tokens_ranked, true);
        let again = again.then(|| {
            let help = "tokens are ranked over all blocks together, since a token that is cut stays away: write one key";
            (format!("\"{key}\" is the second key for tokens in this budget"), help.to_owned())
        });
        if let Some((message, help)) = wrong.or(again) {
            found.extend(document.fault_at_key(&[&place[..], &[key]].concat(), message, Some(help)));
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
            let message = format!("`{path}` is not searched, so that it cannot be cut to a share");
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

/// What the sub-network of these `shares` is called: with a number behind it where another is called so already, that of the same
/// shares of other keys.
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
    use super::*;

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
