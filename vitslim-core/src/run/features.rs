//! What the features of a dense network and of a network that is cut out of it have in common.

use burn::tensor::Device;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::data::ImageShape;
use crate::models::{Architecture, Logits, Parameter};
use crate::panics::attempt;
use crate::slim::{Dimension, Plan};
use crate::values::{random, relative_difference};

/// Largest difference of the logits over the largest logit, which only rounding makes.
const SAME: f64 = 1e-4;

/// The dimensions along the patches that a network offers as its features.
#[derive(Clone, Debug)]
pub(crate) struct PatchAxes {
    /// Path of the dimension of the patches; `None` if none can be cut.
    patches: Option<String>,
    /// Path of the dimension of their features; `None` if none can be cut.
    features: Option<String>,
}

impl PatchAxes {
    /// Those of `model`, which has `dimensions`, on such images.
    ///
    /// # Errors
    ///
    /// Why its features cannot be compared, after the name of the architecture.
    pub(crate) fn of<A: Architecture>(
        model: &A,
        dimensions: &[Dimension],
        image: ImageShape,
        device: &Device,
    ) -> Result<Self, String> {
        let shape = [1, image.channels, image.size, image.size];
        let images = random::<4>(shape, &mut ChaCha8Rng::seed_from_u64(0), device);
        let (seen, logits) = attempt(|| (model.features(images.clone()), model.forward(images)))
            .map_err(|said| format!("fails at its features ({said})"))?;
        let Some(patches) = seen.patches else { return Err("offers no features".to_owned()) };
        if difference(logits, seen.logits) > SAME {
            return Err("has other logits with its features than without".to_owned());
        }
        let is_of_reader = |parameter: &Parameter| {
            let rest = parameter.path.strip_prefix(patches.reader);
            rest.is_some_and(|rest| rest.starts_with('.'))
        };
        if !Parameter::all(model).iter().any(is_of_reader) {
            return Err(format!("has features that `{}` reads, which is none of its layers", patches.reader));
        }
        let [_, count, size] = patches.values.dims();
        let is_read = |dimension: &&Dimension| {
            let mut carriers = dimension.carriers.iter();
            !dimension.is_tokens()
                && carriers.any(|carrier| carrier.layer == patches.reader && carrier.side == "input")
        };
        let of_patches = dimensions.iter().rfind(|dimension| dimension.is_tokens());
        let of_features = dimensions.iter().find(is_read);
        for (dimension, found) in [(of_patches, count), (of_features, size)] {
            if let Some(dimension) = dimension.filter(|dimension| dimension.units() != found) {
                let (path, units) = (&dimension.path, dimension.units());
                return Err(format!("has features of size {found} along `{path}`, which has {units} units"));
            }
        }
        let path = |dimension: Option<&Dimension>| dimension.map(|dimension| dimension.path.clone());
        Ok(Self { patches: path(of_patches), features: path(of_features) })
    }

    /// The patches that `plan` keeps, and the features that it keeps of them; `None` where it keeps all.
    pub(super) fn kept<'a>(&self, plan: &'a Plan) -> [Option<&'a [usize]>; 2] {
        [&self.patches, &self.features].map(|path| {
            let cut = plan.get(path.as_deref()?)?;
            (cut.keep.len() < cut.units()).then_some(cut.keep.as_slice())
        })
    }
}

fn difference(expected: Logits, found: Logits) -> f64 {
    let [expected, found] =
        [expected, found].map(|logits| logits.mean().into_data().iter::<f64>().collect::<Vec<_>>());
    relative_difference(&expected, &found)
}

#[cfg(test)]
mod tests {
    use burn::module::Param;
    use burn::tensor::Tensor;

    use super::*;
    use crate::models::{
        ConvNext, ConvNextConfig, DistilledVit, Swin, SwinConfig, Vit, VitConfig, random_model,
    };
    use crate::slim::{describe, index_tensor};

    const IMAGE: ImageShape = ImageShape { channels: 1, size: 8 };

    fn vit_config() -> VitConfig {
        VitConfig {
            image_size: 8,
            patch_size: 2,
            channels: 1,
            classes: 5,
            dim: 12,
            heads: 2,
            depth: 2,
            ..VitConfig::default()
        }
    }

    fn network<A: Architecture>(config: &A::Config) -> A {
        random_model(config, &mut ChaCha8Rng::seed_from_u64(3), &Device::flex()).unwrap()
    }

    /// Cuts the features of `model`, its patches at the last gate, and fewer of them before. Compares what is left with the same of the
    /// dense network. Answers with the shapes of both.
    fn features_of_both<A: Architecture>(model: &A) -> [[usize; 3]; 2] {
        let device = Device::flex();
        let dimensions = describe(model).unwrap();
        let axes = PatchAxes::of(model, &dimensions, IMAGE, &device).unwrap();
        let [mut plan, mut of_features] = [Plan::whole(&dimensions), Plan::whole(&dimensions)];
        for (dimension, cut) in dimensions.iter().zip(&mut plan.cuts) {
            if [&axes.patches, &axes.features].contains(&&Some(dimension.path.clone())) {
                cut.keep.retain(|unit| unit % 3 == 1);
            } else if dimension.is_tokens() {
                cut.keep.retain(|unit| unit % 3 > 0);
            }
        }
        // Masked, the features of the dense network are those of its student.
        let path = axes.features.as_deref().unwrap();
        *of_features.get_mut(path).unwrap() = plan.get(path).unwrap().clone();
        let images = random::<4>([2, 1, 8, 8], &mut ChaCha8Rng::seed_from_u64(5), &device);
        let seen = |model: A| model.features(images.clone()).patches.unwrap().values;
        let (teacher, student) =
            (seen(model.hard_mask(&of_features).unwrap()), seen(model.slim(&plan).unwrap()));
        let shapes = [teacher.dims(), student.dims()];
        let [patches, features] = axes.kept(&plan);
        let select = |values: Tensor<3>, axis, kept: Option<&[usize]>| match kept {
            Some(kept) => values.select(axis, index_tensor(kept, &device)),
            None => values,
        };
        let kept = select(select(teacher, 1, patches), 2, features);
        let [kept, student] =
            [kept, student].map(|values| values.into_data().iter::<f64>().collect::<Vec<_>>());
        assert!(relative_difference(&kept, &student) < 1e-5);
        shapes
    }

    /// Attention sees fewer patches, so it must not act.
    #[test]
    fn a_student_keeps_the_features_of_its_dense_network_where_the_plan_says() {
        let mut vit: Vit = network(&vit_config());
        let mut distilled: DistilledVit = network(&vit_config());
        for block in vit.blocks.iter_mut().chain(&mut distilled.blocks) {
            block.attn.proj.weight = Param::from_tensor(block.attn.proj.weight.val() * 0.0);
        }
        assert_eq!(features_of_both(&vit), [[2, 16, 12], [2, 5, 4]]);
        assert_eq!(features_of_both(&distilled), [[2, 16, 12], [2, 5, 4]]);
        let swin: Swin = network(&SwinConfig {
            image_size: 8,
            patch_size: 2,
            window: 2,
            channels: 1,
            classes: 5,
            dim: 6,
            depths: vec![1, 1],
            heads: vec![2, 2],
            ..SwinConfig::default()
        });
        assert_eq!(features_of_both(&swin), [[2, 4, 12], [2, 4, 4]]);
        let convnext: ConvNext = network(&ConvNextConfig {
            image_size: 8,
            patch_size: 2,
            channels: 1,
            classes: 5,
            dims: vec![6, 12],
            depths: vec![1, 1],
            ..ConvNextConfig::default()
        });
        assert_eq!(features_of_both(&convnext), [[2, 4, 12], [2, 4, 4]]);
    }
}
