//! The networks to measure: those of an experiment, as initialised, or those of a run, as it left them.

use burn::tensor::Device;

use super::work::{Benched, Network, Work, WorkKind};
use crate::data::{Batch, SplitKind, Stage};
use crate::experiment::{Masks, Training, Trial};
use crate::graph::operations_after;
use crate::models::{Architecture, Parameter};
use crate::nn::Precision;
use crate::run::{
    DENSE, Prepared, RunError, Target, Teachers, check_unchanged, checked_macs, cut_at_random, initial,
    restore,
};
use crate::slim::{MaskSet, Slim, heads_by_size};
use crate::train::{Devices, EvaluateError, Teacher, Trainer, TrainerSettings, read};

/// Where the networks come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// An experiment: its dense network as initialised, cut to each budget by random masks.
    Experiment,
    /// A run: these of its networks, the dense one included.
    Run(Vec<Target>),
}

/// How to measure networks.
#[derive(Clone, Copy, Debug)]
pub struct BenchSetting<'a> {
    /// Images per batch.
    pub batch: usize,
    /// The device to measure on.
    pub device: &'a Device,
    /// What results call it.
    pub device_name: &'a str,
    /// What results call the experiment's precision on this device.
    pub precision_name: &'a str,
    /// Whether operations are told too.
    pub operations: bool,
    /// The architectures that the teacher of the search can have.
    pub teachers: &'a Teachers,
}

/// The networks of `trial`, or of its run, ready to measure.
///
/// # Errors
///
/// When the experiment, its data, a network of the run or what teaches the search cannot be used.
pub fn networks<A: Architecture>(
    trial: &Trial,
    source: &Source,
    setting: &BenchSetting,
) -> Result<Benched, RunError> {
    let run = match source {
        Source::Experiment => None,
        // They are all of one run.
        Source::Run(targets) => targets.first().map(|target| target.run.as_path()),
    };
    let mut prepared = Prepared::<A>::new(trial)?.timed_on(setting.device, setting.device_name, false);
    let searches = trial.experiment.search_training().is_some();
    if searches {
        prepared = prepared.with_teacher(trial, setting.teachers, Stage::Search, run)?;
    }
    let models = match source {
        Source::Experiment => {
            let dense = initial(&prepared, setting.device).map_err(RunError::Config)?;
            cut_at_random(&prepared, dense, setting.device).collect::<Result<_, _>>()?
        }
        Source::Run(targets) => {
            if let Some(run) = run {
                check_unchanged(run, &prepared.data, SplitKind::Train)?;
            }
            restored(&prepared, targets, setting.device)?
        }
    };
    let bench =
        Bench { prepared: &prepared, searches, training: prepared.experiment.search.training(), setting };
    let networks = models.into_iter().map(|(name, model)| bench.network(name, model));
    Ok(Benched {
        name: prepared.experiment.name.as_str().to_owned(),
        trial: prepared.trial(),
        precision: setting.precision_name.to_owned(),
        image: prepared.data.shape,
        networks: networks.collect::<Result<_, _>>()?,
    })
}

fn restored<A: Architecture>(
    prepared: &Prepared<A>,
    targets: &[Target],
    device: &Device,
) -> Result<Vec<(String, A)>, RunError> {
    // As fast as they can be computed.
    let restore = |target: &Target| {
        let model = heads_by_size(&restore(prepared, target, device)?.model);
        Ok((target.name().to_owned(), model))
    };
    targets.iter().map(restore).collect()
}

struct Bench<'a, A: Architecture> {
    prepared: &'a Prepared<A>,
    /// Whether there is a search.
    searches: bool,
    /// The search's training settings, used for all networks.
    training: Training,
    setting: &'a BenchSetting<'a>,
}

impl<A: Architecture> Bench<'_, A> {
    fn network(&self, name: String, model: A) -> Result<Network, RunError> {
        let (params, macs) = (Parameter::count(&model), checked_macs(self.prepared, &model)?);
        let slim = Slim::dense(model.clone());
        let mut work = vec![self.step(WorkKind::Training, slim, &Masks::default(), None)?];
        if name == DENSE && self.searches {
            let masks = MaskSet::new(&self.prepared.searched, self.setting.device);
            let slim = Slim { model: model.clone(), masks };
            let teacher = self.prepared.teacher(Stage::Search, &model, None)?;
            let masks = &self.prepared.experiment.search.masks;
            work.push(self.step(WorkKind::Search, slim, masks, teacher.as_ref())?);
        }
        let (image, batch) = (self.prepared.data.shape, self.setting.batch);
        let recorded = || operations_after(&model, image, batch, |model, _| Ok::<_, RunError>(model));
        let operations = self.setting.operations.then(recorded).transpose()?;
        let operations = operations.map(|operations| (self.precision(), operations));
        work.push(self.inference(model)?);
        Ok(Network { name, params, macs, work, operations })
    }

    fn step(
        &self,
        kind: WorkKind,
        slim: Slim<A>,
        masks: &Masks,
        teacher: Option<&Teacher>,
    ) -> Result<Work, RunError> {
        let settings = TrainerSettings {
            training: &self.training,
            masks,
            freeze: None,
            dense: None,
            teacher,
            precision: self.precision(),
            devices: &Devices::one("device", self.setting.device.clone()),
            steps: 1,
            image: self.prepared.data.shape,
            read_every: 1,
        };
        let mut trainer = Some(Trainer::new(slim, settings)?);
        let batch = self.batch(&self.setting.device.clone().autodiff())?;
        // A step that failed was the last.
        let once = move || {
            let taken = trainer.take().map(|trainer| trainer.timed_step(batch.clone())).transpose()?;
            trainer = taken;
            Ok(())
        };
        Ok(Work { kind, once: Box::new(once) })
    }

    fn inference(&self, model: A) -> Result<Work, RunError> {
        let images = self.batch(self.setting.device)?.images;
        let precision = self.precision();
        let once = move || {
            let logits = read(&model, images.clone(), precision)?.try_into_vec::<f32>();
            logits.map(|_| ()).map_err(|error| EvaluateError::Device(error.to_string()))
        };
        Ok(Work { kind: WorkKind::Inference, once: Box::new(once) })
    }

    fn precision(&self) -> Precision {
        self.prepared.experiment.precision
    }

    fn batch(&self, device: &Device) -> Result<Batch, RunError> {
        Ok(self.prepared.first_batch(self.setting.batch, device).map_err(EvaluateError::from)?)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use burn::module::Module;
    use burn::tensor::Tensor;
    use vitslim_macros::Slimmable;

    use super::*;
    use crate::experiment::Document;
    use crate::models::{ConfigError, ConvNext, Logits, Swin, Vit, VitConfig};

    fn cut<A: Architecture>(prepared: &Prepared<A>) -> Vec<A> {
        let device = Device::flex();
        let dense = initial(prepared, &device).unwrap();
        cut_at_random(prepared, dense, &device).map(|cut| cut.unwrap().1).collect()
    }

    #[test]
    fn the_shipped_experiments_cut_the_macs_that_they_say() {
        let shipped = [
            ("bench_deit_tiny", &[0.7, 0.5][..]),
            ("bench_deit_small", &[0.7, 0.5]),
            ("bench_deit_tiny_tokens", &[0.5]),
        ];
        for (name, expected) in shipped {
            let models = cut_to::<Vit>(name, expected);
            for block in models[1..].iter().flat_map(|model| &model.blocks) {
                let hidden = block.mlp.fc1.weight.dims()[1];
                let mut sizes = block.attn.heads.sizes.iter().chain([&hidden]);
                assert!(sizes.all(|size| size.is_multiple_of(8)), "{name} rounds to 8");
            }
        }
        cut_to::<Swin>("bench_swin_tiny", &[0.7, 0.5]);
        cut_to::<ConvNext>("bench_convnext_tiny", &[0.7, 0.5]);
    }

    /// The networks of a shipped experiment, the dense one first, the others of the `expected` shares of its MACs.
    fn cut_to<A: Architecture>(name: &str, expected: &[f64]) -> Vec<A> {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../experiments/{name}.ron"));
        // Fewer images are read faster.
        let document = Document::read(&file, &["data.images=20".to_owned()]).unwrap();
        let prepared = Prepared::<A>::new(&document.trial().unwrap()).unwrap();
        let models = cut(&prepared);
        let macs: Vec<_> =
            models.iter().map(|model| checked_macs(&prepared, model).unwrap() as f64).collect();
        assert_eq!(macs.len(), 1 + expected.len(), "{name}");
        for (found, expected) in macs[1..].iter().zip(expected) {
            let share = found / macs[0];
            assert!((share - expected).abs() < 0.01, "{name}: {share} of {expected}");
        }
        models
    }

    #[test]
    fn the_same_seed_cuts_the_same_sub_networks() {
        let text = |seed: usize| {
            format!(
                "Experiment(name: \"a\", seed: {seed}, model: (architecture: \"vit\", config: (patch_size: 4, \
                 dim: 16, depth: 2, heads: 2)), data: Digits, search: (epochs: 1, optimizer: AdamW(lr: 1e-3), \
                 dimensions: {{ \"hidden\": (weight: 0) }}), budgets: [Share({{ \"hidden\": 0.5 }})])"
            )
        };
        let hidden = |seed: usize| {
            let document = Document::parse("a.ron", &text(seed), &[]).unwrap();
            let prepared = Prepared::<Vit>::new(&document.trial().unwrap()).unwrap();
            cut(&prepared)[1].blocks.iter().map(|block| block.mlp.fc1.weight.dims()[1]).collect::<Vec<_>>()
        };
        assert_eq!(hidden(1), hidden(1));
        assert_eq!(hidden(1).iter().sum::<usize>(), 64);
        assert!((2..6).any(|seed| hidden(seed) != hidden(1)), "sizes differ from layer to layer");
    }

    /// A ViT that counts its forward passes.
    #[derive(Module, Debug, Slimmable)]
    struct Counted {
        #[slim]
        vit: Vit,
    }

    static PASSES: AtomicUsize = AtomicUsize::new(0);

    impl Architecture for Counted {
        type Config = VitConfig;

        fn presets() -> Vec<(&'static str, VitConfig)> {
            Vec::new()
        }

        fn init(config: &VitConfig, device: &Device) -> Result<Self, ConfigError> {
            Ok(Self { vit: Vit::init(config, device)? })
        }

        fn forward(&self, images: Tensor<4>) -> Logits {
            PASSES.fetch_add(1, Ordering::Relaxed);
            self.vit.forward(images)
        }
    }

    #[test]
    fn a_search_step_is_measured_with_its_teacher() {
        let text = "Experiment(name: \"a\", model: (architecture: \"vit\", config: (patch_size: 4, dim: 8, depth: 1, heads: 2)), \
             data: Digits, pretrain: (epochs: 1, optimizer: AdamW(lr: 1e-3)), search: (epochs: 1, optimizer: AdamW(lr: 1e-3), \
             teacher: Dense, dimensions: { \"hidden\": (weight: 0) }), budgets: [Share({ \"hidden\": 0.5 })])";
        let trial = Document::parse("a.ron", text, &[]).unwrap().trial().unwrap();
        let (device, teachers) = (Device::flex(), Teachers::default());
        let setting = BenchSetting {
            batch: 2,
            device: &device,
            device_name: "cpu",
            precision_name: "f32",
            operations: false,
            teachers: &teachers,
        };
        let mut benched = networks::<Counted>(&trial, &Source::Experiment, &setting).unwrap();
        let passes = benched.networks[0].work.iter_mut().map(|work| {
            let before = PASSES.load(Ordering::Relaxed);
            (work.once)().unwrap();
            (work.kind, PASSES.load(Ordering::Relaxed) - before)
        });
        let expected = [(WorkKind::Training, 1), (WorkKind::Search, 2), (WorkKind::Inference, 1)];
        assert_eq!(passes.collect::<Vec<_>>(), expected);

        // Where nothing searches, nobody teaches.
        let text =
            text.replace("search:", "importance: Taylor, search:").replace("Dense", "(pretrained: \"gone\")");
        let trial = Document::parse("a.ron", &text, &[]).unwrap().trial().unwrap();
        let benched = networks::<Counted>(&trial, &Source::Experiment, &setting).unwrap();
        let kinds: Vec<_> = benched.networks[0].work.iter().map(|work| work.kind).collect();
        assert_eq!(kinds, [WorkKind::Training, WorkKind::Inference]);
    }
}
