//! Finds the network of a run that a path names.

use std::path::{Path, PathBuf};

use miette::Diagnostic;
use thiserror::Error;

use super::folder::{EXPERIMENT, RESULT, START, SUBNETS};
use crate::experiment::{Trial, did_you_mean};

/// A network of a run: `runs/a/seed=1` is the dense one, `runs/a/seed=1/subnets/share-0.5` a sub-network, as is
/// `runs/a/seed=1/share-0.5`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Folder of the run.
    pub run: PathBuf,
    /// Label of the sub-network; `None` is the dense one.
    pub label: Option<String>,
}

/// A path that names no network.
#[derive(Debug, Error, Diagnostic, PartialEq, Eq)]
pub enum TargetError {
    /// The path does not exist.
    #[error("there is no folder `{}`", .0.display())]
    #[diagnostic(help(
        "the folder of a run is `<out>/<name>/seed=<seed>`; `vitslim run` prints it at the end"
    ))]
    Missing(PathBuf),
    /// The folder is not that of a run.
    #[error("`{}` is not the folder of a run: there is no `experiment.ron` in it", .path.display())]
    #[diagnostic(help("{help}"))]
    NoRun {
        /// The folder that was given.
        path: PathBuf,
        /// What was probably meant, as the help of the error.
        help: String,
    },
    /// The path names a sub-network where a run is needed.
    #[error("`{}` is a sub-network, and a run is needed here", .path.display())]
    #[diagnostic(help("name its run: `{}`", .run.display()))]
    Subnet {
        /// The path that was given.
        path: PathBuf,
        /// Folder of its run.
        run: PathBuf,
    },
    /// The run has no such sub-network.
    #[error("the run in `{}` has no sub-network `{label}`{hint}", .run.display())]
    #[diagnostic(help("{help}"))]
    NoSubnet {
        /// Folder of the run.
        run: PathBuf,
        /// The label that was asked for.
        label: String,
        /// The most similar label, as the end of the message.
        hint: String,
        /// The labels that the run has.
        help: String,
    },
}

impl Target {
    /// Name of the run's trial, which is that of its folder.
    pub fn trial(&self) -> String {
        let folder = self.run.canonicalize().unwrap_or_else(|_| self.run.clone());
        folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// The network that `path` names.
    ///
    /// # Errors
    ///
    /// When the path does not exist, is not the folder of a run, or the run has no such sub-network.
    pub fn find(path: &Path) -> Result<Self, TargetError> {
        if is_run(path) {
            return Ok(Self { run: path.to_owned(), label: None });
        }
        let Some((run, label)) = run_and_label(path) else {
            return Err(match path.exists() {
                true => TargetError::NoRun { path: path.to_owned(), help: runs_below(path) },
                false => TargetError::Missing(path.to_owned()),
            });
        };
        let labels = labels(&run);
        if labels.contains(&label) {
            return Ok(Self { run, label: Some(label) });
        }
        let hint = did_you_mean(&label, labels.iter().map(String::as_str));
        let help = match labels.is_empty() {
            true => "it has none yet: the run was stopped before it cut one out".to_owned(),
            false => format!("sub-networks: {}", labels.join(", ")),
        };
        Err(TargetError::NoSubnet { run, label, hint, help })
    }

    /// The run in the folder `path`, by its dense network.
    ///
    /// # Errors
    ///
    /// Those of [`Target::find`], and when the path names a sub-network.
    pub fn find_run(path: &Path) -> Result<Self, TargetError> {
        match Self::find(path)? {
            Self { run, label: Some(_) } => Err(TargetError::Subnet { path: path.to_owned(), run }),
            target => Ok(target),
        }
    }

    /// Its name within the run: `dense`, or the label.
    pub fn name(&self) -> &str {
        self.label.as_deref().unwrap_or(DENSE)
    }

    /// The run's resolved experiment.
    pub fn experiment(&self) -> PathBuf {
        self.run.join(EXPERIMENT)
    }

    /// `trial`, what the experiment of the run says, as the trial of the run: it starts from the copy that the run has of the network
    /// that it started from, if it has one.
    #[must_use]
    pub fn own(&self, trial: Trial) -> Trial {
        let mut trial = trial.named(&self.trial());
        let copy = self.run.join(START);
        let pretrained = &mut trial.experiment.model.pretrained;
        if pretrained.is_some() && copy.is_file() {
            *pretrained = Some(copy);
        }
        trial
    }

    /// The labels of the sub-networks of the same run, in alphabetical order.
    pub(super) fn labels(&self) -> Vec<String> {
        labels(&self.run)
    }

    /// The dense network of the same run.
    pub fn dense(&self) -> Self {
        Self { run: self.run.clone(), label: None }
    }

    /// All networks of the same run: the dense one, and the complete sub-networks in alphabetical order.
    pub fn whole_run(&self) -> Vec<Self> {
        let subnets = finished_labels(&self.run)
            .into_iter()
            .map(|label| Self { run: self.run.clone(), label: Some(label) });
        std::iter::once(self.dense()).chain(subnets).collect()
    }
}

/// Name of the dense network.
pub(crate) const DENSE: &str = "dense";

fn is_run(folder: &Path) -> bool {
    folder.join(EXPERIMENT).is_file()
}

/// `<run>/<label>` or `<run>/subnets/<label>`.
fn run_and_label(path: &Path) -> Option<(PathBuf, String)> {
    let label = path.file_name()?.to_str()?.to_owned();
    let above = path.parent()?;
    let run = if above.ends_with(SUBNETS) { above.parent()? } else { above };
    is_run(run).then(|| (run.to_owned(), label))
}

/// The labels of the sub-networks of the run in the folder `run`, in alphabetical order.
pub(super) fn labels(run: &Path) -> Vec<String> {
    folders(&run.join(SUBNETS))
}

/// Those of the sub-networks that have results.
pub(super) fn finished_labels(run: &Path) -> Vec<String> {
    let is_finished = |label: &String| run.join(SUBNETS).join(label).join(RESULT).is_file();
    labels(run).into_iter().filter(is_finished).collect()
}

fn runs_below(path: &Path) -> String {
    let runs: Vec<_> = folders(path).into_iter().filter(|name| is_run(&path.join(name))).collect();
    match runs.is_empty() {
        true => "the folder of a run is `<out>/<name>/seed=<seed>`".to_owned(),
        false => format!("runs in it: {}", runs.join(", ")),
    }
}

fn folders(path: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.path().is_dir());
    let mut names: Vec<_> = folders.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_and_both_forms_of_a_sub_network() {
        let out = tempfile::tempdir().unwrap();
        let run = out.path().join("a/seed=1");
        std::fs::create_dir_all(run.join("subnets/share-0.5")).unwrap();
        std::fs::create_dir_all(run.join("checkpoints")).unwrap();
        std::fs::write(run.join("experiment.ron"), "").unwrap();
        let found = |path: &str| Target::find(&out.path().join(path));
        let target = |label: Option<&str>| Target { run: run.clone(), label: label.map(str::to_owned) };
        assert_eq!(found("a/seed=1"), Ok(target(None)));
        assert_eq!(found("a/seed=1/"), Ok(target(None)));
        assert_eq!(found("a/seed=1/share-0.5"), Ok(target(Some("share-0.5"))));
        assert_eq!(found("a/seed=1/subnets/share-0.5/"), Ok(target(Some("share-0.5"))));

        let error = found("a/seed=1/share-0.6").unwrap_err();
        assert!(
            error.to_string().ends_with("no sub-network `share-0.6`; did you mean `share-0.5`?"),
            "{error}"
        );
        // Folders in the run that hold no sub-network do not count.
        assert!(matches!(found("a/seed=1/checkpoints"), Err(TargetError::NoSubnet { .. })));
        assert!(matches!(found("b/seed=1"), Err(TargetError::Missing(_))));
        match found("a").unwrap_err() {
            TargetError::NoRun { help, .. } => assert_eq!(help, "runs in it: seed=1"),
            error => panic!("{error}"),
        }
    }
}
