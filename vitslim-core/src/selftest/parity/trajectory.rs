//! Training, step by step, against PyTorch and timm: the same weights, batches and settings, and nothing random.
//! `data/trajectory/README.md` describes the files.

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::fixture::{Tensors, load};
use crate::data::Batch;
use crate::experiment::{CutRule, Document, Training};
use crate::models::{Architecture, Parameter, Vit};
use crate::run::Prepared;
use crate::selftest::parameter_values::parameter_values;
use crate::selftest::tolerance::{Products, tolerance};
use crate::selftest::{Check, Checked, Comparison, Failure};
use crate::slim::{MaskSet, Plan, Slim, Slimmable};
use crate::train::{Devices, Trainer, TrainerSettings};

const GOLDEN: &[u8] = include_bytes!("../../../data/trajectory/trajectories.safetensors");

/// Largest relative error of a loss, and largest error of a mask or a weight after a stage. On two cores with AVX-512 it is 9e-6, of
/// which PyTorch in f32 makes half.
const ROUNDING: f64 = 5e-5;

/// Largest relative error of a learning rate, which is computed in f64.
const RATES: f64 = 1e-12;

macro_rules! check {
    ($name:literal, $stages:expr) => {
        Check {
            name: $name,
            run: |device| {
                let experiment = include_str!(concat!("../../../data/trajectory/", $name, ".ron"));
                $stages(Trajectories::new($name, experiment, device)?)
            },
        }
    };
}

pub(in crate::selftest) const CHECKS: &[Check] = &[
    check!("plain", Trajectories::whole),
    check!("clip", Trajectories::pretrained),
    check!("layer_decay", Trajectories::pretrained),
    check!("label_smoothing", Trajectories::pretrained),
    check!("sgd", Trajectories::pretrained),
    check!("sgd_without_nesterov", Trajectories::pretrained),
    check!("lamb", Trajectories::pretrained),
    check!("warmup_lr", Trajectories::pretrained),
    check!("together", Trajectories::whole),
];

/// The stages of an experiment, each from the weights that PyTorch's stage before it left.
struct Trajectories<'a> {
    name: &'static str,
    prepared: Prepared<Vit>,
    golden: Tensors,
    device: &'a Device,
    comparison: Comparison,
}

impl<'a> Trajectories<'a> {
    fn new(name: &'static str, experiment: &str, device: &'a Device) -> Result<Self, Failure> {
        let trial = Document::parse(&format!("{name}.ron"), experiment, &[])?.trial()?;
        let (prepared, golden) = (Prepared::new(&trial)?, Tensors::from_bytes(GOLDEN));
        Ok(Self { name, prepared, golden, device, comparison: Comparison::default() })
    }

    fn pretrained(mut self) -> Checked {
        self.pretrain()?;
        self.comparison.finish()
    }

    fn whole(mut self) -> Checked {
        let trained = self.pretrain()?;
        self.compare_parameters("pretrain", &trained, None)?;

        let masks = MaskSet::new(&self.prepared.searched, self.device);
        let start = Slim { model: self.weights(&format!("{}.pretrain.", self.name))?, masks };
        let training = self.prepared.experiment.search.training();
        let trained = self.train("search", &training, start, None)?;
        self.compare_parameters("search", &trained, None)?;

        let searched = self.weights(&format!("{}.search.", self.name))?;
        let masks = self.masks(&format!("{}.search.", self.name))?;
        let plan = self.plan(&searched, &masks)?;
        let base = match self.prepared.experiment.cut {
            CutRule::Fold => searched.fold(&masks),
            CutRule::Hard => searched.clone(),
        };
        let training = stage(self.prepared.experiment.retrain.clone())?;
        let dense = Parameter::annotated(&searched);
        let trained = self.train("retrain", &training, Slim::dense(base.slim(&plan)?), Some(&dense))?;
        self.compare_parameters("retrain", &trained, Some(&plan))?;
        self.comparison.finish()
    }

    fn pretrain(&mut self) -> Result<Trainer<Vit>, Failure> {
        let training = stage(self.prepared.experiment.pretrain.clone())?;
        let start = Slim::dense(self.weights("initial.")?);
        self.train("pretrain", &training, start, None)
    }

    /// The weights that PyTorch had under `prefix`.
    fn weights(&self, prefix: &str) -> Result<Vit, Failure> {
        let weights = self.golden.below(&format!("{prefix}weights."))?;
        load(Vit::init(&self.prepared.config, self.device)?, &weights)
    }

    /// The masks that PyTorch had under `prefix`.
    fn masks(&self, prefix: &str) -> Result<MaskSet, Failure> {
        let masks = MaskSet::new(&self.prepared.searched, self.device);
        let values = masks.iter().map(|mask| self.golden.values(&format!("{prefix}masks.{}", mask.path)));
        let mut values = values.collect::<Result<Vec<_>, _>>()?.into_iter();
        Ok(masks.map_values(|_, old| match values.next() {
            Some(values) => Tensor::from_data(TensorData::new(values, old.dims()), self.device),
            None => old,
        }))
    }

    /// What the budget keeps by `masks`, which must be what PyTorch kept.
    fn plan(&mut self, model: &Vit, masks: &MaskSet) -> Result<Plan, Failure> {
        let budget = self.prepared.budgets.first().ok_or_else(|| Failure::new("there is no budget"))?;
        let plan = self.prepared.plan(model, masks, budget)?;
        for cut in plan.cuts.iter().filter(|cut| masks.get(&cut.dimension).is_some()) {
            let expected = self.golden.values(&format!("{}.kept.{}", self.name, cut.dimension))?;
            let kept = |unit| f64::from(u8::from(cut.keep.contains(&unit)));
            let found: Vec<f64> = (0..cut.units()).map(kept).collect();
            self.comparison.holds(found == expected, format!("the cut keeps other {}", cut.dimension));
        }
        Ok(plan)
    }

    /// Trains `start` on the batches of a stage, and compares loss, penalty and learning rate of each step.
    fn train(
        &mut self,
        stage: &str,
        training: &Training,
        start: Slim<Vit>,
        dense: Option<&[Parameter]>,
    ) -> Result<Trainer<Vit>, Failure> {
        let device = self.device.clone().autodiff();
        let pixels = self.golden.values("pixels")?;
        let shape = self.prepared.data.shape;
        let images = [pixels.len() / shape.values(), shape.channels, shape.size, shape.size];
        let pixels = pixels.iter().map(|pixel| pixel / 8.0 - 1.0).collect();
        let images: Tensor<4> = Tensor::from_data(TensorData::new(pixels, images), &device);
        let labels = self.golden.values("labels")?;
        let labels: Tensor<1, Int> = Tensor::from_data(labels.as_slice(), &device);

        let searches = !start.masks.is_empty();
        let tolerance = self.tolerance();
        let mut told = vec![("loss", tolerance, Vec::new()), ("learning_rate", RATES, Vec::new())];
        told.extend(searches.then(|| ("penalty", tolerance, Vec::new())));
        let batch = training.batch.get();
        let indices = self.golden.values(&format!("{stage}.batches"))?;
        let steps = indices.len() / batch / training.epochs.get();
        let mut trainer = Trainer::new(
            start,
            TrainerSettings {
                training,
                masks: &self.prepared.experiment.search.masks,
                freeze: None,
                dense,
                teacher: None,
                precision: self.prepared.experiment.precision,
                devices: &Devices::one("selftest", self.device.clone()),
                steps,
                image: shape,
                read_every: 1,
            },
        )?;
        for (index, indices) in indices.chunks(batch).enumerate() {
            let indices: Tensor<1, Int> = Tensor::from_data(indices, &device);
            let (images, labels) =
                (images.clone().select(0, indices.clone()), labels.clone().select(0, indices));
            let (epoch, step) = (index / steps + 1, index % steps + 1);
            trainer = trainer.step(Batch { images, labels, mixed: None, epoch, step, seed: 0 })?;
            trainer.read()?;
            let line = trainer.take_line();
            for (name, _, found) in &mut told {
                found.extend(line.get(*name).copied().flatten());
            }
        }
        for (name, tolerance, found) in &told {
            let expected = self.golden.values(&format!("{}.{stage}.{name}", self.name))?;
            follows(&mut self.comparison, &format!("{name} of the {stage}"), found, &expected, *tolerance);
        }
        Ok(trainer)
    }

    /// Compares masks and weights after a stage, and their average if there is one.
    fn compare_parameters(
        &mut self,
        stage: &str,
        trained: &Trainer<Vit>,
        plan: Option<&Plan>,
    ) -> Result<(), Failure> {
        let tolerance = self.tolerance();
        let average = trained.average().map(|average| ("average.", average.clone()));
        for (which, slim) in [("", trained.slim())].into_iter().chain(average) {
            let prefix = format!("{}.{stage}.{which}", self.name);
            let weights = self.weights(&prefix)?;
            let weights = match plan {
                Some(plan) => weights.slim(plan)?,
                None => weights,
            };
            let mut expected = parameter_values(&weights)?;
            if !slim.masks.is_empty() {
                expected.extend(parameter_values(&self.masks(&prefix)?)?);
            }
            let mut found = parameter_values(&slim.model)?;
            found.extend(parameter_values(&slim.masks)?);
            let paths =
                |values: &[(String, _)]| values.iter().map(|(path, _)| path.clone()).collect::<Vec<_>>();
            self.comparison.equal("parameters", &paths(&found), &paths(&expected));
            for ((path, found), (_, expected)) in found.into_iter().zip(expected) {
                let [found, expected] = [found, expected].map(|values| without_key_bias(&path, values));
                self.comparison.close(
                    &format!("{which}{path} after the {stage}"),
                    &found,
                    &expected,
                    tolerance,
                );
            }
        }
        Ok(())
    }

    fn tolerance(&self) -> f64 {
        tolerance(self.device, ROUNDING, Products::Training)
    }
}

fn stage(training: Option<Training>) -> Result<Training, Failure> {
    training.ok_or_else(|| Failure::new("a stage is missing"))
}

/// Each value of `found`, one a step, must be within `tolerance` of that of `expected`, for its size. Tells where it first is not.
fn follows(comparison: &mut Comparison, what: &str, found: &[f64], expected: &[f64], tolerance: f64) {
    let off = |(found, expected): (&f64, &f64)| (found - expected).abs() / expected.abs();
    let differences: Vec<f64> = found.iter().zip(expected).map(off).collect();
    let departs = differences.iter().position(|difference| difference.is_nan() || *difference > tolerance);
    if let Some(step) = departs {
        let (step, found, expected) = (step + 1, found[step], expected[step]);
        comparison.holds(false, format!("{what} departs at step {step}: {found} instead of {expected}"));
    }
    comparison.equal(&format!("steps of the {what}"), &found.len(), &expected.len());
    comparison.within(what, differences.into_iter().fold(0.0, f64::max), tolerance);
}

/// `values` of a parameter, of the bias of queries, keys and values without that of the keys: it adds the same to all scores of a query,
/// so that its gradient is nothing but rounding, of which AdamW makes steps as large as any.
fn without_key_bias(path: &str, mut values: Vec<f64>) -> Vec<f64> {
    if path.ends_with("attn.qkv.bias") {
        let features = values.len() / 3;
        values.drain(features..2 * features);
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_step_at_which_a_value_first_departs_is_told() {
        let compared = |found: &[f64]| {
            let mut comparison = Comparison::default();
            follows(&mut comparison, "loss", found, &[2.0, 4.0, 1.0], 0.1);
            comparison.finish().map_err(|failure| failure.to_string())
        };
        assert!(compared(&[2.1, 4.3, 1.05]).is_ok());
        let told = compared(&[2.1, 4.5, 1.5]).unwrap_err();
        assert!(told.contains("loss departs at step 2: 4.5 instead of 4; loss by 5.0e-1"), "{told}");
        let told = compared(&[2.1, 4.3, f64::NAN]).unwrap_err();
        assert!(told.contains("loss departs at step 3: NaN instead of 1"), "{told}");
        assert!(compared(&[2.0, 4.0]).unwrap_err().contains("steps of the loss: 2 instead of 3"));
    }
}
