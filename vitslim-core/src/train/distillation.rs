//! What training minimises where a network teaches beside the labels.

use burn::nn::loss::{CrossEntropyLossConfig, KLDivLoss, MseLoss, Reduction};
use burn::tensor::Tensor;
use burn::tensor::activation::log_softmax;

use super::teacher::Lesson;
use crate::experiment::Distillation;
use crate::models::{Features, Logits};

/// The loss of a `student`, `[1]`: what `of_labels` makes of its logits; with a `lesson`, its share of the loss to the teacher, and the
/// rest of that of the labels. Of two heads each then learns one of the two, as in DeiT (Touvron et al. 2020, section 4). The features of
/// a lesson are added with their weight.
pub(super) fn with_lesson(
    student: &Features,
    lesson: Option<Lesson>,
    of_labels: impl Fn(&Logits) -> Tensor<1>,
) -> Tensor<1> {
    let Features { logits, patches } = student;
    let Some(lesson) = lesson else { return of_labels(logits) };
    let (class, share) = (logits.class.clone(), lesson.kind.share());
    let taught = logits.distillation.clone().unwrap_or_else(|| class.clone());
    let of_teacher = distillation(taught, lesson.logits, lesson.kind);
    let loss = of_labels(&class.into()) * (1.0 - share) + of_teacher * share;
    match lesson.patches.zip(patches.clone()) {
        // As DynamicViT learns the tokens that it keeps (Rao et al. 2021): behind the last norm, without class token, in the mean over
        // images, patches and features.
        Some(((teacher, weight), student)) => {
            loss + MseLoss::new().forward(student.values, teacher, Reduction::Mean) * weight
        }
        None => loss,
    }
}

/// How far the logits of the `student` are from those of the `teacher`, both `[batch, classes]`, in the mean over the images, `[1]`.
fn distillation(student: Tensor<2>, teacher: Tensor<2>, kind: Distillation) -> Tensor<1> {
    match kind {
        // The square keeps gradients as large as they are without a temperature. DeiT's code divides by the number of classes too, its
        // paper does not.
        Distillation::Soft { temperature, .. } => {
            let temperature = temperature.get();
            let [student, teacher] = [student, teacher].map(|logits| log_softmax(logits / temperature, 1));
            let divergence = KLDivLoss { log_target: true }.forward(student, teacher, Reduction::BatchMean);
            divergence * temperature.powi(2)
        }
        Distillation::Hard { .. } => {
            let loss = CrossEntropyLossConfig::new().init(&student.device());
            loss.forward(student, teacher.argmax(1).flatten(0, 1))
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};
    use serde_json::Value;

    use super::*;
    use crate::data::{Batch, Mixed};
    use crate::experiment::Loss;
    use crate::models::Patches;
    use crate::slim::index_tensor;
    use crate::train::loss::loss;

    fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
        tensor.into_data().convert::<f64>().try_into_vec().unwrap()
    }

    fn numbers(value: &Value) -> Vec<f64> {
        match value {
            Value::Array(rows) => rows.iter().flat_map(numbers).collect(),
            number => vec![number.as_f64().unwrap()],
        }
    }

    /// `data/distillation/README.md` says where the numbers are from.
    #[test]
    fn losses_to_a_teacher_are_those_of_deit() {
        let golden: Value =
            serde_json::from_str(include_str!("../../data/distillation/losses.json")).unwrap();
        let device = Device::flex().autodiff();
        let [images, classes] = [5, 4];
        let logits = |name: &str, device: &Device| {
            let data = TensorData::new(numbers(&golden[name]), [images, classes]).convert::<f32>();
            Tensor::<2>::from_data(data, device)
        };
        let labels: Vec<i64> = numbers(&golden["labels"]).into_iter().map(|label| label as i64).collect();
        let labels = Tensor::from_data(TensorData::new(labels, [images]), &device);
        let mixed = Mixed { labels: labels.clone().flip([0]), share: golden["mixed"].as_f64().unwrap() };
        for case in golden["cases"].as_array().unwrap() {
            let kind: Distillation = ron::from_str(case["kind"].as_str().unwrap()).unwrap();
            let batch = Batch {
                images: Tensor::zeros([images, 1, 1, 1], &device),
                labels: labels.clone(),
                mixed: case["mixed"].as_bool().unwrap().then(|| mixed.clone()),
                epoch: 1,
                step: 1,
                seed: 1,
            };
            let heads = case["gradients"].as_array().unwrap();
            let names = ["class", "distillation"];
            let student: Vec<Tensor<2>> =
                names[..heads.len()].iter().map(|name| logits(name, &device).require_grad()).collect();
            let lesson = Lesson { logits: logits("teacher", &Device::flex()), kind, patches: None };
            let found = with_lesson(
                &Logits { class: student[0].clone(), distillation: student.get(1).cloned() }.into(),
                Some(lesson),
                |logits| loss(logits, &batch, Loss::CrossEntropy, case["smoothing"].as_f64().unwrap()),
            );
            let gradients = found.backward();
            let (value, expected) = (host(found)[0], case["loss"].as_f64().unwrap());
            assert!((value - expected).abs() < 1e-5 * expected, "{case}: {value}");
            for (head, expected) in student.iter().zip(heads) {
                for (gradient, expected) in host(head.grad(&gradients).unwrap()).iter().zip(numbers(expected))
                {
                    assert!((gradient - expected).abs() < 1e-6, "{case}: {gradient}, not {expected}");
                }
            }
        }
    }

    /// Likewise.
    #[test]
    fn the_loss_to_the_features_is_that_of_dynamic_vit() {
        let golden: Value =
            serde_json::from_str(include_str!("../../data/distillation/losses.json")).unwrap();
        let golden = &golden["features"];
        let tokens = |name: &str, patches: usize, device: &Device| {
            let data = TensorData::new(numbers(&golden[name]), [5, patches, 3]).convert::<f32>();
            Tensor::<3>::from_data(data, device)
        };
        let kept: Vec<usize> = numbers(&golden["kept"]).into_iter().map(|token| token as usize).collect();
        let teacher = tokens("teacher", 6, &Device::flex()).select(1, index_tensor(&kept, &Device::flex()));
        let values = tokens("student", 3, &Device::flex().autodiff()).require_grad();
        let logits = Tensor::<2>::ones([5, 4], &Device::flex());
        let loss = |weight: Option<f64>| {
            let patches = weight.map(|weight| (teacher.clone(), weight));
            let lesson = Lesson { logits: logits.clone(), kind: Distillation::default(), patches };
            let student = Features {
                logits: Tensor::from_inner(logits.clone()).into(),
                patches: Some(Patches { values: values.clone(), reader: "" }),
            };
            with_lesson(&student, Some(lesson), |logits| logits.class.clone().mean())
        };
        let (without, with) = (loss(None), loss(Some(0.5)));
        let gradients = with.backward();
        let (added, expected) = (host(with)[0] - host(without)[0], golden["loss"].as_f64().unwrap());
        assert!((added - 0.5 * expected).abs() < 1e-5, "{added}");
        let found = host(values.grad(&gradients).unwrap());
        for (gradient, expected) in found.iter().zip(numbers(&golden["gradient"])) {
            assert!((gradient - 0.5 * expected).abs() < 1e-6, "{gradient}, not half of {expected}");
        }
    }
}
