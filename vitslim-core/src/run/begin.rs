//! Starts or resumes a run in its folder, which may hold what an earlier run left.

use super::extend::{Extension, extend, extension};
use super::folder::{EXPERIMENT, FolderError, NORMALISATION, RunFolder};
use crate::data::Normalisation;

/// Writes `experiment.ron` and the normalisation of the pixels. What an earlier run of the same experiment left stays, to resume
/// from, unless the run starts `afresh`. So does what a run with fewer budgets left, if this one `may_extend` it. Another
/// experiment takes the folder over if nothing has been trained there.
///
/// # Errors
///
/// When the folder has results of another experiment or of other data, or a file cannot be read or written.
pub(super) fn begin(
    folder: &RunFolder,
    experiment: &str,
    normalisation: &Normalisation,
    afresh: bool,
    may_extend: bool,
) -> Result<(), FolderError> {
    let there = folder.read(EXPERIMENT)?;
    let extension = match &there {
        Some(there) if there == experiment => Some(Extension::None),
        Some(there) if may_extend && RunFolder::has_results(folder.path()) => {
            extension(folder.path(), there, experiment)
        }
        _ => None,
    };
    match extension {
        Some(_) if afresh => folder.remove_results()?,
        Some(Extension::None) => {}
        Some(Extension::More(gone)) => {
            check_normalisation(folder, normalisation)?;
            extend(folder.path(), &gone)?;
        }
        Some(Extension::Bare) => return Err(FolderError::Bare(folder.path().to_owned())),
        None => {
            RunFolder::check(folder.path(), experiment)?;
            folder.remove_results()?;
        }
    }
    folder.write(EXPERIMENT, experiment.as_bytes())?;
    match check_normalisation(folder, normalisation)? {
        Some(text) => folder.write(NORMALISATION, format!("{text}\n").as_bytes()),
        None => Ok(()),
    }
}

/// The `normalisation` to record, unless it is recorded. A run that resumes must find the values it started with.
fn check_normalisation(
    folder: &RunFolder,
    normalisation: &Normalisation,
) -> Result<Option<String>, FolderError> {
    let path = folder.path().join(NORMALISATION);
    let here = serde_json::to_string(normalisation).map_err(|error| FolderError::Io {
        action: "write",
        path: path.clone(),
        source: error.into(),
    })?;
    match folder.read(NORMALISATION)? {
        None => Ok(Some(here)),
        Some(there)
            if serde_json::from_str(&there).is_ok_and(|there: Normalisation| there == *normalisation) =>
        {
            Ok(None)
        }
        Some(there) => Err(FolderError::OtherData { path, there: there.trim_end().to_owned(), here }),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn normalisation() -> Normalisation {
        Normalisation { white: 255, mean: vec![0.5], std: vec![1.0], images: 9 }
    }

    fn opened(out: &Path, trial: &str, experiment: &str, afresh: bool) -> Result<RunFolder, FolderError> {
        let folder = RunFolder::open(out, "a", trial)?;
        super::begin(&folder, experiment, &normalisation(), afresh, true)?;
        Ok(folder)
    }

    #[test]
    fn the_same_experiment_goes_on_or_begins_afresh_and_another_is_refused() {
        let out = tempfile::tempdir().unwrap();
        let begin = |experiment: &str, afresh| opened(out.path(), "seed=1", experiment, afresh);
        let folder = begin("one", false).unwrap();
        folder.write("subnets/x/plan.ron", b"x").unwrap();
        folder.write("summary.json", b"{}").unwrap();
        std::fs::write(folder.path().join("notes.txt"), "mine").unwrap();
        let path = folder.path().to_owned();
        drop(folder);

        let error = begin("two", true).unwrap_err();
        assert!(matches!(error, FolderError::OtherExperiment { .. }), "{error}");
        // A run that failed before its first epoch leaves nothing to lose.
        let untrained = out.path().join("a/seed=2");
        std::fs::create_dir_all(untrained.join("checkpoints/pretrain")).unwrap();
        std::fs::write(untrained.join("experiment.ron"), "one").unwrap();
        std::fs::write(untrained.join(NORMALISATION), "{}").unwrap();
        let taken = opened(out.path(), "seed=2", "two", false).unwrap();
        assert_eq!(taken.read("experiment.ron").unwrap().as_deref(), Some("two"));
        assert_eq!(check_normalisation(&taken, &normalisation()).unwrap(), None);
        begin("one", false).unwrap();
        assert!(path.join("summary.json").exists());

        begin("one", true).unwrap();
        assert!(!path.join("summary.json").exists());
        assert!(!path.join("subnets").exists());
        assert!(path.join("notes.txt").exists());
    }

    #[test]
    fn a_run_whose_normalisation_an_earlier_version_wrote_goes_on() {
        let out = tempfile::tempdir().unwrap();
        let folder = opened(out.path(), "seed=1", "one", false).unwrap();
        let older = folder.read(NORMALISATION).unwrap().unwrap().replace("\"std\"", "\"deviation\"");
        folder.write(NORMALISATION, older.as_bytes()).unwrap();
        assert_eq!(check_normalisation(&folder, &normalisation()).unwrap(), None);
        folder.write(NORMALISATION, older.replace("0.5", "0.6").as_bytes()).unwrap();
        let found = check_normalisation(&folder, &normalisation());
        assert!(matches!(found, Err(FolderError::OtherData { .. })), "{found:?}");
    }
}
