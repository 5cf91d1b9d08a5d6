//! `network.json`: what a program needs, beside the weights, to compute a sub-network.

use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::{Map, Value, json};

use crate::data::{Dataset, ImageShape, Normalisation};
use crate::experiment::{Data, Experiment};
use crate::graph::{GraphError, activations, capture};
use crate::models::Architecture;
use crate::slim::{
    DimensionAxis, DimensionMapper, HeadLayout, LaidOut, Plan, Scope, Side, SlimLayer, Slimmable, TokenGate,
    heads_as_planned, mapped,
};

/// Changes with what a field means. A new field alone does not change it.
const VERSION: u32 = 1;

/// A network of a run, described for programs that know its architecture, whose configuration is `C`. Paths are those of the weights.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Network<C> {
    #[serde(deserialize_with = "known_version")]
    version: u32,
    /// Name of the architecture.
    pub architecture: String,
    /// The configuration of the dense network.
    pub config: C,
    /// Names of the classes, in the order of the logits.
    pub classes: Vec<String>,
    /// How it takes images.
    pub images: Images,
    /// Activation functions, by the names of [`activations`].
    activations: Vec<String>,
    /// Units that are left of each dimension of features.
    units: Map<String, Value>,
    /// By dimension: `sizes`, the dims of each head in the order of the weights; `scale`, which the scores are multiplied by; and
    /// `queries` for each head of keys and values, if more than one.
    heads: Map<String, Value>,
    /// By token gate: `prefix`, the tokens before those of the image, and `keep`, the tokens of the image that are left, by their
    /// numbers in the dense network; where the others are merged into these, they are called `merge_into`.
    pub(super) tokens: Map<String, Value>,
    /// By layer that has a dimension: its numbers that are no parameters. A norm divides by its `width`, which is that of the dense
    /// network.
    constants: Map<String, Value>,
}

/// The version of a description, if it is one whose fields mean what they mean here.
fn known_version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let version = u32::deserialize(deserializer)?;
    let unknown =
        || de::Error::custom(format!("the network is described in version {version}, not in {VERSION}"));
    (version == VERSION).then_some(version).ok_or_else(unknown)
}

/// How a network takes images: `(pixel / white - mean) / std`, channel by channel.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Images {
    /// Number of channels.
    pub channels: usize,
    /// Height and width, in pixels.
    pub size: usize,
    /// Length that the shorter side is resized to (bicubic) before the centre is cut out; `None` where images are not resized.
    pub resize: Option<usize>,
    /// The pixel value that is taken as 1.
    pub white: u8,
    /// Mean of each channel, in units of `white`.
    pub mean: Vec<f32>,
    /// Standard deviation of each channel, in units of `white`.
    pub std: Vec<f32>,
}

impl Images {
    /// What an image is.
    pub fn shape(&self) -> ImageShape {
        ImageShape { channels: self.channels, size: self.size }
    }

    /// How pixels are normalised, by whatever number of images.
    pub fn normalisation(&self) -> Normalisation {
        Normalisation { white: self.white, mean: self.mean.clone(), std: self.std.clone(), images: 0 }
    }
}

impl<C> Network<C> {
    /// The sub-network `model`, which `plan` left of the dense network that `experiment`, its `data` and this `config` say.
    pub(super) fn new<A: Architecture<Config = C>>(
        (experiment, config, data): (&Experiment, C, &Dataset),
        plan: &Plan,
        model: &A,
    ) -> Result<Self, GraphError> {
        let Dataset { class_names, shape, normalisation, .. } = data;
        Self::uncut(experiment, config, class_names.clone(), *shape, normalisation).cut(plan, model)
    }

    /// What can be said of any network of `experiment` whose dense one has this `config`, and which takes images of this `shape`.
    pub(super) fn uncut(
        experiment: &Experiment,
        config: C,
        classes: Vec<String>,
        shape: ImageShape,
        normalisation: &Normalisation,
    ) -> Self {
        let resize = match &experiment.data {
            Data::ImageFolder { image_size, resize, .. } | Data::Shards { image_size, resize, .. } => {
                Some(resize.unwrap_or(*image_size).get())
            }
            _ => None,
        };
        Self {
            version: VERSION,
            architecture: experiment.model.architecture.clone(),
            config,
            classes,
            images: Images {
                channels: shape.channels,
                size: shape.size,
                resize,
                white: normalisation.white,
                mean: normalisation.mean.clone(),
                std: normalisation.std.clone(),
            },
            activations: Vec::new(),
            units: Map::new(),
            heads: Map::new(),
            tokens: Map::new(),
            constants: Map::new(),
        }
    }

    /// The same with what can be said of `model` alone, which `plan` left.
    pub(super) fn cut<A: Architecture>(self, plan: &Plan, model: &A) -> Result<Self, GraphError> {
        let Found { heads, tokens, constants, .. } = Found::of(plan, model);
        let features = plan.cuts.iter().filter(|cut| !tokens.contains_key(&cut.dimension));
        let units = features.map(|cut| (cut.dimension.clone(), json!(cut.keep.len()))).collect();
        let activations = activations(&capture(model, self.images.shape(), 1)?);
        let activations = activations.into_iter().map(str::to_owned).collect();
        Ok(Self { activations, units, heads, tokens, constants, ..self })
    }
}

/// What a traversal finds that the sizes of the weights do not tell.
struct Found<'a> {
    scope: Scope,
    plan: &'a Plan,
    heads: Map<String, Value>,
    tokens: Map<String, Value>,
    constants: Map<String, Value>,
}

impl<'a> Found<'a> {
    /// What is found in `model`, which `plan` left.
    fn of<M: Slimmable>(plan: &'a Plan, model: &M) -> Self {
        let empty =
            |scope| Self { scope, plan, heads: Map::new(), tokens: Map::new(), constants: Map::new() };
        mapped(&heads_as_planned(model, plan), empty).1
    }
}

impl DimensionMapper for Found<'_> {
    fn scope(&mut self) -> &mut Scope {
        &mut self.scope
    }

    fn map_layout(&mut self, laid_out: &[LaidOut], layout: HeadLayout) -> HeadLayout {
        for (index, LaidOut { dimension, .. }) in laid_out.iter().enumerate() {
            let sizes = if index + 1 == laid_out.len() { &layout.sizes[..] } else { layout.qk_sizes() };
            let mut head = json!({ "sizes": sizes, "scale": layout.scale });
            if layout.queries > 1 {
                head["queries"] = json!(layout.queries);
            }
            self.heads.insert(dimension.clone(), head);
        }
        layout
    }

    fn map_tokens(&mut self, dimension: &str, gate: TokenGate) -> TokenGate {
        if let Some(cut) = self.plan.get(dimension) {
            let stay = self.plan.of_tokens_that_stay(&cut.keep);
            self.tokens.insert(dimension.to_owned(), json!({ "prefix": gate.prefix, stay: cut.keep }));
        }
        gate
    }

    fn map_axis<S: Side, L: SlimLayer<S>>(&mut self, axis: DimensionAxis, layer: L, _: S) -> L {
        let constants: Map<_, _> =
            layer.constants().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        if !constants.is_empty() {
            self.constants.insert(axis.layer, Value::Object(constants));
        }
        layer
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use burn::module::Module;
    use burn::tensor::{Device, Tensor, TensorData};
    use safetensors::SafeTensors;

    use super::*;
    use crate::experiment::Document;
    use crate::models::Vit;
    use crate::nn::{LayerNorm, LayerNormConfig, Linear, LinearConfig};
    use crate::run::restore::subnet;
    use crate::run::{Prepared, initial};
    use crate::slim::describe;

    /// Two branches that are normalised together, by a field before those that tell their widths.
    #[derive(Module, Debug, Slimmable)]
    struct Joined {
        #[slim(output = [left + right], gate)]
        norm: LayerNorm,
        #[slim(output = [left])]
        fc1: Linear,
        #[slim(output = [right])]
        fc2: Linear,
        #[slim(input = [left + right])]
        head: Linear,
    }

    #[test]
    fn constants_of_a_sum_before_its_terms() {
        let device = Device::flex();
        let linear = |inputs, outputs| LinearConfig::new(inputs, outputs).init(&device);
        let model = Joined {
            norm: LayerNormConfig::new(5).init(&device),
            fc1: linear(4, 2),
            fc2: linear(4, 3),
            head: linear(5, 2),
        };
        let mut plan = Plan::whole(&describe(&model).unwrap());
        plan.get_mut("left").unwrap().keep = vec![1];
        let constants = Found::of(&plan, &model.slim(&plan).unwrap()).constants;
        assert_eq!(Value::Object(constants), json!({ "norm": { "width": 5, "epsilon": 1e-6 } }));
    }

    /// `data/subnet/README.md` says where the files are from.
    #[test]
    fn pytorch_computes_the_same_logits_from_the_files() {
        assert_same_logits("data/subnet", "keep");
    }

    #[test]
    fn pytorch_merges_the_same_tokens() {
        assert_same_logits("data/subnet/merged", "merge_into");
    }

    /// Checks the network in `folder`, whose tokens that are left are called `left`.
    fn assert_same_logits(folder: &str, left: &str) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let text = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
        let document = Document::parse("experiment.ron", &text("experiment.ron"), &[]).unwrap();
        let prepared = Prepared::<Vit>::new(&document.trial().unwrap()).unwrap();
        let device = Device::flex();
        let model = subnet(&initial(&prepared, &device).unwrap().valid(), &folder).unwrap();
        let plan: Plan = ron::from_str(&text("plan.ron")).unwrap();

        let Prepared { experiment, config, data, .. } = &prepared;
        let described = Network::new((experiment, config.clone(), data), &plan, &model).unwrap();
        let described = serde_json::to_string_pretty(&described).unwrap();
        assert_eq!(described + "\n", text("network.json"));
        let network: Value = serde_json::from_str(&text("network.json")).unwrap();
        // All that can be cut is cut, and the order of the heads is not that in which they are computed.
        let sizes: Vec<usize> =
            serde_json::from_value(network["heads"]["blocks.1.attn.head_dim"]["sizes"].clone()).unwrap();
        assert!(sizes.len() == 3 && !sizes.is_sorted_by(|a, b| a >= b), "{sizes:?}");
        assert!(network["units"]["width"].as_u64() < Some(16));
        assert!(network["tokens"]["blocks.1.tokens"][left].as_array().unwrap().len() < 16);

        let io = std::fs::read(folder.join("io.safetensors")).unwrap();
        let io = SafeTensors::deserialize(&io).unwrap();
        let floats = |name: &str| -> Vec<f32> {
            let (values, _) = io.tensor(name).unwrap().data().as_chunks();
            values.iter().map(|value| f32::from_le_bytes(*value)).collect()
        };
        let normalisation = &prepared.data.normalisation;
        let normalised = |pixel: f32| {
            (pixel / f32::from(normalisation.white) - normalisation.mean[0]) / normalisation.std[0]
        };
        let images: Vec<f32> = floats("pixels").into_iter().map(normalised).collect();
        let images = Tensor::from_data(TensorData::new(images, [8, 1, 8, 8]), &device);
        let logits: Vec<f32> = model.forward(images).mean().into_data().try_into_vec().unwrap();
        let expected = floats("logits");
        assert_eq!(logits.len(), expected.len());
        let furthest = logits.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(furthest < 1e-5, "{furthest}");
    }
}
