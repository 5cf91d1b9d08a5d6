//! The remaining epochs of a run.

use crate::data::Stage;
use crate::experiment::Experiment;

/// Epochs of the stages after this one. If pretraining or search has to train, all later stages start from the beginning, since
/// what an earlier run left of them is removed. A later sub-network counts even if it is complete.
pub(super) fn remaining_epochs(experiment: &Experiment, stage: Stage, subnets_later: usize) -> usize {
    let search = experiment.search_training().filter(|_| stage == Stage::Pretrain);
    let search = search.map_or(0, |search| search.epochs.get());
    let retrain = experiment.retrain.as_ref().map_or(0, |retrain| retrain.epochs.get());
    search + retrain * subnets_later
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::Document;

    fn experiment(retrain: &str) -> Experiment {
        let text = format!(
            "Experiment(name: \"a\", model: (architecture: \"vit\"), data: Digits, pretrain: (epochs: 40, optimizer: AdamW(lr: 1e-3)), \
             search: (epochs: 10, optimizer: AdamW(lr: 1e-3), dimensions: {{ \"hidden\": (weight: 0) }}), \
             budgets: [Share({{ \"hidden\": 0.5 }})]{retrain})"
        );
        Document::parse("a.ron", &text, &[]).unwrap().experiment().unwrap()
    }

    #[test]
    fn later_are_the_search_and_each_sub_network_that_is_left() {
        let all = experiment(", retrain: (epochs: 7, optimizer: AdamW(lr: 1e-3))");
        assert_eq!(remaining_epochs(&all, Stage::Pretrain, 3), 10 + 3 * 7);
        assert_eq!(remaining_epochs(&all, Stage::Search, 3), 3 * 7);
        assert_eq!(remaining_epochs(&all, Stage::Retrain, 1), 7);
        assert_eq!(remaining_epochs(&all, Stage::Retrain, 0), 0);
        assert_eq!(remaining_epochs(&experiment(""), Stage::Pretrain, 3), 10);
    }
}
