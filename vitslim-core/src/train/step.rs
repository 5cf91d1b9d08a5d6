//! Gradients and losses of a batch: as a device computes its images, and as the first device sums them up.

use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::{Device, Int, Tensor};

use super::distillation::with_lesson;
use super::loss::loss;
use super::teacher::Teacher;
use crate::data::{Batch, Mixed};
use crate::experiment::{Loss, Training};
use crate::models::Architecture;
use crate::nn::{Precision, checkpointing, draw};
use crate::slim::Slim;

/// Settings that all steps of a stage share.
#[derive(Clone, Copy, Debug)]
pub(super) struct StepSettings {
    /// Number of parts in which a device computes its images, at least 1.
    pub(super) parts: usize,
    /// Whether the activations of blocks are computed again in the backward pass.
    pub(super) checkpointing: bool,
    /// What is minimised.
    pub(super) loss: Loss,
    /// Fraction of each target that is spread over all classes.
    pub(super) label_smoothing: f64,
    /// Largest norm of the gradients; `None` does not clip.
    pub(super) clip: Option<f64>,
    /// Precision of matrix products.
    pub(super) precision: Precision,
}

impl StepSettings {
    pub(super) fn new(training: &Training, precision: Precision) -> Self {
        Self {
            parts: training.accumulate.get(),
            checkpointing: training.checkpointing,
            loss: training.loss,
            label_smoothing: training.label_smoothing.get(),
            clip: training.largest_norm(),
            precision,
        }
    }
}

/// What a device computed for some images of a batch.
pub(super) struct Computed {
    pub(super) gradients: GradientsParams,
    /// Loss and penalty, weighted by the images' fraction of the batch, and the number of right predictions: `[parts, 3]`.
    pub(super) measured: Tensor<2>,
}

impl Computed {
    /// Computes `images`, a device's part of a batch of `batch`. The teacher is on that device.
    pub(super) fn of<M: Architecture>(
        slim: &Slim<M>,
        settings: StepSettings,
        teacher: Option<&Teacher>,
        images: Batch,
        batch: usize,
    ) -> Self {
        let device = images.images.device();
        let mut gradients = GradientsAccumulator::new();
        let mut measured = Vec::new();
        for part in images.parts(settings.parts) {
            // A loss is a mean, so each part counts by its images. So does its penalty, which then counts once for the batch.
            let weight = part.len() as f64 / batch as f64;
            let losses = draw::seeded(part.seed, &device, || Losses::of(slim, settings, teacher, &part));
            gradients
                .accumulate(slim, GradientsParams::from_grads((losses.total() * weight).backward(), slim));
            measured.push(losses.measured(weight));
        }
        Self { gradients: gradients.grads(), measured: Tensor::cat(measured, 0) }
    }

    /// The gradients of the whole batch and what it measured, summed over the devices in their order.
    pub(super) fn sum<M: Architecture>(slim: &Slim<M>, computed: Vec<Self>) -> (GradientsParams, Tensor<1>) {
        let mut gradients = GradientsAccumulator::new();
        let mut measured = Vec::new();
        for computed in computed {
            gradients.accumulate(slim, computed.gradients);
            measured.push(computed.measured);
        }
        (gradients.grads(), Tensor::cat(measured, 0).sum_dim(0).squeeze_dim(0))
    }

    pub(super) fn moved_to<M: Architecture>(self, device: &Device, slim: &Slim<M>) -> Self {
        Self { gradients: self.gradients.to_device(device, slim), measured: self.measured.to_device(device) }
    }
}

/// The losses of a forward pass in training.
struct Losses {
    /// Loss of the labels, and of the teacher if there is one, `[1]`.
    loss: Tensor<1>,
    /// Penalty, `[1]`; `None` outside a search.
    penalty: Option<Tensor<1>>,
    /// Number of images whose largest logit is that of their label, `[1]`. A mixed image counts by the share of the label that it is
    /// of.
    right: Tensor<1>,
}

impl Losses {
    fn of<M: Architecture>(
        slim: &Slim<M>,
        settings: StepSettings,
        teacher: Option<&Teacher>,
        batch: &Batch,
    ) -> Self {
        // Before there is anything of the student to be remembered for its gradients.
        let lesson = teacher.map(|teacher| teacher.lesson(&batch.images, settings.precision));
        let compares = lesson.as_ref().is_some_and(|lesson| lesson.patches.is_some());
        let forward = || {
            let (network, images) = (slim.gated(), batch.images.clone());
            if compares { network.features(images) } else { network.forward(images).into() }
        };
        let student = settings.precision.within(|| checkpointing(settings.checkpointing, forward));
        let loss = with_lesson(&student, lesson, |logits| {
            loss(logits, batch, settings.loss, settings.label_smoothing)
        });
        let answers = student.logits.mean().without_autodiff().argmax(1).flatten(0, 1);
        let hits =
            |labels: &Tensor<1, Int>| answers.clone().equal(labels.clone().without_autodiff()).float().sum();
        let right = match &batch.mixed {
            Some(Mixed { labels, share }) => hits(&batch.labels) * *share + hits(labels) * (1.0 - share),
            None => hits(&batch.labels),
        };
        Self { loss, penalty: slim.masks.penalty(), right }
    }

    /// The loss that is minimised, `[1]`.
    fn total(&self) -> Tensor<1> {
        match &self.penalty {
            Some(penalty) => self.loss.clone() + penalty.clone(),
            None => self.loss.clone(),
        }
    }

    /// Weighted loss, weighted penalty and number of right predictions, `[1, 3]`.
    fn measured(self, weight: f64) -> Tensor<2> {
        let loss = self.loss.without_autodiff() * weight;
        let penalty = match self.penalty {
            Some(penalty) => penalty.without_autodiff() * weight,
            None => loss.zeros_like(),
        };
        Tensor::cat(vec![loss, penalty, self.right], 0).unsqueeze()
    }
}

#[cfg(test)]
mod tests {
    use burn::module::{Module, ModuleVisitor, Param};
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::models::{DistilledVit, Vit, random_model};
    use crate::slim::{MaskSet, describe};
    use crate::train::fixture::{batch, step_settings, vit, vit_config};
    use crate::train::{cross_entropy, read};

    fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
        tensor.into_data().convert::<f64>().try_into_vec().unwrap()
    }

    fn training() -> Slim<Vit> {
        vit().train().fork(&Device::flex().autodiff())
    }

    #[test]
    fn the_loss_is_smoothed_cross_entropy_and_penalty() {
        let (slim, batch, smoothing) = (training(), batch(3), 0.2);
        let settings = StepSettings { label_smoothing: smoothing, ..step_settings() };
        let losses = Losses::of(&slim, settings, None, &batch);
        let classes = 10;
        let logits = host(slim.gated().forward(batch.images).mean());
        let expected = logits.chunks(classes).zip([0, 1, 2]).map(|(logits, label)| {
            let sum: f64 = logits.iter().map(|logit| logit.exp()).sum();
            let log = |class: usize| logits[class] - sum.ln();
            let spread = (0..classes).map(log).sum::<f64>() / classes as f64;
            -(1.0 - smoothing) * log(label) - smoothing * spread
        });
        let expected = expected.sum::<f64>() / 3.0;
        let units: usize = describe(&slim.model).unwrap().iter().map(|dimension| dimension.units()).sum();
        let penalty = 0.01 * 0.5 * units as f64;
        let right = logits
            .chunks(classes)
            .zip([0, 1, 2])
            .filter(|(logits, label)| logits.iter().all(|logit| logits[*label] >= *logit));
        let right = right.count() as f64;
        assert!((host(losses.total())[0] - expected - penalty).abs() < 1e-5);
        let measured = host(losses.measured(0.5));
        assert!((measured[0] - expected / 2.0).abs() < 1e-5);
        assert!((measured[1] - penalty / 2.0).abs() < 1e-5);
        assert_eq!(measured[2], right);
    }

    #[test]
    fn of_a_model_with_two_heads_both_are_trained_and_their_mean_is_told() {
        let device = Device::flex();
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let model: DistilledVit = random_model(&vit_config(), &mut rng, &device).unwrap();
        let batch = batch(3);
        let batch = Batch { images: batch.images.inner(), labels: batch.labels.inner(), ..batch };
        let logits = model.forward(batch.images.clone());
        let read = read(&model, batch.images.clone(), Precision::F32).unwrap();
        assert_eq!(read.convert::<f64>().try_into_vec::<f64>().unwrap(), host(logits.clone().mean()));
        let slim = Slim { model, masks: MaskSet::default() };
        let losses = Losses::of(&slim, step_settings(), None, &batch);
        assert_eq!(host(losses.total()), host(cross_entropy(&logits, &batch.labels, 0.0)));
    }

    /// What was measured, and the gradients of all parameters, by path.
    fn values(slim: &Slim<Vit>, computed: Computed) -> Vec<f64> {
        struct Gradients(GradientsParams, Vec<f64>);
        impl ModuleVisitor for Gradients {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                self.1.extend(host(self.0.get::<D>(param.id).unwrap()));
            }
        }
        let (gradients, measured) = Computed::sum(slim, vec![computed]);
        let mut gradients = Gradients(gradients, host(measured));
        slim.visit(&mut gradients);
        gradients.1
    }

    #[test]
    fn a_mixed_image_counts_by_the_shares_of_its_labels() {
        let (slim, batch) = (training(), batch(5));
        let right = |batch: &Batch| host(Losses::of(&slim, step_settings(), None, batch).measured(1.0))[2];
        let other = Batch { labels: batch.labels.clone().flip([0]), ..batch.clone() };
        let answers = slim.gated().forward(batch.images.clone()).mean().argmax(1).flatten(0, 1);
        let known = Batch { labels: answers.clone(), ..batch.clone() };
        assert_eq!(right(&known), 5.0);
        let wrong = (answers + 1) % 10;
        let mixed = Batch { mixed: Some(Mixed { labels: wrong, share: 0.75 }), ..known };
        assert!((right(&mixed) - 3.75).abs() < 1e-6);
        let mixed =
            Batch { mixed: Some(Mixed { labels: other.labels.clone(), share: 0.75 }), ..batch.clone() };
        assert!((right(&mixed) - 0.75 * right(&batch) - 0.25 * right(&other)).abs() < 1e-6);
    }

    /// For any number of parts, losses and gradients are those of the whole batch, also when the last part is smaller.
    #[test]
    fn a_batch_in_parts_is_the_whole_batch() {
        let (slim, batch) = (training(), batch(5));
        let step = |parts, batch: &Batch, loss| {
            let settings = StepSettings { parts, label_smoothing: 0.1, loss, ..step_settings() };
            values(&slim, Computed::of(&slim, settings, None, batch.clone(), 5))
        };
        let mixed = Batch {
            mixed: Some(Mixed { labels: batch.labels.clone().flip([0]), share: 0.7 }),
            ..batch.clone()
        };
        for (batch, loss) in [
            (&batch, Loss::CrossEntropy),
            (&mixed, Loss::CrossEntropy),
            (&mixed, Loss::BinaryCrossEntropy { threshold: None }),
        ] {
            let whole = step(1, batch, loss);
            for parts in [2, 3, 7] {
                let parts = step(parts, batch, loss);
                assert_eq!(parts.len(), whole.len());
                let furthest = parts.iter().zip(&whole).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                assert!(furthest < 1e-5, "{furthest}");
            }
        }
    }
}
