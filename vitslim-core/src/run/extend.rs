//! A run that is extended: its experiment asks for further budgets of the search that its folder holds.

use std::path::{Path, PathBuf};

use super::folder::{FolderError, RESULT, SUBNETS, SUMMARY, io};
use super::keys::label;
use crate::data::Stage;
use crate::experiment::{Budget, CutRule, Document, Experiment};
use crate::train::{RECORD, checkpoint_folder, events_folder, forget_retraining, has_checkpoint, is_whole};
use crate::whole_file::remove;

/// How an experiment goes on from another, in whose folder it is to be run.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Extension {
    /// It asks for the same.
    None,
    /// It asks for more. Of the sub-networks of before, those of these labels were only begun, and are not asked for any more.
    More(Vec<String>),
    /// It asks for more, but what was trained has not left all that it would go on from.
    Bare,
}

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

/// How the experiment `here` goes on from `there`, by which the folder `path` was filled; `None` where it is another, or where
/// something that was trained would be lost.
pub(super) fn extension(path: &Path, there: &str, here: &str) -> Option<Extension> {
    let (there, here) = (Outline::read(there)?, Outline::read(here)?);
    if there.search != here.search {
        return None;
    }
    if there.subnets == here.subnets {
        return Some(Extension::None);
    }
    let is_finished = |label: &str| path.join(SUBNETS).join(label).join(RESULT).exists();
    let (kept, gone): (Vec<_>, Vec<_>) =
        there.subnets.into_iter().partition(|subnet| here.subnets.contains(subnet));
    if gone.iter().any(|(label, _)| is_finished(label) || has_checkpoint(path, Stage::Retrain, Some(label))) {
        return None;
    }
    let Experiment { pretrain, search, .. } = &there.search;
    let searched = || {
        pretrain.as_ref().is_none_or(|training| is_whole(path, Stage::Pretrain, None, training))
            && is_whole(path, Stage::Search, None, &search.training())
    };
    let mut finished = kept.iter().filter(|(label, _)| is_finished(label)).peekable();
    let has_trained = path.join(SUMMARY).exists() || finished.peek().is_some();
    let is_bare = has_trained && !searched()
        || finished.any(|(label, experiment)| {
            let retrain = experiment.retrain.as_ref();
            retrain.is_some_and(|training| !is_whole(path, Stage::Retrain, Some(label), training))
        });
    match is_bare {
        true => Some(Extension::Bare),
        false => Some(Extension::More(gone.into_iter().map(|(label, _)| label).collect())),
    }
}

/// Removes from the folder `path` what is not true of it any more, the sub-networks of the labels `gone` among it.
pub(super) fn extend(path: &Path, gone: &[String]) -> Result<(), FolderError> {
    let removed = |path: PathBuf| remove(&path).map_err(io("remove", &path));
    removed(path.join(SUMMARY))?;
    for label in gone {
        forget_retraining(path, label).map_err(io("mend", &path.join(RECORD)))?;
        removed(path.join(SUBNETS).join(label))?;
        removed(path.join(checkpoint_folder(Stage::Retrain, Some(label))))?;
        removed(path.join(events_folder(Stage::Retrain.name(), Some(label))))?;
    }
    Ok(())
}
