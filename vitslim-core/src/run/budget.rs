//! Budgets resolved in a network: what they rank, and what they limit.

use serde::Serialize;

use super::keys::matched;
use crate::experiment::{Amount, Budget, Count, Document, ExperimentError, Keyed, Portion, Trial, shortened};
use crate::slim::{Dimension, MaskSpec, Ranking};
use crate::terminal::time;

/// Longest label in characters, since a label names a folder; file systems take 255.
const LONGEST_LABEL: usize = 200;

/// A budget, resolved.
#[derive(Clone, Debug)]
pub struct PreparedBudget {
    /// Name of the sub-network, unique in the experiment: `share-0.7-0.5`.
    pub label: String,
    /// As written.
    pub written: Budget,
    /// Keys and shares as written.
    pub shares: Vec<(String, f64)>,
    /// One ranking per key.
    pub rankings: Vec<Ranking>,
    /// Tokens that go at each gate.
    pub fewer: Option<Count>,
    /// Limits on the network as a whole.
    pub limits: Vec<Limit>,
}

/// `nanoseconds` in seconds.
pub(super) fn seconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e9
}

/// A limit on a network as a whole.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Limit {
    /// What is limited.
    pub of: Measure,
    /// How much it may be.
    pub most: Amount,
}

/// What the size of a network is measured by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, clap::ValueEnum)]
pub enum Measure {
    /// Multiply-adds for one image.
    #[default]
    #[value(name = "Macs", alias = "macs")]
    Macs,
    /// Parameters.
    #[value(name = "Params", alias = "params")]
    Params,
    /// Nanoseconds of a forward pass.
    #[value(skip)]
    Latency {
        /// Number of images.
        batch: Count,
    },
}

impl Measure {
    /// In a sentence: `MACs`.
    pub fn name(self) -> String {
        match self {
            Self::Macs => "MACs".to_owned(),
            Self::Params => "parameters".to_owned(),
            Self::Latency { batch } => format!("latency at a batch of {}", batch.get()),
        }
    }

    /// As the language writes it: `Macs`.
    pub fn variant(self) -> &'static str {
        match self {
            Self::Macs => "Macs",
            Self::Params => "Params",
            Self::Latency { .. } => "Latency",
        }
    }

    /// The budget that allows `most` of this.
    pub(super) fn budget(self, most: Amount) -> Budget {
        match self {
            Self::Macs => Budget::Macs(most),
            Self::Params => Budget::Params(most),
            Self::Latency { batch } => Budget::Latency { most, batch },
        }
    }

    /// The unit of its numbers, where they are no counts.
    pub fn unit(self) -> Option<&'static str> {
        matches!(self, Self::Latency { .. }).then_some("ns")
    }

    /// So much of it, without its name: `700`, `3 ms`.
    pub(super) fn told(self, amount: u64) -> String {
        match self {
            Self::Macs | Self::Params => amount.to_string(),
            Self::Latency { .. } => time(seconds(amount)),
        }
    }

    /// So much of it in a sentence: `700 parameters`, `3 ms of latency at a batch of 1`.
    pub(super) fn amount(self, amount: u64) -> String {
        let of = if self.unit().is_some() { "of " } else { "" };
        format!("{} {of}{}", self.told(amount), self.name())
    }
}

impl PreparedBudget {
    /// The budget that allows `most` of what `of` measures, and whose sub-network is called `label`.
    pub(super) fn of_limit(of: Measure, most: Amount, label: String) -> Self {
        let written = of.budget(most.clone());
        let limits = vec![Limit { of, most }];
        Self { label, written, shares: Vec::new(), rankings: Vec::new(), fewer: None, limits }
    }

    /// Its limit on the latency, if it has one, and the number of images.
    pub(super) fn latency(&self) -> Option<(&Limit, usize)> {
        self.limits.iter().find_map(|limit| match limit.of {
            Measure::Latency { batch } => Some((limit, batch.get())),
            Measure::Macs | Measure::Params => None,
        })
    }
}

/// The budgets of `trial`, in the order written. Keys that do not fit are added to `found`.
pub(super) fn budgets(
    trial: &Trial,
    dimensions: &[Dimension],
    searched: Option<&[(Dimension, MaskSpec)]>,
    found: &mut Vec<ExperimentError>,
) -> Vec<PreparedBudget> {
    let mut budgets: Vec<PreparedBudget> = Vec::new();
    for (index, written) in trial.experiment.budgets.iter().enumerate() {
        let (mut shares, mut rankings, mut limits) = (Vec::new(), Vec::new(), Vec::new());
        let mut fewer = None;
        for (place, limit) in written.limits() {
            match limit {
                Budget::Share(of_keys) => {
                    let mut path = vec!["budgets".to_owned(), index.to_string()];
                    path.extend(place);
                    path.push("0".to_owned());
                    let path: Vec<&str> = path.iter().map(String::as_str).collect();
                    rankings.extend(self::rankings(
                        &trial.document,
                        &path,
                        of_keys,
                        dimensions,
                        searched,
                        found,
                    ));
                    shares.extend(of_keys.iter().map(|(key, share)| (key.to_owned(), share.get())));
                }
                Budget::Macs(most) => limits.push(Limit { of: Measure::Macs, most: most.clone() }),
                Budget::Params(most) => limits.push(Limit { of: Measure::Params, most: most.clone() }),
                Budget::Latency { most, batch } => {
                    limits.push(Limit { of: Measure::Latency { batch: *batch }, most: most.clone() });
                }
                Budget::Tokens { fewer: so_many } => {
                    fewer = Some(*so_many);
                    let of_tokens = |(dimension, _): &(Dimension, MaskSpec)| dimension.is_tokens();
                    if searched.is_some_and(|searched| !searched.iter().any(of_tokens)) {
                        let message = "no tokens are searched, so that none can be cut";
                        let help = match dimensions.iter().any(Dimension::is_tokens) {
                            true => "add \"tokens\" under `search.dimensions`, or write another budget",
                            false => "this architecture has no token gates: write another budget",
                        };
                        let path = [vec!["budgets".to_owned(), index.to_string()], place].concat();
                        let path: Vec<&str> = path.iter().map(String::as_str).collect();
                        found.extend(trial.document.error(&path, message, Some(help.to_owned())));
                    }
                }
                // Refused by the rules of the language.
                Budget::All(_) => {}
            }
        }
        let label = label(written, |label| budgets.iter().any(|budget| budget.label == label));
        budgets.push(PreparedBudget { label, written: written.clone(), shares, rankings, fewer, limits });
    }
    budgets
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

/// The label of the sub-network of `budget`, with a number appended if another one has taken it.
pub(super) fn label(budget: &Budget, taken: impl Fn(&str) -> bool) -> String {
    let label = shortened(budget.label(), LONGEST_LABEL);
    if !taken(&label) {
        return label;
    }
    (2..).map(|number| format!("{label}-{number}")).find(|label| !taken(label)).unwrap_or(label)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::Document;

    fn budget(written: &str) -> Budget {
        let text = format!(
            "Experiment(name: \"a\", model: (architecture: \"vit\"), data: Digits, budgets: [{written}], search: (epochs: 1, \
             optimizer: AdamW(lr: 1e-3), dimensions: {{ \"hidden\": (weight: 0) }}))"
        );
        Document::parse("a.ron", &text, &[]).unwrap().experiment().unwrap().budgets[0].clone()
    }

    #[test]
    fn labels_have_the_limits_in_them_and_are_no_longer_than_a_folder_can_be_called() {
        let none = |_: &str| false;
        assert_eq!(label(&budget("Share({ \"a\": 0.5, \"b\": 0.7 })"), none), "share-0.5-0.7");
        assert_eq!(label(&budget("Share({ \"a\": 0.5 })"), |taken| !taken.ends_with("-3")), "share-0.5-3");
        assert_eq!(label(&budget("Macs(0.5)"), none), "macs-0.5");
        assert_eq!(label(&budget("Params(\"2.8 M\")"), none), "params-2.8M");
        assert_eq!(label(&budget("Latency(most: \"3 ms\")"), none), "latency-3ms");
        assert_eq!(label(&budget("Latency(most: 0.5, batch: 8)"), none), "latency-0.5-batch-8");
        let all = "All([Share({ \"a\": 0.5 }), Macs(\"1 G\"), Params(1)])";
        assert_eq!(label(&budget(all), none), "share-0.5-macs-1G-params-1");
        let thirds = |last: f64| {
            let shares = (0..30).map(|key| format!("\"{key}\": {}", 1.0 / 3.0));
            let written = format!("Share({{ {}, \"z\": {last} }})", shares.collect::<Vec<_>>().join(", "));
            label(&budget(&written), none)
        };
        assert!(thirds(0.5).len() <= LONGEST_LABEL && thirds(0.5).starts_with("share-0.3333"));
        assert_ne!(thirds(0.5), thirds(0.25));
    }
}
