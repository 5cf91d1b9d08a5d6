//! A trained network whose predictions another learns.

use std::fmt::Debug;

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::data::Normalisation;
use crate::experiment::Distillation;
use crate::graph::{GraphError, Recording, TrainingSetting, record_training};
use crate::models::{Architecture, Features};
use crate::nn::Precision;
use crate::slim::{Slim, index_tensor};

/// A trained network, of any architecture, and what is learnt from it. It is not trained itself, and in no checkpoint.
#[derive(Clone, Debug)]
pub struct Teacher {
    network: Box<dyn Predict>,
    /// What the student's images are multiplied by, and what is added then, `[1, channels, 1, 1]`; `None` if the teacher takes them as
    /// they are.
    renormalisation: Option<[Tensor<4>; 2]>,
    kind: Distillation,
    /// What of its features is learnt beside.
    compared: Option<Compared>,
}

/// What of the features of a dense network a student learns that is cut out of it.
#[derive(Clone, Debug)]
struct Compared {
    weight: f64,
    /// Which patches the student keeps, and which of their features; `None` if all.
    kept: [Option<Tensor<1, Int>>; 2],
}

/// What a teacher predicts of some images, and what is learnt of that.
pub(super) struct Lesson {
    /// Logits, `[batch, classes]`, without autodiff.
    pub(super) logits: Tensor<2>,
    pub(super) kind: Distillation,
    /// What the patches of the student are to be, `[batch, patches, dim]`, without autodiff, and how much that counts in the loss;
    /// `None` if they are not compared.
    pub(super) patches: Option<(Tensor<3>, f64)>,
}

/// A network in validation mode, of whatever architecture.
trait Predict: Debug + Send {
    /// The prediction for `images`, `[batch, classes]`.
    fn predict(&self, images: Tensor<4>) -> Tensor<2>;

    /// Its logits and patches for `images`.
    fn features(&self, images: Tensor<4>) -> Features;

    /// Its forward pass.
    fn record(&self, setting: TrainingSetting) -> Result<Recording, GraphError>;

    fn copy(&self) -> Box<dyn Predict>;

    fn moved_to(self: Box<Self>, device: &Device) -> Box<dyn Predict>;
}

impl<A: Architecture> Predict for A {
    fn predict(&self, images: Tensor<4>) -> Tensor<2> {
        self.forward(images).mean()
    }

    fn features(&self, images: Tensor<4>) -> Features {
        Architecture::features(self, images)
    }

    fn record(&self, setting: TrainingSetting) -> Result<Recording, GraphError> {
        record_training(&Slim::dense(self.clone()), setting)
    }

    fn copy(&self) -> Box<dyn Predict> {
        Box::new(self.clone())
    }

    fn moved_to(self: Box<Self>, device: &Device) -> Box<dyn Predict> {
        Box::new((*self).to_device(device))
    }
}

impl Clone for Box<dyn Predict> {
    fn clone(&self) -> Self {
        (**self).copy()
    }
}

impl Teacher {
    /// `network`, in validation mode, of which `kind` is learnt. It takes the images of its student as they are.
    pub fn new<A: Architecture>(network: A, kind: Distillation) -> Self {
        Self { network: Box::new(network), renormalisation: None, kind, compared: None }
    }

    /// The same, of a dense network whose patches count in the loss with this `weight`: those `kept` by the student, and of these the
    /// features `kept`. `None` keeps all. The network must offer its [features](Architecture::features).
    #[must_use]
    pub fn comparing(self, weight: f64, kept: [Option<&[usize]>; 2]) -> Self {
        let kept = kept.map(|kept| kept.map(|indices| index_tensor(indices, &Device::flex())));
        Self { compared: Some(Compared { weight, kept }), ..self }
    }

    /// The same, of a network whose images are normalised by `own`, where those of the student are normalised by `students`, with as many
    /// channels.
    #[must_use]
    pub fn renormalising(self, students: &Normalisation, own: &Normalisation) -> Self {
        if (&students.mean, &students.std) == (&own.mean, &own.std) {
            return self;
        }
        // `value * std + mean` is the pixel, in units of white, of which the teacher takes `(pixel - mean) / std` by its own numbers.
        let here = students.mean.iter().zip(&students.std);
        let (factors, shifts): (Vec<f32>, Vec<f32>) = here
            .zip(own.mean.iter().zip(&own.std))
            .map(|((mean, std), (own_mean, own_std))| (std / own_std, (mean - own_mean) / own_std))
            .unzip();
        let of_channels = |values: Vec<f32>| {
            let channels = values.len();
            Tensor::from_data(TensorData::new(values, [1, channels, 1, 1]), &Device::flex())
        };
        Self { renormalisation: Some([of_channels(factors), of_channels(shifts)]), ..self }
    }

    /// The same teacher on `device`, which has no autodiff.
    #[must_use]
    pub(super) fn moved_to(self, device: &Device) -> Self {
        Self {
            network: self.network.moved_to(device),
            renormalisation: self.renormalisation.map(|both| both.map(|one| one.to_device(device))),
            kind: self.kind,
            compared: self.compared.map(|compared| Compared {
                kept: compared.kept.map(|kept| kept.map(|indices| indices.to_device(device))),
                ..compared
            }),
        }
    }

    /// What it predicts of its student's `images`, `[batch, classes]`, computed in `precision` and without autodiff.
    pub fn predict(&self, images: &Tensor<4>, precision: Precision) -> Tensor<2> {
        let images = self.own(images);
        precision.within(|| self.network.predict(images))
    }

    /// Its student's `images` as it takes them, without autodiff.
    fn own(&self, images: &Tensor<4>) -> Tensor<4> {
        let images = images.clone().without_autodiff();
        match &self.renormalisation {
            Some([factors, shifts]) => images * factors.clone() + shifts.clone(),
            None => images,
        }
    }

    /// Its forward pass, recorded.
    ///
    /// # Errors
    ///
    /// When it cannot be recorded.
    pub(crate) fn record(&self, setting: TrainingSetting) -> Result<Recording, GraphError> {
        self.network.record(setting)
    }

    /// What its student learns of its `images`.
    pub(super) fn lesson(&self, images: &Tensor<4>, precision: Precision) -> Lesson {
        let kind = self.kind;
        let Some(Compared { weight, kept: [patches, features] }) = &self.compared else {
            return Lesson { logits: self.predict(images, precision), kind, patches: None };
        };
        let images = self.own(images);
        let seen = precision.within(|| self.network.features(images));
        let select = |values: Tensor<3>, axis, kept: &Option<Tensor<1, Int>>| match kept {
            Some(kept) => values.select(axis, kept.clone()),
            None => values,
        };
        let kept = seen.patches.map(|seen| select(select(seen.values, 1, patches), 2, features));
        Lesson { logits: seen.logits.mean(), kind, patches: kept.map(|kept| (kept, *weight)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::Patches;
    use crate::train::fixture::{batch, vit};

    fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.into_data().try_into_vec().unwrap()
    }

    /// Answers with what it sees.
    #[derive(Debug)]
    struct Mirror;

    impl Predict for Mirror {
        fn record(&self, _: TrainingSetting) -> Result<Recording, GraphError> {
            unreachable!("nobody asks for its memory")
        }

        fn predict(&self, images: Tensor<4>) -> Tensor<2> {
            images.flatten(1, 3)
        }

        fn features(&self, images: Tensor<4>) -> Features {
            let patches = Patches { values: images.clone().flatten(2, 3), reader: "" };
            Features { logits: self.predict(images).into(), patches: Some(patches) }
        }

        fn copy(&self) -> Box<dyn Predict> {
            Box::new(Self)
        }

        fn moved_to(self: Box<Self>, _: &Device) -> Box<dyn Predict> {
            self
        }
    }

    fn mirror() -> Teacher {
        let (network, kind) = (Box::new(Mirror), Distillation::default());
        Teacher { network, renormalisation: None, kind, compared: None }
    }

    #[test]
    fn a_teacher_sees_images_as_its_own_are_normalised() {
        let normalisation = |white, mean: [f32; 2], std: [f32; 2]| Normalisation {
            white,
            mean: mean.to_vec(),
            std: std.to_vec(),
            images: 0,
        };
        // Two pixels of each of two channels, from 0 to 1.
        let images = |Normalisation { mean, std, .. }: &Normalisation| {
            let pixels = [0.0, 0.25, 0.5, 1.0].into_iter().enumerate();
            let values: Vec<f32> =
                pixels.map(|(at, pixel): (usize, f32)| (pixel - mean[at / 2]) / std[at / 2]).collect();
            Tensor::<4>::from_data(TensorData::new(values, [1, 2, 1, 2]), &Device::flex())
        };
        let students = normalisation(16, [0.1, 0.7], [0.2, 0.9]);
        for own in [normalisation(255, [0.485, 0.456], [0.229, 0.224]), students.clone()] {
            let teacher = mirror().renormalising(&students, &own);
            assert_eq!(teacher.renormalisation.is_none(), own == students);
            let seen = host(teacher.predict(&images(&students), Precision::F32));
            for (seen, expected) in seen.iter().zip(host(images(&own))) {
                assert!((seen - expected).abs() < 1e-5, "{seen}, not {expected}");
            }
        }
    }

    #[test]
    fn a_teacher_predicts_without_autodiff_what_its_network_does() {
        let (network, images) = (vit().model, batch(3).images);
        let expected = host(network.forward(images.clone().inner()).mean());
        let found = Teacher::new(network, Distillation::default()).predict(&images, Precision::F32);
        assert!(!found.is_autodiff());
        assert_eq!(host(found), expected);
    }

    #[test]
    fn a_teacher_compares_the_patches_and_features_that_its_student_keeps() {
        // Three patches of four features.
        let images = Tensor::<1, Int>::arange(0..12, &Device::flex()).float().reshape([1, 3, 2, 2]);
        for (kept, expected) in [
            ([None, None], (0..12).map(|value| value as f32).collect()),
            ([Some(&[0, 2][..]), None], vec![0.0, 1.0, 2.0, 3.0, 8.0, 9.0, 10.0, 11.0]),
            ([Some(&[1, 2][..]), Some(&[0, 3][..])], vec![4.0, 7.0, 8.0, 11.0]),
        ] {
            let teacher = mirror();
            assert!(teacher.lesson(&images, Precision::F32).patches.is_none());
            let lesson =
                teacher.comparing(0.5, kept).moved_to(&Device::flex()).lesson(&images, Precision::F32);
            let (patches, weight) = lesson.patches.unwrap();
            assert_eq!((host(patches), weight), (expected, 0.5));
        }
    }
}
