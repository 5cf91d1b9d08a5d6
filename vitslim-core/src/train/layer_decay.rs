//! The layers of a model, for a learning rate that falls from one to the one before.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;

/// Paths of the parameters of `module`, layer by layer, as timm's `param_groups_layer_decay` groups those of a ViT: what
/// comes before the blocks, each block, what comes after.
///
/// A block is told by the number in its path: `blocks.3.mlp.fc1.weight` is of `blocks.3`, `layers.0.blocks.1.norm1.gamma` of
/// `layers.0.blocks.1`. The numbers of a tuple are none of these: `stem.0.weight` comes before the blocks, and
/// `stages.1.downsample.0.gamma` is of `stages.1`.
pub(super) fn layers<M: Module>(module: &M) -> Vec<Vec<String>> {
    let mut paths = Paths::default();
    module.visit(&mut paths);
    let mut before = Vec::new();
    let mut blocks: Vec<(String, Vec<String>)> = Vec::new();
    let mut after = Vec::new();
    for (block, path) in paths.found {
        match block {
            None if blocks.is_empty() => before.push(path),
            None => after.push(path),
            Some(block) => match blocks.iter_mut().find(|(known, _)| *known == block) {
                Some((_, paths)) => paths.push(path),
                None => blocks.push((block, vec![path])),
            },
        }
    }
    let blocks = blocks.into_iter().map(|(_, paths)| paths);
    let layers = [before].into_iter().chain(blocks).chain([after]);
    layers.filter(|paths| !paths.is_empty()).collect()
}

/// Paths of parameters, each with that of its block, if it has one.
#[derive(Default)]
struct Paths {
    path: Vec<String>,
    /// How long the path is up to each number around.
    blocks: Vec<usize>,
    found: Vec<(Option<String>, String)>,
}

fn is_block(name: &str, container: &str) -> bool {
    container != "Tuple" && name.parse::<usize>().is_ok()
}

impl ModuleVisitor for Paths {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.push(name.to_owned());
        if is_block(name, container) {
            self.blocks.push(self.path.len());
        }
    }

    fn exit_module(&mut self, name: &str, container: &str) {
        if is_block(name, container) {
            self.blocks.pop();
        }
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, _: &Param<Tensor<D>>) {
        let block = self.blocks.last().map(|&parts| self.path[..parts].join("."));
        self.found.push((block, self.path.join(".")));
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::models::{Architecture, ConvNext, ConvNextConfig, Swin, SwinConfig, Vit, VitConfig};

    #[test]
    fn a_vit_has_what_is_before_its_blocks_each_block_and_what_is_after() {
        let config = VitConfig { depth: 3, dim: 6, heads: 2, ..VitConfig::default() };
        let layers = layers(&Vit::init(&config, &Device::flex()).unwrap());
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
        let layers = layers(&Swin::init(&config, &Device::flex()).unwrap());
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
        let layers = layers(&ConvNext::init(&config, &Device::flex()).unwrap());
        assert_eq!(layers.len(), 6);
        assert_eq!(layers[0], ["stem.0.weight", "stem.0.bias", "stem.1.gamma", "stem.1.beta"]);
        let between = ["0.gamma", "0.beta", "1.weight", "1.bias"];
        assert_eq!(layers[2], between.map(|part| format!("stages.1.downsample.{part}")));
        assert!(layers[3].iter().all(|path| path.starts_with("stages.1.blocks.0.")) && layers[3].len() == 9);
        assert_eq!(layers[5], ["head.norm.gamma", "head.norm.beta", "head.fc.weight", "head.fc.bias"]);
    }
}
