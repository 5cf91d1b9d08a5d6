//! The bytes of memory that a stage needs, and what to do if they are too many.

use crate::data::{ImageShape, Stage};
use crate::experiment::Training;
use crate::graph::{Occupied, Recording};
use crate::terminal::gigabytes;

/// Bytes of a value of an image.
const OF_A_VALUE: u64 = 4;

/// All that a stage has in memory.
pub(super) struct Needs<'a> {
    pub training: &'a Training,
    pub network: &'a Recording,
    pub teacher: Option<&'a Recording>,
    pub image: ImageShape,
    /// Bytes of all that is no tensor.
    pub beside: u64,
    pub occupied: Occupied,
}

impl Needs<'_> {
    /// The most bytes at once, if the batch is computed in so many `parts`: parameters, masks, moments, average, the images of the batch,
    /// gradients, what operations keep, and the teacher, whose forward pass is over before the network has anything to keep.
    pub(super) fn bytes(&self, parts: usize, checkpointing: bool) -> u64 {
        let Self { training, network, occupied, .. } = *self;
        let (batch, part) = (training.batch.get(), training.batch.get().div_ceil(parts));
        let [values, trained] = network.parameters(occupied);
        let average = if training.ema.is_some() { values } else { 0 };
        // The sum of the gradients of the parts before.
        let summed = if parts > 1 { trained } else { 0 };
        let images = occupied((batch * self.image.values()) as u64 * OF_A_VALUE);
        let step = network.step(part, checkpointing, occupied);
        let (teacher, taught) = self
            .teacher
            .map_or((0, 0), |teacher| (teacher.parameters(occupied)[0], teacher.inference(part, occupied)));
        let moments = training.optimizer.moments() * trained;
        self.beside + values + moments + average + summed + images + teacher + step.max(taught)
    }

    /// What to do if `stage` needs more than there is, `available` bytes.
    pub(super) fn note(&self, stage: Stage, available: u64) -> Option<String> {
        let Training { batch, accumulate, checkpointing, .. } = *self.training;
        let needed = self.bytes(accumulate.get(), checkpointing);
        if needed <= available {
            return None;
        }
        let name = stage.name();
        let more: Vec<usize> = (accumulate.get() + 1..=batch.get()).collect();
        let fitting = more.partition_point(|&parts| self.bytes(parts, checkpointing) > available);
        let in_parts = more.get(fitting).map(|&parts| {
            format!(
                "compute the batch in parts of {}, which fit, with `--set {name}.accumulate={parts}`",
                batch.get().div_ceil(parts)
            )
        });
        let again = self.bytes(accumulate.get(), true);
        let without_activations = (again < needed).then(|| {
            format!(
                "keep no activations, which takes about {}, with `--set {name}.checkpointing=true`",
                gigabytes(again)
            )
        });
        let remedies: Vec<String> = in_parts.into_iter().chain(without_activations).collect();
        let remedy = match remedies.is_empty() {
            true => "take a smaller network".to_owned(),
            false => remedies.join(", or "),
        };
        let [needed, available] = [needed, available].map(gigabytes);
        Some(format!("{name} needs about {needed} of memory, and the device has {available}: {remedy}"))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use burn::tensor::Device;

    use super::*;
    use crate::experiment::Document;
    use crate::graph::{TrainingSetting, record_training};
    use crate::models::{Architecture, Vit};
    use crate::nn::Precision;
    use crate::slim::Slim;

    const IMAGE: ImageShape = ImageShape { channels: 1, size: 8 };

    fn recorded(config: &str) -> Recording {
        let model = Vit::init(&ron::from_str(config).unwrap(), &Device::flex()).unwrap();
        let setting =
            TrainingSetting { image: IMAGE, precision: Precision::F32, frozen: &HashSet::new(), fused: true };
        record_training(&Slim::dense(model), setting).unwrap()
    }

    fn training(settings: &str) -> Training {
        let text = format!(
            "Experiment(name: \"a\", model: (architecture: \"vit\"), data: Digits, search: (epochs: 1, batch: 12, {settings}, \
             dimensions: {{ \"hidden\": (weight: 0) }}), budgets: [Share({{ \"hidden\": 0.5 }})])"
        );
        Document::parse("a.ron", &text, &[]).unwrap().experiment().unwrap().search.training()
    }

    const SMALL: &str = "(image_size: 8, channels: 1, classes: 3, patch_size: 4, dim: 8, depth: 2, heads: 2)";

    #[test]
    fn moments_averages_sums_and_teachers_are_counted() {
        let (network, teacher) =
            (recorded(SMALL), recorded(&SMALL.replace("depth: 2", "depth: 1, mlp_ratio: 50")));
        let bytes = |settings: &str, teacher: Option<&Recording>| {
            let training = training(settings);
            let needs = Needs {
                training: &training,
                network: &network,
                teacher,
                image: IMAGE,
                beside: 0,
                occupied: |b| b,
            };
            needs.bytes(training.accumulate.get(), training.checkpointing)
        };
        let [values, _] = network.parameters(|bytes| bytes);
        let step = |images: usize| network.step(images, false, |bytes| bytes);
        let images = 12 * 64 * 4;
        assert_eq!(bytes("optimizer: Sgd(lr: 1, momentum: 0)", None), values + images + step(12));
        assert_eq!(bytes("optimizer: Sgd(lr: 1)", None), 2 * values + images + step(12));
        for optimizer in ["AdamW", "Lamb"] {
            let settings = format!("optimizer: {optimizer}(lr: 1)");
            assert_eq!(bytes(&settings, None), 3 * values + images + step(12));
        }
        let adam = "optimizer: AdamW(lr: 1)";
        assert_eq!(bytes(&format!("{adam}, ema: 0.9"), None), 4 * values + images + step(12));
        // Five parts of up to three images, and the sum of the gradients of those before.
        assert_eq!(bytes(&format!("{adam}, accumulate: 5"), None), 4 * values + images + step(3));
        let again = network.step(12, true, |bytes| bytes);
        assert_eq!(bytes(&format!("{adam}, checkpointing: true"), None), 3 * values + images + again);
        // So wide is it that its forward pass needs more than the step of its student.
        let taught = teacher.inference(12, |bytes| bytes);
        assert!(taught > step(12), "{taught} of {}", step(12));
        let [of_teacher, _] = teacher.parameters(|bytes| bytes);
        assert_eq!(bytes(adam, Some(&teacher)), 3 * values + images + of_teacher + taught);
    }

    #[test]
    fn a_stage_that_does_not_fit_is_told_the_parts_that_do() {
        let network = recorded(SMALL);
        let training = training("optimizer: AdamW(lr: 1)");
        let needs = Needs {
            training: &training,
            network: &network,
            teacher: None,
            image: IMAGE,
            beside: 0,
            occupied: |b| b,
        };
        let note = |available: u64| needs.note(Stage::Search, available);
        let whole = needs.bytes(1, false);
        assert_eq!(note(whole), None);
        let again = needs.bytes(1, true);
        let [needed, there, again] = [whole, whole - 1, again].map(gigabytes);
        let expected = format!(
            "search needs about {needed} of memory, and the device has {there}: compute the batch in parts of 6, which fit, with \
             `--set search.accumulate=2`, or keep no activations, which takes about {again}, with `--set search.checkpointing=true`"
        );
        assert_eq!(note(whole - 1), Some(expected));
        let note = note(needs.bytes(4, false)).unwrap();
        assert!(note.contains("in parts of 3, which fit, with `--set search.accumulate=4`"), "{note}");
        let note = needs.note(Stage::Search, 1000).unwrap();
        assert!(!note.contains("accumulate"), "{note}");
    }
}
