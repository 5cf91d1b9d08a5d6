//! An experiment checked against its architecture and its data, before anything is trained.

use std::collections::HashMap;

use burn::tensor::Device;
use miette::Diagnostic;
use thiserror::Error;

use super::config::{config, config_fault, default};
use super::dataset::{dataset, folder};
use super::keys::{Network, PreparedBudget, keys};
use crate::data::{Batch, DataError, Dataset};
use crate::experiment::{Data, Document, Experiment, Fault, Faults, Reading, STAGES, batch_of};
use crate::models::Architecture;
use crate::panics::attempt;
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
    data: HashMap<String, Result<Dataset, Faults>>,
    /// By architecture and configuration.
    dimensions: HashMap<String, Vec<Dimension>>,
    /// Whether there are mistakes, which are to be told without reading all images first.
    hasty: bool,
}

/// The configuration of a network, if it is right, and its dimensions, or those of another of its architecture.
type Described<C> = (Option<C>, Option<Vec<Dimension>>);

impl Known {
    /// Nothing yet, and mistakes are to be told.
    pub(crate) fn hasty() -> Self {
        Self { hasty: true, ..Self::default() }
    }

    /// The data of `document`, if they are right. What is wrong with them, and batches that are larger, are added to `found`.
    pub(crate) fn data(&mut self, document: &Document, found: &mut Vec<Fault>) -> Option<Dataset> {
        let Reading { value, faults } = document.reading::<Data>(&["data"])?;
        let data = value?;
        if !faults.is_empty() || (self.hasty && data.is_decoded()) {
            found.extend(folder(document, &data).err().into_iter().flatten());
            return None;
        }
        let seed = document.part(&["seed"]).unwrap_or_default();
        let read = self.data.entry(format!("{data:?}")).or_insert_with(|| dataset(document, &data, seed));
        match read {
            Ok(dataset) => {
                found.extend(batches(document, dataset));
                Some(dataset.clone())
            }
            Err(faults) => {
                found.extend(faults.clone());
                None
            }
        }
    }

    /// The network of `document` for its `data`. What is wrong is added to `found`.
    fn network<A: Architecture>(
        &mut self,
        document: &Document,
        data: Option<&Dataset>,
        found: &mut Vec<Fault>,
    ) -> Result<Described<A::Config>, PrepareError> {
        let config = config::<A>(document, data, found).filter(|_| data.is_some());
        match config {
            // Whatever else is wrong is not told if there is no memory for the network.
            Some(config) if self.hasty => {
                found.extend(checked::<A>(document, &config).err().into_iter().flatten());
            }
            Some(config) => match self.dimensions::<A>(document, &config) {
                Ok(dimensions) => return Ok((Some(config), Some(dimensions))),
                Err(PrepareError::Faults(faults)) => found.extend(faults),
                Err(error) => return Err(error),
            },
            None => {}
        }
        let other = default::<A>().ok().or_else(|| A::presets().into_iter().next().map(|(_, config)| config));
        let dimensions =
            other.and_then(|config| attempt(|| self.dimensions::<A>(document, &config)).ok()?.ok());
        Ok((None, dimensions))
    }

    fn dimensions<A: Architecture>(
        &mut self,
        document: &Document,
        config: &A::Config,
    ) -> Result<Vec<Dimension>, PrepareError> {
        let written = ron::to_string(config).map_err(|error| PrepareError::Config(error.to_string()))?;
        let written = format!("{}{written}", std::any::type_name::<A>());
        if let Some(dimensions) = self.dimensions.get(&written) {
            return Ok(dimensions.clone());
        }
        let model = attempt(|| A::init(config, &Device::flex()))
            .map_err(|said| unmade(document, &said))?
            .map_err(|error| config_fault(document, error))?;
        let dimensions = attempt(|| describe(&model)).map_err(PrepareError::Sizes)??;
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
    /// A layer panics when it is asked for its sizes.
    #[error("a layer of the architecture cannot tell the sizes of its sides ({0})")]
    #[diagnostic(help("this is a mistake in the architecture, not in the experiment"))]
    Sizes(String),
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
        let named = match Named::<A>::find(document, known, &mut found) {
            Ok(named) => named,
            Err(error) => {
                document.experiment_with(found)?;
                return Err(error);
            }
        };
        let experiment = document.experiment_with(found)?;
        let swept = document.trial().map(str::to_owned);
        let Named { data, config, dimensions, searched, budgets } = named;
        config
            .zip(data)
            .zip(dimensions)
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

    /// Checks the experiment in `document` as far as it can be without waiting, if what is `known` is [hasty](Known::hasty).
    ///
    /// # Errors
    ///
    /// The mistakes of the file, at their places.
    pub(crate) fn mistakes(document: &Document, known: &mut Known) -> Result<(), Faults> {
        let mut found = Vec::new();
        // Annotations that are wrong are no mistake of the file.
        let _ = Named::<A>::find(document, known, &mut found);
        document.experiment_with(found).map(drop)
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

/// An architecture that panics, with these words.
fn unmade(document: &Document, said: &str) -> Faults {
    document.fault(&["model"], format!("the network cannot be made ({said})"), None)
}

/// What the architecture itself says of `config`, without making the network.
fn checked<A: Architecture>(document: &Document, config: &A::Config) -> Result<(), Faults> {
    attempt(|| A::check(config))
        .map_err(|said| unmade(document, &said))?
        .map_err(|error| config_fault(document, error))
}

/// The batches that are larger than the data.
fn batches(document: &Document, data: &Dataset) -> Vec<Fault> {
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

/// What an experiment names, as far as it can be found.
struct Named<A: Architecture> {
    data: Option<Dataset>,
    /// If it is right.
    config: Option<A::Config>,
    /// Those of the network, or of another of its architecture.
    dimensions: Option<Vec<Dimension>>,
    searched: Vec<(Dimension, MaskSpec)>,
    budgets: Vec<PreparedBudget>,
}

impl<A: Architecture> Named<A> {
    /// Finds what `document` names. What is wrong is added to `found`.
    fn find(document: &Document, known: &mut Known, found: &mut Vec<Fault>) -> Result<Self, PrepareError> {
        let data = known.data(document, found);
        let (config, dimensions) = known.network::<A>(document, data.as_ref(), found)?;
        let (searched, budgets) = match &dimensions {
            Some(dimensions) => keys(document, Network { dimensions, sure: config.is_some() }, found),
            None => Default::default(),
        };
        Ok(Self { data, config, dimensions, searched, budgets })
    }
}
