//! How often a model predicts the right class.

use std::sync::Arc;

use burn::tensor::Device;

use super::evaluate::{BATCH, EvaluateError, answers};
use crate::data::{Batch, DataError, Loader, Order, Split};
use crate::models::Architecture;
use crate::nn::Precision;

/// `k` of the top-k accuracy that is reported beside top-1.
pub const TOP: usize = 5;

/// Accuracy of a model on a split.
#[derive(Clone, Debug, PartialEq)]
pub struct Accuracy {
    /// Number of images.
    pub images: usize,
    /// Fraction of the images whose largest logit is that of their label.
    pub top1: f64,
    /// Fraction of the images whose label is among the [`TOP`] largest logits; `None` where there are no more classes than that.
    pub top5: Option<f64>,
    /// The same for each class, in the order of the labels.
    pub classes: Vec<ClassAccuracy>,
}

/// How often a model is right on the images of one class.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClassAccuracy {
    /// Number of images.
    pub images: usize,
    /// Fraction of them whose largest logit is that of their label; `None` where there is no image.
    pub top1: Option<f64>,
}

/// Accuracy of `model`, in validation mode and computed in `precision`, on `split`. If logits are equal, the lower class counts
/// as larger.
///
/// # Errors
///
/// When a logit is not finite, an image cannot be read, or the device fails.
pub fn accuracy<M: Architecture>(
    model: &M,
    split: &Split,
    precision: Precision,
    device: &Device,
) -> Result<Accuracy, EvaluateError> {
    let batches = Loader::new(Arc::new(split.clone()), BATCH, Order::AsIs, device.clone());
    let measured = measure(std::slice::from_ref(model), batches.epoch(1), precision)?;
    let measured = measured.into_iter().next();
    Ok(measured.map_or_else(|| Counts::default().accuracy(), |measured| measured.accuracy))
}

/// Top-1 of `model` on `split`: the fraction of images whose largest logit is that of their label. `model` is in validation mode
/// and computed in `precision`.
///
/// # Errors
///
/// Those of [`accuracy`].
pub fn top1<M: Architecture>(
    model: &M,
    split: &Split,
    precision: Precision,
    device: &Device,
) -> Result<f64, EvaluateError> {
    Ok(accuracy(model, split, precision, device)?.top1)
}

/// Loss and accuracy of a model on a split.
pub(super) struct Measured {
    /// Mean cross entropy, without label smoothing.
    pub(super) loss: f64,
    pub(super) accuracy: Accuracy,
}

/// Loss and accuracy of each of `models` on `batches`. Every image is read once, whatever the number of models.
///
/// # Errors
///
/// Those of [`accuracy`].
pub(super) fn measure<M: Architecture>(
    models: &[M],
    batches: impl Iterator<Item = Result<Batch, DataError>>,
    precision: Precision,
) -> Result<Vec<Measured>, EvaluateError> {
    let mut counted: Vec<(f64, Counts)> = models.iter().map(|_| Default::default()).collect();
    for batch in batches {
        let batch = batch?;
        let labels = batch.labels.to_data().iter::<i64>().map(|label| label as usize).collect::<Vec<_>>();
        for (model, (loss, counts)) in models.iter().zip(&mut counted) {
            let (logits, mean_loss) = answers(model, &batch, precision)?;
            *loss += mean_loss * labels.len() as f64;
            let classes = logits.len() / labels.len();
            logits.chunks(classes).zip(&labels).for_each(|(logits, label)| counts.add(logits, *label));
        }
    }
    let measured = counted.into_iter().map(|(loss, counts)| {
        let accuracy = counts.accuracy();
        Measured { loss: loss / accuracy.images as f64, accuracy }
    });
    Ok(measured.collect())
}

/// Images of each class, and how many of them were predicted right.
#[derive(Default)]
struct Counts {
    images: Vec<usize>,
    right: Vec<usize>,
    among_top: usize,
}

impl Counts {
    fn add(&mut self, logits: &[f64], label: usize) {
        self.images.resize(logits.len(), 0);
        self.right.resize(logits.len(), 0);
        self.images[label] += 1;
        let ahead =
            |class: usize| logits[class] > logits[label] || (logits[class] == logits[label] && class < label);
        let rank = (0..logits.len()).filter(|&class| ahead(class)).count();
        self.right[label] += usize::from(rank == 0);
        self.among_top += usize::from(rank < TOP);
    }

    fn accuracy(&self) -> Accuracy {
        let images: usize = self.images.iter().sum();
        let fraction = |right: usize, images: usize| right as f64 / images as f64;
        let class = |(&images, &right): (&usize, &usize)| ClassAccuracy {
            images,
            top1: (images > 0).then(|| fraction(right, images)),
        };
        Accuracy {
            images,
            top1: fraction(self.right.iter().sum(), images),
            top5: (self.images.len() > TOP).then(|| fraction(self.among_top, images)),
            classes: self.images.iter().zip(&self.right).map(class).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(logits: &[(&[f64], usize)]) -> Accuracy {
        let mut counts = Counts::default();
        logits.iter().for_each(|(logits, label)| counts.add(logits, *label));
        counts.accuracy()
    }

    #[test]
    fn top_1_top_5_and_classes_of_known_logits() {
        let descending: &[f64] = &[6.0, 5.0, 4.0, 3.0, 2.0, 1.0];
        let found = counted(&[(descending, 0), (descending, 0), (descending, 4), (descending, 5)]);
        assert_eq!((found.images, found.top1, found.top5), (4, 0.5, Some(0.75)));
        let class = |images, top1| ClassAccuracy { images, top1 };
        let absent = class(0, None);
        let expected =
            [class(2, Some(1.0)), absent, absent, absent, class(1, Some(0.0)), class(1, Some(0.0))];
        assert_eq!(found.classes, expected);
    }

    #[test]
    fn of_equal_logits_the_lower_class_comes_first() {
        let equal: &[f64] = &[1.0; 6];
        let found = counted(&[(equal, 0), (equal, 1), (equal, 4), (equal, 5)]);
        assert_eq!((found.top1, found.top5), (0.25, Some(0.75)));
    }

    #[test]
    fn five_classes_have_no_top_5() {
        assert_eq!(counted(&[(&[0.0, 1.0, 2.0, 3.0, 4.0], 4)]).top5, None);
    }
}
