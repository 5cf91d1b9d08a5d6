//! The layers of a model, for a learning rate that falls from one to the one before.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;

/// Paths of the parameters of `module`, layer by layer, as timm's `param_groups_layer_decay` groups those of a ViT: what
/// comes before the blocks, each block, what comes after.
///
/// A block is told by the number in its path: `blocks.3.mlp.fc1.weight` is of `blocks.3`, `layers.0.blocks.1.norm1.gamma` of
/// `layers.0.blocks.1`.
pub(super) fn layers<M: Module>(module: &M) -> Vec<Vec<String>> {
    let mut paths = Paths::default();
    module.visit(&mut paths);
    let mut before = Vec::new();
    let mut blocks: Vec<(String, Vec<String>)> = Vec::new();
    let mut after = Vec::new();
    for path in paths.found {
        match block_of(&path) {
            None if blocks.is_empty() => before.push(path),
            None => after.push(path),
            Some(block) => match blocks.iter_mut().find(|(known, _)| *known == block) {
                Some((_, paths)) => paths.push(path),
                None => blocks.push((block.to_owned(), vec![path])),
            },
        }
    }
    let blocks = blocks.into_iter().map(|(_, paths)| paths);
    let layers = [before].into_iter().chain(blocks).chain([after]);
    layers.filter(|paths| !paths.is_empty()).collect()
}

/// The path up to its last number, if it has one.
fn block_of(path: &str) -> Option<&str> {
    let mut end = 0;
    let mut block = None;
    for part in path.split('.') {
        end += part.len();
        if part.parse::<usize>().is_ok() {
            block = Some(&path[..end]);
        }
        end += 1;
    }
    block
}

#[derive(Default)]
struct Paths {
    path: Vec<String>,
    found: Vec<String>,
}

impl ModuleVisitor for Paths {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, _: &Param<Tensor<D>>) {
        self.found.push(self.path.join("."));
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::models::{Architecture, Vit, VitConfig};

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
    fn a_block_is_told_by_the_last_number_of_a_path() {
        let blocks = ["layers.0.blocks.11.mlp.fc1.weight", "layers.0.downsample.weight", "head.0", "norm1.b"];
        assert_eq!(
            blocks.map(block_of),
            [Some("layers.0.blocks.11"), Some("layers.0"), Some("head.0"), None]
        );
    }
}
