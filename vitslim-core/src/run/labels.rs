//! What the sub-networks of a run are called.

use std::path::{Path, PathBuf};

use super::belongs;
use super::budget::label;
use super::folder::{EXPERIMENT, FolderError, RunFolder};
use super::subnet_result::all_cut;
use crate::data::Stage;
use crate::experiment::Budget;
use crate::train::has_checkpoint;

/// The labels of a run with their budgets: those of its experiment, and of what was cut further.
pub(super) struct Labels {
    run: PathBuf,
    known: Vec<(String, Budget)>,
}

impl Labels {
    /// Those of the run in the folder `run`.
    ///
    /// # Errors
    ///
    /// When a file cannot be read.
    pub(super) fn of_run(run: &Path) -> Result<Self, FolderError> {
        let text = RunFolder::read_in(run, EXPERIMENT)?.unwrap_or_default();
        let budgets = belongs::read(run, &text).map_or_else(Vec::new, |experiment| experiment.budgets);
        let known = budget_labels(&budgets).into_iter().zip(budgets).collect();
        let mut labels = Self { run: run.to_owned(), known };
        for (label, budget) in all_cut(run)? {
            if !labels.is_known(&label) {
                labels.known.push((label, budget));
            }
        }
        Ok(labels)
    }

    fn is_known(&self, label: &str) -> bool {
        self.known.iter().any(|(known, _)| known == label)
    }

    /// The label of the sub-network of `budget`: that which it has, or else one that is free.
    pub(super) fn of(&mut self, budget: &Budget) -> String {
        if let Some((label, _)) = self.known.iter().find(|(_, known)| known.is_same(budget)) {
            return label.clone();
        }
        // A retraining whose results are gone may be of any budget.
        let is_taken =
            |label: &str| self.is_known(label) || has_checkpoint(&self.run, Stage::Retrain, Some(label));
        let label = label(budget, is_taken);
        self.known.push((label.clone(), budget.clone()));
        label
    }
}

/// What the sub-networks of the `budgets` of an experiment are called, in their order.
pub(crate) fn budget_labels(budgets: &[Budget]) -> Vec<String> {
    let mut labels: Vec<String> = Vec::new();
    for budget in budgets {
        let label = label(budget, |label| labels.iter().any(|known| known == label));
        labels.push(label);
    }
    labels
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_budget_has_one_label_and_another_budget_another() {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path();
        let text = "Experiment(name: \"a\", model: (architecture: \"vit\"), data: Digits, search: (epochs: 1, optimizer: AdamW(lr: 1e-3), \
                    dimensions: { \"hidden\": (weight: 0) }), budgets: [Share({ \"hidden\": 0.5 }), Share({ \"head_dim\": 0.5 })])";
        fs::write(run.join(EXPERIMENT), text).unwrap();
        let further = run.join("subnets/macs-0.4");
        fs::create_dir_all(&further).unwrap();
        let result = r#"{"device": "cpu", "label": "macs-0.4", "budget": {"macs": 0.4}, "kept": {}, "params": 1, "macs": 1,
            "top1_sliced": 0.5, "top1_retrained": null, "masked_vs_sliced": 0.0, "images_per_second": 1.0, "speedup": 1.0}"#;
        fs::write(further.join("result.json"), result).unwrap();
        // Of what was begun and has no results: once its budget is known, once not.
        fs::create_dir_all(run.join("checkpoints/retrain/share-0.7-2")).unwrap();
        fs::write(run.join("checkpoints/retrain/share-0.7-2/model-1.ckpt"), "x").unwrap();
        fs::create_dir_all(run.join("subnets/share-0.7-2")).unwrap();
        fs::write(run.join("subnets/share-0.7-2/budget.ron"), "Share({\"tokens\": 0.7})\n").unwrap();
        fs::create_dir_all(run.join("checkpoints/retrain/macs-0.6")).unwrap();
        fs::write(run.join("checkpoints/retrain/macs-0.6/model-1.ckpt"), "x").unwrap();

        let mut labels = Labels::of_run(run).unwrap();
        for (budget, expected) in [
            ("Share({\"hidden\": 0.5})", "share-0.5"),
            ("Share({\"head_dim\": 0.5})", "share-0.5-2"),
            ("Share({\"tokens\": 0.5})", "share-0.5-3"),
            ("Share({\"tokens\": 0.5})", "share-0.5-3"),
            ("Share({\"tokens\": 0.7})", "share-0.7-2"),
            ("Macs(0.4)", "macs-0.4"),
            ("Macs(0.6)", "macs-0.6-2"),
            ("Params(\"2 k\")", "params-2k"),
            ("Params(\"2k\")", "params-2k"),
        ] {
            assert_eq!(labels.of(&ron::from_str(budget).unwrap()), expected, "{budget}");
        }
    }
}
