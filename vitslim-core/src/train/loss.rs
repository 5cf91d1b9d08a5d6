//! What training minimises, beside the penalty and the loss to a teacher.

use burn::nn::loss::CrossEntropyLossConfig;
use burn::tensor::activation::{log_sigmoid, log_softmax};
use burn::tensor::{Int, Tensor};

use crate::data::{Batch, Mixed};
use crate::experiment::Loss;
use crate::models::Logits;

/// The `loss` of the `logits` of a `batch`, `[1]`. For two heads it is the mean of both, as for DeiT without a teacher: both heads
/// learn the labels. Labels are smoothed as in timm: by the same part of each target, mixed or not.
pub(super) fn loss(logits: &Logits, batch: &Batch, loss: Loss, label_smoothing: f64) -> Tensor<1> {
    let threshold = match (loss, &batch.mixed) {
        (Loss::CrossEntropy, None) => return cross_entropy(logits, &batch.labels, label_smoothing),
        (Loss::CrossEntropy, Some(_)) => None,
        (Loss::BinaryCrossEntropy { threshold }, _) => threshold,
    };
    let [_, classes] = logits.class.dims();
    let target = target(batch, classes, threshold.map(|share| share.get()));
    let target =
        target.cast(logits.class.dtype()) * (1.0 - label_smoothing) + label_smoothing / classes as f64;
    of_heads(logits, |logits| match loss {
        Loss::CrossEntropy => -(target.clone() * log_softmax(logits, 1)).sum_dim(1).mean(),
        // ln(1 + e^x) - t x, where that of a large x does not overflow.
        Loss::BinaryCrossEntropy { .. } => {
            (logits.clone() * (-target.clone() + 1.0) - log_sigmoid(logits)).mean()
        }
    })
}

/// The cross entropy of `logits`, `[1]`.
pub(crate) fn cross_entropy(logits: &Logits, labels: &Tensor<1, Int>, label_smoothing: f64) -> Tensor<1> {
    let smoothing = (label_smoothing > 0.0).then_some(label_smoothing as f32);
    let loss = CrossEntropyLossConfig::new().with_smoothing(smoothing).init(&logits.class.device());
    of_heads(logits, |logits| loss.forward(logits, labels.clone()))
}

fn of_heads(logits: &Logits, loss: impl Fn(Tensor<2>) -> Tensor<1>) -> Tensor<1> {
    let class = loss(logits.class.clone());
    match &logits.distillation {
        Some(distillation) => (class + loss(distillation.clone())) / 2.0,
        None => class,
    }
}

/// The share of each class in each image, `[batch, classes]`; with a `threshold`, 1 where it is larger than that, 0 elsewhere.
fn target(batch: &Batch, classes: usize, threshold: Option<f64>) -> Tensor<2> {
    let one_hot = |labels: &Tensor<1, Int>| {
        let shape = [labels.dims()[0], classes];
        let numbers = Tensor::<1, Int>::arange(0..classes as i64, &labels.device()).unsqueeze_dim::<2>(0);
        labels.clone().unsqueeze_dim::<2>(1).expand(shape).equal(numbers.expand(shape)).float()
    };
    let own = one_hot(&batch.labels);
    let target = match &batch.mixed {
        Some(Mixed { labels, share }) => own * *share + one_hot(labels) * (1.0 - share),
        None => own,
    };
    match threshold {
        Some(share) => target.greater_elem(share).float(),
        None => target,
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use serde_json::Value;

    use super::*;
    use crate::values::random;

    fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
        tensor.into_data().convert::<f64>().try_into_vec().unwrap()
    }

    fn labels<const N: usize>(labels: [i64; N], device: &Device) -> Tensor<1, Int> {
        Tensor::from_data(TensorData::from(labels), device)
    }

    /// Beside timm's, with their gradients: `data/augment/make.py` made them.
    #[test]
    fn losses_of_mixed_labels_are_those_of_timm() {
        let golden: Value = serde_json::from_str(include_str!("../../data/augment/losses.json")).unwrap();
        let device = Device::flex().autodiff();
        let numbers = |value: &Value| -> Vec<f64> {
            value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
        };
        let rows: Vec<f64> = golden["logits"].as_array().unwrap().iter().flat_map(numbers).collect();
        let labels = labels([2, 0, 3, 1, 1], &device);
        assert_eq!(numbers(&golden["labels"]), [2.0, 0.0, 3.0, 1.0, 1.0]);
        let mixed = Mixed { labels: labels.clone().flip([0]), share: golden["share"].as_f64().unwrap() };
        let threshold = |least: f64| Loss::BinaryCrossEntropy { threshold: Some(least.try_into().unwrap()) };
        let binary = Loss::BinaryCrossEntropy { threshold: None };
        for (name, kind, is_mixed, smoothing) in [
            ("cross_entropy", Loss::CrossEntropy, false, 0.1),
            ("cross_entropy_mixed", Loss::CrossEntropy, true, 0.1),
            ("binary", binary, false, 0.1),
            ("binary_mixed", binary, true, 0.1),
            ("binary_threshold", threshold(0.0), true, 0.0),
            ("binary_high_threshold", threshold(0.5), true, 0.0),
        ] {
            let data = TensorData::new(rows.clone(), [5, 4]).convert::<f32>();
            let logits = Tensor::<2>::from_data(data, &device).require_grad();
            let batch = Batch {
                images: Tensor::zeros([5, 1, 1, 1], &device),
                labels: labels.clone(),
                mixed: is_mixed.then(|| mixed.clone()),
                epoch: 1,
                step: 1,
                seed: 1,
            };
            let value = loss(&logits.clone().into(), &batch, kind, smoothing);
            let gradient = host(logits.grad(&value.backward()).unwrap());
            let golden = &golden["cases"][name];
            let far = (host(value)[0] - golden["loss"].as_f64().unwrap()).abs();
            assert!(far < 1e-6, "{name}: {far}");
            for (gradient, expected) in gradient.iter().zip(numbers(&golden["gradient"])) {
                assert!((gradient - expected).abs() < 1e-7, "{name}: {gradient}, not {expected}");
            }
        }
    }

    #[test]
    fn the_loss_of_two_heads_is_their_mean_and_both_are_trained() {
        let device = Device::flex();
        let labels = labels([2, 0, 1], &device);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut head = || Tensor::from_inner(random::<2>([3, 4], &mut rng, &device)).require_grad();
        let (class, distillation) = (head(), head());
        let labels = Tensor::from_inner(labels);
        let batch = |mixed| Batch {
            images: Tensor::zeros([3, 1, 1, 1], &labels.device()),
            labels: labels.clone(),
            mixed,
            epoch: 1,
            step: 1,
            seed: 1,
        };
        let mixed = Mixed { labels: labels.clone().flip([0]), share: 0.7 };
        for (kind, mixed) in [
            (Loss::CrossEntropy, None),
            (Loss::CrossEntropy, Some(mixed.clone())),
            (Loss::BinaryCrossEntropy { threshold: None }, Some(mixed)),
        ] {
            let loss = |logits: Logits| loss(&logits, &batch(mixed.clone()), kind, 0.1);
            let [first, second] = [&class, &distillation].map(|head| host(loss(head.clone().into()))[0]);
            let both = loss(Logits { class: class.clone(), distillation: Some(distillation.clone()) });
            let gradients = both.backward();
            assert!((host(both)[0] - (first + second) / 2.0).abs() < 1e-6);
            for head in [&class, &distillation] {
                let gradient = host(head.grad(&gradients).unwrap());
                assert!(gradient.iter().all(|value| value.abs() > 1e-4), "{gradient:?}");
            }
        }
    }
}
