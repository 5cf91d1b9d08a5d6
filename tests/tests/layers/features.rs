//! Layers over the features of tokens: norms, embeddings, Burn's own linear layer, a user's own.

use burn::nn::{LinearConfig as BurnsLinearConfig, LinearLayout};
use burn::tensor::{Int, TensorData};
use rand::SeedableRng;
use vitslim_core::prelude::*;
use vitslim_core::slim::{Output, Plan, SlimLayer, describe, scale_param, select_param};

use crate::harness::{Masks, Network, check, device, flat, host, input, network, scaled, tokens};

#[derive(Module, Debug, Slimmable)]
struct RmsNormed {
    #[slim(output = [width], gate)]
    embed: Linear,
    #[slim(output = [width], gate)]
    norm: RmsNorm,
    #[slim(input = [width])]
    head: Linear,
}

impl Network for RmsNormed {
    fn new(device: &Device) -> Self {
        Self {
            embed: LinearConfig::new(4, 9).init(device),
            norm: RmsNormConfig::new(9).init(device),
            head: LinearConfig::new(9, 3).init(device),
        }
    }

    fn forward(&self, x: Tensor<4>, masks: &Masks) -> Tensor<2> {
        let x = masks.on("width", self.embed.forward(tokens(x)), 2);
        flat(self.head.forward(masks.on("width", self.norm.forward(x), 2)))
    }
}

#[test]
fn rms_norm() {
    check::<RmsNormed>();
}

#[test]
fn rms_norm_is_burns() {
    let x = Tensor::<3>::random([2, 3, 5], burn::tensor::Distribution::Normal(1.0, 2.0), &device());
    let ours = RmsNormConfig::new(5).with_epsilon(1e-5).init(&device()).forward(x.clone());
    let burns = burn::nn::RmsNormConfig::new(5).init(&device()).forward(x);
    // Burn's computes in f32 inside.
    let difference = (ours - burns).abs().max().into_scalar::<f64>();
    assert!(difference < 1e-5, "{difference}");
}

/// Words in a width, with positions along the last of their axes and a norm.
#[derive(Module, Debug, Slimmable)]
struct Embedded<E: Module> {
    #[slim(output = [width], gate)]
    words: E,
    #[slim(axis(4) = [width], gate)]
    positions: Param<Tensor<5>>,
    #[slim(output = [width], gate)]
    norm: LayerNorm,
    #[slim(input = [width])]
    head: Linear,
}

trait Words: SlimLayer<Output> {
    fn new(device: &Device) -> Self;
    fn look_up(&self, ids: Tensor<2, Int>) -> Tensor<3>;
}

impl Words for Embedding {
    fn new(device: &Device) -> Self {
        EmbeddingConfig::new(7, 6).init(device)
    }

    fn look_up(&self, ids: Tensor<2, Int>) -> Tensor<3> {
        self.forward(ids)
    }
}

impl Words for burn::nn::Embedding {
    fn new(device: &Device) -> Self {
        burn::nn::EmbeddingConfig::new(7, 6).init(device)
    }

    fn look_up(&self, ids: Tensor<2, Int>) -> Tensor<3> {
        self.forward(ids)
    }
}

impl<E: Words + burn::module::ModuleDisplay> Network for Embedded<E> {
    fn new(device: &Device) -> Self {
        Self {
            words: E::new(device),
            positions: Param::from_tensor(Tensor::zeros([1, 1, 1, 3, 6], device)),
            norm: LayerNormConfig::new(6).init(device),
            head: LinearConfig::new(6, 3).init(device),
        }
    }

    fn forward(&self, x: Tensor<4>, masks: &Masks) -> Tensor<2> {
        let ids = TensorData::from([[0_i64, 5, 6], [5, 2, 0]]);
        let words = self.words.look_up(Tensor::from_data(ids, &x.device()));
        let mut x = masks.on("width", words, 2);
        if x.dims()[2] > 0 {
            let positions = self.positions.val().reshape([1, 3, x.dims()[2]]);
            x = x + masks.on("width", positions, 2);
        }
        flat(self.head.forward(masks.on("width", self.norm.forward(x), 2)))
    }
}

#[test]
fn embedding() {
    check::<Embedded<Embedding>>();
    check::<Embedded<burn::nn::Embedding>>();
}

/// Burn's own linear layer in either layout. With a layout of columns it is stored transposed.
#[derive(Module, Debug, Slimmable)]
struct BurnsLinear<const COLUMNS: bool> {
    #[slim(output = [2, hidden])]
    fc1: burn::nn::Linear,
    act: Gelu,
    #[slim(input = [2, hidden], gate)]
    fc2: burn::nn::Linear,
}

impl<const COLUMNS: bool> Network for BurnsLinear<COLUMNS> {
    fn new(device: &Device) -> Self {
        let layout = if COLUMNS { LinearLayout::Col } else { LinearLayout::Row };
        let linear =
            |d_input, d_output| BurnsLinearConfig::new(d_input, d_output).with_layout(layout).init(device);
        Self { fc1: linear(4, 10), act: Gelu::new(), fc2: linear(10, 3) }
    }

    fn forward(&self, x: Tensor<4>, masks: &Masks) -> Tensor<2> {
        let x = self.act.forward(self.fc1.forward(tokens(x)));
        flat(self.fc2.forward(masks.on("hidden", x, 2)))
    }
}

#[test]
fn burns_linear_in_either_layout() {
    check::<BurnsLinear<false>>();
    check::<BurnsLinear<true>>();
}

#[test]
fn burns_linear_in_columns_is_saved_and_loaded_after_slicing() {
    let mut rng = SeedableRng::seed_from_u64(3);
    let model: BurnsLinear<true> = network(&mut rng);
    let mut plan = Plan::whole(&describe(&model).unwrap());
    plan.cuts[0].keep = vec![0, 3];
    let sliced = model.slim(&plan).unwrap();
    assert_eq!(sliced.fc1.weight.dims(), [4, 4]);
    let record = sliced.clone().into_record();
    let other: BurnsLinear<true> = network(&mut rng);
    let loaded = other.slim(&plan).unwrap().load_record(record);
    let x = input(&mut rng);
    let forward = |model: BurnsLinear<true>| host(model.forward(x.clone(), &Masks::default()));
    assert_eq!(forward(loaded), forward(sliced));
}

/// A user's own layer.
#[derive(Module, Debug)]
struct Slopes {
    slope: Param<Tensor<1>>,
}

impl SlimLayer<Output> for Slopes {
    fn extent(&self, _: Output) -> usize {
        self.slope.dims()[0]
    }

    fn scale(mut self, _: Output, factors: Tensor<1>) -> Self {
        self.slope = scale_param(self.slope, 0, &factors);
        self
    }

    fn select(mut self, _: Output, kept: Tensor<1, Int>) -> Self {
        self.slope = select_param(self.slope, 0, &kept);
        self
    }
}

#[derive(Module, Debug, Slimmable)]
struct WithOwnLayer {
    #[slim(output = [hidden])]
    fc1: Linear,
    #[slim(output = [hidden], gate)]
    act: Slopes,
    #[slim(input = [hidden])]
    fc2: Linear,
}

impl Network for WithOwnLayer {
    fn new(device: &Device) -> Self {
        Self {
            fc1: LinearConfig::new(4, 6).init(device),
            act: Slopes { slope: Param::from_tensor(Tensor::ones([6], device)) },
            fc2: LinearConfig::new(6, 3).init(device),
        }
    }

    fn forward(&self, x: Tensor<4>, masks: &Masks) -> Tensor<2> {
        let x = scaled(self.fc1.forward(tokens(x)).tanh(), &self.act.slope);
        flat(self.fc2.forward(masks.on("hidden", x, 2)))
    }
}

#[test]
fn own_layer() {
    check::<WithOwnLayer>();
}
