//! The stages in order: pretrain, search, and for each budget cut, slice, retrain, measure.

use std::cell::OnceCell;
use std::path::Path;
use std::sync::Arc;

use burn::tensor::Device;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::agreement::check_measured;
use super::begin::begin;
use super::belongs::is_same;
use super::blindness::{blinding, is_blind_to};
use super::budget::PreparedBudget;
use super::cutting::Cutting;
use super::dry_run::dry_run;
use super::error::RunError;
use super::folder::{
    EXPERIMENT, FRONTIER, FolderError, MASKS, NETWORK, PLAN, RunFolder, START, SUBNETS, SUMMARY, WEIGHTS,
};
use super::initial::initial_of;
use super::network::Network;
use super::networks::started;
use super::prepare::Prepared;
use super::remaining::remaining_epochs;
use super::restore::subnet as restored;
use super::setting::Setting;
use super::sharing::Sharing;
use super::state::{has_subnet, summary};
use super::subnet_result::{SubnetResult, budget_file, cut_by, summarised};
use super::weights::{parameters, weights};
use crate::data::{Dataset, ImageShape, Split, Stage};
use crate::experiment::{CutRule, Masks, Training};
use crate::graph::macs;
use crate::importance::Correction;
use crate::models::{Architecture, Parameter};
use crate::report::{DenseSummary, SearchSummary, Seconds, SubnetSummary, Summary};
use crate::slim::{MaskSet, Plan, PlanError, Slim, heads_by_size, leaves_tokens};
use crate::terminal::say;
use crate::train::{
    EvaluateError, StageRun, Teacher, Trained, checkpoint_folder, difference, has_checkpoint, is_whole,
    recorded_seconds, throughput, top1, train,
};

/// Validation images on which hard-masked and sliced networks are compared.
const COMPARED_IMAGES: usize = 256;

/// Runs a prepared experiment, and leaves its results in its folder. Resumes where an earlier run of it stopped. The caller may have
/// built the dense network already, for the dry run.
///
/// # Errors
///
/// When a stage fails or is interrupted, or a file cannot be written.
pub fn execute<A: Architecture>(
    prepared: &Prepared<A>,
    dense: Option<A>,
    setting: &Setting,
) -> Result<(RunFolder, Summary), RunError> {
    let prepared = &prepared.clone().timed_on(&setting.devices.first.device, setting.device_name);
    let experiment = &prepared.experiment;
    let trial = prepared.trial();
    let resolved = prepared.resolved()?;
    if setting.afresh || !is_complete(&setting.out.join(experiment.name.as_str()).join(&trial), &resolved) {
        for note in dry_run(prepared, dense)?.iter().filter(|_| !setting.quiet) {
            say(format_args!("note: {note}"));
        }
    }
    let folder = RunFolder::open(setting.out, experiment.name.as_str(), &trial)?;
    setting.interrupter.begin();
    // The trials of a sweep share their searches instead.
    let may_extend = prepared.swept.is_none();
    let Dataset { normalisation, .. } = &prepared.data;
    let normalisation =
        begin(&folder, &resolved, &prepared.sources(), normalisation, setting.afresh, may_extend)?;
    let prepared = &prepared.normalised_by(normalisation);
    let start = prepared.pretrained.as_ref().and_then(|pretrained| pretrained.left());
    folder.keep(START, start.map(|start| &start.file[..]))?;
    for (name, file) in prepared.teacher_files() {
        folder.keep(&name, file)?;
    }
    if let Some(summary) = summary(folder.path()) {
        if !setting.quiet {
            say("this run is complete; `--fresh` starts it again");
        }
        let pretrain = experiment.pretrain.as_ref();
        if pretrain.is_some_and(|training| !is_whole(folder.path(), Stage::Pretrain, None, training)) {
            say("the checkpoint of its dense network is missing or damaged; only `--fresh` trains it again");
        }
        return Ok((folder, summary));
    }
    let (network, masks) = started(prepared, &setting.devices.first.device)?;
    let cutting = prepared.cutting();
    let run = Run::new(prepared, &cutting, &folder, &network, setting)?;

    let mut seconds = Seconds::default();
    let dense = run.pretrain(network, &mut seconds)?;
    let dense_summary = run.dense_summary(&dense)?;
    let (searched, search) = run.search(dense.clone(), masks, &mut seconds)?;
    let masks = parameters(&searched.masks).map_err(|error| format_error("the masks", error))?;
    folder.write(MASKS, &masks)?;

    run.check_interrupt()?;
    let subnets = run.subnets(&dense, &searched, &mut seconds)?;
    let summary = Summary {
        name: experiment.name.as_str().to_owned(),
        trial,
        device: setting.device_name.to_owned(),
        seconds,
        start: prepared.start_path().map(|path| path.display().to_string()),
        dense: dense_summary,
        search,
        subnets,
    };
    run.save_json(&summary, SUMMARY)?;
    Ok((folder, summary))
}

/// Whether the run in `folder` is one of `experiment` that is complete, and so was tried when it began.
fn is_complete(folder: &Path, experiment: &str) -> bool {
    let there = std::fs::read_to_string(folder.join(EXPERIMENT));
    summary(folder).is_some() && there.is_ok_and(|there| is_same(folder, &there, experiment))
}

/// A run in its folder.
pub(super) struct Run<'a, A: Architecture> {
    pub(super) prepared: &'a Prepared<A>,
    pub(super) cutting: &'a Cutting<'a>,
    pub(super) folder: &'a RunFolder,
    sharing: Sharing,
    device: &'a Device,
    pub(super) setting: &'a Setting<'a>,
    train: Arc<Split>,
    held_out: Arc<Split>,
    /// The dense network that sub-networks are cut out of, and what corrects the cuts.
    base: OnceCell<(A, Option<Correction>)>,
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

    /// The results of the sub-network of each budget, cut out of `searched` unless it is finished.
    pub(super) fn subnets(
        &self,
        dense: &A,
        searched: &Slim<A>,
        seconds: &mut Seconds,
    ) -> Result<Vec<SubnetSummary>, RunError> {
        let budgets = self.prepared.budgets.iter();
        budgets.map(|budget| self.network_of(budget, dense, searched, seconds)).collect()
    }

    /// The results of the sub-network of `budget`, cut out of `searched` unless it is finished.
    pub(super) fn network_of(
        &self,
        budget: &PreparedBudget,
        dense: &A,
        searched: &Slim<A>,
        seconds: &mut Seconds,
    ) -> Result<SubnetSummary, RunError> {
        match self.finished(budget, dense, seconds)? {
            Some(subnet) => Ok(subnet),
            None => self.subnet(budget, dense, searched, seconds),
        }
    }

    /// The dense `model`, pretrained if the experiment says so, in validation mode.
    fn pretrain(&self, model: A, seconds: &mut Seconds) -> Result<A, RunError> {
        let Some(training) = &self.prepared.experiment.pretrain else { return Ok(model.valid()) };
        let teacher = self.prepared.teacher(Stage::Pretrain, &model, None)?;
        let trained = self.stage(Slim::dense(model), Stage::Pretrain, None, None, (training, teacher))?;
        seconds.pretrain = Some(trained.seconds);
        Ok(trained.slim.model)
    }

    /// The model and its `masks` after the search, in validation mode, with the results of that. Where nothing needs a search, the model
    /// as it is, with the scores of its units.
    fn search(
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

    /// The results of a sub-network that is finished: all of its files are there, and belong to this search, since a search that
    /// trains removes what was cut out of it. One that `vitslim slim` only cut is not finished where the run retrains. Its speed is
    /// measured again if that was done on another device.
    fn finished(
        &self,
        budget: &PreparedBudget,
        dense: &A,
        seconds: &mut Seconds,
    ) -> Result<Option<SubnetSummary>, RunError> {
        let label = budget.label.as_str();
        if !has_subnet(self.folder.path(), label) {
            return Ok(None);
        }
        let Some(SubnetResult { device, mut summary }) = SubnetResult::read(self.folder.path(), label)?
        else {
            return Ok(None);
        };
        if self.prepared.experiment.retrain.is_some() {
            if summary.top1_retrained.is_none() {
                return Ok(None);
            }
            *seconds.retrain.get_or_insert(0.0) +=
                recorded_seconds(self.folder.path(), Stage::Retrain, Some(label))?;
        }
        if device.as_deref() != Some(self.setting.device_name) {
            self.check_interrupt()?;
            let Prepared { experiment, config, start, .. } = self.prepared;
            let like = match start {
                None => dense.clone(),
                Some(_) => {
                    initial_of::<A>(experiment, config, self.device).map_err(RunError::Config)?.valid()
                }
            };
            let model = restored(&like, &self.folder.path().join(SUBNETS).join(label))?;
            (summary.images_per_second, summary.speedup) = self.speed(dense, &model)?;
            summary = self.save_result(summary)?;
        }
        Ok(Some(summary))
    }

    /// The plan of the sub-network of `budget`, if its retraining has begun. It is kept, since an earlier version may have counted its units
    /// otherwise.
    fn begun(&self, budget: &PreparedBudget) -> Result<Option<Plan>, RunError> {
        let (run, label) = (self.folder.path(), budget.label.as_str());
        if !has_checkpoint(run, Stage::Retrain, Some(label)) {
            return Ok(None);
        }
        if cut_by(run, label)?.is_some_and(|other| !other.is_same(&budget.written)) {
            return Err(FolderError::taken(run, label, None).into());
        }
        // That of a network that another run left is made of two, and no earlier version wrote one.
        if self.prepared.start.is_some() {
            return Ok(None);
        }
        let text = self.folder.read(&format!("{SUBNETS}/{label}/{PLAN}"))?;
        Ok(text.and_then(|text| ron::from_str(&text).ok()))
    }

    /// Cuts a sub-network out of the search, retrains and measures it.
    fn subnet(
        &self,
        budget: &PreparedBudget,
        dense: &A,
        searched: &Slim<A>,
        seconds: &mut Seconds,
    ) -> Result<SubnetSummary, RunError> {
        self.check_interrupt()?;
        let experiment = &self.prepared.experiment;
        let label = budget.label.as_str();
        let file = |name: &str| format!("{SUBNETS}/{label}/{name}");

        let (plan, latency) = match self.begun(budget)? {
            Some(plan) if budget.latency().is_none() => (plan, None),
            _ => self.cut(budget, searched)?,
        };
        let base = self.base(searched, &plan)?;
        let sliced = self.sliced(&base, &plan, budget)?;
        let of_dense = self.of_dense(&plan)?;
        let written = ron::to_string(&budget.written).map_err(|error| format_error("a budget", error))?;
        self.folder.write(&budget_file(label), format!("{written}\n").as_bytes())?;
        self.folder.write(&file(PLAN), plan_as_ron(&of_dense)?.as_bytes())?;
        let macs = macs(&sliced, self.image())?;
        let compare = |plan: &Plan, images: usize| {
            let (masked, sliced) = (base.hard_mask(plan)?, base.slim(plan)?);
            Ok(difference(&masked, &sliced, &self.held_out, images, self.device)?)
        };
        let masked_vs_sliced = compare(&plan, COMPARED_IMAGES)?;
        let measured = (masked_vs_sliced, COMPARED_IMAGES.min(self.held_out.len()));
        check_measured(label, &self.prepared.dimensions, &plan, measured, self.device, compare)?;
        let top1_sliced = self.top1(&sliced)?;
        let (images_per_second, speedup) = self.speed(dense, &sliced)?;

        let (model, top1_retrained) = match &experiment.retrain {
            None => (sliced, None),
            Some(training) => {
                let note = self.prepared.features_note(label, &plan);
                if let Some(note) = note.filter(|_| !self.setting.quiet) {
                    say(format_args!("note: {note}"));
                }
                let taught = (training, self.prepared.teacher(Stage::Retrain, dense, Some(&plan))?);
                let retrained =
                    self.stage(Slim::dense(sliced), Stage::Retrain, Some(label), Some(dense), taught)?;
                *seconds.retrain.get_or_insert(0.0) += retrained.seconds;
                let top1 = self.top1(&retrained.slim.model)?;
                (retrained.slim.model, Some(top1))
            }
        };
        self.check_interrupt()?;
        let saved = weights(&model, &of_dense).map_err(|error| format_error("a sub-network", error))?;
        // Those of the network as it was cut are not the results of these weights.
        self.folder.remove(&SubnetResult::file(label))?;
        self.folder.write(&file(WEIGHTS), &saved)?;
        let Prepared { config, data, .. } = self.prepared;
        let network = Network::new((experiment, config.clone(), data), &of_dense, &model)?;
        self.save_json(&network, &file(NETWORK))?;
        let summary = SubnetSummary {
            label: label.to_owned(),
            budget: summarised(&budget.written),
            kept: self.kept(&plan),
            params: Parameter::count(&model),
            macs,
            top1_sliced,
            top1_retrained,
            masked_vs_sliced,
            images_per_second,
            speedup,
            latency,
        };
        self.save_result(summary)
    }

    /// The dense network after the search, which is `searched` in every call, as `plan` is to cut it.
    ///
    /// # Errors
    ///
    /// When it is to be corrected for what is cut, and that fails or is interrupted.
    pub(super) fn base(&self, searched: &Slim<A>, plan: &Plan) -> Result<A, RunError> {
        let (base, correction) = match self.base.get() {
            Some(known) => known,
            None => {
                let base = self.folded(searched);
                let correction = self.prepared.correction(&base, self.setting)?;
                self.base.get_or_init(|| (base, correction))
            }
        };
        match correction {
            None => Ok(base.clone()),
            Some(correction) => {
                let interrupter = &self.setting.interrupter;
                let stop = || if interrupter.should_stop() { Err(RunError::Interrupted) } else { Ok(()) };
                correction.corrected(base, plan, stop)
            }
        }
    }

    /// The dense network after the search, whose masks become part of its weights where the experiment says so.
    pub(super) fn folded(&self, searched: &Slim<A>) -> A {
        match self.prepared.experiment.cut_rule() {
            CutRule::Fold => searched.model.fold(&searched.masks),
            CutRule::Hard => searched.model.clone(),
        }
    }

    /// The sub-network that `plan`, that of `budget`, leaves of `base`.
    ///
    /// # Errors
    ///
    /// When it has no token, or lets no image through.
    pub(super) fn sliced(&self, base: &A, plan: &Plan, budget: &PreparedBudget) -> Result<A, RunError> {
        let label = || budget.label.clone();
        leaves_tokens(plan, &self.prepared.dimensions)
            .map_err(|error| RunError::Tokenless { label: label(), error })?;
        let sliced = base.slim(plan)?;
        if is_blind_to(&sliced, &self.held_out, self.device)?
            && let Some(reason) = blinding(base, &self.prepared.dimensions, plan, self.image())
        {
            let help = match budget.limits.is_empty() {
                true => {
                    "give the dimension a larger share, or a key of its own; a run without a sweep then resumes from its search"
                }
                false => {
                    "ask for more, or name one of these under `keep_at_least`, in an experiment with another `name`"
                }
            };
            return Err(RunError::Blind { label: label(), reason, help: help.to_owned() });
        }
        Ok(sliced)
    }

    /// `plan`, which was made for the network that the run starts from, as a plan for the dense network that this may be cut out of.
    fn of_dense(&self, plan: &Plan) -> Result<Plan, PlanError> {
        self.prepared.start.as_ref().map_or_else(|| Ok(plan.clone()), |start| start.then(plan))
    }

    /// Images per second of `model`, and its speed over that of `dense`, measured side by side.
    fn speed(&self, dense: &A, model: &A) -> Result<(f64, f64), EvaluateError> {
        let precision = self.prepared.experiment.precision;
        // As fast as it can be computed. Of a dense network nothing changes.
        let dense = heads_by_size(dense);
        let [dense, sliced] = throughput(&dense, model, &self.held_out, precision, self.device)?;
        Ok((sliced, sliced / dense))
    }

    fn save_result(&self, summary: SubnetSummary) -> Result<SubnetSummary, RunError> {
        let result = SubnetResult { device: Some(self.setting.device_name.to_owned()), summary };
        self.save_json(&result, &SubnetResult::file(&result.summary.label))?;
        Ok(result.summary)
    }

    fn stage(
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

    fn top1(&self, model: &A) -> Result<f64, EvaluateError> {
        top1(model, &self.prepared.data.test, self.prepared.experiment.precision, self.device)
    }

    /// Fraction of units that `plan` keeps, for each searched name.
    pub(super) fn kept(&self, plan: &Plan) -> Map<String, Value> {
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

    pub(super) fn save_json(&self, value: &impl Serialize, name: &str) -> Result<(), RunError> {
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
