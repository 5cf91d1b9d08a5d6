//! The trained weights that an experiment starts from.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use miette::Diagnostic;
use safetensors::{SafeTensorError, SafeTensors};
use sha2::{Digest, Sha256};

use super::network::{Images, Network};
use super::weights::slim_like;
use crate::data::Normalisation;
use crate::experiment::{Document, Experiment, ExperimentErrors, Importance, Teacher, Trial};
use crate::models::Architecture;
use crate::panics::attempt;
use crate::slim::{
    Activation, Cut, Dimension, Mask, MaskSet, MaskSpec, Plan, Sizes, describe, heads_as_planned,
};
use crate::terminal::counted;
use crate::weights::{Fitted, Untrained, WeightsError, WeightsFile};

/// Difference of mean or std, in units of white, below which images are normalised alike.
const NEAR: f32 = 1e-3;

/// What `pretrained` names, and what the network may lack of it.
#[derive(Clone, Debug)]
pub struct Pretrained {
    file: Arc<WeightsFile>,
    allow_missing: Vec<String>,
    /// The SHA-256 of its content.
    pub sha256: String,
    /// The network, if a run left it.
    left: Option<Arc<LeftNetwork>>,
}

/// A network that a run left, and that another starts from.
#[derive(Debug)]
pub(crate) struct LeftNetwork {
    /// Where it is, as the experiment says.
    pub(super) path: PathBuf,
    /// The configuration of its dense network, as JSON.
    pub(super) config: serde_json::Value,
    /// What it keeps of the dense network.
    plan: Plan,
    /// How it takes images.
    pub(super) images: Images,
    pub(super) classes: Vec<String>,
    /// Number of values of all tensors in its file.
    pub(super) values: usize,
    /// What the user should know of it, one line each.
    pub(super) notes: Vec<String>,
    /// The file of it, as `vitslim export --to safetensors` writes it.
    pub(super) file: Vec<u8>,
}

impl Pretrained {
    /// The weights in `file`, of which the network or the file may lack what `allow_missing` says.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub(super) fn of_weights(file: WeightsFile, allow_missing: &[String]) -> Result<Self, WeightsError> {
        let sha256 = file.sha256()?;
        Ok(Self { file: Arc::new(file), allow_missing: allow_missing.to_vec(), sha256, left: None })
    }

    /// Likewise, of the `network` that a run left by `plan`. `bytes` is its file, as `vitslim export --to safetensors` writes it, of
    /// so many `values`; errors call it `path`.
    ///
    /// # Errors
    ///
    /// When the file is damaged.
    pub(super) fn of_network(
        path: &Path,
        (network, plan): (Network<serde_json::Value>, Plan),
        (bytes, values): (Vec<u8>, usize),
        allow_missing: &[String],
        notes: Vec<String>,
    ) -> Result<Self, WeightsError> {
        let file = WeightsFile::of_bytes(path, bytes.clone())?;
        let damaged = |error: String| WeightsError {
            path: path.to_owned(),
            wrong: format!("is damaged: {error}"),
            help: Some("export the network again".to_owned()),
        };
        let written = ron::to_string(&plan).map_err(|error| damaged(error.to_string()))?;
        let sha256 = weights_sha256(&bytes, &written).map_err(|error| damaged(error.to_string()))?;
        let left = LeftNetwork {
            path: path.to_owned(),
            config: network.config,
            plan,
            images: network.images,
            classes: network.classes,
            values,
            notes,
            file: bytes,
        };
        let allow_missing = allow_missing.to_vec();
        Ok(Self { file: Arc::new(file), allow_missing, sha256, left: Some(Arc::new(left)) })
    }

    /// The network, if a run left it.
    pub(crate) fn left(&self) -> Option<&LeftNetwork> {
        self.left.as_deref()
    }

    /// What the run left of `dense`, before the weights are loaded, and the plan that leaves it: with the sizes of `dense`, and heads in
    /// its order. `dense` itself, if the weights are of no run.
    ///
    /// # Errors
    ///
    /// When the run cut dimensions that have other sizes in `dense`.
    pub(crate) fn cut<A: Architecture>(&self, dense: A) -> Result<(A, Option<Plan>), WeightsError> {
        let Some(left) = &self.left else { return Ok((dense, None)) };
        let unfit =
            |wrong: String, help: Option<String>| WeightsError { path: left.path.clone(), wrong, help };
        let unsliced = |error: String| unfit(format!("cannot be cut out of the network: {error}"), None);
        let dimensions = describe(&dense).map_err(|error| unsliced(error.to_string()))?;
        let cuts =
            left.plan.cuts.iter().map(|cut| match dimensions.iter().find(|d| d.path == cut.dimension) {
                Some(here) if here.groups != cut.of && cut.keep.len() == cut.units() => {
                    Ok(Cut { of: here.groups.clone(), keep: (0..here.units()).collect(), ..cut.clone() })
                }
                Some(here) if here.groups != cut.of => {
                    let (kept, of, found) =
                        (cut.keep.len(), Sizes(cut.of.clone()), Sizes(here.groups.clone()));
                    let wrong = format!(
                        "keeps {kept} of {of} units at `{}`, where the network has {found} for these images",
                        cut.dimension
                    );
                    let size = left.images.size;
                    let help = format!(
                        "take images of {size} x {size} pixels, or a network in which these are not cut"
                    );
                    Err(unfit(wrong, Some(help)))
                }
                _ => Ok(cut.clone()),
            });
        let mut plan = Plan { cuts: cuts.collect::<Result<_, _>>()?, ..left.plan.clone() };
        // A run of a version whose networks had no gates at their branches.
        let unknown = dimensions.into_iter().filter(|of| of.is_branch() && plan.get(&of.path).is_none());
        let unknown: Vec<Dimension> = unknown.collect();
        plan.cuts.extend(Plan::whole(&unknown).cuts);
        let sliced = attempt(|| slim_like(&dense, &plan, |name| self.file.shape(name))).map_err(unsliced)?;
        let sliced = sliced.map_err(|error| unsliced(error.to_string()))?;
        Ok((heads_as_planned(&sliced, &plan), Some(plan)))
    }

    /// What a user should know who trains the network that a run left on images of `classes`.
    pub(crate) fn notes(&self, classes: &[String]) -> Vec<String> {
        let Some(left) = &self.left else { return Vec::new() };
        let of_this =
            "shares are of this network, which is called dense here, not of the one that it was cut out of";
        let mut notes = left.notes.clone();
        notes.push(of_this.to_owned());
        if classes.len() == left.classes.len() && classes != left.classes {
            notes.push("the classifier of as many other classes is taken over".to_owned());
        }
        notes
    }

    /// What a user should know whose images are normalised by `normalisation`, but those of the network otherwise, if a run left it.
    pub(crate) fn normalisation_note(&self, normalisation: &Normalisation) -> Option<String> {
        let Images { mean, std, .. } = &self.left.as_deref()?.images;
        let near = |there: &[f32], here: &[f32]| {
            there.len() == here.len()
                && there.iter().zip(here).all(|(there, here)| (there - here).abs() < NEAR)
        };
        (!near(mean, &normalisation.mean) || !near(std, &normalisation.std)).then(|| {
            format!(
                "its images were normalised by other mean and std than these are: \
                 `normalise: Given(mean: {mean:?}, std: {std:?})` in `data` normalises these alike"
            )
        })
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
        check_dense_teacher(trial, &fitted)?;
        check_masks(trial, &fitted)?;
        check_gradients(trial, &fitted)?;
        let (_, notes) = masks(&fitted, &trial.experiment, searched, &Device::flex());
        fitted.notes.extend(notes);
        Ok(fitted)
    }

    /// `network` with the weights, to classify `classes` as it is, and what became of the weights: a line each.
    ///
    /// # Errors
    ///
    /// Those of [`WeightsFile::fit`], when the file has no classifier for so many classes, and when it lacks another part of the network.
    pub(super) fn classifier<A: Architecture>(
        &self,
        network: A,
        classes: usize,
    ) -> Result<(A, Vec<String>), WeightsError> {
        let fitted = self.file.fit(&network, &self.allow_missing)?;
        if let Some(Untrained { layer, classes: there }) = fitted.untrained.first() {
            let wrong = match there {
                Some(there) => {
                    format!(
                        "classifies by {}, and the data have {classes}",
                        counted(*there, "class", "classes")
                    )
                }
                None => format!("has no classifier `{layer}`"),
            };
            let help = "take a network that was trained on the classes of the data";
            return Err(self.file.error(wrong, Some(help.to_owned())));
        }
        if let Some(parameter) = fitted.initial.first() {
            let wrong =
                format!("leaves `{parameter}` of the network as initialised, and a teacher must be trained");
            let help = "take a file that has all of the network: `allow_missing` of a teacher is for what of the file is not used";
            return Err(self.file.error(wrong, Some(help.to_owned())));
        }
        let told = fitted.told();
        Ok((fitted.into_network(network)?, told))
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

/// What is not trained of a network with the weights `fitted`.
fn untrained(fitted: &Fitted) -> Option<String> {
    let classifier = fitted.untrained.first().map(|untrained| format!("`{}`, a classifier", untrained.layer));
    classifier.or_else(|| fitted.initial.first().map(|parameter| format!("`{parameter}`, a parameter")))
}

/// Checks that the dense network of `trial`, which starts with the weights `fitted`, can teach if it is to.
fn check_dense_teacher(trial: &Trial, fitted: &Fitted) -> Result<(), ExperimentErrors> {
    let mut teachers = trial.experiment.teachers();
    let dense = teachers.find(|(_, teacher)| matches!(teacher, Teacher::Dense { .. }));
    match (untrained(fitted), dense) {
        (Some(untrained), Some((stage, _))) if trial.experiment.pretrain.is_none() => {
            let message =
                format!("{untrained} of the dense network, is not trained, so that it has nothing to teach");
            let help = "train it with `pretrain`, or name another teacher";
            Err(trial.document.error(&[stage, "teacher"], message, Some(help.to_owned())))
        }
        _ => Ok(()),
    }
}

/// Checks that the gradients of a network with the weights `fitted` say something, if `trial` ranks by them.
fn check_gradients(trial: &Trial, fitted: &Fitted) -> Result<(), ExperimentErrors> {
    let Experiment { importance, pretrain, .. } = &trial.experiment;
    match (untrained(fitted), importance) {
        (Some(untrained), Importance::Taylor { .. }) if pretrain.is_none() => {
            let message = format!(
                "{untrained} of the dense network, is not trained, so that its gradients say nothing: `Taylor` cannot rank its units"
            );
            let help =
                "train it with `pretrain`, or write another `importance`: `Variance` needs no classifier";
            Err(trial.document.error(&["importance"], message, Some(help.to_owned())))
        }
        _ => Ok(()),
    }
}

/// Checks that the masks that come with the weights `fitted` are those that `trial` ranks by, unless it trains without them.
fn check_masks(trial: &Trial, fitted: &Fitted) -> Result<(), ExperimentErrors> {
    let Experiment { importance, pretrain, .. } = &trial.experiment;
    if importance.needs_search() || pretrain.is_some() || fitted.masks.is_empty() {
        return Ok(());
    }
    let message = format!(
        "the weights in this file were trained with its masks on, so `{}` cannot rank them without",
        importance.name()
    );
    let help = "leave `importance` out, so that the search goes on from these masks, or train without them by `pretrain`";
    Err(trial.document.error(&["importance"], message, Some(help.to_owned())))
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

/// The SHA-256 of the weights in `bytes`, a safetensors file, and of their `plan`, whatever else the file says.
fn weights_sha256(bytes: &[u8], plan: &str) -> Result<String, SafeTensorError> {
    let tensors = SafeTensors::deserialize(bytes)?;
    let mut hash = Sha256::new();
    for (name, tensor) in tensors.tensors().into_iter().collect::<BTreeMap<_, _>>() {
        hash.update(format!("{name} {:?} {:?}\n", tensor.dtype(), tensor.shape()));
        hash.update(tensor.data());
    }
    hash.update(plan);
    Ok(format!("{:x}", hash.finalize()))
}

/// `error`, at the place in `document` that names the file.
pub(crate) fn pretrained_error(document: &Document, error: &dyn Diagnostic) -> ExperimentErrors {
    let help = error.help().map(|help| help.to_string());
    document.error(&["model", "pretrained"], error.to_string(), help)
}
