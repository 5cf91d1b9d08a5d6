//! Whether what a folder holds belongs to a run: the same experiment, on the same data.

use std::path::Path;

use super::data_record::DataRecord;
use super::folder::{EXPERIMENT, FolderError, NORMALISATION, RunFolder};
use super::state::summary;
use super::trained::trained;
use crate::data::{DataContent, Normalisation, SplitKind};
use crate::experiment::{Document, Experiment, Keep};
use crate::report::PlannedTrial;

/// What stands for the experiment of a folder that has none.
pub(super) const NO_EXPERIMENT: &str = "(no experiment.ron)";

/// Checks that the folder `path` can be used for the trial `planned`: nothing was trained there, or just that.
///
/// # Errors
///
/// When it has the results of another experiment, or of other data.
pub(crate) fn check(path: &Path, planned: &PlannedTrial) -> Result<(), FolderError> {
    if !path.is_dir() || !RunFolder::has_results(path) {
        return Ok(());
    }
    let there = RunFolder::read_in(path, EXPERIMENT)?.unwrap_or_else(|| NO_EXPERIMENT.to_owned());
    if !is_same(&there, &planned.resolved) {
        return Err(other_experiment(path, &there, &planned.resolved));
    }
    data_of(planned).map_or(Ok(()), |data| check_data(path, &data).map(|_| ()))
}

/// Whether the run in the folder `path` is complete, and is that of the trial `planned`.
pub(crate) fn is_complete(path: &Path, planned: &PlannedTrial) -> bool {
    let there = RunFolder::read_in(path, EXPERIMENT).ok().flatten();
    there.is_some_and(|there| is_same(&there, &planned.resolved))
        && data_of(planned).is_some_and(|data| matches!(check_data(path, &data), Ok(Data::Same)))
        && summary(path).is_some()
}

fn data_of(planned: &PlannedTrial) -> Option<DataContent> {
    serde_json::from_str(&planned.data).ok()
}

/// How the data of a run compare with those that its folder records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Data {
    /// They are the same, or nothing is recorded.
    Same,
    /// Only the test split is another, which nothing is trained on.
    OtherTest,
}

/// Compares `data` with what the folder `path` records.
///
/// # Errors
///
/// When what was trained there was trained on other data.
pub(super) fn check_data(path: &Path, data: &DataContent) -> Result<Data, FolderError> {
    let Some(record) = DataRecord::read(path)? else { return Ok(Data::Same) };
    let change = |splits: &[SplitKind]| record.content.change(data, splits);
    match change(&[SplitKind::Train, SplitKind::HeldOut]) {
        Some(change) => Err(FolderError::ChangedData { path: path.to_owned(), change, lost: trained(path) }),
        None if change(&[SplitKind::Test]).is_some() => Ok(Data::OtherTest),
        None => Ok(Data::Same),
    }
}

/// Checks that `normalisation` is that which the run in the folder `path` began with, if it is known.
///
/// # Errors
///
/// When it is another.
pub(super) fn check_normalisation(path: &Path, normalisation: &Normalisation) -> Result<(), FolderError> {
    let Some(there) = RunFolder::read_in(path, NORMALISATION)? else { return Ok(()) };
    if serde_json::from_str(&there).is_ok_and(|there: Normalisation| there == *normalisation) {
        return Ok(());
    }
    let here = serde_json::to_string(normalisation).unwrap_or_default();
    let path = path.join(NORMALISATION);
    Err(FolderError::OtherData { path, there: there.trim_end().to_owned(), here })
}

/// The experiment in `text`, whatever its data, which are compared by content, and whichever checkpoints stay; `None` if this version cannot read it.
pub(super) fn read(text: &str) -> Option<Experiment> {
    let experiment = Document::parse(EXPERIMENT, text, &[]).ok()?.experiment().ok()?;
    let data = experiment.data.beside_content();
    Some(Experiment { data, keep: Keep::default(), ..experiment })
}

/// Whether both texts say the same experiment: another version may spell it otherwise, and its data may lie elsewhere.
pub(super) fn is_same(there: &str, here: &str) -> bool {
    there == here || read(there).is_some_and(|there| Some(there) == read(here))
}

pub(super) fn other_experiment(path: &Path, there: &str, here: &str) -> FolderError {
    let written = |text: &str| {
        let experiment = read(text)?;
        ron::ser::to_string_pretty(&experiment, ron::ser::PrettyConfig::new()).ok()
    };
    let [there, here] = [there, here].map(|text| written(text).unwrap_or_else(|| text.to_owned()));
    let differing = there.lines().zip(here.lines()).find(|(there, here)| there != here);
    let (there, here) = differing.unwrap_or(("", ""));
    FolderError::OtherExperiment {
        path: path.to_owned(),
        there: there.trim().to_owned(),
        here: here.trim().to_owned(),
        lost: trained(path),
    }
}
