//! The layers of a network, for a learning rate that decreases from the last layer to the first.

use std::collections::HashSet;
use std::ops::RangeInclusive;

use crate::data::ImageShape;
use crate::graph::{GraphError, uses};
use crate::models::{Architecture, Parameter};
use crate::slim::Treatment;

/// The parameters of `model`, layer by layer, each layer with the factor on its learning rate: `decay` multiplies the rate of layer
/// `l` of `n` by `decay ^ (n - l)`, as in BEiT and timm.
///
/// # Errors
///
/// When the forward pass, which orders the layers, cannot be recorded.
pub(crate) fn layer_rates<M: Architecture>(
    model: &M,
    image: ImageShape,
    decay: f64,
) -> Result<Vec<(f64, Vec<Parameter>)>, GraphError> {
    let layers = layers(model, image)?;
    let count = layers.len();
    let rate = |layer: usize| decay.powi((count - 1 - layer) as i32);
    Ok(layers.into_iter().enumerate().map(|(layer, parameters)| (rate(layer), parameters)).collect())
}

/// A block, or a parameter outside of all blocks; then a layer.
struct Part {
    parameters: Vec<Parameter>,
    is_block: bool,
    /// From the first to the last operation that reads them.
    used: Option<RangeInclusive<usize>>,
    /// Where it is in the order.
    place: usize,
}

/// The layers of `model` in the order in which the forward pass uses them, grouped as timm's `param_groups_layer_decay` groups those of
/// its networks: everything before the blocks; each block, with what comes between it and the block before it; and everything after
/// them, but for the norm beside them, which belongs to the last block. An annotation may put a parameter into the first or the last of
/// them.
fn layers<M: Architecture>(model: &M, image: ImageShape) -> Result<Vec<Vec<Parameter>>, GraphError> {
    let uses = uses(model, image)?;
    let all = Parameter::annotated(model);
    let blocks: HashSet<String> = all.iter().filter_map(|parameter| parameter.block.clone()).collect();
    // What is in a list and has blocks itself is a stage.
    let is_stage = |path: &str| blocks.iter().any(|block| block.starts_with(&format!("{path}.")));
    let mut parts: Vec<Part> = Vec::new();
    for mut parameter in all {
        // Operations count from 1, so that an end of the network is before or behind all of them.
        let end = parameter.treatments.iter().find_map(|treatment| match treatment {
            Treatment::FirstLayer => Some(0..=0),
            Treatment::LastLayer => Some(usize::MAX..=usize::MAX),
            _ => None,
        });
        if end.is_some() {
            parameter.block = None;
        }
        let used = end.or_else(|| uses.get(&parameter.id).map(|used| used.start() + 1..=used.end() + 1));
        let is_block = parameter.block.as_ref().is_some_and(|path| !is_stage(path));
        let same = |part: &&mut Part| is_block && part.parameters[0].block == parameter.block;
        match parts.iter_mut().find(same) {
            Some(part) => {
                part.used = together(part.used.take(), used);
                part.parameters.push(parameter);
            }
            None => parts.push(Part { parameters: vec![parameter], is_block, used, place: 0 }),
        }
    }
    // What is not used stays behind what is declared before it.
    let mut before = 1;
    for part in &mut parts {
        part.place = part.used.as_ref().map_or(before, |used| *used.start());
        before = part.place;
    }
    parts.sort_by_key(|part| part.place);
    let mut layers: Vec<Part> = Vec::new();
    for part in parts {
        let starts_within = |layer: &Part| match (&layer.used, &part.used) {
            (Some(layer), Some(part)) => part.start() < layer.end(),
            // A block whose branches are cut.
            (None, Some(_)) => false,
            (_, None) => true,
        };
        let is_first = layers.len() == 1;
        match layers.last_mut() {
            // What is outside of all blocks is one layer, unless a block comes between.
            Some(layer) if !part.is_block && (!layer.is_block || starts_within(layer)) => {
                layer.parameters.extend(part.parameters);
            }
            Some(layer) if part.is_block && !layer.is_block && !is_first => {
                layer.parameters.extend(part.parameters);
                (layer.is_block, layer.used) = (true, part.used);
            }
            _ => layers.push(part),
        }
    }
    if let [.., block, after] = &mut layers[..]
        && !after.is_block
    {
        let path = block.parameters.iter().find_map(|parameter| parameter.block.clone());
        let beside = |parameter: &mut Parameter| {
            let is_last = parameter.treatments.contains(&Treatment::LastLayer);
            !is_last && parameter.is_of_norm() && path.as_ref().is_some_and(|path| is_beside(parameter, path))
        };
        block.parameters.extend(after.parameters.extract_if(.., beside));
    }
    let layers = layers.into_iter().map(|layer| layer.parameters);
    Ok(layers.filter(|layer| !layer.is_empty()).collect())
}

/// Whether the layer of `parameter` is a field of a struct that contains `block`: `norm` beside `blocks.1`, and not `head.norm`.
fn is_beside(parameter: &Parameter, block: &str) -> bool {
    let mut names = parameter.path.rsplitn(3, '.').skip(2);
    names.next().is_none_or(|within| block.starts_with(&format!("{within}.")))
}

fn together(
    one: Option<RangeInclusive<usize>>,
    other: Option<RangeInclusive<usize>>,
) -> Option<RangeInclusive<usize>> {
    match (one, other) {
        (Some(one), Some(other)) => Some(*one.start().min(other.start())..=*one.end().max(other.end())),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use burn::module::{Module, Param};
    use burn::tensor::{Device, Tensor};

    use super::*;
    use crate::models::{
        ConfigError, ConvNext, ConvNextConfig, DistilledVit, Logits, Swin, SwinConfig, Vit, VitConfig,
    };
    use crate::nn::{Linear, LinearConfig};
    use crate::slim::{Plan, Slimmable, describe};

    fn paths<M: Architecture>(model: &M, image: ImageShape) -> Vec<Vec<String>> {
        let path = |parameter: Parameter| parameter.path;
        let layers = layers(model, image).unwrap();
        layers.into_iter().map(|layer| layer.into_iter().map(path).collect()).collect()
    }

    fn image(size: usize) -> ImageShape {
        ImageShape { channels: 3, size }
    }

    /// A network of two stages that declares its parts in another order than it uses them.
    #[derive(Module, Debug, Slimmable)]
    struct Staged {
        head: Linear,
        #[slim]
        early: Vec<Branch>,
        #[slim]
        late: Vec<Branch>,
        between: Linear,
        embed: Linear,
        pos_embed: Param<Tensor<2>>,
        /// Added to every branch, and so first within a block.
        shared: Param<Tensor<2>>,
        unused: Param<Tensor<2>>,
    }

    #[derive(Module, Debug, Slimmable)]
    struct Branch {
        #[slim(output = [hidden])]
        fc1: Linear,
        #[slim(input = [hidden], gate)]
        fc2: Linear,
    }

    impl Staged {
        fn branches(&self, branches: &[Branch], x: Tensor<2>) -> Tensor<2> {
            let branch = |x: Tensor<2>, branch: &Branch| {
                x.clone() + branch.fc2.forward(branch.fc1.forward(x) + self.shared.val().sum().unsqueeze())
            };
            branches.iter().fold(x, branch)
        }
    }

    impl Architecture for Staged {
        type Config = VitConfig;

        fn presets() -> Vec<(&'static str, VitConfig)> {
            Vec::new()
        }

        fn init(_: &VitConfig, device: &Device) -> Result<Self, ConfigError> {
            let linear = |inputs, outputs| LinearConfig::new(inputs, outputs).init(device);
            let branch = |_| Branch { fc1: linear(4, 3), fc2: linear(3, 4) };
            let param = || Param::from_tensor(Tensor::ones([1, 4], device));
            Ok(Self {
                head: linear(4, 2),
                early: (0..2).map(branch).collect(),
                late: (0..1).map(branch).collect(),
                between: linear(4, 4),
                embed: linear(12, 4),
                pos_embed: param(),
                shared: param(),
                unused: param(),
            })
        }

        fn forward(&self, images: Tensor<4>) -> Logits {
            let x = self.embed.forward(images.flatten::<2>(1, 3)) + self.pos_embed.val();
            let x = self.between.forward(self.branches(&self.early, x));
            self.head.forward(self.branches(&self.late, x)).into()
        }
    }

    #[test]
    fn layers_are_in_the_order_of_use_and_not_of_declaration() {
        let model = Staged::init(&VitConfig::default(), &Device::flex()).unwrap();
        let branch = |path: &str| {
            ["fc1", "fc2"]
                .map(|layer| [format!("{path}.{layer}.weight"), format!("{path}.{layer}.bias")])
                .concat()
        };
        let layers = paths(&model, image(2));
        let outside = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect::<Vec<_>>();
        assert_eq!(layers.len(), 5, "{layers:?}");
        assert_eq!(layers[0], outside(&["embed.weight", "embed.bias", "pos_embed"]));
        assert_eq!(layers[1], [branch("early.0"), outside(&["shared", "unused"])].concat());
        assert_eq!(layers[2], branch("early.1"));
        assert_eq!(layers[3], [outside(&["between.weight", "between.bias"]), branch("late.0")].concat());
        assert_eq!(layers[4], outside(&["head.weight", "head.bias"]));
    }

    #[test]
    fn a_block_that_is_cut_to_nothing_stays_where_it_is() {
        let config =
            VitConfig { image_size: 8, patch_size: 4, depth: 3, dim: 6, heads: 2, ..VitConfig::default() };
        let model = Vit::init(&config, &Device::flex()).unwrap();
        let dense = paths(&model, image(8));
        let mut plan = Plan::whole(&describe(&model).unwrap());
        for path in ["blocks.1.attn.head_dim", "blocks.1.mlp.hidden"] {
            plan.get_mut(path).unwrap().keep.clear();
        }
        assert_eq!(paths(&model.slim(&plan).unwrap(), image(8)), dense);
    }

    #[test]
    fn what_comes_after_a_block_without_branches_does_not_join_it() {
        let config =
            VitConfig { image_size: 8, patch_size: 4, dim: 6, heads: 2, depth: 3, ..VitConfig::default() };
        let vit = Vit::init(&config, &Device::flex()).unwrap();
        let mut plan = Plan::whole(&describe(&vit).unwrap());
        for cut in plan.cuts.iter_mut().filter(|cut| cut.dimension.starts_with("blocks.2.")) {
            if !cut.dimension.ends_with("tokens") {
                cut.keep.clear();
            }
        }
        let (whole, cut) = (paths(&vit, image(8)), paths(&vit.slim(&plan).unwrap(), image(8)));
        assert_eq!((cut.len(), cut.last()), (whole.len(), whole.last()));
        assert!(cut.last().unwrap().iter().any(|path| path == "head.weight"), "{cut:?}");
    }

    #[test]
    fn a_vit_has_what_is_before_its_blocks_each_block_and_what_is_after() {
        let config =
            VitConfig { image_size: 8, patch_size: 4, depth: 3, dim: 6, heads: 2, ..VitConfig::default() };
        let layers = paths(&Vit::init(&config, &Device::flex()).unwrap(), image(8));
        let distilled = paths(&DistilledVit::init(&config, &Device::flex()).unwrap(), image(8));
        let heads = ["head.weight", "head.bias", "head_dist.weight", "head_dist.bias"];
        assert_eq!((distilled[0].len(), &distilled[4][..]), (5, &heads.map(str::to_owned)[..]));
        assert_eq!(layers.len(), 5);
        assert_eq!(layers[0], ["patch_embed.proj.weight", "patch_embed.proj.bias", "cls_token", "pos_embed"]);
        assert!(layers[2].iter().all(|path| path.starts_with("blocks.1.")) && layers[2].len() == 12);
        assert_eq!(layers[3][12..], ["norm.gamma", "norm.beta"]);
        assert_eq!(layers[4], ["head.weight", "head.bias"]);
    }

    #[test]
    fn the_first_block_of_a_stage_has_what_is_before_it() {
        let config = SwinConfig {
            image_size: 8,
            dim: 4,
            depths: vec![1, 2],
            heads: vec![1, 2],
            window: 1,
            ..SwinConfig::default()
        };
        let layers = paths(&Swin::init(&config, &Device::flex()).unwrap(), image(8));
        let first: Vec<_> = layers.iter().map(|paths| paths[0].as_str()).collect();
        let expected = [
            "patch_embed.proj.weight",
            "layers.0.blocks.0.norm1.gamma",
            "layers.1.downsample.norm.gamma",
            "layers.1.blocks.1.norm1.gamma",
            "head.fc.weight",
        ];
        assert_eq!(first, expected);
        assert!(layers[2].contains(&"layers.1.blocks.0.norm1.gamma".to_owned()), "{layers:?}");
    }

    #[test]
    fn the_numbers_of_a_tuple_are_no_blocks() {
        let config = ConvNextConfig {
            image_size: 8,
            dims: vec![4, 6],
            depths: vec![1, 2],
            ..ConvNextConfig::default()
        };
        let layers = paths(&ConvNext::init(&config, &Device::flex()).unwrap(), image(8));
        assert_eq!(layers.len(), 5);
        assert_eq!(layers[0], ["stem.0.weight", "stem.0.bias", "stem.1.gamma", "stem.1.beta"]);
        let between = ["0.gamma", "0.beta", "1.weight", "1.bias"];
        assert_eq!(layers[2][..4], between.map(|part| format!("stages.1.downsample.{part}")));
        let block = &layers[2][4..];
        assert!(block.iter().all(|path| path.starts_with("stages.1.blocks.0.")) && block.len() == 9);
        assert_eq!(layers[4], ["head.norm.gamma", "head.norm.beta", "head.fc.weight", "head.fc.bias"]);
    }
}
