//! Extends a run: its experiment adds budgets to the search that its folder has.

use std::path::{Path, PathBuf};

use super::belongs;
use super::budget::label;
use super::finished::flaw;
use super::folder::{FRONTIER, FolderError, SUBNETS, SUMMARY, io};
use super::subnet_result::{SubnetResult, all_cut};
use super::target::finished_labels;
use crate::data::Stage;
use crate::experiment::{Budget, CutRule, Experiment, Keyed};
use crate::slim::{CutTokens, NormStatistics, RankingRule};
use crate::train::{RECORD, checkpoint_folder, events_folder, forget_retraining, has_checkpoint, is_whole};
use crate::whole_file::remove_all;

/// How an experiment extends the one whose folder it uses.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Extension {
    /// It is the same experiment.
    None,
    /// It adds budgets. The sub-networks with these labels were only started, and are not wanted any more.
    More(Vec<String>),
    /// It adds budgets, but the folder no longer has everything that it would extend.
    Bare,
    /// It adds a budget with this label, which a sub-network of another one has that was cut out of the search.
    Taken {
        /// The label.
        label: String,
        /// That of the sub-network that the added budget itself left, if it was cut before.
        cut_as: Option<String>,
    },
}

/// An experiment split in two: everything up to its search, and its sub-networks.
struct Outline {
    whole: Experiment,
    search: Experiment,
    /// Labels of the sub-networks, and the settings that each depends on.
    subnets: Vec<(String, Experiment)>,
}

impl Outline {
    /// The outline of the experiment in `text`, which spells out every default, in the folder `run`.
    fn read(run: &Path, text: &str) -> Option<Self> {
        let experiment = belongs::read(run, text)?;
        let mut subnets: Vec<(String, Experiment)> = Vec::new();
        for budget in &experiment.budgets {
            let label = label(budget, |label| subnets.iter().any(|(taken, _)| taken == label));
            subnets.push((label, of_subnet(&experiment, budget)));
        }
        let search = Experiment {
            budgets: Vec::new(),
            cut: CutRule::default(),
            norm: NormStatistics::default(),
            tokens: CutTokens::default(),
            correct: false,
            ranking: RankingRule::default(),
            keep_at_least: Keyed::default(),
            protect: Vec::new(),
            round_to: None,
            retrain: None,
            ..experiment.clone()
        };
        Some(Self { whole: experiment, search, subnets })
    }
}

/// What the sub-network of `budget` depends on in `experiment`.
fn of_subnet(experiment: &Experiment, budget: &Budget) -> Experiment {
    // Shares do not depend on how masks of different keys compare.
    let ranking = if budget.limits_all() { experiment.ranking } else { RankingRule::default() };
    Experiment { budgets: vec![budget.clone()], ranking, ..experiment.clone() }
}

/// How the experiment `here` extends `there`, which filled the folder `path`; `None` if it is another experiment, or if something
/// that was trained would be lost.
///
/// # Errors
///
/// When a file cannot be read.
pub(super) fn extension(path: &Path, there: &str, here: &str) -> Result<Option<Extension>, FolderError> {
    let (Some(there), Some(here)) = (Outline::read(path, there), Outline::read(path, here)) else {
        return Ok(None);
    };
    if there.search != here.search {
        return Ok(None);
    }
    let cut = all_cut(path)?;
    for (label, budget) in &cut {
        let is_own = there.subnets.iter().any(|(own, _)| own == label);
        if is_own || !(is_finished(path, label) || has_checkpoint(path, Stage::Retrain, Some(label))) {
            continue;
        }
        // `vitslim slim` cut it, as the experiment said then.
        if of_subnet(&there.whole, budget) != of_subnet(&here.whole, budget) {
            return Ok(None);
        }
        let is_other =
            |(own, subnet): &&(String, Experiment)| own == label && !subnet.budgets[0].is_same(budget);
        if let Some((_, added)) = here.subnets.iter().find(is_other) {
            let mut same = cut.iter().filter(|(_, other)| other.is_same(&added.budgets[0]));
            let cut_as = same.next().map(|(label, _)| label.clone());
            return Ok(Some(Extension::Taken { label: label.clone(), cut_as }));
        }
    }
    if there.subnets == here.subnets {
        return Ok(Some(Extension::None));
    }
    Ok(appended(path, there, here))
}

/// How `here` extends `there`, where both are of the same search.
fn appended(path: &Path, there: Outline, here: Outline) -> Option<Extension> {
    let (kept, gone): (Vec<_>, Vec<_>) =
        there.subnets.into_iter().partition(|subnet| here.subnets.contains(subnet));
    if gone
        .iter()
        .any(|(label, _)| is_finished(path, label) || has_checkpoint(path, Stage::Retrain, Some(label)))
    {
        return None;
    }
    let has_trained = path.join(SUMMARY).exists() || kept.iter().any(|(label, _)| is_finished(path, label));
    match has_trained && !has_search(path, &there.search) {
        true => Some(Extension::Bare),
        false => Some(Extension::More(gone.into_iter().map(|(label, _)| label).collect())),
    }
}

fn is_finished(path: &Path, label: &str) -> bool {
    path.join(SubnetResult::file(label)).exists()
}

/// Whether the experiments `there` and `here` of the run in the folder `path`, which share a search, cut a network out of it alike, given the
/// same budget.
pub(super) fn cuts_alike(path: &Path, there: &str, here: &str) -> bool {
    let cut =
        |text: &str| Some(Experiment { budgets: Vec::new(), retrain: None, ..belongs::read(path, text)? });
    there == here || cut(there).is_some_and(|there| cut(here) == Some(there))
}

/// Whether the folder `path` has the whole search of the experiment in the text `there`, so that sub-networks can be cut out of it.
pub(super) fn is_searched(path: &Path, there: &str) -> bool {
    belongs::read(path, there).is_some_and(|experiment| has_search(path, &experiment))
}

fn has_search(path: &Path, experiment: &Experiment) -> bool {
    flaw(path, experiment).is_none()
}

/// Removes the results from the folder `path`, and leaves all that was trained. Says whether there were any.
///
/// # Errors
///
/// When they could not be measured again, or a file cannot be removed.
pub(super) fn forget_results(path: &Path, there: &str) -> Result<bool, FolderError> {
    let labels = finished_labels(path);
    let of_run = [SUMMARY, FRONTIER].map(str::to_owned);
    let names = labels.iter().map(|label| SubnetResult::file(label)).chain(of_run);
    let results: Vec<PathBuf> = names.map(|name| path.join(name)).filter(|file| file.exists()).collect();
    let is_as_cut = |label: &String| {
        let result = SubnetResult::read(path, label).ok().flatten();
        result.is_some_and(|result| result.summary.top1_retrained.is_none())
    };
    let is_retrained = |label: &String| {
        let retrain = belongs::read(path, there).and_then(|experiment| experiment.retrain);
        retrain.is_none_or(|training| is_whole(path, Stage::Retrain, Some(label), &training))
    };
    let is_measurable =
        || is_searched(path, there) && labels.iter().all(|label| is_as_cut(label) || is_retrained(label));
    if !results.is_empty() && !is_measurable() {
        let consequence = "the test split, which has changed, cannot be measured again".to_owned();
        return Err(FolderError::Bare { path: path.to_owned(), consequence });
    }
    remove_all(&results).map_err(io("remove", path))?;
    Ok(!results.is_empty())
}

/// Removes from the folder `path` what no longer holds, including the sub-networks with the labels `gone`.
pub(super) fn extend(path: &Path, gone: &[String]) -> Result<(), FolderError> {
    let removed = |path: PathBuf| remove_all(std::slice::from_ref(&path)).map_err(io("remove", &path));
    removed(path.join(SUMMARY))?;
    for label in gone {
        forget_retraining(path, label).map_err(io("mend", &path.join(RECORD)))?;
        removed(path.join(SUBNETS).join(label))?;
        removed(path.join(checkpoint_folder(Stage::Retrain, Some(label))))?;
        removed(path.join(events_folder(Stage::Retrain.name(), Some(label))))?;
    }
    Ok(())
}
