//! The layers of a model, for a learning rate that decreases from the last layer to the first.

use burn::module::Module;

use crate::models::Parameter;

/// The parameters of `module`, layer by layer, grouped as timm's `param_groups_layer_decay` groups those of a ViT: everything
/// before the blocks, each block, everything after them.
pub(super) fn layers<M: Module>(module: &M) -> Vec<Vec<Parameter>> {
    let mut before = Vec::new();
    let mut blocks: Vec<Vec<Parameter>> = Vec::new();
    let mut after = Vec::new();
    for parameter in Parameter::all(module) {
        match &parameter.block {
            None if blocks.is_empty() => before.push(parameter),
            None => after.push(parameter),
            block => match blocks.iter_mut().find(|parameters| parameters[0].block == *block) {
                Some(parameters) => parameters.push(parameter),
                None => blocks.push(vec![parameter]),
            },
        }
    }
    let layers = [before].into_iter().chain(blocks).chain([after]);
    layers.filter(|parameters| !parameters.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::models::{Architecture, ConvNext, ConvNextConfig, Swin, SwinConfig, Vit, VitConfig};

    fn paths<M: Module>(module: &M) -> Vec<Vec<String>> {
        let path = |parameter: Parameter| parameter.path;
        layers(module).into_iter().map(|layer| layer.into_iter().map(path).collect()).collect()
    }

    #[test]
    fn a_vit_has_what_is_before_its_blocks_each_block_and_what_is_after() {
        let config = VitConfig { depth: 3, dim: 6, heads: 2, ..VitConfig::default() };
        let layers = paths(&Vit::init(&config, &Device::flex()).unwrap());
        assert_eq!(layers.len(), 5);
        assert_eq!(layers[0], ["patch_embed.proj.weight", "patch_embed.proj.bias", "cls_token", "pos_embed"]);
        assert!(layers[2].iter().all(|path| path.starts_with("blocks.1.")) && layers[2].len() == 12);
        assert_eq!(layers[4], ["norm.gamma", "norm.beta", "head.weight", "head.bias"]);
    }

    #[test]
    fn stages_have_what_is_between_them_and_each_block() {
        let config = SwinConfig {
            image_size: 8,
            dim: 4,
            depths: vec![1, 2],
            heads: vec![1, 2],
            window: 1,
            ..SwinConfig::default()
        };
        let layers = paths(&Swin::init(&config, &Device::flex()).unwrap());
        let first: Vec<_> = layers.iter().map(|paths| paths[0].as_str()).collect();
        let expected = [
            "patch_embed.proj.weight",
            "layers.0.blocks.0.norm1.gamma",
            "layers.1.downsample.norm.gamma",
            "layers.1.blocks.0.norm1.gamma",
            "layers.1.blocks.1.norm1.gamma",
            "norm.gamma",
        ];
        assert_eq!(first, expected);
    }

    #[test]
    fn the_numbers_of_a_tuple_are_no_blocks() {
        let config = ConvNextConfig {
            image_size: 8,
            dims: vec![4, 6],
            depths: vec![1, 2],
            ..ConvNextConfig::default()
        };
        let layers = paths(&ConvNext::init(&config, &Device::flex()).unwrap());
        assert_eq!(layers.len(), 6);
        assert_eq!(layers[0], ["stem.0.weight", "stem.0.bias", "stem.1.gamma", "stem.1.beta"]);
        let between = ["0.gamma", "0.beta", "1.weight", "1.bias"];
        assert_eq!(layers[2], between.map(|part| format!("stages.1.downsample.{part}")));
        assert!(layers[3].iter().all(|path| path.starts_with("stages.1.blocks.0.")) && layers[3].len() == 9);
        assert_eq!(layers[5], ["head.norm.gamma", "head.norm.beta", "head.fc.weight", "head.fc.bias"]);
    }
}
