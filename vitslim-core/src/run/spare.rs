//! Files that no run needs any more.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::Metadata;
use std::io::Error;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use super::folder::EXPERIMENT;
use super::listing::run_folders;
use super::lock::is_locked;
use super::sharing::SHARED;
use crate::data::Stage;
use crate::experiment::{Document, Experiment, Keep, Training};
use crate::report::{RunState, SpareFolder};
use crate::train::{checkpoint_folder, is_followed, shared_stage, spare_of_shared};
use crate::whole_file::remove;

/// The files below `folder` that no run needs any more, by the folders they are in: of complete stages that the run went on from, all
/// but the weights that they ended with; and the shared stages of complete sweeps that none of their trials comes from. Runs that a
/// process works on, and those that keep all of their checkpoints, are left out.
pub fn spare(folder: &Path) -> Vec<SpareFolder> {
    let mut found: BTreeMap<PathBuf, Vec<PathBuf>> = BTreeMap::new();
    let mut sweeps = HashSet::new();
    for run in run_folders(folder) {
        let sweep = run.parent().unwrap_or(Path::new(""));
        if sweep.join(SHARED).is_dir() && sweeps.insert(sweep.to_owned()) {
            for stage in unneeded(sweep) {
                let files = WalkDir::new(&stage).into_iter().flatten().map(|entry| entry.into_path());
                found.insert(stage.clone(), files.filter(|path| path.is_file()).collect());
            }
        }
        let Some(experiment) = experiment(&run).filter(|found| found.keep == Keep::Last && !is_locked(&run))
        else {
            continue;
        };
        let is_complete = RunState::of(&run) == RunState::Complete;
        for (stage, subnet, training) in stages(&run, &experiment) {
            let subnet = subnet.as_deref();
            // An earlier version saved weights that had diverged in their last step, from which nothing goes on.
            if !is_complete && !is_followed(&run, stage, subnet) {
                continue;
            }
            let own = run.join(checkpoint_folder(stage, subnet));
            if let Some(shared) = shared_stage(&own).map(|name| sweep.join(SHARED).join(name))
                && !is_locked(&shared)
            {
                found.insert(shared.clone(), spare_of_shared(&shared, stage, &training));
            }
            found.insert(own, crate::train::spare(&run, stage, subnet, &training));
        }
    }
    let mut links = HashMap::new();
    let spare = found.into_iter().filter(|(_, files)| !files.is_empty());
    spare
        .map(|(path, files)| SpareFolder {
            bytes: files.iter().map(|file| freed(file, &mut links)).sum(),
            path,
            files,
        })
        .collect()
}

/// Removes `spare`.
///
/// # Errors
///
/// When a file cannot be removed.
pub fn free(spare: &[SpareFolder]) -> Result<(), (PathBuf, Error)> {
    for folder in spare {
        for file in &folder.files {
            remove(file).map_err(|error| (file.clone(), error))?;
        }
        // Of a shared stage, nothing is left; other folders are not empty.
        let _ = std::fs::remove_dir(&folder.path);
    }
    Ok(())
}

/// Removes the shared stages of the complete sweep in `folder` that none of its trials comes from. What cannot be removed only takes up
/// space.
pub fn free_unneeded(folder: &Path) {
    unneeded(folder).iter().for_each(|stage| drop(remove(stage)));
}

/// The shared stages of the sweep in `sweep` that none of its trials comes from, if they are complete.
fn unneeded(sweep: &Path) -> Vec<PathBuf> {
    let trials = run_folders(sweep);
    if trials.iter().any(|trial| RunState::of(trial) != RunState::Complete) {
        return Vec::new();
    }
    let folders = trials.iter().flat_map(|trial| WalkDir::new(trial.join("checkpoints")));
    let needed: HashSet<String> = folders.flatten().filter_map(|entry| shared_stage(entry.path())).collect();
    let stages = std::fs::read_dir(sweep.join(SHARED)).into_iter().flatten().flatten();
    let is_unneeded = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        !needed.contains(name.as_ref()) && !is_locked(path)
    };
    stages.map(|entry| entry.path()).filter(is_unneeded).collect()
}

fn experiment(run: &Path) -> Option<Experiment> {
    let text = std::fs::read_to_string(run.join(EXPERIMENT)).ok()?;
    Document::parse(EXPERIMENT, &text, &[]).ok()?.experiment().ok()
}

/// The stages of a run with their sub-networks and settings.
fn stages(run: &Path, experiment: &Experiment) -> Vec<(Stage, Option<String>, Training)> {
    let searches = experiment.search_training().map(|training| (Stage::Search, None, training));
    let pretrains = experiment.pretrain.clone().map(|training| (Stage::Pretrain, None, training));
    let mut stages: Vec<_> = searches.into_iter().chain(pretrains).collect();
    if let Some(training) = &experiment.retrain {
        let subnets = std::fs::read_dir(run.join(checkpoint_folder(Stage::Retrain, None)));
        let subnets = subnets.into_iter().flatten().flatten();
        let labels = subnets.filter_map(|entry| entry.file_name().into_string().ok());
        stages.extend(labels.map(|label| (Stage::Retrain, Some(label), training.clone())));
    }
    stages
}

/// Bytes that become free when `file` is removed, after those whose links are counted in `links`: a file has them once, with the last of
/// its names.
fn freed(file: &Path, links: &mut HashMap<(u64, u64), u64>) -> u64 {
    let Ok(found) = file.metadata() else { return 0 };
    let (key, names) = names(&found);
    let removed = links.entry(key).or_default();
    *removed += 1;
    if names <= 1 || *removed == names { found.len() } else { 0 }
}

/// Which file it is, and how many names it has.
#[cfg(unix)]
fn names(file: &Metadata) -> ((u64, u64), u64) {
    use std::os::unix::fs::MetadataExt;

    ((file.dev(), file.ino()), file.nlink())
}

#[cfg(not(unix))]
fn names(_: &Metadata) -> ((u64, u64), u64) {
    ((0, 0), 1)
}
