//! An experiment that asks for more of a search that a folder holds: budgets that are new.

use std::fs::read_dir;
use std::path::{Path, PathBuf};

use super::folder::{FolderError, io};
use super::keys::label;
use super::pipeline::{RESULT, SUBNETS};
use crate::data::Stage;
use crate::experiment::{Budget, CutRule, Document, Experiment};
use crate::train::{RECORD, checkpoint_folder, forget_retraining};
use crate::whole_file::remove;

/// An experiment as far as its search, and what comes after it.
struct Outline {
    search: Experiment,
    /// Labels of the sub-networks, and what they are made by.
    subnets: Vec<(String, Experiment)>,
}

impl Outline {
    /// That of the experiment in `text`, every default spelled out.
    fn read(text: &str) -> Option<Self> {
        let experiment = Document::parse("experiment.ron", text, &[]).ok()?.experiment().ok()?;
        let mut subnets: Vec<(String, Experiment)> = Vec::new();
        for budget in &experiment.budgets {
            let Budget::Share(shares) = budget;
            let label = label(shares.iter().map(|(_, share)| share.get()), |label| {
                subnets.iter().any(|(taken, _)| taken == label)
            });
            subnets.push((label, Experiment { budgets: vec![budget.clone()], ..experiment.clone() }));
        }
        let search = Experiment {
            budgets: Vec::new(),
            cut: CutRule::default(),
            round_to: None,
            retrain: None,
            ..experiment
        };
        Some(Self { search, subnets })
    }
}

/// What has to go from the folder `path`, which the experiment `there` has filled, before that of `here` can go on from the same
/// search: labels of sub-networks that were only begun. `None` where it cannot, or would lose one that was trained.
pub(super) fn outgrown(path: &Path, there: &str, here: &str) -> Option<Vec<String>> {
    let (there, here) = (Outline::read(there)?, Outline::read(here)?);
    if there.search != here.search {
        return None;
    }
    let gone = there.subnets.into_iter().filter(|subnet| !here.subnets.contains(subnet));
    let gone: Vec<String> = gone.map(|(label, _)| label).collect();
    (!gone.iter().any(|label| is_trained(path, label))).then_some(gone)
}

/// Whether the sub-network `label` has cost time.
fn is_trained(path: &Path, label: &str) -> bool {
    let checkpoints = path.join(checkpoint_folder(Stage::Retrain, Some(label)));
    path.join(SUBNETS).join(label).join(RESULT).exists()
        || read_dir(checkpoints).is_ok_and(|mut files| files.next().is_some())
}

/// Removes from the folder `path` what is not true of it any more, the sub-networks `outgrown` among it.
pub(super) fn grow(path: &Path, outgrown: &[String]) -> Result<(), FolderError> {
    let removed = |path: PathBuf| remove(&path).map_err(io("remove", &path));
    removed(path.join("summary.json"))?;
    for label in outgrown {
        removed(path.join(SUBNETS).join(label))?;
        removed(path.join(checkpoint_folder(Stage::Retrain, Some(label))))?;
        forget_retraining(path, label).map_err(io("write", &path.join(RECORD)))?;
    }
    Ok(())
}
