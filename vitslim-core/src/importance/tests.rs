//! Scores beside what they are defined as, on networks small enough to compute it by hand.

use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::units::summed;
use super::{Correction, ImportanceError, Scoring, Steps, correctable};
use crate::data::{Batch, ImageShape};
use crate::experiment::Importance;
use crate::models::{Architecture, ConfigError, Logits, Vit, VitConfig, random_model};
use crate::nn::{Linear, LinearConfig, Precision};
use crate::slim::{
    Dimension, DimensionKind, Granularity, Input, MaskSet, MaskSpec, Plan, Ranking, SlimLayer, Slimmable,
    describe, rank,
};
use crate::values::random;

const IMAGES: usize = 6;
const HIDDEN: usize = 3;
const CLASSES: usize = 2;
const STEPS: Steps = Steps { parts: 1, checkpointed: false, precision: Precision::F32 };

/// Two layers on images of 1 x 2 x 2, with nothing between.
#[derive(Module, Debug, Slimmable)]
struct Toy {
    #[slim(output = [hidden])]
    fc1: Linear,
    #[slim(input = [hidden], gate)]
    fc2: Linear,
}

/// The same, but that nobody hears what the second layer reads.
#[derive(Module, Debug, Slimmable)]
struct Deaf {
    #[slim(output = [hidden])]
    fc1: Linear,
    #[slim(input = [hidden], gate)]
    fc2: burn::nn::Linear,
}

/// The same, but that what the second layer makes is scaled by itself: its other parameter is no bias.
#[derive(Module, Debug, Slimmable)]
struct Scaling {
    #[slim(output = [hidden])]
    fc1: Linear,
    #[slim(input = [hidden], gate)]
    fc2: Scaled,
}

/// A linear layer without a bias, and a scale of its own.
#[derive(Module, Debug)]
struct Scaled {
    linear: Linear,
    /// `[d_output]`
    scale: Param<Tensor<1>>,
}

impl SlimLayer<Input> for Scaled {
    fn extent(&self, side: Input) -> usize {
        SlimLayer::<Input>::extent(&self.linear, side)
    }

    fn scale(self, side: Input, factors: Tensor<1>) -> Self {
        Self { linear: SlimLayer::<Input>::scale(self.linear, side, factors), ..self }
    }

    fn select(self, side: Input, kept: Tensor<1, Int>) -> Self {
        Self { linear: SlimLayer::<Input>::select(self.linear, side, kept), ..self }
    }
}

impl Architecture for Scaling {
    type Config = ();

    fn presets() -> Vec<(&'static str, ())> {
        Vec::new()
    }

    fn init((): &(), device: &Device) -> Result<Self, ConfigError> {
        let linear = LinearConfig::new(HIDDEN, CLASSES).with_bias(false).init(device);
        let scale = Param::from_tensor(Tensor::ones([CLASSES], device));
        Ok(Self { fc1: layer(4, HIDDEN, device), fc2: Scaled { linear, scale } })
    }

    fn forward(&self, images: Tensor<4>) -> Logits {
        let hidden = self.fc1.forward(images.flatten::<2>(1, 3));
        (self.fc2.linear.forward(hidden) * self.fc2.scale.val().unsqueeze()).into()
    }
}

fn layer(inputs: usize, outputs: usize, device: &Device) -> Linear {
    LinearConfig::new(inputs, outputs).init(device)
}

impl Architecture for Toy {
    type Config = ();

    fn presets() -> Vec<(&'static str, ())> {
        Vec::new()
    }

    fn init((): &(), device: &Device) -> Result<Self, ConfigError> {
        Ok(Self { fc1: layer(4, HIDDEN, device), fc2: layer(HIDDEN, CLASSES, device) })
    }

    fn forward(&self, images: Tensor<4>) -> Logits {
        self.fc2.forward(self.fc1.forward(images.flatten::<2>(1, 3))).into()
    }
}

impl Architecture for Deaf {
    type Config = ();

    fn presets() -> Vec<(&'static str, ())> {
        Vec::new()
    }

    fn init((): &(), device: &Device) -> Result<Self, ConfigError> {
        let fc2 = burn::nn::LinearConfig::new(HIDDEN, CLASSES).init(device);
        Ok(Self { fc1: layer(4, HIDDEN, device), fc2 })
    }

    fn forward(&self, images: Tensor<4>) -> Logits {
        self.fc2.forward(self.fc1.forward(images.flatten::<2>(1, 3))).into()
    }
}

fn toy() -> Toy {
    random_model(&(), &mut ChaCha8Rng::seed_from_u64(3), &Device::flex()).unwrap()
}

/// Two batches of different images, of `channels x size x size`.
fn batches([channels, size]: [usize; 2]) -> Vec<Batch> {
    let (device, mut rng) = (Device::flex(), ChaCha8Rng::seed_from_u64(4));
    let batch = |images: usize| {
        let labels: Vec<i64> = (0..CLASSES as i64).cycle().take(images).collect();
        Batch {
            images: random([images, channels, size, size], &mut rng, &device),
            labels: Tensor::from_data(TensorData::new(labels, [images]), &device),
            mixed: None,
            epoch: 1,
            step: 1,
            seed: 5,
        }
    };
    [IMAGES, IMAGES - 2].map(batch).into()
}

fn searched<A: Architecture>(model: &A) -> Vec<(Dimension, MaskSpec)> {
    describe(model).unwrap().into_iter().map(|dimension| (dimension, MaskSpec::default())).collect()
}

fn masks<A: Architecture>(importance: Importance, model: &A, batches: &[Batch]) -> MaskSet {
    masks_in(STEPS, importance, model, batches)
}

fn masks_in<A: Architecture>(steps: Steps, importance: Importance, model: &A, batches: &[Batch]) -> MaskSet {
    let mut searched = searched(model);
    // A branch is read by no layer.
    searched.retain(|(dimension, _)| {
        !dimension.is_branch() || !matches!(importance, Importance::Variance { .. })
    });
    let scoring = Scoring { importance, searched: &searched, steps, seed: 7 };
    scoring.masks::<A, ImportanceError>(model, batches.iter().cloned().map(Ok)).unwrap().unwrap()
}

/// The scores of each dimension, by path.
fn scores<A: Architecture>(importance: Importance, model: &A, batches: &[Batch]) -> Vec<(String, Vec<f64>)> {
    let masks = masks(importance, model, batches);
    masks.iter().map(|mask| (mask.path.clone(), host(mask.values.val()))).collect()
}

fn of_toy(importance: Importance, model: &Toy) -> Vec<f64> {
    scores(importance, model, &batches([1, 2])).remove(0).1
}

fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

fn assert_near(found: &[f64], expected: &[f64]) {
    let near = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-5 * b.abs().max(1e-2);
    assert!(
        found.len() == expected.len() && found.iter().zip(expected).all(near),
        "{found:?}, not {expected:?}"
    );
}

fn taylor() -> Importance {
    Importance::Taylor { batches: 2.try_into().unwrap() }
}

fn variance() -> Importance {
    Importance::Variance { batches: 2.try_into().unwrap() }
}

/// The hidden units of the toy for each image.
fn hidden(model: &Toy, batch: &Batch) -> Vec<Vec<f64>> {
    let hidden = host(model.fc1.forward(batch.images.clone().flatten::<2>(1, 3)));
    hidden.chunks(HIDDEN).map(<[f64]>::to_vec).collect()
}

/// The toy with the weights of the first hidden unit replaced by 0, and its bias by `bias`.
fn without_first(model: Toy, bias: f32) -> Toy {
    let first = |rows: usize| {
        Tensor::<2>::from_data(
            TensorData::new([vec![0.0_f32], vec![1.0; HIDDEN - 1]].concat().repeat(rows), [rows, HIDDEN]),
            &Device::flex(),
        )
    };
    let Toy { mut fc1, mut fc2 } = model;
    fc1.weight = fc1.weight.map(|weight| weight * first(4));
    fc1.bias = fc1
        .bias
        .map(|own| own.map(|own| own * first(1).flatten(0, 1) + (-first(1).flatten::<1>(0, 1) + 1.0) * bias));
    fc2.weight = fc2.weight.map(|weight| weight * first(1).transpose());
    Toy { fc1, fc2 }
}

#[test]
fn taylor_is_the_gradient_of_the_loss_by_each_mask() {
    let model = toy();
    let weight = host(model.fc2.weight.val());
    let mut expected = vec![0.0; HIDDEN];
    for batch in batches([1, 2]) {
        let logits = host(model.forward(batch.images.clone()).class);
        let (hidden, labels) =
            (hidden(&model, &batch), batch.labels.to_data().iter::<i64>().collect::<Vec<_>>());
        for (unit, expected) in expected.iter_mut().enumerate() {
            let mut gradient = 0.0;
            for (image, logits) in logits.chunks(CLASSES).enumerate() {
                let sum: f64 = logits.iter().map(|logit| logit.exp()).sum();
                for (class, logit) in logits.iter().enumerate() {
                    let error = logit.exp() / sum - f64::from(u8::from(labels[image] == class as i64));
                    gradient += error * hidden[image][unit] * weight[unit * CLASSES + class];
                }
            }
            *expected += (gradient / batch.len() as f64).abs() / 2.0;
        }
    }
    assert_near(&of_toy(taylor(), &model), &expected);
}

#[test]
fn variance_is_that_of_what_the_next_layer_reads_over_all_batches() {
    let model = toy();
    let all: Vec<Vec<f64>> = batches([1, 2]).iter().flat_map(|batch| hidden(&model, batch)).collect();
    let expected: Vec<f64> = (0..HIDDEN)
        .map(|unit| {
            let mean = all.iter().map(|hidden| hidden[unit]).sum::<f64>() / all.len() as f64;
            all.iter().map(|hidden| (hidden[unit] - mean).powi(2)).sum::<f64>() / all.len() as f64
        })
        .collect();
    assert_near(&of_toy(variance(), &model), &expected);

    let constant = without_first(model, 0.7);
    assert!(of_toy(variance(), &constant)[0] < 1e-12);
    let masks = masks(variance(), &constant, &batches([1, 2]));
    let dimensions = describe(&constant).unwrap();
    let plan = rank(&dimensions, &masks, &[Ranking::named(&dimensions, "hidden", 0.6)]).unwrap();
    assert_eq!(plan.get("hidden").unwrap().keep, [1, 2], "what is constant goes first");
}

#[test]
fn magnitude_is_the_norm_of_all_weights_that_go_with_a_unit() {
    let model = toy();
    let [writes, bias, reads] = [
        host(model.fc1.weight.val()),
        host(model.fc1.bias.as_ref().unwrap().val()),
        host(model.fc2.weight.val()),
    ];
    let expected: Vec<f64> = (0..HIDDEN)
        .map(|unit| {
            let column = writes.iter().skip(unit).step_by(HIDDEN);
            let row = &reads[unit * CLASSES..][..CLASSES];
            column.chain([&bias[unit]]).chain(row).map(|weight| weight * weight).sum::<f64>().sqrt()
        })
        .collect();
    assert_near(&of_toy(Importance::Magnitude, &model), &expected);
    assert_eq!(of_toy(Importance::Magnitude, &without_first(model, 0.0))[0], 0.0);
}

/// `model` corrected for `plan` on batches that are computed in so many `parts`.
fn corrected<A: Architecture>(model: &A, plan: &Plan, parts: usize) -> A {
    let of_batches = batches([1, 2]).into_iter().map(Ok);
    let steps = Steps { parts, ..STEPS };
    let correction =
        Correction::of::<_, ImportanceError>(model, &searched(model), of_batches, steps).unwrap();
    correction.corrected::<_, ()>(model, plan, || Ok(())).unwrap()
}

/// The plan that keeps these hidden units.
fn keeping<A: Architecture>(model: &A, keep: &[usize]) -> Plan {
    let mut plan = Plan::whole(&describe(model).unwrap());
    plan.get_mut("hidden").unwrap().keep = keep.to_vec();
    plan
}

/// The largest difference of a logit between `model` and what `plan` leaves of `cut`.
fn lost<A: Architecture>(model: &A, cut: &A, plan: &Plan) -> f64 {
    let logits = |model: &A| host(model.forward(batches([1, 2]).remove(0).images).class);
    let (dense, cut) = (logits(model), logits(&cut.slim(plan).unwrap()));
    dense.iter().zip(cut).map(|(one, other)| (one - other).abs()).fold(0.0, f64::max)
}

/// `fc1` whose first unit is twice the second, and a `constant`.
fn redundant(mut fc1: Linear, constant: f32) -> Linear {
    let first = |weight: Tensor<2>, constant: f32| {
        let [rows, columns] = weight.dims();
        let second = weight.clone().narrow(1, 1, 1) * 2.0 + constant;
        Tensor::cat(vec![second, weight.slice([0..rows, 1..columns])], 1)
    };
    fc1.weight = fc1.weight.map(|weight| first(weight, 0.0));
    fc1.bias = fc1.bias.map(|bias| bias.map(|bias| first(bias.unsqueeze(), constant).flatten(0, 1)));
    fc1
}

#[test]
fn a_corrected_layer_makes_up_for_what_is_cut_of_its_input() {
    // Without the first unit, which is a multiple of the second and a constant.
    let Toy { fc1, fc2 } = toy();
    let model = Toy { fc1: redundant(fc1, 0.5), fc2 };
    let plan = keeping(&model, &[1, 2]);
    let [before, after] = [&model, &corrected(&model, &plan, 1)].map(|cut| lost(&model, cut, &plan));
    assert!(before > 0.3 && after < 0.01 * before, "{after} of {before}");
    let weight = |model: &Toy| host(model.fc2.weight.val());
    assert_near(&weight(&corrected(&model, &plan, 3)), &weight(&corrected(&model, &plan, 1)));
    // What nothing is cut of stays as it is.
    let whole = Plan::whole(&describe(&model).unwrap());
    assert_eq!(weight(&corrected(&model, &whole, 1)), weight(&model));
    // Before each layer it can be stopped.
    let correction = Correction::of::<_, ImportanceError>(
        &model,
        &searched(&model),
        batches([1, 2]).into_iter().map(Ok),
        STEPS,
    );
    assert_eq!(correction.unwrap().corrected(&model, &plan, || Err("stopped")).unwrap_err(), "stopped");
}

#[test]
fn a_layer_without_a_bias_is_corrected_and_its_other_parameters_stay() {
    let mut model: Scaling = random_model(&(), &mut ChaCha8Rng::seed_from_u64(3), &Device::flex()).unwrap();
    model.fc1 = redundant(model.fc1, 0.0);
    let plan = keeping(&model, &[1, 2]);
    let cut = corrected(&model, &plan, 1);
    assert_eq!(host(cut.fc2.scale.val()), host(model.fc2.scale.val()));
    let [before, after] = [&model, &cut].map(|cut| lost(&model, cut, &plan));
    assert!(before > 0.1 && after < 0.01 * before, "{after} of {before}");
}

#[test]
fn where_what_stays_does_not_vary_the_mean_of_what_is_cut_is_made_up_for() {
    let Toy { mut fc1, fc2 } = toy();
    fc1.weight = fc1.weight.map(|weight| weight * 0.0);
    fc1.bias = fc1.bias.map(|bias| bias.map(|bias| bias * 0.0 + 0.5));
    let model = Toy { fc1, fc2 };
    for keep in [&[1, 2][..], &[]] {
        let plan = keeping(&model, keep);
        let [before, after] = [&model, &corrected(&model, &plan, 1)].map(|cut| lost(&model, cut, &plan));
        assert!(before > 0.05 && after < 1e-5, "{after} of {before}");
    }
}

#[test]
fn layers_that_cannot_be_corrected_are_named() {
    let image = ImageShape { channels: 1, size: 2 };
    let told = |[linear, others]: [Vec<String>; 2]| (linear.join(" "), others.join(" "));
    let found = correctable(&toy(), &searched(&toy()), image).unwrap();
    assert_eq!(told(found), ("fc2".to_owned(), String::new()));
    let deaf = Deaf::init(&(), &Device::flex()).unwrap();
    let found = correctable(&deaf, &searched(&deaf), image).unwrap();
    assert_eq!(told(found), (String::new(), "fc2".to_owned()));
}

#[test]
fn what_is_drawn_is_drawn_by_the_seed() {
    let (model, batches) = (toy(), batches([1, 2]));
    let searched = searched(&model);
    let drawn = |seed| {
        let scoring = Scoring { importance: Importance::Random, searched: &searched, steps: STEPS, seed };
        let masks = scoring.masks::<Toy, ImportanceError>(&model, batches.iter().cloned().map(Ok)).unwrap();
        host(masks.unwrap().get("hidden").unwrap().values.val())
    };
    assert_eq!(drawn(1), drawn(1));
    assert_ne!(drawn(1), drawn(2));
}

#[test]
fn a_mask_of_several_units_has_the_sum_of_their_scores() {
    let dimension = Dimension {
        path: "head_dim".to_owned(),
        kind: DimensionKind::Features,
        groups: vec![2, 2],
        carriers: Vec::new(),
    };
    for (granularity, expected) in [
        (Granularity::Unit, &[1.0, 2.0, 4.0, 8.0][..]),
        (Granularity::Group, &[3.0, 12.0]),
        (Granularity::Uniform, &[5.0, 10.0]),
    ] {
        let searched = [(dimension.clone(), MaskSpec { granularity, ..MaskSpec::default() })];
        let masks = summed(&searched, &vec![vec![1.0, 2.0, 4.0, 8.0]], &Device::flex());
        assert_eq!(host(masks.get("head_dim").unwrap().activated()), expected, "{granularity:?}");
    }
}

#[test]
fn a_layer_that_does_not_tell_what_it_reads_is_told_by_its_dimension() {
    let model = Deaf::init(&(), &Device::flex()).unwrap();
    let searched = searched(&model);
    let image = ImageShape { channels: 1, size: 2 };
    let check =
        |importance| Scoring { importance, searched: &searched, steps: STEPS, seed: 1 }.check(&model, image);
    let error = check(variance()).unwrap_err();
    assert!(matches!(&error, ImportanceError::Unread(path) if path == "hidden"), "{error}");
    for importance in [Importance::Masks, Importance::Magnitude, taylor(), Importance::Random] {
        check(importance).unwrap();
    }
}

/// A ViT of two blocks for images of 1 x 8 x 8.
fn vit(drop_path: f64) -> Vit {
    let config = VitConfig {
        image_size: 8,
        patch_size: 4,
        channels: 1,
        classes: CLASSES,
        dim: 12,
        heads: 2,
        depth: 2,
        drop_path,
        dropout: drop_path,
        ..VitConfig::default()
    };
    random_model(&config, &mut ChaCha8Rng::seed_from_u64(1), &Device::flex()).unwrap()
}

#[test]
fn scores_are_the_same_in_parts_and_with_checkpointing_and_nearly_so_in_bf16() {
    let (model, batches) = (vit(0.0), batches([1, 8]));
    let in_parts = Steps { parts: 3, checkpointed: true, ..STEPS };
    for importance in [taylor(), variance()] {
        let scored = |steps: Steps| masks_in(steps, importance, &model, &batches);
        let (whole, parts) = (scored(STEPS), scored(in_parts));
        let rounded = scored(Steps { precision: Precision::Bf16, ..STEPS });
        for ((whole, parts), rounded) in whole.iter().zip(parts.iter()).zip(rounded.iter()) {
            let [whole, parts, rounded] = [whole, parts, rounded].map(|mask| host(mask.values.val()));
            let largest = whole.iter().copied().fold(0.0, f64::max);
            let furthest = |others: Vec<f64>| {
                let differences = whole.iter().zip(others).map(|(one, other)| (one - other).abs());
                differences.fold(0.0, f64::max) / largest
            };
            assert!(furthest(parts) < 1e-4, "{importance:?}");
            let of_bf16 = furthest(rounded);
            assert!(of_bf16 > 0.0 && of_bf16 < 0.1, "{importance:?}: {of_bf16}");
        }
    }
}

#[test]
fn every_dimension_of_a_vit_is_scored_and_evaluated_as_it_is() {
    let mut batches = batches([1, 8]);
    // The second patch is the same in all images, and so is what the attention of the first block reads of it.
    for batch in &mut batches {
        let [images, channels, ..] = batch.images.dims();
        let patch = Tensor::ones([images, channels, 4, 4], &Device::flex());
        batch.images = batch.images.clone().slice_assign([0..images, 0..channels, 0..4, 4..8], patch);
    }
    for importance in [Importance::Magnitude, taylor(), variance()] {
        let found = scores(importance, &vit(0.0), &batches);
        let dimensions = describe(&vit(0.0)).unwrap().into_iter();
        let scored = dimensions.filter(|dimension| !dimension.is_branch() || importance != variance());
        assert_eq!(found.len(), scored.count());
        for (path, scores) in &found {
            let (least, tokens) =
                (scores.iter().copied().fold(f64::INFINITY, f64::min), path.ends_with("tokens"));
            assert!(scores.iter().all(|score| score.is_finite()), "{importance:?} {path}: {scores:?}");
            if importance == variance() && path == "blocks.0.tokens" {
                assert!(scores[1] < 0.01 * scores[0], "{scores:?}");
            } else if !(tokens && importance == Importance::Magnitude) {
                assert!(least > 0.0, "{importance:?} {path}: {scores:?}");
            }
        }
        assert_eq!(scores(importance, &vit(0.5), &batches), found, "{importance:?}: nothing is dropped");
    }
}
