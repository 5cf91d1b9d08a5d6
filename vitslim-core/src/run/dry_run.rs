//! The dry run: builds each network of a run and records its forward pass, so that what would fail at the end fails before
//! anything is trained.

use burn::module::Module;
use burn::tensor::Device;

use super::agreement::prove;
use super::error::RunError;
use super::initial::initial;
use super::prepare::Prepared;
use super::target::DENSE;
use crate::graph::macs_and_classes;
use crate::models::Architecture;

/// The size of a network.
#[derive(Clone, Debug)]
pub(crate) struct Size {
    /// Number of parameters.
    pub params: usize,
    /// MACs for one image.
    pub macs: u64,
    /// What a user should know about it.
    pub notes: Vec<String>,
}

/// The sizes of the dense network and of the sub-network of each budget, as [`cut_at_random`] cuts it. The caller may have built the
/// dense network already.
///
/// # Errors
///
/// When a network cannot be built, does not take the images, or has another number of classes than the data.
pub(crate) fn sizes<A: Architecture>(
    prepared: &Prepared<A>,
    dense: Option<A>,
) -> Result<Vec<Size>, RunError> {
    let device = Device::flex();
    let dense = made(prepared, dense)?.valid();
    let size = |model: &A, notes: Vec<String>| {
        Ok::<_, RunError>(Size {
            params: Module::num_params(model),
            macs: checked_macs(prepared, model)?,
            notes,
        })
    };
    let mut sizes = vec![size(&dense, Vec::new())?];
    let cutting = prepared.cutting();
    let masks = cutting.random_masks(&device);
    for budget in &prepared.budgets {
        let (plan, model) = cutting.cut(&dense, &masks, budget)?;
        sizes.push(size(&model, cutting.notes(&dense, &masks, budget, &plan))?);
    }
    Ok(sizes)
}

/// Checks the [`sizes`], and compares hard-masked and sliced networks. Returns what a user should know about both.
///
/// # Errors
///
/// Those of [`sizes`], or when a sub-network computes something else than the masked network.
pub(super) fn dry_run<A: Architecture>(
    prepared: &Prepared<A>,
    dense: Option<A>,
) -> Result<Vec<String>, RunError> {
    let dense = made(prepared, dense)?;
    let sizes = sizes(prepared, Some(dense.clone()))?;
    let note = prove(prepared, &dense, sizes[0].macs)?;
    Ok(sizes.into_iter().flat_map(|size| size.notes).chain(note).collect())
}

/// The dense network, which the caller may have built already.
fn made<A: Architecture>(prepared: &Prepared<A>, dense: Option<A>) -> Result<A, RunError> {
    dense.map_or_else(|| initial(prepared, &Device::flex()), Ok).map_err(RunError::Config)
}

/// MACs of `model` for one image. Its logits must have the number of classes of the data.
///
/// # Errors
///
/// When they do not, or the forward pass cannot be recorded.
pub(crate) fn checked_macs<A: Architecture>(prepared: &Prepared<A>, model: &A) -> Result<u64, RunError> {
    let (macs, network) = macs_and_classes(model, prepared.data.shape)?;
    let data = prepared.data.classes;
    if network == data { Ok(macs) } else { Err(RunError::Classes { network, data }) }
}

/// The network `dense`, and a sub-network for each budget, cut by random masks so that sizes differ between layers as after a search.
/// One after the other, since all together may not fit into memory.
///
/// # Errors
///
/// When a network cannot be built, or a budget leaves no token or lets no image through, whatever the masks.
pub(crate) fn cut_at_random<'a, A: Architecture>(
    prepared: &'a Prepared<A>,
    dense: A,
    device: &Device,
) -> impl Iterator<Item = Result<(String, A), RunError>> + use<'a, A> {
    let dense = dense.valid();
    let cutting = prepared.cutting();
    let masks = cutting.random_masks(device);
    let whole = (DENSE.to_owned(), dense.clone());
    let cut = prepared.budgets.iter().map(move |budget| {
        let (_, sliced) = cutting.cut(&dense, &masks, budget)?;
        Ok((budget.label.clone(), sliced))
    });
    std::iter::once(Ok(whole)).chain(cut)
}

#[cfg(test)]
mod tests {
    use burn::nn::conv::ConvTranspose2dConfig;
    use burn::tensor::Tensor;
    use vitslim_macros::Slimmable;

    use super::super::tests::execute_quietly;
    use super::*;
    use crate::experiment::Document;
    use crate::models::{ConfigError, Logits, Vit, VitConfig};

    /// A ViT with a flaw.
    #[derive(Module, Debug, Slimmable)]
    struct Flawed<const FLAW: u8> {
        #[slim]
        vit: Vit,
    }

    const NONE: u8 = 0;
    const UNMADE: u8 = 1;
    const FAILS: u8 = 2;
    const FEWER_CLASSES: u8 = 3;
    const UNCOUNTED: u8 = 4;
    const DENSE_ONLY: u8 = 5;
    const CLONED: u8 = 6;
    const LEAVES_A_BIAS: u8 = 7;
    const OTHERWISE_IN_A_BATCH: u8 = 8;
    const ONE_IMAGE_ONLY: u8 = 9;
    const ONLY_WHEN_TRAINED: u8 = 10;

    impl<const FLAW: u8> Architecture for Flawed<FLAW> {
        type Config = VitConfig;

        fn presets() -> Vec<(&'static str, VitConfig)> {
            Vec::new()
        }

        fn init(config: &VitConfig, device: &Device) -> Result<Self, ConfigError> {
            assert!(FLAW != UNMADE, "attempt to divide by zero");
            let mut vit = Vit::init(config, device)?;
            if FLAW == CLONED {
                vit.blocks.push(vit.blocks[0].clone());
            }
            Ok(Self { vit })
        }

        fn forward(&self, images: Tensor<4>) -> Logits {
            let mlp = &self.vit.blocks[0].mlp;
            let hidden = mlp.fc1.weight.dims()[1];
            let batch = images.dims()[0];
            match FLAW {
                // The bias of a unit is not gated, only its way out is.
                LEAVES_A_BIAS => {
                    let bias = mlp.fc1.bias.as_ref().unwrap().val().sum().reshape([1, 1]);
                    (self.vit.forward(images).class + bias).into()
                }
                OTHERWISE_IN_A_BATCH if batch > 9 => (self.vit.forward(images).class + hidden as f32).into(),
                // Random parameters are larger than those that training begins with.
                ONLY_WHEN_TRAINED => {
                    let sum = self.vit.head.bias.as_ref().unwrap().val().abs().sum();
                    let wrong = (sum.neg() + 0.2).clamp_min(0.0) * hidden as f32;
                    (self.vit.forward(images).class + wrong.unsqueeze()).into()
                }
                ONE_IMAGE_ONLY => self.vit.forward(images.reshape([1, 1, 8, 8])),
                FAILS => images.reshape([7, 7]).into(),
                FEWER_CLASSES => self.vit.forward(images).class.slice([0..1, 0..2]).into(),
                UNCOUNTED => {
                    let other = ConvTranspose2dConfig::new([1, 1], [1, 1]).init(&images.device());
                    self.vit.forward(other.forward(images))
                }
                _ => {
                    assert!(FLAW != DENSE_ONLY || hidden == 32, "not 32 hidden units");
                    self.vit.forward(images)
                }
            }
        }
    }

    fn prepared<const FLAW: u8>() -> Result<Prepared<Flawed<FLAW>>, String> {
        let text = "Experiment(name: \"a\", model: (architecture: \"flawed\", config: (patch_size: 4, dim: 8, depth: 1, heads: 2)), \
                    data: Random(image_size: 8, channels: 1, classes: 3, images: 100), \
                    pretrain: (epochs: 1, batch: 10, optimizer: AdamW(lr: 1e-3)), \
                    search: (epochs: 1, batch: 10, optimizer: AdamW(lr: 1e-3), dimensions: { \"hidden\": (weight: 1e-4) }), \
                    budgets: [Share({ \"hidden\": 0.5 })])";
        let document = Document::parse("a.ron", text, &[]).unwrap();
        Prepared::new(&document.trial().unwrap()).map_err(|error| error.to_string())
    }

    /// The error of a run that is refused before it has trained anything.
    fn told<const FLAW: u8>() -> String {
        let prepared = match prepared::<FLAW>() {
            Ok(prepared) => prepared,
            Err(error) => return error,
        };
        let out = tempfile::tempdir().unwrap();
        let answer = execute_quietly(&prepared, out.path());
        let is_trained = out.path().join("a/seed=0/metrics.jsonl").exists();
        assert_eq!(answer.is_ok() || FLAW == ONLY_WHEN_TRAINED, is_trained);
        answer.err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn what_is_compared_on_fewer_images_than_a_batch_is_told() {
        let prepared = prepared::<NONE>().unwrap();
        let dense = initial(&prepared, &Device::flex()).unwrap();
        assert_eq!(prove(&prepared, &dense, 1_000_000).unwrap(), None);
        let note = prove(&prepared, &dense, 3_000_000_000).unwrap().unwrap();
        assert!(note.contains("are compared on 5 images at once, and not on 10 as they"), "{note}");
    }

    #[test]
    fn a_sub_network_that_turns_out_to_compute_something_else_is_no_result() {
        let told = told::<ONLY_WHEN_TRAINED>();
        assert!(told.contains("the sub-network `share-0.5` is not the masked network: on "), "{told}");
        assert!(told.contains("; with only `vit.blocks.0.mlp.hidden` cut they differ too"), "{told}");
    }

    #[test]
    fn a_network_that_would_fail_in_the_end_is_told_before_anything_is_trained() {
        assert_eq!(told::<NONE>(), "");
        for (told, expected) in [
            (told::<UNMADE>(), "the network cannot be made (attempt to divide by zero)"),
            (told::<FAILS>(), "the forward pass fails ("),
            (told::<FEWER_CLASSES>(), "the network has 2 classes, but the data have 3"),
            (told::<UNCOUNTED>(), "the forward pass uses `ConvTranspose2d`, whose multiply-adds"),
            (told::<DENSE_ONLY>(), "the forward pass fails (not 32 hidden units)"),
            (
                told::<CLONED>(),
                "`vit.blocks.0.norm1.gamma` and `vit.blocks.1.norm1.gamma` (and 11 more such pairs) are one",
            ),
            (told::<LEAVES_A_BIAS>(), "on 10 images, their logits differ by"),
            (told::<LEAVES_A_BIAS>(), "; with only `vit.blocks.0.mlp.hidden` cut they differ too"),
            (
                told::<OTHERWISE_IN_A_BATCH>(),
                "the sub-network `share-0.5` is not the masked network: on 10 images",
            ),
            (told::<ONE_IMAGE_ONLY>(), "the forward pass fails on 10 images ("),
        ] {
            assert!(told.contains(expected), "not `{expected}` but `{told}`");
        }
    }
}
