//! What an experiment's keys name in its network, and what makes plans of masks beside the budgets.

use std::collections::HashMap;

use super::budget::{PreparedBudget, budgets};
use super::keys::{matched, searched};
use crate::experiment::{AtLeast, ExperimentError, RoundTo, Trial, within};
use crate::slim::{Dimension, DimensionKind, Floor, Floors, MaskSpec, RankingRule};

/// What an experiment's keys name in its network.
#[derive(Default)]
pub(crate) struct Keys {
    /// The searched dimensions, and how their masks are trained.
    pub searched: Vec<(Dimension, MaskSpec)>,
    /// The budgets, in the order written.
    pub budgets: Vec<PreparedBudget>,
    /// What makes plans of masks, beside the budgets.
    pub selection: Selection,
}

/// Which of `dimensions` are searched and how, and what the budgets rank. Keys that do not fit are added to `found`.
pub(crate) fn keys(trial: &Trial, dimensions: &[Dimension], found: &mut Vec<ExperimentError>) -> Keys {
    let before = found.len();
    let (searched, by_key) = searched(trial, dimensions, found);
    // With a key that does not fit, what is searched is unknown.
    let known = (found.len() == before).then_some(searched.as_slice());
    let budgets = budgets(trial, dimensions, known, found);
    let selection = Selection::new(trial, dimensions, by_key, found);
    Keys { searched, budgets, selection }
}

/// What makes plans of masks, beside the budgets.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// The paths of the searched dimensions, key by key.
    pub keys: Vec<Vec<String>>,
    /// How masks of different keys compare.
    pub ranking: RankingRule,
    /// What is never cut.
    pub floors: Floors,
    /// What kept counts are rounded to, by path.
    pub multiples: HashMap<String, usize>,
}

impl Selection {
    /// That of `trial`, which searches these `keys`. What does not fit is added to `found`.
    pub(super) fn new(
        trial: &Trial,
        dimensions: &[Dimension],
        keys: Vec<Vec<String>>,
        found: &mut Vec<ExperimentError>,
    ) -> Self {
        let floors = Floors(floors(trial, dimensions, found));
        let multiples = multiples(trial, dimensions, found);
        Self { keys, ranking: trial.experiment.ranking, floors, multiples }
    }

    /// What the sizes of sub-networks depend on, as a text.
    pub(crate) fn of_sizes(&self) -> String {
        let mut floors: Vec<_> = self.floors.0.iter().collect();
        floors.sort_by_key(|(path, _)| *path);
        format!("{:?} {:?} {floors:?}", self.keys, self.ranking)
    }
}

fn floors(
    trial: &Trial,
    dimensions: &[Dimension],
    found: &mut Vec<ExperimentError>,
) -> HashMap<String, Floor> {
    let (document, experiment) = (&trial.document, &trial.experiment);
    let mut floors = HashMap::new();
    for (key, least, matched) in
        matched(document, &["keep_at_least"], &experiment.keep_at_least, dimensions, found)
    {
        let sizes = |index: &usize| match least {
            AtLeast::Layer(_) => vec![dimensions[*index].units()],
            AtLeast::Group(_) => dimensions[*index].groups.clone(),
        };
        let largest = matched.iter().flat_map(sizes).max().unwrap_or_default();
        let (floor, units, of) = match *least {
            AtLeast::Layer(units) => (Floor::Layer(units.get()), units.get(), "layer"),
            AtLeast::Group(units) => (Floor::Group(units.get()), units.get(), "group"),
        };
        if units > largest {
            let message = format!("\"{key}\" cannot keep {units} units of a {of}: the largest has {largest}");
            let help = format!("to keep all, write `protect: [\"{key}\"]`");
            found.extend(document.error_at_key(&["keep_at_least", key], message, Some(help)));
        }
        floors.extend(matched.into_iter().map(|index| (dimensions[index].path.clone(), floor)));
    }
    let paths: Vec<String> = dimensions.iter().map(|dimension| dimension.path.clone()).collect();
    for (place, part) in experiment.protect.iter().enumerate() {
        match within(part, &paths) {
            Ok(protected) => {
                // Tokens that stay in a block stay in all before it: only whoever names a gate means that.
                let whole = protected
                    .into_iter()
                    .filter(|(index, is_named)| *is_named || !dimensions[*index].is_tokens());
                floors.extend(whole.map(|(index, _)| (paths[index].clone(), Floor::Whole)));
            }
            Err(error) => {
                let place = ["protect", &place.to_string()];
                found.extend(document.error(&place, error.message, Some(error.help)));
            }
        }
    }
    floors
}

fn multiples(
    trial: &Trial,
    dimensions: &[Dimension],
    found: &mut Vec<ExperimentError>,
) -> HashMap<String, usize> {
    match &trial.experiment.round_to {
        None => HashMap::new(),
        Some(RoundTo::Everywhere(multiple)) => {
            dimensions.iter().map(|dimension| (dimension.path.clone(), multiple.get())).collect()
        }
        Some(RoundTo::Keys(multiples)) => {
            let matched = matched(&trial.document, &["round_to"], multiples, dimensions, found);
            let mut of_path = HashMap::new();
            for (key, multiple, matched) in matched {
                let unrounded = matched.iter().find_map(|index| match dimensions[*index].kind {
                    DimensionKind::Tokens { .. } => Some("tokens"),
                    DimensionKind::Branch => Some("branches"),
                    DimensionKind::Features => None,
                });
                if let Some(what) = unrounded {
                    let message = format!("\"{key}\" names {what}, which are not rounded");
                    let help = "leave this key out".to_owned();
                    found.extend(trial.document.error_at_key(&["round_to", key], message, Some(help)));
                }
                let paths = matched.into_iter().map(|index| dimensions[index].path.clone());
                of_path.extend(paths.map(|path| (path, multiple.get())));
            }
            of_path
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::experiment::Document;
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
}
