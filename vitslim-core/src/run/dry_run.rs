//! The dry run: builds each network of a run and records its forward pass, so that what would fail at the end fails before
//! anything is trained.

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use rand::RngExt;

use super::error::RunError;
use super::initial::initial;
use super::keys::PreparedBudget;
use super::prepare::Prepared;
use super::target::DENSE;
use crate::data::{Moment, Stage};
use crate::graph::macs_and_classes;
use crate::models::Architecture;
use crate::panics::attempt;
use crate::slim::{MaskSet, can_leave_tokens, keep_a_token};

/// Parameters and MACs for one image.
pub(crate) type Size = (usize, u64);

/// The sizes of the dense network and of the sub-network of each budget, as [`cut_at_random`] cuts it. The caller may have built the
/// dense network already.
///
/// # Errors
///
/// When a network cannot be built, does not take the images, or has another number of classes than the data.
pub(crate) fn dry_run<A: Architecture>(
    prepared: &Prepared<A>,
    dense: Option<A>,
) -> Result<Vec<Size>, RunError> {
    let device = Device::flex();
    let size = |(_, model): (String, A)| Ok((Module::num_params(&model), checked_macs(prepared, &model)?));
    let dense = dense.map_or_else(|| initial(prepared, &device), Ok).map_err(RunError::Config)?;
    cut_at_random(prepared, dense, &device).map(|cut| cut.and_then(size)).collect()
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
/// When a network cannot be built, or a budget leaves no token, whatever the masks.
pub(crate) fn cut_at_random<'a, A: Architecture>(
    prepared: &'a Prepared<A>,
    dense: A,
    device: &Device,
) -> impl Iterator<Item = Result<(String, A), RunError>> + use<'a, A> {
    let dense = dense.valid();
    let masks = random_masks(prepared, device);
    let whole = (DENSE.to_owned(), dense.clone());
    let cut = move |budget: &PreparedBudget| {
        let label = budget.label.clone();
        can_leave_tokens(&prepared.dimensions, &budget.rankings)
            .map_err(|error| RunError::Tokenless { label: label.clone(), error })?;
        let mut plan = prepared.plan(&masks, budget)?;
        // A search may leave some where these masks do not.
        keep_a_token(&mut plan, &prepared.dimensions);
        let sliced = attempt(|| dense.clone().slim(&plan))
            .map_err(|said| RunError::Uncut { label: label.clone(), said })??;
        Ok((label, sliced))
    };
    std::iter::once(Ok(whole)).chain(prepared.budgets.iter().map(cut))
}

/// Masks drawn at random, by the seed.
fn random_masks<A: Architecture>(prepared: &Prepared<A>, device: &Device) -> MaskSet {
    let seed = prepared.experiment.seed;
    let mut generator = Moment { seed, stage: Stage::Search, epoch: 0, step: 0 }.generator();
    MaskSet::new(&prepared.searched, device).map_values(|_, old| {
        let drawn: Vec<f32> = (0..old.dims()[0]).map(|_| generator.random()).collect();
        Tensor::from_data(TensorData::new(drawn, old.dims()), device)
    })
}

#[cfg(test)]
mod tests {
    use burn::nn::conv::ConvTranspose2dConfig;
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

    impl<const FLAW: u8> Architecture for Flawed<FLAW> {
        type Config = VitConfig;

        fn presets() -> Vec<(&'static str, VitConfig)> {
            Vec::new()
        }

        fn init(config: &VitConfig, device: &Device) -> Result<Self, ConfigError> {
            assert!(FLAW != UNMADE, "attempt to divide by zero");
            Ok(Self { vit: Vit::init(config, device)? })
        }

        fn forward(&self, images: Tensor<4>) -> Logits {
            let hidden = self.vit.blocks[0].mlp.fc1.weight.dims()[1];
            match FLAW {
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

    /// The error of a run that is refused before it has trained anything.
    fn told<const FLAW: u8>() -> String {
        let text = "Experiment(name: \"a\", model: (architecture: \"flawed\", config: (patch_size: 4, dim: 8, depth: 1, heads: 2)), \
                    data: Random(image_size: 8, channels: 1, classes: 3, images: 100), \
                    pretrain: (epochs: 1, batch: 10, optimizer: AdamW(lr: 1e-3)), \
                    search: (epochs: 1, batch: 10, optimizer: AdamW(lr: 1e-3), dimensions: { \"hidden\": (weight: 1e-4) }), \
                    budgets: [Share({ \"hidden\": 0.5 })])";
        let document = Document::parse("a.ron", text, &[]).unwrap();
        let prepared = match Prepared::<Flawed<FLAW>>::new(&document.trial().unwrap()) {
            Ok(prepared) => prepared,
            Err(error) => return error.to_string(),
        };
        let out = tempfile::tempdir().unwrap();
        let answer = execute_quietly(&prepared, out.path());
        let is_trained = out.path().join("a/seed=0/metrics.jsonl").exists();
        assert_eq!(answer.is_ok(), is_trained);
        answer.err().map(|error| error.to_string()).unwrap_or_default()
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
        ] {
            assert!(told.contains(expected), "not `{expected}` but `{told}`");
        }
    }
}
