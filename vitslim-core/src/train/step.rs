//! One step of training, and of validation.

use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::GradientsParams;
use burn::tensor::{ExecutionError, Int, Tensor, TensorReadError};
use burn::train::metric::{AccuracyInput, Adaptor, LossInput};
use burn::train::{InferenceStep, ItemLazy, TrainOutput, TrainStep};

use super::penalty::PenaltyInput;
use super::watch::{NotFinite, Watch, largest_gradient};
use crate::data::Batch;
use crate::models::Architecture;
use crate::slim::Slim;

/// What the learner trains: a model, its masks if it is searched, and the loss.
#[derive(Module, Debug)]
pub(super) struct Trainee<M: Module> {
    /// Model and masks.
    pub slim: Slim<M>,
    /// Share of a target that is spread over all classes.
    label_smoothing: f64,
    #[module(skip)]
    watch: Watch,
}

/// What the metrics read of a step.
pub(super) struct StepOutput {
    cross_entropy: Tensor<1>,
    penalty: Tensor<1>,
    logits: Tensor<2>,
    labels: Tensor<1, Int>,
}

impl<M: Architecture> Trainee<M> {
    /// `slim` under a cross entropy with label smoothing. `watch` is told of a loss that is not finite.
    pub fn new(slim: Slim<M>, label_smoothing: f64, watch: Watch) -> Self {
        Self { slim, label_smoothing, watch }
    }

    /// The loss that is minimised, `[1]`: cross entropy and, in a search, the penalty.
    fn loss(&self, batch: Batch, label_smoothing: f64) -> (Tensor<1>, StepOutput) {
        let logits = self.slim.gated().forward(batch.images).class;
        let smoothing = (label_smoothing > 0.0).then_some(label_smoothing as f32);
        let cross_entropy = CrossEntropyLossConfig::new()
            .with_smoothing(smoothing)
            .init(&logits.device())
            .forward(logits.clone(), batch.labels.clone());
        let penalty = self.slim.masks.penalty();
        let loss = match &penalty {
            Some(penalty) => cross_entropy.clone() + penalty.clone(),
            None => cross_entropy.clone(),
        };
        let penalty = penalty.unwrap_or_else(|| Tensor::zeros([1], &logits.device()));
        (loss, StepOutput { cross_entropy, penalty, logits, labels: batch.labels })
    }
}

impl StepOutput {
    /// The cross entropy, once the device has computed it.
    pub(super) fn loss(&self) -> Result<f64, TensorReadError> {
        self.cross_entropy.clone().try_into_scalar()
    }
}

impl<M: Architecture> TrainStep for Trainee<M> {
    type Input = Batch;
    type Output = StepOutput;

    fn step(&self, batch: Batch) -> TrainOutput<StepOutput> {
        batch.images.device().seed(batch.seed);
        let (epoch, step) = (batch.epoch, batch.step);
        let (loss, output) = self.loss(batch, self.label_smoothing);
        let value = loss.clone().try_into_scalar::<f64>();
        let gradients = GradientsParams::from_grads(loss.backward(), self);
        if let Ok(loss) = value
            && !loss.is_finite()
        {
            let gradient = largest_gradient(self, &gradients);
            self.watch.report(NotFinite { epoch, step, loss, gradient });
        }
        TrainOutput { grads: gradients, item: output }
    }
}

impl<M: Architecture> InferenceStep for Trainee<M> {
    type Input = Batch;
    type Output = StepOutput;

    fn step(&self, batch: Batch) -> StepOutput {
        self.loss(batch, 0.0).1
    }
}

impl ItemLazy for StepOutput {
    fn sync(self) -> Result<Self, ExecutionError> {
        self.logits.device().flush()?;
        Ok(Self {
            cross_entropy: self.cross_entropy.without_autodiff(),
            penalty: self.penalty.without_autodiff(),
            logits: self.logits.without_autodiff(),
            labels: self.labels.without_autodiff(),
        })
    }
}

impl Adaptor<LossInput> for StepOutput {
    fn adapt(&self) -> LossInput {
        // One value an image, so that a short last batch counts for its images only.
        LossInput::new(self.cross_entropy.clone().expand([self.labels.dims()[0]]))
    }
}

impl Adaptor<AccuracyInput> for StepOutput {
    fn adapt(&self) -> AccuracyInput {
        AccuracyInput::new(self.logits.clone(), self.labels.clone())
    }
}

impl Adaptor<PenaltyInput> for StepOutput {
    fn adapt(&self) -> PenaltyInput {
        PenaltyInput(self.penalty.clone())
    }
}

#[cfg(test)]
mod tests {
    use burn::data::dataloader::Progress;
    use burn::tensor::{Device, TensorData};
    use burn::train::metric::{LossMetric, Metric, MetricMetadata, Numeric};

    use super::*;
    use crate::models::{Vit, VitConfig};
    use crate::slim::{MaskSet, MaskSpec, describe};

    fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
        tensor.into_data().convert::<f64>().try_into_vec().unwrap()
    }

    fn batch(device: &Device) -> Batch {
        let labels = Tensor::from_data(TensorData::from([2_i64, 0, 1]), device);
        let images = Tensor::random([3, 1, 8, 8], burn::tensor::Distribution::Normal(0.0, 1.0), device);
        Batch { images, labels, epoch: 1, step: 1, seed: 0 }
    }

    #[test]
    fn the_loss_is_smoothed_cross_entropy_and_penalty() {
        let device = Device::flex();
        let config = VitConfig {
            image_size: 8,
            patch_size: 4,
            channels: 1,
            classes: 4,
            dim: 6,
            heads: 2,
            depth: 1,
            ..VitConfig::default()
        };
        let model = Vit::init(&config, &device).unwrap();
        let spec = MaskSpec { weight: 0.01, init: -0.5, ..MaskSpec::default() };
        let searched: Vec<_> = describe(&model).unwrap().into_iter().map(|d| (d, spec)).collect();
        let units: usize = searched.iter().map(|(dimension, _)| dimension.units()).sum();
        let masks = MaskSet::new(&searched, &device);

        let smoothing = 0.2;
        let trainee = Trainee::new(Slim { model, masks }, smoothing, Watch::default());
        let (loss, output) = trainee.loss(batch(&device), smoothing);
        let classes = 4;
        let logits = host(output.logits.clone());
        let expected = logits.chunks(classes).zip([2, 0, 1]).map(|(logits, label)| {
            let sum: f64 = logits.iter().map(|logit| logit.exp()).sum();
            let log = |class: usize| logits[class] - sum.ln();
            let spread = (0..classes).map(log).sum::<f64>() / classes as f64;
            -(1.0 - smoothing) * log(label) - smoothing * spread
        });
        let expected = expected.sum::<f64>() / 3.0;
        let penalty = 0.01 * 0.5 * units as f64;
        assert!((host(output.cross_entropy)[0] - expected).abs() < 1e-5);
        assert!((host(output.penalty)[0] - penalty).abs() < 1e-5);
        assert!((host(loss)[0] - expected - penalty).abs() < 1e-5);
    }

    #[test]
    fn a_short_batch_counts_for_its_images_only() {
        let device = Device::flex();
        let mut metric = LossMetric::new();
        for (loss, images) in [(1.0, 3), (5.0, 1)] {
            let output = StepOutput {
                cross_entropy: Tensor::full([1], loss, &device),
                penalty: Tensor::zeros([1], &device),
                logits: Tensor::zeros([images, 2], &device),
                labels: Tensor::zeros([images], &device),
            };
            let progress = Progress::new(images, images, None);
            metric.update(&output.adapt(), &MetricMetadata { progress, iteration: None, lr: None }).unwrap();
        }
        assert_eq!(metric.final_value().current(), 2.0);
    }
}
