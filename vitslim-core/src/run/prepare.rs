//! An experiment checked against its architecture and its data, before anything is trained.

use std::collections::HashMap;

use burn::tensor::Device;
use miette::Diagnostic;
use schemars::SchemaGenerator;
use thiserror::Error;

use super::dataset::dataset;
use crate::data::{Batch, DataError, Dataset, ImageShape};
use crate::experiment::{
    Budget, Document, Experiment, Faults, Keyed, Portion, SearchedDimension, did_you_mean, merge_config,
    resolve, typed,
};
use crate::models::Architecture;
use crate::slim::{
    Dimension, DimensionError, Granularity, MaskSet, MaskSpec, Plan, RankError, Ranking, describe, rank,
    round,
};

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

/// A budget, resolved.
#[derive(Clone, Debug)]
pub struct PreparedBudget {
    /// Name of the sub-network, unique in the experiment: `share-0.7-0.5`.
    pub label: String,
    /// Keys and shares as written.
    pub shares: Vec<(String, f64)>,
    /// One ranking a key.
    pub rankings: Vec<Ranking>,
}

/// What was read for other trials of a sweep.
#[derive(Default)]
pub(crate) struct Known {
    /// By how the data are written.
    data: HashMap<String, Dataset>,
    /// By architecture and configuration.
    dimensions: HashMap<String, Vec<Dimension>>,
}

impl Known {
    fn data(&mut self, document: &Document, experiment: &Experiment) -> Result<Dataset, Faults> {
        let written = format!("{:?}", experiment.data);
        if let Some(data) = self.data.get(&written) {
            return Ok(data.clone());
        }
        let data = dataset(document, experiment)?;
        self.data.insert(written, data.clone());
        Ok(data)
    }

    fn dimensions<A: Architecture>(
        &mut self,
        document: &Document,
        experiment: &Experiment,
        config: &A::Config,
    ) -> Result<Vec<Dimension>, PrepareError> {
        let written = ron::to_string(config).map_err(|error| PrepareError::Config(error.to_string()))?;
        let written = format!("{}{written}", experiment.model.architecture);
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
        let experiment = document.experiment()?;
        let data = known.data(document, &experiment)?;
        batches(document, &experiment, &data)?;
        let config = config::<A>(document, &experiment, Some((data.shape, data.classes)))?;
        let dimensions = known.dimensions::<A>(document, &experiment, &config)?;
        let searched = searched(document, &experiment.search.dimensions, &dimensions)?;
        let budgets = budgets(document, &experiment.budgets, &dimensions, &searched)?;
        let swept = document.trial().map(str::to_owned);
        Ok(Self { experiment, swept, config, data, dimensions, searched, budgets })
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

/// The configuration of the architecture: the preset, over it what the `data` say, image and classes, over it what is written.
///
/// # Errors
///
/// The mistakes of the file, at their places.
pub(crate) fn config<A: Architecture>(
    document: &Document,
    experiment: &Experiment,
    data: Option<(ImageShape, usize)>,
) -> Result<A::Config, Faults> {
    let presets = A::presets();
    let preset = match &experiment.model.preset {
        None => None,
        Some(name) => Some(find_preset::<A>(document, &presets, name)?),
    };
    let known = data.map(|(image, classes)| {
        vec![("image_size", image.size), ("channels", image.channels), ("classes", classes)]
    });
    let written = document.at(&["model", "config"]);
    let merged = merge_config(preset, &known.unwrap_or_default(), written, &fields::<A>())?;
    typed(&merged)
}

/// That no batch is larger than the `data`.
///
/// # Errors
///
/// Those that are, at their places.
pub(crate) fn batches(document: &Document, experiment: &Experiment, data: &Dataset) -> Result<(), Faults> {
    let search = Some(experiment.search.training());
    let stages = [("pretrain", &experiment.pretrain), ("search", &search), ("retrain", &experiment.retrain)];
    let images = data.train.len();
    let too_large = stages.iter().filter_map(|(stage, training)| {
        let batch = training.as_ref()?.batch.get();
        let message =
            format!("a batch of {batch} images is larger than the data, which have {images} to train on");
        let help = format!("write `batch: {images}` or less");
        (batch > images).then(|| document.fault(&[stage, "batch"], message, Some(help)))
    });
    match too_large.reduce(Faults::and) {
        Some(faults) => Err(faults),
        None => Ok(()),
    }
}

fn find_preset<'a, A: Architecture>(
    document: &Document,
    presets: &'a [(&'static str, A::Config)],
    name: &str,
) -> Result<&'a A::Config, Faults> {
    if let Some((_, config)) = presets.iter().find(|(preset, _)| *preset == name) {
        return Ok(config);
    }
    let names: Vec<_> = presets.iter().map(|(preset, _)| *preset).collect();
    let hint = did_you_mean(name, names.iter().copied());
    let help = match names.is_empty() {
        true => "this architecture has no presets".to_owned(),
        false => format!("presets: {}", names.join(", ")),
    };
    Err(document.fault(&["model", "preset"], format!("unknown preset `{name}`{hint}"), Some(help)))
}

/// Names of the configuration's fields.
fn fields<A: Architecture>() -> Vec<String> {
    let schema = SchemaGenerator::default().into_root_schema_for::<A::Config>();
    let properties = schema.get("properties").and_then(|properties| properties.as_object());
    properties.map(|properties| properties.keys().cloned().collect()).unwrap_or_default()
}

fn paths(dimensions: &[Dimension]) -> Vec<String> {
    dimensions.iter().map(|dimension| dimension.path.clone()).collect()
}

/// Which of `dimensions` the experiment searches, and how.
///
/// # Errors
///
/// The keys that name none, or one in a way that it has not, at their places.
pub(crate) fn searched(
    document: &Document,
    keys: &Keyed<SearchedDimension>,
    dimensions: &[Dimension],
) -> Result<Vec<(Dimension, MaskSpec)>, Faults> {
    let place = ["search", "dimensions"];
    let matched =
        resolve(keys.keys(), &paths(dimensions)).map_err(|error| document.key_fault(&place, &error))?;
    let mut searched: Vec<(usize, MaskSpec)> = Vec::new();
    for ((key, how), matched) in keys.iter().zip(matched) {
        let spec = MaskSpec {
            granularity: how.granularity,
            activation: how.activation,
            init: how.init.get(),
            weight: how.weight.get(),
        };
        if let Some(&unfit) = matched.iter().find(|&&index| !spec.granularity.fits(&dimensions[index])) {
            return Err(unfit_granularity(document, key, spec.granularity, &dimensions[unfit]));
        }
        searched.extend(matched.into_iter().map(|index| (index, spec)));
    }
    // In the order of the traversal, whatever the order of the keys.
    searched.sort_by_key(|(index, _)| *index);
    Ok(searched.into_iter().map(|(index, spec)| (dimensions[index].clone(), spec)).collect())
}

fn unfit_granularity(
    document: &Document,
    key: &str,
    granularity: Granularity,
    dimension: &Dimension,
) -> Faults {
    let path = ["search", "dimensions", key, "granularity"];
    let message = match dimension.groups.len() {
        0 | 1 => {
            format!("`{}` has one group only, so that `{granularity:?}` means nothing for it", dimension.path)
        }
        _ => format!("the groups of `{}` have different sizes and share no positions", dimension.path),
    };
    document.fault(&path, message, Some("write `granularity: Unit`, or leave it out".to_owned()))
}

/// The budgets, resolved.
///
/// # Errors
///
/// The keys that name no searched dimension, or unlike ones, at their places.
pub(crate) fn budgets(
    document: &Document,
    budgets: &[Budget],
    dimensions: &[Dimension],
    searched: &[(Dimension, MaskSpec)],
) -> Result<Vec<PreparedBudget>, Faults> {
    let mut prepared: Vec<PreparedBudget> = Vec::new();
    for (index, budget) in budgets.iter().enumerate() {
        let Budget::Share(shares) = budget;
        let at = index.to_string();
        let rankings = rankings(document, &at, shares, dimensions, searched)?;
        let shares: Vec<_> = shares.iter().map(|(key, share)| (key.to_owned(), share.get())).collect();
        let numbers: Vec<_> = shares.iter().map(|(_, share)| share.to_string()).collect();
        let label = unique(format!("share-{}", numbers.join("-")), &prepared);
        prepared.push(PreparedBudget { label, shares, rankings });
    }
    Ok(prepared)
}

fn rankings(
    document: &Document,
    budget: &str,
    shares: &Keyed<Portion>,
    dimensions: &[Dimension],
    searched: &[(Dimension, MaskSpec)],
) -> Result<Vec<Ranking>, Faults> {
    let place = ["budgets", budget, "0"];
    let matched =
        resolve(shares.keys(), &paths(dimensions)).map_err(|error| document.key_fault(&place, &error))?;
    let mut rankings = Vec::new();
    let mut tokens_ranked = false;
    for ((key, share), matched) in shares.iter().zip(matched) {
        let mut specs = Vec::new();
        for index in &matched {
            let path = &dimensions[*index].path;
            let Some((_, spec)) = searched.iter().find(|(dimension, _)| dimension.path == *path) else {
                let message = format!("`{path}` is not searched, so that it cannot be cut to a share");
                let help = format!("add \"{key}\" under `search.dimensions`, or leave it out here");
                return Err(document.fault_at_key(&[&place[..], &[key]].concat(), message, Some(help)));
            };
            specs.push(spec);
        }
        if specs.iter().any(|s| (s.granularity, s.activation) != (specs[0].granularity, specs[0].activation))
        {
            let message = format!("\"{key}\" ranks masks of different granularity or activation together");
            let help = "write one key for each kind of mask, as under `search.dimensions`".to_owned();
            return Err(document.fault_at_key(&[&place[..], &[key]].concat(), message, Some(help)));
        }
        let of_tokens = matched.iter().any(|index| dimensions[*index].is_tokens());
        if of_tokens && std::mem::replace(&mut tokens_ranked, true) {
            let message = format!("\"{key}\" is the second key for tokens in this budget");
            let help = "tokens are ranked over all blocks together, since a token that is cut stays away: write one key";
            let place = [&place[..], &[key]].concat();
            return Err(document.fault_at_key(&place, message, Some(help.to_owned())));
        }
        let dimensions = matched.into_iter().map(|index| dimensions[index].path.clone()).collect();
        rankings.push(Ranking { dimensions, share: share.get() });
    }
    Ok(rankings)
}

/// `label`, with a number behind it where a budget before has it already: the same shares of other keys.
fn unique(label: String, before: &[PreparedBudget]) -> String {
    let taken = |label: &str| before.iter().any(|budget| budget.label == label);
    if !taken(&label) {
        return label;
    }
    (2..).map(|number| format!("{label}-{number}")).find(|label| !taken(label)).unwrap_or(label)
}
