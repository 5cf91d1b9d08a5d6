//! Soft masks of branches.

use burn::module::Param;
use burn::tensor::Tensor;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use vitslim_core::models::{Vit, VitConfig, random_model};
use vitslim_core::slim::{MaskSet, MaskSpec, Slimmable, describe};
use vitslim_core::values::random;

use super::{TOLERANCE, device, difference};

/// As LayerScales do, which share no code with masks.
#[test]
fn a_soft_mask_multiplies_what_its_branch_adds() {
    let config = VitConfig {
        image_size: 8,
        patch_size: 4,
        channels: 1,
        classes: 3,
        dim: 6,
        heads: 2,
        depth: 2,
        init_values: Some(1.0),
        ..VitConfig::default()
    };
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let model: Vit = random_model(&config, &mut rng, &device()).unwrap_or_else(|failure| panic!("{failure}"));
    let branches = describe(&model).unwrap().into_iter().filter(|dimension| dimension.is_branch());
    let searched: Vec<_> = branches.map(|branch| (branch, MaskSpec::default())).collect();
    assert_eq!(searched.len(), 6);
    let masks =
        MaskSet::new(&searched, &device()).map_values(|_, old| random(old.dims(), &mut rng, &device()));

    let mut scaled = model.clone();
    let factor =
        |block: usize, name: &str| masks.get(&format!("blocks.{block}.{name}")).unwrap().values.val();
    for (number, block) in scaled.blocks.iter_mut().enumerate() {
        let both = factor(number, "block_branch");
        let branches = [(&mut block.ls1.gamma, "attn_branch"), (&mut block.ls2.gamma, "mlp_branch")];
        for (gamma, name) in branches {
            let scale = |gamma: Tensor<1>| gamma * factor(number, name) * both.clone();
            *gamma = gamma.take().map(|gamma: Param<Tensor<1>>| gamma.map(scale));
        }
    }
    let images = random([2, 1, 8, 8], &mut rng, &device());
    for gated in [model.gate(&masks), model.fold(&masks)] {
        let found = difference(&scaled, &gated, &images);
        assert!(found < TOLERANCE, "differs by {found:e}");
    }
    assert!(difference(&scaled, &model, &images) > 1e-3, "the masks change nothing");
}
