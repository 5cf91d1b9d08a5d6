//! The stages in order: pretrain, search, and for each budget cut, slice, retrain, measure.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use burn::module::Module;
use burn::store::{BurnToPyTorchAdapter, ModuleSnapshot, SafetensorsStore};
use burn::tensor::Device;
use miette::Diagnostic;
use serde::Serialize;
use serde_json::{Map, Value, json};
use thiserror::Error;

use super::folder::{FolderError, RunFolder};
use super::prepare::{PrepareError, Prepared, PreparedBudget};
use crate::data::{ImageShape, Moment, Part, Stage};
use crate::experiment::{CutRule, Masks, Training};
use crate::graph::{GraphError, macs};
use crate::models::Architecture;
use crate::report::{BudgetSummary, DenseSummary, SearchSummary, Seconds, SubnetSummary, Summary};
use crate::slim::{MaskSet, Plan, PlanError, RankError, Slim, rank};
use crate::train::{EvaluateError, StageRun, TrainError, difference, throughput, top1, train};

/// Held-out images on which hard-masked and sliced networks are compared.
const COMPARED_IMAGES: usize = 256;

/// A run that failed.
#[derive(Debug, Error, Diagnostic)]
pub enum RunError {
    /// The experiment cannot be run.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Prepare(#[from] PrepareError),
    /// The folder cannot be used.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Folder(#[from] FolderError),
    /// A stage failed.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// A network could not be evaluated.
    #[error(transparent)]
    Evaluate(#[from] EvaluateError),
    /// MACs could not be counted.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The masks could not be ranked.
    #[error(transparent)]
    Rank(#[from] RankError),
    /// A plan could not be carried out.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A result could not be put into its file's form.
    #[error("cannot write {what}: {reason}")]
    Format {
        /// What.
        what: &'static str,
        /// Why.
        reason: String,
    },
}

/// Runs a prepared experiment on `device` (shown as `device_name`) and leaves its folder under `out`.
///
/// # Errors
///
/// When a stage fails or a file cannot be written.
pub fn execute<A: Architecture>(
    prepared: &Prepared<A>,
    out: &Path,
    device: &Device,
    device_name: &str,
) -> Result<(RunFolder, Summary), RunError> {
    let experiment = &prepared.experiment;
    let trial = format!("seed={}", experiment.seed);
    let folder = RunFolder::begin(out, experiment.name.as_str(), &trial, &prepared.resolved()?)?;
    let run = Run {
        prepared,
        folder: &folder,
        device,
        train: Arc::new(prepared.data.train.clone()),
        held_out: Arc::new(prepared.data.held_out.clone()),
    };

    let mut seconds = Seconds::default();
    let dense = run.pretrain(&mut seconds)?;
    let dense_summary = DenseSummary {
        params: Module::num_params(&dense),
        macs: macs(&dense, run.image())?,
        top1: run.top1(&dense)?,
    };
    let searched = run.search(dense.clone(), &mut seconds)?;
    let search =
        SearchSummary { epochs: experiment.search.epochs.get(), top1_soft: run.top1(&searched.gated())? };
    run.save_module(&searched.masks, "masks.safetensors", "the masks")?;

    let mut subnets = Vec::new();
    for budget in &prepared.budgets {
        subnets.push(run.subnet(budget, &dense, &searched, &mut seconds)?);
    }
    let summary = Summary {
        name: experiment.name.as_str().to_owned(),
        trial,
        device: device_name.to_owned(),
        seconds,
        dense: dense_summary,
        search,
        subnets,
    };
    run.save_json(&summary, "summary.json")?;
    Ok((folder, summary))
}

struct Run<'a, A: Architecture> {
    prepared: &'a Prepared<A>,
    folder: &'a RunFolder,
    device: &'a Device,
    train: Arc<Part>,
    held_out: Arc<Part>,
}

impl<A: Architecture> Run<'_, A> {
    /// The dense model, pretrained if the experiment says so, in validation mode.
    fn pretrain(&self, seconds: &mut Seconds) -> Result<A, RunError> {
        let experiment = &self.prepared.experiment;
        let moment = Moment { seed: experiment.seed, stage: Stage::Pretrain, epoch: 0, step: 0 };
        self.device.seed(moment.device_seed());
        let model = A::init(&self.prepared.config, self.device)
            .map_err(|error| RunError::Format { what: "the model", reason: error.to_string() })?;
        let Some(training) = &experiment.pretrain else { return Ok(model.valid()) };
        let started = Instant::now();
        let trained = self.stage(Slim::dense(model), Stage::Pretrain, None, training)?;
        seconds.pretrain = Some(started.elapsed().as_secs_f64());
        Ok(trained.model)
    }

    /// The model and its masks after the search, in validation mode.
    fn search(&self, model: A, seconds: &mut Seconds) -> Result<Slim<A>, RunError> {
        let masks = MaskSet::new(&self.prepared.searched, self.device);
        let training = self.prepared.experiment.search.training();
        let started = Instant::now();
        let searched = self.stage(Slim { model, masks }, Stage::Search, None, &training)?;
        seconds.search = Some(started.elapsed().as_secs_f64());
        Ok(searched)
    }

    /// Cuts a sub-network out of the search, retrains and measures it.
    fn subnet(
        &self,
        budget: &PreparedBudget,
        dense: &A,
        searched: &Slim<A>,
        seconds: &mut Seconds,
    ) -> Result<SubnetSummary, RunError> {
        let experiment = &self.prepared.experiment;
        let label = budget.label.as_str();
        let file = |name: &str| format!("subnets/{label}/{name}");

        let plan = rank(&self.prepared.dimensions, &searched.masks, &budget.rankings)?;
        self.folder.write(&file("plan.ron"), plan_as_ron(&plan)?.as_bytes())?;
        let base = match experiment.cut {
            CutRule::Fold => searched.model.fold(&searched.masks),
            CutRule::Hard => searched.model.clone(),
        };
        let sliced = base.slim(&plan)?;
        let masked_vs_sliced =
            difference(&base.hard_mask(&plan)?, &sliced, &self.held_out, COMPARED_IMAGES, self.device)?;
        let macs = macs(&sliced, self.image())?;
        let top1_sliced = self.top1(&sliced)?;
        let [dense_speed, images_per_second] = throughput(dense, &sliced, &self.held_out, self.device)?;

        let (model, top1_retrained) = match &experiment.retrain {
            None => (sliced, None),
            Some(training) => {
                let started = Instant::now();
                let retrained = self.stage(Slim::dense(sliced), Stage::Retrain, Some(label), training)?;
                *seconds.retrain.get_or_insert(0.0) += started.elapsed().as_secs_f64();
                let top1 = self.top1(&retrained.model)?;
                (retrained.model, Some(top1))
            }
        };
        self.save_module(&model, &file("model.safetensors"), "a sub-network")?;
        let shares = budget.shares.iter().map(|(key, share)| (key.clone(), json!(share)));
        let summary = SubnetSummary {
            label: label.to_owned(),
            budget: BudgetSummary::Share(shares.collect()),
            kept: self.kept(&plan),
            params: Module::num_params(&model),
            macs,
            top1_sliced,
            top1_retrained,
            masked_vs_sliced,
            images_per_second,
            speedup: images_per_second / dense_speed,
        };
        self.save_json(&summary, &file("result.json"))?;
        Ok(summary)
    }

    fn stage(
        &self,
        slim: Slim<A>,
        stage: Stage,
        subnet: Option<&str>,
        training: &Training,
    ) -> Result<Slim<A>, TrainError> {
        let no_masks = Masks::default();
        let run = StageRun {
            stage,
            subnet,
            training,
            masks: if stage == Stage::Search { &self.prepared.experiment.search.masks } else { &no_masks },
            seed: self.prepared.experiment.seed,
            train: self.train.clone(),
            held_out: self.held_out.clone(),
            device: self.device.clone(),
            folder: self.folder.path(),
        };
        train(slim, &run)
    }

    fn image(&self) -> ImageShape {
        self.prepared.data.shape
    }

    fn top1(&self, model: &A) -> Result<f64, EvaluateError> {
        top1(model, &self.prepared.data.test, self.device)
    }

    /// Fraction of the units that `plan` keeps of each name that is searched.
    fn kept(&self, plan: &Plan) -> Map<String, Value> {
        let mut counts: Vec<(&str, usize, usize)> = Vec::new();
        for (dimension, _) in &self.prepared.searched {
            let Some(cut) = plan.get(&dimension.path) else { continue };
            match counts.iter_mut().find(|(name, _, _)| *name == dimension.name()) {
                Some((_, kept, units)) => {
                    *kept += cut.keep.len();
                    *units += cut.units();
                }
                None => counts.push((dimension.name(), cut.keep.len(), cut.units())),
            }
        }
        let fractions = counts.into_iter();
        fractions.map(|(name, kept, of)| (name.to_owned(), json!(kept as f64 / of as f64))).collect()
    }

    fn save_module<M: Module>(&self, module: &M, name: &str, what: &'static str) -> Result<(), RunError> {
        let mut store = SafetensorsStore::from_bytes(None).with_to_adapter(BurnToPyTorchAdapter);
        module.save_into(&mut store).map_err(|error| format_error(what, error))?;
        let bytes = store.get_bytes().map_err(|error| format_error(what, error))?;
        Ok(self.folder.write(name, &bytes)?)
    }

    fn save_json(&self, value: &impl Serialize, name: &str) -> Result<(), RunError> {
        let mut text =
            serde_json::to_string_pretty(value).map_err(|error| format_error("a summary", error))?;
        text.push('\n');
        Ok(self.folder.write(name, text.as_bytes())?)
    }
}

fn plan_as_ron(plan: &Plan) -> Result<String, RunError> {
    let pretty = ron::ser::PrettyConfig::new().struct_names(true).compact_arrays(true).depth_limit(3);
    ron::ser::to_string_pretty(plan, pretty).map_err(|error| format_error("a plan", error))
}

fn format_error(what: &'static str, error: impl std::fmt::Display) -> RunError {
    RunError::Format { what, reason: error.to_string() }
}
