//! Networks of a run without the data that they were trained on.

use std::path::{Path, PathBuf};

use burn::tensor::Device;

use super::config::config;
use super::data_record::{DataRecord, known};
use super::dataset::dataset;
use super::error::RunError;
use super::folder::{NETWORK, NORMALISATION, PLAN, RESULT, SUBNETS};
use super::initial::initial_of;
use super::keys::keys;
use super::network::Network;
use super::prepare::PrepareError;
use super::restore::{RestoreError, base, dense, plan, read, subnet};
use super::target::Target;
use crate::data::ImageShape;
use crate::experiment::{Data, Experiment, Trial, typed};
use crate::models::Architecture;
use crate::slim::{Cut, Plan, PlanError, describe};

/// A network of a run, by itself: a sub-network, or the dense one.
#[derive(Debug)]
pub struct Subnet<A: Architecture> {
    /// The network, in validation mode.
    pub model: A,
    /// What is left of the dense network.
    pub plan: Plan,
    /// What another program needs, beside the weights, to compute it.
    pub network: Network<A::Config>,
    /// `dense`, or the label of the sub-network.
    pub label: String,
    /// Name of the trial of its run.
    pub trial: String,
    /// The experiment of its run, every default spelled out, without the folders that its data and weights lie in.
    pub experiment: String,
}

impl<A: Architecture> Subnet<A> {
    /// The network that `target` names, on `device`, and notes for the user. `trial` is the trial of its run.
    ///
    /// # Errors
    ///
    /// When a file is missing, damaged, or does not fit the experiment.
    pub fn open(trial: &Trial, target: &Target, device: &Device) -> Result<(Self, Vec<String>), RunError> {
        let described: Network<A::Config> = described::<A>(trial, target)?;
        let initial = initial_of::<A>(&trial.experiment, &described.config, device)
            .map_err(RestoreError::Config)?
            .valid();
        let (model, plan, network, notes) = match &target.label {
            Some(label) => {
                let folder = target.run.join(SUBNETS).join(label);
                (subnet(base_of(trial, initial)?, &folder)?, plan(&folder.join(PLAN))?, described, Vec::new())
            }
            None => {
                let plan = Plan::whole(&describe(&initial).map_err(PlanError::from)?);
                let restored = dense(&trial.experiment, &target.run, initial)?;
                let network = described.cut(&plan, &restored.model)?;
                (restored.model, plan, network, restored.notes)
            }
        };
        let named = |path: &Path| PathBuf::from(path.file_name().unwrap_or_default());
        let Experiment { data, model: started, .. } = trial.experiment.clone();
        let (data, started) = (data.map_path(named), started.map_pretrained(named));
        let experiment = Experiment { data, model: started, ..trial.experiment.clone() }
            .resolved(&network.config)
            .map_err(|error| PrepareError::Config(error.to_string()))?;
        let (label, trial) = (target.name().to_owned(), target.trial());
        Ok((Self { model, plan, network, label, trial, experiment }, notes))
    }

    /// Whether it has fewer tokens than the dense network.
    pub(crate) fn has_cut_tokens(&self) -> bool {
        let is_cut = |cut: &Cut| {
            cut.keep.len() < cut.of.iter().sum() && self.network.tokens.contains_key(&cut.dimension)
        };
        self.plan.cuts.iter().any(is_cut)
    }
}

/// A network whose parameters have the shapes of that which the run of `trial` cuts, made of the dense one.
///
/// # Errors
///
/// When the annotations of the network contradict one another.
pub(crate) fn base_of<A: Architecture>(trial: &Trial, dense: A) -> Result<A, PlanError> {
    let (searched, _) = keys(trial, &describe(&dense)?, &mut Vec::new());
    Ok(base(trial.experiment.cut, &searched, dense))
}

/// What the run of `trial` says of the network that `target` names; of the dense one, what it says of any network.
fn described<A: Architecture>(trial: &Trial, target: &Target) -> Result<Network<A::Config>, RunError> {
    let subnets = target.run.join(SUBNETS);
    let labels = target.label.as_ref().map_or_else(|| target.labels(), |label| vec![label.clone()]);
    let of_any = |name| labels.iter().map(|label| subnets.join(label).join(name)).find(|path| path.is_file());
    let Some(path) = of_any(NETWORK) else {
        return match &target.label {
            Some(_) if of_any(RESULT).is_some() && DataRecord::is_of_earlier(&target.run) => {
                Err(RestoreError::Earlier(target.run.clone()).into())
            }
            Some(label) => Err(RestoreError::Unfinished(subnets.join(label).join(NETWORK)).into()),
            None => described_when_begun::<A>(trial, &target.run),
        };
    };
    let described = serde_json::from_slice(&read(&path)?);
    Ok(described.map_err(|error| RestoreError::Damaged { path, reason: error.to_string() })?)
}

/// What can be said of the networks of `trial` by what its run in the folder `run` wrote when it began.
fn described_when_begun<A: Architecture>(trial: &Trial, run: &Path) -> Result<Network<A::Config>, RunError> {
    let undescribed = || match DataRecord::is_of_earlier(run) {
        true => RestoreError::Earlier(run.to_owned()),
        false => RestoreError::Undescribed(run.join(NORMALISATION)),
    };
    let (classes, normalisation) = known(run)?.ok_or_else(undescribed)?;
    let shape = ImageShape { channels: normalisation.mean.len(), size: image_size(trial)? };
    let facts = [("image_size", shape.size), ("channels", shape.channels), ("classes", classes.len())];
    let config = config::<A>(&trial.document, &facts)?.ok_or_else(undescribed)?;
    Ok(Network::uncut(&trial.experiment, config, classes, shape, &normalisation))
}

/// Height and width of the images of `trial`. The data are read only if neither they nor the network say that in the file.
fn image_size(trial: &Trial) -> Result<usize, RunError> {
    if let Data::ImageFolder { image_size, .. } | Data::Random { image_size, .. } = &trial.experiment.data {
        return Ok(image_size.get());
    }
    let written = trial.document.at(&["model", "config", "image_size"]);
    match written.and_then(|node| typed(node).ok()) {
        Some(size) => Ok(size),
        None => Ok(dataset(trial)?.shape.size),
    }
}
