//! A run in its folder, and the training of its stages.

use std::cell::OnceCell;
use std::sync::Arc;

use burn::tensor::Device;
use serde::Serialize;

use super::cutting::Cutting;
use super::error::RunError;
use super::folder::{FRONTIER, MASKS, RunFolder, SUBNETS};
use super::prepared::Prepared;
use super::remaining::remaining_epochs;
use super::setting::Setting;
use super::sharing::Sharing;
use crate::data::{ImageShape, Split, Stage};
use crate::experiment::{Masks, Training};
use crate::graph::macs;
use crate::importance::Correction;
use crate::models::{Architecture, Parameter};
use crate::report::{DenseSummary, SearchSummary, Seconds};
use crate::slim::{MaskSet, Slim};
use crate::terminal::say;
use crate::train::{EvaluateError, StageRun, Teacher, Trained, checkpoint_folder, top1, train};

/// A run in its folder.
pub(super) struct Run<'a, A: Architecture> {
    pub(super) prepared: &'a Prepared<A>,
    pub(super) cutting: &'a Cutting<'a>,
    pub(super) folder: &'a RunFolder,
    sharing: Sharing,
    pub(super) device: &'a Device,
    pub(super) setting: &'a Setting<'a>,
    train: Arc<Split>,
    pub(super) held_out: Arc<Split>,
    /// The dense network that sub-networks are cut out of, and what corrects the cuts.
    pub(super) base: OnceCell<(A, Option<Correction>)>,
}

impl<'a, A: Architecture> Run<'a, A> {
    /// The run of `prepared`, which starts from the network `initial`, and is cut by `cutting`, in its `folder`.
    ///
    /// # Errors
    ///
    /// When the forward pass cannot be recorded.
    pub(super) fn new(
        prepared: &'a Prepared<A>,
        cutting: &'a Cutting<'a>,
        folder: &'a RunFolder,
        initial: &A,
        setting: &'a Setting<'a>,
    ) -> Result<Self, RunError> {
        Ok(Self {
            prepared,
            cutting,
            folder,
            sharing: Sharing::of(prepared, initial, setting, folder)?,
            device: &setting.devices.first.device,
            setting,
            train: Arc::new(prepared.data.train.clone()),
            held_out: Arc::new(prepared.data.held_out.clone()),
            base: OnceCell::new(),
        })
    }

    /// The results of the dense network, after pretraining.
    pub(super) fn dense_summary(&self, dense: &A) -> Result<DenseSummary, RunError> {
        let (params, macs) = (Parameter::count(dense), macs(dense, self.image())?);
        Ok(DenseSummary { params, macs, top1: self.top1(dense)? })
    }

    /// The results of the search, which took so many `epochs`.
    pub(super) fn search_summary(
        &self,
        searched: &Slim<A>,
        epochs: usize,
    ) -> Result<SearchSummary, RunError> {
        Ok(SearchSummary { epochs, top1_soft: self.top1(&searched.gated())? })
    }

    /// The dense `model`, pretrained if the experiment says so, in validation mode.
    pub(super) fn pretrain(&self, model: A, seconds: &mut Seconds) -> Result<A, RunError> {
        let Some(training) = &self.prepared.experiment.pretrain else { return Ok(model.valid()) };
        let teacher = self.prepared.teacher(Stage::Pretrain, &model, None)?;
        let trained = self.stage(Slim::dense(model), Stage::Pretrain, None, None, (training, teacher))?;
        seconds.pretrain = Some(trained.seconds);
        Ok(trained.slim.model)
    }

    /// The model and its `masks` after the search, in validation mode, with the results of that. Where nothing needs a search, the model
    /// as it is, with the scores of its units.
    pub(super) fn search(
        &self,
        model: A,
        masks: MaskSet,
        seconds: &mut Seconds,
    ) -> Result<(Slim<A>, Option<SearchSummary>), RunError> {
        let experiment = &self.prepared.experiment;
        if let Some(masks) = self.prepared.scores(&model, self.folder.path(), self.setting)? {
            if !self.setting.quiet {
                say(format_args!(
                    "search: skipped, `importance: {}` ranks the units",
                    experiment.importance.name()
                ));
            }
            return Ok((Slim { model, masks }, None));
        }
        let training = experiment.search.training();
        let teacher = self.prepared.teacher(Stage::Search, &model, None)?;
        let slim = Slim { model, masks };
        let searched = self.stage(slim, Stage::Search, None, None, (&training, teacher))?;
        seconds.search = Some(searched.seconds);
        let summary = self.search_summary(&searched.slim, searched.epochs)?;
        Ok((searched.slim, Some(summary)))
    }

    /// Trains `slim` in a `stage`, or takes what that left. In a retraining it is the sub-network with the label `subnet`, cut out of
    /// `dense`.
    pub(super) fn stage(
        &self,
        slim: Slim<A>,
        stage: Stage,
        subnet: Option<&str>,
        dense: Option<&A>,
        (training, teacher): (&Training, Option<Teacher>),
    ) -> Result<Trained<A>, RunError> {
        let dense = dense.map(Parameter::annotated);
        let no_masks = Masks::default();
        let dependents = match stage {
            Stage::Pretrain => vec![
                checkpoint_folder(Stage::Search, None),
                checkpoint_folder(Stage::Retrain, None),
                SUBNETS.into(),
                FRONTIER.into(),
                MASKS.into(),
            ],
            Stage::Search => {
                vec![checkpoint_folder(Stage::Retrain, None), SUBNETS.into(), FRONTIER.into()]
            }
            Stage::Retrain => vec![],
        };
        let budget = self.prepared.budgets.iter().find(|budget| Some(budget.label.as_str()) == subnet);
        let remaining = remaining_epochs(&self.prepared.experiment, stage, self.subnets_after(subnet));
        let run = StageRun {
            stage,
            subnet,
            training,
            masks: if stage == Stage::Search { &self.prepared.experiment.search.masks } else { &no_masks },
            freeze: if stage == Stage::Search { self.prepared.experiment.search.freeze } else { None },
            dense: dense.as_deref(),
            teacher: teacher.as_ref(),
            log_every: self.prepared.experiment.log_every.get(),
            precision: self.prepared.experiment.precision,
            seed: self.prepared.experiment.seed,
            train: match training.augment {
                Some(augment) => Arc::new(self.prepared.data.train.clone().augmented(augment)),
                None => self.train.clone(),
            },
            held_out: self.held_out.clone(),
            devices: self.setting.devices,
            folder: self.folder.path(),
            dependents: dependents.into_iter().map(|path| self.folder.path().join(path)).collect(),
            identity: self.sharing.name(self.prepared, stage, budget),
            shared: self.sharing.folder(self.prepared, stage, budget),
            keep: self.prepared.experiment.keep,
            taken_over: &|| self.folder.taken_over(),
            interrupter: self.setting.interrupter.clone(),
            loader_threads: self.setting.loader_threads,
            images_later: remaining * self.train.len(),
            quiet: self.setting.quiet,
        };
        Ok(train(slim, &run)?)
    }

    /// Number of budgets whose sub-network comes after that with the label `subnet`; all if there is none yet.
    fn subnets_after(&self, subnet: Option<&str>) -> usize {
        let budgets = &self.prepared.budgets;
        let here = budgets.iter().position(|budget| Some(budget.label.as_str()) == subnet);
        here.map_or(budgets.len(), |here| budgets.len() - here - 1)
    }

    /// Stages look for an interruption by themselves; what is between them does so here.
    pub(super) fn check_interrupt(&self) -> Result<(), RunError> {
        if self.setting.interrupter.should_stop() { Err(RunError::Interrupted) } else { Ok(()) }
    }

    pub(super) fn image(&self) -> ImageShape {
        self.prepared.data.shape
    }

    pub(super) fn top1(&self, model: &A) -> Result<f64, EvaluateError> {
        top1(model, &self.prepared.data.test, self.prepared.experiment.precision, self.device)
    }

    pub(super) fn save_json(&self, value: &impl Serialize, name: &str) -> Result<(), RunError> {
        let mut text =
            serde_json::to_string_pretty(value).map_err(|error| RunError::format("a summary", error))?;
        text.push('\n');
        Ok(self.folder.write(name, text.as_bytes())?)
    }
}
