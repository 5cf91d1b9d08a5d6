//! Restores the networks of a run from its files.

use std::path::{Path, PathBuf};

use burn::module::{Module, ModuleMapper, Param};
use burn::store::{
    BurnToPyTorchAdapter, ModuleSnapshot, ModuleStore, PyTorchToBurnAdapter, SafetensorsStore,
};
use burn::tensor::{DType, Tensor};
use miette::Diagnostic;
use thiserror::Error;

use super::data_record::DataRecord;
use super::folder::{DATA, NETWORK, PLAN, WEIGHTS};
use super::pretrained::Pretrained;
use super::weights::{AS_PLANNED, head_order, shapes, slim_like};
use crate::experiment::Experiment;
use crate::graph::GraphError;
use crate::models::{Architecture, ConfigError};
use crate::slim::{MaskSet, Plan, PlanError, heads_as_planned, heads_by_size};
use crate::train::{CheckpointError, load_pretrained};
use crate::weights::WeightsError;

/// Number of differences in a file of weights that an error lists.
const TOLD: usize = 3;

/// A network of a run.
#[derive(Debug)]
pub struct Restored<M> {
    /// The network, in validation mode.
    pub model: M,
    /// Epochs of pretraining that the dense network has seen.
    pub epoch: Option<usize>,
    /// Notes for the user, one line each.
    pub notes: Vec<String>,
}

/// A network that cannot be restored from the files of its run.
#[derive(Debug, Error, Diagnostic)]
pub enum RestoreError {
    /// Pretraining has no usable checkpoint.
    #[error(transparent)]
    #[diagnostic(help(
        "give the command of the run again: it resumes where it stopped, and repairs what is damaged; of a complete run, only \
         `--fresh` trains the dense network again"
    ))]
    Checkpoint(#[from] CheckpointError),
    /// A file is missing.
    #[error("there is no `{}`: this sub-network is not finished", .0.display())]
    #[diagnostic(help("give the command of the run again: it resumes where it stopped"))]
    Unfinished(PathBuf),
    /// A file cannot be read.
    #[error("cannot read `{}`", .path.display())]
    Read {
        /// The file that could not be read.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The content of a file is wrong.
    #[error("`{}` is damaged: {reason}", .path.display())]
    #[diagnostic(help("delete the file, and give the command of the run again: that makes a new one"))]
    Damaged {
        /// The damaged file.
        path: PathBuf,
        /// What is wrong with it, on one line.
        reason: String,
    },
    /// Nothing says in which order the heads of a sub-network are.
    #[error("`{}` does not say in which order its heads are, and the `network.json` beside it is missing", .0.display())]
    #[diagnostic(help("give the command of the run again: it makes both again"))]
    Disordered(PathBuf),
    /// The plan does not fit the run's network.
    #[error("`{}` does not fit the experiment of its run: {reason}", .path.display())]
    #[diagnostic(help(
        "a sub-network belongs to the `experiment.ron` that made it; check whether one of them was changed or copied"
    ))]
    Unfit {
        /// The plan.
        path: PathBuf,
        /// What does not fit, on one line.
        reason: String,
    },
    /// The run does not say what the images of its network are.
    #[error("`{}` is missing or damaged, and no sub-network is finished that says what images it takes", .0.display())]
    #[diagnostic(help(
        "give the command of the run again: it makes the file again, and resumes where it stopped"
    ))]
    Undescribed(PathBuf),
    /// An earlier version made the run, which did not describe its networks.
    #[error(
        "an earlier version made the run in `{}`, and did not write `network.json`, which says what images its networks take",
        .0.display()
    )]
    #[diagnostic(help(
        "`vitslim run --fresh` discards the run, and trains it again with this version; `vitslim eval` takes it as it is"
    ))]
    Earlier(PathBuf),
    /// The trained weights that the run starts from cannot be used.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Weights(#[from] WeightsError),
    /// The file of weights is another than when the run began.
    #[error("`{}` is not the file that the run started from", .0.display())]
    #[diagnostic(help("restore the file: without pretraining, it is the dense network"))]
    OtherWeights(PathBuf),
    /// The architecture refuses on this device what it accepted on the CPU.
    #[error("the model cannot be made: {0}")]
    Config(ConfigError),
    /// The annotations of the architecture contradict each other.
    #[error("the model cannot be cut: {0}")]
    Plan(#[from] PlanError),
    /// The forward pass cannot be recorded.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The configuration cannot be written as RON.
    #[error("the configuration of the architecture cannot be written as RON: {0}")]
    Unwritten(String),
}

/// The dense network of the run in the folder `run`, built like `initial` and pretrained as `experiment` says. Without pretraining it
/// is as `pretrained`, the weights that it starts from, have it.
pub(super) fn dense<A: Architecture>(
    experiment: &Experiment,
    run: &Path,
    initial: A,
    pretrained: Option<&Pretrained>,
) -> Result<Restored<A>, RestoreError> {
    let Some(training) = &experiment.pretrain else {
        return untrained(experiment, run, initial, pretrained);
    };
    let loaded = load_pretrained(initial, training, run)?;
    let mut notes: Vec<String> = loaded
        .damaged
        .iter()
        .map(|epoch| format!("the checkpoint of epoch {epoch} is damaged; the one before it is used"))
        .collect();
    if !loaded.complete {
        notes.push(format!("the dense network after epoch {} of {}", loaded.epoch, training.epochs.get()));
    }
    Ok(Restored { model: loaded.model, epoch: Some(loaded.epoch), notes })
}

/// The dense network of a run without pretraining.
fn untrained<A: Architecture>(
    experiment: &Experiment,
    run: &Path,
    initial: A,
    pretrained: Option<&Pretrained>,
) -> Result<Restored<A>, RestoreError> {
    let told = |model: A, is: &str| {
        let notes = vec![format!("this experiment has no pretraining: the dense network is {is}")];
        Restored { model, epoch: None, notes }
    };
    let Some(pretrained) = pretrained else { return Ok(told(initial, "as initialised")) };
    let record = DataRecord::read(run)
        .map_err(|error| RestoreError::Damaged { path: run.join(DATA), reason: error.to_string() })?;
    let recorded = record.and_then(|record| record.content.pretrained);
    if recorded.is_some_and(|recorded| recorded != pretrained.sha256) {
        return Err(RestoreError::OtherWeights(experiment.model.pretrained.clone().unwrap_or_default()));
    }
    let device = initial.devices().first().cloned().unwrap_or_default();
    let (model, _) = pretrained.load(initial, experiment, &[], &device)?;
    Ok(told(model, "as `pretrained` has it"))
}

/// The sub-network in `folder` of a run whose networks are built like `dense`.
pub(super) fn subnet<A: Architecture>(dense: &A, folder: &Path) -> Result<A, RestoreError> {
    let plan_path = folder.join(PLAN);
    let plan = plan(&plan_path)?;
    let path = folder.join(WEIGHTS);
    let bytes = read(&path)?;
    let shapes = shapes(&bytes);
    let sliced = slim_like(dense, &plan, |name| shapes.get(name).cloned())
        .map_err(|error| RestoreError::Unfit { path: plan_path, reason: error.to_string() })?;
    match head_order(&bytes) {
        Some(order) if order != AS_PLANNED => {
            let reason = format!("its heads are in an order that this version does not know, `{order}`");
            Err(RestoreError::Unfit { path, reason })
        }
        // Earlier versions wrote no `network.json`, and heads as they are computed.
        None if !folder.join(NETWORK).exists() => {
            match folder.ancestors().nth(2).is_none_or(DataRecord::is_of_earlier) {
                true => load(sliced, bytes, &path),
                false => Err(RestoreError::Disordered(path)),
            }
        }
        // Other tools drop the metadata when they save the weights.
        _ => load_planned(&sliced, &plan, bytes, &path),
    }
}

/// `masks` with the values that the file `path` has.
pub(super) fn masks(masks: MaskSet, path: &Path) -> Result<MaskSet, RestoreError> {
    load(masks, read(path)?, path)
}

/// The plan in the file `path`.
pub(super) fn plan(path: &Path) -> Result<Plan, RestoreError> {
    let damaged = |reason: String| RestoreError::Damaged { path: path.to_owned(), reason };
    let text = String::from_utf8(read(path)?).map_err(|_| damaged("it is not text".to_owned()))?;
    ron::from_str(&text).map_err(|error| damaged(error.to_string()))
}

/// `sliced`, a sub-network that `plan` left, with the weights in `bytes`, the content of the file `path`, whose heads are in the order
/// of the plan.
///
/// # Errors
///
/// When the weights are damaged, or those of another network.
pub(crate) fn load_planned<A: Architecture>(
    sliced: &A,
    plan: &Plan,
    bytes: Vec<u8>,
    path: &Path,
) -> Result<A, RestoreError> {
    Ok(heads_by_size(&load(heads_as_planned(sliced, plan), bytes, path)?))
}

/// `model` with the weights in `bytes`, the content of the file `path`, which has the names and layout of PyTorch, and floats of any
/// width.
///
/// Names and shapes are compared first: burn stops halfway at a tensor that does not fit.
fn load<M: Module>(mut model: M, bytes: Vec<u8>, path: &Path) -> Result<M, RestoreError> {
    let damaged = |reason: String| RestoreError::Damaged { path: path.to_owned(), reason };
    let mut store = SafetensorsStore::from_bytes(Some(bytes)).with_from_adapter(PyTorchToBurnAdapter);
    let found = store.get_all_tensors().map_err(|error| damaged(error.to_string()))?;
    let found: Vec<_> = found.iter().map(|(name, tensor)| (name.clone(), tensor.shape.to_vec())).collect();
    let expected = model.collect(None, Some(Box::new(BurnToPyTorchAdapter)), false);
    let expected = expected.iter().map(|tensor| (tensor.name.clone(), tensor.shape.to_vec())).collect();
    let differences = differences(expected, found);
    if !differences.is_empty() {
        return Err(RestoreError::Unfit { path: path.to_owned(), reason: differences });
    }
    let applied = model.load_from(&mut store).map_err(|error| damaged(error.to_string()))?;
    match applied.errors.first() {
        Some(error) => Err(damaged(error.to_string())),
        None => Ok(model.map(&mut InF32)),
    }
}

/// Floats of other widths are loaded as they are, and nothing can compute with them.
struct InF32;

impl ModuleMapper for InF32 {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|value| value.cast(DType::F32))
    }
}

/// What distinguishes the tensors that were found from those that were expected, names and shapes; empty if nothing does.
fn differences(mut expected: Vec<(String, Vec<usize>)>, found: Vec<(String, Vec<usize>)>) -> String {
    let mut told = Vec::new();
    for (name, shape) in found {
        match expected.iter().position(|(known, _)| *known == name) {
            None => told.push(format!("`{name}` {shape:?} belongs to no layer")),
            Some(index) => {
                let (_, wanted) = expected.swap_remove(index);
                if wanted != shape {
                    told.push(format!("`{name}` is {shape:?} in the file and {wanted:?} in the network"));
                }
            }
        }
    }
    told.extend(expected.iter().map(|(name, shape)| format!("`{name}` {shape:?} is missing")));
    told.sort();
    let more = told.len().saturating_sub(TOLD);
    told.truncate(TOLD);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    told.join("; ") + &more
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, RestoreError> {
    std::fs::read(path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => RestoreError::Unfinished(path.to_owned()),
        _ => RestoreError::Read { path: path.to_owned(), source },
    })
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use safetensors::SafeTensors;

    use super::*;
    use crate::models::{Vit, VitConfig, random_model};
    use crate::run::weights::{parameters, weights};
    use crate::slim::{Slimmable, describe};

    /// A ViT, and a plan that leaves heads of other sizes in another order than that of their sizes, one of them empty.
    fn ragged() -> (Vit, Plan) {
        let config = VitConfig {
            image_size: 4,
            patch_size: 2,
            channels: 1,
            classes: 3,
            dim: 12,
            depth: 1,
            heads: 4,
            ..VitConfig::default()
        };
        let model = random_model::<Vit>(&config, &mut ChaCha8Rng::seed_from_u64(1), &Device::flex()).unwrap();
        let mut plan = Plan::whole(&describe(&model).unwrap());
        plan.get_mut("blocks.0.attn.head_dim").unwrap().keep = vec![1, 6, 8, 9, 10, 11];
        (model, plan)
    }

    /// The network that is read from the folder of a sub-network with these files.
    fn read_back(files: &[(&str, &[u8])]) -> Result<Vit, RestoreError> {
        let (model, plan) = ragged();
        let run = tempfile::tempdir().unwrap();
        let folder = run.path().join("subnets/a");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(PLAN), ron::to_string(&plan).unwrap()).unwrap();
        files.iter().for_each(|(name, bytes)| std::fs::write(folder.join(name), bytes).unwrap());
        subnet(&model, &folder)
    }

    #[test]
    fn weights_are_those_of_the_dense_network_in_the_order_of_the_plan() {
        let (model, plan) = ragged();
        let bytes = weights(&model.slim(&plan).unwrap(), &plan).unwrap();
        let found = SafeTensors::deserialize(&bytes).unwrap();
        let floats = |data: &[u8]| -> Vec<f32> {
            data.as_chunks().0.iter().map(|value| f32::from_le_bytes(*value)).collect()
        };
        let keep = &plan.get("blocks.0.attn.head_dim").unwrap().keep;
        let dense: Vec<f32> =
            model.blocks[0].attn.qkv.bias.as_ref().unwrap().val().into_data().try_into_vec().unwrap();
        let expected: Vec<f32> = (0..3)
            .flat_map(|part| keep.iter().map(move |unit| 12 * part + unit))
            .map(|unit| dense[unit])
            .collect();
        assert_eq!(floats(found.tensor("blocks.0.attn.qkv.bias").unwrap().data()), expected);
        // `[out, in]`
        let dense: Vec<f32> = model.blocks[0].attn.proj.weight.val().into_data().try_into_vec().unwrap();
        let expected: Vec<f32> = (0..12)
            .flat_map(|output| keep.iter().map(move |unit| 12 * unit + output))
            .map(|at| dense[at])
            .collect();
        assert_eq!(floats(found.tensor("blocks.0.attn.proj.weight").unwrap().data()), expected);
    }

    #[test]
    fn a_sub_network_is_read_back_whoever_saved_it() {
        let (model, plan) = ragged();
        let sliced = model.slim(&plan).unwrap();
        let ours = weights(&sliced, &plan).unwrap();
        let tensors = SafeTensors::deserialize(&ours).unwrap();
        let by_a_tool = safetensors::serialize(tensors.tensors(), None).unwrap();
        let by_an_earlier_version = parameters(&sliced).unwrap();
        for (who, files) in [
            ("we", &[(WEIGHTS, &ours[..])][..]),
            ("we", &[(WEIGHTS, &ours), (NETWORK, b"{}")]),
            ("a tool", &[(WEIGHTS, &by_a_tool), (NETWORK, b"{}")]),
            ("an earlier version", &[(WEIGHTS, &by_an_earlier_version)]),
        ] {
            let found = read_back(files).unwrap();
            assert_eq!(found.blocks[0].attn.heads.sizes, [3, 2, 1], "{who}");
            assert!(parameters(&found).unwrap() == parameters(&sliced).unwrap(), "{who}");
        }
        let split = r#"{"images":1,"sha256":""}"#;
        let record = |version: &str| {
            format!(
                r#"{{"version":{version},"classes":[],"train":{split},"held_out":{split},"test":{split}}}"#
            )
        };
        // The folder of the run is two above.
        let read_back_in = |version| {
            read_back(&[(WEIGHTS, &by_an_earlier_version), ("../../data.json", record(version).as_bytes())])
        };
        read_back_in("null").unwrap();
        let error = read_back_in("\"0.2.0\"").unwrap_err().to_string();
        assert!(error.contains("does not say in which order its heads are"), "{error}");
        let order = |order: &str| {
            let metadata = [("heads".to_owned(), order.to_owned())].into();
            safetensors::serialize(tensors.tensors(), Some(metadata)).unwrap()
        };
        assert_eq!(order(AS_PLANNED), ours, "one entry of metadata, so that equal weights are equal files");
        let error = read_back(&[(WEIGHTS, &order("as rolled"))]).unwrap_err().to_string();
        assert!(error.contains("an order that this version does not know, `as rolled`"), "{error}");
    }

    #[test]
    fn differences_name_tensors_and_both_shapes() {
        let tensor = |name: &str, shape: &[usize]| (name.to_owned(), shape.to_vec());
        let model = vec![tensor("a", &[2, 3]), tensor("b", &[4])];
        assert_eq!(differences(model.clone(), model.clone()), "");
        let found = vec![tensor("a", &[3, 2]), tensor("c", &[4])];
        assert_eq!(
            differences(model.clone(), found),
            "`a` is [3, 2] in the file and [2, 3] in the network; `b` [4] is missing; `c` [4] belongs to no layer"
        );
        let many = (0..5).map(|index| tensor(&format!("x{index}"), &[1])).collect();
        assert!(differences(model, many).ends_with("; and 4 more"));
    }
}
