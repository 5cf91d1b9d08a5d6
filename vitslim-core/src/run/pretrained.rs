//! The trained weights that an experiment starts from.

use std::collections::BTreeSet;
use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};

use crate::experiment::{Document, Experiment, ExperimentErrors, Model, Trial};
use crate::models::Architecture;
use crate::slim::{Activation, Dimension, Mask, MaskSet, MaskSpec};
use crate::weights::{Fitted, WeightsError, WeightsFile};

/// The file that `pretrained` names, and what the network may lack of it.
#[derive(Clone, Debug)]
pub struct Pretrained {
    file: Arc<WeightsFile>,
    allow_missing: Vec<String>,
    /// The SHA-256 of its content.
    pub sha256: String,
}

impl Pretrained {
    /// The weights that `model` starts from; `None` if they are random.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or is no file of weights.
    pub(crate) fn open(model: &Model) -> Result<Option<Self>, WeightsError> {
        let Some(path) = &model.pretrained else { return Ok(None) };
        let file = WeightsFile::open(path)?;
        let (sha256, allow_missing) = (file.sha256()?, model.allow_missing.clone());
        Ok(Some(Self { file: Arc::new(file), allow_missing, sha256 }))
    }

    /// What becomes of the file in the `network` of `trial`.
    ///
    /// # Errors
    ///
    /// Those of [`WeightsFile::fit`], at their place in the experiment.
    pub(crate) fn check<A: Architecture>(
        &self,
        trial: &Trial,
        network: &A,
        searched: &[(Dimension, MaskSpec)],
    ) -> Result<Fitted, ExperimentErrors> {
        let fitted = self.file.fit(network, &self.allow_missing);
        let mut fitted = fitted.map_err(|error| pretrained_error(&trial.document, &error))?;
        let (_, notes) = masks(&fitted, &trial.experiment, searched, &Device::flex());
        fitted.notes.extend(notes);
        Ok(fitted)
    }

    /// `network` with the weights, and the masks that the search of `experiment` begins with.
    ///
    /// # Errors
    ///
    /// Those of [`WeightsFile::fit`].
    pub(super) fn load<A: Architecture>(
        &self,
        network: A,
        experiment: &Experiment,
        searched: &[(Dimension, MaskSpec)],
        device: &Device,
    ) -> Result<(A, MaskSet), WeightsError> {
        let fitted = self.file.fit(&network, &self.allow_missing)?;
        let (masks, _) = masks(&fitted, experiment, searched, device);
        Ok((fitted.into_network(network)?, masks))
    }
}

/// The masks that the search of `experiment` begins with: those of the file, where it has them and nothing is trained without them
/// before. With a line on each kind that the file has.
fn masks(
    fitted: &Fitted,
    experiment: &Experiment,
    searched: &[(Dimension, MaskSpec)],
    device: &Device,
) -> (MaskSet, BTreeSet<String>) {
    let initial = MaskSet::new(searched, device);
    let mut notes = BTreeSet::new();
    if fitted.masks.is_empty() {
        return (initial, notes);
    }
    if experiment.pretrain.is_some() {
        notes.insert("the masks in the file are not used: `pretrain` trains without them".to_owned());
        return (initial, notes);
    }
    let of_file = |path: &str, count: usize| {
        let values = fitted.masks.get(path)?;
        let (_, spec) = searched.iter().find(|(dimension, _)| dimension.path == path)?;
        // The class token has a mask there, and none here.
        let is_tokens = initial.get(path).is_some_and(Mask::is_tokens);
        let values = values.get(usize::from(is_tokens)..)?;
        let activation = if is_tokens { Activation::Tanh } else { Activation::Identity };
        Some(match values.len() == count {
            _ if spec.activation != activation => Err(format!("of `activation: {activation:?}`")),
            false => Err("of another number".to_owned()),
            true => Ok(values.to_vec()),
        })
    };
    let masks = initial.clone().map_values(|path, old| {
        let [count] = old.dims();
        let name = path.rsplit('.').next().unwrap_or(path);
        match of_file(path, count) {
            None => old,
            Some(Err(other)) => {
                notes.insert(format!("`{name}`: the masks in the file are {other}, and not used"));
                old
            }
            Some(Ok(values)) => {
                notes.insert(format!("`{name}`: the search continues from the masks in the file"));
                Tensor::from_data(TensorData::new(values, [count]), device)
            }
        }
    });
    if notes.is_empty() {
        notes.insert("the masks in the file are not used: their dimensions are not searched".to_owned());
    }
    (masks, notes)
}

/// `error`, at the place in `document` that names the file.
pub(crate) fn pretrained_error(document: &Document, error: &WeightsError) -> ExperimentErrors {
    document.error(&["model", "pretrained"], error.to_string(), error.help.clone())
}
