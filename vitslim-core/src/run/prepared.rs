//! An experiment that was checked against its data and its architecture, with all that it names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::Device;

use super::budget::PreparedBudget;
use super::features::PatchAxes;
use super::prepare_error::PrepareError;
use super::pretrained::Pretrained;
use super::selection::Selection;
use super::sources::Sources;
use super::teacher::OpenedTeacher;
use super::timing::Timing;
use crate::data::{Batch, DataError, Dataset, Normalisation};
use crate::experiment::Experiment;
use crate::models::Architecture;
use crate::slim::{Dimension, MaskSpec, Plan};

/// An experiment with everything that it names.
#[derive(Clone, Debug)]
pub struct Prepared<A: Architecture> {
    /// The experiment as read.
    pub experiment: Experiment,
    /// Name of the trial in a sweep; `None` without a sweep.
    pub swept: Option<String>,
    /// The architecture's configuration, from preset, data and file.
    pub config: A::Config,
    /// The images.
    pub data: Dataset,
    /// The trained weights to start from; `None` if they are random, or not needed.
    pub pretrained: Option<Pretrained>,
    /// What became of the weights: a line each.
    pub pretrained_notes: Vec<String>,
    /// What the network that it starts from keeps of the dense one, if another run left it.
    pub start: Option<Plan>,
    /// The networks that teach, by their stages, but for the dense one.
    pub teachers: BTreeMap<&'static str, OpenedTeacher>,
    /// The dimensions along the features of the dense network, if they are taught.
    pub(super) patch_axes: Option<PatchAxes>,
    /// The dimensions of the network that it starts from.
    pub dimensions: Vec<Dimension>,
    /// The searched dimensions, and how their masks are trained.
    pub searched: Vec<(Dimension, MaskSpec)>,
    /// The budgets, in the order written.
    pub budgets: Vec<PreparedBudget>,
    /// What makes plans of masks, beside the budgets.
    pub(crate) selection: Selection,
    /// Where latencies are measured; `None` where that is not known.
    pub(super) timing: Option<Timing>,
}

impl<A: Architecture> Prepared<A> {
    /// The same with images that are normalised by `normalisation`, which must have as many channels.
    pub(super) fn normalised_by(&self, normalisation: Normalisation) -> Self {
        Self { data: self.data.clone().normalised_by(normalisation), ..self.clone() }
    }

    /// The same with latencies as they are measured on `device`, which results call `name`. If `quiet`, it is not told how far that is.
    #[must_use]
    pub(crate) fn timed_on(self, device: &Device, name: &str, quiet: bool) -> Self {
        let timing = Some(Timing::on(device, name, self.experiment.precision, quiet));
        Self { timing, ..self }
    }

    /// Name of the trial, and of its folder.
    pub fn trial(&self) -> String {
        self.swept.clone().unwrap_or_else(|| format!("seed={}", self.experiment.seed))
    }

    /// A key that equal networks on images of the same shape share.
    pub(crate) fn network(&self) -> String {
        let config = ron::to_string(&self.config).unwrap_or_default();
        let left = self.pretrained.as_ref().filter(|_| self.start.is_some());
        let left = left.map_or("", |pretrained| &pretrained.sha256);
        format!("{} {:?} {config}{left}", self.experiment.model.architecture, self.data.shape)
    }

    /// The first `size` images of the training split that can be read, repeated if there are fewer.
    ///
    /// # Errors
    ///
    /// When too many images cannot be read.
    pub(crate) fn first_batch(&self, size: usize, device: &Device) -> Result<Batch, DataError> {
        let (images, labels) = self.data.train.first(size, device)?;
        Ok(Batch { images, labels, mixed: None, epoch: 1, step: 1, seed: self.experiment.seed })
    }

    /// Where the network is that the run starts from, if another run left it.
    pub(crate) fn start_path(&self) -> Option<&Path> {
        Some(&self.pretrained.as_ref()?.left()?.path)
    }

    /// What the networks are made of beside the settings.
    pub(crate) fn sources(&self) -> Sources {
        let pretrained = self.pretrained.as_ref().map(|pretrained| pretrained.sha256.clone());
        let sha256 = |(stage, teacher): (&&str, &OpenedTeacher)| {
            ((*stage).to_owned(), teacher.pretrained.sha256.clone())
        };
        let teachers = self.teachers.iter().map(sha256).collect();
        Sources { data: self.data.content().clone(), pretrained, teachers }
    }

    /// The experiment as a file that means the same in any folder: with every default spelled out, and the absolute paths of the data, of
    /// the weights and of those of teachers.
    ///
    /// # Errors
    ///
    /// When the configuration cannot be written as RON.
    pub fn resolved(&self) -> Result<String, PrepareError> {
        let data = self.experiment.data.clone().map_path(absolute);
        let model = self.experiment.model.clone().map_pretrained(absolute);
        let experiment = Experiment { data, model, ..self.experiment.clone().map_teachers(absolute) };
        experiment.resolved(&self.config).map_err(|error| PrepareError::Config(error.to_string()))
    }
}

/// `path` from the root; as it is where the current folder is unknown, or its name cannot be written in a file.
pub(super) fn absolute(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).ok().filter(|absolute| absolute.to_str().is_some());
    absolute.unwrap_or_else(|| path.to_owned())
}
