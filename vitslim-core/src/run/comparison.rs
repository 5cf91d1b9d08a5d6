//! Reads runs to compare them.

use std::path::{Path, PathBuf, absolute};

use miette::Diagnostic;
use thiserror::Error;

use super::data_record::{DataRecord, test_images};
use super::folder::{EXPERIMENT, FolderError};
use super::listing::{listed, run_folders};
use super::state::summary;
use super::subnet_result::SubnetResult;
use super::target::{DENSE, Target, TargetError};
use crate::data::SplitContent;
use crate::experiment::{Document, LoadError, shortened};
use crate::report::{ComparedNetwork, Comparison, Difference, SubnetSummary, Summary, differences_of_known};

/// Digits of a fingerprint that tell it from others.
const DIGITS: usize = 12;

/// Characters of the names of classes that are told.
const CLASSES: usize = 60;

/// Why runs cannot be compared.
#[derive(Debug, Error, Diagnostic)]
pub enum CompareError {
    /// A path names no run.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Target(#[from] TargetError),
    /// The experiment of a run cannot be read.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Experiment(#[from] LoadError),
    /// Another file of a run cannot be read.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Folder(#[from] FolderError),
}

/// Compares what `paths` name: runs, sub-networks of runs, and folders with all runs below them, such as that of a sweep. A run that is
/// not complete is compared as far as it is.
///
/// # Errors
///
/// When a path names no run, or a file of a run cannot be read.
pub fn compare(paths: &[PathBuf]) -> Result<Comparison, CompareError> {
    let chosen = chosen(paths)?;
    let names = names(&chosen);
    let runs: Vec<Run> = chosen.into_iter().map(Run::read).collect::<Result<_, _>>()?;
    let listed = runs.iter().zip(&names).map(|(run, name)| {
        let mut listed = listed(&run.chosen.folder, &run.chosen.folder);
        listed.run.clone_from(name);
        listed
    });
    let networks = runs.iter().zip(&names).flat_map(|(run, name)| run.networks(&name.display().to_string()));
    Ok(Comparison::new(listed.collect(), differing(&runs), networks.collect()))
}

/// A run, and the sub-networks of it that are compared; `None` if all of its networks are.
struct Chosen {
    folder: PathBuf,
    labels: Option<Vec<String>>,
}

impl Chosen {
    /// Adds the sub-network `label`, or all networks.
    fn add(&mut self, label: Option<String>) {
        match (label, &mut self.labels) {
            (None, labels) => *labels = None,
            (Some(label), Some(labels)) if !labels.contains(&label) => labels.push(label),
            _ => {}
        }
    }
}

/// What `paths` name. What two of them name is there once.
fn chosen(paths: &[PathBuf]) -> Result<Vec<Chosen>, TargetError> {
    let mut chosen: Vec<Chosen> = Vec::new();
    for path in paths {
        let found = match Target::find(path) {
            Ok(target) => vec![(target.run, target.label)],
            Err(error) => {
                let below = run_folders(path);
                if below.is_empty() {
                    return Err(error);
                }
                below.into_iter().map(|run| (run, None)).collect()
            }
        };
        for (run, label) in found {
            let folder = absolute(&run).unwrap_or(run);
            match chosen.iter_mut().find(|known| known.folder == folder) {
                None => chosen.push(Chosen { folder, labels: label.map(|label| vec![label]) }),
                Some(known) => known.add(label),
            }
        }
    }
    Ok(chosen)
}

/// What tells the folders apart: their paths without the folder that all are in.
fn names(chosen: &[Chosen]) -> Vec<PathBuf> {
    let folders = || chosen.iter().map(|chosen| chosen.folder.as_path());
    let is_around_all = |around: &&Path| folders().all(|folder| folder.starts_with(around));
    let parent = folders().next().and_then(Path::parent);
    let around = parent.and_then(|parent| parent.ancestors().find(is_around_all)).unwrap_or(Path::new(""));
    folders().map(|folder| folder.strip_prefix(around).unwrap_or(folder).to_owned()).collect()
}

/// What the folder of a run has, as far as the run is.
struct Run {
    chosen: Chosen,
    /// `None` of a trial that has not begun.
    experiment: Option<Document>,
    record: Option<DataRecord>,
    /// What tells the images of its test split from others.
    test: String,
    summary: Option<Summary>,
}

impl Run {
    fn read(chosen: Chosen) -> Result<Self, CompareError> {
        let folder = &chosen.folder;
        let file = folder.join(EXPERIMENT);
        let experiment = file.is_file().then(|| Document::read(&file, &[])).transpose()?;
        let (record, summary) = (DataRecord::read(folder)?, summary(folder));
        let test = test_images(folder)?;
        Ok(Self { experiment, record, test, summary, chosen })
    }

    /// Its networks, in the order of its budgets, and then those that were cut out later.
    fn networks(&self, run: &str) -> Vec<ComparedNetwork> {
        let network = |network: &str| ComparedNetwork {
            run: run.to_owned(),
            network: network.to_owned(),
            test: self.test.clone(),
            ..ComparedNetwork::default()
        };
        let dense = self.summary.as_ref().filter(|_| self.chosen.labels.is_none()).map(|summary| {
            let dense = &summary.dense;
            ComparedNetwork {
                params: Some(dense.params as u64),
                macs: Some(dense.macs),
                top1: Some(dense.top1),
                speedup: Some(1.0),
                ..network(DENSE)
            }
        });
        let subnets = self.labels().into_iter().map(|label| match self.result(&label) {
            None => network(&label),
            Some(subnet) => ComparedNetwork {
                params: Some(subnet.params as u64),
                macs: Some(subnet.macs),
                top1: Some(subnet.top1_sliced),
                top1_retrained: subnet.top1_retrained,
                speedup: Some(subnet.speedup),
                ..network(&label)
            },
        });
        dense.into_iter().chain(subnets).collect()
    }

    /// Labels of the sub-networks that are compared.
    fn labels(&self) -> Vec<String> {
        if let Some(labels) = &self.chosen.labels {
            return labels.clone();
        }
        let budgets = self.summary.iter().flat_map(|summary| &summary.subnets);
        let mut labels: Vec<String> = budgets.map(|subnet| subnet.label.clone()).collect();
        let run = Target { run: self.chosen.folder.clone(), label: None };
        let later: Vec<_> = run.labels().into_iter().filter(|label| !labels.contains(label)).collect();
        labels.extend(later);
        labels
    }

    /// What the sub-network `label` is, if it is finished.
    fn result(&self, label: &str) -> Option<SubnetSummary> {
        Some(SubnetResult::read(&self.chosen.folder, label).ok()??.summary)
    }
}

/// What differs between `runs`: in their experiments, and then in what is recorded beside those.
fn differing(runs: &[Run]) -> Vec<Difference> {
    let experiments = runs.iter().map(|run| Some(run.experiment.as_ref()?.root()));
    let mut found = differences_of_known(&experiments.collect::<Vec<_>>());
    let split = |of: fn(&DataRecord) -> &SplitContent| {
        move |run: &Run| {
            let SplitContent { images, sha256 } = of(run.record.as_ref()?);
            Some(format!("{images} images, {}", digits(sha256)))
        }
    };
    let recorded = [
        (
            "classes",
            values(runs, |run| {
                Some(shortened(run.record.as_ref()?.content.data.classes.join(", "), CLASSES))
            }),
        ),
        ("training images", values(runs, split(|record| &record.content.data.train))),
        ("validation images", values(runs, split(|record| &record.content.data.held_out))),
        ("test images", values(runs, split(|record| &record.content.data.test))),
        (
            "pretrained weights",
            values(runs, |run| run.record.as_ref()?.content.pretrained.as_deref().map(digits)),
        ),
        ("version", values(runs, |run| run.record.as_ref()?.version.clone())),
        ("device", values(runs, |run| Some(run.summary.as_ref()?.device.clone()))),
    ];
    // What is not recorded may be the same.
    let differ = |values: &[Option<String>]| {
        let mut known = values.iter().flatten();
        let first = known.next();
        known.any(|value| Some(value) != first)
    };
    let recorded = recorded.into_iter().filter(|(_, values)| differ(values));
    found.extend(recorded.map(|(path, values)| Difference { path: path.to_owned(), values }));
    found
}

fn values(runs: &[Run], value: impl Fn(&Run) -> Option<String>) -> Vec<Option<String>> {
    runs.iter().map(value).collect()
}

/// The first digits of a fingerprint.
fn digits(sha256: &str) -> String {
    sha256.chars().take(DIGITS).collect()
}
