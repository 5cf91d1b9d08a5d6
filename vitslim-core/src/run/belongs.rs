//! Whether what a folder holds belongs to a run: the same experiment, on the same data.

use std::path::{Path, PathBuf};

use super::data_record::DataRecord;
use super::folder::{DATA, EXPERIMENT, FolderError, NORMALISATION, RunFolder};
use super::prepared::absolute;
use super::sources::Sources;
use super::state::summary;
use super::trained::trained;
use crate::data::{Normalisation, SplitKind};
use crate::experiment::{Document, Experiment, Keep, Model, Source, parse};
use crate::report::{Difference, PlannedTrial, differences};

/// Most that mean or std of a channel may differ from those that a run began with: versions differ in a pixel of the centre crop, and
/// in the colours of some JPEGs.
const TOLERANCE: f32 = 1e-2;

/// Most fields that a refusal names.
const TOLD: usize = 3;

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
    if !is_same(path, &there, &planned.resolved) {
        return Err(other_experiment(path, &there, &planned.resolved));
    }
    data_of(planned).map_or(Ok(()), |data| compare(path, &data).map(|_| ()))
}

/// Whether the run in the folder `path` is complete, and is that of the trial `planned`.
pub(crate) fn is_complete(path: &Path, planned: &PlannedTrial) -> bool {
    let there = RunFolder::read_in(path, EXPERIMENT).ok().flatten();
    there.is_some_and(|there| is_same(path, &there, &planned.resolved))
        && data_of(planned).is_some_and(|data| matches!(compare(path, &data), Ok(DataMatch::Same)))
        && summary(path).is_some()
}

fn data_of(planned: &PlannedTrial) -> Option<Sources> {
    serde_json::from_str(&planned.data).ok()
}

/// How the data of a run compare with those that its folder records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DataMatch {
    /// They are the same, or nothing is recorded.
    Same,
    /// Only the test split is another, which nothing is trained on.
    OtherTest,
}

/// Compares `sources` with what the folder `path` records.
///
/// # Errors
///
/// When what was trained there was trained on other data, from other weights, or by other teachers.
pub(super) fn compare(path: &Path, sources: &Sources) -> Result<DataMatch, FolderError> {
    let Some(record) = DataRecord::read(path)? else { return Ok(DataMatch::Same) };
    let change = |splits: &[SplitKind]| record.content.data.change(&sources.data, splits);
    if record.content.pretrained != sources.pretrained {
        return Err(FolderError::ChangedWeights { path: path.to_owned(), lost: trained(path) });
    }
    let is_other =
        |(stage, there): &(&String, &String)| sources.teachers.get(*stage).is_some_and(|here| here != *there);
    if let Some((stage, _)) = record.content.teachers.iter().find(is_other) {
        let (path, stage, lost) = (path.to_owned(), stage.clone(), trained(path));
        return Err(FolderError::ChangedTeacher { path, stage, lost });
    }
    match change(&[SplitKind::Train, SplitKind::HeldOut]) {
        Some(change) => Err(FolderError::ChangedData { path: path.to_owned(), change, lost: trained(path) }),
        None if change(&[SplitKind::Test]).is_some() => Ok(DataMatch::OtherTest),
        None => Ok(DataMatch::Same),
    }
}

/// The normalisation that the run in the folder `path` trains with: that which it began with, or `computed`, that of its data, if none
/// is recorded.
///
/// # Errors
///
/// When they are too far apart to be those of the same images, or the file cannot be read.
pub(super) fn normalisation(path: &Path, computed: &Normalisation) -> Result<Normalisation, FolderError> {
    let Some(text) = RunFolder::read_in(path, NORMALISATION)? else { return Ok(computed.clone()) };
    let path = path.join(NORMALISATION);
    let recorded: Normalisation = serde_json::from_str(&text).map_err(|error| FolderError::Damaged {
        path: path.clone(),
        reason: error.to_string(),
        remedy: "delete it: it is made again from the data",
    })?;
    let near = |there: &[f32], here: &[f32]| {
        there.len() == here.len()
            && there.iter().zip(here).all(|(there, here)| (there - here).abs() < TOLERANCE)
    };
    let is_near = near(&recorded.mean, &computed.mean) && near(&recorded.std, &computed.std);
    if is_near && (recorded.white, recorded.images) == (computed.white, computed.images) {
        return Ok(recorded);
    }
    let here = serde_json::to_string(computed).unwrap_or_default();
    Err(FolderError::ChangedNormalisation { path, there: text.trim_end().to_owned(), here })
}

/// The experiment in `text`, which the folder `run` holds or is to hold, whichever checkpoints stay, and whatever its data, the weights that
/// it starts from and those of its teachers: those are known by their record, and only where there is none, by their path. Nor does its preset count, which an earlier
/// version wrote beside the whole configuration. `None` if this version cannot read it.
pub(super) fn read(run: &Path, text: &str) -> Option<Experiment> {
    let experiment = Document::parse(EXPERIMENT, text, &[]).ok()?.experiment().ok()?;
    let is_recorded = run.join(DATA).exists();
    let experiment = match is_recorded {
        true => experiment.map_teachers(|_| PathBuf::new()),
        false => experiment.map_teachers(absolute),
    };
    let (data, model) = match is_recorded {
        true => (experiment.data.beside_content(), experiment.model.map_pretrained(|_| PathBuf::new())),
        false => (experiment.data.map_path(absolute), experiment.model.map_pretrained(absolute)),
    };
    let model = Model { preset: None, ..model };
    Some(Experiment { model, data, keep: Keep::default(), ..experiment })
}

/// Whether both texts say the same experiment in the folder `run`: another version may spell it otherwise, and its data may lie
/// elsewhere.
pub(super) fn is_same(run: &Path, there: &str, here: &str) -> bool {
    there == here || read(run, there).is_some_and(|there| Some(there) == read(run, here))
}

pub(super) fn other_experiment(path: &Path, there: &str, here: &str) -> FolderError {
    let change = change(path, there, here);
    FolderError::OtherExperiment { path: path.to_owned(), change, lost: trained(path) }
}

/// What differs between the texts `there` and `here` of two experiments in the folder `run`, as a clause: fields, or the first line where
/// one of the two cannot be read.
fn change(run: &Path, there: &str, here: &str) -> String {
    let tree = |text: &str| {
        let experiment = ron::to_string(&read(run, text)?).ok()?;
        parse(&Source::new(EXPERIMENT, experiment), 0).ok()?
    };
    let trees = tree(there).zip(tree(here));
    let mut fields = trees.map_or_else(Vec::new, |(there, here)| differences(&[&there, &here]));
    if fields.is_empty() {
        let differing = there.lines().zip(here.lines()).find(|(there, here)| there != here);
        let (there, here) = differing.unwrap_or(("", ""));
        return format!("there it says `{}`, here `{}`", there.trim(), here.trim());
    }
    // Budgets may be added to a run: they are the cause where nothing else is.
    fields.sort_by_key(|field| field.path.starts_with("budgets"));
    let value = |value: &Option<String>| match value {
        Some(value) => format!("`{value}`"),
        None => "not set".to_owned(),
    };
    let told = fields.iter().take(TOLD).map(|Difference { path, values }| match &values[..] {
        [there, here] => format!("`{path}` is {} there and {} here", value(there), value(here)),
        _ => format!("`{path}` differs"),
    });
    let more = match fields.len().saturating_sub(TOLD) {
        0 => String::new(),
        more => format!(", and {more} more differ"),
    };
    told.collect::<Vec<_>>().join(", ") + &more
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::Vit;
    use crate::run::Prepared;

    const EXPERIMENT: &str = "Experiment(name: \"a\", seed: 1, model: (architecture: \"vit\", preset: \
                              \"vit_small_patch14_reg4_dinov2\", config: (depth: 1, reg_tokens: 0, init_values: None)), \
                              data: Random(image_size: 28, channels: 3, classes: 2, images: 20), search: (epochs: 1, \
                              batch: 10, optimizer: AdamW(lr: 1e-3), dimensions: { \"hidden\": (weight: 1e-4) }), \
                              budgets: [Share({ \"hidden\": 0.5 })])";

    fn prepared(text: &str) -> Prepared<Vit> {
        let document = Document::parse("a.ron", text, &[]).unwrap();
        Prepared::new(&document.trial().unwrap()).unwrap()
    }

    #[test]
    fn what_resets_a_preset_stays_reset_in_the_file_of_a_run() {
        let first = prepared(EXPERIMENT);
        assert_eq!((first.config.reg_tokens, first.config.init_values), (0, None));
        let resolved = first.resolved().unwrap();
        assert_eq!(prepared(&resolved).config, first.config, "{resolved}");
        assert_eq!(prepared(&resolved).resolved().unwrap(), resolved);
    }

    #[test]
    fn a_run_of_an_earlier_version_is_the_same_with_the_preset_beside_its_configuration() {
        let here = prepared(EXPERIMENT).resolved().unwrap();
        let there = here.replace("preset: None", "preset: Some(\"vit_small_patch14_reg4_dinov2\")");
        assert_ne!(there, here);
        assert!(is_same(Path::new("run"), &there, &here));
        assert!(!is_same(Path::new("run"), &there.replace("depth: 1,", "depth: 2,"), &here));
    }
}
