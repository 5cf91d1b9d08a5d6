//! Sub-networks of a network whose heads share the parameters of a norm.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::folder::{PLAN, WEIGHTS};
use super::restore::subnet;
use super::weights::{parameters, weights};
use super::{Prepared, initial};
use crate::experiment::Document;
use crate::models::{Architecture, ConfigError, Logits};
use crate::nn::{HeadLayout, LayerNorm, LayerNormConfig, Linear, LinearConfig};
use crate::slim::{MaskSet, Plan, Slimmable};

/// Attention that normalises queries and keys.
#[derive(Module, Debug, Slimmable)]
struct Normed {
    embed: Linear,
    #[slim(output = [3, heads, head_dim], gate)]
    qkv: Linear,
    #[slim(output = [heads, head_dim], gate)]
    norm: LayerNorm,
    #[slim(layout = [heads, head_dim])]
    heads: HeadLayout,
    #[slim(input = [heads, head_dim])]
    proj: Linear,
}

impl Architecture for Normed {
    type Config = ();

    fn presets() -> Vec<(&'static str, ())> {
        Vec::new()
    }

    fn init((): &(), device: &Device) -> Result<Self, ConfigError> {
        let linear = |inputs, outputs| LinearConfig::new(inputs, outputs).init(device);
        Ok(Self {
            embed: linear(8, 6),
            qkv: linear(6, 18),
            norm: LayerNormConfig::new(3).with_heads(2).init(device),
            heads: HeadLayout::new(2, 3),
            proj: linear(6, 10),
        })
    }

    fn forward(&self, images: Tensor<4>) -> Logits {
        let [q, k, v] = self.heads.split(self.qkv.forward(self.embed.forward(images.squeeze_dim::<3>(1))));
        let [q, k] = [q, k].map(|x| self.norm.forward_heads(x, &self.heads));
        let x = self.proj.forward(self.heads.attend_separate(q, k, v, None));
        x.mean_dim(1).squeeze_dim::<2>(1).into()
    }
}

/// Folded masks give each head a norm of its own, whatever the plan keeps.
#[test]
fn what_heads_shared_is_read_back_as_it_was_cut() {
    for (rule, keep, norm) in
        [("Fold", vec![0, 1, 2, 3, 4, 5], 6), ("Fold", vec![0, 2, 3, 5], 4), ("Hard", vec![0, 2, 3, 5], 2)]
    {
        let text = format!(
            "Experiment(name: \"a\", model: (architecture: \"normed\"), data: Digits, cut: {rule}, search: (epochs: 1, optimizer: \
             AdamW(lr: 1), dimensions: {{ \"head_dim\": (weight: 0) }}), budgets: [Share({{ \"head_dim\": 1 }})])"
        );
        let document = Document::parse("a.ron", &text, &[]).unwrap();
        let prepared = Prepared::<Normed>::new(&document.trial().unwrap()).unwrap();
        let device = Device::flex();
        let dense = initial(&prepared, &device).unwrap().valid();
        let cut_from = match rule {
            "Fold" => dense.fold(&MaskSet::new(&prepared.searched, &device)),
            _ => dense.clone(),
        };
        let mut plan = Plan::whole(&prepared.dimensions);
        plan.cuts[0].keep = keep;
        let sliced = cut_from.slim(&plan).unwrap();
        assert_eq!(sliced.norm.gamma.dims(), [norm], "{rule}");
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(PLAN), ron::to_string(&plan).unwrap()).unwrap();
        std::fs::write(folder.path().join(WEIGHTS), weights(&sliced, &plan).unwrap()).unwrap();
        let found = subnet(&dense, folder.path()).unwrap();
        assert!(parameters(&found).unwrap() == parameters(&sliced).unwrap(), "{rule}");
    }
}
