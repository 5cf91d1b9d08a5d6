//! The dry run: builds each network of a run and records its forward pass, so that what would fail at the end fails before
//! anything is trained.

use burn::tensor::Device;

use super::agreement::prove;
use super::error::RunError;
use super::limits::Reach;
use super::networks::initial;
use super::prepared::Prepared;
use super::scoring::correction_note;
use super::target::DENSE;
use crate::graph::macs_and_classes;
use crate::importance::Scoring;
use crate::models::{Architecture, Parameter};

/// The size of a network.
#[derive(Clone, Debug)]
pub(crate) struct Size {
    /// Number of parameters.
    pub params: usize,
    /// MACs for one image.
    pub macs: u64,
    /// What its budget allows of what is possible, where that limits the network as a whole.
    pub reach: Vec<Reach>,
    /// What a user should know about it.
    pub notes: Vec<String>,
}

/// The sizes of the network that the run starts from and of the sub-network of each budget, as [`cut_at_random`] cuts it. The caller may have built the
/// dense network already.
///
/// # Errors
///
/// When a network cannot be built, does not take the images, or has another number of classes than the data; or when its units cannot
/// be scored.
fn sizes<A: Architecture>(prepared: &Prepared<A>, dense: Option<A>) -> Result<Vec<Size>, RunError> {
    sizes_with(prepared, dense, |_, size| Ok(size))
}

/// What `with` makes of each network and of its size, as [`sizes`] lists them.
///
/// # Errors
///
/// Those of [`sizes`] and of `with`.
pub(crate) fn sizes_with<A: Architecture, T>(
    prepared: &Prepared<A>,
    dense: Option<A>,
    mut with: impl FnMut(&A, Size) -> Result<T, RunError>,
) -> Result<Vec<T>, RunError> {
    let device = Device::flex();
    let dense = made(prepared, dense)?.valid();
    let size = |model: &A, reach: Vec<Reach>, notes: Vec<String>| {
        Ok::<_, RunError>(Size {
            params: Parameter::count(model),
            macs: checked_macs(prepared, model)?,
            reach,
            notes,
        })
    };
    let (experiment, searched, image) = (&prepared.experiment, &prepared.searched, prepared.data.shape);
    let mut of_dense = size(&dense, Vec::new(), Vec::new())?;
    Scoring::of(experiment, searched).check(&dense, image)?;
    of_dense.notes.extend(correction_note(experiment, &dense, searched, image)?);
    let mut found = vec![with(&dense, of_dense)?];
    let cutting = prepared.cutting();
    let masks = cutting.random_masks(&device);
    for budget in &prepared.budgets {
        let (plan, model) = cutting.cut(&dense, &masks, budget)?;
        let reach = cutting.reach(&dense, &masks, budget)?;
        let size = size(&model, reach, cutting.notes(&dense, &masks, budget, &plan))?;
        found.push(with(&model, size)?);
    }
    Ok(found)
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
    let notes = prove(prepared, &dense, sizes[0].macs)?;
    Ok(sizes.into_iter().flat_map(|size| size.notes).chain(notes).collect())
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
    use std::process::Command;
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

    use burn::module::{Module, Param};
    use burn::nn::conv::ConvTranspose2dConfig;
    use burn::tensor::Tensor;
    use vitslim_macros::Slimmable;

    use super::super::prepare_error::PrepareError;
    use super::super::tests::execute_quietly;
    use super::*;
    use crate::experiment::Document;
    use crate::models::{ConfigError, Logits, Vit, VitConfig};
    use crate::train::THROUGHPUT_BATCH;

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
    const OF_A_LOGARITHM: u8 = 11;
    const NOT_FINITE: u8 = 12;
    const BLIND: u8 = 13;
    const QUANTISES: u8 = 14;
    const BREAKS_LATER: u8 = 15;
    const OTHERWISE_IN_EVALUATION: u8 = 16;

    static IS_BROKEN: AtomicBool = AtomicBool::new(false);

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
                // Without the logarithm of a number that is not positive, the same.
                OF_A_LOGARITHM => {
                    let gamma = self.vit.blocks[0].norm1.gamma.val().log().sum();
                    let bias = mlp.fc1.bias.as_ref().unwrap().val().sum();
                    (self.vit.forward(images).class + (gamma + bias).reshape([1, 1])).into()
                }
                NOT_FINITE => {
                    let root = self.vit.blocks[0].norm1.gamma.val().abs().neg().sub_scalar(1.0).sqrt().sum();
                    (self.vit.forward(images).class + root.reshape([1, 1])).into()
                }
                BLIND => self.vit.forward(images * 0.0),
                // Images as they are drawn for a network with random parameters become 0.
                QUANTISES => self.vit.forward((images * 0.5).round()),
                BREAKS_LATER if IS_BROKEN.load(Ordering::Relaxed) => panic!("broken"),
                OTHERWISE_IN_EVALUATION if batch == THROUGHPUT_BATCH => {
                    (self.vit.forward(images).class + hidden as f32).into()
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

    /// A matrix of its own, whose rows are summed: with one row left it has the shape of positions, which do not decay.
    #[derive(Module, Debug, Slimmable)]
    struct Rows {
        #[slim(axis(0) = [hidden], gate)]
        matrix: Param<Tensor<2>>,
    }

    /// The entries of the only row of [`Rows`] when last used, in thousandths.
    static LEFT: AtomicU32 = AtomicU32::new(u32::MAX);

    impl Architecture for Rows {
        type Config = VitConfig;

        fn presets() -> Vec<(&'static str, VitConfig)> {
            Vec::new()
        }

        fn init(_: &VitConfig, device: &Device) -> Result<Self, ConfigError> {
            Ok(Self { matrix: Param::from_tensor(Tensor::ones([4, 3], device)) })
        }

        fn forward(&self, images: Tensor<4>) -> Logits {
            let matrix = self.matrix.val();
            // While the forward pass is recorded there are no values.
            if matrix.dims() == [1, 3]
                && let Ok(mean) = matrix.clone().mean().try_into_scalar::<f32>()
            {
                LEFT.store((mean * 1e3) as u32, Ordering::Relaxed);
            }
            (images.flatten::<2>(1, 3).mean_dim(1) + 1.0).matmul(matrix.sum_dim(0)).into()
        }
    }

    fn prepared<const FLAW: u8>(more: &str, shares: &[f64]) -> Result<Prepared<Flawed<FLAW>>, PrepareError> {
        prepared_of(more, shares)
    }

    /// An experiment whose sub-networks have these shares of the hidden units.
    fn prepared_of<A: Architecture>(more: &str, shares: &[f64]) -> Result<Prepared<A>, PrepareError> {
        let budgets: Vec<String> =
            shares.iter().map(|share| format!("Share({{ \"hidden\": {share} }})")).collect();
        let text = format!(
            "Experiment(name: \"a\", model: (architecture: \"flawed\", config: (patch_size: 4, dim: 8, depth: 1, heads: 2)), \
             data: Random(image_size: 8, channels: 1, classes: 3, images: 100), {more}\
             pretrain: (epochs: 1, batch: 10, optimizer: AdamW(lr: 1e-3)), \
             search: (epochs: 1, batch: 10, optimizer: AdamW(lr: 1e-3), dimensions: {{ \"hidden\": (weight: 1e-4) }}), \
             budgets: [{}])",
            budgets.join(", ")
        );
        Prepared::new(&Document::parse("a.ron", &text, &[]).unwrap().trial().unwrap())
    }

    /// The error of a run that is refused before it has trained anything.
    fn told<const FLAW: u8>() -> String {
        let prepared = match prepared::<FLAW>("", &[0.5]) {
            Ok(prepared) => prepared,
            Err(error) => return error.to_string(),
        };
        let out = tempfile::tempdir().unwrap();
        let answer = execute_quietly(&prepared, out.path());
        let is_trained = out.path().join("a/seed=0/metrics.jsonl").exists();
        assert_eq!(answer.is_ok() || FLAW == ONLY_WHEN_TRAINED, is_trained);
        answer.err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn what_is_compared_on_fewer_images_than_a_batch_is_told() {
        let prepared = prepared::<NONE>("", &[0.5]).unwrap();
        let dense = initial(&prepared, &Device::flex()).unwrap();
        assert_eq!(prove(&prepared, &dense, 1_000_000).unwrap(), [""; 0]);
        let notes = prove(&prepared, &dense, 60_000_000_000).unwrap();
        assert!(notes[0].contains("are compared on 5 images at once, and not on 64 as they"), "{notes:?}");
    }

    #[test]
    fn a_budget_that_cuts_nothing_proves_nothing() {
        // Rounding leaves the first one whole.
        let answer = dry_run(&prepared::<LEAVES_A_BIAS>("round_to: 16, ", &[0.9, 0.5]).unwrap(), None);
        let told = answer.unwrap_err().to_string();
        assert!(told.starts_with("the sub-network `share-0.5` is not the masked network"), "{told}");
    }

    #[test]
    fn what_cannot_be_compared_is_noted() {
        let notes = [
            dry_run(&prepared::<NOT_FINITE>("", &[0.5]).unwrap(), None).unwrap(),
            dry_run(&prepared::<BLIND>("", &[0.5]).unwrap(), None).unwrap(),
        ];
        for notes in notes {
            let [note] = &notes[..] else { panic!("{notes:?}") };
            let start =
                "nothing shows before the search whether `vit.blocks.0.mlp.hidden` is cut as it is masked: ";
            assert!(note.starts_with(start), "{note}");
        }
        assert_eq!(dry_run(&prepared::<NONE>("", &[0.5]).unwrap(), None).unwrap(), [""; 0]);
    }

    #[test]
    fn a_trained_network_that_tells_images_apart_is_not_blind() {
        assert_eq!(told::<QUANTISES>(), "");
    }

    #[test]
    fn what_decays_in_a_sub_network_is_decided_by_the_dense_network() {
        // Each step takes half of what decays.
        let retrain = "retrain: (epochs: 1, batch: 10, optimizer: AdamW(lr: 1e-3, weight_decay: 500), \
                       schedule: Constant), ";
        let out = tempfile::tempdir().unwrap();
        let summary = execute_quietly(&prepared_of::<Rows>(retrain, &[0.25]).unwrap(), out.path()).unwrap();
        assert!(summary.subnets[0].top1_retrained.is_some());
        let left = LEFT.load(Ordering::Relaxed);
        assert!(left < 100, "{left}");
    }

    #[test]
    fn a_run_that_is_complete_is_not_tried_again() {
        let prepared = prepared::<BREAKS_LATER>("", &[0.5]).unwrap();
        let out = tempfile::tempdir().unwrap();
        let first = execute_quietly(&prepared, out.path()).unwrap();
        IS_BROKEN.store(true, Ordering::Relaxed);
        assert_eq!(execute_quietly(&prepared, out.path()).unwrap().subnets.len(), first.subnets.len());
        let told = execute_quietly(&prepared, &out.path().join("elsewhere")).unwrap_err().to_string();
        assert!(told.contains("broken"), "{told}");
    }

    /// Runs the test of networks that fail, and looks at what a user would see.
    #[test]
    fn no_panic_is_printed_beside_its_error() {
        let test =
            "run::dry_run::tests::a_network_that_would_fail_in_the_end_is_told_before_anything_is_trained";
        let mut command = Command::new(std::env::current_exe().unwrap());
        let output = command.args(["--exact", test, "--nocapture"]).output().unwrap();
        let (told, printed) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(told.contains("1 passed"), "{told}{printed}");
        assert!(!printed.contains("panicked"), "{printed}");
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
            (
                told::<OTHERWISE_IN_EVALUATION>(),
                "the sub-network `share-0.5` is not the masked network: on 64 images",
            ),
            (told::<OF_A_LOGARITHM>(), "the sub-network `share-0.5` is not the masked network: on 10 images"),
            (told::<ONE_IMAGE_ONLY>(), "the forward pass fails on 10 images ("),
        ] {
            assert!(told.contains(expected), "not `{expected}` but `{told}`");
        }
    }
}
