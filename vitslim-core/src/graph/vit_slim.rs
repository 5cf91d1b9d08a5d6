//! The size of a network as the code of the ViT-Slim paper counts it, so that its tables can be compared.

use std::any::Any;

use miette::Diagnostic;
use serde_json::Value;
use thiserror::Error;

use crate::models::vit::Block;
use crate::models::{Architecture, DistilledVit, Parameter, Vit, VitConfig};
use crate::slim::BranchGate;

/// Input channels of the patch embedding, which the original takes for granted.
const CHANNELS: usize = 3;

/// Operations of the softmax for each score.
const SOFTMAX: usize = 5;

/// The size of a network as `get_params` and `get_flops` of the [original](https://github.com/Arnav0400/ViT-Slim) count it (commit 0fed674,
/// `models/layers.py` and `models/vision_transformer.py`).
///
/// A multiply-add counts as one. For `P` patches of `k x k` pixels, a width of `C`, `H` heads, and in a block `n` tokens, `A` dims of
/// heads and `M` hidden units that are left:
///
/// ```text
/// patch embedding   P C 3 k k
/// block             2 C n                                                    norms
///                 + n C 3A + 3nA + n n A + H n n + 5 H n n + n n A + n A C + n C      attention
///                 + n (2 C M + C + M)                                        MLP
/// classifier        C classes, once for each head
/// ```
///
/// Biases count, but for those of the embedding and of the classifier; activations, sums and the last norm do not. Scores count for all
/// heads of the dense network. In one that has all of its units, `n` is `P` in every block, as if there were no class token. In any other,
/// `n` is `P` in the first block, and in each later one what is left behind the gate of the block *before* it, other tokens included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VitSlimCounts {
    /// Number of parameters.
    pub params: u64,
    /// Operations for one image.
    pub flops: u64,
    /// Those of each part: `patch_embed`, `blocks.0` and so on, `head`.
    pub parts: Vec<(String, u64)>,
}

/// A network that the formulas of ViT-Slim do not count.
#[derive(Debug, Error, Diagnostic, PartialEq, Eq)]
pub enum VitSlimError {
    /// It is of another architecture.
    #[error("the formulas of ViT-Slim are for `vit` and `deit_distilled`, not for `{0}`")]
    #[diagnostic(help("leave out `--convention`: multiply-adds are counted in any network"))]
    Architecture(String),
    /// It has something that the original has not, or lacks something.
    #[error("the formulas of ViT-Slim are for networks with the default of `{0}`, and this one has another")]
    #[diagnostic(help("leave out `--convention`: multiply-adds are counted in any network"))]
    Field(String),
    /// Its width is cut, which the original never does.
    #[error("the formulas of ViT-Slim are for networks of one width, and that of this one is cut")]
    #[diagnostic(help("leave out `--convention`: multiply-adds are counted in any network"))]
    Width,
}

/// The size of `model`, of the architecture called `name`, as ViT-Slim counts it. `config` is that of its dense network.
///
/// # Errors
///
/// When the formulas are not for such a network.
pub fn vit_slim<A: Architecture>(
    name: &str,
    model: &A,
    config: &A::Config,
) -> Result<VitSlimCounts, VitSlimError> {
    let any: &dyn Any = model;
    let parts = match (any.downcast_ref::<Vit>(), any.downcast_ref::<DistilledVit>()) {
        (Some(Vit { blocks, head, .. }), _) => Some((blocks, head.weight.dims(), 1)),
        (_, Some(DistilledVit { blocks, head, .. })) => Some((blocks, head.weight.dims(), 2)),
        _ => None,
    };
    let of_architecture = || VitSlimError::Architecture(name.to_owned());
    let (blocks, [width, classes], heads) = parts.ok_or_else(of_architecture)?;
    let config = serde_json::to_value(config).unwrap_or_default();
    let usual = usual(&config).ok_or_else(of_architecture)?;
    if let Some(field) = other_field(&config, &usual) {
        return Err(VitSlimError::Field(field));
    }
    if width != usual.dim {
        return Err(VitSlimError::Width);
    }
    let patches = usual.patches();
    let is_whole = |block: &Block| {
        let tokens = block.tokens.tokens.saturating_sub(block.tokens.prefix);
        let left = (block.attn.heads.features(), hidden(block), tokens);
        let has_both = !block.attn_branch.is_cut() && !block.mlp_branch.is_cut();
        has_both && left == (usual.dim, usual.hidden(), patches)
    };
    let of_dense = blocks.iter().all(is_whole);
    let mut arriving = patches;
    let mut parts = vec![("patch_embed".to_owned(), patches * width * CHANNELS * usual.patch_size.pow(2))];
    for (number, block) in blocks.iter().enumerate() {
        parts.push((format!("blocks.{number}"), of_block(block, &usual, arriving)));
        arriving = if of_dense { patches } else { block.tokens.tokens };
    }
    parts.push(("head".to_owned(), heads * width * classes));
    let parts: Vec<_> = parts.into_iter().map(|(name, flops)| (name, flops as u64)).collect();
    let flops = parts.iter().map(|(_, flops)| flops).sum();
    Ok(VitSlimCounts { params: Parameter::count(model) as u64, flops, parts })
}

/// The configuration with the sizes of `config`, and else as the networks of the original are.
fn usual(config: &Value) -> Option<VitConfig> {
    let config: VitConfig = serde_json::from_value(config.clone()).ok()?;
    let VitConfig { image_size, patch_size, channels, classes, dim, depth, heads, mlp_ratio, .. } = config;
    let VitConfig { dropout, drop_path, .. } = config;
    let usual =
        VitConfig { image_size, patch_size, channels, classes, dim, depth, heads, ..VitConfig::default() };
    Some(VitConfig { mlp_ratio, dropout, drop_path, ..usual })
}

/// The first field of `config` that is not as `usual`.
fn other_field(config: &Value, usual: &VitConfig) -> Option<String> {
    let usual = serde_json::to_value(usual).unwrap_or_default();
    let mut fields = config.as_object()?.iter();
    fields.find(|(field, value)| usual.get(field) != Some(value)).map(|(field, _)| field.clone())
}

fn hidden(block: &Block) -> usize {
    block.mlp.fc1.weight.dims()[1]
}

/// The operations of `block`, which `n` tokens enter.
fn of_block(block: &Block, VitConfig { dim: c, heads: h, .. }: &VitConfig, n: usize) -> usize {
    let (a, m) = (block.attn.heads.features(), hidden(block));
    let norm = c * n;
    let qkv = n * c * 3 * a + 3 * n * a;
    let scores = n * n * a + h * n * n;
    let softmax = SOFTMAX * h * n * n;
    let proj = n * a * c + n * c;
    let mlp = n * (2 * c * m + c + m);
    let attention = norm + qkv + scores + softmax + n * n * a + proj;
    let of = |gate: &BranchGate, operations| if gate.is_cut() { 0 } else { operations };
    of(&block.attn_branch, attention) + of(&block.mlp_branch, norm + mlp)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::models::{Swin, SwinConfig};
    use crate::slim::{Plan, Slimmable, describe};

    fn counted(config: &VitConfig, cut: impl Fn(&mut Plan)) -> Result<VitSlimCounts, VitSlimError> {
        let model = Vit::init(config, &Device::flex()).unwrap();
        let mut plan = Plan::whole(&describe(&model).unwrap());
        cut(&mut plan);
        vit_slim("vit", &model.slim(&plan).unwrap(), config)
    }

    fn small() -> VitConfig {
        VitConfig {
            image_size: 8,
            patch_size: 4,
            dim: 8,
            depth: 2,
            heads: 2,
            classes: 3,
            ..VitConfig::default()
        }
    }

    /// By the formulas, written out.
    #[test]
    fn a_cut_network_counts_the_tokens_of_the_gate_before_and_a_whole_one_no_class_token() {
        let (c, h) = (8, 2);
        let block = |n: u64, a: u64, m: u64| {
            let attention = n * c * 3 * a
                + 3 * n * a
                + n * n * a
                + h * n * n
                + 5 * h * n * n
                + n * n * a
                + n * a * c
                + n * c;
            2 * c * n + attention + n * (2 * c * m + c + m)
        };
        let (embedding, classifier) = (4 * c * 3 * 16, c * 3);
        let dense = counted(&small(), |_| {}).unwrap();
        assert_eq!(dense.flops, embedding + 2 * block(4, 8, 32) + classifier);
        let names: Vec<&str> = dense.parts.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["patch_embed", "blocks.0", "blocks.1", "head"]);

        let cut = counted(&small(), |plan| {
            plan.get_mut("blocks.0.tokens").unwrap().keep = vec![0, 2];
            plan.get_mut("blocks.1.tokens").unwrap().keep = vec![2];
            plan.get_mut("blocks.0.attn.head_dim").unwrap().keep = vec![0, 1, 2];
            plan.get_mut("blocks.1.mlp.hidden").unwrap().keep.truncate(5);
        });
        // The first block as if no token were cut; the second with two patches and the class token.
        assert_eq!(cut.unwrap().flops, embedding + block(4, 3, 32) + block(3, 8, 5) + classifier);
    }

    #[test]
    fn a_branch_that_is_cut_counts_nothing() {
        let without = |gone: &[&str]| {
            let cut = counted(&small(), |plan| {
                gone.iter().for_each(|path| plan.get_mut(&format!("blocks.1.{path}")).unwrap().keep.clear());
            });
            cut.unwrap().parts[2].1
        };
        // Patches and the class token, since the network is cut.
        let (n, c, h, m) = (5, 8, 2, 32);
        let mlp = c * n + n * (2 * c * m + c + m);
        assert_eq!(without(&["attn_branch", "attn.head_dim"]), mlp);
        let attention = c * n + n * c * 3 * c + 3 * n * c + 2 * n * n * c + 6 * h * n * n + n * c * c + n * c;
        assert_eq!(without(&["mlp_branch", "mlp.hidden"]), attention);
    }

    #[test]
    fn what_the_original_cannot_have_is_refused_by_name() {
        let field = |config: VitConfig| match counted(&config, |_| {}) {
            Err(VitSlimError::Field(field)) => field,
            other => panic!("{other:?}"),
        };
        assert_eq!(field(VitConfig { qkv_bias: false, ..small() }), "qkv_bias");
        assert_eq!(field(VitConfig { init_values: Some(1.0), ..small() }), "init_values");
        let narrow = counted(&small(), |plan| plan.get_mut("width").unwrap().keep.truncate(4));
        assert_eq!(narrow, Err(VitSlimError::Width));
        let config = SwinConfig {
            image_size: 16,
            patch_size: 2,
            dim: 8,
            depths: vec![1],
            heads: vec![2],
            window: 4,
            ..SwinConfig::default()
        };
        let swin = Swin::init(&config, &Device::flex()).unwrap();
        let refused = vit_slim("swin", &swin, &config).unwrap_err().to_string();
        assert_eq!(refused, "the formulas of ViT-Slim are for `vit` and `deit_distilled`, not for `swin`");
    }
}
