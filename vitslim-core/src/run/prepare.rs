//! An experiment checked against its architecture and its data, before anything is trained.

use std::collections::HashMap;

use burn::tensor::Device;
use miette::Diagnostic;
use thiserror::Error;

use super::config::{config, default};
use super::dataset::dataset;
use super::keys::{Network, PreparedBudget, budgets, searched};
use crate::data::{Batch, DataError, Dataset};
use crate::experiment::{Data, Document, Experiment, Fault, Faults, Model, Reading, STAGES, batch_of};
use crate::models::Architecture;
use crate::slim::{Dimension, DimensionError, MaskSet, MaskSpec, Plan, RankError, describe, rank, round};

/// An experiment with everything that it names.
#[derive(Debug)]
pub struct Prepared<A: Architecture> {
    /// As read.
    pub experiment: Experiment,
    /// Name of the trial of a sweep; `None` where nothing is swept.
    pub swept: Option<String>,
    /// The architecture's configuration: preset, data and file together.
    pub config: A::Config,
    /// The images.
    pub data: Dataset,
    /// The dense model's dimensions.
    pub dimensions: Vec<Dimension>,
    /// Which of them are searched, and how.
    pub searched: Vec<(Dimension, MaskSpec)>,
    /// The budgets, in the order written.
    pub budgets: Vec<PreparedBudget>,
}

/// What was read for other trials of a sweep.
#[derive(Default)]
pub(crate) struct Known {
    /// By how the data are written.
    data: HashMap<String, Dataset>,
    /// By architecture and configuration.
    dimensions: HashMap<String, Vec<Dimension>>,
}

/// A network, as far as mistakes allow to make it.
struct Made<C> {
    config: Option<C>,
    /// Its dimensions, or those of a network like it.
    dimensions: Option<Vec<Dimension>>,
    /// Whether they are its own.
    sure: bool,
}

impl Known {
    /// The data of `document`. What is wrong with them, and batches that are larger, are added to `found`.
    pub(crate) fn data(&mut self, document: &Document, found: &mut Vec<Fault>) -> Option<Dataset> {
        let data: Data = document.reading(&["data"])?.value?;
        let written = format!("{data:?}");
        let dataset = match self.data.get(&written) {
            Some(dataset) => dataset.clone(),
            None => {
                let seed = document.part(&["seed"]).unwrap_or_default();
                let dataset = dataset(document, &data, seed).map_err(|faults| found.extend(faults)).ok()?;
                self.data.insert(written, dataset.clone());
                dataset
            }
        };
        found.extend(batches(document, &dataset));
        Some(dataset)
    }

    /// The network. What is wrong with it is added to `found`.
    fn network<A: Architecture>(
        &mut self,
        document: &Document,
        data: Option<&Dataset>,
        found: &mut Vec<Fault>,
    ) -> Result<Made<A::Config>, PrepareError> {
        let Some(Reading { value: Some(model), faults }) = document.reading::<Model>(&["model"]) else {
            return Ok(Made { config: None, dimensions: None, sure: false });
        };
        let before = found.len();
        let config = config::<A>(document, &model, data, found);
        if let Some(config) = &config
            && data.is_some()
            && faults.is_empty()
            && found.len() == before
        {
            match self.dimensions::<A>(document, &model.architecture, config) {
                Ok(dimensions) => {
                    return Ok(Made {
                        config: Some(config.clone()),
                        dimensions: Some(dimensions),
                        sure: true,
                    });
                }
                Err(PrepareError::Faults(faults)) => found.extend(faults),
                Err(error) => return Err(error),
            }
        }
        let default = default::<A>();
        let mut alike = config.iter().chain(&default);
        let dimensions =
            alike.find_map(|config| self.dimensions::<A>(document, &model.architecture, config).ok());
        Ok(Made { config, dimensions, sure: false })
    }

    fn dimensions<A: Architecture>(
        &mut self,
        document: &Document,
        architecture: &str,
        config: &A::Config,
    ) -> Result<Vec<Dimension>, PrepareError> {
        let written = ron::to_string(config).map_err(|error| PrepareError::Config(error.to_string()))?;
        let written = format!("{architecture}{written}");
        if let Some(dimensions) = self.dimensions.get(&written) {
            return Ok(dimensions.clone());
        }
        let model = A::init(config, &Device::flex())
            .map_err(|error| document.fault(&["model", "config", error.field], error.message, None))?;
        let dimensions = describe(&model)?;
        self.dimensions.insert(written, dimensions.clone());
        Ok(dimensions)
    }
}

/// Why an experiment cannot be run.
#[derive(Debug, Error, Diagnostic)]
pub enum PrepareError {
    /// A mistake in the file.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Faults(#[from] Faults),
    /// The architecture is annotated wrongly.
    #[error("the annotations of the architecture contradict its layers: {0}")]
    #[diagnostic(help("this is a mistake in the architecture's `#[slim(...)]`, not in the experiment"))]
    Dimensions(#[from] DimensionError),
    /// The configuration cannot be written.
    #[error("the configuration of the architecture cannot be written as RON: {0}")]
    Config(String),
}

impl<A: Architecture> Prepared<A> {
    /// Checks the experiment in `document`.
    ///
    /// # Errors
    ///
    /// The mistakes of the file, at their places.
    pub fn new(document: &Document) -> Result<Self, PrepareError> {
        Self::of_sweep(document, &mut Known::default())
    }

    /// [`Prepared::new`] for one of the trials of a sweep, most of which have data and model in common. What is read for one is
    /// `known` to those after it: of data that are split by the seed, the split of the first.
    ///
    /// # Errors
    ///
    /// The mistakes of the file, at their places.
    pub(crate) fn of_sweep(document: &Document, known: &mut Known) -> Result<Self, PrepareError> {
        let mut found = Vec::new();
        let data = known.data(document, &mut found);
        let Made { config, dimensions, sure } = known.network::<A>(document, data.as_ref(), &mut found)?;
        let (searched, budgets) = match &dimensions {
            Some(dimensions) => keys(document, Network { dimensions, sure }, &mut found),
            None => Default::default(),
        };
        let experiment = document.experiment_with(found)?;
        let swept = document.trial().map(str::to_owned);
        let whole = config.zip(data).zip(dimensions);
        whole
            .map(|((config, data), dimensions)| Self {
                experiment,
                swept,
                config,
                data,
                dimensions,
                searched,
                budgets,
            })
            .ok_or_else(|| document.fault(&[], "this experiment cannot be read", None).into())
    }

    /// Name of the trial, and of its folder.
    pub fn trial(&self) -> String {
        self.swept.clone().unwrap_or_else(|| format!("seed={}", self.experiment.seed))
    }

    /// A text by which the same network on images of the same shape is known.
    pub(crate) fn network(&self) -> String {
        let config = ron::to_string(&self.config).unwrap_or_default();
        format!("{} {:?} {config}", self.experiment.model.architecture, self.data.shape)
    }

    /// The first `size` images of the training part, over again where there are fewer.
    ///
    /// # Errors
    ///
    /// When the file of an image cannot be read.
    pub(crate) fn first_batch(&self, size: usize, device: &Device) -> Result<Batch, DataError> {
        let part = &self.data.train;
        let indices: Vec<usize> = (0..size).map(|index| index % part.len()).collect();
        Ok(Batch {
            images: part.images(&indices, device)?,
            labels: part.labels(&indices, device),
            epoch: 1,
            step: 1,
            seed: self.experiment.seed,
        })
    }

    /// What is cut out for `budget`: the ranking of the trained masks, rounded if the experiment says so.
    pub(crate) fn plan(&self, masks: &MaskSet, budget: &PreparedBudget) -> Result<Plan, RankError> {
        let plan = rank(&self.dimensions, masks, &budget.rankings)?;
        match self.experiment.round_to {
            None => Ok(plan),
            Some(multiple) => round(plan, &self.dimensions, masks, multiple.get()),
        }
    }

    /// The experiment as a file, with every default spelled out.
    ///
    /// # Errors
    ///
    /// When the configuration cannot be written as RON.
    pub fn resolved(&self) -> Result<String, PrepareError> {
        self.experiment.resolved(&self.config).map_err(|error| PrepareError::Config(error.to_string()))
    }
}

/// The batches that are larger than the data.
pub(crate) fn batches(document: &Document, data: &Dataset) -> Vec<Fault> {
    let images = data.train.len();
    let too_large = STAGES.iter().filter_map(|stage| {
        let batch = batch_of(document, stage)?;
        let message =
            format!("a batch of {batch} images is larger than the data, which have {images} to train on");
        let help = format!("write `batch: {images}` or less");
        (batch > images).then(|| document.fault(&[stage, "batch"], message, Some(help)))
    });
    too_large.flatten().collect()
}

/// What of the dimensions of `network` is searched, and what the budgets rank.
fn keys(
    document: &Document,
    network: Network<'_>,
    found: &mut Vec<Fault>,
) -> (Vec<(Dimension, MaskSpec)>, Vec<PreparedBudget>) {
    let before = found.len();
    let Some(Reading { value: Some(keys), faults }) = document.reading(&["search", "dimensions"]) else {
        return (Vec::new(), budgets(document, network, None, found));
    };
    let searched = searched(document, &keys, network, found);
    let known = network.sure && faults.is_empty() && found.len() == before;
    let budgets = budgets(document, network, known.then_some(&searched[..]), found);
    (searched, budgets)
}
