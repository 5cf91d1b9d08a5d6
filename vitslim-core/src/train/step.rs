//! One step of training, and of validation.

use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::GradientsParams;
use burn::tensor::{ExecutionError, Int, Tensor};
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
