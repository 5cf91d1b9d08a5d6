//! One step of training, and of validation.

use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::{Device, ExecutionError, Int, Tensor, TensorReadError};
use burn::train::metric::{AccuracyInput, Adaptor, LossInput};
use burn::train::{InferenceStep, ItemLazy, TrainOutput, TrainStep};

use super::metrics::{EmaInput, PenaltyInput};
use super::watch::{NotFinite, Trouble, Watch, largest_gradient};
use crate::data::Batch;
use crate::experiment::Training;
use crate::models::{Architecture, Logits};
use crate::nn::{Precision, draw};
use crate::slim::Slim;

/// What the learner trains: a model, its masks if it is searched, and the loss.
#[derive(Module, Debug)]
pub(super) struct Trainee<M: Module> {
    /// Model and masks.
    pub slim: Slim<M>,
    #[module(skip)]
    settings: StepSettings,
    #[module(skip)]
    watch: Watch,
}

/// What is the same for every step of a stage.
#[derive(Clone, Copy, Debug)]
pub(super) struct StepSettings {
    /// Parts in which a batch is computed, at least 1.
    pub parts: usize,
    /// Share of a target that is spread over all classes.
    pub label_smoothing: f64,
    /// Largest norm of the gradients.
    pub clip: Option<f64>,
    /// What the network multiplies matrices in.
    pub precision: Precision,
}

impl StepSettings {
    /// Those of `training`.
    pub fn new(training: &Training, precision: Precision) -> Self {
        Self {
            parts: training.accumulate.get(),
            label_smoothing: training.label_smoothing.get(),
            clip: training.clip.map(|largest| largest.get()),
            precision,
        }
    }
}

/// What the metrics read of a step.
pub(super) struct StepOutput {
    pub(super) cross_entropy: Tensor<1>,
    pub(super) penalty: Tensor<1>,
    /// What counts at inference, while training too.
    pub(super) logits: Tensor<2>,
    labels: Tensor<1, Int>,
    /// Logits of the averaged weights, if they are evaluated too.
    logits_ema: Option<Tensor<2>>,
}

impl StepOutput {
    /// The output with the logits that the averaged weights give for the same images.
    pub fn beside(self, ema: Option<Self>) -> Self {
        Self { logits_ema: ema.map(|ema| ema.logits), ..self }
    }
}

impl<M: Architecture> Trainee<M> {
    /// `slim` as `settings` say. `watch` is told of a loss that is not finite, and of a device that fails.
    pub fn new(slim: Slim<M>, settings: StepSettings, watch: Watch) -> Self {
        Self { slim, settings, watch }
    }

    /// The loss that is minimised, `[1]`: cross entropy and, in a search, the penalty.
    fn loss(&self, batch: Batch, label_smoothing: f64) -> (Tensor<1>, StepOutput) {
        let logits = self.settings.precision.within(|| self.slim.gated().forward(batch.images));
        let cross_entropy = cross_entropy(&logits, &batch.labels, label_smoothing);
        let logits = logits.mean();
        let penalty = self.slim.masks.penalty();
        let loss = match &penalty {
            Some(penalty) => cross_entropy.clone() + penalty.clone(),
            None => cross_entropy.clone(),
        };
        let penalty = penalty.unwrap_or_else(|| Tensor::zeros([1], &logits.device()));
        (loss, StepOutput { cross_entropy, penalty, logits, labels: batch.labels, logits_ema: None })
    }
}

/// The cross entropy of `logits`, `[1]`. Of two heads it is the mean of both, as for DeiT where no teacher says what the
/// second should learn: each head learns the labels.
pub(crate) fn cross_entropy(logits: &Logits, labels: &Tensor<1, Int>, label_smoothing: f64) -> Tensor<1> {
    let smoothing = (label_smoothing > 0.0).then_some(label_smoothing as f32);
    let loss = CrossEntropyLossConfig::new().with_smoothing(smoothing).init(&logits.class.device());
    let class = loss.forward(logits.class.clone(), labels.clone());
    match &logits.distillation {
        Some(distillation) => (class + loss.forward(distillation.clone(), labels.clone())) / 2.0,
        None => class,
    }
}

impl StepOutput {
    /// The cross entropy, once the device has computed it.
    pub(super) fn loss(&self) -> Result<f64, TensorReadError> {
        self.cross_entropy.clone().try_into_scalar()
    }
}

/// What a device computed of a batch.
pub(super) struct Share {
    gradients: GradientsParams,
    /// One a part. Losses are weighted by the part's share of the batch.
    outputs: Vec<StepOutput>,
}

impl Share {
    /// The share of `trainee`, moved to `device`.
    pub fn moved_to<M: Architecture>(self, device: &Device, trainee: &Trainee<M>) -> Self {
        let outputs = self.outputs.into_iter().map(|output| output.moved_to(device)).collect();
        Self { gradients: self.gradients.to_device(device, trainee), outputs }
    }
}

impl<M: Architecture> Trainee<M> {
    /// Computes a share of a batch of `images` images, in parts.
    pub fn share(&self, share: Batch, images: usize) -> Share {
        let StepSettings { parts, label_smoothing, .. } = self.settings;
        let device = share.images.device();
        let mut gradients = GradientsAccumulator::new();
        let mut outputs = Vec::new();
        for part in share.parts(parts) {
            // A loss is a mean: each part counts for its images. So does its penalty, which counts once for the whole.
            let weight = part.len() as f64 / images as f64;
            let (loss, output) = draw::seeded(part.seed, &device, || self.loss(part, label_smoothing));
            gradients.accumulate(self, GradientsParams::from_grads((loss * weight).backward(), self));
            let output = output.without_autodiff();
            let (cross_entropy, penalty) = (output.cross_entropy * weight, output.penalty * weight);
            outputs.push(StepOutput { cross_entropy, penalty, ..output });
        }
        Share { gradients: gradients.grads(), outputs }
    }

    /// The step of a whole `batch` from its shares, added up in their order.
    pub fn join(&self, batch: &Batch, shares: Vec<Share>) -> TrainOutput<StepOutput> {
        let mut gradients = GradientsAccumulator::new();
        let (mut cross_entropy, mut penalty, mut logits) = (Vec::new(), Vec::new(), Vec::new());
        for share in shares {
            gradients.accumulate(self, share.gradients);
            for output in share.outputs {
                cross_entropy.push(output.cross_entropy);
                penalty.push(output.penalty);
                logits.push(output.logits);
            }
        }
        let mut gradients = gradients.grads();
        let output = StepOutput {
            cross_entropy: Tensor::cat(cross_entropy, 0).sum(),
            penalty: Tensor::cat(penalty, 0).sum(),
            logits: Tensor::cat(logits, 0),
            labels: batch.labels.clone(),
            logits_ema: None,
        };

        let Batch { epoch, step, .. } = *batch;
        match (output.cross_entropy.clone() + output.penalty.clone()).try_into_scalar::<f64>() {
            Ok(loss) if loss.is_finite() => {}
            Ok(loss) => {
                let gradient = largest_gradient(self, &gradients);
                self.watch.report(Trouble::NotFinite(NotFinite { epoch, step, loss, gradient }));
            }
            Err(error) => self.watch.report(Trouble::Device(error.to_string())),
        }
        if let Some(largest) = self.settings.clip {
            super::clip::clip(self, &mut gradients, largest);
        }
        TrainOutput { grads: gradients, item: output }
    }
}

impl<M: Architecture> TrainStep for Trainee<M> {
    type Input = Batch;
    type Output = StepOutput;

    fn step(&self, batch: Batch) -> TrainOutput<StepOutput> {
        let share = self.share(batch.clone(), batch.len());
        self.join(&batch, vec![share])
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
        Ok(self.without_autodiff())
    }
}

impl StepOutput {
    fn moved_to(self, device: &Device) -> Self {
        Self {
            cross_entropy: self.cross_entropy.to_device(device),
            penalty: self.penalty.to_device(device),
            logits: self.logits.to_device(device),
            labels: self.labels.to_device(device),
            logits_ema: self.logits_ema.map(|logits| logits.to_device(device)),
        }
    }

    fn without_autodiff(self) -> Self {
        Self {
            cross_entropy: self.cross_entropy.without_autodiff(),
            penalty: self.penalty.without_autodiff(),
            logits: self.logits.without_autodiff(),
            labels: self.labels.without_autodiff(),
            logits_ema: self.logits_ema.map(Tensor::without_autodiff),
        }
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

impl Adaptor<EmaInput> for StepOutput {
    fn adapt(&self) -> EmaInput {
        let logits = self.logits_ema.clone().unwrap_or_else(|| self.logits.clone());
        EmaInput(AccuracyInput::new(logits, self.labels.clone()))
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
    use burn::module::{ModuleVisitor, Param};
    use burn::optim::AdamWConfig;
    use burn::tensor::{DType, TensorData};
    use burn::train::metric::{LossMetric, Metric, MetricMetadata, Numeric};
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::models::{DistilledVit, Vit, VitConfig, random_model};
    use crate::slim::{MaskSet, MaskSpec, describe};
    use crate::train::read;
    use crate::values::random;

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
        let settings =
            StepSettings { parts: 1, label_smoothing: smoothing, clip: None, precision: Precision::F32 };
        let trainee = Trainee::new(Slim { model, masks }, settings, Watch::default());
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
    fn of_a_model_with_two_heads_both_are_trained_and_their_mean_is_told() {
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
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let model: DistilledVit = random_model(&config, &mut rng, &device).unwrap();
        let batch = batch(&device);
        let logits = model.forward(batch.images.clone());
        let read = read(&model, batch.images.clone(), Precision::F32).unwrap();
        let settings = StepSettings { parts: 1, label_smoothing: 0.0, clip: None, precision: Precision::F32 };
        let trainee = Trainee::new(Slim::dense(model), settings, Watch::default());
        let (loss, output) = trainee.loss(batch.clone(), 0.0);
        assert_eq!(host(loss), host(cross_entropy(&logits, &batch.labels, 0.0)));
        let mean = host(logits.mean());
        assert_eq!(host(output.logits), mean);
        assert_eq!(read.convert::<f64>().try_into_vec::<f64>().unwrap(), mean);
    }

    #[test]
    fn the_loss_of_two_heads_is_their_mean_and_both_are_trained() {
        let device = Device::flex();
        let labels = Tensor::from_data(TensorData::from([2_i64, 0, 1]), &device);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut training = || Tensor::from_inner(random::<2>([3, 4], &mut rng, &device)).require_grad();
        let (class, distillation) = (training(), training());
        let loss = |logits: Logits| cross_entropy(&logits, &Tensor::from_inner(labels.clone()), 0.1);
        let [first, second] = [&class, &distillation].map(|head| host(loss(head.clone().into()))[0]);
        let both = loss(Logits { class: class.clone(), distillation: Some(distillation.clone()) });
        let gradients = both.backward();
        assert!((host(both)[0] - (first + second) / 2.0).abs() < 1e-6);
        for head in [class, distillation] {
            let gradient = host(head.grad(&gradients).unwrap());
            assert!(gradient.iter().all(|value| value.abs() > 1e-4), "{gradient:?}");
        }
    }

    /// Gradients of all parameters, by path order.
    fn gradients(trainee: &Trainee<Vit>, step: TrainOutput<StepOutput>) -> Vec<f64> {
        struct Gradients(GradientsParams, Vec<f64>);
        impl ModuleVisitor for Gradients {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                self.1.extend(host(self.0.get::<D>(param.id).unwrap()));
            }
        }
        let mut gradients = Gradients(step.grads, Vec::new());
        trainee.visit(&mut gradients);
        gradients.1
    }

    /// However many parts: the gradients, the losses and the logits are those of the whole batch, a short last part included.
    #[test]
    fn a_batch_in_parts_is_the_whole_batch() {
        let device = Device::flex().autodiff();
        let config =
            VitConfig { image_size: 8, patch_size: 4, dim: 6, heads: 2, depth: 1, ..VitConfig::default() };
        let model = Vit::init(&VitConfig { channels: 1, ..config }, &device).unwrap();
        let spec = MaskSpec { weight: 0.01, ..MaskSpec::default() };
        let searched: Vec<_> = describe(&model).unwrap().into_iter().map(|d| (d, spec)).collect();
        let masks = MaskSet::new(&searched, &device);
        let slim = Slim { model, masks };
        let batch = batch(&device);
        let step = |parts| {
            let settings =
                StepSettings { parts, label_smoothing: 0.1, clip: Some(0.5), precision: Precision::F32 };
            let trainee = Trainee::new(slim.clone(), settings, Watch::default());
            let step = TrainStep::step(&trainee, batch.clone());
            let values = [&step.item.cross_entropy, &step.item.penalty].map(|value| host(value.clone())[0]);
            let logits = host(step.item.logits.clone());
            [&values[..], &logits, &gradients(&trainee, step)].concat()
        };
        let whole = step(1);
        let norm = whole[2 + 3 * 1000..].iter().map(|value| value * value).sum::<f64>().sqrt();
        assert!((norm - 0.5).abs() < 1e-4, "{norm} is not clipped, or there was nothing to clip");
        for parts in [2, 3, 7] {
            let parts = step(parts);
            assert_eq!(parts.len(), whole.len());
            let furthest = parts.iter().zip(&whole).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(furthest < 1e-5, "{furthest}");
        }
    }

    /// Values of all parameters before and after a step of a search in `precision`, and the bytes of the optimizer's state.
    fn step_in(precision: Precision, slim: &Slim<Vit>, batch: &Batch) -> ([Vec<Vec<f64>>; 2], usize) {
        struct Values(Vec<Vec<f64>>);
        impl ModuleVisitor for Values {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                assert_eq!(param.val().dtype(), DType::F32);
                self.0.push(host(param.val()));
            }
        }
        struct AreF32<'a>(&'a GradientsParams);
        impl ModuleVisitor for AreF32<'_> {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                assert_eq!(self.0.get::<D>(param.id).unwrap().dtype(), DType::F32);
            }
        }
        let values = |trainee: &Trainee<Vit>| {
            let mut values = Values(Vec::new());
            trainee.visit(&mut values);
            values.0
        };
        let settings = StepSettings { parts: 1, label_smoothing: 0.0, clip: None, precision };
        let trainee = Trainee::new(slim.clone(), settings, Watch::default());
        let step = TrainStep::step(&trainee, batch.clone());
        assert_eq!([step.item.logits.dtype(), step.item.cross_entropy.dtype()], [DType::F32; 2]);
        trainee.visit(&mut AreF32(&step.grads));
        let mut optimizer = AdamWConfig::new().with_weight_decay(0.0).init();
        let before = values(&trainee);
        let after = values(&optimizer.step(1e-3, trainee, step.grads));
        ([before, after], optimizer.to_record().into_bytes().unwrap().len())
    }

    #[test]
    fn a_search_step_in_bf16_moves_every_parameter_and_mask_which_stay_f32_with_their_gradients() {
        let device = Device::flex().autodiff();
        let config =
            VitConfig { image_size: 8, patch_size: 4, dim: 6, heads: 2, depth: 1, ..VitConfig::default() };
        let model = Vit::init(&VitConfig { channels: 1, ..config }, &device).unwrap();
        let searched: Vec<_> =
            describe(&model).unwrap().into_iter().map(|d| (d, MaskSpec::default())).collect();
        let masks = MaskSet::new(&searched, &device);
        let slim = Slim { model, masks };
        let batch = batch(&device);
        let ([_, exact], _) = step_in(Precision::F32, &slim, &batch);
        let ([before, after], state) = step_in(Precision::Bf16, &slim, &batch);
        for (index, (before, after)) in before.iter().zip(&after).enumerate() {
            assert!(before != after, "parameter {index} did not move");
        }
        assert!(after != exact, "the step was in f32");
        // Two moments of four bytes for each value.
        let values: usize = before.iter().map(Vec::len).sum();
        assert!(state > 2 * 4 * values, "{state} bytes for {values} values");
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
                logits_ema: None,
            };
            let progress = Progress::new(images, images, None);
            metric.update(&output.adapt(), &MetricMetadata { progress, iteration: None, lr: None }).unwrap();
        }
        assert_eq!(metric.final_value().current(), 2.0);
    }
}
