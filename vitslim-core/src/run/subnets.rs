//! The sub-networks of a run: each is cut out of the search, sliced, retrained and measured, unless it is finished.

use serde_json::{Map, Value, json};

use super::agreement::check_measured;
use super::budget::PreparedBudget;
use super::error::RunError;
use super::folder::{FolderError, NETWORK, PLAN, SUBNETS, WEIGHTS};
use super::initial::initial_of;
use super::network::Network;
use super::prepared::Prepared;
use super::restore::subnet as restored;
use super::stages::Run;
use super::state::has_subnet;
use super::subnet_result::{SubnetResult, budget_file, cut_by, summarised};
use super::weights::weights;
use crate::data::Stage;
use crate::graph::macs;
use crate::models::{Architecture, Parameter};
use crate::report::{Seconds, SubnetSummary};
use crate::slim::{Plan, PlanError, Slim, heads_by_size};
use crate::terminal::say;
use crate::train::{EvaluateError, difference, has_checkpoint, recorded_seconds, throughput};

/// Validation images on which hard-masked and sliced networks are compared.
const COMPARED_IMAGES: usize = 256;

impl<A: Architecture> Run<'_, A> {
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
        let written = ron::to_string(&budget.written).map_err(|error| RunError::format("a budget", error))?;
        self.folder.write(&budget_file(label), format!("{written}\n").as_bytes())?;
        self.folder.write(&file(PLAN), plan_as_ron(&of_dense)?.as_bytes())?;
        let macs = macs(&sliced, self.image())?;
        let compare = |plan: &Plan, images: usize| {
            let plan = plan.dropping();
            let (masked, sliced) = (base.hard_mask(&plan)?, base.slim(&plan)?);
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
        let saved = weights(&model, &of_dense).map_err(|error| RunError::format("a sub-network", error))?;
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
}

fn plan_as_ron(plan: &Plan) -> Result<String, RunError> {
    let pretty = ron::ser::PrettyConfig::new().struct_names(true).compact_arrays(true).depth_limit(3);
    ron::ser::to_string_pretty(plan, pretty).map_err(|error| RunError::format("a plan", error))
}
