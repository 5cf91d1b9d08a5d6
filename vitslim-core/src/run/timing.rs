//! How long the networks of a run take: predicted by a table of the operations of its device, in proportion to the dense network.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use burn::tensor::{Device, Tensor};
use thiserror::Error;

use crate::data::{Cache, ImageShape};
use crate::device::is_cpu;
use crate::experiment::Amount;
use crate::graph::{GraphError, Operation, operations_after};
use crate::latency::{Table, TimeError};
use crate::models::Architecture;
use crate::nn::{Precision, as_fused};
use crate::slim::heads_by_size;
use crate::train::{EvaluateError, latencies};

/// A latency that could not be predicted or measured.
#[derive(Debug, Error)]
pub(super) enum TimingError {
    /// An operation could not be measured.
    #[error(transparent)]
    Operation(#[from] TimeError),
    /// The forward pass could not be recorded.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// A network could not be measured.
    #[error(transparent)]
    Network(#[from] EvaluateError),
}

/// Where the latencies of a run are measured, and what is known of them. Clones know the same.
#[derive(Clone, Debug)]
pub(crate) struct Timing {
    device: Device,
    name: String,
    precision: Precision,
    quiet: bool,
    table: Arc<OnceLock<Table>>,
    /// The dense network at each batch.
    dense: Arc<Mutex<HashMap<usize, Dense>>>,
}

/// How long the dense network takes.
#[derive(Clone, Copy, Debug)]
struct Dense {
    /// In nanoseconds, as it was measured.
    measured: u64,
    /// That over the sum of its operations.
    scale: f64,
}

impl Timing {
    /// On `device`, which results call `name`, in `precision`. If `quiet`, it is not told how far measuring is.
    pub(crate) fn on(device: &Device, name: &str, precision: Precision, quiet: bool) -> Self {
        Self {
            device: device.clone(),
            name: name.to_owned(),
            precision,
            quiet,
            table: Arc::default(),
            dense: Arc::default(),
        }
    }

    /// By `table`, where the dense network takes so many nanoseconds for one image, the sum of its operations.
    #[cfg(test)]
    pub(super) fn by(table: Table, dense: u64) -> Self {
        let dense = HashMap::from([(1, Dense { measured: dense, scale: 1.0 })]);
        let timing = Self::on(&Device::flex(), "cpu", Precision::F32, true);
        Self { table: Arc::new(OnceLock::from(table)), dense: Arc::new(Mutex::new(dense)), ..timing }
    }

    /// Nanoseconds that a forward pass of the dense network `model` takes on `batch` images, measured once.
    ///
    /// # Errors
    ///
    /// When it cannot be measured.
    pub(super) fn of_dense<A: Architecture>(
        &self,
        model: &A,
        image: ImageShape,
        batch: usize,
    ) -> Result<u64, TimingError> {
        Ok(self.dense(model, image, batch)?.measured)
    }

    /// The operations of a forward pass on `batch` images of what `change` makes of `model`, as the device computes them.
    ///
    /// # Errors
    ///
    /// Those of `change`, or when the forward pass cannot be recorded.
    pub(super) fn operations<A: Architecture, E: From<GraphError>>(
        &self,
        model: &A,
        image: ImageShape,
        batch: usize,
        change: impl FnOnce(A, &Device) -> Result<A, E>,
    ) -> Result<Vec<Operation>, E> {
        let recorded = || operations_after(model, image, batch, change);
        if is_cpu(&self.device) { as_fused(recorded) } else { recorded() }
    }

    /// Nanoseconds that a forward pass on `batch` images will take that has these `operations`, of a network that is cut out of the dense
    /// network `model`.
    ///
    /// # Errors
    ///
    /// When an operation, or the dense network, cannot be measured.
    pub(super) fn predicted<A: Architecture>(
        &self,
        model: &A,
        image: ImageShape,
        batch: usize,
        operations: &[Operation],
    ) -> Result<u64, TimingError> {
        Ok(nanoseconds(self.dense(model, image, batch)?.scale * self.sum(operations)?))
    }

    /// Nanoseconds that a forward pass on `batch` images takes of `sliced`, which was cut out of the dense network `model`, as it is measured,
    /// and how many times as long everything takes now as when the dense network was first measured. A device is not always as fast, on
    /// which a share of the dense network's time must not depend: both are measured in turn. An absolute time is taken as it is.
    ///
    /// # Errors
    ///
    /// When the device fails.
    pub(super) fn measured<A: Architecture>(
        &self,
        most: &Amount,
        (model, sliced): (&A, &A),
        image: ImageShape,
        batch: usize,
    ) -> Result<(u64, f64), TimingError> {
        if !most.is_share() {
            let [measured] = self.side_by_side([sliced], image, batch)?;
            return Ok((measured, 1.0));
        }
        let [dense, measured] = self.side_by_side([&heads_by_size(model), sliced], image, batch)?;
        Ok((measured, dense as f64 / self.of_dense(model, image, batch)? as f64))
    }

    /// Nanoseconds of each of `models`, measured in turn.
    fn side_by_side<A: Architecture, const N: usize>(
        &self,
        models: [&A; N],
        image: ImageShape,
        batch: usize,
    ) -> Result<[u64; N], EvaluateError> {
        let models = models.map(|model| model.valid().to_device(&self.device));
        let images = Tensor::ones([batch, image.channels, image.size, image.size], &self.device);
        Ok(latencies(models.each_ref(), &images, self.precision)?.map(nanoseconds))
    }

    /// Keeps what was measured of operations for later commands.
    pub(super) fn save(&self) {
        self.table.get().into_iter().for_each(Table::save);
    }

    fn dense<A: Architecture>(
        &self,
        model: &A,
        image: ImageShape,
        batch: usize,
    ) -> Result<Dense, TimingError> {
        let known = || self.dense.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(dense) = known().get(&batch) {
            return Ok(*dense);
        }
        // As fast as it can be computed.
        let model = heads_by_size(model);
        let operations = self.operations(&model, image, batch, |model, _| Ok::<_, GraphError>(model))?;
        let predicted = self.sum(&operations)?;
        let [measured] = self.side_by_side([&model], image, batch)?;
        let dense = Dense { measured, scale: measured as f64 / nanoseconds(predicted).max(1) as f64 };
        known().insert(batch, dense);
        Ok(dense)
    }

    /// Seconds of all `operations`, one after the other.
    fn sum(&self, operations: &[Operation]) -> Result<f64, TimeError> {
        let of_user = || Table::of(&self.device, &self.name, self.precision, Cache::of_user(), self.quiet);
        let table = self.table.get_or_init(of_user);
        operations.iter().map(|operation| table.seconds(operation)).sum()
    }
}

fn nanoseconds(seconds: f64) -> u64 {
    (1e9 * seconds).round() as u64
}

#[cfg(test)]
mod tests {
    use burn::module::Module;

    use super::super::budget::PreparedBudget;
    use super::super::networks::initial;
    use super::super::prepared::Prepared;
    use super::*;
    use crate::experiment::Document;
    use crate::latency::Clock;
    use crate::models::Vit;
    use crate::slim::{MaskSet, Plan, Slimmable};

    /// A device whose vectors have 8 values: products of other sizes take as long as those of the next multiple.
    #[derive(Debug)]
    struct Vectors;

    impl Clock for Vectors {
        fn seconds(&self, operation: &Operation) -> Result<f64, TimeError> {
            let filled = |size: usize| size.next_multiple_of(8);
            let products = match operation {
                Operation::Linear { x: [leading, tokens, d_input], d_output, .. } => {
                    leading * tokens * filled(*d_input) * filled(*d_output)
                }
                Operation::Attention { q: [batch, heads, tokens, dims], keys, .. } => {
                    2 * batch * heads * tokens * keys * filled(*dims)
                }
                _ => 0,
            };
            Ok(products as f64 / 1e9)
        }
    }

    /// An experiment on such a device, its network, and random masks.
    fn prepared(budgets: &str, seed: u64) -> (Prepared<Vit>, Vit, MaskSet) {
        let text = format!(
            "Experiment(name: \"a\", seed: {seed}, model: (architecture: \"vit\", config: (patch_size: 4, dim: 32, depth: 2, heads: 2, \
             mlp_ratio: 2)), data: Random(image_size: 8, channels: 1, classes: 3, images: 100), \
             search: (epochs: 1, batch: 10, optimizer: AdamW(lr: 1e-3), \
             dimensions: {{ \"hidden\": (weight: 1e-4), \"head_dim\": (weight: 1e-4) }}), budgets: [{budgets}])"
        );
        let trial = Document::parse("a.ron", &text, &[]).unwrap().trial().unwrap();
        let prepared = Prepared::<Vit>::new(&trial).unwrap();
        let dense = initial(&prepared, &Device::flex()).unwrap().valid();
        let table = || Table::by(Vectors, "vectors".to_owned(), Cache::default());
        let operations =
            operations_after(&dense, prepared.data.shape, 1, |model, _| Ok::<_, GraphError>(model));
        let nanoseconds = nanoseconds(Timing::by(table(), 1).sum(&operations.unwrap()).unwrap());
        let prepared = Prepared { timing: Some(Timing::by(table(), nanoseconds)), ..prepared };
        let masks = prepared.cutting().random_masks(&Device::flex());
        (prepared, dense, masks)
    }

    fn nanoseconds_of(
        prepared: &Prepared<Vit>,
        dense: &Vit,
        masks: &MaskSet,
        (budget, plan): (&PreparedBudget, &Plan),
    ) -> u64 {
        let (limit, _) = budget.latency().unwrap();
        prepared.cutting().latency(dense, masks, plan, limit).unwrap()
    }

    #[test]
    fn a_limit_is_kept_no_unit_more_would_fit_and_fast_sizes_come_out_by_themselves() {
        for (seed, share) in [(1, 0.4), (2, 0.55), (3, 0.8)] {
            let (prepared, dense, masks) = prepared(&format!("Latency(most: {share})"), seed);
            let budget = &prepared.budgets[0];
            let [reach] = prepared.cutting().reach(&dense, &masks, budget).unwrap()[..] else { panic!() };
            assert!(reach.smallest < reach.asked && reach.asked < reach.largest, "{reach:?}");
            let plan = prepared.plan(&dense, &masks, budget).unwrap();
            let taken = |plan: &Plan| nanoseconds_of(&prepared, &dense, &masks, (budget, plan));
            assert!(taken(&plan) <= reach.asked, "{} of {}", taken(&plan), reach.asked);
            for (place, cut) in plan.cuts.iter().enumerate() {
                if cut.dimension.ends_with("hidden") {
                    assert_eq!(cut.keep.len() % 8, 0, "{}: {}", cut.dimension, cut.keep.len());
                }
                let mut group = 0;
                for (first, size) in cut.of.iter().scan(0, |next, size| {
                    *next += size;
                    Some((*next - size, *size))
                }) {
                    group += 1;
                    let is_searched =
                        prepared.searched.iter().any(|(dimension, _)| dimension.path == cut.dimension);
                    let mut lacking = (first..first + size).filter(|unit| !cut.keep.contains(unit));
                    let Some(unit) = lacking.next().filter(|_| is_searched) else { continue };
                    let mut more = plan.clone();
                    more.cuts[place].keep.push(unit);
                    more.cuts[place].keep.sort_unstable();
                    assert!(taken(&more) > reach.asked, "group {group} of {} has place", cut.dimension);
                }
            }
        }
    }

    #[test]
    fn a_limit_combines_with_others_and_one_that_nothing_keeps_is_refused() {
        let (prepared, dense, masks) = prepared(
            "All([Share({ \"hidden\": 0.25 }), Latency(most: 0.9), Params(0.9)]), Latency(most: \"0.001 us\"), Latency(most: \"1 s\")",
            1,
        );
        let plan = |budget: usize| prepared.plan(&dense, &masks, &prepared.budgets[budget]);
        let both = plan(0).unwrap();
        let hidden = both.cuts.iter().filter(|cut| cut.dimension.ends_with("hidden"));
        assert!(hidden.map(|cut| cut.keep.len()).sum::<usize>() <= 32);
        assert_eq!(
            plan(1).unwrap_err().to_string().split(" has ").next().unwrap(),
            "the budget `latency-0.001us` cannot be met: it asks for 0.001 us of latency at a batch of 1, and the smallest network that \
             can be cut"
        );
        assert_eq!(plan(2).unwrap(), Plan::whole(&prepared.dimensions));
    }

    #[test]
    fn norms_of_a_network_that_lost_width_are_timed_as_the_one_operation_that_they_are() {
        let (prepared, dense, _) = prepared("Latency(most: 0.5)", 1);
        let mut plan = Plan::whole(&prepared.dimensions);
        plan.get_mut("width").unwrap().keep.truncate(20);
        let timing = prepared.timing.unwrap();
        let operations = timing.operations(&dense, prepared.data.shape, 1, |model, _| {
            Ok::<_, GraphError>(model.slim(&plan).unwrap())
        });
        let operations = operations.unwrap();
        let norm = Operation::LayerNorm { x: [1, 5, 20], shift: true };
        // Two in each block and one after them; beside those, two sums in each block and one with the positions.
        assert_eq!(operations.iter().filter(|operation| **operation == norm).count(), 5);
        let is_sum = |operation: &&Operation| matches!(operation, Operation::Elements { .. });
        assert_eq!(operations.iter().filter(is_sum).count(), 5, "{operations:?}");
    }

    #[test]
    fn a_share_is_measured_by_the_pace_of_the_dense_network_and_a_time_is_not() {
        let (prepared, dense, _) = prepared("Latency(most: 0.5), Latency(most: \"1 s\")", 1);
        // Once it took an hour.
        let (hour, image) = (3_600_000_000_000, prepared.data.shape);
        let timing = Timing::by(Table::by(Vectors, "vectors".to_owned(), Cache::default()), hour);
        let pace = |budget: usize| {
            let (limit, batch) = prepared.budgets[budget].latency().unwrap();
            let (measured, pace) = timing.measured(&limit.most, (&dense, &dense), image, batch).unwrap();
            assert!(measured > 0);
            pace
        };
        assert!(pace(0) < 0.1, "{}", pace(0));
        assert_eq!(pace(1), 1.0);
    }

    #[test]
    fn without_a_device_nothing_is_cut_by_latency_and_that_is_told() {
        let (prepared, dense, masks) = prepared("Latency(most: 0.5)", 1);
        let prepared = Prepared { timing: None, ..prepared };
        let (cutting, budget) = (prepared.cutting(), &prepared.budgets[0]);
        let plan = cutting.plan(&dense, &masks, budget).unwrap();
        assert_eq!(plan, Plan::whole(&prepared.dimensions));
        let notes = cutting.notes(&dense, &masks, budget, &plan);
        assert!(notes.len() == 1 && notes[0].contains("latency-0.5 is not cut by its latency"), "{notes:?}");
    }
}
